"""Recorded sessions, served in place of the simulated venue's own websockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from feed_clients import PATIENCE_S, Web, handshake, masked, rest_book, until

from tradeutils import sim
from tradeutils.sim.feeds import recorded as recorded_feeds


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


_COMBINED = [
    (10.0, '{"stream":"btcusdt@trade","data":{"e":"trade","t":1}}'),
    (10.1, '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","U":5,"u":7,"b":[["9.0","1"]],"a":[]}}'),
    (10.2, '{"stream":"ethusdt@trade","data":{"e":"trade","t":2}}'),
    (
        10.3,
        '{"stream":"btcusdt@depth@100ms",'
        '"data":{"e":"depthUpdate","U":8,"u":9,"b":[["9.0","0"]],"a":[["9.5","2"]]}}',
    ),
    (10.4, '{"stream":"btcusdt@trade","data":{"e":"trade","t":3}}'),
]  # fmt: skip


async def subscribe(session: Web, url: str, *names: str) -> aiohttp.ClientWebSocketResponse:
    """Subscribe as a client of Binance does."""
    socket = await session.ws_connect(url)
    await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": 5})
    assert await socket.receive_json(timeout=PATIENCE_S) == {"result": None, "id": 5}
    return socket


async def test_recorded_streams_go_to_those_who_subscribed(session: Web) -> None:
    """Wrapped on the path of combined streams and bare on the other, in order, counted by channel."""
    feeds = sim.RecordedFeeds(_COMBINED, settle=0.0, hold=True)
    assert feeds.channels == {"btcusdt@trade": 2, "btcusdt@depth@100ms": 2, "ethusdt@trade": 1}
    async with sim.SimulatedVenue(symbols=["BTC/USDT"], recorded=feeds) as venue:
        bare = await subscribe(session, f"{venue.url}/ws/1", "btcusdt@trade", "btcusdt@depth")
        wrapped = await subscribe(session, f"{venue.url}/stream", "ethusdt@trade")
        named = await session.ws_connect(f"{venue.url}/stream?streams=btcusdt@trade/ethusdt@trade")
        assert await rest_book(session, venue) == {"lastUpdateId": 4, "bids": [], "asks": []}
        async with session.get(f"{venue.url}/sim/recorded") as response:
            told = await response.json()
        assert (told["messages"], told["position"], told["finished"]) == (5, 0, False)
        async with session.post(f"{venue.url}/sim/recorded", json={"play": True}) as response:
            assert response.status == 200
        told = [await bare.receive_json(timeout=PATIENCE_S) for _ in range(4)]
        assert [one.get("t", one.get("u")) for one in told] == [1, 7, 9, 3]
        assert await wrapped.receive_json(timeout=PATIENCE_S) == json.loads(_COMBINED[2][1])
        assert [(await named.receive_json(timeout=PATIENCE_S))["data"]["t"] for _ in range(3)] == [1, 2, 3]
        await until(lambda: feeds.wait(0))
        assert await rest_book(session, venue) == {"lastUpdateId": 9, "bids": [], "asks": [["9.5", "2"]]}
        assert venue.feeds.frames == {"btcusdt@trade": 4, "btcusdt@depth@100ms": 2, "ethusdt@trade": 2}
        assert (feeds.position, feeds.unheard) == (5, {})
        async with session.get(f"{venue.url}/api/v3/depth?symbol=ETHUSDT") as response:
            assert (await response.json())["code"] == -1121  # not recorded, and so the venue's own answer


async def test_what_nobody_asked_for_is_counted(session: Web) -> None:
    """So that every recorded message is accounted for: sent, or told as unheard; counts are forgotten on demand."""
    feeds = sim.RecordedFeeds(_COMBINED, settle=0.0)
    async with sim.SimulatedVenue(symbols=["BTC/USDT"], recorded=feeds) as venue:
        socket = await subscribe(session, f"{venue.url}/ws/1", "ethusdt@trade")
        assert (await socket.receive_json(timeout=PATIENCE_S))["t"] == 2
        await until(lambda: feeds.wait(0))
        async with session.get(f"{venue.url}/sim/recorded") as response:
            told = await response.json()
        assert told["unheard"] == feeds.unheard == {"btcusdt@trade": 2, "btcusdt@depth@100ms": 2}
        assert (told["position"], told["finished"], venue.feeds.frames) == (5, True, {"ethusdt@trade": 1})
        async with session.delete(f"{venue.url}/sim/feeds") as response:
            told = await response.json()
        assert (told["connections"], told["sent"], told["frames"]) == (1, 0, {})


async def test_a_recorded_message_without_data_is_played_as_it_is(session: Web) -> None:
    """And does not end what is played."""
    frames = [(1.0, '{"stream":"btcusdt@trade"}'), (2.0, '{"stream":"btcusdt@trade","data":{"t":2}}')]
    feeds = sim.RecordedFeeds(frames, settle=0.0)
    async with sim.SimulatedVenue(symbols=["BTC/USDT"], recorded=feeds) as venue:
        socket = await subscribe(session, f"{venue.url}/ws/1", "btcusdt@trade")
        told = [await socket.receive_json(timeout=PATIENCE_S) for _ in range(2)]
        assert told == [{"stream": "btcusdt@trade"}, {"t": 2}]


async def test_a_recording_waits_for_who_cannot_be_told(session: Web) -> None:
    """A half open connection is nobody who listens: what is not sent to it is there for the next one."""
    frames = [(float(number), json.dumps({"topic": f"t{number}"})) for number in range(30)]
    feeds = sim.RecordedFeeds(frames, speed=500.0, settle=0.0)
    async with sim.SimulatedVenue("bybit", symbols=1, recorded=feeds) as venue:
        venue.feed_faults.add("half_open", channel="t3", count=1)
        socket = await session.ws_connect(f"{venue.url}/v5/public/spot")
        await socket.send_str("{}")
        await until(lambda: feeds.position > 3)
        stood = feeds.position
        again = await session.ws_connect(f"{venue.url}/v5/public/spot")
        await again.send_str("{}")
        assert (await again.receive_json(timeout=PATIENCE_S))["topic"] == f"t{stood}"
        await until(lambda: feeds.wait(0))
        assert sum(venue.feeds.frames.values()) + 1 + sum(feeds.unheard.values()) == 30


async def test_a_venue_without_a_recording_says_so(venue: sim.SimulatedVenue, session: Web) -> None:
    """And what is no order to play is refused."""
    for body in ({"play": True}, {"play": "on"}):
        async with session.post(f"{venue.url}/sim/recorded", json=body) as response:
            assert (response.status, "--recorded" in (await response.json())["error"]) == (400, True)
    feeds = sim.RecordedFeeds(_COMBINED, hold=True)
    async with (
        sim.SimulatedVenue(symbols=["BTC/USDT"], recorded=feeds) as playing,
        session.post(f"{playing.url}/sim/recorded", json={"play": "on"}) as response,
    ):
        assert (response.status, "play" in (await response.json())["error"]) == (400, True)
    async with session.delete(f"{venue.url}/sim/feeds/3") as response:
        assert response.status == 400


async def test_who_leaves_a_recorded_stream_hears_no_more_of_it(session: Web) -> None:
    """A request that is none is refused; pings are answered; what was left is not sent."""
    feeds = sim.RecordedFeeds(_COMBINED, hold=True, settle=0.0)
    async with sim.SimulatedVenue(symbols=["BTC/USDT"], recorded=feeds) as venue:
        socket = await subscribe(session, f"{venue.url}/ws/btcusdt@depth", "btcusdt@trade", "ethusdt@trade")
        await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@depth"], "id": 6})
        assert await socket.receive_json(timeout=PATIENCE_S) == {"result": None, "id": 6}
        for wrong in ("{", '{"method":"SUBSCRIBE","params":7}', "[]"):
            await socket.send_str(wrong)
            assert "error" in await socket.receive_json(timeout=PATIENCE_S)
        names = [f"s{number}@trade" for number in range(2_000)]
        await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": 7})
        assert "1024" in (await socket.receive_json(timeout=PATIENCE_S))["error"]["msg"]
        await asyncio.sleep(0.05)
        assert feeds.position == 0
        feeds.play()
        assert (await socket.receive_json(timeout=PATIENCE_S))["t"] == 2


async def test_any_other_recording_is_played_raw(session: Web) -> None:
    """All of it to every client that said anything, at the speed asked for; whoever is silent hears nothing."""
    frames = [(1.0, '{"event":"subscribe"}'), (1.1, '[7,{"a":1},"book-10","XBT/USD"]'), (1.3, '{"topic":"trade.X"}')]
    feeds = sim.RecordedFeeds(frames, speed=2.0, settle=0.05)
    async with sim.SimulatedVenue("kraken", symbols=1, recorded=feeds) as venue:
        silent = await session.ws_connect(f"{venue.url}/anywhere")
        socket = await session.ws_connect(f"{venue.url}/v2")
        await socket.send_str("ping")
        assert await socket.receive_str(timeout=PATIENCE_S) == "pong"
        await socket.send_json({"event": "ping", "reqid": 3})
        assert await socket.receive_json(timeout=PATIENCE_S) == {"event": "pong", "reqid": 3}
        await asyncio.sleep(0.1)
        assert feeds.position == 0
        began = time.monotonic()
        await socket.send_json({"event": "subscribe"})
        assert [await socket.receive_str(timeout=PATIENCE_S) for _ in range(3)] == [text for _, text in frames]
        assert time.monotonic() - began >= 0.15
        assert venue.feeds.frames == {"": 1, "book-10 XBT/USD": 1, "trade.X": 1}
        with pytest.raises(TimeoutError):
            await silent.receive(timeout=0.05)


async def test_a_recording_stands_still_while_nobody_listens(session: Web) -> None:
    """What a client missed by leaving is there for the next one; faults strike recorded messages too."""
    frames = [(float(number), json.dumps({"topic": f"t{number}"})) for number in range(100)]
    feeds = sim.RecordedFeeds(frames, speed=500.0, settle=0.0)
    async with sim.SimulatedVenue("bybit", symbols=1, recorded=feeds) as venue:
        venue.feed_faults.add("drop", channel="t3*", count=1)
        socket = await session.ws_connect(f"{venue.url}/v5/public/spot")
        await socket.send_str("{}")
        first = [json.loads(message.data)["topic"] async for message in socket]
        assert first == ["t0", "t1", "t2"]
        stood = feeds.position
        await asyncio.sleep(0.1)
        assert feeds.position == stood
        again = await session.ws_connect(f"{venue.url}/v5/public/spot")
        await again.send_str("{}")
        rest = [(await again.receive_json(timeout=PATIENCE_S))["topic"] for _ in range(100 - stood)]
        assert rest == [f"t{number}" for number in range(stood, 100)]
        sent, struck = sum(venue.feeds.frames.values()), venue.feeds.summary()["faults"]["drop"]
        assert sent + struck + sum(feeds.unheard.values()) == feeds.position == 100


async def test_a_recording_waits_for_slow_readers_and_ends_those_who_never_read(
    session: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All reach the one who reads, in order; the one who does not is ended."""
    monkeypatch.setattr(recorded_feeds, "_PATIENCE_S", 0.2)
    frames = [(0.0, json.dumps({"topic": "t", "n": number, "x": "y" * 10_000})) for number in range(2_000)]
    feeds = sim.RecordedFeeds(frames, settle=0.1)
    async with sim.SimulatedVenue("okx", symbols=1, recorded=feeds) as venue:
        _, writer = await handshake(venue)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is of both directions
        writer.write(masked(b"{}"))
        socket = await session.ws_connect(f"{venue.url}/ws/v5/public")
        await socket.send_str("{}")
        numbers = [(await socket.receive_json(timeout=PATIENCE_S))["n"] for _ in range(2_000)]
        assert numbers == list(range(2_000))
        assert venue.feeds.cut_off == 1
        writer.close()


@pytest.mark.recordings
async def test_a_recorded_hour_of_binance_makes_the_book_of_its_differences(session: Web, recordings: Any) -> None:
    """Every message arrives, and the book that REST then tells is the one that the differences make."""
    feeds = sim.RecordedFeeds(recordings / "hftbacktest" / "spot_btcusdt_20240808.gz")
    assert sum(feeds.channels.values()) == len(feeds.frames) == 41_248  # and one book, which was asked for over REST
    async with sim.SimulatedVenue(symbols=["BTC/USDT"], recorded=feeds) as venue:
        socket = await subscribe(session, f"{venue.url}/ws/1", "btcusdt@trade", "btcusdt@depth@100ms")
        begun = await rest_book(session, venue, 5000)
        sides = [dict(begun["bids"]), dict(begun["asks"])]
        last, count = begun["lastUpdateId"], feeds.channels["btcusdt@depth@100ms"] + feeds.channels["btcusdt@trade"]
        for _ in range(count):
            told = await socket.receive_json(timeout=PATIENCE_S)
            if told["e"] != "depthUpdate" or told["u"] <= last:
                continue
            assert told["U"] <= last + 1
            last = told["u"]
            for side, name in zip(sides, "ba", strict=True):
                side.update(told[name])
        book = await rest_book(session, venue, 5000)
        assert book["lastUpdateId"] == last
        for side, name in zip(sides, ("bids", "asks"), strict=True):
            whole = {float(price): float(size) for price, size in side.items() if float(size)}
            assert {float(price): float(size) for price, size in book[name]}.items() <= whole.items()
            assert len(book[name]) == min(5_000, len(whole))
