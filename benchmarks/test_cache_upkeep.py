"""
Upkeep of a cache: what an invalidation costs whoever asks, whoever reads and the server; which values memory keeps.

``invalidate`` stands beside what it replaces, a walk over the database that removes what it finds before it returns.
Hit rates are of reads alone, on a Zipf distribution, with and without a walk over everything now and then; plain LRU
and an LFU that drops the least used of five by chance (what Redis does) stand beside.
"""

from __future__ import annotations

import asyncio
import pathlib
import random
import sys
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from statistics import median
from typing import Any, Protocol

import numpy as np
import pytest
import redis as redis_py

import tradeutils as tu
from tradeutils.cache.keeping import Entry, Queues

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from servers import ValkeyServer

KEYS = 200_000
OTHERS = 300_000
READS = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """Return a server with half a million keys."""
    running = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    running.start()
    with running.client() as client:
        client.mset({f"others:{number}": "x" * 100 for number in range(OTHERS)})
    yield running
    running.kill()


def fill(client: redis_py.Redis) -> None:
    """Store what is to be invalidated."""
    for start in range(0, KEYS, 10_000):
        client.mset({f"tu:value:old:{number}": '"x"' for number in range(start, start + 10_000)})


async def each(operation: Callable[[], Awaitable[Any]], times: int = 2000) -> float:
    """Return the median microseconds of an operation, one after the other."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await operation()
        took.append(time.perf_counter() - began)
    return median(took) * 1e6


def test_invalidation(server: ValkeyServer) -> None:
    """Time to return, until others read it as missing, until all is removed, and of reads before, while and after."""

    async def run() -> dict[str, float]:
        told: dict[str, float] = {}
        async with tu.Cache(server.url, timeout=10) as ours, tu.Cache(server.url, timeout=10) as theirs:
            with server.client() as client:
                fill(client)
                began = time.perf_counter()
                for names in iter(lambda: list(client.scan_iter("tu:value:old:*", count=1000)), []):
                    for start in range(0, len(names), 1000):
                        client.unlink(*names[start : start + 1000])
                told["walk and unlink, s"] = time.perf_counter() - began
                fill(client)
                await ours.set("kept", 1, ttl=600)
                assert await theirs.get("old:1") == "x"
                told["get before, us"] = await each(lambda: theirs.get("kept"))
                began = time.perf_counter()
                removed = await ours.invalidate("old:")
                told["invalidate returns, ms"] = (time.perf_counter() - began) * 1e3
                told["removed by then"] = removed
                assert await theirs.get_many([f"old:{number}" for number in range(KEYS - 500, KEYS)]) == {}
                told["get while it is swept, us"] = await each(lambda: theirs.get("kept"))
                told["get of a dead one, us"] = await each(lambda: theirs.get(f"old:{KEYS - 1}"))
                while client.exists("tu:unswept"):  # noqa: ASYNC110  # nobody tells a plain client
                    await asyncio.sleep(0.01)
                told["swept after, s"] = time.perf_counter() - began
                told["get after, us"] = await each(lambda: theirs.get("kept"))
                assert not list(client.scan_iter("tu:value:old:*", count=10_000))
        return told

    for name, value in asyncio.run(run()).items():
        print(f"\n  {name:28} {value:,.2f}", end="")
    print()


def test_survey(server: ValkeyServer) -> None:
    """Time, and how far the estimate is off, of half a million keys."""

    async def run() -> tuple[float, float]:
        async with tu.Cache(server.url, timeout=10) as cache:
            took = await each(lambda: cache.survey(1000), 20)
            found = await cache.survey(1000)
        others = next(one for one in found.prefixes if one.prefix == "others:")
        with server.client() as client:
            exact = (client.memory_usage("others:1") or 0) * OTHERS
        return took / 1000, others.bytes / exact - 1

    took, off = asyncio.run(run())
    print(f"\n  survey of 1000: {took:.1f} ms, bytes off by {off:+.1%}")


class Policy(Protocol):
    """What decides which keys stay."""

    def read(self, key: str) -> bool:
        """Return whether it was there, and keep it."""
        ...


class Lru:
    """The least recently used goes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.kept: OrderedDict[str, None] = OrderedDict()

    def read(self, key: str) -> bool:
        if key in self.kept:
            self.kept.move_to_end(key)
            return True
        self.kept[key] = None
        if len(self.kept) > self.room:
            self.kept.popitem(last=False)
        return False


class SampledLfu:
    """Of five by chance, the least used for its age goes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.kept: dict[str, list[int]] = {}
        self.names: list[str] = []
        self.now = 0

    def read(self, key: str) -> bool:
        self.now += 1
        found = self.kept.get(key)
        if found is not None:
            found[0] += 1
            return True
        if len(self.names) >= self.room:
            worst = min(random.sample(self.names, 5), key=self.worth)
            at, last = self.kept[worst][2], self.names.pop()
            if last != worst:
                self.names[at] = last
                self.kept[last][2] = at
            del self.kept[worst]
        self.kept[key] = [1, self.now, len(self.names)]
        self.names.append(key)
        return False

    def worth(self, name: str) -> float:
        uses, since, _ = self.kept[name]
        return uses / (1 + self.now - since)


class Ours:
    """What the cache in memory does."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.queues = Queues(room)
        self.kept: dict[str, Entry] = {}

    def read(self, key: str) -> bool:
        found = self.kept.get(key)
        if found is not None:
            found.use()
            return True
        self.kept[key] = come = self.queues.add(key, (b"", 0.0, 0.0, 0), 1)
        while len(self.kept) > self.room:
            gone = self.queues.next(come)
            self.queues.drop(gone)
            del self.kept[gone.key]
        return False


def hit_rate(policy: Policy, reads: list[int], *, walks: bool) -> float:
    hits = 0
    for number, key in enumerate(reads):
        if walks and number % 10_000 == 0:
            for other in range(20_000):
                policy.read(f"walk {other}")
        hits += policy.read(f"key {key}")
    return hits / len(reads)


@pytest.mark.parametrize("walks", [False, True], ids=["zipf", "zipf and walks"])
def test_hit_rates(walks: bool) -> None:
    """Of 20,000 keys, with room for 500 and 2,000; ours is at least as good as either."""
    weights = 1 / np.arange(1, 20_001) ** 0.9
    reads = np.random.default_rng(1).choice(20_000, READS, p=weights / weights.sum()).tolist()
    for room in (500, 2000):
        rates = {kind.__name__: hit_rate(kind(room), reads, walks=walks) for kind in (Ours, Lru, SampledLfu)}
        print(f"\n  room for {room}: " + ", ".join(f"{name} {rate:.1%}" for name, rate in rates.items()), end="")
        assert rates["Ours"] >= max(rates.values())
    print()


def test_listening() -> None:
    """A get in memory with nobody listening, and with one who does."""

    async def run() -> tuple[float, float]:
        async with tu.Cache() as cache:
            await cache.set("k", 1, ttl=600)
            alone = await each(lambda: cache.get("k"), 20_000)
            cache.subscribe(lambda event: None)
            return alone, await each(lambda: cache.get("k"), 20_000)

    alone, told = asyncio.run(run())
    print(f"\n  memory get: {alone:.2f} us, {told:.2f} us with a listener")
