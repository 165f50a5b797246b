"""What an account holds, wallet by wallet, through ccxt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tradeutils.errors import AuthenticationFailed, PermanentVenueError
from tradeutils.exchange import parse
from tradeutils.exchange.calls import Call
from tradeutils.exchange.connection import Connection
from tradeutils.exchange.timekeeping import Timekeeper
from tradeutils.exchange.venue_derivatives import CcxtDerivatives
from tradeutils.exchange.wallets import Wallets, wallets_of
from tradeutils.model import Balance
from tradeutils.timeframe import Timeframe

__all__ = ["CcxtBalances"]

# Binance's refusals of an account that has no margin wallet yet: there is nothing in it.
_NO_WALLET: Final = re.compile(r'"code":\s*(-3003|-11001)\b')


class CcxtBalances(CcxtDerivatives):
    """
    The wallets of one account through ccxt's own class.

    Parameters
    ----------
    connection, keeper, timeframes
        As for `CcxtData`.
    account : str or None
        The account's name, which its balances bear.
    """

    def __init__(
        self, connection: Connection, keeper: Timekeeper, timeframes: Mapping[Timeframe, str], account: str | None
    ) -> None:
        super().__init__(connection, keeper, timeframes)
        self._named = account
        self._wallets = wallets_of(self._ccxt)

    @property
    def wallets(self) -> Wallets:
        """The wallets that an account has here."""
        return self._wallets

    async def fetch_balance(self, wallet: str | None = None) -> Balance:
        """Return what a wallet holds, by its one name; ``None``: what ccxt asks for by itself."""
        params: dict[str, Any] = {} if wallet is None else self._wallets.params(wallet)

        async def work(call: Call) -> Balance:
            raw = await self._ccxt.fetch_balance(params)
            # Not ccxt's timestamp: on some venues that is when the account last changed.
            time = self._clock.at(call.received)
            return parse.balance(
                raw, self.name, self._named, time, wallet=wallet or self._default(), info=self._connection.info
            )

        try:
            return await self._connection.read("fetch_balance", work, before=self._keeper.settle)
        except AuthenticationFailed:
            raise
        except PermanentVenueError as error:
            if wallet not in ("margin", "isolated") or not _NO_WALLET.search(str(error)):
                raise
            return Balance(venue=self.name, account=self._named, time=await self.time(), wallet=wallet)

    def _default(self) -> str | None:
        """Return which wallet ccxt asks for by itself."""
        kinds = [self._ccxt.options.get(name) for name in ("enableUnifiedMargin", "enableUnifiedAccount")]
        # An account of bybit's former kind has others, of which ccxt asks for one.
        return None if self._wallets.default == "unified" and kinds == [False, False] else self._wallets.default
