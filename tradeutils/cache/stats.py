"""What a cache has done."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Counters", "Stats"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """
    What one `Cache` object has done since it was made.

    Attributes
    ----------
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
    keys, bytes, evictions : int or None
        Of the memory backend: keys held, bytes used, and values dropped to stay within the budget.
    """

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
    keys: int | None
    bytes: int | None
    evictions: int | None

    @property
    def hit_rate(self) -> float:
        """Share of the keys asked for that were found, 0.0 to 1.0; NaN before the first."""
        asked = self.hits + self.stale + self.misses
        return (self.hits + self.stale) / asked if asked else float("nan")
