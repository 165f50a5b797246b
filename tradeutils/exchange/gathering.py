"""Several requests at once: all or none, or one for all who ask the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

__all__ = ["Flights", "all_or_first_error", "ended"]

T = TypeVar("T")


async def all_or_first_error(calls: Sequence[Awaitable[T]]) -> list[T]:
    """Await all; on the first failure cancel the rest, wait for them to end, and raise it alone."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await ended(tasks)


async def ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel what still runs, and wait for the end of all; what they raise is not told. May be cancelled itself."""
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
        task.add_done_callback(_seen)
    if waiting:
        await asyncio.wait(waiting)


def _seen(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


@dataclass(slots=True)
class _Flight:
    """A call under way, and how many wait for it."""

    task: asyncio.Task[Any]
    waiting: int = 0


class Flights:
    """The calls of one exchange that are under way: who asks for the same meanwhile waits for that one."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    async def join(self, key: str, fetch: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """
        Return the outcome of the call under way for ``key``, or of a new one.

        A caller that is cancelled leaves alone, and the last one takes the call along. An error reaches all who wait.
        The outcome is shared: who can change it must copy it first.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.get_running_loop().create_task(fetch()))
            flight.task.add_done_callback(lambda _: self._landed(key, flight))
        elif flight.task.get_loop() is not asyncio.get_running_loop():
            return await fetch()  # which says what is wrong with that
        flight.waiting += 1
        try:
            return cast(T, await asyncio.shield(flight.task))
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._landed(key, flight)
                await ended([flight.task])

    def _landed(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # seen, even if every caller has left
