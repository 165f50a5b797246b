"""The public channels of Kraken's websockets: what may be asked for of each market."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tradeutils.sim.feeds.events import Topic
from tradeutils.sim.instruments import Instrument

__all__ = ["Followed", "RefusedError", "flag", "of_parameters", "printable"]

_DEPTHS: Final = (10, 25, 100, 500, 1000)
_INTERVALS: Final[Mapping[int, str]] = {
    1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 240: "4h", 1440: "1d", 10080: "1w",
}  # fmt: skip


class RefusedError(Exception):
    """A request that is refused, in the venue's words."""


@dataclass(slots=True)
class Followed:
    """A public channel of a market that a client follows; ``known``: it has been told how things stand."""

    channel: str
    instrument: Instrument
    topic: Topic
    result: dict[str, Any]
    known: bool = False
    last: tuple[Any, ...] = ()  # of a ticker what it was told for, of trades the last number

    @property
    def begins(self) -> bool:
        """Whether it is told at first how things stand."""
        return bool(self.result.get("snapshot", True))


def of_parameters(parameters: Mapping[str, Any], symbol: str, markets: Mapping[str, Instrument]) -> Followed:
    """Return what a request asks for of one symbol; raise `RefusedError` where there is no such channel or market."""
    instrument, channel = markets.get(symbol), parameters["channel"]
    if instrument is None:
        words = "Currency pair not supported" if "/" in symbol else "Currency pair not in ISO 4217-A3 format"
        raise RefusedError(f"{words} {printable(symbol)}")
    begins = flag(parameters, "snapshot", default=channel != "trade")
    result: dict[str, Any] = {"channel": channel, "snapshot": begins, "symbol": symbol}
    market = instrument.id
    if channel == "ticker":
        trigger = parameters.get("event_trigger", "trades")
        if trigger not in ("trades", "bbo"):
            raise RefusedError("Event trigger not supported")
        return Followed(channel, instrument, Topic("ticker", market), {**result, "event_trigger": trigger})
    if channel == "book":
        depth = _among(parameters, "depth", 10, _DEPTHS, "Subscription depth not supported")
        return Followed(channel, instrument, Topic("book", market, depth=depth), {**result, "depth": depth})
    if channel == "ohlc":
        minutes = _among(parameters, "interval", 1, _INTERVALS, "Subscription ohlc interval not supported")
        topic = Topic("klines", market, frame=_INTERVALS[minutes])
        return Followed(channel, instrument, topic, {**result, "interval": minutes})
    return Followed(channel, instrument, Topic("trades", market), result)


def printable(symbol: str) -> str:
    """Return what a client sent as it may be told back: cut, and without what is no text."""
    return symbol[:64].encode("utf-8", "replace").decode()


def flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Return a parameter that is true or false."""
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise RefusedError(f"Subscription object unsupported field: {name}")
    return value


def _among(parameters: Mapping[str, Any], name: str, default: int, known: Collection[int], words: str) -> int:
    value = parameters.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value not in known:
        raise RefusedError(words)
    return value
