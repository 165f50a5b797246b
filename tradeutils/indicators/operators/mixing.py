"""Averages of averages, put together in one pass."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["mixture"]

mixture: Final = Operator(__name__, "mixture", inputs=4, parameters=(float, float, float, float))
"""``mixture(a, b, c, d, wa, wb, wc, wd)``: wa * a + wb * b + wc * c + wd * d, from the left."""
