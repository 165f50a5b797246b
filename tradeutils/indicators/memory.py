"""
Memory of results, used again once a result is no longer held.

Pages that the system hands out fresh are cleared as they are first written: a result then costs two to four times
the time of its arithmetic. So large results lie in buffers that come back here when the last array over them is
gone. What is kept is bounded, and given up by :func:`release_memory`.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["arena", "release_memory"]

# Smaller ones the allocator of C keeps anyway.
_SMALLEST: Final = 1 << 18
_ALIGNED: Final = 64


def _limit() -> int:
    """Return how many bytes are kept at most: a sixteenth of the machine's memory, and no more than 1 GiB."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        memory = 1 << 33
    return min(memory // 16, 1 << 30)


class _Lease:
    """What an array stands on: gives its buffer back when no array needs it any more."""

    __slots__ = ("__array_interface__", "_arena", "_buffer")

    def __init__(self, arena: Arena, buffer: npt.NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        address = buffer.ctypes.data
        self._arena = arena
        self._buffer = buffer
        self.__array_interface__ = {
            "version": 3,
            "data": (address + -address % _ALIGNED, False),
            "shape": shape,
            "typestr": dtype.str,
        }

    def __del__(self) -> None:
        self._arena.take_back(self._buffer)


class Arena:
    """
    Buffers for results, safe from any thread.

    Parameters
    ----------
    limit : int
        Bytes that are kept at most while nobody uses them; the oldest go first.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._returned: deque[npt.NDArray[Any]] = deque()
        self._kept: deque[npt.NDArray[Any]] = deque()  # the oldest first
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    @property
    def kept(self) -> int:
        """Bytes that are kept for results to come."""
        with self._lock:
            return sum(buffer.nbytes for buffer in self._kept)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return an array that holds anything at all, C-contiguous; a large one is aligned to 64 bytes."""
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALLEST:
            return np.empty(shape, dtype)
        size += _ALIGNED
        buffer = self._take(size)
        self._settle()
        return np.asarray(_Lease(self, np.empty(size, np.uint8) if buffer is None else buffer, shape, dtype))

    def _take(self, size: int) -> npt.NDArray[Any] | None:
        """Return a kept buffer of this size, if there is one and no other thread is at it."""
        if not self._lock.acquire(blocking=False):  # nor may a signal's handler wait for what it interrupted
            return None
        try:
            for at in reversed(range(len(self._kept))):  # the newest: it may still lie in the caches
                if self._kept[at].nbytes == size:
                    buffer = self._kept[at]
                    del self._kept[at]
                    return buffer
            return None
        finally:
            self._lock.release()

    def take_back(self, buffer: npt.NDArray[Any]) -> None:
        """Keep a buffer. May be called from anywhere, as the collector of garbage is: it waits for no lock."""
        self._returned.append(buffer)
        self._settle()

    def _settle(self) -> None:
        """Keep what was returned and let go of the oldest beyond the limit, unless another thread is at it."""
        while self._returned and self._lock.acquire(blocking=False):
            try:
                while self._returned:
                    self._kept.append(self._returned.popleft())
                kept = sum(buffer.nbytes for buffer in self._kept)
                while kept > self.limit:
                    kept -= self._kept.popleft().nbytes
            finally:
                self._lock.release()

    def clear(self) -> None:
        """Let go of all that is kept."""
        self._settle()
        with self._lock:
            self._kept.clear()

    def _forget(self) -> None:
        """In a forked child: the lock may be held by a thread that is not there."""
        self._lock = threading.Lock()


arena: Final = Arena(_limit())
"""Where results come from."""


def release_memory() -> None:
    """
    Give up the memory that is kept for further results.

    Results of 256 KiB and more lie in memory that is used again once they are no longer held; up to a sixteenth of the
    machine's memory, at most 1 GiB, is kept for that. Results that are held are not touched.
    """
    arena.clear()
