"""Candlestick patterns: drawn by hand, their names and what they return, and the loop that finds them."""

import ctypes
import logging
import operator

import numpy as np
import pytest
from candlesticks import CASES, DRAWN, QUIET, candles_of, drawn, mirrored, panel_of, wanted, wild

from tradeutils import Candles
from tradeutils.analysis import patterns
from tradeutils.analysis.patterns import NAMES, PATTERNS, find
from tradeutils.errors import UnknownName, UsageError
from tradeutils.indicators import candlesticks
from tradeutils.indicators.candlesticks import blocks
from tradeutils.indicators.candlesticks.facts import SCALES, Code
from tradeutils.indicators.candlesticks.layout import AN_INSTRUCTION, layout_of
from tradeutils.indicators.cpu import candlesticks as loop
from tradeutils.indicators.cpu import compiling

DEPTHS = {
    "cdlabandonedbaby": 0.3, "cdldarkcloudcover": 0.5, "cdleveningdojistar": 0.3, "cdleveningstar": 0.3,
    "cdlmathold": 0.5, "cdlmorningdojistar": 0.3, "cdlmorningstar": 0.3,
}  # fmt: skip
"""TA-Lib's default penetrations."""


@pytest.mark.parametrize(("name", "value"), CASES)
def test_pattern_drawn_by_hand_is_found_at_its_last_bar(name, value):
    """Bars that are drawn as the books have it give the value, from us and from TA-Lib."""
    bars = drawn(name, value)
    found = find(candles_of(bars), [name])[name]
    assert found[-1] == value
    np.testing.assert_array_equal(found, wanted(name, bars.T[:, :, np.newaxis])[:, 0])


_FIRST, _LAST = (120, 121, 95, 110), (104, 104, 102, 102)
_LONG, _OUT = (98, 109, 97, 108), (97, 112, 96.5, 111)
TIES = [
    ("3starsinsouth", [_FIRST, (121, 121, 98, 115), _LAST], 100),  # opens at the high before
    ("3starsinsouth", [_FIRST, (121.25, 121.25, 98, 115.25), _LAST], 0),
    ("3starsinsouth", [_FIRST, (116, 117, 110, 112), (112, 112, 111, 111)], 0),  # has its low at the close before
    ("3starsinsouth", [_FIRST, (116, 117, 109.75, 112), (112, 112, 111, 111)], 100),
    ("3starsinsouth", [_FIRST, (112, 113, 95, 106), _LAST], 100),  # and at the low before
    ("risefall3methods", [_LONG, (97, 97.5, 95, 96.5), (97.5, 98, 95, 96), (97.5, 98, 94, 95.5), _OUT], 0),
    ("risefall3methods", [_LONG, (97.25, 97.5, 95, 96.5), (97.5, 98, 95, 96), (97.5, 98, 94, 95.5), _OUT], 100),
    ("risefall3methods", [_LONG, (107, 108, 104, 105), (97, 97.5, 95, 96), (97.5, 98, 94, 95.5), _OUT], 0),
    ("risefall3methods", [_LONG, (107, 108, 104, 105), (105.5, 106, 102, 103.5), (97, 97.5, 95, 96), _OUT], 0),
    ("risefall3methods", [_LONG, (107, 108, 104, 105), (105.5, 106, 102, 103.5), (97.25, 97.5, 95, 96), _OUT], 100),
]
"""Prices that are the same where a pattern asks for more or for no less, and which random walks hardly hit."""


@pytest.mark.parametrize(("name", "bars", "value"), TIES)
def test_ties_fall_as_talibs(name, bars, value):
    """Prices that are just the same count as TA-Lib counts them, either way up."""
    for made, expected in ((bars, value), (mirrored(bars), -value)):
        series = np.array([*QUIET, *made], float)
        want = wanted(f"cdl{name}", series.T[:, :, np.newaxis])[:, 0]
        assert want[-1] in (0, expected)
        np.testing.assert_array_equal(find(candles_of(series), [name])[name], want)
    assert find(candles_of([*QUIET, *bars]), [name])[name][-1] == value


@pytest.mark.parametrize("name", NAMES)
def test_pattern_is_described(name):
    """Each pattern says what it is, and its values, bars and lookback are what they are said to be."""
    pattern = PATTERNS[name]
    assert pattern.name == name == f"cdl{pattern.alias}"
    assert pattern.bias in {"bullish", "bearish", "both", "neutral"}
    assert pattern.title
    assert pattern.says.endswith(".")
    assert pattern.source in {"Nison", "Morris", "Chesler"}
    assert set(pattern.values) == set(DRAWN[pattern.alias])
    if pattern.bias == "both":
        assert min(pattern.values) < 0 < max(pattern.values)
    if pattern.bias == "bullish":
        assert min(pattern.values) > 0
    assert pattern.penetration == DEPTHS.get(name)


@pytest.mark.parametrize("name", NAMES)
def test_lookback_is_the_first_bar_that_can_have_a_value(name):
    """One bar less than TA-Lib asks for gives 0, and just as many the value."""
    pattern = PATTERNS[name]
    for value, bars in DRAWN[pattern.alias].items():
        if abs(value) == 200:
            continue  # confirmed later, at whatever distance
        whole = candles_of([*QUIET, *bars])
        assert find(whole[-pattern.lookback - 1 :], [name])[name][-1] == value
        assert find(whole[-pattern.lookback - 1 :], [name])[name][:-1].any() == 0
        assert find(whole[-pattern.lookback :], [name])[name][-1] == 0


@pytest.mark.parametrize("name", NAMES)
def test_relative_scale_sees_nothing_in_fewer_bars_than_the_pattern_has(name):
    """A pattern is found from its own bars on, and not before."""
    pattern = PATTERNS[name]
    _, *rest = wild(60, 1, 5)
    columns = [_, *rest]
    for start in range(50):
        part = panel_of([column[start : start + pattern.bars - 1] for column in columns])
        assert not find(part, [name], scale="relative")[name].any()


def test_relative_scale_finds_patterns_in_their_own_bars():
    """Most drawn patterns are found without any bar before them, where the usual scale finds none."""
    found, usual = [], []
    for name, value in CASES:
        candles = candles_of(DRAWN[name.removeprefix("cdl")][value])
        found.append(find(candles, [name], scale="relative")[name][-1] == value)
        usual.append(PATTERNS[name].lookback >= len(candles) and find(candles, [name])[name].any())
    assert not any(usual)
    assert sum(found) > 0.5 * len(found)


def test_relative_scale_of_a_first_bar_is_its_own_range():
    """Without a bar before, a body is long from half of the range on, and a doji below a tenth of it."""
    for body, is_long, is_doji in ((8.0, True, False), (4.0, False, False), (1.0, False, True)):
        one = candles_of([(100, 105 + body / 2, 95 + body / 2, 100 + body)])
        made = find(one, ["belthold", "doji", "closingmarubozu", "longline"], scale="relative")
        assert bool(made["longline"][0]) == is_long
        assert bool(made["doji"][0]) == is_doji
    assert find(candles_of([(95, 105, 95, 105)]), ["marubozu"], scale="relative")["marubozu"].tolist() == [100]


def test_relative_scale_judges_by_the_bars_at_hand():
    """Of a second bar the body is judged against that of the first alone."""
    first = (100, 104, 98, 102)
    for close, value in ((102.25, 100), (101.75, 0)):
        found = find(candles_of([first, (100, close, 100, close)]), ["marubozu"], scale="relative")
        assert found["marubozu"].tolist() == [0, value]


def test_names_are_talibs_or_short_in_any_case():
    """A pattern is asked for and looked up by any of its names, once."""
    candles = candles_of(drawn("cdlhammer", 100))
    found = find(candles, ["hammer", "CDLHAMMER", " Cdl2Crows ", "cdlhammer"])
    assert list(found) == ["cdlhammer", "cdl2crows"]
    assert found["Hammer"] is found["cdlhammer"]
    assert "HAMMER" in found
    assert "doji" not in found
    assert 7 not in found
    assert found.get("doji") is None
    assert found.get("hammer") is found["hammer"]
    assert len(find(candles)) == len(NAMES) == 61


def test_wrong_name_is_told_with_the_nearest():
    """A slip in a name, a name that was not asked for, and a string for a list are told with the remedy."""
    candles = candles_of(QUIET)
    with pytest.raises(UnknownName, match="hammer") as caught:
        find(candles, ["hamer"])
    assert caught.value.nearest[0] == "hammer"
    with pytest.raises(UnknownName, match="cdlhammer"):
        find(candles, ["cdlhamer"])
    with pytest.raises(UnknownName, match="this search"):
        find(candles, ["hammer"])["doji"]
    with pytest.raises(UnknownName, match="scale"):
        find(candles, scale="tradingview")
    with pytest.raises(UsageError, match=r"\['hammer'\]"):
        find(candles, "hammer")
    with pytest.raises(UsageError, match="list"):
        find(candles, 7)
    with pytest.raises(UnknownName):
        find(candles, [None])


def test_other_data_is_refused():
    """Neither a frame nor an array of closes has what patterns need."""
    for data in (candles_of(QUIET).to_frame(), np.ones(30), None):
        with pytest.raises(UsageError, match="give Candles"):
            find(data)


@pytest.mark.parametrize(
    "value", [-0.1, float("nan"), float("inf"), True, "0.3", [0.3], pytest.param(10**400, id="beyond float")]
)
def test_penetration_out_of_its_range_is_refused(value):
    """A depth is a number from 0."""
    with pytest.raises(UsageError, match="penetration was"):
        find(candles_of(QUIET), penetration=value)
    with pytest.raises(UsageError, match="penetration was"):
        find(candles_of(QUIET), penetration={"mathold": value})


def test_penetration_of_patterns_that_take_none_is_refused():
    """A parameter that would have no effect is told."""
    with pytest.raises(UsageError, match="leave it out"):
        find(candles_of(QUIET), ["hammer"], penetration=0.5)
    with pytest.raises(UnknownName):
        find(candles_of(QUIET), ["hammer", "mathold"], penetration={"hammer": 0.5})
    with pytest.raises(UnknownName):
        find(candles_of(QUIET), ["hammer"], penetration={"mathold": 0.5})


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("depth", [0, 0.1, np.float32(0.75), 1.0, 3])
def test_penetration_is_talibs(name, depth):
    """A depth asked for, of all patterns or by name, gives what TA-Lib gives with it."""
    columns = wild(3000, 2, 17)
    want = wanted(name, columns, penetration=float(depth))
    np.testing.assert_array_equal(find(panel_of(columns), penetration=depth)[name], want)
    made = find(panel_of(columns), [name, "hammer"], penetration={name.removeprefix("cdl"): depth})
    np.testing.assert_array_equal(made[name], want)


@pytest.mark.parametrize("tail", [-1, 1.5, True, "1"])
def test_tail_out_of_its_range_is_refused(tail):
    """A tail is a number of rows."""
    with pytest.raises(UsageError, match="tail was"):
        find(candles_of(QUIET), tail=tail)


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_threads_out_of_their_range_are_refused(threads):
    """At least one thread does the work."""
    with pytest.raises(UsageError, match="threads was"):
        find(candles_of(QUIET), threads=threads)


@pytest.mark.parametrize("tail", [0, 1, 7, 300, 1000])
@pytest.mark.parametrize("scale", SCALES)
def test_tail_is_the_last_rows(tail, scale):
    """The last rows are what they are in the whole, with their times."""
    panel = panel_of(wild(300, 3, 8))
    whole, made = find(panel, scale=scale), find(panel, scale=scale, tail=tail)
    rows = min(tail, 300)
    np.testing.assert_array_equal(made.time, panel.time[300 - rows :])
    for name in NAMES:
        assert made[name].shape == (rows, 3)
        np.testing.assert_array_equal(made[name], whole[name][300 - rows :])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (5, 0), (1, 1), (13, 2)])
def test_empty_and_short_panels_have_no_patterns(shape):
    """Nothing is found in nothing, in its shape."""
    columns = [np.full(shape, 100.0)] * 4
    found = find(panel_of(columns))
    assert all(values.shape == shape and values.dtype == np.int16 for values in found.values())
    # A bar that does not move is a doji, from the eleventh bar on.
    assert {hit.time for hit in found.rows()} == {60_000 * t for t in range(10, shape[0])}


def test_candles_give_columns_and_panels_matrices():
    """Values have the shape of the closes, in TA-Lib's numbers."""
    columns = wild(200, 3, 2)
    panel = panel_of(columns)
    of_panel = find(panel)
    of_one = find(panel["S1/USDT"])
    assert of_one.symbols == ("S1/USDT",)
    assert of_panel.symbols == panel.symbols
    for name in NAMES:
        assert of_panel[name].shape == (200, 3)
        assert of_one[name].shape == (200,)
        assert of_one[name].dtype == np.int16
        np.testing.assert_array_equal(of_one[name], of_panel[name][:, 1])
    assert repr(of_panel) == "<Patterns: 61 patterns, 200 bars x 3 symbols>"


def test_hits_are_listed_by_time_symbol_and_name(monkeypatch):
    """Every value other than 0 is listed once, in order, in however many portions."""
    panel = panel_of(wild(400, 3, 4))
    found = find(panel)
    hits = list(found.rows())
    want = [
        (int(panel.time[t]), panel.symbols[s], name, int(found[name][t, s]))
        for t in range(400)
        for s in range(3)
        for name in sorted(found)
        if found[name][t, s]
    ]
    assert hits == want
    monkeypatch.setattr(patterns, "_AT_ONCE", 10)
    assert list(found.rows()) == want
    assert found.counts() == {name: int(np.count_nonzero(found[name])) for name in NAMES}
    first = hits[0]
    assert (first.time, first.symbol, first.name, first.value) == want[0]
    single = find(panel["S2/USDT"])
    assert list(single.rows()) == [hit for hit in want if hit[1] == "S2/USDT"]
    assert list(find(panel, []).rows()) == []


def test_results_compare_by_what_they_hold():
    """Two searches of the same data are equal; another scale, name or bar makes them differ."""
    panel = panel_of(wild(100, 2, 4))
    found = find(panel, ["doji", "hammer"])
    assert found == find(panel, ["doji", "hammer"])
    assert found != find(panel, ["doji"])
    assert found != find(panel, ["doji", "hammer"], scale="relative")
    assert found != find(panel, ["doji", "hammer"], tail=99)
    assert found != 7
    with pytest.raises(TypeError):
        hash(found)


def test_missing_prices_hide_a_pattern_and_everything_judged_by_them():
    """NaN and infinity in any column give 0 until the bars after them suffice; other symbols see nothing of it."""
    columns = wild(120, 3, 11)
    want = find(panel_of(columns))
    for stands_for in (np.nan, np.inf, -np.inf):
        for column in range(4):
            spoilt = [one.copy() for one in columns]
            spoilt[column][60, 1] = stands_for
            made = find(panel_of(spoilt))
            for name in NAMES:
                lookback = PATTERNS[name].lookback
                np.testing.assert_array_equal(made[name][:, [0, 2]], want[name][:, [0, 2]])
                np.testing.assert_array_equal(made[name][:60], want[name][:60])
                assert not made[name][60 : 61 + lookback, 1].any()


def test_huge_prices_do_no_harm():
    """Prices whose ranges overflow give values, and no warning."""
    columns = wild(60, 2, 3)
    columns[1][20] = 1.7e308
    columns[2][20] = -1.7e308
    found = find(panel_of(columns))
    assert all(np.isin(found[name], (*PATTERNS[name].values, 0)).all() for name in NAMES)


def test_order_of_bars_is_not_made_up():
    """Candles with bars absent are taken row after row, as TA-Lib takes them."""
    candles = candles_of(drawn("cdlengulfing", 100))
    sparse = Candles(
        symbol="X", timeframe="1h", time=candles.time * 5, open=candles.open, high=candles.high, low=candles.low,
        close=candles.close, volume=candles.volume,
    )  # fmt: skip
    assert find(sparse)["engulfing"][-1] == 100


def view(address, length, kind, known):
    """Return memory at an address, after a check that all of it is ours."""
    address, size = int(address), int(length) * np.dtype(kind).itemsize
    assert any(low <= address and address + size <= high for low, high in known), (address, size)
    return np.frombuffer((ctypes.c_char * max(size, 1)).from_address(address), kind, int(length))


LAYOUTS = {
    "rows": lambda columns: columns,
    "series": lambda columns: [np.asfortranarray(column) for column in columns],
    "backwards": lambda columns: [np.ascontiguousarray(column[::-1, ::-1])[::-1, ::-1] for column in columns],
}


def own(define):
    """Return a pattern of one's own: -1 where it is, of one bar."""
    return candlesticks.Pattern(
        "cdlown", "Own", 1, "neutral", "A test.", "us", 0, None, lambda bars: [(-1, define(bars))]
    )


COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@pytest.mark.parametrize("sign", COMPARISONS)
def test_comparisons_are_those_of_numpy(sign):
    """Each comparison of each kind of amount, of this bar and of earlier ones, is what it says; ties included."""
    compare = COMPARISONS[sign]
    o, h, low, c = columns = wild(200, 3, 2, tick=1.0, price=40)
    body, span, lower = abs(c - o), h - low, np.minimum(o, c) - low
    defined = {
        "plain": (lambda b: compare(b[0].close, b[2].open), compare(c[2:], o[:-2])),
        "scaled": (lambda b: compare(b[0].body, b[1].body * 0.5), compare(body[1:], 0.5 * body[:-1])),
        "added": (lambda b: compare(b[0].close, b[1].close + b[0].span * 0.5), compare(c[1:], c[:-1] + 0.5 * span[1:])),
        "taken": (lambda b: compare(b[0].open, b[0].high - b[1].lower * 2.0),
                  compare(o[1:], h[1:] - 2.0 * lower[:-1])),
    }  # fmt: skip
    searched = candlesticks.search([(own(define), None) for define, _ in defined.values()], columns, scale="relative")
    for found, (kind, (_, want)) in zip(searched, defined.items(), strict=True):
        skipped = len(found) - len(want)
        np.testing.assert_array_equal(found[skipped:], -want.astype(np.int16), err_msg=kind)
        assert 0 < want.mean() < 1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", [(70, 1), (45, 5)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_loop_is_the_same_interpreted_and_stays_in_its_memory(layout, shape, scale, monkeypatch):
    """Run as Python the loop gives what its machine code gives, and reads and writes only what it was given."""
    columns = LAYOUTS[layout](wild(*shape, 6))
    columns[0][20, 0] = np.nan
    names = list(PATTERNS.values())
    want = candlesticks.search([(one, None) for one in names], columns, scale=scale, tail=shape[0] - 3)
    monkeypatch.setattr(blocks, "_TILE_ITEMS", 128)
    known = []

    def held(array):
        low, high = np.lib.array_utils.byte_bounds(array)
        known.append((low, high))
        return array

    program = blocks._program(tuple((one, None) for one in names), scale)
    make_layout, make_workspace, make_words, made_table = layout_of, blocks._workspace, blocks._words, np.array

    def laid_out(*given):
        made = make_layout(*given)
        held(made.instructions)
        held(made.moves)
        return made

    def workspace(size):
        base, memory = make_workspace(size)
        known.append((base, base + size))
        return base, memory

    class Numpy:
        def __getattr__(self, name):
            return getattr(np, name)

        def array(self, *given, **options):
            return held(made_table(*given, **options))

    monkeypatch.setattr(blocks, "layout_of", laid_out)
    monkeypatch.setattr(blocks, "_workspace", workspace)
    monkeypatch.setattr(blocks, "_words", lambda rows: held(make_words(rows)))
    monkeypatch.setattr(blocks, "np", Numpy())
    monkeypatch.setattr(blocks, "_compiled", lambda: loop._search)
    for name, kind in (("floats", np.float64), ("octets", np.uint8), ("shorts", np.int16), ("words", np.int64)):
        monkeypatch.setattr(loop, name, lambda address, length, kind=kind: view(address, length, kind, known))
    monkeypatch.setattr(loop, "load", lambda address: view(address, 1, np.float64, known)[0])
    monkeypatch.setattr(loop, "store", lambda at, value: view(at, 1, np.float64, known).__setitem__(0, value))
    for name, value in vars(loop).copy().items():
        if hasattr(value, "py_func"):
            monkeypatch.setattr(loop, name, value.py_func)
    rows, symbols = shape[0] - 3, shape[1]
    new = {
        "rows": lambda: np.zeros((rows, symbols), np.int16),
        "series": lambda: np.zeros((symbols, rows), np.int16).T,
        "backwards": lambda: np.zeros((rows, symbols + 1), np.int16)[:, :-1],
    }[layout]
    results = [held(new()) for _ in names]
    for column in columns:
        held(column)
    with np.errstate(all="ignore"):
        for task in blocks._tasks(program, columns, results, 1):
            task()
    for made, one in zip(results, want, strict=True):
        np.testing.assert_array_equal(made, one)


def test_loop_has_a_branch_for_each_code():
    """The numbers in the compiled loop are those that instructions are written with."""
    table = layout_of(blocks._program(tuple((one, None) for one in PATTERNS.values()), "relative"), 8, 8).instructions
    assert table.shape[1] == AN_INSTRUCTION
    of_talib = layout_of(blocks._program(tuple((one, None) for one in PATTERNS.values()), "talib"), 8, 8).instructions
    used = {*table[:, 0].tolist(), *of_talib[:, 0].tolist()}
    assert used | {Code.MORE_EQUAL_SCALED} == set(Code) - {Code.COLUMN}  # that is tested above


def test_one_loop_is_compiled_for_all_patterns_and_kept(monkeypatch, caplog):
    """A machine that has compiled it compiles nothing more, whatever is searched for: each process finds it there."""
    panel = panel_of(wild(60, 2, 1))
    want = find(panel)
    folder = compiling.cache_folder("candlesticks")
    kept = {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")}
    assert {file.name.split("-")[0] for file in kept} == {"candlesticks._search"}
    caplog.set_level(logging.INFO, "tradeutils.indicators")
    made = loop.search.__wrapped__()  # as in a process that begins
    monkeypatch.setattr(blocks, "_compiled", lambda: made)
    assert find(panel) == want
    for name in PATTERNS:
        for scale in ("talib", "relative"):
            find(panel, [name], scale=scale, tail=1)
    assert "compiled" not in caplog.text
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.nb?")} == kept
