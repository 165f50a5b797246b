"""REST in place of a stream that has stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from tradeutils import logs
from tradeutils.errors import VenueError
from tradeutils.exchange.streams.depths import rest_depth
from tradeutils.exchange.streams.subscribers import RestData, Subscriber
from tradeutils.exchange.streams.topics import Kind, Topic

__all__ = ["StandIn", "StoodInFor"]

_log = logs.get_logger("exchange.streams")

# Seconds between two questions. One answer serves all who share the feed, and each pays from the budget.
_POLL_S: Final[dict[Kind, float]] = {"ticker": 1.0, "tickers": 2.0, "book": 1.0, "ohlcv": 2.0, "trades": 2.0}
_OTHER_POLL_S: Final = 5.0
_PATIENCE_S: Final = 5.0  # after which REST counts as dead as well


class StoodInFor(Protocol):
    """What it stands in for: a feed."""

    topic: Topic
    is_answered: bool

    @property
    def subscribers(self) -> Sequence[Subscriber]:
        """Its consumers."""
        ...

    @property
    def rest(self) -> RestData:
        """Whom to ask."""
        ...

    def catch_up(self) -> None:
        """Have the assemblers ask for what has happened."""
        ...

    def tell(self, subscriber: Subscriber) -> None:
        """Give a consumer a `Stale`."""
        ...


class StandIn:
    """
    Serves the consumers of a feed that asked for ``fallback="rest"``, from when data stops until it comes again.

    Parameters
    ----------
    feed : StoodInFor
        What it stands in for.
    """

    __slots__ = ("_feed", "is_at_work")

    def __init__(self, feed: StoodInFor) -> None:
        self._feed = feed
        self.is_at_work = False

    def _waiting(self) -> list[Subscriber]:
        return [one for one in self._feed.subscribers if one.stale and one.fallback == "rest"]

    async def serve(self) -> None:
        """Ask again and again, until nobody waits; where REST fails too, they are told once that data is stale."""
        feed, told = self._feed, False
        self.is_at_work = True
        try:
            while self._waiting():
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        await self._ask()
                except (VenueError, TimeoutError) as error:
                    feed.is_answered = False
                    _log.info("%s is stale, and REST does not answer either: %s", feed.topic, error)
                    if not told:
                        for one in self._waiting():
                            feed.tell(one)
                    told = True
                else:
                    feed.is_answered, told = True, False
                await asyncio.sleep(_POLL_S.get(feed.topic.kind, _OTHER_POLL_S))
        finally:
            self.is_at_work = feed.is_answered = False

    async def _ask(self) -> None:
        """Hand one answer to all who wait, unless data came meanwhile."""
        feed, topic = self._feed, self._feed.topic
        values: list[Any]
        if topic.kind == "ticker" and topic.symbol is not None:
            values = [await feed.rest.fetch_ticker(topic.symbol)]
        elif topic.kind == "book" and topic.symbol is not None:
            await self._ask_for_book(topic.symbol)
            return
        elif topic.kind == "tickers":
            values = list((await feed.rest.fetch_tickers()).values())
        else:  # bars and trades, each once: as if the stream had been opened again
            if topic.kind == "ohlcv" and topic.symbol is not None:
                await feed.rest.fetch_ohlcv(topic.symbol, topic.timeframe or "1m", limit=1, closed_only=False)
            elif topic.symbol is not None:
                await feed.rest.fetch_trades(topic.symbol, limit=1)
            feed.catch_up()  # which keeps errors to itself, and would not say that REST is dead
            return
        for one in self._waiting():
            for value in values:
                one.inbox.put(value, value.symbol)

    async def _ask_for_book(self, symbol: str) -> None:
        """Hand one book to all who wait, each as deep as he wants it."""
        depths = [one.reading.depth for one in self._waiting() if one.reading is not None]
        known = [depth for depth in depths if depth is not None]
        deepest = max(known) if depths and len(known) == len(depths) else None
        book = await self._feed.rest.fetch_order_book(symbol, limit=rest_depth(deepest))
        for one in self._waiting():
            depth = None if one.reading is None else one.reading.depth
            if depth is None:
                one.inbox.put(book, symbol)
            else:
                one.inbox.put(replace(book, bids=book.bids[:depth], asks=book.asks[:depth]), symbol)
