"""What an account can be asked for: its balance, orders, trades and fees."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, get_args

from tradeutils.cache import Cache
from tradeutils.errors import OrderNotFound, UsageError
from tradeutils.exchange.base import Venue
from tradeutils.exchange.checks import check_limit, several
from tradeutils.exchange.ordering.activity import Activity
from tradeutils.exchange.ordering.checks import check_id
from tradeutils.exchange.ordering.open_orders import fetch_open_orders
from tradeutils.exchange.ordering.terms import estimate_fee
from tradeutils.exchange.requests.retry import Patience, again
from tradeutils.exchange.screen import Screening
from tradeutils.model import Balance, Fee, Fill, Market, Order, TradingFee
from tradeutils.model.markets import MarketType
from tradeutils.settings import Account
from tradeutils.timeframe import Instant, to_ms

__all__ = ["AccountData"]

_TYPES: Final = get_args(MarketType)


class AccountData(Screening):
    """
    The part of an `Exchange` that reads an account.

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
        self._activity = Activity()

    @property
    def account(self) -> Account | None:
        """Whose keys sign private requests."""
        return self._account

    @property
    def wallets(self) -> tuple[str, ...]:
        """
        The wallets that an account has on this venue, the one that `fetch_balance` asks for by default first.

        A unified account is one wallet, whatever is traded from it. Of venues of which nobody told us, the default
        alone.
        """
        return self._venue.wallets.names

    def wallet_named(self, wallet: str) -> str:
        """
        Return the one name of a wallet, which may have others: ``"swap"`` of a unified account. No request.

        Raises
        ------
        NotSupportedByVenue : the venue has no such wallet; some that have are named.
        """
        return self._venue.wallets.named(wallet)

    @property
    def has_open_orders(self) -> bool:
        """Whether orders that were placed or seen through this object are open, as far as it knows; no request."""
        return self._activity.has_open_orders

    @property
    def changes(self) -> int:
        """How often what the account holds may have changed by what was done or seen here; see `subscribe`."""
        return self._activity.changes

    def subscribe(self, callback: Callable[[], object]) -> Callable[[], None]:
        """
        Have a function called whenever what the account holds may have changed; return what ends that.

        That is when an order was placed or cancelled through this object, whatever came of it, and when one that was
        asked for, or is no longer among the open ones, turns out to have been filled, or ended, since. It is called on
        the event loop, at once, and must not block; what it raises goes to the log.
        """
        return self._activity.subscribe(callback)

    async def fetch_balance(self, wallet: str | None = None) -> Balance:
        """
        Return what the account holds, exact. One request; never cached here (`Balances` does).

        Parameters
        ----------
        wallet : str, optional
            One of `wallets`, or another name of it (``"swap"`` of a unified account); by default the first of them.

        Raises
        ------
        UsageError : this exchange was opened without ``account=``.
        NotSupportedByVenue : the venue has no such wallet; some that have are named.
        AuthenticationFailed : the venue refused the key, the secret or the address.

        Notes
        -----
        Amounts are the venue's own digits, and sums of them exact. On bybit the first call of an object asks what kind
        of account it is, which costs two requests more.
        """
        self._need_account("fetch_balance")
        return await self._venue.fetch_balance(None if wallet is None else self._venue.wallets.named(wallet))

    async def fetch_open_orders(
        self,
        symbol: str | None = None,
        *,
        symbols: Iterable[str] | None = None,
        type: MarketType | None = None,  # noqa: A002  # the field's word, and ccxt's
        trigger: bool = False,
    ) -> list[Order]:
        """
        Return the account's open orders, oldest first: of one market, of several, or (nothing named) of all.

        Parameters
        ----------
        symbol, symbols : str, iterable of str, optional
            One market, or several. They are asked for one by one, or all at once where that costs less of the rate
            limit (binance: 6 a market and 80 for all, so from 14 markets on), concurrently.
        type : str, optional
            Of all markets only ``"spot"``, ``"swap"``, ``"future"`` or ``"option"``; where two share a list, both.
        trigger : bool
            The orders that wait for a price instead, where the venue lists those apart (most do; binance's spot,
            kraken and coinbase list all together, here and there). Bybit's list without it has them too.

        Returns
        -------
        list of Order
            All pages of them, never cached.

        Raises
        ------
        UsageError : the venue lists by market alone (mexc's spot), and none was named.
        AuthenticationFailed : the key may not see one of the kinds; ``type`` asks for another alone.

        Notes
        -----
        All markets are those that `load_markets` lists. Where spot and contracts have lists of their own, one request
        goes to each: binance spot, linear and inverse; bybit and gate one for each currency that contracts settle in;
        bitget one for each of its products; okx, kraken, coinbase, bitfinex and hyperliquid one in all.
        """
        self._need_account("fetch_open_orders")
        if symbol is not None and symbols is not None:
            raise UsageError("symbol and symbols were both given; keep one")
        if type is not None and type not in _TYPES:
            raise UsageError(f"type was {type!r}; write one of {', '.join(_TYPES)}")
        if type is not None and (symbol is not None or symbols is not None):
            raise UsageError("type was given with symbols; it selects among all markets: leave it out")
        wanted = [symbol] if symbol is not None else None if symbols is None else several(symbols)
        return await self._open_orders("fetch_open_orders", wanted, type, trigger=trigger, urgent=False)

    async def fetch_order(
        self,
        id: str | None,  # noqa: A002  # the field's word, and ccxt's
        symbol: str,
        *,
        client_order_id: str | None = None,
        trigger: bool = False,
    ) -> Order:
        """
        Return an order by the venue's id, or with ``id=None`` by ours. One request (by ours: two on some venues).

        ``trigger`` says that it waits for a price, or did: most venues list those apart.

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
            return self._activity.saw(await orders.fetch_order(check_id(id), symbol, trigger=trigger))
        wanted = orders.check_client_id(client_order_id)
        found = await again(lambda: orders.find_order(wanted, market, conditional=trigger), self._patience)
        if found is None:
            text = f"no order bears client_order_id {wanted!r}"
            raise OrderNotFound(text, venue=self.venue, operation="fetch_order", symbol=symbol)
        return self._activity.saw(found)

    async def fetch_orders(self, symbol: str, *, since: Instant | None = None, limit: int | None = None) -> list[Order]:
        """
        Return the account's orders in one market, whatever became of them, oldest first. One request, one page.

        Raises
        ------
        NotSupportedByVenue : the venue lists open and closed orders apart (kraken).
        """
        start, limit = await self._range("fetch_orders", symbol, since, limit)
        return self._activity.saw_all(_by_time(await self._venue.orders.fetch_orders(symbol, start, limit)))

    async def fetch_closed_orders(
        self, symbol: str, *, since: Instant | None = None, limit: int | None = None
    ) -> list[Order]:
        """Return the account's filled orders in one market, oldest first. One request, one page."""
        start, limit = await self._range("fetch_closed_orders", symbol, since, limit)
        return self._activity.saw_all(_by_time(await self._venue.orders.fetch_closed_orders(symbol, start, limit)))

    async def fetch_my_trades(
        self, symbol: str, *, since: Instant | None = None, limit: int | None = None
    ) -> list[Fill]:
        """Return what the account traded in one market, exact, oldest first. One request, one page."""
        start, limit = await self._range("fetch_my_trades", symbol, since, limit)
        return sorted(await self._venue.orders.fetch_fills(symbol, start, limit), key=lambda fill: fill.time)

    async def fetch_trading_fee(self, symbol: str) -> TradingFee:
        """
        Return the account's own fees in one market, exact. One request, never cached.

        Raises
        ------
        NotSupportedByVenue : the venue does not tell; `Market.maker` and `Market.taker` are its usual ones.
        """
        self._need_account("fetch_trading_fee")
        await self._market(symbol, "fetch_trading_fee")
        return await self._venue.orders.fetch_trading_fee(symbol)

    async def estimate_fee(
        self,
        symbol: str,
        side: str,
        amount: Decimal,
        price: Decimal,
        *,
        maker: bool = False,
        rate: Decimal | None = None,
    ) -> Fee:
        """
        Return what an order would cost in fees if all of it were traded at ``price``, exact.

        No account is needed, and no request but that for the markets.

        Parameters
        ----------
        symbol, side : str
            ``"BTC/USDT"``; ``"buy"`` or ``"sell"``.
        amount, price : Decimal
            Base units, or contracts; in quote.
        maker : bool
            Whether the order will lie in the book and wait.
        rate : Decimal, optional
            A fraction; by default the market's, which is what the venue asks of everybody. An account's own is in
            ``await fetch_trading_fee(symbol)``.

        Returns
        -------
        Fee
            In the currency that the venue takes it in, as far as ccxt knows: on most venues' spot markets in what is
            received or in the quote currency, on contracts in the one they settle in. Discounts for paying in a token
            of the venue are not known here.

        Raises
        ------
        UsageError : no Decimals, or the market's fee is not known; give ``rate``.
        """
        market = await self._market(symbol, "estimate_fee")
        return estimate_fee(market, side, amount, price, maker=maker, rate=rate)

    async def _open_orders(
        self, operation: str, wanted: list[str] | None, kind: MarketType | None, *, trigger: bool, urgent: bool
    ) -> list[Order]:
        """Return open orders of the markets named, or of all of a kind."""
        if wanted is not None:
            markets = [await self._market(one, operation) for one in wanted]
        else:
            every = (await self._venue.load_markets()).values()
            markets = [market for market in every if kind is None or market.type == kind]
        # A list of those that wait for a price need not have the others.
        known = frozenset() if trigger else self._activity.known()
        found = await fetch_open_orders(
            self._venue.orders, markets, named=wanted is not None, trigger=trigger, urgent=urgent
        )
        return self._activity.listed(_by_time(found), {market.symbol for market in markets}, known)

    async def _range(
        self, operation: str, symbol: str, since: Instant | None, limit: int | None
    ) -> tuple[int | None, int | None]:
        """Check what is asked of the account's own lists."""
        self._need_account(operation)
        limit, start = check_limit(limit), None if since is None else max(0, to_ms(since, name="since"))
        await self._market(symbol, operation)
        return start, limit

    async def _traded(self, symbol: str, operation: str) -> Market:
        """Return a market of the account's."""
        self._need_account(operation)
        return await self._market(symbol, operation)

    def _need_account(self, operation: str) -> None:
        if self._account is None:
            raise UsageError(f"{operation} needs an account; write Exchange({self.venue!r}, account=Account(...))")


def _by_time(orders: list[Order]) -> list[Order]:
    return sorted(orders, key=lambda order: order.time or 0)
