"""Laws of candlestick patterns: equal to TA-Lib, causal, without a beginning, and the same in every layout."""

from itertools import pairwise

import numpy as np
import pytest
import talib
from candlesticks import CASES, DRAWN, panel_of, wanted, wild
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.analysis.patterns import NAMES, PATTERNS, find
from tradeutils.indicators.candlesticks.facts import SCALES

TICKS = [0.01, 1.0, 1e-8, 0.25, 3e5]
"""Decimal ones, whose prices are rounded, and ones that are exact."""

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15, deadline=None)


def assert_as_talib(columns, found=None):
    """Compare every value of every pattern; return how often each value occurs."""
    found = find(panel_of(columns)) if found is None else found
    counts = {}
    for name in NAMES:
        want = wanted(name, columns)
        np.testing.assert_array_equal(found[name], want, err_msg=name)
        values, times = np.unique(want[want != 0], return_counts=True)
        counts[name] = dict(zip(values.tolist(), times.tolist(), strict=True))
    return counts


@pytest.mark.parametrize("tick", TICKS)
def test_every_value_of_every_pattern_occurs_and_is_talibs(tick):
    """In wild walks each pattern has each of its values at least once, and all are TA-Lib's."""
    counts = assert_as_talib(wild(6000, 6, 20, tick))
    for name in NAMES:
        assert set(counts[name]) == set(DRAWN[name.removeprefix("cdl")]), name
        assert min(counts[name].values()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_near_misses_and_ties_of_a_pattern_are_talibs(name):
    """In walks full of one pattern, with prices moved about by a few ticks, its values are TA-Lib's."""
    own = [case for case in CASES if case[0] == name]
    for tick, seed in ((0.01, 1), (0.25, 2)):
        columns = wild(1500, 8, seed, tick, drawings=own)
        want = wanted(name, columns)
        np.testing.assert_array_equal(find(panel_of(columns), [name])[name], want)
        assert set(np.unique(want)) == {0, *PATTERNS[name].values}


@quick
@given(
    seed=seeds,
    tick=st.sampled_from(TICKS),
    bars=st.integers(1, 300),
    symbols=st.integers(1, 4),
    drawings=st.sampled_from([(), CASES]),
    price=st.sampled_from([5000, 2**17, 10**9]),
)
def test_values_are_talibs(seed, tick, bars, symbols, drawings, price):
    """Of walks in ticks, with ties on every side, all values are TA-Lib's."""
    assert_as_talib(wild(bars, symbols, seed, tick, price, drawings))


@quick
@given(seed=seeds, price=st.integers(40, 400), tick=st.sampled_from([1.0, 2.0**-20, 0.125]))
def test_values_are_talibs_at_any_price_where_ticks_are_exact(seed, price, tick):
    """Where no price is rounded TA-Lib's totals do not drift, and ties fall alike however few ticks a price is."""
    columns = wild(400, 2, seed, tick, price, drawings=())
    assert_as_talib(columns)


@quick
@given(seed=seeds)
def test_continuous_prices_give_talibs_values(seed):
    """Prices that fall by a factor of 1e4 and are in no ticks at all have TA-Lib's values."""
    columns = wild(400, 2, seed, 0.01)
    falling = np.exp(np.linspace(0, -9, 400))[:, np.newaxis]
    assert_as_talib([column * falling for column in columns])


@quick
@given(seed=seeds, cut=st.integers(0, 200), scale=st.sampled_from(SCALES))
def test_later_bars_change_nothing(seed, cut, scale):
    """A value depends on its bar and those before: more bars leave what was said as it is."""
    columns = wild(200, 2, seed)
    whole, part = (find(panel_of([column[:end] for column in columns]), scale=scale) for end in (200, cut))
    for name in NAMES:
        np.testing.assert_array_equal(whole[name][:cut], part[name])


@quick
@given(seed=seeds, start=st.integers(0, 100), price=st.sampled_from([60, 100_000]), scale=st.sampled_from(SCALES))
def test_values_do_not_depend_on_where_the_series_starts(seed, start, price, scale):
    """Once the lookback is there, earlier bars change nothing, not even where rounding decides a tie."""
    columns = wild(200, 2, seed, 0.01, price, drawings=())
    whole, part = (find(panel_of([column[at:] for column in columns]), scale=scale) for at in (0, start))
    for name in NAMES:
        lookback = PATTERNS[name].lookback
        np.testing.assert_array_equal(whole[name][start + lookback :], part[name][lookback:])


@quick
@given(seed=seeds, missing=st.sampled_from([0.005, 0.05, 0.3]), stands_for=st.sampled_from([np.nan, np.inf]))
def test_after_a_missing_bar_values_are_those_of_a_series_that_begins_there(seed, missing, stands_for):
    """Between missing bars each stretch has TA-Lib's values of itself, and a missing bar has none."""
    columns = wild(300, 2, seed)
    gaps = np.random.default_rng(seed).random((300, 2)) < missing
    for number, column in enumerate(columns):
        column[gaps & (np.random.default_rng(seed + 1).integers(0, 4, gaps.shape) == number)] = stands_for
    found = find(panel_of(columns))
    for symbol in range(2):
        edges = [-1, *np.flatnonzero(gaps[:, symbol]).tolist(), 300]
        for before, after in pairwise(edges):
            stretch = slice(before + 1, after)
            series = [np.ascontiguousarray(column[stretch, symbol]) for column in columns]
            for name in NAMES:
                made = found[name][:, symbol]
                assert before < 0 or made[before] == 0
                if len(series[0]):
                    np.testing.assert_array_equal(made[stretch], getattr(talib, name.upper())(*series))


@quick
@given(seed=seeds, missing=st.sampled_from([0.0, 0.02]), price=st.sampled_from([60, 100_000]))
def test_scales_agree_where_the_averages_are_full(seed, missing, price):
    """Relative to what is at hand is relative to all that TA-Lib asks for, to the bit, where that is at hand."""
    columns = wild(300, 2, seed, 0.01, price, drawings=CASES if price > 60 else ())
    gaps = np.random.default_rng(seed).random((300, 2)) < missing
    for column in columns:
        column[gaps] = np.nan
    since = np.zeros((300, 2), int)
    for t in range(300):
        since[t] = np.where(gaps[t], 0, (since[t - 1] if t else 0) + 1)
    usual, relative = find(panel_of(columns)), find(panel_of(columns), scale="relative")
    for name in NAMES:
        full = since > PATTERNS[name].lookback
        np.testing.assert_array_equal(relative[name][full], usual[name][full], err_msg=name)
        own = since >= PATTERNS[name].bars
        assert not relative[name][~own].any()


@quick
@given(seed=seeds, factor=st.sampled_from([2.0**-30, 0.5, 1024.0]), scale=st.sampled_from(SCALES))
def test_unit_of_prices_does_not_matter(seed, factor, scale):
    """Prices in another unit, exactly converted, have the same patterns."""
    columns = wild(200, 2, seed)
    made = find(panel_of([column * factor for column in columns]), scale=scale)
    assert {name: made[name].tobytes() for name in made} == {
        name: values.tobytes() for name, values in find(panel_of(columns), scale=scale).items()
    }


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", [(40, 1500), (500, 70), (3000, 9), (60_000, 1)])
def test_threads_layouts_and_choices_give_the_same_values(shape, scale):
    """However the work is cut, and whichever patterns are asked for together, a value is what it is alone."""
    columns = wild(shape[0], min(shape[1], 30), 7, drawings=())
    columns = [np.ascontiguousarray(np.resize(column.T, shape[::-1]).T) for column in columns]
    columns[1][shape[0] // 2, shape[1] // 2] = np.nan
    panel = panel_of(columns)
    want = find(panel, scale=scale, threads=1)
    for threads in (2, 5):
        assert find(panel, scale=scale, threads=threads) == want
    for name in ("engulfing", "risefall3methods", "hikkakemod"):
        np.testing.assert_array_equal(find(panel, [name], scale=scale, threads=2)[name], want[name])
    last = shape[1] - 1
    one = find(panel[panel.symbols[last]], scale=scale, threads=3)
    for name in NAMES:
        np.testing.assert_array_equal(one[name], want[name][:, last])
