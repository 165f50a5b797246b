"""The venue's clock as seen from here."""

from __future__ import annotations

import time

from tradeutils.exchange.requests.clock import Sample, VenueClock, parse_date

T = 1_700_000_000_000.0  # a whole second


def _header(ms: float) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(ms / 1000))


def test_an_offset_is_taken_at_the_midpoint_of_the_request() -> None:
    """A reply that took 200 ms was stamped 100 ms after it left."""
    clock = VenueClock()
    clock.learn(T, sent=5_000.0, received=5_200.0)
    assert clock.at(5_100.0) == T
    assert clock.at(6_100.0) == T + 1000


def test_before_it_is_learnt_the_local_clock_serves() -> None:
    """An unknown offset never stops anything; it is only said not to be known."""
    clock = VenueClock()
    assert not clock.known
    assert abs(clock.at(clock.monotonic()) - time.time() * 1000) < 1000


def test_a_date_that_agrees_keeps_the_clock_and_one_that_does_not_drops_it() -> None:
    """A suspended machine or a stepped venue shows at the next reply."""
    clock = VenueClock()
    clock.learn(T, sent=0.0, received=0.0)
    clock.observe(_header(T + 10_000), sent=10_000.0, received=10_050.0)
    clock.observe(None, sent=0.0, received=0.0)
    clock.observe("rubbish", sent=0.0, received=0.0)
    assert clock.known
    clock.observe(_header(T + 60_000), sent=10_000.0, received=10_050.0)
    assert not clock.known


def test_a_date_behind_the_clock_drops_it_too() -> None:
    """A frozen venue is noticed as well as one that ran ahead."""
    clock = VenueClock()
    clock.learn(T, sent=0.0, received=0.0)
    clock.observe(_header(T), sent=8_000.0, received=8_100.0)
    assert not clock.known


def test_a_date_header_is_read_as_utc_milliseconds() -> None:
    """RFC 9110 dates are whole seconds of GMT; anything else is unknown."""
    assert parse_date("Tue, 14 Nov 2023 22:13:20 GMT") == T
    assert parse_date("") is parse_date(None) is parse_date("soon") is None


def test_the_median_of_the_samples_counts() -> None:
    """One reply that was held up by seconds does not move the clock."""
    clock = VenueClock()
    samples = [Sample(T + 10 * n, 10.0 * n, 10.0 * n) for n in range(4)]
    assert not clock.precise
    clock.learn_median([*samples, Sample(T + 40, 40.0, 8_040.0)])
    assert clock.precise
    assert clock.at(100.0) == T + 100
    clock.forget()
    assert not clock.precise


def test_one_sample_is_known_and_not_precise() -> None:
    """Enough for candles, too little to sign with."""
    clock = VenueClock()
    clock.learn(T, sent=0.0, received=0.0)
    assert clock.known
    assert not clock.precise


def test_a_refusal_of_a_timestamp_from_before_the_last_synchronisation_says_nothing() -> None:
    """Of many refused at once the first asks for the time, and the others must not drop it again."""
    clock = VenueClock()
    before = clock.monotonic()
    clock.learn_median([Sample(T, 0.0, 0.0)])
    clock.refused(sent=before - 1.0)
    assert clock.precise
    clock.refused(sent=clock.monotonic() + 1.0)
    assert not clock.known


def test_a_hint_is_as_precise_as_it_gets() -> None:
    """Where a venue tells its time in headers only, asking again would bring no more."""
    clock = VenueClock()
    assert not clock.settle_for_hint()
    assert not clock.precise
    clock.observe(_header(T), sent=0.0, received=0.0)
    assert clock.settle_for_hint()
    assert clock.precise
    assert abs(clock.now_ns() / 1e6 - clock.at(clock.monotonic())) < 1000
