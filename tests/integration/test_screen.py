"""`Exchange.screen` on the simulated venue, through ccxt's own class."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.cli.app import main
from tradeutils.errors import BadSymbol, UnknownName
from tradeutils.exchange import screen
from tradeutils.sim import SimulatedVenue, serve


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Thirty generated spot symbols, and swaps of five."""
    async with SimulatedVenue("binance", symbols=30, linear=5, seed=3) as venue:
        yield venue


def asked(venue: SimulatedVenue) -> Counter[str]:
    """Return how often each path was asked for."""
    return Counter(venue.requests.paths)


async def test_cheap_criteria_cost_one_tickers_call(venue: SimulatedVenue) -> None:
    """Quote, volume, spread and price are decided by it; every other market has its reason."""
    async with tu.Exchange("binance", url=venue.url, cache=tu.Cache()) as exchange:
        markets = await exchange.load_markets()
        found = await exchange.screen(quote="USDT", min_quote_volume=2e7, max_spread=0.002, min_price=0.01)
        tickers = await exchange.fetch_tickers()
        again = await exchange.screen(quote="USDT", min_quote_volume=2e7, max_spread=0.002, min_price=0.01)
    expected = sorted(
        (
            symbol
            for symbol, one in tickers.items()
            if markets[symbol].quote == "USDT"
            and (one.quote_volume or 0) >= 2e7
            and one.bid is not None
            and one.ask is not None
            and (one.ask - one.bid) / (one.ask + one.bid) * 2 <= 0.002
            and (one.last or 0) >= 0.01
        ),
        key=lambda symbol: -(tickers[symbol].quote_volume or 0),
    )
    assert 3 < len(found) < 30
    assert found == expected == list(again)
    assert set(found) | set(found.rejected) == set(markets)
    assert not set(found) & set(found.rejected)
    counted = asked(venue)
    assert counted["/api/v3/ticker/24hr"] == 1
    assert counted["/api/v3/klines"] == 0


async def test_candles_are_asked_only_for_what_is_left(venue: SimulatedVenue) -> None:
    """Those that the ticker rejects cost nothing more, and a second screen of the day none at all."""
    async with tu.Exchange("binance", url=venue.url, cache=tu.Cache()) as exchange:
        seen: list[tuple[int, int]] = []
        found = await exchange.screen(
            include=["BTC/USDT", "ETH/USDT", "SOL/USDT"],
            min_volatility=0.0001,
            min_age_days=20,
            correlation_to="BTC/USDT",
            sort_by="correlation",
            progress=lambda done, total: seen.append((done, total)),
        )
        assert asked(venue)["/api/v3/klines"] == 3
        assert seen == [(1, 3), (2, 3), (3, 3)]
        candles = await exchange.fetch_ohlcv("ETH/USDT", "1d", limit=31)
        await exchange.screen(include=["BTC/USDT", "ETH/USDT"], min_volatility=0.0001)
        assert asked(venue)["/api/v3/klines"] <= 6  # of another range: without the age
    assert set(found) == {"BTC/USDT", "ETH/USDT", "SOL/USDT"}
    assert found[0] == "BTC/USDT"
    assert found.figures["BTC/USDT"].correlation == pytest.approx(1.0)
    expected = np.std(np.diff(np.log(candles.close)), ddof=1)
    assert found.figures["ETH/USDT"].volatility == pytest.approx(float(expected), rel=1e-12)


async def test_swaps_are_screened_as_well(venue: SimulatedVenue) -> None:
    """Their tickers come from their own call."""
    async with tu.Exchange("binance", url=venue.url) as exchange:
        found = await exchange.screen(type="swap", quote="USDT", min_quote_volume=1)
        both = await exchange.screen(type=["spot", "swap"], include="BTC/USDT*")
    assert len(found) == 5
    assert all(symbol.endswith(":USDT") for symbol in found)
    assert set(both) == {"BTC/USDT", "BTC/USDT:USDT"}


async def test_a_market_whose_candles_fail_is_rejected_alone(venue: SimulatedVenue) -> None:
    """The error is its reason; the others are judged."""
    body = '{"code":-1100,"msg":"Illegal characters found in a parameter."}'
    venue.faults.add("status", path="/api/v3/klines", status=400, body=body, count=1)
    async with tu.Exchange("binance", url=venue.url, retries=0) as exchange:
        found = await exchange.screen(include=["BTC/USDT", "ETH/USDT"], min_volatility=0.0)
    assert len(found) == 1
    (reason,) = (found.rejected[one] for one in ("BTC/USDT", "ETH/USDT") if one in found.rejected)
    assert reason.startswith("its daily candles could not be had: ")
    assert "Illegal characters" in reason


async def test_names_that_nobody_has_are_refused(venue: SimulatedVenue) -> None:
    """A quote with a typing error rejects nothing: it is an error that names the nearest."""
    async with tu.Exchange("binance", url=venue.url) as exchange:
        with pytest.raises(UnknownName, match="USDT"):
            await exchange.screen(quote="USDTT")
        with pytest.raises(BadSymbol, match="BTC/USDT"):
            await exchange.screen(correlation_to="BTC/USDTT", min_correlation=0)


async def test_the_arithmetic_leaves_the_event_loop(venue: SimulatedVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes over all tickers and all candles runs in another thread."""
    threads: dict[str, int] = {}

    def noting(name: str, judge: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any) -> Any:
            threads[name] = threading.get_ident()
            return judge(*given)

        return noted

    for name in ("_by_tickers", "by_candles"):
        monkeypatch.setattr(screen, name, noting(name, getattr(screen, name)))
    async with tu.Exchange("binance", url=venue.url) as exchange:
        assert await exchange.screen(include="BTC/USDT", min_volatility=0.0) == ["BTC/USDT"]
    assert set(threads) == {"_by_tickers", "by_candles"}
    assert threading.get_ident() not in threads.values()


def test_the_command_prints_what_fits_and_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    """A table, the reasons, or JSON; an unknown currency ends with 2."""
    with serve("binance", symbols=20, seed=3) as server:
        common = ["screen", "binance", "--url", server.url]
        assert main([*common, "--quote", "USDT", "--min-quote-volume", "1e7", "-n", "3"]) == 0
        shown = capsys.readouterr()
        assert shown.out.splitlines()[0].split()[:2] == ["symbol", "price"]
        assert shown.out.splitlines()[1].startswith("BTC/USDT")
        assert "markets fit" in shown.err
        assert main([*common, "--quote", "USDT", "--rejected"]) == 0
        assert "quote is BTC, not USDT" in capsys.readouterr().out
        assert main([*common, "--quote", "USDT", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["symbols"][0] == "BTC/USDT"
        assert told["figures"]["BTC/USDT"]["quote_volume"] > 1e6
        assert main([*common, "--quote", "USDTT"]) == 2
