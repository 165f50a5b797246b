"""Kernels on the values of one bar. An infinity, given or made, is unknown: NaN."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.logarithms import logarithm as natural
from tradeutils.indicators.cpu.steps import known

__all__ = [
    "absolute",
    "add",
    "divide",
    "exponential",
    "greater",
    "greater_equal",
    "logarithm",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "ratio",
    "sign",
    "square_root",
    "subtract",
    "together",
    "true_range",
    "where",
]


@kernel()
def add(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """a + b."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = known(a[t, s] + b[t, s])


@kernel()
def subtract(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """a - b."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = known(a[t, s] - b[t, s])


@kernel()
def multiply(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """a * b."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = known(a[t, s] * b[t, s])


@kernel()
def divide(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """a / b; unknown where b is 0."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = known(a[t, s] / b[t, s] + (b[t, s] - b[t, s]))


@kernel()
def ratio(a: Matrix, b: Matrix, otherwise: Matrix, out: Matrix, width: int) -> None:
    """a / b, and otherwise where b is 0."""
    for t in range(a.shape[0]):
        for s in range(width):
            top, bottom, instead = a[t, s], b[t, s], otherwise[t, s]
            some = bottom != 0.0
            share = top / (bottom if some else 1.0)
            out[t, s] = known((share if some else instead) + ((top - top) + (bottom - bottom)))


@kernel()
def negative(a: Matrix, out: Matrix, width: int) -> None:
    """-a."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = known(-a[t, s])


@kernel()
def absolute(a: Matrix, out: Matrix, width: int) -> None:
    """abs(a)."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = known(abs(a[t, s]))


@kernel()
def sign(a: Matrix, out: Matrix, width: int) -> None:
    """-1, 0 or 1."""
    for t in range(a.shape[0]):
        for s in range(width):
            value = a[t, s]
            found = 1.0 if value > 0.0 else (-1.0 if value < 0.0 else 0.0)
            out[t, s] = found + (value - value)


@kernel()
def square_root(a: Matrix, out: Matrix, width: int) -> None:
    """Root of a; unknown below 0."""
    for t in range(a.shape[0]):
        for s in range(width):
            value = a[t, s]
            out[t, s] = known(math.sqrt(value if value >= 0.0 else math.nan))


@kernel()
def logarithm(a: Matrix, out: Matrix, width: int) -> None:
    """Natural logarithm; unknown at 0 and below."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = natural(a[t, s])


@kernel()
def exponential(a: Matrix, out: Matrix, width: int) -> None:
    """e to the power of a."""
    for t in range(a.shape[0]):
        for s in range(width):
            value = a[t, s]
            out[t, s] = math.exp(value) if abs(value) < 709.0 else (0.0 if value <= -709.0 else math.nan) * known(value)


@kernel()
def maximum(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """The larger."""
    for t in range(a.shape[0]):
        for s in range(width):
            x, y = a[t, s], b[t, s]
            out[t, s] = (max(y, x)) + (x - x) + (y - y)


@kernel()
def minimum(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """The smaller."""
    for t in range(a.shape[0]):
        for s in range(width):
            x, y = a[t, s], b[t, s]
            out[t, s] = (min(y, x)) + (x - x) + (y - y)


@kernel()
def greater(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """1 where a > b, else 0."""
    for t in range(a.shape[0]):
        for s in range(width):
            x, y = a[t, s], b[t, s]
            out[t, s] = (1.0 if x > y else 0.0) + (x - x) + (y - y)


@kernel()
def greater_equal(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """1 where a >= b, else 0."""
    for t in range(a.shape[0]):
        for s in range(width):
            x, y = a[t, s], b[t, s]
            out[t, s] = (1.0 if x >= y else 0.0) + (x - x) + (y - y)


@kernel()
def where(condition: Matrix, a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """a where the condition is not 0, else b."""
    for t in range(condition.shape[0]):
        for s in range(width):
            one, other, asked = a[t, s], b[t, s], condition[t, s]
            out[t, s] = known(one if asked != 0.0 else other) + (asked - asked)


@kernel()
def together(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """a, where b is known as well."""
    for t in range(a.shape[0]):
        for s in range(width):
            out[t, s] = known(a[t, s]) + (b[t, s] - b[t, s])


@kernel()
def true_range(high: Matrix, low: Matrix, previous: Matrix, out: Matrix, width: int) -> None:
    """Largest of high - low, abs(high - previous close), abs(low - previous close)."""
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom, before = high[t, s], low[t, s], previous[t, s]
            widest = max(top - bottom, abs(top - before), abs(bottom - before))
            out[t, s] = widest + (top - top) + (bottom - bottom) + (before - before)
