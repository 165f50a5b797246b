"""
The pulse: what is new in each topic that anyone follows, worked out once and told to all who follow it.

It beats every so often in real time, at once when the clock is moved, and of accounts at once after an order. Nobody
connected, nothing beats.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from typing import Final

from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.connection import Connection
from tradeutils.sim.feeds.events import Event, OrderEvent, Topic
from tradeutils.sim.feeds.log import FeedLog
from tradeutils.sim.feeds.sources import Source, source_of

__all__ = ["Pulse"]

_TICK_S: Final = 1.0
_OF_BOOKS: Final = ("book", "best")
_OF_ACCOUNTS: Final = ("orders", "balances")


class Pulse:
    """
    Tells connections what they follow.

    Parameters
    ----------
    venue : Venue
        What is told of.
    log : FeedLog
        Where it is counted.
    interval : float
        Seconds of real time between two beats.
    """

    def __init__(self, venue: Venue, log: FeedLog, interval: float) -> None:
        self._venue, self._log, self._interval = venue, log, interval
        self._connections: dict[Connection, None] = {}
        self._followers: dict[Topic, dict[Connection, None]] = {}
        self._sources: dict[Topic, Source] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beats_at = self._ticks_at = 0.0
        self._now = -1
        self._restless = False
        self._hurried: set[bool] = set()

    def open(self) -> None:
        """Begin; to be called in the loop in which it beats."""
        self._loop = asyncio.get_running_loop()
        self._unlisten = self._venue.clock.listen(self._clock_moved)

    def close(self) -> None:
        """End: no timer is left."""
        self._unlisten()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None

    @property
    def connections(self) -> list[Connection]:
        """Those that are open."""
        return list(self._connections)

    def enter(self, connection: Connection) -> None:
        """Take a connection in."""
        self._connections[connection] = None
        self._log.enter()
        if self._timer is None and self._loop is not None:
            now = self._loop.time()
            self._beats_at, self._ticks_at = now + self._interval, now + _TICK_S
            self._timer = self._loop.call_at(min(self._beats_at, self._ticks_at), self._on_time)

    def leave(self, connection: Connection) -> None:
        """Let a connection go, and with it what only it followed."""
        if connection in self._connections:
            self._follow(connection, ())
            del self._connections[connection]
            self._log.leave()

    def refresh(self, connection: Connection) -> None:
        """Look what a connection follows now, and tell it what it is to be told at first."""
        topics = connection.session.topics
        if connection.topics != set(topics):
            self._follow(connection, topics)
        connection.flush()

    def _follow(self, connection: Connection, topics: Collection[Topic]) -> None:
        left, joined = connection.topics.difference(topics), [one for one in topics if one not in connection.topics]
        connection.topics = frozenset(topics)
        connection.unmute(left)
        for topic in left:
            followers = self._followers[topic]
            del followers[connection]
            if not followers:
                self._drop(topic)
        now = self._venue.clock.now()
        for topic in joined:
            if topic not in self._followers:
                self._begin(topic, now)
            self._followers[topic][connection] = None
            source = self._sources.get(topic)
            told = None if source is None else source.told
            if told is not None:
                connection.tell(told)
        self._log.follow({topic: len(followers) for topic, followers in self._followers.items()})

    def _begin(self, topic: Topic, now: int) -> None:
        self._followers[topic] = {}
        if topic.kind != "orders":
            self._sources[topic] = source_of(self._venue, topic, now)
        elif not self._others(topic):
            self._venue.ledger.follow(topic.account, now)

    def _drop(self, topic: Topic) -> None:
        del self._followers[topic]
        self._sources.pop(topic, None)
        if topic.kind == "orders" and not self._others(topic):
            self._venue.ledger.follow(topic.account, self._venue.clock.now(), on=False)
        elif topic.kind in _OF_BOOKS and not any(
            one.market == topic.market and one.kind in _OF_BOOKS for one in self._followers
        ):
            self._venue.books.release(topic.market)

    def _others(self, topic: Topic) -> bool:
        """Tell whether the orders of an account are followed in another topic too."""
        return any(one.kind == "orders" and one.account == topic.account and one != topic for one in self._followers)

    def _clock_moved(self) -> None:
        """Beat soon, as the clock was moved, in whatever thread."""
        loop = self._loop
        if loop is not None and self._followers:
            with contextlib.suppress(RuntimeError):  # the loop may end at just this moment
                loop.call_soon_threadsafe(self.hurry)

    def hurry(self, *, accounts_only: bool = False) -> None:
        """Beat in the next turn of the loop; once, however often it is asked for."""
        if self._loop is not None and self._followers and accounts_only not in self._hurried:
            self._hurried.add(accounts_only)
            self._loop.call_soon(self._hurry, accounts_only)

    def _hurry(self, accounts_only: bool) -> None:
        self._hurried.discard(accounts_only)
        if self._loop is not None:
            self.beat(accounts_only=accounts_only)

    def _on_time(self) -> None:
        loop = self._loop
        if loop is None or not self._connections:
            self._timer = None
            return
        began = loop.time()
        try:
            if began >= self._ticks_at:
                self._ticks_at = began + _TICK_S
                self._tick()
            if began >= self._beats_at:
                self.beat()
        finally:
            if began >= self._beats_at:
                # A beat that takes longer than the interval leaves half of the time to all else.
                self._beats_at = began + max(self._interval, 2 * (loop.time() - began))
            self._timer = loop.call_at(min(self._beats_at, self._ticks_at), self._on_time)

    def _tick(self) -> None:
        now = self._venue.clock.now()
        for connection in self.connections:
            connection.say(connection.session.tick(now))
            self.refresh(connection)

    def beat(self, *, accounts_only: bool = False) -> None:
        """Tell all who follow anything what is new; of accounts first."""
        now = self._venue.clock.now()
        touched: dict[Connection, None] = {}
        for event in self._of_accounts(now):
            self._tell(event, touched)
        if not accounts_only and (now != self._now or self._restless):
            self._now, self._restless = now, False
            for topic, source in list(self._sources.items()):
                if topic.kind in _OF_ACCOUNTS:
                    continue
                for event in source.news(now):
                    self._restless = True  # what did not fit into one beat comes with the next
                    self._tell(event, touched)
        for connection in touched:
            connection.flush()

    def _tell(self, event: Event, touched: dict[Connection, None]) -> None:
        for connection in self._followers[event.topic]:
            connection.tell(event)
            touched[connection] = None

    def _of_accounts(self, now: int) -> Iterable[Event]:
        """Yield what happened to orders, and then the balances that changed."""
        orders = [topic for topic in self._followers if topic.kind == "orders"]
        for account in dict.fromkeys(topic.account for topic in orders):
            for change in self._venue.ledger.changes(account, now):
                kind = self._venue.market.instruments[change.order.request.market].kind
                for topic in orders:
                    if topic.account == account and topic.trades in ("", kind):
                        yield OrderEvent(topic, change.time, change.order, change.fill, change.reason)
        for topic in [one for one in self._followers if one.kind == "balances"]:
            yield from self._sources[topic].news(now)
