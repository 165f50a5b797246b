"""What a bot does with an account: its balance, and orders that are placed exactly once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tradeutils.cache import Cache
from tradeutils.errors import OrderNotFound, UsageError
from tradeutils.exchange.base import Venue
from tradeutils.exchange.checks import check_limit
from tradeutils.exchange.market_data import MarketData
from tradeutils.exchange.order_checks import NewOrder, check_id, check_order
from tradeutils.exchange.orders import cancel, place
from tradeutils.exchange.retry import Patience, again
from tradeutils.model import Balance, Fill, Order
from tradeutils.model.records import Side
from tradeutils.settings import Account
from tradeutils.timeframe import Instant, to_ms

__all__ = ["Trading"]


class Trading(MarketData):
    """
    The part of an `Exchange` that needs an account.

    Parameters
    ----------
    venue : Venue
        Where it is asked.
    cache : Cache or None
        Through which public answers are shared; nothing of an account is.
    account : Account or None
        Whose keys sign; ``None``: every call here is a `UsageError`.
    patience : Patience
        How often, and for how long, calls are made again.
    """

    def __init__(self, venue: Venue, cache: Cache | None, account: Account | None, patience: Patience) -> None:
        super().__init__(venue, cache)
        self._account = account
        self._patience = patience

    @property
    def account(self) -> Account | None:
        """Whose keys sign private requests."""
        return self._account

    async def fetch_balance(self) -> Balance:
        """
        Return what the account holds, exact. One request; never cached here (`Balances` does).

        Raises
        ------
        UsageError : this exchange was opened without ``account=``.
        AuthenticationFailed : the venue refused the key, the secret or the address.
        """
        self._need_account("fetch_balance")
        return await self._venue.fetch_balance()

    async def fetch_open_orders(self, symbol: str | None = None) -> list[Order]:
        """
        Return the account's open orders, of one market or (``None``) of all. One request; never cached.

        All markets at once cost more of the rate limit (binance: 80 instead of 6).
        """
        self._need_account("fetch_open_orders")
        if symbol is not None:
            await self._market(symbol, "fetch_open_orders")
        return await self._venue.orders.fetch_open_orders(symbol)

    async def create_order(
        self,
        symbol: str,
        type: str,  # noqa: A002  # the field's word, and ccxt's
        side: Side,
        amount: Decimal,
        price: Decimal | None = None,
        *,
        client_order_id: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Order:
        """
        Place an order, exactly once, whatever becomes of the answer.

        Parameters
        ----------
        symbol, type : str
            ``"BTC/USDT"``; ``"limit"``, ``"market"`` or one of the venue's own.
        side : str
            ``"buy"`` or ``"sell"``.
        amount : Decimal
            Base units, or contracts; sent digit by digit, never rounded.
        price : Decimal, optional
            Of a limit order. Some venues want it for a market order too, to know its cost.
        client_order_id : str, optional
            The id that the order bears; by default a new one. With one of your own the venue is asked first, and an
            order of this id and these terms is returned instead of placing another, be it open or filled: a bot that
            writes the id down before it calls may be killed at any moment, and calls again once the first request
            can no longer arrive. Not so for orders with a trigger where the venue lists them apart (all but binance's
            spot, kraken and coinbase).
        params : mapping, optional
            ccxt's own parameters: ``{"timeInForce": "IOC"}``.

        Returns
        -------
        Order
            What the venue answered; of what it did not repeat, what was sent. ``client_id`` is always there.

        Raises
        ------
        UsageError : an amount or price that is no Decimal, or not to the market's limits and steps; nothing was sent.
        InsufficientFunds, InvalidOrder : the venue refused it.
        DuplicateOrder : another order bears this id.
        OrderUnknown : its outcome could not be learnt within ``deadline``; ``client_id`` is the id to look it up by.
        RateLimited : there was no room for it within ``deadline``; nothing was sent.

        Notes
        -----
        One request (with ``client_order_id`` two), ahead of those for data. After a timeout, an error of a gateway,
        or a connection that broke, the order is looked up by its id until it is found or can no longer arrive
        (binance: 7 s, its ``recvWindow`` and two more), and sent again only in the latter case. A task that is
        cancelled meanwhile keeps the id in the notes of its `asyncio.CancelledError` and in the log.
        """
        self._need_account("create_order")
        market = await self._market(symbol, "create_order")
        orders = self._venue.orders
        kind, checked_side, quantity, limit, extra = check_order(market, type, side, amount, price, params)
        client_id = orders.check_client_id(client_order_id)
        named, leave_by = client_order_id is not None, time.monotonic() + self._patience.deadline
        order = NewOrder(market, kind, checked_side, quantity, limit, client_id, extra, named, leave_by)
        orders.check_digits(order)
        return await place(orders, order, self._patience)

    async def cancel_order(self, id: str, symbol: str) -> Order:  # noqa: A002  # the field's word, and ccxt's
        """
        Cancel an order by the venue's id. One request, ahead of those for data; repeated after a lost answer.

        Raises
        ------
        OrderNotFound : there is no such order, or it had been filled or cancelled before.
        """
        self._need_account("cancel_order")
        await self._market(symbol, "cancel_order")
        return await cancel(self._venue.orders, check_id(id), symbol, self._patience)

    async def fetch_order(
        self,
        id: str | None,  # noqa: A002  # the field's word, and ccxt's
        symbol: str,
        *,
        client_order_id: str | None = None,
    ) -> Order:
        """
        Return an order by the venue's id, or with ``id=None`` by ours. One request (by ours: two on some venues).

        Raises
        ------
        OrderNotFound : there is no such order.
        """
        self._need_account("fetch_order")
        market = await self._market(symbol, "fetch_order")
        orders = self._venue.orders
        if (id is None) == (client_order_id is None):
            raise UsageError("give either the venue's id, or None and client_order_id=")
        if client_order_id is None:
            return await orders.fetch_order(check_id(id), symbol)
        wanted = orders.check_client_id(client_order_id)
        found = await again(lambda: orders.find_order(wanted, market), self._patience)
        if found is None:
            text = f"no order bears client_order_id {wanted!r}"
            raise OrderNotFound(text, venue=self.venue, operation="fetch_order", symbol=symbol)
        return found

    async def fetch_orders(self, symbol: str, *, since: Instant | None = None, limit: int | None = None) -> list[Order]:
        """
        Return the account's orders in one market, whatever became of them, oldest first. One request, one page.

        Raises
        ------
        NotSupportedByVenue : the venue lists open and closed orders apart (kraken).
        """
        start, limit = await self._range("fetch_orders", symbol, since, limit)
        return _by_time(await self._venue.orders.fetch_orders(symbol, start, limit))

    async def fetch_closed_orders(
        self, symbol: str, *, since: Instant | None = None, limit: int | None = None
    ) -> list[Order]:
        """Return the account's filled orders in one market, oldest first. One request, one page."""
        start, limit = await self._range("fetch_closed_orders", symbol, since, limit)
        return _by_time(await self._venue.orders.fetch_closed_orders(symbol, start, limit))

    async def fetch_my_trades(
        self, symbol: str, *, since: Instant | None = None, limit: int | None = None
    ) -> list[Fill]:
        """Return what the account traded in one market, exact, oldest first. One request, one page."""
        start, limit = await self._range("fetch_my_trades", symbol, since, limit)
        return sorted(await self._venue.orders.fetch_fills(symbol, start, limit), key=lambda fill: fill.time)

    async def _range(
        self, operation: str, symbol: str, since: Instant | None, limit: int | None
    ) -> tuple[int | None, int | None]:
        """Check what is asked of the account's own lists."""
        self._need_account(operation)
        limit, start = check_limit(limit), None if since is None else max(0, to_ms(since, name="since"))
        await self._market(symbol, operation)
        return start, limit

    def _need_account(self, operation: str) -> None:
        if self._account is None:
            raise UsageError(f"{operation} needs an account; write Exchange({self.venue!r}, account=Account(...))")


def _by_time(orders: list[Order]) -> list[Order]:
    return sorted(orders, key=lambda order: order.time or 0)
