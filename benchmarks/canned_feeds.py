"""
A venue in a process of its own that sends Binance's frames at a pace, so that who reads them is all that is measured.

``GET /go?frames=N&pace=R`` sends N frames to each subscription, R a second to all together, in bursts as they come off
a wire; with ``frames=0`` it sends a few with a price (of a book: an amount) of `MARK`, by which a reader knows that it
is done. ``GET /followed`` tells how many subscriptions there are. Every reader is sent the same frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from aiohttp import WSMsgType, web

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import canned_venue

MARK: Final = 999_999.0
MARKS: Final = 3  # of each subscription: a reader may lose one between two awaits
BURST_S: Final = 0.002
MINUTE: Final = 60_000
LEVELS: Final = 1_000
PRICE: Final = 50_000.0


def now() -> int:
    """Return milliseconds UTC."""
    return time.time_ns() // 1_000_000


def ticker(market: str, number: int, price: float) -> dict[str, Any]:
    """``<market>@ticker``."""
    told = {name: f"{price + offset:.8f}" for name, offset in (("c", 0), ("b", -0.5), ("a", 0.5), ("w", 3), ("x", -9))}
    told |= {name: f"{PRICE + offset:.8f}" for name, offset in (("o", 0), ("h", 900), ("l", -900))}
    told |= {name: f"{amount:.8f}" for name, amount in (("Q", 0.1), ("B", 4.104), ("A", 0.001), ("v", 1e5), ("q", 3e9))}
    at = now()
    return told | {
        "e": "24hrTicker", "E": at, "s": market, "p": "12.50000000", "P": "0.250", "O": at - 86_400_000, "C": at,
        "F": 1, "L": number + 1, "n": number + 1,
    }  # fmt: skip


def trade(market: str, number: int, price: float) -> dict[str, Any]:
    """``<market>@trade``."""
    at = now()
    return {
        "e": "trade", "E": at, "s": market, "t": 1_000 + number, "p": f"{price:.8f}", "q": "0.02000000", "T": at,
        "m": bool(number % 2), "M": True,
    }  # fmt: skip


def kline(market: str, number: int, price: float) -> dict[str, Any]:
    """``<market>@kline_1m``, of the minute that is."""
    at = now()
    opened = at // MINUTE * MINUTE
    row = {
        "t": opened, "T": opened + MINUTE - 1, "s": market, "i": "1m", "f": 1, "L": number, "n": number, "x": False,
        "o": f"{PRICE:.8f}", "c": f"{price:.8f}", "h": f"{MARK:.8f}", "l": f"{PRICE - 900:.8f}",
        "v": f"{number / 100:.8f}", "q": f"{number * 500.0:.8f}", "V": "1.00000000", "Q": "50000.00000000", "B": "0",
    }  # fmt: skip
    return {"e": "kline", "E": at, "s": market, "k": row}


def depth(market: str, number: int, price: float) -> dict[str, Any]:
    """``<market>@depth@100ms``: two levels of each side, as a busy market of a tenth of a second has a dozen."""
    step = number % LEVELS
    best = [[f"{PRICE - 1:.8f}", f"{MARK:.8f}"]] if price == MARK else []
    bids = [
        [f"{PRICE - 1 - step:.8f}", f"{1 + number % 7}.50000000"],
        [f"{PRICE - 1 - (step + 1) % LEVELS:.8f}", "0.7"],
    ]
    asks = [
        [f"{PRICE + 1 + step:.8f}", f"{1 + number % 5}.25000000"],
        [f"{PRICE + 1 + (step + 1) % LEVELS:.8f}", "0.3"],
    ]
    return {
        "e": "depthUpdate", "E": now(), "s": market, "U": number + 1, "u": number + 1, "b": bids + best, "a": asks,
    }  # fmt: skip


FRAMES: Final[dict[str, Callable[[str, int, float], dict[str, Any]]]] = {
    "ticker": ticker,
    "trade": trade,
    "kline_1m": kline,
    "depth": depth,
}


class Feeds:
    """Who is connected, what they follow, and how many frames each subscription has had."""

    def __init__(self, markets: int) -> None:
        self._markets = canned_venue.markets(markets)
        self._followed: dict[tuple[web.WebSocketResponse, str], int] = {}
        self._numbers: dict[str, int] = {}
        self._sending: asyncio.Task[None] | None = None

    def application(self) -> web.Application:
        """Return the routes."""
        application = web.Application()
        application.router.add_get("/api/v3/exchangeInfo", self._listing)
        application.router.add_get("/api/v3/time", self._time)
        application.router.add_get("/api/v3/depth", self._depth)
        application.router.add_get("/api/v3/klines", self._klines)
        application.router.add_get("/go", self._go)
        application.router.add_get("/followed", self._count)
        application.router.add_get("/{path:.*}", self._socket)
        return application

    async def _listing(self, _: web.Request) -> web.Response:
        return web.Response(body=self._markets, content_type="application/json")

    async def _time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": now()})

    async def _depth(self, request: web.Request) -> web.Response:
        sides = {
            side: [[f"{PRICE + sign * (1 + level):.8f}", "1.00000000"] for level in range(LEVELS)]
            for side, sign in (("bids", -1), ("asks", 1))
        }
        number = self._numbers.get(f"{request.query['symbol']}@depth", 0)
        return web.json_response({"lastUpdateId": number, **sides})

    async def _klines(self, _: web.Request) -> web.Response:
        last = now() // MINUTE * MINUTE
        return web.json_response([self._kline(last - MINUTE * back) for back in range(100, -1, -1)])

    @staticmethod
    def _kline(opened: int) -> list[Any]:
        price = f"{PRICE:.8f}"
        return [opened, price, price, price, price, "1.0", opened + MINUTE - 1, "50000.0", 1, "1.0", "50000.0", "0"]

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            for stream in asked.get("params", ()):
                if asked["method"] == "SUBSCRIBE":
                    self._followed[socket, stream] = 0
                else:
                    self._followed.pop((socket, stream), None)
            await socket.send_json({"result": None, "id": asked["id"]})
        for key in [key for key in self._followed if key[0] is socket]:
            del self._followed[key]
        return socket

    async def _go(self, request: web.Request) -> web.Response:
        frames, pace = int(request.query["frames"]), float(request.query["pace"])
        if self._sending is not None:
            await self._sending
        self._sending = asyncio.create_task(self._send(frames, pace) if frames else self._mark())
        return web.json_response({})

    async def _count(self, _: web.Request) -> web.Response:
        return web.json_response(len(self._followed))

    async def _send(self, frames: int, pace: float) -> None:
        started = time.perf_counter()
        for sent, (socket, text) in enumerate(self._made(frames)):
            await _send(socket, text)
            ahead = sent / pace - (time.perf_counter() - started)
            if ahead > BURST_S:
                await asyncio.sleep(ahead)

    async def _mark(self) -> None:
        for _ in range(MARKS):
            for socket, text in self._made(1, MARK):
                await _send(socket, text)
            await asyncio.sleep(0.05)

    def _made(self, frames: int, price: float = PRICE) -> Iterator[tuple[web.WebSocketResponse, str]]:
        followed = list(self._followed)
        for _ in range(frames):
            for socket, stream in followed:
                market, _, channel = stream.partition("@")
                kind = channel.partition("@")[0]
                key = f"{market.upper()}@{kind}"
                number = self._numbers.get(key, 0)
                self._numbers[key] = number + 1
                told = price if price == MARK else price + number % 100
                yield socket, json.dumps(FRAMES[kind](market.upper(), number, told))


async def _send(socket: web.WebSocketResponse, text: str) -> None:
    with contextlib.suppress(ConnectionError):  # who leaves is told no more
        await socket.send_str(text)


async def main(markets: int) -> None:
    """Serve until killed."""
    runner = web.AppRunner(Feeds(markets).application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("http://{}:{}".format(*runner.addresses[0][:2]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
