"""Candles and tickers by columns equal what ccxt's unmodified classes make of the same replies, venue by venue."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import ccxt.async_support
import numpy as np
import pytest

import tradeutils as tu
from tradeutils import timeframe as _timeframe
from tradeutils.exchange.requests.endpoints import parse_target, redirect
from tradeutils.exchange.tickers.layouts import Layout
from tradeutils.exchange.tickers.volumes import use_base_units
from tradeutils.exchange.venues.configuration import defaults_of
from tradeutils.sim import VENUES, Limits, SimulatedVenue

FIELDS = {
    "time": "timestamp",
    "last": "last",
    "bid": "bid",
    "ask": "ask",
    "bid_volume": "bidVolume",
    "ask_volume": "askVolume",
    "open": "open",
    "high": "high",
    "low": "low",
    "vwap": "vwap",
    "percentage": "percentage",
    "base_volume": "baseVolume",
    "quote_volume": "quoteVolume",
}


WINDOWS = {"kraken": [tu.Window("public", 10**6, 1.0), tu.Window("public_pair", 10**6, 1.2)]}


@pytest.fixture(params=VENUES)
def name(request: pytest.FixtureRequest) -> str:
    """Each dialect that the simulated venue speaks."""
    return str(request.param)


@pytest.fixture
async def venue(name: str) -> AsyncIterator[SimulatedVenue]:
    """Generated markets, frozen."""
    async with SimulatedVenue(name, symbols=40, seed=5, limits=Limits.none()) as venue:
        yield venue


@contextlib.asynccontextmanager
async def plain_ccxt(name: str, venue: SimulatedVenue) -> AsyncIterator[Any]:
    """ccxt's class as it is shipped, its figures as the venue wrote them."""
    config = {"enableRateLimit": False, "number": str, "options": defaults_of(name)}
    exchange = getattr(ccxt.async_support, name)(config)
    exchange.urls["api"] = redirect(exchange.urls["api"], parse_target(venue.url))
    use_base_units(exchange)  # what we mend of ccxt's figures is no matter of columns
    async with exchange:
        await exchange.load_markets()
        yield exchange


def _open(name: str, venue: SimulatedVenue) -> tu.Exchange:
    """Our exchange, that need not wait."""
    return tu.Exchange(name, url=venue.url, budget=tu.LocalBudget(WINDOWS.get(name)))


def as_fields(ticker: tu.Ticker) -> dict[str, Any]:
    """Return what a ticker says."""
    return {name: getattr(ticker, name) for name in FIELDS}


def as_ccxt_said(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same of ccxt's ticker, read from the text of its figures."""
    told = {name: raw[key] for name, key in FIELDS.items()}
    return {name: value if value is None or name == "time" else float(value) for name, value in told.items()}


async def test_candles_equal_those_of_ccxt(name: str, venue: SimulatedVenue) -> None:
    """Every value of every reply: the one that proves, the one that finds the rows, and those that follow."""
    async with plain_ccxt(name, venue) as theirs, _open(name, venue) as exchange:
        markets = await exchange.load_markets()
        symbols = [*list(markets)[:4], *[one for one, market in markets.items() if market.type == "swap"][:4]]
        inner = exchange._venue
        for timeframe in ("1m", "1h"):
            for since, limit in ((None, 7), (venue.clock.now() - 86_400_000, 50), (venue.clock.now() - 10**12, 500)):
                for symbol in symbols:
                    _, page = await inner.fetch_candle_rows(
                        symbol, _timeframe.parse(timeframe), since=since, limit=limit
                    )
                    rows = await theirs.fetch_ohlcv(symbol, timeframe, since, limit)
                    expected = np.array([[float(one) for one in row] for row in rows]).reshape(-1, 6)
                    assert np.array_equal(np.array(page, dtype=np.float64).reshape(-1, 6), expected)
        assert isinstance(page, np.ndarray) or not len(page)
        assert inner._candles._proved  # type: ignore[attr-defined]
        assert inner._candles._paths  # type: ignore[attr-defined]


async def test_tickers_equal_those_of_ccxt(name: str, venue: SimulatedVenue) -> None:
    """All markets, several times, and some of them: every figure and every symbol."""
    async with plain_ccxt(name, venue) as theirs, _open(name, venue) as exchange:
        expected = {symbol: as_ccxt_said(raw) for symbol, raw in (await theirs.fetch_tickers()).items()}
        for _ in range(4):
            ours = await exchange.fetch_tickers()
            assert {symbol: as_fields(one) for symbol, one in ours.items()} == expected
            assert [one.symbol for one in ours.values()] == list(ours)
        wanted = list(expected)[3:9]
        for _ in range(3):
            some = await exchange.fetch_tickers(wanted)
            assert {symbol: as_fields(one) for symbol, one in some.items()} == {one: expected[one] for one in wanted}


async def test_swaps_and_spot_markets_with_one_name_are_told_apart(name: str, venue: SimulatedVenue) -> None:
    """BTCUSDT is a coin and a contract: what is known of one says nothing of the other."""
    async with plain_ccxt(name, venue) as theirs, _open(name, venue) as exchange:
        markets = await exchange.load_markets()
        swaps = [symbol for symbol, market in markets.items() if market.type == "swap"][:3]
        if not swaps:
            pytest.skip("this dialect has no swaps")
        for _ in range(3):
            await exchange.fetch_tickers([one.partition(":")[0] for one in swaps])
            found = await exchange.fetch_tickers(swaps)
            expected = await theirs.fetch_tickers(swaps)
            assert {symbol: as_fields(one) for symbol, one in found.items()} == {
                symbol: as_ccxt_said(raw) for symbol, raw in expected.items()
            }


async def test_markets_loaded_anew_are_learnt_anew() -> None:
    """A name may come to mean another market."""
    async with SimulatedVenue("binance", symbols=5) as venue, tu.Exchange("binance", url=venue.url) as exchange:
        before = await exchange.fetch_tickers()
        layouts = dict(exchange._venue._tickers._layouts)  # type: ignore[attr-defined]
        await exchange.load_markets(reload=True)
        assert await exchange.fetch_tickers() == before
        later = exchange._venue._tickers._layouts  # type: ignore[attr-defined]
        assert all(isinstance(one, Layout) and one is not layouts.get(keys) for keys, one in later.items())
