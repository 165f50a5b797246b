"""Kernels of transforms of a value's place in its range."""

from __future__ import annotations

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.logarithms import logarithm
from tradeutils.indicators.cpu.steps import advance, held, known, within

__all__ = ["fisher"]


@kernel(rows=lambda: 3, counts=1)
def fisher(place: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Ehlers' transform of the smoothed place, and half of the last one. State: count, smoothed place, transform."""
    for t in range(place.shape[0]):
        for s in range(width):
            value, smooth0, made0 = known(place[t, s]), state[1, s], state[2, s]
            count = advance(state[0, s], value, mode)
            begun = count > 1.0
            smooth = 0.66 * (value - 0.5) + 0.67 * (smooth0 if begun else 0.0)
            smooth = 0.999 if smooth > 0.99 else (-0.999 if smooth < -0.99 else smooth)
            made = 0.5 * logarithm((1.0 + smooth) / (1.0 - smooth)) + 0.5 * (made0 if begun else 0.0)
            state[0, s], state[1, s] = count, held(smooth, smooth0, value, mode)
            state[2, s] = held(made, made0, value, mode)
            out[t, s] = within(made, count, 1.0)
