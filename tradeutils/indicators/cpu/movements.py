"""Kernels of what a bar moved, against the bar before it."""

from __future__ import annotations

import math

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import known, true_range

__all__ = ["buying_pressure", "crossings", "moves", "rises_and_falls"]


@kernel(rows=lambda: 1, fill=math.nan, cycle=lambda: 1)
def moves(x: Matrix, move_out: Matrix, size_out: Matrix, state: Matrix, width: int) -> None:
    """Change, and its size. State: previous value."""
    for t in range(x.shape[0]):
        for s in range(width):
            value = x[t, s]
            move = known(value - state[0, s])
            move_out[t, s], size_out[t, s] = move, abs(move)
            state[0, s] = value


@kernel(rows=lambda: 1, fill=math.nan, cycle=lambda: 1)
def rises_and_falls(x: Matrix, rise_out: Matrix, fall_out: Matrix, state: Matrix, width: int) -> None:
    """Size of a rise, and of a fall. State: previous value."""
    for t in range(x.shape[0]):
        for s in range(width):
            value = x[t, s]
            move = known(value - state[0, s])
            rise_out[t, s], fall_out[t, s] = max(move, 0.0), max(-move, 0.0)
            state[0, s] = value


@kernel(rows=lambda: 1, fill=math.nan, cycle=lambda: 1)
def buying_pressure(
    high: Matrix, low: Matrix, close: Matrix, pressure_out: Matrix, way_out: Matrix, state: Matrix, width: int
) -> None:
    """Way up to the close, and the whole way. State: previous close."""
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom, price, before = high[t, s], low[t, s], close[t, s], state[0, s]
            unknown = (top - top) + (bottom - bottom) + (price - price) + (before - before)
            pressure_out[t, s] = (price - min(bottom, before)) + unknown
            way_out[t, s] = true_range(top, bottom, before) + unknown
            state[0, s] = price


@kernel(rows=lambda: 3, fill=math.nan, cycle=lambda: 1)
def crossings(
    high: Matrix,
    low: Matrix,
    close: Matrix,
    up_out: Matrix,
    down_out: Matrix,
    way_out: Matrix,
    state: Matrix,
    width: int,
) -> None:
    """Ways across the two bars. State: previous high, low and close."""
    for t in range(high.shape[0]):
        for s in range(width):
            top, bottom, price = high[t, s], low[t, s], close[t, s]
            top1, bottom1, before = state[0, s], state[1, s], state[2, s]
            unknown = (top - top) + (bottom - bottom) + (price - price)
            unknown += (top1 - top1) + (bottom1 - bottom1) + (before - before)
            up_out[t, s] = abs(top - bottom1) + unknown
            down_out[t, s] = abs(bottom - top1) + unknown
            way_out[t, s] = true_range(top, bottom, before) + unknown
            state[0, s], state[1, s], state[2, s] = top, bottom, price
