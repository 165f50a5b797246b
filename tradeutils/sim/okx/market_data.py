"""OKX's public endpoints about markets of every kind: the list, tickers, books, trades and candles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tradeutils import timeframe as _timeframe
from tradeutils.model.candles import Column
from tradeutils.sim.bars import TRADES_PER_BAR, Klines, TradeColumns
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.market import Day, Market
from tradeutils.sim.okx.errors import OkxError
from tradeutils.sim.okx.fields import Fields
from tradeutils.sim.okx.listing import describe_instrument
from tradeutils.sim.okx.names import KINDS, Names, amounts, inst_id, inst_type, prices
from tradeutils.sim.okx.paging import PAGE

__all__ = ["MarketData", "candle_rows", "describe_ticker", "levels", "trade_rows"]

# Those that open in UTC; those that open in Hong Kong ("1D") are not spoken.
_BARS: Final = {
    "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h", "2H": "2h", "4H": "4h", "6Hutc": "6h",
    "12Hutc": "12h", "1Dutc": "1d", "1Wutc": "1w", "1Mutc": "1M", "3Mutc": "3M",
}  # fmt: skip
_RECENT: Final = 1_440  # candles that the endpoints know that are not about history
_CANDLES: Final = 300  # of a page at most; 100 by default, and of mark and index prices
_TRADES: Final = 500
_LEVELS: Final = 400
_ALL_LEVELS: Final = 5_000
_DAY_MS: Final = 86_400_000
_HONG_KONG_MS: Final = 8 * 3_600_000  # ahead of UTC

Source = Callable[..., Klines]


class MarketData:
    """The public endpoints by path; each takes the parameters of one call and returns its data."""

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._market, self._books, self._names = venue.clock, venue.market, venue.books, names
        mark, index = self._market.mark_klines, self._market.index_klines
        self.endpoints: dict[str, Callable[[Fields], Any]] = {
            "public/time": self.time,
            "public/instruments": self.instruments,
            "market/ticker": self.ticker,
            "market/tickers": self.tickers,
            "market/books": lambda fields: self.book(fields, _LEVELS),
            "market/books-full": lambda fields: self.book(fields, _ALL_LEVELS),
            "market/trades": self.trades,
            "market/history-trades": self.past_trades,
            "market/candles": lambda fields: self.candles(fields, recent=True),
            "market/history-candles": lambda fields: self.candles(fields, recent=False),
            "market/mark-price-candles": lambda fields: self.marks(fields, mark, recent=True),
            "market/history-mark-price-candles": lambda fields: self.marks(fields, mark, recent=False),
            "market/index-candles": lambda fields: self.indices(fields, index, recent=True),
            "market/history-index-candles": lambda fields: self.indices(fields, index, recent=False),
        }

    def time(self, _fields: Fields) -> Any:
        """Tell the time."""
        return [{"ts": str(self._clock.now())}]

    def instruments(self, fields: Fields) -> Any:
        """List the markets of a type and their rules."""
        kind = fields.choice("instType", KINDS)
        if kind == "OPTION" and fields.text("uly") is None and fields.text("instFamily") is None:
            raise OkxError("50015", "uly", "instFamily")
        return [describe_instrument(one, self._market.listed(one.id)) for one in self._names.chosen(fields, kind)]

    def ticker(self, fields: Fields) -> Any:
        """Tell the last 24 hours of a market."""
        return [self._ticker(self._names.instrument(fields), self._clock.now())]

    def tickers(self, fields: Fields) -> Any:
        """Tell the last 24 hours of all markets of a type."""
        now, kind = self._clock.now(), fields.choice("instType", KINDS)
        return [self._ticker(one, now) for one in self._names.chosen(fields, kind)]

    def _ticker(self, instrument: Instrument, now: int) -> dict[str, str]:
        bids, asks = self._market.book(instrument.id, now, 1)
        return describe_ticker(self._market, instrument, self._market.day(instrument.id, now), bids, asks, now)

    def book(self, fields: Fields, most: int) -> Any:
        """Return the order book: price, amount, a figure without meaning, and how many orders."""
        instrument, now = self._names.instrument(fields), self._clock.now()
        book = self._books.read(instrument.id, now, fields.limit(1, most, "sz"))
        sides = {name: levels(side, instrument) for name, side in (("asks", book.asks), ("bids", book.bids))}
        return [{**sides, "ts": str(book.now), "seqId": book.sequence}]

    def trades(self, fields: Fields) -> Any:
        """Return the newest public trades, newest first; the side is that of the taker."""
        instrument = self._names.instrument(fields)
        found = self._market.trades(instrument.id, self._clock.now(), limit=fields.limit(PAGE, _TRADES))
        return trade_rows(found, instrument)

    def past_trades(self, fields: Fields) -> Any:
        """Return trades before or after one, by its id or (``type=2``) its time, newest first."""
        instrument, now, limit = self._names.instrument(fields), self._clock.now(), fields.limit(PAGE, PAGE)
        by_id = fields.choice("type", ("1", "2"), "1") == "1"
        after, before = fields.whole("after"), fields.whole("before")
        if not by_id:
            until = now if after is None else after - 1
            found = self._market.trades(instrument.id, now, until=until, limit=limit)
            return trade_rows(found[found.time > (before or 0)], instrument)
        newest = self._market.last(instrument.id, now).id.tolist()
        end = min(newest[0] + 1 if newest else 1, 2**63 - 1 if after is None else after)
        number = (end - 2) // TRADES_PER_BAR  # of the candle that the last trade before the end is in
        opened = self._market.rows(instrument.id, number, number + 1).time.tolist() if end > 1 else []
        if not opened:
            return []
        until = self._market.frame(instrument.id).shift(opened[0]) - 1
        found = self._market.trades(instrument.id, now, until=until, limit=limit + TRADES_PER_BAR)
        found = found[(found.id < end) & (found.id > (before or 0))]
        return trade_rows(found[max(0, len(found) - limit) :], instrument)

    def candles(self, fields: Fields, *, recent: bool) -> Any:
        """Return candles, newest first, with volumes as amounts, in base units (of spot in quote) and in quote."""
        instrument = self._names.instrument(fields)
        return candle_rows(self._page(instrument, fields, self._market.klines, _CANDLES, recent=recent), instrument)

    def marks(self, fields: Fields, source: Source, *, recent: bool) -> Any:
        """Return candles of the mark price of a swap, newest first."""
        instrument = self._names.swap(fields)
        return _rows(self._page(instrument, fields, source, PAGE, recent=recent), instrument)

    def indices(self, fields: Fields, source: Source, *, recent: bool) -> Any:
        """Return candles of an index, newest first."""
        instrument = self._names.index(fields)
        return _rows(self._page(instrument, fields, source, PAGE, recent=recent), instrument)

    def _page(self, instrument: Instrument, fields: Fields, source: Source, most: int, *, recent: bool) -> Klines:
        """Return the newest candles that open before ``after`` and behind ``before``, oldest first."""
        frame, now = _timeframe.parse(_BARS[fields.choice("bar", _BARS, "1m")]), self._clock.now()
        after, before = fields.whole("after"), fields.whole("before")
        found = source(instrument.id, frame.name, now, until=after, limit=fields.limit(PAGE, most))
        oldest = frame.shift(frame.floor(now), 1 - _RECENT) if recent else 0
        first = int(found.candles.time.searchsorted(max(oldest, 0 if before is None else before + 1)))
        return found[first:]


def describe_ticker(
    market: Market, instrument: Instrument, day: Day | None, bids: Column, asks: Column, now: int
) -> dict[str, str]:
    """Return the last 24 hours of a market, with the best bid and ask."""
    row = {"instType": inst_type(instrument), "instId": inst_id(instrument)}
    for side, best in (("bid", bids), ("ask", asks)):
        row[f"{side}Px"] = "".join(prices(best[:1, 0].tolist(), instrument))
        row[f"{side}Sz"] = "".join(amounts(best[:1, 1].tolist(), instrument))
    today = now // _DAY_MS * _DAY_MS
    there = (now + _HONG_KONG_MS) // _DAY_MS * _DAY_MS - _HONG_KONG_MS
    opens = {"sodUtc0": _opened(market, instrument, today), "sodUtc8": _opened(market, instrument, there)}
    return row | _day(instrument, day) | opens | {"ts": str(now)}


def _opened(market: Market, instrument: Instrument, moment: int) -> str:
    """Return the price at which a day opened."""
    first = market.ordinal(instrument.id, moment)
    return "".join(prices(market.rows(instrument.id, first, first + 1).open.tolist(), instrument))


def _day(instrument: Instrument, day: Day | None) -> dict[str, str]:
    if day is None:
        return dict.fromkeys(("last", "lastSz", "open24h", "high24h", "low24h", "vol24h", "volCcy24h"), "")
    names = ("last", "open24h", "high24h", "low24h")
    told = dict(zip(names, prices((day.last, day.open, day.high, day.low), instrument), strict=True))
    last, volume = amounts((day.last_amount, day.volume), instrument)
    in_base, in_quote = (
        f"{day.volume:.{instrument.amount_decimals}f}",
        f"{day.quote_volume:.{instrument.cost_decimals}f}",
    )
    currency = in_base if instrument.kind == "linear" else in_quote
    return {**told, "lastSz": last, "vol24h": volume, "volCcy24h": currency}


def levels(side: Column, instrument: Instrument) -> list[list[str]]:
    """Return a side of a book as OKX writes it: price, amount, a figure without meaning, and how many orders."""
    columns = zip(prices(side[:, 0].tolist(), instrument), amounts(side[:, 1].tolist(), instrument), strict=True)
    return [[price, amount, "0", "1"] for price, amount in columns]


def trade_rows(found: TradeColumns, instrument: Instrument) -> list[dict[str, str]]:
    """Return public trades as OKX writes them, newest first; the side is that of the taker."""
    columns = zip(
        found.id.tolist(),
        prices(found.price.tolist(), instrument),
        amounts(found.amount.tolist(), instrument),
        found.time.tolist(),
        found.buyer_is_maker.tolist(),
        strict=True,
    )
    name = inst_id(instrument)
    rows = [
        {
            "instId": name,
            "tradeId": str(number),
            "px": price,
            "sz": amount,
            "side": "sell" if sold else "buy",
            "source": "0",
            "ts": str(time),
        }
        for number, price, amount, time, sold in columns
    ]
    return rows[::-1]


def candle_rows(klines: Klines, instrument: Instrument) -> list[list[str]]:
    """Return candles, newest first, with volumes as amounts, in base units (of spot in quote) and in quote."""
    candles, quoted = klines.candles, [f"{one:.{instrument.cost_decimals}f}" for one in klines.quote_volume]
    volumes, in_currency = amounts(candles.volume.tolist(), instrument), quoted
    if instrument.kind == "linear":
        in_currency = [f"{one:.{instrument.amount_decimals}f}" for one in candles.volume.tolist()]
    return _rows(klines, instrument, volumes, in_currency, quoted)


def _rows(klines: Klines, instrument: Instrument, *volumes: list[str]) -> list[list[str]]:
    """Return candles as OKX writes them, newest first: when each opened, prices, volumes, and whether it is whole."""
    candles = klines.candles
    columns = zip(
        map(str, candles.time.tolist()),
        *(prices(column.tolist(), instrument) for column in (candles.open, candles.high, candles.low, candles.close)),
        *volumes,
        np.where(candles.closed, "1", "0").tolist(),
        strict=True,
    )
    return [list(row) for row in columns][::-1]
