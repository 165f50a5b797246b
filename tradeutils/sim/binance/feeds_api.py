"""Binance's WebSocket API of spot, as far as user data streams need it: requests and answers, each with an id."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from tradeutils.sim.binance.errors import BinanceError, of_refusal, of_timestamp
from tradeutils.sim.binance.feeds_account import SpotUser
from tradeutils.sim.binance.listing import describe_limits
from tradeutils.sim.binance.parameters import RECV_WINDOW
from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds.dialect import Frame, Ping
from tradeutils.sim.feeds.events import BalanceEvent, Event, OrderEvent, Topic
from tradeutils.sim.ledger import SimulatedAccount

__all__ = ["ApiSession"]

_PING_S: Final = 20
_WEIGHTS: Final = {"userDataStream.unsubscribe": 2, "session.subscriptions": 2, "userDataStream.subscribe.signature": 2}


class ApiSession:
    """
    A connection to ``/ws-api/v3``.

    Parameters
    ----------
    venue : Venue
        Where the accounts are, and who counts what an address asks.
    remote : str
        The address of the client: what it asks here counts with what it asks over REST.

    Notes
    -----
    Not spoken: orders, sessions that are logged on, market data.
    """

    def __init__(self, venue: Venue, remote: str) -> None:
        self._venue, self._remote = venue, remote
        self._users: dict[int, tuple[str, SpotUser]] = {}  # by the number of the subscription
        self._subscribed = 0
        self._ticks = 0
        self._limits = describe_limits(venue.gate.limits)[:1]
        self._methods: dict[str, Callable[[dict[str, Any], int], Any]] = {
            "ping": lambda _params, _now: {},
            "time": lambda _params, now: {"serverTime": now},
            "userDataStream.subscribe.signature": self._subscribe,
            "userDataStream.unsubscribe": self._unsubscribe,
            "session.subscriptions": lambda _params, _now: [{"subscriptionId": number} for number in self._users],
        }

    def greet(self) -> Sequence[Frame]:
        """Return nothing: the venue is silent until it is asked."""
        return []

    @property
    def topics(self) -> Collection[Topic]:
        """The orders and the balances of the accounts that were subscribed to."""
        accounts = [account for account, _ in self._users.values()]
        orders = {Topic("orders", account=account, trades=SpotUser.trades) for account in accounts}
        return orders | {Topic("balances", account=account, trades=SpotUser.trades) for account in accounts}

    def receive(self, frame: str, now: int) -> Sequence[Frame]:
        """Answer a request; whatever is wrong with it is answered as Binance does."""
        number: Any = None
        used: Mapping[str, int] = {}
        ended: dict[int, Any] = {}
        try:
            number, method, params = _read(frame)
            used, refusal = self._venue.gate.charge(self._remote, _WEIGHTS.get(method, 1), "api")
            if refusal is not None:
                raise of_refusal(refusal, now)
            if method not in self._methods:
                raise BinanceError(-1135, message=f"Invalid 'method' in JSON request; unknown method '{method[:64]}'.")
            before = dict(self._users)
            answer: dict[str, Any] = {"status": 200, "result": self._methods[method](params, now)}
            ended = {one: user for one, user in before.items() if one not in self._users}
        except BinanceError as error:
            answer = {"status": error.status, "error": {"code": error.code, "msg": error.message}}
        counted = [{**self._limits[0], "count": count} for count in list(used.values())[:1]]
        told = {"id": number, **answer, **({"rateLimits": counted} if counted else {})}
        over = [_wrapped(one, {"e": "eventStreamTerminated", "E": now}) for one in ended]
        return [orjson.dumps(told).decode(), *over]

    def _subscribe(self, params: dict[str, Any], now: int) -> Any:
        account = self._admit(params)
        if any(key == account.key for key, _ in self._users.values()):
            raise BinanceError(-2035)
        number, self._subscribed = self._subscribed, self._subscribed + 1
        self._users[number] = account.key, SpotUser(self._venue, account.key, now)
        return {"subscriptionId": number}

    def _unsubscribe(self, params: dict[str, Any], _now: int) -> Any:
        if params.keys() - {"subscriptionId"}:
            raise BinanceError(-1104, len(params.keys() & {"subscriptionId"}), len(params))
        if "subscriptionId" not in params:
            self._users.clear()
        elif not isinstance(params["subscriptionId"], int) or self._users.pop(params["subscriptionId"], None) is None:
            raise BinanceError(-2036)
        return {}

    def _admit(self, params: dict[str, Any]) -> SimulatedAccount:
        """Return whose request it is, or raise `BinanceError` where it is not signed, or not in time."""
        for name in ("apiKey", "timestamp", "signature"):
            if params.get(name) in (None, ""):
                raise BinanceError(-1102, name)
        account = self._venue.ledger.account(str(params["apiKey"]))
        if account is None:
            raise BinanceError(-2015)
        window, moment = params.get("recvWindow", RECV_WINDOW[0]), params["timestamp"]
        for name, value in (("recvWindow", window), ("timestamp", moment)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise BinanceError(-1100, name, "^[0-9]{1,20}$")
        if window > RECV_WINDOW[1]:
            raise BinanceError(-1131)
        freshness = self._venue.clock.freshness(moment, window)
        if freshness != "fresh":
            raise of_timestamp(freshness)
        payload = "&".join(f"{name}={value}" for name, value in sorted(params.items()) if name != "signature")
        made = hmac.new(account.secret.encode(), payload.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made.encode(), str(params["signature"]).lower().encode("utf-8", "replace")):
            raise BinanceError(-1022)
        return account

    def render(self, event: Event) -> Sequence[Frame]:
        """Return what the subscriptions to an account tell."""
        if not isinstance(event, OrderEvent | BalanceEvent):
            return []
        frames = []
        for number, (account, user) in self._users.items():
            if account == event.topic.account:
                told = user.orders(event) if isinstance(event, OrderEvent) else user.balances(event)
                frames += [_wrapped(number, row) for row in told]
        return frames

    def tick(self, now: int) -> Sequence[Frame]:
        """Return a ping every 20 seconds."""
        self._ticks += 1
        return [Ping(str(now).encode())] if self._ticks % _PING_S == 0 else []


def _read(frame: str) -> tuple[Any, str, dict[str, Any]]:
    """Return the id, the method and the parameters of a request."""
    try:
        request = orjson.loads(frame)
    except orjson.JSONDecodeError:
        raise BinanceError(-1135, message="Invalid JSON request.") from None
    if not isinstance(request, dict):
        raise BinanceError(-1135, message="Invalid JSON request; expected an object.")
    number = request.get("id")
    named = isinstance(number, str) and len(number) <= 36
    if not named and (isinstance(number, bool) or not (number is None or isinstance(number, int))):
        raise BinanceError(-1135, message="Invalid 'id' in JSON request; expected an integer, a string or null.")
    params, method = request.get("params", {}), request.get("method")
    if not isinstance(params, dict):
        raise BinanceError(-1135, message="Invalid 'params' in JSON request; expected an object.")
    if not isinstance(method, str):
        raise BinanceError(-1135, message="Invalid 'method' in JSON request; expected a string.")
    return number, method, params


def _wrapped(number: int, event: Mapping[str, Any]) -> str:
    return orjson.dumps({"subscriptionId": number, "event": event}).decode()
