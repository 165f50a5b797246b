"""
Which calls are made again, and when: the one file that knows tenacity.

The class of the error alone decides: `TransientVenueError` yes, anything else no. Every attempt pays from the
budget again, because it is charged where requests leave. What must not be repeated blindly, an order, is not
repeated here: see `tradeutils.exchange.orders`.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import tenacity

from tradeutils.errors import RateLimited, TransientVenueError, UsageError

__all__ = ["Patience", "again", "poll"]

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_SLOWED_PAUSE_S: Final = 1.0  # after a 429 that names no time
# Questions are few, as each takes of the rate limit: of kraken's fifteen points, seven pairs in three seconds left none
# for the one that decides.
_FIRST_POLL_S: Final = 0.25
_POLL_GROWTH: Final = 3
_LONGEST_POLL_S: Final = 5.0
_LATE_POLL_S: Final = 1.0  # after the first of the moments
_NEARLY: Final = 0.6  # of the way to a moment: a pause that long goes all of it
_AFTER_S: Final = 0.005  # clocks of sleepers are coarse


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How often, and for how long, a call that failed is made again.

    Parameters
    ----------
    retries : int
        Further attempts, from 0.
    deadline : float
        Seconds after the first failure within which the last of them begins, > 0. Waiting for the budget is no
        failure and does not count.

    Raises
    ------
    UsageError : a number outside these ranges.
    """

    retries: int = 3
    deadline: float = 30.0

    def __post_init__(self) -> None:
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise UsageError(f"retries was {self.retries!r}; write a whole number from 0")
        if (
            isinstance(self.deadline, bool)
            or not isinstance(self.deadline, int | float)
            or not 0 < self.deadline < math.inf
        ):
            raise UsageError(f"deadline was {self.deadline!r}; write seconds, above 0")


class _Course:
    """One call's attempts: when the first failed, and how long to wait before the next."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failed_at: float | None = None

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Return seconds before the next attempt: exponential with full jitter, at least what the venue asked for."""
        error = _error_of(state)
        bound = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (state.attempt_number - 1))
        jittered = random.uniform(0, bound)  # noqa: S311  # spreads callers, keeps no secret
        if not isinstance(error, RateLimited):
            return jittered
        # The jitter comes on top: all who were told the same moment would come back in it together.
        return jittered + (_SLOWED_PAUSE_S if error.retry_after is None else error.retry_after)

    def over(self, state: tenacity.RetryCallState) -> bool:
        """Tell whether the next attempt would be one too many, or begin after the deadline."""
        now = state.outcome_timestamp or 0.0
        if self._failed_at is None:
            self._failed_at = now
        if state.attempt_number > self._patience.retries:
            return True
        return now + state.upcoming_sleep > self._failed_at + self._patience.deadline


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


async def again(attempt: Callable[[], Awaitable[T]], patience: Patience) -> T:
    """
    Make a call until it succeeds, fails for good, or the patience ends; the last error is raised as it is.

    Raises
    ------
    RateLimited : also at once, where ``retry_after`` lies beyond the deadline.
    """
    try:
        return await attempt()
    except TransientVenueError as error:
        failures = [error]

    async def replayed() -> T:
        if failures:
            raise failures.pop()
        return await attempt()

    # Only what failed comes here: a call that succeeds would pay 24 µs to tenacity.
    course = _Course(patience)
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(TransientVenueError), wait=course.pause, stop=course.over, reraise=True
    )
    result: T = await retrying(replayed)
    return result


async def poll(ask: Callable[[], Awaitable[T]], done: Callable[[T], bool], *moments: float) -> T:
    """
    Ask until an answer is `done`, with growing pauses; every error of ``ask`` is raised.

    The end must be in ``done``: nothing else ends it. At each of the ``moments``, by ``time.monotonic``, it is asked.
    """

    def pause(state: tenacity.RetryCallState) -> float:
        ahead = [moment - time.monotonic() for moment in moments]
        left = min((one for one in ahead if one > 0), default=math.inf)
        longest = _LONGEST_POLL_S if all(one > 0 for one in ahead) else _LATE_POLL_S
        wanted = min(longest, _FIRST_POLL_S * _POLL_GROWTH ** min(state.attempt_number - 1, 5))
        return left + _AFTER_S if wanted > left * _NEARLY else wanted

    retrying = tenacity.AsyncRetrying(retry=tenacity.retry_if_result(lambda answer: not done(answer)), wait=pause)

    async def asked() -> T:  # a lambda that returns a coroutine would not be awaited
        return await ask()

    result: T = await retrying(asked)
    return result
