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

from tradeutils.cli.drawing import Chart, Lines, draw, render
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
    drawn = draw(candles_at(range(5)), [Lines("supertrend", "supertrend:10,3", outputs)])
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
