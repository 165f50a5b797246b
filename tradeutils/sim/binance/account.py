"""Binance's signed endpoints: the account, and what load_markets asks of the wallet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradeutils.sim.binance.errors import BinanceError
from tradeutils.sim.binance.listing import fixed
from tradeutils.sim.binance.market_data import MarketData
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import salt
from tradeutils.sim.ledger import Holding, SimulatedAccount

__all__ = ["AccountData"]


class AccountData:
    """The signed endpoints, as plain values; every method takes the account and the parameters of one call."""

    def __init__(self, venue: Venue, market_data: MarketData) -> None:
        self._clock, self._ledger, self._market = venue.clock, venue.ledger, venue.market
        self._data = market_data

    def account(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return what an account holds."""
        holdings, updated = self._ledger.holdings(account.key, self._clock.now())
        maker, taker = fixed(account.maker), fixed(account.taker)
        return {
            "makerCommission": int(account.maker * 10_000),
            "takerCommission": int(account.taker * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": maker,
                "taker": taker,
                "buyer": fixed(Decimal(0)),
                "seller": fixed(Decimal(0)),
            },
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": updated,
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": fixed(held.free), "locked": fixed(held.locked)}
                for asset, held in holdings.items()
                if held.free or held.locked or not values.get("omitZeroBalances")
            ],
            "permissions": ["SPOT"],
            "uid": salt("uid", account.key) % 10**9,
        }

    def commission(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the fees of an account in one market."""
        rates = {"maker": fixed(account.maker), "taker": fixed(account.taker)}
        nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), fixed(Decimal(0)))
        return {
            "symbol": self._data.instrument(values["symbol"]).id,
            "standardCommission": {**nothing, **rates},
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": fixed(Decimal(0)),
            },
        }

    def trade_fee(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the fees of an account in every market, or in one."""
        fees = {"makerCommission": f"{account.maker}", "takerCommission": f"{account.taker}"}
        return [{"symbol": instrument.id, **fees} for instrument in self._data.chosen(values)]

    def funding(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return what lies in the funding wallet."""
        held = self._ledger.wallet(account.key, self._clock.now(), "funding")
        nothing = dict.fromkeys(("freeze", "withdrawing", "btcValuation"), "0")
        return [
            {"asset": asset, "free": fixed(one.free), "locked": fixed(one.locked), **nothing}
            for asset, one in held.items()
            if one.free or one.locked
        ]

    def margin(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return what is held and owed in the cross margin wallet."""
        held = self._ledger.wallet(account.key, self._clock.now(), "margin")
        if not held and "margin" not in account.wallets:
            raise BinanceError(-3003)
        debts = self._ledger.debts(account.key)
        not_told = ("marginLevel", "totalAssetOfBtc", "totalLiabilityOfBtc", "totalNetAssetOfBtc")
        return {
            **dict.fromkeys(("borrowEnabled", "tradeEnabled", "transferInEnabled", "transferOutEnabled"), True),
            **dict.fromkeys(not_told, "0.00000000"),
            "accountType": "MARGIN_1",
            "userAssets": [
                {
                    "asset": asset,
                    "borrowed": fixed(debts.get(asset, Decimal(0))),
                    "free": fixed(one.free),
                    "interest": fixed(Decimal(0)),
                    "locked": fixed(one.locked),
                    "netAsset": fixed(one.free + one.locked - debts.get(asset, Decimal(0))),
                }
                for asset, one in held.items()
            ],
        }

    def isolated(self, _account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return that there are no isolated margin accounts."""
        return {"assets": []}

    def coins(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return every asset that is traded or held, with one made-up network each."""
        holdings, _ = self._ledger.holdings(account.key, self._clock.now())
        traded = {name: True for one in self._market.traded("spot").values() for name in (one.base, one.quote)}
        return [
            _coin(asset, holdings.get(asset, Holding()), trading=asset in traded)
            for asset in (*traded, *(asset for asset in holdings if asset not in traded))
        ]

    def margin_pairs(self, _account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the markets that may be traded on margin, or the one asked for if it may."""
        return [
            {
                "id": str(salt("margin", one.id)),
                "symbol": one.id,
                "base": one.base,
                "quote": one.quote,
                "isMarginTrade": True,
                "isBuyAllowed": True,
                "isSellAllowed": True,
            }
            for one in self._data.chosen(values)
            if one.margin
        ]


def _coin(asset: str, held: Holding, *, trading: bool) -> dict[str, Any]:
    network = {
        "network": asset,
        "coin": asset,
        "withdrawIntegerMultiple": "0.00000001",
        "isDefault": True,
        "depositEnable": True,
        "withdrawEnable": True,
        "depositDesc": "",
        "withdrawDesc": "",
        "specialTips": "",
        "name": asset,
        "resetAddressStatus": False,
        "addressRegex": "",
        "memoRegex": "",
        "withdrawFee": "0.001",
        "withdrawMin": "0.002",
        "withdrawMax": "9999999999.99999999",
        "minConfirm": 1,
        "unLockConfirm": 0,
    }
    nothing = dict.fromkeys(("freeze", "withdrawing", "ipoing", "ipoable", "storage"), "0")
    return {
        "coin": asset,
        "depositAllEnable": True,
        "withdrawAllEnable": True,
        "name": asset,
        "free": fixed(held.free),
        "locked": fixed(held.locked),
        **nothing,
        "isLegalMoney": False,
        "trading": trading,
        "networkList": [network],
    }
