"""Binance's signed endpoints of USD-M futures about the account: balances, positions, leverage, income."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from tradeutils.sim.binance.errors import BinanceError
from tradeutils.sim.binance.futures_data import FuturesData
from tradeutils.sim.binance.listing import fixed
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument, salt
from tradeutils.sim.ledger import MAINTENANCE, MAX_LEVERAGE, Margin, Position, SimulatedAccount

__all__ = ["FuturesAccount"]

_MOST: Final = "1000000000"  # of a position, in quote: there is one bracket for all


class FuturesAccount:
    """The endpoints, as plain values; every method takes the account and the parameters of one call."""

    def __init__(self, venue: Venue, market_data: FuturesData) -> None:
        self._clock, self._ledger, self._traded = venue.clock, venue.ledger, venue.market.traded("linear")
        self._data = market_data

    def _assets(self, account: SimulatedAccount) -> dict[str, tuple[Margin, int]]:
        """Return how the account stands in each asset that swaps are settled in or that lies there, and since when."""
        now = self._clock.now()
        spot, updated = self._ledger.holdings(account.key, now)
        swap = self._ledger.wallet(account.key, now, "swap")
        told = dict.fromkeys(one.settle or one.quote for one in self._traded.values())
        if swap is not spot:
            told |= dict.fromkeys(swap)
        # What was never touched would be taken for an asset without a balance: Binance tells 0 for those.
        return {asset: (self._ledger.margin(account.key, now, asset), updated or now) for asset in told}

    def account(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return balances and the positions there are."""
        return self._told(account, every=False)

    def account_v2(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return balances and a position for every swap, as the older endpoint does."""
        rights = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0}
        return {**rights, "multiAssetsMargin": False, **self._told(account, every=True)}

    def _told(self, account: SimulatedAccount, *, every: bool) -> dict[str, Any]:
        assets = [_described_asset(asset, *found) for asset, found in self._assets(account).items()]
        totals = {
            "totalInitialMargin": "initialMargin",
            "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance",
            "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance",
            "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin",
            "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
            "availableBalance": "availableBalance",
            "maxWithdrawAmount": "maxWithdrawAmount",
        }
        dollars = [row for row in assets if row["asset"] == "USDT"]
        return {
            **{name: fixed(sum((Decimal(row[one]) for row in dollars), Decimal(0))) for name, one in totals.items()},
            "assets": assets,
            "positions": [self._account_position(account, one, old=every) for one in self._held(account, every=every)],
        }

    def _held(self, account: SimulatedAccount, *, every: bool) -> list[Position]:
        positions = {one.market: one for one in self._ledger.positions(account.key, self._clock.now())}
        if not every:
            return list(positions.values())
        return [positions.get(one.id, Position(one.id)) for one in self._traded.values()]

    def _account_position(self, account: SimulatedAccount, position: Position, *, old: bool) -> dict[str, Any]:
        risk = self._risk(account, position, old=old)
        names = (
            "symbol", "positionSide", "positionAmt", "notional", "isolatedMargin", "isolatedWallet", "initialMargin",
            "maintMargin", "updateTime",
        )  # fmt: skip
        told = {name: risk[name] for name in names} | {"unrealizedProfit": risk["unRealizedProfit"]}
        if old:
            kept = ("leverage", "entryPrice", "breakEvenPrice", "positionInitialMargin", "openOrderInitialMargin")
            told |= {name: risk[name] for name in kept} | {"isolated": False, "maxNotional": _MOST}
        return told

    def balances(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Return balances alone."""
        return [
            {
                "accountAlias": f"{salt('alias', account.key):016x}",
                "asset": asset,
                "balance": fixed(margin.wallet),
                "crossWalletBalance": fixed(margin.wallet),
                "crossUnPnl": fixed(margin.unrealised),
                "availableBalance": fixed(margin.available),
                "maxWithdrawAmount": fixed(margin.available),
                "marginAvailable": True,
                "updateTime": updated,
            }
            for asset, (margin, updated) in self._assets(account).items()
        ]

    def positions(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the positions there are, in one swap or in all."""
        return self._risks(account, values, old=False)

    def positions_v2(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return a position for every swap, or for one, as the older endpoint does."""
        return self._risks(account, values, old=True)

    def _risks(self, account: SimulatedAccount, values: dict[str, Any], *, old: bool) -> Any:
        wanted = {one.id for one in self._data.chosen(values)}
        held = self._held(account, every=old)
        return [self._risk(account, position, old=old) for position in held if position.market in wanted]

    def _risk(self, account: SimulatedAccount, position: Position, *, old: bool) -> dict[str, Any]:
        now, instrument = self._clock.now(), self._ledger.instrument(position.market)
        mark, leverage = self._ledger.mark(position.market, now), self._ledger.leverage(account.key, position.market)
        worth = position.amount * mark
        margin = self._ledger.margin(account.key, now, instrument.settle or instrument.quote)
        told = {
            "symbol": instrument.name,
            "positionSide": "BOTH",
            "positionAmt": f"{position.amount:.{instrument.amount_decimals}f}",
            "entryPrice": fixed(position.entry),
            "breakEvenPrice": fixed(position.entry),
            "markPrice": fixed(mark),
            "unRealizedProfit": fixed(self._ledger.unrealised(position, now)),
            "liquidationPrice": fixed(_liquidation(position, margin)),
            "isolatedMargin": "0",
            "isolatedWallet": "0",
            "notional": fixed(worth),
            "marginAsset": instrument.settle,
            "initialMargin": fixed(abs(worth) / leverage),
            "maintMargin": fixed(abs(worth) * MAINTENANCE),
            "positionInitialMargin": fixed(abs(worth) / leverage),
            "openOrderInitialMargin": "0",
            "adl": 0,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": position.updated,
        }
        if old:
            told |= {"leverage": str(leverage), "marginType": "cross", "isAutoAddMargin": "false"}
            told |= {"maxNotionalValue": _MOST}
        return told

    def brackets(self, _account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return how much leverage a swap allows: the same for positions of every size."""
        bracket = {
            "bracket": 1,
            "initialLeverage": MAX_LEVERAGE,
            "notionalCap": int(_MOST),
            "notionalFloor": 0,
            "maintMarginRatio": float(MAINTENANCE),
            "cum": 0.0,
        }
        return [{"symbol": one.name, "brackets": [bracket]} for one in self._data.chosen(values)]

    def set_leverage(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Choose the leverage of a swap."""
        instrument, leverage = self._data.instrument(values["symbol"]), values["leverage"]
        if not 1 <= leverage <= MAX_LEVERAGE:
            raise BinanceError(-4028, leverage)
        self._ledger.set_leverage(account.key, instrument.id, leverage)
        return {"leverage": leverage, "maxNotionalValue": _MOST, "symbol": instrument.name}

    def set_margin_type(self, _account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Refuse: margin is crossed, and stays so."""
        self._data.instrument(values["symbol"])
        raise BinanceError(-4046 if values["marginType"] == "CROSSED" else -4168)

    def position_mode(self, _account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        """Tell that positions are held one way."""
        return {"dualSidePosition": False}

    def symbol_configuration(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the leverage and the kind of margin of swaps."""
        return [self._configuration(account, one) for one in self._data.chosen(values)]

    def _configuration(self, account: SimulatedAccount, instrument: Instrument) -> dict[str, Any]:
        return {
            "symbol": instrument.name,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": self._ledger.leverage(account.key, instrument.id),
            "maxNotionalValue": _MOST,
        }

    def commission(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return the fees of an account in one swap."""
        return {
            "symbol": self._data.instrument(values["symbol"]).name,
            "makerCommissionRate": f"{account.futures_maker}",
            "takerCommissionRate": f"{account.futures_taker}",
        }

    def income(self, account: SimulatedAccount, values: dict[str, Any]) -> Any:
        """Return what changed the balance: funding, gains and losses, fees."""
        now, limit = self._clock.now(), min(1_000, int(values.get("limit", 100)))
        market = self._data.instrument(values["symbol"]).id if "symbol" in values else None
        rows: list[dict[str, Any]] = []

        def add(kind: str, market: str, asset: str, amount: Decimal, time: int, number: int, trade: str) -> None:
            rows.append(
                {
                    "symbol": self._ledger.instrument(market).name,
                    "incomeType": kind,
                    "income": fixed(amount),
                    "asset": asset,
                    "info": trade or kind,
                    "time": time,
                    "tranId": salt("income", kind, number) >> 16,
                    "tradeId": trade,
                }
            )

        for paid in self._ledger.payments(account.key, now, market=market):
            add("FUNDING_FEE", paid.market, paid.asset, paid.amount, paid.time, paid.id, "")
        for fill in self._ledger.fills(account.key, now, market=market, kind="linear"):
            if fill.realised:
                add("REALIZED_PNL", fill.market, fill.fee_asset, fill.realised, fill.time, fill.id, str(fill.id))
            add("COMMISSION", fill.market, fill.fee_asset, -fill.fee, fill.time, fill.id, str(fill.id))
        since, until = values.get("startTime", 0), values.get("endTime", 2**63 - 1)
        wanted = values.get("incomeType")
        chosen = [row for row in rows if since <= row["time"] <= until and wanted in (None, row["incomeType"])]
        chosen.sort(key=lambda row: int(row["time"]))
        return chosen[:limit] if "startTime" in values else chosen[max(0, len(chosen) - limit) :]


def _described_asset(asset: str, margin: Margin, updated: int) -> dict[str, Any]:
    return {
        "asset": asset,
        "walletBalance": fixed(margin.wallet),
        "unrealizedProfit": fixed(margin.unrealised),
        "marginBalance": fixed(margin.wallet + margin.unrealised),
        "maintMargin": fixed(margin.maintenance),
        "initialMargin": fixed(margin.positions + margin.orders),
        "positionInitialMargin": fixed(margin.positions),
        "openOrderInitialMargin": fixed(margin.orders),
        "crossWalletBalance": fixed(margin.wallet),
        "crossUnPnl": fixed(margin.unrealised),
        "availableBalance": fixed(margin.available),
        "maxWithdrawAmount": fixed(margin.available),
        "updateTime": updated,
    }


def _liquidation(position: Position, margin: Margin) -> Decimal:
    """Return the mark price at which the wallet would no longer bear the position, were it the only one; 0: none."""
    size = position.amount
    if not size:
        return Decimal(0)
    side = 1 if size > 0 else -1
    price = (position.cost - margin.wallet) / (size * (1 - side * MAINTENANCE))
    return max(Decimal(0), price)
