"""Pivots: bars that stand above, or below, the bars on both sides of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils import indicators
from tradeutils.analysis.checks import bars
from tradeutils.indicators.arrays import Array, as_prices, check_shapes

__all__ = ["Flags", "Pivots", "Places", "pivots"]

Flags: TypeAlias = npt.NDArray[np.bool_]
"""Whether something is so at each bar: bool (T,) or (T, S)."""

Places: TypeAlias = npt.NDArray[np.int64]
"""Rows of the data that each bar points to: int64 (T,) or (T, S), -1 where it points to none."""


class Pivots(NamedTuple):
    """
    Pivots, each at the bar that confirms it: ``delay`` bars after the pivot itself.

    Parameters
    ----------
    high, low : bool array, shape (T,) or (T, S)
        True at a bar that confirms a pivot high, or a pivot low. Both may be confirmed at one bar.
    high_at, low_at : int64 array, of the same shape
        The row of the pivot, which is ``delay`` before the bar; -1 where the bar confirms none.
    delay : int
        Bars from a pivot to its confirmation: ``right``.
    """

    high: Flags
    high_at: Places
    low: Flags
    low_at: Places
    delay: int


def pivots(high: Any, low: Any, left: int = 5, right: int = 5) -> Pivots:
    """
    Find pivot highs and lows.

    A pivot high is a bar whose high is at least that of each of the ``left`` bars before it and above that of each of
    the ``right`` bars after it; a pivot low is the same upside down. So of equal highs side by side the last is the
    pivot, and there is one pivot for each top. Nothing is known of a pivot before ``right`` bars have come after it,
    and it is reported there: the confirmation delay is ``right`` bars, and no later bar changes what was reported.

    Parameters
    ----------
    high, low : array-like of float64, shape (T,) or (T, S), of one shape
        Highest and lowest price of each bar, oldest first. NaN and infinity are missing values.
    left : int
        Bars before, >= 1.
    right : int
        Bars after, >= 1.

    Returns
    -------
    Pivots
        Of the shape of ``high``. None is reported where one of the ``left + 1 + right`` highs (or lows) it takes is
        missing; highs and lows are judged apart.

    Raises
    ------
    UsageError : not numbers, shapes that differ or are neither (T,) nor (T, S), ``left`` or ``right`` out of range.

    Notes
    -----
    Costs about 20 ns a bar on one core, whatever ``left`` and ``right``.

    Examples
    --------
    >>> found = pivots([1, 2, 5, 3, 2], [0, 1, 4, 2, 1], left=2, right=1)
    >>> found.high.tolist(), found.high_at.tolist()
    ([False, False, False, True, False], [-1, -1, -1, 2, -1])
    """
    tops, bottoms = as_prices(high, "high"), as_prices(low, "low")
    check_shapes([tops, bottoms], ["high", "low"])
    before, after = bars("left", left), bars("right", right)
    highest, lowest = indicators.rolling_max, indicators.rolling_min
    high_found = _confirmed(tops, highest(tops, before + 1), highest(tops, after), after, np.greater)
    low_found = _confirmed(bottoms, lowest(bottoms, before + 1), lowest(bottoms, after), after, np.less)
    return Pivots(high_found, _places(high_found, after), low_found, _places(low_found, after), after)


def _confirmed(values: Array, before: Array, after: Array, right: int, beyond: Callable[..., Flags]) -> Flags:
    """Say which bars confirm a pivot ``right`` bars earlier; the windows ``before`` and ``after`` end at each bar."""
    found = np.zeros(values.shape, np.bool_)
    rows = len(values) - right
    if rows > 0:
        # The extreme of a window with a missing value is NaN, and so is neither equal nor passed.
        np.equal(values[:rows], before[:rows], out=found[right:])
        found[right:] &= beyond(values[:rows], after[right:])
    return found


def _places(found: Flags, right: int) -> Places:
    rows = np.arange(len(found), dtype=np.int64) - right
    return np.where(found, rows.reshape(-1, *[1] * (found.ndim - 1)), np.int64(-1))
