"""However exchanges end, nothing is left open, and nobody is warned of what was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal

import pytest
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.requests.sessions import CONNECTIONS_PER_HOST
from tradeutils.settings import ExchangeSettings
from tradeutils.sim import Limits, SimulatedAccount, SimulatedVenue, serve

INFO = "/api/v3/exchangeInfo"
SYMBOL = "BTC/USDT"
COUNT = 8
HOLDERS = [
    SimulatedAccount(name=f"a{i}", key=f"key{i:05}" * 8, secret=f"word{i:04}" * 8, balances={"USDT": 1000 + i})
    for i in range(COUNT)
]


def settings_of(url: str) -> tu.Settings:
    """Return settings with all accounts on a venue at ``url``."""
    return tu.Settings(
        exchanges={"binance": ExchangeSettings(url=url)},
        accounts={
            one.name: tu.Account(
                name=one.name, exchange="binance", credentials=tu.Credentials(key=one.key, secret=one.secret)
            )
            for one in HOLDERS
        },
    )


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Five symbols, no limits."""
    async with SimulatedVenue("binance", symbols=5, seed=3, accounts=HOLDERS, limits=Limits.none()) as venue:
        yield venue


def open_all(venue: SimulatedVenue) -> tu.Exchanges:
    """Return the exchanges of every account."""
    return tu.Exchanges(settings_of(venue.url), budget=LocalBudget())


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for rings no bell
            await asyncio.sleep(0.005)


_ENDINGS = """
import asyncio, gc, logging, sys, warnings
import tradeutils as tu
from tradeutils import errors

logging.basicConfig(level=logging.WARNING)

def settings():
    keys = tu.Credentials(key="key00000" * 8, secret="word0000" * 8)
    accounts = {f"a{i}": tu.Account(name=f"a{i}", exchange="binance", credentials=keys) for i in range(3)}
    return tu.Settings(exchanges={"binance": tu.settings.ExchangeSettings(url=sys.argv[1])}, accounts=accounts)

async def used(exchanges):
    await asyncio.gather(*(exchanges.account(f"a{i}").load_markets() for i in range(3)))
    await exchanges["binance"].fetch_ticker("BTC/USDT")
    return exchanges

async def raises():
    async with tu.Exchanges(settings()) as exchanges:
        await used(exchanges)
        raise ZeroDivisionError

async def cancelled(seconds):
    async def work():
        async with tu.Exchanges(settings()) as exchanges:
            await used(exchanges)
            await asyncio.sleep(9)
    task = asyncio.create_task(work())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

async def forgotten():
    await used(tu.Exchanges(settings()))
    await tu.Exchange("binance", url=sys.argv[1]).load_markets()

async def forgotten_and_collected():
    await forgotten()
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0.05)

async def cut_short():
    kept.append(await used(tu.Exchanges(settings())))
    tasks.append(asyncio.create_task(kept[0].account("a1").fetch_tickers()))
    await asyncio.sleep(0.001)

async def closed_twice():
    exchanges = await used(tu.Exchanges(settings()))
    await asyncio.gather(exchanges.aclose(), exchanges.aclose())
    await exchanges.aclose()

kept, tasks = [], []
for ending in (raises, forgotten, forgotten_and_collected, closed_twice):
    try:
        asyncio.run(ending())
    except ZeroDivisionError:
        pass
    gc.collect()
for seconds in (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1):
    asyncio.run(cancelled(seconds))
    gc.collect()
asyncio.run(cut_short())  # the loop ends before they do
gc.collect()
asyncio.run(kept[0].aclose())
kept.clear(), tasks.clear()
gc.collect()
kept.append(tu.sync.Exchanges(settings()))
kept[-1].account("a1").load_markets()
print("done")
"""


@pytest.fixture
def served() -> Iterator[SimulatedVenue]:
    """The venue in a thread of its own, for other processes."""
    with serve("binance", symbols=5, seed=3, accounts=HOLDERS, limits=Limits.none()) as venue:
        yield venue


def test_no_ending_leaves_a_word(served: SimulatedVenue) -> None:
    """Exceptions, cancellation at many moments, loops that end early, garbage, double close: not one warning or log."""
    program = [sys.executable, "-W", "error", "-c", _ENDINGS, served.url]
    done = subprocess.run(program, capture_output=True, timeout=60, check=False, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


async def test_use_after_close_is_said(venue: SimulatedVenue) -> None:
    """Of the exchanges as a whole, and of each that was opened."""
    async with open_all(venue) as exchanges:
        mine = exchanges.account("a1")
        await mine.load_markets()
    assert mine.is_closed
    for use in (lambda: exchanges["binance"], lambda: exchanges.account("a1")):
        with pytest.raises(errors.Closed):
            use()
    for call in (mine.fetch_balance(), mine.load_markets(), mine.fetch_ticker(SYMBOL)):
        with pytest.raises(errors.Closed):
            await call


async def test_closing_ends_what_is_under_way_at_once(venue: SimulatedVenue) -> None:
    """A load that hangs, requests without an answer and calls that wait for a connection all end in one error."""
    venue.faults.add("latency", seconds=30.0, path="/api/v3/ticker/*")
    exchanges = open_all(venue)
    await asyncio.gather(*(exchanges.account(name).load_markets() for name in exchanges.accounts))
    number = CONNECTIONS_PER_HOST + 40
    calls = [
        asyncio.create_task(exchanges.account(f"a{i % COUNT}").fetch_time() if i % 20 == 0 else _ticker(exchanges, i))
        for i in range(number)
    ]
    await asyncio.sleep(0.3)
    assert sum(not call.done() for call in calls) > CONNECTIONS_PER_HOST
    venue.faults.add("latency", seconds=30.0, path=INFO)
    calls.append(asyncio.create_task(exchanges["binance"].load_markets(reload=True)))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await exchanges.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert time.monotonic() - began < 2.0
    failed = [one for one in outcomes if isinstance(one, BaseException)]
    assert len(failed) > CONNECTIONS_PER_HOST
    assert {type(one) for one in failed} == {errors.Closed}


async def _ticker(exchanges: tu.Exchanges, number: int) -> object:
    return await exchanges.account(f"a{number % COUNT}")._venue.fetch_ticker(SYMBOL)


async def test_an_order_that_was_on_its_way_is_said_to_be_unknown(venue: SimulatedVenue) -> None:
    """The venue has it; who placed it learns that nobody knows, and by which id it can be looked up."""
    venue.faults.add("latency", seconds=30.0, path="/api/v3/order", method="POST", after=True)
    async with open_all(venue) as exchanges:
        mine = exchanges.account("a1")
        await mine.fetch_balance()
        placing = asyncio.create_task(mine.create_order(SYMBOL, "limit", "buy", Decimal("0.001"), Decimal(20_000)))
        await until(lambda: venue.requests.orders)
    with pytest.raises(errors.OrderUnknown) as caught:
        await placing
    async with open_all(venue) as others:
        [order] = await others.account("a1").fetch_open_orders(SYMBOL)
    assert order.client_id == caught.value.client_id


async def test_closing_that_is_cancelled_can_be_done_again(venue: SimulatedVenue) -> None:
    """The connections are closed all the same."""
    exchanges = open_all(venue)
    await exchanges.account("a1").fetch_balance()
    closing = asyncio.create_task(exchanges.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    await exchanges.aclose()
    assert exchanges._together.session._client is None
    with pytest.raises(errors.Closed):
        await exchanges.account("a1").fetch_balance()


async def test_they_belong_to_the_loop_that_used_them_first(venue: SimulatedVenue) -> None:
    """Another loop is told so, whichever account it asks with, and does no harm."""
    async with open_all(venue) as exchanges:
        await exchanges.account("a1").load_markets()

        def ask() -> None:
            async def work() -> None:
                with pytest.raises(errors.UsageError, match="another event loop"):
                    await exchanges.account("a2").load_markets()

            asyncio.run(work())

        await asyncio.to_thread(ask)
        assert (await exchanges.account("a2").fetch_balance())["USDT"].total == 1002


_LOADER = """
import asyncio, sys
import tradeutils as tu
from tradeutils.cache import flights

flights._LEASE_MS = 900  # a third of the usual, so that its end is not long in coming

async def main():
    async with tu.Cache(sys.argv[1], timeout=5.0) as cache:
        exchange = tu.Exchange("binance", url=sys.argv[2], cache=cache, budget=tu.LocalBudget())
        print("loading", flush=True)
        await exchange.load_markets()
        print("loaded", flush=True)

asyncio.run(main())
"""


async def test_a_loader_that_is_killed_holds_nobody_up_for_long(venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """Another process held the load of the table; it dies, and who waited loads it."""
    venue.faults.add("latency", seconds=30.0, path=INFO, count=1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LOADER, valkey.url, venue.url, stdout=subprocess.PIPE
    )
    await until(lambda: any(fault["struck"] for fault in venue.faults.describe()))
    async with tu.Cache(valkey.url) as cache, tu.Exchanges(settings_of(venue.url), cache=cache) as exchanges:
        waiting = asyncio.create_task(exchanges.account("a1").load_markets())
        await asyncio.sleep(0.2)
        assert not waiting.done()  # the other is at it
        process.kill()
        await process.communicate()
        async with asyncio.timeout(10):
            assert SYMBOL in await waiting


async def test_a_cache_that_answers_nothing_is_done_without(venue: SimulatedVenue, own_valkey: ValkeyServer) -> None:
    """Frozen before the first call: the venue is asked, once for all."""
    own_valkey.freeze()
    async with (
        tu.Cache(own_valkey.url, timeout=0.1) as cache,
        tu.Exchanges(settings_of(venue.url), cache=cache, budget=LocalBudget()) as exchanges,
    ):
        tables = await asyncio.gather(*(exchanges.account(name).load_markets() for name in exchanges.accounts))
        assert all(SYMBOL in table for table in tables)
        assert venue.requests.paths[INFO] == 1
        assert await exchanges.account("a1").load_markets(reload=True)
    own_valkey.thaw()


async def test_an_exchange_that_closes_while_it_loads_for_two_takes_the_other_along_in_nothing(
    venue: SimulatedVenue,
) -> None:
    """Two that share only a cache wait for one load; the one whose connection it was closes."""
    venue.faults.add("latency", seconds=0.3, path=INFO, count=1)
    async with tu.Cache() as cache:
        first = tu.Exchange("binance", url=venue.url, cache=cache, budget=LocalBudget())
        async with tu.Exchange("binance", url=venue.url, cache=cache, budget=LocalBudget()) as second:
            leaving = asyncio.create_task(first.load_markets())
            await until(lambda: any(fault["struck"] for fault in venue.faults.describe()))
            staying = asyncio.create_task(second.load_markets())
            await asyncio.sleep(0.05)
            await first.aclose()
            with pytest.raises(errors.Closed):
                await leaving
            assert SYMBOL in await staying
