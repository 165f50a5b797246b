"""The slots of a Redis Cluster: which one a key lies in, and commands cut so that each touches one alone."""

from __future__ import annotations

import binascii
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import hiredis

from tradeutils.link.wire import UNWATCHED, Command

__all__ = ["SLOTS", "Names", "Piece", "Plan", "slot_of"]

SLOTS: Final = 16_384

_ANY_NODE: Final = frozenset({b"PING", b"INFO", b"TIME", b"CLIENT", b"CONFIG", b"RANDOMKEY", b"DBSIZE", b"CLUSTER"})
_SCRIPTS: Final = frozenset({b"EVAL", b"EVALSHA", b"FCALL"})
_CUT: Final = frozenset({b"MGET", b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"})  # by keys; the answers are put together
_BEHIND: Final = frozenset({b"MEMORY", b"OBJECT"})  # the key comes after a second word
_READS: Final = frozenset({b"GET", b"MGET"})

Name = bytes | str | int


class Names(Protocol):
    """
    How names are spread over a cluster.

    A name that is *everywhere* lies in many slots: with what else a command names, or, where it names nothing else, in
    all of them when it is written, and in any when it is read.
    """

    def placed(self, name: Name) -> Name:
        """Return where ``name`` lies."""
        ...

    def plain(self, name: bytes) -> bytes:
        """Return what was placed there."""
        ...

    def is_everywhere(self, name: Name) -> bool:
        """Tell whether ``name`` lies in many slots."""
        ...

    def beside(self, name: Name, placed: Name) -> Name:
        """Return where ``name``, which is everywhere, lies beside something that has been placed."""
        ...

    def all(self, name: Name) -> Sequence[Name]:
        """Return all places of a name that is everywhere."""
        ...

    def pattern(self, pattern: Name) -> Name:
        """Return what matches the places of what ``pattern`` matches."""
        ...


class AsTheyAre:
    """`Names` that carry their hash tags themselves."""

    def placed(self, name: Name) -> Name:
        return name

    def plain(self, name: bytes) -> bytes:
        return name

    def is_everywhere(self, name: Name) -> bool:
        return False

    def beside(self, name: Name, placed: Name) -> Name:
        return name

    def all(self, name: Name) -> Sequence[Name]:
        return [name]

    def pattern(self, pattern: Name) -> Name:
        return pattern


def slot_of(name: Name) -> int:
    """
    Return the slot of a key: CRC16 of its hash tag, the text between the first ``{`` and the next ``}``, or of it all.

    References
    ----------
    Redis Cluster specification, "Hash tags".
    """
    key = name if isinstance(name, bytes) else str(name).encode()
    start = key.find(b"{") + 1
    if start:
        end = key.find(b"}", start)
        if end > start:
            key = key[start:end]
    return binascii.crc_hqx(key, 0) % SLOTS


class Piece:
    """
    Commands that one node takes back to back.

    Attributes
    ----------
    slot : int or None
        Where their keys lie; ``None``: any node can take them.
    replies : list
        What it answered; the last error, where it could not be asked.
    """

    __slots__ = ("commands", "replies", "slot", "unwatched")

    def __init__(self, slot: int | None, commands: list[Command], *, unwatched: bool = False) -> None:
        self.slot = slot
        self.commands = commands
        self.unwatched = unwatched
        self.replies: list[Any] = []

    def to_send(self, *, asking: bool) -> list[Command]:
        """Return the commands as they are sent; to a node that is just being given the slot, after asking for it."""
        if asking:  # what it reads is watched then: ASKING would end what UNWATCHED says
            return [(b"ASKING",), *self.commands]
        return [UNWATCHED, *self.commands] if self.unwatched else self.commands

    def take(self, replies: list[Any]) -> None:
        """Take the replies to what was sent."""
        self.replies = replies[-len(self.commands) :]

    @property
    def refusal(self) -> str:
        """The first error among the replies, or nothing."""
        return next((str(reply) for reply in self.replies if isinstance(reply, hiredis.ReplyError)), "")


class Plan:
    """
    Commands cut into pieces, and their replies put together again.

    ``MGET``, ``DEL``, ``UNLINK`` and ``EXISTS`` are cut by slots, and so is what stands between ``MULTI`` and ``EXEC``,
    which then happens as a whole in each slot alone. A script whose keys lie in several slots is a fault of its author:
    it is sent as it is, and refused by the server.

    Parameters
    ----------
    commands : sequence of Command
        With plain names.
    names : Names
        How they are spread.
    """

    def __init__(self, commands: Sequence[Command], names: Names) -> None:
        self.pieces: list[Piece] = []
        self._names = names
        self._answers: list[Callable[[], Any]] = []
        rest = iter(commands)
        unwatched = False
        for command in rest:
            if command == UNWATCHED:
                unwatched = True
                self._answers.append(lambda: b"OK")
            elif command[0] == b"MULTI":
                self._transact(list(itertools.takewhile(lambda inner: inner[0] != b"EXEC", rest)))
            else:
                self._answers.append(self._cut(command, unwatched=unwatched))
                unwatched = False

    def replies(self) -> list[Any]:
        """Return a reply for each command, once every piece has its own."""
        return [answer() for answer in self._answers]

    def _cut(self, command: Command, *, unwatched: bool) -> Callable[[], Any]:
        parts = list(_parts(command, self._names))
        pieces = [Piece(slot, [part], unwatched=unwatched) for slot, part, _ in parts]
        self.pieces += pieces
        if len(pieces) == 1 and command[0] != b"RANDOMKEY":
            [piece] = pieces
            return lambda: piece.replies[0]
        places = [at for _, _, at in parts]
        return lambda: _joined(command, [piece.replies[0] for piece in pieces], places, self._names)

    def _transact(self, inner: list[Command]) -> None:
        """Cut a transaction into one for each slot."""
        steps: dict[int | None, list[Command]] = {}
        whose: list[list[tuple[int | None, int, list[int]]]] = []  # for each command: slot, number there, key numbers
        for command in inner:
            mine = []
            for slot, part, at in _parts(command, self._names):
                there = steps.setdefault(slot, [])
                mine.append((slot, len(there), at))
                there.append(part)
            whose.append(mine)
        pieces = {slot: Piece(slot, [(b"MULTI",), *there, (b"EXEC",)]) for slot, there in steps.items()}
        self.pieces += pieces.values()

        def refusal() -> Any:
            replies = (reply for piece in pieces.values() for reply in reversed(piece.replies))
            return next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), None)

        def done() -> Any:
            failed = refusal()
            if failed is not None:
                return failed
            results = []
            for command, mine in zip(inner, whose, strict=True):
                found = [pieces[slot].replies[-1][number] for slot, number, _ in mine]
                results.append(_joined(command, found, [at for _, _, at in mine], self._names))
            return results

        self._answers.append(lambda: b"OK")
        self._answers += [lambda: b"QUEUED"] * len(inner)
        self._answers.append(done)


def _parts(command: Command, names: Names) -> Iterator[tuple[int | None, Command, list[int]]]:
    """Yield slot, command and the numbers of its keys, for each slot that a command touches."""
    verb = command[0]
    if verb in _ANY_NODE:
        yield None, command, []
        return
    first, end = _keys(command)
    keys = command[first:end]
    own = [number for number, key in enumerate(keys) if not names.is_everywhere(key)]
    if not own:
        places = names.all(keys[0])
        for place in places[:1] if verb in _READS else places:
            moved = [names.beside(key, place) for key in keys]
            yield slot_of(place), (*command[:first], *moved, *command[end:]), list(range(len(keys)))
        return
    if verb not in _CUT or len(own) == 1:
        place = names.placed(keys[own[0]])
        moved = [names.beside(key, place) if names.is_everywhere(key) else names.placed(key) for key in keys]
        yield slot_of(place), (*command[:first], *moved, *command[end:]), list(range(len(keys)))
        return
    by_slot: dict[int, tuple[list[Name], list[int]]] = {}
    for number in own:
        place = names.placed(keys[number])
        places, numbers = by_slot.setdefault(slot_of(place), ([], []))
        places.append(place)
        numbers.append(number)
    for slot, (places, numbers) in by_slot.items():
        yield slot, (verb, *places), numbers


def _keys(command: Command) -> tuple[int, int]:
    """Return where the keys of a command begin and end."""
    verb = command[0]
    if verb in _SCRIPTS:
        return 3, 3 + int(command[2])
    if verb in _CUT:
        return 1, len(command)
    return (2, 3) if verb in _BEHIND else (1, 2)


def _joined(command: Command, replies: list[Any], places: list[list[int]], names: Names) -> Any:
    """Put the replies to the parts of a command together."""
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            return reply
    if command[0] == b"RANDOMKEY":
        return replies[0] and names.plain(replies[0])
    if len(replies) == 1 or command[0] not in _CUT:
        return replies[0]
    if command[0] != b"MGET":
        return sum(replies)
    values: list[Any] = [None] * (len(command) - 1)
    for numbers, found in zip(places, replies, strict=True):
        if not isinstance(found, list) or len(found) != len(numbers):
            return found
        for number, value in zip(numbers, found, strict=True):
            values[number] = value
    return values
