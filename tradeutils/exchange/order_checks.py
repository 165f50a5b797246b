"""
What is asked of an order before it leaves.

Money is `decimal.Decimal` and is never rounded here: an amount between two steps of the market is a mistake that
the caller must see, not an order of another size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple

from tradeutils.errors import UsageError
from tradeutils.model import Market
from tradeutils.model.records import Side

__all__ = ["NewOrder", "check_id", "check_order", "plain"]

_EXACT: Final = Context(prec=200)
_MOST_DIGITS: Final = 60  # before or after the point; more is a mistake, and 1E+999999 would be a million characters
_SIDES: Final = ("buy", "sell")
_OF_THE_ID: Final = frozenset(
    {"clientorderid", "newclientorderid", "origclientorderid", "clordid", "clientoid", "orderlinkid", "externaloid"}
)


class NewOrder(NamedTuple):
    """
    An order that has passed the checks.

    ``named`` says that the caller chose the id, so that an order of an earlier call may bear it; ``params`` are ccxt's.
    After ``leave_by``, by ``time.monotonic``, it does not wait for room any more.
    """

    market: Market
    type: str
    side: Side
    amount: Decimal
    price: Decimal | None
    client_id: str
    params: Mapping[str, Any]
    named: bool = False
    leave_by: float = math.inf


def plain(number: Decimal) -> str:
    """Return a number as venues read it: all its digits and no exponent."""
    return format(number, "f")


def check_id(order_id: object) -> str:
    """Return the venue's id of an order, or raise `UsageError`."""
    if not isinstance(order_id, str) or not order_id:
        raise UsageError(f"id was {order_id!r}; give the venue's id of the order, a string: order.id")
    return order_id


def check_order(
    market: Market,
    kind: object,
    side: object,
    amount: object,
    price: object,
    params: Mapping[str, Any] | None,
) -> tuple[str, Side, Decimal, Decimal | None, dict[str, Any]]:
    """
    Return the parts of an order as they are to be sent.

    Raises
    ------
    UsageError : a part of the wrong kind, or one that the market does not take; nothing was sent.
    """
    if not isinstance(kind, str) or not kind:
        raise UsageError(f'type was {kind!r}; write "limit", "market" or one of the venue\'s own')
    if side not in _SIDES:
        raise UsageError(f'side was {side!r}; write "buy" or "sell"')
    kind = kind.lower()
    if kind == "limit" and price is None:
        raise UsageError("price was None; a limit order needs one, as in Decimal('50000')")
    quantity = _number("amount", amount)
    _within(market, "amount", quantity, market.amount_step, market.min_amount, market.max_amount)
    limit = None if price is None else _number("price", price)
    if limit is not None:
        _within(market, "price", limit, market.price_step, market.min_price, market.max_price)
        if market.type == "spot":  # elsewhere the cost depends on the size of the contract and on the leverage
            cost = _EXACT.multiply(quantity, limit)
            _within(market, "amount x price", cost, None, market.min_cost, market.max_cost)
    return kind, ("buy" if side == "buy" else "sell"), quantity, limit, _params(params)


def _number(name: str, value: object) -> Decimal:
    if not isinstance(value, Decimal):
        shown = repr(value) if isinstance(value, int | float | str) else type(value).__name__
        example = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else "0.01"
        raise UsageError(f'{name} was {shown:.60}, not a Decimal; write Decimal("{example:.40}")')
    if not value.is_finite() or value <= 0:
        raise UsageError(f"{name} was {value}; write a number above 0")
    if abs(value.adjusted()) > _MOST_DIGITS or len(value.as_tuple().digits) > _MOST_DIGITS:
        raise UsageError(f"{name} was {value!s:.40}...; write at most {_MOST_DIGITS} digits")
    return value


def _within(
    market: Market, name: str, value: Decimal, step: Decimal | None, least: Decimal | None, most: Decimal | None
) -> None:
    """Hold a number to a market's limits and step."""
    if least is not None and value < least:
        raise UsageError(f"{name} was {plain(value)}; {market.symbol} takes {plain(least)} or more")
    if most is not None and 0 < most < value:
        raise UsageError(f"{name} was {plain(value)}; {market.symbol} takes {plain(most)} or less")
    if not step or not _EXACT.remainder(value, step):
        return
    below = _EXACT.multiply(_EXACT.divide_int(value, step), step)
    above = _EXACT.add(below, step)
    nearest = f"{plain(below)} or {plain(above)}" if below > 0 else plain(above)
    raise UsageError(
        f"{name} was {plain(value)}; {market.symbol} takes steps of {plain(step)} and nothing is rounded here: "
        f"write {nearest}"
    )


def _params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise UsageError(f"params was a {type(params).__name__}; give a mapping of ccxt's parameters")
    for name in params:
        if str(name).replace("_", "").replace("-", "").lower() in _OF_THE_ID:
            raise UsageError(f"params had {name!r}; give the id as client_order_id=")
    return dict(params)
