"""What blocking balances do beside fetching; how a coroutine is waited for is said by `tradeutils.sync`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from tradeutils.balances.alerts import Alert
from tradeutils.balances.balances import Balances
from tradeutils.balances.counts import AccountStats
from tradeutils.balances.events import AccountEvent
from tradeutils.balances.suspension import Suspension
from tradeutils.errors import Closed

__all__ = ["BlockingBalances"]

R = TypeVar("R")


class BlockingBalances:
    """The part of blocking balances whose asynchronous twin is no coroutine, or answers more than once."""

    _twin: Balances
    _run: Callable[[Coroutine[Any, Any, Any]], Any]

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts."""
        return self._twin.accounts

    diff = staticmethod(Balances.diff)

    def invalidate(self, account: str | None = None) -> None:
        """Drop what is known of an account, or of all; see `tradeutils.Balances.invalidate`."""
        self._run(_called(lambda: self._twin.invalidate(account)))

    def suspension(self, account: str) -> Suspension | None:
        """Return why an account's calls are held back; see `tradeutils.Balances.suspension`."""
        found: Suspension | None = self._run(_called(lambda: self._twin.suspension(account)))
        return found

    def resume(self, account: str) -> None:
        """Let the next call of an account through; returns once other processes can know."""

        async def resumed() -> None:
            await self._twin.resume(account)

        self._run(resumed())

    def subscribe(self, callback: Callable[[AccountEvent], object]) -> Callable[[], None]:
        """
        Have a function called with every `AccountEvent`; return what ends that.

        It is called on the thread of the event loop, and must not call blocking objects.
        """
        leave: Callable[[], None] = self._run(_called(lambda: self._twin.subscribe(callback)))
        return leave

    def stats(self) -> Mapping[str, AccountStats]:
        """Return what this process did for each account, by name."""
        return self._twin.stats()

    def watch_totals(
        self, quote: str = "USDT", *, threshold: Decimal | int | str, interval: float = 60.0
    ) -> Iterator[Alert]:
        """Yield an `Alert` whenever a total has moved; as `tradeutils.Balances.watch_totals`, each step blocks."""
        alerts = self._run(_called(lambda: self._twin.watch_totals(quote, threshold=threshold, interval=interval)))

        async def following() -> Alert | None:
            return await anext(alerts, None)

        try:
            while (alert := self._run(following())) is not None:
                yield alert
        finally:
            with contextlib.suppress(Closed):  # at the end of the process
                self._run(_ended(alerts))


async def _ended(alerts: AsyncIterator[Alert]) -> None:
    """End a watch that nobody reads any more."""
    if isinstance(alerts, AsyncGenerator):
        await alerts.aclose()


async def _called(function: Callable[[], R]) -> R:
    """Call a function of the twin on its own loop."""
    return function()
