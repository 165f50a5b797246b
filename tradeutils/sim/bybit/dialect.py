"""
Who may call what, how often, and with which signature.

Every answer has the status 200 and ``{"retCode": 0, "retMsg": "OK", "result": ...}``, but those to paths that there
are not (404) and to addresses that ask too much (403). Codes and words are those of Bybit's documentation.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Any, ClassVar, Final

import orjson

from tradeutils.sim.bybit.account import AccountData
from tradeutils.sim.bybit.errors import BybitError
from tradeutils.sim.bybit.feeds import BybitFeeds
from tradeutils.sim.bybit.fields import Fields, body_fields, query_fields
from tradeutils.sim.bybit.market_data import MarketData
from tradeutils.sim.bybit.names import Names
from tradeutils.sim.bybit.positions import PositionData
from tradeutils.sim.bybit.rates import Rates
from tradeutils.sim.bybit.trade import TradeData
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import FeedDialect
from tradeutils.sim.ledger import SimulatedAccount

__all__ = ["BybitDialect"]

_RECV_WINDOW: Final = "5000"
_NEW_ORDER: Final = "/v5/order/create"
_LONGEST_NUMBER: Final = 16
_TOO_MANY: Final = 10006


class BybitDialect:
    """
    Answers calls as Bybit's v5 API does, for a unified trading account.

    Parameters
    ----------
    venue : Venue
        The market, the clock and the accounts.

    Notes
    -----
    Calls of an address are counted over five seconds (``Limits.requests``, ``Limits.requests_window``), those of an
    account to each endpoint over one (``Limits.endpoints``). Not spoken: inverse contracts and options, which are
    empty lists, classic accounts, batch orders and amendments, take profit and stop loss of positions, hedged and
    isolated positions, margin loans, transfers, the premium index.
    """

    linear: ClassVar = True
    wallets: ClassVar[tuple[str, ...]] = ("funding",)
    feeds: ClassVar[type[FeedDialect]] = BybitFeeds

    def __init__(self, venue: Venue) -> None:
        names = Names(venue.market)
        self._ledger, self._gate, self._clock = venue.ledger, venue.gate, venue.clock
        self._names, self._rates = names, Rates(venue.gate)
        self._public = MarketData(venue, names).endpoints
        trade, positions = TradeData(venue, names), PositionData(venue, names)
        self._read = {**AccountData(venue, names).endpoints, **trade.lists, **positions.lists}
        self._write = {**trade.commands, **positions.commands}

    def respond(self, call: Call) -> Reply:
        """Answer a call; whatever is wrong with it is answered as Bybit does."""
        known = {"GET": (self._public, self._read), "POST": (self._write,)}.get(call.method, ())
        route = call.path if any(call.path in endpoints for endpoints in known) else "unknown"
        ban = self._gate.banned(call.remote)
        if ban is None:
            _, refusal = self._gate.charge(call.remote, 0)
            if refusal is not None and refusal.window is not None:
                self._gate.ban(call.remote)  # nobody is warned
            ban = refusal
        if ban is not None:
            words, kind = b"403, access too frequent", "text/plain"
            return Reply(403, words, content_type=kind, weight=1, route=route, limited=True)
        if route == "unknown":
            return Reply(404, b"404 page not found", content_type="text/plain", weight=1)
        headers: dict[str, str] = {}
        order: str | None = None
        try:
            if call.method == "GET" and call.path in self._public:
                result = self._public[call.path](query_fields(call.query))
            else:
                result = self._answer_private(call, headers)
                order = result.pop("placed", None) if call.path == _NEW_ORDER else None  # for our log alone
        except BybitError as error:
            return self._reply(error.code, error.message, {}, headers, route)
        return self._reply(0, "OK", result, headers, route, order)

    def refuse(self, status: int) -> Reply:
        """Answer a call that could not be read."""
        return Reply(status, b"", content_type="text/plain")

    def _reply(
        self, code: int, message: str, result: Any, headers: dict[str, str], route: str, order: str | None = None
    ) -> Reply:
        body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": self._clock.now()}
        kind = "application/json; charset=utf-8"
        limited = code == _TOO_MANY
        return Reply(
            200, orjson.dumps(body), headers, content_type=kind, weight=1, route=route, order=order, limited=limited
        )

    def _answer_private(self, call: Call, headers: dict[str, str]) -> Any:
        account = self._admit(call)
        fields = body_fields(call.body) if call.method == "POST" else query_fields(call.query)
        self._count(account, call.path, fields, headers)
        endpoints = self._write if call.method == "POST" else self._read
        return endpoints[call.path](account, fields)

    def _admit(self, call: Call) -> SimulatedAccount:
        """Return whose call it is, or raise `BybitError` where it is not signed, or not in time."""
        sent = {name: call.headers.get(f"x-bapi-{name}", "") for name in ("api-key", "timestamp", "sign")}
        if not all(sent.values()):
            raise BybitError(10001, "empty value: apiTimestamp[] apiKey[] apiSignature[]: openapi sign params error!")
        account = self._ledger.account(sent["api-key"])
        if account is None:
            raise BybitError(10003)
        window = call.headers.get("x-bapi-recv-window") or _RECV_WINDOW
        now = self._clock.now()
        if not _is_number(sent["timestamp"]) or not _is_number(window):
            raise BybitError(10001, "params error: the timestamp and the recv_window are whole milliseconds")
        if self._clock.freshness(int(sent["timestamp"]), int(window)) != "fresh":
            raise BybitError(10002, "", sent["timestamp"], now, window)
        payload = call.body if call.method == "POST" else call.query.encode("utf-8", "surrogateescape")
        signed = (sent["timestamp"] + sent["api-key"] + window).encode() + payload
        made = hmac.new(account.secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made.encode(), sent["sign"].lower().encode("utf-8", "replace")):
            raise BybitError(10004)
        return account

    def _count(self, account: SimulatedAccount, path: str, fields: Fields, headers: dict[str, str]) -> None:
        """Count a call towards what its account may ask of the endpoint, and tell in the headers what is left."""
        allowed, allowance = self._rates.take(account.key, path, spot=fields.text("category") == "spot")
        reset = self._clock.now() + math.ceil(1000 * allowance.wait)
        headers |= {
            "X-Bapi-Limit": str(allowance.limit),
            "X-Bapi-Limit-Status": str(allowance.left),
            "X-Bapi-Limit-Reset-Timestamp": str(reset),
        }
        if not allowed:
            raise BybitError(_TOO_MANY)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
