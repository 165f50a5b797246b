"""Operators of the ranges of bars that are computed in one pass."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator
from tradeutils.indicators.operators.averages import faded

__all__ = ["atr", "true_range_from_first"]

atr: Final = Operator(
    __name__,
    "atr",
    inputs=3,
    parameters=(int,),
    lookback=lambda period: period,
    memory=lambda period, tolerance: period + faded(1.0 / period, tolerance),
    recursive=True,
)
"""``atr(high, low, close, period)``: Wilder's average of the true range."""

true_range_from_first: Final = Operator(
    __name__, "true_range_from_first", inputs=3, memory=lambda tolerance: 1, recursive=True
)
"""``true_range_from_first(high, low, close)``: TradingView's ``ta.tr(true)``, the true range and, of the first bar of a
series, high - low."""
