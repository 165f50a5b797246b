"""
What venues said of balances: shared, kept for a while, and dropped as soon as it may have changed.

An answer whose request left before a change is never served to who asks after it. In one process that is seen to
here; among processes by the cache, which stores no outcome of a fetch whose key was deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple

from tradeutils.cache import Cache
from tradeutils.errors import CacheError, Closed
from tradeutils.exchange.gathering import Flights
from tradeutils.logs import get_logger
from tradeutils.model import Balance

__all__ = ["Answer", "Answers", "read_answer"]

_log = get_logger("balances")

_FAR_AHEAD_S: Final = 3_600.0  # another machine's clock may be off by so much


class Answer(NamedTuple):
    """What a venue said, and when, in seconds since 1970."""

    balance: Balance
    at: float


class _Place:
    """What is known here of one key."""

    __slots__ = ("changes", "last", "undeleted")

    def __init__(self) -> None:
        self.changes = 0
        self.last: tuple[Answer, int] | None = None  # with the changes that its request knew of
        self.undeleted = False  # what the cache holds may be older than the last change


class Answers:
    """
    The answers about many accounts.

    Parameters
    ----------
    cache : Cache or None
        Through which processes share them. ``None``: only requests under way are shared.
    ttl : float
        Seconds for which one serves whoever asks again.
    clock : callable
        Seconds since 1970.
    """

    def __init__(self, cache: Cache | None, ttl: float, *, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._ttl = ttl
        self._clock = clock
        self._places: dict[str, _Place] = {}
        self._flights = Flights()
        self._deleting: set[asyncio.Task[bool]] = set()
        self.dropped = 0

    async def get(self, key: str, fetch: Callable[[], Awaitable[Balance]], max_age: float | None = None) -> Answer:
        """
        Return what is known under a key, or fetch it once for all who ask.

        Parameters
        ----------
        key : str
            Whose wallet, and where.
        fetch : callable
            Asks the venue. Its error reaches all who wait for it.
        max_age : float or None
            Seconds that the answer may be old; ``None``: the ttl. Beyond the ttl only without a cache, and then what
            this process asked itself: where others share a cache, what lies there no more may have been dropped by one
            of them that changed the account.
        """
        place = self._places.setdefault(key, _Place())
        if self._cache is None:
            known = place.last
            if max_age and known is not None and known[1] == place.changes and self.age(known[0]) <= max_age:
                return known[0]
            return await self._directly(key, place, fetch)
        asked = False

        async def ours() -> Balance:
            nonlocal asked
            asked = True
            return await fetch()

        found = await self._through_cache(self._cache, key, place, ours)
        if asked or max_age is None or self.age(found) <= max_age:
            return found
        cache = self._cache
        return await self._flights.join(f"renew {key} {place.changes}", lambda: self._renewed(cache, key, place, fetch))

    def age(self, answer: Answer) -> float:
        """Return the seconds since an answer was given; never below 0, as clocks of machines differ."""
        return max(0.0, self._clock() - answer.at)

    def last(self, key: str) -> Answer | None:
        """Return the last answer that this process had, however old."""
        place = self._places.get(key)
        return None if place is None or place.last is None else place.last[0]

    def drop(self, keys: Iterable[str]) -> None:
        """
        Take note that what is known under some keys may no longer be so.

        Here that holds at once, in other processes as soon as the cache is told, which is done in the background.
        """
        named = list(keys)
        self.dropped += 1
        for key in named:
            place = self._places.setdefault(key, _Place())
            place.changes += 1
            place.undeleted = self._cache is not None
        if self._cache is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # outside of any loop: the next who asks does it
            return
        task = loop.create_task(self._delete(self._cache, named))
        self._deleting.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self._deleting.discard)

    async def settle(self) -> None:
        """Wait until the cache was told of all changes, or did not answer."""
        while self._deleting:
            await asyncio.wait(list(self._deleting))

    async def _through_cache(
        self, cache: Cache, key: str, place: _Place, fetch: Callable[[], Awaitable[Balance]]
    ) -> Answer:
        if place.undeleted and not await self._deleted(cache, key):
            return await self._directly(key, place, fetch)  # what lies there may be too old, and cannot be removed

        async def fetched() -> dict[str, Any]:
            answer = await self._asked(place, fetch)
            return {"balance": answer.balance, "at": answer.at}

        told = await cache.get_or_fetch(key, fetched, ttl=self._ttl)
        found = read_answer(told, self._clock())
        if found is not None:
            return found
        _log.warning("what the cache holds under %s is no balance, and is not used", key)
        place.undeleted = True
        return await self._directly(key, place, fetch)

    async def _directly(self, key: str, place: _Place, fetch: Callable[[], Awaitable[Balance]]) -> Answer:
        """Ask the venue, or join who is asking since the last change."""
        return await self._flights.join(f"{key} {place.changes}", lambda: self._asked(place, fetch))

    async def _asked(self, place: _Place, fetch: Callable[[], Awaitable[Balance]]) -> Answer:
        changes = place.changes
        answer = Answer(await fetch(), self._clock())
        place.last = (answer, changes)
        return answer

    async def _renewed(self, cache: Cache, key: str, place: _Place, fetch: Callable[[], Awaitable[Balance]]) -> Answer:
        place.undeleted = True
        return await self._through_cache(cache, key, place, fetch)

    async def _deleted(self, cache: Cache, key: str) -> bool:
        """Have the cache forget a key, once for all who want that; tell whether it did."""
        place = self._places[key]
        while place.undeleted:
            if not await self._flights.join(f"delete {key} {place.changes}", lambda: self._delete(cache, [key])):
                return False
        return True

    async def _delete(self, cache: Cache, keys: list[str]) -> bool:
        """Have the cache forget keys, in one round trip; tell whether it did."""
        known = {key: self._places[key].changes for key in keys}
        try:
            await cache.delete(*keys)
        except (CacheError, Closed) as error:
            _log.debug("the cache was not told that %s changed: %s", ", ".join(keys), error)
            return False
        for key, changes in known.items():
            if self._places[key].changes == changes:
                self._places[key].undeleted = False
        return True


def read_answer(told: object, now: float) -> Answer | None:
    """Return an answer as it lies in a cache; ``None`` where it is not of our writing."""
    if not isinstance(told, dict) or not isinstance(told.get("balance"), Balance):
        return None
    at = told.get("at")
    if not isinstance(at, float) or not (math.isfinite(at) and at <= now + _FAR_AHEAD_S):
        return None
    return Answer(told["balance"], at)
