"""Many venues and accounts, blocking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from tradeutils import exchange as _exchange
from tradeutils.budget import Budget
from tradeutils.settings import Settings
from tradeutils.sync.cache import Cache
from tradeutils.sync.exchange import Exchange
from tradeutils.sync.loop import Blocking, called

__all__ = ["Exchanges"]


class Exchanges(Blocking[_exchange.Exchanges]):
    """
    Many venues and accounts, blocking; see `tradeutils.Exchanges`.

    Parameters
    ----------
    settings, budget, info, retries, deadline, close_grace, stream_to_cache
        As for `tradeutils.Exchanges`.
    cache : sync.Cache or None
        A blocking cache, shared with other blocking objects. ``None``: that of the settings.

    Examples
    --------
    >>> with sync.Exchanges(Settings.load("tradeutils.toml")) as exchanges:  # doctest: +SKIP
    ...     balance = exchanges.account("alice").fetch_balance()
    """

    def __init__(
        self,
        settings: Settings,
        *,
        cache: Cache | None = None,
        budget: Budget | None = None,
        info: bool = False,
        retries: int = 3,
        deadline: float = 30.0,
        close_grace: float = 1.0,
        stream_to_cache: bool | float = False,
    ) -> None:
        shared = None if cache is None else cache._twin
        self._live(
            lambda: _exchange.Exchanges(
                settings,
                cache=shared,
                budget=budget,
                info=info,
                retries=retries,
                deadline=deadline,
                close_grace=close_grace,
                stream_to_cache=stream_to_cache,
            )
        )
        self._cache = cache or Cache._around(self._twin.cache)
        self._lock = threading.Lock()
        self._views: dict[_exchange.Exchange, Exchange] = {}

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, as in the settings."""
        return self._twin.accounts

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues that the settings name, by themselves or for an account, and others that were opened."""
        return self._twin.venues

    @property
    def cache(self) -> Cache:
        """The cache through which their answers are shared."""
        return self._cache

    def __iter__(self) -> Iterator[str]:
        """Iterate over `venues`."""
        return iter(self._twin)

    def __len__(self) -> int:
        return len(self._twin)

    def __contains__(self, venue: object) -> bool:
        return venue in self._twin

    def __getitem__(self, venue: str) -> Exchange:
        """Return a venue as anybody sees it; errors as of `tradeutils.Exchanges`."""
        return self._view(lambda: self._twin[venue])

    def account(self, name: str) -> Exchange:
        """Return the exchange of an account, as it sees it; errors as of `tradeutils.Exchanges.account`."""
        return self._view(lambda: self._twin.account(name))

    def is_open(self, account: str) -> bool:
        """Whether the exchange of an account was opened, and not closed since."""
        return self._twin.is_open(account)

    def _view(self, find: Callable[[], _exchange.Exchange]) -> Exchange:
        twin = self._run(called(find))
        with self._lock:
            self._views = {one: view for one, view in self._views.items() if not one.is_closed}
            return self._views.setdefault(twin, Exchange._around(twin))
