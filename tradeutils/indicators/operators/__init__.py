"""
The operators that indicators are written with: what each reads, how far back, and how long it remembers.

The kernel of an operator is the function of its name in the file of ``cpu/`` that bears the name of its file here.
"""

from __future__ import annotations

from tradeutils.indicators.expression import Node, Operator, Value, column, constant
from tradeutils.indicators.operators.averages import cumulative, ema, rma, smooth
from tradeutils.indicators.operators.elementwise import (
    absolute,
    exponential,
    logarithm,
    maximum,
    minimum,
    ratio,
    sign,
    square_root,
    together,
    true_range,
    where,
)
from tradeutils.indicators.operators.extremes import bars_since_highest, bars_since_lowest, highest, lowest
from tradeutils.indicators.operators.windows import change, deviation, lag, mean, mean_deviation, total, weighted

__all__ = [
    "Node",
    "Operator",
    "Value",
    "absolute",
    "bars_since_highest",
    "bars_since_lowest",
    "change",
    "column",
    "constant",
    "cumulative",
    "deviation",
    "ema",
    "exponential",
    "highest",
    "lag",
    "logarithm",
    "lowest",
    "maximum",
    "mean",
    "mean_deviation",
    "minimum",
    "ratio",
    "rma",
    "sign",
    "smooth",
    "square_root",
    "together",
    "total",
    "true_range",
    "weighted",
    "where",
]
