"""What the server needs of a dialect: a venue's way of being asked and of answering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from tradeutils.sim.clock import VirtualClock
from tradeutils.sim.feeds.books import Books
from tradeutils.sim.feeds.dialect import FeedDialect
from tradeutils.sim.feeds.keys import ListenKeys
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.limits import Gate, Limits
from tradeutils.sim.market import Market

__all__ = ["Call", "Dialect", "Reply", "Venue"]


@dataclass(frozen=True, slots=True)
class Venue:
    """
    What is the same in every dialect: the market, its clock, the accounts, and who asks too much.

    ``listing`` is a recorded list of markets, which the dialect of the venue that it was recorded at serves as it is.
    ``keys`` are the tokens that REST issues and feeds are opened with; ``books`` are the order books as REST and feeds
    both tell them, with one numbering.
    """

    market: Market
    clock: VirtualClock
    ledger: Ledger
    gate: Gate = field(default_factory=lambda: Gate(Limits.none()))
    listing: bytes | None = None
    keys: ListenKeys = field(default_factory=ListenKeys)
    books: Books = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "books", Books(self.market))


@dataclass(frozen=True, slots=True)
class Call:
    """
    A request as it came.

    ``query`` and ``body`` are raw, because signatures are made over them; header names are lower case.
    """

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    remote: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Reply:
    """
    An answer.

    ``route`` is the pattern that the path matched, ``weight`` what the request cost, ``order`` the client id of the
    order that it placed, and ``limited`` whether it is a refusal because too much was asked: few venues have a status
    for that.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=UTF-8"
    weight: int = 0
    route: str = "unknown"
    order: str | None = None
    limited: bool = False


class Dialect(Protocol):
    """
    A venue's REST interface.

    One class per venue, built from a `Venue`. It answers any call whatever with a `Reply`: an error of its own is an
    answer too. It is called from one thread and does no I/O.

    Attributes
    ----------
    linear : bool
        Whether it trades linear swaps; where it does not, a venue has none unless it is told to.
    wallets : tuple of str
        What wallets an account has beside the one that spot is traded from.
    feeds : type of FeedDialect
        Its websocket interface.
    """

    linear: ClassVar[bool]
    wallets: ClassVar[tuple[str, ...]]
    feeds: ClassVar[type[FeedDialect]]

    def __init__(self, venue: Venue) -> None: ...

    def respond(self, call: Call) -> Reply:
        """Answer a call."""
        ...

    def refuse(self, status: int) -> Reply:
        """Answer a call that could not be read: 408 too slow, 413 too large."""
        ...
