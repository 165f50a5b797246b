"""A lock that every process on the same backend respects."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from types import TracebackType
from typing import Final

from tradeutils.cache.base import Backend
from tradeutils.cache.keys import to_ms
from tradeutils.errors import CacheError, CacheUnavailable, Closed, UsageError

__all__ = ["Lock"]

_FIRST_POLL: Final = 0.002  # seconds between tries, where the backend does not tell of the end of a lock; from the
_LONGEST_POLL: Final = 0.1  # first they grow to the longest
_GRACE_MS: Final = 1.0


class Lock:
    """
    Exclusive use of a name; get it from ``Cache.lock``.

    Not fair, and not re-entrant. It ends by itself after its ttl, whatever its holder does: work that may take longer
    calls `extend`. A cache that is closed within the block can give nothing back: then, too, its ttl ends it.

    Attributes
    ----------
    name : str
        What is locked.
    fence : int
        A number higher than that of every holder before, 0 before the first. Hand it to what the lock protects, which
        refuses a number lower than one it has seen: so a holder that was held up until after its ttl does no harm.
        On Redis it goes on rising after a restart or FLUSHALL, unless the server's clock was set back meanwhile.
    """

    def __init__(self, backend: Backend, name: str, key: str, counter: str, ttl: int) -> None:
        self.name = name
        self.fence = 0
        self._backend = backend
        self._key = key
        self._counter = counter
        self._ttl = ttl
        self._token: bytes | None = None
        self._ends = 0.0

    def __repr__(self) -> str:
        return f"Lock({self.name!r}, {'held' if self._token else 'not held'})"

    async def __aenter__(self) -> Lock:
        """
        Wait until the lock is ours.

        Raises
        ------
        CacheUnavailable : the backend did not answer; the lock is not held.
        """
        if self._token is not None:
            raise UsageError(f"lock {self.name!r} is held through this object already; make another with cache.lock")
        token, pause = secrets.token_hex(8).encode(), _FIRST_POLL
        changes = self._backend.changes
        while True:
            asked, since = time.monotonic(), changes.number
            fence, ends = await self._backend.acquire_fenced(self._key, self._counter, token, self._ttl)
            if fence:
                break
            if changes.is_on:
                await changes.wait(self._key, since, (ends + _GRACE_MS) / 1000)
            else:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
                pause = min(pause * 1.6, _LONGEST_POLL)
        self._token, self._ends, self.fence = token, asked + self._ttl / 1000, fence
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """
        Give the lock back.

        Raises
        ------
        CacheError : it had ended before the block did, so others may have held it too. Not raised over an error of
            the block itself.
        """
        token, self._token = self._token, None
        assert token is not None  # noqa: S101  # entered
        try:
            ours = await self._backend.release(self._key, token)
        except (CacheUnavailable, Closed):
            ours = time.monotonic() < self._ends  # it ends by itself
        except CacheError:
            if error is None:
                raise
            return
        if not ours and error is None:
            raise CacheError(
                f"lock {self.name!r} ended before its block did (ttl {self._ttl / 1000:g} s); "
                f"give it a longer ttl, or call extend while the work goes on"
            )

    async def extend(self, ttl: float) -> None:
        """
        Let the lock last ``ttl`` seconds from now.

        Raises
        ------
        CacheError : it has ended already, or was never entered.
        """
        asked, lasts = time.monotonic(), to_ms("ttl", ttl)
        if self._token is None or not await self._backend.extend(self._key, self._token, lasts):
            raise CacheError(f"lock {self.name!r} is not held any more; it cannot be extended")
        self._ends = asked + lasts / 1000
