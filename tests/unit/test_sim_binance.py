"""Binance's dialect: what it answers to good, bad and hostile requests, called without a socket."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import hmac
import json
import pathlib
import urllib.parse
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.errors import DataError
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, GeneratedMarket, VirtualClock
from tradeutils.sim.binance import BinanceDialect, read_exchange_info
from tradeutils.sim.binance.listing import describe_instrument
from tradeutils.sim.catalogue import generated_instruments
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.ledger import Ledger

_MINUTE = 60_000


@pytest.fixture(scope="module")
def venue() -> Venue:
    """A venue of six markets at a frozen moment."""
    market = GeneratedMarket(generated_instruments(6))
    return Venue(market, VirtualClock(DEFAULT_NOW), Ledger(market, [DEFAULT_ACCOUNT]))


@pytest.fixture(scope="module")
def dialect(venue: Venue) -> BinanceDialect:
    """Binance's way of answering for it."""
    return BinanceDialect(venue)


def get(dialect: BinanceDialect, path: str, query: str = "", **headers: str) -> Any:
    """Return the parsed body of a GET that must succeed."""
    reply = dialect.respond(
        Call("GET", path, query, headers={name.replace("_", "-"): v for name, v in headers.items()})
    )
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def refused(reply: Reply) -> tuple[int, int]:
    """Return the status and Binance's code of an answer that says no."""
    body = json.loads(reply.body)
    assert set(body) == {"code", "msg"}
    return reply.status, body["code"]


def sign(query: str, secret: str = DEFAULT_ACCOUNT.secret) -> str:
    """Return a query with its signature."""
    return f"{query}&signature={hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


def signed(method: str, path: str, query: str = "", key: str = DEFAULT_ACCOUNT.key) -> Call:
    """Return a signed call at the venue's moment, parameters in the query."""
    query = sign(f"{query}&timestamp={DEFAULT_NOW}".lstrip("&"))
    return Call(method, path, query, headers={"x-mbx-apikey": key})


def test_newest_klines_come_by_default_and_the_last_is_forming(dialect: BinanceDialect) -> None:
    """500 rows of twelve fields, oldest first, prices with eight digits, times of open and close in ms."""
    rows = get(dialect, "/api/v3/klines", "symbol=BTCUSDT&interval=1m")
    assert len(rows) == 500
    last = rows[-1]
    assert (last[0], last[6]) == (DEFAULT_NOW // _MINUTE * _MINUTE, DEFAULT_NOW // _MINUTE * _MINUTE + _MINUTE - 1)
    assert len(last) == 12
    assert all(len(text.partition(".")[2]) == 8 for text in (*last[1:6], last[7], last[9], last[10]))
    assert last[11] == "0"
    assert float(last[3]) <= float(last[4]) <= float(last[2])


def test_start_and_end_time_of_klines_are_both_inclusive(dialect: BinanceDialect) -> None:
    """The candles that open in [startTime, endTime]; with endTime alone the newest until then; none where reversed."""
    opened = (DEFAULT_NOW // _MINUTE - 10) * _MINUTE
    base = "symbol=BTCUSDT&interval=1m"

    def opens(query: str) -> list[int]:
        return [row[0] for row in get(dialect, "/api/v3/klines", f"{base}&{query}")]

    assert opens(f"startTime={opened}&endTime={opened}") == [opened]
    assert opens(f"startTime={opened}&endTime={opened + _MINUTE}") == [opened, opened + _MINUTE]
    assert opens(f"startTime={opened + 1}&endTime={opened + _MINUTE - 1}") == []
    assert opens(f"startTime={opened}&limit=2") == [opened, opened + _MINUTE]
    assert opens(f"endTime={opened}&limit=2") == [opened - _MINUTE, opened]
    assert opens(f"startTime={opened}&endTime={opened - _MINUTE}") == []
    assert opens(f"startTime={DEFAULT_NOW + 10**9}") == []
    assert len(opens("limit=5000")) == 1_000


def test_ui_klines_are_the_klines(dialect: BinanceDialect) -> None:
    """Nothing is prettified, so both say the same."""
    query = "symbol=ETHUSDT&interval=4h&limit=3"
    assert get(dialect, "/api/v3/uiKlines", query) == get(dialect, "/api/v3/klines", query)


def test_tickers_agree_with_book_price_and_klines(dialect: BinanceDialect) -> None:
    """Last price, bid, ask and volumes are the same wherever they are told; MINI tells fewer."""
    full = get(dialect, "/api/v3/ticker/24hr", "symbol=BTCUSDT")
    assert full["lastPrice"] == get(dialect, "/api/v3/ticker/price", "symbol=BTCUSDT")["price"]
    book = get(dialect, "/api/v3/depth", "symbol=BTCUSDT&limit=5")
    top = get(dialect, "/api/v3/ticker/bookTicker", "symbol=BTCUSDT")
    assert [top["bidPrice"], top["bidQty"]] == book["bids"][0] == [full["bidPrice"], full["bidQty"]]
    assert [top["askPrice"], top["askQty"]] == book["asks"][0]
    assert len(book["bids"]) == len(book["asks"]) == 5
    mini = get(dialect, "/api/v3/ticker/24hr", "symbol=BTCUSDT&type=MINI")
    assert {name: full[name] for name in mini} == mini
    assert "bidPrice" not in mini
    everything = get(dialect, "/api/v3/ticker/24hr", "type=MINI")
    assert [row["symbol"] for row in everything] == list(dialect._venue.market.instruments)
    low, high = float(full["lowPrice"]), float(full["highPrice"])
    assert low <= float(get(dialect, "/api/v3/avgPrice", "symbol=BTCUSDT")["price"]) <= high
    chosen = urllib.parse.quote('["ETHBTC","BTCUSDT"]')
    assert [row["symbol"] for row in get(dialect, "/api/v3/ticker/price", f"symbols={chosen}")] == ["ETHBTC", "BTCUSDT"]


def test_trades_are_told_alike_by_all_three_endpoints(dialect: BinanceDialect) -> None:
    """Recent, historical and aggregated trades are the same trades; from an id, they begin there."""
    recent = get(dialect, "/api/v3/trades", "symbol=BTCUSDT&limit=5")
    key = {"x_mbx_apikey": DEFAULT_ACCOUNT.key}
    first = recent[0]["id"]
    old = get(dialect, "/api/v3/historicalTrades", f"symbol=BTCUSDT&limit=5&fromId={first}", **key)
    summed = get(dialect, "/api/v3/aggTrades", f"symbol=BTCUSDT&limit=5&fromId={first}")
    assert recent == old
    assert [(row["a"], row["p"], row["q"], row["T"], row["m"]) for row in summed] == [
        (row["id"], row["price"], row["qty"], row["time"], row["isBuyerMaker"]) for row in recent
    ]
    since = recent[0]["time"]
    span = get(dialect, "/api/v3/aggTrades", f"symbol=BTCUSDT&startTime={since}&endTime={recent[-1]['time']}")
    assert [row["a"] for row in span] == [row["id"] for row in recent]


def test_listing_can_be_asked_for_some_markets(dialect: BinanceDialect) -> None:
    """By symbol, by symbols, by status; the rate limits are Binance's."""
    whole = get(dialect, "/api/v3/exchangeInfo")
    assert {limit["rateLimitType"] for limit in whole["rateLimits"]} == {"REQUEST_WEIGHT", "ORDERS", "RAW_REQUESTS"}
    assert len(whole["symbols"]) == 6
    assert len(get(dialect, "/api/v3/exchangeInfo", "symbol=ETHBTC")["symbols"]) == 1
    assert get(dialect, "/api/v3/exchangeInfo", "symbolStatus=BREAK")["symbols"] == []
    assert get(dialect, "/api/v3/exchangeInfo", "permissions=SPOT")["serverTime"] == DEFAULT_NOW


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/api/v3/klines", "", -1102),
        ("/api/v3/klines", "symbol=BTCUSDT", -1102),
        ("/api/v3/klines", "symbol=&interval=1m", -1102),
        ("/api/v3/klines", "symbol=NOPE&interval=1m", -1121),
        ("/api/v3/klines", "symbol=btcusdt&interval=1m", -1100),
        ("/api/v3/klines", "symbol=%E2%82%BF%F0%9F%92%A9&interval=1m", -1100),
        ("/api/v3/klines", "symbol=BTCUSDT%0A&interval=1m", -1100),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=7m", -1120),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=", -1105),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=-1", -1100),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=0", -1130),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=1.5", -1100),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=%D9%A1", -1100),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=99999999999999999999", -1108),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&startTime=tomorrow", -1100),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&timeZone=9", -1130),
        ("/api/v3/klines", "symbol=BTCUSDT&symbol=ETHUSDT&interval=1m", -1101),
        ("/api/v3/klines", "symbol=BTCUSDT&interval=1m&colour=red", -1104),
        ("/api/v3/klines", "&".join(f"a{i}=1" for i in range(100)), -1101),
        ("/api/v3/time", "x=1", -1104),
        ("/api/v3/depth", "symbol=BTCUSDT&limit=0", -1130),
        ("/api/v3/trades", "symbol=BTCUSDT&fromId=1", -1104),
        ("/api/v3/aggTrades", "symbol=BTCUSDT&fromId=1&startTime=1", -1128),
        ("/api/v3/ticker/24hr", "symbol=BTCUSDT&type=HUGE", -1139),
        ("/api/v3/ticker/24hr", 'symbol=BTCUSDT&symbols=["ETHUSDT"]', -1128),
        ("/api/v3/ticker/24hr", "symbols=BTCUSDT", -1100),
        ("/api/v3/ticker/24hr", 'symbols=["BTCUSDT","BTCUSDT"]', -1151),
        ("/api/v3/ticker/price", 'symbols=["NOPE"]', -1121),
        ("/api/v3/exchangeInfo", "symbolStatus=GONE", -1122),
    ],
)
def test_bad_parameters_are_answered_as_binance_does(dialect: BinanceDialect, path: str, query: str, code: int) -> None:
    """HTTP 400 with the code that the documentation gives, and a weight all the same."""
    reply = dialect.respond(Call("GET", path, query))
    assert refused(reply) == (400, code)
    assert reply.weight >= 1


def test_unknown_path_and_wrong_method_are_the_web_servers_answer(dialect: BinanceDialect) -> None:
    """An HTML page with 404 or 405, as the server in front of Binance sends."""
    assert dialect.respond(Call("GET", "/api/v3/nothing")).status == 404
    reply = dialect.respond(Call("POST", "/api/v3/klines"))
    assert (reply.status, reply.content_type) == (405, "text/html")
    assert b"405 Not Allowed" in reply.body


def test_signature_is_over_query_and_body_together(dialect: BinanceDialect) -> None:
    """Parameters may be in the query, in the body, or in both, as in Binance's three examples; case does not matter."""
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    rest = f"quantity=0.01&price=60000&recvWindow=5000&timestamp={DEFAULT_NOW}"
    headers = {"x-mbx-apikey": DEFAULT_ACCOUNT.key}

    def test(query: str, body: str) -> int:
        return dialect.respond(Call("POST", "/api/v3/order/test", query, body.encode(), headers)).status

    def signature(text: str) -> str:
        return hmac.new(DEFAULT_ACCOUNT.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    whole = f"{order}&{rest}"
    assert test("", f"{whole}&signature={signature(whole)}") == 200
    assert test(f"{whole}&signature={signature(whole).upper()}", "") == 200
    assert test(order, f"{rest}&signature={signature(order + rest)}") == 200
    assert test(order, f"{rest}&signature={signature(whole)}") == 400


@pytest.mark.parametrize(
    ("query", "key", "status", "code"),
    [
        (f"timestamp={DEFAULT_NOW}&signature=00", "", 401, -2014),
        (f"timestamp={DEFAULT_NOW}&signature=00", "short", 401, -2014),
        (f"timestamp={DEFAULT_NOW}&signature=00", "x" * 64, 401, -2015),
        (f"timestamp={DEFAULT_NOW}&signature=00", DEFAULT_ACCOUNT.key, 400, -1022),
        (f"timestamp={DEFAULT_NOW}&signature=%E2%82%BF", DEFAULT_ACCOUNT.key, 400, -1100),
        (f"timestamp={DEFAULT_NOW}", DEFAULT_ACCOUNT.key, 400, -1102),
        ("signature=00", DEFAULT_ACCOUNT.key, 400, -1102),
        (sign(f"timestamp={DEFAULT_NOW}&recvWindow=60001"), DEFAULT_ACCOUNT.key, 400, -1131),
        (sign(f"timestamp={DEFAULT_NOW - 86_400_000}"), DEFAULT_ACCOUNT.key, 400, -1021),
        (sign(f"timestamp={DEFAULT_NOW + 86_400_000}"), DEFAULT_ACCOUNT.key, 400, -1021),
        (sign(f"timestamp={DEFAULT_NOW}", "wrong"), DEFAULT_ACCOUNT.key, 400, -1022),
        (sign(f"timestamp={DEFAULT_NOW}&x=1"), DEFAULT_ACCOUNT.key, 400, -1104),
    ],
)
def test_requests_that_are_not_ours_are_told_apart(
    dialect: BinanceDialect, query: str, key: str, status: int, code: int
) -> None:
    """Malformed and unknown keys, missing and wrong signatures, stale and early timestamps, a window too wide."""
    reply = dialect.respond(Call("GET", "/api/v3/account", query, headers={"x-mbx-apikey": key}))
    assert refused(reply) == (status, code)


@pytest.mark.parametrize(
    ("order", "code", "words"),
    [
        ("side=UP&type=MARKET&quantity=1", -1117, "side"),
        ("side=BUY&type=HOPE&quantity=1", -1116, "orderType"),
        ("side=BUY&type=LIMIT&quantity=1&price=1&timeInForce=NOW", -1115, "timeInForce"),
        ("side=BUY&type=LIMIT&quantity=1&price=60000", -1102, "timeInForce"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&price=60000", -1102, "quantity"),
        ("side=BUY&type=MARKET&quantity=1&price=60000", -1106, "price"),
        ("side=BUY&type=MARKET", -1102, "quoteOrderQty"),
        ("side=BUY&type=MARKET&quantity=1&quoteOrderQty=1", -1128, "Combination"),
        ("side=BUY&type=MARKET&quantity=abc", -1100, "quantity"),
        ("side=BUY&type=MARKET&quantity=-1", -1100, "quantity"),
        ("side=BUY&type=MARKET&quantity=NaN", -1100, "quantity"),
        ("side=BUY&type=MARKET&quantity=1e5", -1100, "quantity"),
        ("side=BUY&type=MARKET&quantity=0.123456789", -1111, "precision"),
        ("side=BUY&type=MARKET&quantity=0.000001", -1013, "LOT_SIZE"),
        ("side=BUY&type=MARKET&quantity=99999999999999999999.99999999", -1013, "LOT_SIZE"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000.001", -1013, "PRICE_FILTER"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=1", -1013, "PERCENT_PRICE_BY_SIDE"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.00001&price=60000", -1013, "NOTIONAL"),
        ("side=BUY&type=MARKET&quantity=100", -2010, "insufficient balance"),
        ("side=BUY&type=LIMIT_MAKER&quantity=0.01&price=90000", -2010, "immediately match"),
        ("side=BUY&type=STOP_LOSS&quantity=0.01", -1102, "stopPrice"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=60000&icebergQty=1", -1013, "Iceberg"),
        ("side=BUY&type=MARKET&quantity=1&newClientOrderId=a%20b", -1100, "newClientOrderId"),
    ],
)
def test_orders_that_binance_refuses(dialect: BinanceDialect, order: str, code: int, words: str) -> None:
    """Each with the code and the words of the documentation; nothing is placed."""
    reply = dialect.respond(signed("POST", "/api/v3/order", f"symbol=BTCUSDT&{order}"))
    assert refused(reply) == (400, code)
    assert words in json.loads(reply.body)["msg"]
    assert json.loads(dialect.respond(signed("GET", "/api/v3/openOrders")).body) == []


def test_order_that_is_only_tested_is_judged_and_not_placed(dialect: BinanceDialect) -> None:
    """The same rules, an empty answer, and nothing on the account."""
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01"
    assert json.loads(dialect.respond(signed("POST", "/api/v3/order/test", f"{order}&price=60000")).body) == {}
    reply = dialect.respond(signed("POST", "/api/v3/order/test", f"{order}&price=60000.001"))
    assert refused(reply) == (400, -1013)
    assert json.loads(dialect.respond(signed("GET", "/api/v3/allOrders", "symbol=BTCUSDT")).body) == []


def test_orders_in_a_halted_market_are_refused() -> None:
    """A market that is not trading is closed."""
    market = GeneratedMarket([dataclasses.replace(one, active=False) for one in generated_instruments(1)])
    dialect = BinanceDialect(Venue(market, VirtualClock(DEFAULT_NOW), Ledger(market, [DEFAULT_ACCOUNT])))
    reply = dialect.respond(signed("POST", "/api/v3/order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.1"))
    assert json.loads(reply.body) == {"code": -1013, "msg": "Market is closed."}
    assert json.loads(dialect.respond(Call("GET", "/api/v3/exchangeInfo")).body)["symbols"][0]["status"] == "BREAK"


def test_order_replies_have_the_shape_that_was_asked_for(venue: Venue) -> None:
    """ACK is an id, RESULT a state, FULL a state with its fills; LIMIT_MAKER answers ACK unless told otherwise."""
    dialect = BinanceDialect(Venue(venue.market, venue.clock, Ledger(venue.market, [DEFAULT_ACCOUNT])))

    def place(order: str) -> dict[str, Any]:
        reply = dialect.respond(signed("POST", "/api/v3/order", f"symbol=BTCUSDT&{order}"))
        assert reply.status == 200, reply.body
        assert "x-mbx-order-count-10s" in reply.headers
        return dict(json.loads(reply.body))

    full = place("side=SELL&type=MARKET&quantity=0.01")
    assert (full["status"], full["executedQty"], full["type"], full["side"]) == (
        "FILLED",
        "0.01000000",
        "MARKET",
        "SELL",
    )
    assert sum(float(fill["qty"]) for fill in full["fills"]) == pytest.approx(0.01)
    assert full["fills"][0]["commissionAsset"] == "USDT"
    assert "fills" not in place("side=SELL&type=MARKET&quantity=0.01&newOrderRespType=RESULT")
    assert "status" not in place("side=SELL&type=LIMIT_MAKER&quantity=0.01&price=90000")
    expired = place("side=BUY&type=LIMIT&timeInForce=FOK&quantity=0.01&price=60000")
    assert (expired["status"], expired["fills"]) == ("EXPIRED", [])
    used = json.loads(dialect.respond(signed("GET", "/api/v3/rateLimit/order")).body)
    assert [row["count"] for row in used] == [4, 4]
    assert dialect.respond(signed("GET", "/api/v3/account/commission", "symbol=BTCUSDT")).status == 200
    assert json.loads(dialect.respond(signed("GET", "/sapi/v1/asset/tradeFee", "symbol=BTCUSDT")).body) == [
        {"symbol": "BTCUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}
    ]


def test_orders_and_trades_can_be_looked_up_every_way(venue: Venue) -> None:
    """By id, by client id, by time, by order; cancels say what they cancelled and refuse what they must."""
    dialect = BinanceDialect(Venue(venue.market, venue.clock, Ledger(venue.market, [DEFAULT_ACCOUNT])))

    def ask(method: str, path: str, query: str) -> Any:
        return json.loads(dialect.respond(signed(method, path, query)).body)

    one = "symbol=BTCUSDT"
    limit = f"{one}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000"
    first = ask("POST", "/api/v3/order", f"{limit}&newClientOrderId=a-1")["orderId"]
    ask("POST", "/api/v3/order", f"{limit}&newClientOrderId=a-2")
    sold = ask("POST", "/api/v3/order", f"{one}&side=SELL&type=MARKET&quantity=0.02")
    assert ask("GET", "/api/v3/order", f"{one}&orderId={first}") == ask(
        "GET", "/api/v3/order", f"{one}&origClientOrderId=a-1"
    )
    assert [row["clientOrderId"] for row in ask("GET", "/api/v3/openOrders", "")] == ["a-1", "a-2"]
    assert ask("GET", "/api/v3/openOrders", "symbol=ETHUSDT") == []
    assert len(ask("GET", "/api/v3/allOrders", one)) == 3
    assert len(ask("GET", "/api/v3/allOrders", f"{one}&orderId={first + 1}&limit=1")) == 1
    assert len(ask("GET", "/api/v3/allOrders", f"{one}&startTime={DEFAULT_NOW}&limit=2")) == 2
    assert ask("GET", "/api/v3/allOrders", f"{one}&endTime={DEFAULT_NOW - 1}") == []
    trades = ask("GET", "/api/v3/myTrades", f"{one}&orderId={sold['orderId']}")
    assert [trade["id"] for trade in trades] == [fill["tradeId"] for fill in sold["fills"]]
    assert ask("GET", "/api/v3/myTrades", f"{one}&fromId={trades[0]['id']}&limit=1") == trades[:1]
    assert ask("GET", "/api/v3/myTrades", f"{one}&startTime=0&endTime=90000000")["code"] == -1127
    assert ask("GET", "/api/v3/allOrders", f"{one}&limit=0")["code"] == -1130
    assert ask("GET", "/api/v3/order", one)["code"] == -1102
    assert ask("GET", "/api/v3/order", f"{one}&orderId=77")["code"] == -2013
    assert ask("DELETE", "/api/v3/order", f"{one}&orderId=77")["code"] == -2011
    assert (
        ask("DELETE", "/api/v3/order", f"{one}&orderId={first}&cancelRestrictions=ONLY_PARTIALLY_FILLED")["code"]
        == -2011
    )
    canceled = ask("DELETE", "/api/v3/order", f"{one}&orderId={first}&cancelRestrictions=ONLY_NEW")
    assert (canceled["status"], canceled["origClientOrderId"]) == ("CANCELED", "a-1")
    assert ask("DELETE", "/api/v3/order", f"{one}&orderId={first}")["code"] == -2011
    assert [row["origClientOrderId"] for row in ask("DELETE", "/api/v3/openOrders", one)] == ["a-2"]
    assert ask("DELETE", "/api/v3/openOrders", one)["code"] == -2011
    assets = {row["asset"]: row for row in ask("GET", "/api/v3/account", "omitZeroBalances=true")["balances"]}
    assert assets["USDT"]["locked"] == "0.00000000"
    assert float(assets["BTC"]["free"]) == pytest.approx(0.48)


def test_wallet_tells_what_is_locked_in_orders(venue: Venue) -> None:
    """Free and locked are those of the account; an asset that it never held has neither."""
    dialect = BinanceDialect(Venue(venue.market, venue.clock, Ledger(venue.market, [DEFAULT_ACCOUNT])))
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000"
    assert dialect.respond(signed("POST", "/api/v3/order", order)).status == 200
    held = json.loads(dialect.respond(signed("GET", "/api/v3/account")).body)["balances"]
    coins = json.loads(dialect.respond(signed("GET", "/sapi/v1/capital/config/getall")).body)
    told = {coin["coin"]: (coin["free"], coin["locked"]) for coin in coins}
    assert told["USDT"][1] == "600.00000000"
    assert all(told.pop(row["asset"]) == (row["free"], row["locked"]) for row in held)
    assert set(told.values()) == {("0.00000000", "0.00000000")}


@pytest.mark.parametrize("path", ["/sapi/v1/margin/allPairs", "/sapi/v1/margin/isolated/allPairs"])
def test_margin_pairs_are_those_asked_for(path: str) -> None:
    """One, all, or none where the market is not for margin; a market that is not there is an error."""
    listed = {one.id: one for one in generated_instruments(2)}
    market = GeneratedMarket([listed.pop("BTCUSDT"), *(dataclasses.replace(o, margin=False) for o in listed.values())])
    dialect = BinanceDialect(Venue(market, VirtualClock(DEFAULT_NOW), Ledger(market, [DEFAULT_ACCOUNT])))

    def asked(query: str) -> Any:
        return json.loads(dialect.respond(signed("GET", path, query)).body)

    assert [row["symbol"] for row in asked("")] == ["BTCUSDT"]
    assert asked("symbol=BTCUSDT") == asked("")
    assert [asked(f"symbol={name}") for name in listed] == [[]]
    assert asked("symbol=NOTHING")["code"] == -1121


def test_weights_add_up_in_the_headers(venue: Venue) -> None:
    """Each address has its own count; the wallet has another."""
    dialect = BinanceDialect(venue)
    calls = [Call("GET", "/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=1", remote="127.0.0.9")] * 3
    used = [dialect.respond(call).headers["x-mbx-used-weight-1m"] for call in calls]
    assert used == ["2", "4", "6"]
    assert dialect.respond(Call("GET", "/api/v3/ping", remote="127.0.0.8")).headers["x-mbx-used-weight"] == "1"
    wallet = dialect.respond(Call("GET", "/sapi/v1/system/status")).headers
    assert wallet == {"x-sapi-used-ip-weight-1m": "1"}
    assert dialect.respond(Call("GET", "/api/v3/ticker/24hr", 'symbols=["BTCUSDT"]')).weight == 2


def test_frozen_venue_says_the_same_bytes_twice() -> None:
    """Two venues of one seed answer every public request with the same bytes."""
    bodies = []
    for _ in range(2):
        market = GeneratedMarket(generated_instruments(6), seed=9)
        dialect = BinanceDialect(Venue(market, VirtualClock(DEFAULT_NOW), Ledger(market, [DEFAULT_ACCOUNT])))
        one = "symbol=ETHBTC"
        bodies.append(
            [
                dialect.respond(Call("GET", f"/api/v3/{path}", query)).body
                for path, query in (
                    ("exchangeInfo", ""),
                    ("ticker/24hr", ""),
                    ("ticker/bookTicker", ""),
                    ("depth", f"{one}&limit=5000"),
                    ("trades", f"{one}&limit=1000"),
                    ("klines", f"{one}&interval=1h&limit=1000"),
                    ("time", ""),
                )
            ]
        )
    assert bodies[0] == bodies[1]


_TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["BTCUSDT", "1m", "1M", "5", "9223372036854775807", "GTC", "LIMIT", "BUY", "0.1", '["ETHBTC"]']),
)
_NAMES = st.sampled_from(
    ["symbol", "symbols", "interval", "limit", "startTime", "endTime", "fromId", "side", "type", "quantity", "price",
     "timeInForce", "orderId", "recvWindow", "timestamp", "signature", "x"]
)  # fmt: skip
_PATHS = (
    "exchangeInfo", "klines", "depth", "trades", "aggTrades", "avgPrice", "ticker/24hr", "ticker/price", "order",
    "order/test", "openOrders", "allOrders", "myTrades", "account", "historicalTrades", "", "../../etc/passwd",
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    path=st.sampled_from(_PATHS),
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "BREW"]),
    pairs=st.lists(st.tuples(_NAMES, _TEXTS), max_size=8),
    body=st.binary(max_size=60),
    proper=st.booleans(),
)
def test_whatever_is_sent_is_answered(
    dialect: BinanceDialect, path: str, method: str, pairs: list[tuple[str, str]], body: bytes, *, proper: bool
) -> None:
    """No request makes it fail: the answer is JSON with a code, an HTML page of the web server, or data."""
    query = urllib.parse.urlencode(pairs, errors="replace")
    call = Call(method, f"/api/v3/{path}", query, body, {"x-mbx-apikey": DEFAULT_ACCOUNT.key})
    if proper and method == "GET":
        call = signed(method, f"/api/v3/{path}", query)
    reply = dialect.respond(call)
    assert reply.status in (200, 400, 401, 404, 405)
    if reply.content_type.startswith("application/json"):
        parsed = json.loads(reply.body)
        assert reply.status == 200 or isinstance(parsed["code"], int)
    assert b"Traceback" not in reply.body


def test_recorded_listing_is_read_from_any_form(tmp_path: pathlib.Path) -> None:
    """A mapping, bytes, a JSON file, a gzipped one, or a recording of lines; anything else is refused."""
    market = generated_instruments(1)[0]
    listing = {"timezone": "UTC", "symbols": [{**describe_instrument(market), "orderTypes": ["LIMIT"]}]}
    data = json.dumps(listing).encode()
    (tmp_path / "plain.json").write_bytes(data)
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(data))
    (tmp_path / "lines").write_bytes(b"https://x/api/v3/exchangeInfo -> 1633998511.13: " + data + b"\nother: 1\n")
    (tmp_path / "none").write_bytes(b"nothing\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(data)[:-9])
    assert json.loads(read_exchange_info(listing)) == listing
    assert read_exchange_info(data) == data
    for name in ("plain.json", "packed.json.gz", "lines"):
        assert json.loads(read_exchange_info(tmp_path / name)) == listing
    for name in ("none", "cut.gz", "absent"):
        with pytest.raises(DataError, match=name):
            read_exchange_info(tmp_path / name)


def test_calls_that_cannot_be_read_have_answers_too(dialect: BinanceDialect) -> None:
    """Too slow is Binance's own timeout, too large the web server's page."""
    assert refused(dialect.refuse(408)) == (408, -1007)
    assert dialect.refuse(413).status == 413
