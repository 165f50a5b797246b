"""What every budget promises, whoever shares it: the same tests over each kind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from budgets import POOL, account_line, charge, line, order, spend
from fleets import _cluster_session, cluster  # noqa: F401  # fixtures
from servers import ValkeyServer

from tradeutils.budget import Budget, Charge, LocalBudget, Reading, RedisBudget, Window
from tradeutils.errors import Closed, RateLimited, UsageError

Open = Callable[[], Budget]


@pytest.fixture(params=["local", "redis", "unix", "cluster"])
async def open_budget(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Return a function that opens the budget once more, as another user of the same windows."""
    async with AsyncExitStack() as opened:
        if request.param == "local":
            shared = LocalBudget()
            opened.push_async_callback(shared.aclose)
            yield lambda: shared
            return
        if request.param == "cluster":
            url, nodes = request.getfixturevalue("cluster").url, request.getfixturevalue("cluster").nodes
        else:
            server: ValkeyServer = request.getfixturevalue("valkey")
            url, nodes = server.url if request.param == "redis" else server.unix_url, [server]
        for node in nodes:
            with node.client() as client:
                while client.info("server")["uptime_in_seconds"] < 2:  # noqa: ASYNC110  # one just started is held
                    await asyncio.sleep(0.05)

        def open_one() -> Budget:
            budget = RedisBudget(url)
            budget._server.link.timeout = 5.0  # a busy machine is no outage; those are tested with the faults
            opened.push_async_callback(budget.aclose)
            return budget

        yield open_one


@pytest.fixture
def budget(open_budget: Open) -> Budget:
    """Return a budget of which nothing is spent."""
    return open_budget()


async def waiting_for(budget: Budget, count: int) -> None:
    """Wait until so many stand in the queue."""
    async with asyncio.timeout(10):
        while (await budget.usage())[0].waiters < count:  # noqa: ASYNC110  # it may be counted by a server
            await asyncio.sleep(0.005)


async def used(budget: Budget) -> dict[str, float]:
    """Return what is spent, by unit."""
    return {window.window.name: window.used for pool in await budget.usage() for window in pool.windows}


async def test_window_is_filled_and_not_overfilled(budget: Budget) -> None:
    """Ten units of ten, and then none, told at once and with the time it will take."""
    for cost in (4, 5, 1):
        await spend(budget, charge(cost))
    began = time.monotonic()
    with pytest.raises(RateLimited, match=r"no room for 1 weight within 30 s") as refused:
        await budget.acquire(charge(1), timeout=30)
    assert time.monotonic() - began < 5
    assert refused.value.retry_after == pytest.approx(60.6, abs=1)
    assert refused.value.venue == POOL


async def test_users_share_the_windows(open_budget: Open) -> None:
    """What one has spent the other cannot."""
    first, second = open_budget(), open_budget()
    await spend(first, charge(7))
    with pytest.raises(RateLimited):
        await spend(second, charge(4))
    await spend(second, charge(3))


async def test_room_is_waited_for(budget: Budget) -> None:
    """A charge that does not fit now fits when the window has passed, margin included, and soon after."""
    await spend(budget, charge(10, seconds=0.5))
    began = time.monotonic()
    await spend(budget, charge(10, seconds=0.5), timeout=5)
    assert time.monotonic() - began >= 0.5


async def test_all_windows_are_charged_or_none(budget: Budget) -> None:
    """A charge that one window refuses costs the others nothing."""
    both = Charge(POOL, (line(1), line(1, limit=1, name="requests")))
    await spend(budget, both)
    with pytest.raises(RateLimited):
        await spend(budget, both)
    assert await used(budget) == {"weight": 1, "requests": 1}
    await spend(budget, charge(9))


async def test_charge_without_lines_passes_the_gate_alone(budget: Budget) -> None:
    """It costs nothing and waits for bans."""
    await spend(budget, Charge(POOL, ()))
    await budget.ban(POOL, 60, "418")
    with pytest.raises(RateLimited, match=r"banned \(418\) within 0 s"):
        await spend(budget, Charge(POOL, ()))


async def test_line_that_costs_nothing_is_charged_nothing(budget: Budget) -> None:
    """Also where its window is full."""
    await spend(budget, charge(10))
    await spend(budget, charge(0))


async def test_cost_above_a_whole_window_is_refused(budget: Budget) -> None:
    """It would wait for ever."""
    with pytest.raises(UsageError, match=r"cost was 11 weight; venue.spot has 10 in 60 s"):
        await budget.acquire(charge(11))
    with pytest.raises(UsageError, match="cost was 11"):
        await budget.acquire(order(11))


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1"])
async def test_impossible_timeout_is_refused(budget: Budget, timeout: float) -> None:  # noqa: ASYNC109
    """Seconds, 0 or more; told also where the caller must wait."""
    await spend(budget, charge(10))
    with pytest.raises(UsageError, match="timeout was"):
        await budget.acquire(charge(1), timeout=timeout)


async def test_waiters_are_served_in_order(budget: Budget) -> None:
    """A small request does not overtake a large one that came before."""
    await spend(budget, charge(10, seconds=0.4))
    served: list[int] = []

    async def wait(number: int, cost: float) -> None:
        await spend(budget, charge(cost, seconds=0.4), timeout=10)
        served.append(number)

    async with asyncio.TaskGroup() as group:
        for number, cost in enumerate((8, 1, 5, 1, 1)):
            group.create_task(wait(number, cost))
            await asyncio.sleep(0.01)
    assert served == [0, 1, 2, 3, 4]


async def test_order_goes_before_data_that_waits(budget: Budget) -> None:
    """Five hundred queued requests do not hold it up: the reserve is there for it."""
    await spend(budget, Charge(POOL, (line(95, 100),), trading=True))
    queued = [asyncio.create_task(budget.acquire(charge(1, 100))) for _ in range(500)]
    await waiting_for(budget, 1)
    async with asyncio.timeout(5):
        await spend(budget, order(1, 100), timeout=None)
    assert not any(task.done() for task in queued)
    for task in queued:
        task.cancel()
    await asyncio.gather(*queued, return_exceptions=True)


async def test_order_takes_the_first_room_there_is(budget: Budget) -> None:
    """Where even the reserve is spent, it stands before data that came earlier."""
    await spend(budget, order(10, seconds=0.5))
    served: list[str] = []

    async def wait(name: str, asked: Charge) -> None:
        await spend(budget, asked, timeout=10)
        served.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(wait("data", charge(9, seconds=0.5)))
        await waiting_for(budget, 1)
        group.create_task(wait("order", order(6, seconds=0.5)))
    assert served == ["order", "data"]


async def test_full_account_holds_up_no_other(budget: Budget) -> None:
    """Data of another account, and of none, goes on."""
    full, other = f"{POOL}:1", f"{POOL}:2"
    await spend(budget, Charge(POOL, (line(1), account_line(10, full))))
    stuck = asyncio.create_task(budget.acquire(Charge(POOL, (line(1), account_line(1, full)))))
    await waiting_for(budget, 1)
    await spend(budget, Charge(POOL, (line(1), account_line(10, other))))
    await spend(budget, charge(1))
    assert not stuck.done()
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)


async def test_cancelled_waiter_has_spent_nothing(budget: Budget) -> None:
    """Whether it was first in the queue or not; those behind go on."""
    await spend(budget, charge(10, seconds=0.5))
    waiting = [asyncio.create_task(budget.acquire(charge(5, seconds=0.5))) for _ in range(5)]
    await waiting_for(budget, 1)
    for i in (0, 2, 3):
        waiting[i].cancel()
    async with asyncio.timeout(10):
        done = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in done] == [True, False, True, True, False]
    assert await used(budget) == {"weight": 10}


async def test_cancellation_at_any_moment_leaks_nothing(budget: Budget) -> None:
    """Of a thousand requests that are abandoned after so many turns of the loop, none stays charged."""
    for turns in range(40):
        asked = [asyncio.create_task(budget.acquire(charge(1, 1000))) for _ in range(10)]
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        for task in asked:
            task.cancel()
        for grant in await asyncio.gather(*asked, return_exceptions=True):
            if not isinstance(grant, BaseException):
                await grant.give_back()
    async with asyncio.timeout(10):
        while (await used(budget)).get("weight", 0) > 0:  # noqa: ASYNC110  # the server is told in its turn
            await asyncio.sleep(0.005)


async def test_what_is_given_back_can_be_had(budget: Budget) -> None:
    """At once by who asks, and within a second and a bit by who waits."""
    grant = await budget.acquire(charge(10))
    await grant.give_back()
    grant = await budget.acquire(charge(10), timeout=0)
    waiting = asyncio.create_task(budget.acquire(charge(10)))
    await waiting_for(budget, 1)
    await grant.give_back()
    async with asyncio.timeout(10):
        await waiting


async def test_timeout_while_waiting_behind_another(budget: Budget) -> None:
    """Who is not first cannot know how long it takes, and is told when its time is over."""
    await spend(budget, charge(10))
    first = asyncio.create_task(budget.acquire(charge(1)))
    await waiting_for(budget, 1)
    with pytest.raises(RateLimited):
        await budget.acquire(charge(1), timeout=0.05)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_ban_closes_the_gate_for_all_until_its_end(open_budget: Open) -> None:
    """For orders too; and those who wait go on when it is over."""
    first, second = open_budget(), open_budget()
    await spend(first, charge(1))
    await spend(second, charge(1))
    began = time.monotonic()
    await first.ban(POOL, 0.6, "429: slow down")
    with pytest.raises(RateLimited, match="429: slow down") as refused:
        await spend(second, order(1))
    assert refused.value.retry_after == pytest.approx(0.6, abs=0.3)
    usage = (await second.usage())[0]
    assert 0 < usage.banned_for <= 0.6
    assert usage.ban_reason == "429: slow down"
    async with asyncio.TaskGroup() as group:
        for budget in (first, second):
            group.create_task(spend(budget, charge(1), timeout=10))
            group.create_task(spend(budget, order(1), timeout=10))
    assert time.monotonic() - began >= 0.6
    assert (await second.usage())[0].banned_for == 0


async def test_of_several_bans_the_last_to_end_wins(open_budget: Open) -> None:
    """A shorter one does not open the gate."""
    first, second = open_budget(), open_budget()
    await first.ban(POOL, 50, "418")
    await second.ban(POOL, 5, "429")
    with pytest.raises(RateLimited, match="418") as refused:
        await spend(second, charge(1))
    assert refused.value.retry_after == pytest.approx(50, abs=2)


async def test_ban_of_one_pool_leaves_the_others_open(budget: Budget) -> None:
    """Each host of a venue bans for itself."""
    await budget.ban("venue.futures", 60, "418")
    await spend(budget, charge(1))


def reading(amount: float, span: str = "sliding", seconds: float = 60) -> Reading:
    """Return what the venue says to have counted."""
    return Reading(POOL, Window("weight", 10, seconds), POOL, amount, time.time(), span)  # type: ignore[arg-type]


async def test_venues_count_corrects_upward(open_budget: Open) -> None:
    """What others have spent is no longer there for us."""
    first, second = open_budget(), open_budget()
    await spend(first, charge(2))
    await first.observe([reading(9)])
    with pytest.raises(RateLimited):
        await spend(second, charge(2))
    await spend(second, charge(1))


async def test_venues_count_never_corrects_downward(budget: Budget) -> None:
    """Requests may be on their way to it."""
    await spend(budget, charge(8))
    await budget.observe([reading(1)])
    with pytest.raises(RateLimited):
        await spend(budget, charge(3))


async def test_count_of_a_calendar_window_ends_with_it(budget: Budget) -> None:
    """What others spent since the last full second is free after the next, and the margin."""
    await asyncio.sleep(1 - time.time() % 1 + 0.3)
    await budget.observe([reading(10, "fixed", 1)])
    with pytest.raises(RateLimited) as refused:
        await spend(budget, charge(1, seconds=1))
    assert refused.value.retry_after is not None
    assert refused.value.retry_after < 0.75


async def test_absurd_count_fills_the_window_and_no_more(budget: Budget) -> None:
    """A header may say anything."""
    await budget.observe([reading(1e300)])
    assert await used(budget) == {"weight": 10}


async def test_absurd_bans_are_cut_or_refused(budget: Budget) -> None:
    """A week at most; and no time before now."""
    await budget.ban(POOL, float("inf"), "for ever")
    assert (await budget.usage())[0].banned_for <= 7 * 86_400
    for seconds in (float("nan"), -1.0):
        with pytest.raises(UsageError, match="seconds of the ban"):
            await budget.ban(POOL, seconds, "")


async def test_readings_that_say_nothing_are_left_alone(budget: Budget) -> None:
    """Too old, or no number."""
    await spend(budget, charge(1))
    old = Reading(POOL, Window("weight", 10, 60), POOL, 9, time.time() - 100)
    await budget.observe([old, reading(float("nan")), reading(-1)])
    assert await used(budget) == {"weight": 1}


async def test_nonces_rise_whoever_asks(open_budget: Open) -> None:
    """Strictly, for each key, and never below the time in microseconds."""
    first, second = open_budget(), open_budget()
    began = time.time_ns() // 1000
    numbers = [await budget.nonce("key") for _ in range(50) for budget in (first, second)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] >= began - 1_000_000
    together = await asyncio.gather(*(budget.nonce("key") for _ in range(50) for budget in (first, second)))
    assert len(set(together)) == 100
    assert min(together) > numbers[-1]


async def test_usage_tells_what_is_spent(budget: Budget) -> None:
    """By pool and window, sorted."""
    await spend(budget, Charge("venue.futures", (line(3),)))
    await spend(budget, Charge(POOL, (line(2.5), line(1, name="requests"))))
    pools = await budget.usage()
    assert [pool.pool for pool in pools] == ["venue.futures", POOL]
    assert [(each.window.name, each.window.limit, each.used) for each in pools[1].windows] == [
        ("requests", 10, 1),
        ("weight", 10, 2.5),
    ]
    assert (pools[1].members, pools[1].waiters, pools[1].banned_for) == (1, 0, 0)


async def test_closed_budget_grants_nothing(open_budget: Open) -> None:
    """Nor to those who waited when it was closed."""
    budget = open_budget()
    await spend(budget, charge(10))
    waiting = [asyncio.create_task(budget.acquire(asked)) for asked in (charge(1), charge(1), order(1))]
    await waiting_for(budget, 2)
    await budget.aclose()
    await budget.aclose()
    assert {type(error) for error in await asyncio.gather(*waiting, return_exceptions=True)} == {Closed}
    with pytest.raises(Closed):
        await budget.acquire(charge(1))


async def test_more_orders_than_a_window_holds_leave_in_the_order_they_came(budget: Budget) -> None:
    """As fast as the window allows; they do not wait for one another for ever."""
    sent: list[int] = []

    async def send(number: int) -> None:
        await spend(budget, order(1, 5, seconds=0.5), timeout=None)
        sent.append(number)

    async with asyncio.timeout(20):
        await asyncio.gather(*(send(number) for number in range(30)))
    # Those that ask together are woken together: a few may change places among themselves, none is passed by for long.
    assert all(abs(place - number) < 16 for place, number in enumerate(sent))


async def test_cancel_does_not_stand_behind_orders_of_another_window(budget: Budget) -> None:
    """Each kind of order waits for its own windows alone."""
    orders = Charge(POOL, (account_line(10, f"{POOL}:me"),), urgent=True)
    cancel = Charge(POOL, (line(1),), urgent=True)
    await spend(budget, orders, timeout=5)
    waiting = [asyncio.create_task(budget.acquire(orders)) for _ in range(20)]
    await waiting_for(budget, 1)
    await spend(budget, cancel, timeout=5)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("turns", range(5))
async def test_timeout_holds_while_the_queue_moves_on(budget: Budget, turns: int) -> None:
    """Also for who comes in the very turn in which the head of the queue leaves it."""
    await spend(budget, charge(10), timeout=5)
    waiting = [asyncio.create_task(budget.acquire(charge(10))) for _ in range(3)]
    await waiting_for(budget, 1)
    waiting[0].cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        with pytest.raises(RateLimited):
            await budget.acquire(charge(1), timeout=0.05)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_hostile_reason_of_a_ban_is_made_printable(budget: Budget) -> None:
    """A venue may write anything: lone surrogates, commands to a terminal, megabytes."""
    await budget.ban(POOL, 0.1, "\ud800 \x1b[2J" + "x" * 1_000_000)
    [pool] = await budget.usage()
    assert pool.ban_reason.isprintable()
    assert len(pool.ban_reason) <= 200
    await spend(budget, charge(1), timeout=5)
