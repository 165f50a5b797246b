"""Statistics: cases worked by hand, and their definitions in long doubles on prices of any size."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import walk
from references import statistics

from tradeutils import indicators
from tradeutils.indicators import REGISTRY

UNKNOWN = math.nan

BY_HAND = [
    # textbook: mean 4, squared distances 4 0 0 4, variance 2; times two deviations
    ("stddev", [[2, 4, 4, 6]], (4, 2.0), [UNKNOWN] * 3 + [2 * math.sqrt(2)]),
    # and the variance itself; then 4 4 6 9: mean 5.75, (2 * 3.0625 + 0.0625 + 10.5625) / 4
    ("var", [[2, 4, 4, 6, 9]], (4,), [UNKNOWN] * 3 + [2, 4.1875]),
    # textbook: mean 2, deviation 1, newest 3; then nothing has moved
    ("zscore", [[1, 3, 1, 3, 3, 3, 3]], (4,), [UNKNOWN] * 3 + [1, 1 / math.sqrt(3), 1 / math.sqrt(3), 0]),
    # least squares through 1 2 4: mean 7/3, slope (4 - 1) / 2; through 2 4 3: mean 3, slope 1/2
    ("linearreg", [[1, 2, 4, 3]], (3,), [UNKNOWN, UNKNOWN, 7 / 3 + 1.5, 3.5]),
    ("linearreg_intercept", [[1, 2, 4, 3]], (3,), [UNKNOWN, UNKNOWN, 7 / 3 - 1.5, 2.5]),
    ("linearreg_slope", [[1, 2, 4, 3]], (3,), [UNKNOWN, UNKNOWN, 1.5, 0.5]),
    ("tsf", [[1, 2, 4, 3]], (3,), [UNKNOWN, UNKNOWN, 7 / 3 + 3, 4]),
    # slopes 1 and -1 are 45 degrees up and down
    ("linearreg_angle", [[1, 2, 3, 2, 1]], (3,), [UNKNOWN, UNKNOWN, 45, 0, -45]),
    # Pearson on 1 2 3 and 1 3 2: products of distances 1 + 0 + 0, squares 2 and 2; then 2 3 3, 3 2 2: opposite
    ("correl", [[1, 2, 3, 3], [1, 3, 2, 2]], (3,), [UNKNOWN, UNKNOWN, 0.5, -1]),
    # returns 1, 1/2 and 2, 0: distances +-1/4 and +-1, so 2 * 1/4 / (2 * 1/16)
    ("beta", [[1, 2, 3], [1, 3, 3]], (2,), [UNKNOWN, UNKNOWN, 4]),
    # of 3 1 2 2 before a 2 one is less
    ("percentrank", [[3, 1, 2, 2, 2]], (4,), [UNKNOWN] * 4 + [25]),
    # nearest rank: 1 2 3 4, rank ceil(4 / 2); then 1 2 3 9
    ("percentile", [[4, 1, 3, 2, 9]], (4, 50.0), [UNKNOWN] * 3 + [2, 2]),
    # rank ceil(3.6) of the same
    ("percentile", [[4, 1, 3, 2, 9]], (4, 90.0), [UNKNOWN] * 3 + [4, 9]),
    # rank 0 is the smallest, as rank 1
    ("percentile", [[4, 1, 3, 2, 9]], (4, 0.0), [UNKNOWN] * 3 + [1, 1]),
    # (2 + 3) / 2 of 1 2 3 4 and of 1 2 3 9
    ("rolling_median", [[4, 1, 3, 2, 9]], (4,), [UNKNOWN] * 3 + [2.5, 2.5]),
    ("rolling_median", [[4, 1, 3, 2, 9]], (3,), [UNKNOWN] * 2 + [3, 2, 3]),
]

TRADINGVIEW = [
    # three of 3 1 2 2 are 2 or less
    ("percentrank", [[3, 1, 2, 2, 2]], (4,), [UNKNOWN] * 4 + [75]),
]

DEFINED = {
    "stddev": lambda close, period: statistics.stddev(close, period, 1.0),
    "var": statistics.var,
    "zscore": statistics.zscore,
    "linearreg": statistics.linearreg,
    "linearreg_intercept": statistics.linearreg_intercept,
    "linearreg_slope": statistics.linearreg_slope,
    "tsf": statistics.tsf,
    "linearreg_angle": statistics.linearreg_angle,
    "correl": statistics.correl,
    "beta": statistics.beta,
    "percentrank": statistics.percentrank,
    "percentile": lambda close, period: statistics.percentile(close, period, 50.0),
    "rolling_median": statistics.rolling_median,
}


@pytest.mark.parametrize(("name", "columns", "parameters", "want"), BY_HAND)
def test_worked_by_hand(name, columns, parameters, want):
    """The arithmetic stands beside each case."""
    made = getattr(indicators, name)(*columns, *parameters)
    np.testing.assert_allclose(made, want, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("name", "columns", "parameters", "want"), TRADINGVIEW)
def test_tradingviews_worked_by_hand(name, columns, parameters, want):
    """TradingView's definition where it differs from TA-Lib's."""
    made = getattr(indicators, name)(*columns, *parameters, compat="tradingview")
    np.testing.assert_allclose(made, want, rtol=1e-14)


@pytest.mark.parametrize("name", sorted(DEFINED))
@given(
    seed=st.integers(0, 2**32 - 1),
    period=st.integers(2, 40),
    scale=st.sampled_from([(100.0, 1e-3), (1e-8, 1e-2), (1e8, 1e-9)]),
    flat=st.sampled_from([0.0, 0.2, 0.9]),
)
@settings(deadline=None, max_examples=12)
def test_equals_its_definition(name, seed, period, scale, flat):
    """
    Also on prices of 1e-8, and of 1e8 that move by 0.1, where sums of squares of prices hold no digit of the spread.

    Held to 1e-11 of the largest result, TA-Lib to 1e-5 of it in the same place.
    """
    size, moves = scale
    prices = walk(120, 1, seed=seed, size=size, moves=moves, flat=flat)
    columns = [prices[column][:, 0] for column in REGISTRY[name].inputs]
    made = getattr(indicators, name)(*columns, period)
    want = DEFINED[name](*columns, period)
    np.testing.assert_array_equal(np.isnan(made), np.isnan(want))
    largest = float(np.nanmax(np.abs(want)))
    np.testing.assert_allclose(made, want.astype(float), rtol=0, atol=1e-11 * largest)
