"""What `Exchange` asks of a venue: one request a call, answers in our types, failures in our errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tradeutils.exchange.doubts import Doubts
from tradeutils.exchange.order_checks import NewOrder
from tradeutils.model import Balance, Fill, Market, Order, OrderBook, Ticker, Trade
from tradeutils.timeframe import Timeframe

__all__ = ["OrderVenue", "Row", "Venue"]

Row = Sequence[Any]
"""One candle as venues send it: ``[time, open, high, low, close, volume]``, numbers or their text."""


class OrderVenue(Protocol):
    """
    The orders of one account on one exchange.

    Every method sends one request and raises `VenueError` classes. Those that read are repeated here; whether an
    order or a cancel is, its caller decides (see `tradeutils.exchange.orders`).
    """

    @property
    def name(self) -> str:
        """The venue's id."""
        ...

    @property
    def doubts(self) -> Doubts:
        """The orders of this exchange whose outcome is not known."""
        ...

    @property
    def proves_absence(self) -> bool:
        """Whether an order that `find_order` does not find is not there."""
        ...

    def check_client_id(self, client_id: str | None) -> str:
        """Return an id that the venue takes: the one given, or a new one."""
        ...

    def check_digits(self, order: NewOrder) -> None:
        """Raise `UsageError` where the venue would be sent another amount or price than was asked for."""
        ...

    def settles_after(self, order: NewOrder) -> float:
        """Return the seconds after which the venue refuses the request of an order that was held up on its way."""
        ...

    async def create_order(self, order: NewOrder) -> Order:
        """Send an order once; `Unsettled` where what came back does not tell whether the venue has it."""
        ...

    async def find_order(self, client_id: str, market: Market) -> Order | None:
        """Return an order by our id; ``None`` where the venue knows none."""
        ...

    async def cancel_order(self, order_id: str, symbol: str) -> Order:
        """Send a cancel once; `Unsettled` where the HTTP layer sent it twice and the order is not found."""
        ...

    async def fetch_order(self, order_id: str, symbol: str) -> Order: ...
    async def fetch_open_orders(self, symbol: str | None) -> list[Order]: ...
    async def fetch_orders(self, symbol: str, since: int | None, limit: int | None) -> list[Order]: ...
    async def fetch_closed_orders(self, symbol: str, since: int | None, limit: int | None) -> list[Order]: ...
    async def fetch_fills(self, symbol: str, since: int | None, limit: int | None) -> list[Fill]: ...


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
    @property
    def orders(self) -> OrderVenue:
        """The orders of the account."""
        ...

    async def time(self) -> int:
        """Return the venue's time now; a request only where its clock is not known yet."""
        ...

    async def aclose(self) -> None: ...
