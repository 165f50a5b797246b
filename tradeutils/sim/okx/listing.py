"""How OKX lists what is traded: instruments with their rules, and currencies."""

from __future__ import annotations

from typing import Any, Final

from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import MAX_LEVERAGE
from tradeutils.sim.okx.names import contract_value, family, inst_id, inst_type, on_wire

__all__ = ["describe_currency", "describe_instrument"]

_SPOT_LEVERAGE: Final = "10"
_NOT_TOLD: Final = (
    "alias",
    "auctionEndTime",
    "contTdSwTime",
    "expTime",
    "openType",
    "optType",
    "preMktSwTime",
    "stk",
    "maxPlatOILmt",
)


def describe_instrument(instrument: Instrument, listed: int) -> dict[str, Any]:
    """Return a market and its rules, amounts of a swap in contracts; ``listed`` is when its first candle opens, ms."""
    swap = instrument.kind == "linear"
    most = on_wire(instrument.max_amount, instrument)
    sizes = ("maxLmtSz", "maxMktSz", "maxTwapSz", "maxIcebergSz", "maxTriggerSz", "maxStopSz")
    return {
        "instType": inst_type(instrument),
        "instId": inst_id(instrument),
        "uly": family(instrument) if swap else "",
        "instFamily": family(instrument) if swap else "",
        "category": "1",
        "baseCcy": "" if swap else instrument.base,
        "quoteCcy": "" if swap else instrument.quote,
        "settleCcy": instrument.settle or "",
        "ctVal": f"{contract_value(instrument):f}" if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": instrument.base if swap else "",
        "ctType": "linear" if swap else "",
        "listTime": str(listed),
        "lever": str(MAX_LEVERAGE) if swap else _SPOT_LEVERAGE if instrument.margin else "",
        "tickSz": f"{instrument.price_step:f}",
        "lotSz": on_wire(instrument.amount_step, instrument),
        "minSz": on_wire(instrument.min_amount, instrument),
        "state": "live" if instrument.active else "suspend",
        "ruleType": "normal",
        "futureSettlement": False,
        "tradeQuoteCcyList": [] if swap else [instrument.quote],
        "maxLmtAmt": "20000000",
        "maxMktAmt": "" if swap else "1000000",
        **dict.fromkeys(sizes, most),
        **dict.fromkeys(_NOT_TOLD, ""),
    }


def describe_currency(currency: str) -> dict[str, Any]:
    """Return a currency with one made-up chain."""
    return {
        "ccy": currency,
        "name": currency,
        "chain": f"{currency}-{currency}",
        "mainNet": True,
        "canDep": True,
        "canWd": True,
        "canInternal": True,
        "minDep": "0",
        "minWd": "0.002",
        "maxWd": "1000000",
        "wdTickSz": "8",
        "fee": "0.001",
        "minFee": "0.001",
        "maxFee": "0.001",
        "needTag": False,
        "ctAddr": "",
        "logoLink": "",
    }
