"""
What one bar does to one symbol: scalar steps, free of loops, that the kernels run over rows of symbols.

They hold the recursive arithmetic once; LLVM inlines and vectorises them across symbols. No fast-math flag is
set, not even ``contract``: every operation is then the IEEE one, whatever the width of the vectors, so a column
gives the same bits alone, in any block, on any number of threads, in one batch or bar by bar.

Both sides of a choice are computed before it is made. With a call or a division inside one side, LLVM still
vectorises the loop but deems it worth entering only for very long rows: RSI took 2.4 ns an element, not 0.7.
"""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import HOLD, PROPAGATE, step

__all__ = ["advance", "exponential", "held", "known", "seed", "true_range", "wilder", "within"]


@step
def known(value: float) -> float:
    """Return ``value``, or NaN where it is infinite: an infinity is a missing value here."""
    return value if value - value == 0.0 else math.nan


@step
def advance(count: float, evidence: float, mode: int) -> float:
    """
    Return the number of good bars in a row, this one included.

    ``evidence`` is finite on a good bar. A bad one starts the count again; with PROPAGATE it makes it -1 for ever once
    a bar has been good, and with HOLD it is passed over. The count is a float so that it fills vector lanes of the
    width of the prices.
    """
    good = evidence - evidence == 0.0
    if mode == HOLD:
        return count + 1.0 if good else count
    if mode == PROPAGATE:
        ended = -1.0 if count != 0.0 else 0.0
        going = count + 1.0 if count >= 0.0 else -1.0
        return going if good else ended
    return count + 1.0 if good else 0.0


@step
def held(after: float, before: float, evidence: float, mode: int) -> float:
    """Return what a state is after a bar: ``after``, but ``before`` where the bar is missing and the mode is HOLD."""
    return before if mode == HOLD and evidence - evidence != 0.0 else after


@step
def seed(value: float, average: float, age: float, period: float, scale: float) -> float:
    """
    Return the sum of the first ``age`` values in a row, at age ``period`` their mean (``scale`` = 1 / period).

    Below age 1 the result has no meaning and is dropped at age 1.
    """
    total = value + (average if age > 1.0 else 0.0)
    return total * scale if age == period else total


@step
def exponential(value: float, average: float, age: float, period: float, scale: float, alpha: float) -> float:
    """
    Return an exponential average after ``value``, the ``age``-th in a row; the mean of ``period`` is the seed.

    In TA-Lib's order of operations: MACD subtracts two such averages, and a last digit that differs shows.
    """
    seeded = seed(value, average, age, period, scale)
    moved = (value - average) * alpha + average
    return moved if age > period else seeded


@step
def wilder(value: float, average: float, age: float, period: float, scale: float) -> float:
    """Return Wilder's average after ``value``, alpha = ``scale`` = 1 / period; period 1 returns the value exactly."""
    seeded = seed(value, average, age, period, scale)
    moved = (average * (period - 1.0) + value) * scale
    return moved if age > period else seeded


@step
def true_range(high: float, low: float, previous: float) -> float:
    """Return the largest of high - low, abs(high - previous close) and abs(low - previous close)."""
    return max(high - low, abs(high - previous), abs(low - previous))


@step
def within(value: float, age: float, period: float) -> float:
    """Return ``value`` once ``age`` has reached ``period``, NaN before."""
    return value if age >= period else math.nan
