"""What trading costs. Money is `decimal.Decimal`, rates are fractions: ``Decimal("0.001")`` is 0.1 %."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Fee", "TradingFee"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """
    What a trade would cost.

    Attributes
    ----------
    cost : Decimal
        In `currency`; negative where the venue pays.
    currency : str or None
        What it is taken in.
    rate : Decimal
        As a fraction of what is traded.
    maker : bool
        Whether the order was taken to lie in the book.
    """

    cost: Decimal
    currency: str | None
    rate: Decimal
    maker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingFee:
    """The account's own fees in one market, as fractions; ``None`` where the venue does not tell."""

    symbol: str
    maker: Decimal | None = None
    taker: Decimal | None = None
