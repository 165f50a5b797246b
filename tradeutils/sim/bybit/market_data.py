"""Bybit's public endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tradeutils import timeframe as _timeframe
from tradeutils.model.candles import Column
from tradeutils.sim.bars import Klines
from tradeutils.sim.bybit.errors import BybitError
from tradeutils.sim.bybit.fields import Fields
from tradeutils.sim.bybit.listing import describe_linear, describe_spot, status
from tradeutils.sim.bybit.names import Names
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.market import Day

__all__ = ["INTERVALS", "MarketData", "describe_day", "describe_top", "texts"]

INTERVALS: Final = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h", "360": "6h",
    "720": "12h", "D": "1d", "W": "1w", "M": "1M",
}  # fmt: skip
"""The timeframes of candles by Bybit's names for them."""
_INTEREST: Final = {"5min": "5m", "15min": "15m", "30min": "30m", "1h": "1h", "4h": "4h", "1d": "1d"}
_SWAPS: Final = ("linear", "inverse")
_HOUR_MS: Final = 3_600_000
# Rows of a page by default and at most, each in spot and in linear.
_LEVELS: Final = {"spot": (1, 200), "linear": (25, 500)}
_TRADES: Final = {"spot": (60, 60), "linear": (500, 1_000)}
_CANDLES: Final = (200, 1_000)
_LISTED: Final = (500, 1_000)
_RATES: Final = (200, 200)
_COUNTS: Final = (50, 200)


class MarketData:
    """The public endpoints by path; each takes the parameters of one call and returns its result."""

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._market, self._books, self._names = venue.clock, venue.market, venue.books, names
        self.endpoints: dict[str, Callable[[Fields], Any]] = {
            "/v5/market/time": self.time,
            "/v5/market/instruments-info": self.instruments,
            "/v5/market/tickers": self.tickers,
            "/v5/market/kline": self.klines,
            "/v5/market/mark-price-kline": lambda fields: self.prices(fields, self._market.mark_klines),
            "/v5/market/index-price-kline": lambda fields: self.prices(fields, self._market.index_klines),
            "/v5/market/orderbook": self.book,
            "/v5/market/recent-trade": self.trades,
            "/v5/market/funding/history": self.funding_history,
            "/v5/market/open-interest": self.open_interest,
        }

    def time(self, _fields: Fields) -> Any:
        """Tell the time."""
        now = self._clock.now()
        return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}

    def instruments(self, fields: Fields) -> Any:
        """List the markets of a category and their rules, those of linear in pages; by default those that are open."""
        category = self._names.category(fields)
        wanted = fields.text("status", "Trading")
        found = [one for one in self._names.chosen(category, fields) if status(one) == wanted]
        if category == "spot":  # all at once: spot knows no pages
            return {"category": category, "list": [describe_spot(one) for one in found]}
        first, size = fields.whole("cursor") or 0, fields.limit(*_LISTED)
        rows = [describe_linear(one, self._market.listed(one.id)) for one in found[first : first + size]]
        following = str(first + size) if first + size < len(found) else ""
        return {"category": category, "list": rows, "nextPageCursor": following}

    def tickers(self, fields: Fields) -> Any:
        """Tell the last 24 hours of one market, or of all in a category."""
        category, now = self._names.category(fields), self._clock.now()
        rows = []
        for one in self._names.chosen(category, fields):
            row = {"symbol": one.name, **describe_top(one, *self._market.book(one.id, now, 1))}
            row |= describe_day(one, self._market.day(one.id, now))
            rows.append(row | (self.swap(one, now) if category == "linear" else _SPOT_ONLY))
        return {"category": category, "list": rows}

    def swap(self, instrument: Instrument, now: int) -> dict[str, str]:
        """Return what the ticker of a swap tells beyond that of a spot market."""
        digits, cost = instrument.price_decimals, instrument.cost_decimals
        nothing = dict.fromkeys(("predictedDeliveryPrice", "basisRate", "basis", "deliveryFeeRate"), "")
        funding, interest = self._market.funding(instrument.id, now), self._market.open_interest(instrument.id, now)
        first = max(0, self._market.ordinal(instrument.id, now - _HOUR_MS + 1) - 1)
        before = self._market.rows(instrument.id, first, first + 1).open.tolist()
        hour = before[0] if before else 0.0
        return {
            "prevPrice1h": f"{hour:.{digits}f}",
            "indexPrice": f"{funding.index:.{digits}f}",
            "markPrice": f"{funding.mark:.{digits}f}",
            "openInterest": f"{interest.amount:.{instrument.amount_decimals}f}",
            "openInterestValue": f"{interest.value:.{cost}f}",
            "fundingRate": f"{funding.rate:.8f}",
            "nextFundingTime": str(funding.next_time),
            "deliveryTime": "0",
            **nothing,
        }

    def klines(self, fields: Fields) -> Any:
        """Return candles, newest first; the newest where an end is given or neither, else the oldest from a start."""
        category = self._names.category(fields, "linear")
        instrument = self._names.instrument(category, fields)
        klines, digits = self._page(instrument, fields, self._market.klines), instrument.price_decimals
        candles = klines.candles
        prices = (candles.open, candles.high, candles.low, candles.close)
        rows = zip(
            map(str, candles.time.tolist()),
            *(texts(column, digits) for column in prices),
            texts(candles.volume, instrument.amount_decimals),
            texts(klines.quote_volume, instrument.cost_decimals),
            strict=True,
        )
        return {"category": category, "symbol": instrument.name, "list": list(rows)[::-1]}

    def prices(self, fields: Fields, source: Callable[..., Klines]) -> Any:
        """Return candles of the mark or the index price of a swap, newest first."""
        category = fields.choice("category", _SWAPS, "linear")
        instrument = self._names.instrument(category, fields)
        candles = self._page(instrument, fields, source).candles
        prices = (candles.open, candles.high, candles.low, candles.close)
        columns = (texts(column, instrument.price_decimals) for column in prices)
        rows = zip(map(str, candles.time.tolist()), *columns, strict=True)
        return {"category": category, "symbol": instrument.name, "list": list(rows)[::-1]}

    def _page(self, instrument: Instrument, fields: Fields, source: Callable[..., Klines]) -> Klines:
        interval = INTERVALS[fields.choice("interval", INTERVALS)]
        limit, since, end = fields.limit(*_CANDLES), fields.whole("start"), fields.whole("end")
        if since is not None:
            since = _timeframe.parse(interval).floor(since)  # the candle that contains the start belongs to it
        now = self._clock.now()
        if end is None:
            return source(instrument.id, interval, now, since=since, limit=limit)
        found = source(instrument.id, interval, now, until=end + 1, limit=limit)
        first = int(found.candles.time.searchsorted(since or 0))
        return found[first:]

    def book(self, fields: Fields) -> Any:
        """Return the order book."""
        category, now = self._names.category(fields), self._clock.now()
        instrument = self._names.instrument(category, fields)
        book = self._books.read(instrument.id, now, fields.limit(*_LEVELS[category]))
        digits, amounts = instrument.price_decimals, instrument.amount_decimals
        bids, asks = (
            list(zip(texts(side[:, 0], digits), texts(side[:, 1], amounts), strict=True))
            for side in (book.bids, book.asks)
        )
        number, moment = book.sequence, book.now
        return {"s": instrument.name, "b": bids, "a": asks, "ts": moment, "u": number, "seq": number, "cts": moment}

    def trades(self, fields: Fields) -> Any:
        """Return the newest public trades, newest first; the side is that of the taker."""
        category, now = self._names.category(fields), self._clock.now()
        instrument = self._names.instrument(category, fields)
        found = self._market.trades(instrument.id, now, limit=fields.limit(*_TRADES[category]))
        columns = zip(
            found.id.tolist(),
            texts(found.price, instrument.price_decimals),
            texts(found.amount, instrument.amount_decimals),
            found.time.tolist(),
            found.buyer_is_maker.tolist(),
            strict=True,
        )
        rows = [
            {
                "execId": str(number),
                "symbol": instrument.name,
                "price": price,
                "size": amount,
                "side": "Sell" if sold else "Buy",
                "time": str(time),
                "isBlockTrade": False,
                "isRPITrade": False,
                "seq": str(number),
            }
            for number, price, amount, time, sold in columns
        ]
        return {"category": category, "list": rows[::-1]}

    def funding_history(self, fields: Fields) -> Any:
        """Return the newest settlements of funding up to an end, newest first."""
        category = fields.choice("category", _SWAPS)
        instrument, limit = self._names.instrument(category, fields), fields.limit(*_RATES)
        since, end = fields.whole("startTime"), fields.whole("endTime")
        if since is not None and end is None:
            raise BybitError(10001, "params error: startTime needs an endTime")
        until = None if end is None else end + 1
        found = self._market.funding_history(instrument.id, self._clock.now(), until=until, limit=limit)
        rows = [
            {"symbol": instrument.name, "fundingRate": f"{rate:.8f}", "fundingRateTimestamp": str(time)}
            for time, rate in reversed(found)
            if time >= (since or 0)
        ]
        return {"category": category, "list": rows}

    def open_interest(self, fields: Fields) -> Any:
        """Return what was held in a swap, newest first, in pages."""
        category = fields.choice("category", _SWAPS)
        instrument, limit = self._names.instrument(category, fields), fields.limit(*_COUNTS)
        interval = _INTEREST[fields.choice("intervalTime", _INTEREST)]
        since, end, cursor = fields.whole("startTime") or 0, fields.whole("endTime"), fields.whole("cursor")
        until = cursor if cursor is not None else None if end is None else end + 1
        found = self._market.open_interest_history(
            instrument.id, interval, self._clock.now(), until=until, limit=limit + 1
        )
        kept = [one for one in found if one.time >= since]
        rows = [
            {"openInterest": f"{one.amount:.{instrument.amount_decimals}f}", "timestamp": str(one.time)}
            for one in reversed(kept[-limit:])
        ]
        following = rows[-1]["timestamp"] if len(kept) > limit else ""
        return {"category": category, "symbol": instrument.name, "list": rows, "nextPageCursor": following}


_SPOT_ONLY: Final = {"usdIndexPrice": ""}


def describe_top(instrument: Instrument, bids: Column, asks: Column) -> dict[str, str]:
    """Return the best bid and ask, 0 where a side is empty."""
    digits, amounts = instrument.price_decimals, instrument.amount_decimals
    top: dict[str, str] = {}
    for side, levels in (("bid", bids), ("ask", asks)):
        price, amount = levels[0].tolist() if len(levels) else (0.0, 0.0)
        top[f"{side}1Price"], top[f"{side}1Size"] = f"{price:.{digits}f}", f"{amount:.{amounts}f}"
    return top


def describe_day(instrument: Instrument, day: Day | None) -> dict[str, str]:
    """Return the last 24 hours of a market."""
    digits = instrument.price_decimals
    names = ("lastPrice", "prevPrice24h", "highPrice24h", "lowPrice24h")
    if day is None:
        nothing = dict.fromkeys(names, f"{0:.{digits}f}")
        return {**nothing, "price24hPcnt": "0", "turnover24h": "0", "volume24h": "0"}
    prices = zip(names, (day.last, day.open, day.high, day.low), strict=True)
    return {
        **{name: f"{price:.{digits}f}" for name, price in prices},
        "price24hPcnt": f"{(day.last - day.open) / day.open:.6f}",
        "turnover24h": f"{day.quote_volume:.{instrument.cost_decimals}f}",
        "volume24h": f"{day.volume:.{instrument.amount_decimals}f}",
    }


def texts(column: Column, digits: int) -> list[str]:
    """Return numbers as Bybit writes them: with the digits of the market."""
    return [f"{value:.{digits}f}" for value in column.tolist()]
