"""
Accounts of the venue: what they hold, their orders, and how those are filled.

An order that meets the book takes from it, level by level; what rests is filled at its own price as soon as a public
trade reaches it. The book is refilled at once: an order of ours moves no price. All amounts are `Decimal`.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from tradeutils.errors import UsageError
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.market import MAX_DEPTH, Market
from tradeutils.sim.orders import Fill, OrderRefused, OrderRequest, PlacedOrder, Status, fits, money, need, take

__all__ = ["DEFAULT_ACCOUNT", "Holding", "Ledger", "SimulatedAccount"]

_ZERO: Final = Decimal(0)
_MAX_OPEN: Final = 200
_FEW_LEVELS: Final = 100
_MAX_KEPT: Final = 100_000  # orders of an account; the oldest that are over are forgotten
_BAND: Final = (Decimal("0.2"), Decimal(5))  # of the mean price, within which a limit may lie


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAccount:
    """
    An account as it is when the venue opens.

    Parameters
    ----------
    name : str
        For our own use; the venue knows accounts by their keys.
    key, secret : str
        What signed requests are made with.
    balances : mapping of asset to amount
        What it holds: Decimal, int, or decimal text.
    maker, taker : Decimal
        Fees as a fraction of what is received.
    """

    name: str
    key: str
    secret: str = field(repr=False)
    balances: Mapping[str, Decimal | int | str] = field(default_factory=dict)
    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")


DEFAULT_ACCOUNT: Final = SimulatedAccount(
    name="demo",
    key="SimulatedVenueDemoKeyNotARealKey00000000000000000000000000000000",
    secret="SimulatedVenueDemoSecretNotARealSecret00000000000000000000000000",  # noqa: S106  # opens nothing
    balances={
        "BTC": "0.5", "ETH": "4", "USDT": "10000", "BNB": "12.5",
        "LDUSDT": "250",  # as Binance names what is lent out in its flexible savings
        "XDROP": "1000",  # an asset that no market trades, as airdrops leave behind
    },
)  # fmt: skip
"""The account that a venue has unless told otherwise; its key and secret are plainly fake and open nothing."""


@dataclass(slots=True)
class Holding:
    """What an account holds of an asset: free, and locked in orders."""

    free: Decimal = _ZERO
    locked: Decimal = _ZERO


class _Book:
    """The holdings and orders of one account; of orders and fills, the newest `_MAX_KEPT`."""

    def __init__(self, account: SimulatedAccount) -> None:
        self.account = account
        self.holdings = {asset: Holding(_amount(account.name, asset, held)) for asset, held in account.balances.items()}
        self.orders: dict[int, PlacedOrder] = {}
        self.lying: dict[int, PlacedOrder] = {}
        self.by_client_id: dict[str, PlacedOrder] = {}
        self.fills: collections.deque[Fill] = collections.deque(maxlen=_MAX_KEPT)
        self.updated = 0

    def holding(self, asset: str) -> Holding:
        return self.holdings.setdefault(asset, Holding())

    def add(self, order: PlacedOrder) -> None:
        self.orders[order.id] = self.lying[order.id] = self.by_client_id[order.client_id] = order
        if len(self.orders) > _MAX_KEPT:
            oldest = next((known for known in self.orders.values() if not known.open), order)
            del self.orders[oldest.id]
            if self.by_client_id.get(oldest.client_id) is oldest:
                del self.by_client_id[oldest.client_id]


class Ledger:
    """
    The accounts of a venue.

    Parameters
    ----------
    market : Market
        Where prices come from.
    accounts : iterable of SimulatedAccount
        Anything with ``name``, ``key``, ``secret`` and ``balances`` will do.

    Raises
    ------
    UsageError : two accounts with one key, an empty key or secret, or a balance that is no amount.
    """

    def __init__(self, market: Market, accounts: Iterable[SimulatedAccount]) -> None:
        self._market = market
        self._books: dict[str, _Book] = {}
        self._orders = self._fills = 0
        for given in accounts:
            account = _account(given)
            if account.key in self._books:
                raise UsageError(f"accounts named the key of {account.name!r} twice; give each account its own")
            self._books[account.key] = _Book(account)

    def account(self, key: str) -> SimulatedAccount | None:
        """Return the account with a key, or ``None``."""
        book = self._books.get(key)
        return None if book is None else book.account

    def instrument(self, market: str) -> Instrument:
        """Return a market by its id."""
        return self._market.instruments[market]

    def holdings(self, key: str, now: int) -> tuple[dict[str, Holding], int]:
        """Return what an account holds at ``now``, and when that last changed."""
        book = self._settled(key, now)
        return book.holdings, book.updated

    def orders(self, key: str, now: int, *, market: str | None = None, only_open: bool = False) -> list[PlacedOrder]:
        """Return an account's orders, oldest first."""
        book = self._settled(key, now)
        orders = book.lying if only_open else book.orders
        return [order for order in orders.values() if market is None or order.request.market == market]

    def fills(self, key: str, now: int, *, market: str) -> list[Fill]:
        """Return what an account traded in a market, oldest first."""
        return [fill for fill in self._settled(key, now).fills if fill.market == market]

    def find(
        self, key: str, now: int, market: str, *, number: int | None = None, client_id: str | None = None
    ) -> PlacedOrder | None:
        """Return the order with a number or, of those with a client id, the newest; ``None`` where there is none."""
        book = self._settled(key, now)
        order = book.orders.get(number) if number is not None else book.by_client_id.get(client_id or "")
        return order if order is not None and order.request.market == market else None

    def place(self, key: str, request: OrderRequest, now: int) -> PlacedOrder:
        """
        Take an order, fill what meets the book, and let the rest lie, expire or be refused, as it asks.

        Raises
        ------
        OrderRefused : it breaks a rule of the market, or the account does not hold what it needs.
        """
        book = self._settled(key, now)
        instrument = self.check(request, now)
        self._check_open(book, request)
        taken = take(request, instrument, self._levels(request, instrument, now))
        amount = request.amount if request.amount is not None else sum((size for _, size in taken), _ZERO)
        if request.type == "limit maker" and taken:
            raise OrderRefused("would take")
        if request.type == "market" and not taken:
            raise OrderRefused("empty book")
        if request.time_in_force == "FOK" and sum((size for _, size in taken), _ZERO) < amount:
            taken = []
        needed = need(request, amount, taken)
        holding = book.holding(instrument.quote if request.side == "buy" else instrument.base)
        if holding.free < needed:
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
        holding.free -= needed
        holding.locked += needed
        order.locked = needed
        book.add(order)
        for price, size in taken:
            self._fill(book, order, instrument, price, size, now, maker=False)
        if order.open and (request.type == "market" or request.time_in_force != "GTC"):
            self._close(book, order, instrument, "expired", now)
        book.updated = now
        return order

    def check(self, request: OrderRequest, now: int) -> Instrument:
        """Return the instrument of a request, or raise `OrderRefused` with the rule of the market that it breaks."""
        instrument = self._market.instruments[request.market]
        if not instrument.active:
            raise OrderRefused("closed")
        mean = self._market.mean_price(request.market, now, 5)
        price = request.price if request.price is not None else None if mean is None else Decimal(str(mean))
        if request.price is not None and (request.price <= 0 or not fits(request.price, instrument.price_step)):
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
        if cost is not None and cost < instrument.min_cost:
            raise OrderRefused("NOTIONAL")
        return instrument

    def _check_open(self, book: _Book, request: OrderRequest) -> None:
        known = book.by_client_id.get(request.client_id or "")
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
        book: _Book,
        order: PlacedOrder,
        instrument: Instrument,
        price: Decimal,
        size: Decimal,
        time: int,
        *,
        maker: bool,
    ) -> None:
        request, account = order.request, book.account
        cost = money(price * size)
        buying = request.side == "buy"
        gained_asset, gained = (instrument.base, size) if buying else (instrument.quote, cost)
        fee = money(gained * (account.maker if maker else account.taker))
        paid = book.holding(instrument.quote if buying else instrument.base)
        order.filled += size
        order.cost += cost
        spent = cost if buying else size
        # What a better price saved is free again at once.
        still = need(request, order.remaining, []) if request.type != "market" else order.locked - spent
        paid.locked -= order.locked - still
        paid.free += order.locked - still - spent
        order.locked = still
        book.holding(gained_asset).free += gained - fee
        self._fills += 1
        fill = Fill(
            id=self._fills,
            order_id=order.id,
            market=request.market,
            side=request.side,
            price=price,
            amount=size,
            cost=cost,
            fee=fee,
            fee_asset=gained_asset,
            time=time,
            maker=maker,
        )
        order.fills.append(fill)
        book.fills.append(fill)
        order.status = "partly filled"
        order.updated = book.updated = time
        if not order.remaining:
            self._close(book, order, instrument, "filled", time)

    def _close(self, book: _Book, order: PlacedOrder, instrument: Instrument, status: Status, time: int) -> None:
        holding = book.holding(instrument.quote if order.request.side == "buy" else instrument.base)
        holding.locked -= order.locked
        holding.free += order.locked
        order.locked = _ZERO
        order.status = status
        order.updated = book.updated = time
        del book.lying[order.id]

    def _settled(self, key: str, now: int) -> _Book:
        """Return an account's book after filling, in the order of time, the orders that trades have reached since."""
        book = self._books[key]
        reached: list[tuple[int, int]] = []
        for order in book.lying.values():
            if order.checked >= now or order.request.price is None:
                continue
            time = self._market.first_cross(
                order.request.market,
                float(order.request.price),
                now,
                after=order.checked,
                falling=order.request.side == "buy",
            )
            order.checked = now
            if time is not None:
                reached.append((time, order.id))
        for time, number in sorted(reached):
            order = book.orders[number]
            instrument = self._market.instruments[order.request.market]
            self._fill(book, order, instrument, order.request.price or _ZERO, order.remaining, time, maker=True)
        return book


def _account(given: SimulatedAccount) -> SimulatedAccount:
    for name in ("key", "secret"):
        value = getattr(given, name, None)
        if not isinstance(value, str) or not value:
            raise UsageError(f"account {getattr(given, 'name', given)!r} has no {name}; give it as text")
    if isinstance(given, SimulatedAccount):
        return given
    return SimulatedAccount(name=str(given.name), key=given.key, secret=given.secret, balances=given.balances)


def _amount(account: str, asset: str, held: Decimal | int | str) -> Decimal:
    try:
        amount = Decimal(held) if not isinstance(held, float) else Decimal(str(held))
    except (ArithmeticError, TypeError, ValueError):
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0 or amount > Decimal(10) ** 18:
        raise UsageError(f"account {account!r} held {held!r} {asset}; give an amount such as Decimal('0.5')")
    return money(amount)
