"""Feeds and streams on a line that does what the test says."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
import weakref
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

import pytest

import tradeutils as tu
from tradeutils.errors import (
    AuthenticationFailed,
    BadSymbol,
    Closed,
    NotSupportedByVenue,
    RateLimited,
    RequestRefused,
    StreamBroken,
    TradeutilsError,
    VenueUnavailable,
)
from tradeutils.exchange.streams.feeds import Feeds
from tradeutils.exchange.streams.inbox import open_inbox
from tradeutils.exchange.streams.stream import Joined, Stream
from tradeutils.exchange.streams.subscribers import Fallback, Reading, Subscriber
from tradeutils.exchange.streams.topics import Topic
from tradeutils.exchange.streams.watchdog import Backoff, is_final, second_look
from tradeutils.model.streaming import Stale, StreamEvent

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
        self.error: TradeutilsError | None = None

    async def fetch_tickers(self) -> dict[str, tu.Ticker]:
        """Return one ticker."""
        return {"BTC/USDT": await self.fetch_ticker("BTC/USDT")}

    async def fetch_order_book(self, symbol: str, *, limit: int | None = None) -> tu.Ticker:
        """Return what is as good as a book here."""
        return await self.fetch_ticker(symbol)

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
        self.feeds = Feeds(self.lines, lambda: 1_000)
        self.assemblers: list[Echo] = []
        self.make: Callable[[], Echo] = Echo

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
            self.assemblers.append(self.make())
            return Reading(self.assemblers[-1])

        async def join(inbox: Any) -> Joined:
            rest: Any = self.rest
            mine = []
            for topic in topics or (BTC,):
                mine.append(Subscriber(inbox, rest, max_age, fallback))
                self.feeds.join(topic, mine[-1], "reading", reading)
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


async def test_what_comes_is_yielded_in_order() -> None:
    """The simplest thing that a stream does."""
    bench = Bench()
    async with await bench.live(bench.stream()) as stream:
        for number in range(5):
            bench.lines.push(BTC, ticker(number))
        assert [value.last async for value in _first(stream, 5)] == [0, 1, 2, 3, 4]
        assert state_of(stream) == "live"
        assert stream.age < 5


async def test_many_consumers_share_one_subscription_which_ends_with_the_last() -> None:
    """Twenty who watch one market cost the venue one subscription."""
    bench = Bench()
    streams = [await bench.live(bench.stream()) for _ in range(20)]
    assert bench.lines.placed == [[BTC]]
    bench.lines.push(BTC, ticker(1))
    assert [(await anext(stream)) for stream in streams] == [ticker(1)] * 20
    for stream in streams[1:]:
        await stream.aclose()
    await asyncio.sleep(0.02)
    assert bench.lines.left == []
    await streams[0].aclose()
    await until(lambda: bench.lines.left == [BTC])
    assert len(bench.feeds) == 0


async def test_topics_asked_for_at_once_are_placed_together() -> None:
    """A venue that takes many symbols in one message is sent one message."""
    bench = Bench()
    topics = [Topic("ticker", f"C{number}/USDT") for number in range(50)]
    reading = [asyncio.create_task(anext(bench.stream(topic))) for topic in topics]
    await until(lambda: len(bench.lines.topics) == 50)
    assert len(bench.lines.placed) == 1
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


async def test_a_topic_wanted_again_while_it_is_left_is_placed_again() -> None:
    """Leaving takes time; who comes meanwhile is not left without data."""
    bench = Bench()
    bench.lines.slow = 0.02
    first = await bench.live(bench.stream())
    await first.aclose()
    second = await bench.live(bench.stream())
    bench.lines.push(BTC, ticker(2))
    assert await anext(second) == ticker(2)
    assert (bench.lines.placed, bench.lines.left) == ([[BTC], [BTC]], [BTC])
    await second.aclose()


async def test_leaving_while_it_is_placed_unsubscribes_after_that() -> None:
    """Nothing stays subscribed that nobody wants."""
    bench = Bench()
    bench.lines.slow = 0.05
    stream = bench.stream()
    await stream.__aenter__()
    await asyncio.sleep(0.01)
    await stream.aclose()
    await until(lambda: bench.lines.left == [BTC])
    assert bench.lines.topics == {}


async def test_a_broken_subscription_is_placed_again_at_once_and_what_was_missed_comes_first() -> None:
    """The first retry does not wait; the assembler is told of the break, and asked for what it missed."""
    bench = Bench()
    stream = await bench.live(bench.stream())
    bench.assemblers[0].missed.append(ticker(7))
    began = time.monotonic()
    bench.lines.fail(BTC, StreamBroken("reset"))
    assert stream.state == "connecting"
    await until(lambda: stream.state == "live")
    assert time.monotonic() - began < 0.2
    bench.lines.push(BTC, ticker(8))
    assert [await anext(stream), await anext(stream)] == [ticker(7), ticker(8)]
    assert (bench.assemblers[0].interruptions, bench.assemblers[0].resumed, stream.reconnects) == (1, 2, 1)
    await stream.aclose()


async def test_a_venue_that_refuses_is_asked_again_until_it_does_not() -> None:
    """A transient refusal is nothing that the consumer has to handle."""
    bench = Bench()
    bench.lines.refusals = [VenueUnavailable("503"), VenueUnavailable("503")]
    stream = await bench.live(bench.stream())
    assert len(bench.lines.placed) == 3
    await stream.aclose()


async def test_a_final_refusal_is_raised_at_the_first_await_and_ends_that_stream_alone() -> None:
    """Of topics that were placed together, the bad one fails, and the others live."""
    bench = Bench()
    bench.lines.bad[ETH] = AuthenticationFailed("bad key")
    good, bad = bench.stream(BTC), bench.stream(ETH)
    taking = asyncio.create_task(anext(good))
    with pytest.raises(AuthenticationFailed):
        await anext(bad)
    await until(lambda: BTC in bench.lines.topics)
    bench.lines.push(BTC, ticker(1))
    assert await taking == ticker(1)
    assert bad.state == "closed"
    with pytest.raises(AuthenticationFailed):  # and each time that it is read again
        await anext(bad)
    assert bench.feeds.topics == (BTC,)
    assert "AuthenticationFailed" in repr(bad)
    await good.aclose()


async def test_a_market_that_goes_away_ends_its_stream_with_the_error() -> None:
    """What is final after a break too is not tried for ever."""
    bench = Bench()
    stream = await bench.live(bench.stream())
    bench.lines.push(BTC, ticker(1))
    bench.lines.bad[BTC] = BadSymbol("BTC/USDT", ["ETH/USDT"])
    bench.lines.fail(BTC, StreamBroken("gone"))
    assert await anext(stream) == ticker(1)  # what had come is not lost
    with pytest.raises(BadSymbol):
        await anext(stream)


async def test_silence_is_told_once_and_has_the_subscription_made_anew() -> None:
    """Pongs are no data: after ``max_age`` the consumer knows, and something is done about it."""
    bench = Bench()
    stream = await bench.live(bench.stream(max_age=0.3))
    bench.lines.push(BTC, ticker(1))
    assert await anext(stream) == ticker(1)
    began = time.monotonic()
    stale = await anext(stream)
    assert isinstance(stale, Stale)
    assert (stale.kind, stale.symbol, stale.reason, stale.time) == ("ticker", "BTC/USDT", "silent", 1_000)
    assert stale.age >= 0.3
    assert time.monotonic() - began < 1.3
    assert state_of(stream) in ("stale", "connecting")
    await until(lambda: len(bench.lines.placed) == 2)
    assert bench.lines.replaced == [BTC]
    bench.lines.push(BTC, ticker(2))
    assert await anext(stream) == ticker(2)
    assert state_of(stream) == "live"
    await stream.aclose()


async def test_each_consumer_is_told_after_his_own_time() -> None:
    """An impatient neighbour does not make data stale for others."""
    bench = Bench()
    hasty, calm = bench.stream(max_age=0.2), await bench.live(bench.stream(max_age=60.0))
    assert isinstance(await anext(hasty), Stale)
    assert calm.state != "stale"
    await hasty.aclose()
    await calm.aclose()


async def test_rest_stands_in_until_data_comes_again() -> None:
    """With ``fallback="rest"`` values go on while the stream is dead, and stop to when it lives."""
    bench = Bench()
    stream = await bench.live(bench.stream(max_age=0.2, fallback="rest"))
    assert await anext(stream) == tu.Ticker(symbol="BTC/USDT", time=1, last=-1.0)
    assert state_of(stream) == "rest"
    await until(lambda: BTC in bench.lines.topics)
    bench.lines.push(BTC, ticker(2))
    assert await anext(stream) == ticker(2)
    assert state_of(stream) == "live"
    await stream.aclose()


async def test_where_rest_fails_too_the_consumer_is_told() -> None:
    """Nothing is ever silently dead."""
    bench = Bench()
    bench.rest.error = VenueUnavailable("503")
    stream = await bench.live(bench.stream(max_age=0.2, fallback="rest"))
    assert isinstance(await anext(stream), Stale)
    assert state_of(stream) == "stale"
    bench.rest.error = None
    assert isinstance(await anext(stream), tu.Ticker)
    assert state_of(stream) == "rest"
    await stream.aclose()


async def test_a_loop_that_was_held_up_takes_nothing_for_dead() -> None:
    """What came while the loop was blocked lies in the socket: it is read before silence is believed."""
    bench = Bench()
    stream = await bench.live(bench.stream(max_age=0.3))
    bench.lines.push(BTC, ticker(1))
    assert await anext(stream) == ticker(1)
    loop = asyncio.get_running_loop()
    time.sleep(0.6)  # noqa: ASYNC251  # the loop is held up, which is what is tried
    loop.call_later(0.1, bench.lines.push, BTC, ticker(2))  # it takes a moment to read what lay there
    assert await anext(stream) == ticker(2)
    assert (stream.state, stream.reconnects, bench.lines.replaced) == ("live", 0, [])
    await stream.aclose()


async def test_closing_the_feeds_ends_whoever_waits_after_what_had_come() -> None:
    """An exchange that is closed lets nobody hang."""
    bench = Bench()
    waiting, late = await bench.live(bench.stream()), await bench.live(bench.stream(ETH))
    taking = asyncio.create_task(anext(waiting))
    bench.lines.push(ETH, ticker(1, "ETH/USDT"))
    await asyncio.sleep(0)
    await bench.feeds.aclose(Closed("closed"))
    with pytest.raises(Closed):
        await taking
    assert await anext(late) == ticker(1, "ETH/USDT")
    with pytest.raises(Closed):
        await anext(late)
    with pytest.raises(Closed):
        await anext(bench.stream())
    assert sorted(bench.lines.left, key=str) == sorted([BTC, ETH], key=str)
    assert (waiting.state, late.state) == ("closed", "closed")
    await bench.feeds.aclose(Closed("again"))


async def test_closing_a_stream_stops_all_who_iterate_over_it() -> None:
    """Iteration ends as that of any iterator; what was not taken is dropped."""
    bench = Bench()
    stream = await bench.live(bench.stream())
    tasks = [asyncio.create_task(_collected(stream)) for _ in range(3)]
    await asyncio.sleep(0.01)
    await stream.aclose()
    assert await asyncio.gather(*tasks) == [[], [], []]
    assert [value async for value in stream] == []
    await stream.aclose()


async def test_a_cancelled_consumer_costs_nobody_a_value() -> None:
    """Of two who wait on one stream one is cancelled at the very moment that a value comes."""
    bench = Bench()
    stream = await bench.live(bench.stream())
    first, second = asyncio.create_task(anext(stream)), asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    bench.lines.push(BTC, ticker(1))
    first.cancel()
    assert await second == ticker(1)
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.01)
    bench.lines.push(BTC, ticker(2))
    assert await anext(stream) == ticker(2)
    await stream.aclose()


async def test_a_first_read_that_is_cancelled_can_be_made_again() -> None:
    """A time limit around the first value does not break the stream."""
    bench = Bench()
    stream = bench.stream()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.02)
    bench.lines.push(BTC, ticker(1))
    assert await anext(stream) == ticker(1)
    assert bench.lines.placed == [[BTC]]
    await stream.aclose()


async def test_failure_inside_the_library_ends_a_stream_with_an_error() -> None:
    """What nobody foresaw is raised to who reads; a stream never just stops."""

    class Broken(Echo):
        async def resume(self, rest: Any) -> Sequence[Any]:
            raise ZeroDivisionError

    bench = Bench()
    bench.make = Broken
    with pytest.raises(StreamBroken, match="ZeroDivisionError"):
        await anext(bench.stream())
    assert len(bench.feeds) == 0


async def test_a_stream_that_is_dropped_is_left() -> None:
    """``break`` out of a loop over a stream without a name leaves nothing behind."""
    bench = Bench()
    stream = await bench.live(bench.stream())
    gone = weakref.ref(stream)
    bench.lines.push(BTC, ticker(1))
    async for _ in stream:
        break
    del stream
    gc.collect()
    assert gone() is None
    await until(lambda: bench.lines.left == [BTC])


async def test_a_thousand_streams_opened_and_left_leave_nothing() -> None:
    """No task, no timer, no memory: counted before and after."""
    bench = Bench()

    async def round_of(count: int) -> None:
        streams = [bench.stream(Topic("ticker", f"C{number}/USDT")) for number in range(count)]
        for stream in streams:
            await stream.__aenter__()
        await until(lambda: len(bench.lines.topics) == count)
        for topic in list(bench.lines.topics):
            bench.lines.push(topic, ticker(1))
        for stream in streams[: count // 2]:
            await stream.aclose()
        del streams, stream
        gc.collect()
        await until(lambda: not bench.lines.topics)
        bench.lines.placed.clear()
        bench.lines.left.clear()
        bench.assemblers.clear()

    before = len(asyncio.all_tasks())
    tracemalloc.start()
    await round_of(1000)  # asyncio keeps the handles of a thousand timers that were cancelled, and no more
    base = tracemalloc.get_traced_memory()[0]
    await round_of(1000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - base
    tracemalloc.stop()
    assert len(asyncio.all_tasks()) == before
    assert len(bench.feeds) == 0
    assert grown < 50_000
    timers = [one for one in asyncio.get_running_loop()._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
    assert timers == []


async def test_a_slow_consumer_is_bounded_and_counted() -> None:
    """Memory does not grow with what nobody takes; the newest stay."""
    bench = Bench()
    stream = await bench.live(bench.stream(buffer=10))
    for number in range(25):
        bench.lines.push(BTC, ticker(number))
    assert stream.dropped == 15
    assert "15 dropped" in repr(stream)
    assert [(await anext(stream)).last for _ in range(10)] == list(range(15, 25))  # type: ignore[union-attr]
    await stream.aclose()


async def test_take_returns_what_has_come_at_once() -> None:
    """One await for many values."""
    bench = Bench()
    stream = await bench.live(bench.stream())
    for number in range(5):
        bench.lines.push(BTC, ticker(number))
    assert await stream.take(3) == [ticker(0), ticker(1), ticker(2)]
    assert await stream.take(100) == [ticker(3), ticker(4)]
    with pytest.raises(tu.errors.UsageError, match="limit was 0"):
        await stream.take(0)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await stream.take(1)


async def test_values_leaves_out_what_happened_to_the_stream() -> None:
    """For who wants values and nothing else."""
    bench = Bench()
    stream = await bench.live(bench.stream(max_age=0.1))
    await until(lambda: stream.state == "stale")
    await until(lambda: BTC in bench.lines.topics)
    bench.lines.push(BTC, ticker(1))
    async for value in stream.values():
        assert value == ticker(1)
        break
    await stream.aclose()


class Auditing(Echo):
    """Has work every so often, and finds out that the stream is dead when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.settled = self.silent = 0
        self.finds: list[Any] = []

    def due(self, now: int) -> float | None:
        """Return that there is work soon."""
        return 0.05

    async def settle(self, rest: Any, now: int) -> Sequence[Any]:
        """Return what the test has put there, which the stream should have told."""
        self.settled += 1
        found, self.finds[:] = list(self.finds), []
        self.silent += bool(found)
        return found


class AuditingNow(Auditing):
    """The same, whose work is always due."""

    def due(self, now: int) -> float | None:
        """Return that there is work now."""
        return 0.0


async def test_a_quiet_account_is_compared_with_rest_and_not_taken_for_dead() -> None:
    """Nothing happens to it for long: no `Stale`, no new connection; but one when REST knew more."""
    bench, orders = Bench(), Topic("orders")
    bench.make = AuditingNow
    stream = await bench.live(bench.stream(orders, max_age=0.1))
    audited: Any = bench.assemblers[0]
    await until(lambda: audited.settled >= 3)
    await asyncio.sleep(0.4)
    assert (stream.state, stream.reconnects, bench.lines.replaced) == ("live", 0, [])
    audited.finds.append(ticker(1))
    assert await anext(stream) == ticker(1)
    await until(lambda: bench.lines.replaced == [orders])
    await until(lambda: stream.state == "live")
    assert stream.reconnects == 1
    await stream.aclose()


async def test_an_account_whose_connection_is_gone_is_told_so() -> None:
    """While there is none, what is known of it may be wrong."""
    bench, orders = Bench(), Topic("orders")
    stream = await bench.live(bench.stream(orders, max_age=0.2))
    bench.lines.refusals = [VenueUnavailable("503")] * 100
    bench.lines.fail(orders, StreamBroken("reset"))
    stale = await anext(stream)
    assert isinstance(stale, Stale)
    assert stale.reason == "refused"
    assert isinstance(stream.error, VenueUnavailable)
    assert "503" in repr(stream)
    await stream.aclose()


async def test_work_that_is_not_due_is_not_done() -> None:
    """A timer that fires early asks again when it is time."""
    bench = Bench()
    bench.make = Auditing
    stream = await bench.live(bench.stream(Topic("trades", "BTC/USDT")))
    await asyncio.sleep(0.2)
    quiet: Any = bench.assemblers[0]
    assert quiet.settled == 0
    await stream.aclose()


@pytest.mark.parametrize("kind", ["tickers", "book", "ohlcv", "trades"])
async def test_rest_stands_in_for_every_kind(kind: Any) -> None:
    """Books and tickers as REST has them; bars and trades as if the stream had been opened again: each once."""
    bench = Bench()
    topic = Topic(kind, None if kind == "tickers" else "BTC/USDT", timeframe="1m" if kind == "ohlcv" else None)
    stream = await bench.live(bench.stream(topic, max_age=0.2, fallback="rest"))
    bench.assemblers[0].missed.append(ticker(5))
    bench.lines.refusals = [VenueUnavailable("503")] * 100
    bench.lines.fail(topic, StreamBroken("reset"))
    item: Any = await anext(stream)
    assert (item.symbol, item.last) == ("BTC/USDT", 5.0 if kind in ("ohlcv", "trades") else -1.0)
    assert state_of(stream) == "rest"
    await stream.aclose()


async def test_a_break_of_one_topic_is_told_as_such() -> None:
    """A sequence that breaks is not a connection that does."""
    bench = Bench()
    stream = await bench.live(bench.stream(max_age=0.2))
    bench.lines.ended = False
    bench.lines.refusals = [VenueUnavailable("503")] * 100
    bench.lines.bad[BTC] = VenueUnavailable("503")
    bench.lines.fail(BTC, StreamBroken("checksum"))
    feed: Any = bench.feeds._feeds[BTC]
    assert feed._reason == "sequence"
    assert isinstance(await anext(stream), Stale)
    await stream.aclose()


async def test_all_tickers_where_a_venue_has_no_such_channel_say_what_to_write() -> None:
    """Not the words of another library."""
    bench, every = Bench(), Topic("tickers")
    bench.lines.bad[every] = tu.errors.UsageError("empty list of symbols is not supported")
    with pytest.raises(NotSupportedByVenue, match=r"watch_tickers\(\['BTC/USDT'"):
        await anext(bench.stream(every))


def test_errors_that_end_a_stream() -> None:
    """What may pass is tried again; a refusal without a cause of its own ends what never worked."""
    for passing in (StreamBroken("x"), VenueUnavailable("x"), RateLimited("x")):
        assert not is_final(passing, established=False)
    for final in (BadSymbol("X/Y"), AuthenticationFailed("x"), NotSupportedByVenue("x"), Closed("x")):
        assert is_final(final, established=True)
    assert is_final(RequestRefused("x"), established=False)
    assert not is_final(RequestRefused("x"), established=True)
    assert is_final(tu.errors.CacheUnavailable("x"), established=True)


def test_pauses_grow_have_jitter_and_keep_to_what_the_venue_asked() -> None:
    """The first try is at once; none comes before the moment that the venue named."""
    backoff = Backoff()
    assert backoff.pause() == 0
    pauses = [backoff.pause() for _ in range(12)]
    assert all(0.25 <= pause <= 30 for pause in pauses)
    assert pauses[-1] >= 15
    assert backoff.pause(RateLimited("x", retry_after=60.0)) >= 60
    backoff.reset()
    assert backoff.pause(RateLimited("x", retry_after=2.0)) == 2.0
    assert len({Backoff().pause() for _ in range(3)}) == 1
    assert second_look(0.0) < second_look(3.0) <= second_look(1000.0) <= 5.0


async def _first(stream: Stream[tu.Ticker], count: int) -> Any:
    for _ in range(count):
        item = await anext(stream)
        assert not isinstance(item, StreamEvent)
        yield item


async def _collected(stream: Stream[tu.Ticker]) -> list[Any]:
    return [value async for value in stream]
