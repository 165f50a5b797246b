"""What a cache tells those who want to know, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["CacheEvent", "EventKind", "Events", "Told"]

EventKind: TypeAlias = Literal["hit", "miss", "stale", "fetch", "error", "unavailable", "healed", "evicted"]

_HEAL_SECONDS: Final = 0.1  # between looks at whether a server is back


@dataclass(frozen=True, slots=True)
class CacheEvent:
    """
    One thing that happened.

    Attributes
    ----------
    kind : str
        ``"hit"``, ``"miss"``, ``"stale"`` (served past its ttl): a key was asked for. ``"fetch"``: a fetch function has
        returned. ``"error"``: a value that cannot be read, an operation that the server refused, or a fetch that
        failed. ``"unavailable"``: no answer in time. ``"healed"``: the server is back. ``"evicted"``: a value was
        dropped from memory to stay within the budget.
    key : str or None
        Which; ``None`` where it is about none, or many.
    seconds : float
        How long a fetch took.
    error : str
        Class of the error: ``"CodecError"``.
    """

    kind: EventKind
    key: str | None = None
    seconds: float = 0.0
    error: str = ""


Told: TypeAlias = Callable[[CacheEvent], object]


class Events:
    """
    Those who want to know.

    Parameters
    ----------
    is_away : callable
        Tells whether the server is known to be away.

    Attributes
    ----------
    callbacks : list
        Empty: nothing need be told; whoever might tell looks here first, which is all that it costs.
    """

    def __init__(self, is_away: Callable[[], bool]) -> None:
        self.callbacks: list[Told] = []
        self._is_away = is_away
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, kind: EventKind, key: str | None = None, *, seconds: float = 0.0, error: str = "") -> None:
        """Tell all, in the next turn of the event loop, whose handler gets what they raise: the cache goes on."""
        loop = asyncio.get_running_loop()
        event = CacheEvent(kind, key, seconds, error)
        for callback in self.callbacks:
            loop.call_soon(callback, event)
        if kind == "unavailable" and self._timer is None and self._is_away():
            self._timer = loop.call_later(_HEAL_SECONDS, self._look)

    def looked(self, names: Iterable[str], found: Collection[str]) -> None:
        """Tell of many keys that were asked for."""
        for name in names:
            self.tell("hit" if name in found else "miss", name)

    def close(self) -> None:
        """Tell nobody any more."""
        self.callbacks.clear()
        self.forget()

    def forget(self) -> None:
        """Look no more, since the event loop has closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._is_away():
            self._timer = asyncio.get_running_loop().call_later(_HEAL_SECONDS, self._look)
        else:
            self.tell("healed")
