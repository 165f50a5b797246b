"""
One connection to Redis that everybody shares.

Built on `asyncio.Protocol` and the hiredis parser instead of redis-py's pool: 50 concurrent GETs cost a tenth as much
(the pool opens 50 connections and writes 50 times), a waiter that is cancelled costs no connection because its reply is
still taken off in order, and there is one timer for the connection instead of one for each call.
"""

from __future__ import annotations

import abc
import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import hiredis

from tradeutils.errors import CacheError, CacheUnavailable
from tradeutils.link.changes import Reading
from tradeutils.link.outlet import Command, Outlet, pack

__all__ = ["LATE_LOOP", "MGET_KEYS", "UNWATCHED", "Abandoned", "Command", "Refusal", "Wire"]

Abandoned: TypeAlias = Callable[[list[Any]], None]

MGET_KEYS: Final = 512  # a longer MGET holds up everyone else on the server
UNWATCHED: Final[Command] = (b"CLIENT", b"CACHING", b"NO")  # before a read whose changes need not be told
_RECENT: Final = 1024  # round trips of which percentiles are told
_MORE: Final = object()
LATE_LOOP: Final = 0.02  # seconds by which a timer may be late before the loop itself is taken to have stalled


[_PACKED_UNWATCHED] = pack([UNWATCHED])


class Refusal(Exception):
    """An error reply of the server, as it stands."""

    @property
    def code(self) -> str:
        """Its first word: ``"WRONGTYPE"``, ``"OOM"``."""
        return str(self).partition(" ")[0]


class _Pending(abc.ABC):
    """One or more commands in flight, and who waits for the replies."""

    __slots__ = ("deadline", "replies", "sent", "wanted")

    def __init__(self, sent: float, deadline: float, wanted: int) -> None:
        self.sent = sent
        self.deadline = deadline  # infinite once the waiters have been told
        self.wanted = wanted
        self.replies: list[Any] = []

    @abc.abstractmethod
    def finish(self, replies: list[Any]) -> None:
        """Hand the replies to who waits."""

    @abc.abstractmethod
    def fail(self, error: Callable[[], Exception]) -> None:
        """Tell who waits that there will be none."""


class _Calls(_Pending):
    """Commands sent together; the future gets the list of their replies."""

    __slots__ = ("abandoned", "future")

    def __init__(
        self, deadline: float, wanted: int, future: asyncio.Future[list[Any]], abandoned: Abandoned | None
    ) -> None:
        super().__init__(0.0, deadline, wanted)
        self.future = future
        self.abandoned = abandoned

    def finish(self, replies: list[Any]) -> None:
        if not self.future.done():
            self.future.set_result(replies)
        elif self.abandoned is not None:
            self.abandoned(replies)

    def fail(self, error: Callable[[], Exception]) -> None:
        if not self.future.done():
            self.future.set_exception(error())


class _Reads(_Pending):
    """One MGET for all the keys that single gets asked for in one turn of the loop."""

    __slots__ = ("refused", "waiters")

    def __init__(
        self,
        sent: float,
        deadline: float,
        wanted: int,
        waiters: list[list[asyncio.Future[Any]]],
        refused: Callable[[str], Exception],
    ) -> None:
        super().__init__(sent, deadline, wanted)
        self.waiters = waiters
        self.refused = refused

    def finish(self, replies: list[Any]) -> None:
        self._hand_out(replies[-1])

    def _hand_out(self, values: Any) -> None:
        if isinstance(values, hiredis.ReplyError):
            self.fail(lambda: self.refused(str(values)))
            return
        if not isinstance(values, list) or len(values) != len(self.waiters):
            self.fail(lambda: CacheError("the server answered MGET with something else than a value for each key"))
            return
        for futures, value in zip(self.waiters, values, strict=True):
            for future in futures:
                if not future.done():
                    future.set_result(value)

    def fail(self, error: Callable[[], Exception]) -> None:
        for futures in self.waiters:
            for future in futures:
                if not future.done():
                    future.set_exception(error())


class _TimedReads(_Reads):
    """One MGET and a PTTL for each key; who waits gets value and PTTL, the latter whatever the server answered."""

    __slots__ = ()

    def finish(self, replies: list[Any]) -> None:
        values, *lives = replies
        if isinstance(values, list) and len(values) == len(lives):
            values = list(zip(values, lives, strict=True))
        self._hand_out(values)


class Wire(asyncio.Protocol):
    """
    A connection on which any number of callers have commands in flight.

    Parameters
    ----------
    name : str
        The server, for messages.
    timeout : float
        Seconds within which each command must be answered.
    on_silent : callable
        Called when a command went unanswered for its time and not a byte has come since it was sent. (While bytes
        come, a large reply is on its way: its waiters are told, but the server is not away.)
    on_answer : callable
        Called with the first reply after that.
    on_lost : callable
        Called with the reason when the connection is gone.
    on_push : callable
        Called with what the server says unasked, between the replies before and after it.
    refused : callable
        Makes an error of an error reply to a single read.
    """

    def __init__(
        self,
        name: str,
        timeout: float,
        *,
        on_silent: Callable[[Wire], None],
        on_answer: Callable[[Wire], None],
        on_lost: Callable[[Wire, str], None],
        on_push: Callable[[Any], None] = lambda _: None,
        refused: Callable[[str], Exception] = Refusal,
    ) -> None:
        self.timeout = timeout
        self.latency = 0.0  # seconds, exponentially weighted mean
        self.recent: deque[float] = deque(maxlen=_RECENT)  # seconds of the latest round trips
        self.answered = 0  # replies so far
        self._name = name
        self.is_tracked = False  # the server tells of changes to what is read, unless `UNWATCHED` stands before
        self._on_silent, self._on_answer, self._on_lost, self._on_push = on_silent, on_answer, on_lost, on_push
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._outlet: Outlet | None = None
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._pending: deque[_Pending] = deque()
        self._out: list[bytes] = []
        self._unsent: list[_Calls] = []  # theirs are the bytes in _out
        self._reads: list[dict[str, list[asyncio.Future[Any]]]] = [{} for _ in Reading]
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf
        self._last_byte = 0.0
        self._silent = False
        self._graced = False
        self._lost: str | None = None

    # What callers use

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._lost is not None

    @property
    def heard(self) -> float:
        """When the last byte came, by the loop's clock."""
        return self._last_byte

    def get(self, key: str, reading: Reading = Reading.PLAIN) -> asyncio.Future[Any]:
        """
        Read one key; all that are asked for in one turn of the loop travel as one MGET.

        The future gets the bytes or ``None``; where the reading is timed, those and the answer to PTTL.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._lost is not None:
            future.set_exception(CacheUnavailable(self._lost))
            return future
        reads = self._reads[reading]
        futures = reads.get(key)
        if futures is None:
            reads[key] = [future]
            if not self._flushing:
                self._schedule()
        else:
            futures.append(future)
        return future

    def call(
        self, commands: Sequence[Command], due: float | None = None, abandoned: Abandoned | None = None
    ) -> asyncio.Future[list[Any]]:
        """
        Send commands back to back and return their replies in order; an error reply is a `hiredis.ReplyError`.

        ``due``: when to give up, by the loop's clock; by default ``timeout`` from now. ``abandoned`` is called with
        replies that come when nobody waits for them any more. (To shield the future costs a turn of the loop more, a
        tenth of a round trip.)
        """
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if self._lost is not None:
            future.set_exception(CacheUnavailable(self._lost))
            return future
        self._out += pack(commands)  # all or, where one cannot be packed, none
        self._unsent.append(_Calls(math.nan if due is None else due, len(commands), future, abandoned))
        self._schedule()
        return future

    def ready(self, timeout: float) -> None:
        """Go from the handshake to service: another timeout, and none of the answers so far count."""
        self.timeout, self.answered, self.latency = timeout, 0, 0.0
        self.recent.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self, error: Callable[[], Exception]) -> None:
        """Close at once; whoever still waits gets ``error()``."""
        if self._lost is None:
            self._lost = f"the connection to {self._name} is closed"
        self._fail_all(error)
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it
        self._outlet = Outlet(self._transport, self._loop)

    def pause_writing(self) -> None:
        if self._outlet is not None:
            self._outlet.pause()

    def resume_writing(self) -> None:
        if self._outlet is not None:
            self._outlet.resume()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._last_byte = now = self._loop.time()
        try:
            while (reply := self._reader.gets()) is not _MORE:
                if isinstance(reply, hiredis.PushNotification):
                    self._on_push(reply)
                else:
                    self._deliver(reply, now)
        except (hiredis.ProtocolError, IndexError, TypeError):  # a reply that nobody asked for, or that cannot be held
            self._give_up(f"{self._name} answered something that is not Redis protocol")

    def connection_lost(self, exc: Exception | None) -> None:
        detail = f": {exc}" if exc else ""
        self._give_up(f"{self._name} closed the connection{detail}")

    # How it works

    def _schedule(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._lost is not None or self._outlet is None:
            return
        now = self._loop.time()  # not when it was asked for: the loop may have been busy since
        hurry = False
        for calls in self._unsent:
            calls.sent = now
            if math.isnan(calls.deadline):
                calls.deadline = now + self.timeout
            elif calls.deadline < self._timer_due:
                hurry = True
        self._pending.extend(self._unsent)
        self._unsent = []
        for reading in Reading:
            if self._reads[reading]:
                self._pack_reads(reading, now)
        out, self._out = self._out, []
        self._outlet.send(out)
        if self._timer is None:
            self._arm()
        elif hurry:
            self._timer.cancel()
            self._arm()

    def _pack_reads(self, reading: Reading, now: float) -> None:
        reads, self._reads[reading] = self._reads[reading], {}
        keys, waiters = list(reads), list(reads.values())
        unwatched, timed = self.is_tracked and reading is Reading.PLAIN, reading is Reading.TIMED
        for start in range(0, len(keys), MGET_KEYS):
            chunk = keys[start : start + MGET_KEYS]
            if unwatched:
                self._out.append(_PACKED_UNWATCHED)
            self._out += pack([(b"MGET", *chunk)])
            if timed:
                self._out += pack([(b"PTTL", key) for key in chunk])
            wanted = 1 + unwatched + (len(chunk) if timed else 0)
            kind = _TimedReads if timed else _Reads
            waiting = waiters[start : start + MGET_KEYS]
            self._pending.append(kind(now, now + self.timeout, wanted, waiting, self._refused))

    def _deliver(self, reply: Any, now: float) -> None:
        pending = self._pending[0]
        pending.replies.append(reply)
        self.answered += 1
        if self._silent:
            self._silent = False
            self._on_answer(self)
        if len(pending.replies) == pending.wanted:
            self._pending.popleft()
            self.latency += (now - pending.sent - self.latency) * (0.05 if self.latency else 1.0)
            self.recent.append(now - pending.sent)
            pending.finish(pending.replies)

    def _arm(self) -> None:
        """Set the one timer to the first deadline that is still open."""
        due = min((pending.deadline for pending in self._pending), default=math.inf)
        self._timer = None if due == math.inf else self._loop.call_at(due, self._check_deadlines, due)
        self._timer_due = due

    def _check_deadlines(self, due: float) -> None:
        self._timer = None
        now = self._loop.time()
        if now - due > LATE_LOOP and not self._graced:
            # The loop was busy elsewhere, so the replies may lie in the socket unread: read before judging.
            self._graced = True
            self._timer = self._loop.call_later(self.timeout / 2, self._check_deadlines, due)
            return
        self._graced = False
        overdue = [p for p in self._pending if p.deadline <= now]
        if overdue:
            # One that was left half the timeout or less, the rest having gone in connecting or asking elsewhere, proves
            # nothing. All that is overdue was sent in this order. One that takes bytes of a large value is there.
            moved = self._outlet.moved_at if self._outlet is not None else 0.0
            heard = max(self._last_byte, moved)
            silent = any(heard <= p.sent and now - p.sent > self.timeout / 2 for p in overdue)
            for pending in overdue:
                pending.deadline = math.inf
                pending.fail(self._timed_out)
            if silent and not self._silent:
                self._silent = True
                self._on_silent(self)
        self._arm()

    def _timed_out(self) -> CacheUnavailable:
        return CacheUnavailable(f"{self._name} did not answer within {self.timeout:g} s")

    def _give_up(self, reason: str) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        self._fail_all(lambda: CacheUnavailable(reason))
        if self._transport is not None:
            self._transport.abort()
        self._on_lost(self, reason)

    def _fail_all(self, error: Callable[[], Exception]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._outlet is not None:
            self._outlet.clear()
        asked = [futures for reads in self._reads for futures in reads.values()]
        waiting = (*self._pending, *self._unsent, _Reads(0.0, 0.0, 1, asked, self._refused))
        self._pending, self._unsent, self._reads, self._out = deque(), [], [{} for _ in Reading], []
        for pending in waiting:
            pending.fail(error)
