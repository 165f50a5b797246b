"""Operators of the directional movement system (J. W. Wilder, 1978), with TA-Lib's sums."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator
from tradeutils.indicators.operators.averages import faded

__all__ = ["adx", "decaying", "directional_index", "movement"]

movement: Final = Operator(__name__, "movement", inputs=2, outputs=2, lookback=lambda: 1, recursive=True)
"""``movement(high, low)``: the rise of the high if it is the larger of the two and positive, and so the fall of the
low; else 0. Known from the second bar on."""

decaying: Final = Operator(
    __name__,
    "decaying",
    parameters=(int, int),
    lookback=lambda period, first: first - 1,
    memory=lambda period, first, tolerance: period - 1 + faded(1.0 / period, tolerance),
    recursive=True,
)
"""``decaying(x, period, first)``: the sum of ``period - 1`` values, then sum += x - sum / period; known from the
``first``-th value on."""

directional_index: Final = Operator(__name__, "directional_index", inputs=2, recursive=True)
"""``directional_index(plus, minus)``: 100 * abs(plus - minus) / (plus + minus); the last one, at first 0, where both
are 0."""

adx: Final = Operator(
    __name__,
    "adx",
    inputs=2,
    parameters=(int, int),
    lookback=lambda period, smoothing: period + smoothing - 1,
    memory=lambda period, smoothing, tolerance: (
        period + smoothing - 1 + faded(1.0 / period, tolerance) + faded(1.0 / smoothing, tolerance)
    ),
    recursive=True,
)
"""``adx(high, low, period, smoothing)``: Wilder's average, over ``smoothing``, of the directional index of ``period``;
it stands still where both movements are 0."""
