"""
The compiled loop of candlestick patterns: tile after tile, one instruction after the other over the whole tile.

All patterns run in this one function, as lists of instructions that ``candlesticks/layout.py`` makes: nothing is
compiled for a pattern. Comparisons read eight bytes an item and write one, and everything after them works on bytes,
64 at a time: of the whole time for all 61 patterns the logic that makes them takes a few percent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tradeutils.indicators.cpu.compiling import compiled, step
from tradeutils.indicators.cpu.flat import floats, octets, shorts
from tradeutils.indicators.cpu.machine import load, store, words

__all__ = ["HEAD", "MOST_COUNTED", "search"]

# Words of the head of a table.
BASE, BARS, TILE, WIDTH, LENGTH, FIRST = 0, 1, 2, 3, 4, 5
INSTRUCTIONS, MOVES = 6, 8
COUNT, INPUTS, OUTPUTS = 10, 11, 12
HEAD: Final = 13
"""
The start of the workspace; bars; bars of a tile; symbols; items from row to row; the first bar that is stored; address
and number of the instructions and of the moves; where the counts lie; and the addresses of the inputs (address, bytes
from bar to bar and from symbol to symbol, and where the tile lies, of each column) and of the outputs (address of the
first row, bytes from bar to bar and from symbol to symbol).
"""

MOST_COUNTED: Final = 255
"""Bars since a gap are counted up to here, in a byte; no pattern looks so far back."""


@step
def _gather(head: Any, inputs: Any, bar: int, rows: int) -> None:
    """Copy the columns of a tile; a bar that lacks a price is all zeros, and the count begins anew after it."""
    base, width, length = head[BASE], head[WIDTH], head[LENGTH]
    close_together = inputs[2] == 8 and inputs[6] == 8 and inputs[10] == 8 and inputs[14] == 8
    if width == 1 and inputs[1] == 8 and inputs[5] == 8 and inputs[9] == 8 and inputs[13] == 8:
        # A single series lies in a tile as a row of many symbols does.
        _copy(base, inputs, 0, bar, base + head[COUNT] + 1, rows)
    else:
        for t in range(rows):
            good = base + head[COUNT] + (t + 1) * length
            if close_together:
                _copy(base, inputs, t * length, bar + t, good, width)
            else:
                _pick(base, inputs, t * length, bar + t, good, width)
    if width == 1:
        known = octets(base + head[COUNT], rows + 1)
        count = known[0]
        for t in range(1, rows + 1):
            count = (count + np.uint8(count < MOST_COUNTED)) * known[t]
            known[t] = count
        return
    for t in range(rows):
        before = octets(base + head[COUNT] + t * length, width)
        now = octets(base + head[COUNT] + (t + 1) * length, width)
        for s in range(width):
            now[s] = (before[s] + np.uint8(before[s] < MOST_COUNTED)) * now[s]


@step
def _copy(base: int, inputs: Any, at: int, bar: int, good: int, count: int) -> None:
    """Copy items that lie side by side."""
    o, h = floats(inputs[0] + bar * inputs[1], count), floats(inputs[4] + bar * inputs[5], count)
    low, c = floats(inputs[8] + bar * inputs[9], count), floats(inputs[12] + bar * inputs[13], count)
    made_o, made_h = floats(base + inputs[3] + 8 * at, count), floats(base + inputs[7] + 8 * at, count)
    made_l, made_c = floats(base + inputs[11] + 8 * at, count), floats(base + inputs[15] + 8 * at, count)
    known = octets(good, count)
    for s in range(count):
        # A number less itself is 0, but for NaN and infinity, of which it is NaN.
        there = (o[s] - o[s]) + (h[s] - h[s]) + (low[s] - low[s]) + (c[s] - c[s]) == 0.0
        made_o[s] = o[s] if there else 0.0
        made_h[s] = h[s] if there else 0.0
        made_l[s] = low[s] if there else 0.0
        made_c[s] = c[s] if there else 0.0
        known[s] = there


@step
def _pick(base: int, inputs: Any, at: int, bar: int, good: int, count: int) -> None:
    """Copy items that lie at any distance."""
    known = octets(good, count)
    for s in range(count):
        o, h = load(inputs[0] + bar * inputs[1] + s * inputs[2]), load(inputs[4] + bar * inputs[5] + s * inputs[6])
        low, c = (
            load(inputs[8] + bar * inputs[9] + s * inputs[10]),
            load(inputs[12] + bar * inputs[13] + s * inputs[14]),
        )
        there = (o - o) + (h - h) + (low - low) + (c - c) == 0.0
        known[s] = there
        for k, price in enumerate((o, h, low, c)):
            store(base + inputs[4 * k + 3] + 8 * (at + s), price if there else 0.0)


@step
def _amount(code: int, target: int, a: int, b: int, factor: float, size: int) -> None:
    """Compute an amount of two others."""
    made, one, other = floats(target, size), floats(a, size), floats(b, size)
    if code == 1:
        for i in range(size):
            made[i] = one[i] - other[i]
    elif code == 2:
        for i in range(size):
            made[i] = one[i] + other[i]
    elif code == 3:
        for i in range(size):
            made[i] = abs(one[i] - other[i])
    elif code == 4:
        for i in range(size):
            made[i] = max(one[i], other[i])
    elif code == 5:
        for i in range(size):
            made[i] = min(one[i], other[i])
    else:
        for i in range(size):
            made[i] = one[i] + factor * other[i]


@step
def _mean(target: int, a: int, period: int, size: int, length: int) -> None:
    """Compute the mean of the ``period`` bars before, summed afresh from the oldest on, five at a time."""
    made, row = floats(target, size), 8 * length
    for i in range(size):
        made[i] = 0.0
    for lag in range(period, 0, -5):
        one, two = floats(a - lag * row, size), floats(a - (lag - 1) * row, size)
        three, four = floats(a - (lag - 2) * row, size), floats(a - (lag - 3) * row, size)
        five = floats(a - (lag - 4) * row, size)
        for i in range(size):
            made[i] = made[i] + one[i] + two[i] + three[i] + four[i] + five[i]
    divisor = float(period)
    for i in range(size):
        made[i] = made[i] / divisor


@step
def _mean_at_hand(
    target: int, a: int, span: int, counted: int, period: int, share: float, size: int, length: int
) -> None:
    """Compute the mean of those of the ``period`` bars before that are there, from the oldest on."""
    made, seen = floats(target, size), octets(counted, size)
    for i in range(size):
        made[i] = 0.0
    for lag in range(period, 0, -1):
        one = floats(a - 8 * lag * length, size)
        for i in range(size):
            # The bar itself is counted too.
            made[i] += one[i] if seen[i] > lag else 0.0
    spans = floats(span, size)
    for i in range(size):
        count = min(seen[i] - 1, period)
        made[i] = made[i] / count if count > 0 else share * spans[i]


@step
def _compare(code: int, target: int, a: int, b: int, c: int, factor: float, size: int) -> None:
    """Compare two amounts, one of them perhaps made on the spot."""
    made, one, other, third = octets(target, size), floats(a, size), floats(b, size), floats(c, size)
    if code == 9:
        for i in range(size):
            made[i] = one[i] < other[i]
    elif code == 10:
        for i in range(size):
            made[i] = one[i] <= other[i]
    elif code == 11:
        for i in range(size):
            made[i] = one[i] < factor * other[i]
    elif code == 12:
        for i in range(size):
            made[i] = one[i] <= factor * other[i]
    elif code == 13:
        for i in range(size):
            made[i] = one[i] > factor * other[i]
    elif code == 14:
        for i in range(size):
            made[i] = one[i] >= factor * other[i]
    elif code == 15:
        for i in range(size):
            made[i] = one[i] < other[i] + factor * third[i]
    elif code == 16:
        for i in range(size):
            made[i] = one[i] <= other[i] + factor * third[i]
    elif code == 17:
        for i in range(size):
            made[i] = one[i] > other[i] + factor * third[i]
    else:
        for i in range(size):
            made[i] = one[i] >= other[i] + factor * third[i]


@step
def _combine(code: int, target: int, a: int, b: int, number: int, size: int) -> None:
    """Make a fact of facts, or of the count of bars."""
    made, one, other = octets(target, size), octets(a, size), octets(b, size)
    if code == 19:
        for i in range(size):
            made[i] = one[i] & other[i]
    elif code == 20:
        for i in range(size):
            made[i] = one[i] | other[i]
    elif code == 21:
        for i in range(size):
            made[i] = one[i] & (other[i] ^ np.uint8(1))
    else:
        least = np.uint8(number)
        for i in range(size):
            made[i] = one[i] > least


@step
def _score(code: int, target: int, a: int, b: int, x: int, y: int, size: int) -> None:
    """Make values of two facts."""
    made, one, other = shorts(target, size), octets(a, size), octets(b, size)
    first, second = np.int16(x), np.int16(y)
    if code == 23:
        for i in range(size):
            made[i] = np.int16(one[i]) * first + np.int16(other[i]) * second
    else:
        for i in range(size):
            made[i] += np.int16(one[i]) * first + np.int16(other[i]) * second


@step
def _store(source: int, output: Any, bar: int, first: int, rows: int, width: int, length: int) -> None:
    """Store the rows from the bar ``first`` on."""
    start = max(first - bar, 0)
    at = output[0] + (bar + start - first) * output[1]
    if output[2] == 2 and output[1] == 2 * width and width == length:
        made, given = shorts(at, (rows - start) * width), shorts(source + 2 * start * length, (rows - start) * width)
        for i in range((rows - start) * width):
            made[i] = given[i]
        return
    for t in range(start, rows):
        given = shorts(source + 2 * t * length, width)
        to = at + (t - start) * output[1]
        if output[2] == 2:
            row = shorts(to, width)
            for s in range(width):
                row[s] = given[s]
        else:
            for s in range(width):
                shorts(to + s * output[2], 1)[0] = given[s]


@step
def _run(head: Any, instruction: int, bar: int, rows: int) -> None:
    """Run one instruction over a tile."""
    at, factor = words(instruction, 8), load(instruction + 56)
    base, width, length = head[BASE], head[WIDTH], head[LENGTH]
    size = rows * length
    code, target, a, b, c = at[0], base + at[1], base + at[2], base + at[3], base + at[4]
    if code <= 6:
        _amount(code, target, a, b, factor, size)
    elif code == 7:
        _mean(target, a, at[5], size, length)
    elif code == 8:
        _mean_at_hand(target, a, b, c, at[5], factor, size, length)
    elif code <= 18:
        _compare(code, target, a, b, c, factor, size)
    elif code <= 22:
        _combine(code, target, a, b, at[5], size)
    elif code <= 24:
        _score(code, target, a, b, at[5], at[6], size)
    elif bar + rows > head[FIRST]:
        _store(a, words(head[OUTPUTS] + 24 * at[1], 3), bar, head[FIRST], rows, width, length)


def _search(table: int) -> None:
    """Run a program over all bars."""
    head = words(table, HEAD)
    bars, tile = head[BARS], head[TILE]
    inputs = words(head[INPUTS], 16)
    for bar in range(0, bars, tile):
        rows = min(tile, bars - bar)
        _gather(head, inputs, bar, rows)
        for k in range(head[INSTRUCTIONS + 1]):
            _run(head, head[INSTRUCTIONS] + 64 * k, bar, rows)
        for k in range(head[MOVES + 1]):
            move = words(head[MOVES] + 24 * k, 3)
            to = octets(head[BASE] + move[0], move[2])
            given = octets(head[BASE] + move[0] + move[1], move[2])
            for i in range(move[2]):
                to[i] = given[i]


@functools.cache
def search() -> Callable[[int], None]:
    """Return the compiled loop: it takes the address of a table and runs without the GIL."""
    made: Any = compiled(_search, "the search for patterns", 1, "candlesticks")
    run: Callable[[int], None] = made.ctypes
    return run
