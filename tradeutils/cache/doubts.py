"""Locks and leases that may have been granted after nobody waited for them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tradeutils.errors import CacheError, CacheUnavailable, Closed

__all__ = ["Doubts"]

T = TypeVar("T")

_PAUSE: Final = 0.1  # seconds between tries to give something back; while the server is away, one costs 5 us


class Doubts:
    """
    What to do about an unanswered request for a lock.

    A server that was held up carries out what lies in its sockets once it goes on, and grants to somebody who has long
    been told that it was away; the lock would then stand until its ttl is over, held by nobody. So it is given back as
    soon as the server answers again. On another connection too, that comes after the grant: a server reads the
    connections that it has before it takes a new one.

    Parameters
    ----------
    release : callable
        Gives the lock of this name back, if it lies there with this token.
    is_away : callable
        Tells whether a request would not even be sent.
    """

    def __init__(self, release: Callable[[str, bytes], Awaitable[bool]], is_away: Callable[[], bool]) -> None:
        self._release = release
        self._is_away = is_away
        self._open: dict[tuple[str, bytes], float] = {}  # until when it would stand, by the loop's clock
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def answer(self, asked: Awaitable[T], name: str, token: bytes, ttl: int) -> T:
        """Return the answer to a request for ``name``; without one, the lock is given back in case it was granted."""
        was_away = self._is_away()
        try:
            return await asked
        except CacheUnavailable:
            if not was_away:
                self._add(name, token, ttl)
            raise
        except asyncio.CancelledError:
            await self.give_back(name, token, ttl)
            raise

    async def give_back(self, name: str, token: bytes, ttl: int) -> None:
        """Give a lock back now or, where the server does not answer, as soon as it does."""
        try:
            await self._release(name, token)
        except CacheUnavailable:
            self._add(name, token, ttl)
        except (CacheError, Closed):  # it may not be given back, and ends by itself
            pass

    def forget(self) -> None:
        """Drop the task of an event loop that has closed."""
        self._open.clear()
        self._task = None

    async def aclose(self) -> None:
        """Give nothing back any more: it ends by itself."""
        self._closed = True
        self._open.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def _add(self, name: str, token: bytes, ttl: int) -> None:
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        self._open[name, token] = loop.time() + ttl / 1000
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._clear(), name="give back locks")

    async def _clear(self) -> None:
        loop = asyncio.get_running_loop()
        while self._open:
            await asyncio.sleep(_PAUSE)
            for (name, token), ends in list(self._open.items()):
                if loop.time() < ends:
                    try:
                        await self._release(name, token)
                    except CacheUnavailable:
                        break
                    except (CacheError, Closed):  # as above
                        pass
                self._open.pop((name, token), None)
