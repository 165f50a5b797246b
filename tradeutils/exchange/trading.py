"""What a bot does with an account: orders that are placed exactly once, and cancelled."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tradeutils.errors import UsageError
from tradeutils.exchange.account_data import AccountData
from tradeutils.exchange.ordering.canceling import cancel_each
from tradeutils.exchange.ordering.checks import Asked, NewOrder, check_cancel_params, check_id, check_order, plain
from tradeutils.exchange.ordering.turns import alone
from tradeutils.exchange.orders import cancel, place
from tradeutils.exchange.venues.configuration import account_digest
from tradeutils.model import Market, Order
from tradeutils.model.records import Side
from tradeutils.model.rounding import EXACT, Rounding

__all__ = ["Trading"]


class Trading(AccountData):
    """The part of an `Exchange` that changes an account; see `AccountData`."""

    async def create_order(
        self,
        symbol: str,
        type: str,  # noqa: A002  # the field's word, and ccxt's
        side: Side,
        amount: Decimal | None = None,
        price: Decimal | None = None,
        *,
        cost: Decimal | None = None,
        amount_rounding: Rounding | None = None,
        price_rounding: Rounding | None = None,
        trigger_price: Decimal | None = None,
        stop_loss_price: Decimal | None = None,
        take_profit_price: Decimal | None = None,
        reduce_only: bool = False,
        post_only: bool = False,
        time_in_force: str | None = None,
        client_order_id: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Order:
        """
        Place an order, exactly once, whatever becomes of the answer.

        Parameters
        ----------
        symbol, type : str
            ``"BTC/USDT"``; ``"limit"``, ``"market"`` or one of the venue's own.
        side : str
            ``"buy"`` or ``"sell"``.
        amount : Decimal, optional
            Base units, or contracts; sent digit by digit.
        price : Decimal, optional
            Of a limit order. Of a market order it is only what the order is held to the market's limits by, save on
            venues that take a market buy by its cost (gate, bitget, coinbase, htx): those are told amount x price, cut
            to their digits.
        cost : Decimal, optional
            Instead of ``amount``, of a market order on spot: what to spend (sell: to receive), in the quote currency.
        amount_rounding, price_rounding : str, optional
            ``"down"``, ``"up"`` or ``"nearest"``: how the amount (or the cost, ``"down"`` alone) and the prices are
            brought to the market's steps: see `Market.round_amount`. By default they are not, and one between two
            steps is refused.
        trigger_price, stop_loss_price, take_profit_price : Decimal, optional
            At most one: the price at which the order becomes one. Of contracts a stop loss and a take profit only make
            a position smaller (``params={"reduceOnly": False}``: not); what else they mean is the venue's matter, and
            ccxt's.
        reduce_only : bool
            Of contracts: only make a position smaller.
        post_only : bool
            Of a limit order: be refused rather than take from the book.
        time_in_force : str, optional
            ``"GTC"``, ``"IOC"``, ``"FOK"``, ``"GTD"`` or ``"PO"``.
        client_order_id : str, optional
            The id that the order bears; by default a new one. With one of your own the venue is asked first, and an
            order of this id and these terms is returned instead of placing another, be it open or filled: a bot that
            writes the id down before it calls may be killed at any moment, and calls again once the first request
            can no longer arrive. Processes that share a cache on a server may call at once, and again at any moment;
            without it two of them may both place a market order. Of orders with a trigger only while the venue lists
            them, where it lists them apart.
        params : mapping, optional
            ccxt's own parameters: ``{"marginMode": "cross"}``; not the terms above by a name of the venue's.

        Returns
        -------
        Order
            What the venue answered; of what it did not repeat, what was sent. ``client_id`` is always there.

        Raises
        ------
        UsageError : an amount or price that is no Decimal, or not to the market's limits and steps; terms that exclude
            each other; nothing was sent.
        NotSupportedByVenue : the venue knows no such terms, as far as ccxt says; nothing was sent.
        InsufficientFunds, InvalidOrder : the venue refused it.
        DuplicateOrder : another order bears this id.
        OrderUnknown : its outcome could not be learnt within ``deadline``; ``client_id`` is the id to look it up by.
        RateLimited : there was no room for it within ``deadline``; nothing was sent.

        Notes
        -----
        One request (with ``client_order_id`` two), ahead of those for data. What an order is worth is held to the
        market's limits where a price is known: given, or that of the trigger; nobody is asked for one.

        After a timeout, an error of a gateway, or a connection that broke, the order is looked up by its id until it
        is found or can no longer arrive (binance: 7 s, its ``recvWindow`` and two more), and sent again only in the
        latter case. A task that is cancelled meanwhile keeps the id in the notes of its `asyncio.CancelledError` and
        in the log.
        """
        market = await self._traded(symbol, "create_order")
        asked = Asked(
            type,
            side,
            amount,
            price,
            cost,
            amount_rounding,
            price_rounding,
            trigger_price,
            stop_loss_price,
            take_profit_price,
            reduce_only,
            post_only,
            time_in_force,
            params,
        )
        order = self._order(market, asked, client_order_id)
        whose = f"{self._venue.origin}:{account_digest(self._account)}"
        with self._activity.changing():
            async with alone(self._cache, whose, self._venue.orders, order, self._patience):
                return self._activity.saw(await place(self._venue.orders, order, self._patience))

    def _order(self, market: Market, asked: Asked, client_order_id: str | None) -> NewOrder:
        """Return the order that is to be sent, checked."""
        orders, terms = self._venue.orders, check_order(market, asked)
        order = NewOrder(
            market,
            terms.type,
            terms.side,
            terms.amount,
            terms.price,
            orders.check_client_id(client_order_id),
            terms.params,
            named=client_order_id is not None,
            leave_by=time.monotonic() + self._patience.deadline,
            cost=terms.cost,
            trigger_price=terms.trigger_price,
        )
        orders.check_terms(order)
        if order.cost is not None:
            return order._replace(cost=self._sendable(market, order.cost, asked.amount_rounding))
        if order.amount is None or order.price is None or not orders.wants_cost(order):
            return order
        # Reckoned here: not every class of ccxt does it on every kind of account, and takes the amount for the cost.
        cost = orders.sendable_cost(market, EXACT.multiply(order.amount, order.price))
        return order._replace(amount=None, price=None, cost=cost)

    def _sendable(self, market: Market, cost: Decimal, rounding: Rounding | None) -> Decimal:
        """Return a cost that the venue is sent digit by digit."""
        sent = self._venue.orders.sendable_cost(market, cost)
        if sent == cost:
            return cost
        if rounding == "down" and sent > 0:
            return sent
        raise UsageError(
            f"cost was {plain(cost)}; {market.symbol} takes fewer digits and nothing is rounded unasked: write "
            f'{plain(sent)}, or amount_rounding="down"'
        )

    async def cancel_order(
        self,
        id: str,  # noqa: A002  # the field's word, and ccxt's
        symbol: str,
        *,
        trigger: bool = False,
        params: Mapping[str, Any] | None = None,
    ) -> Order:
        """
        Cancel an order by the venue's id. One request, ahead of those for data; repeated after a lost answer.

        Parameters
        ----------
        id, symbol : str
            The order, and its market.
        trigger : bool
            That it waits for a price: most venues list those apart, and do not find them otherwise.
        params : mapping, optional
            ccxt's own parameters.

        Raises
        ------
        OrderNotFound : there is no such order, or it had been filled or cancelled before.
        """
        self._need_account("cancel_order")
        await self._market(symbol, "cancel_order")
        given = check_cancel_params(params)
        with self._activity.changing():
            found = await cancel(
                self._venue.orders, check_id(id), symbol, self._patience, trigger=trigger, params=given
            )
            self._activity.ended(symbol, id)
            return found

    async def cancel_all(self, symbol: str | None = None, *, trigger: bool = False) -> list[Order]:
        """
        Cancel all open orders of one market, or (``None``) of all; ahead of requests for data.

        Parameters
        ----------
        symbol : str, optional
            The market.
        trigger : bool
            Those that wait for a price, and no others. Without it they stay where the venue has a list for them alone;
            where it lists them among the others (binance's spot, bybit, kraken, coinbase) they are cancelled with them,
            **the stop loss of a position too**.

        Returns
        -------
        list of Order
            Those that were cancelled, oldest first. One that was filled, or cancelled by somebody else, before it was
            its turn is not among them.

        Raises
        ------
        CancelIncomplete : some may still be open: ``failed`` says which and why, ``canceled`` what was cancelled. All
            were tried.

        Notes
        -----
        The requests of `fetch_open_orders`, then one for each order, concurrently; one for each market where the venue
        has such a request and its answer names the orders (binance's and mexc's spot); those that were not found are
        listed once more. Safe to call again. An order that is placed meanwhile may stay, or be cancelled too.
        """
        self._need_account("cancel_all")
        wanted = None if symbol is None else [symbol]
        listed = await self._open_orders("cancel_all", wanted, None, trigger=trigger, urgent=True)
        if trigger:  # of a list of all kinds
            listed = [one for one in listed if one.stop_price is not None or self._venue.orders.lists_apart(one.symbol)]
        if not listed:
            return []
        markets = await self._venue.load_markets()
        traded = [markets[one] for one in {order.symbol for order in listed} if one in markets]
        with self._activity.changing():
            gone = await cancel_each(self._venue.orders, traded, listed, self._patience, trigger=trigger)
            for order in gone:
                self._activity.ended(order.symbol, order.id)
            return gone
