"""What a frozen server costs its callers: the first call, those after it, a fetch beside it, and the way back."""

from __future__ import annotations

import asyncio
import pathlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import tradeutils as tu
from tradeutils.errors import CacheUnavailable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from servers import ValkeyServer

ROUNDS = 5
LATER = 100


async def _fails(call: Callable[[], Awaitable[Any]]) -> float:
    """Return how many seconds a call takes that must fail."""
    began = time.perf_counter()
    with pytest.raises(CacheUnavailable):
        await call()
    return time.perf_counter() - began


async def _freeze(server: ValkeyServer) -> dict[str, float]:
    """Freeze it for half a second, and return what was waited, in milliseconds."""

    async def fetch() -> int:
        return 7

    async with tu.Cache(server.url) as cache:
        await cache.set("k", 1, ttl=60)
        server.freeze()
        try:
            began = time.perf_counter()
            first = await _fails(lambda: cache.get("k"))
            later = max([await _fails(lambda: cache.get("k")) for _ in range(LATER)])
            asked = time.perf_counter()
            assert await cache.get_or_fetch("other", fetch, ttl=5) == 7
            fetched = time.perf_counter() - asked
            await asyncio.sleep(max(0.0, began + 0.5 - time.perf_counter()))
        finally:
            server.thaw()
        thawed = time.perf_counter()
        while True:
            try:
                assert await cache.get("k") == 1
                break
            except CacheUnavailable:
                await asyncio.sleep(0.005)
        healed = time.perf_counter() - thawed
    return {name: 1e3 * took for name, took in zip(_SHOWN, (first, later, fetched, healed), strict=True)}


_SHOWN = ("first call", f"longest of {LATER} later ones", "get_or_fetch meanwhile", "healed after")


def test_frozen(benchmark: Any, own_server: ValkeyServer, say: Callable[[str], None]) -> None:
    """The timeout is the default, 0.25 s; of each figure the worst of five."""
    seen: list[dict[str, float]] = []
    benchmark.group = "a frozen server"
    benchmark.pedantic(lambda: seen.append(asyncio.run(_freeze(own_server))), rounds=ROUNDS)
    worst = {f"{name}, ms": round(max(one[name] for one in seen), 3) for name in _SHOWN}
    benchmark.extra_info |= worst
    say("a frozen server: " + ", ".join(f"{name} {took:g}" for name, took in worst.items()))


@pytest.fixture(name="own_server")
def _own_server(tmp_path: pathlib.Path) -> Any:
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.kill()
