"""Several requests at once, all or none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import TypeVar

__all__ = ["all_or_first_error"]

T = TypeVar("T")


async def all_or_first_error(calls: Sequence[Awaitable[T]]) -> list[T]:
    """Await all; on the first failure cancel the rest, wait for them to end, and raise it alone."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
