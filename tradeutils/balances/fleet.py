"""Something done for each of many accounts: in order, so many at once at each venue, and no failure reaches another."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from tradeutils.errors import TradeutilsError

__all__ = ["AT_ONCE", "each"]

T = TypeVar("T")

AT_ONCE: Final = 32
"""
Requests under way to one venue.

With 0.2 s a request that is 160 in a second, more than a venue allows an address for long. Those under way stand in the
queue of the budget, where whoever asks for one balance meanwhile stands behind them: behind 32, and not behind 1,000.
"""


async def each(
    names: Iterable[str], place_of: Callable[[str], str], work: Callable[[str], Awaitable[T]], at_once: int = AT_ONCE
) -> tuple[dict[str, T], dict[str, TradeutilsError]]:
    """
    Do something for each name, those of one place in the order given.

    Parameters
    ----------
    names : iterable of str
        Of whom.
    place_of : callable
        At which venue; a place that is slow holds up no other. It may take a while, and does so while others work.
    work : callable
        What is done.
    at_once : int
        For how many of a place at most.

    Returns
    -------
    dict, dict
        What came of it, and what was raised instead, by name. An error that is none of ours ends all, and is raised.
    """
    done: dict[str, T] = {}
    failed: dict[str, TradeutilsError] = {}
    lines: dict[str, collections.deque[str]] = collections.defaultdict(collections.deque)
    busy: collections.Counter[str] = collections.Counter()

    async def serve(place: str) -> None:
        line = lines[place]
        try:
            while line:
                name = line.popleft()
                try:
                    done[name] = await work(name)
                except TradeutilsError as error:
                    failed[name] = error
        finally:
            busy[place] -= 1

    try:
        async with asyncio.TaskGroup() as group:
            for name in names:
                try:
                    place = place_of(name)
                except TradeutilsError as error:
                    failed[name] = error
                    continue
                lines[place].append(name)
                if busy[place] < at_once:
                    busy[place] += 1
                    group.create_task(serve(place))
                await asyncio.sleep(0)  # opening an account takes the loop 4 ms
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return done, failed
