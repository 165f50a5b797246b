"""
How a partition lies on the disk, and how it is read.

Between the last page and the end that Parquet knows, where its readers do not look, are checksums of ours: those of
Parquet cover the pages alone, not their headers and not the end of the file. All numbers are little-endian::

    "PAR1"  group of rows 0, 1, ...
            CRC-32 of each group, the number of groups, CRC-32 of (checksums of groups, end), "TUC1"
            end: what Parquet says of the rows, its length, "PAR1"
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tradeutils.errors import HistoryCorrupt, HistoryError
from tradeutils.history.store.rows import FIELDS, Rows
from tradeutils.model.candles import PRICE_FIELDS

__all__ = ["SCHEMA", "PartitionFile", "opened", "sealed"]

# A timestamp rather than the bare int64: DuckDB, Polars and Spark then show and compare moments, not numbers, and
# their pruning by statistics works on it; the eight bytes in the file are the same. Not nullable: no levels to decode.
SCHEMA: Final = pa.schema(
    [pa.field("time", pa.timestamp("ms", tz="UTC"), nullable=False)]
    + [pa.field(name, pa.float64(), nullable=False) for name in PRICE_FIELDS]
)

_MAGIC: Final = b"PAR1"
_TAG: Final = b"TUC1"
_SEAL: Final = struct.Struct("<II4s")  # groups, checksum, tag
_TAIL: Final = struct.Struct("<I4s")  # bytes of the end, "PAR1"
_LEAST: Final = len(_MAGIC) + _SEAL.size + _TAIL.size  # bytes of a file
_MOST: Final = 1 << 32  # a month of 1s bars, the longest that we write, takes 1/50 of it
_WHOLE: Final = 1 << 20  # a file up to here is read at once; of a larger one the end, and then what is needed
_TAIL_BYTES: Final = 1 << 16
_MAX_GROUP_ROWS: Final = 1 << 20  # no group of ours is larger; one that claims more is not believed
_UNREADABLE: Final = (pa.ArrowException, OSError, MemoryError, OverflowError, ValueError, IndexError)


def sealed(data: memoryview) -> memoryview:
    """Return a Parquet file with our checksums in it."""
    length, _ = _TAIL.unpack(data[-_TAIL.size :])
    pages, end = data[: len(data) - _TAIL.size - length], data[len(data) - _TAIL.size - length :]
    about = pq.read_metadata(pa.BufferReader(data))
    sums = [zlib.crc32(data[first:last]) for first, last in map(_extent, _groups(about))]
    packed = struct.pack(f"<{len(sums)}I", *sums)
    seal = _SEAL.pack(len(sums), zlib.crc32(end, zlib.crc32(packed)), _TAG)
    return memoryview(b"".join((pages, packed, seal, end)))


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[int]:
    """Open a file for a while; what the system refuses is a `HistoryError`, but that it is not there."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place would have us wait
    except FileNotFoundError as error:
        if path.is_symlink():  # to a disk that is not mounted: taken for no file, it would be replaced by a new one
            raise HistoryError(f"{path} is a link to {path.readlink()}, which is not there; mount that disk") from error
        raise
    except OSError as error:
        raise HistoryError(f"{path} could not be read: {error.strerror}") from error
    try:
        yield handle
    except OSError as error:
        raise HistoryError(f"{path} could not be read: {error.strerror}") from error
    finally:
        os.close(handle)


class PartitionFile:
    """
    A partition that is open; its end was read and verified, and is one that we could have written.

    What is read lies at its place in ``_held``, which is as long as the file; the rest of it is never touched. Not a
    memory map: a file that is cut short under one kills the process that reads it.

    Parameters
    ----------
    path : Path
        For what is said of it.
    handle : int
        The open file; it must stay open as long as rows are read.

    Attributes
    ----------
    stat : os.stat_result
        Which file it is.
    groups : list
        What its end says of each group of rows.

    Raises
    ------
    HistoryCorrupt : damaged, cut short, or not one of ours.
    """

    def __init__(self, path: pathlib.Path, handle: int) -> None:
        self._path, self._handle = path, handle
        self.stat = os.fstat(handle)
        self._size = self.stat.st_size
        if not stat.S_ISREG(self.stat.st_mode) or not _LEAST <= self._size <= _MOST:
            raise self.corrupt("is no file of ours: it is cut short, or of no size that we write")
        self._held = bytearray(self._size)
        self._loaded = self._size  # from here to its end the file is in memory
        self._load(0 if self._size <= _WHOLE else self._size - _TAIL_BYTES)
        self._sums, first_after = self._seal()
        try:
            self._file = self._parsed(page_checksums=False)
            self.groups = _groups(self._file.metadata)
            self._extents = [_extent(group) for group in self.groups]
            self._check_claims(self._file.schema_arrow, first_after)
        except _UNREADABLE as error:
            raise self.corrupt(f"is not a Parquet file that can be read: {_brief(error)}") from error

    def corrupt(self, problem: str) -> HistoryCorrupt:
        """Return the error that says what is wrong with the file."""
        return HistoryCorrupt(f"{self._path} {problem}")

    def _load(self, first: int) -> None:
        """Have the bytes from ``first`` on in memory."""
        if first < self._loaded:
            self._read(first, self._loaded)
            self._loaded = first

    def _read(self, first: int, last: int) -> None:
        view = memoryview(self._held)
        while first < last:
            count = os.preadv(self._handle, [view[first:last]], first)
            if not count:
                raise self.corrupt("was cut short while it was read")
            first += count

    def check_beginning(self) -> None:
        """Refuse a file whose first bytes, which no checksum covers, are not those of Parquet."""
        if os.pread(self._handle, len(_MAGIC), 0) != _MAGIC:
            raise self.corrupt("is damaged: it does not begin as a Parquet file does")

    def _seal(self) -> tuple[tuple[int, ...], int]:
        """Return the checksums of the groups, and where the groups end; what says so is verified."""
        length, magic = _TAIL.unpack_from(self._held, self._size - _TAIL.size)
        end = self._size - _TAIL.size - length
        if magic != _MAGIC or end < _LEAST - _TAIL.size:
            raise self.corrupt("is cut short or damaged: its end is not that of a Parquet file")
        self._load(end - _SEAL.size)
        groups, told, tag = _SEAL.unpack_from(self._held, end - _SEAL.size)
        first = end - _SEAL.size - 4 * groups
        if tag != _TAG or first < len(_MAGIC):
            raise self.corrupt("was damaged, or not written by tradeutils; import it instead")
        self._load(first)
        view = memoryview(self._held)
        if zlib.crc32(view[end:], zlib.crc32(view[first : end - _SEAL.size])) != told:
            raise self.corrupt("is damaged: its end fails its checksum")
        return struct.unpack_from(f"<{groups}I", self._held, first), first

    def _parsed(self, *, page_checksums: bool) -> Any:
        source = pa.BufferReader(pa.py_buffer(self._held))
        return pq.ParquetFile(source, page_checksum_verification=page_checksums)

    def _check_claims(self, schema: pa.Schema, first_after: int) -> None:
        """Refuse an end that has Arrow ask for more memory than rows like these take, or leaves bytes unchecked."""
        if not schema.equals(SCHEMA):
            found = ", ".join(f"{field.name} {field.type}" for field in itertools.islice(schema, 12))
            raise self.corrupt(f"has the columns {found}; ours are {', '.join(FIELDS)}, none null; import it instead")
        if not self.groups or len(self.groups) != len(self._sums):
            raise self.corrupt(f"has {len(self.groups)} groups of rows and checksums of {len(self._sums)}")
        at = len(_MAGIC)
        for group, (first, last) in zip(self.groups, self._extents, strict=True):
            if not 0 < group.num_rows <= _MAX_GROUP_ROWS or first != at or last <= first:
                raise self.corrupt(f"has a group of {group.num_rows} rows at {first} to {last}, which cannot be")
            at = last
            for chunk in map(group.column, range(len(FIELDS))):
                if chunk.num_values != group.num_rows or chunk.total_uncompressed_size > 16 * group.num_rows + 4096:
                    raise self.corrupt(f"claims {chunk.total_uncompressed_size} bytes of {group.num_rows} rows")
        if at != first_after:
            raise self.corrupt("holds bytes that belong to no row")

    def groups_with(self, since: int | None, until: int | None, last: int | None) -> Sequence[int]:
        """Return which groups can hold the rows asked for."""
        if since is None and until is None and last is None:
            return range(len(self.groups))
        found: list[int] = []
        held = 0
        for at in reversed(range(len(self.groups))):
            first, final = self.span(self.groups[at])
            if (until is None or first < until) and (since is None or final >= since):
                found.append(at)
                # Of a group that reaches beyond the range it is not known how many of its rows lie within.
                held += self.groups[at].num_rows if until is None or final < until else 0
            if last is not None and held >= last:
                break
        return found[::-1]

    def span(self, group: Any) -> tuple[int, int]:
        """Return the first and the last time of a group, from its statistics."""
        told = group.column(0).statistics
        if told is None or not told.has_min_max:
            raise self.corrupt("does not say from when to when its groups of rows are")
        return int(told.min_raw), int(told.max_raw)

    def rows(self, groups: Sequence[int], *, page_checksums: bool = False) -> Rows:
        """Return the rows of consecutive groups, verified."""
        for at in groups:
            first, last = self._extents[at]
            if first < self._loaded:
                self._read(first, min(last, self._loaded))
            if zlib.crc32(memoryview(self._held)[first:last]) != self._sums[at]:
                raise self.corrupt(f"is damaged: rows of group {at} fail their checksum")
        try:
            file = self._parsed(page_checksums=True) if page_checksums else self._file
            table = file.read_row_groups(list(groups), use_threads=False)
            time, *prices = (_numbers(table.column(at)) for at in range(len(FIELDS)))
        except _UNREADABLE as error:
            raise self.corrupt(f"is damaged: {_brief(error)}") from error
        if {len(time), *map(len, prices)} != {sum(self.groups[at].num_rows for at in groups)}:
            raise self.corrupt("is damaged: it has more or fewer rows than it says")
        if not (time[1:] > time[:-1]).all():
            raise self.corrupt("has times that do not rise")
        return Rows(time, *prices)


def _groups(about: Any) -> list[Any]:
    return [about.row_group(at) for at in range(about.num_row_groups)]


def _extent(group: Any) -> tuple[int, int]:
    """Return where the bytes of a group of rows begin and end; its columns lie one after the other."""
    first = group.column(0).data_page_offset  # of the times, which have no dictionary before them
    return first, first + sum(group.column(at).total_compressed_size for at in range(group.num_columns))


def _numbers(column: pa.ChunkedArray) -> Any:
    """
    Return a column's values as they lie in Arrow's memory.

    Not ``ChunkedArray.to_numpy``, whose first call imports pandas: 200 ms.
    """
    kind = np.int64 if pa.types.is_timestamp(column.type) else np.float64
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype=kind, count=len(chunk), offset=8 * chunk.offset)
        for chunk in column.chunks
        if len(chunk)
    ]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.empty(0, dtype=kind)
    whole.flags.writeable = False
    return whole


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
