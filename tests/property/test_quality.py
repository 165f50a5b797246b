"""Faults are planted in clean candles: all are found, each at its place, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted_faults import CLOSE, FAULTS, PRICES, START, TIME, VOLUME, clean_rows, faulty, places_of

from tradeutils.analysis import quality
from tradeutils.model import Candles, Panel

RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
NEEDED = ["drop_bad_times", "convert_times", "sort", "drop_duplicates", "keep_last"]
HOUR = 3_600_000


def candles_of(rows, frame="1m", symbol=""):
    names = ("open", "high", "low", "close", "volume")
    columns = {name: np.ascontiguousarray(rows[:, i]) for i, name in enumerate(names, 1)}
    return Candles(symbol=symbol, timeframe=frame, time=rows[:, 0].astype(np.int64), **columns)


@settings(RELAXED, max_examples=200)
@given(faulty())
def test_all_planted_faults_are_found_where_they_are_and_nothing_else(planted):
    """Any number of faults of any kinds, in candles of any timeframe and price."""
    frame, series = planted
    report = quality.check(series.table(), frame)
    assert places_of(report) == series.places()
    assert report.clean == (not series.expected)


@pytest.mark.parametrize("kind", FAULTS)
@settings(RELAXED, max_examples=15)
@given(data=st.data())
def test_each_kind_of_fault_is_found_without_being_told_the_timeframe(kind, data):
    """From rows as lists, whose step tells the timeframe."""
    frame, series = data.draw(faulty((kind,), least=1))
    report = quality.check(series.table().tolist())
    assert places_of(report) == series.places()
    assert report.timeframe == frame


@RELAXED
@given(faulty(("gap", "off_grid", "not_finite", "not_positive", "high_below_body", "spike", "frozen", "zero_volume")))
def test_candles_and_frames_are_judged_as_rows_are(planted):
    """What Candles can hold at all reads the same from Candles, from their frame and from rows."""
    frame, series = planted
    table = series.table()
    candles = candles_of(table, frame)
    expected = series.places()
    assert places_of(quality.check(candles)) == expected
    assert places_of(quality.check(candles.to_frame(), frame)) == expected
    assert [(g.since, g.until, g.bars) for g in candles.gaps()] == [
        (place.since, place.until, place.bars)
        for finding in [quality.check(candles).of("gap")] if finding for place in finding.places()
    ]  # fmt: skip


@RELAXED
@given(faulty(), st.integers(60, 390))
def test_later_rows_do_not_change_what_is_said_of_earlier_ones(planted, rows):
    """Places that had ended two rows before a cut are those of the whole series."""
    frame, series = planted
    table = series.table()
    part, whole = (places_of(quality.check(t, frame)) for t in (table[:rows], table))
    for kind in FAULTS:
        ended = [place for place in whole.get(kind, []) if place[0] + place[1] * (kind != "gap") < rows - 12]
        assert [place for place in part.get(kind, []) if place in ended] == ended
        assert all(place in ended for place in part.get(kind, []) if place[0] < rows - 60), kind


@settings(RELAXED, max_examples=100)
@given(faulty(), st.sets(st.sampled_from([name for name in quality.RULES if name != "shift_hours"])))
def test_repairs_mend_what_they_name_once_and_leave_the_rest(planted, rules):
    """What the rules mend is gone; a second repair changes nothing; rows that no change names are as they were."""
    frame, series = planted
    table = series.table()
    rules = {*rules, *NEEDED}
    mended = quality.repair(table, rules, frame)
    left = quality.check(mended.candles).kinds
    for rule in rules:
        assert not set(quality.RULES[rule].mends) & set(left), rule
    again = quality.repair(mended.candles, rules)
    assert again.changes == ()
    assert again.candles == mended.candles
    assert {change.rule for change in mended.changes} <= rules
    touched = {int(row) for change in mended.changes for row in change.row}
    kept = np.array([row for number, row in enumerate(table) if number not in touched])
    at = np.isin(mended.candles.time, kept[:, TIME])
    for i, name in enumerate(("time", "open", "high", "low", "close", "volume")):
        assert np.array_equal(getattr(mended.candles, name)[at], kept[:, i], equal_nan=True), name


@RELAXED
@given(faulty(("gap",), least=1))
def test_filled_gaps_are_flat_untraded_and_marked(planted):
    """Bars that were made up stand at the close before them; the others are not touched."""
    frame, series = planted
    candles = candles_of(series.table(), frame)
    mended = quality.repair(candles, ["fill_gaps_flat"])
    filled, after = mended.filled, mended.candles
    assert after.gaps() == ()
    assert filled.sum() == sum(gap.bars for gap in candles.gaps())
    assert np.array_equal(after.time[~filled], candles.time)
    assert not after.volume[filled].any()
    before = np.maximum.accumulate(np.where(filled, 0, np.arange(len(after))))
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(after, name)[filled], after.close[before][filled])


@RELAXED
@given(
    st.sampled_from([("s", 1e-3), ("us", 1e3), ("ns", 1e6)]), st.sampled_from(["1s", "1m", "1h", "1d"]), st.booleans()
)
def test_times_of_another_unit_are_named_and_nothing_else(unit, frame, told):
    """All rows in seconds, micro- or nanoseconds are one finding, and read as milliseconds once that is asked for."""
    rows = clean_rows(120, frame)
    wrong = rows.copy()
    wrong[:, TIME] = wrong[:, TIME] * unit[1]
    report = quality.check(wrong, frame if told else None)
    assert places_of(report) == {"time_unit": [(0, 120)]}
    assert f"in {unit[0]}" in report.findings[0].text
    assert (report.timeframe, report.since) == (frame, int(rows[0, TIME]))
    mended = quality.repair(wrong, ["convert_times"], frame if told else None)
    assert np.array_equal(mended.candles.time, rows[:, TIME])


@RELAXED
@given(
    st.integers(-24, 24).filter(bool),
    st.sampled_from(["1m", "5m", "15m", "30m", "1h"]),
    st.integers(0, 2**32 - 1),
    st.floats(0, 0.5),
)
def test_times_off_by_whole_hours_are_found_and_put_right(hours, frame, seed, noise):
    """Two venues whose prices differ a little, one with its clock elsewhere: found, moved back, and not found again."""
    bars = 1500
    right = clean_rows(bars, frame, seed=seed)
    rng = np.random.default_rng(seed + 1)
    late = right.copy()
    late[:, list(PRICES)] *= np.exp(rng.normal(0, 1e-3 * noise, bars))[:, None]
    late[:, TIME] += hours * HOUR
    report = quality.compare(late, right, frame, tolerance=0.01)
    assert report.kinds == ("shifted",)
    assert f"{hours:+d} h" in report.findings[0].text
    assert places_of(report) == {"shifted": [(0, bars)]}
    mended = quality.repair(late, ["shift_hours"], frame, against=right)
    assert np.array_equal(mended.candles.time, right[:, TIME])
    assert quality.repair(mended.candles, ["shift_hours"], against=right).changes == ()


@RELAXED
@given(st.data())
def test_sources_disagree_where_they_were_made_to(data):
    """Rows taken from one, prices and volumes changed: each found in its run, and nothing else."""
    rows = clean_rows(300, "1m", seed=data.draw(st.integers(0, 99)))
    other = rows.copy()
    price, volume, gone, more = (10 + 60 * i + data.draw(st.integers(0, 20)) for i in range(4))
    count = data.draw(st.integers(1, 10))
    field = data.draw(st.sampled_from(PRICES))
    other[price : price + count, field] *= 1 + data.draw(st.sampled_from([-1, 1])) * data.draw(st.floats(0.01, 0.5))
    other[volume : volume + count, VOLUME] *= 2
    first, second = (
        np.delete(rows, slice(gone, gone + count), axis=0),
        np.delete(other, slice(more, more + count), axis=0),
    )
    report = quality.compare(first, second, "1m")
    assert places_of(report) == {
        "price_disagreement": [(price, count)],
        "volume_disagreement": [(volume, count)],
        "only_first": [(more - count, count)],
        "only_second": [(gone, count)],
    }
    assert quality.compare(first, second, "1m", tolerance=1.1).of("price_disagreement") is None


@RELAXED
@given(st.data())
def test_gaps_of_one_symbol_are_its_own_and_those_of_all_an_outage(data):
    """Bars taken from one symbol and bars taken from all; each symbol lists at its own time."""
    symbols = data.draw(st.integers(2, 5))
    outage, own = 60 + data.draw(st.integers(0, 20)), 120 + data.draw(st.integers(0, 20))
    lost, lacked = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    who = data.draw(st.integers(0, symbols - 1))
    candles = []
    for s in range(symbols):
        rows = clean_rows(200, "1m", seed=s)
        keep = np.ones(200, dtype=bool)
        keep[outage : outage + lost] = False
        keep[own : own + lacked] = s != who
        keep[: 5 * s] = False
        candles.append(candles_of(rows[keep], symbol=f"S{s}/USDT"))
    panel = Panel.from_candles(candles)
    report = quality.check(panel)
    assert [(f.symbol, f.kind, f.total_bars) for f in report.findings] == [
        ("", "outage", lost), (f"S{who}/USDT", "gap", lacked)
    ]  # fmt: skip
    assert next(report.findings[0].places()).since == START + outage * 60_000
    assert next(report.findings[1].places()).since == START + own * 60_000
    filled = quality.repair(panel, ["fill_gaps_flat"])
    assert quality.check(filled.candles).clean
    assert filled.filled.sum() == lost * symbols + lacked


@RELAXED
@given(st.permutations(range(4)), st.integers(0, 3), st.sampled_from(["spike", "nan", "frozen", "volume"]))
def test_order_of_the_symbols_changes_nothing_but_the_order(order, who, fault):
    """A fault in one symbol of a panel is found in it, wherever its column stands."""
    series = []
    for s in range(4):
        rows = clean_rows(150, "1m", seed=s)
        if s == who:
            where = slice(70, 95)
            if fault == "frozen":
                rows[where, 1:5] = rows[70, 1:5]
            else:
                column, value = {"spike": (2, 1e6), "nan": (CLOSE, np.nan), "volume": (VOLUME, -1.0)}[fault]
                rows[70, column] = value
        series.append(candles_of(rows, symbol=f"S{s}"))
    straight, mixed = (
        quality.check(Panel.from_candles(series)),
        quality.check(Panel.from_candles([series[i] for i in order])),
    )
    assert len(straight.findings) == 1
    assert straight.findings == mixed.findings
    assert straight.findings[0].symbol == f"S{who}"


@settings(RELAXED, max_examples=150)
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.none(), st.floats(), st.integers(-(2**63), 2**63), st.sampled_from([0, 60_000, 120_000, START])
            ),
            min_size=6,
            max_size=7,
        ),
        max_size=12,
    ),
    st.sampled_from(["1s", "1m", "1d", "1w", "1M"]),
)
def test_any_numbers_at_all_are_judged_and_never_a_crash(rows, frame):
    """Hostile rows give a report that is JSON, a frame and text; a second look says the same."""
    report = quality.check(rows, frame)
    assert quality.check(rows, frame) == report
    assert isinstance(report.to_frame(), pd.DataFrame)
    assert len(report.summary().splitlines()) == len(report.findings) + 1
    assert len(report.to_dict(places=1)["findings"]) == len(report.findings)
