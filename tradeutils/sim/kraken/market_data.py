"""Kraken's public endpoints."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.kraken.errors import KrakenError
from tradeutils.sim.kraken.names import Names, asset_name

__all__ = ["MarketData", "whole"]

Fields = Mapping[str, str]

_ROWS: Final = 720
_TRADES: Final = 1_000
_LEVELS: Final = 500
_INTERVALS: Final = {
    "1": "1m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "240": "4h", "1440": "1d", "10080": "1w",
}  # fmt: skip


def whole(fields: Fields, name: str, default: int, *, least: int = 0, most: int = 2**63) -> int:
    """Return a whole number that was sent, or the default; what is none is an invalid argument."""
    text = fields.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and least <= int(text) <= most):
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return int(text)


class MarketData:
    """The public endpoints by name; each takes the fields of one call and returns its result."""

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._market, self._books, self._names = venue.clock, venue.market, venue.books, names
        self.endpoints: dict[str, Callable[[Fields], Any]] = {
            "Time": self.time,
            "SystemStatus": self.status,
            "Assets": self.assets,
            "AssetPairs": self.pairs,
            "Ticker": self.tickers,
            "OHLC": self.candles,
            "Depth": self.depth,
            "Trades": self.trades,
        }

    def _moment(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock.now() / 1000, dt.UTC)

    def time(self, _fields: Fields) -> Any:
        """Tell the time, in seconds."""
        return {"unixtime": self._clock.now() // 1000, "rfc1123": f"{self._moment():%a, %d %b %y %H:%M:%S} +0000"}

    def status(self, _fields: Fields) -> Any:
        """Tell that all is well."""
        return {"status": "online", "timestamp": f"{self._moment():%Y-%m-%dT%H:%M:%SZ}"}

    def assets(self, _fields: Fields) -> Any:
        """List the assets that are traded."""
        traded = {asset_name(name): None for one in self._names.chosen(None) for name in (one.base, one.quote)}
        kind = {"aclass": "currency", "decimals": 10, "display_decimals": 5, "status": "enabled"}
        return {name: {**kind, "altname": name} for name in traded}

    def pairs(self, fields: Fields) -> Any:
        """List the markets and their rules."""
        return {self._names.pair(one): self._described(one) for one in self._names.chosen(fields.get("pair"))}

    def _described(self, instrument: Instrument) -> dict[str, Any]:
        base, quote = asset_name(instrument.base), asset_name(instrument.quote)
        return {
            "altname": base + quote,
            "wsname": f"{base}/{quote}",
            "aclass_base": "currency",
            "base": base,
            "aclass_quote": "currency",
            "quote": quote,
            "lot": "unit",
            "pair_decimals": instrument.price_decimals,
            "cost_decimals": 8,
            "lot_decimals": instrument.amount_decimals,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.4]],
            "fees_maker": [[0, 0.25]],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": str(instrument.min_amount),
            "costmin": str(instrument.min_cost),
            "tick_size": f"{instrument.price_step:f}",
            "status": "online" if instrument.active else "cancel_only",
        }

    def tickers(self, fields: Fields) -> Any:
        """Tell the last 24 hours of some markets, or of all."""
        return {self._names.pair(one): self._ticker(one) for one in self._names.chosen(fields.get("pair"))}

    def _ticker(self, instrument: Instrument) -> dict[str, Any]:
        now = self._clock.now()
        day, (bids, asks) = self._market.day(instrument.id, now), self._market.book(instrument.id, now, 1)

        def price(value: float) -> str:
            return f"{value:.{instrument.price_decimals}f}"

        best = [rows[0].tolist() if len(rows) else [0.0, 0.0] for rows in (asks, bids)]
        told = {
            side: [price(level[0]), f"{level[1]:.0f}", f"{level[1]:.3f}"]
            for side, level in zip("ab", best, strict=True)
        }
        if day is None:
            nothing = [price(0.0)] * 2
            return {**told, "c": nothing, "v": nothing, "p": nothing, "t": [0, 0], "l": nothing, "h": nothing, "o": "0"}
        mean = day.quote_volume / day.volume if day.volume else day.last
        return {
            **told,
            "c": [price(day.last), f"{day.last_amount:.8f}"],
            "v": [f"{day.volume:.8f}"] * 2,
            "p": [price(mean)] * 2,
            "t": [day.trades] * 2,
            "l": [price(day.low)] * 2,
            "h": [price(day.high)] * 2,
            "o": price(day.open),
        }

    def candles(self, fields: Fields) -> Any:
        """Return the newest 720 candles at most, of those that opened after ``since``, in seconds; the last forms."""
        instrument, now = self._instrument(fields), self._clock.now()
        interval = _INTERVALS.get(fields.get("interval", "1"))
        if interval is None:
            raise KrakenError("EGeneral:Invalid arguments:interval")
        since = 1000 * whole(fields, "since", 0, most=10**11)
        found = self._market.klines(instrument.id, interval, now, limit=_ROWS)
        candles, digits = found.candles, instrument.price_decimals
        means = found.quote_volume / candles.volume.clip(1e-12)
        prices = (candles.open, candles.high, candles.low, candles.close, means)
        columns = [[f"{value:.{digits}f}" for value in column.tolist()] for column in prices]
        volumes = [f"{value:.8f}" for value in candles.volume.tolist()]
        times = (candles.time // 1000).tolist()
        rows = [list(row) for row in zip(times, *columns, volumes, found.trades.tolist(), strict=True)]
        last = times[-2] if len(times) > 1 else 0
        return {self._names.pair(instrument): [row for row in rows if row[0] * 1000 > since], "last": last}

    def depth(self, fields: Fields) -> Any:
        """Return the order book."""
        instrument, now = self._instrument(fields), self._clock.now()
        count = whole(fields, "count", 100, least=1, most=_LEVELS)
        book = self._books.read(instrument.id, now, count)
        prices, amounts = instrument.price_decimals, instrument.amount_decimals
        bids, asks = (
            [[f"{price:.{prices}f}", f"{size:.{amounts}f}", now // 1000] for price, size in side.tolist()]
            for side in (book.bids, book.asks)
        )
        return {self._names.pair(instrument): {"asks": asks, "bids": bids}}

    def trades(self, fields: Fields) -> Any:
        """Return public trades, the newest, or those after ``since``, in seconds or nanoseconds."""
        instrument, now = self._instrument(fields), self._clock.now()
        since = whole(fields, "since", 0)
        moment = since // 1_000_000 if since > 10**14 else since * 1000
        limit = whole(fields, "count", _TRADES, least=1, most=_TRADES)
        found = self._market.trades(instrument.id, now, since=moment + 1 if "since" in fields else None, limit=limit)
        columns = zip(
            found.price.tolist(), found.amount.tolist(), found.time.tolist(), found.buyer_is_maker.tolist(),
            found.id.tolist(), strict=True,
        )  # fmt: skip
        rows = [
            [
                f"{price:.{instrument.price_decimals}f}",
                f"{amount:.8f}",
                time / 1000,
                "s" if sold else "b",
                "l",
                "",
                number,
            ]
            for price, amount, time, sold, number in columns
        ]
        last = int(found.time[-1]) if len(found) else moment
        return {self._names.pair(instrument): rows, "last": str(last * 1_000_000)}

    def _instrument(self, fields: Fields) -> Instrument:
        if "pair" not in fields:
            raise KrakenError("EGeneral:Invalid arguments:pair")
        return self._names.instrument(fields["pair"])
