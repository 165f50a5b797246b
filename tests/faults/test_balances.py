"""Balances while the cache or the venue fails: no fetch fails for the cache, and no older answer outlives a change."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils import errors
from tradeutils.balances.answers import Answers
from tradeutils.balances.snapshots import Snapshots
from tradeutils.budget import LocalBudget
from tradeutils.model import Balance
from tradeutils.sim import Limits, SimulatedAccount, SimulatedVenue

D = Decimal
ACCOUNT = "/api/v3/account"
ALICE = SimulatedAccount(name="alice", key="k" * 64, secret="s" * 64, balances={"USDT": 1000, "BTC": "0.5"})


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    async with SimulatedVenue("binance", symbols=2, accounts=[ALICE], limits=Limits.none()) as running:
        yield running


@contextlib.asynccontextmanager
async def opened(
    venue: SimulatedVenue, cache: tu.Cache | None = None, **more: Any
) -> AsyncIterator[tuple[tu.Exchange, tu.Balances]]:
    account = tu.Account(
        name="alice", exchange="binance", credentials=tu.Credentials(key=ALICE.key, secret=ALICE.secret)
    )
    async with (
        tu.Exchange("binance", account=account, url=venue.url, budget=LocalBudget(), retries=0) as exchange,
        tu.Balances(exchange, cache=cache, **more) as balances,
    ):
        yield exchange, balances


def asked(venue: SimulatedVenue) -> int:
    return venue.requests.paths.get(ACCOUNT, 0)


async def bought(exchange: tu.Exchange) -> None:
    await exchange.create_order("BTC/USDT", "market", "buy", D("0.001"))


async def test_a_server_that_hangs_or_dies_fails_no_fetch(venue: SimulatedVenue, own_valkey: ValkeyServer) -> None:
    """Frozen, then killed, then back: every balance is there; history says that it cannot be read."""
    async with tu.Cache(own_valkey.url, timeout=0.1) as cache, opened(venue, cache, ttl=600) as (_, balances):
        assert (await balances.fetch("alice"))["USDT"].total == 1000
        own_valkey.freeze()
        async with asyncio.timeout(5):
            assert (await balances.fetch("alice"))["USDT"].total == 1000
            assert (await balances.fetch_all())["alice"]["BTC"].total == D("0.5")
            assert (await balances.totals()).is_complete
            with pytest.raises(errors.CacheUnavailable):
                await balances.history("alice")
        own_valkey.kill()
        own_valkey.start()
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(errors.CacheUnavailable):
                    await cache.get("x")
                    break
                await asyncio.sleep(0.05)
        await balances.fetch("alice")
        before = asked(venue)
        await balances.fetch("alice")
        assert asked(venue) == before


async def test_a_change_during_an_outage_is_not_undone_by_what_the_cache_still_holds(
    venue: SimulatedVenue, own_valkey: ValkeyServer
) -> None:
    """The server kept the old answer and could not be told: who placed the order never sees it again."""
    async with tu.Cache(own_valkey.url, timeout=0.1) as cache, opened(venue, cache, ttl=600) as (exchange, balances):
        await balances.fetch("alice")
        own_valkey.freeze()
        await bought(exchange)
        assert (await balances.fetch("alice"))["BTC"].total == D("0.500999")
        own_valkey.thaw()
        async with asyncio.timeout(10):
            while True:
                assert (await balances.fetch("alice"))["BTC"].total == D("0.500999")
                before = asked(venue)
                await balances.fetch("alice")
                if asked(venue) == before:  # served by the cache again
                    break
                await asyncio.sleep(0.05)
        assert (await balances.fetch("alice"))["BTC"].total == D("0.500999")


async def test_with_venue_and_cache_down_the_venues_error_is_told(
    venue: SimulatedVenue, own_valkey: ValkeyServer
) -> None:
    """A process that has asked for nothing yet knows nothing that it could serve."""
    async with tu.Cache(own_valkey.url, timeout=0.1) as cache, opened(venue, cache) as (_, balances):
        own_valkey.kill()
        venue.faults.add("status", status=503, path=ACCOUNT)
        with pytest.raises(errors.VenueUnavailable):
            await balances.fetch("alice", stale=600)


async def test_an_answer_that_is_under_way_while_an_order_is_placed_is_not_kept(venue: SimulatedVenue) -> None:
    """The venue answers late with what was before; the cache is not filled with it afterwards."""
    async with tu.Cache() as cache, opened(venue, cache, ttl=600) as (exchange, balances):
        await balances.fetch("alice")
        venue.faults.add("latency", seconds=0.3, after=True, path=ACCOUNT, count=1)
        late = asyncio.create_task(balances.fetch("alice", max_age=0))
        await asyncio.sleep(0.1)
        await bought(exchange)
        assert (await balances.fetch("alice"))["BTC"].total == D("0.500999")
        assert (await late)["BTC"].total == D("0.5")
        before = asked(venue)
        assert (await balances.fetch("alice"))["BTC"].total == D("0.500999")
        assert asked(venue) == before


async def test_an_order_whose_answer_is_lost_drops_what_was_known(venue: SimulatedVenue) -> None:
    """It was placed, and its sender was not told at once."""
    async with tu.Cache() as cache, opened(venue, cache, ttl=600) as (exchange, balances):
        await balances.fetch("alice")
        venue.faults.add("reset", after=True, method="POST", path="/api/v3/order", count=1)
        await bought(exchange)
        assert (await balances.fetch("alice"))["BTC"].total == D("0.500999")


async def test_who_is_cancelled_leaves_the_others_and_nothing_behind(venue: SimulatedVenue) -> None:
    """With a cache and without: the one who waits on has the answer, and the account is not held back."""
    async with tu.Cache() as cache:
        for kept in (cache, None):
            async with opened(venue, kept) as (_, balances):
                await balances.fetch("alice")
                venue.faults.add("latency", seconds=0.2, path=ACCOUNT, count=1)
                balances.invalidate("alice")
                first, second = (asyncio.create_task(balances.fetch("alice")) for _ in range(2))
                await asyncio.sleep(0.05)
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
                assert (await second)["USDT"].total == 1000
                gone = asyncio.create_task(balances.fetch_all(max_age=0))
                await asyncio.sleep(0)
                gone.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await gone
                assert balances.suspension("alice") is None
                assert (await balances.fetch("alice", max_age=0))["USDT"].total == 1000


@pytest.mark.parametrize("kind", ["reset", "truncate", "html", "status"])
async def test_what_a_venue_answers_in_its_trouble_is_never_a_balance(venue: SimulatedVenue, kind: str) -> None:
    """An error that may pass, not an empty account; the last that is known serves where asked for."""
    async with opened(venue) as (_, balances):
        known = await balances.fetch("alice")
        venue.faults.add(kind, path=ACCOUNT)
        with pytest.raises(errors.TransientVenueError):
            await balances.fetch("alice")
        everyone = await balances.fetch_all()
        assert (len(everyone), list(everyone.failures)) == (0, ["alice"])
        assert await balances.fetch("alice", stale=60) == known
        assert balances.suspension("alice") is None


@pytest.mark.parametrize(
    "body",
    [
        '{"balances":[{"asset":"USDT","free":"NaN","locked":"0"}]}',
        '{"balances":[{"asset":"USDT","free":"x","locked":"0"}]}',
        '{"balances":[1]}',
        '{"balances":null}',
        '{"balances":{"code":0,"msg":"success"}}',
        "{}",
        "[]",
        '"maintenance"',
    ],
    ids=["nan", "text", "rows", "null", "other", "object", "list", "word"],
)
async def test_a_reply_without_readable_amounts_is_an_error(venue: SimulatedVenue, body: str) -> None:
    """Not an empty account, which would be sold short, and not a number that poisons every sum."""
    async with opened(venue) as (_, balances):
        await balances.fetch("alice")
        venue.faults.add("status", status=200, body=body, path=ACCOUNT)
        with pytest.raises(errors.BadReply):
            await balances.fetch("alice")


async def test_digits_beyond_a_float_survive_the_whole_way(venue: SimulatedVenue) -> None:
    """As text and as bare numbers of JSON: 18 decimals, dust of 1e-18 and 1e12 units, through cache and sum."""
    rows = [("A", '"1000000000000.000000000000000001"'), ("B", "0.123456789012345678"), ("C", '"0.000000000000000001"')]
    told = ",".join(f'{{"asset":"{asset}","free":{amount},"locked":"0.1"}}' for asset, amount in rows)
    async with tu.Cache() as cache, opened(venue, cache, wallets=["spot", "funding"]) as (_, balances):
        await balances.fetch("alice")
        venue.faults.add("status", status=200, body=f'{{"balances":[{told}]}}', path=ACCOUNT)
        for max_age in (0, None):
            found = await balances.fetch("alice", max_age=max_age)
            assert {asset: str(one.total) for asset, one in found.items()} == {
                "A": "1000000000000.100000000000000001",
                "B": "0.223456789012345678",
                "C": "0.100000000000000001",
            }


async def test_balances_that_nobody_holds_any_more_are_let_go(venue: SimulatedVenue) -> None:
    """A bot that makes new ones for every look does not fill its exchange with listeners."""
    async with opened(venue) as (exchange, _):
        listeners = exchange._activity._callbacks  # type: ignore[attr-defined]
        before = len(listeners)
        gone = []
        for _ in range(20):
            one = tu.Balances(exchange)
            await one.fetch("alice")
            gone.append(weakref.ref(one))
        del one
        gc.collect()
        assert [ref() for ref in gone] == [None] * 20
        assert len(listeners) == before


async def test_a_connection_that_breaks_between_two_steps_costs_a_snapshot_and_no_balance(
    venue: SimulatedVenue, proxy: Proxy
) -> None:
    """The cache goes away while a balance is being kept."""
    async with (
        tu.Cache(proxy.url, timeout=0.2) as cache,
        opened(venue, cache, ttl=0.01) as (exchange, balances),
    ):
        for number in range(6):
            if number % 2:
                proxy.reset_all()
            await bought(exchange)
            found = await balances.fetch("alice", max_age=0)
            assert found["BTC"].total == D("0.5") + (number + 1) * D("0.000999")


async def test_a_cache_that_is_away_is_no_reason_to_fail_for_answers_and_snapshots(own_valkey: ValkeyServer) -> None:
    """Both parts by themselves, with a server that never answered."""
    own_valkey.kill()

    async def fetch() -> Balance:
        return Balance(venue="x", account="a", time=1)

    async with tu.Cache(own_valkey.url, timeout=0.1) as cache:
        answers = Answers(cache, 2.0)
        answers.drop(["k"])
        await answers.settle()
        found = await answers.get("k", fetch, max_age=0)
        assert found.balance == await fetch()
        snapshots = Snapshots(cache, 3)
        await snapshots.record("k", found)
        with pytest.raises(errors.CacheUnavailable):
            await snapshots.read("k")


async def test_who_asks_while_another_process_changed_the_account_waits_for_a_new_answer(
    own_valkey: ValkeyServer,
) -> None:
    """The request left before the change, of which this process was not told: who joins later is not served by it."""
    asked, state, began, gate = 0, 1, asyncio.Event(), asyncio.Event()

    async def fetch() -> Balance:
        nonlocal asked
        asked += 1
        told = Balance(venue="x", account="a", time=state)
        began.set()
        await gate.wait()
        return told

    async with tu.Cache(own_valkey.url) as first, tu.Cache(own_valkey.url) as second:
        here, there = Answers(first, 60.0), Answers(second, 60.0)
        early = asyncio.create_task(here.get("k", fetch))
        await began.wait()
        state = 2
        there.drop(["k"])
        await there.settle()
        late = [asyncio.create_task(here.get("k", fetch)) for _ in range(5)]
        await asyncio.sleep(0.05)
        gate.set()
        assert (await early).balance.time == 1
        assert {(await one).balance.time for one in late} == {2}
        assert (await there.get("k", fetch)).balance.time == 2
        assert asked == 2
