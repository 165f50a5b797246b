"""Indicators on the CPU: programs of numba kernels over panels in time-major order, on our own threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Final

import numpy.typing as npt

from tradeutils.indicators.cpu import driver
from tradeutils.indicators.cpu.chunks import Span, join, lanes_of, settling
from tradeutils.indicators.cpu.compiling import MODES, Kernel, cache_folder
from tradeutils.indicators.cpu.live import Live, arithmetic_of
from tradeutils.indicators.cpu.program import Program, kernel_of, make_program
from tradeutils.indicators.cpu.state import State
from tradeutils.indicators.expression import Node

__all__ = [
    "MODES",
    "Kernel",
    "Live",
    "Plan",
    "Program",
    "State",
    "arithmetic_of",
    "cache_folder",
    "driver",
    "kernel_of",
    "make_program",
    "plan",
    "program_of",
]

_Array = npt.NDArray[Any]

# The state of a block should stay in the second-level cache; columns narrower than a few cache lines waste reads.
_STATE_BYTES: Final = 1 << 20
_NARROWEST, _WIDEST, _LINE = 64, 4096, 8
# Part of a row is read slower than a whole one, as each row is then on a page of its own: two threads with half of 500
# columns each took 2.2 times as long as one (EMA, 10,000 bars), and 1.2 times with 504 bars, which are in the caches.
# So threads share out the time where the program soon forgets what was before, else symbols, if each gets so many.
_WORTH_A_THREAD: Final = 1024
# Threads that begin early repeat so many bars in all at most, of those there are: two then gain 1.33 times at least.
_REPEATED: Final = 0.5
# Fewer symbols than this do not fill the lanes of vectors, and a long series of each is cut into chunks that do.
_FEW: Final = 8
# Symbol-major data are turned block by block. Of 16 .. 512 symbols at once this many were the fastest.
_TURNED: Final = 64


@lru_cache(maxsize=256)
def program_of(outputs: tuple[Node, ...], inputs: tuple[str, ...], nan: str = "restart") -> Program:
    """Return the program of these expressions; kept, as most programs ask for the same again and again."""
    return make_program(outputs, inputs, MODES[nan])


@dataclass(frozen=True, slots=True)
class Plan:
    """
    Tasks that may run in any order, side by side, and what is to be done when all have ended.

    The result has the same bits whatever the number of tasks.
    """

    tasks: list[Callable[[], None]]
    finish: Callable[[], None] = lambda: None


def plan(program: Program, columns: Sequence[_Array], results: Sequence[_Array], parts: int) -> Plan:
    """
    Return how to run a program from its first bar.

    Parameters
    ----------
    program : Program
    columns : float64 arrays, shape (T, S), aligned
    results : float64 or float32 arrays, shape (K, S), aligned, K <= T, one K for all
        Receive the last K rows. None may share memory with a column or with another result.
    parts : int
        How many tasks there should be, where there is enough to do.
    """
    bars, symbols = columns[0].shape
    whole = len(results[0]) == bars
    if symbols <= _FEW and whole:
        lanes = lanes_of(program, bars)
        if lanes is not None:
            return Plan([partial(lanes.run, program, *_part(columns, results, k, k + 1)) for k in range(symbols)])
    turned = symbols > 1 and not all(abs(array.strides[1]) in (0, array.itemsize) for array in (*columns, *results))
    if parts > 1 and whole and not turned and symbols < parts * _WORTH_A_THREAD:
        spans = _spans(program, columns, results, parts)
        if spans:
            return Plan([span.run for span in spans], partial(join, spans))
    width = symbols if symbols <= _NARROWEST else _block_width(symbols, program.rows, parts)
    if turned:
        width = min(width, _TURNED)

    def run(own: Sequence[_Array], made: Sequence[_Array]) -> None:
        State(program, own[0].shape[1], bars, turned=turned).feed(own, made)

    if width >= symbols:
        return Plan([partial(run, columns, results)])
    return Plan([partial(run, *_part(columns, results, low, low + width)) for low in range(0, symbols, width)])


def _part(
    columns: Sequence[_Array], results: Sequence[_Array], low: int, high: int
) -> tuple[list[_Array], list[_Array]]:
    """Return the columns of some symbols."""
    return [column[:, low:high] for column in columns], [result[:, low:high] for result in results]


def _spans(program: Program, columns: Sequence[_Array], results: Sequence[_Array], parts: int) -> list[Span]:
    """Share out the time; none where parts would be too short for what each repeats."""
    bars = len(columns[0])
    found = settling(program)
    if found is None:
        return []
    parts = min(parts, 1 + int(_REPEATED * bars) // max(found[0], 1))
    if parts < 2:
        return []
    early, _ = found
    # Each but the first repeats bars, so the first gets more of them.
    length = (bars - early) // parts
    cuts = [0, *(early + length * k for k in range(1, parts)), bars]
    return [Span(program, columns, results, start, stop, early) for start, stop in pairwise(cuts)]


def _block_width(symbols: int, rows: int, parts: int) -> int:
    """Return how many symbols to take at once: the state small, each part worth a thread, whole cache lines."""
    widest = min(_WIDEST, max(_NARROWEST, _STATE_BYTES // (8 * max(rows, 1))))
    share = max(-(-symbols // parts), _WORTH_A_THREAD)
    return -(-min(widest, share, symbols) // _LINE) * _LINE
