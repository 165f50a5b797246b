"""The shared budget's own life: what it is opened with, which loop it belongs to, whose it is, what it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from typing import Any

import pytest
from budgets import POOL, account_line, charge, line, order, spend
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import budget as room
from tradeutils.budget import Charge, Grant, RedisBudget, default_budget
from tradeutils.budget.desk import Names
from tradeutils.errors import Closed, RateLimited, UsageError


@pytest.mark.parametrize("given", [tu.Cache(), None, 5, object()])
def test_what_is_not_on_redis_is_refused(given: Any) -> None:
    """A cache in memory among it; the message names the budget for one process."""
    with pytest.raises(UsageError, match=r"tu.LocalBudget\(\)"):
        RedisBudget(given)


@pytest.mark.parametrize("url", ["memory://", "redis+cluster://host/1", "host", "redis://host/x"])
def test_impossible_url_is_refused(url: str) -> None:
    """With what to write."""
    with pytest.raises(UsageError, match=r"write redis(\+cluster)?://"):
        RedisBudget(url)


@pytest.mark.parametrize("name", ["", "a:b", "a b", "x" * 65, 5])
def test_impossible_names_are_refused(name: Any) -> None:
    """They become parts of keys."""
    with pytest.raises(UsageError, match="egress was"):
        RedisBudget("redis://host", egress=name)
    with pytest.raises(UsageError, match="namespace was"):
        RedisBudget("redis://host", namespace=name)


def test_repr_shows_no_password() -> None:
    """Nor does it need a server."""
    assert repr(RedisBudget("redis://bot:s3cret@host", egress="x")) == "RedisBudget('redis://host:6379/0', egress='x')"


def test_unknown_name_of_the_room_is_refused() -> None:
    """`RedisBudget` is loaded on first use; what is not there is not."""
    with pytest.raises(AttributeError, match="RedsiBudget"):
        _ = room.RedsiBudget


async def test_cache_lends_its_address(valkey: ValkeyServer) -> None:
    """Over a connection of the budget's own: closing the cache leaves it open."""
    async with tu.Cache(valkey.url) as cache:
        budget = RedisBudget(cache, [tu.Window("weight", limit=5, seconds=1)])
        await spend(budget, charge(1), timeout=5)
    await spend(budget, charge(1))
    assert budget.windows == (tu.Window("weight", 5, 1),)
    assert budget.is_shared
    await budget.aclose()


async def test_default_on_one_cache_is_one_budget(valkey: ValkeyServer) -> None:
    """Open until its last user has closed it; one for each egress, and a new one after that."""
    async with tu.Cache(valkey.url) as cache:
        first, second = default_budget(cache), default_budget(cache)
        assert first is second
        other = default_budget(cache, egress="frankfurt")
        assert other is not first
        await first.aclose()
        await spend(second, charge(1), timeout=5)
        await second.aclose()
        with pytest.raises(Closed):
            await spend(second, charge(1))
        third = default_budget(cache)
        assert third is not first
        await spend(third, charge(1), timeout=5)
        await third.aclose()
        await other.aclose()


async def test_addresses_have_windows_of_their_own_and_accounts_do_not(valkey: ValkeyServer) -> None:
    """An account is one at the venue, wherever it is used from."""
    here, there = RedisBudget(valkey.url), RedisBudget(valkey.url, egress="frankfurt")
    await spend(here, Charge(POOL, (line(10), account_line(6, f"{POOL}:1"))), timeout=5)
    await spend(there, Charge(POOL, (line(10), account_line(4, f"{POOL}:1"))), timeout=5)
    with pytest.raises(RateLimited):
        await spend(there, Charge(POOL, (account_line(1, f"{POOL}:1"),)))
    await here.aclose()
    await there.aclose()


async def test_namespaces_are_apart(valkey: ValkeyServer) -> None:
    """Two systems may share a server."""
    one, other = RedisBudget(valkey.url), RedisBudget(valkey.url, namespace="other")
    await spend(one, charge(10), timeout=5)
    await spend(other, charge(10), timeout=5)
    await one.aclose()
    await other.aclose()


async def test_keys_lie_on_one_node_expire_and_hold_no_secret(valkey: ValkeyServer) -> None:
    """Their hash tag is the pool, and an API key never leaves the process."""
    budget = RedisBudget(valkey.url)
    await spend(budget, Charge(POOL, (line(1), account_line(1, f"{POOL}:3f9a")), trading=True), timeout=5)
    await budget.nonce("s3cret")
    await budget.ban(POOL, 0.1, "429")
    with valkey.client() as client:
        keys = client.keys("tu:budget:*")
        assert {key.partition(b"}")[0] for key in keys} == {
            b"tu:budget:{venue.spot",
            b"tu:budget:{nonce",
            b"tu:budget:pools",
        }
        assert all(client.pttl(key) > 0 for key in keys)
        assert b"s3cret" not in b"".join(keys)
        assert client.keys("*") == keys or set(client.keys("*")) == set(keys)
    await budget.aclose()


def test_closed_loop_is_left_for_the_next(valkey: ValkeyServer) -> None:
    """As with a cache: a program that calls ``asyncio.run`` twice goes on."""
    budget = RedisBudget(valkey.url)
    grants: list[Grant] = []

    async def use() -> None:
        grants.append(await budget.acquire(charge(1), timeout=5))
        await budget.usage()
        # A loop that ends with a connection open is what this is about; its socket would be reported as leaked.
        assert budget._server.link._wire is not None
        assert budget._server.link._wire._transport is not None
        budget._server.link._wire._transport.abort()
        await asyncio.sleep(0.01)

    for _ in range(3):
        asyncio.run(use())
    for grant in grants:
        grant.at -= 1  # type: ignore[attr-defined]  # it took a second
        grant.settle()
    asyncio.run(budget.aclose())
    gc.collect()


async def test_other_loop_is_refused_while_this_one_runs(valkey: ValkeyServer) -> None:
    """Its connection cannot be used from there."""
    budget = RedisBudget(valkey.url)
    await spend(budget, charge(1), timeout=5)
    with pytest.raises(UsageError, match="event loop"):
        await asyncio.to_thread(lambda: asyncio.run(budget.nonce("key")))
    await budget.aclose()


async def test_request_that_took_long_counts_from_its_end(valkey: ValkeyServer) -> None:
    """On the server too; also while it is under way."""
    budget = RedisBudget(valkey.url)
    async with asyncio.timeout(20):
        async with await budget.acquire(charge(10, seconds=1), timeout=5):
            await asyncio.sleep(1.6)
            with pytest.raises(RateLimited):
                await spend(budget, charge(1, seconds=1))
        await asyncio.sleep(0.5)
        with pytest.raises(RateLimited):
            await spend(budget, charge(1, seconds=1))
        await spend(budget, charge(10, seconds=1), timeout=None)
    await budget.aclose()


async def test_grant_that_is_forgotten_is_not_carried_for_ever(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner is gone without a word."""
    monkeypatch.setattr("tradeutils.budget.desk.FLIGHT_SECONDS", 0.5)
    budget = RedisBudget(valkey.url)
    await budget.acquire(charge(10, seconds=0.2), timeout=5)
    async with asyncio.timeout(10):
        await spend(budget, charge(10, seconds=0.2), timeout=None)
        while budget._desks[POOL].flights:  # noqa: ASYNC110  # its own timer
            await asyncio.sleep(0.01)
    await budget.aclose()


async def test_correction_of_what_the_server_lost_is_dropped(valkey: ValkeyServer) -> None:
    """It was told anew in full, without it."""
    budget = RedisBudget(valkey.url)
    grant = await budget.acquire(charge(10), timeout=5)
    with valkey.client() as client:
        client.flushall()
    await grant.give_back()
    await spend(budget, charge(10), timeout=5)
    [pool] = await budget.usage()
    assert pool.windows[0].used == 10
    await budget.aclose()


async def test_limit_that_was_changed_counts_what_was_spent(valkey: ValkeyServer) -> None:
    """A user's own window of the same unit is the same window."""
    budget = RedisBudget(valkey.url)
    await spend(budget, charge(10), timeout=5)
    await spend(budget, charge(10, limit=20))
    with pytest.raises(RateLimited):
        await spend(budget, charge(1, limit=20))
    await budget.aclose()


async def test_unused_budget_closes_without_a_word(valkey: ValkeyServer) -> None:
    """No connection is made for it."""
    await RedisBudget("redis://127.0.0.1:1/0").aclose()
    assert Names("tu", "default").of_egress("x").egress == "x"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_child_of_a_fork_is_another_process(valkey: ValkeyServer) -> None:
    """It has a connection and a name of its own: two of one name would count for one when the server is away."""
    budget = RedisBudget(valkey.url)

    async def spend_in_both() -> int:
        await spend(budget, charge(3), timeout=5)
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                asyncio.events._set_running_loop(None)
                code = asyncio.new_event_loop().run_until_complete(spend_in_child())
            os._exit(code)
        return os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, child, 0))[1])

    async def spend_in_child() -> int:
        await spend(budget, charge(4), timeout=5)
        [pool] = await budget.usage()
        return 0 if pool.members == 2 and pool.windows[0].used == 7 else 2

    async def run() -> None:
        assert await spend_in_both() == 0
        with pytest.raises(RateLimited):
            await spend(budget, charge(4), timeout=0)
        await spend(budget, charge(3), timeout=5)
        await budget.aclose()

    asyncio.run(run())


async def test_closing_while_others_ask_leaves_nothing_running(valkey: ValkeyServer) -> None:
    """Nobody begins anything anew while the goodbye is under way."""
    budget = RedisBudget(valkey.url)
    await spend(budget, charge(1), timeout=5)
    closing = asyncio.create_task(budget.aclose())
    await asyncio.sleep(0)
    with pytest.raises(Closed):
        await budget.acquire(charge(1))
    await closing
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("tradeutils")]


async def test_pools_that_others_planted_are_passed_by(valkey: ValkeyServer) -> None:
    """Whoever looks at all pools sees those that can be."""
    budget = RedisBudget(valkey.url)
    await spend(budget, charge(1), timeout=5)
    with valkey.client() as client:
        client.zadd("tu:budget:pools", {b"alone": 2e9, b"\xff\xfe pool": 2e9, b"{} pool": 2e9})
    assert [pool.pool for pool in await budget.usage()] == [POOL]
    await budget.aclose()


async def test_five_hundred_orders_at_once_do_not_choke_the_server(valkey: ValkeyServer) -> None:
    """Few of those that wait ask at a time, so that a call stays short."""
    budget = RedisBudget(valkey.url)
    await spend(budget, charge(100, 100), timeout=5)
    waiting = [asyncio.create_task(spend(budget, order(1, 100), timeout=None)) for _ in range(500)]
    async with asyncio.timeout(10):
        while not (waiters := (await budget.usage())[0].waiters):  # noqa: ASYNC110  # counted by the server
            await asyncio.sleep(0.01)
    assert waiters <= 8
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await budget.aclose()
