"""
Who may call what, how often, and with which nonce.

Every answer has the status 200 and ``{"error": [...], "result": ...}``; the words are those of Kraken's documentation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import urllib.parse
from typing import Any, ClassVar, Final

import orjson

from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import FeedDialect
from tradeutils.sim.kraken.account import AccountData
from tradeutils.sim.kraken.errors import KrakenError, RateLimitError
from tradeutils.sim.kraken.feeds import KrakenFeeds
from tradeutils.sim.kraken.market_data import MarketData
from tradeutils.sim.kraken.names import Names
from tradeutils.sim.kraken.orders import OrderData
from tradeutils.sim.ledger import SimulatedAccount

__all__ = ["KrakenDialect"]

_PREFIX: Final = "/0/"
_MAX_FIELDS: Final = 64
_UNCOUNTED: Final = (
    "AddOrder",
    "CancelOrder",
    "CancelOrderBatch",
    "CancelAll",
)  # their limit is the matching engine's, which is not simulated
_PUBLIC_DECAY: Final = 1.0  # "once a second or less", say the documents, and no more than that


class KrakenDialect:
    """
    Answers calls as Kraken's spot API does.

    Parameters
    ----------
    venue : Venue
        The market, the clock and the accounts.

    Notes
    -----
    The nonce of a key must grow with every private call, however many processes use the key. Calls of an address, and
    private calls of a key, fill a counter that empties with time (``Limits.counter``, ``Limits.decay``).
    Not spoken: assets by their old names (XXBT), trailing and batch orders, ledgers of an account, margin, one-time
    passwords, the limit of the matching engine.
    """

    linear: ClassVar = False
    wallets: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[type[FeedDialect]] = KrakenFeeds

    def __init__(self, venue: Venue) -> None:
        names = Names(venue.market)
        self._ledger, self._gate, self._clock = venue.ledger, venue.gate, venue.clock
        self._public = MarketData(venue, names).endpoints
        self._private = AccountData(venue, names).endpoints | OrderData(venue, names).endpoints
        self._nonces: dict[str, int] = {}

    def respond(self, call: Call) -> Reply:
        """Answer a call; whatever is wrong with it is answered as Kraken does."""
        kind, _, name = call.path.removeprefix(_PREFIX).partition("/")
        known = self._public if kind == "public" else self._private if kind == "private" else {}
        if not call.path.startswith(_PREFIX) or name not in known:
            return _reply({"error": ["EGeneral:Unknown method"]}, "unknown", weight=0)
        ban = self._gate.banned(call.remote)
        if ban is not None:  # the network in front of the venue bans addresses, in its own words
            wait = {"Retry-After": str(max(1, math.ceil(ban.wait)))}
            return Reply(429, b"error code: 1015", wait, content_type="text/plain", route=call.path)
        order: str | None = None
        try:
            if kind == "public":
                result = self._answer_public(name, call)
            else:
                result = self._answer_private(name, call)
                order = result.pop("placed", None) if name == "AddOrder" else None  # for our log alone
        except KrakenError as error:
            return _reply({"error": [str(error)]}, call.path, limited=isinstance(error, RateLimitError))
        return _reply({"error": [], "result": result}, call.path, order=order)

    def refuse(self, status: int) -> Reply:
        """Answer a call that could not be read."""
        return Reply(status, b"", content_type="text/html")

    def _answer_public(self, name: str, call: Call) -> Any:
        if not self._gate.fill(call.remote, _PUBLIC_DECAY):
            raise RateLimitError
        return self._public[name]({**_form(call.query), **(_form_of_body(call) if call.method == "POST" else {})})

    def _answer_private(self, name: str, call: Call) -> Any:
        if call.method != "POST":
            raise KrakenError("EGeneral:Unknown method")
        account = self._ledger.account(call.headers.get("api-key", ""))
        if account is None:
            raise KrakenError("EAPI:Invalid key")
        fields = _form_of_body(call)
        nonce = fields.get("nonce", "")
        if not (nonce.isascii() and nonce.isdecimal() and len(nonce) <= 20):
            raise KrakenError("EAPI:Invalid nonce")
        if not _is_signed(call, nonce, account):
            raise KrakenError("EAPI:Invalid signature")
        if int(nonce) <= self._nonces.get(account.key, -1):
            raise KrakenError("EAPI:Invalid nonce")
        self._nonces[account.key] = int(nonce)
        if name not in _UNCOUNTED and not self._gate.fill(account.key, self._gate.limits.decay):
            raise RateLimitError
        return self._private[name](account, fields)


def _is_signed(call: Call, nonce: str, account: SimulatedAccount) -> bool:
    try:
        secret = base64.b64decode(account.secret, validate=True)
    except binascii.Error:
        return False  # a secret that is no Kraken key's opens nothing
    made = hmac.new(
        secret, call.path.encode() + hashlib.sha256(nonce.encode() + call.body).digest(), hashlib.sha512
    ).digest()
    return hmac.compare_digest(base64.b64encode(made), call.headers.get("api-sign", "").encode("latin-1", "replace"))


def _form_of_body(call: Call) -> dict[str, str]:
    if not call.headers.get("content-type", "").startswith("application/json"):
        return _form(call.body.decode("latin-1"))
    try:
        parsed = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise KrakenError("EGeneral:Invalid arguments") from None
    if not isinstance(parsed, dict):
        raise KrakenError("EGeneral:Invalid arguments")
    try:
        return {name: one if isinstance(one, str) else orjson.dumps(one).decode() for name, one in parsed.items()}
    except orjson.JSONEncodeError:  # it reads deeper lists than it writes
        raise KrakenError("EGeneral:Invalid arguments") from None


def _form(text: str) -> dict[str, str]:
    try:
        return dict(urllib.parse.parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise KrakenError("EGeneral:Invalid arguments") from None


def _reply(
    body: dict[str, Any], route: str, *, weight: int = 1, order: str | None = None, limited: bool = False
) -> Reply:
    kind = "application/json"
    return Reply(200, orjson.dumps(body), content_type=kind, weight=weight, route=route, order=order, limited=limited)
