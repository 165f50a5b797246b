"""Bybit's private endpoints about an account: what it holds, what it pays, and what kind it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from tradeutils.sim.bybit.errors import BybitError
from tradeutils.sim.bybit.fields import Fields
from tradeutils.sim.bybit.listing import describe_coin
from tradeutils.sim.bybit.names import Names
from tradeutils.sim.bybit.rows import rates_of
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import salt
from tradeutils.sim.ledger import Holding, Margin, SimulatedAccount

__all__ = ["AccountData"]

_PERMISSIONS: Final = {
    "ContractTrade": ["Order", "Position"],
    "Spot": ["SpotTrade"],
    "Wallet": ["AccountTransfer"],
    "Options": [],
    "Derivatives": ["DerivativesTrade"],
    "Exchange": [],
}
_UNIFIED: Final = 6  # a unified trading account 2.0 of the "pro" kind


class AccountData:
    """The private endpoints about an account by path; each takes it and the parameters of one call."""

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._market, self._names = venue.clock, venue.ledger, venue.market, names
        self.endpoints: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "/v5/account/wallet-balance": self.wallet,
            "/v5/account/info": self.info,
            "/v5/account/fee-rate": self.fees,
            "/v5/user/query-api": self.key,
            "/v5/asset/coin/query-info": self.coins,
            "/v5/asset/transfer/query-account-coins-balance": self.funding,
        }

    def wallet(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell what a unified account holds: the coins that are named, or those of which there is any."""
        if fields.text("accountType") != "UNIFIED":
            raise BybitError(10001, "params error: accountType only support UNIFIED.")
        now = self._clock.now()
        holdings, _ = self._ledger.holdings(account.key, now)
        named = fields.text("coin")
        if named is None:
            wanted = {coin: held for coin, held in holdings.items() if held.free or held.locked}
        else:
            wanted = {coin: holdings.get(coin, Holding()) for coin in named.split(",")}
        return {"list": [self.described(account, wanted, now)]}

    def described(self, account: SimulatedAccount, holdings: Mapping[str, Holding], now: int) -> dict[str, Any]:
        """Return a wallet with the coins that are given, as they are given."""
        settled = {one.settle for one in self._names.all("linear")}
        coins = [
            _coin(coin, held, self._ledger.margin(account.key, now, coin) if coin in settled else None)
            for coin, held in holdings.items()
        ]
        nothing = dict.fromkeys(("accountIMRate", "accountMMRate", "accountLTV"), "0")
        totals = dict.fromkeys(
            (
                "totalEquity",
                "totalWalletBalance",
                "totalMarginBalance",
                "totalAvailableBalance",
                "totalPerpUPL",
                "totalInitialMargin",
                "totalMaintenanceMargin",
            ),
            "",
        )
        return {"accountType": "UNIFIED", **totals, **nothing, "coin": coins}

    def funding(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell what lies in the funding wallet: the coins that are named, or all."""
        if fields.text("accountType") != "FUND":
            raise BybitError(10001, "params error: accountType only support FUND.")
        held, named = self._ledger.wallet(account.key, self._clock.now(), "funding"), fields.text("coin")
        coins = [
            {
                "coin": coin,
                "walletBalance": f"{one.free + one.locked:f}",
                "transferBalance": f"{one.free:f}",
                "bonus": "",
            }
            for coin, one in held.items()
            if named is None or coin in named.split(",")
        ]
        return {"memberId": str(salt("uid", account.key) % 10**8), "accountType": "FUND", "balance": coins}

    def info(self, _account: SimulatedAccount, _fields: Fields) -> Any:
        """Tell what kind an account is."""
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": str(self._clock.now()),
            "unifiedMarginStatus": _UNIFIED,
            "dcpStatus": "OFF",
            "timeWindow": 0,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def key(self, account: SimulatedAccount, _fields: Fields) -> Any:
        """Tell what the key may do."""
        born = dt.datetime.fromtimestamp(0, dt.UTC)
        return {
            "id": str(salt("key", account.key) % 10**8),
            "note": account.name,
            "apiKey": account.key,
            "readOnly": 0,
            "secret": "",
            "permissions": _PERMISSIONS,
            "ips": ["*"],
            "type": 1,
            "deadlineDay": -2,
            "expiredAt": f"{born:%Y-%m-%dT%H:%M:%SZ}",
            "createdAt": f"{born:%Y-%m-%dT%H:%M:%SZ}",
            "unified": 0,
            "uta": 1,
            "userID": salt("uid", account.key) % 10**8,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
        }

    def fees(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell what an account pays in the markets of a category."""
        category = self._names.category(fields, "linear")
        maker, taker = rates_of(account, category)
        rates = {"takerFeeRate": f"{taker:f}", "makerFeeRate": f"{maker:f}"}
        return {
            "category": category,
            "list": [
                {"symbol": one.name, "baseCoin": one.base, **rates} for one in self._names.chosen(category, fields)
            ],
        }

    def coins(self, account: SimulatedAccount, fields: Fields) -> Any:
        """List the coins that are traded or held, or the one that is named."""
        held, _ = self._ledger.holdings(account.key, self._clock.now())
        traded = dict.fromkeys(coin for one in self._market.instruments.values() for coin in (one.base, one.quote))
        named = fields.text("coin")
        return {"rows": [describe_coin(coin) for coin in {**traded, **held} if named in (None, coin)]}


def _coin(coin: str, held: Holding, margin: Margin | None) -> dict[str, Any]:
    """Return a coin; with ``margin`` where swaps are settled in it."""
    total, zero = held.free + held.locked, Decimal(0)
    nothing = dict.fromkeys(("borrowAmount", "accruedInterest", "bonus", "spotBorrow"), "0")
    return {
        "coin": coin,
        "equity": f"{total if margin is None else total + margin.unrealised:f}",
        "walletBalance": f"{total:f}",
        "totalOrderIM": f"{zero if margin is None else margin.orders:f}",
        "totalPositionIM": f"{zero if margin is None else margin.positions:f}",
        "totalPositionMM": f"{zero if margin is None else margin.maintenance:f}",
        "unrealisedPnl": f"{zero if margin is None else margin.unrealised:f}",
        "cumRealisedPnl": "",
        "locked": f"{held.locked:f}",
        "usdValue": "",
        "availableToWithdraw": "",  # not told of unified accounts any more
        "availableToBorrow": "",
        "collateralSwitch": True,
        "marginCollateral": True,
        **nothing,
    }
