"""What streams bring, put where `Exchange.fetch_ticker` and `fetch_order_book` of every process look first."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeAlias

from tradeutils import logs
from tradeutils.cache import Cache
from tradeutils.errors import TradeutilsError
from tradeutils.exchange.gathering import ended
from tradeutils.exchange.streams.assembling.base import Assembler
from tradeutils.exchange.streams.subscribers import Tap
from tradeutils.model import OrderBook, Ticker

__all__ = ["PUBLISHED_S", "Publisher"]

_log = logs.get_logger("exchange.streams")

_Pending: TypeAlias = tuple[Any, Assembler[Any], int]
"""What came, what makes a value of it, and the fewest levels that a book must have."""

PUBLISHED_S: Final = 2.0
"""Seconds for which a value serves others, where nobody says: venues send a ticker every second or so."""

_INTERVAL_S: Final = 0.1
_AT_ONCE: Final = 200  # values: encoding them takes some 3 ms, in which nothing else runs


class Publisher:
    """
    Writes the newest ticker of each market, and the newest book, to a cache.

    Parameters
    ----------
    cache : Cache
        Not closed with this.
    origin : str
        Of the exchange: part of its keys.
    ttl : float
        Seconds for which a value serves.

    Notes
    -----
    It costs a stream an entry in a dict. Each key is written at most every 0.1 s, many in one round trip. Where the
    cache does not answer, what was to be written is dropped and counted: newer values come, and a stream waits for
    nobody.
    """

    def __init__(self, cache: Cache, origin: str, ttl: float) -> None:
        self.published = 0
        self.failed = 0
        self._cache = cache
        self._origin = origin
        self._ttl = ttl
        self._pending: dict[str, _Pending] = {}
        self._writing: asyncio.Task[None] | None = None
        self._is_away = False
        self._closed = False

    def ticker(self, item: Any, assembler: Assembler[Any]) -> None:
        """Take a ticker; a `Tap`."""
        self._put(f"{self._origin}:ticker:{item.symbol}", item, assembler)

    def book(self, symbol: str, limit: int | None, fewest: int = 0) -> Tap:
        """
        Return a `Tap` for the books of one market, as `fetch_order_book` is asked for them with this limit.

        Books of less than ``fewest`` levels on a side are left out: REST might have more.
        """
        key = f"{self._origin}:book:{symbol}:{limit}"
        return lambda item, assembler: self._put(key, item, assembler, fewest)

    def _put(self, key: str, item: Any, assembler: Assembler[Any], fewest: int = 0) -> None:
        self._pending[key] = (item, assembler, fewest)
        if self._writing is None and not self._closed:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._pending:
                await asyncio.sleep(_INTERVAL_S)
                pending, self._pending = self._pending, {}
                keys = list(pending)
                for first in range(0, len(keys), _AT_ONCE):
                    await self._write_some({key: pending[key] for key in keys[first : first + _AT_ONCE]})
        finally:
            self._writing = None

    async def _write_some(self, some: dict[str, _Pending]) -> None:
        made = {key: (assembler.finish(item), fewest) for key, (item, assembler, fewest) in some.items()}
        values = {key: value for key, (value, fewest) in made.items() if _is_whole(value, fewest)}
        if not values:
            return
        try:
            await self._cache.set_many(values, self._ttl)
        except TradeutilsError as error:
            self.failed += len(values)
            if not self._is_away:
                _log.warning("what streams bring is not written to the cache: %s", error)
            self._is_away = True
        else:
            self.published += len(values)
            self._is_away = False

    async def aclose(self) -> None:
        """Write nothing any more. Safe to call twice."""
        self._closed = True
        self._pending.clear()
        if self._writing is not None:
            await ended([self._writing])


def _is_whole(value: Any, fewest: int) -> bool:
    """
    Tell whether REST would say no more.

    Some venues stream tickers without the best bid and ask (bybit's of spot markets, binance's of all markets at once)
    or without the last price: whoever fetches a ticker counts on all three.
    """
    if isinstance(value, Ticker):
        return None not in (value.last, value.bid, value.ask)
    return isinstance(value, OrderBook) and min(len(value.bids), len(value.asks)) >= fewest
