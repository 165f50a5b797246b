"""The files of one history: its series for reading, and those that this process writes."""

from __future__ import annotations

import contextlib
import os
import pathlib
import resource
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from tradeutils.errors import Closed, HistoryError, UsageError
from tradeutils.history.store.layout import SeriesKey, check_format, folder_of, keys_in, nameless_in, write_format
from tradeutils.history.store.partitions import read_partition
from tradeutils.history.store.series import PartitionReader, Series
from tradeutils.history.store.writer import Writer, Writing

__all__ = ["Store"]

_MOST_OPEN: Final = 1024  # series, each with two files: the lock and the journal
_SHARE_OF_FILES: Final = 8  # an eighth of those the process may open at most: the rest is the program's
_MOST_KNOWN: Final = 2048  # series whose newest candles are kept in memory, 50 to 100 kB each


class Store:
    """
    The files under one folder.

    Parameters
    ----------
    root : Path
    read_only : bool
    min_free : int
        Bytes that are to stay free on the disk.
    seal_rows : int
        Records of a journal at which it is sealed, at the latest.
    read : PartitionReader
        How partitions are read.
    """

    def __init__(
        self,
        root: pathlib.Path,
        *,
        read_only: bool = False,
        min_free: int = 0,
        seal_rows: int = 4096,
        read: PartitionReader = read_partition,
    ) -> None:
        self.root = root
        self.read_only = read_only
        self.min_free = min_free
        self.seal_rows = seal_rows
        self._read = read
        self._writing = Writing(root, seal_rows, min_free)
        self._mutex = threading.Lock()
        self._writers: OrderedDict[SeriesKey, Writer] = OrderedDict()  # those written to last at the end, as below
        self._opened: OrderedDict[SeriesKey, Writer] = OrderedDict()
        self._most_open = most_open()
        self._closed = False
        self._made = check_format(root)
        if read_only and not root.is_dir():
            raise HistoryError(f"{root} is no folder; open it without read_only=True to begin a history there")
        if root.exists() and not root.is_dir():
            raise HistoryError(f"{root} is a file; give the folder of a history")
        _ALL.add(self)

    def stored(self) -> list[SeriesKey]:
        """Return the series that hold anything, in the order of exchange, symbol, timeframe. Cost: a walk."""
        self.check_open()
        return sorted(key for key in keys_in(self.root) if self.series(key).exists())

    def nameless(self) -> list[tuple[SeriesKey, pathlib.Path]]:
        """Return the folders of series whose names were too long for a path and are not told by their file."""
        return nameless_in(self.root)

    def series(self, key: SeriesKey) -> Series:
        """Return a series for reading."""
        return Series(key, folder_of(self.root, key), self._read)

    def check_open(self) -> None:
        """Raise `Closed` after `close`."""
        if self._closed:
            raise Closed(f"the history at {self.root} was closed; open it again: tu.History({str(self.root)!r})")

    @contextlib.contextmanager
    def writing(self, key: SeriesKey) -> Iterator[Writer]:
        """
        Hand out a series for writing, to one thread at a time. Its lock is taken when it is first written to.

        Raises
        ------
        UsageError : opened with ``read_only=True``.
        Closed : after `close`.
        """
        writer = self._taken(key)
        try:
            with writer.mutex:
                yield writer
        finally:
            self._give_back(writer)

    def check_writable(self) -> None:
        """Raise `UsageError` where it was opened with ``read_only=True``, `Closed` after `close`."""
        if self.read_only:
            raise UsageError(f"the history at {self.root} was opened with read_only=True; open it without to write")
        self.check_open()

    def _taken(self, key: SeriesKey) -> Writer:
        with self._mutex:
            self.check_writable()
            if not self._made:
                write_format(self.root)
                self._made = True
            writer = self._writers.get(key)
            if writer is None:
                writer = self._writers[key] = Writer(self.series(key), self._writing)
            self._writers.move_to_end(key)
            writer.users += 1
            return writer

    def _give_back(self, writer: Writer) -> None:
        with self._mutex:
            writer.users -= 1
            if self._closed and not writer.users:
                writer.close()
            key = writer.series.key
            if writer.is_open:
                self._opened[key] = writer
                self._opened.move_to_end(key)
            if len(self._opened) > self._most_open:
                self._close_oldest()
            if len(self._writers) > _MOST_KNOWN:
                self._forget_oldest()

    def _close_oldest(self) -> None:
        """Close the series that was written to longest ago and that nobody is writing to."""
        for key, writer in self._opened.items():
            if not writer.users:
                writer.close()
                del self._opened[key]
                return

    def _forget_oldest(self) -> None:
        for key, writer in self._writers.items():
            if not writer.users:
                writer.close()
                self._opened.pop(key, None)
                del self._writers[key]
                return

    def close(self) -> None:
        """Give all locks back. A thread that writes just now ends its write first. May be called again."""
        with self._mutex:
            self._closed = True
            for writer in self._writers.values():
                if not writer.users:
                    writer.close()

    def begin_anew(self) -> None:
        """Let go of what is the parent's, in the child of a fork: its locks, its files, its threads' mutexes."""
        self._mutex = threading.Lock()
        for writer in self._writers.values():
            with contextlib.suppress(OSError):  # a thread of the parent was closing it just then
                writer.close()
        self._writers = OrderedDict()
        self._opened = OrderedDict()


def most_open() -> int:
    """Return how many series may be open for writing at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _MOST_OPEN if soft == resource.RLIM_INFINITY else soft // _SHARE_OF_FILES
    return max(1, min(_MOST_OPEN, allowed))


_ALL: Final[weakref.WeakSet[Store]] = weakref.WeakSet()


def _begin_all_anew() -> None:
    for store in _ALL:
        store.begin_anew()


os.register_at_fork(after_in_child=_begin_all_anew)
