"""What a cache tells those who listen, what Prometheus sees of it, and compression."""

from __future__ import annotations

import asyncio
import builtins
import threading
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import codec, sync
from tradeutils.cache import CacheEvent, Memory
from tradeutils.cache.metrics import register_metrics
from tradeutils.errors import CacheUnavailable, CodecError, MissingExtra, UsageError


async def told(*caches: tu.Cache) -> list[CacheEvent]:
    """Return the list into which the events of caches will come."""
    events: list[CacheEvent] = []
    for cache in caches:
        cache.subscribe(events.append)
    return events


def kinds(events: list[CacheEvent]) -> list[tuple[str, str | None]]:
    """Return what happened to what, and empty the list."""
    found = [(event.kind, event.key) for event in events]
    events.clear()
    return found


async def answer() -> int:
    """Fetch."""
    await asyncio.sleep(0.01)
    return 42


async def fails() -> int:
    """Fetch in vain."""
    raise LookupError


@pytest.mark.parametrize("where", ["memory", "redis", "near"])
async def test_everything_that_happens_is_told(where: str, request: pytest.FixtureRequest) -> None:
    """In its order: hits and misses of one and of many, fetches, failures."""
    url = "memory://" if where == "memory" else request.getfixturevalue("valkey").url
    async with tu.Cache(url, timeout=5, near="*" if where == "near" else None) as cache:
        events = await told(cache)
        await cache.set("k", 1, ttl=60)
        for _ in range(2):
            assert await cache.get("k") == 1
        await cache.get("absent")
        await cache.get_many(["k", "absent"])
        await asyncio.sleep(0)
        assert kinds(events) == [
            ("hit", "k"), ("hit", "k"), ("miss", "absent"), ("hit", "k"), ("miss", "absent"),
        ]  # fmt: skip
        for _ in range(2):
            assert await cache.get_or_fetch("f", answer, 60, stale=60) == 42
        await asyncio.sleep(0)
        assert 0.005 < next(event.seconds for event in events if event.kind == "fetch") < 5
        assert kinds(events) == [("miss", "f"), ("fetch", "f"), ("hit", "f")]
        with pytest.raises(LookupError):
            await cache.get_or_fetch("e", fails, 60)
        await asyncio.sleep(0)
        assert [(event.kind, event.key, event.error) for event in events] == [
            ("miss", "e", ""), ("error", "e", "LookupError"),
        ]  # fmt: skip


async def test_eviction_by_a_cache_of_another_thread_is_told_in_the_loop_of_who_listens() -> None:
    """Callbacks need not fear threads, whoever makes room."""
    backend = Memory(max_bytes=5000)
    threads: list[int] = []

    async def fill() -> None:
        async with tu.Cache(backend) as other:
            for number in range(20):
                await other.set(f"k{number}", "x" * 500, ttl=60)

    async with tu.Cache(backend) as cache:
        cache.subscribe(lambda event: threads.append(threading.get_ident()) if event.kind == "evicted" else None)
        await asyncio.to_thread(asyncio.run, fill())
        await asyncio.sleep(0.01)
    assert len(threads) > 10
    assert set(threads) == {threading.get_ident()}


async def test_stale_and_evicted_values_and_damage_are_told() -> None:
    """Also of a cache on a backend that others use: of its own keys."""
    backend = Memory(max_bytes=5000)
    async with tu.Cache(backend) as cache, tu.Cache(backend, namespace="other") as other:
        events = await told(cache)
        await cache.get_or_fetch("s", answer, 0.02, stale=60)
        await asyncio.sleep(0.05)
        events.clear()
        assert await cache.get_or_fetch("s", answer, 0.02, stale=60) == 42
        await asyncio.sleep(0.05)
        assert ("stale", "s") in kinds(events)
        await backend.set_many({"tu:value:bad": b"hello"}, 60_000, [])
        with pytest.raises(CodecError):
            await cache.get("bad")
        await asyncio.sleep(0)
        assert kinds(events) == [("error", "bad")]
        for number in range(8):
            await other.set(f"o{number}", "x" * 500, ttl=60)
            await cache.set(f"k{number}", "x" * 500, ttl=60)
        await asyncio.sleep(0)
        evicted = kinds(events)
        assert {kind for kind, _ in evicted} == {"evicted"}
        assert ("evicted", "k0") in evicted
        assert not [key for _, key in evicted if str(key).startswith("o")]


async def test_outage_and_healing_are_told(own_valkey: ValkeyServer) -> None:
    """Once each way is enough to raise and to end an alarm."""
    async with tu.Cache(own_valkey.url) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        events = await told(cache)
        own_valkey.freeze()
        for _ in range(2):
            with pytest.raises(CacheUnavailable):
                await cache.get("k")
        assert await cache.get_or_fetch("f", answer, 60) == 42
        own_valkey.thaw()
        while not any(event.kind == "healed" for event in events):  # noqa: ASYNC110  # the list is what is tested
            await asyncio.sleep(0.02)
        assert events[0] == CacheEvent("unavailable", None, 0.0, "CacheUnavailable")
        assert [event.kind for event in events].count("healed") == 1
        assert await cache.get("k") == 1


async def test_listener_that_fails_harms_nobody() -> None:
    """Its error goes to the event loop's handler; the others are told, and it goes on being told until it leaves."""
    seen: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
    async with tu.Cache() as cache:

        def failing(event: CacheEvent) -> None:
            raise LookupError(event.kind)

        end = cache.subscribe(failing)
        events = await told(cache)
        assert await cache.get("k") is None
        await asyncio.sleep(0)
        assert [event.kind for event in events] == ["miss"]
        assert [type(error) for error in seen] == [LookupError]
        end()
        end()
        await cache.get("k")
        await asyncio.sleep(0)
        assert len(seen) == 1
        with pytest.raises(UsageError, match="callback was 3"):
            cache.subscribe(3)  # type: ignore[arg-type]


def test_blocking_cache_tells_too() -> None:
    """On its own thread."""
    events: list[CacheEvent] = []
    with sync.Cache() as cache:
        end = cache.subscribe(events.append)
        cache.get("k")
        cache.get("k")
        end()
        cache.get("k")
        assert [event.kind for event in events] == ["miss", "miss"]
        assert cache.counts().misses == 3


# Prometheus


async def test_prometheus_sees_what_stats_tell(valkey: ValkeyServer) -> None:
    """Added up over caches of one namespace on one server; no user, no password, no key."""
    registry = CollectorRegistry()
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "watched", "on", ">unused", "~*", "&*", "+@all")
    url = valkey.url.replace("redis://", "redis://watched:unused@")
    async with tu.Cache(url, near="*") as one, tu.Cache(url) as two, tu.Cache(namespace="m") as three:
        end = register_metrics(one, two, three, registry=registry)
        await one.set("secret key", 1, ttl=60)
        for cache in (one, one, two, three):
            await cache.get("secret key")
        labels = {"server": valkey.url, "namespace": "tu"}
        assert registry.get_sample_value("tradeutils_cache_hits_total", labels) == 3
        assert registry.get_sample_value("tradeutils_cache_near_hits_total", labels) == 1
        assert registry.get_sample_value("tradeutils_cache_away", labels) == 0
        assert (registry.get_sample_value("tradeutils_cache_latency_p99", labels) or 0) > 0
        other = {"server": "memory://", "namespace": "m"}
        assert registry.get_sample_value("tradeutils_cache_misses_total", other) == 1
        assert registry.get_sample_value("tradeutils_cache_keys", other) == 0
        text = str([sample for metric in registry.collect() for sample in metric.samples])
        assert "unused" not in text
        assert "secret key" not in text
        with pytest.raises(UsageError, match="shows caches already"):
            register_metrics(two, registry=registry)
        end()
        end()
        assert list(registry.collect()) == []
        register_metrics(two, registry=registry)()


def test_no_cache_and_no_extra_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line to type."""
    with pytest.raises(UsageError, match="no cache was given"):
        register_metrics()
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"tradeutils\[metrics\]"):
        register_metrics(tu.Cache())


# Compression


@pytest.mark.parametrize("method", ["zstd", "lz4"])
async def test_long_values_are_compressed_and_read_by_all(valkey: ValkeyServer, method: codec.Method) -> None:
    """Set, fetched and kept near; what is short stays readable by other programs."""
    rows = {f"S{number}/USDT": "the same again and again" for number in range(500)}

    async def fetch() -> Any:
        return rows

    async with (
        tu.Cache(valkey.url, timeout=5, compress=method) as packing,
        tu.Cache(valkey.url, timeout=5, near="*") as plain,
    ):
        await packing.set("set", rows, ttl=60)
        await packing.set("array", np.zeros(5000), ttl=60)
        await packing.set("short", [1], ttl=60)
        await packing.get_or_fetch("fetched", fetch, 60, stale=60)
        with valkey.client() as client:
            whole = len(codec.dumps(rows))
            assert client.strlen("tu:value:set") < whole / 2
            assert client.strlen("tu:value:fetched") < whole / 2
            assert client.strlen("tu:value:array") < 5000
            assert client.get("tu:value:short") == b"[1]"
        for cache in (packing, plain, plain):
            assert await cache.get("set") == await cache.get("fetched") == rows
            assert np.array_equal(await cache.get("array"), np.zeros(5000))
        near = (await plain.stats()).near
        assert near is not None
        assert near.bytes > 4 * whole  # what is kept is unpacked, and counted as such


async def test_threshold_is_obeyed() -> None:
    """In memory too, where it saves room."""
    text = "x" * 2000
    async with (
        tu.Cache(compress="lz4", compress_above=3000) as above,
        tu.Cache(compress="lz4", compress_above=0) as all_,
    ):
        for cache in (above, all_):
            await cache.set("k", text, ttl=60)
            assert await cache.get("k") == text
        assert ((await above.stats()).bytes or 0) > 2000 > ((await all_.stats()).bytes or 0)


@pytest.mark.parametrize(
    "given", [{"compress": "gzip"}, {"compress": 1}, {"compress_above": -1}, {"compress_above": 1.5}]
)
def test_impossible_compression_is_refused(given: dict[str, Any]) -> None:
    """When the cache is made."""
    with pytest.raises(UsageError, match="compress"):
        tu.Cache(**given)


@pytest.mark.parametrize(
    ("head", "whole", "known"),
    [
        (b"[1]", True, True),
        (b"", True, False),
        (b'{"a', True, False),
        (b'{"a' + b"x" * 61, False, True),
        (b"<html>" + b"x" * 60, False, False),
        (b"1" * 64, False, True),
        (b"\xabTU\x02", False, True),
        (b"\xabTU\x01", False, True),
        (b"\xabTU\x00", False, False),
        (b"\xabTU", True, False),
        (b"\xabTZ\x01", False, True),
        (b"\xabTZ\x09", False, False),
        (b"\x80\x04K\x01.", True, False),
    ],
)
def test_format_is_told_by_its_first_bytes(head: bytes, whole: bool, known: bool) -> None:
    """Without reading the rest."""
    assert codec.is_known(head, is_whole=whole) is known


def test_unpacked_size_is_told_by_the_head() -> None:
    """Of what is not compressed, its own."""
    packed = codec.dumps(["x"] * 5000, compress="zstd")
    assert codec.unpacked_size(packed) == len(codec.dumps(["x"] * 5000)) > len(packed)
    assert codec.unpacked_size(b"[1]") == 3
    assert codec.unpacked_size(packed[:10]) == 10
