"""Kernels of the directional movement system."""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel, step
from tradeutils.indicators.cpu.steps import advance, held, known, seed, within

__all__ = ["adx", "decaying", "directional_index", "movement"]


@step
def moved(high: float, low: float, high_before: float, low_before: float) -> tuple[float, float]:
    """Return the directional movements of a bar, up and down; one of them is 0."""
    up, down = high - high_before, low_before - low
    return (up if up > down and up > 0.0 else 0.0), (down if down > up and down > 0.0 else 0.0)


@step
def decayed(value: float, sum_: float, age: float, period: float, scale: float) -> float:
    """
    Return TA-Lib's decaying sum after ``value``, the ``age``-th in a row.

    The first ``period - 1`` are summed; ``scale`` = 1 / period.
    """
    before = sum_ if age > 1.0 else 0.0
    fading = before - before * scale
    return (fading if age >= period else before) + value


@kernel(rows=lambda: 3, counts=1)
def movement(
    high: Matrix, low: Matrix, plus_out: Matrix, minus_out: Matrix, state: Matrix, width: int, mode: int
) -> None:
    """Directional movements. State: count, previous high and low."""
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom = high[t, s], low[t, s]
            good = known((top - top) + bottom)
            count = advance(state[0, s], good, mode)
            plus, minus = moved(top, bottom, state[1, s], state[2, s])
            state[0, s] = count
            state[1, s], state[2, s] = held(top, state[1, s], good, mode), held(bottom, state[2, s], good, mode)
            plus_out[t, s] = within(plus + (good - good), count, 2.0)
            minus_out[t, s] = within(minus + (good - good), count, 2.0)


@kernel(rows=lambda period, first: 2, counts=1)
def decaying(x: Matrix, out: Matrix, state: Matrix, width: int, mode: int, period: int, first: int) -> None:
    """Decaying sum. State: count, sum."""
    size, scale, least = float(period), 1.0 / period, float(first)
    for t in range(x.shape[0]):
        for s in range(width):
            value = known(x[t, s])
            count = advance(state[0, s], value, mode)
            sum_ = decayed(value, state[1, s], count, size, scale)
            state[0, s], state[1, s] = count, held(sum_, state[1, s], value, mode)
            out[t, s] = within(sum_, count, least)


@kernel(rows=lambda: 2, counts=1)
def directional_index(plus: Matrix, minus: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Difference by sum. State: count, last index."""
    for t in range(plus.shape[0]):
        for s in range(width):
            both = known(plus[t, s] + minus[t, s])
            count = advance(state[0, s], both, mode)
            index = 100.0 * (abs(plus[t, s] - minus[t, s]) / (both if both != 0.0 else 1.0))
            last = state[1, s] if count > 1.0 else 0.0
            index = last if both == 0.0 else index
            state[0, s], state[1, s] = count, held(index, state[1, s], both, mode)
            out[t, s] = within(index, count, 1.0)


@kernel(rows=lambda period, smoothing: 6, counts=1)
def adx(
    high: Matrix, low: Matrix, out: Matrix, state: Matrix, width: int, mode: int, period: int, smoothing: int
) -> None:
    """Average directional index. State: count, previous high and low, both decaying sums, average."""
    size, fade, length, scale = float(period), 1.0 / period, float(smoothing), 1.0 / smoothing
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom = high[t, s], low[t, s]
            good = known((top - top) + bottom)
            count = advance(state[0, s], good, mode)
            up, down = moved(top, bottom, state[1, s], state[2, s])
            age = count - 1.0  # the first good bar has no movement
            plus, minus = decayed(up, state[3, s], age, size, fade), decayed(down, state[4, s], age, size, fade)
            both = plus + minus
            index = 100.0 * (abs(plus - minus) / (both if both != 0.0 else 1.0))
            indices, average = age - (size - 1.0), state[5, s]
            seeded = seed(index if both != 0.0 else 0.0, average, indices, length, scale)
            going = (average * (length - 1.0) + index) * scale
            moving = average if both == 0.0 else going
            average = moving if indices > length else seeded
            state[0, s] = count
            state[1, s], state[2, s] = held(top, state[1, s], good, mode), held(bottom, state[2, s], good, mode)
            state[3, s], state[4, s] = held(plus, state[3, s], good, mode), held(minus, state[4, s], good, mode)
            state[5, s] = held(average, state[5, s], good, mode)
            out[t, s] = within(average + (good - good), indices, length)
