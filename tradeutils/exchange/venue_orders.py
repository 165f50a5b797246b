"""The orders of an account through ccxt: how they are sent, found and read."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final, TypeVar

from tradeutils import errors
from tradeutils.exchange import parse
from tradeutils.exchange.calls import Call
from tradeutils.exchange.client_ids import Question, client_ids_of, lapse_of
from tradeutils.exchange.connection import Connection
from tradeutils.exchange.doubts import Doubts, Unsettled
from tradeutils.exchange.order_checks import NewOrder, plain
from tradeutils.exchange.orders import refused, warn_of_cancellation
from tradeutils.exchange.timekeeping import Timekeeper
from tradeutils.model import Fill, Market, Order

__all__ = ["CcxtOrders"]

T = TypeVar("T")

_COMPARE_CONTRACTS: Final = ("kucoin", "kucoinfutures")  # ccxt's class compares the amount with 1, which text cannot be


class CcxtOrders:
    """
    The orders of one account through ccxt's own class.

    Parameters
    ----------
    connection : Connection
        Through which they are sent.
    keeper : Timekeeper
        Knows the time that they are signed with.
    """

    def __init__(self, connection: Connection, keeper: Timekeeper) -> None:
        self._connection = connection
        self._ccxt = connection.ccxt
        self._keeper = keeper
        self._ids = client_ids_of(connection.name)
        self._doubts = Doubts()

    @property
    def name(self) -> str:
        return self._connection.name

    @property
    def doubts(self) -> Doubts:
        return self._doubts

    @property
    def proves_absence(self) -> bool:
        return bool(self._ids.places)

    def check_client_id(self, client_id: str | None) -> str:
        return self._ids.make() if client_id is None else self._ids.check(client_id, self.name)

    def check_digits(self, order: NewOrder) -> None:
        symbol = order.market.symbol
        for what, asked, write in (
            ("amount", order.amount, self._ccxt.amount_to_precision),
            ("price", order.price, self._ccxt.price_to_precision),
        ):
            if asked is None:
                continue
            try:
                sent = Decimal(write(symbol, plain(asked)))
            except Exception as error:  # ccxt's own classes differ by market, and so does what it lacks
                raise errors.UsageError(
                    f"{what} was {plain(asked)}; {self.name} cannot be sent it for {symbol} ({type(error).__name__})"
                ) from error
            if sent != asked:
                raise errors.UsageError(
                    f"{what} was {plain(asked)}; {symbol} takes fewer digits and nothing is rounded here: "
                    f"write {plain(sent)}"
                )

    def settles_after(self, order: NewOrder) -> float:
        return lapse_of(self._ids, {**self._ccxt.options, **order.params})

    async def create_order(self, order: NewOrder) -> Order:
        await self._keeper.settle()
        call = Call(
            "create_order", order.market.symbol, urgent=True, client_id=order.client_id, leave_by=order.leave_by
        )
        try:
            raw = await self._connection.send(call, lambda: self._create(order))
            return _completed(_with_id(raw, call), order)
        except errors.TradeutilsError as error:
            # What some classes of ccxt ask after the order is not its answer.
            if not call.order_left or (call.about_order and refused(error, call.status)):
                raise
            raise self._unsettled(error, call, order) from error
        except asyncio.CancelledError as cancelled:
            if call.order_left:
                gone = errors.VenueTimeout("its caller was cancelled", venue=self.name, operation=call.operation)
                self._doubts.add(order.client_id, self._unsettled(gone, call, order))
                warn_of_cancellation(cancelled, self.name, order)
            raise

    def _unsettled(self, error: errors.TradeutilsError, call: Call, order: NewOrder) -> Unsettled:
        provable = call.id_left and self._ids.proves(call.endpoint, order.type, order.params)
        return Unsettled(error, left=call.sent / 1000, provable=provable)

    async def _create(self, order: NewOrder) -> Any:
        price = None if order.price is None else plain(order.price)
        params = {**order.params, self._ids.sent_as: order.client_id}
        amount: Any = plain(order.amount)
        if self.name in _COMPARE_CONTRACTS and order.market.type != "spot":
            amount = order.amount
        return await self._ccxt.create_order(order.market.symbol, order.type, order.side, amount, price, params)

    async def find_order(self, client_id: str, market: Market) -> Order | None:
        await self._keeper.settle()
        questions = [one for one in self._ids.questions if self._has(one.method)]
        if not questions:
            raise errors.NotSupportedByVenue("cannot be asked for orders", venue=self.name, operation="create_order")
        for question in questions:
            found = await self._ask(question, client_id, market.symbol)
            if found is not None:
                return found
        return None

    async def _ask(self, question: Question, client_id: str, symbol: str) -> Order | None:
        params = {} if question.parameter is None else {question.parameter: client_id}
        ask = getattr(self._ccxt, question.method)
        one = question.method == "fetch_order"

        async def work() -> list[Order]:
            rows = [await ask("", symbol, params)] if one else await ask(symbol, None, None, params)
            return [_with_id(raw, call) for raw in rows]

        call = Call("fetch_order", symbol, urgent=True)
        try:
            orders = await self._connection.send(call, work)
        except errors.OrderNotFound:
            return None
        if one:
            return dataclasses.replace(orders[0], client_id=orders[0].client_id or client_id)
        return next((order for order in orders if order.client_id == client_id), None)

    def _has(self, method: str) -> bool:
        head, *rest = method.split("_")
        return bool(self._ccxt.has.get(head + "".join(part.capitalize() for part in rest)))

    async def cancel_order(self, order_id: str, symbol: str) -> Order:
        await self._keeper.settle()
        call = Call("cancel_order", symbol, urgent=True)
        try:
            raw = await self._connection.send(call, lambda: self._ccxt.cancel_order(order_id, symbol))
            _check_says_something(raw, call)
        except errors.OrderNotFound as error:
            if call.resent:
                raise Unsettled(error, left=call.sent / 1000) from error
            raise
        told = raw if isinstance(raw, dict) else {}  # some venues answer with a word
        order = parse.order(told, symbol)
        info = told.get("info")
        own = info.get("origClientOrderId") if isinstance(info, dict) else None  # beside it stands that of the cancel
        return dataclasses.replace(order, id=order.id or order_id, client_id=own or order.client_id)

    async def fetch_order(self, order_id: str, symbol: str) -> Order:
        async def work(call: Call) -> Order:
            return _with_id(await self._ccxt.fetch_order(order_id, symbol), call)

        return await self._read("fetch_order", work, symbol)

    async def fetch_open_orders(self, symbol: str | None) -> list[Order]:
        async def work(_: Call) -> list[Order]:
            return [parse.order(raw, symbol) for raw in await self._ccxt.fetch_open_orders(symbol)]

        return await self._read("fetch_open_orders", work, symbol)

    async def fetch_orders(self, symbol: str, since: int | None, limit: int | None) -> list[Order]:
        async def work(_: Call) -> list[Order]:
            return [parse.order(raw, symbol) for raw in await self._ccxt.fetch_orders(symbol, since, limit)]

        return await self._read("fetch_orders", work, symbol)

    async def fetch_closed_orders(self, symbol: str, since: int | None, limit: int | None) -> list[Order]:
        async def work(_: Call) -> list[Order]:
            return [parse.order(raw, symbol) for raw in await self._ccxt.fetch_closed_orders(symbol, since, limit)]

        return await self._read("fetch_closed_orders", work, symbol)

    async def fetch_fills(self, symbol: str, since: int | None, limit: int | None) -> list[Fill]:
        async def work(_: Call) -> list[Fill]:
            return [parse.fill(raw, symbol) for raw in await self._ccxt.fetch_my_trades(symbol, since, limit)]

        return await self._read("fetch_my_trades", work, symbol)

    async def _read(self, operation: str, work: Callable[[Call], Awaitable[T]], symbol: str | None) -> T:
        return await self._connection.read(operation, work, symbol=symbol, before=self._keeper.settle)


def _with_id(raw: Any, call: Call) -> Order:
    """Return an order from ccxt's structure; ccxt makes one of a page or an empty reply too, which has no id."""
    order = parse.order(raw, call.symbol)
    if not order.id:
        raise _no_answer(call)
    return order


def _check_says_something(raw: Any, call: Call) -> None:
    """Raise for the answer to a cancel that is a page or empty; many venues answer with nothing but a word."""
    said = raw.get("info") if isinstance(raw, dict) else raw
    if not said or (isinstance(said, str) and said.lstrip().startswith("<")):
        raise _no_answer(call)


def _no_answer(call: Call) -> errors.BadReply:
    return errors.BadReply("the reply names no order", operation=call.operation, symbol=call.symbol)


def _completed(order: Order, sent: NewOrder) -> Order:
    """Return an order with what was sent where the venue's answer does not repeat it; many tell only their id."""
    known: dict[str, Any] = {
        "symbol": sent.market.symbol,
        "client_id": sent.client_id,
        "type": sent.type,
        "side": sent.side,
        "amount": sent.amount,
        "price": sent.price if sent.type != "market" else None,
    }
    missing = {name: value for name, value in known.items() if getattr(order, name) in (None, "")}
    return dataclasses.replace(order, **missing) if missing else order
