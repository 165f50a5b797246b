"""Locks and leases on Redis: who may do something alone, and for how long."""

from __future__ import annotations

import time
from typing import Final

import hiredis

from tradeutils.cache import scripts
from tradeutils.cache.base import Grant, Lease
from tradeutils.cache.doubts import Doubts
from tradeutils.cache.serving import Serving
from tradeutils.errors import CacheError
from tradeutils.link.wire import Command

__all__ = ["Locking"]

_LONGEST_LEASE: Final = 600_000  # milliseconds after which a lease that does not say when it ends is looked at again
_COUNTER_MS: Final = 86_400_000  # how long the counter of a lock is kept; the clock serves without it


class Locking(Serving):
    """The part of the backend that keeps locks, and the names of leases."""

    def __init__(self, url: str, timeout: float) -> None:
        super().__init__(url, timeout)
        self._doubts = Doubts(self.release, lambda: self._link.is_away)
        self._tells_holder = True  # SET NX GET: Redis >= 7 and Valkey; found out by asking

    async def acquire(self, name: str, token: bytes, ttl: int) -> bool:
        """Take a lock if it is free; one round trip."""
        taking = self._call([(b"SET", name, token, b"NX", b"PX", ttl)])
        return (await self._doubts.answer(taking, name, token, ttl))[0] is not None

    async def acquire_fenced(self, name: str, counter: str, token: bytes, ttl: int) -> Grant:
        """Take a lock if it is free, and a number with it; one script, one round trip."""
        lowest = self._link.now() * 1000 if self._link.live is not None else int(time.time() * 1_000_000)
        taking = self._call([(b"EVAL", scripts.ACQUIRE_FENCED, 2, name, counter, token, ttl, lowest, _COUNTER_MS)])
        [[fence, left]] = await self._doubts.answer(taking, name, token, ttl)
        return Grant(fence, float(left) if left >= 0 else float(_LONGEST_LEASE))

    async def extend(self, name: str, token: bytes, ttl: int) -> bool:
        """Prolong a lock or lease that is still ours; one round trip."""
        return bool((await self._call([(b"EVAL", scripts.EXTEND, 1, name, token, ttl)]))[0])

    async def release(self, name: str, token: bytes) -> bool:
        """Give a lock or lease back; one round trip."""
        return bool((await self._call([(b"EVAL", scripts.RELEASE, 1, name, token)]))[0])

    # What leases are made of

    async def _grant(self, lease: Lease, ttl: int) -> bytes | None:
        """Take a lease; where another holds it, return what lies there, or no bytes where that is not told."""
        command: Command = (b"SET", lease.name, lease.token, b"PX", ttl, b"NX")
        if self._tells_holder:
            [reply] = await self._link.call([(*command, b"GET")])
            if not isinstance(reply, hiredis.ReplyError):
                if reply is not None and not isinstance(reply, bytes):
                    raise CacheError(f"{self.name} answered SET with something else than a value")
                return reply
            if "syntax" not in str(reply):
                raise self._refused(str(reply))
            self._tells_holder = False
        return None if (await self._call([command]))[0] is not None else b""

    async def _held_for(self, name: str, holder: bytes, ttl: int) -> float:
        """
        Return the milliseconds for which a lease is held: by its token or, where that cannot be, by asking.

        It was prolonged, or written by a clock that is ahead, where the token does not say an end within twice ``ttl``:
        clocks differ by some milliseconds, and each who asks is one command more.
        """
        told = holder.partition(b":")[0]
        left = int(told) - self._link.now() if told.isdigit() and len(told) < 16 else 0
        if 0 < left <= 2 * ttl:
            return left
        [left] = await self._call([(b"PTTL", name)])
        return float(min(max(left, 0), _LONGEST_LEASE)) if left != -1 else float(_LONGEST_LEASE)
