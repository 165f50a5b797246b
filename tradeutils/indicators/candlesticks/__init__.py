"""
The candlestick patterns of TA-Lib: their definitions, and the search for them in panels.

A pattern is declared as an expression over its bars (``single.py`` to ``several.py``). What patterns have in common is
found and computed once (``facts.py``), and one compiled loop runs them all (``cpu/candlesticks.py``). The definitions
are those of TA-Lib's documentation, held to its results; the sources named are: S. Nison, Japanese Candlestick
Charting Techniques (1991); G. L. Morris, Candlestick Charting Explained (1992); D. L. Chesler, Trading False Moves with
the Hikkake Pattern (2004).
"""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.candlesticks import double, several, single, triple
from tradeutils.indicators.candlesticks.blocks import search
from tradeutils.indicators.candlesticks.declaration import Pattern
from tradeutils.indicators.candlesticks.facts import SCALES

__all__ = ["PATTERNS", "SCALES", "Pattern", "search"]

PATTERNS: Final[dict[str, Pattern]] = {
    one.name: one
    for one in sorted(
        (*single.DECLARED, *double.DECLARED, *triple.DECLARED, *several.DECLARED), key=lambda one: one.name
    )
}
"""All 61, by name: ``"cdl2crows"`` to ``"cdlxsidegap3methods"``."""
