"""
Single replies in the shapes of today, from nautilus_trader's adapters, through ccxt into our values.

They tell shapes, not markets: many of their values were made by hand, so what is asserted is that our values are what
ccxt's classes say. That a book does not cross or a candle is in order is asserted of recordings alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from ccxt_truth import Witness, assert_agree, assert_markets, witness
from recorded import ReplayedVenue, Reply, at_leisure, replayed

import tradeutils as tu

pytestmark = pytest.mark.recordings

_FORTNIGHT = 14 * 86_400_000
_FOLDER = "nautilus_lgpl3/adapters"
# Nobody checks them; some of ccxt's classes must be able to compute with them.
_KEYS = tu.Credentials(key="key", secret="c2VjcmV0", password="p", wallet_address="0x" + "1" * 40)


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


def _json(path: str, body: Any, about: Mapping[str, str] | None = None, verb: str = "GET") -> Reply:
    return Reply(path, json.dumps(body), about or {}, verb)


def _bybit() -> Spec:
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
            _json("/v5/asset/coin/query-info", {"retCode": 0, "result": {"rows": []}}),
            _json(info, {"retCode": 0, "retMsg": "OK", "result": {"list": [], "nextPageCursor": ""}}),
            _json(info, {"retCode": 0, "result": {"list": []}}, {"status": "PreLaunch"}),
        ],
        edit=edit,
    )


def _okx() -> Spec:
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
            _json("/api/v5/public/instruments", {"code": "0", "msg": "", "data": []}),
            _json("/api/v5/asset/currencies", {"code": "0", "msg": "", "data": []}),
        ],
        edit=edit,
    )


def _kraken() -> Spec:
    symbol = "BTC/USDT"

    def edit(_file: str, body: Any) -> None:
        listed = body["result"]
        listed["ETHUSDT"] = {**listed["XBTUSDT"], "altname": "ETHUSDT", "wsname": "ETH/USDT", "base": "XETH"}

    return Spec(
        "kraken",
        2,
        [("http_asset_pairs.json", "/0/public/AssetPairs", {})],
        [
            Shape("http_ticker.json", "/0/public/Ticker", "fetch_ticker", (symbol,)),
            Shape(
                "http_ohlc.json",
                "/0/public/OHLC",
                "fetch_ohlcv",
                (symbol, "1m"),
                721,
                span=(1762777020000, 1762820220000),
            ),
            Shape("http_order_book.json", "/0/public/Depth", "fetch_order_book", (symbol,), 10),
            Shape("http_trades.json", "/0/public/Trades", "fetch_trades", (symbol,), 1000),
            Shape("http_open_orders.json", "/0/private/OpenOrders", "fetch_open_orders", (symbol,), verb="POST"),
            Shape("http_closed_orders.json", "/0/private/ClosedOrders", "fetch_closed_orders", (symbol,), verb="POST"),
            Shape("http_trades_history.json", "/0/private/TradesHistory", "fetch_my_trades", (symbol,), verb="POST"),
        ],
        made=[_json("/0/public/Assets", {"error": [], "result": {}})],
        edit=edit,
    )


def _krakenfutures() -> Spec:
    symbol = "BTC/USD:BTC"
    charts, history = "/api/charts/v1", "/derivatives/api/v4/historicalfundingrates"

    def edit(_file: str, body: Any) -> None:
        first = body["instruments"][0]
        body["instruments"] += [
            {**first, "symbol": "PI_ETHUSD", "underlying": "rr_ethusd", "pair": "ETH:USD", "base": "ETH"},
            {**body["instruments"][1], "symbol": "PF_XBTUSD", "pair": "BTC:USD", "base": "BTC"},
        ]

    return Spec(
        "kraken",
        6,
        [("http_futures_instruments.json", "/derivatives/api/v3/instruments", {})],
        [
            Shape("http_futures_tickers.json", "/derivatives/api/v3/tickers", "fetch_tickers", (), 2),
            Shape("http_futures_tickers.json", "/derivatives/api/v3/tickers", "fetch_funding_rates", (), 2),
            Shape("http_futures_orderbook.json", "/derivatives/api/v3/orderbook", "fetch_order_book", (symbol,), 6),
            Shape(
                "http_futures_candles_trade.json",
                f"{charts}/trade/PI_XBTUSD/1h",
                "fetch_ohlcv",
                (symbol, "1h"),
                3,
                span=(1731715200000, 1731722400000),
            ),
            Shape(
                "http_futures_candles_mark.json",
                f"{charts}/mark/PI_XBTUSD/1h",
                "fetch_mark_ohlcv",
                (symbol, "1h"),
                3,
                span=(1731715200000, 1731722400000),
            ),
            Shape(
                "http_futures_candles_spot.json",
                f"{charts}/spot/PI_XBTUSD/1h",
                "fetch_index_ohlcv",
                (symbol, "1h"),
                3,
                span=(1731715200000, 1731722400000),
            ),
            Shape(
                "http_futures_historical_funding_rates.json",
                history,
                "fetch_funding_rate_history",
                (symbol,),
                3,
                span=(1752163200000, 1752220800000),
            ),
            Shape(
                "http_futures_open_orders.json",
                "/derivatives/api/v3/openorders",
                "fetch_open_orders",
                ("ETH/USD:ETH",),
                2,
            ),
            Shape(
                "http_futures_public_executions.json",
                "/api/history/v3/market/PF_XBTUSD/executions",
                "fetch_trades",
                ("BTC/USD:USD",),
                3,
            ),
            Shape("http_futures_fills.json", "/derivatives/api/v3/fills", "fetch_my_trades", (symbol,), 2),
        ],
        edit=edit,
    )


def _coinbase() -> Spec:
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
            _json("/api/v3/brokerage/transaction_summary", {}),
            _json("/v2/currencies", {"data": []}),
            _json("/v2/currencies/crypto", {"data": []}),
            _json("/v2/exchange-rates", {"data": {"currency": "USD", "rates": {}}}),
        ],
        options={"fetchBalance": "v3PrivateGetBrokerageAccounts"},
        edit=edit,
    )


def _deribit() -> Spec:
    symbol = "BTC/USD:BTC"
    api = "/api/v2/public"

    def edit(_file: str, body: Any) -> None:
        first = body["result"][0]
        body["result"].append(
            {**first, "instrument_name": "ETH-PERPETUAL", "base_currency": "ETH", "settlement_currency": "ETH"}
        )

    last = f"{api}/get_last_trades_by_instrument"
    return Spec(
        "deribit",
        5,
        [("http_get_instruments.json", f"{api}/get_instruments", {})],
        [
            Shape("http_get_order_book.json", f"{api}/get_order_book", "fetch_order_book", (symbol,), 40),
            Shape(
                "http_get_tradingview_chart_data.json",
                f"{api}/get_tradingview_chart_data",
                "fetch_ohlcv",
                (symbol, "1m"),
                5,
                span=(1766483460000, 1766483700000),
            ),
            Shape("http_get_last_trades.json", last, "fetch_trades", ("ETH/USD:ETH",), 10),
            Shape("http_get_last_trades_perpetual_with_combo_tags.json", last, "fetch_trades", (symbol,), 7),
            Shape("http_get_account_summaries.json", "/api/v2/private/get_account_summaries", "fetch_balance"),
            Shape(
                "http_get_account_summaries_cross_margin.json",
                "/api/v2/private/get_account_summaries",
                "fetch_balance",
            ),
        ],
        made=[_json(f"{api}/get_currencies", {"jsonrpc": "2.0", "result": []})],
        edit=edit,
    )


def _binance() -> Spec:
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
            _json("/fapi/v1/exchangeInfo", {"symbols": [perpetual]}),
            _json("/dapi/v1/exchangeInfo", {"symbols": []}),
        ],
        edit=edit,
    )


def _hyperliquid() -> Spec:
    symbol = "BTC/USDC:USDC"
    info = {"verb": "POST"}
    names = {"BTC": 5, "ETH": 4, "ATOM": 2, "ARB": 1, "JUP": 0}
    context = {
        "dayNtlVlm": "1", "funding": "0.0000125", "impactPxs": ["1", "2"], "markPx": "110427.0", "midPx": "110427.5",
        "openInterest": "1", "oraclePx": "110427.0", "premium": "0", "prevDayPx": "110000.0", "dayBaseVlm": "1",
    }  # fmt: skip
    universe = [{"maxLeverage": 40, "name": name, "szDecimals": digits} for name, digits in names.items()]
    return Spec(
        "hyperliquid",
        5,
        [],
        [
            Shape("http_l2_book_btc.json", "/info", "fetch_order_book", (symbol,), 10, {"type": "l2Book"}, **info),
            Shape("http_l2_book_snapshot.json", "/info", "fetch_order_book", (symbol,), 10, {"type": "l2Book"}, **info),
            Shape(
                "http_funding_history.json",
                "/info",
                "fetch_funding_rate_history",
                (symbol,),
                3,
                {"type": "fundingHistory"},
                span=(1769908800000, 1769916000000),
                **info,
            ),
            Shape(
                "http_user_fills_dust_conversion.json",
                "/info",
                "fetch_my_trades",
                ("ARB/USDC:USDC",),
                1,
                {"type": "userFills"},
                **info,
            ),
            Shape(
                "http_spot_clearinghouse_state.json",
                "/info",
                "fetch_balance",
                (),
                1,
                {"type": "spotClearinghouseState"},
                **info,
            ),
        ],
        made=[
            _json("/info", {"tokens": [], "universe": []}, {"type": "spotMeta"}, "POST"),
            _json("/info", [{"tokens": [], "universe": []}, []], {"type": "spotMetaAndAssetCtxs"}, "POST"),
            _json("/info", [{"universe": universe}, [context] * len(names)], {"type": "metaAndAssetCtxs"}, "POST"),
            _json("/info", [None], {"type": "perpDexs"}, "POST"),
            _json("/info", "unifiedAccount", {"type": "userAbstraction"}, "POST"),
        ],
    )  # fmt: skip


def _dydx() -> Spec:
    symbol = "BTC/USDC:USDC"
    return Spec(
        "dydx",
        3,
        [("http_get_perpetual_markets.json", "/v4/perpetualMarkets", {})],
        [
            Shape(
                "http_get_candles.json",
                "/v4/candles/perpetualMarkets/BTC-USD",
                "fetch_ohlcv",
                (symbol, "1m"),
                3,
                span=(1765210140000, 1765210260000),
            ),
            Shape(
                "http_get_orderbook.json", "/v4/orderbooks/perpetualMarket/BTC-USD", "fetch_order_book", (symbol,), 10
            ),
            Shape("http_get_orders.json", "/v4/orders", "fetch_orders", (symbol,), 3),
            Shape(
                "http_get_subaccount.json",
                f"/v4/addresses/{_KEYS.wallet_address.reveal()}/subaccountNumber/0",
                "fetch_balance",
            ),
            Shape("http_get_trades.json", "/v4/trades/perpetualMarket/BTC-USD", "fetch_trades", (symbol,), 3),
            Shape(
                "http_get_historical_funding.json",
                "/v4/historicalFunding/BTC-USD",
                "fetch_funding_rate_history",
                (symbol,),
                3,
                span=(1765195200000, 1765209600219),
            ),
        ],
    )


TIMES: Mapping[str, tuple[str, Mapping[str, str], Callable[[int], Any]]] = {
    "binance": ("/api/v3/time", {}, lambda now: {"serverTime": now}),
    "bybit": ("/v5/market/time", {}, lambda now: {"retCode": 0, "result": {"timeNano": str(now * 10**6)}, "time": now}),
    "coinbase": ("/v2/time", {}, lambda now: {"data": {"epoch": now // 1000}}),
    "deribit": ("/api/v2/public/get_time", {}, lambda now: {"jsonrpc": "2.0", "result": now}),
    "dydx": (
        "/v4/time",
        {},
        lambda now: {"iso": datetime.fromtimestamp(now / 1000, UTC).isoformat(), "epoch": now / 1000},
    ),
    "hyperliquid": ("/info", {"type": "exchangeStatus"}, lambda now: {"time": now}),
    "kraken": ("/0/public/Time", {}, lambda now: {"error": [], "result": {"unixtime": now // 1000}}),
    "okx": ("/api/v5/public/time", {}, lambda now: {"code": "0", "data": [{"ts": str(now)}]}),
}
"""Where venues tell the time, and how they write it: the present one, so that requests can be signed."""

SPOKEN = {
    "binance": _binance(),
    "bybit": _bybit(),
    "coinbase": _coinbase(),
    "deribit": _deribit(),
    "dydx": _dydx(),
    "hyperliquid": _hyperliquid(),
    "kraken": _kraken(),
    "krakenfutures": _krakenfutures(),
    "okx": _okx(),
}


def _read(folder: pathlib.Path, file: str) -> Any:
    """Return a file's reply; those of dydx stand in a wrapper of the adapter's own."""
    body = json.loads((folder / file).read_text(encoding="utf-8"))
    return body["result"] if folder.name == "dydx" else body


@contextlib.asynccontextmanager
async def _served(recordings: pathlib.Path, name: str) -> AsyncIterator[tuple[ReplayedVenue, tu.Exchange, Witness]]:
    """Serve the lists of a venue's markets, and open ours and ccxt's there."""
    spec = SPOKEN[name]
    folder = recordings / _FOLDER / spec.folder
    lists = []
    for file, path, about in spec.listing:
        body = _read(folder / "spot" if name == "binance" else folder, file)
        if spec.edit is not None:
            spec.edit(file, body)
        lists.append(Reply(path, json.dumps(body), about))
    account = tu.Account(name="alice", exchange=name, credentials=_KEYS)
    async with (
        replayed(*spec.made, *lists) as venue,
        at_leisure(name, venue.url, options=spec.options, account=account) as exchange,
        witness(name, venue.url, options=spec.options, account=account) as ccxts,
    ):
        if name in TIMES:
            path, about, told = TIMES[name]
            verb = "POST" if about else "GET"
            venue.replies.append(Reply(path, lambda: json.dumps(told(venue.now())), about, verb))
        yield venue, exchange, ccxts


@pytest.mark.parametrize("name", SPOKEN)
async def test_listed_markets_are_what_ccxt_says(recordings: pathlib.Path, name: str) -> None:
    """Every figure of every market, digit by digit."""
    async with _served(recordings, name) as (_, exchange, ccxts):
        markets = await exchange.load_markets()
        await ccxts.says("load_markets")
        assert len(markets) == SPOKEN[name].markets
        assert_markets(markets, ccxts.floats, ccxts.texts)


@pytest.mark.parametrize("name", SPOKEN)
async def test_single_replies_are_what_ccxt_says(recordings: pathlib.Path, name: str) -> None:
    """Market data value by value, money digit by digit, and as many values as there are in the file."""
    shapes = SPOKEN[name].shapes
    async with _served(recordings, name) as served:
        for shape in shapes:
            if not shape.at_its_time:
                await _replay(recordings, name, shape, *served)
    for shape in shapes:
        if shape.at_its_time and shape.span is not None:
            async with _served(recordings, name) as served:
                served[0].behind = served[0].now() - shape.span[1] - _FORTNIGHT
                await _replay(recordings, name, shape, *served)


async def _replay(
    recordings: pathlib.Path, name: str, shape: Shape, venue: ReplayedVenue, exchange: tu.Exchange, ccxts: Witness
) -> None:
    """Ask for one reply, and compare."""
    folder = recordings / _FOLDER / SPOKEN[name].folder
    if name == "binance" and not shape.file.startswith("futures/"):
        folder /= "spot"
    body = json.dumps(_read(folder, shape.file))
    try:
        with venue.also(Reply(shape.path, body, shape.about, shape.verb)):
            theirs = await ccxts.says(shape.method, *shape.args, **_asked(shape))
            if name == "krakenfutures" and shape.method == "fetch_my_trades":
                for number, fills in zip((float, str), theirs, strict=True):
                    _as_told(fills, number)
            for _ in range(3 if shape.method in ("fetch_ohlcv", "fetch_tickers") else 1):
                ours = await getattr(exchange, shape.method)(*shape.args, **_more(shape))
                if shape.method == "cancel_order":  # ccxt gives the id of the cancel
                    ours = dataclasses.replace(ours, client_id=theirs[0]["clientOrderId"])
                if name == "okx" and shape.more:  # of orders that wait ccxt finds no id of ours
                    assert [one.client_id for one in ours] == [raw["info"]["algoClOrdId"] for raw in theirs[0]]
                    ours = [dataclasses.replace(one, client_id=None) for one in ours]
                assert_agree(ours, *theirs)
                assert _count(ours) == shape.rows
    except BaseException as error:
        error.add_note(f"{name}: {shape}")
        raise


_NOT_OURS = "nothing of ours asks for it"
_GONE = "ccxt has no class for the venue any more"
_PART = "no reply of the venue's, but a part of one"
_PLACES = "an answer to a new order, which begins with what was sent"
_ANOTHER = "another list of markets, in the shape of one that is replayed"
UNUSED = {
    "binance/futures/http_json/account_info_v2.json": "ccxt asks the venue's third version",
    "binance/futures/http_json/balance.json": "ccxt asks for positions and balances at once",
    "binance/futures/http_json/position_risk.json": _NOT_OURS,
    "binance/spot/http_json/avg_price_response.json": _NOT_OURS,
    "binance/spot/http_json/book_ticker_response.json": _NOT_OURS,
    "binance/spot/http_json/cancel_open_orders_response.json": "ours finds the open orders and cancels each",
    "binance/spot/http_json/new_order_full_response.json": _PLACES,
    "binance/spot/http_json/ping_response.json": _NOT_OURS,
    "binance/spot/http_json/server_time_response.json": "signed requests need the present time",
    "binance/spot/http_json/ticker_price_response.json": _NOT_OURS,
    "binance/spot/http_json/trades_response.json": "ccxt asks for aggregated trades, unless its options say otherwise",
    "bitmex/http_error_response.json": _GONE,
    "bitmex/http_get_executions.json": _GONE,
    "bitmex/http_get_instrument_xbtm26_xbtu26_spread.json": _GONE,
    "bitmex/http_get_instrument_xbtusd.json": _GONE,
    "bitmex/http_get_orders.json": _GONE,
    "bitmex/http_get_positions.json": _GONE,
    "bitmex/http_get_trade_bins.json": _GONE,
    "bitmex/http_get_trades.json": _GONE,
    "bitmex/http_get_wallet.json": _GONE,
    "bybit/http_get_instruments_inverse_symbol_type.json": _ANOTHER,
    "bybit/http_get_instruments_linear_symbol_type.json": _ANOTHER,
    "bybit/http_get_instruments_option_symbol_id.json": _ANOTHER,
    "bybit/http_get_instruments_spot_xstocks.json": _ANOTHER,
    "bybit/http_get_positions.json": _NOT_OURS,
    "bybit/http_get_positions_with_open_time.json": _NOT_OURS,
    "bybit/http_get_user_escrow_sub_members.json": _NOT_OURS,
    "bybit/http_get_user_sub_apikeys.json": _NOT_OURS,
    "bybit/http_get_user_sub_members.json": _NOT_OURS,
    "bybit/http_get_user_sub_members_paged.json": _NOT_OURS,
    "bybit/http_post_user_update_master_api.json": _NOT_OURS,
    "bybit/http_post_user_update_sub_api.json": _NOT_OURS,
    "coinbase/http_cfm_balance_summary.json": "ours asks for the spot balance alone",
    "coinbase/http_cfm_position.json": _NOT_OURS,
    "coinbase/http_cfm_positions.json": _NOT_OURS,
    "coinbase/http_product.json": "ccxt asks for all products, and for tickers by their trades",
    "deribit/http_get_combos.json": _NOT_OURS,
    "deribit/http_get_expirations_any.json": _NOT_OURS,
    "deribit/http_get_expirations_btc_option.json": _NOT_OURS,
    "deribit/http_get_instrument.json": "ccxt asks for all instruments at once",
    "deribit/http_get_instrument_option.json": "ccxt asks for all instruments at once",
    "deribit/http_get_instruments_future_combo.json": _ANOTHER,
    "deribit/http_get_instruments_option_combo.json": _ANOTHER,
    "deribit/http_get_last_trades_future_combo.json": "of a market that is in none of the lists",
    "deribit/http_get_last_trades_historical_combo.json": "of a market that is in none of the lists",
    "deribit/http_get_last_trades_option_combo.json": "of a market that is in none of the lists",
    "deribit/http_get_time.json": "signed requests need the present time",
    "deribit/http_test.json": _NOT_OURS,
    "dydx/http_get_block_height.json": _NOT_OURS,
    "dydx/http_get_fills.json": "ccxt's class tells nobody's trades",
    "dydx/http_get_time.json": "replayed where that correction of ccxt is tested",
    "dydx/http_get_transfers.json": _NOT_OURS,
    "hyperliquid/http_all_perp_metas_non_usdc_collateral.json": "ccxt asks for the lists with their prices",
    "hyperliquid/http_clearinghouse_state_negative_total_raw_usd.json": "without marginSummary, where ccxt looks",
    "hyperliquid/http_meta_perp_sample.json": "ccxt asks for the list with its prices",
    "hyperliquid/http_recent_trades_btc.json": "ccxt asks for the trades of a wallet alone",
    "hyperliquid/http_spot_meta_non_usdc_collateral.json": "ccxt asks for the list with its prices",
    "kraken/http_add_order_spot.json": _PLACES,
    "kraken/http_asset_pairs_tokenized.json": _ANOTHER,
    "kraken/http_cancel_order_futures.json": "the answer to a cancel names no order",
    "kraken/http_cancel_order_spot.json": "the answer to a cancel names no order",
    "kraken/http_futures_instrument_no_fee_schedule.json": _ANOTHER,
    "kraken/http_futures_open_positions.json": _NOT_OURS,
    "kraken/http_futures_order_events.json": "ccxt asks for the history of orders in another interface",
    "kraken/http_futures_order_events_unknown.json": "ccxt asks for the history of orders in another interface",
    "kraken/http_send_order_futures.json": _PLACES,
    "kraken/http_send_order_futures_unknown_trigger.json": _PLACES,
    "kraken/http_server_time.json": "signed requests need the present time",
    "kraken/http_spot_balance.json": "ccxt asks for BalanceEx, whose shape is another",
    "kraken/http_spot_open_positions.json": _NOT_OURS,
    "kraken/http_spot_trade_balance.json": _NOT_OURS,
    "kraken/http_system_status.json": _NOT_OURS,
    "okx/http_balance_detail_new_fields.json": _PART,
    "okx/http_balance_detail_old_fields.json": _PART,
    "okx/http_cancel_algo_order_response.json": "the answer to a cancel names no more than an id",
    "okx/http_get_account_positions-history.json": _NOT_OURS,
    "okx/http_get_index_price.json": _NOT_OURS,
    "okx/http_get_instruments_margin.json": _ANOTHER,
    "okx/http_get_mark_price.json": _NOT_OURS,
    "okx/http_get_option_summary.json": _NOT_OURS,
    "okx/http_get_orders_algo_history.json": "ours asks for no history of orders that waited",
    "okx/http_get_position_tiers.json": _NOT_OURS,
    "okx/http_get_positions.json": _NOT_OURS,
    "okx/http_get_spread_orders.json": _NOT_OURS,
    "okx/http_get_spread_trades.json": _NOT_OURS,
    "okx/http_get_spreads.json": _NOT_OURS,
    "okx/http_place_algo_order_rejected.json": _PLACES,
    "okx/http_place_algo_order_response.json": _PLACES,
    "okx/http_place_order_response.json": _PLACES,
    "okx/http_set_position_mode_response.json": _NOT_OURS,
    "okx/http_transaction_detail.json": _PART,
    "okx/http_transaction_detail_empty_fee.json": _PART,
}
"""Files that are not replayed, and why."""


def _used() -> set[str]:
    """Return the files that are replayed."""
    found = set()
    for name, spec in SPOKEN.items():
        for file in (*(one for one, _, _ in spec.listing), *(shape.file for shape in spec.shapes)):
            spot = name == "binance" and not file.startswith("futures/")
            found.add(f"{spec.folder}/{'spot/' if spot else ''}{file}")
    return found


def test_every_file_is_replayed_or_told_why_not(recordings: pathlib.Path) -> None:
    """The replies of HTTP; those of websockets are of other tests."""
    folder = recordings / _FOLDER
    files = {*folder.glob("*/http_*.json"), *folder.glob("binance/*/http_json/*.json")}
    assert {file.relative_to(folder).as_posix() for file in files} == _used() | {*UNUSED}
    assert not _used() & {*UNUSED}


def _more(shape: Shape) -> dict[str, Any]:
    """Return what is asked of ours besides."""
    if shape.span is None:
        return dict(shape.more)
    return {"since": shape.span[0], "until": shape.span[1] + 1, "partial": True}


def _asked(shape: Shape) -> dict[str, Any]:
    """Return the same for ccxt."""
    if shape.span is None:
        return {"params": dict(shape.more)} if shape.more else {}
    return {"since": shape.span[0], "limit": shape.rows}


def _as_told(fills: Sequence[dict[str, Any]], number: Callable[[Any], Any]) -> None:
    """Give ccxt's fills what the file says, and its class does not read: the amounts and the fees paid."""
    for fill in fills:
        raw = fill["info"]
        assert fill["amount"] is None
        fill["amount"], fee = number(raw["size"]), {"cost": number(raw["fee_paid"]), "currency": raw["fee_currency"]}
        fill |= {"fee": fee, "fees": [fee]}


def _count(ours: Any) -> int:
    if isinstance(ours, tu.OrderBook):
        return len(ours.bids) + len(ours.asks)
    return len(ours) if isinstance(ours, (list, dict, tu.Candles)) else 1
