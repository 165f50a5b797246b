"""The part of an `Exchange` that anybody may ask: markets, prices, candles, books and trades."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from tradeutils import timeframe as _timeframe
from tradeutils.cache import Cache
from tradeutils.errors import BadSymbol, UnknownName, UsageError
from tradeutils.exchange.base import Venue
from tradeutils.exchange.checks import candle_range, check_limit, several
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.exchange.paging import CandleRequest
from tradeutils.exchange.sharing import BOOK_TTL, TICKER_TTL, shared, shared_candles
from tradeutils.model import Candles, Market, OrderBook, Panel, Ticker, Trade
from tradeutils.timeframe import Instant, Timeframe, to_ms

__all__ = ["MarketData"]

T = TypeVar("T")

_PANEL_TASKS: Final = 32  # symbols in flight at once; the rate limit decides the pace, this only bounds memory


class MarketData:
    """
    The part of an `Exchange` that needs no account.

    Parameters
    ----------
    venue : Venue
        Where it is asked.
    cache : Cache or None
        Through which answers are shared.
    """

    def __init__(self, venue: Venue, cache: Cache | None) -> None:
        self._venue = venue
        self._cache = cache

    @property
    def venue(self) -> str:
        """ccxt's id of the venue."""
        return self._venue.name

    @property
    def timeframes(self) -> Sequence[str]:
        """What `fetch_ohlcv` can be asked for here."""
        return list(self._venue.timeframes.values())

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

    async def _market(self, symbol: str, operation: str) -> Market:
        markets = await self._venue.load_markets()
        market = markets.get(symbol) if isinstance(symbol, str) else None
        if market is None:
            raise BadSymbol(symbol, markets, venue=self.venue, operation=operation)
        return market

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
