"""What the feeds of the simulated venue are made of: books, faults, tokens, frames and recordings."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import pathlib
import socket
import struct
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import DataError, UnknownName, UsageError
from tradeutils.model import Candles
from tradeutils.sim import (
    DEFAULT_ACCOUNT,
    DEFAULT_NOW,
    FeedFault,
    FeedFaults,
    FeedLog,
    GeneratedMarket,
    RecordedFeeds,
    ReplayMarket,
    VirtualClock,
)
from tradeutils.sim import arming as _arming
from tradeutils.sim.catalogue import generated_instruments, generated_swaps
from tradeutils.sim.depth import levels
from tradeutils.sim.dialect import Venue
from tradeutils.sim.feeds import connection
from tradeutils.sim.feeds.dialect import Close, Ping
from tradeutils.sim.feeds.events import BalanceEvent, BookEvent, KlineEvent, Topic, TradesEvent
from tradeutils.sim.feeds.keys import HOUR_MS, ListenKeys
from tradeutils.sim.feeds.recording import channel_of, read_recording
from tradeutils.sim.feeds.snapshots import Snapshots
from tradeutils.sim.feeds.sources import changes, source_of
from tradeutils.sim.feeds.wire import cut, encoded
from tradeutils.sim.ledger import Ledger
from tradeutils.sim.orders import OrderRequest

_MARKET = GeneratedMarket([*generated_instruments(4), *generated_swaps(2)])
_BOOK = Topic("book", "BTCUSDT")


@pytest.fixture
def venue() -> Venue:
    """A venue of its own for each test."""
    return Venue(_MARKET, VirtualClock(DEFAULT_NOW), Ledger(_MARKET, [DEFAULT_ACCOUNT], own_swap=True))


# Books


@given(
    price=st.integers(1, 10**9),
    spread=st.integers(1, 1_000),
    key=st.integers(0, 2**64 - 1),
    now=st.integers(0, 2**45),
    depth=st.integers(1, 300),
)
def test_levels_are_in_order_and_begin_alike_at_any_depth(
    price: int, spread: int, key: int, now: int, depth: int
) -> None:
    """Bids fall from the best and asks rise from it, amounts are not negative, and less depth is a part of more."""
    deep, few = (levels((price, price + spread), key, now, 2.0, count) for count in (300, depth))
    for side, (best, sign) in enumerate(((price, -1), (price + spread, 1))):
        ticks, amounts = deep[side]
        assert ticks[0] == best
        assert np.all(np.diff(ticks) * sign > 0)
        assert ticks.min() > 0
        assert np.all((amounts >= 0) & np.isfinite(amounts))
        assert np.array_equal(few[side][0], ticks[:depth])
        assert np.array_equal(few[side][1], amounts[:depth])


def test_of_a_book_little_changes_at_a_time() -> None:
    """Within 100 ms some of 1000 levels change, within a day nearly all do; the prices of most stay for seconds."""
    best, key = (6_712_802, 6_712_857), 7
    before, soon, later = (
        dict(zip(*(part.tolist() for part in levels(best, key, DEFAULT_NOW + wait, 1.0, 1_000)[0]), strict=True))
        for wait in (0, 100, 86_400_000)
    )
    assert 5 < len(before.items() ^ soon.items()) < 200
    assert len(before.items() & later.items()) < 100
    moved = levels((best[0] - 400, best[1] - 400), key, DEFAULT_NOW, 1.0, 1_000)[0]
    known = dict(zip(*(part.tolist() for part in moved), strict=True))
    assert len(known.items() & before.items()) > 950


@given(
    old=st.dictionaries(st.integers(1, 40), st.integers(1, 3), max_size=20),
    new=st.dictionaries(st.integers(1, 40), st.integers(1, 3), max_size=20),
)
def test_changes_make_one_side_of_the_other(old: dict[int, int], new: dict[int, int]) -> None:
    """Whoever takes them over has the new levels and no other, and they hold nothing that was so before."""
    before, after = (
        np.array([[price, side[price]] for price in sorted(side)], dtype=float).reshape(-1, 2) for side in (old, new)
    )
    found = changes(before, after).tolist()
    assert [price for price, _ in found] == sorted(price for price, _ in found)
    assert all(old.get(int(price), 0) != amount for price, amount in found)
    kept = {float(price): float(amount) for price, amount in old.items()} | dict(found)
    assert {price: amount for price, amount in kept.items() if amount} == new


def test_a_book_that_nobody_follows_is_that_of_the_moment(venue: Venue) -> None:
    """Its number is the moment; while it is followed it stands still between pulses, to the depth of feeds."""
    books = venue.books
    book = books.read("BTCUSDT", DEFAULT_NOW, 2_000)
    assert (book.sequence, book.now, len(book.bids), len(book.asks)) == (DEFAULT_NOW, DEFAULT_NOW, 2_000, 2_000)
    books.follow("BTCUSDT", DEFAULT_NOW, 5)
    kept = books.read("BTCUSDT", DEFAULT_NOW + 5_000, 2_000)
    assert (kept.sequence, kept.now, len(kept.bids)) == (DEFAULT_NOW, DEFAULT_NOW, 1_000)
    assert np.array_equal(kept.bids, book.bids[:1_000])
    books.advance("BTCUSDT", DEFAULT_NOW + 5_000)
    assert books.read("BTCUSDT", 0, 1).sequence == DEFAULT_NOW + 5_000
    books.advance("BTCUSDT", DEFAULT_NOW)
    assert books.read("BTCUSDT", 0, 1).sequence == DEFAULT_NOW + 5_001
    books.release("BTCUSDT")
    assert books.read("BTCUSDT", DEFAULT_NOW, 1).sequence == DEFAULT_NOW


# Sources


def test_a_source_of_a_market_without_trades_is_silent(venue: Venue) -> None:
    """Before its first trade there is no ticker, no candle, no trade and an empty book; then there are all."""
    start = 1_640_995_200_000  # the first candle of every generated market
    topics = [Topic("ticker", "BTCUSDT"), Topic("klines", "BTCUSDT", "1m"), Topic("trades", "BTCUSDT"), _BOOK]
    sources = [source_of(venue, topic, start - 1_000) for topic in topics]
    assert [source.told for source in sources[:3]] == [None, None, None]
    whole = sources[3].told
    assert isinstance(whole, BookEvent)
    assert (len(whole.bids), len(whole.asks)) == (0, 0)
    assert all(source.news(start - 500) == [] for source in sources)
    for source in sources:
        assert len(source.news(start + 61_000)) >= 1
    candle = sources[1].told
    assert isinstance(candle, KlineEvent)
    assert (candle.closed, candle.first_id) == (False, 21)


def test_a_candle_in_which_nothing_is_traded_yet_begins_with_the_last_one() -> None:
    """One who follows candles at such a moment is told the one before, as closed, and its end is told once."""
    prices = np.full(2, 10.0)
    times = np.array([DEFAULT_NOW - 30_000, DEFAULT_NOW + 90_000])
    columns: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close", "volume"), prices)
    market = ReplayMarket({"BTC/USDT": Candles(timeframe="1m", time=times, **columns)})
    venue = Venue(market, VirtualClock(DEFAULT_NOW), Ledger(market, []))
    source = source_of(venue, Topic("klines", "BTCUSDT", "1m"), DEFAULT_NOW + 40_000)
    told = source.told
    assert isinstance(told, KlineEvent)
    assert (told.closed, told.klines.candles.time[0], told.first_id, told.last_id) == (True, times[0], 1, 20)
    assert source.news(DEFAULT_NOW + 50_000) == []
    [forming] = source.news(DEFAULT_NOW + 90_000)
    [closed] = source.news(DEFAULT_NOW + 150_000)
    assert [one.closed for one in (forming, closed) if isinstance(one, KlineEvent)] == [False, True]


def test_trades_set_back_are_told_again(venue: Venue) -> None:
    """Where the clock falls, nothing is told; where it rises again, the trades after it are."""
    source = source_of(venue, Topic("trades", "BTCUSDT"), DEFAULT_NOW)
    assert source.news(DEFAULT_NOW - 60_000) == []
    [event] = source.news(DEFAULT_NOW)
    assert isinstance(event, TradesEvent)
    assert len(event.trades) == 20


def test_candles_set_back_begin_where_the_clock_is(venue: Venue) -> None:
    """The candle that contains the earlier moment is told as forming, and closes once more."""
    source = source_of(venue, Topic("klines", "BTCUSDT", "1m"), DEFAULT_NOW)
    [back] = source.news(DEFAULT_NOW - 120_000)
    [closed, _, _] = source.news(DEFAULT_NOW - 5_000)
    assert isinstance(back, KlineEvent)
    assert isinstance(closed, KlineEvent)
    assert (back.closed, closed.closed) == (False, True)
    assert back.klines.candles.time[0] == closed.klines.candles.time[0]


def test_many_candles_come_in_parts(venue: Venue) -> None:
    """A clock moved by days brings every candle, some with each pulse, and the forming one at the end."""
    source = source_of(venue, Topic("klines", "BTCUSDT", "1m"), DEFAULT_NOW)
    now, times = DEFAULT_NOW + 1_000 * 60_000, []
    while events := source.news(now):
        assert len(events) <= 500
        times += [int(event.klines.candles.time[0]) for event in events if isinstance(event, KlineEvent)]
    assert times == list(range(DEFAULT_NOW - 30_000, now, 60_000))


def test_balances_of_swaps_are_those_of_their_wallet(venue: Venue) -> None:
    """What is moved to the wallet of swaps is told as linear, and what is left as spot."""
    key = DEFAULT_ACCOUNT.key
    sources = [
        source_of(venue, Topic("balances", account=key, trades=kind), DEFAULT_NOW) for kind in ("spot", "linear")
    ]
    assert all(source.news(DEFAULT_NOW) == [] and source.told is None for source in sources)
    venue.ledger.transfer(key, "USDT", venue.ledger.holdings(key, DEFAULT_NOW)[0]["USDT"].free / 4, "spot", "swap", 1)
    [spot], [linear] = (source.news(DEFAULT_NOW) for source in sources)
    assert isinstance(spot, BalanceEvent)
    assert isinstance(linear, BalanceEvent)
    assert (str(spot.holdings["USDT"].free), str(linear.whole["USDT"].free)) == ("7500.00000000", "2500.00000000")
    assert len(spot.whole) > len(spot.holdings) == 1


def test_a_journal_keeps_what_happened_while_it_is_read(venue: Venue) -> None:
    """Changes are copies, in their order and told once; what happens while nobody reads is not kept."""
    ledger, key = venue.ledger, DEFAULT_ACCOUNT.key
    buy = OrderRequest(
        market="BTCUSDT", side="buy", type="market", amount=_MARKET.instruments["BTCUSDT"].min_amount * 100
    )
    ledger.place(key, buy, DEFAULT_NOW)
    assert ledger.changes(key, DEFAULT_NOW) == []
    ledger.follow(key, DEFAULT_NOW)
    placed = ledger.place(key, buy, DEFAULT_NOW)
    told = ledger.changes(key, DEFAULT_NOW)
    assert [(one.reason, one.order.status) for one in told] == [("new", "new"), ("trade", "filled")]
    assert told[0].order.fills == []
    assert told[1].fill == placed.fills[0]
    assert ledger.changes(key, DEFAULT_NOW) == []
    ledger.follow(key, DEFAULT_NOW, on=False)
    ledger.place(key, buy, DEFAULT_NOW)
    assert ledger.changes(key, DEFAULT_NOW) == []


def test_orders_that_may_not_rest_are_told_to_expire(venue: Venue) -> None:
    """What is left of one that is filled at once or not at all expires, after its fills."""
    ledger, key = venue.ledger, DEFAULT_ACCOUNT.key
    ledger.follow(key, DEFAULT_NOW)
    ask = venue.books.read("BTCUSDT", DEFAULT_NOW, 1).asks[0]
    rules = _MARKET.instruments["BTCUSDT"]
    request = OrderRequest(
        market="BTCUSDT",
        side="buy",
        type="limit",
        amount=rules.amount_step * round(0.01 / float(rules.amount_step)),
        price=rules.price_step * round(float(ask[0]) * 0.9 / float(rules.price_step)),
        time_in_force="IOC",
    )
    ledger.place(key, request, DEFAULT_NOW)
    assert [one.reason for one in ledger.changes(key, DEFAULT_NOW)] == ["new", "expired"]


def test_a_clock_tells_who_listens_that_it_was_moved() -> None:
    """Set, stepped, run and frozen, each once; not any more once they have gone."""
    clock, heard, others = VirtualClock(DEFAULT_NOW), list[int](), list[int]()
    end = clock.listen(lambda: heard.append(clock.now()))
    clock.listen(lambda: others.append(0))
    clock.set(DEFAULT_NOW + 5)
    clock.step(10)
    clock.freeze()
    end()
    end()
    clock.step(1)
    assert (heard, len(others)) == ([DEFAULT_NOW + 5, DEFAULT_NOW + 15, DEFAULT_NOW + 15], 4)


# Faults


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "lost"},
        {"kind": "drop", "channel": 5},
        {"kind": "drop", "market": ""},
        {"kind": "drop", "channel": "x" * 257},
        {"kind": "drop", "probability": 1.5},
        {"kind": "drop", "seconds": -1},
        {"kind": "drop", "jitter": float("nan")},
        {"kind": "drop", "every": "often"},
        {"kind": "drop", "count": 0},
        {"kind": "drop", "seed": None},
        {"kind": "refuse", "status": 200},
        {"kind": "refuse", "status": True},
        {"kind": "slow"},
        {"kind": "drop", "often": 1},
        {"count": 1},
        "drop",
    ],
    ids=str,
)
def test_parameters_that_make_no_feed_fault_are_refused(given: Any) -> None:
    """Each with a message that says what to write."""
    with pytest.raises(UsageError):
        FeedFaults().made(given)


def test_delays_add_up_and_of_others_the_oldest_strikes() -> None:
    """Of what is in force at once; a refusal strikes handshakes alone, and patterns choose the messages."""
    faults = FeedFaults()
    assert not faults
    assert faults.strike("trades", "BTCUSDT").kind == ""
    faults.add("slow", seconds=1.0)
    faults.add(FeedFault(kind="lose", channel="tra*", market="*USDT", count=1))
    faults.add("duplicate", channel="trades")
    faults.add("slow", seconds=0.5)
    faults.add("refuse", count=1, status=429)
    first, second, third = (
        faults.strike(*told) for told in (("trades", "BTCUSDT"), ("trades", "ETHUSDT"), ("book", "BTCUSDT"))
    )
    assert (first.kind, first.delay, first.number) == ("lose", 1.5, 2)
    assert (second.kind, second.delay) == ("duplicate", 1.5)
    assert (third.kind, third.delay) == ("", 1.5)
    assert (faults.refusal(), faults.refusal()) == (429, None)
    assert [one["struck"] for one in faults.describe()] == [3, 1, 1, 3, 1]
    faults.remove(2)
    assert not faults.has(2)
    with pytest.raises(UnknownName):
        faults.remove(2)
    faults.clear()
    assert not faults


def test_chance_is_the_same_with_one_seed() -> None:
    """Of many messages about as many are struck as was asked for, and always the same ones."""
    runs = []
    for _ in range(2):
        faults = FeedFaults()
        faults.add("lose", probability=0.3, seed=5)
        runs.append([faults.strike("book", "").kind for _ in range(500)])
    assert runs[0] == runs[1]
    assert 100 < runs[0].count("lose") < 200


def test_jitter_stays_within_its_bounds() -> None:
    """How long a fault lasts is drawn anew each time and is never less than nothing."""
    faults = FeedFaults()
    faults.add("silent", seconds=1.0, jitter=2.0)
    lasted = [faults.strike("book", "").seconds for _ in range(200)]
    assert 0.0 <= min(lasted) < 0.2
    assert 2.5 < max(lasted) <= 3.0


def test_no_more_faults_than_a_venue_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is put in force as a whole, or not at all."""
    monkeypatch.setattr(_arming, "_MAX_FAULTS", 2)
    faults = FeedFaults()
    with pytest.raises(UsageError, match="of at most 2"):
        faults.add_all([FeedFault(kind="drop")] * 3)
    assert faults.add_all([FeedFault(kind="drop")] * 2) == [1, 2]


# Tokens


def test_a_token_is_its_accounts_until_it_ends() -> None:
    """Issued, found, extended, and ended by its lifetime or by its owner."""
    keys = ListenKeys()
    token = keys.issue("alice", 0)
    assert keys.issue("alice", 10) == token
    assert keys.issue("bob", 10) != token
    assert keys.issue("alice", 10, kind="other") != token
    assert keys.account(token, HOUR_MS + 9) == "alice"
    assert keys.account(token, 20, kind="other") is None
    assert keys.account(token, HOUR_MS + 10) is None
    assert not keys.extend(token, HOUR_MS + 10)
    assert not keys.extend("unknown", 0)
    assert keys.extend(token, HOUR_MS)
    assert keys.find("alice", 2 * HOUR_MS - 1) == token
    assert keys.find("alice", 2 * HOUR_MS) is None
    assert keys.revoke(token)
    assert not keys.revoke(token)
    assert keys.account(token, 0) is None


def test_a_fresh_token_leaves_the_others_valid() -> None:
    """Each is one of its own, the newest is found first, and of very many the oldest end."""
    keys = ListenKeys()
    first, second = (keys.issue("alice", 0, fresh=True, lifetime=5) for _ in range(2))
    assert first != second
    assert keys.find("alice", 4) == second
    assert keys.account(first, 4) == "alice"
    tokens = [keys.issue("bob", 0, fresh=True) for _ in range(1_000)]
    assert keys.account(first, 4) is None
    assert keys.account(tokens[0], 4) == "bob"


# The wire


@given(text=st.text(max_size=300), repeat=st.sampled_from([1, 200, 70_000]))
def test_frames_are_as_long_as_they_say(text: str, repeat: int) -> None:
    """One piece, no mask, and the payload after the shortest head that holds its length."""
    made = encoded(text * repeat)
    payload = (text * repeat).encode(errors="replace")
    assert made[0] == 0x81
    if len(payload) < 126:
        assert made[1:] == bytes([len(payload)]) + payload
    elif len(payload) < 65_536:
        assert made[1:] == struct.pack("!BH", 126, len(payload)) + payload
    else:
        assert made[1:] == struct.pack("!BQ", 127, len(payload)) + payload


def test_control_frames_are_never_too_long() -> None:
    """Pings and reasons are cut to what the protocol allows, between letters."""
    assert encoded(Ping(b"x" * 300)) == bytes([0x89, 125]) + b"x" * 125
    made = encoded(Close(1008, "é" * 100))
    assert (made[0], made[1], made[2:4]) == (0x88, 124, struct.pack("!H", 1008))
    assert made[4:].decode() == "é" * 61
    assert encoded(b"\0\xff") == b"\x82\x02\0\xff"
    assert encoded("\ud800") == b"\x81\x01?"
    assert (cut('{"a":1}'), cut(b"x"), cut("")) == ('{"a', b"x", "")


# Statistics


def test_the_log_names_topics_and_tells_no_key() -> None:
    """Counts by readable names, those of several accounts together; forgotten on demand, connections not."""
    log = FeedLog()
    log.enter()
    log.sent(Topic("klines", "BTCUSDT", "1m"), 2)
    log.sent(Topic("book", "BTCUSDT", depth=5))
    for account in ("alice", "bob"):
        log.sent(Topic("balances", account=account, trades="spot"))
    log.sent("btc@trade")
    log.struck("lose")
    log.follow({_BOOK: 3})
    told = log.summary()
    assert told["frames"] == {"klines BTCUSDT 1m": 2, "book BTCUSDT 5": 1, "balances spot": 2, "btc@trade": 1}
    assert (told["sent"], told["topics"], told["faults"]) == (6, {"book BTCUSDT": 3}, {"lose": 1})
    log.clear()
    assert (log.frames, log.connections, log.opened) == ({}, 1, 0)
    log.leave()
    assert log.connections == 0


# Recordings


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ('{"stream":"btcusdt@trade","data":{}}', "btcusdt@trade"),
        ('{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[]}', "books:BTC-USDT"),
        ('{"event":"subscribe","arg":{"channel":"books"}}', ""),
        ('{"topic":"publicTrade.BTCUSDT"}', "publicTrade.BTCUSDT"),
        ('{"channel":"book","data":[]}', "book"),
        ('{"method":"subscription","params":{"channel":"book.X.raw"}}', "book.X.raw"),
        ('{"ch":"market.btcusdt.depth"}', "market.btcusdt.depth"),
        ('{"e":"trade","s":"BTCUSDT"}', "btcusdt@trade"),
        ('{"type":"match","product_id":"BTC-USD"}', "match BTC-USD"),
        ('[7,{},"trade","XBT/USD"]', "trade XBT/USD"),
        ("[1,2]", ""),
        ('{"lastUpdateId":1,"bids":[],"asks":[]}', "REST"),
        ("7", ""),
        ("no JSON", ""),
    ],
)
def test_messages_say_what_they_are_about(text: str, channel: str) -> None:
    """In the ways of many venues; what does not say is of no channel."""
    assert channel_of(text) == channel


def test_recordings_are_read_as_they_are_kept(tmp_path: pathlib.Path) -> None:
    """Nanoseconds or seconds before each message, gzipped or not, merged by time; what was sent is left out."""
    one, two = tmp_path / "one", tmp_path / "two.gz"
    one.write_text('wss://venue <-> 5.0\nwss://venue <- 5: {"op":1}\n1633998512.5: {"topic":"b"}\n\n')
    two.write_bytes(gzip.compress(b'1633998512000000000 {"topic":"a"}\n1633998513000000000 ["c"]\n'))
    frames = read_recording([one, two])
    assert [(frame.time, frame.channel) for frame in frames] == [
        (1633998512.0, "a"), (1633998512.5, "b"), (1633998513.0, ""),
    ]  # fmt: skip
    assert [frame.channel for frame in read_recording(str(one))] == ["b"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no message"),
        (b"wss://only\n", "no message"),
        (b"hello\n", "line 1"),
        (b"1633998512.5: {}\n12 {}\n", "line 2"),
        (b"\xff\xfe", "no text"),
        (gzip.compress(b"x" * 1_000)[:20], "cut short"),
    ],
    ids=["empty", "addresses alone", "prose", "a short stamp", "not text", "half a file"],
)
def test_what_is_no_recording_is_refused(tmp_path: pathlib.Path, content: bytes, problem: str) -> None:
    """With the line, and what it should look like."""
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        read_recording(path)


def test_a_recording_that_is_not_there_is_a_mistake_of_use(tmp_path: pathlib.Path) -> None:
    """So are a speed and a moment that cannot be."""
    with pytest.raises(UsageError, match="cannot be read"):
        RecordedFeeds(tmp_path / "nothing")
    for wrong in ({"speed": -1}, {"settle": float("nan")}, {"speed": "fast"}, {"speed": True}):
        with pytest.raises(UsageError, match="give a number from 0"):
            RecordedFeeds([(0.0, "{}")], **wrong)


@pytest.mark.parametrize(
    "message",
    [5, ("soon", "{}"), (float("nan"), "{}"), (1.0, b"{}"), (1.0, "{}", 2)],
    ids=["a number", "no time", "no number", "bytes", "three parts"],
)
def test_a_message_at_hand_that_is_none_is_a_mistake_of_use(message: Any) -> None:
    """It is shown, and what to write instead."""
    with pytest.raises(UsageError, match=r"a recorded message was .*; write \(seconds"):
        RecordedFeeds([message])


@pytest.mark.parametrize(
    "data",
    ['{"x":1}', "5", '{"U":"1","u":2,"b":[],"a":[]}', '{"U":1,"u":2,"b":[["9.0"]],"a":[]}', '{"U":1,"u":2,"b":[]}'],
    ids=["something else", "a number", "a number as text", "half a level", "one side"],
)
def test_a_recorded_difference_that_is_none_is_refused(data: str) -> None:
    """When it is read, and not when somebody asks for the book; a whole book of the best levels is none, and served."""
    with pytest.raises(DataError, match="needs U, u, b and a"):
        RecordedFeeds([(1.0, f'{{"stream":"btcusdt@depth@100ms","data":{data}}}')])
    assert len(RecordedFeeds([(1.0, f'{{"stream":"btcusdt@depth20@100ms","data":{data}}}')]).frames) == 1


@pytest.mark.parametrize("book", ["{", "[]", '{"bids":[],"asks":[]}', '{"lastUpdateId":1,"bids":[[1,2]],"asks":[]}'])
def test_a_recorded_book_that_is_none_is_refused(book: str) -> None:
    """It is no answer of REST."""
    with pytest.raises(DataError, match="needs lastUpdateId"):
        RecordedFeeds([_difference("aaa", 1, 2, [])], depth={"AAA": book})


def _difference(symbol: str, first: int, last: int, bids: Any, **more: int) -> tuple[float, str]:
    data = {"U": first, "u": last, "b": bids, "a": [], **more}
    return float(last), json.dumps({"stream": f"{symbol}@depth@100ms", "data": data})


def test_recorded_books_begin_with_what_was_recorded(tmp_path: pathlib.Path) -> None:
    """A reply of REST by symbol or in a file; older differences are in it already, younger ones are added."""
    frames = read_recording([
        _difference("aaa", 1, 3, [["9.0", "1"]]),
        _difference("aaa", 4, 6, [["9.0", "2"], ["8.0", "0"]]),
        _difference("bbb", 7, 9, [["1.0", "1"]], pu=5),
    ])  # fmt: skip
    base: dict[str, Any] = {
        "lastUpdateId": 3,
        "bids": [["9.0", "5"], ["8.0", "1"], ["7.0", "1"]],
        "asks": [["10.0", "1"]],
    }
    path = tmp_path / "replies"
    path.write_text(
        f"https://api/v3/exchangeInfo -> 1: {{}}\nhttps://x/api/v3/depth?symbol=AAA -> 2.5: {json.dumps(base)}\n"
    )
    for depth in ({"aaa": json.dumps(base)}, path):
        books = Snapshots(frames, depth)
        begun, later, other = (
            json.loads(books.reply(*asked) or b"") for asked in (("AAA", 2, 0), ("AAA", 2, 2), ("BBB", 5, 2))
        )
        assert begun == {**base, "bids": base["bids"][:2]}
        assert (later["lastUpdateId"], later["bids"]) == (6, [["9.0", "2"], ["7.0", "1"]])
        assert other == {"lastUpdateId": 5, "bids": [], "asks": []}
        assert books.reply("CCC", 5, 3) is None
    path.write_text("nothing of the kind\n")
    with pytest.raises(DataError, match="held none"):
        Snapshots(frames, path)


def test_a_book_between_the_messages_is_where_the_differences_begin() -> None:
    """One that names no market is that of the only one there is; of several it is nobody's."""
    snapshot = (2.0, '{"lastUpdateId":3,"bids":[["9.0","5"]],"asks":[]}')
    messages = [_difference("aaa", 1, 3, [["9.0", "1"]]), snapshot, _difference("aaa", 4, 6, [["8.0", "1"]])]
    feeds = RecordedFeeds(messages)
    assert feeds.channels == {"aaa@depth@100ms": 2}
    frames = read_recording(messages)
    told = [frame for frame in frames if frame.channel != "REST"]
    alone = Snapshots(told, None, [frame for frame in frames if frame.channel == "REST"])
    assert json.loads(alone.reply("AAA", 5, 2) or b"")["bids"] == [["9.0", "5"], ["8.0", "1"]]
    both = [*told, *read_recording([_difference("bbb", 1, 2, [])])]
    assert json.loads(Snapshots(both, None, frames[1:2]).reply("AAA", 5, 0) or b"")["bids"] == []


def test_events_of_a_topic_are_rendered_once_for_all() -> None:
    """What a dialect makes of an event is kept with it, and with no other."""
    day = _MARKET.trades("BTCUSDT", DEFAULT_NOW, limit=1)
    one, two = (TradesEvent(Topic("trades", "BTCUSDT"), DEFAULT_NOW, day) for _ in range(2))
    one.rendered["text"] = "told"
    assert (dict(one.rendered), dict(two.rendered)) == ({"text": "told"}, {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.now = 5  # type: ignore[misc]


async def test_a_connection_that_closes_by_itself_is_not_cut_off_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads late gets all that was sent, and the cut a second later finds nothing to do."""
    monkeypatch.setattr(connection, "_CLOSING_S", 0.2)
    loop, faults = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, told: faults.append(told))
    opened: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            opened.set_result(cast("asyncio.Transport", transport))

    server = await loop.create_server(Accepting, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        transport = await opened
        made = connection.Connection(transport, cast("Any", None), FeedFaults(), FeedLog())
        transport.write(bytes(8 << 20))
        made.finish()
        assert transport.get_write_buffer_size()
        client.settimeout(5)
        assert await asyncio.to_thread(_read_all, client) == 8 << 20
        await asyncio.sleep(0.3)
    server.close()
    await server.wait_closed()
    assert faults == []


def _read_all(client: socket.socket) -> int:
    return sum(iter(lambda: len(client.recv(1 << 20)), 0))
