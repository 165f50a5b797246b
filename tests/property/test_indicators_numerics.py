"""Laws of the numbers, for every indicator: any scale, any degenerate series, and how long the past counts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import BARS, CASES, Prices, compute, inputs_of, operators_of, panels, parameters_of, walk

from tradeutils import indicators
from tradeutils.indicators import REGISTRY

every_case = pytest.mark.parametrize(("name", "compat"), CASES)
PRICES = ("open", "high", "low", "close", "other")
COLUMNS = (*PRICES, "volume", "time")

# What depends on the unit of price by definition: an angle in a chart whose axis is in that unit.
DEPENDS_ON_THE_UNIT = {"linearreg_angle"}
# The log of a price is shifted where the price is scaled, and the shift rounds anew: by 1e-14 where moves are 1e-6.
ROUNDING = {"logarithm", "exponential"}
# No weights where nothing was traded: unknown, as in TA-Lib.
UNKNOWN_WITHOUT_VOLUME = {"vwma"}


def is_scaled(made, scaled, factor):
    """Return whether an output is the other times a whole power of ``factor``, bit for bit."""
    return any(np.array_equal(scaled, made * factor**degree, equal_nan=True) for degree in range(-3, 4))


def is_nearly_scaled(made, scaled, factor):
    """Return the same, to 1e-5 of the largest value."""
    size = np.nanmax(np.abs(made), initial=0.0)
    return any(
        np.allclose(scaled / factor**degree, made, rtol=0, atol=1e-5 * size, equal_nan=True) for degree in range(-3, 4)
    )


@pytest.mark.parametrize(("name", "compat"), [case for case in CASES if case[0] not in DEPENDS_ON_THE_UNIT])
@given(data=st.data())
@settings(deadline=None, max_examples=8)
def test_prices_times_a_power_of_two_scale_exactly(name, compat, data):
    """No absolute threshold hides in a formula: prices and volumes of any size give the same digits."""
    panel, parameters = data.draw(panels()), data.draw(parameters_of(name))
    columns, exponents = data.draw(st.sampled_from([(PRICES, (-60, 60)), (("volume",), (-40, 40))]))
    exponent = data.draw(st.integers(*exponents))
    factor = 2.0**exponent
    scaled = {column: values * (factor if column in columns else 1.0) for column, values in panel.items()}
    nodes = REGISTRY[name].expressions(parameters, compat=compat)
    made = compute(name, panel, parameters, compat=compat)
    for node, output, other in zip(nodes, made, compute(name, scaled, parameters, compat=compat), strict=True):
        rounds = any(operator.name in ROUNDING for operator, _ in operators_of(node))
        assert (is_nearly_scaled if rounds else is_scaled)(output, other, factor)


def degenerate():
    """Yield series on which formulas break: a name, and the columns of a panel."""
    for shape in ((0,), (0, 3), (4, 0), (1,), (1, 2), (3, 2)):
        yield f"shape {shape}", {column: np.full(shape, 7.0) for column in COLUMNS}
    flat = {column: np.full((60, 2), 7.0) for column in COLUMNS}
    yield "constant", flat
    yield "no volume", {**walk(60, 2), "volume": np.zeros((60, 2))}
    yield "constant without volume", {**flat, "volume": np.zeros((60, 2))}
    for value in (0.0, -0.0, np.nan, np.inf, -np.inf):
        yield f"all {value}", {column: np.full((60, 2), value) for column in COLUMNS}
    yield "below zero", {column: -np.asarray(values) for column, values in walk(60, 2).items()}
    tiny, huge = 5e-324, 1e150  # whose square is a number still
    yield "smallest", {column: np.full((60, 2), tiny) for column in COLUMNS}
    yield "largest", {column: np.full((60, 2), huge) for column in COLUMNS}
    turning = np.where(np.arange(60) % 2, huge, -huge)[:, np.newaxis]
    yield "from end to end", {column: turning.copy() for column in COLUMNS}


@every_case
def test_degenerate_series_have_a_defined_result(name, compat):
    """No bars, one bar, nothing that moves, nothing traded, nothing known: no warning, no infinity, no hole."""
    parameters = REGISTRY[name].bind([min(5, p.highest) for p in REGISTRY[name].parameters if p.whole][:1])
    lookbacks = [node.lookback for node in REGISTRY[name].expressions(parameters, compat=compat)]
    for what, panel in degenerate():
        with np.errstate(all="raise"):
            made = compute(name, Prices(panel), parameters, compat=compat)
        assert made.shape[1:] == panel["close"].shape, what
        assert not np.isinf(made).any(), what
        if what in ("constant", "no volume", "constant without volume"):
            unknown = name in UNKNOWN_WITHOUT_VOLUME and "no volume" in what.replace("without", "no")
            for output, lookback in zip(made, lookbacks, strict=True):
                assert np.isnan(output[:lookback]).all(), what
                assert unknown or np.isfinite(output[lookback:]).all(), what
        if panel["close"].size and not np.isfinite(panel["close"]).any():
            assert np.isnan(made).all(), what


def forgets(name, compat):
    """Return whether an indicator has a warm-up at all: sums since the start have none."""
    return REGISTRY[name].warmup(*REGISTRY[name].bind(), compat=compat) is not None


@pytest.mark.parametrize(("name", "compat"), [case for case in CASES if forgets(*case)])
@given(data=st.data())
@settings(deadline=None, max_examples=4)
def test_after_the_warm_up_an_earlier_start_changes_nothing(name, compat, data):
    """From the stated bar on, a series that began later differs by less than 1e-5 of scale at a tolerance of 1e-6."""
    parameters = data.draw(parameters_of(name))
    tolerance = 1e-6
    warmup = REGISTRY[name].warmup(*parameters, tolerance=tolerance, compat=compat)
    assert warmup >= REGISTRY[name].lookback(*parameters, compat=compat)
    start = data.draw(st.integers(1, 200))
    seed = data.draw(st.integers(0, 2**32 - 1))
    panel = walk(start + warmup + 40, 2, seed=seed, moves=data.draw(st.sampled_from([1e-3, 0.02])))
    whole = compute(name, panel, parameters, compat=compat)[:, start + warmup :]
    late = compute(name, panel, parameters, rows=slice(start, None), compat=compat)[:, warmup:]
    for output, other in zip(whole, late, strict=True):
        np.testing.assert_array_equal(np.isnan(output), np.isnan(other))
        np.testing.assert_allclose(other, output, rtol=0, atol=10 * tolerance * np.nanmax(np.abs(output)))


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_tighter_tolerance_never_shortens_the_warm_up(name):
    """A smaller tolerance needs as many bars or more; sums since the start never forget."""
    parameters = REGISTRY[name].bind()
    found = [REGISTRY[name].warmup(*parameters, tolerance=tolerance) for tolerance in (1e-3, 1e-6, 1e-12)]
    assert found == [None] * 3 or found == sorted(found)


@given(panel=panels(symbols=2, gaps=False), period=st.integers(2, 40), deviations=st.floats(0, 4))
@settings(deadline=None, max_examples=80)
def test_bands_equal_exact_arithmetic(panel, period, deviations):
    """Mean and deviation agree with sums in exact arithmetic to a few digits of the spread, not of the price."""
    close = panel["close"][:, 0]
    made = indicators.bbands(close, period, deviations)
    for t in range(period - 1, BARS, 7):
        window = close[t - period + 1 : t + 1]
        mean = math.fsum(window) / period
        deviation = math.sqrt(math.fsum((price - mean) ** 2 for price in window) / period)
        assert made.middle[t] == pytest.approx(mean, rel=1e-15)
        tolerance = 1e-13 * deviations * deviation + 1e-15 * mean  # as fine as a band can be stored
        assert made.upper[t] - mean == pytest.approx(deviations * deviation, rel=0, abs=tolerance)
        assert mean - made.lower[t] == pytest.approx(deviations * deviation, rel=0, abs=tolerance)
        assert indicators.sma(close, period)[t] == made.middle[t]


def test_deviation_keeps_its_digits_on_a_large_price():
    """On 1e5 +- 1e-3, where a sliding sum of squares loses every digit, the band width keeps eleven."""
    close = 1e5 + 1e-3 * np.random.default_rng(1).standard_normal(20_000)
    made = indicators.bbands(close, 20, 1.0)
    windows = np.lib.stride_tricks.sliding_window_view(close - 1e5, 20)
    width = (made.upper - made.lower)[19:] / 2
    np.testing.assert_allclose(width, windows.std(axis=1), rtol=0, atol=3e-11)


@every_case
def test_a_bad_tick_leaves_no_trace_in_the_windows_after_it(name, compat):
    """After a tick of 1e12 has left the window, what depends on windows alone is what it was without it."""
    parameters = REGISTRY[name].bind()
    nodes = REGISTRY[name].expressions(parameters, compat=compat)
    panel = walk(600, 1, flat=0.1)
    spoilt = {column: values.copy() for column, values in panel.items()}
    for column in inputs_of(name, spoilt):
        column[150::150] = 1e12
    clean = compute(name, panel, parameters, columns=0, compat=compat)
    made = compute(name, spoilt, parameters, columns=0, compat=compat)
    since = np.arange(600) % 150
    for node, output, want in zip(nodes, made, clean, strict=True):
        if any(operator.recursive for operator, _ in operators_of(node)):
            continue
        after = (since > node.lookback) | (np.arange(600) < 150)
        scale = np.nanmax(np.abs(want))
        np.testing.assert_allclose(output[after], want[after], rtol=1e-12, atol=1e-12 * scale)
