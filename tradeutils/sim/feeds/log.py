"""What feeds did: connections, and messages by topic."""

from __future__ import annotations

import collections
import threading
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from tradeutils.sim.feeds.events import Topic

__all__ = ["FeedLog", "Told"]

Told: TypeAlias = Topic | str
"""A topic, or of recorded feeds the channel."""

_MAX_TOLD: Final = 20_000  # topics that are counted one by one


class FeedLog:
    """
    What the feeds of a venue did; safe to read from any thread.

    Attributes
    ----------
    opened, refused : int
        Connections that were opened, and that were not.
    received : int
        Messages from clients.
    cut_off : int
        Connections that were ended because their client did not read.
    """

    def __init__(self) -> None:
        self.opened = self.refused = self.received = self.cut_off = 0
        self._open = 0
        self._frames: collections.Counter[Told] = collections.Counter()
        self._followed: Mapping[Topic, int] = {}
        self._faults: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._open

    @property
    def topics(self) -> Mapping[Topic, int]:
        """What is followed now, and by how many connections."""
        return dict(self._followed)

    @property
    def frames(self) -> Mapping[Told, int]:
        """How many messages were sent of each topic, of recorded feeds of each channel."""
        with self._lock:
            return dict(self._frames)

    def enter(self) -> None:
        """Count a connection that is opened."""
        self.opened, self._open = self.opened + 1, self._open + 1

    def leave(self) -> None:
        """Count a connection that is over."""
        self._open -= 1

    def follow(self, followed: Mapping[Topic, int]) -> None:
        """Note what is followed."""
        self._followed = followed

    def sent(self, what: Told, count: int = 1) -> None:
        """Count messages that were sent."""
        with self._lock:
            if what in self._frames or len(self._frames) < _MAX_TOLD:
                self._frames[what] += count

    def struck(self, kind: str) -> None:
        """Count a fault."""
        with self._lock:
            self._faults[kind] += 1

    def clear(self) -> None:
        """Forget what was counted; connections stay."""
        with self._lock:
            self.opened = self.refused = self.received = self.cut_off = 0
            self._frames.clear()
            self._faults.clear()

    def summary(self) -> dict[str, Any]:
        """Return all counts, as ``GET /sim/feeds`` tells them."""
        followed, frames = self.topics, self.frames
        return {
            "connections": self._open,
            "opened": self.opened,
            "refused": self.refused,
            "received": self.received,
            "cut_off": self.cut_off,
            "sent": sum(frames.values()),
            "faults": dict(self._faults),
            "topics": _by_name(followed),
            "frames": _by_name(frames),
        }


def _by_name(counts: Mapping[Any, int]) -> dict[str, int]:
    """Return counts by readable names; those of accounts add up, as keys are not told."""
    named: collections.Counter[str] = collections.Counter()
    for what, count in counts.items():
        named[_name(what)] += count
    return dict(named)


def _name(what: Told) -> str:
    if isinstance(what, str):
        return what
    return " ".join([what.kind, *(str(part) for part in (what.market or what.trades, what.frame, what.depth) if part)])
