"""
Kernels of regression and covariance.

Time is cut into blocks of ``period`` bars, and a window into the end of one and the beginning of the next, as in
``windows.py``: sums of distances from the last value of the first block, which lies inside every window that uses it.
Each row of suffix sums that has served its turn takes the value of the bar that will be at its place.
"""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import known

__all__ = ["angle", "covariance", "line", "standing"]


@kernel(rows=lambda period: 2 * period + 3, fill=math.nan, cycle=lambda period: period)
def line(x: Matrix, mean_out: Matrix, slope_out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Mean and slope. State: suffix sums, suffix sums of these, anchor, sum, sum of places times distances."""
    anchor, total, moment = 2 * period, 2 * period + 1, 2 * period + 2
    scale, middle = 1.0 / period, 0.5 * (period - 1.0)
    spread = 12.0 / (period * (float(period) * period - 1.0))
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            older, place = period - 1.0 - phase, float(phase)
            for s in range(width):
                value = known(x[t, s])
                distance = value - state[anchor, s]
                running, turning = state[total, s] + distance, state[moment, s] + place * distance
                state[phase, s], state[total, s], state[moment, s] = value, running, turning
                summed = running + state[phase + 1, s]
                placed = (turning + older * running) + state[period + phase + 1, s]
                mean_out[t, s] = known(state[anchor, s] + summed * scale)
                slope_out[t, s] = known((placed - middle * summed) * spread)
        else:
            for s in range(width):
                state[anchor, s] = known(x[t, s])
                state[total, s], state[moment, s] = 0.0, 0.0
                state[period - 1, s], state[2 * period - 1, s] = 0.0, 0.0
            for back in range(2, period + 1):
                at = period - back
                for s in range(width):
                    state[period + at, s] = state[period + at + 1, s] + state[at + 1, s]
                    state[at, s] = state[at + 1, s] + (state[at, s] - state[anchor, s])
            for s in range(width):
                # The first bar of the block stands at place 0, so the sum of places is the second sum from there.
                mean_out[t, s] = known(state[anchor, s] + state[0, s] * scale)
                slope_out[t, s] = known((state[period, s] - middle * state[0, s]) * spread)


@kernel(rows=lambda period: 5 * period + 9, fill=math.nan, cycle=lambda period: period)
def covariance(
    x: Matrix,
    y: Matrix,
    both_out: Matrix,
    x_out: Matrix,
    y_out: Matrix,
    state: Matrix,
    seen: int,
    width: int,
    period: int,
) -> None:
    """
    Covariance and variances. State: suffix sums of x, y, xx, yy, xy; for each of x and y anchor, sums, mean; sum of xy.

    Three short loops in a row are vectorised, one that does all is not: too many rows that may overlap.
    """
    ys, xx, yy, xy, own = period, 2 * period, 3 * period, 4 * period, 5 * period
    x_anchor, x_sum, x_squares, x_mean = own, own + 1, own + 2, own + 3
    y_anchor, y_sum, y_squares, y_mean, total = own + 4, own + 5, own + 6, own + 7, own + 8
    scale = 1.0 / period
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        rest = phase + 1
        if phase < period - 1:
            for s in range(width):
                value = known(x[t, s])
                distance = value - state[x_anchor, s]
                running, squares = state[x_sum, s] + distance, state[x_squares, s] + distance * distance
                mean = (running + state[rest, s]) * scale
                x_out[t, s] = known((squares + state[xx + rest, s]) * scale - mean * mean)
                state[phase, s], state[x_sum, s], state[x_squares, s], state[x_mean, s] = value, running, squares, mean
            for s in range(width):
                value = known(y[t, s])
                distance = value - state[y_anchor, s]
                running, squares = state[y_sum, s] + distance, state[y_squares, s] + distance * distance
                mean = (running + state[ys + rest, s]) * scale
                y_out[t, s] = known((squares + state[yy + rest, s]) * scale - mean * mean)
                state[ys + phase, s], state[y_sum, s], state[y_squares, s] = value, running, squares
                state[y_mean, s] = mean
            for s in range(width):
                product = (state[phase, s] - state[x_anchor, s]) * (state[ys + phase, s] - state[y_anchor, s])
                running = state[total, s] + product
                shared = (running + state[xy + rest, s]) * scale
                both_out[t, s] = known(shared - state[x_mean, s] * state[y_mean, s])
                state[total, s] = running
        else:
            for s in range(width):
                state[x_anchor, s], state[y_anchor, s] = known(x[t, s]), known(y[t, s])
                state[x_sum, s], state[x_squares, s], state[total, s] = 0.0, 0.0, 0.0
                state[y_sum, s], state[y_squares, s] = 0.0, 0.0
            for s in range(width):
                state[ys - 1, s], state[xx - 1, s], state[yy - 1, s] = 0.0, 0.0, 0.0
                state[xy - 1, s], state[own - 1, s] = 0.0, 0.0
            for back in range(2, period + 1):
                at = period - back
                for s in range(width):
                    dx, dy = state[at, s] - state[x_anchor, s], state[ys + at, s] - state[y_anchor, s]
                    state[xy + at, s] = state[xy + at + 1, s] + dx * dy
                for s in range(width):
                    distance = state[at, s] - state[x_anchor, s]
                    state[at, s] = state[at + 1, s] + distance
                    state[xx + at, s] = state[xx + at + 1, s] + distance * distance
                for s in range(width):
                    distance = state[ys + at, s] - state[y_anchor, s]
                    state[ys + at, s] = state[ys + at + 1, s] + distance
                    state[yy + at, s] = state[yy + at + 1, s] + distance * distance
            for s in range(width):
                mean_x, mean_y = state[0, s] * scale, state[ys, s] * scale
                both_out[t, s] = known(state[xy, s] * scale - mean_x * mean_y)
                x_out[t, s] = known(state[xx, s] * scale - mean_x * mean_x)
                y_out[t, s] = known(state[yy, s] * scale - mean_y * mean_y)


@kernel(rows=lambda period: 2 * period + 3, fill=math.nan, cycle=lambda period: period)
def standing(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Distance from the mean in deviations. State: suffix sums, those of squares, anchor, sum, sum of squares."""
    anchor, total, squares = 2 * period, 2 * period + 1, 2 * period + 2
    scale = 1.0 / period
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            for s in range(width):
                value = known(x[t, s])
                distance = value - state[anchor, s]
                running, squared = state[total, s] + distance, state[squares, s] + distance * distance
                state[phase, s], state[total, s], state[squares, s] = value, running, squared
                mean = (running + state[phase + 1, s]) * scale
                variance = (squared + state[period + phase + 1, s]) * scale - mean * mean
                spread = math.sqrt(variance if variance > 0.0 else variance * 0.0)
                out[t, s] = known(0.0 if spread == 0.0 else (distance - mean) / spread)
        else:
            for s in range(width):
                state[anchor, s] = known(x[t, s])
                state[total, s], state[squares, s] = 0.0, 0.0
                state[period - 1, s], state[2 * period - 1, s] = 0.0, 0.0
            for back in range(2, period + 1):
                at = period - back
                for s in range(width):
                    distance = state[at, s] - state[anchor, s]
                    state[at, s] = state[at + 1, s] + distance
                    state[period + at, s] = state[period + at + 1, s] + distance * distance
            for s in range(width):
                mean = state[0, s] * scale
                variance = state[period, s] * scale - mean * mean
                spread = math.sqrt(variance if variance > 0.0 else variance * 0.0)
                out[t, s] = known(0.0 if spread == 0.0 else -mean / spread)


@kernel()
def angle(slope: Matrix, out: Matrix, width: int) -> None:
    """Arc tangent in degrees."""
    for t in range(slope.shape[0]):
        for s in range(width):
            out[t, s] = math.degrees(math.atan(slope[t, s]))
