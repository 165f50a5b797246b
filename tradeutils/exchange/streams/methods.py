"""Which of ccxt's methods asks for which topics, and which tells the venue that they are no longer wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tradeutils.exchange.streams.limits import LineLimits
from tradeutils.exchange.streams.topics import Kind, Topic

__all__ = ["Method", "batches", "feature_of", "leaving"]

# By kind: ccxt's names of the feature for one market, for several, and for leaving either.
_FEATURES: Final[dict[Kind, tuple[str, str, str, str]]] = {
    "ticker": ("watchTicker", "watchTickers", "unWatchTicker", "unWatchTickers"),
    "tickers": ("watchTickers", "", "unWatchTickers", ""),
    "ohlcv": ("watchOHLCV", "watchOHLCVForSymbols", "unWatchOHLCV", "unWatchOHLCVForSymbols"),
    "trades": ("watchTrades", "watchTradesForSymbols", "unWatchTrades", "unWatchTradesForSymbols"),
    "book": ("watchOrderBook", "watchOrderBookForSymbols", "unWatchOrderBook", "unWatchOrderBookForSymbols"),
    "balance": ("watchBalance", "", "", ""),
    "orders": ("watchOrders", "", "", ""),
}
_NAMES: Final = {
    "watchTicker": "watch_ticker",
    "watchTickers": "watch_tickers",
    "watchOHLCV": "watch_ohlcv",
    "watchOHLCVForSymbols": "watch_ohlcv_for_symbols",
    "watchTrades": "watch_trades",
    "watchTradesForSymbols": "watch_trades_for_symbols",
    "watchOrderBook": "watch_order_book",
    "watchOrderBookForSymbols": "watch_order_book_for_symbols",
    "watchBalance": "watch_balance",
    "watchOrders": "watch_orders",
}


@dataclass(frozen=True, slots=True)
class Method:
    """One call of ccxt's, for some topics."""

    name: str
    topics: tuple[Topic, ...]
    arguments: tuple[Any, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def of(self, opened: Any) -> Callable[[], Awaitable[Any]]:
        """Return the call on an instance."""
        # ccxt's classes write into what they are given, and into their own defaults where they are given nothing.
        return lambda: getattr(opened, self.name)(*self.arguments, dict(self.parameters))


def feature_of(kind: Kind) -> str:
    """Return ccxt's name of what a venue must have for topics of a kind."""
    return _FEATURES[kind][0]


def batches(opened: Any, limits: LineLimits, topics: Sequence[Topic]) -> Iterator[Method]:
    """Yield the calls that ask for topics, as few as the venue takes; all are of a kind that it has."""
    for group in _alike(topics):
        kind = group[0].kind
        one, many = _FEATURES[kind][:2]
        together = bool(many and opened.has.get(many)) and kind in limits.batches
        size = limits.batch if together else 1
        for start in range(0, len(group), size):
            part = tuple(group[start : start + size])
            name = _NAMES[many if together else one]
            yield Method(name, part, _arguments(part, together=together), limits.parameters.get(kind, {}))


def leaving(opened: Any, limits: LineLimits, topics: Collection[Topic]) -> Iterator[Method]:
    """Yield the calls that leave topics, as far as ccxt has any for this venue."""
    for group in _alike(list(topics)):
        kind = group[0].kind
        one, many, leave_one, leave_many = _FEATURES[kind]
        together = bool(many and opened.has.get(many)) and kind in limits.batches
        feature = leave_many if together else leave_one
        if not feature or not opened.has.get(feature):
            continue
        name = f"un_{_NAMES[many if together else one]}"
        size = limits.batch if together else 1
        for start in range(0, len(group), size):
            part = tuple(group[start : start + size])
            yield Method(name, part, _left(part, together=together), _leaving_parameters(limits, part[0]))


def _leaving_parameters(limits: LineLimits, topic: Topic) -> Mapping[str, Any]:
    if topic.kind == "book" and topic.sort in limits.book_depths:
        depth = topic.depth or limits.book_depths[topic.sort]
        return {} if depth is None else {"limit": depth}
    return limits.parameters.get(topic.kind, {})


def _alike(topics: Sequence[Topic]) -> Iterator[list[Topic]]:
    groups: dict[tuple[str, bool, int | None, str], list[Topic]] = {}
    for topic in topics:
        groups.setdefault((topic.kind, topic.symbol is None, topic.depth, topic.sort), []).append(topic)
    return iter(groups.values())


def _arguments(topics: tuple[Topic, ...], *, together: bool) -> tuple[Any, ...]:
    first = topics[0]
    symbols = [topic.symbol for topic in topics]
    match first.kind:
        case "ticker":
            return (symbols,) if together else (first.symbol,)
        case "tickers":
            return (None,)
        case "ohlcv":
            pairs = [[topic.symbol, topic.timeframe] for topic in topics]
            return (pairs, None, None) if together else (first.symbol, first.timeframe, None, None)
        case "trades":
            return (symbols if together else first.symbol, None, None)
        case "book":
            return (symbols if together else first.symbol, first.depth)
        case "balance":
            return ()
        case "orders":
            return (first.symbol, None, None)


def _left(topics: tuple[Topic, ...], *, together: bool) -> tuple[Any, ...]:
    first = topics[0]
    if first.kind == "ohlcv":
        pairs = [[topic.symbol, topic.timeframe] for topic in topics]
        return (pairs,) if together else (first.symbol, first.timeframe)
    return ([topic.symbol for topic in topics],) if together else (first.symbol,)
