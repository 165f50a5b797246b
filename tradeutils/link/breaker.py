"""Remembering that a server does not answer, so that nobody waits to learn it again."""

from __future__ import annotations

import time
from typing import Final

from tradeutils.errors import CacheUnavailable

__all__ = ["Breaker"]

_FIRST_PAUSE: Final = 0.05


class Breaker:
    """
    A switch that is open while a server is known to be away.

    It opens on evidence, not on a count: a server that left a command unanswered for the whole timeout, or that cannot
    be reached, would make each further call wait as long. It closes as soon as the server says anything.

    Parameters
    ----------
    name : str
        The server, for messages.
    longest_pause : float
        Seconds between tries, at most.
    """

    __slots__ = ("_longest_pause", "_name", "_opened", "_reason", "failures", "trips")

    def __init__(self, name: str, longest_pause: float = 0.5) -> None:
        self._name = name
        self._longest_pause = longest_pause
        self._reason: str | None = None
        self._opened = 0.0
        self.failures = 0  # in a row; sets the pause before the next try
        self.trips = 0

    @property
    def is_open(self) -> bool:
        """Whether calls are turned away."""
        return self._reason is not None

    def check(self) -> None:
        """Raise `CacheUnavailable` while open."""
        if self._reason is not None:
            away = time.monotonic() - self._opened
            raise CacheUnavailable(
                f"{self._name} has been away for {away:.1f} s ({self._reason}); it is being tried again"
            )

    def trip(self, reason: str) -> None:
        """Open, or stay open with a newer reason."""
        self.failures += 1
        if self._reason is None:
            self.trips += 1
            self._opened = time.monotonic()
        self._reason = reason

    def reset(self) -> None:
        """Close: the server is back."""
        self._reason = None
        self.failures = 0

    def pause(self) -> float:
        """Return the seconds to wait before the next try: 0.05, doubling to the longest."""
        return min(self._longest_pause, _FIRST_PAUSE * 2.0 ** min(self.failures - 1, 8))
