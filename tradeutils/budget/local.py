"""The budget of one process: every thread and event loop in it shares the same windows."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from tradeutils.budget.base import Charge, Grant, PoolUsage, Reading, Window, margin
from tradeutils.budget.ledger import Key, Pool, calendar_age, sums
from tradeutils.budget.refusals import ban_length, check_timeout, check_windows, no_room, printable
from tradeutils.errors import Closed

__all__ = ["FLIGHT_SECONDS", "Flight", "LocalBudget", "lane_of"]

Lane: TypeAlias = tuple[bool, tuple[str, ...]]

FLIGHT_SECONDS: Final = 120.0
"""How long a request may be on its way before it is taken for forgotten."""

_LONGEST_SLEEP: Final = 3600.0


def lane_of(charge: Charge) -> Lane:
    """
    Return in which queue a charge stands.

    One for each set of owners, or a full window of one account would hold up the data of all; orders apart from data.
    """
    return charge.urgent, tuple([line.owner for line in charge.lines])


class Flight(Grant):
    """A grant whose request may be under way; ``at``: when it was charged, by the clock of its budget."""

    __slots__ = ("_home", "at", "began")

    def __init__(self, charge: Charge, at: float, home: _Place) -> None:
        self.charge = charge
        self.at = self.began = at
        self._home = home

    def settle(self) -> None:
        self._home.settle(self)

    async def give_back(self) -> None:
        self._home.give_back(self)


class _Ticket:
    """One caller who waits; its bell wakes it to ask again."""

    __slots__ = ("bell", "charge", "lane", "loop", "number")

    def __init__(self, charge: Charge, number: int) -> None:
        self.charge = charge
        self.number = number
        self.lane = lane_of(charge)
        self.loop = asyncio.get_running_loop()
        self.bell: asyncio.Future[None] = self.loop.create_future()

    def ring(self) -> None:
        """Wake it, from any thread; ``RuntimeError`` where its event loop is gone."""
        self.loop.call_soon_threadsafe(_ring, self.bell)


def _ring(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)


class _Place:
    """A pool, who waits for it, and what is under way to it. Its lock is that of the budget."""

    def __init__(self, name: str, lock: threading.Lock, clock: Callable[[], float]) -> None:
        self.pool = Pool(name)
        self.lanes: dict[Lane, deque[_Ticket]] = {}
        self.flights: dict[Flight, None] = {}
        self._lock = lock
        self._clock = clock
        self._sweep_at = -math.inf
        self._patience = 0.0  # flights up to this long need no carrying: the least margin of all windows
        self._arrivals = 0

    def ask(self, charge: Charge, now: float, ahead: dict[Key, int] | None = None) -> Flight | float:
        """Return a grant, or the seconds until it is worth asking again."""
        if now >= self._sweep_at:
            self._sweep(now)
        wait = self.pool.ask(charge, now, ahead)
        if wait:
            return wait
        flight = Flight(charge, now, self)
        self.flights[flight] = None
        return flight

    # Who waits

    def join(self, charge: Charge) -> _Ticket:
        """Stand in the queue."""
        self._arrivals += 1
        ticket = _Ticket(charge, self._arrivals)
        self.lanes.setdefault(ticket.lane, deque()).append(ticket)
        return ticket

    def call(self, ticket: _Ticket, now: float) -> Flight | float:
        """Ask for who stands in the queue; infinity while another stands before it."""
        if self.lanes[ticket.lane][0] is not ticket:
            return math.inf
        heads = (lane[0] for lane in self.lanes.values())
        ahead = [head.charge for head in heads if (not head.charge.urgent, head.number) < _rank(ticket)]
        return self.ask(ticket.charge, now, sums(ahead) if ahead else None)

    def leave(self, ticket: _Ticket, granted: bool) -> None:
        """Let the next go on: the one behind, and all others where room that was kept for this one is free again."""
        lane = self.lanes.get(ticket.lane)
        if lane is None or ticket not in lane:  # its event loop was closed, and it was passed over
            return
        was_head = lane[0] is ticket
        lane.remove(ticket)
        if not lane:
            del self.lanes[ticket.lane]
        if was_head and not granted:
            self.wake()
        elif was_head and lane:
            self._wake(ticket.lane)

    def wake(self) -> None:
        """Let the head of each queue ask again."""
        for lane in list(self.lanes):
            self._wake(lane)

    def _wake(self, name: Lane) -> None:
        lane = self.lanes[name]
        while lane:
            try:
                lane[0].ring()
            except RuntimeError:  # an event loop that was closed with callers waiting
                lane.popleft()
            else:
                return
        del self.lanes[name]

    # What is under way

    def settle(self, flight: Flight) -> None:
        """Count a request that took long as spent when it ended."""
        if self.flights.pop(flight, 0) is None:  # one step for the interpreter: most flights are short and need no lock
            now = self._clock()
            if now - flight.at > self._patience:
                with self._lock:
                    self.pool.carry(flight.charge, flight.at, now)

    def give_back(self, flight: Flight) -> None:
        """Undo a grant that was not used."""
        with self._lock:
            if self.flights.pop(flight, 0) is None:
                self.pool.give_back(flight.charge, flight.at)
                self.wake()

    def _sweep(self, now: float) -> None:
        """Count what is still under way as spent now, before it expires while the venue may not have seen it."""
        self.pool.forget(now)
        windows = [count.window for count in self.pool.counts.values()]
        shortest = min((window.seconds for window in windows), default=1.0)
        self._patience = min(map(margin, windows), default=0.0)
        self._sweep_at = now + shortest / 4
        for flight in list(self.flights):
            if now - flight.began > FLIGHT_SECONDS:
                self.flights.pop(flight, None)
            elif now - flight.at > shortest / 2:
                self.pool.carry(flight.charge, flight.at, now)
                flight.at = now


def _rank(ticket: _Ticket) -> tuple[bool, int]:
    return not ticket.charge.urgent, ticket.number


class LocalBudget:
    """
    A `Budget` for this process alone.

    Parameters
    ----------
    windows : sequence of Window or None
        The user's own, charged instead of the venue's; ``None``: the venue's own.
    clock : callable
        Returns seconds that never go back.

    Notes
    -----
    Safe to use from several threads and event loops at once. Two processes with a local budget each spend twice what
    the venue allows: use `RedisBudget` for more than one.
    """

    def __init__(self, windows: Sequence[Window] | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._windows = check_windows(windows)
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._nonces: dict[str, int] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"LocalBudget({'' if self._windows is None else list(self._windows)})"

    @property
    def windows(self) -> Sequence[Window] | None:
        """The user's own windows."""
        return self._windows

    async def acquire(self, charge: Charge, *, timeout: float | None = None) -> Grant:  # noqa: ASYNC109  # see Budget
        """Wait until ``charge`` fits, and spend it; about 3 µs where it fits at once."""
        with self._lock:
            place = self._places.get(charge.pool) or self._open(charge.pool)
            if not place.lanes and not self._closed:
                answer = place.ask(charge, self._clock())
                if answer.__class__ is Flight:
                    return answer
        check_timeout(timeout)
        return await self._stand(place, charge, math.inf if timeout is None else timeout)

    async def _stand(self, place: _Place, charge: Charge, patience: float) -> Grant:
        """Stand in the queue until granted; each turn asks, and sleeps until it is worth asking again."""
        granted = False
        with self._lock:
            ticket = place.join(charge)
            ends = self._clock() + patience
        try:
            while True:
                with self._lock:
                    now = self._clock()
                    sleep = self._turn(place, ticket, now, ends, patience)
                    if isinstance(sleep, Flight):
                        granted = True
                        return sleep
                    bell = ticket.bell = ticket.loop.create_future()
                timer = ticket.loop.call_later(min(sleep, _LONGEST_SLEEP), _ring, bell)
                try:
                    await bell
                finally:
                    timer.cancel()
        finally:
            with self._lock:
                place.leave(ticket, granted)

    def _turn(self, place: _Place, ticket: _Ticket, now: float, ends: float, patience: float) -> Flight | float:
        """Return a grant, or the seconds to sleep; raise where it cannot be had in time."""
        if self._closed:
            raise Closed("the budget was closed")
        answer = place.call(ticket, now)
        if isinstance(answer, Flight):
            return answer
        if now >= ends or ends < now + answer < math.inf:
            reason = place.pool.ban_reason if place.pool.banned_until > now else ""
            raise no_room(ticket.charge, patience, answer if answer < math.inf else None, reason)
        return min(answer, ends - now)

    async def observe(self, readings: Sequence[Reading]) -> None:
        """Count what the venue has counted and we have not."""
        wall = time.time()
        with self._lock:
            for reading in readings:
                age = calendar_age(reading, wall)
                if age >= 0:
                    place = self._places.get(reading.pool) or self._open(reading.pool)
                    place.pool.observe(reading, self._clock(), age)

    async def ban(self, pool: str, seconds: float, reason: str) -> None:
        """Let nobody in this process send to ``pool`` for ``seconds``."""
        with self._lock:
            place = self._places.get(pool) or self._open(pool)
            place.pool.ban(self._clock() + ban_length(seconds), printable(reason))

    async def nonce(self, key: str) -> int:
        """Return the time in microseconds, or one more than the last."""
        with self._lock:
            number = max(self._nonces.get(key, 0) + 1, time.time_ns() // 1000)
            self._nonces[key] = number
            return number

    async def usage(self) -> list[PoolUsage]:
        """Return the state of each pool; this process is its only member."""
        with self._lock:
            now = self._clock()
            return [
                PoolUsage(
                    pool=name,
                    windows=place.pool.usage(now),
                    waiters=sum(map(len, place.lanes.values())),
                    members=1,
                    banned_for=max(0.0, place.pool.banned_until - now),
                    ban_reason=place.pool.ban_reason if place.pool.banned_until > now else "",
                    shared=False,
                )
                for name, place in sorted(self._places.items())
            ]

    async def aclose(self) -> None:
        """Send away who waits."""
        with self._lock:
            self._closed = True
            for place in self._places.values():
                for lane in place.lanes.values():
                    for ticket in lane:
                        ticket.ring()

    def _open(self, name: str) -> _Place:
        place = self._places[name] = _Place(name, self._lock, self._clock)
        return place
