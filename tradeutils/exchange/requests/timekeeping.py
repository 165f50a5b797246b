"""When the venue is asked for its time, and how often."""

from __future__ import annotations

import asyncio
from typing import Final

from tradeutils import errors, logs
from tradeutils.exchange.requests.calls import Call
from tradeutils.exchange.requests.clock import SAMPLES, Sample, VenueClock
from tradeutils.exchange.requests.connection import Connection

__all__ = ["Timekeeper"]

_log = logs.get_logger("exchange")

_OPERATION: Final = "fetch_time"


class Timekeeper:
    """
    Keeps a connection's clock.

    Parameters
    ----------
    connection : Connection
        Through which the venue is asked.
    signs : bool
        Whether signatures carry the time.
    asking : Lock or None
        Held by who asks; shared with all whose connections share the clock.
    """

    def __init__(self, connection: Connection, *, signs: bool, asking: asyncio.Lock | None = None) -> None:
        self._connection = connection
        self._clock = connection.clock
        self._signs = signs
        self._asking = asking or asyncio.Lock()

    async def time(self) -> int:
        """Return the venue's time now; one request where it is not known."""
        async with self._asking:  # of many who ask at once, one asks the venue
            if not self._clock.known:
                await self._connection.read(_OPERATION, self._learn)
        return self._clock.at(VenueClock.monotonic())

    async def settle(self) -> None:
        """
        Know the time well enough to sign with; five requests where it is not.

        A venue that does not tell its time keeps nobody from signing: the ``Date`` of its last reply, or the local
        clock, must do; where that is wrong, the venue refuses the signature (`ClockSkew`), and it is asked again.
        """
        if not self._signs or self._clock.precise:
            return
        async with self._asking:
            if self._clock.precise:
                return
            try:
                call = Call(_OPERATION, urgent=True)
                await self._connection.send(call, lambda: self._learn_well(call))
            except (errors.RateLimited, errors.Closed):
                raise
            except errors.VenueError as error:
                _log.warning("%s does not tell its time (%s); requests are signed by another clock", self._name, error)

    @property
    def _name(self) -> str:
        return self._connection.name

    async def _learn(self, call: Call) -> None:
        if self._tells:
            self._clock.learn(*await self._sample(call))
            return
        if not self._clock.settle_for_hint():
            await self._connection.ccxt.load_markets(True)  # any reply has a Date
        if not self._clock.settle_for_hint():
            raise errors.BadReply("told no time", venue=self._name, operation=_OPERATION)

    async def _learn_well(self, call: Call) -> None:
        if not self._tells:
            await self._learn(call)
            return
        self._clock.learn_median([await self._sample(call) for _ in range(SAMPLES)])

    @property
    def _tells(self) -> bool:
        return bool(self._connection.ccxt.has.get("fetchTime"))

    async def _sample(self, call: Call) -> Sample:
        told = await self._connection.ccxt.fetch_time()
        if told is None:
            raise errors.BadReply("told no time", venue=self._name, operation=_OPERATION)
        return Sample(float(told), call.sent, call.received)
