"""What one process knows of one pool that it shares: its own spending, the server's answers, and who waits here."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from tradeutils.budget.base import Charge, Grant, Line, PoolUsage, Reading, Window, margin
from tradeutils.budget.fraction import OwnPool
from tradeutils.budget.ledger import BUCKETS, UNIT, Key, key_of, units
from tradeutils.budget.local import FLIGHT_SECONDS, Lane, lane_of
from tradeutils.budget.scripts import AMEND
from tradeutils.errors import UsageError
from tradeutils.link.wire import Command

__all__ = ["Amendment", "Desk", "Names", "SharedFlight", "Slot", "is_name"]

# Of the orders of one kind that wait, so many ask the server at a time. With 500 that all did, a call took 1 ms, all of
# them together longer than the time-out, and the server was taken to be away; one alone would send one a round trip.
_ORDERS_ABREAST: Final = 8
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def is_name(name: str) -> bool:
    """Return whether a namespace or an egress may be called so."""
    return _NAME.fullmatch(name) is not None


class Slot(NamedTuple):
    """A window as the scripts take it: millionths and milliseconds."""

    ledger_key: Key
    key: bytes
    limit: int
    keep: int
    step: int
    figures: tuple[bytes, bytes, bytes]  # limit, keep and step as they are sent: to write them anew costs 1 µs
    description: str


class Amendment(NamedTuple):
    """A correction on its way to the server; the kinds are those of ``amend.lua``."""

    kind: str
    line: Line | Reading
    amount: int
    at: int
    flight: SharedFlight | None = None


class Names:
    """
    The keys of a shared budget. The pool is the hash tag, so that all keys of a call lie on one node of a cluster.

    Parameters
    ----------
    namespace, egress : str
        Letters, digits, ``_ . -``.
    """

    def __init__(self, namespace: str, egress: str) -> None:
        for what, name in (("namespace", namespace), ("egress", egress)):
            if not isinstance(name, str) or not is_name(name):
                raise UsageError(f"{what} was {name!r}; write 1 to 64 letters, digits, '_', '.' or '-'")
        self.namespace = namespace
        self.egress = egress
        self._prefix = f"{namespace}:budget"
        self.pools = f"{self._prefix}:pools".encode()

    def of_egress(self, egress: str) -> Names:
        """Return the keys of those behind another address."""
        return Names(self.namespace, egress)

    def of_pool(self, pool: str, what: str) -> bytes:
        """Return where something of a pool lies that one egress address shares."""
        return f"{self._prefix}:{{{pool}}}:{self.egress}:{what}".encode()

    def nonce(self, key: str) -> bytes:
        """Return where the last nonce of an API key lies; the key itself goes nowhere."""
        return f"{self._prefix}:{{nonce}}:{hashlib.sha256(key.encode()).hexdigest()[:32]}".encode()

    def slot(self, pool: str, window: Window, owner: str) -> Slot:
        """Return where a window lies; that of an account is shared by every egress address."""
        place = self.egress if window.scope == "ip" else "account"
        name = f"{self._prefix}:{{{pool}}}:{place}:window:{owner}|{window.name}|{window.seconds:.12g}"
        limit, keep = max(1, int(window.limit * UNIT)), math.ceil((window.seconds + margin(window)) * 1000)
        step = max(1, math.ceil(window.seconds * 1000 / BUCKETS))
        return Slot(
            (owner, window.name, window.seconds),
            name.encode(),
            limit,
            keep,
            step,
            (b"%d" % limit, b"%d" % keep, b"%d" % step),
            json.dumps([owner, window.name, window.seconds, window.scope]),
        )


class SharedFlight(Grant):
    """
    A grant of a shared budget.

    ``at`` is when it was charged by this process's clock, ``stamp`` by the server's in milliseconds, 0 where the
    server was away; ``epoch`` is that of the server's data.
    """

    __slots__ = ("_desk", "at", "began", "epoch", "stamp")

    def __init__(self, charge: Charge, at: float, stamp: int, desk: Desk) -> None:
        self.charge = charge
        self.at = self.began = at
        self.stamp = stamp
        self.epoch = desk.epoch
        self._desk = desk

    def settle(self) -> None:
        if self._desk.flights.pop(self, 0) is None:
            now = time.monotonic()
            if now - self.at > self._desk.patience:
                self._desk.carry(self, now)

    async def give_back(self) -> None:
        told = self.retract()
        if told is not None:
            await told

    def retract(self) -> Awaitable[None] | None:
        """Undo the charge here, and return when the server has been told; ``None`` where it is too late."""
        desk = self._desk
        if desk.flights.pop(self, 0) is not None:
            return None
        desk.own.give_back(self.charge, self.at)
        if self.stamp == 0:
            desk.unshared.give_back(self.charge, self.at)
        else:
            desk.unsee(self.charge)
        desk.ring()
        return desk.amend("back", self)


class Desk:
    """
    One pool, as one process sees it.

    Parameters
    ----------
    name : str
        The pool.
    names : Names
        Where its keys lie.
    tell : callable
        Sends the amendments of a desk.
    """

    def __init__(self, name: str, names: Names, tell: Callable[[Desk], Awaitable[None] | None]) -> None:
        self.name = name
        self.state = names.of_pool(name, "state")
        self.members = names.of_pool(name, "members")
        self.own = OwnPool(name)
        self.unshared = OwnPool(name)  # of that, what the server has not been told
        self.seen: dict[Key, tuple[int, float]] = {}  # what all had spent, and when that was read
        self.readings: dict[Key, tuple[int, float]] = {}  # what the venue had counted, and since when
        self.epoch = b""
        self.known = 0  # live processes, this one among them
        self.synced = False  # the server's answers count
        self.forgotten = False  # the server has lost what it knew of us, and has not been told again
        self.registered_at = -math.inf
        self.flights: dict[SharedFlight, None] = {}
        self.patience = 0.0
        self.amendments: list[Amendment] = []
        self._names = names
        self._tell = tell
        self._slots: dict[Key, Slot] = {}
        self._urgent = 0
        self.rebind()

    def rebind(self) -> None:
        """Forget what belonged to an event loop that has closed."""
        self.syncing = asyncio.Lock()
        self._lanes: dict[Lane, tuple[asyncio.Lock, str]] = {}
        self._orders: dict[tuple[Key, ...], asyncio.Semaphore] = {}
        self._bells: set[asyncio.Future[None]] = set()

    def slot(self, line: Line | Reading) -> Slot:
        """Return where the window of a line lies, with the limit that this line has."""
        found = self._slots.get((line.owner, line.window.name, line.window.seconds))
        if found is None or found.limit != max(1, int(line.window.limit * UNIT)):
            found = self._slots[key_of(line)] = self._names.slot(self.name, line.window, line.owner)
            self.patience = min(margin(line.window), self.patience or math.inf)
        return found

    # Who waits here

    def lane(self, charge: Charge) -> tuple[asyncio.Lock | asyncio.Semaphore, str]:
        """Return the queue that a charge stands in, and the name under which it is known to the server at its head."""
        if charge.urgent:  # by windows, or a cancel would stand behind orders that wait for another window
            kind = tuple(map(key_of, charge.lines))
            abreast = self._orders.get(kind)
            if abreast is None:
                abreast = self._orders[kind] = asyncio.Semaphore(_ORDERS_ABREAST)
            self._urgent += 1
            return abreast, f"u{self._urgent:x}"
        key = lane_of(charge)
        found = self._lanes.get(key)
        if found is None:
            found = self._lanes[key] = (asyncio.Lock(), f"{len(self._lanes):x}")
        return found

    async def sleep(self, seconds: float) -> None:
        """Sleep until there is reason to ask again, at most so long."""
        loop = asyncio.get_running_loop()
        bell: asyncio.Future[None] = loop.create_future()
        self._bells.add(bell)
        timer = loop.call_later(min(seconds, 3600.0), _ring, bell)
        try:
            await bell
        finally:
            timer.cancel()
            self._bells.discard(bell)

    @property
    def waiters(self) -> int:
        """How many sleep here."""
        return len(self._bells)

    def ring(self) -> None:
        """Let all who sleep ask again."""
        for bell in self._bells:
            _ring(bell)

    def unsee(self, charge: Charge) -> None:
        """Take what was not sent out of what all are known to have spent."""
        for line in charge.lines:
            total, at = self.seen.get(key_of(line), (0, -math.inf))
            self.seen[key_of(line)] = (max(0, total - units(line.cost)), at)

    # What is under way

    def grant(self, charge: Charge, now: float, stamp: int) -> SharedFlight:
        """Return a grant for what has been charged."""
        flight = SharedFlight(charge, now, stamp, self)
        self.flights[flight] = None
        return flight

    def carry(self, flight: SharedFlight, now: float) -> None:
        """Count a charge as spent now, here and on the server."""
        self.own.carry(flight.charge, flight.at, now)
        if flight.stamp == 0:
            self.unshared.carry(flight.charge, flight.at, now)
        self.amend("carry", flight)
        flight.at = now

    def amend(self, kind: str, flight: SharedFlight) -> Awaitable[None] | None:
        """Have the server told of a correction, where it has counted the charge and not lost it since."""
        if flight.stamp and flight.epoch == self.epoch:
            for line in flight.charge.lines:
                self.amendments.append(Amendment(kind, line, units(line.cost), flight.stamp, flight))
        return self._tell(self)

    def amend_call(self, batch: Sequence[Amendment]) -> Command:
        """Return the call that tells the server of corrections."""
        keys: dict[bytes, int] = {self.state: 1}
        figures: list[bytes | str | int] = [self.epoch]
        for item in batch:
            slot = self.slot(item.line)
            place = keys.setdefault(slot.key, len(keys) + 1)
            figures += (place, slot.keep, slot.step, item.kind, item.amount, item.at)
        return AMEND.call(list(keys), figures)

    def sweep(self, now: float) -> float:
        """Carry what is under way for long, before it expires; return the seconds until that is due again."""
        self.own.forget(now)
        self.unshared.forget(now)
        shortest = min((count.window.seconds for count in self.own.counts.values()), default=math.inf)
        for flight in list(self.flights):
            if now - flight.began > FLIGHT_SECONDS:
                self.flights.pop(flight, None)
            elif now - flight.at > shortest / 2:
                self.carry(flight, now)
        return shortest / 4

    @property
    def spent_by_all(self) -> dict[Key, tuple[int, float]]:
        """The most that the server or the venue has told of each window, and when."""
        told = {**self.readings, **self.seen}
        return {key: max(self.seen.get(key, amount), self.readings.get(key, amount)) for key, amount in told.items()}

    def recent(self) -> list[Slot]:
        """Return the windows of which this process has spent something lately, or the venue has told it."""
        now = time.monotonic()
        told = (key for key, (_, since) in self.readings.items() if key not in self.own.counts and now - since < key[2])
        spent = [self.slot(Line(count.window, 0.0, count.owner)) for count in self.own.counts.values()]
        return spent + [self._slots[key] for key in told if key in self._slots]

    def usage(self, now: float, egress: str) -> PoolUsage:
        """Return what this process knows of the pool by itself."""
        banned_for = max(0.0, self.own.banned_until - now)
        return PoolUsage(
            pool=self.name,
            windows=self.own.usage(now),
            waiters=self.waiters,
            members=self.known,
            banned_for=banned_for,
            ban_reason=self.own.ban_reason if banned_for else "",
            shared=False,
            egress=egress,
        )


def _ring(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)
