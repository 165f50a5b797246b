"""The budget of one process: what fits, who goes first, what is given back, threads and loops."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable
from typing import Any

import pytest
from budgets import account_line, charge, line, order, spend

import tradeutils as tu
from tradeutils.budget import Charge, Grant, Line, LocalBudget, Reading, Window, default_budget
from tradeutils.budget.base import margin
from tradeutils.budget.ledger import Count, Pool, calendar_age, units
from tradeutils.errors import Closed, RateLimited, UnknownName, UsageError


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "given",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": float("nan")},
        {"limit": float("inf")},
        {"limit": "5"},
        {"limit": True},
        {"seconds": 0},
        {"seconds": 1e9},
        {"name": ""},
        {"name": "a b"},
        {"name": 5},
    ],
)
def test_impossible_window_is_refused(given: dict[str, Any]) -> None:
    """A limit or length that is no positive number, or a unit without a name."""
    with pytest.raises(UsageError, match="of the window was"):
        Window(**{"name": "weight", "limit": 10, "seconds": 60, **given})


def test_unknown_scope_names_the_known_ones() -> None:
    """There are two."""
    with pytest.raises(UnknownName, match="did you mean account"):
        Window("orders", 100, 10, "acount")  # type: ignore[arg-type]


@pytest.mark.parametrize("cost", [-1, float("nan"), float("inf")])
def test_impossible_cost_is_refused(cost: float) -> None:
    """Nothing is given back by asking, and nothing costs everything."""
    with pytest.raises(UsageError, match="cost was"):
        line(cost)


@pytest.mark.parametrize("owner", ["", "a{b}", "a\nb"])
def test_owner_that_would_break_a_key_is_refused(owner: str) -> None:
    """Braces would move the keys of a pool to other nodes of a cluster."""
    with pytest.raises(UsageError, match="owner was"):
        Line(Window("weight", 10, 60), 1, owner)


def test_charge_names_each_window_once() -> None:
    """Two lines on one window would each fit where their sum does not."""
    with pytest.raises(UsageError, match="twice"):
        Charge("venue.spot", (line(1), line(2)))
    with pytest.raises(UsageError, match="pool was"):
        Charge("venue spot", ())


@pytest.mark.parametrize("windows", [[], [5], 5, "weight", [Window("w", 1, 1), Window("w", 2, 1)]])
def test_impossible_windows_of_the_user_are_refused(windows: Any) -> None:
    """None at all, what is no window, and one unit twice."""
    with pytest.raises(UsageError, match=r"windows (held|named|was)"):
        LocalBudget(windows)


def test_windows_of_the_user_are_kept_for_who_charges() -> None:
    """A single one may be written without a list."""
    window = tu.Window("weight", limit=10, seconds=60)
    assert LocalBudget(window).windows == (window,)  # type: ignore[arg-type]
    assert LocalBudget([window]).windows == (window,)
    assert LocalBudget().windows is None
    assert "weight" in repr(LocalBudget([window]))


@pytest.mark.parametrize(("seconds", "expected"), [(60, 0.5), (10, 0.2), (1, 0.02), (86_400, 0.5)])
def test_margin_is_small_beside_its_window(seconds: float, expected: float) -> None:
    """Half a second at most, and a fiftieth of short windows."""
    assert margin(Window("weight", 1, seconds)) == pytest.approx(expected)


@pytest.mark.parametrize(("cost", "expected"), [(0.1, 100_000), (1 / 3, 333_334), (2, 2_000_000), (0, 0)])
def test_costs_are_counted_in_whole_millionths(cost: float, expected: int) -> None:
    """Rounded up, but not for the error of the binary form."""
    assert units(cost) == expected


async def test_fractions_fill_a_window_exactly() -> None:
    """Ten times 0.1 is 1: the last fits, one more does not."""
    budget = LocalBudget()
    for _ in range(10):
        await spend(budget, charge(0.1, limit=1))
    with pytest.raises(RateLimited, match=r"venue.spot: no room for 0.1 weight within 0 s"):
        await spend(budget, charge(0.1, limit=1))


async def test_charge_expires_after_window_and_margin() -> None:
    """Not before the venue has stopped counting, and at most one part of the window later."""
    clock = Clock()
    budget = LocalBudget(clock=clock)
    await spend(budget, charge(10, seconds=60))
    clock.now += 60.5
    with pytest.raises(RateLimited) as refused:
        await spend(budget, charge(1, seconds=60))
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= 0.25
    clock.now += 0.25
    await spend(budget, charge(10, seconds=60))


async def test_request_that_took_long_counts_from_its_end() -> None:
    """The venue may have counted it as late as that."""
    clock = Clock()
    budget = LocalBudget(clock=clock)
    async with await budget.acquire(charge(10)):
        clock.now += 20
    clock.now += 41
    with pytest.raises(RateLimited):
        await spend(budget, charge(1))
    clock.now += 20
    await spend(budget, charge(10))


async def test_request_under_way_does_not_expire() -> None:
    """It is carried along until it ends, or has been forgotten for two minutes."""
    clock = Clock()
    budget = LocalBudget(clock=clock)
    flying = await budget.acquire(charge(10, seconds=1))
    for _ in range(100):
        clock.now += 0.3
        with pytest.raises(RateLimited):
            await spend(budget, charge(1, seconds=1))
    flying.settle()
    flying.settle()
    clock.now += 1.1
    forgotten = await budget.acquire(charge(10, seconds=1), timeout=0)
    for _ in range(500):
        clock.now += 0.3
        try:
            await spend(budget, charge(1, seconds=1))
        except RateLimited:
            continue
        break
    else:
        pytest.fail("what was forgotten is held for ever")
    await forgotten.give_back()


async def test_what_was_not_sent_is_given_back_once() -> None:
    """A second time, and after the reply, it changes nothing."""
    budget = LocalBudget()
    grant = await budget.acquire(charge(10))
    await grant.give_back()
    await grant.give_back()
    assert (await budget.usage())[0].windows[0].used == 0
    used = await budget.acquire(charge(10))
    used.settle()
    await used.give_back()
    assert (await budget.usage())[0].windows[0].used == 10


async def test_orders_use_the_reserve_while_somebody_trades() -> None:
    """A twentieth is left to them for ten minutes, and to data after that."""
    clock = Clock()
    budget = LocalBudget(clock=clock)
    await spend(budget, Charge("venue.spot", (line(95, 100),), trading=True))
    with pytest.raises(RateLimited):
        await spend(budget, charge(1, 100))
    await spend(budget, order(5, 100))
    clock.now += 599
    await spend(budget, charge(95, 100))
    with pytest.raises(RateLimited):
        await spend(budget, charge(1, 100))
    clock.now += 2
    await spend(budget, charge(5, 100))


async def test_request_dearer_than_the_reserve_leaves_goes_into_an_empty_window() -> None:
    """It would wait for ever otherwise."""
    budget = LocalBudget()
    await spend(budget, Charge("venue.spot", (line(100, 100),), trading=True))


async def test_threads_and_loops_share_one_budget() -> None:
    """Four loops in four threads, and this one: together they get what is there and no more."""
    budget = LocalBudget()
    granted: list[int] = []

    async def take() -> None:
        for _ in range(50):
            try:
                await spend(budget, charge(1, 100))
            except RateLimited:
                return
            granted.append(1)

    threads = [threading.Thread(target=lambda: asyncio.run(take())) for _ in range(4)]
    for thread in threads:
        thread.start()
    await take()
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert len(granted) == 100


async def test_waiter_in_another_loop_is_woken() -> None:
    """What is given back here lets the next go on there."""
    budget = LocalBudget()
    grant = await budget.acquire(charge(10))
    other = threading.Thread(target=lambda: asyncio.run(_acquired(budget.acquire(charge(10)))))
    other.start()
    while not (await budget.usage())[0].waiters:  # noqa: ASYNC110  # it waits in another loop
        await asyncio.sleep(0.001)
    await grant.give_back()
    await asyncio.to_thread(other.join, 10)
    assert not other.is_alive()


async def _acquired(waiting: Awaitable[Grant]) -> None:
    await waiting


async def test_loop_that_was_closed_with_a_waiter_holds_nobody_up() -> None:
    """It is passed over: it will never answer."""
    budget = LocalBudget()
    grant = await budget.acquire(charge(10))

    def abandon() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(_acquired(budget.acquire(charge(10))))
        loop.run_until_complete(asyncio.sleep(0.01))
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()

    await asyncio.to_thread(abandon)
    waiting = asyncio.create_task(budget.acquire(charge(10)))
    await asyncio.sleep(0.01)
    await grant.give_back()
    async with asyncio.timeout(5):
        await waiting
    gc.collect()


async def test_closing_sends_waiters_away() -> None:
    """They get `Closed`, and so does who comes later."""
    budget = LocalBudget()
    await budget.acquire(charge(10))
    waiting = [asyncio.create_task(budget.acquire(charge(10))) for _ in range(3)]
    await asyncio.sleep(0.01)
    await budget.aclose()
    assert {type(e) for e in await asyncio.gather(*waiting, return_exceptions=True)} == {Closed}
    with pytest.raises(Closed):
        await budget.acquire(charge(1))


async def test_default_without_redis_is_one_budget() -> None:
    """Two would spend twice; closing it leaves it to the others."""
    first, second = default_budget(), default_budget(tu.Cache())
    assert first is second
    await first.aclose()
    await second.acquire(Charge("nobody.else", ()), timeout=0)


@pytest.mark.parametrize(
    ("at", "now", "span", "used", "expected"),
    [
        (630.0, 630.2, "fixed", 5, 30.2),
        (630.0, 630.2, "sliding", 5, 0.0),
        (600.3, 600.4, "fixed", 5, -1.0),  # may speak of the window before
        (659.9, 660.1, "fixed", 5, -1.0),  # its window is over
        (500.0, 630.0, "sliding", 5, -1.0),
        (631.0, 630.0, "sliding", 5, -1.0),  # from the future
        (630.0, 630.2, "sliding", float("nan"), -1.0),
        (630.0, 630.2, "sliding", -1, -1.0),
        (630.0, 630.2, "sliding", float("inf"), -1.0),
    ],
)
def test_reading_is_placed_where_its_window_began(
    at: float, now: float, span: Any, used: float, expected: float
) -> None:
    """And left alone where that is not certain."""
    reading = Reading("venue.spot", Window("weight", 10, 60), "venue.spot", used, at, span)
    assert calendar_age(reading, now) == pytest.approx(expected)


def test_count_keeps_what_comes_out_of_order() -> None:
    """A reading is placed in the past, among what was spent since."""
    count = Count(line(1, seconds=240))  # parts of one second
    for at in (100.5, 105.5, 102.5, 102.9, 101.5, 105.6, 100.2):
        count.add(at, 10)
    assert count.recent() == [(101.0, 20), (102.0, 10), (103.0, 20), (106.0, 20)]
    count.remove(102.7, 15)
    count.remove(104.5, 15)
    count.remove(50.0, 15)
    assert (count.total, count.recent()[2]) == (55, (103.0, 5))
    count.expire(101.0 + count.keep)
    assert count.total == 35
    assert count.wait(200.0, 1) == pytest.approx(102.0 + count.keep - 200.0)
    assert count.wait(200.0, 10**9) == pytest.approx(106.0 + count.keep - 200.0)


def test_pool_forgets_windows_of_which_nothing_is_spent() -> None:
    """Accounts come and go."""
    pool = Pool("venue.spot")
    for i in range(10):
        pool.ask(Charge("venue.spot", (account_line(1, f"venue.spot:{i}"),)), 1000.0 + i)
    pool.forget(1016.0)
    assert len(pool.counts) == 4


async def test_acquire_takes_no_turn_of_the_loop_where_it_fits() -> None:
    """A loop that is busy elsewhere does not delay it."""
    budget = LocalBudget()
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    for _ in range(5):
        async with await budget.acquire(charge(1)):
            pass
    assert turns == []


def test_repeated_use_leaves_nothing_behind() -> None:
    """No lane, ticket or flight outlives its request."""
    budget = LocalBudget()

    async def use() -> None:
        grant = await budget.acquire(charge(10, seconds=0.05))
        waiting = [asyncio.create_task(budget.acquire(charge(5, seconds=0.05))) for _ in range(6)]
        await asyncio.sleep(0)
        waiting[3].cancel()
        grant.settle()
        for done in await asyncio.gather(*waiting, return_exceptions=True):
            if not isinstance(done, BaseException):
                done.settle()

    asyncio.run(use())
    place = budget._places["venue.spot"]
    assert (place.lanes, place.flights) == ({}, {})


async def test_nonces_rise_with_the_clock_and_within_it() -> None:
    """Strictly, from any thread."""
    budget = LocalBudget()
    began = time.time_ns() // 1000
    numbers = [await budget.nonce("key") for _ in range(1000)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] >= began
