"""The orders of an account through ccxt: how they are sent, found and read."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, localcontext
from typing import Any, Final, TypeVar

from tradeutils import errors
from tradeutils.budget.base import Charge
from tradeutils.exchange.ordering.checks import NewOrder, plain
from tradeutils.exchange.ordering.client_ids import Question, client_ids_of, lapse_of
from tradeutils.exchange.ordering.doubts import Doubts, Unsettled
from tradeutils.exchange.ordering.open_orders import next_page, page_size
from tradeutils.exchange.orders import refused, warn_of_cancellation
from tradeutils.exchange.requests.calls import Call
from tradeutils.exchange.requests.connection import Connection
from tradeutils.exchange.requests.timekeeping import Timekeeper
from tradeutils.exchange.venues import parse
from tradeutils.exchange.venues.order_rows import as_told
from tradeutils.exchange.venues.terms import CCXT_CONTEXT, VenueTerms
from tradeutils.logs import redact
from tradeutils.model import Fill, Market, Order, TradingFee

__all__ = ["CcxtOrders"]

T = TypeVar("T")

# One request cancels all orders of a spot market here, and its answer names them. Elsewhere the answer is a word, or
# the class forgets the market: kraken's cancels the orders of all markets, whichever it is given.
_CANCEL_AT_ONCE: Final = ("binance", "mexc")
# Bybit shows the last 500 orders of an account, and ccxt wants to be told that the caller knows.
_OLD_ORDERS: Final[Mapping[str, Mapping[str, Any]]] = {"bybit": {"acknowledged": True}}
_MOST_PAGES: Final = 200
_MOST_TOLD: Final = 500  # characters of a venue's answer in an error
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
        self._terms = VenueTerms(connection.ccxt)
        # ccxt's own takes a Decimal for nothing, and the precision of a cost is one: see venue.
        self._ccxt.safe_string_2 = self._text_of_either

    def _text_of_either(self, container: Any, first: Any, second: Any, default: Any = None) -> Any:
        found = self._ccxt.safe_string(container, first)
        return self._ccxt.safe_string(container, second, default) if found is None else found

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

    def check_terms(self, order: NewOrder) -> None:
        self._terms.check(order)

    def wants_cost(self, order: NewOrder) -> bool:
        return self._terms.wants_cost(order)

    def sendable_cost(self, market: Market, cost: Decimal) -> Decimal:
        return self._terms.sendable_cost(market, cost)

    def cancels_at_once(self, market: Market) -> bool:
        return market.type == "spot" and self.name in _CANCEL_AT_ONCE

    def settles_after(self, order: NewOrder) -> float:
        return lapse_of(self._ids, {**self._ccxt.options, **order.params})

    async def create_order(self, order: NewOrder) -> Order:
        await self._keeper.settle()
        call = Call(
            "create_order", order.market.symbol, urgent=True, client_id=order.client_id, leave_by=order.leave_by
        )
        try:
            raw = await self._connection.send(call, lambda: self._create(order))
            _check_taken(raw, call, self.name)
            return _completed(self._with_id(raw, call), order)
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
        params = {**order.params, self._ids.sent_as: order.client_id}
        if order.conditional and self._ids.waiting_as is not None:
            params[self._ids.waiting_as] = order.client_id
        if self._terms.closes_only(order):
            params["reduceOnly"] = True
        symbol = order.market.symbol
        if self.name == "bitget" and not {"triggerPrice", "stopPrice"}.isdisjoint(params):
            await self._check_keeps_trigger(order)
        with localcontext(CCXT_CONTEXT):
            if order.cost is not None:
                buy, sell = self._ccxt.create_market_buy_order_with_cost, self._ccxt.create_market_sell_order_with_cost
                return await (buy if order.side == "buy" else sell)(symbol, plain(order.cost), params)
            amount: Any = plain(order.amount or Decimal(0))
            if self.name in _COMPARE_CONTRACTS and order.market.type != "spot":
                amount = order.amount
            price = self._terms.price_of(order)
            return await self._ccxt.create_order(symbol, order.type, order.side, amount, price, params)

    async def _check_keeps_trigger(self, order: NewOrder) -> None:
        """Refuse what ccxt would send to bitget's unified accounts without its trigger, to be filled at once."""
        unified, _ = await self._ccxt.handle_uta_and_params({}, "createOrder", False)
        if unified:
            raise errors.NotSupportedByVenue(
                "takes no trigger_price of unified accounts; give stop_loss_price or take_profit_price",
                venue=self.name,
                operation="create_order",
                symbol=order.market.symbol,
            )

    async def find_order(
        self, client_id: str, market: Market, *, conditional: bool = False, leave_by: float = math.inf
    ) -> Order | None:
        await self._keeper.settle()
        asked = self._ids.asked(market.type, conditional=conditional)
        questions = [one for one in asked if self._answers(one, market.symbol)]
        if not questions:
            raise errors.NotSupportedByVenue("cannot be asked for orders", venue=self.name, operation="create_order")
        for question in questions:
            found = await self._ask(question, client_id, market.symbol, leave_by)
            if found is not None:
                return found
        return None

    async def _ask(self, question: Question, client_id: str, symbol: str, leave_by: float) -> Order | None:
        params: dict[str, Any] = {} if question.parameter is None else {question.parameter: client_id}
        if question.trigger:
            params["trigger"] = True
        ask = getattr(self._ccxt, question.method)
        one = question.method == "fetch_order"

        async def work() -> list[Order]:
            rows = [await ask("", symbol, params)] if one else await ask(symbol, None, None, params)
            return [self._with_id(raw, call) for raw in rows]

        call = Call("fetch_order", symbol, urgent=True, leave_by=leave_by)
        try:
            orders = await self._connection.send(call, work)
        except errors.OrderNotFound:
            return None
        if one:
            return dataclasses.replace(orders[0], client_id=orders[0].client_id or client_id)
        return next((order for order in orders if order.client_id == client_id), None)

    def _answers(self, question: Question, symbol: str) -> bool:
        """Tell whether ccxt can put a question; one about orders that wait only where it tells them apart."""
        head, *rest = question.method.split("_")
        method = head + "".join(part.capitalize() for part in rest)
        if question.trigger and self._terms.feature(symbol, method, "trigger") is False:
            return False
        return bool(self._ccxt.has.get(method))

    def lists_apart(self, symbol: str) -> bool:
        return self._terms.feature(symbol, "fetchOpenOrders", "trigger") is True

    async def cancel_order(
        self, order_id: str, symbol: str, params: Mapping[str, Any], *, trigger: bool = False
    ) -> Order:
        await self._keeper.settle()
        call = Call("cancel_order", symbol, urgent=True)
        # What ccxt says of lists holds for cancels too: it describes none.
        asked = {**params, "trigger": True} if trigger and self.lists_apart(symbol) else dict(params)
        try:
            raw = await self._connection.send(call, lambda: self._ccxt.cancel_order(order_id, symbol, asked))
            _check_says_something(raw, call)
        except errors.OrderNotFound as error:
            if call.resent:
                raise Unsettled(error, left=call.sent / 1000) from error
            raise
        order = self._canceled(raw if isinstance(raw, dict) else {}, symbol)  # some venues answer with a word
        return dataclasses.replace(order, id=order.id or order_id)

    async def cancel_at_once(self, symbol: str) -> list[Order]:
        await self._keeper.settle()
        call = Call("cancel_all", symbol, urgent=True)
        raws = await self._connection.send(call, lambda: self._ccxt.cancel_all_orders(symbol))
        if not isinstance(raws, list):
            raise errors.BadReply("the reply names no orders", venue=self.name, operation="cancel_all", symbol=symbol)
        return [order for order in (self._canceled(raw, symbol) for raw in raws) if order.id]

    async def fetch_order(self, order_id: str, symbol: str, *, trigger: bool = False) -> Order:
        params: dict[str, Any] = dict(_OLD_ORDERS.get(self.name, {}))
        if trigger and self._terms.feature(symbol, "fetchOrder", "trigger") is True:
            params["trigger"] = True

        async def work(call: Call) -> Order:
            return self._with_id(await self._ccxt.fetch_order(order_id, symbol, params), call)

        return await self._read("fetch_order", work, symbol)

    async def fetch_open_orders(
        self, symbol: str | None, params: Mapping[str, Any], *, urgent: bool = False
    ) -> list[Order]:
        found: dict[str | None, Order] = {}
        page: dict[str, Any] | None = {}
        for pages in range(1, _MOST_PAGES + 1):
            raws = await self._open_orders(symbol, {**params, **(page or {})}, urgent)
            orders = [self._parsed(raw, symbol) for raw in raws]
            fresh = [order for order in orders if order.id not in found]
            found |= {order.id: order for order in fresh}
            page = next_page(self.name, raws, pages) if fresh else None
            if page is None:
                return list(found.values())
        raise errors.BadReply(
            f"there were more than {_MOST_PAGES} pages", venue=self.name, operation="fetch_open_orders", symbol=symbol
        )

    async def _open_orders(self, symbol: str | None, params: Mapping[str, Any], urgent: bool) -> list[Any]:
        async def work(_: Call) -> list[Any]:
            raws: list[Any] = await self._ccxt.fetch_open_orders(symbol, None, page_size(self.name), params)
            return raws

        settle = self._keeper.settle
        return await self._connection.read("fetch_open_orders", work, symbol=symbol, urgent=urgent, before=settle)

    async def charge_of_open_orders(self, symbol: str | None, params: Mapping[str, Any]) -> Charge | None:
        async def work() -> Any:
            return await self._ccxt.fetch_open_orders(symbol, None, page_size(self.name), params)

        return await self._connection.charge_of("fetch_open_orders", work)

    async def fetch_trading_fee(self, symbol: str) -> TradingFee:
        if not self._ccxt.has.get("fetchTradingFee"):
            raise errors.NotSupportedByVenue(
                "does not tell an account's fees; Market.maker and taker are its usual ones",
                venue=self.name,
                operation="fetch_trading_fee",
                symbol=symbol,
            )

        async def work(_: Call) -> TradingFee:
            return parse.trading_fee(await self._ccxt.fetch_trading_fee(symbol), symbol)

        return await self._read("fetch_trading_fee", work, symbol)

    async def fetch_orders(self, symbol: str, since: int | None, limit: int | None) -> list[Order]:
        async def work(_: Call) -> list[Order]:
            return [self._parsed(raw, symbol) for raw in await self._ccxt.fetch_orders(symbol, since, limit)]

        return await self._read("fetch_orders", work, symbol)

    async def fetch_closed_orders(self, symbol: str, since: int | None, limit: int | None) -> list[Order]:
        async def work(_: Call) -> list[Order]:
            return [self._parsed(raw, symbol) for raw in await self._ccxt.fetch_closed_orders(symbol, since, limit)]

        return await self._read("fetch_closed_orders", work, symbol)

    async def fetch_fills(self, symbol: str, since: int | None, limit: int | None) -> list[Fill]:
        async def work(_: Call) -> list[Fill]:
            return [
                parse.fill(raw, symbol, info=self._connection.info)
                for raw in await self._ccxt.fetch_my_trades(symbol, since, limit)
            ]

        return await self._read("fetch_my_trades", work, symbol)

    def _canceled(self, raw: Mapping[str, Any], symbol: str) -> Order:
        """Return an order from the answer to its cancel, which may have a client id of its own beside the order's."""
        order, info = self._parsed(raw, symbol), raw.get("info")
        own = info.get("origClientOrderId") if isinstance(info, Mapping) else None
        return dataclasses.replace(order, client_id=own or order.client_id)

    def _parsed(self, raw: Any, symbol: str | None) -> Order:
        order = parse.order(raw, symbol, info=self._connection.info)
        return as_told(order, raw.get("info"), self._ids.waiting_as)

    def _with_id(self, raw: Any, call: Call) -> Order:
        """Return an order from ccxt's structure; ccxt makes one of a page or an empty reply too, which has no id."""
        order = self._parsed(raw, call.symbol)
        if not order.id:
            raise _no_answer(call)
        return order

    async def _read(self, operation: str, work: Callable[[Call], Awaitable[T]], symbol: str | None) -> T:
        return await self._connection.read(operation, work, symbol=symbol, before=self._keeper.settle)


def _check_says_something(raw: Any, call: Call) -> None:
    """Raise for the answer to a cancel that is a page or empty; many venues answer with nothing but a word."""
    said = raw.get("info") if isinstance(raw, dict) else raw
    if not said or (isinstance(said, str) and said.lstrip().startswith("<")):
        raise _no_answer(call)


def _check_taken(raw: Any, call: Call, venue: str) -> None:
    """Raise for the answer that says of a new order that it was not taken; some classes of ccxt return it (okx's)."""
    if isinstance(raw, dict) and raw.get("status") == "rejected" and not raw.get("id"):
        told = redact(str(raw.get("info")))[:_MOST_TOLD]
        raise errors.InvalidOrder(f"was not taken: {told}", venue=venue, operation=call.operation, symbol=call.symbol)


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
        "stop_price": sent.trigger_price,
    }
    changed = {name: value for name, value in known.items() if getattr(order, name) in (None, "")}
    if sent.cost is not None and order.filled is None:  # what was asked for (kraken repeats it), not what was paid
        changed["cost"] = None
    return dataclasses.replace(order, **changed) if changed else order
