"""
Four hours of a bot's cache in six minutes: ``nox -s soak -- cache``.

Three processes of one namespace do what 144,000 steps of a bot do (ten a second for four hours), all ttls cut by forty:
tickers that are set and read by all, answers fetched once for all who ask, locks, invalidations; one keeps hits of its
own. Every 10 s the server is frozen, paused, killed and started again, emptied, or loses its connections. At the end:
what was read was what had been written under that key, memory is flat after the first minute, no process ever held
more than two connections, and nothing is left running.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import redis

import tradeutils as tu
from tradeutils.errors import CacheUnavailable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from servers import ValkeyServer

SECONDS = 360.0
STEPS_A_SECOND = 400  # of each process: ten a second, forty times as fast
WORKERS = 3
SETTLED_S, GROWTH = 60.0, 0.05
KEYS = 200
_BETWEEN_S = 10.0


# What a process of the bot does.


async def live(url: str, number: int, seconds: float) -> dict[str, Any]:
    """Use the cache for so long, and tell what became of it."""
    chance, told = random.Random(number), Counter[str]()
    near = "64mb" if number == 0 else None
    memory: list[tuple[float, float]] = []
    began = time.monotonic()
    async with tu.Cache(url, near=near, namespace="soak") as cache:

        async def fetch(key: str) -> dict[str, Any]:
            told["fetches"] += 1
            await asyncio.sleep(0.002)
            return {"key": key, "rows": list(range(chance.randrange(20)))}

        async def step() -> None:
            key = f"{chance.choice('abc')}:{chance.randrange(KEYS)}"
            doing = chance.random()
            if doing < 0.5:
                found = await cache.get(key)
                told["wrong"] += found is not None and found["key"] != key
                told["hits" if found else "misses"] += 1
            elif doing < 0.75:
                found = await cache.get_or_fetch(key, lambda: fetch(key), ttl=0.25, stale=0.25, early=True)
                told["wrong"] += found["key"] != key
            elif doing < 0.95:
                await cache.set(key, {"key": key, "at": time.time()}, ttl=chance.uniform(0.05, 5))
            elif doing < 0.98:
                async with cache.lock(f"lock:{chance.randrange(20)}", ttl=1):
                    told["locked"] += 1
            elif doing < 0.995:
                await cache.delete(key)
            else:
                await cache.invalidate(f"{chance.choice('abc')}:{chance.randrange(10)}")

        async def guarded() -> None:
            try:
                async with asyncio.timeout(10):
                    await step()
            except CacheUnavailable:
                told["unavailable"] += 1
            except TimeoutError:
                told["hung"] += 1

        due, under_way = began, set[asyncio.Task[None]]()
        while (now := time.monotonic()) < began + seconds:
            while due <= now:
                due += 1 / STEPS_A_SECOND
                told["steps"] += 1
                task = asyncio.create_task(guarded())
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                if chance.random() < 0.002:  # who asks leaves
                    task.cancel()
            if not memory or now - began >= memory[-1][0] + 1:
                memory.append((now - began, resident()))
            await asyncio.sleep(0.01)
        await asyncio.gather(*under_way, return_exceptions=True)
        stats = await cache.stats()
        told["errors"] = stats.errors
    await asyncio.sleep(0.1)
    gc.collect()
    told["left"] = len(asyncio.all_tasks()) - 1
    return {"told": told, "memory": memory}


def resident() -> float:
    """Return the MiB that this process holds."""
    held = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(held) * os.sysconf("SC_PAGE_SIZE") / 2**20


# What goes wrong meanwhile, and how many connections there are.


def faults(server: ValkeyServer) -> list[tuple[str, Callable[[], object]]]:
    """Return what is done to the server, each by its name."""

    def frozen() -> None:
        server.freeze()
        time.sleep(1.0)
        server.thaw()

    def restarted() -> None:
        server.kill()
        time.sleep(0.5)
        server.start()

    def with_client(*words: str) -> Callable[[], object]:
        def act() -> None:
            with server.client() as client:
                client.execute_command(*words)

        return act

    return [
        ("frozen", frozen),
        ("connections cut", with_client("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
        ("emptied", with_client("FLUSHALL")),
        ("paused", with_client("CLIENT", "PAUSE", "700")),
        ("restarted", restarted),
    ]


class Disturbed(threading.Thread):
    """Does one after the other to the server, and counts its clients."""

    def __init__(self, server: ValkeyServer) -> None:
        super().__init__(daemon=True)
        self.struck, self.most, self.over = Counter[str](), 0, threading.Event()
        self._server = server

    def run(self) -> None:
        """Go on until it is over."""
        named, next_at = faults(self._server), time.monotonic() + _BETWEEN_S
        while not self.over.wait(0.25):
            with contextlib.suppress(redis.RedisError), self._server.client() as client:
                self.most = max(self.most, len(client.client_list()) - 1)  # this one
            if time.monotonic() >= next_at:
                name, act = named[sum(self.struck.values()) % len(named)]
                act()
                self.struck[name] += 1
                next_at = time.monotonic() + _BETWEEN_S


def test_four_hours_of_a_bot(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing wrong, nothing hung, memory flat after the first minute, two connections a process, nothing left."""
    server = ValkeyServer(tmp_path, "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lfu")
    server.start()
    disturbed = Disturbed(server)
    workers = [
        subprocess.Popen(  # noqa: S603  # this interpreter, this file
            [sys.executable, __file__, server.url, str(number), str(SECONDS)], stdout=subprocess.PIPE, text=True
        )
        for number in range(WORKERS)
    ]
    disturbed.start()
    try:
        found = [json.loads(worker.communicate(timeout=SECONDS + 120)[0]) for worker in workers]
    finally:
        disturbed.over.set()
        disturbed.join(10)
        for worker in workers:
            worker.kill()
        server.kill()
    told = sum((Counter(one["told"]) for one in found), Counter[str]())
    growth = []
    with capsys.disabled():
        print(f"\nfaults: {dict(disturbed.struck)}")
        print(f"told: {dict(told)}")
        print(f"connections at most: {disturbed.most} of {WORKERS} processes")
        for number, one in enumerate(found):
            first = next(size for at, size in one["memory"] if at >= SETTLED_S)
            last = one["memory"][-1][1]
            growth.append(last / first - 1)
            print(
                f"process {number}: {first:.1f} MiB after a minute, {last:.1f} at the end ({100 * growth[-1]:+.1f} %)"
            )
    assert told["wrong"] == told["hung"] == told["left"] == 0
    assert told["steps"] >= 0.95 * WORKERS * SECONDS * STEPS_A_SECOND
    assert disturbed.most <= 2 * WORKERS
    assert max(growth) < GROWTH
    assert set(disturbed.struck) == {name for name, _ in faults(server)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(live(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
