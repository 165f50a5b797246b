"""Blocking streams: ordinary iterators, from many threads, freed by whoever closes them."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

import tradeutils as tu
from tradeutils import sync
from tradeutils.errors import BadSymbol, Closed, UsageError
from tradeutils.sim import serve

SYMBOL: Final = "BTC/USDT"


@pytest.fixture(scope="module")
def venue() -> Iterator[Any]:
    """A venue whose clock runs twenty times as fast as ours."""
    with serve("binance", symbols=5, speed=20.0, pulse=0.02, seed=3) as venue:
        yield venue


@pytest.fixture
def exchange(venue: Any) -> Iterator[sync.Exchange]:
    """A blocking exchange of it."""
    with sync.Exchange("binance", url=venue.url) as exchange:
        yield exchange


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stream_is_an_ordinary_iterator(exchange: sync.Exchange, venue: Any) -> None:
    """It yields, says how it is, and unsubscribes when its block ends."""
    with exchange.watch_trades(SYMBOL) as trades:
        times = [trade.time for trade, _ in zip(trades.values(), range(5), strict=False)]
        assert times == sorted(times)
        assert (trades.state, trades.dropped, trades.reconnects, trades.error) == ("live", 0, 0, None)
        assert trades.age < 5
        assert not trades.is_closed
        assert "binance trades BTC/USDT: live" in repr(trades)
    assert trades.is_closed
    assert list(trades) == []
    until(lambda: not venue.feeds.topics)


def test_what_came_meanwhile_is_taken_together(exchange: sync.Exchange) -> None:
    """Nothing is lost between two steps, and the newest ticker is not an old one."""
    with exchange.watch_trades(SYMBOL) as trades, exchange.watch_ticker(SYMBOL) as tickers:
        first, earlier = next(trades), next(tickers)
        assert isinstance(first, tu.Trade)
        assert isinstance(earlier, tu.Ticker)
        time.sleep(0.5)
        found = [one.time for one, _ in zip(trades.values(), range(4), strict=False)]
        assert first.time < found[0] <= found[-1]
        newest = next(tickers)
        assert isinstance(newest, tu.Ticker)
        assert newest.time is not None
        assert earlier.time is not None
        assert newest.time - earlier.time > 7_000


def test_many_threads_share_a_stream_and_are_freed_by_close(exchange: sync.Exchange) -> None:
    """Each value goes to one of them; closing it by any thread ends them all."""
    stream = exchange.watch_trades(SYMBOL)
    seen: list[str | None] = []

    def read() -> int:
        count = 0
        for trade in stream.values():
            seen.append(trade.id)
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        counts = [pool.submit(read) for _ in range(4)]
        until(lambda: len(seen) >= 12, 20.0)
        stream.close()
        assert sum(count.result(5) for count in counts) == len(seen)
    assert len(set(seen)) == len(seen)


def test_a_thread_that_waits_is_freed_when_the_exchange_is_closed(venue: Any) -> None:
    """It is told `Closed`; nothing hangs."""
    exchange = sync.Exchange("binance", url=venue.url)
    stream = exchange.watch_ohlcv(SYMBOL, "1M")
    errors: list[BaseException] = []

    def read() -> None:
        try:
            next(stream)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is looked at below
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    until(lambda: stream.state == "live")
    exchange.close()
    thread.join(5)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [Closed]


def test_bars_of_several_symbols_are_gathered(exchange: sync.Exchange) -> None:
    """As the asynchronous one; the columns in the order asked for."""
    with exchange.watch_ohlcv(["ETH/USDT", SYMBOL], "1m") as candles:
        bars = candles.bars(wait=1.0)
        first = next(bars)
        assert iter(bars) is bars
        assert first.close.shape == (2,)
        assert bars.late == 0
    with pytest.raises(StopIteration):
        next(bars)


def test_errors_are_those_of_the_twin(exchange: sync.Exchange) -> None:
    """At once where they can be known at once, else when it is first read."""
    with pytest.raises(UsageError, match="max_age"):
        exchange.watch_ticker(SYMBOL, max_age=-1)
    with pytest.raises(UsageError, match="account="):
        exchange.watch_orders()
    with pytest.raises(BadSymbol, match="BTC/USDT"):
        next(exchange.watch_ticker("BTC/USDTT"))


def test_a_stream_that_is_dropped_is_left(exchange: sync.Exchange, venue: Any) -> None:
    """``break`` out of a loop over a stream without a name leaves nothing behind."""
    for _ in exchange.watch_trades(SYMBOL):
        break
    gc.collect()
    until(lambda: not venue.feeds.topics)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_does_not_stream_through_its_parents_connections(exchange: sync.Exchange) -> None:
    """It is told what to do, as by every other method."""
    exchange.fetch_ticker(SYMBOL)
    for watch in (exchange.watch_ticker, exchange.watch_ohlcv):
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            try:
                watch(SYMBOL)
                told = "nothing was said"
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is looked at below
                told = str(error)
            os.write(theirs, told.encode())
            os._exit(0)
        os.close(theirs)
        assert "before a fork" in os.read(ours, 1000).decode()
        os.close(ours)
        os.waitpid(child, 0)
