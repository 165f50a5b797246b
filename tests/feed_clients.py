"""Clients of the simulated venue's websockets: one that reads JSON, and one that writes bytes by hand."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import struct
import urllib.parse
from typing import Any

import aiohttp

from tradeutils import sim
from tradeutils.sim import DEFAULT_ACCOUNT

__all__ = ["PATIENCE_S", "Client", "Web", "frame_of", "handshake", "join", "masked", "order", "rest_book", "until"]

PATIENCE_S = 10.0


class Web:
    """A client's session, which closes its websockets too."""

    def __init__(self) -> None:
        self.http = aiohttp.ClientSession()
        self.sockets: list[aiohttp.ClientWebSocketResponse] = []
        self.get, self.post, self.delete = self.http.get, self.http.post, self.http.delete

    async def ws_connect(self, url: str) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket."""
        patience = aiohttp.ClientWSTimeout(ws_close=0.1)
        socket = await self.http.ws_connect(url, max_msg_size=0, timeout=patience)
        self.sockets.append(socket)
        return socket

    async def close(self) -> None:
        """Close all."""
        for socket in self.sockets:
            await socket.close()
        await self.http.close()


class Client:
    """A websocket that reads JSON and leaves heartbeats out."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.socket.send_str(json.dumps(message))

    async def follow(self, *topics: dict[str, Any]) -> None:
        """Follow topics, and read what answers."""
        await self.say(follow=topics)
        while "topics" not in await self.read():
            pass

    async def read(self) -> dict[str, Any]:
        """Return the next message that is no heartbeat."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, message
                told = dict(json.loads(message.data))
                if "beat" not in told:
                    return told

    async def silent(self, seconds: float = 0.15) -> bool:
        """Tell whether nothing but heartbeats comes for a while."""
        try:
            async with asyncio.timeout(seconds):
                await self.read()
        except TimeoutError:
            return True
        return False

    async def closed(self) -> int | None:
        """Read until the connection ends, and return the code with which it did."""
        while True:
            message = await self.socket.receive(timeout=PATIENCE_S)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return self.socket.close_code


async def join(session: Web, venue: sim.SimulatedVenue, *topics: dict[str, Any]) -> Client:
    """Connect, read the greeting and follow topics."""
    client = Client(await session.ws_connect(f"{venue.url}/feed"))
    assert await client.read() == {"hello": 1}
    if topics:
        await client.follow(*topics)
    return client


async def until(holds: Any) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # it rings no bell
            await asyncio.sleep(0.005)


async def rest_book(session: Web, venue: sim.SimulatedVenue, limit: int = 1000) -> dict[str, Any]:
    """Return the order book as REST tells it."""
    async with session.get(f"{venue.url}/api/v3/depth?symbol=BTCUSDT&limit={limit}") as response:
        return dict(await response.json())


async def order(session: Web, venue: sim.SimulatedVenue, **fields: Any) -> dict[str, Any]:
    """Place an order over REST."""
    query = urllib.parse.urlencode({**fields, "timestamp": venue.clock.now()})
    mac = hmac.new(DEFAULT_ACCOUNT.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    headers = {"X-MBX-APIKEY": DEFAULT_ACCOUNT.key}
    async with session.post(f"{venue.url}/api/v3/order?{query}&signature={mac}", headers=headers) as response:
        return dict(await response.json())


async def handshake(venue: sim.SimulatedVenue, head: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a websocket by hand."""
    address = urllib.parse.urlsplit(venue.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 22)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        (
            head
            or f"GET /feed HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    if not head:
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def masked(payload: bytes, kind: int = 0x1, size: int | None = None) -> bytes:
    """Return a client's frame; ``size`` says more than there is."""
    told = len(payload) if size is None else size
    head = struct.pack("!BB", 0x80 | kind, 0x80 | told) if told < 126 else struct.pack("!BBQ", 0x80 | kind, 0xFF, told)
    return head + b"\0\0\0\0" + payload


async def frame_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the kind and payload of the next small frame that is no heartbeat."""
    while True:
        async with asyncio.timeout(PATIENCE_S):
            kind, size = await reader.readexactly(2)
            if size == 126:
                size = struct.unpack("!H", await reader.readexactly(2))[0]
            payload = await reader.readexactly(size)
        if b"beat" not in payload:
            return kind & 0xF, payload
