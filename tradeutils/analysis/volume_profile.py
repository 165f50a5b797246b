"""Volume by price: where the most was traded, and the range that holds most of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from tradeutils.analysis.checks import bars, number, whole
from tradeutils.analysis.pivots import Flags, Places
from tradeutils.analysis.prices import Data, Prices
from tradeutils.analysis.series import Search, Shared, each_series, matrix
from tradeutils.analysis.sessions import sessions_of
from tradeutils.analysis.stored import over_stored
from tradeutils.errors import UsageError
from tradeutils.indicators.arrays import Array
from tradeutils.indicators.evaluate import check_tail
from tradeutils.model.days import Day
from tradeutils.model.stored import Executors

__all__ = ["Node", "ValueAreas", "VolumeProfile", "value_areas", "volume_profile"]

_MOST_BINS: Final = 10_000


class Node(NamedTuple):
    """Prices side by side at which much, or little, was traded: ``[low, high]``, the volume there, and which it is."""

    low: float
    high: float
    volume: float
    kind: Literal["high", "low"]


class VolumeProfile(NamedTuple):
    """
    Volume by price over some bars.

    Parameters
    ----------
    edges : float64 array, shape (bins + 1,) or (bins + 1, S)
        Prices between the bins, rising, from the lowest to the highest that was traded; NaN where nothing was.
    volume : float64 array, shape (bins,) or (bins, S)
        Volume in each bin.
    point_of_control : float64, or array of shape (S,)
        Middle of the bin with the most volume.
    low, high : float64, or array of shape (S,)
        Ends of the value area.
    delay : int
        0: the profile is of the bars that were given, and known at the close of the last.
    """

    edges: Array
    volume: Array
    point_of_control: Array
    low: Array
    high: Array
    delay: int

    def nodes(self, *, high: float = 1.5, low: float = 0.5) -> tuple[tuple[Node, ...], ...]:
        """
        Return for each column (one for a single symbol) its nodes, from the lowest price up.

        A high-volume node is a run of bins side by side that each hold at least ``high`` times the mean of all bins,
        a low-volume node one of bins that each hold at most ``low`` times the mean.

        Raises
        ------
        UsageError : ``high`` or ``low`` below 0, or ``low`` not below ``high``.
        """
        least, most = number("high", high, 0.0), number("low", low, 0.0)
        if most >= least:
            raise UsageError(f"low was {low!r} and high {high!r}; give a low below the high")
        volume, edges = matrix(self.volume), matrix(self.edges)
        return tuple(_nodes(volume[:, s], edges[:, s], least, most) for s in range(volume.shape[1]))


class ValueAreas(NamedTuple):
    """
    The profile of the bars up to each bar, in short.

    Parameters
    ----------
    point_of_control : float64 array, shape (T,) or (T, S)
        Middle of the bin with the most volume; NaN where there is no profile.
    low, high : float64 array, of the same shape
        Ends of the value area.
    delay : int
        0: each is known at the close of its bar.
    """

    point_of_control: Array
    low: Array
    high: Array
    delay: int


@over_stored()
def volume_profile(
    data: Data, *, bins: int = 50, share: float = 0.7, executor: Executors | None = None
) -> VolumeProfile:
    """
    Return the volume by price over all bars that are given.

    The range from the lowest low to the highest high is cut into ``bins`` of one size. A bar's volume is taken to be
    spread evenly over its range from low to high: a bin gets the share of it that it shares of the range; a bar
    without a range gives all to one bin. A price between two bins belongs to the upper one, the highest to the last.
    Bars of which a price or the volume is missing, without volume, or with a high below the low, count for nothing.

    The *point of control* is the bin with the most volume; of equal ones the nearest to the middle of the range, and
    of these the lower. The *value area* begins with it and grows bin by bin, each time by the neighbour with more
    volume, the upper where both are equal, until it holds ``share`` of all volume.

    Causal: a profile of the bars up to one, known at its close, with a delay of 0 bars. More bars make another
    profile; :func:`value_areas` has that of each bar.

    Parameters
    ----------
    data : Candles, Panel, or mapping of arrays with high, low and volume, shape (T,) or (T, S)
        A window or a session: ``candles[-500:]``, ``candles.between(since, until)``. NaN and infinity are missing
        values.
    bins : int
        1 to 10,000.
    share : float
        Of the volume in the value area, 0 to 1.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    VolumeProfile

    Raises
    ------
    UsageError : data of another kind or shape or without a column that is needed, or a parameter out of its range.

    Notes
    -----
    Costs 15 to 60 ns a bar on one core, more where bars range over many bins. The first call on a machine compiles the
    search (about two seconds, logged at INFO on ``tradeutils.indicators``); later processes load it from disk.

    Examples
    --------
    >>> import numpy as np
    >>> bars = {"high": [4.0, 3.0], "low": [0.0, 2.0], "volume": [8.0, 4.0]}
    >>> found = volume_profile({name: np.array(column) for name, column in bars.items()}, bins=4)
    >>> found.volume.tolist(), float(found.point_of_control), float(found.low), float(found.high)
    ([2.0, 2.0, 6.0, 2.0], 2.5, 1.0, 4.0)
    """
    columns, shape = _columns(data)
    rows, parts = shape[0], _bins(bins)
    first = np.zeros(rows, np.int64)
    made, ends, found = _profiles(columns, first, max(rows - 1, 0), parts, _share(share))
    edges = ends[0] + np.arange(parts + 1).reshape(-1, *[1] * (len(shape) - 1)) * ((ends[1] - ends[0]) / parts)
    edges[-1] = ends[1]
    control, low, high = (part[-1] if rows else np.full(shape[1:], np.nan)[()] for part in found)
    return VolumeProfile(edges, made, control, low, high, 0)


@over_stored()
def value_areas(
    data: Data,
    window: int | None = None,
    *,
    session: str | None = None,
    day: Day | str | None = None,
    bins: int = 50,
    share: float = 0.7,
    tail: int | None = None,
    executor: Executors | None = None,
) -> ValueAreas:
    """
    Return at each bar the point of control and the value area of the bars up to it.

    Causal, with a delay of 0 bars: what is said of a bar is the :func:`volume_profile` of the last ``window`` bars, or
    of those of its session so far, this one included, and no later bar changes it. Each profile has bins of its own,
    over the range of its bars.

    Parameters
    ----------
    data : Candles, Panel, or mapping of arrays with high, low and volume, shape (T,) or (T, S)
        Oldest first; for sessions Candles or a Panel. NaN and infinity are missing values.
    window : int, optional
        Bars, >= 1. There is no profile before so many rows. Give this or ``session``.
    session : str, optional
        A timeframe, ``"1d"`` or ``"1w"``: each profile begins with the session. There is none in a first session of
        which the first bar is not there.
    day : Day or str, optional
        When a day begins, and for hours of trading when it ends, as for ``Candles.resample``:
        ``"17:00 America/New_York"``, ``"09:30-16:00 America/New_York"``. Bars outside have no profile.
    bins : int
        1 to 10,000.
    share : float
        Of the volume in the value area, 0 to 1.
    tail : int, optional
        Return only this many of the last rows; the values are the same, and only these cost.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and analysed there, then joined.

    Returns
    -------
    ValueAreas
        NaN where there is no profile, or where nothing was traded in its bars.

    Raises
    ------
    UsageError : data of another kind or shape or without a column that is needed, none or both of ``window`` and
        ``session``, or a parameter out of its range.
    UnknownName : ``session`` is no timeframe.

    Notes
    -----
    The profile of a window is made afresh at each bar, so that nothing is left of a bar that went: costs about 13 ns
    for each bar of it (500 symbols x 1,000 bars with a window of 100: 0.64 s on one core). For the newest bar alone
    ask with ``tail=1``. That of a session is made afresh only where its range grows: about 0.5 µs a bar.
    """
    if (window is None) == (session is None):
        raise UsageError(f"window was {window!r} and session {session!r}; give one of them")
    columns, shape = _columns(data)
    last = check_tail(tail)
    start = 0 if last is None else max(shape[0] - last, 0)
    if session is None:
        first = _windows(shape[0], window)
    else:
        first, inside = _sessions(data, session, day)
        # A week of trading hours has nights, which count for nothing.
        columns[2] = np.where(inside.reshape(-1, *[1] * (len(shape) - 1)), columns[2], np.nan)
    wanted = first[start:]
    # What comes before the first row that is looked at need not be turned.
    cut = int(wanted[wanted >= 0].min(initial=start))
    own = np.where(first[cut:] >= 0, first[cut:] - cut, -1)
    _, _, found = _profiles([column[cut:] for column in columns], own, start - cut, _bins(bins), _share(share))
    control, low, high = (part[start - cut :] for part in found)
    return ValueAreas(control, low, high, 0)


def _columns(data: Data) -> tuple[list[Array], tuple[int, ...]]:
    prices = Prices(data)
    return [prices.column(name) for name in ("high", "low", "volume")], prices.shape


def _bins(value: int) -> int:
    return whole("bins", value, 1, _MOST_BINS)


def _share(value: float) -> float:
    return number("share", value, 0.0, 1.0)


def _windows(rows: int, window: Any) -> Places:
    """Return the first row of the window of each bar, -1 where there are too few."""
    return np.maximum(np.arange(rows, dtype=np.int64) - (bars("window", window) - 1), -1)


def _sessions(data: Data, session: str, day: Day | str | None) -> tuple[Places, Flags]:
    """Return the first row of each bar's session, -1 outside and where the first is not whole; and which lie inside."""
    found = sessions_of(data, session, day)
    known = found.number >= (0 if found.begun else 1)
    return np.where(known, np.append(found.starts, -1)[found.number], -1), found.number >= 0


def _profiles(
    columns: list[Array], first: Places, start: int, bins: int, share: float
) -> tuple[Array, Array, list[Array]]:
    """Return the last profile, its lowest and highest price, and the point of control and value area of each bar."""
    series = columns[0].shape[1:]
    made, ends = np.zeros((*series, bins)), np.full((*series, 2), np.nan)
    shared = [
        Shared(np.array([share])),
        Shared(np.ascontiguousarray(first)),
        Shared(np.array([bins, start])),
        Shared(made, made.itemsize * bins),
        Shared(ends, ends.itemsize * 2),
    ]
    found = each_series(_search, columns, [np.nan] * 3, shared)
    return np.ascontiguousarray(made.T), ends.T, found


def _nodes(volume: Array, edges: Array, least: float, most: float) -> tuple[Node, ...]:
    mean = volume.mean()
    if not mean > 0.0:
        return ()
    kinds = np.where(volume >= least * mean, 1, np.where(volume <= most * mean, -1, 0)).tolist()
    made = []
    for kind, run in groupby(range(len(kinds)), kinds.__getitem__):
        places = list(run)
        if kind:
            low, high = float(edges[places[0]]), float(edges[places[-1] + 1])
            made.append(Node(low, high, float(volume[places].sum()), "high" if kind > 0 else "low"))
    return tuple(made)


def _search() -> Search:
    from tradeutils.indicators.cpu import profiles

    found: Callable[[int], None] = profiles.search()
    return found
