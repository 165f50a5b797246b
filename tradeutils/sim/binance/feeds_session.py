"""A connection to Binance's streams: what it subscribes to, and how it is told."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from tradeutils.sim.binance.feeds_account import LinearUser
from tradeutils.sim.binance.feeds_names import Stream, is_stream_name, read_stream
from tradeutils.sim.binance.feeds_rows import payloads
from tradeutils.sim.binance.listen_keys import LISTEN_KEY
from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.dialect import Close, Frame, Ping
from tradeutils.sim.feeds.events import BalanceEvent, Event, OrderEvent, Topic
from tradeutils.sim.feeds.keys import ListenKeys
from tradeutils.sim.instruments import Instrument, Kind

__all__ = ["MAX_STREAMS", "StreamSession"]

MAX_STREAMS: Final = 1_024
# Messages of a client in a second, and seconds between two pings of the venue.
_MESSAGES: Final[Mapping[Kind, int]] = {"spot": 5, "linear": 10}
_PING_S: Final[Mapping[Kind, int]] = {"spot": 20, "linear": 180}
_METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class _InvalidError(Exception):
    """A request that the venue says no to: ``{"error": {"code": 2, "msg": "Invalid request: invalid stream"}}``."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamSession:
    """
    A connection to the streams of spot or of the futures.

    Parameters
    ----------
    venue : Venue
        Where the markets and the accounts are.
    keys : ListenKeys
        By which streams of accounts are named.
    kind : "spot" or "linear"
        Which markets' streams.
    streams : iterable of str
        Those that the address named; what is none of them is left out.
    combined : bool
        Wrap each payload with the name of its stream.
    clock : callable
        Seconds of real time, by which messages of the client are counted.
    """

    def __init__(
        self,
        venue: Venue,
        keys: ListenKeys,
        kind: Kind,
        *,
        streams: Iterable[str] = (),
        combined: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._venue, self._keys, self._kind, self._clock = venue, keys, kind, clock
        self._traded = venue.market.traded(kind)
        self._instruments: Mapping[str, Instrument] = venue.market.instruments
        self._combined = combined
        self._streams: dict[str, Stream] = {}
        self._followers: dict[Topic, dict[str, Stream]] = {}
        self._waiting: dict[str, dict[str, str]] = {}  # of streams of all markets: a payload of each that had news
        self._stale: set[str] = set()
        self._users: dict[str, LinearUser] = {}
        self._said: collections.deque[float] = collections.deque(maxlen=_MESSAGES[kind])
        self._ticks = 0
        for name in streams:
            if is_stream_name(name) and len(self._streams) < MAX_STREAMS:
                self._join(name, venue.clock.now())

    def greet(self) -> Sequence[Frame]:
        """Return nothing: the venue is silent until it is asked."""
        return []

    @property
    def topics(self) -> Collection[Topic]:
        """What it listens to."""
        return self._followers.keys()

    def receive(self, frame: str, now: int) -> Sequence[Frame]:
        """Answer a request, as JSON; who asks too often in a second is cut off."""
        moment = self._clock()
        if len(self._said) == self._said.maxlen and moment - self._said[0] < 1.0:
            return [Close(1008, "Too many requests")]
        self._said.append(moment)
        request: Any = None
        try:
            request = orjson.loads(frame)
            answer = {"result": self._answer(request, now)}
        except orjson.JSONDecodeError as error:
            message = f"Invalid JSON: expected value at line {error.lineno} column {error.colno}"
            return [_dumps({"error": {"code": 3, "msg": message}})]
        except _InvalidError as invalid:
            answer = {"error": {"code": invalid.code, "msg": str(invalid)}}
        number = request.get("id") if isinstance(request, dict) else None
        return [_dumps({**answer, "id": number} if _is_id(number) else answer)]

    def _answer(self, request: Any, now: int) -> Any:
        """Return the result of a request."""
        if not isinstance(request, dict):
            raise _InvalidError(2, "Invalid request: expected a JSON object")
        if not request.keys() <= {"method", "params", "id"}:
            raise _InvalidError(2, "Invalid request: too many parameters")
        if "method" not in request:
            raise _InvalidError(2, "Invalid request: missing field `method`")
        if not _is_id(request.get("id")):
            raise _InvalidError(2, "Invalid request: request ID must be an unsigned integer")
        method, params = request["method"], request.get("params", [])
        if method not in _METHODS:
            known = ", ".join(f"`{name}`" for name in _METHODS)
            raise _InvalidError(2, f"Invalid request: unknown variant `{str(method)[:64]}`, expected one of {known}")
        if not isinstance(params, list):
            raise _InvalidError(2, "Invalid request: params must be an array")
        if method == "LIST_SUBSCRIPTIONS":
            return list(self._streams)
        return self._change(method, params, now) if method.endswith("SUBSCRIBE") else self._property(method, params)

    def _change(self, method: str, names: list[Any], now: int) -> None:
        """Listen to streams, or no longer; all that are named or, where one is no name, none."""
        if not all(isinstance(name, str) and is_stream_name(name) for name in names):
            raise _InvalidError(2, "Invalid request: invalid stream")
        if method == "UNSUBSCRIBE":
            for name in names:
                self._leave(name)
            return
        if len(self._streams.keys() | set(names)) > MAX_STREAMS:
            raise _InvalidError(4, "Too many subscriptions")
        for name in names:
            self._join(name, now)

    def _property(self, method: str, params: list[Any]) -> Any:
        if not params or not isinstance(params[0], str):
            raise _InvalidError(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise _InvalidError(0, "Unknown property")
        if method == "GET_PROPERTY":
            return self._combined
        if len(params) < 2 or not isinstance(params[1], bool):
            raise _InvalidError(1, "Invalid value type: expected Boolean")
        self._combined = params[1]
        return None

    def _join(self, name: str, now: int) -> None:
        if name in self._streams:
            return
        stream = self._user_stream(name, now) or read_stream(name, self._traded)
        self._streams[name] = stream
        for topic in stream.topics:
            self._followers.setdefault(topic, {})[name] = stream

    def _user_stream(self, name: str, now: int) -> Stream | None:
        """Return the user data stream that a listen key names, ``None`` where it names none that is valid."""
        account = self._keys.account(name, now, kind=LISTEN_KEY) if self._kind == "linear" else None
        if account is None:
            return None
        self._users[name] = user = LinearUser(self._venue, account, now)
        orders = Topic("orders", account=account, trades=user.trades)
        return Stream(name, "user", (orders, Topic("balances", account=account, trades=user.trades)))

    def _leave(self, name: str) -> None:
        stream = self._streams.pop(name, None)
        if stream is not None:
            self._silence(stream)

    def _silence(self, stream: Stream) -> None:
        """Tell a stream nothing any more."""
        self._users.pop(stream.name, None)
        self._waiting.pop(stream.name, None)
        for topic in stream.topics:
            followers = self._followers.get(topic, {})
            followers.pop(stream.name, None)
            if not followers:
                self._followers.pop(topic, None)

    def render(self, event: Event) -> Sequence[Frame]:
        """Return what the streams of an event's topic tell of it."""
        frames: list[Frame] = []
        for stream in list(self._followers.get(event.topic, {}).values()):
            if stream.array:
                frames += self._collect(stream, event)
            elif isinstance(event, OrderEvent | BalanceEvent):
                frames += self._of_account(stream.name, event)
            else:
                frames += [self._wrapped(stream.name, row) for row in payloads(stream.shape, event, self._instruments)]
        return frames

    def _of_account(self, key: str, event: OrderEvent | BalanceEvent) -> list[Frame]:
        """Return what the stream of a listen key tells of an event; nothing from the moment on at which that ended."""
        if self._keys.account(key, self._venue.clock.now(), kind=LISTEN_KEY) is None:
            return []
        user = self._users[key]
        told = user.orders(event) if isinstance(event, OrderEvent) else user.balances(event)
        return [self._wrapped(key, _dumps(row)) for row in told]

    def _collect(self, stream: Stream, event: Event) -> list[Frame]:
        """Gather payloads; return them when there is one of all markets, or there is another of the same."""
        market = event.topic.market
        frames = self._release(stream.name) if market in self._waiting.get(stream.name, {}) else []
        waiting = self._waiting.setdefault(stream.name, {})
        (waiting[market],) = payloads(stream.shape, event, self._instruments)
        self._stale.discard(stream.name)
        return frames + (self._release(stream.name) if len(waiting) == len(stream.topics) else [])

    def _release(self, name: str) -> list[Frame]:
        rows = self._waiting.pop(name, {})
        return [self._wrapped(name, f"[{','.join(rows.values())}]")] if rows else []

    def _wrapped(self, name: str, payload: str) -> str:
        return f'{{"stream":"{name}","data":{payload}}}' if self._combined else payload

    def tick(self, now: int) -> Sequence[Frame]:
        """Return what streams of all markets gathered a second ago and nothing followed, pings, and ended keys."""
        frames = [frame for name in list(self._waiting) if name in self._stale for frame in self._release(name)]
        self._stale = set(self._waiting)
        for name in list(self._users):
            if self._keys.account(name, now, kind=LISTEN_KEY) is None:
                self._silence(self._streams[name])
                self._streams[name] = Stream(name)
                frames.append(self._wrapped(name, _dumps({"e": "listenKeyExpired", "E": now, "listenKey": name})))
        self._ticks += 1
        if self._ticks % _PING_S[self._kind] == 0:
            frames.append(Ping(str(now).encode()))
        return frames


def _is_id(number: Any) -> bool:
    """Tell whether a request may be numbered so: a whole number, a short text, or not at all."""
    if isinstance(number, str):
        return len(number) <= 36
    return number is None or (isinstance(number, int) and not isinstance(number, bool) and number >= 0)


def _dumps(row: Mapping[str, Any]) -> str:
    return orjson.dumps(row).decode()
