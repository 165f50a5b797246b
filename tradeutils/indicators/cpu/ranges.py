"""Kernels of the ranges of bars, computed in one pass."""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import advance, held, known, true_range, wilder, within

__all__ = ["atr", "true_range_from_first"]


@kernel(rows=lambda period: 3, counts=1)
def atr(
    high: Matrix, low: Matrix, close: Matrix, out: Matrix, state: Matrix, width: int, mode: int, period: int
) -> None:
    """Wilder average of the true range. State: count, previous close, average."""
    size, scale = float(period), 1.0 / period
    for t in range(close.shape[0]):
        for s in range(width):
            top, bottom, price = high[t, s], low[t, s], close[t, s]
            good = known((top - top) + (bottom - bottom) + price)
            count = advance(state[0, s], good, mode)
            age = count - 1.0  # the first good bar has no previous close
            average = wilder(true_range(top, bottom, state[1, s]), state[2, s], age, size, scale)
            state[0, s], state[1, s] = count, held(price, state[1, s], good, mode)
            state[2, s] = held(average, state[2, s], good, mode)
            out[t, s] = within(average + (good - good), age, size)


@kernel(rows=lambda: 2, counts=1)
def true_range_from_first(
    high: Matrix, low: Matrix, close: Matrix, out: Matrix, state: Matrix, width: int, mode: int
) -> None:
    """True range; high - low at the first bar. State: count, previous close."""
    for t in range(close.shape[0]):
        for s in range(width):
            top, bottom, price, before = high[t, s], low[t, s], close[t, s], state[1, s]
            good = known((top - top) + (bottom - bottom) + price)
            count = advance(state[0, s], good, mode)
            whole, own = true_range(top, bottom, before), top - bottom
            state[0, s], state[1, s] = count, held(price, before, good, mode)
            out[t, s] = known(within((whole if count > 1.0 else own) + (good - good), count, 1.0))
