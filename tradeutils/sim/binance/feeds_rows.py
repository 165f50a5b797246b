"""The payloads of Binance's public streams, in the venue's one-letter names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from tradeutils.model.candles import Column
from tradeutils.sim.binance.market_data import ZEROS, describe_day, describe_top, number, texts
from tradeutils.sim.feeds.events import BookEvent, Event, KlineEvent, TickerEvent, TradesEvent
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.market import MAX_DEPTH
from tradeutils.timeframe import parse

__all__ = ["payloads"]

_DAY: Final = {
    "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice", "c": "lastPrice",
    "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty", "o": "openPrice", "h": "highPrice",
    "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime", "C": "closeTime", "F": "firstId",
    "L": "lastId", "n": "count",
}  # fmt: skip
_SPOT_ONLY: Final = frozenset("xbBaA")
_MINI: Final = tuple("cohlvq")


def payloads(shape: str, event: Event, instruments: Mapping[str, Instrument]) -> list[str]:
    """
    Return what streams of a shape tell of an event, as JSON; the same for all of them, and so made once.

    The shapes of the names in `feeds_names.Stream`, but for ``"user"``.
    """
    known = event.rendered.get(shape)
    if known is None:
        rows = _ROWS[shape](event, instruments[event.topic.market])
        known = event.rendered[shape] = [orjson.dumps(row).decode() for row in rows]
    found: list[str] = known
    return found


def _trades(event: TradesEvent, instrument: Instrument) -> list[dict[str, Any]]:
    trades, spot = event.trades, instrument.kind == "spot"
    columns = zip(
        trades.id.tolist(),
        texts(trades.price, instrument.price_decimals),
        texts(trades.amount, instrument.amount_decimals),
        trades.time.tolist(),
        trades.buyer_is_maker.tolist(),
        strict=True,
    )
    tail = {"M": True} if spot else {"X": "MARKET"}
    return [
        {
            "e": "trade",
            "E": event.now,
            **({} if spot else {"T": time}),
            "s": instrument.name,
            "t": number,
            "p": price,
            "q": amount,
            **({"T": time} if spot else {}),
            "m": maker,
            **tail,
        }
        for number, price, amount, time, maker in columns
    ]


def _aggregated(event: TradesEvent, instrument: Instrument) -> list[dict[str, Any]]:
    """Return trades aggregated by taker order, which here are the trades themselves."""
    tail = {"M": True} if instrument.kind == "spot" else {}
    return [
        {
            "e": "aggTrade",
            "E": event.now,
            "s": instrument.name,
            "a": row["t"],
            "p": row["p"],
            "q": row["q"],
            "f": row["t"],
            "l": row["t"],
            "T": row["T"],
            "m": row["m"],
            **tail,
        }
        for row in _trades(event, instrument)
    ]


def _kline(event: KlineEvent, instrument: Instrument) -> list[dict[str, Any]]:
    candles, klines = event.klines.candles, event.klines
    price, amount, cost = instrument.price_decimals, instrument.amount_decimals, instrument.cost_decimals
    opened = int(candles.time[0])
    row = {
        "t": opened,
        "T": parse(event.topic.frame).shift(opened) - 1,
        "s": instrument.name,
        "i": event.topic.frame,
        "f": event.first_id,
        "L": event.last_id,
        "o": number(float(candles.open[0]), price),
        "c": number(float(candles.close[0]), price),
        "h": number(float(candles.high[0]), price),
        "l": number(float(candles.low[0]), price),
        "v": number(float(candles.volume[0]), amount),
        "n": int(klines.trades[0]),
        "x": event.closed,
        "q": number(float(klines.quote_volume[0]), cost),
        "V": number(float(klines.taker_volume[0]), amount),
        "Q": number(float(klines.taker_quote[0]), cost),
        "B": "0",
    }
    return [{"e": "kline", "E": event.now, "s": instrument.name, "k": row}]


def _day(event: TickerEvent, instrument: Instrument) -> list[dict[str, Any]]:
    told = describe_day(instrument, event.day, describe_top(instrument, event.bids, event.asks), event.now)
    left_out = frozenset() if instrument.kind == "spot" else _SPOT_ONLY
    row = {letter: told[name] for letter, name in _DAY.items() if letter not in left_out}
    return [{"e": "24hrTicker", "E": event.now, "s": instrument.name, **row}]


def _mini_day(event: TickerEvent, instrument: Instrument) -> list[dict[str, Any]]:
    told = describe_day(instrument, event.day, {}, event.now)
    row = {letter: told[_DAY[letter]] for letter in _MINI}
    return [{"e": "24hrMiniTicker", "E": event.now, "s": instrument.name, **row}]


def _best(event: BookEvent, instrument: Instrument) -> list[dict[str, Any]]:
    top = describe_top(instrument, *event.full)
    row = {
        "u": event.last,
        "s": instrument.name,
        "b": top["bidPrice"],
        "B": top["bidQty"],
        "a": top["askPrice"],
        "A": top["askQty"],
    }
    if instrument.kind == "spot":
        return [row]
    return [{"e": "bookTicker", **row, "T": event.now, "E": event.now}]


def _levels(side: Column, instrument: Instrument, most: int = MAX_DEPTH) -> orjson.Fragment:
    """Return levels as JSON, made as one text: a hundred levels cost 50 us so, and twice that as lists of texts."""
    price, amount = instrument.price_decimals, instrument.amount_decimals
    level = f'["%.{price}f{ZEROS[price]}","%.{amount}f{ZEROS[amount]}"]'
    return orjson.Fragment(f"[{','.join([level % (one, size) for one, size in side[:most].tolist()])}]")


def _differences(event: BookEvent, instrument: Instrument) -> list[dict[str, Any]]:
    """
    Return the levels that changed.

    A stream that begins tells no book: who listens asks for one over REST. On the futures it must lie within an event,
    so that one without levels tells the number at which the stream begins.
    """
    spot = instrument.kind == "spot"
    if event.snapshot and spot:
        return []
    first, previous = (event.last, event.last - 1) if event.snapshot else (event.first, event.previous)
    bids, asks = ([], []) if event.snapshot else (_levels(side, instrument) for side in (event.bids, event.asks))
    row = {"e": "depthUpdate", "E": event.now, **({} if spot else {"T": event.now}), "s": instrument.name}
    numbers = {"U": first, "u": event.last, **({} if spot else {"pu": previous})}
    return [{**row, **numbers, "b": bids, "a": asks}]


def _book(event: BookEvent, instrument: Instrument) -> list[dict[str, Any]]:
    """Return the best levels, whole."""
    bids, asks = (_levels(side, instrument, event.topic.depth) for side in event.full)
    if instrument.kind == "spot":
        return [{"lastUpdateId": event.last, "bids": bids, "asks": asks}]
    numbers = {"U": event.first, "u": event.last, "pu": max(event.previous, 0)}
    head = {"e": "depthUpdate", "E": event.now, "T": event.now, "s": instrument.name}
    return [{**head, **numbers, "b": bids, "a": asks}]


_ROWS: Final[dict[str, Callable[[Any, Instrument], list[dict[str, Any]]]]] = {
    "trade": _trades,
    "aggTrade": _aggregated,
    "kline": _kline,
    "ticker": _day,
    "miniTicker": _mini_day,
    "bookTicker": _best,
    "depth": _differences,
    "levels": _book,
}
