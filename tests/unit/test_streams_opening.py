"""What a stream is made of: which channel, and which assembler; candles gathered to bars."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.errors import NotSupportedByVenue, UsageError
from tradeutils.exchange.ordering.activity import Activity
from tradeutils.exchange.streams.assembling.books import BookAssembler
from tradeutils.exchange.streams.assembling.candles import CandleAssembler
from tradeutils.exchange.streams.assembling.from_trades import TradeCandleAssembler
from tradeutils.exchange.streams.candle_stream import CandleStream
from tradeutils.exchange.streams.inbox import Inbox, open_inbox
from tradeutils.exchange.streams.opening import Candled, Opening
from tradeutils.exchange.streams.stream import Joined
from tradeutils.exchange.streams.topics import Topic
from tradeutils.model.candles import one_candle

MINUTES = Candled(timeframe="1m", closed_only=True, since=None)


def opening(*channels: str, name: str = "somewhere") -> Opening:
    """Return what opens the streams of a venue that has these channels."""
    venue: Any = types.SimpleNamespace(name=name, streams=channels.__contains__, streaming=lambda _: ("binance",))
    return Opening(venue, None, Activity(), None, info=False)


def test_candles_are_made_of_trades_where_there_are_no_candles() -> None:
    """And of the venue's own where it has them."""
    asked = Topic("ohlcv", "BTC/USDT", timeframe="1m")
    assert opening("watchOHLCV", "watchTrades").streamed(asked, "watch_ohlcv") == asked
    topic = opening("watchTrades").streamed(asked, "watch_ohlcv")
    assert topic == Topic("trades", "BTC/USDT")
    for one, kind in ((asked, CandleAssembler), (topic, TradeCandleAssembler)):
        _, make = opening("watchTrades").reading(one, one, MINUTES, "all", 1.0)
        assert isinstance(make().assembler, kind)


def test_a_channel_that_there_is_not_names_what_to_write_and_who_has_it() -> None:
    """The remedy, and alternatives."""
    for topic, instead in (
        (Topic("ohlcv", "BTC/USDT"), "fetch_ohlcv"),
        (Topic("tickers"), "fetch_tickers"),
        (Topic("balance"), "fetch_balance"),
    ):
        with pytest.raises(NotSupportedByVenue, match=f"{instead}.*binance") as raised:
            opening().streamed(topic, "watch")
        assert raised.value.alternatives == ("binance",)


def test_what_is_read_alike_is_shared_and_nothing_else() -> None:
    """Consumers share an assembler where what they are told does not depend on when they joined."""
    opened = opening()

    def key(topic: Topic, candled: Candled | None = None, policy: Any = "all") -> Any:
        return opened.reading(topic, topic, candled, policy, 1.0)[0]

    trades, book, bars = Topic("trades", "A/B"), Topic("book", "A/B"), Topic("ohlcv", "A/B", timeframe="1m")
    since = Candled(timeframe="1m", closed_only=True, since=0)
    assert key(trades) == key(trades, policy="latest")
    assert key(book, policy="latest") == key(book, policy="conflate") != key(book)
    assert key(bars, MINUTES) == key(bars, MINUTES) != key(bars, Candled(timeframe="1m", closed_only=False, since=None))
    assert key(bars, since) != key(bars, since)
    assert key(Topic("orders")) != key(Topic("orders"))
    assert key(trades, MINUTES) != key(trades)
    assert isinstance(opened.reading(book, book, None, "all", 1.0)[1]().assembler, BookAssembler)


def test_a_venue_whose_changes_name_no_market_is_watched_as_a_whole() -> None:
    """Of kraken's orders those of one market are picked here."""
    asked = Topic("orders", "BTC/USDT")
    assert opening("watchOrders", name="kraken").streamed(asked, "watch_orders") == Topic("orders")
    assert opening("watchOrders").streamed(asked, "watch_orders") == asked


def candles_of(inbox: Inbox, symbols: Sequence[str]) -> CandleStream:
    """Return a stream of what is put into an inbox."""

    async def join(_: Inbox) -> Joined:
        return Joined([], lambda _: None, lambda item: item)

    return CandleStream("test", inbox, join, symbols=symbols, timeframe="1m")


def bar(symbol: str, minute: int, close: float) -> tu.Candles:
    """Return a closed bar."""
    return one_candle("venue", symbol, "1m", (minute * 60_000, close, close, close, close, 1.0), closed=True)


async def test_bars_wait_for_a_symbol_that_lags_and_then_do_without() -> None:
    """NaN where it has none; what comes later is counted and left out, and a `Stale` is passed over."""
    inbox = open_inbox("all", 100)
    bars = candles_of(inbox, ["A/B", "C/D"]).bars(wait=0.1)
    inbox.put(bar("C/D", 1, 2.0))
    inbox.put(tu.Stale(kind="ohlcv", symbol="A/B", time=0, age=1.0, reason="silent"))
    inbox.put(bar("A/B", 1, 1.0))
    inbox.put(bar("A/B", 2, 3.0))
    first = await anext(bars)
    assert (first.time, first.close.tolist()) == (60_000, [1.0, 2.0])
    second = await anext(bars)
    assert second.time == 120_000
    assert np.isnan(second.close[1])
    inbox.put(bar("C/D", 2, 4.0))
    with pytest.raises(TimeoutError):  # which costs nothing that comes later
        await asyncio.wait_for(anext(bars), 0.05)
    assert bars.late == 1
    inbox.put(bar("A/B", 3, 5.0))
    inbox.put(bar("C/D", 3, 6.0))
    assert (await anext(bars)).close.tolist() == [5.0, 6.0]
    assert "CandleStream test" in repr(bars)
    assert bars.candles.symbols == ("A/B", "C/D")
    await bars.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(bars)


def test_a_time_to_wait_that_cannot_be_is_refused() -> None:
    """At once."""
    with pytest.raises(UsageError, match="wait was -1"):
        candles_of(open_inbox("all", 1), ["A/B"]).bars(wait=-1)
