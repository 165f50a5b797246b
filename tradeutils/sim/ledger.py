"""
The accounts of the venue, as its dialects ask for them and order in their name.

What happened to an account since it was last looked at is made up for, in the order of time, before anything is told
of it. All amounts are `Decimal`.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from tradeutils.errors import UsageError
from tradeutils.sim.accounts import (
    DEFAULT_ACCOUNT,
    Book,
    Holding,
    Margin,
    Position,
    SimulatedAccount,
    account_of,
)
from tradeutils.sim.instruments import Instrument, Kind
from tradeutils.sim.market import Market
from tradeutils.sim.matching import MAINTENANCE, MAX_LEVERAGE, Levels, Matching
from tradeutils.sim.orders import Change, Fill, FundingPayment, OrderRefused, OrderRequest, PlacedOrder, fits, need

__all__ = [
    "DEFAULT_ACCOUNT",
    "MAINTENANCE",
    "MAX_LEVERAGE",
    "Holding",
    "Ledger",
    "Margin",
    "Position",
    "SimulatedAccount",
]

_ZERO: Final = Decimal(0)
_MAX_OPEN: Final = 200
_MAX_NOTED: Final = 100_000  # changes of an account that nobody has read yet; the oldest that are over are forgotten
_BAND: Final = (Decimal("0.2"), Decimal(5))  # of the mean price, within which a limit may lie


class Ledger(Matching):
    """
    The accounts of a venue.

    Parameters
    ----------
    market : Market
        Where prices come from.
    accounts : iterable of SimulatedAccount
        Anything with ``name``, ``key``, ``secret`` and ``balances`` will do.
    own_swap : bool
        Whether swaps are paid from a wallet of their own, save those of accounts that are ``unified``.

    Raises
    ------
    UsageError : two accounts with one key, an empty key or secret, or a balance that is no amount.
    """

    def __init__(self, market: Market, accounts: Iterable[SimulatedAccount], *, own_swap: bool = False) -> None:
        super().__init__(market)
        for given in accounts:
            account = account_of(given)
            if account.key in self._books:
                raise UsageError(f"accounts named the key of {account.name!r} twice; give each account its own")
            self._books[account.key] = Book(account, own_swap=own_swap)

    def account(self, key: str) -> SimulatedAccount | None:
        """Return the account with a key, or ``None``."""
        book = self._books.get(key)
        return None if book is None else book.account

    def instrument(self, market: str) -> Instrument:
        """Return a market by its id."""
        return self._market.instruments[market]

    def holdings(self, key: str, now: int) -> tuple[dict[str, Holding], int]:
        """Return what an account holds for spot at ``now``, and when that last changed."""
        book = self._settled(key, now)
        return book.holdings, book.updated

    def wallet(self, key: str, now: int, name: str) -> dict[str, Holding]:
        """Return what lies in a wallet of an account at ``now``; nothing where it has no such wallet."""
        book = self._settled(key, now)
        return book.swap_holdings if name == "swap" else book.wallets.get(name, {})

    def debts(self, key: str) -> dict[str, Decimal]:
        """Return what an account owes in its margin wallet."""
        return self._books[key].debts

    def transfer(self, key: str, asset: str, amount: Decimal, source: str, target: str, now: int) -> None:
        """Move an amount between wallets of an account; `UsageError` where it cannot be."""
        book = self._settled(key, now)
        book.transfer(asset, amount, source, target)
        book.updated = now

    def orders(
        self, key: str, now: int, *, market: str | None = None, kind: Kind | None = None, only_open: bool = False
    ) -> list[PlacedOrder]:
        """Return an account's orders, of one market or kind of market or all, oldest first."""
        book = self._settled(key, now)
        orders = book.lying if only_open else book.orders
        return [order for order in orders.values() if self._is_of(order.request.market, market, kind)]

    def fills(self, key: str, now: int, *, market: str | None = None, kind: Kind | None = None) -> list[Fill]:
        """Return what an account traded in a market, in a kind of market or in all, oldest first."""
        return [fill for fill in self._settled(key, now).fills if self._is_of(fill.market, market, kind)]

    def payments(self, key: str, now: int, *, market: str | None = None) -> list[FundingPayment]:
        """Return the funding that an account received or paid, oldest first."""
        return [paid for paid in self._settled(key, now).payments if market in (None, paid.market)]

    def follow(self, key: str, now: int, *, on: bool = True) -> None:
        """Keep a journal of what happens to an account's orders from now on, or no longer."""
        book = self._settled(key, now)
        book.journal = collections.deque(book.journal or (), _MAX_NOTED) if on else None

    def changes(self, key: str, now: int) -> list[Change]:
        """Return what happened to an account's orders since this was last asked, in the order it happened."""
        journal = self._settled(key, now).journal
        told = list(journal or ())
        if journal:
            journal.clear()
        return told

    def _is_of(self, known: str, market: str | None, kind: Kind | None) -> bool:
        return market in (None, known) and kind in (None, self._market.instruments[known].kind)

    def find(
        self, key: str, now: int, market: str, *, number: int | None = None, client_id: str | None = None
    ) -> PlacedOrder | None:
        """Return the order with a number or, of those with a client id, the newest; ``None`` where there is none."""
        book = self._settled(key, now)
        if number is not None:
            order = book.orders.get(number)
        else:
            instrument = self._market.instruments.get(market)
            order = None if instrument is None else book.by_client_id.get((instrument.kind, client_id or ""))
        return order if order is not None and order.request.market == market else None

    def positions(self, key: str, now: int) -> list[Position]:
        """Return the positions that an account has."""
        return [position for position in self._settled(key, now).positions.values() if position.amount]

    def place(self, key: str, request: OrderRequest, now: int) -> PlacedOrder:
        """
        Take an order, fill what meets the book, and let the rest lie, expire or be refused, as it asks.

        One with a trigger waits for it. One that may only reduce is cut to the position.

        Raises
        ------
        OrderRefused : it breaks a rule of the market, or the account does not hold what it needs.
        """
        book = self._settled(key, now)
        instrument = self.check(request, now)
        self._check_open(book, request)
        taken: Levels = []
        if request.trigger is None:
            request = self._reduced(book, request)
            taken, amount = self._meet(book, request, instrument, now)
        elif self._has_triggered(request, now):
            raise OrderRefused("would trigger")
        else:
            amount = request.amount or _ZERO
            if instrument.kind == "spot" and self._holding_for(book, request, instrument).free < need(
                request, amount, []
            ):
                raise OrderRefused("balance")
        self._orders += 1
        order = PlacedOrder(
            id=self._orders,
            client_id=request.client_id or f"sim{self._orders:019d}",
            request=request,
            amount=amount,
            time=now,
            updated=now,
            checked=now,
        )
        book.add(order, instrument.kind)
        self._note(book, order, "new", now)
        self._work(book, order, instrument, taken, now)
        book.updated = now
        return order

    def check(self, request: OrderRequest, now: int) -> Instrument:
        """Return the instrument of a request, or raise `OrderRefused` with the rule of the market that it breaks."""
        instrument = self._market.instruments[request.market]
        if not instrument.active:
            raise OrderRefused("closed")
        mean = self._market.mean_price(request.market, now, 5)
        price = request.price if request.price is not None else None if mean is None else Decimal(str(mean))
        for limit in (request.price, request.trigger):
            if limit is not None and (limit <= 0 or not fits(limit, instrument.price_step)):
                raise OrderRefused("PRICE_FILTER")
        if request.amount is not None and not (
            instrument.min_amount <= request.amount <= instrument.max_amount
            and fits(request.amount, instrument.amount_step)
        ):
            raise OrderRefused("LOT_SIZE")
        if request.price is not None and mean is not None:
            low, high = (factor * Decimal(str(mean)) for factor in _BAND)
            if not low <= request.price <= high:
                raise OrderRefused("PERCENT_PRICE_BY_SIDE")
        cost = request.cost if request.amount is None else None if price is None else price * request.amount
        if cost is not None and cost < instrument.min_cost and not request.reduce_only:
            raise OrderRefused("NOTIONAL")
        return instrument

    def _check_open(self, book: Book, request: OrderRequest) -> None:
        kind = self._market.instruments[request.market].kind
        known = book.by_client_id.get((kind, request.client_id or ""))
        if known is not None and known.open:
            raise OrderRefused("duplicate")
        if sum(order.request.market == request.market for order in book.lying.values()) >= _MAX_OPEN:
            raise OrderRefused("MAX_NUM_ORDERS")

    def cancel(self, key: str, order: PlacedOrder, now: int) -> bool:
        """Cancel an order; tell whether it was still open."""
        if not order.open:
            return False
        self._close(self._books[key], order, self._market.instruments[order.request.market], "canceled", now)
        return True
