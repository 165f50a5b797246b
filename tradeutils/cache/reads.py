"""Reading values: from what is kept in this process, from the backend, and out of their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import Any, TypeVar

from tradeutils import codec
from tradeutils.cache.base import Asks, Backend, Encoded, Stored, Tracking
from tradeutils.cache.events import EventKind, Events
from tradeutils.cache.keys import Keyspace
from tradeutils.cache.near import Near
from tradeutils.cache.stats import Counters, NearStats
from tradeutils.errors import CacheError, CacheUnavailable, CodecError
from tradeutils.link.changes import Reading

__all__ = ["Reads"]

T = TypeVar("T")


class Reads:
    """
    The reads of one cache, counted.

    Parameters
    ----------
    name : str
        The cache, for messages.
    near : Near or None
        What is kept in this process.
    """

    def __init__(
        self, name: str, backend: Backend, keyspace: Keyspace, near: Near | None, counters: Counters, events: Events
    ) -> None:
        self._name = name
        self._backend = backend
        self._keyspace = keyspace
        self._near = near
        self._counters = counters
        self._events = events
        self.asks = backend if isinstance(backend, Asks) else None

    async def many(self, names: list[str]) -> dict[str, Any]:
        """Return the values of those of ``names`` that are there, in this order."""
        near = self._near
        if near is None:
            return await self.plainly(names)
        self._keyspace.values(names)  # refuses what can be no key
        found: dict[str, Any] = {}
        wanted: list[str] = []
        others: list[str] = []
        for key in names:
            entry = near.take(key)
            if entry is not None:
                found[key] = entry.own()
            else:
                (wanted if near.wants(key) else others).append(key)
        self._counters.near += len(found)
        if self._events.callbacks:
            self._events.looked(found, found)
        if wanted and others:
            for read in await asyncio.gather(self.nearly(near, wanted), self.plainly(others)):
                found |= read
        elif wanted or others:  # two tasks less
            found |= await (self.nearly(near, wanted) if wanted else self.plainly(others))
        else:
            return found
        return {key: found[key] for key in names if key in found}

    async def plainly(self, names: list[str]) -> dict[str, Any]:
        """Read from the backend and keep nothing in this process."""
        full, asks = self._keyspace.values(names), self.asks
        if asks is None:
            return self._all_decoded(names, await self.asked(self._backend.get_many(full)))
        found: dict[str, Any] = {}
        loads, marked = codec.loads, asks.marked
        for key, data in zip(names, await self.asked(asks.ask_many(full)), strict=True):
            if data is None:
                continue
            if data[:1] != marked:  # written out: what `open` and `_decoded` make of it would cost as much as `loads`
                try:
                    found[key] = loads(data)
                except CodecError as error:
                    raise self.illegible(key, error) from error
            else:
                stored = asks.open(data)
                if stored is not None and not stored.late:
                    found[key] = self.decoded(key, stored.data)
        self._counters.hits += len(found)
        self._counters.misses += len(names) - len(found)
        if self._events.callbacks:
            self._events.looked(names, found)
        return found

    async def nearly(self, near: Near, names: list[str]) -> dict[str, Any]:
        """Read from the backend and keep what comes in this process."""
        since, asked, full = near.number, monotonic(), self._keyspace.values(names)
        if len(full) == 1:  # travels with all others of this turn of the loop
            stored = [await self.asked(self._backend.get(full[0], Reading.TIMED))]
        else:
            stored = await self.asked(self._backend.get_many(full, Reading.TIMED))
        found = self._all_decoded(names, stored)
        for key, item in zip(names, stored, strict=True):
            if item is not None and key in found:
                near.put(key, item, found[key], since, asked)
        return found

    def _all_decoded(self, names: list[str], stored: list[Stored | None]) -> dict[str, Any]:
        found = {
            key: self.decoded(key, item.data) for key, item in zip(names, stored, strict=True) if item and not item.late
        }
        self._counters.hits += len(found)
        self._counters.misses += len(names) - len(found)
        if self._events.callbacks:
            self._events.looked(names, found)
        return found

    async def looked_up(self, full: str, reading: Reading) -> Stored | None:
        """Read for a fetch: where that fails, the fetch goes ahead."""
        try:
            return await self.asked(self._backend.get(full, reading))
        except CacheError:
            return None

    async def asked(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except CacheError as error:
            self.note(error)
            raise

    def note(self, error: CacheError) -> None:
        if isinstance(error, CacheUnavailable):
            self._counters.unavailable += 1
        else:
            self._counters.errors += 1
        if self._events.callbacks:
            kind: EventKind = "unavailable" if isinstance(error, CacheUnavailable) else "error"
            self._events.tell(kind, error=type(error).__name__)

    async def near_stats(self) -> NearStats | None:
        """Return what the copy in this process has done, and what it costs the server."""
        if self._near is None:
            return None
        try:
            return self.near_counts(await self._backend.tracking())
        except CacheError:
            return self.near_counts(None)

    def near_counts(self, server: Tracking | None = None) -> NearStats | None:
        """Return what the copy in this process has done."""
        near, changes = self._near, self._backend.changes
        if near is None:
            return None
        return NearStats(
            is_on=changes.is_on,
            reason=changes.reason,
            hits=self._counters.near,
            keys=len(near.entries),
            bytes=near.bytes,
            invalidations=changes.invalidations,
            dropped=near.dropped,
            evicted=near.evicted,
            losses=changes.losses,
            server=server,
        )

    def decoded(self, key: str, data: Encoded) -> Any:
        try:
            return codec.loads(data)
        except CodecError as error:
            raise self.illegible(key, error) from error

    def illegible(self, key: str, error: CodecError) -> CodecError:
        self._counters.errors += 1
        if self._events.callbacks:
            self._events.tell("error", key, error=type(error).__name__)
        return CodecError(f"the value of {key!r} in {self._name} cannot be read ({error}); delete or set it")
