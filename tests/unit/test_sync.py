"""The blocking API: the same methods, from any thread."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import sync
from tradeutils.errors import CacheError, Closed, UnknownName, UsageError
from tradeutils.sim import DEFAULT_ACCOUNT, serve


@pytest.mark.parametrize(
    ("blocking", "twin"),
    [
        (sync.Exchange, tu.Exchange),
        (sync.Exchanges, tu.Exchanges),
        (sync.Cache, tu.Cache),
        (sync.Balances, tu.Balances),
    ],
)
def test_every_public_method_of_the_twin_is_there(blocking: type, twin: type) -> None:
    """A method added to the asynchronous class fails here until it has its blocking form."""
    here = {name for name in dir(blocking) if not name.startswith("_")}
    there = {name for name in dir(twin) if not name.startswith("_")} - {"aclose"}
    if twin is tu.Cache:
        there -= {"address", "backend", "namespace"}  # for asynchronous objects that share its server
    assert there <= here
    assert not [name for name in here if inspect.iscoroutinefunction(getattr(blocking, name))]


def test_signature_and_docstring_are_those_of_the_twin() -> None:
    """help() shows what the asynchronous method says."""
    assert inspect.signature(sync.Exchange.fetch_ohlcv) == inspect.signature(tu.Exchange.fetch_ohlcv)
    assert sync.Exchange.fetch_ohlcv.__doc__ == tu.Exchange.fetch_ohlcv.__doc__


def test_one_object_serves_many_threads_at_once() -> None:
    """Writes and reads from 16 threads all arrive, and a fetch asked for by all runs once."""
    calls = []

    def fetch() -> str:
        calls.append(threading.get_ident())
        return "fetched"

    with sync.Cache("memory://") as cache, ThreadPoolExecutor(16) as pool:

        def work(i: int) -> Any:
            cache.set(f"k{i}", i, 60.0)
            return cache.get(f"k{i}"), cache.get_or_fetch("shared", fetch, 60.0)

        assert list(pool.map(work, range(64))) == [(i, "fetched") for i in range(64)]
        assert len(calls) == 1
        assert cache.get_many(["k1", "k2", "none"]) == {"k1": 1, "k2": 2}
        assert sorted(cache.scan("k")) == sorted(f"k{i}" for i in range(64))
        assert cache.server() is None


def test_a_fetch_may_use_blocking_objects_itself() -> None:
    """The function given to get_or_fetch runs on a thread of its own, not on the loop."""
    with sync.Cache() as cache:
        cache.set("inner", 1, 60.0)
        assert cache.get_or_fetch("outer", lambda: cache.get("inner") + 1, 60.0) == 2


def test_a_lock_is_held_by_one_thread_at_a_time() -> None:
    """Two hundred read-modify-writes under the lock lose nothing."""
    total = 0

    def add(cache: sync.Cache) -> None:
        nonlocal total
        with cache.lock("counter", 10.0) as held:
            held.extend(10.0)
            seen = total
            cache.get("anything")
            total = seen + 1

    with sync.Cache() as cache, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: add(cache), range(200)))
        assert total == 200
        with pytest.raises(ZeroDivisionError), cache.lock("counter", 10.0):
            raise ZeroDivisionError
        with pytest.raises(CacheError, match="ended before"), cache.lock("short", 0.001):
            threading.Event().wait(0.05)


def test_a_blocking_call_on_the_loop_itself_is_refused() -> None:
    """It would wait for itself for ever."""
    with sync.Cache() as cache:

        async def blocking() -> None:
            cache.get("k")

        with pytest.raises(UsageError, match="event loop"):
            cache._run(blocking())


def test_exchanges_of_the_settings_serve_threads() -> None:
    """The same object for the same name, from any thread, and one load of the markets for all accounts."""
    keys = tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret)
    names = [f"a{i}" for i in range(8)]
    with serve("binance", symbols=3) as venue:
        settings = tu.Settings(
            exchanges={"binance": tu.settings.ExchangeSettings(url=venue.url, rate_limit_ms=1)},
            accounts={name: tu.Account(name=name, exchange="binance", credentials=keys) for name in names},
        )
        with sync.Exchanges(settings) as exchanges, ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(exchanges.account, names * 2))
            assert opened[:8] == opened[8:]
            assert list(pool.map(lambda one: len(one.load_markets()), opened)) == [len(opened[0].load_markets())] * 16
            assert venue.requests.paths["/api/v3/exchangeInfo"] == 1
            assert (exchanges.accounts, exchanges.venues) == (tuple(names), ("binance",))
            assert "binance" in exchanges
            assert (list(exchanges), len(exchanges)) == (["binance"], 1)
            assert exchanges["binance"] is exchanges["binance"]
            assert exchanges["binance"].fetch_ticker("BTC/USDT").last
            assert exchanges.cache.get("none") is None
            assert sync.Balances(exchanges, cache=exchanges.cache).accounts == tuple(names)
            with pytest.raises(UnknownName, match="a1"):
                exchanges.account("a11")
            with exchanges.account("a1") as mine:
                mine.fetch_balance()
            assert mine.is_closed
            assert exchanges.account("a1") is not mine
        with pytest.raises(Closed):
            exchanges.account("a1")
        with sync.Cache() as cache, sync.Exchanges(settings, cache=cache) as exchanges:
            assert exchanges.cache is cache


def test_errors_of_the_twin_arrive_as_they_are() -> None:
    """Constructors and calls raise what the asynchronous API raises."""
    with pytest.raises(UnknownName, match="binance"):
        sync.Exchange("binanse")
    cache = sync.Cache()
    cache.close()
    cache.close()
    with pytest.raises(Closed):
        cache.get("k")
    with pytest.raises(UsageError, match="account"), sync.Exchange("binance") as exchange:
        sync.Balances(exchange)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_opens_its_own_and_cannot_use_the_parents() -> None:
    """Threads do not survive a fork: the old object says so instead of hanging, a new one works."""
    program = """
import os, sys
from tradeutils import sync
from tradeutils.errors import Closed
cache = sync.Cache()
cache.set("k", 1, 60.0)
child = os.fork()
if child == 0:
    try:
        cache.get("k")
    except Closed as error:
        ok = "fork" in str(error)
    with sync.Cache() as own:
        own.set("k", 2, 60.0)
        os._exit(0 if ok and own.get("k") == 2 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or cache.get("k") - 1)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_what_was_left_open_is_closed_at_exit_without_a_word() -> None:
    """A script that forgets to close ends cleanly and silently."""
    program = "from tradeutils import sync; c = sync.Cache(); c.set('k', 1, 60.0); e = sync.Exchange('binance')"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_fetches_that_ask_for_one_another_do_not_run_out_of_threads() -> None:
    """Sixty outer fetches, each waiting for an inner one: more than any pool has workers."""
    with sync.Cache() as cache, ThreadPoolExecutor(60) as pool:

        def outer(i: int) -> int:
            return cache.get_or_fetch(f"outer{i}", lambda: cache.get_or_fetch(f"inner{i}", lambda: i, 60.0) + 1, 60.0)

        assert sorted(pool.map(outer, range(60))) == list(range(1, 61))
        with pytest.raises(ZeroDivisionError):
            cache.get_or_fetch("fails", lambda: 1 // 0, 60.0)


def test_a_call_while_the_process_ends_is_refused_and_does_not_hang() -> None:
    """An atexit handler that was registered before ours runs after it."""
    program = """
import atexit
def late():
    try:
        cache.get("k")
    except Exception as error:
        print(type(error).__name__)
    cache.close()
atexit.register(late)
from tradeutils import sync
cache = sync.Cache()
cache.set("k", 1, 60.0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"Closed", b"")
