"""Cancelling all orders at once: listed, cancelled, and each accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Final

from tradeutils import errors
from tradeutils.exchange.base import OrderVenue
from tradeutils.exchange.ordering.open_orders import fetch_open_orders
from tradeutils.exchange.orders import cancel
from tradeutils.exchange.requests.retry import Patience
from tradeutils.model import Market, Order

__all__ = ["cancel_each"]

# Orders that wait for a price are listed with the others here, and cancelled under the name of their kind alone.
_KINDS: Final = {"bybit": ({"orderFilter": "tpslOrder"}, {"orderFilter": "StopOrder"})}
_AT_ONCE: Final = 32  # cancels in flight; the rate limit decides the pace


async def cancel_each(
    venue: OrderVenue, markets: Sequence[Market], orders: Sequence[Order], patience: Patience, *, trigger: bool
) -> list[Order]:
    """
    Cancel orders, concurrently, and return those that were.

    One that has ended meanwhile otherwise is left out. Where the venue cancels all orders of a market at once and
    names them, one request does it for all of them; those that its answer does not name are cancelled one by one.

    Raises
    ------
    CancelIncomplete : some may still be open; it carries them, and those that were cancelled.
    """
    by_symbol: dict[str, list[Order]] = {}
    for order in orders:
        by_symbol.setdefault(order.symbol, []).append(order)
    known = {market.symbol: market for market in markets}
    canceling = _Canceling(venue, patience, trigger)
    await asyncio.gather(*(canceling.market(known.get(symbol), group) for symbol, group in by_symbol.items()))
    await canceling.look_again(markets)
    if canceling.failed:
        first = next(iter(canceling.failed.values()))
        raise errors.CancelIncomplete(
            f"{venue.name} cancel_all: {len(canceling.failed)} of {len(orders)} orders may still be open ({first}); "
            "call again, or look at .failed",
            canceled=canceling.canceled,
            failed=canceling.failed,
            venue=venue.name,
        )
    return sorted(canceling.canceled, key=lambda order: order.time or 0)


class _Canceling:
    """What became of each order so far."""

    def __init__(self, venue: OrderVenue, patience: Patience, trigger: bool) -> None:
        self._venue, self._patience, self._trigger = venue, patience, trigger
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._gone: dict[str, tuple[Order, errors.TradeutilsError]] = {}
        self.canceled: list[Order] = []
        self.failed: dict[str, errors.TradeutilsError] = {}

    async def market(self, market: Market | None, orders: Sequence[Order]) -> None:
        """Cancel the orders of one market."""
        left = list(orders)
        at_once = market is not None and len(orders) > 1 and not self._trigger and self._venue.cancels_at_once(market)
        if market is not None and at_once:
            # An answer that is lost, or names less than all: it may have been done, and each order is asked for.
            with contextlib.suppress(errors.TradeutilsError):
                done = await self._venue.cancel_at_once(market.symbol)
                named = {order.id for order in done}
                left = [order for order in orders if order.id not in named]
                listed = {order.id: order for order in orders}
                self.canceled += [_whole(order, listed.get(order.id, order)) for order in done]
        await asyncio.gather(*(self._one(order, at_once) for order in left))

    async def look_again(self, markets: Sequence[Market]) -> None:
        """See whether the orders that were not found have ended: one that has not may be of a kind of its own."""
        if not self._gone:
            return
        symbols = {order.symbol for order, _ in self._gone.values()}
        asked = [market for market in markets if market.symbol in symbols]
        known = {market.symbol for market in asked}
        try:
            listed = await fetch_open_orders(self._venue, asked, named=True, trigger=self._trigger, urgent=True)
        except errors.TradeutilsError as error:
            self.failed |= dict.fromkeys(self._gone, error)
            return
        left = {order.id or "": order for order in listed}
        still = [number for number, (order, _) in self._gone.items() if number in left or order.symbol not in known]
        await asyncio.gather(*(self._of_another_kind(*self._gone[number]) for number in still))

    async def _of_another_kind(self, order: Order, error: errors.TradeutilsError) -> None:
        """Cancel an order that waits for a price, under the names that the venue has for such."""
        for params in _KINDS.get(self._venue.name, ()) if order.stop_price is not None else ():
            try:
                told = await cancel(self._venue, order.id or "", order.symbol, self._patience, params=params)
            except errors.OrderNotFound:
                continue
            except errors.TradeutilsError as other:
                error = other
                break
            self.canceled.append(_whole(told, order))
            return
        self.failed[order.id or ""] = error

    async def _one(self, order: Order, lost: bool) -> None:
        number = order.id or ""
        if not number:  # an empty one is the address of all orders on some venues
            self.failed[number] = errors.BadReply("an open order has no id", venue=self._venue.name)
            return
        async with self._gate:
            try:
                told = await cancel(self._venue, number, order.symbol, self._patience, trigger=self._trigger, lost=lost)
            except errors.OrderNotFound as error:
                self._gone[number] = order, error  # filled, or cancelled by someone else, or not found as it waits
                return
            except errors.TradeutilsError as error:
                self.failed[number] = error
                return
        self.canceled.append(_whole(told, order))


def _whole(told: Order, listed: Order) -> Order:
    """Return a cancelled order with what the list said of it where the answer to the cancel does not repeat it."""
    names = [field.name for field in dataclasses.fields(Order)]
    known = {name: getattr(listed, name) for name in names if getattr(told, name) in (None, "")}
    return dataclasses.replace(told, **{**known, "status": told.status or "canceled"})
