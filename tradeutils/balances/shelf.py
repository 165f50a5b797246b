"""Where processes keep what they know of accounts, so that each knows it: in the cache, as long as that answers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from tradeutils.balances.standings import Standing
from tradeutils.cache import Cache
from tradeutils.cache.keys import Keyspace
from tradeutils.errors import CacheError, Closed, CodecError
from tradeutils.logs import get_logger
from tradeutils.settings import Account

__all__ = ["UNREAD", "Shelf"]

_log = get_logger("balances")

UNREAD: Final = object()
"""What is read where the cache did not answer: that says nothing of an account."""


class Shelf:
    """
    The standings of accounts, and the leases of those that are tried, in a cache.

    No method raises for a cache that is away, full, closed, or holds what is not ours: it says so, and one line is
    logged when that begins and one when it ends.

    Parameters
    ----------
    cache : Cache or None
        ``None``: there is none, and nobody to share with.
    """

    def __init__(self, cache: Cache | None) -> None:
        self._cache = cache
        self._away = False
        self._keyspace = None if cache is None else Keyspace(cache.namespace)

    @property
    def shares(self) -> bool:
        """Whether there is a cache."""
        return self._cache is not None

    async def read(self, key: str) -> Any:
        """Return what lies under a key: ``None`` where nothing does, `UNREAD` where the cache did not answer."""
        return (await self.read_many([key]))[key]

    async def read_many(self, keys: list[str]) -> Mapping[str, Any]:
        """Return what lies under each key, in one round trip where all of it can be read."""
        if self._cache is None or not keys:
            return dict.fromkeys(keys)
        try:
            found = await self._cache.get_many(keys)
        except CodecError as error:
            if len(keys) > 1:
                return {key: (await self.read_many([key]))[key] for key in keys}
            _log.warning("what the cache holds of an account cannot be read, and is not used: %s", error)
            found = {}
        except (CacheError, Closed) as error:
            self._lost(error)
            return dict.fromkeys(keys, UNREAD)
        self._found()
        return {key: found.get(key) for key in keys}

    async def write(self, key: str, standing: Standing, account: Account, now: int) -> bool:
        """Keep a standing, and tell whether it was kept (without a cache there is nobody to keep it for)."""
        if self._cache is None:
            return True
        try:
            await self._cache.set(key, standing.told(account), ttl=standing.kept(now))
        except (CacheError, Closed) as error:
            self._lost(error)
            return False
        self._found()
        return True

    async def take(self, key: str, seconds: float) -> bytes | None:
        """
        Take the lease of an account, which one process at a time can have, and return what to give it back with.

        ``None``: another has it. Where the cache does not answer, or there is none, this process has it alone.
        """
        token = secrets.token_hex(8).encode()
        if self._cache is None or self._keyspace is None:
            return token
        try:
            granted = await self._cache.backend.acquire(self._keyspace.lock(key), token, round(seconds * 1000))
        except (CacheError, Closed) as error:
            self._lost(error)
            return token
        except BaseException:
            await self.give_back(key, token)  # it may have been granted without our learning of it
            raise
        return token if granted else None

    async def extend(self, key: str, token: bytes, seconds: float) -> None:
        """Let a lease last longer, unless it has ended; one that cannot be asked for ends by itself."""
        if self._cache is None or self._keyspace is None:
            return
        try:
            await self._cache.backend.extend(self._keyspace.lock(key), token, round(seconds * 1000))
        except (CacheError, Closed) as error:
            self._lost(error)

    async def give_back(self, key: str, token: bytes) -> None:
        """Give a lease back; one that is lost ends by itself."""
        if self._cache is None or self._keyspace is None:
            return
        try:
            await self._cache.backend.release(self._keyspace.lock(key), token)
        except (CacheError, Closed) as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            _log.warning("suspensions are kept in this process alone until the cache answers again: %s", error)

    def _found(self) -> None:
        if self._away:
            self._away = False
            _log.info("suspensions are shared through the cache again")
