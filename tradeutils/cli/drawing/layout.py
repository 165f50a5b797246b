"""The layout of a chart: one time axis, a value axis for each pane, gaps and levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tradeutils import timeframe as _timeframe
from tradeutils.cli.drawing.panes import PRICE, VOLUME, Pane

if TYPE_CHECKING:
    from tradeutils.model import Candles

__all__ = ["decimals_of", "lay_out"]

_MINUTE_MS: Final = 60_000
_GAPS_SHADED: Final = 300  # the longest: each is a shape that the browser moves at every drag
_BETWEEN: Final = 0.02  # of the height, between two panes
_MOST_DECIMALS: Final = 12
_PROFILE_SHARE: Final = 5.0  # the widest bar of a volume profile takes a fifth of the width


def lay_out(candles: Candles, panes: Sequence[Pane], *, widest: float = 0.0) -> dict[str, Any]:
    """
    Return plotly's layout of a chart with these panes, the price first, from the top down.

    ``widest`` is the greatest volume at a price, where these are drawn.
    """
    half = _timeframe.parse(candles.timeframe).nominal_ms // 2
    layout: dict[str, Any] = {
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "dragmode": "pan",
        "bargap": 0.15,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 40},
        "meta": {"half": half},
        "xaxis": _time_axis(len(panes), half),
        "shapes": [*_gap_shapes(candles, half), *_level_shapes(panes)],
    }
    if widest > 0.0:
        fixed = {"overlaying": "x", "anchor": "y", "side": "top", "visible": False, "fixedrange": True}
        layout["xaxis2"] = {**fixed, "range": [0.0, widest * _PROFILE_SHARE]}
    decimals = decimals_of(candles)
    for number, (pane, domain) in enumerate(zip(panes, _domains(panes), strict=True), 1):
        tag = "" if number == 1 else str(number)
        layout[f"yaxis{tag}"] = _value_axis(pane, domain, decimals)
        place = {"x": 0, "xanchor": "left", "y": domain[1], "yanchor": "top"}
        layout[f"legend{tag}"] = {"orientation": "h", "font": {"size": 11}, **place}
    return layout


def _time_axis(panes: int, half: int) -> dict[str, Any]:
    return {
        "type": "date",
        "anchor": "y" if panes == 1 else f"y{panes}",
        "rangeslider": {"visible": False},
        "hoverformat": "%a %Y-%m-%d %H:%M:%S" if half < _MINUTE_MS // 2 else "%a %Y-%m-%d %H:%M",
        "showspikes": True,
        "spikemode": "across",
        "spikesnap": "data",
        "spikethickness": 1,
        "spikedash": "dot",
    }


def _value_axis(pane: Pane, domain: list[float], decimals: int) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "domain": domain,
        "anchor": "x",
        "side": "right",
        "automargin": True,
        "zeroline": False,
        "showspikes": False,
        "fixedrange": True,  # the page scales it to what is seen
        "exponentformat": "none",
        "separatethousands": True,
        "hoverformat": f",.{decimals + 2}f",
        "nticks": 4,
    }
    if pane is PRICE:
        axis |= {"hoverformat": f",.{decimals}f", "nticks": 8}
    elif pane is VOLUME:
        axis |= {"hoverformat": ",.6~f", "exponentformat": "SI", "separatethousands": False, "nticks": 3}
    elif pane.scale is not None:
        axis |= {"hoverformat": ".2f", "range": list(pane.scale)}
        axis |= {"tickvals": list(pane.levels), "ticktext": [f"{level:g}" for level in pane.levels]}
    return axis


def decimals_of(candles: Candles) -> int:
    """Return how many decimals the newest prices have."""
    texts = [np.format_float_positional(price, trim="-") for price in candles.close[-50:]]
    return min(_MOST_DECIMALS, max(len(text.partition(".")[2]) for text in texts))


def _domains(panes: Sequence[Pane]) -> list[list[float]]:
    """Return from where to where each pane reaches, as shares of the height, from the top down."""
    room = 1.0 - _BETWEEN * (len(panes) - 1)
    total = sum(pane.weight for pane in panes)
    domains, top = [], 1.0
    for pane in panes:
        bottom = max(0.0, top - room * pane.weight / total)
        domains.append([round(bottom, 6), round(top, 6)])
        top = bottom - _BETWEEN
    return domains


def _gap_shapes(candles: Candles, half: int) -> list[dict[str, Any]]:
    """Return a shaded strip for each gap, the longest `_GAPS_SHADED` of them."""
    longest = sorted(candles.gaps(), key=lambda gap: gap.since - gap.until)[:_GAPS_SHADED]
    strip = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "line": {"width": 0}}
    return [
        {**strip, "x0": gap.since - half, "x1": gap.until - half, "name": "gap"}
        for gap in sorted(longest, key=lambda gap: gap.since)
    ]


def _level_shapes(panes: Sequence[Pane]) -> list[dict[str, Any]]:
    """Return a line across its pane for each level."""
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "layer": "below", "line": {"width": 1, "dash": "dash"}}
    return [
        {**line, "yref": f"y{number}", "y0": level, "y1": level, "name": "level"}
        for number, pane in enumerate(panes, 1)
        for level in pane.levels
    ]
