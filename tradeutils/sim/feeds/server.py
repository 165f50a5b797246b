"""Websockets of the simulated venue: who is let in, what they say, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from aiohttp import WSMsgType, web

from tradeutils.errors import UsageError
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.connection import Connection
from tradeutils.sim.feeds.dialect import Close, FeedDialect, FeedSession
from tradeutils.sim.feeds.faults import FeedFaults
from tradeutils.sim.feeds.log import FeedLog
from tradeutils.sim.feeds.pulse import Pulse
from tradeutils.sim.feeds.recorded import RecordedFeeds

__all__ = ["FeedServer", "is_upgrade"]

_MAX_MESSAGE: Final = 1 << 20
_MAX_CONNECTIONS: Final = 2_000
_MAX_TOPICS: Final = 5_000  # of a connection, whatever its venue allows
_CLOSING_S: Final = 1.0
_GOODBYE_S: Final = 0.25  # in which clients may agree that the venue closes


class FeedServer:
    """
    The feeds of a venue.

    Parameters
    ----------
    venue : Venue
        What is told of.
    dialect : FeedDialect or RecordedFeeds
        In whose words, or what was recorded.
    interval : float
        Seconds of real time between two pulses: 0.001 to 60.

    Attributes
    ----------
    faults : FeedFaults
        What goes wrong.
    log : FeedLog
        What was sent.
    """

    def __init__(self, venue: Venue, dialect: FeedDialect | RecordedFeeds, interval: float) -> None:
        if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0.001 <= interval <= 60:
            raise UsageError(f"pulse was {interval!r}; give seconds from 0.001 to 60")
        self.faults, self.log = FeedFaults(), FeedLog()
        self._venue, self._dialect = venue, dialect
        self._pulse = Pulse(venue, self.log, interval)
        self._player: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[Any]] = set()

    @property
    def recorded(self) -> RecordedFeeds | None:
        """The recorded session that is served, where one is."""
        return self._dialect if isinstance(self._dialect, RecordedFeeds) else None

    def open(self) -> None:
        """Begin; to be called in the loop of the venue."""
        self._pulse.open()
        if self.recorded is not None:
            self._player = asyncio.get_running_loop().create_task(self.recorded.run(self._pulse))

    async def close(self) -> None:
        """End every connection, and leave no task and no timer."""
        player, self._player = self._player, None
        if player is not None:
            player.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await player
        for connection in self._pulse.connections:
            connection.shut()
        if self._serving:
            await asyncio.wait(self._serving, timeout=_GOODBYE_S)
        for connection in self._pulse.connections:
            connection.finish()
        self._pulse.close()

    def ordered(self) -> None:
        """Tell accounts soon what happened to them."""
        self._pulse.hurry(accounts_only=True)

    def admit(self, request: web.Request, call: Call) -> FeedSession | Reply:
        """Return the session of a client that wants a websocket, or the reply by which it is not let in."""
        status = self.faults.refusal()
        if status is None and len(self._pulse.connections) >= _MAX_CONNECTIONS:
            status = 503
        if status is None and not web.WebSocketResponse().can_prepare(request).ok:
            status = 400
        if status is None:
            admitted = self._dialect.connect(call)
        else:
            admitted = Reply(status, b"", content_type="text/plain", route="websocket")
        self.log.refused += isinstance(admitted, Reply)
        return admitted

    async def serve(self, request: web.Request, session: FeedSession) -> web.WebSocketResponse:
        """Speak with a client until either ends it."""
        stream = web.WebSocketResponse(
            timeout=_CLOSING_S, autoclose=False, autoping=False, compress=False, max_msg_size=_MAX_MESSAGE
        )
        await stream.prepare(request)
        transport = request.transport
        if transport is None:  # gone already
            return stream
        connection = Connection(transport, session, self.faults, self.log)
        self._pulse.enter(connection)
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            connection.say(session.greet())
            self._refresh(connection)
            await self._listen(stream, connection)
        finally:
            self._pulse.leave(connection)
            connection.finish()
        return stream

    async def _listen(self, stream: web.WebSocketResponse, connection: Connection) -> None:
        """Take what the client says until the connection ends."""
        while True:
            message = await stream.receive()
            if connection.half_open:
                if message.type in (WSMsgType.CLOSED, WSMsgType.ERROR, WSMsgType.CLOSING):
                    return
            elif message.type is WSMsgType.TEXT:
                self._hear(connection, message.data)
            elif message.type is WSMsgType.BINARY:
                try:
                    self._hear(connection, message.data.decode())
                except UnicodeDecodeError:
                    connection.end(Close(1007, "not UTF-8"))
            elif message.type is WSMsgType.PING:
                connection.pong(message.data)
            elif message.type is WSMsgType.CLOSE:
                connection.end(Close(_polite(message.data)))
                return
            elif message.type is not WSMsgType.PONG:
                return

    def _hear(self, connection: Connection, text: str) -> None:
        if connection.over:
            return
        self.log.received += 1
        connection.say(connection.session.receive(text, self._venue.clock.now()))
        self._refresh(connection)

    def _refresh(self, connection: Connection) -> None:
        if len(connection.session.topics) > _MAX_TOPICS:
            connection.end(Close(1008, f"more than {_MAX_TOPICS} topics"))
        else:
            self._pulse.refresh(connection)


def is_upgrade(request: web.Request) -> bool:
    """Tell whether a request wants a websocket."""
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


def _polite(code: int | None) -> int:
    """Return the code with which a close is answered: the client's own, where it may be sent."""
    return code if code is not None and (1000 <= code <= 1003 or 1007 <= code <= 1014 or code >= 3000) else 1000
