"""What ``executor=`` may be, and what takes its place when it breaks."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from functools import partial
from multiprocessing.connection import wait as ready_of
from multiprocessing.process import BaseProcess
from typing import Any, Final

from tradeutils.errors import HistoryError, UsageError
from tradeutils.model.stored import Cluster, Executors

__all__ = ["Crew", "check_executor", "check_function", "death_of", "unreadable"]

_log = logging.getLogger("tradeutils.history")

_PATIENCE: Final = 10.0
"""Seconds to wait for a cluster to confirm that tasks are cancelled; one that is gone never does."""

_PAUSE: Final = 0.5
"""Seconds that the server which forks processes is given to go, before another is asked for one."""


def check_executor(executor: object) -> None:
    """Refuse with ``UsageError`` what is no executor and has none, and a client that answers coroutines only."""
    if isinstance(executor, type):
        raise UsageError(f"executor was the class {executor.__name__}; make one: executor={executor.__name__}(...)")
    if getattr(executor, "asynchronous", False) is True:
        raise UsageError("executor was an asynchronous Client; give one that was made without asynchronous=True")
    if executor is None or isinstance(executor, Executor | Cluster) or callable(getattr(executor, "submit", None)):
        return
    how = "give a ThreadPoolExecutor, a ProcessPoolExecutor, a Dask Client, or None to compute here"
    if callable(getattr(executor, "get_client", None)):
        how = "that is a cluster: give its client, executor=Client(cluster)"
    raise UsageError(f"executor was {type(executor).__name__}; {how}")


def check_function(function: Callable[..., Any], executor: Executors | None) -> None:
    """
    Refuse a function that a pool of processes cannot be sent.

    Raises
    ------
    UsageError : not callable; or a lambda, a function inside another, or one typed in by hand, for other processes.
    """
    if not callable(function):
        raise UsageError(f"function was {function!r:.60}; give one that takes a Panel (whole='candles': Candles)")
    if not isinstance(executor, ProcessPoolExecutor):
        return
    plain: Any = function
    while isinstance(plain, partial):
        plain = plain.func
    owner = plain if hasattr(plain, "__qualname__") else type(plain)
    name, module = str(owner.__qualname__), getattr(owner, "__module__", None)
    if "<" in name:
        raise UsageError(
            f"function was {name}, which another process cannot import; write it with def at the top of a module, "
            "and give what it takes besides by functools.partial(function, period=14)"
        )
    main = sys.modules.get("__main__")
    if module == "__main__" and not hasattr(main, "__file__") and _start_method(executor) != "fork":
        raise UsageError(
            f"function was {name}, typed in by hand, which a process that is started afresh cannot import; "
            "write it in a module"
        )


def _start_method(executor: ProcessPoolExecutor) -> str | None:
    # The pool tells nobody how it starts its processes; without its own word nothing is assumed.
    context = getattr(executor, "_mp_context", None)
    return None if context is None else str(context.get_start_method())


def death_of(future: Future[Any]) -> BaseException | None:
    """Return why a task that is over was lost with its worker; ``None`` where it came to an end of its own."""
    if future.cancelled():  # not by us
        return CancelledError("the executor gave the task up")
    error = future.exception()
    if isinstance(error, BrokenExecutor):
        return error
    # Dask is never imported here. It tries a task on four workers before it says this.
    if (
        error is not None
        and type(error).__name__ == "KilledWorker"
        and type(error).__module__.startswith("distributed")
    ):
        return error
    return None


def unreadable(death: BaseException) -> str | None:
    """Return why the answer of a worker could not be read, if that broke the pool; ``None`` where a worker died."""
    # The standard library closes the pool in both cases, and only then says more: a traceback, as text, in quotes.
    if death.__cause__ is None or not isinstance(death, BrokenExecutor):
        return None
    lines = [line for line in str(death.__cause__).splitlines() if line.strip("'\"")]  # quoted as a whole
    return lines[-1] if lines else None


class Crew:
    """
    The workers of one run.

    Parameters
    ----------
    executor : Executor or Dask Client
        Stays the caller's, and is not shut down.

    Attributes
    ----------
    generation : int
        How often what breaks was replaced.
    """

    def __init__(self, executor: Executors) -> None:
        self.generation = 0
        self._client: Any = executor if isinstance(executor, Cluster) else None
        # Not pure: a task that is tried again must not get the failure of the first try.
        self._executor = executor.get_executor(pure=False) if isinstance(executor, Cluster) else executor
        self._made: Executor | None = None

    def workers(self) -> int:
        """Return how many tasks run side by side, as far as the executor tells; of a cluster, now."""
        if callable(getattr(self._client, "nthreads", None)):
            return max(1, int(sum(self._client.nthreads().values())))
        told = getattr(self._executor, "_max_workers", None)  # both pools of the standard library know it, unasked
        return told if isinstance(told, int) and told > 0 else os.cpu_count() or 1

    def submit(self, function: Callable[..., Any], *given: Any) -> Future[Any]:
        """
        Hand a task out.

        Raises
        ------
        BrokenExecutor : a worker has died and took the pool with it, or none could be started.
        UsageError : the executor was shut down.
        HistoryError : the cluster is gone.
        """
        if self._gone:
            raise HistoryError(
                "the connection to the cluster was closed while it was at work; what was yielded is done, connect "
                "again for the rest"
            )
        if _has_lost_a_process(self._executor):
            raise BrokenExecutor("a process of the pool has died")
        try:
            return self._executor.submit(function, *given)
        except BrokenExecutor:
            raise
        except Exception as error:
            # It broke meanwhile and has closed what a process that it starts would be given: OSError, EOFError, and
            # ValueError where the number is another file's by now.
            if self.is_broken:
                raise BrokenExecutor(f"the pool broke as it was handed a task ({error})") from None
            # The server that forks the processes of a pool dies where another pool breaks amid a start; the next start
            # finds it gone and makes another, unless it comes while that one is on its way out.
            if isinstance(error, ConnectionError) and isinstance(self._executor, ProcessPoolExecutor):
                time.sleep(_PAUSE)
                raise BrokenExecutor(f"the pool could start no process ({error})") from None
            if isinstance(error, RuntimeError):
                raise UsageError(f"executor takes no more tasks ({error}); give one that is not shut down") from error
            raise

    @property
    def is_broken(self) -> bool:
        """Whether it is a pool that has lost a process; what it was handed in that moment it may have forgotten."""
        return isinstance(self._executor, ProcessPoolExecutor) and bool(getattr(self._executor, "_broken", False))

    def replace(self, generation: int, why: BaseException) -> None:
        """Put another in the place of a pool that broke, unless that has been done since ``generation``."""
        if not isinstance(why, BrokenExecutor) or self._client is not None or generation != self.generation:
            return  # a cluster replaces its workers by itself
        self.generation += 1
        broken = self._executor
        _end_workers(broken)
        self._close_made()
        fresh = _another(broken)
        if fresh is None:
            _log.warning("%s broke (%s): the rest runs in this process", type(broken).__name__, why)
            fresh = ThreadPoolExecutor(1, thread_name_prefix="tradeutils-history")
        else:
            _log.warning("a worker died (%s): what it had is done again by a fresh pool", why)
        self._executor = self._made = fresh

    def leave(self, futures: Collection[Future[Any]]) -> None:
        """Cancel what has not begun, wait for what has, and end what we made ourselves."""
        if self._client is not None:
            if not self._gone:
                # By way of the cluster: a future cancelled here would be told of its result by Dask, and complain.
                self._executor.shutdown(wait=False)
            wait(futures, timeout=_PATIENCE)
            return
        wait([future for future in futures if not future.cancel()])
        self._close_made()

    @property
    def _gone(self) -> bool:
        """Whether the cluster's client was closed, by the caller or because the scheduler is not there any more."""
        return getattr(self._client, "status", None) in ("closing", "closed")

    def _close_made(self) -> None:
        if self._made is not None:
            self._made.shutdown(wait=True, cancel_futures=True)
            self._made = None


def _processes_of(pool: Executor) -> list[BaseProcess]:
    """Return the processes of a pool as it is now; none of what is no pool of processes, or is shut down."""
    return list((getattr(pool, "_processes", None) or {}).values()) if isinstance(pool, ProcessPoolExecutor) else []


def _has_lost_a_process(pool: Executor) -> bool:
    """
    Tell whether a process has died, which the pool may not know yet.

    Handed a task then, it may start a process while it ends the others, and fail at either.
    """
    return bool(ready_of([process.sentinel for process in _processes_of(pool)], timeout=0))


def _end_workers(broken: Executor) -> None:
    """
    End what is left of a pool that broke.

    It ends its processes itself, but not one that a task started which was handed out while it did so: before Python
    3.13 that one waits for ever for a lock which the dead one held, and `shutdown` for it (1 of 10 pools whose worker
    was killed just before a task came).
    """
    for process in _processes_of(broken):
        process.kill()


def _another(broken: Executor) -> Executor | None:
    """Return a pool like the one that broke; ``None`` where we cannot tell what it was made of."""
    if type(broken) is not ProcessPoolExecutor:
        return None
    kept = {"max_workers": "_max_workers", "mp_context": "_mp_context", "initializer": "_initializer",
            "initargs": "_initargs", "max_tasks_per_child": "_max_tasks_per_child"}  # fmt: skip
    if not all(hasattr(broken, attribute) for attribute in kept.values()):
        return None
    return ProcessPoolExecutor(**{name: getattr(broken, attribute) for name, attribute in kept.items()})
