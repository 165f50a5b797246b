"""The least squares line through the last bars: where it stands, how steep it is, and how well it fits."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.analysis.checks import bars, number
from tradeutils.analysis.prices import Data, Prices
from tradeutils.analysis.stored import over_stored
from tradeutils.indicators.arrays import Array
from tradeutils.model.stored import Executors

__all__ = ["Regression", "regression"]

_TIGHT: Final = 1e-6
"""Below this share of the variance, what the line leaves over is summed anew. The difference of variance and explained
variance has lost up to six of its fifteen digits there, and all of them on a perfect line."""

_AT_ONCE: Final = 1 << 16  # windows that are summed anew together: what is at work stays in the cache


class Regression(NamedTuple):
    """
    Lines through the last ``period`` closes. Each array is float64 (T,) or (T, S), NaN where unknown.

    Parameters
    ----------
    line : array
        Value of the line at the newest bar.
    slope : array
        Change of the line a bar, in units of price.
    slope_percent : array
        The same in per cent of the newest close (its absolute value); NaN where that is 0.
    r_squared : array
        Share of the variance that the line explains, 0 to 1; 0 where prices do not move.
    error : array
        Standard error of the estimate, in units of price: root of the squared distances from the line over
        ``period - 2``.
    delay : int
        Bars from what is reported to its report: 0.
    """

    line: Array
    slope: Array
    slope_percent: Array
    r_squared: Array
    error: Array
    delay: int

    def channel(self, deviations: float = 2.0) -> tuple[Array, Array]:
        """Return the lower and the upper edge at the newest bar: the line less, and plus, so many standard errors."""
        with np.errstate(over="ignore", invalid="ignore"):  # of prices near the largest float64
            reach = number("deviations", deviations, 0.0) * self.error
            return self.line - reach, self.line + reach


@over_stored()
def regression(data: Data, period: int = 20, *, executor: Executors | None = None) -> Regression:
    """
    Fit a line to the last ``period`` closes, at each bar.

    Causal, with a delay of 0 bars: a value depends on its bar and the ``period - 1`` before it.

    Parameters
    ----------
    data : Candles, Panel, mapping of arrays with close, or array of closes, shape (T,) or (T, S)
        Oldest first. NaN and infinity are missing values.
    period : int
        Bars the line goes through, 3 to 100,000.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    Regression
        Unknown in the first ``period - 1`` bars, and where one of the ``period`` closes is missing.

    Raises
    ------
    UsageError : data of another kind or shape, or ``period`` out of its range.

    Notes
    -----
    Sums are taken of distances from a price inside the window, and none is carried beyond it, so offsets cost no
    digits and nothing drifts: against exact arithmetic, on prices of 1e-8 to 1e7 that move by 1e-10 to 0.3 of
    themselves, ``r_squared`` is within 1e-12, ``error`` within 1e-8 of itself or 1e-14 of the window's range, a perfect
    line included, and ``slope`` within 1e-14 of that range. Costs about 25 ns a bar on one core, whatever the period;
    windows that a line fits to a part in a million cost 15 ns more for each of their bars.

    References
    ----------
    Ordinary least squares over bars 0 .. period - 1. ``slope`` and ``line`` are TA-Lib's ``LINEARREG_SLOPE`` and
    ``LINEARREG``.

    Examples
    --------
    >>> import numpy as np
    >>> found = regression(np.array([1.0, 2.0, 4.0, 5.0]), 3)
    >>> found.slope.tolist()
    [nan, nan, 1.5, 1.5]
    >>> found.r_squared.round(4).tolist()
    [nan, nan, 0.9643, 0.9643]
    """
    count = bars("period", period, lowest=3)
    prices = Prices(data)
    close = prices.column("close")
    line, slope, variance = prices.compute(f"linearreg:{count}", f"linearreg_slope:{count}", f"var:{count}")
    with np.errstate(all="ignore"):
        left = variance - slope * slope * ((float(count) * count - 1.0) / 12.0)
        tight = left < _TIGHT * variance
        if tight.any():
            _sum_anew(close, tight, count, left, variance)
        moved = variance > 0.0
        r_squared = np.where(moved, 1.0 - left / variance, variance * 0.0)
        error = np.sqrt(left * (count / (count - 2.0)))
        percent = 100.0 * slope / np.abs(close)
        percent[close == 0.0] = np.nan
    return Regression(line, slope, percent, np.clip(r_squared, 0.0, 1.0, out=r_squared), error, 0)


def _sum_anew(close: Array, where: npt.NDArray[np.bool_], period: int, left: Array, variance: Array) -> None:
    """Put the exact mean squared distance from the line, and from the mean, where a line fits nearly perfectly."""
    # By bars in turn, not by windows: a sum over an axis adds in another order where there is one window alone, and
    # the last digit must not depend on what else is at hand.
    places = np.nonzero(where)
    middle, spread = 0.5 * (period - 1), period * (float(period) * period - 1.0) / 12.0
    for start in range(0, len(places[0]), _AT_ONCE):
        rows, *columns = (axis[start : start + _AT_ONCE] for axis in places)
        newest = close[(rows, *columns)]
        total, moment = np.zeros(len(rows)), np.zeros(len(rows))
        for back in range(period):
            away = close[(rows - back, *columns)] - newest
            total += away
            moment += (middle - back) * away
        mean, slope = total / period, moment / spread
        from_line, from_mean = np.zeros(len(rows)), np.zeros(len(rows))
        for back in range(period):
            away = close[(rows - back, *columns)] - newest - mean
            from_mean += away * away
            away -= slope * (middle - back)
            from_line += away * away
        left[(rows, *columns)], variance[(rows, *columns)] = from_line / period, from_mean / period
