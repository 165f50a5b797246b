"""
Kernels over the last bars: sums, means, deviations.

Time is cut into blocks of ``period`` bars. A window is the end of one block and the beginning of the next: its sum
is a suffix sum of the one and a running sum of the other. Sums that are subtracted from one another later are taken
of distances from the last value of the first block, the anchor, which lies inside every window that uses it. Nothing
is ever subtracted from a running sum, so there is no drift, distances keep all their digits, and a NaN is gone once
it has left the window. (The idea is van Herk's, 1992. A sliding sum of squares loses every digit on prices of
1e5 +- 1e-3; this keeps 2e-15.)

A suffix sum is read once, at the bar before its slot falls free; the values of the running block then take the slots
over, and become the next suffix sums where they stand when the block is complete.
"""

from __future__ import annotations

import math

import numpy as np

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import known

__all__ = ["bands", "deviation", "lag", "mean", "spread", "total", "weighted"]


@kernel(rows=lambda bars: bars, fill=np.nan, cycle=lambda bars: max(bars, 1))
def lag(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, bars: int) -> None:
    """Value some bars ago. State: a ring of the last values."""
    for t in range(x.shape[0]):
        if bars == 0:
            for s in range(width):
                out[t, s] = known(x[t, s])
        else:
            at = (seen + t) % bars
            for s in range(width):
                before = state[at, s]
                state[at, s] = x[t, s]
                out[t, s] = known(before)


@kernel(rows=lambda period: period + 1, fill=np.nan, cycle=lambda period: period)
def total(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Sum of the last values. State: suffix sums of the block before and values of this one; the running sum."""
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            for s in range(width):
                value = known(x[t, s])
                running = state[period, s] + value
                out[t, s] = running + state[phase + 1, s]
                state[period, s], state[phase, s] = running, value
        else:
            for s in range(width):
                state[period - 1, s] = known(x[t, s])
                state[period, s] = 0.0
            for back in range(1, period):
                for s in range(width):
                    state[period - 1 - back, s] += state[period - back, s]
            for s in range(width):
                out[t, s] = state[0, s]


@kernel(rows=lambda period: period + 2, fill=np.nan, cycle=lambda period: period)
def mean(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Mean of the last values. State: suffix sums and values as for a total, anchor, running sum."""
    anchor, sum_ = period, period + 1
    scale = 1.0 / period
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            for s in range(width):
                value = known(x[t, s])
                running = state[sum_, s] + (value - state[anchor, s])
                out[t, s] = state[anchor, s] + (running + state[phase + 1, s]) * scale
                state[sum_, s], state[phase, s] = running, value
        else:
            for s in range(width):
                state[anchor, s] = known(x[t, s])
                state[period - 1, s], state[sum_, s] = 0.0, 0.0
            for back in range(1, period):
                for s in range(width):
                    distance = state[period - 1 - back, s] - state[anchor, s]
                    state[period - 1 - back, s] = state[period - back, s] + distance
            for s in range(width):
                out[t, s] = state[anchor, s] + state[0, s] * scale


@kernel(rows=lambda period, deviations: 2 * period + 3, fill=np.nan, cycle=lambda period, deviations: period)
def bands(
    x: Matrix,
    upper_out: Matrix,
    middle_out: Matrix,
    lower_out: Matrix,
    state: Matrix,
    seen: int,
    width: int,
    period: int,
    deviations: float,
) -> None:
    """Mean, and deviations above and below it. State: as :func:`mean`, with suffix sums of squares behind the sums."""
    anchor, sum_, squares = 2 * period, 2 * period + 1, 2 * period + 2
    scale = 1.0 / period
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            for s in range(width):
                value = known(x[t, s])
                distance = value - state[anchor, s]
                running, running_squares = state[sum_, s] + distance, state[squares, s] + distance * distance
                mean_of = (running + state[phase + 1, s]) * scale
                mean_of_squares = (running_squares + state[period + phase + 1, s]) * scale
                variance = mean_of_squares - mean_of * mean_of
                # Rounding may leave a variance just below zero, which is zero; NaN stays NaN.
                reach = deviations * math.sqrt(variance if variance > 0.0 else variance * 0.0)
                middle = state[anchor, s] + mean_of
                upper_out[t, s], middle_out[t, s], lower_out[t, s] = middle + reach, middle, middle - reach
                state[sum_, s], state[squares, s], state[phase, s] = running, running_squares, value
        else:
            for s in range(width):
                value = known(x[t, s])
                state[anchor, s], state[period - 1, s] = value, value - value
                state[2 * period - 1, s] = value - value
                state[sum_, s], state[squares, s] = 0.0, 0.0
            for back in range(1, period):
                for s in range(width):
                    distance = state[period - 1 - back, s] - state[anchor, s]
                    state[period - 1 - back, s] = state[period - back, s] + distance
                    state[2 * period - 1 - back, s] = state[2 * period - back, s] + distance * distance
            for s in range(width):
                mean_of, mean_of_squares = state[0, s] * scale, state[period, s] * scale
                variance = mean_of_squares - mean_of * mean_of
                reach = deviations * math.sqrt(variance if variance > 0.0 else variance * 0.0)
                middle = state[anchor, s] + mean_of
                upper_out[t, s], middle_out[t, s], lower_out[t, s] = middle + reach, middle, middle - reach


@kernel(rows=lambda period: 2 * period + 3, fill=np.nan, cycle=lambda period: period)
def deviation(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Standard deviation (ddof 0). State: as :func:`bands`."""
    anchor, sum_, squares = 2 * period, 2 * period + 1, 2 * period + 2
    scale = 1.0 / period
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            for s in range(width):
                value = known(x[t, s])
                distance = value - state[anchor, s]
                running, running_squares = state[sum_, s] + distance, state[squares, s] + distance * distance
                mean_of = (running + state[phase + 1, s]) * scale
                variance = (running_squares + state[period + phase + 1, s]) * scale - mean_of * mean_of
                out[t, s] = math.sqrt(variance if variance > 0.0 else variance * 0.0)
                state[sum_, s], state[squares, s], state[phase, s] = running, running_squares, value
        else:
            for s in range(width):
                value = known(x[t, s])
                state[anchor, s], state[period - 1, s] = value, value - value
                state[2 * period - 1, s] = value - value
                state[sum_, s], state[squares, s] = 0.0, 0.0
            for back in range(1, period):
                for s in range(width):
                    distance = state[period - 1 - back, s] - state[anchor, s]
                    state[period - 1 - back, s] = state[period - back, s] + distance
                    state[2 * period - 1 - back, s] = state[2 * period - back, s] + distance * distance
            for s in range(width):
                mean_of = state[0, s] * scale
                variance = state[period, s] * scale - mean_of * mean_of
                out[t, s] = math.sqrt(variance if variance > 0.0 else variance * 0.0)


@kernel(rows=lambda period: period + 4, fill=np.nan, cycle=lambda period: period)
def weighted(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """
    Mean with weights 1, 2 .. period.

    State: weighted suffix sums of the block before and values of this one; anchor, running sum, running sum of values
    times their phase, and the plain suffix sum while the block's end is at work.
    """
    anchor, sum_, moment, suffix = period, period + 1, period + 2, period + 3
    scale = 2.0 / (period * (period + 1.0))
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase < period - 1:
            here, weight = float(phase), float(period - phase)
            for s in range(width):
                value = known(x[t, s])
                distance = value - state[anchor, s]
                running = state[sum_, s] + distance
                running_moment = state[moment, s] + here * distance
                out[t, s] = state[anchor, s] + (state[phase + 1, s] + (weight * running + running_moment)) * scale
                state[sum_, s], state[moment, s], state[phase, s] = running, running_moment, value
        else:
            for s in range(width):
                state[anchor, s] = known(x[t, s])
                state[period - 1, s], state[suffix, s] = 0.0, 0.0
                state[sum_, s], state[moment, s] = 0.0, 0.0
            for back in range(1, period):
                for s in range(width):
                    plain = state[suffix, s] + (state[period - 1 - back, s] - state[anchor, s])
                    state[suffix, s] = plain
                    state[period - 1 - back, s] = state[period - back, s] + plain
            for s in range(width):
                out[t, s] = state[anchor, s] + state[0, s] * scale


@kernel(rows=lambda period: period + 1, fill=np.nan, cycle=lambda period: period)
def spread(x: Matrix, middle_out: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """
    Mean of the last values, and their mean distance from it.

    State: a ring of the last values, and the sum at work. The one kernel here whose cost grows with the period:
    distances from a mean that moves cannot be carried over. So the mean is added up anew as well, in TA-Lib's order.
    """
    size = float(period)
    fours = period // 4 * 4
    for t in range(x.shape[0]):
        at = (seen + t) % period
        for s in range(width):
            state[at, s] = known(x[t, s])
        for s in range(width):
            state[period, s] = 0.0
        # Four rows at a time: the sum at work is then read and written a quarter as often. Eight were no faster.
        for k in range(0, fours, 4):
            for s in range(width):
                some = state[period, s] + state[k, s] + state[k + 1, s]
                state[period, s] = some + state[k + 2, s] + state[k + 3, s]
        for k in range(fours, period):
            for s in range(width):
                state[period, s] += state[k, s]
        for s in range(width):
            middle_out[t, s] = state[period, s] / size
            state[period, s] = 0.0
        for k in range(0, fours, 4):
            for s in range(width):
                middle = middle_out[t, s]
                some = state[period, s] + abs(state[k, s] - middle) + abs(state[k + 1, s] - middle)
                state[period, s] = some + abs(state[k + 2, s] - middle) + abs(state[k + 3, s] - middle)
        for k in range(fours, period):
            for s in range(width):
                state[period, s] += abs(state[k, s] - middle_out[t, s])
        for s in range(width):
            out[t, s] = state[period, s] / size
