"""Every request of an Exchange pays from its budget, whoever in ccxt sent it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget, Window
from tradeutils.settings import ExchangeSettings, WindowSettings
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue
from tradeutils.sim.limits import Limits

ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)
TICKERS = 80  # weight of the tickers of all markets


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Ten generated symbols on a venue that keeps Binance's limits."""
    async with SimulatedVenue("binance", symbols=10, seed=3) as venue:
        yield venue


async def _spent(budget: LocalBudget, name: str = "weight") -> float:
    return sum(
        window.used
        for pool in await budget.usage()
        for window in pool.windows
        if window.window.name == name and window.window.seconds < 3600
    )


async def test_no_request_leaves_without_a_charge(venue: SimulatedVenue) -> None:
    """Markets, the clock, pages, private calls, orders and what ccxt asks by itself: the venue's count is ours."""
    budget = LocalBudget()
    async with tu.Exchange("binance", url=venue.url, account=ALICE, budget=budget) as exchange:
        await exchange.load_markets()
        await exchange.fetch_tickers()
        await exchange.fetch_tickers(["BTC/USDT", "ETH/USDT"])
        await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=2500)
        await exchange.fetch_order_book("BTC/USDT", limit=500)
        await exchange.fetch_trades("BTC/USDT")
        await exchange.fetch_panel(["BTC/USDT", "ETH/USDT", "BNB/USDT"], "1h", limit=10)
        await exchange.fetch_balance()
        order = await exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal(20_000))
        await exchange.fetch_open_orders()
        await exchange.cancel_order(str(order.id), "BTC/USDT")
        await exchange._venue._ccxt.fetch_my_trades("BTC/USDT")
        assert venue.requests.weight > 250
        assert await _spent(budget) == venue.requests.weight
        assert await _spent(budget, "orders") == 1
        assert not await _spent(LocalBudget())


async def test_ccxts_own_limiter_is_off(venue: SimulatedVenue) -> None:
    """Two limiters would wait for each other, and ccxt's knows nothing of other processes."""
    async with tu.Exchange("binance", url=venue.url, budget=LocalBudget()) as exchange:
        inner = exchange._venue._ccxt

        async def throttle(*_: Any) -> None:
            raise AssertionError

        inner.throttle = throttle
        await exchange.fetch_tickers()
        assert not inner.enableRateLimit


async def test_ccxts_own_repetition_is_off(venue: SimulatedVenue) -> None:
    """With its option set, ccxt would send an order four times."""
    venue.faults.add("status", status=503, after=True, path="/api/v3/ticker/24hr")
    options = {"maxRetriesOnFailure": 3}
    async with tu.Exchange("binance", url=venue.url, budget=LocalBudget(), options=options, retries=0) as exchange:
        with pytest.raises(errors.VenueUnavailable):
            await exchange.fetch_tickers()
    assert venue.requests.paths["/api/v3/ticker/24hr"] == 1


async def test_what_was_never_sent_is_given_back() -> None:
    """Nobody listens: no request left, and none is paid for."""
    budget = LocalBudget()
    async with tu.Exchange("binance", url="http://127.0.0.1:1", budget=budget, retries=1) as exchange:
        with pytest.raises(errors.VenueUnavailable):
            await exchange.fetch_tickers()
    assert await _spent(budget) == 0
    assert [pool.waiters for pool in await budget.usage()] == [0] * 3


async def test_cancelled_waiters_leave_nothing_behind(venue: SimulatedVenue) -> None:
    """Sixty who wait for room and are cancelled have spent nothing, and the next one does not wait for them."""
    budget = LocalBudget([Window("weight", 2 * TICKERS + 20, 1.0)])
    async with tu.Exchange("binance", url=venue.url, budget=budget) as exchange:
        await exchange.load_markets()
        await exchange.fetch_tickers()
        spent = await _spent(budget)
        waiting = [asyncio.create_task(exchange._venue.fetch_tickers(None)) for _ in range(60)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await _spent(budget) <= spent + TICKERS  # the first of them had room
        assert all(pool.waiters == 0 for pool in await budget.usage())
        await exchange.fetch_ticker("BTC/USDT")


async def test_a_refusal_closes_the_gate_for_all_who_share_the_budget() -> None:
    """After a 429 nobody sends anything until its Retry-After is over, and then the call goes on by itself."""
    limits = Limits(weight=100, window=1.0)
    budget = LocalBudget([Window("weight", 100_000, 60)])  # believes to have more than there is
    async with (
        SimulatedVenue("binance", symbols=10, limits=limits) as venue,
        tu.Exchange("binance", url=venue.url, budget=budget) as one,
        tu.Exchange("binance", url=venue.url, budget=budget) as other,
    ):
        await one.load_markets()
        await other.load_markets()
        await asyncio.gather(*(exchange.fetch_tickers() for exchange in (one, other)))
        log = venue.requests.last()
    refused = [record for record in log if record.status in (418, 429)]
    assert refused
    closed = max(record.received for record in refused)
    opened = min((record.received for record in log if record.received > closed), default=closed)
    assert {record.status for record in log if record.received > closed} == {200}
    assert opened - closed >= 0.9  # Retry-After is in whole seconds


async def test_a_ban_that_outlasts_the_deadline_is_told_at_once(venue: SimulatedVenue) -> None:
    """The one who was refused and all others learn for how long; nobody asks the venue any more."""
    budget = LocalBudget()
    until = venue.clock.now() + 3_600_000
    body = f'{{"code":-1003,"msg":"Way too many requests; IP banned until {until}."}}'
    venue.faults.add("status", status=418, body=body, path="/api/v3/ticker/24hr")
    async with (
        tu.Exchange("binance", url=venue.url, budget=budget) as one,
        tu.Exchange("binance", url=venue.url, budget=budget) as other,
    ):
        await one.fetch_time()
        await one.load_markets()
        with pytest.raises(errors.RateLimited) as caught:
            await one.fetch_tickers()
        asked = venue.requests.total
        with pytest.raises(errors.RateLimited, match="banned") as told:
            await other.fetch_time()
        assert caught.value.retry_after == pytest.approx(3600, abs=10)
        assert told.value.retry_after == pytest.approx(3600, abs=10)
        assert told.value.operation == "fetch_time"
    assert venue.requests.total == asked


async def test_refusals_of_one_burst_do_not_multiply_the_ban(venue: SimulatedVenue) -> None:
    """Twenty requests that were under way together are refused together: one ban of a second, not of 2**20."""
    budget = LocalBudget()
    venue.faults.add("latency", seconds=0.1, path="/api/v3/ticker/24hr")
    venue.faults.add("status", status=429, path="/api/v3/ticker/24hr", count=20)
    async with tu.Exchange("binance", url=venue.url, budget=budget, retries=0) as exchange:
        await exchange.load_markets()
        found = await asyncio.gather(
            *(exchange._venue.fetch_ticker("BTC/USDT") for _ in range(20)), return_exceptions=True
        )
        assert {type(one) for one in found} == {errors.RateLimited}
        assert max(pool.banned_for for pool in await budget.usage()) <= 1.0


async def test_the_venues_own_count_corrects_ours(venue: SimulatedVenue) -> None:
    """What others behind this address spent shows in the headers of the next reply."""
    ours, theirs = LocalBudget(), LocalBudget()
    async with (
        tu.Exchange("binance", url=venue.url, budget=ours) as exchange,
        tu.Exchange("binance", url=venue.url, budget=theirs) as stranger,
    ):
        for _ in range(5):
            await stranger.fetch_tickers()
        await exchange.fetch_time()
    spot = [one for pool in await ours.usage() for one in pool.windows if pool.pool.startswith("binance.spot")]
    assert max(one.used for one in spot if one.window.name == "weight") >= 5 * TICKERS


async def test_an_order_leaves_before_queued_data(venue: SimulatedVenue) -> None:
    """Behind forty tickers that wait for room, the order is the next request but what had left already."""
    budget = LocalBudget([Window("weight", 60, 3.0)])
    async with tu.Exchange("binance", url=venue.url, account=ALICE, budget=budget) as exchange:
        await exchange.load_markets()
        await exchange.fetch_balance()  # the clock is known
        waiting = [asyncio.create_task(exchange._venue.fetch_ticker("BTC/USDT")) for _ in range(60)]
        await asyncio.sleep(0.05)
        while exchange._venue._connection._meter._under_way:  # noqa: ASYNC110  # those that had room are answered
            await asyncio.sleep(0.01)
        asked = venue.requests.paths.get("/api/v3/ticker/24hr", 0)
        await exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal(20_000))
        paths = [record.path for record in venue.requests.last()]
        placed = paths.index("/api/v3/order")
        assert paths[:placed].count("/api/v3/ticker/24hr") <= asked + 1
        assert sum(task.done() for task in waiting) < 60
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_an_order_that_cannot_leave_in_time_is_not_sent(venue: SimulatedVenue) -> None:
    """One that waited for minutes would be placed at a price of long ago."""
    budget = LocalBudget()
    async with tu.Exchange("binance", url=venue.url, account=ALICE, budget=budget, deadline=0.2) as exchange:
        await exchange.fetch_balance()
        await exchange.load_markets()
        spot = next(pool.pool for pool in await budget.usage() if ".spot" in pool.pool)
        await budget.ban(spot, 60.0, "told so")
        with pytest.raises(errors.RateLimited) as caught:
            await exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal(20_000))
    assert caught.value.retry_after == pytest.approx(60, abs=5)
    assert (caught.value.operation, caught.value.symbol) == ("create_order", "BTC/USDT")
    assert "/api/v3/order" not in venue.requests.paths


async def test_own_windows_and_pauses_come_from_the_settings(venue: SimulatedVenue) -> None:
    """A pause of 50 ms between requests, as the old bot had it; a budget's own windows go before those of a file."""
    paced = ExchangeSettings(rate_limit_ms=50)
    async with tu.Exchange("binance", url=venue.url, budget=LocalBudget(), settings=paced) as exchange:
        await exchange.load_markets()
        await asyncio.gather(*(exchange._venue.fetch_ticker("BTC/USDT") for _ in range(5)))
    times = [record.received for record in venue.requests.last() if record.path == "/api/v3/ticker/24hr"]
    assert times[-1] - times[0] >= 4 * 0.05 - 0.01
    told = ExchangeSettings(windows=[WindowSettings(name="weight", limit=123, seconds=7)])
    for given, limit in ((None, 123), ([Window("weight", 456, 7)], 456)):
        budget = LocalBudget(given)
        async with tu.Exchange("binance", url=venue.url, budget=budget, settings=told) as exchange:
            await exchange.fetch_time()
        limits = {one.window.limit for pool in await budget.usage() for one in pool.windows}
        assert limit in limits


async def test_venues_at_other_addresses_share_nothing(venue: SimulatedVenue) -> None:
    """A ban of a simulated venue is none of the real one, nor of another simulated one."""
    budget = LocalBudget()
    async with (
        SimulatedVenue("binance", symbols=3) as elsewhere,
        tu.Exchange("binance", url=venue.url, budget=budget) as here,
        tu.Exchange("binance", url=elsewhere.url, budget=budget) as there,
    ):
        await here.fetch_time()
        await budget.ban((await budget.usage())[0].pool, 60.0, "told so")
        await there.fetch_time()
    assert len(await budget.usage()) == 2


async def test_a_request_that_is_sent_twice_is_paid_twice() -> None:
    """A redirect within the host is followed, and is a request of its own."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        if request.path == "/api/v3/time":
            raise web.HTTPTemporaryRedirect("/elsewhere")
        return web.json_response({"serverTime": 1})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    budget = LocalBudget()
    try:
        url = "http://{}:{}".format(*runner.addresses[0][:2])
        async with tu.Exchange("binance", url=url, budget=budget, retries=0) as exchange:
            await exchange.fetch_time()
    finally:
        await runner.cleanup()
    assert seen == ["/api/v3/time", "/elsewhere"]
    assert await _spent(budget, "requests") == 2


def test_the_key_is_no_part_of_what_a_budget_is_told() -> None:
    """Owners of windows are digests: they stand in Redis and in what `doctor` prints."""
    from tradeutils.exchange.venues.configuration import account_digest

    digest = account_digest(ALICE)
    assert digest is not None
    assert DEFAULT_ACCOUNT.key[:8] not in digest
    assert digest == account_digest(ALICE)
    assert account_digest(None) is None


async def test_exchanges_on_one_redis_share_one_budget(venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """Two caches, as two processes have them: each sees what the other spent; another egress address does not."""
    elsewhere = ExchangeSettings(egress="elsewhere")
    async with (
        tu.Cache(valkey.url, namespace="a") as one_cache,
        tu.Cache(valkey.url, namespace="b") as other_cache,
        tu.Exchange("binance", url=venue.url, cache=one_cache) as one,
        tu.Exchange("binance", url=venue.url, cache=other_cache) as other,
        tu.Exchange("binance", url=venue.url, cache=one_cache, settings=elsewhere) as apart,
    ):
        await one.fetch_tickers()
        await other.fetch_time()
        await apart.fetch_time()
        usages = [await exchange._venue._connection._meter._budget.usage() for exchange in (one, other, apart)]
    weights = [
        [
            w.used
            for pool in usage
            for w in pool.windows
            if pool.pool.startswith("binance.spot") and w.window.name == "weight"
        ]
        for usage in usages
    ]
    assert all(pool.shared for usage in usages for pool in usage)
    assert weights[0] == weights[1]
    assert weights[0][0] >= TICKERS


async def test_a_budget_that_cannot_be_told_of_a_ban_hides_no_refusal(
    venue: SimulatedVenue, caplog: pytest.LogCaptureFixture
) -> None:
    """The venue's own answer is what the caller sees; the rest is in the log."""

    class Deaf(LocalBudget):
        async def ban(self, pool: str, seconds: float, reason: str) -> None:
            raise errors.CacheUnavailable("away")

        async def observe(self, readings: Any) -> None:
            raise errors.CacheUnavailable("away")

    venue.faults.add("status", status=429, path="/api/v3/ticker/24hr")
    async with tu.Exchange("binance", url=venue.url, budget=Deaf(), retries=0) as exchange:
        await exchange.fetch_time()
        with pytest.raises(errors.RateLimited):
            await exchange.fetch_tickers()
    assert caplog.text.count("could not be told") >= 2
