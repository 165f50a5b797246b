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

import numba
import numpy.ma  # noqa: F401  # numba asks for it at the first bar, where an interrupt would leave half of it
from numba import types

from tradeutils.indicators.cpu.compiling import Matrix, compiled, dispatcher, step
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
__all__ += ["drive", "next_bar"]

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


# Words of the head of the table of a live program (live.py): its table of one bar; the time of the bar that is
# expected next, that of the last, and milliseconds from one to the next; symbols; the address of a row to be filled
# with the time, 0 for none; how many columns are read, and where the addresses of the rows for all ``COLUMNS`` stand;
# words of the table that are an address in the results, how many and where; and the address of the last results.
ONE_BAR, EXPECTED, LAST, STEP, SYMBOLS, TIMED, READ, ROWS, RESULT_WORDS, FILLED = 0, 1, 2, 3, 4, 5, 6, 7, 8, 10
LIVE_HEAD: Final = 11
A_RESULT_WORD: Final = 2  # which word, and bytes from the first of the results
NEVER: Final = -(1 << 63)
"""The time of no bar."""
COLUMNS: Final = 6
"""How many columns :func:`next_bar` takes."""
FED, UNEXPECTED, MISSHAPEN = 0, 1, 2
"""What it answers."""
_TOGETHER: Final = 3

_run: Final[Any] = step(_drive)


@step
def _copy(a: Matrix, b: Matrix, c: Matrix, rows: int, width: int) -> None:
    """Copy three columns side by side: those that are not in the caches then arrive together."""
    at = words(rows, _TOGETHER)
    first, second, third = matrix(at[0], 1, width), matrix(at[1], 1, width), matrix(at[2], 1, width)
    for s in range(width):
        first[0, s], second[0, s], third[0, s] = a[s], b[s], c[s]


def _next_bar(
    live: int, time: int, a: Matrix, b: Matrix, c: Matrix, d: Matrix, e: Matrix, f: Matrix, made: Matrix
) -> int:
    """Run a program over the bar that is expected, all of it or nothing."""
    head = words(live, LIVE_HEAD)
    if (time != head[EXPECTED]) | (time == NEVER):
        return UNEXPECTED
    width = head[SYMBOLS]
    for length in (len(a), len(b), len(c), len(d), len(e), len(f)):
        if length != width:
            return MISSHAPEN
    _copy(a, b, c, head[ROWS], width)
    if head[READ] > _TOGETHER:
        _copy(d, e, f, head[ROWS] + 8 * _TOGETHER, width)
    if head[TIMED] != 0:
        row = matrix(head[TIMED], 1, width)
        for s in range(width):
            row[0, s] = float(time)
    for k in range(head[RESULT_WORDS]):
        at = words(head[RESULT_WORDS + 1] + 8 * A_RESULT_WORD * k, A_RESULT_WORD)
        words(head[ONE_BAR] + 8 * at[0], 1)[0] = made.ctypes.data + at[1]
    _run(head[ONE_BAR])
    head[FILLED] = made.ctypes.data
    head[LAST] = time
    head[EXPECTED] = time + head[STEP] if head[STEP] > 0 else NEVER
    return FED


@functools.cache
def next_bar() -> Any:
    """
    Return the compiled function that feeds one bar to a live program.

    It takes the address of the program's table, the time of the bar, ``COLUMNS`` float64 arrays (S,), of which it reads
    as many as the program has inputs besides the time, and a float64 array (results, S) to fill, all in one piece.

    It keeps the GIL: given back for two microseconds, it may take another thread five milliseconds to return it. With
    columns copied by numpy and a call through ctypes an update took 6.4 us, not 4.5.
    """
    made = types.Array(types.float64, 2, "C", readonly=True)  # only its address is asked for
    kinds = [types.Array(types.float64, 1, "C", readonly=only) for only in (False, True)]
    signatures = [numba.int64(numba.int64, numba.int64, *[kind] * COLUMNS, made) for kind in kinds]
    return dispatcher(_next_bar, "the loop over one bar", signatures, "driver")


@functools.cache
def drive() -> Callable[[int], None]:
    """Return the compiled loop: it takes the address of a table and runs without the GIL."""
    made: Any = compiled(_drive, "the loop over tiles", 1, "driver")
    run: Callable[[int], None] = made.ctypes
    return run
