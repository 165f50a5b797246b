"""The same of venues that trade contracts first, and of Kraken."""

from __future__ import annotations

from typing import Any

from venue_shapes import WALLET, Shape, Spec, json_reply

__all__ = ["deribit", "dydx", "hyperliquid", "kraken", "krakenfutures"]


def kraken() -> Spec:
    """Return what is replayed of Kraken's spot."""
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
        made=[json_reply("/0/public/Assets", {"error": [], "result": {}})],
        edit=edit,
    )


def krakenfutures() -> Spec:
    """Return what is replayed of Kraken's futures."""
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


def deribit() -> Spec:
    """Return what is replayed of Deribit's second interface."""
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
        made=[json_reply(f"{api}/get_currencies", {"jsonrpc": "2.0", "result": []})],
        edit=edit,
    )


def hyperliquid() -> Spec:
    """Return what is replayed of Hyperliquid; its lists are made here, of one reply's names."""
    symbol = "BTC/USDC:USDC"
    book = {"type": "l2Book"}
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
            Shape("http_l2_book_btc.json", "/info", "fetch_order_book", (symbol,), 10, book, verb="POST"),
            Shape("http_l2_book_snapshot.json", "/info", "fetch_order_book", (symbol,), 10, book, verb="POST"),
            Shape(
                "http_funding_history.json",
                "/info",
                "fetch_funding_rate_history",
                (symbol,),
                3,
                {"type": "fundingHistory"},
                span=(1769908800000, 1769916000000),
                verb="POST",
            ),
            Shape(
                "http_user_fills_dust_conversion.json",
                "/info",
                "fetch_my_trades",
                ("ARB/USDC:USDC",),
                1,
                {"type": "userFills"},
                verb="POST",
            ),
            Shape(
                "http_spot_clearinghouse_state.json",
                "/info",
                "fetch_balance",
                (),
                1,
                {"type": "spotClearinghouseState"},
                verb="POST",
            ),
        ],
        made=[
            json_reply("/info", {"tokens": [], "universe": []}, {"type": "spotMeta"}, "POST"),
            json_reply("/info", [{"tokens": [], "universe": []}, []], {"type": "spotMetaAndAssetCtxs"}, "POST"),
            json_reply("/info", [{"universe": universe}, [context] * len(names)], {"type": "metaAndAssetCtxs"}, "POST"),
            json_reply("/info", [None], {"type": "perpDexs"}, "POST"),
            json_reply("/info", "unifiedAccount", {"type": "userAbstraction"}, "POST"),
        ],
    )  # fmt: skip


def dydx() -> Spec:
    """Return what is replayed of dYdX's indexer."""
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
                f"/v4/addresses/{WALLET}/subaccountNumber/0",
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
