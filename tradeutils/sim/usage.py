"""
What callers have used: weight per address, orders per account, and the requests themselves.

Windows are those of the wall clock, as on the venue: a client's budget is about its real traffic, whatever time the
virtual clock shows. Here they are counted; a limit is enforced where `UsageMeter.charge` is asked.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["RequestLog", "RequestRecord", "UsageMeter", "Window"]

_MAX_OWNERS: Final = 4_096  # addresses or accounts that are counted at once


@dataclass(frozen=True, slots=True)
class Window:
    """A limit of the venue: ``limit`` units in every ``seconds``, counted from the epoch as calendars do."""

    name: str
    limit: int
    seconds: int


class UsageMeter:
    """
    Counts what each owner (an address, or an account) used in the current span of each window.

    Parameters
    ----------
    windows : Window
        What is counted.
    clock : callable
        The wall clock, in seconds.
    """

    def __init__(self, *windows: Window, clock: Callable[[], float] = time.time) -> None:
        self.windows = windows
        self._clock = clock
        self._used: collections.OrderedDict[tuple[str, str], tuple[int, int]] = collections.OrderedDict()

    def charge(self, owner: str, amount: int = 1) -> dict[str, int]:
        """Add to what an owner used, and return what that now is in each window."""
        now, used = self._clock(), {}
        for window in self.windows:
            span, key = int(now // window.seconds), (owner, window.name)
            known_span, known = self._used.pop(key, (span, 0))
            used[window.name] = (known if known_span == span else 0) + amount
            self._used[key] = (span, used[window.name])
        while len(self._used) > _MAX_OWNERS * len(self.windows):
            self._used.popitem(last=False)
        return used

    def used(self, owner: str) -> dict[str, int]:
        """Return what an owner used in each window."""
        return self.charge(owner, 0)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request that was answered: ``time`` of the venue in ms, and ``path`` without its parameters."""

    time: int
    method: str
    path: str
    weight: int
    status: int


@dataclass(slots=True)
class RequestLog:
    """
    The requests that a venue answered; safe to read from any thread.

    Attributes
    ----------
    total, weight, errors : int
        Requests, their weight, and how many were answered with a status of 400 or more.
    """

    kept: int = 10_000
    total: int = 0
    weight: int = 0
    errors: int = 0
    _paths: collections.Counter[str] = field(default_factory=collections.Counter)
    _last: collections.deque[RequestRecord] = field(default_factory=collections.deque, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, record: RequestRecord, route: str) -> None:
        """Add a request; ``route`` is the pattern it matched, so that made-up paths do not fill the memory."""
        with self._lock:
            self.total += 1
            self.weight += record.weight
            self.errors += record.status >= 400
            self._paths[route] += 1
            self._last.append(record)
            while len(self._last) > self.kept:
                self._last.popleft()

    @property
    def paths(self) -> Mapping[str, int]:
        """How often each path was asked; all that the venue does not know are one entry, ``"unknown"``."""
        with self._lock:
            return dict(self._paths)

    def last(self, count: int = 100) -> list[RequestRecord]:
        """Return the newest requests, oldest first."""
        with self._lock:
            return list(self._last)[max(0, len(self._last) - count) :]

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self.total = self.weight = self.errors = 0
            self._paths.clear()
            self._last.clear()
