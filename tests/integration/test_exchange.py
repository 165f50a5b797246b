"""Exchange against the simulated venue: real HTTP, ccxt's own unmodified class."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import pathlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt.async_support
import numpy as np
import pytest

import tradeutils as tu
from tradeutils import errors
from tradeutils.history import read_candles
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedAccount, SimulatedVenue

HOUR = 3_600_000
MINUTE = 60_000
ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Ten generated symbols, frozen at 30 s past a minute."""
    async with SimulatedVenue("binance", symbols=10, seed=3) as venue:
        yield venue


@pytest.fixture
async def exchange(venue: SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """The venue as nobody in particular sees it."""
    async with tu.Exchange("binance", url=venue.url) as exchange:
        yield exchange


async def test_markets_arrive_with_exact_rules(exchange: tu.Exchange) -> None:
    """Steps and limits are Decimal, as the venue wrote them."""
    market = (await exchange.load_markets())["BTC/USDT"]
    assert (market.id, market.base, market.quote, market.type) == ("BTCUSDT", "BTC", "USDT", "spot")
    assert market.price_step == Decimal("0.01")
    assert market.amount_step == Decimal("0.00001")
    assert market.min_cost == 5


async def test_the_same_figures_as_ccxt_gives(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Tickers, books, trades and candles equal what ccxt's class returns on its own."""
    urls = dict.fromkeys(("public", "private", "v1"), f"{venue.url}/api/v3")
    urls |= {"fapiPublic": f"{venue.url}/fapi/v1", "dapiPublic": f"{venue.url}/dapi/v1"}
    theirs = ccxt.async_support.binance({"urls": {"api": urls}})
    try:
        raw = await theirs.fetch_ticker("ETH/USDT")
        ours = await exchange.fetch_ticker("ETH/USDT")
        assert (ours.last, ours.bid, ours.ask, ours.time) == (raw["last"], raw["bid"], raw["ask"], raw["timestamp"])
        assert (ours.quote_volume, ours.percentage) == (raw["quoteVolume"], raw["percentage"])
        book, own_book = (
            await theirs.fetch_order_book("ETH/USDT", 10),
            await exchange.fetch_order_book("ETH/USDT", limit=10),
        )
        assert own_book.bids.tolist() == book["bids"]
        assert own_book.asks.tolist() == book["asks"]
        trades, own_trades = await theirs.fetch_trades("ETH/USDT"), await exchange.fetch_trades("ETH/USDT")
        assert [(t.id, t.time, t.price, t.amount, t.side) for t in own_trades] == [
            (t["id"], t["timestamp"], t["price"], t["amount"], t["side"]) for t in trades
        ]
        rows = await theirs.fetch_ohlcv("ETH/USDT", "1h", limit=10)
        candles = await exchange.fetch_ohlcv("ETH/USDT", "1h", limit=10, closed_only=False)
        assert candles == tu.Candles.from_rows(
            rows, exchange="binance", symbol="ETH/USDT", timeframe="1h", now=venue.clock.now()
        )
    finally:
        await theirs.close()


async def test_tickers_of_some_or_of_all(exchange: tu.Exchange) -> None:
    """None is every market of the venue's usual kind; a list is those, in its order and without repeats."""
    everything = await exchange.fetch_tickers()
    some = await exchange.fetch_tickers(["ETH/USDT", "BTC/USDT", "ETH/USDT"])
    markets = await exchange.load_markets()
    assert set(everything) == {symbol for symbol, market in markets.items() if market.type == "spot"}
    swaps = await exchange.fetch_tickers(["BTC/USDT:USDT", "BTC/USDT"])
    assert list(swaps) == ["BTC/USDT:USDT", "BTC/USDT"]
    assert swaps["BTC/USDT"] == everything["BTC/USDT"] != swaps["BTC/USDT:USDT"]
    assert list(some) == ["ETH/USDT", "BTC/USDT"]
    assert some["BTC/USDT"] == everything["BTC/USDT"]
    assert await exchange.fetch_tickers([]) == {}


async def test_a_candle_is_closed_when_the_venue_says_so(venue: SimulatedVenue) -> None:
    """One millisecond before the end of the bar it is still forming, at its end it is not, whatever our clock says."""
    close = tu.timeframe.parse("1h").next(venue.clock.now())
    for moment, newest in ((close - 1, close - 2 * HOUR), (close, close - HOUR), (close + 1, close - HOUR)):
        venue.clock.set(moment)
        async with tu.Exchange("binance", url=venue.url) as exchange:
            candles = await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=2)
            forming = await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=2, closed_only=False)
        assert candles.time[-1] == newest
        assert candles.closed.all()
        assert forming.closed.tolist() == ([True, False])


async def test_a_clock_that_jumped_is_noticed_at_the_next_reply(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """A suspended machine must neither take a forming candle for closed nor miss a closed one."""
    await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=1)
    for jump in (90 * MINUTE, -120 * MINUTE):
        now = venue.clock.set(venue.clock.now() + jump)
        candles = await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=1)
        assert candles.time[-1] == now - now % MINUTE - MINUTE
        assert abs(await exchange.fetch_time() - now) < 1000


async def test_a_range_is_since_inclusive_until_exclusive(exchange: tu.Exchange) -> None:
    """Aware datetimes and milliseconds say the same; limit takes the newest of the range."""
    until = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)
    since = until - dt.timedelta(minutes=2345)
    candles = await exchange.fetch_ohlcv("BTC/USDT", "1m", since=since, until=until)
    assert len(candles) == 2345
    assert not candles.gaps()
    assert candles.time[0] == since.timestamp() * 1000
    assert candles.time[-1] == until.timestamp() * 1000 - MINUTE
    newest = await exchange.fetch_ohlcv("BTC/USDT", "1m", since=int(since.timestamp() * 1000), until=until, limit=1500)
    assert newest == candles[-1500:]
    assert len(await exchange.fetch_ohlcv("BTC/USDT", "1m")) == 500


async def test_months_are_walked_by_the_calendar(exchange: tu.Exchange) -> None:
    """Bars of different lengths have no gaps between them."""
    candles = await exchange.fetch_ohlcv("BTC/USDT", "1M", since=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    assert len(candles) == 17
    assert not candles.gaps()


@pytest.mark.recordings
async def test_a_recording_comes_back_row_for_row(recordings: pathlib.Path) -> None:
    """65,178 recorded minutes, replayed by the venue, paged by ccxt: equal to the file."""
    recorded = read_candles(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz").candles
    async with SimulatedVenue(candles={"BTC/USDT": recorded}) as venue:
        async with tu.Exchange("binance", url=venue.url) as exchange:
            fetched = await exchange.fetch_ohlcv("BTC/USDT", "1m", since=int(recorded.time[0]))
        assert venue.requests.paths["/api/v3/klines"] == 66
    assert len(fetched) == 65_178
    for field in ("time", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(fetched, field), getattr(recorded, field)), field


@pytest.mark.recordings
async def test_the_recorded_market_list_is_parsed(recordings: pathlib.Path) -> None:
    """Binance's real list of 2021, as cryptofeed recorded it: every trading pair is there."""
    with gzip.open(recordings / "cryptofeed" / "BINANCE.0.gz", "rt") as lines:
        listing = next(line.split(": ", 1)[1] for line in lines if "exchangeInfo" in line)
    async with (
        SimulatedVenue(exchange_info=listing.encode()) as venue,
        tu.Exchange("binance", url=venue.url) as exchange,
    ):
        markets = await exchange.load_markets()
    symbols = {entry["symbol"] for entry in json.loads(listing)["symbols"]}
    assert {market.id for market in markets.values()} == symbols
    assert len(symbols) > 1000
    bitcoin = markets["BTC/USDT"]
    assert (bitcoin.price_step, bitcoin.min_cost, bitcoin.active) == (Decimal("0.01"), Decimal(10), True)


async def test_a_panel_is_aligned_and_reports_progress(exchange: tu.Exchange) -> None:
    """Every symbol's column is what fetching it alone gives."""
    symbols = list(await exchange.load_markets())[:5]
    seen: list[tuple[int, int]] = []
    panel = await exchange.fetch_panel(symbols, "5m", limit=50, progress=lambda done, of: seen.append((done, of)))
    assert panel.shape == (50, 5)
    assert panel.symbols == tuple(symbols)
    assert panel.open.flags.c_contiguous
    assert seen == [(n, 5) for n in range(1, 6)]
    assert panel["BTC/USDT"] == await exchange.fetch_ohlcv("BTC/USDT", "5m", limit=50)


async def test_one_bad_symbol_ends_a_panel_and_leaves_nothing_running(exchange: tu.Exchange) -> None:
    """The first failure is raised as it is, and the other tasks are over when it arrives."""
    with pytest.raises(errors.BadSymbol, match="BTC/USDT"):
        await exchange.fetch_panel(["ETH/USDT", "BTC/USTD", "BNB/USDT"], "1m", limit=5)
    running = [task.get_coro() for task in asyncio.all_tasks()]
    assert not [coroutine for coroutine in running if "fetch_panel" in getattr(coroutine, "__qualname__", "")]


async def test_answers_are_shared_through_the_cache(venue: SimulatedVenue) -> None:
    """Asked twice at once and once again by another exchange: one request; the next bar asks anew."""
    async with (
        tu.Cache() as cache,
        tu.Exchange("binance", url=venue.url, cache=cache) as one,
        tu.Exchange("binance", url=venue.url, cache=cache) as other,
    ):
        await one.load_markets()
        first, second = await asyncio.gather(*(one.fetch_ohlcv("BTC/USDT", "1h", limit=10) for _ in range(2)))
        third = await other.fetch_ohlcv("BTC/USDT", "1h", limit=10)
        assert first == second == third
        assert venue.requests.paths["/api/v3/klines"] == 1
        await asyncio.gather(one.fetch_ticker("BTC/USDT"), other.fetch_ticker("BTC/USDT"))
        assert venue.requests.paths["/api/v3/ticker/24hr"] == 1


async def test_a_cached_candle_answer_ends_with_its_bar(venue: SimulatedVenue) -> None:
    """At the close of the running bar there is a newer one: the cached answer must not outlive it."""
    async with tu.Cache() as cache, tu.Exchange("binance", url=venue.url, cache=cache) as exchange:
        await exchange.load_markets()
        close = tu.timeframe.parse("1m").next(venue.clock.now())
        venue.clock.set(close - 1000)
        venue.clock.run(1.0)
        before = await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=3)
        await asyncio.sleep((close + 100 - venue.clock.now()) / 1000)
        after = await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=3)
    assert after.time[-1] == before.time[-1] + MINUTE


async def test_balance_and_open_orders_of_an_account(venue: SimulatedVenue) -> None:
    """What the ledger holds, to the last digit; an order placed elsewhere shows with its exact figures."""
    async with tu.Exchange("binance", url=venue.url, account=ALICE) as exchange:
        price = Decimal(repr((await exchange.fetch_ticker("BTC/USDT")).last)).quantize(Decimal(1)) // 2
        await exchange._venue._ccxt.create_order("BTC/USDT", "limit", "buy", "0.01234", str(price))
        orders, everywhere = await exchange.fetch_open_orders("BTC/USDT"), await exchange.fetch_open_orders()
        balance = await exchange.fetch_balance()
    assert orders == everywhere
    assert (orders[0].amount, orders[0].price, orders[0].side) == (Decimal("0.01234"), price, "buy")
    assert orders[0].status == "open"
    assert balance.account == "alice"
    assert balance["USDT"].used == Decimal("0.01234") * price
    assert balance["USDT"].free + balance["USDT"].used == balance["USDT"].total == 10_000


async def test_a_total_is_exact_and_names_what_has_no_price() -> None:
    """Eighteen digits survive; conversion goes through another market where there is no direct one."""
    holder = SimulatedAccount(
        name="x",
        key=DEFAULT_ACCOUNT.key,
        secret=DEFAULT_ACCOUNT.secret,
        balances={"USDT": "0.10000001", "BTC": "1.23456789", "ETH": "2", "XDROP": "7"},
    )
    async with (
        SimulatedVenue(symbols=["BTC/USDT", "ETH/BTC"], accounts=[holder]) as venue,
        tu.Exchange("binance", url=venue.url, account=ALICE) as exchange,
    ):
        balances = tu.Balances(exchange)
        tickers = await exchange.fetch_tickers()
        worth = await balances.total("alice", "USDT")
        bitcoin, ether = (Decimal(repr(tickers[s].last)) for s in ("BTC/USDT", "ETH/BTC"))
        with pytest.raises(errors.UnknownName, match="USDT"):
            await balances.total("alice", "USTD")
        with pytest.raises(errors.UnknownName, match="alice"):
            await balances.fetch("alicia")
        assert (await balances.totals("BTC"))["alice"].assets["USDT"].route == ("BTC/USDT",)
    assert worth.assets["ETH"].route == ("ETH/BTC", "BTC/USDT")
    assert worth.total == Decimal("0.10000001") + Decimal("1.23456789") * bitcoin + 2 * ether * bitcoin
    assert dict(worth.unpriced) == {"XDROP": Decimal(7)}


async def test_balances_are_cached_for_a_moment(venue: SimulatedVenue) -> None:
    """Two who ask within two seconds cost one request."""
    async with tu.Cache() as cache, tu.Exchange("binance", url=venue.url, account=ALICE) as exchange:
        balances = tu.Balances([exchange], cache=cache)
        assert await balances.fetch("alice") == await balances.fetch("alice")
        assert venue.requests.paths["/api/v3/account"] == 1
        with pytest.raises(errors.UsageError, match="twice"):
            tu.Balances([exchange, exchange])
    assert "alice" in repr(balances)


async def test_a_refused_key_says_so_and_shows_no_secret(venue: SimulatedVenue) -> None:
    """Wrong secret, wrong key, no account: each its own error, none with what was typed."""
    typed = "S3cretThatNobodyMaySee" * 3
    for key, secret in ((DEFAULT_ACCOUNT.key, typed), (typed, DEFAULT_ACCOUNT.secret)):
        account = tu.Account(name="a", exchange="binance", credentials=tu.Credentials(key=key, secret=secret))
        async with tu.Exchange("binance", url=venue.url, account=account) as exchange:
            with pytest.raises(errors.AuthenticationFailed) as caught:
                await exchange.fetch_balance()
        assert typed not in str(caught.value)
        assert typed not in repr(exchange)
    async with tu.Exchange("binance", url=venue.url) as nobody:
        with pytest.raises(errors.UsageError, match="account="):
            await nobody.fetch_balance()
        with pytest.raises(errors.UsageError, match="account="):
            await nobody.fetch_open_orders()


async def test_misspelt_names_are_refused_with_the_nearest(exchange: tu.Exchange) -> None:
    """Symbols, timeframes and venues name what is meant; nothing is sent for a bad limit or range."""
    with pytest.raises(errors.BadSymbol, match="BTC/USDT"):
        await exchange.fetch_ticker("BTCUSDT")
    with pytest.raises(errors.UnknownName, match="binance has 1s, 1m, 3m, 5m"):
        await exchange.fetch_ohlcv("BTC/USDT", "7m")
    with pytest.raises(errors.UnknownName, match="binance"):
        tu.Exchange("binnance")
    with pytest.raises(errors.UsageError, match="limit"):
        await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=0)
    with pytest.raises(errors.UsageError, match="after 1970"):
        await exchange.fetch_ohlcv("BTC/USDT", "1m", until=dt.datetime(1961, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(errors.UsageError, match="first"):
        await exchange.fetch_ohlcv("BTC/USDT", "1m", since=2 * 10**12, until=10**12)
    with pytest.raises(errors.UsageError, match="time zone"):
        await exchange.fetch_ohlcv("BTC/USDT", "1m", since=dt.datetime(2024, 1, 1))  # noqa: DTZ001  # the mistake
    with pytest.raises(errors.UsageError, match="list"):
        await exchange.fetch_panel("BTC/USDT", "1m")
    with pytest.raises(errors.UsageError, match="empty"):
        await exchange.fetch_panel([], "1m")
    with pytest.raises(errors.BadSymbol):
        await exchange.fetch_ticker(["BTC/USDT"])  # type: ignore[arg-type]  # the mistake


async def test_use_after_close_and_on_another_loop_is_said_plainly(venue: SimulatedVenue) -> None:
    """Neither hangs, and neither leaves a warning behind."""
    exchange = tu.Exchange("binance", url=venue.url)
    await exchange.load_markets()

    def elsewhere() -> None:
        asyncio.run(exchange.fetch_ticker("BTC/USDT"))

    with pytest.raises(errors.UsageError, match="loop"):
        await asyncio.to_thread(elsewhere)
    await exchange.aclose()
    await exchange.aclose()
    with pytest.raises(errors.Closed):
        await exchange.fetch_ticker("BTC/USDT")


def test_the_blocking_exchange_serves_threads() -> None:
    """A thread pool of callers, as the old bot's symbol filter was, over one blocking exchange."""
    from concurrent.futures import ThreadPoolExecutor

    from tradeutils import sim, sync

    with (
        sim.serve(symbols=10, seed=3) as venue,
        sync.Cache() as cache,
        sync.Exchange("binance", url=venue.url, account=ALICE, cache=cache) as exchange,
        ThreadPoolExecutor(8) as pool,
    ):
        symbols = list(exchange.load_markets())
        found = list(pool.map(lambda symbol: exchange.fetch_ohlcv(symbol, "1h", limit=20), symbols))
        assert [candles.symbol for candles in found] == symbols
        assert (exchange.venue, exchange.account, "1h" in exchange.timeframes) == ("binance", ALICE, True)
        balances = sync.Balances(exchange, cache=cache)
        assert balances.accounts == ("alice",)
        assert balances.total("alice", "USDT").total > 0
        assert "binance" in repr(exchange)


async def test_exchanges_of_other_origins_share_nothing(venue: SimulatedVenue) -> None:
    """Another address, other options or a sandbox give other answers: one cache must not mix them up."""
    async with tu.Cache() as cache, tu.Exchange("binance", url=venue.url, account=ALICE, cache=cache) as one:
        known = await tu.Balances(one, cache=cache).fetch("alice")
        assert known["USDT"].total == 10_000
        rich = SimulatedAccount(
            name="x", key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret, balances={"USDT": "1"}
        )
        async with (
            SimulatedVenue(symbols=3, accounts=[rich]) as elsewhere,
            tu.Exchange("binance", url=elsewhere.url, account=ALICE, cache=cache) as other,
        ):
            assert (await tu.Balances(other, cache=cache).fetch("alice"))["USDT"].total == 1
    keys = ALICE.credentials
    live = tu.Exchange("binance", account=tu.Account(name="a", exchange="binance", credentials=keys))
    test = tu.Exchange("binance", account=tu.Account(name="a", exchange="binance", credentials=keys, sandbox=True))
    swap = tu.Exchange("binance", options={"defaultType": "swap"})
    assert len({live.origin, test.origin, swap.origin, one.origin}) == 4
    assert live.origin == "binance"


async def test_an_answer_that_lacks_the_last_bar_is_not_kept(venue: SimulatedVenue) -> None:
    """A venue publishes a bar a moment after its close: what was asked in between must not serve for an hour."""
    async with tu.Cache() as cache, tu.Exchange("binance", url=venue.url, cache=cache) as exchange:
        inner, asked = exchange._venue, 0
        whole = inner.fetch_candle_rows

        async def late(*args: Any, **kwargs: Any) -> Any:
            nonlocal asked
            asked += 1
            now, rows = await whole(*args, **kwargs)
            return now, rows[:-2] if asked == 1 else rows

        inner.fetch_candle_rows = late  # type: ignore[method-assign]
        close = venue.clock.now() // HOUR * HOUR
        early = await exchange.fetch_ohlcv("BTC/USDT", "1h", since=close - 5 * HOUR)
        again = await exchange.fetch_ohlcv("BTC/USDT", "1h", since=close - 5 * HOUR)
        assert len(again) == 5
        assert len(early) in (3, 5)  # paging itself asks once more for what is missing
        before = asked
        assert await exchange.fetch_ohlcv("BTC/USDT", "1h", since=close - 5 * HOUR) == again
        assert asked == before


async def test_one_timeframe_has_one_meaning_however_it_is_written(exchange: tu.Exchange) -> None:
    """60m is 1h."""
    hours = await exchange.fetch_ohlcv("BTC/USDT", "60m", limit=3)
    assert hours == await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=3)
    assert hours.timeframe == "1h"


async def test_what_is_no_account_cache_or_list_is_refused_at_once(exchange: tu.Exchange) -> None:
    """A mistake in the call is a UsageError that says what to give, before anything is sent."""
    for options in ({"account": "alice"}, {"cache": "redis://localhost"}, {"options": [1]}):
        with pytest.raises(errors.UsageError, match="give"):
            tu.Exchange("binance", **options)  # type: ignore[arg-type]  # the mistake
    for wrong in ("binance", None, ["binance"]):
        with pytest.raises(errors.UsageError, match="give"):
            tu.Balances(wrong)  # type: ignore[arg-type]  # the mistake
    for wrong in (5, [[]]):
        with pytest.raises(errors.UsageError, match="list"):
            await exchange.fetch_tickers(wrong)  # type: ignore[arg-type]  # the mistake


async def test_a_sparse_symbol_does_not_push_out_the_others(venue: SimulatedVenue) -> None:
    """Of 50 rows asked for, a symbol that traded in all of them has all of them."""
    time = np.arange(400, dtype=np.int64) * MINUTE + 1_700_000_040_000
    ones = np.ones(400)

    def made(symbol: str, step: int) -> tu.Candles:
        columns = dict.fromkeys(("open", "high", "low", "close", "volume"), ones[::step])
        return tu.Candles(symbol=symbol, timeframe="1m", time=time[::step], **columns)

    given = {"A/USDT": made("A/USDT", 1), "B/USDT": made("B/USDT", 7)}
    async with SimulatedVenue(candles=given) as sparse, tu.Exchange("binance", url=sparse.url) as exchange:
        panel = await exchange.fetch_panel(["A/USDT", "B/USDT"], "1m", limit=50)
    assert panel.shape == (50, 2)
    assert not np.isnan(panel.close[:, 0]).any()


async def test_what_is_wrong_by_itself_is_refused_before_any_request() -> None:
    """A bad timeframe, range or limit needs no venue to be seen: nobody listens here."""
    async with tu.Exchange("binance", url="http://127.0.0.1:1") as exchange:
        for wrong in ({"timeframe": "7x"}, {"limit": 0}, {"since": 5, "until": 4}, {"since": 1_700_000_000}):
            with pytest.raises(errors.UsageError):
                await exchange.fetch_ohlcv("BTC/USDT", **wrong)  # type: ignore[arg-type]  # the mistakes
