"""Websockets of the simulated venue: what is told, and what breaks on demand."""

from __future__ import annotations

import asyncio
import json
import struct
import time
import types
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from feed_clients import PATIENCE_S, Web, frame_of, handshake, join, masked, order, rest_book, until
from plain_feeds import PlainFeeds

from tradeutils import sim
from tradeutils.errors import UsageError
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, arming
from tradeutils.sim.binance import BinanceDialect
from tradeutils.sim.feeds import pulse as pulses
from tradeutils.sim.feeds.events import Topic

_BOOK = {"kind": "book", "market": "BTCUSDT"}
_TRADES = {"kind": "trades", "market": "BTCUSDT"}


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the venue speak words that are none of Binance's, save over REST."""
    monkeypatch.setattr(BinanceDialect, "feeds", PlainFeeds)


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A small venue with a frozen clock, whose feeds beat by the clock of a test that steps it."""
    async with sim.SimulatedVenue(symbols=3, pulse=0.02) as venue:
        yield venue


@pytest.fixture
async def session() -> AsyncIterator[Web]:
    """A client's session."""
    web = Web()
    yield web
    await web.close()


class Copy:
    """A book that a client keeps: a snapshot, and the differences after it."""

    def __init__(self) -> None:
        self.sides: list[dict[float, float]] = [{}, {}]
        self.last = -1

    def take(self, told: dict[str, Any]) -> None:
        """Apply a message, whose number must follow the last one."""
        if told["snapshot"]:
            self.sides = [{}, {}]
        else:
            assert (told["previous"], told["first"]) == (self.last, self.last + 1)
        for side, levels in zip(self.sides, (told["bids"], told["asks"]), strict=True):
            for price, amount in levels:
                side[price] = amount
                if not amount:
                    del side[price]
        self.last = told["last"]
        assert [sorted(side) for side in self.sides] == [sorted(row[0] for row in side) for side in told["full"]]

    def agrees(self, book: dict[str, Any]) -> bool:
        """Tell whether it is the book that REST told."""
        told = [{float(price): float(size) for price, size in book[side]} for side in ("bids", "asks")]
        return self.sides == told


# What is told


async def test_a_client_is_greeted_answered_and_told_goodbye(venue: sim.SimulatedVenue, session: Web) -> None:
    """Text and binary messages are answered in their order, pings of the protocol too, and a close has its code."""
    client = await join(session, venue)
    await client.say(follow=[_TRADES])
    assert await client.read() == {"now": DEFAULT_NOW, "topics": 1}
    await client.socket.send_bytes(b'{"leave": []}')
    assert (await client.read())["topics"] == 1
    await client.socket.send_str("{")
    assert await client.read() == {"error": "no JSON"}
    await client.socket.ping(b"?")
    await client.say(ping=1)
    for size in (5, 125, 126, 70_000):
        await client.say(echo=size)
        message = await client.socket.receive(timeout=PATIENCE_S)
        assert message.data == b"x" * size
    await client.say(end=4321)
    assert await client.read() == {"last": 1}
    assert await client.closed() == 4321
    await until(lambda: venue.feeds.connections == 0)
    assert (venue.feeds.opened, venue.feeds.received) == (1, 9)


async def test_pings_of_the_protocol_are_answered_with_what_they_hold(venue: sim.SimulatedVenue) -> None:
    """A pong repeats its ping, and the venue's own pings come through."""
    reader, writer = await handshake(venue)
    await frame_of(reader)  # the greeting
    writer.write(masked(b"abc", 0x9) + masked(b"unasked", 0xA) + masked(b'{"ping": 1}'))
    assert await frame_of(reader) == (0xA, b"abc")
    assert await frame_of(reader) == (0x9, b"are you there")
    writer.write(masked(struct.pack("!H", 3000), 0x8))
    assert await frame_of(reader) == (0x8, struct.pack("!H", 3000))
    assert await reader.read() == b""
    writer.close()


async def test_a_book_of_differences_is_the_book_that_rest_tells(venue: sim.SimulatedVenue, session: Web) -> None:
    """At every pulse the numbers join and the levels are equal, also for one who joins later."""
    client, copy = await join(session, venue), Copy()
    await client.say(follow=[_BOOK])
    assert "topics" in await client.read()
    copy.take(await client.read())
    book = await rest_book(session, venue)
    assert copy.agrees(book)
    assert copy.last == book["lastUpdateId"]
    steps = [1_000, 700, 60_000, 3_600_000, 900]
    for step in steps:
        venue.clock.step(step)
        told = await client.read()
        assert not told["snapshot"]
        copy.take(told)
        book = await rest_book(session, venue, 5000)
        assert copy.agrees(book)
        assert book["lastUpdateId"] == copy.last
    late, second = await join(session, venue), Copy()
    await late.say(follow=[_BOOK])
    await late.read()
    second.take(await late.read())
    venue.clock.step(2_500)
    for one, kept in ((client, copy), (late, second)):
        kept.take(await one.read())
        assert kept.agrees(await rest_book(session, venue))
    assert copy.last == second.last


async def test_a_book_that_runs_joins_with_a_snapshot_of_any_moment(session: Web) -> None:
    """While the clock runs, REST's number is always one that the differences reach, and nothing lies between."""
    async with sim.SimulatedVenue(symbols=3, pulse=0.02, speed=5.0) as venue:
        client, copy = await join(session, venue), Copy()
        await client.say(follow=[_BOOK, {**_BOOK, "depth": 5}])
        await client.read()
        numbers = [-1]
        while len(set(numbers)) < 5:
            await asyncio.sleep(0.03)
            book = await rest_book(session, venue)
            numbers.append(book["lastUpdateId"])
            while copy.last < book["lastUpdateId"]:
                told = await client.read()
                if len(told["full"][0]) > 5:
                    copy.take(told)
            assert copy.last == book["lastUpdateId"]  # at this speed no pulse leaves a book of 1000 levels as it was
            assert copy.agrees(book)
        assert numbers == sorted(numbers)


async def test_shallow_books_lose_what_is_pushed_out(venue: sim.SimulatedVenue, session: Web) -> None:
    """A book of five levels has five after every difference, the same as the top of the whole."""
    client, copy = await join(session, venue), Copy()
    await client.say(follow=[{**_BOOK, "depth": 5}])
    await client.read()
    copy.take(await client.read())
    for _ in range(15):
        venue.clock.step(3_000)
        copy.take(await client.read())
        assert copy.agrees(await rest_book(session, venue, 5))
    assert [len(side) for side in copy.sides] == [5, 5]


async def test_a_book_set_back_goes_on_counting(venue: sim.SimulatedVenue, session: Web) -> None:
    """The numbers of a book that is followed rise even where the clock falls; nobody following, it starts anew."""
    client, copy = await join(session, venue), Copy()
    await client.say(follow=[_BOOK, {"kind": "best", "market": "BTCUSDT"}])
    await client.read()
    copy.take(await client.read())
    assert (await client.read())["kind"] == "best"
    venue.clock.set(DEFAULT_NOW - 3_600_000)
    copy.take(await client.read())
    assert copy.last == DEFAULT_NOW + 1
    best = await client.read()
    assert (best["snapshot"], best["previous"], best["last"]) == (True, DEFAULT_NOW, DEFAULT_NOW + 1)
    assert (await rest_book(session, venue))["lastUpdateId"] == DEFAULT_NOW + 1
    await client.say(leave=[_BOOK, {"kind": "best", "market": "BTCUSDT"}])
    await client.read()
    assert (await rest_book(session, venue))["lastUpdateId"] == DEFAULT_NOW - 3_600_000


async def test_trades_come_once_in_order_and_whole(venue: sim.SimulatedVenue, session: Web) -> None:
    """Over small steps and one of five hours every trade comes once, as REST has them."""
    client = await join(session, venue, _TRADES)
    began = int(venue.market.last("BTCUSDT", DEFAULT_NOW).id[0])
    ids: list[int] = []
    for step in (3_000, 1, 60_000, 5 * 3_600_000):
        venue.clock.step(step)
    now = venue.clock.now()
    wanted = venue.market.trades("BTCUSDT", now, from_id=began + 1, limit=10_000).id.tolist()
    while len(ids) < len(wanted):
        told = await client.read()
        assert len(told["ids"]) <= 2_000
        ids += told["ids"]
    assert ids == wanted
    assert await client.silent()


async def test_candles_close_once_with_what_rest_tells(venue: sim.SimulatedVenue, session: Web) -> None:
    """Every candle that ended is told as closed exactly once, in order, with the values that it keeps."""
    client = await join(session, venue)
    await client.say(follow=[{"kind": "klines", "market": "BTCUSDT", "frame": "1m"}])
    await client.read()
    first = await client.read()
    assert (first["closed"], first["time"]) == (False, DEFAULT_NOW - 30_000)
    assert first["ids"][1] - first["ids"][0] == 10  # the eleven trades of half a minute
    closed = []
    for step in (29_000, 1_000, 15_000, 3 * 3_600_000, 61_000):
        venue.clock.step(step)
        forming = venue.market.klines("BTCUSDT", "1m", venue.clock.now(), limit=1).candles
        while True:
            told = await client.read()
            if told["closed"]:
                closed.append(told)
                assert told["ids"][1] - told["ids"][0] == 19
            if told["time"] == int(forming.time[0]) and not told["closed"]:
                break
    since = DEFAULT_NOW - 30_000
    whole = venue.market.klines("BTCUSDT", "1m", venue.clock.now(), since=since, limit=1_000).candles[:-1]
    assert [one["time"] for one in closed] == whole.time.tolist()
    assert [one["values"][3] for one in closed] == whole.close.tolist()
    assert [one["values"][4] for one in closed] == whole.volume.tolist()


async def test_tickers_are_told_when_something_moved(venue: sim.SimulatedVenue, session: Web) -> None:
    """One who joins is told at once; then with each trade, and never twice the same."""
    client = await join(session, venue)
    await client.say(follow=[{"kind": "ticker", "market": "BTCUSDT"}])
    await client.read()
    assert (await client.read())["last"] == float(venue.market.last("BTCUSDT", DEFAULT_NOW).price[0])
    assert await client.silent(0.1)
    venue.clock.step("1m")
    told = await client.read()
    assert told["last"] == float(venue.market.last("BTCUSDT", venue.clock.now()).price[0])
    assert told["bid"][0][0] < told["ask"][0][0]


async def test_who_leaves_a_topic_is_told_no_more(venue: sim.SimulatedVenue, session: Web) -> None:
    """What one leaves another still follows; what all left is worked out no more."""
    one, two = await join(session, venue, _TRADES), await join(session, venue, _TRADES)
    assert venue.feeds.topics == {Topic("trades", "BTCUSDT"): 2}
    await one.say(leave=[_TRADES])
    assert (await one.read())["topics"] == 0
    venue.clock.step("1m")
    assert (await two.read())["kind"] == "trades"
    assert await one.silent()
    await two.socket.close()
    await until(lambda: not venue.feeds.topics)
    await one.socket.close()
    await until(lambda: venue.feeds.connections == 0)
    assert venue.feeds.frames == {Topic("trades", "BTCUSDT"): 1}


async def test_orders_and_balances_are_told_as_they_happen(session: Web) -> None:
    """Placed, filled, cancelled; a fill is found when the clock moves; all without waiting for the pulse."""
    key = DEFAULT_ACCOUNT.key
    async with sim.SimulatedVenue(symbols=3, pulse=60.0) as venue:
        client = await join(
            session, venue, {"kind": "orders", "account": key}, {"kind": "balances", "account": key, "trades": "spot"}
        )
        await order(session, venue, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        told = [await client.read() for _ in range(3)]
        assert [(one["why"], one["status"], one["filled"]) for one in told[:2]] == [
            ("new", "new", "0"),
            ("trade", "filled", "0.01000000"),
        ] or [one.get("why") for one in told] == ["new", "trade", None]
        assert sorted(told[2]["holdings"]) == ["BTC", "USDT"]
        assert told[2]["whole"].keys() > told[2]["holdings"].keys()
        low = float(venue.market.klines("BTCUSDT", "1m", DEFAULT_NOW + 7_200_000, limit=120).candles.low.min())
        placed = await order(
            session, venue, symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01",
            price=f"{low + 20:.2f}",
        )  # fmt: skip
        new, locked = await client.read(), await client.read()
        assert (new["why"], list(locked["holdings"])) == ("new", ["USDT"])
        venue.clock.step(7_200_000)
        filled, paid = await client.read(), await client.read()
        assert (filled["why"], filled["id"], filled["status"]) == ("trade", placed["orderId"], "filled")
        assert filled["now"] < venue.clock.now()
        assert sorted(paid["holdings"]) == ["BTC", "USDT"]


async def test_cancelled_and_triggered_orders_are_told(venue: sim.SimulatedVenue, session: Web) -> None:
    """A cancelled order says so, and one with a trigger says that it was reached before it trades."""
    key = DEFAULT_ACCOUNT.key
    client = await join(session, venue, {"kind": "orders", "account": key, "trades": "spot"})
    linear = await join(session, venue, {"kind": "orders", "account": key, "trades": "linear"})
    price = round(float(venue.market.last("BTCUSDT", DEFAULT_NOW).price[0]) * 0.9)
    lying = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    placed = await order(session, venue, **lying, price=price)
    assert (await client.read())["why"] == "new"
    found = venue.ledger.find(key, venue.clock.now(), "BTCUSDT", number=placed["orderId"])
    assert found is not None
    venue.ledger.cancel(key, found, venue.clock.now())
    assert (await client.read())["why"] == "canceled"
    high = float(venue.market.klines("BTCUSDT", "1m", DEFAULT_NOW + 7_200_000, limit=118).candles.high.max())
    stop = {"symbol": "BTCUSDT", "side": "BUY", "type": "STOP_LOSS", "quantity": "0.01"}
    await order(session, venue, **stop, stopPrice=f"{high - 5:.2f}")
    assert (await client.read())["why"] == "new"
    venue.clock.step(7_200_000)
    assert [(await client.read())["why"] for _ in range(2)] == ["triggered", "trade"]
    assert await linear.silent(0.1)


async def test_a_clock_moved_in_another_thread_is_told_at_once(session: Web) -> None:
    """A venue in a thread of its own tells what a step brought without waiting for its pulse."""
    with sim.serve(symbols=2, pulse=60.0) as venue:
        client = await join(session, venue, _TRADES)
        venue.clock.step("1m")
        assert (await client.read())["kind"] == "trades"
        await client.socket.close()


async def test_connections_hear_a_heartbeat_every_second(session: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes while the venue's own clock stands still, however slow the pulse; seconds are short ones here."""
    monkeypatch.setattr(pulses, "_TICK_S", 0.05)
    async with sim.SimulatedVenue(symbols=1, pulse=60.0) as venue:
        client = await join(session, venue)
        message = await client.socket.receive(timeout=PATIENCE_S)
        assert message.data == '{"beat":1}'


async def test_what_follows_nothing_known_is_refused(venue: sim.SimulatedVenue, session: Web) -> None:
    """A path that no feed has is answered as the dialect says, and is in the log of requests."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await session.ws_connect(f"{venue.url}/elsewhere")
    assert caught.value.status == 404
    await join(session, venue)
    assert [(one.path, one.status) for one in venue.requests.last()] == [("/elsewhere", 404), ("/feed", 101)]
    assert venue.feeds.refused == 1


@pytest.mark.parametrize("pulse", [0, -1, 61, "fast", True, float("nan")], ids=str)
def test_a_pulse_that_cannot_be_is_refused(pulse: Any) -> None:
    """Seconds, from a thousandth to a minute."""
    with pytest.raises(UsageError, match="pulse was"):
        sim.SimulatedVenue(symbols=1, pulse=pulse)


# What breaks on demand


async def test_a_silent_topic_says_nothing_while_pings_are_answered(venue: sim.SimulatedVenue, session: Web) -> None:
    """Only what the fault names falls silent, until the fault is taken away."""
    client = await join(session, venue, _TRADES, {**_TRADES, "market": "ETHUSDT"})
    number = venue.feed_faults.add("silent", channel="trades", market="BTC*", count=1)
    for _ in range(2):
        venue.clock.step("1m")
        assert (await client.read())["market"] == "ETHUSDT"
        assert await client.silent(0.1)
    await client.say(leave=[])
    assert "topics" in await client.read()
    venue.feed_faults.remove(number)
    venue.clock.step("1m")
    assert sorted([(await client.read())["market"] for _ in range(2)]) == ["BTCUSDT", "ETHUSDT"]


async def test_a_silence_ends_by_itself_or_by_subscribing_anew(venue: sim.SimulatedVenue, session: Web) -> None:
    """One lasts as long as it says; one without an end lasts until the topic is left and followed again."""
    client = await join(session, venue, _TRADES)
    venue.feed_faults.add("silent", count=1, seconds=0.1)
    venue.clock.step("1m")
    assert await client.silent(0.2)
    venue.clock.step("1m")
    assert (await client.read())["kind"] == "trades"
    venue.feed_faults.add("silent", count=1)
    venue.clock.step("1m")
    assert await client.silent(0.1)
    await client.say(leave=[_TRADES])
    await client.read()
    await client.follow(_TRADES)
    venue.clock.step("1m")
    assert (await client.read())["kind"] == "trades"
    assert venue.feeds.summary()["faults"] == {"silent": 2}


async def test_a_dropped_connection_is_reset_and_can_be_opened_anew(venue: sim.SimulatedVenue, session: Web) -> None:
    """The socket ends without a close; only the one of the message that was struck."""
    client, other = await join(session, venue, _TRADES), await join(session, venue, {**_TRADES, "market": "ETHUSDT"})
    venue.feed_faults.add("drop", market="BTCUSDT", count=1)
    venue.clock.step("1m")
    assert await client.closed() in (1006, None)
    assert (await other.read())["market"] == "ETHUSDT"
    again = await join(session, venue, _TRADES)
    venue.clock.step("1m")
    assert (await again.read())["market"] == "BTCUSDT"


async def test_late_messages_keep_their_order(venue: sim.SimulatedVenue, session: Web) -> None:
    """A slow message holds up those after it, whatever they are about."""
    client = await join(session, venue, _TRADES)
    venue.feed_faults.add("slow", seconds=0.2, count=1)
    began = time.monotonic()
    venue.clock.step("1m")
    await asyncio.sleep(0.05)
    venue.clock.step("1m")
    first, second = await client.read(), await client.read()
    assert time.monotonic() - began >= 0.2
    assert first["ids"][-1] + 1 == second["ids"][0]


async def test_messages_lost_doubled_and_out_of_order(venue: sim.SimulatedVenue, session: Web) -> None:
    """One is left out, one comes twice, and one after the next."""
    client = await join(session, venue, _TRADES)
    for kind in ("lose", "duplicate", "out_of_order"):
        venue.feed_faults.add(kind, count=1)
    firsts = []
    for _ in range(5):
        venue.clock.step("1m")
        firsts.append(int(venue.market.last("BTCUSDT", venue.clock.now()).id[0]))
        await asyncio.sleep(0.03)
    told = [(await client.read())["ids"][-1] for _ in range(5)]
    assert told == [firsts[1], firsts[1], firsts[3], firsts[2], firsts[4]]


async def test_a_malformed_message_is_no_json(venue: sim.SimulatedVenue, session: Web) -> None:
    """It is cut in its middle; the one after it is whole."""
    client = await join(session, venue, _TRADES)
    venue.feed_faults.add("malformed", count=1)
    venue.clock.step("1m")
    message = await client.socket.receive(timeout=PATIENCE_S)
    with pytest.raises(json.JSONDecodeError):
        json.loads(message.data)
    venue.clock.step("1m")
    assert (await client.read())["kind"] == "trades"


async def test_a_half_open_connection_neither_speaks_nor_listens(venue: sim.SimulatedVenue, session: Web) -> None:
    """No data, no answers, no pongs, no end; others are told as before; then a reset, where it was to be one."""
    client, other = await join(session, venue, _TRADES), await join(session, venue, _TRADES)
    venue.feed_faults.add("half_open", count=1, seconds=0.4)
    venue.clock.step("1m")
    assert (await other.read())["kind"] == "trades"
    received = venue.feeds.received
    await client.say(follow=[_BOOK])
    assert await client.silent()
    assert venue.feeds.received == received
    assert await client.closed() in (1006, None)
    await until(lambda: venue.feeds.connections == 1)


async def test_connections_are_refused_on_demand(venue: sim.SimulatedVenue, session: Web) -> None:
    """The handshake is answered with the status, as often as was asked for; those that are open stay."""
    client = await join(session, venue, _TRADES)
    venue.feed_faults.add("refuse", count=1)
    venue.feed_faults.add("refuse", status=429, count=1)
    for status in (503, 429):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await join(session, venue)
        assert caught.value.status == status
    await join(session, venue)
    venue.clock.step("1m")
    assert (await client.read())["kind"] == "trades"
    assert [one["struck"] for one in venue.feed_faults.describe()] == [1, 1]


async def test_faults_by_the_clock_strike_that_often(
    venue: sim.SimulatedVenue, session: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that strikes every so often lets all pass in between."""
    moment = [100.0]
    monkeypatch.setattr(arming, "time", types.SimpleNamespace(monotonic=lambda: moment[0]))
    client = await join(session, venue, _TRADES)
    venue.feed_faults.add("lose", every=0.5)
    venue.clock.step("1m")
    assert (await client.read())["kind"] == "trades"
    moment[0] += 0.5
    venue.clock.step("1m")
    assert await client.silent(0.06)
    venue.clock.step("1m")
    assert (await client.read())["kind"] == "trades"


async def test_a_fault_of_http_strikes_a_handshake_too(venue: sim.SimulatedVenue, session: Web) -> None:
    """What is done to requests is done to those for a websocket."""
    venue.faults.add("status", status=502, path="/feed", count=1)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await join(session, venue)
    assert caught.value.status == 502


async def test_feeds_and_their_faults_are_controlled_from_other_processes(
    venue: sim.SimulatedVenue, session: Web
) -> None:
    """Put in force, struck, told and taken away under ``/sim``; keys of accounts are not told."""
    client = await join(session, venue, _TRADES, {"kind": "orders", "account": DEFAULT_ACCOUNT.key})
    async with session.post(f"{venue.url}/sim/feed-faults", json={"kind": "lose", "count": 1}) as response:
        assert await response.json() == {"ids": [1]}
    venue.clock.step("1m")
    venue.clock.step(1)
    assert await client.silent(0.1)
    async with session.get(f"{venue.url}/sim/feed-faults") as response:
        assert [one["struck"] for one in (await response.json())["faults"]] == [1]
    async with session.get(f"{venue.url}/sim/feeds") as response:
        text = await response.text()
    assert DEFAULT_ACCOUNT.key not in text
    told = json.loads(text)
    assert (told["connections"], told["faults"], told["sent"]) == (1, {"lose": 1}, 0)
    assert told["topics"] == {"trades BTCUSDT": 1, "orders": 1}
    async with session.delete(f"{venue.url}/sim/feed-faults/1") as response:
        assert await response.json() == {"faults": []}
    for body in ({"kind": "lost"}, {"kind": "lose", "often": 1}, 7):
        async with session.post(f"{venue.url}/sim/feed-faults", json=body) as response:
            assert response.status == 400
