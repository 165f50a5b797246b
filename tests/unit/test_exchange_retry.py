"""What is made again, how often, and until when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tradeutils import errors
from tradeutils.exchange.requests.retry import Patience, again, poll

TRANSIENT = [
    errors.TransientVenueError("x"),
    errors.VenueTimeout("x"),
    errors.VenueUnavailable("x"),
    errors.ClockSkew("x"),
    errors.BadReply("x"),
    errors.RateLimited("x", retry_after=0.0),
]
FINAL = [
    errors.PermanentVenueError("x"),
    errors.RequestRefused("x"),
    errors.AuthenticationFailed("x"),
    errors.OrderNotFound("x"),
    errors.OrderUnknown("x", client_id="a"),
    errors.UsageError("x"),
    errors.Closed("x"),
    ZeroDivisionError("x"),
]


def _failing(*failures: BaseException) -> tuple[list[int], Callable[[], Awaitable[str]]]:
    left, calls = list(failures), [0]

    async def attempt() -> str:
        calls[0] += 1
        if left:
            raise left.pop(0)
        return "done"

    return calls, attempt


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
async def test_what_may_pass_is_made_again(error: Exception) -> None:
    """The class alone decides."""
    calls, attempt = _failing(error, error)
    assert await again(attempt, Patience(retries=2)) == "done"
    assert calls == [3]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
async def test_what_will_fail_again_is_made_once(error: Exception) -> None:
    """A refusal repeated only spends the budget."""
    calls, attempt = _failing(error)
    with pytest.raises(type(error)) as caught:
        await again(attempt, Patience(retries=5))
    assert caught.value is error
    assert calls == [1]


async def test_a_later_failure_for_good_ends_it_too() -> None:
    """After a timeout the venue says no: that is the answer."""
    calls, attempt = _failing(errors.VenueTimeout("first"), errors.RequestRefused("then"))
    with pytest.raises(errors.RequestRefused):
        await again(attempt, Patience(retries=5))
    assert calls == [2]


async def test_the_last_error_is_raised_as_it_is() -> None:
    """The caller sees the venue's error, not the machinery's."""
    calls, attempt = _failing(*(errors.VenueUnavailable(f"{n}") for n in range(9)))
    with pytest.raises(errors.VenueUnavailable, match="2"):
        await again(attempt, Patience(retries=2))
    assert calls == [3]
    calls, attempt = _failing(errors.VenueUnavailable("x"))
    with pytest.raises(errors.VenueUnavailable):
        await again(attempt, Patience(retries=0))
    assert calls == [1]


async def test_a_wait_that_outlasts_the_deadline_is_not_begun() -> None:
    """A ban of an hour is told at once; one of some milliseconds is waited for."""
    banned = errors.RateLimited("x", retry_after=3600.0)
    calls, attempt = _failing(banned)
    with pytest.raises(errors.RateLimited) as caught:
        await again(attempt, Patience(retries=5, deadline=10.0))
    assert caught.value is banned
    assert calls == [1]
    calls, attempt = _failing(errors.RateLimited("x", retry_after=0.01))
    assert await again(attempt, Patience(retries=5, deadline=10.0)) == "done"


async def test_cancelling_who_waits_ends_the_waiting() -> None:
    """Neither swallowed nor made again."""
    calls, attempt = _failing(errors.RateLimited("x", retry_after=5.0))
    task = asyncio.create_task(again(attempt, Patience()))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == [1]


async def test_polling_ends_with_its_answer_or_its_error() -> None:
    """Every answer that is not the end is asked for again; an error is the caller's."""
    answers = iter([1, 2, 3, 4])

    async def ask() -> int:
        return next(answers)

    assert await poll(ask, lambda answer: answer == 3) == 3

    async def fail() -> int:
        raise errors.Closed("x")

    with pytest.raises(errors.Closed):
        await poll(fail, lambda _: True)


@pytest.mark.parametrize(
    "wrong", [{"retries": -1}, {"retries": True}, {"retries": 1.5}, {"deadline": 0}, {"deadline": float("nan")}]
)
def test_figures_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """The message says what to write."""
    with pytest.raises(errors.UsageError, match="write"):
        Patience(**wrong)


async def test_polling_asks_seldom_and_at_the_moments_that_decide() -> None:
    """Each question costs: they become fewer, and one comes right after each moment."""
    began = time.monotonic()
    asked: list[float] = []

    async def ask() -> float:
        asked.append(time.monotonic() - began)
        return asked[-1]

    await poll(ask, lambda answer: answer >= 0.8, began + 0.6, began + 0.8)
    assert 2 <= len(asked) <= 4  # 0, 0.25, 0.6, 0.8; fewer where the machine stood still
    assert asked[0] < 0.6
