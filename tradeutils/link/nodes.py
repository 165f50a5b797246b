"""The nodes of a Redis Cluster: a connection to each, and the knowledge of which owns what."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tradeutils.errors import CacheUnavailable, Closed
from tradeutils.link.address import Address
from tradeutils.link.changes import Changes
from tradeutils.link.link import Link
from tradeutils.link.slots import Names
from tradeutils.link.topology import Place, Topology, fetch_topology

__all__ = ["Nodes"]

_FIRST_LOOK: Final = 0.1  # seconds between looks at the topology while a node is away; doubling to the longest
_LONGEST_LOOK: Final = 1.0
_STALE_SECONDS: Final = 30.0  # a topology is looked at again after so long, if there is anything to do
_ASKED: Final = 3  # nodes that are asked at a time: one alone may be cut off from the others


class Nodes:
    """
    Connections by place.

    Parameters
    ----------
    address : Address
        Its ``seeds`` are asked first.
    names : Names
        How names of changes are made plain.
    changes : Changes or None
        Where the nodes tell of changes, and where all are told to have changed when a slot has moved.
    open_one : callable
        Makes the connection to one node.

    Attributes
    ----------
    topology : Topology
        Who owns what; empty before the first answer.
    down : set of (host, port)
        Nodes that said CLUSTERDOWN for as long as a call may take.
    """

    def __init__(
        self,
        address: Address,
        names: Names,
        changes: Changes | None,
        open_one: Callable[[Address, Changes | None], Link],
    ) -> None:
        self.topology = Topology()
        self.down: set[Place] = set()
        self._address = address
        self._names = names
        self._changes = changes
        self._open_one = open_one
        self._links: dict[Place, Link] = {}
        self._hearing: set[Place] = set()
        self._updating: asyncio.Task[None] | None = None
        self._updated_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # in which those two run
        self._look = _FIRST_LOOK
        self._leaving: set[asyncio.Task[None]] = set()
        self.is_closed = False

    def __iter__(self) -> Iterator[Link]:
        """All connections, those that are still to be closed left out."""
        return iter(list(self._links.values()))

    @property
    def is_away(self) -> bool:
        """Whether none is there, as far as is known."""
        return bool(self._links) and all(link.is_away for link in self)

    @property
    def is_whole(self) -> bool:
        """Whether every slot is served, as far as is known."""
        away = any(link.is_away for link in self)
        return not away and not self.down and (self.topology.is_whole or not self.topology.places)

    def primaries(self) -> list[Link]:
        """Return the connections to the primaries, by their lowest slot."""
        return [self.link(place) for _, place in self.topology.in_order]

    def owner(self, slot: int | None) -> Place:
        """Return who owns a slot; without one, any primary, one that is there if possible."""
        if slot is None:
            places = [place for _, place in self.topology.in_order]
            there = [place for place in places if not self.link(place).is_away]
            return random.choice(there or places)  # noqa: S311  # no secret
        place = self.topology.owners[slot]
        if place is None:
            self.look_out()
            raise CacheUnavailable(f"{self._address.label} has no node for slot {slot}")
        return place

    def link(self, place: Place) -> Link:
        """Return the connection to a node, made on first use."""
        link = self._links.get(place)
        if link is None:
            if self.is_closed:
                raise Closed(f"the connection to {self._address.label} was closed")
            changes = None if self._changes is None else _NodeChanges(self._changes, self._names, place, self._hearing)
            link = self._links[place] = self._open_one(self._address.node(*place), changes)
        return link

    def move(self, slot: int, target: Place) -> None:
        """Take note that another node owns a slot, and find out what else has changed."""
        if self.topology.owners[slot] != target:  # of many calls that are told so, the first alone pays for it
            self.topology = self.topology.moved(slot, target)
            if self._changes is not None:
                self._changes.note_all()
        self.update()

    async def ready(self, seconds: float) -> None:
        """Make sure that it is known which node owns what."""
        if self.is_closed:
            raise Closed(f"the connection to {self._address.label} was closed")
        if self.topology.places:
            self.refresh()
            return
        if self.is_away:
            for link in self:
                link.breaker.check()
        updating = self.update()
        await asyncio.wait((updating,), timeout=seconds)
        if not self.topology.places:
            if updating.done() and not updating.cancelled():
                updating.result()
            raise CacheUnavailable(f"{self._address.label}: no node told within {seconds:g} s where the others are")

    def refresh(self) -> None:
        """Look at the topology again if that was long ago."""
        if self._updating is None and asyncio.get_running_loop().time() - self._updated_at > _STALE_SECONDS:
            self.update()

    def look_out(self) -> None:
        """See to it that the nodes are asked, now or soon."""
        if self._timer is None:
            self.update()

    def update(self) -> asyncio.Task[None]:
        """Ask the nodes who owns what; one such question at a time."""
        if self._updating is None:
            self._loop = asyncio.get_running_loop()
            self._updating = self._loop.create_task(self._learn(), name="tradeutils-redis-topology")
            self._updating.add_done_callback(self._learnt)
        return self._updating

    def rebind(self) -> None:
        """Forget connections whose event loop has closed."""
        for link in self:
            link.rebind()
        if self._loop is not None and self._loop.is_closed():
            self._updating = self._timer = self._loop = None
        self._leaving -= {task for task in self._leaving if task.get_loop().is_closed()}

    async def aclose(self) -> None:
        """Close all connections."""
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [*self._leaving, *([self._updating] if self._updating is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for link in self:
            await link.aclose()
        self._links.clear()

    async def _learn(self) -> None:
        found = await fetch_topology(self._asked(), self._address)
        before, self.topology = self.topology, found
        if self._changes is not None and before.places and before.owners != found.owners:
            self._changes.note_all()  # what a node that has lost a slot would have told of is not told any more
        self.down = set() if found.is_ok else self.down & found.places
        for place in self._links.keys() - found.places:
            self._drop(place)

    def _asked(self) -> Iterable[Link]:
        """Return whom to ask: nodes that are there or, where none is, whoever is known to be one."""
        there = [link for link in self if link.live is not None]
        if there:
            return random.sample(there, min(_ASKED, len(there)))
        known = dict.fromkeys([*self.topology.places, *self.topology.replicas, *self._address.seeds])
        return [self.link(place) for place in known]

    def _learnt(self, task: asyncio.Task[None]) -> None:
        if self._updating is task:
            self._updating = None
        if task.cancelled() or self.is_closed:
            return
        loop = asyncio.get_running_loop()
        self._updated_at = loop.time()
        if task.exception() is None and self.is_whole:
            self._look = _FIRST_LOOK
        elif self._timer is None:
            self._timer = loop.call_later(self._look, self._look_again)
            self._look = min(2 * self._look, _LONGEST_LOOK)

    def _look_again(self) -> None:
        self._timer = None
        self.update()

    def _drop(self, place: Place) -> None:
        """Leave a node that owns nothing any more, once those who wait for it have their answers."""
        link = self._links.pop(place)

        async def leave() -> None:
            try:
                await asyncio.sleep(2 * link.timeout if link.live is not None else 0)
            finally:
                await link.aclose()
                if place not in self._links:
                    self._hearing.discard(place)

        task = asyncio.get_running_loop().create_task(leave(), name="tradeutils-redis-leave")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


class _NodeChanges(Changes):
    """What one node tells of changes, passed on under plain names."""

    def __init__(self, whole: Changes, names: Names, place: Place, hearing: set[Place]) -> None:
        self._whole = whole
        self._names = names
        self._place = place
        self._hearing = hearing
        super().__init__()

    @property
    def is_on(self) -> bool:
        return self._place in self._hearing

    @is_on.setter
    def is_on(self, on: bool) -> None:
        (self._hearing.add if on else self._hearing.discard)(self._place)
        # One that is away tells of nothing, but nothing can be read there either.
        self._whole.is_on = bool(self._hearing) and not self._whole.reason

    @property
    def invalidations(self) -> int:
        return self._whole.invalidations

    @invalidations.setter
    def invalidations(self, number: int) -> None:
        self._whole.invalidations = max(number, self._whole.invalidations)

    def refuse(self, reason: str) -> None:
        self._whole.refuse(reason)

    def note(self, names: Iterable[str]) -> None:
        self._whole.note([self._names.plain(name.encode()).decode(errors="replace") for name in names])

    def note_all(self) -> None:
        self._whole.note_all()

    def forget(self) -> None:
        self._whole.forget()
