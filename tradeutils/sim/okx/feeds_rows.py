"""What OKX's public channels tell: tickers, trades, books and candles, in the rows of its REST interface."""

from __future__ import annotations

import binascii
from typing import Any, Final

import numpy as np
import orjson

from tradeutils import timeframe as _timeframe
from tradeutils.model import Candles
from tradeutils.sim.bars import Klines
from tradeutils.sim.feeds.events import BookEvent, Event, KlineEvent, TickerEvent, TradesEvent
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.market import Market
from tradeutils.sim.okx.feeds_channels import HONG_KONG, Subscription
from tradeutils.sim.okx.market_data import candle_rows, describe_ticker, levels, trade_rows
from tradeutils.sim.okx.names import inst_id

__all__ = ["PublicRows", "checksum", "frame_of"]

_HOUR_MS: Final = 3_600_000
_AHEAD_MS: Final = 8 * _HOUR_MS  # Hong Kong's clocks, of UTC
_HOURS: Final = 800  # more than a month has
_CHECKED: Final = 25  # levels of a side that a checksum is made of


def frame_of(argument: tuple[tuple[str, str], ...], data: Any, **more: Any) -> str:
    """Return a message of a channel."""
    return orjson.dumps({"arg": dict(argument), **more, "data": data}).decode()


def checksum(bids: list[list[str]], asks: list[list[str]]) -> int:
    """
    Return the CRC-32, with a sign, of the best 25 levels as they are written: bid, ask, bid, ask ...

    Where one side is shorter the other goes on alone.
    """
    parts: list[str] = []
    for at in range(_CHECKED):
        parts += [text for side in (bids, asks) for level in side[at : at + 1] for text in level[:2]]
    code = binascii.crc32(":".join(parts).encode())
    return code - (1 << 32) if code >= 1 << 31 else code


class PublicRows:
    """
    Writes what happened in a market as the channels tell it.

    A message that is the same for every connection is made once and kept with the event.
    """

    def __init__(self, market: Market) -> None:
        self._market = market

    def write(self, event: Event, one: Subscription, *, first: bool) -> str | None:
        """Return the message of a channel for an event; ``first``: the client knows nothing of the book yet."""
        instrument = one.instrument
        if instrument is None:
            return None
        key = one.channel, first and isinstance(event, BookEvent)
        told: str | None = event.rendered.get(key)
        if told is None:
            told = event.rendered[key] = self._write(event, one, instrument, first=first)
        return told

    def _write(self, event: Event, one: Subscription, instrument: Instrument, *, first: bool) -> str:
        more: dict[str, Any] = {}
        data: list[Any]
        if isinstance(event, TickerEvent):
            data = [describe_ticker(self._market, instrument, event.day, event.bids, event.asks, event.now)]
        elif isinstance(event, TradesEvent):
            data = _trades(event, instrument, one.channel)
        elif isinstance(event, KlineEvent):
            row = self._hong_kong(event, instrument, one.frame) if one.frame in HONG_KONG else _row(event, instrument)
            data = [row]
        elif isinstance(event, BookEvent) and one.channel == "books":
            whole = first or event.snapshot
            more = {"action": "snapshot" if whole else "update"}
            data = [_changes(event, instrument, whole=whole)]
        elif isinstance(event, BookEvent):
            data = [_book(event, instrument, one.channel)]
        else:
            data = []
        return frame_of(one.argument, data, **more)

    def _hong_kong(self, event: KlineEvent, instrument: Instrument, name: str) -> list[str]:
        """Return the candle, opened in Hong Kong's hours, that an hour is the last of so far."""
        frame, hour = _timeframe.parse(HONG_KONG[name]), int(event.klines.candles.time[0])
        opened = frame.floor(hour + _AHEAD_MS)
        since = opened - _AHEAD_MS
        ends = event.closed and frame.floor(hour + _HOUR_MS + _AHEAD_MS) != opened
        hours = self._market.klines(instrument.id, "1h", event.now, since=since, until=hour, limit=_HOURS)
        return candle_rows(_joined(hours, event.klines, since, closed=ends), instrument)[0]


def _joined(before: Klines, last: Klines, opened: int, *, closed: bool) -> Klines:
    """Return one candle of hours and the one after them."""
    columns = {
        name: np.concatenate([getattr(part.candles, name) for part in (before, last)])
        for name in ("open", "high", "low", "close", "volume")
    }
    candle = Candles(
        symbol=last.candles.symbol,
        timeframe="1h",  # of those that it is made of: no timeframe opens in Hong Kong
        time=np.array([opened]),
        open=columns["open"][:1],
        high=columns["high"].max(keepdims=True),
        low=columns["low"].min(keepdims=True),
        close=columns["close"][-1:],
        volume=columns["volume"].sum(keepdims=True),
        closed=np.array([closed]),
    )
    quoted = before.quote_volume.sum(keepdims=True) + last.quote_volume
    return Klines(candle, quoted, last.trades, last.taker_volume, last.taker_quote)


def _row(event: KlineEvent, instrument: Instrument) -> list[str]:
    row = candle_rows(event.klines, instrument)[0]
    row[-1] = "1" if event.closed else "0"
    return row


def _trades(event: TradesEvent, instrument: Instrument, channel: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [dict(row) for row in trade_rows(event.trades, instrument)[::-1]]
    if channel == "trades":  # which may tell several of one taker at one price as one, with their number
        for row in rows:
            row |= {"count": "1", "seqId": int(row["tradeId"])}
    return rows


def _changes(event: BookEvent, instrument: Instrument, *, whole: bool) -> dict[str, Any]:
    bids, asks = (levels(side, instrument) for side in (event.full if whole else (event.bids, event.asks)))
    checked = [levels(side[:_CHECKED], instrument) for side in event.full]
    # OKX has told 0 in place of a checksum since 2026; here it is the one that is documented, so that a client can
    # prove its book.
    return {
        "asks": asks,
        "bids": bids,
        "ts": str(event.now),
        "checksum": checksum(*checked),
        "seqId": event.last,
        "prevSeqId": -1 if whole else event.previous,
    }


def _book(event: BookEvent, instrument: Instrument, channel: str) -> dict[str, Any]:
    bids, asks = (levels(side, instrument) for side in event.full)
    named = {"instId": inst_id(instrument)} if channel == "books5" else {}
    return {"asks": asks, "bids": bids, **named, "ts": str(event.now), "seqId": event.last}
