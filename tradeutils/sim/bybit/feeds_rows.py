"""The messages of Bybit's public channels; figures are text."""

from __future__ import annotations

from typing import Any, Final

import orjson

from tradeutils.model.candles import Column
from tradeutils.sim.bybit.market_data import INTERVALS, MarketData, describe_day, describe_top, texts
from tradeutils.sim.feeds.events import BookEvent, KlineEvent, TickerEvent, Topic, TradesEvent
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.swaps import FUNDING_MS
from tradeutils.timeframe import parse

__all__ = ["Updates", "book_message", "kline_message", "ticker_row", "trade_messages"]

_TRADES: Final = 1_024  # in a message
_NAMES: Final = {frame: name for name, frame in INTERVALS.items()}
_DOLLARS: Final = ("USDT", "USDC", "USD")
_NOT_TOLD: Final = ("predictedDeliveryPrice", "basisRate", "basis", "deliveryFeeRate", "deliveryTime")


class Updates:
    """
    The numbers of updates of each order book channel: one after the other, whatever the numbers of the market's book.

    The same to all who listen, from whenever they do.
    """

    def __init__(self) -> None:
        self._known: dict[Topic, tuple[int, int]] = {}  # the book's own number, and that of the update

    def number(self, event: BookEvent) -> int:
        """Return the number of the update that an event is."""
        known = self._known.get(event.topic)
        if known is None or event.last < known[0]:
            number = event.last
        elif event.last == known[0]:
            return known[1]
        else:
            number = known[1] + 1
        self._known[event.topic] = event.last, number
        return number


def trade_messages(event: TradesEvent, instrument: Instrument) -> list[dict[str, Any]]:
    """Return public trades, oldest first, in messages of 1024 at most."""
    trades = event.trades
    columns = zip(
        trades.id.tolist(),
        texts(trades.price, instrument.price_decimals),
        texts(trades.amount, instrument.amount_decimals),
        trades.time.tolist(),
        trades.buyer_is_maker.tolist(),
        strict=True,
    )
    direction = {} if instrument.kind == "spot" else {"L": "ZeroPlusTick"}
    rows = [
        {
            "T": time,
            "s": instrument.name,
            "S": "Sell" if sold else "Buy",
            "v": amount,
            "p": price,
            **direction,
            "i": str(number),
            "BT": False,
            "RPI": False,
            "seq": number,
        }
        for number, price, amount, time, sold in columns
    ]
    head = {"topic": f"publicTrade.{instrument.name}", "type": "snapshot", "ts": event.now}
    return [{**head, "data": rows[first : first + _TRADES]} for first in range(0, len(rows), _TRADES)]


def kline_message(event: KlineEvent, instrument: Instrument) -> dict[str, Any]:
    """Return a candle as it is now, ``confirm`` where it is over."""
    candles, price = event.klines.candles, instrument.price_decimals
    interval, opened = _NAMES[event.topic.frame], int(candles.time[0])
    row = {
        "start": opened,
        "end": parse(event.topic.frame).shift(opened) - 1,
        "interval": interval,
        "open": f"{candles.open[0]:.{price}f}",
        "close": f"{candles.close[0]:.{price}f}",
        "high": f"{candles.high[0]:.{price}f}",
        "low": f"{candles.low[0]:.{price}f}",
        "volume": f"{candles.volume[0]:.{instrument.amount_decimals}f}",
        "turnover": f"{event.klines.quote_volume[0]:.{instrument.cost_decimals}f}",
        "confirm": event.closed,
        "timestamp": event.now,
    }
    return {"topic": f"kline.{interval}.{instrument.name}", "type": "snapshot", "ts": event.now, "data": [row]}


def ticker_row(event: TickerEvent, instrument: Instrument, market_data: MarketData) -> dict[str, str]:
    """Return the ticker of a market, whole; that of spot tells no bid and ask."""
    row = {"symbol": instrument.name, **describe_day(instrument, event.day)}
    if instrument.kind == "spot":
        return {**row, "usdIndexPrice": row["lastPrice"] if instrument.quote in _DOLLARS else ""}
    swap = market_data.swap(instrument, event.now)
    told = {name: value for name, value in swap.items() if name not in _NOT_TOLD}
    told |= {"tickDirection": "ZeroPlusTick", "fundingIntervalHour": str(FUNDING_MS // 3_600_000)}
    return row | told | describe_top(instrument, event.bids, event.asks)


def book_message(event: BookEvent, instrument: Instrument, number: int) -> dict[str, Any]:
    """Return a book, or what changed in it; that of one level is always whole."""
    whole = event.snapshot or event.topic.depth == 1
    bids, asks = (_levels(side, instrument) for side in (event.full if whole else (event.bids, event.asks)))
    return {
        "topic": f"orderbook.{event.topic.depth}.{instrument.name}",
        "type": "snapshot" if whole else "delta",
        "ts": event.now,
        "data": {"s": instrument.name, "b": bids, "a": asks, "u": number, "seq": event.last},
        "cts": event.now,
    }


def _levels(side: Column, instrument: Instrument) -> orjson.Fragment:
    """Return levels as JSON, made as one text, which is twice as fast as lists of texts."""
    digits = instrument.price_decimals
    level, gone = f'["%.{digits}f","%.{instrument.amount_decimals}f"]', f'["%.{digits}f","0"]'
    rows = [level % (price, size) if size else gone % price for price, size in side.tolist()]
    return orjson.Fragment(f"[{','.join(rows)}]")
