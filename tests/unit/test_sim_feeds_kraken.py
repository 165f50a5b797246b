"""The sessions of kraken's websockets without a socket: channels, books, tokens, orders, and hostile clients."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import gzip
import hashlib
import hmac
import json
import pathlib
import urllib.parse
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listeners import Listener

from tradeutils.sim import DEFAULT_ACCOUNT, GeneratedMarket, VirtualClock
from tradeutils.sim.catalogue import generated_instruments
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import Close
from tradeutils.sim.feeds.events import Topic
from tradeutils.sim.feeds.sources import source_of
from tradeutils.sim.instruments import Instrument
from tradeutils.sim.kraken import KrakenDialect
from tradeutils.sim.kraken.feeds import KrakenFeeds
from tradeutils.sim.kraken.feeds_rows import checksum
from tradeutils.sim.kraken.names import order_name
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.limits import Gate, Limits

_MARKET = GeneratedMarket(generated_instruments(6))
_SYMBOL, _PAIR, _ID = "BTC/USDT", "XBTUSDT", "BTCUSDT"


class Kraken:
    """A venue with a frozen clock: its REST interface and its feeds."""

    def __init__(self, **limits: Any) -> None:
        self.wall = 1e9
        self.clock = VirtualClock(_MARKET.now, strict=True)
        gate = Gate(Limits(**{"counter": 10**6, **limits}), clock=lambda: self.wall)
        self.ledger = Ledger(_MARKET, [DEFAULT_ACCOUNT])
        self.venue = Venue(_MARKET, self.clock, self.ledger, gate)
        self.dialect, self.feeds = KrakenDialect(self.venue), KrakenFeeds(self.venue, self.venue.keys)
        self._nonce = 0

    def get(self, name: str, **parameters: Any) -> Any:
        """Return what a public call tells."""
        reply = self.dialect.respond(Call("GET", f"/0/public/{name}", urllib.parse.urlencode(parameters)))
        return _result(reply)

    def ask(self, name: str, **fields: Any) -> Any:
        """Return what a private call tells."""
        self._nonce += 1
        path, body = f"/0/private/{name}", urllib.parse.urlencode({"nonce": self._nonce, **fields}).encode()
        digest = path.encode() + hashlib.sha256(str(self._nonce).encode() + body).digest()
        sign = base64.b64encode(hmac.new(base64.b64decode(DEFAULT_ACCOUNT.secret), digest, hashlib.sha512).digest())
        headers = {"api-key": DEFAULT_ACCOUNT.key, "api-sign": sign.decode()}
        return _result(self.dialect.respond(Call("POST", path, "", body, headers)))

    def token(self) -> str:
        """Return a token for private channels."""
        return str(self.ask("GetWebSocketsToken")["token"])

    def order(self, **changed: Any) -> str:
        """Place an order that rests, or another, and return its name."""
        order = {"pair": _PAIR, "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "60000"} | changed
        return str(self.ask("AddOrder", **{name: one for name, one in order.items() if one is not None})["txid"][0])

    def line(self, remote: str = "127.0.0.1") -> Listener:
        """Connect."""
        session = self.feeds.connect(Call("GET", "/v2", remote=remote))
        assert not isinstance(session, Reply), session
        return Listener(self.venue, session)


def _result(reply: Reply) -> Any:
    told = json.loads(reply.body)
    assert told["error"] == [], told
    return told["result"]


@pytest.fixture
def kraken() -> Kraken:
    """A venue of its own."""
    return Kraken()


def subscribe(channel: str, *symbols: str, method: str = "subscribe", **more: Any) -> dict[str, Any]:
    """Return a request for a channel of some markets."""
    return {"method": method, "params": {"channel": channel, "symbol": [*symbols] or [_SYMBOL], **more}, "req_id": 7}


def follow(channel: str, token: str, method: str = "subscribe", **more: Any) -> dict[str, Any]:
    """Return a request for a private channel."""
    return {"method": method, "params": {"channel": channel, "token": token, **more}, "req_id": 8}


def ticks(line: Listener, seconds: int) -> list[Any]:
    """Return what is told while seconds pass."""
    return [message for _ in range(seconds) for message in line.tick()]


def error(told: list[Any]) -> str:
    """Return the words of a refusal."""
    (answer,) = told
    assert answer["success"] is False
    return str(answer["error"])


def rows(told: list[Any]) -> list[Any]:
    """Return the rows of messages of channels."""
    return [row for one in told if "channel" in one for row in one["data"]]


def test_a_client_is_greeted_with_the_status(kraken: Kraken) -> None:
    """Before it says anything; each connection has its own number."""
    first, second = (kraken.line().greeting for _ in range(2))
    assert (first[0]["channel"], first[0]["data"][0]["system"]) == ("status", "online")
    assert first[0]["data"][0]["connection_id"] != second[0]["data"][0]["connection_id"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/x"])
def test_paths_that_there_are_not_are_404(kraken: Kraken, path: str) -> None:
    """Version 1 is not spoken."""
    refused = kraken.feeds.connect(Call("GET", path))
    assert isinstance(refused, Reply)
    assert refused.status == 404


def test_ping_is_answered_with_its_id(kraken: Kraken) -> None:
    """And with the venue's time."""
    (told,) = kraken.line().say({"method": "ping", "req_id": 101})
    assert (told["method"], told["req_id"]) == ("pong", 101)
    assert told["time_in"].endswith("Z")


def test_a_heartbeat_is_told_where_nothing_else_is(kraken: Kraken) -> None:
    """Every second, once anything is subscribed."""
    line = kraken.line()
    assert ticks(line, 3) == []
    line.say(subscribe("ticker"))
    assert ticks(line, 1) == []
    assert ticks(line, 2) == [{"channel": "heartbeat"}] * 2
    kraken.clock.step(10_000)
    assert line.beat()
    assert ticks(line, 1) == []


def test_a_connection_of_no_use_is_closed_after_a_minute(kraken: Kraken) -> None:
    """One that follows nothing and says nothing."""
    line = kraken.line()
    ticks(line, 59)
    line.say({"method": "ping"})
    ticks(line, 59)
    line.say(subscribe("ticker"))
    ticks(line, 200)
    line.say(subscribe("ticker", method="unsubscribe"))
    assert ticks(line, 60) == [Close(1000, "Inactivity")]


def test_each_symbol_is_answered_by_itself(kraken: Kraken) -> None:
    """One that there is not is refused in the venue's words; the others are told."""
    told = kraken.line().say(subscribe("ticker", _SYMBOL, "XBT/USDT", "BTCUSDT", "ETH/USDT"))
    assert [one.get("success") for one in told] == [True, False, False, True, None, None]
    assert told[0]["result"] == {
        "channel": "ticker", "snapshot": True, "symbol": _SYMBOL, "event_trigger": "trades",
    }  # fmt: skip
    assert {one["req_id"] for one in told[:4]} == {7}
    assert (told[1]["error"], told[1]["symbol"]) == ("Currency pair not supported XBT/USDT", "XBT/USDT")
    assert told[2]["error"] == "Currency pair not in ISO 4217-A3 format BTCUSDT"
    assert [row["symbol"] for row in rows(told)] == [_SYMBOL, "ETH/USDT"]


def test_the_ticker_is_rests(kraken: Kraken) -> None:
    """The figures of the same moment, at first and after every trade."""
    line = kraken.line()
    told = line.say(subscribe("ticker"))[-1:]
    for pulse in range(6):
        (one,) = told
        (row,), rest = one["data"], kraken.get("Ticker", pair=_PAIR)[_PAIR]
        assert one["type"] == ("update" if pulse else "snapshot")
        assert (row["bid"], row["ask"]) == (float(rest["b"][0]), float(rest["a"][0]))
        assert row["last"] == float(rest["c"][0])
        assert row["vwap"] == float(rest["p"][1])
        assert (row["low"], row["high"]) == (float(rest["l"][1]), float(rest["h"][1]))
        assert row["volume"] == float(rest["v"][1])
        assert row["change"] == pytest.approx(row["last"] - float(rest["o"]))
        assert row["change_pct"] == pytest.approx(100 * row["change"] / float(rest["o"]), abs=0.006)
        kraken.clock.step(3_100)
        told = line.beat()


def test_a_ticker_is_told_of_trades_or_of_the_best_prices(kraken: Kraken) -> None:
    """As the client asks; trades by default."""
    lines = [kraken.line(), kraken.line()]
    lines[0].say(subscribe("ticker"))
    lines[1].say(subscribe("ticker", event_trigger="bbo"))
    counts = [0, 0]
    for _ in range(40):
        kraken.clock.step(300)
        for at, line in enumerate(lines):
            counts[at] += len(line.beat())
    assert 0 < counts[0] <= 5
    assert counts[1] > 2 * counts[0]


def test_trades_are_rests_each_once_in_order(kraken: Kraken) -> None:
    """All that happened since the subscription, oldest first; nothing at first."""
    line = kraken.line()
    before = kraken.get("Trades", pair=_PAIR)[_PAIR][-1][6]
    assert len(line.say(subscribe("trade"))) == 1
    told = []
    for _ in range(7):
        kraken.clock.step(11_000)
        told += rows(line.beat())
    rest = [row for row in kraken.get("Trades", pair=_PAIR)[_PAIR] if row[6] > before]
    assert [row["trade_id"] for row in told] == [row[6] for row in rest]
    assert [(row["price"], row["qty"]) for row in told] == [(float(row[0]), float(row[1])) for row in rest]
    assert [row["side"][0] for row in told] == [row[3] for row in rest]


def test_trades_may_begin_with_the_last_fifty(kraken: Kraken) -> None:
    """And none of those is told again, also where others follow the channel already."""
    line = kraken.line()
    source = source_of(kraken.venue, Topic("trades", _ID), kraken.clock.now())
    kraken.clock.step(7_000)  # two trades that the source has not told
    told = [json.loads(str(text)) for text in line.session.receive(
        json.dumps(subscribe("trade", snapshot=True)), kraken.clock.now()
    )]  # fmt: skip
    assert (told[1]["type"], len(told[1]["data"])) == ("snapshot", 50)
    last = told[1]["data"][-1]["trade_id"]
    kraken.clock.step(7_000)
    (event,) = source.news(kraken.clock.now())
    (update,) = (json.loads(str(text)) for text in line.session.render(event))
    assert update["data"][0]["trade_id"] == last + 1
    source = source_of(kraken.venue, Topic("trades", _ID), kraken.clock.now() - 20_000)
    fresh = kraken.line()
    fresh.session.receive(json.dumps(subscribe("trade", snapshot=True)), kraken.clock.now())
    (event,) = source.news(kraken.clock.now())
    assert list(fresh.session.render(event)) == []


@pytest.mark.parametrize(("minutes", "step"), [(1, 7_000), (15, 300_000), (60, 900_000), (1440, 21_600_000)])
def test_candles_are_rests(kraken: Kraken, minutes: int, step: int) -> None:
    """Ten at first, then each as it grows; all that REST tells of those that ended was told."""
    line = kraken.line()
    told = line.say(subscribe("ohlc", interval=minutes))
    assert (told[1]["type"], len(told[1]["data"])) == ("snapshot", 10)
    candles = {row["interval_begin"]: row for row in rows(told)}
    for _ in range(20):
        kraken.clock.step(step)
        candles |= {row["interval_begin"]: row for row in rows(line.beat())}
    rest = kraken.get("OHLC", pair=_PAIR, interval=minutes)[_PAIR][-len(candles) :]
    assert len(candles) > 11
    for row, known in zip(candles.values(), rest, strict=True):
        figures = [row[name] for name in ("open", "high", "low", "close", "vwap", "volume")]
        assert figures == [float(text) for text in known[1:7]]
        assert (row["trades"], row["interval"]) == (known[7], minutes)


def test_one_interval_of_a_symbol_is_followed_on_a_connection(kraken: Kraken) -> None:
    """Another is refused in the venue's words; the same is followed already."""
    line = kraken.line()
    line.say(subscribe("ohlc", interval=5))
    assert error(line.say(subscribe("ohlc", interval=1))) == "Already subscribed to one ohlc interval on this symbol"
    assert error(line.say(subscribe("ohlc", interval=5))) == "Already subscribed"
    assert line.say(subscribe("ohlc", "ETH/USDT", interval=1))[0]["success"]
    assert kraken.line().say(subscribe("ohlc", interval=1))[0]["success"]


class Book:
    """A book as a client builds it from what it is told, and proves it by the digits as they are written."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.sides: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}

    def take(self, text: str) -> None:
        """Take one message: the snapshot, or a difference."""
        message = json.loads(text, parse_float=Decimal)
        (data,) = message["data"]
        if message["type"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
        for name, side in self.sides.items():
            for level in data[name]:
                side[level["price"]] = level["qty"]
        self.sides = {name: dict(self.levels(name)) for name in self.sides}
        digits = [
            str(value).replace(".", "").lstrip("0")
            for name in ("asks", "bids")
            for level in self.levels(name)[:10]
            for value in level
        ]
        assert data["checksum"] == binascii.crc32("".join(digits).encode())

    def levels(self, name: str) -> list[tuple[Decimal, Decimal]]:
        """Return a side, best first, no deeper than was asked for."""
        there = [level for level in self.sides[name].items() if level[1]]
        return sorted(there, reverse=name == "bids")[: self.depth]


@pytest.mark.parametrize("depth", [10, 100, 500])
def test_a_book_of_differences_is_rests_and_its_checksums_hold(kraken: Kraken, depth: int) -> None:
    """The same levels as REST tells at the same pulse, after many of them, to the last digit."""
    line, book = kraken.line(), Book(depth)
    now = kraken.clock.now()
    (answer,) = line.session.receive(json.dumps(subscribe("book", depth=depth)), now)
    assert json.loads(str(answer))["result"]["depth"] == depth
    source = source_of(kraken.venue, Topic("book", _ID, depth=depth), now)
    assert source.told is not None
    for text in line.session.render(source.told):
        book.take(str(text))
    for pulse in range(40):
        kraken.clock.step(100 if pulse % 5 else 3_000)
        for event in source.news(kraken.clock.now()):
            for text in line.session.render(event):
                book.take(str(text))
        rest = kraken.get("Depth", pair=_PAIR, count=depth)[_PAIR]
        for name in ("bids", "asks"):
            told = [(str(price), str(amount)) for price, amount in book.levels(name)]
            assert told == [(price, amount) for price, amount, _ in rest[name]]


def test_a_book_without_a_snapshot_tells_changes_alone(kraken: Kraken) -> None:
    """As the client asks for it."""
    line = kraken.line()
    assert len(line.say(subscribe("book", snapshot=False))) == 1
    kraken.clock.step(5_000)
    assert [one["type"] for one in line.beat()] == ["update"]


def test_a_book_that_is_subscribed_again_begins_with_a_snapshot(kraken: Kraken) -> None:
    """Also where both requests come between two pulses."""
    line = kraken.line()
    line.say(subscribe("book"))
    for method in ("unsubscribe", "subscribe"):
        (answer,) = line.session.receive(json.dumps(subscribe("book", method=method)), kraken.clock.now())
        assert json.loads(str(answer))["success"]
    kraken.clock.step(5_000)
    assert [one["type"] for one in line.beat()] == ["snapshot"]


@pytest.mark.recordings
def test_checksums_are_those_of_a_recorded_session(recordings: pathlib.Path) -> None:
    """Of thousands of differences of ten books, each of 1000 levels, that the venue told."""
    instrument = generated_instruments(1)[0]
    books: dict[str, tuple[Instrument, Book]] = {}
    proven = 0
    with gzip.open(recordings / "cryptofeed" / "KRAKEN.ws.50.0.gz", "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(": ")[2]) if line[0].isdigit() and ": " in line else None
            if not isinstance(message, list):
                continue
            *parts, _, pair = message[1:]
            if "as" in parts[0]:
                decimals = len(parts[0]["as"][0][0].partition(".")[2])
                books[pair] = dataclasses.replace(instrument, price_decimals=decimals, amount_decimals=8), Book(1000)
            rules, book = books[pair]
            for side, name in (("bids", "b"), ("asks", "a")):
                for part in parts:
                    for price, amount, *_ in part.get(name, part.get(f"{name}s", [])):
                        book.sides[side][Decimal(price)] = Decimal(amount)
            book.sides = {side: dict(book.levels(side)) for side in book.sides}
            told = {int(part["c"]) for part in parts if "c" in part}
            if told:
                bids, asks = (np.array(book.levels(side)[:10], dtype=np.float64) for side in ("bids", "asks"))
                assert told == {checksum(bids, asks, rules)}
                proven += 1
    assert proven > 4_000


def test_what_is_unsubscribed_is_told_no_more(kraken: Kraken) -> None:
    """The answer names it; what is not followed is told so."""
    line = kraken.line()
    line.say(subscribe("trade"))
    line.say(subscribe("ohlc", interval=5))
    (answer,) = line.say(subscribe("trade", method="unsubscribe"))
    assert (answer["method"], answer["result"]) == ("unsubscribe", {"channel": "trade", "symbol": _SYMBOL})
    kraken.clock.step(10_000)
    assert {one["channel"] for one in line.beat()} == {"ohlc"}
    assert error(line.say(subscribe("trade", method="unsubscribe"))) == "Subscription Not Found"
    assert error(line.say(subscribe("ohlc", method="unsubscribe", interval=1))) == "Subscription Not Found"
    assert not line.say(subscribe("ohlc", method="unsubscribe", interval=5))[0].get("error")
    assert not line.session.topics


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("", "Malformed request"),
        ("ping", "Malformed request"),
        ("[1]", "Malformed request"),
        ('{"method": 5}', "Malformed request"),
        ('{"method": "subscribe"}', "Malformed request"),
        ('{"method": "x", "params": {}}', "Event(s) not found"),
        (subscribe("tickers"), "Subscription name invalid"),
        ({"method": "subscribe", "params": {"channel": ["book"]}}, "Subscription name invalid"),
        ({"method": "subscribe", "params": {"channel": "book", "symbol": "BTC/USDT"}}, "Pair field must be an array"),
        ({"method": "subscribe", "params": {"channel": "book", "symbol": [5]}}, "Pair field must be an array"),
        (subscribe("book", depth=7), "Subscription depth not supported"),
        (subscribe("book", depth=True), "Subscription depth not supported"),
        (subscribe("ohlc", interval=7), "Subscription ohlc interval not supported"),
        (subscribe("ohlc", interval="1"), "Subscription ohlc interval not supported"),
        (subscribe("ticker", event_trigger=[]), "Event trigger not supported"),
        (subscribe("book", snapshot=1), "Subscription object unsupported field: snapshot"),
        (subscribe("book", "x" * 70_000), "Malformed request"),
    ],
)
def test_what_is_no_request_is_told_so(kraken: Kraken, request_: Any, words: str) -> None:
    """In words; the connection stays."""
    line = kraken.line()
    assert error(line.say(request_)) == words
    assert line.say({"method": "ping"})[0]["method"] == "pong"


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=60)
def test_no_text_breaks_a_session(text: str) -> None:
    """Whatever comes is answered with one message that is JSON."""
    assert len(Kraken().line().say(text)) == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.sampled_from(["book", _SYMBOL]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["channel", "symbol", "token", "snapshot", "depth", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(method=_JSON | st.sampled_from(["subscribe", "unsubscribe", "ping"]), params=_JSON, number=_JSON)
@settings(max_examples=80)
def test_no_request_breaks_a_session(method: Any, params: Any, number: Any) -> None:
    """Whatever stands in a request is answered."""
    assert Kraken().line().say({"method": method, "params": params, "req_id": number})


def test_150_connections_of_an_address_pass_in_ten_minutes(kraken: Kraken) -> None:
    """The next is refused before it is open; other addresses are not."""
    for _ in range(150):
        kraken.line()
    refused = kraken.feeds.connect(Call("GET", "/v2", remote="127.0.0.1"))
    assert isinstance(refused, Reply)
    assert (refused.status, refused.limited) == (429, True)
    kraken.line(remote="127.0.0.2")
    kraken.wall += 601
    kraken.line()


@pytest.mark.parametrize("channel", ["executions", "balances"])
def test_private_channels_want_a_token(kraken: Kraken, channel: str) -> None:
    """Of this kind, and not yet ended; one that is used lives with its connection."""
    line, token = kraken.line(), kraken.token()
    other = kraken.venue.keys.issue(DEFAULT_ACCOUNT.key, kraken.clock.now(), kind="other")
    for wrong in ("nothing", other, 5):
        assert error(line.say(follow(channel, wrong))) == "ESession:Invalid session"  # type: ignore[arg-type]
    kraken.clock.step(899_000)
    assert line.say(follow(channel, token))[0]["success"]
    kraken.clock.step(2_000)
    assert error(kraken.line().say(follow(channel, token))) == "ESession:Invalid session"
    assert error(line.say(follow(channel, token))) == "Already subscribed"
    second = "balances" if channel == "executions" else "executions"
    assert line.say(follow(second, token))[0]["success"]
    assert line.say(follow(channel, token, "unsubscribe"))[0]["result"] == {"channel": channel}
    assert error(line.say(follow(channel, token, "unsubscribe"))) == "Subscription Not Found"


def test_tokens_are_told_with_their_seconds(kraken: Kraken) -> None:
    """Each call makes another."""
    first, second = (kraken.ask("GetWebSocketsToken") for _ in range(2))
    assert first["expires"] == 900
    assert first["token"] != second["token"]


def test_a_market_order_is_told_new_in_parts_and_filled(kraken: Kraken) -> None:
    """In the order in which it happened, numbered; sums as REST tells them."""
    line = kraken.line()
    answer, first = line.say(follow("executions", kraken.token()))
    assert (answer["result"], first["type"], first["data"]) == (
        {"channel": "executions", "snapshot": True}, "snapshot", [],
    )  # fmt: skip
    name = kraken.order(ordertype="market", type="sell", volume="0.2", price=None)
    told = line.beat()
    assert [one["sequence"] for one in told] == list(range(2, len(told) + 2))
    executions = rows(told)
    trades = [row for row in executions if row["exec_type"] == "trade"]
    assert [row["exec_type"] for row in executions] == ["pending_new", "new", *["trade"] * len(trades), "filled"]
    assert {row["order_id"] for row in executions} == {name}
    rest = kraken.ask("QueryOrders", txid=name, trades="true")[name]
    assert [row["exec_id"] for row in trades] == rest["trades"]
    filled = executions[-1]
    assert (filled["cum_qty"], filled["cum_cost"]) == (float(rest["vol_exec"]), float(rest["cost"]))
    assert (filled["avg_price"], filled["order_status"]) == (float(rest["price"]), "filled")
    assert filled["fee_usd_equiv"] == pytest.approx(float(rest["fee"]))
    assert [row["cum_qty"] for row in trades] == pytest.approx(
        [sum(one["last_qty"] for one in trades[: at + 1]) for at in range(len(trades))]
    )
    assert "symbol" not in filled
    assert {row["symbol"] for row in trades} == {_SYMBOL}


def test_an_order_that_rests_is_told_with_all_it_is_and_canceled(kraken: Kraken) -> None:
    """Its limit, its client's name, and why it ended."""
    line = kraken.line()
    line.say(follow("executions", kraken.token()))
    name = kraken.order(cl_ord_id="mine", oflags="post")
    kraken.ask("CancelOrder", txid=name)
    first, new, over = rows(line.beat())
    assert (first["order_status"], first["limit_price"], first["order_qty"]) == ("pending_new", 60000.0, 0.01)
    assert (first["order_type"], first["side"], first["symbol"], first["post_only"]) == ("limit", "buy", _SYMBOL, True)
    assert {one["cl_ord_id"] for one in (first, new, over)} == {"mine"}
    assert (over["exec_type"], over["reason"], over["cum_qty"]) == ("canceled", "User requested", 0.0)


def test_only_beginnings_and_ends_may_be_asked_for(kraken: Kraken) -> None:
    """``order_status`` false."""
    line = kraken.line()
    line.say(follow("executions", kraken.token(), order_status=False))
    kraken.order(ordertype="market", price=None)
    assert [row["exec_type"] for row in rows(line.beat())] == ["new", "filled"]


def test_executions_begin_with_open_orders_and_the_last_fills(kraken: Kraken) -> None:
    """As the client asks for them."""
    kraken.order(ordertype="market", price=None)
    name = kraken.order()
    *_, first = kraken.line().say(follow("executions", kraken.token(), snap_trades=True))
    assert [row["exec_type"] for row in first["data"]][:2] == ["new", "trade"]
    assert first["data"][0]["order_id"] == name
    told = kraken.line().say(follow("executions", kraken.token(), snap_orders=False))
    assert len(told) == 1


def test_a_trigger_is_told_when_it_is_reached(kraken: Kraken) -> None:
    """Untriggered at first; then what the order became."""
    line = kraken.line()
    line.say(follow("executions", kraken.token()))
    price = float(kraken.get("Ticker", pair=_PAIR)[_PAIR]["c"][0])
    kraken.order(ordertype="stop-loss", type="sell", price=f"{price - 5:.1f}")
    told = rows(line.beat())
    assert (told[0]["order_type"], told[0]["triggers"]["status"]) == ("stop-loss", "untriggered")
    assert told[0]["stop_price"] == told[0]["triggers"]["price"]
    later: list[Any] = []
    while not later:
        kraken.clock.step("1m")
        later = rows(line.beat())
    assert [row["exec_type"] for row in (later[0], later[-1])] == ["status", "filled"]
    assert later[0]["triggers"]["status"] == "triggered"


def test_balances_are_rests_and_tell_what_is_booked(kraken: Kraken) -> None:
    """All that is held at first; nothing for what is only locked; one message for each asset that changed."""
    line = kraken.line()
    answer, first = line.say(follow("balances", kraken.token()))
    assert answer["result"] == {"channel": "balances", "snapshot": True}
    known = {"XBT": "BTC", "XDG": "DOGE"}

    def held() -> dict[str, float]:
        return {known.get(name, name): float(text) for name, text in kraken.ask("Balance").items() if float(text)}

    told = {row["asset"]: row["balance"] for row in first["data"]}
    assert told == held()
    kraken.order()
    assert line.beat() == []
    kraken.order(ordertype="market", price=None)
    messages = line.beat()
    assert [one["sequence"] for one in messages] == [2, 3]
    for row in rows(messages):
        assert row["balance"] == pytest.approx(told[row["asset"]] + row["amount"])
        told[row["asset"]] = row["balance"]
    assert told == held()


def test_balances_may_begin_without_a_snapshot(kraken: Kraken) -> None:
    """And tell all the same what changes."""
    line = kraken.line()
    assert len(line.say(follow("balances", kraken.token(), snapshot=False))) == 1
    kraken.order(ordertype="market", price=None)
    assert {row["asset"] for row in rows(line.beat())} == {"BTC", "USDT"}


def test_an_order_that_expires_is_told_so(kraken: Kraken) -> None:
    """What is not filled at once, of one that may not rest."""
    line = kraken.line()
    line.say(follow("executions", kraken.token()))
    kraken.order(timeinforce="IOC")
    told = rows(line.beat())
    assert [row["exec_type"] for row in told] == ["pending_new", "new", "expired"]
    assert told[-1]["order_id"] == order_name(1)


def test_what_is_the_same_for_all_is_written_once(kraken: Kraken) -> None:
    """Two connections get the very same text of an event."""
    lines = [kraken.line(), kraken.line()]
    for line in lines:
        line.session.receive(json.dumps(subscribe("trade")), kraken.clock.now())
    source = source_of(kraken.venue, Topic("trades", _ID), kraken.clock.now())
    kraken.clock.step(10_000)
    (event,) = source.news(kraken.clock.now())
    first, second = (line.session.render(event)[0] for line in lines)
    assert first is second


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("channel", "sample"),
    [("ticker", "ticker_snapshot"), ("trade", "trade_update"), ("ohlc", "ohlc_update"), ("book", "book_snapshot")],
)
def test_messages_have_the_fields_of_real_ones(
    kraken: Kraken, recordings: pathlib.Path, channel: str, sample: str
) -> None:
    """All of them, and numbers as numbers."""
    folder = recordings / "nautilus_lgpl3" / "adapters" / "kraken"
    real = json.loads((folder / f"ws_{sample}.json").read_text(), parse_int=float)
    line = kraken.line()
    answer, *told = line.say(subscribe(channel))
    kraken.clock.step(5_000)
    told = told[:1] if "snapshot" in sample else line.beat()
    message = json.loads(json.dumps(told[0]), parse_int=float)
    assert message["type"] == real["type"]
    mine, theirs = message["data"][0], real["data"][0]
    assert {name: type(value) for name, value in theirs.items()}.items() <= {
        name: type(value) for name, value in mine.items()
    }.items()
    acknowledged = json.loads((folder / "ws_subscribe_response.json").read_text())
    assert acknowledged.keys() == answer.keys()
    assert {"channel", "symbol", "snapshot"} <= answer["result"].keys()
