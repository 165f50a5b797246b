"""What a venue's own row says of an order, where ccxt's structure of it says something else or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tradeutils.model import Order
from tradeutils.model.rounding import EXACT

__all__ = ["as_told"]

_AT_MARKET: Final = Decimal(-1)  # okx's price of an order with a trigger that is then filled at any price
_LIMITS: Final = ("slOrdPx", "tpOrdPx")  # okx's price of one with a stop loss or take profit, which ccxt passes over
_BY_COST: Final = "quote_ccy"  # okx's word for an order that was given a cost, which ccxt takes for what it spent


def as_told(order: Order, row: object, id_field: str | None = None) -> Order:
    """
    Return an order as its venue tells of it.

    Parameters
    ----------
    order : Order
        From ccxt's structure.
    row : object
        The venue's own, ccxt's ``info``.
    id_field : str or None
        Where orders with a trigger bear their client id, if ccxt does not look there.
    """
    told: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
    changed: dict[str, Any] = {}
    if order.client_id is None and id_field is not None and isinstance(told.get(id_field), str):
        changed["client_id"] = told[id_field] or None
    if order.price is None or order.price == _AT_MARKET:
        limits = [price for price in (_price(told.get(name)) for name in _LIMITS) if price is not None]
        changed["price"] = limits[0] if limits else None
    if told.get("tgtCcy") == _BY_COST and order.side == "buy" and order.type == "market":
        known = order.filled is not None and order.average is not None
        changed["cost"] = EXACT.multiply(order.filled, order.average) if known else None  # type: ignore[arg-type]
        if order.filled == 0:
            changed["cost"] = Decimal(0)
    return dataclasses.replace(order, **changed) if changed else order


def _price(value: object) -> Decimal | None:
    """Return a price that is one: not empty, and not the word for any price."""
    try:
        price = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    return price if price is not None and price.is_finite() and price > 0 else None
