"""
Kernels of the recursive indicators: EMA, MACD, RSI, ATR.

Each keeps a count of good bars in a row. A bar with a NaN or an infinity sets it to zero, and the averages are
seeded anew from the bars that follow, exactly as if the series began there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.cpu.compiling import kernel
from tradeutils.indicators.cpu.steps import advance, exponential, true_range, wilder, within

__all__ = ["atr", "ema", "macd", "rsi"]

_Array = npt.NDArray[np.float64]


@kernel(rows=lambda period: 2, fill=0.0)
def ema(
    close: _Array,
    out: _Array,
    state: _Array,
    start: int,
    seen: int,
    first: int,
    low: int,
    high: int,
    period: int,
) -> None:
    """Exponential moving average. State: count, average."""
    if low < 0:
        return
    size, scale, alpha = float(period), 1.0 / period, 2.0 / (period + 1.0)
    for t in range(start, close.shape[0]):
        at = max(t - first, 0)
        for s in range(high - low):
            price = close[t, low + s]
            count = advance(state[0, s], price)
            average = exponential(price, state[1, s], count, size, scale, alpha)
            state[0, s], state[1, s] = count, average
            out[at, low + s] = within(average, count, size)


@kernel(rows=lambda fast, slow, signal: 4, fill=0.0)
def macd(
    close: _Array,
    line_out: _Array,
    signal_out: _Array,
    histogram_out: _Array,
    state: _Array,
    start: int,
    seen: int,
    first: int,
    low: int,
    high: int,
    fast: int,
    slow: int,
    signal: int,
) -> None:
    """Fast EMA less slow EMA, its EMA, their difference. State: count, fast, slow and signal average."""
    if low < 0:
        return
    if fast > slow:
        fast, slow = slow, fast
    fast_size, fast_scale, fast_alpha = float(fast), 1.0 / fast, 2.0 / (fast + 1.0)
    slow_size, slow_scale, slow_alpha = float(slow), 1.0 / slow, 2.0 / (slow + 1.0)
    size, scale, alpha = float(signal), 1.0 / signal, 2.0 / (signal + 1.0)
    for t in range(start, close.shape[0]):
        at = max(t - first, 0)
        for s in range(high - low):
            price = close[t, low + s]
            count = advance(state[0, s], price)
            # The fast average waits, so that both are seeded at one bar: the first of the line.
            quick = exponential(price, state[1, s], count - (slow_size - fast_size), fast_size, fast_scale, fast_alpha)
            calm = exponential(price, state[2, s], count, slow_size, slow_scale, slow_alpha)
            line, age = quick - calm, count - (slow_size - 1.0)
            smooth = exponential(line, state[3, s], age, size, scale, alpha)
            state[0, s], state[1, s], state[2, s], state[3, s] = count, quick, calm, smooth
            line_out[at, low + s] = within(line, age, size)
            signal_out[at, low + s] = within(smooth, age, size)
            histogram_out[at, low + s] = within(line - smooth, age, size)


@kernel(rows=lambda period: 4, fill=0.0)
def rsi(
    close: _Array,
    out: _Array,
    state: _Array,
    start: int,
    seen: int,
    first: int,
    low: int,
    high: int,
    period: int,
) -> None:
    """Share of the rises in all moves, both Wilder-averaged, times 100. State: count, previous close, rise, fall."""
    if low < 0:
        return
    size, scale = float(period), 1.0 / period
    for t in range(start, close.shape[0]):
        at = max(t - first, 0)
        for s in range(high - low):
            price = close[t, low + s]
            count = advance(state[0, s], price)
            move, age = price - state[1, s], count - 1.0  # the first good bar has no move
            rise = wilder(max(move, 0.0), state[2, s], age, size, scale)
            fall = wilder(max(-move, 0.0), state[3, s], age, size, scale)
            state[0, s], state[1, s], state[2, s], state[3, s] = count, price, rise, fall
            total = rise + fall
            # Not 100 * rise / total, which may round to just above 100.
            out[at, low + s] = within(100.0 * (rise / total) if total > 0.0 else 0.0, age, size)


@kernel(rows=lambda period: 3, fill=0.0)
def atr(
    high_price: _Array,
    low_price: _Array,
    close: _Array,
    out: _Array,
    state: _Array,
    start: int,
    seen: int,
    first: int,
    low: int,
    high: int,
    period: int,
) -> None:
    """Wilder average of the true range. State: count, previous close, average."""
    if low < 0:
        return
    size, scale = float(period), 1.0 / period
    for t in range(start, close.shape[0]):
        at = max(t - first, 0)
        for s in range(high - low):
            top, bottom, price = high_price[t, low + s], low_price[t, low + s], close[t, low + s]
            count = advance(state[0, s], (top - top) + (bottom - bottom) + price)
            age = count - 1.0  # the first good bar has no previous close
            average = wilder(true_range(top, bottom, state[1, s]), state[2, s], age, size, scale)
            state[0, s], state[1, s], state[2, s] = count, price, average
            out[at, low + s] = within(average, age, size)
