"""One fetch for all who ask: the part of a cache that calls what brings a value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import monotonic
from typing import TypeVar

from tradeutils import codec
from tradeutils.cache.base import Backend, Stored
from tradeutils.cache.events import Events, Told
from tradeutils.cache.flights import Flights, Job, is_due
from tradeutils.cache.keys import Keyspace, to_ms
from tradeutils.cache.near import Near
from tradeutils.cache.reads import Reads
from tradeutils.cache.stats import Counters
from tradeutils.errors import CodecError, UsageError
from tradeutils.link.changes import Reading

__all__ = ["Fetching"]

T = TypeVar("T")


class Fetching:
    """The part of a cache that fetches what is not there; see `Cache`."""

    _backend: Backend
    _counters: Counters
    _events: Events
    _flights: Flights
    _keyspace: Keyspace
    _near: Near | None
    _reads: Reads
    _told: list[Told]

    def _enter(self) -> None:
        """Refuse a closed cache, and one that another event loop is using."""
        raise NotImplementedError

    async def get_or_fetch(
        self,
        key: str,
        fetch: Callable[[], Awaitable[T]],
        ttl: float | None,
        stale: float | None = None,
        *,
        early: bool = False,
        cache_none: bool = False,
    ) -> T:
        """
        Return the value of ``key``; where there is none, call ``fetch`` once for all who ask, store and return it.

        Callers in this process share one call, and so do processes on one Redis: the others wait for it. A caller that
        is cancelled leaves the rest alone, and the fetch goes on even if nobody waits any more, so that the next finds
        its outcome. A fetch whose key is set, deleted or invalidated meanwhile is served but not stored.

        Parameters
        ----------
        key : str
            What the value is of.
        fetch : callable
            An async function without arguments. Its error reaches every caller that waits for it and is not remembered.
        ttl : float or None
            Seconds for which it is fresh; ``None``: for ever.
        stale : float or None
            For this many seconds past its ttl it is served at once, while one caller's fetch renews it in the
            background.
        early : bool
            Renew it in the background before its ttl is over: by chance, the more likely the nearer the end and the
            longer the fetch takes (XFetch), in one process at a time. Of a value that many ask for all the time nobody
            then waits for a fetch, at the price of a few more of them: one in twenty where a fetch takes a twentieth of
            the ttl. All who ask must say so.
        cache_none : bool
            Keep a ``None`` that ``fetch`` returns, too. Otherwise it is served to those who wait for it, here and in
            other processes, and the next caller asks again.

        Returns
        -------
        What ``fetch`` returned, each caller a copy of its own.

        Raises
        ------
        CodecError : ``fetch`` returned what cannot be encoded.
        Whatever ``fetch`` raises.

        Notes
        -----
        It fails open: where the server is away, full or holds bytes that cannot be read, ``fetch`` is called and its
        answer served; ``stats`` counts it. A process that dies while fetching delays the others by up to 3 s.
        """
        self._enter()
        full = self._keyspace.value(key)
        lasts, late = _lifetimes(ttl, stale)
        near = self._near if self._near is not None and self._near.wants(key) else None
        entry = None if near is None else near.take(key)
        if entry is not None:
            self._counters.near += 1
            if self._told:
                self._events.tell("hit", key)
            if early and is_due(entry.stored.cost, (entry.ends - monotonic()) * 1000):
                self._flights.refresh(Job(key, fetch, lasts, late, early, cache_none, renews=entry.stored.until))
            kept: T = entry.own()
            return kept
        job = Job(key, fetch, lasts, late, early, cache_none, since=self._backend.changes.number)
        asked = monotonic()
        stored = await self._reads.looked_up(full, Reading.WATCHED if near is None else Reading.TIMED)
        if stored is not None and stored.late <= late:
            try:
                value: T = codec.loads(stored.data)
            except CodecError:
                self._counters.errors += 1
                job = replace(job, damaged=stored.data)
            else:
                if value is not None or not stored.late or cache_none:  # else it was a None that is not kept
                    if near is not None:
                        near.put(key, stored, value, job.since, asked)
                    self._renew(job, stored)
                    return value
        self._counters.misses += 1
        if self._told:
            self._events.tell("miss", key)
        fetched: T = codec.loads(await self._flights.join(job))
        return fetched

    def _renew(self, job: Job, stored: Stored) -> None:
        """Count a value that was found, and fetch it anew in the background if it is past its ttl, or nearly so."""
        if self._told:
            self._events.tell("stale" if stored.late else "hit", job.key)
        if stored.late:
            self._counters.stale += 1
            self._flights.refresh(job)
            return
        self._counters.hits += 1
        if job.early and stored.left is not None and is_due(stored.cost, stored.left):
            self._flights.refresh(replace(job, renews=stored.until))


def _lifetimes(ttl: float | None, stale: float | None) -> tuple[int | None, int]:
    if stale is None:
        return (None if ttl is None else to_ms("ttl", ttl)), 0
    if ttl is None:
        raise UsageError(f"stale was {stale!r} with ttl None; a value that is fresh for ever is never stale")
    return to_ms("ttl", ttl), to_ms("stale", stale)
