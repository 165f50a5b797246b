"""OKX's private endpoints about orders that wait for a price: ``trigger``, and ``conditional`` with one condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tradeutils.sim.dialect import Venue
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.okx.errors import OkxError, of_refused_order
from tradeutils.sim.okx.fields import Fields
from tradeutils.sim.okx.names import Names, algo_name, algo_number
from tradeutils.sim.okx.paging import cut
from tradeutils.sim.okx.rows import algo_client_id, algo_id_of, algo_kind, algo_state, describe_algo, is_algo
from tradeutils.sim.okx.terms import check_mode, client_id, quantity, side_of
from tradeutils.sim.orders import OrderRefused, OrderRequest, PlacedOrder, Side, Watched

__all__ = ["AlgoData"]

_KINDS: Final = ("trigger", "conditional")
_LISTED: Final = (*_KINDS, "oco", "chase", "move_order_stop", "iceberg", "twap")
_STATES: Final = ("effective", "canceled", "order_failed")
_AT_MARKET: Final = "-1"


@dataclass(frozen=True, slots=True)
class _Condition:
    """What an order waits for: a price, whether it is reached from below, which price is watched, and the limit."""

    price: Decimal
    rises: bool
    watched: Watched
    limit: Decimal | None


class AlgoData:
    """
    The endpoints about orders that wait.

    Attributes
    ----------
    lists, commands : dict
        By path: those that tell, asked with GET, and those that change something, asked with POST. Each takes the
        account and the parameters of a call, or of one of those in a batch; commands return one row.
    """

    def __init__(self, venue: Venue, names: Names) -> None:
        self._clock, self._ledger, self._market, self._names = venue.clock, venue.ledger, venue.market, names
        self._placed = 0
        self.lists: dict[str, Callable[[SimulatedAccount, Fields], Any]] = {
            "trade/order-algo": self.order,
            "trade/orders-algo-pending": self.pending,
            "trade/orders-algo-history": self.history,
        }
        self.commands: dict[str, Callable[[SimulatedAccount, Fields], dict[str, Any]]] = {
            "trade/order-algo": self.place,
            "trade/cancel-algos": self.cancel,
        }

    def place(self, account: SimulatedAccount, fields: Fields) -> dict[str, Any]:
        """Place an order that waits."""
        instrument, now = self._names.instrument(fields), self._clock.now()
        name = client_id(fields, "algoClOrdId")
        waiting = self._ledger.orders(account.key, now, only_open=True)
        if name is not None and any(is_algo(one) and algo_id_of(one) == name for one in waiting):
            raise OkxError("51068", name)
        self._placed += 1
        request = self._request(instrument, fields, now, name)
        try:
            order = self._ledger.place(account.key, request, now)
        except OrderRefused as refused:
            raise of_refused_order(refused, request, instrument) from refused
        told = {"algoId": algo_name(order.id), "algoClOrdId": name or ""}
        return {**told, "clOrdId": "", "tag": fields.text("tag", "")}

    def _request(self, instrument: Instrument, fields: Fields, now: int, name: str | None) -> OrderRequest:
        kind, side = fields.choice("ordType", _KINDS), side_of(fields)
        check_mode(instrument, fields, "cash", "cross")
        condition = self._trigger(instrument, fields, now) if kind == "trigger" else _close(fields, side)
        if instrument.kind == "spot" and condition.watched != "last":
            raise OkxError("51000", "triggerPxType")
        reduces, market = fields.flag("reduceOnly") and instrument.kind == "linear", condition.limit is None
        amount: Decimal | None
        cost: Decimal | None = None
        if reduces and fields.text("closeFraction") is not None:
            fields.choice("closeFraction", ("1",))  # all of the position, as it then is
            amount = None
        else:
            amount, cost = quantity(instrument, fields, side, market=market)
        return OrderRequest(
            market=instrument.id,
            side=side,
            type="market" if market else "limit",
            amount=amount,
            cost=cost,
            price=condition.limit,
            client_id=algo_client_id(kind, name, self._placed),
            trigger=condition.price,
            rises=condition.rises,
            watched=condition.watched,
            reduce_only=reduces,
        )

    def _trigger(self, instrument: Instrument, fields: Fields, now: int) -> _Condition:
        """Return the condition of an order that waits for a price on the side of the last one on which it lies."""
        condition = _condition(fields, "triggerPx", "orderPx", rises=False)
        if condition is None:
            raise OkxError("50014", "triggerPx")
        sources = {"mark": self._market.mark_price, "index": self._market.index_price}
        watched = sources.get(condition.watched) if instrument.kind == "linear" else None
        last = self._market.last(instrument.id, now).price.tolist()
        price = watched(instrument.id, now) if watched is not None else last[0] if last else 0.0
        return _Condition(condition.price, condition.price > Decimal(str(price)), condition.watched, condition.limit)

    def _find(self, account: SimulatedAccount, fields: Fields, now: int) -> PlacedOrder | None:
        """Return the order that a call names by OKX's id, or else the newest under the account's own."""
        number, name = fields.text("algoId"), client_id(fields, "algoClOrdId")
        if number is None and name is None:
            raise OkxError("50015", "algoId", "algoClOrdId")
        wanted = None if number is None else algo_number(number)
        for one in reversed(self._ledger.orders(account.key, now)):
            if is_algo(one) and (algo_id_of(one) == name if wanted is None else one.id == wanted):
                return one
        return None

    def cancel(self, account: SimulatedAccount, fields: Fields) -> dict[str, Any]:
        """Cancel an order that waits."""
        instrument, now = self._names.instrument(fields), self._clock.now()
        order = self._find(account, fields, now)
        if order is None or order.request.market != instrument.id or not order.waiting:
            raise OkxError("51400")
        self._ledger.cancel(account.key, order, now)
        return {"algoId": algo_name(order.id), "algoClOrdId": algo_id_of(order), "clOrdId": "", "tag": ""}

    def order(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return an order that waits, or waited."""
        order = self._find(account, fields, self._clock.now())
        if order is None:
            raise OkxError("51603")
        return self._told(account, [order])

    def pending(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the orders of some kinds that wait."""
        return self._page(account, fields, ("live",))

    def history(self, account: SimulatedAccount, fields: Fields) -> Any:
        """Return the orders of some kinds that waited and came to one end, or one by its id."""
        if fields.text("state") is None and fields.text("algoId") is None:
            raise OkxError("50015", "state", "algoId")
        wanted = _STATES if fields.text("state") is None else (fields.choice("state", _STATES),)
        return self._page(account, fields, wanted)

    def _page(self, account: SimulatedAccount, fields: Fields, states: tuple[str, ...]) -> Any:
        fields.required("ordType")
        kinds, name = fields.several("ordType"), fields.text("algoId")
        if not set(kinds) <= set(_LISTED):
            raise OkxError("51000", "ordType")
        markets = {one.id for one in self._names.chosen(fields)}
        found = [
            one
            for one in self._ledger.orders(account.key, self._clock.now())
            if is_algo(one)
            and one.request.market in markets
            and algo_kind(one) in kinds
            and algo_state(one) in states
            and (name is None or algo_number(name) == one.id)
        ]
        return self._told(account, cut(reversed(found), fields, lambda one: int(algo_name(one.id))))

    def _told(self, account: SimulatedAccount, orders: Iterable[PlacedOrder]) -> list[dict[str, Any]]:
        ledger = self._ledger
        return [
            describe_algo(one, ledger.instrument(one.request.market), ledger.leverage(account.key, one.request.market))
            for one in orders
        ]


def _close(fields: Fields, side: Side) -> _Condition:
    """Return the condition of an order that closes at a loss or at a gain; both in one are not spoken."""
    loss = _condition(fields, "slTriggerPx", "slOrdPx", rises=side == "buy")
    gain = _condition(fields, "tpTriggerPx", "tpOrdPx", rises=side == "sell")
    one = loss or gain
    if one is None:
        raise OkxError("50015", "tpTriggerPx", "slTriggerPx")
    if loss is not None and gain is not None:
        raise OkxError("51000", "tpTriggerPx")
    return one


def _condition(fields: Fields, trigger: str, limit: str, *, rises: bool) -> _Condition | None:
    """Return a condition by the names of its parameters, ``None`` where none was sent."""
    price = fields.decimal(trigger)
    if price is None:
        return None
    given = fields.choice(f"{trigger}Type", ("last", "index", "mark"), "last")
    watched: Watched = "mark" if given == "mark" else "index" if given == "index" else "last"
    at_market = fields.required(limit) == _AT_MARKET
    return _Condition(price, rises, watched, None if at_market else fields.decimal(limit))
