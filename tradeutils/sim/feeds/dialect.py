"""What the server needs of a dialect's feeds: who connects, what they say, and how they are told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tradeutils.sim.feeds.events import Event, Topic
from tradeutils.sim.feeds.keys import ListenKeys

if TYPE_CHECKING:  # the venue holds keys and books, which are parts of this room
    from tradeutils.sim.dialect import Call, Reply, Venue

__all__ = ["Close", "FeedDialect", "FeedSession", "Frame", "Ping"]


@dataclass(frozen=True, slots=True)
class Close:
    """In the place of a frame: end the connection with a code and a reason, after the frames before it are sent."""

    code: int = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """In the place of a frame: a ping of the protocol; pongs are dropped."""

    payload: bytes = b""


Frame: TypeAlias = str | bytes | Close | Ping
"""Text, a binary message, or one of the protocol's own frames."""


class FeedSession(Protocol):
    """
    One connection of one client.

    It is called from one thread, does no I/O and never raises, whatever the client says. Pings of the protocol are
    answered before it is asked.
    """

    def greet(self) -> Sequence[Frame]:
        """Return what is sent on connecting."""
        ...

    def receive(self, frame: str, now: int) -> Sequence[Frame]:
        """
        Answer what the client says: subscribe, unsubscribe, ping, login.

        Parameters
        ----------
        frame : str
            The text of the message; of a binary one its UTF-8 (what is none never comes here, and is closed with 1007).
        now : int
            The venue's time, ms UTC.
        """
        ...

    @property
    def topics(self) -> Collection[Topic]:
        """
        What it is to be told now; asked for after every call of the others.

        A topic of books, best, tickers or klines that is new here is told as it stands, right after the answers; one of
        trades, orders or balances only of what happens from then on: what a venue sends of those at first, the
        answers hold.
        """
        ...

    def render(self, event: Event) -> Sequence[Frame]:
        """Return the venue's frames for an event of one of its topics."""
        ...

    def tick(self, now: int) -> Sequence[Frame]:
        """
        Return heartbeats, and the end of what expires.

        Called about once a second of real time, whatever the venue's clock does: who counts seconds counts calls.
        """
        ...


class FeedDialect(Protocol):
    """A venue's websocket interface, built once and asked from one thread."""

    def __init__(self, venue: Venue, keys: ListenKeys) -> None: ...

    def connect(self, call: Call) -> FeedSession | Reply:
        """Return the session of a client that connects to a path with a query, or how it is refused (404, 401)."""
        ...
