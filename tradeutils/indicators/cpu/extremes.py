"""
Kernels of the highest and the lowest of the last bars, in three comparisons a bar whatever the period (van Herk 1992).

Time is cut into blocks of ``period`` bars. The highest of a window is the larger of two: of the end of one block,
which a suffix maximum knows, and of the beginning of the next, which a running one knows. Slots of suffix maxima that
have been read take the values of the running block, as in ``windows.py``.
"""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel, step
from tradeutils.indicators.cpu.steps import known

__all__ = ["bars_since_highest", "bars_since_lowest", "channel", "highest", "lowest"]


@step
def larger(a: float, b: float) -> float:
    """Return the larger, NaN where either is NaN."""
    chosen = a if a > b else b  # noqa: FURB136  # b where either is NaN, which max() does not say
    return chosen if a == a else a


@step
def smaller(a: float, b: float) -> float:
    """Return the smaller, NaN where either is NaN."""
    chosen = a if a < b else b  # noqa: FURB136  # as in larger()
    return chosen if a == a else a


@kernel(rows=lambda period: period + 1, fill=math.nan, cycle=lambda period: period)
def highest(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Largest of the last values. State: suffix maxima of the block before and values of this one; the running one."""
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase == period - 1:
            for s in range(width):
                state[phase, s] = known(x[t, s])
            for back in range(1, period):
                for s in range(width):
                    state[phase - back, s] = larger(state[phase - back, s], state[phase - back + 1, s])
            for s in range(width):
                out[t, s] = state[0, s]
        elif phase == 0:
            for s in range(width):
                value = known(x[t, s])
                out[t, s] = larger(value, state[1, s])
                state[period, s], state[0, s] = value, value
        else:
            for s in range(width):
                value = known(x[t, s])
                running = larger(value, state[period, s])
                out[t, s] = larger(running, state[phase + 1, s])
                state[period, s], state[phase, s] = running, value


@kernel(rows=lambda period: period + 1, fill=math.nan, cycle=lambda period: period)
def lowest(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Smallest of the last values. State: as :func:`highest`."""
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        if phase == period - 1:
            for s in range(width):
                state[phase, s] = known(x[t, s])
            for back in range(1, period):
                for s in range(width):
                    state[phase - back, s] = smaller(state[phase - back, s], state[phase - back + 1, s])
            for s in range(width):
                out[t, s] = state[0, s]
        elif phase == 0:
            for s in range(width):
                value = known(x[t, s])
                out[t, s] = smaller(value, state[1, s])
                state[period, s], state[0, s] = value, value
        else:
            for s in range(width):
                value = known(x[t, s])
                running = smaller(value, state[period, s])
                out[t, s] = smaller(running, state[phase + 1, s])
                state[period, s], state[phase, s] = running, value


@kernel(rows=lambda period: 2 * period + 2, fill=math.nan, cycle=lambda period: period)
def channel(
    high: Matrix,
    low: Matrix,
    upper_out: Matrix,
    middle_out: Matrix,
    lower_out: Matrix,
    state: Matrix,
    seen: int,
    width: int,
    period: int,
) -> None:
    """Highest of one, lowest of the other, and their mean. State: as :func:`highest`, then as :func:`lowest`."""
    top, bottom = 2 * period, 2 * period + 1
    for t in range(high.shape[0]):
        phase = (seen + t) % period
        if phase == period - 1:
            for s in range(width):
                state[phase, s], state[period + phase, s] = known(high[t, s]), known(low[t, s])
            for back in range(1, period):
                for s in range(width):
                    state[phase - back, s] = larger(state[phase - back, s], state[phase - back + 1, s])
                for s in range(width):
                    state[2 * period - 1 - back, s] = smaller(
                        state[2 * period - 1 - back, s], state[2 * period - 1 - back + 1, s]
                    )
            for s in range(width):
                upper, lower = state[0, s], state[period, s]
                upper_out[t, s], lower_out[t, s] = upper + (lower - lower), lower + (upper - upper)
                middle_out[t, s] = 0.5 * (upper + lower)
        else:
            if phase == 0:
                for s in range(width):
                    state[top, s], state[bottom, s] = known(high[t, s]), known(low[t, s])
            for s in range(width):
                first, second = known(high[t, s]), known(low[t, s])
                highest_so_far, lowest_so_far = larger(first, state[top, s]), smaller(second, state[bottom, s])
                upper = larger(highest_so_far, state[phase + 1, s])
                lower = smaller(lowest_so_far, state[period + phase + 1, s])
                upper_out[t, s], lower_out[t, s] = upper + (lower - lower), lower + (upper - upper)
                middle_out[t, s] = 0.5 * (upper + lower)
                state[top, s], state[bottom, s] = highest_so_far, lowest_so_far
                state[phase, s], state[period + phase, s] = first, second


@kernel(rows=lambda period: 2 * period + 2, fill=math.nan, cycle=lambda period: period)
def bars_since_highest(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Bars since the newest of the largest. State: as :func:`highest`, each maximum followed by its phase."""
    running, running_at = 2 * period, 2 * period + 1
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        now, last = float(phase), phase == period - 1
        following = 0 if last else phase + 1
        ago = float(phase + period)
        for s in range(width):
            value = known(x[t, s])
            top, at = state[running, s], state[running_at, s]
            newer = value >= top or phase == 0
            at = now if newer else at
            top = (value if newer else top) + (value - value) + (0.0 if phase == 0 else top - top)
            before, before_at = state[following, s], state[period + following, s]
            since = now - at if top >= before or last else ago - before_at
            out[t, s] = since + (top - top) + (0.0 if last else before - before)
            state[running, s], state[running_at, s], state[phase, s] = top, at, value
            state[period + phase, s] = now
        if last:
            for back in range(1, period):
                at_here = float(phase - back)
                for s in range(width):
                    value, newest = state[phase - back, s], state[phase - back + 1, s]
                    older = value > newest
                    state[phase - back, s] = (value if older else newest) + (value - value)
                    state[period + phase - back, s] = at_here if older else state[period + phase - back + 1, s]


@kernel(rows=lambda period: 2 * period + 2, fill=math.nan, cycle=lambda period: period)
def bars_since_lowest(x: Matrix, out: Matrix, state: Matrix, seen: int, width: int, period: int) -> None:
    """Bars since the newest of the smallest. State: as :func:`bars_since_highest`."""
    running, running_at = 2 * period, 2 * period + 1
    for t in range(x.shape[0]):
        phase = (seen + t) % period
        now, last = float(phase), phase == period - 1
        following = 0 if last else phase + 1
        ago = float(phase + period)
        for s in range(width):
            value = known(x[t, s])
            bottom, at = state[running, s], state[running_at, s]
            newer = value <= bottom or phase == 0
            at = now if newer else at
            bottom = (value if newer else bottom) + (value - value) + (0.0 if phase == 0 else bottom - bottom)
            before, before_at = state[following, s], state[period + following, s]
            since = now - at if bottom <= before or last else ago - before_at
            out[t, s] = since + (bottom - bottom) + (0.0 if last else before - before)
            state[running, s], state[running_at, s], state[phase, s] = bottom, at, value
            state[period + phase, s] = now
        if last:
            for back in range(1, period):
                at_here = float(phase - back)
                for s in range(width):
                    value, newest = state[phase - back, s], state[phase - back + 1, s]
                    older = value < newest
                    state[phase - back, s] = (value if older else newest) + (value - value)
                    state[period + phase - back, s] = at_here if older else state[period + phase - back + 1, s]
