"""Writes that are held up, or cut off, between any two of their commands, while another process fetches that key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import hiredis
import pytest
from servers import Proxy, ValkeyServer

import tradeutils as tu
from tradeutils.errors import CacheError, CacheUnavailable

_COMMANDS = 4  # of one write, at most


class Gate(Proxy):
    """A proxy that lets the commands of a client through one by one, each once the one before has been answered."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.between: Callable[[int], Awaitable[None]] | None = None  # awaited with how many have gone through
        self.cut_at: int | None = None  # reset the connection once so many have gone through
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._replies = hiredis.Reader(notEnoughData=...)
        self.change = self._seen

    def _seen(self, reply: bytes) -> bytes:
        self._replies.feed(reply)
        while (answer := self._replies.gets()) is not ...:
            self._answers.put_nowait(answer)
        return reply

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests, number = hiredis.Reader(notEnoughData=...), 0
        pack = cast("Callable[[tuple[bytes, ...]], bytes]", hiredis.pack_command)
        while data := await reader.read(1 << 16):
            requests.feed(data)
            while (command := requests.gets()) is not ...:
                if self.between is not None:
                    await self.between(number)
                    if number == self.cut_at:
                        self.reset_all()
                        return
                    number += 1
                writer.write(pack(tuple(command)))
                await self._answers.get()
        writer.transport.abort()


@pytest.fixture
async def gate(valkey: ValkeyServer) -> AsyncIterator[Gate]:
    """Return a gate before the emptied server of the test run."""
    relay = Gate(valkey.port)
    await relay.start()
    yield relay
    await relay.stop()


class Fetch:
    """A fetch by another process, which begins and ends between the commands with these numbers."""

    def __init__(self, cache: tu.Cache, begins: int, ends: int) -> None:
        self._cache = cache
        self._begins, self._ends = begins, ends
        self._gate = asyncio.Event()
        self._begun = asyncio.Event()
        self._asked: asyncio.Task[Any] | None = None

    async def between(self, number: int) -> None:
        """Begin, or end, if it is time for it."""
        if number == self._begins:
            self._asked = asyncio.create_task(self._cache.get_or_fetch("k", self._load, ttl=60))
            begun = asyncio.create_task(self._begun.wait())
            await asyncio.wait((self._asked, begun), return_when=asyncio.FIRST_COMPLETED)
            begun.cancel()
        if number == self._ends:
            await self.end()

    async def end(self) -> None:
        """Let it have its outcome, and wait until that is stored or thrown away."""
        self._gate.set()
        if self._asked is not None:
            assert await self._asked in ("before", "after")  # the latter: it found what was written

    async def _load(self) -> str:
        self._begun.set()
        await self._gate.wait()
        return "before"


async def write(gate: Gate, fetch: Fetch, what: str) -> None:
    """Set or delete through the gate while the fetch goes on."""
    async with tu.Cache(gate.url, timeout=20) as cache:
        await cache.get("k")
        gate.between = fetch.between
        try:
            await (cache.set("k", "after", ttl=60) if what == "set" else cache.delete("k"))
        finally:
            gate.between = None


async def test_set_is_not_overwritten_by_a_fetch_that_began_before_its_end(gate: Gate, valkey: ValkeyServer) -> None:
    """Wherever in the write it begins and ends, what it fetched may be older than the value that was set."""
    async with tu.Cache(valkey.url, timeout=20) as other, asyncio.timeout(60):
        for begins in range(_COMMANDS):
            for ends in range(begins, _COMMANDS + 1):
                await other.delete("k")
                fetch = Fetch(other, begins, ends)
                await write(gate, fetch, "set")
                await fetch.end()
                assert await other.get("k") == "after", (begins, ends)


async def test_delete_is_not_undone_by_a_fetch_that_began_before_it(gate: Gate, valkey: ValkeyServer) -> None:
    """Wherever in the delete it ends, what was fetched before is not there afterwards."""
    async with tu.Cache(valkey.url, timeout=20) as other, asyncio.timeout(60):
        for ends in range(_COMMANDS + 1):
            fetch = Fetch(other, 0, ends)
            await write(gate, fetch, "delete")
            await fetch.end()
            assert await other.get("k") is None, ends


async def test_set_that_is_cut_off_has_happened_as_a_whole_or_not_at_all(gate: Gate, valkey: ValkeyServer) -> None:
    """Wherever its connection breaks, no lease is lost without a value, and no value stands beside its lease."""
    async with tu.Cache(valkey.url, timeout=20) as other, asyncio.timeout(60):
        for gate.cut_at in range(_COMMANDS):
            await other.delete("k")
            fetch = Fetch(other, 0, _COMMANDS)
            with pytest.raises(CacheUnavailable):
                await write(gate, fetch, "set")
            found = await other.get("k")
            await fetch.end()
            assert (found, await other.get("k")) in ((None, "before"), ("after", "after")), gate.cut_at


async def test_every_lease_of_a_long_write_is_revoked(valkey: ValkeyServer) -> None:
    """Also where the write is cut into several transactions, by number or by size; each takes the leases of its own."""
    async with tu.Cache(valkey.url, timeout=20) as cache, asyncio.timeout(60):
        for items in ({f"k{i}": i for i in range(1100)}, {f"k{i}": "x" * 5_000_000 for i in range(4)}):
            claims = [
                await cache.backend.claim(f"tu:value:{key}", f"tu:lease:{key}", "tu:epoch", b"another", 60_000)
                for key in items
            ]
            await cache.set_many(items, ttl=60)
            assert await cache.get_many(items) == items
            for key, claim in zip(items, claims, strict=True):
                assert claim.lease is not None
                assert not await cache.backend.commit(f"tu:value:{key}", b'"before"', 60_000, 0, claim.lease)
            await cache.invalidate()


async def test_write_that_the_server_refuses_within_its_transaction_is_an_error(valkey: ValkeyServer) -> None:
    """A refusal of one command is not lost among the replies of the others."""
    async with tu.Cache(valkey.url, timeout=20) as cache:
        with pytest.raises(CacheError, match="invalid expire time"):
            await cache.backend.set_many({"tu:value:k": b"1"}, 0, [])


async def test_full_server_names_its_remedy_whenever_it_refuses(valkey_with: Callable[..., ValkeyServer]) -> None:
    """Also where it lets the commands in and has no memory left when they are to happen."""
    server = valkey_with("--maxmemory-policy", "noeviction")
    async with tu.Cache(server.url, timeout=20) as cache:
        relay = Gate(server.port)
        await relay.start()
        async with tu.Cache(relay.url, timeout=20) as gated:
            await cache.get("k")
            await gated.get("k")

            async def fill(number: int) -> None:
                if number == _COMMANDS - 1:  # all are queued, and EXEC is to come
                    with server.client() as client:
                        client.config_set("maxmemory", "100kb")

            relay.between = fill
            with pytest.raises(CacheError, match="raise maxmemory"):
                await gated.set("k", 1, ttl=60)
        await relay.stop()
        assert await cache.get("k") is None


async def test_nonsense_in_place_of_the_outcome_of_a_write_is_an_error(proxy: Proxy) -> None:
    """A server that answers another question is not taken to have written."""
    async with tu.Cache(proxy.url, timeout=5) as cache, asyncio.timeout(20):
        await cache.set("k", 0, ttl=60)
        proxy.change = lambda _: b"+OK\r\n" * _COMMANDS
        for attempt in (cache.set("k", 1, ttl=60), cache.delete("k")):
            with pytest.raises(CacheError, match="answered EXEC"):
                await attempt
