"""The venue's clock: frozen, stepped, or running at any speed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Literal

from tradeutils import timeframe as _timeframe
from tradeutils.errors import UsageError
from tradeutils.timeframe import Instant, to_ms

__all__ = ["VirtualClock"]

_AHEAD_MS = 1_000  # how far in the future a signed request may be, on every venue that says
_MAX_SKEW_MS = 366 * 86_400_000


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class VirtualClock:
    """
    A clock that says what time it is on the venue; safe to use from any thread.

    Parameters
    ----------
    now : int ms or aware datetime
        The moment at which it starts.
    speed : float
        Seconds of the venue in a second of ours: 0 is frozen, 1 runs as the wall clock does.
    strict : bool
        Judge signed requests by the venue's time alone. The default is kinder, see `freshness`.
    wall : callable
        The wall clock, in milliseconds.
    """

    def __init__(
        self, now: Instant, *, speed: float = 0.0, strict: bool = False, wall: Callable[[], int] = _wall_ms
    ) -> None:
        self._wall = wall
        self._strict = strict
        self._lock = threading.Lock()
        self._base = _checked(now)
        self._speed = _checked_speed(speed)
        self._since = wall()
        # What a client that once read our time may believe: our time less its own, at the lowest and the highest.
        self._offsets = (self._base - self._since,) * 2
        self._listeners: tuple[Callable[[], object], ...] = ()

    @classmethod
    def skewed(cls, by: int) -> VirtualClock:
        """Return a strict clock that runs with the wall clock, ``by`` ms ahead of it."""
        if isinstance(by, bool) or not isinstance(by, int) or abs(by) > _MAX_SKEW_MS:
            raise UsageError(f"skew was {by!r}; give whole milliseconds, up to a year ahead or behind")
        return cls(_wall_ms() + by, speed=1.0, strict=True)

    def now(self) -> int:
        """Return the venue's time, ms UTC."""
        with self._lock:
            return self._now(self._wall())

    def _now(self, wall: int) -> int:
        return self._base + int((wall - self._since) * self._speed)

    @property
    def speed(self) -> float:
        """Seconds of the venue in a second of ours; 0 while frozen."""
        return self._speed

    def listen(self, changed: Callable[[], object]) -> Callable[[], None]:
        """
        Call ``changed`` whenever the clock is set, stepped or given another speed; return what ends that.

        It is called in the thread that changed the clock, after the change.
        """
        with self._lock:
            self._listeners = (*self._listeners, changed)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not changed)

        return end

    def _tell(self) -> None:
        for changed in self._listeners:
            changed()

    def set(self, now: Instant) -> int:
        """Move to a moment, forward or back, and return it; the speed stays."""
        moment = _checked(now)
        with self._lock:
            wall = self._wall()
            self._note(wall)
            self._base, self._since = moment, wall
            self._note(wall)
        self._tell()
        return moment

    def step(self, by: int | str) -> int:
        """
        Move forward by milliseconds or by the length of a timeframe (``"1m"``, ``"1M"``); return the new time.

        Raises
        ------
        UsageError : a step back; ``set`` moves back.
        """
        frame = _timeframe.parse(by) if isinstance(by, str) else None
        if frame is None and (isinstance(by, bool) or not isinstance(by, int) or by < 0):
            raise UsageError(f'step was {by!r}; write milliseconds as an int >= 0, or a timeframe such as "1m"')
        with self._lock:
            wall = self._wall()
            self._note(wall)
            now = self._now(wall)
            length = int(by) if frame is None else frame.next(now) - frame.floor(now)
            moment = _checked(now + length)
            self._base, self._since = moment, wall
            self._note(wall)
        self._tell()
        return moment

    def run(self, speed: float = 1.0) -> None:
        """Let the clock run at ``speed`` from where it stands; 0 freezes it."""
        checked = _checked_speed(speed)
        with self._lock:
            wall = self._wall()
            self._note(wall)
            self._base, self._since, self._speed = self._now(wall), wall, checked
        self._tell()

    def freeze(self) -> int:
        """Stop the clock and return the moment it stands at."""
        self.run(0.0)
        return self.now()

    def _note(self, wall: int) -> None:
        offset = self._now(wall) - wall
        self._offsets = (min(self._offsets[0], offset), max(self._offsets[1], offset))

    def freshness(self, timestamp: int, window: int) -> Literal["fresh", "old", "early"]:
        """
        Judge the timestamp of a signed request.

        On a clock that runs with the wall clock this is the venues' rule: not older than ``window`` ms and
        less than a second ahead. While a clock is frozen, stepped or fast, time goes on for the client; unless the
        clock is ``strict``, a timestamp is then fresh that a client could have made that read our time at any
        moment and has counted on from there, or one by the wall clock.
        """
        with self._lock:
            wall = self._wall()
            now = self._now(wall)
            if self._strict:
                spans = [(now, now)]
            else:
                self._note(wall)
                spans = [(wall + self._offsets[0], wall + self._offsets[1]), (wall, wall)]
        verdicts = []
        for low, high in spans:
            late, early = low - window - timestamp, timestamp - (high + _AHEAD_MS) + 1
            if late <= 0 >= early:
                return "fresh"
            verdicts.append((late, "old") if late > 0 else (early, "early"))
        return "old" if min(verdicts)[1] == "old" else "early"  # by the span that it missed least


def _checked(now: Instant) -> int:
    moment = to_ms(now, name="now")
    if moment < 0:
        raise UsageError(f"now was {moment}, before 1970; write milliseconds UTC or an aware datetime")
    return moment


def _checked_speed(speed: float) -> float:
    if not (isinstance(speed, int | float) and math.isfinite(speed) and 0 <= speed <= 1e6):
        raise UsageError(f"speed was {speed!r}; 0 freezes the clock, 1 runs it as the wall clock, up to 1e6")
    return float(speed)
