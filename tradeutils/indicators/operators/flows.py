"""Operators of prices and volumes together."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["money_flow_index", "obv", "typical"]

typical: Final = Operator(__name__, "typical", inputs=3)
"""``typical(high, low, close)``: their mean."""
obv: Final = Operator(__name__, "obv", inputs=2, memory=lambda tolerance: None, recursive=True)
"""``obv(close, volume)``: the volume of the first bar, then plus that of each rise and less that of each fall."""
money_flow_index: Final = Operator(
    __name__, "money_flow_index", inputs=2, parameters=(int,), lookback=lambda period: period
)
"""``money_flow_index(price, volume, period)``: 100 * turnover of rises / turnover of all moves; 0 without any."""
