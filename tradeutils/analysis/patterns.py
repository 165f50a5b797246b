"""
Candlestick patterns: all 61 of TA-Lib, for one symbol or thousands.

What a bar's value depends on: that bar and a few before it. A bar that lacks a price (NaN or infinity) has no pattern,
nor has one that would look at it or judge by it; after it the values are those of a series that begins there. Bars
that are absent from ``Candles`` altogether are not missed: rows follow one another, as in TA-Lib.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.analysis import checks
from tradeutils.analysis.stored import over_stored
from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators.candlesticks import PATTERNS, SCALES, Pattern, search
from tradeutils.indicators.evaluate import check_tail
from tradeutils.indicators.threads import thread_count
from tradeutils.model import Candles, Panel
from tradeutils.model.stored import Executors, Stored
from tradeutils.timeframe import Times

__all__ = ["NAMES", "PATTERNS", "Hit", "Pattern", "Patterns", "Values", "find"]

Values = npt.NDArray[np.int16]
"""TA-Lib's numbers at each bar, int16 (T,) or (T, S): 0 where the pattern is not."""

NAMES: Final = tuple(PATTERNS)
"""TA-Lib's names in lower case: ``"cdl2crows"`` to ``"cdlxsidegap3methods"``."""

_ALIASES: Final = {pattern.alias: name for name, pattern in PATTERNS.items()}
_AT_ONCE: Final = 100_000  # bars that are listed at a time, so that a list of all hits never lies in memory


class Hit(NamedTuple):
    """One pattern at one bar: when the bar opens, in ms UTC, of which symbol, which pattern, and its value."""

    time: int
    symbol: str
    name: str
    value: int


@dataclass(frozen=True, eq=False, repr=False)
class Patterns(Mapping[str, Values]):
    """
    What was found: for each pattern that was asked for its value at every bar. Made by :func:`find`.

    A mapping from TA-Lib's name in lower case (``"cdlhammer"``; ``"hammer"`` will do) to an int16 array, (T,) of
    Candles and (T, S) of a Panel.

    Parameters
    ----------
    time : int64 array, shape (T,)
        Milliseconds UTC at which each bar opens.
    symbols : tuple of str
        Of the columns; one for Candles.
    scale : str
        What bodies and shadows were judged by.

    Raises
    ------
    UnknownName : from ``patterns[name]``, a pattern that is not among those that were asked for.
    """

    time: Times
    symbols: tuple[str, ...]
    scale: str
    _values: Mapping[str, Values] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Values:
        found = self._values.get(_canonical(name))
        if found is None:
            raise UnknownName("pattern", name, list(self._values), where="this search")
        return found

    def __contains__(self, name: object) -> bool:
        return _canonical(name) in self._values

    def get(self, name: str, default: Any = None) -> Any:
        """Return the values of a pattern, ``default`` where it was not asked for."""
        return self._values.get(_canonical(name), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Patterns):
            return NotImplemented
        return (
            (self.symbols, self.scale) == (other.symbols, other.scale)
            and np.array_equal(self.time, other.time)
            and self.keys() == other.keys()
            and all(np.array_equal(values, other[name]) for name, values in self.items())
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def __repr__(self) -> str:
        return f"<Patterns: {len(self)} patterns, {len(self.time)} bars x {len(self.symbols)} symbols>"

    def rows(self) -> Iterator[Hit]:
        """
        Yield every hit: by time, then by the order of the symbols, then by name.

        Those of the newest bar alone: ``find(panel, tail=1).rows()``. Costs a microsecond a hit, and memory for the
        hits of 100,000 bars at a time.
        """
        names, count = sorted(self._values), len(self.symbols)
        step = max(1, _AT_ONCE // max(count, 1))
        for start in range(0, len(self.time) if names and count else 0, step):
            found = []
            for number, name in enumerate(names):
                part = self._values[name][start : start + step].reshape(-1, count)
                row, column = np.nonzero(part)
                found.append(np.stack([row + start, column, np.full(len(row), number), part[row, column]]))
            hits = np.concatenate(found, axis=1)
            for row, column, number, value in hits[:, np.lexsort(hits[2::-1])].T.tolist():
                yield Hit(int(self.time[row]), self.symbols[column], names[number], value)

    def counts(self) -> dict[str, int]:
        """Return how often each pattern occurs, by name."""
        return {name: int(np.count_nonzero(values)) for name, values in self._values.items()}


def _joined(parts: Sequence[Patterns]) -> Patterns:
    """Return what was found in panels of some symbols each as one."""
    first = parts[0]
    symbols = tuple(symbol for part in parts for symbol in part.symbols)
    values = {name: np.concatenate([part[name] for part in parts], axis=-1) for name in first}
    return Patterns(first.time, symbols, first.scale, values)


@over_stored(join=_joined)
def find(
    data: Candles | Panel | Stored,
    names: Iterable[str] | None = None,
    *,
    scale: str = "talib",
    penetration: float | Mapping[str, float] | None = None,
    tail: int | None = None,
    threads: int | None = None,
    executor: Executors | None = None,
) -> Patterns:
    """
    Find candlestick patterns.

    Parameters
    ----------
    data : Candles, Panel, or what ``history.select(...)`` returns
        Bars still forming are judged as they stand.
    names : iterable of str, optional
        TA-Lib's names in any case, with or without ``cdl``: ``["hammer", "cdlengulfing"]``. Default: all 61.
    scale : str
        What is long, short, near or equal.

        - ``"talib"``: against the mean of the ten (near, far and equal: five) bars before each bar of the pattern.
          Where so many are not there the value is 0: in a short series, and after a missing bar.
        - ``"relative"``: against as many of these as are there, and where there is none against the bar itself: a
          body is long if it is more than half of the bar's range, a shadow short if it is less than a quarter, and
          a doji, a tiny shadow and distances are measured by the bar's own range. A pattern can so be found from its
          own bars on. Where ``"talib"`` has all it needs both give the same.
    penetration : float or mapping of str to float, optional
        How far the last bar must close into the body of the first, as a share of it (>= 0), for all patterns that
        have this parameter, or by name. Default: TA-Lib's, 0.5 for dark cloud cover and mat hold, else 0.3.
    tail : int, optional
        Return only this many of the last rows; the values are the same.
    threads : int, optional
        Default: TRADEUTILS_THREADS, else all cores this process may run on. The values are the same on any number.
    executor : Executor or Dask Client, optional
        For what ``history.select(...)`` returns: groups of symbols are read and searched there, on one thread each
        unless ``threads`` says otherwise.

    Returns
    -------
    Patterns
        By name in TA-Lib's spelling, int16 arrays (T,) or (T, S): 100 (bullish) or -100 (bearish) where the pattern
        ends, 0 elsewhere. Engulfing and harami have 80 where the bodies share an end. Hikkake has 200 on the bar that
        confirms it, up to three bars later. What else a value says is in ``PATTERNS[name]``.

    Raises
    ------
    UnknownName : no such pattern or scale.
    UsageError : data of another kind, or a ``penetration``, ``tail`` or ``threads`` out of its range.

    Notes
    -----
    A value never changes when later bars come, and does not depend on where the series starts once ``lookback`` bars
    are there. The means are summed afresh for each bar. TA-Lib slides totals from the first bar on; both are exact,
    so that all values are equal, as long as ten bars' ranges sum to less than the lowest price of the series. Beyond
    that TA-Lib's totals keep what was rounded away, and ties may fall otherwise: in walks between 1 and 12 ticks of
    1e-8 0.1 % of the values differ, above 40 ticks none.

    Costs 40 ns a bar for all 61 on one core. The first search on a machine compiles one loop (about five seconds,
    logged at INFO on ``tradeutils.indicators``), whatever the patterns; later processes load it from disk.

    References
    ----------
    TA-Lib's ``CDL`` functions with its default settings (equal, see above).

    Examples
    --------
    >>> import numpy as np
    >>> columns = {"open": [10, 9, 6.5], "high": [10.5, 9, 9.8], "low": [9, 6.8, 6.4], "close": [9.5, 7, 9.5]}
    >>> hours = [0, 3_600_000, 7_200_000]
    >>> candles = Candles(symbol="BTC/USDT", timeframe="1h", time=hours, volume=[1, 1, 1], **columns)
    >>> list(find(candles, ["engulfing"], scale="relative").rows())
    [Hit(time=7200000, symbol='BTC/USDT', name='cdlengulfing', value=100)]
    """
    if not isinstance(data, Candles | Panel):
        raise UsageError(f"data was {type(data).__name__}; give Candles (Candles.from_frame reads a frame) or a Panel")
    if scale not in SCALES:
        raise UnknownName("scale", scale, SCALES)
    asked = _asked(names)
    depths = _penetrations(penetration, asked)
    count = thread_count(threads)
    wanted = check_tail(tail)
    rows = len(data) if wanted is None else min(wanted, len(data))
    single = isinstance(data, Candles)
    columns = [column[:, np.newaxis] if single else column for column in (data.open, data.high, data.low, data.close)]
    patterns = [(PATTERNS[name], depths.get(name)) for name in asked]
    results = search(patterns, columns, scale=scale, tail=rows, threads=count)
    return Patterns(
        data.time[len(data) - rows :],
        (data.symbol,) if isinstance(data, Candles) else data.symbols,
        scale,
        {name: result[:, 0] if single else result for name, result in zip(asked, results, strict=True)},
    )


def _canonical(name: object) -> str:
    """Return TA-Lib's name in lower case of what a pattern is called; what is no name comes back as text."""
    text = str(name).strip().lower()
    return _ALIASES.get(text, text)


def _asked(names: Iterable[str] | None) -> list[str]:
    """Return the names that are asked for, each once."""
    if names is None:
        return list(NAMES)
    if isinstance(names, str):
        raise UsageError(f"names was the string {names!r}; give a list of them: [{names!r}]")
    if not isinstance(names, Iterable):
        raise UsageError(f'names was {names!r}; give a list of them: ["hammer", "engulfing"]')
    return list(dict.fromkeys(_known(name) for name in names))


def _known(name: object) -> str:
    """Return TA-Lib's name of a pattern; ``UnknownName`` with the nearest where there is none."""
    found = _canonical(name)
    if found not in PATTERNS:
        cdl = str(name).strip().lower().startswith("cdl")
        raise UnknownName("pattern", name, list(NAMES if cdl else _ALIASES))
    return found


def _penetrations(given: float | Mapping[str, float] | None, asked: Iterable[str]) -> dict[str, float]:
    """Return the depth of each pattern that is to have another than its own."""
    taking = [name for name in asked if PATTERNS[name].penetration is not None]
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        depth = checks.number("penetration", given, 0.0)
        if not taking:
            raise UsageError(f"penetration was {given!r}, and none of the patterns asked for takes one; leave it out")
        return dict.fromkeys(taking, depth)
    found = {}
    for name, depth in given.items():
        if _known(name) not in taking:
            raise UnknownName("pattern with a penetration", name, taking, where="this search")
        found[_known(name)] = checks.number("penetration", depth, 0.0)
    return found
