"""Which node of a Redis Cluster owns which slots, as the nodes tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

import hiredis

from tradeutils.errors import CacheError, CacheUnavailable
from tradeutils.link.address import Address
from tradeutils.link.link import Link
from tradeutils.link.slots import SLOTS

__all__ = ["Place", "Topology", "fetch_topology", "is_port"]

Place: TypeAlias = tuple[str, int]

_LONGER: Final = 0.05  # seconds for which further answers are waited for after the first: it may be out of date
_NODES: Final = 1001  # a cluster has a thousand at most, and a slot may have none
_NOBODY: Final[tuple[Place | None, ...]] = (None,) * SLOTS


@dataclass(frozen=True)
class Topology:
    """
    Who owns what.

    Attributes
    ----------
    owners : tuple of (host, port) or None
        The primary of each slot.
    replicas : tuple of (host, port)
        Who may take a primary's place, and knows who has.
    is_ok : bool
        Whether the node that told this thinks that the cluster can serve.
    """

    owners: tuple[Place | None, ...] = field(default=_NOBODY, repr=False)
    replicas: tuple[Place, ...] = ()
    is_ok: bool = field(default=True, compare=False)

    @cached_property
    def in_order(self) -> tuple[tuple[int, Place], ...]:
        """The primaries, each with its lowest slot, by that."""
        lowest: dict[Place, int] = {}
        for slot, place in enumerate(self.owners):
            if place is not None and place not in lowest:
                lowest[place] = slot
        return tuple((slot, place) for place, slot in lowest.items())

    @cached_property
    def places(self) -> frozenset[Place]:
        """The primaries."""
        return frozenset(place for _, place in self.in_order)

    @cached_property
    def is_whole(self) -> bool:
        """Whether every slot has an owner."""
        return None not in self.owners

    def moved(self, slot: int, place: Place) -> Topology:
        """Return it with another owner of one slot."""
        return Topology((*self.owners[:slot], place, *self.owners[slot + 1 :]), self.replicas, self.is_ok)


async def fetch_topology(links: Iterable[Link], address: Address) -> Topology:
    """
    Ask nodes for the topology, and return the newest of those that were told soon after the first.

    Raises
    ------
    CacheUnavailable : none answered.
    CacheError : the server is no cluster, or the user may not ask.
    """
    asking = {asyncio.ensure_future(_ask(link)) for link in links}
    views: list[tuple[int, Topology]] = []
    errors: list[Exception] = []
    try:
        patience = None
        while asking:
            done, asking = await asyncio.wait(asking, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for task in done:
                error = task.exception()
                if error is None:
                    views.append(task.result())
                elif isinstance(error, CacheError):
                    errors.append(error)
                else:
                    raise error
            patience = _LONGER if views else None
    finally:
        for task in asking:
            task.cancel()
    if views:
        return max(views, key=lambda view: (view[1].is_ok, view[0]))[1]
    refused = next((error for error in errors if not isinstance(error, CacheUnavailable)), None)
    raise refused or CacheUnavailable(f"{address.label}: no node could be asked where the others are ({errors[0]})")


async def _ask(link: Link) -> tuple[int, Topology]:
    """Return how new what a node tells is, and what that is."""
    info, slots = await link.call([(b"CLUSTER", b"INFO"), (b"CLUSTER", b"SLOTS")])
    if isinstance(slots, hiredis.ReplyError):
        if "cluster support disabled" in str(slots):
            raise CacheError(f"{link.address.label} is no node of a cluster: write redis://host:port/0")
        raise CacheError(f"{link.address.label} does not tell where the nodes are: {str(slots)[:200]}")
    owners: list[Place | None] = [None] * SLOTS
    replicas: list[Place] = []
    try:
        for first, last, *nodes in slots:
            places = [_place(node, link.address.host) for node in nodes]
            if not 0 <= first <= last < SLOTS:  # or memory is filled with what there is not
                raise TypeError(last)
            owners[first : last + 1] = [places[0]] * (last + 1 - first)
            replicas += places[1:]
    except (AttributeError, IndexError, TypeError, ValueError):
        owners.clear()
    if len(owners) != SLOTS or len(set(owners)) > _NODES:
        raise CacheError(f"{link.address.label} tells of its slots in a form that is none of a cluster's")
    told = info if isinstance(info, bytes) else b""
    epoch = told.partition(b"cluster_current_epoch:")[2].split(b"\r", 1)[0][:20]  # of 64 bits
    found = Topology(tuple(owners), tuple(dict.fromkeys(replicas)), is_ok=b"cluster_state:fail" not in told)
    return int(epoch) if epoch.isdigit() else 0, found


def _place(node: list[Any], asked: str) -> Place:
    """Return where a node is; one that does not know its own address is where it was asked."""
    host = (node[0] or b"").decode(errors="replace")
    if not is_port(int(node[1])):
        raise TypeError(node[1])
    return (host if host not in ("", "?") else asked, int(node[1]))


def is_port(number: int) -> bool:
    """Tell whether a server may listen there; asyncio fails on others with an error that is no OSError."""
    return 0 < number < 65_536
