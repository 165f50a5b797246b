"""On a venue that numbers requests, the numbers rise in the order in which it reads them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt.async_support
import pytest
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.requests.nonces import NUMBERED
from tradeutils.settings import ExchangeSettings, WindowSettings
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedAccount, SimulatedVenue
from tradeutils.sim.limits import Limits

SECRET = "b" * 88  # base64, as kraken's are
ALICE = tu.Account(name="alice", exchange="kraken", credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=SECRET))
BALANCE = "/0/private/BalanceEx"
SYMBOL, AMOUNT, PRICE = "BTC/USD", Decimal("0.001"), Decimal(250_000)
FAST = ExchangeSettings(
    timeout=2.0,
    rate_limit_ms=1,
    windows=[WindowSettings(name="counter", limit=100_000, seconds=45, scope="account")],
)


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """A venue that refuses every nonce that is not above the key's last."""
    holder = SimulatedAccount(name="x", key=DEFAULT_ACCOUNT.key, secret=SECRET, balances={"USD": "100000"})
    async with SimulatedVenue("kraken", symbols=[SYMBOL], accounts=[holder], limits=Limits.none()) as venue:
        yield venue


def _open(venue: SimulatedVenue, budget: LocalBudget | None = None, **options: Any) -> tu.Exchange:
    return tu.Exchange("kraken", url=venue.url, account=ALICE, budget=budget, settings=FAST, **options)


def _posts(venue: SimulatedVenue) -> list[str]:
    return [record.path for record in venue.requests.last() if record.path == "/0/private/AddOrder"]


def test_the_venues_that_number_requests_are_ccxts() -> None:
    """Their classes sign with the hook that is taken over; a rename would give every process its own numbers."""
    for name in NUMBERED:
        assert "incrementing_nonce" in getattr(ccxt.async_support, name).sign.__code__.co_names


async def test_numbers_rise_in_the_order_of_arrival(venue: SimulatedVenue) -> None:
    """Forty private calls at once through two exchanges of one key: none is refused, and no clock is asked."""
    budget = LocalBudget()
    async with _open(venue, budget, retries=0) as one, _open(venue, budget, retries=0) as other:
        await asyncio.gather(*(exchange.fetch_balance() for exchange in (one, other) for _ in range(20)))
    assert venue.requests.paths[BALANCE] == 40
    assert venue.requests.errors == 0
    assert "/0/public/Time" not in venue.requests.paths


async def test_ccxt_alone_is_refused_where_two_instances_share_a_key(venue: SimulatedVenue) -> None:
    """What this is for: each instance counts by itself, and their requests overtake one another."""
    keys = {"apiKey": DEFAULT_ACCOUNT.key, "secret": SECRET, "enableRateLimit": False}
    pair = [ccxt.async_support.kraken(keys) for _ in range(2)]
    try:
        for instance in pair:
            instance.urls["api"] = dict.fromkeys(instance.urls["api"], venue.url)
            await instance.load_markets()
        found = await asyncio.gather(
            *(instance.fetch_balance() for instance in pair for _ in range(20)), return_exceptions=True
        )
    finally:
        await asyncio.gather(*(instance.close() for instance in pair))
    assert any(isinstance(one, ccxt.async_support.InvalidNonce) for one in found)


async def test_a_slow_answer_does_not_hold_up_a_cancel_for_long(venue: SimulatedVenue) -> None:
    """The turn of a request whose answer does not come ends, and the next one leaves."""
    async with _open(venue, LocalBudget()) as exchange:
        order = await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
        venue.faults.add("latency", seconds=8.0, after=True, path=BALANCE)
        slow = asyncio.create_task(exchange.fetch_balance())
        await asyncio.sleep(0.05)
        await exchange.cancel_order(str(order.id), SYMBOL)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow


async def test_a_refused_number_is_sent_again_with_a_new_one(venue: SimulatedVenue) -> None:
    """Another process' request came first: refused unread, and repeated."""
    refusal = '{"error":["EAPI:Invalid nonce"]}'
    async with _open(venue, LocalBudget()) as exchange:
        venue.faults.add("status", status=200, body=refusal, path="/0/private/*", count=2)
        assert (await exchange.fetch_balance())["USD"].total == 100_000
        venue.faults.add("status", status=200, body=refusal, path="/0/private/AddOrder", count=1)
        await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
        assert len(await exchange.fetch_open_orders(SYMBOL)) == 1
        venue.faults.add("status", status=200, body=refusal, path="/0/private/*")
        with pytest.raises(errors.ClockSkew):
            await exchange.fetch_balance()


@pytest.mark.parametrize("after", [True, False])
async def test_a_lost_answer_is_looked_up_in_the_lists(venue: SimulatedVenue, after: bool) -> None:
    """Kraken finds orders by our id among the open and the closed ones only."""
    async with _open(venue, LocalBudget()) as exchange:
        for kind, price in (("limit", PRICE), ("market", None)):
            venue.faults.add("reset", after=after, path="/0/private/AddOrder", count=1)
            order = await exchange.create_order(SYMBOL, kind, "buy", AMOUNT, price)
            assert order.client_id is not None
            assert order.id is not None
        assert len(await exchange.fetch_open_orders(SYMBOL)) == 1
        assert len(await exchange.fetch_closed_orders(SYMBOL)) == 1
    assert len(_posts(venue)) == (2 if after else 4)


def test_processes_that_share_a_key_and_a_redis_are_all_answered(valkey: ValkeyServer) -> None:
    """Three processes, one key: what they still invert is sent again, and every call succeeds."""
    from tradeutils import sim

    program = """
import asyncio, sys
import tradeutils as tu
from tradeutils.settings import ExchangeSettings, WindowSettings

async def main(url, redis, key, secret):
    account = tu.Account(name="a", exchange="kraken", credentials=tu.Credentials(key=key, secret=secret))
    windows = [WindowSettings(name="counter", limit=100_000, seconds=45, scope="account")]
    settings = ExchangeSettings(rate_limit_ms=1, windows=windows)
    async with (
        tu.Cache(redis) as cache,
        tu.Exchange("kraken", url=url, account=account, cache=cache, settings=settings, retries=8) as exchange,
    ):
        found = await asyncio.gather(*(exchange.fetch_balance() for _ in range(15)))
        assert len(found) == 15

asyncio.run(main(*sys.argv[1:]))
"""
    holder = SimulatedAccount(name="x", key=DEFAULT_ACCOUNT.key, secret=SECRET, balances={"USD": "1"})
    with sim.serve("kraken", symbols=[SYMBOL], accounts=[holder], limits=Limits.none()) as venue:
        command = [sys.executable, "-c", program, venue.url, valkey.url, DEFAULT_ACCOUNT.key, SECRET]
        running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        for process in running:
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
        answered = [record for record in venue.requests.last() if record.path == BALANCE]
    assert len(answered) >= 45
