"""Levels of prices: cases worked by hand, what is refused, and the loops that find them."""

import ctypes

import numpy as np
import pytest

from tradeutils import Candles, Panel
from tradeutils.analysis import levels, pivot_points, series, support_resistance, swings, volume_profile
from tradeutils.analysis.levels import Level, Node
from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators import cpu
from tradeutils.indicators.cpu import levels as level_loop
from tradeutils.indicators.cpu import profiles as profile_loop
from tradeutils.indicators.cpu import zigzag as zigzag_loop

NAN = np.nan
HOUR, DAY = 3_600_000, 86_400_000


def bars(*rows):
    """Return columns of rows (high, low) or (high, low, close); without a close it is their mean."""
    table = np.array([row if len(row) == 3 else (*row, sum(row) / 2) for row in rows], float)
    return {"high": table[:, 0], "low": table[:, 1], "close": table[:, 2]}


def turns(found):
    """Return each swing as (confirmed, at, price)."""
    return [(swing.confirmed, swing.at, swing.price) for swing in found.rows()]


def walk(rows, symbols, seed=1):
    """Return a panel of hours."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(random.normal(0, 0.01, (rows, symbols)).cumsum(axis=0))
    return Panel(
        symbols=tuple(f"S{s}" for s in range(symbols)),
        timeframe="1h",
        time=HOUR * np.arange(464_000, 464_000 + rows),
        open=close,
        high=close * (1 + 0.01 * random.random(close.shape)),
        low=close * (1 - 0.01 * random.random(close.shape)),
        close=close,
        volume=random.random(close.shape),
    )


def test_swings_are_reported_at_the_bar_that_confirms_them():
    """A high above its neighbours is known ``right`` bars later, at its own price, and carried on from there."""
    found = levels.swings(bars((5, 4), (9, 6), (7, 3), (6, 2), (8, 5), (8, 6)), left=1, right=2)
    assert turns(found) == [(3, 1, 9.0), (5, 3, 2.0)]
    assert found.delay == 2
    assert found.high_at.tolist() == [-1, -1, -1, 1, -1, -1]
    np.testing.assert_array_equal(found.high, [NAN, NAN, NAN, 9, NAN, NAN])
    np.testing.assert_array_equal(found.last_high(), [NAN, NAN, NAN, 9, 9, 9])
    np.testing.assert_array_equal(found.last_low(), [NAN, NAN, NAN, NAN, NAN, 2])
    assert found.legs().tolist() == [0, 0, 0, -1, -1, 1]
    assert found.legs().dtype == np.int8


def test_a_bar_that_is_high_and_low_at_once_has_no_leg():
    """Of one bar that is both swings it is not known which came last; both are listed, the low first."""
    found = levels.swings(bars((5, 4), (9, 1), (6, 3)), left=1, right=1)
    assert list(found.rows()) == [levels.Swing(2, 1, 0, 1.0, False), levels.Swing(2, 1, 0, 9.0, True)]
    assert found.legs().tolist() == [0, 0, 0]


def test_swings_are_listed_by_bar_and_column():
    """Of a panel all swings come in the order in which they were known."""
    high = np.array([[1.0, 1], [5, 1], [2, 6], [2, 2]])
    found = levels.swings({"high": high, "low": np.zeros_like(high)}, left=1, right=1)
    assert [(swing.confirmed, swing.column, swing.price) for swing in found.rows()] == [(2, 0, 5.0), (3, 1, 6.0)]


def test_zigzag_turns_where_the_price_came_back_by_the_threshold():
    """Ten per cent from 100 up to 110 confirm the low, ten per cent down from 120 to 108 the high."""
    data = bars((100, 100), (109, 101), (110, 105), (120, 112), (119, 108.5), (118, 108), (112, 95), (104.5, 96))
    found = levels.zigzag(data, 10.0, by="percent")
    assert turns(found) == [(2, 0, 100.0), (5, 3, 120.0), (7, 6, 95.0)]
    assert found.delay is None
    assert found.legs().tolist() == [0, 0, 1, 1, 1, -1, -1, 1]


def test_zigzag_asks_no_bar_that_makes_a_new_high_whether_it_turned():
    """A bar that reaches a new high and falls by the threshold goes on with the leg; the next one turns it."""
    found = levels.zigzag(bars((100, 100), (110, 105), (130, 90), (129, 95)), 10.0, by="percent")
    assert turns(found) == [(1, 0, 100.0), (3, 2, 130.0)]


def test_first_of_equal_highs_is_the_turn():
    """A second bar with the same high is none higher."""
    found = levels.zigzag(bars((100, 100), (120, 118), (120, 119), (119, 107)), 10.0, by="percent")
    assert turns(found) == [(1, 0, 100.0), (3, 1, 120.0)]


LOW_FIRST = [(105, 105), (110, 100), (112, 104), (111, 105), (107, 105.5, 106)]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [(LOW_FIRST, (4, 1, 100.0)), ([[200 - value for value in (r[1], r[0], *r[2:])] for r in LOW_FIRST], (4, 1, 100.0))],
    ids=["low first", "high first"],
)
def test_before_the_first_swing_what_came_first_was_turned_from(rows, wanted):
    """A bar that, as the ATR eases, is far enough from both ends confirms the older of them."""
    assert turns(levels.zigzag(bars(*rows), 2.0, atr=1)) == [wanted]


def test_before_the_first_swing_two_ends_of_one_bar_are_not_turned_from():
    """Which of a wide bar's prices came first is not known; the first bar beyond one of them decides."""
    rows = [(120, 100), (119, 101)]
    assert turns(levels.zigzag(bars(*rows), 10.0, by="percent")) == []
    assert turns(levels.zigzag(bars(*rows, (121, 110)), 10.0, by="percent")) == [(2, 0, 100.0)]
    assert turns(levels.zigzag(bars(*rows, (110, 99)), 10.0, by="percent")) == [(2, 0, 120.0)]


def test_zigzag_passes_over_missing_bars_and_those_without_an_atr():
    """NaN in one column hides the other; before the first ATR, here at bar 3, no bar counts, however high it is."""
    found = levels.zigzag(bars((100, 100), (150, NAN), (110, 105), (NAN, 50)), 10.0, by="percent")
    assert turns(found) == [(2, 0, 100.0)]
    early = np.array([100.0, 104, 100, 100, 101, 100, 98])
    assert turns(levels.zigzag(early, 1.0, atr=3)) == [(6, 4, 101.0)]


def test_leg_that_an_easing_atr_confirms_late_begins_at_its_lowest_bar():
    """Where the ATR shrinks after the lowest bar the next leg is measured from that bar, not from the present one."""
    rows = [(100 + 9 * k, 91 + 9 * k, 95 + 9 * k) for k in range(4)]
    rows += [(126, 100, 113), (113, 112, 112.5), (113, 112, 112.5), (112.6, 112, 112.4), (112.6, 112, 112.4)]
    wanted = [(2, 1, 100.0), (5, 3, 127.0), (6, 4, 100.0), (7, 5, 113.0)]
    assert turns(levels.zigzag(bars(*rows), 1.2, atr=1)) == wanted


CLOSES = np.array([10.0, 12, 15, 12, 10, 13, 15.25, 13, 11, 14, 16, 17])


def levels_of(close=CLOSES, **options):
    """Return the levels of closes with pivots of one bar on each side, and a tolerance of 2 % of the price."""
    asked = {"left": 1, "right": 1, "tolerance": 2.0, "by": "percent", **options}
    return levels.support_resistance(np.array(close, float), **asked)


def test_pivots_that_lie_together_make_one_level_at_their_mean():
    """Highs of 15 and 15.25 are one resistance of two touches at 15.125, from the bar that confirms the second on."""
    found = levels_of(CLOSES[:9])
    np.testing.assert_array_equal(found.resistance, [NAN, NAN, NAN, 15, 15, 15, 15, 15.125, 15.125])
    assert found.resistance_touches.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    np.testing.assert_array_equal(found.support, [NAN] * 5 + [10.0] * 4)
    assert found.support_touches.tolist() == [0] * 5 + [1] * 4
    assert found.delay == 1
    ((resistance, low),) = found.levels
    assert (resistance.price, resistance.kind, resistance.touches) == (15.125, "resistance", 2)
    assert (resistance.first, resistance.last, resistance.breaks) == (2, 6, 0)
    assert (resistance.first_time, resistance.last_time) == (None, None)
    assert (low.price, low.kind, low.first, low.last) == (10.0, "support", 4, 4)


def test_level_that_is_broken_becomes_the_other_kind():
    """A close above 15.125 by more than 2 % makes it the highest support; one within the tolerance does not."""
    found = levels_of()
    np.testing.assert_array_equal(found.resistance[8:], [15.125, 15.125, NAN, NAN])
    np.testing.assert_array_equal(found.support[8:], [10.0, 11.0, 15.125, 15.125])
    level = max(found.levels[0], key=lambda one: one.price)
    assert (level.kind, level.breaks) == ("support", 1)
    assert levels_of([10, 12, 15, 12, 10, 15.29]).resistance[-1] == 15.0
    assert np.isnan(levels_of([10, 12, 15, 12, 10, 15.31]).resistance[-1])


def test_what_lies_just_at_the_tolerance_is_within_it():
    """Of 16 a sixteenth is 1: a close of 17 does not break the level, and a pivot at 16 touches one at 17."""
    asked = {"tolerance": 6.25}
    assert levels_of([10, 12, 16, 12, 17], **asked).resistance[-1] == 16.0
    assert np.isnan(levels_of([10, 12, 16, 12, 17.001], **asked).resistance[-1])
    close = [10, 12, 17, 12, 16, 12]
    assert levels_of(close, **asked).levels[0][0].price == 16.5
    close[4] = 15.99
    assert {level.price for level in levels_of(close, **asked).levels[0]} == {17.0, 15.99, 12.0}


@pytest.mark.parametrize(("flips", "alive"), [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1])])
def test_level_ends_when_it_is_broken_once_more_than_it_may(flips, alive):
    """Closes go to and fro through 15; after the break that is one too many the level is gone."""
    close = [10, 12, 15, 12, 16, 16, 12, 12, 16, 16]
    found = [levels_of(close[:end], flips=flips).levels[0] for end in (5, 7, 9)]
    assert [sum(level.price == 15.0 and level.first == 2 for level in one) for one in found] == alive


def test_level_ends_after_the_lookback_without_a_touch():
    """The pivot at bar 2 is a level for four bars more."""
    close = [10, 12, 15, 12, 12, 12, 12, 12]
    np.testing.assert_array_equal(levels_of(close, lookback=4).resistance, [NAN, NAN, NAN, 15, 15, 15, 15, NAN])
    assert levels_of(close, lookback=4).levels == ((),)


def touches_of(close):
    """Return the touches of each level above 95 by its price."""
    found = levels_of(close, tolerance=3.0, flips=9).levels[0]
    return {level.price: level.touches for level in found if level.price > 95}


def test_touch_goes_to_the_nearest_level_and_to_the_oldest_of_two():
    """A pivot between two levels joins the nearer; as near to both, the one that was there first."""
    close = [90, 100, 90, 104, 90, 103, 90, 90]
    by_price = touches_of(close)
    assert by_price == {100.0: 1, 103.5: 2}
    close[5] = 102
    even = touches_of(close)
    assert even == {101.0: 2, 104.0: 1}


def test_pivots_of_either_kind_touch_a_level():
    """A low that lies at a former high touches it, and the level stays what it was until it is broken."""
    close = [10, 12, 15, 12, 16, 15.1, 17]
    ((level, *_),) = levels_of(close, flips=1).levels
    assert (level.price, level.touches, level.kind) == (15.05, 2, "support")


def test_strength_of_a_touch_halves_after_half_of_the_lookback():
    """One touch weighs 1/2 after 5 of 10 bars, and two the sum."""
    found = levels_of([10, 12, 15, 12, 11, 11, 15, 11], lookback=10).levels[0]
    level = next(one for one in found if one.kind == "resistance")
    assert level.strength == pytest.approx(0.5 ** (5 / 5) + 0.5 ** (1 / 5))
    assert level.touches == 2


def test_levels_know_the_times_of_their_pivots():
    """Of Candles and Panels the first and last bar are named by their time too."""
    candles = Candles(
        timeframe="1h",
        time=HOUR * np.arange(9),
        **dict.fromkeys(("open", "high", "low", "close", "volume"), CLOSES[:9]),
    )
    found = levels.support_resistance(candles, left=1, right=1, tolerance=2.0, by="percent")
    assert found.levels[0][0] == Level(
        15.125, "resistance", 2, 2, 6, found.levels[0][0].strength, 0, 2 * HOUR, 6 * HOUR
    )
    np.testing.assert_array_equal(found.resistance, levels_of(CLOSES[:9]).resistance)


def test_a_missing_close_breaks_no_level():
    """What was known before a gap is known after it."""
    close = [10, 12, 15, 12, 12, NAN, NAN, 12]
    np.testing.assert_array_equal(levels_of(close).resistance, [NAN, NAN, NAN, 15, 15, 15, 15, 15])


def test_volume_of_a_bar_is_spread_over_its_range():
    """Eight over four bins are two in each; a bar of one bin gives all to it; one of one price to the bin above it."""
    data = {"high": [4.0, 3.0, 1.0], "low": [0.0, 2.0, 1.0], "volume": [8.0, 4.0, 1.0]}
    found = levels.volume_profile(data, bins=4)
    assert found.volume.tolist() == [2.0, 3.0, 6.0, 2.0]
    assert found.edges.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert (found.point_of_control, found.low, found.high, found.delay) == (2.5, 1.0, 4.0, 0)


def lying(*volumes):
    """Return bars of one bin each, with these volumes, from the price 0 up."""
    low = np.arange(float(len(volumes)))
    return {"high": low + 1.0, "low": low, "volume": np.array(volumes, float)}


@pytest.mark.parametrize(
    ("volumes", "share", "wanted"),
    [
        ((5, 1, 5, 1, 1), 0.1, (2.5, 2.0, 3.0)),
        ((5, 1, 1, 5), 0.1, (0.5, 0.0, 1.0)),
        ((1, 2, 9, 2, 1), 0.7, (2.5, 2.0, 4.0)),
        ((1, 3, 9, 2, 1), 0.7, (2.5, 1.0, 3.0)),
        ((1, 2, 9, 2, 1), 0.0, (2.5, 2.0, 3.0)),
        ((1, 2, 9, 2, 1), 1.0, (2.5, 0.0, 5.0)),
        ((1, 2, 3), 0.7, (2.5, 1.0, 3.0)),
    ],
    ids=["nearest the middle", "lower", "upper of equal", "more", "none", "all", "at the end"],
)
def test_value_area_grows_from_the_fullest_bin(volumes, share, wanted):
    """The fullest bin, then each time the neighbour with more volume; ties as the rule says."""
    found = levels.volume_profile(lying(*volumes), bins=len(volumes), share=share)
    assert (found.point_of_control, found.low, found.high) == wanted


def test_nodes_are_runs_of_bins_with_much_or_little():
    """Bins of 1.5 times the mean and more side by side are one node, those of half of it and less another."""
    found = levels.volume_profile(lying(9, 9, 4, 1, 0.5, 6.5), bins=6)
    assert found.nodes() == ((Node(0.0, 2.0, 18.0, "high"), Node(3.0, 5.0, 1.5, "low")),)
    assert found.nodes(high=1.2, low=0.0) == ((Node(0.0, 2.0, 18.0, "high"), Node(5.0, 6.0, 6.5, "high")),)
    with pytest.raises(UsageError, match="below the high"):
        found.nodes(high=0.5, low=0.5)


def test_bars_that_traded_nothing_or_are_broken_count_for_nothing():
    """No volume, a missing value, or a high below the low: neither volume nor range."""
    data = {
        "high": [2.0, 90.0, NAN, 5.0, 99.0, 9.0],
        "low": [1.0, 80.0, 1.0, 6.0, 98.0, NAN],
        "volume": [3.0, 0.0, 1.0, 1.0, -2.0, 1.0],
    }
    found = levels.volume_profile(data, bins=2)
    assert found.edges.tolist() == [1.0, 1.5, 2.0]
    assert found.volume.tolist() == [1.5, 1.5]


@pytest.mark.parametrize("bins", [np.uint8(255), np.int8(127), np.int16(50)])
def test_bins_may_be_counted_by_any_integer(bins):
    """One more than a small integer holds are the edges."""
    found = levels.volume_profile(TRADED, bins=bins)
    np.testing.assert_array_equal(found.edges, levels.volume_profile(TRADED, bins=int(bins)).edges)
    assert len(found.edges) == int(bins) + 1


def test_profile_of_a_panel_has_a_column_for_each_symbol():
    """Bins down, symbols across; the point of control and the value area one a symbol."""
    panel = walk(50, 3)
    found = levels.volume_profile(panel, bins=8)
    assert found.volume.shape == (8, 3)
    assert found.edges.shape == (9, 3)
    assert found.point_of_control.shape == found.low.shape == found.high.shape == (3,)
    np.testing.assert_allclose(found.volume.sum(axis=0), panel.volume.sum(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(found.edges[-1], panel.high.max(axis=0))
    assert len(found.nodes()) == 3
    whole = levels.volume_profile(walk(50, 40), bins=7, share=1.0)
    np.testing.assert_array_equal(whole.high, whole.edges[-1])
    alone = levels.volume_profile(panel["S1"], bins=8)
    np.testing.assert_array_equal(found.volume[:, 1], alone.volume)
    assert isinstance(alone.point_of_control, float)


def test_prices_that_differ_by_less_than_bins_can_tell_go_to_the_first():
    """A range so small that a bin has no size puts all into one bin, at its price."""
    data = {"high": np.array([5e-324, 0.0]), "low": np.array([0.0, 0.0]), "volume": np.array([1.0, 2.0])}
    found = levels.volume_profile(data, bins=50)
    assert found.volume.tolist() == [3.0] + [0.0] * 49
    assert found.point_of_control == 0.0


def days(*rows, start=0, step=6 * HOUR):
    """Return candles of six hours of rows (high, low, close)."""
    table = np.array(rows, float)
    return Candles(
        timeframe="6h", time=start + step * np.arange(len(rows)), open=table[:, 2], high=table[:, 0], low=table[:, 1],
        close=table[:, 2], volume=np.ones(len(rows)),
    )  # fmt: skip


FIRST_DAY = [(110, 100, 105), (120, 104, 118), (115, 90, 95), (108, 92, 100)]


@pytest.mark.parametrize(
    ("method", "resistances", "supports"),
    [
        ("floor", [350 / 3 - 270 / 3 + 270 / 3, 400 / 3, 440 / 3], [260 / 3, 220 / 3, 170 / 3]),
        ("fibonacci", [310 / 3 + 11.46, 310 / 3 + 18.54, 400 / 3], [310 / 3 - 11.46, 310 / 3 - 18.54, 220 / 3]),
        ("camarilla", [102.75, 105.5, 108.25, 116.5], [97.25, 94.5, 91.75, 83.5]),
    ],
)
def test_pivot_points_are_made_of_the_day_before(method, resistances, supports):
    """High 120, low 90 and close 100 of the first day are the points of all bars of the second."""
    candles = days(*FIRST_DAY, (101, 99, 100), (300, 98, 250))
    found = levels.pivot_points(candles, method=method)
    np.testing.assert_array_equal(np.isnan(found.pivot), [True] * 4 + [False] * 2)
    for made, wanted in ((found.resistances, resistances), (found.supports, supports)):
        np.testing.assert_allclose([values[4] for values in made], wanted, rtol=1e-12)
        np.testing.assert_array_equal([values[5] for values in made], [values[4] for values in made])
    assert found.pivot[4] == pytest.approx(310 / 3)
    assert found.delay == 0


def test_first_day_that_is_not_whole_makes_no_pivot_points():
    """Of a day whose first bar is missing the high is not known."""
    cut = days(*FIRST_DAY[1:], (101, 99, 100), start=6 * HOUR)
    assert np.isnan(levels.pivot_points(cut).pivot).all()


def test_day_before_is_the_last_one_with_a_bar():
    """After two days without any bar the points are those of the day before them."""
    whole = days(*FIRST_DAY, *[(NAN, NAN, NAN)] * 8, (101, 99, 100))
    assert levels.pivot_points(whole).pivot[-1] == pytest.approx(310 / 3)
    absent = Candles(
        timeframe="6h", time=whole.time[[0, 1, 2, 3, 12]],
        **{name: getattr(whole, name)[[0, 1, 2, 3, 12]] for name in ("open", "high", "low", "close", "volume")},
    )  # fmt: skip
    assert levels.pivot_points(absent).pivot[-1] == pytest.approx(310 / 3)


def test_day_may_begin_at_another_hour():
    """A day from 06:00 to 06:00 has the high of its own four bars; bars outside of trading hours have nothing."""
    candles = days((500, 400, 450), *FIRST_DAY, (101, 99, 100))
    found = levels.pivot_points(candles, day="06:00")
    np.testing.assert_allclose(found.pivot, [NAN] * 5 + [310 / 3])
    hours = levels.pivot_points(candles, day="06:00-18:00 UTC")
    np.testing.assert_array_equal(np.isnan(hours.pivot), [True] * 5 + [False])
    assert hours.pivot[5] == pytest.approx((120 + 100 + 118) / 3)


def test_value_areas_of_a_session_begin_anew():
    """The first bar of a day has a profile of its own; a first day cut short has none."""
    candles = days(*FIRST_DAY, (101, 99, 100), (200, 190, 195))
    found = levels.value_areas(candles, session="1d", bins=4, share=1.0)
    np.testing.assert_array_equal(found.low, [100, 100, 90, 90, 99, 99])
    np.testing.assert_array_equal(found.high, [110, 120, 120, 120, 101, 200])
    assert found.delay == 0
    cut = levels.value_areas(candles[1:], session="1d", bins=4, share=1.0)
    np.testing.assert_array_equal(cut.low, [NAN] * 3 + [99, 99])


def test_value_areas_of_a_week_leave_out_what_lies_outside_of_trading_hours():
    """A night between two days of one week adds nothing to the profile of the week."""
    candles = days(*FIRST_DAY, (101, 99, 100), (300, 98, 250), start=4 * DAY)  # a Monday
    found = levels.value_areas(candles, session="1w", day="00:00-12:00", bins=4, share=1.0)
    np.testing.assert_array_equal(found.low, [100, 100, NAN, NAN, 99, 98])
    np.testing.assert_array_equal(found.high, [110, 120, NAN, NAN, 120, 300])


CLOSE = np.ones(5)
TRADED = dict.fromkeys(("high", "low", "volume"), CLOSE)
CANDLES = days(*FIRST_DAY)
REFUSED = [
    (lambda: levels.swings(CLOSE, left=0), "left was 0"),
    (lambda: levels.swings(CLOSE, right=1.5), r"right was 1\.5"),
    (lambda: levels.swings({"high": CLOSE}), "data had no low"),
    (lambda: levels.swings("prices"), "close"),
    (lambda: levels.zigzag(CLOSE, 0), "threshold was 0; write a number above 0"),
    (lambda: levels.zigzag(CLOSE, -1), "threshold was -1"),
    (lambda: levels.zigzag(CLOSE, NAN), "threshold was nan"),
    (lambda: levels.zigzag(CLOSE, atr=0), "atr was 0"),
    (lambda: levels.zigzag({"high": CLOSE, "low": CLOSE}), "data had no close"),
    (lambda: levels.support_resistance(CLOSE, tolerance=-1), "tolerance was -1"),
    (lambda: levels.support_resistance(CLOSE, lookback=4), "lookback was 4; write a whole number of bars from 5"),
    (lambda: levels.support_resistance(CLOSE, flips=-1), "flips was -1"),
    (lambda: levels.support_resistance(CLOSE, flips=True), "flips was True"),
    (lambda: levels.support_resistance(np.ones((2, 2, 2))), "shape"),
    (lambda: levels.volume_profile(CLOSE), "data had no volume"),
    (lambda: levels.volume_profile(TRADED, bins=0), "bins was 0"),
    (lambda: levels.volume_profile(TRADED, bins=10**6), "bins was 1000000"),
    (lambda: levels.volume_profile(TRADED, bins=np.True_), "bins was np.True_"),
    (lambda: levels.volume_profile(TRADED, share=1.1), r"share was 1\.1"),
    (lambda: levels.value_areas(TRADED), "give one of them"),
    (lambda: levels.value_areas(CANDLES, 5, session="1d"), "give one of them"),
    (lambda: levels.value_areas(TRADED, 0), "window was 0"),
    (lambda: levels.value_areas(TRADED, session="1d"), "without times"),
    (lambda: levels.value_areas(TRADED, 5, tail=-1), "tail was -1"),
    (lambda: levels.pivot_points(TRADED), "without times"),
    (lambda: levels.pivot_points(CANDLES, "1h"), "multiples of 6h"),
    (lambda: levels.pivot_points(CANDLES, day="25:00"), "25:00"),
]


@pytest.mark.parametrize(("call", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_cannot_be_meant_is_refused(call, says):
    """A message names the parameter and what to write instead."""
    with pytest.raises(UsageError, match=says):
        call()


def test_unknown_names_are_refused_with_those_there_are():
    """A unit or a method that is not there is named, with what is."""
    with pytest.raises(UnknownName, match="percent"):
        levels.zigzag(CLOSE, by="percents")
    with pytest.raises(UnknownName, match="atr"):
        levels.support_resistance(CLOSE, by="ATR14")
    with pytest.raises(UnknownName, match="camarilla"):
        levels.pivot_points(CANDLES, method="camarila")
    with pytest.raises(UnknownName, match="timeframe"):
        levels.value_areas(CANDLES, session="day")


CALLS = {
    "zigzag": lambda panel: levels.zigzag(panel, 2.0),
    "support_resistance": levels.support_resistance,
    "value_areas": lambda panel: levels.value_areas(panel, 10, bins=6),
}


@pytest.mark.parametrize("name", CALLS)
def test_any_number_of_threads_gives_the_same(name, monkeypatch):
    """Blocks of symbols, side by side or one after the other, give the same bits."""
    panel = walk(2600, 70)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("TRADEUTILS_THREADS", threads)
        results.append(CALLS[name](panel))
    one, several = results
    for first, second in zip(one, several, strict=True):
        np.testing.assert_equal(second, first)


def test_layout_of_the_columns_does_not_matter():
    """Series lying side by side, backwards, or read-only give what rows give."""
    panel = walk(60, 4)
    whole = {name: getattr(panel, name) for name in ("high", "low", "close", "volume")}
    for turn in (np.asfortranarray, lambda values: np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]):
        turned = {name: turn(values) for name, values in whole.items()}
        for call in CALLS.values():
            np.testing.assert_equal(call(turned)[:3], call(whole)[:3])


class Recorder:
    """Keeps where memory lies that a loop may touch, and looks things up in it."""

    def __init__(self):
        self.known = []

    def held(self, array):
        if array.size:
            self.known.append(np.lib.array_utils.byte_bounds(array))
        return array

    def view(self, address, length, kind):
        address, size = int(address), int(length) * np.dtype(kind).itemsize
        assert length >= 0
        assert any(low <= address and address + size <= high for low, high in self.known) or not size, (address, size)
        return np.frombuffer((ctypes.c_char * max(size, 1)).from_address(address), kind, int(length))

    def matrix(self, address, rows, columns):
        return self.view(address, rows * columns, np.float64).reshape(rows, columns)


class Numpy:
    """numpy, but that the arrays made by ``array`` are recorded."""

    def __init__(self, recorder):
        self.recorder = recorder

    def __getattr__(self, name):
        return getattr(np, name)

    def array(self, *given, **options):
        return self.recorder.held(np.array(*given, **options))


LOOPS = {
    "zigzag": (swings, zigzag_loop),
    "support_resistance": (support_resistance, level_loop),
    "value_areas": (volume_profile, profile_loop),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loop_is_the_same_interpreted_and_stays_in_its_memory(name, monkeypatch):
    """Run as Python a loop gives what its machine code gives, and touches only what it was given."""
    panel = walk(90, series._BLOCK + 2, seed=4)
    holes = np.random.default_rng(2).random(panel.close.shape) < 0.02
    columns = {key: np.where(holes, NAN, getattr(panel, key)) for key in ("high", "low", "close", "volume")}
    wanted = CALLS[name](columns)
    module, loop = LOOPS[name]
    recorder = Recorder()
    monkeypatch.setattr(series, "np", Numpy(recorder))
    turned, whole = series._turned, series.each_series
    monkeypatch.setattr(series, "_turned", lambda values: recorder.held(turned(values)))

    def each_series(search, inputs, outputs, shared=()):
        for part in shared:
            recorder.held(part.array)
        return whole(search, inputs, outputs, shared)

    monkeypatch.setattr(module, "each_series", each_series)
    monkeypatch.setattr(module, "_search", lambda: loop._search)
    kinds = {"floats": np.float64, "words": np.int64}
    for key, value in vars(loop).copy().items():
        if key in kinds:
            monkeypatch.setattr(
                loop, key, lambda address, length, kind=kinds[key]: recorder.view(address, length, kind)
            )
        elif key == "load":
            monkeypatch.setattr(loop, key, lambda address: float(recorder.view(address, 1, np.float64)[0]))
        elif key == "matrix":
            monkeypatch.setattr(loop, key, recorder.matrix)
        elif hasattr(value, "py_func"):
            monkeypatch.setattr(loop, key, value.py_func)
    with np.errstate(all="ignore"):
        made = CALLS[name](columns)
    assert recorder.known
    for first, second in zip(made, wanted, strict=True):
        np.testing.assert_equal(first, second)


def test_tables_are_as_long_as_the_loops_read_them(monkeypatch):
    """Where a word is missing a loop would read beyond its table."""
    recorder = Recorder()
    monkeypatch.setattr(series, "np", Numpy(recorder))
    for call in CALLS.values():
        call(walk(30, 2))
    assert [(end - begin) // 8 for begin, end in recorder.known] == [
        zigzag_loop.WORDS,
        level_loop.WORDS,
        profile_loop.WORDS,
    ]
    assert support_resistance._FIELDS == level_loop.FIELDS


def test_loops_are_kept_between_processes():
    """Each is compiled into the cache on disk, in a folder named for its source."""
    for module in ("zigzag", "levels", "profiles"):
        assert cpu.cache_folder(module) is not None


def test_methods_of_pivot_points_are_those_described():
    """Each method is a name in the description of the function."""
    assert set(pivot_points.METHODS) == {"floor", "fibonacci", "camarilla"}
    assert all(f'"{name}"' in levels.pivot_points.__doc__ for name in pivot_points.METHODS)
