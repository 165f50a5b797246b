"""The compiled profile of volume by price: of the rows before each bar, series after series."""

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
BARS, SERIES, HIGH, LOW, VOLUME = 0, 1, 2, 3, 4
CONTROL, LOWER, UPPER = 5, 6, 7
SHARE, BEGINS, LIMITS, MADE, ENDS = 8, 9, 10, 11, 12
WORDS: Final = 13
"""
Bars; series; where inputs and outputs lie, series after series; where the share of the value area lies; where each bar
says which row its profile begins with, -1 for no profile; the address of the number of bins and of the first bar to be
profiled; and where the bins of each series lie, and their lowest and highest price, as of the last profile.
"""


@step
def traded(high: float, low: float, volume: float) -> bool:
    """Return whether a bar counts: prices and volume known, something traded, the high no lower than the low."""
    return (high - high) + (low - low) + (volume - volume) == 0.0 and volume > 0.0 and high >= low


@step
def place(price: float, bottom: float, size: float, bins: int) -> int:
    """Return the bin of a price; compared before it is made whole, as what is too large for an integer must not be."""
    if not size > 0.0:
        return 0
    steps = (price - bottom) / size
    return int(steps) if steps < bins - 1 else bins - 1


@step
def add(high: float, low: float, volume: float, bottom: float, size: float, made: Any) -> None:
    """Spread the volume of a bar over the bins of its range."""
    a, b = place(low, bottom, size, len(made)), place(high, bottom, size, len(made))
    if a == b:
        made[a] += volume
    else:
        # Shares of the bar's range, not volume by price unit: that overflows where the range is tiny.
        span = high - low
        made[a] += max((bottom + (a + 1) * size - low) / span, 0.0) * volume
        inside = size / span * volume
        for k in range(a + 1, b):
            made[k] += inside
        made[b] += max((high - (bottom + b * size)) / span, 0.0) * volume


@step
def spread(high: Any, low: Any, volume: Any, first: int, last: int, made: Any) -> tuple[float, float]:
    """Fill the bins from the rows ``[first, last]``; return the lowest and the highest price, NaN where none traded."""
    bottom, top, bins = math.inf, -math.inf, len(made)
    for t in range(first, last + 1):
        if traded(high[t], low[t], volume[t]):
            bottom, top = min(bottom, low[t]), max(top, high[t])
    for k in range(bins):
        made[k] = 0.0
    size = (top - bottom) / bins
    if not (bottom <= top and size - size == 0.0):
        return math.nan, math.nan
    for t in range(first, last + 1):
        if traded(high[t], low[t], volume[t]):
            add(high[t], low[t], volume[t], bottom, size, made)
    return bottom, top


@step
def fullest(made: Any) -> int:
    """Return the bin with most volume; of equal ones the nearest to the middle, and of these the lower."""
    best, middle = 0, len(made) - 1
    for k in range(len(made)):
        nearer = abs(2 * k - middle) < abs(2 * best - middle)
        if made[k] > made[best] or (made[k] == made[best] and nearer):
            best = k
    return best


@step
def value_area(made: Any, best: int, share: float) -> tuple[int, int]:
    """Return the lowest and highest bin of the value area: bin by bin to the side that has more, up where even."""
    total = 0.0
    for k in range(len(made)):
        total += made[k]
    lower, upper, held = best, best, made[best]
    while held < share * total and (lower > 0 or upper < len(made) - 1):
        below = made[lower - 1] if lower > 0 else -1.0
        above = made[upper + 1] if upper < len(made) - 1 else -1.0
        if above >= below:
            upper += 1
            held += above
        else:
            lower -= 1
            held += below
    return lower, upper


def _search(table: int) -> None:
    """Profile all series of a table."""
    head = words(table, WORDS)
    bars, limits, share = head[BARS], words(head[LIMITS], 2), load(head[SHARE])
    bins, begins = limits[0], words(head[BEGINS], head[BARS])
    for s in range(head[SERIES]):
        at = 8 * bars * s
        high, low, volume = floats(head[HIGH] + at, bars), floats(head[LOW] + at, bars), floats(head[VOLUME] + at, bars)
        control, lower = floats(head[CONTROL] + at, bars), floats(head[LOWER] + at, bars)
        upper = floats(head[UPPER] + at, bars)
        made, ends = floats(head[MADE] + 8 * bins * s, bins), floats(head[ENDS] + 16 * s, 2)
        bottom, top = math.nan, math.nan
        for t in range(limits[1], bars):
            if begins[t] < 0:
                continue
            counts = traded(high[t], low[t], volume[t])
            # A bar within the range so far comes last in the same sums that a profile made afresh would be.
            if t > limits[1] and begins[t] == begins[t - 1] and (not counts or (bottom <= low[t] and high[t] <= top)):
                if counts:
                    add(high[t], low[t], volume[t], bottom, (top - bottom) / bins, made)
            else:
                bottom, top = spread(high, low, volume, begins[t], t, made)
            if bottom <= top:
                size = (top - bottom) / bins
                best = fullest(made)
                a, b = value_area(made, best, share)
                control[t] = bottom + (best + 0.5) * size
                lower[t] = bottom + a * size
                upper[t] = top if b == bins - 1 else bottom + (b + 1) * size
        ends[0], ends[1] = bottom, top


@functools.cache
def search() -> Callable[[int], None]:
    """Return the compiled profile: it takes the address of a table and runs without the GIL."""
    made: Any = compiled(_search, "the profile of volume", 1, "profiles")
    run: Callable[[int], None] = made.ctypes
    return run
