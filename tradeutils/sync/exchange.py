"""A venue, blocking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tradeutils import exchange as _exchange
from tradeutils.budget import Budget
from tradeutils.settings import Account, ExchangeSettings
from tradeutils.sync.cache import Cache
from tradeutils.sync.loop import Blocking, blocking
from tradeutils.sync.streams import streaming, streaming_candles

__all__ = ["Exchange"]


class Exchange(Blocking[_exchange.Exchange]):
    """
    A venue, blocking; see `tradeutils.Exchange`.

    Parameters
    ----------
    venue : str
        ccxt's id: ``"binance"``.
    account, url, options, settings, retries, deadline, info, close_grace, stream_to_cache
        As for `tradeutils.Exchange`.
    cache : sync.Cache or None
        A blocking cache, shared with other blocking objects.
    budget : Budget or None
        As for `tradeutils.Exchange`; one that is used by asynchronous code too must be a `tradeutils.LocalBudget`,
        which serves many event loops.
    """

    def __init__(
        self,
        venue: str,
        *,
        account: Account | None = None,
        cache: Cache | None = None,
        budget: Budget | None = None,
        url: str | None = None,
        options: Mapping[str, Any] | None = None,
        settings: ExchangeSettings | None = None,
        retries: int = 3,
        deadline: float = 30.0,
        info: bool = False,
        close_grace: float = 1.0,
        stream_to_cache: bool | float = False,
    ) -> None:
        shared = None if cache is None else cache._twin
        self._live(
            lambda: _exchange.Exchange(
                venue,
                account=account,
                cache=shared,
                budget=budget,
                url=url,
                options=options,
                settings=settings,
                retries=retries,
                deadline=deadline,
                info=info,
                close_grace=close_grace,
                stream_to_cache=stream_to_cache,
            )
        )

    fetch_time = blocking(_exchange.Exchange.fetch_time)
    load_markets = blocking(_exchange.Exchange.load_markets)
    fetch_ticker = blocking(_exchange.Exchange.fetch_ticker)
    fetch_tickers = blocking(_exchange.Exchange.fetch_tickers)
    fetch_ohlcv = blocking(_exchange.Exchange.fetch_ohlcv)
    fetch_panel = blocking(_exchange.Exchange.fetch_panel)
    fetch_order_book = blocking(_exchange.Exchange.fetch_order_book)
    fetch_trades = blocking(_exchange.Exchange.fetch_trades)
    screen = blocking(_exchange.Exchange.screen)
    fetch_funding_rate = blocking(_exchange.Exchange.fetch_funding_rate)
    fetch_funding_rates = blocking(_exchange.Exchange.fetch_funding_rates)
    fetch_funding_rate_history = blocking(_exchange.Exchange.fetch_funding_rate_history)
    fetch_open_interest = blocking(_exchange.Exchange.fetch_open_interest)
    fetch_open_interest_history = blocking(_exchange.Exchange.fetch_open_interest_history)
    fetch_mark_ohlcv = blocking(_exchange.Exchange.fetch_mark_ohlcv)
    fetch_index_ohlcv = blocking(_exchange.Exchange.fetch_index_ohlcv)
    fetch_balance = blocking(_exchange.Exchange.fetch_balance)
    fetch_open_orders = blocking(_exchange.Exchange.fetch_open_orders)
    create_order = blocking(_exchange.Exchange.create_order)
    cancel_order = blocking(_exchange.Exchange.cancel_order)
    cancel_all = blocking(_exchange.Exchange.cancel_all)
    fetch_order = blocking(_exchange.Exchange.fetch_order)
    fetch_orders = blocking(_exchange.Exchange.fetch_orders)
    fetch_closed_orders = blocking(_exchange.Exchange.fetch_closed_orders)
    fetch_my_trades = blocking(_exchange.Exchange.fetch_my_trades)
    fetch_trading_fee = blocking(_exchange.Exchange.fetch_trading_fee)
    estimate_fee = blocking(_exchange.Exchange.estimate_fee)

    watch_ticker = streaming(_exchange.Exchange.watch_ticker)
    watch_tickers = streaming(_exchange.Exchange.watch_tickers)
    watch_trades = streaming(_exchange.Exchange.watch_trades)
    watch_ohlcv = streaming_candles(_exchange.Exchange.watch_ohlcv)
    watch_order_book = streaming(_exchange.Exchange.watch_order_book)
    watch_balance = streaming(_exchange.Exchange.watch_balance)
    watch_orders = streaming(_exchange.Exchange.watch_orders)

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
