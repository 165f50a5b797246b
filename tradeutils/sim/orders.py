"""Orders of the venue's accounts: what is asked for, what became of it, and what it needs. Amounts are `Decimal`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal
from typing import Final, Literal, TypeAlias

from tradeutils.sim.instruments import Instrument

__all__ = ["Fill", "OrderRefused", "OrderRequest", "PlacedOrder", "Side", "Status", "fits", "money", "need", "take"]

Side: TypeAlias = Literal["buy", "sell"]
Status: TypeAlias = Literal["new", "partly filled", "filled", "canceled", "expired"]

_UNIT: Final = Decimal("0.00000001")
_WIDE: Final = Context(prec=60)
_ZERO: Final = Decimal(0)


class OrderRefused(Exception):
    """
    An order that the venue does not take.

    ``reason`` is the name of the rule it breaks (``"LOT_SIZE" "PRICE_FILTER" "NOTIONAL" "PERCENT_PRICE_BY_SIDE"
    "MAX_NUM_ORDERS"``) or one of ``"balance" "duplicate" "would take" "closed" "empty book"``; each dialect words it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What an account asks for; ``amount`` in base, or ``cost`` in quote for a market order."""

    market: str
    side: Side
    type: Literal["limit", "limit maker", "market"]
    amount: Decimal | None = None
    cost: Decimal | None = None
    price: Decimal | None = None
    time_in_force: Literal["GTC", "IOC", "FOK"] = "GTC"
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A part of an order that was traded; the fee is taken from what is received."""

    id: int
    order_id: int
    market: str
    side: Side
    price: Decimal
    amount: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str
    time: int
    maker: bool


@dataclass(slots=True, kw_only=True)
class PlacedOrder:
    """An order and what became of it so far."""

    id: int
    client_id: str
    request: OrderRequest
    amount: Decimal
    time: int
    updated: int
    status: Status = "new"
    filled: Decimal = _ZERO
    cost: Decimal = _ZERO
    locked: Decimal = _ZERO
    fills: list[Fill] = field(default_factory=list)
    checked: int = 0

    @property
    def open(self) -> bool:
        """True while it may still be filled or cancelled."""
        return self.status in ("new", "partly filled")

    @property
    def remaining(self) -> Decimal:
        """What is not filled."""
        return self.amount - self.filled


def take(
    request: OrderRequest, instrument: Instrument, levels: Iterable[tuple[Decimal, Decimal]]
) -> list[tuple[Decimal, Decimal]]:
    """Return what a request takes of the levels it meets: (price, amount)."""
    taken = []
    left, budget = request.amount, request.cost or _ZERO
    for price, size in levels:
        wanted = left if left is not None else budget / price
        part = min(size, wanted.quantize(instrument.amount_step, rounding=ROUND_DOWN, context=_WIDE))
        if part <= 0:
            break
        taken.append((price, part))
        budget -= part * price
        left = None if left is None else left - part
    return taken


def need(request: OrderRequest, amount: Decimal, taken: list[tuple[Decimal, Decimal]]) -> Decimal:
    """Return what must be free: the amount to sell, or what buying it costs at its limit or on the book."""
    if request.side == "sell":
        return amount
    if request.price is not None:
        return money(request.price * amount, ROUND_UP)
    return sum((money(price * size) for price, size in taken), _ZERO)


def fits(value: Decimal, step: Decimal) -> bool:
    """Tell whether a value is a whole number of steps."""
    return _WIDE.remainder(value, step) == 0


def money(value: Decimal, rounding: str = ROUND_DOWN) -> Decimal:
    """Return an amount in whole units of the eighth digit, the smallest that a venue books."""
    return value.quantize(_UNIT, rounding=rounding, context=_WIDE)
