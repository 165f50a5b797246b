"""
Programs of few symbols that never forget, in stages: a scan for each running sum, and what stands between them fused.

A running sum keeps every bar since the first, so the time of its program cannot be cut into chunks, and few symbols
leave a device idle. A scan takes the time of one operator in parallel; what is before and after it forgets, and is
computed in chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tradeutils.indicators.cpu import Program
from tradeutils.indicators.cpu.program import CONSTANT_ROW, INPUT, RESULT, SLOT, Instruction, Place
from tradeutils.indicators.cuda.plans import early_of
from tradeutils.indicators.cuda.scans import BLOCK, SCANNED

__all__ = ["Stage", "Stages", "stages_of", "worth_stages"]

# A scan keeps a block busy for each symbol; with more symbols than this share of the device each may as well have a
# thread. And series must be some tiles long.
_BUSY: Final = 2
_SHORTEST: Final = 4096


@dataclass(frozen=True, eq=False)
class Stage:
    """
    A part of a program that is launched by itself.

    Parameters
    ----------
    program : Program
        Of this part: its inputs are columns that stand outside it.
    scanned : bool
        Whether it is one instruction that is to be scanned.
    sources : tuple of int
        Which values its inputs are. The program's own inputs are the first values; each stage adds its results.
    results : tuple of int
        Which values its results are.
    """

    program: Program
    scanned: bool
    sources: tuple[int, ...]
    results: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Stages:
    """
    A program in stages.

    Parameters
    ----------
    stages : tuple of Stage
        In the order in which they run.
    finals : dict of int to int
        For each result that is no copy, which value it is.
    """

    stages: tuple[Stage, ...]
    finals: dict[int, int]


def worth_stages(bars: int, symbols: int, fill: int) -> bool:
    """Tell whether symbols are so few, and bars so many, that stages are faster than a thread for each symbol."""
    return bars >= _SHORTEST and symbols * BLOCK <= _BUSY * fill


@lru_cache(maxsize=256)
def stages_of(program: Program) -> Stages | None:
    """Return a program in stages; ``None`` where there is nothing to scan, or what never forgets cannot be scanned."""
    if early_of([program]) is not None:
        return None
    numbered = _numbered(program)
    groups: list[tuple[bool, list[_Numbered]]] = []
    for one in numbered.instructions:
        if early_of([_alone(program, one.instruction)]) is None:
            if one.instruction.operator.name not in SCANNED or min(one.sources) < 0:
                return None
            groups.append((True, [one]))
        elif groups and not groups[-1][0]:
            groups[-1][1].append(one)
        else:
            groups.append((False, [one]))
    stages = []
    for at, (scanned, members) in enumerate(groups):
        later = {value for _, others in groups[at + 1 :] for one in others for value in one.sources}
        stages.append(_stage(program, members, later.union(numbered.finals.values()), scanned=scanned))
    return Stages(tuple(stages), numbered.finals)


def _alone(program: Program, instruction: Instruction) -> Program:
    """Return the program of one instruction."""
    sources = tuple(Place(INPUT, at) for at in range(len(instruction.sources)))
    targets = tuple(Place(RESULT, at) for at in range(len(instruction.targets)))
    own = Instruction(instruction.operator, instruction.kernel, instruction.parameters, sources, targets)
    return Program(tuple(map(str, range(len(sources)))), (own,), (), 0, {}, len(targets), program.mode)


@dataclass(frozen=True, slots=True)
class _Numbered:
    """An instruction with what it reads and writes as values, of which each is written once; -1 - k: a constant."""

    instruction: Instruction
    sources: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _All:
    instructions: list[_Numbered]
    finals: dict[int, int]


def _numbered(program: Program) -> _All:
    """Give each value a number: slots are used again and again."""
    known = {Place(INPUT, at): at for at in range(len(program.inputs))}
    known.update({Place(CONSTANT_ROW, at): -1 - at for at in range(len(program.constants))})
    count = len(program.inputs)
    made = []
    for instruction in program.instructions:
        sources = tuple(known[place] for place in instruction.sources)
        targets = tuple(range(count, count + len(instruction.targets)))
        count += len(targets)
        known.update(zip(instruction.targets, targets, strict=True))
        made.append(_Numbered(instruction, sources, targets))
    return _All(made, {place.number: value for place, value in known.items() if place.kind == RESULT})


def _stage(program: Program, members: Sequence[_Numbered], wanted: set[int], *, scanned: bool) -> Stage:
    """Return the stage of some instructions, of which the values that are wanted outside are results."""
    made = [value for one in members for value in one.targets]
    read = dict.fromkeys(value for one in members for value in one.sources if value >= 0 and value not in made)
    # A program has an input at least, though it may read constants alone; and a scan all of its inputs, in order.
    sources = members[0].sources if scanned else tuple(read) or (0,)
    results = tuple(members[0].targets) if scanned else tuple(value for value in made if value in wanted)
    places = {value: Place(SLOT, at) for at, value in enumerate(made)}
    places.update({-1 - at: Place(CONSTANT_ROW, at) for at in range(len(program.constants))})
    places.update({value: Place(INPUT, at) for at, value in enumerate(sources) if value >= 0})
    places.update({value: Place(RESULT, at) for at, value in enumerate(results)})
    own = tuple(
        Instruction(
            one.instruction.operator,
            one.instruction.kernel,
            one.instruction.parameters,
            tuple(places[value] for value in one.sources),
            tuple(places[value] for value in one.targets),
        )
        for one in members
    )
    names = tuple(map(str, range(len(sources))))
    part = Program(names, own, program.constants, len(made), {}, len(results), program.mode)
    return Stage(part, scanned, sources, results)
