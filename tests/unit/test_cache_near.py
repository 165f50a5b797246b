"""What the copy in this process keeps and what it hands out, without a server."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import codec
from tradeutils.cache import Memory
from tradeutils.cache.base import Stored
from tradeutils.cache.flights import is_due
from tradeutils.cache.near import Near, check_near
from tradeutils.errors import UsageError


def near(setting: Any = "*") -> tuple[Near, Memory]:
    """Return a copy, and the store that it stands before."""
    memory = Memory()
    return Near(setting, memory, "ns:value:", codec.loads), memory


def kept(one: Near, key: str, value: Any, left: float | None = 60_000.0, late: int = 0) -> Any:
    """Put a value there as if it had just been read, and return what comes out."""
    data = codec.dumps(value)
    one.put(key, Stored(data, late, left), codec.loads(data), one.number, time.monotonic())
    entry = one.take(key)
    return None if entry is None else entry.own()


@pytest.mark.parametrize(
    "setting",
    ["", [], [""], [3], 0, -5, True, 1.5, b"*", {"a": 1}, "0mb", ["*", None]],
    ids=repr,
)
def test_impossible_setting_is_refused(setting: Any) -> None:
    """Also where the cache is in memory, and nothing could be nearer."""
    for url in ("redis://host", None):
        with pytest.raises(UsageError, match="near was"):
            tu.Cache(url, near=setting)


@pytest.mark.parametrize(
    "setting", ["*", "markets:*", ["a", "b:[0-9]"], ("a",), 1000, "64mb", "1.5 GB", "64MiB", "10b"]
)
def test_setting_is_understood(setting: str | Sequence[str] | int) -> None:
    """Patterns, or a budget with or without a unit."""
    check_near(setting)


@pytest.mark.parametrize(
    ("setting", "wanted", "unwanted"),
    [
        ("markets:*", ["markets:", "markets:a\nb"], ["market", "xmarkets:a", "MARKETS:a"]),
        (["a?", "b:[0-9]"], ["ab", "b:7"], ["a", "abc", "b:x"]),
        (["x", "*"], ["anything"], []),
        ("1kb", ["anything"], []),
    ],
    ids=["prefix", "signs", "all", "budget"],
)
async def test_pattern_chooses_keys(setting: Any, wanted: list[str], unwanted: list[str]) -> None:
    """As for the names of files, whatever is in the key."""
    one, _ = near(setting)
    assert [one.wants(key) for key in wanted] == [True] * len(wanted)
    assert [one.wants(key) for key in unwanted] == [False] * len(unwanted)


async def test_memory_needs_no_copy() -> None:
    """The same program runs with a cache in this process."""
    async with tu.Cache(near="*") as cache:
        await cache.set("k", 1, ttl=60)
        assert await cache.get("k") == 1
        assert (await cache.stats()).near is None


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, {"b": 2}]},
        [1, [2]],
        {"BTC/USDT": tu.Ticker(symbol="BTC/USDT", last=1.0)},
        [Decimal("1.5"), (1, "x")],
        {1, 2},
    ],
    ids=["deep", "list", "tickers", "tuples", "set"],
)
async def test_what_a_caller_changes_is_his_own(value: Any) -> None:
    """Neither what was read nor what was handed out can change what the next one gets."""
    one, _ = near()
    data = codec.dumps(value)
    first = codec.loads(data)
    one.put("k", Stored(data, 0, 60_000.0), first, one.number, time.monotonic())
    first.clear()
    for _ in range(2):
        entry = one.take("k")
        assert entry is not None
        got = entry.own()
        assert got == value
        got.clear()
    one.clear()


async def test_values_that_nobody_can_change_are_shared() -> None:
    """They need neither be decoded nor copied for each reader."""
    one, _ = near()
    for value in (tu.Ticker(symbol="BTC/USDT", last=1.0), ("a", (1, None)), "text", Decimal("1.5")):
        assert kept(one, "k", value) is kept(one, "k", value) or kept(one, "k", value) == value
        entry = one.take("k")
        assert entry is not None
        assert entry.own() is entry.own()
    one.clear()


@pytest.mark.parametrize(("left", "late"), [(None, 0), (0.0, 0), (60_000.0, 5)], ids=["unknown", "over", "late"])
async def test_value_that_is_not_known_to_be_fresh_is_not_kept(left: float | None, late: int) -> None:
    """Its end must be known."""
    one, _ = near()
    assert kept(one, "k", 1, left, late) is None


async def test_value_that_changed_since_it_was_asked_for_is_not_kept() -> None:
    """Nor one that may have, because something was not told, or nobody tells."""
    one, memory = near()
    since = one.number
    memory.changes.note(["ns:value:k"])
    one.put("k", Stored(b"1", 0, 60_000.0), 1, since, time.monotonic())
    assert one.take("k") is None
    since = one.number
    memory.changes.note(["ns:value:other", "another:value:k"])
    one.put("k", Stored(b"1", 0, 60_000.0), 1, since, time.monotonic())
    assert one.take("k") is not None
    memory.changes.note_all()
    assert one.take("k") is None
    one.put("k", Stored(b"1", 0, 60_000.0), 1, since, time.monotonic())
    assert one.take("k") is None
    memory.changes.is_on = False
    assert kept(one, "k", 1) is None
    one.close()


async def test_only_the_names_of_its_own_namespace_drop_anything() -> None:
    """A key of the same name in another namespace is another."""
    one, memory = near()
    assert kept(one, "k", 1) == 1
    memory.changes.note(["other:value:k", "ns:lease:k", "ns:value:kk", "k"])
    assert one.take("k") is not None
    memory.changes.note(["ns:value:k"])
    assert one.take("k") is None
    assert one.bytes == 0
    one.close()


async def test_value_used_again_outlasts_those_that_were_not() -> None:
    """Of values that fill the budget, those go first that nobody asked for again."""
    one, _ = near(10_000)
    assert kept(one, "hot", "x" * 1000)
    for number in range(50):
        data = codec.dumps("x" * 1000)
        one.put(f"cold{number}", Stored(data, 0, 60_000.0), "x" * 1000, one.number, time.monotonic())
        assert one.take("hot") is not None
    assert one.bytes <= 10_000
    assert one.evicted == 51 - len(one.entries)
    one.clear()


async def test_all_used_alike_still_make_room() -> None:
    """There is always one to go."""
    one, _ = near(10_000)
    for number in range(50):
        assert kept(one, f"k{number}", "x" * 1000)
    assert one.bytes <= 10_000
    one.close()


async def test_dropped_copy_leaves_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is tried while something is kept, and no longer."""
    beats = 0

    class Beating(Memory):
        """A store that counts."""

        def beat(self, seconds: float) -> None:
            nonlocal beats
            beats += 1

    monkeypatch.setattr("tradeutils.cache.near._BEAT_SECONDS", 0.01)
    memory = Beating()
    one = Near("*", memory, "ns:value:", codec.loads)
    assert kept(one, "k", 1) == 1
    async with asyncio.timeout(20):
        while beats < 3:  # noqa: ASYNC110  # a store that counts has no event
            await asyncio.sleep(0.005)
    memory.changes.note_all()
    await asyncio.sleep(0.03)
    stopped = beats
    await asyncio.sleep(0.03)
    assert beats == stopped
    assert kept(one, "k", 1) == 1
    one.close()
    await asyncio.sleep(0.03)
    assert beats == stopped


def test_renewal_is_due_by_chance_the_more_so_the_nearer_the_end() -> None:
    """Of many who ask, exp(-left / mean) find it due; the mean is 0.6 times what the fetch takes."""
    random.seed(7)
    due = [sum(is_due(100, 0.6 * left) for _ in range(20_000)) / 20_000 for left in (300, 200, 100, 10)]
    assert due == pytest.approx([0.0498, 0.1353, 0.3679, 0.9048], abs=0.02)
    assert not any(is_due(0, 0.0) for _ in range(100))
    assert all(is_due(100, -1.0) for _ in range(100))
