"""Support and resistance: levels of prices at which the market has turned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.analysis.checks import bars, number, whole
from tradeutils.analysis.pivots import Places, pivots
from tradeutils.analysis.prices import Data, Prices
from tradeutils.analysis.series import Search, Shared, each_series
from tradeutils.analysis.stored import over_stored
from tradeutils.analysis.swings import distances
from tradeutils.indicators.arrays import Array
from tradeutils.model import Candles, Panel
from tradeutils.model.stored import Executors

__all__ = ["Level", "Levels", "support_resistance"]

_FIELDS: Final = 7
_MOST_FLIPS: Final = 1_000_000


class Level(NamedTuple):
    """
    One level, as of the last bar.

    Parameters
    ----------
    price : float
        Mean of the prices of its pivots.
    kind : str
        ``"support"`` or ``"resistance"``.
    touches : int
        Pivots that lie in it.
    first, last : int
        Rows of the first and of the last of them.
    strength : float
        Touches, each of which weighs half after half of the ``lookback``: between 0 and ``touches``.
    breaks : int
        How often it was broken, and became the other kind.
    first_time, last_time : int or None
        When these bars open, in ms UTC; ``None`` where the data has no times.
    """

    price: float
    kind: Literal["support", "resistance"]
    touches: int
    first: int
    last: int
    strength: float
    breaks: int
    first_time: int | None
    last_time: int | None


class Levels(NamedTuple):
    """
    Support and resistance: the nearest known at each bar, and all that there are as of the last bar.

    Parameters
    ----------
    support, resistance : float64 array, shape (T,) or (T, S)
        Price of the highest support and of the lowest resistance known at each bar; NaN where there is none.
    support_touches, resistance_touches : int64 array, of the same shape
        Pivots that lay in it by then, in the oldest where several have its price; 0 where there is none.
    levels : tuple of tuple of Level
        For each column (one for a single symbol) the levels as of the last bar, the strongest first, then by price.
    delay : int
        Bars from a pivot to its level, or to the touch: ``right``.
    """

    support: Array
    resistance: Array
    support_touches: Places
    resistance_touches: Places
    levels: tuple[tuple[Level, ...], ...]
    delay: int


@over_stored()
def support_resistance(
    data: Data,
    *,
    left: int = 5,
    right: int = 5,
    tolerance: float = 0.5,
    by: str = "atr",
    atr: int = 14,
    lookback: int = 1000,
    flips: int = 1,
    executor: Executors | None = None,
) -> Levels:
    """
    Find support and resistance: levels of prices at which the market has turned, by clustering pivots.

    The bars are gone through once, oldest first, each symbol by itself. At each bar, in this order:

    1. A level *ends* when its last pivot is more than ``lookback`` bars ago.
    2. A support is *broken* by a close below its price by more than the tolerance, a resistance by one above. It then
       becomes the other kind; if it was broken more than ``flips`` times, it ends.
    3. A pivot that this bar confirms, the high before the low, *touches* the nearest level, of either kind, whose
       price is within the tolerance; of levels equally near, the oldest. The level's price becomes the mean of its
       pivots. If there is no such level the pivot begins one: a low a support, a high a resistance.

    Levels are not merged, though their prices move and may come to lie within the tolerance of one another. A support
    that is being tested may lie above the close, by the tolerance at most.

    Causal, with a delay of ``right`` bars: a pivot counts from the bar that confirms it. What is said of a bar is what
    was known at its close, and no later bar changes it.

    Parameters
    ----------
    data : Candles, Panel, mapping of arrays with high, low and close, or array of closes, shape (T,) or (T, S)
        Oldest first. NaN and infinity are missing values: at a missing close no level is broken. Of closes, high and
        low are the close.
    left, right : int
        Bars before and after a pivot, >= 1; see :func:`tradeutils.analysis.pivots.pivots`.
    tolerance : float
        Half of a level's width, >= 0: in ATRs of the bar at hand, or per cent of the price.
    by : str
        ``"atr"`` or ``"percent"``.
    atr : int
        Period of the ATR, which is carried over missing bars. Before its first value there are no levels.
    lookback : int
        Bars, >= ``right``.
    flips : int
        How often a level may change its kind, >= 0; with 0 it ends when it is first broken.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    Levels

    Raises
    ------
    UsageError : data of another kind or shape or without a column that is needed, or a parameter out of its range.
    UnknownName : ``by`` is neither.

    Notes
    -----
    Costs about 0.12 µs a bar on one core with the defaults, more where there are more levels: each bar looks at all of
    its symbol. The first call on a machine compiles the search (about two seconds, logged at INFO on
    ``tradeutils.indicators``); later processes load it from disk.

    Examples
    --------
    >>> import numpy as np
    >>> close = np.array([10.0, 12.0, 15.0, 12.0, 10.0, 13.0, 15.1, 13.0])
    >>> found = support_resistance(close, left=1, right=1, tolerance=2.0, by="percent")
    >>> found.resistance.round(2).tolist()
    [nan, nan, nan, 15.0, 15.0, 15.0, 15.0, 15.05]
    >>> [(level.kind, round(level.price, 2), level.touches) for level in found.levels[0]]
    [('resistance', 15.05, 2), ('support', 10.0, 1)]
    """
    length = bars("lookback", lookback, lowest=bars("right", right))
    most = whole("flips", flips, 0, _MOST_FLIPS, "how often a level may be broken and go on,")
    prices = Prices(data, nan="hold")
    high, low, close = (prices.column(name) for name in ("high", "low", "close"))
    share, reach = distances(prices, number("tolerance", tolerance, 0.0), by, atr)
    found = pivots(high, low, left, right)
    decay = np.exp2(-np.arange(length + 1) / (length / 2))
    ledgers, offsets, alive = _room(found.high_at, found.low_at)
    shared = [
        Shared(np.array([share])),
        Shared(decay),
        Shared(np.array([length, most])),
        Shared(ledgers),  # its place for each series is in the offsets
        Shared(offsets, offsets.itemsize),
        Shared(alive, alive.itemsize),
    ]
    inputs = [high, low, close, reach, found.high_at, found.low_at]
    support, resistance, below, above = each_series(_search, inputs, [np.nan, np.nan, 0, 0], shared)
    times = data.time if isinstance(data, Candles | Panel) else None
    levels = tuple(
        _levels(ledgers[_FIELDS * start :][: _FIELDS * room].reshape(_FIELDS, room)[:, :count], decay, len(high), times)
        for start, room, count in zip(offsets[:-1].tolist(), np.diff(offsets).tolist(), alive.tolist(), strict=True)
    )
    return Levels(support, resistance, below, above, levels, found.delay)


def _room(high_at: Places, low_at: Places) -> tuple[Array, Places, Places]:
    """Return room for a level of every pivot, how many go before those of each series, and for their numbers."""
    counts = np.atleast_1d(np.count_nonzero(high_at >= 0, axis=0) + np.count_nonzero(low_at >= 0, axis=0))
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return np.empty(_FIELDS * int(offsets[-1])), offsets, np.zeros(len(counts), np.int64)


def _levels(ledger: Array, decay: Array, rows: int, times: npt.NDArray[np.int64] | None) -> tuple[Level, ...]:
    """Return the levels of one series, the strongest first."""
    made = []
    for price, kind, touches, first, last, weight, breaks in ledger.T.tolist():
        begin, end = int(first), int(last)
        made.append(
            Level(
                price,
                "support" if kind > 0.0 else "resistance",
                int(touches),
                begin,
                end,
                weight * float(decay[rows - 1 - end]),
                int(breaks),
                None if times is None else int(times[begin]),
                None if times is None else int(times[end]),
            )
        )
    return tuple(sorted(made, key=lambda level: (-level.strength, level.price, level.first)))


def _search() -> Search:
    from tradeutils.indicators.cpu import levels

    found: Callable[[int], None] = levels.search()
    return found
