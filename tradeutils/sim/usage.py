"""
What callers have used: weight per address, orders per account, and the requests themselves.

Windows are those of the wall clock, as on the venue: a client's budget is about its real traffic, whatever time the
virtual clock shows. Here they are counted; what happens to those who use too much is decided in `limits`.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["FillingCounter", "RequestLog", "RequestRecord", "UsageMeter", "Window"]

_MAX_OWNERS: Final = 4_096  # addresses or accounts that are counted at once
_MAX_IDS: Final = 100_000  # client ids that are remembered
_COUNTED: Final = 10  # times its limit that a window counts; beyond, more makes no difference


@dataclass(frozen=True, slots=True)
class Window:
    """A limit of the venue: ``limit`` units in ``seconds``."""

    name: str
    limit: int
    seconds: float


class _Span:
    """Counts from the epoch on in spans of a fixed length, as calendars do: what is used is free with the next."""

    __slots__ = ("_span", "_used", "_window")

    def __init__(self, window: Window) -> None:
        self._window, self._span, self._used = window, -1, 0

    def add(self, now: float, amount: int) -> int:
        span = int(now // self._window.seconds)
        self._used = amount + (self._used if span == self._span else 0)
        self._span = span
        return self._used

    def wait(self, now: float, _room: int) -> float:
        return (self._span + 1) * self._window.seconds - now


class _Trail:
    """Counts the last seconds, whenever one looks: what is used is free a window after it was used."""

    __slots__ = ("_entries", "_used", "_window")

    def __init__(self, window: Window) -> None:
        self._window, self._used = window, 0
        self._entries: collections.deque[tuple[float, int]] = collections.deque()

    def add(self, now: float, amount: int) -> int:
        while self._entries and self._entries[0][0] + self._window.seconds <= now:
            self._used -= self._entries.popleft()[1]
        if amount and self._used <= _COUNTED * self._window.limit:
            self._entries.append((now, amount))
            self._used += amount
        return self._used

    def wait(self, now: float, room: int) -> float:
        left = self._used - self._window.limit + room
        for moment, amount in self._entries:
            left -= amount
            if left <= 0:
                return moment + self._window.seconds - now
        return self._window.seconds


class UsageMeter:
    """
    Counts what each owner (an address, or an account) used in each window.

    Parameters
    ----------
    windows : Window
        What is counted.
    sliding : bool
        Count the last ``seconds`` at every moment, which is stricter, instead of spans from the epoch.
    clock : callable
        The wall clock, in seconds.
    """

    def __init__(self, *windows: Window, sliding: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.windows = windows
        self._clock = clock
        self._kind = _Trail if sliding else _Span
        self._counts: collections.OrderedDict[str, tuple[_Span | _Trail, ...]] = collections.OrderedDict()

    def charge(self, owner: str, amount: int = 1) -> dict[str, int]:
        """Add to what an owner used, and return what that now is in each window."""
        now, counts = self._clock(), self._of(owner)
        return {window.name: count.add(now, amount) for window, count in zip(self.windows, counts, strict=True)}

    def used(self, owner: str) -> dict[str, int]:
        """Return what an owner used in each window."""
        return self.charge(owner, 0)

    def exceeded(self, owner: str, more: int = 0) -> tuple[Window, float] | None:
        """Return a window in which an owner with ``more`` is over the limit, and the seconds until there is room."""
        now, used = self._clock(), self.used(owner)
        for window, count in zip(self.windows, self._of(owner), strict=True):
            if used[window.name] + more > window.limit:
                return window, max(0.0, count.wait(now, more))
        return None

    def _of(self, owner: str) -> tuple[_Span | _Trail, ...]:
        counts = self._counts.pop(owner, None)
        if counts is None:
            counts = tuple(self._kind(window) for window in self.windows)
        self._counts[owner] = counts
        while len(self._counts) > _MAX_OWNERS:
            self._counts.popitem(last=False)
        return counts


class FillingCounter:
    """
    Counts up with each call and down with time, per owner, as venues do that have no windows.

    Parameters
    ----------
    limit : int
        What it holds.
    clock : callable
        The wall clock, in seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._limit, self._clock = limit, clock
        self._levels: collections.OrderedDict[str, tuple[float, float]] = collections.OrderedDict()

    def fill(self, owner: str, decay: float, amount: float = 1.0) -> bool:
        """Add ``amount`` if it still holds that, after it emptied by ``decay`` a second; tell whether it did."""
        now = self._clock()
        level, since = self._levels.pop(owner, (0.0, now))
        level = max(0.0, level - decay * (now - since))
        room = level + amount <= self._limit
        self._levels[owner] = (level + amount if room else level, now)
        while len(self._levels) > _MAX_OWNERS:
            self._levels.popitem(last=False)
        return room


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """
    A request and what became of it.

    ``time`` is the venue's, in ms; ``received`` the wall clock's, in seconds; ``path`` is without its parameters, and
    ``status`` 0 where no answer was sent. ``fault`` names what was done to it on demand.
    """

    time: int
    method: str
    path: str
    weight: int
    status: int
    remote: str = ""
    received: float = 0.0
    fault: str = ""


@dataclass(slots=True)
class RequestLog:
    """
    The requests that a venue received; safe to read from any thread.

    Attributes
    ----------
    total, weight, errors : int
        Requests, their weight, and how many were answered with a status of 400 or more.
    rejected, banned : int
        How many were told that they ask too much, with 429 or in the venue's own words, and how many came from an
        address that is banned with 418.
    """

    kept: int = 10_000
    total: int = 0
    weight: int = 0
    errors: int = 0
    rejected: int = 0
    banned: int = 0
    _paths: collections.Counter[str] = field(default_factory=collections.Counter)
    _faults: collections.Counter[str] = field(default_factory=collections.Counter)
    _addresses: dict[str, collections.Counter[str]] = field(default_factory=dict, repr=False)
    _orders: collections.Counter[str] = field(default_factory=collections.Counter, repr=False)
    _last: collections.deque[RequestRecord] = field(default_factory=collections.deque, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, record: RequestRecord, route: str, *, order: str | None = None, limited: bool = False) -> None:
        """
        Add a request: the pattern it matched, so that made-up paths fill no memory, and the order it placed.

        ``limited``: it was refused because too much was asked, whatever its status.
        """
        rejected = limited or record.status == 429
        with self._lock:
            self.total += 1
            self.weight += record.weight
            self.errors += record.status >= 400
            self.rejected += rejected
            self.banned += record.status == 418
            self._paths[route] += 1
            if record.fault:
                self._faults[record.fault] += 1
            if record.remote in self._addresses or len(self._addresses) < _MAX_OWNERS:
                by_address = self._addresses.setdefault(record.remote, collections.Counter())
                by_address.update(requests=1, weight=record.weight)
                by_address.update(rejected=rejected, banned=record.status == 418)
            if order is not None and (order in self._orders or len(self._orders) < _MAX_IDS):
                self._orders[order] += 1
            self._last.append(record)
            while len(self._last) > self.kept:
                self._last.popleft()

    @property
    def paths(self) -> Mapping[str, int]:
        """How often each path was asked; all that the venue does not know are one entry, ``"unknown"``."""
        with self._lock:
            return dict(self._paths)

    @property
    def orders(self) -> Mapping[str, int]:
        """How often an order was placed under each client id, whether or not its sender was told."""
        with self._lock:
            return dict(self._orders)

    def summary(self) -> dict[str, Any]:
        """Return all counts, as ``GET /sim/log`` tells them."""
        with self._lock:
            return {
                "requests": self.total,
                "weight": self.weight,
                "errors": self.errors,
                "rejected": self.rejected,
                "banned": self.banned,
                "paths": dict(self._paths),
                "faults": dict(self._faults),
                "addresses": {address: dict(counts) for address, counts in self._addresses.items()},
                "orders": dict(self._orders),
            }

    def last(self, count: int = 100) -> list[RequestRecord]:
        """Return the newest requests, oldest first."""
        with self._lock:
            return list(self._last)[max(0, len(self._last) - count) :]

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self.total = self.weight = self.errors = self.rejected = self.banned = 0
            for counts in (self._paths, self._faults, self._addresses, self._orders, self._last):
                counts.clear()
