"""What `resume` returns: it may be awaited, and need not be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

__all__ = ["Resumption"]


class Resumption:
    """That an account was resumed; awaiting it waits until other processes can know, and need not be done."""

    def __init__(self, share: Callable[[], Coroutine[Any, Any, None]], sharing: set[asyncio.Task[None]]) -> None:
        self._share = share
        self._task: asyncio.Task[None] | None = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # outside of any loop: the next call shares it
            return
        self._task = loop.create_task(share())
        sharing.add(self._task)  # a loop holds its tasks weakly
        self._task.add_done_callback(sharing.discard)

    def __await__(self) -> Generator[Any, None, None]:
        if self._task is None:
            return self._share().__await__()
        return asyncio.shield(self._task).__await__()
