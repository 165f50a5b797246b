"""Whose turn it is to try an account of which nobody knows whether its key is good."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from tradeutils.balances.shelf import Shelf

__all__ = ["Turn", "Turns"]

_RENEWALS: Final = 3  # within a lease


class Turn:
    """
    The right to try an account, until `end`.

    Its lease is renewed while it lasts: a call may wait minutes for its share of the rate limit. That of a process that
    dies or stands still ends by itself.
    """

    def __init__(self, shelf: Shelf, key: str, token: bytes, seconds: float) -> None:
        self._shelf, self._key, self._token, self._seconds = shelf, key, token, seconds
        self.over = asyncio.Event()
        self._renewing = asyncio.ensure_future(self._renew()) if shelf.shares else None

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / _RENEWALS)
            await self._shelf.extend(self._key, self._token, self._seconds)

    async def end(self) -> None:
        """Give the turn back: here at once, and to the other processes as soon as they can be told."""
        self.over.set()
        if self._renewing is not None:
            self._renewing.cancel()
        await self._shelf.give_back(self._key, self._token)


class Turns:
    """
    The turns of this process; of each account one at a time, among all processes that share the cache.

    Parameters
    ----------
    shelf : Shelf
        Where the other processes are asked.
    seconds : float
        How long a lease lasts unless it is renewed.
    """

    def __init__(self, shelf: Shelf, seconds: float) -> None:
        self._shelf, self._seconds = shelf, seconds
        self._held: dict[str, Turn | None] = {}  # None: being asked for

    async def take(self, key: str) -> Turn | None:
        """Return the turn to try an account, or ``None`` where somebody else has it."""
        if key in self._held:
            return None
        self._held[key] = None
        try:
            token = await self._shelf.take(key, self._seconds)
            if token is None:
                return None
            made = self._held[key] = Turn(self._shelf, key, token, self._seconds)
            return made
        finally:
            if self._held[key] is None:
                del self._held[key]

    async def end(self, key: str, turn: Turn) -> None:
        """Give a turn back."""
        if self._held.get(key) is turn:
            del self._held[key]
        await turn.end()

    async def wait(self, key: str, seconds: float) -> None:
        """Wait until the turn of another in this process is over, but no longer than ``seconds``."""
        turn = self._held.get(key)
        if turn is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await turn.over.wait()
