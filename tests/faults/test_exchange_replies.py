"""Exchange against a host that misbehaves: every answer that is not one ends in a typed error."""

from __future__ import annotations

import asyncio
import json
import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.venues.venue import CcxtVenue, venue_names
from tradeutils.sim import DEFAULT_ACCOUNT, Limits, SimulatedVenue

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Host:
    """A real HTTP server on loopback whose every answer is what ``answer`` makes."""

    answer: Handler
    url = ""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        return await self.answer(request)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """A host on a free port."""
    made = Host()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield made
    await runner.cleanup()


def _say(text: str, status: int = 200, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, headers=headers, content_type="application/json")

    return answer


async def _truncated(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"serverTime": 17')
    request.transport.close()  # type: ignore[union-attr]  # open while it is being answered
    return response


async def _bad_gzip(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\x1f\x8bnot gzip at all", headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (_say("<html><body>Bad gateway</body></html>", 502), errors.VenueUnavailable, "HTML"),
        (_say("<!DOCTYPE html><p>hello"), errors.BadReply, "binance"),
        (_say(""), errors.BadReply, "binance"),
        (_say("{}"), errors.BadReply, "binance"),
        (_say("[1, 2, 3]"), errors.BadReply, "binance"),
        (_say('{"serverTime": "soon"}'), errors.BadReply, "binance"),
        (_say('{"serverTime": '), errors.BadReply, "binance"),
        (_say("null"), errors.BadReply, "binance"),
        (_say("no", 404), errors.RequestRefused, "404"),
        (_say("no", 403), errors.PermissionDenied, "403"),
        (_say("no", 500), errors.VenueUnavailable, "500"),
        (_say('{"code": -1003, "msg": "Too many"}', 429, **{"Retry-After": "7"}), errors.RateLimited, "Too many"),
        (_say('{"code": -1121, "msg": "Invalid symbol."}', 400), errors.RequestRefused, "Invalid symbol"),
        (_say('{"code": -1021, "msg": "Timestamp for this request"}', 400), errors.ClockSkew, "Timestamp"),
        (_truncated, errors.TransientVenueError, "binance"),
        (_bad_gzip, errors.TransientVenueError, "binance"),
    ],
)
async def test_a_reply_that_is_none_is_a_typed_error(
    host: Host, answer: Handler, expected: type[Exception], words: str
) -> None:
    """Whatever comes back, the caller sees one of our errors, with its place and without a page of HTML."""
    host.answer = answer
    async with tu.Exchange("binance", url=host.url, retries=0) as exchange:
        with pytest.raises(expected, match=words) as caught:
            await exchange.fetch_time()
    assert "binance" in str(caught.value)
    assert len(str(caught.value)) < 700


async def test_how_long_to_stay_silent_reaches_the_caller(host: Host) -> None:
    """Retry-After of a 418, in seconds."""
    host.answer = _say('{"code": -1003, "msg": "Way too many"}', 418, **{"Retry-After": "120"})
    async with tu.Exchange("binance", url=host.url, retries=0) as exchange:
        with pytest.raises(errors.RateLimited) as caught:
            await exchange.fetch_time()
    assert caught.value.retry_after == 120.0


async def test_a_redirect_to_another_host_is_not_followed(host: Host) -> None:
    """Keys travel in headers: where the venue points elsewhere, they stay here."""
    other, runner = [], web.AppRunner(web.Application(), access_log=None)

    async def caught_elsewhere(request: web.Request) -> web.Response:
        other.append(request)
        return web.json_response({"serverTime": 1})

    runner.app.router.add_route("*", "/{path:.*}", caught_elsewhere)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = "http://{}:{}/api/v3/time".format(*runner.addresses[0][:2])
    host.answer = _say("", 302, Location=target)
    try:
        async with tu.Exchange("binance", url=host.url, retries=0) as exchange:
            with pytest.raises(errors.RequestRefused, match="another host"):
                await exchange.fetch_time()
    finally:
        await runner.cleanup()
    assert not other


async def test_an_endpoint_left_elsewhere_is_refused_before_it_is_asked(host: Host) -> None:
    """With url= nothing may reach the real venue, not even through an endpoint that came back by an override."""
    host.answer = _say('{"serverTime": 1}')
    venue = CcxtVenue("binance", budget=LocalBudget, url=host.url)
    venue._ccxt.urls["api"]["public"] = "http://127.0.0.1:9/api/v3"
    try:
        with pytest.raises(errors.UsageError, match=r"127\.0\.0\.1:9"):
            await venue.time()
    finally:
        await venue.aclose()
    assert not host.seen


async def test_nobody_listening_is_unavailable() -> None:
    """A refused connection is the venue's trouble, worth another try."""
    async with tu.Exchange("binance", url="http://127.0.0.1:1", retries=0) as exchange:
        with pytest.raises(errors.VenueUnavailable):
            await exchange.load_markets()


async def test_a_venue_that_never_answers_times_out(host: Host) -> None:
    """The deadline is ours, not the venue's."""

    async def silence(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    host.answer = silence
    venue = CcxtVenue("binance", budget=LocalBudget, url=host.url, settings=tu.settings.ExchangeSettings(timeout=0.2))
    try:
        with pytest.raises(errors.VenueTimeout):
            await venue.time()
    finally:
        await venue.aclose()


async def test_an_account_of_another_venue_is_refused() -> None:
    """Keys of one venue are never sent to another."""
    account = tu.Account(name="a", exchange="kraken", credentials=tu.Credentials(key="k" * 20, secret="s" * 20))
    with pytest.raises(errors.UsageError, match="kraken"):
        tu.Exchange("binance", account=account)


async def test_sandbox_keys_never_reach_the_real_venue(host: Host) -> None:
    """The endpoints are the sandbox's, and a venue that has none refuses the account."""
    keys = tu.Credentials(key="k" * 20, secret="s" * 20)
    venue = CcxtVenue(
        "binance",
        budget=LocalBudget,
        account=tu.Account(name="a", exchange="binance", credentials=keys, sandbox=True),
    )
    assert "testnet" in venue._ccxt.urls["api"]["private"]
    await venue.aclose()
    without = tu.Account(name="a", exchange="kraken", credentials=keys, sandbox=True)
    with pytest.raises(errors.NotSupportedByVenue, match="sandbox=False"):
        tu.Exchange("kraken", account=without)


async def test_settings_of_a_venue_are_used_and_arguments_win(host: Host) -> None:
    """Timeout, rate limit, address and options come from the settings where the call does not say."""
    told = tu.settings.ExchangeSettings(url=host.url, timeout=1.5, rate_limit_ms=500, options={"a": 1, "b": 2})
    async with tu.Exchange("binance", settings=told, options={"b": 3}) as exchange:
        inner = exchange._venue._ccxt
        assert host.url in inner.urls["api"]["public"]
        assert (inner.timeout, inner.options["a"], inner.options["b"]) == (1500, 1, 3)
    async with tu.Exchange("binance", settings=told, url="http://127.0.0.1:1") as exchange:
        assert "127.0.0.1:1/" in exchange._venue._ccxt.urls["api"]["public"]


@pytest.mark.parametrize("name", ["binance", "mexc", "htx", "bittrade", "bingx", "kraken"])
async def test_a_traceback_shows_neither_key_nor_signature(name: str) -> None:
    """ccxt's own errors hold signed addresses, and a traceback prints the whole chain."""
    key, secret = "PlantedKeyThatNobodyMaySee0123456789", "UGxhbnRlZFNlY3JldFRoYXROb2JvZHlNYXlTZWU="
    credentials = tu.Credentials(key=key, secret=secret, password="planted-pass-phrase", uid="planted-uid-7")
    account = tu.Account(name="a", exchange=name, credentials=credentials)
    async with tu.Exchange(name, url="http://127.0.0.1:1", account=account, retries=0) as exchange:
        with pytest.raises(errors.TradeutilsError) as caught:
            await exchange.fetch_balance()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for planted in (key, secret, "planted-pass-phrase", "planted-uid-7"):
        assert planted not in shown
    assert not re.search(r"(?i)signature=(?!\*|%2A)\w", shown)


async def test_every_venue_opens_and_fails_in_our_words() -> None:
    """All of ccxt's classes: constructed, pointed at a closed port, asked, and closed without a stray warning."""

    async def ask(name: str) -> None:
        async with tu.Exchange(name, url="http://127.0.0.1:1", retries=0) as exchange:
            assert exchange.origin.startswith(name)
            with pytest.raises(errors.TradeutilsError):
                await exchange.fetch_tickers()

    await asyncio.gather(*(ask(name) for name in venue_names()))


PATHS = {
    "fetch_ticker": "/api/v3/ticker/24hr",
    "fetch_tickers": "/api/v3/ticker/24hr",
    "fetch_ohlcv": "/api/v3/klines",
    "fetch_order_book": "/api/v3/depth",
    "fetch_trades": "/api/v3/aggTrades",
}
BAD = ["", " ", "{}", "null", "<html>busy</html>", "soon", '{"a": ', "[[1,", '[{"symbol":', "7", '"x"', "[1, 2]"]
BAD += ['["x"]', '[{"symbol": "BTCUSDT", "closeTime": "soon"', "[[null, 1, 2, 3, 4, 5]]", "NaN", "[" * 5000]


@pytest.mark.parametrize("operation", PATHS)
@pytest.mark.parametrize("warm", [False, True], ids=["first", "later"])
async def test_a_reply_that_says_nothing_is_an_error_and_is_not_kept(operation: str, *, warm: bool) -> None:
    """Empty, HTML, cut short, of other types: each is told, and the next call asks again."""
    async with (
        SimulatedVenue("binance", symbols=3, limits=Limits.none()) as venue,
        tu.Exchange("binance", url=venue.url, retries=0, cache=(cache := tu.Cache())) as exchange,
    ):

        async def ask() -> Any:
            method = getattr(exchange, operation)
            return await (method() if operation == "fetch_tickers" else method("BTC/USDT"))

        await exchange.load_markets()
        expected = await ask() if warm else None
        for _ in range(3 * warm):
            await cache.invalidate()
            await ask()
        for body in BAD:
            await cache.invalidate()
            venue.faults.add("status", status=200, body=body, path=PATHS[operation], count=1)
            with pytest.raises(errors.BadReply, match=operation):
                await ask()
            answer = await ask()
            assert expected is None or answer == expected


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_lost_answer_is_not_read_from_that_of_another_call(*, at_once: bool) -> None:
    """kraken's class looks for the words of a refusal in whatever was answered last: the other order may be open."""
    account = tu.Account(
        name="a",
        exchange="kraken",
        credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
    )
    told = tu.settings.ExchangeSettings(timeout=0.4)
    async with (
        SimulatedVenue("kraken", symbols=3, skew=0, limits=Limits.none()) as venue,
        tu.Exchange("kraken", url=venue.url, account=account, retries=0, settings=told) as exchange,
    ):

        async def failing(call: Awaitable[Any]) -> type[BaseException]:
            with pytest.raises(errors.VenueError) as caught:
                await call
            return caught.type

        await exchange.load_markets()
        venue.faults.add("silence", path="/0/public/Ticker", count=1)
        other = asyncio.ensure_future(failing(exchange.fetch_ticker("BTC/USDT"))) if at_once else None
        await asyncio.sleep(0)
        assert await failing(exchange.cancel_order("OAAAAA-AAAAA-AAAAAA", "BTC/USDT")) is errors.OrderNotFound
        venue.faults.add("silence", path="/0/private/CancelOrder", count=1)
        assert await failing(exchange.cancel_order("OBBBBB-AAAAA-AAAAAA", "BTC/USDT")) is errors.VenueTimeout
        assert other is None or await other is errors.VenueTimeout


async def test_a_page_of_a_redirect_to_another_host_is_not_followed_for_data(host: Host) -> None:
    """As for the clock, so for candles; a redirect within the host is."""
    async with SimulatedVenue("binance", symbols=3) as venue:

        async def answer(request: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(f"{venue.url}{request.path_qs}")

        host.answer = answer
        async with tu.Exchange("binance", url=host.url, retries=0) as exchange:
            with pytest.raises(errors.RequestRefused, match="another host"):
                await exchange.fetch_ohlcv("BTC/USDT")
        assert not venue.requests.paths


@pytest.mark.parametrize(
    ("name", "symbol", "reply"),
    [
        ("kraken", "BTC/USD", {"error": [], "result": {"XXBTZUSD": {"bids": "BIDS", "asks": "ASKS"}}}),
        ("mexc", "BTC/USDT", {"lastUpdateId": 1, "bids": "BIDS", "asks": "ASKS"}),
        ("binance", "BTC/USDT", {"lastUpdateId": 1, "bids": "BIDS", "asks": "ASKS"}),
    ],
)
async def test_a_book_is_sorted_as_numbers(host: Host, name: str, symbol: str, reply: dict[str, Any]) -> None:
    """Some of ccxt's classes sort what they parsed: 99999.9 must not come before 100000.1."""
    text = json.dumps(reply)
    text = text.replace('"BIDS"', '[["99999.9", "1", 1], ["100000.1", "2", 1]]')
    text = text.replace('"ASKS"', '[["1000000.5", "1", 1], ["100000.2", "2", 1]]')
    host.answer = _say(text)
    venue = CcxtVenue(name, budget=LocalBudget, url=host.url)
    base, quote = symbol.split("/")
    venue._ccxt.set_markets(
        [{"id": "XXBTZUSD", "symbol": symbol, "base": base, "quote": quote, "type": "spot", "spot": True}]
    )
    try:
        book = await venue.fetch_order_book(symbol, None)
    finally:
        await venue.aclose()
    assert book.asks[0, 0] == 100000.2
    assert book.bids[0, 0] == 100000.1
