"""The logarithm that kernels run across symbols, against long doubles and against its definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.indicators import cpu
from tradeutils.indicators import operators as op
from tradeutils.indicators.operators import column, returns

COUNT = 200_000
SMALLEST, INFINITY = 1, 0x7FF0000000000000
"""Of the bits of positive float64."""


def logarithm(values):
    """Return the logarithms of (T,) values, by the operator."""
    return run(op.logarithm(column("x")), values)


def run(node, *columns):
    """Return what an expression makes of (T,) columns, as many symbols side by side."""
    names = ("x", "y")[: len(columns)]
    made = np.empty((1, len(columns[0])))
    state = cpu.State(cpu.make_program((node,), names, cpu.MODES["restart"]), len(columns[0]))
    state.feed([np.asarray(one, dtype=float)[np.newaxis] for one in columns], [made])
    return made[0]


def last_places(made, exact):
    """Return the largest error in units in the last place."""
    return float((np.abs(made - exact) / np.spacing(np.abs(exact.astype(float)))).max())


@pytest.mark.parametrize(
    "what", ["any size", "below the smallest of full precision", "near 1", "within an octave", "where parts meet"]
)
def test_logarithm_is_within_a_unit_in_the_last_place(what):
    """Of positive numbers of every kind: the long double's logarithm, to less than the last digit."""
    random = np.random.default_rng(7)
    values = {
        "any size": random.integers(SMALLEST, INFINITY, COUNT).view(float),
        "below the smallest of full precision": random.integers(SMALLEST, 1 << 52, COUNT).view(float),
        "near 1": 1.0 + random.normal(0, 1e-4, COUNT),
        "within an octave": random.uniform(0.5, 2.0, COUNT),
        "where parts meet": math.sqrt(0.5) * 2.0 ** random.integers(-1000, 1000, COUNT)
        * (1.0 + np.spacing(1.0) * random.integers(-3, 4, COUNT)),
    }[what]  # fmt: skip
    assert last_places(logarithm(values), np.log(values.astype(np.longdouble))) < 0.9


def test_logarithm_of_one_is_zero_and_its_neighbours_are_not():
    """ln(1) = 0 exactly; one digit more or less shows."""
    made = logarithm([1.0, np.nextafter(1.0, 2.0), np.nextafter(1.0, 0.0)])
    np.testing.assert_array_equal(made, [0.0, 2.0**-52 - 2.0**-105, -(2.0**-53)])


@pytest.mark.parametrize("value", [0.0, -0.0, -1.0, -math.inf, math.inf, math.nan, -5e-324])
def test_what_has_no_logarithm_is_unknown(value):
    """Zero, what is below, and what is no number: NaN; so is a ratio with one of them."""
    assert np.isnan(logarithm([value])[0])
    ratio = returns.log_return(column("x"), column("y"))
    assert np.isnan(run(ratio, [value, 2.0], [3.0, value])).all()


@pytest.mark.parametrize("moves", [1e-12, 1e-6, 1e-3, 0.3, 3.0])
def test_logarithm_of_a_ratio_keeps_the_digits_of_the_change(moves):
    """Of two prices of any size: ln(now / before) to three units in the last place, however little apart they are."""
    random = np.random.default_rng(8)
    before = np.exp(random.normal(0, 30, COUNT))
    now = before * np.exp(random.normal(0, moves, COUNT))
    share = now.astype(np.longdouble) / before
    exact = np.where(abs(share - 1) < 0.5, np.log1p((now.astype(np.longdouble) - before) / before), np.log(share))
    some = exact != 0
    made = run(returns.log_return(column("x"), column("y")), now, before)
    np.testing.assert_array_equal(made[~some], 0.0)
    assert last_places(made[some], exact[some]) < 3.0


@given(st.floats(5e-324, 1.7e308), st.floats(5e-324, 1.7e308))
def test_logarithm_of_a_ratio_is_that_of_any_two_numbers(now, before):
    """As far apart as float64 allow; a ratio that is none is unknown."""
    made = run(returns.log_return(column("x"), column("y")), [now], [before])[0]
    with np.errstate(all="ignore"):
        share = np.float64(now) / np.float64(before)
    if 0.0 < share < math.inf:
        exact = np.log(np.longdouble(now)) - np.log(np.longdouble(before))
        tolerance = 1e-15 if share >= 2.0**-1022 else 1e-2  # a ratio below has few digits, if any
        assert made == pytest.approx(float(exact), rel=tolerance, abs=1e-15)
    else:
        assert np.isnan(made)
