"""`Balances` against the simulated venue, through unmodified ccxt: fleets, the cache, changes, failures, order."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import time
import urllib.request
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import errors, sync
from tradeutils.balances import Alert
from tradeutils.budget import Charge, Grant, LocalBudget
from tradeutils.settings import ExchangeSettings
from tradeutils.sim import Limits, SimulatedAccount, SimulatedVenue, serve

D = Decimal
ACCOUNT = "/api/v3/account"
TICKERS = "/api/v3/ticker/24hr"


def holders(count: int) -> list[SimulatedAccount]:
    """Return accounts that each hold another sum, to the eighth digit."""
    return [
        SimulatedAccount(
            name=f"a{number}",
            key=f"key{number:05}" * 8,
            secret=f"word{number:04}" * 8,
            balances={"USDT": f"{1000 + number}.0000000{number % 10}", "BTC": "0.1"},
        )
        for number in range(count)
    ]


def account_of(holder: SimulatedAccount, *, bad: bool = False, name: str | None = None) -> tu.Account:
    keys = tu.Credentials(key="x" * 64 if bad else holder.key, secret=holder.secret)
    return tu.Account(name=name or holder.name, exchange="binance", credentials=keys)


def settings_of(venue: SimulatedVenue, bad: tuple[int, ...] = (), **more: Any) -> tu.Settings:
    accounts = [account_of(one, bad=number in bad) for number, one in enumerate(venue.accounts)]
    return tu.Settings(
        exchanges={"binance": ExchangeSettings(url=venue.url, **more)}, accounts={one.name: one for one in accounts}
    )


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Ten accounts, five symbols, no limits."""
    async with SimulatedVenue("binance", symbols=5, seed=3, accounts=holders(10), limits=Limits.none()) as running:
        yield running


@contextlib.asynccontextmanager
async def alone(
    venue: SimulatedVenue, holder: int = 0, cache: tu.Cache | None = None, **more: Any
) -> AsyncIterator[tuple[tu.Exchange, tu.Balances]]:
    """Open one account."""
    account = account_of(venue.accounts[holder], name=more.pop("name", None))
    async with (
        tu.Exchange("binance", account=account, url=venue.url, budget=LocalBudget(), retries=0) as exchange,
        tu.Balances(exchange, cache=cache, **more) as balances,
    ):
        yield exchange, balances


def asked(venue: SimulatedVenue, path: str = ACCOUNT) -> int:
    return venue.requests.paths.get(path, 0)


# Many accounts


async def test_every_account_is_told_exactly_and_a_failure_reaches_no_other(venue: SimulatedVenue) -> None:
    """Two have bad keys: they are named with the error, the rest are there, in the order of the settings."""
    async with (
        tu.Exchanges(settings_of(venue, bad=(3, 7)), budget=LocalBudget()) as exchanges,
        tu.Balances(exchanges) as balances,
    ):
        found = await balances.fetch_all()
        assert list(found) == [f"a{number}" for number in range(10) if number not in (3, 7)]
        assert {name: one["USDT"].total for name, one in found.items()} == {
            one.name: D(str(one.balances["USDT"])) for one in venue.accounts if one.name in found
        }
        assert {name: type(error) for name, error in found.failures.items()} == dict.fromkeys(
            ("a3", "a7"), errors.AuthenticationFailed
        )
        count = asked(venue)
        again = await balances.fetch_all()
        assert {type(error) for error in again.failures.values()} == {errors.Suspended}
        assert asked(venue) - count == 8
        assert set(await balances.suspensions()) == {"a3", "a7"}
        assert balances.suspension("a3") is not None
        assert balances.suspension("a0") is None
        assert balances.stats()["a3"].attempts == 1


async def test_totals_add_up_over_accounts_and_name_who_is_missing(venue: SimulatedVenue) -> None:
    """One request for all tickers, whoever is on the venue; the sum is that of the parts, to the last digit."""
    async with tu.Exchanges(settings_of(venue, bad=(4,)), budget=LocalBudget()) as exchanges:
        balances = tu.Balances(exchanges)
        found = await balances.totals("USDT")
        assert asked(venue, TICKERS) == 1
        assert (set(found.failures), found.is_complete, len(found)) == ({"a4"}, False, 9)
        price = found["a0"].assets["BTC"].price
        cash = sum((D(str(one.balances["USDT"])) for one in venue.accounts if one.name != "a4"), D(0))
        assert found.total == cash + 9 * D("0.1") * price
        with pytest.raises(errors.UnknownName, match="'EURO'"):
            await balances.totals("EURO")
        with pytest.raises(errors.UnknownName, match="'spott'"):
            await balances.fetch_all(wallet="spott")
    with pytest.raises(errors.Closed):
        await balances.fetch_all()


async def test_what_one_venue_lacks_is_a_failure_of_its_accounts_alone(venue: SimulatedVenue) -> None:
    """Tickers of one venue are down: the accounts of the other are valued."""
    other = SimulatedAccount(name="bob", key="b" * 64, secret="s" * 64, balances={"USDT": 5})
    async with SimulatedVenue("binance", symbols=5, accounts=[other], limits=Limits.none()) as second:
        second.faults.add("status", status=503, path=TICKERS)
        async with (
            alone(venue) as (first, _),
            tu.Exchange(
                "binance", account=account_of(other), url=second.url, budget=LocalBudget(), retries=0
            ) as broken,
        ):
            found = await tu.Balances([first, broken]).totals()
            assert (list(found), list(found.failures)) == (["a0"], ["bob"])
            assert isinstance(found.failures["bob"], errors.VenueUnavailable)
            assert len(await tu.Balances([first, broken]).fetch_all()) == 2


async def test_nothing_is_opened_before_it_is_asked_for(venue: SimulatedVenue) -> None:
    """A thousand accounts in the settings cost nothing until then."""
    async with tu.Exchanges(settings_of(venue), budget=LocalBudget()) as exchanges:
        balances = tu.Balances(exchanges)
        assert balances.accounts == tuple(f"a{number}" for number in range(10))
        assert exchanges._opened == {}  # type: ignore[attr-defined]
        await balances.fetch("a1")
        assert len(exchanges._opened) == 1  # type: ignore[attr-defined]
        assert repr(balances) == "<Balances of a0, a1, a2 and 7 more>"
        await exchanges.account("a1").aclose()
        assert (await balances.fetch("a1")).account == "a1"  # opened anew


async def test_accounts_with_open_orders_and_those_named_come_first(venue: SimulatedVenue) -> None:
    """Then who was asked longest ago; no request is made to find that out."""
    async with tu.Exchanges(settings_of(venue), budget=LocalBudget()) as exchanges:
        balances = tu.Balances(exchanges, priority=["a8"])
        await balances.fetch("a0")
        trader = exchanges.account("a5")
        await balances.fetch("a5")
        order = await trader.create_order("BTC/USDT", "limit", "buy", D("0.001"), D("20000"))
        assert balances._in_order()[:2] == ["a8", "a5"]  # type: ignore[attr-defined]
        assert balances._in_order()[-1] == "a0"  # type: ignore[attr-defined]
        await trader.cancel_order(str(order.id), "BTC/USDT")
        assert balances._in_order()[0] == "a8"  # type: ignore[attr-defined]
        assert balances._in_order()[-2:] == ["a0", "a5"]  # type: ignore[attr-defined]


async def test_a_fleet_shares_few_connections_and_leaves_no_task_behind() -> None:
    """A hundred accounts, thrice: at most 32 at once, one list of markets, and nothing under way at the end."""
    async with SimulatedVenue("binance", symbols=2, accounts=holders(100), limits=Limits.none()) as venue:
        venue.faults.add("latency", seconds=0.02, path=ACCOUNT)
        windows = [{"name": "weight", "limit": 1e6, "seconds": 60.0, "scope": "ip"}]
        async with tu.Exchanges(settings_of(venue, windows=windows), budget=LocalBudget()) as exchanges:
            before = len(asyncio.all_tasks())
            balances = tu.Balances(exchanges)
            for _ in range(3):
                assert len(await balances.fetch_all()) == 100
            assert len(await balances.totals()) == 100
            pool = exchanges._together.session._client.connector  # type: ignore[attr-defined]
            assert sum(map(len, pool._conns.values())) <= 32
            assert asked(venue, "/api/v3/exchangeInfo") == 1
            assert len(asyncio.all_tasks()) <= before + 40  # the venue's own, one for each connection
            assert balances._answers._flights._flights == {}  # type: ignore[attr-defined]


async def test_a_fleet_keeps_within_the_limit_of_the_address() -> None:
    """Twice what a window holds: it takes one window more, and nobody is refused."""
    limits = Limits(weight=200, window=1.0, sliding=True)
    async with SimulatedVenue("binance", symbols=2, accounts=holders(15), limits=limits) as venue:
        windows = [{"name": "weight", "limit": 200, "seconds": 1.0, "scope": "ip"}]
        async with tu.Exchanges(settings_of(venue, windows=windows), budget=LocalBudget()) as exchanges:
            found = await tu.Balances(exchanges).fetch_all()
            assert (len(found), dict(found.failures)) == (15, {})
            assert venue.requests.rejected == 0


# The cache, and changes


async def test_an_answer_is_shared_within_its_ttl(venue: SimulatedVenue) -> None:
    """Also with another object on the same cache; ``max_age=0`` asks anew."""
    async with tu.Cache() as cache, alone(venue, cache=cache) as (_, one), alone(venue, cache=cache) as (_, other):
        first = await one.fetch("a0")
        assert await other.fetch("a0") == first
        assert asked(venue) == 1
        assert (await other.fetch("a0", max_age=0)).age < 1
        assert asked(venue) == 2


async def test_one_name_with_two_keys_is_two_accounts(venue: SimulatedVenue) -> None:
    """Two processes know others by the same name: neither is served with what the other holds."""
    async with (
        tu.Cache() as cache,
        alone(venue, 1, cache, name="alice") as (_, one),
        alone(venue, 2, cache, name="alice") as (_, other),
    ):
        assert (await one.fetch("alice"))["USDT"].total == D("1001.00000001")
        assert (await other.fetch("alice"))["USDT"].total == D("1002.00000002")
        assert len(await other.history("alice")) == 1
        keys = " ".join([key async for key in cache.scan()])
        assert venue.accounts[1].key not in keys
        assert venue.accounts[1].secret not in keys


async def test_an_order_and_its_cancel_drop_what_was_known(venue: SimulatedVenue) -> None:
    """The next look shows what they locked and freed, for all who share the cache."""
    async with tu.Cache() as cache, alone(venue, cache=cache, ttl=600) as (exchange, balances):
        async with alone(venue, cache=cache, ttl=600) as (_, other):
            assert (await balances.fetch("a0"))["USDT"].used == 0
            order = await exchange.create_order("BTC/USDT", "limit", "buy", D("0.001"), D("20000"))
            assert (await balances.fetch("a0"))["USDT"].used == 20
            assert (await other.fetch("a0"))["USDT"].used == 20
            await exchange.cancel_order(str(order.id), "BTC/USDT")
            assert (await balances.fetch("a0"))["USDT"].used == 0
            await exchange.create_order("BTC/USDT", "limit", "buy", D("0.001"), D("20000"))
            await exchange.cancel_all()
            assert (await balances.fetch("a0"))["USDT"].used == 0
            assert asked(venue) == 4
        with pytest.raises(errors.InsufficientFunds):
            await exchange.create_order("BTC/USDT", "limit", "buy", D("1"), D("20000"))
        await balances.fetch("a0")
        assert asked(venue) == 5  # it may have been placed for all we know


async def test_an_order_that_was_placed_before_anybody_listened_drops_what_others_left(venue: SimulatedVenue) -> None:
    """Of exchanges handed in, and of those of settings, which are opened later than the order was placed."""
    async with tu.Cache() as cache, tu.Exchanges(settings_of(venue), cache=cache, budget=LocalBudget()) as exchanges:
        earlier = tu.Balances(exchanges, cache=cache, ttl=600)
        for number in range(2):
            await earlier.fetch("a0")
            await earlier.aclose()
            trader = exchanges.account("a0")
            await trader.create_order("BTC/USDT", "limit", "buy", D("0.001"), D("20000"))
            later = tu.Balances(trader if number else exchanges, cache=cache, ttl=600)
            assert (await later.fetch("a0"))["USDT"].used == 20 * (number + 1)
            assert trader.changes == number + 1
            await later.aclose()


async def test_a_fill_that_is_seen_drops_what_was_known(venue: SimulatedVenue) -> None:
    """The order was met while nobody looked; whoever looks it up makes the balance new."""
    async with tu.Cache() as cache, alone(venue, cache=cache, ttl=600) as (exchange, balances):
        ticker = await exchange.fetch_ticker("BTC/USDT")
        near = D(str(ticker.bid)).quantize(D("0.01")) * D("0.999")
        order = await exchange.create_order("BTC/USDT", "limit", "buy", D("0.001"), near.quantize(D("0.01")))
        before = await balances.fetch("a0")
        for _ in range(200):
            venue.clock.step(3_600_000)
            seen = await exchange.fetch_order(str(order.id), "BTC/USDT")
            if seen.status == "closed":
                break
        assert seen.status == "closed"
        moved = balances.diff(before, await balances.fetch("a0"))
        assert moved["BTC"].total > 0
        assert moved["USDT"].used < 0


async def test_what_changed_elsewhere_is_dropped_on_request(venue: SimulatedVenue) -> None:
    """``invalidate`` of one account, or of all."""
    async with tu.Cache() as cache, alone(venue, cache=cache, ttl=600) as (_, balances):
        for number, account in enumerate(("a0", None, "a0"), 1):
            await balances.fetch("a0")
            await balances.fetch("a0")
            assert asked(venue) == number
            balances.invalidate(account)


async def test_processes_on_one_server_share_answers_and_changes(venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """Over a real server: one request for both, and an order of one is seen by the other at once."""
    async with (
        tu.Cache(valkey.url) as first,
        tu.Cache(valkey.url) as second,
        alone(venue, cache=first, ttl=600) as (exchange, here),
        alone(venue, cache=second, ttl=600) as (_, there),
    ):
        await asyncio.gather(*(one.fetch("a0") for one in (here, there) for _ in range(10)))
        assert asked(venue) == 1
        await exchange.create_order("BTC/USDT", "limit", "buy", D("0.001"), D("20000"))
        await here.aclose()  # waits until the cache was told
        assert (await there.fetch("a0"))["USDT"].used == 20
        assert [one["USDT"].used for one in await there.history("a0")] == [0, 20]
        assert [one["USDT"].used for one in await here.history("a0", limit=1)] == [20]


# When the venue is down


async def test_the_last_that_is_known_is_served_only_when_asked_for_and_marked(venue: SimulatedVenue) -> None:
    """With its age; too old, or not asked for, the error is raised."""
    async with alone(venue) as (_, balances):
        known = await balances.fetch("a0")
        assert (known.stale, known.age < 1) == (False, True)
        venue.faults.add("status", status=503, path=ACCOUNT)
        with pytest.raises(errors.VenueUnavailable):
            await balances.fetch("a0")
        with pytest.raises(errors.VenueUnavailable):
            await balances.fetch("a0", stale=0)
        served = await balances.fetch("a0", stale=60)
        assert (served, served.stale) == (known, True)
        assert 0 < served.age < 60
        everyone = await balances.fetch_all(stale=60)
        assert (dict(everyone.stale).keys(), dict(everyone.failures)) == ({"a0"}, {})
        assert (await balances.totals(stale=60)).stale.keys() == {"a0"}


async def test_after_a_restart_the_newest_snapshot_is_the_last_that_is_known(venue: SimulatedVenue) -> None:
    """A new process on the same cache serves it, where asked to."""
    async with tu.Cache() as cache:
        async with alone(venue, cache=cache, ttl=0.01) as (_, balances):
            known = await balances.fetch("a0")
        await asyncio.sleep(0.05)
        venue.faults.add("status", status=503)
        async with alone(venue, cache=cache) as (_, balances):
            assert await balances.fetch("a0", stale=60) == known
            with pytest.raises(errors.VenueUnavailable):
                await balances.fetch("a0", wallet="funding", stale=60)


async def test_a_key_that_is_refused_is_not_papered_over_with_what_was_known(venue: SimulatedVenue) -> None:
    """``stale`` is for venues that are down."""
    async with alone(venue) as (_, balances):
        await balances.fetch("a0")
        venue.faults.add("status", status=401, body='{"code":-2015,"msg":"Invalid API-key."}', path=ACCOUNT)
        with pytest.raises(errors.AuthenticationFailed):
            await balances.fetch("a0", stale=60)
        with pytest.raises(errors.Suspended):
            await balances.fetch("a0", stale=60)
        venue.faults.clear()
        balances.resume("a0")
        assert (await balances.fetch("a0")).account == "a0"


# The past


async def test_history_has_a_snapshot_for_each_change_that_was_seen(venue: SimulatedVenue) -> None:
    """Looks that find nothing new add none; ``since`` and ``limit`` choose."""
    async with alone(venue) as (exchange, balances):
        for _ in range(3):
            await balances.fetch("a0")
        middle = dt.datetime.now(dt.UTC)
        await exchange.create_order("BTC/USDT", "market", "buy", D("0.001"))
        await balances.fetch("a0")
        found = await balances.history("a0")
        assert [one["BTC"].total for one in found] == [D("0.1"), D("0.100999")]
        assert await balances.history("a0", since=middle) == found[1:]
        assert await balances.history("a0", limit=1) == found[1:]
        assert balances.diff(*found)["BTC"].total == D("0.000999")
        assert found[0].age >= found[1].age >= 0


async def test_history_of_several_wallets_is_that_of_their_sum(venue: SimulatedVenue) -> None:
    """A transfer between two of them is a snapshot whose sum did not move."""
    holder = SimulatedAccount(name="w", key="w" * 64, secret="s" * 64, balances={"USDT": 10}, wallets={"funding": {}})
    async with (
        SimulatedVenue("binance", symbols=2, accounts=[holder], limits=Limits.none()) as own,
        alone(own, wallets=["spot", "funding"]) as (_, balances),
    ):
        await balances.fetch("w")
        own.ledger.transfer("w" * 64, "USDT", D(4), "spot", "funding", own.clock.now())
        await balances.fetch("w")
        found = await balances.history("w")
        assert [one["USDT"].total for one in found][-1] == 10
        assert found[-1].wallets["funding"]["USDT"].total == 4
        assert len(await balances.history("w", wallet="funding")) == 2


async def test_a_total_that_moves_is_told(venue: SimulatedVenue) -> None:
    """``watch_totals`` looks by itself."""
    async with alone(venue) as (exchange, balances):
        alerts = balances.watch_totals("USDT", threshold=1, interval=0.02)
        waiting = asyncio.ensure_future(anext(alerts))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await exchange.create_order("BTC/USDT", "market", "sell", D("0.1"))
        async with asyncio.timeout(5):
            alert = await waiting
        assert isinstance(alert, Alert)
        assert alert.change < 0  # the fee
        await alerts.aclose()  # type: ignore[attr-defined]


# Blocking


def test_the_blocking_twin_does_the_same() -> None:
    """From settings, for all accounts, with the same results."""
    with (
        serve("binance", symbols=3, accounts=holders(3), limits=Limits.none()) as venue,
        sync.Cache() as cache,
        sync.Exchanges(settings_of(venue, bad=(2,)), cache=cache) as exchanges,
        sync.Balances(exchanges, cache=cache, wallets=["spot", "funding"], priority=["a1"]) as balances,
    ):
        found = balances.fetch_all()
        assert (list(found), list(found.failures)) == (["a0", "a1"], ["a2"])
        assert found["a0"].wallets["spot"]["BTC"].total == D("0.1")
        assert balances.totals().total > 0
        assert balances.diff(found, balances.fetch_all()) == {}
        suspension = balances.suspension("a2")
        assert suspension is not None
        assert suspension.reason == "bad key"
        assert set(balances.suspensions()) == {"a2"}
        heard: list[Any] = []
        leave = balances.subscribe(heard.append)
        balances.resume("a2")
        assert [one.kind for one in heard] == ["resumed"]
        leave()
        assert balances.stats()["a0"].attempts >= 1
        balances.invalidate()
        assert len(balances.history("a0")) == 1
        exchange = exchanges.account("a0")
        assert exchange.wallets[:2] == ("spot", "funding")
        assert exchange.wallet_named("future") == "swap"
        assert not exchange.has_open_orders
        changes: list[int] = []
        stop = exchange.subscribe(lambda: changes.append(1))
        exchange.create_order("BTC/USDT", "market", "buy", D("0.001"))
        assert changes
        stop()
        with pytest.raises(errors.UsageError, match="threshold"):
            next(balances.watch_totals(threshold="x"))


def test_the_blocking_watch_tells_of_a_total_that_moved_and_ends_when_it_is_left() -> None:
    """Each step waits; a loop that is left behind leaves nothing under way."""
    holder = holders(1)[0]
    with (
        serve("binance", symbols=3, accounts=[holder], limits=Limits.none()) as venue,
        sync.Exchange("binance", account=account_of(holder), url=venue.url, budget=LocalBudget()) as exchange,
        sync.Balances(exchange) as balances,
        ThreadPoolExecutor(1) as pool,
    ):
        alerts = balances.watch_totals("USDT", threshold=1, interval=0.02)
        waiting = pool.submit(next, alerts)
        while not asked_of(venue.url, TICKERS):
            time.sleep(0.01)
        exchange.create_order("BTC/USDT", "market", "sell", D("0.1"))
        assert waiting.result(10).change < 0
        alerts.close()  # type: ignore[attr-defined]
        count = asked_of(venue.url, ACCOUNT)
        time.sleep(0.1)
        assert asked_of(venue.url, ACCOUNT) == count


def asked_of(url: str, path: str) -> int:
    """Return how often a venue in another thread was asked."""
    with urllib.request.urlopen(f"{url}/sim/requests") as answer:  # noqa: S310  # loopback
        return int(json.loads(answer.read())["paths"].get(path, 0))


# Hard cases


async def test_an_order_that_left_the_list_of_open_ones_drops_what_was_known(venue: SimulatedVenue) -> None:
    """It was met while nobody looked: a bot that only asks for its open orders sees the new balance as well."""
    async with tu.Cache() as cache, alone(venue, cache=cache, ttl=600) as (exchange, balances):
        ticker = await exchange.fetch_ticker("BTC/USDT")
        near = (D(str(ticker.bid)) * D("0.999")).quantize(D("0.01"))
        await exchange.create_order("BTC/USDT", "limit", "buy", D("0.001"), near)
        before = await balances.fetch("a0")
        for _ in range(200):
            venue.clock.step(3_600_000)
            if not await exchange.fetch_open_orders("BTC/USDT"):
                break
        assert not exchange.has_open_orders
        assert balances.diff(before, await balances.fetch("a0"))["BTC"].total > 0


async def test_open_orders_count_before_a_balance_was_asked_for(venue: SimulatedVenue) -> None:
    """The account was opened to trade; what is first in the fleet does not hang on who asked for its balance."""
    async with tu.Exchanges(settings_of(venue), budget=LocalBudget()) as exchanges:
        balances = tu.Balances(exchanges)
        await exchanges.account("a7").create_order("BTC/USDT", "limit", "buy", D("0.001"), D("20000"))
        assert balances._in_order()[0] == "a7"  # type: ignore[attr-defined]
        assert [name for name in balances.accounts if exchanges.is_open(name)] == ["a7"]
        await exchanges.account("a7").aclose()
        assert not exchanges.is_open("a7")
        assert len(await balances.fetch_all()) == 10


async def test_two_names_of_one_key_are_one_account_in_the_sum(venue: SimulatedVenue) -> None:
    """Each is told by itself, and what they hold is counted once; the same key at another venue is another account."""
    first, second = account_of(venue.accounts[1], name="bot"), account_of(venue.accounts[1], name="me")
    async with SimulatedVenue("binance", symbols=5, seed=3, accounts=venue.accounts, limits=Limits.none()) as other:
        opened = [
            tu.Exchange("binance", account=account, url=url, budget=LocalBudget())
            for account, url in ((first, venue.url), (second, venue.url), (account_of(venue.accounts[1]), other.url))
        ]
        async with contextlib.AsyncExitStack() as stack:
            for exchange in opened:
                await stack.enter_async_context(exchange)
            found = await tu.Balances(opened).totals()
            assert dict(found.same_as) == {"me": "bot"}
            assert found["me"].total == found["bot"].total == (await tu.Balances(opened[1]).total("me")).total
            assert found.total == found["bot"].total + found["a1"].total


async def test_one_name_at_two_venues_is_refused_together_and_apart_not_mixed_up(venue: SimulatedVenue) -> None:
    """Through one cache, with the same key: neither is served with what the other holds."""
    richer = SimulatedAccount(
        name="alice", key=venue.accounts[1].key, secret=venue.accounts[1].secret, balances={"USDT": 7}
    )
    async with (
        SimulatedVenue("binance", symbols=2, accounts=[richer], limits=Limits.none()) as other,
        tu.Cache() as cache,
        alone(venue, 1, cache, name="alice", ttl=600) as (here, one),
        tu.Exchange("binance", account=account_of(richer), url=other.url, budget=LocalBudget()) as there,
    ):
        two = tu.Balances(there, cache=cache, ttl=600)
        for _ in range(2):
            assert (await one.fetch("alice"))["USDT"].total == D("1001.00000001")
            assert (await two.fetch("alice"))["USDT"].total == 7
        with pytest.raises(errors.UsageError, match="'alice' was given twice"):
            tu.Balances([here, there])


async def test_a_key_that_the_vault_replaced_starts_anew(venue: SimulatedVenue) -> None:
    """The old one was refused; once its exchange is closed the new one is asked for, and not held back."""
    given = [tu.Credentials(key="x" * 64, secret="y" * 64)]
    account = tu.Account(name="alice", exchange="binance", vault=lambda _name: given[0])
    settings = tu.Settings(exchanges={"binance": ExchangeSettings(url=venue.url)}, accounts={"alice": account})
    async with tu.Cache() as cache, tu.Exchanges(settings, cache=cache, budget=LocalBudget()) as exchanges:
        balances = tu.Balances(exchanges, cache=cache, ttl=600)
        with pytest.raises(errors.AuthenticationFailed):
            await balances.fetch("alice")
        for number in (1, 2):
            given[0] = account_of(venue.accounts[number]).credentials
            await exchanges.account("alice").aclose()
            assert (await balances.fetch("alice"))["USDT"].total == D(f"100{number}.0000000{number}")
            assert balances.suspension("alice") is None
            assert len(await balances.history("alice")) == 1


async def test_what_was_closed_still_hears_of_changes_once_it_is_asked(venue: SimulatedVenue) -> None:
    """Nothing from before an order is served after it, though nobody listened when it was placed."""
    async with tu.Cache() as cache, alone(venue, cache=cache, ttl=600) as (exchange, balances):
        await balances.fetch("a0")
        await balances.aclose()
        await exchange.create_order("BTC/USDT", "limit", "buy", D("0.001"), D("20000"))
        assert (await balances.fetch("a0", max_age=600))["USDT"].used == 20
        await balances.aclose()
        await balances.aclose()
        await exchange.aclose()
        with pytest.raises(errors.Closed):
            await balances.fetch("a0", max_age=0)


class Payer(LocalBudget):
    """Remembers what was paid."""

    def __init__(self) -> None:
        super().__init__()
        self.paid: list[float] = []

    async def acquire(self, charge: Charge, *, timeout: float | None = None) -> Grant:  # noqa: ASYNC109  # its own
        self.paid += [line.cost for line in charge.lines if line.window.name == "weight"]
        return await super().acquire(charge, timeout=timeout)


async def test_every_try_of_a_balance_is_paid(venue: SimulatedVenue) -> None:
    """Two that failed and one that worked are three payments of 20, so that retries break no limit."""
    budget = Payer()
    async with tu.Exchange(
        "binance", account=account_of(venue.accounts[0]), url=venue.url, budget=budget, retries=2
    ) as exchange:
        await exchange.fetch_balance()
        budget.paid.clear()
        venue.faults.add("reset", path=ACCOUNT, count=1)
        venue.faults.add("status", status=503, path=ACCOUNT, count=1)
        assert (await tu.Balances(exchange).fetch("a0"))["USDT"].total == 1000
        assert budget.paid == [20, 20, 20]
