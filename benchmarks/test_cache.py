"""
The cache against redis-py alone, cashews and aiocache, on one real server in the same run, over loopback.

redis-py hands back bytes and decodes nothing, but for the tickers, where orjson does; the caches hand back values. A
round is as many operations as the task says, in one event loop; medians. The ratios are printed at the end, and with
them how many fetches and commands it takes many callers to share one: those of tradeutils alone, for the peers' own
are in the hundreds and depend on how long each sleeps between two looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiocache
import aiocache.serializers
import cashews
import orjson
import pytest
import redis.asyncio as redis

import tradeutils as tu

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from servers import ValkeyServer

# aiocache calls what redis-py has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")

WHO = ("tradeutils", "redis-py", "cashews", "aiocache")
TICKERS = {
    f"COIN{i}/USDT": {"bid": 1.5 + i, "ask": 1.6 + i, "last": 1.55 + i, "volume": 1e6 / (1 + i), "time": 1_700_000_000}
    for i in range(2000)
}
_Operation = Callable[[], Awaitable[Any]]
_Medians = dict[tuple[str, str], float]


class Peers:
    """One client of each kind on a server, filled with the same."""

    def __init__(self, url: str, port: int) -> None:
        self.tradeutils = tu.Cache(url, timeout=10)
        self.kept = tu.Cache(url, near="64mb", timeout=10)
        self.redis = redis.from_url(url)
        self.cashews = cashews.Cache()
        self.cashews.setup(url)
        self.near_tradeutils = tu.Cache()
        self.near_cashews = cashews.Cache()
        self.near_cashews.setup("mem://")
        self.kept_cashews = cashews.Cache()
        self.kept_cashews.setup(url, client_side=True)
        plain = aiocache.serializers.JsonSerializer
        self.aiocache = aiocache.Cache(aiocache.Cache.REDIS, endpoint="127.0.0.1", port=port, serializer=plain())
        self.near_aiocache = aiocache.Cache(aiocache.Cache.MEMORY, serializer=plain())

    async def fill(self) -> None:
        """Store the same values through each."""
        values = {**{f"small{i}": "x" * 100 for i in range(500)}, **{f"large{i}": "x" * 10_000 for i in range(50)}}
        await self.tradeutils.set_many({**values, "tickers": TICKERS}, ttl=3600)
        await self.redis.mset({f"raw:{key}": value for key, value in values.items()})
        await self.redis.set("raw:tickers", orjson.dumps(TICKERS))
        for key, value in {**values, "tickers": TICKERS}.items():
            await self.cashews.set(key, value, expire=3600)
            await self.aiocache.set(f"aio:{key}", value, ttl=3600)
        await self.near_aiocache.set("small0", "x" * 100, ttl=3600)
        await self.kept.get("small0")
        await self.kept_cashews.set("kept", "x" * 100, expire=3600)
        await self.kept_cashews.get("kept")
        await self.near_tradeutils.set("small0", "x" * 100, ttl=3600)
        await self.near_cashews.set("small0", "x" * 100, expire=3600)

    async def aclose(self) -> None:
        """Close all."""
        await self.tradeutils.aclose()
        await self.kept.aclose()
        await self.kept_cashews.close()
        await self.aiocache.close()
        await self.near_tradeutils.aclose()
        await self.redis.aclose()
        await self.cashews.close()
        await self.near_cashews.close()


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module", name="peers")
def _peers(server: ValkeyServer) -> Iterator[tuple[asyncio.Runner, Peers]]:
    with asyncio.Runner() as runner:

        async def begin() -> Peers:
            made = Peers(server.url, server.port)
            await made.fill()
            return made

        made = runner.run(begin())
        yield runner, made
        runner.run(made.aclose())


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
        "aiocache": _in_turn(200, lambda: peers.aiocache.get("aio:small0")),
    }


def sequential_set(peers: Peers) -> dict[str, _Operation]:
    """One after another, each with a ttl."""
    value = "x" * 100
    return {
        "tradeutils": _in_turn(200, lambda: peers.tradeutils.set("w", value, ttl=60)),
        "redis-py": _in_turn(200, lambda: peers.redis.set("raw:w", value, px=60_000)),
        "cashews": _in_turn(200, lambda: peers.cashews.set("w", value, expire=60)),
        "aiocache": _in_turn(200, lambda: peers.aiocache.set("aio:w", value, ttl=60)),
    }


def concurrent_gets(kind: str) -> Callable[[Peers], dict[str, _Operation]]:
    """Fifty different keys, asked for in one turn of the loop."""

    def make(peers: Peers) -> dict[str, _Operation]:
        keys = [f"{kind}{i}" for i in range(50)]
        return {
            "tradeutils": _at_once(20, keys, peers.tradeutils.get),
            "redis-py": _at_once(20, [f"raw:{key}" for key in keys], peers.redis.get),
            "cashews": _at_once(20, keys, peers.cashews.get),
            "aiocache": _at_once(20, [f"aio:{key}" for key in keys], peers.aiocache.get),
        }

    return make


def bulk_get(peers: Peers) -> dict[str, _Operation]:
    """Five hundred keys in one call."""
    keys = [f"small{i}" for i in range(500)]
    return {
        "tradeutils": _in_turn(10, lambda: peers.tradeutils.get_many(keys)),
        "redis-py": _in_turn(10, lambda: peers.redis.mget([f"raw:{key}" for key in keys])),
        "cashews": _in_turn(10, lambda: peers.cashews.get_many(*keys)),
        "aiocache": _in_turn(10, lambda: peers.aiocache.multi_get([f"aio:{key}" for key in keys])),
    }


def tickers(peers: Peers) -> dict[str, _Operation]:
    """A map of 2000 tickers, read and decoded."""

    async def decoded() -> Any:
        return orjson.loads(await peers.redis.get("raw:tickers"))

    return {
        "tradeutils": _in_turn(10, lambda: peers.tradeutils.get("tickers")),
        "redis-py": _in_turn(10, decoded),
        "cashews": _in_turn(10, lambda: peers.cashews.get("tickers")),
        "aiocache": _in_turn(10, lambda: peers.aiocache.get("aio:tickers")),
    }


def memory_get(peers: Peers) -> dict[str, _Operation]:
    """From this process, one after another."""
    return {
        "tradeutils": _in_turn(2000, lambda: peers.near_tradeutils.get("small0")),
        "cashews": _in_turn(2000, lambda: peers.near_cashews.get("small0")),
        "aiocache": _in_turn(2000, lambda: peers.near_aiocache.get("small0")),
    }


def near_hit(peers: Peers) -> dict[str, _Operation]:
    """From the copy in this process of what lies on the server, one after another."""
    return {
        "tradeutils": _in_turn(2000, lambda: peers.kept.get("small0")),
        "cashews": _in_turn(2000, lambda: peers.kept_cashews.get("kept")),
    }


TASKS: dict[str, tuple[int, Callable[[Peers], dict[str, _Operation]]]] = {
    "get of 100 B (200 in turn)": (200, sequential_get),
    "set of 100 B (200 in turn)": (200, sequential_set),
    "concurrent get of 100 B (20 times 50)": (1000, concurrent_gets("small")),
    "concurrent get of 10 kB (20 times 50)": (1000, concurrent_gets("large")),
    "one of 500 keys in a bulk get (10 times)": (5000, bulk_get),
    "get of 2000 tickers (10 in turn)": (10, tickers),
    "get in memory (2000 in turn)": (2000, memory_get),
    "get of what is kept near (2000 in turn)": (2000, near_hit),
}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("task", TASKS)
def test_cache(benchmark: Any, peers: tuple[asyncio.Runner, Peers], medians: _Medians, task: str, who: str) -> None:
    """Time one task by one of the four."""
    runner, made = peers
    operations = TASKS[task][1](made)
    if who not in operations:
        pytest.skip(f"{who} has no such thing")
    benchmark.group = task
    benchmark.extra_info["who"] = who
    benchmark.pedantic(lambda: runner.run(operations[who]()), rounds=30, warmup_rounds=3)
    medians[task, who] = benchmark.stats.stats.median


def _commands(server: ValkeyServer) -> int:
    """Count the commands since the last count, those of scripts among them."""
    with server.client() as client:
        told = client.info("commandstats")
        client.config_resetstat()
    ours = {name: one["calls"] for name, one in told.items() if not name.startswith(("cmdstat_con", "cmdstat_cl"))}
    return sum(ours.values()) - ours.get("cmdstat_hello", 0) - ours.get("cmdstat_info", 0)


def test_one_fetch_for_all(benchmark: Any, server: ValkeyServer, say: Callable[[str], None]) -> None:
    """Eight caches, each a connection of its own as a process has, and twenty callers on each ask for one key."""
    counted: list[tuple[int, int]] = []

    async def ask() -> None:
        fetches = 0

        async def fetch() -> int:
            nonlocal fetches
            fetches += 1
            await asyncio.sleep(0.2)
            return fetches

        async with contextlib.AsyncExitStack() as stack:
            caches = [await stack.enter_async_context(tu.Cache(server.url, timeout=10)) for _ in range(8)]
            await asyncio.gather(*(cache.get("warm") for cache in caches))
            _commands(server)
            key = f"shared{len(counted)}"
            await asyncio.gather(*(cache.get_or_fetch(key, fetch, ttl=60) for cache in caches for _ in range(20)))
            counted.append((fetches, _commands(server)))

    benchmark.group = "one fetch for 8 caches of 20 callers"
    benchmark.pedantic(lambda: asyncio.run(ask()), rounds=5)
    fetches, commands = (max(one) for one in zip(*counted, strict=True))
    benchmark.extra_info |= {"fetches": fetches, "commands": commands}
    say(f"8 caches of 20 callers, one key: {fetches} fetch, {commands} commands (at most, of {len(counted)})")


def test_early_refresh(benchmark: Any, server: ValkeyServer, say: Callable[[str], None]) -> None:
    """Sixty-four caches ask ten times a second for one key of 1 s, whose fetch takes 50 ms, for ten seconds."""
    waits: list[float] = []
    fetches = 0

    async def fetch() -> int:
        nonlocal fetches
        fetches += 1
        await asyncio.sleep(0.05)
        return fetches

    async def work(cache: tu.Cache, offset: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(offset)
        for _ in range(100):
            began = loop.time()
            await cache.get_or_fetch("early", fetch, ttl=1, early=True)
            waits.append(loop.time() - began)
            await asyncio.sleep(max(0.0, began + 0.1 - loop.time()))

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            caches = [await stack.enter_async_context(tu.Cache(server.url, timeout=10)) for _ in range(64)]
            await asyncio.gather(*(cache.get("warm") for cache in caches))
            await asyncio.gather(*(work(cache, number / 640) for number, cache in enumerate(caches)))

    benchmark.group = "early refresh by 64 caches"
    benchmark.pedantic(lambda: asyncio.run(run()), rounds=1)
    waited = sum(wait > 0.03 for wait in waits)
    benchmark.extra_info |= {"fetches": fetches, "waited": waited, "asked": len(waits)}
    say(f"64 caches at 10/s, ttl 1 s for 10 s: {fetches / 10:.2f} fetches a ttl; {waited} of {len(waits)} calls waited")
