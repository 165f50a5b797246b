"""Candles as they close, from any stream, written as they come; holes that show are filled from the venue."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tradeutils import logs
from tradeutils import timeframe as _timeframe
from tradeutils.errors import HistoryCorrupt, HistoryLocked, UnknownName, UsageError, VenueError
from tradeutils.history.backfilling.asking import CandleExchange
from tradeutils.history.backfilling.call import backfill
from tradeutils.history.backfilling.disk import Disk
from tradeutils.history.store.ranges import Range
from tradeutils.model import Bars, Candles, Panel
from tradeutils.model.candles import PRICE_FIELDS
from tradeutils.model.streaming import StreamEvent

if TYPE_CHECKING:
    from tradeutils.history.writing import WritingHistory

__all__ = ["Followed", "Live", "follow"]

_log = logs.get_logger("history")

Live: TypeAlias = "Candles | Panel | Bars | StreamEvent"
"""What a stream may yield; what happened to the stream itself is passed over, as holes show in the candles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """
    What became of a stream.

    Attributes
    ----------
    items : int
        That it yielded, but for `StreamEvent`.
    added, changed, unchanged, forming, quarantined : int
        Candles, as in `WriteReport`; those of filled holes are not counted here.
    missing : int
        Bars that lay in holes: between what was stored last and what came first, and between candles of the stream.
    filled : int
        Candles that the venue had of them.
    failed : int
        Holes that could not be filled; they are logged, and `History.backfill` fills them another time.
    """

    items: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    forming: int = 0
    quarantined: int = 0
    missing: int = 0
    filled: int = 0
    failed: int = 0

    def plus(self, **more: int) -> Followed:
        """Return the sum."""
        return dataclasses.replace(self, **{name: getattr(self, name) + number for name, number in more.items()})


async def follow(
    history: WritingHistory,
    stream: AsyncIterable[Live],
    *,
    exchange: CandleExchange | str | None = None,
    symbols: Sequence[str] | None = None,
    timeframe: str | None = None,
    progress: Callable[[Followed], object] | None = None,
) -> Followed:
    """Write what a stream yields; see `tradeutils.History.follow`."""
    if not hasattr(stream, "__aiter__"):
        raise UsageError(f"stream was a {type(stream).__name__}; give an asynchronous iterator of candles")
    if progress is not None and not callable(progress):
        raise UsageError(f"progress was {progress!r:.60}; give a function that takes what was Followed so far")
    follower = _Follower(history, exchange, symbols, timeframe, progress)
    closing = contextlib.aclosing(stream) if hasattr(stream, "aclose") else contextlib.nullcontext()  # type: ignore[type-var]
    async with closing:
        return await follower.run(stream)


class _Follower:
    """What is known of the series of one stream, and the holes that are still to be filled."""

    def __init__(
        self,
        history: WritingHistory,
        exchange: CandleExchange | str | None,
        symbols: Sequence[str] | None,
        timeframe: str | None,
        progress: Callable[[Followed], object] | None,
    ) -> None:
        self._history = history
        self._venue = exchange if exchange is None or isinstance(exchange, str) else exchange.venue
        self._source = None if exchange is None or isinstance(exchange, str) else exchange
        self._symbols = symbols
        self._timeframe = timeframe
        self._progress = progress
        self._done = Followed()
        self._next: dict[tuple[str, str, str], int] = {}  # the open that is expected of each series
        # Of each series one span: a stream that loses its connection all the time adds to it, and not to memory.
        self._holes: dict[tuple[str, str, str], Range] = {}
        self._filling: asyncio.Task[None] | None = None

    async def run(self, stream: AsyncIterable[Live]) -> Followed:
        disk = Disk()
        try:
            async for item in stream:
                if isinstance(item, StreamEvent):
                    continue
                for candles in self._series(item):
                    await self._take(disk, candles)
                self._add(items=1)
            if self._filling is not None:
                await self._filling
            return self._done
        finally:
            if self._filling is not None:
                self._filling.cancel()
                await asyncio.gather(self._filling, return_exceptions=True)
            disk.close()

    def _series(self, item: Candles | Panel | Bars) -> Iterable[Candles]:
        """Return what an item holds, symbol by symbol, each with the name of its venue."""
        if isinstance(item, Bars):
            item = self._panel(item)
        if isinstance(item, Panel):
            found = [item.candles(symbol) for symbol in item.symbols]
        elif isinstance(item, Candles):
            found = [item]
        else:
            raise UsageError(f"the stream yielded a {type(item).__name__}; it must be of Candles, Panel or Bars")
        if self._venue is not None:
            found = [dataclasses.replace(one, exchange=self._venue) if not one.exchange else one for one in found]
        return [one for one in found if len(one)]

    def _panel(self, bars: Bars) -> Panel:
        if self._symbols is None or self._timeframe is None or self._venue is None:
            raise UsageError("the stream yielded Bars, which name no market; give symbols=, timeframe= and exchange=")
        columns: dict[str, Any] = {name: getattr(bars, name)[None, :] for name in PRICE_FIELDS}
        return Panel(
            exchange=self._venue,
            symbols=tuple(self._symbols),
            timeframe=self._timeframe,
            time=np.array([bars.time]),
            **columns,
        )

    async def _take(self, disk: Disk, candles: Candles) -> None:
        key = (candles.exchange, candles.symbol, candles.timeframe)
        expected = self._next.get(key)
        if expected is None:
            expected = await disk(self._stored_until, candles)
        written = await disk(self._history.write, candles)
        self._add(
            added=written.added, changed=written.changed, unchanged=written.unchanged, forming=written.forming,
            quarantined=written.quarantined,
        )  # fmt: skip
        closed = candles.only_closed()
        if not len(closed):
            return
        frame = _timeframe.parse(candles.timeframe)
        first, after = frame.floor(int(closed.time[0])), frame.next(int(closed.time[-1]))
        holes = [(gap.since, gap.until) for gap in closed.gaps()]
        if expected is not None and expected < first:
            holes.insert(0, (expected, first))
        self._next[key] = after if expected is None else max(expected, after)
        if holes:
            self._add(missing=sum(frame.count(*hole) for hole in holes))
            self._fill(key, (holes[0][0], holes[-1][1]))

    def _stored_until(self, candles: Candles) -> int | None:
        """Return when the newest stored candle before these is over; ``None`` where there is none."""
        try:
            stored = self._history.read(
                candles.exchange, candles.symbol, candles.timeframe, until=int(candles.time[0]), limit=1
            )
        except UnknownName:
            return None
        return _timeframe.parse(candles.timeframe).next(int(stored.time[-1])) if len(stored) else None

    def _add(self, **more: int) -> None:
        self._done = self._done.plus(**more)
        if self._progress is not None:
            self._progress(self._done)

    def _fill(self, key: tuple[str, str, str], hole: Range) -> None:
        """Have a hole filled beside the stream, which goes on meanwhile."""
        if self._source is None or key[0] != self._source.venue:
            return
        known = self._holes.get(key, hole)
        self._holes[key] = (min(known[0], hole[0]), max(known[1], hole[1]))
        if self._filling is not None and self._filling.done():
            self._filling.result()  # raises what ended it
            self._filling = None
        if self._filling is None:
            self._filling = asyncio.create_task(self._fill_all(self._source))

    async def _fill_all(self, source: CandleExchange) -> None:
        while self._holes:
            key = next(iter(self._holes))
            since, until = self._holes.pop(key)
            try:
                report = await backfill(self._history, source, [key[1]], key[2], since=since, until=until, derive=False)
            except (VenueError, UsageError, HistoryLocked, HistoryCorrupt) as error:
                # Of ours nothing is wrong: the venue has no such market, or its clock has not come so far.
                _log.warning("a hole in %s %s %s could not be filled: %s", *key, error)
                self._add(failed=1)
            else:
                self._add(filled=report.added, failed=int(not report.complete))
