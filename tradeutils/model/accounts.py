"""
What is on an account: its orders, its trades and what it holds.

Times are int milliseconds UTC, money is `decimal.Decimal`; ``None`` says that the venue did not tell.

Each has ``info``: what the venue itself sent, read-only, where the exchange was opened with ``info=True``. It takes
no part in comparisons and is not shown.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tradeutils.model.info import Raw, freeze_info
from tradeutils.model.records import Side

__all__ = ["AssetBalance", "Balance", "Fill", "Order"]

_ZERO = Decimal(0)


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
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)


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
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)


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
    info: Raw | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        freeze_info(self)
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
        return _rebuild_balance, (self.venue, self.account, self.time, dict(self.assets), self.info)


def _rebuild_balance(
    venue: str, account: str | None, time: int | None, assets: dict[str, AssetBalance], info: Raw | None = None
) -> Balance:
    return Balance(venue=venue, account=account, time=time, assets=assets, info=info)
