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

_DIFFERENCES: Final = re.compile(r"@depth(?:Update|@\d+ms)?$")


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
        markets = {_symbol(frame) for frame in frames if _is_difference(frame)}
        if between and not self._bases and len(markets) == 1:
            self._bases[markets.pop()] = _base(between[0].text)
        self._books: dict[str, _Book] = {}
        for frame in frames:
            if _is_difference(frame):
                update, symbol = _update(frame), _symbol(frame)
                if symbol not in self._books:
                    self._books[symbol] = self._begin(symbol, update.get("pu", update["U"] - 1))

    def _begin(self, symbol: str, before: int) -> _Book:
        base = self._bases.get(symbol)
        return _Book(before, {}) if base is None else _Book(base["lastUpdateId"], base)

    def reply(self, symbol: str, limit: int, position: int) -> bytes | None:
        """Return the book of a market after the first ``position`` messages, as ``/depth`` tells it."""
        book = self._books.get(symbol)
        if book is None:
            return None
        for frame in self._frames[self._read : position]:
            if _is_difference(frame):
                self._books[_symbol(frame)].take(_update(frame))
        self._read = max(self._read, position)
        bids, asks = book.bids.best(limit, falling=True), book.asks.best(limit, falling=False)
        return orjson.dumps({"lastUpdateId": book.last, "bids": bids, "asks": asks})


def _bases(depth: Any) -> dict[str, Mapping[str, Any]]:
    if isinstance(depth, Mapping):
        return {symbol.upper(): _base(reply) for symbol, reply in depth.items()}
    found: dict[str, Mapping[str, Any]] = {}
    for line in read_text(depth).splitlines():
        asked = _ASKED.fullmatch(line)
        if asked is not None:
            found.setdefault(asked[1].upper(), _base(asked[2]))
    if not found:
        raise DataError("the recorded order books held none; write '<address with ?symbol=..> -> <seconds>: <json>'")
    return found


def _base(text: str | bytes) -> Mapping[str, Any]:
    """Return a recorded order book, or raise `DataError` where it is none."""
    try:
        book = orjson.loads(text)
    except orjson.JSONDecodeError:
        book = None
    if not (
        isinstance(book, dict)
        and isinstance(book.get("lastUpdateId"), int)
        and _are_levels(book.get("bids"), book.get("asks"))
    ):
        raise DataError(f"a recorded order book was {text[:60]!r}; it needs lastUpdateId, bids and asks")
    return book


def _symbol(frame: RecordedFrame) -> str:
    return frame.channel.partition("@")[0].upper()


def _is_difference(frame: RecordedFrame) -> bool:
    """Tell whether a message is about what changed in a book: streams of the best levels tell them whole."""
    return _DIFFERENCES.search(frame.channel) is not None


def _update(frame: RecordedFrame) -> Mapping[str, Any]:
    """Return the difference of a message, or raise `DataError` where it is none."""
    message = orjson.loads(frame.text)
    update: Mapping[str, Any] = message.get("data", message)
    numbers = [update.get(name) for name in ("U", "u")] if isinstance(update, dict) else [None]
    if not all(isinstance(number, int) for number in numbers) or not _are_levels(update.get("b"), update.get("a")):
        raise DataError(f"a recorded difference of {frame.channel!r} was {frame.text[:60]!r}; it needs U, u, b and a")
    return update


def _are_levels(*sides: object) -> bool:
    return all(isinstance(side, list) and all(map(_is_level, side)) for side in sides)


def _is_level(level: object) -> bool:
    return isinstance(level, list) and len(level) == 2 and all(isinstance(one, str) for one in level)
