"""Large values on their way to a server: in order, whole, and in nobody's way."""

from __future__ import annotations

import asyncio

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils.errors import CacheUnavailable
from tradeutils.link.outlet import pack

PARTS = st.one_of(
    st.integers(), st.text(max_size=9), st.binary(max_size=9), st.sampled_from([65_535, 65_536, 70_000]).map(bytes)
)


@given(st.lists(st.lists(PARTS, min_size=1, max_size=5).map(tuple), max_size=4))
def test_commands_are_packed_as_the_parser_packs_them(commands: list[tuple[bytes | str | int, ...]]) -> None:
    """Whether an argument is large or not, the bytes are the same."""
    assert b"".join(pack(commands)) == b"".join(map(hiredis.pack_command, commands))  # type: ignore[arg-type]


async def test_large_values_and_small_ones_arrive_whole_and_in_order(valkey: ValkeyServer) -> None:
    """What is asked while a large value is on its way comes after it, also where its caller was cancelled."""
    async with tu.Cache(valkey.url, timeout=10) as cache, asyncio.timeout(30):
        values = [bytes([number]) * 9_000_000 for number in range(3)]
        writes = [asyncio.ensure_future(cache.set(f"large{n}", value, ttl=60)) for n, value in enumerate(values)]
        await asyncio.sleep(0)
        small = [asyncio.ensure_future(cache.set(f"small{number}", number, ttl=60)) for number in range(50)]
        await asyncio.sleep(0)
        writes[1].cancel()
        await asyncio.gather(writes[0], writes[2], *small)
        assert await cache.get("large0") == values[0]
        assert await cache.get("large2") == values[2]
        assert await cache.get("large1") in (None, values[1])
        assert await cache.get_many([f"small{n}" for n in range(50)]) == {f"small{n}": n for n in range(50)}
        with valkey.client() as client:
            assert str(client.execute_command("CLIENT", "LIST")).count("name=tradeutils") == 1


async def test_connection_lost_in_the_middle_of_a_value_is_an_outage_and_heals(valkey: ValkeyServer) -> None:
    """The rest of it is not sent on another connection, and nothing of it is there."""
    proxy = Proxy(valkey.port)
    await proxy.start()
    try:
        async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(30):
            await cache.set("k", 1, ttl=60)
            writing = asyncio.ensure_future(cache.set("k", bytes(100_000_000), ttl=60))
            await asyncio.sleep(0.005)
            proxy.reset_all()
            with pytest.raises(CacheUnavailable):
                await writing
            while True:
                try:
                    assert await cache.get("k") == 1
                    break
                except CacheUnavailable:
                    await asyncio.sleep(0.01)
    finally:
        await proxy.stop()
