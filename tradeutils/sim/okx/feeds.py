"""
OKX's v5 websockets: public, business and private, as ccxt's own class speaks to them.

A connection is text: ``ping`` and ``pong``, and requests ``{"op": "subscribe", "args": [...]}``, each argument answered
by itself. One that hears nothing for 30 seconds is closed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import Close, FeedSession, Frame
from tradeutils.sim.feeds.dialing import Dialing, sliding_meter
from tradeutils.sim.feeds.events import BookEvent, Event, Topic
from tradeutils.sim.feeds.keys import ListenKeys
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.okx.account import AccountData
from tradeutils.sim.okx.feeds_channels import ACCESSES, PRIVATE, Access, Subscription, of_argument
from tradeutils.sim.okx.feeds_errors import FeedError
from tradeutils.sim.okx.feeds_private import PrivateRows
from tradeutils.sim.okx.feeds_rows import PublicRows
from tradeutils.sim.okx.names import Names

__all__ = ["OkxFeeds", "OkxSession"]

_SILENCE_S: Final = 30
_ACCOUNT_EVERY_S: Final = 5
_MAX_BYTES: Final = 1 << 16  # of a request
_MAX_FIELDS: Final = 8  # of an argument
_REQUESTS: Final = 480  # subscribe, unsubscribe and login, of a connection in an hour
_CONNECTIONS: Final = 3  # of an address in a second
_MOST_FOLLOWED: Final = 10_000  # channels of a connection
_SAME_CHANNEL: Final = 30  # connections of an account that follow one private channel
_WINDOW_MS: Final = 30_000  # that a login may be old, or early
_AHEAD_MS: Final = 29_000  # of that, what a venue's clock does not allow by itself
_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


class OkxFeeds:
    """
    Who connects to OKX's websockets.

    Parameters
    ----------
    venue : Venue
        The market, the clock and the accounts.
    keys : ListenKeys
        Not used: connections log in with what signs requests.

    Notes
    -----
    Spoken are ``tickers trades trades-all books books5 bbo-tbt candle...``, and after a login ``account orders
    orders-algo balance_and_position``. Candles that open in Hong Kong (``candle1D``) are made of hours; REST tells
    those alone that open in UTC. Not spoken: orders by websocket, positions, books for higher tiers, mark prices and
    funding.
    """

    def __init__(self, venue: Venue, keys: ListenKeys) -> None:
        self.venue, self.names = venue, Names(venue.market)
        self.public, self.accounts = PublicRows(venue.market), AccountData(venue, self.names)
        self._dialing = Dialing(venue.gate, _CONNECTIONS, 1.0)
        self._sessions: weakref.WeakSet[OkxSession] = weakref.WeakSet()
        self._made = 0

    def connect(self, call: Call) -> FeedSession | Reply:
        """Return the session of a connection, or how it is refused."""
        access = ACCESSES.get(call.path)
        if access is None:
            return Reply(404, b"", content_type="text/plain")
        if not self._dialing.admits(call.remote):
            return Reply(429, b"Too Many Requests", content_type="text/plain", route=call.path, limited=True)
        self._made += 1
        session = OkxSession(self, access, f"{self._made:08x}")
        self._sessions.add(session)
        return session

    def following(self, account: SimulatedAccount, channel: str) -> int:
        """Return how many connections of an account follow a private channel."""
        return sum(one.account is account and one.follows(channel) for one in self._sessions)

    def login(self, given: Mapping[str, str]) -> SimulatedAccount:
        """Return whose login it is, or raise `FeedError`."""
        account = self.venue.ledger.account(given.get("apiKey", ""))
        if account is None:
            raise FeedError("60005")
        moment = given.get("timestamp", "")
        if _SECONDS.fullmatch(moment) is None:
            raise FeedError("60004")
        at = round(float(moment) * 1000)
        if "fresh" not in (self.venue.clock.freshness(one, _WINDOW_MS) for one in (at, at - _AHEAD_MS)):
            raise FeedError("60006")
        made = hmac.new(account.secret.encode(), f"{moment}GET/users/self/verify".encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(base64.b64encode(made), given.get("sign", "").encode("utf-8", "replace")):
            raise FeedError("60007")
        if not hmac.compare_digest(account.passphrase.encode(), given.get("passphrase", "").encode("utf-8", "replace")):
            raise FeedError("60024")
        return account


class OkxSession:
    """
    A connection.

    Parameters
    ----------
    feeds : OkxFeeds
        What all connections share.
    access : str
        Which channels may be subscribed.
    name : str
        What the venue calls it.
    """

    def __init__(self, feeds: OkxFeeds, access: Access, name: str) -> None:
        self.account: SimulatedAccount | None = None
        self._feeds, self._access, self._name = feeds, access, name
        self._requests = sliding_meter(feeds.venue.gate, _REQUESTS, 3600.0)
        self._followed: dict[tuple[tuple[str, str], ...], Subscription] = {}
        self._by_topic: dict[Topic, list[Subscription]] = {}
        self._unknown: set[tuple[tuple[str, str], ...]] = set()  # whose book the client has not been told yet
        self._private: PrivateRows | None = None
        self._id: dict[str, str] = {}
        self._quiet = self._since_account = 0

    @property
    def topics(self) -> Collection[Topic]:
        """What it is told now."""
        return self._by_topic.keys()

    def follows(self, channel: str) -> bool:
        """Tell whether it follows a channel."""
        return any(one.channel == channel for one in self._followed.values())

    def greet(self) -> Sequence[Frame]:
        """Return nothing: OKX waits for the client to speak."""
        return []

    def receive(self, frame: str, now: int) -> Sequence[Frame]:
        """Answer a request; whatever is wrong with it is answered as OKX does."""
        self._quiet = 0
        if frame == "ping":
            return ["pong"]
        self._id = {}
        try:
            operation, arguments = self._request(frame)
            act = self._act(operation)
            if act is None:
                raise FeedError("60019", operation)
            if self._requests.exceeded("", 1) is not None:
                raise FeedError("60014")
            self._requests.charge("")
        except FeedError as error:
            return [self._error(error)]
        answers: list[Frame] = []
        for argument in arguments:
            try:
                answers += act(argument)
            except FeedError as error:
                answers.append(self._error(error))
        return answers

    def _request(self, frame: str) -> tuple[str, list[Mapping[str, str]]]:
        """Return what is asked, and of what; remember by which id the client wants to know the answers."""
        if len(frame) > _MAX_BYTES:
            raise FeedError("60013")
        try:
            parsed = orjson.loads(frame)
        except orjson.JSONDecodeError:
            parsed = None
        if not isinstance(parsed, dict) or not isinstance(parsed.get("op"), str):
            raise FeedError("60012", frame)
        arguments, name = parsed.get("args"), parsed.get("id")
        if isinstance(name, str) and _ID.fullmatch(name):
            self._id = {"id": name}
        if not isinstance(arguments, list) or not arguments or not all(map(_is_argument, arguments)):
            raise FeedError("60013")
        return parsed["op"], arguments

    def render(self, event: Event) -> Sequence[Frame]:
        """Return the messages of the channels that an event is a matter of."""
        told: list[Frame] = []
        for one in self._by_topic.get(event.topic, ()):
            if one.channel in PRIVATE:
                message = None if self._private is None else self._private.write(event, one)
            else:
                message = self._feeds.public.write(event, one, first=one.argument in self._unknown)
                if isinstance(event, BookEvent):
                    self._unknown.discard(one.argument)
            if message is not None:
                told.append(message)
        if told:
            self._quiet = 0
        return told

    def tick(self, now: int) -> Sequence[Frame]:
        """Tell what the account holds every five seconds; close the connection where nothing was said for thirty."""
        self._quiet += 1
        self._since_account += 1
        if self._quiet >= _SILENCE_S:
            return [Close(4004, "No data received in 30s.")]
        if self._since_account < _ACCOUNT_EVERY_S or self._private is None:
            return []
        self._since_account = 0
        told = [self._private.begin(one) for one in self._followed.values() if one.repeated]
        if told:
            self._quiet = 0
        return [one for one in told if one is not None]

    def _act(self, operation: str) -> Callable[[Mapping[str, str]], list[Frame]] | None:
        # Not kept: a session that refers to itself would be counted until the garbage is collected.
        known = {"login": self._login, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe}
        return known.get(operation)

    def _login(self, given: Mapping[str, str]) -> list[Frame]:
        if self.account is not None:
            raise FeedError("60031")
        feeds = self._feeds
        self.account = feeds.login(given)
        self._private = PrivateRows(feeds.venue, feeds.names, feeds.accounts, self.account)
        return [self._told({"event": "login", "code": "0", "msg": ""})]

    def _subscribe(self, given: Mapping[str, str]) -> list[Frame]:
        account = self.account
        one = of_argument(given, self._access, self._feeds.names, None if account is None else account.key)
        answer = self._told({"event": "subscribe", "arg": dict(one.argument)})
        if one.argument in self._followed:
            return [answer]
        if len(self._followed) >= _MOST_FOLLOWED:
            raise FeedError("60014")
        counted: list[Frame] = []
        if one.channel in PRIVATE and account is not None and not self.follows(one.channel):
            number = self._feeds.following(account, one.channel) + 1
            count = {"channel": one.channel, "connCount": str(min(number, _SAME_CHANNEL))}
            if number > _SAME_CHANNEL:
                return [self._told({"event": "channel-conn-count-error", **count})]
            counted = [self._told({"event": "channel-conn-count", **count})]
        self._followed[one.argument] = one
        self._by_topic.setdefault(one.topic, []).append(one)
        self._unknown.add(one.argument)
        first = self._private.begin(one) if self._private is not None and one.channel in PRIVATE else None
        return [answer, *counted, *([] if first is None else [first])]

    def _unsubscribe(self, given: Mapping[str, str]) -> list[Frame]:
        account = self.account
        asked = of_argument(given, self._access, self._feeds.names, None if account is None else account.key)
        one = self._followed.pop(asked.argument, None)
        if one is not None:
            self._unknown.discard(one.argument)
            self._by_topic[one.topic].remove(one)
            if not self._by_topic[one.topic]:
                del self._by_topic[one.topic]
        return [self._told({"event": "unsubscribe", "arg": dict(asked.argument)})]

    def _told(self, answer: dict[str, Any]) -> str:
        return orjson.dumps({**self._id, **answer, "connId": self._name}).decode()

    def _error(self, error: FeedError) -> str:
        return self._told({"event": "error", "code": error.code, "msg": error.message})


def _is_argument(given: Any) -> bool:
    return isinstance(given, dict) and len(given) <= _MAX_FIELDS and all(isinstance(one, str) for one in given.values())
