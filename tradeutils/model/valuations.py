"""
What an account is worth in one currency, and how that was found.

Times are int milliseconds UTC, ages are seconds, money is `decimal.Decimal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Final, Literal, TypeAlias

from tradeutils.errors import UsageError
from tradeutils.model.readonly import ReadOnlyDict

__all__ = ["AssetClass", "AssetValue", "Leg", "LegSide", "Valuation"]

LegSide: TypeAlias = Literal["sell", "buy", "peg"]

AssetClass: TypeAlias = Literal[
    "locked",
    "leveraged",
    "delisted",
    "unquoted",
    "unreachable",
    "contracts",
    "unlisted",
    "not a number",
    "dust",
]
"""Why an asset stands out; see `Valuation.classes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """
    One market on the way from an asset to the quote currency.

    Attributes
    ----------
    symbol : str
        The market; ``"peg"`` where two currencies were taken for equal because the caller said so.
    side : str
        What one would do there: ``"sell"`` its base, or ``"buy"`` it, which divides by the price; ``"peg"``.
    price : Decimal
        The market's own price, in its quote currency; 1 of a peg.
    age : float or None
        Seconds since it was quoted; ``None`` where the venue does not say; 0 of a peg.
    """

    symbol: str
    side: LegSide
    price: Decimal
    age: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetValue:
    """
    What one asset of an account is worth.

    Attributes
    ----------
    amount : Decimal
        What the account has of it less what it owes; negative where it owes more.
    price : Decimal
        One unit in the quote currency: exact where every leg is a sale, to 60 digits where one is a purchase.
    value : Decimal
        Amount times price, exactly.
    route : tuple of str
        The markets the price was found over; empty for the quote itself; ``"peg"`` where a parity was assumed.
    age : float or None
        Seconds since the oldest price on the route was quoted; 0 for the quote itself, ``None`` where the
        venue does not say.
    legs : tuple of Leg
        Side, price and age of each market of the route.
    underlying : str or None
        The asset whose price was taken, where it is another one: of ``LDBTC`` it is ``BTC``.
    """

    amount: Decimal
    price: Decimal
    value: Decimal
    route: tuple[str, ...]
    age: float | None
    legs: tuple[Leg, ...] = ()
    underlying: str | None = None


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
        Sum of the values, exactly; assets in ``unpriced`` are not in it.
    assets : mapping from asset to AssetValue
        Largest value first; debts are negative.
    unpriced : mapping from asset to Decimal
        What the account holds of assets without a price: named, never counted as zero unseen.
    time : int
        Milliseconds UTC, by the venue's clock.
    reasons : mapping from asset to str
        Why each asset in ``unpriced`` is there, as a sentence.
    classes : mapping from asset to str
        Every asset that is not simply priced by its markets: ``"locked"`` in an earning product, ``"leveraged"`` token
        without a live market, ``"delisted"``, ``"unquoted"`` (its markets tell no usable price), ``"unreachable"``
        (three legs do not lead to the quote), ``"contracts"`` (traded only as contracts), ``"unlisted"``,
        ``"not a number"``; all of these are in ``unpriced``, but for what is locked and was valued by its underlying.
        ``"dust"`` is priced, counted, and worth less than was asked about.
    """

    account: str | None
    quote: str
    total: Decimal
    assets: Mapping[str, AssetValue]
    unpriced: Mapping[str, Decimal]
    time: int
    reasons: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, AssetClass] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in _HELD.items():
            held = ReadOnlyDict(getattr(self, name))
            _check(name, set(map(type, held)), str)
            _check(name, set(map(type, held.values())), kind)
            object.__setattr__(self, name, held)
        _check("legs", set(map(type, chain.from_iterable(map(attrgetter("legs"), self.assets.values())))), Leg)
        _check("route", set(map(type, chain.from_iterable(map(attrgetter("route"), self.assets.values())))), str)


_HELD: Final[dict[str, type]] = {"assets": AssetValue, "unpriced": Decimal, "reasons": str, "classes": str}


def _check(name: str, kinds: set[type], kind: type) -> None:
    """Refuse what a valuation does not hold: it may have come from a cache that others write to."""
    if not kinds <= {kind}:
        wrong = ", ".join(sorted(one.__name__ for one in kinds - {kind}))
        raise UsageError(f"{name} of a valuation held {wrong}; it takes {kind.__name__}")
