"""
When a stream counts as dead, and when it is tried again.

Ages are by the monotonic clock of this process, so no step of a clock makes data old. A timer that fires late says that
the event loop was held up: what the venue sent meanwhile lies unread in the socket, so it is given time to be read
before anything is concluded.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final, Protocol

from tradeutils.errors import (
    AuthenticationFailed,
    BadSymbol,
    Closed,
    NotSupportedByVenue,
    RateLimited,
    StreamBroken,
    TradeutilsError,
    TransientVenueError,
    UsageError,
    VenueError,
)
from tradeutils.exchange.streams.subscribers import Subscriber

__all__ = ["Backoff", "Watchdog", "Watched", "is_final", "second_look"]

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_SECOND_LOOK_S: Final = 0.2
_LONGEST_SECOND_LOOK_S: Final = 5.0
_LATE_S: Final = 0.1
_SHORTEST_S: Final = 0.05  # between two looks
_LONGEST_S: Final = 3600.0
_RAREST: Final = 32  # times ``max_age`` between two renewals of a market in which nothing happens


class Backoff:
    """Pauses between tries: none before the first, then up to 0.5 s, doubled each time to 30 s, each with jitter."""

    __slots__ = ("tries",)

    def __init__(self) -> None:
        self.tries = 0

    def pause(self, error: TradeutilsError | None = None) -> float:
        """Return the seconds before the next try, after ``error``; at least what the venue asked for."""
        asked = error.retry_after or 0.0 if isinstance(error, RateLimited) else 0.0
        self.tries += 1
        if self.tries == 1:
            return asked
        bound = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self.tries - 2, 10))
        # From a half up: many streams that broke at once do not come back at once, and none at once again.
        return asked + random.uniform(bound / 2, bound)  # noqa: S311  # spreads callers, keeps no secret

    def reset(self) -> None:
        """Begin again: data came."""
        self.tries = 0

    def shorten(self) -> None:
        """Begin again with the shortest pause: data came, if not for long."""
        self.tries = min(self.tries, 1)


def second_look(late: float) -> float:
    """
    Return after how many seconds to look again before silence is believed.

    ``late``: by how much the timer was late. What came while the loop was held up is read at tens of thousands of
    messages a second, so as long as it was held up is ample.
    """
    return _SECOND_LOOK_S if late < _LATE_S else min(_LONGEST_SECOND_LOOK_S, max(late, _SECOND_LOOK_S))


def is_final(error: TradeutilsError, *, established: bool) -> bool:
    """
    Tell whether an error ends a stream, rather than being tried again.

    A refusal that names no cause of its own (`RequestRefused`) ends what was never ``established``: of a stream that
    has worked, the venue may be in trouble.
    """
    if isinstance(error, TransientVenueError | StreamBroken):
        return False
    if isinstance(error, BadSymbol | AuthenticationFailed | NotSupportedByVenue | UsageError | Closed):
        return True
    return not (established and isinstance(error, VenueError))


class Watched(Protocol):
    """What is watched: a feed."""

    @property
    def last(self) -> float:
        """When data came, by ``time.monotonic``."""
        ...

    @property
    def placed(self) -> float | None:
        """When the venue confirmed the subscription; ``None`` while it has not."""
        ...

    @property
    def subscribers(self) -> Sequence[Subscriber]:
        """Who is to be told."""
        ...

    @property
    def is_silent_when_dead(self) -> bool:
        """Whether silence says anything: not of an account to which nothing may happen for days."""
        ...

    def due(self) -> float | None:
        """Return in how many seconds there is other work; ``None``: not until something comes."""
        ...

    def work(self) -> None:
        """Do what has fallen due."""
        ...

    def went_stale(self, silent: Sequence[Subscriber]) -> None:
        """Tell those who have not been told."""
        ...

    def renew(self) -> None:
        """Have the subscription made anew."""
        ...


class Watchdog:
    """
    One timer a feed, which is set anew when it fires, and not when data comes.

    Parameters
    ----------
    feed : Watched
        What is watched.

    Notes
    -----
    Silence is noticed 0.2 s after ``max_age``. The subscription is then made anew, and again after ``max_age`` more
    without data, then twice and four times that, up to 32 times: in some markets nothing happens for hours.
    """

    __slots__ = ("_doubted", "_feed", "_next_renewal", "_planned", "_renewals", "_timer")

    def __init__(self, feed: Watched) -> None:
        self._feed = feed
        self._timer: asyncio.TimerHandle | None = None
        self._planned = 0.0
        self._doubted = False
        self._renewals = 0
        self._next_renewal = 0.0

    def reset(self) -> None:
        """Begin again: data came."""
        self._renewals = 0
        self._next_renewal = 0.0

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def set(self) -> None:
        """Set the timer to the next moment at which something may have to be done."""
        if not self._doubted:  # else it is set already, and soon
            self._set(self._wait())

    def hasten(self, wait: float) -> None:
        """Look in ``wait`` seconds, unless that was to be sooner."""
        if time.monotonic() + wait < self._planned - _SHORTEST_S:
            self._set(wait)

    def _set(self, wait: float) -> None:
        self.stop()
        wait = min(max(wait, _SHORTEST_S), _LONGEST_S)
        self._planned = time.monotonic() + wait
        self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def _wait(self) -> float:
        feed, moment = self._feed, time.monotonic()
        due = feed.due()
        waits = [_LONGEST_S if due is None else due]
        for one in feed.subscribers if feed.is_silent_when_dead else ():
            if not one.stale:
                waits.append(one.since + one.max_age - moment)
            elif feed.placed is not None:
                waits.append(max(self._next_renewal, max(one.since, feed.placed) + one.max_age) - moment)
        return min(waits)

    def _look(self) -> None:
        """Have done what has fallen due, and see whether data has stopped."""
        self._timer = None
        moment = time.monotonic()
        watched = self._feed.subscribers if self._feed.is_silent_when_dead else ()
        silent = [one for one in watched if moment - one.since >= one.max_age]
        fresh = any(not one.stale for one in silent)
        if fresh and not self._doubted:
            self._doubted = True
            self._set(second_look(moment - self._planned))
            return
        self._doubted = False
        self._feed.work()
        if fresh:
            self._feed.went_stale(silent)
        if silent:
            self._renew_if_due(min(one.max_age for one in silent), moment)
        self.set()

    def _renew_if_due(self, max_age: float, moment: float) -> None:
        placed = self._feed.placed
        if placed is None or moment < self._next_renewal or moment - max(placed, self._feed.last) < max_age:
            return
        self._next_renewal = moment + max_age * min(2**self._renewals, _RAREST)
        self._renewals += 1
        self._feed.renew()
