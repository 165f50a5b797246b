"""
Who may call what, how often, and with which signature.

Every answer is ``{"code": "0", "msg": "", "data": [...]}``, and what is said of single orders stands in their rows as
``sCode`` and ``sMsg``. Codes, statuses and words are those of OKX's documentation.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import orjson

from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import FeedDialect
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.okx.account import AccountData
from tradeutils.sim.okx.algos import AlgoData
from tradeutils.sim.okx.errors import OkxError
from tradeutils.sim.okx.feeds import OkxFeeds
from tradeutils.sim.okx.fields import Fields, body_fields, query_fields
from tradeutils.sim.okx.market_data import MarketData
from tradeutils.sim.okx.names import Names
from tradeutils.sim.okx.orders import OrderData
from tradeutils.sim.okx.rates import Rates
from tradeutils.sim.okx.swap_data import SwapData

__all__ = ["OkxDialect"]

_PREFIX: Final = "/api/v5/"
_WINDOW_MS: Final = 30_000  # that a signature may be old, or early
_AHEAD_MS: Final = 29_000  # of that, what a venue's clock does not allow by itself
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_PLACES: Final = ("trade/order", "trade/batch-orders", "trade/order-algo")
_BATCHES: Final = ("trade/batch-orders", "trade/cancel-batch-orders", "trade/cancel-algos")
_MOST_ALGOS: Final = 10  # that one call cancels
_TOO_MANY: Final = ("50011", "50061")
_KIND: Final = "application/json; charset=utf-8"


class OkxDialect:
    """
    Answers calls as OKX's v5 API does, for an account with margin in many currencies.

    Parameters
    ----------
    venue : Venue
        The market, the clock and the accounts.

    Notes
    -----
    Calls are counted over two seconds for each endpoint by itself, of an address or of an account, of some for each
    instrument (``Limits.endpoints``); new orders of an account together (``Limits.orders``). Not spoken: futures and
    options, which are empty lists, inverse swaps, margin loans, isolated and hedged positions, amendments, orders with
    others attached, ``oco`` and trailing ones, candles that open in Hong Kong, the funding account, which is empty.
    Of a batch that places several orders, the log of requests names the first.
    """

    linear: ClassVar = True
    wallets: ClassVar[tuple[str, ...]] = ("funding",)
    feeds: ClassVar[type[FeedDialect]] = OkxFeeds

    def __init__(self, venue: Venue) -> None:
        names = Names(venue.market)
        self._ledger, self._gate, self._clock = venue.ledger, venue.gate, venue.clock
        self._rates = Rates(venue.gate, names)
        self._public = {**MarketData(venue, names).endpoints, **SwapData(venue, names).endpoints}
        account, orders, algos = AccountData(venue, names), OrderData(venue, names), AlgoData(venue, names)
        self._read = {**account.lists, **orders.lists, **algos.lists}
        self._change = account.commands
        self._trade = {**orders.commands, **algos.commands}

    def respond(self, call: Call) -> Reply:
        """Answer a call; whatever is wrong with it is answered as OKX does."""
        path = call.path.removeprefix(_PREFIX) if call.path.startswith(_PREFIX) else ""
        reads = path in self._public or path in self._read
        changes = path in self._change or path in self._trade
        if not reads and not changes:
            return _not_found()
        order: str | None = None
        try:
            if self._gate.banned(call.remote) is not None:
                raise OkxError("50011")
            if not {"GET": reads, "POST": changes}.get(call.method, False):
                raise OkxError("50115")
            if call.method == "GET" and path in self._public:
                body = self._answer_public(call, path)
            else:
                body, order = self._answer_private(call, path)
        except OkxError as error:
            body = {"code": error.code, "msg": error.message, "data": []}
            return self._reply(error.status, body, call.path, limited=error.code in _TOO_MANY)
        return self._reply(200, body, call.path, order)

    def refuse(self, status: int) -> Reply:
        """Answer a call that could not be read."""
        return Reply(status, b"", content_type="text/plain")

    def _reply(
        self, status: int, body: dict[str, Any], route: str, order: str | None = None, *, limited: bool = False
    ) -> Reply:
        told = orjson.dumps(body)
        return Reply(status, told, content_type=_KIND, weight=1, route=route, order=order, limited=limited)

    def _answer_public(self, call: Call, path: str) -> dict[str, Any]:
        fields = query_fields(call.query)
        if not self._rates.take(f"GET {path}", call.remote, [fields]):
            raise OkxError("50011")
        return {"code": "0", "msg": "", "data": self._public[path](fields)}

    def _answer_private(self, call: Call, path: str) -> tuple[dict[str, Any], str | None]:
        account = self._admit(call)
        items = body_fields(call.body) if call.method == "POST" else [query_fields(call.query)]
        if len(items) > 1 and path not in _BATCHES:
            raise OkxError("50002")
        if path == "trade/cancel-algos" and len(items) > _MOST_ALGOS:
            raise OkxError("51111", str(_MOST_ALGOS))
        if not self._rates.take(f"{call.method} {path}", account.key, items):
            raise OkxError("50011")
        if call.method == "GET":
            return {"code": "0", "msg": "", "data": self._read[path](account, items[0])}, None
        if path in self._change:
            return {"code": "0", "msg": "", "data": self._change[path](account, items[0])}, None
        if path in _PLACES:
            self._count_orders(account, len(items))
        return self._command(self._trade[path], account, items, path)

    def _count_orders(self, account: SimulatedAccount, number: int) -> None:
        """Count new orders towards what an account may place in all."""
        if self._gate.too_many_orders(account.key, number=number) is not None:
            raise OkxError("50061")
        for _ in range(number):
            self._gate.order(account.key)

    def _command(
        self,
        act: Callable[[SimulatedAccount, Fields], dict[str, Any]],
        account: SimulatedAccount,
        items: Sequence[Fields],
        path: str,
    ) -> tuple[dict[str, Any], str | None]:
        """Do something for each item, and return the body and the client's id of the first order that was placed."""
        rows, failed, placed = [], 0, None
        own, named = ("algoClOrdId", "algoId") if "algo" in path else ("clOrdId", "ordId")
        received = str(self._clock.now() * 1000)
        for item in items:
            try:
                row = act(account, item)
            except OkxError as error:
                failed += 1
                told = {named: "", own: item.text(own, ""), "tag": item.text("tag", "")}
                rows.append({**told, "sCode": error.code, "sMsg": error.message})
            else:
                placed = placed or (row[own] if path in _PLACES else None)
                rows.append({**row, "sCode": "0", "sMsg": ""})
        code, words = ("0", "") if not failed else ("2", "Bulk operation partially succeeded")
        if failed == len(items):
            code, words = "1", "All operations failed"
        body = {"code": code, "msg": words, "data": rows, "inTime": received, "outTime": received}
        return body, placed or None

    def _admit(self, call: Call) -> SimulatedAccount:
        """Return whose call it is, or raise `OkxError` where it is not signed, or not in time."""
        key, passphrase, signature, moment = (
            call.headers.get(f"ok-access-{name}", "") for name in ("key", "passphrase", "sign", "timestamp")
        )
        for sent, code in ((key, "50103"), (passphrase, "50104"), (signature, "50106"), (moment, "50107")):
            if not sent:
                raise OkxError(code)
        at = _milliseconds(moment)
        if "fresh" not in (self._clock.freshness(one, _WINDOW_MS) for one in (at, at - _AHEAD_MS)):
            raise OkxError("50102")
        account = self._ledger.account(key)
        if account is None:
            raise OkxError("50111")
        address = call.path + (f"?{call.query}" if call.query else "")
        signed = (moment + call.method + address).encode("utf-8", "surrogateescape") + call.body
        made = base64.b64encode(hmac.new(account.secret.encode(), signed, hashlib.sha256).digest())
        if not hmac.compare_digest(made, signature.encode("utf-8", "replace")):
            raise OkxError("50113")
        if not hmac.compare_digest(account.passphrase.encode(), passphrase.encode("utf-8", "replace")):
            raise OkxError("50105")
        return account


def _milliseconds(moment: str) -> int:
    """Return the time that a signature was made at."""
    if _MOMENT.fullmatch(moment) is None:
        raise OkxError("50112")
    try:
        return round(dt.datetime.fromisoformat(moment).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise OkxError("50112") from None


def _not_found() -> Reply:
    body = {"code": "404", "data": {}, "detailMsg": "", "error_code": "404", "error_message": "Not Found"}
    return Reply(404, orjson.dumps({**body, "msg": "Not Found"}), content_type=_KIND, weight=1)
