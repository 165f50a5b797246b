"""
Recorded feeds: what a venue once said, said again.

Messages of Binance's combined streams go to those who subscribed to their stream, wrapped or not as the client's path
has it. Of any other venue all messages go to every client that has said anything.
"""

from __future__ import annotations

import asyncio
import collections
import os
import re
import threading
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from tradeutils.errors import UsageError
from tradeutils.sim.dialect import Call, Reply
from tradeutils.sim.feeds.connection import Connection
from tradeutils.sim.feeds.dialect import Frame
from tradeutils.sim.feeds.events import Event, Topic
from tradeutils.sim.feeds.pulse import Pulse
from tradeutils.sim.feeds.recording import SNAPSHOT, RecordedFrame, Recording, read_recording
from tradeutils.sim.feeds.snapshots import Snapshots

__all__ = ["RecordedFeeds", "RecordedSession"]

_UNREAD: Final = 1 << 18  # bytes that wait for a client before what is played waits for it
_LOOK_S: Final = 0.002
_PATIENCE_S: Final = 10.0
_BATCH: Final = 50
_MOST_STREAMS: Final = 1_024
_RATE: Final = re.compile(r"@\d+ms$")

Depth: TypeAlias = str | os.PathLike[str] | Mapping[str, bytes | str]
"""A file of recorded replies, or one reply for each symbol."""


class RecordedFeeds:
    """
    A recorded session, to be served in place of the venue's own feeds: ``SimulatedVenue(..., recorded=...)``.

    It begins when clients have subscribed and then said nothing more for a moment, and is played once, to all; while
    nobody listens it stands still.

    Parameters
    ----------
    recording : path, sequence of paths, or iterable of (seconds, text)
        See `read_recording`.
    speed : float
        Recorded seconds in a second; 0: as fast as the clients read, and in no case faster.
    settle : float
        Seconds after the last new subscription at which it begins.
    hold : bool
        Begin only when `play` is called as well.
    depth : path or mapping, optional
        Recorded order books of REST: lines ``<address with ?symbol=..> -> <seconds>: <json>``, or JSON by symbol.
        Without one, ``/depth`` is answered with what the differences played so far make of an empty book, or of the
        first book that lies between the messages, where they are all of one market.

    Attributes
    ----------
    frames : sequence of RecordedFrame
        All messages, in order.
    channels : mapping of str to int
        How many there are of each channel.
    unheard : mapping of str to int
        Of those that were played, how many no client had asked for.

    Raises
    ------
    DataError, UsageError : a recording that cannot be read; a speed below 0.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float = 0.0,
        settle: float = 0.3,
        hold: bool = False,
        depth: Depth | None = None,
    ) -> None:
        for name, value in (("speed", speed), ("settle", settle)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
                raise UsageError(f"{name} was {value!r}; give a number from 0 to 1e6")
        read = read_recording(recording)
        self.frames: Sequence[RecordedFrame] = [frame for frame in read if frame.channel != SNAPSHOT]
        self.channels: dict[str, int] = {}
        for frame in self.frames:
            self.channels[frame.channel] = self.channels.get(frame.channel, 0) + 1
        self.combined = any(frame.text.startswith('{"stream":') for frame in self.frames)
        self._speed, self._settle = speed, settle
        self._snapshots = Snapshots(self.frames, depth, [frame for frame in read if frame.channel == SNAPSHOT])
        self._go, self._finished = threading.Event(), threading.Event()
        if not hold:
            self._go.set()
        self._position = 0
        self._unheard: collections.Counter[str] = collections.Counter()
        self._asked = 0.0

    @property
    def position(self) -> int:
        """How many messages were played."""
        return self._position

    @property
    def unheard(self) -> Mapping[str, int]:
        """How many messages of each channel were played that no client had asked for, or that none was left to hear."""
        return dict(self._unheard)

    def summary(self) -> dict[str, Any]:
        """Return how far it is, as ``GET /sim/recorded`` tells it."""
        told = {"messages": len(self.frames), "position": self._position, "finished": self._finished.is_set()}
        return {**told, "channels": self.channels, "unheard": self.unheard}

    def play(self) -> None:
        """Let it begin; from any thread."""
        self._go.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, in another thread than the venue's, until all is played; tell whether it is."""
        return self._finished.wait(timeout)

    def respond(self, call: Call) -> Reply | None:
        """Answer ``/depth`` as of this point of the recording; ``None``: anything else, or a market not in it."""
        if call.method != "GET" or not call.path.endswith("/depth"):
            return None
        asked = dict(urllib.parse.parse_qsl(call.query))
        limit = asked.get("limit", "100")
        most = int(limit) if limit.isascii() and limit.isdecimal() and len(limit) < 6 else 100
        body = self._snapshots.reply(asked.get("symbol", ""), most, self._position)
        return None if body is None else Reply(200, body, route=call.path)

    def connect(self, call: Call) -> RecordedSession:
        """Return the session of a client, whatever its path."""
        query = urllib.parse.parse_qs(call.query)
        names = [name for text in query.get("streams", ()) for name in text.split("/")]
        tail = call.path.rpartition("/ws/")[2] if "/ws/" in call.path else ""
        names += [name for name in tail.split("/") if "@" in name]
        session = RecordedSession(self, wrapped="stream" in call.path.split("/"))
        if names:
            session.subscribe(names)
        return session

    def asked(self) -> None:
        """Note that a client has subscribed to something."""
        self._asked = asyncio.get_running_loop().time()

    async def run(self, pulse: Pulse) -> None:
        """Play it to the connections of a venue; to be cancelled where the venue closes."""
        loop = asyncio.get_running_loop()
        began: tuple[float, float] | None = None
        while self._position < len(self.frames):
            listening = _listening(pulse)
            if not listening or not self._go.is_set() or (began is None and loop.time() - self._asked < self._settle):
                began = None
                await asyncio.sleep(_LOOK_S)
                continue
            if began is None:
                began = loop.time(), self.frames[self._position].time
            due = self._due(began, loop.time())
            if due:
                frames = self.frames[self._position : self._position + due]
                self._unheard.update(frame.channel for frame in _send(frames, listening))
                self._position += due
            await asyncio.sleep(0 if due and not self._speed else _LOOK_S)
            await _drained(pulse)
        self._finished.set()

    def _due(self, began: tuple[float, float], now: float) -> int:
        """Return how many messages are to be sent now, `_BATCH` at most."""
        rest = self.frames[self._position : self._position + _BATCH]
        if not self._speed:
            return len(rest)
        reached = began[1] + (now - began[0]) * self._speed
        return sum(frame.time <= reached for frame in rest)


class RecordedSession:
    """One client of recorded feeds; see `FeedSession`."""

    topics: Collection[Topic] = ()

    def __init__(self, feeds: RecordedFeeds, *, wrapped: bool) -> None:
        self._feeds, self._wrapped = feeds, wrapped
        self._streams: set[str] = set()
        self.listening = False

    def greet(self) -> Sequence[Frame]:
        """Say nothing: what a venue says first is in the recording."""
        return ()

    def receive(self, frame: str, now: int) -> Sequence[Frame]:
        """Take a subscription; of a venue that is not Binance, listen to all from the first message on."""
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError:
            message = None
        if frame == "ping":
            return ("pong",)
        if isinstance(message, dict) and message.get("event") == "ping":
            return (_text({**message, "event": "pong"}),)
        if self._feeds.combined:
            return (_text(self._answer(message)),)
        self.listening = True
        self._feeds.asked()
        return ()

    def _answer(self, message: Any) -> dict[str, Any]:
        names = message.get("params") if isinstance(message, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return {"error": {"code": 2, "msg": "Invalid request: send SUBSCRIBE or UNSUBSCRIBE with params"}}
        if message.get("method") == "SUBSCRIBE":
            if len(self._streams.union(map(_stream, names))) > _MOST_STREAMS:
                return {"error": {"code": 2, "msg": f"Invalid request: more than {_MOST_STREAMS} streams"}}
            self.subscribe(names)
        else:
            self._streams.difference_update(map(_stream, names))
            self.listening = bool(self._streams)
        return {"result": None, "id": message.get("id")}

    def subscribe(self, names: Collection[str]) -> None:
        """Follow streams, whatever the pace of their differences is called."""
        self._streams.update(_stream(name) for name in list(names)[:_MOST_STREAMS])
        self.listening = True
        self._feeds.asked()

    def render(self, event: Event) -> Sequence[Frame]:
        """Say nothing of what is not recorded."""
        return ()

    def tick(self, now: int) -> Sequence[Frame]:
        """Say nothing."""
        return ()

    def shown(self, frame: RecordedFrame) -> str | None:
        """Return a message as this client asked for it, or ``None``."""
        if not self._feeds.combined:
            return frame.text
        if _stream(frame.channel) not in self._streams:
            return None
        return frame.text if self._wrapped else _bare(frame.text)


def _listening(pulse: Pulse) -> list[tuple[RecordedSession, Connection]]:
    return [
        (connection.session, connection)
        for connection in pulse.connections
        if isinstance(connection.session, RecordedSession) and connection.session.listening and connection.speaks
    ]


async def _drained(pulse: Pulse) -> None:
    """Wait until all clients have read most of what they were sent; end those who read nothing for long."""
    loop = asyncio.get_running_loop()
    patience = loop.time() + _PATIENCE_S
    while True:
        slow = [connection for _, connection in _listening(pulse) if connection.unread > _UNREAD]
        if not slow:
            return
        if loop.time() > patience:
            for connection in slow:
                connection.cut_off()
        await asyncio.sleep(_LOOK_S)


def _send(
    frames: Sequence[RecordedFrame], listening: Sequence[tuple[RecordedSession, Connection]]
) -> list[RecordedFrame]:
    """Send messages to all who asked for them; return those that nobody was there for."""
    heard: set[int] = set()
    for session, connection in listening:
        for number, frame in enumerate(frames):
            text = session.shown(frame) if connection.speaks else None
            if text is not None:
                heard.add(number)
                connection.tell_frames(frame.channel, frame.channel, "", (text,))
        connection.flush()
    return [frame for number, frame in enumerate(frames) if number not in heard]


def _bare(text: str) -> str:
    """Return the payload of a wrapped message, letter by letter where it is written as Binance does."""
    head, mark, rest = text.partition(',"data":')
    if mark and head.startswith('{"stream":"') and "," not in head:
        return rest[:-1]
    message = orjson.loads(text)
    return orjson.dumps(message.get("data", message)).decode()


def _stream(name: str) -> str:
    return _RATE.sub("", name.lower())


def _text(answer: dict[str, Any]) -> str:
    return orjson.dumps(answer).decode()
