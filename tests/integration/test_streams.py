"""Streams as users see them, against the simulated venue: every dialect and fault, nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.errors import AuthenticationFailed, BadSymbol, Closed, NotSupportedByVenue, UnknownName, UsageError
from tradeutils.indicators import Stream as IndicatorStream
from tradeutils.model.streaming import Stale
from tradeutils.settings import ExchangeSettings
from tradeutils.sim import Limits, SimulatedAccount, serve

VENUES: Final = ("binance", "bybit", "okx", "kraken")
SYMBOL: Final = "BTC/USDT"
OTHER: Final = "ETH/USDT"
SPEED: Final = 100.0  # venue seconds in one of ours: a bar of a minute lasts 0.6 s
KEY: Final = "alice-key-0001"
SECRET: Final = "YWxpY2Utc2VjcmV0LTAwMDE="
ALICE: Final = tu.Credentials(key=KEY, secret=SECRET, password="pass")


@pytest.fixture(scope="module")
def venues() -> Iterator[dict[str, Any]]:
    """Four venues, whose clocks run a hundred times as fast as ours."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                serve(name, symbols=12, speed=SPEED, pulse=0.05, seed=3, accounts=[_account()], limits=Limits.none()),
            )
            for name in VENUES
        }


def _account() -> SimulatedAccount:
    held = {"USDT": Decimal(1_000_000), "BTC": Decimal(5)}
    return SimulatedAccount(name="alice", key=KEY, secret=SECRET, passphrase="pass", balances=held)


@contextlib.asynccontextmanager
async def opened(name: str, venue: Any, **options: Any) -> Any:
    """Open an exchange whose idea of the venue's time, which would go at our speed, is kept right."""
    settings = ExchangeSettings(rate_limit_ms=1)  # kraken's own would make one request a second
    async with tu.Exchange(name, url=venue.url, settings=settings, budget=tu.LocalBudget(), **options) as exchange:
        keeping = asyncio.create_task(_on_time(venue, exchange))
        try:
            yield exchange
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


async def _on_time(venue: Any, exchange: Any) -> None:
    clock = exchange._venue._connection.clock
    while True:
        moment = clock.monotonic()
        clock.learn(venue.clock.now(), moment, moment)
        await asyncio.sleep(0.01)


async def on_each(venues: dict[str, Any], work: Callable[[str, Any, Any], Awaitable[None]], **options: Any) -> None:
    """Do the same on four venues at once, each through an exchange of its own."""

    async def one(name: str) -> None:
        venues[name].feed_faults.clear()
        try:
            async with opened(name, venues[name], **options) as exchange, asyncio.timeout(40):
                await work(name, venues[name], exchange)
        except Exception as error:
            error.add_note(f"on {name}")
            raise
        finally:
            venues[name].feed_faults.clear()

    await asyncio.gather(*(one(name) for name in VENUES))


def account(name: str) -> tu.Account:
    """Return the account that every venue here has."""
    return tu.Account(name="alice", exchange=name, credentials=ALICE)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # of the venue's thread
            await asyncio.sleep(0.01)


async def taken(stream: Any, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Return values until there are enough, without what happened to the stream."""
    found: list[Any] = []
    async for value in stream.values():
        found.append(value)
        if enough(found):
            break
    return found


def venue_id(exchange: Any, symbol: str) -> str:
    """Return what the simulated venue calls a market."""
    return symbol.replace("/", "")


def key_of(trade: tu.Trade) -> tuple[Any, ...]:
    """Return what tells a trade from others, whatever its id."""
    return trade.time, trade.price, trade.amount, trade.side


# Each on both channels, and on a market that one exchange alone watches; those of one list strike one after the other,
# as each message is struck by one alone.
FAULTS: Final[dict[str, tuple[str, list[tuple[str, dict[str, Any]]]]]] = {
    "disorder": (
        "BTC/USDT",
        [
            ("duplicate", {"probability": 0.3}),
            ("out_of_order", {"count": 2}),
            ("lose", {"count": 1}),
            ("slow", {"count": 2, "seconds": 0.2}),
        ],
    ),
    "drop": ("ETH/USDT", [("drop", {"count": 1})]),
    "malformed": ("SOL/USDT", [("malformed", {"count": 1})]),
    "silent": ("XRP/USDT", [("silent", {"count": 1})]),
    "half_open": ("DOGE/USDT", [("half_open", {"count": 1, "seconds": 4.0})]),
}


@pytest.mark.parametrize("name", VENUES)
async def test_trades_and_candles_are_those_of_rest_whatever_happens(venues: dict[str, Any], name: str) -> None:
    """From before a fault until well after it: each once, in order, none missing, none wrong."""
    venue = venues[name]
    venue.feed_faults.clear()

    async def one(fault: str) -> None:
        async with opened(name, venue) as exchange, asyncio.timeout(40):
            await _struck(venue, exchange, fault)

    try:
        outcomes = await asyncio.gather(*(one(fault) for fault in FAULTS), return_exceptions=True)
    finally:
        venue.feed_faults.clear()
    for fault, outcome in zip(FAULTS, outcomes, strict=True):
        if outcome is not None:
            outcome.add_note(f"by {fault}")
            raise outcome


async def _struck(venue: Any, exchange: Any, fault: str) -> None:
    symbol, strikes = FAULTS[fault]
    trades = exchange.watch_trades(symbol, max_age=0.8)
    candles = exchange.watch_ohlcv([symbol], "1m", max_age=0.8)
    async with trades, candles:
        came = await taken(trades, lambda found: len(found) >= 12)  # by now ids are known to leave none out
        for kind, parameters in strikes:
            for channel in ("trades", "klines"):
                venue.feed_faults.add(kind, channel=channel, market=venue_id(exchange, symbol), **parameters)
        bars = asyncio.create_task(taken(candles, lambda found: sum(len(one) for one in found) >= 3))
        since = came[-1].time
        came += await taken(trades, lambda found: found[-1].time > since + 120_000)
        closed = await bars
    await _same_trades(exchange, came, symbol, lost=1 if fault == "disorder" else 0)
    await _same_bars(exchange, closed, symbol)
    if fault != "disorder":
        assert trades.reconnects >= 1
        assert candles.reconnects >= 1
    assert (trades.dropped, candles.dropped) == (0, 0)


async def _same_trades(exchange: Any, came: list[tu.Trade], symbol: str = SYMBOL, lost: int = 0) -> None:
    """Compare with REST; of what was lost alone nothing says so, where ids leave numbers out."""
    told = await exchange.fetch_trades(symbol, since=came[0].time, limit=500)
    span = range(max(came[0].time, told[0].time) + 1, came[-1].time)
    expected = [key_of(one) for one in told if one.time in span]
    found = [key_of(one) for one in came if one.time in span]
    if len(found) < len(expected) <= len(found) + lost:
        expected = [one for one in expected if one in found]
    assert found == expected
    assert len(found) >= 10


async def _same_bars(exchange: Any, came: list[tu.Candles], symbol: str) -> None:
    times = np.concatenate([one.time for one in came])
    assert (np.diff(times) > 0).all()
    since, until_ = int(times[0]), int(times[-1]) + 60_000
    await asyncio.sleep(3 / SPEED)  # REST takes a bar for closed a second after its end
    told = await exchange.fetch_ohlcv(symbol, "1m", since=since, until=until_)
    assert times.tolist() == told.time.tolist()
    for field in ("open", "high", "low", "close", "volume"):
        assert np.concatenate([getattr(one, field) for one in came]).tolist() == getattr(told, field).tolist(), field
    assert all(one.closed.all() for one in came)
    assert {(one.exchange, one.symbol, one.timeframe) for one in came} == {(exchange.venue, symbol, "1m")}


async def test_all_seven_bring_what_rest_has(venues: dict[str, Any]) -> None:
    """Every method on every dialect, over unmodified ccxt and real sockets."""

    async def work(name: str, _venue: Any, exchange: Any) -> None:
        async with exchange.watch_ticker(SYMBOL) as tickers:
            ticker = await anext(tickers)
        assert ticker.symbol == SYMBOL
        assert abs(ticker.last - (await exchange.fetch_ticker(SYMBOL)).last) < 0.05 * ticker.last
        async with exchange.watch_tickers([SYMBOL, OTHER]) as several:
            found = await taken(several, lambda found: {one.symbol for one in found} == {SYMBOL, OTHER})
        assert all(isinstance(one, tu.Ticker) for one in found)
        async with exchange.watch_order_book(SYMBOL) as books:
            book = await anext(books)
        assert book.bid < book.ask
        assert (np.diff(book.bids[:, 0]) < 0).all()
        assert (np.diff(book.asks[:, 0]) > 0).all()
        async with exchange.watch_ohlcv(SYMBOL, "1m", closed_only=False) as forming:
            bar = await anext(forming)
        assert bar.symbol == SYMBOL
        async with exchange.watch_trades([SYMBOL, OTHER]) as trades:
            traded = await taken(trades, lambda found: {one.symbol for one in found} == {SYMBOL, OTHER})
        assert all(trade.price > 0 for trade in traded)

    await on_each(venues, work)


async def test_an_account_is_streamed_from_what_it_has_to_what_it_does(venues: dict[str, Any]) -> None:
    """The balance at first and after an order; an order when it is placed, and its end."""

    async def work(name: str, exchange: Any) -> None:
        async with exchange.watch_balance() as balances, exchange.watch_orders(SYMBOL) as orders:
            balance = await anext(balances)
            assert (balance.account, balance["USDT"].total) == ("alice", 1_000_000)
            reading = asyncio.create_task(anext(orders))
            await until(lambda: orders.state == "live")
            placed = await exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.01"), Decimal(20_000))
            told = await reading
            assert (told.id, told.status, told.price, told.amount) == (placed.id, "open", 20_000, Decimal("0.01"))
            if name != "kraken":  # which tells totals alone
                held = await taken(balances, lambda found: found[-1]["USDT"].used == 200)
                assert held[-1]["USDT"].total == 1_000_000
            async with exchange.watch_balance() as others:  # who joins is told what is there, too
                assert (await anext(others))["USDT"].used == 200
            changes = exchange.changes
            await exchange.cancel_order(placed.id, SYMBOL)
            ended = await taken(orders, lambda found: found[-1].status == "canceled")
            assert ended[-1].id == placed.id
            if name != "kraken":
                after = await taken(balances, lambda found: found[-1]["USDT"].used == 0)
                assert after[-1]["USDT"].free == 1_000_000
            assert exchange.changes > changes
            assert not exchange.has_open_orders

    async def of_account(name: str) -> None:
        async with opened(name, venues[name], account=account(name)) as exchange, asyncio.timeout(40):
            try:
                await work(name, exchange)
            except Exception as error:
                error.add_note(f"on {name}")
                raise

    await asyncio.gather(*(of_account(name) for name in VENUES))


async def test_many_consumers_are_one_subscription_and_the_last_to_leave_ends_it(venues: dict[str, Any]) -> None:
    """Counted at the venue: one topic, one connection, however many read it; none when all have left."""

    async def work(name: str, venue: Any, exchange: Any) -> None:
        await until(lambda: venue.feeds.connections == 0)
        streams = [exchange.watch_trades(SYMBOL) for _ in range(25)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        assert (len(venue.feeds.topics), set(venue.feeds.topics.values()), venue.feeds.connections) == (1, {1}, 1)
        for stream in streams[1:]:
            await stream.aclose()
        await anext(streams[0])
        assert len(venue.feeds.topics) == 1
        del streams, stream  # the last is not even closed
        await until(lambda: not venue.feeds.topics)

    await on_each(venues, work)


STRIKES: Final[dict[str, list[tuple[str, dict[str, Any]]]]] = {
    "disorder": [
        ("slow", {"count": 3, "seconds": 0.2}),
        ("out_of_order", {"count": 3}),
        ("duplicate", {"count": 3}),
        ("lose", {"count": 3}),
    ],
    "silent": [("silent", {"count": 5})],
    "drop, and refused": [("drop", {"count": 5}), ("refuse", {"count": 2})],
    "malformed": [("malformed", {"count": 5})],
    "half open": [("half_open", {"count": 5, "seconds": 2.0})],
}


async def test_tickers_books_and_an_account_come_again_after_every_fault(venues: dict[str, Any]) -> None:
    """All at once, each fault after the other: afterwards all are live, and say what REST says."""
    outcomes = await asyncio.gather(*(_shaken(name, venues[name]) for name in VENUES), return_exceptions=True)
    for name, outcome in zip(VENUES, outcomes, strict=True):
        if outcome is not None:
            outcome.add_note(f"on {name}")
            raise outcome


async def _shaken(name: str, venue: Any) -> None:
    async with opened(name, venue, account=account(name)) as exchange, asyncio.timeout(60):
        ages = {"max_age": 0.5}
        public = [
            exchange.watch_ticker(SYMBOL, **ages),
            exchange.watch_tickers([SYMBOL, OTHER], **ages),
            exchange.watch_order_book(SYMBOL, limit=7, **ages),
        ]
        rare = {"max_age": 2.0 * SPEED}  # REST is asked by the venue's clock, and kraken's takes few private requests
        balances, orders = exchange.watch_balance(**rare), exchange.watch_orders(SYMBOL, **rare)
        await anext(balances)
        reading = asyncio.create_task(_exhausted(orders))
        try:
            for strikes in STRIKES.values():
                for kind, parameters in strikes:
                    venue.feed_faults.add(kind, **parameters)
                await asyncio.sleep(0.2)
                venue.feed_faults.clear()
                for stream in public:
                    now = venue.clock.now()
                    await taken(stream, lambda found, now=now: (found[-1].time or now + 1) > now)
                await until(lambda: {balances.state, orders.state} == {"live"}, 10.0)
        finally:
            venue.feed_faults.clear()
            reading.cancel()
        placed = await exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.01"), Decimal(20_000))
        told = await taken(orders, lambda found: found[-1].id == placed.id)
        await exchange.cancel_order(placed.id, SYMBOL)
        ended = await taken(orders, lambda found: found[-1].status == "canceled")
        assert (told[-1].price, ended[-1].id) == (20_000, placed.id)
        for stream in (*public, balances, orders):
            await stream.aclose()


async def test_a_book_has_as_many_levels_as_were_asked_for(venues: dict[str, Any]) -> None:
    """Whatever depths the venue streams; and they are the best, as REST has them at the same moment."""

    async def work(name: str, venue: Any, exchange: Any) -> None:
        limits = (1, 3, 7, 60)
        streams = [exchange.watch_order_book(SYMBOL, limit=limit) for limit in limits]
        for stream, limit in zip(streams, limits, strict=True):
            books = await taken(stream, lambda found: len(found) >= 3)
            assert {len(side) for book in books for side in (book.bids, book.asks)} == {limit}
        if name == "binance":  # all of one snapshot and its differences
            assert sum("depth" in str(topic) or "book" in str(topic) for topic in venue.feeds.topics) == 1
        for stream in streams:
            await stream.aclose()
        with pytest.raises(UsageError, match=r"limit was 5000.*fetch_order_book"):
            await anext(exchange.watch_order_book(SYMBOL, limit=5000))

    await on_each(venues, work)


async def test_a_silent_feed_is_noticed_within_max_age_and_a_second(venues: dict[str, Any]) -> None:
    """Pings are answered, nothing is told: the consumer knows, and data comes again by itself."""

    async def work(name: str, venue: Any, exchange: Any) -> None:
        async with exchange.watch_trades(SYMBOL, max_age=0.6) as stream:
            await anext(stream)
            venue.feed_faults.add("silent", channel="trades")
            await asyncio.sleep(0.15)
            while len(stream._part.inbox):
                await anext(stream)
            began, age = time.monotonic(), stream.age
            item = await anext(stream)
            while not isinstance(item, Stale):
                began, age, item = time.monotonic(), stream.age, await anext(stream)
            assert time.monotonic() - began + age < 1.6 + 0.5  # a busy machine's half second
            assert (item.symbol, item.reason) == (SYMBOL, "silent")
            assert item.age >= 0.6
            venue.feed_faults.clear()
            await until(lambda: stream.state == "live")
            assert isinstance(await anext(stream), tu.Trade)

    await on_each(venues, work)


async def test_rest_stands_in_for_a_dead_stream(venues: dict[str, Any]) -> None:
    """With ``fallback="rest"`` there are tickers and books while the feed says nothing, and then the feed's again."""

    async def work(name: str, venue: Any, exchange: Any) -> None:
        tickers = exchange.watch_ticker(SYMBOL, max_age=0.5, fallback="rest")
        books = exchange.watch_order_book(SYMBOL, max_age=0.5, fallback="rest")
        async with tickers, books:
            await anext(tickers)
            await anext(books)
            venue.feed_faults.add("silent", channel="*")
            await until(lambda: (tickers.state, books.state) == ("rest", "rest"))
            for stream in (tickers, books):
                assert isinstance(await anext(stream), tu.Ticker | tu.OrderBook)
            venue.feed_faults.clear()
            await until(lambda: (tickers.state, books.state) == ("live", "live"), 10.0)
            for stream in (tickers, books):
                assert isinstance(await anext(stream), tu.Ticker | tu.OrderBook)

    await on_each(venues, work)


async def test_a_venue_that_refuses_connections_is_tried_until_it_takes_one(venues: dict[str, Any]) -> None:
    """A handshake that is answered 503 or 429 is no error for the consumer."""

    async def work(name: str, venue: Any, exchange: Any) -> None:
        venue.feed_faults.add("refuse", count=1, status=503)
        venue.feed_faults.add("refuse", count=1, status=429)
        async with exchange.watch_trades(SYMBOL) as stream:
            assert isinstance(await anext(stream), tu.Trade)

    await on_each(venues, work)


async def test_a_loop_held_up_for_seconds_makes_no_gap(venues: dict[str, Any]) -> None:
    """What came meanwhile lay in the sockets: nothing is stale, nothing is lost, no connection is made anew."""
    venue = venues["binance"]
    async with opened("binance", venue) as exchange, asyncio.timeout(30):
        trades = exchange.watch_trades(SYMBOL, max_age=2.0)
        candles = exchange.watch_ohlcv(SYMBOL, "1m", max_age=2.0)
        async with trades, candles:
            came = await taken(trades, lambda found: len(found) >= 2)
            time.sleep(3.0)  # noqa: ASYNC251  # the loop is held up, which is what is tried
            since = came[-1].time
            came += await taken(trades, lambda found: found[-1].time > since + 180_000)
            closed = await taken(candles, lambda found: sum(len(one) for one in found) >= 3)
            assert (trades.reconnects, candles.reconnects) == (0, 0)
        await _same_trades(exchange, came)
        await _same_bars(exchange, closed, SYMBOL)


async def test_candles_begin_in_the_past_and_go_on_without_a_gap(venues: dict[str, Any]) -> None:
    """``since`` is told from REST, then the stream; others who watch the same market are told what closes now."""

    async def work(name: str, venue: Any, exchange: Any) -> None:
        now = await exchange.fetch_time()
        since = now // 60_000 * 60_000 - 20 * 60_000
        async with exchange.watch_ohlcv(SYMBOL, "1m") as live, exchange.watch_ohlcv(SYMBOL, "1m", since=since) as past:
            newest = await anext(live)
            found = await taken(past, lambda found: int(found[-1].time[-1]) > now)
            assert int(newest.time[0]) >= now // 60_000 * 60_000
        assert int(found[0].time[0]) == since
        await _same_bars(exchange, found, SYMBOL)

    await on_each(venues, work)


async def test_bars_of_several_symbols_feed_indicators_by_one_line(venues: dict[str, Any]) -> None:
    """Columns in the order asked for; what was gathered is what REST has."""

    async def work(name: str, _venue: Any, exchange: Any) -> None:
        symbols = [OTHER, SYMBOL]
        stream = IndicatorStream(["ema:2"], symbols, timeframe="1m")
        seen = []
        async for bars in exchange.watch_ohlcv(symbols, "1m").bars(wait=1.0):
            values = stream.update(bars)
            seen.append(bars)
            if len(seen) == 2:
                break
        assert values["ema:2"].shape == (2,)
        await asyncio.sleep(3 / SPEED)  # REST takes a bar for closed a second after its end
        for column, symbol in enumerate(symbols):
            told = await exchange.fetch_ohlcv(symbol, "1m", since=seen[0].time, until=seen[-1].time + 60_000)
            assert [float(one.close[column]) for one in seen] == told.close.tolist()

    await on_each(venues, work)


async def test_history_follows_a_stream_by_one_line(venues: dict[str, Any], tmp_path: pathlib.Path) -> None:
    """What was streamed is on the disk, and a silence on the way, which is no candle, does not end it."""
    venue = venues["binance"]
    async with opened("binance", venue) as exchange, asyncio.timeout(20):
        venue.feed_faults.clear()
        history = tu.History(tmp_path)
        stream = exchange.watch_ohlcv([SYMBOL, OTHER], "1m", max_age=0.4)
        written: list[int] = []
        following = asyncio.create_task(
            history.follow(stream, exchange=exchange, progress=lambda followed: written.append(followed.added))
        )
        await until(lambda: stream.state == "live")
        venue.feed_faults.add("silent", channel="klines")
        await until(lambda: stream.state == "stale")
        venue.feed_faults.clear()
        before = sum(written[-1:])
        await until(lambda: sum(written[-1:]) >= before + 2)
        await stream.aclose()
        followed = await following
        assert followed.added >= 2
        for symbol in (SYMBOL, OTHER):
            stored = history.read("binance", symbol, "1m")
            told = await exchange.fetch_ohlcv(
                symbol, "1m", since=int(stored.time[0]), until=int(stored.time[-1]) + 60_000
            )
            assert stored == told


async def test_what_cannot_be_is_said_at_once_or_at_the_first_await(venues: dict[str, Any]) -> None:
    """Typed, and naming what to write instead; nothing is left behind."""

    async def work(name: str, venue: Any, exchange: Any) -> None:
        with pytest.raises(BadSymbol, match="BTC/USDT"):
            await anext(exchange.watch_ticker("BTC/USDTT"))
        with pytest.raises(BadSymbol):
            async with exchange.watch_trades([SYMBOL, "NO/SUCH"]):
                pass
        with pytest.raises(UnknownName, match="1m"):
            exchange.watch_ohlcv(SYMBOL, "7m")
        with pytest.raises(UsageError, match=r"account=Account"):
            exchange.watch_orders()
        for wrong in ({"max_age": 0}, {"max_age": True}, {"fallback": "later"}, {"policy": "new"}, {"buffer": 0}):
            with pytest.raises(UsageError, match=next(iter(wrong))):
                exchange.watch_ticker(SYMBOL, **wrong)
        for symbols in ([], [3], [""]):
            with pytest.raises(UsageError, match="symbol"):
                exchange.watch_trades(symbols)
        if name != "binance":
            with pytest.raises(NotSupportedByVenue, match=r"watch_tickers\(\["):
                await anext(exchange.watch_tickers())
        assert venue.feeds.topics == {}

    await on_each(venues, work)
    async with tu.Exchange("alpaca") as exchange:
        with pytest.raises(NotSupportedByVenue, match="fetch_tickers"):
            await anext(exchange.watch_tickers())


async def test_a_key_that_is_refused_is_said(venues: dict[str, Any]) -> None:
    """A wrong secret ends the stream with an error, at its first await."""

    async def one(name: str) -> None:
        wrong = tu.Credentials(key=KEY, secret="d3Jvbmctc2VjcmV0LTAwMDE=", password="pass")
        other = tu.Account(name="eve", exchange=name, credentials=wrong)
        async with opened(name, venues[name], account=other) as exchange, asyncio.timeout(20):
            for stream in (exchange.watch_balance(), exchange.watch_orders()):
                with pytest.raises(AuthenticationFailed):
                    await anext(stream)
                assert "d3Jvbmct" not in repr(stream)

    await asyncio.gather(*(one(name) for name in VENUES))


async def test_an_exchange_that_is_closed_ends_its_streams(venues: dict[str, Any]) -> None:
    """Who waits is told `Closed`; no task and no socket is left."""
    venue = venues["binance"]
    before = len(asyncio.all_tasks())
    async with tu.Exchange("binance", url=venue.url, account=account("binance")) as exchange:
        streams: list[Any] = [
            exchange.watch_ticker(SYMBOL), exchange.watch_trades(SYMBOL), exchange.watch_ohlcv(SYMBOL, "1d"),
            exchange.watch_order_book(SYMBOL), exchange.watch_balance(), exchange.watch_orders(),
        ]  # fmt: skip
        waiting = [asyncio.create_task(_exhausted(stream)) for stream in streams]
        await until(lambda: len(venue.feeds.topics) >= len(streams))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in outcomes] == [Closed] * len(streams)
    assert {stream.state for stream in streams} == {"closed"}
    with pytest.raises(Closed):
        await anext(exchange.watch_ticker(SYMBOL))
    await until(lambda: venue.feeds.connections == 0)
    assert len(asyncio.all_tasks()) == before


async def _exhausted(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_accounts_share_the_public_streams_of_their_venue(venues: dict[str, Any]) -> None:
    """Counted at the venue: two exchanges opened together subscribe once, and either may be closed first."""
    venue = venues["binance"]
    await until(lambda: venue.feeds.connections == 0)
    accounts = {one: tu.Account(name=one, exchange="binance", credentials=ALICE) for one in ("alice", "bob")}
    settings = tu.Settings(exchanges={"binance": ExchangeSettings(url=venue.url)}, accounts=accounts)
    async with tu.Exchanges(settings) as exchanges, asyncio.timeout(20):
        first, second = exchanges.account("alice"), exchanges.account("bob")
        async with first.watch_trades(SYMBOL) as one, second.watch_trades(SYMBOL) as two:
            await anext(one)
            await anext(two)
            assert (venue.feeds.connections, set(venue.feeds.topics.values())) == (1, {1})
            waiting = asyncio.create_task(_exhausted(one))
            await first.aclose()
            with pytest.raises(Closed):
                await waiting
            assert isinstance(await taken(two, lambda found: len(found) >= 3), list)
            assert two.reconnects == 0
    await until(lambda: venue.feeds.connections == 0)
