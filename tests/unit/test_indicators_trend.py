"""Trend: each indicator worked by hand, and against plain references where TA-Lib has none."""

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from references import trend as references
from references.bars import bars

from tradeutils import indicators
from tradeutils.errors import UsageError
from tradeutils.indicators import REGISTRY
from tradeutils.indicators.cpu import MODES, kernel_of
from tradeutils.indicators.operators import reversal

NAN = np.nan
HIGH, LOW, CLOSE = [3, 5, 6, 8], [1, 2, 4, 5], [2, 4, 5, 7]


def close_to(made, want, **tolerance):
    """Assert that outputs are the numbers wanted, unknown where they are."""
    for output, numbers in zip(np.atleast_2d(made), np.atleast_2d(want), strict=True):
        np.testing.assert_allclose(output, numbers, **{"rtol": 1e-13, "atol": 0, **tolerance})


def test_aroon_worked_by_hand():
    """
    Of the last four bars the highest is two, then three bars old: 100/3, 0; the lowest three, then none: 0, 100.

    Of two equal lows the newer counts (TA-Lib; T. Chande 1995).
    """
    high, low = [1, 4, 2, 3, 2], [0, 2, 1, 2, 1]
    close_to(indicators.aroon(high, low, 3), [[NAN] * 3 + [0, 100], [NAN] * 3 + [100 / 3, 0]])
    close_to(indicators.aroonosc(high, low, 3), [NAN] * 3 + [100 / 3, -100])


def test_sar_worked_by_hand():
    """
    Steps of 0.1 up to 0.2 (J. W. Wilder 1978; TA-Lib's start).

    The low has not fallen: long, from the first low, 8. 8 + 0.1 (11 - 8) = 8.3. The high 13: 8.3 + 0.2 (13 - 8.3)
    = 9.24, held at the low 9 of the bar before. 9 + 0.2 (13 - 9) = 9.8 lies above the low 7: short, from 13.
    """
    made = indicators.sar([10, 11, 13, 12, 9], [8, 9, 10, 10.5, 7], 0.1, 0.2)
    close_to(made, [NAN, 8, 8.3, 9, 13])


def test_sar_begins_short_where_the_low_falls_the_more():
    """From the first high, 10, then 10 + 0.1 (7 - 10) = 9.7, held at the high 9.8 of the bar before."""
    close_to(indicators.sar([10, 9.8, 9], [8, 7, 7.5], 0.1, 0.2), [NAN, 10, 9.8])


def test_sar_steps_no_further_than_the_maximum():
    """A step beyond the maximum is the maximum, as in TA-Lib: 8 + 0.2 (11 - 8) = 8.6."""
    close_to(indicators.sar([10, 11, 12], [8, 9, 10], 0.5, 0.2), [NAN, 8, 8.6])


def test_sar_of_tradingview_worked_by_hand():
    """
    The stop of a bar is moved towards the extreme of the bar before it, then held at the last two lows.

    8 + 0.1 (11 - 8) = 8.3, held at 8; again 8.3, held at 8; the high 13 gives 8 + 0.2 (13 - 8) = 9 and 9.8: turned.
    """
    made = indicators.sar([10, 11, 13, 12, 9], [8, 9, 10, 10.5, 7], 0.1, 0.2, compat="tradingview")
    close_to(made, [NAN, 8, 8, 9, 13])


@pytest.mark.parametrize("compat", ["talib", "tradingview"])
@pytest.mark.parametrize("nan", ["restart", "propagate", "hold"])
def test_sar_in_plain_python_has_the_same_bits(compat, nan):
    """The kernel is what it reads as: run as Python, over a gap in each mode, it gives what its machine code gives."""
    market = bars(9, 60, moves=0.05)
    high, low = market["high"], market["low"]
    high[30] = NAN
    want = indicators.sar(high, low, 0.03, 0.2, nan=nan, compat=compat)
    kernel = kernel_of({"talib": reversal.sar, "tradingview": reversal.sar_tradingview}[compat])
    state, made = np.full((kernel.rows(0.03, 0.2), 1), kernel.fill), np.zeros((60, 1))
    kernel.function(high[:, np.newaxis], low[:, np.newaxis], made, state, 1, MODES[nan], 0.03, 0.2)
    np.testing.assert_array_equal(made[:, 0], want)


def test_sar_holds_over_a_missing_bar():
    """nan="hold": a missing bar is passed over, and the stop goes on as if it had not been."""
    market = bars(9, 60, moves=0.05)
    high, low = market["high"], market["low"]
    for compat in ("talib", "tradingview"):
        holed = [np.insert(column, 30, NAN) for column in (high, low)]
        made = indicators.sar(*holed, nan="hold", compat=compat)
        assert np.isnan(made[30])
        np.testing.assert_array_equal(np.delete(made, 30), indicators.sar(high, low, compat=compat))


def test_ichimoku_worked_by_hand():
    """
    Tenkan over 1, kijun over 2, senkou over 3 bars, displaced by 1 (G. Hosoda).

    Tenkan (3 + 1) / 2, (5 + 2) / 2 ..; kijun (5 + 1) / 2 ..; spans of the bar before, (3.5 + 3) / 2 and (6 + 1) / 2;
    close less the close before it.
    """
    made = indicators.ichimoku(HIGH, LOW, CLOSE, 1, 2, 3, 1)
    close_to(made[:2], [[2, 3.5, 5, 6.5], [NAN, 3, 4, 6]])
    close_to(made[2:4], [[NAN, NAN, 3.25, 4.5], [NAN, NAN, NAN, 3.5]])
    close_to(made.chikou, [NAN, 2, 1, 2])


def test_ichimoku_shows_the_chikou_where_charts_draw_it_only_with_lookahead():
    """With lookahead, chikou at a bar is the close of the bar after it, unknown at the last; the rest is as ever."""
    made = indicators.ichimoku(HIGH, LOW, CLOSE, 1, 2, 3, 1, lookahead=True)
    close_to(made[:4], indicators.ichimoku(HIGH, LOW, CLOSE, 1, 2, 3, 1)[:4])
    close_to(made.chikou, [4, 5, 7, NAN])


def test_ichimoku_of_tradingview_displaces_by_a_bar_less():
    """A displacement of 2 is one bar: the spans of the bar before, and close less the close before it."""
    made = indicators.ichimoku(HIGH, LOW, CLOSE, 1, 2, 3, 2, compat="tradingview")
    close_to(made, indicators.ichimoku(HIGH, LOW, CLOSE, 1, 2, 3, 1))
    close_to(indicators.ichimoku(HIGH, LOW, CLOSE, 1, 2, 3, 1, compat="tradingview")[2], [NAN, 3.25, 4.5, 6.25])


def test_dpo_worked_by_hand():
    """Means of two of 1 3 6 4 8 are 2 4.5 5 6; the price two bars ago less the mean: 1 - 4.5, 3 - 5, 6 - 6 (TA-Lib)."""
    close_to(indicators.dpo([1, 3, 6, 4, 8], 2), [NAN, NAN, -3.5, -2, 0])


def test_dpo_is_centred_only_with_lookahead():
    """The same stand at the bars of those prices; the last two are unknown."""
    for compat in ("talib", "tradingview"):
        close_to(indicators.dpo([1, 3, 6, 4, 8], 2, lookahead=True, compat=compat), [-3.5, -2, 0, NAN, NAN])


def test_dpo_of_tradingview_worked_by_hand():
    """Price less the mean of two bars ago: 4 - 2, 8 - 4.5."""
    close_to(indicators.dpo([1, 3, 6, 4, 8], 2, compat="tradingview"), [NAN, NAN, NAN, 2, 3.5])


def test_lookahead_shows_nothing_that_is_not_known_by_the_last_bar():
    """More bars never change a value that was known, and the end of a tail is the end of the whole."""
    close = bars(6, 120)["close"]
    whole = indicators.compute(close, ["dpo:20,1", "dpo:20"])
    part = indicators.dpo(close[:90], 20, lookahead=True)
    np.testing.assert_array_equal(part[:79], whole["dpo:20,1"][:79])
    assert np.isnan(part[79:]).all()
    for tail in (0, 1, 11, 12, 40, 500):
        last = indicators.compute(close, ["dpo:20,1", "dpo:20"], tail=tail)
        for key, values in whole.items():
            np.testing.assert_array_equal(last[key], values[max(0, 120 - tail) :])


def test_lookahead_beyond_the_data_is_unknown():
    """Fewer bars than are looked ahead: nothing is known, and nothing is written beside the result."""
    out = np.zeros(5)
    indicators.dpo(np.arange(5.0), 20, lookahead=True, out=out)
    assert np.isnan(out).all()
    high = np.arange(30.0)
    made = indicators.ichimoku(high, high, high, 1, 1, 1, 29, lookahead=True)
    close_to(made.chikou, [29.0] + [NAN] * 29)


def test_vortex_worked_by_hand():
    """
    Bars 10-8, 12-9, 13-11 closing at 9, 11, 12 (E. Botes, D. Siepman 2010).

    Up 12 - 8 and 13 - 9, down 10 - 9 and 12 - 11, true ranges 3 and 2: 8/5 and 2/5.
    """
    close_to(indicators.vortex([10, 12, 13], [8, 9, 11], [9, 11, 12], 2), [[NAN, NAN, 1.6], [NAN, NAN, 0.4]])


def test_chop_worked_by_hand():
    """A way of 3 + 2 in a range of 13 - 9 = 4, to the base of 2: 100 log2(5/4) (E. W. Dreiss)."""
    close_to(indicators.chop([10, 12, 13], [8, 9, 11], [9, 11, 12], 2), [NAN, NAN, 100 * np.log2(1.25)])


def test_chop_of_tradingview_counts_the_first_range():
    """Ranges of 2 and 3 in 12 - 8 = 4, then 3 and 2 in 13 - 9 = 4: a way of 5 in each."""
    made = indicators.chop([10, 12, 13], [8, 9, 11], [9, 11, 12], 2, compat="tradingview")
    close_to(made, [NAN, 100 * np.log2(1.25), 100 * np.log2(1.25)])


def test_chop_of_prices_that_stand_still_is_100():
    """Prices that go nowhere are as far from a trend as can be; others divide 0 by 0."""
    close_to(indicators.chop(*[np.full(6, 0.1)] * 3, 4), [NAN] * 4 + [100] * 2)


def test_massi_worked_by_hand():
    """EMA(2) of ranges 1 2 4 2 is 3/2, 19/6, 43/18, of these 7/3, 64/27: ratios 19/14, 129/128 (D. Dorsey 1992)."""
    close_to(indicators.massi([1, 2, 4, 2], [0, 0, 0, 0], 2, 2), [NAN, NAN, NAN, 19 / 14 + 129 / 128])


def test_massi_of_prices_that_stand_still_counts_its_bars():
    """An average range of nothing is as wide as its average: each bar counts one, as in TA-Lib."""
    close_to(indicators.massi(np.ones(6), np.ones(6), 2, 3), [NAN] * 4 + [3, 3])


def test_massi_of_tradingview_begins_with_the_first_range():
    """EMA 1 5/3, and of that 1 13/9: ratios 1 and 15/13, summed over two."""
    close_to(indicators.massi([1, 2], [0, 0], 2, 2, compat="tradingview"), [NAN, 28 / 13])


def test_lookahead_is_a_switch():
    """It is True or False, or 1 or 0, and nothing else; a number of bars is still no truth value."""
    indicator = REGISTRY["dpo"]
    assert indicator.label(indicator.bind((20, True))) == "dpo:20,1"
    for given_parameters in ((20, 2), (20, -1), (20, "yes"), (20, 0.5), (True, 0)):
        with pytest.raises(UsageError, match="write a whole number"):
            indicator.bind(given_parameters)


def test_a_spec_asks_for_lookahead_with_1():
    """A spec has no booleans: 1 looks ahead; 0, and nothing, does not."""
    close = bars(6, 120)["close"]
    made = indicators.compute(close, ["dpo:20", "dpo:20,0", "dpo:20,1"])
    np.testing.assert_array_equal(made["dpo:20"], indicators.dpo(close))
    np.testing.assert_array_equal(made["dpo:20,0"], indicators.dpo(close, lookahead=False))
    np.testing.assert_array_equal(made["dpo:20,1"], indicators.dpo(close, lookahead=True))


def period(lowest=1):
    """Draw a period that the walks are several times as long as."""
    return st.integers(lowest, 24)


SWITCH = st.sampled_from([0, 1])
CASES = [
    ("ichimoku", "", ("high", "low", "close"), (period(), period(), period(), period(), SWITCH)),
    ("ichimoku", "tradingview", ("high", "low", "close"), (period(), period(), period(), period(), SWITCH)),
    ("dpo", "", ("close",), (period(2), SWITCH)),
    ("dpo", "tradingview", ("close",), (period(2), SWITCH)),
    ("chop", "", ("high", "low", "close"), (period(2),)),
    ("chop", "tradingview", ("high", "low", "close"), (period(2),)),
    ("massi", "tradingview", ("high", "low"), (period(2), period(2))),
    ("sar", "tradingview", ("high", "low"), (st.floats(0.001, 0.3), st.floats(0.001, 0.5))),
]
TALIB = [
    *((name, ("high", "low"), (period,)) for name in ("aroon", "aroonosc") for period in (2, 5, 14, 33, 200)),
    *(("sar", ("high", "low"), steps) for steps in ((0.02, 0.2), (0.5, 0.2), (0.0, 0.2), (0.1, 1.0), (0.001, 0.01))),
    *(("dpo", ("close",), (period,)) for period in (2, 5, 20, 33, 200)),
    *(("vortex", ("high", "low", "close"), (period,)) for period in (1, 2, 14, 200)),
    ("massi", ("high", "low"), (9, 25)),
    ("massi", ("high", "low"), (33, 2)),
]
UNITLESS = {"vortex": 1, "chop": 100, "massi": 1, "aroon": 100, "aroonosc": 100}


@pytest.mark.parametrize("size", [1e5, 1e-9])
@pytest.mark.parametrize(("name", "inputs", "parameters"), TALIB, ids=lambda value: str(value)[:14])
def test_values_are_talibs(name, inputs, parameters, size):
    """From the first bar that TA-Lib knows, on prices of any size: its values, to 1e-10 of a price or of the whole."""
    market = bars(8, 600, size=size)
    columns = [market[column] for column in inputs]
    want = getattr(talib, name.upper())(*columns, *parameters)
    atol = 1e-10 * UNITLESS.get(name, size)
    close_to(getattr(indicators, name)(*columns, *parameters), want, rtol=1e-10, atol=atol)


@pytest.mark.parametrize(("name", "compat", "inputs", "parameters"), CASES, ids=lambda value: str(value)[:12])
@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_values_are_the_references(name, compat, inputs, parameters, data):
    """Any parameters, prices of any size, missing bars: the textbook's formula in long double, to 1e-11."""
    size = data.draw(st.sampled_from([1e-9, 1.0, 1e5]), "size")
    flat = data.draw(st.sampled_from([0.0, 0.3, 0.95] if name != "stochrsi" else [0.0]), "flat")
    market = bars(data.draw(st.integers(0, 2**32 - 1), "seed"), 150, size=size, flat=flat)
    columns = [market[column] for column in inputs]
    missing = data.draw(st.lists(st.integers(0, 149), max_size=2), "missing")
    for prices in columns:
        prices[missing] = NAN
    values = data.draw(st.tuples(*parameters), "parameters")
    options = {"compat": compat} if compat else {}
    made = np.atleast_2d(getattr(indicators, name)(*columns, *values, **options))
    want = np.atleast_2d(getattr(references, f"{name}_{compat}" if compat else name)(*columns, *values))
    if missing and name in ("ichimoku", "dpo"):
        # Prices of before a gap serve after it; the reference begins anew.
        assert values[-1] or np.isnan(made[:, missing]).all()
        made = np.where(np.isnan(want), NAN, made)
    close_to(made, want, rtol=1e-11, atol=1e-11 * UNITLESS.get(name, size))
