"""
What is asked of an order before it leaves.

Money is `decimal.Decimal` and is rounded only on request: an amount between two steps of the market is a mistake that
the caller must see, not an order of another size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradeutils.errors import UsageError
from tradeutils.exchange.ordering.terms import check_side, notional
from tradeutils.model import Market
from tradeutils.model.records import Side
from tradeutils.model.rounding import EXACT, Rounding, check_amount, check_direction, to_step

__all__ = [
    "CONDITIONS",
    "Asked",
    "NewOrder",
    "Terms",
    "check_cancel_params",
    "check_id",
    "check_order",
    "is_conditional",
    "plain",
]

_SPOT: Final = ("spot", "margin")
_OF_THE_ID: Final = frozenset(
    {"clientorderid", "newclientorderid", "origclientorderid", "clordid", "clientoid", "orderlinkid", "externaloid"}
)
# What venues call an order's own terms: one of these in params would replace what was checked.
_OF_THE_ORDER: Final = frozenset(
    {"symbol", "pair", "instid", "side", "amount", "quantity", "qty", "orderqty", "volume", "size", "sz", "price", "px"}
)
_OF_ANOTHER_ORDER: Final = _OF_THE_ID | {"symbol", "pair", "instid", "id", "orderid", "ordid", "txid", "algoid"}
# Our keywords, ccxt's unified name of each, and what else it goes by there.
_UNIFIED: Final[Mapping[str, tuple[str, ...]]] = {
    "trigger_price": ("triggerPrice", "stopPrice"),
    "stop_loss_price": ("stopLossPrice",),
    "take_profit_price": ("takeProfitPrice",),
    "reduce_only": ("reduceOnly",),
    "post_only": ("postOnly",),
    "time_in_force": ("timeInForce",),
    "cost": ("cost", "quoteOrderQty", "funds"),
}
_TRIGGERS: Final = ("trigger_price", "stop_loss_price", "take_profit_price")
CONDITIONS: Final = frozenset(name for one in _TRIGGERS for name in _UNIFIED[one]) | {
    "trailingPercent",
    "trailingAmount",
    "trailingDelta",
}
"""ccxt's parameters that make an order wait for a price."""
_FINE: Final = Decimal("1E-8")  # steps of an amount where the venue names none
_PLAIN_TYPES: Final = ("limit", "market")
_TIMES_IN_FORCE: Final = ("GTC", "IOC", "FOK", "GTD", "PO")


class Asked(NamedTuple):
    """An order as the caller gave it, unchecked; see `Trading.create_order`."""

    type: object
    side: object
    amount: object = None
    price: object = None
    cost: object = None
    amount_rounding: Rounding | None = None
    price_rounding: Rounding | None = None
    trigger_price: object = None
    stop_loss_price: object = None
    take_profit_price: object = None
    reduce_only: object = False
    post_only: object = False
    time_in_force: object = None
    params: Mapping[str, Any] | None = None


class Terms(NamedTuple):
    """What an order is to be, checked and rounded; ``params`` are ccxt's, those of our keywords among them."""

    type: str
    side: Side
    amount: Decimal | None
    price: Decimal | None
    cost: Decimal | None
    trigger_price: Decimal | None
    params: dict[str, Any]


class NewOrder(NamedTuple):
    """
    An order that has passed the checks.

    ``amount`` is ``None`` where ``cost`` says what to spend instead. ``named`` says that the caller chose the id, so
    that an order of an earlier call may bear it; ``params`` are ccxt's. After ``leave_by``, by ``time.monotonic``, it
    does not wait for room any more.
    """

    market: Market
    type: str
    side: Side
    amount: Decimal | None
    price: Decimal | None
    client_id: str
    params: Mapping[str, Any]
    named: bool = False
    leave_by: float = math.inf
    cost: Decimal | None = None
    trigger_price: Decimal | None = None

    @property
    def conditional(self) -> bool:
        """Whether it waits for a price before it is an order: many venues list those apart."""
        return is_conditional(self.type, self.params)


def is_conditional(kind: str, params: Mapping[str, Any]) -> bool:
    """Return whether an order of this type and these parameters of ccxt waits for a price."""
    return kind not in _PLAIN_TYPES or not CONDITIONS.isdisjoint(params)


def plain(number: Decimal) -> str:
    """Return a number as venues read it: all its digits and no exponent."""
    return format(number, "f")


def check_id(order_id: object) -> str:
    """Return the venue's id of an order, or raise `UsageError`."""
    if not isinstance(order_id, str) or not order_id:
        raise UsageError(f"id was {order_id!r}; give the venue's id of the order, a string: order.id")
    return order_id


def _check_params(params: object) -> dict[str, Any]:
    """Return ccxt's parameters as a dictionary of their own."""
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise UsageError(f"params was a {type(params).__name__}; give a mapping of ccxt's parameters")
    return dict(params)


def check_cancel_params(params: object) -> dict[str, Any]:
    """Return ccxt's parameters for a cancel; none may name another order than ``id`` does."""
    given = _check_params(params)
    for name in given:
        if _plainly(name) in _OF_ANOTHER_ORDER:
            raise UsageError(f"params had {name!r}; name the order by id and symbol alone")
    return given


def _plainly(name: object) -> str:
    return str(name).replace("_", "").replace("-", "").lower()


def check_order(market: Market, asked: Asked) -> Terms:
    """
    Return the terms of an order as they are to be sent.

    Raises
    ------
    UsageError : a part of the wrong kind, one that the market does not take, or two that exclude each other; nothing
        was sent.
    """
    kind, side = _kind(asked.type), check_side(asked.side)
    for name in ("amount_rounding", "price_rounding"):
        if getattr(asked, name) is not None:
            check_direction(getattr(asked, name), name)
    params = _params(asked)
    _check_conflicts(market, kind, asked, params)
    price = None if asked.price is None else _price(market, "price", asked.price, asked.price_rounding)
    trigger, named = _trigger(market, asked)
    if named is not None:
        params[_UNIFIED[named][0]] = plain(trigger or Decimal(0))
    if asked.cost is not None:
        cost = check_amount("cost", asked.cost)
        _within_bounds(market, "cost", cost, market.min_cost, market.max_cost, unit=market.quote)
        return Terms(kind, side, None, None, cost, trigger, params)
    quantity = _amount(market, asked.amount, asked.amount_rounding)
    at = price if price is not None else trigger
    if at is not None:
        _check_notional(market, quantity, at, params)
    return Terms(kind, side, quantity, price, None, trigger, params)


def _kind(kind: object) -> str:
    if not isinstance(kind, str) or not kind:
        raise UsageError(f'type was {kind!r}; write "limit", "market" or one of the venue\'s own')
    return kind.lower()


def _amount(market: Market, value: object, rounding: Rounding | None) -> Decimal:
    amount = check_amount("amount", value)
    if rounding is not None:
        amount = market.round_amount(amount, rounding)
    _within_bounds(market, "amount", amount, market.min_amount, market.max_amount)
    _on_step(market, "amount", amount, "amount_rounding")
    return amount


def _price(market: Market, name: str, value: object, rounding: Rounding | None) -> Decimal:
    price = check_amount(name, value)
    if rounding is not None:
        price = market.round_price(price, rounding)
    _within_bounds(market, "price", price, market.min_price, market.max_price, name=name)
    _on_step(market, name, price, "price_rounding")
    return price


def _trigger(market: Market, asked: Asked) -> tuple[Decimal | None, str | None]:
    """Return the price that an order waits for, and which of our keywords it came by."""
    given = [name for name in _TRIGGERS if getattr(asked, name) is not None]
    if not given:
        return None, None
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]} were given; an order waits for one price: place two orders")
    return _price(market, given[0], getattr(asked, given[0]), asked.price_rounding), given[0]


def _check_conflicts(market: Market, kind: str, asked: Asked, params: Mapping[str, Any]) -> None:
    """Raise for parts of an order that exclude each other."""
    if kind == "limit" and asked.price is None:
        raise UsageError("price was None; a limit order needs one, as in Decimal('50000')")
    if asked.cost is not None:
        _check_cost(market, kind, asked)
    if params.get("reduceOnly") is True and market.type in _SPOT:
        raise UsageError(f"reduce_only was given for {market.symbol}; there are no positions on spot: leave it out")
    post_only = params.get("postOnly") is True
    if post_only and kind == "market":
        raise UsageError("post_only was given for a market order, which never waits in the book; use a limit order")
    if post_only and params.get("timeInForce") not in (None, "GTC", "GTD", "PO"):
        raise UsageError(
            f"post_only and time_in_force {params['timeInForce']!r} exclude each other: one waits in the book, the "
            "other never does; leave one out"
        )


def _check_cost(market: Market, kind: str, asked: Asked) -> None:
    if asked.amount is not None:
        raise UsageError("amount and cost were both given; give what to trade, or what to spend")
    if kind != "market":
        raise UsageError(f'cost was given for a {kind} order; only market orders are by cost: write type "market"')
    if market.type not in _SPOT:
        raise UsageError(f"cost was given for {market.symbol}; contracts are ordered by their number: give amount")
    if asked.price is not None:
        raise UsageError("cost and price were both given; a market order by cost takes no price")
    if any(getattr(asked, name) is not None for name in _TRIGGERS):
        raise UsageError("cost was given with a trigger; orders that wait for a price are by amount: give amount")


def _within_bounds(
    market: Market,
    limit: str,
    value: Decimal,
    least: Decimal | None,
    most: Decimal | None,
    *,
    name: str | None = None,
    unit: str = "",
) -> None:
    """Hold a number to a market's limits."""
    name, unit = name or limit, unit and f" {unit}"
    if least is not None and value < least:
        raise UsageError(
            f"{name} was {plain(value)}{unit}; the minimum {limit} of {market.symbol} is {plain(least)}: "
            f"write {plain(least)} or more"
        )
    if most is not None and 0 < most < value:
        raise UsageError(
            f"{name} was {plain(value)}{unit}; the maximum {limit} of {market.symbol} is {plain(most)}: "
            f"write {plain(most)} or less"
        )


def _on_step(market: Market, name: str, value: Decimal, option: str) -> None:
    """Raise for a number between two steps of a market."""
    digits = market.price_digits if name != "amount" else None
    step = market.amount_step if name == "amount" else market.price_step
    if digits is not None:
        below, above = market.round_price(value, "down"), market.round_price(value, "up")
        takes = f"{digits} significant digits"
    elif step:
        below, above = to_step(value, step, "down"), to_step(value, step, "up")
        takes = f"steps of {plain(step)}"
    else:
        return
    if below == above:
        return
    nearest = f"{plain(below)} or {plain(above)}" if below > 0 else plain(above)
    raise UsageError(
        f"{name} was {plain(value)}; {market.symbol} takes {takes} and nothing is rounded unasked: "
        f'write {nearest}, or {option}="down"'
    )


def _check_notional(market: Market, amount: Decimal, price: Decimal, params: Mapping[str, Any]) -> None:
    """
    Hold what an order is worth to a market's limits; the amount that would do is named.

    Not that of inverse contracts: some venues state the limit in the quote currency there, some in the base currency,
    some count contracts in coins, and an order that is refused here for nothing is worse than one that they refuse.
    """
    worth = None if market.inverse else notional(market, amount, price)
    if worth is None:
        return
    # What is left of a position may be worth less, and must be sold all the same.
    least, most = None if params.get("reduceOnly") is True else market.min_cost, market.max_cost
    if least is not None and worth < least:
        word, bound, way = "minimum", least, "more"
    elif most is not None and 0 < most < worth:
        word, bound, way = "maximum", most, "less"
    else:
        return
    per_unit = EXACT.divide(worth, amount)
    enough = to_step(EXACT.divide(bound, per_unit), market.amount_step or _FINE, "up" if way == "more" else "down")
    raise UsageError(
        f"notional (amount {plain(amount)} at {plain(price)}) was {_short(worth)} {market.quote}; the {word} notional "
        f"of {market.symbol} is {plain(bound)}: write an amount of {_short(enough)} or {way}"
    )


def _short(number: Decimal) -> str:
    """Return a number without zeros at its end."""
    return plain(EXACT.normalize(number))


def _params(asked: Asked) -> dict[str, Any]:
    """Return ccxt's parameters: the caller's own, and those of our keywords that need no market."""
    given = _check_params(asked.params)
    for name in given:
        if _plainly(name) in _OF_THE_ID:
            raise UsageError(f"params had {name!r}; give the id as client_order_id=")
        if _plainly(name) in _OF_THE_ORDER:
            raise UsageError(f"params had {name!r}; give symbol, side, amount and price as create_order's own")
        if name in _UNIFIED["cost"] and asked.amount is not None:
            raise UsageError(f"amount and params[{name!r}] were both given; give what to trade, or cost=")
    for keyword, names in _UNIFIED.items():
        twice = next((name for name in names if name in given), None)
        if twice is not None and getattr(asked, keyword) not in (None, False):
            raise UsageError(f"{keyword} and params[{twice!r}] were both given; keep {keyword}=")
    params = given
    for keyword in ("reduce_only", "post_only"):
        value = getattr(asked, keyword)
        if not isinstance(value, bool):
            raise UsageError(f"{keyword} was {value!r:.60}; write True or False")
        if value:
            params[_UNIFIED[keyword][0]] = True
    if asked.time_in_force is not None:
        params["timeInForce"] = _time_in_force(asked.time_in_force)
    return params


def _time_in_force(value: object) -> str:
    if not isinstance(value, str) or value.upper() not in _TIMES_IN_FORCE:
        raise UsageError(f"time_in_force was {value!r:.60}; write one of {', '.join(_TIMES_IN_FORCE)}")
    return value.upper()
