"""
Our own threads: kernels release the GIL and run over blocks of symbols side by side.

A caller takes part in its own work and takes back what no thread has begun, so any number of Python threads may
call at once, and a call finishes even where every thread of the pool is busy elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from operator import index
from typing import Any, Final

from tradeutils.errors import SettingsError, UsageError

__all__ = ["building", "fork_lock", "run_all", "thread_count", "threads_at_most"]

_VARIABLE: Final = "TRADEUTILS_THREADS"
_at_most: Final[ContextVar[int | None]] = ContextVar("tradeutils_threads", default=None)


def fork_lock() -> AbstractContextManager[Any]:
    """
    Return a lock for a module, which one thread may take twice, and which a fork waits for.

    A child would otherwise find it held, for ever, by a thread that it has not got.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


building: Final = fork_lock()
"""Held while kernels are imported and compiled: Python's and numba's own locks do not survive a fork either."""


@contextmanager
def threads_at_most(count: int) -> Iterator[None]:
    """Use no more than so many threads for what does not say how many: others share the cores of this machine."""
    token = _at_most.set(count)
    try:
        yield
    finally:
        _at_most.reset(token)


def thread_count(threads: int | None) -> int:
    """
    Return how many threads to use: ``threads``, else TRADEUTILS_THREADS, else every core this process may run on.

    Of the last two never more than :func:`threads_at_most` says.

    Raises
    ------
    UsageError : ``threads`` is not a whole number of at least 1.
    SettingsError : TRADEUTILS_THREADS is not.
    """
    if threads is not None:
        if isinstance(threads, bool) or not hasattr(threads, "__index__") or threads < 1:
            raise UsageError(f"threads was {threads!r}; write a whole number from 1, or None for all cores")
        return index(threads)
    most = _at_most.get()
    return _usual_count() if most is None else min(most, _usual_count())


def _usual_count() -> int:
    named = os.environ.get(_VARIABLE, "").strip()
    if named:
        if not named.isdecimal() or int(named[:9]) < 1:
            raise SettingsError(f"{_VARIABLE} was {named!r}; write a whole number from 1, or unset it for all cores")
        return int(named[:9])
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def run_all(tasks: Sequence[Callable[[], None]], threads: int) -> None:
    """
    Run every task, on up to ``threads`` threads of which the caller's is one; return when all are done.

    Once a task has failed no other is begun, and its failure is raised when none is running any more.
    """
    if threads == 1 or len(tasks) == 1:
        for task in tasks:
            task()
        return
    left = deque(tasks)

    def drain() -> None:
        while True:
            try:
                task = left.popleft()
            except IndexError:
                return
            try:
                task()
            except BaseException:
                left.clear()
                raise

    helpers = _pool.submit(drain, min(threads, len(tasks)) - 1)
    try:
        drain()
    finally:
        # Even where a task failed: the arrays being written must not be handed back before the writing stops.
        failures = [helper.exception() for helper in helpers if not helper.cancel()]
    for failure in failures:
        if failure is not None:
            raise failure


class _Pool:
    """A thread pool that is made on first use and made anew in a forked child, which inherits no threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler, or the collector of garbage, may come back to it
        self._executor: ThreadPoolExecutor | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def submit(self, function: Callable[[], None], count: int) -> list[Future[None]]:
        """Ask for ``function`` to be run ``count`` times; fewer, or none, while the interpreter shuts down."""
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="tradeutils-indicators")
            executor = self._executor
        futures = []
        for _ in range(count):
            try:
                futures.append(executor.submit(function))
            except RuntimeError:  # no new threads after shutdown has begun: the caller does the work alone
                break
        return futures

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._executor = None


_pool: Final = _Pool()
