"""What a bar moved, against the bar before it."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["buying_pressure", "crossings", "moves", "rises_and_falls"]

moves: Final = Operator(__name__, "moves", outputs=2, lookback=lambda: 1)
"""``moves(x)``: the change since the bar before, and its size."""
rises_and_falls: Final = Operator(__name__, "rises_and_falls", outputs=2, lookback=lambda: 1)
"""``rises_and_falls(x)``: the change since the bar before where it is above 0, else 0, and its size where below."""

buying_pressure: Final = Operator(__name__, "buying_pressure", inputs=3, outputs=2, lookback=lambda: 1)
"""``buying_pressure(high, low, close)``: close less the lower of low and the previous close, and the true range."""

crossings: Final = Operator(__name__, "crossings", inputs=3, outputs=3, lookback=lambda: 1)
"""``crossings(high, low, close)``: the ways from the previous low to the high and from the previous high to the low,
and the true range."""
