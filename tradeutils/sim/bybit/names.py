"""Bybit's own names: the categories, the markets in each, and orders."""

from __future__ import annotations

import re
from typing import Final

from tradeutils.sim.bybit.errors import BybitError
from tradeutils.sim.bybit.fields import Fields
from tradeutils.sim.instruments import Instrument, Kind
from tradeutils.sim.market import Market

__all__ = ["Names", "order_name", "order_number"]

_CATEGORIES: Final = ("spot", "linear", "inverse", "option")
_SPOT_ORDERS: Final = 1_000_000_000_000_000_000  # where their numbers of 19 digits begin
_LINEAR_ORDER: Final = re.compile(r"00000000-0000-4000-8000-([0-9]{12})")
_SPOT_ORDER: Final = re.compile(r"1[0-9]{18}")


def order_name(kind: Kind, number: int) -> str:
    """Return an order's number in the form of its category: 19 digits of spot, a UUID of linear."""
    return str(_SPOT_ORDERS + number) if kind == "spot" else f"00000000-0000-4000-8000-{number:012d}"


def order_number(name: str) -> int:
    """Return the number of an order, -1 where the name is none of ours."""
    linear = _LINEAR_ORDER.fullmatch(name)
    if linear is not None:
        return int(linear[1])
    return int(name) - _SPOT_ORDERS if _SPOT_ORDER.fullmatch(name) else -1


class Names:
    """The markets by category and symbol; ``"BTCUSDT"`` is one of spot and one of linear."""

    def __init__(self, market: Market) -> None:
        kinds: tuple[Kind, ...] = ("spot", "linear")
        self._traded: dict[str, dict[str, Instrument]] = {kind: market.traded(kind) for kind in kinds}

    def category(self, fields: Fields, default: str | None = None) -> str:
        """Return the category of a call; one that is not traded here, ``"inverse"`` say, is a category too."""
        return fields.choice("category", _CATEGORIES, default)

    def all(self, category: str) -> list[Instrument]:
        """Return the markets of a category."""
        return list(self._traded.get(category, {}).values())

    def instrument(self, category: str, fields: Fields) -> Instrument:
        """Return the market that a call names, or raise `BybitError`."""
        symbol = fields.text("symbol")
        if symbol is None:
            raise BybitError(10001, "params error: symbol is required")
        known = self._traded.get(category, {}).get(symbol)
        if known is None:
            raise BybitError(10001, "Not supported symbols")
        return known

    def named(self, category: str, fields: Fields) -> dict[str, Instrument]:
        """Return the markets that a call is about, by id; of linear it must name one, or a coin."""
        if category == "linear" and not any(fields.text(name) for name in ("symbol", "baseCoin", "settleCoin")):
            raise BybitError(10001, "params error: symbol or settleCoin or baseCoin is required")
        return {one.id: one for one in self.chosen(category, fields)}

    def chosen(self, category: str, fields: Fields) -> list[Instrument]:
        """Return the one market that a call names, or else those of its base and settle coin, or all."""
        if fields.text("symbol") is not None:
            return [self.instrument(category, fields)]
        base, settle = fields.text("baseCoin"), fields.text("settleCoin")
        return [
            one for one in self.all(category) if base in (None, one.base) and settle in (None, one.settle or one.quote)
        ]
