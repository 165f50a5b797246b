"""Laws of the local budget, in virtual time: whatever is asked, cancelled and delayed, no window is ever overfilled."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from budgets import POOL, account_line, line
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.budget import Charge, LocalBudget

LIMIT, SECONDS = 10.0, 60.0
ACCOUNT_LIMIT, ACCOUNT_SECONDS = 5.0, 10.0


class _Leap(selectors.DefaultSelector):
    """Waits for nothing: time leaps to the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout:
            self.now += timeout
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """An event loop in which an hour takes no time."""

    def __init__(self) -> None:
        self.leap = _Leap()
        super().__init__(self.leap)

    def time(self) -> float:
        return self.leap.now


@dataclass(frozen=True)
class Ask:
    """One request: when it is asked for, what it costs, how long it takes and when the venue counts it."""

    after: float
    cost: float
    urgent: bool
    account: int | None
    takes: float
    counted: float
    cancelled_after: float | None
    unsent: bool


@dataclass
class Seen:
    """What the venue counted."""

    weight: list[tuple[float, float]] = field(default_factory=list)
    orders: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    granted: int = 0


ASKS = st.builds(
    Ask,
    after=st.floats(0, 30),
    cost=st.one_of(st.integers(0, 10).map(float), st.floats(0, 10)),
    urgent=st.booleans(),
    account=st.one_of(st.none(), st.integers(0, 1)),
    takes=st.one_of(st.floats(0, 0.5), st.floats(0, 115)),  # forgotten after 120 s
    counted=st.floats(0, 1),
    cancelled_after=st.one_of(st.none(), st.none(), st.floats(0, 100)),
    unsent=st.booleans(),
)


async def send(budget: LocalBudget, ask: Ask, seen: Seen) -> None:
    """Ask, and be counted by the venue at some moment between leaving and the answer."""
    loop = asyncio.get_running_loop()
    lines = [line(ask.cost, LIMIT, SECONDS)]
    if ask.account is not None:
        lines.append(account_line(1, f"{POOL}:{ask.account}", ACCOUNT_LIMIT, ACCOUNT_SECONDS))
    await asyncio.sleep(ask.after)
    grant = await budget.acquire(Charge(POOL, tuple(lines), urgent=ask.urgent))
    seen.granted += 1
    if ask.unsent:
        await grant.give_back()
        return
    async with grant:
        await asyncio.sleep(ask.takes * ask.counted)
        seen.weight.append((loop.time(), ask.cost))
        if ask.account is not None:
            seen.orders.setdefault(ask.account, []).append((loop.time(), 1.0))
        await asyncio.sleep(ask.takes * (1 - ask.counted))


async def everything(asks: list[Ask], seen: Seen) -> tuple[int, LocalBudget]:
    """Send all and return how many were cancelled while they waited."""
    loop = asyncio.get_running_loop()
    budget = LocalBudget(clock=loop.time)
    tasks = [loop.create_task(send(budget, ask, seen)) for ask in asks]
    for ask, task in zip(asks, tasks, strict=True):
        if ask.cancelled_after is not None:
            loop.call_later(ask.cancelled_after, task.cancel)
    done = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [error for error in done if isinstance(error, Exception)]
    assert failures == []
    return sum(isinstance(error, asyncio.CancelledError) for error in done), budget


def most(events: Iterable[tuple[float, float]], seconds: float) -> float:
    """Return the most that was counted in any window of so many seconds."""
    ordered = sorted(events)
    return max(
        (sum(cost for at, cost in ordered if begin <= at < begin + seconds) for begin, _ in ordered), default=0.0
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(ASKS, min_size=1, max_size=40))
def test_no_window_is_overfilled_and_nobody_waits_for_ever(asks: list[Ask]) -> None:
    """Whenever between leaving and answer a request is counted; and all that are not cancelled are granted."""
    seen = Seen()
    with asyncio.Runner(loop_factory=Loop) as runner:
        cancelled, budget = runner.run(everything(asks, seen))
        assert most(seen.weight, SECONDS) <= LIMIT + 1e-6
        for events in seen.orders.values():
            assert most(events, ACCOUNT_SECONDS) <= ACCOUNT_LIMIT
        assert seen.granted >= len(asks) - cancelled
        assert all(place.lanes == {} for place in budget._places.values())
        # Hours later all is free again: nothing leaked.
        runner.get_loop().leap.now += 1000  # type: ignore[attr-defined]
        assert all(window.used == 0 for pool in runner.run(budget.usage()) for window in pool.windows)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.1, 5), min_size=20, max_size=60))
def test_what_is_there_is_used(costs: list[float]) -> None:
    """A greedy queue is through about as soon as the windows allow: less than 3 % is lost, and rounding to requests."""

    async def greedy() -> float:
        loop = asyncio.get_running_loop()
        budget = LocalBudget(clock=loop.time)

        async def one(cost: float) -> None:
            async with await budget.acquire(Charge(POOL, (line(cost, LIMIT, SECONDS),))):
                pass

        await asyncio.gather(*(one(cost) for cost in costs))
        return loop.time()

    with asyncio.Runner(loop_factory=Loop) as runner:
        took = runner.run(greedy())
    windows, filled = 0, 0.0
    for cost in costs:  # what the windows allow where all that fits leaves at once
        if filled + cost > LIMIT:
            windows, filled = windows + 1, 0.0
        filled += cost
    assert took <= windows * SECONDS * 1.03
