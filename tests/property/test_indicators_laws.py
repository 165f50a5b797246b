"""Laws that every indicator keeps on every panel and every parameter."""

import math

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils import indicators
from tradeutils.indicators import REGISTRY

NAMES = sorted(REGISTRY)
BARS = 90
TALIB = {"bbands": lambda close, period, deviations: talib.BBANDS(close, period, deviations, deviations)}


@st.composite
def parameters_of(draw, name):
    """Draw parameters of an indicator, short enough for BARS bars to reach well past the lookback."""
    values = []
    for parameter in REGISTRY[name].parameters:
        if parameter.whole:
            values.append(draw(st.integers(int(parameter.lowest), 20)))
        else:
            values.append(draw(st.floats(0.0, 4.0)))
    return tuple(values)


class Prices(dict):
    """The columns of a panel, which show as how they were drawn and not as their numbers."""

    drawn: dict

    def __repr__(self):
        return f"Prices({self.drawn})"


@st.composite
def panels(draw, symbols=3, *, gaps=True):
    """Draw the high, low and close of a panel: walks of any scale, with flat stretches, jumps and missing bars."""
    drawn = {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "size": draw(st.sampled_from([1e-8, 1.0, 1e5])),
        "moves": draw(st.sampled_from([1e-6, 1e-3, 0.05])),
        "flat": draw(st.sampled_from([0.0, 0.3, 0.9])),
        "leading": draw(st.integers(0, 40)) if gaps else 0,
        "missing": draw(st.sampled_from([0.0, 0.02, 0.2])) if gaps else 0.0,
        "as": draw(st.sampled_from([np.nan, np.inf, -np.inf])) if gaps else np.nan,
    }
    random = np.random.default_rng(drawn["seed"])
    moves = random.normal(0, drawn["moves"], (BARS, symbols))
    moves[random.random(moves.shape) < drawn["flat"]] = 0.0
    close = drawn["size"] * np.exp(moves.cumsum(axis=0))
    high, low = close * (1 + 0.01 * random.random(close.shape)), close * (1 - 0.01 * random.random(close.shape))
    for column in (high, low, close):
        column[random.random(close.shape) < drawn["missing"]] = drawn["as"]
    close[: drawn["leading"], 0] = np.nan
    made = Prices(high=high, low=low, close=close)
    made.drawn = drawn
    return made


def compute(name, panel, parameters, rows=slice(None), columns=slice(None)):
    """Return the outputs of an indicator, stacked, on part of a panel."""
    inputs = [panel[column][rows][..., columns] for column in REGISTRY[name].inputs]
    made = getattr(indicators, name)(*inputs, *parameters)
    return np.stack(made if isinstance(made, tuple) else (made,))


def scale_of(name, panel):
    """Return the size that errors are measured against: 100 for RSI, else the largest price."""
    finite = panel["close"][np.isfinite(panel["close"])]
    return 100.0 if name == "rsi" else (np.abs(finite).max() if finite.size else 1.0)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(deadline=None)
def test_more_bars_never_change_earlier_values(name, data):
    """Prefix invariance: what is known at a bar has the same bits whatever comes later."""
    panel, parameters = data.draw(panels()), data.draw(parameters_of(name))
    cut = data.draw(st.integers(0, BARS))
    whole = compute(name, panel, parameters)
    np.testing.assert_array_equal(compute(name, panel, parameters, rows=slice(cut)), whole[:, :cut])


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(deadline=None)
def test_a_symbol_does_not_depend_on_its_neighbours(name, data):
    """Column independence: alone, among a few, or beyond a vector's width, a symbol has the same bits."""
    panel, parameters = data.draw(panels(symbols=19)), data.draw(parameters_of(name))
    whole = compute(name, panel, parameters)
    low = data.draw(st.integers(0, 18))
    high = data.draw(st.integers(low + 1, 19))
    np.testing.assert_array_equal(compute(name, panel, parameters, columns=slice(low, high)), whole[:, :, low:high])
    np.testing.assert_array_equal(compute(name, panel, parameters, columns=low), whole[:, :, low])


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(deadline=None)
def test_a_bar_has_a_value_exactly_after_lookback_good_bars(name, data):
    """A value is known where the bar and the lookback before it are good, and nowhere else, in every output."""
    panel, parameters = data.draw(panels()), data.draw(parameters_of(name))
    indicator = REGISTRY[name]
    good = np.logical_and.reduce([np.isfinite(panel[column]) for column in indicator.inputs])
    run = np.zeros(good.shape[1], dtype=int)
    for t, output in enumerate(np.moveaxis(compute(name, panel, parameters), 0, 1)):
        run = np.where(good[t], run + 1, 0)
        want = run > indicator.lookback(*parameters)
        np.testing.assert_array_equal(np.isfinite(output), np.broadcast_to(want, output.shape))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(deadline=None)
def test_after_a_missing_bar_a_series_begins_anew(name, data):
    """What follows a missing bar is what the bars after it give alone: to the bit if recursive, else to rounding."""
    panel, parameters = data.draw(panels(gaps=False)), data.draw(parameters_of(name))
    missing = data.draw(st.integers(0, BARS - 1))
    tail = compute(name, panel, parameters, rows=slice(missing + 1, None))
    panel["close"][missing] = np.nan
    made = compute(name, panel, parameters)[:, missing + 1 :]
    if name in ("sma", "bbands"):
        np.testing.assert_allclose(made, tail, rtol=0, atol=1e-12 * scale_of(name, panel))
    else:
        np.testing.assert_array_equal(made, tail)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(deadline=None)
def test_prices_times_a_power_of_two_scale_exactly(name, data):
    """No absolute threshold hides in a formula: prices of any size give the same digits."""
    panel, parameters = data.draw(panels()), data.draw(parameters_of(name))
    factor = 2.0 ** data.draw(st.integers(-60, 60))
    scaled = compute(name, {column: prices * factor for column, prices in panel.items()}, parameters)
    whole = compute(name, panel, parameters)
    np.testing.assert_array_equal(scaled, whole if name == "rsi" else whole * factor)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(deadline=None)
def test_values_are_talibs(name, data):
    """TA-Lib 0.8 on the same numbers: the same NaN prefix, equal to 1e-10 of the scale of the prices."""
    panel, parameters = data.draw(panels(symbols=1, gaps=False)), data.draw(parameters_of(name))
    leading = data.draw(st.integers(0, 40))
    for column in panel.values():
        column[:leading] = np.nan
    ours = compute(name, panel, parameters, columns=0)
    inputs = [np.ascontiguousarray(panel[column][:, 0]) for column in REGISTRY[name].inputs]
    want = np.atleast_2d(TALIB.get(name, getattr(talib, name.upper()))(*inputs, *parameters))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(want))
    np.testing.assert_allclose(ours, want, rtol=0, atol=1e-10 * scale_of(name, panel))


@given(panel=panels(symbols=2, gaps=False), period=st.integers(1, 40), deviations=st.floats(0, 4))
@settings(deadline=None, max_examples=60)
def test_bands_equal_exact_arithmetic(panel, period, deviations):
    """Mean and deviation agree with sums in exact arithmetic to a few digits of the spread, not of the price."""
    close = panel["close"][:, 0]
    period = max(period, 2)
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


def test_a_bad_tick_leaves_no_trace_in_the_windows_after_it():
    """After a tick of 1e12 has left the window, means and bands are what they were without it."""
    close = 1.0 + 1e-3 * np.random.default_rng(1).standard_normal(2000)
    spoilt = close.copy()
    spoilt[::137] = 1e12
    clean, made = indicators.bbands(close, 20, 2.0), indicators.bbands(spoilt, 20, 2.0)
    bad = np.convolve(np.arange(2000) % 137 == 0, np.ones(20))[:2000] > 0
    for output, want in zip(made, clean, strict=True):
        np.testing.assert_allclose(output[~bad], want[~bad], rtol=1e-13)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_tail_has_the_bits_of_the_whole(name, data):
    """compute(tail=k) is the end of compute, for any parameters, missing bars and k."""
    close = data.draw(panels())["close"]
    name = "rsi" if name == "atr" else name
    spec = REGISTRY[name].label(data.draw(parameters_of(name)))
    tail = data.draw(st.integers(0, BARS + 5))
    whole = indicators.compute(close, [spec])
    for key, last in indicators.compute(close, [spec], tail=tail).items():
        np.testing.assert_array_equal(last, whole[key][max(0, BARS - tail) :])
