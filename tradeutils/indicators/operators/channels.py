"""Operators that say where a price stands in a range of prices."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["distance", "position", "supertrend"]

position: Final = Operator(__name__, "position", inputs=3)
"""``position(x, highest, lowest)``: 100 * (x - lowest) / (highest - lowest); 0 where the range is 0."""
distance: Final = Operator(__name__, "distance", inputs=3, parameters=(float, float))
"""``distance(x, middle, spread, scale, noise)``: (x - middle) / (scale * spread); 0 where the spread is at most
``noise`` times the middle: rounding."""
supertrend: Final = Operator(
    __name__,
    "supertrend",
    inputs=4,
    outputs=2,
    parameters=(float, float),
    memory=lambda multiplier, first, tolerance: None,
    settles=1000,  # after a turn or two: bands start anew where the price crosses them
    recursive=True,
)
"""``supertrend(high, low, close, range, multiplier, first)``: the band that trails the price, and its direction: 1
while the trend rises, -1 while it falls, and ``first`` at first."""
