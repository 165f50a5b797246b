"""Orders that left and of which nothing came back: what is known of them, until they are found or cannot arrive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from tradeutils import errors

__all__ = ["Doubts", "Unsettled"]

_KEPT_S: Final = 600.0  # longer than any venue honours a signature; after that a single question tells


class Unsettled(Exception):
    """
    A request left and its answer does not tell what became of it; never raised to callers.

    Attributes
    ----------
    error : TradeutilsError
        What came instead of an answer.
    left : float
        When the request left, by ``time.monotonic``.
    provable : bool
        Whether the order is certain to be found by its id if it is there: the request carried the id, and went to
        the endpoint whose orders the questions are about.
    """

    def __init__(self, error: errors.TradeutilsError, *, left: float, provable: bool = True) -> None:
        self.error = error
        self.left = left
        self.provable = provable
        super().__init__(str(error))


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    callers: int = 0


class Doubts:
    """
    What one exchange remembers of the orders it sent, by their ids.

    Without it a caller who gave up (a timeout of its own, a cancelled task) and called again with the same id would
    be told that there is no such order while the first request is still on its way, and place a second one.
    """

    def __init__(self) -> None:
        self._open: dict[str, Unsettled] = {}
        self._turns: dict[str, _Turn] = {}

    @contextlib.asynccontextmanager
    async def turn(self, client_id: str) -> AsyncIterator[None]:
        """Wait for other callers who place an order of this id."""
        turn = self._turns.setdefault(client_id, _Turn())
        turn.callers += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.callers -= 1
            if not turn.callers:
                del self._turns[client_id]

    def add(self, client_id: str, unsettled: Unsettled) -> None:
        """Remember an order whose outcome is not known."""
        oldest = time.monotonic() - _KEPT_S
        for known in [one for one, doubt in self._open.items() if doubt.left < oldest]:
            del self._open[known]
        self._open[client_id] = unsettled

    def get(self, client_id: str) -> Unsettled | None:
        """Return what is known of an order whose outcome is not."""
        return self._open.get(client_id)

    def settle(self, client_id: str) -> None:
        """Forget an order whose outcome is known now."""
        self._open.pop(client_id, None)
