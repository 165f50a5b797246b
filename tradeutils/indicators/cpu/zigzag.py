"""The compiled search for the turns of a zig-zag: series after series, a bar at a time."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final

from tradeutils.indicators.cpu.compiling import compiled, step
from tradeutils.indicators.cpu.flat import floats
from tradeutils.indicators.cpu.machine import load, words

__all__ = ["WORDS", "search"]

# Words of a table.
BARS, SERIES, HIGH, LOW, REACH, HIGH_AT, LOW_AT, SHARE = 0, 1, 2, 3, 4, 5, 6, 7
WORDS: Final = 8
"""
Bars; series; where the highs, the lows and the reach lie (float64, series after series); where the rows of the turns go
(int64, alike); and where the share lies.
"""


@step
def there(high: float, low: float, reach: float) -> bool:
    """Return whether a bar counts: all three are finite."""
    return (high - high) + (low - low) + (reach - reach) == 0.0


@step
def turns(high: Any, low: Any, reach: Any, share: float, high_at: Any, low_at: Any) -> None:
    """
    Write at each bar that confirms a turn the row of the turn, -1 at all others.

    ``side`` is 1 in a rising leg, -1 in a falling one, 0 before the first turn, while both ends are watched.
    """
    side, top, top_at, bottom, bottom_at = 0, -math.inf, -1, math.inf, -1
    for t in range(len(high)):
        upper, lower = high[t], low[t]
        high_at[t], low_at[t] = -1, -1
        if not there(upper, lower, reach[t]):
            continue
        falls, rises = False, False
        if side >= 0:
            if upper > top:
                top, top_at = upper, t
            else:
                falls = lower <= top - (share * abs(top) + reach[t])
        if side <= 0:
            if lower < bottom:
                bottom, bottom_at = lower, t
            else:
                rises = upper >= bottom + (share * abs(bottom) + reach[t])
        if falls and rises:  # before the first turn: what came first was turned from by what came second
            falls, rises = top_at < bottom_at, bottom_at < top_at
        if falls:
            high_at[t] = top_at
            # An ATR that shrinks may confirm a turn after the lowest bar, so the new leg's end is looked for.
            side, bottom = -1, math.inf
            for u in range(top_at + 1, t + 1):
                if there(high[u], low[u], reach[u]) and low[u] < bottom:
                    bottom, bottom_at = low[u], u
        elif rises:
            low_at[t] = bottom_at
            side, top = 1, -math.inf
            for u in range(bottom_at + 1, t + 1):
                if there(high[u], low[u], reach[u]) and high[u] > top:
                    top, top_at = high[u], u


def _search(table: int) -> None:
    """Search all series of a table."""
    head = words(table, WORDS)
    bars, share = head[BARS], load(head[SHARE])
    for s in range(head[SERIES]):
        at = 8 * bars * s
        turns(
            floats(head[HIGH] + at, bars),
            floats(head[LOW] + at, bars),
            floats(head[REACH] + at, bars),
            share,
            words(head[HIGH_AT] + at, bars),
            words(head[LOW_AT] + at, bars),
        )


@functools.cache
def search() -> Callable[[int], None]:
    """Return the compiled search: it takes the address of a table and runs without the GIL."""
    made: Any = compiled(_search, "the search for turns", 1, "zigzag")
    run: Callable[[int], None] = made.ctypes
    return run
