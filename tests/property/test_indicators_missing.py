"""Laws of missing bars, for every indicator: what they hide, for how long, and in each mode."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from panels import BARS, CASES, compute, inputs_of, operators_of, panels, parameters_of

from tradeutils.indicators import REGISTRY

every_case = pytest.mark.parametrize(("name", "compat"), CASES)


def nodes_of(name, compat, parameters):
    """Return the expressions of an indicator."""
    return REGISTRY[name].expressions(parameters, compat=compat)


def scale_of(values):
    """Return the largest size among values, 0 where there is none."""
    known = np.abs(values[np.isfinite(values)])
    return known.max() if known.size else 0.0


@every_case
@given(data=st.data())
@settings(deadline=None, max_examples=8)
def test_lookback_good_bars_come_before_the_first_value(name, compat, data):
    """In a series without gaps each output begins at its lookback and has no hole after it."""
    panel, parameters = data.draw(panels(gaps=False, traded=True)), data.draw(parameters_of(name))
    made = compute(name, panel, parameters, compat=compat)
    nodes = nodes_of(name, compat, parameters)
    assert REGISTRY[name].lookback(*parameters, compat=compat) == max(node.lookback for node in nodes)
    for output, node in zip(made, nodes, strict=True):
        assert np.isnan(output[: node.lookback]).all()
        assert np.isfinite(output[node.lookback :]).all()


@every_case
@given(data=st.data())
@settings(deadline=None, max_examples=8)
def test_lookback_good_bars_are_enough_after_any_gap(name, compat, data):
    """Whatever was missing, a value is known once the bar and its lookback before it are good; an infinity never."""
    panel, parameters = data.draw(panels(traded=True)), data.draw(parameters_of(name))
    nan = data.draw(st.sampled_from(["restart", "hold"]))
    made = compute(name, panel, parameters, nan=nan, compat=compat)
    assert not np.isinf(made).any()
    good = np.logical_and.reduce([np.isfinite(column) for column in inputs_of(name, panel)])
    run = np.zeros(good.shape[1], dtype=int)
    lookbacks = [node.lookback for node in nodes_of(name, compat, parameters)]
    for t in range(BARS):
        run = np.where(good[t], run + 1, 0)
        for output, lookback in zip(made, lookbacks, strict=True):
            assert np.isfinite(output[t, run > lookback]).all()


def spoilt(name, panel, missing):
    """Return the panel without one bar."""
    made = {column: panel[column].copy() for column in REGISTRY[name].inputs}
    for column in made.values():
        column[missing] = np.nan
    return made


@every_case
@given(data=st.data())
@settings(deadline=None, max_examples=8)
def test_after_a_missing_bar_a_series_begins_anew(name, compat, data):
    """A missing bar has no value; the bars after it give what they give alone, to rounding."""
    panel, parameters = data.draw(panels(gaps=False)), data.draw(parameters_of(name))
    missing = data.draw(st.integers(0, BARS - 1))
    made = compute(name, spoilt(name, panel, missing), parameters, compat=compat)
    whole = compute(name, panel, parameters, compat=compat)
    alone = compute(name, panel, parameters, rows=slice(missing + 1, None), compat=compat)
    np.testing.assert_array_equal(made[:, :missing], whole[:, :missing])
    assert np.isnan(made[:, missing]).all()
    known, tolerance = np.isfinite(alone), max(1e-9, 1e-12 / panel.drawn["moves"])  # sums are cut elsewhere
    for output, want, at, full in zip(made[:, missing + 1 :], alone, known, whole, strict=True):
        np.testing.assert_allclose(output[at], want[at], rtol=tolerance, atol=tolerance * scale_of(full))


@every_case
@given(data=st.data())
@settings(deadline=None, max_examples=8)
def test_propagated_gap_leaves_nothing_known_after_it(name, compat, data):
    """nan="propagate": what depends on a recursive operator ends at a missing bar; windows recover as always."""
    panel, parameters = data.draw(panels(gaps=False)), data.draw(parameters_of(name))
    nodes = nodes_of(name, compat, parameters)
    lookback = max(node.lookback for node in nodes)
    assume(lookback < BARS - 1)
    missing = data.draw(st.integers(lookback + 1, BARS - 1))  # a gap before the first value is a late beginning
    holed = spoilt(name, panel, missing)
    made = compute(name, holed, parameters, nan="propagate", compat=compat)
    restarted = compute(name, holed, parameters, compat=compat)
    np.testing.assert_array_equal(made[:, :missing], restarted[:, :missing])
    for node, output, other in zip(nodes, made, restarted, strict=True):
        if any(operator.recursive for operator, _ in operators_of(node)):
            assert np.isnan(output[missing:]).all()
        else:
            np.testing.assert_array_equal(output, other)


@every_case
@given(data=st.data())
@settings(deadline=None, max_examples=8)
def test_held_gap_is_passed_over(name, compat, data):
    """nan="hold": recursive operators alone give what the series without the bar gives; windows recover as always."""
    panel, parameters = data.draw(panels(gaps=False)), data.draw(parameters_of(name))
    missing = data.draw(st.integers(0, BARS - 1))
    holed = spoilt(name, panel, missing)
    made = compute(name, holed, parameters, nan="hold", compat=compat)
    without = {column: np.delete(panel[column], missing, axis=0) for column in REGISTRY[name].inputs}
    closed = compute(name, without, parameters, nan="hold", compat=compat)
    restarted = compute(name, holed, parameters, compat=compat)
    assert np.isnan(made[:, missing]).all()
    kept = np.delete(made, missing, axis=1)
    for node, output, whole, other, want in zip(
        nodes_of(name, compat, parameters), kept, made, restarted, closed, strict=True
    ):
        operators = operators_of(node)
        if all(operator.recursive or operator.lookback(*values) == 0 for operator, values in operators):
            np.testing.assert_array_equal(output, want)
        elif not any(operator.recursive for operator, _ in operators):
            np.testing.assert_array_equal(whole, other)
        else:
            np.testing.assert_array_equal(whole[:missing], other[:missing])
