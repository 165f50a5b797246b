"""One writer a series: a lock that the system takes back when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import threading
import weakref
from typing import Final

from tradeutils.errors import HistoryError, HistoryLocked
from tradeutils.history.store.partitions import refused

__all__ = ["LOCK", "SeriesLock", "file_at"]

LOCK: Final = "_lock"

_TRIES: Final = 3
_DOORS = threading.RLock()
"""Held while a lock is taken or given back, and while the process forks: a child knows each that it was born with."""


class SeriesLock:
    """
    The lock of a series' folder, taken at once or not at all.

    It belongs to the open file, not to the process: two in one process exclude each other too, and the child of a fork
    would share it, which is why it lets go of it there. The file stays and holds the number of the process that took it
    last; it says nothing about whether the lock is held.

    Raises
    ------
    HistoryLocked : another writer has it.
    HistoryError : the folder cannot be written to.
    """

    __slots__ = ("__weakref__", "_file", "_handle", "_path")

    def __init__(self, folder: pathlib.Path) -> None:
        self._path = os.fspath(folder / LOCK)
        self._handle = -1
        for _ in range(_TRIES):
            self._take(folder)
            if self.is_held():
                break
            self.release()  # somebody deleted the file between our opening and our locking it
        else:
            raise HistoryError(f"{self._path} was deleted {_TRIES} times while it was locked; leave it where it is")
        if _holder(self._handle) != os.getpid():
            with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, and only its note is missing
                os.pwrite(self._handle, b"%20d\n" % os.getpid(), 0)

    def _take(self, folder: pathlib.Path) -> None:
        with _DOORS:
            _ALL.add(self)
            try:
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise refused(folder / LOCK, error) from error
        self._file = file_at(self._handle)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(self._handle)
            self.release()
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise _locked(folder, holder) from error
            raise HistoryError(f"{self._path} could not be locked: {error.strerror}") from error

    def is_held(self) -> bool:
        """Tell whether the locked file is the one there: who deletes it, or moves the folder, lets others in."""
        return file_at(self._path) == self._file

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        """Give it back; in the child of a fork the parent keeps it."""
        with _DOORS:
            if self._handle >= 0:
                handle, self._handle = self._handle, -1
                os.close(handle)


def file_at(place: str | int) -> tuple[int, int] | None:
    """Return which file has a name, or is open: its device and number; None where there is none. Cost: 3 us."""
    try:
        about = os.stat(place)  # noqa: PTH116  # half the time of Path.stat, at each write
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _holder(handle: int) -> int | None:
    try:
        return int(os.pread(handle, 32, 0))
    except (OSError, ValueError):
        return None


def _locked(folder: pathlib.Path, holder: int | None) -> HistoryLocked:
    if holder == os.getpid():
        who = "another History of this process writes it; use one for all threads"
    else:
        who = f"process {holder or '(unknown)'} writes it; write there, or wait until it has closed its History"
    return HistoryLocked(f"{folder} is locked: {who} (reading needs no lock)", pid=holder)


_ALL: Final[weakref.WeakSet[SeriesLock]] = weakref.WeakSet()


def _let_go() -> None:
    """Give back, in the child of a fork, what is the parent's: also what its other threads were taking just then."""
    global _DOORS
    _DOORS = threading.RLock()
    for lock in list(_ALL):
        lock.release()


os.register_at_fork(before=lambda: _DOORS.acquire(), after_in_parent=lambda: _DOORS.release(), after_in_child=_let_go)
