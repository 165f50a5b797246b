"""What Binance's user data streams tell: of spot, and of the USD-M futures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from tradeutils.sim.binance.futures_orders import algo_status, algo_type, only_algo
from tradeutils.sim.binance.listing import fixed
from tradeutils.sim.binance.spot_orders import STATUS, type_of
from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.events import BalanceEvent, OrderEvent
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import Holding, Position
from tradeutils.sim.orders import Fill

__all__ = ["LinearUser", "SpotUser"]

_ZERO: Final = Decimal(0)
# A stop whose trigger is reached is told as new once more: it is on the book from then on.
_EXECUTION: Final = {
    "new": "NEW", "trade": "TRADE", "canceled": "CANCELED", "expired": "EXPIRED", "triggered": "NEW",
}  # fmt: skip


class SpotUser:
    """
    The user data of an account on spot: orders, balances, and what changed those without a trade.

    Parameters
    ----------
    venue : Venue
        Where the account is.
    account : str
        Its API key.
    now : int
        The moment from which on changes are told, ms UTC.
    """

    trades: Final = "spot"

    def __init__(self, venue: Venue, account: str, now: int) -> None:
        self._ledger = venue.ledger
        held, _ = venue.ledger.holdings(account, now)
        self._totals = {asset: one.free + one.locked for asset, one in held.items()}
        self._traded: dict[str, Decimal] = {}

    def orders(self, event: OrderEvent) -> list[dict[str, Any]]:
        """Return what became of an order."""
        instrument = self._ledger.instrument(event.order.request.market)
        if event.fill is not None:
            self._count(event.fill, instrument)
        return [_execution_report(event, instrument)]

    def _count(self, fill: Fill, instrument: Instrument) -> None:
        """Remember what a trade moved: it needs no message of its own when the balances are told."""
        sign = 1 if fill.side == "buy" else -1
        moved = {instrument.base: sign * fill.amount, instrument.quote: -sign * fill.cost}
        moved[fill.fee_asset] = moved.get(fill.fee_asset, _ZERO) - fill.fee
        for asset, amount in moved.items():
            self._traded[asset] = self._traded.get(asset, _ZERO) + amount

    def balances(self, event: BalanceEvent) -> list[dict[str, Any]]:
        """Return what was moved in or out, and the balances that changed."""
        messages: list[dict[str, Any]] = []
        for asset, held in event.holdings.items():
            total = held.free + held.locked
            moved = total - self._totals.get(asset, _ZERO) - self._traded.get(asset, _ZERO)
            self._totals[asset] = total
            if moved:
                messages.append({"e": "balanceUpdate", "E": event.now, "a": asset, "d": fixed(moved), "T": event.now})
        self._traded.clear()
        rows = [{"a": asset, "f": fixed(held.free), "l": fixed(held.locked)} for asset, held in event.holdings.items()]
        return [*messages, {"e": "outboundAccountPosition", "E": event.now, "u": event.now, "B": rows}]


def _execution_report(event: OrderEvent, instrument: Instrument) -> dict[str, Any]:
    order, request, fill = event.order, event.order.request, event.fill
    works = order.open and not order.waiting
    canceled = event.reason == "canceled"
    row = {
        "e": "executionReport",
        "E": event.now,
        "s": instrument.name,
        "c": f"cancel{order.id:016d}" if canceled else order.client_id,
        "S": request.side.upper(),
        "o": type_of(request),
        "f": request.time_in_force,
        "q": fixed(order.amount),
        "p": fixed(request.price or _ZERO),
        "P": fixed(request.trigger or _ZERO),
        "F": fixed(_ZERO),
        "g": -1,
        "C": order.client_id if canceled else "",
        "x": _EXECUTION[event.reason],
        "X": STATUS[order.status],
        "r": "NONE",
        "i": order.id,
        "l": fixed(fill.amount if fill else _ZERO),
        "z": fixed(order.filled),
        "L": fixed(fill.price if fill else _ZERO),
        "n": fixed(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": fill.time if fill else order.updated,
        "t": fill.id if fill else -1,
        "I": fill.id if fill else order.id,
        "w": works,
        "m": fill.maker if fill else False,
        "M": fill is not None,
        "O": order.time,
        "Z": fixed(order.cost),
        "Y": fixed(fill.cost if fill else _ZERO),
        "Q": fixed(request.cost or _ZERO),
        "V": "NONE",
    }
    return row | ({} if order.waiting else {"W": order.triggered or order.time})


class LinearUser:
    """
    The user data of an account on the futures: orders, balances, positions.

    Parameters
    ----------
    venue, account, now :
        As of `SpotUser`.
    """

    trades: Final = "linear"

    def __init__(self, venue: Venue, account: str, now: int) -> None:
        self._ledger, self._account = venue.ledger, account
        known = venue.ledger.account(account)
        self._settled = {one.settle for one in venue.market.traded("linear").values()}
        self._shared = known is not None and known.unified
        self._positions = {one.market: one.amount for one in venue.ledger.positions(account, now)}
        self._wallets = self._told(venue.ledger.wallet(account, now, "swap"))
        self._filled = False

    def _told(self, holdings: Mapping[str, Holding]) -> dict[str, Decimal]:
        """Return the wallet balances that the futures know of."""
        return {
            asset: held.free + held.locked
            for asset, held in holdings.items()
            if not self._shared or asset in self._settled
        }

    def orders(self, event: OrderEvent) -> list[dict[str, Any]]:
        """Return what became of an order; one with a trigger is told of as an algo order as well."""
        order = event.order
        instrument = self._ledger.instrument(order.request.market)
        if order.request.trigger is None:
            messages = [_order_update(event, instrument)]
        elif only_algo(order):
            messages = [_algo_update(event, instrument)]
        elif event.reason == "triggered":
            messages = [_algo_update(event, instrument), _order_update(event, instrument)]
        else:
            ended = [] if order.open else [_algo_update(event, instrument)]
            messages = [_order_update(event, instrument), *ended]
        self._filled = self._filled or event.fill is not None
        return messages

    def balances(self, event: BalanceEvent) -> list[dict[str, Any]]:
        """Return the balances and positions that changed; none where only what is locked did."""
        told = self._told(event.holdings)
        changed = {asset: total for asset, total in told.items() if total != self._wallets.get(asset, _ZERO)}
        positions = list(self._moved(event.now))
        if not changed and not positions:
            return []
        gained = {asset: total - self._wallets.get(asset, _ZERO) for asset, total in changed.items()}
        reason = "ORDER" if self._filled or positions else self._reason(event.now, sum(gained.values(), _ZERO))
        self._wallets |= changed
        self._filled = False
        # What is neither a gain of a position nor a fee.
        besides = dict.fromkeys(changed, _ZERO) if reason == "ORDER" else gained
        rows = [
            {"a": asset, "wb": fixed(total), "cw": fixed(total), "bc": fixed(besides[asset])}
            for asset, total in changed.items()
        ]
        update = {"m": reason, "B": rows, "P": positions}
        return [{"e": "ACCOUNT_UPDATE", "T": event.now, "E": event.now, "a": update}]

    def _reason(self, now: int, gained: Decimal) -> str:
        """Return why balances changed with no trade."""
        paid = self._ledger.payments(self._account, now)
        _, updated = self._ledger.holdings(self._account, now)
        if paid and paid[-1].time == updated:
            return "FUNDING_FEE"
        return "DEPOSIT" if gained > 0 else "WITHDRAW"

    def _moved(self, now: int) -> Iterable[dict[str, Any]]:
        """Yield the positions that are not what they were, also those that are no more."""
        held = {one.market: one for one in self._ledger.positions(self._account, now)}
        for market in dict.fromkeys((*held, *self._positions)):
            position = held.get(market, Position(market))
            if position.amount != self._positions.get(market, _ZERO):
                yield self._described(position, now)
        self._positions = {market: one.amount for market, one in held.items()}

    def _described(self, position: Position, now: int) -> dict[str, Any]:
        instrument = self._ledger.instrument(position.market)
        return {
            "s": instrument.name,
            "pa": f"{position.amount:.{instrument.amount_decimals}f}",
            "ep": fixed(position.entry),
            "bep": fixed(position.entry),
            "cr": fixed(position.realised),
            "up": fixed(self._ledger.unrealised(position, now)),
            "mt": "cross",
            "iw": "0",
            "ps": "BOTH",
        }


def _order_update(event: OrderEvent, instrument: Instrument) -> dict[str, Any]:
    order, request, fill = event.order, event.order.request, event.fill
    kind = "MARKET" if request.type == "market" else "LIMIT"
    time = fill.time if fill else order.updated
    fee = {"N": fill.fee_asset, "n": fixed(fill.fee)} if fill else {}
    row = {
        "s": instrument.name,
        "c": order.client_id,
        "S": request.side.upper(),
        "o": kind,
        "f": "GTX" if request.type == "limit maker" else request.time_in_force,
        "q": fixed(order.amount),
        "p": fixed(request.price or _ZERO),
        "ap": fixed(order.cost / order.filled if order.filled else _ZERO),
        "sp": "0",
        "x": _EXECUTION[event.reason],
        "X": STATUS[order.status],
        "i": order.id,
        "l": fixed(fill.amount if fill else _ZERO),
        "z": fixed(order.filled),
        "L": fixed(fill.price if fill else _ZERO),
        **fee,
        "T": time,
        "t": fill.id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.maker if fill else False,
        "R": request.reduce_only,
        "wt": "MARK_PRICE" if request.watched == "mark" else "CONTRACT_PRICE",
        "ot": kind if request.trigger is None else algo_type(request),
        "ps": "BOTH",
        "cp": request.reduce_only and request.amount is None,
        "rp": fixed(fill.realised if fill else _ZERO),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "NONE",
        "pm": "NONE",
        "gtd": 0,
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": event.now, "T": time, "o": row}


def _algo_update(event: OrderEvent, instrument: Instrument) -> dict[str, Any]:
    order, request = event.order, event.order.request
    triggered = order.triggered is not None
    row = {
        "caid": order.client_id,
        "aid": order.id,
        "at": "CONDITIONAL",
        "o": algo_type(request),
        "s": instrument.name,
        "S": request.side.upper(),
        "ps": "BOTH",
        "f": "GTX" if request.type == "limit maker" else request.time_in_force,
        "q": fixed(order.amount),
        "X": algo_status(order),
        "ai": str(order.id) if triggered else "",
        "ap": fixed(order.cost / order.filled if order.filled else _ZERO),
        "aq": fixed(order.filled),
        "act": ("MARKET" if request.type == "market" else "LIMIT") if triggered else "0",
        "tp": fixed(request.trigger or _ZERO),
        "p": fixed(request.price or _ZERO),
        "V": "NONE",
        "wt": "MARK_PRICE" if request.watched == "mark" else "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": request.reduce_only and request.amount is None,
        "pP": False,
        "R": request.reduce_only,
        "tt": order.triggered or 0,
        "gtd": 0,
        "rm": "",
    }
    return {"e": "ALGO_UPDATE", "T": order.updated, "E": event.now, "o": row}
