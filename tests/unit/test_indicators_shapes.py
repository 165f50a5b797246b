"""Prices made of a bar: cases worked by hand and plain references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import shapes
from references.bars import assert_close, markets

from tradeutils import indicators

NAN = np.nan
CASES = {
    "avgprice": ("open", "high", "low", "close"),
    "medprice": ("high", "low"),
    "typprice": ("high", "low", "close"),
    "wclprice": ("high", "low", "close"),
    "heikin_ashi": ("open", "high", "low", "close"),
    "pivots": ("high", "low", "close"),
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_values_are_the_textbooks(name, data):
    """On walks of every size, with flat and missing bars, values are those of a plain reference."""
    market = data.draw(markets())
    inputs = [market[column] for column in CASES[name]]
    assert_close(getattr(indicators, name)(*inputs), getattr(shapes, name)(*inputs))


def test_prices_of_a_bar_worked_by_hand():
    """Open 1, high 8, low 2, close 5: 16/4, 10/2, 15/3 and 20/4 (TA-Lib's price transforms)."""
    assert indicators.avgprice([1], [8], [2], [5]) == 4.0
    assert indicators.medprice([8], [2]) == 5.0
    assert indicators.typprice([8], [2], [5]) == 5.0
    assert indicators.wclprice([8], [2], [5]) == 5.0


def test_heikin_ashi_worked_by_hand():
    """
    Bars (10, 14, 8, 12) and (12, 20, 12, 16).

    The first closes at 44/4 = 11 and opens at (10 + 12) / 2 = 11; the second closes at 60/4 = 15 and opens at
    (11 + 11) / 2 = 11, below its low of 12, which is then the low (D. Valcu 2004).
    """
    made = indicators.heikin_ashi([10, 12], [14, 20], [8, 12], [12, 16])
    np.testing.assert_array_equal(made, [[11, 11], [14, 20], [8, 11], [11, 15]])
    assert made._fields == ("open", "high", "low", "close")


def test_pivots_worked_by_hand():
    """
    Of the bar before, 12 high, 6 low, 9 close: p = 9, r1 = 18 - 6, r2 = 9 + 6, r3 = 12 + 2 * 3, and below likewise.

    (J. Person, floor traders' method.) The bar's own prices do not count.
    """
    made = indicators.pivots([12, 100], [6, 1], [9, 50])
    np.testing.assert_array_equal(made, [[NAN, 9], [NAN, 12], [NAN, 15], [NAN, 18], [NAN, 6], [NAN, 3], [NAN, 0]])
    assert made._fields == ("p", "r1", "r2", "r3", "s1", "s2", "s3")


@given(market=markets(missing=0.0), cut=st.integers(1, 69))
@settings(deadline=None, max_examples=20)
def test_heikin_ashi_begins_anew_after_a_missing_bar(market, cut):
    """The first bar after a gap opens at the middle of its own body."""
    inputs = [market[column].copy() for column in CASES["heikin_ashi"]]
    inputs[1][cut - 1] = NAN
    made = indicators.heikin_ashi(*inputs)
    np.testing.assert_array_equal(made.open[cut], (inputs[0][cut] + inputs[3][cut]) / 2)
