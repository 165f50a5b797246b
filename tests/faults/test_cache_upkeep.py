"""Looking after a cache on a real server: what is thrown out, what is counted, and what is warned of."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import numpy as np
import pytest
from servers import ValkeyServer

import tradeutils as tu
from tradeutils.cache import Memory, serving, sweeping, upkeep
from tradeutils.errors import CacheError, CacheUnavailable, CodecError, UsageError

FOREIGN = {
    "tu:value:word": b"hello",
    "tu:value:empty": b"",
    "tu:value:pickle": b"\x80\x04K\x01.",
    "tu:value:newer": b"\xabTU\x63" + bytes(40),
    "tu:value:newer packed": b"\xabTZ\x63" + bytes(40),
    "tu:value:cut": b'{"a": 1, "b"',
    "tu:value:long": b"<html>" + bytes(500),
    "tu:value:sealed": b"\xfetu\x01" + bytes(12) + b"nonsense",
}


async def legible(cache: tu.Cache) -> set[str]:
    """Store values of every format, one of them for ever, and return their keys."""
    await cache.set_many(
        {
            "json": {"a": [1, None, "x"]},
            "long": "x" * 500,
            "digits": [1.5] * 100,
            "array": np.arange(50.0),
            "null": None,
        },
        ttl=60,
    )
    await cache.set("lasting", {"a": 1})

    async def fetch() -> dict[str, str]:
        return {"long": "y" * 200}

    await cache.get_or_fetch("stale", fetch, 60, stale=60)
    await cache.get_or_fetch("early", fetch, 60, early=True)
    packed = tu.Cache(cache.backend, compress="zstd", compress_above=10)
    await packed.set("packed", ["z"] * 500, ttl=60)
    return {"json", "long", "digits", "array", "null", "lasting", "stale", "early", "packed"}


async def test_unreadable_values_are_removed_and_all_others_stay(valkey: ValkeyServer) -> None:
    """By their first bytes; lists and hashes of others too, and nothing of another namespace."""
    async with tu.Cache(valkey.url, timeout=5) as cache, tu.Cache(valkey.url, namespace="other") as other:
        keys = await legible(cache)
        await other.set("k", 1, ttl=60)
        with valkey.client() as client:
            client.mset({f"{name} foreign": data for name, data in FOREIGN.items()})
            client.rpush("tu:value:list", "x")
            client.mset({"other:value:word": b"hello", "unrelated": b"hello"})
            before = client.dbsize()
            seen: list[tuple[int, int]] = []
            found = await cache.clean(lambda done, total: seen.append((done, total)), dry_run=True)
            assert (found.unknown, found.dead, found.without_ttl, found.removed) == (len(FOREIGN) + 1, 0, 0, 0)
            assert found.looked_at == len(keys) + len(FOREIGN) + 1
            assert found.bytes == sum(map(len, FOREIGN.values()))
            assert client.dbsize() == before
            assert seen[-1] == (before, before)
            assert (await cache.clean()).removed == len(FOREIGN) + 1
            assert client.dbsize() == before - len(FOREIGN) - 1
            assert client.get("other:value:word") == b"hello"
        assert {key async for key in cache.scan()} == keys
        assert len(await cache.get_many(keys)) == len(keys)


async def test_values_for_ever_are_removed_only_where_that_is_asked_for(valkey: ValkeyServer) -> None:
    """Those with a ttl stay."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        keys = await legible(cache)
        assert (await cache.clean()).removed == 0
        found = await cache.clean(without_ttl=True)
        assert (found.without_ttl, found.removed) == (1, 1)
        assert {key async for key in cache.scan()} == keys - {"lasting"}


async def test_dead_generations_are_removed(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a process left behind that died, together with the note of them."""
    monkeypatch.setattr(sweeping, "_FIRST_STEPS", 1)
    monkeypatch.setattr(sweeping, "_FIRST_SECONDS", 0)
    monkeypatch.setattr(sweeping, "_SHARE", 1e-6)
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set_many({f"k{number}": number for number in range(3000)}, ttl=60)
        await cache.set("kept", 1, ttl=60)
        removed = await cache.invalidate("k1")
    monkeypatch.setattr(sweeping, "_SHARE", 0.5)
    with valkey.client() as client:
        client.delete("tu:sweeper:it")
        async with tu.Cache(valkey.url, timeout=5) as cache:
            found = await cache.clean(dry_run=True)
            assert found.dead == 1111 - removed > 0
            assert client.exists("tu:unswept")
            found = await cache.clean()
            assert found.removed == found.dead == 1111 - removed
            assert not client.exists("tu:unswept")
            assert len([key async for key in cache.scan()]) == 3001 - 1111


async def test_value_written_while_it_is_looked_at_stays(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is still as it was seen is removed."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set("lasting", 1)
        with valkey.client() as client:
            client.set("tu:value:foreign", b"hello")
            drop = upkeep._drop

            async def overtaken(*given: object) -> int:
                client.set("tu:value:foreign", b"[1]")
                client.pexpire("tu:value:lasting", 60_000)
                return await drop(*given)  # type: ignore[arg-type]

            monkeypatch.setattr(upkeep, "_drop", overtaken)
            found = await cache.clean(without_ttl=True)
        assert (found.unknown, found.without_ttl, found.removed) == (1, 1, 0)
        assert await cache.get_many(["foreign", "lasting"]) == {"foreign": [1], "lasting": 1}


async def test_memory_is_cleaned_as_well() -> None:
    """Bytes of another that came by the same backend, and values for ever where that is asked for."""
    backend = Memory()
    async with tu.Cache(backend) as cache:
        await cache.set("lasting", 1)
        await cache.set("k", 1, ttl=60)
        await backend.set_many({"tu:value:foreign": b"hello"}, 60_000, [])
        assert (await cache.clean(dry_run=True, without_ttl=True)).removed == 0
        found = await cache.clean()
        assert (found.looked_at, found.unknown, found.removed) == (3, 1, 1)
        assert (await cache.clean(without_ttl=True)).without_ttl == 1
        assert [key async for key in cache.scan()] == ["k"]


@pytest.mark.parametrize("count", [30, 3000])
async def test_survey_tells_what_takes_the_room(valkey: ValkeyServer, count: int) -> None:
    """Exactly where there are few keys, and nearly where there are many; keys of others are told apart."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set_many({f"tickers:{number}": "x" * 1000 for number in range(count)}, ttl=60)
        await cache.set_many({f"books:{number}": "x" * 100 for number in range(count)}, ttl=60)
        await cache.set("plain", 1, ttl=60)
        with valkey.client() as client:
            client.mset({f"others:{number}": "x" for number in range(count // 2)})
        found = await cache.survey()
        assert found.is_exact == (count == 30)
        by_prefix = {(one.is_ours, one.prefix): one for one in found.prefixes}
        assert found.keys == pytest.approx(2.5 * count, abs=3)
        tickers, others = by_prefix[True, "tickers:"], by_prefix[False, "others:"]
        slack = 0.0 if found.is_exact else 0.2
        assert tickers.keys == pytest.approx(count, rel=slack)
        assert others.keys == pytest.approx(count / 2, rel=2 * slack)
        assert tickers.bytes == pytest.approx(count * 1150, rel=0.1 + slack)
        assert found.prefixes[0] is tickers
        if found.is_exact:
            assert by_prefix[True, ""].keys == 1


async def test_survey_of_memory_is_exact() -> None:
    """All keys are looked at, and those of another namespace are others."""
    backend = Memory()
    async with tu.Cache(backend) as cache, tu.Cache(backend, namespace="other") as other:
        await cache.set_many({"a:1": 1, "a:2": 2, "b": 3}, ttl=60)
        await other.set("k", 1, ttl=60)
        found = await cache.survey(5)
    assert found.is_exact
    assert {(one.is_ours, one.prefix, one.keys) for one in found.prefixes} == {
        (True, "a:", 2), (True, "", 1), (False, "other:", 1)
    }  # fmt: skip
    assert sum(one.bytes for one in found.prefixes) == backend.usage().bytes


@pytest.mark.parametrize("samples", [0, -1, 1.5, True, "9", 10**9])
async def test_impossible_sample_is_refused(samples: int) -> None:
    """A whole number of keys."""
    async with tu.Cache() as cache:
        with pytest.raises(UsageError, match="samples was"):
            await cache.survey(samples)


async def test_user_who_may_not_look_is_told(valkey: ValkeyServer) -> None:
    """What the server will not let him do is an error, and no empty report."""
    with valkey.client() as client:
        granted = ("+@all", "-memory|usage", "-getrange", "-eval")
        client.execute_command("ACL", "SETUSER", "blind", "on", ">secret", "~*", "&*", *granted)
        client.set("tu:value:foreign", b"hello")
    async with tu.Cache(valkey.url.replace("redis://", "redis://blind:secret@"), timeout=5) as cache:
        for attempt in (cache.survey(), cache.clean(), cache.invalidate()):
            with pytest.raises(CacheError, match="NOPERM") as raised:
                await attempt
            assert "secret" not in str(raised.value)
            assert not isinstance(raised.value, CacheUnavailable)


async def test_every_upkeep_ends_while_the_server_is_frozen(own_valkey: ValkeyServer) -> None:
    """As an outage, within the timeout."""
    async with tu.Cache(own_valkey.url) as cache:
        await cache.set("k", 1, ttl=60)
        own_valkey.freeze()
        async with asyncio.timeout(5):
            for attempt in (cache.survey(), cache.clean(), cache.invalidate("k", wait=True)):
                with pytest.raises(CacheUnavailable):
                    await attempt
        own_valkey.thaw()


async def test_server_that_refuses_when_it_is_full_is_warned_of_once(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Soon after the first answer; one that forgets what is least used is not."""
    monkeypatch.setattr(serving, "_POLICY_SECONDS", 0.01)
    with valkey.client() as client, caplog.at_level(logging.WARNING, "tradeutils.cache"):
        try:
            for policy, warned in (("allkeys-lfu", 0), ("noeviction", 1), ("noeviction", 1)):
                if policy == "allkeys-lfu" or not caplog.records:
                    serving._JUDGED.clear()
                client.config_set("maxmemory-policy", policy)
                async with tu.Cache(valkey.url) as cache:
                    await cache.set("k", 1, ttl=60)
                    await cache.get("k")
                    await asyncio.sleep(0.1)
                assert len([one for one in caplog.records if "allkeys-lfu" in one.getMessage()]) == warned
        finally:
            client.config_set("maxmemory-policy", "noeviction")


async def test_round_trips_are_counted_by_percentile(valkey: ValkeyServer) -> None:
    """The median is below the slowest of a hundred, and both are seconds."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        assert (await cache.stats()).latency_p99 == 0.0
        for _ in range(200):
            await cache.get("k")
        told = await cache.stats()
        assert 0.0 < told.latency_p50 <= told.latency_p99 < 5.0
        assert (told.server, told.namespace) == (valkey.url, "tu")
        assert cache.counts() == told


# Bytes of others, and names that no tool thinks of


@pytest.mark.parametrize("data", [b"\xfetu\x02", b"\xfetu\x02" + bytes(40), b"\xfetu\x01" + b"\xff" * 40, b"\xfe" * 9])
async def test_hostile_seal_is_an_error_or_a_miss_and_no_value(valkey: ValkeyServer, data: bytes) -> None:
    """It is fetched over, and written over."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        with valkey.client() as client:
            client.set("tu:value:k", data)
        with contextlib.suppress(CodecError):
            assert await cache.get("k", "missing") == "missing"

        async def fetch() -> int:
            return 7

        assert await cache.get_or_fetch("k", fetch, 60) == 7
        assert await cache.get("k") == 7


@pytest.mark.parametrize("key", ["a b", "line\nbreak", "\r\n$3\r\nfoo", "*[x]?\\", "é", "'\"", "\x00", "}{"])
async def test_odd_key_is_listed_invalidated_and_cleaned_like_any_other(valkey: ValkeyServer, key: str) -> None:
    """Spaces, line breaks, patterns: text is text."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set_many({key: 1, f"{key}:more": 2, "other": 3}, ttl=60)
        assert {found async for found in cache.scan(key)} == {key, f"{key}:more"}
        assert (await cache.clean()).looked_at == 3
        assert sum(one.keys for one in (await cache.survey()).prefixes if one.is_ours) == 3
        assert await cache.invalidate(f"{key}:") == 1
        assert await cache.get_many([key, f"{key}:more", "other"]) == {key: 1, "other": 3}


async def test_name_of_ten_megabytes_is_refused_before_it_is_sent(valkey: ValkeyServer) -> None:
    """As a key, a prefix and a lock."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set("k", 1, ttl=60)
        with valkey.client() as client:
            sent = client.info("stats")["total_net_input_bytes"]
            name = "x" * 10_000_000
            for attempt in (cache.get(name), cache.set(name, 1), cache.invalidate(name), cache.delete(name)):
                with pytest.raises(UsageError, match="at most 1024 bytes"):
                    await attempt
            with pytest.raises(UsageError, match="at most 1024 bytes"):
                cache.lock(name, ttl=1)
            assert client.info("stats")["total_net_input_bytes"] - sent < 10_000


async def test_full_server_refuses_and_an_invalidation_makes_room(
    valkey_with: Callable[..., ValkeyServer],
) -> None:
    """What is dead is removed although nothing can be written any more: the notes are small and go first."""
    server = valkey_with("--maxmemory", "6mb", "--maxmemory-policy", "noeviction")
    async with tu.Cache(server.url, timeout=5) as cache:
        values = {f"k{number}": "x" * 100_000 for number in range(200)}
        with pytest.raises(CacheError, match="allkeys-lfu"):
            await asyncio.gather(*(cache.set(key, value, ttl=60) for key, value in values.items()))
        assert await cache.get("k0") == "x" * 100_000
        found = await cache.clean(dry_run=True)
        assert found.looked_at > 10
        assert await cache.invalidate() == found.looked_at
        await cache.set("k", 1, ttl=60)


async def test_full_server_is_swept_although_all_room_is_taken_by_others(
    valkey_with: Callable[..., ValkeyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step of a sweep is possible, and none is given up for good, where nothing may be written."""
    monkeypatch.setattr(sweeping, "_FIRST_STEPS", 1)
    monkeypatch.setattr(sweeping, "_FIRST_SECONDS", 0)
    server = valkey_with("--maxmemory-policy", "noeviction")
    async with tu.Cache(server.url, timeout=5) as cache:
        await cache.set_many({f"k{number}": number for number in range(3000)}, ttl=60)
        with server.client() as client:
            client.config_set("maxmemory", "1mb")
            with pytest.raises(CacheError, match="allkeys-lfu"):
                await cache.set("k", 1, ttl=60)
            assert await cache.invalidate(wait=True) == 3000
            assert client.dbsize() <= 3
