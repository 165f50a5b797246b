"""How topics are spread over lines, shared, left and moved; and how fast a venue is dialled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.wires import Heard, Wires, trade, venue_of, wires
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.requests.endpoints import moved_socket, parse_target, redirect
from tradeutils.exchange.requests.sessions import Session
from tradeutils.exchange.streams import asking, pool
from tradeutils.exchange.streams.arrivals import Arrivals, entries
from tradeutils.exchange.streams.asking import answers
from tradeutils.exchange.streams.dialing import Dialer, Dials, Turns, dial_error, wait_told
from tradeutils.exchange.streams.limits import Pace, line_limits
from tradeutils.exchange.streams.topics import Topic
from tradeutils.exchange.together import Together
from tradeutils.exchange.venues.venue import CcxtVenue
from tradeutils.settings import ExchangeSettings

TRADES, ETH, LTC = (Topic("trades", f"{base}/USDT") for base in ("BTC", "ETH", "LTC"))


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


async def _until(done: Any, limit: float = 5.0) -> None:
    async with asyncio.timeout(limit):
        while not done():  # noqa: ASYNC110 -- what the venue's side sees has no event
            await asyncio.sleep(0.01)


# Sharing and leaving


async def test_a_topic_of_several_sinks_is_subscribed_to_once(server: Wires, venue: CcxtVenue) -> None:
    """Each hears all of it, and it is left with the last."""
    one, two = Heard(), Heard()
    await asyncio.gather(venue.lines.place([TRADES, ETH], one), venue.lines.place([TRADES], two))
    await server.say(trade(1))
    await asyncio.gather(one.until(lambda: one.values), two.until(lambda: two.values))
    assert sum(one.startswith("btcusdt@") for said in server.asked for one in said["params"]) == 1
    await venue.lines.leave([TRADES], one)
    assert "btcusdt" in server.followed
    await venue.lines.leave([TRADES], two)
    assert server.followed == {"ethusdt"}


async def test_what_is_left_brings_nothing_and_others_go_on(server: Wires, venue: CcxtVenue) -> None:
    """Also where the first data had not come yet, which ccxt's call for all of them waits for."""
    heard = Heard()
    await venue.lines.place([TRADES, ETH, LTC], heard)
    await venue.lines.leave([TRADES], heard)
    await server.say(trade(1), trade(2, "ETHUSDT"), trade(3, "LTCUSDT"))
    await heard.until(lambda: len(heard.values) == 2)
    assert [topic for topic, _ in heard.values] == [ETH, LTC]
    assert not heard.failures
    await venue.lines.place([TRADES], heard)
    await server.say(trade(4))
    await heard.until(lambda: len(heard.values) == 3)


async def test_a_line_that_nobody_wants_is_closed(server: Wires, venue: CcxtVenue) -> None:
    """The venue is left with no connection."""
    heard = Heard()
    await venue.lines.place([TRADES, ETH], heard)
    await venue.lines.leave([TRADES, ETH], heard)
    await _until(lambda: not server.sockets)
    assert venue.lines.lines == ()


async def test_leaving_what_was_never_placed_does_nothing(venue: CcxtVenue) -> None:
    """Nor does leaving twice."""
    heard = Heard()
    await venue.lines.leave([TRADES], heard)
    await venue.lines.place([TRADES], heard)
    await venue.lines.leave([TRADES])
    await venue.lines.leave([TRADES], heard)
    await _until(lambda: not venue.lines.lines)
    assert not heard.failures


async def test_who_is_cancelled_costs_nobody_else_the_topic(server: Wires, venue: CcxtVenue) -> None:
    """Two wait for the same subscription; the one who asked first goes."""
    one, two = Heard(), Heard()
    await venue.load_markets()
    first = asyncio.create_task(venue.lines.place([TRADES], one))
    second = asyncio.create_task(venue.lines.place([TRADES], two))
    await asyncio.sleep(0)
    first.cancel()
    await second
    await server.say(trade(1))
    await two.until(lambda: two.values)
    assert first.cancelled()
    assert one.values == []


async def test_leaving_while_it_is_placed_ends_the_subscription(
    server: Wires, venue: CcxtVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited is told, and nothing stays subscribed, however long the venue would take to answer."""
    monkeypatch.setattr(asking, "_ANSWER_S", 60.0)
    await venue.load_markets()
    server.mute = True  # so that it confirms nothing meanwhile
    placing = asyncio.create_task(venue.lines.place([TRADES], Heard()))
    await asyncio.sleep(0.01)
    await venue.lines.leave([TRADES])
    with pytest.raises(errors.Closed):
        await placing
    await _until(lambda: not server.sockets)


async def test_a_closed_exchange_places_nothing_more(server: Wires) -> None:
    """It says so."""
    async with venue_of(server) as venue:
        await venue.load_markets()
    with pytest.raises(errors.Closed):
        await venue.lines.place([TRADES], Heard())
    await venue.lines.aclose()


async def test_exchanges_that_are_opened_together_share_public_lines(server: Wires) -> None:
    """The one that opened them may be closed: the others go on, and open more."""
    together = Together()
    settings = ExchangeSettings(options={"fetchMarkets": {"types": ["spot"]}})
    first, second = (
        CcxtVenue("binance", budget=LocalBudget, url=server.url, settings=settings, together=together) for _ in range(2)
    )
    one, two = Heard(), Heard()
    await first.lines.place([TRADES, ETH], one)
    await second.lines.place([TRADES], two)
    assert len(server.sockets) == 1
    await first.aclose()
    assert server.followed == {"btcusdt"}
    await server.say(trade(1))
    await two.until(lambda: two.values)
    await second.lines.place([Topic("ohlcv", "BTC/USDT", "1m")], two)
    assert len(server.sockets) == 2
    assert one.values == []
    await second.aclose()
    await together.aclose()
    await _until(lambda: not server.sockets)


# Moving


async def test_a_topic_is_moved_to_a_fresh_line_alone(server: Wires, venue: CcxtVenue) -> None:
    """It fails, and whoever places it again gets another connection; the others do not notice."""
    heard = Heard()
    await venue.lines.place([TRADES, ETH], heard)
    await venue.lines.replace(TRADES)
    assert [topics for _, _, topics in heard.failures] == [[TRADES]]
    await venue.lines.place([TRADES], heard)
    assert len(server.sockets) == 2
    assert [len(line.topics) for line in venue.lines.lines] == [1, 1]


async def test_a_replaced_line_fails_with_all_its_topics(server: Wires, venue: CcxtVenue) -> None:
    """They can be placed again at once."""
    heard = Heard()
    await venue.lines.place([TRADES, ETH], heard)
    line = venue.lines.lines[0]
    await venue.lines.replace(line)
    assert {*heard.failures[0][2]} == {TRADES, ETH}
    assert "ended" in repr(line)
    await venue.lines.place([TRADES, ETH], heard)
    assert venue.lines.lines[0] is not line


async def test_a_line_of_which_most_is_unwanted_is_renewed_without_a_gap(
    server: Wires, venue: CcxtVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a venue cannot be told: a fresh line takes over before the old one is closed."""
    monkeypatch.setattr(pool, "_FEW", 1)
    monkeypatch.setattr(pool, "_OVERLAP_S", 0.05)
    heard = Heard()
    await venue.lines.place([TRADES, ETH, LTC], heard)
    line = venue.lines.lines[0]
    line._opened.ccxt.has["unWatchTradesForSymbols"] = False  # as on venues that have no way to
    await venue.lines.leave([ETH, LTC], heard)
    await _until(lambda: line.ended and len(server.sockets) == 1)
    assert server.followed == {"btcusdt"}
    assert not heard.failures
    await server.say(trade(1))
    await heard.until(lambda: heard.values)
    assert venue.lines.lines[0] is not line


async def test_a_line_that_cannot_be_renewed_goes_on(
    server: Wires, venue: CcxtVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is left of the one that was to take its place."""
    from aiohttp import web

    monkeypatch.setattr(pool, "_FEW", 1)
    heard = Heard()
    await venue.lines.place([TRADES, ETH, LTC], heard)
    line = venue.lines.lines[0]
    line._opened.ccxt.has["unWatchTradesForSymbols"] = False
    server.refuse = lambda _: web.Response(status=503)
    dials = len(server.paths)
    await venue.lines.leave([ETH, LTC], heard)
    await _until(lambda: len(server.paths) > dials and venue.lines.lines == (line,))
    await server.say(trade(1))
    await heard.until(lambda: heard.values)
    assert not heard.failures
    assert len(server.sockets) == 1


async def test_a_thousand_topics_take_six_connections_and_eleven_messages() -> None:
    """As many on a line as the venue takes, as many in a message as it reads."""
    bases = [f"B{number:04d}" for number in range(1000)]
    async with wires(bases) as server, venue_of(server) as venue:
        heard = Heard()
        topics = [Topic("trades", f"{base}/USDT") for base in bases]
        began = time.process_time()
        await venue.lines.place(topics, heard)
        spent = time.process_time() - began
        assert len(server.sockets) == 6
        assert len(server.asked) == 11
        assert len(server.subscribed) == 1000
        assert spent < 10
        await venue.lines.leave(topics, heard)
        await _until(lambda: not server.sockets)


# Dialling


def _dialer(url: str | None, *addresses: str) -> Dialer:
    return Dialer(Session(), "", None if url is None else parse_target(url), addresses, "binance")


def test_a_websocket_goes_to_the_venue_or_to_the_url_alone() -> None:
    """Encrypted to one of the venue's own hosts; with ``url=`` to that one, whatever was asked for."""
    dialer = _dialer(None, "https://api.binance.com/api", "wss://stream.binance.com:9443/ws", "https://api.x.co.jp")
    assert dialer.address("wss://fstream.binance.com/ws/1?a=b") == "wss://fstream.binance.com/ws/1?a=b"
    assert dialer.address("wss://ws.x.co.jp/ws")
    for other in (
        "ws://stream.binance.com/ws",
        "wss://binance.com.evil.org/ws",
        "wss://evilbinance.com",
        "wss://y.co.jp",
    ):
        with pytest.raises(errors.RequestRefused, match="none of the venue's own"):
            dialer.address(other)
    moved = _dialer("https://127.0.0.1:8080")
    assert moved.address("wss://evil.org/ws/1?key=k") == "wss://127.0.0.1:8080/ws/1?key=k"


def test_endpoints_can_be_moved_without_the_websockets() -> None:
    """ccxt's classes read what a stream is from its address."""
    target = parse_target("http://127.0.0.1:8080")
    urls = {"rest": "https://api.x.com/v1", "ws": ["wss://x.com/ws"]}
    assert redirect(urls, target, sockets=False) == {"rest": "http://127.0.0.1:8080/v1", "ws": ["wss://x.com/ws"]}
    assert redirect(urls, target)["ws"] == ["ws://127.0.0.1:8080/ws"]
    assert moved_socket(urlsplit("wss://x.com/ws?a=b"), target) == "ws://127.0.0.1:8080/ws?a=b"


async def test_dials_are_made_at_once_then_with_growing_pauses() -> None:
    """The first failure is followed by no pause, and one success forgets them all."""
    dials = Dials()
    dials.failed(None)
    began = time.monotonic()
    await dials.turn()
    assert time.monotonic() - began < 0.1
    dials.failed(None)
    await dials.turn()
    assert 0.24 < time.monotonic() - began < 2
    dials.failed(None)
    dials.succeeded()
    began = time.monotonic()
    await dials.turn()
    assert time.monotonic() - began < 0.1


async def test_lines_that_fail_together_are_kept_away_as_long_as_one() -> None:
    """Forty that were cut off at once are one failure and a second one, not half a minute."""
    dials = Dials()
    for _ in range(40):
        dials.failed(None)
    began = time.monotonic()
    await dials.turn()
    assert time.monotonic() - began < 0.75
    dials.failed(None)
    dials.failed(0.3)  # what the venue says counts all the same
    await dials.turn()


async def test_what_the_venue_says_of_when_to_come_back_is_waited_for() -> None:
    """Also after the first failure."""
    dials = Dials()
    dials.failed(0.3)
    began = time.monotonic()
    await dials.turn()
    assert time.monotonic() - began >= 0.29


async def test_turns_are_no_more_than_the_pace() -> None:
    """Six turns of two within 0.1 s take 0.2 s."""
    turns = Turns(Pace(2, 0.1))
    began = time.monotonic()
    await asyncio.gather(*(turns.take() for _ in range(6)))
    assert time.monotonic() - began >= 0.19


@pytest.mark.parametrize(
    ("status", "private", "expected"),
    [
        (418, False, errors.RateLimited),
        (401, True, errors.AuthenticationFailed),
        (401, False, errors.VenueUnavailable),
        (500, True, errors.VenueUnavailable),
    ],
)
def test_a_refusal_is_told_by_its_status(status: int, private: bool, expected: type[errors.VenueError]) -> None:
    """Without the address, which may hold keys."""
    info = aiohttp.RequestInfo(aiohttp.client.URL("wss://x/?listenKey=abc"), "GET", {}, aiohttp.client.URL("wss://x"))  # type: ignore[arg-type]
    refused = aiohttp.WSServerHandshakeError(info, (), status=status, headers={"Retry-After": "7"})  # type: ignore[arg-type]
    told = dial_error(refused, "binance", private=private)
    assert type(told) is expected
    assert "abc" not in str(told)
    assert wait_told(refused) == 7.0
    assert wait_told(ValueError()) is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), errors.VenueTimeout),
        (ConnectionRefusedError("no"), errors.VenueUnavailable),
        (aiohttp.ClientError("?"), errors.VenueUnavailable),
        (errors.RequestRefused("no"), errors.RequestRefused),
    ],
    ids=["timeout", "refused", "odd", "ours"],
)
def test_whatever_keeps_a_websocket_from_opening_is_one_of_our_errors(
    error: Exception, expected: type[errors.VenueError]
) -> None:
    """Those that may pass can be told from those that will not."""
    assert type(dial_error(error, "okx", private=False)) is expected


def test_venues_of_one_family_have_its_limits() -> None:
    """And one that nobody knows has cautious ones."""
    assert line_limits("binanceusdm") is line_limits("binance")
    assert line_limits("myokx") is line_limits("okx")
    assert line_limits("krakenfutures") == line_limits("bitstamp")


# What is new


class _Cache(list[Any]):
    """Keeps the newest three, as ccxt's caches do."""

    hashmap: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.hashmap = {}

    def append(self, entry: Any) -> None:
        """Add one, and drop the oldest."""
        super().append(entry)
        del self[:-3]


def test_each_reader_gets_every_entry_once() -> None:
    """Though the cache dropped some in between; a plain list is new altogether."""
    cache = _Cache()
    cache.append(0)
    one, two = Arrivals(merged=False), Arrivals(merged=False)
    assert one.take(cache) == [0]
    for number in range(1, 8):
        cache.append(number)
    assert one.take(cache) == [1, 2, 3, 4, 5, 6, 7]
    assert two.take(cache) == [5, 6, 7]
    assert one.take(cache) == []
    cache.append(8)
    assert (one.take(cache), two.take(cache)) == ([8], [8])
    assert one.take([1, 2]) == [1, 2]


def test_a_reader_that_takes_nothing_costs_bounded_memory() -> None:
    """And one that forgets costs none."""
    cache = _Cache()
    reader = Arrivals(merged=False)
    reader.take(cache)
    for number in range(30_000):
        cache.append(number)
    assert len(reader.take(cache)) <= 10_000
    reader.forget()
    cache.append(1)
    assert cache.readers == []  # type: ignore[attr-defined]


def test_tickers_are_found_in_whatever_ccxt_resolves() -> None:
    """A list, a dict by symbol; and nothing in what is none."""
    ticker = {"symbol": "A"}
    assert entries([ticker, 1]) == [ticker]
    assert entries({"A": ticker, "info": {}}) == [ticker]
    assert entries(None) == []


@pytest.mark.parametrize(
    ("message", "frame", "expected"),
    [
        ({"id": 1}, {"id": "1", "result": None}, True),
        ({"id": 1}, {"id": 2}, False),
        ({"req_id": 7}, {"req_id": 7}, True),
        ({"args": [{"channel": "a"}]}, {"arg": {"channel": "a"}, "event": "subscribe"}, True),
        ({"args": [{"channel": "a"}]}, {"arg": {"channel": "b"}}, False),
        ("ping", {"id": 1}, False),
        ({"id": 1}, "pong", False),
        ({"op": "x"}, {}, False),
    ],
    ids=["id", "other-id", "req-id", "arg", "other-arg", "text", "heartbeat", "nothing"],
)
def test_an_answer_is_known_by_its_number_or_its_argument(message: Any, frame: Any, expected: bool) -> None:
    """Whoever numbers requests repeats the number, and others repeat the argument."""
    assert answers(message, frame) is expected
