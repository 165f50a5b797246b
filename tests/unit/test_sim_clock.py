"""The virtual clock, with a wall clock that the test moves by hand."""

from __future__ import annotations

import datetime as dt
import threading

import pytest

from tradeutils.errors import UnknownName, UsageError
from tradeutils.sim import VirtualClock

_NOW = 1_700_000_000_000
_WALL = 1_800_000_000_000


class Wall:
    """A wall clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = _WALL

    def __call__(self) -> int:
        return self.now


def test_frozen_clock_stands_while_time_goes_on() -> None:
    """At speed 0 the venue's time does not move with ours."""
    wall = Wall()
    clock = VirtualClock(_NOW, wall=wall)
    wall.now += 60_000
    assert clock.now() == _NOW
    assert clock.speed == 0


def test_running_clock_goes_at_its_speed() -> None:
    """Ten seconds of ours are ten minutes of the venue's at speed 60; frozen again, it stands."""
    wall = Wall()
    clock = VirtualClock(_NOW, speed=60, wall=wall)
    wall.now += 10_000
    assert clock.now() == _NOW + 600_000
    assert clock.freeze() == _NOW + 600_000
    wall.now += 10_000
    assert clock.now() == _NOW + 600_000


def test_set_moves_to_a_moment_and_keeps_the_speed() -> None:
    """Forward or back, by milliseconds or an aware datetime."""
    wall = Wall()
    clock = VirtualClock(dt.datetime(2024, 1, 1, tzinfo=dt.UTC), speed=1, wall=wall)
    assert clock.set(_NOW) == _NOW
    wall.now += 5
    assert clock.now() == _NOW + 5


@pytest.mark.parametrize(
    ("by", "moved"),
    [(0, 0), (1, 1), ("1m", 60_000), ("1d", 86_400_000), ("1w", 604_800_000), ("1M", 30 * 86_400_000)],
)
def test_step_adds_milliseconds_or_a_timeframe(by: int | str, moved: int) -> None:
    """The step is the length of the bar that the clock stands in: 30 days in November."""
    clock = VirtualClock(_NOW)
    assert clock.step(by) == clock.now() == _NOW + moved


@pytest.mark.parametrize("by", [-1, 1.5, True, None])
def test_step_that_is_no_step_is_refused(by: object) -> None:
    """Steps back, fractions and other things are named in the message."""
    with pytest.raises(UsageError, match="step was"):
        VirtualClock(_NOW).step(by)  # type: ignore[arg-type]


def test_step_of_an_unknown_timeframe_is_refused() -> None:
    """A misspelt timeframe moves nothing."""
    clock = VirtualClock(_NOW)
    with pytest.raises(UnknownName):
        clock.step("1x")
    assert clock.now() == _NOW


@pytest.mark.parametrize("now", [-1, 1_700_000_000, dt.datetime(2024, 1, 1), 10**18])  # noqa: DTZ001  # naive on purpose
def test_start_that_is_no_moment_is_refused(now: int) -> None:
    """Negative times, seconds, naive datetimes and nanoseconds are told apart."""
    with pytest.raises(UsageError):
        VirtualClock(now)


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf"), 1e7, "fast"])
def test_speed_that_is_none_is_refused(speed: float) -> None:
    """Only finite speeds from 0 to a million."""
    with pytest.raises(UsageError, match="speed was"):
        VirtualClock(_NOW, speed=speed)


def test_running_clock_judges_by_the_venues_own_rule() -> None:
    """A clock at wall time and speed 1: as old as the window, not a millisecond more; less than a second ahead."""
    wall = Wall()
    clock = VirtualClock(_WALL, speed=1, wall=wall)
    assert clock.freshness(_WALL - 5_000, 5_000) == "fresh"
    assert clock.freshness(_WALL - 5_001, 5_000) == "old"
    assert clock.freshness(_WALL + 999, 5_000) == "fresh"
    assert clock.freshness(_WALL + 1_000, 5_000) == "early"


def test_client_that_read_a_frozen_clock_stays_fresh() -> None:
    """It counts on from what it read, before or after a step, and is believed; one an hour off is not."""
    wall = Wall()
    clock = VirtualClock(_NOW, wall=wall)
    read_early = clock.now() - wall.now
    wall.now += 120_000
    clock.step("1h")
    read_late = clock.now() - wall.now
    wall.now += 30_000
    for offset in (read_early, read_late, 0):
        assert clock.freshness(wall.now + offset, 5_000) == "fresh"
    assert clock.freshness(wall.now + read_late + 3_700_000, 5_000) == "early"
    assert clock.freshness(wall.now + read_early - 3_600_000, 5_000) == "old"
    assert clock.freshness(wall.now - 3_600_000, 5_000) == "old"


def test_strict_clock_believes_only_its_own_time() -> None:
    """Neither the wall clock nor an earlier reading counts."""
    wall = Wall()
    clock = VirtualClock(_NOW, strict=True, wall=wall)
    wall.now += 60_000
    assert clock.freshness(_NOW, 5_000) == "fresh"
    assert clock.freshness(_NOW + 60_000, 5_000) == "early"
    assert clock.freshness(wall.now, 5_000) == "early"
    assert clock.freshness(_NOW - 60_000, 5_000) == "old"


def test_steps_from_many_threads_are_all_counted() -> None:
    """A thousand steps from eight threads add up."""
    clock = VirtualClock(_NOW)
    threads = [threading.Thread(target=lambda: [clock.step(1) for _ in range(125)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == _NOW + 1_000
