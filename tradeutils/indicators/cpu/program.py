"""
From expressions to a program: which kernels run in which order, and where each finds what it reads.

A program holds for any data. A :class:`State` runs it over a block of symbols, from its first bar on, all bars at
once or a few at a time.
"""

from __future__ import annotations

import functools
import importlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.cpu import driver
from tradeutils.indicators.cpu.compiling import Kernel
from tradeutils.indicators.expression import COLUMN, CONSTANT, Node, Operator

__all__ = ["Instruction", "Place", "Program", "State", "kernel_of", "make_program"]

_Array = npt.NDArray[Any]

INPUT, CONSTANT_ROW, SLOT, RESULT = "input", "constant", "slot", "result"
_PAGE, _LINE = 512, 8  # float64 in 4096 bytes and in a cache line
# Float64 in a tile of one column: 32 KiB. Of 512 .. 8192 the best for many kernels one after the other.
_TILE_ITEMS: Final = 4096


class Place(NamedTuple):
    """Where a column stands while a program runs: an input, a constant, a scratch slot, or a result; which of them."""

    kind: str
    number: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One kernel with what it reads and writes."""

    operator: Operator
    kernel: Kernel
    parameters: tuple[float, ...]
    sources: tuple[Place, ...]
    targets: tuple[Place, ...]

    @property
    def words(self) -> list[int]:
        """The parameters as they stand in a table: int64, and the bits of float64."""
        return [
            int(value) if kind is int else struct.unpack("<q", struct.pack("<d", value))[0]
            for kind, value in zip(self.kernel.kinds, self.parameters, strict=True)
        ]


@dataclass(frozen=True)
class Program:
    """
    What to run for a number of results.

    Parameters
    ----------
    inputs : tuple of str
        The names of the columns, in the order in which :meth:`State.feed` takes them.
    instructions : tuple of Instruction
    constants : tuple of float
    slots : int
        How many scratch columns there are.
    copies : dict of int to Place
        Results that are a column that stands elsewhere: an input, a constant, or an earlier result.
    results : int
    mode : int
        RESTART, PROPAGATE or HOLD.
    """

    inputs: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    constants: tuple[float, ...]
    slots: int
    copies: dict[int, Place]
    results: int
    mode: int
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        made = sum(instruction.kernel.rows(*instruction.parameters) for instruction in self.instructions)
        object.__setattr__(self, "rows", made)

    @functools.cached_property
    def addresses(self) -> list[int]:
        """The machine code of each instruction; compiled where that has not been done."""
        return [instruction.kernel.address(self.mode) for instruction in self.instructions]


def kernel_of(operator: Operator) -> Kernel:
    """Return the kernel of an operator: of its name, in the file of ``cpu/`` that bears its file's name."""
    kernel: Kernel = getattr(importlib.import_module(f"{__package__}.{operator.module}"), operator.name)
    return kernel


def make_program(outputs: Sequence[Node], inputs: Sequence[str], mode: int) -> Program:
    """
    Return the program that computes ``outputs``.

    Parameters
    ----------
    outputs : sequence of Node
        The results, in order; one may occur twice.
    inputs : sequence of str
        The columns that will be given, in order.
    mode : int
        RESTART, PROPAGATE or HOLD.
    """
    return _Maker(inputs, mode).make(outputs)


class _Maker:
    """Puts instructions in order and gives each value its place."""

    def __init__(self, inputs: Sequence[str], mode: int) -> None:
        self._inputs = tuple(inputs)
        self._mode = mode
        self._constants: dict[Node, int] = {}
        self._groups: dict[Any, tuple[Node, list[Place]]] = {}  # by what all outputs of one call share
        self._results: dict[Node, int] = {}

    def make(self, outputs: Sequence[Node]) -> Program:
        copies: dict[int, Place] = {}
        for index, node in enumerate(outputs):
            if node in self._results:
                copies[index] = Place(RESULT, self._results[node])
            elif not node.inputs:
                copies[index] = self._leaf(node)
            else:
                self._results[node] = index
        for node in self._results:
            self._visit(node)
        instructions, slots = self._placed()
        constants = tuple(node.parameters[0] for node in self._constants)
        return Program(self._inputs, instructions, constants, slots, copies, len(outputs), self._mode)

    def _leaf(self, node: Node) -> Place:
        if node.operator is COLUMN:
            return Place(INPUT, self._inputs.index(node.parameters[0]))
        assert node.operator is CONSTANT  # noqa: S101  # there are no other leaves
        return Place(CONSTANT_ROW, self._constants.setdefault(node, len(self._constants)))

    @staticmethod
    def _group(node: Node) -> Any:
        exact = tuple(value.hex() if isinstance(value, float) else value for value in node.parameters)
        return (node.operator, node.inputs, exact)

    def _visit(self, node: Node) -> None:
        """Put what a node needs, and then the node, in order, without recursion: expressions may be deep."""
        waiting = [node]
        while waiting:
            last = waiting[-1]
            if not last.inputs or self._group(last) in self._groups:
                waiting.pop()
                continue
            needed = [one for one in last.inputs if one.inputs and self._group(one) not in self._groups]
            if needed:
                waiting += reversed(needed)
            else:
                self._groups[self._group(last)] = (waiting.pop(), [])

    def _placed(self) -> tuple[tuple[Instruction, ...], int]:
        """Give scratch slots to values from where they are made to where they are last read."""
        last = {
            self._group(source): at
            for at, (node, _) in enumerate(self._groups.values())
            for source in node.inputs
            if source.inputs
        }
        results = {(self._group(node), node.output): index for node, index in self._results.items()}
        made, free, slots = [], list[int](), 0
        for at, (group, (node, places)) in enumerate(self._groups.items()):
            for output in range(node.operator.outputs):
                if (group, output) in results:
                    places.append(Place(RESULT, results[group, output]))
                    continue
                if not free:
                    free.append(slots)
                    slots += 1
                places.append(Place(SLOT, free.pop()))
            sources = tuple(self._place(source) for source in node.inputs)
            made.append(Instruction(node.operator, kernel_of(node.operator), node.parameters, sources, tuple(places)))
            ending = {
                self._group(source) for source in node.inputs if source.inputs and last[self._group(source)] == at
            }
            ending |= {group} - last.keys()
            free += [place.number for one in ending for place in self._groups[one][1] if place.kind == SLOT]
        return tuple(made), slots

    def _place(self, node: Node) -> Place:
        return self._groups[self._group(node)][1][node.output] if node.inputs else self._leaf(node)


class State:
    """
    A program at a point of time, for a block of symbols: what each kernel remembers, and how many bars were seen.

    Parameters
    ----------
    program : Program
    width : int
        Symbols.
    bars : int
        The most bars that will be fed at once, where that is known to be few.
    turned : bool
        Whether the data are symbol-major: tiles are then taller, so that more of a page is read while it is at hand.
    """

    def __init__(self, program: Program, width: int, bars: int = 1 << 40, *, turned: bool = False) -> None:
        self.program = program
        self.width = width
        self.seen = 0
        items = 2 * _TILE_ITEMS if turned else _TILE_ITEMS
        self._tile = max(1, min(items // max(width, 1), bars))
        length = -(-width // _LINE) * _LINE
        # Rows that lie a multiple of 4096 bytes apart evict one another and stall loads behind stores: up to 15 %.
        self._length = length + (_LINE if length % _PAGE == 0 else 0)
        scratch = program.slots + program.results + len(program.inputs)
        rows = scratch * self._tile + len(program.constants) + program.rows
        raw = np.empty(rows * self._length + _LINE)
        skip = -raw.ctypes.data // 8 % _LINE
        self._memory = raw[skip : skip + rows * self._length].reshape(rows, self._length)
        self._base = int(self._memory.ctypes.data)
        self._constants, self._constants_at = len(program.constants), scratch * self._tile
        self._state_at = self._constants_at + self._constants
        if program.constants:
            self._memory[self._constants_at : self._state_at] = np.array(program.constants).reshape(-1, 1)
        at = self._state_at
        self._states = []
        for instruction in program.instructions:
            self._states.append(at)
            count = instruction.kernel.rows(*instruction.parameters)
            self._memory[at : at + count] = instruction.kernel.fill
            at += count

    @property
    def memory(self) -> npt.NDArray[np.float64]:
        """What all kernels remember, (rows, symbols): to be kept and put back."""
        return self._memory[self._state_at :, : self.width]

    def feed(self, columns: Sequence[_Array], results: Sequence[_Array]) -> None:
        """
        Run the program over the bars that follow those seen.

        Parameters
        ----------
        columns : sequence of float64 arrays, (n, width), aligned, of any strides
            The program's inputs, oldest bar first.
        results : sequence of float64 or float32 arrays, (k, width), k <= n, aligned, of any strides
            Receive the last k rows. None may share memory with a column or with another result.
        """
        table = self._table(columns, results)
        driver.drive()(table.ctypes.data)
        self.seen = int(table[driver.SEEN])

    def _address(self, row: int) -> int:
        return self._base + 8 * self._length * row

    def _table(self, columns: Sequence[_Array], results: Sequence[_Array]) -> npt.NDArray[np.int64]:
        program = self.program
        places, moving, gathers = self._places(columns, results)
        words = [0] * driver.HEAD
        moves: list[int] = []
        instructions: list[int] = []
        for instruction, address, state in zip(program.instructions, program.addresses, self._states, strict=True):
            instructions += (address, len(words))
            for place in (*instruction.sources, *instruction.targets):
                if place in moving:
                    moves += (len(words), *moving[place])
                words += places[place]
            words += (self._address(state), self._length, 0)
            instructions.append(len(words) - 1)
            words += instruction.words
        stores: list[int] = []
        for index, result in enumerate(results):
            place = program.copies.get(index, Place(RESULT, index))
            if place in moving and index not in program.copies:
                continue  # its kernel writes into the result itself
            if place in moving:
                moves += (len(words) + len(stores) + 1, *moving[place])
            stores += self._store(places[place], result, len(columns[0]))
        sections = (
            (driver.STORES, driver.A_STORE, stores),
            (driver.INSTRUCTIONS, driver.AN_INSTRUCTION, instructions),
            (driver.MOVES, driver.A_MOVE, moves),
            (driver.GATHERS, driver.A_GATHER, gathers),
        )
        for at, size, section in sections:
            words[at : at + 2] = len(section) // size, len(words)
            words += section
        words[driver.BARS : driver.HEAD] = len(columns[0]), self._tile, self.width, self.seen
        return np.array(words, dtype=np.int64)

    def _places(
        self, columns: Sequence[_Array], results: Sequence[_Array]
    ) -> tuple[dict[Place, tuple[int, int]], dict[Place, tuple[int, int]], list[int]]:
        """
        Decide where each place lies.

        Returns
        -------
        Address and row length of each place; first address and bytes a bar of those that move; words of gathers.
        """
        program, tile = self.program, self._tile
        gathers: list[int] = []
        places = {Place(CONSTANT_ROW, k): (self._address(self._constants_at + k), 0) for k in range(self._constants)}
        for k in range(program.slots):
            places[Place(SLOT, k)] = (self._address(tile * k), self._length)
        moving: dict[Place, tuple[int, int]] = {}
        for k, column in enumerate(columns):
            place, (down, across) = Place(INPUT, k), column.strides
            if self._rowwise(column):
                places[place], moving[place] = (0, down // 8), (column.ctypes.data, down)
            else:
                target = self._address(tile * (program.slots + program.results + k))
                places[place] = (target, self._length)
                gathers += (column.ctypes.data, down, across, target, self._length)
        for k, result in enumerate(results):
            place, down = Place(RESULT, k), result.strides[0]
            if len(result) == len(columns[0]) and self._rowwise(result):
                places[place], moving[place] = (0, down // 8), (result.ctypes.data, down)
            else:
                places[place] = (self._address(tile * (program.slots + k)), self._length)
        return places, moving, gathers

    def _rowwise(self, array: _Array) -> bool:
        """Whether kernels can read or write the rows of an array where they are."""
        down, across = array.strides
        return array.dtype == np.float64 and (across == 8 or self.width == 1) and down % 8 == 0

    @staticmethod
    def _store(source: tuple[int, int], result: _Array, bars: int) -> tuple[int, ...]:
        down, across = result.strides
        single = result.dtype == np.float32
        kind = driver.SINGLE if single else driver.COPY if across == 8 else driver.SPREAD
        return (kind, *source, result.ctypes.data, down, across, bars - len(result))
