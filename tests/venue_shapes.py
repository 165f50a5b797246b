"""Single replies of venues in the shapes of today: where each belongs, and who asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recorded import Reply

__all__ = ["WALLET", "Shape", "Spec", "binance", "bybit", "coinbase", "json_reply", "okx"]

WALLET = "0x" + "1" * 40
"""Of the account that asks; nobody checks it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """
    One file, and who asks for it.

    Attributes
    ----------
    file : str
        Its name.
    path : str
        Where the venue has it.
    method, args, more
        Our call, and ccxt's of the same name.
    rows : int
        How many values come of it, the levels of both sides of a book.
    about : mapping
        Parameters that the request must have.
    verb : str
        ``"GET"`` or ``"POST"``.
    span : (int, int) or None
        The times of the first and the last row of a history, ms UTC.
    at_its_time : bool
        Whether the venue's clock must be near them: what is old is not kept.
    """

    file: str
    path: str
    method: str
    args: tuple[Any, ...] = ()
    rows: int = 1
    about: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    verb: str = "GET"
    span: tuple[int, int] | None = None
    at_its_time: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """
    One of ccxt's classes.

    Attributes
    ----------
    folder : str
        Whose files.
    markets : int
        How many there must be.
    listing : sequence of (str, str, mapping)
        Files that list markets, where, and what a request must have.
    made : sequence of Reply
        What ccxt asks for besides.
    shapes : sequence of Shape
        The replies.
    options : mapping
        ccxt's.
    edit : callable or None
        Adds to a list the markets that replies are about and that it leaves out: file, body.
    """

    folder: str
    markets: int
    listing: Sequence[tuple[str, str, Mapping[str, str]]]
    shapes: Sequence[Shape]
    made: Sequence[Reply] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    edit: Callable[[str, Any], None] | None = None


def json_reply(path: str, body: Any, about: Mapping[str, str] | None = None, verb: str = "GET") -> Reply:
    """Return a reply that nobody recorded."""
    return Reply(path, json.dumps(body), about or {}, verb)


def binance() -> Spec:
    """Return what is replayed of Binance, spot and linear."""
    spot, swap = "LTC/BTC", "BTC/USDT:USDT"

    def edit(_file: str, body: Any) -> None:
        first = body["symbols"][0]
        for base, quote in (("LTC", "BTC"), ("BNB", "BTC"), ("BTC", "USDT")):
            if all(one["symbol"] != base + quote for one in body["symbols"]):
                body["symbols"].append({**first, "symbol": base + quote, "baseAsset": base, "quoteAsset": quote})

    perpetual = {
        "symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
        "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3,
        "filters": [{"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": "0.10"}],
    }  # fmt: skip
    return Spec(
        "binance",
        5,
        [("http_json/exchange_info_response.json", "/api/v3/exchangeInfo", {})],
        [
            Shape(
                "http_json/klines_response.json",
                "/api/v3/klines",
                "fetch_ohlcv",
                (spot, "1w"),
                span=(1499040000000,) * 2,
            ),
            Shape("http_json/depth_response.json", "/api/v3/depth", "fetch_order_book", (spot,), 2),
            Shape("http_json/ticker_24hr_response.json", "/api/v3/ticker/24hr", "fetch_ticker", ("BNB/BTC",)),
            Shape("http_json/account_response.json", "/api/v3/account", "fetch_balance"),
            Shape("http_json/all_orders_response.json", "/api/v3/allOrders", "fetch_orders", (spot,)),
            Shape("http_json/open_orders_response.json", "/api/v3/openOrders", "fetch_open_orders", (spot,)),
            Shape("http_json/order_response.json", "/api/v3/order", "fetch_order", ("1", spot)),
            Shape("http_json/cancel_order_response.json", "/api/v3/order", "cancel_order", ("4", spot), verb="DELETE"),
            Shape("http_json/account_trades_response.json", "/api/v3/myTrades", "fetch_my_trades", ("BNB/BTC",)),
            Shape("futures/http_json/order_response.json", "/fapi/v1/order", "fetch_order", ("12345678", swap)),
            Shape(
                "futures/http_json/open_algo_orders.json",
                "/fapi/v1/openAlgoOrders",
                "fetch_open_orders",
                (swap,),
                more={"trigger": True},
            ),
        ],
        made=[
            json_reply("/fapi/v1/exchangeInfo", {"symbols": [perpetual]}),
            json_reply("/dapi/v1/exchangeInfo", {"symbols": []}),
        ],
        edit=edit,
    )


def bybit() -> Spec:
    """Return what is replayed of Bybit's fifth interface."""
    swap, other = "BTC/USDT:USDT", "ETH/USDT:USDT"

    def edit(file: str, body: Any) -> None:
        kind = file.removesuffix(".json").rpartition("_")[2]
        if "instruments" in file:
            body["result"]["category"] = kind  # ccxt reads it there

    info = "/v5/market/instruments-info"
    balance, open_, past = "/v5/account/wallet-balance", "/v5/order/realtime", "/v5/order/history"
    return Spec(
        "bybit",
        6,
        [
            ("http_get_instruments_spot.json", info, {"category": "spot"}),
            ("http_get_instruments_linear.json", info, {"category": "linear"}),
            ("http_get_instruments_inverse.json", info, {"category": "inverse"}),
            ("http_get_instruments_option.json", info, {"category": "option", "baseCoin": "ETH"}),
            ("http_get_user_query_api.json", "/v5/user/query-api", {}),
            ("http_get_account_info.json", "/v5/account/info", {}),
        ],
        [
            Shape("http_get_orderbook.json", "/v5/market/orderbook", "fetch_order_book", (swap,), 6),
            Shape(
                "http_get_klines_linear.json",
                "/v5/market/kline",
                "fetch_ohlcv",
                (swap, "1m"),
                span=(1709891640000, 1709891679000),
            ),
            Shape("http_get_trades_recent.json", "/v5/market/recent-trade", "fetch_trades", (swap,)),
            Shape(
                "http_get_funding_history.json",
                "/v5/market/funding/history",
                "fetch_funding_rate_history",
                (swap,),
                2,
                span=(1709856000000, 1709884800000),
            ),
            Shape("http_get_wallet_balance.json", balance, "fetch_balance"),
            Shape("http_get_wallet_balance_spot_short.json", balance, "fetch_balance"),
            Shape("http_get_wallet_balance_with_spot_borrow.json", balance, "fetch_balance"),
            Shape("http_get_orders_realtime.json", open_, "fetch_open_orders", (other,), 2),
            Shape("http_get_orders_realtime_tp_sl.json", open_, "fetch_open_orders", (swap,), 2),
            Shape("http_get_orders_history.json", past, "fetch_closed_orders", (swap,)),
            Shape("http_get_orders_history_with_duplicate.json", past, "fetch_closed_orders", (swap,)),
            Shape("http_get_order_partially_filled_rejected.json", past, "fetch_closed_orders", (swap,)),
            Shape("http_get_executions.json", "/v5/execution/list", "fetch_my_trades", (swap,)),
            Shape("http_get_fee_rate.json", "/v5/account/fee-rate", "fetch_trading_fee", (swap,)),
        ],
        made=[
            json_reply("/v5/asset/coin/query-info", {"retCode": 0, "result": {"rows": []}}),
            json_reply(info, {"retCode": 0, "retMsg": "OK", "result": {"list": [], "nextPageCursor": ""}}),
            json_reply(info, {"retCode": 0, "result": {"list": []}}, {"status": "PreLaunch"}),
        ],
        edit=edit,
    )


def coinbase() -> Spec:
    """Return what is replayed of Coinbase's Advanced Trade."""
    symbol = "BTC/USD"
    product = "/api/v3/brokerage/market/products/BTC-USD"

    def edit(file: str, body: Any) -> None:
        if file == "http_products.json":
            first = body["products"][0]
            more = {"product_id": "ETH-USD", "base_currency_id": "ETH", "base_name": "Ether"}
            body["products"].append({**first, **more})

    return Spec(
        "coinbase",
        3,
        [
            ("http_products.json", "/api/v3/brokerage/market/products", {}),
            (
                "http_products_future.json",
                "/api/v3/brokerage/market/products",
                {"product_type": "FUTURE", "contract_expiry_type": "PERPETUAL"},
            ),
        ],
        [
            Shape(
                "http_candles.json",
                f"{product}/candles",
                "fetch_ohlcv",
                (symbol, "1h"),
                2,
                span=(1712188800000, 1712192400000),
            ),
            Shape("http_product_book.json", "/api/v3/brokerage/market/product_book", "fetch_order_book", (symbol,), 10),
            Shape("http_ticker.json", f"{product}/ticker", "fetch_trades", (symbol,), 3),
            Shape("http_ticker.json", f"{product}/ticker", "fetch_ticker", (symbol,)),
            Shape("http_accounts.json", "/api/v3/brokerage/accounts", "fetch_balance"),
            Shape("http_orders_list.json", "/api/v3/brokerage/orders/historical/batch", "fetch_orders", (symbol,)),
            Shape(
                "http_order.json",
                "/api/v3/brokerage/orders/historical/0000-000000-000000",
                "fetch_order",
                ("0000-000000-000000", symbol),
            ),
            Shape("http_fills.json", "/api/v3/brokerage/orders/historical/fills", "fetch_my_trades", (symbol,)),
        ],
        made=[
            json_reply("/api/v3/brokerage/transaction_summary", {}),
            json_reply("/v2/currencies", {"data": []}),
            json_reply("/v2/currencies/crypto", {"data": []}),
            json_reply("/v2/exchange-rates", {"data": {"currency": "USD", "rates": {}}}),
        ],
        options={"fetchBalance": "v3PrivateGetBrokerageAccounts"},
        edit=edit,
    )


def okx() -> Spec:
    """Return what is replayed of OKX's fifth interface."""
    spot, swap, ether = "BTC/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"
    algos, waiting = "/api/v5/trade/orders-algo-pending", {"trigger": True}
    kinds = ("SPOT", "SWAP", "FUTURES")

    def edit(file: str, body: Any) -> None:
        if file == "http_get_instruments_spot.json":
            body["data"].append({**body["data"][0], "instId": "BTC-USDT", "quoteCcy": "USDT"})

    return Spec(
        "okx",
        19,
        [
            *(
                (f"http_get_instruments_{kind.lower()}.json", "/api/v5/public/instruments", {"instType": kind})
                for kind in kinds
            ),
            (
                "http_get_instruments_option.json",
                "/api/v5/public/instruments",
                {"instType": "OPTION", "uly": "BTC-USD"},
            ),
        ],
        [
            Shape(
                "http_get_candlesticks.json",
                "/api/v5/market/history-candles",
                "fetch_ohlcv",
                (spot, "1m"),
                2,
                span=(1625097600000, 1625097660000),
            ),
            Shape(
                "http_get_candlesticks_full.json",
                "/api/v5/market/history-candles",
                "fetch_ohlcv",
                (swap, "1m"),
                2,
                span=(1747093980000, 1747094040000),
            ),
            Shape("http_get_order_book.json", "/api/v5/market/books", "fetch_order_book", (spot,), 6),
            Shape("http_get_trades.json", "/api/v5/market/trades", "fetch_trades", (spot,), 2),
            Shape(
                "http_get_funding_rate_history.json",
                "/api/v5/public/funding-rate-history",
                "fetch_funding_rate_history",
                (swap,),
                2,
                span=(1704038400000, 1704067200000),
                at_its_time=True,
            ),
            Shape("http_get_account_balance.json", "/api/v5/account/balance", "fetch_balance"),
            Shape("http_get_orders_pending.json", "/api/v5/trade/orders-pending", "fetch_open_orders", (swap,)),
            Shape(
                "http_get_orders_pending_with_attached_tp_sl.json",
                "/api/v5/trade/orders-pending",
                "fetch_open_orders",
                ("ETH/USDT:USDT",),
            ),
            Shape("http_get_orders_algo_pending.json", algos, "fetch_open_orders", (swap,), more=waiting),
            Shape(
                "http_get_orders_algo_pending_close_fraction.json", algos, "fetch_open_orders", (swap,), more=waiting
            ),
            Shape("http_get_orders_algo_pending_attached_oco.json", algos, "fetch_open_orders", (ether,), more=waiting),
            Shape("http_get_orders_history.json", "/api/v5/trade/orders-history", "fetch_closed_orders", (swap,)),
            Shape("http_get_trade_fee_response.json", "/api/v5/account/trade-fee", "fetch_trading_fee", (spot,)),
        ],
        made=[
            json_reply("/api/v5/public/instruments", {"code": "0", "msg": "", "data": []}),
            json_reply("/api/v5/asset/currencies", {"code": "0", "msg": "", "data": []}),
        ],
        edit=edit,
    )
