"""Feeds and streams on a line that does what the test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

import tradeutils as tu
from tradeutils.errors import StreamBroken, TradeutilsError
from tradeutils.exchange.streams.feeds import Feeds
from tradeutils.exchange.streams.inbox import open_inbox
from tradeutils.exchange.streams.stream import Joined, Stream
from tradeutils.exchange.streams.subscribers import Fallback, Reading, Subscriber
from tradeutils.exchange.streams.topics import Topic

__all__ = [
    "BTC", "ETH", "Auditing", "AuditingNow", "Bench", "Echo", "Rest", "Scripted", "state_of", "ticker", "until",
]  # fmt: skip

BTC, ETH = Topic("ticker", "BTC/USDT"), Topic("ticker", "ETH/USDT")


class Scripted:
    """A line that takes every topic, or fails as told, and brings what the test gives it."""

    def __init__(self) -> None:
        self.topics: dict[Topic, Any] = {}
        self.placed: list[list[Topic]] = []
        self.left: list[Topic] = []
        self.replaced: list[Topic] = []
        self.refusals: list[TradeutilsError] = []
        self.bad: dict[Topic, TradeutilsError] = {}
        self.slow = 0.0
        self.ended = True

    async def place(self, topics: Sequence[Topic], sink: Any) -> None:
        """Subscribe, or refuse."""
        self.placed.append(list(topics))
        await asyncio.sleep(self.slow)
        if self.refusals:
            raise self.refusals.pop(0)
        for topic in topics:
            if topic in self.bad:
                raise self.bad[topic]
        self.topics |= dict.fromkeys(topics, sink)

    async def leave(self, topics: Collection[Topic], sink: Any = None) -> None:
        """Unsubscribe."""
        await asyncio.sleep(self.slow)
        for topic in topics:
            self.left.append(topic)
            self.topics.pop(topic, None)

    async def replace(self, line: Any) -> None:
        """Drop the topic, as a line that is closed does."""
        self.replaced.append(line)
        if line in self.topics:
            self.fail(line, StreamBroken("replaced"))

    def push(self, topic: Topic, value: Any) -> None:
        """Bring a value, as one message."""
        self.topics[topic].received(topic, value, {}, time.monotonic())

    def fail(self, topic: Topic, error: TradeutilsError) -> None:
        """End a topic."""
        self.topics.pop(topic).failed(self, error, [topic])


class Echo:
    """Assembles nothing: what comes is what is told; asks REST for what the test put there."""

    def __init__(self, missed: list[Any] | None = None) -> None:
        self.interruptions = 0
        self.resumed = 0
        self.missed = [] if missed is None else missed

    def take(self, value: Any, frame: Any, now: int) -> Sequence[Any]:
        """Return the value."""
        return (value,)

    def interrupted(self, now: int) -> None:
        """Count."""
        self.interruptions += 1

    async def resume(self, rest: Any) -> Sequence[Any]:
        """Return what was missed."""
        self.resumed += 1
        found, self.missed[:] = list(self.missed), []
        return found

    def due(self, now: int) -> float | None:
        """Return that nothing is due."""
        return None

    async def settle(self, rest: Any, now: int) -> Sequence[Any]:
        """Return nothing."""
        return ()

    def finish(self, item: Any) -> Any:
        """Return the item."""
        return item

    def conflation_key(self, item: Any) -> Hashable:
        """Return the symbol."""
        return str(item.symbol)


class Rest:
    """What REST has, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.limits: list[int | None] = []
        self.error: TradeutilsError | None = None

    async def fetch_tickers(self) -> dict[str, tu.Ticker]:
        """Return one ticker."""
        return {"BTC/USDT": await self.fetch_ticker("BTC/USDT")}

    async def fetch_order_book(self, symbol: str, *, limit: int | None = None) -> tu.OrderBook:
        """Return a book of ten levels."""
        self.asked += 1
        self.limits.append(limit)
        bids, asks = ([[100.0 + step * level, 1.0] for level in range(10)] for step in (-1, 1))
        return tu.OrderBook(symbol=symbol, bids=bids, asks=asks)  # type: ignore[arg-type]  # made arrays there

    async def fetch_ohlcv(self, symbol: str, timeframe: str, **_: Any) -> None:
        """Answer."""

    async def fetch_trades(self, symbol: str, **_: Any) -> None:
        """Answer."""

    async def fetch_ticker(self, symbol: str) -> tu.Ticker:
        """Return a ticker whose time says how often it was asked."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return tu.Ticker(symbol=symbol, time=self.asked, last=-1.0)


class Bench:
    """Feeds on a scripted line, and streams on them."""

    def __init__(self) -> None:
        self.lines = Scripted()
        self.rest = Rest()
        self.feeds = Feeds(self.lines, lambda: 1_000, "test")
        self.assemblers: list[Echo] = []
        self.make: Callable[[], Echo] = Echo
        self.make_reading: Callable[[], Reading] | None = None
        self.keyed = 0

    def stream(
        self,
        *topics: Topic,
        policy: Any = "all",
        buffer: int = 100,
        max_age: float = 30.0,
        fallback: Fallback = "event",
    ) -> Stream[tu.Ticker]:
        """Return a stream that begins when it is read."""

        def reading() -> Reading:
            if self.make_reading is not None:
                return self.make_reading()
            self.assemblers.append(self.make())
            return Reading(self.assemblers[-1])

        async def join(inbox: Any) -> Joined:
            rest: Any = self.rest
            mine = []
            for topic in topics or (BTC,):
                mine.append(Subscriber(inbox, rest, max_age, fallback))
                self.feeds.join(topic, mine[-1], ("reading", self.keyed), reading)
            return Joined(mine, self.feeds.leave, lambda item: item)

        return Stream("test", open_inbox(policy, buffer), join)

    async def live(self, stream: Stream[tu.Ticker]) -> Stream[tu.Ticker]:
        """Return the stream once it has joined and its topics are placed."""
        await stream.__aenter__()
        await until(lambda: stream.state == "live")
        return stream


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # of whatever it is
            await asyncio.sleep(0.005)


def state_of(stream: Any) -> str:
    """Return how a stream is; it changes meanwhile, which a type checker does not know."""
    return str(stream.state)


def ticker(number: float, symbol: str = "BTC/USDT") -> tu.Ticker:
    """Return a ticker."""
    return tu.Ticker(symbol=symbol, last=float(number))


class Auditing(Echo):
    """Has work every so often, and finds out that the stream is dead when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.settled = self.silent = 0
        self.is_unanswered = False
        self.hangs = 0.0
        self.finds: list[Any] = []

    def due(self, now: int) -> float | None:
        """Return that there is work soon."""
        return 0.05

    async def settle(self, rest: Any, now: int) -> Sequence[Any]:
        """Return what the test has put there, which the stream should have told."""
        self.settled += 1
        await asyncio.sleep(self.hangs)
        found, self.finds[:] = list(self.finds), []
        self.silent += bool(found)
        return found


class AuditingNow(Auditing):
    """The same, whose work is always due."""

    def due(self, now: int) -> float | None:
        """Return that there is work now."""
        return 0.0
