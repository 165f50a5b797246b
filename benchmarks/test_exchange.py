"""
What market data costs: CPU seconds of this process, ours and ccxt's in turn in one run.

The venue is a process of its own that answers with bytes made beforehand, so what is measured is who asks. CPU is what
``time.process_time`` says, which counts all threads and no waiting; ours and ccxt's alternate, round by round, so that
whatever else the machine does falls on both. The budget has room for everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import ccxt.async_support
import numpy as np
import pandas as pd
import pytest

import tradeutils as tu

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import canned_venue

SYMBOLS = 2_000
PANEL = 500
AT_ONCE = 32  # as many as fetch_panel has under way
SINCE = canned_venue.NOW - canned_venue.CANDLES * canned_venue.MINUTE
OPTIONS = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}
NAMES = [f"{base}/USDT" for base in canned_venue.symbols(SYMBOLS)]
SOME = NAMES[:: SYMBOLS // 50]

Ask = Callable[[], Awaitable[Any]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The venue."""
    program = pathlib.Path(canned_venue.__file__)
    command = [sys.executable, str(program), str(SYMBOLS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as venue:  # noqa: S603  # this file's neighbour
        assert venue.stdout is not None
        yield venue.stdout.readline().strip()
        venue.kill()


@contextlib.asynccontextmanager
async def both(url: str) -> AsyncIterator[tuple[tu.Exchange, Any]]:
    """Open ours and ccxt's, each with its markets."""
    urls = dict.fromkeys(("public", "private", "v1"), f"{url}/api/v3")
    config = {"urls": {"api": urls}, "enableRateLimit": False, "options": OPTIONS}
    budget = tu.LocalBudget([tu.Window("weight", 10**9, 60)])
    async with (
        tu.Exchange("binance", url=url, budget=budget, options=OPTIONS) as ours,
        ccxt.async_support.binance(config) as theirs,
    ):
        await ours.load_markets()
        await theirs.load_markets()
        yield ours, theirs


async def cpu(ask: Ask, times: int) -> float:
    """Return the CPU seconds of one call."""
    began = time.process_time()
    for _ in range(times):
        await ask()
    return (time.process_time() - began) / times


async def compared(ours: Ask, theirs: Ask, *, times: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of ours and theirs in each round, once both have done it a few times."""
    for ask in (ours, theirs):
        for _ in range(3):
            await ask()
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for ask, found in zip((ours, theirs), taken, strict=True):
            found.append(await cpu(ask, times))
    return taken


def recorded(
    benchmark: Any, capsys: pytest.CaptureFixture[str], task: str, bound: float, work: Callable[[], Any]
) -> None:
    """Measure, print ours, ccxt's and the ratio, and keep them; it must be within a bound with room for noise."""
    benchmark.group = task
    ours, theirs = benchmark.pedantic(work, rounds=1)
    ratio = statistics.median(own / other for own, other in zip(ours, theirs, strict=True))
    figures = {
        "CPU": f"{1000 * statistics.median(ours):.3g} ms",
        "ccxt's CPU": f"{1000 * statistics.median(theirs):.3g} ms",
        "ratio": f"{ratio:.3f}",
        "bound": bound,
    }
    benchmark.extra_info.update({"who": "tradeutils", **figures})
    with capsys.disabled():
        print(f"\n{task}: " + ", ".join(f"{name} {figure}" for name, figure in figures.items()))


def test_a_thousand_candles(benchmark: Any, capsys: pytest.CaptureFixture[str], url: str) -> None:
    """One page of klines, from the call to `Candles`; ccxt's to its rows."""

    async def work() -> Any:
        async with both(url) as (ours, theirs):
            rows = await theirs.fetch_ohlcv(NAMES[0], "1m", SINCE, canned_venue.CANDLES)

            async def fetch() -> tu.Candles:
                return await ours.fetch_ohlcv(NAMES[0], "1m", since=SINCE, until=canned_venue.NOW)

            for _ in range(3):
                candles = await fetch()
                columns = (candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume)
                assert np.array_equal(np.column_stack(columns), np.array(rows))
            return await compared(
                fetch,
                lambda: theirs.fetch_ohlcv(NAMES[0], "1m", SINCE, canned_venue.CANDLES),
                times=20,
                rounds=25,
            )

    recorded(benchmark, capsys, "1000 candles", 0.48, lambda: asyncio.run(work()))


@pytest.mark.parametrize(("symbols", "bound"), [(SOME, 0.1), (None, 0.2)], ids=["50 of 2000", "2000"])
def test_tickers(
    benchmark: Any, capsys: pytest.CaptureFixture[str], url: str, symbols: list[str] | None, bound: float
) -> None:
    """Tickers out of a reply with 2000."""

    async def work() -> Any:
        async with both(url) as (ours, theirs):
            expected = await theirs.fetch_tickers(symbols)
            for _ in range(3):
                found = await ours.fetch_tickers(symbols)
                assert {
                    name: (one.last, one.bid, one.vwap, one.percentage, one.time) for name, one in found.items()
                } == {
                    name: (raw["last"], raw["bid"], raw["vwap"], raw["percentage"], raw["timestamp"])
                    for name, raw in expected.items()
                }
            return await compared(
                lambda: ours.fetch_tickers(symbols), lambda: theirs.fetch_tickers(symbols), times=5, rounds=15
            )

    task = f"{'all' if symbols is None else len(symbols)} of {SYMBOLS} tickers"
    recorded(benchmark, capsys, task, bound, lambda: asyncio.run(work()))


async def plain_panel(exchange: Any, symbols: list[str]) -> dict[str, pd.DataFrame]:
    """Make the same panel of ccxt's rows with pandas: a frame of times and symbols for each figure."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(symbol: str) -> pd.DataFrame:
        async with gate:
            rows = await exchange.fetch_ohlcv(symbol, "1m", SINCE, canned_venue.CANDLES)
        return pd.DataFrame(rows, columns=["time", "open", "high", "low", "close", "volume"]).set_index("time")

    frames = await asyncio.gather(*(one(symbol) for symbol in symbols))
    joined = pd.concat(frames, axis=1, keys=symbols).swaplevel(axis=1)
    return {name: joined[name] for name in ("open", "high", "low", "close", "volume")}


def test_a_panel(benchmark: Any, capsys: pytest.CaptureFixture[str], url: str) -> None:
    """500 symbols of 1000 candles into one panel, with no rate limit."""
    symbols = NAMES[:PANEL]

    async def work() -> Any:
        async with both(url) as (ours, theirs):

            async def fetch() -> tu.Panel:
                return await ours.fetch_panel(symbols, "1m", since=SINCE, until=canned_venue.NOW)

            panel, frames = await fetch(), await plain_panel(theirs, symbols)
            assert np.array_equal(panel.close, frames["close"].to_numpy())
            assert np.array_equal(panel.time, frames["close"].index.to_numpy())
            taken: tuple[list[float], list[float]] = ([], [])
            for _ in range(5):
                taken[0].append(await cpu(fetch, 1))
                taken[1].append(await cpu(lambda: plain_panel(theirs, symbols), 1))
            return taken

    recorded(benchmark, capsys, f"{PANEL} symbols x {canned_venue.CANDLES} candles", 0.5, lambda: asyncio.run(work()))


WEIGHT, EVERY, OF_A_PAGE = 250, 6.0, 2  # what the venue allows in six seconds, and what a page of candles costs


def test_a_panel_at_a_rate_limit(benchmark: Any, capsys: pytest.CaptureFixture[str], url: str) -> None:
    """The same panel where the limit decides: elapsed time over the least that the limit allows."""
    symbols = NAMES[:PANEL]
    least = (-(-PANEL * OF_A_PAGE // WEIGHT) - 1) * EVERY  # the first window's worth leaves at once

    async def work() -> float:
        budget = tu.LocalBudget([tu.Window("weight", WEIGHT, EVERY)])
        async with tu.Exchange("binance", url=url, budget=budget, options=OPTIONS) as exchange:
            await exchange.fetch_ohlcv(symbols[0], "1m", since=SINCE, until=canned_venue.NOW)
            await asyncio.sleep(1.1 * EVERY)  # what this cost is forgotten
            began = time.perf_counter()
            panel = await exchange.fetch_panel(symbols, "1m", since=SINCE, until=canned_venue.NOW)
            taken = time.perf_counter() - began
        assert panel.shape == (canned_venue.CANDLES, PANEL)
        return taken

    task = f"{PANEL} symbols x {canned_venue.CANDLES} candles at {WEIGHT} weight in {EVERY:g} s"
    benchmark.group = task
    taken = benchmark.pedantic(lambda: asyncio.run(work()), rounds=1)
    figures = {"time": f"{taken:.2f} s", "least": f"{least:.2f} s", "ratio": f"{taken / least:.3f}", "bound": 1.03}
    benchmark.extra_info.update({"who": "tradeutils", **figures})
    with capsys.disabled():
        print(f"\n{task}: " + ", ".join(f"{name} {figure}" for name, figure in figures.items()))
