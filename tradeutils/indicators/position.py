"""Where a stream stands: its symbols, its live program, and the values of its last bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tradeutils.indicators.arrays import Array
from tradeutils.indicators.blocks import Block, Blocks
from tradeutils.indicators.replays import Replays

if TYPE_CHECKING:
    from tradeutils.indicators.cpu import Live

__all__ = ["Position"]


class Position:
    """
    All of a stream that changes.

    A bar changes the live program, in one step that no signal interrupts. Whatever else happens to a stream makes a new
    position, which takes the place of this one: so an interrupt leaves no half of a change.

    Parameters
    ----------
    keys, symbols : sequences of str
    live : Live
    values : float64 array, shape (results, S)
        Those of the last bar; read-only from now on.
    replays : Replays, optional
        The bars of this live program that can be corrected.
    """

    __slots__ = ("_shadow", "advance", "array", "blocks", "live", "replays", "symbols")

    def __init__(
        self, keys: Sequence[str], symbols: tuple[str, ...], live: Live, values: Array, replays: Replays | None
    ) -> None:
        values.flags.writeable = False
        self.symbols = symbols
        self.live = live
        self.advance = live.advance
        self.replays = replays
        self.blocks = Blocks(keys, live.width)
        self.array = values  # of the last bar; held, so that it is not written over
        self._shadow: Live | None = None

    def latest(self) -> Array:
        """Return the values of the last bar, which an interrupt may have kept from being held."""
        filled = self.live.filled
        block = self.blocks.at(filled) if filled else None
        if block is not None:  # else they are those that are held
            self.array = block.array
        return self.array

    def feed(self, time: int, columns: Sequence[Array]) -> Block:
        """Feed a bar that is later than the last, and keep it if bars are kept."""
        block = self._fed(self.live, time, columns)
        self.array = block.array
        if self.replays is not None:
            self.replays.add()
        return block

    def shadow(self) -> Live:
        """Return a copy of the live program, to be fed a bar that has not closed."""
        self.latest()
        if self._shadow is None:
            self._shadow = self.live.taking(range(self.live.width))
        self._shadow.copy_from(self.live)
        return self._shadow

    def peek(self, time: int, columns: Sequence[Array]) -> Block:
        """Feed a bar that is later than the last to a copy."""
        return self._fed(self.shadow(), time, columns)

    def _fed(self, live: Live, time: int, columns: Sequence[Array]) -> Block:
        block = self.blocks.take()
        live.expect(time)
        live.advance(time, *columns, block.array)
        return block
