"""Laws of trend analysis: causal, a symbol of its own, equal to plain loops, and never a warning."""

import numpy as np
import pytest
import trend_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import BARS, panels

from tradeutils import indicators
from tradeutils.analysis import trend

MODES = st.sampled_from(["restart", "propagate", "hold"])
MEASURES = st.sampled_from(["natr:3", "realized_volatility:4", "trange", "mom:1"])
OSCILLATORS = st.sampled_from(["rsi:4", "cci:5", "mfi:4", "mom:2"])

ANALYSES = {
    "pivots": (
        lambda data, **options: trend.pivots(data["high"], data["low"], **options),
        st.fixed_dictionaries({"left": st.integers(1, 6), "right": st.integers(1, 6)}),
    ),
    "regression": (trend.regression, st.fixed_dictionaries({"period": st.integers(3, 12)})),
    "regime": (
        trend.regime,
        st.fixed_dictionaries(
            {
                "emas": st.sampled_from([(2, 5), (1, 3, 7), (3, 4, 5, 9)]),
                "adx": st.integers(2, 6),
                "enter": st.floats(40, 95),
                "leave": st.floats(0, 40),
                "nan": MODES,
            }
        ),
    ),
    "volatility_regime": (
        trend.volatility_regime,
        st.fixed_dictionaries({"measure": MEASURES, "lookback": st.integers(2, 20), "nan": MODES}),
    ),
    "divergence": (
        trend.divergence,
        st.fixed_dictionaries(
            {
                "oscillator": OSCILLATORS,
                "left": st.integers(1, 3),
                "right": st.integers(1, 3),
                "within": st.integers(1, 30),
                "nan": MODES,
            }
        ),
    ),
    "breakouts": (
        trend.breakouts,
        st.fixed_dictionaries(
            {
                "period": st.integers(1, 10),
                "buffer": st.sampled_from([0.0, 0.1, 1.0]),
                "atr": st.integers(1, 5),
                "volume": st.sampled_from([None, 0.0, 1.0]),
                "volume_period": st.integers(1, 5),
                "fail_within": st.integers(0, 12),
                "nan": MODES,
            }
        ),
    ),
}

every_analysis = pytest.mark.parametrize("name", ANALYSES)
quick = settings(deadline=None, max_examples=25)


def part(panel, rows=slice(None), columns=slice(None)):
    return {name: panel[name][rows][..., columns] for name in ("open", "high", "low", "close", "volume")}


def arrays(result):
    """Return the arrays of a result by name, and the rest as it is."""
    assert result.delay >= 0
    found = {name: value for name, value in result._asdict().items() if isinstance(value, np.ndarray)}
    if isinstance(result, trend.Regression):
        found["lower"], found["upper"] = result.channel(1.5)
    return found


def assert_same(found, wanted):
    """Compare bit for bit; what a NaN's own bits are does not matter."""
    assert found.keys() == wanted.keys()
    for name, values in found.items():
        assert values.dtype == wanted[name].dtype
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)


@every_analysis
@given(data=st.data())
@quick
def test_more_bars_never_change_what_was_said(name, data):
    """Prefix invariance: what is said of a bar has the same bits whatever comes later."""
    analyse, options = ANALYSES[name]
    panel, asked = data.draw(panels()), data.draw(options)
    cut = data.draw(st.integers(0, BARS))
    whole = arrays(analyse(part(panel), **asked))
    some = arrays(analyse(part(panel, slice(cut)), **asked))
    assert_same(some, {key: values[:cut] for key, values in whole.items()})


@every_analysis
@given(data=st.data())
@quick
def test_symbols_in_another_order_give_their_columns_in_that_order(name, data):
    """A symbol's values do not depend on which symbols stand beside it, nor on whether any does."""
    analyse, options = ANALYSES[name]
    panel, asked = data.draw(panels(symbols=5)), data.draw(options)
    order = data.draw(st.permutations(range(5)))
    whole = arrays(analyse(part(panel), **asked))
    turned = arrays(analyse(part(panel, columns=order), **asked))
    assert_same(turned, {key: values[:, order] for key, values in whole.items()})
    alone = arrays(analyse(part(panel, columns=order[0]), **asked))
    assert_same(alone, {key: values[:, order[0]] for key, values in whole.items()})
    fortran = {key: np.asfortranarray(values) for key, values in part(panel).items()}
    assert_same(arrays(analyse(fortran, **asked)), whole)


@every_analysis
@given(data=st.data())
@quick
def test_rows_without_any_price_never_raise_and_report_nothing(name, data):
    """Rows that are missing altogether, wherever and however many, say nothing of themselves."""
    analyse, options = ANALYSES[name]
    panel, asked = data.draw(panels()), data.draw(options)
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=BARS, max_size=BARS)))
    for column in panel.values():
        column[gone] = data.draw(st.sampled_from([np.nan, np.inf]))
    for key, values in arrays(analyse(part(panel), **asked)).items():
        if key in ("line", "slope", "strength", "value", "rank"):
            assert np.isnan(values[gone]).all()
        elif key == "code":
            assert set(np.unique(values[gone]).tolist()) <= {0, int(trend.Trend.UNKNOWN)}
        elif values.dtype == np.bool_:
            assert not values[gone].any()


@every_analysis
@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (1, 3), (7, 0), (0, 0), (30, 2)])
def test_empty_short_and_unknown_input_gives_its_shape(name, shape):
    """No bars, one bar, no symbols, or nothing but NaN: arrays of that shape, and no warning."""
    analyse, _ = ANALYSES[name]
    data = dict.fromkeys(("open", "high", "low", "close", "volume"), np.full(shape, np.nan))
    for key, values in arrays(analyse(data)).items():
        assert values.shape == shape, key
        if values.dtype == np.float64:
            assert np.isnan(values).all()
        else:
            assert not (values > 0).any()


@every_analysis
@given(seed=st.integers(0, 2**32 - 1))
@quick
def test_prices_at_the_ends_of_float64_never_warn(name, seed):
    """Overflows, zeros of both signs, subnormal and negative prices: results, no warning, causal as ever."""
    extremes = np.array([0.0, -0.0, 1.7e308, -1.7e308, 5e-324, -5e-324, 1e-170, 1e200, 1.0, 2.0, np.nan, -np.inf])
    random = np.random.default_rng(seed)
    data = {key: random.choice(extremes, (25, 2)) for key in ("open", "high", "low", "close", "volume")}
    analyse, _ = ANALYSES[name]
    options = {
        "regression": {"period": 3},
        "regime": {"emas": (2, 3), "adx": 2},
        "volatility_regime": {"measure": "natr:2", "lookback": 3},
        "breakouts": {"period": 2, "buffer": 1e300, "atr": 2, "volume": 0.5, "volume_period": 2},
    }.get(name, {"left": 1, "right": 1})
    whole = arrays(analyse(data, **options))
    some = arrays(analyse({key: values[:14] for key, values in data.items()}, **options))
    assert_same(some, {key: values[:14] for key, values in whole.items()})


def columns_of(panel):
    for symbol in range(panel["close"].shape[1]):
        yield symbol, part(panel, columns=symbol)


@given(panel=panels(), asked=ANALYSES["pivots"][1])
@quick
def test_pivots_are_the_references(panel, asked):
    """Each bar confirms what the comparison of each bar with its neighbours says it does."""
    found = trend.pivots(panel["high"], panel["low"], **asked)
    for symbol, own in columns_of(panel):
        assert found.high_at[:, symbol].tolist() == reference.pivots(own["high"], **asked)
        assert found.low_at[:, symbol].tolist() == reference.pivots(own["low"], **asked, sign=-1)
    np.testing.assert_array_equal(found.high, found.high_at >= 0)
    np.testing.assert_array_equal(found.low, found.low_at >= 0)
    assert found.delay == asked["right"]


@given(levels=st.lists(st.integers(0, 3), min_size=1, max_size=40), left=st.integers(1, 4), right=st.integers(1, 4))
@quick
def test_pivots_among_equal_prices_are_the_references(levels, left, right):
    """Ties on every side fall as the rule says: the last of equal highs."""
    prices = np.array(levels, float)
    found = trend.pivots(prices, prices, left, right)
    assert found.high_at.tolist() == reference.pivots(prices, left, right)
    assert found.low_at.tolist() == reference.pivots(prices, left, right, sign=-1)


@given(
    seed=st.integers(0, 2**32 - 1),
    period=st.integers(3, 30),
    offset=st.sampled_from([1e-8, 1.0, 1e5, 1e7]),
    moves=st.sampled_from([1e-10, 1e-8, 1e-6, 1e-3, 0.3]),
    drift=st.sampled_from([0.0, 1.0, -1e4]),
)
@quick
def test_regression_is_that_of_exact_arithmetic(seed, period, offset, moves, drift):
    """Offsets, satoshi prices, and lines that fit to nine digits, lose no digit that matters."""
    noise = np.random.default_rng(seed).normal(0, moves, 45)
    close = offset * (1.0 + noise + drift * moves * np.arange(45) / 45)
    found = trend.regression(close, period)
    for bar in range(period - 1, 45):
        window = close[bar - period + 1 : bar + 1]
        end, slope, r_squared, squared = reference.line(window.tolist())
        reach = float(np.ptp(window))
        assert found.line[bar] == pytest.approx(float(end), rel=1e-15, abs=1e-13 * reach)
        assert found.slope[bar] == pytest.approx(float(slope), rel=1e-15, abs=1e-14 * reach)
        assert found.r_squared[bar] == pytest.approx(float(r_squared), abs=1e-12)
        assert found.error[bar] == pytest.approx(float(squared) ** 0.5, rel=1e-8, abs=1e-14 * reach)
        assert found.slope_percent[bar] == pytest.approx(100 * float(slope) / abs(close[bar]), rel=1e-8, abs=1e-12)


@given(panel=panels(), asked=ANALYSES["regime"][1])
@quick
def test_regimes_are_the_references(panel, asked):
    """The latches of whole arrays say what a state that goes from bar to bar says."""
    found = trend.regime(part(panel), **asked)
    for symbol, own in columns_of(panel):
        prices = (own["high"], own["low"], own["close"])
        adx = indicators.adx(*prices, asked["adx"], nan=asked["nan"])
        averages = [indicators.ema(own["close"], period, nan=asked["nan"]) for period in asked["emas"]]
        wanted = reference.regimes(adx, averages, asked["enter"], asked["leave"], hold=asked["nan"] == "hold")
        codes = found.code[:, symbol].tolist()
        assert codes == [int(trend.Trend.UNKNOWN) if code is None else code for code in wanted]
        unknown = np.array([code is None for code in wanted])
        np.testing.assert_array_equal(found.strength[:, symbol], np.where(unknown, np.nan, adx))


@given(panel=panels(), asked=ANALYSES["volatility_regime"][1])
@quick
def test_volatility_regimes_are_the_references(panel, asked):
    """Ranks are counts of what is less, and halves of what is equal."""
    found = trend.volatility_regime(part(panel), **asked, low=30, high=70)
    for symbol in range(3):
        ranks = reference.ranks(found.value[:, symbol], asked["lookback"])
        np.testing.assert_allclose(found.rank[:, symbol], np.array(ranks, float), rtol=1e-14)
        rank = found.rank[:, symbol]
        codes = np.where(rank <= 30, -1, np.where(rank >= 70, 1, np.where(np.isnan(rank), -128, 0)))
        np.testing.assert_array_equal(found.code[:, symbol], codes)


@given(panel=panels(), asked=ANALYSES["divergence"][1])
@quick
def test_divergences_are_the_references(panel, asked):
    """Pairs of pivots one after the other, compared one by one."""
    found = trend.divergence(part(panel), **asked)
    spec = indicators.parse(asked["oscillator"])
    sizes = {name: asked[name] for name in ("left", "right", "within")}
    for symbol, own in columns_of(panel):
        oscillator = getattr(indicators, spec.indicator.name)(
            *[own[name] for name in spec.indicator.inputs], *spec.values, nan=asked["nan"]
        )
        for field, sign, kind in (("high", 1, "bearish"), ("low", -1, "bullish")):
            wanted = reference.divergences(own[field], oscillator, **sizes, sign=sign)
            made = [getattr(found, name)[:, symbol].tolist() for name in (kind, f"{kind}_from", f"{kind}_at")]
            assert list(zip(*made, strict=True)) == wanted


@given(panel=panels(), asked=ANALYSES["breakouts"][1])
@quick
def test_breakouts_and_failures_are_the_references(panel, asked):
    """A state that goes from bar to bar, with one breakout of each direction in it, says the same."""
    found = trend.breakouts(part(panel), **asked)
    for symbol, own in columns_of(panel):
        reach = np.zeros(BARS)
        if asked["buffer"]:
            atr = indicators.atr(own["high"], own["low"], own["close"], asked["atr"], nan=asked["nan"])
            reach = np.append(np.nan, atr[:-1] * asked["buffer"])
        wanted = reference.breakouts(
            own["high"],
            own["low"],
            own["close"],
            asked["period"],
            reach,
            indicators.rvol(own["volume"], asked["volume_period"]),
            asked["volume"],
            asked["fail_within"],
        )
        made = [getattr(found, name)[:, symbol].tolist() for name in ("code", "failed", "failed_from")]
        assert list(zip(*made, strict=True)) == wanted
