"""
One market, ticker, book, trade, order, balance.

Times are int milliseconds UTC. Market data is float; what is on an account or an order is `decimal.Decimal`.
``None`` says that the venue did not tell.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils.errors import UsageError

__all__ = [
    "AssetBalance",
    "Balance",
    "Fill",
    "Market",
    "MarketType",
    "Order",
    "OrderBook",
    "Side",
    "Ticker",
    "Trade",
]

MarketType: TypeAlias = Literal["spot", "margin", "swap", "future", "option"]
Side: TypeAlias = Literal["buy", "sell"]
Levels: TypeAlias = npt.NDArray[np.float64]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """
    A market and its rules.

    Attributes
    ----------
    symbol, id : str
        Unified (``"BTC/USDT"``, ``"BTC/USDT:USDT"``) and the venue's own (``"BTCUSDT"``).
    amount_step, price_step : Decimal or None
        Smallest difference between two amounts (in base units or contracts) and two prices (in quote).
    min_amount, max_amount, min_price, max_price, min_cost, max_cost : Decimal or None
        What an order must keep to; cost is price times amount in the quote currency.
    maker, taker : Decimal or None
        Fees as a fraction: ``Decimal("0.001")`` is 0.1 %.
    contract_size : Decimal or None
        Base units (inverse: quote units) in one contract; ``None`` on spot.
    expiry : int or None
        Milliseconds UTC at which a future or option ends.
    listed : int or None
        Milliseconds UTC at which trading began, where the venue says.
    """

    symbol: str
    id: str
    base: str
    quote: str
    type: MarketType = "spot"
    active: bool = True
    settle: str | None = None
    linear: bool | None = None
    inverse: bool | None = None
    contract_size: Decimal | None = None
    expiry: int | None = None
    listed: int | None = None
    amount_step: Decimal | None = None
    price_step: Decimal | None = None
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_cost: Decimal | None = None
    max_cost: Decimal | None = None
    maker: Decimal | None = None
    taker: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """
    The last 24 hours of one market; prices in quote, volumes in base unless named ``quote_volume``.

    ``time`` is the venue's, in milliseconds UTC. ``percentage`` is the change of the day in percent.
    """

    symbol: str
    time: int | None = None
    last: float | None = None
    bid: float | None = None
    ask: float | None = None
    bid_volume: float | None = None
    ask_volume: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    vwap: float | None = None
    percentage: float | None = None
    base_volume: float | None = None
    quote_volume: float | None = None

    @property
    def mid(self) -> float | None:
        """Half-way between bid and ask; ``None`` where one is missing."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    @property
    def spread(self) -> float | None:
        """Ask less bid as a fraction of the mid: 0.001 is 0.1 %; ``None`` where one is missing or zero."""
        if self.bid is None or self.ask is None or self.bid <= 0 or self.ask <= 0:
            return None
        return 2 * (self.ask - self.bid) / (self.ask + self.bid)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderBook:
    """
    Price levels, best first.

    Attributes
    ----------
    bids, asks : float64 array, shape (N, 2), read-only
        Price and amount of each level; bids fall, asks rise.
    time : int or None
        Milliseconds UTC, where the venue says.
    sequence : int or None
        The venue's own number of this state of the book.
    """

    symbol: str
    bids: Levels
    asks: Levels
    time: int | None = None
    sequence: int | None = None

    def __post_init__(self) -> None:
        for side in ("bids", "asks"):
            object.__setattr__(self, side, _levels(side, getattr(self, side)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OrderBook):
            return NotImplemented
        return (
            (self.symbol, self.time, self.sequence) == (other.symbol, other.time, other.sequence)
            and np.array_equal(self.bids, other.bids)
            and np.array_equal(self.asks, other.asks)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    @property
    def bid(self) -> float | None:
        """Best bid price; ``None`` where nobody bids."""
        return float(self.bids[0, 0]) if len(self.bids) else None

    @property
    def ask(self) -> float | None:
        """Best ask price; ``None`` where nobody asks."""
        return float(self.asks[0, 0]) if len(self.asks) else None


def _levels(side: str, value: Any) -> Levels:
    try:
        levels = np.array(value, dtype=np.float64)  # a copy: a book is a moment, and its source moves on
    except (TypeError, ValueError) as error:
        raise UsageError(f"{side} cannot be read: {error}; write rows of [price, amount], shape (N, 2)") from error
    if levels.size == 0:
        levels = levels.reshape(0, 2)
    if levels.ndim != 2 or levels.shape[1] != 2:
        raise UsageError(f"{side} had shape {levels.shape}; write rows of [price, amount], shape (N, 2)")
    levels.flags.writeable = False
    return levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A public trade: price in quote, amount in base units or contracts, ``side`` the taker's."""

    symbol: str
    id: str | None
    time: int
    price: float
    amount: float
    side: Side | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    An order on an account.

    Attributes
    ----------
    id, client_id : str or None
        The venue's id and ours.
    type : str
        ``"limit"``, ``"market"`` or one of the venue's own.
    status : str or None
        ``"open"``, ``"closed"``, ``"canceled"``, ``"expired"``, ``"rejected"``.
    amount, filled, remaining : Decimal or None
        In base units or contracts.
    price, average, cost : Decimal or None
        Limit price, mean price paid, and quote paid so far.
    fee, fee_currency : Decimal, str or None
        Fee paid so far.
    time : int or None
        Milliseconds UTC at which the venue took it.
    """

    symbol: str
    id: str | None = None
    client_id: str | None = None
    type: str | None = None
    side: Side | None = None
    status: str | None = None
    price: Decimal | None = None
    amount: Decimal | None = None
    filled: Decimal | None = None
    remaining: Decimal | None = None
    average: Decimal | None = None
    cost: Decimal | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    time: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """
    A trade of an account: one order, or a part of it, met another.

    Attributes
    ----------
    id, order_id : str or None
        The venue's ids of the trade and of the account's order.
    time : int
        Milliseconds UTC.
    side : str or None
        The account's: ``"buy"`` or ``"sell"``.
    price, amount, cost : Decimal or None
        In quote, in base units or contracts, and their product in quote.
    fee, fee_currency : Decimal, str or None
        What was paid for it; negative where the venue paid.
    maker : bool or None
        Whether the order lay in the book and the other came.
    """

    symbol: str
    id: str | None
    time: int
    price: Decimal
    amount: Decimal
    order_id: str | None = None
    side: Side | None = None
    cost: Decimal | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    maker: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetBalance:
    """What an account holds of one asset; ``debt`` is borrowed and owed."""

    free: Decimal = _ZERO
    used: Decimal = _ZERO
    total: Decimal = _ZERO
    debt: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance(Mapping[str, AssetBalance]):
    """
    What an account holds: a mapping from asset to `AssetBalance`; assets that it does not hold are absent.

    ``time`` is milliseconds UTC at which the venue said so.

    Examples
    --------
    >>> balance = Balance(venue="binance", account="alice", time=0, assets={"BTC": AssetBalance(total=Decimal(1))})
    >>> balance["BTC"].total
    Decimal('1')
    """

    venue: str
    account: str | None
    time: int | None
    assets: Mapping[str, AssetBalance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "assets", types.MappingProxyType(dict(self.assets)))

    def __getitem__(self, asset: str) -> AssetBalance:
        return self.assets[asset]

    def __iter__(self) -> Iterator[str]:
        return iter(self.assets)

    def __len__(self) -> int:
        return len(self.assets)

    def __hash__(self) -> int:
        return hash((self.venue, self.account, self.time, frozenset(self.assets.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled, and balances must cross process pools.
        return _rebuild_balance, (self.venue, self.account, self.time, dict(self.assets))


def _rebuild_balance(venue: str, account: str | None, time: int | None, assets: dict[str, AssetBalance]) -> Balance:
    return Balance(venue=venue, account=account, time=time, assets=assets)
