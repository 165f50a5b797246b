"""Pages of candles as they come, and what they say together: each bar once, in order, and whether it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils.errors import BadReply
from tradeutils.exchange.base import Page
from tradeutils.model import Candles, Market
from tradeutils.model.candles import PRICE_FIELDS
from tradeutils.timeframe import Timeframe, Times

__all__ = ["CandleRequest", "Pages", "Table", "read_page"]

Table: TypeAlias = npt.NDArray[np.float64]
"""Rows of time in ms UTC, open, high, low, close and volume: float64 (T, 6)."""

_COLUMNS: Final = 6
_LATEST: Final = 2.0**53  # milliseconds; beyond it float64 no longer counts them


@dataclass(frozen=True, slots=True)
class CandleRequest:
    """
    What was asked for: bars that open in ``[since, until)``, the newest ``limit`` of them; ms UTC.

    Attributes
    ----------
    price : str or None
        ``"mark"`` or ``"index"``; ``None``: what was traded.
    grace : int
        Milliseconds after its end for which a bar that nothing has followed yet may still change.
    partial : bool
        Whether less than was asked for will do, where the venue does not keep more.
    """

    market: Market
    timeframe: Timeframe
    since: int | None
    until: int | None
    limit: int | None
    closed_only: bool
    price: str | None = None
    grace: int = 0
    partial: bool = False

    @property
    def operation(self) -> str:
        """The method of `Exchange` that asked."""
        return f"fetch_{self.price}_ohlcv" if self.price else "fetch_ohlcv"


class Found(NamedTuple):
    """Where the bars asked for lie: the opens, the page and the row in it of each, and whether it is closed."""

    time: Times
    at: npt.NDArray[np.intp]
    closed: npt.NDArray[np.bool_]


@dataclass(slots=True)
class Pages:
    """
    The pages that a request has brought so far; a later answer replaces an earlier one.

    Parameters
    ----------
    request : CandleRequest
        Says of which timeframe they are, and which bars are wanted.
    exchange : str
        Where they come from.
    """

    request: CandleRequest
    exchange: str
    _tables: list[Table] = field(default_factory=list)
    _times: list[Times] = field(default_factory=list)
    _ended: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    _settled: list[npt.NDArray[np.bool_]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._times)

    def add(self, now: int, table: Table) -> None:
        """Keep a page that was asked for when the venue's clock showed ``now``."""
        if not len(table):
            return
        frame = self.request.timeframe
        time = table[:, 0].astype(np.int64)
        ends = frame.shift(frame.floor(time), 1)
        self._tables.append(table)
        self._times.append(time)
        self._ended.append(ends <= now)
        self._settled.append(ends + self.request.grace <= now)

    def found(self) -> Found:
        """Return the bars asked for, ascending, each once."""
        if not self._times:
            return Found(np.empty(0, np.int64), np.empty(0, np.intp), np.empty(0, np.bool_))
        time = np.concatenate(self._times)
        at = np.arange(len(time))
        if len(time) > 1 and not (time[1:] > time[:-1]).all():
            at = np.argsort(time, kind="stable")
            time = time[at]
            last_of_time = np.r_[time[1:] != time[:-1], True]
            time, at = time[last_of_time], at[last_of_time]
        closed = self._closed(time, at)
        wanted = np.ones(len(time), np.bool_) if not self.request.closed_only else closed.copy()
        if self.request.since is not None:
            wanted &= time >= self.request.since
        if self.request.until is not None:
            wanted &= time < self.request.until
        return Found(time[wanted], at[wanted], closed[wanted])

    def _closed(self, time: Times, at: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """
        Tell which bars are over for good: the grace has passed, or the same or an earlier page has a later trade.

        Venues add trades to a bar in their order: once one of the next bar is in, none of this can follow.
        """
        closed = np.concatenate(self._settled)[at]
        fresh = np.flatnonzero(np.concatenate(self._ended)[at] & ~closed)
        if not len(fresh):
            return closed
        page_of = np.repeat(np.arange(len(self._times)), [len(one) for one in self._times])[at]
        volume = np.concatenate([table[:, 5] for table in self._tables])[at]
        for row in fresh:
            later = slice(row + 1, None)
            closed[row] = ((volume[later] != 0) & (page_of[later] <= page_of[row])).any()
        return closed

    def candles(self) -> Candles:
        """Return the bars asked for, the newest ``limit`` of them."""
        time, at, closed = (column[-(self.request.limit or 0) :] for column in self.found())
        columns: dict[str, Any] = {}
        for number, name in enumerate(PRICE_FIELDS, 1):  # column by column: ten years of minutes are 250 MB of rows
            parts = [table[:, number] for table in self._tables]
            columns[name] = np.concatenate(parts)[at] if parts else np.empty(0)
        if self.request.price is not None:
            columns["volume"] = np.full(len(time), np.nan)  # some venues send 0: nobody trades an index
        columns |= {"time": time, "closed": closed}
        for column in columns.values():
            column.flags.writeable = False  # ours alone: nothing to be copied for safety
        return Candles(
            exchange=self.exchange,
            symbol=self.request.market.symbol,
            timeframe=self.request.timeframe.name,
            **columns,
        )


def read_page(page: Page, request: CandleRequest, venue: str, *, latest: int) -> Table:
    """Return what the venue sent as a table, in its own order; `BadReply` where a row is no candle up to ``latest``."""
    try:
        table = _table(page)
        problem = _problem(table, latest)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        problem = str(error)
    if problem is not None:
        raise BadReply(
            f"a candle could not be read: {problem}",
            venue=venue,
            operation=request.operation,
            symbol=request.market.symbol,
        )
    return table


def _table(page: Page) -> Table:
    if isinstance(page, np.ndarray):
        return page
    if page and min(map(len, page)) < _COLUMNS:  # an index has no volume
        return np.array([[*row[:5], np.nan] for row in page], dtype=np.float64)
    return np.array([row[:6] for row in page], dtype=np.float64).reshape(-1, _COLUMNS)


def _problem(table: Table, latest: int) -> str | None:
    """Return what is wrong with a table; ``None`` where nothing is."""
    if table.ndim != 2 or table.shape[1] != _COLUMNS or table.dtype != np.float64:
        return f"rows of shape {table.shape[1:]} and dtype {table.dtype}"
    timeless = np.flatnonzero(~(np.abs(table[:, 0]) < _LATEST))  # NaN included
    if len(timeless):
        return f"row {timeless[0]} has no time"
    ahead = np.flatnonzero(table[:, 0] > latest)
    return f"row {ahead[0]} opens in the future, at {table[ahead[0], 0]:.0f}" if len(ahead) else None
