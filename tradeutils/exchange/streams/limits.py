"""
What venues allow on websockets: topics a connection, messages and connections a time.

Figures are the venues' own where a source is named; elsewhere they are cautious ones. Five percent are left unused,
as clocks differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tradeutils.budget.base import Window
from tradeutils.exchange.streams.topics import Kind

__all__ = ["LineLimits", "Pace", "line_limits"]


@dataclass(frozen=True, slots=True)
class Pace:
    """So many of something within so many seconds."""

    count: int
    seconds: float

    def window(self, unit: str) -> Window:
        """Return it in the words of a budget."""
        return Window(unit, self.count, self.seconds)


@dataclass(frozen=True, slots=True)
class LineLimits:
    """
    What one venue allows.

    Attributes
    ----------
    topics : int
        On one line.
    batch : int
        In one subscribe message.
    messages : Pace
        That a client sends on one connection, pings among them.
    dials : Pace
        New connections from one address.
    requests : int
        That one connection is sent before nothing new is placed on it.
    one_timeframe : bool
        Whether a connection takes candles of a market in one timeframe alone.
    timeframes : mapping
        Names of lengths of candles, where those that ccxt's class asks for open at other hours than those over REST.
    book_depths : mapping
        By sort of market, the levels of a book for which no depth is asked, where ccxt's ``un_watch_order_book`` must
        be told the depth that is left.
    batches : frozenset of str
        Kinds of topics of which ccxt's calls for several markets bring what those for one bring. Of venues that are not
        known each is asked for by itself: on coinbaseexchange ``watch_trades_for_symbols`` waits for ever, under a name
        that no message of trades leads to.
    options : mapping
        ccxt's own, so that its class keeps to one connection a line where it would open many.
    parameters : mapping
        By kind of topic, what its calls are given.
    """

    topics: int = 50
    batch: int = 20
    messages: Pace = Pace(5, 1.0)
    dials: Pace = Pace(5, 5.0)
    requests: int = 1_000_000
    one_timeframe: bool = False
    batches: frozenset[Kind] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    book_depths: Mapping[str, int | None] = field(default_factory=dict)
    timeframes: Mapping[str, str] = field(default_factory=dict)


_BATCHED: Final[frozenset[Kind]] = frozenset({"ticker", "ohlcv", "trades", "book"})
_BINANCE_TYPES: Final = ("spot", "margin", "linear", "inverse", "stock", "option", "optionMarket")
_OKX_LONG: Final = ("6h", "12h", "1d", "1w", "1M", "3M")

_TABLE: Final[Mapping[str, LineLimits]] = {
    # 1024 streams and 5 messages a second a connection, 300 connections in 5 minutes an address
    # (https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams); USD-M: 1024 and 10. ccxt's class
    # takes 200 a connection, and opens another one for each call unless it is told that there is one alone.
    "binance": LineLimits(
        topics=190,
        batch=100,
        messages=Pace(4, 1.0),
        dials=Pace(285, 300.0),
        batches=_BATCHED,
        options={
            "streamLimits": dict.fromkeys(_BINANCE_TYPES, 1),
            # With balances and orders its class would ask for positions too, with several requests.
            "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
        },
        parameters={"ticker": {"name": "ticker"}},  # asked for together they would come without bid and ask
    ),
    # 10 args a request on spot, 21,000 characters of args a connection; 500 connections in 5 minutes
    # (https://bybit-exchange.github.io/docs/v5/ws/connect).
    "bybit": LineLimits(
        topics=200,
        batch=10,
        messages=Pace(19, 1.0),
        dials=Pace(475, 300.0),
        batches=_BATCHED,
        book_depths={"spot": 50, "linear": 50, "inverse": 50, "option": 100},
    ),
    # 480 subscribe, unsubscribe and login requests an hour a connection, 64 KB a request, 3 connections a second
    # (https://www.okx.com/docs-v5/en/#overview-websocket-connect).
    "okx": LineLimits(
        topics=240,
        batch=100,
        messages=Pace(20, 5.0),
        dials=Pace(3, 1.1),
        requests=400,
        batches=_BATCHED,
        # Without it they open with Hong Kong's day.
        timeframes={one: f"{one.replace('h', 'H').replace('d', 'D').replace('w', 'W')}utc" for one in _OKX_LONG},
        book_depths=dict.fromkeys(("spot", "linear", "inverse", "option")),
    ),
    # About 150 connections in 10 minutes an address
    # (https://support.kraken.com/articles/360022326871-public-and-private-websockets), and no limit of messages that
    # it names; it has one interval of candles a market and connection, and ccxt's class one hash for all of them.
    "kraken": LineLimits(
        topics=200,
        batch=100,
        messages=Pace(50, 1.0),
        dials=Pace(142, 600.0),
        batches=_BATCHED,
        one_timeframe=True,
    ),
}


def line_limits(venue: str) -> LineLimits:
    """Return what a venue allows; of one that is not known, cautious figures."""
    if venue == "krakenfutures":  # another API
        return LineLimits()
    return next((limits for name, limits in _TABLE.items() if name in venue), LineLimits())
