"""What can be wrong with the prices and volumes of candles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.analysis.quality_report import Finding, runs, span_of
from tradeutils.analysis.quality_rows import Rows
from tradeutils.analysis.quality_times import Mask, at_rows
from tradeutils.errors import UsageError
from tradeutils.timeframe import Times

__all__ = ["Limits", "bad_volume", "check_runs", "check_values", "high_below_body", "low_above_body", "spikes"]

_MOVES: Final = 32  # moves whose median is one measure of what is usual
_MEASURES: Final = 8  # measures of which the greatest counts
_TO_DEVIATION: Final = 1.4826  # from a median of moves to the standard deviation of normal ones
_COMES_BACK: Final = 0.3  # what may be left of a spike once it has come back, as a share of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    From where on a thing counts as found.

    Parameters
    ----------
    frozen_bars : int
        Bars in a row with the same four prices that make a frozen feed; >= 2. Trades at one price for 13 minutes
        are recorded of a real market.
    copied_bars : int
        The same, where the volume is repeated too: rows that were copied; >= 2.
    idle_bars : int
        Bars in a row without a trade that are told; >= 1.
    spike : float
        How many times the usual move a close must leap, and come back at the next bar, to be a spike; > 0.
    wick : float
        How many times the usual move a high or low must lie beyond the closes of its bar and the one before; > 0.
    """

    frozen_bars: int = 20
    copied_bars: int = 5
    idle_bars: int = 10
    spike: float = 25.0
    wick: float = 60.0

    def __post_init__(self) -> None:
        for name, least in (("frozen_bars", 2), ("copied_bars", 2), ("idle_bars", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise UsageError(f"{name} was {value!r}; write a number of bars from {least}")
        for name in ("spike", "wick"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not value > 0:
                raise UsageError(f"{name} was {value!r}; write how many times the usual move, as in 25.0")


def check_values(rows: Rows) -> list[Finding | None]:
    """Return what is wrong with each row by itself."""
    prices = np.stack((rows.open, rows.high, rows.low, rows.close))
    finite = np.isfinite(prices)
    return [
        at_rows("not_finite", rows, np.logical_or.reduce(~finite)),
        at_rows("not_positive", rows, np.logical_or.reduce((prices <= 0) & finite)),
        at_rows("high_below_body", rows, high_below_body(rows)),
        at_rows("low_above_body", rows, low_above_body(rows)),
        at_rows("bad_volume", rows, bad_volume(rows)),
        at_rows("unknown_volume", rows, np.isnan(rows.volume)),
    ]


def high_below_body(rows: Rows) -> Mask:
    """Return the rows whose high is below their open or close, all prices being finite and above zero."""
    below: Mask = rows.high < np.maximum(rows.open, rows.close)
    return below & rows.priced() if below.any() else below


def low_above_body(rows: Rows) -> Mask:
    """Return the rows whose low is above their open or close, all prices being finite and above zero."""
    above: Mask = rows.low > np.minimum(rows.open, rows.close)
    return above & rows.priced() if above.any() else above


def bad_volume(rows: Rows) -> Mask:
    """Return the rows whose volume is negative or infinite."""
    bad: Mask = (rows.volume < 0) | np.isinf(rows.volume)
    return bad


def check_runs(ordered: Rows, limits: Limits, others_move: Mask | None = None) -> list[Finding | None]:
    """
    Return what is wrong with rows one after another.

    Parameters
    ----------
    ordered : Rows
        By time, none twice.
    others_move : bool array, shape of the data as given, optional
        Where another symbol's close changed: tells a feed of unknown volume that stands still from a quiet market.
    """
    good = ordered.priced()
    rows = ordered if good.all() else ordered.take(good)
    idle_start, idle_stop = runs(ordered.volume == 0)
    long = idle_stop - idle_start >= limits.idle_bars
    return [
        _at_runs("zero_volume", ordered, idle_start[long], idle_stop[long]),
        _frozen(rows, limits, others_move),
        at_rows("spike", ordered, spikes(ordered, limits)),
    ]


def _at_runs(kind: str, rows: Rows, start: Times, stop: Times) -> Finding | None:
    """Return a finding of runs that may touch each other."""
    if not len(start):
        return None
    since, until = span_of(rows.time, start, stop, rows.frame)
    return Finding(
        kind=kind, symbol=rows.symbol, row=rows.number[start], bars=stop - start, since=since, until=until
    )  # fmt: skip


def _frozen(rows: Rows, limits: Limits, others_move: Mask | None) -> Finding | None:
    """
    Return the runs of bars with the same four prices that a market does not explain.

    A bar in which nothing was traded at one price is explained (`zero_volume` tells it); where the volume is not
    known, it is too if the other symbols of the panel stand still with it.
    """
    if len(rows) < 2:
        return None
    same = np.logical_and.reduce([x[1:] == x[:-1] for x in (rows.open, rows.high, rows.low, rows.close)])
    start, stop = runs(same)
    stop = stop + 1  # a run of n repeats is n + 1 bars
    long = stop - start >= min(limits.frozen_bars, limits.copied_bars)
    start, stop = start[long], stop[long]
    if not len(start):
        return None
    traded = _any_in(rows.volume > 0, start, stop) | (rows.high[start] > rows.low[start])
    unknown = _any_in(np.isnan(rows.volume), start, stop)
    if others_move is not None:
        unknown &= _any_in(others_move[rows.number], start + 1, stop)
    whole = (stop - start >= limits.frozen_bars) & (traded | unknown)
    copied_start, copied_stop = runs(same & (rows.volume[1:] == rows.volume[:-1]) & (rows.volume[1:] > 0))
    copied_stop = copied_stop + 1
    copied = copied_stop - copied_start >= limits.copied_bars
    outer = np.searchsorted(start[whole], copied_start, side="right") - 1
    if whole.any():
        copied &= ~((outer >= 0) & (copied_stop <= stop[whole][np.maximum(outer, 0)]))
    start, stop = np.r_[start[whole], copied_start[copied]], np.r_[stop[whole], copied_stop[copied]]
    order = np.argsort(start, kind="stable")
    return _at_runs("frozen", rows, start[order], stop[order])


def _any_in(mask: Mask, start: Times, stop: Times) -> Mask:
    """Tell for each of the runs whether any row of it is in ``mask``."""
    total = np.r_[0, np.cumsum(mask)]
    there: Mask = total[stop] > total[start]
    return there


def spikes(ordered: Rows, limits: Limits) -> Mask:
    """
    Return the bars with a price that leapt and came back at once.

    The usual move is the median size of 32 moves of the close (bars that did not move are not counted), times 1.4826
    as for a standard deviation; of the eight last such medians before a bar the greatest counts. The first 32 moves
    are judged by their own median, once they are there. A close is a spike where the log return to it and the one from
    it both exceed ``limits.spike`` usual moves, in opposite directions, and what is left of the way, taken together, is
    less than 0.3 of the smaller. A high (low) is one where it lies more than ``limits.wick`` usual moves beyond the
    closes of its bar and of the bar before. A fall that stays, or takes more than a bar to come back, is none.
    """
    found = np.zeros(len(ordered), dtype=np.bool_)
    good = ordered.priced()
    rows = ordered if good.all() else ordered.take(good)
    close = np.log(rows.close)
    move = np.diff(close)
    usual = _usual_move(move)
    if usual is None:
        return found
    there, back = move[:-1], move[1:]
    size = np.minimum(np.abs(there), np.abs(back))
    leapt = (there * back < 0) & (size > limits.spike * usual[:-1]) & (np.abs(there + back) < _COMES_BACK * size)
    above = np.log(rows.high[1:]) - np.maximum(close[1:], close[:-1])
    below = np.minimum(close[1:], close[:-1]) - np.log(rows.low[1:])
    hit = np.maximum(above, below) > limits.wick * usual
    hit[:-1] |= leapt
    found[np.flatnonzero(good)[1:][hit]] = True
    return found


def _usual_move(move: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """
    Return the usual move at each move; ``None`` where there are too few to tell.

    Measured block by block: a median that slides takes 0.9 s for a million moves, and this 0.015 s. Only moves before
    count, so that later bars change nothing, and none that is zero, so that a filled gap changes nothing either.
    """
    size = np.abs(move)
    moved = size > 0
    moves = size[moved]
    blocks = len(moves) // _MOVES
    if not blocks:
        return None
    medians = np.median(moves[: blocks * _MOVES].reshape(blocks, _MOVES), axis=1)
    padded = np.r_[np.zeros(_MEASURES - 1), medians]
    greatest = np.lib.stride_tricks.sliding_window_view(padded, _MEASURES).max(axis=1)
    whole = (np.cumsum(moved) - moved) // _MOVES  # blocks that are whole before each move
    usual: npt.NDArray[np.float64] = _TO_DEVIATION * greatest[np.clip(whole - 1, 0, blocks - 1)]
    return usual
