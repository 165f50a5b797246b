"""The part of an `Exchange` that picks markets: ``screen``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from tradeutils.errors import Closed, TradeutilsError, UnknownName
from tradeutils.exchange.derivatives import Derivatives
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.exchange.tickers.screening import (
    DAY_MS,
    Criteria,
    Figures,
    Screened,
    SortKey,
    by_candles,
    by_market,
    by_ticker,
    criteria_of,
    ranked,
)
from tradeutils.model import Candles, Market, Ticker
from tradeutils.model.markets import MarketType

__all__ = ["Screening"]

_AT_ONCE: Final = 32  # symbols whose candles are fetched at once


class Screening(Derivatives):
    """The filter over all of a venue's markets."""

    async def screen(
        self,
        *,
        quote: str | Iterable[str] | None = None,
        base: str | Iterable[str] | None = None,
        type: MarketType | Iterable[MarketType] = "spot",  # noqa: A002  # the field's word, and ccxt's
        active: bool | None = True,
        include: str | Iterable[str] | None = None,
        exclude: str | Iterable[str] | None = None,
        min_quote_volume: float | None = None,
        max_quote_volume: float | None = None,
        max_spread: float | None = None,
        min_price: float | None = None,
        max_price: float | None = None,
        min_age_days: float | None = None,
        max_age_days: float | None = None,
        min_volatility: float | None = None,
        max_volatility: float | None = None,
        min_correlation: float | None = None,
        max_correlation: float | None = None,
        correlation_to: str | None = None,
        window: int = 30,
        sort_by: SortKey = "quote_volume",
        limit: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Screened:
        """
        Return the symbols of the markets that fit, best first, and of every other one why it does not.

        Parameters
        ----------
        quote, base : str or iterable of str, optional
            Currencies: ``"USDT"``, ``["USDT", "USDC"]``.
        type : str or iterable of str
            ``"spot"``, ``"swap"``, ``"future"`` ...
        active : bool or None
            Whether trading is on; ``None``: either.
        include, exclude : str or iterable of str, optional
            Patterns of symbols, with ``*``, ``?`` and ``[...]``: ``exclude=["*UP/USDT", "*DOWN/USDT"]``.
        min_quote_volume, max_quote_volume : float, optional
            Traded in 24 hours, in each market's own quote currency.
        max_spread : float, optional
            Ask minus bid as a fraction of their middle: 0.002 is 0.2 %.
        min_price, max_price : float, optional
            In each market's own quote currency.
        min_age_days, max_age_days : float, optional
            Days since trading began, by the market list; where it does not say, by the oldest daily candle.
        min_volatility, max_volatility : float, optional
            Standard deviation of daily log returns over ``window`` days, not annualised: 0.03 is 3 % a day.
        min_correlation, max_correlation : float, optional
            Of these returns with those of ``correlation_to``, -1 to 1, over the days that both were traded.
        correlation_to : str, optional
            A symbol of this venue: ``"BTC/USDT"``.
        window : int
            Days; a market with less than half of the returns in them is rejected.
        sort_by : str
            ``"quote_volume"``, ``"price"``, ``"volatility"``, ``"age_days"``, ``"correlation"``: the largest first;
            ``"spread"``, ``"symbol"``: the least. Ties by symbol.
        limit : int, optional
            Keep only the first so many.
        progress : callable, optional
            Called with the number of markets whose candles are there and their total after each.

        Returns
        -------
        Screened
            A sequence of symbols, with ``rejected`` (a reason for each symbol) and ``figures``.

        Raises
        ------
        UsageError : bounds that contradict one another, or are no numbers.
        UnknownName : no market has this quote or base; the nearest are named. `BadSymbol`: ``correlation_to``.
        NotSupportedByVenue : the venue has no call for all tickers; venues that do are named.

        Notes
        -----
        One tickers call for each type. Daily candles are asked for only where volatility, correlation, or an age that
        the market list lacks must be known, and only for markets that all else has kept: one request each, which
        the cache serves until the day ends. A figure that is asked about and not known rejects. A market whose
        candles cannot be had is rejected with the error. The arithmetic runs in a thread.

        Examples
        --------
        >>> async with Exchange("binance") as exchange:  # doctest: +SKIP
        ...     symbols = await exchange.screen(quote="USDT", min_quote_volume=1e6, max_spread=0.002, min_age_days=30)
        ...     symbols.rejected["DOGE/BTC"]
        """
        asked = criteria_of(
            quote=quote, base=base, type=type, active=active, include=include, exclude=exclude,
            min_quote_volume=min_quote_volume, max_quote_volume=max_quote_volume, max_spread=max_spread,
            min_price=min_price, max_price=max_price, min_age_days=min_age_days, max_age_days=max_age_days,
            min_volatility=min_volatility, max_volatility=max_volatility, min_correlation=min_correlation,
            max_correlation=max_correlation, correlation_to=correlation_to, window=window, sort_by=sort_by,
            limit=limit,
        )  # fmt: skip
        self._check_offered("fetchTickers", "screen")
        markets = await self._venue.load_markets()
        _check_currencies(markets, asked)
        if asked.correlation_to is not None:
            await self._market(asked.correlation_to, "screen", "fetchOHLCV")
        rejected = {symbol: reason for symbol, one in markets.items() if (reason := by_market(one, asked)) is not None}
        left = {symbol: market for symbol, market in markets.items() if symbol not in rejected}
        tickers, now = await self._tickers_of(left), await self._venue.time()
        figures, refused = await asyncio.to_thread(_by_tickers, left, tickers, now, asked)
        rejected |= refused
        figures, refused = await self._by_candles(figures, asked, now, progress)
        rejected |= refused
        kept, refused = ranked(figures, asked)
        return Screened(kept, rejected | refused, {symbol: figures[symbol] for symbol in kept})

    async def _tickers_of(self, markets: Mapping[str, Market]) -> dict[str, Ticker]:
        """Return tickers of all markets of these types, each type at once."""
        kinds = sorted({market.type for market in markets.values()})
        told = await all_or_first_error([self.fetch_tickers(type=kind) for kind in kinds])
        return {symbol: ticker for tickers in told for symbol, ticker in tickers.items()}

    async def _by_candles(
        self, figures: dict[str, Figures], asked: Criteria, now: int, progress: Callable[[int, int], None] | None
    ) -> tuple[dict[str, Figures], dict[str, str]]:
        """Judge what is left by daily candles, where anything asks for them."""
        days = {symbol: asked.days(age=known.age_days is None) for symbol, known in figures.items()}
        wanted = {symbol: bars for symbol, bars in days.items() if bars}
        if not wanted:
            return figures, {}
        self._check_offered("fetchOHLCV", "screen")
        candles, failed = await self._daily(wanted, now, progress)
        base = None
        if asked.correlation_to is not None:
            base = await self._days_of(asked.correlation_to, asked.window + 1, now)
        judged = {symbol: figures[symbol] for symbol in candles}
        found, refused = await asyncio.to_thread(by_candles, judged, candles, base, asked, now)
        unasked = {symbol: known for symbol, known in figures.items() if symbol not in wanted}
        return unasked | found, failed | refused

    async def _daily(
        self, wanted: Mapping[str, int], now: int, progress: Callable[[int, int], None] | None
    ) -> tuple[dict[str, Candles], dict[str, str]]:
        """Return the daily candles of many markets, and why some have none."""
        gate, candles, failed = asyncio.Semaphore(_AT_ONCE), dict[str, Candles](), dict[str, str]()

        async def one(symbol: str, bars: int) -> None:
            async with gate:
                try:
                    candles[symbol] = await self._days_of(symbol, bars, now)
                except Closed:
                    raise
                except TradeutilsError as error:
                    failed[symbol] = f"its daily candles could not be had: {error}"
            if progress is not None:
                progress(len(candles) + len(failed), len(wanted))

        await all_or_first_error([one(symbol, bars) for symbol, bars in wanted.items()])
        return {symbol: candles[symbol] for symbol in wanted if symbol in candles}, failed

    async def _days_of(self, symbol: str, bars: int, now: int) -> Candles:
        """Return the closed daily candles of the last ``bars`` days: of one range all day, so that it is asked once."""
        today = now - now % DAY_MS
        return await self.fetch_ohlcv(symbol, "1d", since=today - bars * DAY_MS)


def _check_currencies(markets: Mapping[str, Market], asked: Criteria) -> None:
    """Refuse currencies that no market has: a typing error, which would reject everything."""
    for name in ("quote", "base"):
        known: Collection[str] = {getattr(market, name) for market in markets.values()}
        for currency in getattr(asked, name):
            if currency not in known:
                raise UnknownName(name, currency, sorted(known))


def _by_tickers(
    markets: Mapping[str, Market], tickers: Mapping[str, Ticker], now: int, asked: Criteria
) -> tuple[dict[str, Figures], dict[str, str]]:
    found: dict[str, Figures] = {}
    rejected: dict[str, str] = {}
    for symbol, market in markets.items():
        figures, reason = by_ticker(market, tickers.get(symbol), now, asked)
        if reason is None:
            found[symbol] = figures
        else:
            rejected[symbol] = reason
    return found, rejected
