"""
How near a backfill comes to what the rate limit allows, and what ten kills cost it.

The simulated venue runs in a process of its own and refuses who asks more than it allows in a window; windows begin
with the clock, as Binance's do. The time that the limit dictates is the earliest moment at which the last of the
requests that hold the candles, 1000 each, may leave: one window's worth at once, the next after the window, and so on.
Whatever else is asked, waited (the budget keeps half a second of distance to each window) or written comes on top.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import pathlib
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.sim import DEFAULT_NOW

SYMBOLS, DAYS = 100, 30
SEED = 7
# 100 weight a second, as Binance allows, in windows half as long, so that there are some; the last holds few requests:
# it is the limit that is to be measured, and not how fast this machine sends what it does not hold back.
LIMIT, WINDOW = 2_900, 29.0
PAGE, WEIGHT = 1_000, 2
KILLS = 10
MINUTE, DAY = 60_000, 86_400_000
UNTIL = DEFAULT_NOW - DEFAULT_NOW % DAY
COLUMNS = ("time", "open", "high", "low", "close", "volume")

_VENUE = """
import sys
from tradeutils.sim import Limits, serve

limits = Limits(weight={weight}, window={window}) if {weight} else Limits.none()
with serve("binance", symbols={symbols}, linear=0, seed={seed}, limits=limits, speed=1) as venue:
    print(venue.url, flush=True)
    sys.stdin.readline()
"""

_KILLED = """
import asyncio, sys
import tradeutils as tu

async def main(url, path, since, until):
    async with tu.Exchange("binance", url=url) as exchange:
        symbols = [one for one, market in (await exchange.load_markets()).items() if market.type == "spot"]
        with tu.History(path) as history:
            report = await history.backfill(exchange, symbols, ["1m", "1h"], since=int(since), until=int(until))
            print("done" if report.complete else report, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@contextlib.contextmanager
def venue(symbols: int, *, limited: bool) -> Iterator[str]:
    """Run a venue in another process; yield its address."""
    program = _VENUE.format(weight=LIMIT if limited else 0, window=WINDOW, symbols=symbols, seed=SEED)
    with subprocess.Popen(  # noqa: S603  # ours
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def log_of(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/sim/log") as answer:  # noqa: S310  # loopback
        found: dict[str, Any] = json.load(answer)
        return found


def pages_of(url: str) -> int:
    with urllib.request.urlopen(f"{url}/sim/requests") as answer:  # noqa: S310  # loopback
        return int(json.load(answer)["paths"].get("/api/v3/klines", 0))


async def check_equal(path: pathlib.Path, url: str, symbols: list[str], since: int) -> int:
    """Return how many rows were compared with the venue's own; all are there once."""
    rows = 0
    async with tu.Exchange("binance", url=url, budget=tu.LocalBudget([tu.Window("weight", 10**9, 60)])) as exchange:
        with tu.History(path, read_only=True) as history:
            for symbol in symbols:
                expected = await exchange.fetch_ohlcv(symbol, "1m", since=since, until=UNTIL)
                found = history.read("binance", symbol, "1m", since, UNTIL)
                for name in COLUMNS:
                    assert np.array_equal(getattr(found, name), getattr(expected, name)), (symbol, name)
                rows += len(found)
    return rows


def told(benchmark: Any, capsys: pytest.CaptureFixture[str], task: str, figures: dict[str, Any]) -> None:
    benchmark.group = task
    benchmark.extra_info.update({"who": "tradeutils", **figures})
    with capsys.disabled():
        print(f"\n{task}: " + ", ".join(f"{name} {figure}" for name, figure in figures.items()))


def test_a_hundred_symbols_at_the_rate_limit(
    benchmark: Any, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    """100 symbols x 30 days of minutes: within 5 % of the time that the rate limit dictates."""
    since = UNTIL - DAYS * DAY
    requests = SYMBOLS * math.ceil(DAYS * 1440 / PAGE)
    dictated = (math.ceil(requests * WEIGHT / LIMIT) - 1) * WINDOW
    taken: dict[str, Any] = {}

    async def work(url: str) -> None:
        budget = tu.LocalBudget([tu.Window("weight", LIMIT, WINDOW)])
        async with tu.Exchange("binance", url=url, budget=budget) as exchange:
            symbols = [one for one, market in (await exchange.load_markets()).items() if market.type == "spot"]
            await exchange.fetch_time()
            with tu.History(tmp_path) as history:
                began = time.monotonic()
                report = await history.backfill(exchange, symbols, "1m", since=since, until=UNTIL)
                taken.update(seconds=time.monotonic() - began, report=report, symbols=symbols)

    with venue(SYMBOLS, limited=True) as url:
        benchmark.pedantic(lambda: asyncio.run(work(url)), rounds=1)
        refused = log_of(url)["rejected"]
        asked = pages_of(url)
    assert len(taken["symbols"]) == SYMBOLS
    assert taken["report"].complete
    with venue(SYMBOLS, limited=False) as url:
        rows = asyncio.run(check_equal(tmp_path, url, taken["symbols"][::5], since))
    told(
        benchmark,
        capsys,
        f"{SYMBOLS} symbols x {DAYS} days of 1m",
        {
            "seconds": f"{taken['seconds']:.1f}",
            "dictated by the limit": f"{dictated:.1f}",
            "ratio": f"{taken['seconds'] / dictated:.3f}",
            "bound": 1.05,
            "requests": f"{asked} of {requests}",
            "refused": refused,
            "candles": f"{taken['report'].added:,}",
            "compared": f"{rows:,}",
        },
    )
    assert taken["report"].added == SYMBOLS * DAYS * 1440
    assert not refused
    assert taken["seconds"] <= 1.05 * dictated


def test_killed_and_resumed_ten_times(
    benchmark: Any, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    """20 symbols x 30 days, killed ten times on its way: every row once, and little is asked for twice."""
    symbols, since, chance = 20, UNTIL - DAYS * DAY, random.Random(11)
    needed = symbols * math.ceil(DAYS * 1440 / PAGE)
    kills = 0

    def work(url: str) -> None:
        nonlocal kills
        command = [sys.executable, "-c", _KILLED, url, str(tmp_path), str(since), str(UNTIL)]
        for number in range(KILLS + 1):
            start = pages_of(url)
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603  # ours
                if number == KILLS:
                    assert child.communicate(timeout=300)[0].split() == ["done"]
                    continue
                last = start + chance.randrange(10, needed // KILLS)
                while pages_of(url) < last and child.poll() is None:
                    time.sleep(0.01)
                kills += child.poll() is None
                child.kill()

    with venue(symbols, limited=False) as url:
        benchmark.pedantic(lambda: work(url), rounds=1)
        asked = pages_of(url)
        with tu.History(tmp_path, read_only=True) as history:
            names = [key.symbol for key in history.series("binance", "1m")]
            assert history.verify().ok
        rows = asyncio.run(check_equal(tmp_path, url, names, since))
    told(
        benchmark,
        capsys,
        f"{symbols} symbols x {DAYS} days, killed",
        {
            "kills": kills,
            "rows": f"{rows:,}",
            "lost": symbols * DAYS * 1440 - rows,
            "pages asked twice": asked - needed,
            "of": needed,
        },
    )
    assert kills == KILLS
    assert rows == symbols * DAYS * 1440
    # Per kill at most the pieces under way, six pages each; and the tail of a piece that was cut anew.
    assert asked - needed <= KILLS * (48 + 8)
