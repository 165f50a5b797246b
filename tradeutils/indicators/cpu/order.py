"""Kernels of the order of the last values: one pass over a window at each bar, free of branches."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import known

__all__ = ["ranked", "share_below"]


@kernel(rows=lambda period, low, high: 2 * period + 2, fill=math.inf, cycle=lambda period, low, high: period)
def ranked(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int, low: int, high: int) -> None:
    """
    Values by rank. State: the window as it came, the window in order, the value that leaves, the last one placed.

    A missing value is the largest of all, so the window is whole where its largest is finite. The pass takes out the
    value that leaves and puts in the new one: what is left of the order moves up behind the one that leaves, and each
    place then takes the middle of the new value and its two neighbours.
    """
    leaving, placed, last = 2 * period, 2 * period + 1, 2 * period - 1
    for t in range(x.shape[0]):
        at = (seen + t) % period
        for s in range(width):
            value = x[t, s]
            state[leaving, s] = state[at, s]
            state[at, s] = value if value - value == 0.0 else math.inf
            state[placed, s] = -math.inf
        for k in range(period, last):
            for s in range(width):
                here = state[k, s] if state[k, s] < state[leaving, s] else state[k + 1, s]
                state[k, s] = max(state[placed, s], min(here, state[at, s]))
                state[placed, s] = here
        for s in range(width):
            state[last, s] = max(state[placed, s], state[at, s])
            below, above = state[period + low, s], state[period + high, s]
            middle = known(0.5 * (below + above))
            middle = below if below == above else middle
            out[t, s] = middle if state[last, s] < math.inf else math.nan


@kernel(rows=lambda period, ties: period, fill=math.nan, cycle=lambda period, ties: period)
def share_below(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int, ties: int) -> None:
    """Share of smaller values. State: the values before this bar."""
    size = float(period)
    for t in range(x.shape[0]):
        for s in range(width):
            out[t, s] = 0.0
        for k in range(period):
            for s in range(width):
                distance = x[t, s] - state[k, s]
                below = distance >= 0.0 if ties else distance > 0.0
                count = out[t, s] + (1.0 if below else 0.0)
                out[t, s] = count if distance - distance == 0.0 else math.nan
        at = (seen + t) % period
        for s in range(width):
            out[t, s] /= size
            state[at, s] = x[t, s]
