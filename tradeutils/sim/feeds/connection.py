"""
One websocket: what is sent over it, in what order, and what a fault makes of it.

Messages are framed here and written straight to the transport, many at once: a coroutine and a drain for each would
cost more than all the rest. What a client does not read is kept up to a bound; then the connection is ended.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import math
import socket
import struct
from collections.abc import Sequence
from typing import Final

from tradeutils.sim.feeds.dialect import Close, FeedSession, Frame
from tradeutils.sim.feeds.events import Event, Topic
from tradeutils.sim.feeds.faults import FeedFaults, FeedStrike
from tradeutils.sim.feeds.log import FeedLog, Told
from tradeutils.sim.feeds.wire import PONG, cut, encoded, wrapped

__all__ = ["Connection", "reset"]

_MOST_UNREAD: Final = 8 << 20  # bytes that wait for a client
_CLOSING_S: Final = 1.0  # how long a client may take to agree that a connection ends


class Connection:
    """
    A websocket and the session that is spoken over it.

    Attributes
    ----------
    topics : frozenset of Topic
        What it follows, as the pulse knows it.
    over : bool
        Nothing is sent any more.
    half_open : bool
        Nothing is sent nor read, and the client is not told.
    """

    def __init__(self, transport: asyncio.Transport, session: FeedSession, faults: FeedFaults, log: FeedLog) -> None:
        self.session = session
        self.topics: frozenset[Topic] = frozenset()
        self.over = self.half_open = False
        self._transport, self._faults, self._log = transport, faults, log
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._muted: dict[Told, tuple[float, int]] = {}  # until when, and by which fault
        self._held: dict[Told, bytes] = {}  # what comes after the next message of its topic
        self._late: collections.deque[tuple[float, bytes]] = collections.deque()
        self._late_bytes = 0
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def speaks(self) -> bool:
        """Tell whether anything is still sent."""
        return not self.over and not self.half_open

    @property
    def unread(self) -> int:
        """Bytes that wait for the client."""
        return self._transport.get_write_buffer_size() + self._late_bytes

    def say(self, frames: Sequence[Frame]) -> None:
        """Send what is no data: greetings, answers, heartbeats. No fault strikes these."""
        for frame in frames:
            if isinstance(frame, Close):
                self.end(frame)
                return
            self._put(encoded(frame))

    def pong(self, payload: bytes) -> None:
        """Answer a ping of the protocol."""
        self._put(wrapped(payload, PONG))
        self.flush()

    def tell(self, event: Event) -> None:
        """Send an event of one of its topics, in the venue's words."""
        if self.speaks:
            self.tell_frames(event.topic, event.topic.kind, event.topic.market, self.session.render(event))

    def tell_frames(self, what: Told, channel: str, market: str, frames: Sequence[Frame]) -> None:
        """Send messages of a topic, or what a fault makes of them."""
        for frame in frames:
            if isinstance(frame, Close):
                self.end(frame)
            elif not isinstance(frame, str | bytes):
                self._put(encoded(frame))
            elif not self._muted or not self._is_muted(what):
                self._deliver(what, frame, self._faults.strike(channel, market))

    def _deliver(self, what: Told, frame: str | bytes, strike: FeedStrike) -> None:
        if not self.speaks:
            return
        if strike.delay:
            self._log.struck("slow")
        if strike.kind:
            self._log.struck(strike.kind)
            if self._suffer(what, strike):
                return
            if strike.kind == "malformed":
                frame = cut(frame)
        made = encoded(frame)
        if strike.kind == "out_of_order" and what not in self._held:
            self._held[what] = made
            return
        self._log.sent(what, 2 if strike.kind == "duplicate" else 1)
        self._put(made, strike.delay)
        if strike.kind == "duplicate":
            self._put(made, strike.delay)
        held = self._held.pop(what, None) if self._held else None
        if held is not None:
            self._log.sent(what)
            self._put(held)

    def _suffer(self, what: Told, strike: FeedStrike) -> bool:
        """Do what a fault does to the connection; tell whether the message is not sent."""
        if strike.kind == "silent":
            until = self._loop.time() + strike.seconds if strike.seconds else math.inf
            self._muted[what] = until, strike.number
        elif strike.kind == "drop":
            self.over = True
            self.flush()
            reset(self._transport)
        elif strike.kind == "half_open":
            self._half_open(strike.seconds)
        else:
            return strike.kind == "lose"
        return True

    def _half_open(self, seconds: float) -> None:
        self.flush()
        self.half_open = True
        self._transport.pause_reading()
        if seconds:
            self._timers.append(self._loop.call_later(seconds, reset, self._transport))

    def _is_muted(self, what: Told) -> bool:
        until, number = self._muted.get(what, (0.0, 0))
        if self._loop.time() < until and self._faults.has(number):
            return True
        self._muted.pop(what, None)
        return False

    def unmute(self, left: frozenset[Topic]) -> None:
        """Forget what faults did to topics that are no longer followed."""
        for topic in left:
            self._muted.pop(topic, None)
            self._held.pop(topic, None)

    def _put(self, made: bytes, delay: float = 0.0) -> None:
        if not self.speaks:
            return
        if not delay and not self._late:
            self._out.append(made)
            return
        due = self._loop.time() + delay
        if self._late:
            due = max(due, self._late[-1][0])  # the order stays
        self._late.append((due, made))
        self._late_bytes += len(made)
        if len(self._late) == 1:
            self._wait(due)
        if self._late_bytes > _MOST_UNREAD:
            self.cut_off()

    def _wait(self, due: float) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > self._loop.time()]
        self._timers.append(self._loop.call_at(due, self._release))

    def _release(self) -> None:
        """Send what has waited long enough."""
        now = self._loop.time()
        while self._late and self._late[0][0] <= now:
            made = self._late.popleft()[1]
            self._late_bytes -= len(made)
            self._out.append(made)
        if self._late:
            self._wait(self._late[0][0])
        self.flush()

    def flush(self) -> None:
        """Write what was put together; end a connection whose client does not read."""
        if not self._out:
            return
        made, self._out = b"".join(self._out), []
        if self.half_open or self._transport.is_closing():
            return
        self._transport.write(made)
        if self.unread > _MOST_UNREAD:
            self.cut_off()

    def cut_off(self) -> None:
        """End a connection whose client does not read."""
        self._log.cut_off += 1
        self.over = True
        self._transport.abort()

    def end(self, close: Close) -> None:
        """Say that the connection ends, and end it as soon as the client agrees, or a second later."""
        if not self.speaks:
            return
        self._out.append(encoded(close))
        self.flush()
        self.over = True
        self._timers.append(self._loop.call_later(_CLOSING_S, _abort, self._transport))

    def finish(self) -> None:
        """Let go of the socket: what was sent before still arrives, where the client reads it within a second."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._late.clear()
        self._held.clear()
        self.over = True
        if self.half_open:
            self._transport.abort()
            return
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(_CLOSING_S, _abort, self._transport)

    def shut(self) -> None:
        """Say that the venue closes, to a client that reads; end at once for any other."""
        self.end(Close(1001, ""))
        if self.half_open or self._transport.get_write_buffer_size():
            self._transport.abort()


def reset(transport: asyncio.Transport) -> None:
    """End a connection so that the client sees a reset and not an orderly end."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _abort(transport)


def _abort(transport: asyncio.Transport) -> None:
    """End a connection unless it has ended by itself, which asyncio's transports trip over."""
    if not transport.is_closing() or transport.get_write_buffer_size():
        transport.abort()
