"""Bytes of a candle file to columns as they stand in it: CSV, JSON, feather (Arrow IPC) and Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import pathlib
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from tradeutils.errors import CandleFileError

__all__ = ["BadCell", "RawColumn", "RawTable", "as_numpy", "cell", "numbers", "read_table"]

_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
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


def read_table(path: pathlib.Path, max_bytes: int) -> RawTable:
    """
    Read a file by what stands in it, and by its ending where that is not plain.

    Raises
    ------
    CandleFileError : damaged, empty, of no known kind, or more than ``max_bytes`` once decompressed.
    """
    data = _read_bytes(path, max_bytes)
    if not data.strip():
        raise CandleFileError(str(path), "is empty")
    name = path.name.lower().removesuffix(".gz")
    if data.startswith(b"PAR1") or name.endswith(".parquet"):
        return _from_parquet(path, data, max_bytes)
    if data.startswith((b"ARROW1", b"FEA1")) or name.endswith((".feather", ".arrow", ".ipc")):
        return _from_feather(path, data, max_bytes)
    if b"\x00" in data[:_CHUNK]:
        raise CandleFileError(str(path), "is binary, and none of CSV, JSON, feather or Parquet")
    if name.endswith(".json") or data.lstrip()[:1] in (b"[", b"{"):
        return _from_json(path, data)
    return _from_csv(path, data.removeprefix(b"\xef\xbb\xbf"))


def _read_bytes(path: pathlib.Path, max_bytes: int) -> bytes:
    """Read and, where the bytes are gzip, decompress, never holding more than ``max_bytes``."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            return _read_capped(path, gzip.GzipFile(fileobj=file) if packed else file, max_bytes)
    except EOFError as error:
        raise CandleFileError(str(path), "the gzip data ends early: the file was cut; fetch it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CandleFileError(str(path), f"the gzip data is damaged ({error}); fetch it again") from error
    except OSError as error:
        raise CandleFileError(str(path), f"cannot be read: {error.strerror or error}") from error


def _read_capped(path: pathlib.Path, file: Any, max_bytes: int) -> bytes:
    chunks, size = [], 0
    while chunk := file.read(_CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise CandleFileError(str(path), _too_large(max_bytes))
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> str:
    return f"holds more than {max_bytes:,} bytes once decompressed; split it, or raise max_bytes"


def _from_csv(path: pathlib.Path, data: bytes) -> RawTable:
    blank = len(data) - len(data.lstrip(b"\r\n \t"))
    first, _, rest = data[blank:].partition(b"\n")
    delimiter = max((",", ";", "\t"), key=lambda mark: first.count(mark.encode()))
    try:
        cells = next(csv.reader([first.decode("utf-8", "replace").rstrip("\r")], delimiter=delimiter))
    except csv.Error as error:
        raise CandleFileError(str(path), f"is not CSV that can be read: {error}", line=1) from error
    has_header = not _looks_like_data(cells)
    body = rest if has_header else data[blank:]
    before = data[:blank].count(b"\n") + has_header  # lines above the first row
    if not body.strip():
        raise CandleFileError(str(path), "has a header and no rows" if rest or has_header else "is empty")
    table = _parse_csv(path, body, len(cells), delimiter, before)
    names = tuple(name.strip() for name in cells) if has_header else None
    columns = tuple(pc.utf8_trim_whitespace(_whole(column)) for column in table.columns)
    return RawTable(names, columns, lambda row: before + _line_of(body, row))


def _parse_csv(path: pathlib.Path, body: bytes, width: int, delimiter: str, before: int) -> pa.Table:
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            line = before + body.count(b"\n", 0, error.start) + 1
            raise CandleFileError(str(path), "is not text in UTF-8; save it as such", line=line) from error
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    names = [str(i) for i in range(width)]
    try:
        return pa.csv.read_csv(
            io.BytesIO(body),
            # One thread: only then does pyarrow know the number of a ragged row.
            read_options=pa.csv.ReadOptions(use_threads=False, column_names=names),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter, invalid_row_handler=refuse),
            # All as text: then a cell that is no number can be named, with its line.
            convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowException as error:
        if ragged:
            row = ragged[0]
            problem = f"has {row.actual_columns} columns, and the first line {width}: {row.text[:80]!r}"
            raise CandleFileError(str(path), problem, line=before + _line_of(body, row.number - 1)) from error
        raise CandleFileError(str(path), f"is not CSV that can be read: {error}") from error


def _looks_like_data(cells: Sequence[str]) -> bool:
    """Tell whether a first line is a row rather than a header: a header does not have two columns named by numbers."""
    return sum(map(_is_number, cells)) >= min(2, len(cells))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _line_of(body: bytes, row: int) -> int:
    """Return the line, from 1, of a row, from 0, in text whose empty lines are passed over."""
    seen = -1
    for number, line in enumerate(body.splitlines(), 1):
        seen += bool(line)
        if seen == row:
            return number
    return row + 1


def _from_json(path: pathlib.Path, data: bytes) -> RawTable:
    try:
        rows = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise CandleFileError(str(path), f"is not JSON: {error}", line=error.lineno) from error
    if not isinstance(rows, list) or not rows:
        what = "an empty list" if rows == [] else f"JSON {type(rows).__name__}"
        raise CandleFileError(str(path), f"is {what}; candles are a list of rows: [[time, open, high, low, close, ...")
    names = tuple(rows[0]) if isinstance(rows[0], dict) else None
    for number, row in enumerate(rows, 1):
        right = (
            isinstance(row, list) and len(row) == len(rows[0])
            if names is None
            else isinstance(row, dict) and tuple(row) == names
        )
        if not right:
            raise CandleFileError(str(path), f"is not a row like the first: {str(row)[:80]}", line=number)
    cells = zip(*(rows if names is None else [row.values() for row in rows]), strict=True)
    columns = tuple(_json_column(path, column) for column in cells)
    if not columns:
        raise CandleFileError(str(path), "its rows are empty", line=1)
    if names is None and len(columns) == 6:
        names = ("time", "open", "high", "low", "close", "volume")  # as ccxt returns them and freqtrade stores them
    return RawTable(names, columns, lambda row: row + 1)


def _json_column(path: pathlib.Path, values: tuple[Any, ...]) -> RawColumn:
    for row, value in enumerate(values, 1):
        if isinstance(value, bool | list | dict):
            raise CandleFileError(str(path), f"{value!r} stands where a number or a time belongs", line=row)
    if any(isinstance(value, str) for value in values):
        return pa.array(["" if value is None else str(value) for value in values], type=pa.string())
    return np.array(values, dtype=np.float64)


def _from_feather(path: pathlib.Path, data: bytes, max_bytes: int) -> RawTable:
    try:
        with pa.ipc.open_file(pa.py_buffer(data)) as reader:
            batches, size = [], 0
            for index in range(reader.num_record_batches):
                batches.append(reader.get_batch(index))
                size += batches[-1].nbytes
                if size > max_bytes:
                    raise CandleFileError(str(path), _too_large(max_bytes))
            return _from_arrow(path, pa.Table.from_batches(batches, reader.schema))
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        raise CandleFileError(str(path), f"is not a feather file that can be read: {_brief(error)}") from error


def _from_parquet(path: pathlib.Path, data: bytes, max_bytes: int) -> RawTable:
    try:
        file = pa.parquet.ParquetFile(pa.BufferReader(data))
        about = file.metadata
        encoded = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        # A column of one value takes a few bytes in the file, whatever its length.
        if max(encoded, about.num_rows * about.num_columns * 8) > max_bytes:
            raise CandleFileError(str(path), _too_large(max_bytes))
        return _from_arrow(path, file.read(use_threads=False))
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        raise CandleFileError(str(path), f"is not a Parquet file that can be read: {_brief(error)}") from error


def _from_arrow(path: pathlib.Path, table: pa.Table) -> RawTable:
    table.validate(full=True)  # Arrow trusts a file's offsets and lengths unless told not to
    if not table.num_rows:
        raise CandleFileError(str(path), "has no rows")
    return RawTable(tuple(table.column_names), tuple(_whole(column) for column in table.columns), lambda row: row + 1)


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    # pyarrow returns chunks where one array would be too long for its offsets.
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def as_numpy(array: pa.Array, dtype: type[np.int64] | type[np.float64]) -> npt.NDArray[Any]:
    """
    Return the numbers of an Arrow array without nulls as NumPy's.

    Read from the buffer: ``Array.to_numpy`` imports pandas, which costs 200 ms.
    """
    return np.frombuffer(array.buffers()[1], dtype=dtype)[array.offset : array.offset + len(array)]


def cell(column: RawColumn, row: int) -> object:
    """Return what stands in a column at ``row``, for a message."""
    return column[row].as_py() if isinstance(column, pa.Array) else float(column[row])


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
        raise BadCell(low, array[low].as_py()) from error
