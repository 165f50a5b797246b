"""
Binance's signed endpoints of USD-M futures that place, cancel and tell of orders and trades.

Orders with a trigger have endpoints of their own, ``algoOrder`` and the like, as on the venue since the end of 2025;
from when they are triggered they are told of as orders too, under the same number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from tradeutils.sim.binance.errors import BinanceError, of_refused_swap_order
from tradeutils.sim.binance.futures_data import FuturesData
from tradeutils.sim.binance.listing import MAX_WAITING_SWAP, fixed
from tradeutils.sim.binance.parameters import Parameter, boolean, choice, decimal, futures_client_id, symbol
from tradeutils.sim.binance.spot_orders import STATUS
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.orders import Fill, OrderRefused, OrderRequest, PlacedOrder, Side

__all__ = ["NEW_ALGO_ORDER", "NEW_ORDER", "FuturesOrders", "algo_status", "algo_type", "only_algo"]

_Working: TypeAlias = Literal["limit", "limit maker", "market"]
_Force: TypeAlias = Literal["GTC", "IOC", "FOK"]

_FORCES: Final = ("GTC", "IOC", "FOK", "GTX")
_ALGO_TYPES: Final = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
_ALL_CANCELED: Final = {"code": 200, "msg": "The operation of cancel all open order is done."}
_WEEK_MS: Final = 7 * 86_400_000

_EITHER: Final[tuple[Parameter, ...]] = (
    symbol(mandatory=True),
    choice("side", ("BUY", "SELL"), -1117, mandatory=True),
    choice("positionSide", ("BOTH", "LONG", "SHORT"), -4060),
    choice("timeInForce", _FORCES, -1115),
    decimal("quantity"),
    decimal("price"),
    boolean("reduceOnly"),
    boolean("closePosition"),
    boolean("priceProtect"),
    choice("workingType", ("CONTRACT_PRICE", "MARK_PRICE"), -1130),
    choice("newOrderRespType", ("ACK", "RESULT"), -1130),
    choice("selfTradePreventionMode", ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"), -1130),
)
NEW_ORDER: Final[tuple[Parameter, ...]] = (
    *_EITHER,
    choice("type", ("LIMIT", "MARKET", *_ALGO_TYPES, "TRAILING_STOP_MARKET"), -1116, mandatory=True),
    futures_client_id("newClientOrderId"),
    decimal("stopPrice"),
)
NEW_ALGO_ORDER: Final[tuple[Parameter, ...]] = (
    *_EITHER,
    choice("algoType", ("CONDITIONAL",), -1130, mandatory=True),
    choice("type", _ALGO_TYPES, -1116, mandatory=True),
    futures_client_id("clientAlgoId"),
    decimal("triggerPrice"),
)


class FuturesOrders:
    """The endpoints about orders, as plain values; every method takes the account and the parameters of one call."""

    def __init__(self, venue: Venue, market_data: FuturesData) -> None:
        self._clock, self._ledger = venue.clock, venue.ledger
        self._data = market_data

    def new_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Place an order."""
        if values["type"] not in ("LIMIT", "MARKET"):
            raise BinanceError(-4120)
        order = self._place(account, self._request(values, values["type"], values.get("newClientOrderId")))
        told = self._described(order)
        del told["time"]
        if values.get("newOrderRespType") != "RESULT":
            nothing = fixed(Decimal(0))
            told |= {"status": "NEW", "executedQty": nothing, "cumQty": nothing, "cumQuote": nothing}
            told["avgPrice"] = nothing
        return told

    def new_algo_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Place an order that waits for its trigger."""
        request = self._algo_request(values)
        if len(self._algo_orders(account, values, only_open=True)) >= MAX_WAITING_SWAP:
            raise BinanceError(-4045)
        return self._described_algo(self._place(account, request))

    def _place(self, account: SimulatedAccount, request: OrderRequest) -> PlacedOrder:
        try:
            return self._ledger.place(account.key, request, self._clock.now())
        except OrderRefused as refused:
            least = self._ledger.instrument(request.market).min_cost
            raise of_refused_swap_order(refused.reason, least) from refused

    def _algo_request(self, values: dict[str, Any]) -> OrderRequest:
        kind, closes = values["type"], values.get("closePosition", False)
        if closes and "quantity" in values:
            raise BinanceError(-4137)
        if closes and values.get("reduceOnly"):
            raise BinanceError(-1106, "reduceonly")
        if "triggerPrice" not in values:
            raise BinanceError(-1102, "triggerprice")
        own = "MARKET" if kind.endswith("_MARKET") else "LIMIT"
        wanted = {**values, "timeInForce": values.get("timeInForce", "GTC")} if own == "LIMIT" else values
        request = self._request(wanted, own, values.get("clientAlgoId"))
        profits = kind.startswith("TAKE_PROFIT")
        return OrderRequest(
            market=request.market,
            side=request.side,
            type=request.type,
            amount=request.amount,
            price=request.price,
            time_in_force=request.time_in_force,
            client_id=request.client_id,
            reduce_only=request.reduce_only,
            trigger=values["triggerPrice"],
            rises=(request.side == "sell") == profits,
            watched="mark" if values.get("workingType") == "MARK_PRICE" else "last",
        )

    def _request(self, values: dict[str, Any], kind: str, name: str | None) -> OrderRequest:
        """Return what an order of the type LIMIT or MARKET asks for."""
        instrument, closes = self._data.instrument(values["symbol"]), values.get("closePosition", False)
        if values.get("positionSide", "BOTH") != "BOTH":
            raise BinanceError(-4061)
        needed = ("timeInForce", "price") if kind == "LIMIT" else ()
        for wanted in (*needed, *(() if closes else ("quantity",))):
            if wanted not in values:
                raise BinanceError(-1102, wanted.lower())
        if kind == "MARKET":
            for unwanted in ("timeInForce", "price"):
                if unwanted in values:
                    raise BinanceError(-1106, unwanted.lower())
        side: Side = "buy" if values["side"] == "BUY" else "sell"
        force = values.get("timeInForce", "GTC")
        working: _Working = "market" if kind == "MARKET" else "limit maker" if force == "GTX" else "limit"
        lasting: _Force = "GTC" if force == "GTX" else force
        return OrderRequest(
            market=instrument.id,
            side=side,
            type=working,
            amount=values.get("quantity"),
            price=values.get("price"),
            time_in_force=lasting,
            client_id=name,
            reduce_only=closes or values.get("reduceOnly", False),
        )

    def _common(self, order: PlacedOrder) -> dict[str, Any]:
        """Return what every reply about an order says, with a trigger or without."""
        request = order.request
        return {
            "symbol": self._ledger.instrument(request.market).name,
            "side": request.side.upper(),
            "positionSide": "BOTH",
            "timeInForce": "GTX" if request.type == "limit maker" else request.time_in_force,
            "price": fixed(request.price or Decimal(0)),
            "reduceOnly": request.reduce_only,
            "closePosition": request.reduce_only and request.amount is None,
            "workingType": "MARK_PRICE" if request.watched == "mark" else "CONTRACT_PRICE",
            "priceProtect": False,
            "priceMatch": "NONE",
            "selfTradePreventionMode": "NONE",
            "goodTillDate": 0,
            "updateTime": order.updated,
        }

    def _described(self, order: PlacedOrder) -> dict[str, Any]:
        kind = "MARKET" if order.request.type == "market" else "LIMIT"
        return {
            **self._common(order),
            "orderId": order.id,
            "clientOrderId": order.client_id,
            "status": STATUS[order.status],
            "avgPrice": fixed(order.cost / order.filled if order.filled else Decimal(0)),
            "origQty": fixed(order.amount),
            "executedQty": fixed(order.filled),
            "cumQty": fixed(order.filled),
            "cumQuote": fixed(order.cost),
            "stopPrice": "0",
            "type": kind,
            "origType": kind if order.request.trigger is None else algo_type(order.request),
            "time": order.time if order.triggered is None else order.triggered,
        }

    def _described_algo(self, order: PlacedOrder) -> dict[str, Any]:
        request, triggered = order.request, order.triggered is not None
        average = order.cost / order.filled if order.filled else Decimal(0)
        return {
            **self._common(order),
            "algoId": order.id,
            "clientAlgoId": order.client_id,
            "algoType": "CONDITIONAL",
            "orderType": algo_type(request),
            "quantity": fixed(order.amount),
            "algoStatus": algo_status(order),
            "actualOrderId": str(order.id) if triggered else "",
            "actualPrice": fixed(average),
            "triggerPrice": fixed(request.trigger or Decimal(0)),
            "icebergQuantity": None,
            "createTime": order.time,
            "triggerTime": order.triggered or 0,
        }

    def order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return one order."""
        return self._described(self._found(account, values, -2013))

    def open_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return one order that may still be filled."""
        order = self._found(account, values, -2013)
        if not order.open:
            raise BinanceError(-2013)
        return self._described(order)

    def algo_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return one order that waits, or waited, for its trigger."""
        return self._described_algo(self._found_algo(account, values, -2013))

    def _found(self, account: SimulatedAccount, values: dict[str, Any], code: int) -> PlacedOrder:
        """Return the order that is named, which may not be one that waits for its trigger."""
        number, name = values.get("orderId"), values.get("origClientOrderId")
        if number is None and name is None:
            message = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise BinanceError(-1102, message=message)
        market, now = self._data.instrument(values["symbol"]).id, self._clock.now()
        found = self._ledger.find(account.key, now, market, number=number, client_id=name)
        if found is None or only_algo(found):
            raise BinanceError(code)
        return found

    def _found_algo(self, account: SimulatedAccount, values: dict[str, Any], code: int) -> PlacedOrder:
        number, name = values.get("algoId"), values.get("clientAlgoId")
        if number is None and name is None:
            message = "Param 'clientAlgoId' or 'algoId' must be sent, but both were empty/null!"
            raise BinanceError(-1102, message=message)
        for order in self._algo_orders(account, values, only_open=False):
            if order.id == number or (number is None and order.client_id == name):
                return order
        raise BinanceError(code)

    def cancel_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Cancel one order."""
        order = self._found(account, values, -2011)
        if not self._ledger.cancel(account.key, order, self._clock.now()):
            raise BinanceError(-2011)
        return self._described(order)

    def cancel_all(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Cancel all orders in one market; none is no error."""
        for order in self._orders(account, values, only_open=True):
            self._ledger.cancel(account.key, order, self._clock.now())
        return _ALL_CANCELED

    def cancel_algo_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Cancel one order that waits for its trigger."""
        order = self._found_algo(account, values, -2011)
        if not order.waiting:
            raise BinanceError(-2011)
        self._ledger.cancel(account.key, order, self._clock.now())
        return {"algoId": order.id, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}

    def cancel_all_algo(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Cancel all orders in one market that wait for their triggers."""
        for order in self._algo_orders(account, values, only_open=True):
            self._ledger.cancel(account.key, order, self._clock.now())
        return _ALL_CANCELED

    def _placed(self, account: SimulatedAccount, values: dict[str, Any], *, only_open: bool) -> list[PlacedOrder]:
        market = self._data.instrument(values["symbol"]).id if "symbol" in values else None
        now = self._clock.now()
        return self._ledger.orders(account.key, now, market=market, kind="linear", only_open=only_open)

    def _orders(self, account: SimulatedAccount, values: dict[str, Any], *, only_open: bool) -> list[PlacedOrder]:
        """Return the orders that never had a trigger, or whose trigger was reached."""
        return [order for order in self._placed(account, values, only_open=only_open) if not only_algo(order)]

    def _algo_orders(self, account: SimulatedAccount, values: dict[str, Any], *, only_open: bool) -> list[PlacedOrder]:
        """Return the orders that have a trigger; only those that wait for it where ``only_open``."""
        placed = self._placed(account, values, only_open=only_open)
        return [order for order in placed if order.request.trigger is not None and (order.waiting or not only_open)]

    def open_orders(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the orders that may still be filled, of one market or of all."""
        return [self._described(order) for order in self._orders(account, values, only_open=True)]

    def open_algo_orders(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the orders that wait for their triggers, of one market or of all."""
        return [
            self._described_algo(order)
            for order in self._algo_orders(account, values, only_open=True)
            if order.id == values.get("algoId", order.id)
        ]

    def all_orders(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the orders in one market, whatever became of them."""
        orders = self._orders(account, values, only_open=False)
        return [self._described(order) for order in _chosen(orders, values, "orderId")]

    def all_algo_orders(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the orders in one market that have or had a trigger, whatever became of them."""
        orders = self._algo_orders(account, values, only_open=False)
        return [self._described_algo(order) for order in _chosen(orders, values, "algoId")]

    def trades(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return what the account traded in one market."""
        instrument = self._data.instrument(values["symbol"])
        fills = self._ledger.fills(account.key, self._clock.now(), market=instrument.id)
        wanted = values.get("orderId")
        fills = [fill for fill in fills if wanted in (None, fill.order_id)]
        return [_described_fill(instrument, fill) for fill in _chosen(fills, values, "fromId")]


def only_algo(order: PlacedOrder) -> bool:
    """Tell whether an order is none but of the algo endpoints: it has a trigger that was never reached."""
    return order.request.trigger is not None and order.triggered is None


def algo_type(request: OrderRequest) -> str:
    """Return what Binance calls a request with a trigger."""
    kind = "TAKE_PROFIT" if request.rises == (request.side == "sell") else "STOP"
    return f"{kind}_MARKET" if request.type == "market" else kind


def algo_status(order: PlacedOrder) -> str:
    """Return what became of an order with a trigger, in Binance's words."""
    if order.triggered is None:
        return STATUS[order.status]
    if order.open:
        return "TRIGGERED"
    return "REJECTED" if order.status == "expired" and not order.filled else "FINISHED"


def _chosen(rows: list[Any], values: dict[str, Any], first: str) -> list[Any]:
    """Return the rows from a number on, else the oldest of a span that has a beginning, else the newest."""
    limit = int(values.get("limit", 500))
    if limit == 0:
        raise BinanceError(-1130, "limit")
    limit = min(limit, 1_000)
    since, until = values.get("startTime", 0), values.get("endTime", 2**63 - 1)
    if "startTime" in values and "endTime" in values and until - since > _WEEK_MS:
        raise BinanceError(-4166)
    if first in values:
        return [row for row in rows if row.id >= values[first]][:limit]
    found = [row for row in rows if since <= row.time <= until]
    return found[:limit] if "startTime" in values else found[max(0, len(found) - limit) :]


def _described_fill(instrument: Instrument, fill: Fill) -> dict[str, Any]:
    return {
        "symbol": instrument.name,
        "id": fill.id,
        "orderId": fill.order_id,
        "side": fill.side.upper(),
        "positionSide": "BOTH",
        "price": fixed(fill.price),
        "qty": fixed(fill.amount),
        "quoteQty": fixed(fill.cost),
        "realizedPnl": fixed(fill.realised),
        "commission": fixed(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.time,
        "buyer": fill.side == "buy",
        "maker": fill.maker,
    }
