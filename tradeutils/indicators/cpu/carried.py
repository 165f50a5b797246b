"""
Kernels of what is carried from bar to bar.

Each keeps a count of good bars in a row, which a missing bar sets to zero: what follows begins as a new series does;
``mode`` changes that (see ``steps.advance``).
"""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import advance, held, known, within

__all__ = ["apart", "compounded", "previous", "relative_change", "seasoned"]


@kernel(rows=lambda: 2, counts=1)
def previous(x: Matrix, first: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Value one bar ago, and another at the first. State: count, the value."""
    for t in range(x.shape[0]):
        for s in range(width):
            value, start = x[t, s], first[t, s]
            good = known(value + (start - start))
            count = advance(state[0, s], good, mode)
            before = state[1, s] if count > 1.0 else start
            state[0, s], state[1, s] = count, held(value, state[1, s], good, mode)
            out[t, s] = within(before + (good - good), count, 1.0)


@kernel(rows=lambda: 2, counts=1)
def relative_change(x: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Change since the bar before, over it. State: count, the value."""
    for t in range(x.shape[0]):
        for s in range(width):
            value, last = known(x[t, s]), state[1, s]
            count = advance(state[0, s], value, mode)
            some = (count > 1.0) & (last != 0.0)
            made = (value - last) / (last if some else 1.0)
            state[0, s], state[1, s] = count, held(value, last, value, mode)
            out[t, s] = known(within(made if some else value - value, count, 1.0))


@kernel(rows=lambda: 2)
def compounded(rate: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Product of 1 + rate since the series began. State: count, product."""
    for t in range(rate.shape[0]):
        for s in range(width):
            value = known(rate[t, s])
            count = advance(state[0, s], value, mode)
            before = state[1, s] if count > 1.0 else 1.0
            product = before + before * value
            state[0, s], state[1, s] = count, held(product, state[1, s], value, mode)
            out[t, s] = within(product, count, 1.0)


@kernel(rows=lambda bars: 1, counts=1)
def seasoned(x: Matrix, out: Matrix, state: Matrix, width: int, mode: int, bars: int) -> None:
    """The value, once so many in a row are known. State: count."""
    for t in range(x.shape[0]):
        for s in range(width):
            value = known(x[t, s])
            count = advance(state[0, s], value, mode)
            state[0, s] = count
            out[t, s] = within(value, count, float(bars))


@kernel(rows=lambda fast, slow: 3, counts=1)
def apart(x: Matrix, out: Matrix, state: Matrix, width: int, mode: int, fast: int, slow: int) -> None:
    """Fast average less slow average, in TA-Lib's order of operations. State: count, both averages."""
    quick, calm, size = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), float(max(fast, slow))
    for t in range(x.shape[0]):
        for s in range(width):
            value = known(x[t, s])
            count = advance(state[0, s], value, mode)
            near, far = quick * value + (1.0 - quick) * state[1, s], calm * value + (1.0 - calm) * state[2, s]
            near, far = (near if count > 1.0 else value), (far if count > 1.0 else value)
            state[0, s], state[1, s] = count, held(near, state[1, s], value, mode)
            state[2, s] = held(far, state[2, s], value, mode)
            out[t, s] = within(near - far, count, size)
