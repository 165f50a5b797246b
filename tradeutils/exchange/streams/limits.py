"""
What venues allow on websockets: topics a connection, messages and connections a time.

Figures are the venues' own where a source is named; elsewhere they are cautious ones. Five percent are left unused,
as clocks differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["LineLimits", "Pace", "line_limits"]


@dataclass(frozen=True, slots=True)
class Pace:
    """So many of something within so many seconds."""

    count: int
    seconds: float


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
    batches_tickers : bool
        Whether ccxt's ``watch_tickers`` of some symbols subscribes to those alone, with what ``watch_ticker`` brings.
    options : mapping
        ccxt's own, so that its class keeps to one connection a line where it would open many.
    parameters : mapping
        By kind of topic, what its calls are given.
    """

    topics: int = 50
    batch: int = 20
    messages: Pace = Pace(5, 1.0)
    dials: Pace = Pace(5, 5.0)
    batches_tickers: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_BINANCE_TYPES: Final = ("spot", "margin", "linear", "inverse", "stock", "option", "optionMarket")

_TABLE: Final[Mapping[str, LineLimits]] = {
    # 1024 streams and 5 messages a second a connection, 300 connections in 5 minutes an address
    # (https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams); USD-M: 1024 and 10. ccxt's class
    # takes 200 a connection, and opens another one for each call unless it is told that there is one alone.
    "binance": LineLimits(
        topics=190,
        batch=100,
        messages=Pace(4, 1.0),
        dials=Pace(285, 300.0),
        batches_tickers=True,
        options={
            "streamLimits": dict.fromkeys(_BINANCE_TYPES, 1),
            # With balances and orders its class would ask for positions too, with several requests.
            "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
        },
        parameters={"ticker": {"name": "ticker"}},  # asked for together they would come without bid and ask
    ),
    # 10 args a request on spot, 21,000 characters of args a connection; 500 connections in 5 minutes
    # (https://bybit-exchange.github.io/docs/v5/ws/connect).
    "bybit": LineLimits(topics=200, batch=10, messages=Pace(19, 1.0), dials=Pace(475, 300.0), batches_tickers=True),
    # 480 subscribe, unsubscribe and login requests an hour a connection, 64 KB a request, 3 connections a second
    # (https://www.okx.com/docs-v5/en/#overview-websocket-connect).
    "okx": LineLimits(topics=240, batch=100, messages=Pace(20, 5.0), dials=Pace(3, 1.1), batches_tickers=True),
    # About 150 connections in 10 minutes an address
    # (https://support.kraken.com/articles/360022326871-public-and-private-websockets).
    "kraken": LineLimits(topics=200, batch=100, messages=Pace(19, 1.0), dials=Pace(142, 600.0), batches_tickers=True),
}


def line_limits(venue: str) -> LineLimits:
    """Return what a venue allows; of one that is not known, cautious figures."""
    if venue == "krakenfutures":  # another API
        return LineLimits()
    return next((limits for name, limits in _TABLE.items() if name in venue), LineLimits())
