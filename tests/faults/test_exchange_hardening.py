"""What must hold whatever goes wrong beside a request: secrets, neighbours, bans, and what everybody pays."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.settings import ExchangeSettings
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue

ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)
SYMBOL = "BTC/USDT"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Three generated symbols on a venue that keeps Binance's limits."""
    async with SimulatedVenue("binance", symbols=3, seed=3, skew=0) as venue:
        yield venue


@pytest.fixture
async def listen() -> AsyncIterator[Callable[[Answer], Awaitable[str]]]:
    """Start servers that answer as they are told to."""
    runners: list[web.AppRunner] = []

    async def start(answer: Answer) -> str:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        return "http://{}:{}".format(*runner.addresses[0][:2])

    yield start
    for runner in runners:
        await runner.cleanup()


def _open(url: str, **options: Any) -> tu.Exchange:
    return tu.Exchange("binance", url=url, account=ALICE, **{"budget": LocalBudget(), **options})


async def _balance_of(request: web.Request) -> web.StreamResponse:
    """Answer what comes before a balance is asked for; that is sent on to itself."""
    if request.path.endswith("/account"):
        raise web.HTTPTemporaryRedirect(request.path_qs)
    return web.json_response({"serverTime": 1} if request.path.endswith("/time") else {"symbols": []})


async def test_neither_traceback_nor_log_holds_a_signature(
    listen: Callable[[Answer], Awaitable[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """A loop of redirects, whose error quotes the signed URL, with every logger of the process at DEBUG."""
    with caplog.at_level(logging.DEBUG):
        async with _open(await listen(_balance_of), retries=0) as exchange:
            with pytest.raises(errors.TradeutilsError) as caught:
                await exchange.fetch_balance()
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "/api/v3/account?" in told
    assert "signature=***" in told
    assert not [part for part in told.split("signature=")[1:] if not part.startswith("***")]
    assert DEFAULT_ACCOUNT.key not in told


async def test_a_redirect_in_the_other_header_is_not_followed_elsewhere(
    listen: Callable[[Answer], Awaitable[str]],
) -> None:
    """aiohttp follows ``URI`` where there is no ``Location``: key and signature would go to another host."""
    stolen: list[str] = []

    async def thief(request: web.Request) -> web.StreamResponse:
        stolen.append(request.path_qs)
        return web.json_response({})

    elsewhere = await listen(thief)

    async def venue(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/account"):
            return web.Response(status=307, headers={"URI": f"{elsewhere}/?{request.query_string}"})
        return await _balance_of(request)

    async with _open(await listen(venue), retries=0) as exchange:
        with pytest.raises(errors.RequestRefused, match="another host"):
            await exchange.fetch_balance()
    assert not stolen


async def test_a_caller_who_gives_up_takes_no_other_with_it(venue: SimulatedVenue) -> None:
    """Several wait for the markets at once; ccxt has them share one task, which the first to leave would cancel."""
    venue.faults.add("latency", seconds=0.3, path="/api/v3/exchangeInfo", count=1)
    async with _open(venue.url) as exchange:
        first = asyncio.create_task(exchange.fetch_balance())
        others = [asyncio.create_task(call) for call in (exchange.fetch_open_orders(), exchange.load_markets())]
        while not venue.requests.paths.get("/fapi/v1/exchangeInfo"):  # noqa: ASYNC110  # the venue rings no bell
            await asyncio.sleep(0.01)
        first.cancel()
        orders, markets = await asyncio.gather(*others)
        assert orders == []
        assert SYMBOL in markets
        assert first.cancelled()


async def test_markets_are_asked_for_once_by_all_who_need_them(venue: SimulatedVenue) -> None:
    """Three requests on Binance, whoever asks first and however many at once."""
    async with _open(venue.url) as exchange:
        await asyncio.gather(
            *(exchange.fetch_ticker(SYMBOL) for _ in range(10)), exchange.fetch_balance(), exchange.fetch_tickers()
        )
        assert {venue.requests.paths[f"/{api}/exchangeInfo"] for api in ("api/v3", "fapi/v1", "dapi/v1")} == {1}


async def test_a_key_that_is_refused_later_is_refused_once_and_closes_nothing(venue: SimulatedVenue) -> None:
    """ccxt calls it a ban once a login has succeeded."""
    budget = LocalBudget()
    async with _open(venue.url, budget=budget) as exchange:
        await exchange.fetch_balance()
        body = '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
        venue.faults.add("status", status=401, body=body, path="/api/v3/account")
        with pytest.raises(errors.AuthenticationFailed, match="-2015"):
            await exchange.fetch_balance()
        assert [fault["struck"] for fault in venue.faults.describe()] == [1]
        assert not any(pool.banned_for for pool in await budget.usage())


async def test_refusals_with_a_status_of_200_count_as_a_row(listen: Callable[[Answer], Awaitable[str]]) -> None:
    """Kraken refuses so: each silence is twice as long as the last, until a request is answered."""
    replies = ["EAPI:Rate limit exceeded"] * 3 + ["", "EAPI:Rate limit exceeded"]
    silences: list[float] = []

    class Told(LocalBudget):
        async def ban(self, pool: str, seconds: float, reason: str) -> None:
            silences.append(seconds)

    async def kraken(_: web.Request) -> web.StreamResponse:
        error = replies.pop(0)
        return web.json_response({"error": [error] if error else [], "result": {"unixtime": 1}})

    url = await listen(kraken)
    quick = ExchangeSettings(rate_limit_ms=1)
    async with tu.Exchange("kraken", url=url, budget=Told(), retries=0, settings=quick) as exchange:
        for _ in range(3):
            with pytest.raises(errors.RateLimited):
                await exchange.fetch_time()
        exchange._venue._clock.forget()  # type: ignore[attr-defined]
        await exchange.fetch_time()
        exchange._venue._clock.forget()  # type: ignore[attr-defined]
        with pytest.raises(errors.RateLimited) as caught:
            await exchange.fetch_time()
    assert silences == [5, 10, 20, 5]
    assert caught.value.retry_after == 5


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30])
async def test_a_caller_cancelled_at_any_moment_leaves_the_books_right(venue: SimulatedVenue, steps: int) -> None:
    """What the venue counted is what was charged, nobody waits, and nothing is on its way for ever."""
    budget = LocalBudget()
    async with _open(venue.url, budget=budget) as exchange:
        await exchange.load_markets()
        await exchange.fetch_balance()
        for call in (
            exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.001"), Decimal(20_000)),
            exchange.fetch_ticker(SYMBOL),
        ):
            task = asyncio.create_task(call)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert exchange._venue._connection._meter._under_way == 0  # type: ignore[attr-defined]
    await asyncio.sleep(0.02)  # what had left is counted by the venue
    usage = await budget.usage()
    assert not any(pool.waiters for pool in usage)
    used = {(one.window.name, one.window.seconds): 0.0 for pool in usage for one in pool.windows}
    for one in (one for pool in usage for one in pool.windows):
        used[one.window.name, one.window.seconds] += one.used
    placed = len(venue.ledger.orders(DEFAULT_ACCOUNT.key, venue.clock.now(), market="BTCUSDT"))
    assert used["weight", 60.0] == venue.requests.weight
    assert used.get(("orders", 10.0), 0.0) == placed


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"budget": "redis://user:word@localhost"}, "budget was a str; give a budget"),
        ({"budget": LocalBudget}, "budget was the class LocalBudget"),
        ({"settings": tu.Settings()}, r"settings.exchanges.get\('binance'\)"),
        ({"settings": {"timeout": 3}}, "settings was a dict"),
        ({"deadline": float("inf")}, "deadline was inf"),
    ],
)
def test_what_is_handed_in_wrongly_is_said(given: dict[str, Any], words: str) -> None:
    """A newcomer's mistakes end in a sentence, without what may be secret in it."""
    with pytest.raises(errors.UsageError, match=words) as caught:
        tu.Exchange("binance", **given)
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize("name", [None, 3, "", "binanc"])
def test_a_venue_that_there_is_not_is_said(name: Any) -> None:
    """Whatever was given."""
    with pytest.raises(errors.UnknownName, match="venue was"):
        tu.Exchange(name)
