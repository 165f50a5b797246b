"""Operators on the values of one bar; none knows a value where an input is unknown."""

from __future__ import annotations

from typing import Any, Final

from tradeutils.indicators.expression import Node, Operator, Value, as_node
from tradeutils.indicators.operators.windows import lag

__all__ = [
    "absolute",
    "exponential",
    "logarithm",
    "maximum",
    "minimum",
    "ratio",
    "sign",
    "square_root",
    "together",
    "true_range",
    "where",
]

absolute: Final = Operator(__name__, "absolute")
sign: Final = Operator(__name__, "sign")
square_root: Final = Operator(__name__, "square_root")
"""Unknown below zero."""
logarithm: Final = Operator(__name__, "logarithm")
"""Natural; unknown at zero and below."""
exponential: Final = Operator(__name__, "exponential")
maximum: Final = Operator(__name__, "maximum", inputs=2)
minimum: Final = Operator(__name__, "minimum", inputs=2)
where: Final = Operator(__name__, "where", inputs=3)
"""``where(condition, a, b)``: ``a`` where the condition is not 0, else ``b``; unknown where the condition is, or where
the one chosen is."""
together: Final = Operator(__name__, "together", inputs=2)
"""``together(a, b)``: ``a``, where ``b`` is known as well."""
_ratio: Final = Operator(__name__, "ratio", inputs=3)
_true_range: Final = Operator(__name__, "true_range", inputs=3)


def ratio(a: Value, b: Value, otherwise: Value = 0.0) -> Node:
    """Return ``a / b``, and ``otherwise`` where ``b`` is exactly 0."""
    made: Any = _ratio(a, b, otherwise)
    return as_node(made)


def true_range(high: Node, low: Node, close: Node) -> Node:
    """Return max(high - low, abs(high - previous close), abs(low - previous close)); known from the second bar on."""
    made: Any = _true_range(high, low, lag(close, 1))
    return as_node(made)
