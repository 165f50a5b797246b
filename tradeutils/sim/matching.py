"""
How orders are filled, and what the accounts of the venue then hold.

An order that meets the book takes from it, level by level; what rests is filled at its own price as soon as a public
trade reaches it, and what waits for a trigger works from the moment at which the watched price reaches it. The book is
refilled at once: an order of ours moves no price.

Swaps are held one way and with cross margin, and paid from a wallet of their own or from the same as spot. Gains and
losses are booked when a position is closed, fees when it trades, funding at every settlement. Nothing is liquidated.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace
from decimal import ROUND_UP, Decimal
from typing import Final, TypeAlias

from tradeutils.sim.accounts import Book, Holding, Margin, Position
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.market import MAX_DEPTH, Market
from tradeutils.sim.orders import (
    Change,
    Fill,
    FundingPayment,
    OrderRefused,
    OrderRequest,
    PlacedOrder,
    Reason,
    Status,
    money,
    need,
    take,
)
from tradeutils.sim.swaps import FUNDING_MS

__all__ = ["MAINTENANCE", "MAX_LEVERAGE", "Levels", "Matching"]

MAINTENANCE: Final = Decimal("0.004")
"""Maintenance margin as a fraction of what a position is worth."""
MAX_LEVERAGE: Final = 125

_ZERO: Final = Decimal(0)
_FEW_LEVELS: Final = 100
_LEVERAGE: Final = 20  # unless the account sets another
_FUNDING_EVENT: Final = 0  # in the place of an order's number

Levels: TypeAlias = list[tuple[Decimal, Decimal]]
"""Price and amount."""


class Matching:
    """
    The books of the venue's accounts by key, and what trades do to them.

    Parameters
    ----------
    market : Market
        Where prices come from.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._books: dict[str, Book] = {}
        self._orders = self._fills = self._payments = 0

    def unrealised(self, position: Position, now: int) -> Decimal:
        """Return what a position would gain at the mark price."""
        return money(position.amount * self.mark(position.market, now)) - position.cost

    def mark(self, market: str, now: int) -> Decimal:
        """Return the mark price of a swap as a Decimal of the market's digits."""
        return Decimal(f"{self._market.mark_price(market, now):.{self._market.instruments[market].price_decimals}f}")

    def leverage(self, key: str, market: str) -> int:
        """Return the leverage that an account chose for a swap; 20 unless it did."""
        return self._books[key].leverage.get(market, _LEVERAGE)

    def set_leverage(self, key: str, market: str, leverage: int) -> None:
        """Choose the leverage of an account for a swap: margin is what is held, divided by it."""
        self._books[key].leverage[market] = leverage

    def margin(self, key: str, now: int, asset: str = "USDT") -> Margin:
        """Return how an account stands in an asset that swaps are settled in."""
        return self._margin(self._settled(key, now), now, asset)

    def _margin(self, book: Book, now: int, asset: str) -> Margin:
        unrealised = held = worth = wanted = _ZERO
        key, instruments = book.account.key, self._market.instruments
        for position in book.positions.values():
            if position.amount and instruments[position.market].settle == asset:
                value = abs(position.amount) * self.mark(position.market, now)
                unrealised += self.unrealised(position, now)
                worth += value
                held += money(value / self.leverage(key, position.market), ROUND_UP)
        for order in book.lying.values():
            request = order.request
            if instruments[request.market].settle == asset and not request.reduce_only and not order.waiting:
                value = order.remaining * (request.price or _ZERO)
                wanted += money(value / self.leverage(key, request.market), ROUND_UP)
        holding = book.swap_holdings.get(asset, Holding())
        return Margin(
            wallet=holding.free + holding.locked,
            unrealised=unrealised,
            positions=held,
            orders=wanted,
            maintenance=money(worth * MAINTENANCE, ROUND_UP),
            available=max(_ZERO, holding.free + unrealised - held - wanted),
        )

    def _meet(self, book: Book, request: OrderRequest, instrument: Instrument, now: int) -> tuple[Levels, Decimal]:
        """Return what a request takes of the book at ``now``, and its amount; refuse what may not or cannot be."""
        taken = take(request, instrument, self._levels(request, instrument, now))
        amount = request.amount if request.amount is not None else sum((size for _, size in taken), _ZERO)
        if request.type == "limit maker" and taken:
            raise OrderRefused("would take")
        if request.type == "market" and not taken:
            raise OrderRefused("empty book")
        if request.time_in_force == "FOK" and sum((size for _, size in taken), _ZERO) < amount:
            taken = []
        if instrument.kind == "linear":
            self._check_margin(book, request, instrument, amount, taken, now)
        elif self._spendable(book, request, instrument, now) < need(request, amount, taken):
            raise OrderRefused("balance")
        return taken, amount

    def _spendable(self, book: Book, request: OrderRequest, instrument: Instrument, now: int) -> Decimal:
        """Return what of an asset spot may spend: all that is free, less what holds up positions."""
        asset = instrument.quote if request.side == "buy" else instrument.base
        free = book.holding(asset).free
        if not book.positions or book.swap_holdings is not book.holdings:
            return free
        return min(free, self._margin(book, now, asset).available)

    def _check_margin(
        self, book: Book, request: OrderRequest, instrument: Instrument, amount: Decimal, taken: Levels, now: int
    ) -> None:
        opening = amount - min(amount, book.position(request.market).reducible(request.side))
        if request.reduce_only or not opening or (request.price is None and not taken):
            return
        worst = request.price if request.price is not None else max(price for price, _ in taken)
        leverage = self.leverage(book.account.key, request.market)
        if self._margin(book, now, instrument.settle or "").available < money(worst * opening / leverage, ROUND_UP):
            raise OrderRefused("margin")

    def _reduced(self, book: Book, request: OrderRequest) -> OrderRequest:
        """Return a request that may only reduce with no more than there is to reduce, any other as it is."""
        if not request.reduce_only:
            return request
        most = book.position(request.market).reducible(request.side)
        if not most:
            raise OrderRefused("reduce only")
        return replace(request, amount=most if request.amount is None else min(most, request.amount))

    def _has_triggered(self, request: OrderRequest, now: int) -> bool:
        last = self._market.last(self._watched(request), now)
        if request.trigger is None or not len(last):
            return False
        price = float(last.price[0])
        return price >= float(request.trigger) if request.rises else price <= float(request.trigger)

    def _watched(self, request: OrderRequest) -> str:
        """Return the key of the prices that a trigger watches."""
        sources = {"mark": self._market.mark_of, "index": self._market.index_of}
        linear = self._market.instruments[request.market].kind == "linear"
        return sources[request.watched](request.market) if linear and request.watched in sources else request.market

    def _work(self, book: Book, order: PlacedOrder, instrument: Instrument, taken: Levels, now: int) -> None:
        """Lock what an order needs and fill what it takes; what may not rest expires."""
        request = order.request
        if instrument.kind == "spot":
            holding = self._holding_for(book, request, instrument)
            order.locked = need(request, order.amount, taken)
            holding.free -= order.locked
            holding.locked += order.locked
        for price, size in taken:
            self._fill(book, order, instrument, price, size, now, maker=False)
        if order.open and not order.waiting and (request.type == "market" or request.time_in_force != "GTC"):
            self._close(book, order, instrument, "expired", now)

    def _holding_for(self, book: Book, request: OrderRequest, instrument: Instrument) -> Holding:
        return book.holding(instrument.quote if request.side == "buy" else instrument.base)

    def _levels(self, request: OrderRequest, instrument: Instrument, now: int) -> Iterator[tuple[Decimal, Decimal]]:
        """Yield the price and amount of the levels that a request meets, best first."""
        told = 0
        for depth in (_FEW_LEVELS, MAX_DEPTH):  # the whole book costs 10 ms, and few orders reach so far
            bids, asks = self._market.book(request.market, now, depth)
            for price, size in (asks if request.side == "buy" else bids)[told:]:
                exact = Decimal(f"{price:.{instrument.price_decimals}f}")
                limit = request.price
                if limit is not None and (exact > limit if request.side == "buy" else exact < limit):
                    return
                yield exact, Decimal(f"{size:.{instrument.amount_decimals}f}")
                told += 1

    def _fill(
        self,
        book: Book,
        order: PlacedOrder,
        instrument: Instrument,
        price: Decimal,
        size: Decimal,
        time: int,
        *,
        maker: bool,
    ) -> None:
        cost = money(price * size)
        order.filled += size
        order.cost += cost
        book_trade = self._trade_swap if instrument.kind == "linear" else self._trade_spot
        fee, asset, realised = book_trade(book, order, instrument, size, cost, time, maker=maker)
        self._fills += 1
        fill = Fill(
            id=self._fills,
            order_id=order.id,
            market=order.request.market,
            side=order.request.side,
            price=price,
            amount=size,
            cost=cost,
            fee=fee,
            fee_asset=asset,
            time=time,
            maker=maker,
            realised=realised,
        )
        order.fills.append(fill)
        book.fills.append(fill)
        order.status = "partly filled"
        order.updated = book.updated = time
        if not order.remaining:
            self._close(book, order, instrument, "filled", time)
        self._note(book, order, "trade", time, fill)

    def _trade_spot(
        self,
        book: Book,
        order: PlacedOrder,
        instrument: Instrument,
        size: Decimal,
        cost: Decimal,
        _t: int,
        *,
        maker: bool,
    ) -> tuple[Decimal, str, Decimal]:
        """Exchange one asset for the other; return the fee, what it was paid in, and no gain."""
        request, account, buying = order.request, book.account, order.request.side == "buy"
        gained_asset, gained = (instrument.base, size) if buying else (instrument.quote, cost)
        fee = money(gained * (account.maker if maker else account.taker))
        paid = self._holding_for(book, request, instrument)
        spent = cost if buying else size
        # What a better price saved is free again at once.
        still = need(request, order.remaining, []) if request.type != "market" else order.locked - spent
        paid.locked -= order.locked - still
        paid.free += order.locked - still - spent
        order.locked = still
        book.holding(gained_asset).free += gained - fee
        return fee, gained_asset, _ZERO

    def _trade_swap(
        self,
        book: Book,
        order: PlacedOrder,
        instrument: Instrument,
        size: Decimal,
        cost: Decimal,
        time: int,
        *,
        maker: bool,
    ) -> tuple[Decimal, str, Decimal]:
        """Change a position; return the fee, what it was paid in, and what was gained."""
        account, asset = book.account, instrument.settle or instrument.quote
        fee = money(cost * (account.futures_maker if maker else account.futures_taker))
        realised = book.position(order.request.market).trade(order.request.side, size, cost, time)
        book.swap_holding(asset).free += realised - fee
        return fee, asset, realised

    def _close(self, book: Book, order: PlacedOrder, instrument: Instrument, status: Status, time: int) -> None:
        if order.locked:
            self._unlock(book, order, instrument)
        order.status = status
        order.updated = book.updated = time
        del book.lying[order.id]
        if status == "canceled" or status == "expired":
            self._note(book, order, status, time)

    def _note(self, book: Book, order: PlacedOrder, reason: Reason, time: int, fill: Fill | None = None) -> None:
        """Enter what happened to an order in the account's journal, while anyone reads it."""
        if book.journal is not None:
            book.journal.append(Change(replace(order, fills=list(order.fills)), reason, time, fill))

    def _unlock(self, book: Book, order: PlacedOrder, instrument: Instrument) -> None:
        holding = self._holding_for(book, order.request, instrument)
        holding.locked -= order.locked
        holding.free += order.locked
        order.locked = _ZERO

    def _settled(self, key: str, now: int) -> Book:
        """Return an account's book after all that happened to it since it was last asked for, in the order of time."""
        book = self._books[key]
        events: list[tuple[int, int]] = []
        for order in book.lying.values():
            self._expect(events, order, now)
        if book.positions or events:
            events += self._settlements(book, now)
        heapq.heapify(events)
        while events:
            time, number = heapq.heappop(events)
            reached = book.lying.get(number)
            if number == _FUNDING_EVENT:
                self._pay_funding(book, time)
            elif reached is not None:
                reached.checked = time
                (self._fire if reached.waiting else self._reach)(book, reached, time)
                if reached.open:
                    self._expect(events, reached, now)
        book.funded = max(now, book.funded or 0)
        return book

    def _expect(self, events: list[tuple[int, int]], order: PlacedOrder, now: int) -> None:
        """Add when, up to ``now``, an order is triggered or reached; remember that it is not, where it is not."""
        request = order.request
        limit, market, falling = request.price, request.market, request.side == "buy"
        if order.waiting:
            limit, market, falling = request.trigger, self._watched(request), not request.rises
        if limit is None or order.checked >= now:
            return
        time = self._market.first_cross(market, float(limit), now, after=order.checked, falling=falling)
        if time is None:
            order.checked = now
        else:
            heapq.heappush(events, (time, order.id))

    def _reach(self, book: Book, order: PlacedOrder, time: int) -> None:
        """Fill an order that a trade has reached, at its own price."""
        request, instrument = order.request, self._market.instruments[order.request.market]
        size = order.remaining
        if request.reduce_only:
            size = min(size, book.position(request.market).reducible(request.side))
        if size:
            self._fill(book, order, instrument, request.price or _ZERO, size, time, maker=True)
        if order.open:  # there is nothing left that it could reduce
            self._close(book, order, instrument, "expired", time)

    def _fire(self, book: Book, order: PlacedOrder, time: int) -> None:
        """Let an order work whose trigger has been reached; one that would be refused expires."""
        instrument = self._market.instruments[order.request.market]
        self._unlock(book, order, instrument)
        try:
            order.request = self._reduced(book, order.request)
            taken, order.amount = self._meet(book, order.request, instrument, time)
        except OrderRefused:
            order.triggered = time
            self._close(book, order, instrument, "expired", time)
            return
        order.triggered = order.updated = book.updated = time
        self._note(book, order, "triggered", time)
        self._work(book, order, instrument, taken, time)

    def _settlements(self, book: Book, now: int) -> list[tuple[int, int]]:
        """Return the settlements of funding since an account was last looked at."""
        first = (now if book.funded is None else book.funded) // FUNDING_MS + 1
        return [(number * FUNDING_MS, _FUNDING_EVENT) for number in range(first, now // FUNDING_MS + 1)]

    def _pay_funding(self, book: Book, time: int) -> None:
        """Pay, or receive, funding for the positions of an account."""
        for position in book.positions.values():
            settled = self._market.funding_history(position.market, time, limit=1) if position.amount else []
            if not settled or settled[-1][0] != time:
                continue
            rate, asset = Decimal(f"{settled[-1][1]:.8f}"), self._market.instruments[position.market].settle or ""
            amount = -money(position.amount * self.mark(position.market, time) * rate)
            book.swap_holding(asset).free += amount
            book.updated = time
            self._payments += 1
            book.payments.append(
                FundingPayment(
                    id=self._payments, market=position.market, asset=asset, amount=amount, rate=rate, time=time
                )
            )
