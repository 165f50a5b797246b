"""Charts: what is drawn where, and the page that holds it."""

from __future__ import annotations

import itertools
import json
import re
import sys
from typing import Any

import numpy as np
import plotly.graph_objects
import pytest

from tradeutils.analysis.levels import Level, Levels, support_resistance, swings, volume_profile
from tradeutils.analysis.patterns import PATTERNS, Patterns
from tradeutils.cli.drawing import (
    Chart,
    Finding,
    Lines,
    Marks,
    PriceLine,
    PriceLines,
    draw,
    level_lines,
    pattern_marks,
    profile_of,
    render,
    swing_marks,
)
from tradeutils.cli.drawing.panes import BANDS, BARS, OVERLAYS, pane_of
from tradeutils.cli.saving import CHART
from tradeutils.errors import MissingExtra, UsageError
from tradeutils.indicators import REGISTRY
from tradeutils.model import Candles

HOUR = 3_600_000


def candles_at(hours: list[int], *, volume: float = 5.0, symbol: str = "BTC/USDT") -> Candles:
    """Return hourly candles whose close is 100 plus the hour."""
    close = 100.0 + np.array(hours)
    return Candles(
        exchange="binance",
        symbol=symbol,
        timeframe="1h",
        time=np.array(hours) * HOUR,
        open=close - 1,
        high=close + 2,
        low=close - 2,
        close=close,
        volume=np.full(len(hours), volume),
    )


def column(values: list[float]) -> Any:
    return np.array(values, dtype=np.float64)


def traces(chart: Chart, **wanted: str) -> list[dict[str, Any]]:
    return [one for one in chart.figure["data"] if all(one.get(key) == value for key, value in wanted.items())]


RSI = Lines("rsi", "rsi:2", {"rsi": column([np.nan, 40.0, 60.0])})
EMA = Lines("ema", "ema:2", {"ema": column([np.nan, 101.0, 102.0])})
BANDS_OF_THREE = Lines(
    "bbands",
    "bbands:2",
    {
        "upper": column([np.nan, 103.0, 104.0]),
        "middle": column([np.nan, 101.0, 102.0]),
        "lower": column([np.nan, 99.0, 100.0]),
    },
)
MACD = Lines(
    "macd",
    "macd:1,2,1",
    {"macd": column([1.0, 2.0, 3.0]), "signal": column([1.0, 1.0, 1.0]), "histogram": column([0.0, -1.0, 2.0])},
)


def test_figure_is_one_that_plotly_accepts() -> None:
    """Plotly's own schema checks every name and value in it."""
    chart = draw(candles_at([0, 1, 4]), [EMA, BANDS_OF_THREE, RSI, MACD])
    plotly.graph_objects.Figure(chart.figure)


def test_prices_are_drawn_as_they_are() -> None:
    """To the last digit, at the time the bar opens."""
    candles = candles_at([0, 1, 2])
    (drawn,) = traces(draw(candles), type="candlestick")
    assert drawn["x"] == [0, HOUR, 2 * HOUR]
    for name in ("open", "high", "low", "close"):
        assert drawn[name] == getattr(candles, name).tolist()


def test_overlays_lie_over_the_price_and_oscillators_below() -> None:
    """Each oscillator has a pane of its own, under the volume."""
    chart = draw(candles_at([0, 1, 2]), [RSI, EMA, MACD])
    assert {one["name"]: one["yaxis"] for one in chart.figure["data"]} == {
        "BTC/USDT": "y",
        "ema:2": "y",
        "volume": "y2",
        "rsi:2": "y3",
        "macd:1,2,1": "y4",
        "macd:1,2,1 signal": "y4",
        "macd:1,2,1 histogram": "y4",
    }


def test_panes_fill_the_height_without_touching() -> None:
    """From the top down, the price highest."""
    layout = draw(candles_at([0, 1, 2]), [RSI, MACD]).figure["layout"]
    domains = [layout[name]["domain"] for name in ("yaxis", "yaxis2", "yaxis3", "yaxis4")]
    assert domains[0][1] == 1.0
    assert domains[-1][0] == pytest.approx(0.0, abs=1e-5)
    for upper, lower in itertools.pairwise(domains):
        assert upper[0] > lower[1] > lower[0]
    assert layout["xaxis"]["anchor"] == "y4"


def test_chart_without_volume_or_indicators_has_one_pane() -> None:
    """A volume that nobody knows gets no pane."""
    chart = draw(candles_at([0, 1, 2], volume=float("nan")))
    assert [one["type"] for one in chart.figure["data"]] == ["candlestick"]
    assert chart.figure["layout"]["xaxis"]["anchor"] == "y"


def test_lines_have_a_hole_where_bars_are_missing() -> None:
    """No line is drawn through a time of which nothing is known; warm-up stays empty."""
    (line,) = traces(draw(candles_at([0, 1, 4]), [EMA]), name="ema:2")
    assert line["x"] == [0, HOUR, 4 * HOUR - 1, 4 * HOUR]
    assert line["y"] == [None, 101.0, None, 102.0]


def test_gap_is_shaded_and_counted() -> None:
    """From the first bar that is missing to the next that is there."""
    chart = draw(candles_at([0, 1, 4]))
    (shape,) = [one for one in chart.figure["layout"]["shapes"] if one["name"] == "gap"]
    assert (shape["x0"], shape["x1"]) == (1.5 * HOUR, 3.5 * HOUR)
    assert "1 gaps, 2 bars missing" in chart.subtitle
    assert "no gaps" in draw(candles_at([0, 1, 2])).subtitle


def test_only_the_longest_of_many_gaps_are_shaded() -> None:
    """A browser can move some hundred shapes, not thousands."""
    hours = [2 * i for i in range(1000)]
    hours[500:] = [hour + 50 for hour in hours[500:]]
    shapes = draw(candles_at(hours)).figure["layout"]["shapes"]
    assert len(shapes) == 300
    assert max(one["x1"] - one["x0"] for one in shapes) == 51 * HOUR


def test_band_is_shaded_between_its_edges() -> None:
    """One closed outline for each stretch, so that nothing is shaded across a gap; one name stands for all of it."""
    chart = draw(candles_at([0, 1, 2]), [BANDS_OF_THREE])
    (plane,) = traces(chart, fill="toself")
    assert plane["x"] == [HOUR, 2 * HOUR, 2 * HOUR, HOUR, None]
    assert plane["y"] == [103.0, 104.0, 100.0, 99.0, None]
    group = traces(chart, legendgroup="bbands:2")
    assert {one["name"] for one in group} == {"bbands:2", "bbands:2 upper", "bbands:2 lower"}
    assert [one["name"] for one in group if one["showlegend"]] == ["bbands:2"]
    parted = draw(candles_at([0, 1, 4]), [BANDS_OF_THREE])
    assert traces(parted, fill="toself")[0]["x"] == [HOUR, HOUR, None, 4 * HOUR, 4 * HOUR, None]


def test_bars_are_told_rising_from_falling() -> None:
    """Volume by its candle, a histogram by its sign; the page paints them."""
    chart = draw(candles_at([0, 1, 2]), [MACD])
    assert traces(chart, name="volume")[0]["meta"] == {"is": "bars", "rising": [1, 1, 1]}
    assert traces(chart, name="macd:1,2,1 histogram")[0]["meta"] == {"is": "bars", "rising": [1, 0, 1]}


def test_oscillator_has_its_levels_and_its_scale() -> None:
    """RSI runs from 0 to 100 with lines at 30 and 70."""
    layout = draw(candles_at([0, 1, 2]), [RSI]).figure["layout"]
    assert layout["yaxis3"]["range"] == [0.0, 100.0]
    assert [one["y0"] for one in layout["shapes"] if one["name"] == "level"] == [30.0, 70.0]


def test_small_prices_are_written_out() -> None:
    """A price of 0.00001234 is hovered over with all its decimals."""
    close = np.array([0.00001234, 0.000012])
    candles = Candles(
        timeframe="1h", time=np.array([0, HOUR]), open=close, high=close, low=close, close=close, volume=close
    )
    assert draw(candles).figure["layout"]["yaxis"]["hoverformat"] == ",.8f"


def test_title_says_what_it_is() -> None:
    """Symbol, timeframe and exchange, or what was asked for; price, change and span below."""
    chart = draw(candles_at([0, 1, 2]), note="simulated")
    assert chart.title == "BTC/USDT · 1h · binance"
    assert chart.subtitle == ("102 (+3.03 %) · 3 bars, 1970-01-01 00:00 to 1970-01-01 02:00 UTC · no gaps · simulated")
    assert draw(candles_at([0]), title="Mine").title == "Mine"


def test_prices_that_are_not_known_are_left_out() -> None:
    """A venue may send a bar without prices: a hole in the chart, not a failure."""
    nothing = column([1.0, np.nan])
    unknown = Candles(
        timeframe="1h", time=np.array([0, HOUR]), open=nothing, high=nothing, low=nothing, close=nothing, volume=nothing
    )
    chart = draw(unknown)
    assert chart.subtitle.startswith("- · 2 bars")
    assert traces(chart, type="candlestick")[0]["close"] == [1.0, None]


def test_nothing_cannot_be_drawn() -> None:
    """An empty chart would hide that there was nothing."""
    with pytest.raises(UsageError, match="no candle to draw"):
        draw(candles_at([]))


@pytest.mark.parametrize("name", REGISTRY)
def test_every_indicator_has_a_place(name: str) -> None:
    """What is counted in prices lies over the price; what is not has a pane."""
    pane = pane_of(name)
    assert (pane is None) == (name in OVERLAYS)
    if pane is not None and pane.scale is not None:
        assert all(pane.scale[0] < level < pane.scale[1] for level in pane.levels)


def test_indicators_that_are_banded_are_drawn_as_bands() -> None:
    """The names of the outputs in the registry are those that the drawing knows."""
    assert set(BANDS[0]) == set(REGISTRY["bbands"].outputs)
    assert set(REGISTRY["macd"].outputs) & BARS


def test_sides_of_a_trend_are_not_drawn_among_prices() -> None:
    """The direction of a Supertrend is 1 or -1, and would press the prices flat."""
    outputs = {name: np.full(5, at + 1.0) for at, name in enumerate(REGISTRY["supertrend"].outputs)}
    drawn = draw(candles_at(list(range(5))), [Lines("supertrend", "supertrend:10,3", outputs)])
    assert [trace["name"] for trace in drawn.figure["data"] if "supertrend" in trace["name"]] == ["supertrend:10,3"]


def test_same_chart_is_the_same_file() -> None:
    """No random id, no time of day."""
    first, second = (render(draw(candles_at([0, 1, 4]), [EMA, RSI])) for _ in range(2))
    assert first == second


def test_page_is_one_that_may_be_overwritten_by_the_next() -> None:
    """It says near its top that it is ours."""
    assert CHART.matches(render(draw(candles_at([0, 1, 2])))[:1024])


def test_page_asks_for_nothing() -> None:
    """No address is loaded from anywhere: all that is linked is in the file."""
    page = render(draw(candles_at([0, 1, 2]))).decode()
    assert re.findall(r'<(?:script|img|iframe|link)[^>]*\s(?:src|href)="([^"]*)"', page.replace("\n", " ")) == [
        "data:,"
    ]
    assert "default-src 'none'" in page
    assert "@import" not in page.partition("<script>")[0]


def test_hostile_names_stay_text() -> None:
    """A symbol or title cannot end a tag, a script or a comment, nor stand for a place in the template."""
    hostile = '</script><script>alert(1)</script><!-- "{{script}}" & \u2028'
    page = render(draw(candles_at([0, 1, 2], symbol=hostile), title=hostile)).decode()
    assert page.count("<script") == 3
    assert page.count("</script>") == 3
    assert "<title>&lt;/script&gt;&lt;script&gt;alert(1)" in page
    assert "{{script}}" in page
    embedded = page.partition('id="figure">')[2].partition("</script>")[0]
    assert "<" not in embedded
    assert "\u2028" not in embedded
    figure = json.loads(embedded)
    assert figure["data"][0]["name"].startswith("&lt;/script&gt;")


def test_page_is_whole() -> None:
    """No place of the template is left open."""
    page = render(draw(candles_at([0, 1, 2]))).decode()
    assert re.findall(r"\{\{\w+\}\}", page) == []
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")


def test_chart_without_plotly_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, not where the import failed."""
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtra, match=r'pip install "tradeutils\[chart\]"'):
        render(draw(candles_at([0, 1])))


def patterns_at(hits: dict[str, list[int]], *, first_hour: int = 0) -> Patterns:
    """Return patterns of which each has these values, hour by hour."""
    length = len(next(iter(hits.values())))
    time = (np.arange(length, dtype=np.int64) + first_hour) * HOUR
    return Patterns(time, ("BTC/USDT",), "talib", {name: np.array(row, np.int16) for name, row in hits.items()})


def walk(bars: int) -> Candles:
    """Return candles that wander, with volume."""
    random = np.random.default_rng(3)
    close = 100.0 + np.cumsum(random.normal(0, 1, bars)).round(2)
    opened = np.r_[close[0], close[:-1]]
    high, low = np.maximum(opened, close) + 0.25, np.minimum(opened, close) - 0.25
    time, volume = np.arange(bars, dtype=np.int64) * HOUR, random.uniform(1, 9, bars)
    return Candles(timeframe="1h", time=time, open=opened, high=high, low=low, close=close, volume=volume)


def levels_of(levels: list[Level], *, delay: int = 5) -> Levels:
    nothing, none = column([]), np.empty(0, np.int64)
    return Levels(nothing, nothing, none, none, (tuple(levels),), delay)


def level(price: float, kind: Any, touches: int, *, breaks: int = 0) -> Level:
    return Level(price, kind, touches, 1, 3, touches / 2, breaks, HOUR, 3 * HOUR)


def test_patterns_of_a_bar_are_one_mark() -> None:
    """Of each side, whatever their number: the rarest is explained first, and decides which mark is drawn."""
    found = patterns_at({"cdlengulfing": [100, 0, 100], "cdlhammer": [0, 0, 100], "cdlharami": [0, 0, -100]})
    bullish, bearish = pattern_marks(found, candles_at([0, 1, 2]))
    assert (bullish.kind, bullish.rows, bullish.weights) == ("bullish", [0, 2], [-2, -1])
    assert (bearish.kind, bearish.rows) == ("bearish", [2])
    hammer, engulfing = bullish.texts[1]
    assert hammer.startswith("Hammer, bullish\n")
    assert hammer.partition("\n")[2].replace("\n", " ") == PATTERNS["cdlhammer"].says
    assert engulfing.startswith("Engulfing, bullish\n")


def test_commonplace_patterns_are_hidden_until_they_are_asked_for() -> None:
    """Every other bar is a short line or a spinning top; who names one wants to see it, on its side."""
    hits = {"cdlshortline": [100, 0, -100], "cdlspinningtop": [0, 100, 0], "cdlengulfing": [0, 0, 100]}
    shown, hidden = pattern_marks(patterns_at(hits), candles_at([0, 1, 2]))
    assert (shown.kind, shown.hidden) == ("bullish", False)
    assert (hidden.kind, hidden.hidden, hidden.rows) == ("neutral", True, [0, 1, 2])
    assert [text[0].partition("\n")[0] for text in hidden.texts] == [
        "Short line, bullish", "Spinning top, neutral", "Short line, bearish",
    ]  # fmt: skip
    chosen = pattern_marks(patterns_at(hits), candles_at([0, 1, 2]), chosen=True)
    assert [(marks.kind, marks.rows, marks.hidden) for marks in chosen] == [
        ("bullish", [0, 2], False), ("bearish", [2], False), ("neutral", [1], False),
    ]  # fmt: skip
    drawn = draw(candles_at([0, 1, 2]), findings=[shown, hidden]).figure["data"]
    assert [trace["visible"] for trace in drawn if trace["meta"]["is"] == "marks"] == [True, "legendonly"]


def test_patterns_before_the_chart_are_not_marked() -> None:
    """A search may have begun earlier, where bars are judged by those before."""
    found = patterns_at({"cdlhammer": [100, 100, 0, 100]}, first_hour=-1)
    (marks,) = pattern_marks(found, candles_at([0, 1, 2]))
    assert marks.rows == [0, 2]
    assert pattern_marks(patterns_at({"cdlhammer": [0, 0]}), candles_at([0, 1])) == []


def test_only_some_of_many_patterns_are_explained() -> None:
    """The text must fit beside the bar; TA-Lib's number is told where it says more than the side."""
    names = ["cdlengulfing", "cdlharami", "cdlhammer", "cdlpiercing", "cdlhikkake"]
    values = {name: [200 if name == "cdlhikkake" else 80 if name == "cdlharami" else 100] for name in names}
    (marks,) = pattern_marks(patterns_at(values), candles_at([0]))
    lines = [part.count("\n") > 0 for part in marks.texts[0]]
    assert lines == [True, True, True, False, False]
    assert [part.partition("\n")[0] for part in marks.texts[0]] == [
        "Engulfing, bullish", "Hammer, bullish", "Harami, bullish (+80)", "Hikkake, bullish (+200)",
        "Piercing, bullish",
    ]  # fmt: skip


def test_swing_is_marked_at_its_own_bar_and_says_when_it_was_confirmed() -> None:
    """At its price; the text gives the bar that confirmed it."""
    high = np.array([1.5, 2.0, 5.5, 3.0, 2.0, 4.0])
    flat = np.full(6, 1.5)
    candles = Candles(timeframe="1h", time=np.arange(6) * HOUR, open=flat, high=high, low=flat, close=flat, volume=flat)
    (marks,) = swing_marks(swings(candles, 2, 1), candles)
    assert (marks.name, marks.rows) == ("swing highs", [2])
    assert marks.texts == [("Swing high 5.5, confirmed 1970-01-01 03:00, 1 bar later",)]
    (drawn,) = traces(draw(candles, findings=[marks]), name="swing highs")
    assert (drawn["x"], drawn["y"]) == ([2 * HOUR], [5.5])


def test_swings_are_those_of_the_analysis() -> None:
    """Every one of them, highs by the highest and lows by the lowest where there is no room."""
    candles = walk(300)
    found = swings(candles)
    highs, lows = swing_marks(found, candles)
    told = {(swing.at, swing.is_high): swing.price for swing in found.rows()}
    assert {(row, True): weight for row, weight in zip(highs.rows, highs.weights, strict=True)} | {
        (row, False): -weight for row, weight in zip(lows.rows, lows.weights, strict=True)
    } == told
    assert list(highs.rows) == sorted(highs.rows)


def test_level_begins_where_it_was_known() -> None:
    """At the bar that confirmed its first touch, not at the touch."""
    candles = candles_at(list(range(10)))
    (lines,) = level_lines(levels_of([level(104.5, "support", 3, breaks=1)]), candles)
    (line,) = lines.lines
    assert (lines.kind, line.price, line.row, line.label) == ("support", 104.5, 6, "S 104 ×3")  # noqa: RUF001
    for said in ("3 touches", "strength 1.50", "1970-01-01 01:00", "known 5 bars later", "1970-01-01 03:00", "broken"):
        assert said in line.text
    (drawn,) = traces(draw(candles, findings=[lines]), name="support")
    assert drawn["x"] == [6 * HOUR, 9 * HOUR, None]
    assert drawn["y"] == [104.5, 104.5, None]


@pytest.mark.parametrize(
    ("price", "last", "label"),
    [
        (76.592767194987, 75.3642270169899, "S 76.592767 ×2"),  # noqa: RUF001
        (0.0000123456, 0.00001234, "S 0.00001235 ×2"),  # noqa: RUF001
        (123_456_789.5, 123_456_780.25, "S 123,456,790 ×2"),  # noqa: RUF001
        (0.0, 1.5, "S 0.0 ×2"),  # noqa: RUF001
    ],
)
def test_price_of_a_label_is_as_long_as_it_must_be(price: float, last: float, label: str) -> None:
    """The decimals of the candles, but a mean of odd prices is not written out to its last digit."""
    close = np.full(10, last)
    candles = Candles(
        timeframe="1h", time=np.arange(10) * HOUR, open=close, high=close, low=close, close=close, volume=close
    )
    (lines,) = level_lines(levels_of([level(price, "support", 2)]), candles)
    assert lines.lines[0].label == label


def test_only_the_strongest_levels_are_drawn() -> None:
    """Six of a kind, touched more than once; one that was touched once only where there is no other."""
    many = [level(100.0 + at, "resistance", 9 - at % 3) for at in range(10)]
    single = [level(90.0 + at, "support", 1) for at in range(3)]
    resistance, support = level_lines(levels_of([*many, level(120.0, "resistance", 1), *single]), walk(10))
    assert [line.price for line in resistance.lines] == [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]
    assert [line.price for line in support.lines] == [90.0]
    assert level_lines(levels_of([]), walk(10)) == []


def test_profile_is_drawn_across_the_price() -> None:
    """On an axis of its own, with the value area told from the rest, and lines at its ends and at the most."""
    candles = walk(200)
    found = volume_profile(candles)
    profile = profile_of(found, candles)
    assert profile is not None
    chart = draw(candles, findings=[profile])
    plotly.graph_objects.Figure(chart.figure)
    bars, lines = traces(chart, name="volume profile")
    assert (bars["xaxis"], bars["yaxis"], bars["orientation"]) == ("x2", "y", "h")
    np.testing.assert_allclose(bars["x"], found.volume, rtol=1e-9)
    assert chart.figure["layout"]["xaxis2"]["range"][1] >= found.volume.max()
    inside = np.array(bars["y"])[np.array(bars["meta"]["inside"]) == 1]
    assert found.low <= inside.min() <= found.point_of_control <= inside.max() <= found.high
    assert lines["y"][::3] == [found.point_of_control, found.high, found.low]
    assert [one["label"][:3] for one in lines["meta"]["labels"]] == ["POC", "VAH", "VAL"]


def test_nothing_traded_has_no_profile() -> None:
    """Neither a volume of nothing nor one that nobody knows."""
    for volume in (0.0, float("nan")):
        candles = candles_at([0, 1, 2], volume=volume)
        assert profile_of(volume_profile(candles), candles) is None


def test_figure_with_findings_is_one_that_plotly_accepts() -> None:
    """Marks and lines of all kinds lie over the price, before the volume."""
    candles = walk(400)
    findings: list[Finding] = [
        *level_lines(support_resistance(candles), candles),
        *swing_marks(swings(candles), candles),
    ]
    chart = draw(candles, [], findings=findings)
    plotly.graph_objects.Figure(chart.figure)
    names = [trace["name"] for trace in chart.figure["data"]]
    assert names == ["price", "resistance", "support", "swing highs", "swing lows", "volume"]
    assert all(trace["yaxis"] == "y" for trace in chart.figure["data"][:-1])
    assert "xaxis2" not in chart.figure["layout"]
    assert chart.hint
    assert chart.hint in render(chart).decode()
    assert draw(candles).hint == ""


def test_words_that_many_marks_share_are_in_the_file_once() -> None:
    """A pattern's explanation is longer than all else there is of a mark."""
    marks = Marks("bullish patterns", "bullish", [0, 1, 2], [("one", "two"), ("two",), ("one", "three")], [1, 2, 3])
    (drawn,) = traces(draw(candles_at([0, 1, 2]), findings=[marks]), name="bullish patterns")
    assert drawn["meta"]["texts"] == ["one", "two", "three"]
    assert drawn["meta"]["said"] == [[0, 1], [1], [0, 2]]


def test_words_of_findings_stay_text() -> None:
    """Plotly reads a little HTML in what is shown when a mark or a label is pointed at."""
    marks = Marks("<b>m", "bearish", [0], [("<i>a\nb",)], [1])
    lines = PriceLines("<b>l", "support", [PriceLine(100.0, 0, "<u>1", "<a href='x'>2\n3")])
    chart = draw(candles_at([0, 1]), findings=[marks, lines])
    (mark,), (line,) = traces(chart, name="&lt;b&gt;m"), traces(chart, name="&lt;b&gt;l")
    assert mark["meta"]["texts"] == ["&lt;i&gt;a<br>b"]
    assert line["meta"]["labels"] == [{"label": "&lt;u&gt;1", "text": "&lt;a href='x'&gt;2<br>3"}]


@pytest.mark.parametrize("kind", ["bullish", "bearish", "neutral", "swing high", "swing low"])
def test_kinds_of_marks_differ_in_shape(kind: Any) -> None:
    """Colour alone tells the colour-blind nothing."""
    kinds: list[Any] = ["bullish", "bearish", "neutral", "swing high", "swing low"]
    chart = draw(candles_at([0]), findings=[Marks(one, one, [0], [("said",)], [1.0]) for one in kinds])
    shapes = {trace["name"]: trace["marker"]["symbol"] for trace in traces(chart, mode="markers")}
    assert sum(shape == shapes[kind] for shape in shapes.values()) == 1
