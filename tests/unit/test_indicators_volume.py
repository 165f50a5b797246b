"""Volume: cases worked by hand, references from the textbooks, and bars without trades."""

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from references import volume
from references.bars import HOUR, assert_close, bars, markets

from tradeutils import indicators

NAN = np.nan
HIGH, LOW, CLOSE, VOLUME = [10, 12, 11, 10], [8, 8, 11, 6], [9, 11, 11, 7], [100, 200, 50, 40]
BAR = ("high", "low", "close", "volume")

CASES = {
    "ad": (BAR, st.tuples()),
    "adosc": (BAR, st.tuples(st.integers(2, 20), st.integers(2, 20))),
    "cmf": (BAR, st.tuples(st.integers(2, 25))),
    "efi": (("close", "volume"), st.tuples(st.integers(1, 25))),
    "pvt": (("close", "volume"), st.tuples()),
    "nvi": (("close", "volume"), st.tuples()),
    "pvi": (("close", "volume"), st.tuples()),
    "rvol": (("volume",), st.tuples(st.integers(1, 25))),
    "vwap": (BAR, st.tuples()),
    "session_vwap": (("time", *BAR), st.tuples(st.sampled_from([1.0, 8.0, 24.0, 168.0]))),
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_values_are_the_textbooks(name, data):
    """On walks of every size, with flat, quiet and missing bars, values are those of a reference in long double."""
    columns, parameters = CASES[name]
    market, values = data.draw(markets()), data.draw(parameters)
    inputs = [market[column] for column in columns]
    assert_close(getattr(indicators, name)(*inputs, *values), getattr(volume, name)(*inputs, *values))


@pytest.mark.parametrize("name", ["adosc", "nvi", "pvi", "obv"])
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_values_of_tradingview_are_its_manuals(name, data):
    """The same lines with TradingView's beginnings."""
    columns, parameters = CASES.get(name, (("close", "volume"), st.tuples()))
    market, values = data.draw(markets()), data.draw(parameters)
    inputs = [market[column] for column in columns]
    made = getattr(indicators, name)(*inputs, *values, compat="tradingview")
    assert_close(made, getattr(volume, f"{name}_tradingview")(*inputs, *values))


def test_volume_lines_of_tradingview_worked_by_hand():
    """The lines above and below from TradingView's beginnings: obv from 0, indices from 1, the oscillator at once."""
    close, volumes = [10, 12, 9, 18], [100, 200, 150, 150]
    options = {"compat": "tradingview"}
    np.testing.assert_array_equal(indicators.obv(close, volumes, **options), [0, 200, 50, 200])
    np.testing.assert_allclose(indicators.pvi(close, volumes, **options), [1, 1.2, 1.2, 1.2], rtol=1e-15)
    np.testing.assert_allclose(indicators.nvi(close, volumes, **options), [1, 1, 0.75, 0.75], rtol=1e-15)
    made = indicators.adosc(HIGH, LOW, CLOSE, VOLUME, 2, 3, **options)
    np.testing.assert_allclose(made, [0, 200 / 3 - 50, 800 / 9 - 75, 2240 / 27 - 77.5], rtol=1e-13)


def test_ad_worked_by_hand():
    """
    Where close stands in its bar: (1 - 1) / 2 = 0, (3 - 1) / 4 = 1/2, no range 0, (1 - 3) / 4 = -1/2.

    Times the volumes: 0, 100, 0, -20, summed up (M. Chaikin, TA-Lib's AD).
    """
    np.testing.assert_array_equal(indicators.ad(HIGH, LOW, CLOSE, VOLUME), [0, 100, 100, 80])


def test_adosc_worked_by_hand():
    """
    EMAs of 2 and 3 bars of the line above, both begun with its first value, shown from the third bar on.

    Fast 0, 200/3, 800/9, 2240/27; slow 0, 50, 75, 77.5 (TA-Lib's ADOSC).
    """
    made = indicators.adosc(HIGH, LOW, CLOSE, VOLUME, 2, 3)
    np.testing.assert_allclose(made, [NAN, NAN, 800 / 9 - 75, 2240 / 27 - 77.5], rtol=1e-13)


@pytest.mark.parametrize("periods", [(3, 10), (10, 3), (5, 5)])
def test_adosc_is_talibs_in_either_order(periods):
    """The longer period decides where the first value stands; the periods are not exchanged."""
    market = bars(8)
    inputs = [market[column] for column in BAR]
    assert_close(indicators.adosc(*inputs, *periods), talib.ADOSC(*inputs, *periods))


def test_cmf_worked_by_hand():
    """Money flows 0, 100, 0, -20 over volumes 100, 200, 50, 40, in twos: 100/300, 100/250, -20/90 (M. Chaikin)."""
    np.testing.assert_allclose(indicators.cmf(HIGH, LOW, CLOSE, VOLUME, 2), [NAN, 1 / 3, 0.4, -2 / 9], rtol=1e-15)


def test_efi_worked_by_hand():
    """Changes 2, -1, 3 times volumes: 400, -300, 300; EMA of 2: 50, 50 + 2/3 * 250 (A. Elder, force index)."""
    made = indicators.efi([10, 12, 11, 14], [100, 200, 300, 100], 2)
    np.testing.assert_allclose(made, [NAN, NAN, 50, 650 / 3], rtol=1e-15)


def test_pvt_worked_by_hand():
    """From 0: 2/10 * 200 = 40, less 1/12 * 300 = 25, plus 3/11 * 100 (TA-Lib's PVT)."""
    made = indicators.pvt([10, 12, 11, 14], [100, 200, 300, 100])
    np.testing.assert_allclose(made, [0, 40, 15, 15 + 300 / 11], rtol=1e-15)


def test_volume_indices_worked_by_hand():
    """
    Volumes 100, 200, 150, 150 rise, fall, stand; closes 10, 12, 9, 18.

    The positive index gains 12/10 on the rise, the negative loses to 9/12 on the fall, and neither moves with the
    price while volume stands (TA-Lib's PVI and NVI: N. Fosback's, from 1000).
    """
    close, volumes = [10, 12, 9, 18], [100, 200, 150, 150]
    np.testing.assert_allclose(indicators.pvi(close, volumes), [1000, 1200, 1200, 1200], rtol=1e-15)
    np.testing.assert_allclose(indicators.nvi(close, volumes), [1000, 1000, 750, 750], rtol=1e-15)


def test_rvol_worked_by_hand():
    """4 over the mean of 1 and 3 is 2; none over the mean of 3 and 4 is 0: the bar itself is not in the mean."""
    np.testing.assert_array_equal(indicators.rvol([1, 3, 4, 0], 2), [NAN, NAN, 2, 0])


def test_vwap_worked_by_hand():
    """Prices 2, 4, 6 of volumes 1, 1, 2: 2, 6/2, 18/4 (Berkowitz, Logue and Noser 1988)."""
    price = [2, 4, 6]
    np.testing.assert_array_equal(indicators.vwap(price, price, price, [1, 1, 2]), [2, 3, 4.5])


def test_vwap_begins_where_the_data_does():
    """To anchor at a bar, hand in the data from that bar on."""
    market = bars(2)
    inputs = [market[column][30:] for column in BAR]
    assert indicators.vwap(*inputs)[0] == pytest.approx(sum(column[30] for column in map(market.get, BAR[:3])) / 3)


def test_session_vwap_begins_anew_at_midnight():
    """Prices 2, 4 of one UTC day and 6, 8 of the next, volumes 1, 3, 1, 1: 2, 14/4 and 6, 14/2."""
    price, day = [2, 4, 6, 8], 20_000 * 24 * HOUR
    time = [day - 2 * HOUR, day - HOUR, day, day + HOUR]
    np.testing.assert_array_equal(indicators.session_vwap(time, price, price, price, [1, 3, 1, 1]), [2, 3.5, 6, 7])


def test_session_of_a_week_begins_on_monday():
    """168 hours are weeks from Monday 00:00 UTC: 2024-01-01 was one."""
    monday = 1_704_067_200_000
    time, price = [monday - HOUR, monday, monday + HOUR], [1, 5, 7]
    made = indicators.session_vwap(time, price, price, price, [1, 1, 1], 168)
    np.testing.assert_array_equal(made, [1, 5, 6])


@pytest.mark.parametrize("hours", [1 / 60, 0.1, 1 / 3, 1.1, 2.2, 7.7])
def test_session_of_any_hours_begins_on_time(hours):
    """1.1 hours are 3,960,000 ms and not 2e-16 more of them: the bar at which a session begins is its first."""
    length = round(hours * HOUR)
    begins = 4 * 24 * HOUR + length * np.arange(10_000_000, 10_000_500, dtype=float)
    time, price = np.ravel(np.column_stack([begins, begins + length - 1])), np.arange(1000.0)
    made = indicators.session_vwap(time, price, price, price, np.ones(1000), hours)
    np.testing.assert_array_equal(made, price - 0.5 * (np.arange(1000) % 2))


@pytest.mark.parametrize("name", ["ad", "adosc", "cmf", "efi", "pvt", "rvol"])
def test_bars_without_volume_give_zero(name):
    """Where nothing was traded, flows, forces and relations are 0."""
    market = bars(4, quiet=1.0)
    made = getattr(indicators, name)(*(market[column] for column in CASES[name][0]))
    known = ~np.isnan(made)
    assert known.sum() > 40
    np.testing.assert_array_equal(made[known], 0.0)


@pytest.mark.parametrize("name", ["vwap", "session_vwap"])
def test_average_without_volume_is_the_typical_price(name):
    """Until something is traded there is no weighted mean, and the bar's own typical price stands for it."""
    market = bars(4, quiet=1.0)
    made = getattr(indicators, name)(*(market[column] for column in CASES[name][0]))
    np.testing.assert_array_equal(made, indicators.typprice(*(market[column] for column in BAR[:3])))


def test_bars_without_a_range_move_no_money():
    """Where high equals low, close stands nowhere in it: AD and CMF count nothing; nor where high is below low."""
    flat = np.full(30, 1e-9)
    np.testing.assert_array_equal(indicators.ad(flat, flat, flat, np.ones(30)), 0.0)
    np.testing.assert_array_equal(indicators.cmf(flat, flat, flat, np.ones(30), 5)[4:], 0.0)
    np.testing.assert_array_equal(indicators.ad(flat, 2 * flat, flat, np.ones(30)), 0.0)
    np.testing.assert_array_equal(talib.AD(flat, 2 * flat, flat, np.ones(30)), 0.0)


@pytest.mark.parametrize("name", ["pvt", "nvi", "pvi"])
def test_a_change_from_a_price_of_zero_counts_nothing(name):
    """A close of 0 gives no relative change to the bar after it, and no infinity."""
    close, volumes = np.array([1.0, 0.0, 5.0, 5.0]), np.array([1.0, 3.0, 2.0, 4.0])
    made = getattr(indicators, name)(close, volumes)
    assert made[1] == made[2] == made[3]
    np.testing.assert_array_equal(made, getattr(talib, name.upper())(close, volumes))
