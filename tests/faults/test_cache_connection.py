"""The one connection that all callers share: batching, cancellation, resets, TLS, and values that do not fit."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import random
import ssl
import time
from typing import Any

import pytest
from certificates import certificates  # noqa: F401  # fixture
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils.cache.base import MAX_VALUE_BYTES
from tradeutils.cache.redis import Redis
from tradeutils.errors import CacheUnavailable, UsageError


async def test_what_is_asked_in_one_turn_travels_at_once(proxy: Proxy) -> None:
    """A thousand gets of different keys are one packet on one connection, and each gets its own value."""
    async with tu.Cache(proxy.url, timeout=5) as cache:
        items = {f"k{i}": i for i in range(1000)}
        await cache.set_many(items, ttl=60)
        before = proxy.requests
        assert await asyncio.gather(*(cache.get(key) for key in items)) == list(items.values())
        assert proxy.requests - before <= 3  # the relay reads up to 64 KiB at a time
        assert proxy.connections == 1


async def test_same_key_asked_often_in_one_turn_is_read_once(valkey: ValkeyServer) -> None:
    """A hundred who want one value cost the server one lookup."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set("k", "value", ttl=60)
        with valkey.client() as client:
            before = client.info("stats")["keyspace_hits"]
            assert await asyncio.gather(*(cache.get("k") for _ in range(100))) == ["value"] * 100
            assert client.info("stats")["keyspace_hits"] - before == 1


async def test_cancellation_storm_mixes_up_no_reply(valkey: ValkeyServer) -> None:
    """Half of a thousand waiters leave at any moment; the rest get what they asked for, on the same connection."""
    dice = random.Random(1)
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set_many({f"k{i}": i for i in range(1000)}, ttl=60)
        with valkey.client() as client:
            connected = client.info("stats")["total_connections_received"]
            for _ in range(5):
                asked = [asyncio.create_task(cache.get(f"k{i}")) for i in range(1000)]
                asked += [asyncio.create_task(cache.set(f"k{i}", i, ttl=60)) for i in range(0, 1000, 7)]
                for task in dice.sample(asked, 500):
                    asyncio.get_running_loop().call_later(dice.random() * 0.01, task.cancel)
                done = await asyncio.gather(*asked, return_exceptions=True)
                wrong = [(i, got) for i, got in enumerate(done[:1000]) if got != i and not _left(got)]
                assert wrong == []
            assert client.info("stats")["total_connections_received"] == connected
        assert await cache.get("k7") == 7


def _left(outcome: Any) -> bool:
    return isinstance(outcome, asyncio.CancelledError)


async def test_answer_in_single_bytes_is_put_together(proxy: Proxy) -> None:
    """However a reply is cut up on its way, it is one reply."""
    async with tu.Cache(proxy.url, timeout=5) as cache:
        await cache.set("k", list(range(100)), ttl=60)
        held = asyncio.get_running_loop().create_future()

        def drip(reply: bytes) -> bytes:
            held.set_result(reply)
            return reply[:1]

        proxy.change = drip
        asked = asyncio.create_task(cache.get("k"))
        for byte in (await held)[1:]:
            for writer in proxy.clients:
                writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await asked == list(range(100))


async def test_reset_in_the_middle_of_a_reply_is_an_outage_for_its_waiters_alone(proxy: Proxy) -> None:
    """They are told at once; the next call connects anew."""
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.set("k", "x" * 1000, ttl=60)
        sent: list[bytes] = []

        def half(reply: bytes) -> bytes | None:
            sent.append(reply)
            return reply[:100] if len(sent) == 1 else None

        proxy.change = half
        asked = [asyncio.create_task(cache.get("k")) for _ in range(5)]
        await asyncio.sleep(0.05)
        proxy.reset_all()
        assert {type(error) for error in await asyncio.gather(*asked, return_exceptions=True)} == {CacheUnavailable}
        proxy.change = lambda reply: reply
        assert await cache.get("k") == "x" * 1000
        assert proxy.connections == 2


async def test_connection_dropped_while_idle_is_nobodys_error(proxy: Proxy) -> None:
    """A server that closes idle connections costs the next caller a new one and nothing else."""
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.set("k", 1, ttl=60)
        proxy.reset_all()
        await asyncio.sleep(0.02)
        assert await cache.get("k") == 1
        assert proxy.connections == 2


async def test_connections_that_always_break_open_the_breaker(proxy: Proxy) -> None:
    """Each is greeted and then reset: after a few the server is left alone, and tried again by itself."""
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        proxy.change = lambda reply: reply if b"proto" in reply else None
        errors = []
        for _ in range(6):
            with pytest.raises(CacheUnavailable) as error:
                await cache.get("k")
            errors.append(str(error.value))
        assert any("in a row broke" in error for error in errors)
        proxy.change = lambda reply: reply
        while True:
            with contextlib.suppress(CacheUnavailable):
                assert await cache.get("k") is None
                break
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("end", ["closes", "talks nonsense"])
async def test_connection_lost_as_soon_as_it_was_made_is_not_kept(proxy: Proxy, end: str) -> None:
    """Greeting and end arrive together; the next call must not be given the dead connection."""

    def greet_and_leave(reply: bytes) -> bytes:
        if end == "closes":
            asyncio.get_running_loop().call_soon(lambda: [writer.close() for writer in proxy.clients])
            return reply
        return reply + b"+OK\r\n"

    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        proxy.change = greet_and_leave
        with pytest.raises(CacheUnavailable):
            await cache.get("k")
        proxy.change = lambda reply: reply
        while True:
            with contextlib.suppress(CacheUnavailable):
                assert await cache.get("k") is None
                break
            await asyncio.sleep(0.01)


async def test_value_over_the_limit_is_refused_before_it_is_sent(proxy: Proxy) -> None:
    """512 MiB is what Redis takes; the refusal says which key, and the connection is as it was."""
    async with tu.Cache(proxy.url, timeout=5) as cache:
        await cache.set("k", 1, ttl=60)
        before = proxy.requests
        huge = bytes(MAX_VALUE_BYTES + 1)  # zero pages that nobody touches
        with pytest.raises(UsageError, match=r"'tu:value:huge' is 536,870,913 bytes"):
            await cache.backend.set_many({"tu:value:huge": huge}, 1000, [])
        assert proxy.requests == before
        assert await cache.get("k") == 1


async def test_large_values_travel_whole(valkey: ValkeyServer) -> None:
    """Several MiB in both directions, among small values asked at the same time."""
    async with tu.Cache(valkey.url, timeout=10) as cache:
        large = "".join(chr(97 + i % 26) for i in range(5_000_000))
        await cache.set_many({"large": large, "small": 1}, ttl=60)
        got = await asyncio.gather(*(cache.get(key) for key in ("large", "small", "large", "small")))
        assert got == [large, 1, large, 1]


async def test_key_of_another_type_reads_as_missing_and_is_overwritten(valkey: ValkeyServer) -> None:
    """A list under our key is not a value; it is neither an error nor in the way."""
    async with tu.Cache(valkey.url) as cache:
        with valkey.client() as client:
            client.lpush("tu:value:k", "a", "b")
        assert await cache.get("k") is None
        assert await cache.get_many(["k"]) == {}
        await cache.set("k", 1, ttl=60)
        assert await cache.get("k") == 1


async def test_stored_json_is_readable_by_others(valkey: ValkeyServer) -> None:
    """What is JSON-shaped lies there as JSON, under a readable name, and expires by the server's own clock."""
    async with tu.Cache(valkey.url, namespace="bots") as cache:
        await cache.set("tickers", {"BTC/USDT": 1.5}, ttl=60)
        with valkey.client() as client:
            assert client.get("bots:value:tickers") == b'{"BTC/USDT":1.5}'
            assert 50_000 < client.pttl("bots:value:tickers") <= 60_000


async def test_keys_that_are_not_text_are_left_out_of_a_listing(valkey: ValkeyServer) -> None:
    """Someone else's binary key under our prefix stops nothing, and `invalidate` removes it."""
    async with tu.Cache(valkey.url) as cache:
        with valkey.client() as client:
            client.set(b"tu:value:\xff\xfe", b"1")
        await cache.set("k", 1, ttl=60)
        assert [key async for key in cache.scan()] == ["k"]
        assert await cache.invalidate() == 2


async def test_invalidate_and_scan_walk_large_databases(valkey: ValkeyServer) -> None:
    """Steps of a thousand keys add up to all of them, and what others keep there stays."""
    async with tu.Cache(valkey.url, timeout=5) as cache:
        await cache.set_many({f"k{i}": i for i in range(5000)}, ttl=60)
        with valkey.client() as client:
            client.mset({f"others:{i}": "1" for i in range(2000)})
            assert len([key async for key in cache.scan("k1")]) == 1111
            assert await cache.invalidate("k1", wait=True) == 1111
            assert await cache.invalidate(wait=True) == 3889
            assert client.dbsize() == 2002  # theirs, the epoch, and that nothing is left to be swept


async def test_freshness_is_by_the_servers_clock(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines whose clocks differ agree on when a value is past its ttl."""
    monkeypatch.setattr("tradeutils.link.link.time.time", lambda: 1e9)

    async def load() -> str:
        return "old"

    async with tu.Cache(valkey.url) as ahead:
        await ahead.get_or_fetch("k", load, ttl=30, stale=30)
        assert await ahead.get("k") == "old"
        monkeypatch.undo()
        async with tu.Cache(valkey.url) as exact:
            assert await exact.get("k") == "old"


async def test_servers_clock_is_read_again_now_and_then(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of weeks does not rely on the reading it began with."""
    monkeypatch.setattr("tradeutils.link.link._CLOCK_SECONDS", -1.0)

    async def load() -> int:
        return 1

    async with tu.Cache(valkey.url) as cache:
        with valkey.client() as client:
            before = client.info("commandstats").get("cmdstat_time", {"calls": 0})["calls"]
            await cache.get_or_fetch("k", load, ttl=30, stale=30)
            for _ in range(5):
                assert await cache.get("k") == 1
            assert client.info("commandstats")["cmdstat_time"]["calls"] - before > 3


async def test_user_without_the_time_command_is_served(valkey: ValkeyServer) -> None:
    """Where the server's clock may not be read, ours has to do."""
    with valkey.client() as client:
        client.acl_setuser("timeless", enabled=True, nopass=True, commands=["+@all", "-time"], keys=["*"])

    async def load() -> int:
        return 1

    async with tu.Cache(f"redis://timeless:any@127.0.0.1:{valkey.port}/0") as cache:
        assert await cache.get_or_fetch("k", load, ttl=30, stale=30) == 1
        assert await cache.get("k") == 1
    with valkey.client() as client:
        client.acl_deluser("timeless")


def test_cache_outlives_its_event_loop(valkey: ValkeyServer) -> None:
    """A cache made once may be used by one ``asyncio.run`` after another."""
    cache = tu.Cache(valkey.url)
    with contextlib.closing(asyncio.new_event_loop()) as first:
        first.run_until_complete(cache.set("k", 1, ttl=60))
        # A loop that ends with a connection open is what this is about; its socket would be reported as leaked.
        first.run_until_complete(_drop_connection(cache))

    async def again() -> Any:
        got = await cache.get("k")
        await cache.aclose()
        return got

    assert asyncio.run(again()) == 1


async def _drop_connection(cache: tu.Cache) -> None:
    link = cache.backend._link  # type: ignore[attr-defined]
    link._wire._transport.abort()
    await asyncio.sleep(0.01)


def test_backend_of_two_caches_outlives_its_event_loop(valkey: ValkeyServer) -> None:
    """The first cache used in the new loop connects anew, and the second shares that connection."""
    one = tu.Cache(Redis(valkey.url))
    two = tu.Cache(one.backend, namespace="two")

    async def use() -> list[Any]:
        await one.set("k", 1, ttl=60)
        await two.set("k", 2, ttl=60)
        return [await one.get("k"), await two.get("k")]

    async def use_and_drop() -> None:
        await use()
        await _drop_connection(one)

    async def use_and_close() -> list[Any]:
        got = await use()
        await one.backend.aclose()
        return got

    asyncio.run(use_and_drop())
    with valkey.client() as client:
        before = client.info("stats")["total_connections_received"]
        assert asyncio.run(use_and_close()) == [1, 2]
        assert client.info("stats")["total_connections_received"] - before == 1


def test_uvloop_serves_as_well(valkey: ValkeyServer) -> None:
    """Its transports and its order of timers differ; a stall of the loop is no outage there either."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def use() -> Any:
        async with tu.Cache(valkey.url, timeout=0.1) as cache:
            await cache.set("k", 1, ttl=60)
            asked = asyncio.create_task(cache.get("k"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            time.sleep(0.3)  # noqa: ASYNC251  # this is the stall
            return await asked

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(use()) == 1


async def test_tls_is_spoken_and_certificates_are_checked(
    valkey: ValkeyServer,
    certificates: pathlib.Path,  # noqa: F811
) -> None:
    """With the authority named it works; without it, or by another host name, the server is not trusted."""
    pem = certificates / "server.pem"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, certificates / "server.key")
    front = Proxy(valkey.port)
    await front.start(context)
    try:
        async with tu.Cache(f"rediss://localhost:{front.port}/0?ssl_ca_certs={pem}", timeout=5) as cache:
            await cache.set("k", 1, ttl=60)
            assert await asyncio.gather(*(cache.get("k") for _ in range(10))) == [1] * 10
        for url in (f"rediss://localhost:{front.port}/0", f"rediss://127.0.0.1:{front.port}/0?ssl_ca_certs={pem}"):
            async with tu.Cache(url, timeout=5) as cache:
                with pytest.raises(CacheUnavailable, match=r"(?i)certificate"):
                    await cache.get("k")
    finally:
        await front.stop()
