"""Binance's list of markets, made of instruments or served as it was recorded."""

from __future__ import annotations

import gzip
import os
import pathlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from tradeutils.errors import DataError
from tradeutils.sim.binance.errors import interval
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.limits import Limits

__all__ = [
    "MAX_WAITING",
    "MAX_WAITING_SWAP",
    "ORDER_TYPES",
    "describe_futures_limits",
    "describe_instrument",
    "describe_limits",
    "describe_swap",
    "fixed",
    "read_exchange_info",
]

ORDER_TYPES: Final = (
    "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
)  # fmt: skip
_SWAP_ORDER_TYPES: Final = ("LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
_NEVER_DELIVERED: Final = 4_133_404_800_000  # the date that a perpetual has
MAX_WAITING: Final = 5
"""Orders of an account in one spot market that wait for their triggers."""
MAX_WAITING_SWAP: Final = 10
"""The same of a swap."""
_MAX_BYTES: Final = 1 << 28


def fixed(value: Decimal) -> str:
    """Return a number as Binance writes it: with eight digits after the point."""
    return f"{value:.8f}"


def describe_limits(limits: Limits) -> list[dict[str, Any]]:
    """Return the limits as ``exchangeInfo`` tells them."""
    told = (
        ("REQUEST_WEIGHT", limits.window, limits.weight),
        ("ORDERS", limits.orders_window, limits.orders),
        ("ORDERS", 86_400, limits.orders_day),
        ("RAW_REQUESTS", limits.requests_window, limits.requests),
    )
    return _limit_rows(told)


def describe_futures_limits(limits: Limits) -> list[dict[str, Any]]:
    """Return the limits of the futures as their ``exchangeInfo`` tells them."""
    return _limit_rows(
        (
            ("REQUEST_WEIGHT", limits.window, limits.futures_weight),
            ("ORDERS", 60, limits.futures_orders_minute),
            ("ORDERS", limits.orders_window, limits.futures_orders),
        )
    )


def _limit_rows(told: Iterable[tuple[str, float, int]]) -> list[dict[str, Any]]:
    rows = []
    for kind, seconds, limit in told:
        number, unit = interval(seconds)
        rows.append({"rateLimitType": kind, "interval": unit, "intervalNum": number, "limit": limit})
    return rows


def describe_instrument(instrument: Instrument) -> dict[str, Any]:
    """Return an instrument as an entry of ``exchangeInfo``."""
    permissions = ["SPOT", "MARGIN"] if instrument.margin else ["SPOT"]
    return {
        "symbol": instrument.id,
        "status": "TRADING" if instrument.active else "BREAK",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": instrument.margin,
        "filters": _filters(instrument),
        "permissions": [],
        "permissionSets": [permissions],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def describe_swap(instrument: Instrument, listed: int) -> dict[str, Any]:
    """Return a swap as an entry of the futures' ``exchangeInfo``; ``listed`` is when it was."""
    tick, step = f"{instrument.price_step:f}", f"{instrument.amount_step:f}"
    lot = {"minQty": f"{instrument.min_amount:f}", "maxQty": f"{instrument.max_amount:f}", "stepSize": step}
    return {
        "symbol": instrument.name,
        "pair": instrument.name,
        "contractType": "PERPETUAL",
        "deliveryDate": _NEVER_DELIVERED,
        "onboardDate": listed,
        "status": "TRADING" if instrument.active else "SETTLING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.settle,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.amount_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.015000",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": MAX_WAITING_SWAP},
            {"filterType": "MIN_NOTIONAL", "notional": f"{instrument.min_cost:f}"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "5", "multiplierDown": "0.2", "multiplierDecimal": "4"},
        ],
        "orderTypes": _SWAP_ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _filters(instrument: Instrument) -> list[dict[str, Any]]:
    tick, step = fixed(instrument.price_step), fixed(instrument.amount_step)
    most = fixed(instrument.max_amount)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": fixed(instrument.min_amount), "maxQty": most, "stepSize": step},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": most, "stepSize": "0.00000000"},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": fixed(instrument.min_cost),
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": MAX_WAITING},
    ]


def read_exchange_info(source: Mapping[str, Any] | bytes | str | os.PathLike[str]) -> bytes:
    """
    Return a recorded ``exchangeInfo`` reply as the bytes to serve.

    Parameters
    ----------
    source : mapping, bytes or path
        The reply; or a file of it, gzipped or not, or of lines ``URL -> epoch: JSON`` as cryptofeed records them.

    Raises
    ------
    DataError : the file cannot be read or holds no such reply.
    """
    if isinstance(source, Mapping):
        return orjson.dumps(source)
    if isinstance(source, bytes):
        return source
    path = pathlib.Path(source)
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            with gzip.open(path) as file:
                data = file.read(_MAX_BYTES)
    except (OSError, EOFError) as error:
        raise DataError(f"exchange_info was {str(path)!r}, which cannot be read: {error}") from error
    if data.lstrip().startswith(b"{"):
        return data
    for line in data.splitlines():
        head, arrow, rest = line.partition(b" -> ")
        if arrow and b"/exchangeInfo" in head:
            return rest.partition(b": ")[2]
    raise DataError(f"exchange_info was {str(path)!r}, which holds no exchangeInfo reply")
