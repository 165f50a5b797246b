"""Balances of accounts, blocking."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal

from tradeutils import balances as _balances
from tradeutils.balances import AccountEvent, AccountStats, Alert, Suspension
from tradeutils.errors import Closed
from tradeutils.sync.cache import Cache
from tradeutils.sync.exchange import Exchange
from tradeutils.sync.exchanges import Exchanges
from tradeutils.sync.loop import Blocking, blocking, called

__all__ = ["Balances"]


class Balances(Blocking[_balances.Balances]):
    """
    Balances of accounts, blocking; see `tradeutils.Balances`.

    Parameters
    ----------
    exchanges : sync.Exchanges, sync.Exchange, or iterable of sync.Exchange
        All accounts of the settings, or exchanges that were each opened with ``account=``.
    cache : sync.Cache or None
        A blocking cache, shared with other blocking objects.
    wallets, ttl, priority, snapshots
        As for `tradeutils.Balances`.
    """

    def __init__(
        self,
        exchanges: Exchanges | Exchange | Iterable[Exchange],
        *,
        cache: Cache | None = None,
        wallets: Literal["all"] | Iterable[str] | None = None,
        ttl: float = 2.0,
        priority: Iterable[str] = (),
        snapshots: int = 100,
    ) -> None:
        given: Any = exchanges
        if isinstance(exchanges, Exchange | Exchanges):
            given = exchanges._twin
        elif isinstance(exchanges, Iterable) and not isinstance(exchanges, str):
            given = [getattr(one, "_twin", one) for one in exchanges]
        shared = None if cache is None else cache._twin
        self._live(
            lambda: _balances.Balances(
                given, cache=shared, wallets=wallets, ttl=ttl, priority=priority, snapshots=snapshots
            )
        )

    fetch = blocking(_balances.Balances.fetch)
    fetch_all = blocking(_balances.Balances.fetch_all)
    total = blocking(_balances.Balances.total)
    totals = blocking(_balances.Balances.totals)
    history = blocking(_balances.Balances.history)
    suspensions = blocking(_balances.Balances.suspensions)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts."""
        return self._twin.accounts

    diff = staticmethod(_balances.Balances.diff)

    def invalidate(self, account: str | None = None) -> None:
        """Drop what is known of an account, or of all; see `tradeutils.Balances.invalidate`."""
        self._run(called(lambda: self._twin.invalidate(account)))

    def suspension(self, account: str) -> Suspension | None:
        """Return why an account's calls are held back; see `tradeutils.Balances.suspension`."""
        found: Suspension | None = self._run(called(lambda: self._twin.suspension(account)))
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
        leave: Callable[[], None] = self._run(called(lambda: self._twin.subscribe(callback)))
        return leave

    def stats(self) -> Mapping[str, AccountStats]:
        """Return what this process did for each account, by name."""
        return self._twin.stats()

    def watch_totals(
        self, quote: str = "USDT", *, threshold: Decimal | int | str, interval: float = 60.0
    ) -> Iterator[Alert]:
        """Yield an `Alert` whenever a total has moved; as `tradeutils.Balances.watch_totals`, each step blocks."""
        alerts = self._run(called(lambda: self._twin.watch_totals(quote, threshold=threshold, interval=interval)))

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
