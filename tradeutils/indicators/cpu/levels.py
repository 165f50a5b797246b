"""The compiled search for support and resistance: series after series, a bar at a time, over a list of levels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final

from tradeutils.indicators.cpu.compiling import compiled, step
from tradeutils.indicators.cpu.flat import floats
from tradeutils.indicators.cpu.machine import load, matrix, words

__all__ = ["BREAKS", "FIELDS", "FIRST", "KIND", "LAST", "PRICE", "TOUCHES", "WEIGHT", "WORDS", "search"]

PRICE, KIND, TOUCHES, FIRST, LAST, WEIGHT, BREAKS = 0, 1, 2, 3, 4, 5, 6
FIELDS: Final = 7
"""Rows of a ledger, which has a column for each level: its kind is 1 for support and -1 for resistance."""

# Words of a table.
BARS, SERIES, HIGH, LOW, CLOSE, REACH, HIGH_AT, LOW_AT = 0, 1, 2, 3, 4, 5, 6, 7
SUPPORT, RESISTANCE, SUPPORT_TOUCHES, RESISTANCE_TOUCHES = 8, 9, 10, 11
SHARE, DECAY, LIMITS, LEDGERS, OFFSETS, ALIVE = 12, 13, 14, 15, 16, 17
WORDS: Final = 18
"""
Bars; series; where inputs and outputs lie, series after series; where the share and the weights by age lie; the address
of the lookback and the flips; where the ledgers lie, how many levels go before that of each series, and how many each
ends with.
"""


@step
def judged(ledger: Any, i: int, close: float, width: float, flips: int) -> bool:
    """Break a level that a bar closes beyond; return whether it goes on."""
    price, kind = ledger[PRICE, i], ledger[KIND, i]
    if kind * (price - close) > width:
        ledger[BREAKS, i] += 1.0
        ledger[KIND, i] = -kind
        return bool(ledger[BREAKS, i] <= flips)
    return True


@step
def touch(ledger: Any, count: int, row: int, price: float, kind: float, tolerance: float, decay: Any) -> int:
    """Have a pivot touch the nearest level within the tolerance, or make one; return how many there are then."""
    best, nearest = -1, math.inf
    for i in range(count):
        apart = abs(ledger[PRICE, i] - price)
        if apart <= tolerance and apart < nearest:
            best, nearest = i, apart
    if best >= 0:
        ledger[TOUCHES, best] += 1.0
        ledger[PRICE, best] += (price - ledger[PRICE, best]) / ledger[TOUCHES, best]
        ledger[WEIGHT, best] = ledger[WEIGHT, best] * decay[row - int(ledger[LAST, best])] + 1.0
        ledger[LAST, best] = row
        return count
    ledger[PRICE, count], ledger[KIND, count], ledger[TOUCHES, count] = price, kind, 1.0
    ledger[FIRST, count], ledger[LAST, count] = row, row
    ledger[WEIGHT, count], ledger[BREAKS, count] = 1.0, 0.0
    return count + 1


@step
def follow(
    high: Any,
    low: Any,
    close: Any,
    reach: Any,
    high_at: Any,
    low_at: Any,
    support: Any,
    resistance: Any,
    support_touches: Any,
    resistance_touches: Any,
    share: float,
    decay: Any,
    lookback: int,
    flips: int,
    ledger: Any,
) -> int:
    """Write the nearest levels at each bar, keep the ledger, and return how many levels are left in it."""
    count, base = 0, math.nan
    for t in range(len(close)):
        if reach[t] - reach[t] == 0.0:
            base = reach[t]
        now, kept = close[t], 0
        known = now - now == 0.0
        for i in range(count):
            width = share * abs(ledger[PRICE, i]) + base
            if t - ledger[LAST, i] <= lookback and (not known or judged(ledger, i, now, width, flips)):
                if kept < i:
                    for field in range(FIELDS):
                        ledger[field, kept] = ledger[field, i]
                kept += 1
        count = kept
        if base - base == 0.0:
            if high_at[t] >= 0:
                price = high[high_at[t]]
                count = touch(ledger, count, high_at[t], price, -1.0, share * abs(price) + base, decay)
            if low_at[t] >= 0:
                price = low[low_at[t]]
                count = touch(ledger, count, low_at[t], price, 1.0, share * abs(price) + base, decay)
        below, above = -math.inf, math.inf
        below_touches, above_touches = 0, 0
        for i in range(count):
            price = ledger[PRICE, i]
            if ledger[KIND, i] > 0.0:
                if price > below:
                    below, below_touches = price, int(ledger[TOUCHES, i])
            elif price < above:
                above, above_touches = price, int(ledger[TOUCHES, i])
        support[t] = below if below_touches > 0 else math.nan
        resistance[t] = above if above_touches > 0 else math.nan
        support_touches[t], resistance_touches[t] = below_touches, above_touches
    return count


def _search(table: int) -> None:
    """Follow the levels of all series of a table."""
    head = words(table, WORDS)
    bars, series = head[BARS], head[SERIES]
    offsets, alive = words(head[OFFSETS], series + 1), words(head[ALIVE], series)
    limits = words(head[LIMITS], 2)
    share, lookback, flips = load(head[SHARE]), limits[0], limits[1]
    decay = floats(head[DECAY], lookback + 1)
    for s in range(series):
        at = 8 * bars * s
        room = offsets[s + 1] - offsets[s]
        alive[s] = follow(
            floats(head[HIGH] + at, bars),
            floats(head[LOW] + at, bars),
            floats(head[CLOSE] + at, bars),
            floats(head[REACH] + at, bars),
            words(head[HIGH_AT] + at, bars),
            words(head[LOW_AT] + at, bars),
            floats(head[SUPPORT] + at, bars),
            floats(head[RESISTANCE] + at, bars),
            words(head[SUPPORT_TOUCHES] + at, bars),
            words(head[RESISTANCE_TOUCHES] + at, bars),
            share,
            decay,
            lookback,
            flips,
            matrix(head[LEDGERS] + 8 * FIELDS * offsets[s], FIELDS, room),
        )


@functools.cache
def search() -> Callable[[int], None]:
    """Return the compiled search: it takes the address of a table and runs without the GIL."""
    made: Any = compiled(_search, "the search for levels", 1, "levels")
    run: Callable[[int], None] = made.ctypes
    return run
