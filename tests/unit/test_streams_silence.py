"""What a stream does and says when data stops, and how it comes again."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from scripted_line import BTC, Auditing, AuditingNow, Bench, Echo, state_of, ticker, until

import tradeutils as tu
from tradeutils.errors import (
    AuthenticationFailed,
    BadSymbol,
    Closed,
    NotSupportedByVenue,
    RateLimited,
    RequestRefused,
    StreamBroken,
    VenueUnavailable,
)
from tradeutils.exchange.streams.subscribers import Reading
from tradeutils.exchange.streams.topics import Topic
from tradeutils.exchange.streams.watchdog import Backoff, is_final, second_look
from tradeutils.model.streaming import Stale


async def test_a_venue_that_refuses_is_asked_again_until_it_does_not() -> None:
    """A transient refusal is nothing that the consumer has to handle."""
    bench = Bench()
    bench.lines.refusals = [VenueUnavailable("503"), VenueUnavailable("503")]
    stream = await bench.live(bench.stream())
    assert len(bench.lines.placed) == 3
    await stream.aclose()


async def test_a_venue_that_never_confirms_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs below is given up after a time, and nothing of it stays."""
    monkeypatch.setattr("tradeutils.exchange.streams.feeds._PLACING_S", 0.1)
    bench = Bench()
    bench.lines.slow = 30.0
    stream = bench.stream()
    await stream.__aenter__()
    await until(lambda: isinstance(stream.error, StreamBroken))
    bench.lines.slow = 0.0
    await until(lambda: state_of(stream) == "live")
    assert len(bench.lines.placed) >= 2
    await stream.aclose()


async def test_what_breaks_with_each_message_is_opened_with_pauses() -> None:
    """Data that comes once does not make a subscription a steady one: it is not opened without end."""
    bench = Bench()
    stream = await bench.live(bench.stream())
    for number in range(4):
        bench.lines.push(BTC, ticker(number))
        bench.lines.fail(BTC, StreamBroken("again"))
        if number < 3:
            await until(lambda: BTC in bench.lines.topics, 5.0)
    pauses: Any = bench.feeds._pauses
    assert len(pauses) == 1  # it waits
    assert stream.reconnects == 4
    await stream.aclose()
    assert not pauses


async def test_what_has_brought_data_is_opened_again_within_half_a_second() -> None:
    """However often it breaks a second later: only what brings nothing is tried ever more rarely."""
    backoff = Backoff()
    assert backoff.pause() == 0.0
    for _ in range(8):
        backoff.pause()
    backoff.shorten()
    assert 0 < backoff.pause() <= 0.5
    bench = Bench()
    stream = await bench.live(bench.stream())
    for number in range(4):
        bench.lines.push(BTC, ticker(number))
        bench.lines.fail(BTC, StreamBroken("again"))
        await until(lambda: BTC in bench.lines.topics, 5.0)
    assert stream.reconnects == 4
    await stream.aclose()


async def test_a_stream_is_live_once_data_has_come() -> None:
    """Though the venue has not confirmed all that was asked for with it; and after a break it connects again."""
    bench = Bench()
    bench.lines.slow = 30.0
    stream = bench.stream()
    await stream.__aenter__()
    await until(lambda: bool(bench.lines.placed))
    assert state_of(stream) == "connecting"
    bench.feeds.received(BTC, ticker(1), {}, time.monotonic())
    assert state_of(stream) == "live"
    feed: Any = bench.feeds._feeds[BTC]
    feed.broke(StreamBroken("again"), "disconnected")
    assert state_of(stream) == "connecting"
    await stream.aclose()


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
    assert item.symbol == "BTC/USDT"
    if kind != "book":
        assert item.last == (5.0 if kind in ("ohlcv", "trades") else -1.0)
    assert state_of(stream) == "rest"
    await stream.aclose()


async def test_a_quiet_account_is_live_again_once_it_is_subscribed_to_and_rest_has_answered() -> None:
    """Nothing happens to it for hours: it would be called stale until something does."""
    bench, orders = Bench(), Topic("orders")
    stream = await bench.live(bench.stream(orders, max_age=0.1))
    bench.lines.refusals = [VenueUnavailable("503")] * 2
    bench.lines.fail(orders, StreamBroken("reset"))
    assert isinstance(await anext(stream), Stale)
    assert state_of(stream) == "stale"
    await until(lambda: state_of(stream) == "live")
    assert (stream.error, len(stream._part.inbox)) == (None, 0)
    await stream.aclose()


@pytest.mark.parametrize("hangs", [False, True], ids=["fails", "hangs"])
async def test_an_account_of_which_neither_stream_nor_rest_tells_is_stale(
    monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    """Pongs are all that comes, and REST does not answer: whoever trades on it is told, and when it is over."""
    monkeypatch.setattr("tradeutils.exchange.streams.feed._PATIENCE_S", 0.1)
    bench, orders = Bench(), Topic("orders")
    bench.make = AuditingNow
    stream = await bench.live(bench.stream(orders, max_age=30.0))
    audited: Any = bench.assemblers[0]
    audited.is_unanswered, audited.hangs = not hangs, 60.0 if hangs else 0.0
    stale = await anext(stream)
    assert isinstance(stale, Stale)
    assert (stale.reason, state_of(stream)) == ("silent", "stale")
    audited.is_unanswered = False
    if hangs:
        bench.lines.push(orders, ticker(1))
        assert await anext(stream) == ticker(1)
    await until(lambda: state_of(stream) == "live")
    assert len(stream._part.inbox) == 0
    await stream.aclose()


async def test_a_stream_that_was_never_connected_is_not_called_silent() -> None:
    """What the venue has not confirmed is no connection that lives."""
    bench = Bench()
    bench.lines.slow = 30.0
    async with bench.stream(max_age=0.1) as stream:
        stale = await anext(stream)
        assert isinstance(stale, Stale)
        assert stale.reason == "disconnected"


async def test_rest_gives_each_who_waits_a_book_as_deep_as_he_wants() -> None:
    """Of one question."""
    bench, topic = Bench(), Topic("book", "BTC/USDT")
    readings = iter([Reading(Echo(), depth=depth) for depth in (2, 7, None)])
    streams = []
    for number in range(3):
        bench.keyed = number
        bench.make_reading = lambda: next(readings)
        streams.append(await bench.live(bench.stream(topic, max_age=0.1, fallback="rest")))
    bench.lines.refusals = [VenueUnavailable("503")] * 100
    bench.lines.fail(topic, StreamBroken("reset"))
    books: list[Any] = [await anext(stream) for stream in streams]
    assert [len(book.bids) for book in books] == [2, 7, 10]
    assert (bench.rest.asked, bench.rest.limits) == (1, [None])
    for stream in streams:
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
    with pytest.raises(NotSupportedByVenue, match=r"^test watch_tickers.*watch_tickers\(\['BTC/USDT'.*fetch_tickers"):
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
