"""Closes beyond the range of the bars before, and those that fall back into it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from tradeutils import indicators
from tradeutils.analysis.checks import bars, number
from tradeutils.analysis.pivots import Flags, Places
from tradeutils.analysis.prices import Codes, Data, Prices, before
from tradeutils.analysis.series import matrix
from tradeutils.analysis.stored import over_stored
from tradeutils.indicators.arrays import Array
from tradeutils.model.stored import Executors

__all__ = ["Breakout", "Breakouts", "breakouts"]


class Breakout(IntEnum):
    """Codes of :func:`breakouts`: below the range, none, above the range."""

    DOWN = -1
    NONE = 0
    UP = 1


class Breakouts(NamedTuple):
    """
    Breakouts, and failures of them, each at the bar at which it happens.

    Parameters
    ----------
    code : int8 array, shape (T,) or (T, S)
        Members of :class:`Breakout`: which way this bar breaks out.
    upper, lower : float64 array, of the same shape
        What a close must be beyond to break out at this bar, the buffer included; NaN where unknown.
    failed : int8 array, of the same shape
        Which way the breakout went that fails at this bar; NONE where none does.
    failed_from : int64 array, of the same shape
        Row of that breakout; -1 where none fails.
    delay : int
        Bars from what is reported to its report: 0, of a breakout and of a failure.
    """

    code: Codes
    upper: Array
    lower: Array
    failed: Codes
    failed_from: Places
    delay: int


@over_stored()
def breakouts(
    data: Data,
    period: int = 20,
    *,
    buffer: float = 0.0,
    atr: int = 14,
    volume: float | None = None,
    volume_period: int = 20,
    fail_within: int = 5,
    nan: str = "restart",
    executor: Executors | None = None,
) -> Breakouts:
    """
    Find closes beyond the range of the ``period`` bars before, and breakouts that fail.

    A bar breaks out upwards if its close is above the highest high of the ``period`` bars before it, by more than
    ``buffer`` times the ATR of the bar before; downwards, below the lowest low. Each bar of which this is so is a
    breakout, so a long move is many.

    A breakout fails at the first of the ``fail_within`` bars after it whose close is back inside, below the high that
    was broken (above the low), the buffer left out. A new breakout the same way takes the place of the one before,
    which can then no longer fail.

    Causal, with a delay of 0 bars: a breakout is reported at the bar that closes beyond, a failure at the bar that
    closes back inside; neither changes what was reported before.

    Parameters
    ----------
    data : Candles, Panel, mapping of arrays with high, low and close, or array of closes, shape (T,) or (T, S)
        Oldest first. NaN and infinity are missing values. Of closes, high and low are the close.
    period : int
        Bars whose range it is, this one not among them, >= 1.
    buffer : float
        In ATRs, >= 0.
    atr : int
        Period of the ATR, read only where there is a buffer.
    volume : float, optional
        Confirm by volume: at least so many times the mean of the ``volume_period`` bars before, this one not among
        them. Needs data with a volume. Default: not asked.
    volume_period : int
        Bars in that mean.
    fail_within : int
        Bars after a breakout in which it can fail; 0 for none.
    nan : str
        What the ATR does at a missing bar: ``"restart"``, ``"propagate"`` or ``"hold"``; see
        :class:`tradeutils.Indicators`.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    Breakouts
        None where one of the ``period`` bars before is missing, or the ATR or mean volume that is asked for unknown.

    Raises
    ------
    UsageError : data of another kind or shape or without a column that is needed, or a parameter out of its range.
    UnknownName : no such ``nan``.

    Notes
    -----
    Costs about 80 ns a bar on one core, and more the longer breakouts are watched.

    References
    ----------
    The range is Donchian's channel, moved by a bar.

    Examples
    --------
    >>> import numpy as np
    >>> found = breakouts(np.array([10.0, 11.0, 10.5, 12.0, 10.8]), 3)
    >>> found.code.tolist(), found.failed.tolist(), found.failed_from[4]
    ([0, 0, 0, 1, 0], [0, 0, 0, 0, 1], np.int64(3))
    """
    count, length = bars("period", period), bars("atr", atr)
    share, watched = number("buffer", buffer, 0.0), bars("fail_within", fail_within, lowest=0)
    prices = Prices(data, nan=nan)
    close = prices.column("close")
    top = before(indicators.rolling_max(prices.column("high"), count))
    bottom = before(indicators.rolling_min(prices.column("low"), count))
    upper, lower = top, bottom
    if share > 0.0:
        with np.errstate(over="ignore", invalid="ignore"):  # of prices near the largest float64
            reach = before(prices.compute(f"atr:{length}")[0]) * share
            upper, lower = top + reach, bottom - reach
    up, down = close > upper, close < lower
    if volume is not None:
        times, period_of = number("volume", volume, 0.0), bars("volume_period", volume_period)
        confirmed = prices.compute(f"rvol:{period_of}")[0] >= times
        up &= confirmed
        down &= confirmed
    failed, failed_from = np.zeros(close.shape, np.int8), np.full(close.shape, np.int64(-1))
    for broken, edge, way in ((up, top, Breakout.UP), (down, bottom, Breakout.DOWN)):
        for rows, columns, origins in _failures(matrix(broken), matrix(edge), matrix(close), watched, way):
            matrix(failed)[rows, columns], matrix(failed_from)[rows, columns] = way, origins
    code = up.astype(np.int8)
    code -= down
    return Breakouts(code, upper, lower, failed, failed_from, 0)


def _failures(
    broken: Flags, edge: Array, close: Array, watched: int, way: Breakout
) -> Iterator[tuple[Places, Places, Places]]:
    """Yield rows and columns of the bars at which breakouts fail, and the rows of these breakouts."""
    column, row = np.nonzero(broken.T)
    # A breakout is watched up to the bar of the next one of its symbol, which may be the bar it fails at.
    last = np.full(len(row), len(broken) - 1)
    last[:-1] = np.where(column[:-1] == column[1:], row[1:], last[:-1])
    level = edge[row, column]
    for after in range(1, watched + 1):
        going = row + after <= last
        row, column, last, level = row[going], column[going], last[going], level[going]
        if not len(row):
            return
        now = close[row + after, column]
        inside = now < level if way == Breakout.UP else now > level
        yield row[inside] + after, column[inside], row[inside]
        row, column, last, level = row[~inside], column[~inside], last[~inside], level[~inside]
