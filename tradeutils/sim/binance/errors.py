"""Binance's error codes, messages and HTTP statuses."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final, Literal

from tradeutils.sim.limits import Refusal
from tradeutils.sim.usage import Window

__all__ = [
    "BinanceError",
    "interval",
    "of_refusal",
    "of_refused_order",
    "of_refused_swap_order",
    "of_timestamp",
    "spelt",
]

_MESSAGES: Final = {
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1022: "Signature for this request is not valid.",
    -1100: "Illegal characters found in parameter '{}'; legal range is '{}'.",
    -1101: "Duplicate values for parameter '{}'.",
    -1102: "Mandatory parameter '{}' was not sent, was empty/null, or malformed.",
    -1104: "Not all sent parameters were read; read '{}' parameter(s) but was sent '{}'.",
    -1105: "Parameter '{}' was empty.",
    -1106: "Parameter '{}' sent when not required.",
    -1108: "Parameter '{}' overflowed.",
    -1111: "Parameter '{}' has too much precision.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1122: "Invalid symbolStatus.",
    -1125: "This listenKey does not exist.",
    -1128: "Combination of optional parameters invalid.",
    -1130: "Data sent for parameter '{}' is not valid.",
    -1131: "recvWindow must be less than 60000.",
    -1139: "Invalid ticker type.",
    -1151: "Symbol is present multiple times in the list.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2035: "User Data Stream subscription is already active.",
    -2036: "User Data Stream subscription is not active.",
    -3003: "Margin account does not exist.",
    -4021: "Invalid depth limit: {}; valid limits are {}.",
    -4028: "Leverage {} is not valid",
    -4045: "Reach max stop order limit.",
    -4046: "No need to change margin type.",
    -4060: "Invalid position side.",
    -4061: "Order's position side does not match user's setting.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    -4137: "Quantity must be zero with closePosition equals true",
    -4166: "Search window is restricted to recent 7 days only.",
    -4168: "Unable to adjust to isolated-margin mode.",
}
_USE_STREAMS: Final = "Please use WebSocket Streams for live updates to avoid {}."
_STATUS: Final = {-1007: 408, -2014: 401, -2015: 401}
_REFUSED: Final = {
    "balance": (-2010, "Account has insufficient balance for requested action."),
    "duplicate": (-2010, "Duplicate order sent."),
    "would take": (-2010, "Order would immediately match and take."),
    "closed": (-1013, "Market is closed."),
    "would trigger": (-2010, "Stop price would trigger immediately."),
    "empty book": (-1112, "No orders on book for symbol."),
}
_REFUSED_SWAP: Final = {
    "margin": (-2019, "Margin is insufficient."),
    "would trigger": (-2021, "Order would immediately trigger."),
    "reduce only": (-2022, "ReduceOnly Order is rejected."),
    "MAX_NUM_ORDERS": (-2025, "Reach max open order limit."),
    "LOT_SIZE": (-1111, "Precision is over the maximum defined for this asset."),
    "PRICE_FILTER": (-4014, "Price not increased by tick size."),
    "duplicate": (-4116, "ClientOrderId is duplicated."),
    "PERCENT_PRICE_BY_SIDE": (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
    "closed": (-4140, "Invalid symbol status for opening position."),
    "would take": (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be "
        "recorded in the order history",
    ),
    "empty book": (-1112, "No orders on book for symbol."),
}


class BinanceError(Exception):
    """An answer that says no: ``{"code": -1121, "msg": "Invalid symbol."}``."""

    def __init__(self, code: int, *parts: object, message: str = "", status: int = 0) -> None:
        self.code = code
        self.message = message or _MESSAGES[code].format(*parts)
        self.status = status or _STATUS.get(code, 400)
        super().__init__(code, self.message)


def of_refused_order(reason: str) -> BinanceError:
    """Return how Binance words the reason of an `OrderRefused`."""
    code, message = _REFUSED.get(reason, (-1013, f"Filter failure: {reason}"))
    return BinanceError(code, message=message)


def of_refused_swap_order(reason: str, least: Decimal) -> BinanceError:
    """Return how the futures word the reason of an `OrderRefused`; ``least`` is the least notional of the market."""
    if reason == "NOTIONAL":
        message = f"Order's notional must be no smaller than {least:f} (unless you choose reduce only)."
        return BinanceError(-4164, message=message)
    code, message = _REFUSED_SWAP[reason]
    return BinanceError(code, message=message)


def of_timestamp(freshness: Literal["early", "old"]) -> BinanceError:
    """Return how Binance words that a timestamp is not of now."""
    if freshness == "early":
        return BinanceError(-1021, message="Timestamp for this request was 1000ms ahead of the server's time.")
    return BinanceError(-1021, message="Timestamp for this request is outside of the recvWindow.")


def of_refusal(refusal: Refusal, now: int) -> BinanceError:
    """Return how Binance words that an address asks too much; ``now`` is the venue's time, in ms."""
    if refusal.window is None:
        until = now + math.ceil(refusal.wait * 1000)
        message = f"Way too much request weight used; IP banned until {until}. " + _USE_STREAMS.format("bans")
    else:
        weighs = refusal.what == "weight"
        much, what = ("much request weight used", "request weight") if weighs else ("many requests", "requests")
        message = f"Too {much}; current limit is {refusal.window.limit} {what} per {spelt(refusal.window)}. "
        message += _USE_STREAMS.format("polling the API")
    return BinanceError(-1003, message=message, status=refusal.status)


def spelt(window: Window) -> str:
    """Return the length of a window in Binance's words: ``"1 MINUTE"``."""
    number, unit = interval(window.seconds)
    return f"{number:g} {unit}"


def interval(seconds: float) -> tuple[float, str]:
    """Return a length as Binance's list of limits has it: ``(5, "MINUTE")``."""
    for length, unit in ((86_400, "DAY"), (60, "MINUTE")):
        if seconds % length == 0:
            return int(seconds // length), unit
    return int(seconds) if seconds == int(seconds) else seconds, "SECOND"
