"""Operators of prices and volumes together."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["money_flow", "obv", "share", "typical"]

typical: Final = Operator(__name__, "typical", inputs=3)
"""``typical(high, low, close)``: their mean."""
obv: Final = Operator(__name__, "obv", inputs=2, memory=lambda tolerance: None, recursive=True)
"""``obv(close, volume)``: the volume of the first bar, then plus that of each rise and less that of each fall."""
money_flow: Final = Operator(__name__, "money_flow", inputs=2, outputs=2, lookback=lambda: 1, recursive=True)
"""``money_flow(price, volume)``: price times volume where the price rose, else 0, and where it fell, else 0."""
share: Final = Operator(__name__, "share", inputs=2)
"""``share(a, b)``: 100 * a / (a + b); 0 where the sum is 0."""
