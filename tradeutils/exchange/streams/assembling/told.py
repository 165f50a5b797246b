"""Which trades have been told, for as long as one of them may come again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

__all__ = ["Identity", "Told", "number_of"]

T = TypeVar("T")

Identity: TypeAlias = tuple[str | None, tuple[Hashable, ...]]
"""An id, and what tells a trade from others where it has none."""

_KEPT_MS: Final = 60_000
_FEWEST: Final = 64  # kept however old: venues send their last trades, of hours in a quiet market, on subscribing
_MOST: Final = 20_000
_LONGEST: Final = 19  # digits that int64 holds


class Told:
    """The trades of the last minute: at least 64 of them, at most 20,000."""

    __slots__ = ("_forgotten", "_keys", "_order")

    def __init__(self) -> None:
        self._keys: set[Hashable] = set()
        # Beside the set, as a dict that is emptied from its front is searched through what it has lost.
        self._order: deque[tuple[int, Hashable]] = deque()
        self._forgotten: int | None = None  # the newest time of those that were forgotten

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: Hashable, time: int) -> None:
        """Note that a trade has been told."""
        order = self._order
        if self._forgotten is None:
            self._forgotten = time - 1  # what was before the first is nobody's
        self._keys.add(key)
        order.append((time, key))
        while len(order) > _FEWEST and (order[0][0] < time - _KEPT_MS or len(order) > _MOST):
            gone, old = order.popleft()
            self._keys.discard(old)
            self._forgotten = max(self._forgotten, gone)

    def time_of(self, back: int) -> int:
        """Return the time of the trade that was told so many before the last, or of the first."""
        order = self._order
        return order[-min(back + 1, len(order))][0]

    def has_between(self, after: int, until: int) -> bool:
        """Tell whether a trade of a time in ``(after, until]`` is known to have been told."""
        return any(after < time <= until for time, _ in self._order)

    def has(self, key: Hashable) -> bool:
        """Tell whether a trade is known to have been told."""
        return key in self._keys

    def knows(self, key: Hashable, time: int) -> bool:
        """Tell whether a trade has been told, or may have been and was forgotten."""
        return key in self._keys or (self._forgotten is not None and time <= self._forgotten)

    def identified(self, trades: Iterable[T], identity: Callable[[T], Identity]) -> Iterator[tuple[Hashable, T]]:
        """Yield trades with the key of each; those that are alike, and have no id, are counted."""
        alike: dict[Hashable, int] = {}
        for trade in trades:
            found, rest = identity(trade)
            if found is not None:
                yield found, trade
                continue
            alike[rest] = count = alike.get(rest, -1) + 1
            yield (*rest, count), trade

    def unknown(self, trades: Iterable[T], identity: Callable[[T], Identity]) -> Iterator[tuple[Hashable, T]]:
        """Yield the trades that have not been told, as `identified` does."""
        keys = self._keys
        return ((key, trade) for key, trade in self.identified(trades, identity) if key not in keys)


def number_of(found: str | None) -> int | None:
    """Return an id as a number; ``None`` where it is not one."""
    if found is None or len(found) >= _LONGEST or not (found.isascii() and found.isdigit()):
        return None
    return int(found)
