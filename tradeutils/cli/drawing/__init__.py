"""Candlestick charts as one HTML file that needs nothing else: no network, no server, no Python."""

from tradeutils.cli.drawing.figure import Chart, Lines, draw
from tradeutils.cli.drawing.findings import (
    Finding,
    Marks,
    PriceLine,
    PriceLines,
    Profile,
    level_lines,
    pattern_marks,
    profile_of,
    swing_marks,
)
from tradeutils.cli.drawing.page import render

__all__ = [
    "Chart",
    "Finding",
    "Lines",
    "Marks",
    "PriceLine",
    "PriceLines",
    "Profile",
    "draw",
    "level_lines",
    "pattern_marks",
    "profile_of",
    "render",
    "swing_marks",
]
