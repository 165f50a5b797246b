"""What a venue tells anybody, through ccxt: tickers, candles, books and trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tradeutils.exchange import parse
from tradeutils.exchange.base import Row
from tradeutils.exchange.calls import Call, header
from tradeutils.exchange.clock import VenueClock, parse_date
from tradeutils.exchange.connection import Connection
from tradeutils.exchange.timekeeping import Timekeeper
from tradeutils.model import Market, OrderBook, Ticker, Trade
from tradeutils.timeframe import Timeframe

__all__ = ["CcxtData"]


class CcxtData:
    """
    The public data of one exchange through ccxt's own class.

    Parameters
    ----------
    connection : Connection
        Where requests leave.
    keeper : Timekeeper
        Knows the venue's time.
    timeframes : mapping
        What candles there are, and how the venue writes it.
    """

    def __init__(self, connection: Connection, keeper: Timekeeper, timeframes: Mapping[Timeframe, str]) -> None:
        self._connection = connection
        self._ccxt = connection.ccxt
        self._clock: VenueClock = connection.clock
        self._keeper = keeper
        self._timeframes = timeframes

    @property
    def name(self) -> str:
        return self._connection.name

    @property
    def timeframes(self) -> Mapping[Timeframe, str]:
        return self._timeframes

    def page_limit(self, market: Market) -> int | None:
        limit = self._ccxt.feature_value_by_type(market.type, _sub_type(market), "fetchOHLCV", "limit", None)
        return int(limit) if limit else None

    async def fetch_ticker(self, symbol: str) -> Ticker:
        async def work(_: Call) -> Ticker:
            return parse.ticker(await self._ccxt.fetch_ticker(symbol))

        return await self._connection.read("fetch_ticker", work, symbol=symbol)

    async def fetch_tickers(self, symbols: Sequence[str] | None) -> dict[str, Ticker]:
        async def work(_: Call) -> dict[str, Ticker]:
            raw = await self._ccxt.fetch_tickers(None if symbols is None else list(symbols))
            return {symbol: parse.ticker(entry) for symbol, entry in raw.items()}

        return await self._connection.read("fetch_tickers", work)

    async def fetch_candle_rows(
        self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int
    ) -> tuple[int, list[Row]]:
        await self.time()
        name = self.timeframes[timeframe]

        async def work(call: Call) -> tuple[Call, list[Row]]:
            return call, await self._ccxt.fetch_ohlcv(symbol, name, since, limit)

        reply, rows = await self._connection.read("fetch_ohlcv", work, symbol=symbol)
        if not self._clock.known:  # the reply's Date contradicted the clock: learn it again, then look back
            await self.time()
        left = self._clock.at(reply.sent)
        stamped = parse_date(header(reply.headers, "Date"))
        # The venue cannot have received the request after it stamped the reply, which is cut to seconds.
        return (left if stamped is None else min(left, stamped + 999)), rows

    async def fetch_order_book(self, symbol: str, limit: int | None) -> OrderBook:
        async def work(_: Call) -> OrderBook:
            return parse.order_book(await self._ccxt.fetch_order_book(symbol, limit), symbol)

        return await self._connection.read("fetch_order_book", work, symbol=symbol)

    async def fetch_trades(self, symbol: str, *, since: int | None, limit: int | None) -> list[Trade]:
        async def work(_: Call) -> list[Trade]:
            return [parse.trade(raw, symbol) for raw in await self._ccxt.fetch_trades(symbol, since, limit)]

        return await self._connection.read("fetch_trades", work, symbol=symbol)

    async def time(self) -> int:
        return await self._keeper.time()


def _sub_type(market: Market) -> str | None:
    if market.type == "spot":
        return None
    return "linear" if market.linear else "inverse"
