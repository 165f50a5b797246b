"""
From patterns and columns of prices to values: the work is cut into blocks of symbols and bars, which run side by side.

A value depends on a few bars before it and on nothing else, so a block reads that many more bars than it stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.candlesticks.declaration import Pattern
from tradeutils.indicators.candlesticks.layout import layout_of
from tradeutils.indicators.candlesticks.program import Program, make_program
from tradeutils.indicators.memory import arena
from tradeutils.indicators.threads import building, run_all

__all__ = ["Values", "search"]

Values = npt.NDArray[np.int16]
"""What a pattern says at each bar, as TA-Lib counts: 0 where it is not."""

_Prices = npt.NDArray[np.float64]
_Words = npt.NDArray[np.int64]

# A tile of one amount takes 16 KiB. Of 1,024 .. 8,192 items and blocks of 64 .. 512 symbols at 500 x 10,000 these were
# the fastest, with 38 ns a bar for all patterns; the others took 39 to 57.
_TILE_ITEMS: Final = 2048
_WIDEST: Final = 256
_LINE: Final = 64
# Less work than so many bars times nodes, about 0.5 ms, is not worth waking a thread for.
_WORTH_A_THREAD: Final = 10_000_000


def search(
    patterns: Sequence[tuple[Pattern, float | None]],
    columns: Sequence[_Prices],
    *,
    scale: str,
    tail: int | None = None,
    threads: int = 1,
) -> list[Values]:
    """
    Return the values of patterns, each with its penetration (``None``: its own).

    Parameters
    ----------
    columns : float64 arrays, (T, S)
        Open, high, low and close, aligned, of any strides.
    scale : str
        One of SCALES.
    tail : int, optional
        Return only this many of the last rows.
    threads : int
        At most so many; the values are the same on any number.

    Notes
    -----
    Beside the results it takes one workspace of 1 MB at most for each thread.
    """
    bars, symbols = columns[0].shape
    rows = bars if tail is None else min(tail, bars)
    results = [arena.empty((rows, symbols), np.dtype(np.int16)) for _ in patterns]
    if not results or not results[0].size:
        return results
    program = _program(tuple(patterns), scale)
    parts = max(1, min(threads, rows * symbols * len(program.order) // _WORTH_A_THREAD))
    run_all(_tasks(program, columns, results, parts), parts)
    return results


def _tasks(
    program: Program, columns: Sequence[_Prices], results: Sequence[Values], parts: int
) -> list[Callable[[], None]]:
    """Return the blocks: of symbols, each as wide as is good, and if they are too few for all, of bars too."""
    (bars, symbols), rows = columns[0].shape, len(results[0])
    # Symbols first: at 500 x 10,000 two threads took 0.50 of the time of one with half of the symbols each, 0.84 with
    # half of the bars.
    blocks = -(-symbols // _WIDEST)
    width = -(-symbols // blocks)
    spans = min(-(-parts // blocks), rows)
    tasks: list[Callable[[], None]] = []
    for begin, end in pairwise(rows * k // spans for k in range(spans + 1)):
        first = bars - rows + begin
        read = slice(max(0, first - program.reach), bars - rows + end)
        for low in range(0, symbols, width):
            block = slice(low, low + width)
            tasks.append(
                partial(
                    _run,
                    program,
                    [column[read, block] for column in columns],
                    [result[begin:end, block] for result in results],
                )
            )
    return tasks


@lru_cache(maxsize=64)
def _program(patterns: tuple[tuple[Pattern, float | None], ...], scale: str) -> Program:
    return make_program(patterns, scale)


def _length(width: int) -> int:
    """Return how many items a row takes: whole vectors, where that wastes little."""
    return -(-width // _LINE) * _LINE if width > 2 * _LINE else width


def _tile(width: int, bars: int) -> int:
    """Return how many bars to take at once; a power of two of few bars, so that series of about one length share it."""
    return min(max(1, _TILE_ITEMS // _length(width)), 1 << max(bars - 1, 0).bit_length())


def _run(program: Program, columns: Sequence[_Prices], results: Sequence[Values]) -> None:
    """Search a block."""
    bars, width = columns[0].shape
    layout = layout_of(program, _tile(width, bars), _length(width))
    base, workspace = _workspace(layout.size)
    inputs = _words(
        (column.ctypes.data, *column.strides, place) for column, place in zip(columns, layout.columns, strict=True)
    )
    outputs = _words((result.ctypes.data, *result.strides) for result in results)
    head = [base, bars, layout.rows, width, layout.length, bars - len(results[0])]
    for words in (layout.instructions, layout.moves):
        head += [words.ctypes.data, len(words)]
    table = np.array([*head, layout.count, inputs.ctypes.data, outputs.ctypes.data], np.int64)
    _compiled()(table.ctypes.data)
    del workspace  # until here it must not be given back


def _workspace(size: int) -> tuple[int, npt.NDArray[np.uint8]]:
    """Return where so many bytes of zeros begin, at a cache line, and what holds them."""
    held = np.zeros(size + _LINE, np.uint8)
    address: int = held.ctypes.data
    return address + -address % _LINE, held


def _words(rows: Any) -> _Words:
    return np.array(list(rows), np.int64)


@cache
def _compiled() -> Any:
    """Return the compiled loop, made when that is first asked for: numba takes a quarter of a second to import."""
    with building:
        from tradeutils.indicators.cpu import candlesticks

        return candlesticks.search()
