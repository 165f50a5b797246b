"""Trend: cases worked by hand, what it takes and returns, and what it says of a wrong call."""

import numpy as np
import pandas as pd
import pytest

from tradeutils import Candles, Panel, errors, indicators
from tradeutils.analysis import trend
from tradeutils.analysis.trend import Breakout, Divergence, Trend, Volatility

NAN = np.nan


def bars(high, low, close, volume=None):
    """Return columns by name from lists."""
    volume = np.ones(len(close)) if volume is None else volume
    columns = {"high": high, "low": low, "close": close, "volume": volume}
    return {name: np.array(values, float) for name, values in columns.items()}


def wave(count=400, seed=1):
    """Return the columns of two symbols that trend and range."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(random.normal(0, 0.01, (count, 2)).cumsum(axis=0))
    opened = np.vstack([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    return {"open": opened, "high": high, "low": low, "close": close, "volume": random.random((count, 2))}


# Pivots


def test_pivot_is_reported_when_the_bars_after_it_are_there():
    """The top at row 2 is known at row 4, with two bars to its right, and nowhere else."""
    found = trend.pivots([1, 3, 5, 4, 2, 6], [0, 2, 4, 3, 1, 5], left=2, right=2)
    assert found.high.tolist() == [False, False, False, False, True, False]
    assert found.high_at.tolist() == [-1, -1, -1, -1, 2, -1]
    assert not found.low.any()
    assert found.delay == 2


def test_last_of_equal_highs_is_the_pivot():
    """A flat top is one pivot, at its last bar; so is a flat bottom."""
    top = trend.pivots([1, 5, 5, 5, 2, 1], [0, 4, 4, 4, 1, 0], left=3, right=2)
    assert top.high_at.tolist() == [-1, -1, -1, -1, -1, 3]
    bottom = trend.pivots([5, 1, 1, 4], [5, 1, 1, 4], left=1, right=1)
    assert bottom.low_at.tolist() == [-1, -1, -1, 2]


def test_flat_prices_have_no_pivot():
    """No bar is above the bars after it."""
    found = trend.pivots(np.ones(30), np.ones(30), 3, 3)
    assert not found.high.any()
    assert not found.low.any()


@pytest.mark.parametrize("missing", [NAN, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_pivot_next_to_a_missing_bar_is_not_reported(missing, row):
    """One unknown price among those that are compared leaves the pivot unknown; the other side is not concerned."""
    high = np.array([1.0, 2, 5, 3, 2, 1, 7, 1])
    high[row] = missing
    found = trend.pivots(high, -np.array([1.0, 2, 5, 3, 2, 1, 7, 1]), left=2, right=1)
    assert found.high_at.tolist() == [-1] * 7 + [6]
    assert found.low_at.tolist() == [-1, -1, -1, 2, -1, -1, -1, 6]


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, "5", 100_001, 10**30])
@pytest.mark.parametrize("side", ["left", "right"])
def test_pivots_refuse_bars_that_are_no_number_of_bars(side, value):
    """The message names the parameter, the value and the range."""
    with pytest.raises(errors.UsageError, match=rf"{side} was .*from 1 to 100000"):
        trend.pivots([1.0], [1.0], **{side: value})


def test_pivots_refuse_columns_of_different_shapes():
    """A high without its low is no bar."""
    with pytest.raises(errors.UsageError, match="low had shape"):
        trend.pivots([1.0, 2.0], [1.0])


# Regression


def test_regression_worked_by_hand():
    """Of 1, 2, 4: mean 7/3, slope 3/2, squared distances 14/3 from the mean and 1/6 from the line."""
    found = trend.regression(np.array([1.0, 2.0, 4.0]), 3)
    assert np.isnan(found.line[:2]).all()
    assert found.line[2] == pytest.approx(7 / 3 + 1.5)
    assert found.slope[2] == pytest.approx(1.5)
    assert found.slope_percent[2] == pytest.approx(37.5)
    assert found.r_squared[2] == pytest.approx(27 / 28)
    assert found.error[2] == pytest.approx((1 / 6) ** 0.5)
    lower, upper = found.channel(3.0)
    assert (lower[2], upper[2]) == pytest.approx((7 / 3 + 1.5 - 3 * (1 / 6) ** 0.5, 7 / 3 + 1.5 + 3 * (1 / 6) ** 0.5))
    assert found.delay == 0


def test_regression_is_numpys_polyfit():
    """On an ordinary walk the line is the one numpy fits."""
    close = wave()["close"][:, 0]
    found = trend.regression(close, 25)
    for bar in (24, 100, 399):
        (slope, begin), (left, *_), *_ = np.polyfit(np.arange(25), close[bar - 24 : bar + 1], 1, full=True)
        assert found.slope[bar] == pytest.approx(slope)
        assert found.line[bar] == pytest.approx(begin + 24 * slope)
        assert found.error[bar] == pytest.approx((left / 23) ** 0.5)


@pytest.mark.parametrize("offset", [0.0, 1e7, -1e7])
def test_perfect_line_is_explained_wholly(offset):
    """No distance is left over, whatever the offset."""
    found = trend.regression(offset + 0.25 * np.arange(50), 10)
    assert (found.error[9:] == 0.0).all()
    assert (found.r_squared[9:] == 1.0).all()
    np.testing.assert_allclose(found.slope[9:], 0.25, rtol=1e-12)


def test_almost_perfect_line_keeps_its_error():
    """A line of 1e7 with a ripple of one part in 1e12 has that ripple as its error, to eight digits."""
    ripple = np.where(np.arange(40) % 2, 2.0**-17, -(2.0**-17))
    found = trend.regression(1e7 + 64.0 * np.arange(40) + ripple, 8)
    plain = trend.regression(ripple, 8)
    np.testing.assert_allclose(found.error[7:], plain.error[7:], rtol=1e-8)
    assert (found.r_squared[7:] < 1.0).all()


def test_many_lines_at_once_are_each_summed_anew():
    """More perfect windows than are summed together, in columns and in rows, are all exact."""
    close = np.arange(3000.0)[:, np.newaxis] * np.arange(1.0, 41.0)
    assert (trend.regression(close, 3).error[2:] == 0.0).all()


def test_prices_that_do_not_move_have_no_trend():
    """Slope, error and share explained are 0, not NaN."""
    found = trend.regression(np.full(6, 0.1), 4)
    assert found.slope[3:].tolist() == found.error[3:].tolist() == found.r_squared[3:].tolist() == [0.0] * 3


def test_slope_in_per_cent_of_nothing_is_unknown():
    """At a close of 0 there is no price to take a share of; below 0 a fall is still a fall."""
    found = trend.regression(np.array([2.0, 1.0, 0.0, -1.0]), 3)
    np.testing.assert_array_equal(found.slope_percent, [NAN, NAN, NAN, -100.0])


def test_regression_recovers_after_a_missing_bar():
    """What was missing is forgotten when it has left the window."""
    close = np.arange(10.0)
    close[3] = NAN
    known = ~np.isnan(trend.regression(close, 3).slope)
    assert known.tolist() == [False, False, True, False, False, False, True, True, True, True]


@pytest.mark.parametrize("deviations", [-1.0, NAN, np.inf, "2", True])
def test_channel_refuses_a_width_that_is_none(deviations):
    """A channel is not turned inside out."""
    with pytest.raises(errors.UsageError, match="deviations was"):
        trend.regression(np.arange(5.0), 3).channel(deviations)


# Regimes


def test_rise_and_fall_are_regimes():
    """A steady rise is up, the fall after it is down, and before the averages are there nothing is known."""
    close = np.concatenate([np.arange(100.0, 160.0), np.arange(160.0, 80.0, -1.0)])
    found = trend.regime(close, emas=(3, 6, 12), adx=5)
    codes = found.code.tolist()
    assert codes[:11] == [Trend.UNKNOWN] * 11
    assert codes[11:60] == [Trend.UP] * 49
    assert codes[-60:] == [Trend.DOWN] * 60
    assert found.strength[40] == 100.0
    assert found.delay == 0


def test_prices_that_stand_still_are_a_range():
    """Averages that are equal are no stack."""
    codes = trend.regime(np.full(60, 3.0), emas=(3, 6), adx=5, enter=0.0, leave=0.0).code
    assert set(codes[20:].tolist()) == {Trend.RANGE}


def test_trend_between_the_thresholds_goes_on_and_none_begins():
    """From bar to bar a trend begins only at ``enter``, and a weakening one ends only below ``leave``."""
    data = wave(3000)
    found = trend.regime(data, emas=(5, 10, 20), adx=7, enter=35, leave=20)
    code, before = found.code[1:], found.code[:-1]
    between = (found.strength[1:] >= 20) & (found.strength[1:] < 35) & (before != Trend.UNKNOWN)
    assert ((code == before) | (code == Trend.RANGE))[between].all()
    assert (code == Trend.UP)[between].any()
    began = (code != before) & (code != Trend.RANGE) & (code != Trend.UNKNOWN)
    assert (found.strength[1:][began] >= 35).all()
    averages = [indicators.ema(data["close"], period)[1:] for period in (5, 10, 20)]
    up = (averages[0] > averages[1]) & (averages[1] > averages[2])
    down = (averages[0] < averages[1]) & (averages[1] < averages[2])
    assert (up | (before == Trend.UP))[code == Trend.UP].all()
    assert not down[code == Trend.UP].any()
    single = trend.regime(data, emas=(5, 10, 20), adx=7, enter=35, leave=35).code
    assert (np.diff(found.code, axis=0) != 0).sum() < (np.diff(single, axis=0) != 0).sum()


def test_regime_goes_on_over_a_missing_bar_where_that_is_asked_for():
    """With ``nan="hold"`` only the bar itself is unknown; otherwise all begins anew."""
    close = np.arange(100.0, 180.0)
    close[40] = NAN
    held = trend.regime(close, emas=(3, 6), adx=4, nan="hold").code
    assert held[39:42].tolist() == [Trend.UP, Trend.UNKNOWN, Trend.UP]
    anew = trend.regime(close, emas=(3, 6), adx=4).code
    assert (anew[40:46] == Trend.UNKNOWN).all()
    assert anew[-1] == Trend.UP
    assert (trend.regime(close, emas=(3, 6), adx=4, nan="propagate").code[40:] == Trend.UNKNOWN).all()


def test_trend_before_a_missing_bar_says_nothing_of_the_one_after():
    """A trend that nothing ends is forgotten at a missing bar, unless that is passed over."""
    close = np.concatenate([np.arange(100.0, 140.0), [NAN], 140 + np.tile([2.0, 0.0, 3.0, 1.0], 15)])
    anew = trend.regime(close, emas=(3, 6), adx=4, enter=100, leave=0).code
    assert anew[39] == Trend.UP
    assert set(anew[60:].tolist()) == {Trend.RANGE}
    held = trend.regime(close, emas=(3, 6), adx=4, enter=100, leave=0, nan="hold").code
    assert held[42] == Trend.UP


def test_trend_begins_at_the_upper_threshold_and_ends_below_the_lower():
    """An ADX of exactly ``enter`` begins a trend, one of exactly ``leave`` does not end it."""
    assert trend.regime(np.arange(100.0, 140.0), emas=(3, 6), adx=4, enter=100, leave=100).code[-1] == Trend.UP
    options = {"emas": (5, 10, 20), "adx": 7, "enter": 35}
    data = {name: values[:, 0] for name, values in wave(3000).items()}
    found = trend.regime(data, **options, leave=10)
    weakest = np.nanargmin(np.where(found.code == Trend.UP, found.strength, NAN))
    assert 10 < found.strength[weakest] < 35
    assert trend.regime(data, **options, leave=found.strength[weakest]).code[weakest] == Trend.UP
    above = np.nextafter(found.strength[weakest], 100)
    assert trend.regime(data, **options, leave=above).code[weakest] == Trend.RANGE


@pytest.mark.parametrize("emas", [(20,), (), (20, 20), (50, 20), "20", 20, (0, 5), (5, 10.0)])
def test_regime_refuses_averages_that_are_no_stack(emas):
    """Fastest first, at least two, whole numbers."""
    with pytest.raises(errors.UsageError, match="emas"):
        trend.regime(np.ones(5), emas=emas)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"enter": 10.0}, "enter was 10.0; write a number from 20 to 100"),
        ({"leave": -1}, "leave was -1; write a number from 0 to 100"),
        ({"enter": 10**400}, "enter was"),
        ({"leave": NAN}, "leave was nan"),
        ({"adx": 1}, "adx was 1; write a whole number of bars from 2"),
        ({"nan": "skip"}, "skip"),
    ],
)
def test_regime_refuses_parameters_out_of_their_range(options, said):
    """The message names the parameter, the value and the range."""
    with pytest.raises(errors.UsageError, match=said):
        trend.regime(np.ones(5), **options)


def test_volatility_is_ranked_among_the_values_before():
    """3 values before: the largest ranks 100, one that equals one of two smaller and a larger ranks 50."""
    values = np.array([3.0, 1.0, 2.0, 4.0, 2.0, 0.0, NAN, 5.0])
    found = trend.volatility_regime(np.ones(8), values, lookback=3, low=10, high=90)
    np.testing.assert_allclose(found.rank, [NAN, NAN, NAN, 100, 50, 0, NAN, NAN])
    assert found.code[3:].tolist() == [
        Volatility.HIGH,
        Volatility.NORMAL,
        Volatility.LOW,
        Volatility.UNKNOWN,
        Volatility.UNKNOWN,
    ]
    np.testing.assert_array_equal(found.value, values)
    assert found.delay == 0


def test_values_that_were_ranked_are_those_of_then():
    """What is written into the measure afterwards changes nothing of the result."""
    measure = np.arange(8.0)
    found = trend.volatility_regime(np.ones(8), measure, lookback=3)
    measure[:] = 0.0
    assert found.value.tolist() == list(range(8))


def test_volatility_that_does_not_change_is_normal():
    """Equal values count half, so a dead market is in the middle and not at the bottom."""
    found = trend.volatility_regime(np.full(200, 7.0), "natr:5", lookback=20)
    assert set(found.code[30:].tolist()) == {Volatility.NORMAL}
    assert set(found.rank[30:].tolist()) == {50.0}


def test_wild_stretch_after_a_quiet_one_is_high():
    """By ATR and by realised volatility, a market that wakes up is high and one that falls asleep low."""
    random = np.random.default_rng(4)
    scale = np.repeat([0.01, 0.05, 0.001], 200)
    close = 100 * np.exp((scale * random.normal(0, 1, 600)).cumsum())
    for measure in ("natr:10", "realized_volatility:10"):
        code = trend.volatility_regime(close, measure, lookback=50).code
        assert (code[205:210] == Volatility.HIGH).all()
        assert (code[412:417] == Volatility.LOW).all()


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("natr:14",), {"lookback": 1}, "lookback was 1"),
        (("natr:14",), {"low": 50.0, "high": 50.0}, "low and high were both 50.0"),
        (("natr:14",), {"low": 60.0, "high": 50.0}, "high was 50.0; write a number from 60 to 100"),
        (("bbands:20",), {}, "bbands:20 has the outputs upper, middle, lower; give one as an array"),
        (("natrr",), {}, "natr"),
        ((np.ones(4),), {}, r"measure had shape \(4,\); the data has \(5,\)"),
    ],
)
def test_volatility_regime_refuses_what_it_cannot_rank(arguments, options, said):
    """The message says what to write instead."""
    with pytest.raises(errors.UsageError, match=said):
        trend.volatility_regime(np.ones(5), *arguments, **options)


# Divergence


@pytest.mark.parametrize(
    ("lows", "oscillator", "kind"),
    [
        ((3.0, 2.0), (20.0, 30.0), Divergence.REGULAR),
        ((2.0, 3.0), (30.0, 20.0), Divergence.HIDDEN),
        ((3.0, 2.0), (30.0, 20.0), Divergence.NONE),
        ((2.0, 3.0), (20.0, 30.0), Divergence.NONE),
        ((2.0, 2.0), (20.0, 30.0), Divergence.NONE),
        ((3.0, 2.0), (20.0, 20.0), Divergence.NONE),
        ((3.0, 2.0), (NAN, 30.0), Divergence.NONE),
        ((3.0, 2.0), (20.0, np.inf), Divergence.NONE),
    ],
)
def test_divergence_of_each_kind(lows, oscillator, kind):
    """Two lows at rows 2 and 6, known at row 7: bullish as they are, bearish upside down."""
    price = np.array([9, 8, lows[0], 8, 9, 8, lows[1], 8, 9], float)
    beside = np.array([50, 50, oscillator[0], 50, 50, 50, oscillator[1], 50, 50], float)
    found = trend.divergence(price, beside, left=2, right=1)
    assert found.bullish.tolist() == [0] * 7 + [kind, 0]
    there = kind != Divergence.NONE
    assert (found.bullish_from[7], found.bullish_at[7]) == ((2, 6) if there else (-1, -1))
    turned = trend.divergence(-price, -beside, left=2, right=1)
    assert turned.bearish.tolist() == found.bullish.tolist()
    assert turned.bearish_from.tolist() == found.bullish_from.tolist()
    assert turned.bearish_at.tolist() == found.bullish_at.tolist()
    assert not found.bearish.any()
    assert found.delay == 1


@pytest.mark.parametrize(("within", "found"), [(4, 1), (3, 0)])
def test_pivots_too_far_apart_are_not_compared(within, found):
    """Four bars lie between the rows of the lows."""
    price = np.array([9.0, 8, 3, 8, 9, 8, 2, 8])
    made = trend.divergence(price, np.arange(8.0), left=2, right=1, within=within)
    assert np.count_nonzero(made.bullish) == found


def test_divergence_reads_highs_and_lows_and_rsi_by_default():
    """Of candles the pivots are those of high and low, and the oscillator is RSI of the close."""
    data = wave()
    found = trend.divergence(data, left=3, right=3)
    same = trend.divergence(data, indicators.rsi(data["close"], 14), left=3, right=3)
    for made, wanted in zip(found, same, strict=True):
        np.testing.assert_array_equal(made, wanted)
    points = trend.pivots(data["high"], data["low"], 3, 3)
    at = found.bearish_at[found.bearish > 0]
    assert len(at)
    assert set(at.tolist()) <= set(points.high_at[points.high].tolist())


# Breakouts


def test_breakout_is_a_close_beyond_the_bars_before():
    """The bar's own high does not count, a close that equals the edge is not beyond it, a wick is no close."""
    data = bars(
        high=[10, 11, 12, 15, 12.5, 16, 14], low=[9, 9, 10, 11, 8, 12, 7], close=[9.5, 10, 11, 12, 8.5, 15.5, 7]
    )
    found = trend.breakouts(data, 3)
    np.testing.assert_array_equal(found.upper, [NAN, NAN, NAN, 12, 15, 15, 16])
    np.testing.assert_array_equal(found.lower, [NAN, NAN, NAN, 9, 9, 8, 8])
    assert found.code.tolist() == [0, 0, 0, 0, Breakout.DOWN, Breakout.UP, Breakout.DOWN]
    assert found.failed.tolist() == [0, 0, 0, 0, 0, Breakout.DOWN, Breakout.UP]
    assert found.failed_from.tolist() == [-1, -1, -1, -1, -1, 4, 5]
    assert found.delay == 0


@pytest.mark.parametrize(("fail_within", "failed"), [(0, []), (1, []), (2, [5]), (9, [5])])
def test_failure_is_reported_once_at_the_bar_it_happens_and_not_after_its_time(fail_within, failed):
    """Broken out at row 3 above 11, back below it at row 5: a failure if two bars are watched."""
    close = np.array([10.0, 11, 10, 12, 11, 10.5, 10.4, 10.3])
    found = trend.breakouts(close, 3, fail_within=fail_within)
    assert np.flatnonzero(found.failed == Breakout.UP).tolist() == failed
    assert found.failed_from[failed].tolist() == [3] * len(failed)


def test_newer_breakout_takes_the_place_of_the_one_before():
    """Broken out above 11 and then above 12: a close of 11.5 is back below the newer edge, and fails that one."""
    close = np.array([10.0, 11, 10, 12, 13, 11.5, 10.9])
    found = trend.breakouts(close, 3)
    assert found.code.tolist() == [0, 0, 0, 1, 1, 0, Breakout.DOWN]
    assert found.failed.tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert found.failed_from[5] == 4


def test_buffer_is_in_average_ranges_of_the_bar_before():
    """ATR of 2 at the bar before: half of it puts the edge at 11 + 1; a failure is still below 11."""
    data = bars(high=[11] * 6 + [11.9, 12.2], low=[9] * 8, close=[10] * 6 + [11.8, 12.1])
    found = trend.breakouts(data, 3, buffer=0.5, atr=2)
    assert found.upper[6] == 12.0
    assert found.lower[6] == 8.0
    assert found.code.tolist() == [0] * 8
    assert trend.breakouts(data, 3).code.tolist() == [0] * 6 + [1, 1]
    back = bars(high=[11] * 6 + [13, 13, 13], low=[9] * 9, close=[10] * 6 + [12.5, 11.5, 10.9])
    assert trend.breakouts(back, 3, buffer=0.5, atr=2).failed.tolist() == [0] * 8 + [1]


def test_breakout_asks_for_volume_where_that_is_wanted():
    """Twice the mean of the two bars before confirms, less does not, and an unknown volume does not either."""
    for volume, code in ((2.0, 1), (1.9, 0), (NAN, 0)):
        data = bars([1, 1, 1, 3], [1, 1, 1, 3], [1, 1, 1, 3], volume=[9, 1, 1, volume])
        assert trend.breakouts(data, 2, volume=2.0, volume_period=2).code[3] == code
        assert trend.breakouts(data, 2).code[3] == 1


@pytest.mark.parametrize("missing", [NAN, np.inf])
def test_breakout_needs_the_whole_range_and_a_close(missing):
    """An infinite price is missing, not beyond everything; a range with a hole is unknown."""
    close = np.array([1.0, 1, 1, missing, 5, 5, 5, 5, 6])
    found = trend.breakouts(close, 3)
    assert found.code.tolist() == [0] * 8 + [1]
    assert np.isnan(found.upper[4:7]).all()
    assert found.upper[7] == 5.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"period": 0}, "period was 0"),
        ({"buffer": -0.1}, "buffer was -0.1"),
        ({"buffer": "1"}, "buffer was '1'"),
        ({"fail_within": -1}, "fail_within was -1"),
        ({"volume": np.float64(np.nan)}, "volume was"),
        ({"volume": 1.0, "volume_period": 0}, "volume_period was 0"),
        ({"volume": 1.0}, "data had no volume"),
        ({"nan": "none"}, "none"),
    ],
)
def test_breakouts_refuse_parameters_out_of_their_range(options, said):
    """The message names the parameter and the value; closes alone have no volume."""
    with pytest.raises(errors.UsageError, match=said):
        trend.breakouts(np.ones(5), **options)


# What all of them take


FUNCTIONS = [trend.regression, trend.regime, trend.volatility_regime, trend.divergence, trend.breakouts]


@pytest.mark.parametrize("analyse", FUNCTIONS)
def test_candles_panels_and_arrays_say_the_same(analyse):
    """One symbol as Candles, in a Panel and as arrays by name has the same values, of shapes (T,) and (T, S)."""
    data = wave()
    time = 60_000 * np.arange(400)
    panel = Panel(symbols=["A/B", "C/D"], timeframe="1m", time=time, **data)
    one = {name: values[:, 1].copy() for name, values in data.items()}
    candles = Candles(symbol="C/D", timeframe="1m", time=time, **one)
    for wide, narrow, named in zip(analyse(panel), analyse(candles), analyse(one), strict=True):
        if isinstance(wide, np.ndarray):
            assert wide.shape == (400, 2)
            np.testing.assert_array_equal(wide[:, 1], narrow)
        else:
            assert wide == narrow
        np.testing.assert_array_equal(narrow, named)


@pytest.mark.parametrize("analyse", FUNCTIONS)
def test_closes_alone_are_bars_without_a_range(analyse):
    """An array, or a list, stands for bars whose high and low are the close."""
    close = wave()["close"][:, 0]
    for plain, listed, named in zip(
        analyse(close), analyse(close.tolist()), analyse({"high": close, "low": close, "close": close}), strict=True
    ):
        np.testing.assert_array_equal(plain, listed)
        np.testing.assert_array_equal(plain, named)


@pytest.mark.parametrize("analyse", FUNCTIONS)
def test_data_is_left_as_it_was(analyse):
    """What is handed in is read, not written to."""
    data = wave()
    data["close"][7] = np.inf
    kept = {name: values.copy() for name, values in data.items()}
    analyse(data)
    for name, values in data.items():
        np.testing.assert_array_equal(values, kept[name])


@pytest.mark.parametrize("analyse", FUNCTIONS)
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pd.DataFrame({"close": [1.0, 2.0]}), "give Candles.from_frame"),
        (pd.Series([1.0, 2.0]), "give Candles.from_frame"),
        ({"price": np.ones(3)}, r"none of open, high, low, close, volume \(it has price\)"),
        ({}, r"\(it has nothing\)"),
        ({"high": np.ones(3), "low": np.ones(3), "close": np.ones(4)}, "give columns of one shape"),
        (np.ones((2, 2, 2)), r"close had shape \(2, 2, 2\)"),
        ("BTC/USDT", "close"),
        (None, "close"),
        (["a", "b"], "close"),
    ],
)
def test_data_of_another_kind_is_refused(analyse, data, said):
    """The message says what to give instead."""
    with pytest.raises(errors.UsageError, match=said):
        analyse(data)


def test_missing_column_is_named():
    """Arrays by name must hold what is read; nothing is made up from the close."""
    with pytest.raises(errors.UsageError, match=r"data had no high \(it has close\)"):
        trend.breakouts({"close": np.ones(5)})
    with pytest.raises(errors.UsageError, match="data had no close"):
        trend.regression({"high": np.ones(5)})


def test_codes_read_as_their_names():
    """Codes compare with the members of their enumerations, and have their names."""
    assert [Trend(code).name for code in (-1, 0, 1, -128)] == ["DOWN", "RANGE", "UP", "UNKNOWN"]
    assert [Volatility(code).name for code in (-1, 0, 1, -128)] == ["LOW", "NORMAL", "HIGH", "UNKNOWN"]
    assert [Divergence(code).name for code in (0, 1, 2)] == ["NONE", "REGULAR", "HIDDEN"]
    assert [Breakout(code).name for code in (-1, 0, 1)] == ["DOWN", "NONE", "UP"]
