"""A process that forks while it is connected to servers: the child takes nothing of it, and breaks nothing."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from fleets import ValkeyCluster, _cluster_session, cluster  # noqa: F401  # fixtures
from servers import ValkeyServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

KEYS = "[f'k{n}' for n in range(60)]"

_HEAD = f"""
import asyncio, gc, os, signal, sys, traceback
import tradeutils as tu
from tradeutils import sync
from tradeutils.errors import Closed, UsageError
url, keys = sys.argv[1], {KEYS}
signal.alarm(60)  # whoever hangs is killed, and fails

def forked(work):
    child = os.fork()
    if child:
        return child
    code = 1
    signal.alarm(60)
    try:
        code = work() or 0
        gc.collect()
    except BaseException:
        traceback.print_exc()
    os._exit(code)  # as multiprocessing does: anything else would end the parent's event loop, which it shares

def ended(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

_RUNNING = """
def told(number):
    return {key: [key, number] for key in keys}

async def in_child():
    for use in (cache.get("k0"), cache.get_many(keys), cache.set("k0", -1, ttl=60), cache.aclose()):
        try:
            await use
        except UsageError as error:
            assert "event loop" in str(error)
        else:
            return 2
    async with tu.Cache(url, timeout=20, near="*") as own:
        assert await own.get_many(keys) == told(1)
        await own.set_many(told(2), ttl=60)
        assert await own.get_many(keys) == told(2)

async def main():
    global cache
    async with tu.Cache(url, timeout=20, near="*") as cache, tu.Cache(url, timeout=20) as writer:
        await writer.set_many(told(1), ttl=60)
        assert await cache.get_many(keys) == told(1)
        asked = [asyncio.ensure_future(writer.get(key)) for key in keys]
        await asyncio.sleep(0)
        child = forked(lambda: asyncio.run(in_child()))
        for key, got in zip(keys, await asyncio.gather(*asked), strict=True):
            assert got in ([key, 1], [key, 2])  # the child may have been faster
        await asyncio.to_thread(ended, child)
        print("ended", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        async with asyncio.timeout(20):
            while await cache.get_many(keys) != told(2):
                await asyncio.sleep(0.001)
            await writer.set_many(told(3), ttl=60)
            while await cache.get_many(keys) != told(3):
                await asyncio.sleep(0.001)
asyncio.run(main())
"""

_BETWEEN = """
async def use(number):
    await cache.set_many(dict.fromkeys(keys, number), ttl=60)
    assert await cache.get_many(keys) == dict.fromkeys(keys, number)

cache = tu.Cache(url, timeout=20, near="*")
asyncio.run(use(1))
ended(forked(lambda: asyncio.run(use(2))))
asyncio.run(use(3))
asyncio.run(cache.aclose())
"""

_BLOCKING = """
def in_child():
    for use in (lambda: cache.get("k0"), lambda: cache.set("k0", -1, 60.0), cache.close):
        try:
            use()
        except Closed as error:
            assert "before a fork" in str(error)
        else:
            return 2
    with sync.Cache(url, timeout=20) as own:
        assert own.get_many(keys) == dict.fromkeys(keys, 1)
        own.set_many(dict.fromkeys(keys, 2), 60.0)

cache = sync.Cache(url, timeout=20)
cache.set_many(dict.fromkeys(keys, 1), 60.0)
ended(forked(in_child))
assert cache.get_many(keys) == dict.fromkeys(keys, 2)
cache.close()
"""

_BUDGET = """
sys.path.insert(0, sys.argv[2])
from budgets import charge, spend
from tradeutils.budget import RedisBudget
from tradeutils.errors import RateLimited

async def in_child():
    await spend(budget, charge(4), timeout=20)
    [pool] = await budget.usage()
    return 0 if (pool.members, pool.windows[0].used) == (2, 7) else 2

async def main():
    global budget
    budget = RedisBudget(url)
    await spend(budget, charge(3), timeout=20)
    await asyncio.to_thread(ended, forked(lambda: asyncio.run(in_child())))
    try:
        await spend(budget, charge(4), timeout=0)
    except RateLimited:
        await spend(budget, charge(3), timeout=20)
        await budget.aclose()
    else:
        sys.exit(3)
asyncio.run(main())
"""


def run(script: str, url: str) -> None:
    """Run a script to its end; a warning about threads at the fork is what a fork is like."""
    process = _start(script, url)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said


def _start(script: str, url: str) -> subprocess.Popen[str]:
    tests = pathlib.Path(__file__).parent.parent
    command = [sys.executable, "-W", "ignore", "-c", _HEAD + script, url, str(tests)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1)


def _received(cluster: ValkeyCluster) -> int:  # noqa: F811
    total = 0
    for node in cluster.primaries:
        with node.client() as client:
            total += int(client.info("stats")["total_connections_received"])
    return total


def test_child_leaves_the_live_connections_of_a_cluster_alone(cluster: ValkeyCluster) -> None:  # noqa: F811
    """
    Forked in the middle of calls: the parent gets each of its answers, and goes on over the connections it had.

    The child is told what to do by every method of the parent's cache, opens one of its own, and ends as processes
    do; what it writes, the parent's near copy hears of.
    """
    process = _start(_RUNNING, cluster.url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ended\n", process.communicate(timeout=60)[1]
        before = _received(cluster)
        _, said = process.communicate("\n", timeout=60)
        assert process.returncode == 0, said
        assert _received(cluster) == before + 3  # those of the second count itself
    finally:
        process.kill()
        process.wait()


def test_cache_of_a_cluster_goes_on_in_both_where_its_event_loop_had_ended(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Each makes connections anew, and neither takes the other's replies."""
    run(_BETWEEN, cluster.url)


def test_cache_of_one_server_goes_on_in_both_where_its_event_loop_had_ended(valkey: ValkeyServer) -> None:
    """As on a cluster."""
    run(_BETWEEN, valkey.url)


def test_blocking_cache_of_a_cluster_is_the_parents_alone(cluster: ValkeyCluster) -> None:  # noqa: F811
    """The child is told so, instead of hanging on a thread that it does not have, and opens its own."""
    run(_BLOCKING, cluster.url)


def test_budget_of_a_cluster_counts_parent_and_child_as_two(cluster: ValkeyCluster) -> None:  # noqa: F811
    """Each with a connection and a name of its own, and one account of what both spend."""
    run(_BUDGET, cluster.url)
