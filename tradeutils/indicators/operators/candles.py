"""What is made of the prices and the volume of a bar in one pass."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator
from tradeutils.indicators.operators.averages import faded

__all__ = ["heikin_ashi", "money_flow"]

heikin_ashi: Final = Operator(
    __name__,
    "heikin_ashi",
    inputs=4,
    outputs=4,
    memory=lambda tolerance: faded(0.5, tolerance),
    recursive=True,
)
"""``heikin_ashi(open, high, low, close)``: the averaged bar's open, high, low and close."""

money_flow: Final = Operator(__name__, "money_flow", inputs=4)
"""``money_flow(high, low, close, volume)``: volume times where close stands in the bar, -1 at the low and 1 at the
high; 0 where high does not exceed low."""
