"""What feeds tell, the same in every dialect: topics, and what happened in one since it was last told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tradeutils.model.candles import Column
from tradeutils.sim.accounts import Holding
from tradeutils.sim.bars import Klines, TradeColumns
from tradeutils.sim.market import Day
from tradeutils.sim.orders import Fill, PlacedOrder, Reason

__all__ = [
    "BalanceEvent",
    "BookEvent",
    "Event",
    "KlineEvent",
    "OrderEvent",
    "TickerEvent",
    "Topic",
    "TopicKind",
    "TradesEvent",
]

TopicKind: TypeAlias = Literal["trades", "ticker", "klines", "book", "best", "orders", "balances"]


@dataclass(frozen=True, slots=True)
class Topic:
    """
    Something that a connection follows; all that follow the same are told the same.

    Attributes
    ----------
    kind : str
        ``"best"`` is the best bid and ask alone.
    market : str
        The id of the instrument, ``"BTCUSDT"`` or ``"BTCUSDT-PERP"``; ``""`` of orders and balances.
    frame : str
        Of klines: their timeframe, ``"1m"``.
    depth : int
        Of a book: how many levels of a side; 0: all that it has.
    account : str
        Of orders and balances: the API key of whose they are.
    trades : str
        Of orders and balances: ``"spot"`` or ``"linear"`` where only one of them is told, ``""``: both. The
        balances of ``"linear"`` are what swaps are paid from.
    """

    kind: TopicKind
    market: str = ""
    frame: str = ""
    depth: int = 0
    account: str = ""
    trades: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Event:
    """
    What happened; ``now`` is the venue's time, ms UTC.

    ``rendered`` is for dialects: frames that are the same for every connection are made once and kept there, under
    any key that says of which shape they are.
    """

    topic: Topic
    now: int
    rendered: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class TradesEvent(_Event):
    """Public trades, oldest first, at least one; none of them was told before."""

    trades: TradeColumns


@dataclass(frozen=True, slots=True, eq=False)
class KlineEvent(_Event):
    """
    A candle as it now is: one row.

    ``closed`` is told once of each, with the values it keeps. ``first_id`` and ``last_id`` are of the trades in it, -1
    where there are none.
    """

    klines: Klines
    closed: bool
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True, eq=False)
class TickerEvent(_Event):
    """The last 24 hours, and the best bid and ask: (1, 2) of price and amount, (0, 2) where there is none."""

    day: Day
    bids: Column
    asks: Column


@dataclass(frozen=True, slots=True, eq=False)
class BookEvent(_Event):
    """
    A book, or what changed in it: levels of price and amount, best first; (N, 2).

    Attributes
    ----------
    snapshot : bool
        True: ``bids`` and ``asks`` are the whole of it. False: only the levels that changed, amount 0 of those that
        are gone, also of those that more than ``topic.depth`` others now come before. Of ``"best"`` always True.
    first, last : int
        The numbers of the changes in it: ``last`` is the book's number after it, the one that REST tells too.
    previous : int
        ``last`` of the event before it in this topic, so that ``first`` is one more; -1 in a snapshot that starts one.
    full : tuple of bids and asks
        The whole of the book after it, to ``topic.depth``: what checksums are made of.
    """

    snapshot: bool
    bids: Column
    asks: Column
    first: int
    last: int
    previous: int
    full: tuple[Column, Column]


@dataclass(frozen=True, slots=True, eq=False)
class OrderEvent(_Event):
    """
    What became of an order: ``order`` is a copy as it was just then.

    ``fill`` is set where the reason is ``"trade"``; the last fill of an order finds its status ``"filled"``.
    """

    order: PlacedOrder
    fill: Fill | None
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class BalanceEvent(_Event):
    """Copies of what an account holds: ``holdings`` of the assets that changed, ``whole`` of all."""

    holdings: Mapping[str, Holding]
    whole: Mapping[str, Holding]


Event: TypeAlias = TradesEvent | KlineEvent | TickerEvent | BookEvent | OrderEvent | BalanceEvent
