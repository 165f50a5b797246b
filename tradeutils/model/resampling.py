"""
Bars of a coarser timeframe from finer ones: one arithmetic for one symbol and for a panel.

Sums are added in order of time, one bar after the other, whatever the number of symbols, so that a panel gives the
bits that each of its symbols gives alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.errors import UsageError
from tradeutils.model.days import Day, Hours, day_of
from tradeutils.timeframe import Timeframe, Times

__all__ = ["Grid", "closed_bars", "columns_of", "grid_of"]

_Array = npt.NDArray[np.float64]
_DAY_MS: Final = 86_400_000


class Grid(NamedTuple):
    """
    The bars that some rows make up.

    ``rows`` are those that lie in one, int64 (N,); ``starts`` where among them each bar begins (B,); ``opens`` and
    ``ends`` ms UTC when each bar opens and is over (B,).
    """

    rows: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    opens: Times
    ends: Times


def grid_of(time: Times, source: str | None, target: str, day: Day | str | None) -> tuple[Timeframe, Grid]:
    """
    Return the target timeframe, and which rows make up which of its bars.

    Parameters
    ----------
    time : int64 array, (T,)
        Rising.
    source : str or None
        Timeframe of the rows; ``None``: each is a moment.

    Raises
    ------
    UsageError : ``target`` is not made of whole bars of ``source``; a day or its end lies inside a bar.
    """
    fine = None if source is None else _timeframe.parse(source)
    coarse, chosen = _timeframe.parse(target), day_of(day)
    if fine is not None and not fine.divides(coarse):
        raise UsageError(f"timeframe was {target!r}; {source} candles make up only multiples of {fine}")
    rows = np.arange(len(time))
    if not len(time):
        return coarse, Grid(rows, rows, time, time)
    if chosen.is_utc:
        opens = np.asarray(coarse.floor(time))
        starts = _starts(opens)
        return coarse, Grid(rows, starts, opens[starts], np.asarray(coarse.shift(opens[starts], 1)))
    # Whole bars of the coarser timeframe on either side, so that each is known from its first day to its last.
    since, until = coarse.shift(coarse.floor(int(time[0])), -1), coarse.shift(coarse.floor(int(time[-1])), 2)
    hours = chosen.hours(since, until)
    at = np.searchsorted(hours.opens, time, side="right") - 1
    inside = time < hours.closes[at]
    rows, at, time = rows[inside], at[inside], time[inside]
    if not len(time):
        return coarse, Grid(rows, rows, time, time)
    if fine is not None:
        _check_whole(fine, hours, at, chosen)
    opens, ends = _bars(coarse, time, at, hours)
    starts = _starts(opens)
    return coarse, Grid(rows, starts, opens[starts], ends[starts])


def _starts(opens: Times) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])


def _check_whole(fine: Timeframe, hours: Hours, at: npt.NDArray[np.intp], day: Day) -> None:
    """Refuse days whose open lies inside a bar: that bar would belong to two."""
    used = hours.opens[np.unique(at)]
    cut = used[np.asarray(fine.floor(used)) != used]
    if len(cut):
        moment = str(np.datetime64(int(cut[0]), "ms"))[11:16]
        raise UsageError(
            f"the day opens at {day.opens} {day.tz}, {moment} UTC, inside a bar of {fine}; resample from finer candles"
        )


def _bars(coarse: Timeframe, time: Times, at: npt.NDArray[np.intp], hours: Hours) -> tuple[Times, Times]:
    """Return for each row when its bar opens and is over; ``at`` is the day of each."""
    if coarse.ms is not None and coarse.ms < _DAY_MS:
        # Counted from the open of the day, so that no bar reaches from one day into the next.
        opened = hours.opens[at]
        opens = opened + (time - opened) // coarse.ms * coarse.ms
        return opens, np.minimum(opens + coarse.ms, hours.closes[at])
    # Longer bars are made of whole days, by their dates.
    bar_of_day = np.asarray(coarse.floor(hours.dates * _DAY_MS))
    first = np.searchsorted(bar_of_day, bar_of_day[at], side="left")
    last = np.searchsorted(bar_of_day, bar_of_day[at], side="right") - 1
    return hours.opens[first], hours.closes[last]


def closed_bars(grid: Grid, time: Times, closed: npt.NDArray[np.bool_], source: str) -> npt.NDArray[np.bool_]:
    """Return which bars are over, and made of closed candles only; ``time`` and ``closed`` are those of all rows."""
    if not len(grid.rows):
        return np.empty(0, dtype=np.bool_)
    fine, time = _timeframe.parse(source), time[grid.rows]
    last = np.r_[grid.starts[1:], len(time)] - 1
    over = np.asarray(fine.shift(fine.floor(time[last]), 1)) >= grid.ends
    # A bar in the past is over even where its last candle is missing: a later candle proves it.
    over[:-1] = True
    done: npt.NDArray[np.bool_] = over & np.logical_and.reduceat(closed[grid.rows], grid.starts)
    return done


def columns_of(grid: Grid, columns: Mapping[str, _Array]) -> dict[str, _Array]:
    """
    Return open, high, low, close and volume of each bar, (B, S).

    Parameters
    ----------
    columns : mapping of str to float64 array, (T, S)
        Candles without a price (NaN) are left out, and a bar of none but those is NaN; one without a volume makes
        the sum unknown.
    """
    taken = {name: values if len(grid.rows) == len(values) else values[grid.rows] for name, values in columns.items()}
    if not len(grid.rows):
        return taken
    starts, ends = grid.starts, np.r_[grid.starts[1:], len(grid.rows)]
    priced = ~np.isnan(taken["open"] + taken["high"] + taken["low"] + taken["close"])
    if priced.all():
        return {
            "open": taken["open"][starts],
            "high": np.maximum.reduceat(taken["high"], starts, axis=0),
            "low": np.minimum.reduceat(taken["low"], starts, axis=0),
            "close": taken["close"][ends - 1],
            "volume": _sums(taken["volume"], starts, ends),
        }
    row = np.arange(len(priced))[:, np.newaxis]
    first = np.minimum.reduceat(np.where(priced, row, len(priced) - 1), starts, axis=0)
    last = np.maximum.reduceat(np.where(priced, row, 0), starts, axis=0)
    made = {
        "open": np.take_along_axis(taken["open"], first, axis=0),
        "high": np.maximum.reduceat(np.where(priced, taken["high"], -np.inf), starts, axis=0),
        "low": np.minimum.reduceat(np.where(priced, taken["low"], np.inf), starts, axis=0),
        "close": np.take_along_axis(taken["close"], last, axis=0),
        "volume": _sums(np.where(priced, taken["volume"], 0.0), starts, ends),
    }
    nothing = ~np.logical_or.reduceat(priced, starts, axis=0)
    for values in made.values():
        values[nothing] = np.nan
    return made


def _sums(values: _Array, starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]) -> _Array:
    """
    Return the sum of each bar, added in order of time.

    Not ``np.add.reduceat``: it adds in pairs where there is one symbol and in order where there are several.
    """
    lengths = ends - starts
    total = values[starts]
    for k in range(1, int(lengths.max())):
        longer = lengths > k
        if longer.all():
            total += values[starts + k]
        else:
            total[longer] += values[starts[longer] + k]
    return total
