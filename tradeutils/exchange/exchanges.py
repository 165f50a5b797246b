"""`Exchanges`: every venue and account of the settings, opened when it is asked for and closed with the others."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from tradeutils import logs
from tradeutils.budget import Budget, default_budget
from tradeutils.cache import Cache
from tradeutils.errors import Closed, UnknownName, UsageError
from tradeutils.exchange.checks import check_grace
from tradeutils.exchange.exchange import Exchange, check_shared
from tradeutils.exchange.requests.retry import Patience
from tradeutils.exchange.streams.terms import check_stream_to_cache
from tradeutils.exchange.together import Together
from tradeutils.settings import Account, ExchangeSettings, Settings

__all__ = ["Exchanges"]


class Exchanges:
    """
    Many venues and accounts: one pool of connections, one market table a venue, one cache, one budget.

    Parameters
    ----------
    settings : Settings
        Which accounts there are, and what is particular to each venue.
    cache : Cache or None
        Stays open when this is closed. ``None``: the cache of the settings (where they name none: in memory, for
        these exchanges alone), which is closed with this.
    budget : Budget or None
        As for `Exchange`; pays for all of them.
    info, retries, deadline, close_grace, stream_to_cache
        As for `Exchange`.

    Raises
    ------
    UsageError : no settings, or a cache or budget that is none.

    Notes
    -----
    Nothing is opened before it is asked for. ``exchanges["binance"]`` is a venue as anybody sees it, and
    ``exchanges.account("alice")`` as an account does; asked for again, it is the same `Exchange`, or a new one where
    that was closed by itself. Opening one takes 4 ms and some 60 KiB, and sends nothing.

    Venues list their markets for all who share one origin (venue, host, sandbox and options): one load, asked for
    without keys, in an hour, renewed in the background, and shared through the cache with other processes. Their
    clock is measured once for all as well. At most 100 connections to a host are open at once. Cookies are not kept.
    What one account is refused, no other hears of; only bans, which venues speak over an address, silence all.

    Examples
    --------
    >>> async with Exchanges(Settings.load("tradeutils.toml")) as exchanges:  # doctest: +SKIP
    ...     ticker = await exchanges["binance"].fetch_ticker("BTC/USDT")
    ...     balance = await exchanges.account("alice").fetch_balance()
    """

    def __init__(
        self,
        settings: Settings,
        *,
        cache: Cache | None = None,
        budget: Budget | None = None,
        info: bool = False,
        retries: int = 3,
        deadline: float = 30.0,
        close_grace: float = 1.0,
        stream_to_cache: bool | float = False,
    ) -> None:
        if not isinstance(settings, Settings):
            raise UsageError(
                f"settings was a {type(settings).__name__}; give Settings, as in Settings.load('tradeutils.toml')"
            )
        check_shared(cache, budget)
        check_grace(close_grace)
        Patience(retries, deadline)  # raises where no exchange could be opened with them
        self._settings = settings
        self._cache = _cache_of(settings) if cache is None else cache
        self._owns_cache = cache is None
        check_stream_to_cache(stream_to_cache, self._cache, info=info)
        self._budget = budget
        self._budgets: dict[str, Budget] = {}
        self._open_exchange = functools.partial(
            Exchange,
            cache=self._cache,
            info=info,
            retries=retries,
            deadline=deadline,
            close_grace=close_grace,
            stream_to_cache=stream_to_cache,
        )
        self._together = Together(self._cache)
        self._opened: dict[tuple[str, str], Exchange] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"<Exchanges of {len(self.accounts)} accounts on {', '.join(self.venues) or 'no venue yet'}>"

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, as in the settings."""
        return tuple(self._settings.accounts)

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues that the settings name, by themselves or for an account, and others that were opened."""
        named = [*self._settings.exchanges, *(account.exchange for account in self._settings.accounts.values())]
        return tuple(dict.fromkeys([*named, *(one.venue for one in list(self._opened.values()))]))

    @property
    def cache(self) -> Cache:
        """The cache through which their answers are shared."""
        return self._cache

    def __iter__(self) -> Iterator[str]:
        """Iterate over `venues`."""
        return iter(self.venues)

    def __len__(self) -> int:
        return len(self.venues)

    def __contains__(self, venue: object) -> bool:
        return venue in self.venues

    def __getitem__(self, venue: str) -> Exchange:
        """
        Return a venue as anybody sees it; one that the settings do not name is opened as it comes.

        Raises
        ------
        UnknownName : no such venue; the nearest are named.
        Closed : these exchanges were closed.
        """
        return self._open("venue", venue, venue, None)

    def account(self, name: str) -> Exchange:
        """
        Return the exchange of an account, as it sees it.

        Raises
        ------
        UnknownName : the settings have no such account, or it is of a venue that there is not; the nearest are named.
        NotSupportedByVenue : it is of a sandbox, and the venue has none.
        Closed : these exchanges were closed.
        """
        account = self._settings.accounts.get(name) if isinstance(name, str) else None
        if account is None:
            raise UnknownName("account", name, self.accounts, where="the configuration")
        return self._open("account", name, account.exchange, account)

    def is_open(self, account: str) -> bool:
        """Whether the exchange of an account was opened, and not closed since; nothing is opened to find that out."""
        found = self._opened.get(("account", account))
        return found is not None and not found.is_closed

    def _open(self, kind: str, name: str, venue: str, account: Account | None) -> Exchange:
        if self._closed:
            raise Closed(f"{kind} {name}: these exchanges were closed; open others")
        found = self._opened.get((kind, name)) if isinstance(name, str) else None
        if found is None or found.is_closed:
            settings = self._settings.exchanges.get(venue, ExchangeSettings()) if isinstance(venue, str) else None
            found = self._open_exchange(
                venue,
                account=account,
                budget=self._budget_of(settings),
                settings=settings,
                _together=self._together,
            )
            self._opened[kind, name] = found
        return found

    def _budget_of(self, settings: ExchangeSettings | None) -> Budget | None:
        """Return who pays: borrowed here, as who asks for the markets outlives each exchange."""
        if self._budget is not None or settings is None:
            return self._budget
        egress = settings.egress or "default"
        if egress not in self._budgets:
            self._budgets[egress] = default_budget(self._cache, egress=egress)
        return self._budgets[egress]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """
        Close them all at once, and the cache where it is that of the settings. Safe to call twice.

        Calls under way end with `Closed`; what an order that was on its way came to is then unknown (`OrderUnknown`).
        """
        self._closed = True
        async with contextlib.AsyncExitStack() as stack:  # whatever fails, the rest is closed; the last in first
            if self._owns_cache:
                stack.push_async_callback(self._cache.aclose)
            budgets, self._budgets = self._budgets, {}  # each was borrowed once, and is given back once
            for budget in budgets.values():
                stack.push_async_callback(budget.aclose)
            stack.push_async_callback(self._together.aclose)
            endings = [exchange.aclose() for exchange in self._opened.values()]
            for outcome in await asyncio.gather(*endings, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome


def _cache_of(settings: Settings) -> Cache:
    named = settings.cache
    if named.url.holds_secret:
        logs.protect(named.url)
    return Cache(named.url.reveal(), namespace=named.namespace, timeout=named.timeout)
