"""The budget of all processes that share a Redis: one script a grant, on the server's clock."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import secrets
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from tradeutils.budget.base import RESERVE_SECONDS, Charge, Grant, PoolUsage, Reading, Window
from tradeutils.budget.desk import Amendment, Desk, Names, SharedFlight
from tradeutils.budget.fraction import OwnPool
from tradeutils.budget.ledger import calendar_age, key_of, told_units, units
from tradeutils.budget.refusals import ban_length, check_timeout, check_windows, no_room, printable, too_much
from tradeutils.budget.reunion import restore_call
from tradeutils.budget.scripts import ACQUIRE, BAN, HELLO, NONCE
from tradeutils.budget.server import Server
from tradeutils.budget.survey import survey
from tradeutils.errors import CacheUnavailable, Closed, UsageError

__all__ = ["RedisBudget"]

_logger = logging.getLogger(__name__)

_BEAT_SECONDS: Final = 1.0
_SHORTEST_TICK: Final = 0.05
_FIRST_RETRY: Final = 0.05
_REGISTER_SECONDS: Final = 60.0
_REGISTERED_SECONDS: Final = 86_400
_JITTER_SECONDS: Final = 0.2  # over which processes come back after a ban
_FULL, _BANNED, _HELD, _LOST = 1, 2, 3, 4  # first numbers of the answer of acquire.lua


class RedisBudget:
    """
    A `Budget` for all processes, on all machines, that use one Redis (>= 6) or Valkey server, or one cluster of them.

    Parameters
    ----------
    url_or_cache : str or Cache
        ``"redis://user:password@host:port/db"`` or any other that `tradeutils.Cache` takes, or a cache that lies on
        Redis: its address is used, over a connection of our own.
    windows : sequence of Window or None
        The user's own, charged instead of the venue's; ``None``: the venue's own.
    egress : str
        Which address requests leave from. Processes behind different addresses write different names: each address
        has windows of its own at the venue; accounts are counted over all.
    namespace : str
        Budgets of one namespace on one server are one budget.

    Raises
    ------
    UsageError : no such form of URL, or a cache in memory.

    Notes
    -----
    A grant costs one round trip. While the server is away each process goes on with its fraction of every window; what
    is spent meanwhile is told to the server when it is back. A budget belongs to the event loop that first used it.
    Close it with ``aclose``.
    """

    def __init__(
        self,
        url_or_cache: Any,
        windows: Sequence[Window] | None = None,
        *,
        egress: str = "default",
        namespace: str = "tu",
    ) -> None:
        self._windows = check_windows(windows)
        self._names = Names(namespace, egress)
        self._server = Server(url_or_cache)
        self._id = secrets.token_hex(6)
        self._process = os.getpid()
        self._desks: dict[str, Desk] = {}
        self._nonces: dict[str, int] = {}
        self._away_since: float | None = None
        self._answered_at = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat: asyncio.Task[None] | None = None
        self._tellers: dict[Desk, asyncio.Task[None]] = {}
        self._users = 1
        self._closed = False

    def __repr__(self) -> str:
        return f"RedisBudget({self._server.label!r}, egress={self._names.egress!r})"

    @property
    def windows(self) -> Sequence[Window] | None:
        """The user's own windows."""
        return self._windows

    # Charging

    async def acquire(self, charge: Charge, *, timeout: float | None = None) -> Grant:  # noqa: ASYNC109  # see Budget
        """Wait until ``charge`` fits, and spend it; one round trip where it fits at once."""
        self._enter()
        check_timeout(timeout)
        for line in charge.lines:
            if line.cost > line.window.limit:
                raise too_much(line)
        patience = math.inf if timeout is None else timeout
        desk = self._desk(charge.pool)
        ends = time.monotonic() + patience
        lane, name = desk.lane(charge)
        if timeout is None:
            await lane.acquire()
        else:  # also where it is not locked: it may have been let go for one who has not had its turn yet
            try:
                async with asyncio.timeout(timeout):
                    await lane.acquire()
            except TimeoutError:
                raise no_room(charge, patience, None) from None
        try:
            return await self._take(desk, charge, name, patience, ends)
        finally:
            lane.release()

    async def _take(self, desk: Desk, charge: Charge, name: str, patience: float, ends: float) -> Grant:
        """Ask until it is granted, and sleep between as long as is said."""
        while True:
            if self._closed:
                raise Closed(f"{self!r} was closed")
            now = time.monotonic()
            reason = ""
            if desk.own.banned_until > now:
                wait, reason = desk.own.banned_until - now, desk.own.ban_reason
                sleep = wait + random.uniform(0, _JITTER_SECONDS)  # noqa: S311  # not a secret
            elif self._away_since is not None:
                wait = sleep = desk.own.ask(charge, now)
                if not wait:
                    desk.unshared.spend(charge, now)
                    return desk.grant(charge, now, 0)
            else:
                try:
                    answer = await self._ask(desk, charge, name)
                except CacheUnavailable as error:
                    self._lose(str(error))
                    continue
                if answer is None:
                    continue
                if isinstance(answer, SharedFlight):
                    return answer
                sleep, wait = answer
            if now + wait > ends:
                raise no_room(charge, patience, wait, reason)
            await desk.sleep(min(sleep, ends - now))

    async def _ask(self, desk: Desk, charge: Charge, name: str) -> SharedFlight | tuple[float, float] | None:
        """Return a grant, or how long to sleep and how long it will take; ``None``: look at what was learnt."""
        if not desk.synced:
            await self._sync(desk)
        keys = [desk.state]
        figures: list[bytes | str | int] = []
        for line in charge.lines:
            slot = desk.slot(line)
            keys.append(slot.key)
            count = desk.own.counts.get(slot.ledger_key)
            figures += (units(line.cost), *slot.figures, count.total if count else 0)
        who = f"{self._id}:{name}"
        told = (desk.epoch, who, int(charge.urgent), int(charge.trading), *figures)
        command = ACQUIRE.call(keys, told)
        reply = await self._server.call(command, partial(self._unwanted, desk, charge))
        return self._answer(desk, charge, reply)

    def _answer(self, desk: Desk, charge: Charge, reply: list[Any]) -> SharedFlight | tuple[float, float] | None:
        now = self._answered_at = time.monotonic()
        kind = reply[0]
        if kind == 0:
            if charge.trading:
                desk.own.trading_until = now + RESERVE_SECONDS
            for line, total in zip(charge.lines, reply[2:], strict=True):
                desk.seen[line.owner, line.window.name, line.window.seconds] = (total, now)
            desk.own.spend(charge, now)
            return desk.grant(charge, now, reply[1])
        if kind == _BANNED:
            desk.own.ban(now + reply[1] / 1000, reply[2].decode(errors="replace"))
        elif kind == _LOST:
            desk.synced = False
        else:
            wait = reply[2] if kind == _FULL else reply[1]
            return reply[1] / 1000, wait / 1000
        return None

    def _unwanted(self, desk: Desk, charge: Charge, replies: list[Any]) -> None:
        """Give back what was granted to a caller who was cancelled while the question was under way."""
        if isinstance(replies[0], list) and not self._closed:
            answer = self._answer(desk, charge, replies[0])
            if isinstance(answer, SharedFlight):
                answer.retract()

    # What is told to the server

    async def observe(self, readings: Sequence[Reading]) -> None:
        """Have the server count what the venue has counted and it has not; a round trip where there is any."""
        self._enter()
        wall, now = time.time(), time.monotonic()
        told: list[Desk] = []
        for reading in readings:
            age = calendar_age(reading, wall)
            if age < 0:
                continue
            desk, amount = self._desk(reading.pool), told_units(reading)
            # Dated by when it was told: what processes that are gone had spent may lie anywhere in the window.
            desk.readings[key_of(reading)] = (amount, now)
            if self._away_since is not None:
                desk.own.learn(reading, now, age)
            elif amount > desk.seen.get(key_of(reading), (-1, now))[0]:
                desk.amendments.append(Amendment("used", reading, amount, int(age * 1000)))
                told.append(desk)
        for desk in dict.fromkeys(told):
            telling = self._tell(desk)
            if telling is not None:
                await telling

    async def ban(self, pool: str, seconds: float, reason: str) -> None:
        """Close the gate of ``pool`` for everybody on this egress."""
        self._enter()
        seconds, reason = ban_length(seconds), printable(reason)
        desk = self._desk(pool)
        desk.own.ban(time.monotonic() + seconds, reason)
        milliseconds = max(1, math.ceil(seconds * 1000))
        try:
            left, why = await self._server.call(BAN.call([desk.state], [milliseconds, reason]))
            desk.own.ban(time.monotonic() + left / 1000, why.decode(errors="replace"))
        except CacheUnavailable as error:
            self._lose(str(error))  # it is told when the server is back

    async def nonce(self, key: str) -> int:
        """Return the server's time in microseconds, or one more than the last; this machine's while it is away."""
        self._enter()
        least = self._nonces.get(key, 0) + 1
        if self._away_since is None:
            try:
                number = int(await self._server.call(NONCE.call([self._names.nonce(key)], [least])))
            except CacheUnavailable as error:
                self._lose(str(error))
                number = 0
        else:
            number = 0
        # Of two calls that were under way at once, the later may be answered first where the server was lost between.
        number = max(number or time.time_ns() // 1000, self._nonces.get(key, 0) + 1)
        self._nonces[key] = number
        return number

    def _tell(self, desk: Desk) -> asyncio.Future[None] | None:
        """
        Send the amendments of a desk; one call at a time, which takes all that have gathered.

        ``None`` where no event loop runs, as when a request is settled after its loop has ended: with the next then.
        """
        loop = _running_loop()
        if self._closed or loop is None or loop is not self._loop:
            return None
        teller = self._tellers.get(desk)
        if teller is None or teller.done():
            teller = self._tellers[desk] = loop.create_task(self._send_amendments(desk))
        return asyncio.shield(teller)

    async def _send_amendments(self, desk: Desk) -> None:
        """Send what has gathered; what concerns grants is kept until the server is back, if it still knows of them."""
        while desk.amendments and self._away_since is None:
            batch: list[Amendment] = []
            try:
                if not desk.synced:
                    await self._sync(desk)
                batch, desk.amendments = desk.amendments, []
                batch = [item for item in batch if item.flight is None or item.flight.epoch == desk.epoch]
                if not batch:
                    return
                reply = await self._server.call(desk.amend_call(batch))
            except CacheUnavailable as error:
                # It may have been done all the same: giving back twice would be at the expense of others.
                desk.amendments[:0] = [item for item in batch if item.kind == "carry"]
                self._lose(str(error))
                return
            if reply[0] == _LOST:
                desk.synced = False
                continue
            for item in batch:
                if item.kind == "carry" and item.flight is not None:
                    item.flight.stamp = reply[1]

    # Living with the server

    async def _sync(self, desk: Desk) -> None:
        """Say hello, and tell what the server does not know; after that its answers count."""
        async with desk.syncing:
            while not desk.synced:
                await self._hello(desk)
                untold = desk.forgotten or desk.unshared.counts or desk.own.banned_until > time.monotonic()
                if untold and not await self._restore(desk):
                    continue
                desk.forgotten = False
                desk.synced = True

    async def _restore(self, desk: Desk) -> bool:
        """Tell what the server does not know; whether it still is the one that we said hello to."""
        told, desk.unshared = desk.unshared, OwnPool(desk.name)  # what is granted while this is under way comes next
        accepted = False
        try:
            reply = await self._server.call(restore_call(desk, told, time.monotonic()))
            accepted = bool(reply[0] != _LOST)
        finally:
            if not accepted:
                desk.unshared.take_in(told)
        return accepted

    async def _hello(self, desk: Desk) -> None:
        """Say that we live, and learn how the pool stands."""
        now = time.monotonic()
        away = -1 if self._away_since is None or desk.epoch == b"" else int((now - self._answered_at) * 1000)
        slots = desk.recent()
        figures = [figure for slot in slots for figure in (slot.description, slot.limit, slot.keep, slot.step)]
        told = (secrets.token_hex(8), desk.epoch, self._id, away, desk.known, *figures)
        command = HELLO.call([desk.state, desk.members, *(slot.key for slot in slots)], told)
        if now - desk.registered_at > _REGISTER_SECONDS:
            await self._register(desk, now)
        _, epoch, desk.known, ban, reason, *totals = await self._server.call(command)
        now = self._answered_at = time.monotonic()
        if ban:
            desk.own.ban(now + ban / 1000, reason.decode(errors="replace"))
        if desk.epoch not in (b"", epoch):
            desk.forgotten, desk.synced, desk.registered_at = True, False, -math.inf
        if not desk.forgotten:  # or what we know of the others' spending would be gone with it
            for slot, total in zip(slots, totals, strict=True):
                desk.seen[slot.ledger_key] = (total, now)
        desk.epoch = epoch

    async def _register(self, desk: Desk, now: float) -> None:
        """Have the pool found by who looks at all of them."""
        member = f"{self._names.egress} {desk.name}"
        await self._server.call((b"ZADD", self._names.pools, int(time.time()), member))
        await self._server.call((b"EXPIRE", self._names.pools, _REGISTERED_SECONDS))
        desk.registered_at = now

    async def _live(self) -> None:
        """Say hello every second, carry what is under way, and come back when the server is back."""
        greeted, retry = time.monotonic(), _FIRST_RETRY
        while True:
            now = time.monotonic()
            tick = min([_BEAT_SECONDS, *(desk.sweep(now) for desk in self._desks.values())])
            if self._away_since is None:
                retry = _FIRST_RETRY
                await asyncio.sleep(max(tick, _SHORTEST_TICK))
                if time.monotonic() - greeted < _BEAT_SECONDS:
                    continue
            else:
                await asyncio.sleep(retry)
                if self._server.link.is_away:  # it is being dialled: looking costs nothing
                    retry = _FIRST_RETRY
                    continue
                retry = min(2 * retry, _BEAT_SECONDS)  # it is there and refuses
            greeted = time.monotonic()
            try:
                for desk in list(self._desks.values()):
                    if desk.synced:
                        await self._hello(desk)
                    await self._sync(desk)
            except CacheUnavailable as error:
                self._lose(str(error))
            else:
                self._return()

    def _lose(self, reason: str) -> None:
        """Go on alone."""
        if self._away_since is not None or self._closed:
            return
        now = self._away_since = time.monotonic()
        known = max((desk.known for desk in self._desks.values()), default=0)
        for desk in self._desks.values():
            desk.synced = False
            desk.own.fall_back(now, desk.known or known, desk.spent_by_all)
            desk.ring()
        share = next((desk.own.share for desk in self._desks.values()), 0.0)
        _logger.warning(
            "the shared budget is away (%s): this process goes on with %.3g of each window until it is back",
            reason, share,
        )  # fmt: skip

    def _return(self) -> None:
        if self._away_since is not None:
            _logger.info("the budget is shared again, after %.1f s", time.monotonic() - self._away_since)
            self._away_since = None
            for desk in self._desks.values():
                desk.synced = desk.synced and not desk.unshared.counts
                desk.ring()
                self._tell(desk)

    # Its own life

    async def usage(self) -> list[PoolUsage]:
        """Return the state of each pool that anybody has used in the past hour; two round trips a pool."""
        self._enter()
        if self._away_since is None:
            try:
                for desk in list(self._desks.values()):
                    await (self._hello if desk.synced else self._sync)(desk)  # which write down what it charges
                return await survey(self._server.call, self._names)
            except CacheUnavailable as error:
                self._lose(str(error))
        return [desk.usage(time.monotonic(), self._names.egress) for _, desk in sorted(self._desks.items())]

    async def aclose(self) -> None:
        """Say goodbye and close the connection; once for each that was handed out by `default_budget`."""
        self._users -= 1
        if self._users > 0 or self._closed:
            return
        self._enter()
        self._closed = True  # from here on nobody begins anything
        for desk in self._desks.values():
            desk.ring()
        tasks = [task for task in (self._beat, *self._tellers.values()) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for desk in self._desks.values():
            if desk.synced and self._away_since is None:
                try:
                    await self._server.call((b"ZREM", desk.members, self._id))
                except CacheUnavailable:
                    break
        await self._server.link.aclose()

    def share(self) -> RedisBudget:
        """Return this budget for one more user, each of whom closes it."""
        self._users += 1
        return self

    @property
    def is_shared(self) -> bool:
        """Whether the server answered when it was last asked; otherwise this process goes on alone."""
        return self._away_since is None

    @property
    def is_closed(self) -> bool:
        """Whether its last user has closed it."""
        return self._closed

    def _enter(self) -> None:
        """Refuse a closed budget, and one that another event loop is using."""
        if self._closed:
            raise Closed(f"{self!r} was closed; make a new one")
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        if self._process != os.getpid():
            self._begin_in_child()
        elif self._loop is not None:
            if not self._loop.is_closed():
                raise UsageError("a shared budget belongs to the event loop that first used it; make one for each loop")
            self._server.link.rebind()
            self._beat = None
            self._tellers.clear()
            for desk in self._desks.values():
                desk.rebind()
        self._loop = loop

    def _begin_in_child(self) -> None:
        """Be another process: two of one name would count for one. What the parent has spent it tells itself."""
        self._process, self._id = os.getpid(), secrets.token_hex(6)
        self._server = self._server.anew()
        self._away_since, self._beat = None, None
        self._desks.clear()
        self._tellers.clear()

    def _desk(self, pool: str) -> Desk:
        if self._beat is None or self._beat.done():
            self._beat = asyncio.get_running_loop().create_task(self._live(), name="tradeutils-budget")
        desk = self._desks.get(pool)
        if desk is None:
            desk = self._desks[pool] = Desk(pool, self._names, self._tell)
            if self._away_since is not None:
                known = max((other.known for other in self._desks.values()), default=0)
                desk.own.fall_back(time.monotonic(), known, desk.spent_by_all)
        return desk


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
