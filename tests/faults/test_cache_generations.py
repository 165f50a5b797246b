"""What was invalidated is gone at once in every process, and removed at leisure, whatever happens to who removes it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from servers import ValkeyServer

import tradeutils as tu
from tradeutils.cache import sweeping
from tradeutils.cache.seals import generation_of, sealed, unsealed

KEYS = 3000  # three steps of a walk

Open = Callable[..., tu.Cache]


@pytest.fixture
async def open_cache(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Return a function that opens a cache; sweeps pause for long between steps."""
    monkeypatch.setattr(sweeping, "_FIRST_STEPS", 1)
    monkeypatch.setattr(sweeping, "_FIRST_SECONDS", 0)
    monkeypatch.setattr(sweeping, "_SHARE", 1e-6)
    monkeypatch.setattr(sweeping, "_LONGEST_PAUSE", 0.4)
    async with AsyncExitStack() as opened:

        def open_one(**options: Any) -> tu.Cache:
            cache = tu.Cache(options.pop("url", valkey.url), **{"timeout": 5.0, **options})
            opened.push_async_callback(cache.aclose)
            return cache

        yield open_one


async def filled(cache: tu.Cache) -> list[str]:
    """Store some thousand values and return their keys."""
    keys = [f"old:{number}" for number in range(KEYS)]
    await cache.set_many(dict.fromkeys(keys, 1), ttl=600)
    return keys


def left(valkey: ValkeyServer) -> int:
    """Return how many values there are on the server, dead or alive."""
    with valkey.client() as client:
        return sum(1 for _ in client.scan_iter("tu:value:old:*", count=1000))


async def swept(valkey: ValkeyServer) -> None:
    """Wait until no note is left."""
    async with asyncio.timeout(20):
        with valkey.client() as client:
            while client.exists("tu:unswept"):  # noqa: ASYNC110  # of another process, perhaps
                await asyncio.sleep(0.02)


async def test_invalidated_values_are_gone_at_once_everywhere(open_cache: Open, valkey: ValkeyServer) -> None:
    """Every way of reading, in the process that did it and in another that was connected, long before the sweep."""
    ours, theirs, near = open_cache(), open_cache(), open_cache(near="*")
    keys = await filled(ours)
    await ours.set("kept", 1, ttl=600)
    for cache in (ours, theirs, near):
        assert len(await cache.get_many(keys)) == KEYS
        assert await cache.get(keys[-1]) == 1
    assert await ours.invalidate("old:") < KEYS
    for cache in (theirs, near, ours, open_cache()):
        assert await cache.get(keys[-1]) is None
        assert await asyncio.gather(*(cache.get(key) for key in keys[:100])) == [None] * 100
        assert await cache.get_many([*keys, "kept"]) == {"kept": 1}
        assert [key async for key in cache.scan()] == ["kept"]
        assert await cache.delete(keys[-2]) == 0
    assert left(valkey) > KEYS / 4


async def test_value_written_after_an_invalidation_counts(open_cache: Open, valkey: ValkeyServer) -> None:
    """Set, fetched, with a stale time, by whom it is written: everyone reads it, and the sweep leaves it alone."""
    ours, theirs = open_cache(), open_cache()
    keys = await filled(ours)
    assert await theirs.get(keys[0]) == 1
    await ours.invalidate("old:")
    new = iter(keys)
    expected: dict[str, Any] = {}
    for writer in (theirs, ours):
        for value in ({"a": 1}, [1.5], None):
            key = next(new)
            expected[key] = value
            await writer.set(key, value, ttl=600)
        for options in ({}, {"stale": 60.0}, {"early": True}):

            async def fetch() -> str:
                return "fetched"

            key = next(new)
            expected[key] = "fetched"
            for _ in range(2):  # a fetch that the sweep happens to meet is done once more
                assert await writer.get_or_fetch(key, fetch, 600, **options) == "fetched"
    for reader in (ours, theirs, open_cache(near="*")):
        assert await reader.get_many(keys) == expected
        assert {key async for key in reader.scan()} == set(expected)
    with valkey.client() as client:
        assert client.exists("tu:unswept")
    await ours.invalidate("nothing", wait=True)
    await swept(valkey)
    assert left(valkey) == len(expected)
    assert await theirs.get_many(keys) == expected
    await theirs.set(keys[0], {"plain": 1}, ttl=600)
    with valkey.client() as client:
        assert json.loads(client.get(f"tu:value:{keys[0]}") or "") == {"plain": 1}


async def test_write_on_its_way_during_an_invalidation_is_not_lost(open_cache: Open) -> None:
    """Whoever has written reads it afterwards, however the two meet."""
    ours, theirs = open_cache(), open_cache()
    await filled(ours)
    for number in range(40):
        key = f"old:mixed {number}"
        invalidating = asyncio.create_task(ours.invalidate("old:"))
        for _ in range(number % 8):
            await asyncio.sleep(0)
        began_after = invalidating.done()
        await theirs.set(key, number, ttl=600)
        if began_after:
            assert await theirs.get(key) == number
        await invalidating
        await theirs.set(key, number, ttl=600)
        assert await ours.get(key) == number
        assert await theirs.get(key) == number


async def test_fetch_that_began_before_is_not_stored(open_cache: Open) -> None:
    """It is served to who waits, and the next asks anew; what a sweep meets of it is not enough to bring it back."""
    ours, theirs = open_cache(), open_cache()
    await filled(ours)
    gate = asyncio.Event()

    async def before() -> str:
        await gate.wait()
        return "before"

    async def after() -> str:
        return "after"

    fetching = asyncio.create_task(theirs.get_or_fetch("old:k", before, 600))
    await asyncio.sleep(0.05)
    await ours.invalidate("old:")
    gate.set()
    assert await fetching == "before"
    assert await theirs.get("old:k") is None
    async with asyncio.timeout(5):
        for _ in range(2):  # one that the sweep happens to meet is done once more
            assert await theirs.get_or_fetch("old:k", after, 600) == "after"
    assert await ours.get("old:k") == "after"


async def test_wait_returns_when_all_is_removed(open_cache: Open, valkey: ValkeyServer) -> None:
    """And counts what this process removed; another that waits meanwhile waits for it."""
    ours, theirs = open_cache(), open_cache()
    await filled(ours)
    await theirs.set_many({"other:1": 1, "other:2": 2}, ttl=60)
    sweeping = asyncio.create_task(ours.invalidate("old:", wait=True))
    await asyncio.sleep(0.1)
    assert await theirs.invalidate("other:", wait=True) <= 2
    assert await sweeping == KEYS
    with valkey.client() as client:
        assert left(valkey) == 0
        assert set(client.keys("tu:*")) == {b"tu:epoch", b"tu:sweeps"}
        assert client.get("tu:sweeps") == b"{}"


_INVALIDATE = """
import asyncio, sys
import tradeutils as tu
from tradeutils.cache import sweeping

async def main():
    sweeping._FIRST_STEPS, sweeping._FIRST_SECONDS, sweeping._SHARE = 1, 0, 1e-6
    async with tu.Cache(sys.argv[1], timeout=20) as cache:
        await cache.invalidate("old:")
        await asyncio.sleep(0.3)
        print("begun", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_killed_sweeper_is_replaced_where_it_stood(
    open_cache: Open, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that only reads takes over once the dead one's hold has ended, and does not begin anew."""
    monkeypatch.setattr(sweeping, "_HOLD_MS", 300)
    monkeypatch.setattr(sweeping, "_SHARE", 0.5)
    keys = await filled(open_cache())
    theirs = subprocess.Popen(  # noqa: ASYNC220  # begun at once, and waited for on a thread
        [sys.executable, "-c", _INVALIDATE, valkey.url], stdout=-1, text=True
    )
    try:
        assert theirs.stdout is not None
        assert await asyncio.to_thread(theirs.stdout.readline) == "begun\n"
        reader = open_cache()
        assert await reader.get_many(keys) == {}
        assert left(valkey) > KEYS / 4
        with valkey.client() as client:
            server, _, cursor = (client.get("tu:swept:it") or b"").split()
            assert server.decode() == client.info("server")["run_id"]
            assert cursor != b"0"
    finally:
        theirs.kill()
        theirs.wait()
        theirs.stdout.close()
    with valkey.client() as client:
        client.pexpire("tu:sweeper:it", 1)
        client.config_resetstat()
        await swept(valkey)
        steps = client.info("commandstats")["cmdstat_scan"]["calls"]
    assert left(valkey) == 0
    assert steps < 1 + KEYS // 1000 + 2


async def test_one_process_sweeps_at_a_time(open_cache: Open, valkey: ValkeyServer) -> None:
    """Whoever invalidates while another is at it leaves it to that one."""
    caches = [open_cache() for _ in range(4)]
    await filled(caches[0])
    for cache in caches:
        await cache.invalidate("old:")
    await asyncio.sleep(0.2)
    with valkey.client() as client:
        client.config_resetstat()
        await asyncio.sleep(0.7)
        assert client.info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"] <= 3


async def test_notes_that_were_evicted_are_put_back(open_cache: Open, valkey: ValkeyServer) -> None:
    """A server that forgets what has been invalidated is reminded by whoever sweeps."""
    ours, theirs = open_cache(), open_cache()
    keys = await filled(ours)
    await ours.invalidate("old:")
    with valkey.client() as client:
        await asyncio.sleep(0.1)
        client.delete("tu:sweeps")
        async with asyncio.timeout(5):
            while not client.exists("tu:sweeps"):  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0.02)
    assert await theirs.get_many(keys) == {}


@pytest.mark.parametrize("evicted", [("sweeps",), ("sweeps", "epoch"), ("sweeps", "epoch", "unswept")])
async def test_evicted_notes_bring_nothing_back_for_whoever_knew_them(
    open_cache: Open, valkey: ValkeyServer, evicted: tuple[str, ...]
) -> None:
    """Nobody sweeps; who is there reminds the server, so that those who come later know too."""
    ours, theirs = open_cache(), open_cache()
    keys = await filled(ours)
    await ours.set("other", 1, ttl=60)
    await ours.invalidate("old:")
    assert await theirs.get_many(keys) == {}
    await ours.aclose()
    with valkey.client() as client:
        client.delete(*(f"tu:{name}" for name in evicted))
        assert await theirs.get_many([*keys, "other"]) == {"other": 1}
        assert left(valkey) > KEYS / 4
        async with asyncio.timeout(5):
            while not client.exists("tu:sweeps"):  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0.02)
    assert await open_cache().get_many([*keys, "other"]) == {"other": 1}


async def test_evicted_notes_that_nobody_knew_bring_nothing_back(
    open_cache: Open, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only that there were some is known, all that was there before is dead, and swept."""
    ours = open_cache()
    keys = await filled(ours)
    await ours.set("other", 1, ttl=60)
    await ours.invalidate("old:")
    await ours.aclose()
    with valkey.client() as client:
        client.delete("tu:sweeps", "tu:sweeper:it")
    monkeypatch.setattr(sweeping, "_SHARE", 0.5)
    theirs = open_cache()
    assert await theirs.get_many([*keys, "other"]) == {}
    await theirs.set("old:1", 2, ttl=60)
    await theirs.set("other", 2, ttl=60)
    assert (await theirs.clean()).removed > KEYS / 4
    await swept(valkey)
    assert left(valkey) == 1
    assert await open_cache().get_many([*keys, "other"]) == {"old:1": 2, "other": 2}


async def test_invalidation_that_one_had_not_heard_of_when_its_notes_went_is_not_undone(
    open_cache: Open, valkey: ValkeyServer
) -> None:
    """Whoever knows of an earlier one alone sees by the epoch that there was another."""
    ours, theirs = open_cache(), open_cache()
    keys = await filled(ours)
    others = [f"other:{number}" for number in range(KEYS)]
    await ours.set_many(dict.fromkeys(others, 1), ttl=60)
    await ours.invalidate("old:")
    assert len(await theirs.get_many([*keys, *others])) == KEYS
    await asyncio.sleep(0.1)
    await ours.invalidate("other:")
    with valkey.client() as client:
        client.delete("tu:sweeps", "tu:unswept")
        assert await theirs.get_many([*keys, *others]) == {}
        assert sum(1 for _ in client.scan_iter("tu:value:other:*", count=1000)) > KEYS / 4
        async with asyncio.timeout(5):
            while not client.exists("tu:sweeps"):  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0.02)
    assert await open_cache().get_many([*keys, *others]) == {}


async def test_sweep_ends_although_the_epoch_was_evicted(
    open_cache: Open, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notes say up to which generation it goes; a later one is higher all the same, with any clock."""
    ours = open_cache()
    await filled(ours)
    await ours.invalidate("old:")
    await ours.set("old:kept", 1, ttl=60)
    with valkey.client() as client:
        client.delete("tu:epoch")
        monkeypatch.setattr(ours.backend._sweeper, "_now", lambda: 5)  # type: ignore[attr-defined]
        await ours.invalidate("old:kept")
        assert await ours.get("old:kept") is None
        client.delete("tu:epoch")
        monkeypatch.setattr(sweeping, "_SHARE", 0.5)
        await open_cache().clean()
        await swept(valkey)
    assert left(valkey) == 0


async def test_steps_of_a_sweep_whose_notes_were_evicted_count(
    open_cache: Open, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often they go, what has been walked over is gone, and the later invalidation is not forgotten."""
    monkeypatch.setattr(sweeping, "_SHARE", 0.5)
    ours = open_cache()
    keys = await filled(ours)
    call = ours.backend._sweeper._call  # type: ignore[attr-defined]
    with valkey.client() as client:

        async def evicting(commands: list[Any]) -> Any:
            client.delete("tu:sweeps")
            return await call(commands)

        monkeypatch.setattr(ours.backend._sweeper, "_call", evicting)  # type: ignore[attr-defined]
        await ours.set("later", 1, ttl=60)
        await asyncio.gather(ours.invalidate("old:", wait=True), ours.invalidate("later"))
        await swept(valkey)
        assert left(valkey) == 0
    assert await open_cache().get_many([*keys, "later"]) == {}


async def test_user_who_is_told_of_no_changes_is_served_as_well(open_cache: Open, valkey: ValkeyServer) -> None:
    """What has been invalidated is then read along with each value."""
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "&*", "+@all", "-client|tracking")
    deaf = open_cache(url=valkey.url.replace("redis://", "redis://deaf:secret@"))
    ours = open_cache()
    keys = await filled(deaf)
    assert len(await deaf.get_many(keys)) == KEYS
    await ours.invalidate("old:")
    assert await deaf.get_many(keys) == {}
    assert await deaf.get(keys[0]) is None
    await deaf.set(keys[0], 2, ttl=60)
    assert await ours.get(keys[0]) == 2
    assert await deaf.get(keys[0]) == 2


async def test_user_who_may_not_walk_leaves_the_sweep_to_others(
    open_cache: Open, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What he has invalidated is dead all the same; he is told, and warned of it once."""
    monkeypatch.setattr(sweeping, "_HOLD_MS", 100)
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "still", "on", ">secret", "~*", "&*", "+@all", "-scan")
    still = open_cache(url=valkey.url.replace("redis://", "redis://still:secret@"))
    keys = await filled(still)
    with pytest.raises(tu.errors.CacheError, match="NOPERM"):
        await still.invalidate("old:")
    for _ in range(4):
        assert await still.get_many(keys) == {}
        await asyncio.sleep(0.15)
    assert len([one for one in caplog.records if "goes on reading as missing" in one.getMessage()]) == 1
    monkeypatch.setattr(sweeping, "_SHARE", 0.5)
    assert await open_cache().get_many(keys) == {}
    await swept(valkey)
    assert left(valkey) == 0


async def test_cache_made_while_another_reads_the_notes_is_served(valkey: ValkeyServer) -> None:
    """Namespaces may come at any time."""
    backend = tu.Cache(valkey.url, timeout=5).backend
    caches = [tu.Cache(backend, namespace=f"n{number}") for number in range(20)]
    async with asyncio.TaskGroup() as group:
        for number, cache in enumerate(caches):
            group.create_task(cache.set("k", number, ttl=60))
            caches[number] = tu.Cache(backend, namespace=f"n{number}")
            group.create_task(tu.Cache(backend, namespace=f"late{number}").get("k"))
            await asyncio.sleep(0)
    assert [await cache.get("k") for cache in caches] == list(range(20))
    await backend.aclose()


@pytest.mark.parametrize(
    "notes", [b"nonsense", b"[1]", b'{"old:":"x"}', b'{"":"x"}', b'{"":1e300}', b'{"":-5}', b'{"":true}', b"", b"7"]
)
async def test_foreign_bytes_in_place_of_notes_hurt_nobody(
    open_cache: Open, valkey: ValkeyServer, notes: bytes
) -> None:
    """They say nothing, and the next invalidation overwrites them."""
    ours = open_cache()
    with valkey.client() as client:
        client.set("tu:sweeps", notes)
        client.set("tu:epoch", b"1e999")
    keys = await filled(ours)
    assert await ours.get(keys[0]) == 1
    await ours.invalidate("old:")
    assert await ours.get_many(keys) == {}
    with valkey.client() as client:
        client.delete("tu:sweeps", "tu:epoch")
        client.rpush("tu:sweeps", "x")
        client.rpush("tu:epoch", "x")
    await ours.set("old:1", 1, ttl=60)
    assert await ours.invalidate("old:1") >= 0
    assert await ours.get("old:1") is None


async def test_outage_during_an_invalidation_is_told_and_made_good(own_valkey: ValkeyServer) -> None:
    """The note is there or not; what is read afterwards agrees with it."""
    async with tu.Cache(own_valkey.url) as cache:
        await cache.set("k", 1, ttl=60)
        own_valkey.freeze()
        with pytest.raises(tu.errors.CacheUnavailable):
            await cache.invalidate()
        own_valkey.thaw()
        async with asyncio.timeout(10):
            while True:
                try:
                    await cache.get("k")
                except tu.errors.CacheUnavailable:
                    await asyncio.sleep(0.05)
                else:
                    break
        await cache.set("k", 2, ttl=60)
        assert await cache.get("k") == 2


def test_seal_says_of_which_generation_a_value_is() -> None:
    """With a ttl or without; a seal that is cut off says nothing."""
    for until, cost in ((0, 0), (2_000, 7)):
        data = sealed(b"[1]", until, cost, 5)
        assert generation_of(data) == 5
        stored = unsealed(data, 1_000)
        assert stored is not None
        assert (bytes(stored.data), stored.left) == (b"[1]", None if not until else 1_000.0)
        assert generation_of(data[:20]) == 0
    assert generation_of(sealed(b"[1]", 2_000)) == generation_of(b"[1]") == 0
