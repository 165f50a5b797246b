"""Lines: what comes in on one websocket, on real sockets and with ccxt's own class."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.wires import KEY, SECRET, Heard, Wires, trade, venue_of, wires
from tradeutils import errors
from tradeutils.exchange.streams import sockets
from tradeutils.exchange.streams.topics import Topic
from tradeutils.exchange.venues.venue import CcxtVenue

TRADES, TICKER = Topic("trades", "BTC/USDT"), Topic("ticker", "BTC/USDT")
BOOK, CANDLES = Topic("book", "BTC/USDT"), Topic("ohlcv", "BTC/USDT", "1m")
MINUTE = 1_700_000_040_000


@pytest.fixture
async def server() -> AsyncIterator[Wires]:
    """A venue that says what the test says."""
    async with wires() as made:
        yield made


@pytest.fixture
async def venue(server: Wires) -> AsyncIterator[CcxtVenue]:
    """Our side of it."""
    async with venue_of(server) as opened:
        yield opened


def _ticker(last: str) -> str:
    return json.dumps({"e": "24hrTicker", "E": 1, "s": "BTCUSDT", "c": last, "o": "1", "h": "1", "l": "1", "v": "1"})


def _candle(minute: int, close: str, symbol: str = "BTCUSDT") -> str:
    row = {"t": MINUTE + 60_000 * minute, "s": symbol, "i": "1m", "o": "1", "c": close, "h": "9", "l": "1", "v": "5"}
    return json.dumps({"e": "kline", "E": 1, "s": symbol, "k": {**row, "x": False}})


def _depth(first: int, last: int) -> str:
    return json.dumps(
        {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": [["99", str(last)]], "a": []}
    )


def _ids(heard: Heard, topic: Topic = TRADES) -> list[int]:
    return [int(one["id"]) for one in heard.of(topic)]


async def test_each_kind_of_topic_brings_what_ccxt_made_of_it(server: Wires, venue: CcxtVenue) -> None:
    """A ticker is a dict, trades and candles are lists of what is new, a book is ccxt's own; figures are floats."""
    heard = Heard()
    topics = [TICKER, TRADES, CANDLES, BOOK]
    frames = {"ticker": _ticker("7.5"), "trades": trade(1), "ohlcv": _candle(0, "2"), "book": _depth(99, 101)}
    for topic in topics:
        await venue.lines.place([topic], heard)
        if topic is BOOK:
            await heard.until(lambda: heard.of(BOOK))  # its snapshot
        await server.say(frames[topic.kind])
    await heard.until(lambda: len(heard.values) == 5)
    assert heard.of(TICKER)[0]["last"] == 7.5
    assert _ids(heard) == [1]
    assert heard.of(CANDLES) == [[MINUTE, 1.0, 9.0, 1.0, 2.0, 5.0]]
    book = heard.of(BOOK)[0]
    assert (book["bids"][0], book["asks"][0]) == ([99.0, 101.0], [101.0, 1.0])


async def test_many_symbols_are_one_message_and_one_websocket(server: Wires, venue: CcxtVenue) -> None:
    """Whoever places three topics at once sends one request; those placed later come on the same connection."""
    heard = Heard()
    await venue.lines.place([Topic("trades", f"{base}/USDT") for base in server.bases], heard)
    await venue.lines.place([CANDLES], heard)
    await venue.lines.place([Topic("ohlcv", "ETH/USDT", "1m")], heard)
    assert [sorted(one.partition("@")[0] for one in said["params"]) for said in server.asked] == [
        ["btcusdt", "ethusdt", "ltcusdt"],
        ["btcusdt"],
        ["ethusdt"],
    ]
    assert len(server.sockets) == 2  # trades and candles apart


async def test_every_trade_is_taken_once_however_many_come_at_once(server: Wires, venue: CcxtVenue) -> None:
    """3000 trades in one go are 3000 trades, though ccxt keeps the newest 1000."""
    heard = Heard()
    await venue.lines.place([TRADES], heard)
    await server.say(*(trade(number) for number in range(1, 3001)))
    await heard.until(lambda: len(heard.of(TRADES)) >= 3000, limit=10)
    assert _ids(heard) == list(range(1, 3001))


async def test_numbers_of_any_length_stay_exact(server: Wires, venue: CcxtVenue) -> None:
    """Ids of 2^64 and more, which a fast parser makes floats of; and NaN is no JSON there either."""
    heard = Heard()
    await venue.lines.place([TRADES], heard)
    numbers = [2**53 + 1, 2**64 - 1, 2**64, 10**26 + 1, 7]
    await server.say(*map(trade, numbers))
    await heard.until(lambda: len(heard.of(TRADES)) == len(numbers))
    assert _ids(heard) == numbers
    await server.say(trade(8).replace('"8"', "NaN") if '"8"' in trade(8) else trade(8).replace("8", "NaN"))
    await heard.until(lambda: heard.failures)


async def test_candles_of_many_markets_arrive_with_their_own(server: Wires, venue: CcxtVenue) -> None:
    """A row is handed to the topic of its market, and the message that brought it comes along."""
    heard = Heard()
    other = Topic("ohlcv", "ETH/USDT", "1m")
    await venue.lines.place([CANDLES, other], heard)
    await server.say(_candle(0, "2"), _candle(0, "3", "ETHUSDT"), _candle(0, "4"), _candle(1, "5"))
    await heard.until(lambda: len(heard.values) == 4)
    assert [row[4] for row in heard.of(other)] == [3.0]
    assert [frame["k"]["c"] for frame in heard.frames] == ["2", "3", "4", "5"]
    assert len(heard.of(CANDLES)) == 3


async def test_other_tasks_live_under_a_flood(server: Wires, venue: CcxtVenue) -> None:
    """While 20,000 messages wait to be read, a task that wants to run now and then does."""
    heard = Heard()
    await venue.lines.place([TRADES], heard)
    turns = 0

    async def work() -> None:
        nonlocal turns
        while len(heard.values) < 5000:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(work())
    await server.say(*(trade(number) for number in range(1, 5001)))
    async with asyncio.timeout(20):
        await task
    assert turns > 5000 / 64


# What is refused


async def test_a_market_that_is_not_listed_is_a_bad_symbol(venue: CcxtVenue) -> None:
    """Nothing is sent for it."""
    with pytest.raises(errors.BadSymbol, match="NOPE/USDT"):
        await venue.lines.place([Topic("trades", "NOPE/USDT")], Heard())


async def test_a_request_that_the_venue_refuses_is_an_error_to_who_asked(server: Wires, venue: CcxtVenue) -> None:
    """The venue's own words are in it, and the topic is not placed."""
    server.answer = lambda said: {"error": {"code": 2, "msg": "Invalid request"}, "id": said["id"]}
    with pytest.raises(errors.RequestRefused, match="Invalid request"):
        await venue.lines.place([TRADES], Heard())
    assert venue.lines.lines == ()  # nobody wants anything of it
    server.answer = None
    heard = Heard()
    await venue.lines.place([TRADES], heard)
    await server.say(trade(1))
    await heard.until(lambda: heard.values)


async def test_a_private_topic_needs_an_account(venue: CcxtVenue) -> None:
    """The message says what to write."""
    with pytest.raises(errors.UsageError, match="account=Account"):
        await venue.lines.place([Topic("orders")], Heard())


async def test_what_ccxt_lacks_is_not_supported_and_names_who_has_it(server: Wires, venue: CcxtVenue) -> None:
    """A class that does not stream something says so before anything is sent."""
    heard = Heard()
    await venue.lines.place([TRADES], heard)
    venue.lines.lines[0]._opened.ccxt.has["watchTrades"] = False
    with pytest.raises(errors.NotSupportedByVenue, match="watchTrades") as caught:
        await venue.lines.place([Topic("trades", "ETH/USDT")], heard)
    assert "kraken" in caught.value.alternatives


@pytest.mark.parametrize(
    ("status", "expected"),
    [(503, errors.VenueUnavailable), (429, errors.RateLimited), (404, errors.VenueUnavailable)],
)
async def test_a_refused_handshake_is_a_typed_error(
    server: Wires, venue: CcxtVenue, status: int, expected: type[errors.VenueError]
) -> None:
    """What was said of when to come back is waited for; where nothing was, the next try is made at once."""
    from aiohttp import web

    told = {"Retry-After": "1"} if status == 429 else {}
    server.refuse = lambda _: web.Response(status=status, headers=told)
    with pytest.raises(expected, match=str(status)):
        await venue.lines.place([TRADES], Heard())
    server.refuse = None
    began = asyncio.get_running_loop().time()
    await venue.lines.place([TRADES], Heard())
    assert (asyncio.get_running_loop().time() - began > 0.7) is bool(told)


async def test_a_redirected_websocket_is_not_followed(server: Wires, venue: CcxtVenue) -> None:
    """Its address holds keys; nobody is sent elsewhere with them."""
    from aiohttp import web

    server.refuse = lambda _: web.Response(status=302, headers={"Location": f"{server.url}/elsewhere"})
    with pytest.raises(errors.VenueUnavailable, match="not followed"):
        await venue.lines.place([TRADES], Heard())
    assert "/elsewhere" not in server.paths


# What breaks


async def _broken(server: Wires, venue: CcxtVenue, heard: Heard, *, reason: str) -> None:
    """Wait for the end of the one line, and see that another one can be placed at once."""
    await heard.until(lambda: heard.failures)
    line, error, topics = heard.failures[0]
    assert isinstance(error, errors.StreamBroken)
    assert reason in str(error)
    assert set(topics) == {TRADES, Topic("trades", "ETH/USDT")}
    assert line.ended
    await venue.lines.place(topics, heard)
    await server.say(trade(77))
    await heard.until(lambda: 77 in _ids(heard))
    assert len(heard.failures) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ('{"e":"trade","s":"BTCUSDT","t":', "no JSON"),
        ("Bad Gateway, please try again", "no JSON"),
        (b"\xff\xfe\x00", "no text"),
        ('{"e":"24hrMiniTicker","c":"1"}', "could not be read"),
        ("[" + "1," * 5_500_000 + "1]", "too large"),
    ],
    ids=["cut", "text", "bytes", "odd", "huge"],
)
async def test_a_message_that_cannot_be_read_ends_the_line(
    server: Wires, venue: CcxtVenue, frame: str | bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said and logged without its contents, and all topics can be placed again at once."""
    heard = Heard()
    await venue.lines.place([TRADES, Topic("trades", "ETH/USDT")], heard)
    with caplog.at_level(logging.DEBUG):
        await server.say(trade(1), frame)
        await _broken(server, venue, heard, reason=reason)
    assert "please try again" not in caplog.text
    assert any("a line of 2 topics ended" in record.message for record in caplog.records)


async def test_a_closed_websocket_ends_the_line(server: Wires, venue: CcxtVenue) -> None:
    """The code and the reason are said."""
    heard = Heard()
    await venue.lines.place([TRADES, Topic("trades", "ETH/USDT")], heard)
    await server.sockets[0].close(code=1008, message=b"too many requests")
    await _broken(server, venue, heard, reason="code 1008: too many requests")


async def test_a_reset_connection_ends_the_line(server: Wires, venue: CcxtVenue) -> None:
    """No goodbye is needed."""
    heard = Heard()
    await venue.lines.place([TRADES, Topic("trades", "ETH/USDT")], heard)
    server.reset()
    await _broken(server, venue, heard, reason="cut off")


async def test_a_websocket_that_died_without_a_word_is_noticed(
    server: Wires, venue: CcxtVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not even pings are answered; while they are, silence is none of the line's business."""
    monkeypatch.setattr(sockets, "_PING_S", 0.05)
    monkeypatch.setattr(sockets, "_SILENT_S", 0.3)
    heard = Heard()
    await venue.lines.place([TRADES, Topic("trades", "ETH/USDT")], heard)
    await asyncio.sleep(0.6)
    assert not heard.failures
    server.mute = True
    await heard.until(lambda: heard.failures)
    server.mute = False
    await _broken(server, venue, heard, reason="silent")


async def test_a_gap_in_a_book_ends_that_topic_alone(server: Wires, venue: CcxtVenue) -> None:
    """The others on the line go on, and the book is placed on a fresh one, with a snapshot of its own."""
    heard = Heard()
    other = Topic("book", "ETH/USDT")
    await venue.lines.place([BOOK, other], heard)
    await heard.until(lambda: len(heard.values) == 2)
    await server.say(_depth(99, 101), _depth(105, 106))
    await heard.until(lambda: heard.failures)
    line, error, topics = heard.failures[0]
    assert topics == [BOOK]
    assert isinstance(error, errors.StreamBroken)
    assert not line.ended
    before = len(heard.of(BOOK))
    await venue.lines.place([BOOK], heard)
    await heard.until(lambda: len(heard.of(BOOK)) > before)
    assert len(venue.lines.lines) == 2
    assert line.topics == {other}


async def test_nothing_of_a_line_that_ended_is_left(server: Wires, venue: CcxtVenue) -> None:
    """Not ccxt's instance, nor a task, nor a websocket."""
    heard = Heard()
    await venue.lines.place([TRADES, CANDLES, BOOK], heard)
    kept = [weakref.ref(line._opened.ccxt) for line in venue.lines.lines]
    server.reset()
    await heard.until(lambda: len(heard.failures) == 3)
    heard.failures.clear()
    for _ in range(10):  # until its tasks have ended, and what they held is collected
        await asyncio.sleep(0.05)
        gc.collect()
        if not any(one() is not None for one in kept):
            break
    assert [one() is None for one in kept] == [True] * 3
    assert venue.lines.lines == ()
    assert not server.sockets


async def test_the_books_of_a_line_go_with_it_and_wait_for_no_garbage_collector(
    server: Wires, venue: CcxtVenue
) -> None:
    """Those of many markets are megabytes, and of old objects the collector makes a round once in minutes."""
    heard = Heard()
    await venue.lines.place([BOOK], heard)
    await heard.until(lambda: heard.of(BOOK))
    kept = weakref.ref(venue.lines.lines[0]._opened.ccxt.orderbooks["BTC/USDT"])
    heard.values.clear()
    gc.disable()
    try:
        server.reset()
        await heard.until(lambda: heard.failures)
        await asyncio.sleep(0.1)
        assert kept() is None
    finally:
        gc.enable()


async def test_closing_in_the_middle_of_anything_leaves_nothing_behind(server: Wires) -> None:
    """Whenever it is closed or whoever asks is cancelled: no task, no websocket, no warning."""
    before = asyncio.all_tasks()
    for pause in (0, 0.001, 0.003, 0.01, 0.03, 0.1):
        async with venue_of(server) as venue:
            await venue.load_markets()
            placing = asyncio.create_task(venue.lines.place([TRADES, BOOK, CANDLES], Heard()))
            await asyncio.sleep(pause)
            placing.cancel()
            await asyncio.gather(placing, return_exceptions=True)
    async with venue_of(server) as venue:
        await venue.load_markets()
        waiting = asyncio.create_task(venue.lines.place([TRADES], Heard()))
        await asyncio.sleep(0.002)
    with pytest.raises(errors.Closed):
        await waiting
    await asyncio.sleep(0.05)
    gc.collect()
    ours = [task for task in asyncio.all_tasks() - before if "tradeutils" in repr(task) or "ccxt" in repr(task)]
    assert ours == []


async def test_a_line_that_is_put_away_says_that_it_may_be_tried_again(server: Wires, venue: CcxtVenue) -> None:
    """Who still waited for it is told of a broken stream, not of a closed exchange, which would be final."""
    heard = Heard()
    await venue.lines.place([TRADES], heard)
    line = venue.lines.lines[0]
    server.mute = True
    waiting = asyncio.create_task(line.subscribe([Topic("trades", "ETH/USDT")]))
    await asyncio.sleep(0.01)
    await line.aclose()
    with pytest.raises(errors.StreamBroken):
        await waiting


async def test_messages_that_wait_for_their_turn_end_with_the_line(server: Wires, venue: CcxtVenue) -> None:
    """Ccxt sends each in a task of its own, of which none outlives the websocket."""
    await venue.lines.place([TRADES], Heard())
    line = venue.lines.lines[0]
    socket = next(iter(line._sockets.values()))
    waiting = [asyncio.create_task(socket.client.send({"id": number})) for number in range(50)]
    await asyncio.sleep(0.01)
    assert sum(not one.done() for one in waiting) > 40
    await line.aclose()
    assert [one for one in waiting if not one.done()] == []


# Accounts


async def test_an_expired_listen_key_ends_the_line(server: Wires) -> None:
    """ccxt passes over that event; a fresh line asks for another key."""
    async with venue_of(server, account=True, kind="linear") as venue:
        heard = Heard()
        await venue.lines.place([Topic("orders")], heard)
        assert server.requests["POST /fapi/v1/listenKey"] == 1
        await server.say('{"e":"listenKeyExpired","E":1}')
        await heard.until(lambda: heard.failures)
        assert "expired" in str(heard.failures[0][1])
        await venue.lines.place([Topic("orders")], heard)
        assert server.requests["POST /fapi/v1/listenKey"] == 2


async def test_a_listen_key_is_renewed_by_itself_and_the_end_of_it_is_noticed(server: Wires) -> None:
    """Renewed as often as ccxt's options say; once the venue has forgotten it, the topics fail and get another."""
    async with venue_of(server, account=True, kind="linear", listenKeyRefreshRate=50) as venue:
        heard = Heard()
        await venue.lines.place([Topic("orders")], heard)
        async with asyncio.timeout(5):
            while server.requests["PUT /fapi/v1/listenKey"] < 3:  # noqa: ASYNC110 -- the venue's side has no event
                await asyncio.sleep(0.02)
        assert not heard.failures
        server.forgot_keys = True
        await heard.until(lambda: heard.failures)
        assert heard.failures[0][2] == [Topic("orders")]
        server.forgot_keys = False
        await venue.lines.place([Topic("orders")], heard)
        assert server.requests["POST /fapi/v1/listenKey"] == 2
        assert len(server.sockets) == 1


async def test_orders_arrive_merged_with_exact_figures(server: Wires) -> None:
    """Each state of an order as it was then, its figures as Decimals."""
    order: dict[str, Any] = {"s": "BTCUSDT", "c": "x", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.3", "p": "100.10"}
    order |= {"i": 7, "T": 1, "ap": "0", "sp": "0", "rp": "0", "R": False, "ps": "BOTH", "n": "0.01", "N": "USDT"}

    def told(status: str, filled: str, time: int) -> str:
        made = {
            **order,
            "x": "NEW" if status == "NEW" else "TRADE",
            "X": status,
            "z": filled,
            "l": filled,
            "L": "100.10",
        }
        return json.dumps({"e": "ORDER_TRADE_UPDATE", "E": time, "T": time, "o": {**made, "t": time}})

    async with venue_of(server, account=True, kind="linear") as venue:
        heard = Heard()
        mine = Topic("orders", "BTC/USDT:USDT")
        await venue.lines.place([Topic("orders"), mine, Topic("orders", "ETH/USDT:USDT")], heard)
        await server.say(told("NEW", "0", 1), told("PARTIALLY_FILLED", "0.1", 2), told("FILLED", "0.3", 3))
        await heard.until(lambda: len(heard.of(mine)) == 3)
        for topic in (mine, Topic("orders")):
            assert [(one["status"], str(one["filled"])) for one in heard.of(topic)] == [
                ("open", "0"),
                ("open", "0.1"),
                ("closed", "0.3"),
            ]
        assert heard.of(Topic("orders", "ETH/USDT:USDT")) == []


async def test_no_secret_is_said_or_logged(server: Wires, caplog: pytest.LogCaptureFixture) -> None:
    """Neither keys nor the listen key, which stands in the address, whatever fails."""
    from aiohttp import web

    async with venue_of(server, account=True, kind="linear") as venue:
        heard = Heard()
        with caplog.at_level(logging.DEBUG):
            logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # the venue's own
            await venue.lines.place([Topic("orders")], heard)
            server.reset()
            await heard.until(lambda: heard.failures)
            server.refuse = lambda _: web.Response(status=503)
            with pytest.raises(errors.VenueUnavailable) as caught:
                await venue.lines.place([Topic("orders")], heard)
    logging.getLogger("aiohttp.access").setLevel(logging.NOTSET)
    error = caught.value
    error = caught.value
    said = f"{caplog.text} {heard.failures[0][1]!r} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert any("listen-key-that-must-not-be-told" in path for path in server.paths)
    for secret in (KEY, SECRET, "listen-key-that-must-not-be-told"):
        assert [line for line in said.splitlines() if secret in line] == []
