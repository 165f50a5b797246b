"""How answers are shared: one call for all who ask at once, and the cache for who asks later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from tradeutils.cache import Cache
from tradeutils.exchange.base import Venue
from tradeutils.exchange.candles.pages import CandleRequest
from tradeutils.exchange.candles.paging import fetch_candles
from tradeutils.exchange.gathering import Flights, ended
from tradeutils.model import Candles

__all__ = ["BOOK_TTL", "HISTORY_TTL", "TICKER_TTL", "Sharing"]

T = TypeVar("T")

# Seconds for which an answer serves whoever asks again. Candles serve until the next one closes instead.
TICKER_TTL: Final = 1.0
BOOK_TTL: Final = 0.25
HISTORY_TTL: Final = 60.0  # of funding rates and open interest: the venue adds to them every few minutes or hours
_SHORTEST_TTL: Final = 0.05
_PAST_TTL: Final = 3600.0  # a range that lay in the past does not change
_SETTLED_BARS: Final = 3  # how far back that past begins: venues publish a bar some time after its close


class _NotKept(Exception):
    """Carries candles past the cache: an error reaches all who wait, and is not remembered."""

    def __init__(self, candles: Candles) -> None:
        self.candles = candles
        super().__init__("not kept")


class _Abandoned(Exception):
    """Ends a fetch whose callers have all left."""


class Sharing:
    """
    Answers of one venue, shared.

    Parameters
    ----------
    venue : Venue
        Whose answers they are; its ``origin`` is part of every key.
    cache : Cache or None
        Where they are kept, for every process that uses the same; ``None``: only calls under way are shared.
    """

    def __init__(self, venue: Venue, cache: Cache | None) -> None:
        self._venue = venue
        self._cache = cache
        self._flights = Flights()

    async def answer(self, key: str, ttl: float, fetch: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """
        Serve ``key`` from the cache, or fetch it once for all who ask.

        Without a cache all who ask at once are handed the same object; with one, each a copy.
        """
        if self._cache is None:
            return await self._flights.join(key, fetch)
        found: T = await self._cache.get_or_fetch(f"{self._venue.origin}:{key}", fetch, ttl=ttl)
        return found

    async def answer_of_many(self, key: str, ttl: float, fetch: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """
        Serve ``key`` as `answer` does, where fetching it takes many requests: it ends with the last who waits for it.

        The cache by itself would go on for the next who asks: thousands of pages that nobody wants any more.
        """
        return await self._flights.join(key, lambda: self._while_wanted(key, ttl, fetch))

    async def _while_wanted(self, key: str, ttl: float, fetch: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._cache is None:
            return await fetch()
        fetching: asyncio.Task[T] | None = None
        left = False

        async def fetched() -> T:
            nonlocal fetching
            fetching = asyncio.ensure_future(fetch())
            try:
                return await fetching
            except asyncio.CancelledError:
                if left:
                    raise _Abandoned from None
                raise

        found: T
        while True:
            try:
                found = await self._cache.get_or_fetch(f"{self._venue.origin}:{key}", fetched, ttl=ttl)
            except _Abandoned:  # by another exchange on the same cache, for which we have waited
                continue
            except asyncio.CancelledError:
                left = True
                if fetching is not None:
                    await ended([fetching])
                raise
            return found

    async def call(self, key: str, fetch: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Fetch once for all who ask at once, and keep nothing."""
        return await self._flights.join(key, fetch)

    async def candles(self, request: CandleRequest) -> Candles:
        """
        Serve candles from the cache, or fetch them once for all who ask.

        The key names the bar that is forming, so that no answer outlives it; an answer that lacks the bar before
        it (the venue was late, or nobody traded) is not kept.
        """
        frame, now = request.timeframe, await self._venue.time()
        forming = frame.floor(now)
        past = request.until is not None and request.until <= frame.shift(forming, -_SETTLED_BARS)
        key = f"{_key(request)}:{'past' if past else forming}"
        until_close = (frame.next(now) - now) / 1000 if request.closed_only else TICKER_TTL
        ttl = _PAST_TTL if past else max(_SHORTEST_TTL, until_close)
        newest = min(forming, request.until or forming)  # exclusive, of what must be there

        async def fetch() -> Candles:
            found = await fetch_candles(self._venue, request)
            whole = past or (len(found) and frame.shift(int(found.time[-1])) >= newest)
            if not whole and self._cache is not None:
                raise _NotKept(found)
            return found

        try:
            return await self.answer_of_many(key, ttl, fetch)
        except _NotKept as early:
            return early.candles


def _key(request: CandleRequest) -> str:
    """Return what tells one request for candles from another."""
    kind = f"{request.price or ''}ohlcv:{request.market.symbol}:{request.timeframe}"
    bounds = f"{request.since}:{request.until}:{request.limit}"
    return f"{kind}:{bounds}:{int(request.closed_only)}:{int(request.partial)}:{request.grace}"
