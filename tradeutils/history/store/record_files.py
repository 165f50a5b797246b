"""Small files of records of one size, each with its checksum: read whole, and appended to by whoever has the lock."""

from __future__ import annotations

import os
import pathlib

from tradeutils.history.store.partition_file import opened
from tradeutils.history.store.partitions import refused, sync_folder

__all__ = ["append_records", "read_records", "records_in"]


def read_records(path: pathlib.Path) -> bytes:
    """
    Return all bytes of a file, none where there is none.

    Raises
    ------
    HistoryError : it cannot be read.
    """
    try:
        with opened(path) as handle:
            return os.pread(handle, os.fstat(handle).st_size, 0)
    except FileNotFoundError:
        return b""


def records_in(path: pathlib.Path, size: int) -> int:
    """Return how many whole records of ``size`` bytes a file has; none where it cannot be told."""
    try:
        return path.stat().st_size // size
    except OSError:
        return 0


def append_records(path: pathlib.Path, data: bytes, size: int) -> None:
    """
    Add records of ``size`` bytes to a file; on return they are on the disk. Half a record at its end is cut off.

    Raises
    ------
    HistoryFull, HistoryError : they could not be written, and none of them was.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            end = os.fstat(handle).st_size
            end -= end % size
            _put(handle, data, end)
        finally:
            os.close(handle)
        if not end:
            sync_folder(path.parent)
    except OSError as error:
        raise refused(path, error) from error


def _put(handle: int, data: bytes, end: int) -> None:
    try:
        os.ftruncate(handle, end)
        done = 0
        while done < len(data):  # a disk that fills up takes a part, and refuses the next
            done += os.pwrite(handle, memoryview(data)[done:], end + done)
        os.fdatasync(handle)
    except BaseException:
        os.ftruncate(handle, end)
        raise
