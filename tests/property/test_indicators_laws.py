"""Laws that every indicator keeps on every panel and every parameter: whose value it is, and of which bars."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import BARS, CASES, compute, inputs_of, panels, parameters_of, stacked, walk

from tradeutils import indicators
from tradeutils.indicators import REGISTRY, cpu

MODES = st.sampled_from(["restart", "propagate", "hold"])
every_case = pytest.mark.parametrize(("name", "compat"), CASES)


def few(examples):
    """Return the settings of a law that holds for a hundred indicators: few examples of each."""
    return settings(deadline=None, max_examples=examples)


@every_case
@given(data=st.data())
@few(8)
def test_more_bars_never_change_earlier_values(name, compat, data):
    """Prefix invariance: what is known at a bar has the same bits whatever comes later."""
    panel, parameters = data.draw(panels()), data.draw(parameters_of(name))
    options = {"nan": data.draw(MODES), "compat": compat}
    cut = data.draw(st.integers(0, BARS))
    whole = compute(name, panel, parameters, **options)
    np.testing.assert_array_equal(compute(name, panel, parameters, rows=slice(cut), **options), whole[:, :cut])


@every_case
@given(data=st.data())
@few(8)
def test_a_symbol_does_not_depend_on_its_neighbours(name, compat, data):
    """Column independence: alone, among a few, or beyond a vector's width, a symbol has the same bits."""
    panel, parameters = data.draw(panels(symbols=19)), data.draw(parameters_of(name))
    options = {"nan": data.draw(MODES), "compat": compat}
    whole = compute(name, panel, parameters, **options)
    low = data.draw(st.integers(0, 18))
    high = data.draw(st.integers(low + 1, 19))
    some = compute(name, panel, parameters, columns=slice(low, high), **options)
    np.testing.assert_array_equal(some, whole[:, :, low:high])
    np.testing.assert_array_equal(compute(name, panel, parameters, columns=low, **options), whole[:, :, low])


@pytest.fixture(scope="module", name="wide")
def _wide():
    """Return a panel of more symbols than a block holds, worth several threads."""
    return walk(64, 2200, moves=0.01, flat=0.2, traded=False, missing=0.01)


@every_case
def test_any_number_of_threads_gives_the_same_bits(name, compat, wide):
    """Over several blocks of symbols, on one thread and on three, and for a few symbols alone."""
    parameters = REGISTRY[name].bind([min(5, p.highest) for p in REGISTRY[name].parameters if p.whole][:1])
    one = compute(name, wide, parameters, threads=1, compat=compat)
    np.testing.assert_array_equal(compute(name, wide, parameters, threads=3, compat=compat), one)
    for low in (0, 1021, 2190):
        some = compute(name, wide, parameters, columns=slice(low, low + 9), threads=1, compat=compat)
        np.testing.assert_array_equal(some, one[:, :, low : low + 9])


@every_case
@given(data=st.data())
@few(7)
def test_bar_by_bar_equals_the_batch_to_the_bit(name, compat, data):
    """A kept state fed some bars at a time gives what one call gives, and remembers the same."""
    panel, parameters = data.draw(panels(symbols=5)), data.draw(parameters_of(name))
    nan = data.draw(MODES)
    columns = inputs_of(name, panel)
    nodes = REGISTRY[name].expressions(parameters, compat=compat)
    program = cpu.program_of(nodes, REGISTRY[name].inputs, nan)
    whole = [np.empty((BARS, 5)) for _ in nodes]
    batch = cpu.State(program, 5)
    batch.feed(columns, whole)
    np.testing.assert_array_equal(np.stack(whole), compute(name, panel, parameters, nan=nan, compat=compat))
    stepped, at = cpu.State(program, 5), 0
    for count in data.draw(st.permutations([1] * 30 + [2, 7, 20, 31])):
        bars = slice(at, at + count)
        part = [np.empty((count, 5)) for _ in nodes]
        stepped.feed([column[bars] for column in columns], part)
        for output, latest in zip(whole, part, strict=True):
            np.testing.assert_array_equal(latest, output[bars])
        at += count
    assert at == BARS
    np.testing.assert_array_equal(stepped.memory, batch.memory)


@pytest.fixture(scope="module", name="long")
def _long():
    """Return one long series and a second: flat stretches, and gaps far apart."""
    return walk(30_000, 2, moves=0.01, flat=0.2, traded=False, missing=1e-4)


@every_case
def test_a_long_series_cut_into_chunks_has_the_bits_of_one_pass(name, compat, long):
    """However a long series is cut, into vector lanes or for threads, it gives what bar after bar gives."""
    parameters = REGISTRY[name].bind([min(7, p.highest) for p in REGISTRY[name].parameters if p.whole][:1])
    nodes = REGISTRY[name].expressions(parameters, compat=compat)
    whole = [np.empty((30_000, 2)) for _ in nodes]
    state = cpu.State(cpu.program_of(nodes, REGISTRY[name].inputs), 2)
    state.feed(inputs_of(name, long), whole)
    want = np.stack(whole)
    np.testing.assert_array_equal(compute(name, long, parameters, columns=0, threads=1, compat=compat), want[..., 0])
    np.testing.assert_array_equal(compute(name, long, parameters, threads=4, compat=compat), want)


@every_case
@given(data=st.data())
@few(7)
def test_inputs_of_any_layout_are_read_and_never_written(name, compat, data):
    """Read-only, symbol-major, reversed, strided and shared arrays give the bits of contiguous ones, unchanged."""
    panel, parameters = data.draw(panels(symbols=4)), data.draw(parameters_of(name))
    want = compute(name, panel, parameters, compat=compat)
    layouts = {
        "read-only": lambda column: column.copy(),
        "symbol-major": lambda column: np.ascontiguousarray(column.T).T,
        "reversed": lambda column: column[::-1, ::-1].copy()[::-1, ::-1],
        "strided": lambda column: np.repeat(np.repeat(column, 2, axis=0), 3, axis=1)[::2, ::3],
    }
    laid = data.draw(st.sampled_from(sorted(layouts)))
    inputs = [layouts[laid](column) for column in inputs_of(name, panel)]
    for column in inputs:
        column.flags.writeable = False
    before = [column.tobytes() for column in inputs]
    np.testing.assert_array_equal(stacked(getattr(indicators, name)(*inputs, *parameters, compat=compat)), want)
    assert [column.tobytes() for column in inputs] == before


@every_case
@given(data=st.data())
@few(5)
def test_out_and_tail_have_the_bits_of_the_whole(name, compat, data):
    """``out=`` is filled with the result, and tail=k is the end of it, for any parameters, missing bars and k."""
    panel, parameters = data.draw(panels(symbols=4)), data.draw(parameters_of(name))
    options = {"nan": data.draw(MODES), "compat": compat}
    whole = compute(name, panel, parameters, **options)
    given_ = tuple(np.full((BARS, 4), 7.0) for _ in whole)
    made = getattr(indicators, name)(
        *inputs_of(name, panel), *parameters, out=given_ if len(given_) > 1 else given_[0], **options
    )
    np.testing.assert_array_equal(stacked(made), whole)
    np.testing.assert_array_equal(np.stack(given_), whole)
    tail = data.draw(st.integers(0, BARS))
    nodes = REGISTRY[name].expressions(parameters, compat=compat)
    program = cpu.program_of(nodes, REGISTRY[name].inputs, options["nan"])
    last = [np.empty((tail, 4)) for _ in nodes]
    cpu.State(program, 4).feed(inputs_of(name, panel), last)
    np.testing.assert_array_equal(np.stack(last), whole[:, BARS - tail :])


@every_case
@given(data=st.data())
@few(5)
def test_single_precision_is_the_double_rounded(name, compat, data):
    """float32 is computed in float64 and rounded once."""
    panel, parameters = data.draw(panels(symbols=4)), data.draw(parameters_of(name))
    single = compute(name, panel, parameters, dtype=np.float32, compat=compat)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, compute(name, panel, parameters, compat=compat).astype(np.float32))
