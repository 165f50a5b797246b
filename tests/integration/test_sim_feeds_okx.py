"""ccxt.pro's own unmodified okx class against the simulated venue's websockets, compared with what REST tells."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import ccxt
import ccxt.pro
import pytest

from tradeutils import sim
from tradeutils.sim import DEFAULT_ACCOUNT
from tradeutils.sim.feeds.events import Topic
from tradeutils.sim.limits import Limits

SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
_SECONDS = 5.0


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock that counts and refuses nothing."""
    async with sim.SimulatedVenue("okx", symbols=6, linear=4, limits=Limits.none(), pulse=0.01) as venue:
        yield venue


@contextlib.asynccontextmanager
async def _client(venue: sim.SimulatedVenue, **changed: Any) -> AsyncIterator[Any]:
    keys = {"apiKey": DEFAULT_ACCOUNT.key, "secret": DEFAULT_ACCOUNT.secret, "password": DEFAULT_ACCOUNT.passphrase}
    urls = {"api": {"rest": venue.url, "ws": f"{venue.url.replace('http', 'ws', 1)}/ws/v5"}}
    client = ccxt.pro.okx({**keys, "urls": urls, "enableRateLimit": False, "timeout_on_exit": 0, **changed})
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    """ccxt's class, with the keys of the venue's account."""
    async with _client(venue) as client:
        yield client


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
    before = len(_topics(venue, kind))
    future = asyncio.ensure_future(awaited)
    await until(lambda: len(_topics(venue, kind)) > before or future.done())
    return future


def _topics(venue: sim.SimulatedVenue, kind: str) -> list[Topic]:
    return [one for one in venue.feeds.topics if one.kind == kind]


def figures(ticker: Any) -> dict[str, Any]:
    """Return what a ticker says, without how it was told."""
    return {name: value for name, value in ticker.items() if name != "info"}


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_watch_ticker_is_fetch_ticker(venue: sim.SimulatedVenue, client: Any, symbol: str) -> None:
    """At first and as the market moves."""
    for _ in range(4):
        watched = await soon(client.watch_ticker(symbol))
        assert figures(watched) == figures(await client.fetch_ticker(symbol))
        venue.clock.step(3_000)


async def test_watch_tickers_and_bids_asks_tell_of_each_market(venue: sim.SimulatedVenue, client: Any) -> None:
    """Of all that were asked for, in one request."""
    symbols = [SPOT, "ETH/USDT", SWAP]
    await soon(client.watch_tickers(symbols))
    await until(lambda: set(client.tickers) == set(symbols))
    for symbol in symbols:
        assert figures(client.tickers[symbol]) == figures(await client.fetch_ticker(symbol))
    told = (await soon(client.watch_bids_asks([SPOT])))[SPOT]
    rest = await client.fetch_ticker(SPOT)
    assert (told["bid"], told["ask"], told["bidVolume"]) == (rest["bid"], rest["ask"], rest["bidVolume"])


@pytest.mark.parametrize(("timeframe", "step"), [("1m", 20_000), ("1h", 600_000)])
async def test_watch_ohlcv_is_fetch_ohlcv(venue: sim.SimulatedVenue, client: Any, timeframe: str, step: int) -> None:
    """Each candle with the values that REST keeps of it."""
    seen: dict[int, list[float]] = {}
    for _ in range(14):
        for row in await soon(client.watch_ohlcv(SPOT, timeframe)):
            seen[row[0]] = row
        venue.clock.step(step)
    rest = await client.fetch_ohlcv(SPOT, timeframe, since=min(seen), limit=len(seen))
    assert len(seen) >= 3
    assert [seen[row[0]] for row in rest[:-1]] == rest[:-1]


async def test_watch_ohlcv_of_days_is_of_hong_kongs(venue: sim.SimulatedVenue, client: Any) -> None:
    """ccxt asks for days that open at 16 o'clock UTC, where its REST calls ask for those of UTC."""
    (row,) = await soon(client.watch_ohlcv(SPOT, "1d"))
    assert row[0] % 86_400_000 == 16 * 3_600_000
    rest = await client.fetch_ohlcv(SPOT, "1d", limit=1)
    assert rest[-1][0] % 86_400_000 == 0


async def test_watch_ohlcv_for_symbols_tells_of_each(venue: sim.SimulatedVenue, client: Any) -> None:
    """By symbol and timeframe, in one request."""
    wanted = [[SPOT, "1m"], ["ETH/USDT", "5m"], [SWAP, "1m"]]
    await soon(client.watch_ohlcv_for_symbols(wanted))
    await until(lambda: all(client.ohlcvs.get(symbol, {}).get(frame) for symbol, frame in wanted))
    for symbol, frame in wanted:
        assert client.ohlcvs[symbol][frame][-1] == (await client.fetch_ohlcv(symbol, frame, limit=1))[-1]


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_watch_trades_is_fetch_trades(venue: sim.SimulatedVenue, client: Any, symbol: str) -> None:
    """Each trade once and in order."""
    watching = await subscribed(venue, client.watch_trades(symbol), "trades")
    before = (await client.fetch_trades(symbol))[-1]["id"]
    seen: list[Any] = []
    for _ in range(6):
        venue.clock.step(9_000)
        seen += await soon(watching)
        watching = asyncio.ensure_future(client.watch_trades(symbol))
        await asyncio.sleep(0)
    watching.cancel()
    rest = [one for one in await client.fetch_trades(symbol, limit=500) if int(one["id"]) > int(before)]
    told = ("id", "timestamp", "symbol", "side", "price", "amount", "cost")
    assert [[one[name] for name in told] for one in seen] == [[one[name] for name in told] for one in rest]


async def test_watch_trades_for_symbols_tells_of_each(venue: sim.SimulatedVenue, client: Any) -> None:
    """In one request; ccxt gives back one of those that come together, and keeps all."""
    symbols = [SPOT, SWAP]
    watching = await subscribed(venue, client.watch_trades_for_symbols(symbols), "trades")
    venue.clock.step(9_000)
    await soon(watching)
    await until(lambda: set(client.trades) == set(symbols))
    for symbol in symbols:
        assert client.trades[symbol][-1]["id"] == (await client.fetch_trades(symbol))[-1]["id"]


def sides(book: Any, depth: int = 400) -> list[list[tuple[float, float]]]:
    """Return price and amount of both sides."""
    return [[(level[0], level[1]) for level in book[name][:depth]] for name in ("bids", "asks")]


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_the_book_that_ccxt_builds_is_rests(venue: sim.SimulatedVenue, client: Any, symbol: str) -> None:
    """The same number, and to it the same levels, after many differences."""
    book = await soon(client.watch_order_book(symbol))
    assert len(book["bids"]) == 400
    for pulse in range(60):
        venue.clock.step(150 if pulse % 10 else 30_000)
        book = await soon(client.watch_order_book(symbol))
        if pulse % 5 == 0:
            rest = await client.fetch_order_book(symbol, 400)
            assert book["timestamp"] == rest["timestamp"] == venue.clock.now()
            assert sides(book) == sides(rest)


@pytest.mark.parametrize("depth", [1, 5])
async def test_small_books_are_rests(venue: sim.SimulatedVenue, client: Any, depth: int) -> None:
    """``bbo-tbt`` and ``books5``."""
    for _ in range(5):
        book = await soon(client.watch_order_book(SPOT, depth))
        assert sides(book) == sides(await client.fetch_order_book(SPOT, depth))
        venue.clock.step(3_000)


async def test_watch_order_book_for_symbols_tells_of_each(venue: sim.SimulatedVenue, client: Any) -> None:
    """In one request; each as REST tells it."""
    symbols = [SPOT, "ETH/USDT", SWAP]
    await soon(client.watch_order_book_for_symbols(symbols))
    venue.clock.step(3_000)
    now = venue.clock.now()
    await until(lambda: all(client.orderbooks.get(one, {}).get("timestamp") == now for one in symbols))
    for symbol in symbols:
        assert sides(client.orderbooks[symbol]) == sides(await client.fetch_order_book(symbol, 400))


async def test_what_is_unwatched_is_told_no_more(venue: sim.SimulatedVenue, client: Any) -> None:
    """Each kind, until the venue follows nothing; and it can be watched again."""
    await soon(client.watch_ticker(SPOT))
    await soon(client.watch_order_book(SPOT))
    await soon(client.watch_ohlcv_for_symbols([[SPOT, "1m"]]))
    watching = await subscribed(venue, client.watch_trades(SPOT), "trades")
    venue.clock.step(5_000)
    await soon(watching)
    assert len(venue.feeds.topics) == 4
    await soon(client.un_watch_tickers([SPOT]))
    await soon(client.un_watch_order_book(SPOT))
    await soon(client.un_watch_ohlcv_for_symbols([[SPOT, "1m"]]))
    await soon(client.un_watch_trades(SPOT))
    await until(lambda: not venue.feeds.topics)
    book = await soon(client.watch_order_book(SPOT))
    assert sides(book) == sides(await client.fetch_order_book(SPOT, 400))


async def test_pings_are_answered(venue: sim.SimulatedVenue) -> None:
    """Text, as ccxt sends it and expects it."""
    async with _client(venue, streaming={"keepAlive": 100}) as client:
        await soon(client.watch_ticker(SPOT))
        (line,) = client.clients.values()
        before = line.lastPong
        await until(lambda: line.lastPong and line.lastPong != before)


async def test_watch_balance_is_fetch_balance(venue: sim.SimulatedVenue, client: Any) -> None:
    """At first, and after an order that locks and one that trades."""

    def held(balance: Any) -> dict[str, Any]:
        return {name: balance[name] for name in ("free", "used", "total")}

    watched = await soon(client.watch_balance())
    assert held(watched) == held(await client.fetch_balance())
    for terms in (("limit", "buy", 0.01, 60_000), ("market", "sell", 0.05)):
        watching = asyncio.ensure_future(client.watch_balance())
        await asyncio.sleep(0)
        await client.create_order(SPOT, *terms)
        watched = await soon(watching)
        rest = await client.fetch_balance()
        assert watched["total"] == rest["total"]
        assert watched["free"]["USDT"] == rest["free"]["USDT"]


async def test_watch_orders_tells_what_becomes_of_an_order(venue: sim.SimulatedVenue, client: Any) -> None:
    """Open, then canceled; and one that is filled when the market reaches it."""
    watching = await subscribed(venue, client.watch_orders(), "orders")
    resting = await client.create_order(SPOT, "limit", "buy", 0.01, 60_000)
    (told,) = await soon(watching)
    assert (told["id"], told["status"], told["price"], told["filled"]) == (resting["id"], "open", 60_000, 0)
    watching = asyncio.ensure_future(client.watch_orders())
    await asyncio.sleep(0)
    await client.cancel_order(resting["id"], SPOT)
    (told,) = await soon(watching)
    assert (told["id"], told["status"]) == (resting["id"], "canceled")
    price = (await client.fetch_ticker(SPOT))["last"]
    watching = asyncio.ensure_future(client.watch_orders())
    await asyncio.sleep(0)
    near = await client.create_order(SPOT, "limit", "sell", 0.02, price + 20)
    assert (await soon(watching))[0]["status"] == "open"
    watching = asyncio.ensure_future(client.watch_orders())
    await asyncio.sleep(0)
    venue.clock.step("1d")
    (told,) = await soon(watching)
    rest = await client.fetch_order(near["id"], SPOT)
    assert (told["id"], told["status"], told["filled"]) == (near["id"], "closed", 0.02)
    for name in ("average", "cost", "fee", "filled", "remaining", "lastTradeTimestamp"):
        assert told[name] == rest[name], name


@pytest.mark.parametrize(("symbol", "amount"), [(SPOT, 0.2), (SWAP, 30.0)])
async def test_fills_are_told_in_order_before_the_order_is_closed(
    venue: sim.SimulatedVenue, client: Any, symbol: str, amount: float
) -> None:
    """The messages that ccxt reads, in the order in which they came; each fill as REST tells it."""
    messages: list[Any] = []
    handle = client.handle_orders

    def read(line: Any, message: Any) -> None:
        messages.extend(message["data"])
        handle(line, message)

    client.handle_orders = read
    watching = await subscribed(venue, client.watch_my_trades(symbol), "orders")
    order = await client.create_order(symbol, "market", "sell", amount)
    await soon(watching)
    await until(lambda: messages and messages[-1]["state"] == "filled")
    fills = await client.fetch_my_trades(symbol)
    assert [one["state"] for one in messages] == ["live", *["partially_filled"] * (len(fills) - 1), "filled"]
    assert {one["ordId"] for one in messages} == {order["id"]}
    assert [one["tradeId"] for one in messages[1:]] == [fill["id"] for fill in fills]
    told = {one["id"]: one for one in client.myTrades}
    for fill in fills:
        assert [told[fill["id"]][name] for name in ("price", "amount", "side", "takerOrMaker")] == [
            fill[name] for name in ("price", "amount", "side", "takerOrMaker")
        ]
        assert told[fill["id"]]["fee"]["cost"] == -fill["fee"]["cost"]


async def test_watch_orders_of_triggers_is_told_apart(venue: sim.SimulatedVenue, client: Any) -> None:
    """At the address for business, after a login of its own."""
    watching = await subscribed(venue, client.watch_orders(SPOT, params={"trigger": True}), "orders")
    await client.create_order(SPOT, "market", "sell", 0.01, params={"triggerPrice": 60_000})
    (told,) = await soon(watching)
    assert (told["status"], told["triggerPrice"]) == ("open", 60_000)


async def test_a_wrong_secret_is_an_authentication_error(venue: sim.SimulatedVenue) -> None:
    """As ccxt reads the venue's code."""
    async with _client(venue) as client:
        await client.load_markets()
        client.secret = "other"
        with pytest.raises(ccxt.AuthenticationError, match="60007"):
            await soon(client.watch_orders())


async def test_a_timeframe_that_there_is_not_is_an_error(venue: sim.SimulatedVenue, client: Any) -> None:
    """As ccxt reads the venue's code."""
    with pytest.raises(ccxt.ExchangeError, match="60018"):
        await soon(client.watch_ohlcv(SPOT, "7m"))


async def test_a_fourth_connection_in_a_second_is_refused() -> None:
    """By the venue's own limits; the second is a long one here, so that a slow machine makes no difference."""
    async with sim.SimulatedVenue("okx", symbols=2) as venue, contextlib.AsyncExitStack() as stack:
        venue.gate.clock = lambda: 1e9
        clients = [await stack.enter_async_context(_client(venue)) for _ in range(4)]
        markets = await clients[0].load_markets()
        for client in clients[1:]:
            client.set_markets(list(markets.values()))
        told = await asyncio.gather(*(soon(one.watch_ticker(SPOT)) for one in clients), return_exceptions=True)
        refused = [one for one in told if isinstance(one, Exception)]
        assert [type(one) for one in refused] == [ccxt.NetworkError]
        assert "429" in str(refused[0])
