"""
Where everything lies while a program runs, and its instructions as the compiled loop reads them.

A tile is some bars of some symbols, laid out flat, so that "one bar ago" is a fixed number of items back and every
instruction is one plain loop over a tile. What is looked at later keeps its newest rows above the tile (its halo).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.candlesticks.facts import COLUMNS, Code, Use
from tradeutils.indicators.candlesticks.program import Program

__all__ = ["AN_INSTRUCTION", "Layout", "layout_of"]

AN_INSTRUCTION: Final = 8
"""
Words of an instruction: its code; where the result and up to three operands lie, in bytes from the start of the
workspace; two whole numbers; the bits of a factor. A store has the number of its output instead of a result.
"""

_Words = npt.NDArray[np.int64]

_LINE: Final = 64
# Buffers whose distance is a multiple of 4096 bytes evict one another and stall loads behind stores.
_APART: Final = 5 * _LINE


@dataclass(frozen=True, eq=False)
class Layout:
    """
    A program, laid out for tiles of ``rows`` bars of ``length`` symbols.

    Parameters
    ----------
    size : int
        Bytes of a workspace, which is all zero before the first bar.
    count : int
        Where the row before the tile lies of the number of bars since the last gap, one byte each.
    columns : tuple of int
        Where the tile lies of open, high, low and close.
    instructions : int64 array, (n, AN_INSTRUCTION)
    moves : int64 array, (n, 3)
        What to keep after a tile: where to, how far from there it lies, and how many bytes.
    """

    rows: int
    length: int
    size: int
    count: int
    columns: tuple[int, ...]
    instructions: _Words
    moves: _Words


@lru_cache(maxsize=64)
def layout_of(program: Program, rows: int, length: int) -> Layout:
    """Return a program laid out; kept, as most calls are like the last."""
    return _Allocation(program, rows, length).layout()


class _Allocation:
    """Places in a workspace, given out one after the other and again once nobody reads what lies there."""

    def __init__(self, program: Program, rows: int, length: int) -> None:
        self._program, self._rows, self._length = program, rows, length
        self._halos = program.halos
        self._size = 0
        self._moves: list[tuple[int, int, int]] = []
        self._free: dict[int, list[int]] = {1: [], 8: []}
        self._places: dict[int, int] = {}  # of a node, its tile: below its halo

    def layout(self) -> Layout:
        """Return the layout."""
        nodes = self._program.nodes
        self._count = self._reserve(1, 1)
        self._scores = self._reserve(2, 0)
        by_column = {nodes[at].number: at for at in self._program.order if nodes[at].code == Code.COLUMN}
        for at in by_column.values():
            self._places[at] = self._reserve(8, self._halos[at])
        unread = self._reserve(8, 0) if len(by_column) < len(COLUMNS) else 0
        rows = []
        for at, dying in zip(self._program.order, self._last_reads(), strict=True):
            if nodes[at].code != Code.COLUMN:
                rows.append(self._instruction(at))
            for dead in dying:
                self._free[1 if nodes[dead].is_fact else 8].append(self._places[dead])
        for number, scores in enumerate(self._program.outputs):
            rows += self._stores(number, scores)
        return Layout(
            self._rows,
            self._length,
            self._size,
            self._count - self._length,
            tuple(self._places[by_column[k]] if k in by_column else unread for k in range(len(COLUMNS))),
            _words(rows, AN_INSTRUCTION),
            _words(self._moves, 3),
        )

    def _reserve(self, item: int, halo: int) -> int:
        """Return where a new tile lies, below a halo of so many rows."""
        row = item * self._length
        place = self._size + halo * row
        if halo:
            self._moves.append((self._size, self._rows * row, halo * row))
        self._size = -(-(place + self._rows * row) // _LINE) * _LINE + _APART
        return place

    def _last_reads(self) -> list[list[int]]:
        """Return for each node of the order which others nobody reads after it, so that their places are free."""
        order, nodes = self._program.order, self._program.nodes
        last = {use.node: step for step, at in enumerate(order) for use in nodes[at].uses}
        kept = {use.node for scores in self._program.outputs for _, use in scores}
        dying: list[list[int]] = [[] for _ in order]
        for at, step in last.items():
            if at not in kept and not self._halos[at] and nodes[at].code != Code.COLUMN:
                dying[step].append(at)
        return dying

    def _instruction(self, at: int) -> list[int]:
        node = self._program.nodes[at]
        item = 1 if node.is_fact else 8
        free = self._free[item]
        place = free.pop() if free and not self._halos[at] else self._reserve(item, self._halos[at])
        self._places[at] = place
        operands = [self._at(use) for use in node.uses]
        if node.code == Code.MEAN_AT_HAND:
            operands.append(self._count)
        if node.code == Code.SEEN:
            operands = [self._count]
        return _row(node.code, place, operands, (node.number, 0), node.factor)

    def _at(self, use: Use) -> int:
        """Return where an operand begins: as many rows above its tile as it is looked at bars ago."""
        item = 1 if self._program.nodes[use.node].is_fact else 8
        return self._places[use.node] - use.lag * item * self._length

    def _stores(self, number: int, scores: Sequence[tuple[int, Use]]) -> list[list[int]]:
        """Return the instructions that make a pattern's values of its facts, two at a time, and store them."""
        rows = []
        for k in range(0, len(scores), 2):
            (x, one), (y, other) = scores[k], scores[k + 1] if k + 1 < len(scores) else (0, scores[k][1])
            code = Code.ADD_SCORE if k else Code.SCORE
            rows.append(_row(code, self._scores, [self._at(one), self._at(other)], (x, y)))
        return [*rows, _row(Code.STORE, number, [self._scores])]


def _row(
    code: Code, place: int, operands: Sequence[int], numbers: tuple[int, int] = (0, 0), factor: float = 0.0
) -> list[int]:
    bits = int(np.float64(factor).view(np.int64))
    return [int(code), place, *operands, *[0] * (3 - len(operands)), *numbers, bits]


def _words(rows: Sequence[Sequence[int]], width: int) -> _Words:
    return np.array(rows, np.int64).reshape(-1, width)
