"""Part of a history, named but not read: what goes to workers, which read it where they are."""

from __future__ import annotations

import pathlib
import platform
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Generic, Literal, TypeVar

import numpy as np

from tradeutils import timeframe as _timeframe
from tradeutils.errors import HistoryError, UnknownName, UsageError
from tradeutils.history.executors import check_executor, check_function
from tradeutils.history.opened import ExchangeLike, name_of_exchange
from tradeutils.history.panels import panel_range, read_panel
from tradeutils.history.reading import ReadingHistory
from tradeutils.history.store import SeriesKey
from tradeutils.history.store.series import Series
from tradeutils.history.tasks import each_group
from tradeutils.model import Candles, Panel
from tradeutils.model.stored import Executors
from tradeutils.timeframe import Instant, Timeframe

__all__ = ["Selection", "select"]

_Result = TypeVar("_Result")

_BAR_BYTES: Final = 40  # of one symbol in a panel
_MOST_BYTES: Final = 64 << 20  # of the panel of one task
_WHOLES: Final = ("panel", "candles")


@dataclass(frozen=True, slots=True, repr=False)
class Selection:
    """
    Candles of some symbols in one range, on disk; from ``history.select(...)``.

    It holds no candles but says where they are, so it costs nothing to keep or to send to other processes.
    ``Indicators(selection).compute(specs, executor=pool)`` and the functions of ``analysis`` take it where they take a
    Panel; `map` does the same for any function.

    Attributes
    ----------
    path : str
        Folder of the history, absolute. Workers on other machines must see it under the same name.
    exchange, timeframe : str
    symbols : tuple of str, length S
    since, until : int
        The range ``[since, until)``, in ms UTC, on the grid of the timeframe. It was settled when the selection was
        made: candles that are added after ``until`` meanwhile are in no task.
    """

    path: str
    exchange: str
    symbols: tuple[str, ...]
    timeframe: str
    since: int
    until: int

    def __repr__(self) -> str:
        span = " .. ".join(str(np.datetime64(time, "ms")) for time in (self.since, self.until))
        return f"<Selection {self.exchange} {self.timeframe}: {len(self.symbols)} symbols, {span}, in {self.path!r}>"

    @property
    def shape(self) -> tuple[int, int]:
        """Bars and symbols of the panel: (T, S)."""
        return _timeframe.parse(self.timeframe).count(self.since, self.until), len(self.symbols)

    def panel(self, *, threads: int | None = None) -> Panel:
        """
        Read all of it as one panel: what ``history.panel`` returned for the same range, to the last bit.

        Parameters
        ----------
        threads : int, optional
            That read. Default: one for each core.

        Raises
        ------
        HistoryError : the folder is not there, on this machine.
        HistoryCorrupt : a file is damaged; it is named.
        """
        with self._opened() as history:
            return read_panel(
                partial(_series, history, self),
                self.exchange,
                self.symbols,
                self.timeframe,
                self.since,
                self.until,
                threads=threads,
            )

    def candles(self) -> Iterator[Candles]:
        """Read one symbol after another, in their order; one that has nothing in the range comes empty."""
        with self._opened() as history:
            for symbol in self.symbols:
                yield history.read(self.exchange, symbol, self.timeframe, self.since, self.until)

    def map(
        self,
        function: Callable[..., _Result],
        *,
        executor: Executors | None = None,
        whole: Literal["panel", "candles"] = "panel",
        group: int | None = None,
        ordered: bool = False,
    ) -> Iterator[tuple[tuple[str, ...], _Result]]:
        """
        Call a function for groups of symbols, where an executor runs it, and yield what it returned.

        Parameters
        ----------
        function : callable
            Takes a Panel of some of the symbols (of all bars, ``shape[0]`` rows), or the Candles of one. For other
            processes it must be importable: a function at the top of a module, or ``functools.partial`` of one.
        executor : Executor or Dask Client, optional
            A ``ThreadPoolExecutor``, a ``ProcessPoolExecutor``, any other ``concurrent.futures.Executor``, or the
            Client of a cluster. It stays open. Default: this thread computes, whenever a result is asked for.
        whole : str
            ``"panel"``: one call for each group. ``"candles"``: one for each symbol, though a task takes several.
        group : int, optional
            Symbols a task. Default: as many as take 50 ms and more, as measured on those before; panels of up to
            64 MiB. A function that looks at several symbols at once needs a ``group``, or sees whichever come together.
        ordered : bool
            Yield in the order of the symbols. Default: the first that is done.

        Yields
        ------
        tuple of str, result
            The symbols, in their order, and what the function returned for them.

        Raises
        ------
        UsageError : no executor, or a function that cannot be sent to it.
        HistoryError : workers died at the same symbols three times; they are named.
        Exception : what the function raised, with a note that names the symbols. The rest is cancelled.

        Notes
        -----
        Tasks carry names and times, no candles: workers read what they need, and use one thread each. A worker that
        dies costs time only, what it had is done again. At most two tasks a worker are under way or wait to be asked
        for; leaving the loop early cancels the others and waits for those that run.

        A task costs 0.2 ms in a pool of processes; on Dask tasks of 50 ms take 4 % longer than the workers need.
        """
        check_executor(executor)
        check_function(function, executor)
        if whole not in _WHOLES:
            raise UnknownName("whole", whole, _WHOLES)
        bars = max(1, self.shape[0])
        task = _Task(replace(self, symbols=()), function, whole == "candles", executor is not None)
        most = max(1, _MOST_BYTES // (_BAR_BYTES * bars))
        found = each_group(task, self.symbols, executor=executor, group=group, most=most, ordered=ordered)
        return _one_by_one(found) if whole == "candles" else found

    def _opened(self) -> ReadingHistory:
        if not pathlib.Path(self.path).is_dir():
            raise HistoryError(
                f"{self.path} is not there on {platform.node()}; every worker must see the history under this path"
            )
        return ReadingHistory(self.path, read_only=True)


def _series(history: ReadingHistory, selection: Selection, symbol: str) -> Series:
    # Not found(), which asks the disk: that the series is there was seen when the selection was made.
    return history.store.series(SeriesKey(selection.exchange, symbol, selection.timeframe))


@dataclass(frozen=True, slots=True)
class _Task(Generic[_Result]):
    """What goes to a worker: where the candles are, and what to do with them."""

    selection: Selection
    function: Callable[..., _Result]
    each: bool
    """Whether the function is called for the candles of each symbol."""
    shared: bool
    """Whether others compute beside it, on the same cores."""

    def __call__(self, symbols: tuple[str, ...]) -> Any:
        """Read the candles of these symbols, and call the function."""
        # Here, as it brings all indicators with it: 60 ms that who only selects need not spend.
        from tradeutils.indicators.threads import threads_at_most

        part = replace(self.selection, symbols=symbols)
        with threads_at_most(1) if self.shared else nullcontext():
            if self.each:
                return [self.function(candles) for candles in part.candles()]
            return self.function(part.panel(threads=1 if self.shared else None))


def _one_by_one(
    groups: Generator[tuple[tuple[str, ...], Any], None, None],
) -> Iterator[tuple[tuple[str, ...], Any]]:
    with closing(groups):
        for symbols, results in groups:
            for symbol, result in zip(symbols, results, strict=True):
                yield (symbol,), result


def select(
    history: ReadingHistory,
    exchange: ExchangeLike,
    symbols: Iterable[str] | None,
    timeframe: str | Timeframe,
    since: Instant | None = None,
    until: Instant | None = None,
    *,
    limit: int | None = None,
) -> Selection:
    """Return what `History.select` returns."""
    name, frame = name_of_exchange(exchange), _timeframe.parse(timeframe).name
    if symbols is None:
        symbols = [key.symbol for key in history.series(name, frame)]
        if not symbols:
            raise UsageError(
                f"there is no {name} {frame} in {history.path}; backfill it, or look at history.series() for what is"
            )
    wanted, (first, end) = panel_range(
        partial(history.found, name, timeframe=frame), symbols, frame, since, until, limit=limit
    )
    return Selection(str(history.path), name, wanted, frame, first, end)
