"""
How topics are spread over lines: of a kind and a sort of market together, as many on each as the venue takes.

A line ends as a whole, so what is told apart here fails apart: a book whose sequence breaks takes no candles with it.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Hashable, Iterable, Sequence
from typing import Any, Final

from tradeutils import errors, logs
from tradeutils.errors import TradeutilsError
from tradeutils.exchange.streams.dialing import Dials
from tradeutils.exchange.streams.ends import Opened, Sink
from tradeutils.exchange.streams.limits import line_limits
from tradeutils.exchange.streams.line import Line
from tradeutils.exchange.streams.topics import Topic

__all__ = ["Pool"]

_log = logs.get_logger("exchange.streams")

_OVERLAP_S: Final = 1.0  # for which a line and the one in its place both bring data: what is on its way is not lost
_FEW: Final = 8  # topics that may be unwanted on a line without any harm


class _Placed:
    """A topic on a line, or on its way there."""

    __slots__ = ("line", "ready", "sinks", "topic")

    def __init__(self, topic: Topic, sink: Sink) -> None:
        self.topic = topic
        self.sinks = [sink]
        self.line: Line | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready.add_done_callback(_retrieve)


class Pool:
    """
    The public lines of a venue, or those of one account.

    Parameters
    ----------
    venue : str
        Whose limits count.
    opener : callable
        Opens what a line is made of.
    """

    def __init__(self, venue: str, opener: Callable[[], Awaitable[Opened]]) -> None:
        self._venue = venue
        self._opener = opener
        self._limits = line_limits(venue)
        self._dials = Dials()
        self._lines: dict[Hashable, list[Line]] = {}
        self._opening: dict[Hashable, asyncio.Lock] = {}
        self._placed: dict[Topic, _Placed] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._puts: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def lines(self) -> tuple[Line, ...]:
        """Those that are open."""
        return tuple(line for lines in self._lines.values() for line in lines)

    @property
    def topics(self) -> Collection[Topic]:
        """What is subscribed to, or about to be."""
        return self._placed.keys()

    # Placing

    async def place(self, topics: Sequence[Topic], sink: Sink) -> None:
        """Subscribe to topics; see `Lines.place`."""
        if self._closed:
            raise errors.Closed(f"{self._venue}: these streams were closed")
        found: list[_Placed] = []
        groups: dict[Hashable, list[_Placed]] = {}
        for topic in dict.fromkeys(topics):
            placed = self._placed.get(topic)
            if placed is None:
                placed = self._placed[topic] = _Placed(topic, sink)
                groups.setdefault(self._group(topic), []).append(placed)
            elif sink not in placed.sinks:
                placed.sinks.append(sink)
            found.append(placed)
        for group, members in groups.items():
            task = self._start(self._put(group, members))  # not this one, as others may come to wait for it too
            self._puts.add(task)
            task.add_done_callback(self._puts.discard)
        try:
            if found:
                await asyncio.wait([placed.ready for placed in found])
            for placed in found:
                placed.ready.result()
        except BaseException:
            await asyncio.shield(self._start(self.leave(topics, sink)))
            raise

    async def _put(self, group: Hashable, members: Sequence[_Placed]) -> None:
        subscribing: list[asyncio.Task[None]] = []
        try:
            async with self._opening.setdefault(group, asyncio.Lock()):
                async for line, there in self._assigned(group, members):
                    subscribing.append(self._start(self._subscribe(line, there)))
                    await asyncio.sleep(0)  # opening a line takes 20 ms, in which nothing that came is read
        except TradeutilsError as error:
            self._fail([one for one in members if one.line is None], error)
        await asyncio.gather(*subscribing)

    async def _assigned(
        self, group: Hashable, members: Sequence[_Placed]
    ) -> AsyncGenerator[tuple[Line, list[_Placed]], None]:
        """Yield on which line each is to be; what no line has room for gets fresh ones."""
        waiting = list(members)
        lines = list(self._lines.get(group, ()))
        while waiting:
            if lines:
                line = lines.pop(0)
            else:
                line = Line(await self._opener(), self, self._limits, self._dials)
                self._lines.setdefault(group, []).append(line)
            if self._closed:
                self._discard(line)
                raise errors.Closed(f"{self._venue}: these streams were closed")
            room = max(0, self._limits.topics - line.subscribed)
            fitting = [one for one in waiting if one.topic not in line.spoilt and one.topic not in line.topics][:room]
            if fitting and not line.ended and not line.is_spent:
                line.reserve(len(fitting))
                for one in fitting:
                    one.line = line
                waiting = [one for one in waiting if one.line is not line]
                yield line, fitting

    async def _subscribe(self, line: Line, members: Sequence[_Placed]) -> None:
        failure: TradeutilsError = errors.StreamBroken("the line ended", venue=self._venue)
        try:
            await line.subscribe([one.topic for one in members])
        except TradeutilsError as error:
            failure = error
        there = [one for one in members if not line.ended and one.topic in line.topics]
        self._fail([one for one in members if one not in there], failure)
        stale = [one.topic for one in there if self._placed.get(one.topic) is not one]  # left meanwhile
        for one in there:
            if not one.ready.done():
                one.ready.set_result(None)
        if isinstance(failure, errors.AuthenticationFailed) and not line.ended:
            # ccxt's classes wait for ever for a login that was refused once on the same connection.
            line.broken(errors.StreamBroken("the login was refused", venue=self._venue))
        await self._unsubscribe(line, stale)
        self._tidy(line)

    def _fail(self, members: Iterable[_Placed], error: TradeutilsError) -> None:
        for one in members:
            if self._placed.get(one.topic) is one:
                del self._placed[one.topic]
            if not one.ready.done():
                one.ready.set_exception(error)

    def _group(self, topic: Topic) -> Hashable:
        """Return what is on a line together: ccxt keeps one book a market, so books of other depths are apart."""
        if topic.is_private:
            return "private"
        return topic.kind, topic.depth, topic.timeframe if self._limits.one_timeframe else None, topic.sort

    # Leaving

    async def leave(self, topics: Collection[Topic], sink: Sink | None = None) -> None:
        """Unsubscribe; see `Lines.leave`."""
        left: dict[Line, list[Topic]] = {}
        for topic in topics:
            placed = self._placed.get(topic)
            if placed is None:
                continue
            placed.sinks = [] if sink is None else [one for one in placed.sinks if one is not sink]
            if placed.sinks:
                continue
            del self._placed[topic]
            if not placed.ready.done():  # who still waits for it, waits no longer
                placed.ready.set_exception(errors.Closed(f"{self._venue} watch_{topic.kind}: was left meanwhile"))
            if placed.line is not None:
                left.setdefault(placed.line, []).append(topic)
        await asyncio.gather(*(self._unsubscribe(line, there) for line, there in left.items()))

    async def _unsubscribe(self, line: Line, topics: Sequence[Topic]) -> None:
        if not topics:
            return
        if line.topics <= set(topics) and not self._is_awaited(line):
            self._discard(line)  # which tells the venue as well
            return
        await line.unsubscribe(topics)
        self._tidy(line)

    def _tidy(self, line: Line) -> None:
        """Close a line that nobody wants, and renew one of which most is unwanted and arrives all the same."""
        if line.ended:
            return
        if not line.topics:
            if not self._is_awaited(line):
                self._discard(line)
        elif line.unwanted > max(_FEW, len(line.topics)):
            self._start(self._renew(line))

    def _is_awaited(self, line: Line) -> bool:
        """Tell whether topics are on their way to a line, of which it may not know yet."""
        return any(one.line is line and not one.ready.done() for one in self._placed.values())

    async def _renew(self, line: Line) -> None:
        """Put a fresh line in the place of one, without a gap between them."""
        group = next((group for group, lines in self._lines.items() if line in lines), None)
        if group is None:
            return
        self._lines[group].remove(line)  # nothing new is placed on it
        members = [one for one in self._placed.values() if one.line is line and one.ready.done()]
        fresh: Line | None = None
        try:
            fresh = Line(await self._opener(), self, self._limits, self._dials)
            self._lines.setdefault(group, []).append(fresh)
            fresh.reserve(len(members))
            await fresh.subscribe([one.topic for one in members])
        except TradeutilsError as error:
            _log.warning("%s: a line could not be renewed (%s)", self._venue, error)
            if fresh is not None:
                self._discard(fresh)
            line.unwanted = 0  # it is tried again once as many more are unwanted
            if not line.ended:
                self._lines.setdefault(group, []).append(line)
            return
        for one in members:
            if one.line is line:
                one.line = fresh
        await asyncio.sleep(_OVERLAP_S)
        self._discard(line)
        gone = [one.topic for one in members if self._placed.get(one.topic) is not one]
        await self._unsubscribe(fresh, gone)

    async def replace(self, line: Line | Topic) -> None:
        """Put topics elsewhere; see `Lines.replace`."""
        error = errors.StreamBroken("the stream is opened anew", venue=self._venue)
        if isinstance(line, Line):
            line.broken(error)
            return
        placed = self._placed.get(line)
        if placed is not None and placed.line is not None and placed.ready.done():
            there = placed.line
            there.lost(error, [line])
            self._start(there.leave_behind([line]))

    # What lines bring

    def received(self, topic: Topic, value: Any, frame: Any, at: float) -> None:
        """Hand on what arrived."""
        placed = self._placed.get(topic)
        if placed is not None:
            for sink in placed.sinks:
                sink.received(topic, value, frame, at)

    def failed(self, line: Line, error: TradeutilsError, topics: Collection[Topic]) -> None:
        """Hand on that topics ended, each to who placed it."""
        hit = [
            placed
            for topic in topics
            if (placed := self._placed.get(topic)) is not None and (placed.line is line or placed.line is None)
        ]
        told: dict[int, tuple[Sink, list[Topic]]] = {}
        for placed in hit:
            del self._placed[placed.topic]
            if not placed.ready.done():
                placed.ready.set_exception(error)
                continue
            for sink in placed.sinks:
                told.setdefault(id(sink), (sink, []))[1].append(placed.topic)
        if line.ended:
            self._discard(line)
        else:
            asyncio.get_running_loop().call_soon(self._tidy, line)
        for sink, hers in told.values():
            sink.failed(line, error, hers)

    # The end

    def _discard(self, line: Line) -> None:
        for group, lines in list(self._lines.items()):
            if line in lines:
                lines.remove(line)
                if not lines:
                    del self._lines[group]
        self._start(line.aclose())

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """Close every line; who waits for one gets `Closed`. Safe to call twice."""
        self._closed = True
        self._fail(list(self._placed.values()), errors.Closed(f"{self._venue}: these streams were closed"))
        for put in self._puts:
            put.cancel()
        for line in self.lines:
            self._discard(line)
        while tasks := [task for task in self._tasks if task is not asyncio.current_task()]:
            await asyncio.wait(tasks)


def _retrieve(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()  # whoever placed it may be gone
