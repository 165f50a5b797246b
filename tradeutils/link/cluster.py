"""One connection to each primary of a Redis Cluster: commands go where their keys lie, wherever that is by now."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import hiredis

from tradeutils.errors import CacheUnavailable, Closed
from tradeutils.link.address import Address
from tradeutils.link.changes import Changes
from tradeutils.link.link import Link
from tradeutils.link.slots import AsTheyAre, Names, Piece, Plan
from tradeutils.link.topology import Place, Topology, fetch_topology
from tradeutils.link.wire import Abandoned, Command, Refusal, Wire

__all__ = ["Cluster"]

_HOPS: Final = 16  # redirections of one call, each of which takes a round trip
_FIRST_PAUSE: Final = 0.005  # seconds before a node is asked again that said TRYAGAIN or CLUSTERDOWN; doubling
_FIRST_LOOK: Final = 0.1  # seconds between looks at the topology while a node is away; doubling to the longest
_LONGEST_LOOK: Final = 1.0
_STALE_SECONDS: Final = 30.0  # a topology is looked at again after so long, if there is anything to do


class Cluster:
    """
    The connections to a cluster: what `Link` is to one server.

    A call is cut by slots; its pieces go to their nodes together, one message for each node and turn of the loop. Those
    that are redirected follow, within the timeout of the call. A node that does not answer makes the calls fail whose
    keys lie there, at once after the first; no other call waits for it. Where another has taken its place, that is
    found out by asking the nodes that are left.

    Parameters
    ----------
    address : Address
        Its ``seeds`` tell where the nodes are.
    timeout, longest_pause, changes, refused
        As for `Link`.
    names : Names
        How keys are spread over slots; by default they carry their hash tags themselves.
    """

    live: Wire | None = None  # there is no one connection on which everything can be asked

    def __init__(
        self,
        address: Address,
        timeout: float,
        *,
        names: Names | None = None,
        longest_pause: float = 0.5,
        changes: Changes | None = None,
        refused: Callable[[str], Exception] = Refusal,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self._names = names or AsTheyAre()
        self._longest_pause = longest_pause
        self._changes = changes
        self._refused_as = refused
        self._nodes: dict[Place, Link] = {}
        self._topology = Topology()
        self._updating: asyncio.Task[None] | None = None
        self._updated_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._look = _FIRST_LOOK
        self._down: set[Place] = set()  # they said CLUSTERDOWN for as long as a call may take
        self._leaving: set[asyncio.Task[None]] = set()
        self._hearing: set[Place] = set()
        self._closed = False

    # What the backend uses

    @property
    def is_away(self) -> bool:
        """Whether every call is turned away."""
        return bool(self._nodes) and all(link.is_away for link in self._nodes.values())

    @property
    def is_whole(self) -> bool:
        """Whether no key's calls are turned away."""
        return not any(link.is_away for link in self._nodes.values()) and not self._down

    @property
    def latency(self) -> float:
        """Mean seconds of a round trip, over the nodes that were asked."""
        known = [link.latency for link in self._nodes.values() if link.latency]
        return sum(known) / len(known) if known else 0.0

    async def call(self, commands: list[Command], abandoned: Abandoned | None = None) -> list[Any]:
        """
        Send commands together and return their replies; error replies are in the list.

        Their order is kept within a slot. ``abandoned`` is called with replies that come after the caller was
        cancelled, where all commands are of one slot.
        """
        due = asyncio.get_running_loop().time() + self.timeout
        await self._ready(due)
        if commands[0][0] == b"SCAN":
            return [await self._scan(commands[0])]
        plan = Plan(commands, self._names)
        left, pause = plan.pieces, _FIRST_PAUSE
        ways: dict[Piece, tuple[Place, bool]] = {}
        for _ in range(_HOPS):
            left = await self._send(left, ways, due, abandoned if len(plan.pieces) == 1 else None)
            if not left:
                return plan.replies()
            if not any(piece in ways or piece.refusal.startswith("MOVED") for piece in left):
                if asyncio.get_running_loop().time() + pause >= due:
                    return plan.replies()  # TRYAGAIN or CLUSTERDOWN, which the caller knows
                await asyncio.sleep(pause)
                pause *= 2
            if asyncio.get_running_loop().time() >= due:
                break
        raise CacheUnavailable(f"{self.address.label} sent a command from node to node: {left[0].refusal[:100]}")

    async def each(self, commands: list[Command]) -> list[list[Any]]:
        """Send commands to every primary and return the replies of each."""
        await self._ready(asyncio.get_running_loop().time() + self.timeout)
        return list(await asyncio.gather(*(link.call(commands) for link in self._primaries())))

    def beat(self, seconds: float) -> None:
        """Ask every node for a sign of life from which none has come for ``seconds``."""
        for link in self._nodes.values():
            link.beat(seconds)
        self._refresh_stale()

    def now(self) -> int:
        """Return the clock of the first primary that is there, milliseconds since the epoch; or else our own."""
        for link in self._primaries():
            if link.live is not None:
                return link.now()
        return int(time.time() * 1000)

    def rebind(self) -> None:
        """Forget connections whose event loop has closed."""
        for link in self._nodes.values():
            link.rebind()
        self._updating = self._timer = None
        self._leaving.clear()

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [*self._leaving, *([self._updating] if self._updating is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for link in list(self._nodes.values()):
            await link.aclose()
        self._nodes.clear()

    # Sending

    async def _send(
        self, pieces: list[Piece], ways: dict[Piece, tuple[Place, bool]], due: float, abandoned: Abandoned | None
    ) -> list[Piece]:
        """
        Send each piece to its node, wait for all, and return those that are to be sent again.

        ``ways`` says which are to be sent elsewhere than to the owner of their slot.
        """
        by_node: dict[Place, list[Piece]] = {}
        for piece in pieces:
            by_node.setdefault(ways[piece][0] if piece in ways else self._owner(piece.slot), []).append(piece)
        links = {place: self._link(place) for place in by_node}
        if any(link.live is None for link in links.values()) and not await self._connect(links, due):
            return pieces
        sent: list[tuple[Place, list[Piece], asyncio.Future[list[Any]]]] = []
        for place, theirs in by_node.items():
            commands = [one for piece in theirs for one in piece.to_send(asking=piece in ways and ways[piece][1])]
            wire = links[place].live
            if wire is None:  # lost while another was dialled
                raise CacheUnavailable(f"{links[place].address.label} closed the connection")
            future = wire.call(commands, due, abandoned)
            future.add_done_callback(_seen)
            sent.append((place, theirs, future))
        if len(sent) > 1:
            await asyncio.wait([future for *_, future in sent])
        return [piece for one in sent for piece in await self._answered(*one, ways)]

    async def _answered(
        self,
        place: Place,
        pieces: list[Piece],
        future: asyncio.Future[list[Any]],
        ways: dict[Piece, tuple[Place, bool]],
    ) -> list[Piece]:
        """Hand out what a node has answered, and return the pieces that it would not take."""
        try:
            replies = await future
        except CacheUnavailable:
            self._update()
            raise
        again: list[Piece] = []
        begin = 0
        for piece in pieces:
            end = begin + len(piece.to_send(asking=piece in ways and ways[piece][1]))
            piece.take(replies[begin:end])
            begin = end
        for piece in pieces:
            ways.pop(piece, None)
            if self._is_sent_on(place, piece, ways):
                again.append(piece)
        return again

    def _is_sent_on(self, place: Place, piece: Piece, ways: dict[Piece, tuple[Place, bool]]) -> bool:
        """Tell whether a piece is to be sent once more, and learn from the refusal."""
        refusal = piece.refusal
        code, _, rest = refusal.partition(" ")
        if code in ("MOVED", "ASK"):
            host, _, port = rest.partition(" ")[2].strip().rpartition(":")
            target = (host.strip("[]") or place[0], int(port))
            if code == "MOVED":
                self._move(int(rest.partition(" ")[0]), target)
            else:
                ways[piece] = (target, True)
            return True
        if code == "CLUSTERDOWN":
            self._update()
            known = place in self._down
            self._down.add(place)
            return not known
        if not refusal:
            self._down.discard(place)
        return code == "TRYAGAIN"

    async def _connect(self, links: dict[Place, Link], due: float) -> bool:
        """
        Connect to those that are not connected; ``False``: where they stand in for another, so begin anew.

        One that was known to be away is not waited for.
        """
        absent = [link for link in links.values() if link.live is None]
        known = next((link for link in absent if link.is_away), None)
        if known is not None:
            self._update()
            known.breaker.check()
        errors = await asyncio.gather(*(link.connected(due) for link in absent), return_exceptions=True)
        error = next((one for one in errors if isinstance(one, BaseException)), None)
        if error is None:
            return True
        if not isinstance(error, CacheUnavailable):
            raise error
        before = self._topology
        await self._wait(self._update(), due)
        if self._topology == before:
            raise error
        return False

    async def _scan(self, command: Command) -> list[Any]:
        """
        Take one step of a walk over all primaries: the cursor says where we are, and what that node's own is.

        A node is known by its lowest slot. One that has taken another's place meanwhile is walked from its beginning.
        """
        lowest, _, rest = bytes(str(command[1]).encode() if not isinstance(command[1], bytes) else command[1]).partition(b"|")
        walk = self._topology.in_order
        at, told, cursor = 0, b"", b"0"
        if rest:
            told, _, cursor = rest.partition(b"|")
            at = next((n for n, (slot, _) in enumerate(walk) if slot >= int(lowest)), len(walk))
        if at == len(walk):
            return [b"0", []]
        slot, place = walk[at]
        here = f"{place[0]}:{place[1]}".encode()
        arguments = [self._names.pattern(one) if command[n + 1] == b"MATCH" else one for n, one in enumerate(command[2:])]
        [reply] = await self._link(place).call([(b"SCAN", cursor if told == here else b"0", *arguments)])
        if isinstance(reply, hiredis.ReplyError):
            return reply
        cursor, names = reply
        plain = [self._names.plain(name) for name in names]
        if cursor != b"0":
            return [b"%d|%b|%b" % (slot, here, cursor), plain]
        if at + 1 == len(walk):
            return [b"0", plain]
        return [b"%d||0" % walk[at + 1][0], plain]

    # Nodes

    def _primaries(self) -> list[Link]:
        return [self._link(place) for _, place in self._topology.in_order]

    def _owner(self, slot: int | None) -> Place:
        if slot is None:
            return random.choice(self._topology.in_order)[1]  # noqa: S311  # no secret
        place = self._topology.owners[slot]
        if place is None:
            self._update()
            raise CacheUnavailable(f"{self.address.label} has no node for slot {slot}")
        return place

    def _link(self, place: Place) -> Link:
        link = self._nodes.get(place)
        if link is None:
            if self._closed:
                raise Closed(f"the connection to {self.address.label} was closed")
            changes = None if self._changes is None else _NodeChanges(self._changes, self._names, place, self._hearing)
            link = self._nodes[place] = Link(
                self.address.node(*place),
                self.timeout,
                longest_pause=self._longest_pause,
                changes=changes,
                refused=self._refused_as,
            )
        return link

    def _move(self, slot: int, target: Place) -> None:
        """Take note that another node owns a slot, and find out what else has changed."""
        self._topology = self._topology.moved(slot, target)
        if self._changes is not None:
            self._changes.note_all()
        self._update()

    # Knowing where they are

    async def _ready(self, due: float) -> None:
        """Make sure that it is known which node owns what."""
        if self._closed:
            raise Closed(f"the connection to {self.address.label} was closed")
        if self._topology.places:
            self._refresh_stale()
            return
        if self.is_away:
            for link in self._nodes.values():
                link.breaker.check()
        updating = self._update()
        await self._wait(updating, due)
        if not self._topology.places:
            if updating.done() and not updating.cancelled():
                updating.result()
            raise CacheUnavailable(f"{self.address.label}: no node told within {self.timeout:g} s where the others are")

    async def _wait(self, updating: asyncio.Task[None], due: float) -> None:
        await asyncio.wait((updating,), timeout=max(0.0, due - asyncio.get_running_loop().time()))

    def _refresh_stale(self) -> None:
        if self._updating is None and asyncio.get_running_loop().time() - self._updated_at > _STALE_SECONDS:
            self._update()

    def _update(self) -> asyncio.Task[None]:
        """Ask the nodes who owns what; one such question at a time."""
        if self._updating is None:
            self._updating = asyncio.get_running_loop().create_task(self._learn(), name="tradeutils-redis-topology")
            self._updating.add_done_callback(self._learnt)
        return self._updating

    async def _learn(self) -> None:
        found = await fetch_topology(self._asked(), self.address)
        before, self._topology = self._topology, found
        if self._changes is not None and before.places and before.owners != found.owners:
            self._changes.note_all()  # what a node that has lost a slot would have told of is not told any more
        self._down = set() if found.is_ok else self._down & found.places
        for place in self._nodes.keys() - found.places:
            self._drop(place)

    def _asked(self) -> Iterable[Link]:
        """Return whom to ask: nodes that are there or, where none is, whoever is known to be one."""
        there = [link for link in self._nodes.values() if link.live is not None]
        if there:
            return random.sample(there, min(3, len(there)))
        known = dict.fromkeys([*self._topology.places, *self._topology.replicas, *self.address.seeds])
        return [self._link(place) for place in known]

    def _learnt(self, task: asyncio.Task[None]) -> None:
        if self._updating is task:
            self._updating = None
        if task.cancelled() or self._closed:
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
        self._update()

    def _drop(self, place: Place) -> None:
        """Leave a node that owns nothing any more, once those who wait for it have their answers."""
        link = self._nodes.pop(place)

        async def leave() -> None:
            try:
                await asyncio.sleep(2 * self.timeout if link.live is not None else 0)
            finally:
                await link.aclose()
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


def _seen(future: asyncio.Future[list[Any]]) -> None:
    if not future.cancelled():
        future.exception()
