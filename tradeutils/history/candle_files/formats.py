"""Bytes of a candle file to columns as they stand in it; CSV and JSON are read here, tables in `tables`."""

from __future__ import annotations

import csv
import gzip
import io
import pathlib
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tradeutils.errors import CandleFileError
from tradeutils.history.candle_files.archives import ZIP, read_zip
from tradeutils.history.candle_files.cells import RawColumn, RawTable, too_large, whole
from tradeutils.history.candle_files.tables import Choose, read_feather, read_parquet

__all__ = ["read_table"]

_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"


def read_table(path: pathlib.Path, max_bytes: int, choose: Choose) -> RawTable:
    """
    Read a file by what stands in it, and by its ending where that is not plain.

    ``choose`` names the columns that are wanted, by their places: of a Parquet file no others are read.

    Raises
    ------
    CandleFileError : damaged, empty, of no known kind, or more than ``max_bytes`` once decompressed.
    """
    name, data = _read_bytes(path, max_bytes)
    data = data.removeprefix(_BOM)
    if not data.strip():
        raise CandleFileError(str(path), "is empty")
    if data.startswith(b"PAR1") or name.endswith(".parquet"):
        return read_parquet(path, data, max_bytes, choose)
    if data.startswith((b"ARROW1", b"FEA1")) or name.endswith((".feather", ".arrow", ".ipc")):
        return read_feather(path, data, max_bytes)
    if b"\x00" in data[:_CHUNK]:
        raise CandleFileError(str(path), "is binary, and none of CSV, JSON, feather or Parquet")
    if name.endswith(".json") or data.lstrip()[:1] in (b"[", b"{"):
        return _from_json(path, data)
    return _from_csv(path, data)


def _read_bytes(path: pathlib.Path, max_bytes: int) -> tuple[str, bytes]:
    """Return the name that tells the kind, and the bytes, unpacked; more than ``max_bytes`` are never held."""
    name = path.name.lower().removesuffix(".gz")
    try:
        with path.open("rb") as file:
            head = file.read(len(ZIP))
            file.seek(0)
            if head == ZIP:
                return read_zip(path, file, max_bytes)
            return name, _read_capped(path, gzip.GzipFile(fileobj=file) if head[:2] == _GZIP else file, max_bytes)
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
            raise CandleFileError(str(path), too_large(max_bytes))
        chunks.append(chunk)
    return b"".join(chunks)


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
    columns = tuple(pc.utf8_trim_whitespace(whole(column)) for column in table.columns)
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
