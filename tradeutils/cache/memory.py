"""The cache in this process."""

from __future__ import annotations

import heapq
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from tradeutils import codec
from tradeutils.cache.base import Claim, Grant, Lease, Stored, Usage, check_size
from tradeutils.cache.keeping import Entry, Queues
from tradeutils.cache.keys import Keyspace
from tradeutils.cache.reports import Cleaned, Progress, Survey, grouped
from tradeutils.errors import UsageError
from tradeutils.link.changes import Changes, Reading

__all__ = ["Memory"]

_ENTRY_BYTES: Final = 800  # measured: what an entry costs beside its value, in dict, queue, tuple, floats and heap
_FOR_EVER: Final = float("inf")


class Memory:
    """
    A `Backend` in this process: nothing to install, nothing shared with other processes.

    Values are kept encoded, so that no caller can change what another gets. When the budget is full, what was not used
    again goes first: see `tradeutils.cache.keeping`. Any thread may read; writes take turns.

    Parameters
    ----------
    max_bytes : int
        Budget for values and the keys they lie under.
    clock : callable
        Returns seconds that never go back.
    """

    def __init__(self, *, max_bytes: int = 256 * 1024 * 1024, clock: Callable[[], float] = time.monotonic) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise UsageError(f"max_bytes was {max_bytes!r}; write how many bytes the cache may hold, at least 1")
        self._max_bytes = max_bytes
        self._clock = clock
        self.on_evicted: list[Callable[[str], None]] = []  # called with each key that is dropped for want of room
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._find = self._entries.get  # looked up once: a tenth of a read
        self._queues = Queues(max_bytes)
        self._expiries: list[tuple[float, str]] = []  # a heap; entries overwritten since are skipped when met
        self._tokens: dict[str, tuple[bytes, float]] = {}
        self._token_sweep = 64
        self._epochs: dict[str, bytes] = {}
        self._fence = 0  # of all locks together, so that it is nothing to be kept for each
        self._changes = Changes(is_on=True)
        self._bytes = 0
        self._evictions = 0

    @property
    def name(self) -> str:
        """``"memory://"``."""
        return "memory://"

    @property
    def changes(self) -> Changes:
        """Tells of every write, whether the key was read or not."""
        return self._changes

    def __repr__(self) -> str:
        return f"Memory(max_bytes={self._max_bytes})"

    # Values

    def peek(self, key: str) -> bytes | None:
        """Return the data of ``key`` if it is fresh, without a coroutine; what is not fresh is `get`'s to tell."""
        entry = self._find(key)
        if entry is None:
            return None
        item = entry.item
        if item is None or self._clock() * 1000 >= item[1]:
            return None
        if entry.uses < 3:  # `Entry.use`, written out
            entry.uses += 1
        return item[0]

    async def get(self, key: str, reading: Reading = Reading.PLAIN) -> Stored | None:
        """Read one value."""
        return self._read(key, self._now())

    async def get_many(self, keys: Sequence[str], reading: Reading = Reading.PLAIN) -> list[Stored | None]:
        """Read many values."""
        now = self._now()
        return [self._read(key, now) for key in keys]

    async def set_many(self, items: Mapping[str, bytes], ttl: int | None, leases: Sequence[str]) -> None:
        """Write values; one larger than the whole budget is not kept."""
        for key, data in items.items():
            check_size(data, key)
        self._revoke(leases)
        for key, data in items.items():
            self._write(key, data, ttl)
        self._changes.note(items)

    async def delete(self, keys: Sequence[str], leases: Sequence[str]) -> int:
        """Remove values."""
        self._revoke(leases)
        self._drop_expired()
        removed = sum(self._remove(key) for key in keys)
        self._changes.note(keys)
        return removed

    async def invalidate(self, names: Keyspace, prefix: str, *, wait: bool = False) -> int:
        """Remove the values under a prefix, all at once; looks at every key."""
        values, leases = names.value_prefix + prefix, names.lease_prefix + prefix
        self._epochs[names.epoch] = secrets.token_hex(8).encode()
        self._drop_expired()
        self._revoke([name for name in self._tokens if name.startswith(leases)])
        removed = sum(self._remove(key) for key in [key for key in list(self._entries) if key.startswith(values)])
        self._changes.note_all()
        return removed

    async def clean(self, names: Keyspace, progress: Progress | None, *, dry_run: bool, without_ttl: bool) -> Cleaned:
        """Look at every value at once."""
        began, doomed = time.monotonic(), {}
        self._drop_expired()
        mine = [key for key in self._entries if key.startswith(names.value_prefix)]
        for key in mine:
            item = self._entries[key].item
            if item is None:
                continue
            data, fresh_until = item[:2]
            if not codec.is_known(data[:64], is_whole=len(data) <= 64):
                doomed[key] = "unknown"
            elif without_ttl and fresh_until == _FOR_EVER:
                doomed[key] = "without_ttl"
        size = sum(len(item[0]) for key in doomed if (item := self._entries[key].item) is not None)
        removed = 0 if dry_run else sum(self._remove(key) for key in list(doomed))
        if removed:
            self._changes.note(doomed)
        if progress is not None:
            progress(len(mine), len(mine))
        found = list(doomed.values())
        return Cleaned(
            looked_at=len(mine),
            dead=0,
            unknown=found.count("unknown"),
            without_ttl=found.count("without_ttl"),
            bytes=size,
            removed=removed,
            seconds=time.monotonic() - began,
        )

    async def survey(self, names: Keyspace, samples: int) -> Survey:
        """Look at all."""
        self._drop_expired()
        sizes = [(key.encode(), entry.size) for key, entry in list(self._entries.items())]
        return Survey(keys=len(sizes), samples=len(sizes), is_exact=True, prefixes=grouped(sizes, names))

    async def scan(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys under a prefix, as they are at the first step."""
        self._drop_expired()
        for key in [key for key in list(self._entries) if key.startswith(prefix)]:
            yield key

    # Leases and locks

    async def claim(self, key: str, lease_name: str, epoch_name: str, token: bytes, ttl: int) -> Claim:
        """Ask for a lease, then read the value."""
        now = self._now()
        if not await self.acquire(lease_name, token, ttl):
            return Claim(None, None, max(0.0, self._tokens[lease_name][1] - now))
        return Claim(Lease(lease_name, token, epoch_name, self._epochs.get(epoch_name, b"")), self._read(key, now))

    async def commit(self, key: str, data: bytes, ttl: int | None, stale: int, lease: Lease, cost: int = 0) -> bool:
        """Store the outcome of a fetch if its lease still stands."""
        check_size(data, key)
        stands = await self.release(lease.name, lease.token)
        kept = stands and self._epochs.get(lease.epoch_name, b"") == lease.epoch
        if kept:
            self._write(key, data, ttl, stale, cost)
        self._changes.note([key])
        return kept

    async def abandon(self, key: str, lease: Lease) -> None:
        """Give a lease back with nothing stored."""
        await self.release(lease.name, lease.token)
        self._changes.note([key])

    async def acquire(self, name: str, token: bytes, ttl: int) -> bool:
        """Take a lock if it is free."""
        now = self._now()
        if name in self._tokens and self._tokens[name][1] > now:
            return False
        if len(self._tokens) >= self._token_sweep:  # those whose holder never came back
            self._tokens = {name: held for name, held in self._tokens.items() if held[1] > now}
            self._token_sweep = 2 * len(self._tokens) + 64
        self._tokens[name] = (token, now + ttl)
        return True

    async def acquire_fenced(self, name: str, counter: str, token: bytes, ttl: int) -> Grant:
        """Take a lock if it is free, and a number with it."""
        if not await self.acquire(name, token, ttl):
            return Grant(0, max(0.0, self._tokens[name][1] - self._now()))
        self._fence += 1
        return Grant(self._fence)

    async def extend(self, name: str, token: bytes, ttl: int) -> bool:
        """Prolong a lock or lease that is still ours."""
        if not self._holds(name, token):
            return False
        self._tokens[name] = (token, self._now() + ttl)
        return True

    async def release(self, name: str, token: bytes) -> bool:
        """Give a lock or lease back."""
        if not self._holds(name, token):
            return False
        del self._tokens[name]
        self._changes.note([name])
        return True

    # About itself

    async def server(self) -> None:
        """Return ``None``: there is no server."""
        return

    async def tracking(self) -> None:
        """Return ``None``: there is no server."""
        return

    def beat(self, seconds: float) -> None:
        """Do nothing: there is no connection."""

    def usage(self) -> Usage:
        """Tell keys, bytes and evictions."""
        self._drop_expired()
        return Usage(keys=len(self._entries), bytes=self._bytes, evictions=self._evictions)

    def rebind(self) -> None:
        """Forget who waited in an event loop that has closed."""
        self._changes.forget()

    async def aclose(self) -> None:
        """Drop everything."""
        with self._lock:
            self._entries.clear()
            self._queues.clear()
            self._expiries.clear()
            self._tokens.clear()
            self._bytes = 0
        self._changes.note_all()

    # How it works

    def _now(self) -> float:
        return self._clock() * 1000

    def _read(self, key: str, now: float) -> Stored | None:
        entry = self._entries.get(key)
        item = None if entry is None else entry.item
        if entry is None or item is None:
            return None
        data, fresh_until, kept_until, cost = item
        if now >= kept_until:
            self._drop_expired()
            return None
        entry.use()
        if now >= fresh_until:
            return Stored(data, int(now - fresh_until) + 1)
        # Whole microseconds, so that each write has an end of its own.
        return Stored(data, 0, fresh_until - now, cost, 0 if fresh_until == _FOR_EVER else int(fresh_until * 1000))

    def _write(self, key: str, data: bytes, ttl: int | None, stale: int = 0, cost: int = 0) -> None:
        now = self._now()
        fresh_until = _FOR_EVER if ttl is None else now + ttl
        item, size = (data, fresh_until, fresh_until + stale, cost), _size(key, data)
        with self._lock:
            self._drop_expired()
            if size > self._max_bytes:
                self._remove(key)
                self._evictions += 1
                return
            entry = self._entries.get(key)
            if entry is None:
                self._entries[key] = entry = self._queues.add(key, item, size)
                self._bytes += size
            else:
                self._bytes += size - entry.size
                self._queues.resize(entry, size)
                entry.item = item
            if ttl is not None:
                heapq.heappush(self._expiries, (fresh_until + stale, key))
                if len(self._expiries) > 2 * len(self._entries) + 64:
                    self._rebuild_expiries()
            while self._bytes > self._max_bytes:
                self._evict(entry)

    def _evict(self, written: Entry) -> None:
        key = self._queues.next(written).key
        self._remove(key)
        self._evictions += 1
        for tell in self.on_evicted:
            tell(key)

    def _remove(self, key: str) -> bool:
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is None:
                return False
            self._bytes -= entry.size
            self._queues.drop(entry)
            return True

    def _drop_expired(self) -> None:
        now = self._now()
        with self._lock:
            while self._expiries and self._expiries[0][0] <= now:
                _, key = heapq.heappop(self._expiries)
                entry = self._entries.get(key)
                if entry is not None and entry.item is not None and entry.item[2] <= now:
                    self._remove(key)

    def _rebuild_expiries(self) -> None:
        """Leave out what was overwritten or removed, or a key rewritten for ever would grow the heap for ever."""
        items = ((entry.item, key) for key, entry in self._entries.items())
        self._expiries = [(item[2], key) for item, key in items if item is not None and item[2] < _FOR_EVER]
        heapq.heapify(self._expiries)

    def _holds(self, name: str, token: bytes) -> bool:
        held = self._tokens.get(name)
        return held is not None and held[0] == token and held[1] > self._now()

    def _revoke(self, leases: Sequence[str]) -> None:
        for lease in leases:
            self._tokens.pop(lease, None)


def _size(key: str, data: bytes) -> int:
    return len(data) + len(key) + _ENTRY_BYTES
