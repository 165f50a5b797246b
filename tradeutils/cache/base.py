"""What every backend of the cache does, on text keys and bytes; values are encoded above it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

from tradeutils.cache.keys import Keyspace
from tradeutils.cache.reports import Cleaned, Progress, Survey
from tradeutils.errors import UsageError
from tradeutils.link.changes import Changes, Reading

__all__ = [
    "MAX_VALUE_BYTES", "Asks", "Attends", "Backend", "Claim", "Encoded", "Grant", "Lease", "Peeks", "Server", "Stored",
    "Tracking", "Usage", "check_size",
]  # fmt: skip

MAX_VALUE_BYTES: Final = 512 * 1024 * 1024
"""The longest value that Redis takes (``proto-max-bulk-len``)."""

Encoded: TypeAlias = bytes | memoryview
"""An encoded value; a view where copying it out of its envelope can be saved."""


class Stored(NamedTuple):
    """
    A value as it lies in a backend; times in milliseconds.

    Parameters
    ----------
    data : bytes or memoryview
        The encoded value.
    late : int
        How long it is past its ttl; 0 while it is fresh.
    left : float or None
        How long it is still fresh; infinite: for ever. ``None``: not told, for it was not asked.
    cost : int
        How long it took to fetch; 0: not noted.
    until : int
        When its ttl is over by the clock of the backend; 0: not noted.
    """

    data: Encoded
    late: int
    left: float | None = None
    cost: int = 0
    until: int = 0


class Lease(NamedTuple):
    """
    The right to store the outcome of one fetch.

    Parameters
    ----------
    name : str
        Key of the lease; whoever removes it takes the right away.
    token : bytes
        What lies there.
    epoch_name : str
        Key of the namespace's epoch.
    epoch : bytes
        The epoch when the lease had been granted; another one since means that the namespace was invalidated.
    """

    name: str
    token: bytes
    epoch_name: str
    epoch: bytes


class Claim(NamedTuple):
    """
    Answer to `Backend.claim`.

    Parameters
    ----------
    lease : Lease or None
        ``None``: another holds it.
    stored : Stored or None
        Where the lease was granted, what was stored after that.
    ends : float
        Where it was not, milliseconds after which it is worth asking again: the holder's lease ends then, unless he
        prolongs it.
    """

    lease: Lease | None
    stored: Stored | None
    ends: float = 0.0


class Grant(NamedTuple):
    """
    Answer to `Backend.acquire_fenced`.

    Parameters
    ----------
    fence : int
        Higher than that of every holder before; 0: another holds the lock.
    ends : float
        Where another does, milliseconds after which his hold ends.
    """

    fence: int
    ends: float = 0.0


@dataclass(frozen=True, slots=True)
class Tracking:
    """
    What it costs a server to remember who read what, as it counts it itself, over all its clients.

    Attributes
    ----------
    clients : int
        Connections that are told of changes.
    keys : int
        Keys that it would tell of.
    items : int
        Pairs of such a key and a client; each takes about 100 bytes, and a push when the key changes.
    flags : tuple of str
        How our own connection is served: ``("on", "optout")``; empty where the server cannot say (Redis < 6.2).
    """

    clients: int
    keys: int
    items: int
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """
    The server behind a cache.

    Attributes
    ----------
    name, version : str
        ``"valkey"``, ``"9.1.2"``.
    latency : float
        Seconds for one round trip, the best of a few.
    used_bytes, max_bytes : int
        Memory in use and its limit; 0: no limit.
    policy : str
        What it does when full: ``"noeviction"`` refuses writes, ``"allkeys-lru"`` forgets the least recently used.
    evicted : int
        Keys forgotten for want of memory since the server started.
    """

    name: str
    version: str
    latency: float
    used_bytes: int
    max_bytes: int
    policy: str
    evicted: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a backend knows of itself without asking anyone; the meaning of each is that in `Stats`."""

    breaker: str = "closed"
    latency: float = 0.0
    latency_p50: float = 0.0
    latency_p99: float = 0.0
    keys: int | None = None
    bytes: int | None = None
    evictions: int | None = None


class Backend(Protocol):
    """
    Where a cache keeps its bytes.

    Keys are whole (the namespace is in them) and at most a few KiB; times are int milliseconds. Names of leases, locks
    and epochs never equal a key of a value. Each method ends within the backend's own deadline and raises
    `CacheUnavailable` where the store did not answer: an outage is never ``None``, ``False`` or 0.
    """

    @property
    def name(self) -> str:
        """What to call it in messages; carries no secret."""
        ...

    @property
    def changes(self) -> Changes:
        """Where it tells of changes to keys that were read as `Reading.WATCHED` or `Reading.TIMED`."""
        ...

    async def get(self, key: str, reading: Reading = Reading.PLAIN) -> Stored | None:
        """Return the value, or ``None`` where there is none, or its ttl and stale time are over."""
        ...

    async def get_many(self, keys: Sequence[str], reading: Reading = Reading.PLAIN) -> list[Stored | None]:
        """Return the value of each key, in the order of ``keys``."""
        ...

    async def set_many(self, items: Mapping[str, bytes], ttl: int | None, leases: Sequence[str]) -> None:
        """
        Store ``items`` for ``ttl`` (``None``: for ever) and revoke ``leases``, which are theirs in the same order.

        A value and its lease change in one step, or a fetch between the two could put an older value over the new one.
        """
        ...

    async def delete(self, keys: Sequence[str], leases: Sequence[str]) -> int:
        """Remove ``keys`` and revoke ``leases`` in one step, and return how many of ``keys`` there were."""
        ...

    async def invalidate(self, names: Keyspace, prefix: str, *, wait: bool = False) -> int:
        """
        Begin a new epoch, let every value of ``names`` whose key starts with ``prefix`` (literally) be gone, and return
        how many were removed by then; with ``wait``, all.

        Their leases are revoked, so that nobody waits for a fetch whose outcome will not be stored.
        """
        ...

    async def clean(self, names: Keyspace, progress: Progress | None, *, dry_run: bool, without_ttl: bool) -> Cleaned:
        """Remove values of ``names`` that nobody can use; see `Cache.clean`."""
        ...

    async def survey(self, names: Keyspace, samples: int) -> Survey:
        """Find out what takes the room; see `Cache.survey`."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[str]:
        """Yield each key that starts with ``prefix`` (literally); one that comes or goes meanwhile may be missed."""
        ...

    async def claim(self, key: str, lease_name: str, epoch_name: str, token: bytes, ttl: int) -> Claim:
        """
        Ask for the lease of ``key`` for ``ttl``; where it is granted, read the value after that, watched.

        Once another holder is done, `changes` tells that ``key`` has changed, also where he stored nothing.
        """
        ...

    async def commit(self, key: str, data: bytes, ttl: int | None, stale: int, lease: Lease, cost: int = 0) -> bool:
        """
        Store ``data`` and give the lease back in one step; ``False``, and nothing stored, if it no longer stands.

        ``cost``, how long the fetch took, is kept with it where it is not 0.
        """
        ...

    async def abandon(self, key: str, lease: Lease) -> None:
        """Give the lease back with nothing stored."""
        ...

    async def acquire(self, name: str, token: bytes, ttl: int) -> bool:
        """Take the lock ``name`` if nobody holds it."""
        ...

    async def acquire_fenced(self, name: str, counter: str, token: bytes, ttl: int) -> Grant:
        """Take the lock ``name`` as `acquire` does, with a number from ``counter``; its end is told by `changes`."""
        ...

    async def extend(self, name: str, token: bytes, ttl: int) -> bool:
        """Let a lock or lease that ``token`` still holds last ``ttl`` from now."""
        ...

    async def release(self, name: str, token: bytes) -> bool:
        """Give back a lock or lease; ``False`` if ``token`` no longer held it."""
        ...

    async def tracking(self) -> Tracking | None:
        """Ask the server what telling of changes costs it; ``None`` where there is none, or it will not tell."""
        ...

    async def server(self) -> Server | None:
        """Describe the server; ``None`` where there is none."""
        ...

    def beat(self, seconds: float) -> None:
        """Make sure of the connection if nothing was heard for ``seconds``; returns at once."""
        ...

    def usage(self) -> Usage:
        """Tell what is known without asking anyone."""
        ...

    def rebind(self) -> None:
        """Forget what belonged to an event loop that has closed."""
        ...

    async def aclose(self) -> None:
        """Let go of connections; calls still waiting raise `Closed`."""
        ...


@runtime_checkable
class Peeks(Protocol):
    """A backend in this process, whose values need not be waited for: a coroutine less for each."""

    def peek(self, key: str) -> Encoded | None:
        """Return the data of ``key`` if it is there and fresh."""
        ...


@runtime_checkable
class Attends(Protocol):
    """A backend that removes what is invalidated at leisure, and has to know of whom."""

    def attend(self, names: Keyspace) -> None:
        """Take a namespace into account."""
        ...


@runtime_checkable
class Asks(Protocol):
    """A backend that hands out what it reads as it lies there: a coroutine or a tuple less for each value."""

    @property
    def quiet(self) -> bool:
        """Whether what has come counts for sure; if not, `counting` tells."""
        ...

    @property
    def marked(self) -> bytes:
        """The byte with which what was read begins, where it is not a fresh value as it stands."""
        ...

    def ask(self, key: str) -> asyncio.Future[bytes | None] | None:
        """Begin to read as `Backend.get` does, plainly; ``None``: only that can."""
        ...

    async def counting(self, keys: Sequence[str], values: list[bytes | None]) -> list[bytes | None]:
        """Return what `ask` has brought without what had been invalidated before."""
        ...

    async def ask_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Read as `Backend.get_many` does, plainly, and return what lies there."""
        ...

    def open(self, data: bytes) -> Stored | None:
        """Return the value in what was read."""
        ...


def check_size(data: bytes, key: str) -> None:
    """Refuse a value that Redis could not hold, before any of it is sent."""
    if len(data) > MAX_VALUE_BYTES:
        raise UsageError(
            f"value of {key!r} is {len(data):,} bytes; at most {MAX_VALUE_BYTES:,} can be stored: split it"
        )
