"""Two sources of the same candles: what only one has, where they disagree, and clocks that are hours apart."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.analysis.quality_report import NO_TIME, Finding
from tradeutils.analysis.quality_rows import Rows
from tradeutils.analysis.quality_times import at_rows
from tradeutils.timeframe import Times

__all__ = ["Shift", "compare_rows", "shift_back", "shifts"]

_HOUR: Final = 3_600_000
_MOST_HOURS: Final = 24
_WINDOWS: Final = 64  # stretches of the first source that are looked at, evenly spread
_WINDOW_BARS: Final = 512
_LEAST_BARS: Final = 40  # moves that both must have for a correlation to say anything
_LEAST_MATCH: Final = 0.5  # correlation of the moves once the hours are right
_LEAST_LEAD: Final = 0.3  # and how much better than with the times as they are


class Shift(NamedTuple):
    """Rows ``[start, stop)`` of the first source stand ``hours`` later than the second has them."""

    start: int
    stop: int
    hours: int


def compare_rows(first: Rows, second: Rows, tolerance: float) -> list[Finding | None]:
    """
    Return what two sources of one symbol and timeframe do not agree on.

    Parameters
    ----------
    first, second : Rows
        By time, none twice.
    tolerance : float
        How far prices and volumes may lie apart, as a share of the larger.
    """
    found = shifts(first, second)
    aligned = shift_back(first, found)
    order = np.argsort(aligned.time, kind="stable")
    aligned = aligned.take(order)
    if not len(aligned) or not len(second):
        return [_no_overlap(first, second)]
    since, until = max(aligned.time[0], second.time[0]), min(aligned.time[-1], second.time[-1])
    if since > until:
        return [_no_overlap(first, second)]
    here = aligned.take((aligned.time >= since) & (aligned.time <= until))
    there = second.take((second.time >= since) & (second.time <= until))
    common, at_first, at_second = np.intersect1d(here.time, there.time, return_indices=True)
    price, volume = np.zeros((2, len(here)), dtype=np.bool_)
    worst = 0.0
    for name in ("open", "high", "low", "close", "volume"):
        apart = _apart(getattr(here, name)[at_first], getattr(there, name)[at_second])
        differs = apart > tolerance
        if name == "volume":
            volume[at_first] = differs
        else:
            price[at_first] |= differs
            worst = max(worst, float(apart.max(initial=0.0)))
    shown = "one is not finite" if np.isinf(worst) else f"by {100 * worst:.3g} % at most"
    only = ~np.isin(here.time, common), ~np.isin(there.time, common)
    return [
        _shifted(first, found),
        at_rows("only_first", here, only[0]),
        at_rows("only_second", there, only[1], detail="rows of the second"),
        at_rows("price_disagreement", here, price, detail=shown),
        at_rows("volume_disagreement", here, volume),
    ]


def _apart(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how far apart values are, as a share of the larger: 0 where both are unknown, inf where one is."""
    size = np.maximum(np.abs(a), np.abs(b))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        share = np.abs(a - b) / size
    return np.where(same, 0.0, np.where(np.isfinite(share), share, np.inf))


def _no_overlap(first: Rows, second: Rows) -> Finding:
    at = first if len(first) else second
    whole = np.ones(len(at), dtype=np.bool_)
    none = np.full(1, NO_TIME)
    nothing = Finding(
        kind="no_overlap",
        symbol=first.symbol,
        row=np.full(1, -1),
        bars=np.zeros(1, dtype=np.int64),
        since=none,
        until=none,
    )
    return at_rows("no_overlap", at, whole) or nothing


def _shifted(first: Rows, found: list[Shift]) -> Finding | None:
    wrong = [shift for shift in found if shift.hours]
    if not wrong:
        return None
    start = np.array([shift.start for shift in wrong])
    stop = np.array([shift.stop for shift in wrong])
    hours = ", ".join(dict.fromkeys(f"{shift.hours:+d} h" for shift in wrong))
    return Finding(
        kind="shifted", symbol=first.symbol, row=first.number[start], bars=stop - start, since=first.time[start],
        until=first.frame.shift(first.frame.floor(first.time[stop - 1]), 1), detail=hours,
    )  # fmt: skip


def shift_back(rows: Rows, found: list[Shift]) -> Rows:
    """Return rows with the times that the other source has, in their own order."""
    if not any(shift.hours for shift in found):
        return rows
    time = rows.time.copy()
    for shift in found:
        time[shift.start : shift.stop] -= shift.hours * _HOUR
    return replace(rows, time=time)


def shifts(first: Rows, second: Rows) -> list[Shift]:
    """
    Return by how many whole hours the first source is late, for all of its rows; nothing where that cannot be told.

    For up to 64 stretches of up to 512 bars the moves of the close are correlated with those of the second source at
    every shift of up to 24 hours that keeps to the grid. One is believed where the correlation is 0.5 or more and 0.3
    better than with the times as they are. Where stretches differ, as when one source keeps local time, the bar of the
    change is the one that leaves the smallest differences between both.
    """
    step = first.frame.ms
    if step is None or len(first) <= _LEAST_BARS or len(second) <= _LEAST_BARS:
        return []
    hours = [h for h in range(-_MOST_HOURS, _MOST_HOURS + 1) if h * _HOUR % step == 0]
    hours.sort(key=abs)
    ours, theirs = _moves(first, step), _moves(second, step)
    count = min(max(2 * len(first) // _WINDOW_BARS, 1), _WINDOWS)
    starts = np.unique(np.linspace(0, max(len(first) - _WINDOW_BARS, 0), count).astype(np.int64))
    told: list[tuple[int, int]] = []  # the middle of a stretch, and its hours
    for start in starts.tolist():
        stop = min(start + _WINDOW_BARS, len(first))
        best = _best(first.time[start:stop], ours[start:stop], second.time, theirs, hours)
        if best is not None:
            told.append(((start + stop) // 2, best))
    if not told:
        return []
    found, begin = [], 0
    for (left, before), (right, after) in itertools.pairwise(told):
        if before != after:
            turn = left + _turn(first.time[left:right], ours[left:right], second.time, theirs, before, after)
            found.append(Shift(begin, turn, before))
            begin = turn
    found.append(Shift(begin, len(first), told[-1][1]))
    return [shift for shift in found if shift.stop > shift.start]


def _moves(rows: Rows, step: int) -> npt.NDArray[np.float64]:
    """Return the log return to each bar from the one before it, NaN where that is not there."""
    good = np.isfinite(rows.close) & (rows.close > 0)
    close = np.log(np.where(good, rows.close, np.nan))
    moves = np.full(len(rows), np.nan)
    moves[1:] = np.where(np.diff(rows.time) == step, np.diff(close), np.nan)
    return moves


def _matched(
    time: Times, theirs_at: Times, theirs: npt.NDArray[np.float64], hours: int
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return the second source's move at each of our times, were ours ``hours`` late."""
    wanted = time - hours * _HOUR
    at = np.minimum(np.searchsorted(theirs_at, wanted), len(theirs_at) - 1)
    return np.where(theirs_at[at] == wanted, theirs[at], np.nan)


def _best(
    time: Times, ours: npt.NDArray[np.float64], theirs_at: Times, theirs: npt.NDArray[np.float64], hours: list[int]
) -> int | None:  # fmt: skip
    """Return the hours at which the moves match, ``None`` where none do."""
    scores = {h: _correlation(ours, _matched(time, theirs_at, theirs, h)) for h in hours}
    best = max(scores, key=lambda h: scores[h])
    if scores[best] < _LEAST_MATCH:
        return None
    return best if best == 0 or scores[best] >= max(scores[0], 0.0) + _LEAST_LEAD else 0


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < _LEAST_BARS:
        return 0.0
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else 0.0


def _turn(
    time: Times,
    ours: npt.NDArray[np.float64],
    theirs_at: Times,
    theirs: npt.NDArray[np.float64],
    before: int,
    after: int,
) -> int:
    """Return from which bar on ``after`` holds and not ``before``: where the differences left are the smallest."""
    apart = [np.abs(ours - _matched(time, theirs_at, theirs, hours)) for hours in (before, after)]
    unknown = np.isnan(apart[0]) | np.isnan(apart[1])  # says nothing for either; the bar after a jump is such a one
    first, then = (np.where(unknown, 0.0, one) for one in apart)
    left = np.r_[0.0, np.cumsum(first)] + np.r_[np.cumsum(then[::-1])[::-1], 0.0]
    return int(left.argmin())
