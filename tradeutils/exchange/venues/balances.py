"""What an account holds, wallet by wallet, through ccxt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tradeutils.errors import AuthenticationFailed, BadReply, PermanentVenueError
from tradeutils.exchange.requests.calls import Call
from tradeutils.exchange.requests.connection import Connection
from tradeutils.exchange.requests.timekeeping import Timekeeper
from tradeutils.exchange.venues import parse
from tradeutils.exchange.venues.derivatives import CcxtDerivatives
from tradeutils.exchange.venues.wallets import Wallets, wallets_of
from tradeutils.model import Balance
from tradeutils.model.rounding import EXACT
from tradeutils.timeframe import Timeframe

__all__ = ["CcxtBalances"]

# Binance's refusals of an account that has no margin wallet yet: there is nothing in it.
_NO_WALLET: Final = re.compile(r'"code":\s*(-3003|-11001)\b')


class _Rows(NamedTuple):
    """
    Where a reply holds the rows of a wallet, and what an asset is called there.

    ccxt takes a reply without rows (a gateway's page, say) for an empty account, and passes over a row without a name.
    """

    path: tuple[str, ...]
    name: str | None
    within: str | None = None  # of each row, the list in which the assets stand


_ASSETS: Final = _Rows(("assets",), "asset")
_ROWS: Final[Mapping[tuple[str, str], _Rows]] = {
    ("binance", "spot"): _Rows(("balances",), "asset"),
    ("binance", "funding"): _Rows((), "asset"),
    ("binance", "margin"): _Rows(("userAssets",), "asset"),
    ("binance", "isolated"): _Rows(("assets",), None),
    ("binance", "swap"): _ASSETS,
    ("binance", "inverse"): _ASSETS,
    ("binanceus", "spot"): _Rows(("balances",), "asset"),
    ("binanceusdm", "swap"): _ASSETS,
    ("binancecoinm", "inverse"): _ASSETS,
    ("bybit", "unified"): _Rows(("result", "list"), "coin", "coin"),
    ("bybit", "funding"): _Rows(("result", "balance"), "coin"),
    ("kraken", "spot"): _Rows(("result",), None),
    **{(venue, "trading"): _Rows(("data",), "ccy", "details") for venue in ("okx", "okxus", "myokx")},
    **{(venue, "funding"): _Rows(("data",), "ccy") for venue in ("okx", "okxus", "myokx")},
}


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
        """Return what a wallet holds, by its one name; ``None``: the default one."""
        # Of bybit ccxt looks first what kind of account it is. Elsewhere it might choose another wallet than is named.
        if wallet is None and self._wallets.default != "unified":
            wallet = self._wallets.default
        params: dict[str, Any] = {} if wallet is None else self._wallets.params(wallet)

        async def work(call: Call) -> Balance:
            raw = await self._ccxt.fetch_balance(params)
            _check_rows(raw.get("info"), _ROWS.get((self.name, wallet or self._wallets.default)))
            _owe_once(self._ccxt, raw)
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


def _owe_once(ccxt: Any, raw: dict[str, Any]) -> None:
    """
    Put right what a unified account of bybit owes.

    ccxt takes ``borrowAmount``, in which is what losses on contracts made the wallet negative by, and what open orders
    would borrow. Only ``spotBorrow`` was added to ``walletBalance`` ("Old walletBalance = New walletBalance -
    spotBorrow", https://bybit-exchange.github.io/docs/v5/account/wallet-balance): a debt of 50 was told twice.
    """
    if ccxt.id != "bybit":
        return
    for account in raw["info"]["result"].get("list") or ():
        for coin in account.get("coin") or ():
            code = ccxt.safe_currency_code(coin.get("coin"))
            spot, interest = (Decimal(coin.get(name) or "0") for name in ("spotBorrow", "accruedInterest"))
            if "spotBorrow" in coin and code in raw.get("debt", {}):
                raw["debt"][code] = EXACT.add(spot, interest)


def _check_rows(told: Any, where: _Rows | None) -> None:
    """Raise `BadReply` unless a reply holds rows, each of which can be read: what is skipped would be money lost."""
    for key in () if where is None else where.path:
        told = told.get(key) if isinstance(told, Mapping) else None
    by_name = where is None or where.path == ("result",)  # kraken's are an object; of other venues nobody told us
    if not isinstance(told, list) and not (by_name and isinstance(told, Mapping)):
        raise BadReply("the reply names no assets")
    if where is None:
        return
    rows = told if isinstance(told, list) else list(told.values())
    _check_objects(rows)
    if where.within is not None:
        inner = [row.get(where.within) for row in rows]
        if not all(isinstance(one, list) for one in inner):
            raise BadReply("the reply names no assets")
        rows = [row for one in inner for row in one]
        _check_objects(rows)
    if where.name is not None:
        names = [row.get(where.name) for row in rows]
        if not all(isinstance(name, str) and name for name in names):
            raise BadReply("the reply has an amount of no asset")
        if len(set(names)) < len(names):
            raise BadReply("the reply tells twice of one asset")


def _check_objects(rows: list[Any]) -> None:
    if not all(isinstance(row, Mapping) for row in rows):
        raise BadReply("the reply has a row that is no object")
