"""
Indicators for one symbol or thousands, with TA-Lib's definitions.

Plain functions on arrays, ``Indicators`` on Candles, Panels and DataFrames, ``compute`` for many at once. All come
from one registry (``spec.REGISTRY``); numba is imported when the first of them is computed.

What a bar's value depends on: NaN and infinity are missing values. A bar has a value if it and the ``lookback``
bars before it are all good, and is NaN otherwise. After a missing value, windows (sma, bbands) and averages (ema,
macd, rsi, atr) alike begin anew. Empty, short and all-NaN input gives NaN of its shape, without a warning.
"""

from __future__ import annotations

from tradeutils.indicators.generated import Bbands, Macd, atr, bbands, ema, macd, rsi, sma
from tradeutils.indicators.indicators import Indicators, compute
from tradeutils.indicators.spec import REGISTRY, Indicator, Parameter, Spec, parse

__all__ = [
    "REGISTRY",
    "Bbands",
    "Indicator",
    "Indicators",
    "Macd",
    "Parameter",
    "Spec",
    "atr",
    "bbands",
    "compute",
    "ema",
    "macd",
    "parse",
    "rsi",
    "sma",
]
