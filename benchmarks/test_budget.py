"""
The budget under load: fleets behind one address, orders behind queues, answers that are lost, and what it costs.

The venue is simulated, on loopback, and enforces Binance's rules; what was rejected is what *it* counted. Windows are
of 6 s with a tenth of a minute's weight, so that a run takes half a minute; ``nox -s soak`` runs whole minutes. What
does not depend on the speed of the machine is asserted.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt.async_support
import pytest
import redis.asyncio as redis

import tradeutils as tu
from tradeutils.budget import Charge, Line
from tradeutils.link.address import parse_address
from tradeutils.link.link import Link
from tradeutils.sim import DEFAULT_ACCOUNT, Limits, SimulatedAccount, SimulatedVenue, serve

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from budget_fleet import Fleet, Race, fleet
from budget_races import Report, _report, _server, disturbed, greedy, raced  # noqa: F401  # two are fixtures
from servers import ValkeyServer

SYMBOL = "BTC/USDT"
RICH = SimulatedAccount(name="rich", key="r" * 64, secret="s" * 64, balances={"USDT": 10**9, "BTC": 10**6})
ACCOUNT = tu.Account(name="rich", exchange="binance", credentials=tu.Credentials(key=RICH.key, secret=RICH.secret))
BAN_S = 10


@pytest.mark.parametrize("who", ["tradeutils", "ccxt"])
@pytest.mark.parametrize("sliding", [False, True], ids=["calendar", "sliding"])
def test_greedy_fleet(benchmark: Any, report: Report, server: ValkeyServer, who: str, *, sliding: bool) -> None:
    """Eight greedy processes behind one address, for five windows."""
    greedy(benchmark, report, Race(who=who, redis=server.url, sliding=sliding))


@pytest.mark.parametrize("sliding", [False, True], ids=["calendar", "sliding"])
def test_killed_processes_and_restarted_redis(
    benchmark: Any, report: Report, server: ValkeyServer, *, sliding: bool
) -> None:
    """Eight greedy processes, of which one dies every 5 s, and a Redis that loses all it knew."""
    disturbed(benchmark, report, server, Race(who="tradeutils", redis=server.url, seconds=41.0, sliding=sliding))


def test_nobody_sends_while_the_address_is_banned(benchmark: Any, report: Report, server: ValkeyServer) -> None:
    """After a 418 with Retry-After nothing is sent but what was under way; then all go on."""
    race = Race(who="tradeutils", redis=server.url, weight=6_000, window=60.0, seconds=20.0, tasks=2, pause=0.1)
    banned: list[float] = []

    def ban(fleet: Fleet, venue: SimulatedVenue) -> int:
        time.sleep(4.0)

        async def post() -> None:
            async with aiohttp.ClientSession(venue.url) as session:
                body = {"address": "127.0.0.1", "seconds": BAN_S}
                async with session.post("/sim/bans", json=body) as response:
                    assert response.status == 200

        asyncio.run(post())
        banned.append(time.time())
        return 0

    task = f"418 with Retry-After {BAN_S}: 8 processes fall silent and come back"
    outcome = raced(benchmark, report, task, race, ban)
    told = next(one.received for one in outcome.requests if one.status == 418)
    ends = banned[0] + BAN_S
    # What left before the first 418 could be read; a process needs a moment to hear of it.
    late = [one.received - told for one in outcome.requests if told + 0.5 < one.received < ends]
    resumed = [min(moment for moment in worker["times"] if moment > ends) - ends for worker in outcome.workers]
    benchmark.extra_info.update({"418s": outcome.venue["banned"], "last resumed after": f"{max(resumed):.2f} s"})
    report(
        f"{task} | 418s: {outcome.venue['banned']}, sent in silence: {len(late)}, last resumed: {max(resumed):.2f} s"
    )
    assert late == []
    assert max(one.received for one in outcome.requests if one.received < ends) < told + 0.5
    assert all(one > 0 for one in resumed)


@contextlib.asynccontextmanager
async def plain_ccxt(url: str, **config: Any) -> Any:
    """Open ccxt's class on a venue, with the keys of the rich account."""
    urls = dict.fromkeys(("public", "private", "v1"), f"{url}/api/v3")
    urls |= {name: f"{url}/{name[:4]}/v1" for name in ("fapiPublic", "dapiPublic")} | {"sapi": f"{url}/sapi/v1"}
    own = {"apiKey": RICH.key, "secret": RICH.secret, "urls": {"api": urls}, **config}
    options = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}
    async with ccxt.async_support.binance({**own, "options": {**options, **config.get("options", {})}}) as exchange:
        await exchange.load_markets()
        yield exchange


QUEUED = 500
STRICT = Limits(weight=120, window=6.0)


def order_left(venue: SimulatedVenue, asked: float) -> float:
    """Return the seconds until the venue had the newest order."""
    found = [one.received for one in venue.requests.last(10_000) if (one.method, one.path) == ("POST", "/api/v3/order")]
    return found[-1] - asked


async def order_behind_candles(
    fetch: Callable[[], Awaitable[Any]], order: Callable[[], Awaitable[Any]], venue: SimulatedVenue, rounds: int
) -> list[float]:
    """Queue the candles, place orders, and return after how many seconds each arrived."""
    queued = [asyncio.create_task(fetch()) for _ in range(QUEUED)]
    await asyncio.sleep(1.0)
    taken = []
    for _ in range(rounds):
        asked = time.time()
        await order()
        taken.append(order_left(venue, asked))
        assert sum(not task.done() for task in queued) > QUEUED / 2 or rounds == 1
        await asyncio.sleep(1.1)
    for task in queued:
        task.cancel()
    await asyncio.gather(*queued, return_exceptions=True)
    return taken


@pytest.mark.parametrize("who", ["tradeutils, one process", "tradeutils, Redis", "ccxt"])
def test_order_behind_queued_candles(benchmark: Any, report: Report, server: ValkeyServer, who: str) -> None:
    """An order goes ahead of 500 requests for candles that wait for room."""
    task = f"an order behind {QUEUED} queued requests for candles"
    benchmark.group = f"{task}: {who}"

    async def ours(venue: SimulatedVenue) -> list[float]:
        windows = [tu.Window("weight", STRICT.weight, STRICT.window)]
        budget = tu.RedisBudget(server.url, windows=windows) if "Redis" in who else tu.LocalBudget(windows)
        async with tu.Exchange("binance", url=venue.url, account=ACCOUNT, budget=budget) as exchange:
            await exchange.load_markets()
            await exchange.fetch_ohlcv(SYMBOL, "1m", limit=1)
            await exchange.create_order(SYMBOL, "market", "buy", Decimal("0.001"))
            taken = await order_behind_candles(
                lambda: exchange.fetch_ohlcv(SYMBOL, "1m", limit=1),
                lambda: exchange.create_order(SYMBOL, "market", "buy", Decimal("0.001")),
                venue,
                11,
            )
        await budget.aclose()
        return taken

    async def theirs(venue: SimulatedVenue) -> list[float]:
        rate = 1000 * STRICT.window / (STRICT.weight / 5)
        async with plain_ccxt(venue.url, rateLimit=rate) as exchange:
            return await order_behind_candles(
                lambda: exchange.fetch_ohlcv(SYMBOL, "1m", None, 1),
                lambda: exchange.create_order(SYMBOL, "market", "buy", 0.001),
                venue,
                1,
            )

    with serve(symbols=2, speed=1.0, limits=STRICT, accounts=[RICH]) as venue:
        work = theirs if who == "ccxt" else ours
        taken: list[float] = benchmark.pedantic(lambda: asyncio.run(work(venue)), rounds=1)
        rejected = venue.requests.rejected
    median = statistics.median(taken)
    benchmark.extra_info.update({"who": who, "median": f"{1000 * median:.1f} ms", "rejected": rejected})
    figures = f"median {1000 * median:.1f} ms, worst {1000 * max(taken):.1f} ms, {rejected} rejected"
    report(f"{task} | {who}: {figures}")
    if who != "ccxt":
        assert rejected == 0


def test_order_behind_other_processes(benchmark: Any, report: Report, server: ValkeyServer) -> None:
    """The same where the 500 requests wait in eight other processes."""
    benchmark.group = task = f"an order behind {QUEUED} requests queued in 8 other processes"
    race = Race(who="tradeutils", redis=server.url, seconds=30.0, tasks=-(-QUEUED // 8))
    holder = tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret)
    account = tu.Account(name="demo", exchange="binance", credentials=holder)

    async def orders(venue: SimulatedVenue, running: Fleet) -> list[float]:
        taken = []
        budget = tu.RedisBudget(server.url, windows=[tu.Window("weight", race.weight, race.window)])
        async with tu.Exchange("binance", url=venue.url, account=account, budget=budget) as exchange:
            await exchange.create_order(SYMBOL, "market", "buy", Decimal("0.001"))
            running.go()
            await asyncio.sleep(1.5 * race.window)  # its reserve fills as the others' spending expires
            for _ in range(11):
                asked = time.time()
                await exchange.create_order(SYMBOL, "market", "buy", Decimal("0.001"))
                taken.append(order_left(venue, asked))
                await asyncio.sleep(1.1)
        await budget.aclose()
        return taken

    with fleet(race) as (running, venue):
        taken: list[float] = benchmark.pedantic(lambda: asyncio.run(orders(venue, running)), rounds=1)
        running.results()
        rejected = venue.requests.rejected
    median = statistics.median(taken)
    benchmark.extra_info.update({"who": "tradeutils", "median": f"{1000 * median:.1f} ms", "rejected": rejected})
    figures = f"median {1000 * median:.1f} ms, worst {1000 * max(taken):.1f} ms, {rejected} rejected"
    report(f"{task} | tradeutils: {figures}")
    assert rejected == 0


ORDERS = 1_000


def losing(venue: SimulatedVenue) -> None:
    """Let one answer to an order in ten be lost after it was accepted: by a reset, or by a gateway's 504."""
    place = {"method": "POST", "path": "/api/v3/order", "after": True}
    venue.faults.add("reset", probability=0.05, seed=1, **place)
    venue.faults.add("status", status=504, body="", probability=0.05, seed=2, **place)


@pytest.mark.parametrize("who", ["tradeutils", "ccxt"])
def test_lost_answers(benchmark: Any, report: Report, who: str) -> None:
    """A thousand orders at a venue that loses one answer in ten: how many it has in the end."""
    task = f"{ORDERS} orders, 10 % of the answers lost after accepting"
    benchmark.group = f"{task}: {who}"
    known, unknown = [], []

    async def place(create: Callable[[int], Awaitable[Any]]) -> None:
        numbers = iter(range(ORDERS))

        async def some() -> None:
            for number in numbers:
                try:
                    known.append(await create(number))
                except Exception as error:  # noqa: BLE001  # of either library: who placed it does not know
                    unknown.append(error)

        await asyncio.gather(*(some() for _ in range(20)))

    async def ours(venue: SimulatedVenue) -> None:
        windows = [tu.Window("weight", 10**8, 60), tu.Window("orders", 10**8, 10, "account")]
        async with tu.Exchange("binance", url=venue.url, account=ACCOUNT, budget=tu.LocalBudget(windows)) as exchange:
            await place(lambda _: exchange.create_order(SYMBOL, "market", "buy", Decimal("0.001")))

    async def theirs(venue: SimulatedVenue) -> None:
        options = {"maxRetriesOnFailure": 3}
        async with plain_ccxt(venue.url, enableRateLimit=False, options=options) as exchange:
            await place(lambda _: exchange.create_order(SYMBOL, "market", "buy", 0.001))

    limits = Limits(weight=10**9, orders=10**6, orders_day=10**7)
    with serve(symbols=2, speed=1.0, limits=limits, accounts=[RICH]) as venue:
        venue.requests.kept = 100_000
        losing(venue)
        work = ours if who == "tradeutils" else theirs
        benchmark.pedantic(lambda: asyncio.run(work(venue)), rounds=1)
        placed = [one for one in venue.requests.last(100_000) if one.path == "/api/v3/order" and one.method == "POST"]
        on_venue = sum(venue.requests.orders.values())
        lost = sum(bool(one.fault) for one in placed)
    figures = {"on the venue": on_venue, "answers lost": lost, "outcome unknown": len(unknown)}
    benchmark.extra_info.update({"who": who, **figures})
    report(f"{task} | {who}: " + ", ".join(f"{name} {count}" for name, count in figures.items()))
    assert lost > ORDERS / 20
    if who == "tradeutils":
        assert on_venue == ORDERS
        assert unknown == []
        assert len({order.client_id for order in known}) == ORDERS
        assert set(venue.requests.orders.values()) == {1}


def charge() -> Charge:
    """What a request for candles costs, in windows that are never full."""
    pool = "binance.spot"
    windows = (tu.Window("weight", 1e9, 60), tu.Window("requests", 1e9, 300))
    return Charge(pool, tuple(Line(window, cost, pool) for window, cost in zip(windows, (2.0, 1.0), strict=True)))


TIMES = 500


@pytest.mark.parametrize("who", ["tradeutils", "PING, our connection", "PING, redis-py"])
def test_cost_of_a_shared_acquire(benchmark: Any, server: ValkeyServer, who: str) -> None:
    """One after another, over loopback, against the shortest command there is."""
    benchmark.group = f"acquire from Redis ({TIMES} in turn)"
    benchmark.extra_info["who"] = who
    with asyncio.Runner() as runner:
        budget, client, asked = tu.RedisBudget(server.url), redis.from_url(server.url), charge()
        link = Link(parse_address(server.url), 10.0)

        async def acquire() -> None:
            for _ in range(TIMES):
                (await budget.acquire(asked)).settle()

        async def ping() -> None:
            for _ in range(TIMES):
                await link.call([(b"PING",)])

        async def ping_of_redis_py() -> None:
            for _ in range(TIMES):
                await client.ping()

        work = {"tradeutils": acquire, "PING, redis-py": ping_of_redis_py}.get(who, ping)
        benchmark.pedantic(lambda: runner.run(work()), rounds=50, warmup_rounds=3)

        async def close() -> None:
            await budget.aclose()
            await link.aclose()
            await client.aclose()

        runner.run(close())


@pytest.mark.parametrize("who", ["tradeutils", "ccxt"])
def test_cost_of_a_local_acquire(benchmark: Any, who: str) -> None:
    """One after another in this process, where there is room at once; ccxt's limiter beside it."""
    times = 2_000
    benchmark.group = f"acquire in this process ({times} in turn)"
    benchmark.extra_info["who"] = who
    with asyncio.Runner() as runner:
        budget, asked = tu.LocalBudget(), charge()
        # A window of which 2000 requests are a small part: what ccxt looks through with each grows with it.
        window = {"rateLimit": 1e-3, "rateLimiterAlgorithm": "rollingWindow", "rollingWindowSize": 1e3}

        async def opened() -> Any:
            return ccxt.async_support.binance(window)

        exchange = runner.run(opened())

        async def acquire() -> None:
            for _ in range(times):
                (await budget.acquire(asked)).settle()

        async def throttle() -> None:
            for _ in range(times):
                await exchange.throttle(0.4)

        benchmark.pedantic(lambda: runner.run(acquire() if who == "tradeutils" else throttle()), rounds=20)
        runner.run(exchange.close())
