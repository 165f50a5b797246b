"""What `Exchange` asks of a venue: one request a call, answers in our types, failures in our errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils.budget.base import Charge
from tradeutils.exchange.ordering.checks import NewOrder
from tradeutils.exchange.ordering.doubts import Doubts
from tradeutils.exchange.streams.feeds import Placing
from tradeutils.exchange.venues.wallets import Wallets
from tradeutils.model import (
    Balance,
    Fill,
    FundingRate,
    Market,
    OpenInterest,
    Order,
    OrderBook,
    Ticker,
    Trade,
    TradingFee,
)
from tradeutils.timeframe import Timeframe

__all__ = ["DerivativesVenue", "OrderVenue", "Page", "Row", "Venue"]

Row = Sequence[Any]
"""One candle as venues send it: ``[time, open, high, low, close, volume]``, numbers or their text."""
Page: TypeAlias = "Sequence[Row] | npt.NDArray[np.float64]"
"""Candles of one reply in any order: rows, or the same as a float64 array (n, 6) with times in ms UTC."""


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

    def check_terms(self, order: NewOrder) -> None:
        """
        Raise for an order that is known to be refused, or to be sent otherwise than it was asked for.

        Raises
        ------
        NotSupportedByVenue : the venue knows no such terms.
        UsageError : it would be sent another amount or price.
        """
        ...

    def wants_cost(self, order: NewOrder) -> bool:
        """Whether the venue takes an order that is by amount by its cost alone."""
        ...

    def sendable_cost(self, market: Market, cost: Decimal) -> Decimal:
        """Return what of a cost would be sent, cut to the venue's digits."""
        ...

    def lists_apart(self, symbol: str) -> bool:
        """Whether orders that wait for a price stand in a list of their own."""
        ...

    def cancels_at_once(self, market: Market) -> bool:
        """Whether one request cancels all orders of a market, and its answer names them."""
        ...

    def settles_after(self, order: NewOrder) -> float:
        """Return the seconds after which the venue refuses the request of an order that was held up on its way."""
        ...

    async def create_order(self, order: NewOrder) -> Order:
        """Send an order once; `Unsettled` where what came back does not tell whether the venue has it."""
        ...

    async def find_order(
        self, client_id: str, market: Market, *, conditional: bool = False, leave_by: float = math.inf
    ) -> Order | None:
        """
        Return an order by our id; ``None`` where the venue knows none.

        ``conditional``: it may wait for a price. After ``leave_by``, by ``time.monotonic``, nothing waits for room.
        """
        ...

    async def cancel_order(self, order_id: str, symbol: str, params: Mapping[str, Any], *, trigger: bool) -> Order:
        """Send a cancel once; `Unsettled` where the HTTP layer sent it twice and the order is not found."""
        ...

    async def cancel_at_once(self, symbol: str) -> list[Order]:
        """Cancel all orders of a market once, with one request; where `cancels_at_once`."""
        ...

    async def fetch_order(self, order_id: str, symbol: str, *, trigger: bool = False) -> Order: ...
    async def fetch_open_orders(
        self, symbol: str | None, params: Mapping[str, Any], *, urgent: bool = False
    ) -> list[Order]:
        """Return all open orders that a symbol, or ccxt's parameters, select: as many requests as there are pages."""
        ...

    async def charge_of_open_orders(self, symbol: str | None, params: Mapping[str, Any]) -> Charge | None:
        """Return what the first of those requests would cost; none is sent."""
        ...

    async def fetch_trading_fee(self, symbol: str) -> TradingFee: ...
    async def fetch_orders(self, symbol: str, since: int | None, limit: int | None) -> list[Order]: ...
    async def fetch_closed_orders(self, symbol: str, since: int | None, limit: int | None) -> list[Order]: ...
    async def fetch_fills(self, symbol: str, since: int | None, limit: int | None) -> list[Fill]: ...


class DerivativesVenue(Protocol):
    """What is asked about swaps and futures; each method that fetches sends one request."""

    def funding_page(self) -> int:
        """Return how many past funding rates one reply holds."""
        ...

    def interest_page(self) -> int:
        """Return how many past values of open interest one reply holds."""
        ...

    def funding_kept(self) -> int | None:
        """Return for how many milliseconds past funding rates are kept; ``None``: for ever, or nobody says."""
        ...

    def interest_kept(self, timeframe: Timeframe) -> int | None:
        """Return for how many milliseconds open interest is kept; ``None``: nobody says."""
        ...

    async def fetch_funding_rate(self, symbol: str) -> FundingRate: ...
    async def fetch_funding_rates(self, symbols: Sequence[str] | None) -> dict[str, FundingRate]: ...
    async def fetch_past_funding(self, symbol: str, since: int, until: int, limit: int) -> list[FundingRate]: ...
    async def fetch_open_interest(self, symbol: str) -> OpenInterest: ...
    async def fetch_past_interest(
        self, symbol: str, timeframe: Timeframe, since: int, until: int, limit: int
    ) -> list[OpenInterest]: ...


class Venue(DerivativesVenue, Protocol):
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

    def offers(self, feature: str) -> bool:
        """Tell whether it can be asked for this, by ccxt's name: ``"fetchFundingRate"``."""
        ...

    def offering(self, feature: str) -> Sequence[str]:
        """Return well-known venues that can be asked for this."""
        ...

    def page_limit(self, market: Market) -> int | None:
        """Return how many candles one reply holds at most; ``None`` where nobody says."""
        ...

    async def load_markets(self, *, reload: bool = False) -> Mapping[str, Market]: ...
    async def look_again(self) -> Mapping[str, Market]:
        """Return the markets, no older than a minute: for a symbol that `load_markets` does not know."""
        ...

    def default_type(self) -> str:
        """Return the type of market that is asked about where neither symbols nor a type are named."""
        ...

    async def fetch_ticker(self, symbol: str) -> Ticker: ...
    async def fetch_tickers(self, symbols: Sequence[str] | None, *, kind: str | None = None) -> dict[str, Ticker]:
        """Return tickers of markets of one kind: these, or all that the venue names at once, of ``kind`` if given."""
        ...

    async def fetch_candle_rows(
        self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int, price: str | None = None
    ) -> tuple[int, Page]:
        """
        Return the venue's time when the request left, and candles from ``since`` on or the newest.

        ``price``: ``"mark"`` or ``"index"`` instead of what was traded.
        """
        ...

    async def fetch_order_book(self, symbol: str, limit: int | None) -> OrderBook: ...
    async def fetch_trades(self, symbol: str, *, since: int | None, limit: int | None) -> list[Trade]: ...
    @property
    def wallets(self) -> Wallets:
        """The wallets that an account has here."""
        ...

    async def fetch_balance(self, wallet: str | None = None) -> Balance:
        """Return what a wallet holds, by its one name; ``None``: the one that is asked for by default."""
        ...

    @property
    def orders(self) -> OrderVenue:
        """The orders of the account."""
        ...

    async def time(self) -> int:
        """Return the venue's time now; a request only where its clock is not known yet."""
        ...

    def now(self) -> int:
        """Return the venue's time now as far as it is known; never a request."""
        ...

    def streams(self, feature: str) -> bool:
        """Tell whether it streams this, by ccxt's name: ``"watchTicker"``. The first question imports ccxt.pro."""
        ...

    def streaming(self, feature: str) -> Sequence[str]:
        """Return well-known venues that stream this."""
        ...

    @property
    def lines(self) -> Placing:
        """The websockets: what is placed on them arrives until it is left."""
        ...

    async def aclose(self) -> None: ...
