"""
Orders of one id in several processes: one after the other, where a cache tells them of each other.

Most venues refuse an id only while its order is open. Of two processes that ask at once whether a market order is
there, both are told that it is not, and both orders would be filled.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from tradeutils import errors, logs
from tradeutils.cache import Cache
from tradeutils.cache.locks import Lock
from tradeutils.exchange.base import OrderVenue
from tradeutils.exchange.ordering.checks import NewOrder
from tradeutils.exchange.ordering.doubts import Unsettled
from tradeutils.exchange.requests.retry import Patience

__all__ = ["alone"]

_log = logs.get_logger("exchange")

_TOLD_S: Final = 600.0  # how long it is known that an order of an id was begun; a doubt lasts as long


@contextlib.asynccontextmanager
async def alone(
    cache: Cache | None, account: str, venue: OrderVenue, order: NewOrder, patience: Patience
) -> AsyncIterator[None]:
    """
    Place an order of an id of the caller's own while nobody else on the cache does.

    An order that another process began is looked up until it is found or can no longer arrive, however that ended.
    Without the cache, or while it does not answer, processes know nothing of each other.

    Raises
    ------
    OrderUnknown : another process is still at it after the deadline.
    """
    if cache is None or not order.named:
        yield
        return
    name = f"order:{account}:{order.client_id}"
    # For the first wait and the last look-up; of one that dies the next finds out what it did.
    lock = cache.lock(name, 2 * patience.deadline + venue.settles_after(order))
    held = await _held(lock, venue, order, patience)
    try:
        if held:
            await _tell(cache, name, venue, order)
        yield
    except errors.VenueError as error:  # it is not on the venue
        if not isinstance(error, errors.DuplicateOrder):
            with contextlib.suppress(errors.CacheError, errors.Closed):
                await cache.delete(name)
        raise
    finally:
        if held:
            with contextlib.suppress(errors.CacheError, errors.Closed):  # what became of the order counts
                await lock.__aexit__(None, None, None)


async def _held(lock: Lock, venue: OrderVenue, order: NewOrder, patience: Patience) -> bool:
    """Wait for the lock; return whether it is held, which it is not where the cache does not answer."""
    try:
        async with asyncio.timeout(patience.deadline):
            await lock.__aenter__()
    except TimeoutError:
        raise errors.OrderUnknown(
            f"{venue.name} create_order {order.market.symbol}: another process is placing an order of client_order_id "
            f"{order.client_id!r}; look it up, or call again",
            client_id=order.client_id,
            venue=venue.name,
            symbol=order.market.symbol,
        ) from None
    except (errors.CacheError, errors.Closed) as error:
        _warn(venue, order, error)
        return False
    return True


async def _tell(cache: Cache, name: str, venue: OrderVenue, order: NewOrder) -> None:
    """Tell the others that an order of this id is begun; where one was begun before, it may be on the venue."""
    try:
        if await cache.get(name) is not None and venue.doubts.get(order.client_id) is None:
            missed = errors.VenueTimeout("another call began to place it", venue=venue.name, operation="create_order")
            doubt = Unsettled(missed, left=time.monotonic(), provable=not order.conditional)
            venue.doubts.add(order.client_id, doubt)
        await cache.set(name, True, ttl=_TOLD_S)
    except (errors.CacheError, errors.Closed) as error:
        _warn(venue, order, error)


def _warn(venue: OrderVenue, order: NewOrder, error: errors.TradeutilsError) -> None:
    _log.warning("%s: other processes are not told of order %s: %s", venue.name, order.client_id, error)
