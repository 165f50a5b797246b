"""Knowing that a key has changed, without asking for it: what a server, or a store in this process, tells of itself."""

from __future__ import annotations

import asyncio
import enum
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

__all__ = ["Changes", "Listener", "Reading"]

Listener: TypeAlias = Callable[["list[str] | None"], None]

_REMEMBERED: Final = 4096  # the latest changes; a question about what is older is answered with "perhaps", that is yes


class Reading(enum.IntEnum):
    """
    How a value is read.

    ``PLAIN``: no more than the value. ``WATCHED``: its next change is told to `Changes`. ``TIMED``: watched, and it is
    told how long the value is still fresh.
    """

    PLAIN = 0
    WATCHED = 1
    TIMED = 2


class Changes:
    """
    The changes of keys, in the order in which they became known.

    Whoever reads takes ``number`` before he asks; when he has the answer, `changed` tells whether the key was changed
    (or may have been) in between, so that a reply which was under way is not mistaken for news.

    Attributes
    ----------
    is_on : bool
        Whether changes are told at all; while it is ``False``, nothing may be concluded from silence.
    number : int
        Goes up with every change.
    invalidations : int
        Names that the server told, over all.
    losses : int
        How often everything was told to be changed: the connection was lost or silent, or the store was emptied.
    """

    def __init__(self, *, is_on: bool = False) -> None:
        self.is_on = is_on
        self.reason = ""  # the server's words, where it would not tell of changes
        self.on_refusal: Callable[[str], None] = lambda _: None
        self.number = 0
        self.invalidations = 0
        self.losses = 0
        # Oldest first. A plain dict looks for its first key among the places of all that were removed before: a
        # note of one name took 3.0 us with it, and takes 0.8.
        self._latest: OrderedDict[str, int] = OrderedDict()
        self._floor = 0  # all that changed up to this number has been forgotten
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._listeners: list[Listener] = []

    def refuse(self, reason: str) -> None:
        """Take note that the store will not tell of changes; ``on_refusal`` hears of each new reason once."""
        self.is_on = False
        if reason != self.reason:
            self.reason = reason
            self.on_refusal(reason)

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with every list of names that changed; ``None``: all of them may have."""
        self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        """Call ``listener`` no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def note(self, names: Iterable[str]) -> None:
        """Take note that these names have changed, and wake who waits for one of them."""
        listed, latest = list(names), self._latest
        self.number += 1
        for name in listed:
            latest[name] = self.number
            latest.move_to_end(name)
            if name in self._waiting:
                _wake(self._waiting[name])
        while len(latest) > _REMEMBERED:
            self._floor = latest.popitem(last=False)[1]
        for listener in self._listeners:
            listener(listed)

    def note_all(self) -> None:
        """Take note that anything may have changed: some of it was not told."""
        self.number += 1
        self.losses += 1
        self._floor = self.number
        self._latest.clear()
        for waiting in self._waiting.values():
            _wake(waiting)
        for listener in self._listeners:
            listener(None)

    def changed(self, name: str, since: int) -> bool:
        """Tell whether ``name`` has changed, or may have, after ``number`` was ``since``."""
        return since < self._floor or self._latest.get(name, 0) > since

    async def wait(self, name: str, since: int, seconds: float) -> bool:
        """Return ``True`` as soon as ``name`` has changed after ``since``, ``False`` after ``seconds``."""
        if self.changed(name, since):
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(name, set())
        waiting.add(future)
        try:
            await asyncio.wait((future,), timeout=seconds)
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(name) is waiting:
                del self._waiting[name]
        return future.done()

    def forget(self) -> None:
        """Drop those who wait in an event loop that has closed; all may have changed since."""
        self._waiting.clear()
        self.note_all()


def _wake(waiting: set[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
