"""
A market with a known truth, a feed of it that is cut, doubled, delayed and reordered, and REST beside: in made time.

Nothing waits: time is a number. An assembler's coroutines are driven by hand, so that a message may arrive while a
request is under way, at any moment that a test draws.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tradeutils.errors import RangeNotServed, VenueUnavailable
from tradeutils.model import Candles, Trade
from tradeutils.timeframe import Timeframe, parse

T = TypeVar("T")

Bar = tuple[int, float, float, float, float, float]


@types.coroutine
def passing(milliseconds: int) -> Generator[int, None, None]:
    """Wait in made time."""
    yield milliseconds


@dataclass
class Clock:
    """The venue's clock, in ms UTC, and by how much what is believed of it is wrong."""

    now: int
    skew: int = 0

    @property
    def believed(self) -> int:
        """What an assembler is told."""
        return self.now + self.skew


@dataclass
class RestFaults:
    """How REST answers: late, failing at first, behind, and reaching back only so far."""

    latency: int = 50
    failures: int = 0  # of the first requests
    lag: int = 0  # ms by which its answers are behind
    kept: int | None = None  # bars, or trades
    page: int = 1000  # trades
    newest_only: bool = False  # trades: ``since`` only leaves out, of the newest page


@dataclass
class Market:
    """Trades of one market in order, and what candles they make."""

    trades: Sequence[Trade]
    frame: Timeframe = field(default_factory=lambda: parse("1m"))
    flat: bool = False  # whether bars in which nobody traded are told, with the close before

    def bars(self, now: int) -> dict[int, Bar]:
        """Return the bars of what was traded up to ``now``, the forming one too."""
        made: dict[int, list[Any]] = {}
        for trade in self.trades:
            if trade.time > now:
                break
            opened = self.frame.floor(trade.time)
            self._fill(made, opened)
            bar = made.get(opened)
            if bar is None:
                made[opened] = [trade.price, trade.price, trade.price, trade.price, [trade.amount]]
            elif not bar[4]:
                made[opened] = [*[trade.price] * 4, [trade.amount]]
            else:
                bar[1], bar[2], bar[3] = max(bar[1], trade.price), min(bar[2], trade.price), trade.price
                bar[4].append(trade.amount)
        if made:
            self._fill(made, self.frame.shift(self.frame.floor(now)))
        return {opened: (opened, *bar[:4], math.fsum(bar[4])) for opened, bar in made.items()}

    def _fill(self, made: dict[int, list[Any]], until: int) -> None:
        if not self.flat or not made:
            return
        last = max(made)
        close, opened = made[last][3], self.frame.shift(last)
        while opened < until:
            made[opened] = [*[close] * 4, []]
            opened = self.frame.shift(opened)


class MadeRest:
    """REST of a made market."""

    def __init__(self, market: Market, clock: Clock, faults: RestFaults) -> None:
        self.market, self.clock, self.faults = market, clock, faults
        self.asked = 0

    async def fetch_time(self) -> int:
        """Return what is believed to be the time."""
        return self.clock.believed

    async def _answer(self) -> int:
        """Wait for an answer, and return the moment that it speaks of."""
        self.asked += 1
        seen = self.clock.now - self.faults.lag
        await passing(self.faults.latency)
        if self.faults.failures:
            self.faults.failures -= 1
            raise VenueUnavailable("down", venue="made", operation="fetch")
        return seen

    async def fetch_ohlcv(
        self, symbol: str, timeframe: str = "1h", *, since: Any = None, closed_only: bool = True, **_: Any
    ) -> Candles:
        """Return the bars from ``since`` on."""
        assert parse(timeframe) == self.market.frame
        assert not closed_only
        bars = self.market.bars(await self._answer())
        keys = sorted(bars)
        if self.faults.kept is not None:
            kept = set(keys[-self.faults.kept :])
            if any(since <= key for key in keys if key not in kept):
                raise RangeNotServed("gone", first=min(kept), venue="made", operation="fetch_ohlcv", symbol=symbol)
        rows = [bars[key] for key in keys if key >= since]
        return Candles.from_rows(rows, timeframe=timeframe, symbol=symbol, now=self.clock.believed)

    async def fetch_trades(self, symbol: str, *, since: Any = None, limit: int | None = None) -> list[Trade]:
        """Return a page of trades from ``since`` on."""
        assert symbol
        assert limit is None
        seen = await self._answer()
        told = [trade for trade in self.market.trades if trade.time <= seen]
        if self.faults.kept is not None:
            told = told[len(told) - min(self.faults.kept, len(told)) :]
        if since is None or self.faults.newest_only:
            return [trade for trade in told[-self.faults.page :] if since is None or trade.time >= since]
        return [trade for trade in told if trade.time >= since][: self.faults.page]


@dataclass
class Message:
    """What arrives at a moment, on the connection that is open then; ``sent``: when, at the latest, it was opened."""

    at: int
    value: Any
    frame: Any = None
    sent: int | None = None


class Driver(Generic[T]):
    """
    Drives an assembler as a feed does: takes, breaks, resumes, and settles what is due.

    ``patient``: what is asked goes on through a break, and is asked anew after it; otherwise it is cancelled.
    """

    def __init__(self, assembler: Any, rest: Any, clock: Clock, *, patient: bool = False) -> None:
        self.assembler, self.rest, self.clock, self.patient = assembler, rest, clock, patient
        self._again = self._resuming = self._is_open = False
        self.told: list[Any] = []
        self._running: Coroutine[Any, Any, Sequence[Any]] | None = None
        self._wakes = 0

    def run(self, messages: Iterable[Message], breaks: Sequence[tuple[int, ...]], until: int) -> list[Any]:
        """
        Let time pass from now to ``until``; return all that was told.

        ``breaks``: from when to when there was no connection; messages of then are lost. With a third moment: when
        that was noticed.
        """
        begin = self.clock.now
        steps: list[tuple[int, int, Callable[[], object]]] = [(begin, 1, self._resume)]
        for start, end, *noticed in breaks:
            steps += [(noticed[0] if noticed else start, 0, self._interrupt), (end, 1, self._resume)]
        for message in messages:
            sent = message.at if message.sent is None else message.sent
            if begin <= sent and not any(start <= message.at and sent < end for start, end, *_ in breaks):
                steps.append((message.at, 2, lambda message=message: self._take(message)))  # type: ignore[misc]
        for at, _, step in sorted(steps, key=lambda step: step[:2]):
            self._pass(at)
            step()
        self._pass(until)
        return self.told

    def _take(self, message: Message) -> None:
        self.told += self.assembler.take(message.value, message.frame, self.clock.believed)

    def _interrupt(self) -> None:
        if self._running is not None and not self.patient:
            self._running.close()
            self._running = None
        self._is_open = False
        self.assembler.interrupted(self.clock.believed)

    def _resume(self) -> None:
        self._is_open = True
        self._ask_anew()

    def _ask_anew(self) -> None:
        if self._running is not None and self.patient:
            self._again = True
            return
        if self._running is not None:
            self._running.close()
        self._resuming = True
        self._start(self.assembler.resume(self.rest))

    def _start(self, running: Coroutine[Any, Any, Sequence[Any]]) -> None:
        self._running, self._wakes = running, self.clock.now
        self._continue()

    def _continue(self) -> None:
        assert self._running is not None
        try:
            self._wakes = self.clock.now + self._running.send(None)
        except StopIteration as stop:
            self._running = None
            self.told += stop.value
            if self._resuming and not self._is_open:
                self.assembler.interrupted(self.clock.believed)
            self._resuming = False
            if self._again:
                self._again = False
                self._ask_anew()

    def _pass(self, until: int) -> None:
        """Let time pass, doing what falls due."""
        for _ in range(200_000):
            if self._running is not None:
                if self._wakes > until:
                    break
                self.clock.now = max(self.clock.now, self._wakes)
                self._continue()
                continue
            due = self.assembler.due(self.clock.believed)
            at = until + 1 if due is None else self.clock.now + math.ceil(due * 1000)
            if at > until:
                break
            self.clock.now = at
            before = len(self.told), self.rest.asked
            self._start(self.assembler.settle(self.rest, self.clock.believed))
            if self._running is None and (len(self.told), self.rest.asked) == before:
                self.clock.now += 1  # a feed would spin here: made time must go on
                self.idle += 1
        else:
            raise AssertionError("it never came to rest")
        self.clock.now = max(self.clock.now, until)

    idle = 0
    """How often `due` asked for work and there was none."""
