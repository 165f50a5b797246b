"""Bybit's errors: a code and words in the envelope of every answer, beside a status of 200."""

from __future__ import annotations

from typing import Final

from tradeutils.sim.instruments import Instrument
from tradeutils.sim.orders import OrderRefused, OrderRequest

__all__ = ["BybitError", "of_refused_order", "of_unknown_order"]

_MESSAGES: Final = {
    10002: "invalid request, please check your server timestamp or recv_window param. "
    "req_timestamp[{}],server_timestamp[{}],recv_window[{}]",
    10003: "API key is invalid.",
    10004: "error sign! please check your signature generation algorithm.",
    10006: "Too many visits! Exceeded the API Rate Limit.",
}
# Each in spot, and in linear.
_REFUSED: Final = {
    "balance": ((170131, "Insufficient balance."), (110007, "ab not enough for new order")),
    "duplicate": ((170141, "Duplicate clientOrderId."), (110072, "OrderLinkedID is duplicate")),
    # Of linear the venue takes the order and cancels it at once; who asks learns it a request later.
    "would take": ((170218, "The LIMIT-MAKER order is rejected due to invalid price."),) * 2,
    "closed": ((170151, "The trading pair is not open yet."), (110066, "Trading is currently not allowed.")),
    "empty book": ((170143, "Cannot be found on order book."), (110066, "Trading is currently not allowed.")),
    "would trigger": ((170210, "New order rejected."), (110092, "expect Rising or Falling, but the price is there")),
    "margin": ((170131, "Insufficient balance."), (110007, "ab not enough for new order")),
    "reduce only": (
        (170210, "New order rejected."),
        (110017, "current position is zero, cannot fix reduce-only order"),
    ),
    "PRICE_FILTER": ((170134, "Order price has too many decimals."), (10001, "params error: price invalid")),
    "LOT_SIZE": ((170137, "Order volume has too many decimals."), (10001, "params error: Qty invalid")),
    "NOTIONAL": ((170140, "Order value exceeded lower limit."), (110094, "Order does not meet minimum order value")),
    "PERCENT_PRICE_BY_SIDE": ((170132, "Order price is out of range."), (110003, "Order price is out of range.")),
    "MAX_NUM_ORDERS": (
        (170810, "Cannot exceed maximum of 500 conditional, TP/SL and active orders."),
        (110020, "You cannot have more than 500 active orders."),
    ),
}
_TOO_SMALL: Final = (170136, "Order quantity exceeded lower limit.")
_TOO_LARGE: Final = (170135, "Order quantity exceeded upper limit.")


class BybitError(Exception):
    """An answer that says no: ``{"retCode": 10003, "retMsg": "API key is invalid."}``."""

    def __init__(self, code: int, message: str = "", *parts: object) -> None:
        self.code = code
        self.message = message or _MESSAGES[code].format(*parts)
        super().__init__(code, self.message)


def of_refused_order(refused: OrderRefused, request: OrderRequest, instrument: Instrument) -> BybitError:
    """Return how Bybit words the reason, which it numbers apart in spot and in linear."""
    spot = instrument.kind == "spot"
    if refused.reason == "LOT_SIZE" and spot and request.amount is not None:
        if request.amount < instrument.min_amount:
            return BybitError(*_TOO_SMALL)
        if request.amount > instrument.max_amount:
            return BybitError(*_TOO_LARGE)
    return BybitError(*_REFUSED[refused.reason][0 if spot else 1])


def of_unknown_order(category: str) -> BybitError:
    """Return the answer about an order that there is not, or not any more."""
    if category == "spot":
        return BybitError(170213, "Order does not exist.")
    return BybitError(110001, "order not exists or too late to cancel")
