"""
Feather (Arrow IPC) and Parquet files to columns, never holding more than was allowed.

Both compress so well that a few kB can hold a GB: what a part holds is found out before it is decompressed.
"""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet

from tradeutils.errors import CandleFileError
from tradeutils.history.candle_files.cells import RawTable, is_text, too_large, whole

__all__ = ["Choose", "read_feather", "read_parquet"]

Choose: TypeAlias = "Callable[[tuple[str, ...]], Collection[int]]"
"""Names of columns to the places of those that are wanted."""

_BATCH_ROWS: Final = 4096
# The encodings of text that Arrow can read as a dictionary, without a copy of the text for each row.
_AS_DICTIONARY: Final = frozenset({"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"})
_MAGIC_BYTES: Final = 8  # "ARROW1" and padding: after it a feather file is an Arrow stream
_UNREADABLE: Final = (
    pa.ArrowException, OSError, MemoryError, UnicodeDecodeError, OverflowError, struct.error,
)  # fmt: skip


def read_feather(path: pathlib.Path, data: bytes, max_bytes: int) -> RawTable:
    """
    Read the bytes of a feather file.

    Raises
    ------
    CandleFileError : damaged, without rows, or more than ``max_bytes`` once decompressed.
    """
    try:
        with pa.ipc.open_file(pa.py_buffer(data)) as reader:  # reads the end of the file, which a cut one lacks
            expected, columns = reader.num_record_batches, len(reader.schema)
        stream = pa.py_buffer(data).slice(_MAGIC_BYTES)
        rows = size = batches = 0
        for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(stream)):
            held = _record_batch(message)
            if held is not None:
                batches += message.type == "record batch"
                rows += held[0]
                size += held[1]
            if max(size, rows * columns * 8) > max_bytes:
                raise CandleFileError(str(path), too_large(max_bytes))
        if batches != expected:
            raise CandleFileError(str(path), f"holds {batches} batches of rows where its end says {expected}")
        table = pa.ipc.open_stream(pa.BufferReader(stream)).read_all()
        table.validate(full=True)  # Arrow trusts a file's offsets and lengths unless told not to
        return _to_raw(path, tuple(table.column_names), {i: table.column(i) for i in range(columns)}, table.num_rows)
    except _UNREADABLE as error:
        raise CandleFileError(str(path), f"is not a feather file that can be read: {_brief(error)}") from error


def _record_batch(message: Any) -> tuple[int, int] | None:
    """
    Return the rows of a message of an Arrow stream and its bytes once decompressed; ``None`` for a schema.

    pyarrow tells neither before it has decompressed them. Tables and fields as in Arrow's Message.fbs: the
    uncompressed length stands, as int64, before each compressed buffer (-1 where that one is not).
    """
    if message.type == "schema":
        return None
    meta = message.metadata.to_pybytes()
    header = _follow(meta, _field(meta, _follow(meta, 0), 2))
    batch = header if message.type == "record batch" else _follow(meta, _field(meta, header, 1))
    length, buffers = _field(meta, batch, 0), _field(meta, batch, 2)
    rows = struct.unpack_from("<q", meta, length)[0] if length else 0
    body = b"" if message.body is None else memoryview(message.body)
    size = len(body)
    if buffers and _field(meta, batch, 3):
        for start, held in _buffers(meta, _follow(meta, buffers)):
            if held >= 8:
                size += max(0, struct.unpack_from("<q", body, start)[0])
    return max(0, rows), size


def _buffers(meta: bytes, vector: int) -> Iterator[tuple[int, int]]:
    """Yield where each buffer of a batch starts in its body, and its length there."""
    (count,) = struct.unpack_from("<I", meta, vector)
    for at in range(count):
        yield struct.unpack_from("<qq", meta, vector + 4 + 16 * at)


def _follow(meta: bytes, at: int) -> int:
    return int(at + struct.unpack_from("<I", meta, at)[0])


def _field(meta: bytes, table: int, number: int) -> int:
    """Return where a field of a FlatBuffers table stands; 0 where it is left out."""
    fields = table - struct.unpack_from("<i", meta, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", meta, fields)[0]:
        return 0
    offset = struct.unpack_from("<H", meta, fields + 4 + 2 * number)[0]
    return table + offset if offset else 0


def read_parquet(path: pathlib.Path, data: bytes, max_bytes: int, choose: Choose) -> RawTable:
    """
    Read the columns that ``choose`` wants of the bytes of a Parquet file; the others come as nulls.

    Raises
    ------
    CandleFileError : damaged, without rows, of more than ``max_bytes`` once decoded, or a wanted column is nested.
    """
    try:
        file = pa.parquet.ParquetFile(pa.BufferReader(data))
        schema, about = file.schema_arrow, file.metadata
        names = tuple(schema.names)
        wanted = sorted(choose(names))
        for at in wanted:
            if not _is_plain(schema.field(at).type):
                problem = f"column {names[at]!r} is a {schema.field(at).type}: not a number, not a time and not text"
                raise CandleFileError(str(path), problem)
        labels = [names[at] for at in wanted]
        encoded = sum(part.total_uncompressed_size for part in _chunks(about, labels))
        # A column of one value takes a few bytes in the file, whatever its length.
        if max(encoded, about.num_rows * len(wanted) * 8) > max_bytes:
            raise CandleFileError(str(path), too_large(max_bytes))
        other = {
            part.path_in_schema for part in _chunks(about, labels) if not _AS_DICTIONARY.issuperset(part.encodings)
        }
        text = [label for label in labels if is_text(_plain(schema.field(label).type)) and label not in other]
        file = pa.parquet.ParquetFile(pa.BufferReader(data), read_dictionary=text)
        # Text kept as what it adds to the text before may, in each row, be as long as the whole chunk is.
        longest = max((part.total_uncompressed_size for part in _chunks(about, list(other))), default=1)
        step = max(1, min(_BATCH_ROWS, max_bytes // max(1, 4 * longest)))  # Arrow copies it while it reads
        read = _read_batches(path, file.iter_batches(step, columns=labels, use_threads=False), labels, max_bytes)
        return _to_raw(path, names, dict(zip(wanted, read.columns, strict=True)), read.num_rows)
    except _UNREADABLE as error:
        raise CandleFileError(str(path), f"is not a Parquet file that can be read: {_brief(error)}") from error


def _read_batches(path: pathlib.Path, read: Iterator[Any], labels: list[str], max_bytes: int) -> pa.Table:
    batches, size = [], 0
    for batch in read:
        columns = []
        for label in labels:
            column = batch.column(label)
            size += _decoded_bytes(column)
            if size > max_bytes:
                raise CandleFileError(str(path), too_large(max_bytes))
            columns.append(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
        batches.append(pa.table(columns, names=labels))
    if not batches:
        raise CandleFileError(str(path), "has no rows")
    table = pa.concat_tables(batches)
    table.validate(full=True)
    return table


def _chunks(about: Any, labels: list[str]) -> Iterator[Any]:
    """Yield what the end of a Parquet file says of each part of the named columns."""
    for group in map(about.row_group, range(about.num_row_groups)):
        for part in map(group.column, range(group.num_columns)):
            if part.path_in_schema in labels:
                yield part


def _decoded_bytes(column: pa.Array) -> int:
    """Return the bytes of a column once each of its rows has its own copy of what the dictionary says."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.binary_length(column.dictionary).cast(pa.int64())
    return int(column.indices.nbytes) + (pc.sum(pc.take(lengths, column.indices)).as_py() or 0)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether the cells of a type are text, or of a few bytes each."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(is_text(kind) or pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind))


def _to_raw(path: pathlib.Path, names: tuple[str, ...], columns: dict[int, pa.ChunkedArray], rows: int) -> RawTable:
    if not rows:
        raise CandleFileError(str(path), "has no rows")
    cells = tuple(whole(columns[at]) if at in columns else pa.nulls(rows) for at in range(len(names)))
    return RawTable(names, cells, lambda row: row + 1)


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
