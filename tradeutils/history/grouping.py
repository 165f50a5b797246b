"""How many symbols a task takes: so many that it lasts long enough, and no more than every worker's share."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from typing import Final

__all__ = ["SHORTEST", "Groups"]

SHORTEST: Final = 0.05
"""Seconds that a task is to last at least. A cluster takes 1.5 to 2.3 ms to hand one out: at 50 ms that is 4 %."""

_AIM: Final = 2 * SHORTEST  # so that one whose symbols are quicker than those before still lasts long enough
_GROWTH: Final = 4  # times the last measured group; the first symbols may be much shorter than the rest
_REMEMBERED: Final = 9


class Groups:
    """
    Cuts symbols into groups, by the time that those before took.

    Parameters
    ----------
    symbols : sequence of str
    size : int, optional
        Symbols a group, whatever the time they take. Default: one at first, then as measured.
    most : int, optional
        Never more than so many, whatever the time they take (of ``size`` too).
    """

    def __init__(self, symbols: Sequence[str], *, size: int | None = None, most: int | None = None) -> None:
        self._symbols = tuple(symbols)
        self._size = size
        self._most = max(1, len(self._symbols) if most is None else most)
        self._taken = 0
        self._measured: deque[float] = deque(maxlen=_REMEMBERED)  # seconds a symbol, of the newest groups
        self._largest = 1

    @property
    def left(self) -> int:
        """Symbols that are in no group yet."""
        return len(self._symbols) - self._taken

    @property
    def known(self) -> bool:
        """Whether the size of a group is more than a guess."""
        return self._size is not None or bool(self._measured)

    def take(self, workers: int) -> tuple[str, ...]:
        """Return the next group, to be shared among so many workers; empty when all symbols are taken."""
        first = self._taken
        self._taken = min(len(self._symbols), first + min(self._most, self._wanted(workers)))
        return self._symbols[first : self._taken]

    def learn(self, symbols: int, seconds: float) -> None:
        """Note how long a group of so many symbols took, reading and computing, where it ran."""
        # The median of the newest: the first task of a process also imports, and may compile.
        self._measured.append(max(seconds, 1e-9) / symbols)
        self._largest = max(self._largest, symbols)

    def _wanted(self, workers: int) -> int:
        if self._size is not None:
            return self._size
        if not self._measured:
            return 1
        each = statistics.median(self._measured)
        share = math.ceil(self.left / max(1, workers))
        # Towards the end smaller ones, so that no worker is left alone with the last; but none that is too short.
        wanted = min(math.ceil(_AIM / each), max(share, math.ceil(SHORTEST / each)))
        return max(1, min(wanted, _GROWTH * self._largest))
