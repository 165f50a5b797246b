"""The declarations of all indicators, by family; ``spec.REGISTRY`` is made of them, in this order."""

from __future__ import annotations

from typing import Final

from tradeutils.indicators.declared import (
    averages,
    momentum,
    oscillators,
    shapes,
    statistics,
    trend,
    volatility,
    volume,
)

__all__ = ["FILES"]

FILES: Final = (averages, volatility, momentum, oscillators, trend, volume, statistics, shapes)
"""The files whose ``DECLARED`` the registry holds."""
