"""Partitions kept decoded in memory, for panels that are asked for again and again."""

from __future__ import annotations

import os
import pathlib
import threading
import weakref
from collections import OrderedDict
from typing import Final

from tradeutils.errors import HistoryError, UsageError
from tradeutils.history.store.partitions import load_partition, read_partition
from tradeutils.history.store.rows import Rows

__all__ = ["HotPartitions", "hot_bytes"]

# In memory, not in files beside the tree. A month of 1m into a panel, ms: from Parquet 2.0; from a mapped file of plain
# columns 0.30, or 0.66 with the checksum that a file of this kind needs; from memory 0.18. Files could be used by other
# processes, but take 48 bytes a candle of disk beside our 13, and a map of one that is cut short kills its reader.
_ROW_BYTES: Final = 48
_SHARE: Final = 8  # of the machine's memory, where no size is given

_Identity = tuple[int, int, int, int, int]


def hot_bytes(hot: int | bool | None) -> int:
    """
    Return the bytes that an option ``hot=`` stands for: 0 for none, an eighth of the memory for ``True``.

    Raises
    ------
    UsageError : negative, or no number.
    """
    if hot is None or hot is False:
        return 0
    if hot is True:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _SHARE
    if not isinstance(hot, int) or hot < 0:
        raise UsageError(f"hot was {hot!r}; give the bytes to keep decoded, or True for an eighth of the memory")
    return hot


class HotPartitions:
    """
    Reads partitions, and keeps those that were read last as they were decoded; safe from many threads.

    A file is known by its inode, size and times, so one that was replaced is read anew: what is kept is never stale.
    Nothing is kept on the disk, and nothing is lost with it.

    Parameters
    ----------
    limit : int
        Bytes to keep at most, 48 a row; those that were not asked for longest go first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[pathlib.Path, tuple[_Identity, Rows]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        _ALL.add(self)

    @property
    def files(self) -> int:
        """How many partitions are kept."""
        return len(self._held)

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def read(
        self, path: pathlib.Path, *, since: int | None = None, until: int | None = None, last: int | None = None
    ) -> Rows:
        """
        Return the rows of a file that open in ``[since, until)``, or the newest ``last`` of those.

        Raises
        ------
        FileNotFoundError : there is no such file.
        HistoryCorrupt : damaged, cut short, or not one of ours; the file is named.
        HistoryError : it may not be read, or the disk fails.
        """
        try:
            about = path.stat()
        except FileNotFoundError:
            return read_partition(path)  # which says what is wrong, if it is a link
        except OSError as error:
            raise HistoryError(f"{path} could not be read: {error.strerror}") from error
        rows = self._kept(path, _identity(about))
        if rows is None:
            # 10 to 13 bytes a row in the file: one that cannot fit is not decoded whole for nothing.
            if about.st_size * 3 > self._limit:
                return read_partition(path, since=since, until=until, last=last)
            rows, about = load_partition(path)
            self._keep(path, _identity(about), rows)
        rows = rows.between(since, until)
        return rows if last is None else rows.last(last)

    def clear(self) -> None:
        """Keep nothing of what was read so far."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def _kept(self, path: pathlib.Path, identity: _Identity) -> Rows | None:
        with self._lock:
            found = self._held.get(path)
            if found is None or found[0] != identity:
                return None
            self._held.move_to_end(path)
            return found[1]

    def _keep(self, path: pathlib.Path, identity: _Identity, rows: Rows) -> None:
        with self._lock:
            before = self._held.pop(path, None)
            self._bytes -= _ROW_BYTES * len(before[1]) if before else 0
            if _ROW_BYTES * len(rows) > self._limit:
                return  # it would drive out all others, and not stay either
            self._held[path] = identity, rows
            self._bytes += _ROW_BYTES * len(rows)
            while self._bytes > self._limit:
                _, (_, dropped) = self._held.popitem(last=False)
                self._bytes -= _ROW_BYTES * len(dropped)

    def renew_lock(self) -> None:
        """Begin anew in the child of a fork: the thread that held the lock, or was changing what it guards, is gone."""
        self._lock = threading.Lock()
        self._held = OrderedDict()
        self._bytes = 0


_ALL: Final[weakref.WeakSet[HotPartitions]] = weakref.WeakSet()


def _renew_all() -> None:
    for one in _ALL:
        one.renew_lock()


os.register_at_fork(after_in_child=_renew_all)


def _identity(about: os.stat_result) -> _Identity:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
