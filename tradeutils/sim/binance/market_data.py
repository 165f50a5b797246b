"""Binance's public endpoints: klines, tickers, books and trades."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from tradeutils import timeframe as _timeframe
from tradeutils.model.candles import Column
from tradeutils.sim.bars import Klines, TradeColumns
from tradeutils.sim.binance.errors import BinanceError
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument, Kind
from tradeutils.sim.market import MAX_DEPTH, Day

__all__ = [
    "ZEROS",
    "MarketData",
    "depth_weight",
    "describe_day",
    "describe_top",
    "number",
    "rows_of",
    "texts",
    "tickers_weight",
]

_MAX_ROWS: Final = 1_000
ZEROS: Final = tuple("." + "0" * 8 if digits == 0 else "0" * (8 - digits) for digits in range(9))
"""By digits of a market: what Binance writes behind its numbers, which have eight."""
_MINI: Final = (
    "symbol", "openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume", "openTime", "closeTime",
    "firstId", "lastId", "count",
)  # fmt: skip


def depth_weight(values: dict[str, Any]) -> int:
    """Return what an order book costs: the deeper the more."""
    limit = values.get("limit", 100)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1_000 else 250


def tickers_weight(values: dict[str, Any]) -> int:
    """Return what 24-hour tickers cost: by the number of symbols, most for all."""
    if "symbol" in values:
        return 2
    asked = len(values["symbols"]) if "symbols" in values else 1_000
    return 2 if asked <= 20 else 40 if asked <= 100 else 80


def texts(values: Column, digits: int) -> list[str]:
    """Return numbers as Binance writes them; the digits beyond the market's own are zeros, not float noise."""
    zeros = ZEROS[digits]
    return [f"{value:.{digits}f}{zeros}" for value in values.tolist()]


def number(value: float, digits: int) -> str:
    """Return a number of so many digits as Binance writes it: with eight."""
    return f"{value:.{digits}f}{ZEROS[digits]}"


class MarketData:
    """The public endpoints, as plain values; every method takes the parameters of one call."""

    kind: ClassVar[Kind] = "spot"
    most_klines: ClassVar[int] = _MAX_ROWS

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._market = venue.market
        self._traded = venue.market.traded(self.kind)

    def ping(self, _values: dict[str, Any]) -> Any:
        """Answer that the venue is there."""
        return {}

    def time(self, _values: dict[str, Any]) -> Any:
        """Tell the venue's time."""
        return {"serverTime": self._venue.clock.now()}

    def instrument(self, name: str) -> Instrument:
        """Return a market by Binance's name for it, or raise `BinanceError`."""
        known = self._traded.get(name)
        if known is None:
            raise BinanceError(-1121)
        return known

    def chosen(self, values: dict[str, Any]) -> list[Instrument]:
        """Return the markets that ``symbol`` or ``symbols`` name, all where neither was sent."""
        if "symbol" in values and "symbols" in values:
            raise BinanceError(-1128)
        if "symbol" in values:
            return [self.instrument(values["symbol"])]
        if "symbols" in values:
            return [self.instrument(name) for name in values["symbols"]]
        return list(self._traded.values())

    def _each(self, values: dict[str, Any], describe: Any) -> Any:
        """Return what ``describe`` says of each chosen market: one object for ``symbol``, a list otherwise."""
        now = self._venue.clock.now()
        rows = [describe(instrument, now) for instrument in self.chosen(values)]
        return rows[0] if "symbol" in values else rows

    def klines(self, values: dict[str, Any]) -> Any:
        """Return candles, oldest first; ``startTime`` and ``endTime`` are inclusive and are about their opens."""
        instrument = self.instrument(values["symbol"])
        if values.get("timeZone", "0") not in ("0", "0:00", "00:00", "+0:00", "+00:00", "-0:00", "-00:00"):
            raise BinanceError(-1130, "timeZone")
        return self._candles(values, instrument, self._market.klines)

    def _candles(
        self,
        values: dict[str, Any],
        instrument: Instrument,
        klines_of: Callable[..., Klines],
        *,
        shown: Instrument | None = None,
    ) -> Any:
        """Return the klines of an instrument in the digits of ``shown``, by default its own."""
        end = values.get("endTime")
        klines = klines_of(
            instrument.id,
            values["interval"],
            self._venue.clock.now(),
            since=values.get("startTime"),
            until=None if end is None else end + 1,
            limit=rows_of(values, 500, self.most_klines),
        )
        candles, frame = klines.candles, _timeframe.parse(values["interval"])
        rules = instrument if shown is None else shown
        price, amount, cost = rules.price_decimals, rules.amount_decimals, rules.cost_decimals
        return list(
            zip(
                candles.time.tolist(),
                texts(candles.open, price),
                texts(candles.high, price),
                texts(candles.low, price),
                texts(candles.close, price),
                texts(candles.volume, amount),
                (frame.shift(candles.time) - 1).tolist(),
                texts(klines.quote_volume, cost),
                klines.trades.tolist(),
                texts(klines.taker_volume, amount),
                texts(klines.taker_quote, cost),
                ["0"] * len(candles),
                strict=True,
            )
        )

    def day(self, values: dict[str, Any]) -> Any:
        """Return 24-hour tickers, with bid and ask unless ``type`` is ``MINI``."""
        rows = self._each(values, self._day_of)
        if values.get("type") != "MINI":
            return rows
        if isinstance(rows, dict):
            return {name: rows[name] for name in _MINI}
        return [{name: row[name] for name in _MINI} for row in rows]

    def _day_of(self, instrument: Instrument, now: int) -> dict[str, Any]:
        return describe_day(instrument, self._market.day(instrument.id, now), self._top(instrument, now), now)

    def _top(self, instrument: Instrument, now: int) -> dict[str, str]:
        return describe_top(instrument, *self._market.book(instrument.id, now, 1))

    def price(self, values: dict[str, Any]) -> Any:
        """Return last prices."""
        return self._each(values, self._price_of)

    def _price_of(self, instrument: Instrument, now: int) -> dict[str, Any]:
        last = self._market.last(instrument.id, now)
        price = float(last.price[0]) if len(last) else 0.0
        return {"symbol": instrument.name, "price": number(price, instrument.price_decimals)}

    def book_ticker(self, values: dict[str, Any]) -> Any:
        """Return best bids and asks."""
        return self._each(values, lambda instrument, now: {"symbol": instrument.name, **self._top(instrument, now)})

    def average(self, values: dict[str, Any]) -> Any:
        """Return the mean price of the last five minutes."""
        instrument, now = self.instrument(values["symbol"]), self._venue.clock.now()
        price = self._market.mean_price(instrument.id, now, 5)
        return {"mins": 5, "price": f"{price or 0.0:.8f}", "closeTime": now}

    def depth(self, values: dict[str, Any]) -> Any:
        """Return the order book; more than 5000 levels are cut."""
        instrument, now = self.instrument(values["symbol"]), self._venue.clock.now()
        book = self._venue.books.read(instrument.id, now, rows_of(values, 100, MAX_DEPTH))
        digits, amounts = instrument.price_decimals, instrument.amount_decimals
        bids, asks = (
            list(zip(texts(side[:, 0], digits), texts(side[:, 1], amounts), strict=True))
            for side in (book.bids, book.asks)
        )
        return {"lastUpdateId": book.sequence, "bids": bids, "asks": asks}

    def trades(self, values: dict[str, Any]) -> Any:
        """Return public trades, the newest or those from an id."""
        instrument = self.instrument(values["symbol"])
        trades = self._market.trades(
            instrument.id,
            self._venue.clock.now(),
            from_id=values.get("fromId"),
            limit=rows_of(values, 500, _MAX_ROWS),
        )
        ids, prices, amounts, costs, times, makers = self._trade_columns(instrument, trades)
        names = ("id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch")
        rows = zip(ids, prices, amounts, costs, times, makers, [True] * len(ids), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def aggregated_trades(self, values: dict[str, Any]) -> Any:
        """Return trades aggregated by taker order, which here are the trades themselves."""
        instrument, end = self.instrument(values["symbol"]), values.get("endTime")
        if "fromId" in values and ("startTime" in values or end is not None):
            raise BinanceError(-1128)
        trades = self._market.trades(
            instrument.id,
            self._venue.clock.now(),
            from_id=values.get("fromId"),
            since=values.get("startTime"),
            until=end,
            limit=rows_of(values, 500, _MAX_ROWS),
        )
        ids, prices, amounts, _, times, makers = self._trade_columns(instrument, trades)
        return [
            {"a": number, "p": price, "q": amount, "f": number, "l": number, "T": time, "m": maker, "M": True}
            for number, price, amount, time, maker in zip(ids, prices, amounts, times, makers, strict=True)
        ]

    def _trade_columns(self, instrument: Instrument, trades: TradeColumns) -> tuple[Sequence[Any], ...]:
        return (
            trades.id.tolist(),
            texts(trades.price, instrument.price_decimals),
            texts(trades.amount, instrument.amount_decimals),
            texts(np.asarray(trades.price * trades.amount), 8),
            trades.time.tolist(),
            trades.buyer_is_maker.tolist(),
        )


def rows_of(values: dict[str, Any], default: int, most: int) -> int:
    """Return how many rows to answer with: a limit above the most is cut, 0 is not valid."""
    limit = int(values.get("limit", default))
    if limit == 0:
        raise BinanceError(-1130, "limit")
    return min(limit, most)


def describe_top(instrument: Instrument, bids: Column, asks: Column) -> dict[str, str]:
    """Return the best bid and ask as Binance writes them, 0 where a side is empty."""
    digits, amounts = instrument.price_decimals, instrument.amount_decimals
    top: dict[str, str] = {}
    for side, levels in (("bid", bids), ("ask", asks)):
        price, amount = levels[0].tolist() if len(levels) else (0.0, 0.0)
        top[f"{side}Price"], top[f"{side}Qty"] = number(price, digits), number(amount, amounts)
    return top


def describe_day(instrument: Instrument, day: Day | None, tops: dict[str, str], now: int) -> dict[str, Any]:
    """Return the 24-hour ticker of a market, with its best bid and ask."""
    if day is None:
        return _nothing(instrument.name, now)
    digits, amounts = instrument.price_decimals, instrument.amount_decimals
    change = day.last - day.open
    mean = day.quote_volume / day.volume if day.volume else day.last
    return {
        "symbol": instrument.name,
        "priceChange": number(change, digits),
        "priceChangePercent": f"{100 * change / day.open:.3f}",
        "weightedAvgPrice": f"{mean:.8f}",
        "prevClosePrice": number(day.open, digits),
        "lastPrice": number(day.last, digits),
        "lastQty": number(day.last_amount, amounts),
        **tops,
        "openPrice": number(day.open, digits),
        "highPrice": number(day.high, digits),
        "lowPrice": number(day.low, digits),
        "volume": number(day.volume, amounts),
        "quoteVolume": number(day.quote_volume, instrument.cost_decimals),
        "openTime": day.since,
        "closeTime": day.until,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.trades,
    }


def _nothing(market: str, now: int) -> dict[str, Any]:
    """Return the ticker of a market in which nothing was traded."""
    prices = (
        "priceChange", "weightedAvgPrice", "prevClosePrice", "lastPrice", "lastQty", "bidPrice", "bidQty", "askPrice",
        "askQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume",
    )  # fmt: skip
    row: dict[str, Any] = {"symbol": market, **dict.fromkeys(prices, "0.00000000"), "priceChangePercent": "0.000"}
    return {**row, "openTime": now - 86_400_000, "closeTime": now, "firstId": -1, "lastId": -1, "count": 0}
