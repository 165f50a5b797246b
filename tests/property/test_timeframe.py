"""The laws of bars: every moment is in one bar, bars follow one another, and counting agrees with listing."""

from __future__ import annotations

import datetime as dt

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.timeframe import Timeframe, parse, to_ms

names = st.builds("{}{}".format, st.integers(1, 60), st.sampled_from("smhdwMy"))
frames = names.map(parse)
times = st.integers(to_ms(dt.datetime(1900, 1, 1, tzinfo=dt.UTC)), to_ms(dt.datetime(2200, 1, 1, tzinfo=dt.UTC)))


@given(frames, times)
def test_every_moment_lies_in_one_bar(frame: Timeframe, time: int) -> None:
    """It opens no later than the moment, and the next one opens after it."""
    opened = frame.floor(time)
    assert opened <= time < frame.shift(opened)
    assert frame.next(time) == frame.shift(opened)
    assert frame.floor(opened) == opened
    assert frame.ceil(time) in (time, frame.next(time))
    assert frame.floor(frame.ceil(time)) == frame.ceil(time) >= time


@given(frames, times, st.integers(-50, 50), st.integers(-50, 50))
def test_shifts_add_up(frame: Timeframe, time: int, one: int, other: int) -> None:
    """Going some bars and then some more is going all of them; back again is where we were."""
    opened = frame.floor(time)
    assert frame.shift(frame.shift(opened, one), other) == frame.shift(opened, one + other)
    assert frame.shift(frame.shift(opened, one), -one) == opened


@given(frames, times, st.integers(0, 200))
def test_count_and_range_agree(frame: Timeframe, time: int, bars: int) -> None:
    """As many opens are counted as are listed, each one bar after the last."""
    since = frame.ceil(time)
    until = frame.shift(since, bars)
    opens = frame.range(since, until)
    assert frame.count(since, until) == len(opens) == bars
    assert frame.count(until, since) == 0
    assert opens.tolist() == [frame.shift(since, i) for i in range(bars)]


@given(frames, times, times, times)
def test_counts_of_neighbouring_spans_add_up(frame: Timeframe, one: int, two: int, three: int) -> None:
    """A page ends where the next begins: no bar is asked for twice and none is left out."""
    one, two, three = sorted((one, two, three))
    assert frame.count(one, two) + frame.count(two, three) == frame.count(one, three)


@given(frames, st.lists(times, max_size=20))
def test_arrays_give_what_single_times_give(frame: Timeframe, several: list[int]) -> None:
    """The vectorised arithmetic is the scalar one."""
    array = np.array(several, dtype=np.int64)
    assert frame.floor(array).tolist() == [frame.floor(time) for time in several]
    assert frame.shift(frame.floor(array), 3).tolist() == [frame.shift(frame.floor(time), 3) for time in several]


@given(frames, frames, times)
def test_whole_bars_never_straddle_an_open_of_the_coarser(fine: Timeframe, coarse: Timeframe, time: int) -> None:
    """Where one timeframe divides another, each open of the coarser is an open of the finer."""
    if fine.divides(coarse):
        assert fine.floor(coarse.floor(time)) == coarse.floor(time)
        assert fine.shift(fine.floor(time)) <= coarse.shift(coarse.floor(time))


@given(frames, frames, st.lists(times, min_size=1, max_size=5))
def test_equal_timeframes_have_equal_bars(one: Timeframe, other: Timeframe, several: list[int]) -> None:
    """Equality promises the same name and the same opens."""
    assert (one == other) == (one.name == other.name)
    if one == other:
        assert hash(one) == hash(other)
        assert [one.floor(time) for time in several] == [other.floor(time) for time in several]


@given(names)
def test_names_are_read_back(name: str) -> None:
    """The name of what was parsed parses to the same, and is its only name."""
    assert parse(parse(name).name) == parse(name)
    assert parse(parse(name).name).name == parse(name).name


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2900, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_datetimes_are_cut_down_to_their_millisecond(moment: dt.datetime) -> None:
    """Whatever the zone, to_ms and back is less than a millisecond early and never late."""
    back = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=to_ms(moment))
    assert dt.timedelta(0) <= moment - back < dt.timedelta(milliseconds=1)
