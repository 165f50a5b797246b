"""What `Exchange` asks of a venue: one request a call, answers in our types, failures in our errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tradeutils.model import Balance, Market, Order, OrderBook, Ticker, Trade
from tradeutils.timeframe import Timeframe

__all__ = ["Row", "Venue"]

Row = Sequence[Any]
"""One candle as venues send it: ``[time, open, high, low, close, volume]``, numbers or their text."""


class Venue(Protocol):
    """
    One exchange, seen by one account or by nobody.

    Every method sends one request (``load_markets``: as many as the venue needs) and raises `VenueError`
    classes only. Times are int milliseconds UTC.
    """

    @property
    def name(self) -> str:
        """The venue's id: ``"binance"``."""
        ...

    @property
    def origin(self) -> str:
        """Where answers come from, as part of cache keys: the name, and host, sandbox and options that change them."""
        ...

    @property
    def timeframes(self) -> Mapping[Timeframe, str]:
        """What ``fetch_ohlcv`` can be asked for, and how the venue writes it."""
        ...

    def page_limit(self, market: Market) -> int | None:
        """Return how many candles one reply holds at most; ``None`` where nobody says."""
        ...

    async def load_markets(self, *, reload: bool = False) -> Mapping[str, Market]: ...
    async def fetch_ticker(self, symbol: str) -> Ticker: ...
    async def fetch_tickers(self, symbols: Sequence[str] | None) -> dict[str, Ticker]: ...
    async def fetch_candle_rows(
        self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int
    ) -> tuple[int, list[Row]]:
        """Return the venue's time when the request left, and rows oldest first from ``since`` or the newest."""
        ...

    async def fetch_order_book(self, symbol: str, limit: int | None) -> OrderBook: ...
    async def fetch_trades(self, symbol: str, *, since: int | None, limit: int | None) -> list[Trade]: ...
    async def fetch_balance(self) -> Balance: ...
    async def fetch_open_orders(self, symbol: str | None) -> list[Order]: ...
    async def time(self) -> int:
        """Return the venue's time now; a request only where its clock is not known yet."""
        ...

    async def aclose(self) -> None: ...
