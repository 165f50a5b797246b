"""The okx dialect without a socket: contracts, pages, signatures, limits, and what hostile callers get."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import urllib.parse
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeutils import sim
from tradeutils.model import Candles
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, GeneratedMarket, VirtualClock
from tradeutils.sim.catalogue import generated_instruments, generated_swaps
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.limits import Gate, Limits
from tradeutils.sim.okx import OkxDialect
from tradeutils.sim.okx.names import amounts, contract_value, in_base, on_wire

MARKET = GeneratedMarket(
    [*generated_instruments(8), *generated_swaps(["BTC/USDT", "ETH/USDT", "SHIB/USDT", "ZZZ/USDT"])]
)
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
SPOT, SWAP = {"instId": "BTC-USDT"}, {"instId": "BTC-USDT-SWAP"}


class Okx:
    """A venue of its own that is called without a socket."""

    def __init__(self, market: sim.GeneratedMarket | sim.ReplayMarket = MARKET, **limits: Any) -> None:
        self.wall = 1e9
        self.clock = VirtualClock(market.now, strict=True)
        self.gate = Gate(dataclasses.replace(Limits.of("okx"), **limits), clock=lambda: self.wall)
        self.ledger = Ledger(market, [DEFAULT_ACCOUNT])
        self.dialect = OkxDialect(Venue(market, self.clock, self.ledger, self.gate))

    def public(self, path: str, query: str = "", **parameters: Any) -> Reply:
        """Return the answer to a public call."""
        return self.dialect.respond(Call("GET", f"/api/v5/{path}", query or urllib.parse.urlencode(parameters)))

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the data of a public call."""
        return self.data(self.public(path, **parameters))

    def call(self, method: str, path: str, sent: Any) -> Reply:
        """Return the answer to a private call."""
        return self.dialect.respond(self.signed(method, path, sent))

    def ask(self, path: str, **parameters: Any) -> Any:
        """Return the data of a private call that reads."""
        return self.data(self.call("GET", path, parameters))

    def post(self, path: str, *items: dict[str, Any], batch: bool = False) -> Any:
        """Return the body of the answer to a private call that changes something."""
        reply = self.call("POST", path, list(items) if batch or len(items) > 1 else items[0])
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def do(self, path: str, **parameters: Any) -> Any:
        """Return the row that says that one thing was done."""
        told = self.post(path, parameters)
        assert (told["code"], told["data"][0].get("sCode", "0")) == ("0", "0"), told
        return told["data"][0]

    def refused(self, path: str, **parameters: Any) -> str:
        """Return the code with which one thing was refused, and see that it names no order."""
        told = self.post(path, parameters)
        assert (told["code"], told["msg"]) == ("1", "All operations failed")
        (row,) = told["data"]
        assert not row.get("ordId", row.get("algoId"))
        return str(row["sCode"])

    def signed(
        self,
        method: str,
        path: str,
        sent: Any,
        *,
        age: int = 0,
        secret: str = DEFAULT_ACCOUNT.secret,
        moment: str | None = None,
        **headers: str,
    ) -> Call:
        """Return a private call as ccxt signs it."""
        query = "" if method == "POST" else urllib.parse.urlencode(sent)
        body = json.dumps(sent).encode() if method == "POST" else b""
        at = dt.datetime.fromtimestamp((self.clock.now() - age) / 1000, dt.UTC)
        moment = at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if moment is None else moment
        address = f"/api/v5/{path}"
        payload = (moment + method + address + (f"?{query}" if query else "")).encode() + body
        signature = base64.b64encode(hmac.new(secret.encode(), payload, hashlib.sha256).digest()).decode()
        given = {"key": DEFAULT_ACCOUNT.key, "passphrase": DEFAULT_ACCOUNT.passphrase, "sign": signature}
        given |= {"timestamp": moment} | headers
        return Call(method, address, query, body, {f"ok-access-{name}": value for name, value in given.items()})

    @staticmethod
    def data(reply: Reply) -> Any:
        """Return the data of an answer that says yes."""
        told = json.loads(reply.body)
        assert (reply.status, told["code"], told["msg"]) == (200, "0", ""), told
        return told["data"]


def code(reply: Reply) -> tuple[int, str]:
    """Return status and code of an answer."""
    return reply.status, json.loads(reply.body)["code"]


@pytest.fixture
def okx() -> Okx:
    """A venue with the limits of the real one."""
    return Okx()


def limit_order(**changed: Any) -> dict[str, Any]:
    """Return the parameters of an order on spot that rests."""
    order = {**SPOT, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.001", "px": "60000"}
    return {name: value for name, value in (order | changed).items() if value is not None}


def swap_order(**changed: Any) -> dict[str, Any]:
    """Return the parameters of an order that buys ten contracts, a tenth of a coin, at once."""
    order = {**SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "10"}
    return {name: value for name, value in (order | changed).items() if value is not None}


def test_time_is_the_venues(okx: Okx) -> None:
    """In milliseconds, as text."""
    assert okx.get("public/time") == [{"ts": str(DEFAULT_NOW)}]


def test_instruments_are_listed_by_type(okx: Okx) -> None:
    """Spot in base units, swaps in contracts; of futures and options there are none."""
    spot = okx.get("public/instruments", instType="SPOT")
    assert [row["instId"] for row in spot][:2] == ["BTC-USDT", "ETH-USDT"]
    assert (spot[0]["lotSz"], spot[0]["ctVal"], spot[0]["uly"], spot[0]["state"]) == ("0.00001", "", "", "live")
    (swap,) = okx.get("public/instruments", instType="SWAP", uly="BTC-USDT")
    assert (swap["instId"], swap["ctVal"], swap["lotSz"], swap["minSz"]) == ("BTC-USDT-SWAP", "0.01", "0.001", "0.001")
    assert (swap["settleCcy"], swap["instFamily"], swap["ctType"]) == ("USDT", "BTC-USDT", "linear")
    for kind in ("FUTURES", "MARGIN"):
        assert okx.get("public/instruments", instType=kind) == []
    assert okx.get("public/instruments", instType="OPTION", uly="BTC-USD") == []
    assert code(okx.public("public/instruments", instType="OPTION")) == (400, "50015")


def test_suspended_markets_are_listed_and_take_no_orders() -> None:
    """In another state than the rest."""
    halted = dataclasses.replace(generated_instruments(2)[1], active=False)
    okx = Okx(GeneratedMarket([generated_instruments(1)[0], halted]))
    assert [row["state"] for row in okx.get("public/instruments", instType="SPOT")] == ["live", "suspend"]
    assert okx.refused("trade/order", **limit_order(instId="ETH-USDT", px="3000", sz="1")) == "51022"


@pytest.mark.parametrize("instrument", MARKET.instruments.values(), ids=lambda one: one.id)
@settings(max_examples=40, deadline=None)
@given(steps=st.integers(1, 10**9))
def test_amounts_survive_being_counted_in_contracts(instrument: Any, steps: int) -> None:
    """Both ways, exact, and the same whether one at a time or in columns."""
    amount = steps * instrument.amount_step
    assert in_base(Decimal(on_wire(amount, instrument)), instrument) == amount
    (text,) = amounts([float(amount)], instrument)
    assert Decimal(text) * contract_value(instrument) == amount


def test_candles_come_newest_first_and_are_those_of_the_market(okx: Okx) -> None:
    """With volumes in contracts, base and quote, and the forming one in front; 100 by default, 300 at most."""
    for which, id, size in ((SPOT, "BTCUSDT", 1.0), (SWAP, "BTCUSDT-PERP", 0.01)):  # noqa: A001  # the field's word
        rows = okx.get("market/candles", **which, bar="5m")
        klines = MARKET.klines(id, "5m", DEFAULT_NOW, limit=100)
        candles = klines.candles
        assert [int(row[0]) for row in rows] == candles.time[::-1].tolist()
        for at, column in enumerate((candles.open, candles.high, candles.low, candles.close)):
            assert [float(row[at + 1]) for row in rows] == column[::-1].tolist()
        np.testing.assert_allclose([float(row[5]) * size for row in rows], candles.volume[::-1], rtol=1e-12)
        base = candles.volume if id != "BTCUSDT" else klines.quote_volume
        assert [float(row[6]) for row in rows] == base[::-1].tolist()
        assert [float(row[7]) for row in rows] == klines.quote_volume[::-1].tolist()
        assert [row[8] for row in rows] == ["0", *["1"] * 99]
    assert len(okx.get("market/candles", **SPOT, limit=5000)) == 300


def test_pages_of_candles_leave_out_what_they_are_asked_from(okx: Okx) -> None:
    """``after`` tells older ones, ``before`` newer ones, of which the newest; neither the one at the moment itself."""
    at = DEFAULT_NOW // _MINUTE * _MINUTE - 100 * _MINUTE

    def opens(**parameters: int) -> list[int]:
        rows = okx.get("market/candles", **SWAP, **parameters)
        return [(int(row[0]) - at) // _MINUTE for row in rows]

    assert opens(after=at, limit=3) == [-1, -2, -3]
    assert opens(before=at, limit=3) == [100, 99, 98]
    assert opens(before=at - 1, after=at + 3 * _MINUTE, limit=3) == [2, 1, 0]
    assert opens(before=at, after=at) == []
    assert opens(before=2**53) == []
    assert opens(after=0) == []


def test_recent_candles_end_after_1440_and_history_does_not(okx: Okx) -> None:
    """Of every bar as many; the endpoints about history know all since listing."""
    for bar, length in (("1m", _MINUTE), ("1H", _HOUR)):
        oldest = DEFAULT_NOW // length * length - 1_439 * length
        (row,) = okx.get("market/candles", **SPOT, bar=bar, after=oldest + 1)
        assert int(row[0]) == oldest
        assert okx.get("market/candles", **SPOT, bar=bar, after=oldest) == []
        assert len(okx.get("market/history-candles", **SPOT, bar=bar, after=oldest, limit=300)) == 300


@pytest.mark.parametrize(("kind", "name"), [("mark-price", "BTC-USDT-SWAP"), ("index", "BTC-USDT")])
def test_mark_and_index_candles_have_no_volume(okx: Okx, kind: str, name: str) -> None:
    """Those of the market, newest first, 100 at most; the index has the name of its pair."""
    source = getattr(MARKET, f"{kind.partition('-')[0]}_klines")
    candles = source("BTCUSDT-PERP", "1h", DEFAULT_NOW, limit=100).candles
    for path in (f"market/{kind}-candles", f"market/history-{kind}-candles"):
        rows = okx.get(path, instId=name, bar="1H", limit=300)
        assert [float(row[4]) for row in rows] == candles.close[::-1].tolist()
        assert {len(row) for row in rows} == {6}
    wrong = "BTC-USDT" if kind == "mark-price" else "BTC-USDT-SWAP"
    assert code(okx.public(f"market/{kind}-candles", instId=wrong))[1] in ("51000", "51001")


def test_books_have_as_many_levels_as_asked(okx: Okx) -> None:
    """One by default, 400 at most, and 5000 of the whole book; amounts of swaps are contracts."""
    assert len(okx.get("market/books", **SPOT)[0]["bids"]) == 1
    assert len(okx.get("market/books", **SPOT, sz=1000)[0]["bids"]) == 400
    assert len(okx.get("market/books-full", **SPOT, sz=9000)[0]["asks"]) == 5_000
    (book,) = okx.get("market/books", **SWAP, sz=50)
    bids, _ = MARKET.book("BTCUSDT-PERP", DEFAULT_NOW, 50)
    assert [float(row[0]) for row in book["bids"]] == bids[:, 0].tolist()
    np.testing.assert_allclose([float(row[1]) * 0.01 for row in book["bids"]], bids[:, 1], rtol=1e-12)


def test_trades_are_those_of_the_market(okx: Okx) -> None:
    """Newest first; 100 by default, 500 at most; the side is the taker's."""
    rows, own = okx.get("market/trades", **SPOT), MARKET.trades("BTCUSDT", DEFAULT_NOW, limit=100)
    assert [row["tradeId"] for row in rows] == [str(number) for number in own.id[::-1]]
    assert [row["side"] for row in rows] == ["sell" if sold else "buy" for sold in own.buyer_is_maker[::-1]]
    assert [float(row["sz"]) for row in rows] == own.amount[::-1].tolist()
    assert len(okx.get("market/trades", **SPOT, limit=900)) == 500


def test_past_trades_come_in_pages_by_id_and_by_time(okx: Okx) -> None:
    """Pages join without a gap, by either."""
    own = MARKET.trades("BTCUSDT-PERP", DEFAULT_NOW, limit=250).id.tolist()
    for kind, name in (("1", "tradeId"), ("2", "ts")):
        found: list[int] = []
        page: list[Any] = okx.get("market/history-trades", **SWAP, type=kind)
        while len(found) < 250:
            found += [int(row["tradeId"]) for row in page]
            page = okx.get("market/history-trades", **SWAP, type=kind, after=page[-1][name])
        assert found[:250] == own[::-1]
    ids = [int(row["tradeId"]) for row in okx.get("market/history-trades", **SWAP, before=own[-3])]
    assert ids == own[:-3:-1]
    times = [row["ts"] for row in okx.get("market/history-trades", **SWAP, type="2", before=DEFAULT_NOW - 3_001)]
    assert times == [str(DEFAULT_NOW), str(DEFAULT_NOW - 3_000)]
    assert okx.get("market/history-trades", **SWAP, after=1) == okx.get("market/history-trades", **SWAP, after=0) == []
    assert okx.get("market/history-trades", **SWAP, type="2", after=0) == []


def test_past_trades_are_found_behind_long_silence() -> None:
    """Where hours pass between two trades, a page is as full as anywhere."""
    volume = np.where(np.arange(2_000) % 600 == 0, 500.0, 0.0)
    columns = dict.fromkeys(("open", "high", "low", "close"), np.full(2_000, 10.0))
    candles = Candles(timeframe="1m", time=1_700_000_040_000 + _MINUTE * np.arange(2_000), volume=volume, **columns)
    market = sim.ReplayMarket({"BTC/USDT": candles})
    okx, found = Okx(market), list[int]()
    page = okx.get("market/history-trades", **SPOT, limit=7)
    while page:
        found += [int(row["tradeId"]) for row in page]
        page = okx.get("market/history-trades", **SPOT, limit=7, after=found[-1])
    assert found == market.trades("BTCUSDT", market.now, limit=500).id[::-1].tolist()
    assert len(found) == 80


def test_moments_at_the_end_of_time_are_only_numbers(okx: Okx) -> None:
    """Nothing is newer, and all is older."""
    last = 2**63 - 1
    for path in ("market/candles", "market/history-trades", "public/funding-rate-history"):
        assert okx.get(path, **SWAP, before=last) == []
        assert okx.get(path, **SWAP, after=last) == okx.get(path, **SWAP)
    assert okx.get("market/history-trades", **SWAP, type="2", before=last) == []
    path = "rubik/stat/contracts/open-interest-history"
    assert okx.get(path, **SWAP, begin=last) == []
    assert okx.get(path, **SWAP, end=last) == okx.get(path, **SWAP)


def test_tickers_tell_the_day(okx: Okx) -> None:
    """Of one market or of all of a type, with volumes as the candles have them and the open of the day."""
    (row,) = okx.get("market/ticker", **SWAP)
    day = MARKET.day("BTCUSDT-PERP", DEFAULT_NOW)
    assert day is not None
    assert (float(row["last"]), float(row["high24h"]), float(row["volCcy24h"])) == (day.last, day.high, day.volume)
    assert float(row["vol24h"]) == pytest.approx(day.volume * 100, rel=1e-12)
    today = MARKET.klines("BTCUSDT-PERP", "1d", DEFAULT_NOW, limit=1).candles
    there = MARKET.klines("BTCUSDT-PERP", "1h", DEFAULT_NOW, since=DEFAULT_NOW // _DAY * _DAY - 8 * _HOUR, limit=1)
    assert (float(row["sodUtc0"]), float(row["sodUtc8"])) == (today.open[0], there.candles.open[0])
    (spot,) = okx.get("market/ticker", **SPOT)
    known = MARKET.day("BTCUSDT", DEFAULT_NOW)
    assert known is not None
    assert (float(spot["vol24h"]), float(spot["volCcy24h"])) == (known.volume, known.quote_volume)
    assert len(okx.get("market/tickers", instType="SPOT")) == 8
    assert len(okx.get("market/tickers", instType="SWAP")) == 4
    assert [one["instId"] for one in okx.get("market/tickers", instType="SWAP", uly="ETH-USDT")] == ["ETH-USDT-SWAP"]


def test_mark_and_index_prices(okx: Okx) -> None:
    """Of one or of all; spot has no mark here."""
    (mark,) = okx.get("public/mark-price", **SWAP)
    assert float(mark["markPx"]) == MARKET.mark_price("BTCUSDT-PERP", DEFAULT_NOW)
    assert len(okx.get("public/mark-price", instType="SWAP")) == 4
    assert okx.get("public/mark-price", **SPOT) == okx.get("public/mark-price", instType="MARGIN") == []
    assert code(okx.public("public/mark-price")) == (400, "50014")
    (index,) = okx.get("market/index-tickers", instId="BTC-USDT")
    assert float(index["idxPx"]) == MARKET.index_price("BTCUSDT-PERP", DEFAULT_NOW)
    assert float(index["low24h"]) <= float(index["idxPx"]) <= float(index["high24h"])
    assert len(okx.get("market/index-tickers", quoteCcy="USDT")) == 4
    assert code(okx.public("market/index-tickers")) == (400, "50015")


def test_funding_is_told_with_the_settlement_before_and_after(okx: Okx) -> None:
    """Of one swap or of any."""
    (row,) = okx.get("public/funding-rate", **SWAP)
    own = MARKET.funding("BTCUSDT-PERP", DEFAULT_NOW)
    assert (float(row["fundingRate"]), int(row["fundingTime"])) == (own.rate, own.next_time)
    assert int(row["nextFundingTime"]) - own.next_time == own.next_time - int(row["prevFundingTime"]) == 8 * _HOUR
    assert len(okx.get("public/funding-rate", instId="ANY")) == 4


def test_settlements_are_kept_for_three_months(okx: Okx) -> None:
    """Newest first, 400 at most; pages leave out the moment that they name."""
    rows = okx.get("public/funding-rate-history", **SWAP)
    own = MARKET.funding_history("BTCUSDT-PERP", DEFAULT_NOW, limit=276)
    assert [(int(row["fundingTime"]), float(row["realizedRate"])) for row in rows] == own[::-1]
    older = okx.get("public/funding-rate-history", **SWAP, after=own[-2][0], limit=2)
    assert [int(row["fundingTime"]) for row in older] == [own[-3][0], own[-4][0]]
    newer = okx.get("public/funding-rate-history", **SWAP, before=own[-3][0])
    assert [int(row["fundingTime"]) for row in newer] == [own[-1][0], own[-2][0]]


def test_open_interest_is_told_in_contracts_coins_and_dollars(okx: Okx) -> None:
    """Now, and at the end of each period between two moments."""
    (now,) = okx.get("public/open-interest", instType="SWAP", **SWAP)
    own = MARKET.open_interest("BTCUSDT-PERP", DEFAULT_NOW)
    assert (float(now["oiCcy"]), float(now["oiUsd"])) == (own.amount, pytest.approx(own.value, abs=1e-4))
    assert float(now["oi"]) == pytest.approx(100 * own.amount, rel=1e-12)
    assert len(okx.get("public/open-interest", instType="SWAP")) == 4
    path, newest = "rubik/stat/contracts/open-interest-history", DEFAULT_NOW // _HOUR * _HOUR
    rows = okx.get(path, **SWAP, period="1H")
    history = MARKET.open_interest_history("BTCUSDT-PERP", "1h", DEFAULT_NOW, limit=100)
    assert [(int(row[0]), float(row[2])) for row in rows] == [(one.time, one.amount) for one in reversed(history)]
    rows = okx.get(path, **SWAP, period="1H", begin=newest - 4 * _HOUR, end=newest - _HOUR)
    assert [int(row[0]) for row in rows] == [newest - 2 * _HOUR, newest - 3 * _HOUR]
    assert okx.get(path, **SWAP, period="5m", end=DEFAULT_NOW - 1_441 * 5 * _MINUTE) == []


def test_days_of_open_interest_begin_in_hong_kong(okx: Okx) -> None:
    """Unless the period says UTC."""
    path = "rubik/stat/contracts/open-interest-history"
    rows = okx.get(path, **SWAP, period="1D", limit=3)
    assert [int(row[0]) % _DAY for row in rows] == [16 * _HOUR] * 3
    assert [int(row[0]) for row in rows] == sorted((int(row[0]) for row in rows), reverse=True)
    assert {int(row[0]) % _DAY for row in okx.get(path, **SWAP, period="1Dutc", limit=3)} == {0}


@pytest.mark.parametrize(
    ("path", "query", "answer"),
    [
        ("public/instruments", "", "50014"),
        ("public/instruments", "instType=NOPE", "51000"),
        ("public/instruments", "instType=SPOT&instId=NOPE", "51001"),
        ("market/tickers", "", "50014"),
        ("market/ticker", "", "50014"),
        ("market/ticker", "instId=NOPE", "51001"),
        ("market/ticker", "instId=BTCUSDT", "51001"),
        ("market/candles", "instId=BTC-USDT&bar=7m", "51000"),
        ("market/candles", "instId=BTC-USDT&bar=1D", "51000"),
        ("market/candles", "instId=BTC-USDT&after=-1", "51000"),
        ("market/candles", "instId=BTC-USDT&after=9999999999999999999", "51000"),
        ("market/candles", "instId=BTC-USDT&limit=0", "51000"),
        ("market/candles", "instId=BTC-USDT&limit=%C2%B2", "51000"),
        ("market/index-candles", "instId=ETH-BTC", "51001"),
        ("market/history-trades", "instId=BTC-USDT&type=3", "51000"),
        ("public/mark-price", "instType=NOPE", "51000"),
        ("public/open-interest", "instId=BTC-USDT-SWAP", "50014"),
        ("public/funding-rate", "instId=BTC-USDT", "51000"),
        ("public/funding-rate-history", "", "50014"),
        ("rubik/stat/contracts/open-interest-history", "instId=BTC-USDT-SWAP&period=1m", "51000"),
        ("market/ticker", "&".join(f"a{number}=1" for number in range(100)), "51000"),
    ],
)
def test_public_calls_that_okx_refuses(okx: Okx, path: str, query: str, answer: str) -> None:
    """With its code, no data, and 400 but for markets that there are not."""
    reply = okx.public(path, query)
    assert code(reply) == (200 if answer == "51001" else 400, answer)
    assert json.loads(reply.body)["data"] == []


@pytest.mark.parametrize(
    "path", ["/", "/api/v5", "/api/v5/", "/api/v5/nothing", "/market/ticker", "/api/v5/Public/time"]
)
def test_unknown_paths_are_not_found(okx: Okx, path: str) -> None:
    """404, and are counted as one."""
    reply = okx.dialect.respond(Call("GET", path))
    assert (reply.status, reply.route, json.loads(reply.body)["error_code"]) == (404, "unknown", "404")


def test_known_paths_want_their_own_method(okx: Okx) -> None:
    """405 to any other."""
    for method, path in (("POST", "public/time"), ("GET", "trade/batch-orders"), ("PUT", "trade/order")):
        assert code(okx.dialect.respond(Call(method, f"/api/v5/{path}"))) == (405, "50115")


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({}, (200, "0")),
        ({"age": 30_000}, (200, "0")),
        ({"age": -29_999}, (200, "0")),
        ({"age": 30_001}, (401, "50102")),
        ({"age": -30_000}, (401, "50102")),
        ({"moment": "2025-06-02T12:00:30Z"}, (401, "50112")),
        ({"moment": "2025-06-32T12:00:30.000Z"}, (401, "50112")),
        ({"moment": "1748865630000"}, (401, "50112")),
        ({"moment": "0001-01-01T00:00:00.000Z"}, (401, "50102")),
        ({"secret": "another"}, (401, "50113")),
        ({"key": "another"}, (401, "50111")),
        ({"passphrase": "another"}, (401, "50105")),
        ({"passphrase": "\xff\udcff"}, (401, "50105")),
        ({"sign": "\xff\udcff"}, (401, "50113")),
        ({"key": ""}, (401, "50103")),
        ({"passphrase": ""}, (401, "50104")),
        ({"sign": ""}, (401, "50106")),
        ({"timestamp": ""}, (401, "50107")),
    ],
)
def test_signatures_are_judged_by_the_venues_clock(okx: Okx, changed: dict[str, Any], answer: tuple[int, str]) -> None:
    """Within half a minute to either side, by a known key, with its secret and its passphrase."""
    order = limit_order()
    for method, path, sent in (("GET", "account/balance", {"ccy": "BTC"}), ("POST", "trade/order", order)):
        assert code(okx.dialect.respond(okx.signed(method, path, sent, **changed))) == answer


def test_signature_covers_what_was_sent(okx: Okx) -> None:
    """A query or body that was changed on the way is refused."""
    call = okx.signed("GET", "account/balance", {"ccy": "BTC"})
    assert code(okx.dialect.respond(dataclasses.replace(call, query="ccy=ETH"))) == (401, "50113")
    call = okx.signed("POST", "trade/order", limit_order())
    assert code(okx.dialect.respond(dataclasses.replace(call, body=b"{}"))) == (401, "50113")


def test_endpoints_are_limited_each_by_itself(okx: Okx) -> None:
    """40 books of an address in any two seconds, and 429 after them; others have room of their own."""
    for _ in range(20):
        okx.get("market/books", **SPOT)
    okx.wall += 1.5
    for _ in range(20):
        okx.get("market/books", **SPOT)
    reply = okx.public("market/books", **SPOT)
    assert code(reply) == (429, "50011")
    okx.get("market/candles", **SPOT)
    other = Call("GET", "/api/v5/market/books", "instId=BTC-USDT", remote="127.0.0.2")
    assert okx.dialect.respond(other).status == 200
    okx.wall += 0.5
    okx.get("market/books", **SPOT)


def test_limits_by_instrument_are_apart(okx: Okx) -> None:
    """Ten rates of a swap, ten of another; what names no market is counted together."""
    for name in ("BTC-USDT-SWAP", "ETH-USDT-SWAP"):
        for _ in range(10):
            okx.get("public/funding-rate", instId=name)
        assert okx.public("public/funding-rate", instId=name).status == 429
    for number in range(10):
        assert code(okx.public("public/funding-rate", instId=f"NO{number}")) == (200, "51001")
    assert okx.public("public/funding-rate", instId="NO11").status == 429
    for number in range(20):
        assert code(okx.public("public/instruments", instType=f"NO{number}")) == (400, "51000")
    assert okx.public("public/instruments", instType="NO20").status == 429
    okx.get("public/instruments", instType="SPOT")


def test_batch_of_one_counts_as_an_order_and_larger_ones_by_their_orders(okx: Okx) -> None:
    """60 orders one by one on an instrument in two seconds, beside 300 in batches."""
    for number in range(60):
        okx.post("trade/batch-orders" if number % 2 else "trade/order", limit_order(sz="9"), batch=bool(number % 2))
    for path, batch in (("trade/order", False), ("trade/batch-orders", True)):
        sent = [limit_order()] if batch else limit_order()
        assert code(okx.call("POST", path, sent)) == (429, "50011")
    assert okx.refused("trade/order", **swap_order(sz="900")) == "51008"
    for _ in range(15):
        okx.post("trade/batch-orders", *[limit_order(sz="9")] * 20)
    assert code(okx.call("POST", "trade/batch-orders", [limit_order(sz="9")] * 2)) == (429, "50011")


def test_account_places_a_thousand_orders_in_two_seconds() -> None:
    """In all markets together, whatever becomes of them; cancels do not count."""
    okx = Okx(endpoints=100.0)
    for _ in range(49):
        okx.post("trade/batch-orders", *[limit_order(sz="9")] * 20)
    okx.post("trade/batch-orders", *[limit_order(sz="9")] * 19)
    too_many = okx.call("POST", "trade/batch-orders", [limit_order(sz="9")] * 2)
    assert (*code(too_many), too_many.limited) == (200, "50061", True)  # a batch as a whole
    okx.post("trade/order", limit_order(sz="9"))
    assert code(okx.call("POST", "trade/order", swap_order())) == (200, "50061")
    assert okx.refused("trade/cancel-order", **SPOT, ordId="1") == "51400"
    okx.wall += 2
    okx.do("trade/order", **swap_order())


def test_unsigned_calls_use_up_nothing_of_an_account(okx: Okx) -> None:
    """Who knows no secret cannot spend what the account may ask."""
    for _ in range(30):
        call = okx.signed("GET", "account/config", {}, secret="guessed")
        assert code(okx.dialect.respond(call)) == (401, "50113")
    okx.ask("account/config")


def test_banned_address_is_told_to_ask_less(okx: Okx) -> None:
    """Whatever it asks, until the ban is over."""
    okx.gate.ban("127.0.0.1", 5)
    assert code(okx.public("public/time")) == code(okx.call("GET", "account/config", {})) == (429, "50011")
    okx.wall += 6
    okx.get("public/time")


def test_limits_of_okx_are_its_own() -> None:
    """A thousand orders in two seconds and none by the day; without limits nobody is refused."""
    assert (Limits.of("okx").orders, Limits.of("okx").orders_window) == (1_000, 2.0)
    free = Okx()
    free.dialect = OkxDialect(Venue(MARKET, free.clock, free.ledger, Gate(Limits.none())))
    for _ in range(200):
        free.ask("account/config")


def test_market_in_which_nothing_was_traded_is_told() -> None:
    """Empty figures and lists, and no failure."""
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), np.full(3, 10.0))
    candles = Candles(timeframe="1m", time=1_700_000_040_000 + _MINUTE * np.arange(3), **columns)
    traded = dataclasses.replace(generated_instruments(1)[0], base="AAA")
    okx = Okx(sim.ReplayMarket({"AAA/USDT": candles}, instruments=[*generated_instruments(1), traded]))
    (row,) = okx.get("market/ticker", **SPOT)
    assert (row["last"], row["bidPx"], row["vol24h"], row["sodUtc0"]) == ("", "", "", "")
    assert okx.get("market/candles", **SPOT) == okx.get("market/trades", **SPOT) == []
    assert okx.get("market/history-trades", **SPOT) == []
    assert okx.get("market/books", **SPOT)[0]["bids"] == []
    assert okx.refused("trade/order", **limit_order(ordType="market", px=None, sz="100")) == "51109"


def test_calls_that_cannot_be_read_have_answers_too(okx: Okx) -> None:
    """A body that is too large or too slow: the status, and no word."""
    assert [(one.status, one.body) for one in map(okx.dialect.refuse, (408, 413))] == [(408, b""), (413, b"")]


_KNOWN = (
    "SPOT SWAP BTC-USDT BTC-USDT-SWAP buy sell limit market trigger conditional cash cross 0.01 60000 1 -1 true "
    "1000000000000000001 2000000000000000002 1H quote_ccy mine"
)
_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(_KNOWN.split()),
)
_VALUES = st.one_of(_TEXTS, st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers(), max_size=2))
_WORDS = (
    "instType instId uly bar after before limit sz type period begin end ccy tdMode side ordType px clOrdId ordId "
    "algoId algoClOrdId state tgtCcy reduceOnly triggerPx orderPx slTriggerPx slOrdPx closeFraction lever mgnMode x"
)
_FUZZED = Okx(endpoints=1e8, orders=10**9)
_PATHS = sorted({*_FUZZED.dialect._public, *_FUZZED.dialect._read, *_FUZZED.dialect._change, *_FUZZED.dialect._trade})


@settings(max_examples=400, deadline=None)
@given(
    path=st.sampled_from([*_PATHS, "", "../x"]),
    sent=st.lists(st.dictionaries(st.sampled_from(_WORDS.split()), _VALUES, max_size=12), min_size=1, max_size=3),
    junk=st.binary(max_size=40),
    method=st.sampled_from(["GET", "POST"]),
)
def test_whatever_is_sent_is_answered(path: str, sent: list[dict[str, Any]], junk: bytes, method: str) -> None:
    """No request makes it fail: the answer is an envelope."""
    given = (sent if len(sent) > 1 else sent[0]) if method == "POST" else {k: str(v) for k, v in sent[0].items()}
    try:
        call = _FUZZED.signed(method, path, given)
    except UnicodeEncodeError:  # a lone surrogate cannot be sent
        return
    query = junk.decode("latin-1")
    for one in (call, dataclasses.replace(call, query=query), dataclasses.replace(call, body=junk, headers={})):
        reply = _FUZZED.dialect.respond(one)
        assert set(json.loads(reply.body)) >= {"code", "msg", "data"}


@pytest.mark.parametrize("depth", [300, 2_000])
def test_lists_in_lists_are_bad_json(okx: Okx, depth: int) -> None:
    """However deep: what can be read and not written again is refused, as what cannot be read is."""
    body = b'{"instId": ' + b"[" * depth + b"]" * depth + b"}"
    call = dataclasses.replace(okx.signed("POST", "trade/order", {}), body=body)
    payload = (call.headers["ok-access-timestamp"] + "POST" + call.path).encode() + body
    made = base64.b64encode(hmac.new(DEFAULT_ACCOUNT.secret.encode(), payload, hashlib.sha256).digest()).decode()
    headers = {**call.headers, "ok-access-sign": made}
    assert code(okx.dialect.respond(dataclasses.replace(call, headers=headers))) == (400, "50002")
