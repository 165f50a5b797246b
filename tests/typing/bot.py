"""
A user's program as mypy sees it: ``nox -s types`` fails if a public type widens to ``Any`` or a wrong call is accepted.

It is checked, not run. ``type: ignore`` marks a mistake that must be found: if it is not, mypy reports the comment.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import pandas as pd

import tradeutils as tu
from tradeutils import errors, history, indicators, sync, timeframe

Floats = npt.NDArray[np.float64]


async def market_data(exchange: tu.Exchange) -> None:
    assert_type(await exchange.load_markets(), dict[str, tu.Market])
    assert_type(await exchange.fetch_ticker("BTC/USDT"), tu.Ticker)
    assert_type(await exchange.fetch_tickers(["BTC/USDT"]), dict[str, tu.Ticker])
    candles = await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=100)
    assert_type(candles, tu.Candles)
    assert_type(candles.close, Floats)
    assert_type(candles.time, npt.NDArray[np.int64])
    assert_type(candles.closed, npt.NDArray[np.bool_])
    assert_type(candles.gaps(), tuple[tu.Gap, ...])
    assert_type(candles.resample("4h"), tu.Candles)
    assert_type(candles.to_frame(), pd.DataFrame)
    assert_type(candles[-10:], tu.Candles)
    assert_type(await exchange.fetch_panel(["BTC/USDT"], "1h"), tu.Panel)
    assert_type((await exchange.fetch_order_book("BTC/USDT", limit=5)).bids, Floats)
    assert_type(await exchange.fetch_trades("BTC/USDT"), list[tu.Trade])
    assert_type(await exchange.fetch_open_orders(), list[tu.Order])
    assert_type(await exchange.fetch_time(), int)
    skipped: dict[str, tu.errors.TradeutilsError] = {}
    assert_type(await exchange.fetch_panel(["BTC/USDT"], on_error="skip", skipped=skipped), tu.Panel)
    assert_type(await exchange.fetch_funding_rate("BTC/USDT:USDT"), tu.FundingRate)
    assert_type(await exchange.fetch_funding_rate_history("BTC/USDT:USDT"), list[tu.FundingRate])
    assert_type(await exchange.fetch_open_interest("BTC/USDT:USDT"), tu.OpenInterest)
    assert_type(await exchange.fetch_mark_ohlcv("BTC/USDT:USDT", partial=True), tu.Candles)


async def money(exchange: tu.Exchange, order: tu.Order) -> None:
    balance = await exchange.fetch_balance()
    assert_type(balance["BTC"].free, Decimal)
    assert_type(order.price, Decimal | None)
    balances = tu.Balances(exchange)
    valuation = await balances.total("alice", "USDT")
    assert_type(valuation, tu.Valuation)
    assert_type(valuation.total, Decimal)
    assert_type(valuation.unpriced, Mapping[str, Decimal])
    totals = await balances.totals("USDT")
    assert_type(totals["alice"], tu.Valuation)
    assert_type(totals.total, Decimal)
    _ = balance["BTC"].free * 0.5  # type: ignore[operator]


async def trading(exchange: tu.Exchange) -> None:
    amount, price = Decimal("0.01"), Decimal(50_000)
    try:
        order = await exchange.create_order("BTC/USDT", "limit", "buy", amount, price, client_order_id="strategy-7")
    except errors.OrderUnknown as unknown:
        order = await exchange.fetch_order(None, "BTC/USDT", client_order_id=unknown.client_id)
    assert_type(order, tu.Order)
    assert_type(order.filled, Decimal | None)
    assert_type(await exchange.cancel_order(order.id or "", "BTC/USDT"), tu.Order)
    assert_type(await exchange.cancel_all(), list[tu.Order])
    assert_type(await exchange.create_order("BTC/USDT", "market", "buy", cost=Decimal(100)), tu.Order)
    assert_type(await exchange.estimate_fee("BTC/USDT", "buy", amount, price), tu.Fee)
    assert_type(await exchange.fetch_trading_fee("BTC/USDT"), tu.TradingFee)
    market = (await exchange.load_markets())["BTC/USDT"]
    assert_type(market.round_amount(amount), Decimal)
    market.round_price(price, "floor")  # type: ignore[arg-type]
    assert_type(await exchange.fetch_orders("BTC/USDT", since=0), list[tu.Order])
    assert_type(await exchange.fetch_closed_orders("BTC/USDT"), list[tu.Order])
    assert_type((await exchange.fetch_my_trades("BTC/USDT"))[0].price, Decimal)
    await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, price)  # type: ignore[arg-type]
    await exchange.create_order("BTC/USDT", "limit", "hold", amount, price)  # type: ignore[arg-type]


async def paid_for() -> None:
    window = tu.Window("weight", limit=3000, seconds=60)
    async with tu.Exchange("binance", budget=tu.LocalBudget([window])) as exchange:
        assert_type(await exchange.fetch_ticker("BTC/USDT"), tu.Ticker)
    async with tu.Cache("redis://localhost:6379/0") as cache:
        tu.Exchange("binance", budget=tu.RedisBudget(cache))
    tu.Exchange("binance", budget="redis://localhost:6379/0")  # type: ignore[arg-type]


async def cached(cache: tu.Cache, exchange: tu.Exchange) -> None:
    async def count() -> int:
        return 1

    assert_type(await cache.get_or_fetch("count", count, ttl=5.0), int)
    assert_type(await cache.get_or_fetch("ticker", lambda: exchange.fetch_ticker("BTC/USDT"), ttl=1.0), tu.Ticker)
    assert_type(await cache.get_many(["a", "b"]), dict[str, Any])
    assert_type(await cache.delete("a"), int)
    await cache.get_or_fetch("count", lambda: 1, ttl=5.0)  # type: ignore[arg-type, return-value]


def computed(candles: tu.Candles, panel: tu.Panel) -> None:
    assert_type(tu.Indicators(candles).rsi(14), Floats)
    assert_type(tu.Indicators(panel).macd(12, 26, 9).histogram, Floats)
    assert_type(tu.Indicators(panel).compute(["rsi:14", "ema:20"]), dict[str, Floats])
    assert_type(indicators.rsi(candles.close, 14), Floats)
    assert_type(indicators.bbands(candles.close, 20, 2.0).upper, Floats)
    tu.Indicators(candles).rsi("14")  # type: ignore[arg-type]


def blocking() -> None:
    with sync.Exchange("binance", cache=sync.Cache()) as exchange:
        assert_type(exchange.fetch_ticker("BTC/USDT"), tu.Ticker)
        assert_type(exchange.fetch_ohlcv("BTC/USDT", "1h", limit=10), tu.Candles)
        assert_type(exchange.fetch_tickers(), dict[str, tu.Ticker])
        assert_type(sync.Balances(exchange).total("alice"), tu.Valuation)
        assert_type(exchange.create_order("BTC/USDT", "market", "sell", Decimal(1)), tu.Order)
        exchange.create_order("BTC/USDT", "market", "sell", 1.0)  # type: ignore[arg-type]
        exchange.fetch_ohlcv("BTC/USDT", limits=10)  # type: ignore[call-arg]
    with sync.Cache() as cache:
        assert_type(cache.get_or_fetch("count", lambda: 1, ttl=5.0), int)


def the_rest(frame: pd.DataFrame) -> None:
    assert_type(timeframe.parse("1h").floor(0), int)
    assert_type(tu.Candles.from_frame(frame, timeframe="1h"), tu.Candles)
    assert_type(history.read_candles("BTC.csv").candles, tu.Candles)
    assert_type(tu.Settings.load().accounts["alice"].credentials.key, tu.Secret | None)
    assert_type(tu.codec.dumps(1), bytes)
    try:
        pass
    except errors.RateLimited as error:
        assert_type(error.retry_after, float | None)
