"""Operators of momentum that are computed in one pass, because a composition would read and write too much."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator
from tradeutils.indicators.operators.averages import faded

__all__ = ["macd", "rsi"]

rsi: Final = Operator(
    __name__,
    "rsi",
    parameters=(int,),
    lookback=lambda period: period,
    memory=lambda period, tolerance: period + faded(1.0 / period, tolerance),
    recursive=True,
)
"""``rsi(close, period)``: 100 * up / (up + down), Wilder averages of the rises and falls."""

macd: Final = Operator(
    __name__,
    "macd",
    outputs=3,
    parameters=(int, int, int),
    lookback=lambda fast, slow, signal: max(fast, slow) + signal - 2,
    memory=lambda fast, slow, signal, tolerance: (
        max(fast, slow)
        + signal
        - 2
        + faded(2.0 / (max(fast, slow) + 1.0), tolerance)
        + faded(2.0 / (signal + 1.0), tolerance)
    ),
    recursive=True,
)
"""``macd(close, fast, slow, signal)``: line, signal and histogram, which begin together."""
