"""What a blocking exchange tells without asking anybody; the rest is in `tradeutils.sync`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tradeutils.budget import Budget
from tradeutils.exchange.exchange import Exchange
from tradeutils.settings import Account

__all__ = ["BlockingExchange"]


class BlockingExchange:
    """The part of a blocking exchange that reads its asynchronous twin."""

    _twin: Exchange

    @property
    def venue(self) -> str:
        """ccxt's id of the venue."""
        return self._twin.venue

    @property
    def origin(self) -> str:
        """Where answers come from: the venue, and host, sandbox and options that change them."""
        return self._twin.origin

    @property
    def account(self) -> Account | None:
        """Whose keys sign private requests."""
        return self._twin.account

    @property
    def budget(self) -> Budget:
        """What pays for its requests."""
        return self._twin.budget

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._twin.is_closed

    @property
    def timeframes(self) -> Sequence[str]:
        """What `fetch_ohlcv` can be asked for here."""
        return self._twin.timeframes

    @property
    def wallets(self) -> tuple[str, ...]:
        """The wallets that an account has here, the default one first."""
        return self._twin.wallets

    @property
    def has_open_orders(self) -> bool:
        """Whether orders that were placed or seen through this object are open, as far as it knows."""
        return self._twin.has_open_orders

    @property
    def changes(self) -> int:
        """How often what the account holds may have changed by what was done or seen here."""
        return self._twin.changes

    def wallet_named(self, wallet: str) -> str:
        """Return the one name of a wallet; errors as of `tradeutils.Exchange.wallet_named`."""
        return self._twin.wallet_named(wallet)

    def subscribe(self, callback: Callable[[], object]) -> Callable[[], None]:
        """
        Have a function called whenever what the account holds may have changed; return what ends that.

        As `tradeutils.Exchange.subscribe`, on the thread of the event loop: it must not call blocking objects.
        """
        return self._twin.subscribe(callback)
