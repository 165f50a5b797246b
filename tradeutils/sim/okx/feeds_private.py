"""What OKX's private channels tell: what an account holds, and what becomes of its orders."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.events import BalanceEvent, Event, OrderEvent
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import Holding, SimulatedAccount
from tradeutils.sim.okx.account import AccountData, user_number
from tradeutils.sim.okx.feeds_channels import Subscription
from tradeutils.sim.okx.feeds_rows import frame_of
from tradeutils.sim.okx.fields import Fields
from tradeutils.sim.okx.names import Names
from tradeutils.sim.okx.rows import describe_algo, describe_order, is_algo, is_order
from tradeutils.sim.orders import Fill, money

__all__ = ["PrivateRows"]

_OF_POSITIONS: Final = (
    "posId", "tradeId", "instId", "instType", "mgnMode", "posSide", "pos", "ccy", "posCcy", "avgPx", "uTime",
)  # fmt: skip
_OF_EVENTS: Final = ("reqId", "amendResult", "amendSource")  # of orders that were changed, which none is here


class PrivateRows:
    """
    Writes what happened to one account as the private channels tell it.

    Parameters
    ----------
    account : SimulatedAccount
        Whose connection it is.
    """

    def __init__(self, venue: Venue, names: Names, data: AccountData, account: SimulatedAccount) -> None:
        self._clock, self._ledger, self._names = venue.clock, venue.ledger, names
        self._data, self._account = data, account
        self._cash: dict[str, Decimal] = {}

    def begin(self, one: Subscription) -> str | None:
        """Return what a channel tells when it is subscribed: all that is held; of orders nothing."""
        if one.channel == "account":
            data = self._data.balance(self._account, Fields({"ccy": dict(one.argument).get("ccy", "")}))
            return self._frame(one, data, eventType="snapshot", curPage=1, lastPage=True)
        if one.channel != "balance_and_position":
            return None
        holdings, _ = self._ledger.holdings(self._account.key, self._clock.now())
        held = {currency: cash(one) for currency, one in holdings.items()}
        self._cash = dict(held)
        return self._frame(one, [self._moved("snapshot", {name: each for name, each in held.items() if each})])

    def write(self, event: Event, one: Subscription) -> str | None:
        """Return the message of a channel for an event, ``None`` where it is no matter of the channel."""
        if isinstance(event, OrderEvent):
            return self._order(event, one)
        if not isinstance(event, BalanceEvent):
            return None
        if one.channel == "account":
            wanted = dict(one.argument).get("ccy", "")
            told = {name: held for name, held in event.holdings.items() if wanted in ("", name)}
            data = self._data.described(self._account, told, event.now)
            return self._frame(one, data, eventType="event_update", curPage=1, lastPage=True) if told else None
        now_held = {currency: cash(held) for currency, held in event.holdings.items()}
        changed = {currency: held for currency, held in now_held.items() if self._cash.get(currency) != held}
        self._cash |= changed
        return self._frame(one, [self._moved("filled", changed)]) if changed else None

    def _moved(self, kind: str, held: Mapping[str, Decimal]) -> dict[str, Any]:
        now = str(self._clock.now())
        positions = self._data.positions(self._account, Fields({}))
        return {
            "pTime": now,
            "eventType": kind,
            "balData": [{"ccy": currency, "cashBal": f"{cash:f}", "uTime": now} for currency, cash in held.items()],
            "posData": [{name: row[name] for name in _OF_POSITIONS} for row in positions],
            "trades": [],
        }

    def _order(self, event: OrderEvent, one: Subscription) -> str | None:
        order = event.order
        if order.request.market not in one.markets:
            return None
        instrument = self._names.of(order.request.market)
        leverage = self._ledger.leverage(self._account.key, instrument.id)
        if one.channel == "orders-algo":
            if not is_algo(order) or event.fill is not None or (is_order(order) and event.reason != "triggered"):
                return None
            return self._frame(one, [describe_algo(order, instrument, leverage)])
        if not is_order(order):
            return None
        row = describe_order(order, instrument, leverage)
        return self._frame(one, [row | _part(event.fill, instrument) | dict.fromkeys(_OF_EVENTS, "")])

    def _frame(self, one: Subscription, data: Any, **more: Any) -> str:
        return frame_of((*one.argument, ("uid", user_number(self._account))), data, **more)


def cash(held: Holding) -> Decimal:
    """Return what is held of a currency, locked or not."""
    return held.free + held.locked


def _part(fill: Fill | None, instrument: Instrument) -> dict[str, str]:
    """Return what a message tells of the part that was traded; nothing where it is about something else."""
    if fill is None:
        nothing = dict.fromkeys(("fillPx", "tradeId", "fillTime", "execType", "fillFeeCcy", "fillNotionalUsd"), "")
        return {**nothing, "fillSz": "0", "fillFee": "0", "fillPnl": "0", "code": "0", "msg": "", "lastPx": ""}
    return {
        "execType": "M" if fill.maker else "T",
        "fillFee": f"{-fill.fee:f}",
        "fillFeeCcy": fill.fee_asset,
        "fillPnl": f"{fill.realised:f}",
        "fillNotionalUsd": f"{money(fill.cost):f}",
        "lastPx": f"{fill.price:.{instrument.price_decimals}f}",
        "code": "0",
        "msg": "",
    }
