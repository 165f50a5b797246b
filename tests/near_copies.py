"""Looking at the copy that a cache keeps in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import tradeutils as tu
from tradeutils.cache import NearStats
from tradeutils.errors import CacheUnavailable

__all__ = ["near_stats", "reads", "until"]


async def near_stats(cache: tu.Cache) -> NearStats:
    """Return what a cache says of its copy in this process."""
    told = (await cache.stats()).near
    assert told is not None
    return told


async def until(done: Callable[[], Any]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.002)


async def reads(cache: tu.Cache, key: str, expected: Any) -> None:
    """Wait until a read brings what is expected; outages are waited out."""
    async with asyncio.timeout(20):
        while True:
            try:
                if await cache.get(key) == expected:
                    return
            except CacheUnavailable:
                pass
            await asyncio.sleep(0.005)
