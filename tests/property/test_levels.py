"""Laws of levels of prices: causal, a symbol of its own, equal to plain loops, and never a warning."""

import math
from itertools import pairwise

import levels_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import BARS, panels

from tradeutils import Candles, Panel, indicators
from tradeutils.analysis import levels

SYMBOLS = 3
SESSIONS = st.fixed_dictionaries(
    {
        "session": st.sampled_from(["4h", "1d", "1w"]),
        "day": st.sampled_from([None, "03:00", "17:00 America/New_York", "09:00-16:00 Europe/Berlin"]),
    }
)
SHAPES = {"bins": st.integers(1, 12), "share": st.sampled_from([0.0, 0.3, 0.7, 1.0])}
PIVOTS = {"left": st.integers(1, 4), "right": st.integers(1, 4)}
DISTANCES = {"by": st.sampled_from(["atr", "percent"]), "atr": st.integers(1, 10)}

ANALYSES = {
    "swings": (levels.swings, st.fixed_dictionaries(PIVOTS)),
    "zigzag": (levels.zigzag, st.fixed_dictionaries({"threshold": st.sampled_from([0.01, 0.5, 2.0]), **DISTANCES})),
    "support_resistance": (
        levels.support_resistance,
        st.fixed_dictionaries(
            {
                "tolerance": st.sampled_from([0.0, 0.02, 0.5, 2.0]),
                "lookback": st.sampled_from([4, 20, 1000]),
                "flips": st.integers(0, 3),
                **PIVOTS,
                **DISTANCES,
            }
        ),
    ),
    "value_areas": (levels.value_areas, st.fixed_dictionaries({"window": st.integers(1, 100), **SHAPES})),
    "value_areas of sessions": (
        lambda data, **asked: levels.value_areas(data, **asked.pop("of"), **asked),
        st.fixed_dictionaries({"of": SESSIONS, **SHAPES}),
    ),
    "pivot_points": (
        lambda data, **asked: levels.pivot_points(data, **asked.pop("of"), **asked),
        st.fixed_dictionaries({"of": SESSIONS, "method": st.sampled_from(["floor", "fibonacci", "camarilla"])}),
    ),
}

every_analysis = pytest.mark.parametrize("name", ANALYSES)
quick = settings(deadline=None, max_examples=25)


@st.composite
def markets(draw, symbols=SYMBOLS):
    """Draw a Panel with gaps, and often with prices in so few ticks that ties are everywhere."""
    columns = draw(panels(symbols=symbols))
    tick = draw(st.sampled_from([None, 0.002, 0.02]))
    prices = {name: columns[name] for name in ("open", "high", "low", "close")}
    if tick is not None:
        unit = tick * np.nanmedian(np.where(np.isfinite(columns["close"]), columns["close"], np.nan))
        prices = {name: np.round(column / unit) * unit for name, column in prices.items()}
    return market(**prices, volume=columns["volume"], start=draw(st.integers(0, 30)))


def market(*, start=0, **columns):
    hours = 3_600_000 * np.arange(464_000 + start, 464_000 + start + len(columns["close"]))
    symbols = tuple(f"S{s}/USDT" for s in range(columns["close"].shape[1]))
    return Panel(symbols=symbols, timeframe="1h", time=hours, **columns)


def chosen(panel, columns):
    """Return a panel of some of the symbols, in the order that is given."""
    return Panel(
        symbols=tuple(panel.symbols[s] for s in columns),
        timeframe=panel.timeframe,
        time=panel.time,
        **{name: getattr(panel, name)[:, columns] for name in ("open", "high", "low", "close", "volume")},
    )


def arrays(result):
    """Return what a result says of each bar: arrays of the shape of the data."""
    assert result.delay is None or result.delay >= 0
    found = {name: value for name, value in result._asdict().items() if isinstance(value, np.ndarray)}
    if isinstance(result, levels.PivotPoints):
        found |= {f"r{k}": values for k, values in enumerate(result.resistances)}
        found |= {f"s{k}": values for k, values in enumerate(result.supports)}
    if isinstance(result, levels.Swings):
        found |= {"last_high": result.last_high(), "last_low": result.last_low(), "legs": result.legs()}
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
    panel, asked = data.draw(markets()), data.draw(options)
    cut = data.draw(st.integers(0, BARS))
    whole = arrays(analyse(panel, **asked))
    assert_same(arrays(analyse(panel[:cut], **asked)), {key: values[:cut] for key, values in whole.items()})


@every_analysis
@given(data=st.data())
@quick
def test_symbols_in_another_order_give_their_columns_in_that_order(name, data):
    """A symbol's values do not depend on which symbols stand beside it, nor on whether any does."""
    analyse, options = ANALYSES[name]
    panel, asked = data.draw(markets(symbols=20)), data.draw(options)
    order = data.draw(st.permutations(range(20)))
    whole, turned = analyse(panel, **asked), analyse(chosen(panel, order), **asked)
    assert_same(arrays(turned), {key: values[:, order] for key, values in arrays(whole).items()})
    alone = analyse(chosen(panel, order[:1]), **asked)
    assert_same(arrays(alone), {key: values[:, order[:1]] for key, values in arrays(whole).items()})
    if name == "support_resistance":
        assert turned.levels == tuple(whole.levels[s] for s in order)
        assert alone.levels == turned.levels[:1]


@every_analysis
@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (7, 0), (0, 0), (30, 2), (0,), (1,), (30,)])
def test_empty_short_and_unknown_data_say_nothing(name, shape):
    """No bars, one bar, no symbols, or nothing but NaN: arrays of that shape, and no warning."""
    analyse, _ = ANALYSES[name]
    asked = {
        "value_areas": {"window": 5},
        "value_areas of sessions": {"of": {"session": "1d"}},
        "pivot_points": {"of": {"session": "1d"}},
    }.get(name, {})
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), np.full(shape, np.nan))
    hours = 3_600_000 * np.arange(shape[0])
    data = Candles(timeframe="1h", time=hours, **columns) if len(shape) == 1 else market(**columns)
    result = analyse(data, **asked)
    if name == "support_resistance":
        assert result.levels == ((),) * math.prod(shape[1:])
    if name in ("swings", "zigzag"):
        assert list(result.rows()) == []
    for values in arrays(result).values():
        assert values.shape == shape
        assert np.isnan(values).all() if values.dtype == np.float64 else not (values > 0).any()


@every_analysis
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@quick
def test_prices_at_the_ends_of_float64_do_no_harm(name, data, seed):
    """Overflows, zeros of both signs, subnormal and negative prices, lows above highs: no warning, causal as ever."""
    analyse, options = ANALYSES[name]
    extremes = np.array([0.0, -0.0, 1.7e308, -1.7e308, 5e-324, -5e-324, 1e-170, 1e200, 1.0, 2.0, np.nan, -np.inf])
    random = np.random.default_rng(seed)
    panel = market(**{key: random.choice(extremes, (60, 2)) for key in ("open", "high", "low", "close", "volume")})
    asked = data.draw(options)
    whole = arrays(analyse(panel, **asked))
    assert_same(arrays(analyse(panel[:41], **asked)), {key: values[:41] for key, values in whole.items()})


def series_of(panel):
    """Yield each symbol's number, highs, lows, closes and volumes, infinities made NaN."""
    for s in range(len(panel.symbols)):
        columns = (getattr(panel, name)[:, s] for name in ("high", "low", "close", "volume"))
        yield s, *(np.where(np.isfinite(column), column, np.nan).tolist() for column in columns)


def distance_of(panel, s, width, by, atr):
    """Return the distance at a price and a row, in numpy's arithmetic; an ATR that is unknown is carried."""
    if by == "percent":
        return lambda price, t: width / 100.0 * abs(price)
    made = indicators.atr(panel.high[:, s], panel.low[:, s], panel.close[:, s], atr, nan="hold") * width
    return lambda price, t: float(made[t])


@given(panel=markets(), asked=ANALYSES["swings"][1])
@quick
def test_swings_are_the_references(panel, asked):
    """Each bar confirms what the comparison of each bar with its neighbours says it does."""
    found = levels.swings(panel, **asked)
    assert found.delay == asked["right"]
    listed = [(swing.confirmed, swing.column, swing.at, swing.price, swing.is_high) for swing in found.rows()]
    wanted = []
    for s, high, low, *_ in series_of(panel):
        rows = reference.swings(high, low, **asked)
        assert list(zip(found.high_at[:, s].tolist(), found.low_at[:, s].tolist(), strict=True)) == rows
        for t, (top, bottom) in enumerate(rows):
            wanted += [(t, s, bottom, low[bottom], False)] * (bottom >= 0) + [(t, s, top, high[top], True)] * (top >= 0)
    assert listed == sorted(wanted, key=lambda row: row[:2])


@given(panel=markets(), asked=ANALYSES["zigzag"][1])
@quick
def test_zigzag_is_the_references(panel, asked):
    """Each bar confirms what a leg that is looked through anew at each bar says it does."""
    found = levels.zigzag(panel, **asked)
    for s, high, low, *_ in series_of(panel):
        distance = distance_of(panel, s, asked["threshold"], asked["by"], asked["atr"])
        wanted = reference.zigzag(high, low, distance)
        assert list(zip(found.high_at[:, s].tolist(), found.low_at[:, s].tolist(), strict=True)) == wanted
        for at, prices, ours in ((found.high_at, high, found.high), (found.low_at, low, found.low)):
            expected = [prices[place] if place >= 0 else math.nan for place in at[:, s].tolist()]
            np.testing.assert_array_equal(ours[:, s], expected)


@given(panel=markets(), asked=ANALYSES["zigzag"][1])
@quick
def test_highs_and_lows_of_a_zigzag_take_turns(panel, asked):
    """After a high comes a low, which is later and is confirmed later, by at least a bar."""
    swings = list(levels.zigzag(chosen(panel, [0]), **asked).rows())
    for before, after in pairwise(swings):
        assert before.is_high != after.is_high
        assert before.at < after.at
        assert before.confirmed < after.confirmed
    assert all(swing.at < swing.confirmed for swing in swings)


@given(panel=markets(), asked=ANALYSES["support_resistance"][1])
@quick
def test_support_and_resistance_are_the_references(panel, asked):
    """Plain lists of levels, kept as the rules say, hold the same levels at every bar and in the end."""
    found = levels.support_resistance(panel, **asked)
    for s, high, low, close, _ in series_of(panel):
        confirmed = reference.swings(high, low, asked["left"], asked["right"])
        distance = distance_of(panel, s, asked["tolerance"], asked["by"], asked["atr"])
        carried = [math.nan]
        for t in range(BARS):
            now = distance(1.0, t) if asked["by"] == "atr" else 0.0
            carried.append(now if math.isfinite(now) else carried[-1])

        def width(price, t, carried=carried, distance=distance):
            return distance(price, t) if asked["by"] == "percent" else carried[t + 1]

        lines, alive = reference.levels(high, low, close, confirmed, width, asked["lookback"], asked["flips"])
        ours = (found.support, found.resistance, found.support_touches, found.resistance_touches)
        np.testing.assert_array_equal(np.stack([values[:, s] for values in ours], axis=1), np.array(lines, float))
        assert len(found.levels[s]) == len(alive)
        by_age = sorted(found.levels[s], key=lambda level: (level.price, level.first))
        for level, wanted in zip(by_age, sorted(alive, key=lambda one: (one["price"], one["pivots"][0])), strict=True):
            pivots = wanted["pivots"]
            assert (level.price, level.kind, level.breaks) == (wanted["price"], wanted["kind"], wanted["breaks"])
            assert (level.touches, level.first, level.last) == (len(pivots), pivots[0], pivots[-1])
            assert level.price == pytest.approx(math.fsum(wanted["prices"]) / len(pivots), rel=1e-12)
            weights = (0.5 ** ((BARS - 1 - at) / (asked["lookback"] / 2)) for at in pivots)
            assert level.strength == pytest.approx(math.fsum(weights), rel=1e-12)
            assert level.first_time == panel.time[pivots[0]]
            assert level.last_time == panel.time[pivots[-1]]


@given(panel=markets(), cut=st.integers(0, BARS), asked=ANALYSES["support_resistance"][1])
@quick
def test_the_nearest_of_the_levels_are_those_of_the_last_bar(panel, cut, asked):
    """What is listed as of the last bar holds the support and the resistance that are said of it."""
    found = levels.support_resistance(panel[:cut], **asked)
    if not cut:
        assert found.levels == ((),) * SYMBOLS
        return
    for s, listed in enumerate(found.levels):
        for kind, choose, ours in (("support", max, found.support), ("resistance", min, found.resistance)):
            prices = [level.price for level in listed if level.kind == kind]
            np.testing.assert_equal(ours[-1, s], choose(prices, default=math.nan))
        assert [level.strength for level in listed] == sorted((level.strength for level in listed), reverse=True)


@given(
    bars=st.lists(
        st.tuples(st.integers(0, 40), st.integers(-1, 12), st.sampled_from([0, 1, 5, 1000, math.nan])),
        min_size=1,
        max_size=25,
    ),
    bins=st.sampled_from([1, 2, 4, 8, 32]),
    share=st.floats(0, 1),
)
@quick
def test_profile_is_that_of_exact_arithmetic(bars, bins, share):
    """Whole prices and bins of halves: volumes are those of fractions, and the value area follows from them."""
    low, span, volume = (np.array(column, float) for column in zip(*bars, strict=True))
    found = levels.volume_profile({"high": low + span, "low": low, "volume": volume}, bins=bins, share=share)
    wanted = reference.profile(list(zip((low + span).tolist(), low.tolist(), volume.tolist(), strict=True)), bins)
    if wanted is None:
        assert not found.volume.any()
        assert np.isnan([*found.edges, found.point_of_control, found.low, found.high]).all()
        assert found.nodes() == ((),)
        return
    made, bottom, top = wanted
    np.testing.assert_allclose(found.volume, [float(one) for one in made], rtol=1e-12, atol=1e-12 * float(sum(made)))
    edges = [float(bottom + (top - bottom) * k / bins) for k in range(bins + 1)]
    np.testing.assert_array_equal(found.edges, edges)
    control, first, last = reference.value_area(found.volume.tolist(), share)
    size = (edges[-1] - edges[0]) / bins
    assert (found.point_of_control, found.low, found.high) == (
        edges[0] + (control + 0.5) * size, edges[first], edges[last + 1],
    )  # fmt: skip


@given(panel=markets(), window=st.integers(1, 40), bins=st.integers(1, 20), tail=st.integers(0, 100))
@quick
def test_value_area_of_a_window_is_that_of_its_profile(panel, window, bins, tail):
    """At each bar it is that of the last bars alone, bit for bit; and a tail is the last rows."""
    found = levels.value_areas(panel, window, bins=bins)
    for t in range(BARS):
        if t < window - 1:
            assert np.isnan([values[t] for values in found[:3]]).all()
            continue
        alone = levels.volume_profile(panel[t - window + 1 : t + 1], bins=bins)
        assert_same(arrays(levels.ValueAreas(*(values[t] for values in found[:3]), 0)), arrays(
            levels.ValueAreas(alone.point_of_control, alone.low, alone.high, 0)
        ))  # fmt: skip
    last = levels.value_areas(panel, window, bins=bins, tail=tail)
    for values, whole in zip(last[:3], found[:3], strict=True):
        np.testing.assert_array_equal(values, whole[max(BARS - tail, 0) :])


@given(panel=markets(), of=SESSIONS, tail=st.integers(0, 100))
@quick
def test_value_area_of_a_session_is_that_of_its_bars_so_far(panel, of, tail):
    """At each bar it is that of the bars of the resampled candle it lies in, up to it; and a tail is the last rows."""
    found = levels.value_areas(panel, **of, bins=7)
    inside = np.array([opened is not None for opened in opens(panel, **of)])
    columns = {name: getattr(panel, name)[inside] for name in ("high", "low", "volume")}
    for t, begin in enumerate(begins(panel, **of)):
        wanted = [np.full(SYMBOLS, np.nan)] * 3
        if begin is not None:
            rows = slice(np.count_nonzero(inside[:begin]), np.count_nonzero(inside[: t + 1]))
            wanted = levels.volume_profile({name: values[rows] for name, values in columns.items()}, bins=7)[2:5]
        for values, alone in zip(found[:3], wanted, strict=True):
            np.testing.assert_array_equal(values[t], alone)
    last = levels.value_areas(panel, **of, bins=7, tail=tail)
    for values, whole in zip(last[:3], found[:3], strict=True):
        np.testing.assert_array_equal(values, whole[max(BARS - tail, 0) :])


def opens(panel, session, day):
    """Return for each bar the open of its session, by resampling that bar alone; ``None`` outside of sessions."""
    ones = {name: np.ones(1) for name in ("open", "high", "low", "close", "volume")}
    resampled = [
        Candles(timeframe="1h", time=[time], **ones).resample(session, day=day).time.tolist() for time in panel.time
    ]
    return [found[0] if found else None for found in resampled]


def begins(panel, session, day):
    """Return for each bar the row its session begins with; ``None`` outside, and in a first one that is cut short."""
    found, rows = [], {}
    for t, opened in enumerate(opens(panel, session, day)):
        first = rows.setdefault(opened, t) if opened is not None else None
        cut = len(rows) == 1 and panel.time[first] != opened if first is not None else True
        found.append(None if cut else first)
    return found


@given(panel=markets(), of=SESSIONS, method=st.sampled_from(["floor", "fibonacci", "camarilla"]))
@quick
def test_pivot_points_are_the_references(panel, of, method):
    """They are made of the last session before in which the symbol has a bar, if that is whole."""
    found = levels.pivot_points(panel, of["session"], method=method, day=of["day"])
    known = zip(opens(panel, **of), begins(panel, **of), strict=True)
    named = [None if opened is None else "not whole" if begin is None else opened for opened, begin in known]
    for s, high, low, close, _ in series_of(panel):
        wanted = reference.pivot_points(list(zip(high, low, close, strict=True)), named, method)
        for t, points in enumerate(wanted):
            ours = (found.pivot[t, s], *(values[t, s] for values in (*found.resistances, *found.supports)))
            if points is None:
                assert np.isnan(ours).all()
            else:
                np.testing.assert_allclose(ours, [points[0], *points[1], *points[2]], rtol=1e-12)
