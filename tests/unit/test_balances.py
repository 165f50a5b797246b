"""What balances are made of: sums of wallets, answers and how long they count, the order of a fleet, parameters."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt.async_support
import pytest

import tradeutils as tu
from tradeutils.balances.answers import Answer, Answers, read_answer
from tradeutils.balances.fleet import each
from tradeutils.balances.parameters import Limits
from tradeutils.balances.results import AllBalances, Totals
from tradeutils.balances.snapshots import Snapshots, merged
from tradeutils.balances.valuation import Valuation
from tradeutils.errors import CacheUnavailable, NotSupportedByVenue, UnknownName, UsageError, VenueUnavailable
from tradeutils.exchange.ordering.activity import Activity
from tradeutils.exchange.venues import wallets as wallet_tables
from tradeutils.exchange.venues.wallets import wallets_of
from tradeutils.model import AssetBalance, Balance, Order

D = Decimal


def held(wallet: str | None = "spot", time: int | None = 1, **assets: str) -> Balance:
    """Return a balance of free amounts."""
    parts = {asset: AssetBalance(free=D(text), total=D(text)) for asset, text in assets.items()}
    return Balance(venue="binance", account="alice", time=time, assets=parts, wallet=wallet)


class Clock:
    """Seconds since 1970, set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Venue:
    """Answers with a new balance each time, when it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Balance:
        self.asked += 1
        told = held(USDT=str(self.asked))
        await self.gate.wait()
        return told


# Wallets together


def test_the_sum_of_wallets_is_exact_and_keeps_its_parts() -> None:
    """0.1 and 0.2 are 0.3, a grain of 18 digits beside 1e12 is not lost, and debts add up."""
    owed = AssetBalance(free=D(1), total=D(1), debt=D("0.000000000000000001"))
    margin = Balance(venue="binance", account="alice", time=5, assets={"B": owed}, wallet="margin")
    whole = Balance.combined(
        {"spot": held(A="0.1", B="1000000000000.000000000000000001"), "funding": held("funding", A="0.2"), "m": margin}
    )
    assert whole["A"].total == D("0.3")
    assert whole["B"] == AssetBalance(
        free=D("1000000000001.000000000000000001"),
        total=D("1000000000001.000000000000000001"),
        debt=D("0.000000000000000001"),
    )
    assert list(whole.wallets) == ["spot", "funding", "m"]
    assert (whole.wallet, whole.time) == (None, 1)
    assert dataclasses.asdict(whole)["wallets"]["funding"]["assets"]["A"]["free"] == D("0.2")


def test_a_sum_of_an_old_part_is_old() -> None:
    """Age and staleness of the worst part are those of the sum; a part without a time leaves it without."""
    old = dataclasses.replace(held("funding", time=None, A="1"), age=7.5, stale=True)
    whole = Balance.combined({"spot": held(A="1"), "funding": old})
    assert (whole.age, whole.stale, whole.time) == (7.5, True, None)


def test_wallets_of_two_accounts_are_no_sum() -> None:
    """Nor are none."""
    other = dataclasses.replace(held(A="1"), account="bob")
    for parts in ({}, {"spot": held(A="1"), "other": other}):
        with pytest.raises(UsageError, match="accounts; give those of one"):
            Balance.combined(parts)
    with pytest.raises(TypeError):
        AssetBalance() + 1  # type: ignore[operator]


def test_a_balance_of_several_wallets_survives_the_codec() -> None:
    """With its parts, its age and that it is stale; what says nothing is not written."""
    part = dataclasses.replace(held(A="1.10"), age=2.5, stale=True)
    whole = Balance.combined({"spot": part, "funding": held("funding", B="0.1")})
    read = tu.codec.loads(tu.codec.dumps(whole))
    assert read == whole
    assert (read.age, read.stale, read.wallets["spot"].stale) == (2.5, True, True)
    assert len(tu.codec.dumps(held(A="1"))) < len(tu.codec.dumps(whole)) / 2
    with pytest.raises(tu.errors.CodecError, match="something else than Balance"):
        tu.codec.dumps(dataclasses.replace(whole, wallets={"spot": 1}))  # type: ignore[dict-item]


# Which wallets there are


@pytest.mark.parametrize("name", sorted([*wallet_tables._WALLETS, *wallet_tables._SAME_AS]))
def test_every_name_of_a_wallet_leads_to_one_that_can_be_asked_for(name: str) -> None:
    """In every venue of the table, on ccxt's own class; the default is one of them."""
    found = wallets_of(getattr(ccxt.async_support, name)())
    assert found.default in found.names
    assert len(set(found.names)) == len(found.names)
    own, aliases = wallet_tables._WALLETS[wallet_tables._SAME_AS.get(name, name)]
    assert {found.named(alias) for alias in (*own, *aliases)} == set(found.names)


def test_a_unified_account_is_one_wallet_under_several_names() -> None:
    """What spot and swaps are traded from is asked for once."""
    for name, one in (("bybit", "unified"), ("okx", "trading")):
        found = wallets_of(getattr(ccxt.async_support, name)())
        assert {found.named(alias) for alias in ("spot", "swap", "margin", "future")} == {one}
        assert found.names == (one, "funding")


def test_the_default_follows_the_options_of_ccxt() -> None:
    """Whoever trades futures by default asks for their wallet, as before; portfolio margin is one wallet."""
    assert wallets_of(ccxt.async_support.binance({"options": {"defaultType": "future"}})).names[0] == "swap"
    other = wallets_of(ccxt.async_support.binance({"options": {"defaultType": "papi"}}))
    assert (other.names[0], other.named("papi"), other.params("papi")) == ("papi", "papi", {})
    portfolio = wallets_of(ccxt.async_support.binance({"options": {"portfolioMargin": True}}))
    assert portfolio.names == ("portfolio",)
    assert portfolio.params("portfolio") == {}


def test_a_venue_without_an_entry_has_its_default_wallet_alone() -> None:
    """ccxt may answer for any other name with the same wallet, which would be counted twice."""
    found = wallets_of(ccxt.async_support.bitstamp())
    assert found.names == ("spot",)
    with pytest.raises(NotSupportedByVenue, match=r"has no wallet 'funding'; it has spot; with one: binance") as caught:
        found.named("funding")
    assert "okx" in caught.value.alternatives
    with pytest.raises(UnknownName, match="'saving'"):
        found.named("saving")
    with pytest.raises(UsageError, match="wallet was 3"):
        found.named(3)  # type: ignore[arg-type]


# What happens to an account


def order(number: str | None, status: str, filled: str = "0") -> Order:
    return Order(symbol="BTC/USDT", id=number, status=status, filled=D(filled))


def test_open_orders_are_known_until_they_end() -> None:
    """Placed, seen or cancelled; an order without an id says nothing."""
    activity = Activity()
    activity.saw(order(None, "open"))
    assert not activity.has_open_orders
    activity.saw_all([order("1", "open"), order("2", "open")])
    assert activity.has_open_orders
    activity.saw(order("1", "closed", "1"))
    activity.ended("ETH/USDT", "2")  # another market's order of this number
    assert activity.has_open_orders
    activity.ended("BTC/USDT", "2")
    activity.ended("BTC/USDT", None)
    assert not activity.has_open_orders


def test_a_fill_that_is_seen_is_a_change_and_a_second_look_is_none() -> None:
    """Who listens hears of an order that was filled or ended since it was last seen, and of nothing else."""
    activity, heard = Activity(), []
    leave = activity.subscribe(lambda: heard.append(1))
    activity.saw(order("1", "open"))
    activity.saw(order("1", "open"))
    activity.saw(order("9", "closed", "1"))  # never seen open: nothing tells that it was not so before
    assert heard == []
    activity.saw(order("1", "open", "0.5"))
    activity.saw(order("1", "closed", "0.5"))
    assert len(heard) == 2
    with pytest.raises(VenueUnavailable), activity.changing():
        raise VenueUnavailable("gone")
    assert len(heard) == 3
    leave()
    with activity.changing():
        pass
    assert len(heard) == 3


def test_a_listener_that_fails_does_not_fail_the_order(caplog: pytest.LogCaptureFixture) -> None:
    """The order stands; the fault is in the log, and others are told."""
    activity, heard = Activity(), []
    activity.subscribe(lambda: 1 / 0)
    activity.subscribe(lambda: heard.append(1))
    with caplog.at_level(logging.ERROR), activity.changing():
        pass
    assert heard == [1]
    assert "ZeroDivisionError" in caplog.text


def test_only_so_many_open_orders_are_remembered() -> None:
    """A bot that places orders for years and never looks at them again does not fill the memory."""
    activity = Activity()
    for number in range(10_050):
        activity.saw(order(str(number), "open"))
    assert len(activity._filled) == 10_000
    assert ("BTC/USDT", "10049") in activity._filled


# Answers and how long they count


async def test_an_answer_serves_within_its_ttl_and_tells_its_age() -> None:
    """By the clock of whoever asks; once it is over the venue is asked again."""
    venue, clock = Venue(), Clock()
    async with tu.Cache() as cache:
        answers = Answers(cache, 0.05, clock=clock)
        first = await answers.get("k", venue.fetch)
        clock.now += 1.5
        assert await answers.get("k", venue.fetch) == first
        assert answers.age(first) == 1.5
        await asyncio.sleep(0.08)
        assert (await answers.get("k", venue.fetch)).balance["USDT"].total == 2


async def test_callers_at_once_share_one_request_with_and_without_a_cache() -> None:
    """Twenty ask, one request leaves."""
    async with tu.Cache() as cache:
        for kept in (cache, None):
            venue, answers = Venue(), Answers(kept, 2.0)
            found = await asyncio.gather(*(answers.get("k", venue.fetch) for _ in range(20)))
            assert venue.asked == 1
            assert {one.balance["USDT"].total for one in found} == {1}


@pytest.mark.parametrize("cached", [True, False])
async def test_an_answer_that_left_before_a_change_is_not_served_after_it(cached: bool) -> None:
    """The change comes while the request is under way: who asks then does not get its answer, nor who asks later."""
    async with tu.Cache() as cache:
        venue, answers = Venue(), Answers(cache if cached else None, 60.0)
        venue.gate.clear()
        early = asyncio.create_task(answers.get("k", venue.fetch))
        await asyncio.sleep(0.01)
        answers.drop(["k"])
        late = asyncio.create_task(answers.get("k", venue.fetch))
        await asyncio.sleep(0.01)
        venue.gate.set()
        assert (await early).balance["USDT"].total == 1
        assert (await late).balance["USDT"].total == 2
        if cached:
            assert (await answers.get("k", venue.fetch)).balance["USDT"].total == 2
            assert venue.asked == 2
        await answers.settle()


async def test_a_change_drops_the_answer_for_others_on_the_cache() -> None:
    """Two processes share it; the one that changed the account tells the other."""
    async with tu.Cache() as cache:
        venue, here, there = Venue(), Answers(cache, 60.0), Answers(cache, 60.0)
        await here.get("k", venue.fetch)
        assert (await there.get("k", venue.fetch)).balance["USDT"].total == 1
        here.drop(["k"])
        await here.settle()
        assert (await there.get("k", venue.fetch)).balance["USDT"].total == 2


async def test_a_younger_answer_is_asked_for_where_the_known_one_is_too_old() -> None:
    """Once for all who ask so at once; without a bound the known one serves."""
    venue, clock = Venue(), Clock()
    async with tu.Cache() as cache:
        answers = Answers(cache, 60.0, clock=clock)
        await answers.get("k", venue.fetch)
        clock.now += 5
        assert (await answers.get("k", venue.fetch, max_age=10)).balance["USDT"].total == 1
        found = await asyncio.gather(*(answers.get("k", venue.fetch, max_age=1) for _ in range(10)))
        assert {one.balance["USDT"].total for one in found} == {2}
        assert (await answers.get("k", venue.fetch, max_age=0)).balance["USDT"].total in (2, 3)


async def test_what_this_process_asked_serves_beyond_the_ttl_where_that_is_enough() -> None:
    """Also without a cache, but never past a change."""
    venue, clock = Venue(), Clock()
    answers = Answers(None, 2.0, clock=clock)
    await answers.get("k", venue.fetch)
    clock.now += 30
    assert (await answers.get("k", venue.fetch, max_age=60)).balance["USDT"].total == 1
    assert (await answers.get("k", venue.fetch)).balance["USDT"].total == 2
    answers.drop(["k"])
    assert (await answers.get("k", venue.fetch, max_age=60)).balance["USDT"].total == 3


@pytest.mark.parametrize(
    "told",
    [1, {}, {"balance": 1, "at": 1.0}, {"balance": held(A="1")}, {"balance": held(A="1"), "at": float("nan")},
     {"balance": held(A="1"), "at": 1e12}, {"balance": held(A="1"), "at": "1"}],
    ids=["number", "empty", "no balance", "no time", "nan", "future", "text"],
)  # fmt: skip
async def test_what_is_no_answer_in_the_cache_is_not_served(told: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever can write there could put anything: the venue is asked, and what lies there is removed next time."""
    venue = Venue()
    async with tu.Cache() as cache:
        await cache.set("k", told)
        answers = Answers(cache, 60.0)
        with caplog.at_level(logging.WARNING):
            assert (await answers.get("k", venue.fetch)).balance["USDT"].total == 1
        assert "is no balance" in caplog.text
        assert (await answers.get("k", venue.fetch)).balance["USDT"].total == 2
        assert (await answers.get("k", venue.fetch)).balance["USDT"].total == 2
    assert read_answer(told, 1_000.0) is None


async def test_an_error_reaches_all_who_wait_and_is_not_remembered() -> None:
    """The next who asks asks the venue."""
    answers = Answers(None, 2.0)

    async def fail() -> Balance:
        await asyncio.sleep(0)
        raise VenueUnavailable("gone")

    found = await asyncio.gather(*(answers.get("k", fail) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(one, VenueUnavailable) for one in found)
    assert answers.last("k") is None
    assert (await answers.get("k", Venue().fetch)).balance["USDT"].total == 1


def test_a_change_outside_of_any_loop_holds_with_the_next_call() -> None:
    """An order hook may run anywhere; nothing is left behind that warns."""

    async def ask(answers: Answers, venue: Venue) -> Answer:
        return await answers.get("k", venue.fetch)

    with asyncio.Runner() as runner:
        cache = tu.Cache()
        venue, answers = Venue(), Answers(cache, 60.0)
        runner.run(ask(answers, venue))
        answers.drop(["k"])
        assert runner.run(ask(answers, venue)).balance["USDT"].total == 2
        runner.run(cache.aclose())


# Snapshots


async def test_snapshots_are_kept_at_each_change_and_no_more_than_so_many() -> None:
    """With a cache and without; equal amounts are no change, whatever zeros stand at their ends."""
    async with tu.Cache() as cache:
        for kept in (cache, None):
            snapshots = Snapshots(kept, 3)
            for number, text in enumerate(("1", "1.0", "2", "3", "4", "4.00", "5")):
                await snapshots.record("k", Answer(held(A=text), float(number)))
            assert [one.balance["A"].total for one in await snapshots.read("k")] == [3, 4, 5]
            assert await snapshots.read("other") == []


async def test_another_process_goes_on_with_the_same_snapshots() -> None:
    """And does not repeat what was the last."""
    async with tu.Cache() as cache:
        await Snapshots(cache, 5).record("k", Answer(held(A="1"), 1.0))
        another = Snapshots(cache, 5)
        await another.record("k", Answer(held(A="1"), 2.0))
        await another.record("k", Answer(held(A="2"), 3.0))
        assert [one.at for one in await another.read("k")] == [1.0, 3.0]


@pytest.mark.parametrize(
    "told", [1, {"digest": 1, "count": 1}, {"digest": "", "count": -1}, {"digest": "", "count": "1"}]
)
async def test_an_index_that_is_none_begins_anew(told: Any) -> None:
    """What lies under the key of the index was written by somebody else."""
    async with tu.Cache() as cache:
        await cache.set("k:history", told)
        snapshots = Snapshots(cache, 5)
        assert await snapshots.read("k") == []
        await snapshots.record("k", Answer(held(A="1"), 1.0))
        assert len(await snapshots.read("k")) == 1


async def test_no_snapshots_are_kept_where_none_are_wanted() -> None:
    """``snapshots=0`` writes nothing."""
    async with tu.Cache() as cache:
        await Snapshots(cache, 0).record("k", Answer(held(A="1"), 1.0))
        assert [key async for key in cache.scan()] == []


def test_snapshots_of_wallets_are_merged_from_when_all_are_known() -> None:
    """A change of one is a snapshot of the sum; two at one moment do not confuse it."""
    spot = [Answer(held(A="1"), 1.0), Answer(held(A="3"), 3.0)]
    funding = [Answer(held("funding", A="10"), 2.0), Answer(held("funding", A="20"), 3.0)]
    found = merged({"spot": spot, "funding": funding})
    assert [(one.at, one.balance["A"].total) for one in found] == [(2.0, 11), (3.0, 21), (3.0, 23)]
    assert merged({"spot": spot}) == spot


# Many at once


async def test_a_fleet_is_asked_in_order_and_only_so_many_at_once() -> None:
    """The first in line begin first, and no more than the bound are under way."""
    began: list[str] = []
    under_way = most = 0

    async def work(name: str) -> str:
        nonlocal under_way, most
        began.append(name)
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return name.upper()

    names = [f"a{number}" for number in range(20)]
    done, failed = await each(names, lambda _: "x", work, at_once=4)
    assert (began, most, failed) == (names, 4, {})
    assert done == {name: name.upper() for name in names}


async def test_a_failure_reaches_no_other_and_a_slow_place_holds_up_none() -> None:
    """The other venue is done while this one still hangs."""
    gate, finished = asyncio.Event(), []

    async def work(name: str) -> str:
        if name.startswith("slow"):
            await gate.wait()
        if name == "bad":
            raise VenueUnavailable("gone")
        finished.append(name)
        if name == "quick9":
            gate.set()
        return name

    def place(name: str) -> str:
        if name == "unknown":
            raise UnknownName("account", name, [])
        return name.rstrip("0123456789")

    names = ["slow1", "slow2", "bad", "unknown", *(f"quick{number}" for number in range(10))]
    async with asyncio.timeout(5):
        done, failed = await each(names, place, work, at_once=1)
    assert finished[-2:] == ["slow1", "slow2"]
    assert len(done) == 12
    assert {name: type(error) for name, error in failed.items()} == {"bad": VenueUnavailable, "unknown": UnknownName}


async def test_an_error_that_is_none_of_ours_ends_all_and_is_raised_alone() -> None:
    """A fault of the code is not told as a failure of an account; nothing stays under way."""

    async def work(name: str) -> None:
        if name == "b":
            raise ZeroDivisionError
        await asyncio.sleep(60)

    with pytest.raises(ZeroDivisionError):
        await each("abc", lambda _: "x", work)
    assert len(asyncio.all_tasks()) == 1


async def test_a_fleet_that_is_cancelled_leaves_nothing_under_way() -> None:
    """Not a task is left."""

    async def work(_: str) -> None:
        await asyncio.sleep(60)

    task = asyncio.create_task(each("abc", lambda _: "x", work))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1


# Results and parameters


def worth(total: str) -> Valuation:
    return Valuation(account="a", quote="USDT", total=D(total), assets={}, unpriced={}, time=0)


def test_totals_add_up_exactly_and_say_who_is_missing() -> None:
    """Without an artefact of floats."""
    found = Totals(quote="USDT", valuations={"a": worth("0.1"), "b": worth("0.2")}, failures={"c": ValueError()})
    assert (found.total, found.is_complete, list(found), len(found)) == (D("0.3"), False, ["a", "b"], 2)
    assert found["a"].total == D("0.1")
    assert Totals(quote="USDT", valuations={}).total == 0
    everyone = AllBalances(balances={"a": held(A="1")})
    assert (everyone["a"]["A"].free, len(everyone), dict(everyone.failures)) == (1, 1, {})


@pytest.fixture
async def exchange() -> Any:
    """An exchange of an account, which asks nobody."""
    account = tu.Account(name="alice", exchange="binance", credentials=tu.Credentials(key="k", secret="s"))
    async with tu.Exchange("binance", account=account, url="http://127.0.0.1:9") as opened:
        yield opened


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ttl": 0}, "ttl was 0"),
        ({"ttl": float("nan")}, "ttl was nan"),
        ({"wallets": "spot"}, "wallets was 'spot'"),
        ({"wallets": []}, "wallets was empty"),
        ({"wallets": [1]}, "wallets was"),
        ({"priority": "alice"}, "priority was 'alice'"),
        ({"priority": ["alise"]}, "valid are alice"),
        ({"snapshots": -1}, "snapshots was -1"),
        ({"snapshots": True}, "snapshots was True"),
        ({"snapshots": 10_001}, "from 0 to 10,000"),
        ({"cache": "redis://"}, "cache was a str"),
        ({"suspensions": 1}, "suspensions was a int"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
async def test_parameters_that_cannot_be_are_refused(exchange: tu.Exchange, given: Any, told: str) -> None:
    """With what was given, and what to write."""
    with pytest.raises(UsageError, match=told):
        tu.Balances(exchange, **given)


async def test_exchanges_that_are_none_are_refused(exchange: tu.Exchange) -> None:
    """Also one without an account, and two accounts of one name."""
    async with tu.Exchange("binance", url="http://127.0.0.1:9") as nobody:
        for given, told in (("binance", "give an Exchange"), ([1], "held 1"), (nobody, "has no account"),
                            ([exchange, exchange], "given twice"), (None, "give an Exchange")):  # fmt: skip
            with pytest.raises(UsageError, match=told):
                tu.Balances(given)  # type: ignore[arg-type]


async def test_calls_with_parameters_that_cannot_be_are_refused(exchange: tu.Exchange) -> None:
    """Before anything is sent."""
    balances = tu.Balances(exchange)
    calls: list[tuple[Callable[[], Awaitable[Any]], str]] = [
        (lambda: balances.fetch("alise"), "valid are alice"),
        (lambda: balances.fetch(3), "account was 3"),  # type: ignore[arg-type]
        (lambda: balances.fetch("alice", max_age=-1), "max_age was -1"),
        (lambda: balances.fetch_all(stale=float("inf")), "stale was inf"),
        (lambda: balances.fetch("alice", wallet="nothing"), "wallet was 'nothing'"),
        (lambda: balances.history("alice", limit=0), "limit was 0"),
        (lambda: balances.total("alice", max_age=True), "max_age was True"),
    ]
    for call, told in calls:
        with pytest.raises(UsageError, match=told):
            await call()
    for ask in (balances.suspension, balances.resume, balances.invalidate):
        with pytest.raises(UnknownName, match="valid are alice"):
            ask("alise")
    assert Limits.of(None, 0) == Limits(None, 0.0)
    assert repr(balances) == "<Balances of alice>"
    assert repr(tu.Balances([])) == "<Balances of nobody>"


async def test_a_cache_that_is_closed_is_not_taken_for_an_outage() -> None:
    """It is a fault of the program, and told as one."""
    cache = tu.Cache()
    await cache.aclose()
    with pytest.raises(tu.errors.Closed):
        await Answers(cache, 2.0).get("k", Venue().fetch)
    with pytest.raises((tu.errors.Closed, CacheUnavailable)):
        await Snapshots(cache, 3).read("k")


async def test_a_cold_cache_is_asked_once_for_the_newest() -> None:
    """``max_age=0`` of what nobody knows is one request, and of what this call had asked for itself."""
    async with tu.Cache() as cache:
        venue, answers = Venue(), Answers(cache, 60.0)
        assert (await answers.get("k", venue.fetch, max_age=0)).balance["USDT"].total == 1
        assert venue.asked == 1
        assert (await answers.get("k", venue.fetch, max_age=0)).balance["USDT"].total == 2
        assert venue.asked == 2


async def test_what_another_process_dropped_is_not_served_for_its_young_age() -> None:
    """It changed the account: what this process asked itself before that is no answer, however young it may be."""
    async with tu.Cache() as cache:
        venue, here, there = Venue(), Answers(cache, 60.0), Answers(cache, 60.0)
        assert (await here.get("k", venue.fetch, max_age=30)).balance["USDT"].total == 1
        assert (await here.get("k", venue.fetch, max_age=30)).balance["USDT"].total == 1
        there.drop(["k"])
        await there.settle()
        assert (await here.get("k", venue.fetch, max_age=30)).balance["USDT"].total == 2


async def test_a_change_back_that_another_process_saw_half_of_is_kept() -> None:
    """One sees 1, the other 2, the first 1 again: the last snapshot is what is held now."""
    async with tu.Cache() as cache:
        here, there = Snapshots(cache, 5), Snapshots(cache, 5)
        for at, (snapshots, amount) in enumerate([(here, "1"), (there, "2"), (here, "1"), (here, "1.0")]):
            await snapshots.record("k", Answer(held(USDT=amount), float(at)))
        assert [one.balance["USDT"].total for one in await there.read("k")] == [1, 2, 1]


@pytest.mark.parametrize(
    ("before", "after"), [("-1", "-2"), ("0", str(2**61 - 1)), ("5", str(2**61 + 4))], ids=["below zero", "0", "5"]
)
async def test_amounts_that_python_hashes_alike_are_a_change(before: str, after: str) -> None:
    """The hash of -1 is that of -2, and any is the same 2^61 - 1 further on."""
    assert hash(D(before)) == hash(D(after))
    snapshots = Snapshots(None, 5)
    for amount in (before, after, f"{after}.000", before):
        await snapshots.record("k", Answer(held(USDT=amount), 1.0))
    assert [one.balance["USDT"].total for one in await snapshots.read("k")] == [D(before), D(after), D(before)]


def test_an_order_that_is_no_longer_listed_has_ended() -> None:
    """It was filled, or cancelled elsewhere, which is a change; of other markets, and of younger orders, nothing."""
    activity, heard = Activity(), []
    activity.subscribe(lambda: heard.append(1))
    other = Order(symbol="ETH/USDT", id="3", status="open")
    waits = Order(symbol="BTC/USDT", id="4", status="open", stop_price=D(9))
    activity.saw_all([order("1", "open"), order("2", "open"), other, waits])
    known = activity.known()
    activity.saw(order("5", "open"))  # placed while the list is on its way
    activity.listed([order("2", "open")], {"BTC/USDT"}, known)
    assert heard == [1]
    assert set(activity._filled) == {("BTC/USDT", "2"), ("ETH/USDT", "3"), ("BTC/USDT", "4"), ("BTC/USDT", "5")}
    activity.listed([order("2", "open"), order("5", "open")], {"BTC/USDT"}, activity.known())
    assert heard == [1]


@pytest.mark.parametrize(
    ("options", "default"),
    [
        ({"defaultSubType": "inverse"}, "spot"),
        ({"defaultMarginMode": "isolated"}, "spot"),
        ({"defaultType": "swap", "defaultSubType": "inverse"}, "inverse"),
        ({"defaultType": "future", "defaultSubType": "linear"}, "swap"),
        ({"defaultType": "swap", "defaultMarginMode": "isolated"}, "swap"),
        ({"defaultType": "margin", "defaultMarginMode": "isolated"}, "isolated"),
        ({"defaultType": "delivery"}, "inverse"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value,
)
def test_the_default_wallet_is_the_one_that_the_options_mean(options: dict[str, Any], default: str) -> None:
    """By its own name, so that it is not counted under another as well."""
    assert wallets_of(ccxt.async_support.binance({"options": options})).default == default


def test_two_names_of_one_account_are_counted_once() -> None:
    """Both are told, and the sum has what they hold once."""
    worth = Valuation(account="alice", quote="USDT", total=D("1.1"), assets={}, unpriced={}, time=1)
    found = Totals(quote="USDT", valuations={"alice": worth, "al": worth, "bob": worth}, same_as={"al": "alice"})
    assert (found.total, len(found)) == (D("2.2"), 3)
