"""What a venue tells anybody, through ccxt: tickers, candles, books and trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tradeutils.errors import BadReply
from tradeutils.exchange.base import Page
from tradeutils.exchange.candles.columns import CandleColumns
from tradeutils.exchange.candles.hidden_rows import RowReader
from tradeutils.exchange.requests.calls import Call, header
from tradeutils.exchange.requests.clock import VenueClock, parse_date
from tradeutils.exchange.requests.connection import Connection
from tradeutils.exchange.requests.replies import data_json
from tradeutils.exchange.requests.timekeeping import Timekeeper
from tradeutils.exchange.tickers.plans import FIGURES
from tradeutils.exchange.tickers.rows import TickerRows
from tradeutils.exchange.tickers.volumes import use_base_units
from tradeutils.exchange.venues import parse
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
        self._candles = CandleColumns(self._ccxt)
        use_base_units(self._ccxt)  # before its parser is learnt from
        self._tickers = TickerRows(self._ccxt, info=connection.info)

    @property
    def name(self) -> str:
        return self._connection.name

    @property
    def timeframes(self) -> Mapping[Timeframe, str]:
        return self._timeframes

    def page_limit(self, market: Market) -> int | None:
        limit = self._ccxt.feature_value_by_type(market.type, _sub_type(market), "fetchOHLCV", "limit", None)
        return int(limit) if limit else None

    def default_type(self) -> str:
        return str(self._ccxt.handle_market_type_and_params("fetchTickers", None, {})[0])

    async def fetch_ticker(self, symbol: str) -> Ticker:
        async def work(call: Call) -> Ticker:
            call.decode = data_json
            found = parse.ticker(await self._ccxt.fetch_ticker(symbol), info=self._connection.info)
            if all(getattr(found, name) is None for name in FIGURES):
                raise BadReply("the reply has no figure of a ticker")
            return found

        return await self._connection.read("fetch_ticker", work, symbol=symbol)

    async def fetch_tickers(self, symbols: Sequence[str] | None, *, kind: str | None = None) -> dict[str, Ticker]:
        async def work(call: Call) -> dict[str, Ticker]:
            return await self._tickers.fetch(call, symbols, {} if kind is None else {"type": kind})

        return await self._connection.read("fetch_tickers", work)

    async def fetch_candle_rows(
        self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int, price: str | None = None
    ) -> tuple[int, Page]:
        await self.time()
        name = self.timeframes[timeframe]
        operation = f"fetch_{price}_ohlcv" if price else "fetch_ohlcv"
        fetch = getattr(self._ccxt, operation)

        async def work(call: Call) -> tuple[Call, Page]:
            return call, await self._candles.fetch(call, symbol, lambda: fetch(symbol, name, since, limit))

        reply, rows = await self._connection.read(operation, work, symbol=symbol)
        if not self._clock.known:  # the reply's Date contradicted the clock: learn it again, then look back
            await self.time()
        left = self._clock.at(reply.sent)
        stamped = parse_date(header(reply.headers, "Date"))
        # The venue cannot have received the request after it stamped the reply, which is cut to seconds.
        return (left if stamped is None else min(left, stamped + 999)), rows

    async def fetch_order_book(self, symbol: str, limit: int | None) -> OrderBook:
        async def work(call: Call) -> OrderBook:
            reader = call.decode = RowReader()
            book = parse.order_book(
                await self._ccxt.fetch_order_book(symbol, limit), symbol, info=self._connection.info
            )
            if not len(book.bids) and not len(book.asks) and reader.says_something:
                raise BadReply("no level of the reply is one of a book")
            return book

        return await self._connection.read("fetch_order_book", work, symbol=symbol)

    async def fetch_trades(self, symbol: str, *, since: int | None, limit: int | None) -> list[Trade]:
        async def work(call: Call) -> list[Trade]:
            call.decode = data_json
            trades = await self._ccxt.fetch_trades(symbol, since, limit)
            return [parse.trade(raw, symbol, info=self._connection.info) for raw in trades]

        return await self._connection.read("fetch_trades", work, symbol=symbol)

    async def time(self) -> int:
        return await self._keeper.time()


def _sub_type(market: Market) -> str | None:
    if market.type == "spot":
        return None
    return "linear" if market.linear else "inverse"
