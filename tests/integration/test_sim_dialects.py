"""What is generated is equal in every dialect, seen through ccxt's own unmodified classes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import ccxt.async_support
import numpy as np
import pytest

import tradeutils as tu
from tests.integration.test_sim_ccxt import loopback
from tradeutils import sim
from tradeutils.budget import LocalBudget
from tradeutils.sim import VENUES, GeneratedMarket
from tradeutils.sim.bars import Klines
from tradeutils.sim.catalogue import generated_instruments, generated_swaps
from tradeutils.sim.limits import Limits

_SEED = 13
_SPOT, _SWAPS = ["BTC/USDT", "ETH/BTC"], ["BTC/USDT:USDT", "SHIB/USDT:USDT"]
_MARKET = GeneratedMarket([*generated_instruments(_SPOT), *generated_swaps(_SWAPS)], seed=_SEED)
_NOW = sim.DEFAULT_NOW
_KEYS = {"BTC/USDT": "BTCUSDT", "ETH/BTC": "ETHBTC", "BTC/USDT:USDT": "BTCUSDT-PERP", "SHIB/USDT:USDT": "SHIBUSDT-PERP"}
_HOUR, _MINUTE = 3_600_000, 60_000


@pytest.fixture(params=VENUES)
async def exchange(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """ccxt's class of a venue, before a venue of one seed, one clock and one list of markets."""
    async with sim.SimulatedVenue(
        request.param, symbols=_SPOT, linear=_SWAPS, seed=_SEED, limits=Limits.none()
    ) as venue:
        cls = getattr(ccxt.async_support, request.param)
        urls = {"api": loopback(cls().describe()["urls"]["api"], venue.url)}
        async with cls({"enableRateLimit": False, "timeout_on_exit": 0, "urls": urls}) as exchange:
            await exchange.load_markets()
            yield exchange


def _symbols(exchange: Any) -> list[str]:
    return [symbol for symbol in _KEYS if symbol in exchange.markets]


def _swaps(exchange: Any) -> list[str]:
    found = [symbol for symbol in _SWAPS if symbol in exchange.markets]
    if not found:
        pytest.skip(f"ccxt's {exchange.id} trades no linear swaps")
    return found


def _size(exchange: Any, symbol: str) -> float:
    """Return the base units of what a dialect counts in."""
    return float(exchange.markets[symbol]["contractSize"] or 1)


def _columns(klines: Klines) -> np.ndarray[Any, Any]:
    candles = klines.candles
    names = ("time", "open", "high", "low", "close", "volume")
    return np.column_stack([getattr(candles, name).astype(float) for name in names])


async def test_markets_are_those_of_the_market(exchange: Any) -> None:
    """Every spot market is listed, and every swap where the dialect has swaps."""
    linear = any(market["linear"] for market in exchange.markets.values())
    assert sorted(exchange.markets) == sorted([*_SPOT, *(_SWAPS if linear else [])])
    for symbol in _symbols(exchange):
        own = _MARKET.instruments[_KEYS[symbol]]
        assert exchange.markets[symbol]["precision"]["price"] == pytest.approx(float(own.price_step), rel=1e-12)
        step = exchange.markets[symbol]["precision"]["amount"] * _size(exchange, symbol)
        assert step == pytest.approx(float(own.amount_step), rel=1e-9)


@pytest.mark.parametrize("timeframe", ["1m", "1h", "1d"])
async def test_candles_are_equal(exchange: Any, timeframe: str) -> None:
    """Prices to the last digit, volumes in base units, the forming candle included."""
    for symbol in _symbols(exchange):
        rows = np.array(await exchange.fetch_ohlcv(symbol, timeframe, limit=5), dtype=float)[-5:]
        own = _columns(_MARKET.klines(_KEYS[symbol], timeframe, _NOW, limit=5))
        assert np.array_equal(rows[:, :5], own[:, :5])
        # What counts contracts gives their number, and ccxt leaves it so.
        sizes = {1.0, _size(exchange, symbol)}
        assert any(np.allclose(rows[:, 5] * size, own[:, 5], rtol=1e-9, atol=0) for size in sizes)


async def test_books_are_equal(exchange: Any) -> None:
    """The same prices and sizes on both sides."""
    for symbol in _symbols(exchange):
        book = await exchange.fetch_order_book(symbol, 5)
        bids, asks = _MARKET.book(_KEYS[symbol], _NOW, 5)
        for side, own in (("bids", bids), ("asks", asks)):
            rows = np.array([level[:2] for level in book[side][:5]], dtype=float)
            assert np.array_equal(rows[:, 0], own[:, 0])
            assert np.allclose(rows[:, 1] * _size(exchange, symbol), own[:, 1], rtol=1e-9, atol=0)


async def test_public_trades_are_equal(exchange: Any) -> None:
    """Moments, prices, sides and amounts of the newest trades."""
    for symbol in _symbols(exchange):
        trades = (await exchange.fetch_trades(symbol, limit=20))[-20:]
        own = _MARKET.trades(_KEYS[symbol], _NOW, limit=20)
        assert [trade["timestamp"] for trade in trades] == own.time.tolist()
        assert [trade["price"] for trade in trades] == own.price.tolist()
        assert [trade["side"] == "sell" for trade in trades] == own.buyer_is_maker.tolist()
        amounts = [trade["amount"] * _size(exchange, symbol) for trade in trades]
        assert np.allclose(amounts, own.amount, rtol=1e-9, atol=0)


async def test_tickers_are_equal(exchange: Any) -> None:
    """The last price and the day's high and low of every market."""
    for symbol in _symbols(exchange):
        ticker, own = await exchange.fetch_ticker(symbol), _MARKET.day(_KEYS[symbol], _NOW)
        assert own is not None
        assert (ticker["last"], ticker["high"], ticker["low"]) == (own.last, own.high, own.low)


async def test_mark_and_index_candles_are_equal(exchange: Any) -> None:
    """Of swaps, to the last digit."""
    for symbol in _swaps(exchange):
        for fetch, source in (
            (exchange.fetch_mark_ohlcv, _MARKET.mark_klines),
            (exchange.fetch_index_ohlcv, _MARKET.index_klines),
        ):
            rows = np.array(await fetch(symbol, "1h", limit=4), dtype=float)
            assert np.array_equal(rows[:, :5], _columns(source(_KEYS[symbol], "1h", _NOW, limit=4))[:, :5])


async def test_funding_is_equal(exchange: Any) -> None:
    """The rate that is on its way and the ten settlements before."""
    for symbol in _swaps(exchange):
        rate, own = await exchange.fetch_funding_rate(symbol), _MARKET.funding(_KEYS[symbol], _NOW)
        assert (rate["fundingRate"], rate["fundingTimestamp"]) == (own.rate, own.next_time)
        history = await exchange.fetch_funding_rate_history(symbol, limit=10)
        told = [(row["timestamp"], row["fundingRate"]) for row in history]
        assert told == _MARKET.funding_history(_KEYS[symbol], _NOW, limit=10)


async def test_open_interest_is_equal(exchange: Any) -> None:
    """Now and hour by hour, in base units."""
    for symbol in _swaps(exchange):
        key, size = _KEYS[symbol], _size(exchange, symbol)
        now = await exchange.fetch_open_interest(symbol)
        assert now["openInterestAmount"] * size == pytest.approx(_MARKET.open_interest(key, _NOW).amount, rel=1e-9)
        told = {
            row["timestamp"]: row["openInterestAmount"]
            for row in await exchange.fetch_open_interest_history(symbol, "1h", limit=5)
        }
        own = {one.time: one.amount for one in _MARKET.open_interest_history(key, "1h", _NOW, limit=5)}
        shared = set(told) & set(own)
        assert len(shared) >= 4
        for time in shared:
            # Some venues tell it in base units there, some in quote.
            assert told[time] is None or told[time] * size == pytest.approx(own[time], rel=1e-9)


async def test_tickers_are_equal_in_base_units() -> None:
    """Prices and volumes of the day, of spot and of swaps, whatever a venue counts in."""
    told: dict[str, dict[str, tuple[float | None, ...]]] = {}
    for name in VENUES:
        async with (
            sim.SimulatedVenue(name, symbols=_SPOT, linear=_SWAPS, seed=_SEED, limits=Limits.none()) as venue,
            tu.Exchange(name, url=venue.url, budget=LocalBudget()) as exchange,
        ):
            kinds: set[Any] = {market.type for market in (await exchange.load_markets()).values()}
            for kind in kinds:
                for symbol, one in (await exchange.fetch_tickers(type=kind)).items():
                    told.setdefault(symbol, {})[name] = (one.last, one.high, one.low, one.base_volume)
    assert sorted(told) == sorted([*_SPOT, *_SWAPS])
    for symbol, each in told.items():
        assert set(each) >= ({*VENUES} if symbol in _SPOT else {"binance", "bybit", "okx"})
        assert len(set(each.values())) == 1, (symbol, each)
