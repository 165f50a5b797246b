"""
The work of a backfill: series take turns, piece by piece, as fast as the exchange lets them.

A piece is fetched, written, and only then marked as asked; the marks are what the next run goes by. So after a kill
nothing is asked for again but the pieces that were under way, and what of those was written is there once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeutils import logs
from tradeutils import timeframe as _timeframe
from tradeutils.errors import (
    BadSymbol,
    HistoryCorrupt,
    HistoryLocked,
    RangeNotServed,
    RateLimited,
    TransientVenueError,
    VenueError,
)
from tradeutils.history.backfilling.asking import CandleExchange
from tradeutils.history.backfilling.derive import derive
from tradeutils.history.backfilling.disk import Disk
from tradeutils.history.backfilling.lane import Lane
from tradeutils.history.backfilling.pace import Pace
from tradeutils.history.backfilling.plan import PAGE_BARS, bars_in
from tradeutils.history.backfilling.report import Progress, Reason, SeriesBackfill, date
from tradeutils.history.backfilling.search import first_kept, first_traded
from tradeutils.history.reports import Coverage
from tradeutils.history.store.ranges import Range, Ranges
from tradeutils.model import Candles
from tradeutils.timeframe import Timeframe

if TYPE_CHECKING:
    from tradeutils.history.writing import WritingHistory

__all__ = ["CONCURRENCY", "Run"]

_log = logs.get_logger("history")

CONCURRENCY: Final = 48
"""
Requests under way at most, a piece counted with all its pages.

An `Exchange` asks for the pages of a piece one, two and three at once, so of 48 some 16 are under way on average: 50 a
second at 300 ms a reply, which is what binance allows. More would only be lost with a kill.
"""

_LONGEST_WAIT_S: Final = 600.0  # for a venue that wants silence; the exchange itself waits as long for its budget
_PAUSE_S: Final = 5.0  # where it does not say for how long
_WAITS: Final = 5  # how often a piece waits so


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Something to be done for a series: ``piece`` is what it fetches, if so, in how many requests."""

    lane: Lane
    work: Callable[[], Awaitable[None]]
    piece: Range | None = None
    requests: int = 1


class Run:
    """
    One backfill.

    Parameters
    ----------
    history : History
        Where to.
    exchange : CandleExchange
        Where from.
    lanes : sequence of Lane
        The series, in the order in which they are reported.
    concurrency : int
        Requests under way at most.
    progress : callable or None
        What it raises ends the whole.
    """

    def __init__(
        self,
        history: WritingHistory,
        exchange: CandleExchange,
        lanes: Sequence[Lane],
        *,
        concurrency: int = CONCURRENCY,
        progress: Callable[[Progress], object] | None = None,
    ) -> None:
        self._history = history
        self._exchange = exchange
        self._lanes = lanes
        self._turns = deque(lanes)
        self._pace = Pace(concurrency)
        self._progress = progress
        self._frames = [_timeframe.parse(name) for name in exchange.timeframes]
        self._disk = Disk()
        self._calls = 0
        self._done = 0
        self._brought = 0  # of them by requests
        self._total = 0
        self._stopped = False  # read on the disk's threads
        self._began = time.monotonic()

    async def work(self) -> list[SeriesBackfill]:
        """Fill what is missing, and say what became of each series."""
        under_way: dict[asyncio.Task[None], int] = {}  # how many requests each may have under way
        try:
            for lane in self._lanes:  # one by one, so that a cancellation need not wait for all
                await self._disk(self._look, lane)
            if self._lanes:
                self._tell(self._lanes[0])
            while True:
                while (room := self._pace.slots - sum(under_way.values())) > 0 and (job := self._next()) is not None:
                    under_way[asyncio.create_task(self._guarded(job))] = min(job.requests, room)
                if not under_way:
                    return [await self._disk(self._report, lane) for lane in self._lanes]
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                    del under_way[task]
        finally:
            self._stopped = True
            try:
                await _ended(under_way)
            finally:
                self._disk.close()

    # What is to be done

    def _look(self, lane: Lane) -> None:
        """Learn what a series lacks, for the totals."""
        missing = self._missing(lane)
        lacking = bars_in(lane.frame, missing)
        lane.known = lane.frame.count(lane.since, lane.until) - lacking
        if lane.over:
            return
        lane.asked = lane.todo = lacking
        self._total += lacking
        if not missing:
            lane.over = True
        elif not lane.finer and not lane.sources:
            lane.plan(missing)

    def _missing(self, lane: Lane) -> Ranges:
        if lane.since >= lane.until:
            return ()
        try:
            return self._history.coverage(*self._key(lane), lane.since, lane.until).missing
        except HistoryCorrupt as error:
            lane.end("failed", str(error))
            return ()

    def _key(self, lane: Lane) -> tuple[str, str, str]:
        return self._exchange.venue, lane.symbol, lane.frame.name

    def _next(self) -> _Job | None:
        """Return the next job: of the series whose turn it is, and of those that failed once after all others."""
        waiting = any(not one.over and not one.resting and self._ready(one) for one in self._lanes)
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)
            if lane.over or (lane.resting and waiting):
                continue
            if (job := self._job(lane)) is not None:
                lane.flying += 1
                return job
        return None

    def _ready(self, lane: Lane) -> bool:
        return lane.planned or all(one.over for one in lane.finer)

    def _job(self, lane: Lane) -> _Job | None:
        if not lane.planned:
            return _Job(lane, lambda: self._prepare(lane)) if not lane.flying and self._ready(lane) else None
        if lane.search:
            return None if lane.flying else _Job(lane, lambda: self._search(lane))
        piece = lane.take()
        if piece is None:
            return None
        head = lane.head
        return _Job(lane, lambda: self._fetch(lane, piece, head=head), piece, -(-lane.frame.count(*piece) // PAGE_BARS))

    async def _guarded(self, job: _Job) -> None:
        """Do a job; what fails is noted with its series, and the others go on."""
        lane, piece = job.lane, job.piece
        try:
            await job.work()
        except TransientVenueError as error:
            self._set_back(lane, piece, error)
        except BadSymbol as error:
            self._give_up(lane, "not listed", str(error))
        except (VenueError, HistoryLocked, HistoryCorrupt) as error:
            self._give_up(lane, "failed", f"{type(error).__name__}: {error}")
        finally:
            lane.flying -= 1
        lane.check()
        if lane.over:
            self._settle(lane, lane.todo)
        self._tell(lane)

    def _set_back(self, lane: Lane, piece: Range | None, error: TransientVenueError) -> None:
        """Have a job done again after the others; if it fails where others succeed, go on without the piece."""
        words = f"{type(error).__name__}: {error}"
        _log.warning("%s failed: %s", lane.name, words)
        # Banned for longer than is waited: to ask on would only make it longer.
        banned = isinstance(error, RateLimited) and (error.retry_after or 0.0) > _LONGEST_WAIT_S
        verdict = "gone" if banned else self._pace.failed()
        start, succeeded = None if piece is None else piece[0], self._pace.successes
        if verdict == "gone":
            given_up = words if banned else f"given up after {self._pace.failures} failures in a row; {words}"
            for one in self._lanes:
                if not one.over:
                    self._give_up(one, "failed", given_up)
        elif verdict == "piece" and lane.tried.get(start, succeeded) < succeeded:
            lane.abandoned += 1
            lane.reason, lane.words = "failed", words
            if piece is None or lane.abandoned > 1:
                self._give_up(lane, "failed", words)
        else:
            if verdict == "piece":
                lane.tried.setdefault(start, succeeded)
            if piece is not None and not lane.over:
                lane.ranges.append(piece)
        lane.resting, lane.width = True, 1

    def _give_up(self, lane: Lane, reason: Reason, words: str) -> None:
        lane.end(reason, words)
        self._settle(lane, lane.todo)

    def _settle(self, lane: Lane, bars: int, *, brought: bool = False) -> None:
        fewer = lane.settle(bars)
        self._done += fewer
        self._brought += fewer if brought else 0

    def _tell(self, lane: Lane) -> None:
        if self._progress is not None:
            self._progress(
                Progress.at(
                    lane.symbol, lane.frame.name, self._done, self._total, self._calls,
                    time.monotonic() - self._began, self._brought,
                )
            )  # fmt: skip

    # What is fetched

    async def _fetch(self, lane: Lane, piece: Range, *, head: bool) -> None:
        """Fetch a piece, write it, and mark it as asked; ``head``: another range begins with it."""
        # Once bars have come, whatever is older than what the venue keeps lies behind: it need not be checked. Where
        # another range begins it may have come nearer meanwhile; of a venue known to lose bars `_cut` sees that.
        partial = lane.reached and (not head or bool(lane.lost))
        try:
            candles = await self._ask(lane, lane.frame, piece, partial=partial)
        except RangeNotServed as error:
            self._lose(lane, piece, error.first)
            return
        if head and partial:
            piece = self._cut(lane, candles, piece)
            if piece[0] == piece[1]:
                return
        added, quarantined = await self._disk(self._put, lane, candles, piece)
        lane.added += added
        lane.quarantined += quarantined
        self._succeeded(lane)
        self._settle(lane, lane.lacked(*piece), brought=True)
        if len(candles):
            lane.reached, lane.width = True, lane.width + 1
            return
        lane.width = 1
        if lane.ranges:
            lane.search = "traded"

    def _succeeded(self, lane: Lane) -> None:
        lane.abandoned = 0
        lane.resting = False
        self._pace.succeeded()

    async def _ask(
        self, lane: Lane, frame: Timeframe, span: Range, *, partial: bool, closed_only: bool = True
    ) -> Candles:
        """Fetch candles; a venue that wants silence gets it, where that ends soon."""
        waits = 0
        while True:
            await self._pace.quiet()
            lane.calls += 1
            self._calls += 1
            try:
                return await self._exchange.fetch_ohlcv(
                    lane.symbol, frame.name, since=span[0], until=span[1], closed_only=closed_only, partial=partial
                )
            except RateLimited as error:
                pause = _PAUSE_S if error.retry_after is None else error.retry_after
                if waits == _WAITS or pause > _LONGEST_WAIT_S:
                    raise
            waits += 1
            self._pace.silence(self._exchange.venue, pause)

    def _put(self, lane: Lane, candles: Candles | None, piece: Range) -> tuple[int, int]:
        """Write a piece, then mark it; return how many candles are new, and how many were put aside."""
        added = quarantined = 0
        since, until = piece
        known = lane.settled
        if candles is not None and len(candles):
            if len(fresh := lane.lacking(candles)):
                written = self._history.write(fresh)
                added, quarantined = written.added + written.changed, written.quarantined
            known = max(known, lane.frame.next(int(candles.time[-1])))
        if since < min(until, known):
            self._history.asked(*self._key(lane), since, min(until, known))
        return added, quarantined

    # Where there is nothing

    def _lose(self, lane: Lane, piece: Range, first: int | None) -> None:
        """Note what the venue no longer has of a piece."""
        since, until = piece
        if first is not None and since < first < until:
            lane.ranges.appendleft((first, until))
            self._note_lost(lane, since, first, until)
        else:
            self._note_lost(lane, since, until, until)
            lane.search = "kept" if lane.ranges else None

    def _cut(self, lane: Lane, candles: Candles, piece: Range) -> Range:
        """
        Return a piece without what the venue has lost of it since it was planned.

        A venue that keeps only its newest bars loses them while others have their turn. Marked as asked, their minutes
        would pass for minutes in which nobody traded, and coarser bars would be made without them.
        """
        since, until = piece
        first = min(max(since, int(candles.time[0])), until) if len(candles) else until
        if since < first:
            self._note_lost(lane, since, first, until)
        return first, until

    def _note_lost(self, lane: Lane, since: int, first: int, until: int) -> None:
        lane.lost.append((since, first))
        lane.reached = first < until
        lane.lost_words = f"the venue keeps them only since {date(first)}" if lane.reached else "the venue has none"
        self._settle(lane, lane.lacked(since, first))

    async def _search(self, lane: Lane) -> None:
        """Find where what the venue has begins, in few requests, and pass over what lies before."""

        async def ask(frame: Timeframe, span: Range, *, partial: bool, closed_only: bool = True) -> Candles:
            return await self._ask(lane, frame, span, partial=partial, closed_only=closed_only)

        while lane.ranges:
            since, until = lane.ranges[0]
            if lane.search == "traded":
                found = await first_traded(ask, lane.frame, self._frames, since, until)
            else:
                found = await first_kept(ask, lane.frame, since, until)
            stop = until if found is None else max(since, lane.frame.floor(found))
            if lane.search == "kept":
                self._note_lost(lane, since, stop, until)
            elif since < stop:
                await self._disk(self._put, lane, None, (since, stop))
                self._settle(lane, lane.lacked(since, stop))
            lane.ranges.popleft()
            if stop < until:
                lane.ranges.appendleft((stop, until))
                break
        lane.search = None
        lane.tried.pop(None, None)
        self._succeeded(lane)

    # What is made of finer candles

    async def _prepare(self, lane: Lane) -> None:
        """Make what can be made of a finer timeframe; what remains is asked for."""
        missing = await self._disk(self._missing, lane)
        venue = self._exchange.venue
        lane.derived, missing = await self._disk(
            derive, self._history, venue, lane, missing, stopped=lambda: self._stopped
        )
        if lane.over:
            return
        self._settle(lane, max(0, lane.todo - bars_in(lane.frame, missing)))
        if lane.offered:
            lane.plan(missing)
        else:
            lane.end("not offered", f"{venue} has no candles of {lane.frame}")

    # What is said of it

    def _report(self, lane: Lane) -> SeriesBackfill:
        return lane.report(self._covered(lane))

    def _covered(self, lane: Lane) -> Coverage | None:
        if lane.since >= lane.until:
            return None
        try:
            return self._history.coverage(*self._key(lane), lane.since, lane.until)
        except HistoryCorrupt as error:
            lane.end("failed", str(error))
            return None


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel what still runs, and wait for the end of all."""
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
