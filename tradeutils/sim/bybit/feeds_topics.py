"""Bybit's topics: what each is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tradeutils.sim.bybit.market_data import INTERVALS
from tradeutils.sim.feeds.events import Topic
from tradeutils.sim.instruments import Instrument

__all__ = ["Channel", "private_channel", "public_channel"]

_DEPTHS: Final = ("1", "50", "200", "1000")
_PRIVATE: Final = {
    name + suffix: (name, kind)
    for name in ("order", "execution", "execution.fast")
    for suffix, kind in (("", ""), (".spot", "spot"), (".linear", "linear"))
}


@dataclass(frozen=True, slots=True)
class Channel:
    """
    What a connection listens to: Bybit's name for it, its shape, and what it is made of.

    ``shape`` is one of ``"publicTrade" "tickers" "kline" "orderbook" "order" "execution" "execution.fast" "wallet"``.
    """

    name: str
    shape: str
    topic: Topic


def public_channel(name: str, traded: Mapping[str, Instrument]) -> Channel | None:
    """Return a public channel among the markets of a category, ``None`` where there is none of that name."""
    shape, *details, symbol = name.split(".") if "." in name else ("", "")
    instrument = traded.get(symbol)
    if instrument is None:
        return None
    market = instrument.id
    if shape == "publicTrade" and not details:
        return Channel(name, shape, Topic("trades", market))
    if shape == "tickers" and not details:
        return Channel(name, shape, Topic("ticker", market))
    if shape == "kline" and len(details) == 1 and details[0] in INTERVALS:
        return Channel(name, shape, Topic("klines", market, frame=INTERVALS[details[0]]))
    if shape == "orderbook" and len(details) == 1 and details[0] in _DEPTHS:
        return Channel(name, shape, Topic("book", market, depth=int(details[0])))
    return None


def private_channel(name: str, account: str) -> Channel | None:
    """Return a channel of an account, given by its key; ``None`` where there is none of that name."""
    if name == "wallet":
        return Channel(name, name, Topic("balances", account=account))
    found = _PRIVATE.get(name)
    return None if found is None else Channel(name, found[0], Topic("orders", account=account, trades=found[1]))
