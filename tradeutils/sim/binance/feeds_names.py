"""The names of Binance's streams: what each is about, and whether it is a name at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tradeutils.sim.binance.parameters import INTERVALS
from tradeutils.sim.feeds.events import Topic, TopicKind
from tradeutils.sim.instruments import Instrument

__all__ = ["Stream", "is_stream_name", "read_stream"]

_NAME: Final = re.compile(r"!?[A-Za-z0-9_.-]{1,80}(@[A-Za-z0-9_.:+-]{1,32}){0,3}")
_ONE: Final = re.compile(
    r"(?P<symbol>[a-z0-9_.-]+)@(?:(?P<shape>trade|aggTrade|ticker|miniTicker|bookTicker)"
    r"|kline_(?P<frame>[0-9]{1,2}[smhdwM])"
    r"|depth(?P<levels>5|10|20)?(?:@(?:100|250|500|1000)ms)?)"
)
_ALL: Final = {"!ticker@arr": "ticker", "!miniTicker@arr": "miniTicker", "!bookTicker": "bookTicker"}
_KINDS: Final[dict[str, TopicKind]] = {
    "trade": "trades", "aggTrade": "trades", "ticker": "ticker", "miniTicker": "ticker", "bookTicker": "best",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stream:
    """
    A stream that a connection listens to.

    Attributes
    ----------
    shape : str
        Of its payloads: ``"trade" "aggTrade" "kline" "ticker" "miniTicker" "bookTicker" "depth" "levels" "user"``, or
        ``""`` where there is nothing to tell: the venue takes any well-formed name, and says nothing of those that it
        does not know.
    topics : tuple of Topic
        What it is made of.
    array : bool
        Whether it tells of many markets in one payload.
    """

    name: str
    shape: str = ""
    topics: tuple[Topic, ...] = ()
    array: bool = False


def is_stream_name(name: str) -> bool:
    """Tell whether a name has the form of a stream's; whether there is such a stream is another question."""
    return _NAME.fullmatch(name) is not None


def read_stream(name: str, traded: Mapping[str, Instrument]) -> Stream:
    """Return the stream of a name among the markets that are traded where the connection is, by Binance's names."""
    shape = _ALL.get(name)
    if shape == "bookTicker":  # spot has it no more
        return Stream(name, shape, tuple(Topic("best", one.id) for one in traded.values() if one.kind == "linear"))
    if shape is not None:
        return Stream(name, shape, tuple(Topic("ticker", one.id) for one in traded.values()), array=True)
    found = _ONE.fullmatch(name)
    instrument = None if found is None else traded.get(found["symbol"].upper())
    if found is None or instrument is None:
        return Stream(name)
    market = instrument.id
    if found["frame"] is not None:
        if found["frame"] not in INTERVALS or found["frame"] == "1s":  # nothing is finer than a minute
            return Stream(name)
        return Stream(name, "kline", (Topic("klines", market, frame=found["frame"]),))
    shape = found["shape"]
    if shape is None:
        levels = int(found["levels"] or 0)
        return Stream(name, "levels" if levels else "depth", (Topic("book", market, depth=levels),))
    return Stream(name, shape, (Topic(_KINDS[shape], market),))
