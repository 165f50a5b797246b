"""What had less time left than the timeout, because something else took it: it ends in time, and accuses nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from servers import Proxy

from tradeutils.errors import CacheUnavailable
from tradeutils.link.address import parse_address
from tradeutils.link.link import Link
from tradeutils.link.wire import Command, Wire

PING: list[Command] = [(b"PING",)]


@pytest.fixture
async def link(proxy: Proxy) -> AsyncIterator[Link]:
    """Return what is connected to a server through the proxy, and gives it a second."""
    made = Link(parse_address(proxy.url), 1.0)
    await made.call(PING)
    yield made
    await made.aclose()


def live(link: Link) -> Wire:
    """Return its connection."""
    assert link.live is not None
    return link.live


async def test_command_with_less_time_left_ends_before_those_ahead_of_it(proxy: Proxy, link: Link) -> None:
    """The one timer of a connection is set anew for it."""
    proxy.mute_all()
    wire, loop = live(link), asyncio.get_running_loop()
    wire.ready(60.0)
    ahead = wire.call(PING)
    await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        with pytest.raises(CacheUnavailable):
            await wire.call(PING, loop.time() + 0.05)
    assert not ahead.done()
    proxy.reset_all()
    with pytest.raises(CacheUnavailable):
        await ahead


async def test_command_with_hardly_any_time_left_is_no_evidence_of_an_outage(proxy: Proxy, link: Link) -> None:
    """A server that did not answer within a millisecond is not away; one that did not within the timeout is."""
    wire, loop = live(link), asyncio.get_running_loop()
    proxy.delay = 0.1
    with pytest.raises(CacheUnavailable):
        await wire.call(PING, loop.time() + 0.001)
    assert link.live is wire
    assert not link.is_away
    assert await link.call(PING) == [b"PONG"]
    proxy.mute_all()
    with pytest.raises(CacheUnavailable):
        await link.call(PING)
    assert link.is_away


async def test_reply_of_a_kind_that_cannot_be_is_a_broken_connection(
    proxy: Proxy, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    """A map with a list for a key is protocol, but nothing that can be held; no trace of it is logged."""
    proxy.change = lambda _: b"%1\r\n*1\r\n:1\r\n+OK\r\n"
    with pytest.raises(CacheUnavailable, match="not Redis protocol"):
        await link.call(PING)
    assert caplog.records == []
    proxy.change = lambda reply: reply
    assert await link.call(PING) == [b"PONG"]
