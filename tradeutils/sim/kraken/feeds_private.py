"""What Kraken's private channels tell: what becomes of an account's orders, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.events import BalanceEvent, Event, OrderEvent
from tradeutils.sim.kraken.feeds_rows import exact, message, moment
from tradeutils.sim.kraken.names import order_name, trade_name
from tradeutils.sim.kraken.orders import order_type
from tradeutils.sim.ledger import Holding, SimulatedAccount
from tradeutils.sim.orders import Fill, PlacedOrder, money

__all__ = ["Balances", "Executions"]

_ZERO: Final = Decimal(0)
_PAGE: Final = 50
_STATUS: Final = {"partly filled": "partially_filled"}
_FORCES: Final = {"GTC": "GTC", "IOC": "IOC", "FOK": "IOC"}
# Of the changes of an order, those that a client hears of that wants only to know of its beginning and its end.
_ENDS: Final = ("new", "filled", "canceled", "expired")


class _Channel:
    """A private channel of one connection; its messages are numbered."""

    name: str

    def __init__(self, venue: Venue, account: SimulatedAccount) -> None:
        self._clock, self._ledger, self._account = venue.clock, venue.ledger, account
        self._sequence = 0

    def _message(self, kind: str, rows: Any) -> str:
        self._sequence += 1
        return message(self.name, kind, rows, sequence=self._sequence)


class Executions(_Channel):
    """
    The channel of orders.

    Parameters
    ----------
    trades, orders : bool
        What it begins with: the last fifty fills, the open orders.
    every : bool
        Whether every change is told, or only beginnings and ends.

    Notes
    -----
    Only the first message of an order, and those of its fills, name its market: all others are about what has changed
    and nothing else, as on the venue.
    """

    name = "executions"

    def __init__(
        self, venue: Venue, account: SimulatedAccount, *, trades: bool = False, orders: bool = True, every: bool = True
    ) -> None:
        super().__init__(venue, account)
        self._trades, self._orders, self._every = trades, orders, every

    def begin(self) -> str:
        """Return what it begins with."""
        now, key = self._clock.now(), self._account.key
        rows = []
        if self._orders:
            found = self._ledger.orders(key, now, kind="spot", only_open=True)
            rows += [self._whole(one, "new", _status(one)) for one in found]
        if self._trades:
            for fill in self._ledger.fills(key, now, kind="spot")[-_PAGE:]:
                order = self._ledger.find(key, now, fill.market, number=fill.order_id)
                rows += [] if order is None else [self._fill(order, fill)]
        return self._message("snapshot", rows)

    def write(self, event: Event) -> list[str]:
        """Return the messages about what became of an order."""
        if not isinstance(event, OrderEvent):
            return []
        order, rows = event.order, []
        if event.reason == "new":
            rows = [self._whole(order, "pending_new", "pending_new"), self._change(order, "new", "new")]
        elif event.reason == "triggered":
            rows = [{**self._change(order, "status", _status(order)), "triggers": _trigger(order)}]
        elif event.reason == "trade" and event.fill is not None:
            # Also of the fill that is the last: that all is filled is told by a message of its own.
            rows = [self._fill(order, event.fill)]
            if order.status == "filled":
                rows.append({**self._change(order, "filled", "filled"), **_sums(order)})
        elif event.reason in ("canceled", "expired"):
            why = "User requested" if event.reason == "canceled" else "Order expired"
            over = {"reason": why, **({"cancel_reason": why} if event.reason == "canceled" else {})}
            rows = [{**self._change(order, event.reason, event.reason), **_sums(order), **over}]
        told = [row for row in rows if self._every or row["exec_type"] in _ENDS]
        return [self._message("update", [row]) for row in told]

    def _change(self, order: PlacedOrder, kind: str, status: str) -> dict[str, Any]:
        return {
            "timestamp": moment(order.updated),
            "order_status": status,
            "exec_type": kind,
            "order_userref": 0,
            "order_id": order_name(order.id),
            **_client_id(order),
        }

    def _whole(self, order: PlacedOrder, kind: str, status: str) -> dict[str, Any]:
        request, instrument = order.request, self._ledger.instrument(order.request.market)
        digits = instrument.price_decimals
        limit = {} if request.price is None else {"limit_price": exact(request.price, digits)}
        waits = {} if request.trigger is None else {"triggers": _trigger(order)}
        return {
            "order_id": order_name(order.id),
            "order_userref": 0,
            **_client_id(order),
            "symbol": instrument.symbol,
            "order_qty": exact(order.amount),
            **_sums(order),
            "time_in_force": _FORCES[request.time_in_force],
            "exec_type": kind,
            "side": request.side,
            "order_type": order_type(request),
            "limit_price_type": "static",
            **limit,
            "stop_price": exact(request.trigger or _ZERO, digits),
            **waits,
            **({"post_only": True} if request.type == "limit maker" else {}),
            "order_status": status,
            "fee_ccy_pref": "fcib" if request.side == "buy" else "fciq",
            "timestamp": moment(order.time if kind == "pending_new" else order.updated),
        }

    def _fill(self, order: PlacedOrder, fill: Fill) -> dict[str, Any]:
        instrument = self._ledger.instrument(order.request.market)
        # Fees are told in quote, whatever they were taken from.
        fee = _in_quote(fill)
        return {
            "order_id": order_name(order.id),
            "order_userref": 0,
            **_client_id(order),
            "exec_id": trade_name(fill.id),
            "exec_type": "trade",
            "trade_id": fill.id,
            "symbol": instrument.symbol,
            "side": fill.side,
            "last_qty": exact(fill.amount),
            "last_price": exact(fill.price, instrument.price_decimals),
            "liquidity_ind": "m" if fill.maker else "t",
            "cost": exact(fill.cost),
            "order_type": order_type(order.request),
            "timestamp": moment(fill.time),
            "order_status": "partially_filled",
            **_sums(order, until=fill.id),
            "fees": [{"asset": instrument.quote, "qty": exact(fee)}],
        }


class Balances(_Channel):
    """The channel of what is held: all of each asset, locked or not; only what was booked is told."""

    name = "balances"

    def __init__(self, venue: Venue, account: SimulatedAccount) -> None:
        super().__init__(venue, account)
        self._held: dict[str, Decimal] = {}

    def begin(self, *, told: bool) -> str | None:
        """Return what is held, ``told`` or only remembered."""
        holdings, _ = self._ledger.holdings(self._account.key, self._clock.now())
        self._held = _totals(holdings)
        rows = [
            {
                "asset": asset,
                "asset_class": "currency",
                "balance": exact(held),
                "wallets": [{"type": "spot", "id": "main", "balance": exact(held)}],
            }
            for asset, held in self._held.items()
            if held
        ]
        return self._message("snapshot", rows) if told else None

    def write(self, event: Event) -> list[str]:
        """Return the messages about what was booked: one for each asset."""
        told: list[str] = []
        if not isinstance(event, BalanceEvent):
            return told
        for asset, held in _totals(event.holdings).items():
            change = held - self._held.get(asset, _ZERO)
            self._held[asset] = held
            if change:
                told.append(self._message("update", [self._booked(asset, change, held, event.now)]))
        return told

    def _booked(self, asset: str, change: Decimal, held: Decimal, now: int) -> dict[str, Any]:
        entry = f"L{order_name(self._sequence + 1)[1:]}"
        return {
            "ledger_id": entry,
            "ref_id": entry,
            "timestamp": moment(now),
            "type": "trade",
            "asset": asset,
            "asset_class": "currency",
            "category": "trade",
            "wallet_type": "spot",
            "wallet_id": "main",
            "amount": exact(change),
            "fee": exact(_ZERO),
            "balance": exact(held),
        }


def _totals(holdings: Mapping[str, Holding]) -> dict[str, Decimal]:
    return {asset: held.free + held.locked for asset, held in holdings.items()}


def _status(order: PlacedOrder) -> str:
    return _STATUS.get(order.status, order.status)


def _client_id(order: PlacedOrder) -> dict[str, str]:
    name = order.request.client_id
    return {} if name is None else {"cl_ord_id": name}


def _in_quote(fill: Fill) -> Decimal:
    return money(fill.fee * fill.price) if fill.side == "buy" else fill.fee


def _sums(order: PlacedOrder, until: int | None = None) -> dict[str, Any]:
    """Return what an order has come to: amount, cost, mean price and fees, ``until`` one of its fills."""
    fills: Sequence[Fill] = [one for one in order.fills if until is None or one.id <= until]
    filled, cost = sum((one.amount for one in fills), _ZERO), sum((one.cost for one in fills), _ZERO)
    return {
        "cum_qty": exact(filled),
        "cum_cost": exact(cost),
        "avg_price": exact(cost / filled if filled else _ZERO),
        "fee_usd_equiv": exact(sum((_in_quote(one) for one in fills), _ZERO)),
    }


def _trigger(order: PlacedOrder) -> dict[str, Any]:
    price, fired = exact(order.request.trigger or _ZERO), order.triggered
    told = {"reference": "last", "price": price, "price_type": "static", "actual_price": price}
    if fired is None:
        return {**told, "status": "untriggered"}
    return {**told, "status": "triggered", "last_price": price, "timestamp": moment(fired)}
