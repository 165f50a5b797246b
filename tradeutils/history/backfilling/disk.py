"""The store, used from an event loop: one call at a time is short, and none is left half done by a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

__all__ = ["Disk"]

P = ParamSpec("P")
R = TypeVar("R")

_THREADS: Final = 4  # writes of several series wait for the disk side by side


class Disk:
    """Threads of its own, so that none outlives it: those of the event loop stay until that is closed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tradeutils-history")

    async def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """
        Run ``function`` on a thread.

        A caller that is cancelled leaves when it has ended: what is being written is then on disk.
        """
        future = self._pool.submit(function, *args, **kwargs)
        awaited = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(awaited)
        except asyncio.CancelledError:
            if not future.cancel():
                await asyncio.wait([awaited])
                if not awaited.cancelled():
                    awaited.exception()  # seen: the cancellation is what is told
            raise

    def close(self) -> None:
        """End the threads, after what they are doing."""
        self._pool.shutdown(wait=True, cancel_futures=True)
