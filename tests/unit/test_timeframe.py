"""Timeframes open their bars where the venues do, and times are milliseconds or refused."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tradeutils.errors import UnknownName, UsageError
from tradeutils.timeframe import Timeframe, parse, to_ms

DAY = 86_400_000


def ms(text: str) -> int:
    """Return the milliseconds of a moment in UTC."""
    return to_ms(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC))


# What the venues that ccxt speaks to list, with the length of a bar.
LISTED = {
    "1s": 1_000, "5s": 5_000, "10s": 10_000, "15s": 15_000, "30s": 30_000, "1m": 60_000, "2m": 120_000, "3m": 180_000,
    "4m": 240_000, "5m": 300_000, "10m": 600_000, "15m": 900_000, "20m": 1_200_000, "30m": 1_800_000, "45m": 2_700_000,
    "1h": 3_600_000, "2h": 7_200_000, "3h": 10_800_000, "4h": 14_400_000, "6h": 21_600_000,
    "8h": 28_800_000, "12h": 43_200_000, "1d": DAY, "2d": 2 * DAY, "3d": 3 * DAY, "5d": 5 * DAY, "7d": 7 * DAY,
    "10d": 10 * DAY, "14d": 14 * DAY, "30d": 30 * DAY, "1w": 7 * DAY, "2w": 14 * DAY,
}  # fmt: skip


@pytest.mark.parametrize(("name", "length"), LISTED.items())
def test_timeframe_has_the_length_of_its_name(name: str, length: int) -> None:
    """Count and unit give the milliseconds of a bar."""
    frame = parse(name)
    assert (frame.name, str(frame), frame.ms, frame.nominal_ms, frame.months) == (name, name, length, length, 0)
    assert repr(frame) == f"Timeframe({name!r})"


@pytest.mark.parametrize(
    ("name", "months", "days"),
    [
        ("1M", 1, 30),
        ("3M", 3, 90),
        ("6M", 6, 180),
        ("12M", 12, 365),
        ("18M", 18, 540),
        ("1y", 12, 365),
        ("2y", 24, 730),
    ],
)
def test_months_and_years_have_a_nominal_length(name: str, months: int, days: int) -> None:
    """Bars of months differ in length; for estimates a month has 30 days and a year 365."""
    assert (parse(name).ms, parse(name).months, parse(name).nominal_ms) == (None, months, days * DAY)


def test_other_spellings_are_understood() -> None:
    """A bare number is minutes and Y is a year; what is parsed already is returned."""
    assert parse("15") == parse("15m")
    assert parse("1Y").name == "1y"
    assert parse("1m") is parse("1m")
    assert parse(parse("4h")) is parse("4h")


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "m",
        "0m",
        "-1m",
        "1.5h",
        "1 m",
        "1mo",
        "1H",
        "1D",
        "1W",
        "12345m",
        "1m\n",
        "\u0661m",
        "7q",
        None,
        5,
        b"1m",
        ["1m"],
    ],
)
def test_what_is_no_timeframe_is_refused(wrong: Any) -> None:
    """Case matters, as m and M differ; the message has what was given."""
    with pytest.raises(UnknownName) as caught:
        parse(wrong)
    assert caught.value.kind == "timeframe"
    assert caught.value.value == wrong
    assert repr(wrong) in str(caught.value)


def test_near_miss_is_answered_with_the_right_name() -> None:
    """Who writes 1hr means 1h."""
    with pytest.raises(UnknownName, match="did you mean 1h"):
        parse("1hr")


@pytest.mark.parametrize(
    ("spelt", "name"),
    [("60m", "1h"), ("90m", "90m"), ("1440m", "1d"), ("60s", "1m"), ("3600s", "1h"), ("24h", "1d"), ("12M", "1y"),
     ("24M", "2y"), ("18M", "18M"), ("7d", "7d"), ("52w", "52w"), ("48h", "2d")],
)  # fmt: skip
def test_one_length_has_one_name(spelt: str, name: str) -> None:
    """Candles of 60m and of 1h are the same series, in a cache and on disk; seven days are no week."""
    assert parse(spelt).name == name
    assert parse(spelt) == parse(name)
    assert hash(parse(spelt)) == hash(parse(name))


def test_equal_timeframes_open_the_same_bars() -> None:
    """Equality asks where the bars open too: weeks open on Monday, seven days do not."""
    assert parse("7d") != parse("1w")
    assert parse("1m") != parse("1M")
    assert parse("1m") != "1m"


def test_timeframe_survives_pickling_and_copying() -> None:
    """It crosses process pools."""
    for name in ("5m", "1w", "1M"):
        frame = parse(name)
        assert pickle.loads(pickle.dumps(frame)) is frame  # noqa: S301  # our own
        assert copy.deepcopy(frame) == frame


@pytest.mark.parametrize(
    ("name", "moment", "opened", "follows"),
    [
        ("1m", "2024-02-29T23:59:59.999", "2024-02-29T23:59", "2024-03-01T00:00"),
        ("5m", "2024-01-01T00:07", "2024-01-01T00:05", "2024-01-01T00:10"),
        ("4h", "2024-01-01T03:59", "2024-01-01T00:00", "2024-01-01T04:00"),
        ("1d", "2024-01-01T12:00", "2024-01-01", "2024-01-02"),
        ("3d", "1970-01-05", "1970-01-04", "1970-01-07"),
        ("1w", "2024-01-07T23:59", "2024-01-01", "2024-01-08"),
        ("1w", "2024-01-08", "2024-01-08", "2024-01-15"),
        ("1w", "1970-01-01", "1969-12-29", "1970-01-05"),
        ("1M", "2024-02-29T12:00", "2024-02-01", "2024-03-01"),
        ("1M", "2024-12-31T23:59", "2024-12-01", "2025-01-01"),
        ("3M", "2024-05-15", "2024-04-01", "2024-07-01"),
        ("1y", "2024-12-31", "2024-01-01", "2025-01-01"),
        ("1m", "1969-12-31T23:59:30", "1969-12-31T23:59", "1970-01-01"),
        ("1M", "1969-12-31T23:59", "1969-12-01", "1970-01-01"),
        ("3M", "1969-11-01", "1969-10-01", "1970-01-01"),
    ],
)
def test_bars_open_where_the_venues_open_them(name: str, moment: str, opened: str, follows: str) -> None:
    """By hand, over month ends, leap years, weeks and before 1970; for single times and for arrays."""
    frame, time = parse(name), ms(moment)
    assert frame.floor(time) == ms(opened)
    assert frame.next(time) == ms(follows)
    assert frame.ceil(time) == (time if moment == opened else ms(follows))
    assert frame.shift(ms(follows), -1) == ms(opened)
    assert frame.shift(ms(opened)) == ms(follows)
    many = np.array([[time, ms(opened)], [ms(follows), time]])
    assert frame.floor(many).tolist() == [[ms(opened), ms(opened)], [ms(follows), ms(opened)]]
    assert frame.shift(frame.floor(many), 1)[0].tolist() == [ms(follows), ms(follows)]
    assert frame.floor(many).dtype == np.int64


@pytest.mark.parametrize(
    ("name", "since", "until", "bars"),
    [
        ("1m", "2024-01-01", "2024-01-01T01:00", 60),
        ("1m", "2024-01-01T00:00:01", "2024-01-01T00:01", 0),
        ("1m", "2024-01-01T00:00:01", "2024-01-01T00:01:00.001", 1),
        ("1h", "2024-01-02", "2024-01-01", 0),
        ("1w", "2024-01-01", "2024-01-15", 2),
        ("1M", "2024-01-01", "2025-01-01", 12),
        ("1M", "2024-01-02", "2024-03-01", 1),
        ("3M", "2024-01-01", "2026-01-01", 8),
        ("1y", "1969-06-01", "1972-01-01", 2),
    ],
)
def test_bars_are_counted_from_since_until_before_until(name: str, since: str, until: str, bars: int) -> None:
    """since counts, until does not; the range has as many, ascending, each an open."""
    frame = parse(name)
    opens = frame.range(ms(since), ms(until))
    assert frame.count(ms(since), ms(until)) == bars
    assert len(opens) == bars
    assert opens.dtype == np.int64
    assert frame.floor(opens).tolist() == opens.tolist()
    assert opens.tolist() == sorted(set(opens.tolist()))
    assert all(ms(since) <= opened < ms(until) for opened in opens.tolist())


@pytest.mark.parametrize(
    ("fine", "coarse", "whole"),
    [
        ("1m", "5m", True), ("5m", "1m", False), ("1m", "1m", True), ("3m", "5m", False), ("1h", "1d", True),
        ("7h", "1d", False), ("1d", "1w", True), ("2d", "1w", False), ("2d", "2w", False), ("7d", "1w", False),
        ("1w", "2w", True), ("1d", "1M", True), ("1h", "1M", True), ("7h", "1M", False), ("2d", "1M", False),
        ("1w", "1M", False), ("1M", "1y", True), ("1M", "3M", True), ("5M", "1y", False), ("1y", "1M", False),
        ("1M", "30d", False), ("15m", "1y", True), ("3d", "9d", True),
    ],
)  # fmt: skip
def test_coarser_bars_are_made_of_whole_finer_ones(fine: str, coarse: str, whole: bool) -> None:
    """Only then can candles be resampled."""
    assert parse(fine).divides(parse(coarse)) is whole


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1_704_067_200_000, 1_704_067_200_000),
        (-5, -5),
        (np.int64(7), 7),
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), 1_704_067_200_000),
        (dt.datetime(2024, 1, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Amsterdam")), 1_704_067_200_000),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, dt.UTC), -1),
        (pd.Timestamp("2024-01-01", tz="Asia/Tokyo"), 1_704_067_200_000 - 9 * 3_600_000),
        (dt.datetime(2999, 12, 31, tzinfo=dt.UTC), 32_503_593_600_000),
    ],
)
def test_moment_is_read_as_milliseconds(value: Any, expected: int) -> None:
    """Ints are milliseconds already; datetimes are told by their zone, and cut off downwards."""
    assert to_ms(value) == expected
    assert type(to_ms(value)) is int


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (dt.datetime(2024, 1, 1), "without a time zone; write since=datetime"),  # noqa: DTZ001  # what is refused
        (pd.NaT, "without a time zone"),
        (1_704_067_200, "looks like seconds; write milliseconds: 1704067200000"),
        (1_704_067_200_000_000, "not micro- or nanoseconds"),
        (-(10**18), "not micro- or nanoseconds"),
        (True, "write milliseconds UTC as an int"),
        (1.7e12, "write milliseconds UTC as an int"),
        (float("nan"), "write milliseconds UTC as an int"),
        ("2024-01-01", "write milliseconds UTC as an int"),
        (None, "write milliseconds UTC as an int"),
        (dt.date(2024, 1, 1), "write milliseconds UTC as an int"),
    ],
)
def test_moment_that_is_not_clear_is_refused(value: Any, message: str) -> None:
    """A naive datetime, seconds or microseconds are not guessed at; the parameter is named."""
    with pytest.raises(UsageError, match=message) as caught:
        to_ms(value, name="since")
    assert str(caught.value).startswith("since was ")


def test_timeframe_is_built_by_parse_alone() -> None:
    """The class holds no dict, so that thousands of them in flight stay small."""
    assert not hasattr(parse("1m"), "__dict__")
    assert isinstance(parse("1m"), Timeframe)
