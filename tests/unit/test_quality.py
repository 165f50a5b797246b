"""Checks, comparisons and repairs of candles: cases worked by hand."""

from __future__ import annotations

import datetime as dt
import json
import math
import pathlib
import zoneinfo

import numpy as np
import pandas as pd
import pytest
from planted_faults import CLOSE, FAULTS, HIGH, LOW, PRICES, START, TIME, VOLUME, clean_rows, places_of

from tradeutils.analysis import quality
from tradeutils.errors import DataError, UnknownName, UsageError
from tradeutils.model import Candles, Panel

HOUR = 3_600_000
DAY = 24 * HOUR


def local_rows(rows, zone):
    """Return rows with the wall-clock times of a zone, as if they were UTC."""
    shown = rows.copy()
    where = zoneinfo.ZoneInfo(zone)
    for row in shown:
        moment = dt.datetime.fromtimestamp(row[TIME] / 1000, where).replace(tzinfo=dt.UTC)
        row[TIME] = moment.timestamp() * 1000
    return shown


def at(year, month, day, hour=0):
    return int(dt.datetime(year, month, day, hour, tzinfo=dt.UTC).timestamp() * 1000)


# What is told


def test_every_kind_of_a_series_can_be_planted_or_is_tried_here():
    """A kind that is added without a test of where it is found is noticed."""
    here = {"day_start", "dst_step", "outage", "no_overlap", "shifted"}
    of_two = {"only_first", "only_second", "price_disagreement", "volume_disagreement"}
    assert set(quality.KINDS) == set(FAULTS) | here | of_two
    assert {kind for rule in quality.RULES.values() for kind in rule.mends} <= set(quality.KINDS)


def test_clean_candles_make_a_clean_report():
    """Nothing is found, and the report says what was looked at."""
    report = quality.check(clean_rows(300), symbol="BTC/USDT", exchange="binance")
    assert (report.clean, report.ok, report.kinds, report.findings) == (True, True, (), ())
    assert report.summary() == (
        "binance BTC/USDT 1m: 300 rows from 2024-01-01 00:00 to 2024-01-01 05:00 UTC: clean"
    )  # fmt: skip


def test_report_says_kind_severity_place_and_meaning():
    """One line a finding, with the first place and the longest."""
    rows = np.delete(clean_rows(100), [10, 50, 51, 52], axis=0)
    rows[20, HIGH] = rows[20, LOW]
    report = quality.check(rows)
    assert not report.ok
    assert str(report).splitlines() == [
        "1m: 96 rows from 2024-01-01 00:00 to 2024-01-01 01:40 UTC: 2 findings",
        "  warning  gap: 2 gaps, 4 bars: bars missing between two others; first 2024-01-01 00:10 at row 10; "
        "longest 3 bars at 2024-01-01 00:50",
        "  error    high_below_body: 1 place, 1 bar: a high below the open or the close; "
        "first 2024-01-01 00:21 at row 20",
    ]  # fmt: skip
    gap = report.of("gap")
    assert (gap.severity, gap.count, gap.total_bars) == ("warning", 2, 4)
    assert list(gap.places())[1] == quality.Place(49, 3, START + 50 * 60_000, START + 53 * 60_000)
    assert report.of("spike") is None
    assert report.by_symbol() == {"": report.findings}
    with pytest.raises(UnknownName, match="did you mean gap"):
        report.of("gaps")


def test_reports_are_json_and_frames():
    """JSON holds every place or as many as asked for; a frame has a row a place, with UTC times."""
    rows = clean_rows(100).tolist()
    rows[5][TIME] = None
    rows[30][CLOSE] = rows[60][CLOSE] = math.nan
    report = quality.check(rows, "1m")
    read = json.loads(json.dumps(report.to_dict()))
    assert {f["kind"]: f["count"] for f in read["findings"]} == {"bad_time": 1, "gap": 1, "not_finite": 2}
    assert read["findings"][0]["places"] == [{"row": 5, "bars": 1, "since": None, "until": None}]
    assert [len(f["places"]) for f in report.to_dict(places=1)["findings"]] == [1, 1, 1]
    frame = report.to_frame()
    assert list(frame.columns) == ["kind", "severity", "symbol", "row", "bars", "since", "until"]
    assert frame["kind"].tolist() == ["bad_time", "gap", "not_finite", "not_finite"]
    assert frame["since"].isna().tolist() == [True, False, False, False]
    assert frame["since"][2] == pd.Timestamp(START + 30 * 60_000, unit="ms", tz="UTC")
    assert len(quality.check(clean_rows(10)).to_frame()) == 0


def test_findings_are_equal_by_what_they_say():
    """Two looks at one series say the same; another kind, place or type differs."""
    rows = np.delete(clean_rows(100), [10, 50], axis=0)
    one, two = quality.check(rows).findings[0], quality.check(rows).findings[0]
    assert one == two
    assert one != quality.check(np.delete(clean_rows(100), [10, 51], axis=0)).findings[0]
    assert one != "gap"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


# Times


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/London", "Europe/Berlin", "Europe/Helsinki"])
@pytest.mark.parametrize("frame", ["5m", "1h"])
def test_clocks_that_change_are_told_where_local_times_were_taken_for_utc(zone, frame):
    """In spring an hour is missing, in autumn one stands twice; the hours are named as the wall clock shows them."""
    american = zone.startswith("America")
    first_hour = {"America/New_York": 2, "Europe/London": 1, "Europe/Berlin": 2, "Europe/Helsinki": 3}[zone]
    spring = clean_rows(400, frame, start=at(2024, 3, 10 if american else 31) - 8 * HOUR)
    report = quality.check(local_rows(spring, zone), frame)
    assert set(report.kinds) == {"gap", "dst_step"}
    assert next(report.of("dst_step").places()).since == at(2024, 3, 10 if american else 31, first_hour)
    autumn = clean_rows(400, frame, start=at(2024, 11, 3) - 8 * HOUR if american else at(2024, 10, 27) - 8 * HOUR)
    report = quality.check(local_rows(autumn, zone), frame)
    assert "dst_step" in report.kinds
    day = at(2024, 11, 3) if american else at(2024, 10, 27)
    assert next(report.of("dst_step").places()).since == day + (first_hour - american) * HOUR
    assert report.of("dst_step").total_bars == HOUR // (300_000 if frame == "5m" else HOUR)


def test_an_hour_missing_on_another_day_is_only_a_gap():
    """A step of an hour means a change of clocks only where there is one."""
    rows = clean_rows(400, "5m", start=at(2024, 3, 17) - 8 * HOUR)
    lost = (rows[:, TIME] >= at(2024, 3, 17, 2)) & (rows[:, TIME] < at(2024, 3, 17, 3))
    assert quality.check(rows[~lost]).kinds == ("gap",)


@pytest.mark.parametrize(
    ("hours", "said"), [((5,), "at 05:00"), ((4, 5), "at 04:00 and 05:00, as clocks change"), ((0, 23), None)]
)
def test_days_that_open_at_a_local_midnight_are_told_as_such(hours, said):
    """Bars of a day at one hour that is not 00:00 UTC, or at two an hour apart, are one finding about the day."""
    rows = clean_rows(120, "1d")
    rows[60:, TIME] += hours[-1] * HOUR
    rows[:60, TIME] += hours[0] * HOUR
    report = quality.check(rows, "1d")
    if said is None:
        assert places_of(report) == {"day_start": [(60, 60)]}
    else:
        assert places_of(report) == {"day_start": [(0, 120)]}
        assert said in report.findings[0].text
    assert report.ok
    mended = quality.repair(rows, ["snap_to_grid"], "1d")
    assert quality.check(mended.candles).clean


def test_single_days_elsewhere_are_off_the_grid():
    """A few bars of a day that open at odd times say nothing about the day."""
    rows = clean_rows(60, "1d")
    rows[[5, 9], TIME] += [3 * HOUR, 7 * HOUR + 5]
    assert places_of(quality.check(rows, "1d")) == {"off_grid": [(5, 1), (9, 1)]}


def test_months_are_judged_by_the_calendar():
    """Gaps of months are counted in months, and their timeframe is found out."""
    rows = clean_rows(36, "1M")
    kept = np.delete(rows, [4, 5, 20], axis=0)
    report = quality.check(kept)
    assert (report.timeframe, places_of(report)) == ("1M", {"gap": [(4, 2), (18, 1)]})
    mended = quality.repair(kept, ["fill_gaps_flat"], "1M")
    assert np.array_equal(mended.candles.time, rows[:, TIME])


def test_newest_first_is_said_so():
    """A file that stands upside down is one finding, and sorting mends it."""
    rows = clean_rows(50)
    report = quality.check(rows[::-1])
    assert places_of(report) == {"unordered": [(1, 49)]}
    assert "newest first" in report.findings[0].text
    mended = quality.repair(rows[::-1], ["sort"])
    assert np.array_equal(mended.candles.time, rows[:, TIME])
    seconds = quality.repair(rows * [1e-3, 1, 1, 1, 1, 1], ["convert_times"]).to_dict()["changes"][0]
    assert (seconds["old"]["unit"][:2], seconds["new"]["time"][0]) == (["s", "s"], START)
    assert (mended.changes[0].old["place"][-1], mended.changes[0].new["place"][-1]) == (49, 0)


def test_times_from_the_epoch_on_are_milliseconds_where_their_step_says_so():
    """Small numbers are no seconds where they step by the timeframe."""
    rows = clean_rows(50)
    rows[:, TIME] -= START
    assert quality.check(rows, "1m").clean
    assert quality.check(rows).timeframe == "1m"


def test_candles_in_seconds_are_told_too():
    """Candles take any rising ints; the step against their timeframe gives seconds away."""
    columns = {name: np.ones(5) for name in ("open", "high", "low", "close", "volume")}
    candles = Candles(timeframe="1m", time=START // 1000 + 60 * np.arange(5), **columns)
    report = quality.check(candles)
    assert places_of(report) == {"time_unit": [(0, 5)], "frozen": [(0, 5)]}
    panel = Panel.from_candles({"A": candles, "B": candles})
    assert [(f.kind, f.symbol) for f in quality.check(panel).findings][:1] == [("time_unit", "")]


def columns_of(time):
    price = 100 + np.arange(len(time)) % 7.0
    return {"time": np.asarray(time), **dict.fromkeys(("open", "high", "low", "close", "volume"), price)}


@pytest.mark.parametrize(
    ("timeframe", "index"),
    [
        ("1d", pd.date_range("1970-01-01", "1994-12-31", freq="D")),
        ("1d", pd.date_range("1971-02-05", periods=1, freq="D")),
        ("1d", pd.date_range("1968-01-01", "1973-12-31", freq="D")),
        ("1M", pd.date_range("1970-02-01", periods=40, freq="MS")),
    ],
    ids=["since 1970", "one bar", "around 1970", "months"],
)
def test_times_before_1973_are_not_taken_for_seconds(timeframe, index):
    """Milliseconds of those years are as small as seconds of today, and stand on the grid as they are."""
    candles = Candles(timeframe=timeframe, **columns_of(index.as_unit("ms").asi8))
    panel = Panel.from_candles({"A": candles, "B": candles})
    for report in (quality.check(candles), quality.check(panel), quality.check(candles.to_frame(), timeframe)):
        assert (report.findings, report.since) == ((), int(candles.time[0]))
    assert np.array_equal(quality.repair(candles, ["convert_times"]).candles.time, candles.time)
    if len(index) > 1:
        rows = np.column_stack(list(columns_of(candles.time).values()))
        assert quality.check(rows).since == candles.time[0]


def test_seconds_before_milliseconds_in_candles_are_told_and_the_candles_left_alone():
    """Rising times in two units are read each in its own, in a copy."""
    time = np.r_[START // 1000 + 60 * np.arange(3), START + 60_000 * np.arange(3, 9)]
    candles = Candles(timeframe="1m", **columns_of(time))
    assert places_of(quality.check(candles)) == {"time_unit": [(0, 3)]}
    assert np.array_equal(candles.time, time)


@pytest.mark.parametrize("time", [-(2**62), 4e13, 1e300, math.nan])
def test_times_that_cannot_be_are_no_times(time):
    """Beyond the year 3000 or as long before 1970 nothing is looked for."""
    rows = np.vstack([clean_rows(50), clean_rows(1)])
    rows[-1, TIME] = time
    assert places_of(quality.check(rows, "1m")) == {"bad_time": [(50, 1)]}
    assert quality.repair(rows, ["drop_bad_times"], "1m").candles.gaps() == ()


# Prices and volumes


def test_faults_in_the_first_and_last_row_are_found():
    """What is judged row by row is found at the edges too."""
    for row in (0, 49):
        for column, value, kind in (
            (CLOSE, math.nan, "not_finite"), (LOW, 0.0, "not_positive"), (VOLUME, -1.0, "bad_volume"),
            (VOLUME, math.nan, "unknown_volume"), (HIGH, 50.0, "high_below_body"), (LOW, 150.0, "low_above_body"),
        ):  # fmt: skip
            rows = clean_rows(50)
            rows[row, column] = value
            assert places_of(quality.check(rows)) == {kind: [(row, 1)]}


def test_crash_that_stays_and_a_slow_return_are_no_spikes():
    """A fall of 40 % that stays, and one that takes two bars to come back, may be real."""
    for back in (300, 152):
        rows = clean_rows(300)
        rows[150:back, 1:5] *= 0.6
        rows[150, HIGH] = rows[149, CLOSE]
        if back < 300:
            rows[back, LOW] = rows[back - 1, CLOSE]
        assert "spike" not in quality.check(rows).kinds


def test_spike_is_one_however_wild_the_market_was_before_only_beyond_that():
    """What is usual is measured: a leap of 5 % is a spike among moves of 0.1 %, not among moves of 2 %."""
    for moves, expected in ((1e-3, {"spike": [(200, 1)]}), (2e-2, {})):
        rows = clean_rows(400, moves=moves)
        rows[200, 1:5] *= 1.05
        assert places_of(quality.check(rows)) == expected


def test_spikes_are_judged_once_there_are_moves_to_judge_by():
    """Of 32 rows nothing is said; of 34, the first moves are judged by their own median."""
    for bars, expected in ((32, {}), (34, {"spike": [(10, 1)]})):
        rows = clean_rows(bars)
        rows[10, 1:5] *= 2
        assert places_of(quality.check(rows)) == expected
    rows = clean_rows(60)
    rows[-1, 1:5] *= 2
    assert quality.check(rows).clean  # the next bar will tell


def test_limits_say_from_where_on():
    """Each limit moves the border of what it is about."""
    rows = clean_rows(200)
    rows[50:58, 1:5] = rows[50, 1:5]
    rows[100:104, VOLUME] = 0
    rows[150, 1:5] *= 1.01
    assert quality.check(rows).clean
    limits = quality.Limits(frozen_bars=8, idle_bars=4, spike=4.0)
    assert places_of(quality.check(rows, limits=limits)) == {
        "frozen": [(50, 8)], "zero_volume": [(100, 4)], "spike": [(150, 1)]
    }  # fmt: skip
    assert quality.check(rows, limits=quality.Limits(copied_bars=2)).clean


@pytest.mark.parametrize(
    "wrong",
    [{"frozen_bars": 1}, {"idle_bars": 0}, {"copied_bars": 2.5}, {"spike": 0}, {"wick": math.nan}, {"spike": True}],
)
def test_limits_out_of_range_are_refused(wrong):
    """With the name, the value and what to write."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        quality.Limits(**wrong)


def test_frozen_is_what_a_market_does_not_explain():
    """Untraded bars at one price are quiet; traded, of unknown volume, or with a range they are frozen."""
    for volume, flat, expected in (
        (0.0, True, {"zero_volume": [(50, 25)]}), (0.0, False, {"zero_volume": [(50, 25)], "frozen": [(50, 25)]}),
        (math.nan, True, {"unknown_volume": [(50, 25)], "frozen": [(50, 25)]}), (3.0, True, {"frozen": [(50, 25)]}),
    ):  # fmt: skip
        rows = clean_rows(150)
        rows[50:75, 1:5] = rows[50, CLOSE] if flat else rows[50, 1:5]
        rows[50:75, VOLUME] = volume
        assert places_of(quality.check(rows)) == expected


def test_frozen_runs_one_after_another_stay_apart():
    """A copied stretch inside a frozen run is part of it; one beside it is another place."""
    rows = clean_rows(150)
    rows[20:45, 1:5] = rows[20, 1:5]
    rows[30:36, VOLUME] = 1.0
    rows[45:50, 1:6] = rows[45, 1:6]
    assert places_of(quality.check(rows)) == {"frozen": [(20, 25), (45, 5)]}


@pytest.mark.parametrize("others", ["move", "stand"])
def test_unknown_volume_of_a_panel_is_judged_by_the_other_symbols(others):
    """A flat stretch of unknown volume is a frozen feed where others moved, and a quiet market where none did."""
    first, second = clean_rows(100, seed=1), clean_rows(100, seed=2)
    first[30:60, 1:5], first[30:60, VOLUME] = first[30, CLOSE], math.nan
    if others == "stand":
        second[29:61, 1:5], second[29:61, VOLUME] = second[29, CLOSE], math.nan
    candles = [
        Candles.from_rows(rows.tolist(), timeframe="1m", symbol=name)
        for name, rows in (("A", first), ("B", second))
    ]  # fmt: skip
    frozen = quality.check(Panel.from_candles(candles)).of("frozen", "A")
    assert (frozen is not None) == (others == "move")


# Panels


def test_panel_of_one_symbol_reads_as_its_candles():
    """Nothing is an outage where there is no other symbol to tell."""
    rows = np.delete(clean_rows(60), 30, axis=0)
    candles = Candles.from_rows(rows.tolist(), timeframe="1m", symbol="BTC/USDT")
    report = quality.check(Panel.from_candles([candles]))
    assert report == quality.check(candles)
    assert places_of(report) == {"gap": [(30, 1)]}


def test_panel_says_of_all_symbols_what_is_of_all():
    """Times off the grid are said once; a symbol's own faults under its name."""
    rows = clean_rows(60)
    rows[20, TIME] += 7
    wrong = rows.copy()
    wrong[40, CLOSE] = -1
    panel = Panel.from_candles(
        [Candles.from_rows(r.tolist(), timeframe="1m", symbol=s) for s, r in (("A", rows), ("B", wrong))]
    )
    report = quality.check(panel)
    assert [(f.symbol, f.kind) for f in report.findings] == [("", "off_grid"), ("B", "not_positive")]
    assert report.rows == 120
    assert "2 symbols" in report.summary()
    assert "B not_positive" in report.summary()
    assert list(report.by_symbol()) == ["", "B"]
    mended = quality.repair(panel, ["snap_to_grid", "drop_bad_prices"])
    assert mended.candles.symbols == ("A", "B")
    assert [(c.symbol, c.rule, c.count) for c in mended.changes] == [
        ("A", "snap_to_grid", 1), ("B", "snap_to_grid", 1), ("B", "drop_bad_prices", 1)
    ]  # fmt: skip
    assert quality.check(mended.candles).kinds == ("gap",)


def test_empty_data_is_clean_and_cannot_be_repaired():
    """No rows, no symbols, no times."""
    assert quality.check([]).clean
    assert quality.check(np.empty((0, 6)), "1m").summary() == "1m: 0 rows: clean"
    nothing = np.empty((0, 0))
    panel = Panel(
        symbols=(), timeframe="1m", time=[], open=nothing, high=nothing, low=nothing, close=nothing, volume=nothing
    )
    assert quality.check(panel).clean
    assert quality.repair(panel, ["sort"]).changes == ()
    assert quality.check([[None, 1, 1, 1, 1, 1]]).kinds == ("bad_time",)
    with pytest.raises(UsageError, match="nothing to repair"):
        quality.repair([], ["sort"])


# What is refused


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ("candles.csv", UsageError, "give Candles"),
        (7, UsageError, "give Candles"),
        (np.zeros(6), UsageError, r"shape \(6,\)"),
        (np.zeros((3, 5)), UsageError, r"shape \(3, 5\)"),
        (np.zeros((3, 6), dtype=complex), UsageError, "complex"),
        ([[1, 2, 3]], DataError, r"row 0 was \[1, 2, 3\]"),
        ([[START, 1, 1, 1, 1, 1], [START, 1, "x", 1, 1, 1]], DataError, "row 1 was"),
        ([{"time": 1}], DataError, "row 0 was"),
        ([[START, 1, 1, 1, 1, 1]], UsageError, "timeframe='1m'"),
        ([[START, 1, 1, 1, 1, 1], [START + 1, 1, 1, 1, 1, 1]], UsageError, "step was 1 ms"),
    ],
)
def test_data_that_cannot_be_judged_is_refused(data, error, said):
    """With what was given and what to give."""
    with pytest.raises(error, match=said):
        quality.check(data)


def test_calls_that_contradict_themselves_are_refused():
    """A timeframe other than the candles' own, unknown rules, sources of two kinds."""
    rows = clean_rows(50).tolist()
    candles = Candles.from_rows(rows, timeframe="1m", symbol="A")
    panel = Panel.from_candles([candles])
    for call, said in (
        (lambda: quality.check(candles, "5m"), "candles' own is 1m"),
        (lambda: quality.check(panel, "5m"), "panel's own is 1m"),
        (lambda: quality.check(candles, limits={"spike": 3}), "limits was"),
        (lambda: quality.repair(candles, "sort"), r"\['drop_bad_times'\]"),
        (lambda: quality.repair(candles, ["sorted"]), "did you mean sort"),
        (lambda: quality.repair(candles, ["shift_hours"]), "against="),
        (lambda: quality.repair(panel, ["shift_hours"], against=candles), "no Panel"),
        (lambda: quality.compare(candles, panel), "panel.candles"),
        (lambda: quality.compare(panel, Panel.from_candles({"B": candles})), "no symbol is in both"),
        (lambda: quality.compare(candles, candles, tolerance=-1), "tolerance was -1"),
        (lambda: quality.compare(candles, Candles.from_rows([], timeframe="1h")), "of 1m and second of 1h"),
        (lambda: quality.compare([], candles), "nothing to compare"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            call()


# Repairs


def test_nothing_is_changed_that_was_not_named():
    """No rule, no change; and what Candles cannot hold is refused with the rules that it takes."""
    rows = clean_rows(60)
    rows[30, CLOSE], rows[40, HIGH] = math.nan, 1.0
    mended = quality.repair(rows, [])
    assert (mended.changes, mended.summary()) == ((), "nothing changed")
    assert np.array_equal(mended.candles.close, rows[:, CLOSE], equal_nan=True)
    doubled = np.vstack([rows, rows[5:7], [[math.nan, *rows[0, 1:]]]])
    doubled[-2, VOLUME] += 1
    with pytest.raises(DataError) as refused:
        quality.repair(doubled, ["clip_high_low"], "1m")
    for part in (
        "1 bad_time (drop_bad_times)",
        "2 unordered (sort)",
        "1 duplicate (drop_duplicates)",
        "1 conflict (keep_last)",
    ):
        assert part in str(refused.value)
    with pytest.raises(DataError, match=r"time_unit \(convert_times\)"):
        quality.repair(np.column_stack([rows[:, TIME] / 1000, rows[:, 1:]]), ["sort"])


def test_every_change_says_what_was_and_what_is():
    """Rows dropped with all they held, values with the old and the new, bars added with theirs."""
    rows = clean_rows(60)
    rows[30, HIGH] = 1.0
    rows[31, VOLUME] = -4.0
    kept = np.delete(rows, 45, axis=0)
    mended = quality.repair(kept, ["clip_high_low", "blank_bad_volume", "fill_gaps_flat", "drop_spikes"])
    volume, clip, fill = mended.changes
    assert (volume.rule, volume.row.tolist(), volume.old["volume"].tolist()) == ("blank_bad_volume", [31], [-4.0])
    assert np.isnan(volume.new["volume"]).all()
    assert (clip.old["high"].tolist(), clip.new["high"].tolist()) == ([1.0], [max(rows[30, 1], rows[30, CLOSE])])
    assert set(clip.old) == {"high", "low"}
    assert (fill.row.tolist(), fill.time.tolist()) == ([-1], [START + 45 * 60_000])
    assert (fill.old, fill.new["close"].tolist()) == ({}, [rows[44, CLOSE]])
    assert np.flatnonzero(mended.filled).tolist() == [45]
    read = json.loads(json.dumps(mended.to_dict()))
    assert [change["rule"] for change in read["changes"]] == ["blank_bad_volume", "clip_high_low", "fill_gaps_flat"]
    assert read["changes"][0]["new"] == {"volume": [None]}


def test_frames_keep_which_bar_is_still_forming():
    """A column closed of a frame, and that of Candles, is carried through a repair."""
    candles = Candles.from_rows(clean_rows(60).tolist(), timeframe="1m", now=START + 59 * 60_000 + 5)
    assert not candles.closed[-1]
    for data in (candles, candles.to_frame()):
        mended = quality.repair(data, ["sort"], "1m")
        assert mended.candles == candles


def test_bars_are_snapped_to_the_bar_they_lie_in_or_the_free_one_after_it():
    """Close times go to their open; one that comes a moment early goes to the bar that has none."""
    rows = clean_rows(60)
    closing = rows.copy()
    closing[:, TIME] += 59_999
    assert np.array_equal(quality.repair(closing, ["snap_to_grid"], "1m").candles.time, rows[:, TIME])
    early = rows.copy()
    early[30, TIME] -= 2
    assert np.array_equal(quality.repair(early, ["snap_to_grid"], "1m").candles.time, rows[:, TIME])
    between = np.insert(rows, 31, rows[30] + [7, 0, 0, 0, 0, 0], axis=0)
    with pytest.raises(DataError, match="duplicate"):
        quality.repair(between, ["snap_to_grid"], "1m")
    both = quality.repair(between, ["snap_to_grid", "drop_duplicates"], "1m")
    assert np.array_equal(both.candles.time, rows[:, TIME])


def test_gaps_that_nobody_can_mean_are_not_filled():
    """One wrong time makes a gap of ages; and before the first price there is nothing to fill with."""
    rows = clean_rows(60, "1s")
    rows[-1, TIME] += 300 * 365 * DAY
    with pytest.raises(DataError, match="is a time wrong"):
        quality.repair(rows, ["fill_gaps_flat"], "1s")
    priceless = np.delete(clean_rows(60), 1, axis=0)
    priceless[0, CLOSE] = math.nan
    with pytest.raises(DataError, match="drop_bad_prices"):
        quality.repair(priceless, ["fill_gaps_flat"])
    after = np.delete(clean_rows(60), 31, axis=0)
    after[30, CLOSE] = math.nan
    assert quality.repair(after, ["fill_gaps_flat"]).candles.close[31] == after[29, CLOSE]


def test_spikes_that_show_once_others_are_gone_are_dropped_too():
    """Two spikes side by side: once the higher is gone the other stands alone, and a second repair finds nothing."""
    rows = clean_rows(200)
    rows[100, 1:5] *= 40
    rows[101, 1:5] *= 2
    mended = quality.repair(rows, ["drop_spikes"])
    assert "spike" not in quality.check(mended.candles).kinds
    assert quality.repair(mended.candles, ["drop_spikes"]).changes == ()


# Two sources


def test_sources_without_common_times_are_told():
    """Nothing is compared where nothing lies in both."""
    first, second = clean_rows(50), clean_rows(50, start=START + 5 * DAY)
    assert places_of(quality.compare(first, second)) == {"no_overlap": [(0, 50)]}
    nothing = np.full((1, 6), math.nan)
    assert places_of(quality.compare(nothing, nothing, "1m")) == {"no_overlap": [(-1, 0)]}
    assert quality.compare(nothing, nothing, "1m").to_dict()["ok"] is False


def test_values_that_one_source_does_not_know_are_disagreements():
    """NaN against a number differs, NaN against NaN does not."""
    first, second = clean_rows(50), clean_rows(50)
    first[10, CLOSE] = second[11, 1] = math.nan
    first[20, VOLUME] = second[20, VOLUME] = math.nan
    first[30, VOLUME] = math.inf
    report = quality.compare(first, second)
    assert places_of(report) == {"price_disagreement": [(10, 2)], "volume_disagreement": [(30, 1)]}
    assert "one is not finite" in report.findings[0].text


def test_local_times_are_found_with_the_change_of_clocks():
    """A source in New York's time is five hours early, then four; both stretches are found to the bar."""
    right = clean_rows(6000, "5m", start=at(2024, 3, 1))
    local = local_rows(right, "America/New_York")
    report = quality.compare(local, right, "5m")
    change = int(np.searchsorted(right[:, TIME], at(2024, 3, 10, 7)))
    assert places_of(report) == {"shifted": [(0, change), (change, 6000 - change)]}
    assert "-5 h, -4 h" in report.findings[0].text
    mended = quality.repair(local, ["shift_hours"], "5m", against=right)
    assert np.array_equal(mended.candles.time, right[:, TIME])


def test_markets_that_have_nothing_to_do_with_each_other_are_not_shifted():
    """Where no shift makes the moves alike, and where there are none, none is claimed."""
    one, other = clean_rows(2000, seed=1), clean_rows(2000, seed=2)
    assert "shifted" not in quality.compare(one, other, tolerance=1).kinds
    still = clean_rows(2000)
    still[:, list(PRICES)] = 5.0
    assert "shifted" not in quality.compare(still, one, tolerance=1).kinds
    months = clean_rows(60, "1M")
    assert quality.compare(months, months, "1M").clean


def test_panels_are_compared_symbol_by_symbol():
    """Those that both have; shifted ones are moved back each by its own."""
    rows = {s: clean_rows(300, seed=i) for i, s in enumerate("ABC")}
    late = rows["B"].copy()
    late[:, TIME] += 2 * HOUR
    first = Panel.from_candles(
        {s: Candles.from_rows(r.tolist(), timeframe="1m") for s, r in (("A", rows["A"]), ("B", late))}
    )
    second = Panel.from_candles(
        {s: Candles.from_rows(r.tolist(), timeframe="1m") for s, r in rows.items()}
    )  # fmt: skip
    report = quality.compare(first, second)
    assert [(f.symbol, f.kind) for f in report.findings] == [("B", "shifted")]
    mended = quality.repair(first, ["shift_hours"], against=second)
    assert quality.compare(mended.candles, second).clean
    assert [change.symbol for change in mended.changes] == ["B"]


def test_numbers_at_the_end_of_their_range_are_judged_without_a_warning():
    """Prices of 1e308 and volumes as large, in a panel and against another source."""
    rows, other = clean_rows(80), clean_rows(80)
    rows[10:14, 1:5], rows[20, VOLUME] = [[1.7e308], [-1.7e308], [math.inf], [5e-324]], -1.7e308
    other[10:14, 1:5], other[20, VOLUME] = [[-1.7e308], [1.7e308], [-math.inf], [1.7e308]], 1.7e308
    one, two = (Candles.from_rows(r.tolist(), timeframe="1m", symbol="A") for r in (rows, other))
    panel = Panel.from_candles({"A": one, "B": two})
    assert {(f.symbol, f.kind) for f in quality.check(panel).findings} == {
        ("A", "not_finite"), ("A", "not_positive"), ("A", "bad_volume"), ("B", "not_finite"), ("B", "not_positive")
    }  # fmt: skip
    assert places_of(quality.compare(one, two))["price_disagreement"] == [(10, 4)]


# Frames


def test_frames_are_read_with_what_is_wrong_with_their_times():
    """NaT, doubled and unordered times of an index, and numbers in seconds in a column."""
    candles = Candles.from_rows(clean_rows(60).tolist(), timeframe="1m")
    frame = candles.to_frame()
    mixed = pd.concat([frame.iloc[:30], frame.iloc[10:11], frame.iloc[30:]])
    mixed.index = [*mixed.index[:50], pd.NaT, *mixed.index[51:]]
    assert places_of(quality.check(mixed, "1m")) == {
        "bad_time": [(50, 1)], "unordered": [(30, 1)], "duplicate": [(10, 1)], "gap": [(51, 1)]
    }  # fmt: skip
    seconds = frame.reset_index(drop=True).assign(timestamp=candles.time // 1000)
    assert quality.check(seconds, "1m").kinds == ("time_unit",)
    with pytest.raises(DataError, match="lacks volume"):
        quality.check(frame.drop(columns="volume"), "1m")
    with pytest.raises(DataError, match=r"cannot be read as times: .*noon") as refused:
        quality.check(frame.reset_index(drop=True).assign(time="noon"), "1m")
    assert "\n" not in str(refused.value)


def test_numbers_beyond_floats_names_that_are_no_text_and_rules_that_are_no_names_are_refused_plainly():
    """What a row, a symbol or a rule cannot be is said, with where it stands."""
    with pytest.raises(DataError, match=r"row 1 was \[120000, 1000"):
        quality.check([[60_000, 1, 1, 1, 1, 1], [120_000, 10**400, 1, 1, 1, 1]], "1m")
    with pytest.raises(UsageError, match="symbol was 5"):
        quality.check(clean_rows(3), symbol=5)
    with pytest.raises(UsageError, match="exchange was None"):
        quality.repair(clean_rows(3), ["sort"], exchange=None)
    with pytest.raises(UnknownName, match=r"rule was \['sort'\]"):
        quality.repair(clean_rows(3), [["sort"]])


def test_symbol_that_the_other_panel_lacks_keeps_its_times():
    """Hours are put right where there is something to hold them against."""
    candles = Candles.from_rows(clean_rows(200).tolist(), timeframe="1m")
    rows = clean_rows(200)
    rows[:, TIME] += HOUR
    late = Candles.from_rows(rows.tolist(), timeframe="1m")
    panel = Panel.from_candles({"A": late, "B": late})
    mended = quality.repair(panel, ["shift_hours"], against=Panel.from_candles({"A": candles}))
    assert [change.symbol for change in mended.changes] == ["A"]
    assert mended.candles.candles("A").time[0] == START
    assert mended.candles.candles("B").time[0] == START + HOUR


def test_symbols_that_never_traded_together_have_no_outage_between_them():
    """Between one that ended and one that began later nothing was to be expected."""
    rows = clean_rows(100).tolist()
    early, late = (Candles.from_rows(part, timeframe="1m") for part in (rows[:40], rows[60:]))
    assert quality.check(Panel.from_candles({"A": early, "B": late})).clean
    whole = Candles.from_rows(rows[:45] + rows[55:], timeframe="1m")
    report = quality.check(Panel.from_candles({"A": early, "B": late, "C": whole}))
    assert [(f.symbol, f.kind, f.total_bars) for f in report.findings] == [("", "outage", 10)]


# What is written about it


def test_reference_lists_every_kind_and_rule_as_the_code_does():
    """The tables of the page are those of the code."""
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "reference" / "quality.md").read_text()
    for name, kind in quality.KINDS.items():
        by = ", ".join(f"`{rule}`" for rule, what in quality.RULES.items() if name in what.mends)
        assert f"| `{name}` | {kind.severity} | {kind.meaning} | {by} |\n" in page
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and line.count("|") == 3]
    assert listed == list(quality.RULES)
    for name, rule in quality.RULES.items():
        assert f"| `{name}` | {rule.meaning.replace('``', '`')} |\n" in page
