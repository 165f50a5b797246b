"""
What Kraken's public channels tell: tickers, trades, books and candles, as JSON numbers with all their digits.

Checksums of books are made of the digits, so ``0.10`` is written as it is and not as ``0.1``.
"""

from __future__ import annotations

import binascii
import datetime as dt
from typing import Any, Final

import orjson

from tradeutils import timeframe as _timeframe
from tradeutils.model.candles import Column
from tradeutils.sim.bars import Klines, TradeColumns
from tradeutils.sim.feeds.events import BookEvent, TickerEvent
from tradeutils.sim.instruments import Instrument

__all__ = [
    "book_message",
    "candle_message",
    "checksum",
    "exact",
    "message",
    "moment",
    "ticker_message",
    "trade_message",
]

_VOLUME_DIGITS: Final = 8
_CHECKED: Final = 10  # levels of a side that a checksum is made of


def moment(time: int, digits: int = 6) -> str:
    """Return a time in ms UTC as Kraken writes it: ``"2025-09-22T10:33:05.709000Z"``."""
    at = dt.datetime.fromtimestamp(time // 1000, dt.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{time % 1000:03d}{'0' * (digits - 3)}Z"


def exact(value: Any, digits: int = _VOLUME_DIGITS) -> orjson.Fragment:
    """Return a number with so many digits, zeros as well."""
    return orjson.Fragment(f"{value:.{digits}f}")


def message(channel: str, kind: str, rows: Any, **more: Any) -> str:
    """Return a message of a channel; ``kind`` is ``"snapshot"`` or ``"update"``."""
    return orjson.dumps({"channel": channel, "type": kind, **more, "data": rows}).decode()


def ticker_message(event: TickerEvent, instrument: Instrument, *, first: bool) -> str:
    """Return the last 24 hours of a market, with the best bid and ask."""
    day, digits = event.day, instrument.price_decimals
    best: dict[str, orjson.Fragment] = {}
    for side, level in (("bid", event.bids), ("ask", event.asks)):
        price, amount = level[0].tolist() if len(level) else (0.0, 0.0)
        best |= {side: exact(price, digits), f"{side}_qty": exact(amount, instrument.amount_decimals)}
    change = day.last - day.open
    row = {
        "symbol": instrument.symbol,
        **best,
        "last": exact(day.last, digits),
        "volume": exact(day.volume),
        "vwap": exact(day.quote_volume / day.volume if day.volume else day.last, digits),
        "low": exact(day.low, digits),
        "high": exact(day.high, digits),
        "change": exact(change, digits),
        "change_pct": exact(100 * change / day.open if day.open else 0.0, 2),
        "timestamp": moment(event.now),
    }
    return message("ticker", "snapshot" if first else "update", [row])


def trade_message(trades: TradeColumns, instrument: Instrument, *, first: bool) -> str:
    """Return public trades, oldest first; the side is that of the taker."""
    columns = zip(
        trades.price.tolist(), trades.amount.tolist(), trades.time.tolist(), trades.buyer_is_maker.tolist(),
        trades.id.tolist(), strict=True,
    )  # fmt: skip
    rows = [
        {
            "symbol": instrument.symbol,
            "side": "sell" if sold else "buy",
            "price": exact(price, instrument.price_decimals),
            "qty": exact(amount),
            "ord_type": "limit",
            "trade_id": number,
            "timestamp": moment(time),
        }
        for price, amount, time, sold, number in columns
    ]
    return message("trade", "snapshot" if first else "update", rows)


def candle_message(klines: Klines, instrument: Instrument, minutes: int, now: int, *, first: bool) -> str:
    """Return candles, oldest first, each with its beginning and end; those without trades are left out."""
    candles, digits = klines.candles, instrument.price_decimals
    frame = _timeframe.parse(candles.timeframe)
    prices = (candles.open, candles.high, candles.low, candles.close)
    columns = zip(
        candles.time.tolist(), *(column.tolist() for column in prices), candles.volume.tolist(),
        klines.quote_volume.tolist(), klines.trades.tolist(), strict=True,
    )  # fmt: skip
    rows = [
        {
            "symbol": instrument.symbol,
            "open": exact(opened, digits),
            "high": exact(high, digits),
            "low": exact(low, digits),
            "close": exact(close, digits),
            "trades": trades,
            "volume": exact(volume),
            "vwap": exact(quoted / max(volume, 1e-12), digits),
            "interval_begin": moment(time, 9),
            "interval": minutes,
            "timestamp": moment(frame.shift(time)),
        }
        for time, opened, high, low, close, volume, quoted, trades in columns
        if trades
    ]
    return message("ohlc", "snapshot" if first else "update", rows, timestamp=moment(now, 9))


def book_message(event: BookEvent, instrument: Instrument, *, first: bool) -> str:
    """Return a book, or what changed in it, with the checksum of what it now is."""
    whole = first or event.snapshot
    bids, asks = (_levels(side, instrument) for side in (event.full if whole else (event.bids, event.asks)))
    row = {
        "symbol": instrument.symbol,
        "bids": bids,
        "asks": asks,
        "checksum": checksum(*event.full, instrument),
        "timestamp": moment(event.now),
    }
    return message("book", "snapshot" if whole else "update", [row])


def checksum(bids: Column, asks: Column, instrument: Instrument) -> int:
    """Return the CRC-32 of the digits of the best ten levels, asks first, without points and zeros in front."""
    level = f"%.{instrument.price_decimals}f %.{instrument.amount_decimals}f "
    best = [value for side in (asks, bids) for value in side[:_CHECKED].ravel().tolist()]
    # All in one go: number by number it is most of what a message costs.
    written = (level * (len(best) // 2) % tuple(best)).replace(".", "")
    digits = "".join([number.lstrip("0") for number in written.split()])
    return binascii.crc32(digits.encode())


def _levels(side: Column, instrument: Instrument) -> orjson.Fragment:
    prices, amounts = instrument.price_decimals, instrument.amount_decimals
    rows = [f'{{"price":{price:.{prices}f},"qty":{amount:.{amounts}f}}}' for price, amount in side.tolist()]
    return orjson.Fragment(f"[{','.join(rows)}]")
