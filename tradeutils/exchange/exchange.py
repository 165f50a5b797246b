"""`Exchange`: what a bot asks a venue for, checked before it is sent and shared through the cache."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from tradeutils import timeframe as _timeframe
from tradeutils.budget import Budget, default_budget
from tradeutils.cache import Cache
from tradeutils.errors import UnknownName, UsageError
from tradeutils.exchange.checks import candle_range, check_limit, several
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.exchange.paging import CandleRequest
from tradeutils.exchange.retry import Patience
from tradeutils.exchange.sharing import BOOK_TTL, TICKER_TTL, shared, shared_candles
from tradeutils.exchange.trading import Trading
from tradeutils.exchange.venue import CcxtVenue
from tradeutils.model import Candles, Market, OrderBook, Panel, Ticker, Trade
from tradeutils.settings import Account, ExchangeSettings
from tradeutils.timeframe import Instant, Timeframe, to_ms

__all__ = ["Exchange"]

T = TypeVar("T")

_PANEL_TASKS: Final = 32  # symbols in flight at once; the rate limit decides the pace, this only bounds memory


class Exchange(Trading):
    """
    One venue, seen by one account or by nobody.

    Parameters
    ----------
    venue : str
        ccxt's id: ``"binance"``, ``"kraken"``, ...
    account : Account or None
        Whose keys sign private requests; public ones need none.
    cache : Cache or None
        Answers are shared through it with every process that uses the same one: tickers for 1 s, books for
        0.25 s, candles until the next one closes. ``None``: every call is a request.
    budget : Budget or None
        Pays for every request, so that the venue is never asked for more than it allows. ``None``: shared with
        every process through the cache's Redis where it has one, else by all exchanges of this process.
    url : str or None
        ``"http://127.0.0.1:8080"``: scheme and host of every endpoint of the venue become this one, paths
        kept; a request to any other host is refused.
    options : mapping or None
        ccxt's own ``options`` for this venue.
    settings : ExchangeSettings or None
        What the settings say of this venue (``settings.exchanges.get(venue)``): timeout, rate limit, and
        ``url`` and ``options`` where they are not given here.
    retries : int
        How often a call that only reads is made again after an error that may pass (`TransientVenueError`), with
        growing pauses; every attempt pays from the budget.
    deadline : float
        Seconds after its first failure within which a call is made again, and within which the outcome of an order
        is found out; for which an order waits for room at most.

    Raises
    ------
    UnknownName : no such venue; the nearest are named.
    UsageError : ``url`` is not scheme and host, or ``account`` belongs to another venue; ``retries`` < 0, or
        ``deadline`` not above 0.
    NotSupportedByVenue : ``account`` is of a sandbox, and the venue has none.

    Notes
    -----
    Opens its connections on first use; ``async with`` closes them. ``since`` is inclusive and ``until``
    exclusive everywhere, int milliseconds UTC or aware datetimes.

    A call waits for the budget up to ten minutes, one about orders up to ``deadline``, and raises `RateLimited` as
    soon as it is known that it would take longer. The first signed request costs five more, which tell the venue's
    clock.

    Examples
    --------
    >>> async with Exchange("binance") as exchange:  # doctest: +SKIP
    ...     candles = await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=100)
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
    ) -> None:
        if cache is not None and not isinstance(cache, Cache):
            raise UsageError(f"cache was {type(cache).__name__}; give a Cache, as in Cache('redis://localhost:6379/0')")
        if budget is not None and (isinstance(budget, type) or not hasattr(budget, "acquire")):
            raise UsageError(f"budget was {_shown(budget)}; give a budget, as in LocalBudget() or RedisBudget(cache)")
        if settings is not None and not isinstance(settings, ExchangeSettings):
            raise UsageError(
                f"settings was {_shown(settings)}; give one venue's, as in settings.exchanges.get({venue!r})"
            )
        if options is not None and not isinstance(options, Mapping):
            raise UsageError(f"options was a {type(options).__name__}; give a mapping of ccxt's options")
        own = settings or ExchangeSettings()
        patience = Patience(retries, deadline)
        paying: list[Budget] = []

        def pay() -> Budget:
            paying.append(_default_budget(cache, own.egress) if budget is None else budget)
            return paying[0]

        opened = CcxtVenue(
            venue,
            budget=pay,
            windows=None if budget is None else budget.windows,
            account=account,
            url=own.url if url is None else url,
            settings=dataclasses.replace(own, options={**own.options, **(options or {})}),
            patience=patience,
        )
        super().__init__(opened, account, patience)
        self._cache = cache
        self._borrowed = paying[0] if budget is None else None  # it ends with the last who closes it

    def __repr__(self) -> str:
        of = f" account {self._account.name}" if self._account else ""
        return f"<Exchange {self._venue.origin}{of}>"

    @property
    def timeframes(self) -> Sequence[str]:
        """What `fetch_ohlcv` can be asked for here."""
        return list(self._venue.timeframes.values())

    @property
    def origin(self) -> str:
        """Where answers come from: the venue, and host, sandbox and options that change them."""
        return self._venue.origin

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a cache and a budget that were handed in stay open. Safe to call twice."""
        await self._venue.aclose()
        borrowed, self._borrowed = self._borrowed, None
        if borrowed is not None:
            await borrowed.aclose()

    async def fetch_time(self) -> int:
        """
        Return the venue's time, int milliseconds UTC.

        One request the first time; then reckoned on the monotonic clock and checked against every reply.
        """
        return await self._venue.time()

    async def load_markets(self, *, reload: bool = False) -> dict[str, Market]:
        """
        Return the venue's markets by symbol.

        Asked for once and kept; ``reload=True`` asks again. Costs what ccxt's class needs (binance: three requests).
        """
        return dict(await self._venue.load_markets(reload=reload))

    async def fetch_ticker(self, symbol: str) -> Ticker:
        """
        Return the last 24 hours of one market. One request.

        Raises
        ------
        BadSymbol : the venue does not list it; the nearest are named.
        """
        await self._market(symbol, "fetch_ticker")
        return await self._shared(f"ticker:{symbol}", TICKER_TTL, lambda: self._venue.fetch_ticker(symbol))

    async def fetch_tickers(self, symbols: Iterable[str] | None = None) -> dict[str, Ticker]:
        """
        Return tickers by symbol; ``None``: of every market.

        One request on venues that answer for many at once.
        """
        if symbols is None:
            return await self._shared("tickers", TICKER_TTL, lambda: self._venue.fetch_tickers(None))
        wanted = several(symbols)
        for symbol in wanted:
            await self._market(symbol, "fetch_tickers")
        if not wanted:
            return {}
        found = await self._shared(
            "tickers:" + ",".join(sorted(wanted)), TICKER_TTL, lambda: self._venue.fetch_tickers(wanted)
        )
        return {symbol: found[symbol] for symbol in wanted if symbol in found}

    async def fetch_ohlcv(
        self,
        symbol: str,
        timeframe: str = "1h",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        closed_only: bool = True,
    ) -> Candles:
        """
        Return candles, oldest first, each once.

        Parameters
        ----------
        symbol, timeframe : str
            ``"BTC/USDT"``, ``"1h"``.
        since, until : int ms or aware datetime, optional
            Bars that open in ``[since, until)``.
        limit : int, optional
            The newest ``limit`` of them. Default: all from ``since``; without ``since``, 500.
        closed_only : bool
            Leave out the bar that was still forming, by the venue's clock, when the request left;
            False keeps it with ``closed`` False.

        Returns
        -------
        Candles
            Bars that nobody traded are absent: see `Candles.gaps`. A venue that keeps only its newest bars
            (kraken: 720) gives those, whatever ``since`` says.

        Raises
        ------
        BadSymbol : the venue does not list it; the nearest are named.
        UnknownName : the venue has no such timeframe; its own are named.
        UsageError : ``limit`` < 1, ``since`` not before ``until``, a naive datetime.

        Notes
        -----
        One request a page (binance: 1000 bars), and one for the venue's clock the first time.
        """
        frame = self._timeframe(timeframe)
        start, end, limit = candle_range(since, until, limit)  # what is wrong by itself is said before any request
        market = await self._market(symbol, "fetch_ohlcv")
        request = CandleRequest(market, frame, start, end, limit, closed_only)
        return await shared_candles(self._cache, self._venue, request)

    async def fetch_panel(
        self,
        symbols: Iterable[str],
        timeframe: str = "1h",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        closed_only: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Panel:
        """
        Return candles of many symbols, aligned on time.

        As `fetch_ohlcv` for each symbol, concurrently; NaN where a symbol has no candle, and the newest
        ``limit`` rows of all. The first failure ends it and is raised.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of symbols done and their total after each.
        """
        wanted, limit = several(symbols), check_limit(limit)
        if not wanted:
            raise UsageError("symbols was empty; name at least one, as in ['BTC/USDT']")
        gate, done = asyncio.Semaphore(_PANEL_TASKS), 0

        async def one(symbol: str) -> Candles:
            nonlocal done
            async with gate:
                candles = await self.fetch_ohlcv(
                    symbol, timeframe, since=since, until=until, limit=limit, closed_only=closed_only
                )
            done += 1
            if progress is not None:
                progress(done, len(wanted))
            return candles

        panel = Panel.from_candles(await all_or_first_error([one(symbol) for symbol in wanted]))
        return panel if limit is None else panel[-limit:]

    async def fetch_order_book(self, symbol: str, *, limit: int | None = None) -> OrderBook:
        """Return the best ``limit`` levels of each side (``None``: as many as the venue gives). One request."""
        limit = check_limit(limit)
        await self._market(symbol, "fetch_order_book")
        return await self._shared(
            f"book:{symbol}:{limit}", BOOK_TTL, lambda: self._venue.fetch_order_book(symbol, limit)
        )

    async def fetch_trades(self, symbol: str, *, since: Instant | None = None, limit: int | None = None) -> list[Trade]:
        """Return public trades, oldest first: from ``since``, or the newest ``limit``. One request; never cached."""
        limit = check_limit(limit)
        await self._market(symbol, "fetch_trades")
        start = None if since is None else to_ms(since, name="since")
        trades = await self._venue.fetch_trades(symbol, since=start, limit=limit)
        return sorted(trades, key=lambda trade: trade.time)

    def _timeframe(self, timeframe: str) -> Timeframe:
        try:
            frame = _timeframe.parse(timeframe)
        except UnknownName:
            frame = None
        if frame is None or frame not in self._venue.timeframes:
            raise UnknownName("timeframe", timeframe, self.timeframes, where=self.venue)
        return frame

    async def _shared(self, key: str, ttl: float, fetch: Callable[[], Awaitable[T]]) -> T:
        return await shared(self._cache, self._venue.origin, key, ttl, fetch)


def _shown(value: object) -> str:
    """Name what was given by its type: an address may hold a password."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def _default_budget(cache: Cache | None, egress: str | None) -> Budget:
    """
    Return the budget of who names none; on Redis, exchanges that leave from another address have one of their own.

    Without Redis all exchanges of a process pay from one, wherever they leave from: that spends too little at worst.
    """
    return default_budget(cache, egress=egress or "default")
