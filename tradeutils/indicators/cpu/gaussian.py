"""Kernels of the averages with weights in the shape of a bell."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel

__all__ = ["gaussian"]


@kernel(rows=lambda period, offset, sigma: 2 * period, fill=math.nan, cycle=lambda period, offset, sigma: period)
def gaussian(
    x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int, offset: float, sigma: float
) -> None:
    """Mean with Gaussian weights. State: the window as it came; the weights, oldest bar first, alike in each column."""
    if state[period, 0] != state[period, 0]:  # no weights yet
        center, spread = offset * (period - 1), period / sigma
        # A narrow bell between two bars is next to nothing at both: measured from the nearest, it is 1 there.
        nearest = math.floor(center + 0.5) - center
        least = (nearest / spread) * (nearest / spread)
        total = 0.0
        for k in range(period):
            away = (k - center) / spread
            total += math.exp(0.5 * (least - away * away))
        for k in range(period):
            away = (k - center) / spread
            weight = math.exp(0.5 * (least - away * away)) / total
            for s in range(width):
                state[period + k, s] = weight
    for t in range(x.shape[0]):
        at = (seen + t) % period
        for s in range(width):
            state[at, s] = x[t, s]
            out[t, s] = 0.0
        for k in range(period):
            row, weight = (at + 1 + k) % period, state[period + k, 0]
            for s in range(width):
                out[t, s] += weight * state[row, s]
        for s in range(width):
            out[t, s] = out[t, s] if out[t, s] - out[t, s] == 0.0 else math.nan
