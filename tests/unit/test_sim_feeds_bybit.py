"""Bybit's feeds, session by session and without a socket: what is told, in which shape, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listeners import Listener

from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW, GeneratedMarket, VirtualClock
from tradeutils.sim.bybit import BybitDialect
from tradeutils.sim.bybit.feeds import BybitFeeds
from tradeutils.sim.catalogue import generated_instruments, generated_swaps
from tradeutils.sim.dialect import Call, Reply, Venue
from tradeutils.sim.feeds.events import BalanceEvent
from tradeutils.sim.ledger import Holding, Ledger
from tradeutils.sim.limits import Gate, Limits
from tradeutils.sim.orders import OrderRequest

_MINUTE, _HOUR = 60_000, 3_600_000
RICH = dataclasses.replace(DEFAULT_ACCOUNT, balances={"BTC": "0.5", "USDT": "2000000"})


def make_venue(*, strict: bool = False) -> Venue:
    """Return a venue of four markets and three swaps at a frozen moment."""
    market = GeneratedMarket([*generated_instruments(4), *generated_swaps(3)])
    return Venue(market, VirtualClock(DEFAULT_NOW, strict=strict), Ledger(market, [RICH]))


@pytest.fixture
def venue() -> Venue:
    """A venue of its own for each test, as clocks are moved."""
    return make_venue()


def connect(venue: Venue, path: str, feeds: BybitFeeds | None = None) -> Listener:
    """Return a connection to a path."""
    session = (BybitFeeds(venue, venue.keys) if feeds is None else feeds).connect(Call("GET", path))
    assert not isinstance(session, Reply)
    return Listener(venue, session)


def public(venue: Venue, category: str, *topics: str) -> tuple[Listener, list[Any]]:
    """Return a connection that is subscribed to public topics, and what it is told at first."""
    listener = connect(venue, f"/v5/public/{category}")
    answer, *first = listener.say({"op": "subscribe", "args": topics, "req_id": 7})
    assert answer == {
        "success": True,
        "ret_msg": "subscribe" if category == "spot" else "",
        "conn_id": answer["conn_id"],
        "req_id": "7",
        "op": "subscribe",
    }
    return listener, first


def auth(venue: Venue, secret: str = RICH.secret, key: str = RICH.key, expires: Any = None) -> dict[str, Any]:
    """Return a request to be let in."""
    moment = str(venue.clock.now() + 10_000) if expires is None else expires
    made = hmac.new(secret.encode(), f"GET/realtime{moment}".encode(), hashlib.sha256).hexdigest()
    return {"op": "auth", "args": [key, moment, made]}


def private(venue: Venue, *topics: str) -> Listener:
    """Return a connection that is subscribed to topics of the account."""
    listener = connect(venue, "/v5/private")
    (admitted,) = listener.say(auth(venue))
    assert (admitted["success"], admitted["ret_msg"], admitted["op"]) == (True, "", "auth")
    (answer,) = listener.say({"op": "subscribe", "args": topics})
    assert (answer["success"], answer["op"]) == (True, "subscribe")
    return listener


def ask(venue: Venue, path: str, query: str) -> Any:
    """Return the result that REST answers with."""
    reply = json.loads(BybitDialect(venue).respond(Call("GET", path, query)).body)
    assert reply["retCode"] == 0, reply
    return reply["result"]


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_trades_are_those_that_rest_tells(venue: Venue, category: str) -> None:
    """Each since the subscription, once and in order; the side is that of the taker."""
    listener, first = public(venue, category, "publicTrade.BTCUSDT")
    assert first == []
    told = [*listener.step(20_000), *listener.step(45_000)]
    assert {(one["topic"], one["type"]) for one in told} == {("publicTrade.BTCUSDT", "snapshot")}
    rows = [row for one in told for row in one["data"]]
    known = ask(venue, "/v5/market/recent-trade", f"category={category}&symbol=BTCUSDT&limit=60")["list"]
    assert [(row["i"], row["p"], row["v"], row["S"], str(row["T"])) for row in rows] == [
        tuple(row[name] for name in ("execId", "price", "size", "side", "time")) for row in reversed(known)
    ][-len(rows) :]
    assert len(rows) == 65_000 // 3_000
    assert {"L" in row for row in rows} == {category == "linear"}


def test_a_message_holds_1024_trades_at_most(venue: Venue) -> None:
    """What is more goes on in the next."""
    listener, _ = public(venue, "linear", "publicTrade.BTCUSDT")
    sizes = [len(one["data"]) for one in listener.step(2 * _HOUR)]
    assert sizes[0] == 1_024
    assert all(size <= 1_024 for size in sizes)


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_klines_are_confirmed_once_with_the_values_of_rest(venue: Venue, category: str) -> None:
    """They form first; the one that is over is told before the next begins."""
    listener, (first,) = public(venue, category, "kline.1.ETHUSDT")
    (row,) = first["data"]
    assert (first["topic"], row["start"], row["confirm"]) == (
        "kline.1.ETHUSDT", DEFAULT_NOW // _MINUTE * _MINUTE, False,
    )  # fmt: skip
    told = [one["data"][0] for _ in range(9) for one in listener.step(10_000)]
    over = [one for one in told if one["confirm"]]
    assert [one["start"] for one in over] == [row["start"], row["start"] + _MINUTE]
    known = ask(venue, "/v5/market/kline", f"category={category}&symbol=ETHUSDT&interval=1&limit=5")["list"]
    rows = {one[0]: one[1:] for one in known}
    names = ("open", "high", "low", "close", "volume", "turnover")
    for one in (*over, told[-1]):
        assert [one[name] for name in names] == rows[str(one["start"])]
        assert one["end"] == one["start"] + _MINUTE - 1


def test_tickers_of_spot_are_always_whole(venue: Venue) -> None:
    """All that REST tells but the best bid and ask."""
    listener, (first,) = public(venue, "spot", "tickers.BTCUSDT")
    (after,) = listener.step(_MINUTE)
    assert (first["type"], after["type"]) == ("snapshot", "snapshot")
    (row,) = ask(venue, "/v5/market/tickers", "category=spot&symbol=BTCUSDT")["list"]
    told = {name: value for name, value in after["data"].items() if name != "usdIndexPrice"}
    assert told == {name: row[name] for name in told}
    assert row.keys() - told.keys() == {"bid1Price", "bid1Size", "ask1Price", "ask1Size", "usdIndexPrice"}
    assert after["data"]["usdIndexPrice"] == row["lastPrice"]


def test_tickers_of_swaps_are_whole_once_and_then_what_changed(venue: Venue) -> None:
    """Put together they are what REST tells; who subscribes anew starts with a whole one."""
    listener, (first,) = public(venue, "linear", "tickers.BTCUSDT")
    assert first["type"] == "snapshot"
    kept = dict(first["data"])
    for _ in range(20):
        for message in listener.step(4_000):
            assert message["type"] == "delta"
            changed = {name: value for name, value in message["data"].items() if name != "symbol"}
            assert changed
            assert all(kept[name] != value for name, value in changed.items())
            kept |= changed
    (row,) = ask(venue, "/v5/market/tickers", "category=linear&symbol=BTCUSDT")["list"]
    assert {name: kept[name] for name in kept.keys() & row.keys()} == {
        name: row[name] for name in kept.keys() & row.keys()
    }
    assert {"lastPrice", "markPrice", "fundingRate", "openInterest", "bid1Price", "ask1Size"} <= kept.keys()
    for operation in ("unsubscribe", "subscribe"):
        answer, *again = listener.say({"op": operation, "args": ["tickers.BTCUSDT"]})
        assert answer["success"]
    assert [message["type"] for message in again] == ["snapshot"]


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_a_book_kept_from_differences_is_that_of_rest(venue: Venue, category: str) -> None:
    """Update by update without a hole, to the last level, thirty pulses later."""
    listener, (first,) = public(venue, category, "orderbook.50.BTCUSDT")
    assert first["type"] == "snapshot"
    sides = {side: dict(first["data"][side]) for side in "ba"}
    number = first["data"]["u"]
    for _ in range(30):
        for message in listener.step(700):
            assert (message["type"], message["data"]["u"]) == ("delta", number + 1)
            number = message["data"]["u"]
            for side, kept in sides.items():
                for price, amount in message["data"][side]:
                    kept[price] = amount
                    if amount == "0":
                        del kept[price]
            assert {len(kept) for kept in sides.values()} == {50}
    book = ask(venue, "/v5/market/orderbook", f"category={category}&symbol=BTCUSDT&limit=50")
    assert {side: dict(book[side]) for side in "ba"} == sides
    assert message["data"]["seq"] == book["seq"]
    assert (message["cts"], message["ts"]) == (venue.clock.now(),) * 2


def test_a_book_of_one_level_is_always_whole(venue: Venue) -> None:
    """Its numbers rise by one as well."""
    listener, (first,) = public(venue, "linear", "orderbook.1.BTCUSDT")
    told = [first, *(one for _ in range(10) for one in listener.step(3_000))]
    assert {one["type"] for one in told} == {"snapshot"}
    assert {(len(one["data"]["b"]), len(one["data"]["a"])) for one in told} == {(1, 1)}
    assert [one["data"]["u"] for one in told] == list(range(first["data"]["u"], first["data"]["u"] + len(told)))


def test_all_who_listen_to_a_book_count_alike(venue: Venue) -> None:
    """One who comes later is told the number that the others are at."""
    feeds = BybitFeeds(venue, venue.keys)
    request = {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]}
    early, late = (connect(venue, "/v5/public/spot", feeds) for _ in range(2))
    early.say(request)
    before = [one["data"]["u"] for _ in range(5) for one in early.step(1_000)]
    _, snapshot = late.say(request)
    assert (snapshot["type"], snapshot["data"]["u"]) == ("snapshot", before[-1])
    venue.clock.step(1_000)
    assert [one["data"]["u"] for one in early.beat()] == [one["data"]["u"] for one in late.beat()] == [before[-1] + 1]


def test_a_book_is_numbered_on_when_the_clock_is_set_back(venue: Venue) -> None:
    """The next difference is still the next."""
    listener, (first,) = public(venue, "linear", "orderbook.50.BTCUSDT")
    venue.clock.set(DEFAULT_NOW - _HOUR)
    (message,) = listener.beat()
    assert message["data"]["u"] == first["data"]["u"] + 1


@pytest.mark.parametrize(
    ("category", "topic", "words"),
    [
        ("spot", "tickers.NOSUCH", "Invalid symbol :[tickers.NOSUCH]"),
        ("spot", "nosuch.BTCUSDT", "error:handler not found,topic:nosuch.BTCUSDT"),
        ("linear", "tickers.NOSUCH", "error:handler not found,topic:tickers.NOSUCH"),
        ("linear", "tickers.SOLUSDT", "error:handler not found,topic:tickers.SOLUSDT"),
        ("linear", "orderbook.30.BTCUSDT", "error:handler not found,topic:orderbook.30.BTCUSDT"),
        ("linear", "orderbook.50.btcusdt", "error:handler not found,topic:orderbook.50.btcusdt"),
        ("linear", "kline.7.BTCUSDT", "error:handler not found,topic:kline.7.BTCUSDT"),
        ("linear", "publicTrade", "error:handler not found,topic:publicTrade"),
        ("linear", "order", "error:handler not found,topic:order"),
        ("inverse", "tickers.BTCUSD", "error:handler not found,topic:tickers.BTCUSD"),
        ("option", "publicTrade.BTC", "error:handler not found,topic:publicTrade.BTC"),
    ],
)
def test_unknown_topics_are_refused_with_all_beside_them(venue: Venue, category: str, topic: str, words: str) -> None:
    """In the venue's words, which are others on spot; the connection goes on."""
    listener = connect(venue, f"/v5/public/{category}")
    (answer,) = listener.say({"op": "subscribe", "args": ["publicTrade.BTCUSDT", topic], "req_id": "x"})
    if category in ("inverse", "option"):
        words = "error:handler not found,topic:publicTrade.BTCUSDT"
    assert (answer["success"], answer["ret_msg"], answer["req_id"], answer["op"]) == (False, words, "x", "subscribe")
    assert not listener.session.topics


def test_a_topic_is_subscribed_to_once(venue: Venue) -> None:
    """The second time is refused, the first goes on; after it was left it may be taken up again."""
    listener, _ = public(venue, "linear", "publicTrade.BTCUSDT")
    for topics in (["publicTrade.BTCUSDT"], ["publicTrade.ETHUSDT", "publicTrade.BTCUSDT"]):
        (answer,) = listener.say({"op": "subscribe", "args": topics})
        assert answer["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
    assert {row["s"] for one in listener.step(10_000) for row in one["data"]} == {"BTCUSDT"}
    (left,) = listener.say({"op": "unsubscribe", "args": ["publicTrade.BTCUSDT", "orderbook.500.BTCUSDT"], "req_id": 3})
    assert (left["success"], left["req_id"], left["op"]) == (True, "3", "unsubscribe")
    assert listener.step(10_000) == []
    assert listener.say({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})[0]["success"]


def test_two_topics_on_one_source_are_left_one_by_one(venue: Venue) -> None:
    """Orders and executions come of the same events."""
    listener = private(venue, "order", "execution")
    assert len(listener.session.topics) == 1
    listener.say({"op": "unsubscribe", "args": ["order"]})
    place(venue, type="market")
    assert {one["topic"] for one in listener.beat()} == {"execution"}


def test_spot_takes_ten_topics_in_a_request(venue: Venue) -> None:
    """Linear takes as many as are sent."""
    intervals = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D")
    topics = [f"kline.{interval}.BTCUSDT" for interval in intervals]
    refused = connect(venue, "/v5/public/spot").say({"op": "subscribe", "args": topics})[0]
    assert (refused["success"], refused["ret_msg"]) == (False, "args size >10")
    assert connect(venue, "/v5/public/spot").say({"op": "subscribe", "args": topics[:10]})[0]["success"]
    assert connect(venue, "/v5/public/linear").say({"op": "subscribe", "args": topics})[0]["success"]


def test_pings_are_answered_in_json(venue: Venue) -> None:
    """One way on public connections, another on private ones; neither needs a login."""
    (pong,) = connect(venue, "/v5/public/spot").say({"op": "ping", "req_id": 5})
    assert (pong["success"], pong["ret_msg"], pong["op"], pong["req_id"]) == (True, "pong", "ping", "5")
    (pong,) = connect(venue, "/v5/private").say({"op": "ping", "req_id": "x"})
    assert (pong["op"], pong["args"], pong["req_id"]) == ("pong", [str(DEFAULT_NOW)], "x")
    listener = connect(venue, "/v5/public/spot")
    assert listener.greeting == listener.tick() == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("hello", "Failed to decode incoming data:readObjectStart: expect { or n, but found h"),
        ("", "Failed to decode incoming data:readObjectStart: expect { or n, but found"),
        ("[1]", "Failed to decode incoming data:readObjectStart: expect { or n, but found ["),
        ({"op": "nosuch"}, "error:invalid op"),
        ({"op": "auth", "args": []}, "error:invalid op"),
        ({"op": ["subscribe"]}, "error:invalid op"),
        ({"op": "subscribe"}, "error:request args is empty"),
        ({"op": "subscribe", "args": "tickers.BTCUSDT"}, "error:request args is empty"),
        ({"op": "subscribe", "args": [[1]]}, "error:handler not found,topic:[1]"),
    ],
)
def test_bad_requests_are_answered_in_the_venues_words(venue: Venue, said: Any, words: str) -> None:
    """And the connection goes on."""
    listener = connect(venue, "/v5/public/linear")
    (answer,) = listener.say(said)
    assert answer["success"] is False
    assert answer["ret_msg"].startswith(words)
    assert listener.say({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})[0]["success"]


@settings(max_examples=60)
@given(
    said=st.one_of(
        st.text(max_size=80),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.dictionaries(st.sampled_from(["op", "args", "req_id", "x"]), inner, max_size=4),
            ),
            max_leaves=12,
        ).map(json.dumps),
    ),
    path=st.sampled_from(["/v5/public/spot", "/v5/private"]),
)
def test_whatever_a_client_says_is_answered(said: str, path: str) -> None:
    """With one frame of JSON; nothing is raised."""
    (answer,) = connect(make_venue(), path).say(said)
    assert isinstance(answer, dict)


@pytest.mark.parametrize("path", ["/", "/v5", "/v5/public", "/v5/public/nosuch", "/v5/trade", "/spot/private/v3"])
def test_other_paths_are_refused(venue: Venue, path: str) -> None:
    """There is nothing there."""
    reply = BybitFeeds(venue, venue.keys).connect(Call("GET", path))
    assert isinstance(reply, Reply)
    assert reply.status == 404


def place(venue: Venue, **changed: Any) -> Any:
    """Place an order of the account at the venue's moment."""
    request = {"market": "BTCUSDT", "side": "buy", "type": "limit", "amount": Decimal("0.01"), "client_id": "mine"}
    return venue.ledger.place(RICH.key, OrderRequest(**{**request, **changed}), venue.clock.now())


def near(venue: Venue, market: str, factor: float) -> Decimal:
    """Return a price some way off the last one, in whole steps."""
    price = float(venue.market.last(market, venue.clock.now()).price[0]) * factor
    return Decimal(f"{price:.{venue.market.instruments[market].price_decimals}f}")


def signed(venue: Venue, path: str, query: str) -> Any:
    """Return what REST tells the account."""
    stamp = str(venue.clock.now())
    payload = f"{stamp}{RICH.key}5000{query}"
    headers = {
        "x-bapi-api-key": RICH.key,
        "x-bapi-timestamp": stamp,
        "x-bapi-recv-window": "5000",
        "x-bapi-sign": hmac.new(RICH.secret.encode(), payload.encode(), hashlib.sha256).hexdigest(),
    }
    reply = json.loads(BybitDialect(venue).respond(Call("GET", path, query, headers=headers)).body)
    assert reply["retCode"] == 0, reply
    return reply["result"]


@pytest.mark.parametrize(("category", "market"), [("spot", "BTCUSDT"), ("linear", "BTCUSDT-PERP")])
def test_an_order_and_its_executions_are_those_of_rest(venue: Venue, category: str, market: str) -> None:
    """New, then each fill beside the state that it left; the last state and all fills are what REST tells."""
    listener = private(venue, "order", "execution", "wallet")
    placed = place(venue, market=market, type="market", amount=Decimal(20))
    told = listener.beat()
    orders, fills = (
        [row for one in told if one["topic"] == name for row in one["data"]] for name in ("order", "execution")
    )
    kinds = [one["topic"] for one in told]
    assert kinds == ["order", *["order", "execution"] * len(placed.fills), "wallet"]
    assert orders[0]["orderStatus"] == "New"
    assert [one["orderStatus"] for one in orders[1:]] == ["PartiallyFilled"] * (len(fills) - 1) + ["Filled"]
    assert [Decimal(one["cumExecQty"]) for one in orders] == [
        sum((Decimal(fill["execQty"]) for fill in fills[:number]), Decimal(0)) for number in range(len(orders))
    ]
    assert {one["category"] for one in (*orders, *fills)} == {category}
    assert len(fills) == len(placed.fills) > 1
    query = f"category={category}&symbol=BTCUSDT&orderLinkId=mine"
    (known,) = signed(venue, "/v5/order/history", query)["list"]
    assert orders[-1] == {"category": category, **known}
    rows = signed(venue, "/v5/execution/list", query)["list"][::-1]
    assert [{name: fill[name] for name in row} for fill, row in zip(fills, rows, strict=True)] == rows
    assert {"isLeverage", "execPnl"} == fills[0].keys() - rows[0].keys() - {"category"}


def test_500_connections_of_an_address_pass_in_five_minutes() -> None:
    """Public and private ones count together; what is no path does not."""
    market = GeneratedMarket(generated_instruments(1))
    venue = Venue(market, VirtualClock(DEFAULT_NOW), Ledger(market, [RICH]), Gate(Limits.of("bybit")))
    venue.gate.clock = lambda: 1e9
    feeds = BybitFeeds(venue, venue.keys)
    for number in range(500):
        path = ("/v5/public/spot", "/v5/private")[number % 2]
        assert not isinstance(feeds.connect(Call("GET", path)), Reply)
    for path, status in (("/v5/private", 403), ("/v5/public/linear", 403), ("/v5/elsewhere", 404)):
        refused = feeds.connect(Call("GET", path))
        assert isinstance(refused, Reply)
        assert (refused.status, refused.limited) == (status, status == 403)


def test_the_wallet_tells_the_coins_that_changed(venue: Venue) -> None:
    """As REST tells them at the same moment; what is locked and set free as well."""
    listener = private(venue, "wallet")
    order = place(venue, price=near(venue, "BTCUSDT", 0.9))
    (message,) = listener.beat()
    (account,) = message["data"]
    assert (message["topic"], account["accountType"]) == ("wallet", "UNIFIED")
    (known,) = signed(venue, "/v5/account/wallet-balance", "accountType=UNIFIED&coin=USDT")["list"]
    assert account["coin"] == known["coin"]
    assert Decimal(account["coin"][0]["locked"]) == order.locked
    venue.ledger.cancel(RICH.key, order, venue.clock.now())
    (message,) = listener.beat()
    assert Decimal(message["data"][0]["coin"][0]["locked"]) == 0


def test_the_wallet_is_told_as_it_was_when_it_changed(venue: Venue) -> None:
    """What has happened since is told by the message after it, however fast the clock runs."""
    listener = private(venue, "wallet")
    (topic,) = listener.session.topics
    held = {"USDT": Holding(Decimal(30), Decimal("0.5"))}
    (frame,) = listener.session.render(BalanceEvent(topic, venue.clock.now(), held, held))
    assert isinstance(frame, str)
    (coin,) = json.loads(frame)["data"][0]["coin"]
    assert (coin["coin"], coin["walletBalance"], coin["locked"]) == ("USDT", "30.5", "0.5")


def test_orders_of_one_category_can_be_had_alone(venue: Venue) -> None:
    """And executions in short; a cancellation is no execution."""
    listener = private(venue, "order.linear", "execution.fast.spot")
    place(venue, market="BTCUSDT-PERP", type="market", client_id=None)
    order = place(venue, type="limit", price=near(venue, "BTCUSDT", 1.01), client_id=None)
    told = listener.beat()
    assert {(one["topic"], one["data"][0]["category"]) for one in told} == {
        ("order.linear", "linear"), ("execution.fast.spot", "spot"),
    }  # fmt: skip
    (fast,) = [one for one in told if one["topic"] == "execution.fast.spot"]
    assert "id" not in fast
    assert fast["data"][0]["execId"] == str(order.fills[0].id)
    assert "execFee" not in fast["data"][0]


def test_a_stop_is_told_when_it_is_triggered(venue: Venue) -> None:
    """It waits as untriggered, and then runs its course."""
    listener = private(venue, "order")
    stop = {"market": "BTCUSDT-PERP", "side": "sell", "type": "market", "rises": False}
    place(venue, **stop, trigger=near(venue, "BTCUSDT-PERP", 0.999))
    assert [one["data"][0]["orderStatus"] for one in listener.beat()] == ["Untriggered"]
    told: list[Any] = []
    for _ in range(1_000):
        told = told or listener.step(_HOUR)
    assert [one["data"][0]["orderStatus"] for one in told][-1] == "Filled"
    order = place(venue, **stop, trigger=near(venue, "BTCUSDT-PERP", 0.5), client_id=None)
    listener.beat()
    venue.ledger.cancel(RICH.key, order, venue.clock.now())
    assert [one["data"][0]["orderStatus"] for one in listener.beat()] == ["Deactivated"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"secret": "wrong"}, "error sign!"),
        ({"key": "nobody"}, "API key is invalid."),
        ({"expires": "soon"}, "Params Error"),
        ({"expires": str(DEFAULT_NOW - 60_000)}, "Params Error"),
    ],
)
def test_a_login_that_does_not_fit_is_refused(changed: dict[str, Any], words: str) -> None:
    """And nothing private can be subscribed to; the right one lets in after it, once."""
    venue = make_venue(strict=True)
    listener = connect(venue, "/v5/private")
    (answer,) = listener.say(auth(venue, **changed))
    assert (answer["success"], answer["op"]) == (False, "auth")
    assert answer["ret_msg"].startswith(words)
    (refused,) = listener.say({"op": "subscribe", "args": ["order"]})
    assert (refused["success"], refused["ret_msg"]) == (False, "Request not authorized")
    assert listener.say(auth(venue))[0]["success"]
    assert listener.say(auth(venue))[0]["ret_msg"] == "error:already authenticated"
    assert listener.say({"op": "subscribe", "args": ["order"]})[0]["success"]
    assert listener.say({"op": "auth", "args": ["x"]})[0]["ret_msg"] == "Params Error"


def test_private_connections_know_no_public_topics(venue: Venue) -> None:
    """Nor operations that there are not."""
    listener = private(venue, "order")
    (answer,) = listener.say({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
    assert answer["ret_msg"] == "error:handler not found,topic:publicTrade.BTCUSDT"
    assert listener.say({"op": "nosuch"})[0]["ret_msg"] == "error:invalid op"
