"""Candlestick charts as one HTML file that needs nothing else: no network, no server, no Python."""

from tradeutils.cli.drawing.figure import Chart, Lines, draw
from tradeutils.cli.drawing.page import render

__all__ = ["Chart", "Lines", "draw", "render"]
