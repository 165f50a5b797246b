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

__all__ = ["INVALIDATE", "Generations", "Space"]

INVALIDATE: Final = r"""
local before = redis.pcall('GET', KEYS[1])
local number = 0
if type(before) == 'string' and #before < 16 and string.match(before, '^%d+$') then number = tonumber(before) end
number = math.max(number + 1, tonumber(ARGV[2]))
local known, sweeps = pcall(cjson.decode, redis.pcall('GET', KEYS[2]))
if not known or type(sweeps) ~= 'table' then sweeps = {} end
for prefix in pairs(sweeps) do
  if type(prefix) ~= 'string' or string.sub(prefix, 1, #ARGV[1]) == ARGV[1] then sweeps[prefix] = nil end
end
sweeps[ARGV[1]] = number
local noted = cjson.encode(sweeps)
redis.call('SET', KEYS[1], string.format('%.0f', number))
redis.call('SET', KEYS[2], noted)
return {string.format('%.0f', number), noted}
"""
"""KEYS: epoch, sweeps. ARGV: prefix, milliseconds of the clock. Returns the number, and the notes as they are now."""


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
    """

    __slots__ = ("asked", "is_known", "names", "number", "sweeps", "version")

    def __init__(self, names: Keyspace) -> None:
        self.names = names
        self.number = 0
        self.sweeps: dict[str, int] = {}
        self.is_known = False
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
                names = (space.names.epoch, space.names.sweeps)
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
                names = [space.names.epoch, space.names.sweeps]
                values = await self._read(names if beside is None else [beside, *names])
                self._learn(space, version, values[-2:])

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
        epoch, sweeps = values
        self._told()
        space.number = int(epoch) if epoch is not None and epoch.isdigit() and len(epoch) < 16 else 0
        space.sweeps = _parsed(sweeps)
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
    return {prefix: int(number) for prefix, number in noted.items() if isinstance(number, (int, float))}
