"""When a venue is asked again over REST: each time after twice the pause."""

from __future__ import annotations

from typing import Final

__all__ = ["PATIENCE_MS", "Retrying"]

PATIENCE_MS: Final = 300_000
"""For how long what came later waits for what REST still owes, by default, before that is told as missed."""

_FIRST_MS: Final = 500
_LONGEST_MS: Final = 30_000
_DOUBLINGS: Final = 20


class Retrying:
    """
    The pause before the next request; all in milliseconds of the venue's time.

    Attributes
    ----------
    at : int
        Before which nothing is asked again; 0: at once.
    """

    __slots__ = ("_tries", "at")

    def __init__(self) -> None:
        self._tries = 0
        self.at = 0

    @property
    def is_pausing(self) -> bool:
        """Whether the last answer did not bring what was wanted."""
        return self._tries > 0

    def done(self) -> None:
        """Note that the last answer brought what was wanted."""
        self.at = self._tries = 0

    def again(self, now: int, *, wait: float | None = None, first: int = _FIRST_MS, longest: int = _LONGEST_MS) -> None:
        """Ask again after ``first`` milliseconds, then twice that; not before ``wait`` seconds, if given."""
        pause = min(first << min(self._tries, _DOUBLINGS), longest)
        self._tries += 1
        self.at = now + max(pause, int((wait or 0.0) * 1000))
