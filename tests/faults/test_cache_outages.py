"""The cache while its server is frozen, gone, full, locked or slow: a real server, really so."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from servers import Proxy, ValkeyServer, free_port

import tradeutils as tu
from tradeutils.errors import CacheError, CacheUnavailable, Closed

StartServer = Callable[..., ValkeyServer]


def loader(value: Any) -> Callable[[], Awaitable[Any]]:
    """Return a fetch function."""

    async def load() -> Any:
        return value

    return load


async def healed(cache: tu.Cache, key: str = "k") -> Any:
    """Ask until the server answers again; without anything that would make it try."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(CacheUnavailable):
                return await cache.get(key)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def frozen(server: ValkeyServer) -> AsyncIterator[None]:
    """Freeze a server for a while."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


async def test_frozen_server_is_an_outage_and_heals(own_valkey: ValkeyServer) -> None:
    """Each call ends, none reads as a miss, and the value is there again after the thaw."""
    async with tu.Cache(own_valkey.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        async with frozen(own_valkey):
            with pytest.raises(CacheUnavailable, match=r"did not answer within 0\.3 s"):
                await cache.get("k")
            for _ in range(1000):  # 300 s if each were to wait
                with pytest.raises(CacheUnavailable, match="is being tried again"):
                    await cache.get("k")
            assert (await cache.stats()).breaker == "open"
            assert (await cache.stats()).unavailable == 1001
            assert (await cache.stats()).misses == 0
        assert await healed(cache) == 1
        assert (await cache.stats()).breaker == "closed"


async def test_every_operation_ends_while_the_server_is_frozen(own_valkey: ValkeyServer) -> None:
    """Nothing but ``get_or_fetch`` and ``stats`` has an answer then; locks are not granted."""
    async with tu.Cache(own_valkey.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        async with frozen(own_valkey):
            waiting = await asyncio.gather(
                cache.get("k"),
                cache.get_many(["k"]),
                cache.set("k", 2, ttl=60),
                cache.delete("k"),
                cache.invalidate(),
                cache.lock("name", ttl=1).__aenter__(),
                cache.server(),
                return_exceptions=True,
            )
            assert {type(error) for error in waiting} == {CacheUnavailable}


async def test_fetch_goes_on_without_the_cache(own_valkey: ValkeyServer) -> None:
    """``get_or_fetch`` answers with what it fetched, once for all who ask, and counts the outage."""
    async with tu.Cache(own_valkey.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.get("k")
        async with frozen(own_valkey):
            assert await asyncio.gather(*(cache.get_or_fetch("k", loader(7), ttl=60) for _ in range(9))) == [7] * 9
            stats = await cache.stats()
            assert stats.fetches == 1
            assert stats.unavailable > 0


async def test_server_frozen_before_the_first_call_is_an_outage(own_valkey: ValkeyServer) -> None:
    """The kernel accepts the connection and nobody answers on it; afterwards it works."""
    async with tu.Cache(own_valkey.url, timeout=0.3) as cache, asyncio.timeout(20):
        async with frozen(own_valkey):
            with pytest.raises(CacheUnavailable, match=r"no connection within 0\.3 s"):
                await cache.get("k")
            with pytest.raises(CacheUnavailable, match="is being tried again"):
                await cache.set("k", 1, ttl=1)
        assert await healed(cache) is None


async def test_long_freeze_is_survived_on_a_new_connection(own_valkey: ValkeyServer) -> None:
    """After a second of silence the connection is given up; the one that replaces it works after the thaw."""
    async with tu.Cache(own_valkey.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        async with frozen(own_valkey):
            with pytest.raises(CacheUnavailable):
                await cache.get("k")
            await asyncio.sleep(1.6)
            with pytest.raises(CacheUnavailable):
                await cache.get("k")
        assert await healed(cache) == 1


async def test_connection_that_a_firewall_forgot_is_replaced(proxy: Proxy) -> None:
    """Nothing comes on it any more and nobody says so: after a second of silence a new one is made."""
    async with tu.Cache(proxy.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        proxy.mute_all()
        with pytest.raises(CacheUnavailable):
            await cache.get("k")
        assert await healed(cache) == 1
        assert proxy.connections == 2


async def test_killed_server_is_an_outage_until_it_is_back(own_valkey: ValkeyServer) -> None:
    """Calls in flight and later ones fail at once; the restarted server is empty, which is a miss and no error."""
    async with tu.Cache(own_valkey.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        own_valkey.freeze()
        asked = [asyncio.create_task(cache.get("k")) for _ in range(20)]
        await asyncio.sleep(0.02)
        own_valkey.kill()
        assert {type(error) for error in await asyncio.gather(*asked, return_exceptions=True)} == {CacheUnavailable}
        with pytest.raises(CacheUnavailable, match="could not be reached"):
            await cache.get("k")
        assert await cache.get_or_fetch("k", loader(7), ttl=60) == 7
        own_valkey.start()
        assert await healed(cache) is None
        await cache.set("k", 2, ttl=60)
        assert await cache.get("k") == 2


async def test_server_that_was_never_there_is_an_outage(tmp_path: Any) -> None:
    """A closed port and a missing socket say so."""
    for url in (f"redis://127.0.0.1:{free_port()}/0", f"unix://{tmp_path}/none.sock"):
        async with tu.Cache(url) as cache, asyncio.timeout(20):
            with pytest.raises(CacheUnavailable, match="could not be reached"):
                await cache.get("k")


async def test_wrong_password_is_told_without_the_password(valkey_with: StartServer) -> None:
    """The message names the remedy; no secret is in it, in its cause, or in a repr."""
    server = valkey_with("--requirepass", "right-secret")
    for login, expected in (("bot:wrong-secret@", "WRONGPASS"), ("", "NOAUTH|password")):
        async with tu.Cache(f"redis://{login}127.0.0.1:{server.port}/0") as cache, asyncio.timeout(20):
            with pytest.raises(CacheUnavailable, match=expected) as refused:
                await cache.get("k")
            shown = f"{refused.value!r} {refused.value.__cause__!r} {cache!r} {cache.backend!r}"
            assert "secret" not in shown
    async with tu.Cache(f"redis://:right-secret@127.0.0.1:{server.port}/0") as cache:
        await cache.set("k", 1, ttl=60)
        assert await cache.get("k") == 1


async def test_user_of_the_access_list_may_do_what_he_is_granted(valkey: ValkeyServer) -> None:
    """A reader reads; his write is refused by name, and his fetch is served all the same."""
    with valkey.client() as client:
        client.acl_setuser("reader", enabled=True, passwords="+p/w@", commands=["+@read", "+@connection"], keys=["*"])
        client.set("tu:value:k", "1")
    url = f"redis://reader:p%2Fw%40@127.0.0.1:{valkey.port}/0"
    async with tu.Cache(url) as cache, asyncio.timeout(20):
        assert await cache.get("k") == 1
        with pytest.raises(CacheError, match="NOPERM") as refused:
            await cache.set("k", 2, ttl=60)
        assert not isinstance(refused.value, CacheUnavailable)
        assert await cache.get_or_fetch("absent", loader(7), ttl=60) == 7
        assert (await cache.stats()).errors >= 2
    with valkey.client() as client:
        client.acl_deluser("reader")


async def test_database_that_is_not_there_is_told(valkey: ValkeyServer) -> None:
    """The db number of the URL is checked by the server."""
    async with tu.Cache(f"redis://127.0.0.1:{valkey.port}/9999") as cache, asyncio.timeout(20):
        with pytest.raises(CacheUnavailable, match="db number"):
            await cache.get("k")


async def test_full_server_refuses_writes_and_still_serves(valkey_with: StartServer) -> None:
    """Out of memory under ``noeviction``: the write names the remedy, reads and fetches go on."""
    server = valkey_with("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    async with tu.Cache(server.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.set("small", 1, ttl=60)
        with pytest.raises(CacheError, match="raise maxmemory"):
            await cache.set_many({f"big{i}": "x" * 100_000 for i in range(100)}, ttl=60)
        assert await cache.get("small") == 1
        assert await cache.get_or_fetch("k", loader("y" * 100_000), ttl=60) == "y" * 100_000
        described = await cache.server()
        assert described is not None
        assert (described.policy, described.max_bytes) == ("noeviction", 3 * 1024 * 1024)


async def test_evicted_value_is_a_miss(valkey_with: StartServer) -> None:
    """Under ``allkeys-lru`` the server forgets: that is no error."""
    server = valkey_with("--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru")
    async with tu.Cache(server.url, timeout=5) as cache, asyncio.timeout(20):
        for i in range(100):
            await cache.set(f"big{i}", "x" * 100_000, ttl=60)
        assert 0 < len(await cache.get_many([f"big{i}" for i in range(100)])) < 100
        described = await cache.server()
        assert described is not None
        assert described.evicted > 0


async def test_paused_server_is_an_outage_that_passes(own_valkey: ValkeyServer) -> None:
    """``CLIENT PAUSE``: the late answers themselves end the outage."""
    async with tu.Cache(own_valkey.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        with own_valkey.client() as client:
            client.client_pause(900)
        with pytest.raises(CacheUnavailable):
            await cache.get("k")
        assert await healed(cache) == 1


async def test_emptied_server_is_a_miss(valkey: ValkeyServer) -> None:
    """``FLUSHALL`` under our feet is a miss like any other."""
    async with tu.Cache(valkey.url) as cache:
        await cache.set("k", 1, ttl=60)
        with valkey.client() as client:
            client.flushall()
        assert await cache.get("k") is None


async def test_server_that_is_no_redis_is_told(proxy: Proxy) -> None:
    """Another program on the port is an outage, not a crash of the event loop."""
    for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n" * 50, b"*3\r\n", b"\x00" * 100):
        proxy.change = lambda _, answer=answer: answer
        async with tu.Cache(proxy.url, timeout=0.3) as cache, asyncio.timeout(20):
            with pytest.raises(CacheUnavailable):
                await cache.get("k")


async def test_nonsense_in_place_of_values_is_an_error(proxy: Proxy) -> None:
    """A server that speaks the protocol and answers another question hangs nobody."""
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        for answer in (b"+OK\r\n", b":1\r\n", b"*0\r\n", b"*2\r\n_\r\n_\r\n"):
            proxy.change = lambda _, answer=answer: b"+OK\r\n" + answer  # of CLIENT CACHING, and of MGET
            with pytest.raises(CacheError, match="answered MGET"):
                await cache.get("k")
        proxy.change = lambda _: b"+OK\r\n+OK\r\n"
        with pytest.raises(CacheError, match="answered MGET"):
            await cache.get_many(["k"])
        proxy.change = lambda reply: reply
        assert await cache.get("k") == 1


@pytest.mark.parametrize(
    "told", [b"*2\r\n+not\r\n+numbers\r\n", b"*2\r\n,inf\r\n:0\r\n", b"*2\r\n(1" + b"0" * 400 + b"\r\n:0\r\n"]
)
async def test_clock_that_tells_no_time_is_replaced_by_ours(proxy: Proxy, told: bytes) -> None:
    """A server whose TIME is something else is used without it."""

    def untimed(reply: bytes) -> bytes:
        return reply[: reply.rindex(b"*2")] + told if b"proto" in reply else reply

    proxy.change = untimed
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        assert await cache.get_or_fetch("k", loader(1), ttl=30, stale=30) == 1
        assert await cache.get("k") == 1


async def test_slow_server_is_waited_for_within_the_timeout(proxy: Proxy) -> None:
    """A slow answer is an answer."""
    async with tu.Cache(proxy.url, timeout=5) as cache:
        await cache.set("k", 1, ttl=60)
        proxy.delay = 0.1
        assert await cache.get("k") == 1


async def test_late_answer_is_not_taken_for_another(proxy: Proxy) -> None:
    """What arrives after its waiter has gone is thrown away, and each later answer goes to whom it belongs."""
    async with tu.Cache(proxy.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set_many({"a": "a", "b": "b"}, ttl=60)
        proxy.delay = 0.6
        with pytest.raises(CacheUnavailable):
            await cache.get("a")
        proxy.delay = 0.0
        assert await healed(cache, "b") == "b"
        assert [await cache.get(key) for key in "abab"] == ["a", "b", "a", "b"]
        assert proxy.connections == 1


async def test_stalled_event_loop_is_not_taken_for_an_outage(valkey: ValkeyServer) -> None:
    """A bot that computes for longer than the timeout finds its answer waiting."""
    async with tu.Cache(valkey.url, timeout=0.1) as cache:
        await cache.set("k", 1, ttl=60)
        for turns in range(4):  # before it is written, while it is under way
            asked = asyncio.create_task(cache.get("k"))
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(0.2)  # noqa: ASYNC251  # this is the stall
            assert await asked == 1


async def test_large_answer_after_a_stall_is_read_to_its_end(valkey: ValkeyServer) -> None:
    """More than one look at the socket is needed for it, and the first comes after the deadline."""
    async with tu.Cache(valkey.url, timeout=1) as cache:
        await cache.set("k", "x" * 20_000_000, ttl=60)
        asked = asyncio.create_task(cache.get("k"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(1.1)  # noqa: ASYNC251  # this is the stall
        assert len(await asked) == 20_000_000


async def test_stall_while_connecting_is_not_taken_for_an_outage(valkey: ValkeyServer) -> None:
    """A bot that loads its strategies while its first call is under way finds it answered."""
    async with tu.Cache(valkey.url, timeout=0.1) as cache:
        asked = asyncio.create_task(cache.set("k", 1, ttl=60))
        for _ in range(3):
            await asyncio.sleep(0)
            time.sleep(0.15)  # noqa: ASYNC251  # this is the stall
        await asked
        assert await cache.get("k") == 1


async def test_reply_that_comes_slowly_is_no_outage(proxy: Proxy) -> None:
    """Its waiter is told in time, but the server is not away: bytes arrive, and others may go on asking."""
    async with tu.Cache(proxy.url, timeout=0.3) as cache, asyncio.timeout(20):
        await cache.set("k", "x" * 500, ttl=60)
        whole = asyncio.get_running_loop().create_future()

        def hold(reply: bytes) -> bytes:
            whole.set_result(reply)
            return reply[:1]

        proxy.change = hold
        asked = asyncio.create_task(cache.get("k"))
        rest = (await whole)[1:]
        while not asked.done():
            for writer in proxy.clients:
                writer.write(rest[:1])
            rest = rest[1:]
            await asyncio.sleep(0.01)
        with pytest.raises(CacheUnavailable, match="did not answer"):
            await asked
        assert (await cache.stats()).breaker == "closed"
        for writer in proxy.clients:
            writer.write(rest)
        proxy.change = lambda reply: reply
        assert await cache.get("k") == "x" * 500


async def test_closing_during_an_outage_ends_all_who_wait(own_valkey: ValkeyServer) -> None:
    """They get `Closed`, at once."""
    cache = tu.Cache(own_valkey.url, timeout=30)
    await cache.set("k", 1, ttl=60)
    async with frozen(own_valkey), asyncio.timeout(10):
        asked = [asyncio.create_task(cache.get("k")), asyncio.create_task(cache.set("k", 2, ttl=60))]
        await asyncio.sleep(0.02)
        await cache.aclose()
        assert {type(error) for error in await asyncio.gather(*asked, return_exceptions=True)} == {Closed}


async def test_closing_while_connecting_ends_all_who_wait(own_valkey: ValkeyServer) -> None:
    """Also before there ever was a connection."""
    cache = tu.Cache(own_valkey.url, timeout=30)
    async with frozen(own_valkey), asyncio.timeout(10):
        asked = [asyncio.create_task(cache.get("k")) for _ in range(3)]
        await asyncio.sleep(0.05)
        await cache.aclose()
        assert {type(error) for error in await asyncio.gather(*asked, return_exceptions=True)} == {Closed}


async def test_lock_that_may_not_be_given_back_is_told(valkey: ValkeyServer) -> None:
    """A user who loses the right to scripts inside cannot release it: an error, but none over the block's own."""

    def allow(scripting: str) -> None:
        with valkey.client() as client:
            client.acl_setuser("noscript", enabled=True, nopass=True, commands=["+@all", scripting], keys=["*"])

    async def work(cache: tu.Cache, name: str, error: Exception | None) -> None:
        allow("+@scripting")
        async with cache.lock(name, ttl=60):
            allow("-@scripting")
            if error is not None:
                raise error

    allow("+@scripting")
    async with tu.Cache(f"redis://noscript:any@127.0.0.1:{valkey.port}/0", timeout=5) as cache:
        with pytest.raises(CacheError, match="NOPERM"):
            await work(cache, "a", None)
        with pytest.raises(LookupError):
            await work(cache, "b", LookupError())
    with valkey.client() as client:
        client.acl_deluser("noscript")


async def test_lock_held_through_an_outage_is_given_up_quietly(own_valkey: ValkeyServer) -> None:
    """The lock ends by itself, so a block that ended before its ttl was alone inside."""
    async with tu.Cache(own_valkey.url, timeout=0.3) as cache, asyncio.timeout(20):
        async with cache.lock("name", ttl=60) as lock:
            own_valkey.freeze()
        assert "not held" in repr(lock)
        own_valkey.thaw()
