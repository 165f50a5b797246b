"""
Kernels of the recursive averages.

Each keeps a count of good bars in a row. A bar that is missing sets it to zero, and the averages are seeded anew from
the bars that follow, exactly as if the series began there; ``mode`` changes that (see ``steps.advance``).
"""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import advance, exponential, held, known, wilder, within

__all__ = ["cumulative", "ema", "rma", "smooth"]


@kernel(rows=lambda period: 2, counts=1)
def ema(x: Matrix, out: Matrix, state: Matrix, width: int, mode: int, period: int) -> None:
    """Exponential average, alpha = 2 / (period + 1). State: count, average."""
    size, scale, alpha = float(period), 1.0 / period, 2.0 / (period + 1.0)
    for t in range(x.shape[0]):
        for s in range(width):
            value = known(x[t, s])
            count = advance(state[0, s], value, mode)
            average = exponential(value, state[1, s], count, size, scale, alpha)
            state[0, s], state[1, s] = count, held(average, state[1, s], value, mode)
            out[t, s] = within(average, count, size)


@kernel(rows=lambda alpha, seed: 2, counts=1)
def smooth(x: Matrix, out: Matrix, state: Matrix, width: int, mode: int, alpha: float, seed: int) -> None:
    """Exponential average of any alpha. State: count, average."""
    size, scale = float(seed), 1.0 / seed
    for t in range(x.shape[0]):
        for s in range(width):
            value = known(x[t, s])
            count = advance(state[0, s], value, mode)
            average = exponential(value, state[1, s], count, size, scale, alpha)
            state[0, s], state[1, s] = count, held(average, state[1, s], value, mode)
            out[t, s] = within(average, count, size)


@kernel(rows=lambda period: 2, counts=1)
def rma(x: Matrix, out: Matrix, state: Matrix, width: int, mode: int, period: int) -> None:
    """Wilder's average, alpha = 1 / period. State: count, average."""
    size, scale = float(period), 1.0 / period
    for t in range(x.shape[0]):
        for s in range(width):
            value = known(x[t, s])
            count = advance(state[0, s], value, mode)
            average = wilder(value, state[1, s], count, size, scale)
            state[0, s], state[1, s] = count, held(average, state[1, s], value, mode)
            out[t, s] = within(average, count, size)


@kernel(rows=lambda: 2)
def cumulative(x: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Sum since the series began. State: count, sum."""
    for t in range(x.shape[0]):
        for s in range(width):
            value = known(x[t, s])
            count = advance(state[0, s], value, mode)
            total = value + (state[1, s] if count > 1.0 else 0.0)
            state[0, s], state[1, s] = count, held(total, state[1, s], value, mode)
            out[t, s] = within(total, count, 1.0)
