"""What ccxt's class starts beside the messages: snapshots over REST, and what it puts on the clock."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Final

__all__ = ["Chores"]

# Binance's class looks for its clients among dicts, finds none, and renews once: an hour later the key has expired.
_RENEWS: Final = "keep_alive_listen_key"


class Chores:
    """
    The tasks and timers of one line; all end with it.

    Parameters
    ----------
    send : callable
        Returns the coroutine that does some work, under the name of an operation.
    failed : callable
        Is told what ccxt's own work failed with.
    """

    def __init__(
        self,
        send: Callable[[str, Callable[[], Any]], Coroutine[Any, Any, Any]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._send = send
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._renewals = 0  # that were put on the clock
        self._stopped = False

    def spawn(self, method: Callable[..., Any], *arguments: Any) -> asyncio.Task[Any]:
        """Stand in for ccxt's: begin a call of its class."""
        return self.start(lambda: method(*arguments), "stream", self._failed)

    def start(
        self, work: Callable[[], Any], operation: str, failed: Callable[[BaseException], None]
    ) -> asyncio.Task[Any]:
        """Do something in the background."""

        def done(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                failed(error)

        # In a context of its own: what it asks for must not count as part of the call that started it.
        sent = self._send(operation, work)
        task = asyncio.get_running_loop().create_task(sent, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(done)
        if self._stopped:
            task.cancel()
        return task

    def delay(self, timeout: float, method: Callable[..., Any], *arguments: Any) -> asyncio.TimerHandle:
        """Stand in for ccxt's: begin a call in ``timeout`` milliseconds, and renew listen keys again and again."""
        loop = asyncio.get_running_loop()
        self._timers = [timer for timer in self._timers if timer.when() > loop.time()]

        async def renew() -> None:
            renewals = self._renewals
            await method(*arguments)
            if renewals == self._renewals and not self._stopped:
                self.delay(timeout, method, *arguments)

        if getattr(method, "__name__", "") == _RENEWS:
            self._renewals += 1
            work, given = renew, ()
        else:
            work, given = method, arguments
        timer = loop.call_later(timeout / 1000, self.spawn, work, *given, context=contextvars.Context())
        self._timers.append(timer)
        return timer

    def stop(self) -> list[asyncio.Task[Any]]:
        """Stop the clock; return the tasks that are under way, to be cancelled."""
        self._stopped = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        return list(self._tasks)
