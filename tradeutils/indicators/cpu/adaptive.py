"""Kernels of the averages whose pace follows the market."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import HOLD, RESTART, Matrix, kernel
from tradeutils.indicators.cpu.steps import known

__all__ = ["adaptive", "pace"]


@kernel(rows=lambda period, slow, fast: 2 * period + 2, fill=math.nan, cycle=lambda period, slow, fast: period)
def pace(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int, slow: float, fast: float) -> None:
    """Rate of a bar. State: a ring of values; suffix sums and distances as for a total, their sum; the last value."""
    total, last = 2 * period, 2 * period + 1
    span = fast - slow
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            for s in range(width):
                value = known(x[t, s])
                step = abs(value - state[last, s])
                running = state[total, s] + step
                way = running + state[period + phase + 1, s]
                state[total, s], state[period + phase, s], state[last, s] = running, step, value
                distance = abs(value - state[phase, s])
                state[phase, s] = value
                share = distance / (way if way != 0.0 else 1.0)
                share = share if way > distance else 1.0 + way * 0.0
                rate = share * span + slow
                out[t, s] = known(rate * rate)
        else:
            for s in range(width):
                value = known(x[t, s])
                state[2 * period - 1, s] = abs(value - state[last, s])
                state[total, s], state[last, s] = 0.0, value
            for back in range(1, period):
                for s in range(width):
                    state[2 * period - 1 - back, s] += state[2 * period - back, s]
            for s in range(width):
                value, way = state[last, s], state[period, s]
                distance = abs(value - state[phase, s])
                state[phase, s] = value
                share = distance / (way if way != 0.0 else 1.0)
                share = share if way > distance else 1.0 + way * 0.0
                rate = share * span + slow
                out[t, s] = known(rate * rate)


@kernel(rows=lambda slowest: 2, fill=math.nan, counts=0)
def adaptive(x: Matrix, rate: Matrix, out: Matrix, state: Matrix, width: int, mode: int, slowest: float) -> None:
    """Recursive average with a rate for each bar. State: previous value; average, NaN before it has begun."""
    for t in range(x.shape[0]):
        for s in range(width):
            value, average = known(x[t, s]), state[1, s]
            base = average if average == average else state[0, s]
            moved = known(rate[t, s] * (value - base) + base)
            if mode == HOLD:
                state[0, s] = value if value == value else state[0, s]
                state[1, s] = moved if moved == moved else average
            elif mode == RESTART:
                state[0, s] = value
                state[1, s] = moved
            else:
                # An infinite average is one that has broken off: nothing finite comes of it again.
                broken = math.inf if average == average else math.nan
                state[0, s] = value
                state[1, s] = moved if moved == moved else broken
            out[t, s] = moved
