"""What every backend of the cache does, on text keys and bytes; values are encoded above it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

from tradeutils.errors import UsageError

__all__ = ["MAX_VALUE_BYTES", "Backend", "Claim", "Encoded", "Lease", "Server", "Stored", "Usage", "check_size"]

MAX_VALUE_BYTES: Final = 512 * 1024 * 1024
"""The longest value that Redis takes (``proto-max-bulk-len``)."""

Encoded: TypeAlias = bytes | memoryview
"""An encoded value; a view where copying it out of its envelope can be saved."""


class Stored(NamedTuple):
    """A value as it lies in a backend; ``late``: milliseconds past its ttl, 0 while it is fresh."""

    data: Encoded
    late: int


class Lease(NamedTuple):
    """
    The right to store the outcome of one fetch.

    Parameters
    ----------
    name : str
        Key of the lease; whoever removes it takes the right away.
    token : bytes
        What lies there: the epoch, a colon, and who holds it.
    epoch_name : str
        Key of the namespace's epoch.
    epoch : bytes
        The epoch when the lease was granted; another one since means that the namespace was invalidated.
    """

    name: str
    token: bytes
    epoch_name: str
    epoch: bytes


class Claim(NamedTuple):
    """Answer to `Backend.claim`: the lease (``None``: another holds it), and what is stored at that moment."""

    lease: Lease | None
    stored: Stored | None


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

    async def get(self, key: str) -> Stored | None:
        """Return the value, or ``None`` where there is none, or its ttl and stale time are over."""
        ...

    async def get_many(self, keys: Sequence[str]) -> list[Stored | None]:
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

    async def invalidate(self, prefix: str, epoch_name: str) -> int:
        """Begin a new epoch, remove every key that starts with ``prefix`` (literally), and return how many."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[str]:
        """Yield each key that starts with ``prefix`` (literally); one that comes or goes meanwhile may be missed."""
        ...

    async def claim(self, key: str, lease_name: str, epoch_name: str, token: bytes, ttl: int) -> Claim:
        """
        Ask for the lease of ``key`` for ``ttl``, and read the value, in one step.

        It is granted where nobody holds it, or whoever does began before the epoch: what he fetches will not be stored.
        """
        ...

    async def commit(self, key: str, data: bytes, ttl: int | None, stale: int, lease: Lease) -> bool:
        """Store ``data`` and give the lease back in one step; ``False``, and nothing stored, if it no longer stands."""
        ...

    async def acquire(self, name: str, token: bytes, ttl: int) -> bool:
        """Take the lock ``name`` if nobody holds it."""
        ...

    async def extend(self, name: str, token: bytes, ttl: int) -> bool:
        """Let a lock or lease that ``token`` still holds last ``ttl`` from now."""
        ...

    async def release(self, name: str, token: bytes) -> bool:
        """Give back a lock or lease; ``False`` if ``token`` no longer held it."""
        ...

    async def server(self) -> Server | None:
        """Describe the server; ``None`` where there is none."""
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


def check_size(data: bytes, key: str) -> None:
    """Refuse a value that Redis could not hold, before any of it is sent."""
    if len(data) > MAX_VALUE_BYTES:
        raise UsageError(
            f"value of {key!r} is {len(data):,} bytes; at most {MAX_VALUE_BYTES:,} can be stored: split it"
        )
