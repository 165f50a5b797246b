"""
Orders that are never sent twice.

An order whose answer is lost may be on the venue or not. It bears an id of ours, so the venue is asked by that id:
an order that is found is the answer; one that is not found for as long as the first request could still arrive is
proven absent and is sent again, with the same id; anything else is `OrderUnknown`, which carries the id.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import re
import time
import types
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradeutils import errors, logs
from tradeutils.exchange.base import OrderVenue
from tradeutils.exchange.ordering.checks import NewOrder
from tradeutils.exchange.ordering.doubts import Unsettled
from tradeutils.exchange.requests.retry import Patience, again, poll
from tradeutils.model import Order
from tradeutils.model.rounding import EXACT

__all__ = ["cancel", "place", "refused", "warn_of_cancellation"]

_log = logs.get_logger("exchange")

_SHOWN_LATE_S: Final = 2.0  # how long after it took an order a venue may deny it
_PLAIN_REFUSAL: Final = "ExchangeError"  # what ccxt makes of a code that nobody has classified
# Such a code with a status of 4xx is a refusal, unless it speaks of the venue's own trouble (bitget: 400 and "System is
# abnormal").
_OWN_TROUBLE: Final = re.compile(r"(?i)unknown error|internal|abnormal|system (error|busy)|tim(ed|e).?out|try again")
_NO_PARAMS: Final[Mapping[str, Any]] = types.MappingProxyType({})
_SPENT_AT_LEAST: Final = Decimal("0.9")  # of what an order was to spend
_TERMS_TOLD: Final = ("limit", "market")  # venues have names of their own for the other types


def refused(error: errors.TradeutilsError, status: int | None) -> bool:
    """
    Tell whether an error says that the venue did not take an order.

    Without a reply, or with one of a gateway (5xx), nothing is known. A code that ccxt does not know may mean
    anything. ``InvalidNonce``, 429 and 418 are told before an order is read.
    """
    if status is None or status >= 500:
        return False
    if isinstance(error, errors.ClockSkew | errors.RateLimited):
        return True
    if isinstance(error, errors.RequestRefused) and type(error.__cause__).__name__ == _PLAIN_REFUSAL:
        return status >= 400 and not _OWN_TROUBLE.search(str(error))
    return isinstance(error, errors.PermanentVenueError)


def warn_of_cancellation(cancelled: asyncio.CancelledError, venue: str, order: NewOrder) -> None:
    """Keep the id of an order whose sender was cancelled while it was under way: in the log and in the error."""
    text = f"{venue} create_order {order.market.symbol}: cancelled while the order was under way; {_how(order)}"
    cancelled.add_note(text)
    _log.warning("%s", text)


def _how(order: NewOrder) -> str:
    waiting = ", trigger=True" if order.conditional else ""
    return (
        "it may be on the venue: look it up with "
        f"fetch_order(None, {order.market.symbol!r}, client_order_id={order.client_id!r}{waiting})"
    )


async def place(venue: OrderVenue, order: NewOrder, patience: Patience) -> Order:
    """
    Place an order exactly once.

    Raises
    ------
    OrderUnknown : its outcome could not be learnt within the deadline.
    DuplicateOrder : another order bears its id.
    VenueError : it is not on the venue; the class says whether to try again.
    """
    placing = _Placing(venue, order, patience)
    try:
        if not order.named:
            return await again(placing.attempt, patience)
        async with venue.doubts.turn(order.client_id):
            return await again(placing.attempt, patience)
    except asyncio.CancelledError as cancelled:
        if placing.lost and not getattr(cancelled, "__notes__", None):
            warn_of_cancellation(cancelled, venue.name, order)
        raise


class _Answer(NamedTuple):
    asked: float
    found: Order | None
    known: bool  # whether the venue answered at all


class _Placing:
    """The attempts at one order."""

    def __init__(self, venue: OrderVenue, order: NewOrder, patience: Patience) -> None:
        self._venue, self._order, self._patience = venue, order, patience
        self._settles_after = venue.settles_after(order) + _SHOWN_LATE_S  # nothing is wrong with it once it has left
        self._until: float | None = None
        self._may_exist = order.named  # placed by an earlier call, which did not live to tell
        self.lost = False  # whether an earlier request may have placed it

    async def attempt(self) -> Order:
        """Send the order, and find out what became of it where the answer does not say."""
        if self._may_exist:
            # Not left to the venue: most refuse an id only while its order is open, and take a filled one twice.
            earlier = await self._earlier()
            if earlier is not None:
                return self._taken_for_ours(earlier)
            self._may_exist = False
        try:
            return await self._venue.create_order(self._order)
        except Unsettled as unsettled:
            self.lost = True
            found = await self._look_up(unsettled)
            if found is not None:
                return found
            raise unsettled.error from None  # not on the venue: its class says whether to send it again
        except errors.DuplicateOrder as error:
            return await self._twin(error)
        except errors.PermanentVenueError as error:
            # It may be the first one that holds the funds which this one lacks.
            found = await self._look_up(Unsettled(error, left=time.monotonic())) if self.lost else None
            if found is not None:
                return found
            raise

    async def _earlier(self) -> Order | None:
        """Return the order that an earlier call placed; one of this process may still be under way."""
        doubt = self._venue.doubts.get(self._order.client_id)
        if doubt is not None:
            return await self._look_up(doubt)
        return await self._find()

    async def _find(self, leave_by: float = math.inf) -> Order | None:
        order = self._order
        return await self._venue.find_order(
            order.client_id, order.market, conditional=order.conditional, leave_by=leave_by
        )

    def _taken_for_ours(self, earlier: Order) -> Order:
        if _same(earlier, self._order):
            return earlier
        raise errors.DuplicateOrder(
            f"an order of other terms bears client_order_id {self._order.client_id!r}; use a new id for each order",
            venue=self._venue.name,
            operation="create_order",
            symbol=self._order.market.symbol,
        )

    async def _twin(self, error: errors.DuplicateOrder) -> Order:
        """Return the order that the venue says is there already, if it is this one."""
        found = await self._look_up(Unsettled(error, left=time.monotonic()))
        if found is not None and (self.lost or _same(found, self._order)):
            return found
        if self.lost:
            raise self._unknown(error)
        raise error

    async def _look_up(self, unsettled: Unsettled) -> Order | None:
        """Ask for the order until it is found, or can no longer arrive; ``None``: it is not there."""
        self._venue.doubts.add(self._order.client_id, unsettled)
        if self._until is None:
            self._until = time.monotonic() + self._patience.deadline
        until, settled = self._until, unsettled.left + self._settles_after

        async def ask() -> _Answer:
            asked = time.monotonic()
            try:
                return _Answer(asked, await self._find(until), True)
            except errors.TransientVenueError as error:
                _log.debug("%s: %s could not be looked up: %s", self._venue.name, self._order.client_id, error)
                return _Answer(asked, None, False)

        def done(answer: _Answer) -> bool:
            over = answer.known and answer.asked >= settled
            return answer.found is not None or over or time.monotonic() >= until

        try:
            answer = await poll(ask, done, settled, until)
        except errors.TradeutilsError as error:
            raise self._unknown(error) from unsettled.error
        proven = answer.known and answer.asked >= settled and unsettled.provable and self._venue.proves_absence
        if answer.found is None and not proven:
            raise self._unknown(unsettled.error) from unsettled.error
        self._venue.doubts.settle(self._order.client_id)
        if answer.found is not None:
            return answer.found
        _log.info("%s: order %s did not arrive", self._venue.name, self._order.client_id)
        return None

    def _unknown(self, error: errors.TradeutilsError) -> errors.OrderUnknown:
        symbol = self._order.market.symbol
        return errors.OrderUnknown(
            f"{self._venue.name} create_order {symbol}: the outcome is unknown ({error}); {_how(self._order)}",
            client_id=self._order.client_id,
            venue=self._venue.name,
            symbol=symbol,
        )


def _same(found: Order, order: NewOrder) -> bool:
    """Tell whether an order on the venue is the one that was to be placed, by all that the venue tells."""
    told = (
        (found.symbol, order.market.symbol),
        (found.side, order.side),
        (found.type if {found.type, order.type} <= set(_TERMS_TOLD) else None, order.type),
        (found.amount if order.cost is None else None, order.amount),
        (found.price, order.price if order.type == "limit" else found.price),
        (found.stop_price if order.trigger_price is not None else None, order.trigger_price),
    )
    return all(theirs is None or theirs == ours for theirs, ours in told) and _spent(found, order)


def _spent(found: Order, order: NewOrder) -> bool:
    """
    Tell whether an order may be the one that was to spend a cost.

    What was to be spent is repeated by few venues. What was spent is no more, and of one that is filled not much less:
    what is left buys no further step, or is the fee.
    """
    if order.cost is None or found.cost is None:
        return True
    least = EXACT.multiply(order.cost, _SPENT_AT_LEAST) if found.status == "closed" else Decimal(0)
    return least <= found.cost <= order.cost


async def cancel(
    venue: OrderVenue,
    order_id: str,
    symbol: str,
    patience: Patience,
    *,
    trigger: bool = False,
    params: Mapping[str, Any] = _NO_PARAMS,
    lost: bool = False,
) -> Order:
    """
    Cancel an order; repeated after a lost answer. ``lost``: the answer to an earlier request was.

    Raises
    ------
    OrderNotFound : there is no such order, or it had ended otherwise.
    """

    async def attempt() -> Order:
        nonlocal lost
        try:
            return await venue.cancel_order(order_id, symbol, params, trigger=trigger)
        except errors.TransientVenueError:
            lost = True
            raise
        except Unsettled as unsettled:  # the HTTP layer itself sent it twice
            return await _canceled(venue, order_id, symbol, unsettled.error, trigger)
        except errors.OrderNotFound as error:
            if not lost:
                raise
            return await _canceled(venue, order_id, symbol, error, trigger)

    return await again(attempt, patience)


async def _canceled(
    venue: OrderVenue, order_id: str, symbol: str, error: errors.TradeutilsError, trigger: bool
) -> Order:
    """Return an order that the venue no longer finds to be cancelled, if an earlier request cancelled it."""
    try:
        found = await venue.fetch_order(order_id, symbol, trigger=trigger)
    except errors.PermanentVenueError:
        raise error from None
    if found.status != "canceled":
        raise error
    return dataclasses.replace(found, id=found.id or order_id)
