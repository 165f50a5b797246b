"""What no client can do to the simulated venue by websocket, and how its connections end."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from feed_clients import PATIENCE_S, Web, frame_of, handshake, join, masked, until
from plain_feeds import PlainFeeds

from tradeutils import sim
from tradeutils.sim.binance import BinanceDialect
from tradeutils.sim.feeds import connection as connections
from tradeutils.sim.feeds import server as servers

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


async def test_a_client_that_does_not_read_is_cut_off(session: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it is bounded; others are told meanwhile."""
    monkeypatch.setattr(connections, "_MOST_UNREAD", 1 << 20)
    async with sim.SimulatedVenue(symbols=3, pulse=0.005) as venue:
        reader, writer = await handshake(venue)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is of both directions
        writer.write(masked(json.dumps({"echo": 300_000}).encode()) * 60)
        other = await join(session, venue, _TRADES)
        await until(lambda: venue.feeds.cut_off == 1)
        venue.clock.step("1m")
        assert (await other.read())["kind"] == "trades"
        await until(lambda: venue.feeds.connections == 1)
        writer.close()
        assert reader is not None


async def test_late_messages_are_bounded_too(session: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that a fault holds back count as what waits for a client."""
    monkeypatch.setattr(connections, "_MOST_UNREAD", 1 << 16)
    async with sim.SimulatedVenue(symbols=3, pulse=0.005) as venue:
        client = await join(session, venue, _BOOK)
        venue.feed_faults.add("slow", seconds=1_000)
        for _ in range(4):
            venue.clock.step("1h")
            await asyncio.sleep(0.03)
        assert await client.closed() in (1006, None)
        assert venue.feeds.cut_off == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (masked(b"\xff\xfe"), 1007),
        (masked(b"\xff\xfe", 0x2), 1007),
        (masked(b"x" * 2_000_000), 1009),
        (masked(b"x", size=10_000_000), 1009),
        (b"\xff" * 64, 1002),
    ],
    ids=["not text", "binary rubbish", "two megabytes", "ten megabytes", "no frame"],
)
async def test_what_is_no_message_ends_the_connection(venue: sim.SimulatedVenue, sent: bytes, code: int) -> None:
    """It is closed with the protocol's own code, and the venue goes on."""
    reader, writer = await handshake(venue)
    await frame_of(reader)
    writer.write(sent)
    kind, payload = await frame_of(reader)
    assert (kind, struct.unpack("!H", payload[:2])[0]) == (0x8, code)
    writer.close()
    await until(lambda: venue.feeds.connections == 0)


async def test_ten_thousand_subscriptions_are_too_many(venue: sim.SimulatedVenue, session: Web) -> None:
    """Whatever its dialect allows, a connection has a bound, and is told so."""
    client = await join(session, venue)
    await client.say(follow=[{**_BOOK, "depth": depth} for depth in range(1, 10_001)])
    assert "topics" in await client.read()
    assert await client.closed() == 1008
    assert not venue.feeds.topics


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /feed HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b" 400 "),
        (
            "GET /feed HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: ???\r\nSec-WebSocket-Version: 13\r\n\r\n",
            b" 400 ",
        ),
        ("POST /feed HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n", b" 404 "),
    ],
    ids=["no key", "a key that is none", "not a GET"],
)
async def test_a_handshake_that_is_none_is_answered(venue: sim.SimulatedVenue, head: str, status: bytes) -> None:
    """It is refused over HTTP, and no connection is counted."""
    reader, writer = await handshake(venue, head)
    async with asyncio.timeout(PATIENCE_S):
        assert status in await reader.readuntil(b"\r\n")
    writer.close()
    assert venue.feeds.opened == 0


async def test_no_more_connections_than_are_allowed(
    venue: sim.SimulatedVenue, session: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is told 503; one that leaves makes room."""
    monkeypatch.setattr(servers, "_MAX_CONNECTIONS", 2)
    first, _ = await join(session, venue), await join(session, venue)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await join(session, venue)
    assert caught.value.status == 503
    await first.socket.close()
    await until(lambda: venue.feeds.connections == 1)
    await join(session, venue)


async def test_closing_ends_every_socket_and_leaves_no_task(session: Web) -> None:
    """Open, silent, half open, unread and half a handshake: all end within a second, and nothing is left running."""
    before = asyncio.all_tasks()
    async with sim.SimulatedVenue(symbols=3, pulse=0.01) as venue:
        client, half_open = await join(session, venue, _TRADES), await join(session, venue, _TRADES)
        venue.feed_faults.add("half_open", count=2)
        venue.clock.step("1m")
        await asyncio.sleep(0.05)
        speaking = await join(session, venue, _BOOK)
        _, unread = await handshake(venue)
        unread.transport.pause_reading()  # type: ignore[attr-defined]  # it is of both directions
        unread.write(masked(json.dumps({"echo": 3_000_000}).encode()))
        reader, started = await handshake(venue, "GET /feed HTTP/1.1\r\nHost: here\r\nUpgr")
        await until(lambda: venue.feeds.connections == 4)
        goodbye = asyncio.create_task(speaking.closed())
        await asyncio.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < 3.0
    assert [await one.closed() for one in (client, half_open)] == [1006, 1006]
    assert await goodbye == 1001
    assert await reader.read() == b""
    for writer in (unread, started):
        writer.transport.abort()
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() <= before
    assert venue.feeds.connections == 0


async def test_a_venue_that_was_closed_can_be_moved(session: Web) -> None:
    """Its clock is stepped without anybody to tell."""
    async with sim.SimulatedVenue(symbols=1) as venue:
        client = await join(session, venue, _TRADES)
    venue.clock.step("1m")
    await client.socket.close()
    await venue.close()
