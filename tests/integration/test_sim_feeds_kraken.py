"""ccxt.pro's own unmodified kraken class against the simulated venue's websockets, compared with what REST tells."""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tradeutils import sim
from tradeutils.sim import DEFAULT_ACCOUNT
from tradeutils.sim.feeds import pulse as pulses
from tradeutils.sim.limits import Limits

SYMBOL, OTHER = "BTC/USDT", "ETH/USDT"
_SECONDS = 20.0


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock that counts and refuses nothing."""
    async with sim.SimulatedVenue("kraken", symbols=6, limits=Limits.none(), pulse=0.01) as venue:
        yield venue


@pytest.fixture
async def client(venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    """ccxt's class, with the keys of the venue's account."""
    async with _client(venue) as client:
        yield client


@contextlib.asynccontextmanager
async def _client(venue: sim.SimulatedVenue, **changed: Any) -> AsyncIterator[Any]:
    keys = {"apiKey": DEFAULT_ACCOUNT.key, "secret": DEFAULT_ACCOUNT.secret}
    sockets = venue.url.replace("http", "ws", 1)
    # Both hosts of the venue are one here; ccxt keeps a client by its address, and so each has a query of its own.
    feeds = {
        "public": sockets,
        "private": f"{sockets}/",
        "publicV2": f"{sockets}/v2",
        "privateV2": f"{sockets}/v2?private",
    }
    urls = {"api": {"public": venue.url, "private": venue.url, "ws": feeds}}
    client = ccxt.pro.kraken({**keys, "urls": urls, "enableRateLimit": False, "timeout_on_exit": 0, **changed})
    try:
        yield client
    finally:
        await client.close()


async def soon(awaited: Awaitable[Any]) -> Any:
    """Return what comes; fail where nothing does."""
    return await asyncio.wait_for(awaited, _SECONDS)


async def until(done: Callable[[], object]) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(_SECONDS):
        while not done():  # noqa: ASYNC110  # ccxt has no event for what it keeps
            await asyncio.sleep(0.005)


async def subscribed(venue: sim.SimulatedVenue, awaited: Awaitable[Any], kind: str) -> asyncio.Future[Any]:
    """Start to watch, and return once the venue knows of it."""
    future = asyncio.ensure_future(awaited)
    await until(lambda: any(one.kind == kind for one in venue.feeds.topics) or future.done())
    return future


def heard(client: Any) -> list[Any]:
    """Return the list to which every message is added that ccxt reads; to be asked for before it connects."""
    messages: list[Any] = []
    handle = client.handle_message

    def read(line: Any, message: Any) -> None:
        messages.append(message)
        handle(line, message)

    client.handle_message = read
    return messages


def refusals(messages: list[Any]) -> list[str]:
    """Return the words of those that say no."""
    return [one["error"] for one in messages if "error" in one]


def executions(messages: list[Any]) -> list[Any]:
    """Return the rows of the channel of orders, in the order in which they came."""
    return [row for one in messages if one.get("channel") == "executions" for row in one["data"]]


async def test_watch_ticker_is_fetch_ticker(venue: sim.SimulatedVenue, client: Any) -> None:
    """At first and as the market moves; the feed tells no time, and the price of a day ago only as a change."""
    for _ in range(4):
        watched, rest = await soon(client.watch_ticker(SYMBOL)), await client.fetch_ticker(SYMBOL)
        for name in ("symbol", "high", "low", "bid", "ask", "last", "vwap", "baseVolume"):
            assert watched[name] == rest[name], name
        venue.clock.step(3_000)


async def test_watch_tickers_tells_of_each_market(venue: sim.SimulatedVenue, client: Any) -> None:
    """Of all that were asked for, in one request."""
    await soon(client.watch_tickers([SYMBOL, OTHER, "BNB/USDT"]))
    await until(lambda: len(client.tickers) == 3)
    assert client.tickers[OTHER]["last"] == (await client.fetch_ticker(OTHER))["last"]


@pytest.mark.parametrize(("timeframe", "step"), [("1m", 20_000), ("1h", 600_000)])
async def test_watch_ohlcv_is_fetch_ohlcv(venue: sim.SimulatedVenue, client: Any, timeframe: str, step: int) -> None:
    """Each candle with the values that REST keeps of it, those too with which the channel begins."""
    seen: dict[int, list[float]] = {}
    for _ in range(14):
        await soon(client.watch_ohlcv(SYMBOL, timeframe))
        seen |= {row[0]: list(row) for row in client.ohlcvs[SYMBOL][timeframe]}
        venue.clock.step(step)
    rest = await client.fetch_ohlcv(SYMBOL, timeframe, since=min(seen), limit=len(seen))
    assert len(seen) >= 12
    assert [seen[row[0]] for row in rest[:-1]] == rest[:-1]


async def test_a_second_timeframe_of_a_market_is_refused_on_the_same_connection(
    venue: sim.SimulatedVenue, client: Any
) -> None:
    """ccxt knows all timeframes of a market by one name, and gives who asks for the second the first one's candles."""
    messages = heard(client)
    await soon(client.watch_ohlcv(SYMBOL, "5m"))
    watching = asyncio.ensure_future(client.watch_ohlcv(SYMBOL, "1m"))
    await asyncio.sleep(0)
    venue.clock.step(5_000)
    assert (await soon(watching))[-1][0] % 300_000 == 0
    request = {"method": "subscribe", "params": {"channel": "ohlc", "symbol": [SYMBOL], "interval": 1}}
    await client.client(client.urls["api"]["ws"]["publicV2"]).send(request)
    await until(lambda: "Already subscribed to one ohlc interval on this symbol" in refusals(messages))


async def test_watch_trades_is_fetch_trades(venue: sim.SimulatedVenue, client: Any) -> None:
    """Each trade once and in order."""
    before = (await client.fetch_trades(SYMBOL))[-1]["id"]
    watching = await subscribed(venue, client.watch_trades(SYMBOL), "trades")
    seen: list[Any] = []
    for _ in range(6):
        venue.clock.step(9_000)
        seen += await soon(watching)
        watching = asyncio.ensure_future(client.watch_trades(SYMBOL))
        await asyncio.sleep(0)
    watching.cancel()
    rest = [one for one in await client.fetch_trades(SYMBOL) if int(one["id"]) > int(before)]
    told = ("id", "timestamp", "symbol", "side", "price", "amount", "cost")
    assert [[one[name] for name in told] for one in seen] == [[one[name] for name in told] for one in rest]


async def test_watch_trades_for_symbols_tells_of_each(venue: sim.SimulatedVenue, client: Any) -> None:
    """In one request."""
    watching = await subscribed(venue, client.watch_trades_for_symbols([SYMBOL, OTHER]), "trades")
    venue.clock.step(9_000)
    await soon(watching)
    await until(lambda: set(client.trades) == {SYMBOL, OTHER})


def sides(book: Any, depth: int) -> list[list[tuple[float, float]]]:
    """Return price and amount of both sides."""
    return [[(level[0], level[1]) for level in book[name][:depth]] for name in ("bids", "asks")]


@pytest.mark.parametrize("depth", [None, 100, 500])
async def test_the_book_that_ccxt_builds_is_rests(venue: sim.SimulatedVenue, client: Any, depth: int | None) -> None:
    """The same levels after many differences, and each checksum is that of the book as ccxt then has it."""
    proven: list[bool] = []
    await client.load_markets()
    market, handle = client.market(SYMBOL), client.handle_order_book
    digits = [Decimal(str(market["precision"][name])) for name in ("price", "amount")]

    def prove(line: Any, message: Any) -> None:
        handle(line, message)
        text = "".join(
            str(Decimal(repr(value)).quantize(step)).replace(".", "").lstrip("0")
            for name in ("asks", "bids")
            for level in client.orderbooks[SYMBOL][name][:10]
            for value, step in zip(level, digits, strict=True)
        )
        proven.append(binascii.crc32(text.encode()) == message["data"][0]["checksum"])

    client.handle_order_book = prove
    for pulse in range(60):
        book = await soon(client.watch_order_book(SYMBOL, depth))
        if pulse % 5 == 0:
            levels = depth or 10
            assert sides(book, levels) == sides(await client.fetch_order_book(SYMBOL, levels), levels)
        venue.clock.step(400 if pulse % 10 else 30_000)
    assert len(proven) >= 60
    assert all(proven)


async def test_watch_order_book_for_symbols_tells_of_each(venue: sim.SimulatedVenue, client: Any) -> None:
    """In one request; each as REST tells it."""
    await soon(client.watch_order_book_for_symbols([SYMBOL, OTHER], 25))
    venue.clock.step(3_000)
    moment = client.iso8601(venue.clock.now())[:-1]
    await until(
        lambda: all((client.orderbooks.get(one, {}).get("datetime") or "")[:23] == moment for one in (SYMBOL, OTHER))
    )
    for symbol in (SYMBOL, OTHER):
        assert sides(client.orderbooks[symbol], 25) == sides(await client.fetch_order_book(symbol, 25), 25)


async def test_heartbeats_and_pongs_are_told(venue: sim.SimulatedVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ccxt reads; its seconds are short ones here."""
    monkeypatch.setattr(pulses, "_TICK_S", 0.05)
    async with _client(venue, streaming={"keepAlive": 100}) as client:
        beats = heard(client)
        await soon(client.watch_ticker(SYMBOL))
        await until(lambda: any(one.get("method") == "pong" for one in beats))
        await until(lambda: {"channel": "heartbeat"} in beats)
        assert beats[0]["channel"] == "status"


async def test_watch_balance_is_fetch_balance(venue: sim.SimulatedVenue, client: Any) -> None:
    """At first, and after an order that trades."""
    watched = await soon(client.watch_balance())
    rest = await client.fetch_balance()
    assert watched["total"] == {name: total for name, total in rest["total"].items() if total}
    watching = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(0)
    await client.create_order(SYMBOL, "market", "sell", 0.05)
    await soon(watching)
    rest = await client.fetch_balance()
    await until(lambda: client.balance["spot"]["total"]["USDT"] == rest["total"]["USDT"])
    assert client.balance["spot"]["total"]["BTC"] == rest["total"]["BTC"]


async def test_watch_orders_tells_what_becomes_of_an_order(venue: sim.SimulatedVenue, client: Any) -> None:
    """Open, then canceled: by its id, as the venue names no market where it tells of a change."""
    messages = heard(client)
    watching = await subscribed(venue, client.watch_orders(), "orders")
    resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, 60_000)
    (told,) = await soon(watching)
    assert (told["id"], told["status"], told["price"], told["symbol"]) == (resting["id"], "open", 60_000, SYMBOL)
    await client.cancel_order(resting["id"], SYMBOL)
    await until(lambda: any(row["exec_type"] == "canceled" for row in executions(messages)))
    rows = executions(messages)
    assert [row["exec_type"] for row in rows] == ["pending_new", "new", "canceled"]
    assert {row["order_id"] for row in rows} == {resting["id"]}
    latest = client.orders[-1]
    assert (latest["id"], latest["status"], latest["symbol"]) == (resting["id"], "canceled", None)


async def test_fills_are_told_in_order_before_the_order_is_closed(venue: sim.SimulatedVenue, client: Any) -> None:
    """Each as REST tells it; then that all is filled."""
    messages = heard(client)
    watching = await subscribed(venue, client.watch_my_trades(SYMBOL), "orders")
    order = await client.create_order(SYMBOL, "market", "sell", 0.2)
    await soon(watching)
    await until(lambda: any(row["exec_type"] == "filled" for row in executions(messages)))
    rows = executions(messages)
    fills = sorted(await client.fetch_my_trades(SYMBOL), key=lambda fill: fill["id"])
    assert [row["exec_type"] for row in rows] == ["pending_new", "new", *["trade"] * len(fills), "filled"]
    assert [row["exec_id"] for row in rows[2:-1]] == [fill["id"] for fill in fills]
    told = {one["id"]: one for one in client.myTrades}
    for fill in fills:
        for name in ("order", "price", "amount", "side", "cost", "timestamp"):
            assert told[fill["id"]][name] == fill[name], name
        assert told[fill["id"]]["fee"]["cost"] == pytest.approx(fill["fee"]["cost"])
    rest = await client.fetch_order(order["id"], SYMBOL)
    assert (rows[-1]["cum_qty"], rows[-1]["avg_price"]) == (rest["filled"], rest["average"])


async def test_orders_begin_with_those_that_are_open(venue: sim.SimulatedVenue, client: Any) -> None:
    """Placed before anyone watched."""
    resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, 60_000)
    (told,) = await soon(client.watch_orders())
    assert (told["id"], told["status"], told["amount"]) == (resting["id"], "open", 0.01)


async def test_one_token_serves_all_private_channels(venue: sim.SimulatedVenue, client: Any) -> None:
    """ccxt asks REST for one; it is told in no message."""
    messages = heard(client)
    await soon(client.watch_balance())
    watching = await subscribed(venue, client.watch_orders(), "orders")
    await client.create_order(SYMBOL, "limit", "buy", 0.01, 60_000)
    await soon(watching)
    (token,) = {
        one["token"] for line in client.clients.values() for one in line.subscriptions.values()
        if isinstance(one, dict) and "token" in one
    }  # fmt: skip
    assert token not in json.dumps(messages)
    assert venue.requests.paths["/0/private/GetWebSocketsToken"] == 1


async def test_a_token_that_has_ended_is_refused(venue: sim.SimulatedVenue, client: Any) -> None:
    """In the venue's words, by which a client knows that it must ask for another."""
    await client.load_markets()
    await client.authenticate()
    venue.clock.step(901_000)
    messages = heard(client)
    watching = asyncio.ensure_future(client.watch_orders())
    await until(lambda: "ESession:Invalid session" in refusals(messages))
    watching.cancel()


async def test_a_wrong_secret_gets_no_token(venue: sim.SimulatedVenue, client: Any) -> None:
    """From REST, which issues them; what ccxt makes of its words."""
    await client.load_markets()
    client.secret = "b3RoZXI="
    with pytest.raises(ccxt.ExchangeError, match="Invalid signature"):
        await soon(client.watch_orders())
