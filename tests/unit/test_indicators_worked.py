"""The first indicators, on a few bars worked by hand: sources and arithmetic in the docstrings."""

import numpy as np

from tradeutils import indicators

NAN = np.nan
CLOSE = np.array([44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931])
CLOSE = np.r_[CLOSE, [46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122]]
HIGH, LOW, LAST = [10, 12, 13, 12, 15], [8, 9, 11, 7, 10], [9, 11, 12, 8, 14]


def test_sma_worked_by_hand():
    """The five-day average of 11 .. 17 is 13, 14, 15 (StockCharts ChartSchool, Moving Averages)."""
    np.testing.assert_array_equal(indicators.sma(np.arange(11.0, 18.0), 5), [NAN] * 4 + [13, 14, 15])


def test_ema_worked_by_hand():
    """The ten-day EMA of ChartSchool's worked table, seeded with the simple average, to its two decimals."""
    close = [22.27, 22.19, 22.08, 22.17, 22.18, 22.13, 22.23, 22.43, 22.24, 22.29, 22.15, 22.39, 22.38, 22.61, 23.36]
    np.testing.assert_array_equal(indicators.ema(close, 10).round(2)[9:], [22.22, 22.21, 22.24, 22.27, 22.33, 22.52])


def test_rsi_worked_by_hand():
    """The 14-day RSI of ChartSchool's worked table (after Wilder 1978), to its two decimals."""
    np.testing.assert_array_equal(
        indicators.rsi(CLOSE, 14).round(2)[14:], [70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93]
    )


def test_macd_worked_by_hand():
    """
    Fast 2, slow 3, signal 2 of 1 2 4 7 11 (TA-Lib's seeding).

    Bar 2: slow (1 + 2 + 4) / 3 = 7/3, fast waits and is (2 + 4) / 2 = 3: 2/3. Bar 3: 17/3 - 14/3 = 1, signal
    (2/3 + 1) / 2 = 5/6. Bar 4: 83/9 - 47/6 = 25/18, signal 5/6 + (25/18 - 5/6) 2/3 = 65/54.
    """
    made = indicators.macd([1, 2, 4, 7, 11], 2, 3, 2)
    np.testing.assert_allclose(made.macd, [NAN, NAN, NAN, 1, 25 / 18], rtol=1e-14)
    np.testing.assert_allclose(made.signal, [NAN, NAN, NAN, 5 / 6, 65 / 54], rtol=1e-14)
    np.testing.assert_allclose(made.histogram, [NAN, NAN, NAN, 1 / 6, 10 / 54], rtol=1e-13)


def test_bbands_worked_by_hand():
    """The mean of 1 .. 5 is 3 and its deviation (ddof 0) the root of 2."""
    made = indicators.bbands([1, 2, 3, 4, 5], 5, 2.0)
    np.testing.assert_allclose([band[4] for band in made], [3 + 2 * 2**0.5, 3, 3 - 2 * 2**0.5], rtol=1e-15)
    assert all(np.isnan(band[:4]).all() for band in made)


def test_atr_worked_by_hand():
    """True ranges from bar 1 on: 3, 2, 5; the mean of two is 2.5, then (2.5 + 5) / 2 = 3.75 (Wilder 1978)."""
    made = indicators.atr([10, 12, 13, 12], [8, 9, 11, 7], [9, 11, 12, 8], 2)
    np.testing.assert_array_equal(made, [NAN, NAN, 2.5, 3.75])


def test_wma_worked_by_hand():
    """1, 2, 6 with weights 1, 2, 3: (1 + 4 + 18) / 6 (TA-Lib's WMA)."""
    np.testing.assert_allclose(indicators.wma([1, 2, 6], 3), [NAN, NAN, 23 / 6], rtol=1e-15)


def test_stoch_worked_by_hand():
    """
    Ranges of three bars: 8 .. 13 with close 12 is 80, 7 .. 13 with 8 is 100/6, 7 .. 15 with 14 is 87.5.

    Means of two: (80 + 100/6) / 2 = 145/3 and (100/6 + 87.5) / 2 = 625/12; their mean 1205/24 (TA-Lib's STOCH).
    """
    made = indicators.stoch(HIGH, LOW, LAST, 3, 2, 2)
    np.testing.assert_allclose(made, [[NAN] * 4 + [625 / 12], [NAN] * 4 + [1205 / 24]], rtol=1e-14)
    fast = indicators.stochf(HIGH, LOW, LAST, 3, 1)
    np.testing.assert_allclose(fast.fastk, [NAN, NAN, 80, 100 / 6, 87.5], rtol=1e-14)


def test_cci_worked_by_hand():
    """
    1, 2, 6: mean 3, mean distance (2 + 1 + 3) / 3 = 2, so (6 - 3) / (0.015 * 2) = 100.

    2, 6, 3: mean 11/3, mean distance 14/9, so (-2/3) / (0.015 * 14/9) = -200/7 (TA-Lib's CCI, D. Lambert 1980).
    """
    price = [1, 2, 6, 3]
    np.testing.assert_allclose(indicators.cci(price, price, price, 3), [NAN, NAN, 100, -200 / 7], rtol=1e-13)


def test_adx_worked_by_hand():
    """
    Period 2. Rises of the high 2, 1, 0, 3; falls of the low 0, 0, 4, 0; true ranges 3, 2, 5, 7.

    Sums, S - S / 2 + x from the second on: up 2, 2, 1, 3.5; down 0, 0, 4, 2; ranges 3, 3.5, 6.75, 10.375.
    DX: 100 * 2/2 = 100, 100 * 3/5 = 60, 100 * 1.5/5.5 = 300/11.
    ADX: (100 + 60) / 2 = 80, then (80 + 300/11) / 2 = 590/11 (J. W. Wilder 1978, TA-Lib's sums).
    """
    np.testing.assert_allclose(indicators.plus_dm(HIGH, LOW, 2), [NAN, 2, 2, 1, 3.5], rtol=1e-15)
    np.testing.assert_allclose(indicators.minus_dm(HIGH, LOW, 2), [NAN, 0, 0, 4, 2], rtol=1e-15)
    np.testing.assert_allclose(
        indicators.plus_di(HIGH, LOW, LAST, 2), [NAN, NAN, 200 / 3.5, 100 / 6.75, 350 / 10.375], rtol=1e-14
    )
    np.testing.assert_allclose(indicators.dx(HIGH, LOW, LAST, 2), [NAN, NAN, 100, 60, 300 / 11], rtol=1e-14)
    np.testing.assert_allclose(indicators.adx(HIGH, LOW, LAST, 2), [NAN, NAN, NAN, 80, 590 / 11], rtol=1e-14)


def test_donchian_worked_by_hand():
    """Highs 10, 12, 13 and lows 8, 9, 11 in twos: 12 over 8, 13 over 9; the middles 10 and 11 (R. Donchian)."""
    made = indicators.donchian(HIGH[:3], LOW[:3], 2)
    np.testing.assert_array_equal(made, [[NAN, 12, 13], [NAN, 10, 11], [NAN, 8, 9]])


def test_obv_worked_by_hand():
    """100, plus 200 for the rise, nothing while it stands, less 400 for the fall (J. Granville, TA-Lib's OBV)."""
    np.testing.assert_array_equal(indicators.obv([10, 11, 11, 9], [100, 200, 300, 400]), [100, 300, 300, -100])


def test_mfi_worked_by_hand():
    """
    Prices 10, 12, 11, 13 of volumes 1, 1, 2, 3: turnovers 12 up, 22 down, 39 up.

    Of two moves: 100 * 12 / 34 and 100 * 39 / 61 (G. Quong and A. Soudack, TA-Lib's MFI).
    """
    price = [10, 12, 11, 13]
    made = indicators.mfi(price, price, price, [1, 1, 2, 3], 2)
    np.testing.assert_allclose(made, [NAN, NAN, 1200 / 34, 3900 / 61], rtol=1e-14)


def test_rolling_vwap_worked_by_hand():
    """Prices 2, 4, 6 of volumes 1, 1, 2, in twos: 6/2 and 16/3."""
    price = [2, 4, 6]
    made = indicators.rolling_vwap(price, price, price, [1, 1, 2], 2)
    np.testing.assert_allclose(made, [NAN, 3, 16 / 3], rtol=1e-15)


def test_supertrend_of_tradingview_begins_falling_on_its_own_atr():
    """
    Ranges 2, 3, 2, the first high - low; ATRs of one bar are these. Middles 9, 10.5, 12.

    Bar 0 falls, at 9 + 2 = 11. Bar 1: 13.5 is farther than 11, whose close of 11 is not above it: falling, 11. Bar 2:
    close 12 is above 11: rising, at the nearer of 12 - 2 = 10 and 7.5, the highest so far (ta.supertrend).
    """
    made = indicators.supertrend(HIGH[:3], LOW[:3], LAST[:3], 1, 1.0, compat="tradingview")
    np.testing.assert_array_equal(made, [[11, 11, 10], [-1, -1, 1]])


def test_supertrend_worked_by_hand():
    """
    ATRs of 2 bars: 5/2, 15/4, 43/8. Bands of one ATR around 12, 19/2, 25/2.

    Bar 2: 14.5 and 9.5. Bar 3: 13.25 is nearer than 14.5 and 9.5 nearer than 5.75; close 8 is below it: falling, 13.25.
    Bar 4: 13.25 stays; the lower band, crossed at bar 3, begins anew at 7.125; close 14 is above 13.25: rising, 7.125.
    (O. Seban, TA-Lib's SUPERTREND.)
    """
    made = indicators.supertrend(HIGH, LOW, LAST, 2, 1.0)
    np.testing.assert_allclose(made.supertrend[3:], [13.25, 7.125], rtol=1e-15)
    np.testing.assert_array_equal(made.direction[3:], [-1, 1])
