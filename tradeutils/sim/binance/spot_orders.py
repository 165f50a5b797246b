"""Binance's signed endpoints of spot that place, cancel and tell of orders and trades."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from tradeutils.sim.binance.errors import BinanceError, of_refused_order
from tradeutils.sim.binance.listing import MAX_WAITING, fixed
from tradeutils.sim.binance.market_data import MarketData
from tradeutils.sim.binance.parameters import Parameter, choice, client_id, decimal, long, symbol
from tradeutils.sim.dialect import Venue
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.orders import Fill, OrderRefused, OrderRequest, PlacedOrder, Side

__all__ = ["NEW_ORDER", "STATUS", "SpotOrders", "type_of"]

_Working: TypeAlias = Literal["limit", "limit maker", "market"]

STATUS: Final = {
    "new": "NEW", "partly filled": "PARTIALLY_FILLED", "filled": "FILLED", "canceled": "CANCELED", "expired": "EXPIRED",
}  # fmt: skip
# What an order is once it works, whether it waits for a trigger, and whether that is reached in profit.
_TYPES: Final[dict[str, tuple[_Working, bool, bool]]] = {
    "LIMIT": ("limit", False, False),
    "MARKET": ("market", False, False),
    "LIMIT_MAKER": ("limit maker", False, False),
    "STOP_LOSS": ("market", True, False),
    "STOP_LOSS_LIMIT": ("limit", True, False),
    "TAKE_PROFIT": ("market", True, True),
    "TAKE_PROFIT_LIMIT": ("limit", True, True),
}
_HOUR_MS: Final = 3_600_000

NEW_ORDER: Final[tuple[Parameter, ...]] = (
    symbol(mandatory=True),
    choice("side", ("BUY", "SELL"), -1117, mandatory=True),
    choice("type", _TYPES, -1116, mandatory=True),
    choice("timeInForce", ("GTC", "IOC", "FOK"), -1115),
    decimal("quantity"),
    decimal("quoteOrderQty"),
    decimal("price"),
    client_id("newClientOrderId"),
    long("strategyId"),
    long("strategyType"),
    decimal("stopPrice"),
    long("trailingDelta"),
    decimal("icebergQty"),
    choice("newOrderRespType", ("ACK", "RESULT", "FULL"), -1130),
    choice("selfTradePreventionMode", ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"), -1130),
)
_NEEDED: Final[dict[_Working, tuple[str, ...]]] = {
    "limit": ("timeInForce", "quantity", "price"),
    "limit maker": ("quantity", "price"),
    "market": (),
}
_NOT_WANTED: Final[dict[_Working, tuple[str, ...]]] = {
    "limit": ("quoteOrderQty",),
    "limit maker": ("timeInForce", "quoteOrderQty"),
    "market": ("timeInForce", "price", "icebergQty"),
}
_NOT_SUPPORTED: Final = {"trailingDelta": "Trailing stop", "icebergQty": "Iceberg"}


class SpotOrders:
    """The endpoints about orders, as plain values; every method takes the account and the parameters of one call."""

    def __init__(self, venue: Venue, market_data: MarketData) -> None:
        self._clock, self._ledger = venue.clock, venue.ledger
        self._data = market_data

    def new_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Place an order."""
        request, now = self._request(values), self._clock.now()
        if request.trigger is not None:
            lying = self._ledger.orders(account.key, now, market=request.market, only_open=True)
            if sum(order.waiting for order in lying) >= MAX_WAITING:
                raise of_refused_order("MAX_NUM_ALGO_ORDERS")
        try:
            order = self._ledger.place(account.key, request, now)
        except OrderRefused as refused:
            raise of_refused_order(refused.reason) from refused
        kind = values.get("newOrderRespType") or ("ACK" if values["type"] == "LIMIT_MAKER" else "FULL")
        reply = {
            "symbol": self._ledger.instrument(request.market).name,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": order.client_id,
            "transactTime": now,
        }
        if kind == "ACK":
            return reply
        works = (order.open or order.filled) and not order.waiting
        reply |= self._state(order) | {"workingTime": now if works else -1}
        if request.trigger is not None:
            reply["stopPrice"] = fixed(request.trigger)
        reply["selfTradePreventionMode"] = "NONE"
        if kind == "FULL":
            reply["fills"] = [
                {
                    "price": fixed(fill.price),
                    "qty": fixed(fill.amount),
                    "commission": fixed(fill.fee),
                    "commissionAsset": fill.fee_asset,
                    "tradeId": fill.id,
                }
                for fill in order.fills
            ]
        return reply

    def check_order(self, _account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Check an order against the rules of its market; nothing is placed."""
        try:
            self._ledger.check(self._request(values), self._clock.now())
        except OrderRefused as refused:
            raise of_refused_order(refused.reason) from refused
        return {}

    def _request(self, values: dict[str, Any]) -> OrderRequest:
        instrument, kind = self._data.instrument(values["symbol"]), values["type"]
        working, trigger, profits = _TYPES[kind]
        for name in (*_NEEDED[working], *(("quantity", "stopPrice") if trigger else ())):
            if name not in values:
                raise BinanceError(-1102, name)
        for name in (*_NOT_WANTED[working], *(("quoteOrderQty",) if trigger else ("stopPrice",))):
            if name in values:
                raise BinanceError(-1106, name)
        for name, what in _NOT_SUPPORTED.items():
            if name in values:
                raise BinanceError(-1013, message=f"{what} orders are not supported for this symbol.")
        if kind == "MARKET" and ("quantity" in values) == ("quoteOrderQty" in values):
            if "quantity" in values:
                raise BinanceError(-1128)
            message = "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"
            raise BinanceError(-1102, message=message)
        side: Side = "buy" if values["side"] == "BUY" else "sell"
        return OrderRequest(
            market=instrument.id,
            side=side,
            type=working,
            amount=values.get("quantity"),
            cost=values.get("quoteOrderQty"),
            price=values.get("price"),
            time_in_force=values.get("timeInForce", "GTC"),
            client_id=values.get("newClientOrderId"),
            trigger=values.get("stopPrice"),
            rises=(side == "sell") == profits,
        )

    def _state(self, order: PlacedOrder) -> dict[str, Any]:
        """Return what every reply about an order says of it."""
        request = order.request
        return {
            "price": fixed(request.price or Decimal(0)),
            "origQty": fixed(order.amount),
            "executedQty": fixed(order.filled),
            "origQuoteOrderQty": fixed(request.cost or Decimal(0)),
            "cummulativeQuoteQty": fixed(order.cost),
            "status": STATUS[order.status],
            "timeInForce": request.time_in_force,
            "type": type_of(request),
            "side": request.side.upper(),
        }

    def _described(self, order: PlacedOrder) -> dict[str, Any]:
        return {
            "symbol": self._ledger.instrument(order.request.market).name,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": order.client_id,
            **self._state(order),
            "stopPrice": fixed(order.request.trigger or Decimal(0)),
            "icebergQty": "0.00000000",
            "time": order.time,
            "updateTime": order.updated,
            "isWorking": not order.waiting,
            "workingTime": -1 if order.waiting else order.triggered or order.time,
            "selfTradePreventionMode": "NONE",
        }

    def order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return one order."""
        return self._described(self._found(account, values, -2013))

    def _found(self, account: SimulatedAccount, values: dict[str, Any], code: int) -> PlacedOrder:
        market = self._data.instrument(values["symbol"]).id
        number, name = values.get("orderId"), values.get("origClientOrderId")
        if number is None and name is None:
            message = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise BinanceError(-1102, message=message)
        found = self._ledger.find(account.key, self._clock.now(), market, number=number, client_id=name)
        if found is None:
            raise BinanceError(code)
        return found

    def cancel_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Cancel one order."""
        order = self._found(account, values, -2011)
        wanted = values.get("cancelRestrictions")
        if wanted is not None and order.open and wanted != f"ONLY_{STATUS[order.status]}":
            raise BinanceError(-2011, message="Order was not canceled due to cancel restrictions.")
        if not self._ledger.cancel(account.key, order, self._clock.now()):
            raise BinanceError(-2011)
        return self._canceled(order, values.get("newClientOrderId"))

    def _canceled(self, order: PlacedOrder, name: str | None) -> dict[str, Any]:
        return {
            "symbol": self._ledger.instrument(order.request.market).name,
            "origClientOrderId": order.client_id,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": name or f"cancel{order.id:016d}",
            "transactTime": order.updated,
            **self._state(order),
            "selfTradePreventionMode": "NONE",
        }

    def cancel_all(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Cancel all orders in one market."""
        market, now = self._data.instrument(values["symbol"]).id, self._clock.now()
        lying = self._ledger.orders(account.key, now, market=market, only_open=True)
        if not lying:
            raise BinanceError(-2011)
        for order in lying:
            self._ledger.cancel(account.key, order, now)
        return [self._canceled(order, None) for order in lying]

    def open_orders(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the orders that may still be filled, of one market or of all."""
        market = self._data.instrument(values["symbol"]).id if "symbol" in values else None
        lying = self._ledger.orders(account.key, self._clock.now(), market=market, kind="spot", only_open=True)
        return [self._described(order) for order in lying]

    def all_orders(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the orders in one market, whatever became of them."""
        market, limit = self._data.instrument(values["symbol"]).id, _limit(values)
        since, until = _span(values)
        orders = self._ledger.orders(account.key, self._clock.now(), market=market)
        if "orderId" in values:
            chosen = [order for order in orders if order.id >= values["orderId"]][:limit]
        else:
            chosen = [order for order in orders if since <= order.time <= until]
            chosen = chosen[:limit] if "startTime" in values else chosen[max(0, len(chosen) - limit) :]
        return [self._described(order) for order in chosen]

    def my_trades(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return what the account traded in one market."""
        market, limit = self._data.instrument(values["symbol"]).id, _limit(values)
        since, until = _span(values)
        chosen = [
            fill
            for fill in self._ledger.fills(account.key, self._clock.now(), market=market)
            if since <= fill.time <= until
            and fill.id >= values.get("fromId", 0)
            and fill.order_id == values.get("orderId", fill.order_id)
        ]
        first = "fromId" in values or "startTime" in values
        shown = chosen[:limit] if first else chosen[max(0, len(chosen) - limit) :]
        return [_described_fill(values["symbol"], fill) for fill in shown]


def type_of(request: OrderRequest) -> str:
    """Return what Binance calls a request."""
    waits = request.trigger is not None
    own = (request.type, waits, waits and request.rises == (request.side == "sell"))
    return next(name for name, kind in _TYPES.items() if kind == own)


def _limit(values: dict[str, Any]) -> int:
    limit = int(values.get("limit", 500))
    if limit == 0:
        raise BinanceError(-1130, "limit")
    return min(limit, 1_000)


def _span(values: dict[str, Any]) -> tuple[int, int]:
    since, until = values.get("startTime", 0), values.get("endTime", 2**63 - 1)
    if "startTime" in values and "endTime" in values and until - since > 24 * _HOUR_MS:
        raise BinanceError(-1127, message="More than 24 hours between startTime and endTime.")
    return since, until


def _described_fill(symbol: str, fill: Fill) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "id": fill.id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": fixed(fill.price),
        "qty": fixed(fill.amount),
        "quoteQty": fixed(fill.cost),
        "commission": fixed(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.time,
        "isBuyer": fill.side == "buy",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }
