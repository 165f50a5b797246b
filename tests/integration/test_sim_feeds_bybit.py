"""ccxt.pro's own unmodified bybit class on the simulated venue's websockets."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiohttp
import ccxt
import ccxt.pro
import pytest

from tests.integration.test_sim_ccxt import loopback
from tradeutils import sim
from tradeutils.sim.feeds.events import Topic
from tradeutils.sim.limits import Limits

SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
RICH = dataclasses.replace(sim.DEFAULT_ACCOUNT, balances={"BTC": "1", "USDT": "2000000"})


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock."""
    async with sim.SimulatedVenue("bybit", symbols=6, linear=4, accounts=[RICH], limits=Limits.none()) as venue:
        yield venue


@contextlib.asynccontextmanager
async def watching(venue: sim.SimulatedVenue, *, account: Any = None) -> AsyncIterator[Any]:
    """Open ccxt's class on the venue, with the paths that it has for the real one."""
    keys = {} if account is None else {"apiKey": account.key, "secret": account.secret}
    exchange = ccxt.pro.bybit({"enableRateLimit": False, "timeout_on_exit": 0, **keys})
    exchange.urls["api"] = loopback(exchange.urls["api"], venue.url)
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


async def until(venue: sim.SimulatedVenue, kind: str, count: int = 1) -> None:
    """Wait until so many topics of a kind are followed."""
    deadline = time.monotonic() + 10
    while sum(topic.kind == kind for topic in venue.feeds.topics) != count:
        assert time.monotonic() < deadline, venue.feeds.summary()
        await asyncio.sleep(0.005)


async def after_step(venue: sim.SimulatedVenue, by: int | str, watch: Awaitable[Any]) -> Any:
    """Return what is watched for, once the clock has been moved."""
    waiting = asyncio.ensure_future(watch)
    await asyncio.sleep(0)
    venue.clock.step(by)
    return await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_tickers_are_those_of_rest(venue: sim.SimulatedVenue, symbol: str) -> None:
    """One market and several; of swaps put together from what changed; spot tells no bid and ask."""
    other = symbol.replace("BTC", "ETH")
    async with watching(venue) as exchange:
        await exchange.watch_ticker(symbol)
        for _ in range(5):
            ticker = await after_step(venue, 20_000, exchange.watch_ticker(symbol))
        known = await exchange.fetch_ticker(symbol)
        left_out = {"info", *(("bid", "ask", "bidVolume", "askVolume") if symbol == SPOT else ())}
        told = {name: value for name, value in ticker.items() if name not in left_out and value is not None}
        assert told.pop("datetime") == exchange.iso8601(venue.clock.now())
        assert told.pop("timestamp") == venue.clock.now()
        assert told == {name: known[name] for name in told}
        assert {"last", "high", "low", "baseVolume", "quoteVolume", "percentage", "open"} <= told.keys()
        assert ("bid" in told) == (symbol == SWAP)
        tickers = await exchange.watch_tickers([symbol, other])
        assert set(tickers) <= {symbol, other}
        assert {topic.market.removesuffix("-PERP") for topic in venue.feeds.topics} == {"BTCUSDT", "ETHUSDT"}


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_candles_are_those_of_rest(venue: sim.SimulatedVenue, symbol: str) -> None:
    """Several markets and timeframes on one connection; over five minutes none is missing or another."""
    other = symbol.replace("BTC", "ETH")
    wanted = [[symbol, "1m"], [other, "1m"], [symbol, "5m"]]
    async with watching(venue) as exchange:
        await exchange.watch_ohlcv_for_symbols(wanted)
        await until(venue, "klines", 3)
        for _ in range(12):
            await after_step(venue, 30_000, exchange.watch_ohlcv_for_symbols(wanted))
        await asyncio.sleep(0.15)
        for name, frame in wanted:
            kept = [list(row) for row in exchange.ohlcvs[name][frame]]
            assert kept == await exchange.fetch_ohlcv(name, frame, limit=len(kept))
            assert len(kept) > (1 if frame == "5m" else 6)


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_trades_are_those_of_rest(venue: sim.SimulatedVenue, symbol: str) -> None:
    """Each once, in order, with the id by which REST knows it."""
    other = symbol.replace("BTC", "ETH")
    async with watching(venue) as exchange:
        watched = asyncio.ensure_future(exchange.watch_trades_for_symbols([symbol, other]))
        await until(venue, "trades", 2)
        venue.clock.step(30_000)
        await watched
        await asyncio.sleep(0.15)
        heard = list(exchange.trades[symbol])
        rest = await exchange.fetch_trades(symbol, limit=len(heard))
        names = ("id", "timestamp", "price", "amount", "side", "cost")
        assert [[one[name] for name in names] for one in heard] == [[one[name] for name in names] for one in rest]
        assert len(heard) == 10
        assert set(exchange.trades) == {symbol, other}


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
@pytest.mark.parametrize("levels", [1, 50, 200, 1000])
async def test_the_book_that_ccxt_keeps_is_that_of_rest(venue: sim.SimulatedVenue, symbol: str, levels: int) -> None:
    """From the snapshot and the differences after it, twenty pulses later, as deep as REST tells."""
    async with watching(venue) as exchange:
        await exchange.watch_order_book(symbol, levels)
        for _ in range(20):
            await after_step(venue, 3_000, exchange.watch_order_book(symbol, levels))
        kept = exchange.orderbooks[symbol]
        most = min(levels, 200 if symbol == SPOT else 500)
        rest = await exchange.fetch_order_book(symbol, most)
        assert kept["timestamp"] == rest["timestamp"] == venue.clock.now()
        assert [list(level) for level in kept["bids"]][:most] == rest["bids"]
        assert [list(level) for level in kept["asks"]][:most] == rest["asks"]
        assert {len(kept["bids"]), len(kept["asks"])} == {levels}


async def test_what_is_no_longer_watched_is_unsubscribed(venue: sim.SimulatedVenue) -> None:
    """The venue follows nothing then, and the connection may be used again."""
    async with watching(venue) as exchange:
        await exchange.watch_ticker(SPOT)
        await exchange.watch_order_book(SPOT)
        await exchange.watch_ohlcv(SWAP, "1m")
        assert {topic.kind for topic in venue.feeds.topics} == {"ticker", "book", "klines"}
        await exchange.un_watch_ticker(SPOT)
        await exchange.un_watch_order_book(SPOT)
        await exchange.un_watch_ohlcv(SWAP, "1m")
        assert venue.feeds.topics == {}
        await exchange.watch_ticker(SPOT)
        assert set(venue.feeds.topics) == {Topic("ticker", "BTCUSDT")}


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_orders_and_balances_are_told_as_they_happen(venue: sim.SimulatedVenue, symbol: str) -> None:
    """A resting order, its cancellation, one that fills: each state in order, and the balance that REST has after."""
    async with watching(venue, account=RICH) as exchange:
        orders = asyncio.ensure_future(exchange.watch_orders(symbol))
        balance = asyncio.ensure_future(exchange.watch_balance())
        trades = asyncio.ensure_future(exchange.watch_my_trades(symbol))
        await until(venue, "balances")
        await until(venue, "orders")
        price = float(exchange.price_to_precision(symbol, (await exchange.fetch_ticker(symbol))["last"] * 0.9))
        made = await exchange.create_order(symbol, "limit", "buy", 0.01, price)
        (heard,) = await orders
        assert (heard["id"], heard["status"], heard["filled"], heard["price"]) == (made["id"], "open", 0, price)
        canceled = asyncio.ensure_future(exchange.watch_orders(symbol))
        await exchange.cancel_order(made["id"], symbol)
        assert [(one["id"], one["status"]) for one in await canceled] == [(made["id"], "canceled")]
        filled = await exchange.create_order(symbol, "limit", "buy", 0.02, float(f"{price * 1.2:.1f}"))
        last: dict[str, Any] = {}
        while last.get("id") != filled["id"] or last["status"] != "closed":
            last = (await asyncio.wait_for(exchange.watch_orders(symbol), 10))[-1]
        known = (await exchange.fetch_closed_orders(symbol, limit=1))[0]
        assert {name: last[name] for name in last if name != "info"} == {
            name: known[name] for name in last if name != "info"
        }
        await trades
        mine = await exchange.fetch_my_trades(symbol)
        assert [(one["id"], one["fee"], one["amount"]) for one in exchange.myTrades] == [
            (one["id"], one["fee"], one["amount"]) for one in mine
        ]
        await balance
        await asyncio.sleep(0.15)
        held, rest = exchange.balance["unified"], await exchange.fetch_balance()
        (coins,) = [account["coin"] for account in rest["info"]["result"]["list"]]
        for asset in ("USDT",) if symbol == SWAP else ("BTC", "USDT"):
            if symbol == SPOT:
                assert held[asset] == {name: rest[asset][name] for name in held[asset]}
            assert held[asset]["total"] == float(*(row["equity"] for row in coins if row["coin"] == asset))
    assert venue.requests.errors == 0


async def test_a_wrong_secret_is_refused(venue: sim.SimulatedVenue) -> None:
    """With an error of ccxt that has the venue's words, and nothing is followed."""
    async with watching(venue, account=RICH) as exchange:
        await exchange.is_unified_enabled()
        exchange.secret = "x" * 36
        with pytest.raises(ccxt.ExchangeError, match="error sign"):
            await asyncio.wait_for(exchange.watch_orders(SPOT), 10)
    assert venue.feeds.topics == {}


async def test_more_than_ten_topics_of_spot_are_refused(venue: sim.SimulatedVenue) -> None:
    """ccxt hands the venue's words on."""
    frames = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
    async with watching(venue) as exchange:
        with pytest.raises(ccxt.ExchangeError, match="args size >10"):
            await asyncio.wait_for(exchange.watch_ohlcv_for_symbols([[SPOT, frame] for frame in frames]), 10)
        await exchange.watch_ohlcv_for_symbols([[SWAP, frame] for frame in frames])


async def test_pings_in_json_are_answered_over_the_socket(venue: sim.SimulatedVenue) -> None:
    """As well as those of the protocol."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.url}/v5/public/linear") as socket:
        await socket.send_json({"op": "ping", "req_id": "1"})
        answer = await socket.receive_json(timeout=10)
        assert (answer["ret_msg"], answer["req_id"]) == ("pong", "1")
        await socket.send_str("not json")
        assert (await socket.receive_json(timeout=10))["success"] is False
