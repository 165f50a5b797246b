"""One knowledge of bad keys among real processes, also when they are killed and the server with them."""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import errors
from tradeutils.balances.suspensions import Suspensions
from tradeutils.sim import DEFAULT_ACCOUNT, VENUES, SimulatedAccount, SimulatedVenue, serve

_ACCOUNTS, _PROCESSES = 200, 8
_BALANCE = "/api/v3/account"
# The processes are forked off one that has imported all and opened all accounts, and has asked for nothing: to do that
# eight times over takes longer than all else here. What they learn of an account, they learn after they parted.
_FLEET = f"""
import asyncio, json, multiprocessing, sys, time
import ccxt.async_support
import tradeutils as tu
from tradeutils.balances.suspensions import Suspensions
from tradeutils.settings import ExchangeSettings

redis, url = sys.argv[1:]
ahead = 0.0

def credentials(number):
    kind = "bad" if number % 20 < 3 else "key"
    return tu.Credentials(key=f"{{kind}}{{number:05}}" * 8, secret=f"word{{number:04}}" * 8)

settings = tu.Settings(
    exchanges={{"binance": ExchangeSettings(url=url)}},
    accounts={{
        f"a{{number}}": tu.Account(name=f"a{{number}}", exchange="binance", credentials=credentials(number))
        for number in range({_ACCOUNTS})
    }},
)
cache = tu.Cache(redis, timeout=10)
exchanges = tu.Exchanges(settings, cache=cache, deadline=120)
for name in settings.accounts:
    exchanges.account(name)

async def rounds(pipe):
    global ahead
    async with cache, exchanges:
        suspensions = Suspensions(cache, clock=lambda: time.time() + ahead, first_wait=120, lease=120)
        async with tu.Balances(exchanges, cache=cache, ttl=600, suspensions=suspensions) as balances:
            while (told := await asyncio.to_thread(pipe.recv)) is not None:
                ahead = told
                found = await balances.fetch_all()
                failed = {{name: type(error).__name__ for name, error in found.failures.items()}}
                pipe.send({{"good": len(found), "failed": failed}})

def work(pipe):
    asyncio.run(rounds(pipe))

fork = multiprocessing.get_context("fork")
pipes, processes = [], []
for _ in range({_PROCESSES}):
    ours, theirs = fork.Pipe()
    processes.append(fork.Process(target=work, args=(theirs,), daemon=True))
    processes[-1].start()
    pipes.append(ours)
for line in sys.stdin:
    for pipe in pipes:
        pipe.send(float(line))
    print(json.dumps([pipe.recv() for pipe in pipes]), flush=True)
for pipe, process in zip(pipes, processes):
    pipe.send(None)
    process.join(30)
sys.exit(sum(abs(process.exitcode or 0) for process in processes))
"""


@contextlib.contextmanager
def fleet(redis: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """Start processes that each have all accounts, and ask for them all whenever they are told their time."""
    process = subprocess.Popen(
        [sys.executable, "-c", _FLEET, redis, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the forked ones hold its output open, and each other's pipes
        process.communicate()


def a_round(of: subprocess.Popen[str], ahead: float) -> tuple[list[int], collections.Counter[tuple[str, str]]]:
    """Let all ask for everything at once; return how many balances each had, and how often which account failed how."""
    assert of.stdin is not None
    assert of.stdout is not None
    of.stdin.write(f"{ahead}\n")
    of.stdin.flush()
    told = json.loads(of.stdout.readline())
    return [one["good"] for one in told], collections.Counter(pair for one in told for pair in one["failed"].items())


def answers(venue: SimulatedVenue) -> collections.Counter[int]:
    """Return how often the venue was asked for a balance, by its answer's status."""
    return collections.Counter(one.status for one in venue.requests.last(10_000) if one.path == _BALANCE)


def test_each_bad_key_is_tried_once_a_period_by_all_processes_together(valkey: ValkeyServer) -> None:
    """Thirty of two hundred are bad, and eight processes want them all; the other accounts are undisturbed."""
    bad = [number for number in range(_ACCOUNTS) if number % 20 < 3]
    good = _ACCOUNTS - len(bad)
    assert (len(bad), good) == (30, 170)
    holders = [
        SimulatedAccount(name=f"a{i}", key=f"key{i:05}" * 8, secret=f"word{i:04}" * 8, balances={"USDT": 1000 + i})
        for i in range(_ACCOUNTS)
        if i not in bad
    ]
    with serve("binance", symbols=5, accounts=holders) as venue, fleet(valkey.url, venue.url) as started:
        held = {(f"a{number}", "Suspended"): _PROCESSES for number in bad}
        tried = dict.fromkeys(held, _PROCESSES - 1) | {(name, "AuthenticationFailed"): 1 for name, _ in held}
        for ahead, outcomes, refusals in ((0, tried, 1), (0, held, 1), (61, tried, 2), (61, held, 2)):
            found, failed = a_round(started, ahead)
            assert found == [good] * _PROCESSES
            assert failed == outcomes
            told = answers(venue)
            assert told.keys() == {200, 401}
            assert told[401] == refusals * len(bad)
            assert good <= told[200] < 2 * good  # on a busy machine, a fetch that outlives its lease is done again
        assert venue.requests.rejected == 0


# One account, and what happens to its server


def account(name: str = "alice") -> tu.Account:
    return tu.Account(name=name, exchange="binance", credentials=tu.Credentials(key=f"key-of-{name}", secret="secret"))


async def call(suspensions: Suspensions, *, bad: bool = False, name: str = "alice") -> str:
    """Make a call, and tell in a word what became of it."""
    try:
        async with suspensions.attempt(account(name), "binance"):
            if bad:
                raise errors.AuthenticationFailed('{"code":-2015}', venue="binance")
    except errors.Suspended:
        return "held back"
    except errors.AuthenticationFailed:
        return "failed"
    return "made"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


async def until_it_answers(cache: tu.Cache) -> None:
    """Wait until the cache is back."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(errors.CacheUnavailable):
                await cache.get("any")
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", ["freeze", "kill"])
async def test_an_outage_of_the_cache_lets_no_bad_key_through(
    own_valkey: ValkeyServer, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who suspended an account goes by that; good ones go on; and when the cache is back the others learn it."""
    caplog.set_level(logging.INFO, "tradeutils.balances")
    clock = Clock()
    async with tu.Cache(own_valkey.url, timeout=0.2) as cache, tu.Cache(own_valkey.url, timeout=0.2) as another:
        here, there = (Suspensions(one, clock=clock, rng=lambda: 1.0) for one in (cache, another))
        assert [await call(here, bad=True), await call(there), await call(here, name="bob")] == [
            "failed",
            "held back",
            "made",
        ]
        caplog.clear()
        own_valkey.freeze() if fault == "freeze" else own_valkey.kill()
        assert [await call(here), await call(here, name="bob")] == ["held back", "made"]
        assert await call(here, name="carol", bad=True) == "failed"  # learnt while the cache is away
        assert [await call(here, name="carol"), await call(here, name="dave")] == ["held back", "made"]
        clock.now += 61
        assert [await call(here, bad=True), await call(here)] == ["failed", "held back"]
        kept_alone = [one for one in caplog.records if "in this process alone" in one.message]
        assert len(kept_alone) == 1
        own_valkey.thaw() if fault == "freeze" else own_valkey.start()
        await until_it_answers(cache)
        await until_it_answers(another)
        assert [await call(here), await call(here, name="carol", bad=True)] == ["held back", "failed"]
        assert [await call(there), await call(there, name="carol")] == ["held back", "held back"]
        told = await there.get_all()
        assert {name: one.failures for name, one in told.items()} == {"alice": 2, "carol": 2}
        assert any("shared through the cache again" in one.message for one in caplog.records)


async def test_a_resume_during_an_outage_is_told_after_it(own_valkey: ValkeyServer) -> None:
    """It holds here at once all the same."""
    async with tu.Cache(own_valkey.url, timeout=0.2) as cache, tu.Cache(own_valkey.url, timeout=0.2) as another:
        here, there = Suspensions(cache), Suspensions(another)
        assert [await call(here, bad=True), await call(there)] == ["failed", "held back"]
        own_valkey.freeze()
        await here.resume("alice")
        assert await call(there) == "held back"
        own_valkey.thaw()
        await until_it_answers(cache)
        await until_it_answers(another)
        assert await call(here) == "made"
        assert await call(there) == "made"


async def test_a_refused_key_is_held_back_though_its_caller_gave_up(own_valkey: ValkeyServer) -> None:
    """Whoever waits for the cache no longer has learnt of the refusal all the same; the next call tells the others."""
    async with tu.Cache(own_valkey.url, timeout=20) as cache, tu.Cache(own_valkey.url) as another:
        here, there = Suspensions(cache), Suspensions(another)
        assert [await call(here), await call(there)] == ["made", "made"]
        refused = asyncio.Event()

        async def attempt() -> None:
            async with here.attempt(account(), "binance"):
                own_valkey.freeze()
                refused.set()
                raise errors.AuthenticationFailed('{"code":-2015}', venue="binance")

        task = asyncio.create_task(attempt())
        await refused.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        own_valkey.thaw()
        assert [await call(here), await call(there)] == ["held back", "held back"]


async def test_a_cache_that_is_closed_fails_no_call(valkey: ValkeyServer) -> None:
    """At the end of a program it may be closed first."""
    cache = tu.Cache(valkey.url, timeout=5)
    suspensions = Suspensions(cache)
    assert await call(suspensions, bad=True) == "failed"
    await cache.aclose()
    assert [await call(suspensions), await call(suspensions, name="bob")] == ["held back", "made"]
    assert await call(suspensions, name="carol", bad=True) == "failed"
    assert (await suspensions.get_all()).keys() == {"alice", "carol"}


_STUCK = """
import asyncio, sys
import tradeutils as tu
from tradeutils.balances.suspensions import Suspensions

async def main():
    async with tu.Cache(sys.argv[1], timeout=5) as cache:
        suspensions = Suspensions(cache, lease=float(sys.argv[2]))

        async def attempt(name, inside):
            credentials = tu.Credentials(key=f"key-of-{name}", secret="secret")
            account = tu.Account(name=name, exchange="binance", credentials=credentials)
            async with suspensions.attempt(account, "binance"):
                inside.release()
                await asyncio.sleep(600)

        inside = asyncio.Semaphore(0)
        trying = [asyncio.create_task(attempt(name, inside)) for name in sys.argv[3:]]
        for _ in trying:
            await inside.acquire()
        print("inside", flush=True)
        await asyncio.gather(*trying)

asyncio.run(main())
"""


def stuck(server: ValkeyServer, lease: float, *names: str) -> subprocess.Popen[str]:
    """Start a process that tries some accounts and gets no answer; return it once it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STUCK, server.url, str(lease), *names], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    return process


async def test_a_try_of_a_killed_process_is_taken_over(valkey: ValkeyServer) -> None:
    """After its lease; until then, and for as long as it lives, it is the only one: a first try, and a probe."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        assert await call(Suspensions(cache, clock=lambda: time.time() - 3600), bad=True) == "failed"
        process = await asyncio.to_thread(stuck, valkey, 0.9, "alice", "bob")
        try:
            patient = Suspensions(cache, first_wait=60)
            first = asyncio.create_task(call(patient, name="bob"))
            await asyncio.sleep(1.2)  # longer than the lease, which is renewed
            assert not first.done()
            assert await call(patient) == "held back"
        finally:
            process.kill()
            process.communicate()
        async with asyncio.timeout(30):
            assert await first == "made"
            outcome = await call(patient)
            while outcome == "held back":
                await asyncio.sleep(0.02)
                outcome = await call(patient)
        assert outcome == "made"


async def test_a_cache_that_refuses_writes_fails_no_call(valkey_with: Any) -> None:
    """Full of what others keep there: what is learnt stays in this process."""
    server = valkey_with("--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    async with tu.Cache(server.url, timeout=5) as cache:
        suspensions = Suspensions(cache, first_wait=0.1)
        assert [await call(suspensions, bad=True), await call(suspensions)] == ["failed", "held back"]
        assert await call(suspensions, name="bob") == "made"


# Real answers of the four dialects, read by ccxt


@pytest.mark.parametrize("fault", ["key", "secret", "page", "busy"])
@pytest.mark.parametrize("venue", VENUES)
async def test_each_dialect_tells_a_bad_key_from_trouble(venue: str, fault: str) -> None:
    """A key or secret that is wrong suspends at once; a gateway's refusal and an outage do not."""
    right = {"key": DEFAULT_ACCOUNT.key, "password": DEFAULT_ACCOUNT.passphrase}
    right["secret"] = base64.b64encode(b"planted secret of a venue").decode()  # kraken's are in base64
    wrong = {"key": "x" * 64, "secret": base64.b64encode(b"another secret").decode()}
    who = tu.Credentials(**{**right, **{name: text for name, text in wrong.items() if name == fault}})
    holder = SimulatedAccount(name="alice", balances={"USDT": 5}, key=right["key"], secret=right["secret"])
    async with SimulatedVenue(venue, symbols=3, accounts=[holder]) as server:
        owner = tu.Account(name="alice", exchange=venue, credentials=who)
        # kraken lets an address list markets and assets once a second; nobody's limit is to be kept here
        wide = tu.LocalBudget([tu.Window("public", 100, 1)]) if venue == "kraken" else None
        async with tu.Exchange(venue, account=owner, url=server.url, retries=0, budget=wide) as exchange:
            await exchange.load_markets()
            balances = tu.Balances(exchange)
            if fault == "page":
                server.faults.add("html", status=403)
            if fault == "busy":
                server.faults.add("status", status=503)
            with pytest.raises(errors.VenueError) as raised:
                await balances.fetch("alice")
            told = balances.suspension("alice")
            assert (told is not None) == (fault in wrong), raised.value
            server.faults.clear()
            if told is None:
                assert (await balances.fetch("alice"))["USDT"].total == 5
                return
            assert told.reason == "bad key"
            before = server.requests.total
            with pytest.raises(errors.Suspended, match=r"resume\('alice'\)"):
                await balances.fetch("alice")
            assert server.requests.total == before
            assert not any(text in f"{told} {told!r} {raised.value}" for text in wrong.values())
