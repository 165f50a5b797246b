"""ccxt's own unmodified kraken class against the simulated venue, and what hostile callers get."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import urllib.parse
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import ccxt
import ccxt.async_support
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils import sim
from tradeutils.model import Candles
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, GeneratedMarket, VirtualClock
from tradeutils.sim.catalogue import generated_instruments
from tradeutils.sim.dialect import Call, Venue
from tradeutils.sim.kraken import KrakenDialect
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.limits import Gate, Limits

_MARKET = GeneratedMarket(generated_instruments(12))


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock that counts and refuses nothing."""
    async with sim.SimulatedVenue("kraken", symbols=12, limits=Limits.none()) as venue:
        yield venue


@pytest.fixture
async def exchange(venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    """ccxt's class, with the keys of the venue's account."""
    keys = {"apiKey": DEFAULT_ACCOUNT.key, "secret": DEFAULT_ACCOUNT.secret}
    urls = {"api": {"public": venue.url, "private": venue.url}}
    async with ccxt.async_support.kraken(
        {**keys, "urls": urls, "enableRateLimit": False, "timeout_on_exit": 0}
    ) as exchange:
        yield exchange


_AAA = dataclasses.replace(generated_instruments(1)[0], base="AAA")


def _candles() -> Candles:
    prices = np.full(3, 10.0)
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), prices)
    return Candles(timeframe="1m", time=1_700_000_040_000 + 60_000 * np.arange(3), **columns)


def signed(path: str, nonce: int, body: str = "", account: sim.SimulatedAccount = DEFAULT_ACCOUNT) -> Call:
    """Return a private call."""
    data = f"nonce={nonce}" + (f"&{body}" if body else "")
    digest = hashlib.sha256(f"{nonce}{data}".encode()).digest()
    made = hmac.new(base64.b64decode(account.secret), path.encode() + digest, hashlib.sha512).digest()
    headers = {"api-key": account.key, "api-sign": base64.b64encode(made).decode()}
    return Call("POST", path, body=data.encode(), headers=headers)


def dialect(**limits: Any) -> KrakenDialect:
    """Return a venue of its own, to be called without a socket."""
    gate = Gate(Limits(**limits), clock=lambda: 1e9)
    return KrakenDialect(Venue(_MARKET, VirtualClock(DEFAULT_NOW), Ledger(_MARKET, [DEFAULT_ACCOUNT]), gate))


def errors(kraken: KrakenDialect, call: Call) -> list[str]:
    """Return the errors of an answer."""
    reply = kraken.respond(call)
    assert reply.status == 200
    return list(json.loads(reply.body)["error"])


async def test_every_public_call_of_ccxt_is_answered(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """Markets under unified names, and prices that agree with each other wherever they are told."""
    markets = await exchange.load_markets()
    assert set(markets) == {one.symbol for one in venue.market.instruments.values()}
    assert markets["BTC/USDT"]["id"] == "XBTUSDT"
    assert markets["BTC/USDT"]["precision"] == {"amount": 1e-05, "price": 0.01}
    ticker = await exchange.fetch_ticker("BTC/USDT")
    tickers = await exchange.fetch_tickers(["BTC/USDT", "ETH/USDT"])
    book = await exchange.fetch_order_book("BTC/USDT", 5)
    trades = await exchange.fetch_trades("BTC/USDT", limit=3)
    candles = await exchange.fetch_ohlcv("BTC/USDT", "5m")
    assert set(tickers) == {"BTC/USDT", "ETH/USDT"}
    assert len(await exchange.fetch_tickers()) == 12
    assert (ticker["bid"], ticker["ask"]) == (book["bids"][0][0], book["asks"][0][0])
    assert ticker["last"] == tickers["BTC/USDT"]["last"] == trades[-1]["price"] == candles[-1][4]
    assert len(book["bids"]) == 5
    assert len(candles) == 720
    assert candles[-1][0] == venue.clock.now() // 300_000 * 300_000
    assert await exchange.fetch_time() == venue.clock.now() // 1000 * 1000
    assert (await exchange.fetch_status())["status"] == "ok"
    assert "BTC" in await exchange.fetch_currencies()
    since = candles[-10][0]
    assert await exchange.fetch_ohlcv("BTC/USDT", "5m", since=since) == candles[-10:]
    assert await exchange.fetch_ohlcv("BTC/USDT", "5m", since=1_600_000_000_000) == candles  # never older than these


async def test_orders_are_placed_found_and_cancelled(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """By name and by the client's id; one client id is for one open order; fills and holds show on the balance."""
    name = str(uuid.uuid4())
    placed = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 60_000, {"clientOrderId": name})
    (found,) = await exchange.fetch_open_orders("BTC/USDT", None, None, {"clientOrderId": name})
    assert (found["id"], found["clientOrderId"], found["status"], found["price"]) == (
        placed["id"],
        name,
        "open",
        60_000,
    )
    assert (await exchange.fetch_balance())["USDT"] == {"free": 9_400.0, "used": 600.0, "total": 10_000.0}
    with pytest.raises(ccxt.InvalidOrder, match="cl_ord_id"):
        await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 60_000, {"clientOrderId": name})
    await exchange.cancel_order(None, "BTC/USDT", {"clientOrderId": name})
    assert await exchange.fetch_open_orders("BTC/USDT") == []
    (over,) = await exchange.fetch_closed_orders("BTC/USDT", None, None, {"clientOrderId": name})
    assert (over["id"], over["status"]) == (placed["id"], "canceled")
    sold = await exchange.create_order("BTC/USDT", "market", "sell", 0.1)
    told = await exchange.fetch_order(sold["id"])
    assert (told["status"], told["filled"], told["fee"]["currency"]) == ("closed", 0.1, "USDT")
    assert (await exchange.fetch_balance())["BTC"]["total"] == 0.4
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(sold["id"])
    with pytest.raises(ccxt.BaseError, match="Unknown order"):
        await exchange.fetch_order("OTHERS-ORDER-NUMBER")
    assert venue.requests.orders == {name: 1, "sim0000000000000000002": 1}


@pytest.mark.parametrize("kind", ["market", "limit"])
@pytest.mark.parametrize("parameter", ["stopLossPrice", "takeProfitPrice"])
async def test_trigger_fires_when_the_price_comes(
    venue: sim.SimulatedVenue, exchange: Any, kind: str, parameter: str
) -> None:
    """What it sells is held from the start; it is told of as open until the price has come, and filled then."""
    last = (await exchange.fetch_ticker("BTC/USDT"))["last"]
    trigger = float(exchange.price_to_precision("BTC/USDT", last * (0.995 if parameter == "stopLossPrice" else 1.005)))
    limit = round(trigger * 0.99, 2) if kind == "limit" else None
    placed = await exchange.create_order("BTC/USDT", kind, "sell", 0.1, limit, {parameter: trigger})
    (listed,) = await exchange.fetch_open_orders("BTC/USDT")
    for told in (placed, listed, await exchange.fetch_order(placed["id"])):
        assert (told["id"], told[parameter], told["price"]) == (placed["id"], trigger, limit)
    assert listed["info"]["descr"]["ordertype"].startswith(
        "stop-loss" if parameter == "stopLossPrice" else "take-profit"
    )
    assert (await exchange.fetch_balance())["BTC"]["used"] == 0.1
    venue.clock.step("30d")
    order = await exchange.fetch_order(placed["id"])
    assert (order["status"], order["filled"], order["info"]["misc"]) == ("closed", 0.1, "stopped")
    assert order["average"] == pytest.approx(trigger, rel=2e-3)
    assert (await exchange.fetch_balance())["BTC"]["used"] == 0


async def test_trigger_that_is_reached_already_is_refused(exchange: Any) -> None:
    """It would not wait."""
    with pytest.raises(ccxt.BaseError, match="trigger at once"):
        await exchange.create_order("BTC/USDT", "market", "buy", 0.01, None, {"stopLossPrice": 1_000})


async def test_orders_are_cancelled_several_and_all_at_once(exchange: Any) -> None:
    """By their names in one call, waiting ones too; those that are over are not counted."""
    ids = [(await exchange.create_order("BTC/USDT", "limit", "buy", 0.001, 60_000 + n))["id"] for n in range(3)]
    stop = await exchange.create_order("BTC/USDT", "market", "sell", 0.001, None, {"stopLossPrice": 50_000})
    (told,) = await exchange.cancel_orders([ids[0], stop["id"], "O00000-99999-KRAKEN"])
    assert told["info"]["result"]["count"] == 2
    assert {one["id"] for one in await exchange.fetch_open_orders()} == set(ids[1:])
    (told,) = await exchange.cancel_all_orders()
    assert told["info"]["result"]["count"] == 2
    assert await exchange.fetch_open_orders() == []
    assert (await exchange.cancel_all_orders())[0]["info"]["result"]["count"] == 0


async def test_trades_of_the_account_are_those_that_moved_its_money(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """Newest pages by time, by the order they belong to, and to the digit what the balance shows."""
    bought = await exchange.create_order("BTC/USDT", "market", "buy", 0.01)
    venue.clock.step("1h")
    since = venue.clock.now() - 60_000
    spent = await exchange.create_order("BTC/USDT", "market", "buy", None, None, {"cost": 50})
    sold = await exchange.create_order("ETH/BTC", "market", "sell", 1)
    trades = await exchange.fetch_my_trades()
    assert {trade["order"] for trade in trades} == {bought["id"], spent["id"], sold["id"]}
    assert {trade["takerOrMaker"] for trade in trades} == {"taker"}
    assert {trade["order"] for trade in await exchange.fetch_my_trades(since=since)} == {spent["id"], sold["id"]}
    first = await exchange.fetch_my_trades("BTC/USDT", None, None, {"until": since})
    assert {trade["order"] for trade in first} == {bought["id"]}
    order = await exchange.fetch_order(bought["id"])
    told = await exchange.fetch_order_trades(bought["id"], None, None, None, {"trades": order["trades"]})
    assert [trade["id"] for trade in told] == [trade["id"] for trade in first]
    assert sum(trade["amount"] for trade in told) == order["filled"] == 0.01
    dollars = sum(trade["cost"] for trade in trades if trade["symbol"] == "BTC/USDT")
    assert (await exchange.fetch_balance())["USDT"]["total"] == pytest.approx(10_000 - dollars, abs=1e-6)
    fee = await exchange.fetch_trading_fee("BTC/USDT")
    assert (fee["maker"], fee["taker"]) == (0.001, 0.001)
    (over,) = await exchange.fetch_closed_orders("ETH/BTC", since)
    assert over["id"] == sold["id"]
    assert await exchange.fetch_closed_orders(None, venue.clock.now()) == []


async def test_swaps_are_not_kraken_s() -> None:
    """A market with swaps shows its spot markets alone."""
    async with sim.SimulatedVenue("kraken", symbols=2, linear=2, limits=Limits.none()) as venue:
        urls = {"api": {"public": venue.url, "private": venue.url}}
        async with ccxt.async_support.kraken(
            {"urls": urls, "enableRateLimit": False, "timeout_on_exit": 0}
        ) as exchange:
            assert set(await exchange.load_markets()) == {"BTC/USDT", "ETH/USDT"}


async def test_two_clients_of_one_key_clash_over_its_nonce(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """A second one whose clock is behind is refused, as its nonces do not grow."""
    urls = {"api": {"public": venue.url, "private": venue.url}}
    keys = {"apiKey": DEFAULT_ACCOUNT.key, "secret": DEFAULT_ACCOUNT.secret}
    await exchange.load_markets()
    await exchange.fetch_balance()
    async with ccxt.async_support.kraken(
        {**keys, "urls": urls, "enableRateLimit": False, "timeout_on_exit": 0}
    ) as behind:
        behind.options["timeDifference"] = 5_000
        await behind.load_markets()
        with pytest.raises(ccxt.InvalidNonce):
            await behind.fetch_balance()
    await exchange.fetch_balance()


def test_nonces_must_grow_with_every_call() -> None:
    """The same or a smaller one is refused; one of a call that is not signed is not taken."""
    kraken, path = dialect(), "/0/private/Balance"
    assert errors(kraken, signed(path, 5)) == []
    for nonce, answer in (
        (5, ["EAPI:Invalid nonce"]),
        (4, ["EAPI:Invalid nonce"]),
        (6, []),
        (6, ["EAPI:Invalid nonce"]),
    ):
        assert errors(kraken, signed(path, nonce)) == answer
    forged = signed(path, 10**15)
    assert errors(kraken, Call("POST", path, body=forged.body, headers={**forged.headers, "api-sign": "AAAA"})) == [
        "EAPI:Invalid signature"
    ]
    assert errors(kraken, signed(path, 7)) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call("GET", "/0/public/Nothing"), "EGeneral:Unknown method"),
        (Call("GET", "/0/private/Balance"), "EGeneral:Unknown method"),
        (Call("GET", "/api/v3/time"), "EGeneral:Unknown method"),
        (Call("POST", "/0/private/Balance", body=b"nonce=1"), "EAPI:Invalid key"),
        (
            Call("POST", "/0/private/Balance", body=b"nonce=x", headers={"api-key": DEFAULT_ACCOUNT.key}),
            "EAPI:Invalid nonce",
        ),
        (Call("POST", "/0/private/Balance", headers={"api-key": DEFAULT_ACCOUNT.key}), "EAPI:Invalid nonce"),
        (Call("GET", "/0/public/OHLC"), "EGeneral:Invalid arguments:pair"),
        (Call("GET", "/0/public/OHLC", "pair=NOPE"), "EQuery:Unknown asset pair"),
        (Call("GET", "/0/public/OHLC", "pair=XBTUSDT&interval=7"), "EGeneral:Invalid arguments:interval"),
        (Call("GET", "/0/public/OHLC", "pair=XBTUSDT&since=-1"), "EGeneral:Invalid arguments:since"),
        (Call("GET", "/0/public/Depth", "pair=XBTUSDT&count=501"), "EGeneral:Invalid arguments:count"),
        (Call("GET", "/0/public/Ticker", "pair=XBTUSDT,NOPE"), "EQuery:Unknown asset pair"),
        (Call("GET", "/0/public/Ticker", "&".join(f"a{n}=1" for n in range(100))), "EGeneral:Invalid arguments"),
    ],
)
def test_calls_that_kraken_refuses(call: Call, words: str) -> None:
    """With a status of 200 and the words of the documentation."""
    assert errors(dialect(), call) == [words]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "EGeneral:Invalid arguments:pair"),
        ("pair=XBTUSDT&type=buy&ordertype=hope&volume=1", "EGeneral:Invalid arguments:ordertype"),
        ("pair=XBTUSDT&type=hold&ordertype=market&volume=1", "EGeneral:Invalid arguments:type"),
        ("pair=XBTUSDT&type=buy&ordertype=market&volume=0", "EGeneral:Invalid arguments:volume"),
        ("pair=XBTUSDT&type=buy&ordertype=market&volume=NaN", "EGeneral:Invalid arguments:volume"),
        ("pair=XBTUSDT&type=buy&ordertype=limit&volume=1", "EGeneral:Invalid arguments:price"),
        ("pair=XBTUSDT&type=buy&ordertype=limit&volume=1&price=60000.001", "EGeneral:Invalid arguments:price"),
        ("pair=XBTUSDT&type=buy&ordertype=limit&volume=1&price=60000&oflags=viqc", "EGeneral:Invalid arguments:viqc"),
        ("pair=XBTUSDT&type=buy&ordertype=limit&volume=9&price=60000", "EOrder:Insufficient funds"),
        ("pair=XBTUSDT&type=buy&ordertype=limit&volume=0.01&price=90000&oflags=post", "EOrder:Post only order"),
        (
            "pair=XBTUSDT&type=buy&ordertype=market&volume=0.1&cl_ord_id=longer-than-eighteen",
            "EGeneral:Invalid arguments:cl_ord_id",
        ),
    ],
)
def test_orders_that_kraken_refuses(body: str, words: str) -> None:
    """Nothing is placed."""
    kraken = dialect()
    assert errors(kraken, signed("/0/private/AddOrder", 1, body)) == [words]
    assert json.loads(kraken.respond(signed("/0/private/ClosedOrders", 2)).body)["result"]["count"] == 0


def test_secret_that_is_no_krakens_signs_nothing() -> None:
    """A secret that is not base64 belongs to another venue: every signature under it is wrong."""
    odd = sim.SimulatedAccount(name="odd", key="odd", secret="!not base64!")  # opens nothing
    kraken = KrakenDialect(Venue(_MARKET, VirtualClock(DEFAULT_NOW), Ledger(_MARKET, [odd]), Gate(Limits())))
    call = Call("POST", "/0/private/Balance", body=b"nonce=1", headers={"api-key": "odd", "api-sign": "AAAA"})
    assert errors(kraken, call) == ["EAPI:Invalid signature"]


def test_market_in_which_nothing_was_traded_is_told() -> None:
    """Zeros and an empty book, and no failure."""
    unlisted = sim.ReplayMarket({"AAA/USDT": _candles()}, instruments=[*generated_instruments(1), _AAA])
    kraken = KrakenDialect(Venue(unlisted, VirtualClock(unlisted.now), Ledger(unlisted, []), Gate(Limits())))
    for path in ("Ticker", "OHLC", "Depth", "Trades"):
        assert errors(kraken, Call("GET", f"/0/public/{path}", "pair=XBTUSDT")) == []


def test_order_of_a_cost_checked_order_and_json_body() -> None:
    """A market order in quote, one that is only checked, and a body in JSON."""
    kraken, order = dialect(), "pair=XBTUSDT&type=buy&ordertype=market&volume=100&oflags=viqc"
    checked = json.loads(kraken.respond(signed("/0/private/AddOrder", 1, f"{order}&validate=true")).body)
    assert checked["result"] == {"descr": {"order": "buy 100.00000000 XBTUSDT @ market"}}
    reply = kraken.respond(signed("/0/private/AddOrder", 2, f"{order}&cl_ord_id=mine"))
    placed = json.loads(reply.body)["result"]
    assert (set(placed), reply.order) == ({"descr", "txid"}, "mine")
    path, body = "/0/private/QueryOrders", json.dumps({"nonce": "3", "txid": placed["txid"][0], "trades": True})
    digest = hashlib.sha256(f"3{body}".encode()).digest()
    made = hmac.new(base64.b64decode(DEFAULT_ACCOUNT.secret), path.encode() + digest, hashlib.sha512).digest()
    headers = {"api-key": DEFAULT_ACCOUNT.key, "api-sign": base64.b64encode(made).decode()}
    call = Call("POST", path, body=body.encode(), headers={**headers, "content-type": "application/json"})
    (found,) = json.loads(kraken.respond(call).body)["result"].values()
    assert (found["status"], found["cl_ord_id"], 99 < float(found["cost"]) <= 100) == ("closed", "mine", True)
    for wrong in (b"{", b"[]"):
        assert errors(kraken, Call("POST", path, body=wrong, headers=call.headers)) == ["EGeneral:Invalid arguments"]


def test_calls_fill_a_counter_that_empties() -> None:
    """The sixteenth call of a key is too much, orders are not counted; an address has a counter of its own."""
    kraken = dialect()
    answers = [errors(kraken, signed("/0/private/Balance", nonce)) for nonce in range(1, 17)]
    assert answers == [[]] * 15 + [["EAPI:Rate limit exceeded"]]
    order = "pair=XBTUSDT&type=buy&ordertype=limit&volume=0.001&price=60000"
    assert errors(kraken, signed("/0/private/AddOrder", 17, order)) == []
    public = [errors(kraken, Call("GET", "/0/public/Time")) for _ in range(16)]
    assert public == [[]] * 15 + [["EAPI:Rate limit exceeded"]]
    assert kraken.respond(Call("GET", "/0/public/Time")).limited
    assert not kraken.respond(Call("GET", "/0/public/Nothing")).limited


def test_lists_in_lists_are_invalid_arguments() -> None:
    """What can be read and not written again is refused, as what cannot be read is."""
    body = b'{"nonce": "1", "pair": ' + b"[" * 300 + b"]" * 300 + b"}"
    headers = {"api-key": DEFAULT_ACCOUNT.key, "content-type": "application/json"}
    call = Call("POST", "/0/private/Balance", body=body, headers=headers)
    assert errors(dialect(), call) == ["EGeneral:Invalid arguments"]


def test_counter_has_room_again_as_time_passes() -> None:
    """By its decay a second, and never below nothing."""
    now = [0.0]
    counter = sim.usage.FillingCounter(2, clock=lambda: now[0])
    assert [counter.fill("a", 0.5) for _ in range(3)] == [True, True, False]
    now[0] = 1.9
    assert not counter.fill("a", 0.5)
    now[0] = 2.0
    assert counter.fill("a", 0.5)
    now[0] = 1e6
    assert [counter.fill("a", 0.5) for _ in range(3)] == [True, True, False]
    for number in range(5_000):
        counter.fill(f"owner {number}", 1.0)
    assert len(counter._levels) <= 4_096


async def test_banned_address_gets_the_words_of_the_network(venue: sim.SimulatedVenue) -> None:
    """429 with Retry-After and no JSON, as from the servers in front of the venue."""
    async with aiohttp.ClientSession(venue.url) as client:
        async with client.post("/sim/bans", json={"address": "127.0.0.1", "seconds": 5}) as response:
            assert response.status == 200
        async with client.get("/0/public/Time") as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "5")
            assert await response.text() == "error code: 1015"
    assert venue.requests.rejected == 1


def test_calls_that_cannot_be_read_have_answers_too() -> None:
    """A body that is too large or too slow: the status, and no word."""
    assert [(one.status, one.body) for one in map(dialect().refuse, (408, 413))] == [(408, b""), (413, b"")]


_TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["XBTUSDT", "5", "buy", "limit", "0.01", "60000", "O00000-00001-KRAKEN"])
)
_NAMES = st.sampled_from(
    [
        "pair",
        "interval",
        "since",
        "count",
        "type",
        "ordertype",
        "volume",
        "price",
        "oflags",
        "cl_ord_id",
        "txid",
        "ofs",
        "x",
    ]
)
_FUZZED = dialect(counter=10**9)
_NONCE = iter(range(1, 10**9))


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted([*_FUZZED._public, *_FUZZED._private, "", "../x"])),
    pairs=st.lists(st.tuples(_NAMES, _TEXTS), max_size=8),
    junk=st.binary(max_size=40),
    proper=st.booleans(),
)
def test_whatever_is_sent_is_answered(name: str, pairs: list[tuple[str, str]], junk: bytes, *, proper: bool) -> None:
    """No request makes it fail: the answer is JSON with errors or a result."""
    query = urllib.parse.urlencode(pairs, errors="replace")
    if proper:
        reply = _FUZZED.respond(signed(f"/0/private/{name}", next(_NONCE), query))
        assert reply.status == 200
    else:
        headers = {"api-key": DEFAULT_ACCOUNT.key, "api-sign": "\xff"}
        _FUZZED.respond(Call("POST", f"/0/private/{name}", query, junk, headers))
    reply = _FUZZED.respond(Call("GET", f"/0/public/{name}", query))
    assert set(json.loads(reply.body)) <= {"error", "result"}
