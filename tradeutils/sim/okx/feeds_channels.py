"""
The channels of OKX's websockets: where each may be subscribed, and what is then told.

Channels are kept apart by what a client sends: ``{"channel": "books", "instId": "BTC-USDT"}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tradeutils.sim.feeds.events import Topic
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.okx.feeds_errors import FeedError
from tradeutils.sim.okx.names import Names, family, inst_id, inst_type

__all__ = ["ACCESSES", "HONG_KONG", "PRIVATE", "Access", "Subscription", "of_argument"]

Access: TypeAlias = Literal["public", "business", "private"]
ACCESSES: Final[Mapping[str, Access]] = {
    "/ws/v5/public": "public", "/ws/v5/business": "business", "/ws/v5/private": "private",
}  # fmt: skip
"""By path: which channels may be subscribed there."""
PRIVATE: Final = ("account", "orders", "orders-algo", "balance_and_position")
"""Those that want a login."""

_BOOKS: Final[Mapping[str, int]] = {"books": 400, "books5": 5}
# Deeper or faster ones, and the fee tier that they are for; accounts are of the lowest here.
_TIERS: Final[Mapping[str, tuple[str, str]]] = {
    "books-l2-tbt": ("60029", "VIP5"),
    "books50-l2-tbt": ("60030", "VIP4"),
}
# Candles that open in UTC, and by what the venue calls them those that open in Hong Kong.
_CANDLES: Final[Mapping[str, str]] = {
    "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h", "2H": "2h", "4H": "4h", "6Hutc": "6h",
    "12Hutc": "12h", "1Dutc": "1d", "1Wutc": "1w", "1Mutc": "1M", "3Mutc": "3M",
}  # fmt: skip
HONG_KONG: Final[Mapping[str, str]] = {"6H": "6h", "12H": "12h", "1D": "1d", "1W": "1w", "1M": "1M"}
"""By name: candles whose first hour is one of Hong Kong's; they are made of hours."""
_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "ANY": ("SPOT", "SWAP"), "SPOT": ("SPOT",), "SWAP": ("SWAP",), "MARGIN": (), "FUTURES": (), "OPTION": (),
}  # fmt: skip
_NAMED: Final = ("channel", "instType", "instFamily", "instId", "ccy")
# {"updateInterval": "0"}: only what happens is told of an account, not what it holds every five seconds.
_UPDATES: Final = re.compile(r'"updateInterval"\s*:\s*"?0\b')


@dataclass(frozen=True, slots=True)
class Subscription:
    """
    A channel that a client follows.

    Attributes
    ----------
    argument : tuple of pairs
        What the client named it by, which is told with all its data.
    topic : Topic
        What it is made of.
    instrument : Instrument or None
        The market, of channels about one.
    markets : frozenset of str
        Of private channels: the ids of the markets that they tell of.
    repeated : bool
        Whether it is told every few seconds, and not only when something happens.
    """

    channel: str
    argument: tuple[tuple[str, str], ...]
    topic: Topic
    instrument: Instrument | None = None
    markets: frozenset[str] = frozenset()
    repeated: bool = False

    @property
    def frame(self) -> str:
        """Of candles: what the venue calls their timeframe."""
        return self.channel.removeprefix("candle")


def of_argument(given: Mapping[str, str], access: Access, names: Names, account: str | None) -> Subscription:
    """
    Return what an argument of a request subscribes.

    Parameters
    ----------
    account : str or None
        The key of the account that logged in.

    Raises
    ------
    FeedError : there is no such channel at this address, no such market, or nobody has logged in.
    """
    channel = given.get("channel", "")
    if channel in PRIVATE and access == ("business" if channel == "orders-algo" else "private"):
        if account is None:
            raise FeedError("60011")
        return _private(channel, given, names, account)
    instrument = names.known(given.get("instId"))
    topic = _public(channel, instrument, access)
    if topic is None or instrument is None:
        raise _unknown(given)
    argument = (("channel", channel), ("instId", given["instId"]))
    return Subscription(channel, argument, topic, instrument)


def _public(channel: str, instrument: Instrument | None, access: Access) -> Topic | None:
    if instrument is None:
        return None
    market = instrument.id
    if access == "business":
        frame = channel.removeprefix("candle") if channel.startswith("candle") else ""
        if frame in HONG_KONG:
            # Apart from the hours themselves, by a depth that candles have not: each begins with how it stands.
            return Topic("klines", market, frame="1h", depth=1 + list(HONG_KONG).index(frame))
        if frame in _CANDLES:
            return Topic("klines", market, frame=_CANDLES[frame])
        return Topic("trades", market) if channel == "trades-all" else None
    if access != "public":
        return None
    if channel in _TIERS:
        code, tier = _TIERS[channel]
        raise FeedError(code, tier, channel)
    if channel in _BOOKS:
        return Topic("book", market, depth=_BOOKS[channel])
    known: Mapping[str, Topic] = {
        "tickers": Topic("ticker", market), "trades": Topic("trades", market), "bbo-tbt": Topic("best", market),
    }  # fmt: skip
    return known.get(channel)


def _private(channel: str, given: Mapping[str, str], names: Names, account: str) -> Subscription:
    argument = tuple((name, value) for name, value in given.items() if name in _NAMED)
    if channel in ("account", "balance_and_position"):
        repeated = channel == "account" and _UPDATES.search(given.get("extraParams", "")) is None
        return Subscription(channel, argument, Topic("balances", account=account), repeated=repeated)
    types = _TYPES.get(given.get("instType", ""))
    pair, name = given.get("instFamily"), given.get("instId")
    if types is None or (name is not None and names.known(name) is None):
        raise _unknown(given)
    markets = frozenset(
        one.id
        for one in (names.of_type("SPOT") + names.of_type("SWAP"))
        if inst_type(one) in types and pair in (None, family(one)) and name in (None, inst_id(one))
    )
    return Subscription(channel, argument, Topic("orders", account=account), markets=markets)


def _unknown(given: Mapping[str, str]) -> FeedError:
    return FeedError("60018", ",".join(f"{name}:{value}" for name, value in given.items()))
