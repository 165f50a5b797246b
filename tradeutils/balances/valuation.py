"""What a balance is worth in one currency."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tradeutils.balances.routes import EXACT, Route
from tradeutils.model import Balance

__all__ = ["AssetValue", "Valuation", "value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetValue:
    """
    What one asset of an account is worth.

    Attributes
    ----------
    amount : Decimal
        What the account has of it less what it owes; negative where it owes more.
    price : Decimal
        One unit in the quote currency.
    value : Decimal
        Amount times price.
    route : tuple of str
        The markets the price was found over; empty for the quote itself.
    age : float or None
        Seconds since the oldest price on the route was quoted; 0 for the quote itself, ``None`` where the
        venue does not say.
    """

    amount: Decimal
    price: Decimal
    value: Decimal
    route: tuple[str, ...]
    age: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """
    What an account is worth.

    Attributes
    ----------
    account : str or None
        Whose it is.
    quote : str
        The currency of every value.
    total : Decimal
        Sum of the values; assets in ``unpriced`` are not in it.
    assets : mapping from asset to AssetValue
        Largest value first.
    unpriced : mapping from asset to Decimal
        What the account holds of assets that no route leads from: named, never counted as zero unseen.
    time : int
        Milliseconds UTC, by the venue's clock.
    """

    account: str | None
    quote: str
    total: Decimal
    assets: Mapping[str, AssetValue]
    unpriced: Mapping[str, Decimal]
    time: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "assets", types.MappingProxyType(dict(self.assets)))
        object.__setattr__(self, "unpriced", types.MappingProxyType(dict(self.unpriced)))

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy cannot be pickled, and results must cross process pools.
        return _rebuild, (self.account, self.quote, self.total, dict(self.assets), dict(self.unpriced), self.time)


def _rebuild(
    account: str | None,
    quote: str,
    total: Decimal,
    assets: dict[str, AssetValue],
    unpriced: dict[str, Decimal],
    time: int,
) -> Valuation:
    return Valuation(account=account, quote=quote, total=total, assets=assets, unpriced=unpriced, time=time)


def value(balance: Balance, quote: str, routes: Mapping[str, Route], now: int) -> Valuation:
    """Return what ``balance`` is worth in ``quote`` over ``routes``; ``now`` is the venue's time, ms UTC."""
    priced: dict[str, AssetValue] = {}
    unpriced: dict[str, Decimal] = {}
    total = Decimal(0)
    for asset, held in balance.items():
        amount = EXACT.subtract(held.total, held.debt)
        route = routes.get(asset)
        if route is None:
            unpriced[asset] = amount
            continue
        worth = EXACT.multiply(amount, route.price)
        total = EXACT.add(total, worth)
        priced[asset] = AssetValue(
            amount=amount, price=route.price, value=worth, route=route.legs, age=_age(route, now)
        )
    by_value = dict(sorted(priced.items(), key=lambda item: (-item[1].value, item[0])))
    return Valuation(account=balance.account, quote=quote, total=total, assets=by_value, unpriced=unpriced, time=now)


def _age(route: Route, now: int) -> float | None:
    if not route.legs:
        return 0.0
    return None if route.time is None else max(0.0, (now - route.time) / 1000)
