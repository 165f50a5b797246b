"""
Many accounts on one venue: what they cost to open and to close, and how soon a process has its markets.

The simulated venue lists 2000 symbols and runs in a process of its own. Memory is that of the process, beyond what it
is with one account open.
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import ccxt.async_support
import pytest

import tradeutils as tu
from tradeutils.budget import LocalBudget

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from budget_races import Report, _report, _server  # noqa: F401  # fixtures
from servers import ValkeyServer

HERE = pathlib.Path(__file__).resolve().parent
SYMBOLS = 2000
ACCOUNTS = 200
THEIRS = 10  # instances of ccxt: 200 would take 12 GiB

_VENUE = f"""
import sys
from tradeutils.sim import Limits, serve

with serve("binance", symbols={SYMBOLS}, seed=1, limits=Limits.none()) as venue:
    print(venue.url, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run the venue in another process."""
    with subprocess.Popen(  # noqa: S603  # ours
        [sys.executable, "-c", _VENUE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()


def asked(url: str) -> int:
    """Return how often the venue was asked what it lists."""
    with urllib.request.urlopen(f"{url}/sim/requests") as answer:  # noqa: S310  # loopback
        return int(json.loads(answer.read())["paths"].get("/api/v3/exchangeInfo", 0))


@pytest.mark.parametrize("who", ["tradeutils", "ccxt"])
def test_accounts_of_one_venue(benchmark: Any, report: Report, url: str, who: str) -> None:
    """Open accounts beyond the first, all at once, each with its markets; then close them all."""
    count = ACCOUNTS if who == "tradeutils" else THEIRS
    benchmark.group = f"{count} accounts with their markets: {who}"
    task = json.dumps({"who": who, "url": url, "count": count})
    before = asked(url)

    def work() -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-W", "error", str(HERE / "exchanges_worker.py"), task]
        return subprocess.run(program, capture_output=True, text=True, timeout=300, check=True)  # noqa: S603  # ours

    done = benchmark.pedantic(work, rounds=1)
    told, loads = json.loads(done.stdout), asked(url) - before
    figures = {
        "accounts": count,
        "CPU": f"{told['cpu']:.2f} s",
        "an account": f"{1000 * told['cpu'] / (count - 1):.1f} ms",
        "memory": f"{told['memory']:.0f} MiB",
        "loads": loads,
        "closed in": f"{1000 * told['close']:.0f} ms",
        "warnings": len(done.stderr.splitlines()),
    }
    benchmark.extra_info.update({"who": who, **figures})
    report(f"{benchmark.group} | " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    if who == "tradeutils":
        assert loads == 1
        assert done.stderr == ""
        assert told["cpu"] < 3
        assert told["memory"] < 60
        assert told["close"] < 1


@pytest.mark.parametrize("who", ["tradeutils", "tradeutils, first of all", "ccxt"])
def test_markets_at_the_start(benchmark: Any, report: Report, server: ValkeyServer, url: str, who: str) -> None:
    """How soon a process has the 2000 markets: from the table that another left in Redis, or from the venue."""
    benchmark.group = f"{SYMBOLS} markets at the start"
    benchmark.extra_info["who"] = who
    urls = dict.fromkeys(("public", "private", "v1"), f"{url}/api/v3")
    urls |= {name: f"{url}/{name[:4]}/v1" for name in ("fapiPublic", "dapiPublic")}

    async def ours() -> int:
        async with (
            tu.Cache(server.url, timeout=5.0) as cache,
            tu.Exchange("binance", url=url, cache=cache, budget=LocalBudget()) as exchange,
        ):
            return len(await exchange.load_markets())

    async def theirs() -> int:
        config = {"urls": {"api": urls}, "enableRateLimit": False, "timeout_on_exit": 0}
        async with ccxt.async_support.binance(config) as exchange:
            return len(await exchange.load_markets())

    def forget() -> None:
        with server.client() as client:
            client.flushall()

    with asyncio.Runner() as runner:
        work = theirs if who == "ccxt" else ours
        runner.run(work())
        setup = forget if "first" in who else None
        found = benchmark.pedantic(lambda: runner.run(work()), setup=setup, rounds=7)
    assert found >= SYMBOLS
