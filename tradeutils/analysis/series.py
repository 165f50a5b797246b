"""Searches that go through the bars of one series after another, over panels: blocks of symbols, on our own threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.memory import arena
from tradeutils.indicators.threads import building, run_all, thread_count

__all__ = ["Search", "Shared", "each_series", "matrix"]

_Item = TypeVar("_Item", bound=np.generic)

Search = Callable[[int], None]
"""A compiled search: it takes the address of a table, whose first words are bars, series, inputs and outputs."""

# Of 4 .. 64 symbols at 500 x 10,000, 4 to 32 took the same time (zig-zag: 33 ns a bar), 64 up to twice as long.
_BLOCK: Final = 16
# Less than so many bars of all symbols is not worth waking a thread for.
_WORTH_A_THREAD: Final = 50_000


class Shared(NamedTuple):
    """An array that a search reads or writes besides the columns; ``step`` bytes of it belong to each series."""

    array: npt.NDArray[Any]
    step: int = 0


def each_series(
    search: Callable[[], Search],
    inputs: Sequence[npt.NDArray[Any]],
    outputs: Sequence[float | int],
    shared: Sequence[Shared] = (),
) -> list[npt.NDArray[Any]]:
    """
    Run a search over every series and return its outputs, in the shape of the inputs.

    Parameters
    ----------
    search : callable
        Returns the compiled search; called when it is needed, as it may have to be compiled.
    inputs : float64 or int64 arrays, (T,) or (T, S), of one shape
        Read-only ones may be broadcast.
    outputs : sequence of float or int
        What each output, float64 or int64, holds where the search writes nothing.
    shared : sequence of Shared
        Kept by the caller until this returns. Parts of different series must not overlap, or not be written to.

    Notes
    -----
    Series by series the bars lie side by side, so that a search that goes back in time finds them in the caches; each
    block is turned for that, and its outputs are turned back.
    """
    shape = inputs[0].shape
    made = [arena.empty(shape, np.dtype(type(fill))) for fill in outputs]
    for array, fill in zip(made, outputs, strict=True):
        array.fill(fill)
    if not inputs[0].size:
        return made
    columns, results = list(map(matrix, inputs)), list(map(matrix, made))
    with building:
        run = search()
    symbols = columns[0].shape[1]
    threads = max(1, min(thread_count(None), columns[0].size // _WORTH_A_THREAD))
    run_all([partial(_block, run, columns, results, shared, at) for at in range(0, symbols, _BLOCK)], threads)
    return made


def matrix(values: npt.NDArray[_Item]) -> npt.NDArray[_Item]:
    """Return (T,) as a view (T, 1), and (T, S) as it is."""
    return values[:, np.newaxis] if values.ndim == 1 else values


def _block(
    run: Search,
    columns: Sequence[npt.NDArray[Any]],
    results: Sequence[npt.NDArray[Any]],
    shared: Sequence[Shared],
    first: int,
) -> None:
    """Search the series of one block."""
    block = slice(first, first + _BLOCK)
    read, written = ([_turned(column[:, block]) for column in part] for part in (columns, results))
    bars, series = columns[0].shape[0], len(read[0])
    places = [array.ctypes.data for array in (*read, *written)]
    places += [part.array.ctypes.data + first * part.step for part in shared]
    table = np.array([bars, series, *places], np.int64)
    run(table.ctypes.data)
    for result, array in zip(results, written, strict=True):
        result[:, block] = array.T


def _turned(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a copy of a block with the bars of each series side by side."""
    made = arena.empty(values.T.shape, values.dtype)
    made[:] = values.T
    return made
