"""Kernels of parts of a whole. One pass where a composition of sums and ratios would write and read each of them."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel, step
from tradeutils.indicators.cpu.steps import known

__all__ = ["depth", "percent", "share_of_totals", "ultimate"]


@step
def share(part: float, whole: float) -> float:
    """Return part / whole, 0 where the whole is 0, NaN where either is."""
    some = whole != 0.0
    made = part / (whole if some else 1.0)
    return known(made if some else part - part)


@kernel()
def percent(part: Matrix, whole: Matrix, out: Matrix, width: int) -> None:
    """Part of a whole, in per cent."""
    for t in range(part.shape[0]):
        for s in range(width):
            out[t, s] = 100.0 * share(part[t, s], whole[t, s])


@kernel()
def depth(x: Matrix, highest: Matrix, lowest: Matrix, out: Matrix, width: int) -> None:
    """Distance from the top of a range, in per cent of it, below zero."""
    for t in range(x.shape[0]):
        for s in range(width):
            top = highest[t, s]
            made = 100.0 * share(x[t, s] - top, top - lowest[t, s])
            # As TA-Lib does where a close lies outside of its bar.
            out[t, s] = min(max(made, -100.0), 0.0)


@kernel()
def ultimate(short: Matrix, middle: Matrix, long: Matrix, out: Matrix, width: int) -> None:
    """Weighted mean of three shares, in per cent."""
    scale = 100.0 / 7.0
    for t in range(short.shape[0]):
        for s in range(width):
            out[t, s] = (short[t, s] * 4.0 + middle[t, s] * 2.0 + long[t, s]) * scale


@kernel(rows=lambda period: 2 * period + 2, fill=math.nan, cycle=lambda period: period)
def share_of_totals(
    part: Matrix, whole: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int
) -> None:
    """Sum over sum. State: as ``windows.total`` of the parts, then of the wholes; both running sums."""
    parts, wholes = 2 * period, 2 * period + 1
    for t in range(part.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            for s in range(width):
                value = known(part[t, s])
                running = state[parts, s] + value
                out[t, s] = running + state[phase + 1, s]
                state[parts, s], state[phase, s] = running, value
            for s in range(width):
                value = known(whole[t, s])
                running = state[wholes, s] + value
                out[t, s] = share(out[t, s], running + state[period + phase + 1, s])
                state[wholes, s], state[period + phase, s] = running, value
        else:
            for s in range(width):
                state[period - 1, s], state[2 * period - 1, s] = known(part[t, s]), known(whole[t, s])
                state[parts, s], state[wholes, s] = 0.0, 0.0
            for back in range(1, period):
                for s in range(width):
                    state[period - 1 - back, s] += state[period - back, s]
                for s in range(width):
                    state[2 * period - 1 - back, s] += state[2 * period - back, s]
            for s in range(width):
                out[t, s] = share(state[0, s], state[period, s])
