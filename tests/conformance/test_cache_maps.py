"""What every map of a cache promises, in each layout, over each backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any, cast

import pytest
from fleets import _cluster_session, cluster  # noqa: F401  # fixtures

import tradeutils as tu
from tradeutils.cache import Backend, Cache, Map, Memory
from tradeutils.cache.hashes import LocalHashes
from tradeutils.cache.maps import Layout
from tradeutils.errors import CacheError, CacheUnavailable, Closed, CodecError, UnknownName, UsageError

Open = Callable[..., Map]


@pytest.fixture(params=["memory", "redis", "cluster"])
async def open_one(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[], Cache]]:
    """Return a function that opens one more cache on the same, empty, store."""
    where: str | Backend
    if request.param == "memory":
        where = Memory()
    else:
        where = request.getfixturevalue("cluster" if request.param == "cluster" else "valkey").url
    async with AsyncExitStack() as opened:

        def open_cache() -> Cache:
            cache = tu.Cache(where, timeout=5.0)
            opened.push_async_callback(cache.aclose)
            return cache

        yield open_cache


@pytest.fixture
def cache(open_one: Callable[[], Cache]) -> Cache:
    """Return a cache on an empty store."""
    return open_one()


@pytest.fixture(params=["hash", "blob"])
def layout(request: pytest.FixtureRequest) -> Layout:
    """Return each layout in turn."""
    return cast("Layout", request.param)


@pytest.fixture
def tickers(cache: Cache, layout: Layout) -> Map:
    """Return an empty map."""
    return cache.map("tickers:binance", layout=layout)


async def test_fields_come_back_as_they_were(tickers: Map) -> None:
    """Type and content of each value, names of any letters; what is not there is the default."""
    values: dict[str, Any] = {
        "BTC/USDT": {"bid": 1.5},
        "naïve 🚀\n{x}": Decimal("0.10"),
        "none": None,
        "t": (1, b"\xfe"),
    }
    await tickers.set_many(values)
    assert await tickers.get_all() == values
    assert await tickers.get_many(["t", "absent", "none"]) == {"t": (1, b"\xfe"), "none": None}
    assert type(await tickers.get("naïve 🚀\n{x}")) is Decimal
    assert await tickers.get("absent") is None
    assert await tickers.get("none", default=7) is None
    assert await tickers.get("absent", default=7) == 7
    assert await tickers.get_many([]) == {}


async def test_write_leaves_the_other_fields(tickers: Map) -> None:
    """One is replaced and one is new."""
    await tickers.set_many({"a": 1, "b": 2})
    await tickers.set("b", 3)
    await tickers.set_many({"c": 4})
    await tickers.set_many({})
    assert await tickers.get_all() == {"a": 1, "b": 3, "c": 4}


async def test_empty_map_has_nothing(tickers: Map) -> None:
    """Before the first write, after the last delete, and after it was cleared."""
    assert await tickers.get_all() == {}
    assert await tickers.delete("a") == 0
    await tickers.set_many({"a": 1, "b": 2, "c": 3})
    assert await tickers.delete("a", "b", "x", "a") == 2
    assert await tickers.delete() == 0
    assert await tickers.get_all() == {"c": 3}
    assert await tickers.delete("c") == 1
    assert await tickers.get_all() == {}
    await tickers.set("d", 4)
    await tickers.clear()
    assert await tickers.get_all() == {}


async def test_thousands_of_fields_travel_in_steps(tickers: Map) -> None:
    """More than one command takes."""
    values = {f"COIN{number}/USDT": number for number in range(2500)}
    await tickers.set_many(values)
    assert await tickers.get_all() == values
    assert await tickers.get_many(list(values)) == values
    assert await tickers.delete(*values) == 2500


async def test_map_ends_its_ttl_after_the_last_write(cache: Cache, layout: Layout) -> None:
    """As a whole, the fields that were not written among it."""
    tickers = cache.map("t", layout=layout, ttl=0.4)
    await tickers.set("a", 1)
    await asyncio.sleep(0.25)
    await tickers.set("b", 2)
    await asyncio.sleep(0.25)
    assert await tickers.get_all() == {"a": 1, "b": 2}
    await asyncio.sleep(0.25)
    assert await tickers.get_all() == {}
    assert await tickers.get("b") is None


async def test_writers_at_once_lose_nothing(open_one: Callable[[], Cache], layout: Layout) -> None:
    """Each of two caches writes fields of its own, all at the same time."""
    maps = [open_one().map("t", layout=layout) for _ in range(2)]
    await asyncio.gather(*(each.set(f"{number}:{n}", n) for number, each in enumerate(maps) for n in range(10)))
    expected = {f"{number}:{n}": n for number in range(2) for n in range(10)}
    assert await maps[0].get_all() == await maps[1].get_all() == expected


async def test_maps_of_other_names_are_others(cache: Cache, layout: Layout) -> None:
    """And a key of the same name as a hash is another thing."""
    await cache.map("a", layout=layout).set("x", 1)
    assert await cache.map("b", layout=layout).get_all() == {}
    if layout == "hash":
        assert await cache.get("a") is None
        await cache.set("a", 5)
    else:
        assert await cache.get("a") == {"x": 1}
    assert await cache.map("a", layout=layout).get_all() == {"x": 1}


async def test_reads_are_counted(cache: Cache) -> None:
    """Fields found, and fields not found."""
    tickers = cache.map("t", layout="hash")
    await tickers.set_many({"a": 1, "b": 2})
    await tickers.get_many(["a", "x"])
    await tickers.get_all()
    stats = await cache.stats()
    assert (stats.hits, stats.misses) == (3, 1)


@pytest.mark.parametrize("wrong", ["a string", b"bytes"])
async def test_fields_are_a_list(tickers: Map, wrong: Any) -> None:
    """A str is a sequence of one-letter fields, which nobody means."""
    with pytest.raises(UsageError, match="write a list of fields"):
        await tickers.get_many(wrong)


async def test_impossible_names_and_values_are_refused(cache: Cache, tickers: Map, layout: Layout) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError, match="key was"):
        await tickers.set("", 1)
    with pytest.raises(UsageError, match="key was"):
        await tickers.get_many([5])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="mapping was"):
        await tickers.set_many([("a", 1)])  # type: ignore[arg-type]
    with pytest.raises(CodecError):
        await tickers.set("a", object())
    with pytest.raises(UsageError, match="key was"):
        cache.map("", layout=layout)
    with pytest.raises(UsageError, match="ttl was"):
        cache.map("t", layout=layout, ttl=-1)
    with pytest.raises(UnknownName, match="layout"):
        cache.map("t", layout="tree")  # type: ignore[arg-type]
    assert await tickers.get_all() == {}


async def test_closed_cache_has_no_maps(cache: Cache, tickers: Map) -> None:
    """Nothing is read or written any more."""
    assert "tickers:binance" in repr(tickers)
    await cache.aclose()
    for asked in (tickers.get("a"), tickers.get_all(), tickers.set("a", 1), tickers.delete("a"), tickers.clear()):
        with pytest.raises(Closed):
            await asked


async def test_what_is_no_map_is_said(valkey: Any) -> None:
    """A value of another kind under the name, and bytes of another program in a field or for its name."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set("t", 5)
        with pytest.raises(UsageError, match="is no map but a int"):
            await cache.map("t", layout="blob").get_all()
        with valkey.client() as client:
            client.hset("tu:map:t", mapping={b"\xff": b"1", b"good": b"2", b"bad": b"\x80\x04K"})
            client.set("tu:map:string", "x")
        tickers = cache.map("t", layout="hash")
        assert await tickers.get("good") == 2
        with pytest.raises(CodecError, match="'bad'"):
            await tickers.get("bad")
        await tickers.delete("bad")
        assert await tickers.get_all() == {"good": 2}
        for asked in (cache.map("string", layout="hash").get_all(), cache.map("string", layout="hash").set("a", 1)):
            with pytest.raises(CacheError, match="WRONGTYPE"):
                await asked


async def test_outage_is_no_empty_map(layout: Layout) -> None:
    """Nobody is told that there are no tickers."""
    async with tu.Cache("redis://127.0.0.1:1/0") as cache:
        tickers = cache.map("t", layout=layout)
        for asked in (tickers.get("a"), tickers.get_all(), tickers.set("a", 1), tickers.delete("a")):
            with pytest.raises(CacheUnavailable):
                await asked
        stats = await cache.stats()
        assert stats.unavailable >= 2
        assert stats.misses == 0


async def test_memory_is_bounded() -> None:
    """The map that was not written for longest goes first, and what is removed takes no room."""
    hashes = LocalHashes(max_bytes=5000)
    for number in range(10):
        await hashes.write_fields(f"m{number}", {"a": b"x" * 1000}, None)
        assert hashes.bytes <= 5000
    assert await hashes.read_all_fields("m0") == {}
    assert await hashes.read_fields("m9", ["a"]) == [b"x" * 1000]
    await hashes.write_fields("m9", {"a": b"y"}, None)
    for number in range(10):
        await hashes.remove_fields(f"m{number}", ["a", "b"])
    assert hashes.bytes == 0


def test_blocking_map_does_the_same(layout: Layout) -> None:
    """Every method, from an ordinary thread."""
    with tu.sync.Cache("memory://") as cache:
        tickers = cache.map("t", layout=layout, ttl=60)
        assert repr(tickers) == f"Map('t', layout={layout!r})"
        tickers.set_many({"a": 1, "b": 2})
        tickers.set("c", 3)
        assert tickers.get("a") == 1
        assert tickers.get("x", default=7) == 7
        assert tickers.get_many(["c", "x"]) == {"c": 3}
        assert tickers.delete("a", "x") == 1
        assert tickers.get_all() == {"b": 2, "c": 3}
        tickers.clear()
        assert tickers.get_all() == {}
        assert {name for name in dir(Map) if not name.startswith("_")} - {"name", "layout"} <= set(dir(tickers))
