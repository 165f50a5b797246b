"""Backfills that are killed, cut off and lied to: what was acknowledged stays, and the next run brings the rest."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import pathlib
import random
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from backfill_work import open_at
from servers import ValkeyServer

import tradeutils as tu
from tradeutils.history.backfilling import pace
from tradeutils.sim import Fault, Limits, SimulatedVenue, serve

MINUTE, DAY = 60_000, 86_400_000
SYMBOLS = ["BTC/USDT", "ETH/USDT", "BNB/USDT"]
SINCE = 1_748_044_800_000  # 2025-05-24
UNTIL = SINCE + 9 * DAY
PAGES = 13  # of one symbol: 12,960 minutes

_CHILD = """
import asyncio, sys
import tradeutils as tu

async def main(url, path, since, until, *symbols):
    async with tu.Exchange("binance", url=url) as exchange:
        with tu.History(path) as history:
            print("begun", flush=True)
            report = await history.backfill(
                exchange, symbols, ["1m", "1h"], since=int(since), until=int(until), concurrency=12
            )
            print("done" if report.complete else report, flush=True)

tu.Exchange, tu.History  # a process that is to be killed soon is quick to begin
sys.stdin.readline()
asyncio.run(main(*sys.argv[1:]))
"""


def start(url: str, path: pathlib.Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, url, str(path), str(SINCE), str(UNTIL), *SYMBOLS]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def resume(url: str, path: pathlib.Path) -> None:
    """Do the rest here: a process less to be started."""
    async with tu.Exchange("binance", url=url) as exchange:
        with tu.History(path) as history:
            report = await history.backfill(exchange, SYMBOLS, ["1m", "1h"], since=SINCE, until=UNTIL)
    assert report.complete
    assert report.added > 0


async def check_equal(url: str, path: pathlib.Path) -> None:
    """Every candle is there once, as the venue has it, and nothing in the store is damaged."""
    async with tu.Exchange("binance", url=url) as exchange:
        with tu.History(path, read_only=True) as history:
            assert history.verify().ok
            for symbol in SYMBOLS:
                expected = await exchange.fetch_ohlcv(symbol, "1m", since=SINCE, until=UNTIL)
                found = history.read("binance", symbol, "1m")
                for name in ("time", "open", "high", "low", "close", "volume"):
                    assert np.array_equal(getattr(found, name), getattr(expected, name)), (symbol, name)
                hours, theirs = history.read("binance", symbol, "1h"), expected.resample("1h")
                assert np.array_equal(hours.time, theirs.time)
                assert np.array_equal(hours.close, theirs.close)
                assert history.coverage("binance", symbol, "1m", SINCE, UNTIL).complete


def test_killed_at_any_moment_it_goes_on_where_it_was(tmp_path: pathlib.Path) -> None:
    """Killed twice in the middle: every row is there once, and only what was under way is asked for twice."""
    path, chance = tmp_path / "candles", random.Random(5)
    with serve("binance", symbols=SYMBOLS, limits=Limits.none()) as venue:
        venue.faults.add(Fault(kind="latency", path="/api/v3/klines", seconds=0.05))
        children = [start(venue.url, path) for _ in range(2)]
        for child, least in zip(children, (26, 6), strict=True):  # of 39 pages: begun anew each time, it would be 71
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            asked = venue.requests.paths.get("/api/v3/klines", 0)
            wanted = asked + chance.randrange(least, least + 5)
            while venue.requests.paths.get("/api/v3/klines", 0) < wanted and child.poll() is None:
                time.sleep(0.005)
            child.kill()
            child.communicate()
        venue.faults.clear()
        asyncio.run(resume(venue.url, path))
        pages = venue.requests.paths["/api/v3/klines"]
        assert pages <= len(SYMBOLS) * PAGES + 2 * 2 * 6  # kills x pieces under way x pages of a piece
        asyncio.run(check_equal(venue.url, path))


async def test_cut_connections_and_lies_cost_no_candle(tmp_path: pathlib.Path) -> None:
    """One answer in five is reset, truncated, a page of HTML or a 503: the exchange asks again, the store is whole."""
    kinds = ("reset", "truncate", "html", "status")
    async with SimulatedVenue("binance", symbols=SYMBOLS, limits=Limits.none()) as venue:
        for number, kind in enumerate(kinds):
            venue.faults.add(Fault(kind=kind, path="/api/v3/klines", probability=0.05, seed=number))
        async with tu.Exchange("binance", url=venue.url, retries=8) as exchange:
            with tu.History(tmp_path) as history:
                report = await history.backfill(exchange, SYMBOLS, ["1m", "1h"], since=SINCE, until=UNTIL)
        assert report.complete
        venue.faults.clear()
        await check_equal(venue.url, tmp_path)


async def test_a_venue_that_dies_midway_leaves_a_report(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came is stored, what did not is named, and with the venue back the same call completes it."""
    monkeypatch.setattr(pace, "PAUSES", (0.01, 0.02))
    async with SimulatedVenue("binance", symbols=SYMBOLS, limits=Limits.none()) as venue:
        async with tu.Exchange("binance", url=venue.url, retries=0) as exchange:
            with tu.History(tmp_path) as history:

                def cut(progress: object) -> None:
                    if len(venue.requests.last(1000)) > 12 and not venue.faults.describe():
                        venue.faults.add(Fault(kind="reset", path="/api/v3/klines"))

                report = await history.backfill(
                    exchange, SYMBOLS, "1m", since=SINCE, until=UNTIL, concurrency=1, progress=cut
                )
                assert not report.complete
                assert 0 < report.added < 3 * 12_960
                assert "VenueUnavailable" in str(report)
                venue.faults.clear()
                report = await history.backfill(exchange, SYMBOLS, ["1m", "1h"], since=SINCE, until=UNTIL)
                assert report.complete
        await check_equal(venue.url, tmp_path)


async def test_a_worker_that_is_killed_costs_nothing(tmp_path: pathlib.Path, valkey: ValkeyServer) -> None:
    """Its symbols are done again by another, from where it was."""
    with serve("binance", symbols=SYMBOLS, limits=Limits.none()) as venue:
        opening = functools.partial(open_at, valkey.url, venue.url)
        venue.faults.add(Fault(kind="latency", path="/api/v3/klines", seconds=0.01))
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        async with opening() as exchange:
            with tu.History(tmp_path) as history:
                working = asyncio.create_task(
                    history.backfill(
                        exchange, SYMBOLS, ["1m", "1h"], since=SINCE, until=UNTIL, executor=pool,
                        open_exchange=opening, concurrency=1,
                    )
                )  # fmt: skip
                while venue.requests.paths.get("/api/v3/klines", 0) < 5:
                    assert not working.done()
                    await asyncio.sleep(0.01)
                (victim,) = pool._processes.values()
                victim.kill()
                report = await working
        pool.shutdown()
        assert report.complete
        venue.faults.clear()
        await check_equal(venue.url, tmp_path)
