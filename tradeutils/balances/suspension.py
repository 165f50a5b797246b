"""`Suspension`: that calls for an account are held back, why, and until when."""

from __future__ import annotations

import datetime as dt
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tradeutils.balances.classes import Reason
from tradeutils.errors import UsageError

__all__ = ["LONGEST_PERIOD", "Periods", "Suspension"]

LONGEST_PERIOD: Final = 7 * 86_400.0
"""Seconds that a suspension may last at most, whatever the cap."""

_GROWTH: Final = 5
_BAND: Final = (0.75, 1.0)
_MOST_STEPS: Final = 32  # beyond, any cap is reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """
    That calls for an account are held back.

    Attributes
    ----------
    account, venue : str
        Whose, and where.
    reason : str
        The class of failure: ``"bad key"``, ``"address not allowed"``, ``"permission"``, ``"account frozen"``.
    message : str
        What the venue said; holds no secret.
    remedy : str
        What is to be done.
    since, until : int
        When the first of these failures was, and when one more try may be made: ms UTC, by the clock of the machine
        that learnt it.
    failures : int
        How many tries in a row failed, among all processes.
    origin : str
        For which calls: those of ``exchange.origin``, or of one wallet there.
    """

    account: str
    venue: str
    reason: Reason
    message: str
    remedy: str
    since: int
    until: int
    failures: int
    origin: str = ""

    @property
    def retry_after(self) -> float:
        """Seconds from now until one more try may be made; 0 where its time has come."""
        return max(0.0, self.until / 1000 - time.time())

    def __str__(self) -> str:
        moment = dt.datetime.fromtimestamp(self.until / 1000, dt.UTC)
        times = "1 failure" if self.failures == 1 else f"{self.failures} failures"
        return (
            f"{self.account} on {self.venue} is suspended ({self.reason}) until {moment:%Y-%m-%d %H:%M:%S} UTC, after "
            f"{times}: {self.message}; {self.remedy}"
        )


class Periods:
    """
    How long suspensions last: growing, capped, and no two of a length.

    Parameters
    ----------
    base : float
        Seconds of the first; each further one is five times as long: with the defaults a minute, 5, 25 and 125
        minutes, then six hours.
    cap : float
        Seconds of the longest, at most `LONGEST_PERIOD`.
    rng : callable
        Chance from 0 to 1. Each period is by chance between three quarters and the whole of its length, so that keys
        that failed together are not tried together.

    Raises
    ------
    UsageError : ``base`` not above 0, or ``cap`` below it or too long.
    """

    def __init__(self, base: float = 60.0, cap: float = 21_600.0, rng: Callable[[], float] = random.random) -> None:
        for name, value in (("base", base), ("cap", cap)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise UsageError(f"{name} was {value!r}; write seconds")
        if not 0.001 <= base <= cap <= LONGEST_PERIOD:
            raise UsageError(
                f"base was {base!r} and cap {cap!r}; write seconds: base from 0.001 up to cap, and cap up to "
                f"{LONGEST_PERIOD:g} (7 days)"
            )
        self._base, self._cap, self._rng = base, cap, rng

    def length(self, failures: int) -> float:
        """Return the seconds for which an account is suspended after so many failures in a row."""
        whole = min(self._cap, self._base * float(_GROWTH) ** min(failures - 1, _MOST_STEPS))
        least, most = _BAND
        return float(whole * (least + (most - least) * self._rng()))
