"""
What a price and an amount may look like where ccxt's list of markets does not say it in steps.

Most venues state the smallest step. A few count significant digits, and their classes of ccxt hold amounts to decimal
places beside that (4.5.90: bitfinex, bithumb), or cut prices by a rule that stands in the code alone (hyperliquid).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tradeutils.model import Market

__all__ = ["with_precision"]

_SIGNIFICANT_DIGITS: Final = 3  # ccxt's precisionMode
_AMOUNTS_IN_PLACES: Final = ("bitfinex", "bithumb")
_BITFINEX_STEP: Final = Decimal("1E-8")
_HYPERLIQUID_DIGITS: Final = 5
_HYPERLIQUID_PLACES: Final[Mapping[bool, int]] = {True: 8, False: 6}  # spot, contracts; less those of the amount


def with_precision(market: Market, raw: Mapping[str, Any], mode: int, venue: str) -> Market:
    """Return a market with the precision that its steps alone do not tell; ``raw`` is ccxt's structure of it."""
    if venue == "hyperliquid":
        return _hyperliquid(market)
    if mode != _SIGNIFICANT_DIGITS:
        return market
    precision = raw.get("precision") or {}
    digits, places = _whole(precision.get("price")), _whole(precision.get("amount"))
    step = None if places is None or venue not in _AMOUNTS_IN_PLACES else Decimal(1).scaleb(-places)
    return dataclasses.replace(
        market,
        amount_step=step,
        price_step=_BITFINEX_STEP if venue == "bitfinex" else None,
        price_digits=digits or None,
    )


def _hyperliquid(market: Market) -> Market:
    """Prices have five significant digits, or are whole, and their places and those of the amount have a sum."""
    if market.amount_step is None:
        return dataclasses.replace(market, price_digits=_HYPERLIQUID_DIGITS, whole_prices=True)
    exponent = int(market.amount_step.as_tuple().exponent)
    places = _HYPERLIQUID_PLACES[market.type == "spot"] - max(0, -exponent)
    return dataclasses.replace(
        market,
        price_step=Decimal(1).scaleb(-max(0, places)),
        price_digits=_HYPERLIQUID_DIGITS,
        whole_prices=True,
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
