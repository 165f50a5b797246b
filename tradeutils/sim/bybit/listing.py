"""How Bybit lists what is traded: instruments with their rules, and coins."""

from __future__ import annotations

from typing import Any, Final

from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import MAX_LEVERAGE
from tradeutils.sim.swaps import FUNDING_CAP, FUNDING_MS

__all__ = ["describe_coin", "describe_linear", "describe_spot", "status"]

_HIGHEST: Final = 10**12  # a price; the ledger has a band of its own
_LEVERAGE: Final = {"minLeverage": "1", "maxLeverage": f"{MAX_LEVERAGE}.00", "leverageStep": "1.00"}


def describe_spot(instrument: Instrument) -> dict[str, Any]:
    """Return a spot market and its rules."""
    return {
        "symbol": instrument.name,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "innovation": "0",
        "status": status(instrument),
        "marginTrading": "utaOnly" if instrument.margin else "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": f"{instrument.amount_step:f}",
            "quotePrecision": "0.00000001",
            "minOrderQty": f"{instrument.min_amount:f}",
            "maxOrderQty": f"{instrument.max_amount:f}",
            "minOrderAmt": f"{instrument.min_cost:f}",
            "maxOrderAmt": f"{instrument.max_amount:f}",
        },
        "priceFilter": {"tickSize": f"{instrument.price_step:f}"},
        "riskParameters": {"priceLimitRatioX": "0.8", "priceLimitRatioY": "4"},
    }


def describe_linear(instrument: Instrument, launched: int) -> dict[str, Any]:
    """Return a linear swap and its rules; ``launched`` is when its first candle opens, in ms."""
    step, most = f"{instrument.price_step:f}", f"{instrument.max_amount:f}"
    return {
        "symbol": instrument.name,
        "contractType": "LinearPerpetual",
        "status": status(instrument),
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "settleCoin": instrument.settle,
        "launchTime": str(launched),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(instrument.price_decimals),
        "leverageFilter": _LEVERAGE,
        "priceFilter": {"minPrice": step, "maxPrice": str(_HIGHEST), "tickSize": step},
        "lotSizeFilter": {
            "maxOrderQty": most,
            "minOrderQty": f"{instrument.min_amount:f}",
            "qtyStep": f"{instrument.amount_step:f}",
            "postOnlyMaxOrderQty": most,
            "maxMktOrderQty": most,
            "minNotionalValue": f"{instrument.min_cost:f}",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": FUNDING_MS // 60_000,
        "copyTrading": "none",
        "upperFundingRate": f"{FUNDING_CAP:.8f}",
        "lowerFundingRate": f"{-FUNDING_CAP:.8f}",
        "isPreListing": False,
        "preListingInfo": None,
    }


def status(instrument: Instrument) -> str:
    """Return whether a market is open, in Bybit's words."""
    return "Trading" if instrument.active else "Closed"


def describe_coin(coin: str) -> dict[str, Any]:
    """Return a coin with one made-up chain."""
    chain = {
        "chain": coin,
        "chainType": coin,
        "confirmation": "1",
        "withdrawFee": "0.001",
        "depositMin": "0",
        "withdrawMin": "0.002",
        "chainDeposit": "1",
        "chainWithdraw": "1",
        "minAccuracy": "8",
        "withdrawPercentageFee": "0",
    }
    return {"name": coin, "coin": coin, "remainAmount": "9999999999", "chains": [chain]}
