"""How answers are shared through the cache: under which key, and for how long each serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tradeutils.cache import Cache
from tradeutils.exchange.base import Venue
from tradeutils.exchange.paging import CandleRequest, fetch_candles
from tradeutils.model import Candles

__all__ = ["BOOK_TTL", "TICKER_TTL", "shared", "shared_candles"]

T = TypeVar("T")

# Seconds for which an answer serves whoever asks again. Candles serve until the next one closes instead.
TICKER_TTL: Final = 1.0
BOOK_TTL: Final = 0.25
_SHORTEST_TTL: Final = 0.05
_PAST_TTL: Final = 3600.0  # a range that lay in the past does not change
_SETTLED_BARS: Final = 3  # how far back that past begins: venues publish a bar some time after its close


class _NotKept(Exception):
    """Carries candles past the cache: an error reaches all who wait, and is not remembered."""

    def __init__(self, candles: Candles) -> None:
        self.candles = candles
        super().__init__("not kept")


async def shared(cache: Cache | None, origin: str, key: str, ttl: float, fetch: Callable[[], Awaitable[T]]) -> T:
    """Serve ``key`` from the cache, or fetch it once for all who ask."""
    if cache is None:
        return await fetch()
    found: T = await cache.get_or_fetch(f"{origin}:{key}", fetch, ttl=ttl)
    return found


async def shared_candles(cache: Cache | None, venue: Venue, request: CandleRequest) -> Candles:
    """
    Serve candles from the cache, or fetch them once for all who ask.

    The key names the bar that is forming, so that no answer outlives it; an answer that lacks the bar before
    it (the venue was late, or nobody traded) is not kept.
    """
    if cache is None:
        return await fetch_candles(venue, request)
    frame, now = request.timeframe, await venue.time()
    forming = frame.floor(now)
    past = request.until is not None and request.until <= frame.shift(forming, -_SETTLED_BARS)
    asked = f"{request.market.symbol}:{frame}:{request.since}:{request.until}:{request.limit}"
    key = f"ohlcv:{asked}:{int(request.closed_only)}:{'past' if past else forming}"
    until_close = (frame.next(now) - now) / 1000 if request.closed_only else TICKER_TTL
    ttl = _PAST_TTL if past else max(_SHORTEST_TTL, until_close)
    newest = min(forming, request.until or forming)  # exclusive, of what must be there

    async def fetch() -> Candles:
        found = await fetch_candles(venue, request)
        if not past and (not len(found) or frame.shift(int(found.time[-1])) < newest):
            raise _NotKept(found)
        return found

    try:
        return await shared(cache, venue.origin, key, ttl, fetch)
    except _NotKept as early:
        return early.candles
