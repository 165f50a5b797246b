"""Waiting for the fetch of another process: woken by the server, never by asking again and again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import pytest
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils.errors import CacheError

Fetch = Callable[[], Awaitable[str]]


@pytest.fixture(autouse=True)
def _long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is not woken waits for longer than any of these tests."""
    monkeypatch.setattr("tradeutils.cache.flights._LEASE_MS", 120_000)


def gated(gate: asyncio.Event, begun: asyncio.Event, outcome: str | Exception) -> Fetch:
    """Return a fetch that ends when it is told to."""

    async def fetch() -> str:
        begun.set()
        await gate.wait()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return fetch


async def never() -> str:
    """Fail: somebody else fetches."""
    raise AssertionError


async def mine() -> str:
    """Return at once."""
    return "mine"


class Waiting:
    """One cache that fetches, and one behind a proxy that waits for it."""

    def __init__(self, owner: tu.Cache, waiter: tu.Cache) -> None:
        self.owner, self.waiter = owner, waiter
        self.gate, self.begun = asyncio.Event(), asyncio.Event()

    async def begin(self, outcome: str | Exception, fetch: Fetch) -> tuple[asyncio.Task[str], asyncio.Task[str]]:
        """Begin the fetch, and to wait for it; return both calls."""
        await self.waiter.get("warm")
        owning = asyncio.create_task(self.owner.get_or_fetch("k", gated(self.gate, self.begun, outcome), ttl=60))
        await self.begun.wait()
        waiting = asyncio.create_task(self.waiter.get_or_fetch("k", fetch, ttl=60))
        await asyncio.sleep(0.05)
        return owning, waiting


async def test_who_waits_asks_nothing_meanwhile(valkey: ValkeyServer, proxy: Proxy) -> None:
    """Not a command goes out until the other process is done; then one brings the value."""
    async with tu.Cache(valkey.url, timeout=5) as owner, tu.Cache(proxy.url, timeout=5) as waiter, asyncio.timeout(20):
        both = Waiting(owner, waiter)
        owning, waiting = await both.begin("theirs", never)
        asked = proxy.requests
        await asyncio.sleep(0.3)
        assert proxy.requests == asked
        both.gate.set()
        assert await asyncio.gather(owning, waiting) == ["theirs", "theirs"]
        assert proxy.requests == asked + 1


async def test_who_waits_for_a_fetch_that_fails_is_next(valkey: ValkeyServer) -> None:
    """The error is the other process's own; whoever waited fetches at once, and not at the end of the lease."""
    async with tu.Cache(valkey.url, timeout=5) as owner, tu.Cache(valkey.url, timeout=5) as waiter, asyncio.timeout(20):
        both = Waiting(owner, waiter)
        owning, waiting = await both.begin(LookupError("venue"), mine)
        both.gate.set()
        assert await waiting == "mine"
        with pytest.raises(LookupError):
            await owning
        assert await owner.get("k") == "mine"


@pytest.mark.parametrize("how", ["set", "delete", "invalidate", "flushall", "foreign"])
async def test_who_waits_is_woken_by_whatever_ends_the_waiting(valkey: ValkeyServer, how: str) -> None:
    """A write of that key, or, where it leaves nothing there, the end of the fetch that it has overtaken."""
    async with tu.Cache(valkey.url, timeout=5) as owner, tu.Cache(valkey.url, timeout=5) as waiter, asyncio.timeout(20):
        both = Waiting(owner, waiter)
        owning, waiting = await both.begin("theirs", mine)
        if how == "set":
            await owner.set("k", "set", ttl=60)
        elif how == "delete":
            await owner.delete("k")
        elif how == "invalidate":
            await owner.invalidate("k")
        else:
            with valkey.client() as client:
                if how == "flushall":
                    client.flushall()
                else:
                    client.set("tu:value:k", b'"set"')
        if how in ("delete", "invalidate"):
            both.gate.set()
        assert await waiting == ("set" if how in ("set", "foreign") else "mine")
        both.gate.set()
        assert await owning == "theirs"


async def test_who_asks_after_an_invalidation_does_not_wait_for_what_was_fetched_before(valkey: ValkeyServer) -> None:
    """Its lease is taken away, so that a new fetch begins in another process too."""
    async with tu.Cache(valkey.url, timeout=5) as owner, tu.Cache(valkey.url, timeout=5) as other, asyncio.timeout(20):
        both = Waiting(owner, other)
        await other.get("warm")
        owning = asyncio.create_task(owner.get_or_fetch("k", gated(both.gate, both.begun, "before"), ttl=60))
        await both.begun.wait()
        assert await other.invalidate() == 0
        assert await other.get_or_fetch("k", mine, ttl=60) == "mine"
        both.gate.set()
        assert await owning == "before"
        assert await owner.get("k") == "mine"


async def test_lost_connection_wakes_who_waits(valkey: ValkeyServer, proxy: Proxy) -> None:
    """The news may have been lost with it; the value is asked for anew."""
    async with tu.Cache(valkey.url, timeout=5) as owner, tu.Cache(proxy.url, timeout=5) as waiter, asyncio.timeout(20):
        both = Waiting(owner, waiter)
        owning, waiting = await both.begin("theirs", never)
        proxy.reset_all()
        await asyncio.sleep(0.05)
        both.gate.set()
        assert await asyncio.gather(owning, waiting) == ["theirs", "theirs"]


async def test_value_stored_between_look_and_claim_is_taken(valkey: ValkeyServer) -> None:
    """A lease that is granted too late is given back, and nothing is fetched."""
    async with tu.Cache(valkey.url, timeout=5) as other, tu.Cache(valkey.url, timeout=5) as cache, asyncio.timeout(20):
        claim = cache.backend.claim

        async def overtaken(*asked: object) -> object:
            await other.set("k", "theirs", ttl=60)
            return await claim(*asked)  # type: ignore[arg-type]

        cache.backend.claim = overtaken  # type: ignore[assignment,method-assign]
        assert await cache.get_or_fetch("k", never, ttl=60) == "theirs"
        assert await other.backend.acquire("tu:lease:k", b"free", 1)


async def test_lease_that_was_prolonged_is_asked_about(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token says an end that has passed; the server knows the right one."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        backend = cache.backend
        first = await backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"first", 20)
        assert first.lease is not None
        assert await backend.extend("tu:lease:k", first.lease.token, 60_000)
        await asyncio.sleep(0.03)
        refused = await backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"second", 20)
        assert refused.lease is None
        assert 30_000 < refused.ends <= 60_000
        with valkey.client() as client:
            ends = int(time.time() * 1000) + 300_000
            client.set("tu:lease:k", f"{ends}:a process whose clock is ahead", px=500)
        refused = await backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"second", 3000)
        assert refused.lease is None
        assert 0 < refused.ends <= 500
        with valkey.client() as client:
            client.set("tu:lease:k", "a lease that never ends and does not say whose it is")
        refused = await backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"second", 20)
        assert refused.lease is None
        assert refused.ends > 60_000


async def test_server_that_does_not_tell_the_holder_is_served(valkey: ValkeyServer, proxy: Proxy) -> None:
    """Redis 6 refuses SET with both NX and GET; that is found out once, and the end of a lease asked for."""
    async with tu.Cache(proxy.url, timeout=5) as cache, tu.Cache(valkey.url, timeout=5) as other, asyncio.timeout(20):
        held = await other.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"first", 60_000)
        assert held.lease is not None
        await cache.get("warm")

        def refuse(_: bytes) -> bytes:
            proxy.change = lambda reply: reply
            return b"-ERR syntax error\r\n"

        proxy.change = refuse
        refused = await cache.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"second", 20)
        assert (refused.lease, 30_000 < refused.ends <= 60_000) == (None, True)
        await other.backend.abandon("tu:value:k", held.lease)
        assert (await cache.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"third", 60_000)).lease is not None


async def test_key_of_another_type_in_place_of_a_lease_is_an_error(valkey: ValkeyServer) -> None:
    """A fetch goes on without; nobody waits for it."""
    with valkey.client() as client:
        client.rpush("tu:lease:k", "x")
    async with tu.Cache(valkey.url, timeout=5) as cache, asyncio.timeout(20):
        with pytest.raises(CacheError, match="WRONGTYPE"):
            await cache.backend.claim("tu:value:k", "tu:lease:k", "tu:epoch", b"x", 20)
        assert await cache.get_or_fetch("k", mine, ttl=60) == "mine"


async def test_who_waits_for_a_lock_asks_nothing_meanwhile(valkey: ValkeyServer, proxy: Proxy) -> None:
    """The end of the lock is told."""
    async with tu.Cache(valkey.url, timeout=5) as holder, tu.Cache(proxy.url, timeout=5) as waiter, asyncio.timeout(20):
        await waiter.get("warm")
        async with holder.lock("name", ttl=60) as held:
            waiting = asyncio.create_task(waiter.lock("name", ttl=60).__aenter__())
            await asyncio.sleep(0.05)
            asked = proxy.requests
            await asyncio.sleep(0.2)
            assert proxy.requests == asked
        lock = await waiting
        assert lock.fence > held.fence
        await lock.__aexit__(None, None, None)


async def test_fence_rises_over_a_flush_and_a_clock_set_back(valkey: ValkeyServer) -> None:
    """The counter may be lost, and the clock may not be trusted; one of them is enough."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        fences = []
        for loss in ("", "flushall", "", "clock", ""):
            if loss == "flushall":
                with valkey.client() as client:
                    client.flushall()
            elif loss == "clock":
                cache.backend._link._clock_offset -= 3_600_000  # type: ignore[attr-defined]
            async with cache.lock("name", ttl=60) as lock:
                fences.append(lock.fence)
        assert fences == sorted(set(fences))


_FLEET = """
import asyncio, os, sys
import tradeutils as tu

url, go, start = sys.argv[1], *os.pipe()
tu.Cache(url)  # what it imports is imported once, for all

async def load():
    await asyncio.sleep(0.3)
    return "fetched"

async def main():
    async with tu.Cache(url, timeout=20) as cache:
        await cache.get("warm")
        os.write(1, b"ready\\n")
        os.read(go, 1)  # nothing, once nobody can write any more
        got = await asyncio.gather(*(cache.get_or_fetch("k", load, ttl=60) for _ in range(20)))
        os.write(1, f"{sorted(set(got))} {(await cache.stats()).fetches}\\n".encode())

for _ in range(8):
    if os.fork() == 0:
        os.close(start)
        asyncio.run(main())
        os._exit(0)
sys.stdin.readline()
os.close(start)
for _ in range(8):
    os.wait()
"""


def test_eight_processes_of_twenty_callers_send_at_most_thirty_commands(valkey: ValkeyServer) -> None:
    """One look and one claim each, one look each when they are woken, and what the one that fetches needs to store."""
    fleet = subprocess.Popen([sys.executable, "-c", _FLEET, valkey.url], stdin=-1, stdout=-1, text=True)
    assert fleet.stdout is not None
    assert [fleet.stdout.readline() for _ in range(8)] == ["ready\n"] * 8
    with valkey.client() as client:
        client.config_resetstat()
        shown = [line.split("] ") for line in fleet.communicate("go\n", timeout=60)[0].splitlines()]
        counted = client.info("commandstats")
    assert [values for values, _ in shown] == ["['fetched'"] * 8
    assert sum(int(fetches) for _, fetches in shown) == 1
    by_us = ("cmdstat_config", "cmdstat_client", "cmdstat_hello")
    ours = {name: told["calls"] for name, told in counted.items() if not name.startswith(by_us)}
    assert sum(ours.values()) <= 30, ours
