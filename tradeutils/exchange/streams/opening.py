"""How what a user asks for becomes topics, and what assembles each."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Final

from tradeutils.errors import NotSupportedByVenue
from tradeutils.exchange.base import Venue
from tradeutils.exchange.ordering.activity import Activity
from tradeutils.exchange.streams.assembling.accounts import BalanceAssembler
from tradeutils.exchange.streams.assembling.base import Assembler
from tradeutils.exchange.streams.assembling.books import BookAssembler
from tradeutils.exchange.streams.assembling.candles import CandleAssembler
from tradeutils.exchange.streams.assembling.from_trades import TradeCandleAssembler
from tradeutils.exchange.streams.assembling.orders import OrderAssembler
from tradeutils.exchange.streams.assembling.tickers import TickerAssembler
from tradeutils.exchange.streams.assembling.trades import TradeAssembler
from tradeutils.exchange.streams.depths import book_depth
from tradeutils.exchange.streams.inbox import Policy
from tradeutils.exchange.streams.publishing import Publisher
from tradeutils.exchange.streams.subscribers import Reading, Tap
from tradeutils.exchange.streams.topics import Kind, Topic
from tradeutils.model import Balance, Order

__all__ = ["Candled", "Opening"]

# Of each kind: ccxt's name of the channel, and what is to be written where a venue has none.
_CHANNELS: Final[dict[Kind, tuple[str, str]]] = {
    "ticker": ("watchTicker", "fetch_ticker"),
    "tickers": ("watchTickers", "watch_tickers(symbols), or fetch_tickers"),
    "ohlcv": ("watchOHLCV", "fetch_ohlcv"),
    "trades": ("watchTrades", "fetch_trades"),
    "book": ("watchOrderBook", "fetch_order_book"),
    "balance": ("watchBalance", "fetch_balance"),
    "orders": ("watchOrders", "fetch_open_orders"),
}

# Their changes of an order name no market, and ccxt's class tells those who watch one market of none of them.
_NAMELESS: Final = frozenset({"kraken"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candled:
    """Which candles are wanted: as `Exchange.watch_ohlcv` says."""

    timeframe: str
    closed_only: bool
    since: int | None


class Opening:
    """
    Opens what the feeds of one exchange are made of.

    Parameters
    ----------
    venue : Venue
        What it streams.
    account : str or None
        The name of the account.
    activity : Activity
        Is told what happens to the account.
    publisher : Publisher or None
        Is given tickers and books.
    info : bool
        Whether values keep what the venue itself sent.
    """

    def __init__(
        self, venue: Venue, account: str | None, activity: Activity, publisher: Publisher | None, *, info: bool
    ) -> None:
        self._venue = venue
        self._account = account
        self._activity = activity
        self._publisher = publisher
        self._info = info

    def streamed(self, topic: Topic, operation: str) -> Topic:
        """
        Return what is subscribed to for a topic: itself, or trades that candles are made of, all of an account, or a
        deeper book.

        Raises
        ------
        UsageError : the venue streams no book so deep.
        NotSupportedByVenue : the venue has no such channel; what to write instead is named.
        """
        channel, instead = _CHANNELS[topic.kind]
        if self._venue.streams(channel):
            if topic.kind == "book" and topic.symbol is not None:
                return replace(topic, depth=book_depth(self._venue.name, topic.symbol, topic.depth).asked)
            return Topic("orders") if topic.kind == "orders" and self._venue.name in _NAMELESS else topic
        if topic.kind == "ohlcv" and self._venue.streams("watchTrades"):
            return Topic("trades", topic.symbol)
        others = self._venue.streaming(channel)
        raise NotSupportedByVenue(
            f"does not stream this; use {instead} every few seconds"
            + (f" (among those that stream it are {', '.join(others)})" if others else ""),
            alternatives=others,
            venue=self._venue.name,
            operation=operation,
            symbol=topic.symbol,
        )

    def reading(
        self, topic: Topic, wanted: Topic, candled: Candled | None, policy: Policy, max_age: float
    ) -> tuple[Hashable, Callable[[], Reading]]:
        """Return what tells one reading of what is ``streamed`` from another, and what opens it."""
        if candled is None:
            # A consumer that wants all books wants each as it was; others the one that is, when they take it.
            each, audit = policy == "all", round(max_age * 1000)
            # Who joins is told what an account holds, and its open orders, though others were told already.
            key = object() if topic.is_private else (each, wanted.depth) if topic.kind == "book" else None
            return ("values", key), lambda: Reading(
                self._assembler(topic, wanted, each, audit), self._tap(wanted), depth=wanted.depth
            )
        # Who begins in the past is told what nobody else is.
        alone = object() if candled.since is not None else None
        return ("candles", candled.timeframe, candled.closed_only, alone), lambda: Reading(
            self._candles(topic, candled)
        )

    def _candles(self, topic: Topic, candled: Candled) -> Assembler[Any]:
        make = CandleAssembler if topic.kind == "ohlcv" else TradeCandleAssembler
        return make(
            self._venue.name,
            topic.symbol or "",
            candled.timeframe,
            closed_only=candled.closed_only,
            since=candled.since,
        )

    def _assembler(self, topic: Topic, wanted: Topic, each: bool, audit: int) -> Assembler[Any]:
        match topic.kind:
            case "trades":
                return TradeAssembler(topic.symbol or "", info=self._info)
            case "book":
                symbol = topic.symbol or ""
                kept = book_depth(self._venue.name, symbol, wanted.depth).kept
                return BookAssembler(symbol, depth=kept, each=each, info=self._info)
            case "balance":
                return BalanceAssembler(self._venue.name, audit=audit)
            case "orders":
                return OrderAssembler(wanted.symbol, info=self._info, audit=audit)
            case _:
                return TickerAssembler(info=self._info)

    def _tap(self, topic: Topic) -> Tap | None:
        """Return who else is given what comes."""
        if topic.kind == "orders":
            return self._saw_order
        if topic.kind == "balance":
            return self._saw_balance
        if self._publisher is None:
            return None
        if topic.kind in ("ticker", "tickers"):
            return self._publisher.ticker
        if topic.kind != "book" or topic.symbol is None:
            return None
        # Who asks REST is not to be given less than REST has.
        limit, is_full = topic.depth, book_depth(self._venue.name, topic.symbol, topic.depth).is_full
        if not is_full and limit is None:
            return None
        return self._publisher.book(topic.symbol, limit, fewest=0 if is_full else limit or 0)

    def _saw_order(self, item: Order, _: Assembler[Any]) -> None:
        self._activity.saw(item)

    def _saw_balance(self, _item: Balance, _: Assembler[Any]) -> None:
        with self._activity.changing():
            pass
