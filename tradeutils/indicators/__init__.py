"""
Indicators for one symbol or thousands, with TA-Lib's definitions.

Plain functions on arrays, ``Indicators`` on Candles, Panels and DataFrames, ``compute`` for many at once. All come
from one registry (``spec.REGISTRY``); numba is imported when the first of them is computed. Arrays in the memory of a
GPU are computed there, with the same bits but in running sums of few symbols (another order of adding) and where
exponentials and angles are taken: 1e-12 there. A ``Stream`` is computed on the CPU.

What a bar's value depends on: NaN and infinity are missing values. A bar has a value at the latest when it and the
``lookback`` bars before it are all good. After a missing value windows recover, and averages begin anew (``nan=`` has
them stay unknown or go on instead). Empty, short and all-NaN input gives NaN of its shape, without a warning.
"""

from __future__ import annotations

from tradeutils.indicators import generated
from tradeutils.indicators.generated import *  # noqa: F403  # the names are those of the registry
from tradeutils.indicators.indicators import Indicators, compute
from tradeutils.indicators.memory import release_memory
from tradeutils.indicators.spec import REGISTRY, Indicator, Parameter, Spec, parse
from tradeutils.indicators.stream import Stream

__all__ = ["REGISTRY", "Indicator", "Indicators", "Parameter", "Spec", "Stream", "compute", "parse", "release_memory"]
__all__ += generated.__all__
