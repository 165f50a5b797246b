"""What users read: an asynchronous iterator that says how it is, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar, cast

from tradeutils.errors import TradeutilsError, UsageError
from tradeutils.exchange.streams.inbox import Inbox, Policy
from tradeutils.exchange.streams.subscribers import State, Subscriber
from tradeutils.model.streaming import StreamEvent

__all__ = ["Joined", "Stream"]

T = TypeVar("T")

_WORST_FIRST: Final[tuple[State, ...]] = ("stale", "connecting", "rest", "live")


class Joined:
    """
    A stream's parts in the feeds, and how they are given back.

    Parameters
    ----------
    subscribers : sequence of Subscriber
        One for each topic.
    leave : callable
        Given the subscribers, removes them from their feeds.
    finish : callable
        Makes what a consumer gets of what a feed brought; ``None``: it is worth nothing any more.
    """

    __slots__ = ("_leave", "finish", "subscribers")

    def __init__(
        self,
        subscribers: Sequence[Subscriber],
        leave: Callable[[Sequence[Subscriber]], None],
        finish: Callable[[Any], Any],
    ) -> None:
        self.subscribers = subscribers
        self.finish = finish
        self._leave = leave

    def leave(self) -> None:
        """Give them back. Safe to call twice."""
        self._leave(self.subscribers)


class _Part:
    """What outlives a stream that nobody refers to any more, until its feeds have been left."""

    __slots__ = ("inbox", "joined", "loop")

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.joined: Joined | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def leave(self, error: TradeutilsError | None = None) -> None:
        self.inbox.end(error)
        if self.joined is not None:
            self.joined.leave()


class Stream(Generic[T]):
    """
    Values as the venue sends them; made by ``exchange.watch_...``.

    An asynchronous iterator, and an asynchronous context that unsubscribes when it is left. Iterating begins it. It
    never just stops: it yields values, yields a `Stale` (or what REST has) when they have stopped, or raises.

    Examples
    --------
    >>> async with exchange.watch_ticker("BTC/USDT") as tickers:  # doctest: +SKIP
    ...     async for ticker in tickers:
    ...         if isinstance(ticker, Stale):
    ...             cancel_all_quotes()

    Notes
    -----
    What is yielded is a value or a `StreamEvent`: a `Stale` when data has stopped, a `Missed` for what can no longer be
    had. `values` leaves these out. When it is closed iteration stops; when its exchange is closed, or the venue refuses
    it for good, whoever waits is raised the error, after what had come before.

    Several tasks may read one stream; each value goes to one of them. A consumer that is cancelled while it waits takes
    nothing along. A stream that is no longer referred to is left as if it had been closed.
    """

    def __init__(self, name: str, inbox: Inbox, join: Callable[[Inbox], Awaitable[Joined]]) -> None:
        self._name = name
        self._part = _Part(inbox)
        self._join = join
        self._opening = asyncio.Lock()
        self._finalizer: weakref.finalize[..., Any] | None = None

    def __repr__(self) -> str:
        told: list[str] = [self.state if self._part.joined or self.is_closed else "not begun"]
        if self._part.joined is not None and not self.is_closed:
            told.append(f"data {self.age:.1f} s old")
        if len(self._part.inbox):
            told.append(f"{len(self._part.inbox)} waiting")
        told += [
            f"{count} {word}" for count, word in ((self.dropped, "dropped"), (self.reconnects, "reconnects")) if count
        ]
        if self.error is not None:
            told.append(f"{type(self.error).__name__}: {self.error}")
        return f"<{type(self).__name__} {self._name}: {', '.join(told)}>"

    @property
    def policy(self) -> Policy:
        """What is kept for a consumer that is slower than the data."""
        return self._part.inbox.policy

    @property
    def age(self) -> float:
        """Seconds since data came (of several markets: of any of them), or since it began; 0 before that."""
        return min((time.monotonic() - one.since for one in self._subscribers), default=0.0)

    @property
    def state(self) -> State:
        """
        How it is: ``"connecting"``, ``"live"``, ``"stale"``, ``"rest"`` (values come over REST) or ``"closed"``.

        Of several markets what is worst.
        """
        if self.is_closed:
            return "closed"
        states = {one.state for one in self._subscribers}
        return next((state for state in _WORST_FIRST if state in states), "connecting")

    @property
    def dropped(self) -> int:
        """Values that came and will not be yielded: replaced by newer ones, or more than there was room for."""
        return self._part.inbox.dropped

    @property
    def reconnects(self) -> int:
        """How often its subscription broke and was made anew; of several markets, of the one where most did."""
        return max((one.reconnects for one in self._subscribers), default=0)

    @property
    def error(self) -> TradeutilsError | None:
        """What broke it, until data comes again; what ended it, where something did."""
        ended = self._part.inbox.error
        if ended is not None:
            return ended
        errors = [one.feed.error for one in self._subscribers if one.feed is not None]
        return next((error for error in errors if error is not None), None)

    @property
    def is_closed(self) -> bool:
        """Whether it has ended; values that came before may still be taken."""
        return self._part.inbox.is_ended

    @property
    def _subscribers(self) -> Sequence[Subscriber]:
        return () if self._part.joined is None else self._part.joined.subscribers

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T | StreamEvent:
        part = self._part
        if part.joined is None:
            await self._open()
        while (found := self._ready()) is None:
            await self._filled(part.inbox)
        return found

    def _ready(self) -> T | StreamEvent | None:
        """Return the next value that has come; ``None``: there is none."""
        inbox, joined = self._part.inbox, self._part.joined
        while len(inbox):
            item = inbox.pop()
            if joined is None or isinstance(item, StreamEvent):
                return cast(StreamEvent, item)
            value = joined.finish(item)
            if value is not None:
                return cast(T, value)
        return None

    async def take(self, limit: int) -> list[T | StreamEvent]:
        """
        Return the next values, up to ``limit``: waits for the first, and takes what else has come.

        Raises
        ------
        StopAsyncIteration : it was closed.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise UsageError(f"limit was {limit!r}; write a whole number from 1")
        taken = [await anext(self)]
        while len(taken) < limit and (found := self._ready()) is not None:
            taken.append(found)
        return taken

    async def values(self) -> AsyncIterator[T]:
        """Yield the values alone, without what happened to the stream."""
        async for item in self:
            if not isinstance(item, StreamEvent):
                yield item

    async def _filled(self, inbox: Inbox) -> None:
        loop = self._part.loop
        if loop is not None and loop is not asyncio.get_running_loop() and not inbox.is_ended:
            raise UsageError(  # nobody would wake who waits here
                f"the stream {self._name} was begun on another event loop; watch it on one, or use tradeutils.sync "
                "from several threads"
            )
        try:
            await inbox.filled()
        except TradeutilsError:
            self._part.leave()
            raise

    async def _open(self) -> None:
        """Check what is asked for, and join the feeds; nothing is left behind where that fails."""
        part = self._part
        async with self._opening:
            if part.joined is not None or part.inbox.is_ended:
                return
            try:
                joined = await self._join(part.inbox)
            except TradeutilsError as error:
                part.leave(error)
                raise
            part.joined, part.loop = joined, asyncio.get_running_loop()
            if part.inbox.is_ended:  # closed meanwhile, by another task
                part.leave()
                return
            self._finalizer = weakref.finalize(self, _abandoned, part)
            self._finalizer.atexit = False

    async def __aenter__(self) -> Self:
        if self._part.joined is None:
            await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Unsubscribe, and end iteration for all who wait; what had come is dropped. Safe to call twice."""
        if self._finalizer is not None:
            self._finalizer.detach()
        self._part.leave()


def _abandoned(part: _Part) -> None:
    """Leave the feeds of a stream that nobody refers to any more; by whichever thread collects the garbage."""
    if part.loop is not None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all of this with it
            part.loop.call_soon_threadsafe(part.leave)
