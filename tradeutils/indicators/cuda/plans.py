"""
What is to be launched for some indicators: which are fused into one program, and which are sets of one launch.

A program is compiled for its structure, and its parameters are read when it runs. So requests that differ in nothing
but their parameters, as those of ``rsi:5..50``, are sets of one launch over (symbols x sets); what is left is fused
into one program that reads each column once, and another for what never forgets, as the time of the first can be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tradeutils.indicators.cpu import Program, program_of
from tradeutils.indicators.cpu.chunks import settling
from tradeutils.indicators.cuda.table import structure_of
from tradeutils.indicators.expression import COLUMN, Node

__all__ = ["Batch", "Shape", "batches_of", "bytes_of", "early_of", "shape_of"]

# Fewer requests of one structure than this are fused with the others: a column is then read once for all of them, and
# a structure of its own is not worth a compilation.
_SWEPT: Final = 4
# A program of more instructions has more state than registers, and takes long to compile. Not measured.
_FUSED: Final = 48
# A chunk owns as many bars as it repeats at least, and so many in any case: work is at most doubled, for many times the
# threads. Time is cut only where symbols keep less than this share of the device busy. Not measured.
_SHORTEST: Final = 64
_IDLE: Final = 4
_WARP: Final = 32
_NARROW, _WIDE = 128, 256  # threads of a block
_FULL: Final = 4  # times the threads that keep a device busy, from which on wide blocks are as well spread


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Programs of one structure: the sets of one launch.

    Parameters
    ----------
    programs : tuple of Program
        One for each set, all of one structure.
    columns : tuple of int
        Which columns they read, in the order of their inputs.
    results : tuple of tuple of int
        For each set, which outputs its results are.
    """

    programs: tuple[Program, ...]
    columns: tuple[int, ...]
    results: tuple[tuple[int, ...], ...]

    @property
    def sets(self) -> int:
        """How many there are."""
        return len(self.programs)

    @property
    def outputs(self) -> int:
        """Results of each set."""
        return self.programs[0].results


@lru_cache(maxsize=256)
def batches_of(
    nodes: tuple[Node, ...], owners: tuple[int, ...], places: tuple[int, ...], nan: str
) -> tuple[Batch, ...]:
    """
    Return what to launch for some outputs; kept.

    Parameters
    ----------
    nodes : tuple of Node
        The outputs, over columns called "0", "1", ...
    owners : tuple of int
        For each, the number of the request that it belongs to; those of one request follow one another.
    places : tuple of int
        For each, its number among the results.
    nan : str
    """
    alone: list[_Own] = []
    found: dict[Hashable, list[_Own]] = {}
    for own in _runs(owners):
        program, columns = _program(tuple(nodes[at] for at in own), nan)
        found.setdefault((structure_of(program), columns), []).append(_Own(program, columns, own))
    batches = []
    for members in found.values():
        if len(members) < _SWEPT or not members[0].program.instructions:
            alone += members
            continue
        programs = tuple(one.program for one in members)
        results = tuple(tuple(places[at] for at in one.outputs) for one in members)
        batches.append(Batch(programs, members[0].columns, results))
    # One that never forgets would keep the time of all that are fused with it in one piece.
    apart = [[one for one in alone if (early_of([one.program]) is None) == never] for never in (False, True)]
    groups = [group for some in apart for group in _groups(some)]
    return (*(_fused(group, nodes, places, nan) for group in groups), *batches)


@dataclass(frozen=True, slots=True)
class _Own:
    """What one request is by itself: its program, the columns that it reads, and its outputs."""

    program: Program
    columns: tuple[int, ...]
    outputs: list[int]


def _groups(alone: list[_Own]) -> Iterator[list[int]]:
    """Yield the outputs of requests that are fused into one program."""
    group, instructions = list[int](), 0
    for one in sorted(alone, key=lambda one: one.outputs[0]):
        count = len(one.program.instructions)
        if group and instructions + count > _FUSED:
            yield group
            group, instructions = [], 0
        group += one.outputs
        instructions += count
    if group:
        yield group


def _fused(group: list[int], nodes: tuple[Node, ...], places: tuple[int, ...], nan: str) -> Batch:
    program, columns = _program(tuple(nodes[at] for at in group), nan)
    return Batch((program,), columns, (tuple(places[at] for at in group),))


def _runs(owners: Sequence[int]) -> Iterator[list[int]]:
    """Yield the places of each owner."""
    runs: dict[int, list[int]] = {}
    for at, owner in enumerate(owners):
        runs.setdefault(owner, []).append(at)
    yield from runs.values()


def _program(nodes: tuple[Node, ...], nan: str) -> tuple[Program, tuple[int, ...]]:
    """Return the program of some outputs, over the columns that they read and no others."""
    columns = sorted(_read(nodes))
    return program_of(nodes, tuple(map(str, columns)), nan), tuple(columns)


def _read(nodes: Iterable[Node]) -> set[int]:
    """Return the columns below some nodes; the first where there are none, as for a constant."""
    seen: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += node.inputs
    return {int(node.parameters[0]) for node in seen if node.operator is COLUMN} or {0}


@dataclass(frozen=True, slots=True)
class Shape:
    """
    How a launch is laid over a device: a thread for each (symbol, chunk of the time, set).

    Parameters
    ----------
    chunks : int
    length : int
        Bars of a chunk.
    early : int
        Bars that each chunk but the first runs before its own.
    block : int
        Threads of a block.
    """

    chunks: int
    length: int
    early: int
    block: int


def shape_of(programs: Sequence[Program], bars: int, symbols: int, fill: int, room: Callable[[], int]) -> Shape:
    """
    Return the shape of a launch.

    Parameters
    ----------
    programs : sequence of Program
        The sets.
    bars, symbols : int
    fill : int
        Threads that keep the device busy.
    room : callable
        Returns the bytes that the states of all chunks may take; asked where there may be several.
    """
    threads = max(symbols * len(programs), 1)
    early = early_of(programs)
    chunks = 1
    if early is not None and _IDLE * threads <= fill and bars > _SHORTEST:
        shortest = max(_SHORTEST, early)
        # Of each chunk there are a state to work on and the two that are compared.
        state = 3 * 8 * max(program.rows for program in programs) * threads
        chunks = max(1, min(-(-fill // threads), bars // shortest, room() // max(state, 1)))
    length = max(-(-bars // chunks), 1)
    chunks = max(-(-bars // length), 1)
    return Shape(chunks, length, 0 if chunks == 1 or early is None else early, _block(threads * chunks, fill))


def _block(lanes: int, fill: int) -> int:
    """Return the threads of a block: few where there are few, so that every multiprocessor gets some."""
    if lanes >= _FULL * fill:
        return _WIDE
    return _NARROW if lanes * _NARROW >= fill * _WARP else _WARP


def early_of(programs: Sequence[Program]) -> int | None:
    """Return how early a chunk begins so that every set forgets that it began there; ``None``: one never does."""
    longest = 0
    for program in programs:
        found = settling(program)
        if found is None:
            return None
        longest = max(longest, found[0])
    return longest


def bytes_of(batches: Sequence[Batch], bars: int, kept: int, sizes: tuple[int, int]) -> int:
    """
    Return the bytes of a device's memory that one symbol takes, its states in one chunk included.

    Parameters
    ----------
    batches : sequence of Batch
    bars, kept : int
        Rows that are read, and that are stored.
    sizes : tuple of int
        Bytes of an item that is read, and of one that is stored.
    """
    columns = {at for batch in batches for at in batch.columns}
    results = sum(batch.sets * batch.outputs for batch in batches)
    states = max((sum(program.rows for program in batch.programs) for batch in batches), default=0)
    return bars * len(columns) * sizes[0] + kept * results * sizes[1] + states * 8
