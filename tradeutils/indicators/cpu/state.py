"""A program at a point of time, for a block of symbols."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.indicators.cpu import driver
from tradeutils.indicators.cpu.program import Program
from tradeutils.indicators.cpu.tables import layout_of

__all__ = ["State"]

_Array = npt.NDArray[Any]

_PAGE, _LINE = 512, 8  # float64 in 4096 bytes and in a cache line
# Float64 in a tile of one column: 32 KiB. Of 512 .. 8192 the best for many kernels one after the other.
_TILE_ITEMS: Final = 4096


class State:
    """
    What each kernel of a program remembers, and how many bars were seen.

    Parameters
    ----------
    program : Program
    width : int
        Symbols.
    bars : int
        The most bars that will be fed at once, where that is known to be few.
    turned : bool
        Whether the data are symbol-major: tiles are then taller, so that more of a page is read while it is at hand.

    Notes
    -----
    All that is remembered is ``memory`` and ``seen``: put back, they give the same bits. A state that has not been fed
    gives, whatever ``seen`` is set to, what one gives that was fed so many missing bars; a symbol that joins later is
    a new column.
    """

    def __init__(self, program: Program, width: int, bars: int = 1 << 40, *, turned: bool = False) -> None:
        self.program = program
        self.width = width
        self.seen = 0
        items = 2 * _TILE_ITEMS if turned else _TILE_ITEMS
        tile = max(1, items // max(width, 1))
        # Rounded up, so that series of about one length share their tables.
        self._tile = min(tile, 1 << max(bars - 1, 0).bit_length())
        # A single series has no vectors to align, and would leave seven items of each line unused.
        length = -(-width // _LINE) * _LINE if width > 1 else 1
        # Rows that lie a multiple of 4096 bytes apart evict one another and stall loads behind stores: up to 15 %.
        self._length = length + (_LINE if length % _PAGE == 0 else 0)
        first = _first(program)
        scratch = (program.slots + program.results + len(program.inputs)) * self._tile
        rows = scratch + len(first)
        raw = np.empty(rows * self._length + _LINE)
        address: int = raw.ctypes.data
        skip = -address // 8 % _LINE
        memory = raw[skip : skip + rows * self._length].reshape(rows, self._length)
        self._base = address + 8 * skip
        memory[scratch:] = first
        self._whole = memory[scratch + len(program.constants) :]
        self._kept = self._whole[:, :width]
        self._scratch = memory[:scratch, :width]

    @property
    def rows(self) -> list[npt.NDArray[np.float64]]:
        """The first row of the scratch of each input, (1, symbols): where a bar is put for :meth:`bar_table`."""
        first = self.program.slots + self.program.results
        return [self._scratch[at * self._tile :][:1] for at in range(first, first + len(self.program.inputs))]

    @property
    def memory(self) -> npt.NDArray[np.float64]:
        """What all kernels remember, (rows, symbols): to be kept and put back."""
        return self._kept

    def copy_from(self, other: State) -> None:
        """Remember what another state of the same program and width does."""
        np.copyto(self._whole, other._whole)  # in one piece, with what pads its rows
        self.seen = other.seen

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
        self.seen += len(columns[0])

    def bar_table(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """
        Return a table of one bar, read from :attr:`rows`, to be run again and again: each run counts in its ``seen``.

        Results go to a float64 block (results, width) in one piece. Where it lies is for each run to say: with the
        table come the words that are addresses in it, (n, 2): which word, and how many bytes from its beginning.
        """
        down, count, rows = 8 * self.width, self.program.results, self.rows
        own = tuple([row.strides for row in rows])
        layout = layout_of(self.program, self.width, self._length, self._tile, own, ((down, 8, 8, True),) * count)
        addresses = [*(row.ctypes.data for row in rows), *(down * k for k in range(count))]
        table = layout.table(self._base, 1, self.seen, addresses, [0] * count)
        words = layout.words_of_results(len(rows), count)
        return table, np.stack([words, table[words]], axis=1)

    def _table(self, columns: Sequence[_Array], results: Sequence[_Array]) -> npt.NDArray[np.int64]:
        bars = len(columns[0])
        layout = layout_of(
            self.program,
            self.width,
            self._length,
            self._tile,
            tuple([column.strides for column in columns]),
            tuple([(*result.strides, result.itemsize, len(result) == bars) for result in results]),
        )
        addresses = [array.ctypes.data for array in (*columns, *results)]
        firsts = [bars - len(result) for result in results]
        table: npt.NDArray[np.int64] = layout.table(self._base, bars, self.seen, addresses, firsts)
        return table


@lru_cache(maxsize=256)
def _first(program: Program) -> npt.NDArray[np.float64]:
    """Return what stands below the scratch of a state before the first bar: constants, then what kernels remember."""
    fills = [
        instruction.kernel.fill
        for instruction, count in zip(program.instructions, program.counts, strict=True)
        for _ in range(count)
    ]
    return np.array([*program.constants, *fills], dtype=np.float64).reshape(-1, 1)
