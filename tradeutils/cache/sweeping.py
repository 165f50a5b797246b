"""Removing from Redis what was invalidated, at leisure: one process at a time, and another goes on where it died."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeAlias

import orjson

from tradeutils.cache import scripts
from tradeutils.cache.generations import Generations, Space
from tradeutils.errors import CacheError, CacheUnavailable, Closed
from tradeutils.link.changes import Changes
from tradeutils.link.wire import Command
from tradeutils.logs import get_logger

__all__ = ["Sweeper", "Walk", "literal"]

Walk: TypeAlias = Callable[[str, bytes], AsyncGenerator[tuple[bytes, list[bytes]], None]]
"""Walks the database from a cursor: yields the names that match a pattern, and the cursor after them."""

_HOLD_MS: Final = 5000  # how long the others leave a sweep alone whose process says nothing
_SHARE: Final = 0.2  # of the server's time that a sweep may take; the rest is the users'
_LONGEST_PAUSE: Final = 1.0
_RETRY_SECONDS: Final = 1.0  # between tries while the server is away
_FIRST_STEPS: Final = 3  # of a sweep that who invalidates does himself, however long they take;
_FIRST_SECONDS: Final = 0.01  # and more of them as long as this is not over
_MOST_SWEEPS: Final = 64  # notes at once; whoever invalidates beyond that waits until there are fewer

_log = get_logger("cache")


class Sweeper:
    """
    Invalidates, and removes what is dead.

    Parameters
    ----------
    generations : Generations
        What has been invalidated.
    changes : Changes
        Where changes are told.
    call : callable
        Sends commands together and returns their replies; an error among them is raised.
    walk : callable
        Walks the database.
    now : callable
        Returns the server's clock, milliseconds.
    alone : bool
        Whether a script may touch one key only, since each lies in a slot of its own.
    """

    def __init__(
        self,
        generations: Generations,
        changes: Changes,
        *,
        call: Callable[[list[Command]], Awaitable[list[Any]]],
        walk: Walk,
        now: Callable[[], int],
        alone: bool = False,
    ) -> None:
        self._generations = generations
        self._changes = changes
        self._call = call
        self._walk = walk
        self._now = now
        self._alone = alone
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._reminders: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        self._refused = False
        self._counted: dict[str, list[_Count]] = {}
        generations.on_sweeps = self._see

    async def invalidate(self, space: Space, prefix: str, *, wait: bool) -> int:
        """
        Let every value under ``prefix`` be dead, remove the first of them, and see to it that the rest is removed.

        What it does itself takes about 10 ms, whatever the size of the database.
        """
        names = space.names
        self._changes.note_all()
        command: Command = (
            b"EVAL", scripts.INVALIDATE, 3, names.epoch, names.sweeps, names.unswept, prefix, self._now(), _noted(space)
        )  # fmt: skip
        [[number, notes]] = await self._call([command])
        self._generations.learn(space, int(number), notes)
        self._changes.note_all()
        count = _Count(prefix)
        self._counted.setdefault(names.epoch, []).append(count)
        try:
            if not await self._begin_inline(space, prefix, int(number)):
                self.start(space)
                if wait or len(space.sweeps) > _MOST_SWEEPS:
                    await self._finished(space, prefix)
        except BaseException:
            self.start(space)
            raise
        finally:
            self._counted[names.epoch].remove(count)
            self._changes.note_all()
        return count.removed

    async def complete(self, space: Space) -> None:
        """Wait until nothing is left to be swept; sweep if nobody else does."""
        await self._generations.settle()
        if space.sweeps:
            self.start(space)
            await self._finished(space, "")

    def start(self, space: Space) -> None:
        """Sweep in the background, unless this process is at it or another one is."""
        key = space.names.epoch
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if self._closed or (key in self._tasks and not self._tasks[key].done()):
            return
        self._tasks[key] = asyncio.get_running_loop().create_task(self._work(space), name="tradeutils-cache-sweep")

    def forget(self) -> None:
        """Drop what belonged to an event loop that has closed."""
        self._tasks.clear()
        self._timers.clear()
        self._reminders.clear()

    async def aclose(self) -> None:
        """Stop; another process goes on, or the next that comes."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        tasks = [task for task in (*self._tasks.values(), *self._reminders.values()) if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # How it works

    def _see(self, space: Space) -> None:
        """Somebody sweeps; should he die, it is for us to go on. What the server has forgotten it is told again."""
        key = space.names.epoch
        if space.is_lost and not self._closed and not self._refused and key not in self._reminders:
            reminder = asyncio.get_running_loop().create_task(self._remind(space), name="tradeutils-cache-notes")
            self._reminders[key] = reminder
            reminder.add_done_callback(lambda _: self._reminders.pop(key, None))
        if self._closed or self._refused or key in self._timers or (key in self._tasks and not self._tasks[key].done()):
            return
        delay = _HOLD_MS / 1000 * random.uniform(1.0, 1.5)  # noqa: S311  # not all at once
        self._timers[key] = asyncio.get_running_loop().call_later(delay, self._take_over, space)

    async def _remind(self, space: Space) -> None:
        try:
            await self._call([(b"EVAL", scripts.PUT_BACK, 3, *_notes(space), _noted(space))])
        except (CacheUnavailable, Closed):  # tried again when the notes are read again
            pass
        except CacheError as error:
            self._refuse(error)
        else:
            self._generations.doubt(space)  # to be read again

    def _refuse(self, error: CacheError) -> None:
        self._refused = True  # for others to do
        _log.warning("what was invalidated cannot be removed, and goes on reading as missing: %s", error)

    def _take_over(self, space: Space) -> None:
        self._timers.pop(space.names.epoch, None)
        if space.sweeps:
            self.start(space)

    async def _begin_inline(self, space: Space, prefix: str, number: int) -> bool:
        """Do the first steps at once; in a small database that is all there is to do."""
        async with aclosing(self._walk(_pattern(space, [prefix]), b"0")) as walked:
            steps, ends = 0, asyncio.get_running_loop().time() + _FIRST_SECONDS
            async for cursor, found in walked:
                await self._remove(space, found)
                steps += 1
                if cursor != b"0" and steps >= _FIRST_STEPS and asyncio.get_running_loop().time() > ends:
                    return False
        finish = (b"EVAL", scripts.FINISH_ONE, 3, *_notes(space), prefix, number, _noted(space))
        [notes] = await self._call([finish])
        self._generations.learn(space, space.number, notes)
        return True

    async def _finished(self, space: Space, prefix: str) -> None:
        while True:
            since = self._changes.number
            await self._generations.settle()
            if not any(swept.startswith(prefix) or prefix.startswith(swept) for swept in space.sweeps):
                return
            if self._closed:
                raise Closed("the cache was closed while something was being swept")
            self.start(space)
            await self._changes.wait(space.names.sweeps, since, _RETRY_SECONDS)

    async def _work(self, space: Space) -> None:
        token = secrets.token_hex(8)
        while True:
            try:
                if await self._holds(space, token):
                    if await self._pass(space, token):
                        return
                    continue
                await asyncio.sleep(_HOLD_MS / 1000 * random.uniform(0.5, 1.0))  # noqa: S311  # another is at it
                await self._generations.settle()
                if not space.sweeps:
                    return
            except CacheUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
            except Closed:
                return
            except CacheError as error:
                self._refuse(error)
                return

    async def _holds(self, space: Space, token: str) -> bool:
        """Tell whether we are the one process that sweeps, or have become it."""
        [taken] = await self._call([(b"EVAL", scripts.TAKE_HOLD, 1, space.names.sweeper, token, _HOLD_MS)])
        return bool(taken)

    async def _pass(self, space: Space, token: str) -> bool:
        """Walk the database once and take away the notes that stood before; ``True``: none is left."""
        names = space.names
        await self._generations.settle()
        if not space.sweeps:
            await self._call([(b"EVAL", scripts.RELEASE, 1, names.sweeper, token)])
            return True
        server, number, cursor = await self._progress(space)
        notes = _noted(space)
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with aclosing(self._walk(_pattern(space, list(space.sweeps)), cursor)) as walked:
            async for cursor, found in walked:
                progress = f"{server} {number} {cursor.decode()}"
                hold: Command = (
                    b"EVAL", scripts.HOLD, 5, names.sweeper, names.sweeps, names.swept, names.unswept, names.epoch,
                    token, _HOLD_MS, notes, progress,
                )  # fmt: skip
                await self._remove(space, found)
                [held] = await self._call([hold])
                if not held:
                    return False
                await asyncio.sleep(min(_LONGEST_PAUSE, (loop.time() - began) * (1 / _SHARE - 1)))
                began = loop.time()
        finish: Command = (b"EVAL", scripts.FINISH, 3, *_notes(space), number, notes)
        [left, _] = await self._call([finish, (b"DEL", names.swept)])
        if left:
            return False
        await self._call([(b"EVAL", scripts.RELEASE, 1, names.sweeper, token)])
        self._generations.doubt(space)  # who invalidated meanwhile has found us at it, and left it to us
        await self._generations.settle()
        return not space.sweeps

    async def _progress(self, space: Space) -> tuple[str, int, bytes]:
        """
        Return which server it is, up to which number this pass sweeps, and where it begins.

        A cursor means nothing to a server that was started since: its tables are laid out anew.
        """
        if self._alone:  # each node has cursors of its own
            return "-", space.number, b"0"
        try:
            [told] = await self._call([(b"INFO", b"server")])
            server = bytes(told).partition(b"run_id:")[2].split()[0].decode()
        except (CacheError, IndexError, TypeError) as error:
            if isinstance(error, CacheUnavailable):
                raise
            server = ""
        [noted] = await self._call([(b"GET", space.names.swept)])
        parts = bytes(noted or b"").split()
        if server and len(parts) == 3 and parts[0] == server.encode() and parts[1].isdigit() and parts[2].isdigit():
            return server, int(parts[1]), parts[2]
        return server or "-", space.number, b"0"

    async def _remove(self, space: Space, found: Sequence[bytes]) -> None:
        """Remove those of ``found`` that are dead: values, and leases of fetches that began before."""
        names = space.names
        values, leases = names.value_prefix.encode(), names.lease_prefix.encode()
        notes = _noted(space)
        commands: list[Command] = []
        sent: list[bytes] = []
        for prefix, script in ((values, scripts.REMOVE), (leases, scripts.REVOKE)):
            dead = [name for name in found if name.startswith(prefix)]
            for some in [[name] for name in dead] if self._alone else [dead] if dead else []:
                keys = [name[len(prefix) :] for name in some]
                commands.append((b"EVAL", script, 1 + len(some), names.sweeps, *some, *keys, notes))
                if prefix is values:
                    sent += keys
        if not commands:
            return
        replies = await self._call(commands)
        gone = b"".join(reply for reply in replies if isinstance(reply, bytes))
        for count in self._counted.get(names.epoch, ()):
            prefix = count.prefix
            count.removed += sum(flag == 49 and key.startswith(prefix) for flag, key in zip(gone, sent, strict=True))


class _Count:
    """How many values under a prefix have been removed while somebody waited."""

    __slots__ = ("prefix", "removed")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.encode()
        self.removed = 0


def _notes(space: Space) -> tuple[str, str, str]:
    return space.names.sweeps, space.names.unswept, space.names.epoch


def _noted(space: Space) -> str:
    return orjson.dumps(space.sweeps).decode()


def _pattern(space: Space, prefixes: list[str]) -> str:
    """Return a pattern for values and leases, both of five letters, under prefixes."""
    start = literal(prefixes[0]) if len(prefixes) == 1 else ""
    return f"{literal(space.names.namespace)}:?????:{start}*"


def literal(text: str) -> str:
    """Return ``text`` as a pattern that matches itself alone."""
    return "".join("\\" + char if char in "*?[]\\^-" else char for char in text)
