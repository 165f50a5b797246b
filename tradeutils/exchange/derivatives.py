"""The part of an `Exchange` that is about swaps and futures: funding, open interest, mark and index prices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tradeutils.errors import UsageError
from tradeutils.exchange.candles.histories import HistoryRequest, fetch_history
from tradeutils.exchange.checks import candle_range, several
from tradeutils.exchange.market_data import MarketData
from tradeutils.exchange.sharing import HISTORY_TTL, TICKER_TTL
from tradeutils.model import Candles, FundingRate, Market, OpenInterest
from tradeutils.timeframe import Instant

__all__ = ["Derivatives"]

_DEFAULT_VALUES: Final = 100  # of a history, where nothing bounds its start: a page of every venue
_FUNDING_STEP_MS: Final = 8 * 3_600_000  # what most swaps have; the venue's own is learnt from its answer
_SWAPS: Final = ("swap",)
_CONTRACTS: Final = ("swap", "future", "option")


class Derivatives(MarketData):
    """
    What anybody may ask about swaps and futures: symbols such as ``"BTC/USDT:USDT"``.

    A spot symbol is a `UsageError` that names the swap of its base.
    """

    async def fetch_funding_rate(self, symbol: str) -> FundingRate:
        """Return what the holders of a swap are about to pay one another. One request."""
        await self._contract(symbol, "fetch_funding_rate", "fetchFundingRate", _SWAPS)
        return await self._sharing.answer(
            f"funding:{symbol}", TICKER_TTL, lambda: self._venue.fetch_funding_rate(symbol)
        )

    async def fetch_funding_rates(self, symbols: Iterable[str] | None = None) -> dict[str, FundingRate]:
        """
        Return funding rates by symbol; ``None``: of every swap that the venue names at once (binance: the linear ones).

        One request for each kind of swap (linear, inverse).
        """
        self._check_offered("fetchFundingRates", "fetch_funding_rates")
        if symbols is None:
            await self._venue.load_markets()
            found = await self._sharing.answer("fundings", TICKER_TTL, lambda: self._venue.fetch_funding_rates(None))
            return dict(found)
        asked = "fetch_funding_rates", "fetchFundingRates", _SWAPS
        markets = [await self._contract(symbol, *asked) for symbol in several(symbols)]
        return await self._of_each_kind(markets, "fundings", self._venue.fetch_funding_rates)

    async def fetch_funding_rate_history(
        self,
        symbol: str,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        partial: bool = False,
    ) -> list[FundingRate]:
        """
        Return what the holders of a swap have paid one another, oldest first, each payment once.

        Parameters
        ----------
        since, until : int ms or aware datetime, optional
            Payments in ``[since, until)``.
        limit : int, optional
            The newest ``limit`` of them. Default: all from ``since``; without ``since``, 100.
        partial : bool
            Take what there is where the venue no longer keeps the first part of the range.

        Raises
        ------
        UsageError : ``symbol`` is no swap; ``limit`` < 1, ``since`` not before ``until``, a naive datetime.
        RangeNotServed : the venue no longer keeps the first part of the range (okx: three months, taken for 90 days);
            ``first`` is the oldest that it has.

        Notes
        -----
        One request a page (binance: 1000, bybit: 200, else 100), from the newest back, and two or three more where the
        swap was listed after ``since``. Served again from the cache for a minute.
        """
        start, end, limit = candle_range(since, until, limit, default=_DEFAULT_VALUES)
        operation = "fetch_funding_rate_history"
        market = await self._contract(symbol, operation, "fetchFundingRateHistory", _SWAPS)

        async def fetch() -> list[FundingRate]:
            request = HistoryRequest(
                lambda first, last, count: self._venue.fetch_past_funding(symbol, first, last, count),
                start, end, limit, self._venue.funding_page(), _FUNDING_STEP_MS, await self._venue.time(),
                kept=self._venue.funding_kept(), listed=market.listed or 0, partial=bool(partial),
                where={"venue": self.venue, "operation": operation, "symbol": symbol},
            )  # fmt: skip
            return await fetch_history(request)

        key = f"pastfunding:{symbol}:{start}:{end}:{limit}:{int(partial)}"
        return list(await self._sharing.answer_of_many(key, HISTORY_TTL, fetch))

    async def fetch_open_interest(self, symbol: str) -> OpenInterest:
        """Return what is open in one market of swaps, futures or options. One request."""
        await self._contract(symbol, "fetch_open_interest", "fetchOpenInterest", _CONTRACTS)
        return await self._sharing.answer(
            f"interest:{symbol}", TICKER_TTL, lambda: self._venue.fetch_open_interest(symbol)
        )

    async def fetch_open_interest_history(
        self,
        symbol: str,
        timeframe: str = "1h",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        partial: bool = False,
    ) -> list[OpenInterest]:
        """
        Return what was open in one market at the end of each ``timeframe``, oldest first, each once.

        As `fetch_funding_rate_history`. The venues keep these for a month or so (binance: 30 days; okx: 1440 of each
        timeframe); some have not all of their timeframes.

        Raises
        ------
        UsageError : ``symbol`` is no contract; ``limit`` < 1, ``since`` not before ``until``, a naive datetime.
        UnknownName : the venue has no such timeframe; its own are named.
        RangeNotServed : the venue no longer keeps the first part of the range; ``first`` is the oldest that it has.
        RequestRefused : the venue has candles of this timeframe, but no open interest.
        """
        frame = self._timeframe(timeframe)
        start, end, limit = candle_range(since, until, limit, default=_DEFAULT_VALUES)
        operation = "fetch_open_interest_history"
        market = await self._contract(symbol, operation, "fetchOpenInterestHistory", _CONTRACTS)

        async def fetch() -> list[OpenInterest]:
            request = HistoryRequest(
                lambda first, last, count: self._venue.fetch_past_interest(symbol, frame, first, last, count),
                start, end, limit, self._venue.interest_page(), frame.nominal_ms, await self._venue.time(),
                kept=self._venue.interest_kept(frame), listed=market.listed or 0, partial=bool(partial),
                where={"venue": self.venue, "operation": operation, "symbol": symbol},
            )  # fmt: skip
            return await fetch_history(request)

        key = f"pastinterest:{symbol}:{frame}:{start}:{end}:{limit}:{int(partial)}"
        return list(await self._sharing.answer_of_many(key, HISTORY_TTL, fetch))

    async def fetch_mark_ohlcv(
        self,
        symbol: str,
        timeframe: str = "1h",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        closed_only: bool = True,
        partial: bool = False,
    ) -> Candles:
        """
        Return candles of the mark price, by which positions are valued and liquidated; ``volume`` is NaN.

        Parameters, guarantees, errors and cost are those of `fetch_ohlcv`; a spot symbol is a `UsageError`.
        """
        await self._contract(symbol, "fetch_mark_ohlcv", "fetchMarkOHLCV", _CONTRACTS)
        return await self._candles("mark", symbol, timeframe, since, until, limit, closed_only, partial)

    async def fetch_index_ohlcv(
        self,
        symbol: str,
        timeframe: str = "1h",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        closed_only: bool = True,
        partial: bool = False,
    ) -> Candles:
        """
        Return candles of the index, the price of the underlying on spot markets; ``volume`` is NaN.

        Parameters, guarantees, errors and cost are those of `fetch_ohlcv`; a spot symbol is a `UsageError`.
        """
        await self._contract(symbol, "fetch_index_ohlcv", "fetchIndexOHLCV", _CONTRACTS)
        return await self._candles("index", symbol, timeframe, since, until, limit, closed_only, partial)

    async def _contract(self, symbol: str, operation: str, feature: str, kinds: tuple[str, ...]) -> Market:
        market = await self._market(symbol, operation, feature)
        if market.type in kinds:
            return market
        markets = await self._venue.load_markets()
        alike = [one for one in markets.values() if one.base == market.base and one.type == "swap"]
        alike.sort(key=lambda one: (one.quote != market.quote, not one.linear, one.symbol))
        remedy = f"write {alike[0].symbol!r}" if alike else f"{self.venue} lists no swap of {market.base}"
        raise UsageError(
            f"{self.venue} {operation}: symbol was {symbol!r}, which is of type {market.type}; this is asked of "
            f"{' and '.join(f'{kind}s' for kind in kinds)}: {remedy}"
        )
