"""
Kernels of the window indicators: SMA, Bollinger bands.

Time is cut into blocks of ``period`` bars. A window is the end of one block and the beginning of the next: its sum
is a suffix sum of the one and a running sum of the other, both of distances from the last price of the first
block, the anchor, which lies inside every window that uses it. Nothing is ever subtracted from a running sum, so
there is no drift, distances keep all their digits, and a NaN is gone once it has left the window. (The idea is
van Herk's, 1992. A sliding sum of squares loses every digit on prices of 1e5 +- 1e-3; this keeps 2e-15.)

The suffix sums are taken from the block's own bars when it is complete, so these kernels read up to
``period - 1`` rows back from the bar they are at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.cpu.compiling import kernel
from tradeutils.indicators.cpu.steps import bands, known

__all__ = ["bbands", "sma"]

_Array = npt.NDArray[np.float64]


@kernel(rows=lambda period: period + 2, fill=np.nan, reach=lambda period: period - 1)
def sma(
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
    """Mean of the last bars. State: a suffix sum for each bar of the block before, its anchor, the running sum."""
    if low < 0:
        return
    anchor, total = period, period + 1
    scale = 1.0 / period
    for t in range(start, close.shape[0]):
        at = max(t - first, 0)
        phase = (seen + t - start) % period
        if phase < period - 1:
            for s in range(high - low):
                running = state[total, s] + (known(close[t, low + s]) - state[anchor, s])
                state[total, s] = running
                out[at, low + s] = state[anchor, s] + (running + state[phase + 1, s]) * scale
        else:
            for s in range(high - low):
                state[anchor, s] = known(close[t, low + s])
                state[period - 1, s] = 0.0
                state[total, s] = 0.0
            for back in range(1, period):
                for s in range(high - low):
                    distance = known(close[t - back, low + s]) - state[anchor, s]
                    state[period - 1 - back, s] = state[period - back, s] + distance
            for s in range(high - low):
                out[at, low + s] = state[anchor, s] + state[0, s] * scale


@kernel(rows=lambda period, deviations: 2 * period + 3, fill=np.nan, reach=lambda period, deviations: period - 1)
def bbands(
    close: _Array,
    upper_out: _Array,
    middle_out: _Array,
    lower_out: _Array,
    state: _Array,
    start: int,
    seen: int,
    first: int,
    low: int,
    high: int,
    period: int,
    deviations: float,
) -> None:
    """Mean and standard deviation of the last bars. State: as :func:`sma`, then the same for squares."""
    if low < 0:
        return
    anchor, total, total_of_squares = 2 * period, 2 * period + 1, 2 * period + 2
    scale = 1.0 / period
    for t in range(start, close.shape[0]):
        at = max(t - first, 0)
        phase = (seen + t - start) % period
        if phase < period - 1:
            for s in range(high - low):
                distance = known(close[t, low + s]) - state[anchor, s]
                running = state[total, s] + distance
                running_of_squares = state[total_of_squares, s] + distance * distance
                state[total, s], state[total_of_squares, s] = running, running_of_squares
                mean = (running + state[phase + 1, s]) * scale
                mean_of_squares = (running_of_squares + state[period + phase + 1, s]) * scale
                upper, middle, lower = bands(state[anchor, s], mean, mean_of_squares, deviations)
                upper_out[at, low + s], middle_out[at, low + s], lower_out[at, low + s] = upper, middle, lower
        else:
            for s in range(high - low):
                state[anchor, s] = known(close[t, low + s])
                state[period - 1, s], state[2 * period - 1, s] = 0.0, 0.0
                state[total, s], state[total_of_squares, s] = 0.0, 0.0
            for back in range(1, period):
                for s in range(high - low):
                    distance = known(close[t - back, low + s]) - state[anchor, s]
                    state[period - 1 - back, s] = state[period - back, s] + distance
                    state[2 * period - 1 - back, s] = state[2 * period - back, s] + distance * distance
            for s in range(high - low):
                mean, mean_of_squares = state[0, s] * scale, state[period, s] * scale
                upper, middle, lower = bands(state[anchor, s], mean, mean_of_squares, deviations)
                upper_out[at, low + s], middle_out[at, low + s], lower_out[at, low + s] = upper, middle, lower
