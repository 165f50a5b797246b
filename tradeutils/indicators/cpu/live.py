"""A program that follows a market: one bar of all symbols at a time, from fixed places, with one call."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.cpu import driver
from tradeutils.indicators.cpu.compiling import sources
from tradeutils.indicators.cpu.program import Program
from tradeutils.indicators.cpu.state import State
from tradeutils.indicators.snapshot import Mark

__all__ = ["TIME", "Live", "arithmetic_of"]

_Array = npt.NDArray[Any]

TIME: Final = "time"
"""The input that is the time of the bar, the same for all symbols."""


class Live:
    """
    A state, the time of its last bar, and the way for the next.

    Parameters
    ----------
    program : Program
    width : int
        Symbols; there may be none.
    step : int
        Milliseconds from a bar to the next, 0 where that varies: then no bar is expected.

    Attributes
    ----------
    advance : callable
        ``advance(time, *columns, made)`` feeds the bar that is expected: ``columns`` are ``driver.COLUMNS`` float64
        arrays (width,), those of the inputs in their order, the time left out, then any; ``made``, (results, width)
        float64 in one piece and read-only for all others, receives its results. It answers ``driver.FED``, and
        otherwise nothing has changed: ``UNEXPECTED`` where :meth:`expect` would be needed first, ``MISSHAPEN`` where
        a column is of another length. Other kinds of arrays raise ``TypeError``. No signal can interrupt it, so state
        and time never part.
    """

    advance: Callable[..., int]

    def __init__(self, program: Program, width: int, step: int) -> None:
        self.program = program
        self.width = width
        self._step = step
        self._state = State(program, width)
        self._table, self._words = self._state.bar_table()
        rows = {name: row.ctypes.data for name, row in zip(program.inputs, self._state.rows, strict=True)}
        timed = rows.pop(TIME, 0)
        self._spare = np.empty(width)  # receives the columns that are not read
        spares = [self._spare.ctypes.data] * (driver.COLUMNS - len(rows))
        self._rows = np.array([*rows.values(), *spares], dtype=np.int64)
        self._head = np.array(
            [
                *(self._table.ctypes.data, driver.NEVER, driver.NEVER, step, width, timed),
                *(len(rows), self._rows.ctypes.data, len(self._words), self._words.ctypes.data, 0),
            ],
            dtype=np.int64,
        )
        self.advance = partial(driver.next_bar(), self._head.ctypes.data)

    @property
    def seen(self) -> int:
        """How many bars there were."""
        return int(self._table[driver.SEEN])

    @property
    def time(self) -> int | None:
        """The time of the last, ``None`` before the first."""
        last = int(self._head[driver.LAST])
        return None if last == driver.NEVER else last

    @property
    def filled(self) -> int:
        """The address of the results of the last bar, if :attr:`advance` fed it; else 0."""
        return int(self._head[driver.FILLED])

    @property
    def memory(self) -> npt.NDArray[np.float64]:
        """What all kernels remember, (rows, width)."""
        return self._state.memory

    def expect(self, time: int) -> None:
        """Have the next bar be the one of this time."""
        self._head[driver.EXPECTED] = time

    def bar(self) -> npt.NDArray[np.float64]:
        """Return a copy of the bar that was fed last, (inputs, width)."""
        return np.concatenate(self._state.rows)

    def feed(self, times: npt.NDArray[np.int64], columns: Mapping[str, _Array], made: _Array) -> None:
        """
        Feed the bars that follow, as many as there are times.

        Parameters
        ----------
        times : int64 array, shape (n,)
        columns : mapping of str to float64 array, shape (n, width)
            By the inputs' names, of any strides; of the time none is needed.
        made : float64 array, shape (results, width)
            Receives the results of the last bar.
        """
        count = len(times)
        if not count:
            return
        shape = (count, self.width)
        given = {**columns, TIME: np.broadcast_to(times.astype(np.float64)[:, np.newaxis], shape)}
        self._state.seen = self.seen
        self._state.feed([given[name] for name in self.program.inputs], [row[np.newaxis] for row in made])
        self._stand(self._state.seen, int(times[-1]))

    def mark(self) -> Mark:
        """Return where it stands."""
        return Mark(self.seen, self.time, self.memory.copy())

    def return_to(self, mark: Mark) -> None:
        """Stand where it stood, or where another of the same program and symbols did."""
        self.memory[:] = mark.memory
        self._stand(mark.seen, mark.time)

    def copy_from(self, other: Live) -> None:
        """Stand where another of the same program and symbols stands."""
        self._state.copy_from(other._state)
        self._stand(other.seen, other.time)

    def begin(self, seen: int) -> None:
        """Stand before the first bar, as if so many had been missing; below 0, as many fewer than there will be."""
        self._stand(seen, None)

    def taking(self, columns: Sequence[int]) -> Live:
        """Return one of other symbols: each the column of that number here, or, where that is -1, a new one."""
        made = Live(self.program, len(columns), self._step)
        taken = np.array(columns, dtype=np.intp)
        kept = taken >= 0
        made.memory[:, kept] = self.memory[:, taken[kept]]
        made._stand(self.seen, self.time)
        return made

    def _stand(self, seen: int, time: int | None) -> None:
        self._table[driver.SEEN] = seen
        last = driver.NEVER if time is None else time
        self._head[driver.LAST], self._head[driver.FILLED] = last, 0
        self._head[driver.EXPECTED] = last + self._step if time is not None and self._step else driver.NEVER


@lru_cache(maxsize=256)
def arithmetic_of(program: Program) -> str:
    """
    Return a name for what a program computes and how it remembers.

    Of equal name are programs of the same instructions whose kernels are of the same source: one's memory means the
    same to the other.
    """
    digest = hashlib.sha256()
    for instruction in program.instructions:
        exact = [float(value).hex() for value in instruction.parameters]
        places = [*instruction.sources, *instruction.targets]
        digest.update(repr((instruction.operator.module, instruction.operator.name, exact, places)).encode())
    digest.update(repr((program.inputs, program.constants, program.mode, program.rows)).encode())
    for module in sorted({instruction.operator.module for instruction in program.instructions}):
        for source in sources(module):
            digest.update(source)
    return digest.hexdigest()[:32]
