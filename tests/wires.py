"""A venue of Binance's dialect for tests of websockets: says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

from tradeutils.budget import LocalBudget
from tradeutils.errors import TradeutilsError
from tradeutils.exchange.streams.line import Line
from tradeutils.exchange.streams.topics import Topic
from tradeutils.exchange.venues.venue import CcxtVenue
from tradeutils.settings import Account, Credentials, ExchangeSettings

__all__ = ["KEY", "SECRET", "Heard", "Wires", "trade", "venue_of", "wires"]

KEY, SECRET = "key-that-must-not-be-told", "secret-that-must-not-be-told"


def _market(base: str, *, linear: bool) -> dict[str, Any]:
    contract = {"pair": f"{base}USDT", "contractType": "PERPETUAL", "contractStatus": "TRADING"} if linear else {}
    return {
        **contract,
        "symbol": f"{base}USDT",
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "isSpotTradingAllowed": True,
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "9000", "stepSize": "0.001"},
        ],
    }


def trade(number: int, symbol: str = "BTCUSDT") -> str:
    """Return the message of one trade."""
    return json.dumps(
        {"e": "trade", "E": number, "s": symbol, "t": number, "p": "100.5", "q": "0.1", "T": number, "m": True}
    )


class Wires:
    """
    The venue.

    Attributes
    ----------
    sockets : list
        The websockets that are open, in the order in which they came.
    asked : list
        Every message of clients, decoded.
    refuse : callable or None
        Given the path of a handshake, returns a response instead of a websocket.
    answer : callable or None
        Given a message, returns what is answered instead of the usual.
    """

    def __init__(self, bases: Sequence[str]) -> None:
        self.bases = bases
        self.sockets: list[web.WebSocketResponse] = []
        self.asked: list[Any] = []
        self.paths: list[str] = []
        self.requests: Counter[str] = Counter()
        self._channels: dict[web.WebSocketResponse, set[str]] = {}
        self.refuse: Callable[[str], web.Response | None] | None = None
        self.answer: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None
        self.mute = self.forgot_keys = False
        self.depth = {"lastUpdateId": 100, "bids": [["99", "1"]], "asks": [["101", "1"]]}
        self.url = ""

    @property
    def subscribed(self) -> set[str]:
        """The channels that somebody is subscribed to."""
        return set().union(*self._channels.values())

    @property
    def followed(self) -> set[str]:
        """The markets of those channels."""
        return {channel.partition("@")[0] for channel in self.subscribed}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, or talk on a websocket."""
        self.paths.append(request.path_qs)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            refused = None if self.refuse is None else self.refuse(request.path)
            return await self._talk(request) if refused is None else refused
        self.requests[f"{request.method} {request.path}"] += 1
        if request.path.endswith("/exchangeInfo"):
            linear = request.path.startswith("/fapi")
            return web.json_response({"symbols": [_market(base, linear=linear) for base in self.bases]})
        if request.path.endswith("/depth"):
            return web.json_response(self.depth)
        if request.path.endswith("/time"):
            return web.json_response({"serverTime": 1_700_000_000_000})
        if request.method == "PUT" and self.forgot_keys:
            return web.json_response({"code": -1125, "msg": "This listenKey does not exist."}, status=400)
        if request.path.endswith("/listenKey"):
            return web.json_response({"listenKey": "listen-key-that-must-not-be-told"})
        return web.json_response({}, status=404)

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, max_msg_size=0)
        await socket.prepare(request)
        self.sockets.append(socket)
        channels = self._channels[socket] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.PING and not self.mute:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._hear(socket, json.loads(message.data), channels)
        finally:
            self.sockets.remove(socket)
            del self._channels[socket]
        return socket

    async def _hear(self, socket: web.WebSocketResponse, said: dict[str, Any], channels: set[str]) -> None:
        self.asked.append(said)
        if self.mute:
            return
        if said.get("method") == "SUBSCRIBE":
            channels.update(said["params"])
        elif said.get("method") == "UNSUBSCRIBE":
            channels.difference_update(said["params"])
        told = None if self.answer is None else self.answer(said)
        await socket.send_str(json.dumps({"result": None, "id": said["id"]} if told is None else told))

    async def say(self, *frames: str | bytes, to: int = -1) -> None:
        """Send messages on one of the websockets."""
        for frame in frames:
            await (self.sockets[to].send_bytes(frame) if isinstance(frame, bytes) else self.sockets[to].send_str(frame))

    def reset(self) -> None:
        """Cut every connection off, without a word."""
        for socket in self.sockets:
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()


@asynccontextmanager
async def wires(bases: Sequence[str] = ("BTC", "ETH", "LTC")) -> AsyncIterator[Wires]:
    """Run such a venue on a loopback port."""
    made = Wires(bases)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.values: list[tuple[Topic, Any]] = []
        self.frames: list[Any] = []
        self.failures: list[tuple[Line, TradeutilsError, list[Topic]]] = []
        self._news = asyncio.Event()

    def received(self, topic: Topic, value: Any, frame: Any, at: float) -> None:
        """Keep a value."""
        assert at > 0
        self.values.append((topic, value))
        self.frames.append(frame)
        self._news.set()

    def failed(self, line: Line, error: TradeutilsError, topics: Collection[Topic]) -> None:
        """Keep a failure."""
        self.failures.append((line, error, list(topics)))
        self._news.set()

    def of(self, topic: Topic) -> list[Any]:
        """Return what came for a topic; of lists what was in them."""
        found = [value for one, value in self.values if one == topic]
        return [row for rows in found for row in rows] if topic.kind in ("trades", "ohlcv", "orders") else found

    async def until(self, done: Callable[[], Any], limit: float = 5.0) -> None:
        """Return when something has become true of it."""
        async with asyncio.timeout(limit):
            while not done():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def venue_of(made: Wires, *, account: bool = False, kind: str = "spot", **more: Any) -> AsyncIterator[CcxtVenue]:
    """Open our side of such a venue."""
    keys = Account(name="a", exchange="binance", credentials=Credentials(key=KEY, secret=SECRET)) if account else None
    options = {**more, "fetchMarkets": {"types": [kind]}, "defaultType": "spot" if kind == "spot" else "swap"}
    opened = CcxtVenue(
        "binance", budget=LocalBudget, url=made.url, account=keys, settings=ExchangeSettings(options=options)
    )
    try:
        yield opened
    finally:
        await opened.aclose()
