"""Kraken's private endpoints: orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

import orjson

from tradeutils.sim.dialect import Venue
from tradeutils.sim.kraken.errors import KrakenError, of_refused_order
from tradeutils.sim.kraken.market_data import Fields, whole
from tradeutils.sim.kraken.names import Names, order_name, order_number, trade_name
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.orders import OrderRefused, OrderRequest, PlacedOrder, Side

__all__ = ["OrderData", "order_type"]

_Working: TypeAlias = Literal["limit", "market"]

# What an order is once it works, and what the trigger that it waits for is called.
_TYPES: Final[dict[str, tuple[_Working, str]]] = {
    "limit": ("limit", ""),
    "market": ("market", ""),
    "stop-loss": ("market", "stop loss"),
    "take-profit": ("market", "take profit"),
    "stop-loss-limit": ("limit", "stop loss"),
    "take-profit-limit": ("limit", "take profit"),
}
_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
# A UUID with or without its hyphens, or up to 18 characters of free text.
_CLIENT_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[\x21-\x7e]{1,18}")
_STATUS: Final = {"new": "open", "partly filled": "open", "filled": "closed", "canceled": "canceled"}
_PAGE: Final = 50


class OrderData:
    """The endpoints about orders by name; each takes the account and the fields of one call and returns its result."""

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._names = venue.clock, venue.ledger, names
        self.endpoints: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "AddOrder": self.add_order,
            "CancelOrder": self.cancel_order,
            "CancelOrderBatch": self.cancel_several,
            "CancelAll": self.cancel_all,
            "OpenOrders": self.open_orders,
            "ClosedOrders": self.closed_orders,
            "QueryOrders": self.query_orders,
        }

    def add_order(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Place an order, whose client id is added to the result; with ``validate`` only check it."""
        request = self._request(fields)
        now = self._clock.now()
        try:
            if fields.get("validate", "false").lower() == "true":
                self._ledger.check(request, now)
                return {"descr": {"order": self._sentence(request)}}
            order = self._ledger.place(account.key, request, now)
        except OrderRefused as refused:
            raise of_refused_order(refused) from refused
        return {
            "descr": {"order": self._sentence(request)},
            "txid": [order_name(order.id)],
            "placed": order.client_id,
        }

    def _request(self, fields: Fields) -> OrderRequest:
        instrument = self._names.instrument(_one(fields, "pair"))
        flags = fields.get("oflags", "").split(",")
        kind, side = _choice(fields, "ordertype", _TYPES), _choice(fields, "type", ("buy", "sell"))
        working, trigger = _TYPES[kind]
        volume = _decimal(fields, "volume")
        in_quote = "viqc" in flags
        if in_quote and kind != "market":
            raise KrakenError("EGeneral:Invalid arguments:viqc")
        name = fields.get("cl_ord_id")
        if name is not None and _CLIENT_ID.fullmatch(name) is None:
            raise KrakenError("EGeneral:Invalid arguments:cl_ord_id")
        bought: Side = "buy" if side == "buy" else "sell"
        force: Literal["GTC", "IOC"] = "IOC" if fields.get("timeinforce") == "IOC" else "GTC"
        limit = None if working == "market" else _decimal(fields, "price2" if trigger else "price")
        return OrderRequest(
            market=instrument.id,
            side=bought,
            type="limit maker" if working == "limit" and "post" in flags else working,
            amount=None if in_quote else volume,
            cost=volume if in_quote else None,
            price=limit,
            time_in_force=force,
            client_id=name,
            trigger=_decimal(fields, "price") if trigger else None,
            rises=(side == "sell") == (trigger == "take profit"),
        )

    def _sentence(self, request: OrderRequest) -> str:
        pair = self._names.pair(self._ledger.instrument(request.market))
        volume = request.amount if request.amount is not None else request.cost
        end = "market" if request.price is None else f"limit {request.price:f}"
        if request.trigger is not None:
            limit = "" if request.price is None else f" -> {end}"
            end = f"{_TYPES[order_type(request)][1]} {request.trigger:f}{limit}"
        return f"{request.side} {volume:.8f} {pair} @ {end}"

    def cancel_order(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Cancel an order by its name, or by the client's."""
        if "txid" not in fields and "cl_ord_id" not in fields:
            raise KrakenError("EGeneral:Invalid arguments:txid")
        now = self._clock.now()
        number, name = order_number(fields.get("txid", "")), fields.get("cl_ord_id")
        for order in self._ledger.orders(account.key, now, kind="spot", only_open=True):
            if order.id == number or (name is not None and order.client_id == name):
                self._ledger.cancel(account.key, order, now)
                return {"count": 1}
        raise KrakenError("EOrder:Unknown order")

    def cancel_several(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Cancel orders by a list of their names or the client's; those that are not open are passed over."""
        try:
            listed = [name for field in ("orders", "cl_ord_ids") for name in orjson.loads(fields.get(field, "[]"))]
        except (orjson.JSONDecodeError, TypeError):
            raise KrakenError("EGeneral:Invalid arguments:orders") from None
        if not listed or len(listed) > _PAGE or not all(isinstance(name, str) for name in listed):
            raise KrakenError("EGeneral:Invalid arguments:orders")
        return self._cancel(account, lambda order: order_name(order.id) in listed or order.client_id in listed)

    def cancel_all(self, account: SimulatedAccount, _fields: Fields) -> Any:
        """Cancel all orders of the account."""
        return self._cancel(account, lambda _: True)

    def _cancel(self, account: SimulatedAccount, chosen: Callable[[PlacedOrder], bool]) -> Any:
        now = self._clock.now()
        found = [order for order in self._ledger.orders(account.key, now, kind="spot", only_open=True) if chosen(order)]
        return {"count": sum(self._ledger.cancel(account.key, order, now) for order in found)}

    def open_orders(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the orders that may still be filled."""
        found = self._ledger.orders(account.key, self._clock.now(), kind="spot", only_open=True)
        return {"open": self._all((one for one in found if _named(one, fields)), fields)}

    def closed_orders(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the newest fifty orders that are over, from ``ofs`` on; ``start`` is excluded, in seconds."""
        start, end = whole(fields, "start", 0), whole(fields, "end", 10**11)
        found = self._ledger.orders(account.key, self._clock.now(), kind="spot")
        over = [
            one
            for one in reversed(found)
            if not one.open and _named(one, fields) and one.updated > start * 1000 and one.time <= end * 1000
        ]
        first = whole(fields, "ofs", 0)
        return {"closed": self._all(over[first : first + _PAGE], fields), "count": len(over)}

    def query_orders(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return orders by their names, or by the client's."""
        if "txid" not in fields and "cl_ord_id" not in fields:
            raise KrakenError("EGeneral:Invalid arguments:txid")
        numbers = {order_number(name) for name in fields.get("txid", "").split(",")[:_PAGE]}
        orders = self._ledger.orders(account.key, self._clock.now(), kind="spot")
        found = [one for one in orders if one.id in numbers or ("cl_ord_id" in fields and _named(one, fields))]
        if not found:
            raise KrakenError("EOrder:Unknown order")
        return self._all(found, fields)

    def _all(self, orders: Iterable[PlacedOrder], fields: Fields) -> dict[str, Any]:
        told = {order_name(order.id): (order, self._described(order)) for order in orders}
        if fields.get("trades", "false").lower() == "true":
            for order, row in told.values():
                row["trades"] = [trade_name(fill.id) for fill in order.fills]
        return {name: row for name, (_, row) in told.items()}

    def _described(self, order: PlacedOrder) -> dict[str, Any]:
        request, fee = order.request, sum((fill.fee for fill in order.fills), Decimal(0))
        prices = [f"{price:f}" for price in (request.trigger, request.price) if price is not None]
        flags = ["fcib" if request.side == "buy" else "fciq"] + ["post"] * (request.type == "limit maker")
        over = {} if order.open else {"closetm": order.updated / 1000, "reason": None}
        return {
            "refid": None,
            "userref": None,
            "cl_ord_id": request.client_id,
            "status": _STATUS.get(order.status, order.status),
            "opentm": order.time / 1000,
            "starttm": 0,
            "expiretm": 0,
            "descr": {
                "pair": self._names.pair(self._ledger.instrument(request.market)),
                "type": request.side,
                "ordertype": order_type(request),
                "price": prices[0] if prices else "0",
                "price2": prices[1] if len(prices) > 1 else "0",
                "leverage": "none",
                "order": self._sentence(request),
                "close": "",
            },
            "vol": f"{order.amount:.8f}",
            "vol_exec": f"{order.filled:.8f}",
            "cost": f"{order.cost:.8f}",
            "fee": f"{fee:.8f}",
            "price": f"{order.cost / order.filled if order.filled else Decimal(0):.8f}",
            "stopprice": "0.00000",
            "limitprice": "0.00000",
            "misc": "stopped" if order.triggered else "",
            "oflags": ",".join(flags),
            **over,
        }


def order_type(request: OrderRequest) -> str:
    """Return what Kraken calls a request."""
    own: _Working = "market" if request.type == "market" else "limit"
    profits = request.rises == (request.side == "sell")
    trigger = "" if request.trigger is None else "take profit" if profits else "stop loss"
    return next(name for name, kind in _TYPES.items() if kind == (own, trigger))


def _named(order: PlacedOrder, fields: Fields) -> bool:
    return fields.get("cl_ord_id", order.client_id) == order.client_id


def _one(fields: Fields, name: str) -> str:
    if not fields.get(name):
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return fields[name]


def _choice(fields: Fields, name: str, options: Container[str]) -> str:
    value = _one(fields, name)
    if value not in options:
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return value


def _decimal(fields: Fields, name: str) -> Decimal:
    text = _one(fields, name)
    if _DECIMAL.fullmatch(text) is None or not Decimal(text):
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return Decimal(text)
