"""A client of a feed session without a socket: what it says, and what it is told when the clock moves."""

from __future__ import annotations

import json
from typing import Any

from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.dialect import Close, FeedSession, Frame, Ping
from tradeutils.sim.feeds.events import Event, OrderEvent, Topic
from tradeutils.sim.feeds.sources import Source, source_of

__all__ = ["Listener"]


class Listener:
    """
    One connection, told of its topics as the venue's pulse tells them.

    Parameters
    ----------
    venue : Venue
        Whose clock is moved, and where orders are placed.
    session : FeedSession
        The session of the dialect under test.
    """

    def __init__(self, venue: Venue, session: FeedSession) -> None:
        self.venue, self.session = venue, session
        self.sources: dict[Topic, Source] = {}
        self.orders: set[Topic] = set()
        self.greeting = self._read(session.greet())
        self.first: list[Any] = self._joined()

    def say(self, message: Any) -> list[Any]:
        """Send a message, as text or as what JSON makes of a value; return the answers, and then what is told first."""
        text = message if isinstance(message, str) else json.dumps(message)
        answers = self._read(self.session.receive(text, self.venue.clock.now()))
        return answers + self._joined()

    def step(self, by: int | str = 0) -> list[Any]:
        """Move the clock and return what is told of it: of accounts first."""
        self.venue.clock.step(by)
        return self.beat()

    def beat(self) -> list[Any]:
        """Return what is told of all that happened since."""
        now = self.venue.clock.now()
        told: list[Frame] = []
        for account in sorted({topic.account for topic in self.orders}):
            for change in self.venue.ledger.changes(account, now):
                kind = self.venue.market.instruments[change.order.request.market].kind
                for topic in self.orders:
                    if topic.trades in ("", kind):
                        event = OrderEvent(topic, change.time, change.order, change.fill, change.reason)
                        told += self.session.render(event)
        for _, source in sorted(self.sources.items(), key=lambda one: one[0].kind != "balances"):
            for news in source.news(now):
                told += self.session.render(news)
        return self._read(told)

    def tick(self) -> list[Any]:
        """Return what is told once a second."""
        return self._read(self.session.tick(self.venue.clock.now())) + self._joined()

    def _joined(self) -> list[Any]:
        topics, now = list(self.session.topics), self.venue.clock.now()
        self.sources = {topic: source for topic, source in self.sources.items() if topic in topics}
        told: list[Event] = []
        for topic in topics:
            if topic.kind == "orders":
                if topic not in self.orders:
                    self.orders.add(topic)
                    self.venue.ledger.follow(topic.account, now)
            elif topic not in self.sources:
                source = self.sources[topic] = source_of(self.venue, topic, now)
                told += [] if source.told is None else [source.told]
        self.orders &= set(topics)
        return self._read([frame for event in told for frame in self.session.render(event)])

    def _read(self, frames: Any) -> list[Any]:
        # Some venues say single words, which are no JSON: "pong".
        plain = [one for one in frames if isinstance(one, Close | Ping) or one.isalpha()]
        return [frame if frame in plain else json.loads(frame) for frame in frames]
