"""
What streams cost, and how soon they are back: ours and ccxt.pro's own ``watch_*`` in turn in one run.

CPU is what ``time.process_time`` says over frames that a process of its own sends at a pace, divided by the frames that
were sent: what a reader loses between two awaits it has still received. Reconnects and silence are timed on the
simulated venue, in a process of its own too.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import pathlib
import statistics
import subprocess
import sys
import time
import tracemalloc
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import ccxt.pro
import numpy as np
import pytest

import tradeutils as tu

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import canned_feeds
import canned_venue

MARK = canned_feeds.MARK
MARKETS = 1_000
SYMBOLS = [f"{base}/USDT" for base in canned_venue.symbols(MARKETS)]
FEW = SYMBOLS[:10]
FRAMES = 800  # of each symbol in a round
PACE = 2_000.0  # frames a second, of all together
ROUNDS = 3
OPTIONS: dict[str, Any] = {
    "fetchMarkets": {"types": ["spot"]},
    "fetchCurrencies": False,
    "fetchMargins": False,
    "watchTickers": {"name": "ticker"},  # the same channels for both
    "watchTrades": {"name": "trade"},
    "watchTradesForSymbols": {"name": "trade"},
}

Read = Callable[[Any, str, Callable[[], None]], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The venue that sends frames at a pace."""
    with started(sys.executable, canned_feeds.__file__, str(MARKETS)) as line:
        yield line


@pytest.fixture(scope="module")
def simulated() -> Iterator[str]:
    """The simulated venue."""
    with started(sys.executable, "-m", "tradeutils.cli", "sim", "--port", "0", "--symbols", "4") as line:
        yield line.split()[2]


@contextlib.contextmanager
def started(*command: str) -> Iterator[str]:
    """Run a program that tells its address on its first line."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as venue:  # noqa: S603  # this file's neighbours
        assert venue.stdout is not None
        try:
            yield venue.stdout.readline().strip()
        finally:
            venue.kill()


def asked(url: str, path: str, body: Any = None) -> Any:
    """Ask a venue in passing."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310  # loopback
        return json.loads(reply.read() or b"null")


def wait_for(url: str, subscriptions: int) -> None:
    """Wait until so much is subscribed to."""
    while asked(url, "/followed") < subscriptions:
        time.sleep(0.05)


@contextlib.asynccontextmanager
async def ours(url: str) -> AsyncIterator[Any]:
    """Open our exchange, whose budget has room for everything."""
    budget = tu.LocalBudget([tu.Window("weight", 10**9, 60)])
    async with tu.Exchange("binance", url=url, budget=budget, options=OPTIONS) as exchange:
        await exchange.load_markets()
        yield exchange


@contextlib.asynccontextmanager
async def theirs(url: str) -> AsyncIterator[Any]:
    """Open ccxt.pro's, with its limiter off; it tells spot by ``/stream`` in the address."""
    rest = dict.fromkeys(("public", "private", "v1"), f"{url}/api/v3")
    urls = {"api": {**rest, "ws": {"spot": url.replace("http", "ws") + "/stream/ws"}}}
    async with ccxt.pro.binance({"urls": urls, "enableRateLimit": False, "options": OPTIONS}) as exchange:
        await exchange.load_markets()
        yield exchange


async def our_tickers(exchange: Any, symbol: str, came: Callable[[], None]) -> None:
    async for ticker in exchange.watch_ticker(symbol):
        came()
        if ticker.last == MARK:
            return


async def our_trades(exchange: Any, symbol: str, came: Callable[[], None]) -> None:
    async for trade in exchange.watch_trades(symbol):
        came()
        if trade.price == MARK:
            return


async def our_candles(exchange: Any, symbol: str, came: Callable[[], None]) -> None:
    async for candles in exchange.watch_ohlcv(symbol, "1m", closed_only=False):
        came()
        if candles.close[-1] == MARK:
            return


async def our_books(exchange: Any, symbol: str, came: Callable[[], None], *, limit: int | None = 20) -> None:
    async for book in exchange.watch_order_book(symbol, limit=limit):
        came()
        if book.bids[0, 1] == MARK:
            return


our_whole_books = functools.partial(our_books, limit=None)


async def their_tickers(exchange: Any, symbol: str, came: Callable[[], None]) -> None:
    while (await exchange.watch_ticker(symbol))["last"] != MARK:
        came()


async def their_trades(exchange: Any, symbol: str, came: Callable[[], None]) -> None:
    while (await exchange.watch_trades(symbol))[-1]["price"] != MARK:
        came()


async def their_candles(exchange: Any, symbol: str, came: Callable[[], None]) -> None:
    while (await exchange.watch_ohlcv(symbol, "1m"))[-1][4] != MARK:
        came()


async def their_books(exchange: Any, symbol: str, came: Callable[[], None]) -> None:
    while (await exchange.watch_order_book(symbol))["bids"][0][1] != MARK:
        came()


async def their_whole_books(exchange: Any, symbol: str, came: Callable[[], None]) -> None:
    """Make of each what ours is: two arrays that no later message changes."""
    while True:
        book = await exchange.watch_order_book(symbol)
        bids, _ = (np.array(book[side]) for side in ("bids", "asks"))
        if bids[0, 1] == MARK:
            return
        came()


async def cpu(url: str, opened: Any, read: Read, *, readers: int = 1) -> float:
    """Return the CPU seconds of a frame, from the socket to the loop of who reads it."""
    seen: set[int] = set()
    async with opened(url) as exchange:
        work = [
            asyncio.create_task(read(exchange, symbol, lambda number=number: seen.add(number)))  # type: ignore[misc]
            for number, symbol in enumerate(FEW * readers)
        ]
        await asyncio.to_thread(wait_for, url, len(FEW))
        while len(seen) < len(work):  # the first of each takes a snapshot, a table, a line of its own
            await asyncio.to_thread(asked, url, f"/go?frames=3&pace={PACE}")
            await asyncio.sleep(0.2)
        gc.collect()
        began = time.process_time()
        await asyncio.to_thread(asked, url, f"/go?frames={FRAMES}&pace={PACE}")
        await asyncio.to_thread(asked, url, "/go?frames=0&pace=1")
        await asyncio.gather(*work)
        taken = time.process_time() - began
    return taken / (FRAMES + canned_feeds.MARKS) / len(FEW)


def told(benchmark: Any, capsys: pytest.CaptureFixture[str], task: str, figures: dict[str, Any]) -> None:
    """Print figures and keep them."""
    benchmark.group = task
    benchmark.extra_info.update({"who": "tradeutils", **figures})
    with capsys.disabled():
        print(f"\n{task}: " + ", ".join(f"{name} {figure}" for name, figure in figures.items()))


@pytest.mark.parametrize(
    ("our_read", "their_read"),
    [
        pytest.param(our_tickers, their_tickers, id="tickers"),
        pytest.param(our_trades, their_trades, id="trades"),
        pytest.param(our_candles, their_candles, id="candles"),
        pytest.param(our_books, their_books, id="books of 20 levels"),
        pytest.param(our_whole_books, their_whole_books, id="books of 1000 levels, as arrays"),
    ],
)
def test_message(
    benchmark: Any,
    capsys: pytest.CaptureFixture[str],
    url: str,
    request: pytest.FixtureRequest,
    our_read: Read,
    their_read: Read,
) -> None:
    """Ten symbols, 2000 messages a second in all: CPU of one, from the socket to the consumer's loop."""

    async def work() -> list[tuple[float, float]]:
        return [(await cpu(url, ours, our_read), await cpu(url, theirs, their_read)) for _ in range(ROUNDS)]

    pairs = benchmark.pedantic(lambda: asyncio.run(work()), rounds=1)
    figures = {
        "CPU": f"{1e6 * statistics.median(own for own, _ in pairs):.3g} µs",
        "ccxt.pro's CPU": f"{1e6 * statistics.median(other for _, other in pairs):.3g} µs",
        "ratio": f"{statistics.median(own / other for own, other in pairs):.3f}",
        "bound": 1.3,
    }
    kind = request.node.callspec.id
    told(benchmark, capsys, f"a message of {len(FEW)} streams of {kind}", figures)


def test_many_consumers_of_one_market(benchmark: Any, capsys: pytest.CaptureFixture[str], url: str) -> None:
    """What each further consumer of the same tickers costs: they share one subscription."""
    more = 20

    async def work() -> tuple[float, float]:
        return await cpu(url, ours, our_tickers), await cpu(url, ours, our_tickers, readers=1 + more)

    alone, together = benchmark.pedantic(lambda: asyncio.run(work()), rounds=1)
    figures = {
        "alone": f"{1e6 * alone:.3g} µs",
        f"with {more} more": f"{1e6 * together:.3g} µs",
        "each": f"{1e6 * (together - alone) / more:.3g} µs",
    }
    told(benchmark, capsys, "a ticker for many consumers", figures)


async def memory(opened: Any, url: str, watch: Callable[[Any, str], Any]) -> float:
    """Return the bytes that Python holds for each of many streams of tickers, once data has come."""
    came: set[str] = set()

    async def read(exchange: Any, symbol: str) -> None:
        await watch(exchange, symbol)
        came.add(symbol)
        await asyncio.Event().wait()

    count = len(SYMBOLS) // 2
    async with opened(url) as exchange:
        first = asyncio.create_task(read(exchange, SYMBOLS[-1]))
        await asyncio.to_thread(wait_for, url, 1)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        work = [asyncio.create_task(read(exchange, symbol)) for symbol in SYMBOLS[:count]]
        await asyncio.to_thread(wait_for, url, 1 + count)
        while len(came) < count:
            await asyncio.to_thread(asked, url, f"/go?frames=1&pace={PACE}")
            await asyncio.sleep(0.5)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        for task in (first, *work):
            task.cancel()
        await asyncio.gather(first, *work, return_exceptions=True)
    return (held - before) / count


def test_memory_of_a_stream(benchmark: Any, capsys: pytest.CaptureFixture[str], url: str) -> None:
    """500 streams of tickers of as many markets."""

    async def our_next(exchange: Any, symbol: str) -> None:
        stream = exchange.watch_ticker(symbol)
        await anext(stream)
        kept.append(stream)

    async def their_next(exchange: Any, symbol: str) -> None:
        await exchange.watch_ticker(symbol)

    kept: list[Any] = []

    async def work() -> tuple[float, float]:
        return await memory(ours, url, our_next), await memory(theirs, url, their_next)

    own, other = benchmark.pedantic(lambda: asyncio.run(work()), rounds=1)
    figures = {"memory": f"{own / 1024:.3g} KiB", "ccxt.pro's": f"{other / 1024:.3g} KiB"}
    told(benchmark, capsys, "a stream of tickers, of 500", figures)


MAX_AGE_S = 2.0
OUTAGES = 5
STEADY_S = 3.0  # connections that break one after the other are dialled with growing pauses


async def silences(url: str, kind: str) -> tuple[list[float], list[float]]:
    """Return how old data was when it was said that it has stopped, and how long after that it came again."""
    noticed, again = [], []
    async with (
        tu.Exchange("binance", url=url) as exchange,
        exchange.watch_ticker("BTC/USDT", max_age=MAX_AGE_S) as stream,
    ):
        await anext(stream)
        for _ in range(OUTAGES):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(asked, url, "/sim/feed-faults", {"kind": kind, "count": 1})
            while not isinstance(item := await anext(stream), tu.Stale):
                pass
            stale = time.monotonic()
            noticed.append(item.age)
            while not isinstance(await anext(stream), tu.Ticker):
                pass
            again.append(time.monotonic() - stale)
    return noticed, again


@pytest.mark.parametrize("kind", ["silent", "half_open"])
def test_silence(benchmark: Any, capsys: pytest.CaptureFixture[str], simulated: str, kind: str) -> None:
    """How soon it is noticed that data stops, and how soon it comes again."""
    noticed, again = benchmark.pedantic(lambda: asyncio.run(silences(simulated, kind)), rounds=1)
    figures = {
        "noticed after": f"{max(noticed):.2f} s",
        "of at most": f"{MAX_AGE_S + 1:g} s",
        "data again after": f"{statistics.median(again):.3f} s",
        "bound": "1 s",
    }
    told(benchmark, capsys, f"data stops: {kind}", figures)


async def our_reconnects(url: str) -> list[float]:
    """Return how long after each end of the connection data came again."""
    again: list[float] = []
    came = asyncio.Event()
    async with tu.Exchange("binance", url=url) as exchange, exchange.watch_ticker("BTC/USDT", policy="all") as stream:
        await anext(stream)

        async def read() -> None:
            async for _ in stream:
                came.set()

        reading = asyncio.create_task(read())
        for count in range(1, OUTAGES + 1):
            await asyncio.sleep(STEADY_S)
            await asyncio.to_thread(asked, url, "/sim/feed-faults", {"kind": "drop", "count": 1})
            while stream.reconnects < count:  # noqa: ASYNC110  # what is timed has no event
                await asyncio.sleep(0.001)
            broken = time.monotonic()
            came.clear()
            await came.wait()
            again.append(time.monotonic() - broken)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return again


async def their_reconnects(url: str) -> list[float]:
    """Return the same of ccxt.pro, which raises, and is asked again at once."""
    again: list[float] = []
    async with theirs(url) as exchange:
        await exchange.watch_ticker("BTC/USDT")
        for _ in range(OUTAGES):
            await asyncio.sleep(STEADY_S)
            await asyncio.to_thread(asked, url, "/sim/feed-faults", {"kind": "drop", "count": 1})
            broken = 0.0
            while not broken:
                try:
                    await exchange.watch_ticker("BTC/USDT")
                except ccxt.pro.NetworkError:
                    broken = time.monotonic()
            await exchange.watch_ticker("BTC/USDT")
            again.append(time.monotonic() - broken)
    return again


def test_reconnect(benchmark: Any, capsys: pytest.CaptureFixture[str], simulated: str) -> None:
    """From the end of a connection to the first data of the next."""

    async def work() -> tuple[list[float], list[float]]:
        return await our_reconnects(simulated), await their_reconnects(simulated)

    own, other = benchmark.pedantic(lambda: asyncio.run(work()), rounds=1)
    figures = {
        "median": f"{statistics.median(own):.3f} s",
        "at most": f"{max(own):.3f} s",
        "ccxt.pro's median": f"{statistics.median(other):.3f} s",
        "bound": "1 s",
    }
    told(benchmark, capsys, "a connection breaks: data again", figures)
