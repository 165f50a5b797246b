"""The rows of a candle file as they stand in it: doubled, unordered, without a price, for who judges them."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.errors import CandleFileError
from tradeutils.history.candle_files import names as file_names
from tradeutils.history.candle_files.cells import BadCell, numbers
from tradeutils.history.candle_files.columns import column_names, find_columns, listed_names
from tradeutils.history.candle_files.formats import read_table
from tradeutils.history.candle_files.times import settle_times
from tradeutils.model.candles import PRICE_FIELDS

__all__ = ["FileRows", "read_rows"]


@dataclass(frozen=True, slots=True)
class FileRows:
    """
    The rows of a candle file.

    Attributes
    ----------
    path : path
    symbol : str
        As given, else as the file's name says, else empty.
    timeframe : str or None
        As given, else as the file's name says where the most common step of the rows agrees; ``None`` where it is
        theirs alone to tell.
    rows : float64 array, shape (T, 6)
        Time in ms UTC, open, high, low, close, volume, in the order of the file; NaN where a cell says nothing.
    line_of : callable
        From a row, from 0, to the line of a text file or the row of a table, from 1.
    """

    path: pathlib.Path
    symbol: str
    timeframe: str | None
    rows: npt.NDArray[np.float64]
    line_of: Callable[[int], int]


def read_rows(
    path: str | os.PathLike[str],
    *,
    timeframe: str | None = None,
    symbol: str = "",
    columns: Sequence[str] | Mapping[str, str] | None = None,
    max_bytes: int = 1 << 29,
) -> FileRows:
    """
    Read the rows of a candle file as they stand in it: none is sorted, merged or dropped.

    Parameters
    ----------
    path, timeframe, symbol, columns, max_bytes
        As for `tradeutils.history.read_candles`.

    Raises
    ------
    CandleFileError : as `read_candles`, but not for rows that lack a price, contradict each other or are unordered.
    UsageError : ``columns`` that fit no file.
    UnknownName : no such timeframe.
    """
    file = file_names.checked_path(path)
    given = None if timeframe is None else _timeframe.parse(timeframe).name
    symbol = symbol or file_names.symbol_of(file)

    def choose(names: tuple[str, ...]) -> set[int]:
        listed = listed_names(file, len(names), columns) or names
        return {at for places in find_columns(file, listed, columns, symbol).values() for at in places}

    table = read_table(file, max_bytes, choose)
    names = column_names(file, table, columns)
    places = find_columns(file, names, columns, symbol)
    asked = isinstance(columns, Mapping) and "time" in columns
    time, _, _ = settle_times(file, table, names, places["time"], asked=asked)
    cells = [time.astype(np.float64)]
    for name in PRICE_FIELDS:
        try:
            cells.append(numbers(table.columns[places[name][0]]))
        except BadCell as bad:
            problem = f"{name} was {bad.value!r}, which is not a number"
            raise CandleFileError(str(file), problem, line=table.line_of(bad.row)) from bad
    return FileRows(file, symbol, given or _named_frame(file, time), np.column_stack(cells), table.line_of)


def _named_frame(file: pathlib.Path, time: npt.NDArray[np.int64]) -> str | None:
    """Return the timeframe in the file's name, ``None`` where there is none or the rows step otherwise."""
    named = file_names.timeframe_of(file)
    steps = np.diff(np.sort(time))
    steps, counts = np.unique(steps[steps > 0], return_counts=True)
    if not named or not len(steps):
        return named or None
    length = _timeframe.parse(named).ms
    return named if length is None or int(steps[counts.argmax()]) % length == 0 else None
