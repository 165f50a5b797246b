"""A cache, blocking."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Self, TypeVar

from tradeutils import cache as _cache
from tradeutils.cache.maps import Layout
from tradeutils.codec import Method
from tradeutils.sync.loop import Blocking, blocking, on_own_thread
from tradeutils.sync.maps import Map

__all__ = ["Cache", "HeldLock"]

R = TypeVar("R")


class Cache(Blocking[_cache.Cache]):
    """
    A cache, blocking; see `tradeutils.Cache`.

    Parameters
    ----------
    url, namespace, near, timeout, compress, compress_above
        As for `tradeutils.Cache`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        namespace: str = "tu",
        near: str | Sequence[str] | int | None = None,
        timeout: float = 0.25,
        compress: Method | None = None,
        compress_above: int = 4096,
    ) -> None:
        self._live(
            lambda: _cache.Cache(
                url, namespace=namespace, near=near, timeout=timeout, compress=compress, compress_above=compress_above
            )
        )

    @classmethod
    def embedded(
        cls,
        path: str | os.PathLike[str] | None = None,
        max_bytes: int | str = "64mb",
        policy: str = "allkeys-lfu",
        **options: Any,
    ) -> Self:
        """Return a cache on a real server of its own; see `tradeutils.Cache.embedded`."""
        cache = cls.__new__(cls)
        cache._live(lambda: _cache.Cache.embedded(path, max_bytes, policy, **options))
        return cache

    get = blocking(_cache.Cache.get)
    set = blocking(_cache.Cache.set)
    get_many = blocking(_cache.Cache.get_many)
    set_many = blocking(_cache.Cache.set_many)
    delete = blocking(_cache.Cache.delete)
    invalidate = blocking(_cache.Cache.invalidate)
    clean = blocking(_cache.Cache.clean)
    survey = blocking(_cache.Cache.survey)
    stats = blocking(_cache.Cache.stats)

    def map(self, name: str, *, layout: Layout, ttl: float | None = None) -> Map:
        """Return many values under one name; see `tradeutils.Cache.map`."""

        async def made() -> _cache.Map:
            return self._twin.map(name, layout=layout, ttl=ttl)

        return Map(self._run(made()), self._run)

    def counts(self) -> _cache.Stats:
        """Return what `stats` does without asking the server, from any thread."""
        return self._twin.counts()

    def subscribe(self, callback: Callable[[_cache.CacheEvent], object]) -> Callable[[], None]:
        """
        Have ``callback`` called for everything that happens, and return a function that ends that.

        As `tradeutils.Cache.subscribe`; it is called on the thread of the event loop, where it must not wait.
        """

        async def subscribed() -> Callable[[], None]:
            return self._twin.subscribe(callback)

        end = self._run(subscribed())

        async def ended() -> None:
            end()

        return lambda: self._run(ended())

    server = blocking(_cache.Cache.server)

    def scan(self, prefix: str = "") -> list[str]:
        """Return the keys of this namespace that start with ``prefix`` (literally), in no order."""

        async def collected() -> list[str]:
            return [key async for key in self._twin.scan(prefix)]

        return self._run(collected())

    def get_or_fetch(
        self,
        key: str,
        fetch: Callable[[], R],
        ttl: float | None,
        stale: float | None = None,
        *,
        early: bool = False,
        cache_none: bool = False,
    ) -> R:
        """
        Return the value of ``key``, or call ``fetch`` once for all who ask and keep what it returns.

        As `tradeutils.Cache.get_or_fetch`, but ``fetch`` is an ordinary function; it runs on a thread of its
        own and may use blocking objects itself.
        """

        async def fetched() -> R:
            return await on_own_thread(fetch)

        return self._run(self._twin.get_or_fetch(key, fetched, ttl, stale, early=early, cache_none=cache_none))

    @contextlib.contextmanager
    def lock(self, name: str, ttl: float) -> Iterator[HeldLock]:
        """Hold the lock ``name`` for the block, at most ``ttl`` seconds; see `tradeutils.Cache.lock`."""

        async def entered() -> _cache.Lock:
            return await self._twin.lock(name, ttl).__aenter__()

        held = self._run(entered())
        try:
            yield HeldLock(held, self._run)
        except BaseException as error:
            self._run(held.__aexit__(type(error), error, error.__traceback__))
            raise
        self._run(held.__aexit__(None, None, None))


class HeldLock:
    """A lock while it is held, as `Cache.lock` yields it."""

    def __init__(self, lock: _cache.Lock, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._lock = lock
        self._run = run

    @property
    def fence(self) -> int:
        """A number higher than that of every holder before; see `tradeutils.cache.Lock`."""
        return self._lock.fence

    def extend(self, ttl: float) -> None:
        """Let the lock last ``ttl`` seconds from now; `CacheError` where it has ended already."""
        self._run(self._lock.extend(ttl))
