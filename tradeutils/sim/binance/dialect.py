"""
The endpoints: their parameters, their weights, and who may call them.

Weights, error codes, messages and HTTP statuses are those of Binance's documentation of its spot API (2025).
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from typing import Any, ClassVar, Final

import orjson

from tradeutils.sim.binance import futures
from tradeutils.sim.binance import parameters as p
from tradeutils.sim.binance.account import AccountData
from tradeutils.sim.binance.endpoints import Endpoint, public, signed
from tradeutils.sim.binance.errors import BinanceError, of_refusal, of_timestamp, spelt
from tradeutils.sim.binance.feeds import BinanceFeeds
from tradeutils.sim.binance.futures_account import FuturesAccount
from tradeutils.sim.binance.futures_data import FuturesData
from tradeutils.sim.binance.futures_orders import FuturesOrders
from tradeutils.sim.binance.listen_keys import ListenKeyData
from tradeutils.sim.binance.listing import describe_instrument, describe_limits
from tradeutils.sim.binance.market_data import MarketData, depth_weight, tickers_weight
from tradeutils.sim.binance.spot_orders import NEW_ORDER, SpotOrders
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import FeedDialect
from tradeutils.sim.ledger import SimulatedAccount
from tradeutils.sim.limits import Refusal

__all__ = ["BinanceDialect"]

_KEY: Final = re.compile(r"[A-Za-z0-9]{64}")
_NGINX: Final = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)
_NO_HEADERS: Final = ("funding", "data")  # pools whose counts are not told
_REASONS: Final = {
    400: "400 Bad Request",
    404: "404 Not Found",
    405: "405 Not Allowed",
    413: "413 Request Entity Too Large",
}


class BinanceDialect:
    """
    Answers calls as Binance's spot and USD-M futures APIs do.

    Parameters
    ----------
    venue : Venue
        The market, the clock and the accounts. Its listing is served as it is; its instruments are those listed there.

    Notes
    -----
    Not spoken: iceberg, trailing and list orders, cancel-replace, self-trade prevention, time zones
    of klines; of the futures batch orders, hedge mode, isolated margin and liquidation; of margin all but what is held.
    Nothing is finer than a minute, so klines of ``1s`` are an empty list, as are the ``dapi`` markets. Futures are paid
    from a wallet of their own, unless the account is ``unified``.
    """

    linear: ClassVar = True
    wallets: ClassVar[tuple[str, ...]] = ("funding", "margin", "swap")
    feeds: ClassVar[type[FeedDialect]] = BinanceFeeds

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._data = MarketData(venue)
        self._account = AccountData(venue, self._data)
        self._orders = SpotOrders(venue, self._data)
        self._recorded = venue.listing
        self._listed: dict[str, Any] | None = None
        self._gate = venue.gate
        self._limits = describe_limits(venue.gate.limits)
        self._endpoints = {**self._public(), **self._signed(), **self._wallet(), **self._derivatives()}
        self._paths = {path for _, path in self._endpoints}

    def _public(self) -> dict[tuple[str, str], Endpoint]:
        data, which = self._data, (p.symbol(), p.symbols())
        one, limit, start, end = p.symbol(mandatory=True), p.long("limit"), p.long("startTime"), p.long("endTime")
        klines = (one, p.interval(), start, end, p.text("timeZone"), limit)
        day_type = p.choice("type", ("FULL", "MINI"), -1139)
        several = lambda values: 2 if "symbol" in values else 4  # noqa: E731  # a weight, one line where it is used
        listing = (
            *which, p.text("permissions"), p.boolean("showPermissionSets"),
            p.choice("symbolStatus", ("TRADING", "HALT", "BREAK"), -1122),
        )  # fmt: skip
        return {
            ("GET", "/api/v3/ping"): public(data.ping, 1),
            ("GET", "/api/v3/time"): public(data.time, 1),
            ("GET", "/api/v3/exchangeInfo"): Endpoint(self._listing, 20, listing, "none"),
            ("GET", "/api/v3/klines"): Endpoint(data.klines, 2, klines, "none"),
            ("GET", "/api/v3/uiKlines"): Endpoint(data.klines, 2, klines, "none"),
            ("GET", "/api/v3/ticker/24hr"): Endpoint(data.day, tickers_weight, (*which, day_type), "none"),
            ("GET", "/api/v3/ticker/price"): Endpoint(data.price, several, which, "none"),
            ("GET", "/api/v3/ticker/bookTicker"): Endpoint(data.book_ticker, several, which, "none"),
            ("GET", "/api/v3/avgPrice"): Endpoint(data.average, 2, (one,), "none"),
            ("GET", "/api/v3/depth"): Endpoint(data.depth, depth_weight, (one, limit), "none"),
            ("GET", "/api/v3/trades"): Endpoint(data.trades, 25, (one, limit), "none"),
            ("GET", "/api/v3/historicalTrades"): Endpoint(data.trades, 25, (one, limit, p.long("fromId")), "key"),
            ("GET", "/api/v3/aggTrades"): Endpoint(
                data.aggregated_trades, 4, (one, p.long("fromId"), start, end, limit), "none"
            ),
        }

    def _signed(self) -> dict[tuple[str, str], Endpoint]:
        account, orders, one = self._account, self._orders, p.symbol(mandatory=True)
        start, end, limit = p.long("startTime"), p.long("endTime"), p.long("limit")
        number, name = p.long("orderId"), p.client_id("origClientOrderId")
        restrictions = p.choice("cancelRestrictions", ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"), -1130)
        cancel = (one, number, name, p.client_id("newClientOrderId"), restrictions)
        return {
            ("GET", "/api/v3/account"): signed(account.account, 20, p.boolean("omitZeroBalances")),
            ("GET", "/api/v3/account/commission"): signed(account.commission, 20, one),
            ("POST", "/api/v3/order"): signed(orders.new_order, 1, *NEW_ORDER, places=True),
            ("POST", "/api/v3/order/test"): signed(orders.check_order, 1, *NEW_ORDER),
            ("GET", "/api/v3/order"): signed(orders.order, 4, one, number, name),
            ("DELETE", "/api/v3/order"): signed(orders.cancel_order, 1, *cancel),
            ("DELETE", "/api/v3/openOrders"): signed(orders.cancel_all, 1, one),
            ("GET", "/api/v3/openOrders"): signed(
                orders.open_orders, lambda values: 6 if "symbol" in values else 80, p.symbol()
            ),
            ("GET", "/api/v3/allOrders"): signed(orders.all_orders, 20, one, number, start, end, limit),
            ("GET", "/api/v3/myTrades"): signed(
                orders.my_trades,
                lambda values: 5 if "orderId" in values else 20,
                *(one, number, start, end, p.long("fromId"), limit),
            ),
            ("GET", "/api/v3/rateLimit/order"): signed(self._order_usage, 40),
        }

    def _wallet(self) -> dict[tuple[str, str], Endpoint]:
        account = self._account
        return {
            ("GET", "/sapi/v1/system/status"): public(lambda _: {"status": 0, "msg": "normal"}, 1),
            ("GET", "/sapi/v1/capital/config/getall"): signed(account.coins, 10),
            ("GET", "/sapi/v1/margin/allPairs"): signed(account.margin_pairs, 1, p.symbol()),
            ("GET", "/sapi/v1/margin/isolated/allPairs"): signed(account.margin_pairs, 10, p.symbol()),
            ("POST", "/sapi/v1/asset/get-funding-asset"): signed(account.funding, 1),
            ("GET", "/sapi/v1/margin/account"): signed(account.margin, 10),
            ("GET", "/sapi/v1/margin/isolated/account"): signed(account.isolated, 10),
            ("GET", "/sapi/v1/asset/tradeFee"): signed(account.trade_fee, 1, p.symbol()),
        }

    def _derivatives(self) -> dict[tuple[str, str], Endpoint]:
        empty = {"timezone": "UTC", "rateLimits": [], "exchangeFilters": [], "assets": [], "symbols": []}
        data = FuturesData(self._venue)
        return {
            **futures.public_endpoints(data),
            **futures.account_endpoints(FuturesAccount(self._venue, data)),
            **futures.order_endpoints(FuturesOrders(self._venue, data)),
            **futures.stream_endpoints(ListenKeyData(self._venue)),
            ("GET", "/dapi/v1/account"): signed(lambda *_: {"assets": [], "positions": []}, 5),
            ("GET", "/dapi/v1/ping"): public(self._data.ping, 1),
            ("GET", "/dapi/v1/time"): public(self._data.time, 1),
            ("GET", "/dapi/v1/exchangeInfo"): public(lambda values: {**empty, **self._data.time(values)}, 1),
        }

    def respond(self, call: Call) -> Reply:
        """Answer a call; whatever is wrong with it is answered as Binance does."""
        endpoint = self._endpoints.get((call.method, call.path))
        if endpoint is None:
            return self.refuse(405 if call.path in self._paths else 404)
        weight = endpoint.weigh({"symbol": ""})
        wrong: BinanceError | None = None
        try:
            values, account = self._admit(endpoint, call)
            weight = endpoint.weigh(values)
        except BinanceError as error:
            wrong = error
        headers, refusal = self._count(call, weight)  # what is wrong counts too
        status, order = 200, None
        try:
            if refusal is not None:
                headers["Retry-After"] = str(max(1, math.ceil(refusal.wait)))
                raise of_refusal(refusal, self._venue.clock.now())
            if wrong is not None:
                raise wrong
            if account is None:
                answer = endpoint.answer(values)
            elif not endpoint.places:
                answer = endpoint.answer(account, values)
            else:
                answer = self._place(endpoint, account, values, headers, _pool(call.path) or "api")
                order = answer.get("clientOrderId") or answer.get("clientAlgoId")
        except BinanceError as error:
            status, answer = error.status, {"code": error.code, "msg": error.message}
        body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        return Reply(status, body, headers, weight=weight, route=call.path, order=order)

    def _place(
        self, endpoint: Endpoint, account: SimulatedAccount, values: dict[str, Any], headers: dict[str, str], pool: str
    ) -> Any:
        """Place an order of an account that may still place one, and tell in the headers how many it placed."""
        window = self._gate.too_many_orders(account.key, pool)
        if window is not None:
            message = f"Too many new orders; current limit is {window.limit} orders per {spelt(window)}."
            raise BinanceError(-1015, message=message, status=429)
        answer = endpoint.answer(account, values)
        used = self._gate.order(account.key, pool)
        headers |= {f"x-mbx-order-count-{window}": str(count) for window, count in used.items()}
        return answer

    def refuse(self, status: int) -> Reply:
        """Answer a call that no endpoint takes, as the web server before Binance does."""
        if status == 408:
            error = BinanceError(-1007)
            return Reply(408, orjson.dumps({"code": error.code, "msg": error.message}))
        page = _NGINX.format(_REASONS.get(status, str(status)))
        return Reply(status, page.encode(), content_type="text/html")

    def _admit(self, endpoint: Endpoint, call: Call) -> tuple[dict[str, Any], SimulatedAccount | None]:
        """Return the parameters of a call and, where it is signed, whose it is."""
        raw = p.raw_parameters(call)
        key = call.headers.get("x-mbx-apikey", "")
        if endpoint.security == "none":
            return p.read(raw, endpoint.parameters), None
        account = self._venue.ledger.account(key)
        if account is None:
            raise BinanceError(-2015 if _KEY.fullmatch(key) else -2014)
        values = p.read(raw, endpoint.parameters)
        if endpoint.security == "key":
            return values, account if endpoint.personal else None
        window = values.pop("recvWindow", p.RECV_WINDOW[0])
        if window > p.RECV_WINDOW[1]:
            raise BinanceError(-1131)
        freshness = self._venue.clock.freshness(values.pop("timestamp"), window)
        if freshness != "fresh":
            raise of_timestamp(freshness)
        made = hmac.new(account.secret.encode(), p.payload_of(call), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made, values.pop("signature").lower()):
            raise BinanceError(-1022)
        return values, account

    def _count(self, call: Call, weight: int) -> tuple[dict[str, str], Refusal | None]:
        """Count a call towards what its address may ask; return the headers that tell, and the refusal if any."""
        pool = _pool(call.path)
        if pool is None:
            return {}, None
        used, refusal = self._gate.charge(call.remote, 1 if pool in _NO_HEADERS else weight, pool)
        if pool in _NO_HEADERS:
            return {}, refusal
        name, count = next((name, str(count)) for name, count in used.items())
        if pool == "sapi":
            return {f"x-sapi-used-ip-weight-{name}": count}, refusal
        return {"x-mbx-used-weight": count, f"x-mbx-used-weight-{name}": count}, refusal

    def _order_usage(self, account: SimulatedAccount, _values: dict[str, Any]) -> Any:
        used = self._gate.orders_of(account.key)
        limits = [limit for limit in self._limits if limit["rateLimitType"] == "ORDERS"]
        return [{**limit, "count": count} for limit, count in zip(limits, used.values(), strict=True)]

    def _listing(self, values: dict[str, Any]) -> Any:
        """Return the list of markets: the recorded one, byte for byte where nothing was asked to be left out."""
        if self._recorded is not None and not values:
            return self._recorded
        if self._listed is None:
            self._listed = self._own_listing() if self._recorded is None else orjson.loads(self._recorded)
        wanted = {instrument.id for instrument in self._data.chosen(values)}
        rows = [
            row
            for row in self._listed["symbols"]
            if row["symbol"] in wanted and row["status"] == values.get("symbolStatus", row["status"])
        ]
        served = {} if self._recorded is not None else self._data.time({})
        return {**self._listed, **served, "symbols": rows}

    def _own_listing(self) -> dict[str, Any]:
        return {
            "timezone": "UTC",
            "serverTime": 0,
            "rateLimits": self._limits,
            "exchangeFilters": [],
            "symbols": [describe_instrument(instrument) for instrument in self._venue.market.traded("spot").values()],
        }


def _pool(path: str) -> str | None:
    """Return by whose limits a call is counted; ``None`` where it is not."""
    if path.startswith(("/fapi/v1/fundingRate", "/fapi/v1/fundingInfo")):
        return "funding"
    name = path.split("/")[1]
    return {"api": "api", "sapi": "sapi", "fapi": "fapi", "futures": "data"}.get(name)
