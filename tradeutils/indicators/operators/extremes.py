"""The highest and the lowest of the last bars, and how long ago they were."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["bars_since_highest", "bars_since_lowest", "channel", "highest", "lowest"]


def _before(period: int) -> int:
    return period - 1


highest: Final = Operator(__name__, "highest", parameters=(int,), lookback=_before)
"""``highest(x, period)``: the largest of the last ``period`` values."""
lowest: Final = Operator(__name__, "lowest", parameters=(int,), lookback=_before)
"""``lowest(x, period)``: the smallest of the last ``period`` values."""
bars_since_highest: Final = Operator(__name__, "bars_since_highest", parameters=(int,), lookback=_before)
"""``bars_since_highest(x, period)``: 0 .. period - 1; of equal values the newest counts."""
bars_since_lowest: Final = Operator(__name__, "bars_since_lowest", parameters=(int,), lookback=_before)
"""``bars_since_lowest(x, period)``: 0 .. period - 1; of equal values the newest counts."""
channel: Final = Operator(__name__, "channel", inputs=2, outputs=3, parameters=(int,), lookback=_before)
"""``channel(high, low, period)``: the highest of the one, the middle, the lowest of the other; they begin together."""
