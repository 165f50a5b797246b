"""`Balances`: the accounts behind one or many exchanges, what they hold and what it is worth."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Literal, Self, overload

from tradeutils.balances.accounts import Accounts, OpenAccount, Source
from tradeutils.balances.alerts import Alert, watch_totals
from tradeutils.balances.answers import Answers
from tradeutils.balances.counts import AccountStats
from tradeutils.balances.difference import BalanceDifference, difference, differences
from tradeutils.balances.events import AccountEvent
from tradeutils.balances.fetching import Fetching
from tradeutils.balances.fleet import each
from tradeutils.balances.parameters import Limits, check_count, check_wallets, names_of, seconds
from tradeutils.balances.pegs import Pegs
from tradeutils.balances.prices import LatestPrices, Prices
from tradeutils.balances.results import AllBalances, Totals, value_all
from tradeutils.balances.resumption import Resumption
from tradeutils.balances.snapshots import Snapshots, merged
from tradeutils.balances.suspension import Suspension
from tradeutils.balances.suspensions import Suspensions
from tradeutils.balances.valuation import Locked, Valuation, value
from tradeutils.cache import Cache
from tradeutils.errors import Closed, TradeutilsError, UnknownName, UsageError
from tradeutils.exchange import all_or_first_error
from tradeutils.model import Balance
from tradeutils.timeframe import Instant, to_ms

__all__ = ["Balances"]

_MOST_SNAPSHOTS: Final = 10_000


class Balances:
    """
    What accounts hold, exact to the venue's last digit, and what it is worth.

    Parameters
    ----------
    exchanges : Exchanges, Exchange, or iterable of Exchange
        All accounts of the settings; or exchanges that were each opened with ``account=``. Accounts are known by
        their names.
    cache : Cache or None
        Balances are shared through it for ``ttl`` seconds, with all processes that know the account by this name and
        these credentials; snapshots and suspensions are kept there. ``None``: every call is a request, and the rest
        is kept in this process.
    wallets : None, "all", or iterable of str
        Which wallets make up a balance: the venue's default one, all that it has (`Exchange.wallets`), or these. A
        wallet that has several names, as in a unified account, is counted once.
    ttl : float
        Seconds for which an answer serves whoever asks again, unless the account changes meanwhile.
    priority : iterable of str
        Accounts that `fetch_all` asks first. Those with open orders, as far as this process placed or saw them, are
        asked first anyway.
    snapshots : int
        How many are kept of each wallet for `history`, at most 10,000; 0: none.
    suspensions : Suspensions or None
        Holds back the calls of accounts whose keys are refused; ``None``: with its default periods, on ``cache``.

    Raises
    ------
    UsageError : an exchange without an account, two accounts of one name, or a parameter that cannot be.

    Notes
    -----
    An order that is placed or cancelled through one of the exchanges, and one that is seen to have been filled, drops
    what is known of its account, here and in the cache; an answer whose request left before is not kept. So does
    `invalidate`. A cache that is away fails no call: the venue is asked then.

    Examples
    --------
    >>> balances = Balances(exchange)  # doctest: +SKIP
    >>> (await balances.total("alice", "USDT")).total  # doctest: +SKIP
    Decimal('1234.56')
    """

    def __init__(
        self,
        exchanges: Source,
        *,
        cache: Cache | None = None,
        wallets: Literal["all"] | Iterable[str] | None = None,
        ttl: float = 2.0,
        priority: Iterable[str] = (),
        snapshots: int = 100,
        suspensions: Suspensions | None = None,
    ) -> None:
        if cache is not None and not isinstance(cache, Cache):
            raise UsageError(f"cache was a {type(cache).__name__}; give a Cache, as in Cache('redis://localhost:6379')")
        if suspensions is not None and not isinstance(suspensions, Suspensions):
            raise UsageError(f"suspensions was a {type(suspensions).__name__}; give Suspensions(cache), or None")
        self._cache = cache
        self._prices = LatestPrices(cache)
        self._answers = Answers(cache, seconds("ttl", ttl))
        self._snapshots = Snapshots(cache, check_count("snapshots", snapshots, 0, _MOST_SNAPSHOTS))
        self._suspensions = Suspensions(cache) if suspensions is None else suspensions
        self._fetching = Fetching(self._answers, self._snapshots, self._suspensions, check_wallets(wallets))
        self._accounts = Accounts(exchanges, lambda one: self._drop(one), self._fetching.know)
        self._accounts.enter_given()
        self._first = frozenset(names_of("priority", priority))
        for name in sorted(self._first):
            self._accounts.check(name)

    def __repr__(self) -> str:
        names = self.accounts
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"<Balances of {shown or 'nobody'}>"

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts."""
        return self._accounts.names

    # What accounts hold

    async def fetch(
        self, account: str, *, wallet: str | None = None, max_age: float | None = None, stale: float | None = None
    ) -> Balance:
        """
        Return what an account holds. One request a wallet, or none within the ttl where there is a cache.

        Parameters
        ----------
        account : str
            Its name.
        wallet : str, optional
            One of ``exchange.wallets`` alone; by default those that were chosen for all, whose sum is returned with
            its parts as ``wallets``.
        max_age : float, optional
            Seconds that the answer may be old; 0: it is asked for now. More than the ttl only without a cache: what
            this process asked itself serves then.
        stale : float, optional
            Where the venue is down, serve the last that is known, if it is no older than this many seconds; it is
            marked ``stale``. By default the error is raised.

        Returns
        -------
        Balance
            ``age`` tells how many seconds ago the venue said so.

        Raises
        ------
        UnknownName : no account of this name; the nearest are named.
        NotSupportedByVenue : the venue has no such wallet; some that have are named.
        Suspended : the account's key was refused before, and it is not time for another try; nothing was sent.
        AuthenticationFailed : the venue refused the key, the secret or the address.
        """
        limits = Limits.of(max_age, stale)
        return await self._fetching.fetch(self._accounts.get(account), wallet, limits)

    async def fetch_all(
        self, *, wallet: str | None = None, max_age: float | None = None, stale: float | None = None
    ) -> AllBalances:
        """
        Return what every account holds; parameters as of `fetch`.

        At most 32 requests are under way to each venue, within its rate limit. Accounts of ``priority`` and those with
        open orders come first, then who was asked longest ago. What fails for one account is told in ``failures``, and
        fails no other.

        Raises
        ------
        UnknownName : no venue has such a wallet.
        Closed : all exchanges were closed.
        """
        limits = Limits.of(max_age, stale)

        async def work(name: str) -> Balance:
            return await self._fetching.fetch(self._accounts.get(name), wallet, limits)

        done, failed = await each(self._in_order(), self._origin, work)
        if failed and not done and all(isinstance(error, UnknownName | Closed) for error in failed.values()):
            raise next(iter(failed.values()))  # a wallet that no venue has, or exchanges that were closed
        names = self.accounts
        return AllBalances(
            balances={name: done[name] for name in names if name in done},
            failures={name: failed[name] for name in names if name in failed},
            stale={name: done[name].age for name in names if name in done and done[name].stale},
        )

    def invalidate(self, account: str | None = None) -> None:
        """
        Drop what is known of an account (``None``: of all that were asked for), as it may have changed elsewhere.

        It holds here at once; other processes are told in the background, or with the next call.
        """
        if account is not None:
            return self._drop(self._accounts.get(account))
        for one in self._accounts.already_open():
            self._drop(one)
        return None

    # What it is worth

    async def total(
        self,
        account: str,
        quote: str = "USDT",
        *,
        pegs: Pegs = (),
        dust: Decimal | int | str | None = None,
        locked: Locked = "unpriced",
        max_age: float | None = None,
        stale: float | None = None,
    ) -> Valuation:
        """
        Return what an account is worth in ``quote``.

        Costs the balance and one request for all tickers of the venue.

        Parameters
        ----------
        account, quote : str
            Whose, and in which currency.
        pegs : mapping, str or ()
            Coins that are taken to be worth the same, ``{"USDC": "USDT"}`` or ``"USD"``; by default all are priced.
        dust, locked
            As of `tradeutils.balances.value`.
        max_age, stale : float, optional
            As of `fetch`, of what is held.

        Raises
        ------
        UnknownName : no account of this name, or no market of the venue trades ``quote``.
        """
        one, limits = self._accounts.get(account), Limits.of(max_age, stale)
        balance = asyncio.ensure_future(self._fetching.fetch(one, None, limits))
        prices = asyncio.ensure_future(self._prices.fetch(one.exchange))
        await all_or_first_error([balance, prices])
        found = prices.result()
        return value(balance.result(), quote, found.routes(quote, pegs=pegs), found.time, dust=dust, locked=locked)

    async def totals(
        self,
        quote: str = "USDT",
        *,
        pegs: Pegs = (),
        dust: Decimal | int | str | None = None,
        locked: Locked = "unpriced",
        max_age: float | None = None,
        stale: float | None = None,
    ) -> Totals:
        """
        Return what every account is worth in ``quote``, by name; parameters as of `total`.

        Tickers are asked for once a venue, however many accounts are on it, after the balances. What fails for one
        account, or one venue, is told in ``failures``.

        Raises
        ------
        UnknownName : no venue trades ``quote``.
        """
        held = await self.fetch_all(max_age=max_age, stale=stale)
        of_origin = {self._origin(name): name for name in reversed(list(held))}

        async def prices_of(origin: str) -> Prices:
            found = await self._prices.fetch(self._accounts.get(of_origin[origin]).exchange)
            found.routes(quote, pegs=pegs)  # worked out here, so that a currency nobody trades is this venue's failure
            return found

        prices, lacking = await each(of_origin, lambda origin: origin, prices_of)
        if lacking and not prices and all(isinstance(error, UnknownName) for error in lacking.values()):
            raise next(iter(lacking.values()))

        def worth(name: str, balance: Balance) -> Valuation | TradeutilsError:
            origin = self._origin(name)
            if origin in lacking:
                return lacking[origin]
            told = prices[origin]
            return value(balance, quote, told.routes(quote, pegs=pegs), told.time, dust=dust, locked=locked)

        return await value_all(held, quote, worth, lambda name: self._accounts.get(name).whose)

    def watch_totals(
        self, quote: str = "USDT", *, threshold: Decimal | int | str, interval: float = 60.0
    ) -> AsyncIterator[Alert]:
        """
        Yield an `Alert` whenever a total has moved by ``threshold`` or more; see `tradeutils.balances.watch_totals`.

        Parameters
        ----------
        quote : str
            The currency.
        threshold : Decimal, int or str
            An amount of it, or a share as ``"5%"``.
        interval : float
            Seconds from one look to the next.
        """
        return watch_totals(self, quote, threshold=threshold, interval=interval)

    # How it came to be so

    async def history(
        self, account: str, *, wallet: str | None = None, since: Instant | None = None, limit: int | None = None
    ) -> list[Balance]:
        """
        Return what an account held in the past, oldest first: a snapshot for each change that a request found.

        No request. With a cache, what any process that shares it found, for 90 days after the last change; of two
        changes that two processes find in one moment, one may be missing.

        Parameters
        ----------
        account : str
            Its name.
        wallet : str, optional
            As of `fetch`. Of several together there is a snapshot for each change of one, once all are known.
        since : int or datetime, optional
            From when on, inclusive, by the clock of whoever asked: ms UTC, or aware.
        limit : int, optional
            Only the newest so many.

        Raises
        ------
        CacheUnavailable : the cache did not answer.
        """
        if limit is not None:
            check_count("limit", limit, 1)
        start = -math.inf if since is None else to_ms(since, name="since") / 1000
        one = self._accounts.get(account)
        chosen = self._fetching.chosen(one, wallet)
        found = merged({name: await self._snapshots.read(one.key_of(name)) for name in chosen})
        now = time.time()
        kept = [dataclasses.replace(balance, age=max(0.0, now - at)) for balance, at in found if at >= start]
        return kept if limit is None else kept[-limit:]

    @overload
    @staticmethod
    def diff(before: Balance, after: Balance) -> BalanceDifference: ...
    @overload
    @staticmethod
    def diff(before: Mapping[str, Balance], after: Mapping[str, Balance]) -> dict[str, BalanceDifference]: ...
    @staticmethod
    def diff(before: Any, after: Any) -> BalanceDifference | dict[str, BalanceDifference]:
        """
        Return what changed from one balance to another, or from one `fetch_all` to another; no request.

        Returns
        -------
        BalanceDifference, or dict of them by account
            Exact, by asset. Of accounts those alone that changed; one that failed either time is no change.

        Raises
        ------
        UsageError : balances of two accounts, or of different wallets; or one balance and one mapping of them.
        """
        if isinstance(before, Balance) and isinstance(after, Balance):
            return difference(before, after)
        if isinstance(before, Balance) or isinstance(after, Balance) or not isinstance(before, Mapping):
            raise UsageError("before and after were of two kinds; give two balances, or two results of fetch_all")
        return differences(before, after)

    # Who is held back

    def suspension(self, account: str) -> Suspension | None:
        """Return why an account's calls are held back, as far as this process knows; ``None``: they are not."""
        return self._suspensions.get(self._accounts.get(account).name)

    async def suspensions(self) -> dict[str, Suspension]:
        """Return the accounts whose calls are held back, by name, as all processes on the cache know them."""
        for name in self.accounts:
            with contextlib.suppress(TradeutilsError):  # of one that cannot be opened nothing is known
                self._accounts.get(name)
            await asyncio.sleep(0)
        return await self._suspensions.get_all()

    def resume(self, account: str) -> Resumption:
        """
        Let the next call of an account through: its key was mended, say. Holds here at once, elsewhere soon.

        What is returned may be awaited, and need not be.
        """
        return self._suspensions.resume(self._accounts.get(account).name)

    def subscribe(self, callback: Callable[[AccountEvent], object]) -> Callable[[], None]:
        """Have a function called with every `AccountEvent`; return what ends that."""
        return self._suspensions.subscribe(callback)

    def stats(self) -> Mapping[str, AccountStats]:
        """Return what this process did for each account, by name. Safe in any thread."""
        return self._suspensions.stats()

    async def aclose(self) -> None:
        """Hear of no more changes, and wait until the cache was told of the last; exchanges and cache stay open."""
        self._accounts.leave()
        await self._answers.settle()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # How it works

    def _drop(self, one: OpenAccount) -> None:
        self._answers.drop([one.key_of(wallet) for wallet in one.exchange.wallets])

    def _origin(self, name: str) -> str:
        return self._accounts.get(name).exchange.origin

    def _in_order(self) -> Sequence[str]:
        """Return the accounts as they are to be asked."""

        def rank(name: str) -> tuple[bool, float]:
            waits = name not in self._first and not self._accounts.has_open_orders(name)
            return waits, self._fetching.asked_at(name)

        return sorted(self.accounts, key=rank)
