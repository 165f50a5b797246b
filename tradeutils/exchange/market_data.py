"""The part of an `Exchange` that anybody may ask: markets, prices, candles, books and trades."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, MutableMapping, Sequence
from typing import Any, Literal, TypeVar

from tradeutils import timeframe as _timeframe
from tradeutils.cache import Cache
from tradeutils.errors import BadSymbol, NotSupportedByVenue, TradeutilsError, UnknownName, UsageError
from tradeutils.exchange.base import Venue
from tradeutils.exchange.candles.pages import CandleRequest
from tradeutils.exchange.candles.panels import fetch_each
from tradeutils.exchange.checks import bounds, candle_range, check_choice, check_limit, several
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.exchange.sharing import BOOK_TTL, TICKER_TTL, Sharing
from tradeutils.model import Candles, Market, OrderBook, Panel, Ticker, Trade
from tradeutils.model.markets import MarketType
from tradeutils.timeframe import Instant, Timeframe

__all__ = ["MarketData"]

T = TypeVar("T")


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
        self._grace = 0  # milliseconds; see `CandleRequest`
        self._sharing = Sharing(venue, cache)

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

        Asked for once and kept, by all who share a cache; renewed in the background once an hour. ``reload=True`` asks
        again. Costs what ccxt's class needs (binance: three requests).
        """
        return dict(await self._venue.load_markets(reload=reload))

    async def fetch_ticker(self, symbol: str) -> Ticker:
        """
        Return the last 24 hours of one market. One request.

        Raises
        ------
        BadSymbol : the venue does not list it; the three nearest are named.
        NotSupportedByVenue : the venue has no such call; venues that do are named. As everywhere here.
        """
        await self._market(symbol, "fetch_ticker", "fetchTicker")
        return await self._sharing.answer(f"ticker:{symbol}", TICKER_TTL, lambda: self._venue.fetch_ticker(symbol))

    async def fetch_tickers(
        self,
        symbols: Iterable[str] | None = None,
        *,
        type: MarketType | None = None,  # noqa: A002  # the field's word, and ccxt's
    ) -> dict[str, Ticker]:
        """
        Return tickers by symbol.

        Parameters
        ----------
        symbols : iterable of str, optional
            Of any kind of market. ``None``: every market of ``type``.
        type : str, optional
            ``"spot"``, ``"swap"``, ``"future"`` or ``"option"``, in place of ``symbols``. ``None``: what the venue is
            asked about by default, which ccxt's option ``defaultType`` says (most venues: spot; bybit: swaps).

        Raises
        ------
        UsageError : both ``symbols`` and ``type``.
        UnknownName : the venue lists no market of this type; those that it lists are named.

        Notes
        -----
        One request for each kind of market (spot, linear swap, ...) on venues that answer for many at once.
        `Ticker.base_volume` is in base units for contracts too.
        """
        self._check_offered("fetchTickers", "fetch_tickers")
        if type is not None:
            if symbols is not None:
                raise UsageError(f"type was {type!r}, with symbols, which have types of their own; give one of them")
            return await self._tickers_of_type(type)
        if symbols is None:
            await self._venue.load_markets()  # as before each call: what was closed answers nothing, kept or not
            return dict(await self._sharing.answer("tickers", TICKER_TTL, lambda: self._venue.fetch_tickers(None)))
        markets = [await self._market(symbol, "fetch_tickers", "fetchTickers") for symbol in several(symbols)]
        return await self._of_each_kind(markets, "tickers", self._venue.fetch_tickers)

    async def _tickers_of_type(self, kind: str) -> dict[str, Ticker]:
        """Return tickers of all markets of one type: what comes at once, and then what that left out."""
        markets = await self._venue.load_markets()
        alike = {symbol: market for symbol, market in markets.items() if market.type == kind}
        if not alike:
            raise UnknownName("type", kind, sorted({market.type for market in markets.values()}), where=self.venue)
        # Asked as without a type where it may be: the answers are shared, and a venue that has no other markets may not
        # know the parameter either.
        asked = None if len(alike) == len(markets) or kind == self._venue.default_type() else kind
        key = "tickers" if asked is None else f"tickers:type={kind}"
        told = await self._sharing.answer(key, TICKER_TTL, lambda: self._venue.fetch_tickers(None, kind=asked))
        found = {symbol: ticker for symbol, ticker in told.items() if symbol in alike}
        covered = {_group(alike[symbol]) for symbol in found}
        rest = [market for market in alike.values() if market.active and _group(market) not in covered]
        return found | (await self._of_each_kind(rest, "tickers", self._venue.fetch_tickers) if rest else {})

    async def fetch_ohlcv(
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
            False keeps it with ``closed`` False. For ``close_grace`` seconds after its end a bar counts as forming
            until a later one has been traded.
        partial : bool
            Take what there is where the venue no longer keeps the first part of the range (kraken: its newest 720
            bars); ``time[0]`` says from when.

        Returns
        -------
        Candles
            Bars that nobody traded are absent: see `Candles.gaps`. A market that was listed later than ``since``
            begins with its first bar.

        Raises
        ------
        BadSymbol : the venue does not list it; the three nearest are named.
        UnknownName : the venue has no such timeframe; its own are named.
        UsageError : ``limit`` < 1, ``since`` not before ``until``, a naive datetime.
        RangeNotServed : the venue no longer keeps the first part of the range; ``first`` is the oldest that it has.

        Notes
        -----
        One request a page (binance: 1000 bars), up to eight at once, and one for the venue's clock the first time;
        one more where a range of several pages begins without bars.
        """
        return await self._candles(None, symbol, timeframe, since, until, limit, closed_only, partial)

    async def _candles(
        self,
        price: str | None,
        symbol: str,
        timeframe: str,
        since: Instant | None,
        until: Instant | None,
        limit: int | None,
        closed_only: bool,
        partial: bool,
    ) -> Candles:
        frame = self._timeframe(timeframe)
        start, end, limit = candle_range(since, until, limit)  # what is wrong by itself is said before any request
        name, feature = (
            (f"fetch_{price}_ohlcv", f"fetch{price.title()}OHLCV") if price else ("fetch_ohlcv", "fetchOHLCV")
        )
        market = await self._market(symbol, name, feature)
        request = CandleRequest(
            market, frame, start, end, limit, bool(closed_only), price, self._grace, partial=bool(partial)
        )
        return await self._sharing.candles(request)

    async def fetch_panel(
        self,
        symbols: Iterable[str],
        timeframe: str = "1h",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        closed_only: bool = True,
        partial: bool = False,
        on_error: Literal["raise", "skip"] = "raise",
        skipped: MutableMapping[str, TradeutilsError] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Panel:
        """
        Return candles of many symbols, aligned on time.

        As `fetch_ohlcv` for each symbol, concurrently; NaN where a symbol has no candle, and the newest
        ``limit`` rows of all.

        Parameters
        ----------
        since, until, limit, closed_only, partial
            As for `fetch_ohlcv`.
        on_error : str
            ``"raise"``: the first failure ends it, and all symbols are looked up before any candle is asked for.
            ``"skip"``: symbols that fail are left out; where all do, the error of the first is raised.
        skipped : dict, optional
            With ``on_error="skip"``: filled with the symbols left out and their errors. They are logged as well.
        progress : callable, optional
            Called with the number of symbols done and their total after each, skipped ones too. What it raises ends
            the whole.

        Examples
        --------
        >>> skipped = {}  # doctest: +SKIP
        >>> panel = await exchange.fetch_panel(symbols, "1m", on_error="skip", skipped=skipped)  # doctest: +SKIP
        """
        wanted, limit = several(symbols), check_limit(limit)
        if not wanted:
            raise UsageError("symbols was empty; name at least one, as in ['BTC/USDT']")
        check_choice("on_error", on_error, ("raise", "skip"))
        if skipped is not None and not isinstance(skipped, MutableMapping):
            raise UsageError(f"skipped was a {type(skipped).__name__}; give a dict, which is filled")
        self._timeframe(timeframe)
        candle_range(since, until, limit)

        async def one(symbol: str) -> Candles:
            return await self.fetch_ohlcv(
                symbol, timeframe, since=since, until=until, limit=limit, closed_only=closed_only, partial=partial
            )

        fetched, failed = await fetch_each(
            wanted,
            lambda symbol: self._market(symbol, "fetch_panel", "fetchOHLCV"),
            one,
            skip=on_error == "skip",
            progress=progress,
        )
        if skipped is not None:
            skipped.update(failed)
        panel = Panel.from_candles(fetched)
        return panel if limit is None else panel[-limit:]

    async def fetch_order_book(self, symbol: str, *, limit: int | None = None) -> OrderBook:
        """Return the best ``limit`` levels of each side (``None``: as many as the venue gives). One request."""
        limit = check_limit(limit)
        await self._market(symbol, "fetch_order_book", "fetchOrderBook")
        return await self._sharing.answer(
            f"book:{symbol}:{limit}", BOOK_TTL, lambda: self._venue.fetch_order_book(symbol, limit)
        )

    async def fetch_trades(self, symbol: str, *, since: Instant | None = None, limit: int | None = None) -> list[Trade]:
        """Return public trades, oldest first: from ``since``, or the newest ``limit``. One request; never cached."""
        limit, start = check_limit(limit), bounds(since, None)[0]
        await self._market(symbol, "fetch_trades", "fetchTrades")
        trades = await self._sharing.call(
            f"trades:{symbol}:{start}:{limit}", lambda: self._venue.fetch_trades(symbol, since=start, limit=limit)
        )
        return sorted(trades, key=lambda trade: trade.time)

    async def _of_each_kind(
        self, markets: Sequence[Market], key: str, fetch: Callable[[list[str]], Coroutine[Any, Any, dict[str, T]]]
    ) -> dict[str, T]:
        """Fetch values of many markets, one request for each kind: venues answer for one kind at a time."""
        kinds: dict[tuple[str, bool | None], list[str]] = {}
        for market in markets:
            kinds.setdefault((market.type, market.linear), []).append(market.symbol)

        async def one(symbols: list[str]) -> dict[str, T]:
            name = f"{key}:" + ",".join(sorted(symbols))
            return await self._sharing.answer(name, TICKER_TTL, lambda: fetch(symbols))

        found: dict[str, T] = {}
        for values in await all_or_first_error([one(symbols) for symbols in kinds.values()]):
            found |= values
        return {market.symbol: found[market.symbol] for market in markets if market.symbol in found}

    async def _market(self, symbol: str, operation: str, feature: str | None = None) -> Market:
        """Return a market of the venue, once it is known to offer what is asked of it, by ccxt's name."""
        if feature is not None:
            self._check_offered(feature, operation)
        markets = await self._venue.load_markets()
        market = markets.get(symbol) if isinstance(symbol, str) else None
        if market is None and isinstance(symbol, str):
            markets = await self._venue.look_again()  # it may have been listed since
            market = markets.get(symbol)
        if market is None:
            raise BadSymbol(symbol, markets, venue=self.venue, operation=operation)
        return market

    def _check_offered(self, feature: str, operation: str) -> None:
        if self._venue.offers(feature):
            return
        others = self._venue.offering(feature)
        told = f"among those that do are {', '.join(others)}" if others else "neither does any well-known one"
        raise NotSupportedByVenue(
            f"does not offer this; {told}", alternatives=others, venue=self.venue, operation=operation
        )

    def _timeframe(self, timeframe: str) -> Timeframe:
        try:
            frame = _timeframe.parse(timeframe)
        except UnknownName:
            frame = None
        if frame is None or frame not in self._venue.timeframes:
            raise UnknownName("timeframe", timeframe, self.timeframes, where=self.venue)
        return frame


def _group(market: Market) -> tuple[bool | None, str | None]:
    """Return what venues tell markets of one type apart by: some answer for those of one settlement at a time."""
    return market.linear, market.settle if market.linear else None
