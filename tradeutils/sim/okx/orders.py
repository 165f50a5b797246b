"""OKX's private endpoints about orders and what was filled of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, Literal

from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.okx.errors import OkxError, of_refused_order
from tradeutils.sim.okx.fields import Fields
from tradeutils.sim.okx.names import KINDS, Names, order_name, order_number
from tradeutils.sim.okx.paging import cut, span
from tradeutils.sim.okx.rows import describe_fill, describe_order, is_algo, is_order, order_type, state
from tradeutils.sim.okx.terms import check_mode, client_id, quantity, side_of
from tradeutils.sim.orders import OrderRefused, OrderRequest, PlacedOrder

__all__ = ["OrderData"]

_TYPES: Final = ("market", "limit", "post_only", "fok", "ioc", "optimal_limit_ioc")
_DAY_MS: Final = 86_400_000
_UNFILLED_MS: Final = 2 * 3_600_000  # for which one is known that was cancelled before any of it was filled
_WEEK_MS: Final = 7 * _DAY_MS
_QUARTER_MS: Final = 92 * _DAY_MS


class OrderData:
    """
    The endpoints about orders.

    Attributes
    ----------
    lists, commands : dict
        By path: those that tell, asked with GET, and those that change something, asked with POST. Each takes the
        account and the parameters of a call, or of one of those in a batch; commands return one row.
    """

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._names = venue.clock, venue.ledger, names
        self.lists: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "trade/order": self.order,
            "trade/orders-pending": self.pending,
            "trade/orders-history": lambda account, fields: self.history(account, fields, _WEEK_MS),
            "trade/orders-history-archive": lambda account, fields: self.history(account, fields, _QUARTER_MS),
            "trade/fills": lambda account, fields: self.fills(account, fields, 3 * _DAY_MS),
            "trade/fills-history": lambda account, fields: self.fills(account, fields, _QUARTER_MS),
        }
        self.commands: dict[str, Callable[[SimulatedAccount, Fields], dict[str, Any]]] = {
            "trade/order": self.place,
            "trade/batch-orders": self.place,
            "trade/cancel-order": self.cancel,
            "trade/cancel-batch-orders": self.cancel,
        }

    def place(self, account: SimulatedAccount, fields: Fields) -> dict[str, Any]:
        """Place an order."""
        instrument, now = self._names.instrument(fields), self._clock.now()
        request = _request(instrument, fields)
        self._check_position(account, request, now)
        try:
            order = self._enter(account, request, instrument, now)
        except OrderRefused as refused:
            raise of_refused_order(refused, request, instrument) from refused
        told = {"ordId": order_name(order.id), "clOrdId": request.client_id or ""}
        return {**told, "tag": fields.text("tag", ""), "ts": str(now)}

    def _enter(self, account: SimulatedAccount, request: OrderRequest, instrument: Instrument, now: int) -> PlacedOrder:
        """Place an order; one that would take though it may not is taken, and is cancelled at once."""
        try:
            return self._ledger.place(account.key, request, now)
        except OrderRefused as refused:
            if refused.reason != "would take":
                raise
        # It waits for a price that is out of reach until it is cancelled, and so meets nothing.
        order = self._ledger.place(account.key, replace(request, trigger=instrument.price_step), now)
        self._ledger.cancel(account.key, order, now)
        order.request, order.status = request, "expired"
        return order

    def _check_position(self, account: SimulatedAccount, request: OrderRequest, now: int) -> None:
        """Refuse an order that may only reduce and is of more than there is: it is not cut here."""
        if request.reduce_only:
            held = next((one for one in self._ledger.positions(account.key, now) if one.market == request.market), None)
            most = 0 if held is None else held.reducible(request.side)
            if not most:
                raise OkxError("51169")
            if request.amount is not None and request.amount > most:
                raise OkxError("51112")

    def _find(self, account: SimulatedAccount, fields: Fields, instrument: Instrument, now: int) -> PlacedOrder | None:
        """Return the order that a call names by OKX's id, or else by the account's own."""
        name, own = fields.text("ordId"), client_id(fields, "clOrdId")
        if name is None and own is None:
            raise OkxError("50015", "ordId", "clOrdId")
        number = None if name is None else order_number(name)
        order = self._ledger.find(account.key, now, instrument.id, number=number, client_id=own)
        return order if order is not None and is_order(order) and _is_kept(order, now, _QUARTER_MS) else None

    def cancel(self, account: SimulatedAccount, fields: Fields) -> dict[str, Any]:
        """Cancel an order by its id, or by the account's own."""
        instrument, now = self._names.instrument(fields), self._clock.now()
        order = self._find(account, fields, instrument, now)
        if order is None or not self._ledger.cancel(account.key, order, now):
            raise OkxError("51400")
        own = "" if is_algo(order) else order.request.client_id or ""
        return {"ordId": order_name(order.id), "clOrdId": own, "ts": str(now)}

    def order(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return an order."""
        instrument, now = self._names.instrument(fields), self._clock.now()
        order = self._find(account, fields, instrument, now)
        if order is None:
            raise OkxError("51603")
        return self._told(account, [order])

    def pending(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the open orders."""
        orders = self._ledger.orders(account.key, self._clock.now(), only_open=True)
        return self._page(account, fields, orders)

    def history(self, account: SimulatedAccount, fields: Fields, kept: int) -> Any:
        """Return the orders that are over and that the venue still knows."""
        fields.choice("instType", KINDS)
        now = self._clock.now()
        since, until = span(fields, now, kept)
        orders = self._ledger.orders(account.key, now)
        over = [one for one in orders if not one.open and since <= one.time <= until and _is_kept(one, now, kept)]
        return self._page(account, fields, over)

    def _page(self, account: SimulatedAccount, fields: Fields, orders: Iterable[PlacedOrder]) -> Any:
        markets, types = {one.id for one in self._names.chosen(fields)}, fields.several("ordType")
        wanted = fields.text("state")
        found = [
            one
            for one in orders
            if is_order(one)
            and one.request.market in markets
            and (not types or order_type(one) in types)
            and wanted in (None, state(one))
        ]
        return self._told(account, cut(reversed(found), fields, lambda one: int(order_name(one.id))))

    def _told(self, account: SimulatedAccount, orders: Iterable[PlacedOrder]) -> list[dict[str, Any]]:
        ledger = self._ledger
        return [
            describe_order(one, ledger.instrument(one.request.market), ledger.leverage(account.key, one.request.market))
            for one in orders
        ]

    def fills(self, account: SimulatedAccount, fields: Fields, kept: int) -> Any:
        """Return what an account traded and the venue still knows."""
        now, name = self._clock.now(), fields.text("ordId")
        markets, (since, until) = {one.id: one for one in self._names.chosen(fields)}, span(fields, now, kept)
        number = None if name is None else order_number(name)
        found = [
            (fill, order)
            for order in self._ledger.orders(account.key, now)
            if order.request.market in markets and number in (None, order.id)
            for fill in order.fills
            if since <= fill.time <= until
        ]
        found.sort(key=lambda one: one[0].id, reverse=True)
        rows = cut(found, fields, lambda one: one[0].id)
        return [describe_fill(fill, order, markets[fill.market], account) for fill, order in rows]


def _is_kept(order: PlacedOrder, now: int, kept: int) -> bool:
    """Tell whether the venue still knows an order: one that was cancelled unfilled not for long."""
    return order.open or order.updated >= now - (kept if order.fills else _UNFILLED_MS)


def _request(instrument: Instrument, fields: Fields) -> OrderRequest:
    """Return what a call wants to be placed."""
    kind, side = fields.choice("ordType", _TYPES), side_of(fields)
    check_mode(instrument, fields, "cash", "cross")
    if kind == "optimal_limit_ioc" and instrument.kind == "spot":
        raise OkxError("51000", "ordType")
    market = kind in ("market", "optimal_limit_ioc")
    amount, cost = quantity(instrument, fields, side, market=market)
    price = None if market else fields.decimal("px")
    if price is None and not market:
        raise OkxError("50014", "px")
    own: Literal["limit", "limit maker"] = "limit maker" if kind == "post_only" else "limit"
    force: Literal["GTC", "IOC", "FOK"] = "IOC" if kind == "ioc" else "FOK" if kind == "fok" else "GTC"
    return OrderRequest(
        market=instrument.id,
        side=side,
        type="market" if market else own,
        amount=amount,
        cost=cost,
        price=price,
        time_in_force=force,
        client_id=client_id(fields, "clOrdId"),
        reduce_only=fields.flag("reduceOnly") and instrument.kind == "linear",
    )
