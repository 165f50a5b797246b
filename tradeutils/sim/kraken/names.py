"""Kraken's own names of assets, markets and orders."""

from __future__ import annotations

import re
from typing import Final

from tradeutils.sim.instruments import Instrument
from tradeutils.sim.kraken.errors import KrakenError
from tradeutils.sim.market import Market

__all__ = ["SOCKETS", "Names", "asset_name", "order_name", "order_number", "trade_name", "trade_number"]

SOCKETS: Final = "kraken websocket"
"""Of what kind the tokens are that private channels want."""

_OWN: Final = {"BTC": "XBT", "DOGE": "XDG"}
_ORDER: Final = re.compile(r"O([0-9]{5})-([0-9]{5})-KRAKEN")


def asset_name(asset: str) -> str:
    """Return Kraken's name of an asset: ``"XBT"``."""
    return _OWN.get(asset, asset)


def order_name(number: int) -> str:
    """Return an order's number in the form of Kraken's: ``"O00000-00012-KRAKEN"``."""
    return f"O{number // 100_000 % 100_000:05d}-{number % 100_000:05d}-KRAKEN"


def order_number(name: str) -> int:
    """Return the number of an order, -1 where the name is none of ours."""
    found = _ORDER.fullmatch(name)
    return -1 if found is None else int(found[1]) * 100_000 + int(found[2])


def trade_name(number: int) -> str:
    """Return a trade's number in the form of Kraken's: ``"T00000-00012-KRAKEN"``."""
    return f"T{order_name(number)[1:]}"


def trade_number(name: str) -> int:
    """Return the number of a trade, -1 where the name is none of ours."""
    return order_number(f"O{name[1:]}") if name.startswith("T") else -1


class Names:
    """The markets by Kraken's names for them: ``"XBTUSDT"``, ``"XBT/USDT"``."""

    def __init__(self, market: Market) -> None:
        self._pairs: dict[str, Instrument] = {}
        for one in market.traded("spot").values():
            base, quote = asset_name(one.base), asset_name(one.quote)
            self._pairs[base + quote] = self._pairs[f"{base}/{quote}"] = one

    def pair(self, instrument: Instrument) -> str:
        """Return the name of a market."""
        return asset_name(instrument.base) + asset_name(instrument.quote)

    def instrument(self, name: str) -> Instrument:
        """Return a market, or raise `KrakenError`."""
        known = self._pairs.get(name)
        if known is None:
            raise KrakenError("EQuery:Unknown asset pair")
        return known

    def chosen(self, names: str | None) -> list[Instrument]:
        """Return the markets of a list with commas, all where there is none."""
        if names is None:
            return [one for name, one in self._pairs.items() if "/" not in name]
        return [self.instrument(name) for name in names.split(",")]
