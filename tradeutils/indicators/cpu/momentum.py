"""Kernels of indicators of momentum that are computed in one pass: RSI and MACD."""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import advance, exponential, held, known, wilder, within

__all__ = ["macd", "rsi"]


@kernel(rows=lambda fast, slow, signal: 4, counts=1)
def macd(
    close: Matrix,
    line_out: Matrix,
    signal_out: Matrix,
    histogram_out: Matrix,
    state: Matrix,
    width: int,
    mode: int,
    fast: int,
    slow: int,
    signal: int,
) -> None:
    """Fast EMA less slow EMA, its EMA, their difference. State: count, fast, slow and signal average."""
    if fast > slow:
        fast, slow = slow, fast
    fast_size, fast_scale, fast_alpha = float(fast), 1.0 / fast, 2.0 / (fast + 1.0)
    slow_size, slow_scale, slow_alpha = float(slow), 1.0 / slow, 2.0 / (slow + 1.0)
    size, scale, alpha = float(signal), 1.0 / signal, 2.0 / (signal + 1.0)
    for t in range(close.shape[0]):
        for s in range(width):
            price = known(close[t, s])
            count = advance(state[0, s], price, mode)
            # The fast average waits, so that both are seeded at one bar: the first of the line.
            quick = exponential(price, state[1, s], count - (slow_size - fast_size), fast_size, fast_scale, fast_alpha)
            calm = exponential(price, state[2, s], count, slow_size, slow_scale, slow_alpha)
            line, age = quick - calm, count - (slow_size - 1.0)
            smooth = exponential(line, state[3, s], age, size, scale, alpha)
            state[0, s], state[1, s] = count, held(quick, state[1, s], price, mode)
            state[2, s], state[3, s] = held(calm, state[2, s], price, mode), held(smooth, state[3, s], price, mode)
            line_out[t, s] = within(line, age, size)
            signal_out[t, s] = within(smooth, age, size)
            histogram_out[t, s] = within(line - smooth, age, size)


@kernel(rows=lambda period: 4, counts=1)
def rsi(close: Matrix, out: Matrix, state: Matrix, width: int, mode: int, period: int) -> None:
    """Share of the rises in all moves, both Wilder-averaged, times 100. State: count, previous close, rise, fall."""
    size, scale = float(period), 1.0 / period
    for t in range(close.shape[0]):
        for s in range(width):
            price = known(close[t, s])
            count = advance(state[0, s], price, mode)
            move, age = price - state[1, s], count - 1.0  # the first good bar has no move
            rise = wilder(max(move, 0.0), state[2, s], age, size, scale)
            fall = wilder(max(-move, 0.0), state[3, s], age, size, scale)
            state[0, s], state[1, s] = count, held(price, state[1, s], price, mode)
            state[2, s], state[3, s] = held(rise, state[2, s], price, mode), held(fall, state[3, s], price, mode)
            total = rise + fall
            # Not 100 * rise / total, which may round to just above 100.
            out[t, s] = within(100.0 * (rise / total) if total > 0.0 else total * 0.0, age, size)
