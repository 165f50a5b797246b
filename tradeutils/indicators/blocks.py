"""Memory of the values of a stream: used again, but never while anybody holds a value."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Block", "Blocks"]

_Values: TypeAlias = npt.NDArray[np.float64]

# Given out alternately: the caller still holds one when the next is made. More where he keeps some for a while.
_KEPT: Final = 4


class Block:
    """
    The values of one bar.

    Parameters
    ----------
    keys : sequence of str
    array : float64 array, shape (results, S)
        Is read-only from now on, but for compiled code.

    Attributes
    ----------
    address : int
        Where the array begins.
    values : dict of str to float64 array, shape (S,)
        Its rows, by key. To be given out in copies of the dict.
    """

    __slots__ = ("_alone", "_members", "address", "array", "values")

    def __init__(self, keys: Sequence[str], array: _Values) -> None:
        array.flags.writeable = False
        self.array = array
        self.address: int = array.ctypes.data
        self.values = dict(zip(keys, array, strict=True))
        self._members = (array, *self.values.values())
        self._alone = 0

    def is_alone(self) -> bool:
        """Tell whether nobody else holds a value, if :meth:`count` was called when that was so."""
        return sum(map(sys.getrefcount, self._members)) == self._alone

    def count(self) -> None:
        """Remember how many references there are now."""
        self._alone = sum(map(sys.getrefcount, self._members))


class Blocks:
    """
    Blocks of the values of a stream.

    Memory fresh from the system is cleared page by page: with a new block for each bar an update took 22 us in a
    program that keeps copies of the values, and 5 with blocks that come back. Python counts who holds an array, and a
    view of a row holds the array, so a block is free when these counts are what they were when it was made. To make
    views of 10 rows takes 0.8 us, to count those that are there and to copy their dict 0.3; a buffer with a
    destructor, as of :mod:`tradeutils.indicators.memory`, takes 2.

    Parameters
    ----------
    keys : sequence of str
    symbols : int
    """

    def __init__(self, keys: Sequence[str], symbols: int) -> None:
        self._keys = keys
        self._symbols = symbols
        self._blocks: list[Block] = []

    def take(self) -> Block:
        """Return a block of which nobody holds a value; what it holds is anything."""
        for block in self._blocks:
            if block.is_alone():
                return block
        block = Block(self._keys, np.empty((len(self._keys), self._symbols)))
        block.count()
        self._blocks.append(block)
        if len(self._blocks) > _KEPT:
            del self._blocks[0]
        return block

    def at(self, address: int) -> Block | None:
        """Return the block that lies there, unless it was given up since."""
        for block in self._blocks:
            if block.address == address:
                return block
        return None
