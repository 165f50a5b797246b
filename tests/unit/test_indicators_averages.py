"""Moving averages: cases worked by hand, and their definitions in long doubles."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import walk
from references import averages

from tradeutils import indicators
from tradeutils.indicators import REGISTRY

UNKNOWN = math.nan
RAMP = [float(bar) for bar in range(8)]

BY_HAND = [
    # the mean of three: (1 + 2 + 6) / 3, (2 + 6 + 1) / 3
    ("sma", [[1, 2, 6, 1]], (3,), [UNKNOWN, UNKNOWN, 3, 3]),
    # seed (1 + 3) / 2 = 2; 2 + 2/3 * (5 - 2) = 4; 4 + 2/3 * (1 - 4) = 2
    ("ema", [[1, 3, 5, 1]], (2,), [UNKNOWN, 2, 4, 2]),
    # weights 1 2 3: (1 + 4 + 12) / 6, (2 + 8 + 24) / 6
    ("wma", [[1, 2, 4, 8]], (3,), [UNKNOWN, UNKNOWN, 17 / 6, 34 / 6]),
    # Wilder, 1978: seed (2 + 4) / 2 = 3; 3 + (8 - 3) / 2 = 5.5; 5.5 + (1 - 5.5) / 2 = 3.25
    ("rma", [[2, 4, 8, 1]], (2,), [UNKNOWN, 3, 5.5, 3.25]),
    # Mulloy, 1994, alpha 2/3: EMA (1 + 3) / 2 = 2, 2 + 2/3 * 3 = 4, 4 - 2/3 * 3 = 2; of these (2 + 4) / 2 = 3,
    # 3 - 2/3 = 7/3; so 2 * 4 - 3 = 5 and 2 * 2 - 7/3 = 5/3
    ("dema", [[1, 3, 5, 1]], (2,), [UNKNOWN, UNKNOWN, 5, 5 / 3]),
    # Mulloy, 1994: the EMAs above, a third seeded with (3 + 7/3) / 2 = 8/3; 3 * 2 - 3 * 7/3 + 8/3 = 5/3
    ("tema", [[1, 3, 5, 1]], (2,), [UNKNOWN, UNKNOWN, UNKNOWN, 5 / 3]),
    # TA-Lib: weights 1 2 2 1: (1 + 4 + 8 + 8) / 6 and (2 + 8 + 16 + 16) / 6
    ("trima", [[1, 2, 4, 8, 16]], (4,), [UNKNOWN, UNKNOWN, UNKNOWN, 3.5, 7]),
    # and 1 2 1: (1 + 4 + 4) / 4, (2 + 8 + 8) / 4
    ("trima", [[1, 2, 4, 8]], (3,), [UNKNOWN, UNKNOWN, 2.25, 4.5]),
    # Hull, 2005: WMA(2) = 20/3 and 40/3, WMA(4) = 4.9 and 9.8; twice the one less the other is 253/30 and 506/30,
    # whose WMA(2) is (253 + 2 * 506) / 90
    ("hma", [[1, 2, 4, 8, 16]], (4,), [UNKNOWN] * 4 + [1265 / 90]),
    # Kaufman, 1995: bar 2 moved 3 on a path of 3, so ER 1, step (2/3)^2 from the price before: 2 + 4/9 * 2 = 26/9;
    # bar 3 moved 1 on a path of 3, step (1/3 * 56/93 + 2/31)^2 = (74/279)^2, on to 3
    ("kama", [[1, 2, 4, 3]], (2,), [UNKNOWN, UNKNOWN, 26 / 9, 26 / 9 + (74 / 279) ** 2 / 9]),
    # Legoux and Kouzis-Loukas, 2009: centre 0.5 * 2 = 1, width 3 / 3 = 1: weights g 1 g with g = exp(-1/2)
    ("alma", [[1, 2, 4]], (3, 0.5, 3.0), [UNKNOWN, UNKNOWN, (5 * math.exp(-0.5) + 2) / (2 * math.exp(-0.5) + 1)]),
    # Tillson, 1998: an EMA(2) of a ramp trails it by half a bar, a GD by (1 - 0.7) / 2, three of them by 0.45
    ("t3", [RAMP], (2, 0.7), [UNKNOWN] * 6 + [6 - 0.45, 7 - 0.45]),
    # the mean weighted by volume: (1 + 6) / 4, (6 + 4) / 4
    ("vwma", [[1, 2, 4], [1, 3, 1]], (2,), [UNKNOWN, 1.75, 2.5]),
    # no volume, no weights
    ("vwma", [[1, 2, 4], [0, 0, 1]], (2,), [UNKNOWN, UNKNOWN, 4]),
    # Ehlers and Way, 2010: 2 * x less the bar before is 3 6 12 24; their mean of three is 7, then 7 + (24 - 7) / 2
    ("zlema", [[1, 2, 4, 8, 16]], (3,), [UNKNOWN] * 3 + [7, 15.5]),
    # TA-Lib: (5 + 1) / 2, (6 + 2) / 2
    ("midpoint", [[1, 5, 2, 6]], (3,), [UNKNOWN, UNKNOWN, 3, 4]),
    # TA-Lib: (5 + 1) / 2, (5 + 0) / 2
    ("midprice", [[3, 5, 4], [1, 2, 0]], (2,), [UNKNOWN, 3, 2.5]),
]

TRADINGVIEW = [
    # 1; 1 + 2/3 * 3
    ("ema", [[1, 4]], (2,), [1, 3]),
    # seeded with the first price: EMA 1, 1 + 2/3 * 3 = 3; of these 1, 1 + 2/3 * 2 = 7/3; 2 * 3 - 7/3
    ("dema", [[1, 4]], (2,), [1, 11 / 3]),
    # and a third: 1, 1 + 2/3 * 4/3 = 17/9; 3 * 3 - 3 * 7/3 + 17/9
    ("tema", [[1, 4]], (2,), [1, 35 / 9]),
]

DEFINED = {
    "sma": averages.sma,
    "ema": averages.ema,
    "wma": averages.wma,
    "rma": averages.rma,
    "dema": averages.dema,
    "tema": averages.tema,
    "trima": averages.trima,
    "hma": averages.hma,
    "kama": averages.kama,
    "zlema": averages.zlema,
    "midpoint": averages.midpoint,
    "midprice": averages.midprice,
    "vwma": averages.vwma,
    "alma": lambda close, period: averages.alma(close, period, 0.85, 6.0),
    "t3": lambda close, period: averages.t3(close, period, 0.7),
}


@pytest.mark.parametrize(("name", "columns", "parameters", "want"), BY_HAND)
def test_worked_by_hand(name, columns, parameters, want):
    """The arithmetic stands beside each case."""
    made = getattr(indicators, name)(*columns, *parameters)
    np.testing.assert_allclose(made, want, rtol=1e-14)


@pytest.mark.parametrize(("name", "columns", "parameters", "want"), TRADINGVIEW)
def test_tradingviews_worked_by_hand(name, columns, parameters, want):
    """TradingView's definition where it differs from TA-Lib's."""
    made = getattr(indicators, name)(*columns, *parameters, compat="tradingview")
    np.testing.assert_allclose(made, want, rtol=1e-14)


@pytest.mark.parametrize("name", sorted(DEFINED))
@given(
    seed=st.integers(0, 2**32 - 1),
    period=st.integers(2, 40),
    size=st.sampled_from([100.0, 1e-8, 1e8]),
    flat=st.sampled_from([0.0, 0.2, 0.9]),
)
@settings(deadline=None, max_examples=12)
def test_equals_its_definition(name, seed, period, size, flat):
    """A few units in the last place from the definition in long doubles, whatever the prices."""
    prices = walk(250, 1, seed=seed, size=size, moves=1e-2, flat=flat)
    columns = [prices[column][:, 0] for column in REGISTRY[name].inputs]
    made = getattr(indicators, name)(*columns, period)
    want = DEFINED[name](*columns, period)
    np.testing.assert_array_equal(np.isnan(made), np.isnan(want))
    np.testing.assert_allclose(made, want.astype(float), rtol=1e-13)


@pytest.mark.parametrize("name", ["ema", "dema", "tema"])
def test_tradingviews_equals_its_definition(name):
    """Averages begun with the first price."""
    close = walk(300, 1, moves=1e-2)["close"][:, 0]
    made = getattr(indicators, name)(close, 14, compat="tradingview")
    np.testing.assert_allclose(made, getattr(averages, name)(close, 14, seed=1).astype(float), rtol=1e-13)


def test_parameters_of_the_bell_are_those_of_its_definition():
    """ALMA follows offset and sigma."""
    close = walk(60, 1, moves=1e-2)["close"][:, 0]
    for offset, sigma in ((0.0, 1.0), (0.5, 3.0), (1.0, 50.0)):
        want = averages.alma(close, 9, offset, sigma).astype(float)
        np.testing.assert_allclose(indicators.alma(close, 9, offset, sigma), want, rtol=1e-14)


def test_narrowest_bell_between_two_bars_is_their_mean():
    """Weights that are next to nothing at every bar still add up: half way between two bars both count alike."""
    np.testing.assert_array_equal(indicators.alma([1.0, 3.0, 7.0], 2, 0.5, 1000.0), [np.nan, 2, 5])


def test_adaptive_average_stands_still_with_the_price():
    """Where nothing has moved the efficiency ratio is 1, and the average is the price."""
    np.testing.assert_array_equal(indicators.kama(np.full(9, 0.1), 3), [np.nan] * 3 + [0.1] * 6)
