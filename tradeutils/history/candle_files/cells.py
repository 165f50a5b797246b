"""The columns of a candle file as they stand in it, and their cells as numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "BadCell",
    "RawColumn",
    "RawTable",
    "as_numpy",
    "cell",
    "convert",
    "is_text",
    "numbers",
    "too_large",
    "whole",
]

_NOT_KNOWN: Final = re.compile(r"(?i)^(?:nan|null|none|n/?a|-)?$")

RawColumn: TypeAlias = "pa.Array | npt.NDArray[np.float64]"
"""A column as the file has it: text, numbers or times, not yet judged."""


@dataclass(frozen=True, slots=True)
class RawTable:
    """
    The columns of a file.

    ``names`` is ``None`` where the file has no header. ``line_of`` turns a row, from 0, into the line of a text
    file or the row of a table, from 1, for messages.
    """

    names: tuple[str, ...] | None
    columns: tuple[RawColumn, ...]
    line_of: Callable[[int], int]

    @property
    def rows(self) -> int:
        """Rows below the header."""
        return len(self.columns[0]) if self.columns else 0


class BadCell(Exception):  # never leaves this package: it becomes a CandleFileError with its line
    """The first cell of a column that cannot be read: ``row`` from 0, and what stands there."""

    def __init__(self, row: int, value: object) -> None:
        self.row = row
        self.value = value
        super().__init__(row, value)


def too_large(max_bytes: int) -> str:
    """Return what is wrong with a file that exceeds ``max_bytes``."""
    return f"holds more than {max_bytes:,} bytes once decompressed; split it, or raise max_bytes"


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return the chunks of a column as one array."""
    joined = column.combine_chunks()
    # pyarrow returns chunks where one array would be too long for its offsets.
    return pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined


def as_numpy(array: pa.Array, dtype: type[np.int64] | type[np.float64]) -> npt.NDArray[Any]:
    """
    Return the numbers of an Arrow array without nulls as NumPy's.

    Read from the buffer: ``Array.to_numpy`` imports pandas, which costs 200 ms.
    """
    return np.frombuffer(array.buffers()[1], dtype=dtype)[array.offset : array.offset + len(array)]


def cell(column: RawColumn, row: int) -> object:
    """Return what stands in a column at ``row``, for a message."""
    if not isinstance(column, pa.Array):
        return float(column[row])
    try:
        return column[row].as_py()
    except (OverflowError, ValueError):  # a time that Python has no name for
        return str(column[row].value)


def numbers(column: RawColumn) -> npt.NDArray[np.float64]:
    """
    Return a column as float64; NaN where a cell is empty or says that it knows nothing (``nan``, ``null``).

    Raises
    ------
    BadCell : a cell that is no number.
    """
    if isinstance(column, np.ndarray):
        return column
    try:
        values = column.cast(pa.float64()) if is_text(column.type) or _is_numeric(column.type) else None
    except pa.ArrowException:
        # Only now: naming the cells that say nothing makes pyarrow import pandas.
        values = convert(_without_unknown(column), pa.float64())
    if values is None:
        raise BadCell(0, f"a {column.type}")
    nothing = np.asarray(~_valid(values))
    made = np.array(as_numpy(values, np.float64))
    made[nothing] = np.nan
    return made


def is_text(kind: pa.DataType) -> bool:
    """Tell whether an Arrow type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _without_unknown(column: pa.Array) -> pa.Array:
    """Return the column with null for every cell that says it knows nothing."""
    if not is_text(column.type):
        return column
    unknown = pc.match_substring_regex(column, _NOT_KNOWN.pattern)
    return pc.if_else(unknown, pa.scalar(None, column.type), column)


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    )


def _valid(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Return where an Arrow array holds a value."""
    bits = array.buffers()[0]
    if bits is None:
        return np.ones(len(array), dtype=np.bool_)
    flags = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")
    return flags[array.offset : array.offset + len(array)].astype(np.bool_)


def convert(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast an array; raise `BadCell` with the first cell that cannot be."""
    try:
        return array.cast(kind)
    except pa.ArrowException as error:
        low, high = 0, len(array)  # the first `low` cells can be cast, the first `high` cannot
        while high - low > 1:
            middle = (low + high) // 2
            try:
                array.slice(low, middle - low).cast(kind)
            except pa.ArrowException:
                high = middle
            else:
                low = middle
        raise BadCell(low, cell(array, low)) from error
