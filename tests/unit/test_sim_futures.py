"""Binance's dialect of USD-M futures and of triggers: what it answers to bad requests, called without a socket."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, GeneratedMarket, VirtualClock
from tradeutils.sim.binance import BinanceDialect
from tradeutils.sim.catalogue import generated_instruments, generated_swaps
from tradeutils.sim.dialect import Call, Venue
from tradeutils.sim.ledger import Ledger

_MARKET = GeneratedMarket([*generated_instruments(3), *generated_swaps(3)])
_DAY_MS = 86_400_000


@pytest.fixture
def dialect() -> BinanceDialect:
    """A venue of three spot markets and their swaps, and an account without orders."""
    return BinanceDialect(Venue(_MARKET, VirtualClock(DEFAULT_NOW), Ledger(_MARKET, [DEFAULT_ACCOUNT])))


def signed(method: str, path: str, query: str = "") -> Call:
    """Return a signed call at the venue's moment."""
    query = f"{query}&timestamp={DEFAULT_NOW}".lstrip("&")
    made = hmac.new(DEFAULT_ACCOUNT.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    return Call(method, path, f"{query}&signature={made}", headers={"x-mbx-apikey": DEFAULT_ACCOUNT.key})


def told(dialect: BinanceDialect, call: Call) -> Any:
    """Return the parsed body of an answer that must be good."""
    reply = dialect.respond(call)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def code(dialect: BinanceDialect, call: Call) -> tuple[int, str]:
    """Return Binance's code and words of an answer that must say no."""
    reply = dialect.respond(call)
    body = json.loads(reply.body)
    assert (reply.status >= 400, set(body)) == (True, {"code", "msg"})
    return body["code"], body["msg"]


@pytest.mark.parametrize(
    ("path", "query", "wanted"),
    [
        ("/fapi/v1/klines", "symbol=BTCUSDT-PERP&interval=1h", -1121),
        ("/fapi/v1/klines", "symbol=ETHBTC&interval=1h", -1121),
        ("/api/v3/klines", "symbol=BTCUSDT-PERP&interval=1h", -1121),
        ("/fapi/v1/klines", "symbol=BTCUSDT&interval=7m", -1120),
        ("/fapi/v1/klines", "symbol=BTCUSDT&interval=1h&limit=0", -1130),
        ("/fapi/v1/markPriceKlines", "pair=BTCUSDT&interval=1h", -1102),
        ("/fapi/v1/indexPriceKlines", "symbol=BTCUSDT&interval=1h", -1102),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=7", -4021),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=0", -4021),
        ("/fapi/v1/premiumIndex", "symbol=NOPE", -1121),
        ("/fapi/v1/fundingRate", "symbol=BTCUSDT&limit=-1", -1100),
        ("/fapi/v1/fundingRate", "symbol=BTCUSDT&limit=0", -1130),
        ("/fapi/v1/fundingRate", "symbol=BTCUSDT&startTime=99999999999999999999", -1108),
        ("/fapi/v1/openInterest", "", -1102),
        ("/futures/data/openInterestHist", "symbol=BTCUSDT", -1102),
        ("/futures/data/openInterestHist", "symbol=BTCUSDT&period=1m", -1130),
        ("/futures/data/openInterestHist", f"symbol=BTCUSDT&period=1h&startTime={DEFAULT_NOW - 31 * _DAY_MS}", -1130),
        ("/fapi/v1/ticker/24hr", "symbols=[%22BTCUSDT%22]", -1104),
    ],
)
def test_questions_that_the_futures_refuse(dialect: BinanceDialect, path: str, query: str, wanted: int) -> None:
    """With the codes of the documentation; the key of a swap is ours, and no name of the venue's."""
    assert code(dialect, Call("GET", path, query))[0] == wanted


@pytest.mark.parametrize(
    ("order", "wanted", "words"),
    [
        ("side=BUY&type=LIMIT&quantity=1&price=60000", -1102, "timeinforce"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&price=60000", -1102, "quantity"),
        ("side=BUY&type=MARKET", -1102, "quantity"),
        ("side=BUY&type=MARKET&quantity=1&price=60000", -1106, "price"),
        ("side=BUY&type=MARKET&quantity=1&timeInForce=GTC", -1106, "timeinforce"),
        ("side=BUY&type=MARKET&quantity=0.0000001", -1111, "Precision"),
        ("side=BUY&type=MARKET&quantity=1e5", -1100, "quantity"),
        ("side=BUY&type=MARKET&quantity=1&quoteOrderQty=1", -1104, "parameters"),
        ("side=BUY&type=STOP_MARKET&quantity=1&stopPrice=60000", -4120, "Algo Order API"),
        ("side=BUY&type=TRAILING_STOP_MARKET&quantity=1", -4120, "Algo Order API"),
        ("side=BUY&type=MARKET&quantity=1&positionSide=LONG", -4061, "position side"),
        ("side=BUY&type=MARKET&quantity=1&positionSide=UP", -4060, "position side"),
        ("side=BUY&type=MARKET&quantity=1&newClientOrderId=a%20b", -1100, "newClientOrderId"),
        ("side=BUY&type=MARKET&quantity=50", -2019, "Margin"),
        ("side=SELL&type=MARKET&quantity=1&reduceOnly=true", -2022, "ReduceOnly"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000.001", -4014, "tick"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=1", -4131, "PERCENT_PRICE"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.00001&price=60000", -4164, "no smaller than 5"),
        ("side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.01&price=90000", -5022, "maker"),
    ],
)
def test_orders_that_the_futures_refuse(dialect: BinanceDialect, order: str, wanted: int, words: str) -> None:
    """Each with its code and its words; nothing is placed."""
    found = code(dialect, signed("POST", "/fapi/v1/order", f"symbol=BTCUSDT&{order}"))
    assert (found[0], words in found[1]) == (wanted, True)
    assert told(dialect, signed("GET", "/fapi/v1/allOrders", "symbol=BTCUSDT")) == []


@pytest.mark.parametrize(
    ("order", "wanted", "words"),
    [
        ("type=STOP_MARKET&quantity=1", -1102, "triggerprice"),
        ("type=STOP_MARKET&triggerPrice=60000", -1102, "quantity"),
        ("type=STOP&quantity=1&triggerPrice=60000", -1102, "price"),
        ("type=LIMIT&quantity=1&price=60000&triggerPrice=60000", -1116, "orderType"),
        ("type=STOP_MARKET&quantity=1&triggerPrice=60000&closePosition=true", -4137, "closePosition"),
        ("type=STOP_MARKET&triggerPrice=60000&closePosition=true&reduceOnly=true", -1106, "reduceonly"),
        ("type=STOP_MARKET&quantity=1&triggerPrice=90000", -2021, "immediately trigger"),
        ("type=TAKE_PROFIT_MARKET&quantity=1&triggerPrice=60000", -2021, "immediately trigger"),
        ("type=STOP_MARKET&quantity=1&triggerPrice=60000.001", -4014, "tick"),
        ("type=STOP_MARKET&quantity=1&triggerPrice=60000&workingType=LAST", -1130, "workingType"),
    ],
)
def test_waiting_orders_that_the_futures_refuse(dialect: BinanceDialect, order: str, wanted: int, words: str) -> None:
    """Sells, each with what is wrong with it; nothing waits."""
    query = f"symbol=BTCUSDT&algoType=CONDITIONAL&side=SELL&{order}"
    found = code(dialect, signed("POST", "/fapi/v1/algoOrder", query))
    assert (found[0], words in found[1]) == (wanted, True)
    assert told(dialect, signed("GET", "/fapi/v1/openAlgoOrders")) == []


@pytest.mark.parametrize(
    ("method", "path", "query", "wanted"),
    [
        ("GET", "/fapi/v1/order", "symbol=BTCUSDT", -1102),
        ("GET", "/fapi/v1/order", "symbol=BTCUSDT&orderId=9", -2013),
        ("GET", "/fapi/v1/openOrder", "symbol=BTCUSDT&origClientOrderId=x", -2013),
        ("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&orderId=9", -2011),
        ("GET", "/fapi/v1/algoOrder", "", -1102),
        ("GET", "/fapi/v1/algoOrder", "clientAlgoId=x", -2013),
        ("DELETE", "/fapi/v1/algoOrder", "algoId=9", -2011),
        ("GET", "/fapi/v1/allOrders", "symbol=BTCUSDT&limit=0", -1130),
        ("GET", "/fapi/v1/userTrades", f"symbol=BTCUSDT&startTime=0&endTime={8 * _DAY_MS}", -4166),
        ("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=0", -4028),
        ("POST", "/fapi/v1/marginType", "symbol=BTCUSDT&marginType=CROSSED", -4046),
        ("POST", "/fapi/v1/marginType", "symbol=BTCUSDT&marginType=ISOLATED", -4168),
        ("GET", "/fapi/v3/positionRisk", "symbol=NOPE", -1121),
        ("GET", "/fapi/v1/commissionRate", "symbol=NOPE", -1121),
    ],
)
def test_signed_questions_that_the_futures_refuse(
    dialect: BinanceDialect, method: str, path: str, query: str, wanted: int
) -> None:
    """Orders that are not there, spans that are too long, settings that cannot be."""
    assert code(dialect, signed(method, path, query))[0] == wanted


def test_signed_endpoints_want_a_key_and_a_signature(dialect: BinanceDialect) -> None:
    """As on spot."""
    good = signed("GET", "/fapi/v3/account")
    assert code(dialect, Call("GET", good.path, good.query))[0] == -2014
    assert code(dialect, Call("GET", good.path, good.query + "0", headers=good.headers))[0] == -1022
    assert told(dialect, good)["totalWalletBalance"] == "10000.00000000"


def test_client_ids_are_for_one_open_order_and_find_it(dialect: BinanceDialect) -> None:
    """A second one of the name is refused while the first lies; an acknowledgement tells nothing of fills."""
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000&newClientOrderId=a:1/b.c"
    reply = dialect.respond(signed("POST", "/fapi/v1/order", order))
    assert reply.order == "a:1/b.c"
    assert code(dialect, signed("POST", "/fapi/v1/order", order))[0] == -4116
    found = told(dialect, signed("GET", "/fapi/v1/openOrder", "symbol=BTCUSDT&origClientOrderId=a:1/b.c"))
    assert found["orderId"] == json.loads(reply.body)["orderId"]
    told(dialect, signed("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=a:1/b.c"))
    assert code(dialect, signed("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=a:1/b.c"))[0] == -2011
    assert code(dialect, signed("GET", "/fapi/v1/openOrder", "symbol=BTCUSDT&origClientOrderId=a:1/b.c"))[0] == -2013
    market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01"
    acknowledged = told(dialect, signed("POST", "/fapi/v1/order", market))
    assert (acknowledged["status"], acknowledged["executedQty"]) == ("NEW", "0.00000000")
    known = told(dialect, signed("GET", "/fapi/v1/order", f"symbol=BTCUSDT&orderId={acknowledged['orderId']}"))
    assert (known["status"], known["executedQty"]) == ("FILLED", "0.01000000")


def test_waiting_orders_are_found_by_either_name(dialect: BinanceDialect) -> None:
    """By number, by the client's, in the lists; one limit, and one that closes the position."""
    query = "symbol=BTCUSDT&algoType=CONDITIONAL&side=SELL"
    limit = "type=TAKE_PROFIT&quantity=0.01&price=70000&triggerPrice=70000&clientAlgoId=mine"
    one = told(dialect, signed("POST", "/fapi/v1/algoOrder", f"{query}&{limit}"))
    other = told(
        dialect,
        signed("POST", "/fapi/v1/algoOrder", f"{query}&type=STOP_MARKET&triggerPrice=60000&closePosition=true"),
    )
    assert (one["orderType"], one["timeInForce"], other["closePosition"]) == ("TAKE_PROFIT", "GTC", True)
    for name in ("clientAlgoId=mine", f"algoId={one['algoId']}"):
        assert told(dialect, signed("GET", "/fapi/v1/algoOrder", name)) == one
    listed = told(dialect, signed("GET", "/fapi/v1/openAlgoOrders", f"algoId={other['algoId']}"))
    assert listed == [other]
    assert told(dialect, signed("GET", "/fapi/v1/allAlgoOrders", f"symbol=BTCUSDT&algoId={other['algoId']}")) == [other]
    assert told(dialect, signed("GET", "/fapi/v1/allAlgoOrders", "symbol=BTCUSDT&limit=1")) == [other]
    assert told(dialect, signed("GET", "/fapi/v1/allAlgoOrders", "symbol=BTCUSDT&startTime=0&limit=1")) == [one]
    assert told(dialect, signed("GET", "/fapi/v1/openOrders")) == []


def test_every_swap_is_told_of_where_none_is_named(dialect: BinanceDialect) -> None:
    """Tickers, prices, premiums, settlements, brackets and settings of all three; settlements in the order of time."""
    for path in ("ticker/24hr", "ticker/price", "ticker/bookTicker", "premiumIndex"):
        assert [row["symbol"] for row in told(dialect, Call("GET", f"/fapi/v1/{path}"))] == [
            "BTCUSDT", "ETHUSDT", "BNBUSDT",
        ]  # fmt: skip
    settled = told(dialect, Call("GET", "/fapi/v1/fundingRate", "limit=7"))
    assert len(settled) == 7
    assert [row["fundingTime"] for row in settled] == sorted(row["fundingTime"] for row in settled)
    for path in ("leverageBracket", "symbolConfig"):
        assert len(told(dialect, signed("GET", f"/fapi/v1/{path}"))) == 3
    (balance,) = told(dialect, signed("GET", "/fapi/v2/balance"))
    assert (balance["asset"], balance["balance"]) == ("USDT", "10000.00000000")
    assert len(told(dialect, signed("GET", "/fapi/v2/positionRisk"))) == 3
    assert told(dialect, signed("GET", "/fapi/v3/positionRisk")) == []


def test_position_that_the_wallet_cannot_bear_names_its_end(dialect: BinanceDialect) -> None:
    """A long of fifteen times the wallet ends a few percent below, a short as far above, a small one never."""
    told(dialect, signed("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=100"))
    ends = {}
    for side, other in (("BUY", "SELL"), ("SELL", "BUY")):
        order = "symbol=BTCUSDT&type=MARKET&quantity=2"
        told(dialect, signed("POST", "/fapi/v1/order", f"{order}&side={side}"))
        (risk,) = told(dialect, signed("GET", "/fapi/v3/positionRisk", "symbol=BTCUSDT"))
        ends[side] = float(risk["liquidationPrice"]) / float(risk["entryPrice"])
        told(dialect, signed("POST", "/fapi/v1/order", f"{order}&side={other}&reduceOnly=true"))
    assert 0.92 < ends["BUY"] < 0.94
    assert 1.05 < ends["SELL"] < 1.08
    told(dialect, signed("POST", "/fapi/v1/order", "symbol=BTCUSDT&type=MARKET&quantity=0.01&side=BUY"))
    (risk,) = told(dialect, signed("GET", "/fapi/v3/positionRisk"))
    assert risk["liquidationPrice"] == "0.00000000"


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    path=st.sampled_from(
        [
            "/fapi/v1/order",
            "/fapi/v1/algoOrder",
            "/fapi/v1/klines",
            "/fapi/v3/account",
            "/fapi/v1/fundingRate",
            "/futures/data/openInterestHist",
            "/fapi/v1/nothing",
            "/futures/",
            "/fapi",
        ]
    ),
    query=st.text(max_size=80),
    body=st.binary(max_size=80),
)
def test_nothing_that_is_sent_breaks_the_futures(method: str, path: str, query: str, body: bytes) -> None:
    """Whatever the bytes: an answer, and one that the venue could give."""
    dialect = BinanceDialect(Venue(_MARKET, VirtualClock(DEFAULT_NOW), Ledger(_MARKET, [DEFAULT_ACCOUNT])))
    reply = dialect.respond(Call(method, path, query, body, {"x-mbx-apikey": DEFAULT_ACCOUNT.key}))
    assert reply.status in (200, 400, 401, 404, 405)


def test_one_client_id_names_an_order_on_spot_and_another_among_swaps(dialect: BinanceDialect) -> None:
    """They are APIs of their own: both are taken, and each finds its own."""
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000&newClientOrderId=same"
    placed = {api: told(dialect, signed("POST", f"/{api}/order", order))["orderId"] for api in ("api/v3", "fapi/v1")}
    for api, number in placed.items():
        found = told(dialect, signed("GET", f"/{api}/order", "symbol=BTCUSDT&origClientOrderId=same"))
        assert found["orderId"] == number


@pytest.mark.parametrize(
    ("path", "order", "most", "wanted"),
    [
        ("/api/v3/order", "type=STOP_LOSS&quantity=0.01&stopPrice=50000", 5, -1013),
        ("/fapi/v1/algoOrder", "type=STOP_MARKET&quantity=0.01&triggerPrice=50000&algoType=CONDITIONAL", 10, -4045),
    ],
)
def test_no_more_orders_wait_than_the_listing_says(
    dialect: BinanceDialect, path: str, order: str, most: int, wanted: int
) -> None:
    """One more than ``MAX_NUM_ALGO_ORDERS`` is refused; one of another market is not."""
    for _ in range(most):
        told(dialect, signed("POST", path, f"symbol=ETHUSDT&side=SELL&{order.replace('50000', '1000')}"))
    refused = code(dialect, signed("POST", path, f"symbol=ETHUSDT&side=SELL&{order.replace('50000', '1000')}"))
    assert refused[0] == wanted
    told(dialect, signed("POST", path, f"symbol=BTCUSDT&side=SELL&{order}"))


@pytest.mark.parametrize(
    ("order", "wanted", "words"),
    [
        ("side=BUY&type=STOP_LOSS&quantity=0.01&stopPrice=90000&price=90000", -1106, "price"),
        ("side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=60000&stopPrice=1", -1106, "stopPrice"),
        ("side=BUY&type=STOP_LOSS&quantity=0.01&stopPrice=90000&trailingDelta=10", -1013, "Trailing stop"),
        ("side=BUY&type=STOP_LOSS&quantity=0.01&stopPrice=90000.001", -1013, "PRICE_FILTER"),
        ("side=BUY&type=STOP_LOSS&quantity=0.01&stopPrice=1000", -2010, "trigger immediately"),
        ("side=SELL&type=STOP_LOSS&quantity=0.01&stopPrice=900000", -2010, "trigger immediately"),
        ("side=BUY&type=TAKE_PROFIT&quantity=0.01&stopPrice=900000", -2010, "trigger immediately"),
        ("side=SELL&type=TAKE_PROFIT&quantity=0.01&stopPrice=1000", -2010, "trigger immediately"),
        ("side=BUY&type=STOP_LOSS&quantity=100&stopPrice=90000", -2010, "insufficient balance"),
    ],
)
def test_triggers_that_spot_refuses(dialect: BinanceDialect, order: str, wanted: int, words: str) -> None:
    """What does not belong to them, prices off the step, triggers that are reached already, too little money."""
    found = code(dialect, signed("POST", "/api/v3/order", f"symbol=BTCUSDT&{order}"))
    assert (found[0], words in found[1]) == (wanted, True)
    assert told(dialect, signed("GET", "/api/v3/openOrders")) == []
