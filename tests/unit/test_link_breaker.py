"""The breaker: what opens it, what closes it, and how long it pauses."""

from __future__ import annotations

import pytest

from tradeutils.errors import CacheUnavailable
from tradeutils.link.breaker import Breaker


def test_new_breaker_lets_calls_through() -> None:
    """Nothing is known against the server."""
    breaker = Breaker("redis://host")
    breaker.check()
    assert not breaker.is_open


def test_tripped_breaker_turns_calls_away_and_says_why() -> None:
    """The message names the server, the latest reason, and what is done about it."""
    breaker = Breaker("redis://host")
    breaker.trip("no answer within 0.25 s")
    breaker.trip("could not be reached: refused")
    assert breaker.is_open
    with pytest.raises(CacheUnavailable, match=r"redis://host .* \(could not be reached: refused\).* tried again"):
        breaker.check()
    assert (breaker.trips, breaker.failures) == (1, 2)


def test_answer_closes_the_breaker() -> None:
    """One answer is enough, and the next outage is a new one."""
    breaker = Breaker("redis://host")
    breaker.trip("away")
    breaker.reset()
    breaker.check()
    breaker.trip("away")
    assert breaker.trips == 2


def test_pauses_grow_to_half_a_second() -> None:
    """A server that is back is found soon, and one that stays away is not hammered, however long it does."""
    breaker = Breaker("redis://host")
    pauses = []
    for _ in range(2000):
        breaker.trip("away")
        pauses.append(breaker.pause())
    assert pauses[:5] == [0.05, 0.1, 0.2, 0.4, 0.5]
    assert set(pauses[5:]) == {0.5}
    breaker.reset()
    breaker.trip("away")
    assert breaker.pause() == 0.05
