"""What a cache tells of itself, and how it is looked after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from tradeutils.cache.base import Backend, Server
from tradeutils.cache.events import Events, Told
from tradeutils.cache.flights import Flights
from tradeutils.cache.keys import Keyspace
from tradeutils.cache.memory import Memory
from tradeutils.cache.reads import Reads
from tradeutils.cache.reports import Cleaned, Progress, Survey
from tradeutils.cache.stats import Counters, NearStats, Stats
from tradeutils.cache.upkeep import check_samples
from tradeutils.errors import UsageError

__all__ = ["Tended"]


class Tended:
    """The part of a cache that is not about single values; see `Cache`."""

    _backend: Backend
    _counters: Counters
    _events: Events
    _flights: Flights
    _keyspace: Keyspace
    _loop: asyncio.AbstractEventLoop | None
    _reads: Reads

    def _enter(self) -> None:
        """Refuse a closed cache, and one that another event loop is using."""
        raise NotImplementedError

    async def invalidate(self, prefix: str = "", *, wait: bool = False) -> int:
        """
        Let every key of this namespace be gone that starts with ``prefix`` (literally).

        From now on they read as missing, in every process. Outcomes of fetches that began before are not stored,
        whatever their key. On Redis that is one write; then keys are looked at and removed for about 10 ms, and the
        rest is removed in the background by one process at a time, which takes at most a fifth of the server's time. If
        it dies, another goes on.

        Parameters
        ----------
        prefix : str
            ``""``: all.
        wait : bool
            Return when all are removed.

        Returns
        -------
        How many this process has removed by now: all of them in memory, and on a server that holds at most 3000 keys.
        """
        self._enter()
        self._keyspace.prefix(prefix)  # refuses what can be no key
        self._flights.detach_prefix(prefix)
        return await self._reads.asked(self._backend.invalidate(self._keyspace, prefix, wait=wait))

    async def scan(self, prefix: str = "") -> AsyncIterator[str]:
        """Yield the keys of this namespace that start with ``prefix`` (literally), in no order."""
        self._enter()
        start = len(self._keyspace.prefix(""))
        async for key in self._backend.scan(self._keyspace.prefix(prefix)):
            yield key[start:]

    async def clean(
        self, progress: Progress | None = None, dry_run: bool = False, *, without_ttl: bool = False
    ) -> Cleaned:
        """
        Remove values of this namespace that nobody can use: what was invalidated and still lies there, and what cannot
        be read, told by its first bytes (of others, of a newer version, or damaged at its beginning).

        Values that changed since they were looked at are left alone. It walks the database and takes at most a fifth of
        the server's time: about 10 s for a million keys.

        Parameters
        ----------
        progress : callable or None
            Called with how many keys have been looked at, and of how many.
        dry_run : bool
            Remove nothing; say what would be.
        without_ttl : bool
            Remove values that stay for ever, too.

        Raises
        ------
        CacheUnavailable : the server did not answer; what was removed so far stays removed.
        CacheError : it refused, for want of permission.
        """
        self._enter()
        return await self._reads.asked(
            self._backend.clean(self._keyspace, progress, dry_run=dry_run, without_ttl=without_ttl)
        )

    async def survey(self, samples: int = 1000) -> Survey:
        """
        Find out what takes the room: keys and bytes by prefix. On a cluster, keys of others are counted but not
        weighed.

        Parameters
        ----------
        samples : int
            Keys to look at, chosen by chance; with 1000, shares are within about 3 % on keys and 12 % on bytes, and it
            takes the server 13 ms. Where there are fewer keys, or in memory, all are looked at.

        Raises
        ------
        UsageError : ``samples`` is no such number.
        CacheUnavailable : the server did not answer.
        CacheError : it refused, for want of permission.
        """
        self._enter()
        return await self._reads.asked(self._backend.survey(self._keyspace, check_samples(samples)))

    def subscribe(self, callback: Told) -> Callable[[], None]:
        """
        Have ``callback`` called with a `CacheEvent` for everything that happens, and return a function that ends that.

        It is called soon after, in the event loop that uses the cache, and costs about 2 µs an event; with nobody
        listening, a look at an empty list. What it raises goes to the handler of the event loop.
        """
        self._enter()
        if not callable(callback):
            raise UsageError(f"callback was {callback!r}; write a function that takes a CacheEvent")
        if isinstance(self._backend, Memory) and self._evicted not in self._backend.on_evicted:
            self._backend.on_evicted.append(self._evicted)
        self._events.callbacks.append(callback)

        def end() -> None:
            if callback in self._events.callbacks:
                self._events.callbacks.remove(callback)

        return end

    def _evicted(self, name: str) -> None:
        loop = self._loop
        if not self._events.callbacks or not name.startswith(self._keyspace.value_prefix) or loop is None:
            return
        key = name[len(self._keyspace.value_prefix) :]
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:  # no loop in this thread
            here = None
        if here is loop:
            self._events.tell("evicted", key)
        elif not loop.is_closed():  # another cache on this backend made room, in a thread of its own
            loop.call_soon_threadsafe(partial(self._events.tell, "evicted", key))

    async def stats(self) -> Stats:
        """
        Return what this object has done.

        It works during an outage too: the server is asked only what the copy in this process costs it, where there is
        one, and need not answer.
        """
        self._enter()
        return self._stats(await self._reads.near_stats())

    def counts(self) -> Stats:
        """Return what `stats` does without asking the server, from any thread."""
        return self._stats(self._reads.near_counts())

    def _stats(self, near: NearStats | None) -> Stats:
        return self._counters.stats(self._backend.name, self._keyspace.namespace, self._backend.usage(), near)

    async def server(self) -> Server | None:
        """Return name, version, latency and memory policy of the server; ``None`` for a cache in memory."""
        self._enter()
        return await self._reads.asked(self._backend.server())
