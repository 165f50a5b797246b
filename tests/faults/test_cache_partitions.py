"""A node of a cluster that is cut off under load and comes back as it was: nobody is told what is not so."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import pytest
from fleets import Node, ValkeyCluster

import tradeutils as tu
from tradeutils.cache.buckets import Buckets
from tradeutils.errors import CacheUnavailable
from tradeutils.link.slots import slot_of

KEYS = [f"k{number}" for number in range(60)]


@pytest.fixture(params=[0, 3], ids=["alone", "with replicas"])
def parted(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[ValkeyCluster]:
    """Return a cluster of the test's own whose nodes may be cut off, without replicas and with one for each."""
    made = ValkeyCluster(tmp_path, request.param)
    try:
        made.start()
        yield made
    finally:
        made.kill()


@dataclasses.dataclass
class Told:
    """What was written of one key, and what was read of it."""

    key: str
    number: int = 0  # the last that was tried
    certain: int = 0  # the last that the server took
    turns: int = 0
    failed: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)

    async def turn(self, writer: tu.Cache, plain: tu.Cache, near: tu.Cache) -> None:
        """
        Write the next number and read it; a write that failed may have been made, or be made later.

        A near copy may be what is on its way from the server behind, and no more than that.
        """
        self.number += 1
        try:
            async with asyncio.timeout(10):
                await writer.set(self.key, self.number, ttl=600)
            self.certain = self.number
        except CacheUnavailable:
            self.failed += 1
        await self.read(plain, 0)
        await self.read(near, 1)
        self.turns += 1

    async def read(self, cache: tu.Cache, lag: float) -> None:
        """Read it, and once more after a while where what came is older than what was stored."""
        try:
            async with asyncio.timeout(10):
                got = await cache.get(self.key)
                if lag and got is not None and got < self.certain:
                    await asyncio.sleep(lag)
                    got = await cache.get(self.key)
        except CacheUnavailable:
            self.failed += 1
        else:
            if got is None or not self.certain <= got <= self.number:
                self.wrong.append(f"{self.key}: {got} after {self.certain} was stored and {self.number} tried")


def owned(cluster: ValkeyCluster, node: Node) -> set[str]:
    """Return the keys that lie on a node."""
    return {key for key in KEYS if cluster.owner(slot_of(Buckets().placed(f"tu:value:{key}"))) is node}


async def test_node_that_is_cut_off_for_two_seconds_tells_nobody_anything_wrong(parted: ValkeyCluster) -> None:
    """
    Each call ends, those of the other nodes' keys as if nothing were, and in the end all is served.

    Whatever was read was the last that had been stored by then, or something tried after it, in the near copy too.
    """
    victim = parted.primaries[1]
    mine = owned(parted, victim)
    told = {key: Told(key) for key in KEYS}
    async with tu.Cache(parted.url) as writer, tu.Cache(parted.url) as plain, tu.Cache(parted.url, near="*") as near:
        stopping = False

        async def load(one: Told) -> None:
            while not stopping:
                await one.turn(writer, plain, near)
                await asyncio.sleep(0.02)

        async def turned(keys: set[str], more: int) -> None:
            before = {key: told[key].certain for key in keys}
            while any(told[key].certain < before[key] + more for key in keys):  # noqa: ASYNC110  # by many tasks
                await asyncio.sleep(0.01)

        tasks = [asyncio.create_task(load(one)) for one in told.values()]
        try:
            async with asyncio.timeout(60):
                await turned(set(KEYS), 5)
                victim.freeze()
                turns = {key: told[key].turns for key in KEYS}
                await asyncio.sleep(2)
                made = {key: told[key].turns - turns[key] for key in KEYS}
                victim.thaw()
                await turned(set(KEYS), 10)
        finally:
            stopping = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(15):
                    await asyncio.gather(*tasks)
            for task in tasks:
                task.cancel()
        assert [wrong for one in told.values() for wrong in one.wrong] == []
        assert {key for key in KEYS if told[key].failed} <= mine
        assert all(told[key].failed for key in mine)
        assert min(made[key] for key in set(KEYS) - mine) >= 10
        await asyncio.sleep(1)
        for cache in (writer, plain, near):
            assert await cache.get_many(KEYS) == {key: one.certain for key, one in told.items()}
