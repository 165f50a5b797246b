"""Expressions: equal ones are one object, arithmetic makes nodes, lookback and memory add along paths."""

import gc

import numpy as np
import pytest

from tradeutils.indicators import REGISTRY, cpu, expression
from tradeutils.indicators import operators as op
from tradeutils.indicators.expression import column, constant, warmup

NAN = np.nan


def computed(node, **columns):
    """Return what an expression over named columns (T,) is."""
    data = [np.asarray(values, dtype=float).reshape(-1, 1) for values in columns.values()]
    out = np.zeros(data[0].shape)
    cpu.State(cpu.program_of((node,), tuple(columns)), 1).feed(data, [out])
    return out[:, 0]


def test_equal_expressions_are_one_object():
    """The same call gives the same node; another parameter, zero of another sign or kind of number another."""
    x = column("x")
    assert op.ema(x, 5) is op.ema(column("x"), 5)
    assert op.ema(x, 5) is not op.ema(x, 6)
    assert op.ema(x, 5) is not op.rma(x, 5)
    assert (x * 2) is (x * 2.0)
    assert constant(0.0) is not constant(-0.0)
    assert constant(NAN) is constant(NAN)
    assert op.smooth(x, 0.5, 1) is not op.smooth(x, 0.5, 2)


def test_expressions_nobody_holds_are_let_go():
    """The table of nodes keeps none alive."""
    node = op.ema(column("only here"), 123)
    assert any(key[1] == (column("only here"),) for key in expression._nodes)
    del node
    gc.collect()
    assert not any(key[3] == 0 and key[2] == (123,) for key in expression._nodes)


def test_arithmetic_on_nodes_is_that_of_numbers():
    """The operators of Python on nodes and numbers compute what they say, and comparisons give 1 and 0."""
    x, y = column("x"), column("y")
    a, b = np.array([1.0, 2.0, -3.0, NAN, 5.0]), np.array([2.0, 2.0, 4.0, 1.0, np.inf])
    b_known = np.where(np.isfinite(b), b, NAN)
    cases = {
        x + y: a + b_known,
        x - y: a - b_known,
        x * y: a * b_known,
        x / y: a / b_known,
        2.0 + x: 2.0 + a,
        2.0 - x: 2.0 - a,
        2.0 * x: 2.0 * a,
        2.0 / x: 2.0 / a,
        x - 1: a - 1,
        -x: -a,
    }
    for node, want in cases.items():
        np.testing.assert_array_equal(computed(node, x=a, y=b), want, err_msg=repr(node))
    unknown = np.isnan(a) | np.isnan(b_known)
    for node, truth in {x > y: a > b, x >= y: a >= b, x < y: a < b, x <= y: a <= b, x > 0: a > 0}.items():
        gone = unknown if y in node.inputs else np.isnan(a)
        np.testing.assert_array_equal(computed(node, x=a, y=b), np.where(gone, NAN, truth), err_msg=repr(node))


def test_elementwise_operators_worked_by_hand():
    """Each gives what its name says, NaN where an input is missing or the result is none."""
    x, y = column("x"), column("y")
    a, b = [4.0, -9.0, 0.0, NAN, np.inf], [2.0, 0.0, 0.0, 1.0, 1.0]
    cases = [
        (op.absolute(x), [4, 9, 0, NAN, NAN]),
        (op.sign(x), [1, -1, 0, NAN, NAN]),
        (op.square_root(x), [2, NAN, 0, NAN, NAN]),
        (op.logarithm(op.maximum(x, 1.0)), [np.log(4), 0, 0, NAN, NAN]),
        (op.logarithm(x), [np.log(4), NAN, NAN, NAN, NAN]),
        (op.exponential(x), [np.exp(4), np.exp(-9), 1, NAN, NAN]),
        (op.exponential(1000.0 * x), [NAN, 0, 1, NAN, NAN]),
        (op.maximum(x, y), [4, 0, 0, NAN, NAN]),
        (op.minimum(x, y), [2, -9, 0, NAN, NAN]),
        (op.ratio(x, y), [2, 0, 0, NAN, NAN]),
        (op.ratio(x, y, 7.0), [2, 7, 7, NAN, NAN]),
        (op.ratio(y, y, x), [1, -9, 0, 1, 1]),
        (x / y, [2, NAN, NAN, NAN, NAN]),
        (op.where(y, x, 5.0), [4, 5, 5, NAN, NAN]),
        (op.where(y > 1.5, x, 5.0), [4, 5, 5, 5, 5]),
        (op.together(y, x), [2, 0, 0, NAN, NAN]),
        (constant(3.0) + 0.0 * y, [3, 3, 3, 3, 3]),
    ]
    for node, want in cases:
        np.testing.assert_allclose(computed(node, x=a, y=b), want, rtol=1e-15, err_msg=repr(node))


def test_lag_reaches_back_over_what_is_missing():
    """The value some bars ago is known whatever was missing since, and unknown where it was missing itself."""
    x = column("x")
    values = [1.0, 2.0, NAN, 4.0, 5.0]
    np.testing.assert_array_equal(computed(op.lag(x, 2), x=values), [NAN, NAN, 1, 2, NAN])
    np.testing.assert_array_equal(computed(op.lag(x, 0), x=values), values)
    np.testing.assert_array_equal(computed(op.change(x, 1), x=values), [NAN, 1, NAN, NAN, 1])


def test_true_range_begins_with_the_second_bar():
    """The first bar has no previous close; a gap counts from it."""
    made = computed(
        op.true_range(column("h"), column("l"), column("c")), h=[3, 4, 9, 4], l=[1, 3, 8, 2], c=[2, 3.5, 8.5, 3]
    )
    np.testing.assert_array_equal(made, [NAN, 2, 5.5, 6.5])


def test_lookbacks_add_along_the_longest_path():
    """A value is known when the slowest of its inputs has been for as long as the operator needs."""
    x = column("x")
    assert op.ema(op.ema(x, 10), 5).lookback == 13
    assert (op.mean(x, 4) - op.lag(op.mean(x, 20), 3)).lookback == 22
    assert column("x").lookback == constant(1.0).lookback == 0


def test_warmup_is_what_weighs_less_than_the_tolerance():
    """After the warm-up, a change of all that came before changes a value by less than the tolerance of it."""
    x = column("x")
    rng = np.random.default_rng(5)
    values = 100 + rng.normal(0, 1, 3000).cumsum()
    for node in (op.ema(x, 20), op.rma(op.mean(x, 7), 14), op.ema(op.ema(x, 9), 5)):
        for tolerance in (1e-3, 1e-6, 1e-9):
            bars = warmup(node, tolerance)
            assert bars > node.lookback
            late = computed(node, x=values[1000:])[bars:]
            np.testing.assert_allclose(late, computed(node, x=values)[1000 + bars :], rtol=0, atol=100 * tolerance)
    assert warmup(op.mean(x, 7), 1e-9) == 6
    assert warmup(op.cumulative(x) + op.mean(x, 5), 1e-9) is None
    assert REGISTRY["obv"].warmup() is None
    assert REGISTRY["rsi"].warmup(14, tolerance=1e-6) == 14 + 187
    assert REGISTRY["ema"].warmup(20, tolerance=1e-9) > REGISTRY["ema"].warmup(20, tolerance=1e-6)


def test_slips_in_writing_an_expression_are_refused():
    """A wrong count of arguments, or a choice by if, raises TypeError that says what to write."""
    x = column("x")
    with pytest.raises(TypeError, match="ema takes 1 inputs and 1 parameters, 1 were given"):
        op.ema(x)
    with pytest.raises(TypeError, match="where"):
        assert x > 1.0
    assert repr(op.ema(x * 2.0, 5)) == "ema(multiply(column('x'), constant(2.0)), 5)"
    assert repr(op.ema) == "<operator averages.ema>"


def test_fluctuations_of_bars_since_extremes_take_the_newest():
    """Of equal extremes the newest counts, at every phase of a window."""
    x = column("x")
    values = [1.0, 3.0, 3.0, 2.0, 3.0, 0.0, 0.0, 5.0, 4.0, 5.0, 1.0]
    want = [NAN, NAN, 0, 1, 0, 1, 2, 0, 1, 0, 1]
    np.testing.assert_array_equal(computed(op.bars_since_highest(x, 3), x=values), want)
    flipped = [-value for value in values]
    np.testing.assert_array_equal(computed(op.bars_since_lowest(x, 3), x=flipped), want)
