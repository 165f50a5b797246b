"""Where price and an oscillator disagree: regular and hidden divergences between pivots."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from tradeutils.analysis.checks import bars
from tradeutils.analysis.pivots import Flags, Places, pivots
from tradeutils.analysis.prices import Codes, Data, Prices
from tradeutils.analysis.series import matrix
from tradeutils.analysis.stored import over_stored
from tradeutils.indicators.arrays import Array
from tradeutils.model.stored import Executors

__all__ = ["Divergence", "Divergences", "divergence"]


class Divergence(IntEnum):
    """Codes of :func:`divergence`: none is confirmed at this bar, a regular one, a hidden one."""

    NONE = 0
    REGULAR = 1
    HIDDEN = 2


class Divergences(NamedTuple):
    """
    Divergences, each at the bar that confirms it: ``delay`` bars after the second of its pivots.

    Parameters
    ----------
    bullish, bearish : int8 array, shape (T,) or (T, S)
        Members of :class:`Divergence`: between two pivot lows, and between two pivot highs. A bar may confirm both.
    bullish_from, bullish_at : int64 array, of the same shape
        Rows of the first and of the second pivot low; -1 where there is no bullish divergence.
    bearish_from, bearish_at : int64 array, of the same shape
        The same of pivot highs.
    delay : int
        Bars from the second pivot to the report: ``right``.
    """

    bullish: Codes
    bullish_from: Places
    bullish_at: Places
    bearish: Codes
    bearish_from: Places
    bearish_at: Places
    delay: int


@over_stored()
def divergence(
    data: Data,
    oscillator: str | Array = "rsi:14",
    *,
    left: int = 5,
    right: int = 5,
    within: int = 60,
    nan: str = "restart",
    executor: Executors | None = None,
) -> Divergences:
    """
    Find divergences between price and an oscillator.

    Each pivot of price (see :func:`tradeutils.analysis.pivots.pivots`) is compared with the one of its kind before
    it, and the oscillator at the bar of the one with the oscillator at the bar of the other:

    ========  ============  ============  ================
    pivots    price         oscillator    divergence
    ========  ============  ============  ================
    lows      lower         higher        regular bullish
    lows      higher        lower         hidden bullish
    highs     higher        lower         regular bearish
    highs     lower         higher        hidden bearish
    ========  ============  ============  ================

    Causal: the second pivot is known ``right`` bars after it, and the divergence is reported there. That is the
    confirmation delay; no later bar changes what was reported.

    Parameters
    ----------
    data : Candles, Panel, mapping of arrays with high and low, or array of closes, shape (T,) or (T, S)
        Oldest first. NaN and infinity are missing values. Of closes, high and low are the close. What ``oscillator``
        reads must be there too: the close for RSI.
    oscillator : str or float64 array of the shape of the data
        An indicator of one output (``"rsi:14"``, ``"cci:20"``, ``"mfi"``), or any array.
    left, right : int
        Bars before and after a pivot, >= 1.
    within : int
        Bars between two pivots that are compared, at most.
    nan : str
        What the oscillator does at a missing bar: ``"restart"``, ``"propagate"`` or ``"hold"``; see
        :class:`tradeutils.Indicators`.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    Divergences
        None where price or oscillator are equal at both pivots, or where the oscillator is unknown at one.

    Raises
    ------
    UsageError : data of another kind or shape, an ``oscillator`` of several outputs, or a parameter out of its range.
    UnknownName : no such indicator or ``nan``.

    Notes
    -----
    Costs about 60 ns a bar on one core. Pivots on both sides of missing bars are compared like any others.

    Examples
    --------
    >>> import numpy as np
    >>> price = np.array([5.0, 3.0, 4.0, 5.0, 2.0, 4.0])
    >>> found = divergence(price, np.array([50.0, 20.0, 40.0, 50.0, 25.0, 40.0]), left=1, right=1)
    >>> found.bullish.tolist(), found.bullish_from[5], found.bullish_at[5]
    ([0, 0, 0, 0, 0, 1], np.int64(1), np.int64(4))
    """
    longest = bars("within", within)
    prices = Prices(data, nan=nan)
    high, low = prices.column("high"), prices.column("low")
    found = pivots(high, low, left, right)
    beside = prices.measure("oscillator", oscillator)
    bullish = _between(found.low, low, beside, found.delay, longest, rising=False)
    bearish = _between(found.high, high, beside, found.delay, longest, rising=True)
    return Divergences(*bullish, *bearish, found.delay)


_NOWHERE: Final = np.int64(-1)


def _between(
    confirmed: Flags, price: Array, beside: Array, delay: int, longest: int, *, rising: bool
) -> tuple[Codes, Places, Places]:
    """Compare each pivot with the one before it; ``rising`` where a price that rises makes a regular divergence."""
    shape = confirmed.shape
    code, first_at, second_at = np.zeros(shape, np.int8), np.full(shape, _NOWHERE), np.full(shape, _NOWHERE)
    prices, besides = matrix(price), matrix(beside)
    # Symbol by symbol, each from its oldest pivot to its newest: the one before is the neighbour.
    column, row = np.nonzero(matrix(confirmed).T)
    row -= delay
    first, second, own = row[:-1], row[1:], column[1:]
    pair = (column[:-1] == own) & (second - first <= longest)
    first, second, own = first[pair], second[pair], own[pair]
    up, down = (prices[second, own] > prices[first, own]), (prices[second, own] < prices[first, own])
    higher, lower = (besides[second, own] > besides[first, own]), (besides[second, own] < besides[first, own])
    if not rising:
        up, down, higher, lower = down, up, lower, higher
    regular, hidden = up & lower, down & higher
    made = np.where(regular, np.int8(Divergence.REGULAR), np.where(hidden, np.int8(Divergence.HIDDEN), np.int8(0)))
    there = made != Divergence.NONE
    rows, columns = second[there] + delay, own[there]
    for target, values in ((code, made), (first_at, first), (second_at, second)):
        matrix(target)[rows, columns] = values[there]
    return code, first_at, second_at
