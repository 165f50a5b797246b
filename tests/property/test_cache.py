"""Laws of the cache: any sequence of operations is that of a dict, on every backend."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from servers import ValkeyServer

import tradeutils as tu
from tradeutils.cache import Backend, Memory
from tradeutils.cache.keys import Keyspace, to_ms
from tradeutils.link.wire import Wire

# Characters that mean something to Redis, to globs or to UTF-8, so that few of them make many collisions.
_KEYS = st.text(alphabet="ab*?[]^-\\:{} \n\r\0é\U0001f680", min_size=1, max_size=6)
_PREFIXES = st.one_of(st.just(""), _KEYS)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.dictionaries(_KEYS, st.integers(), max_size=4)),
        st.tuples(st.just("delete"), st.lists(_KEYS, max_size=4)),
        st.tuples(st.just("invalidate"), _PREFIXES),
        st.tuples(st.just("get"), st.lists(_KEYS, max_size=4)),
        st.tuples(st.just("fetch"), _KEYS),
    ),
    max_size=12,
)


async def play(backend: str | Backend, steps: list[tuple[str, Any]]) -> None:
    """Do the same to a cache and to a dict, and compare what they say."""
    model: dict[str, int] = {}
    async with tu.Cache(backend, timeout=10) as cache:
        for step, what in steps:
            if step == "set":
                await cache.set_many(what, ttl=None)
                model.update(what)
            elif step == "delete":
                assert await cache.delete(*what) == len([model.pop(key) for key in set(what) if key in model])
            elif step == "invalidate":
                doomed = [key for key in model if key.startswith(what)]
                assert await cache.invalidate(what) == len([model.pop(key) for key in doomed])
            elif step == "get":
                assert await cache.get_many(what) == {key: model[key] for key in what if key in model}
            else:

                async def load() -> int:
                    return 7

                assert await cache.get_or_fetch(what, load, ttl=None) == model.setdefault(what, 7)
        assert sorted([key async for key in cache.scan()]) == sorted(model)


@settings(max_examples=120, deadline=None)
@given(_STEPS)
def test_memory_is_a_dict(steps: list[tuple[str, Any]]) -> None:
    """Sets, deletes, prefixes and fetches leave what they would leave in a dict."""
    asyncio.run(play(Memory(), steps))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS)
def test_redis_is_a_dict(valkey: ValkeyServer, steps: list[tuple[str, Any]]) -> None:
    """The same on a real server, whatever characters are in the keys."""
    with valkey.client() as client:
        client.flushall()
    asyncio.run(play(valkey.url, steps))


_NAMESPACES = st.from_regex(r"[A-Za-z0-9_.-]{1,6}", fullmatch=True)


@given(_NAMESPACES, _NAMESPACES, _KEYS, _KEYS)
def test_no_two_things_share_a_name(one: str, two: str, first: str, second: str) -> None:
    """Values, leases, locks and epochs of any keys in any namespaces lie apart."""
    names = [
        (name, key, kind, getattr(Keyspace(name), kind)(key))
        for name in {one, two}
        for key in {first, second}
        for kind in ("value", "lease", "lock")
    ]
    everything = [full for *_, full in names] + [Keyspace(name).epoch for name in {one, two}]
    assert len(everything) == len(set(everything))
    assert Keyspace(one).value(first).startswith(Keyspace(two).prefix("")) == (one == two)


@given(st.floats(min_value=0, max_value=3e9, exclude_min=True))
def test_seconds_become_the_nearest_millisecond_and_at_least_one(seconds: float) -> None:
    """A ttl is never rounded to none at all."""
    assert abs(to_ms("ttl", seconds) - seconds * 1000) <= max(0.5, 1 - seconds * 1000)
    assert to_ms("ttl", seconds) >= 1


@example([(1, False, 0), (0, False, 0), (1, False, 799)], 2)  # a value that outgrows the room is not to go for itself
@example([(1, False, 0), (1, False, 0), (0, False, 0), (2, False, 799)], 2)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(0, 1500)), max_size=80), st.integers(2, 12))
def test_memory_stays_within_its_budget(steps: list[tuple[int, bool, int]], room: int) -> None:
    """What was just written is there, what was evicted was counted, and nothing goes while there is room."""

    async def use() -> None:
        memory = Memory(max_bytes=room * 1200)
        written: dict[str, bytes] = {}
        for key, reads, size in steps:
            name = chr(65 + key)
            if reads:
                found = await memory.get(name)
                assert found is None or found.data == written[name]
                continue
            written[name] = bytes([key]) * size
            await memory.set_many({name: written[name]}, None, [])
            found = await memory.get(name)
            assert (found is not None) == (size + 801 <= room * 1200)
            usage = memory.usage()
            assert (usage.bytes or 0) <= room * 1200
        usage = memory.usage()
        if not usage.evictions:
            assert usage.keys == len(written)
        assert usage.keys == len([name for name in written if await memory.get(name) is not None])

    asyncio.run(use())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=40)), min_size=1, max_size=20), st.data())
def test_replies_are_the_same_however_they_are_cut(values: list[bytes | None], data: st.DataObject) -> None:
    """Bytes arrive in pieces of any size; the replies in them do not depend on it."""
    stream = b"".join(b"_\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value) for value in values)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=10)))

    async def receive() -> list[Any]:
        wire = Wire("test", 10, on_silent=_never, on_answer=_never, on_lost=_never)
        wire.connection_made(_Nowhere())
        asked = [wire.call([(b"GET", b"k")]) for _ in values]
        await asyncio.sleep(0)  # they are sent at the end of the turn
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            wire.data_received(stream[start:end])
        got = [reply for one in asked for reply in await one]
        wire.close(AssertionError)
        return got

    assert asyncio.run(receive()) == values


class _Nowhere(asyncio.Transport):
    """A transport that leads nowhere: what arrives is handed over by the test."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def writelines(self, parts: Any) -> None:
        pass

    def abort(self) -> None:
        pass


def _never(*_: Any) -> None:
    pytest.fail("nothing was wrong")
