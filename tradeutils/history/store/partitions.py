"""
One month or year of one series as a Parquet file: written whole or not at all, read by range, checked to the byte.

Any Parquet reader reads them: columns ``time`` (timestamp in ms, UTC), ``open``, ``high``, ``low``, ``close`` and
``volume`` (float64), none of which may be null.
"""

from __future__ import annotations

import errno
import itertools
import os
import pathlib
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tradeutils.errors import HistoryError, HistoryFull, UsageError
from tradeutils.history.store.partition_file import SCHEMA, PartitionFile, opened, sealed
from tradeutils.history.store.rows import Rows
from tradeutils.model.candles import PRICE_FIELDS, Column

__all__ = [
    "check_partition",
    "load_partition",
    "read_partition",
    "refused",
    "sync_folder",
    "write_partition",
]

# Which encoding is the best depends on how many ticks a price has, so each file has its own, by a trial on its first
# group of rows. A month of real BTC closes, also brought to the prices and ticks of others: bytes a price / ms to read.
#                         split: zstd 3, 15       plain: zstd 1, 15      dictionary: zstd 1, lz4
#   BTC,  42314.0         2.80/.29  2.40/.32     2.79/.45  2.67/.71     3.94/.48
#   ETH,  2283.41         4.80/.37  4.10/.39     2.98/.38  2.36/.48     3.57/.37
#   SOL,  101.52          4.54/.33  3.95/.45     1.75/.35  1.48/.34     1.51/.16  1.64/.07
#   DOGE, 0.08951         6.06/.14  5.22/.47     1.85/.34  1.69/.33     1.90/.21
# Few ticks: a dictionary, nearly as small as the best and read fastest, with lz4 five times as fast as plain. Many:
# plain, which finds whole prices again, but split into streams of bytes where their fraction has few patterns. All of
# real BTC: 33.5 bytes a candle as pandas writes it (dictionary, snappy), 15.5 plain with zstd 3, 15.0 so; and 12.9
# where levels of 13 and more give each stretch of a page its own code, which takes 17 times as long to write, so that
# is for months that are over. As decimals, deltas of ticks would take 1.4 bytes a price, but others would read decimals
# of another scale in each file. Decompression is most of a read; our checksums take 0.1 ms a month, where Parquet's own
# would take 0.16.
_SPLIT, _PLAIN, _DICTIONARY = "BYTE_STREAM_SPLIT", "PLAIN", "dictionary"
_QUICK: Final = {_SPLIT: 3, _PLAIN: 1}
_DENSE: Final = {_SPLIT: 15, _PLAIN: 15}
_FEW: Final = 4  # rows a distinct number, from which on a dictionary is the smallest or nearly so
_PREFERENCE: Final = 1.03  # split is read in two thirds of the time of plain, so it may be a little larger

# A quarter of a month of minutes, one page of 87 KiB a column. Whole groups are decoded, so larger ones make ranges and
# the newest 500 rows dearer to read: 16,384 rows, a tenth of a read of 30 days. Smaller ones cost bytes, for zstd packs
# pages of up to 64 KiB by other rules: densely 12.7 bytes a candle at 16,384 rows, 12.9 here, 14.5 at 8,192.
GROUP_ROWS: Final = 11_160

_NUMBERS: Final = itertools.count()
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def refused(path: pathlib.Path, error: OSError) -> HistoryError:
    """Return what to raise where the system refused a write: `HistoryFull` for want of room, else `HistoryError`."""
    reason = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return HistoryFull(f"{path} could not be written: {reason}; make room and write again, nothing stored was lost")
    return HistoryError(f"{path} could not be written: {reason}; nothing stored was lost")


def write_partition(path: pathlib.Path, rows: Rows, *, dense: bool = False) -> int:
    """
    Put rows into a file, in place of what it held; on return they are on the disk.

    A reader sees the old file or the new one, and a kill at any moment leaves one of them (and a file
    ``.NAME.PID-N.tmp`` beside it, which nobody reads).

    Parameters
    ----------
    path : Path
        In a folder that exists.
    rows : Rows
        At least one.
    dense : bool
        Pack as small as can be: 12.9 bytes a candle of real BTC 1m instead of 15.0, for 80 ms a month instead of 5.

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    UsageError : no rows.
    HistoryFull : no room for it; the old file stands.
    HistoryError : the folder cannot be written to.
    """
    if not len(rows):
        raise UsageError(f"no rows were given for {path}; delete the file to empty a partition")
    data = _encoded(rows, dense)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_NUMBERS)}.tmp")
    try:
        _put(temporary, data)
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise refused(path, error) from error
    return len(data)


def sync_folder(folder: pathlib.Path) -> None:
    """Have the disk know which files a folder holds."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _encoded(rows: Rows, dense: bool) -> memoryview:
    arrays = [pa.array(rows.time, type=pa.int64()).view(SCHEMA.field(0).type)]
    arrays += [pa.array(getattr(rows, name), from_pandas=False) for name in PRICE_FIELDS]
    levels = _DENSE if dense else _QUICK
    chosen = {**dict.fromkeys(PRICE_FIELDS, _best(rows.close, levels)), "volume": _best(rows.volume, levels)}
    encodings = {name: encoding for name, encoding in chosen.items() if encoding != _DICTIONARY}
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        SCHEMA,
        # lz4 also for the time, whose constant steps take 0.02 bytes a candle, and half the time, with either.
        compression={"time": "lz4", **{name: "zstd" if name in encodings else "lz4" for name in PRICE_FIELDS}},
        compression_level={name: levels[encoding] for name, encoding in encodings.items()},
        use_dictionary=[name for name, encoding in chosen.items() if encoding == _DICTIONARY],
        column_encoding={"time": "DELTA_BINARY_PACKED", **encodings},
        write_statistics=["time"],
        write_page_checksum=True,
        data_page_size=1 << 20,  # never reached: a group of a column is one page
        store_schema=False,  # 600 bytes a file that say what the Parquet types say
    ) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), row_group_size=GROUP_ROWS)
    return sealed(memoryview(sink.getvalue()))


def _best(column: Column, levels: Mapping[str, int]) -> str:
    """Return the encoding that suits a column, by its first group of rows."""
    sample = np.ascontiguousarray(column[:GROUP_ROWS])
    if len(np.unique(sample)) * _FEW <= len(sample):
        return _DICTIONARY
    split = np.ascontiguousarray(sample.view(np.uint8).reshape(-1, 8).T)
    sizes = [
        len(pa.Codec("zstd", compression_level=levels[encoding]).compress(data))
        for encoding, data in ((_SPLIT, split), (_PLAIN, sample))
    ]
    return _SPLIT if sizes[0] < _PREFERENCE * sizes[1] else _PLAIN


def _put(path: pathlib.Path, data: memoryview) -> None:
    """Write a new file to the disk; take it away again where that fails."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        try:
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_partition(
    path: pathlib.Path, *, since: int | None = None, until: int | None = None, last: int | None = None
) -> Rows:
    """
    Return the rows of a file that open in ``[since, until)``, or the newest ``last`` of those.

    Only the groups of rows that can hold them are decoded, 11,160 rows each, and their checksums are verified first.

    Raises
    ------
    FileNotFoundError : there is no such file.
    HistoryCorrupt : damaged, cut short, or not one of ours; the file is named.
    HistoryError : it may not be read, or the disk fails.
    """
    return load_partition(path, since=since, until=until, last=last)[0]


def load_partition(
    path: pathlib.Path, *, since: int | None = None, until: int | None = None, last: int | None = None
) -> tuple[Rows, os.stat_result]:
    """Do as `read_partition`, and return also which file it was: by now the name may be another's."""
    with opened(path) as handle:
        file = PartitionFile(path, handle)
        groups = file.groups_with(since, until, last)
        rows = (file.rows(groups) if groups else Rows.empty()).between(since, until)
        return (rows if last is None else rows.last(last)), file.stat


def check_partition(path: pathlib.Path) -> Rows:
    """
    Return all rows of a file, having verified every byte of it: checksums, types, order, and what its end claims.

    Raises
    ------
    FileNotFoundError : there is no such file.
    HistoryCorrupt : damaged, cut short, or not one of ours; the file is named.
    HistoryError : it may not be read, or the disk fails.
    """
    with opened(path) as handle:
        file = PartitionFile(path, handle)
        file.check_beginning()
        rows = file.rows(range(len(file.groups)), page_checksums=True)
        at = 0
        for group in file.groups:
            first, last = file.span(group)
            if (first, last) != (int(rows.time[at]), int(rows.time[at + group.num_rows - 1])):
                raise file.corrupt(f"says that a group of its rows is from {first} to {last}, which it is not")
            at += group.num_rows
        return rows
