"""What another application keeps in the same database stays as it is, whatever a cache does there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any, Final

import pytest
import redis
from fleets import _cluster_session, cluster  # noqa: F401  # fixtures
from servers import ValkeyServer

import tradeutils as tu
from tradeutils.cache import sweeping

# As near to the names of namespace "tu" as may be, each in every type: none is a value, lease, lock or map of it.
NEAR_NAMES: Final = (
    "plain", "tu", "tu:", "tu::", "tu:value", "tu:values:k", "tu:valuek", "tu:Value:k", "TU:value:k", "xtu:value:k",
    "tu:vaxue:k", "tu:queue:k", "tu:lxase:k", "tu:lease", "tu:leases:k", " tu:value:k", "tu2:value:k", "tu.:value:k",
    "tux:lease:k", "tu-x:value:k", "{tu}:value:k", "a:tu:value:k", "tu\n:value:k", "celery", "bull:tu:value:wait",
)  # fmt: skip

_SWEEP = """
import asyncio, sys
import tradeutils as tu
from tradeutils.cache import sweeping

async def main():
    sweeping._FIRST_STEPS, sweeping._FIRST_SECONDS, sweeping._SHARE = 1, 0, 1e-6
    async with tu.Cache(sys.argv[1], timeout=20) as cache:
        await cache.invalidate("")
        await asyncio.sleep(0.2)
        print("begun", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def plant(client: Any) -> None:
    """Store foreign keys of every type, some with a ttl."""
    for name in NEAR_NAMES:
        client.set(name, b"\x80hello")
        client.rpush(f"{name}/list", "a", "b")
        client.hset(f"{name}/hash", "field", "value")
        client.zadd(f"{name}/zset", {"a": 1})
        client.xadd(f"{name}/stream", {"a": 1})
        client.set(f"{name}/timed", "x", px=10_000_000)


def names() -> list[str]:
    """Return the names of foreign keys."""
    return [f"{name}{kind}" for name in NEAR_NAMES for kind in ("", "/list", "/hash", "/zset", "/stream", "/timed")]


def seen(client: Any) -> dict[str, tuple[Any, bool]]:
    """Return what lies under foreign keys, byte for byte, and whether it has a ttl."""
    return {name: (client.dump(name), client.pttl(name) > 0) for name in names()}


async def everything(cache: tu.Cache) -> None:
    """Do all that removes anything."""
    await cache.set_many({f"k{number}": number for number in range(2000)}, ttl=60)
    await cache.set("lasting", 1)
    for prefix in ("k1", "", "*", "?", "[a-z]", "\\", ":"):
        await cache.invalidate(prefix, wait=True)
    await cache.set("lasting", 1)
    async with cache.lock("k", ttl=5):
        await cache.map("m", layout="hash").set("field", 1)
    await cache.clean(without_ttl=True)
    await cache.delete("k1", "lasting")
    await cache.survey(100)
    assert [key async for key in cache.scan()] == []


@pytest.mark.parametrize("namespace", ["tu", "tu.", "tu-x"])
async def test_foreign_keys_are_never_touched(valkey: ValkeyServer, namespace: str) -> None:
    """By nothing that removes: not even where the notes are lost, which takes all of a namespace for dead."""
    with valkey.client() as client:
        plant(client)
        ours = {name for name in names() if name.startswith((f"{namespace}:value:", f"{namespace}:lease:"))}
        client.delete(*ours, "none")
        before = seen(client)
        async with tu.Cache(valkey.url, namespace=namespace, timeout=5) as cache:
            await everything(cache)
            client.delete(f"{namespace}:sweeps", f"{namespace}:epoch")
            client.set(f"{namespace}:unswept", "1" * 13)
        async with tu.Cache(valkey.url, namespace=namespace, timeout=5) as cache:
            await everything(cache)
        assert seen(client) == before


async def test_foreign_keys_outlive_sweepers_that_are_killed(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those who take over from them, two at once."""
    monkeypatch.setattr(sweeping, "_HOLD_MS", 100)
    with valkey.client() as client:
        plant(client)
        before = seen(client)
        async with tu.Cache(valkey.url, timeout=5) as cache:
            await cache.set_many({f"k{number}": number for number in range(5000)}, ttl=60)
            process = subprocess.Popen(  # noqa: ASYNC220  # begun at once, and waited for on a thread
                [sys.executable, "-c", _SWEEP, valkey.url], stdout=subprocess.PIPE, text=True
            )
            try:
                assert process.stdout is not None
                assert await asyncio.to_thread(process.stdout.readline) == "begun\n"
            finally:
                process.kill()
                process.wait()
                process.stdout.close()  # type: ignore[union-attr]
            client.pexpire("tu:sweeper:it", 1)
            async with tu.Cache(valkey.url, timeout=5) as other:
                await asyncio.gather(cache.clean(), other.clean(), cache.invalidate("", wait=True))
            assert await cache.get("k1") is None
        assert seen(client) == before


async def test_foreign_keys_of_a_cluster_are_never_touched(cluster: Any) -> None:  # noqa: F811
    """Nor those whose hash tags look like ours."""
    odd = ["tu:{x}:queue:k", "tu:{x}:values:k", "tu:{0}", "{tu}:{0}:value:k", "tu:{x}:value:k", "tu:{x}:lease:k"]
    with redis.RedisCluster.from_url(cluster.url.replace("redis+cluster", "redis").partition(",")[0]) as client:
        plant(client)
        for name in odd:
            client.set(name, b"\x80hello")
        before = seen(client)
        async with tu.Cache(cluster.url, timeout=5) as cache:
            await everything(cache)
        assert seen(client) == before
        assert [client.get(name) for name in odd] == [b"\x80hello"] * len(odd)


# Looking after the cache on a cluster, as on one server


async def test_cluster_is_cleaned_and_surveyed(cluster: Any) -> None:  # noqa: F811
    """Over all nodes: what is dead, illegible, for ever; and what takes the room."""
    async with tu.Cache(cluster.url, timeout=5) as cache:
        await cache.set_many({f"tickers:{number}": "x" * 1000 for number in range(100)}, ttl=60)
        await cache.set_many({f"lasting:{number}": 1 for number in range(50)})
        found = await cache.survey(1000)
        assert found.is_exact
        by_prefix = {(one.is_ours, one.prefix): one for one in found.prefixes}
        assert by_prefix[True, "tickers:"].keys == 100
        assert by_prefix[True, "tickers:"].bytes > 100_000
        assert by_prefix[True, "lasting:"].keys == 50
        sampled = await cache.survey(20)
        assert not sampled.is_exact
        assert sampled.samples == 20
        assert sampled.keys == found.keys
        steps: list[tuple[int, int]] = []
        dry = await cache.clean(lambda done, total: steps.append((done, total)), dry_run=True, without_ttl=True)
        assert (dry.looked_at, dry.without_ttl, dry.removed) == (150, 50, 0)
        assert steps[-1][0] == steps[-1][1]
        assert (await cache.clean(without_ttl=True)).removed == 50
        assert len([key async for key in cache.scan()]) == 100
        assert await cache.invalidate("tickers:", wait=True) == 100
        assert [key async for key in cache.scan()] == []
