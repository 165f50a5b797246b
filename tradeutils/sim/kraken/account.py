"""Kraken's private endpoints: balances, fees and trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from tradeutils.sim.dialect import Venue
from tradeutils.sim.kraken.errors import KrakenError
from tradeutils.sim.kraken.market_data import Fields, whole
from tradeutils.sim.kraken.names import SOCKETS, Names, asset_name, order_name, trade_name, trade_number
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.orders import Fill, money

__all__ = ["AccountData"]

_PAGE: Final = 50
_TOKEN_S: Final = 900
_NAMED: Final = 20  # trades that may be asked for by name at once


class AccountData:
    """The private endpoints by name; each takes the account and the fields of one call and returns its result."""

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._names, self._keys = venue.clock, venue.ledger, names, venue.keys
        self.endpoints: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "Balance": self.balance,
            "BalanceEx": self.balance_with_holds,
            "TradeVolume": self.fees,
            "TradesHistory": self.trades,
            "QueryTrades": self.query_trades,
            "GetWebSocketsToken": self.token,
        }

    def balance(self, account: SimulatedAccount, _fields: Fields) -> Any:
        """Tell what an account holds, free or not."""
        holdings, _ = self._ledger.holdings(account.key, self._clock.now())
        return {asset_name(asset): f"{held.free + held.locked:.10f}" for asset, held in holdings.items()}

    def balance_with_holds(self, account: SimulatedAccount, _fields: Fields) -> Any:
        """Tell what an account holds, and how much of it is held for orders."""
        holdings, _ = self._ledger.holdings(account.key, self._clock.now())
        return {
            asset_name(asset): {"balance": f"{held.free + held.locked:.10f}", "hold_trade": f"{held.locked:.10f}"}
            for asset, held in holdings.items()
        }

    def token(self, account: SimulatedAccount, _fields: Fields) -> Any:
        """Issue a token for private channels, to be used within 900 seconds; then it lives with its connection."""
        lifetime = _TOKEN_S * 1000
        token = self._keys.issue(account.key, self._clock.now(), kind=SOCKETS, lifetime=lifetime, fresh=True)
        return {"token": token, "expires": _TOKEN_S}

    def fees(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Tell the fees of some markets, in percent."""
        pairs = self._names.chosen(fields["pair"]) if "pair" in fields else []

        def rows(rate: str) -> dict[str, Any]:
            return {self._names.pair(one): {"fee": rate, "minfee": rate, "maxfee": rate} for one in pairs}

        return {
            "currency": "ZUSD",
            "volume": "0.0000",
            "fees": rows(f"{100 * account.taker:.4f}"),
            "fees_maker": rows(f"{100 * account.maker:.4f}"),
        }

    def trades(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the newest fifty trades of the account, from ``ofs`` on; ``start`` is excluded, in seconds."""
        start, end = whole(fields, "start", 0) * 1000, whole(fields, "end", 10**11) * 1000
        fills = self._ledger.fills(account.key, self._clock.now(), kind="spot")
        found = [fill for fill in reversed(fills) if start < fill.time <= end]
        first = whole(fields, "ofs", 0)
        return {"trades": self._all(found[first : first + _PAGE]), "count": len(found)}

    def query_trades(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return trades by their names."""
        names = [name for name in fields.get("txid", "").split(",") if name]
        if not 1 <= len(names) <= _NAMED:
            raise KrakenError("EGeneral:Invalid arguments:txid")
        numbers = {trade_number(name) for name in names}
        fills = self._ledger.fills(account.key, self._clock.now(), kind="spot")
        return self._all(fill for fill in fills if fill.id in numbers)

    def _all(self, fills: Iterable[Fill]) -> dict[str, Any]:
        return {trade_name(fill.id): self._described(fill) for fill in fills}

    def _described(self, fill: Fill) -> dict[str, Any]:
        # Fees are told in quote here, whatever they were taken from.
        fee = money(fill.fee * fill.price) if fill.side == "buy" else fill.fee
        return {
            "ordertxid": order_name(fill.order_id),
            "postxid": trade_name(0),
            "pair": self._names.pair(self._ledger.instrument(fill.market)),
            "time": fill.time / 1000,
            "type": fill.side,
            "ordertype": "limit" if fill.maker else "market",
            "price": f"{fill.price:f}",
            "cost": f"{fill.cost:.8f}",
            "fee": f"{fee:.8f}",
            "vol": f"{fill.amount:.8f}",
            "margin": "0.00000000",
            "leverage": "0",
            "misc": "",
            "trade_id": fill.id,
            "maker": fill.maker,
        }
