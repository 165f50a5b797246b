"""Momentum: each indicator worked by hand, and against plain references where TA-Lib has none."""

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from references import momentum as references
from references.bars import bars

from tradeutils import indicators
from tradeutils.indicators.cpu import MODES, State, kernel_of, make_program
from tradeutils.indicators.operators import column, transforms

NAN = np.nan


def close_to(made, want, **tolerance):
    """Assert that outputs are the numbers wanted, unknown where they are."""
    for output, numbers in zip(np.atleast_2d(made), np.atleast_2d(want), strict=True):
        np.testing.assert_allclose(output, numbers, **{"rtol": 1e-13, "atol": 0, **tolerance})


def test_mom_worked_by_hand():
    """Price less the price two bars ago: 4 - 1, 7 - 2."""
    close_to(indicators.mom([1, 2, 4, 7], 2), [NAN, NAN, 3, 5])


def test_rates_of_change_worked_by_hand():
    """From 4 to 5 and to 8: a quarter and three fifths more, as a percentage, a share, a ratio, a ratio in per cent."""
    for name, want in (
        ("roc", [NAN, 25, 60]),
        ("rocp", [NAN, 0.25, 0.6]),
        ("rocr", [NAN, 1.25, 1.6]),
        ("rocr100", [NAN, 125, 160]),
    ):
        close_to(getattr(indicators, name)([4, 5, 8], 1), want)


def test_rates_of_change_from_zero_are_zero():
    """A price of exactly zero gives no rate, and no warning: 0, as in TA-Lib."""
    for name, rate in (("roc", 60), ("rocp", 0.6), ("rocr", 1.6), ("rocr100", 160)):
        close_to(getattr(indicators, name)([0, 5, 8], 1), [NAN, 0, rate])


def test_price_oscillators_worked_by_hand():
    """
    Fast 2 and slow 3 of 1 2 4 7, each EMA seeded with its own first mean (TA-Lib's APO and PPO).

    Fast: 3/2, 3/2 + (4 - 3/2) 2/3 = 19/6, 19/6 + (7 - 19/6) 2/3 = 103/18. Slow: 7/3, 7/3 + (7 - 7/3) / 2 = 14/3.
    APO: 19/6 - 7/3 = 5/6, 103/18 - 14/3 = 19/18. PPO: that over the slow one, in per cent.
    """
    close_to(indicators.apo([1, 2, 4, 7], 2, 3), [NAN, NAN, 5 / 6, 19 / 18])
    close_to(indicators.ppo([1, 2, 4, 7], 2, 3), [NAN, NAN, 500 / 14, 1900 / 84])


def test_price_oscillators_exchange_their_periods():
    """The smaller period is the fast one, in whichever place it is given (TA-Lib)."""
    close = 50 + np.random.default_rng(4).normal(0, 1, 60).cumsum()
    for function in (indicators.apo, indicators.ppo):
        np.testing.assert_array_equal(function(close, 9, 4), function(close, 4, 9))


def test_price_oscillators_of_tradingview_worked_by_hand():
    """Begun with the first price, fast is 1, 5/3, 29/9 and slow 1, 3/2, 11/4."""
    close_to(indicators.apo([1, 2, 4], 2, 3, compat="tradingview"), [0, 1 / 6, 17 / 36])
    close_to(indicators.ppo([1, 2, 4], 2, 3, compat="tradingview"), [0, 100 / 9, 1700 / 99])


def test_macd_of_tradingview_worked_by_hand():
    """The line 0, 1/6, 17/36 above; its average over 2 from 0: 0, 1/9, 1/9 + (17/36 - 1/9) 2/3 = 19/54."""
    made = indicators.macd([1, 2, 4], 2, 3, 2, compat="tradingview")
    close_to(made, [[0, 1 / 6, 17 / 36], [0, 1 / 9, 19 / 54], [0, 1 / 18, 17 / 36 - 19 / 54]])


def test_willr_stays_within_its_range_when_a_close_does_not():
    """Closes above the highest high and below the lowest low: 0 and -100, as in TA-Lib."""
    made = indicators.willr([5, 6, 7, 9], [4, 5, 5, 6], [9, 9, 1, 0], 2)
    close_to(made, [NAN, 0, -100, -100])
    close_to(made, talib.WILLR(*np.array([[5, 6, 7, 9], [4, 5, 5, 6], [9, 9, 1, 0]], float), 2))


def test_willr_worked_by_hand():
    """Within 8 .. 12, 11 lies a quarter below the top; within 9 .. 12, 10.5 lies half below it."""
    close_to(indicators.willr([10, 12, 11], [8, 9, 10], [9, 11, 10.5], 2), [NAN, -25, -50])


def test_cmo_worked_by_hand():
    """
    Moves 2, -1, 3, Wilder-averaged over 2 as TA-Lib does.

    Seeds: rise 2 / 2 = 1, fall 1 / 2: 100 (1 - 1/2) / (3/2). Then rise (1 + 3) / 2 = 2, fall 1/4: 100 (7/4) / (9/4).
    """
    close_to(indicators.cmo([1, 3, 2, 5], 2), [NAN, NAN, 100 / 3, 700 / 9])


def test_cmo_of_tradingview_worked_by_hand():
    """Plain sums over 2 moves: (2 - 1) / 3, then (3 - 1) / 4 (T. Chande, The New Technical Trader, 1994)."""
    close_to(indicators.cmo([1, 3, 2, 5], 2, compat="tradingview"), [NAN, NAN, 100 / 3, 50])
    close_to(indicators.cmou([1, 3, 2, 5], 2), [NAN, NAN, 100 / 3, 50])


def test_stochrsi_worked_by_hand():
    """
    RSI(2) of 1 3 2 5 4 6 is 100 times 2/3, 8/9, 8/13, 24/29 from bar 2 on.

    Of its last three, 8/13 is the lowest: 0; 24/29 stands (24/29 - 8/13) / (8/9 - 8/13) = 45/58 up. The mean of two
    is known a bar later, and both begin there (TA-Lib).
    """
    close_to(indicators.stochrsi([1, 3, 2, 5, 4, 6], 2, 3, 2), [[NAN] * 5 + [4500 / 58], [NAN] * 5 + [2250 / 58]])


def test_stochrsi_of_tradingview_worked_by_hand():
    """Places 1, 0, 1 of RSI in its last two are smoothed to 1/2, 1/2, and these to 1/2."""
    made = indicators.stochrsi([1, 3, 2, 5, 4, 6], 2, 2, 2, compat="tradingview")
    close_to(made, [[NAN] * 5 + [50]] * 2)


def test_stochrsi_stays_at_its_floor_while_prices_stand_still():
    """RSI of prices that have stopped moves by rounding alone, which is no move."""
    close = np.r_[bars(3, 40)["close"], np.full(60, 1.01)]
    for output in indicators.stochrsi(close, 14, 5, 3):
        np.testing.assert_array_equal(output[50:], 0.0)


def test_tsi_worked_by_hand():
    """
    Moves 2 -1 3 -1 with both periods 2 (W. Blau 1995).

    EMA: 1/2, 13/6, 1/18; of sizes 3/2, 5/2, 3/2. Again: 4/3, 13/27; of sizes 2, 5/3. TSI: 200/3, 260/9.
    """
    close_to(indicators.tsi([1, 3, 2, 5, 4], 2, 2), [NAN, NAN, NAN, 200 / 3, 260 / 9])


def test_tsi_of_tradingview_worked_by_hand():
    """Begun with the first move: 2 0 2 over 2 4/3 22/9, then 2 2/3 14/9 over 2 14/9 58/27."""
    close_to(indicators.tsi([1, 3, 2, 5], 2, 2, compat="tradingview"), [NAN, 100, 300 / 7, 2100 / 29])


def test_trix_worked_by_hand():
    """On 1 2 3 .. an EMA of 2 lags half a bar, three of them 3/2: 2.5, 3.5, 4.5, which gain 40 % and 200/7 %."""
    close_to(indicators.trix([1, 2, 3, 4, 5, 6], 2), [NAN] * 4 + [40, 200 / 7])


def test_trix_of_tradingview_worked_by_hand():
    """From 1 to e the logarithm gains 1, of which three averages with alpha 2/3 take 8/27, in ten-thousandths."""
    close_to(indicators.trix([1, np.e], 2, compat="tradingview"), [NAN, 80_000 / 27])


def test_ultosc_worked_by_hand():
    """
    Buying pressures 2 1 1 in true ranges 3 2 5 (L. Williams 1985).

    One bar 1/5, two 2/7, three 4/10: 100 (4/5 + 4/7 + 4/10) / 7.
    """
    high, low, close = [10, 12, 13, 12], [8, 9, 11, 7], [9, 11, 12, 8]
    want = 100 * (4 / 5 + 4 / 7 + 4 / 10) / 7
    close_to(indicators.ultosc(high, low, close, 1, 2, 3), [NAN, NAN, NAN, want])


def test_ultosc_weighs_the_shortest_most_in_any_order():
    """The periods are put in order first, as TA-Lib does."""
    made = bars(5, 60)
    high, low, close = made["high"], made["low"], made["close"]
    want = indicators.ultosc(high, low, close, 3, 5, 9)
    for order in ((9, 5, 3), (5, 9, 3), (5, 3, 9)):
        np.testing.assert_array_equal(indicators.ultosc(high, low, close, *order), want)


def test_bop_worked_by_hand():
    """The body over the range: (3 - 2) / (4 - 0), (1 - 2) / (3 - 1); 0 on a bar without a range."""
    close_to(indicators.bop([2, 2, 1], [4, 3, 1], [0, 1, 1], [3, 1, 1]), [0.25, -0.5, 0])


def test_ao_worked_by_hand():
    """Middles 2 4 7: mean of two less mean of three, 5.5 - 13/3 (B. Williams 1995)."""
    close_to(indicators.ao([3, 5, 9], [1, 3, 5], 2, 3), [NAN, NAN, 7 / 6])


def test_kst_worked_by_hand():
    """
    Of 1 2 4 4: rates over one bar 100 100 0, over two 300 100.

    At bar 3: 0 + 2 * 100 + 3 * mean(100, 0) + 4 * mean(300, 100) = 0 + 200 + 150 + 800 (M. Pring 1992).
    """
    made = indicators.kst([1, 2, 4, 4], 1, 2, 1, 2, 1, 1, 2, 2, 1)
    close_to(made, [[NAN, NAN, NAN, 1150]] * 2)


def test_kst_signal_is_the_mean_of_the_line():
    """Rates 100 and 50, ten times each: 1000 and 500, the mean 750."""
    close_to(indicators.kst([1, 2, 3], *[1] * 8, 2), [[NAN, 1000, 500], [NAN, NAN, 750]])


def test_coppock_worked_by_hand():
    """Rates over one and two bars of 1 2 4 4 add up to 400 and 100; weighted 1 and 2, 200 (E. S. C. Coppock 1962)."""
    close_to(indicators.coppock([1, 2, 4, 4], 2, 1, 2), [NAN, NAN, NAN, 200])


def test_fisher_worked_by_hand():
    """
    Middles 1 2 1 with period 2: at the top, then at the bottom (J. F. Ehlers 2002).

    Values 0.66 / 2 = 0.33, -0.33 + 0.67 * 0.33 = -0.1089; each transform ln((1 + v) / (1 - v)) / 2 and half the last.
    """
    first = np.log(1.33 / 0.67) / 2
    second = np.log(0.8911 / 1.1089) / 2 + first / 2
    made = indicators.fisher([2, 3, 2], [0, 1, 0], 2)
    close_to(made, [[NAN, first, second], [NAN, NAN, first]])


@pytest.mark.parametrize("nan", ["restart", "propagate", "hold"])
def test_fisher_in_plain_python_has_the_same_bits(nan):
    """The kernel run as Python gives what its machine code gives, at both limits and over a gap in each mode."""
    place = np.r_[np.zeros(12), NAN, np.ones(12), 0.5, 0.25]
    kernel = kernel_of(transforms.fisher)
    state, made = np.full((kernel.rows(), 1), kernel.fill), np.zeros((len(place), 1))
    kernel.function(place[:, np.newaxis], made, state, 1, MODES[nan])
    program = make_program((transforms.fisher(column("place")),), ("place",), MODES[nan])
    want = np.empty((len(place), 1))
    State(program, 1).feed([place[:, np.newaxis]], [want])
    np.testing.assert_array_equal(made, want)
    assert made[11] < -3.5
    assert np.isnan(made[12])


def test_fisher_stands_at_its_middle_while_prices_stand_still():
    """Without a range a price stands in the middle of it: the transform is exactly 0, where others divide 0 by 0."""
    close_to(indicators.fisher(np.full(9, 3.0), np.full(9, 3.0), 3), [[NAN] * 2 + [0] * 7, [NAN] * 3 + [0] * 6])


def test_eri_worked_by_hand():
    """EMA(2) of 1 3 6 is 2, 14/3; high and low less that (A. Elder 1993)."""
    made = indicators.eri([2, 4, 7], [0, 2, 5], [1, 3, 6], 2)
    close_to(made, [[NAN, 2, 7 / 3], [NAN, 0, 1 / 3]])


def test_eri_of_tradingview_begins_with_the_first_close():
    """From the first close: 1, 7/3."""
    made = indicators.eri([2, 4], [0, 2], [1, 3], 2, compat="tradingview")
    close_to(made, [[1, 5 / 3], [-1, -1 / 3]])


TALIB = [
    *((name, ("close",), (period,)) for name in ("mom", "roc", "rocp", "rocr", "rocr100") for period in (1, 14, 200)),
    *((name, ("close",), (period,)) for name in ("cmo", "cmou", "trix") for period in (2, 5, 14, 33, 200)),
    *(("willr", ("high", "low", "close"), (period,)) for period in (2, 5, 14, 33, 200)),
    *((name, ("close",), (5, 14, matype)) for name in ("apo", "ppo") for matype in (0, 1, 2)),
    ("apo", ("close",), (26, 12, 1)),
    ("ppo", ("close",), (200, 33, 1)),
    ("stochrsi", ("close",), (14, 5, 3)),
    ("stochrsi", ("close",), (2, 1, 1)),
    ("stochrsi", ("close",), (33, 200, 14)),
    ("ultosc", ("high", "low", "close"), (7, 14, 28)),
    ("ultosc", ("high", "low", "close"), (200, 1, 33)),
    ("bop", ("open", "high", "low", "close"), ()),
    ("tsi", ("close",), (25, 13)),
    ("tsi", ("close",), (2, 33)),
    ("ao", ("high", "low"), (5, 34)),
    ("ao", ("high", "low"), (33, 2)),
    ("coppock", ("close",), (10, 11, 14)),
    ("coppock", ("close",), (1, 33, 5)),
    ("eri", ("high", "low", "close"), (13,)),
    ("eri", ("high", "low", "close"), (1,)),
]
IN_PRICES = ("mom", "macd", "apo", "ao", "eri")


@pytest.mark.parametrize("size", [1e5, 1e-9])
@pytest.mark.parametrize(("name", "inputs", "parameters"), TALIB, ids=lambda value: str(value)[:14])
def test_values_are_talibs(name, inputs, parameters, size):
    """From the first bar that TA-Lib knows, on prices of any size: its values, to 1e-10 of a price or of a hundred."""
    market = bars(8, 600, size=size)
    columns = [market[column] for column in inputs]
    want = getattr(talib, name.upper())(*columns, *parameters)
    close_to(getattr(indicators, name)(*columns, *parameters), want, rtol=1e-10, atol=1e-10 * scale_of(name, size))


def scale_of(name, size):
    """Return what a tolerance is a share of, where a value passes through zero."""
    return size if name in IN_PRICES else {"kst": 1000, "trix": 1e4, "fisher": 8, "bop": 1}.get(name, 100)


def period(lowest=1):
    """Draw a period that the walks are several times as long as."""
    return st.integers(lowest, 24)


CASES = [
    ("tsi", "tradingview", ("close",), (period(2), period(2))),
    ("trix", "tradingview", ("close",), (period(),)),
    ("cmo", "tradingview", ("close",), (period(2),)),
    ("stochrsi", "tradingview", ("close",), (period(2), period(), period())),
    ("apo", "tradingview", ("close",), (period(2), period(2))),
    ("ppo", "tradingview", ("close",), (period(2), period(2))),
    ("macd", "tradingview", ("close",), (period(2), period(2), period())),
    ("kst", "", ("close",), (period(),) * 9),
    ("fisher", "", ("high", "low"), (period(),)),
    ("eri", "tradingview", ("high", "low", "close"), (period(),)),
]


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
    if missing and name == "kst":
        # Prices of before a gap serve after it; the reference begins anew.
        assert np.isnan(made[:, missing]).all()
        made = np.where(np.isnan(want), NAN, made)
    close_to(made, want, rtol=1e-11, atol=1e-11 * scale_of(name, size))
