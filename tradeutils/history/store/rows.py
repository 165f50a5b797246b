"""Rows of one series as plain columns: what the journal, the partitions and the panels hand to each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError
from tradeutils.model import Candles
from tradeutils.model.candles import PRICE_FIELDS, Column
from tradeutils.timeframe import Times

__all__ = ["FIELDS", "Rows", "joined", "merged"]

FIELDS: Final = ("time", *PRICE_FIELDS)
"""The columns, in the order in which they are stored."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rows:
    """
    Closed candles of one series, oldest first.

    Unlike `Candles` they know no names and are not checked again: whoever makes them answers for the order.

    Parameters
    ----------
    time : int64 array, shape (T,)
        Milliseconds UTC at which each bar opens; strictly rising.
    open, high, low, close, volume : float64 array, shape (T,)
        Prices in quote; volume in base units or contracts.
    """

    time: Times
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        span = f" {self.time[0]}..{self.time[-1]}" if len(self) else ""
        return f"<Rows: {len(self)}{span}>"

    @classmethod
    def empty(cls) -> Rows:
        """Return no rows."""
        return cls(np.empty(0, dtype=np.int64), *(np.empty(0) for _ in PRICE_FIELDS))

    @classmethod
    def of(cls, candles: Candles) -> Rows:
        """Return the columns of candles, not copied; whether a candle is closed is not looked at."""
        return cls(candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume)

    def columns(self) -> tuple[npt.NDArray[np.int64] | Column, ...]:
        """Return time, open, high, low, close, volume."""
        return self.time, self.open, self.high, self.low, self.close, self.volume

    def slice(self, first: int, last: int) -> Rows:
        """Return the rows ``first`` to ``last`` (exclusive, neither negative) as views."""
        return Rows(
            self.time[first:last],
            self.open[first:last],
            self.high[first:last],
            self.low[first:last],
            self.close[first:last],
            self.volume[first:last],
        )

    def between(self, since: int | None = None, until: int | None = None) -> Rows:
        """Return the rows that open in ``[since, until)``, ms UTC, as views; ``None`` leaves that side open."""
        first = 0 if since is None else int(self.time.searchsorted(since))
        last = len(self) if until is None else int(self.time.searchsorted(until))
        if first == 0 and last == len(self):
            return self
        return self.slice(first, max(first, last))

    def last(self, count: int) -> Rows:
        """Return the newest ``count`` rows as views; all of them where there are fewer."""
        return self if count >= len(self) else self.slice(len(self) - max(0, count), len(self))

    def where(self, chosen: npt.NDArray[np.bool_]) -> Rows:
        """Return a copy of the rows for which ``chosen``, bool (T,), is true."""
        return Rows(
            self.time[chosen],
            self.open[chosen],
            self.high[chosen],
            self.low[chosen],
            self.close[chosen],
            self.volume[chosen],
        )


def joined(parts: Sequence[Rows]) -> Rows:
    """
    Return rows that follow each other as one.

    Raises
    ------
    DataError : a part does not begin after the one before it ends.
    """
    held = [part for part in parts if len(part)]
    if len(held) < 2:
        return held[0] if held else Rows.empty()
    for before, after in itertools.pairwise(held):
        if after.time[0] <= before.time[-1]:
            raise DataError(f"rows from {after.time[0]} were to follow rows up to {before.time[-1]}; merge them")
    return _concatenated(held)


def merged(older: Rows, newer: Rows) -> Rows:
    """
    Return the rows of both; where both have a time the row of ``newer`` stands.

    Nothing is copied where one of them is empty. Cost: O(n) copies; appends and replacements of a whole stretch take
    no search but of its two ends.
    """
    if not len(newer) or not len(older):
        return newer if len(newer) else older
    if newer.time[0] > older.time[-1]:
        return _concatenated([older, newer])
    first = int(older.time.searchsorted(newer.time[0]))
    last = int(older.time.searchsorted(newer.time[-1], side="right"))
    inside = older.slice(first, last)
    inside = _interleaved(inside, newer) if len(inside) else newer
    return _concatenated([older.slice(0, first), inside, older.slice(last, len(older))])


def _interleaved(older: Rows, newer: Rows) -> Rows:
    """Merge rows of which the older all lie within the newer ones' first and last time."""
    place = newer.time.searchsorted(older.time)
    kept = newer.time[place] != older.time  # place is never len(newer): the last of the newer ones is not before any
    if not kept.any():
        return newer
    older, place = older.where(kept), place[kept]
    size = len(older) + len(newer)
    of_older = place + np.arange(len(older))
    is_newer = np.ones(size, dtype=np.bool_)
    is_newer[of_older] = False
    time = np.empty(size, dtype=np.int64)
    time[of_older], time[is_newer] = older.time, newer.time
    prices = []
    for ours, theirs in zip(older.columns()[1:], newer.columns()[1:], strict=True):
        column = np.empty(size)
        column[of_older], column[is_newer] = ours, theirs
        prices.append(column)
    return Rows(time, *prices)


def _concatenated(parts: Sequence[Rows]) -> Rows:
    held = [part for part in parts if len(part)]
    if len(held) == 1:
        return held[0]
    time, *prices = map(np.concatenate, zip(*(part.columns() for part in held), strict=True))
    return Rows(time, *prices)
