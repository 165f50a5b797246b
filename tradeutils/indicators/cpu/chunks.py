"""
A series in chunks side by side, with the bits of one pass.

A kernel needs many symbols to fill the lanes of a vector. A long series has one, so it is cut into chunks that take
the lanes' places. A panel has symbols enough but may have too few for several threads, so each takes a part of the
time. A chunk is begun some bars early, so that its averages forget that they began there; rounding makes them forget
to the last bit. Where they have not, the chunk is run again from the state the one before it ended with: chunks are a
guess that is checked, never an approximation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from tradeutils.indicators.cpu.program import Place, Program
from tradeutils.indicators.cpu.state import State

__all__ = ["Lanes", "Span", "join", "lanes_of", "limits_of", "settling"]

_Array = npt.NDArray[Any]

_LANES: Final = (64, 32, 16)
# Lanes may cost so many bars more than the series has: a bar in a lane costs an eighth of one that is computed alone.
_WORTH: Final = 2.0
# What is left of the past when a chunk's own bars begin: far below the last bit, so that rounding has had the time to
# bring two states together that differ in it. It does so with probability alpha at each bar.
_FORGOTTEN: Final = 1e-22
_LINE: Final = 8  # float64 in a cache line: chunks begin where one does, if the series does
_SPREAD: Final = 128  # cycles of a chunk of which one may be left to what follows all chunks: 1 % of the bars
_SPARE: Final = 8  # counts of good bars matter up to a lookback and a few bars


@dataclass(frozen=True, slots=True)
class Lanes:
    """
    How a long series is cut.

    Parameters
    ----------
    lanes : int
        How many chunks there are.
    length : int
        Bars from the beginning of one to that of the next.
    early : int
        Bars that each begins early; the first, which cannot, is so much longer.
    """

    lanes: int
    length: int
    early: int

    @property
    def bars(self) -> int:
        """The bars that all chunks cover; those that follow are left over."""
        return self.early + self.lanes * self.length

    def run(self, program: Program, columns: Sequence[_Array], results: Sequence[_Array]) -> None:
        """
        Run a program over one series.

        Parameters
        ----------
        program : Program
        columns, results : arrays (T, 1)
            As :meth:`State.feed` takes them, but results of all T bars.
        """
        state = State(program, self.lanes, turned=True)
        first = [np.empty((self.early, self.lanes), result.dtype) for result in results]
        state.feed([self._view(column, 0, self.early) for column in columns], first)
        for result, part in zip(results, first, strict=True):
            result[: self.early] = part[:, :1]
        begun = state.memory.copy()
        own = [self._view(result, self.early, self.length) for result in results]
        state.feed([self._view(column, self.early, self.length) for column in columns], own)
        rest = State(program, 1)
        rest.memory[:], rest.seen = self._checked(program, columns, results, begun, state.memory), self.bars
        if self.bars < len(columns[0]):
            rest.feed([column[self.bars :] for column in columns], [result[self.bars :] for result in results])

    def _checked(
        self, program: Program, columns: Sequence[_Array], results: Sequence[_Array], begun: _Array, ended: _Array
    ) -> _Array:
        """Run again each chunk that did not begin as the one before it ended; return the state after the last."""
        limits = limits_of(program)
        if _same(begun[:, 1:], ended[:, :-1], limits).all():
            return ended[:, -1:]
        ends = ended[:, :1]
        for lane in range(1, self.lanes):
            if _same(begun[:, lane : lane + 1], ends, limits).all():
                ends = ended[:, lane : lane + 1]
                continue
            start = self.early + lane * self.length
            again = State(program, 1)
            again.memory[:], again.seen = ends, start
            part = slice(start, start + self.length)
            again.feed([column[part] for column in columns], [result[part] for result in results])
            ends = again.memory
        return ends

    def _view(self, array: _Array, start: int, bars: int) -> _Array:
        """View the bars of all chunks from their ``start``-th on as (bars, lanes)."""
        step = array.strides[0]
        return as_strided(
            array[start:], (bars, self.lanes), (step, step * self.length), writeable=array.flags.writeable
        )


class Span:
    """
    A part of the time of all symbols, computed for itself.

    Parameters
    ----------
    program : Program
    columns, results : arrays (T, S)
        As :meth:`State.feed` takes them, but results of all T bars.
    start, stop : int
        Its bars.
    early : int
        How many bars before ``start`` it begins, if there are so many.
    """

    def __init__(
        self, program: Program, columns: Sequence[_Array], results: Sequence[_Array], start: int, stop: int, early: int
    ) -> None:
        self._program = program
        self._columns = columns
        self._results = results
        self._start, self._stop, self._early = start, stop, min(early, start)
        self._begun: _Array | None = None
        self._ended: _Array | None = None

    def run(self) -> None:
        """Compute it."""
        symbols = self._columns[0].shape[1]
        state = State(self._program, symbols)
        state.seen = since = self._start - self._early
        state.feed([column[since : self._start] for column in self._columns], [result[:0] for result in self._results])
        self._begun = state.memory.copy()
        self._feed(state, 0, symbols)
        self._ended = state.memory

    def follow(self, before: Span) -> None:
        """Compute again, from where the one before it ended, each symbol that did not begin like that."""
        assert self._begun is not None and self._ended is not None and before._ended is not None  # noqa: S101, PT018
        wrong = ~_same(self._begun, before._ended, limits_of(self._program)).all(axis=0)
        edges = np.flatnonzero(np.diff(wrong, prepend=False, append=False))
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            state = State(self._program, int(high - low))
            state.memory[:], state.seen = before._ended[:, low:high], self._start
            self._feed(state, low, high)
            self._ended[:, low:high] = state.memory

    def _feed(self, state: State, low: int, high: int) -> None:
        part = slice(self._start, self._stop), slice(low, high)
        state.feed([column[part] for column in self._columns], [result[part] for result in self._results])


def join(spans: Sequence[Span]) -> None:
    """Make spans that have been run the same as one pass over all of them."""
    for before, span in pairwise(spans):
        span.follow(before)


def _same(a: _Array, b: _Array, limits: _Array) -> _Array:
    """Say which items of two states are the same to the bit, NaN being NaN, and counts as far as they matter."""
    a, b = np.minimum(a, limits), np.minimum(b, limits)
    same: _Array = (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))
    return same


def limits_of(program: Program) -> _Array:
    """Return, for each row of a program's state, what matters of it at most: (rows, 1)."""
    limits = []
    for instruction in program.instructions:
        kernel, parameters = instruction.kernel, instruction.parameters
        counts = kernel.counts or 0
        limits += [float(instruction.operator.lookback(*parameters) + _SPARE)] * counts
        limits += [math.inf] * (kernel.rows(*parameters) - counts)
    return np.array(limits).reshape(-1, 1)


@lru_cache(maxsize=256)
def settling(program: Program) -> tuple[int, int] | None:
    """
    Return how many bars a program needs to forget where it began, and the period of what depends on the number of bars.

    ``None`` where it never forgets, or does not say.
    """
    cycle, early = _LINE, 0
    known: dict[Place, int] = {}
    for instruction in program.instructions:
        kernel, parameters = instruction.kernel, instruction.parameters
        own: int | None = 0
        if kernel.cycle is not None:
            own = 2 * kernel.cycle(*parameters)
            cycle = math.lcm(cycle, kernel.cycle(*parameters))
        elif kernel.counts is not None:
            forgotten = instruction.operator.memory(parameters, _FORGOTTEN)
            own = instruction.operator.settles if forgotten is None else forgotten
        elif kernel.takes:
            own = None
        if own is None:
            return None
        settled = own + max((known.get(place, 0) for place in instruction.sources), default=0)
        known.update(dict.fromkeys(instruction.targets, settled))
        early = max(early, -(-settled // _LINE) * _LINE)
    return early, cycle


@lru_cache(maxsize=256)
def lanes_of(program: Program, bars: int) -> Lanes | None:
    """Return how to cut one series of so many bars; ``None`` where it is best run, or can only be run, in one pass."""
    found = settling(program)
    if found is None:
        return None
    early, cycle = found
    for lanes in _LANES:
        length = (bars - early) // lanes // cycle * cycle
        if length // _LINE % 2 == 0 and cycle // _LINE % 2 and length > _SPREAD * cycle:
            # Chunks an even number of lines apart share half of the sets of a cache, or fewer: up to 10 % slower.
            length -= cycle
        if lanes * early <= _WORTH * bars and length > 0 and lanes * cycle <= bars:
            return Lanes(lanes, length, early)
    return None
