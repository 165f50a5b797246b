"""Replies that never end, or are far too large: a typed error in time, in bounded memory, and a dropped connection."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import errors
from tradeutils.exchange.requests.replies import MOST_VALUES, REPLY_CAP

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]

PEAK = REPLY_CAP + 24 * 2**20  # what is held at once: the cap, a piece more, and some room for the interpreter
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


async def _large(writer: asyncio.StreamWriter) -> None:
    """Announce a gigabyte, and send it."""
    writer.write(HEAD + b"Content-Length: %d\r\n\r\n[" % 2**30)
    await _on_and_on(writer, b"0," * 2**15)


async def _endless(writer: asyncio.StreamWriter) -> None:
    """Send chunks without end."""
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    await _on_and_on(writer, b"%x\r\n%b\r\n" % (2**16, b"0," * 2**15))


async def _bomb(writer: asyncio.StreamWriter) -> None:
    """Send a gigabyte of zeros as a megabyte of gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)  # of which any number make a stream
    packed = gzip.compress(b"")[:10] + block * 2**10
    assert len(packed) < 2 * 2**20
    writer.write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
    await writer.drain()


async def _drip(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then: never silent, never done."""
    writer.write(HEAD + b"Content-Length: 100000\r\n\r\n[")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _on_and_on(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()


class Flood:
    """A server that answers every request alike, and notes how its connections end."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.dropped = asyncio.Event()
        self.asked = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, whose client must be the first to end it."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self._say(writer)
            await reader.read()
        except OSError:
            pass  # reset while there was more to send
        self.dropped.set()
        writer.close()


@pytest.fixture
async def start() -> AsyncIterator[Callable[[Say], Awaitable[tuple[Flood, str]]]]:
    """Start servers."""
    servers: list[asyncio.Server] = []

    async def serve(say: Say) -> tuple[Flood, str]:
        flood = Flood(say)
        server = await asyncio.start_server(flood, "127.0.0.1", 0)
        servers.append(server)
        return flood, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield serve
    for server in servers:
        server.close()
        await server.wait_closed()


Start = Callable[[Say], Awaitable[tuple[Flood, str]]]

CHILD = """
import asyncio, json, resource, sys, time
import tradeutils as tu

async def ask(url):
    async with tu.Exchange("binance", url=url, retries=0) as exchange:
        began = time.monotonic()
        try:
            await exchange.fetch_time()
        except tu.errors.TradeutilsError as error:
            return [type(error).__name__, str(error), time.monotonic() - began]

async def main():
    before, told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for url in sys.argv[1:]:
        told.append(await ask(url))
    print(json.dumps([told, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024]))

asyncio.run(main())
"""


async def _asked(flows: list[str]) -> tuple[list[list[Any]], int]:
    """Ask servers one after another in a process of its own; return the errors, and by how much its peak rose."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", CHILD, *flows, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    told, grown = json.loads(out)
    return told, grown


async def _dropped(*floods: Flood) -> None:
    async with asyncio.timeout(5):
        for flood in floods:
            assert flood.asked == 1
            await flood.dropped.wait()


async def test_a_gigabyte_is_an_error_in_bounded_memory(start: Start) -> None:
    """Announced, in chunks without end, or as a megabyte of gzip; measured as the peak of a process of its own."""
    started = [await start(say) for say in (_large, _endless, _bomb)]
    told, grown = await _asked([url for _, url in started])
    for kind, message, taken in told:
        assert (kind, f"at most {REPLY_CAP} bytes" in message) == ("BadReply", True)
        assert taken < 10  # the venue's timeout
    assert grown < PEAK
    await _dropped(*(flood for flood, _ in started))


def _refusing(status: int, *more: bytes) -> Say:
    async def say(writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 %d No\r\n%bTransfer-Encoding: chunked\r\n\r\n" % (status, b"".join(more))
        writer.write(head)
        await _on_and_on(writer, b"%x\r\n%b\r\n" % (2**16, b"0," * 2**15))

    return say


async def _headers(writer: asyncio.StreamWriter) -> None:
    """Send headers without end."""
    writer.write(HEAD)
    await _on_and_on(writer, b"X-More: %b\r\n" % (b"y" * 4000))


async def test_a_refusal_without_end_counts_as_what_its_status_says(start: Start) -> None:
    """A ban must be heeded however much comes with it; nothing of it stays but its beginning. Headers end as well."""
    says = [_refusing(429, b"Retry-After: 7\r\n"), _refusing(503), _refusing(302, b"Location: /x\r\n"), _headers]
    started = [await start(say) for say in says]
    told, grown = await _asked([url for _, url in started])
    assert [kind for kind, *_ in told] == ["RateLimited", "VenueUnavailable", "RequestRefused", "BadReply"]
    assert "without end" in told[2][1]
    assert "to be read as HTTP" in told[3][1]
    assert grown < 24 * 2**20
    await _dropped(started[0][0], started[1][0], started[3][0])


@pytest.mark.parametrize("body", [b"[],", b"{},", b'"",', b"[" * 1000 + b"]" * 1000 + b","])
async def test_a_reply_of_too_many_values_is_refused_before_they_are_made(start: Start, body: bytes) -> None:
    """Sixty megabytes of empty lists are two gigabytes as objects."""

    async def many(writer: asyncio.StreamWriter) -> None:
        text = b"[" + body * (3 * MOST_VALUES // len(body)) + body[:-1] + b"]"
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text)
        await writer.drain()

    _, url = await start(many)
    async with tu.Exchange("binance", url=url, retries=0) as exchange:
        with pytest.raises(errors.BadReply, match=f"more than {MOST_VALUES} values"):
            await exchange.fetch_time()
        assert exchange._venue._ccxt.last_http_response is None  # type: ignore[attr-defined]


async def test_a_large_reply_within_the_cap_is_read(start: Start) -> None:
    """Twenty megabytes: more than any venue's markets."""

    async def long(writer: asyncio.StreamWriter) -> None:
        body = b'{"serverTime":1700000000000,"x":"%b"}' % (b"y" * 20 * 2**20)
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    _, url = await start(long)
    async with tu.Exchange("binance", url=url, retries=0) as exchange:
        assert abs(await exchange.fetch_time() - 1_700_000_000_000) < 10_000


async def test_a_reply_that_drips_ends_with_the_timeout(start: Start) -> None:
    """Each byte comes in time, and all of them never would."""
    flood, url = await start(_drip)
    told = tu.settings.ExchangeSettings(timeout=0.4)
    async with tu.Exchange("binance", url=url, retries=0, settings=told) as exchange:
        began = time.monotonic()
        with pytest.raises(errors.VenueTimeout):
            await exchange.fetch_time()
        assert time.monotonic() - began < 5
        async with asyncio.timeout(5):
            await flood.dropped.wait()


async def test_the_next_request_goes_out_on_a_new_connection(start: Start) -> None:
    """What is left of a flood is not taken for the next answer."""
    floods: list[Any] = [_endless]

    async def once(writer: asyncio.StreamWriter) -> None:
        if floods:
            await floods.pop()(writer)
            return
        body = b'{"serverTime":1700000000000}'
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    flood, url = await start(once)
    async with tu.Exchange("binance", url=url, retries=1) as exchange:
        assert abs(await exchange.fetch_time() - 1_700_000_000_000) < 10_000
    assert flood.asked == 2


@pytest.mark.parametrize("charset", ["punycode", "idna", "zip", "nonsense", "utf-16"])
async def test_a_reply_names_no_codec_of_its_own(start: Start, charset: str) -> None:
    """Some take hours for what others read in a moment; JSON is UTF-8."""

    async def said(writer: asyncio.StreamWriter) -> None:
        body = b'{"serverTime":1700000000000,"x":"%b"}' % (b"y" * 10**5)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=%b\r\n" % charset.encode()
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    _, url = await start(said)
    async with tu.Exchange("binance", url=url, retries=0) as exchange:
        assert abs(await exchange.fetch_time() - 1_700_000_000_000) < 10_000
