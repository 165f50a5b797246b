"""What users feed a stream, bars and histories, made into what kernels take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError, UsageError
from tradeutils.indicators.arrays import Array, as_prices
from tradeutils.model import Bars, Candles, Panel
from tradeutils.timeframe import Timeframe, Times, to_ms

__all__ = ["History", "Intake", "history_of", "names_of", "off_grid"]

_PIECE: Final = 512
"""Rows of a history whose symbols stand in another order that are put in ours at once."""


class Intake:
    """
    Reads the bars of one stream.

    Parameters
    ----------
    fields : tuple of str
        The columns that are read, the time left out.
    count : int
        How many columns the compiled loop takes; the last one fills the places that are left.
    """

    def __init__(self, fields: tuple[str, ...], count: int) -> None:
        self.fields = fields
        wanted = ("time", *fields, *[fields[-1]] * (count - len(fields)))
        self.items: Callable[[Any], tuple[Any, ...]] = itemgetter(*wanted)
        self._attributes: Callable[[Any], tuple[Any, ...]] = attrgetter(*wanted)

    def read(self, bars: object) -> tuple[Any, ...]:
        """Return the time and the columns, whatever they are; what lacks one raises ``UsageError``."""
        try:
            if isinstance(bars, Bars):
                return self._attributes(bars)
            if isinstance(bars, Mapping):
                return self.items(bars)
        except (KeyError, AttributeError) as error:
            there = list(bars) if isinstance(bars, Mapping) else list(Bars.__slots__)
            raise UsageError(
                f"bars lacked {error.name if isinstance(error, AttributeError) else error.args[0]}; these specs need "
                f"time, {', '.join(self.fields)}, and there were {', '.join(map(str, there)) or 'none'}"
            ) from None
        raise UsageError(
            f"bars was {type(bars).__name__}; give a dict of time, {', '.join(self.fields)}, or tradeutils.model.Bars"
        )

    def arrays(self, given: Sequence[Any], symbols: int) -> list[Array]:
        """
        Return columns as the compiled loop takes them.

        Raises
        ------
        UsageError : not numbers, or not one for each symbol.
        """
        made = []
        for name, values in zip(self.fields, given, strict=False):
            if np.ndim(values) == 0:
                raise UsageError(f"{name} was {values!r:.40}; give an array of {symbols}, a value for each symbol")
            column = np.ascontiguousarray(as_prices(values, name))
            if column.shape != (symbols,):
                raise UsageError(
                    f"{name} had shape {column.shape}; the stream has {symbols} symbols: give ({symbols},)"
                )
            made.append(column)
        return made + [made[-1]] * (len(given) - len(made))


@dataclass(frozen=True, slots=True)
class History:
    """
    Bars of some symbols, oldest first.

    Parameters
    ----------
    times : int64 array, shape (T,)
        Strictly rising and on the grid of the timeframe.
    columns : dict of str to float64 array (T, n)
    order : int array, shape (S,), optional
        Which column each symbol has; ``None`` where they are in order.
    """

    times: Times
    columns: Mapping[str, Array]
    order: npt.NDArray[np.intp] | None

    def __len__(self) -> int:
        return len(self.times)

    def pieces(self, start: int, stop: int) -> Iterator[tuple[Times, dict[str, Array]]]:
        """Yield the rows ``[start, stop)`` with a column for each symbol, piece by piece."""
        step = _PIECE if self.order is not None else max(stop - start, 1)
        for low in range(start, stop, step):
            rows = slice(low, min(low + step, stop))
            cut = {name: column[rows] for name, column in self.columns.items()}
            if self.order is not None:
                cut = {name: column[:, self.order] for name, column in cut.items()}
            yield self.times[rows], cut


def history_of(data: object, symbols: Sequence[str], fields: Sequence[str], timeframe: Timeframe) -> History:
    """
    Return what is known of some symbols' past.

    Parameters
    ----------
    data : Panel, Candles or mapping
        A panel may hold other symbols too. A mapping holds ``time`` (T,) and columns (T, n) in the symbols' order.

    Raises
    ------
    UsageError : data of another kind or timeframe, without one of the symbols or columns, or of shapes that do not fit.
    DataError : times that do not rise or are off the timeframe's grid; a row that is still forming.
    """
    if isinstance(data, Candles):
        data = Panel.from_candles([data])
    if isinstance(data, Panel):
        found = _of_panel(data, symbols, fields, timeframe)
    elif isinstance(data, Mapping):
        found = _of_mapping(data, symbols, fields)
    else:
        raise UsageError(f"history was {type(data).__name__}; give a Panel, Candles, or a dict of time and columns")
    off = np.flatnonzero(timeframe.floor(found.times) != found.times)
    if len(off):
        raise DataError(off_grid(int(found.times[off[0]]), timeframe))
    return found


def off_grid(time: int, timeframe: Timeframe) -> str:
    """Return what is wrong with a time at which no bar of the timeframe opens."""
    opened = timeframe.floor(time)
    after = timeframe.next(time)
    return f"a bar was of {time}, where no {timeframe} bar opens; one opens at {opened}, the next at {after}"


def _of_panel(panel: Panel, symbols: Sequence[str], fields: Sequence[str], timeframe: Timeframe) -> History:
    if panel.timeframe != timeframe.name:
        raise UsageError(
            f"the history was of {panel.timeframe} bars and the stream is of {timeframe}; resample it first"
        )
    places = {symbol: at for at, symbol in enumerate(panel.symbols)}
    missing = [symbol for symbol in symbols if symbol not in places]
    if missing:
        raise UsageError(
            f"the history has no {', '.join(missing[:8])}{' ...' if len(missing) > 8 else ''}; give a column of NaN to "
            "a symbol without a past, or add it to the stream afterwards"
        )
    forming = np.flatnonzero(~panel.closed)
    if len(forming):
        raise DataError(
            f"the row of {panel.time[forming[0]]} is still forming; give the closed rows, and peek at the last"
        )
    lacking = [name for name in fields if name == "other"]
    if lacking:
        raise UsageError(
            "an indicator of these specs reads other, which a panel has not; give a dict of time and columns"
        )
    order = np.array([places[symbol] for symbol in symbols], dtype=np.intp)
    same = tuple(symbols) == panel.symbols
    return History(panel.time, {name: getattr(panel, name) for name in fields}, None if same else order)


def _of_mapping(data: Mapping[str, Any], symbols: Sequence[str], fields: Sequence[str]) -> History:
    missing = [name for name in ("time", *fields) if name not in data]
    if missing:
        raise UsageError(f"the history lacked {', '.join(missing)}; give time, {', '.join(fields)}")
    times = _times(data["time"])
    if np.any(np.diff(times) <= 0):
        raise DataError("the times of the history do not rise; sort its bars and keep one of each time")
    columns = {name: as_prices(data[name], name) for name in fields}
    for name, column in columns.items():
        if column.shape != (len(times), len(symbols)):
            raise UsageError(
                f"{name} had shape {column.shape}; give {(len(times), len(symbols))}, a column for each symbol"
            )
    return History(times, columns, None)


def _times(given: Any) -> Times:
    if isinstance(given, np.ndarray) and given.dtype.kind == "i" and given.ndim == 1:
        for end in given[:1].tolist() + given[-1:].tolist():
            to_ms(end)
        return given.astype(np.int64)
    if not isinstance(given, Iterable):
        raise UsageError(f"time was {given!r:.40}; give the times of the rows, oldest first")
    return np.array([to_ms(time) for time in given], dtype=np.int64)


def names_of(symbols: Iterable[str]) -> tuple[str, ...]:
    """Return symbols as a tuple; one that is named twice, or is no string, raises ``UsageError``."""
    if isinstance(symbols, str) or not isinstance(symbols, Iterable):
        raise UsageError(f"symbols was {symbols!r:.60}; give a list of symbols, as in ['BTC/USDT']")
    names = tuple(symbols)
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise UsageError(f"a symbol was {odd[0]!r:.60}; write a string, as in 'BTC/USDT'")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(f"symbols named {', '.join(twice[:8])} more than once; each symbol is one column")
    return names
