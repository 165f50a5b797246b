"""Bybit's private endpoints about positions in linear swaps, held one way and with cross margin."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_UP
from typing import Any, Final

from tradeutils.sim.bybit.errors import BybitError
from tradeutils.sim.bybit.fields import Fields
from tradeutils.sim.bybit.names import Names
from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import MAINTENANCE, MAX_LEVERAGE, Position, SimulatedAccount
from tradeutils.sim.orders import money

__all__ = ["PositionData"]

_SWAPS: Final = ("linear", "inverse")
_POSITIONS: Final = (20, 200)  # rows of a page, by default and at most


class PositionData:
    """
    The endpoints about positions; each takes the account and the parameters of one call.

    Attributes
    ----------
    lists, commands : dict
        By path: those that tell, asked with GET, and those that change something, asked with POST.
    """

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._names = venue.clock, venue.ledger, names
        self.lists: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {"/v5/position/list": self.positions}
        self.commands: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "/v5/position/set-leverage": self.set_leverage
        }

    def positions(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the positions that there are; of a market that is named, one of no size too."""
        category, now = fields.choice("category", _SWAPS), self._clock.now()
        markets = self._names.named(category, fields)
        held = {position.market: position for position in self._ledger.positions(account.key, now)}
        if fields.text("symbol") is not None:
            held = {market: held.get(market, Position(market)) for market in markets}
        found = [position for market, position in held.items() if market in markets]
        first, size = fields.whole("cursor") or 0, fields.limit(*_POSITIONS)
        rows = [self._described(account, one, markets[one.market], now) for one in found[first : first + size]]
        following = str(first + size) if first + size < len(found) else ""
        return {"category": category, "list": rows, "nextPageCursor": following}

    def _described(
        self, account: SimulatedAccount, position: Position, instrument: Instrument, now: int
    ) -> dict[str, Any]:
        mark, leverage = self._ledger.mark(instrument.id, now), self._ledger.leverage(account.key, instrument.id)
        worth, digits = abs(position.amount) * mark, instrument.price_decimals
        side = "Buy" if position.amount > 0 else "Sell" if position.amount else ""
        nothing = (
            "liqPrice",
            "bustPrice",
            "positionBalance",
            "takeProfit",
            "stopLoss",
            "trailingStop",
            "sessionAvgPrice",
        )
        return {
            "symbol": instrument.name,
            "positionIdx": 0,
            "side": side,
            "size": f"{abs(position.amount):.{instrument.amount_decimals}f}",
            "avgPrice": f"{position.entry:.{digits + 4}f}" if side else "0",
            "positionValue": f"{abs(position.cost):f}" if side else "",
            "markPrice": f"{mark:f}",
            "leverage": str(leverage),
            "positionIM": f"{money(worth / leverage, ROUND_UP):f}",
            "positionMM": f"{money(worth * MAINTENANCE, ROUND_UP):f}",
            "unrealisedPnl": f"{self._ledger.unrealised(position, now):f}",
            "curRealisedPnl": f"{position.realised:f}",
            "cumRealisedPnl": f"{position.realised:f}",
            "positionStatus": "Normal",
            "tradeMode": 0,
            "autoAddMargin": 0,
            "tpslMode": "Full",
            "riskId": 1,
            "riskLimitValue": "",
            "adlRankIndicator": 0,
            "isReduceOnly": False,
            "createdTime": str(position.updated),
            "updatedTime": str(position.updated),
            "seq": position.updated,
            **dict.fromkeys(nothing, ""),
        }

    def set_leverage(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Choose the leverage of a market, a whole number here; the same for both sides, as positions are one way."""
        category = fields.choice("category", _SWAPS)
        instrument = self._names.instrument(category, fields)
        wanted, other = fields.decimal("buyLeverage"), fields.decimal("sellLeverage")
        if wanted is None or wanted != other or wanted != int(wanted) or not 1 <= wanted <= MAX_LEVERAGE:
            raise BybitError(10001, "params error: leverage invalid")
        if wanted == self._ledger.leverage(account.key, instrument.id):
            raise BybitError(110043, "leverage not modified")
        self._ledger.set_leverage(account.key, instrument.id, int(wanted))
        return {}
