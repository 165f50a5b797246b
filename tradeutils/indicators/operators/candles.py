"""What is made of the prices and the volume of a bar in one pass."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator
from tradeutils.indicators.operators.averages import faded

__all__ = ["balance", "heikin_ashi", "mean_of_four", "middle", "money_flow", "weighted_close"]

middle: Final = Operator(__name__, "middle", inputs=2)
"""``middle(high, low)``: their mean."""
mean_of_four: Final = Operator(__name__, "mean_of_four", inputs=4)
"""``mean_of_four(open, high, low, close)``: their mean."""
weighted_close: Final = Operator(__name__, "weighted_close", inputs=3)
"""``weighted_close(high, low, close)``: the mean of the two and of close twice."""
balance: Final = Operator(__name__, "balance", inputs=4)
"""``balance(open, high, low, close)``: close less open over high less low; 0 where high does not exceed low."""

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
