"""Clean candles, and faults planted in them at known places, for what `analysis.quality` must find."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from tradeutils import timeframe

START = 1_704_067_200_000  # 2024-01-01, a Monday, far from where clocks change
SLOT = 40  # rows between two faults: longer than any of them
TIME, OPEN, HIGH, LOW, CLOSE, VOLUME = range(6)
PRICES = (OPEN, HIGH, LOW, CLOSE)


def clean_rows(bars, frame="1m", *, seed=0, start=START, size=100.0, moves=1e-3):
    """Return a random walk as rows: every bar there, every price in its place, something traded in each."""
    rng = np.random.default_rng(seed)
    close = size * np.exp(np.cumsum(rng.normal(0, moves, bars)))
    opened = np.r_[size, close[:-1]]
    high = np.maximum(opened, close) * (1 + rng.uniform(0, moves, bars))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, moves, bars))
    step = timeframe.parse(frame)
    time = step.shift(np.full(bars, step.ceil(start)), np.arange(bars))
    return np.column_stack([time, opened, high, low, close, rng.uniform(1, 2, bars)])


class Series:
    """Rows that can be inserted and deleted while the places of faults stay known."""

    def __init__(self, rows, frame):
        self.rows = [row.copy() for row in rows]
        self.ms = timeframe.parse(frame).ms
        self.expected = []  # kind, the row object it begins at, bars

    def found(self, kind, row, bars=1):
        self.expected.append((kind, row, bars))

    def places(self):
        """Return what must be found: the row and the bars of every place, by kind."""
        at = {id(row): number for number, row in enumerate(self.rows)}
        found = {}
        for kind, row, bars in self.expected:
            found.setdefault(kind, []).append((at[id(row)], bars))
        return {kind: sorted(places) for kind, places in found.items()}

    def table(self):
        return np.array(self.rows)


def gap(draw, s, at):
    bars = draw(st.integers(1, 12))
    s.found("gap", s.rows[at + bars], bars)
    del s.rows[at : at + bars]


def duplicate(draw, s, at):
    copies = draw(st.integers(1, 4))
    s.rows[at:at] = [s.rows[at].copy() for _ in range(copies)]
    s.found("duplicate", s.rows[at], copies)


def conflict(draw, s, at):
    other = s.rows[at].copy()
    other[VOLUME] *= draw(st.floats(0.1, 0.9))
    s.rows.insert(at, other)
    s.found("conflict", other)


def off_grid(draw, s, at):
    s.rows[at][TIME] += draw(st.integers(1, s.ms - 1))
    s.found("off_grid", s.rows[at])


def unordered(draw, s, at):
    apart = draw(st.integers(1, 9))
    s.rows[at], s.rows[at + apart] = s.rows[at + apart], s.rows[at]
    s.found("unordered", s.rows[at + 1], apart)


def bad_time(draw, s, at):
    stray = s.rows[at].copy()
    stray[TIME] = draw(st.sampled_from([math.nan, math.inf, -math.inf, 1e300]))
    s.rows.insert(at, stray)
    s.found("bad_time", stray)


def time_unit(draw, s, at):
    s.rows[at][TIME] *= draw(st.sampled_from([1e-3, 1e3, 1e6]))
    s.found("time_unit", s.rows[at])


def not_finite(draw, s, at):
    s.rows[at][draw(st.sampled_from(PRICES))] = draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    s.found("not_finite", s.rows[at])


def not_positive(draw, s, at):
    s.rows[at][draw(st.sampled_from(PRICES))] = draw(st.sampled_from([0.0, -0.0, -1e-300, -100.0]))
    s.found("not_positive", s.rows[at])


def high_below_body(draw, s, at):
    s.rows[at][HIGH] = max(s.rows[at][OPEN], s.rows[at][CLOSE]) * draw(st.floats(0.01, 1 - 1e-12))
    s.found("high_below_body", s.rows[at])


def low_above_body(draw, s, at):
    s.rows[at][LOW] = min(s.rows[at][OPEN], s.rows[at][CLOSE]) * draw(st.floats(1 + 1e-12, 100))
    s.found("low_above_body", s.rows[at])


def bad_volume(draw, s, at):
    s.rows[at][VOLUME] = draw(st.sampled_from([-1e-9, -5.0, math.inf, -math.inf]))
    s.found("bad_volume", s.rows[at])


def unknown_volume(draw, s, at):
    bars = draw(st.integers(1, 20))
    for row in s.rows[at : at + bars]:
        row[VOLUME] = math.nan
    s.found("unknown_volume", s.rows[at], bars)


def zero_volume(draw, s, at):
    bars = draw(st.integers(10, 20))
    for row in s.rows[at : at + bars]:
        row[VOLUME] = 0.0
    s.found("zero_volume", s.rows[at], bars)


def frozen(draw, s, at):
    copied = draw(st.booleans())
    bars = draw(st.integers(5 if copied else 20, 26))
    for row in s.rows[at + 1 : at + bars]:
        row[OPEN : VOLUME + copied] = s.rows[at][OPEN : VOLUME + copied]
    s.found("frozen", s.rows[at], bars)


def spike(draw, s, at):
    row, factor = s.rows[at], draw(st.floats(1.3, 1000.0))
    where = draw(st.sampled_from(["bar up", "bar down", "close", "high", "low", "open"]))
    if where.startswith("bar"):
        row[OPEN:VOLUME] *= factor if where == "bar up" else 1 / factor
    elif where == "low":
        row[LOW] /= factor
    else:
        row[{"close": CLOSE, "open": OPEN, "high": HIGH}[where]] *= factor
        row[HIGH] = max(row[OPEN], row[HIGH], row[CLOSE])
    s.found("spike", row)


FAULTS = {
    plant.__name__: plant
    for plant in (
        gap, duplicate, conflict, off_grid, unordered, bad_time, time_unit, not_finite, not_positive,
        high_below_body, low_above_body, bad_volume, unknown_volume, zero_volume, frozen, spike,
    )
}  # fmt: skip
"""Every fault of one series that has a place, by the kind under which it must be found."""


@st.composite
def faulty(draw, kinds=tuple(FAULTS), *, most=8, frames=("1s", "1m", "5m", "1h"), least=0):
    """Draw clean candles with faults planted far from each other: their timeframe, and the `Series`."""
    frame = draw(st.sampled_from(frames))
    rows = clean_rows(
        SLOT * (most + 2), frame, seed=draw(st.integers(0, 2**32 - 1)), size=draw(st.sampled_from([1e-7, 1.0, 1e5])),
        moves=draw(st.sampled_from([1e-5, 1e-3, 2e-3])),
    )  # fmt: skip
    series = Series(rows, frame)
    slots = sorted(draw(st.lists(st.integers(1, most), unique=True, min_size=least, max_size=most)), reverse=True)
    for slot in slots:
        FAULTS[draw(st.sampled_from(kinds))](draw, series, slot * SLOT + draw(st.integers(0, 9)))
    return frame, series


def places_of(report):
    """Return the row and the bars of every place a report has, by kind."""
    return {f.kind: sorted((place.row, place.bars) for place in f.places()) for f in report.findings}
