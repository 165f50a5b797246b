"""Binance's signed endpoints: the account, its orders and its trades, and what load_markets asks of the wallet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal

from tradeutils.sim.binance.errors import BinanceError, of_refused_order
from tradeutils.sim.binance.listing import fixed
from tradeutils.sim.binance.market_data import MarketData
from tradeutils.sim.binance.parameters import Parameter, choice, client_id, decimal, long, symbol
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import salt
from tradeutils.sim.ledger import Holding, SimulatedAccount
from tradeutils.sim.orders import Fill, OrderRefused, OrderRequest, PlacedOrder

__all__ = ["NEW_ORDER", "AccountData"]

_STATUS: Final = {
    "new": "NEW", "partly filled": "PARTIALLY_FILLED", "filled": "FILLED", "canceled": "CANCELED", "expired": "EXPIRED",
}  # fmt: skip
_TYPES: Final = {"LIMIT": "limit", "MARKET": "market", "LIMIT_MAKER": "limit maker"}
_OTHER_TYPES: Final = {
    "STOP_LOSS": "Stop loss", "STOP_LOSS_LIMIT": "Stop loss limit", "TAKE_PROFIT": "Take profit",
    "TAKE_PROFIT_LIMIT": "Take profit limit",
}  # fmt: skip
_HOUR_MS: Final = 3_600_000

NEW_ORDER: Final[tuple[Parameter, ...]] = (
    symbol(mandatory=True),
    choice("side", ("BUY", "SELL"), -1117, mandatory=True),
    choice("type", (*_TYPES, *_OTHER_TYPES), -1116, mandatory=True),
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
_NEEDED: Final = {
    "LIMIT": ("timeInForce", "quantity", "price"),
    "LIMIT_MAKER": ("quantity", "price"),
    "MARKET": (),
}
_NOT_WANTED: Final = {
    "LIMIT": ("quoteOrderQty", "stopPrice", "trailingDelta"),
    "LIMIT_MAKER": ("timeInForce", "quoteOrderQty", "stopPrice", "trailingDelta"),
    "MARKET": ("timeInForce", "price", "stopPrice", "trailingDelta", "icebergQty"),
}


class AccountData:
    """The signed endpoints, as plain values; every method takes the account and the parameters of one call."""

    def __init__(self, venue: Venue, market_data: MarketData) -> None:
        self._clock, self._ledger, self._market = venue.clock, venue.ledger, venue.market
        self._data = market_data

    def account(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return what an account holds."""
        holdings, updated = self._ledger.holdings(account.key, self._clock.now())
        maker, taker = fixed(account.maker), fixed(account.taker)
        return {
            "makerCommission": int(account.maker * 10_000),
            "takerCommission": int(account.taker * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": maker,
                "taker": taker,
                "buyer": fixed(Decimal(0)),
                "seller": fixed(Decimal(0)),
            },
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": updated,
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": fixed(held.free), "locked": fixed(held.locked)}
                for asset, held in holdings.items()
                if held.free or held.locked or not values.get("omitZeroBalances")
            ],
            "permissions": ["SPOT"],
            "uid": salt("uid", account.key) % 10**9,
        }

    def new_order(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Place an order."""
        request, now = self._request(values), self._clock.now()
        try:
            order = self._ledger.place(account.key, request, now)
        except OrderRefused as refused:
            raise of_refused_order(refused.reason) from refused
        kind = values.get("newOrderRespType") or ("ACK" if values["type"] == "LIMIT_MAKER" else "FULL")
        reply = {
            "symbol": request.market,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": order.client_id,
            "transactTime": now,
        }
        if kind == "ACK":
            return reply
        reply |= self._state(order) | {"workingTime": now if order.open or order.filled else -1}
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
        if kind in _OTHER_TYPES:
            raise BinanceError(-1013, message=f"{_OTHER_TYPES[kind]} orders are not supported for this symbol.")
        for name in _NEEDED[kind]:
            if name not in values:
                raise BinanceError(-1102, name)
        for name in _NOT_WANTED[kind]:
            if name in values:
                raise BinanceError(-1106, name)
        if "icebergQty" in values:
            raise BinanceError(-1013, message="Iceberg orders are not supported for this symbol.")
        if kind == "MARKET" and ("quantity" in values) == ("quoteOrderQty" in values):
            if "quantity" in values:
                raise BinanceError(-1128)
            message = "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"
            raise BinanceError(-1102, message=message)
        side: Literal["buy", "sell"] = "buy" if values["side"] == "BUY" else "sell"
        return OrderRequest(
            market=instrument.id,
            side=side,
            type=_TYPES[kind],  # type: ignore[arg-type]  # a dict of literals widens to str
            amount=values.get("quantity"),
            cost=values.get("quoteOrderQty"),
            price=values.get("price"),
            time_in_force=values.get("timeInForce", "GTC"),
            client_id=values.get("newClientOrderId"),
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
            "status": _STATUS[order.status],
            "timeInForce": request.time_in_force,
            "type": {own: name for name, own in _TYPES.items()}[request.type],
            "side": request.side.upper(),
        }

    def _described(self, order: PlacedOrder) -> dict[str, Any]:
        return {
            "symbol": order.request.market,
            "orderId": order.id,
            "orderListId": -1,
            "clientOrderId": order.client_id,
            **self._state(order),
            "stopPrice": "0.00000000",
            "icebergQty": "0.00000000",
            "time": order.time,
            "updateTime": order.updated,
            "isWorking": True,
            "workingTime": order.time,
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
        if wanted is not None and order.open and wanted != f"ONLY_{_STATUS[order.status]}":
            raise BinanceError(-2011, message="Order was not canceled due to cancel restrictions.")
        if not self._ledger.cancel(account.key, order, self._clock.now()):
            raise BinanceError(-2011)
        return self._canceled(order, values.get("newClientOrderId"))

    def _canceled(self, order: PlacedOrder, name: str | None) -> dict[str, Any]:
        return {
            "symbol": order.request.market,
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
        lying = self._ledger.orders(account.key, self._clock.now(), market=market, only_open=True)
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
        return [_described_fill(fill) for fill in (chosen[:limit] if first else chosen[max(0, len(chosen) - limit) :])]

    def commission(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the fees of an account in one market."""
        rates = {"maker": fixed(account.maker), "taker": fixed(account.taker)}
        nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), fixed(Decimal(0)))
        return {
            "symbol": self._data.instrument(values["symbol"]).id,
            "standardCommission": {**nothing, **rates},
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": fixed(Decimal(0)),
            },
        }

    def trade_fee(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the fees of an account in every market, or in one."""
        fees = {"makerCommission": f"{account.maker}", "takerCommission": f"{account.taker}"}
        return [{"symbol": instrument.id, **fees} for instrument in self._data.chosen(values)]

    def coins(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return every asset that is traded or held, with one made-up network each."""
        holdings, _ = self._ledger.holdings(account.key, self._clock.now())
        traded = {name: True for one in self._market.instruments.values() for name in (one.base, one.quote)}
        return [
            _coin(asset, holdings.get(asset, Holding()), trading=asset in traded)
            for asset in (*traded, *(asset for asset in holdings if asset not in traded))
        ]

    def margin_pairs(self, _account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the markets that may be traded on margin, or the one asked for if it may."""
        return [
            {
                "id": str(salt("margin", one.id)),
                "symbol": one.id,
                "base": one.base,
                "quote": one.quote,
                "isMarginTrade": True,
                "isBuyAllowed": True,
                "isSellAllowed": True,
            }
            for one in self._data.chosen(values)
            if one.margin
        ]


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


def _described_fill(fill: Fill) -> dict[str, Any]:
    return {
        "symbol": fill.market,
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


def _coin(asset: str, held: Holding, *, trading: bool) -> dict[str, Any]:
    network = {
        "network": asset,
        "coin": asset,
        "withdrawIntegerMultiple": "0.00000001",
        "isDefault": True,
        "depositEnable": True,
        "withdrawEnable": True,
        "depositDesc": "",
        "withdrawDesc": "",
        "specialTips": "",
        "name": asset,
        "resetAddressStatus": False,
        "addressRegex": "",
        "memoRegex": "",
        "withdrawFee": "0.001",
        "withdrawMin": "0.002",
        "withdrawMax": "9999999999.99999999",
        "minConfirm": 1,
        "unLockConfirm": 0,
    }
    nothing = dict.fromkeys(("freeze", "withdrawing", "ipoing", "ipoable", "storage"), "0")
    return {
        "coin": asset,
        "depositAllEnable": True,
        "withdrawAllEnable": True,
        "name": asset,
        "free": fixed(held.free),
        "locked": fixed(held.locked),
        **nothing,
        "isLegalMoney": False,
        "trading": trading,
        "networkList": [network],
    }
