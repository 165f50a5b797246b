"""What is carried from bar to bar: the value before, compounded changes, two averages of one age."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator
from tradeutils.indicators.operators.averages import faded

__all__ = ["apart", "compounded", "previous", "relative_change", "seasoned"]

previous: Final = Operator(__name__, "previous", inputs=2, memory=lambda tolerance: 1, recursive=True)
"""``previous(x, first)``: the value of ``x`` one bar ago, and ``first`` at the first bar of a series."""

relative_change: Final = Operator(__name__, "relative_change", memory=lambda tolerance: 1, recursive=True)
"""``relative_change(x)``: x / x one bar ago - 1; 0 at the first bar of a series, and from 0."""

compounded: Final = Operator(__name__, "compounded", memory=lambda tolerance: None, recursive=True)
"""``compounded(rate)``: the product of 1 + rate since the series began."""

seasoned: Final = Operator(__name__, "seasoned", parameters=(int,), lookback=lambda bars: bars - 1, recursive=True)
"""``seasoned(x, bars)``: ``x``, known once ``bars`` of it are, in a row."""

apart: Final = Operator(
    __name__,
    "apart",
    parameters=(int, int),
    lookback=lambda fast, slow: max(fast, slow) - 1,
    memory=lambda fast, slow, tolerance: faded(2.0 / (max(fast, slow) + 1.0), tolerance),
    recursive=True,
)
"""``apart(x, fast, slow)``: a fast exponential average less a slow one, both begun with the first value and shown once
the longer has seen its period."""
