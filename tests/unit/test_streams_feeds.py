"""Many consumers of few subscriptions: shared, left, closed, cancelled, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
from scripted_line import BTC, ETH, Bench, Echo, state_of, ticker, until

import tradeutils as tu
from tradeutils.errors import (
    AuthenticationFailed,
    BadSymbol,
    Closed,
    StreamBroken,
    UsageError,
)
from tradeutils.exchange.streams.stream import Stream
from tradeutils.exchange.streams.topics import Topic
from tradeutils.model.streaming import StreamEvent


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


def test_a_stream_of_a_loop_that_has_ended_says_so_instead_of_waiting_for_ever() -> None:
    """On another loop nobody would wake who waits."""
    bench, kept = Bench(), []

    async def begun() -> None:
        kept.append(await bench.live(bench.stream()))
        bench.lines.push(BTC, ticker(1))

    async def read_on() -> None:
        assert await anext(kept[0]) == ticker(1)  # which had come
        with pytest.raises(UsageError, match="another event loop"):
            await anext(kept[0])

    asyncio.run(begun())
    asyncio.run(read_on())


async def _first(stream: Stream[tu.Ticker], count: int) -> Any:
    for _ in range(count):
        item = await anext(stream)
        assert not isinstance(item, StreamEvent)
        yield item


async def _collected(stream: Stream[tu.Ticker]) -> list[Any]:
    return [value async for value in stream]
