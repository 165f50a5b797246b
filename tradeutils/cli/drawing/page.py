"""A chart as one HTML page that holds all it needs: the figure, plotly.js, style and script."""

from __future__ import annotations

import html
import re
from importlib import resources
from typing import Final

import orjson

from tradeutils._version import __version__
from tradeutils.cli.drawing.figure import Chart
from tradeutils.errors import MissingExtra

__all__ = ["render"]

_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")


def render(chart: Chart) -> bytes:
    """
    Return a chart as an HTML file, about 4.8 MB (plotly.js) and 0.1 kB a candle and line.

    It asks nothing of the network, and its own security policy would refuse it. The same chart gives the same bytes.

    Raises
    ------
    MissingExtra : plotly is not installed.
    """
    pieces = {
        "version": __version__,
        "title": html.escape(chart.title),
        "subtitle": html.escape(chart.subtitle),
        "hint": html.escape(chart.hint),
        "height": str(chart.height),
        "style": _resource("page.css"),
        "script": _resource("page.js"),
        "plotly": _plotly(),
        "figure": _embedded(chart.figure),
    }
    # In one pass, so that a title with braces in it is no place.
    return _PLACE.sub(lambda place: pieces[place[1]], _resource("page.html")).encode()


def _embedded(figure: object) -> str:
    """Return JSON that can stand in a script: no ``</script>`` and no comment can begin in it."""
    return (
        orjson.dumps(figure).decode().replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )


def _resource(name: str) -> str:
    return (resources.files("tradeutils.cli.drawing") / name).read_text(encoding="utf-8").strip()


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtra("plotly", "chart", "a chart") from error
    return str(get_plotlyjs())
