"""ccxt.pro's own unmodified binance class on the simulated venue's websockets."""

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

from tests.integration.test_sim_ccxt import connected, loopback
from tradeutils import sim
from tradeutils.sim import FeedFault
from tradeutils.sim.feeds.events import Topic
from tradeutils.sim.limits import Limits

SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
RICH = dataclasses.replace(
    sim.DEFAULT_ACCOUNT, balances={"BTC": "1", "USDT": "2000000"}, wallets={"swap": {"USDT": "100000"}}
)


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock."""
    async with sim.SimulatedVenue(symbols=6, linear=4, accounts=[RICH], limits=Limits.none()) as venue:
        yield venue


@contextlib.asynccontextmanager
async def watching(venue: sim.SimulatedVenue, *, account: Any = None, **more: Any) -> AsyncIterator[Any]:
    """Open ccxt's class on the venue; "/stream" in an address is how it knows spot, whose real host has it."""
    async with connected(venue, account=account, cls=ccxt.pro.binance, **more) as exchange:
        exchange.urls["api"]["ws"] = loopback(exchange.urls["api"]["ws"], venue.url)
        exchange.urls["api"]["ws"]["spot"] += "?/stream"
        await exchange.load_markets()
        yield exchange


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


def told(value: dict[str, Any], *left_out: str) -> dict[str, Any]:
    """Return what ccxt tells, but for what is not of the market."""
    return {name: one for name, one in value.items() if name not in ("info", *left_out) and one is not None}


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_tickers_are_those_of_rest(venue: sim.SimulatedVenue, symbol: str) -> None:
    """One market, several and all, long and short, and the best prices: equal to REST's at the same moment."""
    kind = {"type": "swap", "subType": "linear"} if symbol == SWAP else {"type": "spot"}
    other = symbol.replace("BTC", "ETH")
    async with watching(venue) as exchange:
        await exchange.watch_ticker(symbol)
        ticker = await after_step(venue, "1m", exchange.watch_ticker(symbol))
        known = await exchange.fetch_ticker(symbol)
        short = told(ticker, "percentage", "vwap")  # which the short ticker leaves ccxt to work out
        assert short == {name: known[name] for name in short}
        assert ticker["timestamp"] == venue.clock.now()
        full = await exchange.watch_ticker(symbol, {"name": "ticker"})
        assert told(full) == {name: known[name] for name in told(full)}
        assert {"percentage", "vwap", "change"} <= told(full).keys()
        tickers = await exchange.watch_tickers([symbol, other])
        assert set(tickers) <= {symbol, other}
        every = await exchange.watch_tickers(None, kind)
        rest = await exchange.fetch_tickers(None, kind)
        assert set(every) == set(rest)
        for name, row in every.items():
            assert (row["last"], row["baseVolume"]) == (rest[name]["last"], rest[name]["baseVolume"])
        best = (await exchange.watch_bids_asks([symbol]))[symbol]
        book = await exchange.fetch_order_book(symbol, 5)
        assert [best["bid"], best["bidVolume"]] == book["bids"][0]
        assert [best["ask"], best["askVolume"]] == book["asks"][0]


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
        await asyncio.sleep(0.15)  # the rest of the last beat
        for name, frame in wanted:
            kept = [list(row) for row in exchange.ohlcvs[name][frame]]
            rest = await exchange.fetch_ohlcv(name, frame, limit=len(kept))
            assert kept == rest
            assert len(kept) > (1 if frame == "5m" else 6)


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
async def test_trades_are_those_of_rest(venue: sim.SimulatedVenue, symbol: str) -> None:
    """Each once, in order, with the id by which REST knows it."""
    other = symbol.replace("BTC", "ETH")
    heard: list[dict[str, Any]] = []
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
async def test_the_book_that_ccxt_keeps_is_that_of_rest(venue: sim.SimulatedVenue, symbol: str) -> None:
    """From a snapshot amid the stream and the differences after it, number by number, forty pulses later."""
    other = symbol.replace("BTC", "ETH")
    async with watching(venue) as exchange:
        await exchange.watch_order_book_for_symbols([symbol, other])
        for _ in range(40):
            await after_step(venue, 700, exchange.watch_order_book_for_symbols([symbol, other]))
        await asyncio.sleep(0.15)
        for name in (symbol, other):
            kept = exchange.orderbooks[name]
            rest = await exchange.fetch_order_book(name, 1000)
            assert kept["nonce"] == rest["nonce"] == venue.clock.now()
            assert [list(level) for level in kept["bids"]] == rest["bids"]
            assert [list(level) for level in kept["asks"]] == rest["asks"]


async def test_a_running_book_never_breaks() -> None:
    """With a clock that runs and pulses every 20 ms, snapshots that come when they come fit the stream."""
    async with sim.SimulatedVenue(symbols=6, linear=4, limits=Limits.none(), pulse=0.02, speed=20.0) as venue:
        async with watching(venue) as exchange:
            for symbol in (SPOT, SWAP, SPOT.replace("BTC", "ETH")):
                for _ in range(8):
                    book = await asyncio.wait_for(exchange.watch_order_book(symbol), 10)
                    assert book["bids"][0][0] < book["asks"][0][0]
        assert venue.requests.errors == 0


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
    kind = {"type": "swap" if symbol == SWAP else "spot"}
    async with watching(venue, account=RICH, options={"defaultType": kind["type"]}) as exchange:
        orders, balance = (
            asyncio.ensure_future(one) for one in (exchange.watch_orders(symbol), exchange.watch_balance(kind))
        )
        await until(venue, "orders")
        price = float(exchange.price_to_precision(symbol, (await exchange.fetch_ticker(symbol))["last"] * 0.9))
        made = await exchange.create_order(symbol, "limit", "buy", 0.01, price)
        (heard,) = await orders
        assert (heard["id"], heard["status"], heard["filled"], heard["price"]) == (made["id"], "open", 0, price)
        canceled = asyncio.ensure_future(exchange.watch_orders(symbol))
        await exchange.cancel_order(made["id"], symbol)
        assert [(one["id"], one["status"]) for one in await canceled] == [(made["id"], "canceled")]
        filled = await exchange.create_order(symbol, "market", "buy", 0.02)
        last: dict[str, Any] = {}
        while last.get("id") != filled["id"] or last["status"] != "closed":
            last = (await asyncio.wait_for(exchange.watch_orders(symbol), 10))[-1]
        known = await exchange.fetch_order(filled["id"], symbol)
        assert (last["filled"], last["average"]) == (known["filled"], known["average"]) == (0.02, last["average"])
        trades = await exchange.fetch_my_trades(symbol)
        assert [one["id"] for one in exchange.myTrades] == [one["id"] for one in trades]
        assert [one["fee"] for one in exchange.myTrades] == [one["fee"] for one in trades]
        await balance
        held = exchange.balance["linear" if symbol == SWAP else "spot"]
        rest = await exchange.fetch_balance(kind)
        if symbol == SPOT:
            assert [held[asset] for asset in ("BTC", "USDT")] == [rest[asset] for asset in ("BTC", "USDT")]
        else:  # of swaps REST's total has what is not realised in it, the stream's has not
            (wallet,) = [row["walletBalance"] for row in rest["info"]["assets"] if row["asset"] == "USDT"]
            assert held["USDT"]["total"] == float(wallet)
    assert venue.requests.errors == 0


async def test_fills_that_the_clock_brings_are_told(venue: sim.SimulatedVenue) -> None:
    """An order that rests is filled when the price comes to it, and who watches hears of it."""
    async with watching(venue, account=RICH) as exchange:
        last = (await exchange.fetch_ticker(SPOT))["last"]
        made = await exchange.create_order(SPOT, "limit", "sell", 0.1, float(exchange.price_to_precision(SPOT, last)))
        if made["status"] == "closed":
            price = float(exchange.price_to_precision(SPOT, last * 1.0005))
            made = await exchange.create_order(SPOT, "limit", "sell", 0.1, price)
        watched = asyncio.ensure_future(exchange.watch_orders(SPOT))
        await until(venue, "orders")
        for _ in range(100):
            venue.clock.step("1h")
            done, _ = await asyncio.wait([watched], timeout=0.1)
            if done:
                break
        (heard,) = await watched
        assert (heard["id"], heard["status"], heard["filled"]) == (made["id"], "closed", 0.1)
        assert heard["lastTradeTimestamp"] <= venue.clock.now()


async def test_a_wrong_secret_is_refused(venue: sim.SimulatedVenue) -> None:
    """With the error that ccxt has for it, over which its own clean-up then stumbles; nothing is followed."""
    wrong = dataclasses.replace(RICH, secret="x" * 64)
    async with watching(venue) as exchange:
        exchange.apiKey, exchange.secret = wrong.key, wrong.secret
        with pytest.raises(KeyError) as raised:
            await asyncio.wait_for(exchange.watch_orders(SPOT), 10)
        assert isinstance(raised.value.__context__, ccxt.AuthenticationError)
    assert venue.feeds.topics == {}


async def test_a_client_that_says_too_much_is_cut_off(venue: sim.SimulatedVenue) -> None:
    """The sixth message within a second is answered with the close that the venue sends."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.url}/ws/0") as socket:
        for number in range(6):
            await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@ticker"], "id": number})
        heard = []
        async with asyncio.timeout(10):
            async for message in socket:
                heard.append(message.json())
        assert [one["id"] for one in heard if "id" in one] == [0, 1, 2, 3, 4]
        assert socket.close_code == 1008


async def test_an_unknown_path_is_no_websocket(venue: sim.SimulatedVenue) -> None:
    """The handshake is refused as any call to it."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{venue.url}/nosuch/ws")
    assert refused.value.status == 404


async def test_a_lost_difference_is_noticed_by_ccxt(venue: sim.SimulatedVenue) -> None:
    """The numbers of the stream are such that a hole in them is an error, as on the venue."""
    async with watching(venue) as exchange:
        await exchange.watch_order_book(SPOT)
        venue.feed_faults.add(FeedFault(kind="lose", channel="book", count=1))
        await asyncio.sleep(0)
        venue.clock.step(1_000)
        await asyncio.sleep(0.2)
        with pytest.raises(ccxt.ChecksumError):
            await after_step(venue, 1_000, exchange.watch_order_book(SPOT))
