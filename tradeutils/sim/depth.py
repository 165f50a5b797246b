"""
The levels of an order book, made up so that a book changes as one does: here a level, there a level.

The prices of a side are divided into cells, and in each lies at most one level. Its amount, and whether it is there,
are drawn anew every so often, each cell at its own pace, from 0.4 s to 3.6 h. All of it is a function of the moment, so
no state is kept; of 1000 levels some 30 change in 100 ms, and all but those near the best stay where a price moves.
"""

from __future__ import annotations

import functools
import math
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils.model.candles import Column

__all__ = ["levels"]

_Bits: TypeAlias = npt.NDArray[np.uint64]
_Ticks: TypeAlias = npt.NDArray[np.int64]

_STEP, _FIRST, _SECOND = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)  # of splitmix64
_SHIFTS: Final = tuple(np.uint64(number) for number in (30, 27, 31))
_UNIT: Final = 2.0**-53
_DROP: Final = np.uint64(11)
_PACES: Final = np.uint64(15)
_FASTEST_MS: Final = 400
_FASTEST: Final = np.uint64(_FASTEST_MS)
_KEPT: Final = 512  # sides whose cells are kept; of 1000 levels 42 kB each
_GONE: Final = 0.15  # of the cells are empty at a moment
_WIDTH: Final = 1e-5  # of a cell, as a fraction of the price


def levels(best: tuple[int, int], key: int, now: int, typical: float, depth: int) -> list[tuple[_Ticks, Column]]:
    """
    Return the bids and the asks: of each the prices in ticks, best first, and the amounts.

    Parameters
    ----------
    best : tuple of int
        The best bid and ask in ticks; both always have a level.
    key : int
        All depends on it: 64 bits.
    now : int
        The moment, ms UTC.
    typical : float
        The mean amount of a level.
    depth : int
        Levels of a side, at least 1.
    """
    tops = np.array(best, dtype=np.int64)
    with np.errstate(over="ignore"):
        draws = _unit(_mixed(_mixed(tops.astype(np.uint64) ^ np.uint64(key)) ^ np.uint64(now // _FASTEST_MS)))
        amounts = -typical * np.log1p(-draws)
        if depth == 1:
            return [(tops[:1], amounts[:1]), (tops[1:], amounts[1:])]
        # A power of two, so that the cells stay where they are while the price moves.
        width = 2 ** max(0, math.floor(math.log2(max(best[0], 1) * _WIDTH)))
        sides = [_side(top, sign, width, key, now, depth) for top, sign in zip(best, (-1, 1), strict=True)]
    return [
        (np.concatenate((tops[side : side + 1], ticks)), np.concatenate((amounts[side : side + 1], typical * sizes)))
        for side, (ticks, sizes) in enumerate(sides)
    ]


@functools.lru_cache(maxsize=_KEPT)
def _cells(first: int, sign: int, width: int, key: int, count: int) -> tuple[_Bits, _Ticks, _Bits, _Bits]:
    """Return of each cell what does not change: its bits, the price in it, and where it is in turns of which shift."""
    cells = first + sign * np.arange(count)
    bits = _mixed(cells.astype(np.uint64) ^ np.uint64(key))
    ticks = cells * width + (bits % np.uint64(width)).astype(np.int64)
    return bits, ticks, bits >> np.uint64(43), bits >> np.uint64(40) & _PACES


def _side(top: int, sign: int, width: int, key: int, now: int, depth: int) -> tuple[_Ticks, Column]:
    """Return the ticks of the levels beyond the best, and their amounts as multiples of the typical."""
    bits, ticks, phase, pace = _cells(top // width, sign, width, key, int(depth * 1.3) + 24)
    # Each cell begins its turns at a moment of its own.
    turn = (phase + np.uint64(now)) // _FASTEST >> pace
    draws = _unit(_mixed(bits ^ _mixed(turn)))
    there = (draws >= _GONE) & ((ticks - top) * sign > 0) & (ticks > 0)
    ticks, draws = ticks[there][: depth - 1], draws[there][: depth - 1]
    sizes: Column = -np.log1p((_GONE - draws) / (1 - _GONE))
    return ticks, sizes


def _mixed(values: _Bits) -> _Bits:
    """Return 64 bits that look like chance and depend on the value alone."""
    mixed = values + _STEP
    mixed ^= mixed >> _SHIFTS[0]
    mixed *= _FIRST
    mixed ^= mixed >> _SHIFTS[1]
    mixed *= _SECOND
    mixed ^= mixed >> _SHIFTS[2]
    return mixed


def _unit(bits: _Bits) -> Column:
    """Return numbers in [0, 1)."""
    numbers: Column = (bits >> _DROP).astype(np.float64) * _UNIT
    return numbers
