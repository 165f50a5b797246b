"""How workers of a backfill open an exchange: in a file of its own, so that processes elsewhere can import it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import tradeutils as tu


@contextlib.asynccontextmanager
async def open_at(redis: str, venue: str) -> AsyncIterator[tu.Exchange]:
    """Open an exchange whose budget is shared through Redis."""
    async with tu.Cache(redis) as cache, tu.Exchange("binance", url=venue, cache=cache) as exchange:
        yield exchange
