"""Stops that follow a trend and turn with it."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.expression import Operator

__all__ = ["sar", "sar_tradingview"]


# Two stops that began apart become one where both turn at the same bar, which may be never.
def _never(acceleration: float, maximum: float, tolerance: float) -> None:
    return None


def _one(acceleration: float, maximum: float) -> int:
    return 1


sar: Final = Operator(
    __name__, "sar", inputs=2, parameters=(float, float), lookback=_one, memory=_never, recursive=True
)
"""``sar(high, low, acceleration, maximum)``: Wilder's parabolic stop, begun and turned as in TA-Lib."""

sar_tradingview: Final = Operator(
    __name__, "sar_tradingview", inputs=2, parameters=(float, float), lookback=_one, memory=_never, recursive=True
)
"""``sar_tradingview(high, low, acceleration, maximum)``: moved and held as TradingView's; it begins as TA-Lib's."""
