"""
The cache against redis-py alone and cashews, on one real server in the same run, over loopback.

redis-py hands back bytes and decodes nothing, but for the tickers, where orjson does; the caches hand back values. A
round is as many operations as the task says, in one event loop; medians. The ratios are printed at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import cashews
import orjson
import pytest
import redis.asyncio as redis

import tradeutils as tu

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from servers import ValkeyServer

WHO = ("tradeutils", "redis-py", "cashews")
TICKERS = {
    f"COIN{i}/USDT": {"bid": 1.5 + i, "ask": 1.6 + i, "last": 1.55 + i, "volume": 1e6 / (1 + i), "time": 1_700_000_000}
    for i in range(2000)
}
_Operation = Callable[[], Awaitable[Any]]
_Medians = dict[tuple[str, str], float]


class Peers:
    """One client of each kind on a server, filled with the same."""

    def __init__(self, url: str) -> None:
        self.tradeutils = tu.Cache(url, timeout=10)
        self.redis = redis.from_url(url)
        self.cashews = cashews.Cache()
        self.cashews.setup(url)
        self.near_tradeutils = tu.Cache()
        self.near_cashews = cashews.Cache()
        self.near_cashews.setup("mem://")

    async def fill(self) -> None:
        """Store the same values through each."""
        values = {**{f"small{i}": "x" * 100 for i in range(500)}, **{f"large{i}": "x" * 10_000 for i in range(50)}}
        await self.tradeutils.set_many({**values, "tickers": TICKERS}, ttl=3600)
        await self.redis.mset({f"raw:{key}": value for key, value in values.items()})
        await self.redis.set("raw:tickers", orjson.dumps(TICKERS))
        for key, value in {**values, "tickers": TICKERS}.items():
            await self.cashews.set(key, value, expire=3600)
        await self.near_tradeutils.set("small0", "x" * 100, ttl=3600)
        await self.near_cashews.set("small0", "x" * 100, expire=3600)

    async def aclose(self) -> None:
        """Close all."""
        await self.tradeutils.aclose()
        await self.near_tradeutils.aclose()
        await self.redis.aclose()
        await self.cashews.close()
        await self.near_cashews.close()


@pytest.fixture(scope="module", name="peers")
def _peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Peers]]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    with asyncio.Runner() as runner:

        async def begin() -> Peers:
            made = Peers(server.url)
            await made.fill()
            return made

        made = runner.run(begin())
        yield runner, made
        runner.run(made.aclose())
    server.kill()


@pytest.fixture(scope="module", name="medians")
def _medians(pytestconfig: pytest.Config) -> Iterator[_Medians]:
    """Collect the medians of a run in seconds; print the ratios when it is over, captured or not."""
    medians: _Medians = {}
    yield medians
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        print("\nmedian of one operation, µs:")
        for task, (times, _) in TASKS.items():
            taken = {who: medians[task, who] / times * 1e6 for who in WHO if (task, who) in medians}
            ours = taken.get("tradeutils")
            ratios = [
                f"{who} {micros:.1f}" + (f" ({ours / micros:.2f}x)" if ours and who != "tradeutils" else "")
                for who, micros in taken.items()
            ]
            print(f"  {task.partition(' (')[0]:36s} {', '.join(ratios)}")


def _in_turn(times: int, operation: _Operation) -> _Operation:
    async def run() -> None:
        for _ in range(times):
            await operation()

    return run


def _at_once(rounds: int, keys: list[str], get: Callable[[str], Awaitable[Any]]) -> _Operation:
    async def run() -> None:
        for _ in range(rounds):
            await asyncio.gather(*(get(key) for key in keys))

    return run


def sequential_get(peers: Peers) -> dict[str, _Operation]:
    """One after another, each a round trip."""
    return {
        "tradeutils": _in_turn(200, lambda: peers.tradeutils.get("small0")),
        "redis-py": _in_turn(200, lambda: peers.redis.get("raw:small0")),
        "cashews": _in_turn(200, lambda: peers.cashews.get("small0")),
    }


def sequential_set(peers: Peers) -> dict[str, _Operation]:
    """One after another, each with a ttl."""
    value = "x" * 100
    return {
        "tradeutils": _in_turn(200, lambda: peers.tradeutils.set("w", value, ttl=60)),
        "redis-py": _in_turn(200, lambda: peers.redis.set("raw:w", value, px=60_000)),
        "cashews": _in_turn(200, lambda: peers.cashews.set("w", value, expire=60)),
    }


def concurrent_gets(kind: str) -> Callable[[Peers], dict[str, _Operation]]:
    """Fifty different keys, asked for in one turn of the loop."""

    def make(peers: Peers) -> dict[str, _Operation]:
        keys = [f"{kind}{i}" for i in range(50)]
        return {
            "tradeutils": _at_once(20, keys, peers.tradeutils.get),
            "redis-py": _at_once(20, [f"raw:{key}" for key in keys], peers.redis.get),
            "cashews": _at_once(20, keys, peers.cashews.get),
        }

    return make


def bulk_get(peers: Peers) -> dict[str, _Operation]:
    """Five hundred keys in one call."""
    keys = [f"small{i}" for i in range(500)]
    return {
        "tradeutils": _in_turn(10, lambda: peers.tradeutils.get_many(keys)),
        "redis-py": _in_turn(10, lambda: peers.redis.mget([f"raw:{key}" for key in keys])),
        "cashews": _in_turn(10, lambda: peers.cashews.get_many(*keys)),
    }


def tickers(peers: Peers) -> dict[str, _Operation]:
    """A map of 2000 tickers, read and decoded."""

    async def decoded() -> Any:
        return orjson.loads(await peers.redis.get("raw:tickers"))

    return {
        "tradeutils": _in_turn(10, lambda: peers.tradeutils.get("tickers")),
        "redis-py": _in_turn(10, decoded),
        "cashews": _in_turn(10, lambda: peers.cashews.get("tickers")),
    }


def memory_get(peers: Peers) -> dict[str, _Operation]:
    """From this process, one after another."""
    return {
        "tradeutils": _in_turn(2000, lambda: peers.near_tradeutils.get("small0")),
        "cashews": _in_turn(2000, lambda: peers.near_cashews.get("small0")),
    }


TASKS: dict[str, tuple[int, Callable[[Peers], dict[str, _Operation]]]] = {
    "get of 100 B (200 in turn)": (200, sequential_get),
    "set of 100 B (200 in turn)": (200, sequential_set),
    "concurrent get of 100 B (20 times 50)": (1000, concurrent_gets("small")),
    "concurrent get of 10 kB (20 times 50)": (1000, concurrent_gets("large")),
    "one of 500 keys in a bulk get (10 times)": (5000, bulk_get),
    "get of 2000 tickers (10 in turn)": (10, tickers),
    "get in memory (2000 in turn)": (2000, memory_get),
}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("task", TASKS)
def test_cache(benchmark: Any, peers: tuple[asyncio.Runner, Peers], medians: _Medians, task: str, who: str) -> None:
    """Time one task by one of the three."""
    runner, made = peers
    operations = TASKS[task][1](made)
    if who not in operations:
        pytest.skip(f"{who} has no store of its own in this process")
    benchmark.group = task
    benchmark.extra_info["who"] = who
    benchmark.pedantic(lambda: runner.run(operations[who]()), rounds=30, warmup_rounds=3)
    medians[task, who] = benchmark.stats.stats.median
