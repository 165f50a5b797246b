"""Whose what ccxt resolves is: from the hashes that its classes make up to our topics."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tradeutils.exchange.streams.arrivals import Arrivals, entries
from tradeutils.exchange.streams.topics import Topic

if TYPE_CHECKING:
    from tradeutils.exchange.streams.asking import Asking

__all__ = ["Received", "Route", "Routing"]

Received: TypeAlias = Callable[[Topic, Any, Any, float], None]
"""Takes what one message brought for a topic: as `Sink.received`."""


class Route:
    """
    The topics of one hash.

    A hash is resolved with what belongs to one symbol, or to many (one hash for all tickers): what arrives says whose
    it is; where it does not, it belongs to the topic that the hash stood for in the call.
    """

    __slots__ = ("_arrivals", "_by_key", "_paired", "_wide", "asking", "is_of_books", "take", "topics")

    def __init__(self, kind: str) -> None:
        self.is_of_books = kind == "book"
        self.topics: set[Topic] = set()
        self.asking: Asking | None = None  # the newest call for it
        self._arrivals = Arrivals(merged=kind == "orders")
        self._by_key: dict[Any, list[Topic]] = {}
        self._wide: list[Topic] = []  # of all symbols
        self._paired: list[Topic] = []
        # What takes a value: (received, value, frame, at).
        self.take: Callable[[Received, Any, Any, float], None] = {
            "ticker": self._take_tickers,
            "tickers": self._take_tickers,
            "ohlcv": self._take_rows,
            "trades": self._take_trades,
            "book": self._take_book,
            "balance": self._take_balance,
            "orders": self._take_orders,
        }[kind]

    def add(self, topics: Iterable[Topic], paired: Sequence[Topic]) -> None:
        """Lead to these topics as well; ``paired``: those for which the hash was asked, where that is known."""
        self.topics |= set(topics)
        self._paired = list({*self._paired, *paired})
        self._arrange()

    def drop(self, topics: Iterable[Topic]) -> bool:
        """Lead to these no longer; return whether to any."""
        self.topics -= set(topics)
        self._paired = [one for one in self._paired if one in self.topics]
        self._arrange()
        if not self.topics:
            self._arrivals.forget()
        return bool(self.topics)

    def _arrange(self) -> None:
        self._by_key = {}
        self._wide = [one for one in self.topics if one.symbol is None]
        for one in self.topics:
            key = (one.symbol, one.timeframe) if one.kind == "ohlcv" else one.symbol
            if key is not None:
                self._by_key.setdefault(key, []).append(one)

    def _take_tickers(self, received: Received, value: Any, frame: Any, at: float) -> None:
        for entry in (value,) if type(value) is dict and "symbol" in value else entries(value):
            for topic in self._by_key.get(entry["symbol"], ()):
                received(topic, entry, frame, at)
            for topic in self._wide:
                received(topic, entry, frame, at)

    def _take_rows(self, received: Received, value: Any, frame: Any, at: float) -> None:
        if type(value) is dict:  # {symbol: {timeframe: rows}}
            for symbol, frames in value.items():
                for timeframe, rows in frames.items():
                    _hand(received, self._by_key.get((symbol, timeframe), ()), self._arrivals.take(rows), frame, at)
        elif type(value) in (list, tuple) and len(value) == 3 and isinstance(value[0], str):
            _hand(received, self._by_key.get((value[0], value[1]), ()), self._arrivals.take(value[2]), frame, at)
        else:
            _hand(received, self._paired, self._arrivals.take(value), frame, at)

    def _take_trades(self, received: Received, value: Any, frame: Any, at: float) -> None:
        new = self._arrivals.take(value)
        if new:
            _hand(received, self._by_key.get(new[0].get("symbol"), self._paired), new, frame, at)

    def _take_book(self, received: Received, value: Any, frame: Any, at: float) -> None:
        for topic in self._by_key.get(value.get("symbol"), self._paired):
            received(topic, value, frame, at)

    def _take_balance(self, received: Received, value: Any, frame: Any, at: float) -> None:
        for topic in self._wide:
            received(topic, value, frame, at)

    def _take_orders(self, received: Received, value: Any, frame: Any, at: float) -> None:
        new = self._arrivals.take([value] if isinstance(value, dict) else value)
        if not new:
            return
        _hand(received, self._wide, new, frame, at)
        for symbol, topics in self._by_key.items():
            _hand(received, topics, [one for one in new if one.get("symbol") == symbol], frame, at)


def _hand(received: Received, topics: Iterable[Topic], value: list[Any], frame: Any, at: float) -> None:
    if value:
        for topic in topics:
            received(topic, value, frame, at)


class Routing:
    """
    The hashes of one line.

    Attributes
    ----------
    routes : dict
        By hash, whose it is.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self._hashes: dict[Topic, set[str]] = {}

    def add(self, asking: Asking, hashes: Sequence[str], wanted: Collection[Topic]) -> None:
        """Lead hashes to the topics of a call that are ``wanted``."""
        topics = [topic for topic in asking.topics if topic in wanted]
        if not topics:
            return
        for place, hashed in enumerate(hashes):
            route = self.routes.get(hashed)
            if route is None:
                route = self.routes[hashed] = Route(topics[0].kind)
            route.asking = asking
            whose = [topic for topic in _paired(asking.topics, hashes, place) or topics if topic in wanted]
            route.add(whose, whose if len(whose) == 1 else ())
            for topic in whose:
                self._hashes.setdefault(topic, set()).add(hashed)

    def drop(self, hashes: Sequence[str], topics: Sequence[Topic]) -> None:
        """Lead hashes to these topics no longer."""
        for hashed in hashes:
            route = self.routes.get(hashed)
            if route is not None and not route.drop(topics):
                del self.routes[hashed]
        for topic in topics:
            known = self._hashes.get(topic)
            if known is not None:
                known.difference_update(hashes)
                if not known:
                    del self._hashes[topic]

    def forget(self, topic: Topic) -> None:
        """Lead nothing to a topic any more."""
        self.drop(tuple(self._hashes.get(topic, ())), (topic,))

    def clear(self) -> None:
        """Forget everything."""
        self.routes.clear()
        self._hashes.clear()


def _paired(topics: Sequence[Topic], hashes: Sequence[str], place: int) -> tuple[Topic, ...]:
    """Return the topic that a hash stands for: the one in its place, unless another's symbol is in it; or none."""
    if len(topics) != len(hashes):
        return ()
    mine, hashed = topics[place], hashes[place]
    if mine.symbol not in (None, "") and str(mine.symbol) not in str(hashed):
        others = [one for one in topics if one.symbol and one.symbol in str(hashed)]
        if others:
            return ()
    return (mine,)
