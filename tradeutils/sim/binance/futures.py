"""
The endpoints of Binance's USD-M futures, ``/fapi`` and ``/futures/data``.

Weights, error codes and limits are those of the documentation of 2025; they are counted apart from those of spot.
"""

from __future__ import annotations

from typing import Any, Final

from tradeutils.sim.binance import parameters as p
from tradeutils.sim.binance.endpoints import Table, keyed, public, signed
from tradeutils.sim.binance.futures_account import FuturesAccount
from tradeutils.sim.binance.futures_data import FuturesData, depth_weight, klines_weight
from tradeutils.sim.binance.futures_orders import NEW_ALGO_ORDER, NEW_ORDER, FuturesOrders
from tradeutils.sim.binance.listen_keys import ListenKeyData

__all__ = ["account_endpoints", "order_endpoints", "public_endpoints", "stream_endpoints"]

_PERIODS: Final = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")


def public_endpoints(data: FuturesData) -> Table:
    """Return the endpoints that anybody may call."""
    one, which = p.symbol(mandatory=True), p.symbol()
    limit, start, end = p.long("limit"), p.long("startTime"), p.long("endTime")
    span = (start, end, limit)
    klines, pair = (one, p.interval(), *span), p.symbol("pair", mandatory=True)
    period = p.choice("period", _PERIODS, -1130, mandatory=True)
    return {
        ("GET", "/fapi/v1/ping"): public(data.ping, 1),
        ("GET", "/fapi/v1/time"): public(data.time, 1),
        ("GET", "/fapi/v1/exchangeInfo"): public(data.listing, 1),
        ("GET", "/fapi/v1/klines"): public(data.klines, klines_weight, *klines),
        ("GET", "/fapi/v1/markPriceKlines"): public(data.mark_klines, klines_weight, *klines),
        ("GET", "/fapi/v1/indexPriceKlines"): public(data.index_klines, klines_weight, pair, p.interval(), *span),
        ("GET", "/fapi/v1/ticker/24hr"): public(data.day, _dearer(1, 40), which),
        ("GET", "/fapi/v1/ticker/price"): public(data.price, _dearer(1, 2), which),
        ("GET", "/fapi/v2/ticker/price"): public(data.price, _dearer(1, 2), which),
        ("GET", "/fapi/v1/ticker/bookTicker"): public(data.book_ticker, _dearer(2, 5), which),
        ("GET", "/fapi/v1/depth"): public(data.depth, depth_weight, one, limit),
        ("GET", "/fapi/v1/trades"): public(data.trades, 5, one, limit),
        ("GET", "/fapi/v1/aggTrades"): public(data.aggregated_trades, 20, one, p.long("fromId"), *span),
        ("GET", "/fapi/v1/premiumIndex"): public(data.premium_index, _dearer(1, 10), which),
        ("GET", "/fapi/v1/fundingRate"): public(data.funding_rates, 1, which, *span),
        ("GET", "/fapi/v1/fundingInfo"): public(data.funding_info, 1),
        ("GET", "/fapi/v1/openInterest"): public(data.open_interest, 1, one),
        ("GET", "/futures/data/openInterestHist"): public(data.open_interest_history, 1, one, period, *span),
    }


def account_endpoints(account: FuturesAccount) -> Table:
    """Return the signed endpoints about the account."""
    one, which = p.symbol(mandatory=True), p.symbol()
    margin = p.choice("marginType", ("CROSSED", "ISOLATED"), -1130, mandatory=True)
    income = (which, p.text("incomeType"), p.long("startTime"), p.long("endTime"), p.long("limit"))
    return {
        ("GET", "/fapi/v2/account"): signed(account.account_v2, 5),
        ("GET", "/fapi/v3/account"): signed(account.account, 5),
        ("GET", "/fapi/v2/balance"): signed(account.balances, 5),
        ("GET", "/fapi/v3/balance"): signed(account.balances, 5),
        ("GET", "/fapi/v2/positionRisk"): signed(account.positions_v2, 5, which),
        ("GET", "/fapi/v3/positionRisk"): signed(account.positions, 5, which),
        ("GET", "/fapi/v1/leverageBracket"): signed(account.brackets, 1, which),
        ("POST", "/fapi/v1/leverage"): signed(account.set_leverage, 1, one, p.long("leverage", mandatory=True)),
        ("POST", "/fapi/v1/marginType"): signed(account.set_margin_type, 1, one, margin),
        ("GET", "/fapi/v1/positionSide/dual"): signed(account.position_mode, 30),
        ("GET", "/fapi/v1/symbolConfig"): signed(account.symbol_configuration, 5, which),
        ("GET", "/fapi/v1/commissionRate"): signed(account.commission, 20, one),
        ("GET", "/fapi/v1/income"): signed(account.income, 30, *income),
    }


def order_endpoints(orders: FuturesOrders) -> Table:
    """Return the signed endpoints about orders and trades."""
    one, which = p.symbol(mandatory=True), p.symbol()
    span = (p.long("startTime"), p.long("endTime"), p.long("limit"))
    named = (one, p.long("orderId"), p.futures_client_id("origClientOrderId"))
    # ccxt sends the symbol along, which the venue reads past.
    algo = (which, p.long("algoId"), p.futures_client_id("clientAlgoId"))
    listed = (which, p.long("algoId"), p.choice("algoType", ("CONDITIONAL",), -1130))
    return {
        ("POST", "/fapi/v1/order"): signed(orders.new_order, 0, *NEW_ORDER, places=True),
        ("GET", "/fapi/v1/order"): signed(orders.order, 1, *named),
        ("DELETE", "/fapi/v1/order"): signed(orders.cancel_order, 1, *named),
        ("GET", "/fapi/v1/openOrder"): signed(orders.open_order, 1, *named),
        ("GET", "/fapi/v1/openOrders"): signed(orders.open_orders, _dearer(1, 40), which),
        ("DELETE", "/fapi/v1/allOpenOrders"): signed(orders.cancel_all, 1, one),
        ("GET", "/fapi/v1/allOrders"): signed(orders.all_orders, 5, one, p.long("orderId"), *span),
        ("GET", "/fapi/v1/userTrades"): signed(orders.trades, 5, one, p.long("orderId"), p.long("fromId"), *span),
        ("POST", "/fapi/v1/algoOrder"): signed(orders.new_algo_order, 1, *NEW_ALGO_ORDER, places=True),
        ("GET", "/fapi/v1/algoOrder"): signed(orders.algo_order, 1, *algo),
        ("DELETE", "/fapi/v1/algoOrder"): signed(orders.cancel_algo_order, 1, *algo),
        ("GET", "/fapi/v1/openAlgoOrders"): signed(orders.open_algo_orders, _dearer(1, 40), *listed),
        ("DELETE", "/fapi/v1/algoOpenOrders"): signed(orders.cancel_all_algo, 1, one),
        ("GET", "/fapi/v1/allAlgoOrders"): signed(orders.all_algo_orders, 5, one, p.long("algoId"), *span),
    }


def stream_endpoints(keys: ListenKeyData) -> Table:
    """Return the endpoints that issue the keys of user data streams."""
    key = p.text("listenKey")
    return {
        # ccxt sends a "subType" along when balances are watched.
        ("POST", "/fapi/v1/listenKey"): keyed(keys.issue, 1, key, p.text("subType")),
        ("PUT", "/fapi/v1/listenKey"): keyed(keys.extend, 1, key),
        ("DELETE", "/fapi/v1/listenKey"): keyed(keys.revoke, 1, key),
    }


def _dearer(one: int, everything: int) -> Any:
    """Return a weight: of one symbol, or of all."""
    return lambda values: one if "symbol" in values else everything
