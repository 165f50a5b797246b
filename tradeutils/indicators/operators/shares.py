"""Parts of a whole; 0 where there is no whole."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["depth", "percent", "share_of_totals", "ultimate"]

percent: Final = Operator(__name__, "percent", inputs=2)
"""``percent(part, whole)``: 100 * (part / whole)."""
depth: Final = Operator(__name__, "depth", inputs=3)
"""``depth(x, highest, lowest)``: -100 * (highest - x) / (highest - lowest), within 0 and -100."""
ultimate: Final = Operator(__name__, "ultimate", inputs=3)
"""``ultimate(short, middle, long)``: 100 * (4 * short + 2 * middle + long) / 7."""
share_of_totals: Final = Operator(
    __name__, "share_of_totals", inputs=2, parameters=(int,), lookback=lambda period: period - 1
)
"""``share_of_totals(part, whole, period)``: the sum of the last ``period`` parts over that of the wholes."""
