"""Feeds in words of no venue: the least that a dialect can be, for what all of them share."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import orjson

from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import Close, FeedSession, Frame, Ping
from tradeutils.sim.feeds.events import (
    BalanceEvent,
    BookEvent,
    Event,
    KlineEvent,
    OrderEvent,
    TickerEvent,
    Topic,
    TradesEvent,
)
from tradeutils.sim.feeds.keys import ListenKeys

__all__ = ["PlainFeeds", "PlainSession"]


class PlainFeeds:
    """Lets everybody in under ``/feed``; others are told 404."""

    def __init__(self, venue: Venue, keys: ListenKeys) -> None:
        self.venue, self.keys = venue, keys

    def connect(self, call: Call) -> FeedSession | Reply:
        """Return a session, or say that there is no such path."""
        return PlainSession() if call.path == "/feed" else Reply(404, b"no such feed")


class PlainSession:
    """Follows what ``{"follow": [{"kind": "trades", "market": "BTCUSDT"}]}`` names; also leave, echo, end, ping."""

    def __init__(self) -> None:
        self.followed: dict[Topic, None] = {}

    @property
    def topics(self) -> Collection[Topic]:
        """What it follows."""
        return self.followed

    def greet(self) -> Sequence[Frame]:
        """Say hello."""
        return ['{"hello":1}']

    def receive(self, frame: str, now: int) -> Sequence[Frame]:
        """Do as the client says."""
        try:
            wanted = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return ['{"error":"no JSON"}']
        for given in wanted.get("follow", ()):
            self.followed[Topic(**given)] = None
        for given in wanted.get("leave", ()):
            self.followed.pop(Topic(**given), None)
        if "end" in wanted:
            return ['{"last":1}', Close(wanted["end"], "so long")]
        if "ping" in wanted:
            return [Ping(b"are you there")]
        if "echo" in wanted:
            return [b"x" * wanted["echo"]]
        return [orjson.dumps({"now": now, "topics": len(self.followed)}).decode()]

    def render(self, event: Event) -> Sequence[Frame]:
        """Tell what is in an event, once for all who follow it."""
        if "text" not in event.rendered:
            told = {"kind": event.topic.kind, "market": event.topic.market, "now": event.now, **_fields(event)}
            event.rendered["text"] = orjson.dumps(told).decode()
        return [event.rendered["text"]]

    def tick(self, now: int) -> Sequence[Frame]:
        """Beat."""
        return ['{"beat":1}']


def _fields(event: Event) -> dict[str, Any]:
    if isinstance(event, TradesEvent):
        return {"ids": event.trades.id.tolist(), "prices": event.trades.price.tolist()}
    if isinstance(event, KlineEvent):
        row = event.klines.candles
        values = [float(getattr(row, name)[0]) for name in ("open", "high", "low", "close", "volume")]
        ids = [event.first_id, event.last_id]
        return {"time": int(row.time[0]), "values": values, "closed": event.closed, "ids": ids}
    if isinstance(event, TickerEvent):
        return {"last": event.day.last, "bid": event.bids.tolist(), "ask": event.asks.tolist()}
    if isinstance(event, BookEvent):
        names = ("snapshot", "first", "last", "previous")
        told = {name: getattr(event, name) for name in names}
        full = [side.tolist() for side in event.full]
        return {**told, "bids": event.bids.tolist(), "asks": event.asks.tolist(), "full": full}
    if isinstance(event, OrderEvent):
        order = event.order
        fill = None if event.fill is None else str(event.fill.amount)
        return {"id": order.id, "status": order.status, "filled": str(order.filled), "fill": fill, "why": event.reason}
    assert isinstance(event, BalanceEvent)
    return {
        name: {asset: [str(one) for one in dataclasses.astuple(held)] for asset, held in getattr(event, name).items()}
        for name in ("holdings", "whole")
    }
