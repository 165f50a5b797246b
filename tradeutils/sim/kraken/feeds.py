"""
Kraken's websockets, version 2, as ccxt's own class speaks to them: public and private channels at one path.

A connection is greeted with the venue's status and, while nothing else is told, hears a heartbeat every second. Each
symbol of a request is answered by itself. Private channels want a token that REST issues.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from tradeutils.sim.bars import TradeColumns
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import Close, FeedSession, Frame
from tradeutils.sim.feeds.dialing import Dialing
from tradeutils.sim.feeds.events import (
    BookEvent,
    Event,
    KlineEvent,
    TickerEvent,
    Topic,
    TradesEvent,
)
from tradeutils.sim.feeds.keys import ListenKeys
from tradeutils.sim.instruments import salt
from tradeutils.sim.kraken.feeds_channels import Followed, RefusedError, flag, of_parameters, printable
from tradeutils.sim.kraken.feeds_private import Balances, Executions
from tradeutils.sim.kraken.feeds_rows import (
    book_message,
    candle_message,
    message,
    moment,
    ticker_message,
    trade_message,
)
from tradeutils.sim.kraken.names import SOCKETS

__all__ = ["KrakenFeeds", "KrakenSession"]

_PATHS: Final = ("/v2", "/v2/")
_MAX_BYTES: Final = 1 << 16  # of a request
_CONNECTIONS: Final = 150  # of an address in ten minutes
_CONNECTIONS_S: Final = 600.0
_IDLE_S: Final = 60  # without a subscription and without a word of the client
_CANDLES: Final = 10  # that the channel begins with
_TRADES: Final = 50
_PUBLIC: Final = ("ticker", "trade", "book", "ohlc")
_PRIVATE: Final = ("executions", "balances")


class KrakenFeeds:
    """
    Who connects to Kraken's websockets.

    Parameters
    ----------
    venue : Venue
        The market, the clock and the accounts.
    keys : ListenKeys
        The tokens of private channels.

    Notes
    -----
    Both of the venue's hosts, with public and with private channels, are at one path here, and each connection may
    follow either. Not spoken: version 1, orders by websocket, single orders of books (``level3``), ``instrument``.
    """

    def __init__(self, venue: Venue, keys: ListenKeys) -> None:
        self.venue, self.keys = venue, keys
        self.markets = {one.symbol: one for one in venue.market.traded("spot").values()}
        self._dialing = Dialing(venue.gate, _CONNECTIONS, _CONNECTIONS_S)
        self._made = 0

    def connect(self, call: Call) -> FeedSession | Reply:
        """Return the session of a connection, or how it is refused."""
        if call.path not in _PATHS:
            return Reply(404, b"", content_type="text/plain")
        if not self._dialing.admits(call.remote):
            return Reply(429, b"error code: 1015", content_type="text/plain", route=call.path, limited=True)
        self._made += 1
        return KrakenSession(self, salt("connection", self._made))


class KrakenSession:
    """
    A connection.

    Parameters
    ----------
    feeds : KrakenFeeds
        What all connections share.
    number : int
        What the venue calls it.
    """

    def __init__(self, feeds: KrakenFeeds, number: int) -> None:
        self._feeds, self._number = feeds, number
        self._market, self._clock = feeds.venue.market, feeds.venue.clock
        self._followed: dict[tuple[str, str], Followed] = {}
        self._by_topic: dict[Topic, list[Followed]] = {}
        self._private: dict[Topic, Executions | Balances] = {}
        self._token = ""
        self._told = False  # anything of a channel, since the last tick
        self._idle = 0

    @property
    def topics(self) -> Collection[Topic]:
        """What it is told now."""
        return [*self._by_topic, *self._private]

    def greet(self) -> Sequence[Frame]:
        """Return that all is well."""
        row = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": self._number}
        return [message("status", "update", [row])]

    def receive(self, frame: str, now: int) -> Sequence[Frame]:
        """Answer a request; whatever is wrong with it is answered as Kraken does."""
        self._idle = 0
        request = _read(frame)
        if request is None:
            return [self._answer({}, now, error="Malformed request")]
        if request["method"] == "ping":
            told = {"method": "pong", **_request_id(request), "time_in": moment(now), "time_out": moment(now)}
            return [orjson.dumps(told).decode()]
        parameters = request.get("params")
        act = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}.get(request["method"])
        if act is None or not isinstance(parameters, dict):
            return [self._answer(request, now, error="Malformed request" if act else "Event(s) not found")]
        channel = parameters.get("channel")
        if channel in _PRIVATE:
            return self._each(act, request, parameters, [None], now)
        if channel not in _PUBLIC:
            return [self._answer(request, now, error="Subscription name invalid")]
        symbols = parameters.get("symbol")
        if not isinstance(symbols, list) or not symbols or not all(isinstance(one, str) for one in symbols):
            return [self._answer(request, now, error="Pair field must be an array")]
        return self._each(act, request, parameters, symbols, now)

    def _each(
        self,
        act: Callable[[Mapping[str, Any], str | None], tuple[dict[str, Any], list[str]]],
        request: Mapping[str, Any],
        parameters: Mapping[str, Any],
        symbols: Sequence[str | None],
        now: int,
    ) -> list[Frame]:
        """Do what is asked for each symbol; ``None`` where the channel has none."""
        told: list[Frame] = []
        for symbol in symbols:
            try:
                result, first = act(parameters, symbol)
            except RefusedError as refused:
                told.append(self._answer(request, now, error=str(refused), symbol=symbol))
            else:
                told += [self._answer(request, now, result=result), *first]
        return told

    def _answer(
        self,
        request: Mapping[str, Any],
        now: int,
        *,
        error: str | None = None,
        symbol: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> str:
        about = {} if symbol is None else {"symbol": printable(symbol)}
        told = {"result": result, "success": True} if error is None else {"success": False, "error": error, **about}
        named = {"method": printable(request["method"])} if request else {}
        return orjson.dumps(
            {**named, **told, "time_in": moment(now), "time_out": moment(now), **_request_id(request)}
        ).decode()

    def render(self, event: Event) -> Sequence[Frame]:
        """Return the messages of the channels that an event is a matter of."""
        private = self._private.get(event.topic)
        told = [] if private is None else private.write(event)
        for one in self._by_topic.get(event.topic, ()):
            text = self._write(event, one)
            one.known = True
            if text is not None:
                told.append(text)
        self._told = self._told or bool(told)
        return told

    def _write(self, event: Event, one: Followed) -> str | None:
        """Return the message of a public channel, made once for all connections; ``None`` where it tells nothing."""
        first = not one.known
        if isinstance(event, TradesEvent):
            return self._write_trades(event, one)
        if first and not one.begins:
            return None
        if isinstance(event, TickerEvent):
            moved = _moves(event, one)
            if not moved and not first:
                return None
        key = one.channel, first
        if key not in event.rendered:
            event.rendered[key] = _made(event, one, first=first)
        text: str | None = event.rendered[key]
        return text

    def _write_trades(self, event: TradesEvent, one: Followed) -> str | None:
        trades = event.trades
        if one.last:  # told already with what the channel began with
            trades = trades[trades.id > one.last[0]]
            one.last = ()
        if not len(trades):
            return None
        if len(trades) < len(event.trades):
            return trade_message(trades, one.instrument, first=False)
        if one.channel not in event.rendered:
            event.rendered[one.channel] = trade_message(trades, one.instrument, first=False)
        text: str = event.rendered[one.channel]
        return text

    def tick(self, now: int) -> Sequence[Frame]:
        """Return a heartbeat where nothing else was told; close a connection that is of no use to anyone."""
        told, self._told = self._told, False
        if self._by_topic or self._private:
            return [] if told else ['{"channel":"heartbeat"}']
        self._idle += 1
        return [Close(1000, "Inactivity")] if self._idle >= _IDLE_S else []

    def _subscribe(self, parameters: Mapping[str, Any], symbol: str | None) -> tuple[dict[str, Any], list[str]]:
        if symbol is None:
            return self._subscribe_private(parameters)
        one = of_parameters(parameters, symbol, self._feeds.markets)
        known = self._followed.get((one.channel, symbol))
        if known is not None:
            other = one.channel == "ohlc" and known.topic != one.topic
            raise RefusedError(
                "Already subscribed to one ohlc interval on this symbol" if other else "Already subscribed"
            )
        self._followed[one.channel, symbol] = one
        self._by_topic.setdefault(one.topic, []).append(one)
        return one.result, self._begin(one)

    def _begin(self, one: Followed) -> list[str]:
        """Return what a channel begins with that no event tells: the last trades, the last candles."""
        now, market = self._clock.now(), one.instrument.id
        if one.channel == "trade" and one.result["snapshot"]:
            trades: TradeColumns = self._market.trades(market, now, limit=_TRADES)
            one.last = (int(trades.id[-1]),) if len(trades) else ()
            return [trade_message(trades, one.instrument, first=True)]
        if one.channel == "ohlc" and one.begins:
            klines = self._market.klines(market, one.topic.frame, now, limit=_CANDLES)
            one.known = True
            return [candle_message(klines, one.instrument, one.result["interval"], now, first=True)]
        return []

    def _unsubscribe(self, parameters: Mapping[str, Any], symbol: str | None) -> tuple[dict[str, Any], list[str]]:
        if symbol is None:
            topic = self._private_topic(parameters)
            if self._private.pop(topic, None) is None:
                raise RefusedError("Subscription Not Found")
            return {"channel": parameters["channel"]}, []
        asked = of_parameters(parameters, symbol, self._feeds.markets)
        one = self._followed.get((asked.channel, symbol))
        if one is None or one.topic != asked.topic:
            raise RefusedError("Subscription Not Found")
        del self._followed[asked.channel, symbol]
        self._by_topic[one.topic].remove(one)
        if not self._by_topic[one.topic]:
            del self._by_topic[one.topic]
        return {name: value for name, value in one.result.items() if name != "snapshot"}, []

    def _private_topic(self, parameters: Mapping[str, Any]) -> Topic:
        """Return what a private channel is made of; refuse who has no token that is valid."""
        token, feeds = parameters.get("token"), self._feeds
        if not isinstance(token, str):
            raise RefusedError("ESession:Invalid session")
        account = feeds.keys.account(token, self._clock.now(), kind=SOCKETS)
        if account is None and token == self._token:  # it lives as long as the connection that it was used on
            account = next((topic.account for topic in self._private), None)
        if account is None or feeds.venue.ledger.account(account) is None:
            raise RefusedError("ESession:Invalid session")
        self._token = token
        kind: Any = "orders" if parameters["channel"] == "executions" else "balances"
        return Topic(kind, account=account, trades="spot")

    def _subscribe_private(self, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        topic, channel, venue = self._private_topic(parameters), parameters["channel"], self._feeds.venue
        account = venue.ledger.account(topic.account)
        if account is None or topic in self._private:
            raise RefusedError("Already subscribed")
        if channel == "balances":
            begins = flag(parameters, "snapshot", default=True)
            balances = self._private[topic] = Balances(venue, account)
            first = balances.begin(told=begins)
            return {"channel": channel, "snapshot": begins}, [] if first is None else [first]
        trades, orders = flag(parameters, "snap_trades", default=False), flag(parameters, "snap_orders", default=True)
        every = flag(parameters, "order_status", default=True)
        executions = self._private[topic] = Executions(venue, account, trades=trades, orders=orders, every=every)
        # Also without anything to begin with the channel begins, with an empty list.
        return {"channel": channel, "snapshot": trades or orders}, [executions.begin()] if trades or orders else []


def _made(event: Event, one: Followed, *, first: bool) -> str | None:
    if isinstance(event, TickerEvent):
        return ticker_message(event, one.instrument, first=first)
    if isinstance(event, BookEvent):
        return book_message(event, one.instrument, first=first)
    if isinstance(event, KlineEvent) and event.klines.trades[0]:
        return candle_message(event.klines, one.instrument, one.result["interval"], event.now, first=first)
    return None


def _moves(event: TickerEvent, one: Followed) -> bool:
    """Tell whether what a ticker is told for has changed: the last trade, or the best bid and ask."""
    seen: tuple[Any, ...] = (event.day.last_id,)
    if one.result["event_trigger"] == "bbo":
        seen = (event.bids.tobytes(), event.asks.tobytes())
    moved, one.last = seen != one.last, seen
    return moved


def _read(frame: str) -> dict[str, Any] | None:
    """Return a request, ``None`` where it is none."""
    if len(frame) > _MAX_BYTES:
        return None
    try:
        parsed = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) and isinstance(parsed.get("method"), str) else None


def _request_id(request: Mapping[str, Any]) -> dict[str, int]:
    number = request.get("req_id")
    return {"req_id": number} if isinstance(number, int) and not isinstance(number, bool) else {}
