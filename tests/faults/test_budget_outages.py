"""The shared budget when its server hangs, dies, restarts empty, refuses or comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest
from budgets import POOL, account_line, charge, line, order, spend
from servers import Proxy, ValkeyServer

from tradeutils.budget import Budget, Charge, Reading, RedisBudget, Window
from tradeutils.budget.ledger import UNIT
from tradeutils.errors import CacheUnavailable, RateLimited, UsageError

StartServer = Callable[..., ValkeyServer]


@contextlib.asynccontextmanager
async def opened(*urls: str) -> AsyncIterator[list[RedisBudget]]:
    """Open a budget on each URL, each a process of its own as far as the server can tell."""
    async with contextlib.AsyncExitStack() as stack:
        budgets = [RedisBudget(url) for url in urls]
        for budget in budgets:
            stack.push_async_callback(budget.aclose)
        yield budgets


async def shared(budgets: list[RedisBudget], wanted: bool = True) -> None:
    """Wait until all share the server again, or all have noticed that they do not."""
    async with asyncio.timeout(15):
        while any((budget._away_since is None) is not wanted for budget in budgets):  # noqa: ASYNC110  # its own timer
            await asyncio.sleep(0.01)


async def met(budgets: list[RedisBudget]) -> None:
    """Wait until each knows of all the others, and of what they have spent."""
    for budget in budgets:
        for desk in budget._desks.values():
            await budget._hello(desk)


def aged(server: ValkeyServer) -> None:
    """Wait until a server has been up for two seconds."""
    with server.client() as client:
        while client.info("server")["uptime_in_seconds"] < 2:
            time.sleep(0.05)


async def settled(budgets: list[RedisBudget]) -> None:
    """Wait until all share the server again and data is no longer held."""
    await shared(budgets)
    for budget in budgets:
        await spend(budget, charge(0), timeout=10)


async def send(budget: Budget, asked: Charge) -> None:
    """Send a request that fits, but for what a server does to be sure after a restart."""
    await spend(budget, asked, timeout=5)


async def room(budget: Budget, limit: int = 10) -> int:
    """Return how many requests of 1 go out now."""
    for count in range(limit + 1):
        try:
            await spend(budget, charge(1, limit))
        except RateLimited:
            return count
    return limit + 1


async def test_frozen_server_holds_a_request_up_for_the_timeout_at_most(own_valkey: ValkeyServer) -> None:
    """Once, and nobody after that; data and orders go on alone."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        await send(budget, charge(1))
        own_valkey.freeze()
        began = time.monotonic()
        await asyncio.gather(*(spend(budget, charge(1), timeout=None) for _ in range(3)), send(budget, order(1)))
        assert time.monotonic() - began < 2
        began = time.monotonic()
        await send(budget, charge(1))
        assert time.monotonic() - began < 0.1
        own_valkey.thaw()
        await shared([budget])


async def test_outage_is_told_once_and_so_is_its_end(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """However many requests run into it."""
    caplog.set_level(logging.INFO, "tradeutils.budget")
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        await send(budget, charge(1))
        own_valkey.kill()
        for _ in range(5):
            await send(budget, charge(1))
        own_valkey.start()
        await shared([budget])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "this process goes on with 0.9 of each window" in caplog.messages[0]
    assert "shared again" in caplog.messages[1]


async def test_each_process_goes_on_with_its_fraction(own_valkey: ValkeyServer) -> None:
    """Three, of which none has spent anything yet: together they stay below the window."""
    async with opened(*[own_valkey.url] * 3) as budgets, asyncio.timeout(20):
        for budget in budgets:
            await send(budget, charge(0, 100))
        await met(budgets)
        own_valkey.kill()
        assert [await room(budget, 100) for budget in budgets] == [30, 30, 30]


async def test_what_was_spent_before_counts_after_the_loss(own_valkey: ValkeyServer) -> None:
    """Where one had spent nearly all, the others do not begin to spend their fractions at once."""
    async with opened(own_valkey.url, own_valkey.url) as budgets, asyncio.timeout(20):
        first, second = budgets
        await send(second, charge(0, 100))
        await send(first, charge(90, 100))
        await met(budgets)
        own_valkey.kill()
        assert [await room(budget, 100) for budget in budgets] == [0, 4]  # of the ten that were left, less a tenth


async def test_reserve_is_kept_alone_too(own_valkey: ValkeyServer) -> None:
    """Orders find room where data does not."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        await send(budget, Charge(POOL, (line(0, 100),), trading=True))
        own_valkey.kill()
        assert await room(budget, 100) == 85
        await send(budget, order(5, 100))


async def test_request_dearer_than_the_fraction_is_paid_off_by_waiting(own_valkey: ValkeyServer) -> None:
    """It would never be sent otherwise; the next waits longer than a window."""
    async with opened(*[own_valkey.url] * 2) as budgets, asyncio.timeout(20):
        for budget in budgets:
            await send(budget, order(0, seconds=0.2))
        await met(budgets)
        own_valkey.kill()
        first = budgets[0]
        await send(first, order(9, seconds=0.2))
        began = time.monotonic()
        await spend(first, order(9, seconds=0.2), timeout=5)
        assert time.monotonic() - began >= 0.4
        with pytest.raises(UsageError):
            await spend(first, order(11, seconds=0.2))


async def test_process_that_starts_during_an_outage_takes_little(own_valkey: ValkeyServer) -> None:
    """It cannot know how many there are, so it takes a twentieth; and shares when there is a server."""
    own_valkey.kill()
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        assert await room(budget, 100) == 5
        own_valkey.start()
        await settled([budget])
        assert await room(budget, 100) == 95


@pytest.mark.parametrize("lose", ["kill", "flush"])
async def test_server_that_lost_its_data_grants_nothing_twice(own_valkey: ValkeyServer, lose: str) -> None:
    """Each process tells what it had spent, before anybody gets more."""
    async with opened(own_valkey.url, own_valkey.url) as budgets, asyncio.timeout(20):
        first, second = budgets
        await spend(first, charge(6), timeout=None)
        await send(second, charge(3))
        await met(budgets)
        if lose == "kill":
            own_valkey.kill()
            own_valkey.start()
        else:
            with own_valkey.client() as client:
                client.flushall()
        await spend(second, charge(1), timeout=None)
        await settled(budgets)
        assert [await room(budget) for budget in budgets] == [0, 0]


async def test_what_a_dead_process_had_spent_is_remembered_by_the_others(own_valkey: ValkeyServer) -> None:
    """They know how much had been spent by all."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        async with opened(own_valkey.url) as [dying]:
            await send(dying, charge(5))
            await send(budget, charge(2))
            await met([budget])
        own_valkey.kill()
        own_valkey.start()
        await spend(budget, charge(1), timeout=None)
        await settled([budget])
        assert await room(budget) == 2


async def test_what_the_dead_were_granted_at_the_last_instant_is_allowed_for(own_valkey: ValkeyServer) -> None:
    """Nobody saw it, so what all are known to have spent, 70, is taken 8 % higher, in whole units: 75."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        async with opened(own_valkey.url) as [dying]:
            await send(dying, charge(50, 100))
            await send(budget, charge(20, 100))
            await met([budget])
        own_valkey.kill()
        own_valkey.start()
        await spend(budget, charge(1, 100), timeout=None)
        await settled([budget])
        assert await room(budget, 100) == 24


async def test_venues_count_is_remembered_over_a_restart(own_valkey: ValkeyServer) -> None:
    """It covers whoever else spends behind this address."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        await send(budget, charge(2))
        await budget.observe([Reading(POOL, Window("weight", 10, 60), POOL, 7, time.time(), "sliding")])
        own_valkey.kill()
        own_valkey.start()
        await spend(budget, charge(1), timeout=None)
        await settled([budget])
        assert await room(budget) == 2


async def test_venues_count_of_a_window_full_bounds_who_goes_on_alone(own_valkey: ValkeyServer) -> None:
    """What others spent late in a calendar window is not spent again when that window ends."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(30):
        await asyncio.sleep(4 - time.time() % 4 + 3)  # late in the venue's window
        began = time.monotonic()
        await send(budget, charge(5, 10, 4))
        await budget.observe([Reading(POOL, Window("weight", 10, 4), POOL, 10, time.time(), "fixed")])
        own_valkey.kill()
        granted = 0
        while time.monotonic() < began + 3.9:
            with contextlib.suppress(RateLimited):
                await spend(budget, charge(1, 10, 4))
                granted += 1
            await asyncio.sleep(0.02)
        assert granted == 0


async def test_what_was_spent_alone_is_told_when_the_server_is_back(own_valkey: ValkeyServer) -> None:
    """A server that was merely frozen still knows the rest."""
    async with opened(own_valkey.url, own_valkey.url) as budgets, asyncio.timeout(20):
        first, second = budgets
        for budget in budgets:
            await send(budget, charge(10, 100))
        await met(budgets)
        own_valkey.freeze()
        await asyncio.gather(send(first, charge(20, 100)), send(second, charge(10, 100)))
        own_valkey.thaw()
        await shared(budgets)
        assert await room(second, 100) == 0  # held, until the first has told
        async with asyncio.timeout(5):
            await spend(second, charge(50, 100), timeout=None)
        assert await room(second, 100) == 0


async def test_clean_start_waits_for_nobody(valkey: ValkeyServer) -> None:
    """An empty server is no reason to wait for a process that knew nothing of it."""
    await asyncio.to_thread(aged, valkey)
    async with opened(valkey.url, valkey.url) as [first, second]:
        await spend(first, charge(1))
        await spend(second, charge(1))


async def test_newcomer_to_a_restarted_server_waits_for_who_knows_more(own_valkey: ValkeyServer) -> None:
    """It comes first, and would take all at once that the others have spent."""
    async with opened(own_valkey.url, own_valkey.url) as [old, new], asyncio.timeout(20):
        await send(old, charge(9))
        own_valkey.kill()
        own_valkey.start()
        assert await room(new) == 0
        await settled([old, new])
        assert await room(new) == 1


async def test_process_that_was_away_alone_makes_nobody_wait(valkey: ValkeyServer, proxy: Proxy) -> None:
    """The others were served all the while."""
    async with opened(valkey.url, proxy.url) as [near, far], asyncio.timeout(30):
        for budget in (near, far):
            await send(budget, charge(1, 100))
        await met([near, far])
        proxy.change = lambda _: None
        await send(far, charge(1, 100))
        for _ in range(20):
            await asyncio.sleep(0.1)
            await send(near, charge(1, 100))
        proxy.change = lambda reply: reply
        await shared([far])
        await send(near, charge(1, 100))
        await send(far, charge(1, 100))


async def test_ban_during_an_outage_reaches_the_others_after_it(own_valkey: ValkeyServer) -> None:
    """It is told with the rest."""
    async with opened(own_valkey.url, own_valkey.url) as budgets, asyncio.timeout(20):
        first, second = budgets
        for budget in budgets:
            await send(budget, charge(1))
        own_valkey.kill()
        await first.ban(POOL, 60, "418")
        own_valkey.start()
        await shared(budgets)
        with pytest.raises(RateLimited, match="418"):
            await spend(second, charge(1), timeout=5)


async def test_ban_outlives_the_servers_data(own_valkey: ValkeyServer) -> None:
    """Who knew of it tells the others."""
    async with opened(own_valkey.url) as [first], asyncio.timeout(20):
        await send(first, charge(1))
        await first.ban(POOL, 60, "418")
        own_valkey.kill()
        own_valkey.start()
        await first.nonce("key")  # it notices
        await shared([first])
        await met([first])
        async with opened(own_valkey.url) as [second]:
            with pytest.raises(RateLimited, match="418"):
                await spend(second, charge(1))


async def test_venues_count_limits_a_process_alone(own_valkey: ValkeyServer) -> None:
    """Its fraction of what the venue says is left."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        await send(budget, charge(0, 100))
        own_valkey.kill()
        await send(budget, charge(1, 100))
        await budget.observe([Reading(POOL, Window("weight", 100, 60), POOL, 80, time.time(), "sliding")])
        assert await room(budget, 100) == 18


async def test_resets_are_not_seen_by_who_asks(proxy: Proxy) -> None:
    """A connection that breaks costs a charge at most, never an error."""
    async with opened(proxy.url) as [budget], asyncio.timeout(30):
        for i in range(40):
            await send(budget, charge(1, 1000))
            if i % 4 == 0:
                proxy.reset_all()
        proxy.change = lambda _: None
        for _ in range(10):
            await send(budget, charge(1, 1000))
        proxy.change = lambda reply: reply
        await shared([budget])
        assert 50 <= (await budget.usage())[0].windows[0].used <= 60


async def test_server_that_may_not_be_used_is_an_outage(valkey: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    """A user without scripts: each process alone, and the log says why."""
    with valkey.client() as client:
        client.acl_setuser("noscript", enabled=True, nopass=True, commands=["+@all", "-@scripting"], keys=["*"])
    async with opened(f"redis://noscript:any@127.0.0.1:{valkey.port}/0") as [budget]:
        await send(budget, charge(1, 100))
        await budget.ban("other", 1, "429")
        assert not (await budget.usage())[0].shared
        assert await budget.nonce("key") > 0
    assert "NOPERM" in caplog.text
    with valkey.client() as client:
        client.acl_deluser("noscript")


async def test_full_server_is_an_outage(valkey_with: StartServer) -> None:
    """Out of memory under ``noeviction``: better alone than not at all."""
    server = valkey_with("--maxmemory", "2mb", "--maxmemory-policy", "noeviction")
    with server.client() as client, contextlib.suppress(Exception):
        for i in range(100):
            client.set(f"k{i}", "x" * 100_000)
    async with opened(server.url) as [budget]:
        await send(budget, charge(1, 100))
        assert [pool.shared for pool in await budget.usage()] == [False]


async def test_nonces_rise_through_an_outage(own_valkey: ValkeyServer) -> None:
    """From this machine's clock while there is no other."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        numbers = [await budget.nonce("key")]
        own_valkey.kill()
        numbers += [await budget.nonce("key") for _ in range(10)]
        own_valkey.start()
        await budget.acquire(charge(1))
        await shared([budget])
        numbers += [await budget.nonce("key") for _ in range(10)]
        assert numbers == sorted(set(numbers))


async def test_usage_without_a_server_is_what_this_process_knows(own_valkey: ValkeyServer) -> None:
    """Marked as not shared."""
    async with opened(own_valkey.url) as [budget]:
        await send(budget, charge(3))
        own_valkey.kill()
        await send(budget, charge(1))
        [pool] = await budget.usage()
        assert (pool.pool, pool.shared, pool.windows[0].used, pool.members) == (POOL, False, 4, 1)
        await budget.ban(POOL, 9, "418")
        [pool] = await budget.usage()
        assert pool.ban_reason == "418"


async def test_requests_that_wait_alone_share_again_when_they_can(own_valkey: ValkeyServer) -> None:
    """They need not wait for their fraction once there is more."""
    async with opened(own_valkey.url, own_valkey.url) as budgets, asyncio.timeout(20):
        for budget in budgets:
            await send(budget, charge(0, 100))
        await met(budgets)
        own_valkey.kill()
        first = budgets[0]
        assert await room(first, 100) == 45
        waiting = [asyncio.create_task(spend(first, charge(1, 100), timeout=None)) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        own_valkey.start()
        await asyncio.gather(*waiting)
        await shared(budgets)


async def test_clock_that_is_set_back_frees_nothing(valkey: ValkeyServer) -> None:
    """What was spent in what is now the future is kept."""
    async with opened(valkey.url) as [budget]:
        await send(budget, charge(6))
        with valkey.client() as client:
            [key] = client.keys("*window*")
            [part] = [int(name) for name in client.hkeys(key) if name.isdigit()]
            client.hdel(key, str(part))
            client.hset(key, mapping={"o": part + 5000, "n": part + 5000, str(part + 5000): 6 * UNIT})
        await send(budget, charge(3))
        with pytest.raises(RateLimited) as refused:
            await spend(budget, charge(2))
        assert refused.value.retry_after is not None
        assert refused.value.retry_after < 62


async def test_lost_epoch_between_hello_and_report_is_told_again(own_valkey: ValkeyServer) -> None:
    """The server may be emptied at any moment."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        await send(budget, charge(6))
        desk = budget._desks[POOL]
        hello, hellos = budget._hello, 0

        async def unlucky(asked: object) -> None:
            nonlocal hellos
            hellos += 1
            await hello(desk)
            if hellos < 3:
                with own_valkey.client() as client:
                    client.flushall()

        budget._hello = unlucky  # type: ignore[method-assign]
        with own_valkey.client() as client:
            client.flushall()
        await spend(budget, charge(1), timeout=None)
        assert hellos >= 3
        assert await room(budget) == 3


async def test_error_of_the_link_is_not_raised_at_callers(own_valkey: ValkeyServer) -> None:
    """Observations and bans are for others: whoever makes them goes on."""
    async with opened(own_valkey.url) as [budget]:
        await send(budget, charge(1))
        own_valkey.kill()
        await budget.observe([Reading(POOL, Window("weight", 10, 60), POOL, 7, time.time(), "sliding")])
        await budget.ban("other.pool", 5, "429")
        grant = await budget.acquire(charge(1))
        await grant.give_back()
        with pytest.raises(CacheUnavailable):
            await budget._server.call((b"PING",))


async def test_hostile_reason_does_not_keep_the_server_away(own_valkey: ValkeyServer) -> None:
    """A ban that is told after an outage is packed like any other."""
    async with opened(own_valkey.url) as [budget], asyncio.timeout(20):
        await send(budget, charge(1))
        own_valkey.kill()
        await shared([budget], False)
        await budget.ban(POOL, 3, "\ud800")
        own_valkey.start()
        await shared([budget])
        assert (await budget.usage())[0].ban_reason == "?"


async def test_what_is_spent_alone_while_it_is_told_counts_too(valkey: ValkeyServer, proxy: Proxy) -> None:
    """Requests go on until the server has taken note of everything, and are told with the next call."""
    aged(valkey)
    async with opened(proxy.url) as [budget], asyncio.timeout(30):
        sent = 0
        for pool in (POOL, "other.pool", "third.pool"):
            await send(budget, Charge(pool, (line(1, 1000),)))
        proxy.mute_all()
        ends = time.monotonic() + 60
        while budget.is_shared:
            await budget.observe([Reading(POOL, Window("weight", 1000, 60), POOL, sent + 9, time.time(), "sliding")])
            await asyncio.sleep(0.01)
        proxy.delay = 0.1  # telling takes its time
        while not budget.is_shared:
            assert time.monotonic() < ends
            await spend(budget, charge(1, 1000))
            sent += 1
            await asyncio.sleep(0.005)
        proxy.delay = 0.0
        await send(budget, charge(0, 1000))
        async with opened(valkey.url) as [other]:
            used = {pool.pool: pool.windows[0].used for pool in await other.usage()}
        assert used[POOL] >= sent + 1


async def test_what_was_given_back_is_given_back_once(own_valkey: ValkeyServer) -> None:
    """A server that hung may have done it all the same: a second time would be at the expense of others."""
    async with opened(own_valkey.url, own_valkey.url) as [budget, other], asyncio.timeout(20):
        for one in (budget, other):
            await send(one, charge(1, 1000, 300))
        await (await budget.acquire(charge(1, 1000, 300), timeout=5)).give_back()  # the server knows the script
        grant = await budget.acquire(charge(5, 1000, 300))
        await send(other, charge(20, 1000, 300))
        own_valkey.freeze()
        await grant.give_back()
        await shared([budget], False)
        own_valkey.thaw()
        await shared([budget])
        await budget.usage()
        assert (await other.usage())[0].windows[0].used >= 22


async def test_process_that_starts_to_trade_during_an_outage_may_send_orders(own_valkey: ValkeyServer) -> None:
    """Half of the account's window, which it shares with few, and all of the address's that is kept back."""
    own_valkey.kill()
    orders = Charge(POOL, (account_line(1, f"{POOL}:me", 50), line(1, 100)), urgent=True)
    async with opened(own_valkey.url) as [budget]:
        for _ in range(10):
            await spend(budget, orders)
        with pytest.raises(RateLimited):
            await spend(budget, orders)
        for _ in range(15):
            await spend(budget, Charge(POOL, orders.lines[:1], urgent=True))
        with pytest.raises(RateLimited):
            await spend(budget, Charge(POOL, orders.lines[:1], urgent=True))


async def test_clock_that_is_set_back_leaves_nobody_waiting_for_the_dead(valkey: ValkeyServer) -> None:
    """Those who were to come back by the old clock are passed by, and data is not held until then."""
    async with opened(valkey.url) as [budget]:
        await send(budget, charge(1))
        ahead = int(time.time() * 1000) + 3_600_000
        with valkey.client() as client:
            [key] = client.keys("*window*")
            client.hset(key, "q", f"gone:0 -1 {9 * UNIT} {ahead} 0 0 {ahead};")
            client.hset(budget._desks[POOL].state, "hold", ahead)
        await spend(budget, charge(9), timeout=1)
