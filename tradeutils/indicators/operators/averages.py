"""Recursive averages and sums."""

from __future__ import annotations

import math
from typing import Final

from tradeutils.indicators.expression import Node, Operator

__all__ = ["cumulative", "ema", "ema_from_first", "faded", "rma", "smooth"]


def faded(alpha: float, tolerance: float) -> int:
    """Return the bars after which an average of this ``alpha`` holds less than ``tolerance`` of what was before."""
    return 0 if alpha >= 1.0 else math.ceil(math.log(tolerance) / math.log1p(-alpha))


ema: Final = Operator(
    __name__,
    "ema",
    parameters=(int,),
    lookback=lambda period: period - 1,
    memory=lambda period, tolerance: period - 1 + faded(2.0 / (period + 1.0), tolerance),
    recursive=True,
)
"""``ema(x, period)``: exponential average, alpha = 2 / (period + 1), seeded with the mean of ``period`` values."""

rma: Final = Operator(
    __name__,
    "rma",
    parameters=(int,),
    lookback=lambda period: period - 1,
    memory=lambda period, tolerance: period - 1 + faded(1.0 / period, tolerance),
    recursive=True,
)
"""``rma(x, period)``: Wilder's average, alpha = 1 / period, seeded with the mean of ``period`` values."""

smooth: Final = Operator(
    __name__,
    "smooth",
    parameters=(float, int),
    lookback=lambda alpha, seed: seed - 1,
    memory=lambda alpha, seed, tolerance: seed - 1 + faded(alpha, tolerance),
    recursive=True,
)
"""``smooth(x, alpha, seed)``: exponential average of any ``alpha``, seeded with the mean of ``seed`` values."""

cumulative: Final = Operator(__name__, "cumulative", memory=lambda tolerance: None, recursive=True)
"""``cumulative(x)``: the sum since the series began."""


def ema_from_first(x: Node, period: int) -> Node:
    """Return TradingView's ``ta.ema``: alpha = 2 / (period + 1), begun with the first value."""
    average: Node = smooth(x, 2.0 / (period + 1.0), 1)
    return average
