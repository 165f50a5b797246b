"""One fetch among real processes, also when the one that fetches is killed."""

from __future__ import annotations

import asyncio
import pathlib
import signal
import subprocess
import sys
import time

from servers import ValkeyServer

import tradeutils as tu

_WORKER = """
import asyncio, os, pathlib, sys
import tradeutils as tu
import tradeutils.cache.flights

url, log, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
tradeutils.cache.flights._LEASE_MS = 600

async def load():
    with log.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    await asyncio.sleep(seconds)
    return "fetched"

async def main():
    async with tu.Cache(url, timeout=5) as cache:
        await cache.get("warm")
        print("ready", flush=True)
        sys.stdin.readline()
        got = await asyncio.gather(*(cache.get_or_fetch("k", load, ttl=60) for _ in range(20)))
        print(sorted(set(got)), flush=True)

asyncio.run(main())
"""


def start(server: ValkeyServer, log: pathlib.Path, seconds: float) -> subprocess.Popen[str]:
    """Start a process that fetches ``k`` when it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, server.url, str(log), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(worker: subprocess.Popen[str], expected: str) -> None:
    """Wait for a line of the worker and answer it."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == expected
    worker.stdin.write("go\n")
    worker.stdin.flush()


def test_killed_owner_is_replaced(valkey: ValkeyServer, tmp_path: pathlib.Path) -> None:
    """A process that dies while fetching holds nobody up for longer than its lease."""
    log = tmp_path / "fetches"
    worker = start(valkey, log, 600)
    tell(worker, "ready\n")
    ends = time.monotonic() + 30
    while not log.exists():
        assert time.monotonic() < ends
        time.sleep(0.01)
    worker.kill()
    worker.communicate(timeout=60)

    async def take_over() -> str:
        async def load() -> str:
            return "mine"

        async with tu.Cache(valkey.url, timeout=5) as cache, asyncio.timeout(30):
            return await cache.get_or_fetch("k", load, ttl=60)

    assert asyncio.run(take_over()) == "mine"


def test_owner_frozen_past_its_lease_overwrites_nothing(valkey: ValkeyServer, tmp_path: pathlib.Path) -> None:
    """Another takes over and stores; what the first one fetched comes too late and is thrown away."""
    log = tmp_path / "fetches"
    worker = start(valkey, log, 1.0)
    tell(worker, "ready\n")
    ends = time.monotonic() + 30
    while not log.exists():
        assert time.monotonic() < ends
        time.sleep(0.01)
    worker.send_signal(signal.SIGSTOP)

    async def newer() -> str:
        return "newer"

    async def take_over() -> str:
        async with tu.Cache(valkey.url, timeout=5) as cache, asyncio.timeout(30):
            return await cache.get_or_fetch("k", newer, ttl=60)

    async def look() -> str:
        async with tu.Cache(valkey.url, timeout=5) as cache:
            found: str = await cache.get("k")
            return found

    assert asyncio.run(take_over()) == "newer"
    worker.send_signal(signal.SIGCONT)
    assert worker.communicate(timeout=60)[0] == "['fetched', 'newer']\n"  # who had joined it asks again
    assert asyncio.run(look()) == "newer"
