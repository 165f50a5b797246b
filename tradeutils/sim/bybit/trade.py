"""Bybit's private endpoints about orders and what was filled of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, Literal

from tradeutils.sim.bybit.errors import BybitError, of_refused_order, of_unknown_order
from tradeutils.sim.bybit.fields import Fields
from tradeutils.sim.bybit.names import Names, order_name, order_number
from tradeutils.sim.bybit.rows import WATCHED, describe_fill, describe_order, is_stop, status
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.orders import OrderRefused, OrderRequest, PlacedOrder, Watched

__all__ = ["TradeData"]

_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
_FORCES: Final = ("GTC", "IOC", "FOK", "PostOnly")
_FILTERS: Final = ("Order", "StopOrder", "tpslOrder")
_WEEK_MS: Final = 7 * 86_400_000
_RECENT: Final = 500  # closed orders that are told beside the open ones
# Rows of a page, by default and at most.
_ORDERS: Final = (20, 50)
_FILLS: Final = (50, 100)


class TradeData:
    """
    The endpoints about orders; each takes the account and the parameters of one call.

    Attributes
    ----------
    lists, commands : dict
        By path: those that tell, asked with GET, and those that change something, asked with POST.
    """

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._market, self._names = venue.clock, venue.ledger, venue.market, names
        self.lists: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "/v5/order/realtime": self.current,
            "/v5/order/history": self.history,
            "/v5/execution/list": self.fills,
        }
        self.commands: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "/v5/order/create": self.create,
            "/v5/order/cancel": self.cancel,
            "/v5/order/cancel-all": self.cancel_all,
        }

    def create(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Place an order, whose client id is added to the result."""
        category = self._names.category(fields)
        instrument = self._names.instrument(category, fields)
        now = self._clock.now()
        request = self._request(instrument, fields, now)
        name = request.client_id
        try:
            # Not only of those that are open: in its market an id is never free again.
            if name is not None and self._ledger.find(account.key, now, instrument.id, client_id=name) is not None:
                raise OrderRefused("duplicate")
            order = self._ledger.place(account.key, request, now)
        except OrderRefused as refused:
            raise of_refused_order(refused, request, instrument) from refused
        return {**_told(order, instrument), "placed": order.client_id}

    def _request(self, instrument: Instrument, fields: Fields, now: int) -> OrderRequest:
        """Return what a call wants to be placed."""
        spot, kind = instrument.kind == "spot", fields.choice("orderType", ("Limit", "Market"))
        side: Literal["buy", "sell"] = "buy" if fields.choice("side", ("Buy", "Sell")) == "Buy" else "sell"
        reduces = fields.flag("reduceOnly") and not spot
        quantity = fields.decimal("qty")
        if not quantity and not (quantity is not None and reduces and fields.flag("closeOnTrigger")):
            raise BybitError(10001, "params error: Qty invalid")
        price = fields.decimal("price") if kind == "Limit" else None
        if kind == "Limit" and not price:
            raise BybitError(10001, "params error: price invalid")
        given = fields.choice("timeInForce", _FORCES, "GTC")
        force: Literal["GTC", "IOC", "FOK"] = "IOC" if given == "IOC" else "FOK" if given == "FOK" else "GTC"
        unit = fields.choice("marketUnit", ("baseCoin", "quoteCoin"), "quoteCoin" if side == "buy" else "baseCoin")
        in_quote = spot and kind == "Market" and unit == "quoteCoin"
        own: Literal["limit", "limit maker", "market"] = "limit maker" if given == "PostOnly" else "limit"
        trigger, rises, watched = self._trigger(instrument, fields, now)
        return OrderRequest(
            market=instrument.id,
            side=side,
            type="market" if kind == "Market" else own,
            amount=None if in_quote or not quantity else quantity,
            cost=quantity if in_quote else None,
            price=price,
            time_in_force="GTC" if kind == "Market" else force,
            client_id=_link(fields),
            trigger=trigger,
            rises=rises,
            watched=watched,
            reduce_only=reduces,
        )

    def _trigger(self, instrument: Instrument, fields: Fields, now: int) -> tuple[Decimal | None, bool, Watched]:
        """Return the price that an order waits for, whether from below, and the price that is watched."""
        trigger = fields.decimal("triggerPrice")
        if not trigger:
            return None, False, "last"
        if instrument.kind == "spot":  # the side on which the price lies is the one that it must come from
            last = self._market.last(instrument.id, now)
            return trigger, len(last) > 0 and trigger > Decimal(str(last.price[0])), "last"
        rises = fields.choice("triggerDirection", ("1", "2")) == "1"
        wanted = fields.choice("triggerBy", tuple(WATCHED.values()), "LastPrice")
        return trigger, rises, next(own for own, name in WATCHED.items() if name == wanted)

    def cancel(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Cancel an order by its id, or by the client's."""
        category = self._names.category(fields)
        instrument, now = self._names.instrument(category, fields), self._clock.now()
        name, link = fields.text("orderId"), fields.text("orderLinkId")
        if name is None and link is None:
            raise BybitError(10001, "params error: orderId or orderLinkId is required")
        wanted = _filter(fields, category)
        order = self._ledger.find(
            account.key, now, instrument.id, number=None if name is None else order_number(name), client_id=link
        )
        if order is None or not _passes(order, wanted) or not self._ledger.cancel(account.key, order, now):
            raise of_unknown_order(category)
        return _told(order, instrument)

    def cancel_all(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Cancel the open orders in a market, or in those of a coin; of spot those of all, without what waits."""
        category = self._names.category(fields)
        markets, now = self._names.named(category, fields), self._clock.now()
        wanted = _filter(fields, category)
        gone = [
            order
            for order in self._ledger.orders(account.key, now, only_open=True)
            if order.request.market in markets and _passes(order, wanted)
        ]
        for order in gone:
            self._ledger.cancel(account.key, order, now)
        return {"list": [_told(order, markets[order.request.market]) for order in gone], "success": "1"}

    def current(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return open orders, or one by its id that may be over by now, or of ``openOnly=1`` the newest that are."""
        category = self._names.category(fields)
        markets, over = self._names.named(category, fields), fields.whole("openOnly")
        orders = self._ledger.orders(account.key, self._clock.now())
        recent = [one for one in reversed(orders) if one.request.market in markets and not one.open][:_RECENT]
        lying = [one for one in reversed(orders) if one.request.market in markets and one.open]
        if fields.text("orderId") is not None or fields.text("orderLinkId") is not None:
            found = [*lying, *recent]
        else:
            found = recent if over else lying
        return self._page(category, markets, found, fields)

    def history(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return orders that are over, of a week."""
        category = self._names.category(fields)
        markets = {one.id: one for one in self._names.chosen(category, fields)}
        since, until = _span(fields, self._clock.now())
        found = [
            one
            for one in reversed(self._ledger.orders(account.key, self._clock.now()))
            if one.request.market in markets and not one.open and since <= one.time <= until
        ]
        return self._page(category, markets, found, fields)

    def _page(
        self, category: str, markets: dict[str, Instrument], orders: Iterable[PlacedOrder], fields: Fields
    ) -> Any:
        """Return those of some orders, newest first, that a call wants, from its cursor on."""
        kind, wanted = _filter(fields, None), fields.text("orderStatus")
        name, link = fields.text("orderId"), fields.text("orderLinkId")
        number = None if name is None else order_number(name)
        found = [
            one
            for one in orders
            if number in (None, one.id)
            and link in (None, one.request.client_id)
            and _passes(one, kind)
            and wanted in (None, status(one, markets[one.request.market]))
        ]
        shown, following = _cut(found, fields, _ORDERS, lambda one: one.id)
        rows = [describe_order(one, markets[one.request.market]) for one in shown]
        return {"category": category, "list": rows, "nextPageCursor": following}

    def fills(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return what an account traded in a week, newest first."""
        category, now = self._names.category(fields), self._clock.now()
        markets = {one.id: one for one in self._names.chosen(category, fields)}
        since, until = _span(fields, now)
        name, link = fields.text("orderId"), fields.text("orderLinkId")
        number = None if name is None else order_number(name)
        found = []
        for order in self._ledger.orders(account.key, now):
            if (
                order.request.market in markets
                and number in (None, order.id)
                and link in (None, order.request.client_id)
            ):
                left = order.amount
                for fill in order.fills:
                    left -= fill.amount
                    if since <= fill.time <= until:
                        found.append((fill, order, left))
        if fields.text("execType", "Trade") != "Trade":
            found = []
        found.sort(key=lambda one: one[0].id, reverse=True)
        shown, following = _cut(found, fields, _FILLS, lambda one: one[0].id)
        rows = [describe_fill(fill, order, markets[fill.market], account, left) for fill, order, left in shown]
        return {"category": category, "list": rows, "nextPageCursor": following}


def _link(fields: Fields) -> str | None:
    """Return the client's id of an order."""
    link = fields.text("orderLinkId")
    if link is not None and _CLIENT_ID.fullmatch(link) is None:
        raise BybitError(10001, "params error: orderLinkId is up to 36 letters, digits, - and _")
    return link


def _filter(fields: Fields, category: str | None) -> str | None:
    """Return which kind of orders a call is about, ``None``: every kind; commands in spot leave alone what waits."""
    if fields.text("orderFilter") is None and category != "spot":
        return None
    return fields.choice("orderFilter", _FILTERS, "Order")


def _passes(order: PlacedOrder, wanted: str | None) -> bool:
    """Tell whether an order is of a kind; those that wait are one kind, whatever they are for."""
    return wanted is None or is_stop(order) == (wanted != "Order")


def _told(order: PlacedOrder, instrument: Instrument) -> dict[str, str]:
    return {"orderId": order_name(instrument.kind, order.id), "orderLinkId": order.request.client_id or ""}


def _span(fields: Fields, now: int) -> tuple[int, int]:
    """Return the first and the last moment that a call is about: a week at most, the last one by default."""
    since, until = fields.whole("startTime"), fields.whole("endTime")
    if since is None:
        last = now if until is None else until
        return last - _WEEK_MS, last
    last = since + _WEEK_MS if until is None else until
    if last - since > _WEEK_MS:
        raise BybitError(10001, "params error: the time range is 7 days at most")
    return since, last


def _cut(
    found: list[Any], fields: Fields, sizes: tuple[int, int], number: Callable[[Any], int]
) -> tuple[list[Any], str]:
    """Return a page of what was found, newest first, and the cursor of the next one, empty after the last."""
    cursor, size = fields.whole("cursor"), fields.limit(*sizes)
    left = [one for one in found if cursor is None or number(one) < cursor]
    shown = left[:size]
    return shown, str(number(shown[-1])) if len(left) > size else ""
