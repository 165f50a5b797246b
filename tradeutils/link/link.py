"""Keeping one connection to a Redis server: dialling, logging in, noticing silence, coming back."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from socket import SOCK_STREAM
from typing import Any, Final

import hiredis

from tradeutils.errors import CacheUnavailable, Closed, UsageError
from tradeutils.link.address import Address
from tradeutils.link.breaker import Breaker
from tradeutils.link.changes import Changes
from tradeutils.link.wire import LATE_LOOP, Abandoned, Command, Refusal, Wire

__all__ = ["Link"]

_PATIENCE: Final = (
    1.0  # seconds a silent connection, or a server that is slow to greet, is kept before a new one is made
)
_REFUSED_PAUSE: Final = 5.0  # seconds between tries while the login is refused: each one lands in the server's ACL log
# Everything that is read is watched unless we say otherwise before, OPTOUT. So a read that wants to be watched costs no
# command more, and what nobody wants to know of costs the server nothing. BCAST, by prefixes, was measured beside it on
# Valkey 9.1: the server's CPU time for a SET of 100 B in a pipeline is 0.7 us alone; where 8 (64) clients had read the
# key, 2.5 (24) this way and 1.3 (4.6) with BCAST. So BCAST is cheaper where all have read what is written. But it
# charges every SET under the prefix to every client, read or not (by itself: 2.5 us with one, 5.0 with 8, 15.8 with
# 64), where this costs nothing, and never more pushes than there were reads. BCAST knows prefixes only, and tells of a
# change that came before the read in the same round of the server, so that who waits asks again in vain. A watched read
# costs the server 0.1 us more, 0.2 us if the key has changed. OPTIN would cost each watched read a command.
_TRACKING: Final[Command] = (b"CLIENT", b"TRACKING", b"ON", b"OPTOUT")
_BROKEN: Final = 3  # connections in a row that broke before anything was answered
_CLOCK_SECONDS: Final = 60.0  # how long a reading of the server's clock is trusted
_GREETING: Final = {
    "WRONGPASS": "it refused the user name or password: check them in the URL",
    "NOAUTH": "it wants a password: write redis://user:password@host:port/db",
    "NOPERM": "the user may not do this: grant it the commands that caches and budgets need",
    "NOPROTO": "it does not speak RESP3: Redis 6 or Valkey is needed",
    "LOADING": "it is still loading its data",
}


class Link:
    """
    The connection to one server, made on first use and again whenever it is lost.

    Parameters
    ----------
    address : Address
        The server.
    timeout : float
        Seconds within which each command, and a first connection, must be answered.
    longest_pause : float
        Seconds between tries to reach a server that is away, at most.
    changes : Changes or None
        Where to tell what the server says of keys that were read and then changed; ``None``: it is not asked to.
    refused : callable
        Makes an error of an error reply to a single read.
    """

    def __init__(
        self,
        address: Address,
        timeout: float,
        *,
        longest_pause: float = 0.5,
        changes: Changes | None = None,
        refused: Callable[[str], Exception] = Refusal,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.breaker = Breaker(address.label, longest_pause)
        self.live: Wire | None = None  # for use at once; None while absent, silent or closed
        self._wire: Wire | None = None  # also while silent
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dialling: asyncio.Task[Wire] | None = None
        self._lookup: asyncio.Task[list[Any]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._broken = 0
        self._refused = False
        self._clock_offset = 0.0
        self._clock_read = float("-inf")
        self._closed = False
        self._changes = changes
        self._refused_as = refused

    # What the backend uses

    @property
    def heard(self) -> float:
        """When the server last said anything, by the loop's clock; minus infinity without a connection."""
        return self.live.heard if self.live is not None else float("-inf")

    @property
    def latency(self) -> float:
        """Mean seconds of a round trip, recent ones weighing most; 0.0 before the first."""
        return self._wire.latency if self._wire is not None else 0.0

    @property
    def is_away(self) -> bool:
        """Whether calls are turned away: nothing is there to serve them."""
        return self.breaker.is_open

    @property
    def is_whole(self) -> bool:
        """Whether no key's calls are turned away."""
        return not self.breaker.is_open

    @property
    def recent(self) -> list[float]:
        """Seconds of the latest round trips on this connection, a thousand at most."""
        return list(self._wire.recent) if self._wire is not None else []

    async def call(self, commands: list[Command], abandoned: Abandoned | None = None) -> list[Any]:
        """
        Send commands together and return their replies; error replies are in the list.

        ``abandoned`` is called with replies that come after the caller was cancelled.
        """
        if self.live is not None:
            sent = self.live.call(commands, None, abandoned)
        else:
            wire, due = await self.connected()
            sent = wire.call(commands, due, abandoned)
        try:
            return await sent
        except asyncio.CancelledError:  # perhaps between the arrival of the replies and our turn
            if abandoned is not None and sent.done() and not sent.cancelled() and sent.exception() is None:
                abandoned(sent.result())
            raise

    async def each(self, commands: list[Command]) -> list[list[Any]]:
        """Send commands to every server there is, which is one, and return the replies of each."""
        return [await self.call(commands)]

    def beat(self, seconds: float) -> None:
        """Ask for a sign of life where none has come for ``seconds``; without an answer the connection is given up."""
        wire = self.live
        if wire is not None and asyncio.get_running_loop().time() - wire.heard >= seconds:
            wire.call([(b"PING",)]).add_done_callback(lambda done: done.cancelled() or done.exception())

    def now(self) -> int:
        """Return the server's clock, milliseconds since the epoch: clients whose clocks differ agree by it."""
        assert self._loop is not None  # noqa: S101  # only asked with a connection
        local = self._loop.time()
        if local - self._clock_read > _CLOCK_SECONDS and self.live is not None:
            self._clock_read = local
            self.live.call([(b"TIME",)]).add_done_callback(lambda reply: self._read_clock(reply, local))
        return int(local * 1000 + self._clock_offset)

    def leave(self, reason: str) -> None:
        """Close the connection there is, so that the next call makes another."""
        wire = self._wire
        if wire is not None:
            wire.close(lambda: CacheUnavailable(f"{self.address.label} was left: {reason}"))
            self._lost(wire, reason)

    def rebind(self) -> None:
        """Forget a connection whose event loop has closed: nothing of it can be awaited any more."""
        if self._loop is None or not self._loop.is_closed():
            return  # another user of this link has done so, and may be connected again
        self.live = self._wire = self._loop = self._dialling = self._lookup = self._timer = None
        self.breaker.reset()
        if self._changes is not None:
            self._changes.is_on = False
            self._changes.forget()

    async def aclose(self) -> None:
        """Close the connection and stop trying."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [task for task in (self._dialling, self._lookup) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        wire, self._wire, self.live = self._wire, None, None
        self._deaf()
        if wire is not None:
            wire.close(lambda: Closed(f"the connection to {self.address.label} was closed"))
        if tasks or wire is not None:
            await asyncio.sleep(0)  # lets the transport give its socket back before the loop may end

    # Dialling

    async def connected(self, due: float | None = None) -> tuple[Wire, float]:
        """Wait for a connection; return it and when the operation it was wanted for must end."""
        if self._closed:
            raise Closed(f"the connection to {self.address.label} was closed")
        self.breaker.check()
        loop = asyncio.get_running_loop()
        due = loop.time() + self.timeout if due is None else due
        if self.live is not None:  # since the caller looked
            return self.live, due
        dialling = self._dialling or self._dial()
        while not dialling.done():
            await asyncio.wait((dialling,), timeout=due - loop.time())  # our cancellation must not reach it
            now = loop.time()
            if not dialling.done() and now - due < LATE_LOOP:
                reason = f"no connection within {self.timeout:g} s"
                self.breaker.trip(reason)
                raise CacheUnavailable(f"{self.address.label}: {reason}")
            if now >= due:  # the loop was busy elsewhere, so the connection may be there and only not looked at
                due = now + self.timeout
        if dialling.cancelled() or self._closed:
            raise Closed(f"the connection to {self.address.label} was closed")
        return dialling.result(), due

    def _dial(self) -> asyncio.Task[Wire]:
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise UsageError("a connection belongs to the event loop that first used it; open one for each loop")
        self._loop = loop
        self._timer = None
        self._dialling = loop.create_task(self._open(), name="tradeutils-redis-dial")
        self._dialling.add_done_callback(self._dialled)
        return self._dialling

    async def _open(self) -> Wire:
        """Connect and log in; `CacheUnavailable` says why not."""
        label, self._refused = self.address.label, False
        try:
            async with asyncio.timeout(max(_PATIENCE, self.timeout)):
                return await self._greet(await self._connect(await self._locate()))
        except TimeoutError:
            raise CacheUnavailable(
                f"{label} accepted no connection within {max(_PATIENCE, self.timeout):g} s"
            ) from None
        except OSError as error:
            raise CacheUnavailable(f"{label} could not be reached: {error.strerror or error}") from error
        except Refusal as refusal:
            self._refused = refusal.code in ("WRONGPASS", "NOAUTH", "NOPERM", "NOPROTO")
            # The server's own words are left out: it may repeat what we sent, and that holds the password.
            why = _GREETING.get(refusal.code, "check that it is Redis >= 6 or Valkey, and the db number")
            raise CacheUnavailable(f"{label} refused the connection ({refusal.code}): {why}") from None

    async def _locate(self) -> Address:
        """Return where the server is."""
        return self.address

    async def _connect(self, address: Address) -> Wire:
        loop = asyncio.get_running_loop()

        def make() -> Wire:
            patience = max(_PATIENCE, self.timeout)
            return Wire(
                address.label,
                patience,
                on_silent=self._silent,
                on_answer=self._answered,
                on_lost=self._lost,
                on_push=self._told,
                refused=self._refused_as,
            )

        if address.path is not None:
            return (await loop.create_unix_connection(make, address.path))[1]
        name = address.host if address.tls is not None else None
        failure = OSError("the name leads to no address")
        for host in await self._resolve(address):
            try:
                wire = await loop.create_connection(make, host, address.port, ssl=address.tls, server_hostname=name)
            except OSError as error:
                failure = error
            else:
                return wire[1]
        raise failure

    async def _resolve(self, address: Address) -> list[str]:
        """Look the host up; one look-up at a time, for a thread that waits for a dead name server cannot be stopped."""
        if self._lookup is None or self._lookup.done() or self._lookup.get_name() != address.host:
            lookup = asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=SOCK_STREAM)
            self._lookup = asyncio.get_running_loop().create_task(lookup, name=address.host)
            self._lookup.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait((self._lookup,))
        try:
            return list(dict.fromkeys(str(info[4][0]) for info in self._lookup.result()))
        except ValueError as error:  # UnicodeError among them: a node may tell of any bytes as another's name
            raise socket.gaierror("no host can have this name") from error

    async def _greet(self, wire: Wire) -> Wire:
        assert self._loop is not None  # noqa: S101  # set by _dial
        sent = self._loop.time()
        try:
            *greeting, clock = self.address.greeting()
            waiting = wire.call([*greeting, *([_TRACKING] if self._changes is not None else []), clock])
            replies = await waiting
            for reply in replies[: len(greeting)]:  # where the ACL denies TIME, our own clock serves; see also _track
                if isinstance(reply, hiredis.ReplyError):
                    raise Refusal(str(reply))
        except BaseException:
            wire.close(lambda: CacheUnavailable(f"{self.address.label} was left"))
            raise
        self._clock_offset = (time.time() - sent) * 1000
        self._clock_read = float("-inf")
        self._read_clock(waiting, sent)
        wire.ready(self.timeout)
        if self._changes is not None:
            self._track(wire, self._changes, replies[-2])
        return wire

    def _track(self, wire: Wire, changes: Changes, reply: Any) -> None:
        """Learn whether the server will tell of changes; where it will not, it is served without."""
        wire.is_tracked = not isinstance(reply, hiredis.ReplyError)
        if wire.is_tracked:
            changes.reason = ""
        else:
            changes.refuse(str(reply))

    def _told(self, push: list[Any]) -> None:
        if self._changes is None or len(push) != 2 or push[0] != b"invalidate":
            return
        if push[1] is None:
            self._changes.note_all()
        elif isinstance(push[1], list):
            self._changes.invalidations += len(push[1])
            self._changes.note([name.decode(errors="replace") for name in push[1] if isinstance(name, bytes)])

    def _deaf(self) -> None:
        """Changes are not heard of any more: nothing that was read may be relied upon."""
        if self._changes is not None:
            self._changes.is_on = False
            self._changes.note_all()

    def _read_clock(self, reply: asyncio.Future[list[Any]], sent: float) -> None:
        """Set the offset of the server's clock, taking the reading for the middle of the round trip."""
        if self._loop is None or reply.cancelled() or reply.exception() is not None:
            return
        answer = reply.result()[-1]
        received = self._loop.time()
        if isinstance(answer, list) and (self._clock_read == float("-inf") or received - sent < self.timeout):
            with suppress(TypeError, ValueError, OverflowError):  # a server that calls something else TIME
                seconds, micros = (int(part) for part in answer)
                self._clock_offset = seconds * 1000 + micros / 1000 - (sent + received) * 500
                self._clock_read = received

    def _dialled(self, task: asyncio.Task[Wire]) -> None:
        if self._dialling is task:
            self._dialling = None
        if task.cancelled():
            return
        error = task.exception()
        if self._closed:
            if error is None:
                task.result().close(lambda: Closed(f"the connection to {self.address.label} was closed"))
            return
        if error is not None:
            self.breaker.trip(str(error).removeprefix(f"{self.address.label} "))
            self._redial_later()
            return
        self.breaker.reset()
        if not task.result().is_lost:  # it may have been lost in the turn between
            self._wire = self.live = task.result()
            self._hears(self._wire)

    def _redial_later(self) -> None:
        if self._loop is not None and self._timer is None and self._dialling is None and not self._closed:
            pause = _REFUSED_PAUSE if self._refused else self.breaker.pause()
            self._timer = self._loop.call_later(pause, self._dial)

    def _hears(self, wire: Wire) -> None:
        if self._changes is not None:
            self._changes.is_on = wire.is_tracked

    # What the connection reports

    def _silent(self, wire: Wire) -> None:
        if wire is not self._wire or self._loop is None:
            return
        self.live = None
        self._deaf()
        self.breaker.trip(f"no answer within {self.timeout:g} s")
        self._timer = self._loop.call_later(max(_PATIENCE, 4 * self.timeout), self._abandon, wire)

    def _answered(self, wire: Wire) -> None:
        if wire is self._wire:
            self._cancel_timer()
            self.live = wire
            self._hears(wire)
            self.breaker.reset()

    def _abandon(self, wire: Wire) -> None:
        """Leave a connection that has been silent for too long; the server may be back on another one."""
        self._timer = None
        self._wire = None
        wire.close(lambda: CacheUnavailable(f"{self.address.label} did not answer"))
        self._redial_later()

    def _lost(self, wire: Wire, reason: str) -> None:
        if wire is not self._wire:
            return
        self._cancel_timer()
        self._wire = self.live = None
        self._deaf()
        self._broken = 0 if wire.answered else self._broken + 1
        if self._broken >= _BROKEN:
            self.breaker.trip(f"{self._broken} connections in a row broke before an answer")
        if self.breaker.is_open:
            self._redial_later()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
