"""Sessions that others recorded at real venues, played by the simulated venue into our streams: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
import pytest
from recorded import Reply, at_leisure, read_calls
from recorded_feeds import (
    BinanceSession,
    PlayedVenue,
    book_after,
    decoded,
    playing,
    read_frames,
    read_session,
    read_snapshots,
)

import tradeutils as tu
from tradeutils.sim import Limits, RecordedFeeds, SimulatedVenue

pytestmark = pytest.mark.recordings

UNHURRIED_S = 600.0  # what is played is played once, and then it is silent
PATIENCE_S = 60.0


@dataclass
class Played:
    """A venue that plays a session once it is told to, and our exchange on it."""

    venue: SimulatedVenue
    feeds: RecordedFeeds
    exchange: tu.Exchange

    async def until_the_end(self) -> None:
        """Play it all."""
        self.feeds.play()
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.to_thread(self.feeds.wait, PATIENCE_S)


@contextlib.asynccontextmanager
async def on_a_venue(
    session: BinanceSession, *, speed: float = 0, options: dict[str, Any] | None = None, **listed: Any
) -> AsyncIterator[Played]:
    """Open a venue with these markets, at the time of the recording, and our exchange on it."""
    depth = {market: json.dumps(told) for market, told in session.snapshots.items()}
    feeds = RecordedFeeds(session.messages, speed=speed, depth=depth, hold=True)
    began = int(1000 * session.messages[0][0])
    budget = tu.LocalBudget([tu.Window("weight", 10**9, 60)])
    async with (
        SimulatedVenue("binance", now=began, speed=1, recorded=feeds, limits=Limits.none(), **listed) as venue,
        tu.Exchange("binance", url=venue.url, budget=budget, options=options) as exchange,
    ):
        yield Played(venue, feeds, exchange)


async def taken(stream: Any, into: list[Any]) -> None:
    """Keep what a stream yields, until it is cancelled."""
    async for item in stream:
        into.append(item)


async def told_to_anybody(url: str, streams: Sequence[str], into: list[str]) -> None:
    """Keep what a plain socket is told of combined streams."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/stream?streams={'/'.join(streams)}") as socket,
    ):
        async for message in socket:
            into.append(message.data)


@contextlib.asynccontextmanager
async def meanwhile(*work: Any) -> AsyncIterator[None]:
    """Run coroutines beside; what ends one of them is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        await asyncio.sleep(0.2)  # what was sent last is on its way
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


def assert_same_book(book: tu.OrderBook, snapshot: dict[str, Any], differences: list[dict[str, Any]]) -> None:
    """Compare a book with the one that is built from the snapshot and the recorded differences."""
    last, bids, asks = book_after(snapshot, differences)
    assert book.sequence == last
    for levels, expected in ((book.bids, bids), (book.asks, asks)):
        assert len(levels) >= min(len(expected), 500)
        assert np.array_equal(levels, expected[: len(levels)])


async def test_every_message_of_a_recorded_session_is_accounted_for(recordings: pathlib.Path) -> None:
    """
    Binance spot, 9 August 2024: 41,248 messages in 346 s, played at once.

    A plain socket is told all of them, byte for byte; our stream of trades yields each of the 9,757 once and in order;
    the book after the last difference is the one that the differences make. No ``watch_*`` reads the 28,040 of the best
    bid and ask, which the book has as well.
    """
    session = read_session(recordings / "hftbacktest" / "spot_btcusdt_20240808.gz", "BTCUSDT")
    streams = sorted(session.counts)
    assert session.counts == {"btcusdt@bookTicker": 28_040, "btcusdt@depth@100ms": 3_451, "btcusdt@trade": 9_757}
    told: list[str] = []
    trades: list[tu.Trade] = []
    books: list[tu.OrderBook] = []
    single = {"watchTrades": {"name": "trade"}, "watchTradesForSymbols": {"name": "trade"}}
    async with on_a_venue(session, options=single, symbols=["BTC/USDT"]) as played:
        watching = played.exchange
        async with (
            watching.watch_trades("BTC/USDT", max_age=UNHURRIED_S, buffer=50_000) as trade_stream,
            watching.watch_order_book("BTC/USDT", max_age=UNHURRIED_S) as book_stream,
            meanwhile(
                told_to_anybody(played.venue.url, streams, told), taken(trade_stream, trades), taken(book_stream, books)
            ),
        ):
            await until(lambda: played.venue.feeds.connections >= 2 and len(books) > 0)
            await played.until_the_end()
            await until(lambda: len(trades) == 9_757 and books[-1].sequence == session.data[streams[1]][-1]["u"])
            assert trade_stream.dropped == 0
            assert (trade_stream.reconnects, book_stream.reconnects) == (0, 0)
    assert told == [text for _, text in session.messages]
    assert [(one.id, one.time, one.price, one.amount, one.side) for one in trades] == [
        (str(row["t"]), row["T"], float(row["p"]), float(row["q"]), "sell" if row["m"] else "buy")
        for row in session.data["btcusdt@trade"]
    ]
    # A difference that was left out or came twice would have broken the book, and been counted above.
    applied = [row["u"] for row in session.data[streams[1]] if row["u"] > session.snapshots["BTCUSDT"]["lastUpdateId"]]
    assert {book.sequence for book in books} <= {session.snapshots["BTCUSDT"]["lastUpdateId"], *applied}
    assert_same_book(books[-1], session.snapshots["BTCUSDT"], session.data[streams[1]])


async def until(true: Any) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


SPOT = {"NKNUSDT": "NKN/USDT", "BLZETH": "BLZ/ETH", "LRCBTC": "LRC/BTC", "RUNEEUR": "RUNE/EUR"}
FUTURES = {f"{base}USDT": f"{base}/USDT:USDT" for base in ("SUSHI", "AKRO", "KEEP", "CTK")}


@pytest.mark.parametrize(
    ("name", "symbols", "listed"),
    [
        pytest.param("BINANCE", SPOT, {"symbols": list(SPOT.values())}, id="spot"),
        pytest.param(
            "BINANCE_FUTURES", FUTURES, {"symbols": ["BTC/USDT"], "linear": list(FUTURES.values())}, id="futures"
        ),
    ],
)
async def test_recorded_sessions_of_many_channels_are_read_whole(
    recordings: pathlib.Path, name: str, symbols: dict[str, str], listed: dict[str, Any]
) -> None:
    """
    Binance spot (11 October 2021, 265 messages) and USD-M (22 July 2021, 1,535): four markets, all channels.

    Aggregated trades, candles (final ones among them) and books: as many of each as were recorded, with their figures.
    """
    session = read_session(recordings / "cryptofeed" / f"{name}.ws.1.0.gz")
    session.snapshots = read_snapshots(recordings / "cryptofeed" / f"{name}.http.0.0.gz")
    named = dict(zip(symbols.values(), symbols, strict=True))
    trades: list[tu.Trade] = []
    candles: list[tu.Candles] = []
    books: dict[str, list[tu.OrderBook]] = {symbol: [] for symbol in named}
    async with (
        on_a_venue(session, speed=20, **listed) as played,
        contextlib.AsyncExitStack() as stack,
    ):
        watching = played.exchange
        streams: list[Any] = [
            watching.watch_trades(list(named), max_age=UNHURRIED_S),
            watching.watch_ohlcv(list(named), "1m", closed_only=False, max_age=UNHURRIED_S),
            *(watching.watch_order_book(symbol, max_age=UNHURRIED_S) for symbol in named),
        ]
        for stream in streams:
            await stack.enter_async_context(stream)
        kept: list[list[Any]] = [trades, candles, *books.values()]
        await stack.enter_async_context(meanwhile(*map(taken, streams, kept)))
        await until(lambda: all(books.values()) and all(stream.state == "live" for stream in streams))
        await asyncio.sleep(0.5)  # what REST is asked at first is over
        await played.until_the_end()
    for symbol, market in named.items():
        recorded = {
            channel: session.data.get(f"{market.lower()}@{channel}", [])
            for channel in ("aggTrade", "kline_1m", "depth@100ms")
        }
        assert [(one.id, one.time, one.price, one.amount) for one in trades if one.symbol == symbol] == [
            (str(row["a"]), row["T"], float(row["p"]), float(row["q"])) for row in recorded["aggTrade"]
        ]
        rows = [one for one in candles if one.symbol == symbol]
        assert [(int(one.time[0]), float(one.close[0]), float(one.volume[0]), bool(one.closed[0])) for one in rows] == [
            (row["k"]["t"], float(row["k"]["c"]), float(row["k"]["v"]), row["k"]["x"]) for row in recorded["kline_1m"]
        ]
        assert_same_book(books[symbol][-1], session.snapshots[market], recorded["depth@100ms"])


@dataclass(frozen=True)
class Old:
    """
    A venue's recorded session, and what is watched of it.

    Attributes
    ----------
    venue, files : str, sequence of str
        ccxt's name; the recorded replies (listings), then the session.
    trades : callable
        Market and number of the trades in a message.
    symbol, market : str
        What is watched, in our words and in the venue's.
    time : tuple of str
        Where the venue tells its time, and how; ``%d`` stands for it, in ms.
    tickers : callable or None
        Whether a message is a ticker of the market.
    made : mapping
        Replies to what else was not recorded, by path.
    types : object
        Of the markets that ccxt is to list, as its class of this venue takes it.
    unasked : str
        What stands in messages that are left out: nobody subscribes to them, and ccxt trips over them.
    """

    venue: str
    files: Sequence[str]
    trades: Callable[[Any], list[tuple[str, str]]]
    symbol: str
    market: str
    time: tuple[str, str]
    tickers: Callable[[Any], bool] | None = None
    made: Mapping[str, str] = field(default_factory=dict)
    types: Any = field(default_factory=lambda: ["spot"])
    unasked: str = "\0"


def of_okx(message: Any) -> list[tuple[str, str]]:
    told = message.get("arg", {}).get("channel") == "trades" and "data" in message
    return [(row["instId"], row["tradeId"]) for row in message["data"]] if told else []


def of_coinbase(message: Any) -> list[tuple[str, str]]:
    return [(message["product_id"], str(message["trade_id"]))] if message["type"] == "match" else []


def of_gate(message: Any) -> list[tuple[str, str]]:
    told = (message.get("channel"), message.get("event")) == ("spot.trades", "update")
    return [(message["result"]["currency_pair"], str(message["result"]["id"]))] if told else []


def of_htx(message: Any) -> list[tuple[str, str]]:
    parts = message.get("ch", "").split(".")
    rows = message["tick"]["data"] if parts[-2:] == ["trade", "detail"] else []
    return [(parts[1], str(row["id"])) for row in sorted(rows, key=lambda row: row["ts"])]


def of_kucoin(message: Any) -> list[tuple[str, str]]:
    topic = message.get("topic", "")
    return [(message["data"]["symbol"], message["data"]["tradeId"])] if topic.startswith("/market/match:") else []


OLD = [
    Old(
        "okx", ["OKX.0.gz", "OKX.ws.1.0.gz"], of_okx, "BTC/USDT", "BTC-USDT",
        ("/api/v5/public/time", '{"code":"0","data":[{"ts":"%d"}]}'),
        lambda message: message.get("arg") == {"channel": "tickers", "instId": "BTC-USDT"} and "data" in message,
    ),
    Old(
        "coinbaseexchange", ["COINBASE.0.gz", "COINBASE.ws.28.0.gz"], of_coinbase, "SKL/USD", "SKL-USD",
        ("/time", '{"epoch":%de-3}'),
        lambda message: (message["type"], message.get("product_id")) == ("ticker", "SKL-USD"),
        {"/currencies": "[]"},
    ),
    Old(
        "gate", ["GATEIO.0.gz", "GATEIO.ws.1.0.gz"], of_gate, "NEO/BTC", "NEO_BTC",
        ("/api/v4/spot/time", '{"server_time":%d}'),
        lambda message: message["channel"] == "spot.tickers" and message["result"].get("currency_pair") == "NEO_BTC",
        {"/api/v4/spot/currencies": "[]", "/api/v4/margin/currency_pairs": "[]"},
    ),
    Old(
        "htx", ["HUOBI.0.gz", "HUOBI.ws.44.0.gz"], of_htx, "FIL3S/USDT", "fil3susdt",
        ("/v1/common/timestamp", '{"status":"ok","data":%d}'),
        made={"/v2/reference/currencies": '{"code":200,"data":[]}'},
        types={"spot": True, "linear": False, "inverse": False},
    ),
    Old(
        "kucoin", ["KUCOIN.0.gz", "KUCOIN.ws.1.0.gz"], of_kucoin, "DAPPT/BTC", "DAPPT-BTC",
        ("/api/v1/timestamp", '{"code":"200000","data":%d}'),
        made={
            "/api/v3/currencies": '{"code":"200000","data":[]}',
            "/api/v1/market/allTickers": '{"code":"200000","data":{"ticker":[]}}',
            "/api/v1/market/histories": '{"code":"200000","data":[]}',
        },
        unasked="/market/level2:",
    ),
]  # fmt: skip


def listing_of(old: Old, folder: pathlib.Path) -> list[Reply]:
    """Return the recorded replies, and those that were made because ccxt asks for more than was recorded."""
    recorded = [reply for name in old.files[:-1] for reply in read_calls(folder / name)]
    moved = [Reply("/api/v2/symbols", one.body) for one in recorded if one.path == "/api/v1/symbols"]  # since 2023
    return [*recorded, *moved, *(Reply(path, body) for path, body in old.made.items())]


def tell_time(venue: PlayedVenue, old: Old, began: int) -> None:
    """Let a venue tell the time of its recording."""
    path, told = old.time
    venue.behind = time.time_ns() // 1_000_000 - began
    venue.replies.append(Reply(path, lambda: told % venue.now()))


@pytest.mark.parametrize("old", OLD, ids=lambda old: old.venue)
async def test_recorded_sessions_of_other_venues_are_read_whole(recordings: pathlib.Path, old: Old) -> None:
    """Sessions of 2021 and 2022 whose shape the venue still uses: every trade once, and every ticker."""
    folder = recordings / "cryptofeed"
    frames, began = read_frames(folder / old.files[-1])
    frames = [frame for frame in frames if isinstance(frame, bytes) or old.unasked not in frame]
    messages = [decoded(frame) for frame in frames]
    expected = [number for message in messages for market, number in old.trades(message) if market == old.market]
    count = sum(map(old.tickers, messages)) if old.tickers is not None else 0
    trades: list[tu.Trade] = []
    tickers: list[tu.Ticker] = []
    token = {
        "token": "t",
        "instanceServers": [
            {
                "endpoint": "wss://ws-api-spot.kucoin.com/",
                "encrypt": True,
                "protocol": "websocket",
                "pingInterval": 18_000,
                "pingTimeout": 10_000,
            }
        ],
    }
    bullet = Reply("/api/v1/bullet-public", json.dumps({"code": "200000", "data": token}), method="POST")
    async with (
        playing(frames, *listing_of(old, folder), bullet) as venue,
        at_leisure(old.venue, venue.url, options={"fetchMarkets": {"types": old.types}}) as exchange,
        contextlib.AsyncExitStack() as stack,
    ):
        tell_time(venue, old, began)
        streams: list[Any] = [exchange.watch_trades(old.symbol, max_age=UNHURRIED_S)]
        if count:
            streams.append(exchange.watch_ticker(old.symbol, max_age=UNHURRIED_S, policy="all"))
        for stream in streams:
            await stack.enter_async_context(stream)
        kept: list[list[Any]] = [trades, tickers]
        await stack.enter_async_context(meanwhile(*map(taken, streams, kept)))
        await until(lambda: len(trades) >= len(expected) and len(tickers) >= count)
    assert [trade.id for trade in trades] == expected
    assert len(expected) + count > 0
    assert [ticker.symbol for ticker in tickers] == [old.symbol] * count


async def test_recorded_book_with_checksums_is_the_one_its_differences_make(recordings: pathlib.Path) -> None:
    """Okx, May 2022: a snapshot and 97 differences, whose checksums ccxt holds the book to."""
    old = OLD[0]
    frames, began = read_frames(recordings / "cryptofeed" / old.files[-1])
    expected: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    for message in map(decoded, frames):
        if message.get("arg") == {"channel": "books", "instId": old.market} and "data" in message:
            for side, levels in expected.items():
                levels |= {float(price): float(amount) for price, amount, *_ in message["data"][0][side]}
                last = int(message["data"][0]["ts"])
    books: list[tu.OrderBook] = []
    async with (
        playing(frames, *listing_of(old, recordings / "cryptofeed")) as venue,
        at_leisure(old.venue, venue.url, options={"fetchMarkets": {"types": old.types}}) as exchange,
    ):
        tell_time(venue, old, began)
        async with (
            exchange.watch_order_book(old.symbol, max_age=UNHURRIED_S) as stream,
            meanwhile(taken(stream, books)),
        ):
            await until(lambda: bool(books) and books[-1].time == last)
            assert stream.reconnects == 0
    for name, levels in expected.items():
        rows = sorted(([price, amount] for price, amount in levels.items() if amount), reverse=name == "bids")
        held = getattr(books[-1], name)
        assert len(held) >= 300
        assert np.array_equal(held, rows[: len(held)])
