"""
Bars of a coarser timeframe from finer ones: one arithmetic for one symbol and for a panel.

Sums are added in order of time, one bar after the other, whatever the number of symbols, so that a panel gives the
bits that each of its symbols gives alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.errors import UsageError
from tradeutils.model.days import Day, Hours, day_of
from tradeutils.timeframe import Timeframe, Times

__all__ = ["Grid", "grid_of", "resampled"]

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
    UsageError : ``target`` is not made of whole bars of ``source``, or of whole days; a day begins or ends inside a
        bar.
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
    if coarse.ms is not None and coarse.ms > _DAY_MS and coarse.ms % _DAY_MS:
        raise UsageError(f"timeframe was {target!r}; of such days a bar is a part, or some whole ones: 4h, 1d, 2d, 1w")
    # Whole bars of the coarser timeframe on either side, so that each is known from its first day to its last.
    since, until = coarse.shift(coarse.floor(int(time[0])), -1), coarse.shift(coarse.floor(int(time[-1])), 2)
    hours = chosen.hours(since, until)
    at = np.searchsorted(hours.opens, time, side="right") - 1
    inside = time < hours.closes[at]
    if fine is not None:
        _check_whole(fine, time, at, hours, chosen)
    rows, at, time = rows[inside], at[inside], time[inside]
    if not len(time):
        return coarse, Grid(rows, rows, time, time)
    opens, ends = _bars(coarse, time, at, hours)
    starts = _starts(opens)
    return coarse, Grid(rows, starts, opens[starts], ends[starts])


def _starts(opens: Times) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])


def _check_whole(fine: Timeframe, time: Times, at: npt.NDArray[np.intp], hours: Hours, day: Day) -> None:
    """Refuse days that begin or end inside a bar: it would belong to two, or to what lies outside as well."""
    inside = time < hours.closes[at]
    used = hours.opens[np.unique(at[inside])]
    after = np.where(inside, hours.closes[at], hours.opens[at + 1])
    over = np.asarray(fine.shift(fine.floor(time), 1))
    cuts = over > after
    if day.closes is None:
        cuts &= ~np.isin(over, hours.opens)  # a bar of several whole days
    cut = np.append(used[np.asarray(fine.floor(used)) != used], after[cuts])
    if len(cut):
        moment = str(np.datetime64(int(cut[0]), "ms"))[11:16]
        span = f"{day.opens}-{day.closes or day.opens} {day.tz}"
        raise UsageError(
            f"the day {span} begins or ends at {moment} UTC, inside a bar of {fine}; resample from finer candles"
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


def resampled(
    time: Times,
    closed: npt.NDArray[np.bool_],
    columns: Mapping[str, _Array],
    frames: tuple[str, str],
    *,
    partial: bool,
    day: Day | str | None,
) -> tuple[str, dict[str, npt.NDArray[Any]]]:
    """
    Return the name of the coarser timeframe and its columns: ``time`` and ``closed`` (B,), the others (B, S).

    Parameters
    ----------
    columns : mapping of str to float64 array, (T, S)
        Open, high, low, close, volume.
    frames : tuple of str
        Timeframe of the rows, and that of the bars to be made.
    partial, day
        As for `Candles.resample`.

    Raises
    ------
    UsageError : as `grid_of`.
    """
    target, grid = grid_of(time, *frames, day)
    values = _columns_of(grid, columns)
    over = _closed_bars(grid, time, closed, frames[0])
    kept = np.ones(len(over), dtype=np.bool_)
    if values["close"].shape[1]:
        kept &= ~np.isnan(values["close"]).all(axis=1)
    if not partial and len(over):
        kept[0] &= grid.opens[0] >= time[0]
        kept[-1] &= over[-1]
    made: dict[str, npt.NDArray[Any]] = {"time": grid.opens, "closed": over, **values}
    if not kept.all():
        made = {name: column[kept] for name, column in made.items()}
    return target.name, made


def _closed_bars(grid: Grid, time: Times, closed: npt.NDArray[np.bool_], source: str) -> npt.NDArray[np.bool_]:
    """Return which bars are over, and made of closed candles only; ``time`` and ``closed`` are those of all rows."""
    if not len(grid.rows):
        return np.empty(0, dtype=np.bool_)
    # A bar is over even where its last candle is missing: a later one proves it, be it outside of trading hours.
    over = _timeframe.parse(source).next(int(time[-1])) >= grid.ends
    over[:-1] = True
    done: npt.NDArray[np.bool_] = over & np.logical_and.reduceat(closed[grid.rows], grid.starts)
    return done


def _columns_of(grid: Grid, columns: Mapping[str, _Array]) -> dict[str, _Array]:
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
    # Not by the sum of the four, which costs as much: that overflows, and infinities of both signs cancel out.
    priced = ~np.logical_or.reduce([np.isnan(taken[name]) for name in ("open", "high", "low", "close")])
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
    with np.errstate(over="ignore", invalid="ignore"):  # more than any number is infinity
        total = values[starts]
        if lengths.max() > total.size:
            # Few long bars, each by itself: the steps below took 9 s for two years of minutes, and this 20 ms.
            return np.stack([np.add.accumulate(values[a:b])[-1] for a, b in zip(starts, ends, strict=True)])
        for k in range(1, int(lengths.max())):
            longer = lengths > k
            if longer.all():
                total += values[starts + k]
            else:
                total[longer] += values[starts[longer] + k]
    return total
