"""
The tables that the compiled loop runs by (driver.py says what their words mean).

Most of a table does not change from call to call: it is laid out once for each program and each layout of the data,
with every address as a distance from a base, and the bases are added at the call. Laying one out takes 20 us for a
program of one kernel, filling in the bases 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.cpu import driver
from tradeutils.indicators.cpu.program import CONSTANT_ROW, INPUT, RESULT, SLOT, Place, Program

__all__ = ["Layout", "layout_of"]

# What the word of a table is counted from: nothing, the first byte of the scratch, the bars of the call, the bars seen;
# then come the first item of each column, that of each result, and the first bar of each result.
_NOTHING, _SCRATCH, _BARS, _SEEN, _ARRAYS = range(5)

_Word = tuple[int, int]  # a value, and what it is counted from
_Strides = tuple[int, int]
_Result = tuple[int, int, int, bool]  # bytes from bar to bar and from symbol to symbol, of an item; whether whole


class Layout:
    """
    A table but for its bases.

    Parameters
    ----------
    program : Program
    width, length, tile : int
        Symbols, the items from row to row of the scratch, and the bars of a tile. The scratch holds a tile for each
        slot, result and column, then a row for each constant, then what the kernels remember.
    columns : sequence of (int, int)
        Bytes from bar to bar and from symbol to symbol of each column.
    results : sequence of (int, int, int, bool)
        The same of each result; the bytes of an item; and whether it holds all bars.
    """

    def __init__(
        self,
        program: Program,
        width: int,
        length: int,
        tile: int,
        columns: Sequence[_Strides],
        results: Sequence[_Result],
    ) -> None:
        self._width, self._length, self._tile = width, length, tile
        self._places: dict[Place, tuple[_Word, int]] = {}  # where each place lies, and its items from row to row
        self._moving: dict[Place, int] = {}  # bytes from bar to bar of those that are not scratch
        self._words: list[_Word] = [(0, _NOTHING)] * driver.HEAD
        self._moves: list[_Word] = []
        self._gathers: list[_Word] = []
        self._place(program, columns, results)
        instructions = self._instructions(program)
        stores = self._stores(program, len(columns), results)
        for at, size, section in (
            (driver.STORES, driver.A_STORE, stores),
            (driver.INSTRUCTIONS, driver.AN_INSTRUCTION, instructions),
            (driver.MOVES, driver.A_MOVE, self._moves),
            (driver.GATHERS, driver.A_GATHER, self._gathers),
        ):
            self._words[at : at + 2] = _plain(len(section) // size, len(self._words))
            self._words += section
        self._words[driver.BARS : driver.HEAD] = (0, _BARS), (tile, _NOTHING), (width, _NOTHING), (0, _SEEN)
        self._values = np.array([value for value, _ in self._words], dtype=np.int64)
        self._from = np.array([base for _, base in self._words], dtype=np.intp)

    def table(
        self, scratch: int, bars: int, seen: int, addresses: Sequence[int], firsts: Sequence[int]
    ) -> npt.NDArray[np.int64]:
        """
        Return the table of one call.

        Parameters
        ----------
        scratch : int
            Its address.
        bars, seen : int
            How many bars there are and how many came before.
        addresses : sequence of int
            Of each column, then of each result.
        firsts : sequence of int
            The first bar of each result.
        """
        bases = np.array([0, scratch, bars, seen, *addresses, *firsts], dtype=np.int64)
        made: npt.NDArray[np.int64] = self._values + bases[self._from]
        return made

    def words_of_results(self, columns: int, results: int) -> npt.NDArray[np.int64]:
        """Return which words of a table are addresses in its results."""
        first = _ARRAYS + columns
        return np.flatnonzero((self._from >= first) & (self._from < first + results))

    def _row(self, row: int) -> _Word:
        return 8 * self._length * row, _SCRATCH

    def _place(self, program: Program, columns: Sequence[_Strides], results: Sequence[_Result]) -> None:
        """Decide where each place lies: a kernel reads and writes rows of the data where they are, if it can."""
        tile, slots, made = self._tile, program.slots, program.results
        constants = tile * (slots + made + len(columns))
        for k in range(len(program.constants)):
            self._places[Place(CONSTANT_ROW, k)] = self._row(constants + k), 0
        for k in range(slots):
            self._places[Place(SLOT, k)] = self._row(tile * k), self._length
        for k, (down, across) in enumerate(columns):
            if not self._take(Place(INPUT, k), _ARRAYS + k, down, across):
                target = self._row(tile * (slots + made + k))
                self._places[Place(INPUT, k)] = target, self._length
                self._gathers += [(0, _ARRAYS + k), *_plain(down, across), target, *_plain(self._length)]
        for k, (down, across, size, whole) in enumerate(results):
            taken = whole and size == 8 and self._take(Place(RESULT, k), _ARRAYS + len(columns) + k, down, across)
            if not taken:
                self._places[Place(RESULT, k)] = self._row(tile * (slots + k)), self._length

    def _take(self, place: Place, base: int, down: int, across: int) -> bool:
        """Use the rows of an array where they are, if they are rows."""
        rows = (across == 8 or self._width == 1) and down % 8 == 0
        if rows:
            self._places[place], self._moving[place] = ((0, base), down // 8), down
        return rows

    def _instructions(self, program: Program) -> list[_Word]:
        made: list[_Word] = []
        scratch = program.slots + program.results + len(program.inputs)
        row = scratch * self._tile + len(program.constants)
        for instruction, address, rows in zip(program.instructions, program.addresses, program.counts, strict=True):
            made += _plain(address, len(self._words))
            for place in (*instruction.sources, *instruction.targets):
                self._point(place, len(self._words))
                where, length = self._places[place]
                self._words += [where, *_plain(length)]
            self._words += [self._row(row), *_plain(self._length, 0)]
            made += _plain(len(self._words) - 1)
            self._words += _plain(*instruction.words)
            row += rows
        return made

    def _point(self, place: Place, at: int) -> None:
        """Have the word at ``at`` follow a place from tile to tile, if it moves."""
        if place in self._moving:
            self._moves += [(at, _NOTHING), self._places[place][0], (self._moving[place], _NOTHING)]

    def _stores(self, program: Program, columns: int, results: Sequence[_Result]) -> list[_Word]:
        stores: list[_Word] = []
        for k, (down, across, size, _) in enumerate(results):
            place = program.copies.get(k, Place(RESULT, k))
            if place in self._moving and k not in program.copies:
                continue  # its kernel writes into the result itself
            self._point(place, len(self._words) + len(stores) + 1)
            kind = driver.SINGLE if size == 4 else driver.COPY if across == 8 else driver.SPREAD
            where, length = self._places[place]
            array = _ARRAYS + columns + k
            stores += [(kind, _NOTHING), where, *_plain(length), (0, array), *_plain(down, across)]
            stores.append((0, array + len(results)))
        return stores


def _plain(*values: int) -> list[_Word]:
    return [(value, _NOTHING) for value in values]


layout_of: Final[Any] = lru_cache(maxsize=1024)(Layout)
"""Return the layout of these; kept, as most calls ask for the same again and again."""
