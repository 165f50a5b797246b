"""How much is asked for at once, and when nothing is: while the venue wants silence, or nothing answers."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Literal

from tradeutils import logs

__all__ = ["Pace"]

_log = logs.get_logger("history")

_FEW: Final = 4  # failures without a success between, and it is not the pieces that are to blame
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds of silence after failures of the venue, a minute in all: a restart over there ends no night's work."""


class Pace:
    """
    The pace of one backfill.

    Parameters
    ----------
    most : int
        Requests under way at most.

    Attributes
    ----------
    slots : int
        Requests under way at most, now.
    successes : int
        In all.
    failures : int
        In a row, without a success between.
    """

    def __init__(self, most: int) -> None:
        self._most = self.slots = most
        self.successes = self.failures = 0
        self._pauses = 0
        self._quiet_until = 0.0

    async def quiet(self) -> None:
        """Wait while the venue is to be left in peace."""
        while (left := self._quiet_until - time.monotonic()) > 0:  # noqa: ASYNC110  # a moment, which may move
            await asyncio.sleep(left)

    def silence(self, venue: str, seconds: float) -> None:
        """Ask for nothing so long, as the venue said, and then for half as much at once."""
        now = time.monotonic()
        if now >= self._quiet_until:  # once for all that are told so together
            self.slots = max(1, self.slots // 2)
            _log.warning("%s wants silence for %.3g s", venue, seconds)
        self._quiet_until = max(self._quiet_until, now + seconds)

    def succeeded(self) -> None:
        """Count one more."""
        self.successes += 1
        self.failures = self._pauses = 0
        self.slots = min(self.slots + 1, self._most)

    def failed(self) -> Literal["piece", "venue", "gone"]:
        """
        Count one more, and tell what failed: this piece, the venue, which is then left in peace for a while, longer
        each time, or the venue for good.
        """
        self.failures += 1
        if self.failures < _FEW:
            return "piece"
        now = time.monotonic()
        if now >= self._quiet_until:  # what was under way together fails together, and is one failure of the venue
            if self._pauses == len(PAUSES):
                return "gone"
            self._quiet_until = now + PAUSES[self._pauses]
            self._pauses += 1
            self.slots = 1
        return "venue"
