"""Kraken's private endpoints: balances and orders."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Literal

from tradeutils.sim.dialect import Venue
from tradeutils.sim.kraken.errors import KrakenError, of_refused_order
from tradeutils.sim.kraken.market_data import Fields, whole
from tradeutils.sim.kraken.names import Names, asset_name, order_name, order_number
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.orders import OrderRefused, OrderRequest, PlacedOrder

__all__ = ["AccountData"]

_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
# A UUID with or without its hyphens, or up to 18 characters of free text.
_CLIENT_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[\x21-\x7e]{1,18}")
_STATUS: Final = {"new": "open", "partly filled": "open", "filled": "closed", "canceled": "canceled"}
_PAGE: Final = 50


class AccountData:
    """The private endpoints by name; each takes the account and the fields of one call and returns its result."""

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._names = venue.clock, venue.ledger, names
        self.endpoints: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "Balance": self.balance,
            "BalanceEx": self.balance_with_holds,
            "AddOrder": self.add_order,
            "CancelOrder": self.cancel_order,
            "OpenOrders": self.open_orders,
            "ClosedOrders": self.closed_orders,
            "QueryOrders": self.query_orders,
        }

    def balance(self, account: SimulatedAccount, _fields: Fields) -> Any:
        """Tell what an account holds, free or not."""
        holdings, _ = self._ledger.holdings(account.key, self._clock.now())
        return {asset_name(asset): f"{held.free + held.locked:.10f}" for asset, held in holdings.items()}

    def balance_with_holds(self, account: SimulatedAccount, _fields: Fields) -> Any:
        """Tell what an account holds, and how much of it is held for orders."""
        holdings, _ = self._ledger.holdings(account.key, self._clock.now())
        return {
            asset_name(asset): {"balance": f"{held.free + held.locked:.10f}", "hold_trade": f"{held.locked:.10f}"}
            for asset, held in holdings.items()
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
        kind, side = _choice(fields, "ordertype", ("limit", "market")), _choice(fields, "type", ("buy", "sell"))
        volume = _decimal(fields, "volume")
        in_quote = "viqc" in flags
        if in_quote and kind != "market":
            raise KrakenError("EGeneral:Invalid arguments:viqc")
        name = fields.get("cl_ord_id")
        if name is not None and _CLIENT_ID.fullmatch(name) is None:
            raise KrakenError("EGeneral:Invalid arguments:cl_ord_id")
        own: Literal["limit", "limit maker", "market"] = "market"
        if kind == "limit":
            own = "limit maker" if "post" in flags else "limit"
        bought: Literal["buy", "sell"] = "buy" if side == "buy" else "sell"
        force: Literal["GTC", "IOC"] = "IOC" if fields.get("timeinforce") == "IOC" else "GTC"
        return OrderRequest(
            market=instrument.id,
            side=bought,
            type=own,
            amount=None if in_quote else volume,
            cost=volume if in_quote else None,
            price=_decimal(fields, "price") if kind == "limit" else None,
            time_in_force=force,
            client_id=name,
        )

    def _sentence(self, request: OrderRequest) -> str:
        pair = self._names.pair(self._ledger.instrument(request.market))
        volume = request.amount if request.amount is not None else request.cost
        end = "market" if request.price is None else f"limit {request.price:f}"
        return f"{request.side} {volume:.8f} {pair} @ {end}"

    def cancel_order(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Cancel an order by its name, or by the client's."""
        if "txid" not in fields and "cl_ord_id" not in fields:
            raise KrakenError("EGeneral:Invalid arguments:txid")
        now = self._clock.now()
        number, name = order_number(fields.get("txid", "")), fields.get("cl_ord_id")
        for order in self._ledger.orders(account.key, now, only_open=True):
            if order.id == number or (name is not None and order.client_id == name):
                self._ledger.cancel(account.key, order, now)
                return {"count": 1}
        raise KrakenError("EOrder:Unknown order")

    def open_orders(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the orders that may still be filled."""
        found = self._ledger.orders(account.key, self._clock.now(), only_open=True)
        return {"open": self._all(one for one in found if _named(one, fields))}

    def closed_orders(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the newest fifty orders that are over, from ``ofs`` on."""
        found = self._ledger.orders(account.key, self._clock.now())
        over = [one for one in reversed(found) if not one.open and _named(one, fields)]
        first = whole(fields, "ofs", 0)
        return {"closed": self._all(over[first : first + _PAGE]), "count": len(over)}

    def query_orders(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return orders by their names, or by the client's."""
        if "txid" not in fields and "cl_ord_id" not in fields:
            raise KrakenError("EGeneral:Invalid arguments:txid")
        numbers = {order_number(name) for name in fields.get("txid", "").split(",")[:_PAGE]}
        orders = self._ledger.orders(account.key, self._clock.now())
        found = [one for one in orders if one.id in numbers or ("cl_ord_id" in fields and _named(one, fields))]
        if not found:
            raise KrakenError("EOrder:Unknown order")
        return self._all(found)

    def _all(self, orders: Any) -> dict[str, Any]:
        return {order_name(order.id): self._described(order) for order in orders}

    def _described(self, order: PlacedOrder) -> dict[str, Any]:
        request, fee = order.request, sum((fill.fee for fill in order.fills), Decimal(0))
        kind = "market" if request.type == "market" else "limit"
        price = f"{request.price:f}" if request.price is not None else "0"
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
                "ordertype": kind,
                "price": price,
                "price2": "0",
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
            "misc": "",
            "oflags": ",".join(flags),
            **over,
        }


def _named(order: PlacedOrder, fields: Fields) -> bool:
    return fields.get("cl_ord_id", order.client_id) == order.client_id


def _one(fields: Fields, name: str) -> str:
    if not fields.get(name):
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return fields[name]


def _choice(fields: Fields, name: str, options: tuple[str, ...]) -> str:
    value = _one(fields, name)
    if value not in options:
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return value


def _decimal(fields: Fields, name: str) -> Decimal:
    text = _one(fields, name)
    if _DECIMAL.fullmatch(text) is None or not Decimal(text):
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return Decimal(text)
