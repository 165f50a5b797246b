"""What the copy in this process keeps, for whom, and until when, on a real server."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

import pytest
from near_copies import near_stats
from servers import ValkeyServer

import tradeutils as tu
from tradeutils.errors import Closed


async def test_keys_that_match_no_pattern_are_not_kept_and_not_watched(valkey: ValkeyServer) -> None:
    """They cost this process no memory, and the server none for remembering who read them."""
    async with tu.Cache(valkey.url, near=["markets:*", "fees:?"], timeout=5) as cache:
        values = {"markets:binance": 1, "fees:1": 2, "fees:10": 3, "tickers:binance": 4}
        await cache.set_many(values, ttl=60)
        assert await cache.get_many(values) == values
        for key, value in values.items():
            assert await cache.get(key) == value
        told = await near_stats(cache)
        assert (told.keys, told.hits) == (2, 2)
        assert told.server is not None
        assert told.server.keys == 5  # three of them say what has been invalidated


async def test_user_who_may_not_be_told_of_changes_is_served_without(
    valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is kept, which is logged with the server's reason; a fetch elsewhere is still waited for."""
    with valkey.client() as client:
        client.acl_setuser("deaf", enabled=True, nopass=True, commands=["+@all", "-client|tracking"], keys=["*"])
    url = f"redis://deaf:any@127.0.0.1:{valkey.port}/0"
    gate = asyncio.Event()

    async def fetch() -> str:
        await gate.wait()
        return "fetched"

    with caplog.at_level(logging.WARNING):
        async with tu.Cache(url, near="*", timeout=5) as cache, tu.Cache(url, timeout=5) as other:
            await other.set("k", 1, ttl=60)
            assert await cache.get("k") == 1
            assert await cache.get_many(["k"]) == {"k": 1}
            told = await near_stats(cache)
            assert (told.is_on, told.keys, told.server) == (False, 0, None)
            assert "tracking" in told.reason
            asked = [asyncio.create_task(one.get_or_fetch("f", fetch, ttl=60)) for one in (cache, other)]
            await asyncio.sleep(0.05)
            gate.set()
            assert await asyncio.gather(*asked) == ["fetched"] * 2
            async with cache.lock("name", ttl=60):
                waiting = asyncio.create_task(other.lock("name", ttl=60).__aenter__())
                await asyncio.sleep(0.01)
            await (await waiting).__aexit__(None, None, None)
    with valkey.client() as client:
        client.acl_deluser("deaf")
    assert "does not tell of changes to keys" in caplog.text


async def test_budget_of_the_copy_is_kept(valkey: ValkeyServer) -> None:
    """What was not used since goes first; what is larger than the whole is not kept at all."""
    async with tu.Cache(valkey.url, near="20kb", timeout=5) as cache:
        values = {f"k{number}": "x" * 1000 for number in range(40)}
        await cache.set_many({**values, "large": "x" * 30_000}, ttl=60)
        await cache.get("k0")
        for key in values:
            await cache.get(key)
            assert await cache.get("k0") == "x" * 1000
        await cache.get("large")
        told = await near_stats(cache)
        assert told.bytes <= 20_000
        assert 0 < told.keys < 20
        assert told.evicted == 40 - told.keys
        before = told.hits
        await cache.get("k0")
        await cache.get("large")
        assert (await near_stats(cache)).hits == before + 1


_TWO_LOOPS = """
import asyncio, sys
import tradeutils as tu

cache = tu.Cache(sys.argv[1], near="*", timeout=5)

async def read():
    return await cache.get("k"), await cache.get("k"), len(cache._near.entries)

async def write(value):
    async with tu.Cache(sys.argv[1], timeout=5) as other:
        await other.set("k", value, ttl=60)

asyncio.run(write("old"))
print(asyncio.run(read()))
asyncio.run(write("new"))
print(asyncio.run(read()))
"""


def test_copy_does_not_outlive_its_event_loop(valkey: ValkeyServer) -> None:
    """In a loop that has closed nobody heard of changes, so the next one begins with nothing."""
    quiet = [sys.executable, "-W", "ignore::ResourceWarning"]  # the loop ends with a connection open: that is the point
    ran = subprocess.run([*quiet, "-c", _TWO_LOOPS, valkey.url], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines() == ["('old', 'old', 1)", "('new', 'new', 1)"]
    assert ran.stderr == ""


async def test_stats_tell_what_they_know_while_the_server_is_away(own_valkey: ValkeyServer) -> None:
    """What it costs the server is left out, and nothing is raised."""
    async with tu.Cache(own_valkey.url, near="*", timeout=0.1) as cache:
        await cache.set("k", 1, ttl=60)
        await cache.get("k")
        own_valkey.freeze()
        assert (await near_stats(cache)).server is None
        own_valkey.thaw()


async def test_closed_cache_keeps_nothing(valkey: ValkeyServer) -> None:
    """Also where its backend lives on and is used by another."""
    async with tu.Cache(valkey.url, timeout=5) as owner:
        async with tu.Cache(owner.backend, near="*") as cache:
            await cache.set("k", 1, ttl=60)
            assert await cache.get("k") == 1
        with pytest.raises(Closed):
            await cache.get("k")
        assert await owner.get("k") == 1
