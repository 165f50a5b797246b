"""
From expressions to a program: which kernels run in which order, and where each finds what it reads.

A program holds for any data; a ``State`` (state.py) runs it.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tradeutils.indicators.cpu.compiling import Kernel
from tradeutils.indicators.expression import COLUMN, CONSTANT, Node, Operator
from tradeutils.indicators.threads import building

__all__ = ["CONSTANT_ROW", "INPUT", "RESULT", "SLOT", "Instruction", "Place", "Program", "kernel_of", "make_program"]

INPUT, CONSTANT_ROW, SLOT, RESULT = "input", "constant", "slot", "result"


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


@dataclass(frozen=True, eq=False)  # each is one object, and what is made of it is found by its hash
class Program:
    """
    What to run for a number of results.

    Parameters
    ----------
    inputs : tuple of str
        The names of the columns, in the order in which ``State.feed`` takes them.
    instructions : tuple of Instruction
    constants : tuple of float
    slots : int
        How many scratch columns there are.
    copies : dict of int to Place
        Results that are a column that stands elsewhere: an input, a constant, or an earlier result.
    results : int
    mode : int
        RESTART, PROPAGATE or HOLD.
    counts : tuple of int
        State rows of each instruction.
    rows : int
        Their sum.
    """

    inputs: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    constants: tuple[float, ...]
    slots: int
    copies: dict[int, Place]
    results: int
    mode: int
    counts: tuple[int, ...] = field(init=False)
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        counts = tuple(instruction.kernel.rows_of(instruction.parameters) for instruction in self.instructions)
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "rows", sum(counts))

    @property
    def addresses(self) -> list[int]:
        """The machine code of each instruction; compiled where that has not been done."""
        return [instruction.kernel.address(self.mode) for instruction in self.instructions]


def kernel_of(operator: Operator) -> Kernel:
    """Return the kernel of an operator: of its name, in the file of ``cpu/`` that bears its file's name."""
    with building:
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
            sought = [self._group(source) for source in node.inputs if source.inputs]
            # Each once, and in an order that all processes share, as a set has not: places are part of what a snapshot
            # of a stream is known by.
            ending = dict.fromkeys([one for one in sought if last[one] == at] + [group] * (group not in last))
            free += [place.number for one in ending for place in self._groups[one][1] if place.kind == SLOT]
        return tuple(made), slots

    def _place(self, node: Node) -> Place:
        return self._groups[self._group(node)][1][node.output] if node.inputs else self._leaf(node)
