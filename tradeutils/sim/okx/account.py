"""OKX's private endpoints about an account: what it holds, what it pays, and its positions in swaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_UP, Decimal
from typing import Any, Final

from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument, salt
from tradeutils.sim.ledger import MAINTENANCE, MAX_LEVERAGE, Holding, Margin, Position, SimulatedAccount
from tradeutils.sim.okx.errors import OkxError
from tradeutils.sim.okx.fields import Fields
from tradeutils.sim.okx.listing import describe_currency
from tradeutils.sim.okx.names import KINDS, Names, inst_id, on_wire
from tradeutils.sim.okx.rows import rates_of
from tradeutils.sim.orders import money

__all__ = ["AccountData", "user_number"]

_ZERO: Final = Decimal(0)
_NOT_TOLD: Final = ("eqUsd", "disEq", "isoEq", "crossLiab", "interest", "liab", "maxLoan", "mgnRatio", "uplLiab")
_NOT_TOLD_OF_ALL: Final = (
    "adjEq",
    "imr",
    "mmr",
    "isoEq",
    "mgnRatio",
    "notionalUsd",
    "ordFroz",
    "totalEq",
    "upl",
    "borrowFroz",
)
_NOT_TOLD_OF_POSITIONS: Final = ("liqPx", "margin", "mgnRatio", "adl", "bePx", "interest", "liab", "liabCcy", "posCcy")


class AccountData:
    """
    The endpoints about an account and its positions, held one way and with cross margin.

    Attributes
    ----------
    lists, commands : dict
        By path: those that tell, asked with GET, and those that change something, asked with POST. Each takes the
        account and the parameters of one call and returns its data.
    """

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._market, self._names = venue.clock, venue.ledger, venue.market, names
        self.lists: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "account/balance": self.balance,
            "account/config": self.configuration,
            "account/trade-fee": self.fees,
            "account/positions": self.positions,
            "account/leverage-info": self.leverage,
            "asset/currencies": self.currencies,
            "asset/balances": self.funding,
        }
        self.commands: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "account/set-leverage": self.set_leverage
        }

    def balance(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell what the trading account holds: the currencies that are named, or those of which there is any."""
        now, named = self._clock.now(), fields.several("ccy")
        if len(named) > 20:
            raise OkxError("50025", "ccy", "20")
        holdings, updated = self._ledger.holdings(account.key, now)
        told = {
            currency: held
            for currency, held in holdings.items()
            if (currency in named if named else held.free or held.locked)
        }
        return self.described(account, told, updated)

    def described(self, account: SimulatedAccount, holdings: Mapping[str, Holding], updated: int) -> Any:
        """Return what is held of some currencies, as it is told of the trading account."""
        now, settled = self._clock.now(), {one.settle for one in self._names.of_type("SWAP")}
        details = []
        for currency, held in holdings.items():
            margin = self._ledger.margin(account.key, now, currency) if currency in settled else None
            details.append(_detail(currency, held, margin, updated))
        return [{"details": details, "uTime": str(updated), **dict.fromkeys(_NOT_TOLD_OF_ALL, "")}]

    def funding(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell what lies in the funding account: the currencies that are named, or those of which there is any."""
        held, named = self._ledger.wallet(account.key, self._clock.now(), "funding"), fields.several("ccy")
        return [
            {
                "ccy": currency,
                "bal": f"{one.free + one.locked:f}",
                "availBal": f"{one.free:f}",
                "frozenBal": f"{one.locked:f}",
            }
            for currency, one in held.items()
            if (currency in named if named else one.free or one.locked)
        ]

    def configuration(self, account: SimulatedAccount, _fields: Fields) -> Any:
        """Tell what kind an account is: one with margin in many currencies, positions one way."""
        number = user_number(account)
        return [
            {
                "uid": number,
                "mainUid": number,
                "label": account.name,
                "acctLv": "3",
                "posMode": "net_mode",
                "autoLoan": False,
                "greeksType": "PA",
                "level": "Lv1",
                "levelTmp": "",
                "ctIsoMode": "automatic",
                "mgnIsoMode": "automatic",
                "acctStpMode": "cancel_maker",
                "enableSpotBorrow": False,
                "ip": "",
                "kycLv": "3",
                "opAuth": "0",
                "perm": "read_only,trade",
                "roleType": "0",
                "spotRoleType": "0",
                "type": "0",
            }
        ]

    def fees(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell what an account pays in a type of markets; what is paid is below 0."""
        kind = fields.choice("instType", KINDS)
        self._names.chosen(fields, kind)
        maker, taker = rates_of(account, "linear" if kind == "SWAP" else "spot")
        rates = {"maker": f"{-maker:f}", "taker": f"{-taker:f}"}
        in_stables = {f"{name}{of}": rate for name, rate in rates.items() for of in ("U", "USDC")}
        row = {"instType": kind, "level": "Lv1", "category": "1", "delivery": "", "exercise": ""}
        return [{**row, **rates, **in_stables, "ts": str(self._clock.now())}]

    def currencies(self, account: SimulatedAccount, fields: Fields) -> Any:
        """List the currencies that are traded or held, or those that are named."""
        held, _ = self._ledger.holdings(account.key, self._clock.now())
        traded = dict.fromkeys(coin for one in self._market.instruments.values() for coin in (one.base, one.quote))
        named = fields.several("ccy")
        return [describe_currency(coin) for coin in {**traded, **held} if not named or coin in named]

    def positions(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell the positions that there are, of a type, of the swaps that are named, or all."""
        now = self._clock.now()
        chosen = {one.id: one for one in self._names.chosen(fields)}
        return [
            self._described(account, one, chosen[one.market], now)
            for one in self._ledger.positions(account.key, now)
            if one.market in chosen
        ]

    def _described(
        self, account: SimulatedAccount, position: Position, instrument: Instrument, now: int
    ) -> dict[str, Any]:
        mark, leverage = self._ledger.mark(instrument.id, now), self._ledger.leverage(account.key, instrument.id)
        worth, unrealised = abs(position.amount) * mark, self._ledger.unrealised(position, now)
        margin, digits = money(worth / leverage, ROUND_UP), instrument.price_decimals
        fills = self._ledger.fills(account.key, now, market=instrument.id)
        funding = sum((one.amount for one in self._ledger.payments(account.key, now, market=instrument.id)), _ZERO)
        fees, contracts = -sum((one.fee for one in fills), _ZERO), on_wire(position.amount, instrument)
        last = self._market.last(instrument.id, now).price.tolist()
        return {
            "instType": "SWAP",
            "instId": inst_id(instrument),
            "posId": str(10**18 + salt("position", account.key, instrument.id) % 10**15),
            "posSide": "net",
            "mgnMode": "cross",
            "pos": contracts,
            "availPos": contracts,
            "avgPx": f"{position.entry:.{digits + 4}f}",
            "markPx": f"{mark:f}",
            "idxPx": f"{self._market.index_price(instrument.id, now):.{digits}f}",
            "last": f"{last[0] if last else 0:.{digits}f}",
            "upl": f"{unrealised:f}",
            "uplRatio": f"{unrealised / margin if margin else _ZERO:.8f}",
            "notionalUsd": f"{money(worth):f}",
            "lever": str(leverage),
            "imr": f"{margin:f}",
            "mmr": f"{money(worth * MAINTENANCE, ROUND_UP):f}",
            "pnl": f"{position.realised:f}",
            "fee": f"{fees:f}",
            "fundingFee": f"{funding:f}",
            "realizedPnl": f"{position.realised + fees + funding:f}",
            "ccy": instrument.settle or "",
            "tradeId": str(fills[-1].id) if fills else "",
            "cTime": str(position.updated),
            "uTime": str(position.updated),
            **dict.fromkeys(_NOT_TOLD_OF_POSITIONS, ""),
        }

    def leverage(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell the leverage of swaps."""
        fields.choice("mgnMode", ("cross",))
        fields.required("instId")
        chosen = [one for one in self._names.chosen(fields) if one.kind == "linear"]
        return [_leverage(one, self._ledger.leverage(account.key, one.id)) for one in chosen]

    def set_leverage(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Choose the leverage of a swap, a whole number here."""
        instrument = self._names.swap(fields)
        fields.choice("mgnMode", ("cross",))
        wanted = fields.decimal("lever")
        if wanted is None:
            raise OkxError("50014", "lever")
        if wanted > MAX_LEVERAGE:
            raise OkxError("59102")
        if wanted != int(wanted):
            raise OkxError("51000", "lever")
        self._ledger.set_leverage(account.key, instrument.id, int(wanted))
        return [_leverage(instrument, int(wanted))]


def user_number(account: SimulatedAccount) -> str:
    """Return the number of a user."""
    return str(salt("uid", account.key) % 10**17)


def _leverage(instrument: Instrument, leverage: int) -> dict[str, str]:
    return {"instId": inst_id(instrument), "ccy": "", "lever": str(leverage), "mgnMode": "cross", "posSide": "net"}


def _detail(currency: str, held: Holding, margin: Margin | None, updated: int) -> dict[str, Any]:
    """Return a currency; with ``margin`` where swaps are settled in it: what is free may then be less than is held."""
    total = held.free + held.locked
    equity = total if margin is None else total + margin.unrealised
    available = held.free if margin is None else margin.available
    zero = "0"
    return {
        "ccy": currency,
        "cashBal": f"{total:f}",
        "eq": f"{equity:f}",
        "availEq": f"{available:f}",
        "availBal": f"{available:f}",
        "frozenBal": f"{equity - available:f}",
        "ordFrozen": f"{held.locked if margin is None else held.locked + margin.orders:f}",
        "upl": zero if margin is None else f"{margin.unrealised:f}",
        "imr": zero if margin is None else f"{margin.positions + margin.orders:f}",
        "mmr": zero if margin is None else f"{margin.maintenance:f}",
        "uTime": str(updated),
        **dict.fromkeys(_NOT_TOLD, ""),
    }
