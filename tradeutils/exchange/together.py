"""What exchanges that are opened together share: connections, and by origin markets, public streams and the clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tradeutils.cache import Cache
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.exchange.market_tables import Lister, MarketTable
from tradeutils.exchange.requests.clock import VenueClock
from tradeutils.exchange.requests.sessions import Session
from tradeutils.exchange.streams.pool import Pool

__all__ = ["Origin", "Together"]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """
    What all who ask one origin share.

    Attributes
    ----------
    table : MarketTable
        What it lists.
    pool : Pool
        The lines that bring what everybody may see.
    clock : VenueClock
        Its time, as measured by whoever asked last.
    asking : Lock
        Held by who asks for its time, so that of many who want to sign one asks.
    """

    table: MarketTable
    pool: Pool
    clock: VenueClock
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Together:
    """
    Opened with the first exchange and closed after the last.

    Parameters
    ----------
    cache : Cache or None
        Where market tables are looked for and left; not closed with this.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        self.session = Session()
        self.sockets = Session()  # apart: each holds a connection for as long as it lives, and REST must not lack them
        self._cache = cache
        self._origins: dict[str, Origin] = {}

    def origin(
        self,
        key: str,
        lister: Callable[[], Lister],
        pool: Callable[[MarketTable, VenueClock], Pool],
        *,
        cached: bool = True,
    ) -> Origin:
        """
        Return what those who ask ``key`` share.

        ``lister`` opens who asks for its markets, where nobody does yet, and ``pool`` what brings its streams.
        """
        if key not in self._origins:
            table, clock = MarketTable(key, lister, self._cache if cached else None), VenueClock()
            self._origins[key] = Origin(table, pool(table, clock), clock)
        return self._origins[key]

    async def aclose(self) -> None:
        """Stop what is under way and close the connections. Safe to call twice."""
        async with contextlib.AsyncExitStack() as stack:  # whatever fails, the rest is closed; the last in first
            stack.push_async_callback(self.session.aclose)
            stack.push_async_callback(self.sockets.aclose)
            for origin in self._origins.values():
                stack.push_async_callback(origin.pool.aclose)
            await all_or_first_error([origin.table.aclose() for origin in self._origins.values()])
