"""What only the memory backend does: its budget, its order of eviction, its clock."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from typing import Any

import pytest

import tradeutils as tu
from tradeutils.cache import Memory
from tradeutils.errors import UsageError
from tradeutils.link.changes import Reading


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


async def put(memory: Memory, key: str, size: int = 1000, ttl: int | None = None) -> None:
    """Store bytes."""
    await memory.set_many({key: bytes(size)}, ttl, [])


async def test_value_that_was_used_outlasts_those_that_were_not() -> None:
    """Reading a value keeps it; the budget is never passed, and what has just come is there."""
    memory = Memory(max_bytes=6000)
    for key in "abc":
        await put(memory, key)
    await memory.get("a")
    await put(memory, "d")
    assert [key for key in "abcd" if await memory.get(key) is not None] == ["a", "c", "d"]
    usage = memory.usage()
    assert usage.keys == 3
    assert usage.evictions == 1
    assert usage.bytes is not None
    assert 3000 < usage.bytes <= 6000


async def test_walk_over_everything_leaves_what_is_used_again() -> None:
    """Values that are asked for once each do not drive out the ones that are asked for again and again."""
    memory = Memory(max_bytes=100_000)
    popular = [f"popular {number}" for number in range(20)]
    for key in popular:
        await put(memory, key)
        await memory.get(key)
    for number in range(2000):
        await put(memory, f"once {number}")
        if number % 50 == 0:
            for key in popular:
                await memory.get(key)
    assert [key for key in popular if await memory.get(key) is None] == []


async def test_value_that_comes_back_soon_after_it_went_stays_longer() -> None:
    """Its name is remembered for a while, so that it need not prove itself again."""
    memory = Memory(max_bytes=100_000)
    for number in range(100):
        await put(memory, f"first {number}")
    assert await memory.get("first 40") is None
    await put(memory, "first 40")
    for number in range(60):
        await put(memory, f"second {number}")
    assert await memory.get("first 40") is not None
    assert await memory.get("second 0") is None


async def test_value_that_grows_makes_room_for_itself() -> None:
    """Also where others go for it, and one that shrinks gives room back."""
    memory = Memory(max_bytes=20_000)
    for key in "abcde":
        await put(memory, key)
    await put(memory, "a", 15_000)
    assert (memory.usage().bytes or 0) <= 20_000
    assert await memory.get("a") is not None
    await put(memory, "a", 10)
    assert (memory.usage().bytes or 0) < 6_000


async def test_key_removed_and_written_for_ever_does_not_grow_the_cache() -> None:
    """Places in the queues of values that are gone do not pile up."""
    memory = Memory(max_bytes=10**9)
    for number in range(3000):
        await put(memory, f"k{number}", 10)
        await memory.delete([f"k{number}"], [])
    assert len(memory._queues._small) + len(memory._queues._main) < 200


def test_many_threads_read_while_one_writes() -> None:
    """Each reads a whole value or none, whatever is evicted meanwhile, and the budget is kept."""
    memory = Memory(max_bytes=50_000)
    wrong: list[bytes] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            for number in range(100):
                data = memory.peek(f"k{number}")
                if data is not None and len(set(data)) != 1:
                    wrong.append(data)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()

    async def write() -> None:
        for turn in range(2000):
            await memory.set_many({f"k{turn % 100}": bytes([turn % 256]) * (100 + turn % 400)}, 50, [])

    asyncio.run(write())
    over.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert (memory.usage().bytes or 0) <= 50_000


async def test_expired_values_go_before_any_is_evicted() -> None:
    """What is past its ttl makes room first."""
    clock = Clock()
    memory = Memory(max_bytes=6000, clock=clock)
    await put(memory, "lasting")
    await put(memory, "brief", ttl=1000)
    await put(memory, "other")
    clock.seconds += 2
    await put(memory, "new")
    assert await memory.get("lasting") is not None
    assert memory.usage().evictions == 0


async def test_value_larger_than_the_budget_is_not_kept() -> None:
    """It pushes nothing out; an older value of that key is gone all the same, since it is no longer true."""
    memory = Memory(max_bytes=5000)
    await put(memory, "a")
    await put(memory, "b")
    await put(memory, "b", 10_000)
    assert await memory.get("a") is not None
    assert await memory.get("b") is None


async def test_value_ends_at_its_ttl_to_the_millisecond() -> None:
    """Fresh until just before, gone at it."""
    clock = Clock()
    memory = Memory(clock=clock)
    await put(memory, "k", ttl=1500)
    clock.seconds = 1001.499
    assert await memory.get("k") is not None
    clock.seconds = 1001.5
    assert await memory.get("k") is None


async def test_lateness_is_counted_from_the_ttl() -> None:
    """A value within its stale time says for how long it has been past its ttl."""
    clock = Clock()
    memory = Memory(clock=clock)
    claim = await memory.claim("k", "lease", "epoch", b"token", 1000)
    assert claim.lease is not None
    assert await memory.commit("k", b"1", 1000, 2000, claim.lease)
    lates = []
    for clock.seconds in (1000.5, 1001.0, 1002.0, 1003.5):
        stored = await memory.get("k")
        lates.append(None if stored is None else stored.late)
    assert lates == [0, 1, 1001, None]


async def test_key_rewritten_for_ever_does_not_grow_the_cache() -> None:
    """Neither what is noted of expiries nor lapsed locks pile up."""
    clock = Clock()
    memory = Memory(clock=clock)
    for i in range(2000):
        await put(memory, "k", 10, ttl=60_000)
        await memory.acquire(f"lock {i}", b"token", 5)
        clock.seconds += 0.01
    assert len(memory._expiries) < 200
    assert len(memory._tokens) < 200


async def test_budget_is_close_to_what_is_really_used() -> None:
    """Small values cost more than their bytes, and the budget knows it."""
    memory = Memory(max_bytes=2_000_000)
    tracemalloc.start()
    try:
        for i in range(20_000):
            await memory.set_many({f"tu:value:key number {i}": b"%d" % i}, 60_000_000, [])
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.6 * 2_000_000 < used < 1.4 * 2_000_000


async def test_lock_of_a_holder_that_died_ends() -> None:
    """Another may have it afterwards, and the first can neither extend nor release it."""
    clock = Clock()
    memory = Memory(clock=clock)
    assert await memory.acquire("lock", b"first", 1000)
    assert not await memory.acquire("lock", b"second", 1000)
    clock.seconds += 1
    assert not await memory.extend("lock", b"first", 1000)
    assert await memory.acquire("lock", b"second", 1000)
    assert not await memory.release("lock", b"first")
    assert await memory.release("lock", b"second")


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "1"])
def test_impossible_budget_is_refused(budget: Any) -> None:
    """A budget is a whole number of bytes."""
    with pytest.raises(UsageError, match="max_bytes was"):
        Memory(max_bytes=budget)


async def test_url_sets_the_budget() -> None:
    """``memory://?max_bytes=...``."""
    async with tu.Cache("memory://?max_bytes=5000") as cache:
        await cache.set("k", "x" * 10_000, ttl=60)
        assert await cache.get("k") is None
        stats = await cache.stats()
        assert (stats.keys, stats.bytes, stats.evictions) == (0, 0, 1)
        assert await cache.server() is None


async def test_backend_that_was_given_stays_open() -> None:
    """It belongs to who made it, and may serve caches of several namespaces."""
    memory = Memory()
    async with tu.Cache(memory, namespace="a") as one:
        await one.set("k", 1, ttl=60)
    async with tu.Cache(memory, namespace="a") as another:
        assert await another.get("k") == 1
    async with tu.Cache() as own:
        await own.set("k", 1, ttl=60)
    assert own.backend.usage().keys == 0


async def test_value_stored_just_before_the_lease_was_granted_is_taken() -> None:
    """Another process may have stored it between our look and our claim: no fetch, and the lease is given back."""

    class LooksTooEarly(Memory):
        """A store whose value arrives just after it was looked for."""

        async def get(self, key: str, reading: Reading = Reading.PLAIN) -> None:
            return

    memory = LooksTooEarly()
    async with tu.Cache(memory) as cache:
        await cache.set("k", "theirs", ttl=60)

        async def load() -> str:
            raise AssertionError

        assert await cache.get_or_fetch("k", load, ttl=60) == "theirs"
        assert await memory.acquire("tu:lease:k", b"token", 10)
