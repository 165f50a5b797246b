"""
Candles and indicators as a plotly figure: plain lists and dicts, so that one input gives one file, byte for byte.

Colours are not in it: every trace says in its ``meta`` what it is, and the page paints it with the colours of the
reader's light or dark scheme (``page.js``).
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tradeutils.cli.drawing.findings import Finding, Marks, PriceLines, Profile
from tradeutils.cli.drawing.layout import lay_out
from tradeutils.cli.drawing.panes import BANDS, BARS, PRICE, UNDRAWN, VOLUME, Pane, pane_of
from tradeutils.cli.printing import number_text, utc
from tradeutils.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from tradeutils.model import Candles
    from tradeutils.model.candles import Column

__all__ = ["Chart", "Lines", "draw"]

_LINE_DIGITS: Final = 10  # of each point of a line: more than a screen can show, less than a float is long
_COLORS: Final = 8  # for lines, in page.css
_HINT: Final = "Point at a mark or a label to read what it is; where marks would overlap one is drawn: zoom in for all."


class _Marker(NamedTuple):
    symbol: str
    size: int
    shift: int
    letter: str


# Shapes differ as the colours do, and so do the sides of the bar. ``shift``: pixels from its low (high) to the mark.
_MARKERS: Final[Mapping[str, _Marker]] = {
    "bullish": _Marker("triangle-up", 9, -12, "▲"),
    "bearish": _Marker("triangle-down", 9, 12, "▼"),
    "neutral": _Marker("diamond", 7, 21, "◆"),
    "swing high": _Marker("square-open", 6, 4, "□"),
    "swing low": _Marker("circle-open", 6, -4, "○"),
}
_DASHES: Final = {"resistance": "dash", "support": "solid", "profile": "dot"}


@dataclass(frozen=True, slots=True)
class Lines:
    """The outputs of one indicator: its name (``"macd"``), what was written (``"macd:12,26,9"``), column by output."""

    name: str
    label: str
    outputs: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Chart:
    """
    What the page shows.

    Attributes
    ----------
    title, subtitle : str
        Plain text.
    figure : dict
        ``data`` and ``layout`` as plotly takes them.
    height : int
        Pixels.
    hint : str
        What else there is to know of how it is read.
    """

    title: str
    subtitle: str
    figure: dict[str, Any]
    height: int
    hint: str = ""


def draw(
    candles: Candles,
    lines: Sequence[Lines] = (),
    *,
    findings: Sequence[Finding] = (),
    title: str = "",
    note: str = "",
) -> Chart:
    """
    Return the chart of candles, indicators and findings.

    Parameters
    ----------
    candles : Candles
        At least one.
    lines : sequence of Lines
        Columns as long as the candles. Moving averages and bands are drawn over the price, others in panes below.
    findings : sequence of Marks, PriceLines or Profile
        Of these candles; drawn over the price.
    title : str
        Default: symbol, timeframe and exchange.
    note : str
        Put behind the line that says how many bars there are.

    Raises
    ------
    UsageError : no candle.
    """
    if not len(candles):
        raise UsageError("there was no candle to draw; widen the range")
    sheet = _Sheet(candles)
    sheet.open_pane(PRICE)
    sheet.add_candles()
    for one in lines:
        if pane_of(one.name) is None:
            sheet.add_lines(one)
    for finding in findings:
        sheet.add_finding(finding)
    if np.isfinite(candles.volume).any():
        sheet.open_pane(VOLUME)
        sheet.add_bars("volume", candles.volume, candles.close >= candles.open)
    for one in lines:
        pane = pane_of(one.name)
        if pane is not None:
            sheet.open_pane(pane)
            sheet.add_lines(one)
    named = " · ".join(part for part in (candles.symbol, candles.timeframe, candles.exchange) if part)
    return Chart(
        title=title or named,
        subtitle=_subtitle(candles, note),
        figure={"data": sheet.traces, "layout": lay_out(candles, sheet.panes, widest=sheet.widest)},
        height=int(90 * sum(pane.weight for pane in sheet.panes)) + 60,
        hint=_HINT if findings else "",
    )


def _subtitle(candles: Candles, note: str) -> str:
    gaps = candles.gaps()
    first, last = float(candles.open[0]), float(candles.close[-1])
    change = f" ({(last / first - 1) * 100:+.2f} %)" if first > 0 and math.isfinite(last) else ""
    price = f"{Decimal(number_text(last)):,f}" if math.isfinite(last) else "-"
    parts = [
        f"{price}{change}",
        f"{len(candles):,} bars, {utc(int(candles.time[0]))} to {utc(int(candles.time[-1]))} UTC",
        f"{len(gaps):,} gaps, {sum(gap.bars for gap in gaps):,} bars missing" if gaps else "no gaps",
        note,
    ]
    return " · ".join(part for part in parts if part)


@dataclass(slots=True)
class _Sheet:
    """The panes of a chart, from the top down, and what is drawn in them; drawing goes to the pane opened last."""

    candles: Candles
    panes: list[Pane] = field(default_factory=list)
    traces: list[dict[str, Any]] = field(default_factory=list)
    colors: int = 0
    widest: float = 0.0

    def open_pane(self, pane: Pane) -> None:
        self.panes.append(pane)

    def add(self, kind: str, name: str, columns: Mapping[str, list[Any]], **style: Any) -> None:
        number = len(self.panes)
        tag = "" if number == 1 else str(number)
        x = columns.get("x", self.candles.time.tolist())
        place = {"xaxis": "x", "yaxis": f"y{tag}", "legend": f"legend{tag}"}
        # Plotly reads a little HTML in names, and a symbol is whatever a file or a venue calls it.
        self.traces.append({"type": kind, "name": html.escape(name, quote=False), **columns, "x": x, **place, **style})

    def add_candles(self) -> None:
        prices = {name: _points(getattr(self.candles, name)) for name in ("open", "high", "low", "close")}
        self.add("candlestick", self.candles.symbol or "price", prices, meta={"is": "candles"}, showlegend=False)

    def add_bars(self, name: str, values: Column, rising: npt.NDArray[np.bool_]) -> None:
        meta = {"is": "bars", "rising": rising.astype(int).tolist()}
        self.add("bar", name, {"y": _points(values, _LINE_DIGITS)}, marker={"line": {"width": 0}}, meta=meta)

    def add_lines(self, lines: Lines) -> None:
        band = next((outputs for outputs in BANDS if set(outputs) <= lines.outputs.keys()), None)
        if band is not None:
            self._add_band(lines, *band)
            return
        for output, values in lines.outputs.items():
            name = lines.label if output == lines.name else f"{lines.label} {output}"
            if output in UNDRAWN:
                continue
            if output in BARS:
                self.add_bars(name, values, values >= 0)
            else:
                self._add_line(name, values, self._next_color(), width=1.5)

    def add_finding(self, finding: Finding) -> None:
        if isinstance(finding, Marks):
            self._add_marks(finding)
        elif isinstance(finding, PriceLines):
            self._add_price_lines(finding)
        else:
            self._add_profile(finding)

    def _add_marks(self, marks: Marks) -> None:
        marker = _MARKERS[marks.kind]
        prices = self.candles.low if marker.shift < 0 else self.candles.high
        rows = np.asarray(marks.rows, np.int64)
        # Each paragraph once, however many marks have it.
        numbers: dict[str, int] = {}
        said = [[numbers.setdefault(_markup(part), len(numbers)) for part in text] for text in marks.texts]
        meta = {
            "is": "marks", "kind": marks.kind, "shift": marker.shift, "letter": marker.letter,
            "texts": list(numbers), "said": said, "weight": list(marks.weights),
        }  # fmt: skip
        points = {"x": self.candles.time[rows].tolist(), "y": _points(prices[rows])}
        look = {"symbol": marker.symbol, "size": marker.size, "line": {"width": 1.5 if "open" in marker.symbol else 0}}
        # The page says it with the candle: plotly would also say that of the next mark some bars away.
        self.add(
            "scatter", marks.name, points, mode="markers", marker=look, meta=meta, hoverinfo="skip",
            visible="legendonly" if marks.hidden else True,
        )  # fmt: skip

    def _add_price_lines(self, found: PriceLines, **style: Any) -> None:
        times, points = self.candles.time.tolist(), dict[str, list[Any]](x=[], y=[])
        labels = []
        for line in found.lines:
            points["x"] += [times[line.row], times[-1], None]
            points["y"] += [line.price, line.price, None]
            labels.append({"label": _markup(line.label), "text": _markup(line.text)})
        meta = {"is": "levels", "kind": found.kind, "labels": labels}
        dash = {"width": 1.2, "dash": _DASHES[found.kind]}
        self.add("scatter", found.name, points, mode="lines", line=dash, meta=meta, hoverinfo="skip", **style)

    def _add_profile(self, profile: Profile) -> None:
        edges = np.asarray(profile.edges)
        prices = [line.price for line in profile.lines.lines]
        middle = (edges[1:] + edges[:-1]) / 2
        inside = (middle >= min(prices)) & (middle <= max(prices))
        self.widest = max(profile.volume)
        columns = {"x": _points(np.asarray(profile.volume), _LINE_DIGITS), "y": _points(middle, _LINE_DIGITS)}
        self.add(
            "bar", profile.lines.name, columns, orientation="h", width=np.diff(edges).tolist(), hoverinfo="skip",
            marker={"line": {"width": 0}}, meta={"is": "profile", "inside": inside.astype(int).tolist()},
            legendgroup="profile", showlegend=False,
        )  # fmt: skip
        self.traces[-1]["xaxis"] = "x2"
        self._add_price_lines(profile.lines, legendgroup="profile")

    def _add_band(self, lines: Lines, upper: str, middle: str, lower: str) -> None:
        color = self._next_color()
        plane = self._between(lines.outputs[upper], lines.outputs[lower])
        together = {"legendgroup": lines.label}  # one click hides all of it
        self.add(
            "scatter", lines.label, plane, mode="none", fill="toself", hoverinfo="skip", showlegend=False,
            meta={"is": "band", "color": color}, **together,
        )  # fmt: skip
        for output, dash in ((upper, "solid"), (middle, "dot"), (lower, "solid")):
            name = lines.label if output == middle else f"{lines.label} {output}"
            shown = output == middle
            self._add_line(name, lines.outputs[output], color, width=1.0, dash=dash, showlegend=shown, **together)

    def _between(self, upper: Column, lower: Column) -> dict[str, list[Any]]:
        """Return the outline of the plane between two lines, a closed one for each stretch without a hole."""
        x, high, low = self._cut(upper, lower)
        known = np.isfinite(high) & np.isfinite(low)
        edges = np.flatnonzero(np.diff(np.r_[False, known, False]))
        outline: dict[str, list[Any]] = {"x": [], "y": []}
        for first, end in edges.reshape(-1, 2).tolist():
            stretch = slice(first, end)
            outline["x"] += [*x[stretch].tolist(), *x[stretch][::-1].tolist(), None]
            outline["y"] += [*_points(high[stretch], _LINE_DIGITS), *_points(low[stretch][::-1], _LINE_DIGITS), None]
        return outline

    def _add_line(
        self, name: str, values: Column, color: int, *, width: float, dash: str = "solid", **style: Any
    ) -> None:
        x, y = self._cut(values)
        points = {"x": x.tolist(), "y": _points(y, _LINE_DIGITS)}
        line = {"width": width, "dash": dash}
        self.add("scatter", name, points, mode="lines", line=line, meta={"is": "line", "color": color}, **style)

    def _next_color(self) -> int:
        self.colors += 1
        return (self.colors - 1) % _COLORS

    def _cut(self, *lines: Column) -> tuple[npt.NDArray[Any], ...]:
        """Return times and lines with a hole before each bar that does not follow the one before it."""
        time = self.candles.time
        rows = np.searchsorted(time, [gap.until for gap in self.candles.gaps()])
        return np.insert(time, rows, time[rows] - 1), *(np.insert(line, rows, np.nan) for line in lines)


def _points(values: Column, digits: int = 17) -> list[float | None]:
    """Return numbers for JSON, ``None`` where there is none."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values.tolist()]


def _markup(text: str) -> str:
    """Return text as plotly's little HTML."""
    return html.escape(text, quote=False).replace("\n", "<br>")
