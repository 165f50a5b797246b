"""Backfill through the real `Exchange`, over HTTP, from simulated venues; alone, on threads and on other processes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import multiprocessing
import os
import pathlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from backfill_work import open_at
from clusters import dask_client  # noqa: F401  # fixture
from servers import ValkeyServer

import tradeutils as tu
from tradeutils import errors, sync
from tradeutils.history.backfilling.tasks import check_shared
from tradeutils.sim import HISTORY_START, Limits, SimulatedVenue, serve

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
COLUMNS = ("time", "open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """Six generated markets at a frozen moment; whoever asks is never refused."""
    with serve("binance", symbols=6, seed=3, limits=Limits.none()) as running:
        yield running


@pytest.fixture
async def exchange(venue: SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """The venue as nobody in particular sees it."""
    async with tu.Exchange("binance", url=venue.url) as opened:
        yield opened


@pytest.fixture
def history(tmp_path: pathlib.Path) -> Iterator[tu.History]:
    """An empty store."""
    with tu.History(tmp_path / "candles") as opened:
        yield opened


async def test_the_store_is_what_the_venue_says(
    venue: SimulatedVenue, exchange: tu.Exchange, history: tu.History
) -> None:
    """Row for row for minutes; coarser candles have the venue's own prices, and its volume but for the last bit."""
    now = await exchange.fetch_time()
    symbols = [one for one, market in (await exchange.load_markets()).items() if market.type == "spot"][:4]
    venue.requests.clear()
    report = await history.backfill(exchange, symbols, ["1m", "5m", "1d"], since=now - 8 * DAY)
    assert report.complete
    assert not [gap for one in report.series for gap in one.missing]
    assert venue.requests.paths == {"/api/v3/klines": 4 * 12}  # 11,520 minutes each, in pages of 1000
    for symbol in symbols:
        for frame in ("1m", "5m", "1d"):
            found, theirs = (
                history.read("binance", symbol, frame),
                await exchange.fetch_ohlcv(symbol, frame, since=now - 8 * DAY),
            )
            for name in COLUMNS[:-1] if frame != "1m" else COLUMNS:
                assert np.array_equal(getattr(found, name), getattr(theirs, name)), (symbol, frame, name)
            np.testing.assert_allclose(found.volume, theirs.volume, rtol=1e-12)


async def test_the_next_run_fetches_what_has_closed_since(tmp_path: pathlib.Path) -> None:
    """Time goes on at the venue: one request a symbol brings it, and none comes a second time."""
    async with (
        SimulatedVenue("binance", symbols=["BTC/USDT"], limits=Limits.none()) as venue,
        tu.Exchange("binance", url=venue.url) as exchange,
    ):
        with tu.History(tmp_path) as history:
            since = venue.clock.now() - DAY
            first = await history.backfill(exchange, ["BTC/USDT"], "1m", since=since)
            venue.clock.step(90 * MINUTE)
            await exchange.fetch_ticker("BTC/USDT")  # its reply tells that the clock has moved
            venue.requests.clear()
            second = await history.backfill(exchange, ["BTC/USDT"], "1m", since=since)
            assert (first.added, second.added) == (1439, 90)  # it is half a minute past
            assert venue.requests.paths["/api/v3/klines"] == 1
            expected = await exchange.fetch_ohlcv("BTC/USDT", "1m", since=since)
            assert history.read("binance", "BTC/USDT", "1m") == expected


async def test_years_before_the_listing_cost_a_few_requests(
    venue: SimulatedVenue, exchange: tu.Exchange, history: tu.History
) -> None:
    """Eight years before the first candle: found through days and minutes."""
    venue.requests.clear()
    report = await history.backfill(
        exchange, ["ETH/USDT"], "1m", since=HISTORY_START - 2900 * DAY, until=HISTORY_START + 6000 * MINUTE
    )
    assert report["ETH/USDT", "1m"].missing[0].until == HISTORY_START
    assert len(history.read("binance", "ETH/USDT", "1m")) == 6000
    assert venue.requests.paths["/api/v3/klines"] <= 6 + 12


async def test_what_kraken_no_longer_has_is_told(tmp_path: pathlib.Path) -> None:
    """It keeps 720 bars of any timeframe: those are stored, and the rest is named with the date."""
    async with SimulatedVenue("kraken", symbols=2, limits=Limits.none()) as venue:
        quick = tu.settings.ExchangeSettings(rate_limit_ms=1)  # its own is one request a second
        async with tu.Exchange("kraken", url=venue.url, settings=quick, budget=tu.LocalBudget()) as exchange:
            now = await exchange.fetch_time()
            with tu.History(tmp_path) as history:
                symbol = next(iter(await exchange.load_markets()))
                report = await history.backfill(exchange, [symbol], ["1m", "1d"], since=now - 60 * DAY, derive=False)
                (gap,) = report[symbol, "1m"].missing
                assert gap.reason == "not kept"
                assert 715 <= len(history.read("kraken", symbol, "1m")) <= 721
                assert report[symbol, "1d"].missing == ()
                assert venue.requests.total <= 20


async def test_a_stream_of_polls_is_followed_and_its_holes_are_filled(tmp_path: pathlib.Path) -> None:
    """The venue's clock jumps between two polls: what was missed in between is fetched."""
    async with (
        SimulatedVenue("binance", symbols=["BTC/USDT"], limits=Limits.none()) as venue,
        tu.Exchange("binance", url=venue.url) as exchange,
    ):

        async def polls() -> AsyncIterator[tu.Candles]:
            for minutes in (1, 1, 30, 1):
                venue.clock.step(minutes * MINUTE)
                await exchange.fetch_ticker("BTC/USDT")
                yield await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=3, closed_only=False)

        with tu.History(tmp_path) as history:
            followed = await history.follow(polls(), exchange=exchange)
            assert (followed.missing, followed.filled, followed.forming) == (28, 28, 4)
            stored = history.read("binance", "BTC/USDT", "1m")
            assert not stored.gaps()
            assert stored == await exchange.fetch_ohlcv("BTC/USDT", "1m", since=int(stored.time[0]))


def test_blocking_calls_fill_the_same_store(venue: SimulatedVenue, tmp_path: pathlib.Path) -> None:
    """A script without asyncio, from several threads at once."""
    with sync.Exchange("binance", url=venue.url) as exchange, sync.History(tmp_path) as history:
        since = exchange.fetch_time() - 2 * DAY
        symbols = ["BTC/USDT", "ETH/USDT", "BNB/USDT"]
        with ThreadPoolExecutor(3) as pool:
            reports = list(
                pool.map(lambda symbol: history.backfill(exchange, [symbol], ["1m", "1h"], since=since), symbols)
            )
        assert [report.complete for report in reports] == [True] * 3
        panel = history.panel(exchange, symbols, "1m")
        assert panel.shape == (2879, 3)
        assert not panel.mask.any()
        followed = history.follow(iter([exchange.fetch_ohlcv("SOL/USDT", "1m", limit=5)]), exchange=exchange)
        assert followed.added == 5
        assert exchange.budget is not None


# Workers


@contextlib.asynccontextmanager
async def open_alone() -> AsyncIterator[tu.Exchange]:
    """Open an exchange that knows nothing of other processes."""
    async with tu.Exchange("binance", url=os.environ["BACKFILL_URL"]) as exchange:
        yield exchange


@contextlib.asynccontextmanager
async def open_shared() -> AsyncIterator[tu.Exchange]:
    """Open an exchange whose budget is shared through Redis; its address comes by the environment."""
    async with (
        tu.Cache(os.environ["BACKFILL_REDIS"]) as cache,
        tu.Exchange("binance", url=os.environ["BACKFILL_URL"], cache=cache) as exchange,
    ):
        yield exchange


@pytest.fixture
def addresses(venue: SimulatedVenue, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKFILL_URL", venue.url)
    monkeypatch.setenv("BACKFILL_REDIS", valkey.url)


@pytest.mark.usefixtures("addresses")
async def test_threads_share_the_symbols_out(exchange: tu.Exchange, history: tu.History) -> None:
    """Each with an exchange of its own; the report is in order, and the caller's history may write again after."""
    since = await exchange.fetch_time() - 3 * DAY
    symbols = ["BTC/USDT", "GONE/USDT", "ETH/USDT", "BNB/USDT"]
    history.write(await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=10))  # holds the lock, which a worker needs
    seen = []
    with ThreadPoolExecutor(2) as pool:
        report = await history.backfill(
            exchange, symbols, ["1m", "1h"], since=since, executor=pool, open_exchange=open_alone,
            progress=seen.append,
        )  # fmt: skip
    assert [one.symbol for one in report.series][::2] == symbols
    assert report["GONE/USDT", "1m"].missing[0].reason == "not listed"
    assert report.complete
    assert seen[-1].done == seen[-1].total
    for symbol in ("BTC/USDT", "ETH/USDT", "BNB/USDT"):
        assert history.read("binance", symbol, "1m") == await exchange.fetch_ohlcv(symbol, "1m", since=since)
    history.write(await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=10))


async def test_a_cluster_fills_the_store(
    dask_client: Any,  # noqa: F811  # the fixture
    venue: SimulatedVenue,
    valkey: ValkeyServer,
    history: tu.History,
) -> None:
    """A Dask client is taken as it is; its workers open store and exchange where they are."""
    opening = functools.partial(open_at, valkey.url, venue.url)
    symbols = ["BTC/USDT", "ETH/USDT", "BNB/USDT"]
    async with opening() as exchange:
        since = await exchange.fetch_time() - 2 * DAY
        report = await history.backfill(
            exchange, symbols, ["1m", "1h"], since=since, executor=dask_client, open_exchange=opening
        )
        assert report.complete
        for symbol in symbols:
            assert history.read("binance", symbol, "1m") == await exchange.fetch_ohlcv(symbol, "1m", since=since)


@pytest.mark.usefixtures("addresses")
async def test_processes_that_would_each_spend_the_limit_are_refused(history: tu.History) -> None:
    """Before anything is asked, by the caller's exchange and by that of a worker; what to write is said."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        async with open_alone() as exchange:
            ask = functools.partial(history.backfill, exchange, ["BTC/USDT"], "1m", since=HISTORY_START, executor=pool)
            with pytest.raises(errors.UsageError, match=r"ban them.*Redis"):
                await ask(open_exchange=open_shared)
            with pytest.raises(errors.UsageError, match="executor was given without open_exchange"):
                await ask()
            with pytest.raises(errors.UsageError, match="ban them"):
                check_shared(exchange)
        async with open_shared() as exchange:
            check_shared(exchange)
            with pytest.raises(errors.UsageError, match="another process cannot import"):
                await history.backfill(
                    exchange, ["BTC/USDT"], "1m", since=HISTORY_START, executor=pool,
                    open_exchange=lambda: open_shared(),
                )  # fmt: skip


@pytest.mark.usefixtures("addresses")
async def test_cancelled_workers_end_with_what_they_have_begun(exchange: tu.Exchange, history: tu.History) -> None:
    """The caller gets its cancellation, no task stays, and nobody holds a lock."""
    since = await exchange.fetch_time() - 10 * DAY
    symbols = ["BTC/USDT", "ETH/USDT", "BNB/USDT"]
    with ThreadPoolExecutor(1) as pool:
        working = asyncio.create_task(
            history.backfill(exchange, symbols, "1m", since=since, executor=pool, open_exchange=open_alone)
        )
        while not history.series():  # noqa: ASYNC110  # another thread writes it
            await asyncio.sleep(0.01)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert (await history.backfill(exchange, symbols, "1m", since=since)).complete
