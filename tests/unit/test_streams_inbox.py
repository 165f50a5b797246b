"""What a consumer has yet to take: order, bounds, policies, waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import Closed, UnknownName, UsageError
from tradeutils.exchange.streams.inbox import Inbox, open_inbox
from tradeutils.model.streaming import Missed, Stale

STALE = Stale(kind="ticker", symbol="A", time=1, age=2.0, reason="silent")
MISSED = Missed(kind="trades", symbol="A", time=1, since=0, until=1)


def drained(inbox: Inbox) -> list[Any]:
    """Return all that is there."""
    return [inbox.pop() for _ in range(len(inbox))]


@given(st.lists(st.integers()), st.integers(1, 8))
def test_all_keeps_the_newest_in_order_and_counts_the_rest(items: list[int], buffer: int) -> None:
    """What is taken and what is counted make up what was put."""
    inbox = open_inbox("all", buffer)
    for item in items:
        inbox.put(item, "key")
    assert drained(inbox) == items[-buffer:]
    assert inbox.dropped == max(0, len(items) - buffer)


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), st.integers())), st.integers(1, 8))
def test_conflate_keeps_the_newest_of_each_key(items: list[tuple[str, int]], buffer: int) -> None:
    """Against a model: a newer value takes the place of the older one, and too many keys push out the oldest."""
    inbox, model, dropped = open_inbox("conflate", buffer), OrderedDict[str, tuple[str, int]](), 0
    for item in items:
        inbox.put(item, item[0])
        if item[0] in model:
            dropped += 1
        elif len(model) >= buffer:
            model.popitem(last=False)
            dropped += 1
        model[item[0]] = item
    assert drained(inbox) == list(model.values())
    assert inbox.dropped == dropped


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers()), min_size=1))
def test_latest_keeps_one_value_whatever_its_key(items: list[tuple[str, int]]) -> None:
    """The newest alone."""
    inbox = open_inbox("latest", 3)
    for item in items:
        inbox.put(item, item[0])
    assert drained(inbox) == items[-1:]
    assert inbox.dropped == len(items) - 1


def test_an_event_is_kept_beside_values_and_in_its_place() -> None:
    """A value that came after a `Stale` is not taken before it, nor in its stead."""
    inbox = open_inbox("latest", 1)
    inbox.put(1)
    inbox.put(STALE)
    inbox.put(MISSED)
    inbox.put(2)
    assert drained(inbox) == [STALE, MISSED, 2]
    inbox.put(STALE)
    inbox.put(STALE)
    assert drained(inbox) == [STALE]


@pytest.mark.parametrize("policy", ["latest", "conflate", "all"])
def test_memory_is_bounded_by_events_too(policy: Any) -> None:
    """However often a stream dies while nobody takes anything."""
    inbox = open_inbox(policy, 4)
    for number in range(100):
        inbox.put(number, number)
        inbox.put(STALE)
    assert len(inbox) <= 6
    drained(inbox)
    inbox.put(7, 7)
    assert drained(inbox) == [7]


@pytest.mark.parametrize("buffer", [0, -1, True, 1.5, None])
def test_a_buffer_that_cannot_be_is_refused(buffer: Any) -> None:
    """Said at once."""
    with pytest.raises(UsageError, match="buffer was"):
        open_inbox("all", buffer)


def test_a_policy_that_there_is_not_is_refused() -> None:
    """The three are named."""
    with pytest.raises(UnknownName, match="latest"):
        open_inbox("newest", 1)  # type: ignore[arg-type]


async def test_each_of_many_who_wait_gets_one() -> None:
    """Of five who wait, three are served by three items, in the order in which they came."""
    inbox = open_inbox("all", 10)
    got: deque[int] = deque()

    async def take() -> None:
        await inbox.filled()
        got.append(inbox.pop())

    tasks = [asyncio.create_task(take()) for _ in range(5)]
    await asyncio.sleep(0)
    for number in range(3):
        inbox.put(number)
    await asyncio.sleep(0.01)
    assert list(got) == [0, 1, 2]
    inbox.end(Closed("over"))
    assert [type(one) for one in await asyncio.gather(*tasks, return_exceptions=True)].count(Closed) == 2


async def test_who_is_cancelled_hands_his_turn_on() -> None:
    """An item that woke a task which was cancelled at that moment is another's."""
    inbox = open_inbox("all", 10)

    async def take() -> Any:
        await inbox.filled()
        return inbox.pop()

    first, second = asyncio.create_task(take()), asyncio.create_task(take())
    await asyncio.sleep(0)
    inbox.put("item")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "item"
    third = asyncio.create_task(take())
    await asyncio.sleep(0)
    third.cancel()
    await asyncio.gather(third, return_exceptions=True)
    inbox.put("next")
    assert await asyncio.wait_for(take(), 1) == "next"


async def test_what_had_come_is_taken_before_the_error() -> None:
    """And the error each time after that; nothing is added any more, and the first end counts."""
    inbox = open_inbox("all", 10)
    inbox.put(1)
    inbox.end(Closed("over"))
    inbox.end(Closed("again"))
    inbox.put(2)
    await inbox.filled()
    assert drained(inbox) == [1]
    for _ in range(2):
        with pytest.raises(Closed, match="over"):
            await inbox.filled()


@pytest.mark.parametrize("policy", ["latest", "conflate", "all"])
async def test_who_has_left_is_given_nothing(policy: Any) -> None:
    """The end without an error drops what is there."""
    inbox = open_inbox(policy, 10)
    inbox.put(1)
    inbox.put(STALE)
    inbox.end()
    inbox.put(2)
    assert (len(inbox), inbox.is_ended, inbox.error) == (0, True, None)
    with pytest.raises(StopAsyncIteration):
        await inbox.filled()
