"""Accounts, orders and positions in the okx dialect, without a socket."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.test_sim_okx import MARKET, SPOT, SWAP, Okx, code, limit_order, swap_order
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW

_HOUR, _DAY = 3_600_000, 86_400_000


@pytest.fixture
def okx() -> Okx:
    """A venue with the limits of the real one."""
    return Okx()


def test_account_tells_its_kind_fees_and_currencies(okx: Okx) -> None:
    """As ccxt asks to learn; fees are below 0."""
    (kind,) = okx.ask("account/config")
    assert (kind["posMode"], kind["acctLv"], kind["label"]) == ("net_mode", "3", "demo")
    (spot,) = okx.ask("account/trade-fee", instType="SPOT", **SPOT)
    (swap,) = okx.ask("account/trade-fee", instType="SWAP", uly="BTC-USDT")
    assert (spot["maker"], spot["taker"], swap["makerU"], swap["taker"]) == ("-0.001", "-0.001", "-0.0002", "-0.0005")
    assert {"BTC", "USDT", "XDROP"} <= {row["ccy"] for row in okx.ask("asset/currencies")}
    assert len(okx.ask("asset/currencies", ccy="BTC,ETH")) == 2
    assert okx.ask("asset/balances") == []


def test_balance_tells_equity_and_what_is_free(okx: Okx) -> None:
    """Orders on spot and margin of swaps are not; losses and gains belong to equity."""
    okx.do("trade/order", **limit_order(sz="0.01", px="60000"))
    okx.do("trade/order", **swap_order())
    (told,) = okx.ask("account/balance")
    held = {row["ccy"]: row for row in told["details"]}
    margin = okx.ledger.margin(DEFAULT_ACCOUNT.key, DEFAULT_NOW)
    usdt = held["USDT"]
    assert Decimal(usdt["cashBal"]) == margin.wallet
    assert Decimal(usdt["eq"]) == margin.wallet + margin.unrealised
    assert Decimal(usdt["availEq"]) == margin.available
    assert Decimal(usdt["frozenBal"]) == Decimal(usdt["eq"]) - margin.available
    assert Decimal(usdt["ordFrozen"]) == 600
    assert (held["BTC"]["eq"], held["BTC"]["availEq"], held["BTC"]["upl"]) == ("0.50000000", "0.50000000", "0")
    assert [row["ccy"] for row in okx.ask("account/balance", ccy="BTC,DOGE")[0]["details"]] == ["BTC"]
    many = {"ccy": ",".join(f"C{number}" for number in range(21))}
    assert code(okx.call("GET", "account/balance", many)) == (200, "50025")


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"instId": None}, "50014"),
        ({"instId": "NOPE"}, "51001"),
        ({"side": "hold"}, "51000"),
        ({"side": None}, "50014"),
        ({"ordType": "hope"}, "51000"),
        ({"ordType": "optimal_limit_ioc"}, "51000"),
        ({"tdMode": None}, "50014"),
        ({"tdMode": "isolated"}, "51000"),
        ({"posSide": "long"}, "51000"),
        ({"sz": None}, "50014"),
        ({"sz": "0"}, "51000"),
        ({"sz": "1e-3"}, "51000"),
        ({"sz": "NaN"}, "51000"),
        ({"sz": ["1"]}, "51000"),
        ({"px": None}, "50014"),
        ({"px": "-1"}, "51000"),
        ({"clOrdId": "has-dash"}, "51000"),
        ({"clOrdId": "x" * 33}, "51000"),
        ({"attachAlgoOrds": [{"slTriggerPx": "1"}]}, "51000"),
        ({"ordType": "market", "tgtCcy": "other"}, "51000"),
        ({"px": "60000.001"}, "51000"),
        ({"sz": "0.0000001"}, "51020"),
        ({"sz": "0.0000101"}, "51121"),
        ({"sz": "9000000001"}, "51005"),
        ({"sz": "0.00001"}, "51020"),
        ({"px": "1000"}, "51006"),
        ({"sz": "9"}, "51008"),
        ({"side": "sell", "sz": "9"}, "51008"),
    ],
)
def test_spot_orders_that_okx_refuses(okx: Okx, changed: dict[str, Any], answer: str) -> None:
    """Each with its own code, beside its id, and nothing is placed."""
    assert okx.refused("trade/order", **limit_order(**changed)) == answer
    assert okx.ledger.orders(DEFAULT_ACCOUNT.key, DEFAULT_NOW) == []


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"", "50000"),
        (b"{", "50002"),
        (b"7", "50002"),
        (b"[]", "50002"),
        (b"[1]", "50002"),
        (b"\xff", "50002"),
        (b'{"a":' * 2000, "50002"),
        (json.dumps({str(number): 1 for number in range(99)}).encode(), "50002"),
        (b"[" + b"{}," * 20 + b"{}]", "51111"),
        (b"[{},{}]", "50002"),
    ],
)
def test_bodies_that_are_no_order(okx: Okx, body: bytes, answer: str) -> None:
    """They are refused, if properly signed."""
    call = okx.signed("POST", "trade/order", {})
    moment = call.headers["ok-access-timestamp"]
    payload = f"{moment}POST{call.path}".encode() + body
    made = base64.b64encode(hmac.new(DEFAULT_ACCOUNT.secret.encode(), payload, hashlib.sha256).digest()).decode()
    call = dataclasses.replace(call, body=body, headers={**call.headers, "ok-access-sign": made})
    assert code(okx.dialect.respond(call))[1] == answer


@pytest.mark.parametrize(
    ("side", "target", "in_quote"),
    [("buy", None, True), ("buy", "base_ccy", False), ("sell", None, False), ("sell", "quote_ccy", True)],
)
def test_market_orders_of_spot_count_in_base_or_quote(okx: Okx, side: str, target: str | None, in_quote: bool) -> None:
    """A buy counts in quote unless it says otherwise, a sell in base."""
    size = "100" if in_quote else "0.002"
    placed = okx.do("trade/order", **limit_order(side=side, ordType="market", px=None, sz=size, tgtCcy=target))
    (row,) = okx.ask("trade/order", **SPOT, ordId=placed["ordId"])
    assert (row["state"], row["sz"], row["tgtCcy"]) == ("filled", size, "quote_ccy" if in_quote else "base_ccy")
    cost = Decimal(row["accFillSz"]) * Decimal(row["avgPx"])
    assert (99 < cost <= 100) if in_quote else Decimal(row["accFillSz"]) == Decimal("0.002")


def test_fifty_orders_each_under_an_id_of_its_own(okx: Okx) -> None:
    """Every one is found by it; what is open takes the id, what is over leaves it free, and the newest is told."""
    for number in range(50):
        okx.do("trade/order", **limit_order(clOrdId=f"mine{number}"))
    for number in range(50):
        (row,) = okx.ask("trade/order", **SPOT, clOrdId=f"mine{number}")
        assert (row["clOrdId"], row["state"]) == (f"mine{number}", "live")
    okx.wall += 2
    assert okx.refused("trade/order", **limit_order(clOrdId="mine7")) == "51016"
    first = okx.do("trade/cancel-order", **SPOT, clOrdId="mine7")["ordId"]
    second = okx.do("trade/order", **limit_order(clOrdId="mine7"))["ordId"]
    (row,) = okx.ask("trade/order", **SPOT, clOrdId="mine7")
    assert row["ordId"] == second != first


def test_post_only_order_that_would_take_is_cancelled_at_once(okx: Okx) -> None:
    """It is taken, told as cancelled by the venue, and holds nothing back."""
    for order in (limit_order(ordType="post_only", px="90000"), swap_order(ordType="post_only", px="90000")):
        placed = okx.do("trade/order", **order)
        (row,) = okx.ask("trade/order", instId=order["instId"], ordId=placed["ordId"])
        assert (row["state"], row["cancelSource"], row["ordType"]) == ("canceled", "31", "post_only")
        assert (row["px"], row["algoId"], row["accFillSz"]) == ("90000", "", "0")
    holdings, _ = okx.ledger.holdings(DEFAULT_ACCOUNT.key, DEFAULT_NOW)
    assert (holdings["USDT"].free, holdings["USDT"].locked) == (10_000, 0)
    okx.do("trade/order", **limit_order(ordType="post_only"))
    assert [row["ordType"] for row in okx.ask("trade/orders-pending", ordType="post_only,ioc")] == ["post_only"]


@pytest.mark.parametrize(("kind", "source"), [("ioc", "14"), ("fok", "15")])
def test_orders_that_may_not_rest_are_cancelled_by_the_venue(okx: Okx, kind: str, source: str) -> None:
    """With the reason."""
    placed = okx.do("trade/order", **limit_order(ordType=kind))
    (row,) = okx.ask("trade/order", **SPOT, ordId=placed["ordId"])
    assert (row["state"], row["cancelSource"], row["ordType"]) == ("canceled", source, kind)


def test_cancels_name_an_order_that_is_open(okx: Okx) -> None:
    """By either id; of one that is over, of another market or of no one, the answer is that there is none."""
    placed = okx.do("trade/order", **limit_order())
    assert okx.refused("trade/cancel-order", **SPOT) == "50015"
    for wrong in ({**SPOT, "ordId": "nobody"}, {**SWAP, "ordId": placed["ordId"]}, {**SPOT, "clOrdId": "nobody"}):
        assert okx.refused("trade/cancel-order", **wrong) == "51400"
    done = okx.do("trade/cancel-order", **SPOT, ordId=placed["ordId"])
    assert done["ordId"] == placed["ordId"]
    assert okx.refused("trade/cancel-order", **SPOT, ordId=placed["ordId"]) == "51400"
    assert code(okx.call("GET", "trade/order", {**SPOT, "ordId": "1"})) == (200, "51603")


def test_batch_tells_of_each_order_what_became_of_it(okx: Okx) -> None:
    """All, some or none were done, in the order in which they were sent."""
    good, bad = limit_order(clOrdId="good"), limit_order(clOrdId="bad", sz="9")
    told = okx.post("trade/batch-orders", good, bad)
    assert (told["code"], told["msg"]) == ("2", "Bulk operation partially succeeded")
    assert [(row["clOrdId"], row["sCode"]) for row in told["data"]] == [("good", "0"), ("bad", "51008")]
    told = okx.post("trade/cancel-batch-orders", {**SPOT, "clOrdId": "good"}, {**SPOT, "clOrdId": "bad"})
    assert (told["code"], [row["sCode"] for row in told["data"]]) == ("2", ["0", "51400"])
    told = okx.post("trade/batch-orders", bad, batch=True)
    assert (told["code"], told["data"][0]["sCode"]) == ("1", "51008")
    told = okx.post("trade/batch-orders", *(limit_order() for _ in range(20)))
    assert (told["code"], len(told["data"])) == ("0", 20)


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"tdMode": "cash"}, "51000"),
        ({"posSide": "short"}, "51000"),
        ({"sz": "0.0001"}, "51020"),
        ({"sz": "0.0015"}, "51121"),
        ({"ordType": "limit", "px": "60000.001"}, "51000"),
        ({"ordType": "limit", "px": "1000"}, "51006"),
        ({"sz": "0.001"}, "51020"),
        ({"sz": "900"}, "51008"),
        ({"reduceOnly": True}, "51169"),
        ({"reduceOnly": "perhaps"}, "51000"),
    ],
)
def test_swap_orders_that_okx_refuses(okx: Okx, changed: dict[str, Any], answer: str) -> None:
    """Each with its own code."""
    assert okx.refused("trade/order", **swap_order(**changed)) == answer
    assert okx.ledger.orders(DEFAULT_ACCOUNT.key, DEFAULT_NOW) == []


def test_position_is_told_in_contracts(okx: Okx) -> None:
    """With what the ledger says of its price, gains and margin; without a position there is no row."""
    assert okx.ask("account/positions") == []
    okx.do("trade/order", **swap_order(side="sell"))
    (position,) = okx.ledger.positions(DEFAULT_ACCOUNT.key, DEFAULT_NOW)
    assert position.amount == Decimal("-0.1")
    margin = okx.ledger.margin(DEFAULT_ACCOUNT.key, DEFAULT_NOW)
    (row,) = okx.ask("account/positions", instType="SWAP", instId="BTC-USDT-SWAP,ETH-USDT-SWAP")
    assert (row["instId"], row["pos"], row["posSide"], row["lever"]) == ("BTC-USDT-SWAP", "-10", "net", "20")
    assert Decimal(row["avgPx"]) == pytest.approx(position.entry, rel=Decimal("1e-9"))
    assert (Decimal(row["upl"]), Decimal(row["imr"]), Decimal(row["mmr"])) == (
        margin.unrealised,
        margin.positions,
        margin.maintenance,
    )
    (fee,) = {-fill.fee for fill in okx.ledger.fills(DEFAULT_ACCOUNT.key, DEFAULT_NOW)}
    assert Decimal(row["realizedPnl"]) == Decimal(row["fee"]) == fee
    okx.clock.step("1d")
    (row,) = okx.ask("account/positions")
    paid = sum(one.amount for one in okx.ledger.payments(DEFAULT_ACCOUNT.key, okx.clock.now()))
    assert Decimal(row["fundingFee"]) == paid != 0
    assert okx.ask("account/positions", instId="ETH-USDT-SWAP") == []
    assert code(okx.call("GET", "account/positions", {"instId": "NOPE"})) == (200, "51001")


def test_reduce_only_orders_are_refused_where_they_are_of_more_than_there_is(okx: Okx) -> None:
    """They are not cut; of as much or less they close, and tell what was gained."""
    okx.do("trade/order", **swap_order())
    assert okx.refused("trade/order", **swap_order(side="sell", sz="11", reduceOnly=True)) == "51112"
    assert okx.refused("trade/order", **swap_order(reduceOnly=True)) == "51169"
    okx.do("trade/order", **swap_order(side="sell", sz="4", reduceOnly=True))
    placed = okx.do("trade/order", **swap_order(side="sell", sz="6", reduceOnly="true"))
    (row,) = okx.ask("trade/order", **SWAP, ordId=placed["ordId"])
    assert (row["reduceOnly"], row["accFillSz"], row["state"], row["lever"]) == ("true", "6", "filled", "20")
    assert okx.ledger.positions(DEFAULT_ACCOUNT.key, DEFAULT_NOW) == []
    fills = okx.ask("trade/fills", **SWAP)
    gained = sum(one.realised for one in okx.ledger.fills(DEFAULT_ACCOUNT.key, DEFAULT_NOW))
    assert sum(Decimal(fill["fillPnl"]) for fill in fills) == gained != 0
    assert (fills[0]["feeCcy"], fills[0]["feeRate"], fills[0]["execType"]) == ("USDT", "-0.0005", "T")


def test_leverage_is_chosen_and_told(okx: Okx) -> None:
    """A whole number up to 125, as text or a number; of spot there is none."""
    which = {**SWAP, "mgnMode": "cross"}
    assert okx.do("account/set-leverage", **which, lever=5)["lever"] == "5"
    assert okx.ledger.leverage(DEFAULT_ACCOUNT.key, "BTCUSDT-PERP") == 5
    assert okx.ask("account/leverage-info", **which)[0]["lever"] == "5"
    for lever, answer in (("0", "51000"), ("2.5", "51000"), ("126", "59102"), (None, "50014"), ("x", "51000")):
        assert code(okx.call("POST", "account/set-leverage", {**which, "lever": lever}))[1] == answer
    assert code(okx.call("POST", "account/set-leverage", {**which, "mgnMode": "isolated", "lever": "5"}))[1] == "51000"
    assert code(okx.call("POST", "account/set-leverage", {**SPOT, "mgnMode": "cross", "lever": "5"}))[1] == "51000"


def trigger_order(which: dict[str, str], by: int, **changed: Any) -> dict[str, Any]:
    """Return the parameters of an order that buys a thousandth of a coin once the last price has moved by so much."""
    swap = which is SWAP
    last = float(MARKET.last("BTCUSDT-PERP" if swap else "BTCUSDT", DEFAULT_NOW).price[0])
    order = {**which, "tdMode": "cross" if swap else "cash", "side": "buy", "ordType": "trigger", "tgtCcy": "base_ccy"}
    order |= {"sz": "0.1" if swap else "0.001", "triggerPx": f"{last + by:.2f}", "orderPx": "-1"}
    return {name: value for name, value in (order | changed).items() if value is not None}


@pytest.mark.parametrize("which", [SPOT, SWAP], ids=["spot", "swap"])
def test_orders_that_wait_are_listed_apart_until_they_work(okx: Okx, which: dict[str, str]) -> None:
    """Under ids of their own; then they are orders like all others, and told as effective."""
    first = okx.do("trade/order-algo", **trigger_order(which, 2_000, algoClOrdId="first", clOrdId="unread"))
    other = okx.do("trade/order-algo", **trigger_order(which, 2_000))
    assert (first["algoClOrdId"], first["clOrdId"], other["algoClOrdId"]) == ("first", "", "")
    rows = okx.ask("trade/orders-algo-pending", ordType="trigger", **which)
    assert [(row["algoId"], row["state"], row["ordPx"], row["ordId"]) for row in rows] == [
        (other["algoId"], "live", "-1", ""),
        (first["algoId"], "live", "-1", ""),
    ]
    assert okx.ask("trade/orders-pending") == okx.ask("trade/orders-algo-pending", ordType="conditional,oco") == []
    (row,) = okx.ask("trade/order-algo", algoClOrdId="first")
    assert row["algoId"] == first["algoId"]
    assert okx.do("trade/cancel-algos", algoId=other["algoId"], **which)["algoId"] == other["algoId"]
    assert okx.refused("trade/cancel-algos", algoId=other["algoId"], **which) == "51400"
    for _ in range(400):
        okx.clock.step("1h")
        okx.wall += 2
        if not okx.ask("trade/orders-algo-pending", ordType="trigger"):
            break
    (done,) = okx.ask("trade/orders-algo-history", ordType="trigger", state="effective")
    (order,) = okx.ask("trade/order", **which, ordId=done["ordId"])
    assert (done["algoClOrdId"], order["algoId"], order["clOrdId"]) == ("first", first["algoId"], "")
    assert (order["state"], order["accFillSz"], order["cTime"]) == ("filled", row["sz"], done["triggerTime"])
    assert float(order["avgPx"]) >= float(done["triggerPx"])
    (gone,) = okx.ask("trade/orders-algo-history", ordType="trigger", algoId=other["algoId"])
    assert gone["state"] == "canceled"
    assert okx.refused("trade/cancel-algos", algoClOrdId="first", **which) == "51400"


@pytest.mark.parametrize(
    ("side", "sent", "by", "told"),
    [("sell", "sl", -3_000, "sl"), ("sell", "tp", 3_000, "tp"), ("buy", "sl", 3_000, "sl")],
)
def test_conditions_close_at_a_loss_or_at_a_gain(okx: Okx, side: str, sent: str, by: int, told: str) -> None:
    """A loss is on the way that the side goes, a gain on the other; one that is there already is refused."""
    plain = trigger_order(SWAP, by, side=side, ordType="conditional")
    price = plain.pop("triggerPx")
    del plain["orderPx"], plain["tgtCcy"]
    right = {**plain, f"{sent}TriggerPx": price, f"{sent}OrdPx": "-1", f"{sent}TriggerPxType": "mark"}
    okx.do("trade/order-algo", **right)
    (row,) = okx.ask("trade/orders-algo-pending", ordType="conditional,oco")
    assert (row[f"{told}TriggerPx"], row[f"{told}TriggerPxType"], row["triggerPx"]) == (price, "mark", "")
    wrong = "tp" if sent == "sl" else "sl"
    there = {**plain, f"{wrong}TriggerPx": price, f"{wrong}OrdPx": "-1"}
    assert okx.refused("trade/order-algo", **there) == "51250"
    assert okx.refused("trade/order-algo", **(right | there)) == "51000"


def test_condition_closes_the_whole_position(okx: Okx) -> None:
    """As it then is, whatever its size was."""
    okx.do("trade/order", **swap_order())
    last = float(MARKET.last("BTCUSDT-PERP", DEFAULT_NOW).price[0])
    close = {**SWAP, "tdMode": "cross", "side": "sell", "ordType": "conditional", "reduceOnly": True}
    close |= {"slTriggerPx": f"{last - 500:.2f}", "slOrdPx": "-1", "closeFraction": "1"}
    assert okx.refused("trade/order-algo", **(close | {"closeFraction": "0.5"})) == "51000"
    okx.do("trade/order-algo", **close)
    (row,) = okx.ask("trade/orders-algo-pending", ordType="conditional")
    assert (row["closeFraction"], row["reduceOnly"]) == ("1", "true")
    okx.do("trade/order", **swap_order(sz="5"))
    for _ in range(400):
        okx.clock.step("1h")
        if not okx.ledger.positions(DEFAULT_ACCOUNT.key, okx.clock.now()):
            break
    (done,) = [row for row in okx.ask("trade/orders-history", instType="SWAP") if row["algoId"]]
    assert (done["accFillSz"], done["side"], done["state"]) == ("15", "sell", "filled")


def test_order_that_fails_when_its_price_comes_is_told_so(okx: Okx) -> None:
    """Nothing is left to reduce then; it never became an order."""
    okx.do("trade/order", **swap_order())
    okx.do("trade/order-algo", **trigger_order(SWAP, -500, side="sell", sz="10", reduceOnly=True, algoClOrdId="stop"))
    okx.do("trade/order", **swap_order(side="sell"))
    okx.clock.step(200 * _DAY)
    (row,) = okx.ask("trade/orders-algo-history", ordType="trigger", state="order_failed")
    assert (row["algoClOrdId"], row["ordId"]) == ("stop", "")
    assert all(one["algoId"] == "" for one in okx.ask("trade/orders-history-archive", instType="SWAP"))


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"ordType": "oco"}, "51000"),
        ({"ordType": None}, "50014"),
        ({"triggerPx": None}, "50014"),
        ({"triggerPx": "0"}, "51000"),
        ({"triggerPx": "60000.001"}, "51000"),
        ({"orderPx": None}, "50014"),
        ({"orderPx": "-2"}, "51000"),
        ({"triggerPxType": "fair"}, "51000"),
        ({"triggerPxType": "mark"}, "51000"),
        ({"ordType": "conditional"}, "50015"),
        ({"algoClOrdId": "has space"}, "51000"),
        ({"sz": "9", "orderPx": "60000"}, "51008"),
    ],
)
def test_orders_that_wait_for_what_okx_refuses(okx: Okx, changed: dict[str, Any], answer: str) -> None:
    """Each with its own code, on spot."""
    assert okx.refused("trade/order-algo", **trigger_order(SPOT, -3_000, **changed)) == answer


def test_ids_of_orders_that_wait_are_their_own(okx: Okx) -> None:
    """Apart from those of orders, each once among those that wait."""
    okx.do("trade/order", **limit_order(clOrdId="same"))
    okx.do("trade/order-algo", **trigger_order(SPOT, -3_000, algoClOrdId="same"))
    assert okx.refused("trade/order-algo", **trigger_order(SPOT, -3_000, algoClOrdId="same")) == "51068"
    assert okx.do("trade/cancel-order", **SPOT, clOrdId="same")["clOrdId"] == "same"
    assert okx.do("trade/cancel-algos", **SPOT, algoClOrdId="same")["algoClOrdId"] == "same"
    for path, sent in (
        ("trade/order-algo", {}),
        ("trade/orders-algo-pending", {}),
        ("trade/orders-algo-history", {"ordType": "trigger"}),
    ):
        assert code(okx.call("GET", path, sent))[1] in ("50014", "50015")
    assert code(okx.call("GET", "trade/order-algo", {"algoId": "2000000000000000099"})) == (200, "51603")
    assert code(okx.call("GET", "trade/orders-algo-pending", {"ordType": "limit"})) == (400, "51000")
    told = okx.post("trade/cancel-algos", {**SPOT, "algoId": "1"}, {**SPOT, "algoId": "2"})
    assert [row["sCode"] for row in told["data"]] == ["51400", "51400"]
    eleven = [{**SPOT, "algoId": str(number)} for number in range(11)]
    assert okx.post("trade/cancel-algos", *eleven)["code"] == "51111"


def test_orders_and_fills_come_in_pages() -> None:
    """Newest first, each once, from the last id of the page before; before one come those that are newer."""
    okx = Okx(endpoints=100.0)
    for number in range(25):
        okx.do("trade/order", **limit_order(clOrdId=f"rests{number}"))
        okx.do("trade/order", **limit_order(side="sell", ordType="market", px=None, clOrdId=f"fills{number}"))

    def pages(path: str, key: str, **parameters: Any) -> Iterator[str]:
        page = okx.ask(path, limit=10, **parameters)
        while page:
            yield from (row["clOrdId"] for row in page)
            page = okx.ask(path, limit=10, **parameters, after=page[-1][key])

    newest = list(range(24, -1, -1))
    assert list(pages("trade/orders-pending", "ordId")) == [f"rests{number}" for number in newest]
    assert list(pages("trade/orders-history", "ordId", instType="SPOT")) == [f"fills{number}" for number in newest]
    assert list(pages("trade/fills-history", "billId", instType="SPOT")) == [f"fills{number}" for number in newest]
    rows = okx.ask("trade/orders-pending", **SPOT)
    assert [row["ordId"] for row in okx.ask("trade/orders-pending", before=rows[3]["ordId"])] == [
        row["ordId"] for row in rows[:3]
    ]
    (fill,) = okx.ask("trade/fills", ordId=okx.ask("trade/order", **SPOT, clOrdId="fills3")[0]["ordId"])
    assert (fill["fillSz"], fill["feeCcy"], fill["subType"]) == ("0.001", "USDT", "2")
    assert okx.ask("trade/orders-history", instType="SPOT", state="canceled") == []
    assert okx.ask("trade/fills", instType="SWAP") == okx.ask("trade/orders-pending", instType="SWAP") == []
    assert code(okx.call("GET", "trade/orders-history", {})) == (400, "50014")
    assert code(okx.call("GET", "trade/orders-pending", {"after": "x"})) == (400, "51000")


def test_what_is_over_is_not_known_for_ever(okx: Okx) -> None:
    """Cancelled orders of which nothing was filled for two hours, others a week or three months, fills three days."""
    okx.do("trade/order", **limit_order(side="sell", ordType="market", px=None, clOrdId="filled"))
    okx.do("trade/order", **limit_order(clOrdId="gone"))
    okx.do("trade/cancel-order", **SPOT, clOrdId="gone")
    at = okx.clock.now()

    def known(path: str, **parameters: Any) -> list[str]:
        return [row["clOrdId"] for row in okx.ask(path, instType="SPOT", **parameters)]

    assert known("trade/orders-history") == ["gone", "filled"]
    assert known("trade/orders-history", begin=at + 1) == known("trade/orders-history", end=at - 1) == []
    assert known("trade/fills", begin=at, end=at) == ["filled"]
    okx.clock.step(2 * _HOUR + 1)
    assert known("trade/orders-history") == ["filled"]
    assert code(okx.call("GET", "trade/order", {**SPOT, "clOrdId": "gone"})) == (200, "51603")
    okx.clock.step(3 * _DAY)
    assert known("trade/fills") == []
    assert known("trade/fills-history") == known("trade/orders-history") == ["filled"]
    okx.clock.step(4 * _DAY)
    assert known("trade/orders-history") == []
    assert known("trade/orders-history-archive") == ["filled"]
    okx.clock.step(92 * _DAY)
    assert known("trade/orders-history-archive") == known("trade/fills-history") == []
