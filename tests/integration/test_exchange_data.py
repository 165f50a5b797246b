"""What an exchange promises of public data: who has it, what is shared, what is skipped, what is not served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import pytest

import tradeutils as tu
from tradeutils import codec, errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.candles.paging import PAGES_AT_ONCE
from tradeutils.settings import ExchangeSettings
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue
from tradeutils.sim.limits import Limits

MINUTE = 60_000
SYMBOLS = ["BTC/USDT", "ETH/USDT", "BNB/USDT"]


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Five generated symbols, frozen at 30 s past a minute."""
    async with SimulatedVenue("binance", symbols=5, seed=3) as venue:
        yield venue


@pytest.fixture
async def exchange(venue: SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """The venue as nobody in particular sees it."""
    async with tu.Exchange("binance", url=venue.url) as exchange:
        yield exchange


async def test_what_a_venue_has_not_is_refused_with_venues_that_have_it() -> None:
    """Before anything is sent, and by ccxt's own description: nobody listens here."""
    async with tu.Exchange("kraken", url="http://127.0.0.1:1") as kraken:
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: kraken.fetch_funding_rate("BTC/USD"),
            lambda: kraken.fetch_funding_rates(),
            lambda: kraken.fetch_funding_rate_history("BTC/USD"),
            lambda: kraken.fetch_open_interest("BTC/USD"),
            lambda: kraken.fetch_open_interest_history("BTC/USD"),
            lambda: kraken.fetch_mark_ohlcv("BTC/USD"),
            lambda: kraken.fetch_index_ohlcv("BTC/USD"),
        )
        for call in calls:
            with pytest.raises(errors.NotSupportedByVenue, match="binance, bybit, okx") as caught:
                await call()
            assert "kraken" not in caught.value.alternatives
    async with tu.Exchange("coinbase", url="http://127.0.0.1:1") as coinbase:
        with pytest.raises(errors.NotSupportedByVenue, match="fetch_open_interest:"):
            await coinbase.fetch_open_interest("BTC/USD")


async def test_tickers_of_one_type_come_whole_and_alone() -> None:
    """All of spot or all swaps, in a request each, which is kept apart from the other; a mistake is told before it."""
    async with (
        SimulatedVenue("binance", symbols=4, linear=3, seed=3) as venue,
        tu.Exchange("binance", url=venue.url, cache=tu.Cache()) as exchange,
    ):
        markets = await exchange.load_markets()
        for _ in range(2):
            for kind in ("spot", "swap"):
                tickers = await exchange.fetch_tickers(type=kind)
                assert set(tickers) == {symbol for symbol, one in markets.items() if one.type == kind}
        assert set(await exchange.fetch_tickers()) == {symbol for symbol, one in markets.items() if one.type == "spot"}
        assert await exchange.screen(type="swap", min_price=0.0)
        counted = [venue.requests.paths[f"/{path}/ticker/24hr"] for path in ("api/v3", "fapi/v1")]
        assert counted == [1, 1]
        with pytest.raises(errors.UnknownName, match=r"binance has spot, swap|did you mean"):
            await exchange.fetch_tickers(type="sopt")  # type: ignore[arg-type]  # a mistake
        with pytest.raises(errors.UsageError, match="give one of them"):
            await exchange.fetch_tickers(["BTC/USDT"], type="spot")
    async with SimulatedVenue("kraken", symbols=2, seed=3) as venue, tu.Exchange("kraken", url=venue.url) as kraken:
        assert len(await kraken.fetch_tickers(type="spot")) == 2


async def test_what_a_venue_emulates_counts_as_had() -> None:
    """bybit has no call for one funding rate, and ccxt makes it of the call for many."""
    async with SimulatedVenue("bybit", symbols=2) as venue, tu.Exchange("bybit", url=venue.url) as bybit:
        assert (await bybit.fetch_funding_rate("BTC/USDT:USDT")).rate is not None


async def test_what_the_venue_sent_is_there_when_asked_for_and_only_then(venue: SimulatedVenue) -> None:
    """``info`` is read-only, survives the cache, is not compared, and is never served to who did not ask."""
    account = tu.Account(
        name="alice",
        exchange="binance",
        credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
    )
    async with (
        tu.Cache() as cache,
        tu.Exchange("binance", url=venue.url, cache=cache) as plain,
        tu.Exchange("binance", url=venue.url, cache=cache, info=True, account=account) as told,
    ):
        for _ in range(2):  # from the venue, then from the cache
            bare, whole = await plain.fetch_ticker("BTC/USDT"), await told.fetch_ticker("BTC/USDT")
            assert bare == whole
            assert bare.info is None
            assert isinstance(whole.info, tu.Info)
            assert whole.info["symbol"] == "BTCUSDT"
        with pytest.raises(TypeError):
            whole.info["symbol"] = "ETHUSDT"  # type: ignore[index]  # the mistake
        assert "BTCUSDT" not in repr(whole)
        assert codec.loads(codec.dumps([whole]))[0].info == whole.info
        assert (await told.fetch_tickers(["ETH/USDT"]))["ETH/USDT"].info is not None
        assert (await told.fetch_trades("BTC/USDT", limit=3))[0].info is not None
        market = (await told.load_markets())["BTC/USDT"]
        assert isinstance(market.info, tu.Info)
        assert market.info["filters"][0]["filterType"]
        assert (await plain.load_markets())["BTC/USDT"].info is None
        swap = await told.fetch_funding_rate("BTC/USDT:USDT")
        assert isinstance(swap.info, tu.Info)
        assert (await plain.fetch_funding_rate("BTC/USDT:USDT")).info is None
        assert plain.origin != told.origin


async def test_who_asks_for_the_same_at_once_shares_one_call(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Without a cache too; once it is answered the next call asks anew, and nobody can change another's answer."""
    await exchange.load_markets()
    await exchange.fetch_time()
    calls: dict[str, Any] = {
        "/api/v3/ticker/24hr": lambda: exchange.fetch_tickers(),
        "/api/v3/klines": lambda: exchange.fetch_ohlcv("BTC/USDT", "1h", limit=10),
        "/api/v3/depth": lambda: exchange.fetch_order_book("BTC/USDT", limit=5),
    }
    for path, call in calls.items():
        before = venue.requests.paths.get(path, 0)
        answers = await asyncio.gather(*(call() for _ in range(20)))
        assert all(answer == answers[0] for answer in answers)
        assert venue.requests.paths[path] == before + 1
        await call()
        assert venue.requests.paths[path] == before + 2
    one, other = await asyncio.gather(exchange.fetch_tickers(), exchange.fetch_tickers())
    one.clear()
    assert other
    trades = await asyncio.gather(*(exchange.fetch_trades("BTC/USDT", limit=5) for _ in range(3)))
    trades[0].clear()
    assert trades[1] == trades[2] != []


async def test_who_gives_up_leaves_the_others_their_answer(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """One caller is cancelled: the rest get theirs. All are: the call ends with them."""
    await exchange.load_markets()
    tasks = [asyncio.create_task(exchange.fetch_ticker("BTC/USDT")) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1] == outcomes[2]
    lonely = asyncio.create_task(exchange.fetch_ticker("BTC/USDT"))
    await asyncio.sleep(0)
    lonely.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lonely
    assert not [task for task in asyncio.all_tasks() if "fetch_ticker" in repr(task.get_coro())]
    assert (await exchange.fetch_ticker("BTC/USDT")).symbol == "BTC/USDT"


@pytest.mark.parametrize("cached", [False, True])
async def test_a_range_that_nobody_waits_for_any_more_is_not_fetched_on(venue: SimulatedVenue, cached: bool) -> None:
    """The last who is cancelled takes the pages along; whoever else waits on the same cache gets all of them."""
    async with contextlib.AsyncExitStack() as stack:
        cache = await stack.enter_async_context(tu.Cache()) if cached else None
        first, second = [
            await stack.enter_async_context(tu.Exchange("binance", url=venue.url, cache=cache, budget=LocalBudget()))
            for _ in range(2)
        ]
        now = await first.fetch_time()
        since = now - now % MINUTE - 30_000 * MINUTE
        for exchange in (first, second):
            await exchange.load_markets()
            await exchange.fetch_time()
        venue.faults.add("latency", seconds=0.05, path="/api/v3/klines")
        leaving = [asyncio.create_task(first.fetch_ohlcv("BTC/USDT", "1m", since=since)) for _ in range(2)]
        await asyncio.sleep(0.12)
        leaving[0].cancel()
        await asyncio.sleep(0.02)
        assert not leaving[1].done()
        leaving[1].cancel()
        await asyncio.wait(leaving)
        under_way = venue.requests.paths["/api/v3/klines"]
        await asyncio.sleep(0.3)
        asked = venue.requests.paths["/api/v3/klines"]
        assert asked <= under_way + PAGES_AT_ONCE  # what was on its way
        leaving = [asyncio.create_task(first.fetch_ohlcv("BTC/USDT", "1m", since=since))]
        staying = asyncio.create_task(second.fetch_ohlcv("BTC/USDT", "1m", since=since))
        await asyncio.sleep(0.12)
        leaving[0].cancel()
        candles = await staying
        assert len(candles) == 30_000
        assert not candles.gaps()


async def test_what_was_closed_answers_nothing_from_the_cache(venue: SimulatedVenue) -> None:
    """Also where an answer is kept, and in the middle of a panel that goes on without what fails."""
    async with tu.Cache() as cache:
        exchange = tu.Exchange("binance", url=venue.url, cache=cache)
        await exchange.fetch_tickers()
        await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=5)
        venue.faults.add("latency", seconds=5.0, path="/api/v3/klines")
        panel = asyncio.create_task(exchange.fetch_panel(SYMBOLS, "1m", limit=5, on_error="skip"))
        screen = asyncio.create_task(exchange.screen(include=["BTC/USDT"], min_volatility=0.0))
        await asyncio.sleep(0.1)
        await exchange.aclose()
        for call in (panel, screen, exchange.fetch_tickers(), exchange.fetch_funding_rates()):
            with pytest.raises(errors.Closed):
                await call


async def test_a_shared_call_that_fails_fails_for_all_and_is_not_remembered(venue: SimulatedVenue) -> None:
    """The error reaches each caller; the next call is made anew."""
    async with tu.Exchange("binance", url=venue.url, retries=0) as exchange:
        await exchange.load_markets()
        await venue.close()
        outcomes = await asyncio.gather(
            *(exchange.fetch_order_book("BTC/USDT") for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(outcome, errors.VenueUnavailable) for outcome in outcomes)
        with pytest.raises(errors.VenueUnavailable):
            await exchange.fetch_order_book("BTC/USDT")


async def test_a_panel_goes_on_without_what_fails_and_names_it(
    exchange: tu.Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    """The good symbols in their order, the others with their errors, and progress for both."""
    skipped: dict[str, errors.TradeutilsError] = {}
    seen: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING, "tradeutils"):
        panel = await exchange.fetch_panel(
            ["ETH/USDT", "BTC/USTD", "BTC/USDT"], "1m", limit=5, on_error="skip", skipped=skipped,
            progress=lambda done, of: seen.append((done, of)),
        )  # fmt: skip
    assert panel.symbols == ("ETH/USDT", "BTC/USDT")
    assert list(skipped) == ["BTC/USTD"]
    assert isinstance(skipped["BTC/USTD"], errors.BadSymbol)
    assert len(skipped["BTC/USTD"].nearest) == 3
    assert sorted(seen) == [(1, 3), (2, 3), (3, 3)]
    assert "lacks 1 of 3 symbols: BTC/USTD" in caplog.text


async def test_a_panel_of_nothing_raises_what_failed_first(exchange: tu.Exchange) -> None:
    """No panel without a column: where all fail, the first symbol's error is told."""
    with pytest.raises(errors.BadSymbol, match="'BTC/USTD'"):
        await exchange.fetch_panel(["BTC/USTD", "ETH/USTD"], "1m", limit=5, on_error="skip")


async def test_a_symbol_that_fails_at_the_venue_is_skipped_too(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Whatever the venue says of one symbol concerns that one alone."""
    await exchange.load_markets()
    inner = exchange._venue
    whole = inner.fetch_candle_rows

    async def failing(symbol: str, *args: Any, **asked: Any) -> Any:
        if symbol == "ETH/USDT":
            raise errors.RequestRefused("closed for the day", venue="binance")
        return await whole(symbol, *args, **asked)

    inner.fetch_candle_rows = failing  # type: ignore[method-assign]
    skipped: dict[str, errors.TradeutilsError] = {}
    panel = await exchange.fetch_panel(SYMBOLS, "1m", limit=5, on_error="skip", skipped=skipped)
    assert panel.symbols == ("BTC/USDT", "BNB/USDT")
    assert isinstance(skipped["ETH/USDT"], errors.RequestRefused)
    with pytest.raises(errors.RequestRefused, match="closed for the day"):
        await exchange.fetch_panel(SYMBOLS, "1m", limit=5)


async def test_a_bad_symbol_is_told_before_any_candle_is_asked_for(
    venue: SimulatedVenue, exchange: tu.Exchange
) -> None:
    """The three nearest are named, and nothing was spent."""
    with pytest.raises(errors.BadSymbol) as caught:
        await exchange.fetch_panel([*SYMBOLS, "BTC/USTD"], "1m", limit=5)
    assert len(caught.value.nearest) == 3
    assert "BTC/USDT" in caught.value.nearest
    assert "/api/v3/klines" not in venue.requests.paths
    mistakes: list[dict[str, Any]] = [{"on_error": "ignore"}, {"skipped": []}, {"timeframe": "7m"}, {"until": -4}]
    for wrong in mistakes:
        with pytest.raises(errors.UsageError):
            await exchange.fetch_panel(SYMBOLS, **{"timeframe": "1m"} | wrong)
    assert "/api/v3/klines" not in venue.requests.paths


async def test_what_progress_raises_ends_the_panel(exchange: tu.Exchange) -> None:
    """A user who breaks off gets his own exception, also where failures are skipped, and nothing goes on."""

    def stop(done: int, of: int) -> None:
        raise errors.TradeutilsError("enough")

    policies: tuple[Literal["raise", "skip"], ...] = ("raise", "skip")
    for on_error in policies:
        with pytest.raises(errors.TradeutilsError, match="enough"):
            await exchange.fetch_panel(SYMBOLS, "1m", limit=5, on_error=on_error, progress=stop)
        running = [repr(task.get_coro()) for task in asyncio.all_tasks()]
        assert not [name for name in running if "fetch_each" in name or "ohlcv" in name]


async def test_kraken_says_that_it_has_no_more_than_its_newest_bars() -> None:
    """720 of any timeframe: more is refused with the first that there is, or given in part."""
    quick = ExchangeSettings(rate_limit_ms=1)  # nobody's limit is to be kept here
    async with (
        SimulatedVenue("kraken", symbols=2, seed=3, limits=Limits.none()) as venue,
        tu.Exchange("kraken", url=venue.url, settings=quick) as kraken,
    ):
        symbol = next(iter(await kraken.load_markets()))
        newest = await kraken.fetch_ohlcv(symbol, "5m", limit=700)
        assert len(newest) == 700
        month = int(newest.time[-1]) - 30 * 86_400_000
        too_much: list[dict[str, Any]] = [
            {"since": month},
            {"limit": 2000},
            {"since": month, "until": month + 3_600_000},
            {"since": 0},  # kraken refuses a start before 1970, and ccxt asks from a bar earlier on
            {"limit": 10**9},
        ]
        for asked in too_much:
            with pytest.raises(errors.RangeNotServed, match="newest 720 candles of 5m"):
                await kraken.fetch_ohlcv(symbol, "5m", **asked)
        before = venue.requests.total
        partial = await kraken.fetch_ohlcv(symbol, "5m", since=month, partial=True)
        assert venue.requests.total - before <= 3
        assert len(partial) in (719, 720)
        assert partial[-700:] == newest
        assert await kraken.fetch_ohlcv(symbol, "5m", since=0, partial=True) == partial
        with pytest.raises(errors.RangeNotServed) as caught:
            await kraken.fetch_ohlcv(symbol, "5m", since=month)
        assert caught.value.first == partial.time[0]
        assert await kraken.fetch_ohlcv(symbol, "5m", since=caught.value.first) == partial
        skipped: dict[str, errors.TradeutilsError] = {}
        with pytest.raises(errors.RangeNotServed):
            await kraken.fetch_panel([symbol], "5m", since=month, on_error="skip", skipped=skipped)
        assert len(await kraken.fetch_panel([symbol], "5m", since=month, partial=True)) == len(partial)


async def test_a_grace_holds_a_bar_back_that_nothing_has_followed(venue: SimulatedVenue) -> None:
    """It is told when the exchange is opened; a bar counts as closed at its end where there is none."""
    close = tu.timeframe.parse("1h").next(venue.clock.now())
    venue.clock.set(close)
    inner_rows = 0

    async def newest(grace: float) -> int:
        async with tu.Exchange("binance", url=venue.url, close_grace=grace) as exchange:
            inner = exchange._venue
            whole = inner.fetch_candle_rows

            async def without_the_next(*args: Any, **asked: Any) -> Any:
                nonlocal inner_rows
                now, rows = await whole(*args, **asked)
                kept = [row for row in rows if row[0] < close]
                inner_rows += len(rows) - len(kept)
                return now, kept

            inner.fetch_candle_rows = without_the_next  # type: ignore[method-assign]
            return int((await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=3)).time[-1])

    assert await newest(0) == close - 3_600_000
    assert await newest(5.0) == close - 2 * 3_600_000
    assert inner_rows > 0
    for wrong in (-1, float("nan"), float("inf"), "1", None, True):
        with pytest.raises(errors.UsageError, match="close_grace"):
            tu.Exchange("binance", close_grace=wrong)  # type: ignore[arg-type]  # the mistake


async def test_a_long_range_is_fetched_several_pages_at_once(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Twenty pages on a venue that takes its time: many are under way together, and no bar is lost or doubled."""
    now = await exchange.fetch_time()
    since = now - now % MINUTE - 20_000 * MINUTE
    candles = await exchange.fetch_ohlcv("BTC/USDT", "1m", since=since)
    assert len(candles) == 20_000
    assert not candles.gaps()
    assert venue.requests.paths["/api/v3/klines"] == 20


async def test_what_is_listed_three_ways_is_named_three_ways(exchange: tu.Exchange) -> None:
    """An unknown symbol is answered with exactly the three nearest, whatever was asked."""
    calls: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: exchange.fetch_ticker("BTC/USTD"),
        lambda: exchange.fetch_tickers(["BTC/USTD"]),
        lambda: exchange.fetch_ohlcv("BTC/USTD"),
        lambda: exchange.fetch_order_book("BTC/USTD"),
        lambda: exchange.fetch_trades("BTC/USTD"),
    )
    for call in calls:
        with pytest.raises(errors.BadSymbol) as caught:
            await call()
        assert len(caught.value.nearest) == 3
    mistakes: list[Any] = [5, None, b"BTC/USDT", ["BTC/USDT"], {}, float("nan"), "", "\ud800", "x" * 10_000]
    for wrong in mistakes:
        with pytest.raises(errors.BadSymbol):
            await exchange.fetch_ticker(wrong)
