"""The sessions of okx's websockets without a socket: channels, books, logins, limits, and what hostile clients get."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import gzip
import hashlib
import hmac
import json
import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listeners import Listener

from tests.unit.test_sim_okx import MARKET, Okx, limit_order, swap_order
from tradeutils.sim import DEFAULT_ACCOUNT
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import Close
from tradeutils.sim.okx.feeds import OkxFeeds
from tradeutils.sim.okx.feeds_rows import checksum

_MINUTE, _HOUR = 60_000, 3_600_000
_SPOT, _SWAP = "BTC-USDT", "BTC-USDT-SWAP"


class Venued(Okx):
    """The REST interface of a venue with frozen clock, and its feeds."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        # Those of the dialect: one clock, one ledger, one set of books.
        self.venue = Venue(MARKET, self.clock, self.ledger, self.gate)
        self.dialect = type(self.dialect)(self.venue)
        self.feeds = OkxFeeds(self.venue, self.venue.keys)

    def line(self, access: str = "public", remote: str = "127.0.0.1") -> Listener:
        """Connect."""
        session = self.feeds.connect(Call("GET", f"/ws/v5/{access}", remote=remote))
        assert not isinstance(session, Reply), session
        return Listener(self.venue, session)

    def login(self, **changed: Any) -> dict[str, Any]:
        """Return what logs in, signed as ccxt does."""
        moment = str(changed.pop("timestamp", self.clock.now() // 1000))
        payload = f"{moment}GET/users/self/verify".encode()
        sign = base64.b64encode(hmac.new(DEFAULT_ACCOUNT.secret.encode(), payload, hashlib.sha256).digest()).decode()
        given = {"apiKey": DEFAULT_ACCOUNT.key, "passphrase": DEFAULT_ACCOUNT.passphrase, "timestamp": moment}
        return {"op": "login", "args": [given | {"sign": sign} | changed]}

    def private(self, access: str = "private") -> Listener:
        """Connect and log in."""
        line = self.line(access)
        (answer,) = line.say(self.login())
        assert (answer["event"], answer["code"]) == ("login", "0")
        return line


@pytest.fixture
def okx() -> Venued:
    """A venue with the limits of the real one."""
    return Venued()


def subscribe(channel: str, name: str = _SPOT, op: str = "subscribe", **more: str) -> dict[str, Any]:
    """Return a request for one channel of a market."""
    return {"op": op, "args": [{"channel": channel, "instId": name, **more}]}


def follow(channel: str, **more: str) -> dict[str, Any]:
    """Return a request for a private channel."""
    return {"op": "subscribe", "args": [{"channel": channel, **more}]}


def ticks(line: Listener, seconds: int) -> list[Any]:
    """Return what is told while seconds pass."""
    return [message for _ in range(seconds) for message in line.tick()]


def codes(told: list[Any]) -> list[str]:
    """Return the codes of errors."""
    assert all(one["event"] == "error" for one in told), told
    return [one["code"] for one in told]


def test_ping_is_answered_with_pong(okx: Venued) -> None:
    """As text, not as JSON."""
    assert okx.line().say("ping") == ["pong"]


def test_paths_that_there_are_not_are_404(okx: Venued) -> None:
    """As of any path that OKX does not know."""
    refused = okx.feeds.connect(Call("GET", "/ws/v5/other"))
    assert isinstance(refused, Reply)
    assert refused.status == 404


def test_a_subscription_is_answered_by_argument_and_then_told(okx: Venued) -> None:
    """Each argument by itself, in its order; then how things stand."""
    request = {
        "op": "subscribe",
        "id": "a1",
        "args": [{"channel": "tickers", "instId": name} for name in (_SPOT, _SWAP)],
    }
    told = okx.line().say(request)
    assert [one.get("event") for one in told] == ["subscribe", "subscribe", None, None]
    assert [one["arg"]["instId"] for one in told] == [_SPOT, _SWAP] * 2
    assert {one["id"] for one in told[:2]} == {"a1"}
    assert len({one["connId"] for one in told[:2]}) == 1


@pytest.mark.parametrize("name", [_SPOT, _SWAP])
def test_the_ticker_is_rests(okx: Venued, name: str) -> None:
    """The very row of the same moment, at first and after every trade."""
    line = okx.line()
    *_, told = line.say(subscribe("tickers", name))
    assert told["data"] == okx.get("market/ticker", instId=name)
    for _ in range(5):
        okx.clock.step(3_100)
        (told,) = line.beat()
        assert told["data"] == okx.get("market/ticker", instId=name)


@pytest.mark.parametrize("channel", ["trades", "trades-all"])
def test_trades_are_rests_each_once_in_order(okx: Venued, channel: str) -> None:
    """All that happened since the subscription, oldest first."""
    line = okx.line("public" if channel == "trades" else "business")
    before = int(okx.get("market/trades", instId=_SPOT, limit="1")[0]["tradeId"])
    assert [one.get("event") for one in line.say(subscribe(channel))] == ["subscribe"]
    told = []
    for _ in range(7):
        okx.clock.step(11_000)
        told += [row for message in line.beat() for row in message["data"]]
    rest = [row for row in okx.get("market/trades", instId=_SPOT, limit="500") if int(row["tradeId"]) > before][::-1]
    assert [{name: row[name] for name in rest[0]} for row in told] == rest
    assert all(("count" in row) == (channel == "trades") for row in told)


@pytest.mark.parametrize(
    ("frame", "bar"), [("1m", "1m"), ("15m", "15m"), ("1H", "1H"), ("4H", "4H"), ("1Dutc", "1Dutc")]
)
def test_candles_are_rests_and_each_is_confirmed_once(okx: Venued, frame: str, bar: str) -> None:
    """The forming one as it grows, and with confirm 1 the values that it keeps."""
    line = okx.line("business")
    told = [one["data"][0] for one in line.say(subscribe(f"candle{frame}")) if "data" in one]
    assert told == okx.get("market/candles", instId=_SPOT, bar=bar, limit="1")
    step = 7_000 if frame == "1m" else 600_000
    for _ in range(20):
        okx.clock.step(step)
        told += [row for one in line.beat() for row in one["data"]]
        assert told[-1] == okx.get("market/candles", instId=_SPOT, bar=bar, limit="1")[0]
    whole = [row for row in told if row[-1] == "1"]
    rest = [row for row in okx.get("market/candles", instId=_SPOT, bar=bar, limit="100") if row[-1] == "1"]
    assert len(whole) == len({row[0] for row in whole})
    assert whole == [row for row in rest[::-1] if row[0] >= told[0][0]]


@pytest.mark.parametrize(("name", "hours"), [("6H", 6), ("12H", 12), ("1D", 24)])
def test_candles_of_hong_kong_open_there_and_are_made_of_hours(okx: Venued, name: str, hours: int) -> None:
    """Eight hours from those of UTC; REST tells the hours that they are the sum of."""
    line = okx.line("business")
    told = [one["data"][0] for one in line.say(subscribe(f"candle{name}")) if "data" in one]
    for _ in range(2 * hours + 1):
        okx.clock.step("1h")
        told += [row for one in line.beat() for row in one["data"]]
    whole = [row for row in told if row[-1] == "1"]
    assert len(whole) in (2, 3)
    for row in whole:
        opened = int(row[0])
        assert (opened + 8 * _HOUR) % (hours * _HOUR) == 0
        parts = okx.get(
            "market/candles", instId=_SPOT, bar="1H", limit="100", before=opened - 1, after=opened + hours * _HOUR
        )[::-1]
        assert len(parts) == hours
        assert (row[1], row[4]) == (parts[0][1], parts[-1][4])
        assert float(row[2]) == max(float(part[2]) for part in parts)
        assert float(row[3]) == min(float(part[3]) for part in parts)
        assert float(row[5]) == pytest.approx(sum(float(part[5]) for part in parts))


def test_candles_of_one_market_each_begin_with_how_they_stand(okx: Venued) -> None:
    """Also those that are made of the same hours."""
    line = okx.line("business")
    for frame in ("1H", "6H", "1D", "1Dutc"):
        answer, told = line.say(subscribe(f"candle{frame}"))
        assert answer["arg"] == told["arg"] == {"channel": f"candle{frame}", "instId": _SPOT}
    okx.clock.step("1m")
    assert len(line.beat()) == 4


class Book:
    """A book as a client builds it from what it is told, and proves it."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.sequence = -1

    def take(self, message: dict[str, Any]) -> None:
        """Take one message: the snapshot, or a difference that follows the last."""
        (data,) = message["data"]
        if message["action"] == "snapshot":
            assert data["prevSeqId"] == -1
            self.__init__()  # type: ignore[misc]  # begin anew
        else:
            assert data["prevSeqId"] == self.sequence < data["seqId"]
        self.sequence = data["seqId"]
        for name, side in self.sides.items():
            for price, amount, *_ in data[name]:
                if float(amount):
                    side[price] = amount
                else:
                    del side[price]
        assert self.checksum() == data["checksum"]

    def levels(self) -> dict[str, list[tuple[str, str]]]:
        """Return both sides, best first."""
        return {
            name: sorted(side.items(), key=lambda level: float(level[0]), reverse=name == "bids")
            for name, side in self.sides.items()
        }

    def checksum(self) -> int:
        """Return the signed CRC-32 of the best 25 of each side, bid, ask, bid ..."""
        levels = self.levels()
        pairs = zip(levels["bids"][:25], levels["asks"][:25], strict=True)
        text = ":".join(part for bid, ask in pairs for part in (*bid, *ask))
        code = binascii.crc32(text.encode())
        return code - 2**32 if code >= 2**31 else code


@pytest.mark.parametrize("name", [_SPOT, _SWAP])
def test_a_book_of_differences_is_rests_and_its_checksums_hold(okx: Venued, name: str) -> None:
    """The same levels and number as REST tells at the same pulse, after many of them."""
    line, book = okx.line(), Book()
    answer, whole = line.say(subscribe("books", name))
    assert answer["event"] == "subscribe"
    book.take(whole)
    for pulse in range(40):
        okx.clock.step(100 if pulse % 5 else 3_000)
        for message in line.beat():
            assert message["action"] == "update"
            book.take(message)
        (rest,) = okx.get("market/books", instId=name, sz="400")
        assert book.sequence == rest["seqId"]
        for side, levels in book.levels().items():
            assert levels == [(price, amount) for price, amount, *_ in rest[side]]


def test_small_books_are_told_whole(okx: Venued) -> None:
    """Five levels, or one, without checksums."""
    line = okx.line()
    for channel, depth in (("books5", 5), ("bbo-tbt", 1)):
        *_, told = line.say(subscribe(channel))
        (rest,) = okx.get("market/books", instId=_SPOT, sz=str(depth))
        (data,) = told["data"]
        assert "action" not in told
        assert "checksum" not in data
        assert {name: data[name] for name in ("bids", "asks", "seqId")} == {
            name: rest[name] for name in ("bids", "asks", "seqId")
        }
        assert data.get("instId") == (_SPOT if channel == "books5" else None)
    okx.clock.step(3_000)
    told = {one["arg"]["channel"]: one["data"][0] for one in line.beat()}
    (rest,) = okx.get("market/books", instId=_SPOT, sz="5")
    assert told["books5"]["asks"] == rest["asks"]
    assert told["bbo-tbt"]["bids"] == rest["bids"][:1]


def test_a_book_that_is_subscribed_again_begins_with_a_snapshot(okx: Venued) -> None:
    """Also where both requests come between two pulses."""
    line = okx.line()
    line.say(subscribe("books"))
    # Without a pulse between them nobody but the session knows that the client has forgotten its book.
    now = okx.clock.now()
    for op in ("unsubscribe", "subscribe"):
        (answer,) = line.session.receive(json.dumps(subscribe("books", op=op)), now)
        assert json.loads(str(answer))["event"] == op
    okx.clock.step(3_000)
    told = line.beat()
    assert [one["action"] for one in told] == ["snapshot"]
    Book().take(told[0])


@pytest.mark.recordings
def test_checksums_are_those_of_a_recorded_session(recordings: pathlib.Path) -> None:
    """Of the snapshots and all differences of three books that the venue told, when it still told checksums."""
    books: dict[str, Book] = {}
    proven = 0
    with gzip.open(recordings / "cryptofeed" / "OKX.ws.1.0.gz", "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(": ")[2]) if line[0].isdigit() and ": " in line else {}
            if message.get("arg", {}).get("channel") != "books" or "data" not in message:
                continue
            book = books.setdefault(message["arg"]["instId"], Book())
            (data,) = message["data"]
            for name, side in book.sides.items():
                side |= {price: amount for price, amount, *_ in data[name]}
                book.sides[name] = {price: amount for price, amount in side.items() if float(amount)}
            bids, asks = ([list(level) for level in book.levels()[name]] for name in ("bids", "asks"))
            assert checksum(bids, asks) == data["checksum"]
            proven += 1
    assert (proven, len(books)) == (290, 3)


def test_checksums_go_on_with_the_longer_side() -> None:
    """As OKX documents for books that are short."""
    code = checksum([["1", "2"], ["3", "4"]], [["5", "6"]])
    assert code & 0xFFFFFFFF == binascii.crc32(b"1:2:5:6:3:4")


def test_what_is_unsubscribed_is_told_no_more(okx: Venued) -> None:
    """The answer names the channel; other channels go on."""
    line = okx.line()
    line.say(subscribe("tickers"))
    line.say(subscribe("bbo-tbt"))
    (answer,) = line.say(subscribe("tickers", op="unsubscribe"))
    assert (answer["event"], answer["arg"]) == ("unsubscribe", {"channel": "tickers", "instId": _SPOT})
    okx.clock.step(10_000)
    assert {one["arg"]["channel"] for one in line.beat()} == {"bbo-tbt"}
    (answer,) = line.say(subscribe("tickers", op="unsubscribe"))
    assert answer["event"] == "unsubscribe"


def test_subscribing_twice_changes_nothing(okx: Venued) -> None:
    """It is answered, and told once."""
    line = okx.line()
    line.say(subscribe("tickers"))
    assert [one["event"] for one in line.say(subscribe("tickers"))] == ["subscribe"]
    okx.clock.step(10_000)
    assert len(line.beat()) == 1


@pytest.mark.parametrize(
    ("access", "given", "words"),
    [
        ("public", {"channel": "tickers", "instId": "FOO-BAR"}, "channel:tickers,instId:FOO-BAR"),
        ("public", {"channel": "candle1m", "instId": _SPOT}, "channel:candle1m,instId:BTC-USDT"),
        ("public", {"channel": "account"}, "channel:account"),
        ("business", {"channel": "candle7m", "instId": _SPOT}, "channel:candle7m,instId:BTC-USDT"),
        ("business", {"channel": "tickers", "instId": _SPOT}, "channel:tickers,instId:BTC-USDT"),
        ("private", {"channel": "tickers", "instId": _SPOT}, "channel:tickers,instId:BTC-USDT"),
        ("public", {"instId": _SPOT}, "instId:BTC-USDT"),
    ],
)
def test_channels_and_markets_that_there_are_not_are_60018(
    okx: Venued, access: str, given: dict[str, str], words: str
) -> None:
    """A channel at another address is one that there is not."""
    (told,) = okx.line(access).say({"op": "subscribe", "args": [given]})
    assert (told["event"], told["code"]) == ("error", "60018")
    assert told["msg"].startswith(f"Wrong URL or {words} doesn't exist.")


def test_one_wrong_argument_leaves_the_others(okx: Venued) -> None:
    """Each is answered by itself."""
    arguments = [{"channel": "trades", "instId": name} for name in (_SPOT, "FOO-BAR", _SWAP)]
    told = okx.line().say({"op": "subscribe", "args": arguments})
    assert [one["event"] for one in told] == ["subscribe", "error", "subscribe"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "60012"),
        ("pong", "60012"),
        ("[]", "60012"),
        ('{"op": 5, "args": []}', "60012"),
        ('{"op": "subscribe"}', "60013"),
        ('{"op": "subscribe", "args": []}', "60013"),
        ('{"op": "subscribe", "args": [5]}', "60013"),
        ('{"op": "subscribe", "args": [{"channel": ["tickers"], "instId": "BTC-USDT"}]}', "60013"),
        ('{"op": "order", "args": [{"channel": "tickers"}]}', "60019"),
        (json.dumps({"op": "subscribe", "args": [{"channel": "x" * 70_000}]}), "60013"),
    ],
)
def test_what_is_no_request_is_told_so(okx: Venued, frame: str, code: str) -> None:
    """In the venue's codes; the connection stays."""
    line = okx.line()
    assert codes(line.say(frame)) == [code]
    assert line.say("ping") == ["pong"]


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=60)
def test_no_text_breaks_a_session(text: str) -> None:
    """Whatever comes is answered with one message that is JSON."""
    assert len(okx_line().say(text)) == 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from(["subscribe", "login", "tickers"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(op=st.sampled_from(["subscribe", "unsubscribe", "login"]), args=_JSON, name=_JSON)
@settings(max_examples=80)
def test_no_request_breaks_a_session(op: str, args: Any, name: Any) -> None:
    """Whatever stands in a request is answered."""
    assert okx_line().say({"op": op, "args": args, "id": name})


def okx_line() -> Listener:
    """Connect to a venue of one's own."""
    return Venued().line("private")


def test_a_connection_that_hears_nothing_for_half_a_minute_is_closed(okx: Venued) -> None:
    """Pongs and data count as something."""
    line = okx.line()
    assert ticks(line, 29) == []
    line.say("ping")
    ticks(line, 29)
    line.say(subscribe("tickers"))
    ticks(line, 29)
    okx.clock.step(10_000)
    line.beat()
    ticks(line, 29)
    assert ticks(line, 1) == [Close(4004, "No data received in 30s.")]


def test_480_requests_of_a_connection_pass_in_an_hour(okx: Venued) -> None:
    """The next one is refused until the first is an hour ago; pings are not counted, nor other connections."""
    line = okx.line()
    for at in range(480):
        line.say(subscribe("trades", op="unsubscribe" if at % 2 else "subscribe"))
    assert codes(line.say(subscribe("trades"))) == ["60014"]
    assert line.say("ping") == ["pong"]
    assert okx.line().say(subscribe("trades"))[0]["event"] == "subscribe"
    okx.wall += 3_601
    assert line.say(subscribe("trades"))[0]["event"] == "subscribe"


def test_three_connections_of_an_address_pass_in_a_second(okx: Venued) -> None:
    """The fourth is refused before it is open; other addresses are not."""
    for _ in range(3):
        okx.line()
    refused = okx.feeds.connect(Call("GET", "/ws/v5/public"))
    assert isinstance(refused, Reply)
    assert (refused.status, refused.limited) == (429, True)
    okx.line(remote="127.0.0.2")
    okx.wall += 1.1
    okx.line()


@pytest.mark.parametrize("channel", ["books-l2-tbt", "books50-l2-tbt"])
def test_books_for_higher_tiers_are_refused(okx: Venued, channel: str) -> None:
    """The account is of the lowest."""
    (told,) = okx.private("public").say(subscribe(channel))
    assert told["code"] in ("60029", "60030")
    assert channel in told["msg"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"apiKey": "nobody"}, "60005"),
        ({"timestamp": "soon"}, "60004"),
        ({"timestamp": 1}, "60006"),
        ({"sign": "bm90IHNpZ25lZA=="}, "60007"),
        ({"sign": "ö"}, "60007"),
        ({"passphrase": "other"}, "60024"),
    ],
)
def test_a_login_must_be_signed_by_an_account_in_time(okx: Venued, changed: dict[str, Any], code: str) -> None:
    """And until there is one, private channels are refused."""
    line = okx.line("private")
    assert codes(line.say(okx.login(**changed))) == [code]
    assert codes(line.say(follow("account"))) == ["60011"]


def test_a_connection_logs_in_once(okx: Venued) -> None:
    """A second login is refused, and the first stays."""
    line = okx.private()
    assert codes(line.say(okx.login())) == ["60031"]
    assert line.say(follow("account"))[0]["event"] == "subscribe"


def test_no_secret_is_told_back(okx: Venued) -> None:
    """Neither in an answer nor in the name of a session."""
    line = okx.line("private")
    request = json.dumps(okx.login())
    told = json.dumps(line.say(request[:-1])) + json.dumps(line.say(okx.login(sign="x")))
    assert DEFAULT_ACCOUNT.secret not in told + repr(line.session)


def test_the_account_is_rests_at_first_when_it_changes_and_every_five_seconds(okx: Venued) -> None:
    """At first all that is held, then what changed."""
    line = okx.private()
    answer, count, first = line.say(follow("account"))
    assert (answer["event"], count["event"], count["connCount"]) == ("subscribe", "channel-conn-count", "1")
    assert (first["eventType"], first["data"]) == ("snapshot", okx.ask("account/balance"))
    okx.do("trade/order", **limit_order())
    (told,) = line.beat()
    assert told["eventType"] == "event_update"
    assert [one["ccy"] for one in told["data"][0]["details"]] == ["USDT"]
    rest = {one["ccy"]: one for one in okx.ask("account/balance")[0]["details"]}
    assert told["data"][0]["details"] == [rest["USDT"]]
    told = ticks(line, 5)
    assert [one["data"] for one in told] == [okx.ask("account/balance")]


def test_an_account_that_wants_no_repetition_gets_none(okx: Venued) -> None:
    """``updateInterval`` 0: only what happens."""
    line = okx.private()
    line.say(follow("account", ccy="BTC", extraParams='{"updateInterval": "0"}'))
    assert ticks(line, 10) == []
    okx.do("trade/order", **limit_order())  # which is about USDT
    assert line.beat() == []
    okx.do("trade/order", **limit_order(side="sell", px="200000"))
    (told,) = line.beat()
    assert [one["ccy"] for one in told["data"][0]["details"]] == ["BTC"]


def states(told: list[Any]) -> list[tuple[str, str, str]]:
    """Return of messages about orders: the state, what is filled and the trade."""
    return [(row["state"], row["accFillSz"], row["tradeId"]) for one in told for row in one["data"]]


def test_an_order_is_told_live_filled_in_parts_and_whole(okx: Venued) -> None:
    """In the order in which it happened, with REST's row at the end; each fill once."""
    line = okx.private()
    line.say(follow("orders", instType="SPOT"))
    order = okx.do("trade/order", **limit_order(ordType="market", sz="0.05", side="sell", px=None))
    told = line.beat()
    fills = okx.ask("trade/fills", ordId=order["ordId"])[::-1]
    assert [state for state, *_ in states(told)] == ["live", *["partially_filled"] * (len(fills) - 1), "filled"]
    assert [one["data"][0]["tradeId"] for one in told[1:]] == [fill["tradeId"] for fill in fills]
    assert [one["data"][0]["fillFee"] for one in told[1:]] == [fill["fee"] for fill in fills]
    (rest,) = okx.ask("trade/order", ordId=order["ordId"], instId=_SPOT)
    assert {name: told[-1]["data"][0][name] for name in rest} == rest


def test_an_order_that_rests_is_told_live_and_canceled(okx: Venued) -> None:
    """A message about a cancellation tells of no fill."""
    line = okx.private()
    line.say(follow("orders", instType="ANY"))
    order = okx.do("trade/order", **limit_order())
    okx.do("trade/cancel-order", instId=_SPOT, ordId=order["ordId"])
    assert states(line.beat()) == [("live", "0", ""), ("canceled", "0", "")]


@pytest.mark.parametrize(
    ("given", "heard"),
    [
        ({"instType": "ANY"}, [_SPOT, _SWAP]),
        ({"instType": "SPOT"}, [_SPOT]),
        ({"instType": "SWAP", "instFamily": "BTC-USDT"}, [_SWAP]),
        ({"instType": "SWAP", "instId": "ETH-USDT-SWAP"}, []),
        ({"instType": "MARGIN"}, []),
    ],
)
def test_orders_are_told_of_the_markets_that_are_asked_for(
    okx: Venued, given: dict[str, str], heard: list[str]
) -> None:
    """By type, pair and name."""
    line = okx.private()
    line.say(follow("orders", **given))
    okx.do("trade/order", **limit_order())
    okx.do("trade/order", **swap_order(ordType="limit", px="60000"))
    told = line.beat()
    assert [row["instId"] for one in told for row in one["data"]] == heard
    assert all(one["arg"] == {"channel": "orders", **given, "uid": one["arg"]["uid"]} for one in told)


@pytest.mark.parametrize("given", [{}, {"instType": "OTHER"}, {"instType": "ANY", "instId": "FOO-BAR"}])
def test_orders_of_what_there_is_not_are_60018(okx: Venued, given: dict[str, str]) -> None:
    """A type must be named."""
    assert codes(okx.private().say(follow("orders", **given))) == ["60018"]


def test_an_order_that_waits_is_told_apart_until_it_is_triggered(okx: Venued) -> None:
    """As an algo order while it waits, and as any other from then on."""
    algos, orders = okx.private("business"), okx.private()
    algos.say(follow("orders-algo", instType="SPOT"))
    orders.say(follow("orders", instType="SPOT"))
    price = float(okx.get("market/ticker", instId=_SPOT)[0]["last"])
    waiting = limit_order(ordType="trigger", triggerPx=f"{price - 5:.2f}", orderPx="-1", side="sell", px=None)
    okx.do("trade/order-algo", **waiting)
    again = okx.do("trade/order-algo", **waiting | {"triggerPx": "60000"})
    okx.post("trade/cancel-algos", {"instId": _SPOT, "algoId": again["algoId"]}, batch=True)
    venue, now = okx.venue, okx.clock.now
    changes = venue.ledger.changes(DEFAULT_ACCOUNT.key, now())
    while not any(one.reason == "triggered" for one in changes):
        okx.clock.step("1m")
        changes += venue.ledger.changes(DEFAULT_ACCOUNT.key, now())
    told = [told_of(line, changes) for line in (algos, orders)]
    assert [row["state"] for row in told[0]] == ["live", "live", "canceled", "effective"]
    assert [row["state"] for row in told[1]] == ["live", "filled"]
    assert told[1][0]["algoId"] == told[0][0]["algoId"]


def told_of(line: Listener, changes: list[Any]) -> list[Any]:
    """Return the rows of messages about orders."""
    from tradeutils.sim.feeds.events import OrderEvent, Topic

    topic = Topic("orders", account=DEFAULT_ACCOUNT.key)
    events = [OrderEvent(topic, one.time, one.order, one.fill, one.reason) for one in changes]
    return [json.loads(str(text))["data"][0] for event in events for text in line.session.render(event)]


def test_balance_and_position_tells_what_was_booked(okx: Venued) -> None:
    """At first what there is; then cash that moved, with positions, and nothing for what is only locked."""
    line = okx.private()
    *_, first = line.say(follow("balance_and_position"))
    assert (first["data"][0]["eventType"], first["data"][0]["posData"]) == ("snapshot", [])
    held = {one["ccy"]: one["cashBal"] for one in okx.ask("account/balance")[0]["details"]}
    assert {one["ccy"]: one["cashBal"] for one in first["data"][0]["balData"]} == held
    okx.do("trade/order", **limit_order())
    assert line.beat() == []
    okx.do("trade/order", **swap_order())
    (told,) = line.beat()
    (data,) = told["data"]
    assert [one["ccy"] for one in data["balData"]] == ["USDT"]
    assert [(one["instId"], one["pos"]) for one in data["posData"]] == [(_SWAP, "10")]


def test_thirty_connections_follow_a_private_channel(okx: Venued) -> None:
    """The next is told that there are too many, and is told nothing."""
    lines = []
    for _ in range(31):
        okx.wall += 1.0
        lines.append(okx.private())
    told = [line.say(follow("orders", instType="ANY")) for line in lines]
    assert [one[1]["connCount"] for one in told[:30]] == [str(number) for number in range(1, 31)]
    (refused,) = told[30]
    assert (refused["event"], refused["connCount"]) == ("channel-conn-count-error", "30")
    assert not lines[30].session.topics
    del lines[:30]
    assert lines[0].say(follow("orders", instType="ANY"))[1]["connCount"] == "1"


def test_limits_of_none_count_nothing() -> None:
    """Neither connections nor requests."""
    okx = Venued(endpoints=1e8)
    line = [okx.line() for _ in range(10)][-1]
    for _ in range(500):
        (answer,) = line.say(subscribe("trades"))
        assert answer["event"] == "subscribe"


def test_what_is_the_same_for_all_is_written_once(okx: Venued) -> None:
    """Two connections get the very same text of an event."""
    from tradeutils.sim.feeds.events import Topic
    from tradeutils.sim.feeds.sources import source_of

    lines = [okx.line(), okx.line()]
    for line in lines:
        line.say(subscribe("tickers"))
    source = source_of(okx.venue, Topic("ticker", "BTCUSDT"), okx.clock.now())
    assert source.told is not None
    first, second = (line.session.render(source.told)[0] for line in lines)
    assert first is second
    assert dataclasses.is_dataclass(source.told)


_ADAPTER = "nautilus_lgpl3/adapters/okx"
_SAMPLES = {
    "tickers": "ws_tickers", "trades": "ws_trades", "bbo-tbt": "ws_bbo_tbt", "books": "ws_books_snapshot",
}  # fmt: skip


def kinds(told: Any) -> Any:
    """Return of what kind each value is, of lists the first."""
    if isinstance(told, dict):
        return {name: kinds(value) for name, value in told.items()}
    if isinstance(told, list):
        return [kinds(one) for one in told[:1]]
    return type(told).__name__


@pytest.mark.recordings
@pytest.mark.parametrize("channel", _SAMPLES)
def test_public_messages_have_the_fields_of_real_ones(okx: Venued, recordings: pathlib.Path, channel: str) -> None:
    """All of them, of the same kinds."""
    line = okx.line()
    told = line.say(subscribe(channel))[-1]
    if channel == "trades":
        okx.clock.step(5_000)
        (told,) = line.beat()
    real = json.loads((recordings / _ADAPTER / f"{_SAMPLES[channel]}.json").read_text())
    assert told.keys() == real.keys()
    assert kinds(real["data"][0]).items() <= kinds(told["data"][0]).items()
    assert kinds(real["arg"]) == kinds(told["arg"])


@pytest.mark.recordings
def test_candles_and_orders_have_the_fields_of_real_ones(okx: Venued, recordings: pathlib.Path) -> None:
    """All of them, of the same kinds."""
    real = {name: json.loads((recordings / _ADAPTER / f"ws_{name}.json").read_text()) for name in ("candle", "orders")}
    *_, told = okx.line("business").say(subscribe("candle1Dutc"))
    assert [type(one) for one in told["data"][0]] == [type(one) for one in real["candle"]["data"][0]]
    line = okx.private()
    line.say(follow("orders", instType="SWAP"))
    okx.do("trade/order", **swap_order())
    for message in line.beat():
        assert kinds(real["orders"]["data"][0]).items() <= kinds(message["data"][0]).items()
