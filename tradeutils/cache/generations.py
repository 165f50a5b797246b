"""
What was invalidated and still lies in Redis, so that it reads as missing at once and can be removed at leisure.

``invalidate("tickers:")`` is one script: it counts the namespace's epoch up and notes the prefix with that number, its
generation, among the namespace's *sweeps*. As long as the note stands, a value under the prefix counts only if it says
itself, in its seal, that it is of that generation or a later one; who writes there meanwhile writes so. A sweep then
removes what is dead and takes the note away, after which values need say nothing any more.

So nobody pays while nothing is swept: values are plain, names are not changed, and a read costs one look at a flag.
The notes are read once for each connection, in the packet of the first read, and watched: the server tells of a change
before it answers any command that came after it, so a read that was sent after an invalidation in any process never
returns what that has killed. Where the server does not tell of changes, the notes are read along with every value, a
round trip more each. Rejected: the generation in the name of the key, read along in each MGET (a tenth more for a get,
and no tool finds the key any more), and a number in each value (then none could be read with redis-cli).

A server that evicts may evict the notes. They are not taken away when all is swept but emptied, so that notes that are
not there have been evicted: whoever knew them goes by what he knew, and puts them back. Whoever did not sees by a
second name, as long as that stands, that there were some, and takes the whole namespace for dead until it is swept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Protocol

import orjson

from tradeutils.cache.keys import Keyspace
from tradeutils.cache.seals import generation_of
from tradeutils.link.changes import Changes, Reading

__all__ = ["Generations", "Space"]

_TOO_HIGH: Final = 2**53  # for a number in Lua


class _Reads(Protocol):
    """A connection, as far as it is needed here."""

    @property
    def is_tracked(self) -> bool: ...

    def get(self, key: str, reading: Reading = ...) -> asyncio.Future[Any]: ...


class Space:
    """
    What is known of the sweeps of one namespace.

    Attributes
    ----------
    names : Keyspace
        Its names.
    number : int
        Its epoch.
    sweeps : dict
        The generation below which values under a prefix are dead.
    is_known : bool
        Whether that is so still: the server would have told of a change.
    is_lost : bool
        Whether the server has evicted its notes; ``sweeps`` is then what must be taken for dead all the same.
    """

    __slots__ = ("asked", "is_known", "is_lost", "names", "number", "sweeps", "version")

    def __init__(self, names: Keyspace) -> None:
        self.names = names
        self.number = -1  # not read yet
        self.sweeps: dict[str, int] = {}
        self.is_known = False
        self.is_lost = False
        self.version = 0  # goes up whenever it may have changed
        self.asked: asyncio.Future[Any] | None = None

    def wanted(self, name: str) -> int:
        """Return the generation that a value must be of to count; 0: any."""
        prefix = self.names.value_prefix
        if not self.sweeps or not name.startswith(prefix):
            return 0
        key = name[len(prefix) :]
        return max((number for start, number in self.sweeps.items() if key.startswith(start)), default=0)


class Generations:
    """
    The sweeps of all namespaces that are in use on one server.

    Parameters
    ----------
    changes : Changes
        Where the server tells of changes.
    read : callable
        Reads names as they lie there, watched, and raises where that fails.
    answered : callable
        Called when the server has answered.

    Attributes
    ----------
    quiet : bool
        Whether every value counts, as is known for sure: nothing else need be looked at.
    version : int
        Goes up whenever something may have been invalidated or swept.
    """

    def __init__(
        self,
        changes: Changes,
        read: Callable[[list[str]], Awaitable[list[bytes | None]]],
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._changes = changes
        self._read = read
        self._told = answered
        self._spaces: dict[str, Space] = {}  # by the name of the epoch
        self._watched: dict[str, Space] = {}  # by the names whose changes matter
        self.quiet = True
        self.version = 0
        self.on_sweeps: Callable[[Space], None] = lambda _: None  # some are under way: somebody must be at it
        changes.listen(self._hear)

    def attend(self, names: Keyspace) -> Space:
        """Take a namespace into account from now on."""
        space = self._spaces.get(names.epoch)
        if space is None:
            space = self._spaces[names.epoch] = Space(names)
            self._watched |= {names.epoch: space, names.sweeps: space}
            self.quiet = False
        return space

    def spaces(self) -> list[Space]:
        """Return those that are in use."""
        return list(self._spaces.values())

    # Knowing

    def ask(self, wire: _Reads) -> None:
        """Ask for what is not known, in the packet of what else is asked in this turn of the loop."""
        for space in self._spaces.values():
            if not space.is_known and space.asked is None and wire.is_tracked:
                names = (space.names.epoch, space.names.sweeps, space.names.unswept)
                space.asked = asyncio.gather(*(wire.get(name, Reading.WATCHED) for name in names))
                space.asked.add_done_callback(partial(self._answered, space, space.version))

    async def settle(self, beside: str | None = None) -> None:
        """
        Return once all is known that was true when this was called.

        ``beside``: a name that is there, or may be; in a cluster the notes are read where it lies, since another node
        may be away.
        """
        for space in self.spaces():
            asked = space.asked
            if asked is not None and not space.is_known:
                await asyncio.wait((asked,))
            if not space.is_known:
                version = space.version
                names = [space.names.epoch, space.names.sweeps, space.names.unswept]
                values = await self._read(names if beside is None else [beside, *names])
                self._learn(space, version, values[-3:])

    def learn(self, space: Space, number: int, sweeps: bytes | None) -> None:
        """Take over what a command has answered; a change since then is told, but not one that comes later."""
        space.number, space.sweeps = number, _parsed(sweeps)
        self._unsettle(space)

    def _answered(self, space: Space, version: int, asked: asyncio.Future[Any]) -> None:
        if space.asked is asked:
            space.asked = None
        if not asked.cancelled() and asked.exception() is None:
            self._learn(space, version, asked.result())

    def _learn(self, space: Space, version: int, values: list[bytes | None]) -> None:
        epoch, sweeps, unswept = values
        self._told()
        if sweeps is None:
            last = _number(unswept)
            if space.sweeps or 0 <= space.number < _number(epoch):  # something was invalidated since this was known
                last = max(last, _number(epoch))
            if last > max(space.sweeps.values(), default=0):
                space.sweeps = {**space.sweeps, "": last}
        else:
            space.sweeps = _parsed(sweeps)
        space.is_lost = sweeps is None and bool(space.sweeps)
        space.number = max(_number(epoch), *space.sweeps.values(), 0)  # it may have been evicted, too
        space.is_known = self._changes.is_on and space.version == version
        self._look()
        if space.sweeps:
            self.on_sweeps(space)

    def _look(self) -> None:
        self.quiet = all(space.is_known and not space.sweeps for space in self._spaces.values())

    def _unsettle(self, space: Space) -> None:
        space.is_known, space.asked = False, None
        space.version += 1
        self.version += 1
        self.quiet = False

    def _hear(self, names: list[str] | None) -> None:
        """Something has changed; ``None``: anything may have."""
        if names is None:
            for space in self._spaces.values():
                self._unsettle(space)
            return
        for name, space in self._watched.items():
            if name in names:
                self._unsettle(space)
                if name == space.names.epoch:  # what is kept in this process may be dead
                    self._changes.note_all()

    def doubt(self, space: Space) -> None:
        """Take what is known of a namespace for old."""
        self._unsettle(space)

    def forget(self) -> None:
        """Forget what was asked in an event loop that has closed."""
        for space in self._spaces.values():
            self._unsettle(space)

    # Judging

    def wanted(self, name: str) -> int:
        """Return the generation that the value of ``name`` must be of to count; 0: any."""
        return max((space.wanted(name) for space in self._spaces.values()), default=0)

    def counts(self, name: str, data: bytes) -> bool:
        """Tell whether what lies under ``name`` has not been invalidated."""
        wanted = self.wanted(name)
        return not wanted or generation_of(data) >= wanted

    def stamps(self, names: Iterable[str]) -> Mapping[str, int]:
        """Return the generation that must stand in the values of those of ``names`` that are being swept."""
        return {name: wanted for name in names if (wanted := self.wanted(name))}


def _number(data: bytes | None) -> int:
    return int(data) if data is not None and data.isdigit() and len(data) < 16 else 0


def _parsed(sweeps: bytes | None) -> dict[str, int]:
    """Read the notes; what is not ours is passed over, and overwritten by the next invalidation."""
    if sweeps is None:
        return {}
    try:
        noted = orjson.loads(sweeps)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(noted, dict):
        return {}
    return {
        prefix: int(number)
        for prefix, number in noted.items()
        if isinstance(number, (int, float)) and 0 < number < _TOO_HIGH
    }
