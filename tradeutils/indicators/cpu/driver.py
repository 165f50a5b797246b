"""
The compiled loop that runs a program: tile after tile, one kernel after the other.

A tile is a few bars of a block of symbols, so small that what one kernel leaves the next still finds in the first
cache. All of a run is written in one table of int64 (``program.py`` says where each word stands).

Kernels write into the result where they can. Scratch copied out past the caches (non-temporal stores), and asking for
the rows of the next tile ahead of time (prefetch), were tried and lost, on a Zen 5 at 500 x 10,000: EMA 0.56 ns an
element took 0.76 with either and 1.1 with both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from tradeutils.indicators.cpu.compiling import compiled, step
from tradeutils.indicators.cpu.machine import (
    call,
    load,
    matrix,
    store,
    store_single,
    turn,
    words,
)

__all__ = ["BARS", "COPY", "GATHERS", "INSTRUCTIONS", "MOVES", "SEEN", "SINGLE", "SPREAD", "STORES", "TILE", "WIDTH"]

# Words of the head of a table; the first four are each a count of entries and, in the next word, where they begin.
INSTRUCTIONS, MOVES, GATHERS, STORES = 0, 2, 4, 6
BARS, TILE, WIDTH, SEEN = 8, 9, 10, 11
HEAD: Final = 12
# What a store does: copy rows, write items at any distance, or the same in single precision.
COPY, SPREAD, SINGLE = 0, 1, 2
AN_INSTRUCTION, A_MOVE, A_GATHER, A_STORE = 3, 3, 5, 7
"""
Words of an entry:

- instruction: kernel address, where its arguments lie in the table, where its ``seen`` does;
- move: where an address lies in the table, its value at the first bar, bytes from bar to bar;
- gather: address at the first bar, bytes from bar to bar, bytes from symbol to symbol; address and row length of the
  scratch matrix;
- store: kind; address and row length of the scratch matrix; address of the first bar that is stored, bytes from bar
  to bar, bytes from symbol to symbol; and which bar that is.
"""


@step
def _gather(source: int, down: int, across: int, target: int, length: int, rows: int, width: int) -> None:
    """Copy what lies at any distances into a matrix."""
    tall, wide = (rows // 8 * 8, width // 8 * 8) if down == 8 else (0, 0)
    for s in range(0, wide, 8):
        # The lines of the next eight series, or after the last those of the next tile, are asked for meanwhile.
        ahead = 8 * across if s + 8 < wide else 8 * rows - s * across
        for t in range(0, tall, 8):
            at = source + 8 * t + s * across
            turn(at, across, target + 8 * (t * length + s), 8 * length, at + ahead, across)
    made = matrix(target, rows, length)
    for t in range(rows):
        for s in range(wide if t < tall else 0, width):
            made[t, s] = load(source + t * down + s * across)


@step
def _scatter(
    kind: int, source: int, length: int, target: int, down: int, across: int, start: int, rows: int, width: int
) -> None:
    """Store the rows from ``start`` on."""
    made = matrix(source, rows, length)
    if kind == COPY:
        for t in range(start, rows):
            row = matrix(target + t * down, 1, width)
            for s in range(width):
                row[0, s] = made[t, s]
    elif kind == SPREAD:
        tall, wide = (rows // 8 * 8, width // 8 * 8) if down == 8 and start == 0 else (0, 0)
        for s in range(0, wide, 8):
            for t in range(0, tall, 8):
                at = target + 8 * t + s * across
                turn(source + 8 * (t * length + s), 8 * length, at, across, at + 8 * rows, across)
        for t in range(start, rows):
            for s in range(wide if t < tall else 0, width):
                store(target + t * down + s * across, made[t, s])
    else:
        for s in range(width):
            for t in range(start, rows):
                store_single(target + t * down + s * across, made[t, s])


def _drive(table: int) -> None:
    """Run a program over the bars of a table; ``seen`` is then their number more."""
    head = words(table, HEAD)
    bars, tile, width = head[BARS], head[TILE], head[WIDTH]
    for bar in range(0, bars, tile):
        rows = min(tile, bars - bar)
        for k in range(head[MOVES]):
            at = words(table + 8 * (head[MOVES + 1] + A_MOVE * k), A_MOVE)
            words(table + 8 * at[0], 1)[0] = at[1] + at[2] * bar
        for k in range(head[GATHERS]):
            at = words(table + 8 * (head[GATHERS + 1] + A_GATHER * k), A_GATHER)
            _gather(at[0] + at[1] * bar, at[1], at[2], at[3], at[4], rows, width)
        for k in range(head[INSTRUCTIONS]):
            at = words(table + 8 * (head[INSTRUCTIONS + 1] + AN_INSTRUCTION * k), AN_INSTRUCTION)
            words(table + 8 * at[2], 1)[0] = head[SEEN] + bar
            call(at[0], table + 8 * at[1], rows, width)
        for k in range(head[STORES]):
            at = words(table + 8 * (head[STORES + 1] + A_STORE * k), A_STORE)
            start = max(at[6] - bar, 0)
            if start < rows:
                _scatter(at[0], at[1], at[2], at[3] + at[4] * (bar - at[6]), at[4], at[5], start, rows, width)
    head[SEEN] += bars


@functools.cache
def drive() -> Callable[[int], None]:
    """Return the compiled loop: it takes the address of a table and runs without the GIL."""
    made: Any = compiled(_drive, "the loop over tiles", 1, "driver")
    run: Callable[[int], None] = made.ctypes
    return run
