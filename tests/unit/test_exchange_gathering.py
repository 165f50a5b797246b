"""Calls at once: all or none, and one for all who ask the same."""

from __future__ import annotations

import asyncio

import pytest

from tradeutils import errors
from tradeutils.exchange.gathering import Flights, all_or_first_error


async def test_a_failure_ends_the_other_calls_before_it_is_raised() -> None:
    """Nothing is left running, and the error is the first one's own."""
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("slow")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        await all_or_first_error([slow(), failing()])
    assert ended == ["slow"]


async def test_who_asks_for_the_same_waits_for_one_call() -> None:
    """Other keys are other calls; once it is answered the next asks anew."""
    flights, calls = Flights(), []

    async def fetch() -> int:
        calls.append(1)
        await asyncio.sleep(0.01)
        return len(calls)

    assert await asyncio.gather(*(flights.join("a", fetch) for _ in range(5)), flights.join("b", fetch)) == [2] * 6
    assert len(calls) == 2
    assert await flights.join("a", fetch) == 3


async def test_the_last_who_gives_up_takes_the_call_along() -> None:
    """It is over by then, and who asks afterwards has a new one."""
    flights, ended = Flights(), []

    async def fetch() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    tasks = [asyncio.create_task(flights.join("a", fetch)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    assert not ended
    tasks[1].cancel()
    await asyncio.wait(tasks[1:])
    assert ended == [1]

    async def quick() -> str:
        return "new"

    assert await flights.join("a", quick) == "new"


async def test_a_failure_reaches_all_who_wait_and_is_forgotten() -> None:
    """The error is the same for all; the next call succeeds."""
    flights = Flights()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("down")

    outcomes = await asyncio.gather(*(flights.join("a", fail) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [KeyError] * 3

    async def work() -> str:
        return "up"

    assert await flights.join("a", work) == "up"


async def test_a_call_on_another_loop_is_not_waited_for() -> None:
    """A future belongs to its loop: there a call of its own is made, which says what is wrong with that."""
    flights = Flights()
    begun, go = asyncio.Event(), asyncio.Event()

    async def here() -> str:
        begun.set()
        await go.wait()
        return "here"

    async def there() -> str:
        return "there"

    task = asyncio.create_task(flights.join("a", here))
    await begun.wait()
    assert await asyncio.to_thread(lambda: asyncio.run(flights.join("a", there))) == "there"
    go.set()
    assert await task == "here"


async def test_a_cancellation_while_the_rest_is_ended_is_not_lost() -> None:
    """Ctrl-C may come while calls that failed already are being cancelled."""
    ending = asyncio.Event()

    async def slow_to_end() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ending.set()
            await asyncio.sleep(60)

    async def fails() -> None:
        await asyncio.sleep(0)
        raise errors.BadReply("no")

    whole = asyncio.create_task(all_or_first_error([slow_to_end(), fails()]))
    await ending.wait()
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
