"""What an exchange sends by itself: streams of tickers, candles, trades, books, balances and orders."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from tradeutils.cache import Cache
from tradeutils.errors import Closed
from tradeutils.exchange.account_data import AccountData
from tradeutils.exchange.base import Venue
from tradeutils.exchange.checks import bounds, check_choice, check_limit
from tradeutils.exchange.ordering.activity import Activity
from tradeutils.exchange.requests.retry import Patience
from tradeutils.exchange.streams.candle_stream import CandleStream
from tradeutils.exchange.streams.feeds import Feeds
from tradeutils.exchange.streams.inbox import Inbox, Policy, open_inbox
from tradeutils.exchange.streams.opening import Candled, Opening
from tradeutils.exchange.streams.publishing import Publisher
from tradeutils.exchange.streams.stream import Joined, Stream
from tradeutils.exchange.streams.subscribers import Fallback, Subscriber
from tradeutils.exchange.streams.terms import check_age, check_symbol, check_symbols, name_of
from tradeutils.exchange.streams.topics import Topic
from tradeutils.exchange.trading import Trading
from tradeutils.model import Balance, Order, OrderBook, Ticker, Trade
from tradeutils.settings import Account
from tradeutils.timeframe import Instant

__all__ = ["Watching"]

_FALLBACKS: Final = ("event", "rest")
_QUIET_S: Final = 120.0  # many markets are not traded for minutes


class _Fresh(AccountData):
    """The same exchange, without a cache: what was missed is not to be found in what was known before."""

    def __init__(
        self, venue: Venue, account: Account | None, patience: Patience, grace: int, activity: Activity
    ) -> None:
        super().__init__(venue, None, account, patience)
        self._grace = grace
        self._activity = activity


class Watching(Trading):
    """
    The part of an `Exchange` that streams; see `Trading`.

    Parameters
    ----------
    venue, cache, account, patience
        As for `Trading`.
    publish_for : float or None
        Seconds for which tickers and books that arrive serve whoever shares the cache; ``None``: they are not put
        there.
    info : bool
        Whether values keep what the venue itself sent.
    """

    def __init__(
        self,
        venue: Venue,
        cache: Cache | None,
        account: Account | None,
        patience: Patience,
        *,
        publish_for: float | None = None,
        info: bool = False,
    ) -> None:
        super().__init__(venue, cache, account, patience)
        self._info = info
        self._publisher: Publisher | None = None
        if cache is not None and publish_for is not None:
            self._publisher = Publisher(cache, venue.origin, publish_for)
        self._feeds: Feeds | None = None
        self._fresh: _Fresh | None = None
        self._streams_ended = False

    def watch_ticker(
        self,
        symbol: str,
        *,
        fallback: Fallback = "event",
        max_age: float = 30.0,
        policy: Policy = "latest",
        buffer: int = 1000,
    ) -> Stream[Ticker]:
        """
        Stream the last 24 hours of one market, each time the venue sends them.

        Parameters
        ----------
        symbol : str
            ``"BTC/USDT"``.
        fallback : str
            What is yielded once nothing has come for ``max_age`` seconds: ``"event"``, one `Stale`; ``"rest"``, what
            REST has, once a second (where REST fails too: one `Stale`). Either way the subscription is made anew.
        max_age : float
            Seconds, from 0.1.
        policy : str
            What a consumer that is slower than the data is given: ``"latest"``, the newest ticker alone; ``"all"``,
            every one; ``"conflate"``, the newest of each symbol. What is left out is counted in `Stream.dropped`.
        buffer : int
            How many wait at most, from 1; of more the oldest are dropped.

        Returns
        -------
        Stream of Ticker
            Nothing is sent before it is read.

        Raises
        ------
        UsageError : an argument that cannot be; at once.
        BadSymbol : the venue does not list it; when it is first read, as those that follow.
        NotSupportedByVenue : the venue has no such channel.
        Closed : this exchange was closed.

        Notes
        -----
        All who watch the same market share one subscription, which is left with the last of them. Some venues send no
        bid and ask with it. The first stream of an exchange asks for its markets and for the venue's time.

        Examples
        --------
        >>> async for ticker in exchange.watch_ticker("BTC/USDT", fallback="rest"):  # doctest: +SKIP
        ...     print(ticker.last)
        """
        topics = [Topic("ticker", check_symbol(symbol))]
        return self._stream("watch_ticker", topics, policy, buffer, max_age, fallback)

    def watch_tickers(
        self,
        symbols: Iterable[str] | None = None,
        *,
        fallback: Fallback = "event",
        max_age: float = 30.0,
        policy: Policy = "conflate",
        buffer: int = 10_000,
    ) -> Stream[Ticker]:
        """
        Stream the tickers of several markets, one at a time.

        Parameters
        ----------
        symbols : iterable of str, optional
            ``None``: all of the kind that the venue is asked about by default (most: spot), where it has one channel
            of all; binance's comes without bid and ask.
        fallback, max_age, policy, buffer
            As for `watch_ticker`; data stops, and is told, for each market by itself.

        Raises
        ------
        UsageError : no symbol; and as of `watch_ticker`.
        NotSupportedByVenue : the venue has no channel of all markets (bybit, okx, kraken). They are not subscribed to
            one by one: of a thousand markets most are quiet for longer than ``max_age``, and would be called stale.
        """
        wanted = None if symbols is None else check_symbols(symbols)
        topics = [Topic("tickers")] if wanted is None else [Topic("ticker", one) for one in wanted]
        return self._stream("watch_tickers", topics, policy, buffer, max_age, fallback)

    def watch_trades(
        self,
        symbols: str | Iterable[str],
        *,
        fallback: Fallback = "event",
        max_age: float = _QUIET_S,
        policy: Policy = "all",
        buffer: int = 10_000,
    ) -> Stream[Trade]:
        """
        Stream public trades of one market or of several: each once, and of each market in order.

        Parameters
        ----------
        symbols : str or iterable of str
            ``"BTC/USDT"``, or several.
        fallback, max_age, policy, buffer
            As for `watch_ticker`; over REST every 2 s.

        Notes
        -----
        After the connection broke, what was traded meanwhile is asked for over REST and comes first; what REST no
        longer has is told as `Missed`.
        """
        topics = [Topic("trades", one) for one in check_symbols(symbols)]
        return self._stream("watch_trades", topics, policy, buffer, max_age, fallback)

    def watch_ohlcv(
        self,
        symbols: str | Iterable[str],
        timeframe: str = "1m",
        *,
        closed_only: bool = True,
        since: Instant | None = None,
        fallback: Fallback = "event",
        max_age: float = _QUIET_S,
        policy: Policy = "all",
        buffer: int = 10_000,
    ) -> CandleStream:
        """
        Stream candles of one market or of several: each closed bar once, and of each market in order.

        Parameters
        ----------
        symbols : str or iterable of str
            ``"BTC/USDT"``, or several.
        timeframe : str
            ``"1m"``.
        closed_only : bool
            False: the forming bar as well, each time it changes, with ``closed`` False.
        since : int ms or aware datetime, optional
            Begin with the bars that REST has from then on, and go on without a gap. Default: the bar that forms now.
        fallback, max_age, policy, buffer
            As for `watch_ticker`; over REST every 2 s. With ``"all"`` no bar is left out before ``buffer`` wait.

        Returns
        -------
        CandleStream
            Of `Candles` of one symbol, one bar or more; `CandleStream.bars` gathers those of all symbols.

        Raises
        ------
        UnknownName : the venue has no such timeframe; its own are named.
        UsageError, BadSymbol, NotSupportedByVenue : as of `watch_ticker`.

        Notes
        -----
        A bar is yielded when the venue says that it is over; where it does not say, when a later one has come, or REST
        has it. What the connection missed is asked for over REST, in order; what REST no longer has is told as
        `Missed`. Bars that nobody traded are absent, as in `fetch_ohlcv`. On venues that stream trades and no candles
        they are made of trades.

        Examples
        --------
        >>> await history.follow(exchange.watch_ohlcv(symbols, "1m"), exchange=exchange)  # doctest: +SKIP
        >>> async for bars in exchange.watch_ohlcv(symbols, "1m").bars():  # doctest: +SKIP
        ...     values = stream.update(bars)
        """
        frame = self._timeframe(timeframe)
        start = bounds(since, None)[0]
        written = self._venue.timeframes[frame]
        topics = [Topic("ohlcv", one, timeframe=written) for one in check_symbols(symbols)]
        candled = Candled(timeframe=frame.name, closed_only=bool(closed_only), since=start)
        inbox, join = self._begun("watch_ohlcv", topics, policy, buffer, max_age, fallback, candled)
        names = [topic.symbol for topic in topics if topic.symbol is not None]
        return CandleStream(name_of(self.venue, topics), inbox, join, symbols=names, timeframe=frame.name)

    def watch_order_book(
        self,
        symbol: str,
        *,
        limit: int | None = None,
        fallback: Fallback = "event",
        max_age: float = 30.0,
        policy: Policy = "latest",
        buffer: int = 1000,
    ) -> Stream[OrderBook]:
        """
        Stream the order book of one market, kept by the venue's differences.

        Parameters
        ----------
        symbol : str
            ``"BTC/USDT"``.
        limit : int, optional
            Levels of each side, at most. What venues stream in depths of their own is taken at the next deeper one
            and cut. ``None``: as many as the venue sends by default (kraken: 100).
        fallback, max_age, policy, buffer
            As for `watch_ticker`.

        Notes
        -----
        Each is the book as it was when it was taken: making it costs some 10 µs for twenty levels, and is not done for
        those that a slow consumer leaves out. A message that is missing, by the venue's numbers or its checksum, has
        the book fetched anew; until then none is yielded. On binance the book begins with a REST snapshot of 1000
        levels, whatever ``limit`` is: of fewer, those behind levels that are taken would never be told.

        Raises
        ------
        UsageError : the venue streams no book of so many levels; when it is first read. And as of `watch_ticker`.
        """
        topics = [Topic("book", check_symbol(symbol), depth=check_limit(limit))]
        return self._stream("watch_order_book", topics, policy, buffer, max_age, fallback)

    def watch_balance(self, *, max_age: float = 60.0, policy: Policy = "latest", buffer: int = 1000) -> Stream[Balance]:
        """
        Stream what the account holds: all of it at first, and all of it again after each change.

        Parameters
        ----------
        max_age, policy, buffer
            As for `watch_ticker`. Nothing may happen to an account for days: where nothing came for ``max_age``, REST
            is asked, and its answer compared. A `Stale` is yielded while the connection is gone, and when REST does not
            answer within 5 s; either is over once REST has answered on a connection that lives. Kraken tells of
            totals alone: what orders hold back is as REST told last.

        Raises
        ------
        UsageError : this exchange was opened without ``account=``; at once.
        AuthenticationFailed : the venue refused the key; when it is first read.
        """
        self._need_account("watch_balance")
        return self._stream("watch_balance", [Topic("balance")], policy, buffer, max_age, "event")

    def watch_orders(
        self, symbol: str | None = None, *, max_age: float = 60.0, policy: Policy = "all", buffer: int = 10_000
    ) -> Stream[Order]:
        """
        Stream the account's orders, each time one is placed, changes or ends.

        Parameters
        ----------
        symbol : str, optional
            Of one market alone.
        max_age, policy, buffer
            As for `watch_balance`.

        Notes
        -----
        Each is the latest state of an order. What became of one while the connection was gone is asked for over REST:
        the last state of every order comes. Those that are open when it begins are in `fetch_open_orders`; some venues
        (kraken) tell of them first.
        """
        self._need_account("watch_orders")
        topics = [Topic("orders", None if symbol is None else check_symbol(symbol))]
        return self._stream("watch_orders", topics, policy, buffer, max_age, "event")

    def _stream(
        self,
        operation: str,
        topics: Sequence[Topic],
        policy: Policy,
        buffer: int,
        max_age: float,
        fallback: Fallback,
    ) -> Stream[Any]:
        inbox, join = self._begun(operation, topics, policy, buffer, max_age, fallback, None)
        return Stream(name_of(self.venue, topics), inbox, join)

    def _begun(
        self,
        operation: str,
        topics: Sequence[Topic],
        policy: Policy,
        buffer: int,
        max_age: float,
        fallback: Fallback,
        candled: Candled | None,
    ) -> tuple[Inbox, Callable[[Inbox], Awaitable[Joined]]]:
        """Check the rest of what was asked, and return what a stream is made of; it begins when it is read."""
        check_choice("fallback", fallback, _FALLBACKS)
        age = check_age(max_age)
        join = functools.partial(self._join, operation, topics, age, fallback, candled)
        return open_inbox(policy, buffer), join

    async def _join(
        self,
        operation: str,
        topics: Sequence[Topic],
        max_age: float,
        fallback: Fallback,
        candled: Candled | None,
        inbox: Inbox,
    ) -> Joined:
        """Look up what is streamed, and take part in its feeds."""
        opening = Opening(
            self._venue,
            None if self._account is None else self._account.name,
            self._activity,
            self._publisher,
            info=self._info,
        )
        if self._streams_ended:
            raise Closed(f"{self.venue} {operation}: this exchange was closed; open another")
        streamed = [opening.streamed(topic, operation) for topic in topics]
        for topic in topics:
            if topic.symbol is not None:
                await self._market(topic.symbol, operation)
        await self._venue.time()
        if self._streams_ended:
            raise Closed(f"{self.venue} {operation}: this exchange was closed meanwhile; open another")
        # Nothing is waited for from here on: it joins all of them or none.
        if self._feeds is None:
            self._feeds = Feeds(self._venue.lines, self._venue.now, self.venue)
        if self._fresh is None:
            self._fresh = _Fresh(self._venue, self._account, self._patience, self._grace, self._activity)
        subscribers: list[Subscriber] = []
        try:
            for topic, wanted in zip(streamed, topics, strict=True):
                key, make = opening.reading(topic, wanted, candled, inbox.policy, max_age)
                subscribers.append(Subscriber(inbox, self._fresh, max_age, fallback))
                self._feeds.join(topic, subscribers[-1], key, make)
        except BaseException:
            self._feeds.leave(subscribers)
            raise
        reading = subscribers[0].reading
        finish = _unchanged if reading is None or len(topics) > 1 else reading.assembler.finish
        return Joined(subscribers, self._feeds.leave, finish)

    async def _end_streams(self) -> None:
        """End all streams: who waits is raised `Closed`."""
        self._streams_ended = True
        try:
            if self._feeds is not None:
                await self._feeds.aclose(Closed(f"{self.venue}: this exchange was closed meanwhile"))
        finally:
            if self._publisher is not None:
                await self._publisher.aclose()


def _unchanged(item: Any) -> Any:
    return item
