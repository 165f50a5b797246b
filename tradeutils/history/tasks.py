"""
Work on many symbols, spread over workers: in groups, streamed back, and done again where a worker died.

What is to be done is a callable that takes symbols: it goes to the workers with the names in it, and reads what it
needs where it runs. Arrays travel back only.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, InvalidStateError, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

from tradeutils.errors import HistoryError, UsageError
from tradeutils.history.executors import Crew, check_executor, death_of, unreadable
from tradeutils.history.grouping import Groups
from tradeutils.model.stored import Executors

__all__ = ["TRIES", "each_group"]

_Result = TypeVar("_Result")
Work: TypeAlias = Callable[[tuple[str, ...]], _Result]

TRIES: Final = 3
"""How often a task is begun whose worker dies; the last time alone, so that no other can be what killed it."""

# Tasks handed out, or done and not asked for yet, for each worker. With one, a Dask worker idles between tasks: 11 ms
# for a task of nothing. With two 5.5 ms, and tasks of 50 ms take 4 % longer than the workers need; with sixteen 2.5 ms,
# and eight times the results wait here.
_AHEAD: Final = 2

_SILENCE: Final = 2.0
"""Seconds without an answer after which a pool is looked at."""


def each_group(
    work: Work[_Result],
    symbols: Sequence[str],
    *,
    executor: Executors | None = None,
    group: int | None = None,
    most: int | None = None,
    ordered: bool = False,
) -> Generator[tuple[tuple[str, ...], _Result], None, None]:
    """
    Do something for groups of symbols and yield what it returned, as groups are done.

    Parameters
    ----------
    work : callable
        Takes a tuple of symbols. For other processes it must be picklable, as a function at the top of a module is, or
        an instance of a class there. It may be begun several times for the same symbols: where a worker dies.
    symbols : sequence of str
        In this order they are grouped.
    executor : Executor or Dask Client, optional
        Default: this thread does the work, a group whenever one is asked for.
    group : int, optional
        Symbols a group. Default: as many as take 50 ms and more, measured as it goes.
    most : int, optional
        Never more than so many: what memory allows.
    ordered : bool
        Yield in the order of the symbols. Default: the first that is done.

    Yields
    ------
    tuple of str, result
        Every symbol is in one group.

    Raises
    ------
    UsageError : no executor, or one that is shut down; ``group`` below 1.
    HistoryError : workers died at the same symbols three times; they are named.
    Exception : what ``work`` raised, with a note that names the symbols; the rest is cancelled.

    Notes
    -----
    At most twice as many groups as there are workers are handed out or wait to be asked for. Where the iterator is
    left early, what has not begun is cancelled, and what has is waited for.
    """
    check_executor(executor)
    if group is not None and (isinstance(group, bool) or not isinstance(group, int) or group < 1):
        raise UsageError(f"group was {group!r}; write how many symbols a task takes, from 1, or None to measure it")
    groups = Groups(symbols, size=group, most=most)
    return _here(work, groups) if executor is None else _Run(work, groups, Crew(executor), ordered).results()


def _here(work: Work[_Result], groups: Groups) -> Generator[tuple[tuple[str, ...], _Result], None, None]:
    while symbols := groups.take(1):
        seconds, result = _told(partial(_timed, work, symbols, 0), symbols)
        groups.learn(len(symbols), seconds)
        yield symbols, result


def _timed(work: Work[_Result], symbols: tuple[str, ...], tries: int) -> tuple[float, _Result]:
    """Run where the worker is; ``tries`` makes each try another call, for executors that keep results of calls."""
    started = time.perf_counter()
    result = work(symbols)
    return time.perf_counter() - started, result


def _told(call: Callable[[], _Result], symbols: tuple[str, ...]) -> _Result:
    """Return what a call returns; an error of it gets a note that names the symbols."""
    try:
        return call()
    except Exception as error:
        error.add_note(f"at {_named(symbols)}")
        raise


def _named(symbols: tuple[str, ...]) -> str:
    return ", ".join(symbols[:8]) + (f" and {len(symbols) - 8} more" if len(symbols) > 8 else "")


def _end(future: Future[Any], error: BaseException) -> None:
    """End a task that nobody else will; where somebody just has, that stands."""
    with contextlib.suppress(InvalidStateError):
        future.set_exception(error)


@dataclass(slots=True)
class _Group:
    number: int
    symbols: tuple[str, ...]
    tries: int = 0
    generation: int = 0

    @property
    def alone(self) -> bool:
        """Whether nothing else may run beside it: it was there at each of several deaths."""
        return self.tries >= TRIES - 1


class _Run(Generic[_Result]):
    """One run over all groups."""

    def __init__(self, work: Work[_Result], groups: Groups, crew: Crew, ordered: bool) -> None:
        self._work = work
        self._groups = groups
        self._crew = crew
        self._workers = crew.workers()
        self._pending: dict[Future[tuple[float, _Result]], _Group] = {}
        self._again: deque[_Group] = deque()
        self._kept: dict[int, tuple[tuple[str, ...], _Result]] = {}  # done, and not their turn yet
        self._ordered = ordered
        self._begun = 0
        self._ended = 0

    def results(self) -> Generator[tuple[tuple[str, ...], _Result], None, None]:
        """Yield the symbols and the result of each group."""
        due = 0
        try:
            while self._hand_out():
                for future in self._over():
                    group = self._pending.pop(future)
                    if (death := death_of(future)) is not None:
                        self._lost(group, death)
                        continue
                    seconds, result = _told(future.result, group.symbols)
                    self._note(group, seconds)
                    self._kept[group.number if self._ordered else due] = (group.symbols, result)
                    del result
                    while due in self._kept:
                        yield self._kept.pop(due)
                        due += 1
        finally:
            self._crew.leave(self._pending)

    def _over(self) -> set[Future[tuple[float, _Result]]]:
        """Wait until some are over; those that a pool forgot which broke as it took them are ended here."""
        while not (done := wait(self._pending, _SILENCE, FIRST_COMPLETED).done):
            forgotten = [future for future, group in self._pending.items() if self._is_forgotten(group)]
            # The pool tells of the others in a moment.
            if forgotten and not wait(self._pending, _SILENCE, FIRST_COMPLETED).done:
                for future in forgotten:
                    _end(future, BrokenExecutor("the pool broke as it was handed this"))
        return done

    def _is_forgotten(self, group: _Group) -> bool:
        """Tell whether it was given to a pool that broke: such a one has told of all that it knows of, or soon will."""
        return group.generation != self._crew.generation or self._crew.is_broken

    def _hand_out(self) -> bool:
        """Hand out as much as may be; tell whether anything is under way."""
        while (group := self._next()) is not None:
            group.generation = self._crew.generation
            try:
                future = self._crew.submit(_timed, self._work, group.symbols, group.tries)
            except BrokenExecutor as death:
                self._lost(group, death)
            else:
                self._pending[future] = group
        return bool(self._pending)

    def _next(self) -> _Group | None:
        """Return what is to be handed out now, if anything."""
        if any(group.alone for group in self._pending.values()):
            return None
        if self._again:
            return None if self._again[0].alone and self._pending else self._again.popleft()
        ahead = _AHEAD if self._groups.known else 1  # at first no more than are measured side by side
        if len(self._pending) + len(self._kept) >= ahead * self._workers:
            return None
        symbols = self._groups.take(self._workers)
        if not symbols:
            return None
        self._begun += 1
        return _Group(self._begun - 1, symbols)

    def _note(self, group: _Group, seconds: float) -> None:
        self._groups.learn(len(group.symbols), seconds)
        self._ended += 1
        if self._ended % (_AHEAD * self._workers) == 0:
            self._workers = self._crew.workers()  # a cluster grows and shrinks

    def _lost(self, group: _Group, death: BaseException) -> None:
        """Have a group done again whose worker died."""
        group.tries += 1
        if group.tries >= TRIES:
            if (why := unreadable(death)) is not None:
                raise HistoryError(
                    f"what came back from a worker for {_named(group.symbols)} cannot be unpickled here ({why}); "
                    "the function must return, and raise, what pickle brings back"
                ) from death
            raise HistoryError(
                f"workers died {group.tries} times at {_named(group.symbols)} ({death}); without executor= it runs "
                "here and tells why. Too little memory, and a script that starts processes without "
                'if __name__ == "__main__":, are the usual causes'
            ) from death
        self._crew.replace(group.generation, death)
        self._again.append(group)
