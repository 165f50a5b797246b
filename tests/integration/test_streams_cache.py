"""Streams that feed the cache: other processes are served with no request."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.errors import CacheUnavailable, UsageError
from tradeutils.sim import serve

SYMBOL: Final = "BTC/USDT"


@pytest.fixture(scope="module")
def venue() -> Iterator[Any]:
    """A venue whose clock runs twenty times as fast as ours."""
    with serve("binance", symbols=5, speed=20.0, pulse=0.02, seed=3) as venue:
        yield venue


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # of the venue's thread
            await asyncio.sleep(0.01)


def asked(venue: Any) -> list[str]:
    """Return the requests for tickers and books."""
    return [path for path in venue.requests.paths if "ticker" in path or "depth" in path]


async def test_what_is_streamed_serves_another_exchange_without_a_request(venue: Any, valkey: Any) -> None:
    """Ticker and book of the stream, to the last figure, under the keys that ``fetch_...`` reads."""
    async with (
        tu.Cache(valkey.url) as cache,
        tu.Cache(valkey.url) as theirs,
        tu.Exchange("binance", url=venue.url, cache=cache, stream_to_cache=5.0) as exchange,
        tu.Exchange("binance", url=venue.url, cache=theirs) as other,
    ):
        await other.load_markets()
        async with exchange.watch_ticker(SYMBOL) as tickers, exchange.watch_order_book(SYMBOL, limit=20) as books:
            await anext(tickers)
            await anext(books)
            publisher: Any = exchange._publisher
            await until(lambda: publisher.published >= 2)
            venue.requests.clear()
            ticker = await other.fetch_ticker(SYMBOL)
            book = await other.fetch_order_book(SYMBOL, limit=20)
            assert asked(venue) == []
        assert ticker.last is not None
        assert None not in (ticker.bid, ticker.ask, ticker.time)
        assert len(book.bids) == len(book.asks) == 20
        assert (np.diff(book.bids[:, 0]) < 0).all()
        await other.fetch_order_book(SYMBOL, limit=5)  # another limit is another question
        assert len(asked(venue)) == 1


async def test_another_process_reads_what_is_streamed_here(venue: Any, valkey: Any) -> None:
    """As bots do: one process streams, the others fetch."""
    program = (
        "import asyncio, sys, tradeutils as tu\n"
        "async def main():\n"
        "    async with tu.Cache(sys.argv[1]) as cache, tu.Exchange('binance', url=sys.argv[2], cache=cache) as e:\n"
        "        print((await e.fetch_ticker('BTC/USDT')).last)\n"
        "asyncio.run(main())\n"
    )
    async with (
        tu.Cache(valkey.url) as cache,
        tu.Exchange("binance", url=venue.url, cache=cache, stream_to_cache=30.0) as exchange,
    ):
        async with exchange.watch_ticker(SYMBOL) as tickers:
            await anext(tickers)
            publisher: Any = exchange._publisher
            await until(lambda: publisher.published >= 1)
        await asyncio.sleep(0.2)  # the last is written
        kept = await cache.get(f"{exchange.origin}:ticker:{SYMBOL}")
        venue.requests.clear()
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, valkey.url, venue.url],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    assert float(done.stdout) == kept.last
    assert asked(venue) == []


async def test_a_cache_that_is_away_costs_the_stream_nothing(venue: Any, own_valkey: Any) -> None:
    """Values go on at their pace, and are written again when the server is back."""
    async with (
        tu.Cache(own_valkey.url) as cache,
        tu.Exchange("binance", url=venue.url, cache=cache, stream_to_cache=True) as exchange,
        exchange.watch_ticker(SYMBOL) as tickers,
    ):
        await anext(tickers)
        publisher: Any = exchange._publisher
        await until(lambda: publisher.published >= 1)
        own_valkey.freeze()
        await until(lambda: publisher.failed >= 1)
        with pytest.raises(CacheUnavailable):
            await cache.get("anything")
        for _ in range(10):
            async with asyncio.timeout(1):
                assert isinstance(await anext(tickers), tu.Ticker)
        own_valkey.thaw()
        before = publisher.published
        await until(lambda: publisher.published > before, 10.0)


async def test_values_expire_when_nothing_is_streamed_any_more(venue: Any) -> None:
    """What was left in the cache serves for its time and no longer; nothing is written after the exchange is closed."""
    async with tu.Cache() as cache:
        async with (
            tu.Exchange("binance", url=venue.url, cache=cache, stream_to_cache=0.3) as exchange,
            exchange.watch_ticker(SYMBOL) as tickers,
        ):
            await anext(tickers)
            await asyncio.sleep(0.2)
            assert await cache.get(f"{exchange.origin}:ticker:{SYMBOL}") is not None
        await asyncio.sleep(0.5)
        assert await cache.get(f"{exchange.origin}:ticker:{SYMBOL}") is None


@pytest.mark.parametrize("wrong", [0, -1, "yes", float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(wrong: Any) -> None:
    """At once, as is a cache that is missing, or values with info that streams do not have."""
    with pytest.raises(UsageError, match="stream_to_cache"):
        tu.Exchange("binance", cache=tu.Cache(), stream_to_cache=wrong)
    with pytest.raises(UsageError, match="cache=Cache"):
        tu.Exchange("binance", stream_to_cache=True)
    with pytest.raises(UsageError, match="info"):
        tu.Exchange("binance", cache=tu.Cache(), stream_to_cache=True, info=True)
    with pytest.raises(UsageError, match="stream_to_cache"):
        tu.Exchanges(tu.Settings(), stream_to_cache=wrong)
