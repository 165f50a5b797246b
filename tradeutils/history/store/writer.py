"""One series as it is written: the lock, the journal and the partitions, by one thread at a time."""

from __future__ import annotations

import itertools
import logging
import os
import pathlib
import threading
import time as _clock
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError, HistoryError, HistoryFull
from tradeutils.history.store.asked import Note, note_range
from tradeutils.history.store.journal import RECORD_BYTES, Journal, read_journal
from tradeutils.history.store.layout import (
    Partition,
    check_format,
    make_folder,
    partition_at,
    partition_indices,
    write_format,
)
from tradeutils.history.store.locks import SeriesLock
from tradeutils.history.store.partitions import read_partition, refused, sync_folder, write_partition
from tradeutils.history.store.quarantine import Suspects, keep_aside
from tradeutils.history.store.rows import Rows, merged
from tradeutils.history.store.series import Series

__all__ = ["Counts", "Writer", "Writing"]

_LOG: Final = logging.getLogger(__name__)

_KEPT_ROWS: Final = 1024  # newest candles kept in memory, so that a poll of 500 is compared without a read
_SEAL_AGE_S: Final = 86_400.0
_NOTE_BYTES: Final = 4096
_ROW_BYTES: Final = 24  # at most, of a candle in Parquet: what a seal is taken to need


@dataclass(frozen=True, slots=True)
class Counts:
    """Candles that were not there, that stood there with other values, and that stood there already."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Writing:
    """
    How a history writes.

    Attributes
    ----------
    root : Path
    seal_rows : int
        Records of a journal at which it is sealed, at the latest; a write of more goes to Parquet at once.
    min_free : int
        Bytes that are to stay free on the disk.
    """

    root: pathlib.Path
    seal_rows: int
    min_free: int

    def check_room(self, needed: int, *, reserved: bool = True) -> None:
        """
        Raise `HistoryFull` where ``needed`` bytes more would leave less than ``min_free``.

        That reserve is for sealing what is in the journals, which asks with ``reserved=False``.
        """
        try:
            about = os.statvfs(self.root)
        except OSError:
            return  # not there yet: making it says what is wrong
        free = about.f_bavail * about.f_frsize
        least = self.min_free if reserved else 0
        if free - needed < least:
            raise HistoryFull(
                f"{self.root} has {free:,} bytes free, {needed:,} are needed and {least:,} are to stay free "
                "(min_free=); make room and write again, nothing stored was lost"
            )


class Writer:
    """
    One series of a history, for writing. Whoever calls it holds ``mutex``.

    What is on the disk is the truth: whatever is kept here is forgotten when another process has written meanwhile, or
    when a write fails.

    Parameters
    ----------
    series : Series
    writing : Writing
    """

    __slots__ = (
        "_journal", "_lock", "_newest", "_seal_at", "_sealed_by", "_share", "_whole", "_writing", "mutex", "series",
        "users",
    )  # fmt: skip

    def __init__(self, series: Series, writing: Writing) -> None:
        self.series = series
        self.mutex = threading.Lock()
        self.users = 0
        self._writing = writing
        self._lock: SeriesLock | None = None
        self._journal: Journal | None = None
        self._newest: Rows | None = None
        self._whole = False
        # Symbols that are appended to together would all seal in one minute: each has a threshold of its own.
        self._share = 0.75 + 0.25 * zlib.crc32(str(series.key).encode()) / 2**32
        self._plan_seal()

    @property
    def is_open(self) -> bool:
        """Whether it holds the lock, and two of the files that a process may have open."""
        return self._lock is not None

    def open(self) -> Journal:
        """
        Take the lock, and return the journal.

        Raises
        ------
        HistoryLocked : another writer has the series.
        HistoryCorrupt : the journal is damaged.
        HistoryFull, HistoryError : the folder cannot be made or written to.
        """
        journal = self._journal if self._journal is not None and self._journal.is_open else None
        if self._lock is not None and journal is not None and self._lock.is_held() and journal.is_there():
            return journal
        if self._lock is not None and (journal is not None or not self._lock.is_held()):
            self._begin_anew()
        self.take_lock()
        try:
            if self._journal is None or not self._journal.reopen():
                self.remove_leftovers()
                self._newest = None
                self._journal = None
                self._journal = Journal(self.series.journal)
        except BaseException:
            self.close()
            raise
        return self._journal

    def _begin_anew(self) -> None:
        """Let go of files that are no longer the folder's: it was deleted, moved or replaced, or its lock was."""
        self.close()
        self._journal = None
        if not check_format(self._writing.root):
            write_format(self._writing.root)

    def take_lock(self) -> None:
        """Take the lock only: for who mends a journal that cannot be opened."""
        if self._lock is None:
            if self._journal is None:
                make_folder(self._writing.root, self.series.key)
            self._lock = SeriesLock(self.series.folder)

    def forget(self) -> None:
        """Believe nothing that is kept in memory: the files were changed by another way."""
        self._newest = None
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def check_room(self, needed: int) -> None:
        """Raise `HistoryFull` where ``needed`` bytes more would leave too little of the disk free."""
        self._writing.check_room(needed)

    def remove_leftovers(self) -> int:
        """Take away files that a killed writer left half made; return how many. Nobody else writes here."""
        found = [path for path in self.series.folder.glob(".*.tmp") if path.is_file()]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def close(self) -> None:
        """Give the lock back. What is known of the series is kept, and used again if nobody else has written."""
        if self._journal is not None:
            self._journal.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def write(self, rows: Rows) -> Counts:
        """
        Store candles; on return they are on the disk.

        Raises
        ------
        HistoryLocked, HistoryFull, HistoryCorrupt, HistoryError : none of them was acknowledged.
        """
        journal = self.open()
        if not len(rows):
            return Counts()
        fresh, counts = self._compared(rows)
        if not len(fresh):
            return counts
        self.check_room(len(fresh) * RECORD_BYTES)
        if len(fresh) > self._writing.seal_rows:
            self._settle(fresh)
            return counts
        try:
            journal.append(fresh)
        except BaseException:
            self._newest = None
            raise
        self._remember(fresh)
        if journal.records >= self._seal_at or _clock.monotonic() > self._sealed_by:
            self._seal_quietly(journal)
        return counts

    def _compared(self, rows: Rows) -> tuple[Rows, Counts]:
        """Return the candles that are not stored as they are, and how many there were of each kind."""
        known = self._known(int(rows.time[0]), int(rows.time[-1]) + 1)
        if not len(known):
            return rows, Counts(added=len(rows))
        place = known.time.searchsorted(rows.time)
        place[place == len(known)] = 0
        there = known.time[place] == rows.time
        same = there & _equal(rows, known, place)
        counts = Counts(int((~there).sum()), int((there & ~same).sum()), int(same.sum()))
        return (rows if not counts.unchanged else rows.where(~same)), counts

    def _known(self, since: int, until: int) -> Rows:
        if self._newest is None:
            newest = self.series.rows(last=_KEPT_ROWS)
            self._newest = newest.where(np.ones(len(newest), dtype=np.bool_))  # views would hold all that was decoded
            self._whole = len(self._newest) < _KEPT_ROWS
        if self._whole or (len(self._newest) and since >= self._newest.time[0]):
            return self._newest.between(since, until)
        return self.series.rows(since, until)

    def _remember(self, fresh: Rows) -> None:
        newest = self._newest
        if newest is None:
            return
        if not self._whole:  # what is older than the first of them may have holes
            fresh = fresh.between(int(newest.time[0]))
        newest = merged(newest, fresh)
        if len(newest) > 2 * _KEPT_ROWS:
            newest = newest.last(_KEPT_ROWS)
            self._whole = False
        self._newest = newest

    def _seal_quietly(self, journal: Journal) -> None:
        """Seal after a write that is acknowledged whatever comes of this; a failure is tried again, later."""
        try:
            self.seal()
        except (HistoryError, DataError) as error:
            _LOG.warning("%s was not sealed, and stays in its journal: %s", self.series.key, error)
            self._seal_at = journal.records + max(1, self._writing.seal_rows // 4)
            self._sealed_by = _clock.monotonic() + _SEAL_AGE_S

    def seal(self) -> int:
        """Move what is in the journal into the partitions; return how many candles that were."""
        journal = self.open()
        if not journal.records:
            return 0
        return self._settle(Rows.empty())

    def _settle(self, fresh: Rows) -> int:
        """
        Merge the journal and ``fresh`` into the partitions, then begin a new journal.

        A kill before the last step leaves the old journal over partitions that hold the same candles.
        """
        journal = self.open()
        tail = read_journal(self.series.journal).rows
        both = merged(tail, fresh)
        self._newest = None
        self._writing.check_room(len(both) * _ROW_BYTES, reserved=len(fresh) > 0)
        for index, first, last in _runs(partition_indices(both.time, self.series.frame)):
            self._merge(index, both.slice(first, last))
        journal.restart()
        self._plan_seal()
        return len(tail)

    def _plan_seal(self) -> None:
        self._seal_at = max(1, int(self._writing.seal_rows * self._share))
        self._sealed_by = _clock.monotonic() + self._share * _SEAL_AGE_S

    def _merge(self, index: int, rows: Rows) -> None:
        path = self.series.folder / partition_at(index, self.series.frame).name
        try:
            older = read_partition(path)
        except FileNotFoundError:
            older = Rows.empty()
        write_partition(path, merged(older, rows))

    def note(self, note: Note, since: int, until: int) -> None:
        """Note that a range was asked for, forgotten or pruned."""
        if note is Note.ASKED:  # the others go with making room
            self.check_room(_NOTE_BYTES)
        self.open()
        note_range(self.series.folder, note, since, until)

    def prune(self, parts: Sequence[Partition], since: int, until: int) -> None:
        """
        Take partitions away for good, with what the journal holds of them; note ``[since, until)`` as pruned.

        The note comes first: a kill after it leaves files that the next call takes, and no hole that a backfill would
        fill. Where the disk is too full even for that, the files make room for it.
        """
        journal = self.open()
        try:
            self.note(Note.PRUNED, since, until)
            self._take_away(parts)
        except HistoryFull:
            self._take_away(parts)
            self.note(Note.PRUNED, since, until)
        # A new generation either way: whatever anybody keeps of this series in memory is no longer so.
        if journal.records:
            self._settle(Rows.empty())
            self._take_away(parts)
        else:
            journal.restart()
        self._newest = None

    def _take_away(self, parts: Sequence[Partition]) -> None:
        try:
            for part in parts:
                (self.series.folder / part.name).unlink(missing_ok=True)
            sync_folder(self.series.folder)
        except OSError as error:
            raise refused(self.series.folder, error) from error

    def keep_aside(self, suspects: Suspects) -> None:
        """Keep rows that are no candles beside the series, those that are there already once."""
        self.check_room(_NOTE_BYTES + len(suspects.rows) * 2 * RECORD_BYTES)
        self.open()
        keep_aside(self.series.folder, suspects)


def _equal(rows: Rows, known: Rows, place: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Return which rows equal the known ones at ``place``; of prices and volumes NaN equals NaN."""
    same = np.ones(len(rows), dtype=np.bool_)
    for ours, theirs in zip(rows.columns()[1:], known.columns()[1:], strict=True):
        there = theirs[place]
        same &= (ours == there) | ((ours != ours) & (there != there))
    return same


def _runs(indices: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return each index with the first and last row (exclusive) that have it; they rise."""
    edges = np.flatnonzero(np.diff(indices)) + 1
    bounds = [0, *edges.tolist(), len(indices)]
    return [(int(indices[first]), first, last) for first, last in itertools.pairwise(bounds) if last > first]
