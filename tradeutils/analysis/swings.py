"""Swing highs and lows: by the bars on both sides of them, or by how far the price has turned since (a zig-zag)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from tradeutils.analysis.checks import bars, number
from tradeutils.analysis.pivots import Flags, Places, pivots
from tradeutils.analysis.prices import Codes, Data, Prices
from tradeutils.analysis.series import Search, Shared, each_series, matrix
from tradeutils.analysis.stored import over_stored
from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators.arrays import Array
from tradeutils.model.stored import Executors

__all__ = ["UNITS", "Swing", "Swings", "distances", "swings", "zigzag"]

_Item = TypeVar("_Item", bound=np.generic)

UNITS: Final = ("atr", "percent")
"""What distances between prices can be given in."""


class Swing(NamedTuple):
    """One swing: the row it is confirmed at, its own row, its column (0 for one symbol), its price, and which it is."""

    confirmed: int
    at: int
    column: int
    price: float
    is_high: bool


class Swings(NamedTuple):
    """
    Swing highs and lows, each at the bar that confirms it.

    Parameters
    ----------
    high, low : float64 array, shape (T,) or (T, S)
        Price of the swing high, or low, that this bar confirms; NaN where it confirms none.
    high_at, low_at : int64 array, of the same shape
        Its row; -1 where there is none.
    delay : int or None
        Bars from a swing to its confirmation; ``None`` where that varies, as in a zig-zag: there it is the row of the
        bar less ``high_at`` or ``low_at``.
    """

    high: Array
    high_at: Places
    low: Array
    low_at: Places
    delay: int | None

    def last_high(self) -> Array:
        """Return at each bar the price of the last swing high that was confirmed by then, NaN before the first."""
        return _carried(self.high, self.high_at >= 0, np.nan)

    def last_low(self) -> Array:
        """Return at each bar the price of the last swing low that was confirmed by then, NaN before the first."""
        return _carried(self.low, self.low_at >= 0, np.nan)

    def legs(self) -> Codes:
        """
        Return int8, at each bar: 1 where the last swing that was confirmed is a low, so that the leg since then rises.

        -1 where it is a high, 0 before the first. Of two that one bar confirms the later one counts, and 0 if both are
        of one bar.
        """
        later = np.sign(self.low_at - self.high_at).astype(np.int8)
        return _carried(later, (self.low_at >= 0) | (self.high_at >= 0), np.int8(0))

    def rows(self) -> Iterator[Swing]:
        """Yield every swing: by the bar that confirms it, then by column, then by its own row."""
        highs, lows, prices = matrix(self.high_at), matrix(self.low_at), (matrix(self.high), matrix(self.low))
        row, column = np.nonzero((highs >= 0) | (lows >= 0))
        for confirmed, symbol in zip(row.tolist(), column.tolist(), strict=True):
            both = [
                Swing(confirmed, int(places[confirmed, symbol]), symbol, float(paid[confirmed, symbol]), is_high)
                for places, paid, is_high in ((lows, prices[1], False), (highs, prices[0], True))
                if places[confirmed, symbol] >= 0
            ]
            yield from sorted(both, key=lambda swing: swing.at)


@over_stored()
def swings(data: Data, left: int = 5, right: int = 5, *, executor: Executors | None = None) -> Swings:
    """
    Find swing highs and lows by the bars on both sides of them.

    A swing high is a bar whose high is at least that of each of the ``left`` bars before it and above that of each of
    the ``right`` bars after it, a swing low the same upside down (:func:`tradeutils.analysis.pivots.pivots`).

    Causal, with a delay of ``right`` bars: a swing is reported at the bar that confirms it.

    Parameters
    ----------
    data : Candles, Panel, mapping of arrays with high and low, or array of closes, shape (T,) or (T, S)
        Oldest first. NaN and infinity are missing values. Of closes, high and low are the close.
    left : int
        Bars before, >= 1.
    right : int
        Bars after, >= 1.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    Swings
        None is reported where one of the ``left + 1 + right`` highs, or lows, is missing.

    Raises
    ------
    UsageError : data of another kind or shape or without a column that is needed, or a parameter out of its range.

    Notes
    -----
    Costs about 20 ns a bar on one core.

    Examples
    --------
    >>> import numpy as np
    >>> found = swings(np.array([1.0, 2.0, 5.0, 3.0, 2.0, 4.0]), left=2, right=1)
    >>> list(found.rows())[0]
    Swing(confirmed=3, at=2, column=0, price=5.0, is_high=True)
    >>> found.last_high().tolist()
    [nan, nan, nan, 5.0, 5.0, 5.0]
    """
    prices = Prices(data)
    high, low = prices.column("high"), prices.column("low")
    found = pivots(high, low, left, right)
    return Swings(taken(high, found.high_at), found.high_at, taken(low, found.low_at), found.low_at, found.delay)


@over_stored()
def zigzag(
    data: Data, threshold: float = 3.0, *, by: str = "atr", atr: int = 14, executor: Executors | None = None
) -> Swings:
    """
    Find the turns of a zig-zag: swings from which the price has turned by a threshold.

    A leg that rises goes on as long as its bars make higher highs. A bar that makes none, and whose low is at or below
    the highest high less the threshold, ends it: it confirms the swing high, and the leg that falls begins at the
    lowest low since. So highs and lows take turns. Of equal highs (lows) in a leg the first is the swing. A bar that
    makes a new high is not asked whether it also turns: which of its prices came first is not known. Before the first
    swing both ends are watched; a bar that turns from both confirms the older, and none if both are of one bar.

    Causal, with a delay that varies, of 1 bar or more: a swing is reported at the bar that confirms it, which is as
    many bars after it as the turn took. No later bar changes what was reported.

    Parameters
    ----------
    data : Candles, Panel, mapping of arrays with high and low, or array of closes, shape (T,) or (T, S)
        Oldest first. NaN and infinity are missing values; a bar with one is passed over. By ATR a close is needed too.
    threshold : float
        How far the price must turn, > 0: in ATRs of the bar that turns, or per cent of the price of the swing.
    by : str
        ``"atr"`` or ``"percent"``.
    atr : int
        Period of the ATR, which is carried over missing bars. Bars before its first value are passed over.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    Swings
        With ``delay`` ``None``.

    Raises
    ------
    UsageError : data of another kind or shape or without a column that is needed, or a parameter out of its range.
    UnknownName : ``by`` is neither.

    Notes
    -----
    Costs about 30 ns a bar on one core. The first call on a machine compiles the search (about two seconds, logged at
    INFO on ``tradeutils.indicators``); later processes load it from disk.

    Examples
    --------
    >>> import numpy as np
    >>> found = zigzag(np.array([100.0, 106.0, 112.0, 109.0, 105.0, 108.0, 111.0]), 5.0, by="percent")
    >>> [(swing.confirmed, swing.at, swing.price) for swing in found.rows()]
    [(1, 0, 100.0), (4, 2, 112.0), (6, 4, 105.0)]
    """
    width = number("threshold", threshold, 0.0)
    if width == 0.0:
        raise UsageError(f"threshold was {threshold!r}; write a number above 0")
    prices = Prices(data, nan="hold")
    high, low = prices.column("high"), prices.column("low")
    share, reach = distances(prices, width, by, atr)
    high_at, low_at = each_series(_search, [high, low, reach], [-1, -1], [Shared(np.array([share]))])
    return Swings(taken(high, high_at), high_at, taken(low, low_at), low_at, None)


def distances(prices: Prices, width: float, by: str, atr: int) -> tuple[float, Array]:
    """Return a distance as a share of the price and what is added to it at each bar, NaN where unknown."""
    period = bars("atr", atr)
    if by not in UNITS:
        raise UnknownName("unit", by, UNITS)
    if by == "percent":
        return width / 100.0, np.broadcast_to(0.0, prices.shape)
    with np.errstate(over="ignore", invalid="ignore"):  # an ATR beyond all numbers is as good as unknown
        return 0.0, width * prices.compute(f"atr:{period}")[0]


def taken(prices: Array, places: Places) -> Array:
    """Return the prices of the rows that ``places`` names, NaN where it is -1."""
    made = np.full(prices.shape, np.nan)
    if prices.ndim == 1:
        there = np.flatnonzero(places >= 0)
        made[there] = prices[places[there]]
    else:
        row, column = np.nonzero(places >= 0)
        made[row, column] = prices[places[row, column], column]
    return made


def _carried(values: npt.NDArray[_Item], known: Flags, nothing: Any) -> npt.NDArray[_Item]:
    """Return at each bar the last value that is known, ``nothing`` before the first."""
    if not values.size:
        return values
    rows = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    last = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    made: npt.NDArray[_Item] = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    made[last < 0] = nothing
    return made


def _search() -> Search:
    from tradeutils.indicators.cpu import zigzag

    found: Callable[[int], None] = zigzag.search()
    return found
