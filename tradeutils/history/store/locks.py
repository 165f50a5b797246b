"""One writer a series: a lock that the system takes back when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
from typing import Final

from tradeutils.errors import HistoryError, HistoryLocked
from tradeutils.history.store.partitions import refused

__all__ = ["LOCK", "SeriesLock"]

LOCK: Final = "_lock"


class SeriesLock:
    """
    The lock of a series' folder, taken at once or not at all.

    It belongs to the open file, not to the process: two in one process exclude each other too, and the child of a fork
    would share it, which is why `History` lets go of it there. The file stays and holds the number of the process that
    took it last; it says nothing about whether the lock is held.

    Raises
    ------
    HistoryLocked : another writer has it.
    HistoryError : the folder cannot be written to.
    """

    __slots__ = ("_handle",)

    def __init__(self, folder: pathlib.Path) -> None:
        path = folder / LOCK
        self._handle = -1
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise refused(path, error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(self._handle)
            self.release()
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise _locked(folder, holder) from error
            raise HistoryError(f"{path} could not be locked: {error.strerror}") from error
        if _holder(self._handle) != os.getpid():
            with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, and only its note is missing
                os.pwrite(self._handle, b"%20d\n" % os.getpid(), 0)

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        """Give it back; in the child of a fork the parent keeps it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


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
