"""One connection to each primary of a Redis Cluster: commands go where their keys lie, wherever that is by now."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Callable
from typing import Any, Final

import hiredis

from tradeutils.errors import CacheUnavailable, Closed
from tradeutils.link.address import Address
from tradeutils.link.changes import Changes
from tradeutils.link.link import Link
from tradeutils.link.nodes import Nodes
from tradeutils.link.slots import SLOTS, AsTheyAre, Names, Piece, Plan
from tradeutils.link.topology import Place, is_port
from tradeutils.link.wire import Abandoned, Command, Refusal, Wire

__all__ = ["Cluster"]

_HOPS: Final = 64  # of one call, from node to node or to one that said TRYAGAIN: each takes a round trip
_AT_ONCE: Final = 5  # of these without a pause: nodes that point to each other are not to be flooded while they do
_SENT_ON: Final = ("MOVED ", "ASK ")
_REDIRECTION: Final = re.compile(r"(MOVED|ASK) (\d{1,5}) ([^\s]*):(\d{1,5})")
_FIRST_PAUSE: Final = 0.005  # seconds before a node is asked again that would not take a command; doubling


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

        def open_one(at: Address, told: Changes | None) -> Link:
            return Link(at, self.timeout, longest_pause=longest_pause, changes=told, refused=refused)

        self._nodes = Nodes(address, self._names, changes, open_one)

    # What the backend uses

    @property
    def is_away(self) -> bool:
        """Whether every call is turned away."""
        return self._nodes.is_away

    @property
    def is_whole(self) -> bool:
        """Whether no key's calls are turned away."""
        return self._nodes.is_whole

    @property
    def latency(self) -> float:
        """Mean seconds of a round trip, over the nodes that were asked."""
        known = [link.latency for link in self._nodes if link.latency]
        return sum(known) / len(known) if known else 0.0

    @property
    def recent(self) -> list[float]:
        """Seconds of the latest round trips, over all nodes."""
        return [seconds for link in self._nodes for seconds in link.recent]

    async def call(self, commands: list[Command], abandoned: Abandoned | None = None) -> list[Any]:
        """
        Send commands together and return their replies; error replies are in the list.

        Their order is kept within a slot. ``abandoned`` is called with replies that come after the caller was
        cancelled, where all commands are of one slot.
        """
        due = asyncio.get_running_loop().time() + self.timeout
        await self._nodes.ready(self.timeout)
        if commands[0][0] == b"SCAN":
            return [await self._scan(commands[0])]
        plan = Plan(commands, self._names)
        left, pause = plan.pieces, _FIRST_PAUSE
        ways: dict[Piece, tuple[Place, bool]] = {}
        for hop in range(_HOPS):
            left = await self._send(left, ways, due, abandoned if len(plan.pieces) == 1 else None)
            if not left:
                return plan.replies()
            lost = any(not piece.refusal or piece.refusal.startswith(_SENT_ON) for piece in left)
            if lost and hop < _AT_ONCE:
                continue
            if asyncio.get_running_loop().time() + pause >= due:
                if lost:
                    break
                return plan.replies()  # TRYAGAIN or CLUSTERDOWN, which the caller knows
            await asyncio.sleep(pause)
            pause *= 2
        why = next((piece.refusal for piece in left if piece.refusal), "they change places")
        raise CacheUnavailable(f"{self.address.label} sent a command from node to node: {why[:100]}")

    async def each(self, commands: list[Command]) -> list[list[Any]]:
        """Send commands to every primary and return the replies of each."""
        await self._nodes.ready(self.timeout)
        return list(await asyncio.gather(*(link.call(commands) for link in self._nodes.primaries())))

    def beat(self, seconds: float) -> None:
        """Ask every node for a sign of life from which none has come for ``seconds``."""
        for link in self._nodes:
            link.beat(seconds)
        self._nodes.refresh()

    def now(self) -> int:
        """Return the clock of the first primary that is there, milliseconds since the epoch; or else our own."""
        for link in self._nodes.primaries():
            if link.live is not None:
                return link.now()
        return int(time.time() * 1000)

    def rebind(self) -> None:
        """Forget connections whose event loop has closed."""
        self._nodes.rebind()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._nodes.aclose()

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
            by_node.setdefault(ways[piece][0] if piece in ways else self._nodes.owner(piece.slot), []).append(piece)
        links = {place: self._nodes.link(place) for place in by_node}
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
        return [piece for one in sent for piece in await self._answered(*one, ways, abandoned)]

    async def _answered(
        self,
        place: Place,
        pieces: list[Piece],
        future: asyncio.Future[list[Any]],
        ways: dict[Piece, tuple[Place, bool]],
        abandoned: Abandoned | None,
    ) -> list[Piece]:
        """Hand out what a node has answered, and return the pieces that it would not take."""
        try:
            replies = await future
        except asyncio.CancelledError:  # perhaps between the arrival of the replies and our turn
            if abandoned is not None and future.done() and not future.cancelled() and future.exception() is None:
                abandoned(future.result())
            raise
        except CacheUnavailable:
            self._nodes.update()
            raise
        except Closed as error:
            if self._nodes.is_closed:
                raise
            raise CacheUnavailable(str(error)) from error  # it was left before it had answered
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
        code = refusal.partition(" ")[0]
        sent_on = _REDIRECTION.fullmatch(refusal)
        if sent_on is not None and int(sent_on[2]) < SLOTS and is_port(int(sent_on[4])):
            target = (place[0] if sent_on[3] in ("", "?") else sent_on[3].strip("[]"), int(sent_on[4]))
            if code == "MOVED":
                self._nodes.move(int(sent_on[2]), target)
            else:
                ways[piece] = (target, True)
            return True
        if code == "CLUSTERDOWN":
            known = place in self._nodes.down
            self._nodes.down.add(place)
            self._nodes.look_out()
            return not known
        if not refusal:
            self._nodes.down.discard(place)
        return code == "TRYAGAIN"

    async def _connect(self, links: dict[Place, Link], due: float) -> bool:
        """
        Connect to those that are not connected; ``False``: where they stand in for another, so begin anew.

        One that was known to be away is not waited for.
        """
        absent = [link for link in links.values() if link.live is None]
        known = next((link for link in absent if link.is_away), None)
        if known is not None:
            self._nodes.look_out()
            known.breaker.check()
        errors = await asyncio.gather(*(link.connected(due) for link in absent), return_exceptions=True)
        error = next((one for one in errors if isinstance(one, BaseException)), None)
        if error is None:
            return True
        if isinstance(error, Closed) and not self._nodes.is_closed:  # another node has taken its place meanwhile
            return False
        if not isinstance(error, CacheUnavailable):
            raise error
        before = self._nodes.topology
        left = max(0.0, due - asyncio.get_running_loop().time())
        await asyncio.wait((self._nodes.update(),), timeout=left)
        if self._nodes.topology == before:
            raise error
        return False

    async def _scan(self, command: Command) -> Any:
        """
        Take one step of a walk over all primaries: the cursor says where we are, and what that node's own is.

        A node is known by its lowest slot. One that has taken another's place meanwhile is walked from its beginning.
        """
        lowest, _, rest = str(command[1], "ascii").partition("|") if isinstance(command[1], bytes) else ("0", "", "")
        walk = self._nodes.topology.in_order
        at, told, cursor = 0, "", "0"
        if rest:
            told, _, cursor = rest.rpartition("|")
            at = next((n for n, (slot, _) in enumerate(walk) if slot >= int(lowest)), len(walk))
        if at == len(walk):
            return [b"0", []]
        slot, place = walk[at]
        here = f"{place[0]}:{place[1]}"
        options = itertools.pairwise(command[1:])
        arguments = [self._names.pattern(one) if before == b"MATCH" else one for before, one in options]
        [reply] = await self._nodes.link(place).call([(b"SCAN", cursor if told == here else "0", *arguments)])
        if isinstance(reply, hiredis.ReplyError):
            return reply
        after, names = reply
        plain = [self._names.plain(name) for name in names]
        if after != b"0":
            return [f"{slot}|{here}|".encode() + after, plain]
        if at + 1 == len(walk):
            return [b"0", plain]
        return [b"%d||0" % walk[at + 1][0], plain]


def _seen(future: asyncio.Future[list[Any]]) -> None:
    if not future.cancelled():
        future.exception()
