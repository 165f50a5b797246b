"""
The same API, blocking: for scripts, notebooks and code on a ``ThreadPoolExecutor``.

Every object here drives its asynchronous twin on one event loop that runs in a thread of its own, so calls
may come from many threads at once and share connections, single-flight and rate limits as tasks do. The
methods are those of the twin: same names, parameters, results and errors.

Examples
--------
>>> from tradeutils import sync
>>> with sync.Exchange("binance") as exchange:  # doctest: +SKIP
...     candles = exchange.fetch_ohlcv("BTC/USDT", "1h", limit=100)
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import contextvars
import functools
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, Literal, ParamSpec, Protocol, Self, TypeVar

from tradeutils import balances as _balances
from tradeutils import cache as _cache
from tradeutils import exchange as _exchange
from tradeutils.balances.blocking import BlockingBalances
from tradeutils.budget import Budget
from tradeutils.errors import Closed, UsageError
from tradeutils.exchange.blocking import BlockingExchange
from tradeutils.history.blocking import BlockingHistory
from tradeutils.settings import Account, ExchangeSettings, Settings

__all__ = ["Balances", "Cache", "Exchange", "Exchanges", "HeldLock", "History"]

P = ParamSpec("P")
R = TypeVar("R")

_EXIT_WAIT_S: Final = 2.0  # how long the end of the process waits for connections to close


class _Loop:
    """One event loop in a daemon thread, started on first use and again in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.ended = False
        self._open: weakref.WeakSet[_Blocking[Any]] = weakref.WeakSet()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run ``coroutine`` on the loop and wait for it; Ctrl-C cancels it."""
        if self.ended:
            coroutine.close()
            raise Closed("the process is ending, and blocking objects were closed; use them before that")
        loop = self._started()
        if threading.get_ident() == getattr(loop, "_thread_id", None):
            coroutine.close()
            raise UsageError(
                "a blocking call was made on the event loop's own thread; await the asynchronous API there"
            )
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        finally:
            future.cancel()  # no effect once done; after Ctrl-C it ends the work

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="tradeutils-sync", daemon=True)
                self._thread.start()
            return self._loop

    def remember(self, opened: _Blocking[Any]) -> None:
        self._open.add(opened)

    def close_all(self) -> None:
        """Close what was left open, so that the process ends without warnings."""
        with self._lock:
            self.ended = True
        if self._loop is None or self._thread is None:
            return
        for opened in list(self._open):
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(opened._twin.aclose(), self._loop).result(_EXIT_WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_EXIT_WAIT_S)


_loop = _Loop()
atexit.register(lambda: _loop.close_all())


def _after_fork() -> None:
    global _loop
    _loop = _Loop()  # threads do not survive a fork


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


async def _on_own_thread(function: Callable[[], R]) -> R:
    """Run ``function`` on a new thread: a pool of any size would run dry where fetches ask for one another."""
    outcome: concurrent.futures.Future[R] = concurrent.futures.Future()

    def work() -> None:
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001  # whatever it raises belongs to who waits
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    context = contextvars.copy_context()
    threading.Thread(target=work, name="tradeutils-fetch", daemon=True).start()
    return await asyncio.wrap_future(outcome)


class _Closable(Protocol):
    async def aclose(self) -> None: ...


Twin = TypeVar("Twin", bound=_Closable)


class _Blocking(Generic[Twin]):
    """What all blocking objects share: the twin, the loop it lives on, and how they end."""

    _twin: Twin

    def _live(self, make: Callable[[], Twin]) -> None:
        async def made() -> Twin:
            return make()

        self._pid = os.getpid()
        self._twin = _loop.run(made())
        _loop.remember(self)

    @classmethod
    def _around(cls, twin: Twin) -> Self:
        """Return the blocking form of an object that lives on the loop already."""
        made = cls.__new__(cls)
        made._pid = os.getpid()
        made._twin = twin
        return made

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        if self._pid != os.getpid():
            coroutine.close()
            raise Closed(f"this {type(self).__name__} was opened before a fork; open another in the new process")
        return _loop.run(coroutine)

    def __repr__(self) -> str:
        return f"<sync {self._twin!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Safe to call twice, and at the end of the process."""
        if not _loop.ended:
            self._run(self._twin.aclose())


def _blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Any, P], R]:
    """Return the blocking form of a twin's coroutine method: signature, types and docstring are the twin's."""

    @functools.wraps(method)
    def call(self: _Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(method(self._twin, *args, **kwargs))

    return call


class Exchange(_Blocking[_exchange.Exchange], BlockingExchange):
    """
    A venue, blocking; see `tradeutils.Exchange`.

    Parameters
    ----------
    venue : str
        ccxt's id: ``"binance"``.
    account, url, options, settings, retries, deadline, info, close_grace
        As for `tradeutils.Exchange`.
    cache : sync.Cache or None
        A blocking cache, shared with other blocking objects.
    budget : Budget or None
        As for `tradeutils.Exchange`; one that is used by asynchronous code too must be a `tradeutils.LocalBudget`,
        which serves many event loops.
    """

    def __init__(
        self,
        venue: str,
        *,
        account: Account | None = None,
        cache: Cache | None = None,
        budget: Budget | None = None,
        url: str | None = None,
        options: Mapping[str, Any] | None = None,
        settings: ExchangeSettings | None = None,
        retries: int = 3,
        deadline: float = 30.0,
        info: bool = False,
        close_grace: float = 1.0,
    ) -> None:
        shared = None if cache is None else cache._twin
        self._live(
            lambda: _exchange.Exchange(
                venue,
                account=account,
                cache=shared,
                budget=budget,
                url=url,
                options=options,
                settings=settings,
                retries=retries,
                deadline=deadline,
                info=info,
                close_grace=close_grace,
            )
        )

    fetch_time = _blocking(_exchange.Exchange.fetch_time)
    load_markets = _blocking(_exchange.Exchange.load_markets)
    fetch_ticker = _blocking(_exchange.Exchange.fetch_ticker)
    fetch_tickers = _blocking(_exchange.Exchange.fetch_tickers)
    fetch_ohlcv = _blocking(_exchange.Exchange.fetch_ohlcv)
    fetch_panel = _blocking(_exchange.Exchange.fetch_panel)
    fetch_order_book = _blocking(_exchange.Exchange.fetch_order_book)
    fetch_trades = _blocking(_exchange.Exchange.fetch_trades)
    screen = _blocking(_exchange.Exchange.screen)
    fetch_funding_rate = _blocking(_exchange.Exchange.fetch_funding_rate)
    fetch_funding_rates = _blocking(_exchange.Exchange.fetch_funding_rates)
    fetch_funding_rate_history = _blocking(_exchange.Exchange.fetch_funding_rate_history)
    fetch_open_interest = _blocking(_exchange.Exchange.fetch_open_interest)
    fetch_open_interest_history = _blocking(_exchange.Exchange.fetch_open_interest_history)
    fetch_mark_ohlcv = _blocking(_exchange.Exchange.fetch_mark_ohlcv)
    fetch_index_ohlcv = _blocking(_exchange.Exchange.fetch_index_ohlcv)
    fetch_balance = _blocking(_exchange.Exchange.fetch_balance)
    fetch_open_orders = _blocking(_exchange.Exchange.fetch_open_orders)
    create_order = _blocking(_exchange.Exchange.create_order)
    cancel_order = _blocking(_exchange.Exchange.cancel_order)
    cancel_all = _blocking(_exchange.Exchange.cancel_all)
    fetch_order = _blocking(_exchange.Exchange.fetch_order)
    fetch_orders = _blocking(_exchange.Exchange.fetch_orders)
    fetch_closed_orders = _blocking(_exchange.Exchange.fetch_closed_orders)
    fetch_my_trades = _blocking(_exchange.Exchange.fetch_my_trades)
    fetch_trading_fee = _blocking(_exchange.Exchange.fetch_trading_fee)
    estimate_fee = _blocking(_exchange.Exchange.estimate_fee)


class Exchanges(_Blocking[_exchange.Exchanges]):
    """
    Many venues and accounts, blocking; see `tradeutils.Exchanges`.

    Parameters
    ----------
    settings, budget, info, retries, deadline, close_grace
        As for `tradeutils.Exchanges`.
    cache : sync.Cache or None
        A blocking cache, shared with other blocking objects. ``None``: that of the settings.

    Examples
    --------
    >>> with sync.Exchanges(Settings.load("tradeutils.toml")) as exchanges:  # doctest: +SKIP
    ...     balance = exchanges.account("alice").fetch_balance()
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
    ) -> None:
        shared = None if cache is None else cache._twin
        self._live(
            lambda: _exchange.Exchanges(
                settings,
                cache=shared,
                budget=budget,
                info=info,
                retries=retries,
                deadline=deadline,
                close_grace=close_grace,
            )
        )
        self._cache = cache or Cache._around(self._twin.cache)
        self._lock = threading.Lock()
        self._views: dict[_exchange.Exchange, Exchange] = {}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, as in the settings."""
        return self._twin.accounts

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues that the settings name, by themselves or for an account, and others that were opened."""
        return self._twin.venues

    @property
    def cache(self) -> Cache:
        """The cache through which their answers are shared."""
        return self._cache

    def __iter__(self) -> Iterator[str]:
        """Iterate over `venues`."""
        return iter(self._twin)

    def __len__(self) -> int:
        return len(self._twin)

    def __contains__(self, venue: object) -> bool:
        return venue in self._twin

    def __getitem__(self, venue: str) -> Exchange:
        """Return a venue as anybody sees it; errors as of `tradeutils.Exchanges`."""
        return self._view(lambda: self._twin[venue])

    def account(self, name: str) -> Exchange:
        """Return the exchange of an account, as it sees it; errors as of `tradeutils.Exchanges.account`."""
        return self._view(lambda: self._twin.account(name))

    def _view(self, find: Callable[[], _exchange.Exchange]) -> Exchange:
        async def found() -> _exchange.Exchange:
            return find()

        twin = self._run(found())
        with self._lock:
            self._views = {one: view for one, view in self._views.items() if not one.is_closed}
            return self._views.setdefault(twin, Exchange._around(twin))


class Cache(_Blocking[_cache.Cache]):
    """
    A cache, blocking; see `tradeutils.Cache`.

    Parameters
    ----------
    url, namespace, timeout
        As for `tradeutils.Cache`.
    """

    def __init__(self, url: str | None = None, *, namespace: str = "tu", timeout: float = 0.25) -> None:
        self._live(lambda: _cache.Cache(url, namespace=namespace, timeout=timeout))

    get = _blocking(_cache.Cache.get)
    set = _blocking(_cache.Cache.set)
    get_many = _blocking(_cache.Cache.get_many)
    set_many = _blocking(_cache.Cache.set_many)
    delete = _blocking(_cache.Cache.delete)
    invalidate = _blocking(_cache.Cache.invalidate)
    stats = _blocking(_cache.Cache.stats)

    server = _blocking(_cache.Cache.server)

    def scan(self, prefix: str = "") -> list[str]:
        """Return the keys of this namespace that start with ``prefix`` (literally), in no order."""

        async def collected() -> list[str]:
            return [key async for key in self._twin.scan(prefix)]

        return self._run(collected())

    def get_or_fetch(self, key: str, fetch: Callable[[], R], ttl: float | None, stale: float | None = None) -> R:
        """
        Return the value of ``key``, or call ``fetch`` once for all who ask and keep what it returns.

        As `tradeutils.Cache.get_or_fetch`, but ``fetch`` is an ordinary function; it runs on a thread of its
        own and may use blocking objects itself.
        """

        async def fetched() -> R:
            return await _on_own_thread(fetch)

        return self._run(self._twin.get_or_fetch(key, fetched, ttl, stale))

    @contextlib.contextmanager
    def lock(self, name: str, ttl: float) -> Iterator[HeldLock]:
        """Hold the lock ``name`` for the block, at most ``ttl`` seconds; see `tradeutils.Cache.lock`."""

        async def entered() -> _cache.Lock:
            return await self._twin.lock(name, ttl).__aenter__()

        held = self._run(entered())
        try:
            yield HeldLock(held, self._run)
        except BaseException as error:
            self._run(held.__aexit__(type(error), error, error.__traceback__))
            raise
        self._run(held.__aexit__(None, None, None))


class HeldLock:
    """A lock while it is held, as `Cache.lock` yields it."""

    def __init__(self, lock: _cache.Lock, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._lock = lock
        self._run = run

    def extend(self, ttl: float) -> None:
        """Let the lock last ``ttl`` seconds from now; `CacheError` where it has ended already."""
        self._run(self._lock.extend(ttl))


class Balances(_Blocking[_balances.Balances], BlockingBalances):
    """
    Balances of accounts, blocking; see `tradeutils.Balances`.

    Parameters
    ----------
    exchanges : sync.Exchanges, sync.Exchange, or iterable of sync.Exchange
        All accounts of the settings, or exchanges that were each opened with ``account=``.
    cache : sync.Cache or None
        A blocking cache, shared with other blocking objects.
    wallets, ttl, priority, snapshots
        As for `tradeutils.Balances`.
    """

    def __init__(
        self,
        exchanges: Exchanges | Exchange | Iterable[Exchange],
        *,
        cache: Cache | None = None,
        wallets: Literal["all"] | Iterable[str] | None = None,
        ttl: float = 2.0,
        priority: Iterable[str] = (),
        snapshots: int = 100,
    ) -> None:
        given: Any = exchanges
        if isinstance(exchanges, Exchange | Exchanges):
            given = exchanges._twin
        elif isinstance(exchanges, Iterable) and not isinstance(exchanges, str):
            given = [getattr(one, "_twin", one) for one in exchanges]
        shared = None if cache is None else cache._twin
        self._live(
            lambda: _balances.Balances(
                given, cache=shared, wallets=wallets, ttl=ttl, priority=priority, snapshots=snapshots
            )
        )

    fetch = _blocking(_balances.Balances.fetch)
    fetch_all = _blocking(_balances.Balances.fetch_all)
    total = _blocking(_balances.Balances.total)
    totals = _blocking(_balances.Balances.totals)
    history = _blocking(_balances.Balances.history)
    suspensions = _blocking(_balances.Balances.suspensions)


class History(BlockingHistory):
    """Candles on disk, filled through a blocking exchange; see `tradeutils.History`."""

    def _waited(self, work: Coroutine[Any, Any, R]) -> R:
        return _loop.run(work)

    def _elsewhere(self, function: Callable[[], R]) -> Coroutine[Any, Any, R]:
        return _on_own_thread(function)

    def _awaited(self, exchange: Any) -> _exchange.Exchange:
        if not isinstance(exchange, Exchange):
            raise UsageError(f"exchange was a {type(exchange).__name__}; give a tradeutils.sync.Exchange")
        return exchange._twin
