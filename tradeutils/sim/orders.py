"""
Orders of the venue's accounts: what is asked for, what became of it, and what it needs.

All amounts are `Decimal`, in base units, of swaps as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_UP, Context, Decimal
from typing import Final, Literal, TypeAlias

from tradeutils.sim.instruments import Instrument

__all__ = [
    "Change",
    "Fill",
    "FundingPayment",
    "OrderRefused",
    "OrderRequest",
    "PlacedOrder",
    "Reason",
    "Side",
    "Status",
    "Watched",
    "fits",
    "money",
    "need",
    "part_of",
    "take",
]

Side: TypeAlias = Literal["buy", "sell"]
Watched: TypeAlias = Literal["last", "mark", "index"]
"""The price that a trigger watches; of spot markets only the last."""
Reason: TypeAlias = Literal["new", "trade", "canceled", "expired", "triggered"]
"""What happened to an order."""
Status: TypeAlias = Literal["new", "partly filled", "filled", "canceled", "expired"]

_UNIT: Final = Decimal("0.00000001")
_WIDE: Final = Context(prec=60)
_ZERO: Final = Decimal(0)


class OrderRefused(Exception):
    """
    An order that the venue does not take.

    ``reason`` is the name of the rule it breaks (``"LOT_SIZE" "PRICE_FILTER" "NOTIONAL" "PERCENT_PRICE_BY_SIDE"
    "MAX_NUM_ORDERS"``) or one of ``"balance" "duplicate" "would take" "would trigger" "closed" "empty book"``, and of
    swaps ``"margin" "reduce only"``; each dialect words it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """
    What an account asks for.

    Attributes
    ----------
    market : str
        The id of the instrument.
    type : str
        What it is once it works; a trigger makes it wait before.
    amount : Decimal or None
        In base units; ``None`` with ``reduce_only``: the whole position as it then is.
    cost : Decimal or None
        In quote, in place of ``amount``, of a market order on spot.
    trigger : Decimal or None
        The order waits until the ``watched`` price reaches this one, from below where ``rises``, else from above.
    reduce_only : bool
        Of a swap: refused where there is no position to reduce, cut to the position where it is more.
    """

    market: str
    side: Side
    type: Literal["limit", "limit maker", "market"]
    amount: Decimal | None = None
    cost: Decimal | None = None
    price: Decimal | None = None
    time_in_force: Literal["GTC", "IOC", "FOK"] = "GTC"
    client_id: str | None = None
    trigger: Decimal | None = None
    rises: bool = False
    watched: Watched = "last"
    reduce_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """
    A part of an order that was traded.

    The fee is taken from what is received; of a swap it is paid in what it is settled in, in which ``realised`` is what
    the part of the position that it closed gained, before fees.
    """

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
    realised: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPayment:
    """Funding that an account received for a position, or paid where ``amount`` is negative."""

    id: int
    market: str
    asset: str
    amount: Decimal
    rate: Decimal
    time: int


@dataclass(slots=True, kw_only=True)
class PlacedOrder:
    """
    An order and what became of it so far.

    ``triggered`` is when its trigger was reached; ``locked`` is of spot alone.
    """

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
    triggered: int | None = None

    @property
    def open(self) -> bool:
        """True while it may still be filled or cancelled."""
        return self.status in ("new", "partly filled")

    @property
    def waiting(self) -> bool:
        """True while it waits for its trigger."""
        return self.open and self.request.trigger is not None and self.triggered is None

    @property
    def remaining(self) -> Decimal:
        """What is not filled."""
        return self.amount - self.filled


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Something that happened to an order, of which ``order`` is a copy as it was just then; ``fill`` of a trade."""

    order: PlacedOrder
    reason: Reason
    time: int
    fill: Fill | None = None


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
    """Return what spot needs free: the amount to sell, or what buying it costs: at limit, trigger or book."""
    if request.side == "sell":
        return amount
    limit = request.price if request.price is not None or taken else request.trigger
    if limit is not None:
        return money(limit * amount, ROUND_UP)
    return sum((money(price * size) for price, size in taken), _ZERO)


def fits(value: Decimal, step: Decimal) -> bool:
    """Tell whether a value is a whole number of steps."""
    return _WIDE.remainder(value, step) == 0


def money(value: Decimal, rounding: str = ROUND_DOWN) -> Decimal:
    """Return an amount in whole units of the eighth digit, the smallest that a venue books."""
    return value.quantize(_UNIT, rounding=rounding, context=_WIDE)


def part_of(value: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return a part of an amount of money, in whole units; all of it where the part is the whole."""
    return value if part == whole else money(_WIDE.divide(_WIDE.multiply(value, part), whole))
