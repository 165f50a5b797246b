"""
One market table for all who ask one venue: loaded once, shared, and renewed beside their work.

The first who asks has it loaded, from the cache where another process has put it, else from the venue; the others
wait for the same load. It is asked for without keys, as anybody sees it, so that no account's failures, fees or
permissions reach another.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

from tradeutils import errors, logs
from tradeutils.cache import Cache
from tradeutils.exchange.venues.listing import Listing, pack, unpack
from tradeutils.model import Market

__all__ = ["EARLY_S", "LASTS_S", "Lister", "MarketTable"]

_log = logs.get_logger("exchange")

LASTS_S: Final = 3600.0
"""Seconds for which a market table serves before it is renewed, a tenth more or less, so that not all do at once."""

EARLY_S: Final = 60.0
"""Seconds between two loads for the sake of a symbol that the table does not have."""

_RETRY_S: Final = 60.0  # after a failed renewal


class _NothingListed(Exception):  # carries a table past the cache: an error is not remembered
    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        super().__init__("nothing listed")


class Lister(Protocol):
    """Who asks the venue what it lists."""

    async def fetch_listing(self) -> Listing:
        """Return what the venue lists now; `VenueError` where it does not say."""
        ...

    def market(self, entry: Mapping[str, Any]) -> Market:
        """Return our value of one of ccxt's markets."""
        ...

    async def aclose(self) -> None: ...


class MarketTable:
    """
    What one origin lists. A table without any market serves those who wait for it, and is not kept.

    Parameters
    ----------
    key : str
        Its name in the cache: of the origin, our format, and ccxt's version.
    lister : callable
        Opens who asks the venue; called once, when the venue is first asked or a cached table read.
    cache : Cache or None
        Where other processes find it and leave it.
    """

    def __init__(self, key: str, lister: Callable[[], Lister], cache: Cache | None) -> None:
        self._key = key
        self._open_lister = lister
        self._cache = cache
        self._lister: Lister | None = None
        self._kept: Listing | None = None
        self._due = 0.0  # by the monotonic clock, as all moments here
        self._asked = float("-inf")
        self._opening: asyncio.Task[Listing] | None = None
        self._renewing: asyncio.Task[Listing] | None = None
        self._closed = False

    async def get(self) -> Listing:
        """Return the table; loaded where there is none, and renewed in the background where it is old."""
        if self._kept is None:
            return await self._joined("_opening", self._open)
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _RETRY_S
            self._started("_renewing", self._renew)
        return self._kept

    async def reload(self) -> Listing:
        """Return the table as the venue has it now; who asks while it is being loaded waits for that load."""
        return await self._joined("_renewing", self._fetch)

    async def look_again(self) -> Listing:
        """Return a table no older than a minute, for a symbol that is not in this one; the old one if that fails."""
        kept = await self.get()
        if self._renewing is None and time.monotonic() - self._asked < EARLY_S:
            return kept
        try:
            return await self.reload()
        except errors.VenueError as error:
            _log.warning("%s: the markets could not be loaded anew, the old ones stay (%s)", self._key, error)
            return kept

    # Loading

    async def _open(self) -> Listing:
        """Load it for the first time."""
        if self._cache is None:
            return await self._fetch()
        fetched: Listing | None = None

        async def fetch() -> bytes:
            nonlocal fetched
            fetched = await self._ask()
            if not fetched.markets:
                raise _NothingListed(fetched)
            return await asyncio.to_thread(pack, fetched)

        try:
            data = await self._cache.get_or_fetch(self._key, fetch, ttl=_lifetime())
            found: Listing | None = fetched or await self._read(data)
        except _NothingListed as nothing:
            return nothing.listing
        except errors.CodecError as error:
            _log.info("%s: the market table cannot be cached (%s)", self._key, error)
            found = fetched
        except errors.Closed:  # another exchange's, that fetched for both, or the cache: then it is raised once more
            found = None
        except errors.DataError as error:
            _log.warning("%s: %s; the venue is asked instead", self._key, error)
            found = None
        return await self._fetch() if found is None else self._keep(found)

    async def _renew(self) -> Listing:
        """Replace an old table by a newer one of another process, or the venue's."""
        try:
            return await self._newer() or await self._fetch()
        except errors.VenueError as error:
            _log.warning("%s: the markets could not be renewed, the old ones stay (%s)", self._key, error)
            raise

    async def _newer(self) -> Listing | None:
        if self._cache is None or self._kept is None:
            return None
        with contextlib.suppress(errors.CacheError, errors.DataError):
            data = await self._cache.get(self._key)
            found = None if data is None else await self._read(data)
            if found is not None and found.time > self._kept.time:
                return self._keep(found)
        return None

    async def _fetch(self) -> Listing:
        """Ask the venue, and leave what it says to others."""
        found = await self._ask()
        if not found.markets:
            return found
        if self._cache is not None:
            try:
                await self._cache.set(self._key, await asyncio.to_thread(pack, found), ttl=_lifetime())
            except (errors.CacheError, errors.CodecError) as error:
                _log.info("%s: the market table could not be cached (%s)", self._key, error)
        return self._keep(found)

    async def _ask(self) -> Listing:
        self._asked = time.monotonic()
        found = await self._asker().fetch_listing()
        if not found.markets and self._kept is not None:
            raise errors.BadReply(f"{self._key}: the venue listed no market at all", operation="load_markets")
        _log.debug("%s lists %d markets", self._key, len(found.markets))
        return found

    async def _read(self, data: object) -> Listing:
        return await asyncio.to_thread(unpack, data, self._asker().market)

    def _asker(self) -> Lister:
        if self._lister is None:
            self._lister = self._open_lister()
        return self._lister

    def _keep(self, found: Listing) -> Listing:
        age = min(max(0.0, time.time() - found.time), LASTS_S)  # clocks of machines differ
        self._kept = found
        self._due = time.monotonic() + max(_RETRY_S, _lifetime() - age)
        self._asked = max(self._asked, time.monotonic() - age)
        return found

    # Waiting for it

    async def _joined(self, slot: str, work: Callable[[], Coroutine[Any, Any, Listing]]) -> Listing:
        """Wait for a load, which goes on if one of those who wait is cancelled."""
        task = self._started(slot, work)
        await asyncio.wait([task])
        if task.cancelled():
            raise errors.Closed(f"{self._key}: closed while the markets were loaded; open another exchange")
        error = task.exception()
        if error is None:
            return task.result()
        if not isinstance(error, errors.TradeutilsError):
            raise error
        again = copy.copy(error)  # each who waits raises one of its own, with a traceback of its own
        again.__cause__ = error.__cause__
        raise again

    def _started(self, slot: str, work: Callable[[], Coroutine[Any, Any, Listing]]) -> asyncio.Task[Listing]:
        if self._closed:
            raise errors.Closed(f"{self._key}: this exchange was closed; open another")
        running: asyncio.Task[Listing] | None = getattr(self, slot)
        if running is not None:
            return running
        # In a context of its own: it belongs to none of the calls and requests that wait for it.
        task = asyncio.create_task(work(), name=f"{slot} {self._key}", context=contextvars.Context())
        setattr(self, slot, task)

        def done(ended: asyncio.Task[Listing]) -> None:
            setattr(self, slot, None)
            error = None if ended.cancelled() else ended.exception()
            if error is not None and not isinstance(error, errors.TradeutilsError):  # those were told where they arose
                _log.error("%s: the markets were not loaded", self._key, exc_info=error)

        task.add_done_callback(done)
        return task

    async def aclose(self) -> None:
        """End what is being loaded. Safe to call twice."""
        self._closed = True
        running = [task for task in (self._opening, self._renewing) if task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        lister, self._lister = self._lister, None
        if lister is not None:
            await lister.aclose()


def _lifetime() -> float:
    return LASTS_S * random.uniform(0.9, 1.1)  # noqa: S311  # spreads load, keeps no secret
