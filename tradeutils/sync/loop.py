"""The event loop that all blocking objects share, and what makes a blocking object of an asynchronous one."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import contextvars
import functools
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, Self, TypeVar

from tradeutils.errors import Closed, UsageError

__all__ = ["Blocking", "blocking", "called", "on_own_thread", "run"]

P = ParamSpec("P")
R = TypeVar("R")

_EXIT_WAIT_S: Final = 2.0  # how long the end of the process waits for connections to close


class Loop:
    """One event loop in a daemon thread, started on first use and again in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.ended = False
        self._open: weakref.WeakSet[Blocking[Any]] = weakref.WeakSet()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run ``coroutine`` on the loop and wait for it; Ctrl-C cancels it."""
        if self.ended:
            coroutine.close()
            raise Closed("the process is ending, and blocking objects were closed; use them before that")
        loop = self._started()
        if threading.get_ident() == getattr(loop, "_thread_id", None):
            coroutine.close()
            raise UsageError(
                "a blocking call was made on the event loop's own thread; await the asynchronous API there"
            )
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result()
        finally:
            future.cancel()  # no effect once done; after Ctrl-C it ends the work

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="tradeutils-sync", daemon=True)
                self._thread.start()
            return self._loop

    def remember(self, opened: Blocking[Any]) -> None:
        self._open.add(opened)

    def close_all(self) -> None:
        """Close what was left open, so that the process ends without warnings."""
        with self._lock:
            self.ended = True
        if self._loop is None or self._thread is None:
            return
        for opened in list(self._open):
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(opened._twin.aclose(), self._loop).result(_EXIT_WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_EXIT_WAIT_S)


_loop = Loop()
atexit.register(lambda: _loop.close_all())


def _after_fork() -> None:
    global _loop
    _loop = Loop()  # threads do not survive a fork


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


def run(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine on the loop and wait for it; Ctrl-C cancels it."""
    return _loop.run(coroutine)


async def called(function: Callable[[], R]) -> R:
    """Call a function on the loop, where the asynchronous objects live."""
    return function()


async def on_own_thread(function: Callable[[], R]) -> R:
    """Run ``function`` on a new thread: a pool of any size would run dry where fetches ask for one another."""
    outcome: concurrent.futures.Future[R] = concurrent.futures.Future()

    def work() -> None:
        try:
            result = context.run(function)
        except BaseException as error:  # noqa: BLE001  # whatever it raises belongs to who waits
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    context = contextvars.copy_context()
    threading.Thread(target=work, name="tradeutils-fetch", daemon=True).start()
    return await asyncio.wrap_future(outcome)


class Closable(Protocol):
    async def aclose(self) -> None: ...


Twin = TypeVar("Twin", bound=Closable)


class Blocking(Generic[Twin]):
    """What all blocking objects share: the twin, the loop it lives on, and how they end."""

    _twin: Twin

    def _live(self, make: Callable[[], Twin]) -> None:
        self._pid = os.getpid()
        self._twin = _loop.run(called(make))
        _loop.remember(self)

    @classmethod
    def _around(cls, twin: Twin) -> Self:
        """Return the blocking form of an object that lives on the loop already."""
        made = cls.__new__(cls)
        made._pid = os.getpid()
        made._twin = twin
        return made

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise Closed(f"this {type(self).__name__} was opened before a fork; open another in the new process")

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        try:
            self._check_process()
        except Closed:
            coroutine.close()
            raise
        return _loop.run(coroutine)

    def __repr__(self) -> str:
        return f"<sync {self._twin!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Safe to call twice, and at the end of the process."""
        if not _loop.ended:
            self._run(self._twin.aclose())


def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Any, P], R]:
    """Return the blocking form of a twin's coroutine method: signature, types and docstring are the twin's."""

    @functools.wraps(method)
    def call(self: Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._run(method(self._twin, *args, **kwargs))

    return call
