"""Signed requests carry the venue's time, whatever the machine's clock says."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.requests.calls import Call, current_call
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue

MINUTE = 60_000
TIME = "/api/v3/time"


ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)


def _open(venue: SimulatedVenue, **options: Any) -> tu.Exchange:
    return tu.Exchange("binance", url=venue.url, account=ALICE, budget=LocalBudget(), **options)


@pytest.mark.parametrize("skew", [-30 * MINUTE, -1_500, 0, 1_500, 30 * MINUTE])
async def test_a_machine_whose_clock_is_off_signs_with_the_venues_time(skew: int) -> None:
    """The venue judges timestamps to the second; the first signed request asks five times, the next not at all."""
    async with SimulatedVenue("binance", symbols=3, skew=skew) as venue, _open(venue, retries=0) as exchange:
        await exchange.fetch_balance()
        assert venue.requests.paths[TIME] == 5
        await exchange.fetch_open_orders("BTC/USDT")
        await exchange.fetch_balance()
        assert venue.requests.paths[TIME] == 5
        assert venue.requests.errors == 0


async def test_public_calls_cost_no_five_requests() -> None:
    """One tells which candle is closed; tickers need none."""
    async with SimulatedVenue("binance", symbols=3) as venue, _open(venue) as exchange:
        await exchange.fetch_ticker("BTC/USDT")
        assert TIME not in venue.requests.paths
        await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=3)
        assert venue.requests.paths[TIME] == 1


async def test_one_delayed_sample_does_not_move_the_clock() -> None:
    """Of five answers one is a second late: the median is not."""
    async with SimulatedVenue("binance", symbols=3, skew=0) as venue, _open(venue) as exchange:
        venue.faults.add("latency", seconds=0.6, after=True, path=TIME, count=1)
        await exchange.fetch_balance()
        assert abs(exchange._venue._clock.at(exchange._venue._clock.monotonic()) - venue.clock.now()) < 150


async def test_a_refused_timestamp_is_sent_again_with_the_right_one() -> None:
    """The venue's clock jumped between two orders: refused unread, the time is asked for again, the order is placed."""
    async with SimulatedVenue("binance", symbols=3, strict_time=True, speed=1.0) as venue, _open(venue) as exchange:
        await exchange.fetch_balance()
        for jump in (20 * MINUTE, -40 * MINUTE):
            venue.clock.set(venue.clock.now() + jump)
            order = await exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.001"), Decimal(20_000))
            assert order.status == "open"
            venue.clock.set(venue.clock.now() + jump)
            assert (await exchange.fetch_balance())["USDT"].used > 0
        assert venue.requests.errors <= 4
        assert venue.requests.paths[TIME] == 5 * 5
        assert len(await exchange.fetch_open_orders()) == 2


async def test_many_refused_at_once_ask_for_the_time_once() -> None:
    """Ten balances are refused together: one asks, the others take its answer."""
    async with SimulatedVenue("binance", symbols=3, strict_time=True, speed=1.0) as venue, _open(venue) as exchange:
        await exchange.fetch_balance()
        venue.clock.set(venue.clock.now() + 20 * MINUTE)
        venue.faults.add("latency", seconds=0.1, after=True, path="/api/v3/account", count=10)
        await asyncio.gather(*(exchange.fetch_balance() for _ in range(10)))
        assert venue.requests.paths[TIME] <= 15


async def test_a_venue_that_does_not_tell_its_time_keeps_nobody_from_signing() -> None:
    """The local clock must do, and that is said."""
    async with SimulatedVenue("binance", symbols=3, skew=0) as venue, _open(venue) as exchange:
        outage = venue.faults.add("status", status=503, path=TIME)
        assert (await exchange.fetch_balance())["USDT"].total > 0
        venue.faults.remove(outage)
        await exchange.fetch_balance()
        assert exchange._venue._clock.precise


async def test_a_ban_is_no_reason_to_sign_by_another_clock() -> None:
    """Asked too much while the time was asked for: the call ends there."""
    async with SimulatedVenue("binance", symbols=3, skew=0) as venue, _open(venue, retries=0) as exchange:
        venue.faults.add("status", status=429, path=TIME)
        with pytest.raises(errors.RateLimited):
            await exchange.fetch_balance()
    assert "/api/v3/account" not in venue.requests.paths


async def test_a_venue_that_tells_its_time_in_headers_only_is_signed_for_with_that() -> None:
    """Half a second either way is near enough for a recvWindow of seconds."""
    async with SimulatedVenue("binance", symbols=3, skew=-30 * MINUTE) as venue, _open(venue, retries=0) as exchange:
        inner = exchange._venue._ccxt  # type: ignore[attr-defined]
        inner.has = {**inner.has, "fetchTime": False}
        await exchange.fetch_balance()
        assert abs(await exchange.fetch_time() - venue.clock.now()) < 1500
        assert TIME not in venue.requests.paths


async def test_a_cached_reply_does_not_put_the_clock_in_doubt() -> None:
    """A cache in between repeats the time at which it was filled; ``Age`` says so."""
    async with SimulatedVenue("binance", symbols=3, skew=0) as venue, _open(venue) as exchange:
        await exchange.fetch_balance()
        connection = exchange._venue._connection  # type: ignore[attr-defined]
        for age, precise in (({"Age": "60"}, True), ({}, False)):
            connection._on_reply(200, "", "", "", {"Date": "Mon, 01 Jan 2024 00:00:00 GMT", **age}, "")
            assert connection.clock.precise
            token = current_call.set(Call("x"))
            connection._on_reply(200, "", "", "", {"Date": "Mon, 01 Jan 2024 00:00:00 GMT", **age}, "")
            current_call.reset(token)
            assert connection.clock.precise is precise
