"""Funding, open interest, mark and index candles: real HTTP, ccxt's own unmodified classes, two dialects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils import codec, errors, sim, sync
from tradeutils.sim import SimulatedVenue

HOUR = 3_600_000
DAY = 24 * HOUR
SWAP = "BTC/USDT:USDT"


@pytest.fixture(params=["binance", "bybit"])
def name(request: pytest.FixtureRequest) -> str:
    """Return which venue's dialect is spoken."""
    return str(request.param)


@pytest.fixture
async def venue(name: str) -> AsyncIterator[SimulatedVenue]:
    """A few generated symbols and their swaps, frozen at 30 s past a minute."""
    async with SimulatedVenue(name, symbols=4, seed=3) as venue:
        yield venue


@pytest.fixture
async def exchange(name: str, venue: SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """The venue as nobody in particular sees it."""
    async with tu.Exchange(name, url=venue.url) as exchange:
        yield exchange


async def test_funding_rates_of_one_of_some_and_of_all(exchange: tu.Exchange) -> None:
    """The same rate whichever way it is asked for, with the time at which it is paid."""
    now = await exchange.fetch_time()
    one = await exchange.fetch_funding_rate(SWAP)
    everything = await exchange.fetch_funding_rates()
    some = await exchange.fetch_funding_rates(["ETH/USDT:USDT", SWAP])
    assert everything[SWAP] == some[SWAP] == one
    assert list(some) == ["ETH/USDT:USDT", SWAP]
    assert await exchange.fetch_funding_rates([]) == {}
    assert one.rate is not None
    assert abs(one.rate) < 0.01
    assert one.funding_time is not None
    assert now < one.funding_time <= now + 8 * HOUR
    assert one.mark_price is not None
    last = (await exchange.fetch_ticker(SWAP)).last
    assert last is not None
    assert abs(one.mark_price / last - 1) < 0.05


async def test_paid_funding_comes_back_whole_over_any_range(exchange: tu.Exchange) -> None:
    """``since`` is inclusive, ``until`` exclusive, pages are joined, the newest are taken: every payment once."""
    now = await exchange.fetch_time()
    newest = now - now % (8 * HOUR)
    every = await exchange.fetch_funding_rate_history(SWAP, since=newest - 499 * 8 * HOUR)
    times = [rate.time for rate in every]
    assert times == [newest - n * 8 * HOUR for n in reversed(range(500))]
    assert every[-100:] == await exchange.fetch_funding_rate_history(SWAP)
    assert every[-250:] == await exchange.fetch_funding_rate_history(SWAP, limit=250)
    since, until = times[10], times[300]
    assert since is not None
    assert until is not None
    assert every[10:300] == await exchange.fetch_funding_rate_history(SWAP, since=since, until=until)
    assert every[295:300] == await exchange.fetch_funding_rate_history(SWAP, since=since, until=until, limit=5)
    assert every[11:300] == await exchange.fetch_funding_rate_history(SWAP, since=since + 1, until=until)


async def test_funding_before_the_listing_is_not_missing(exchange: tu.Exchange) -> None:
    """The history of a swap begins with its first payment, whatever ``since`` says."""
    listed = (await exchange.load_markets())[SWAP].listed
    assert listed is not None
    found = await exchange.fetch_funding_rate_history(SWAP, since=listed - 300 * DAY, until=listed + 2 * DAY)
    assert [rate.time for rate in found] == [listed + n * 8 * HOUR for n in range(1, 6)]


async def test_open_interest_now_and_over_a_range(exchange: tu.Exchange) -> None:
    """What is open now, and how it came about; older values than the venue keeps are refused."""
    now = await exchange.fetch_time()
    interest = await exchange.fetch_open_interest(SWAP)
    assert (interest.symbol, interest.amount is not None) == (SWAP, True)
    every = await exchange.fetch_open_interest_history(SWAP, "5m", since=now - 3 * DAY)
    assert [one.time for one in every] == list(range((now - 3 * DAY) // 300_000 * 300_000 + 300_000, now, 300_000))
    assert every[-600:] == await exchange.fetch_open_interest_history(SWAP, "5m", limit=600)
    hours = await exchange.fetch_open_interest_history(SWAP)
    assert len(hours) == 100
    if exchange.venue == "binance":
        with pytest.raises(errors.RangeNotServed, match="partial=True") as caught:
            await exchange.fetch_open_interest_history(SWAP, "1d", since=now - 90 * DAY)
        assert caught.value.first == pytest.approx(now - 29 * DAY + 29 * DAY // 100, abs=5000)
        kept = await exchange.fetch_open_interest_history(SWAP, "1d", since=now - 90 * DAY, partial=True)
        assert 28 <= len(kept) <= 30


async def test_mark_and_index_candles_keep_the_promises_of_candles(exchange: tu.Exchange) -> None:
    """Paged, closed, without volume; mark, index and last differ and are close to one another."""
    now = await exchange.fetch_time()
    since = now - now % 60_000 - 1700 * 60_000
    traded = await exchange.fetch_ohlcv(SWAP, "1m", since=since)
    mark = await exchange.fetch_mark_ohlcv(SWAP, "1m", since=since)
    index = await exchange.fetch_index_ohlcv(SWAP, "1m", since=since)
    for candles in (mark, index):
        assert np.array_equal(candles.time, traded.time)
        assert len(candles) == 1700
        assert candles.closed.all()
        assert np.isnan(candles.volume).all()
        assert np.allclose(candles.close, traded.close, rtol=0.05)
        assert not np.array_equal(candles.close, traded.close)
    assert not np.array_equal(mark.close, index.close)
    newest = await exchange.fetch_mark_ohlcv(SWAP, "1m", limit=10, closed_only=False)
    assert newest.closed.tolist() == [True] * 9 + [False]
    assert mark[-9:] == newest[:9]


async def test_a_spot_symbol_is_answered_with_the_swap(exchange: tu.Exchange) -> None:
    """Spot pays no funding: the error says what to write."""
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: exchange.fetch_funding_rate("BTC/USDT"),
        lambda: exchange.fetch_funding_rates(["BTC/USDT"]),
        lambda: exchange.fetch_funding_rate_history("BTC/USDT"),
        lambda: exchange.fetch_open_interest("BTC/USDT"),
        lambda: exchange.fetch_open_interest_history("BTC/USDT"),
        lambda: exchange.fetch_mark_ohlcv("BTC/USDT"),
        lambda: exchange.fetch_index_ohlcv("BTC/USDT"),
    ]
    for call in calls:
        with pytest.raises(errors.UsageError, match="write 'BTC/USDT:USDT'"):
            await call()
    with pytest.raises(errors.BadSymbol, match="BTC/USDT:USDT"):
        await exchange.fetch_funding_rate("BTC/USDT:USD")
    with pytest.raises(errors.UnknownName, match=f"{exchange.venue} has"):
        await exchange.fetch_open_interest_history(SWAP, "7m")
    with pytest.raises(errors.UsageError, match="limit"):
        await exchange.fetch_funding_rate_history(SWAP, limit=0)
    with pytest.raises(errors.TradeutilsError):
        await exchange.fetch_open_interest_history(SWAP, "1m")  # a timeframe of candles alone


async def test_a_base_without_a_swap_is_said_to_have_none() -> None:
    """There is nothing to write instead."""
    async with SimulatedVenue("binance", symbols=["BTC/USDT"]) as venue, tu.Exchange("binance", url=venue.url) as one:
        with pytest.raises(errors.UsageError, match="lists no swap of BTC"):
            await one.fetch_funding_rate("BTC/USDT")


async def test_derivatives_are_shared_like_all_else(name: str, venue: SimulatedVenue) -> None:
    """Through the cache one request serves all; what comes back is equal, and the caller's own."""
    async with tu.Cache() as cache, tu.Exchange(name, url=venue.url, cache=cache) as exchange:
        await exchange.load_markets()
        first = await exchange.fetch_funding_rate_history(SWAP, limit=50)
        before = venue.requests.total
        first.append(first[0])
        again, rate, same = await asyncio.gather(
            exchange.fetch_funding_rate_history(SWAP, limit=50),
            exchange.fetch_funding_rate(SWAP),
            exchange.fetch_funding_rate(SWAP),
        )
        assert again == first[:-1]
        assert rate == same
        assert venue.requests.total == before + 1
        assert codec.loads(codec.dumps([rate, again])) == [rate, again]


def test_the_blocking_form_answers_the_same() -> None:
    """Every method has its blocking twin."""
    with sim.serve("binance", symbols=2, seed=3) as venue, sync.Exchange("binance", url=venue.url) as exchange:
        assert exchange.fetch_funding_rate(SWAP) == exchange.fetch_funding_rates([SWAP])[SWAP]
        assert len(exchange.fetch_open_interest_history(SWAP, "1h", limit=3)) == 3
        assert len(exchange.fetch_mark_ohlcv(SWAP, "1h", limit=3)) == 3
