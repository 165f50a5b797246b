"""What exchanges that are opened together share: connections, and by origin the markets and the venue's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tradeutils.cache import Cache
from tradeutils.exchange.clock import VenueClock
from tradeutils.exchange.gathering import all_or_first_error
from tradeutils.exchange.market_tables import Lister, MarketTable
from tradeutils.exchange.sessions import Session

__all__ = ["Origin", "Together"]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """
    What all who ask one origin share.

    Attributes
    ----------
    table : MarketTable
        What it lists.
    clock : VenueClock
        Its time, as measured by whoever asked last.
    asking : Lock
        Held by who asks for its time, so that of many who want to sign one asks.
    """

    table: MarketTable
    clock: VenueClock = field(default_factory=VenueClock)
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
        self._cache = cache
        self._origins: dict[str, Origin] = {}

    def origin(self, key: str, lister: Callable[[], Lister], *, cached: bool = True) -> Origin:
        """Return what those who ask ``key`` share; ``lister`` opens who asks for its markets, where nobody does yet."""
        if key not in self._origins:
            self._origins[key] = Origin(MarketTable(key, lister, self._cache if cached else None))
        return self._origins[key]

    async def aclose(self) -> None:
        """Stop what is under way and close the connections. Safe to call twice."""
        try:
            await all_or_first_error([origin.table.aclose() for origin in self._origins.values()])
        finally:
            await self.session.aclose()
