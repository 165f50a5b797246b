"""What every cache promises, whatever lies behind it: the same tests over each backend."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pytest
from fleets import _cluster_session, cluster  # noqa: F401  # fixtures
from servers import ValkeyServer

import tradeutils as tu
from tradeutils.cache import Backend, Cache, Memory
from tradeutils.errors import CacheError, Closed, CodecError, UsageError

Open = Callable[..., Cache]


class Loader:
    """A fetch function that counts its calls and ends when it is told to."""

    def __init__(self, *results: Any, gate: asyncio.Event | None = None) -> None:
        self.results = list(results)
        self.gate = gate
        self.calls = 0
        self.begun = asyncio.Event()

    async def __call__(self) -> Any:
        self.calls += 1
        self.begun.set()
        result = self.results[min(self.calls, len(self.results)) - 1]
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture(params=["memory", "redis", "unix", "cluster"])
async def open_cache(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Return a function that opens one more cache on the same, empty, store."""
    where: str | Backend
    if request.param == "memory":
        where = Memory()
    elif request.param == "cluster":
        where = request.getfixturevalue("cluster").url
    else:
        server: ValkeyServer = request.getfixturevalue("valkey")
        where = server.url if request.param == "redis" else server.unix_url
    async with AsyncExitStack() as opened:

        def open_one(**options: Any) -> Cache:
            # Each test can be held up by a busy machine; how soon an outage is noticed is tested with the faults.
            cache = tu.Cache(where, **{"timeout": 5.0, **options})
            opened.push_async_callback(cache.aclose)
            return cache

        yield open_one


@pytest.fixture
def cache(open_cache: Open) -> Cache:
    """Return a cache on an empty store."""
    return open_cache()


def others() -> set[asyncio.Task[Any]]:
    """Return the tasks that run beside the test."""
    return asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}


async def quiet() -> None:
    """Let what runs in the background end."""
    async with asyncio.timeout(10):
        while tasks := others():
            await asyncio.wait(tasks)


async def plant(cache: Cache, key: str, data: bytes) -> None:
    """Put bytes where the value of ``key`` lies."""
    await cache.backend.set_many({f"{cache.namespace}:value:{key}": data}, None, [])


VALUES = {
    "null": None,
    "flags": [True, False],
    "text": "naïve 🚀\n\x00",
    "empty": "",
    "numbers": [0, -1, 2**63, 1.5, math.inf, 1e-320],
    "mapping": {"bid": 1.25, "ask": None, "deep": {"list": [1, [2, {"x": "y"}]]}},
    "decimal": {"free": Decimal("0.10000000"), "used": Decimal("1E+3")},
    "tuple": (1, (2, 3)),
    "bytes": b"\xfetu\x01 looks like a seal but is a value",
}


@pytest.mark.parametrize("name", VALUES)
async def test_value_comes_back_as_it_was(cache: Cache, name: str) -> None:
    """Type and content survive storing."""
    await cache.set(name, VALUES[name], ttl=60)
    got = await cache.get(name, default="missing")
    assert got == VALUES[name]
    assert type(got) is type(VALUES[name])


async def test_candles_come_back_as_they_were(cache: Cache) -> None:
    """Columns of the model travel bit for bit, and those that come out are read-only."""
    time = np.arange(5, dtype=np.int64) * 60_000
    price = np.array([1.0, np.nan, -0.0, 3.5, 1e300])
    candles = tu.Candles(
        symbol="BTC/USDT", timeframe="1m", time=time, open=price, high=price, low=price, close=price, volume=price
    )
    await cache.set("c", candles, ttl=60)
    got = await cache.get("c")
    assert got.symbol == "BTC/USDT"
    assert got.open.tobytes() == price.tobytes()
    assert not got.open.flags.writeable


async def test_absent_key_reads_as_the_default(cache: Cache) -> None:
    """A miss is the default, ``None`` unless another is given."""
    assert await cache.get("absent") is None
    assert await cache.get("absent", default=7) == 7


async def test_none_is_a_value_and_not_a_miss(cache: Cache) -> None:
    """A stored ``None`` is told from nothing stored."""
    await cache.set("nothing", None, ttl=60)
    assert await cache.get("nothing", default="missing") is None
    assert await cache.get_many(["nothing", "absent"]) == {"nothing": None}


async def test_get_many_returns_only_what_is_there_in_the_order_asked(cache: Cache) -> None:
    """Absent keys are left out, repeats count once, and nothing asked is nothing found."""
    await cache.set_many({"a": 1, "b": 2, "c": 3}, ttl=60)
    assert list((await cache.get_many(["c", "x", "a", "c"])).items()) == [("c", 3), ("a", 1)]
    assert await cache.get_many(iter(["b"])) == {"b": 2}
    assert await cache.get_many([]) == {}


async def test_thousands_of_keys_travel_at_once(cache: Cache) -> None:
    """Bulk reads and writes are whole beyond any batch the backend cuts them into."""
    items = {f"k{i}": i for i in range(1700)}
    await cache.set_many(items, ttl=60)
    assert await cache.get_many(items) == items
    assert await asyncio.gather(*(cache.get(key) for key in items)) == list(items.values())


async def test_lone_string_is_not_taken_for_a_list_of_keys(cache: Cache) -> None:
    """``get_many("abc")`` is a mistake, not three keys."""
    with pytest.raises(UsageError, match="write a list"):
        await cache.get_many("abc")


async def test_set_many_wants_a_mapping(cache: Cache) -> None:
    """Anything else is refused by name; an empty mapping does nothing."""
    with pytest.raises(UsageError, match="list"):
        await cache.set_many(["a"], ttl=1)  # type: ignore[arg-type]
    await cache.set_many({}, ttl=1)


async def test_later_set_replaces_value_and_ttl(cache: Cache) -> None:
    """The last word counts: for ever replaces a moment."""
    await cache.set("k", "old", ttl=0.02)
    await cache.set("k", "new", ttl=None)
    await asyncio.sleep(0.04)
    assert await cache.get("k") == "new"


async def test_expired_key_reads_as_missing(cache: Cache) -> None:
    """Past its ttl a value is gone, however it is asked for."""
    await cache.set("k", 1, ttl=0.01)
    await asyncio.sleep(0.03)
    assert await cache.get("k", default="gone") == "gone"
    assert await cache.get_many(["k"]) == {}
    assert await cache.delete("k") == 0


@pytest.mark.parametrize("ttl", [0, -1, 0.0, math.nan, math.inf, -math.inf, True, "5", b"5", 1e300, 10**400, [1]])
async def test_impossible_ttl_is_refused(cache: Cache, ttl: Any) -> None:
    """A ttl that is no length of time above 0 is refused, and nothing is written."""
    for attempt in (cache.set("k", 1, ttl=ttl), cache.get_or_fetch("k", Loader(1), ttl=ttl)):
        with pytest.raises(UsageError, match="ttl was"):
            await attempt
    assert await cache.get("k") is None


async def test_ttl_takes_any_real_number(cache: Cache) -> None:
    """Numpy's floats and Decimals are numbers of seconds too."""
    for number, ttl in enumerate((np.float64(60), Decimal(60), np.int64(60))):
        await cache.set("k", number, ttl=ttl)  # type: ignore[arg-type]
        assert await cache.get("k") == number
    await cache.set("k", 1, ttl=1e-9)
    await asyncio.sleep(0.01)
    assert await cache.get("k") is None


@pytest.mark.parametrize("key", ["", None, 5, b"bytes", "x" * 1025, "é" * 513, "x" * 10_000_000, "\ud800"])
async def test_impossible_key_is_refused(cache: Cache, key: Any) -> None:
    """Every way in refuses a key that is no text, empty, or too long; the message stays short."""
    for attempt in (cache.get(key), cache.get_many([key]), cache.set(key, 1, ttl=1), cache.delete(key)):
        with pytest.raises(UsageError, match="key was") as refused:
            await attempt
        assert len(str(refused.value)) < 300


@pytest.mark.parametrize("key", ["a b", "a\nb", "a\r\nb", "*", "[a]", "\\", "é:ü", "x" * 1024, "\x00", "lease:k"])
async def test_odd_key_is_a_key_like_any_other(cache: Cache, key: str) -> None:
    """Spaces, line ends and glob characters mean nothing in a key."""
    await cache.set(key, "odd", ttl=60)
    await cache.set("other", "other", ttl=60)
    assert await cache.get(key) == "odd"
    assert [found async for found in cache.scan(key)] == [key]
    assert await cache.delete(key) == 1
    assert await cache.get("other") == "other"


async def test_delete_counts_what_was_there(cache: Cache) -> None:
    """Each key counts once, absent ones not at all."""
    await cache.set_many({"a": 1, "b": 2}, ttl=60)
    assert await cache.delete("a", "a", "absent") == 1
    assert await cache.delete() == 0
    assert await cache.get_many(["a", "b"]) == {"b": 2}


async def test_invalidate_takes_its_prefix_literally(cache: Cache) -> None:
    """Only keys that start with the very characters go."""
    await cache.set_many({"a*": 1, "a*b": 2, "ab": 3, "A*": 4}, ttl=60)
    assert await cache.invalidate("a*") == 2
    assert await cache.get_many(["a*", "a*b", "ab", "A*"]) == {"ab": 3, "A*": 4}


async def test_invalidate_without_prefix_empties_its_namespace_alone(open_cache: Open) -> None:
    """Neighbours on the same server keep what they have, even one whose name starts the same."""
    mine, other, longer = open_cache(namespace="a"), open_cache(namespace="b"), open_cache(namespace="aa")
    for one in (mine, other, longer):
        await one.set_many({"x": 1, "y": 2}, ttl=60)
    assert await mine.invalidate() == 2
    assert await mine.get_many(["x", "y"]) == {}
    for one in (other, longer):
        assert await one.get_many(["x", "y"]) == {"x": 1, "y": 2}


async def test_namespaces_do_not_see_each_other(open_cache: Open) -> None:
    """The same key in two namespaces is two keys."""
    one, two = open_cache(namespace="one"), open_cache(namespace="two")
    await one.set("k", 1, ttl=60)
    assert await two.get("k") is None
    assert await two.delete("k") == 0
    assert await one.get("k") == 1


@pytest.mark.parametrize("namespace", ["", "a:b", "a b", "x" * 65, "é", None, 3])
def test_impossible_namespace_is_refused(namespace: Any) -> None:
    """A colon would let two namespaces share keys."""
    with pytest.raises(UsageError, match="namespace was"):
        tu.Cache(namespace=namespace)


async def test_two_caches_of_one_namespace_see_the_same(open_cache: Open) -> None:
    """What one writes, the other reads, and what one removes is gone for the other."""
    one, two = open_cache(), open_cache()
    await one.set("k", [1], ttl=60)
    assert await two.get("k") == [1]
    await two.delete("k")
    assert await one.get("k") is None


async def test_changing_what_was_given_or_got_changes_nothing_stored(cache: Cache) -> None:
    """Each caller has a copy of his own, also of one shared fetch."""
    given = {"levels": [1, 2]}
    await cache.set("k", given, ttl=60)
    given["levels"].append(3)
    got = await cache.get("k")
    got["levels"].clear()
    assert await cache.get("k") == {"levels": [1, 2]}
    first, second = await asyncio.gather(*(cache.get_or_fetch("f", Loader({"a": [1]}), ttl=60) for _ in range(2)))
    first["a"].clear()
    assert second == {"a": [1]}
    assert await cache.get("f") == {"a": [1]}


async def test_value_that_is_not_encoded_is_refused_and_nothing_written(cache: Cache) -> None:
    """A type that the codec does not know is an error, and the old value stays."""
    await cache.set("k", "old", ttl=60)
    with pytest.raises(CodecError):
        await cache.set_many({"new": 1, "k": object()}, ttl=60)
    assert await cache.get_many(["k", "new"]) == {"k": "old"}


# get_or_fetch


async def test_one_fetch_serves_all_who_ask_at_once(cache: Cache) -> None:
    """Fifty callers, one call of the function; it is remembered for those who come later."""
    gate = asyncio.Event()
    load = Loader("fetched", gate=gate)
    asked = [asyncio.create_task(cache.get_or_fetch("k", load, ttl=60)) for _ in range(50)]
    await load.begun.wait()
    gate.set()
    assert await asyncio.gather(*asked) == ["fetched"] * 50
    assert await cache.get_or_fetch("k", load, ttl=60) == "fetched"
    assert load.calls == 1


async def test_one_fetch_serves_all_caches_on_a_store(open_cache: Open) -> None:
    """Caches that share nothing but the store, as processes do, wait for the one that fetches."""
    gate = asyncio.Event()
    load = Loader("fetched", "fetched again", gate=gate)
    caches = [open_cache() for _ in range(6)]
    asked = [asyncio.create_task(one.get_or_fetch("k", load, ttl=60)) for one in caches for _ in range(5)]
    await load.begun.wait()
    await asyncio.sleep(0.02)
    gate.set()
    assert await asyncio.gather(*asked) == ["fetched"] * 30
    assert load.calls == 1


async def test_different_keys_are_fetched_apart(cache: Cache) -> None:
    """A slow key holds up no other."""
    gate = asyncio.Event()
    slow = asyncio.create_task(cache.get_or_fetch("slow", Loader(1, gate=gate), ttl=60))
    assert await cache.get_or_fetch("quick", Loader(2), ttl=60) == 2
    gate.set()
    assert await slow == 1


async def test_expired_value_is_fetched_again(cache: Cache) -> None:
    """Past the ttl, and with no stale time, the function is called."""
    load = Loader("first", "second")
    assert await cache.get_or_fetch("k", load, ttl=0.01) == "first"
    await asyncio.sleep(0.03)
    assert await cache.get_or_fetch("k", load, ttl=60) == "second"


async def test_fetched_none_is_remembered_where_that_is_asked_for(cache: Cache) -> None:
    """With ``cache_none`` it is an answer, not a reason to ask again."""
    load = Loader(None)
    assert await cache.get_or_fetch("k", load, ttl=60, cache_none=True) is None
    assert await cache.get_or_fetch("k", load, ttl=60) is None
    assert load.calls == 1


@pytest.mark.parametrize("stale", [None, 30])
async def test_fetched_none_is_not_remembered_otherwise(cache: Cache, stale: float | None) -> None:
    """Nothing found is asked for again by the next caller."""
    load = Loader(None, "found")
    assert await cache.get_or_fetch("k", load, ttl=60, stale=stale) is None
    await asyncio.sleep(0.005)
    assert await cache.get("k", default="missing") == "missing"
    assert await cache.get_or_fetch("k", load, ttl=60, stale=stale) == "found"
    assert await cache.get("k") == "found"


async def test_fetched_none_is_shared_with_all_who_wait_for_it(open_cache: Open) -> None:
    """Also with those in other processes: one fetch for all, though nothing is kept."""
    gate = asyncio.Event()
    load = Loader(None, gate=gate)
    asked = [asyncio.create_task(open_cache().get_or_fetch("k", load, ttl=60)) for _ in range(4)]
    await load.begun.wait()
    await asyncio.sleep(0.05)
    gate.set()
    assert await asyncio.gather(*asked) == [None] * 4
    assert load.calls == 1


async def test_renewal_that_brings_none_leaves_the_old_value(cache: Cache) -> None:
    """What is stale is served until its stale time is over."""
    load = Loader("old", None)
    assert await cache.get_or_fetch("k", load, ttl=0.02, stale=60) == "old"
    await asyncio.sleep(0.03)
    assert await cache.get_or_fetch("k", load, ttl=0.02, stale=60) == "old"
    await quiet()
    assert await cache.get_or_fetch("k", load, ttl=0.02, stale=60) == "old"
    assert load.calls == 2


async def test_error_of_the_fetch_reaches_all_and_is_not_remembered(cache: Cache) -> None:
    """Everyone who waited sees it; the next caller tries again."""
    gate = asyncio.Event()
    load = Loader(LookupError("venue"), "fine", gate=gate)
    asked = [asyncio.create_task(cache.get_or_fetch("k", load, ttl=60)) for _ in range(5)]
    await load.begun.wait()
    gate.set()
    assert [str(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == ["venue"] * 5
    assert load.calls == 1
    assert await cache.backend.acquire("tu:lease:k", b"another process", 1)  # at once: nobody waits for a lease to end
    assert await cache.get_or_fetch("k", load, ttl=60) == "fine"


async def test_cancelled_waiter_leaves_the_others(cache: Cache) -> None:
    """Also when it is the one that began the fetch."""
    gate = asyncio.Event()
    load = Loader("fetched", gate=gate)
    asked = [asyncio.create_task(cache.get_or_fetch("k", load, ttl=60)) for _ in range(5)]
    await load.begun.wait()
    asked[0].cancel()
    asked[3].cancel()
    await asyncio.sleep(0)
    gate.set()
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in done] == [asyncio.CancelledError, str, str, asyncio.CancelledError, str]
    assert load.calls == 1


async def test_fetch_that_nobody_waits_for_any_more_is_still_stored(cache: Cache) -> None:
    """The request was sent and paid for, so the next caller finds its answer."""
    gate = asyncio.Event()
    load = Loader("fetched", gate=gate)
    asked = asyncio.create_task(cache.get_or_fetch("k", load, ttl=60))
    await load.begun.wait()
    asked.cancel()
    await asyncio.wait([asked])
    gate.set()
    assert await cache.get_or_fetch("k", Loader("another"), ttl=60) == "fetched"


async def test_failure_of_a_fetch_that_nobody_waits_for_disturbs_nobody(cache: Cache) -> None:
    """It is forgotten, without a complaint of an error never seen, and the next caller tries again."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    gate = asyncio.Event()
    load = Loader(LookupError("venue"), gate=gate)
    asked = asyncio.create_task(cache.get_or_fetch("k", load, ttl=60))
    await load.begun.wait()
    asked.cancel()
    await asyncio.wait([asked])
    gate.set()
    await quiet()
    gc.collect()
    assert await cache.get_or_fetch("k", Loader("fine"), ttl=60) == "fine"
    assert complaints == []


async def test_stale_value_is_served_while_one_fetch_renews_it(cache: Cache) -> None:
    """Past its ttl the old value comes at once, and the new one as soon as it is there."""
    assert await cache.get_or_fetch("k", Loader("old"), ttl=0.01, stale=60) == "old"
    await asyncio.sleep(0.03)
    gate = asyncio.Event()
    load = Loader("new", gate=gate)
    assert [await cache.get_or_fetch("k", load, ttl=60, stale=60) for _ in range(5)] == ["old"] * 5
    await load.begun.wait()
    gate.set()
    await quiet()
    assert await cache.get_or_fetch("k", load, ttl=60, stale=60) == "new"
    assert load.calls == 1
    assert (await cache.stats()).stale == 5


async def test_stale_value_is_none_to_those_who_want_fresh_ones(cache: Cache) -> None:
    """``get``, and ``get_or_fetch`` without ``stale``, hold to the ttl."""
    await cache.get_or_fetch("k", Loader("old"), ttl=0.01, stale=60)
    await asyncio.sleep(0.03)
    assert await cache.get("k") is None
    assert await cache.get_many(["k"]) == {}
    assert await cache.get_or_fetch("k", Loader("new"), ttl=60) == "new"


async def test_value_past_its_stale_time_is_gone(cache: Cache) -> None:
    """ttl and stale time together are all it gets."""
    await cache.get_or_fetch("k", Loader("old"), ttl=0.01, stale=0.01)
    await asyncio.sleep(0.04)
    assert await cache.get_or_fetch("k", Loader("new"), ttl=60, stale=60) == "new"
    await cache.get_or_fetch("j", Loader("old"), ttl=0.01, stale=60)
    await asyncio.sleep(0.04)
    assert await cache.get_or_fetch("j", Loader("new"), ttl=60, stale=0.01) == "new"


async def test_failed_renewal_leaves_the_old_value_and_waits_before_the_next(cache: Cache) -> None:
    """Nobody sees it fail, so it must not be repeated as fast as callers come."""
    await cache.get_or_fetch("k", Loader("old"), ttl=0.01, stale=60)
    await asyncio.sleep(0.03)
    load = Loader(LookupError("venue"))
    for _ in range(20):
        assert await cache.get_or_fetch("k", load, ttl=60, stale=60) == "old"
        await asyncio.sleep(0.002)
    assert load.calls == 1
    assert (await cache.stats()).errors == 1


@pytest.mark.parametrize("write", ["set", "delete", "invalidate"])
async def test_fetch_overtaken_by_a_write_is_not_stored(open_cache: Open, write: str) -> None:
    """What was asked for before the write may be older than it: it is served to those who wait and not kept."""
    cache, other = open_cache(), open_cache()
    gate = asyncio.Event()
    load = Loader("before", gate=gate)
    asked = asyncio.create_task(cache.get_or_fetch("k", load, ttl=60))
    await load.begun.wait()
    if write == "set":
        await other.set("k", "after", ttl=60)
    elif write == "delete":
        await other.delete("k")
    else:
        await other.invalidate("nothing of this name")
    gate.set()
    assert await asked == "before"
    assert await cache.get("k") == ("after" if write == "set" else None)
    assert (await cache.stats()).discarded == 1


@pytest.mark.parametrize("write", ["delete", "invalidate"])
async def test_caller_after_a_write_does_not_get_what_was_fetched_before_it(cache: Cache, write: str) -> None:
    """A new fetch begins although the old one is under way, and only the new one is stored."""
    gate = asyncio.Event()
    old = Loader("before", gate=gate)
    asked = asyncio.create_task(cache.get_or_fetch("k", old, ttl=60))
    await old.begun.wait()
    await (cache.delete("k") if write == "delete" else cache.invalidate("k"))
    async with asyncio.timeout(20):
        assert await cache.get_or_fetch("k", Loader("after"), ttl=60) == "after"
    gate.set()
    assert await asked == "before"
    assert await cache.get("k") == "after"


async def test_other_fetches_go_on_when_a_prefix_is_invalidated(cache: Cache) -> None:
    """Those who wait for a key outside of it still share one fetch."""
    gate = asyncio.Event()
    load = Loader("fetched", gate=gate)
    asked = [asyncio.create_task(cache.get_or_fetch("k", load, ttl=60))]
    await load.begun.wait()
    await cache.invalidate("other")
    asked.append(asyncio.create_task(cache.get_or_fetch("k", load, ttl=60)))
    await asyncio.sleep(0.01)
    gate.set()
    assert await asyncio.gather(*asked) == ["fetched"] * 2
    assert load.calls == 1


async def test_another_takes_over_when_the_fetching_process_dies(open_cache: Open) -> None:
    """Its lease ends and the next in line fetches."""
    cache, dead = open_cache(), open_cache()
    claim = await dead.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"of a dead process", 150)
    assert claim.lease is not None
    load = Loader("fetched")
    assert await cache.get_or_fetch("k", load, ttl=60) == "fetched"
    assert not await dead.backend.commit("tu:value:k", b'"too late"', 60_000, 0, claim.lease)
    assert await cache.get("k") == "fetched"


async def test_value_that_another_process_stored_ends_the_wait(open_cache: Open) -> None:
    """Whoever waits for a fetch elsewhere is served as soon as the value is there, without a fetch of its own."""
    cache, other = open_cache(), open_cache()
    claim = await other.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"another process", 60_000)
    assert claim.lease is not None
    asked = asyncio.create_task(cache.get_or_fetch("k", Loader(AssertionError("fetched")), ttl=60))
    await asyncio.sleep(0.02)
    await other.set("k", "theirs", ttl=60)
    assert await asked == "theirs"


async def test_value_is_renewed_early_where_that_is_asked_for(cache: Cache) -> None:
    """The longer its fetch took, the sooner: here so long that it is due at once; one fetch, in the background."""
    claim = await cache.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"token", 60_000)
    assert claim.lease is not None
    assert await cache.backend.commit("tu:value:k", b'"old"', 60_000, 0, claim.lease, cost=2**40)
    load = Loader("new")
    assert await cache.get_or_fetch("k", load, ttl=60) == "old"
    assert await cache.get_or_fetch("k", load, ttl=60, stale=60) == "old"
    await quiet()
    assert load.calls == 0
    assert await asyncio.gather(*(cache.get_or_fetch("k", load, ttl=60, early=True) for _ in range(3))) == ["old"] * 3
    await quiet()
    assert load.calls == 1
    assert await cache.get_or_fetch("k", load, ttl=60, early=True) == "new"
    await quiet()
    assert load.calls == 1  # it took no time, so there is all the time in the world


async def test_value_renewed_by_another_meanwhile_is_not_fetched(
    open_cache: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever found it due, and is granted the lease only after another's renewal, leaves it and gives that back."""
    cache, other = open_cache(), open_cache()
    claim = cache.backend.claim
    granted = await claim("tu:value:k", "tu:lease:k", "tu:epoch", b"token", 60_000)
    assert granted.lease is not None
    assert await cache.backend.commit("tu:value:k", b'"old"', 60_000, 0, granted.lease, cost=2**40)

    async def overtaken(*asked: Any) -> Any:
        await other.set("k", "new", ttl=60)
        return await claim(*asked)

    monkeypatch.setattr(cache.backend, "claim", overtaken)
    assert await cache.get_or_fetch("k", Loader(AssertionError("fetched")), ttl=60, early=True) == "old"
    await quiet()
    assert await cache.get("k") == "new"
    assert (await cache.stats()).errors == 0
    assert await cache.backend.acquire("tu:lease:k", b"free", 1)


async def test_long_fetch_keeps_its_lease(open_cache: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that takes longer than a lease is still the only one."""
    monkeypatch.setattr("tradeutils.cache.flights._LEASE_MS", 120)
    gate = asyncio.Event()
    load = Loader("fetched", gate=gate)
    asked = [asyncio.create_task(open_cache().get_or_fetch("k", load, ttl=60)) for _ in range(2)]
    await asyncio.sleep(0.5)
    gate.set()
    assert await asyncio.gather(*asked) == ["fetched"] * 2
    assert load.calls == 1


async def test_fetch_that_asks_for_itself_is_refused(cache: Cache) -> None:
    """It would wait for its own end for ever, directly or by way of another key."""

    async def outer() -> Any:
        return await cache.get_or_fetch("inner", inner, ttl=60)

    async def inner() -> Any:
        return await cache.get_or_fetch("outer", outer, ttl=60)

    with pytest.raises(UsageError, match="'outer' itself"):
        await cache.get_or_fetch("outer", outer, ttl=60)


async def test_fetches_that_ask_for_each_other_are_refused(cache: Cache) -> None:
    """Begun by two callers, each would wait for the other for ever; both are told."""
    gate = asyncio.Event()

    async def first() -> Any:
        await gate.wait()
        return await cache.get_or_fetch("second", second, ttl=60)

    async def second() -> Any:
        await gate.wait()
        return await cache.get_or_fetch("third", third, ttl=60)

    async def third() -> Any:
        await gate.wait()
        return await cache.get_or_fetch("first", first, ttl=60)

    fetches = {"first": first, "second": second, "third": third}
    async with asyncio.timeout(20):
        asked = [asyncio.create_task(cache.get_or_fetch(key, fetch, ttl=60)) for key, fetch in fetches.items()]
        await asyncio.sleep(0.02)
        gate.set()
        done = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(error) for error in done] == [UsageError] * 3
    assert await cache.get_or_fetch("first", Loader("fine"), ttl=60) == "fine"


async def test_fetches_of_two_caches_that_ask_for_each_other_are_refused(open_cache: Open) -> None:
    """The same where each key lies in a cache of its own."""
    one, two = open_cache(namespace="one"), open_cache(namespace="two")
    both = asyncio.Barrier(2)

    async def first() -> Any:
        await both.wait()
        return await two.get_or_fetch("k", second, ttl=60)

    async def second() -> Any:
        await both.wait()
        return await one.get_or_fetch("k", first, ttl=60)

    async with asyncio.timeout(20):
        done = await asyncio.gather(
            one.get_or_fetch("k", first, ttl=60), two.get_or_fetch("k", second, ttl=60), return_exceptions=True
        )
    assert [type(error) for error in done] == [UsageError] * 2


async def test_fetch_that_nobody_waits_for_may_ask_for_the_one_that_began_it(cache: Cache) -> None:
    """Who gave up waiting does not wait in a circle."""
    gave_up = asyncio.Event()

    async def outer() -> str:
        asked = asyncio.create_task(cache.get_or_fetch("inner", inner, ttl=60))
        await asyncio.sleep(0.02)
        asked.cancel()
        await asyncio.wait([asked])
        gave_up.set()
        await asyncio.sleep(0.02)
        return "outer"

    async def inner() -> str:
        await gave_up.wait()
        return "inner of " + await cache.get_or_fetch("outer", outer, ttl=60)

    async with asyncio.timeout(20):
        assert await cache.get_or_fetch("outer", outer, ttl=60) == "outer"
        assert await cache.get_or_fetch("inner", Loader("another"), ttl=60) == "inner of outer"


async def test_fetches_of_shared_parts_are_no_circle(cache: Cache) -> None:
    """Two wholes made of the same parts, which are made of one part in turn, are all fetched once."""
    part = Loader(1)

    async def half() -> int:
        return 1 + int(await cache.get_or_fetch("part", part, ttl=60))

    async def whole() -> int:
        return sum(await asyncio.gather(*(cache.get_or_fetch(key, half, ttl=60) for key in ("left", "right", "left"))))

    async with asyncio.timeout(20):
        assert await asyncio.gather(*(cache.get_or_fetch(key, whole, ttl=60) for key in "ab")) == [6, 6]
    assert part.calls == 1


async def test_fetch_may_use_other_keys(cache: Cache) -> None:
    """One fetch may be made of others."""
    part = Loader(2)

    async def whole() -> int:
        return 1 + int(await cache.get_or_fetch("part", part, ttl=60))

    assert await asyncio.gather(cache.get_or_fetch("whole", whole, ttl=60), cache.get_or_fetch("part", part, 60)) == [
        3,
        2,
    ]


async def test_fetch_must_be_asynchronous(cache: Cache) -> None:
    """A plain function is refused by what it returned, and leaves nothing behind that others would wait for."""
    with pytest.raises(UsageError, match="fetch returned int"):
        await cache.get_or_fetch("k", lambda: 5, ttl=60)  # type: ignore[arg-type, return-value]
    assert await cache.get_or_fetch("k", Loader("fine"), ttl=60) == "fine"


async def test_outcome_that_is_not_encoded_is_an_error_of_the_caller(cache: Cache) -> None:
    """A value that could never be cached is not silently fetched each time."""
    with pytest.raises(CodecError):
        await cache.get_or_fetch("k", Loader(object()), ttl=60)


@pytest.mark.parametrize("stale", [None, 60])
async def test_outcome_that_is_too_long_to_be_stored_is_served(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, stale: float | None
) -> None:
    """It is counted, and the lease is given back at once, so that nobody waits for it to end."""
    monkeypatch.setattr("tradeutils.cache.base.MAX_VALUE_BYTES", 1000)
    assert await cache.get_or_fetch("k", Loader("x" * 2000), ttl=60, stale=stale) == "x" * 2000
    assert await cache.get("k") is None
    assert (await cache.stats()).errors == 1
    assert await cache.backend.acquire("tu:lease:k", b"another process", 1)


async def test_renewal_that_is_too_long_to_be_stored_waits_before_the_next(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old value is served meanwhile, and the fetch is not repeated as fast as callers come."""
    await cache.get_or_fetch("k", Loader("old"), ttl=0.01, stale=60)
    await asyncio.sleep(0.03)
    monkeypatch.setattr("tradeutils.cache.base.MAX_VALUE_BYTES", 1000)
    load = Loader("x" * 2000)
    for _ in range(20):
        assert await cache.get_or_fetch("k", load, ttl=60, stale=60) == "old"
        await asyncio.sleep(0.002)
    assert load.calls == 1


async def test_secret_in_the_error_of_a_renewal_is_not_logged(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    """Handlers that the library never saw get a record without it."""
    await cache.get_or_fetch("k", Loader("old"), ttl=0.01, stale=60)
    await asyncio.sleep(0.03)
    load = Loader(LookupError("GET /api/v3/account?signature=0123456789abcdef0123456789abcdef"))
    assert await cache.get_or_fetch("k", load, ttl=60, stale=60) == "old"
    await quiet()
    (record,) = caplog.records
    assert record.name == "tradeutils.cache"
    assert "LookupError: GET /api/v3/account" in caplog.text
    assert "0123456789abcdef" not in caplog.text


async def test_fetch_cancelled_from_within_does_not_look_like_our_cancellation(cache: Cache) -> None:
    """The caller was not cancelled, so it must not see ``CancelledError``."""

    async def load() -> None:
        raise asyncio.CancelledError

    with pytest.raises(CacheError, match="cancelled from within"):
        await cache.get_or_fetch("k", load, ttl=60)


async def test_stale_for_ever_is_refused(cache: Cache) -> None:
    """A value without ttl is never past it."""
    with pytest.raises(UsageError, match="stale was"):
        await cache.get_or_fetch("k", Loader(1), ttl=None, stale=5)
    assert await cache.get_or_fetch("k", Loader(1), ttl=None) == 1


# Bytes that are not ours


FOREIGN = {
    "nothing": b"",
    "pickle": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01.",
    "half a seal": b"\xfetu\x01short",
    "seal over rubbish": b"\xfetu\x01" + bytes(4) + (2**62).to_bytes(8, "little") + b"\xff" * 40,
    "text": b"not json {",
    "zeros": b"\x00" * 64,
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
async def test_foreign_bytes_are_an_error_and_not_a_value(cache: Cache, data: bytes) -> None:
    """``get`` names the key; a stranger's bytes are never executed and never taken for a miss."""
    await plant(cache, "k", data)
    with pytest.raises(CodecError, match="'k'"):
        await cache.get("k")
    with pytest.raises(CodecError, match="'k'"):
        await cache.get_many(["k"])
    assert (await cache.stats()).errors == 2


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
async def test_foreign_bytes_are_fetched_over(cache: Cache, data: bytes) -> None:
    """``get_or_fetch`` does not stop at them, replaces them, and counts it."""
    await plant(cache, "k", data)
    load = Loader("good")
    assert await cache.get_or_fetch("k", load, ttl=60) == "good"
    assert await cache.get("k") == "good"
    assert load.calls == 1
    assert (await cache.stats()).errors == 1


# Locks


async def test_lock_has_one_holder(open_cache: Open) -> None:
    """Among tasks and caches, one at a time is inside."""
    caches = [open_cache() for _ in range(3)]
    inside = most = total = 0

    async def work(cache: Cache) -> None:
        nonlocal inside, most, total
        async with cache.lock("name", ttl=10):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1
            total += 1

    await asyncio.gather(*(work(cache) for cache in caches for _ in range(4)))
    assert (most, total) == (1, 12)


async def test_locks_of_different_names_are_apart(cache: Cache) -> None:
    """A name locks nothing but itself, and no value of that key."""
    async with cache.lock("a", ttl=10), cache.lock("b", ttl=10):
        await cache.set("a", 1, ttl=60)
    assert await cache.get("a") == 1


async def test_fence_is_higher_than_that_of_every_holder_before(open_cache: Open) -> None:
    """What the lock protects can tell a holder that comes too late from the one that holds it now."""
    one, two = open_cache(), open_cache()
    fences = []
    for cache in (one, two, one, two):
        async with cache.lock("name", ttl=60) as lock:
            fences.append(lock.fence)
    assert fences[0] > 0
    assert fences == sorted(set(fences))


async def test_lock_that_ended_before_its_block_is_an_error(open_cache: Open) -> None:
    """Others may have been inside too, and the work must know; the new holder keeps the lock."""
    one, two = open_cache(), open_cache()
    late = two.lock("name", ttl=10)

    async def overtaken() -> None:
        async with one.lock("name", ttl=0.02):
            await late.__aenter__()

    with pytest.raises(CacheError, match="ended before its block"):
        await overtaken()
    assert not await two.backend.acquire("tu:lock:name", b"third", 10)
    await late.__aexit__(None, None, None)
    assert await two.backend.acquire("tu:lock:name", b"third", 10)


async def test_error_of_the_block_is_not_hidden_by_a_lock_that_ended(cache: Cache) -> None:
    """The block's own error is the one that is raised."""

    async def fails_late() -> None:
        async with cache.lock("name", ttl=0.01):
            await asyncio.sleep(0.03)
            raise LookupError

    with pytest.raises(LookupError):
        await fails_late()


async def test_extended_lock_lasts(cache: Cache) -> None:
    """Work that goes on can keep the lock; one that is not held cannot be extended."""
    async with cache.lock("name", ttl=0.05) as lock:
        await lock.extend(10)
        await asyncio.sleep(0.08)
        with pytest.raises(UsageError, match="held"):
            await lock.__aenter__()
        assert "not held" not in repr(lock)
    with pytest.raises(CacheError, match="not held any more"):
        await lock.extend(10)
    assert "not held" in repr(lock)


async def test_cancelled_wait_for_a_lock_leaves_none_behind(open_cache: Open) -> None:
    """A waiter that gives up has not taken it in passing."""
    one, two = open_cache(), open_cache()
    async with one.lock("name", ttl=10):
        waiting = asyncio.create_task(two.lock("name", ttl=10).__aenter__())
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
    async with asyncio.timeout(5), one.lock("name", ttl=10) as lock:
        assert waiting.cancelled()
        await lock.extend(10)  # ours: raises where it is not


async def test_lock_wants_a_name_and_an_end(cache: Cache) -> None:
    """A lock for ever would outlive a process that died with it."""
    with pytest.raises(UsageError, match="ttl was"):
        cache.lock("name", ttl=None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="key was"):
        cache.lock("", ttl=1)


# The object itself


async def test_closed_cache_says_so(cache: Cache) -> None:
    """Every way in raises `Closed`; closing again does nothing."""
    await cache.set("k", 1, ttl=60)
    await cache.aclose()
    await cache.aclose()
    for attempt in (
        cache.get("k"),
        cache.get_many(["k"]),
        cache.set("k", 1, ttl=1),
        cache.delete("k"),
        cache.invalidate(),
        cache.stats(),
        cache.server(),
        cache.get_or_fetch("k", Loader(1), ttl=1),
    ):
        with pytest.raises(Closed):
            await attempt
    with pytest.raises(Closed):
        cache.lock("name", ttl=1)


async def test_closing_ends_fetches_under_way(cache: Cache) -> None:
    """Those who wait get `Closed` and not a cancellation, and nothing is left running."""
    load = Loader(1, gate=asyncio.Event())
    asked = [asyncio.create_task(cache.get_or_fetch("k", load, ttl=60)) for _ in range(3)]
    await load.begun.wait()
    await cache.aclose()
    assert {type(error) for error in await asyncio.gather(*asked, return_exceptions=True)} == {Closed}
    assert not others()


async def test_cache_is_its_own_context(open_cache: Open) -> None:
    """``async with`` closes it."""
    async with open_cache() as cache:
        await cache.set("k", 1, ttl=60)
    with pytest.raises(Closed):
        await cache.get("k")


async def test_second_event_loop_is_refused(cache: Cache) -> None:
    """While the first loop lives, another one may not use its connection."""
    await cache.set("k", 1, ttl=60)
    with pytest.raises(UsageError, match="one cache for each loop"):
        await asyncio.to_thread(lambda: asyncio.run(cache.get("k")))
    with pytest.raises(UsageError, match="one cache for each loop"):
        await asyncio.to_thread(lambda: asyncio.run(cache.aclose()))
    assert await cache.get("k") == 1


async def test_stats_count_what_happened(cache: Cache) -> None:
    """Hits and misses are keys, fetches are calls, and what was shared is told apart."""
    assert math.isnan((await cache.stats()).hit_rate)
    await cache.set_many({"a": 1, "b": 2}, ttl=60)
    await cache.get("a")
    await cache.get_many(["a", "b", "absent"])
    await cache.get("absent")
    await asyncio.gather(*(cache.get_or_fetch("f", Loader(1), ttl=60) for _ in range(3)))
    stats = await cache.stats()
    assert (stats.hits, stats.misses, stats.fetches, stats.shared) == (3, 5, 1, 2)
    assert (stats.errors, stats.unavailable, stats.breaker) == (0, 0, "closed")
    assert stats.hit_rate == 3 / 8


async def test_repr_names_place_and_namespace(open_cache: Open) -> None:
    """It is what a log line needs."""
    cache = open_cache(namespace="bots")
    assert repr(cache) == f"Cache({cache.backend.name!r}, namespace='bots')"
