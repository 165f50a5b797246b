"""Cache and budget on a primary that sentinels replace: when it dies, hangs, or is told to step down."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import ssl
from typing import Any

import pytest
from budgets import charge, spend
from certificates import certificates  # noqa: F401  # fixture
from fleets import Node, Watched, wait_until, watched  # noqa: F401  # fixture
from servers import Proxy, ValkeyServer, free_port

import tradeutils as tu
from tradeutils.budget import RedisBudget
from tradeutils.errors import CacheError, CacheUnavailable, RateLimited


async def told(cache: tu.Cache, key: str = "k") -> Any:
    """Ask until the primary answers."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(CacheUnavailable):
                return await cache.get(key)
            await asyncio.sleep(0.01)


def is_primary(node: Node) -> bool:
    """Tell whether a server says that it is one."""
    return bool(node.ask("ROLE")[0] == b"master")  # type: ignore[index]


async def test_primary_that_dies_is_followed_under_load(watched: Watched) -> None:  # noqa: F811
    """Each call ends; what was written, and spent of a budget, before is there after."""
    first, second = watched.primary, watched.replica
    async with tu.Cache(watched.url, timeout=0.3) as cache, asyncio.timeout(60):
        budget = RedisBudget(cache)
        try:
            await spend(budget, charge(6, 10, 600), None)
            await cache.set("k", 1, ttl=600)
            wait_until(lambda: second.ask("DBSIZE") == first.ask("DBSIZE"), "the replica to have it all")
            first.kill()
            failures = written = 0
            while not written:
                try:
                    await cache.set("after", 2, ttl=600)
                    written += 1
                except CacheUnavailable:
                    failures += 1
                    await asyncio.sleep(0.01)
            assert failures
            assert await cache.get_many(["k", "after"]) == {"k": 1, "after": 2}
            assert is_primary(second)
            while not budget.is_shared:  # noqa: ASYNC110  # its own timer
                await asyncio.sleep(0.01)
            assert [window.used for pool in await budget.usage() for window in pool.windows] == [6]
            await spend(budget, charge(4, 10, 600), None)
            with pytest.raises(RateLimited):
                await spend(budget, charge(1, 10, 600), 0.5)
            assert second.count_clients() == 2
        finally:
            await budget.aclose()


async def test_frozen_primary_is_left_and_gets_nothing_when_it_thaws(watched: Watched) -> None:  # noqa: F811
    """It still thinks that it is the primary; what it would take would be lost."""
    first, second = watched.primary, watched.replica
    async with tu.Cache(watched.url, timeout=0.3) as cache, asyncio.timeout(60):
        await cache.set("k", 1, ttl=600)
        wait_until(lambda: second.ask("DBSIZE") == first.ask("DBSIZE"), "the replica to have it all")
        first.freeze()
        try:
            assert await told(cache) == 1
            await cache.set("after", 2, ttl=600)
        finally:
            first.thaw()
        for number in range(50):
            await cache.set("after", number, ttl=600)
            await asyncio.sleep(0.01)
        assert first.count_clients() == 0
        assert second.ask("EXISTS", "tu:value:after") == 1


async def test_primary_that_steps_down_is_left_at_once(watched: Watched) -> None:  # noqa: F811
    """It takes writes for ten seconds more, until the sentinels tell it; they would be lost."""
    first, second = watched.primary, watched.replica
    async with tu.Cache(watched.url, near="*") as cache, asyncio.timeout(60):
        await cache.set("k", 1, ttl=600)
        assert await cache.get("k") == 1
        await asyncio.sleep(0.1)  # the sentinel that is listened to has been asked
        watched.sentinels[0].ask("SENTINEL", "FAILOVER", watched.service)
        wait_until(lambda: is_primary(second), "the replica to take over")
        assert is_primary(first)
        while second.count_clients() == 0:
            with contextlib.suppress(CacheUnavailable):  # what was under way is not sent again
                await cache.set("k", 2, ttl=600)
            await asyncio.sleep(0.005)
        await cache.set("k", 3, ttl=600)
        assert await cache.get("k") == 3
        assert second.ask("GET", "tu:value:k") == b"3"
        assert first.ask("GET", "tu:value:k") != b"3"


async def test_write_that_a_replica_refuses_goes_to_the_primary(watched: Watched) -> None:  # noqa: F811
    """Two that change places behind the sentinels' backs: the caller does not notice."""
    first = watched.primary
    async with tu.Cache(watched.url, timeout=5) as cache, asyncio.timeout(60):
        await cache.set("k", 1, ttl=600)
        calls = 0

        async def locate() -> Any:
            nonlocal calls
            calls += 1
            first.ask("REPLICAOF", "NO", "ONE")
            return await located()

        link: Any = cache.backend._link  # type: ignore[attr-defined]
        located, link._locate = link._locate, locate
        first.ask("REPLICAOF", "127.0.0.1", free_port())
        await cache.set("k", 2, ttl=600)
        assert calls == 1
        assert await cache.get("k") == 2


async def test_sentinels_that_are_gone_are_not_waited_for(watched: Watched) -> None:  # noqa: F811
    """One that answers is enough; where none does, or none knows the service, that is an outage, and said so."""
    async with tu.Cache(watched.url.replace("prices", "pricing"), timeout=5) as cache:
        with pytest.raises(CacheUnavailable, match="knows no service 'pricing'"):
            await cache.get("k")
    first, second, third = watched.sentinels
    first.freeze()
    second.kill()
    try:
        async with tu.Cache(watched.url, timeout=1) as cache, asyncio.timeout(20):
            assert await cache.get("k") is None
    finally:
        first.thaw()
    first.kill()
    third.kill()
    async with tu.Cache(watched.url, timeout=1) as cache, asyncio.timeout(20):
        with pytest.raises(CacheUnavailable, match=r"no sentinel told where the primary is.*could not be reached"):
            await cache.get("k")


async def test_server_that_is_no_sentinel_is_said(valkey: ValkeyServer) -> None:
    """Of a plain one, as who writes the wrong port meets it."""
    async with tu.Cache(f"redis+sentinel://127.0.0.1:{valkey.port}/prices", timeout=5) as cache:
        with pytest.raises(CacheUnavailable, match="refused to tell"):
            await cache.get("k")


async def test_sentinel_that_answers_nonsense_is_no_sentinel(tmp_path: pathlib.Path) -> None:
    """Bytes of another protocol, an answer without an address, a hang-up: an outage each, with the reason."""
    for answer, said in (
        (b"HTTP/1.1 400\r\n\r\n", "not Redis"),
        (b"%0\r\n%0\r\n", "no address"),
        (b"", "could not be"),
    ):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer) -> None:
            await reader.read(100)
            writer.write(answer)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, tu.Cache(f"redis+sentinel://127.0.0.1:{port}/prices", timeout=5) as cache:
            with pytest.raises(CacheUnavailable, match=said):
                await cache.get("k")


async def test_users_and_tls_of_servers_and_sentinels(tmp_path: pathlib.Path, certificates: pathlib.Path) -> None:  # noqa: F811
    """Each with a password of its own, which no message shows; the certificates of both are checked."""
    pem = certificates / "server.pem"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, certificates / "server.key")
    fronts = [Proxy(0), Proxy(0)]
    primary = Node(tmp_path)
    try:
        for front in fronts:
            await front.start(context)
        primary.start()
        primary.ask("ACL", "SETUSER", "bot", "on", ">s3cret", "~tu:*", "+@all")
        names = "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\nrequirepass w8tch\n"
        sentinel = Node(tmp_path, "--sentinel", config=f"{names}sentinel monitor prices localhost {fronts[0].port} 1\n")
        sentinel.password = "w8tch"
        sentinel.start()
        fronts[0]._target, fronts[1]._target = primary.port, sentinel.port
        url = f"rediss+sentinel://bot:s3cret@localhost:{fronts[1].port}/prices?ssl_ca_certs={pem}"
        async with tu.Cache(f"{url}&sentinel_password=w8tch", timeout=5) as cache:
            await cache.set("k", 1, ttl=60)
            assert await cache.get("k") == 1
        refused = {
            url: "refused to tell|refused the login for sentinels",
            f"{url}&sentinel_password=wr0ng": "refused the login for sentinels",
            f"{url}&sentinel_password=w8tch".replace("s3cret", "wr0ng"): "WRONGPASS",
            f"{url.partition('?')[0]}?sentinel_password=w8tch": "(?i)certificate",
        }
        for wrong, said in refused.items():
            async with tu.Cache(wrong, timeout=5) as cache:
                with pytest.raises(CacheError, match=said) as error:
                    await cache.get("k")
                assert not {"s3cret", "w8tch", "wr0ng"} & set(str(error.value).replace("'", " ").split())
        sentinel.kill()
    finally:
        for front in fronts:
            await front.stop()
        primary.kill()
