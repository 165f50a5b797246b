"""`Balances`: the accounts behind one or many exchanges, what they hold and what it is worth."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from tradeutils.balances.routes import Route, routes_to
from tradeutils.balances.valuation import Valuation, value
from tradeutils.cache import Cache
from tradeutils.errors import UnknownName, UsageError
from tradeutils.exchange import Exchange, Exchanges, all_or_first_error
from tradeutils.model import Balance

__all__ = ["Balances"]

_BALANCE_TTL: Final = 2.0  # seconds for which an answer serves whoever asks again


class Balances:
    """
    What accounts hold, exact to the venue's last digit, and what it is worth.

    Parameters
    ----------
    exchanges : Exchanges, Exchange, or iterable of Exchange
        All accounts of the settings; or exchanges that were each opened with ``account=``. Accounts are known by
        their names.
    cache : Cache or None
        Balances are shared through it for 2 s. ``None``: every call is a request.

    Raises
    ------
    UsageError : an exchange without an account, or two accounts of one name.

    Examples
    --------
    >>> balances = Balances(exchange)  # doctest: +SKIP
    >>> (await balances.total("alice", "USDT")).total  # doctest: +SKIP
    Decimal('1234.56')
    """

    def __init__(self, exchanges: Exchanges | Exchange | Iterable[Exchange], *, cache: Cache | None = None) -> None:
        self._cache = cache
        self._exchanges: dict[str, Exchange] = {}
        if isinstance(exchanges, Exchanges):
            exchanges = [exchanges.account(name) for name in exchanges.accounts]
        if not isinstance(exchanges, Exchange | Iterable) or isinstance(exchanges, str):
            raise UsageError(f"exchanges was {exchanges!r}; give an Exchange or a list of them")
        for exchange in [exchanges] if isinstance(exchanges, Exchange) else exchanges:
            if not isinstance(exchange, Exchange):
                raise UsageError(f"exchanges held {exchange!r}; give Exchange objects")
            if exchange.account is None:
                raise UsageError(f"{exchange!r} has no account; open it with account=Account(...)")
            if exchange.account.name in self._exchanges:
                raise UsageError(f"account {exchange.account.name!r} was given twice; names must differ")
            self._exchanges[exchange.account.name] = exchange

    def __repr__(self) -> str:
        return f"<Balances of {', '.join(self._exchanges) or 'nobody'}>"

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts."""
        return tuple(self._exchanges)

    async def fetch(self, account: str) -> Balance:
        """
        Return what an account holds. One request, or none within 2 s of the last where there is a cache.

        Raises
        ------
        UnknownName : no account of this name; the nearest are named.
        AuthenticationFailed : the venue refused the key, the secret or the address.
        """
        exchange = self._exchange(account)
        if self._cache is None:
            return await exchange.fetch_balance()
        return await self._cache.get_or_fetch(
            f"balance:{exchange.origin}:{account}", exchange.fetch_balance, ttl=_BALANCE_TTL
        )

    async def total(self, account: str, quote: str = "USDT") -> Valuation:
        """
        Return what an account is worth in ``quote``.

        Each asset is priced over the fewest spot markets that lead to ``quote`` (at most three), in either
        direction; what no route leads from is named in ``unpriced``. Costs the balance and one request for
        all tickers of the venue.

        Raises
        ------
        UnknownName : no account of this name, or no market of the venue trades ``quote``.
        """
        exchange = self._exchange(account)
        balance = asyncio.ensure_future(self.fetch(account))
        prices = asyncio.ensure_future(self._prices(exchange, quote))
        await all_or_first_error([balance, prices])
        return value(balance.result(), quote, prices.result(), await exchange.fetch_time())

    async def totals(self, quote: str = "USDT") -> dict[str, Valuation]:
        """
        Return what every account is worth in ``quote``, by name. The first failure is raised.

        Tickers are asked for once a venue, however many accounts are on it.
        """
        of_origin = {exchange.origin: exchange for exchange in self._exchanges.values()}
        routes = await all_or_first_error([self._prices(exchange, quote) for exchange in of_origin.values()])
        prices = dict(zip(of_origin, routes, strict=True))
        balances = await all_or_first_error([self.fetch(account) for account in self._exchanges])
        return {
            account: value(balance, quote, prices[exchange.origin], await exchange.fetch_time())
            for (account, exchange), balance in zip(self._exchanges.items(), balances, strict=True)
        }

    async def _prices(self, exchange: Exchange, quote: str) -> dict[str, Route]:
        """Return how each asset of a venue is priced in ``quote``, from one request for all tickers."""
        markets = await exchange.load_markets()
        currencies = {c for market in markets.values() if market.type == "spot" for c in (market.base, market.quote)}
        if quote not in currencies:
            raise UnknownName("quote", quote, sorted(currencies), where=exchange.venue)
        return routes_to(quote, markets, await exchange.fetch_tickers(type="spot"))

    def _exchange(self, account: str) -> Exchange:
        if account not in self._exchanges:
            raise UnknownName("account", account, self._exchanges)
        return self._exchanges[account]
