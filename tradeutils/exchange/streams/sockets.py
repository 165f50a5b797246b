"""
One websocket of a line: ccxt's client of it, with our dialling, reading and pinging in place of its own.

ccxt makes a task, a future and a callback for every message it reads, and lets its reading loop die in silence when a
handler raises. Here one task dials, reads and hands every message to ccxt's class, and whatever goes wrong in it ends
the line. Nothing of ccxt's classes is changed: the methods are put in place on the one client.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import re
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp
import orjson
from aiohttp.http_websocket import WebSocketError
from aiohttp.streams import EofStream

from tradeutils import errors, logs
from tradeutils.exchange.requests.connection import Connection
from tradeutils.exchange.streams.asking import Asking, answers, current_asking, is_named
from tradeutils.exchange.streams.dialing import Dialer, Dials, Turns, dial_error, wait_told
from tradeutils.exchange.streams.limits import LineLimits
from tradeutils.exchange.streams.routes import Route

__all__ = ["Socket"]

_PING_S: Final = 5.0
_SILENT_S: Final = 10.5  # so that a socket that died without a word is noticed within 15.5 s
_STALL_S: Final = 1.0  # the event loop stood still: what has arrived meanwhile is still to be read
_DIAL_S: Final = 10.0
_BURST: Final = 32  # messages that are handled before other tasks run: at 25 us each, a pause of under 1 ms
_MOST_BYTES: Final = 64 * 2**20  # of one message, inflated
_HEARTBEAT: Final = 16  # characters: "pong", "o", "ping"; longer text that is no JSON is damage
_SHOWN: Final = 80
_LOOKED_AT: Final = 1_000  # messages of a websocket in which long numbers are looked for
# Whole numbers from 2^64 up, as ids are on htx: orjson makes floats of them. Exact parsing costs 2 to 5 us a message
# more, so it is for websockets that bring such numbers; looking for them costs 1 us a message at first, then nothing.
_LONG_WHOLE: Final = re.compile(r"[:,\[]\s*-?\d{20}")

_TEXT, _BINARY = aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY


class Owner(Protocol):
    """The line that a socket is of."""

    venue: str
    private: bool
    limits: LineLimits
    connection: Connection
    dials: Dials
    dialer: Dialer
    routes: dict[str, Route]
    last_frame_at: float

    @property
    def ended(self) -> bool:
        """Whether it has failed or was closed."""
        ...

    def broken(self, error: BaseException) -> None:
        """End, because of this."""
        ...

    def resolved(self, socket: Socket, route: Route, hashed: str, value: Any) -> None:
        """Take what ccxt's class made of a message, or of an answer over REST."""
        ...

    def rejected(self, socket: Socket, error: BaseException, hashed: str | None) -> None:
        """Take what ccxt's class found wrong with a topic, or with everything."""
        ...


@dataclass(slots=True, eq=False)
class _Request:
    """What the venue was asked for, and how many answers are to come."""

    message: Any
    asking: Asking
    answers: int


class Socket:
    """
    A client of ccxt's that was taken over.

    Attributes
    ----------
    frame, at : Any, float
        The message that is being handled, and when it came (``time.monotonic``); ``None`` between messages.
    acknowledged : Asking or None
        Whose request that message answers.
    requests : int
        How many it was sent, pings aside.
    """

    def __init__(self, client: Any, line: Owner, handle: Callable[[Any, Any], Any]) -> None:
        self.client = client
        self.frame: Any = None
        self.at = 0.0
        self.acknowledged: Asking | None = None
        self.requests = 0
        self._line = line
        self._handle = handle
        self._turns = Turns(line.limits.messages)
        self._unanswered: list[_Request] = []
        self._looked_at = 0
        self._parse: Callable[[str], Any] = self._wary
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._pings: asyncio.Task[None] | None = None
        self._senders: set[asyncio.Task[Any]] = set()  # of ccxt's, which wait for their turn
        self.settle, self.refuse = client.resolve, client.reject  # ccxt's own
        client.connect, client.send, client.close = self._connect, self._send, self._close
        client.resolve, client.reject = self._resolver(), self._reject
        client.on_error, client.reset = line.broken, line.broken
        client.on_close = self._on_close

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._ws is not None

    def awaited(self) -> set[Asking]:
        """Return whose requests the venue has not answered yet."""
        return {one.asking for one in self._unanswered}

    def named(self, words: str) -> set[Asking]:
        """Return those of them whose markets are named in these words."""
        return {one.asking for one in self._unanswered if is_named(one.message, words)}

    def sent(self, message: Any, asking: Asking, answers: int) -> None:
        """Look for the answers to a request."""
        self._unanswered.append(_Request(message, asking, answers))

    def forget(self, asking: Asking) -> None:
        """Look for answers to this one's requests no longer."""
        self._unanswered = [one for one in self._unanswered if one.asking is not asking]

    def keep_future(self, hashed: str) -> None:
        """Leave a future with ccxt: its classes find there what is subscribed to."""
        if not self._line.ended:
            self.client.future(hashed)  # as it is, or a new one

    def _resolver(self) -> Callable[..., Any]:
        settle, line, routes = self.settle, self._line, self._line.routes

        def resolve(result: Any, hashed: Any = None) -> Any:
            route = routes.get(hashed)
            if route is None:
                return settle(result, hashed)
            line.resolved(self, route, hashed, result)
            return result

        return resolve

    def _reject(self, error: Any, hashed: str | None = None) -> Any:
        cause = error if isinstance(error, BaseException) else errors.StreamBroken("refused", venue=self._line.venue)
        self._line.rejected(self, cause, hashed)
        return error

    def _connect(self, _session: Any, _pause: float = 0) -> Any:
        if self._task is None and not self._line.ended:
            self.client.connecting = True
            # In a context of its own: what a class starts while it reads must not count as part of this call.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
        return self.client.connected

    async def _run(self) -> None:
        """Dial, and read until something ends it; whatever that is ends the line."""
        try:
            ws = await self._dial()
            self._pings = asyncio.get_running_loop().create_task(self._keep_alive(ws))
            await self._read(ws)
        except errors.TradeutilsError as error:
            self._line.broken(error)
        except WebSocketError as error:
            what = "brought a message that is too large" if error.code == 1009 else "broke the protocol"
            self._line.broken(self._broken(f"{what} (code {error.code})"))
        except (EofStream, aiohttp.ClientError, OSError) as error:
            told = "" if isinstance(error, EofStream) else f" ({type(error).__name__})"
            self._line.broken(self._broken(f"was cut off{told}"))
        except Exception as error:  # noqa: BLE001 -- ccxt's handlers raise any class, and none may end in silence
            self._line.broken(error)

    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        client, line = self.client, self._line
        await line.dials.turn()
        failure: errors.VenueError | None = None
        grant = await line.connection.acquire_dial(line.limits.dials.window("connections"), urgent=line.private)
        try:
            async with grant, asyncio.timeout(_DIAL_S):
                ws: aiohttp.ClientWebSocketResponse = await client.create_connection(line.dialer)
        except (errors.VenueError, aiohttp.ClientError, OSError, TimeoutError) as error:
            line.dials.failed(wait_told(error))
            failure = dial_error(error, line.venue, private=line.private)
        if failure is not None:
            raise failure  # here, as a cause or a context of it would hold the address, and with it keys
        self._ws = client.connection = ws
        line.dials.succeeded()
        line.last_frame_at = self.at = time.monotonic()
        client.connecting, client.isConnected = False, True
        client.connected.resolve(client.url)
        client.on_connected_callback(client)
        return ws

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        # aiohttp's receive() checks its state around every message: 1.6 us, of which this saves 1.
        read: Callable[[], Awaitable[Any]] = ws._reader.read  # noqa: SLF001
        handled = 0
        while True:
            kind, data, extra = await read()
            self.at = self._line.last_frame_at = time.monotonic()
            if kind is _TEXT or kind is _BINARY:
                self._take(self._decoded(data))
            else:
                await self._control(ws, kind, data, extra)
            handled += 1
            if handled >= _BURST:
                handled = 0
                await asyncio.sleep(0)

    def _take(self, frame: Any) -> None:
        request = self._answered(frame) if self._unanswered else None
        self.acknowledged = None if request is None else request.asking
        self.frame = frame
        try:
            self._handle(self.client, frame)
        finally:
            self.frame = self.acknowledged = None
            if request is not None and not request.answers:
                request.asking.answered()

    def _answered(self, frame: Any) -> _Request | None:
        """Return which request a message answers, if any."""
        for request in self._unanswered:
            if answers(request.message, frame):
                request.answers -= 1
                if not request.answers:
                    self._unanswered.remove(request)
                return request
        return None

    def _decoded(self, data: str | bytes) -> Any:
        client = self.client
        if isinstance(data, bytes):
            if client.gunzip or client.inflate:
                data = _inflated(data, gzip=bool(client.gunzip))
            if not client.decompressBinary and not client.gunzip:
                return data
            try:
                data = data.decode()
            except UnicodeDecodeError as error:
                raise self._broken("brought bytes that are no text") from error
        if data[:1] in ("{", "[") and len(data) > 1:
            try:
                return self._parse(data)
            except (ValueError, TypeError, RecursionError):
                raise self._broken(f"brought {len(data)} characters that are no JSON") from None
        if len(data) > _HEARTBEAT:
            raise self._broken(f"brought {len(data)} characters that are no JSON")
        return data

    def _wary(self, text: str) -> Any:
        """Parse one of the first messages, and choose how the others are parsed."""
        self._looked_at += 1
        if _LONG_WHOLE.search(text):
            self._parse = _exact.decode
            return _exact.decode(text)
        if self._looked_at >= _LOOKED_AT:
            self._parse = orjson.loads
        return orjson.loads(text)

    async def _control(self, ws: aiohttp.ClientWebSocketResponse, kind: Any, data: Any, extra: Any) -> None:
        types = aiohttp.WSMsgType
        if kind is types.PING:
            await ws.pong(data)
        elif kind is types.PONG:
            self.client.lastPong = int(time.time() * 1000)
        elif kind is types.ERROR:
            raise self._broken("broke off with an error")
        else:
            told = logs.redact(str(extra or ""))[:_SHOWN]
            raise self._broken(f"was closed by the venue (code {data}{': ' if told else ''}{told})")

    async def _keep_alive(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Ping, and end the line when nothing at all comes back."""
        client = self.client
        period = min(_PING_S, (client.keepAlive or _PING_S * 1000) / 1000)
        try:
            while True:
                slept = time.monotonic()
                await asyncio.sleep(period)
                now = time.monotonic()
                if now - slept < period + _STALL_S and now - self.at > _SILENT_S:
                    self._line.broken(self._broken(f"has been silent for {now - self.at:.0f} s, pings unanswered"))
                    return
                async with asyncio.timeout(_SILENT_S):
                    if client.ping:
                        await self._write(client.ping(client))  # ahead of what waits for its turn
                    else:
                        await ws.ping()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._line.broken(self._broken(f"takes no messages ({type(error).__name__})"))
        except Exception as error:  # noqa: BLE001 -- of ccxt's own ping; without pings a dead line would go unnoticed
            self._line.broken(error)

    async def _send(self, message: Any) -> None:
        asking, task = current_asking.get(), asyncio.current_task()
        if self._line.ended:
            raise ConnectionError("closed before the message was sent")
        if task is not None:
            self._senders.add(task)
            task.add_done_callback(self._senders.discard)
        await self._turns.take()
        self.requests += 1
        if asking is not None:
            asking.sent(self, message)  # ahead of the message, as its answer may be
        await self._write(message)

    async def _write(self, message: Any) -> None:
        if self._ws is None or self._ws.closed:
            raise ConnectionError("closed before the message was sent")
        await self._ws.send_str(message if isinstance(message, str) else orjson.dumps(message).decode())

    async def _close(self, _code: int = 1000) -> None:
        """Stand in for ccxt's: a class closes a connection where it cannot go on with it."""
        self._line.broken(self._broken("was given up by ccxt"))

    def _on_close(self, code: Any) -> None:
        self._line.broken(self._broken(f"was closed ({code})"))

    def _broken(self, what: str) -> errors.StreamBroken:
        return errors.StreamBroken(f"the websocket {what}; another one is opened", venue=self._line.venue)

    async def aclose(self) -> None:
        """End the tasks and the websocket, within half a second."""
        mine = asyncio.current_task()
        tasks = [task for task in (self._task, self._pings, *self._senders) if task not in (None, mine)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ws, self._ws = self._ws, None
        if ws is not None:
            await ws.close()
        futures: MutableMapping[str, Any] = self.client.futures
        futures.clear()
        vars(self.client).clear()  # of its cycles with this and with its class none is left to the garbage collector
        self._unanswered.clear()


def _no_number(name: str) -> Any:
    raise TypeError(f"{name} is no JSON")


_exact: Final = json.JSONDecoder(parse_constant=_no_number)


def _inflated(data: bytes, *, gzip: bool) -> bytes:
    unpacker = zlib.decompressobj(31 if gzip else -zlib.MAX_WBITS)
    try:
        text = unpacker.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise errors.StreamBroken("the websocket brought bytes that cannot be inflated") from error
    if unpacker.unconsumed_tail:
        raise errors.StreamBroken(f"the websocket brought more than {_MOST_BYTES} bytes in one message")
    return text
