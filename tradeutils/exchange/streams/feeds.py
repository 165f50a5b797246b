"""All subscriptions of one exchange: opened with their first consumer, and left with the last."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Coroutine, Hashable, Iterable, Sequence
from typing import Any, Final, Protocol

from tradeutils import logs
from tradeutils.errors import Closed, StreamBroken, TradeutilsError
from tradeutils.exchange.gathering import ended
from tradeutils.exchange.streams.feed import Feed
from tradeutils.exchange.streams.line import Line, Sink
from tradeutils.exchange.streams.subscribers import Reading, Subscriber
from tradeutils.exchange.streams.topics import Topic
from tradeutils.exchange.streams.watchdog import is_final

__all__ = ["Feeds", "Placing"]

_log = logs.get_logger("exchange.streams")

_GRID_S: Final = 0.25
_PLACING_S: Final = 60.0  # a dial, a login, and the venue's pauses between them
_EACH_S: Final = 0.1


class Placing(Protocol):
    """What places topics on lines; see `Lines`."""

    async def place(self, topics: Sequence[Topic], sink: Sink) -> None: ...
    async def leave(self, topics: Collection[Topic], sink: Sink | None = None) -> None: ...
    async def replace(self, line: Line | Topic) -> None: ...


class Feeds:
    """
    The feeds of one exchange.

    Parameters
    ----------
    lines : Placing
        Where they come in; not closed with this.
    now : callable
        Returns the venue's time, int milliseconds UTC.
    venue : str
        For messages.

    Notes
    -----
    What is asked for within one turn of the event loop is placed together, so that a venue that takes many symbols
    in one message is sent one. Of each topic one thing is done at a time, in the order in which it was asked for.
    """

    def __init__(self, lines: Placing, now: Callable[[], int], venue: str) -> None:
        self.now = now
        self.venue = venue
        self._lines = lines
        self._feeds: dict[Topic, Feed] = {}
        self._wanted: dict[Topic, Feed] = {}  # to be placed at the end of this turn
        self._unwanted: dict[Topic, None] = {}  # to be left then
        self._renewing: set[Topic] = set()
        self._pauses: dict[Feed, asyncio.TimerHandle] = {}
        self._under_way: dict[Topic, asyncio.Task[None]] = {}  # the last that is done with each
        self._tasks: dict[asyncio.Task[None], tuple[Feed, ...]] = {}
        self._workers: dict[Feed, set[asyncio.Task[None]]] = {}  # those of one feed, which end with it
        self._flush: asyncio.Handle | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._feeds)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What is subscribed to, or about to be."""
        return tuple(self._feeds)

    # Consumers

    def join(self, topic: Topic, subscriber: Subscriber, key: Hashable, make: Callable[[], Reading]) -> None:
        """
        Add a consumer of a topic; ``make`` opens what it reads, where none of this ``key`` is open.

        Raises
        ------
        Closed : these were closed.
        """
        if self._closed:
            raise Closed(f"{topic.kind}: this exchange was closed; open another")
        feed = self._feeds.get(topic)
        if feed is None:
            feed = self._feeds[topic] = Feed(topic, self)
            self.want(feed, 0.0)
        feed.join(subscriber, key, make)

    def leave(self, subscribers: Iterable[Subscriber]) -> None:
        """Remove consumers; what nobody wants any more is unsubscribed from."""
        for subscriber in subscribers:
            feed = subscriber.feed
            if not isinstance(feed, Feed):
                continue
            feed.leave(subscriber)
            if not feed.readings:
                self.drop(feed)

    def drop(self, feed: Feed) -> None:
        """Close a feed, and unsubscribe; who wants its topic after that gets another."""
        feed.close()
        if self._feeds.get(feed.topic) is not feed:
            return
        del self._feeds[feed.topic]
        self._wanted.pop(feed.topic, None)
        self._stop_pause(feed)
        for task in self._workers.pop(feed, ()):
            task.cancel()
        self._unwanted[feed.topic] = None
        self._soon()

    async def aclose(self, error: TradeutilsError) -> None:
        """End every consumer with ``error``, and all that is under way. Safe to call twice."""
        self._closed = True
        for feed in list(self._feeds.values()):
            feed.end(error)
            feed.close()
            self._stop_pause(feed)
        self._workers.clear()
        left = [*self._feeds, *self._unwanted]
        self._feeds.clear()
        self._wanted.clear()
        self._unwanted.clear()
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        tasks, self._under_way = list(self._tasks), {}
        await ended(task for task in tasks if task is not asyncio.current_task())
        if left:
            await self._lines.leave(left, self)

    # What lines bring

    def received(self, topic: Topic, value: Any, frame: Any, at: float) -> None:
        """Take one message."""
        feed = self._feeds.get(topic)
        if feed is not None:
            feed.received(value, frame, at)

    def failed(self, line: Line, error: TradeutilsError, topics: Collection[Topic]) -> None:
        """Take that these topics bring nothing more."""
        for topic in list(topics):
            feed = self._feeds.get(topic)
            if feed is not None:
                reason = "silent" if topic in self._renewing else "disconnected" if line.ended else "sequence"
                feed.broke(error, reason)

    # What feeds ask for

    def want(self, feed: Feed, pause: float) -> None:
        """Place the feed's topic on a line, in ``pause`` seconds."""
        self._stop_pause(feed)
        if feed.is_closed or self._closed:
            return
        if pause > 0:
            # On a grid, so that those of one venue that wait about as long are placed together.
            loop = asyncio.get_running_loop()
            moment = math.ceil((loop.time() + pause) / _GRID_S) * _GRID_S
            self._pauses[feed] = loop.call_at(moment, self.want, feed, 0.0)
            return
        self._wanted[feed.topic] = feed
        self._soon()

    def _stop_pause(self, feed: Feed) -> None:
        pause = self._pauses.pop(feed, None)
        if pause is not None:
            pause.cancel()

    def renew(self, feed: Feed) -> None:
        """Make the feed's subscription anew, on another line."""
        self._do([feed.topic], lambda: self._renewed(feed), feed)

    def start(self, work: Coroutine[Any, Any, None], feed: Feed) -> None:
        """Run a coroutine until it ends or the feed is closed."""
        task = self._start(work, (feed,))
        workers = self._workers.setdefault(feed, set())
        workers.add(task)
        task.add_done_callback(workers.discard)

    # Doing it

    def _soon(self) -> None:
        if self._flush is None and not self._closed:
            self._flush = asyncio.get_running_loop().call_soon(self._do_all)

    def _do_all(self) -> None:
        self._flush = None
        wanted, self._wanted = self._wanted, {}
        unwanted, self._unwanted = self._unwanted, {}
        if unwanted:
            topics = list(unwanted)
            self._do(topics, lambda: self._lines.leave(topics, self))
        if wanted:
            feeds = list(wanted.values())
            self._do(list(wanted), lambda: self._placed(feeds), *feeds)

    def _do(self, topics: Sequence[Topic], work: Callable[[], Coroutine[Any, Any, None]], *feeds: Feed) -> None:
        """Do something with topics, after what is under way with any of them."""
        before = {self._under_way[topic] for topic in topics if topic in self._under_way}
        task = self._start(_after(before, work), feeds)
        for topic in topics:
            self._under_way[topic] = task
        task.add_done_callback(lambda _: self._done(task, topics))

    def _done(self, task: asyncio.Task[None], topics: Sequence[Topic]) -> None:
        for topic in topics:
            if self._under_way.get(topic) is task:
                del self._under_way[topic]

    def _start(self, work: Coroutine[Any, Any, None], feeds: tuple[Feed, ...]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = feeds
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """End the consumers of what failed in a way that nobody foresaw: a stream never just stops."""
        feeds = self._tasks.pop(task, ())
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        _log.error("work for %s failed", ", ".join(str(feed.topic) for feed in feeds), exc_info=error)
        for feed in feeds:
            failure = StreamBroken(f"failed inside this library ({type(error).__name__}); see the log")
            failure.__cause__ = error
            feed.end(failure)
            self.drop(feed)

    async def _placed(self, feeds: Sequence[Feed]) -> None:
        """Place topics together; where one of them is refused for good, each by itself, to learn which."""
        there = [feed for feed in feeds if not feed.is_closed]
        if not there:
            return
        epochs = [feed.epoch for feed in there]
        try:
            async with asyncio.timeout(_PLACING_S + len(there) * _EACH_S):
                await self._lines.place([feed.topic for feed in there], self)
        except TimeoutError:
            for feed, epoch in zip(there, epochs, strict=True):
                if _is_as_it_was(feed, epoch):
                    feed.refused(StreamBroken("the venue did not confirm it in time"))
        except TradeutilsError as error:
            current = [feed for feed, epoch in zip(there, epochs, strict=True) if _is_as_it_was(feed, epoch)]
            if len(there) > 1 and is_final(error, established=False) and not isinstance(error, Closed):
                for feed in current:
                    await self._placed([feed])
                return
            for feed in current:
                feed.refused(error)
        else:
            for feed, epoch in zip(there, epochs, strict=True):
                if _is_as_it_was(feed, epoch):
                    feed.confirmed()

    async def _renewed(self, feed: Feed) -> None:
        epoch = feed.epoch
        self._renewing.add(feed.topic)
        try:
            await self._lines.replace(feed.topic)
        finally:
            self._renewing.discard(feed.topic)
        if _is_as_it_was(feed, epoch):  # it was on no line any more, so nobody told us that it ended
            feed.broke(StreamBroken("nothing came for too long"), "silent")


def _is_as_it_was(feed: Feed, epoch: int) -> bool:
    return not feed.is_closed and feed.epoch == epoch


async def _after(before: Collection[asyncio.Task[None]], work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    if before:
        await asyncio.wait(before)
    await work()
