"""Binance's feeds, session by session and without a socket: what is told, in which shape, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import urllib.parse
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listeners import Listener

from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, GeneratedMarket, VirtualClock
from tradeutils.sim.binance import BinanceDialect
from tradeutils.sim.binance.feeds import BinanceFeeds
from tradeutils.sim.binance.feeds_names import is_stream_name, read_stream
from tradeutils.sim.catalogue import generated_instruments, generated_swaps
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.dialect import Close, Ping
from tradeutils.sim.feeds.events import Event, Topic
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.limits import Gate, Limits
from tradeutils.sim.orders import OrderRequest

_MINUTE, _HOUR = 60_000, 3_600_000
RICH = dataclasses.replace(
    DEFAULT_ACCOUNT,
    balances={"BTC": "0.5", "USDT": "2000000"},
    wallets={"swap": {"USDT": "5000"}},
)
POOLED = dataclasses.replace(DEFAULT_ACCOUNT, unified=True)


def make_venue(account: Any = RICH, limits: Limits | None = None) -> Venue:
    """Return a venue of four markets and three swaps at a frozen moment."""
    market = GeneratedMarket([*generated_instruments(4), *generated_swaps(3)])
    gate = Gate(Limits.none() if limits is None else limits)
    return Venue(market, VirtualClock(DEFAULT_NOW), Ledger(market, [account]), gate)


def test_300_connections_of_an_address_pass_in_five_minutes() -> None:
    """Streams and the API count together, what is no path does not; five minutes later there is room again."""
    venue, seconds = make_venue(limits=Limits.of("binance")), [1e9]
    venue.gate.clock = lambda: seconds[0]
    feeds = BinanceFeeds(venue, venue.keys)
    for number in range(300):
        path = ("/ws/1", "/stream", "/private/ws", "/ws-api/v3")[number % 4]
        assert not isinstance(feeds.connect(Call("GET", path)), Reply)
        assert isinstance(feeds.connect(Call("GET", "/elsewhere")), Reply)
    for path in ("/ws/1", "/ws-api/v3"):
        refused = feeds.connect(Call("GET", path))
        assert isinstance(refused, Reply)
        assert (refused.status, refused.limited) == (429, True)
    assert not isinstance(feeds.connect(Call("GET", "/ws/1", remote="127.0.0.2")), Reply)
    seconds[0] += 301
    assert not isinstance(feeds.connect(Call("GET", "/ws/1")), Reply)


@pytest.fixture
def venue() -> Venue:
    """A venue of its own for each test, as clocks are moved."""
    return make_venue()


class Quiet:
    """A market in which nothing happens."""

    told = None

    def news(self, _now: int) -> list[Event]:
        """Return nothing."""
        return []


class Seconds:
    """A clock of real seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time; a second has passed since it was read last."""
        self.now += 1.0
        return self.now


def connect(venue: Venue, address: str, *, clock: Callable[[], float] | None = None) -> Listener:
    """Return a connection to an address; messages of it are a second apart unless a clock is given."""
    path, _, query = address.partition("?")
    feeds = BinanceFeeds(venue, venue.keys, clock=Seconds() if clock is None else clock)
    session = feeds.connect(Call("GET", path, query))
    assert not isinstance(session, Reply)
    return Listener(venue, session)


def subscribe(listener: Listener, *streams: str) -> list[Any]:
    """Subscribe to streams and return what is told at first, after the answer."""
    answer, *first = listener.say({"method": "SUBSCRIBE", "params": streams, "id": 1})
    assert answer == {"result": None, "id": 1}
    return first


def ask(venue: Venue, path: str, query: str = "") -> Any:
    """Return what REST answers."""
    reply = BinanceDialect(venue).respond(Call("GET", path, query))
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


@pytest.mark.parametrize(
    ("address", "market"), [("/ws/0", "spot"), ("/public/ws/0", "linear"), ("/market/ws/3", "linear")]
)
def test_trades_are_those_that_rest_tells(venue: Venue, address: str, market: str) -> None:
    """Each trade since the subscription, once and in order, under the id that REST knows it by."""
    listener, root = connect(venue, address), "/api/v3" if market == "spot" else "/fapi/v1"
    assert subscribe(listener, "btcusdt@trade", "btcusdt@aggTrade") == []
    told = [*listener.step(20_000), *listener.step(45_000)]
    trades, aggregated = ([one for one in told if one["e"] == kind] for kind in ("trade", "aggTrade"))
    known = {row["id"]: row for row in ask(venue, f"{root}/trades", "symbol=BTCUSDT&limit=1000")}
    assert len(trades) == 65_000 // 3_000
    assert [one["t"] for one in trades] == list(range(trades[0]["t"], trades[0]["t"] + len(trades)))
    for one in trades:
        row = known[one["t"]]
        assert (one["p"], one["q"], one["T"], one["m"], one["s"]) == (
            *(row[name] for name in ("price", "qty", "time", "isBuyerMaker")),
            "BTCUSDT",
        )
    assert [(one["a"], one["f"], one["l"]) for one in aggregated] == [(one["t"],) * 3 for one in trades]
    assert {("M" in one, "X" in one) for one in trades} == {(market == "spot", market == "linear")}


@pytest.mark.parametrize(("address", "root"), [("/ws/0", "/api/v3"), ("/market/ws/0", "/fapi/v1")])
def test_klines_are_told_as_they_form_and_once_when_they_are_over(venue: Venue, address: str, root: str) -> None:
    """The last word on a candle has x, and its values are those of REST; the next begins after it."""
    listener = connect(venue, address)
    (first,) = subscribe(listener, "ethusdt@kline_1m")
    assert (first["k"]["t"], first["k"]["x"]) == (DEFAULT_NOW // _MINUTE * _MINUTE, False)
    told = [one["k"] for _ in range(9) for one in listener.step(10_000)]
    over = [one for one in told if one["x"]]
    assert [one["t"] for one in over] == [first["k"]["t"] + _MINUTE * number for number in range(2)]
    rows = {row[0]: row for row in ask(venue, f"{root}/klines", "symbol=ETHUSDT&interval=1m")}
    for one in over:
        row = rows[one["t"]]
        assert [one[letter] for letter in "ohlcv"] == row[1:6]
        assert (one["T"], one["q"], one["n"], one["V"], one["Q"]) == tuple(row[6:11])
        assert one["L"] - one["f"] + 1 == one["n"] == 20
    last = told[-1]
    assert [last[letter] for letter in "ohlcv"] == rows[last["t"]][1:6]


@pytest.mark.parametrize(("address", "root"), [("/ws/0", "/api/v3"), ("/market/ws/0", "/fapi/v1")])
def test_tickers_are_those_of_rest(venue: Venue, address: str, root: str) -> None:
    """Every figure of the 24-hour ticker, the short one, and the best bid and ask, at the same moment."""
    listener = connect(venue, address)
    subscribe(listener, "btcusdt@ticker", "btcusdt@miniTicker", "btcusdt@bookTicker")
    told = listener.step(60_000)
    day, mini = (next(one for one in told if one.get("e") == kind) for kind in ("24hrTicker", "24hrMiniTicker"))
    best = next(one for one in told if "u" in one)
    row, top = (ask(venue, f"{root}/ticker/{name}", "symbol=BTCUSDT") for name in ("24hr", "bookTicker"))
    names = {"p": "priceChange", "P": "priceChangePercent", "c": "lastPrice", "Q": "lastQty", "w": "weightedAvgPrice"}
    names |= {"o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume"}
    names |= {"O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId", "n": "count"}
    assert {letter: day[letter] for letter in names} == {letter: row[name] for letter, name in names.items()}
    assert {letter: mini[letter] for letter in "cohlvq"} == {letter: day[letter] for letter in "cohlvq"}
    tops = (top["bidPrice"], top["bidQty"], top["askPrice"], top["askQty"])
    assert tuple(best[letter] for letter in "bBaA") == tops
    if address == "/ws/0":
        assert tuple(day[letter] for letter in "bBaA") == tops
        assert "e" not in best
    else:
        assert not {"b", "B", "a", "A", "x"} & day.keys()
        assert (best["e"], best["E"]) == ("bookTicker", venue.clock.now())


@pytest.mark.parametrize(("address", "root"), [("/ws/0", "/api/v3"), ("/public/ws/0", "/fapi/v1")])
def test_a_book_kept_from_differences_is_that_of_rest(venue: Venue, address: str, root: str) -> None:
    """By the venue's own rules of U and u: a snapshot amid the stream, and every level equal thirty pulses later."""
    listener, linear = connect(venue, address), root == "/fapi/v1"
    first = subscribe(listener, "btcusdt@depth@100ms")
    assert [(one["b"], one["a"]) for one in first] == ([([], [])] if linear else [])
    heard = [*first, *(one for _ in range(3) for one in listener.step(700))]
    book = ask(venue, f"{root}/depth", "symbol=BTCUSDT&limit=1000")
    sides = {side: dict(book[side]) for side in ("bids", "asks")}
    number = book["lastUpdateId"]
    joined = False
    for event in [*heard, *(one for _ in range(30) for one in listener.step(700))]:
        if event["u"] < number or (event["u"] == number and not linear):
            continue
        if not joined:
            first_id = number if linear else number + 1
            assert event["U"] <= first_id <= event["u"]
            joined = True
        elif linear:
            assert event["pu"] == number
        else:
            assert event["U"] == number + 1
        number = event["u"]
        for side, changes in (("bids", event["b"]), ("asks", event["a"])):
            for price, amount in changes:
                sides[side][price] = amount
                if float(amount) == 0:
                    del sides[side][price]
    after = ask(venue, f"{root}/depth", "symbol=BTCUSDT&limit=1000")
    assert after["lastUpdateId"] == number
    assert {side: dict(after[side]) for side in sides} == sides


def test_levels_are_told_whole(venue: Venue) -> None:
    """A partial book has so many levels of each side as its name says, in the words of spot and of the futures."""
    listener = connect(venue, "/ws/0")
    assert [sorted(one) for one in subscribe(listener, "btcusdt@depth5")] == [["asks", "bids", "lastUpdateId"]]
    (told,) = listener.step(5_000)
    book = ask(venue, "/api/v3/depth", "symbol=BTCUSDT&limit=5")
    assert told == book
    listener = connect(venue, "/public/ws/0")
    subscribe(listener, "btcusdt@depth10@500ms")
    (told,) = listener.step(5_000)
    book = ask(venue, "/fapi/v1/depth", "symbol=BTCUSDT&limit=10")
    assert (told["b"], told["a"], told["u"]) == (book["bids"], book["asks"], book["lastUpdateId"])


@pytest.mark.parametrize("shape", ["ticker", "miniTicker"])
def test_tickers_of_all_markets_come_in_one_list(venue: Venue, shape: str) -> None:
    """All of them at first; later those that had news, at the latest when nothing followed for a second."""
    listener = connect(venue, "/stream")
    (first,) = subscribe(listener, f"!{shape}@arr")
    assert first["stream"] == f"!{shape}@arr"
    traded = sorted(venue.market.traded("spot"))
    assert sorted(row["s"] for row in first["data"]) == traded
    (all_of_them,) = listener.step(60_000)
    assert sorted(row["s"] for row in all_of_them["data"]) == traded
    listener.sources |= {topic: Quiet() for topic in listener.sources if topic.market not in ("BTCUSDT", "ETHUSDT")}
    assert listener.step(_MINUTE) == listener.tick() == []  # those that have news wait for the others
    (late,) = listener.tick()
    assert [row["s"] for row in late["data"]] == ["BTCUSDT", "ETHUSDT"]
    assert listener.tick() == []


def test_the_second_news_of_a_market_release_the_first(venue: Venue) -> None:
    """No payload of a stream of all markets is overwritten by a later one: both are told, in order."""
    listener = connect(venue, "/ws/0")
    subscribe(listener, "!ticker@arr")
    told = [row for _ in range(40) for frame in listener.step(500) for row in frame]
    told += [row for _ in range(2) for frame in listener.tick() for row in frame]
    moments = [row["E"] for row in told if row["s"] == "BTCUSDT"]
    assert moments == sorted(set(moments))
    assert len(moments) > 5
    assert moments[-1] <= venue.clock.now()


def test_best_prices_of_all_swaps_come_one_by_one(venue: Venue) -> None:
    """The stream of all book tickers tells each as that of its market does; spot has none any more."""
    spot = connect(venue, "/ws/0")
    assert subscribe(spot, "!bookTicker") == []
    assert not spot.session.topics
    listener = connect(venue, "/public/ws/0")
    first = subscribe(listener, "!bookTicker")
    assert sorted(one["s"] for one in first) == sorted(venue.market.traded("linear"))
    assert {one["e"] for one in first} == {"bookTicker"}


def test_streams_in_the_address_are_subscribed_to(venue: Venue) -> None:
    """Raw and combined, as the path says; what is no stream's name is left out, and one twice is one."""
    raw = connect(venue, "/ws/btcusdt@bookTicker/ethusdt@bookTicker")
    assert [one["s"] for one in raw.first] == ["BTCUSDT", "ETHUSDT"]
    combined = connect(venue, "/stream?streams=btcusdt@bookTicker/btcusdt@bookTicker/%40%40bad/ethusdt@ticker")
    assert sorted(one["stream"] for one in combined.first) == ["btcusdt@bookTicker", "ethusdt@ticker"]
    assert combined.first[0].keys() == {"stream", "data"}
    (listed,) = combined.say({"method": "LIST_SUBSCRIPTIONS", "id": 3})
    assert listed == {"result": ["btcusdt@bookTicker", "ethusdt@ticker"], "id": 3}


def test_unsubscribed_streams_are_silent(venue: Venue) -> None:
    """The others go on; one that was not subscribed to is acknowledged as well."""
    listener = connect(venue, "/ws/0")
    subscribe(listener, "btcusdt@trade", "ethusdt@trade", "btcusdt@aggTrade")
    answer = {"result": None, "id": 7}
    for _ in range(2):
        request = {"method": "UNSUBSCRIBE", "params": ["btcusdt@trade", "!ticker@arr"], "id": 7}
        assert listener.say(request) == [answer]
    told = {(one["e"], one["s"]) for one in listener.step(10_000)}
    assert told == {("trade", "ETHUSDT"), ("aggTrade", "BTCUSDT")}
    listener.say({"method": "UNSUBSCRIBE", "params": ["ethusdt@trade", "btcusdt@aggTrade"], "id": 8})
    assert not listener.session.topics
    assert listener.step(10_000) == []


def test_unknown_markets_are_taken_and_never_told_of(venue: Venue) -> None:
    """As on the venue, the answer says only that the name is well formed; spot and futures know their own markets."""
    listener = connect(venue, "/ws/0")
    names = ["nosuch@trade", "btcusdt@nosuch", "BTCUSDT@trade", "btcusdt@kline_1s", "btcusdt@kline_7m", "0"]
    assert subscribe(listener, *names, "btcusdt@depth7") == []
    assert not listener.session.topics
    swaps = connect(venue, "/market/ws/0")
    assert subscribe(swaps, "solusdt@trade", "btcusdt@trade") == []
    assert set(swaps.session.topics) == {Topic("trades", "BTCUSDT-PERP")}


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ("hello", 3, "Invalid JSON: expected value at line 1 column 1"),
        ("", 3, "Invalid JSON: expected value at line 1 column 1"),
        ("[]", 2, "Invalid request: expected a JSON object"),
        ({"id": 1}, 2, "Invalid request: missing field `method`"),
        ({"method": "SUBSCRIBE", "params": [], "id": -1}, 2, "Invalid request: request ID must be an unsigned integer"),
        ({"method": "SUBSCRIBE", "params": [], "id": True}, 2, "Invalid request: request ID must be an unsigned integ"),
        ({"method": "SUBSCRIBE", "params": [], "id": "x" * 37}, 2, "Invalid request: request ID must be an unsigned "),
        ({"method": "subscribe", "id": 1}, 2, "Invalid request: unknown variant `subscribe`, expected one of `SUBSCRI"),
        ({"method": ["SUBSCRIBE"], "id": 1}, 2, "Invalid request: unknown variant"),
        ({"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}, 2, "Invalid request: params must be an array"),
        ({"method": "SUBSCRIBE", "params": ["@@@!#"], "id": 1}, 2, "Invalid request: invalid stream"),
        ({"method": "SUBSCRIBE", "params": [1], "id": 1}, 2, "Invalid request: invalid stream"),
        ({"method": "UNSUBSCRIBE", "params": ['a"b'], "id": 1}, 2, "Invalid request: invalid stream"),
        ({"method": "SUBSCRIBE", "params": [], "id": 1, "more": 1}, 2, "Invalid request: too many parameters"),
        ({"method": "SET_PROPERTY", "params": [], "id": 1}, 2, "Invalid request: property name must be a string"),
        ({"method": "SET_PROPERTY", "params": ["other", True], "id": 1}, 0, "Unknown property"),
        ({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}, 1, "Invalid value type: expected Boolean"),
    ],
)
def test_bad_requests_are_answered_in_the_venues_words(venue: Venue, said: Any, code: int, words: str) -> None:
    """With its code, and the id where there is one; the connection goes on."""
    listener = connect(venue, "/ws/0")
    (answer,) = listener.say(said)
    assert answer["error"]["code"] == code
    assert answer["error"]["msg"].startswith(words)
    assert answer.get("id") == (
        1 if isinstance(said, dict) and said.get("id") == 1 and said["id"] is not True else None
    )
    assert not listener.session.topics
    assert subscribe(listener, "btcusdt@trade") == []


def test_payloads_are_wrapped_on_request(venue: Venue) -> None:
    """The property of combined payloads is told and set."""
    listener = connect(venue, "/ws/btcusdt@trade")
    question = {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}
    assert listener.say(question) == [{"result": False, "id": 2}]
    assert listener.say({"method": "SET_PROPERTY", "params": ["combined", True], "id": "x"}) == [
        {"result": None, "id": "x"}
    ]
    assert listener.say(question) == [{"result": True, "id": 2}]
    told = listener.step(10_000)
    assert {one["stream"] for one in told} == {"btcusdt@trade"}


def test_more_than_1024_streams_are_refused(venue: Venue) -> None:
    """The request that goes too far changes nothing; the address takes no more either."""
    listener = connect(venue, "/ws/0")
    subscribe(listener, *(f"x{number}@trade" for number in range(1_023)))
    (answer,) = listener.say({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 5})
    assert answer == {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 5}
    assert not listener.session.topics
    named = "/".join([*(f"x{number}@trade" for number in range(1_024)), "btcusdt@trade"])
    assert not connect(venue, f"/stream?streams={named}").session.topics


@pytest.mark.parametrize(("address", "most"), [("/ws/0", 5), ("/market/ws/0", 10)])
def test_too_many_messages_in_a_second_end_the_connection(venue: Venue, address: str, most: int) -> None:
    """Whatever they say; a second later there is room again."""
    moments = iter([*[0.0] * most, 1.0, *[1.5] * (most - 1), 1.6])
    listener = connect(venue, address, clock=lambda: next(moments))
    for number in range(2 * most):
        assert listener.say({"method": "LIST_SUBSCRIPTIONS", "id": number})[0]["id"] == number
    assert listener.say("hello") == [Close(1008, "Too many requests")]


@pytest.mark.parametrize(("address", "seconds"), [("/ws/0", 20), ("/market/ws/0", 180), ("/ws-api/v3", 20)])
def test_the_venue_pings(venue: Venue, address: str, seconds: int) -> None:
    """With its time, every 20 seconds on spot and every three minutes on the futures."""
    listener = connect(venue, address)
    beats = [listener.tick() for _ in range(2 * seconds)]
    assert [number for number, told in enumerate(beats, 1) if told] == [seconds, 2 * seconds]
    assert beats[seconds - 1] == [Ping(str(DEFAULT_NOW).encode())]


@pytest.mark.parametrize("path", ["/", "/wss", "/public", "/nosuch/ws", "/public/api", "/ws-api", "/ws-fapi/v1"])
def test_other_paths_are_refused(venue: Venue, path: str) -> None:
    """There is nothing there."""
    reply = BinanceFeeds(venue, venue.keys).connect(Call("GET", path))
    assert isinstance(reply, Reply)
    assert reply.status == 404


@pytest.mark.parametrize(
    ("name", "well_formed"),
    [("btcusdt@depth@100ms", True), ("!ticker@arr", True), ("a@b@c@d@e", False), ("", False), ("a b@trade", False)],
)
def test_names_are_judged_by_their_form(name: str, well_formed: bool) -> None:
    """Letters, digits and few signs, with up to three parts after @."""
    assert is_stream_name(name) is well_formed


@given(name=st.text(max_size=60))
def test_any_name_is_read_without_a_fault(name: str) -> None:
    """What is no stream has no topics."""
    traded = GeneratedMarket(generated_instruments(1)).traded("spot")
    stream = read_stream(name, traded)
    assert stream.name == name
    assert not stream.topics or is_stream_name(name)


@settings(max_examples=60)
@given(
    said=st.one_of(
        st.text(max_size=80),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.dictionaries(st.sampled_from(["method", "params", "id", "x"]), inner, max_size=4),
            ),
            max_leaves=12,
        ).map(json.dumps),
    ),
    address=st.sampled_from(["/ws/0", "/ws-api/v3"]),
)
def test_whatever_a_client_says_is_answered(said: str, address: str) -> None:
    """With one frame of JSON; nothing is raised."""
    (answer,) = connect(make_venue(), address).say(said)
    assert isinstance(answer, dict)


def key_call(venue: Venue, method: str, key: str = DEFAULT_ACCOUNT.key) -> Reply:
    """Call the endpoint of listen keys."""
    return BinanceDialect(venue).respond(Call(method, "/fapi/v1/listenKey", headers={"x-mbx-apikey": key}))


def listen_key(venue: Venue) -> str:
    """Return the listen key of the account."""
    reply = key_call(venue, "POST")
    assert reply.status == 200
    return str(json.loads(reply.body)["listenKey"])


def test_listen_keys_are_one_an_account_and_live_an_hour(venue: Venue) -> None:
    """A second POST returns the same and extends it, as PUT does; after DELETE or an hour there is none to extend."""
    key = listen_key(venue)
    venue.clock.step(50 * _MINUTE)
    assert listen_key(venue) == key
    venue.clock.step(50 * _MINUTE)
    assert json.loads(key_call(venue, "PUT").body) == {"listenKey": key}
    venue.clock.step(_HOUR)
    gone = key_call(venue, "PUT")
    assert (gone.status, json.loads(gone.body)) == (400, {"code": -1125, "msg": "This listenKey does not exist."})
    other = listen_key(venue)
    assert other != key
    assert json.loads(key_call(venue, "DELETE").body) == {}
    assert json.loads(key_call(venue, "DELETE").body)["code"] == -1125
    assert key_call(venue, "POST", "nobody").status == 401


def place(venue: Venue, **changed: Any) -> Any:
    """Place an order of the account at the venue's moment."""
    request = {"market": "BTCUSDT", "side": "buy", "type": "limit", "amount": Decimal("0.01"), "client_id": "mine"}
    return venue.ledger.place(DEFAULT_ACCOUNT.key, OrderRequest(**{**request, **changed}), venue.clock.now())


def near(venue: Venue, market: str, factor: float) -> Decimal:
    """Return a price some way off the last one, in whole steps."""
    price = float(venue.market.last(market, venue.clock.now()).price[0]) * factor
    return Decimal(f"{price:.{venue.market.instruments[market].price_decimals}f}")


def user_request(venue: Venue, secret: str = DEFAULT_ACCOUNT.secret, **changed: Any) -> dict[str, Any]:
    """Return a signed request for the user data of spot."""
    params = {"apiKey": DEFAULT_ACCOUNT.key, "timestamp": venue.clock.now(), **changed}
    payload = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    made = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return {"id": "one", "method": "userDataStream.subscribe.signature", "params": {**params, "signature": made}}


@pytest.fixture
def spot_user(venue: Venue) -> Listener:
    """A connection that is told of the account on spot."""
    listener = connect(venue, "/ws-api/v3")
    (answer,) = listener.say(user_request(venue))
    assert (answer["id"], answer["status"], answer["result"]) == ("one", 200, {"subscriptionId": 0})
    assert answer["rateLimits"][0]["count"] == 4  # two for the connection, two for the request
    return listener


def events(told: list[Any]) -> list[dict[str, Any]]:
    """Return the events that subscription 0 is told."""
    assert {one["subscriptionId"] for one in told} <= {0}
    return [one["event"] for one in told]


def test_an_order_that_takes_is_told_fill_by_fill(venue: Venue, spot_user: Listener) -> None:
    """New, then each trade with what is filled so far, then the balances, which are those of REST."""
    order = place(venue, type="market", amount=None, cost=Decimal(1_500_000))
    new, *trades, position = events(spot_user.beat())
    assert (new["x"], new["X"], new["z"], new["c"], new["N"], new["t"]) == (
        "NEW", "NEW", "0.00000000", "mine", None, -1,
    )  # fmt: skip
    assert len(trades) == len(order.fills) > 1
    assert {one["x"] for one in trades} == {"TRADE"}
    done = Decimal(0)
    for one, fill in zip(trades, order.fills, strict=True):
        done += fill.amount
        assert (Decimal(one["l"]), Decimal(one["L"]), Decimal(one["z"]), one["t"]) == (
            fill.amount, fill.price, done, fill.id,
        )  # fmt: skip
        assert (Decimal(one["n"]), one["N"], one["m"]) == (fill.fee, fill.fee_asset, False)
    assert trades[-1]["X"] == "FILLED"
    assert Decimal(trades[-1]["Z"]) == order.cost
    assert position["e"] == "outboundAccountPosition"
    held, _ = venue.ledger.holdings(DEFAULT_ACCOUNT.key, venue.clock.now())
    assert {row["a"]: (Decimal(row["f"]), Decimal(row["l"])) for row in position["B"]} == {
        asset: (held[asset].free, held[asset].locked) for asset in ("BTC", "USDT")
    }


def test_an_order_that_rests_is_told_until_it_is_canceled(venue: Venue, spot_user: Listener) -> None:
    """The cancellation has an id of its own, and the order's beside it; what was locked is free again."""
    order = place(venue, price=near(venue, "BTCUSDT", 0.9))
    new, locked = events(spot_user.beat())
    assert (new["x"], new["w"], new["i"], new["p"]) == ("NEW", True, order.id, f"{order.request.price:.8f}")
    assert Decimal(locked["B"][0]["l"]) == order.locked > 0
    venue.ledger.cancel(DEFAULT_ACCOUNT.key, order, venue.clock.now())
    canceled, freed = events(spot_user.beat())
    assert (canceled["x"], canceled["X"], canceled["C"], canceled["w"]) == ("CANCELED", "CANCELED", "mine", False)
    assert canceled["c"] != "mine"
    assert Decimal(freed["B"][0]["l"]) == 0


def test_a_stop_is_told_when_it_begins_to_work(venue: Venue, spot_user: Listener) -> None:
    """Not on the book at first; new once more when its trigger is reached, and then it trades."""
    trigger = near(venue, "BTCUSDT", 0.999)
    place(venue, side="sell", type="market", trigger=trigger, rises=False)
    waiting = events(spot_user.beat())[0]
    assert (waiting["o"], waiting["w"], Decimal(waiting["P"]), "W" in waiting) == ("STOP_LOSS", False, trigger, False)
    told: list[dict[str, Any]] = []
    for _ in range(1_000):
        told = told or events(spot_user.step(_HOUR))
    assert [one["x"] for one in told if one["e"] == "executionReport"] == ["NEW", "TRADE"]
    assert told[0]["T"] < venue.clock.now()
    assert told[1]["X"] == "FILLED"


def test_what_is_moved_in_or_out_is_told_beside_the_balance(venue: Venue, spot_user: Listener) -> None:
    """A transfer is a balanceUpdate with its sign; a trade in the same moment is none."""
    now = venue.clock.now()
    venue.ledger.transfer(DEFAULT_ACCOUNT.key, "USDT", Decimal(25), "spot", "swap", now)
    place(venue, type="market")
    told = events(spot_user.beat())
    updates = [(one["a"], Decimal(one["d"])) for one in told if one["e"] == "balanceUpdate"]
    assert updates == [("USDT", Decimal(-25))]
    venue.ledger.transfer(DEFAULT_ACCOUNT.key, "USDT", Decimal(10), "swap", "spot", now)
    update, position = events(spot_user.beat())
    assert (update["d"], position["e"]) == ("10.00000000", "outboundAccountPosition")


def test_user_data_may_be_left(venue: Venue, spot_user: Listener) -> None:
    """One subscription an account; those that are left end with a word, and can be taken up again."""
    (again,) = spot_user.say(user_request(venue))
    assert (again["status"], again["error"]["code"]) == (400, -2035)
    (listed,) = spot_user.say({"id": 2, "method": "session.subscriptions"})
    assert listed["result"] == [{"subscriptionId": 0}]
    (wrong,) = spot_user.say({"id": 3, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 9}})
    assert wrong["error"]["code"] == -2036
    answer, over = spot_user.say({"id": 4, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}})
    assert (answer["result"], over["event"]["e"]) == ({}, "eventStreamTerminated")
    place(venue, price=near(venue, "BTCUSDT", 0.9))
    assert not spot_user.session.topics
    assert spot_user.beat() == []
    (fresh,) = spot_user.say(user_request(venue))
    assert fresh["result"] == {"subscriptionId": 1}
    (empty, _) = spot_user.say({"id": 5, "method": "userDataStream.unsubscribe"})
    assert empty["result"] == {}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"apiKey": "nobody"}, -2015),
        ({"apiKey": ""}, -1102),
        ({"timestamp": DEFAULT_NOW - 10 * _HOUR}, -1021),
        ({"timestamp": DEFAULT_NOW + 10 * 365 * 24 * _HOUR}, -1021),
        ({"timestamp": str(DEFAULT_NOW)}, -1100),
        ({"recvWindow": 60_001}, -1131),
        ({"recvWindow": True}, -1100),
        ({"secret": "wrong"}, -1022),
    ],
)
def test_user_data_of_nobody_or_of_another_time_is_refused(venue: Venue, changed: dict[str, Any], code: int) -> None:
    """With the code that REST has for it, and nothing is told."""
    listener = connect(venue, "/ws-api/v3")
    (answer,) = listener.say(user_request(venue, **changed))
    assert answer["error"]["code"] == code
    assert answer["status"] == (401 if code == -2015 else 400)
    assert not listener.session.topics


@pytest.mark.parametrize(
    ("said", "number", "words"),
    [
        ("{", None, "Invalid JSON request."),
        ("[1]", None, "Invalid JSON request; expected an object."),
        ({"id": {}, "method": "ping"}, None, "Invalid 'id' in JSON request"),
        ({"id": 1, "method": 2}, None, "Invalid 'method' in JSON request; expected a string."),
        ({"id": 1, "method": "ping", "params": []}, None, "Invalid 'params' in JSON request; expected an object."),
        ({"id": 1, "method": "nosuch"}, 1, "Invalid 'method' in JSON request; unknown method 'nosuch'."),
    ],
)
def test_bad_requests_to_the_api_are_answered(venue: Venue, said: Any, number: Any, words: str) -> None:
    """In an answer with an error, as any other."""
    (answer,) = connect(venue, "/ws-api/v3").say(said)
    assert (answer["id"], answer["status"], answer["error"]["code"]) == (number, 400, -1135)
    assert answer["error"]["msg"].startswith(words)


def test_the_api_tells_the_time(venue: Venue) -> None:
    """And answers pings."""
    listener = connect(venue, "/ws-api/v3")
    assert listener.say({"id": None, "method": "time"})[0]["result"] == {"serverTime": DEFAULT_NOW}
    assert listener.say({"id": 1, "method": "ping"})[0]["result"] == {}
    extra = listener.say({"id": 1, "method": "userDataStream.unsubscribe", "params": {"x": 1}})[0]
    assert extra["error"]["code"] == -1104


def test_the_api_counts_with_rest() -> None:
    """Who asked too much is told so there too, and may not connect."""
    venue = make_venue(limits=Limits(weight=5))
    listener = connect(venue, "/ws-api/v3")
    answers = [listener.say({"id": number, "method": "ping"})[0] for number in range(4)]
    assert [answer["status"] for answer in answers] == [200, 200, 200, 429]
    assert answers[3]["error"]["code"] == -1003
    reply = BinanceFeeds(venue, venue.keys).connect(Call("GET", "/ws-api/v3"))
    assert isinstance(reply, Reply)
    assert reply.status == 429


@pytest.mark.parametrize("address", ["/private/ws?listenKey={}", "/private/ws/{}", "/private/stream?streams={}"])
def test_a_listen_key_opens_the_user_data_of_the_futures(venue: Venue, address: str) -> None:
    """In the path, in the query or as a stream; an order, its fills, and what they did to wallet and position."""
    listener = connect(venue, address.format(listen_key(venue)))
    order = place(venue, market="BTCUSDT-PERP", type="market", amount=Decimal("0.02"))
    told = [one.get("data", one) for one in listener.beat()]
    new, *trades, account = told
    assert (new["e"], new["o"]["x"], new["o"]["X"], new["o"]["c"]) == ("ORDER_TRADE_UPDATE", "NEW", "NEW", "mine")
    assert "N" not in new["o"]
    assert [one["o"]["x"] for one in trades] == ["TRADE"] * len(order.fills)
    last = trades[-1]["o"]
    assert (last["X"], Decimal(last["z"]), last["t"], last["m"]) == ("FILLED", order.filled, order.fills[-1].id, False)
    assert (Decimal(last["n"]), last["N"]) == (order.fills[-1].fee, "USDT")
    now = venue.clock.now()
    assert (account["e"], account["a"]["m"]) == ("ACCOUNT_UPDATE", "ORDER")
    wallet = venue.ledger.margin(DEFAULT_ACCOUNT.key, now).wallet
    assert account["a"]["B"] == [{"a": "USDT", "wb": f"{wallet:.8f}", "cw": f"{wallet:.8f}", "bc": "0.00000000"}]
    (position,) = account["a"]["P"]
    (held,) = venue.ledger.positions(DEFAULT_ACCOUNT.key, now)
    assert (position["s"], Decimal(position["pa"]), position["ep"]) == ("BTCUSDT", held.amount, f"{held.entry:.8f}")
    place(venue, market="BTCUSDT-PERP", type="market", side="sell", amount=Decimal("0.02"), client_id=None)
    closed = [one.get("data", one) for one in listener.beat()][-1]["a"]["P"]
    assert [Decimal(one["pa"]) for one in closed] == [Decimal(0)]


def test_an_order_that_only_rests_moves_no_balance(venue: Venue) -> None:
    """ACCOUNT_UPDATE is for what changed; a resting order of a swap locks nothing."""
    listener = connect(venue, f"/private/ws?listenKey={listen_key(venue)}")
    order = place(venue, market="BTCUSDT-PERP", type="limit maker", price=near(venue, "BTCUSDT-PERP", 0.9))
    (new,) = listener.beat()
    assert (new["o"]["f"], new["o"]["o"]) == ("GTX", "LIMIT")
    venue.ledger.cancel(DEFAULT_ACCOUNT.key, order, venue.clock.now())
    (canceled,) = listener.beat()
    assert (canceled["o"]["x"], canceled["o"]["c"]) == ("CANCELED", "mine")


def test_an_order_with_a_trigger_is_an_algo_order_first(venue: Venue) -> None:
    """New and canceled as such; once triggered it is an order too, and the algo order ends with it."""
    listener = connect(venue, f"/private/ws?listenKey={listen_key(venue)}")
    stop = {"market": "BTCUSDT-PERP", "side": "sell", "type": "market", "rises": False, "watched": "mark"}
    order = place(venue, **stop, trigger=near(venue, "BTCUSDT-PERP", 0.5))
    (new,) = listener.beat()
    assert (new["e"], new["o"]["X"], new["o"]["o"], new["o"]["wt"]) == (
        "ALGO_UPDATE", "NEW", "STOP_MARKET", "MARK_PRICE",
    )  # fmt: skip
    venue.ledger.cancel(DEFAULT_ACCOUNT.key, order, venue.clock.now())
    assert [(one["e"], one["o"]["X"]) for one in listener.beat()] == [("ALGO_UPDATE", "CANCELED")]
    place(venue, **stop, trigger=near(venue, "BTCUSDT-PERP", 0.999), client_id="other")
    told: list[Any] = listener.beat()[1:]
    for _ in range(1_000):
        listen_key(venue)  # lives on
        told = told or listener.step(30 * _MINUTE)
    states = [(one["e"], one["o"]["X"]) for one in told if one["e"] != "ACCOUNT_UPDATE"]
    assert states == [
        ("ALGO_UPDATE", "TRIGGERED"),
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ORDER_TRADE_UPDATE", "FILLED"),
        ("ALGO_UPDATE", "FINISHED"),
    ]
    assert told[0]["o"]["ai"] == str(told[1]["o"]["i"])


def test_an_ended_listen_key_is_told_once_and_then_nothing(venue: Venue) -> None:
    """An hour later, or when it is deleted; the connection stays, as on the venue."""
    key = listen_key(venue)
    listener = connect(venue, f"/private/ws?listenKey={key}")
    assert listener.tick() == []
    key_call(venue, "DELETE")
    place(venue, market="BTCUSDT-PERP", type="market", client_id=None)
    assert listener.beat() == []  # not even before its end is told
    assert listener.tick() == [{"e": "listenKeyExpired", "E": DEFAULT_NOW, "listenKey": key}]
    assert not listener.session.topics
    place(venue, market="BTCUSDT-PERP", type="market")
    assert listener.tick() == listener.beat() == []
    other = listen_key(venue)
    assert subscribe(listener, other) == []
    venue.clock.step(_HOUR)
    assert [one["listenKey"] for one in listener.tick()] == [other]


def test_an_unknown_listen_key_is_taken_and_silent(venue: Venue) -> None:
    """So is one of spot's address: the handshake says nothing of it."""
    for address in ("/private/ws?listenKey=nosuch", f"/ws/{listen_key(venue)}", "/private/ws"):
        assert not connect(venue, address).session.topics


def test_funding_and_transfers_have_reasons(venue: Venue) -> None:
    """A balance that changed without a trade says why."""
    listener = connect(venue, f"/private/ws?listenKey={listen_key(venue)}")
    place(venue, market="BTCUSDT-PERP", type="market")
    listener.beat()
    reasons = []
    for asset, amount, source, target in (("USDT", 10, "spot", "swap"), ("USDT", 20, "swap", "spot")):
        venue.ledger.transfer(DEFAULT_ACCOUNT.key, asset, Decimal(amount), source, target, venue.clock.now())
        reasons += [(one["a"]["m"], one["a"]["B"][0]["bc"]) for one in listener.beat()]
    assert reasons == [("DEPOSIT", "10.00000000"), ("WITHDRAW", "-20.00000000")]
    for _ in range(7):
        listen_key(venue)  # lives on
        assert listener.step(30 * _MINUTE) == []
    listen_key(venue)
    (paid,) = listener.step(59 * _MINUTE)
    assert (paid["a"]["m"], paid["a"]["P"]) == ("FUNDING_FEE", [])
    assert Decimal(paid["a"]["B"][0]["bc"]) == venue.ledger.payments(DEFAULT_ACCOUNT.key, venue.clock.now())[-1].amount


def test_a_unified_account_tells_the_futures_of_what_they_settle_in() -> None:
    """Its coins are spot's; a trade on spot that moves the dollars of both is told to both."""
    venue = make_venue(POOLED)
    listener = connect(venue, f"/private/ws?listenKey={listen_key(venue)}")
    place(venue, type="market")
    (told,) = listener.beat()
    assert [row["a"] for row in told["a"]["B"]] == ["USDT"]
    place(venue, price=near(venue, "BTCUSDT", 0.9), client_id=None)
    assert listener.beat() == []  # what spot locks is in the wallet still


def test_queries_with_too_many_parameters_are_not_read(venue: Venue) -> None:
    """They open a connection without streams."""
    query = urllib.parse.urlencode([(f"x{number}", "1") for number in range(40)])
    assert not connect(venue, f"/stream?streams=btcusdt@trade&{query}").session.topics
