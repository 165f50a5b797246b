"""
Trend: lines, regimes, divergences and breakouts, of one symbol or thousands.

Every function takes Candles, a Panel, arrays by name, or an array of closes, (T,) or (T, S), and returns arrays of
that shape; ``pivots`` takes highs and lows, as two arrays. Every one is causal: what it says of a bar never changes
when later bars come. Each says how many bars pass between what it reports and the report, in its description and as
``delay`` of its result: none, but for pivots and for divergences, which are made of them.
"""

from __future__ import annotations

from tradeutils.analysis.breakouts import Breakout, Breakouts, breakouts
from tradeutils.analysis.divergence import Divergence, Divergences, divergence
from tradeutils.analysis.pivots import Pivots, pivots
from tradeutils.analysis.regimes import Regimes, Trend, Volatility, VolatilityRegimes, regime, volatility_regime
from tradeutils.analysis.regression import Regression, regression

__all__ = [
    "Breakout",
    "Breakouts",
    "Divergence",
    "Divergences",
    "Pivots",
    "Regimes",
    "Regression",
    "Trend",
    "Volatility",
    "VolatilityRegimes",
    "breakouts",
    "divergence",
    "pivots",
    "regime",
    "regression",
    "volatility_regime",
]
