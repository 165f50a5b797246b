"""Kernels of prices and volumes together."""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import advance, held, known, within

__all__ = ["money_flow", "obv", "share", "typical"]


@kernel()
def typical(high: Matrix, low: Matrix, close: Matrix, out: Matrix, width: int) -> None:
    """Mean of high, low and close."""
    for t in range(high.shape[0]):
        for s in range(width):
            out[t, s] = known((high[t, s] + low[t, s] + close[t, s]) / 3.0)


@kernel(rows=lambda: 3)
def obv(close: Matrix, volume: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Volume of rises less that of falls. State: count, previous close, sum."""
    for t in range(close.shape[0]):
        for s in range(width):
            price, amount = close[t, s], known(volume[t, s])
            good = known((amount - amount) + price)
            count = advance(state[0, s], good, mode)
            up = 1.0 if price > state[1, s] else 0.0
            down = 1.0 if price < state[1, s] else 0.0
            moved, side = state[2, s] + (up - down) * amount, count > 1.0
            sum_ = (moved if side else amount) + (good - good)
            state[0, s], state[1, s] = count, held(price, state[1, s], good, mode)
            state[2, s] = held(sum_, state[2, s], good, mode)
            out[t, s] = within(sum_, count, 1.0)


@kernel(rows=lambda: 2, counts=1)
def money_flow(
    price: Matrix, volume: Matrix, rising_out: Matrix, falling_out: Matrix, state: Matrix, width: int, mode: int
) -> None:
    """Turnover of rises and of falls. State: count, previous price."""
    for t in range(price.shape[0]):
        for s in range(width):
            value = price[t, s]
            turnover = known(value * volume[t, s])
            count = advance(state[0, s], turnover, mode)
            before = state[1, s]
            unknown = turnover - turnover
            rising_out[t, s] = within((turnover if value > before else 0.0) + unknown, count, 2.0)
            falling_out[t, s] = within((turnover if value < before else 0.0) + unknown, count, 2.0)
            state[0, s], state[1, s] = count, held(value, before, turnover, mode)


@kernel()
def share(a: Matrix, b: Matrix, out: Matrix, width: int) -> None:
    """Share of a in the sum of both, in per cent."""
    for t in range(a.shape[0]):
        for s in range(width):
            both = a[t, s] + b[t, s]
            part = 100.0 * (a[t, s] / both)
            out[t, s] = known(part if both != 0.0 else 0.0)
