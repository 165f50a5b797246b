"""Connections to Bybit's public and private channels: what they subscribe to, and how they are told."""

from __future__ import annotations

import abc
import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from tradeutils.sim.bybit.account import AccountData
from tradeutils.sim.bybit.errors import BybitError
from tradeutils.sim.bybit.feeds_rows import Updates, book_message, kline_message, ticker_row, trade_messages
from tradeutils.sim.bybit.feeds_topics import Channel, private_channel, public_channel
from tradeutils.sim.bybit.market_data import MarketData
from tradeutils.sim.bybit.rows import describe_fill, describe_order
from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.dialect import Frame
from tradeutils.sim.feeds.events import (
    BalanceEvent,
    BookEvent,
    Event,
    KlineEvent,
    OrderEvent,
    TickerEvent,
    Topic,
    TradesEvent,
)
from tradeutils.sim.instruments import Instrument

__all__ = ["PrivateSession", "PublicSession", "Session"]

_SPOT_ARGUMENTS: Final = 10  # topics in a request of spot
_FAST: Final = (
    "category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId", "side", "execTime",
    "seq",
)  # fmt: skip
_NOTHING: Final[Sequence[Frame]] = ()


class _RefusedError(Exception):
    """A request that the venue says no to; what it says."""


class Session(abc.ABC):
    """
    A connection.

    Parameters
    ----------
    venue : Venue
        Where the markets and the accounts are.
    name : str
        What the venue calls this connection in its answers.
    """

    def __init__(self, venue: Venue, name: str) -> None:
        self._venue, self._name = venue, name
        self._channels: dict[str, Channel] = {}
        self._followers: dict[Topic, dict[str, Channel]] = {}

    def greet(self) -> Sequence[Frame]:
        """Return nothing: the venue is silent until it is asked."""
        return _NOTHING

    @property
    def topics(self) -> Collection[Topic]:
        """What it listens to."""
        return self._followers.keys()

    def tick(self, now: int) -> Sequence[Frame]:
        """Return nothing: it is the client who sends heartbeats."""
        return _NOTHING

    def receive(self, frame: str, now: int) -> Sequence[Frame]:
        """Answer a request, as JSON; whatever is wrong with it is answered as Bybit does."""
        try:
            request: Any = orjson.loads(frame)
        except orjson.JSONDecodeError:
            found = frame[:32]
            message = f"Failed to decode incoming data:readObjectStart: expect {{ or n, but found {found[:1]}"
            return [self._reply({}, "", f"{message}, error found in #1 byte of ...|{found}|...", success=False)]
        if not isinstance(request, dict):
            message = "Failed to decode incoming data:readObjectStart: expect { or n, but found " + frame.strip()[:1]
            return [self._reply({}, "", message, success=False)]
        operation = request.get("op")
        arguments = request.get("args")
        names = arguments if isinstance(arguments, list) else []
        try:
            if operation == "ping":
                return [self._pong(request, now)]
            if operation == "subscribe":
                self._subscribe(names)
                return [self._reply(request, "subscribe", self._agreed())]
            if operation == "unsubscribe":
                self._unsubscribe(names)
                return [self._reply(request, "unsubscribe", "")]
            return [self._operate(request, operation, names, now)]
        except _RefusedError as refused:
            return [self._reply(request, str(operation)[:32], str(refused), success=False)]

    def _reply(self, request: Mapping[str, Any], operation: str, message: str, *, success: bool = True) -> str:
        number = request.get("req_id", "")
        told = {"success": success, "ret_msg": message, "conn_id": self._name, "req_id": str(number)[:64]}
        return orjson.dumps({**told, "op": operation}).decode()

    def _agreed(self) -> str:
        """Return the words with which a subscription is taken."""
        return ""

    def _operate(self, request: Mapping[str, Any], operation: Any, arguments: list[Any], now: int) -> str:
        """Answer what only some connections understand."""
        raise _RefusedError("error:invalid op")

    @abc.abstractmethod
    def _pong(self, request: Mapping[str, Any], now: int) -> str:
        """Answer a ping."""

    @abc.abstractmethod
    def _find(self, name: str) -> Channel:
        """Return a channel by its name, or raise `_RefusedError`."""

    def _subscribe(self, names: list[Any]) -> None:
        """Listen to channels; to all that are named or, where one cannot be, to none."""
        wanted = [self._find(str(name)[:128]) for name in names]
        if not wanted:
            raise _RefusedError("error:request args is empty")
        for channel in wanted:
            if channel.name in self._channels:
                raise _RefusedError(f"error:already subscribed,topic:{channel.name}")
        for channel in wanted:
            self._channels[channel.name] = channel
            self._followers.setdefault(channel.topic, {})[channel.name] = channel

    def _unsubscribe(self, names: list[Any]) -> None:
        """Listen to channels no longer; those that it did not listen to do no harm."""
        for name in names:
            channel = self._channels.pop(str(name)[:128], None)
            if channel is not None:
                followers = self._followers[channel.topic]
                del followers[channel.name]
                if not followers:
                    del self._followers[channel.topic]

    def render(self, event: Event) -> Sequence[Frame]:
        """Return what the channels of an event's topic tell of it."""
        channels = list(self._followers.get(event.topic, {}).values())
        return [frame for channel in channels for frame in self._tell(channel, event)]

    @abc.abstractmethod
    def _tell(self, channel: Channel, event: Event) -> Iterable[Frame]:
        """Return the messages of a channel about an event."""


class PublicSession(Session):
    """
    A connection to the public channels of a category.

    Parameters
    ----------
    venue, name :
        As of `Session`.
    category : str
        ``"spot"``, ``"linear"``, or one in which nothing is traded here.
    traded : mapping of str to Instrument
        The markets of the category by Bybit's names.
    market_data : MarketData
        That of the REST interface.
    updates : Updates
        The numbers of the updates of books, which all connections share.
    """

    def __init__(
        self,
        venue: Venue,
        name: str,
        *,
        category: str,
        traded: Mapping[str, Instrument],
        market_data: MarketData,
        updates: Updates,
    ) -> None:
        super().__init__(venue, name)
        self._category, self._traded, self._data, self._updates = category, traded, market_data, updates
        self._tickers: dict[str, dict[str, str]] = {}  # as they were told last

    def _pong(self, request: Mapping[str, Any], now: int) -> str:
        return self._reply(request, "ping", "pong")

    def _agreed(self) -> str:
        return "subscribe" if self._category == "spot" else ""

    def _subscribe(self, names: list[Any]) -> None:
        if self._category == "spot":
            if len(names) > _SPOT_ARGUMENTS:
                raise _RefusedError("args size >10")
            known = [str(name)[:128] for name in names if _is_known(str(name))]
            unknown = [name for name in known if public_channel(name, self._traded) is None]
            if unknown:
                raise _RefusedError(f"Invalid symbol :[{','.join(unknown)}]")
        super()._subscribe(names)

    def _unsubscribe(self, names: list[Any]) -> None:
        super()._unsubscribe(names)
        for name in names:
            self._tickers.pop(str(name)[:128], None)

    def _find(self, name: str) -> Channel:
        found = public_channel(name, self._traded)
        if found is None:
            raise _RefusedError(f"error:handler not found,topic:{name}")
        return found

    def _tell(self, channel: Channel, event: Event) -> Iterable[Frame]:
        instrument = self._venue.market.instruments[event.topic.market]
        if isinstance(event, TickerEvent):
            return self._ticker(channel, event, instrument)
        known: list[str] | None = event.rendered.get(channel.shape)
        if known is None:
            messages = self._messages(event, instrument)
            known = event.rendered[channel.shape] = [orjson.dumps(message).decode() for message in messages]
        return known

    def _messages(self, event: Event, instrument: Instrument) -> list[dict[str, Any]]:
        if isinstance(event, KlineEvent):
            return [kline_message(event, instrument)]
        if isinstance(event, BookEvent):
            return [book_message(event, instrument, self._updates.number(event))]
        return trade_messages(event, instrument) if isinstance(event, TradesEvent) else []

    def _ticker(self, channel: Channel, event: TickerEvent, instrument: Instrument) -> Iterable[Frame]:
        """Yield a ticker: whole at first and always of spot, of swaps what changed since it was told last."""
        row: dict[str, str] | None = event.rendered.get(channel.shape)
        if row is None:
            row = event.rendered[channel.shape] = ticker_row(event, instrument, self._data)
        told, self._tickers[channel.name] = self._tickers.get(channel.name), row
        message = {"topic": channel.name, "type": "snapshot", "ts": event.now, "cs": event.day.last_id, "data": row}
        if told is not None and self._category != "spot":
            changed = {name: value for name, value in row.items() if told.get(name) != value}
            if not changed:
                return
            message |= {"type": "delta", "data": {"symbol": row["symbol"], **changed}}
        yield orjson.dumps(message).decode()


class PrivateSession(Session):
    """
    A connection to the channels of an account, which says first whose it is.

    Parameters
    ----------
    venue, name :
        As of `Session`.
    account_data : AccountData
        That of the REST interface.
    """

    def __init__(self, venue: Venue, name: str, account_data: AccountData) -> None:
        super().__init__(venue, name)
        self._data = account_data
        self._account: str | None = None

    def _pong(self, request: Mapping[str, Any], now: int) -> str:
        number = str(request.get("req_id", ""))[:64]
        return orjson.dumps({"req_id": number, "op": "pong", "args": [str(now)], "conn_id": self._name}).decode()

    def _operate(self, request: Mapping[str, Any], operation: Any, arguments: list[Any], now: int) -> str:
        if operation != "auth":
            raise _RefusedError("error:invalid op")
        try:
            account = self._admit([str(one)[:256] for one in arguments[:4]], now)
        except BybitError as error:
            raise _RefusedError(error.message) from error
        if self._account is not None:
            raise _RefusedError("error:already authenticated")
        self._account = account
        return self._reply(request, "auth", "")

    def _admit(self, arguments: list[str], now: int) -> str:
        """Return the key of whose connection it is, or raise `BybitError`."""
        if len(arguments) != 3 or not (arguments[1].isascii() and arguments[1].isdecimal()):
            raise BybitError(10001, "Params Error")
        key, expires, signature = arguments
        account = self._venue.ledger.account(key)
        if account is None:
            raise BybitError(10003)
        # The client promises a moment ahead; one that a clock set by ours could have made is not over.
        if int(expires) <= now and self._venue.clock.freshness(int(expires), 0) == "old":
            raise BybitError(10001, "Params Error")
        made = hmac.new(account.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made.encode(), signature.lower().encode("utf-8", "replace")):
            raise BybitError(10004)
        return account.key

    def _find(self, name: str) -> Channel:
        if self._account is None:
            raise _RefusedError("Request not authorized")
        found = private_channel(name, self._account)
        if found is None:
            raise _RefusedError(f"error:handler not found,topic:{name}")
        return found

    def _tell(self, channel: Channel, event: Event) -> Iterable[Frame]:
        row = None
        if isinstance(event, OrderEvent):
            row = self._order(event) if channel.shape == "order" else self._execution(channel, event)
        elif isinstance(event, BalanceEvent):
            row = self._wallet(event)
        if row is None:
            return
        number = f"{self._name}:{event.now}"
        told = {"id": number, "topic": channel.name, "creationTime": event.now, "data": [row]}
        if channel.shape == "execution.fast":
            del told["id"]
        yield orjson.dumps(told).decode()

    def _order(self, event: OrderEvent) -> dict[str, Any]:
        instrument = self._venue.ledger.instrument(event.order.request.market)
        return {"category": instrument.kind, **describe_order(event.order, instrument)}

    def _execution(self, channel: Channel, event: OrderEvent) -> dict[str, Any] | None:
        fill, order = event.fill, event.order
        account = None if self._account is None else self._venue.ledger.account(self._account)
        if fill is None or account is None:
            return None
        instrument = self._venue.ledger.instrument(order.request.market)
        row = {"category": instrument.kind, **describe_fill(fill, order, instrument, account, order.remaining)}
        if channel.shape == "execution.fast":
            return {name: row[name] for name in _FAST}
        return {**row, "isLeverage": "0" if instrument.kind == "spot" else "", "execPnl": f"{fill.realised:f}"}

    def _wallet(self, event: BalanceEvent) -> dict[str, Any] | None:
        account = None if self._account is None else self._venue.ledger.account(self._account)
        return None if account is None else self._data.described(account, event.holdings, event.now)


def _is_known(name: str) -> bool:
    """Tell whether there is a channel of such a form, whatever the market."""
    return name.partition(".")[0] in ("publicTrade", "tickers", "kline", "orderbook")
