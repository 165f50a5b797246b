"""The bybit dialect without a socket: parameters, pages, signatures, limits, and what hostile callers get."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils import sim
from tradeutils.errors import UsageError
from tradeutils.model import Candles
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, GeneratedMarket, VirtualClock
from tradeutils.sim.bybit import BybitDialect
from tradeutils.sim.catalogue import generated_instruments, generated_swaps
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.limits import Gate, Limits

_MARKET = GeneratedMarket([*generated_instruments(8), *generated_swaps(6)])
_MINUTE = 60_000


class Bybit:
    """A venue of its own that is called without a socket."""

    def __init__(self, market: sim.GeneratedMarket | sim.ReplayMarket = _MARKET, **limits: Any) -> None:
        self.wall = 1e9
        self.clock = VirtualClock(market.now, strict=True)
        self.gate = Gate(Limits(**limits) if limits else Limits.of("bybit"), clock=lambda: self.wall)
        self.ledger = Ledger(market, [DEFAULT_ACCOUNT])
        self.dialect = BybitDialect(Venue(market, self.clock, self.ledger, self.gate))

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the result of a public call."""
        return self.result(self.dialect.respond(Call("GET", path, urllib.parse.urlencode(parameters))))

    def call(self, method: str, path: str, **parameters: Any) -> Reply:
        """Return the answer to a private call."""
        return self.dialect.respond(self.signed(method, path, parameters))

    def ask(self, path: str, **parameters: Any) -> Any:
        """Return the result of a private call that reads."""
        return self.result(self.call("GET", path, **parameters))

    def do(self, path: str, **parameters: Any) -> Any:
        """Return the result of a private call that changes something."""
        return self.result(self.call("POST", path, **parameters))

    def signed(
        self,
        method: str,
        path: str,
        parameters: dict[str, Any],
        *,
        age: int = 0,
        window: str | None = "5000",
        secret: str = DEFAULT_ACCOUNT.secret,
        key: str = DEFAULT_ACCOUNT.key,
    ) -> Call:
        """Return a private call as ccxt signs it."""
        query = "" if method == "POST" else urllib.parse.urlencode(parameters)
        body = json.dumps(parameters).encode() if method == "POST" else b""
        moment = str(self.clock.now() - age)
        payload = f"{moment}{key}{window or '5000'}".encode() + (body or query.encode())
        headers = {
            "x-bapi-api-key": key,
            "x-bapi-timestamp": moment,
            "x-bapi-sign": hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest(),
        }
        if window is not None:
            headers["x-bapi-recv-window"] = window
        return Call(method, path, query, body, headers)

    @staticmethod
    def result(reply: Reply) -> Any:
        """Return the result of an answer that says yes."""
        told = json.loads(reply.body)
        assert (reply.status, told["retCode"], told["retMsg"]) == (200, 0, "OK"), told
        return told["result"]


def code(reply: Reply) -> int:
    """Return the code of an answer."""
    assert reply.status == 200
    return int(json.loads(reply.body)["retCode"])


@pytest.fixture
def bybit() -> Bybit:
    """A venue with the limits of the real one."""
    return Bybit()


def test_envelope_tells_the_venues_time(bybit: Bybit) -> None:
    """In seconds and nanoseconds too, and beside every answer."""
    told = json.loads(bybit.dialect.respond(Call("GET", "/v5/market/time")).body)
    assert set(told) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
    assert told["time"] == DEFAULT_NOW
    assert told["result"] == {"timeSecond": str(DEFAULT_NOW // 1000), "timeNano": f"{DEFAULT_NOW}000000"}


def test_linear_instruments_come_in_pages(bybit: Bybit) -> None:
    """Each once, by the cursor of the page before; the last page has none, and spot comes at once."""
    names: list[str] = []
    cursor = ""
    for size in (4, 2):
        page = bybit.get("/v5/market/instruments-info", category="linear", limit=4, cursor=cursor)
        assert len(page["list"]) == size
        names += [row["symbol"] for row in page["list"]]
        cursor = page["nextPageCursor"]
    assert (cursor, names) == ("", list(_MARKET.traded("linear")))
    spot = bybit.get("/v5/market/instruments-info", category="spot", limit=4)
    assert [row["symbol"] for row in spot["list"]] == list(_MARKET.traded("spot"))
    assert "nextPageCursor" not in spot


def test_instruments_are_listed_with_their_rules(bybit: Bybit) -> None:
    """As the market has them, figures as text; of other categories and states there are none."""
    (row,) = bybit.get("/v5/market/instruments-info", category="linear", symbol="ETHUSDT")["list"]
    swap = _MARKET.instruments["ETHUSDT-PERP"]
    assert row["lotSizeFilter"]["qtyStep"] == str(swap.amount_step)
    assert row["priceFilter"]["tickSize"] == str(swap.price_step)
    assert (row["settleCoin"], row["fundingInterval"], row["status"]) == ("USDT", 480, "Trading")
    for category in ("inverse", "option"):
        assert bybit.get("/v5/market/instruments-info", category=category)["list"] == []
    assert bybit.get("/v5/market/instruments-info", category="linear", status="PreLaunch")["list"] == []
    assert bybit.get("/v5/market/instruments-info", category="spot", baseCoin="ETH")["list"][0]["baseCoin"] == "ETH"


def test_closed_markets_are_listed_on_request_alone() -> None:
    """What is not traded is no part of the list that is sent by default."""
    halted = dataclasses.replace(generated_instruments(2)[1], active=False)
    bybit = Bybit(GeneratedMarket([generated_instruments(1)[0], halted]))
    path = "/v5/market/instruments-info"
    assert [row["symbol"] for row in bybit.get(path, category="spot")["list"]] == ["BTCUSDT"]
    assert [row["symbol"] for row in bybit.get(path, category="spot", status="Closed")["list"]] == ["ETHUSDT"]
    order = {"side": "Buy", "orderType": "Limit", "qty": "1", "price": "3000"}
    assert code(bybit.call("POST", "/v5/order/create", category="spot", symbol="ETHUSDT", **order)) == 170151


def test_candles_come_newest_first_and_are_those_of_the_market(bybit: Bybit) -> None:
    """As text, with the one that is forming in front; 200 by default, 1000 at most."""
    result = bybit.get("/v5/market/kline", category="spot", symbol="BTCUSDT", interval="5")
    klines = _MARKET.klines("BTCUSDT", "5m", DEFAULT_NOW, limit=200)
    assert [int(row[0]) for row in result["list"]] == klines.candles.time[::-1].tolist()
    for at, column in enumerate((klines.candles.open, klines.candles.high, klines.candles.low, klines.candles.close)):
        assert [float(row[at + 1]) for row in result["list"]] == column[::-1].tolist()
    assert [float(row[5]) for row in result["list"]] == klines.candles.volume[::-1].tolist()
    assert [float(row[6]) for row in result["list"]] == klines.quote_volume[::-1].tolist()
    assert len(bybit.get("/v5/market/kline", symbol="BTCUSDT", interval="1", limit=5000)["list"]) == 1000


def test_candles_of_a_range(bybit: Bybit) -> None:
    """From a start the oldest, up to an end the newest, between both the newest; both ends belong to it."""
    at = DEFAULT_NOW // _MINUTE * _MINUTE - 1000 * _MINUTE

    def opens(**parameters: int) -> list[int]:
        rows = bybit.get("/v5/market/kline", category="linear", symbol="BTCUSDT", interval="1", **parameters)["list"]
        return [(int(row[0]) - at) // _MINUTE for row in rows]

    assert opens(start=at, limit=3) == [2, 1, 0]
    assert opens(start=at + 1, limit=3) == [2, 1, 0]
    assert opens(end=at, limit=3) == [0, -1, -2]
    assert opens(start=at, end=at + 2 * _MINUTE) == [2, 1, 0]
    assert opens(start=at, end=at + 9 * _MINUTE, limit=2) == [9, 8]
    assert opens(start=at + 5 * _MINUTE, end=at) == []
    assert opens(start=DEFAULT_NOW + _MINUTE) == []
    assert opens(start=0, limit=1) == [(sim.HISTORY_START - at) // _MINUTE]


@pytest.mark.parametrize("kind", ["mark", "index"])
def test_mark_and_index_candles_have_no_volume(bybit: Bybit, kind: str) -> None:
    """Those of the market, newest first; spot has none."""
    path, source = f"/v5/market/{kind}-price-kline", getattr(_MARKET, f"{kind}_klines")
    rows = bybit.get(path, category="linear", symbol="ETHUSDT", interval="60", limit=3)["list"]
    candles = source("ETHUSDT-PERP", "1h", DEFAULT_NOW, limit=3).candles
    assert [float(row[4]) for row in rows] == candles.close[::-1].tolist()
    assert {len(row) for row in rows} == {5}
    spot = Call("GET", path, "category=spot&symbol=ETHUSDT&interval=60")
    assert code(bybit.dialect.respond(spot)) == 10001


@pytest.mark.parametrize(
    ("category", "levels", "most", "trades", "most_trades"), [("spot", 1, 200, 60, 60), ("linear", 25, 500, 500, 1000)]
)
def test_books_and_trades_have_limits_of_their_own(
    bybit: Bybit, category: str, levels: int, most: int, trades: int, most_trades: int
) -> None:
    """Of spot fewer than of linear; what is beyond is cut."""
    which = {"category": category, "symbol": "BTCUSDT"}
    id = "BTCUSDT" if category == "spot" else "BTCUSDT-PERP"  # noqa: A001  # the field's word
    assert len(bybit.get("/v5/market/orderbook", **which)["b"]) == levels
    book = bybit.get("/v5/market/orderbook", **which, limit=5000)
    bids, asks = _MARKET.book(id, DEFAULT_NOW, most)
    assert [[float(text) for text in row] for row in book["b"]] == bids.tolist()
    assert [[float(text) for text in row] for row in book["a"]] == asks.tolist()
    assert len(bybit.get("/v5/market/recent-trade", **which)["list"]) == trades
    told = bybit.get("/v5/market/recent-trade", **which, limit=5000)["list"]
    own = _MARKET.trades(id, DEFAULT_NOW, limit=most_trades)
    assert [row["execId"] for row in told] == [str(number) for number in own.id[::-1]]
    assert [row["side"] for row in told] == ["Sell" if sold else "Buy" for sold in own.buyer_is_maker[::-1]]


def test_tickers_of_swaps_tell_funding_and_open_interest(bybit: Bybit) -> None:
    """With mark and index; those of spot do not, and ccxt tells them apart by that."""
    (row,) = bybit.get("/v5/market/tickers", category="linear", symbol="BTCUSDT")["list"]
    funding = _MARKET.funding("BTCUSDT-PERP", DEFAULT_NOW)
    assert float(row["fundingRate"]) == funding.rate
    assert (float(row["markPrice"]), float(row["indexPrice"])) == (funding.mark, funding.index)
    assert row["nextFundingTime"] == str(funding.next_time)
    assert float(row["openInterest"]) == _MARKET.open_interest("BTCUSDT-PERP", DEFAULT_NOW).amount
    hour = _MARKET.klines("BTCUSDT-PERP", "1m", DEFAULT_NOW, since=DEFAULT_NOW - 3_630_000, limit=1).candles
    assert float(row["prevPrice1h"]) == hour.open[0]
    spot = bybit.get("/v5/market/tickers", category="spot")["list"]
    assert len(spot) == 8
    assert "openInterestValue" not in spot[0]


def test_settlements_of_funding(bybit: Bybit) -> None:
    """Newest first, up to an end; a start needs one."""
    path, which = "/v5/market/funding/history", {"category": "linear", "symbol": "BTCUSDT"}
    rows = bybit.get(path, **which)["list"]
    own = _MARKET.funding_history("BTCUSDT-PERP", DEFAULT_NOW, limit=200)
    assert [(int(row["fundingRateTimestamp"]), float(row["fundingRate"])) for row in rows] == own[::-1]
    end = own[-3][0]
    some = bybit.get(path, **which, startTime=own[-5][0], endTime=end, limit=2)["list"]
    assert [int(row["fundingRateTimestamp"]) for row in some] == [own[-3][0], own[-4][0]]
    only = Call("GET", path, urllib.parse.urlencode({**which, "startTime": end}))
    assert code(bybit.dialect.respond(only)) == 10001


def test_open_interest_comes_in_pages(bybit: Bybit) -> None:
    """Newest first; the pages of a range join without a gap, and the last has no cursor."""
    path = "/v5/market/open-interest"
    which = {"category": "linear", "symbol": "BTCUSDT", "intervalTime": "1h", "startTime": DEFAULT_NOW - 9 * 3_600_000}
    found: list[str] = []
    cursor = ""
    for _ in range(3):
        page = bybit.get(path, **which, limit=4, cursor=cursor)
        found += [row["timestamp"] for row in page["list"]]
        cursor = page["nextPageCursor"]
    assert cursor == ""
    newest = DEFAULT_NOW // 3_600_000 * 3_600_000
    assert found == [str(newest - hour * 3_600_000) for hour in range(9)]
    own = _MARKET.open_interest_history("BTCUSDT-PERP", "1h", DEFAULT_NOW, limit=1)
    (row,) = bybit.get(path, **which, endTime=newest, limit=1)["list"]
    assert float(row["openInterest"]) == own[0].amount


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("market/instruments-info", ""),
        ("market/instruments-info", "category=margin"),
        ("market/instruments-info", "category=linear&limit=0"),
        ("market/instruments-info", "category=linear&cursor=x"),
        ("market/tickers", "category=spot&symbol=NOPE"),
        ("market/tickers", "category=inverse&symbol=BTCUSDT"),
        ("market/kline", "category=spot&interval=1"),
        ("market/kline", "category=spot&symbol=BTCUSDT"),
        ("market/kline", "category=spot&symbol=BTCUSDT&interval=7"),
        ("market/kline", "category=spot&symbol=BTCUSDT&interval=1&start=-1"),
        ("market/kline", "category=spot&symbol=BTCUSDT&interval=1&start=99999999999999999999"),
        ("market/kline", "category=spot&symbol=BTCUSDT&interval=1&limit=%C2%B2"),
        ("market/funding/history", "category=spot&symbol=BTCUSDT"),
        ("market/open-interest", "category=linear&symbol=BTCUSDT&intervalTime=1m"),
        ("market/tickers", "&".join(f"a{number}=1" for number in range(100))),
    ],
)
def test_public_calls_that_bybit_refuses(bybit: Bybit, path: str, query: str) -> None:
    """With a status of 200 and the code for parameters that are wrong."""
    assert code(bybit.dialect.respond(Call("GET", f"/v5/{path}", query))) == 10001


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v5/nothing"), ("POST", "/v5/market/time"), ("GET", "/v5/order/create"), ("PUT", "/")]
)
def test_unknown_paths_are_not_found(bybit: Bybit, method: str, path: str) -> None:
    """404 and no JSON, as are known ones with another method."""
    reply = bybit.dialect.respond(Call(method, path))
    assert (reply.status, reply.body, reply.route) == (404, b"404 page not found", "unknown")


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({}, 0),
        ({"window": None}, 0),
        ({"age": 5_000}, 0),
        ({"age": -999}, 0),
        ({"age": 5_001}, 10002),
        ({"age": -1_000}, 10002),
        ({"age": 5_001, "window": "6000"}, 0),
        ({"window": "soon"}, 10001),
        ({"window": "9" * 17}, 10001),
        ({"secret": "another"}, 10004),
        ({"key": "another"}, 10003),
        ({"key": ""}, 10001),
    ],
)
def test_signatures_are_judged_by_the_venues_clock(bybit: Bybit, changed: dict[str, Any], answer: int) -> None:
    """Not older than the window, less than a second ahead, by a known key and with its secret."""
    for method, path, parameters in (
        ("GET", "/v5/account/wallet-balance", {"accountType": "UNIFIED"}),
        ("POST", "/v5/order/cancel-all", {"category": "spot"}),
    ):
        assert code(bybit.dialect.respond(bybit.signed(method, path, parameters, **changed))) == answer


def test_signature_covers_what_was_sent(bybit: Bybit) -> None:
    """A query or body that was changed on the way is refused, and a signature that is no text of ASCII too."""
    call = bybit.signed("GET", "/v5/account/wallet-balance", {"accountType": "UNIFIED"})
    assert code(bybit.dialect.respond(dataclasses.replace(call, query="accountType=UNIFIED&coin=BTC"))) == 10004
    call = bybit.signed("POST", "/v5/order/cancel-all", {"category": "spot"})
    assert code(bybit.dialect.respond(dataclasses.replace(call, body=b'{"category":"linear"}'))) == 10004
    odd = {**call.headers, "x-bapi-sign": "\xff\udcff"}
    assert code(bybit.dialect.respond(dataclasses.replace(call, headers=odd))) == 10004


def test_account_is_a_unified_one(bybit: Bybit) -> None:
    """As ccxt asks to learn, with the fees of its markets and the coins there are."""
    assert bybit.ask("/v5/user/query-api")["uta"] == 1
    assert bybit.ask("/v5/account/info")["unifiedMarginStatus"] == 6
    (row,) = bybit.ask("/v5/account/fee-rate", category="spot", symbol="ETHUSDT")["list"]
    assert (row["symbol"], row["makerFeeRate"], row["takerFeeRate"]) == ("ETHUSDT", "0.001", "0.001")
    assert len(bybit.ask("/v5/account/fee-rate")["list"]) == 6
    coins = {row["coin"] for row in bybit.ask("/v5/asset/coin/query-info")["rows"]}
    assert {"BTC", "USDT", "XDROP"} <= coins
    assert len(bybit.ask("/v5/asset/coin/query-info", coin="BTC")["rows"]) == 1


def test_wallet_tells_totals_and_what_is_locked(bybit: Bybit) -> None:
    """Of coins that are held, or of those named; a wallet that is not unified is none."""
    bybit.do("/v5/order/create", **limit_order(qty="0.01", price="60000"))
    (wallet,) = bybit.ask("/v5/account/wallet-balance", accountType="UNIFIED")["list"]
    held = {coin["coin"]: (Decimal(coin["walletBalance"]), Decimal(coin["locked"])) for coin in wallet["coin"]}
    assert held["USDT"] == (10_000, 600)
    assert held["BTC"] == (Decimal("0.5"), 0)
    (wallet,) = bybit.ask("/v5/account/wallet-balance", accountType="UNIFIED", coin="BTC,DOGE")["list"]
    assert [coin["walletBalance"] for coin in wallet["coin"]] == ["0.50000000", "0"]
    assert code(bybit.call("GET", "/v5/account/wallet-balance", accountType="CONTRACT")) == 10001


def limit_order(**changed: Any) -> dict[str, Any]:
    """Return the parameters of an order that rests."""
    order = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001"}
    return {name: value for name, value in ({**order, "price": "60000"} | changed).items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"side": "Hold"}, 10001),
        ({"side": None}, 10001),
        ({"orderType": "Hope"}, 10001),
        ({"qty": None}, 10001),
        ({"qty": "0"}, 10001),
        ({"qty": "1e-3"}, 10001),
        ({"qty": "NaN"}, 10001),
        ({"qty": ["1"]}, 10001),
        ({"price": None}, 10001),
        ({"price": "0"}, 10001),
        ({"timeInForce": "Forever"}, 10001),
        ({"orderLinkId": "has space"}, 10001),
        ({"orderLinkId": "x" * 37}, 10001),
        ({"symbol": "NOPE"}, 10001),
        ({"price": "60000.001"}, 170134),
        ({"qty": "0.0000001"}, 170136),
        ({"qty": "0.0000101"}, 170137),
        ({"qty": "9000000001"}, 170135),
        ({"qty": "0.00001"}, 170140),
        ({"price": "1000"}, 170132),
        ({"qty": "9"}, 170131),
        ({"price": "90000", "timeInForce": "PostOnly"}, 170218),
    ],
)
def test_spot_orders_that_bybit_refuses(bybit: Bybit, changed: dict[str, Any], answer: int) -> None:
    """Each with its own code, and nothing is placed."""
    assert code(bybit.call("POST", "/v5/order/create", **limit_order(**changed))) == answer
    assert bybit.ledger.orders(DEFAULT_ACCOUNT.key, DEFAULT_NOW) == []


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"\xff", b'{"a":' * 2000, json.dumps({str(n): 1 for n in range(99)}).encode()]
)
def test_bodies_that_are_no_parameters(bybit: Bybit, body: bytes) -> None:
    """They are refused, if properly signed."""
    moment = str(bybit.clock.now())
    payload = f"{moment}{DEFAULT_ACCOUNT.key}5000".encode() + body
    signature = hmac.new(DEFAULT_ACCOUNT.secret.encode(), payload, hashlib.sha256).hexdigest()
    headers = {"x-bapi-api-key": DEFAULT_ACCOUNT.key, "x-bapi-timestamp": moment, "x-bapi-sign": signature}
    assert code(bybit.dialect.respond(Call("POST", "/v5/order/create", "", body, headers))) == 10001


@pytest.mark.parametrize(
    ("side", "unit", "in_quote"),
    [("Buy", None, True), ("Buy", "baseCoin", False), ("Sell", None, False), ("Sell", "quoteCoin", True)],
)
def test_market_orders_of_spot_count_in_base_or_quote(
    bybit: Bybit, side: str, unit: str | None, in_quote: bool
) -> None:
    """A buy counts in quote unless it says otherwise, a sell in base."""
    quantity = "100" if in_quote else "0.002"
    order = {"category": "spot", "symbol": "BTCUSDT", "side": side, "orderType": "Market", "qty": quantity}
    placed = bybit.do("/v5/order/create", **order, **({} if unit is None else {"marketUnit": unit}))
    (row,) = bybit.ask("/v5/order/realtime", category="spot", orderId=placed["orderId"])["list"]
    assert (row["orderStatus"], row["qty"][:5], row["marketUnit"]) == (
        "Filled",
        quantity,
        "quoteCoin" if in_quote else "baseCoin",
    )
    cost = Decimal(row["cumExecValue"])
    assert (99 < cost <= 100) if in_quote else Decimal(row["cumExecQty"]) == Decimal("0.002")


def test_market_order_by_cost_may_wait_for_a_price(bybit: Bybit) -> None:
    """It spends what it may once the price is reached, and not before."""
    (ticker,) = bybit.get("/v5/market/tickers", category="spot", symbol="BTCUSDT")["list"]
    wait = {
        "side": "Buy",
        "orderType": "Market",
        "qty": "500",
        "triggerPrice": f"{float(ticker['lastPrice']) + 500:.2f}",
    }
    placed = bybit.do("/v5/order/create", category="spot", symbol="BTCUSDT", **wait)
    which = {"category": "spot", "orderId": placed["orderId"]}
    for _ in range(400):
        (row,) = bybit.ask("/v5/order/realtime", **which)["list"]
        if row["orderStatus"] != "Untriggered":
            break
        assert row["cumExecValue"] == "0"
        bybit.clock.step("1h")
        bybit.wall += 1
    assert (row["orderStatus"], row["marketUnit"], row["qty"]) == ("Filled", "quoteCoin", "500")
    assert 499 < Decimal(row["cumExecValue"]) <= 500


def test_client_id_is_taken_for_ever(bybit: Bybit) -> None:
    """Even after its order is over, unlike on other venues."""
    bybit.do("/v5/order/create", **limit_order(orderLinkId="mine"))
    assert code(bybit.call("POST", "/v5/order/create", **limit_order(orderLinkId="mine"))) == 170141
    bybit.do("/v5/order/cancel", category="spot", symbol="BTCUSDT", orderLinkId="mine")
    assert code(bybit.call("POST", "/v5/order/create", **limit_order(orderLinkId="mine"))) == 170141


def test_cancels_name_an_order_that_is_open(bybit: Bybit) -> None:
    """By either id; of one that is over, of another market or of no one, the answer is that there is none."""
    placed = bybit.do("/v5/order/create", **limit_order())
    which = {"category": "spot", "symbol": "BTCUSDT", "orderId": placed["orderId"]}
    path = "/v5/order/cancel"
    assert code(bybit.call("POST", path, category="spot", symbol="BTCUSDT")) == 10001
    assert code(bybit.call("POST", path, **{**which, "orderId": "nobody"})) == 170213
    assert code(bybit.call("POST", path, **{**which, "symbol": "ETHUSDT"})) == 170213
    assert code(bybit.call("POST", path, **{**which, "category": "linear"})) == 110001
    assert code(bybit.call("POST", path, **which, orderFilter="StopOrder")) == 170213
    assert bybit.do(path, **which) == {"orderId": placed["orderId"], "orderLinkId": ""}
    assert code(bybit.call("POST", path, **which)) == 170213


def swap_order(**changed: Any) -> dict[str, Any]:
    """Return the parameters of an order that buys a swap at once."""
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.1"}
    return {name: value for name, value in (order | changed).items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"qty": "0"}, 10001),
        ({"qty": "0", "reduceOnly": True}, 10001),
        ({"qty": "0.0000101"}, 10001),
        ({"orderType": "Limit", "price": "60000.001"}, 10001),
        ({"orderType": "Limit", "price": "1000"}, 110003),
        ({"qty": "0.00001"}, 110094),
        ({"qty": "9"}, 110007),
        ({"reduceOnly": True}, 110017),
        ({"reduceOnly": "perhaps"}, 10001),
        ({"triggerPrice": "60000"}, 10001),
        ({"triggerPrice": "60000", "triggerDirection": 3}, 10001),
        ({"triggerPrice": "60000", "triggerDirection": 1}, 110092),
        ({"triggerPrice": "60000", "triggerDirection": 2, "triggerBy": "Hope"}, 10001),
        ({"triggerPrice": "60000.001", "triggerDirection": 2}, 10001),
    ],
)
def test_swap_orders_that_bybit_refuses(bybit: Bybit, changed: dict[str, Any], answer: int) -> None:
    """Each with its own code, which is another than in spot, and nothing is placed."""
    assert code(bybit.call("POST", "/v5/order/create", **swap_order(**changed))) == answer
    assert bybit.ledger.orders(DEFAULT_ACCOUNT.key, DEFAULT_NOW) == []


def test_client_id_of_a_swap_is_refused_with_its_own_code(bybit: Bybit) -> None:
    """110072, where spot has 170141."""
    bybit.do("/v5/order/create", **swap_order(orderLinkId="mine"))
    assert code(bybit.call("POST", "/v5/order/create", **swap_order(orderLinkId="mine"))) == 110072


def test_position_is_told_as_the_ledger_has_it(bybit: Bybit) -> None:
    """Size and side, what was paid, and what it would gain at the mark price; the wallet tells the margin."""
    bybit.do("/v5/order/create", **swap_order(side="Sell"))
    (position,) = bybit.ledger.positions(DEFAULT_ACCOUNT.key, DEFAULT_NOW)
    margin = bybit.ledger.margin(DEFAULT_ACCOUNT.key, DEFAULT_NOW)
    (row,) = bybit.ask("/v5/position/list", category="linear", settleCoin="USDT")["list"]
    assert (row["symbol"], row["side"], row["size"], row["leverage"]) == ("BTCUSDT", "Sell", "0.10000", "20")
    assert Decimal(row["positionValue"]) == -position.cost
    assert Decimal(row["unrealisedPnl"]) == bybit.ledger.unrealised(position, DEFAULT_NOW) == margin.unrealised
    assert (Decimal(row["positionIM"]), Decimal(row["positionMM"])) == (margin.positions, margin.maintenance)
    (coin,) = bybit.ask("/v5/account/wallet-balance", accountType="UNIFIED", coin="USDT")["list"][0]["coin"]
    assert (Decimal(coin["walletBalance"]), Decimal(coin["totalPositionIM"])) == (margin.wallet, margin.positions)
    assert Decimal(coin["equity"]) == margin.wallet + margin.unrealised
    (none,) = bybit.ask("/v5/position/list", category="linear", symbol="ETHUSDT")["list"]
    assert (none["side"], none["size"], none["positionValue"]) == ("", "0.0000", "")
    assert code(bybit.call("GET", "/v5/position/list", category="linear")) == 10001
    assert bybit.ask("/v5/position/list", category="inverse")["list"] == []


def test_positions_come_in_pages(bybit: Bybit) -> None:
    """By the cursor of the page before; the last page has none."""
    for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT"):
        bybit.do("/v5/order/create", **swap_order(symbol=symbol))
    which = {"category": "linear", "settleCoin": "USDT", "limit": 2}
    page = bybit.ask("/v5/position/list", **which)
    rest = bybit.ask("/v5/position/list", **which, cursor=page["nextPageCursor"])
    assert [row["symbol"] for row in (*page["list"], *rest["list"])] == ["BTCUSDT", "ETHUSDT", "BNBUSDT"]
    assert rest["nextPageCursor"] == ""


def test_reduce_only_orders_close_no_more_than_there_is(bybit: Bybit) -> None:
    """Cut to the position; of no size they close all of it."""
    bybit.do("/v5/order/create", **swap_order())
    placed = bybit.do("/v5/order/create", **swap_order(side="Sell", qty="0.04", reduceOnly=True))
    (row,) = bybit.ask("/v5/order/history", category="linear", orderId=placed["orderId"])["list"]
    assert (row["reduceOnly"], row["cumExecQty"], row["orderStatus"]) == (True, "0.04000", "Filled")
    bybit.do("/v5/order/create", **swap_order(side="Sell", qty="0", reduceOnly=True, closeOnTrigger=True))
    assert bybit.ledger.positions(DEFAULT_ACCOUNT.key, DEFAULT_NOW) == []
    (fill, *_) = bybit.ask("/v5/execution/list", category="linear")["list"]
    rate, fee = Decimal(fill["feeRate"]), Decimal(fill["execFee"])
    assert (rate, fill["feeCurrency"]) == (Decimal("0.0005"), "")
    assert fee == (Decimal(fill["execValue"]) * rate).quantize(Decimal("1e-8"), "ROUND_DOWN")


def test_leverage_is_chosen_for_both_sides(bybit: Bybit) -> None:
    """A whole number in the range; the same again is refused as no change."""
    path, which = "/v5/position/set-leverage", {"category": "linear", "symbol": "BTCUSDT"}
    bybit.do(path, **which, buyLeverage="5", sellLeverage="5")
    assert bybit.ledger.leverage(DEFAULT_ACCOUNT.key, "BTCUSDT-PERP") == 5
    assert code(bybit.call("POST", path, **which, buyLeverage="5", sellLeverage="5")) == 110043
    for buy, sell in (("5", "6"), ("0", "0"), ("2.5", "2.5"), ("126", "126"), ("", "")):
        assert code(bybit.call("POST", path, **which, buyLeverage=buy, sellLeverage=sell)) == 10001


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_orders_that_wait_for_a_price(bybit: Bybit, category: str) -> None:
    """They are listed apart, work once it is reached, and are gone without a trace of work where it is not."""
    (ticker,) = bybit.get("/v5/market/tickers", category=category, symbol="BTCUSDT")["list"]
    high = f"{float(ticker['lastPrice']) + 2000:.2f}"
    wait = {"category": category, "triggerPrice": high, "triggerDirection": 1}
    kind = {"category": category, "orderFilter": "StopOrder", "symbol": "BTCUSDT"}
    first = bybit.do("/v5/order/create", **swap_order(**wait, qty="0.001", marketUnit="baseCoin"))["orderId"]
    other = bybit.do("/v5/order/create", **swap_order(**wait, qty="0.001", marketUnit="baseCoin"))["orderId"]
    rows = bybit.ask("/v5/order/realtime", **kind)["list"]
    assert [(row["orderId"], row["orderStatus"], row["triggerPrice"]) for row in rows] == [
        (other, "Untriggered", high),
        (first, "Untriggered", high),
    ]
    assert rows[0]["triggerDirection"] == (1 if category == "linear" else 0)
    assert bybit.ask("/v5/order/realtime", **{**kind, "orderFilter": "Order"})["list"] == []
    assert bybit.do("/v5/order/cancel", **kind, orderId=other)["orderId"] == other
    (gone,) = bybit.ask("/v5/order/history", **kind)["list"]
    assert (gone["orderId"], gone["orderStatus"]) == (other, "Deactivated")
    for _ in range(400):
        bybit.clock.step("1h")
        if not bybit.ask("/v5/order/realtime", **kind)["list"]:
            break
        bybit.wall += 1
    (done,) = bybit.ask("/v5/order/realtime", category=category, symbol="BTCUSDT", orderId=first)["list"]
    assert (done["orderStatus"], done["cumExecQty"]) == ("Filled", "0.00100")
    assert float(done["avgPrice"]) >= float(high)


def test_cancel_all_of_swaps_takes_what_waits_too(bybit: Bybit) -> None:
    """Unless it is told which; of spot only what works."""
    rests = {"orderType": "Limit", "qty": "0.001", "price": "60000"}
    waits = {"triggerPrice": "60000", "triggerDirection": 2, "qty": "0.001", "marketUnit": "baseCoin"}
    for category, count in (("spot", 1), ("linear", 2)):
        bybit.do("/v5/order/create", **swap_order(category=category, **rests))
        bybit.do("/v5/order/create", **swap_order(category=category, **waits))
        told = bybit.do("/v5/order/cancel-all", category=category, symbol="BTCUSDT")
        assert (len(told["list"]), told["success"]) == (count, "1")
    assert len(bybit.do("/v5/order/cancel-all", category="spot", orderFilter="StopOrder")["list"]) == 1
    assert code(bybit.call("POST", "/v5/order/cancel-all", category="linear")) == 10001
    assert code(bybit.call("POST", "/v5/order/cancel-all", category="spot", orderFilter="All")) == 10001


def test_orders_and_fills_come_in_pages() -> None:
    """Newest first, each once, by the cursor of the page before."""
    bybit = Bybit(endpoints=100.0)
    for number in range(25):
        bybit.do("/v5/order/create", **limit_order(orderLinkId=f"rests-{number}"))
        order = {"side": "Sell", "orderType": "Market", "orderLinkId": f"fills-{number}", "price": None}
        bybit.do("/v5/order/create", **limit_order(**order))

    def pages(path: str, key: str, **parameters: Any) -> Iterator[str]:
        cursor = None
        while cursor != "":
            page = bybit.ask(path, category="spot", limit=10, **parameters, **({"cursor": cursor} if cursor else {}))
            assert len(page["list"]) <= 10
            yield from (row[key] for row in page["list"])
            cursor = page["nextPageCursor"]

    newest = list(range(24, -1, -1))
    assert list(pages("/v5/order/realtime", "orderLinkId")) == [f"rests-{number}" for number in newest]
    assert list(pages("/v5/order/realtime", "orderLinkId", openOnly=1)) == [f"fills-{number}" for number in newest]
    assert list(pages("/v5/order/history", "orderLinkId")) == [f"fills-{number}" for number in newest]
    assert list(pages("/v5/execution/list", "orderLinkId")) == [f"fills-{number}" for number in newest]
    assert len(bybit.ask("/v5/order/realtime", category="spot")["list"]) == 20
    assert bybit.ask("/v5/execution/list", category="spot", execType="Funding")["list"] == []
    (fill,) = bybit.ask("/v5/execution/list", category="spot", orderLinkId="fills-3")["list"]
    assert (fill["execQty"], fill["leavesQty"], fill["feeCurrency"]) == ("0.00100", "0.00000", "USDT")
    assert bybit.ask("/v5/order/history", category="spot", orderStatus="Cancelled")["list"] == []
    assert len(bybit.do("/v5/order/cancel-all", category="spot")["list"]) == 25
    assert len(bybit.ask("/v5/order/history", category="spot", orderStatus="Cancelled", limit=50)["list"]) == 25


def test_history_is_of_a_week(bybit: Bybit) -> None:
    """The last one by default; a longer range is refused."""
    order = {"side": "Sell", "orderType": "Market", "price": None}
    bybit.do("/v5/order/create", **limit_order(**order))
    at, week = bybit.clock.now(), 7 * 86_400_000
    bybit.clock.step(week + 1)
    for path in ("/v5/order/history", "/v5/execution/list"):
        assert bybit.ask(path, category="spot")["list"] == []
        assert len(bybit.ask(path, category="spot", startTime=at)["list"]) == 1
        assert len(bybit.ask(path, category="spot", endTime=at)["list"]) == 1
        assert len(bybit.ask(path, category="spot", startTime=at - 1, endTime=at)["list"]) == 1
        assert bybit.ask(path, category="spot", startTime=at + 1)["list"] == []
        assert code(bybit.call("GET", path, category="spot", startTime=at, endTime=at + week + 1)) == 10001


def test_endpoints_of_an_account_are_limited_each_by_itself(bybit: Bybit) -> None:
    """20 orders a second in spot, 10 in linear, told in the headers; a second later there is room again."""
    for left in range(19, -1, -1):
        reply = bybit.call("POST", "/v5/order/cancel", category="spot", symbol="BTCUSDT", orderId="0")
        assert (code(reply), reply.headers["X-Bapi-Limit"], reply.headers["X-Bapi-Limit-Status"]) == (
            170213,
            "20",
            str(left),
        )
    bybit.wall += 0.25
    reply = bybit.call("POST", "/v5/order/cancel", category="spot", symbol="BTCUSDT", orderId="0")
    assert (code(reply), reply.headers["X-Bapi-Limit-Status"], reply.limited) == (10006, "0", True)
    assert int(reply.headers["X-Bapi-Limit-Reset-Timestamp"]) == bybit.clock.now() + 750
    linear = [
        code(bybit.call("POST", "/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId="0"))
        for _ in range(11)
    ]
    assert linear == [110001] * 10 + [10006]
    assert code(bybit.call("GET", "/v5/order/realtime", category="spot")) == 0
    bybit.wall += 0.75
    assert code(bybit.call("POST", "/v5/order/cancel", category="spot", symbol="BTCUSDT", orderId="0")) == 170213


def test_unsigned_calls_use_up_nothing_of_an_account(bybit: Bybit) -> None:
    """Who knows no secret cannot spend what the account may ask."""
    for _ in range(30):
        call = bybit.signed("POST", "/v5/order/cancel-all", {"category": "spot"}, secret="guessed")
        assert code(bybit.dialect.respond(call)) == 10004
    assert code(bybit.call("POST", "/v5/order/cancel-all", category="spot")) == 0


def test_address_that_asks_too_much_is_banned_for_ten_minutes(bybit: Bybit) -> None:
    """600 calls in any five seconds; one more is answered with 403, and so is all that follows."""
    path = "/v5/market/time"
    for _ in range(300):
        bybit.get(path)
    bybit.wall += 4.9
    for _ in range(300):
        bybit.get(path)
    reply = bybit.dialect.respond(Call("GET", path))
    assert (reply.status, reply.body, reply.limited) == (403, b"403, access too frequent", True)
    bybit.wall += 599
    assert bybit.dialect.respond(Call("GET", path)).status == 403
    assert bybit.dialect.respond(Call("GET", path, remote="127.0.0.2")).status == 200
    bybit.wall += 1.5
    bybit.get(path)
    for _ in range(599):
        bybit.wall += 0.01
        bybit.get(path)


def test_limits_of_a_venue_are_its_own() -> None:
    """Those of one that nothing is known of are the defaults; none at all are reached by nobody."""
    assert (Limits.of("bybit").requests, Limits.of("bybit").requests_window) == (600, 5.0)
    assert Limits.of("binance") == Limits()
    with pytest.raises(UsageError, match="endpoints was 0"):
        Limits(endpoints=0)
    free = Bybit()
    free.dialect = BybitDialect(Venue(_MARKET, free.clock, free.ledger, Gate(Limits.none())))
    for _ in range(700):
        free.ask("/v5/account/info")


def test_market_in_which_nothing_was_traded_is_told() -> None:
    """Zeros and empty lists, and no failure."""
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), np.full(3, 10.0))
    candles = Candles(timeframe="1m", time=1_700_000_040_000 + _MINUTE * np.arange(3), **columns)
    traded = dataclasses.replace(generated_instruments(1)[0], base="AAA")
    market = sim.ReplayMarket({"AAA/USDT": candles}, instruments=[*generated_instruments(1), traded])
    bybit, which = Bybit(market), {"category": "spot", "symbol": "BTCUSDT"}
    (row,) = bybit.get("/v5/market/tickers", **which)["list"]
    assert (row["lastPrice"], row["bid1Price"], row["volume24h"]) == ("0.00", "0.00", "0")
    assert bybit.get("/v5/market/kline", **which, interval="1")["list"] == []
    assert bybit.get("/v5/market/recent-trade", **which)["list"] == []
    assert bybit.get("/v5/market/orderbook", **which)["b"] == []


def test_calls_that_cannot_be_read_have_answers_too(bybit: Bybit) -> None:
    """A body that is too large or too slow: the status, and no word."""
    assert [(one.status, one.body) for one in map(bybit.dialect.refuse, (408, 413))] == [(408, b""), (413, b"")]


_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["spot", "linear", "BTCUSDT", "Buy", "Sell", "Limit", "Market", "0.01", "60000", "1", "D", "UNIFIED"]
    ),
)
_VALUES = st.one_of(_TEXTS, st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers(), max_size=2))
_WORDS = (
    "category symbol interval start end limit cursor side orderType qty price timeInForce orderLinkId orderId "
    "orderFilter marketUnit accountType coin startTime x triggerPrice triggerDirection reduceOnly settleCoin openOnly"
)
_NAMES = st.sampled_from(_WORDS.split())
_FUZZED = Bybit(endpoints=1e8, requests=10**9)
_PATHS = sorted([*_FUZZED.dialect._public, *_FUZZED.dialect._read, *_FUZZED.dialect._write, "", "/v5/../x"])


@settings(max_examples=300, deadline=None)
@given(
    path=st.sampled_from(_PATHS),
    parameters=st.dictionaries(_NAMES, _VALUES, max_size=9),
    junk=st.binary(max_size=40),
    method=st.sampled_from(["GET", "POST"]),
)
def test_whatever_is_sent_is_answered(path: str, parameters: dict[str, Any], junk: bytes, method: str) -> None:
    """No request makes it fail: the answer is an envelope, or 404."""
    sent = parameters if method == "POST" else {name: str(value) for name, value in parameters.items()}
    try:
        call = _FUZZED.signed(method, path, sent)
    except UnicodeEncodeError:  # a lone surrogate cannot be sent
        return
    query = junk.decode("latin-1")
    for one in (call, dataclasses.replace(call, query=query), dataclasses.replace(call, body=junk, headers={})):
        reply = _FUZZED.dialect.respond(one)
        assert reply.status == 404 or set(json.loads(reply.body)) >= {"retCode", "retMsg", "result"}
