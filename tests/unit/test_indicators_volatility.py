"""Volatility: cases worked by hand, references from the textbooks, and bars that do not move."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import volatility
from references.bars import assert_close, bars, markets

from tradeutils import indicators
from tradeutils.indicators import Indicators

NAN = np.nan
HIGH, LOW, CLOSE = [10, 12, 13, 12], [8, 9, 11, 7], [9, 11, 12, 8]
LN_2 = math.log(2)

WINDOW = st.integers(2, 25)
YEAR = st.sampled_from([0.0, 252.0, 525_600.0])
CASES = {
    "bbands_percent": (("close",), st.tuples(WINDOW, st.sampled_from([0.0, 1.5, 2.0]))),
    "bbands_width": (("close",), st.tuples(WINDOW, st.sampled_from([0.0, 1.5, 2.0]))),
    "trange": (("high", "low", "close"), st.tuples()),
    "natr": (("high", "low", "close"), st.tuples(WINDOW)),
    "keltner": (("high", "low", "close"), st.tuples(WINDOW, st.integers(1, 25), st.floats(0, 5))),
    "realized_volatility": (("close",), st.tuples(WINDOW, YEAR)),
    "parkinson": (("high", "low"), st.tuples(st.integers(1, 25), YEAR)),
    "garman_klass": (("open", "high", "low", "close"), st.tuples(st.integers(1, 25), YEAR)),
    "chaikin_volatility": (("high", "low"), st.tuples(WINDOW, st.integers(1, 25))),
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_values_are_the_textbooks(name, data):
    """On walks of every size, with flat, quiet and missing bars, values are those of a reference in long double."""
    columns, parameters = CASES[name]
    market, values = data.draw(markets()), data.draw(parameters)
    inputs = [market[column] for column in columns]
    assert_close(getattr(indicators, name)(*inputs, *values), getattr(volatility, name)(*inputs, *values))


def test_trange_worked_by_hand():
    """
    High 12, low 9 after a close of 9: max(3, 3, 0) = 3; then max(2, 2, 0) = 2 and max(5, 0, 5) = 5.

    The first bar has no close before it (Wilder 1978, TA-Lib's TRANGE).
    """
    np.testing.assert_array_equal(indicators.trange(HIGH, LOW, CLOSE), [NAN, 3, 2, 5])


def test_natr_worked_by_hand():
    """Averages of the ranges above 2.5 and (2.5 + 5) / 2 = 3.75: 250 / 12 and 375 / 8 (TA-Lib's NATR)."""
    np.testing.assert_allclose(indicators.natr(HIGH, LOW, CLOSE, 2), [NAN, NAN, 250 / 12, 46.875], rtol=1e-15)


def test_natr_of_a_price_of_zero_is_zero():
    """Where close is 0 there is nothing to take a percentage of: 0, as in TA-Lib."""
    np.testing.assert_array_equal(indicators.natr([2, 2, 2, 2], [0, 0, 0, 0], [1, 1, 1, 0], 2), [NAN, NAN, 200, 0])


def test_bbands_percent_worked_by_hand():
    """1 .. 5 have mean 3 and deviation s = sqrt 2: (5 - (3 - 2 s)) / 4 s = 1/2 + s / 4 (J. Bollinger, %b)."""
    np.testing.assert_allclose(indicators.bbands_percent([1, 2, 3, 4, 5], 5, 2.0)[4], 0.5 + 2**0.5 / 4, rtol=1e-15)


def test_bbands_width_worked_by_hand():
    """The bands of 1 .. 5 lie 4 sqrt 2 apart around 3 (J. Bollinger, BandWidth)."""
    np.testing.assert_allclose(indicators.bbands_width([1, 2, 3, 4, 5], 5, 2.0)[4], 4 * 2**0.5 / 3, rtol=1e-15)
    assert indicators.bbands_width([-1, 0, 1], 3, 2.0)[2] == 0.0  # around 0 there is nothing to relate to


def test_bands_that_fall_together_have_price_in_the_middle():
    """Of a constant, or of no deviations, %B is 0.5 and the width 0, at any price."""
    for price in (1e-9, 0.1, 3e7):
        flat = np.full(60, price)
        np.testing.assert_array_equal(indicators.bbands_percent(flat, 20)[19:], 0.5)
        np.testing.assert_array_equal(indicators.bbands_width(flat, 20)[19:], 0.0)
    np.testing.assert_array_equal(indicators.bbands_percent([1, 2, 4], 2, 0.0), [NAN, 0.5, 0.5])


def test_bbands_percent_keeps_its_digits_on_a_large_price():
    """On 1e5 +- 1e-3 the percentage keeps the digits of the distances."""
    close = 1e5 + 1e-3 * np.random.default_rng(1).standard_normal(500)
    np.testing.assert_allclose(
        indicators.bbands_percent(close, 20)[19:], volatility.bbands_percent(close, 20, 2.0)[19:], rtol=0, atol=1e-9
    )


def test_keltner_worked_by_hand():
    """
    Typical prices 9, 11, 13, periods 2 and 1: centres (9 + 11) / 2 = 10 and 10 + 2/3 * 3 = 12.

    True ranges max(4, 4, 0) = 4 and max(2, 3, 1) = 3, doubled (TA-Lib's KC: C. Keltner's centre, L. Raschke's band).
    """
    made = indicators.keltner([10, 13, 14], [8, 9, 12], [9, 11, 13], 2, 1, 2.0)
    np.testing.assert_allclose(made, [[NAN, 18, 18], [NAN, 10, 12], [NAN, 2, 6]], rtol=1e-15)
    assert made._fields == ("upper", "middle", "lower")


def test_atr_of_tradingview_counts_the_first_range():
    """Ranges 2, 3, 2, 5, the first high - low: (2 + 3) / 2, (2.5 + 2) / 2, (2.25 + 5) / 2 (ta.atr)."""
    made = indicators.atr(HIGH, LOW, CLOSE, 2, compat="tradingview")
    np.testing.assert_allclose(made, [NAN, 2.5, 2.25, 3.625], rtol=1e-15)


@given(market=markets(), period=st.integers(1, 25))
@settings(deadline=None, max_examples=20)
def test_atr_of_tradingview_is_the_reference(market, period):
    """On any market, after each gap anew."""
    inputs = [market[column] for column in ("high", "low", "close")]
    assert_close(indicators.atr(*inputs, period, compat="tradingview"), volatility.atr_tradingview(*inputs, period))


def test_true_range_after_a_bar_without_a_high_is_that_of_a_first_bar():
    """A bar of which anything is missing is missing: its close is no previous close."""
    made = indicators.atr([10, NAN, 13, 12], [8, 9, 11, 7], [9, 11, 12, 8], 1, compat="tradingview")
    np.testing.assert_array_equal(made, [2, NAN, 2, 5])


def test_keltner_of_tradingview_worked_by_hand():
    """
    Centres on close from the first bar: 9, 9 + 2/3 * 2 = 31/3, 31/3 + 2/3 * 8/3 = 109/9.

    The first true range is high - low = 2, then 4 and 3 (ta.ema, ta.tr(true), ta.rma of the Pine reference).
    """
    made = indicators.keltner([10, 13, 14], [8, 9, 12], [9, 11, 13], 2, 1, 2.0, compat="tradingview")
    np.testing.assert_allclose(made.middle, [9, 31 / 3, 109 / 9], rtol=1e-15)
    np.testing.assert_allclose(made.upper, [13, 31 / 3 + 8, 109 / 9 + 6], rtol=1e-15)
    np.testing.assert_allclose(made.lower, [5, 31 / 3 - 8, 109 / 9 - 6], rtol=1e-14)


@given(market=markets(), values=st.tuples(WINDOW, st.integers(1, 25), st.floats(0, 5)))
@settings(deadline=None, max_examples=30)
def test_keltner_of_tradingview_is_the_reference(market, values):
    """TradingView's channel on walks of every size, with gaps."""
    inputs = [market[column] for column in ("high", "low", "close")]
    made = indicators.keltner(*inputs, *values, compat="tradingview")
    assert_close(made, volatility.keltner_tradingview(*inputs, *values))


def test_realized_volatility_worked_by_hand():
    """
    Closes 1, 2, 1, 4 move by L, -L, 2 L (L = ln 2); windows of two.

    (L, -L): mean 0, squares 2 L^2 over n - 1 = 1. (-L, 2 L): mean L / 2, twice (3/2 L)^2. Four bars a year double it.
    (J. Hull, Options, Futures, and Other Derivatives: historical volatility.)
    """
    want = [NAN, NAN, 2**0.5 * LN_2, 4.5**0.5 * LN_2]
    np.testing.assert_allclose(indicators.realized_volatility([1, 2, 1, 4], 2), want, rtol=1e-14)
    np.testing.assert_allclose(indicators.realized_volatility([1, 2, 1, 4], 2, 4), np.multiply(want, 2), rtol=1e-14)


def test_realized_volatility_of_tradingview_worked_by_hand():
    """The same moves with ddof 0, in per cent: 100 L and 150 L (the built-in Historical Volatility)."""
    made = indicators.realized_volatility([1, 2, 1, 4], 2, compat="tradingview")
    np.testing.assert_allclose(made, [NAN, NAN, 100 * LN_2, 150 * LN_2], rtol=1e-14)
    market = bars(3, missing=0.02)
    made = indicators.realized_volatility(market["close"], 9, 365.0, compat="tradingview")
    assert_close(made, volatility.realized_volatility_tradingview(market["close"], 9, 365.0))


def test_parkinson_worked_by_hand():
    """Ranges of 2 and 4 times: ln^2 are L^2 and 4 L^2, mean 5/2 L^2, over 4 L: 5/8 L (M. Parkinson 1980)."""
    np.testing.assert_allclose(indicators.parkinson([2, 4], [1, 1], 2), [NAN, (0.625 * LN_2) ** 0.5], rtol=1e-14)


def test_garman_klass_worked_by_hand():
    """Open 1, high 4, low 1, close 2: (2 L)^2 / 2 - (2 L - 1) L^2 = 3 L^2 - 2 L^3 (Garman and Klass 1980)."""
    want = (3 * LN_2**2 - 2 * LN_2**3) ** 0.5
    np.testing.assert_allclose(indicators.garman_klass([1], [4], [1], [2], 1), [want], rtol=1e-14)
    # A malformed bar, whose close lies outside its range, may make the mean negative: that is 0.
    np.testing.assert_array_equal(indicators.garman_klass([1], [1], [1], [2], 1), [0])


def test_chaikin_volatility_worked_by_hand():
    """
    Ranges 2, 4, 6, 10, EMA of 2: 3, 3 + 2/3 * 3 = 5, 5 + 2/3 * 5 = 25/3.

    Over one bar 200/3 % twice; over two, (25/3 - 3) / 3 = 16/9 (S. Achelis, Technical Analysis from A to Z).
    """
    made = indicators.chaikin_volatility([2, 4, 6, 10], [0, 0, 0, 0], 2, 1)
    np.testing.assert_allclose(made, [NAN, NAN, 200 / 3, 200 / 3], rtol=1e-14)
    made = indicators.chaikin_volatility([2, 4, 6, 10], [0, 0, 0, 0], 2, 2)
    np.testing.assert_allclose(made, [NAN, NAN, NAN, 1600 / 9], rtol=1e-14)


@pytest.mark.parametrize("name", ["natr", "trange", "realized_volatility", "parkinson", "garman_klass"])
@pytest.mark.parametrize("price", [1e-9, 0.1, 3e7])
def test_a_price_that_never_moves_has_no_volatility(name, price):
    """Bars whose four prices are one give exactly 0, at any price, without a warning."""
    flat = np.full(60, price)
    made = getattr(indicators, name)(*(flat for _ in CASES[name][0]))
    lookback = np.isnan(made).sum()
    assert lookback < 30
    np.testing.assert_array_equal(made[lookback:], 0.0)


def test_volatility_that_was_zero_has_no_change():
    """Chaikin's change from an average range of 0 is 0, never infinite."""
    made = indicators.chaikin_volatility([1.0, 1, 1, 1, 2], [1.0, 1, 1, 1, 1], 2, 2)
    np.testing.assert_array_equal(made, [NAN, NAN, NAN, 0, 0])


@pytest.mark.parametrize("name", ["realized_volatility", "parkinson", "garman_klass"])
def test_a_price_without_a_logarithm_is_missing(name):
    """A price of 0 or below hides the windows that hold it, and leaves no trace in those after it."""
    columns = CASES[name][0]
    for bad in (0.0, -1.0):
        market = bars(5, 60)
        whole = [market[column].copy() for column in columns]
        for column in whole:
            column[30] = bad
        made = getattr(indicators, name)(*whole, 5)
        assert np.isnan(made[30:35]).all()
        after = getattr(indicators, name)(*(market[column] for column in columns), 5)[40:]
        np.testing.assert_allclose(made[40:], after, rtol=1e-12)


def test_volatility_per_year_reads_as_a_spec():
    """Bars a year stand second: 525,600 minutes are the root of them times the volatility of one."""
    close = bars(1)["close"]
    made = Indicators(close).compute(["realized_volatility:20", "realized_volatility:20,525600"])
    one, year = made.values()
    np.testing.assert_allclose(year, one * 525_600**0.5, rtol=1e-15)
