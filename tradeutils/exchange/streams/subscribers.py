"""Who is given what a subscription brings, and what is made of it for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Literal, Protocol, TypeAlias

from tradeutils.errors import TradeutilsError
from tradeutils.exchange.streams.assembling.base import Assembler, Rest
from tradeutils.exchange.streams.inbox import Inbox
from tradeutils.model import Ticker
from tradeutils.model.streaming import StreamEvent

__all__ = ["Fallback", "Reading", "RestData", "Source", "State", "Subscriber", "Tap"]

Fallback: TypeAlias = Literal["event", "rest"]
"""What a consumer is given while data has stopped: a `Stale`, or the values that REST has."""

State: TypeAlias = Literal["connecting", "live", "stale", "rest", "closed"]
"""``"rest"``: data has stopped, and values come over REST meanwhile."""

Tap: TypeAlias = "Callable[[Any, Assembler[Any]], None]"
"""Is given every item beside the consumers, and must neither wait nor fail."""


class RestData(Rest, Protocol):
    """What is asked over REST by assemblers, and in place of a stream."""

    async def fetch_tickers(self) -> dict[str, Ticker]: ...


class Source(Protocol):
    """The feed, as its subscribers see it."""

    @property
    def last(self) -> float:
        """When data came, by ``time.monotonic``; before it has, when it was opened."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether the venue has confirmed the subscription, and it has not broken since."""
        ...

    @property
    def is_fed(self) -> bool:
        """Whether data has come since it was opened, or since it last broke."""
        ...

    @property
    def is_answered(self) -> bool:
        """Whether REST stands in for it."""
        ...

    @property
    def error(self) -> TradeutilsError | None:
        """What broke it, until data comes again."""
        ...


class Subscriber:
    """
    One consumer's part in one feed.

    Parameters
    ----------
    inbox : Inbox
        Where it is given what comes.
    rest : RestData
        Whom to ask for what was missed.
    max_age : float
        Seconds without data after which it is told.
    fallback : str
        What it is given then.
    """

    __slots__ = ("fallback", "feed", "inbox", "joined", "max_age", "reading", "reconnects", "rest", "stale")

    def __init__(self, inbox: Inbox, rest: RestData, max_age: float, fallback: Fallback) -> None:
        self.inbox = inbox
        self.rest = rest
        self.max_age = max_age
        self.fallback = fallback
        self.stale = False
        self.joined = time.monotonic()
        self.reconnects = 0
        self.feed: Source | None = None
        self.reading: Reading | None = None

    @property
    def since(self) -> float:
        """When data came, or when it joined, by ``time.monotonic``."""
        return self.joined if self.feed is None else max(self.feed.last, self.joined)

    @property
    def state(self) -> State:
        """What can be said of it."""
        if self.feed is None or self.inbox.is_ended:
            return "closed"
        if self.stale:
            return "rest" if self.fallback == "rest" and self.feed.is_answered else "stale"
        return "live" if self.feed.is_live or self.feed.is_fed else "connecting"


class Reading:
    """
    What is made of one subscription, for the consumers that want it made alike.

    Parameters
    ----------
    assembler : Assembler
        Makes it.
    tap : callable or None
        Is given every item as well.
    depth : int or None
        Of books: levels that are wanted of each side.
    """

    __slots__ = ("assembler", "depth", "resuming", "subscribers", "tap", "working")

    def __init__(self, assembler: Assembler[Any], tap: Tap | None = None, *, depth: int | None = None) -> None:
        self.assembler = assembler
        self.depth = depth
        self.tap = tap
        self.subscribers: list[Subscriber] = []
        self.resuming = True  # whether what was missed is still to be asked for
        self.working = False

    def deliver(self, items: Iterable[Any]) -> None:
        """Give items to all consumers."""
        assembler, tap = self.assembler, self.tap
        for item in items:
            if isinstance(item, StreamEvent):
                key: Hashable = None
            else:
                key = assembler.conflation_key(item)
                if tap is not None:
                    tap(item, assembler)
            for subscriber in self.subscribers:
                subscriber.inbox.put(item, key)
