"""Order books to which recorded differences fit, as REST would have told them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from tradeutils.errors import DataError
from tradeutils.sim.feeds.recording import RecordedFrame, read_text

__all__ = ["Snapshots"]

_ASKED: Final = re.compile(r"https?://\S*/depth\?(?:\S*&)?symbol=([A-Za-z0-9]+)\S* -> [\d.]+: (\{.*\})")


class _Side:
    """The levels of one side by price, as the venue wrote them."""

    def __init__(self, levels: Sequence[Sequence[str]] = ()) -> None:
        self._levels: dict[float, tuple[str, str]] = {}
        self.change(levels)

    def change(self, levels: Sequence[Sequence[str]]) -> None:
        """Take levels over; amount 0 takes one away."""
        for price, amount in levels:
            if float(amount):
                self._levels[float(price)] = price, amount
            else:
                self._levels.pop(float(price), None)

    def best(self, limit: int, *, falling: bool) -> list[tuple[str, str]]:
        """Return the best levels."""
        return [self._levels[price] for price in sorted(self._levels, reverse=falling)[:limit]]


class _Book:
    """A book as it is after some of the differences; ``base`` is the reply that it began with."""

    def __init__(self, last: int, base: Mapping[str, Any]) -> None:
        self.last = last
        self.bids, self.asks = _Side(base.get("bids", ())), _Side(base.get("asks", ()))

    def take(self, update: Mapping[str, Any]) -> None:
        """Apply a difference, unless the book has it."""
        if update["u"] > self.last:
            self.last = update["u"]
            self.bids.change(update["b"])
            self.asks.change(update["a"])


class Snapshots:
    """
    The books of a recording of Binance's differences, at any point of it.

    Parameters
    ----------
    frames : sequence of RecordedFrame
        The recording.
    depth : recorded replies, optional
        See `RecordedFeeds`; of a market without one the book is empty before its first difference.
    between : sequence of RecordedFrame
        Books that lie between the messages, and do not say of which market they are.
    """

    def __init__(
        self, frames: Sequence[RecordedFrame], depth: Any = None, between: Sequence[RecordedFrame] = ()
    ) -> None:
        self._frames, self._read = frames, 0
        self._bases = {} if depth is None else _bases(depth)
        markets = {_symbol(frame) for frame in frames if "@depth" in frame.channel}
        if between and not self._bases and len(markets) == 1:
            self._bases[markets.pop()] = orjson.loads(between[0].text)
        self._books: dict[str, _Book] = {}
        for frame in frames:
            if "@depth" in frame.channel and _symbol(frame) not in self._books:
                update = _update(frame)
                self._books[_symbol(frame)] = self._begin(_symbol(frame), update.get("pu", update["U"] - 1))

    def _begin(self, symbol: str, before: int) -> _Book:
        base = self._bases.get(symbol)
        return _Book(before, {}) if base is None else _Book(int(base["lastUpdateId"]), base)

    def reply(self, symbol: str, limit: int, position: int) -> bytes | None:
        """Return the book of a market after the first ``position`` messages, as ``/depth`` tells it."""
        book = self._books.get(symbol)
        if book is None:
            return None
        for frame in self._frames[self._read : position]:
            if "@depth" in frame.channel:
                self._books[_symbol(frame)].take(_update(frame))
        self._read = max(self._read, position)
        bids, asks = book.bids.best(limit, falling=True), book.asks.best(limit, falling=False)
        return orjson.dumps({"lastUpdateId": book.last, "bids": bids, "asks": asks})


def _bases(depth: Any) -> dict[str, Mapping[str, Any]]:
    if isinstance(depth, Mapping):
        return {symbol.upper(): orjson.loads(reply) for symbol, reply in depth.items()}
    found: dict[str, Mapping[str, Any]] = {}
    for line in read_text(depth).splitlines():
        asked = _ASKED.fullmatch(line)
        if asked is not None:
            found.setdefault(asked[1].upper(), orjson.loads(asked[2]))
    if not found:
        raise DataError("the recorded order books held none; write '<address with ?symbol=..> -> <seconds>: <json>'")
    return found


def _symbol(frame: RecordedFrame) -> str:
    return frame.channel.partition("@")[0].upper()


def _update(frame: RecordedFrame) -> Mapping[str, Any]:
    message = orjson.loads(frame.text)
    update: Mapping[str, Any] = message.get("data", message)
    return update
