"""Pivot points: levels for a session, made of the range and the close of the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from tradeutils.analysis.pivots import Flags
from tradeutils.analysis.prices import Prices
from tradeutils.analysis.series import matrix
from tradeutils.analysis.sessions import Sessions, sessions_of
from tradeutils.analysis.stored import over_stored
from tradeutils.errors import UnknownName
from tradeutils.indicators.arrays import Array
from tradeutils.model import Candles, Panel
from tradeutils.model.days import Day
from tradeutils.model.stored import Executors

__all__ = ["METHODS", "PivotPoints", "pivot_points"]


class PivotPoints(NamedTuple):
    """
    Pivot points at each bar.

    Parameters
    ----------
    pivot : float64 array, shape (T,) or (T, S)
        The pivot, (high + low + close) / 3 of the session before; NaN where that is not known.
    resistances, supports : tuple of float64 arrays, of the same shape
        R1, R2 ... and S1, S2 ...: three of each, of Camarilla four.
    delay : int
        0: all are known from the open of the session on.
    """

    pivot: Array
    resistances: tuple[Array, ...]
    supports: tuple[Array, ...]
    delay: int


@over_stored()
def pivot_points(
    data: Candles | Panel,
    session: str = "1d",
    *,
    method: str = "floor",
    day: Day | str | None = None,
    executor: Executors | None = None,
) -> PivotPoints:
    """
    Return the pivot points of each session, made of the high, low and close of the session before.

    With H, L and C of the session before, and P = (H + L + C) / 3:

    - ``"floor"``: R1 = 2 P - L, R2 = P + (H - L), R3 = H + 2 (P - L); S1 = 2 P - H, S2 = P - (H - L),
      S3 = L - 2 (H - P).
    - ``"fibonacci"``: P + and - 0.382, 0.618 and 1 times (H - L).
    - ``"camarilla"``: C + and - 1.1 / 12, 1.1 / 6, 1.1 / 4 and 1.1 / 2 times (H - L).

    The session before is the last one in which the symbol has a bar, whether yesterday or before a weekend.

    Causal, with a delay of 0 bars: the points of a session are known before its first bar, and no later bar changes
    them.

    Parameters
    ----------
    data : Candles or Panel
        Oldest first. NaN and infinity are missing values; a bar of which high, low or close is missing is left out.
    session : str
        A timeframe: ``"1d"``, ``"1w"``, ``"1M"``.
    method : str
        ``"floor"``, ``"fibonacci"`` or ``"camarilla"``.
    day : Day or str, optional
        When a day begins, and for hours of trading when it ends, as for ``Candles.resample``:
        ``"17:00 America/New_York"``. Bars outside have no pivot points.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    PivotPoints
        NaN in the first session, and in the second where the first bar of the first is not there.

    Raises
    ------
    UsageError : the data is neither, ``session`` is not made of whole bars, or a day begins inside a bar.
    UnknownName : no such timeframe or method.

    Examples
    --------
    >>> import numpy as np
    >>> columns = {"open": [10, 11], "high": [12, 12], "low": [9, 10], "close": [12, 11], "volume": [1, 1]}
    >>> candles = Candles(symbol="BTC/USDT", timeframe="1d", time=np.array([0, 86_400_000]), **columns)
    >>> found = pivot_points(candles)
    >>> found.pivot.tolist(), [values[1].item() for values in found.resistances]
    ([nan, 11.0], [13.0, 14.0, 16.0])
    """
    if method not in METHODS:
        raise UnknownName("method", method, tuple(METHODS))
    found = sessions_of(data, session, day)
    prices = Prices(data)
    high, low, close = (matrix(prices.column(name)) for name in ("high", "low", "close"))
    there = ~(np.isnan(high) | np.isnan(low) | np.isnan(close)) & (found.number >= 0)[:, np.newaxis]
    with np.errstate(over="ignore", invalid="ignore"):  # prices near the largest number make none
        pivot, resistances, supports = METHODS[method](*_before(found, there, high, low, close))

    def spread(values: Array) -> Array:
        """Return for each bar what its session has; a bar outside of all takes the last row, which is added."""
        known = np.where(np.isfinite(values), values, np.nan)
        made: Array = np.vstack([known, np.full((1, known.shape[1]), np.nan)])[found.number]
        return made.reshape(prices.shape)

    return PivotPoints(spread(pivot), tuple(map(spread, resistances)), tuple(map(spread, supports)), 0)


def _before(found: Sessions, there: Flags, high: Array, low: Array, close: Array) -> tuple[Array, Array, Array]:
    """Return the high, low and close of the session before each, NaN where there is none or not all of it."""
    if not len(found.starts):
        return high[:0], low[:0], close[:0]
    row = np.arange(len(there))[:, np.newaxis]
    # Bars between two sessions are not there, and so do not count for the first.
    last = np.maximum.reduceat(np.where(there, row, -1), found.starts, axis=0)
    highest = np.maximum.reduceat(np.where(there, high, -np.inf), found.starts, axis=0)
    lowest = np.minimum.reduceat(np.where(there, low, np.inf), found.starts, axis=0)
    closing = np.take_along_axis(close, np.maximum(last, 0), axis=0)
    whole = last >= 0
    whole[:1] &= found.begun
    number = np.arange(len(last))[:, np.newaxis]
    before = np.full(last.shape, -1)
    before[1:] = np.maximum.accumulate(np.where(whole, number, -1), axis=0)[:-1]
    at = np.maximum(before, 0)
    high_before, low_before, close_before = (
        np.where(before >= 0, np.take_along_axis(values, at, axis=0), np.nan) for values in (highest, lowest, closing)
    )
    return high_before, low_before, close_before


_Points = tuple[Array, tuple[Array, ...], tuple[Array, ...]]


def _floor(high: Array, low: Array, close: Array) -> _Points:
    pivot = (high + low + close) / 3.0
    span = high - low
    resistances = 2.0 * pivot - low, pivot + span, high + 2.0 * (pivot - low)
    return pivot, resistances, (2.0 * pivot - high, pivot - span, low - 2.0 * (high - pivot))


def _fibonacci(high: Array, low: Array, close: Array) -> _Points:
    pivot = (high + low + close) / 3.0
    steps = [share * (high - low) for share in (0.382, 0.618, 1.0)]
    return pivot, tuple(pivot + step for step in steps), tuple(pivot - step for step in steps)


def _camarilla(high: Array, low: Array, close: Array) -> _Points:
    steps = [1.1 * (high - low) / part for part in (12.0, 6.0, 4.0, 2.0)]
    pivot = (high + low + close) / 3.0
    return pivot, tuple(close + step for step in steps), tuple(close - step for step in steps)


METHODS: Final[dict[str, Callable[[Array, Array, Array], _Points]]] = {
    "floor": _floor,
    "fibonacci": _fibonacci,
    "camarilla": _camarilla,
}
"""How pivot points are made of a high, a low and a close."""
