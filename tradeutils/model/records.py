"""
What a venue tells anybody of a market: tickers, books, trades, funding rates, open interest.

Times are int milliseconds UTC, figures are float; ``None`` says that the venue did not tell.

Each has ``info``: what the venue itself sent, read-only, where the exchange was opened with ``info=True``. It takes
no part in comparisons and is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils.errors import UsageError
from tradeutils.model.info import Raw, freeze_info

__all__ = ["FundingRate", "OpenInterest", "OrderBook", "Side", "Ticker", "Trade"]

Side: TypeAlias = Literal["buy", "sell"]
Levels: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """
    The last 24 hours of one market; prices in quote, volumes in base unless named ``quote_volume``.

    ``bid_volume`` and ``ask_volume`` are in contracts where those are traded, as in `OrderBook`. ``time`` is the
    venue's, in milliseconds UTC. ``percentage`` is the change of the day in percent.
    """

    symbol: str
    time: int | None = None
    last: float | None = None
    bid: float | None = None
    ask: float | None = None
    bid_volume: float | None = None
    ask_volume: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    vwap: float | None = None
    percentage: float | None = None
    base_volume: float | None = None
    quote_volume: float | None = None
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)

    @property
    def mid(self) -> float | None:
        """Half-way between bid and ask; ``None`` where one is missing."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    @property
    def spread(self) -> float | None:
        """Ask less bid as a fraction of the mid: 0.001 is 0.1 %; ``None`` where one is missing or zero."""
        if self.bid is None or self.ask is None or self.bid <= 0 or self.ask <= 0:
            return None
        return 2 * (self.ask - self.bid) / (self.ask + self.bid)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderBook:
    """
    Price levels, best first.

    Attributes
    ----------
    bids, asks : float64 array, shape (N, 2), read-only
        Price and amount of each level; bids fall, asks rise.
    time : int or None
        Milliseconds UTC, where the venue says.
    sequence : int or None
        The venue's own number of this state of the book.
    """

    symbol: str
    bids: Levels
    asks: Levels
    time: int | None = None
    sequence: int | None = None
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)
        for side in ("bids", "asks"):
            object.__setattr__(self, side, _levels(side, getattr(self, side)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OrderBook):
            return NotImplemented
        return (
            (self.symbol, self.time, self.sequence) == (other.symbol, other.time, other.sequence)
            and np.array_equal(self.bids, other.bids)
            and np.array_equal(self.asks, other.asks)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    @property
    def bid(self) -> float | None:
        """Best bid price; ``None`` where nobody bids."""
        return float(self.bids[0, 0]) if len(self.bids) else None

    @property
    def ask(self) -> float | None:
        """Best ask price; ``None`` where nobody asks."""
        return float(self.asks[0, 0]) if len(self.asks) else None


def _levels(side: str, value: Any) -> Levels:
    try:
        levels = np.array(value, dtype=np.float64)  # a copy: a book is a moment, and its source moves on
    except (TypeError, ValueError) as error:
        raise UsageError(f"{side} cannot be read: {error}; write rows of [price, amount], shape (N, 2)") from error
    if levels.size == 0:
        levels = levels.reshape(0, 2)
    if levels.ndim != 2 or levels.shape[1] != 2:
        raise UsageError(f"{side} had shape {levels.shape}; write rows of [price, amount], shape (N, 2)")
    levels.flags.writeable = False
    return levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A public trade: price in quote, amount in base units or contracts, ``side`` the taker's."""

    symbol: str
    id: str | None
    time: int
    price: float
    amount: float
    side: Side | None = None
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRate:
    """
    What the holders of a swap pay one another.

    Attributes
    ----------
    rate : float or None
        As a fraction of the position's value for one interval: 0.0001 is 0.01 %, paid by longs to shorts; negative:
        by shorts to longs.
    time : int or None
        Milliseconds UTC. Of the present rate: when the venue said so. Of a past one: when it was paid.
    funding_time : int or None
        Milliseconds UTC at which it is, or was, paid.
    interval : str or None
        Time between two payments, as a timeframe: ``"8h"``.
    next_rate : float or None
        What the venue expects to follow, where it says.
    mark_price, index_price : float or None
        In quote, at ``time``.
    """

    symbol: str
    rate: float | None = None
    time: int | None = None
    funding_time: int | None = None
    interval: str | None = None
    next_rate: float | None = None
    mark_price: float | None = None
    index_price: float | None = None
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInterest:
    """
    What is open in one market, of swaps, futures or options.

    Attributes
    ----------
    amount : float or None
        In base units or contracts, as the venue counts.
    value : float or None
        In the quote currency, where the venue says.
    time : int or None
        Milliseconds UTC.
    """

    symbol: str
    amount: float | None = None
    value: float | None = None
    time: int | None = None
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)
