"""The cache as its users see it: values in, values out, on any backend."""

from __future__ import annotations

import asyncio
import functools
import os
from asyncio import get_running_loop
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from tradeutils import codec
from tradeutils.cache.base import Attends, Backend, Peeks
from tradeutils.cache.events import Events
from tradeutils.cache.fetching import Fetching
from tradeutils.cache.flights import Flights
from tradeutils.cache.keys import Keyspace, to_ms
from tradeutils.cache.locks import Lock
from tradeutils.cache.maps import Mapped
from tradeutils.cache.memory import Memory
from tradeutils.cache.near import Entry, Near, NearSetting, check_near
from tradeutils.cache.places import open_backend
from tradeutils.cache.reads import Reads
from tradeutils.cache.stats import Counters
from tradeutils.cache.tended import Tended
from tradeutils.errors import CacheError, Closed, CodecError, UsageError
from tradeutils.link.address import Address

if TYPE_CHECKING:
    from tradeutils.cache.embedded import EmbeddedServer

__all__ = ["Cache"]

_LONGEST_TIMEOUT: Final = 60.0
_loads: Final = codec.loads  # a look-up less for each value


class Cache(Fetching, Mapped, Tended):
    """
    A cache that never lies, hangs or stampedes.

    Values are any that `tradeutils.codec` encodes: the model's, arrays, frames, Decimal, JSON-shaped. What comes out is
    a copy of what went in, on every backend; arrays come out read-only. ``None`` is a value like any other.

    Parameters
    ----------
    url_or_backend : str or Backend or None
        ``"memory://"`` or ``None``: this process alone, up to 256 MiB (``"memory://?max_bytes=64000000"``); what
        was not used again goes first. ``"redis://user:password@host:port/db"``, ``"rediss://..."`` (TLS),
        ``"unix:///path/to/socket?db=0"``, ``"redis+cluster://host:port,host:port"``,
        ``"redis+sentinel://host:port,host:port/service?db=0"``: Redis >= 6 or Valkey. A backend that is given is not
        closed by the cache.
    namespace : str
        Caches of one namespace on one server see the same values; others see none of them.
    near : str or sequence of str or int or None
        Keep values in this process too: those whose keys match a pattern (``"markets:*"``; ``* ? [...]`` as for file
        names) or one of several, up to 64 MB, or whatever is read, up to a budget: ``64_000_000`` or ``"64mb"``. The
        server tells of every change, so that a copy is at most as old as the news of it takes to come; a connection
        that dies in silence is found out within 1 s and the timeout. For what is read often and changes seldom:
        each change costs the server a push to every process that has read the value since the last. Where the server
        does not tell of changes, that is logged and nothing is kept; in memory there is nothing nearer.
    timeout : float
        Seconds within which the server must answer each operation.

    compress : str or None
        ``"zstd"`` (2000 tickers to a fifth, at 2.6 times the time to encode) or ``"lz4"`` (to two fifths, at 2.3
        times), where it saves at least an eighth. Every cache reads what any has compressed; other programs do not.
    compress_above : int
        Values that take fewer bytes than this are not compressed.

    Raises
    ------
    UsageError : no such form of URL, namespace, timeout or compression.

    Notes
    -----
    No connection is made before the first operation, and one connection serves all. A server that left a command
    unanswered for ``timeout``, or cannot be reached, is left alone: calls raise `CacheUnavailable` at once, and it is
    tried again in the background until it answers. An outage is never reported as a miss.

    A cache belongs to the event loop that first used it. Close it with ``aclose`` or ``async with``.
    """

    def __init__(
        self,
        url_or_backend: str | Backend | None = None,
        *,
        namespace: str = "tu",
        near: NearSetting = None,
        timeout: float = 0.25,
        compress: codec.Method | None = None,
        compress_above: int = 4096,
    ) -> None:
        if near is not None:
            check_near(near)
        seconds = to_ms("timeout", timeout) / 1000
        if seconds > _LONGEST_TIMEOUT:
            raise UsageError(f"timeout was {timeout!r}; write seconds, at most {_LONGEST_TIMEOUT:g}")
        self._keyspace = Keyspace(namespace)
        self._prefix = self._keyspace.value_prefix
        self._owns = url_or_backend is None or isinstance(url_or_backend, str)
        self._backend = open_backend(url_or_backend, seconds)
        if isinstance(self._backend, Attends):
            self._backend.attend(self._keyspace)
        self._encode = encoder(compress, compress_above)
        self._counters = Counters()
        self._events = Events(lambda: self._backend.usage().breaker == "open")
        self._told = self._events.callbacks
        self._near: Near | None = None
        if near is not None and not isinstance(self._backend, Memory):
            self._near = Near(near, self._backend, self._keyspace.value_prefix, codec.loads)
        self._find: Callable[[str], Entry | None] | None = None if self._near is None else self._near.entries.get
        self._peek = self._backend.peek if isinstance(self._backend, Peeks) else None
        self._reads = Reads(repr(self), self._backend, self._keyspace, self._near, self._counters, self._events)
        self._flights = Flights(self._backend, self._keyspace, self._counters, self._events, self._encode)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._server: EmbeddedServer | None = None

    @classmethod
    def embedded(
        cls,
        path: str | os.PathLike[str] | None = None,
        max_bytes: int | str = "64mb",
        policy: str = "allkeys-lfu",
        **options: Any,
    ) -> Self:
        """
        Return a cache on a real server of its own, which is started with it and ends with this process.

        It is a Valkey from the extra ``embedded``, on a unix socket, with nothing kept on disk; it dies also where this
        process is killed. Other processes of this user may share it: ``Cache("unix:///path/to/socket")``. It takes
        0.1 s, in which nothing else happens.

        Parameters
        ----------
        path : str or path or None
            The socket; ``None``: one in a folder of its own, which is removed with it.
        max_bytes : int or str
            Memory that it may use.
        policy : str
            What it does then; by default it forgets what is least often used.
        **options
            ``namespace``, ``near``, ``timeout``, ``compress``, ``compress_above`` as for a cache.

        Raises
        ------
        MissingExtra : the extra is not installed.
        UsageError : one of these cannot be.
        CacheUnavailable : the server did not start.
        """
        from tradeutils.cache.embedded import EmbeddedServer  # only for those who use it

        server = EmbeddedServer(path, max_bytes=max_bytes, policy=policy)
        try:
            cache = cls(server.url, **options)
        except BaseException:
            server.stop()
            raise
        cache._server = server  # of our own class
        return cache

    def __repr__(self) -> str:
        return f"Cache({self._backend.name!r}, namespace={self._keyspace.namespace!r})"

    @property
    def backend(self) -> Backend:
        """Where the bytes lie; share it between caches of different namespaces."""
        return self._backend

    @property
    def namespace(self) -> str:
        """The namespace given."""
        return self._keyspace.namespace

    @property
    def address(self) -> Address | None:
        """The Redis it lies on, so that a budget can be kept there too; ``None`` for a cache in memory."""
        found: Address | None = getattr(self._backend, "address", None)  # backends of others need not have one
        return found

    # One value, many values

    async def get(self, key: str, default: Any = None) -> Any:
        """
        Return the value of ``key``, or ``default`` where there is none or its ttl is over.

        Raises
        ------
        CacheUnavailable : the server did not answer.
        CodecError : what lies there was not written by us, or is damaged.
        """
        # The shortest ways come first and are written out: a coroutine or two more would double what they cost.
        if self._loop is not get_running_loop():
            self._enter()
        if key.__class__ is str:
            find = self._find
            if find is not None:
                entry = find(key)
                if entry is not None and monotonic() < entry.until:
                    entry.used = True
                    self._counters.near += 1
                    if self._told:
                        self._events.tell("hit", key)
                    copy = entry.copy
                    return entry.value if copy is None else copy(entry.value)
            elif self._peek is not None:
                data = self._peek(self._prefix + key)
                if data is not None:
                    try:
                        value = _loads(data)
                    except CodecError as error:
                        raise self._reads.illegible(key, error) from error
                    self._counters.hits += 1
                    if self._told:
                        self._events.tell("hit", key)
                    return value
        full = self._keyspace.value(key)
        if self._near is not None and self._near.wants(key):
            return (await self._reads.nearly(self._near, [key])).get(key, default)
        asks = self._reads.asks
        try:
            asked = None if asks is None else asks.ask(full)
            if asks is None or asked is None:
                stored = await self._backend.get(full)
            else:
                found = await asked
                if not asks.quiet:
                    [found] = await asks.counting([full], [found])
                stored = None if found is None else asks.open(found)
        except CacheError as error:
            self._reads.note(error)
            raise
        if stored is None or stored.late:
            self._counters.misses += 1
            if self._told:
                self._events.tell("miss", key)
            return default
        value = self._reads.decoded(key, stored.data)
        self._counters.hits += 1
        if self._told:
            self._events.tell("hit", key)
        return value

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """
        Return the values of those of ``keys`` that are there, in one round trip; errors as in `get`.

        The order is that of ``keys``; a value of ``None`` is there.
        """
        self._enter()
        names = list(dict.fromkeys(_not_text(keys)))
        if not names:
            return {}
        return await self._reads.many(names)

    async def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """
        Store ``value`` for ``ttl`` seconds (to the millisecond), or for ever with ``None``.

        A fetch of the same key that is under way is served to those who wait for it, but no longer stored.

        Raises
        ------
        CacheUnavailable : the server did not answer; the value may have been stored all the same.
        CodecError : a value of a type that is not encoded.
        UsageError : a key or ttl that cannot be, or a value of more than 512 MiB; nothing was sent.
        CacheError : the server refused, for want of memory or permission.
        """
        await self.set_many({key: value}, ttl)

    async def set_many(self, mapping: Mapping[str, Any], ttl: float | None = None) -> None:
        """Store many values in one round trip, as `set`; where it raises, some may have been stored."""
        self._enter()
        lasts = None if ttl is None else to_ms("ttl", ttl)
        if not isinstance(mapping, Mapping):
            raise UsageError(f"mapping was {type(mapping).__name__}; write a mapping of key to value")
        items = {self._keyspace.value(key): self._encode(value) for key, value in mapping.items()}
        if not items:
            return
        for key in mapping:
            self._flights.detach(key)
        await self._reads.asked(self._backend.set_many(items, lasts, [self._keyspace.lease(key) for key in mapping]))

    async def delete(self, *keys: str) -> int:
        """
        Remove ``keys`` and return how many were there, those past their ttl but within a stale time among them.

        A fetch under way is no longer stored: what it brings may be older than the reason for the delete.
        """
        self._enter()
        names = list(dict.fromkeys(keys))
        if not names:
            return 0
        values = [self._keyspace.value(key) for key in names]
        for key in names:
            self._flights.detach(key)
        return await self._reads.asked(self._backend.delete(values, [self._keyspace.lease(key) for key in names]))

    # Locks

    def lock(self, name: str, ttl: float) -> Lock:
        """
        Return a lock for ``async with``: at most one holder of ``name`` among all processes on the backend.

        Parameters
        ----------
        name : str
            What is locked.
        ttl : float
            Seconds after which it ends by itself, whatever its holder does.
        """
        self._enter()
        return Lock(self._backend, name, self._keyspace.lock(name), self._keyspace.fence(name), to_ms("ttl", ttl))

    # About itself

    async def aclose(self) -> None:
        """Cancel background fetches and close the connection; callers still waiting get `Closed`. May be repeated."""
        if self._closed:
            return
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            self._rebind(asyncio.get_running_loop())
        self._closed, self._loop = True, None
        if self._near is not None:
            self._near.close()
        await self._flights.aclose()
        self._events.close()
        if isinstance(self._backend, Memory) and self._evicted in self._backend.on_evicted:
            self._backend.on_evicted.remove(self._evicted)
        if self._owns:
            await self._backend.aclose()
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)

    async def __aenter__(self) -> Cache:
        self._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # How it works

    def _enter(self) -> None:
        """Refuse a closed cache, and one that another event loop is using."""
        if self._closed:
            raise Closed(f"{self!r} was closed; make a new one")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._rebind(loop)

    def _rebind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            if not self._loop.is_closed():
                raise UsageError("a cache belongs to the event loop that first used it; make one cache for each loop")
            self._flights.forget()
            self._events.forget()
            self._backend.rebind()
            if self._near is not None:
                self._near.clear()
        self._loop = loop


def encoder(compress: codec.Method | None, above: int) -> Callable[[Any], bytes]:
    """Return what makes bytes of a value."""
    codec.check_method(compress)
    if isinstance(above, bool) or not isinstance(above, int) or above < 0:
        raise UsageError(f"compress_above was {above!r}; write from how many bytes on values are compressed, 0 or more")
    return codec.dumps if compress is None else functools.partial(codec.dumps, compress=compress, above=above)


def _not_text(keys: Iterable[str]) -> Iterable[str]:
    if isinstance(keys, (str, bytes)):  # a str is a sequence of one-letter keys, which nobody means
        raise UsageError(f"keys was {keys!r}; write a list of keys: [{keys!r}]")
    return keys
