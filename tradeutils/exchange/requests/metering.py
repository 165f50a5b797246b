"""What every request pays, and what is owed to the budget afterwards: refunds, readings, bans."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Coroutine
from typing import Any, Final

from tradeutils import errors, logs
from tradeutils.budget.base import Budget, Charge, Grant, Line, Reading, Window
from tradeutils.budget.headers import ban_seconds, readings
from tradeutils.budget.limits import Api, Limits
from tradeutils.exchange.requests.calls import Request

__all__ = ["Meter"]

_log = logs.get_logger("exchange")

_LONGEST_WAIT_S: Final = 600.0
_CLOSING_S: Final = 2.0


class Meter:
    """
    Pays for the requests of one exchange.

    Parameters
    ----------
    budget : Budget
        Whose room is spent; it stays open when this is closed.
    venue : str
        ccxt's name of it.
    limits : Limits
        What each request costs.
    account : str or None
        A digest of the API key.
    patience : float
        Seconds that an order or a cancel waits for room; one that leaves minutes late does harm.
    """

    def __init__(self, budget: Budget, venue: str, limits: Limits, account: str | None, *, patience: float) -> None:
        self._budget = budget
        self._venue = venue
        self._limits = limits
        self._account = account
        self._patience = patience
        self._under_way = 0
        self._idle = asyncio.Event()
        self._owed: set[asyncio.Task[None]] = set()
        # Counts that are still to be told; a later one of the same window replaces an earlier one.
        self._counts: dict[tuple[str, Window], Reading] = {}
        self._telling = False
        # By pool: how many refusals came in a row, and when the last of them was answered with a ban.
        self._refusals: dict[str, tuple[int, float]] = {}

    def charge(self, api: Api, method: str, path: str, cost: Any, params: Any, *, urgent: bool) -> Charge:
        """Return what a request costs, from the arguments of ccxt's ``fetch2``."""
        return self._limits.charge(
            api=api,
            method=method,
            path=path,
            cost=float(cost or 0),
            params=params,
            account=self._account,
            urgent=urgent,
        )

    async def acquire(self, charge: Charge, leave_by: float = math.inf) -> Grant:
        """Wait for room: an order as long as the patience lasts, data for ten minutes; none beyond ``leave_by``."""
        longest = self._patience if charge.urgent else _LONGEST_WAIT_S
        return await self._budget.acquire(charge, timeout=max(0.0, min(longest, leave_by - time.monotonic())))

    async def acquire_dial(self, window: Window, *, urgent: bool) -> Grant:
        """Wait until one more websocket may be opened from this address; all who share the budget share that room."""
        name = next(iter(self._limits.pools))
        pool = f"{self._limits.venue}.sockets{''.join(name.partition('@')[1:])}"  # a place of its own has its own
        charge = Charge(pool, (Line(window, 1.0, pool),), urgent, self._account is not None)
        return await self._budget.acquire(charge, timeout=_LONGEST_WAIT_S)

    def began(self) -> None:
        """Remember that a request is under way, to be `ended`."""
        self._under_way += 1
        self._idle.clear()

    def ended(self, request: Request) -> None:
        """Settle what a request paid; of one that never left, give it back."""
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()
        for grant in request.grants:
            if request.left:
                grant.settle()
            else:
                self._spawn(grant.give_back())

    def replied(self, request: Request) -> None:
        """Take the venue's own counts from a reply; they are told to the budget while the reply goes on."""
        for reading in readings(self._limits, request.charge, request.headers, at=time.time()):
            self._counts[reading.owner, reading.window] = reading
        if self._counts and not self._telling:
            self._telling = True
            self._spawn(self._tell())

    def accepted(self, request: Request) -> None:
        """Forget earlier refusals once a request that left after them is answered; some refuse with a status of 200."""
        if request.left_at > self._closed_at(request.charge.pool):
            self._refusals.pop(request.charge.pool, None)

    async def _tell(self) -> None:
        """Tell the budget what has been read; what is read meanwhile goes along the next time."""
        try:
            while self._counts:
                told, self._counts = self._counts, {}
                await self._budget.observe(list(told.values()))
        finally:
            self._telling = False

    async def refused(self, request: Request, venue_ms: float) -> float | None:
        """
        Close the gate for everybody where a reply wants silence; return for how many seconds.

        Requests that were under way when the gate was closed are refused too; they do not count as a further
        refusal, or a burst of them would double a ban that names no time until its cap.
        """
        if request.status is None:
            return None
        pool = request.charge.pool
        row = self._refusals.get(pool, (-1, 0.0))[0]
        if request.left_at > self._closed_at(pool):
            row += 1
        seconds = ban_seconds(self._venue, request.status, request.headers, request.body, venue_ms, attempts=row)
        if seconds is None:
            return None
        self._refusals[pool] = (row, time.monotonic())
        _log.warning("%s wants silence for %.3g s (HTTP %s)", pool, seconds, request.status)
        # Shielded: whoever sent the request may be cancelled, and the ban stands all the same.
        with contextlib.suppress(errors.TradeutilsError):  # told to the log; the venue's refusal is what is raised
            await asyncio.shield(self._spawn(self._budget.ban(pool, seconds, f"HTTP {request.status}")))
        return seconds

    def _closed_at(self, pool: str) -> float:
        return self._refusals.get(pool, (0, float("-inf")))[1]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do what is owed beside the request that it is owed for."""
        task = asyncio.get_running_loop().create_task(work)
        self._owed.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._owed.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.warning("the budget could not be told: %s", task.exception())

    async def aclose(self) -> None:
        """Wait until what is under way has ended and all that is owed is told, at most two seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S):
                if self._under_way:
                    await self._idle.wait()
                while self._owed:
                    await asyncio.wait(self._owed)
