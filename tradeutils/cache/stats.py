"""What a cache has done."""

from __future__ import annotations

from dataclasses import dataclass

from tradeutils.cache.base import Tracking, Usage

__all__ = ["Counters", "NearStats", "Stats"]


@dataclass(slots=True)
class Counters:
    """The running counts of one cache; `Stats` says what each means."""

    hits: int = 0
    misses: int = 0
    stale: int = 0
    fetches: int = 0
    shared: int = 0
    discarded: int = 0
    errors: int = 0
    unavailable: int = 0
    near: int = 0

    def stats(self, server: str, namespace: str, usage: Usage, near: NearStats | None) -> Stats:
        """Return them with what the backend and the copy in this process know of themselves."""
        counted = {name: getattr(self, name) for name in self.__slots__ if name != "near"}
        counted["hits"] += self.near
        told = {name: getattr(usage, name) for name in Usage.__slots__}
        return Stats(server=server, namespace=namespace, **counted, **told, near=near)


@dataclass(frozen=True, slots=True, kw_only=True)
class NearStats:
    """
    What the copy in this process has done, and what it costs the server.

    Attributes
    ----------
    is_on : bool
        Whether values are being kept: the server tells of changes, and is there.
    reason : str
        Why it does not tell of them, in the server's words; empty where it does.
    hits : int
        Reads that were served from it; they count among `Stats.hits` too.
    keys, bytes : int
        What it holds, and about how much memory that takes.
    invalidations : int
        Keys of which the server told that they had changed, kept here or not.
    dropped : int
        Entries dropped because their key had changed, or may have.
    evicted : int
        Entries dropped to stay within the budget.
    losses : int
        How often everything was dropped: connection lost or silent, or the database emptied.
    server : Tracking or None
        What it costs the server; ``None`` where it did not say.
    """

    is_on: bool
    reason: str
    hits: int
    keys: int
    bytes: int
    invalidations: int
    dropped: int
    evicted: int
    losses: int
    server: Tracking | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """
    What one `Cache` object has done since it was made.

    Attributes
    ----------
    server, namespace : str
        Which: ``"redis://localhost:6379/0"``, without user and password, or ``"memory://"``.
    hits, misses : int
        Keys found fresh, and keys not found. A key that could not be asked for is neither.
    stale : int
        Values served past their ttl while a fetch was under way.
    fetches : int
        Calls of a fetch function.
    shared : int
        Callers of ``get_or_fetch`` that were served by a fetch another caller of this process had begun.
    discarded : int
        Outcomes of fetches that were served but not stored, because the key was set, deleted, invalidated or
        fetched by another process meanwhile.
    errors : int
        Values that could not be read, operations the server refused, fetched values too long to be stored, and
        background fetches that failed.
    unavailable : int
        Operations that the backend did not answer in time, or was not asked because it was known to be away.
    breaker : str
        ``"closed"``; ``"open"`` while the server is known to be away and calls are turned away at once.
    latency : float
        Mean seconds of a round trip, recent ones weighing most; 0.0 in memory.
    latency_p50, latency_p99 : float
        Seconds that half, and 99 of 100, of the latest thousand round trips took at most; 0.0 in memory.
    keys, bytes, evictions : int or None
        Of the memory backend: keys held, bytes used, and values dropped to stay within the budget.
    near : NearStats or None
        Of the copy in this process; ``None`` where there is none.
    """

    server: str
    namespace: str
    hits: int
    misses: int
    stale: int
    fetches: int
    shared: int
    discarded: int
    errors: int
    unavailable: int
    breaker: str
    latency: float
    latency_p50: float
    latency_p99: float
    keys: int | None
    bytes: int | None
    evictions: int | None
    near: NearStats | None = None

    @property
    def hit_rate(self) -> float:
        """Share of the keys asked for that were found, 0.0 to 1.0; NaN before the first."""
        asked = self.hits + self.stale + self.misses
        return (self.hits + self.stale) / asked if asked else float("nan")
