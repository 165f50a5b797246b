"""
The table that a launch of a fused program runs by: one array of int64, as every kernel takes exactly one argument.

``source.py`` writes the device's side of it. A *lane* is one thread: a symbol, a chunk of the time and a set of
parameters. Symbols are nearest to one another in all that lies by lane, then chunks, then sets:
``lane = (set * chunks + chunk) * symbols + symbol``.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import UsageError
from tradeutils.indicators.cpu import Kernel
from tradeutils.indicators.cpu.chunks import limits_of
from tradeutils.indicators.cpu.program import Instruction, Program

__all__ = ["Launch", "Layout", "in_registers", "layout_of", "sets_at", "structure_of"]

_FEW_ROWS: Final = 16
_MOST: Final = 2**31 - 1

# Words of the head; the inputs follow, then the results, then the sets.
SYMBOLS, SETS, CHUNKS, FIRST, BARS, LENGTH, EARLY, KEPT, SEEN = 0, 1, 2, 3, 4, 5, 6, 7, 8
BEGUN, ENDED, RESUMED, WORKSPACE, ROWS = 9, 10, 11, 12, 13
HEAD: Final = 14
AN_INPUT, A_RESULT = 3, 4
"""Words of an input: address, items from bar to bar and from symbol to symbol; of a result: address, items from set to
set, from bar to bar and from symbol to symbol."""
AN_INSTRUCTION: Final = 3
"""Words of an instruction in a set before its parameters: its first row in a snapshot, its first row in the workspace,
and how many rows it has."""


def structure_of(program: Program) -> Hashable:
    """
    Return what programs share that one compilation serves.

    Equal where operators, wiring, mode and the numbers of inputs, constants and results are; parameters, constants and
    the names of inputs may differ.
    """
    return (
        len(program.inputs),
        len(program.constants),
        program.results,
        program.mode,
        tuple([(one.operator, one.sources, one.targets) for one in program.instructions]),
    )


def in_registers(kernel: Kernel) -> bool:
    """Return whether a kernel has few rows of state, as many whatever its parameters: they then are registers."""
    counts = {kernel.rows(*(kind(number) for kind in kernel.kinds)) for number in (1, 1000)}
    return len(counts) == 1 and max(counts) <= _FEW_ROWS


@dataclass(frozen=True, eq=False)
class Layout:
    """
    Where each row of the state lies, for some sets of parameters. Made by :func:`layout_of`.

    Parameters
    ----------
    programs : tuple of Program
        One for each set, of one structure.

    Attributes
    ----------
    rows : int
        State rows of a snapshot: of the set that has most.
    workspace : int
        Rows of the workspace, likewise.
    fills : float64 array, shape (rows, sets)
        What the state holds before the first bar.
    limits : float64 array, shape (rows, sets)
        What matters of each row at most, as in :mod:`tradeutils.indicators.cpu.chunks`; -inf where a set has no such
        row (a snapshot then holds 0).
    """

    programs: tuple[Program, ...]
    rows: int = field(init=False)
    workspace: int = field(init=False)
    fills: npt.NDArray[np.float64] = field(init=False)
    limits: npt.NDArray[np.float64] = field(init=False)
    sets: npt.NDArray[np.int64] = field(init=False)
    """The words of all sets, (sets, words of one)."""

    def __post_init__(self) -> None:
        made = [_words_of(program) for program in self.programs]
        rows = max(program.rows for program in self.programs)
        shape = (rows, len(self.programs))
        fills, limits = np.zeros(shape), np.full(shape, -np.inf)
        for k, program in enumerate(self.programs):
            kernels = [one.kernel for one in program.instructions]
            own = [one.fill for one, count in zip(kernels, program.counts, strict=True) for _ in range(count)]
            fills[: program.rows, k] = own
            limits[: program.rows, k] = limits_of(program)[:, 0]
        for name, value in (
            ("rows", rows),
            ("workspace", max(workspace for _, workspace in made)),
            ("fills", fills),
            ("limits", limits),
            ("sets", np.array([words for words, _ in made], dtype=np.int64).reshape(len(made), -1)),
        ):
            object.__setattr__(self, name, value)

    def snapshot_shape(self, chunks: int, symbols: int) -> tuple[int, int, int, int]:
        """Return the shape of a snapshot: (rows, sets, chunks, symbols) float64, contiguous."""
        return self.rows, len(self.programs), chunks, symbols

    def workspace_bytes(self, chunks: int, symbols: int) -> int:
        """Return the bytes of the workspace of a launch; they need not be set."""
        return 8 * self.workspace * len(self.programs) * chunks * symbols


def _words_of(program: Program) -> tuple[list[int], int]:
    """Return the words of a set, and how many rows it has in the workspace."""
    words = [struct.unpack("<q", struct.pack("<d", value))[0] for value in program.constants]
    row = work = 0
    for instruction, count in zip(program.instructions, program.counts, strict=True):
        _check(instruction)
        words += [row, work, count, *instruction.words]
        row += count
        work += 0 if in_registers(instruction.kernel) else count
    return words, work


def _check(instruction: Instruction) -> None:
    """Refuse parameters that do not fit 32 bits, which is what kernels take them in."""
    for kind, value in zip(instruction.kernel.kinds, instruction.parameters, strict=True):
        if kind is int and not -_MOST <= value <= _MOST:
            raise UsageError(f"a period was {value}, of {instruction.operator.name}; write one up to {_MOST}")


def layout_of(program: Program, sets: Sequence[Program] = ()) -> Layout:
    """
    Return where the state of a launch lies; kept.

    Parameters
    ----------
    program : Program
    sets : sequence of Program
        One for each set of parameters, all of the structure of ``program``; default: ``program`` alone.

    Raises
    ------
    UsageError : a set is of another structure, or a whole parameter is beyond 32 bits.
    """
    return _layout(program, tuple(sets) or (program,))


@lru_cache(maxsize=256)
def _layout(program: Program, sets: tuple[Program, ...]) -> Layout:
    if any(structure_of(one) != structure_of(program) for one in sets):
        raise UsageError("sets of one launch were programs of different structure; launch each structure by itself")
    return Layout(sets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """
    One run of a fused program.

    Chunk ``c`` owns the bars from ``first + c * length`` on, ``length`` of them but none from ``bars`` on: it stores
    what they give, and of the states when they begin and have ended it takes the snapshots. Before them it runs
    ``early`` bars, but none before ``first``.

    Parameters
    ----------
    layout : Layout
        Of the parameter sets.
    symbols, chunks : int
    first, bars : int
        Rows of the inputs: the first that is read, and the end of those that are.
    length, early : int
        Bars that a chunk owns, and runs before.
    kept : int
        The first row that is stored: it goes to row 0 of the results.
    seen : int
        Bars of the series before ``first``.
    begun, ended : int
        Addresses of snapshots to fill, or 0.
    resumed : int
        Address of a snapshot that each lane begins with, or 0: with ``layout.fills``. It stands for the state before
        the bar with which the lane begins, so ``early`` is 0 where a chunk goes on after another.
    workspace : int
        Address of :meth:`Layout.workspace_bytes` bytes, where there are any.
    inputs : sequence of (int, int, int)
        Address of row 0, items from bar to bar, items from symbol to symbol.
    results : sequence of (int, int, int, int)
        Address, items from set to set, from bar to bar, from symbol to symbol. Those that the program has as copies
        are left alone, but have an entry; the caller copies.
    """

    layout: Layout
    symbols: int
    chunks: int = 1
    first: int = 0
    bars: int
    length: int
    early: int = 0
    kept: int = 0
    seen: int = 0
    begun: int = 0
    ended: int = 0
    resumed: int = 0
    workspace: int = 0
    inputs: Sequence[tuple[int, int, int]]
    results: Sequence[tuple[int, int, int, int]]

    @property
    def lanes(self) -> int:
        """How many threads there is work for."""
        return self.symbols * self.chunks * len(self.layout.programs)

    def grid(self, block: int) -> tuple[int, int, int]:
        """Return how many blocks of ``block`` threads there must be."""
        return -(-self.lanes // block), 1, 1

    def words(self) -> npt.NDArray[np.int64]:
        """
        Return the table; the caller puts it on the device.

        Raises
        ------
        UsageError : the numbers of inputs and results are not those of the program, or there are more than 2**31 - 1
            lanes.
        """
        program = self.layout.programs[0]
        if (len(self.inputs), len(self.results)) != (len(program.inputs), program.results):
            raise UsageError(
                f"a launch was given {len(self.inputs)} inputs and {len(self.results)} results; "
                f"its program has {len(program.inputs)} and {program.results}"
            )
        if self.lanes > _MOST:
            raise UsageError(f"a launch had {self.lanes} lanes; take the symbols in blocks of up to {_MOST} lanes")
        head = [self.symbols, len(self.layout.programs), self.chunks, self.first, self.bars, self.length, self.early]
        head += [self.kept, self.seen, self.begun, self.ended, self.resumed, self.workspace, self.layout.rows]
        arrays: list[Any] = [word for array in (*self.inputs, *self.results) for word in array]
        words: npt.NDArray[np.int64] = np.concatenate([np.array([*head, *arrays], np.int64), self.layout.sets.ravel()])
        return words


def sets_at(program: Program) -> int:
    """Return the word with which the first set begins."""
    return HEAD + AN_INPUT * len(program.inputs) + A_RESULT * program.results
