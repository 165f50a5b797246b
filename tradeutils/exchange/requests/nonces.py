"""
Numbers that must rise from one signed request of a key to the next, whichever process sends it.

ccxt counts in each instance from the clock, so two processes, or two instances, that share a key invert each
other's. Here the budget hands the numbers out, and within a process requests of one key wait for one another:
numbers rise in the order in which the venue reads them, not in the order in which they are made. What two
processes still invert the venue refuses unread (`ClockSkew`), and it is sent again with a new number.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from tradeutils.budget.base import Budget
from tradeutils.exchange.requests.calls import Request, current_request

__all__ = ["NUMBERED", "Nonces"]

NUMBERED: Final = frozenset({"kraken", "bitfinex"})
"""
Venues whose nonce is any number above the key's last.

The budget counts in microseconds, which these two take (kraken: unsigned 64 bit, bitfinex: up to 2**53). Other
venues read their nonce as a time in milliseconds or limit it; there ccxt's own count stays.
"""

_TURN_S: Final = 2.0  # an answer that takes longer does not hold up the next request, which may be a cancel

_locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = weakref.WeakKeyDictionary()


class Nonces:
    """
    Hands out the numbers of one key.

    Parameters
    ----------
    ccxt : ccxt.async_support.Exchange
        Whose ``incrementing_nonce`` is taken over, where its venue wants such numbers.
    budget : Budget
        Where they come from.
    key : str or None
        Whose they are: a digest; ``None``: nothing is signed.
    """

    def __init__(self, ccxt: Any, budget: Budget, key: str | None) -> None:
        self._budget = budget
        self._key = f"{ccxt.id}:{key}" if key is not None and ccxt.id in NUMBERED else None
        if self._key is not None:
            self._own = ccxt.incrementing_nonce
            ccxt.incrementing_nonce = self._take

    @property
    def wanted(self) -> bool:
        """Whether requests are numbered here; then no clock signs them."""
        return self._key is not None

    def _take(self) -> int:
        request = current_request.get()
        if request is None or request.nonce is None:
            return int(self._own())
        return request.nonce

    @contextlib.asynccontextmanager
    async def turn(self, request: Request, api: str | Sequence[str]) -> AsyncIterator[None]:
        """Wait for the requests of this key that came before, and number this one; the rest pass."""
        if self._key is None or not any("private" in part.lower() for part in ([api] if isinstance(api, str) else api)):
            yield
            return
        loop = asyncio.get_running_loop()
        lock = _locks.setdefault(loop, {}).setdefault(self._key, asyncio.Lock())
        await lock.acquire()
        over = contextlib.ExitStack()  # closed twice, it releases once
        over.callback(lock.release)
        timer = loop.call_later(_TURN_S, over.close)
        try:
            request.nonce = await self._budget.nonce(self._key)
            yield
        finally:
            timer.cancel()
            over.close()
