"""The copy in this process, on a real server: never older than the news of a change, whatever breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from near_copies import near_stats, reads, until
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils.errors import CacheUnavailable


class Holding(Proxy):
    """A proxy that can hold back what the server says, and let it out in one piece."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.is_holding = False
        self._held = b""
        self.change = self._hold

    @property
    def held(self) -> int:
        """Bytes held back."""
        return len(self._held)

    def release(self) -> None:
        """Let out what was held back, and hold nothing more."""
        held, self._held, self.is_holding = self._held, b"", False
        for client in self.clients:
            client.write(held)

    def _hold(self, reply: bytes) -> bytes:
        if not self.is_holding:
            return reply
        self._held += reply
        return b""


@pytest.fixture
async def holding(valkey: ValkeyServer) -> AsyncIterator[Holding]:
    """Return a proxy before the emptied server of the test run that can hold back replies."""
    relay = Holding(valkey.port)
    await relay.start()
    yield relay
    await relay.stop()


async def test_value_read_once_is_served_without_the_server(proxy: Proxy) -> None:
    """Every further read is answered in this process, by each way of reading."""
    async with tu.Cache(proxy.url, near="*", timeout=5) as cache:
        await cache.set("k", {"bid": 1.5}, ttl=60)
        assert await cache.get("k") == {"bid": 1.5}
        asked = proxy.requests

        async def fetch() -> Any:
            raise AssertionError

        assert await cache.get("k") == {"bid": 1.5}
        assert await cache.get_many(["k"]) == {"k": {"bid": 1.5}}
        assert await cache.get_or_fetch("k", fetch, ttl=60) == {"bid": 1.5}
        assert proxy.requests == asked
        told = await near_stats(cache)
        assert (told.is_on, told.hits, told.keys) == (True, 3, 1)
        assert told.server is not None
        assert told.server.flags == ("on", "optout")
        assert told.server.items >= 1
        assert (await cache.stats()).hits == 4


async def test_change_by_another_is_seen(valkey: ValkeyServer) -> None:
    """Whatever changes the key: set, delete, invalidate, a fetch, its ttl, another program."""
    async with (
        tu.Cache(valkey.url, near="*", timeout=5) as cache,
        tu.Cache(valkey.url, timeout=5) as other,
    ):

        async def fetch() -> str:
            return "fetched"

        def foreign() -> None:
            with valkey.client() as client:
                client.set("tu:value:k", b'"foreign"')

        async def change(how: str) -> Any:
            if how == "set":
                await other.set("k", "set", ttl=60)
                return "set"
            if how == "delete":
                await other.delete("k")
            elif how == "invalidate":
                await other.invalidate()
            elif how == "fetch":
                await other.delete("k")
                return await other.get_or_fetch("k", fetch, ttl=60)
            elif how == "foreign":
                foreign()
                return "foreign"
            return None

        for how in ("set", "delete", "invalidate", "fetch", "foreign"):
            await other.set("k", "old", ttl=60)
            await reads(cache, "k", "old")
            expected = await change(how)
            await reads(cache, "k", expected)


async def test_own_write_is_read_at_once(valkey: ValkeyServer) -> None:
    """Whoever has written reads what he wrote, however often, also what he fetched, and nothing after a delete."""
    async with tu.Cache(valkey.url, near="*", timeout=5) as cache:
        for number in range(200):
            await cache.set("k", number, ttl=60)
            assert await cache.get("k") == number
            assert (await cache.get_many(["k", "absent"])) == {"k": number}
        await cache.delete("k")
        assert await cache.get("k") is None

        async def fetch() -> str:
            return "fetched"

        assert await cache.get_or_fetch("k", fetch, ttl=60) == "fetched"
        assert await cache.get("k") == "fetched"
        await cache.invalidate()
        assert await cache.get("k") is None


async def test_reply_on_its_way_when_its_key_changes_is_not_kept(holding: Holding, valkey: ValkeyServer) -> None:
    """The reader gets the old value, for he asked before; the next one asks anew."""
    async with tu.Cache(holding.url, near="*", timeout=20) as cache, tu.Cache(valkey.url, timeout=5) as other:
        await other.set_many({"a": "old", "b": "old"}, ttl=60)
        await cache.get("warm")
        for key, read in (("a", cache.get("a")), ("b", cache.get_many(["b", "absent"]))):
            holding.is_holding = True
            asked = asyncio.create_task(read)
            await until(lambda: holding.held)
            replied = holding.held
            await other.set(key, "new", ttl=60)
            await until(lambda replied=replied: holding.held > replied)  # the news of it, behind the reply
            holding.release()
            assert await asked in ("old", {"b": "old"})
            assert await cache.get(key) == "new"


async def test_two_writers_at_once_agree_in_the_end(valkey: ValkeyServer) -> None:
    """Of 1000 keys that two processes set 0 to 2 ms apart, reading all the time, none is different a second later."""
    chance = random.Random(7)  # the same delays in every run
    keys = [f"k{number}" for number in range(1000)]
    async with tu.Cache(valkey.url, near="*", timeout=20) as one, tu.Cache(valkey.url, near="64mb", timeout=20) as two:

        async def write(cache: tu.Cache, key: str, value: str, delay: float) -> None:
            await asyncio.sleep(delay)
            await cache.get(key)
            await cache.set(key, value, ttl=600)
            await cache.get(key)

        for start in range(0, len(keys), 100):
            await asyncio.gather(
                *(write(one, key, "one", chance.uniform(0, 0.002)) for key in keys[start : start + 100]),
                *(write(two, key, "two", chance.uniform(0, 0.002)) for key in keys[start : start + 100]),
            )
        await asyncio.sleep(1)
        first, second = await one.get_many(keys), await two.get_many(keys)
        async with tu.Cache(valkey.url, timeout=20) as plain:
            truth = await plain.get_many(keys)
        assert len(truth) == 1000
        assert [key for key in keys if not first[key] == second[key] == truth[key]] == []
        assert (await near_stats(one)).hits > 0


async def test_lost_connection_drops_everything(proxy: Proxy, valkey: ValkeyServer) -> None:
    """What changed while nobody could tell us is not served from here."""
    async with tu.Cache(proxy.url, near="*", timeout=5) as cache, tu.Cache(valkey.url, timeout=5) as other:
        await other.set("k", "old", ttl=60)
        assert await cache.get("k") == "old"
        proxy.reset_all()
        await other.set("k", "new", ttl=60)
        await reads(cache, "k", "new")
        assert await cache.get("k") == "new"
        told = await near_stats(cache)
        assert told.losses >= 1
        assert told.is_on


async def test_reset_in_the_middle_of_a_reply_leaves_nothing_behind(proxy: Proxy, valkey: ValkeyServer) -> None:
    """Half a value is an outage; afterwards the whole one is read and kept."""
    async with tu.Cache(proxy.url, near="*", timeout=5) as cache, tu.Cache(valkey.url, timeout=5) as other:
        await other.set("k", "x" * 10_000, ttl=60)
        await cache.get("warm")

        def cut(reply: bytes) -> bytes:
            asyncio.get_running_loop().call_later(0.01, proxy.reset_all)
            return reply[:100]

        proxy.change = cut
        with pytest.raises(CacheUnavailable):
            await cache.get("k")
        proxy.change = lambda reply: reply
        await reads(cache, "k", "x" * 10_000)
        assert (await near_stats(cache)).keys == 1


async def test_emptied_server_empties_the_copy(valkey: ValkeyServer) -> None:
    """FLUSHALL is told without names."""
    async with tu.Cache(valkey.url, near="*", timeout=5) as cache:
        await cache.set("k", 1, ttl=60)
        assert await cache.get("k") == 1
        with valkey.client() as client:
            client.flushall()
        await reads(cache, "k", None)
        assert (await near_stats(cache)).keys == 0


async def test_frozen_server_is_found_out_and_its_copy_dropped(own_valkey: ValkeyServer) -> None:
    """Hits alone would go on for ever; the connection is tried once a second, and what is not known is an outage."""
    async with tu.Cache(own_valkey.url, near="*", timeout=0.25) as cache:
        await cache.set("k", 1, ttl=60)
        assert await cache.get("k") == 1
        own_valkey.freeze()
        async with asyncio.timeout(20):
            while (await near_stats(cache)).is_on:
                assert await cache.get("k") == 1
                await asyncio.sleep(0.01)
        with pytest.raises(CacheUnavailable):
            await cache.get("k")
        assert (await near_stats(cache)).keys == 0
        own_valkey.thaw()
        await reads(cache, "k", 1)
        await cache.get("k")
        assert (await near_stats(cache)).keys == 1


async def test_connection_that_a_firewall_forgot_does_not_serve_old_values(proxy: Proxy, valkey: ValkeyServer) -> None:
    """It stays open and says nothing: no change is heard of, so it must be noticed."""
    async with tu.Cache(proxy.url, near="*", timeout=0.25) as cache, tu.Cache(valkey.url, timeout=5) as other:
        await other.set("k", "old", ttl=60)
        assert await cache.get("k") == "old"
        proxy.mute_all()
        await other.set("k", "new", ttl=60)
        await reads(cache, "k", "new")


async def test_killed_server_that_comes_back_empty_is_a_miss(own_valkey: ValkeyServer) -> None:
    """Nothing of the old server is served once it is gone."""
    async with tu.Cache(own_valkey.url, near="*", timeout=0.25) as cache:
        await cache.set("k", 1, ttl=60)
        assert await cache.get("k") == 1
        own_valkey.kill()
        await asyncio.sleep(0.05)
        with pytest.raises(CacheUnavailable):
            await cache.get("k")
        own_valkey.start()
        await reads(cache, "k", None)
        await cache.set("k", 2, ttl=60)
        await reads(cache, "k", 2)


async def test_paused_server_passes(own_valkey: ValkeyServer) -> None:
    """CLIENT PAUSE holds up everybody's writes, so what is kept stays true, and changes after it are seen."""
    async with tu.Cache(own_valkey.url, near="*", timeout=0.25) as cache:
        await cache.set("k", "old", ttl=60)
        assert await cache.get("k") == "old"
        with own_valkey.client() as client:
            client.client_pause(400)
            client.set("tu:value:k", b'"new"')
        await reads(cache, "k", "new")


async def test_value_is_not_kept_past_its_ttl(valkey: ValkeyServer) -> None:
    """Its end is known from the server, whose news of it comes late."""
    async with tu.Cache(valkey.url, near="*", timeout=5) as cache, tu.Cache(valkey.url, timeout=5) as other:
        await other.set("k", 1, ttl=0.1)
        assert await cache.get("k") == 1
        await asyncio.sleep(0.11)
        assert await cache.get("k") is None


@pytest.mark.parametrize("how", ["get", "get_many", "get_or_fetch"])
async def test_time_that_a_reply_takes_is_part_of_its_ttl(holding: Holding, valkey: ValkeyServer, how: str) -> None:
    """The server said how long the value lasts when it answered, and that was a while ago."""

    async def fetch() -> str:
        return "new"

    async with tu.Cache(holding.url, near="*", timeout=20) as cache, tu.Cache(valkey.url, timeout=5) as other:
        await cache.get("warm")
        await other.set("k", "old", ttl=0.3)
        holding.is_holding = True
        ways = {
            "get": cache.get("k"),
            "get_many": cache.get_many(["k", "b"]),
            "get_or_fetch": cache.get_or_fetch("k", fetch, 60),
        }
        asked = asyncio.create_task(ways.pop(how))
        for way in ways.values():
            way.close()
        await until(lambda: holding.held)
        holding.change = lambda reply: b"" if reply.startswith(b">") else reply  # nor is it told that the ttl is over
        await asyncio.sleep(0.35)
        holding.release()
        assert await asked in ("old", {"k": "old"})
        assert (await near_stats(cache)).keys == 0
        holding.reset_all()
        holding.change = lambda reply: reply
        await reads(cache, "k", None)


async def test_full_tracking_table_costs_hits_and_no_truth(own_valkey: ValkeyServer) -> None:
    """A server that remembers 10 keys tells that the others have changed, so that nothing is kept unwatched."""
    with own_valkey.client() as client:
        client.config_set("tracking-table-max-keys", 10)
    async with (
        tu.Cache(own_valkey.url, near="*", timeout=5) as cache,
        tu.Cache(own_valkey.url, timeout=5) as other,
    ):
        values = {f"k{number}": number for number in range(200)}
        await other.set_many(values, ttl=60)
        assert await cache.get_many(values) == values
        async with asyncio.timeout(20):
            while (await near_stats(cache)).keys > 10:  # noqa: ASYNC110  # the server's own time has no event
                await asyncio.sleep(0.01)
        await other.set_many({key: -number for key, number in values.items()}, ttl=60)
        for key, number in values.items():
            await reads(cache, key, -number)
        told = await near_stats(cache)
        assert told.invalidations >= 190
        assert told.is_on


async def test_change_that_nobody_told_of_is_seen_in_the_end(
    proxy: Proxy, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever swallows the news, a copy is read again after a minute, also one that has no ttl."""
    monkeypatch.setattr("tradeutils.cache.near._LONGEST_SECONDS", 0.2)
    async with tu.Cache(proxy.url, near="*", timeout=5) as cache, tu.Cache(valkey.url, timeout=5) as other:
        await other.set("k", "old")
        assert await cache.get("k") == "old"
        proxy.change = lambda reply: b"" if reply.startswith(b">") else reply
        await other.set("k", "new")
        await reads(cache, "k", "new")
        assert (await near_stats(cache)).hits > 0


async def test_stale_value_is_not_taken_for_fresh(valkey: ValkeyServer) -> None:
    """A value with a stale time is kept until its ttl is over, and no longer."""
    calls = 0

    async def fetch() -> int:
        nonlocal calls
        calls += 1
        return calls

    async with tu.Cache(valkey.url, near="*", timeout=5) as cache:
        assert await cache.get_or_fetch("k", fetch, ttl=0.1, stale=60) == 1
        assert await cache.get_or_fetch("k", fetch, ttl=0.1, stale=60) == 1
        assert await cache.get("k") == 1
        await asyncio.sleep(0.11)
        assert await cache.get("k") is None
        assert await cache.get_or_fetch("k", fetch, ttl=60, stale=60) == 1
        await reads(cache, "k", 2)
