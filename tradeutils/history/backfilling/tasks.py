"""
A backfill spread over workers: each takes some symbols, opens the store and an exchange of its own, and fills them.

What goes to a worker is a path, names, times and the function that opens an exchange; what comes back is a report.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from tradeutils import timeframe as _timeframe
from tradeutils.budget import LocalBudget
from tradeutils.errors import UnknownName, UsageError, VenueError
from tradeutils.history.backfilling.asking import CandleExchange
from tradeutils.history.backfilling.disk import Disk
from tradeutils.history.backfilling.lane import Lane
from tradeutils.history.backfilling.report import Missing, Progress, SeriesBackfill
from tradeutils.history.backfilling.run import Run
from tradeutils.history.executors import check_executor, check_function
from tradeutils.history.tasks import each_group
from tradeutils.model.stored import Executors

if TYPE_CHECKING:
    from tradeutils.history.writing import WritingHistory

__all__ = ["OpenExchange", "Order", "check_shared", "in_other_processes", "spread"]

OpenExchange: TypeAlias = Callable[[], AbstractAsyncContextManager[CandleExchange]]
"""Opens an exchange where it is called; a worker elsewhere must be able to import it."""

Groups: TypeAlias = "Generator[tuple[tuple[str, ...], tuple[SeriesBackfill, ...]], None, None]"

_GROUP: Final = 8  # symbols a task: one exchange is opened for them, and a worker that dies costs their last pieces


@dataclass(frozen=True, slots=True)
class Order:
    """
    What every worker is told.

    Attributes
    ----------
    path : str
        The store.
    open_exchange : callable
        See `OpenExchange`.
    timeframes : tuple of str
    since, until : int
        ms UTC, the same for all.
    concurrency : int
    derive : bool
    apart : bool
        The worker may be a process of its own.
    min_free, seal_rows : int
        Of the caller's `History`.
    """

    path: str
    open_exchange: OpenExchange
    timeframes: tuple[str, ...]
    since: int
    until: int
    concurrency: int
    derive: bool
    apart: bool
    min_free: int
    seal_rows: int

    def __call__(self, symbols: tuple[str, ...]) -> tuple[SeriesBackfill, ...]:
        """Fill some symbols; a venue that does not even tell its time is told in the report, as what fails later is."""
        try:
            return asyncio.run(self._fill(symbols))
        except (VenueError, UnknownName) as error:  # unknown since the caller has looked
            return tuple(self._failed(symbols, f"{type(error).__name__}: {error}"))

    def _failed(self, symbols: Sequence[str], words: str) -> Iterable[SeriesBackfill]:
        for symbol, name in itertools.product(symbols, self.timeframes):
            frame = _timeframe.parse(name)
            since, until = frame.ceil(self.since), frame.floor(self.until)
            missing = [Missing(since=since, until=until, bars=frame.count(since, until), reason="failed", detail=words)]
            yield SeriesBackfill(symbol=symbol, timeframe=name, missing=tuple(missing if since < until else ()))

    async def _fill(self, symbols: Sequence[str]) -> tuple[SeriesBackfill, ...]:
        from tradeutils.history.backfilling.call import backfill  # which knows this module
        from tradeutils.history.history import History

        async with self.open_exchange() as exchange:
            if self.apart:
                check_shared(exchange)
            with History(self.path, min_free=self.min_free, seal_rows=self.seal_rows) as history:
                report = await backfill(
                    history,
                    exchange,
                    symbols,
                    self.timeframes,
                    since=self.since,
                    until=self.until,
                    concurrency=self.concurrency,
                    derive=self.derive,
                )
        return report.series


def check_shared(exchange: CandleExchange) -> None:
    """Refuse an exchange whose budget other processes know nothing of: each would spend the whole limit."""
    if isinstance(getattr(exchange, "budget", None), LocalBudget):
        raise UsageError(
            f"executor starts other processes, and the budget of {exchange.venue} is of one process alone: each would "
            "spend the whole limit, and the venue would ban them; open the exchange with a cache on Redis, "
            'as in Exchange(..., cache=Cache("redis://localhost:6379/0")), or give a ThreadPoolExecutor'
        )


async def spread(
    history: WritingHistory,
    exchange: CandleExchange,
    executor: Executors,
    order: Order,
    lanes: Sequence[Lane],
    progress: Callable[[Progress], object] | None,
) -> list[SeriesBackfill]:
    """
    Have workers fill the series; return what became of each, in order.

    Cancelled, it waits for the groups under way: a worker elsewhere cannot be told to stop.
    """
    check_function(order.open_exchange, executor)
    # What is given up already is told of here: a worker with nothing but unknown symbols would call that a mistake.
    told = await Run(history, exchange, [lane for lane in lanes if lane.over]).work()
    found = {(one.symbol, one.timeframe): one for one in told}
    wanted = list(dict.fromkeys(lane.symbol for lane in lanes if not lane.over))
    tally = _Tally(sum(lane.frame.count(lane.since, lane.until) for lane in lanes if not lane.over), progress)
    disk = Disk()
    try:
        await disk(_let_go, history, wanted, order.timeframes)
        size = max(1, min(_GROUP, math.ceil(len(wanted) / 2)))
        groups = cast(Groups, each_group(order, wanted, executor=executor, group=size))
        try:
            while (group := await disk(next, groups, None)) is not None:
                found |= {(one.symbol, one.timeframe): one for one in group[1]}
                tally.add(group[1])
        finally:
            await disk(groups.close)
    finally:
        disk.close()
    return [found[lane.symbol, lane.frame.name] for lane in lanes]


class _Tally:
    """Counts what workers have done; bars that were known count too, as only they find out how many those are."""

    def __init__(self, total: int, progress: Callable[[Progress], object] | None) -> None:
        self._total, self._progress = total, progress
        self._done = self._brought = self._calls = 0
        self._began = time.monotonic()

    def add(self, series: Sequence[SeriesBackfill]) -> None:
        # By the workers' time a few bars more may be over.
        self._done = min(self._done + sum(one.asked + one.known for one in series), self._total)
        self._brought += sum(one.asked for one in series)
        self._calls += sum(one.calls for one in series)
        if self._progress is not None:
            self._progress(
                Progress.at(
                    series[-1].symbol, series[-1].timeframe, self._done, self._total, self._calls,
                    time.monotonic() - self._began, self._brought,
                )
            )  # fmt: skip


def in_other_processes(executor: Executors) -> bool:
    """Tell whether its workers may be other processes: all but threads."""
    check_executor(executor)
    return not isinstance(executor, ThreadPoolExecutor)


def _let_go(history: WritingHistory, symbols: Sequence[str], timeframes: Sequence[str]) -> None:
    """Give back the locks of series that workers are to write."""
    for key in history.series(symbols=symbols):
        if key.timeframe in timeframes:
            with history.store.writing(key) as writer:
                writer.close()
