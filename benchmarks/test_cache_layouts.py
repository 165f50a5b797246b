"""
Layouts of a map of tickers, large values, and a cluster, against redis-py, on real servers in the same run.

redis-py hands back bytes, and orjson decodes the tickers; of the panel it hands back the bytes alone, as a plain GET of
the same bytes, so that what is left of its throughput is what encoding, decoding and our connection cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pytest
import redis.asyncio as redis

import tradeutils as tu
from tradeutils import codec
from tradeutils.model import Panel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from fleets import ValkeyCluster
from servers import ValkeyServer

TICKERS: dict[str, dict[str, Any]] = {
    f"COIN{i}/USDT": {
        "symbol": f"COIN{i}/USDT", "timestamp": 1_700_000_000_000 + i, "high": 1.9 + i, "low": 1.1 + i, "bid": 1.5 + i,
        "bidVolume": 12.25, "ask": 1.6 + i, "askVolume": 3.5, "vwap": 1.5123 + i, "open": 1.4 + i, "close": 1.55 + i,
        "last": 1.55 + i, "previousClose": None, "change": 0.15, "percentage": 10.7, "average": 1.475 + i,
        "baseVolume": 1e6 / (1 + i), "quoteVolume": 1.5e6 / (1 + i),
    }
    for i in range(2000)
}  # fmt: skip
_ONE = "COIN1000/USDT"
_KEYS = [f"small{number}" for number in range(500)]
_Operation = Callable[[], Awaitable[Any]]
_Medians = dict[tuple[str, str], float]


def _panel() -> Panel:
    symbols, bars = 500, 1000
    prices = np.random.default_rng(1).random((bars, symbols))
    time = np.arange(bars, dtype=np.int64) * 60_000
    columns: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close", "volume"), prices)
    return Panel(symbols=tuple(f"COIN{i}/USDT" for i in range(symbols)), timeframe="1m", time=time, **columns)


class Users:
    """A cache and redis-py on one server, and a cache and redis-py on a cluster."""

    def __init__(self, url: str, cluster_url: str, cluster_port: int) -> None:
        self.cache = tu.Cache(url, timeout=10)
        self.hash = self.cache.map("hash", layout="hash", ttl=3600)
        self.blob = self.cache.map("blob", layout="blob", ttl=3600)
        self.redis: Any = redis.from_url(url)
        self.cluster = tu.Cache(cluster_url, timeout=10)
        self.redis_cluster: Any = redis.RedisCluster(host="127.0.0.1", port=cluster_port)
        self.panel = _panel()

    async def fill(self) -> None:
        """Store the same by each."""
        await self.hash.set_many(TICKERS)
        await self.blob.set_many(TICKERS)
        await self.redis.set("raw:blob", orjson.dumps(TICKERS))
        await self.redis.hset("raw:hash", mapping={name: orjson.dumps(one) for name, one in TICKERS.items()})
        await self.cache.set("panel", self.panel)
        await self.redis.set("raw:panel", codec.dumps(self.panel))
        await self.cluster.set_many(dict.fromkeys(_KEYS, "x" * 100))
        for key in _KEYS:
            await self.redis_cluster.set(f"raw:{key}", "x" * 100)

    async def aclose(self) -> None:
        """Close all."""
        await self.cache.aclose()
        await self.redis.aclose()
        await self.cluster.aclose()
        await self.redis_cluster.aclose()


@pytest.fixture(scope="module", name="users")
def _users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Users]]:
    server, cluster = ValkeyServer(tmp_path_factory.mktemp("valkey")), ValkeyCluster(tmp_path_factory.mktemp("cluster"))
    with contextlib.ExitStack() as stack:
        stack.callback(server.kill)
        stack.callback(cluster.kill)
        server.start()
        cluster.start()
        runner = stack.enter_context(asyncio.Runner())

        async def begin() -> Users:
            made = Users(server.url, cluster.url, cluster.primaries[0].port)
            await made.fill()
            return made

        made = runner.run(begin())
        yield runner, made
        runner.run(made.aclose())


@pytest.fixture(scope="module", name="medians")
def _medians(say: Callable[[str], None]) -> Iterator[_Medians]:
    """Collect the medians of a run in seconds; the ratios are printed when it is over."""
    medians: _Medians = {}
    yield medians
    for task in TASKS:
        taken = {who: seconds * 1e6 for (of, who), seconds in medians.items() if of == task}
        first = next(iter(taken.values()), 0.0)
        say(f"{task:46s} " + ", ".join(f"{who} {us:.1f} us ({first / us:.2f}x)" for who, us in taken.items()))


def read_one(users: Users) -> dict[str, _Operation]:
    """One of 2000 tickers."""

    async def hashed() -> Any:
        return orjson.loads(await users.redis.hget("raw:hash", _ONE))

    async def whole() -> Any:
        return orjson.loads(await users.redis.get("raw:blob"))[_ONE]

    return {
        "hash": lambda: users.hash.get(_ONE),
        "blob": lambda: users.blob.get(_ONE),
        "redis-py hash": hashed,
        "redis-py blob": whole,
    }


def read_all(users: Users) -> dict[str, _Operation]:
    """All 2000 of them."""

    async def hashed() -> Any:
        found = await users.redis.hgetall("raw:hash")
        return {name.decode(): orjson.loads(data) for name, data in found.items()}

    async def whole() -> Any:
        return orjson.loads(await users.redis.get("raw:blob"))

    return {"hash": users.hash.get_all, "blob": users.blob.get_all, "redis-py hash": hashed, "redis-py blob": whole}


def update_one(users: Users) -> dict[str, _Operation]:
    """One of 2000 is replaced; redis-py does it with no lock."""

    async def hashed() -> None:
        await users.redis.hset("raw:hash", _ONE, orjson.dumps(TICKERS[_ONE]))

    async def whole() -> None:
        found = orjson.loads(await users.redis.get("raw:blob"))
        found[_ONE] = TICKERS[_ONE]
        await users.redis.set("raw:blob", orjson.dumps(found))

    return {
        "hash": lambda: users.hash.set(_ONE, TICKERS[_ONE]),
        "blob": lambda: users.blob.set(_ONE, TICKERS[_ONE]),
        "redis-py hash": hashed,
        "redis-py blob": whole,
    }


def write_all(users: Users) -> dict[str, _Operation]:
    """All 2000 are replaced."""

    async def hashed() -> None:
        await users.redis.hset("raw:hash", mapping={name: orjson.dumps(one) for name, one in TICKERS.items()})

    return {
        "hash": lambda: users.hash.set_many(TICKERS),
        "blob": lambda: users.cache.set("blob", TICKERS, ttl=3600),
        "redis-py hash": hashed,
        "redis-py blob": lambda: users.redis.set("raw:blob", orjson.dumps(TICKERS)),
    }


def read_tickers(users: Users) -> dict[str, _Operation]:
    """A plain value of 2000 tickers, read and decoded."""

    async def decoded() -> Any:
        return orjson.loads(await users.redis.get("raw:blob"))

    return {"tradeutils": lambda: users.cache.get("blob"), "redis-py": decoded}


def read_panel(users: Users) -> dict[str, _Operation]:
    """500 symbols of 1000 candles, 20 MB: decoded by us, and a plain GET of the same bytes."""
    return {"tradeutils": lambda: users.cache.get("panel"), "redis-py": lambda: users.redis.get("raw:panel")}


def write_panel(users: Users) -> dict[str, _Operation]:
    """The same, encoded and stored; a plain SET of bytes that are there."""
    data = codec.dumps(users.panel)
    return {
        "tradeutils": lambda: users.cache.set("panel", users.panel),
        "redis-py": lambda: users.redis.set("raw:panel", data),
    }


def cluster_gets(users: Users) -> dict[str, _Operation]:
    """Fifty keys of a cluster of three, asked for in one turn of the loop."""
    return {
        "tradeutils": lambda: asyncio.gather(*(users.cluster.get(key) for key in _KEYS[:50])),
        "redis-py": lambda: asyncio.gather(*(users.redis_cluster.get(f"raw:{key}") for key in _KEYS[:50])),
    }


def cluster_bulk(users: Users) -> dict[str, _Operation]:
    """Five hundred keys of a cluster of three in one call."""
    return {
        "tradeutils": lambda: users.cluster.get_many(_KEYS),
        "redis-py": lambda: users.redis_cluster.mget_nonatomic([f"raw:{key}" for key in _KEYS]),
    }


TASKS: dict[str, Callable[[Users], dict[str, _Operation]]] = {
    "read one of 2000 tickers": read_one,
    "read all of 2000 tickers": read_all,
    "update one of 2000 tickers": update_one,
    "write all of 2000 tickers": write_all,
    "get of 2000 tickers": read_tickers,
    "get of a panel of 500 x 1000 candles (20 MB)": read_panel,
    "set of a panel of 500 x 1000 candles (20 MB)": write_panel,
    "50 gets at once on a cluster": cluster_gets,
    "bulk get of 500 on a cluster": cluster_bulk,
}
WHO = ("hash", "blob", "tradeutils", "redis-py", "redis-py hash", "redis-py blob")


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("task", TASKS)
def test_layout(benchmark: Any, users: tuple[asyncio.Runner, Users], medians: _Medians, task: str, who: str) -> None:
    """Time one task by one of them."""
    runner, made = users
    operations = TASKS[task](made)
    if who not in operations:
        pytest.skip(f"{who} does not do this")

    async def run() -> None:
        await operations[who]()

    benchmark.group = task
    benchmark.extra_info["who"] = who
    benchmark.pedantic(lambda: runner.run(run()), rounds=40, warmup_rounds=3)
    medians[task, who] = benchmark.stats.stats.median
