"""ccxt's own unmodified binance classes against the simulated venue, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import numpy as np
import pytest

from tradeutils import sim
from tradeutils.history import read_candles


def loopback(urls: Any, url: str) -> Any:
    """Return ccxt's table of endpoints with scheme and host of every one replaced by the venue's, paths kept."""
    if isinstance(urls, dict):
        return {name: loopback(value, url) for name, value in urls.items()}
    scheme = "ws" if urls.startswith("ws") else "http"
    parts = urllib.parse.urlsplit(urls)
    return urllib.parse.urlunsplit((scheme, urllib.parse.urlsplit(url).netloc, parts.path, parts.query, ""))


def every_url(urls: Any) -> Iterator[str]:
    """Yield all endpoints that a ccxt instance knows."""
    if isinstance(urls, dict):
        for value in urls.values():
            yield from every_url(value)
    else:
        yield urls


def options_for(venue: sim.SimulatedVenue, cls: type[Any], account: sim.SimulatedAccount | None) -> dict[str, Any]:
    """Return the configuration of a ccxt class whose every endpoint is the venue."""
    endpoints = cls().describe()["urls"]["api"]
    keys = {} if account is None else {"apiKey": account.key, "secret": account.secret}
    return {"enableRateLimit": False, "timeout_on_exit": 0, "urls": {"api": loopback(endpoints, venue.url)}, **keys}


@contextlib.asynccontextmanager
async def connected(
    venue: sim.SimulatedVenue,
    *,
    account: sim.SimulatedAccount | None = sim.DEFAULT_ACCOUNT,
    cls: type[Any] = ccxt.async_support.binance,
    **more: Any,
) -> AsyncIterator[Any]:
    """Open a ccxt instance on the venue, refusing any endpoint that is not on loopback, and close it."""
    exchange = cls({**options_for(venue, cls, account), **more})
    for endpoint in every_url(exchange.urls["api"]):
        assert ipaddress.ip_address(urllib.parse.urlsplit(endpoint).hostname or "").is_loopback, endpoint
    try:
        yield exchange
    finally:
        await exchange.close()


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock."""
    async with sim.SimulatedVenue(symbols=12) as venue:
        yield venue


async def test_default_load_markets_with_keys_works_unmodified(venue: sim.SimulatedVenue) -> None:
    """Spot, linear and inverse listings, currencies and margin pairs: all that ccxt asks by default is answered."""
    async with connected(venue) as exchange:
        markets = await exchange.load_markets()
    assert sorted(markets) == sorted(one.symbol for one in venue.market.instruments.values())
    market = markets["BTC/USDT"]
    assert market["spot"]
    assert market["active"]
    assert market["precision"] == {"amount": 1e-05, "price": 0.01, "base": 1e-08, "quote": 1e-08}
    assert market["limits"]["cost"]["min"] == 5.0
    assert {"/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo", "/sapi/v1/capital/config/getall"} <= set(
        venue.requests.paths
    )
    assert venue.requests.errors == 0
    assert {"LDUSDT", "XDROP", "BTC"} <= set(exchange.currencies)


async def test_every_public_call_of_ccxt_is_answered(venue: sim.SimulatedVenue) -> None:
    """Tickers, bids and asks, last prices, books, trades, candles, time and status agree with each other."""
    async with connected(venue, account=None) as exchange:
        await exchange.load_markets()
        ticker = await exchange.fetch_ticker("ETH/BTC")
        tickers = await exchange.fetch_tickers()
        two = await exchange.fetch_tickers(["BTC/USDT", "ETH/USDT"])
        book = await exchange.fetch_order_book("BTC/USDT", 5)
        bids_asks = await exchange.fetch_bids_asks()
        prices = await exchange.fetch_last_prices()
        trades = await exchange.fetch_trades("BTC/USDT", limit=3)
        candles = await exchange.fetch_ohlcv("BTC/USDT", "5m", limit=3)
        server_time = await exchange.fetch_time()
        status = await exchange.fetch_status()
    assert len(tickers) == 12
    assert set(two) == {"BTC/USDT", "ETH/USDT"}
    assert tickers["ETH/BTC"]["info"] == ticker["info"]
    assert ticker["bid"] < ticker["ask"]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["timestamp"] == server_time == venue.clock.now()
    assert (bids_asks["BTC/USDT"]["bid"], bids_asks["BTC/USDT"]["ask"]) == (book["bids"][0][0], book["asks"][0][0])
    assert prices["BTC/USDT"]["price"] == trades[-1]["price"] == candles[-1][4] == tickers["BTC/USDT"]["last"]
    assert status["status"] == "ok"
    assert venue.requests.errors == 0


async def test_paging_with_since_gives_the_same_candles_as_one_page(venue: sim.SimulatedVenue) -> None:
    """Pages of 7 fetched by ccxt from `since` on equal one page over the same span."""
    async with connected(venue, account=None) as exchange:
        await exchange.load_markets()
        since = venue.clock.now() // 60_000 * 60_000 - 100 * 60_000
        whole = await exchange.fetch_ohlcv("ETH/USDT", "1m", since=since, limit=1000)
        paged: list[list[float]] = []
        while not paged or paged[-1][0] < whole[-1][0]:
            page_since = since if not paged else paged[-1][0] + 60_000
            paged += await exchange.fetch_ohlcv("ETH/USDT", "1m", since=page_since, limit=7)
    assert len(whole) == 101
    assert paged == whole


async def test_order_lives_and_dies_as_on_the_venue(venue: sim.SimulatedVenue) -> None:
    """A resting order locks funds, is listed, fills when the price comes to it, and pays its fee."""
    async with connected(venue) as exchange:
        await exchange.load_markets()
        price = (await exchange.fetch_ticker("BTC/USDT"))["last"]
        low = exchange.price_to_precision("BTC/USDT", price * 0.98)
        placed = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, float(low), {"clientOrderId": "mine-1"})
        assert (placed["status"], placed["clientOrderId"]) == ("open", "mine-1")
        locked = (await exchange.fetch_balance())["USDT"]
        assert locked["used"] == pytest.approx(0.01 * float(low))
        assert locked["total"] == 10_000
        assert [order["id"] for order in await exchange.fetch_open_orders("BTC/USDT")] == [placed["id"]]
        for _ in range(200):
            venue.clock.step("1h")
            exchange.options["timeDifference"] = 0
            order = await exchange.fetch_order(placed["id"], "BTC/USDT")
            if order["status"] != "open":
                break
        assert order["status"] == "closed"
        assert order["average"] == float(low)
        mine = await exchange.fetch_my_trades("BTC/USDT")
        balance = await exchange.fetch_balance()
    assert [(trade["takerOrMaker"], trade["fee"]["currency"]) for trade in mine] == [("maker", "BTC")]
    assert mine[0]["timestamp"] > placed["timestamp"]
    assert balance["BTC"]["total"] == pytest.approx(0.5 + 0.01 * 0.999)
    assert balance["USDT"]["used"] == 0


async def test_cancel_gives_the_funds_back(venue: sim.SimulatedVenue) -> None:
    """A cancelled order is closed with nothing filled and its funds are free again; a second cancel finds nothing."""
    async with connected(venue) as exchange:
        await exchange.load_markets()
        first = await exchange.create_order("BTC/USDT", "limit", "sell", 0.1, 80_000)
        await exchange.create_order("BTC/USDT", "limit", "sell", 0.1, 81_000)
        await exchange.cancel_order(first["id"], "BTC/USDT")
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order(first["id"], "BTC/USDT")
        await exchange.cancel_all_orders("BTC/USDT")
        orders = await exchange.fetch_orders("BTC/USDT")
        assert await exchange.fetch_open_orders("BTC/USDT") == []
        balance = await exchange.fetch_balance()
    assert [order["status"] for order in orders] == ["canceled", "canceled"]
    assert balance["BTC"] == {"free": 0.5, "used": 0.0, "total": 0.5}


async def test_market_orders_take_from_the_book(venue: sim.SimulatedVenue) -> None:
    """Market orders by amount and by cost fill at the asks that the book shows, or at its bids."""
    async with connected(venue) as exchange:
        await exchange.load_markets()
        book = await exchange.fetch_order_book("ETH/USDT", 20)
        bought = await exchange.create_order("ETH/USDT", "market", "buy", 0.5)
        by_cost = await exchange.create_market_buy_order_with_cost("ETH/USDT", 100)
        sold = await exchange.create_order("ETH/USDT", "market", "sell", 0.25)
    asks = [level[0] for level in book["asks"]]
    assert bought["status"] == by_cost["status"] == sold["status"] == "closed"
    assert [fill["price"] for fill in bought["trades"]] == asks[: len(bought["trades"])]
    assert 95 < by_cost["cost"] <= 100
    assert sold["average"] <= book["bids"][0][0]
    assert sold["fee"]["currency"] == "USDT"


async def test_errors_map_to_ccxts_classes(venue: sim.SimulatedVenue) -> None:
    """What Binance refuses, ccxt reports by the class it has for it."""
    stranger = sim.SimulatedAccount(name="stranger", key="A" * 64, secret="B" * 64)
    forger = sim.SimulatedAccount(name="forger", key=sim.DEFAULT_ACCOUNT.key, secret="wrong")
    async with connected(venue) as exchange:
        await exchange.load_markets()
        with pytest.raises(ccxt.BadSymbol, match="-1121"):
            await exchange.public_get_klines({"symbol": "NOSUCH", "interval": "1m"})
        with pytest.raises(ccxt.BadRequest, match="Invalid interval"):
            await exchange.public_get_klines({"symbol": "BTCUSDT", "interval": "7m"})
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order("BTC/USDT", "market", "buy", 50)
        with pytest.raises(ccxt.OrderNotFound, match="-2013"):
            await exchange.fetch_order("999", "BTC/USDT")
        with pytest.raises(ccxt.InvalidOrder, match="LOT_SIZE"):
            await exchange.private_post_order(
                {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.0000001"}
            )
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 80_000, {"postOnly": True})
        await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000, {"clientOrderId": "twice"})
        with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
            await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000, {"clientOrderId": "twice"})
        exchange.options["timeDifference"] = 3_600_000
        with pytest.raises(ccxt.InvalidNonce, match="outside of the recvWindow"):
            await exchange.fetch_balance()
        exchange.options["timeDifference"] = -3_600_000
        with pytest.raises(ccxt.InvalidNonce, match="ahead of the server"):
            await exchange.fetch_balance()
    for account, code in ((stranger, "-2015"), (forger, "-1022")):
        async with connected(venue, account=account) as exchange:
            with pytest.raises(ccxt.AuthenticationError, match=code):
                await exchange.fetch_balance()


async def test_client_that_asks_the_time_is_never_too_early_or_late(venue: sim.SimulatedVenue) -> None:
    """`adjustForTimeDifference` works on a frozen clock, and after it is stepped and read again."""
    async with connected(venue, options={"adjustForTimeDifference": True}) as exchange:
        await exchange.load_markets()
        assert exchange.options["timeDifference"] > 86_400_000
        await asyncio.sleep(1.2)  # longer than a request may be ahead of a clock that stands still
        await exchange.fetch_balance()
        venue.clock.step("1d")
        await exchange.load_time_difference()
        assert (await exchange.fetch_balance())["BTC"]["total"] == 0.5


async def test_weights_are_those_of_the_documentation(venue: sim.SimulatedVenue) -> None:
    """The used weight in the headers grows by what Binance says that each call costs."""
    async with connected(venue) as exchange:
        await exchange.load_markets()

        async def cost(call: Any) -> int:
            before = venue.requests.weight
            await call
            header = {name.lower(): value for name, value in exchange.last_response_headers.items()}
            assert int(header["x-mbx-used-weight-1m"]) >= venue.requests.weight - before
            return venue.requests.weight - before

        assert await cost(exchange.fetch_ohlcv("BTC/USDT")) == 2
        assert await cost(exchange.fetch_ticker("BTC/USDT")) == 2
        assert await cost(exchange.fetch_tickers()) == 80
        assert await cost(exchange.fetch_order_book("BTC/USDT", 100)) == 5
        assert await cost(exchange.fetch_order_book("BTC/USDT", 1000)) == 50
        assert await cost(exchange.fetch_order_book("BTC/USDT", 5000)) == 250
        assert await cost(exchange.fetch_balance()) == 20
        assert await cost(exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)) == 1
        headers = {name.lower(): value for name, value in exchange.last_response_headers.items()}
        assert (headers["x-mbx-order-count-10s"], headers["x-mbx-order-count-1d"]) == ("1", "1")


async def test_pro_class_speaks_rest_with_it_too(venue: sim.SimulatedVenue) -> None:
    """ccxt.pro's class loads the markets and fetches over the same endpoints."""
    async with connected(venue, cls=ccxt.pro.binance) as exchange:
        await exchange.load_markets()
        candles = await exchange.fetch_ohlcv("BTC/USDT", "1h", limit=5)
        balance = await exchange.fetch_balance()
    assert len(candles) == 5
    assert balance["ETH"]["total"] == 4


def test_blocking_venue_serves_the_blocking_class() -> None:
    """A venue in its own thread serves ccxt's synchronous class, and its clock is stepped from outside."""
    with sim.serve(symbols=3, seed=11) as venue:
        exchange = ccxt.binance(options_for(venue, ccxt.binance, sim.DEFAULT_ACCOUNT))
        assert len(exchange.load_markets()) == 6  # three, and their swaps
        before = exchange.fetch_ohlcv("BTC/USDT", "1m", limit=2)
        venue.clock.step("1m")
        after = exchange.fetch_ohlcv("BTC/USDT", "1m", limit=3)
        assert exchange.fetch_balance()["BTC"]["total"] == 0.5
        exchange.session.close()
    assert after[0] == before[0]
    assert after[1][0] == before[1][0]
    assert after[1] != before[1]  # it was forming, and is over now


@pytest.mark.recordings
async def test_recorded_market_list_is_parsed_by_ccxt(recordings: Any) -> None:
    """Binance's own list of 1695 markets of 2021 is served byte for byte, and its markets have prices."""
    recorded = recordings / "cryptofeed" / "BINANCE.0.gz"
    async with (
        sim.SimulatedVenue(exchange_info=recorded) as venue,
        connected(venue, account=None, options={"fetchMarkets": {"types": ["spot"]}}) as exchange,
    ):
        markets = await exchange.load_markets()
        candles = await exchange.fetch_ohlcv("LTC/BTC", "1h", limit=3)
        one = await exchange.public_get_exchangeinfo({"symbol": "ETHBTC"})
    assert len(markets) == 1695
    assert markets["ETH/BTC"]["precision"]["price"] == 1e-06
    assert not all(market["active"] for market in markets.values())
    assert len(candles) == 3
    assert [row["symbol"] for row in one["symbols"]] == ["ETHBTC"]
    assert one["serverTime"] == 1_633_998_511_098


@pytest.mark.recordings
async def test_replayed_recording_is_fetched_row_for_row(recordings: Any) -> None:
    """All 65,178 recorded minutes of BTC/USDT come back through ccxt, page by page, equal to the file."""
    async with (
        sim.SimulatedVenue(candles=recordings / "qubx_gpl3") as venue,
        connected(venue, account=None) as exchange,
    ):
        await exchange.load_markets()
        rows: list[list[float]] = []
        since: int | None = 0
        while since is not None:
            page = await exchange.fetch_ohlcv("BTC/USDT", "1m", since=since, limit=1000)
            rows += page
            since = int(page[-1][0]) + 60_000 if page else None
        hours = await exchange.fetch_ohlcv("BTC/USDT", "1h", since=0, limit=5)
        now = await exchange.fetch_time()
    table = np.array(rows)
    expected = read_candles(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz").candles
    assert len(table) == 65_178
    assert np.array_equal(table[:, 0].astype(np.int64), expected.time)
    for at, name in enumerate(("open", "high", "low", "close", "volume"), 1):
        assert np.array_equal(table[:, at], getattr(expected, name)), name
    assert now == expected.time[-1] + 90_000
    assert np.array_equal(np.array(hours)[:, 4], expected.resample("1h").close[:5])


@pytest.mark.recordings
async def test_replay_never_shows_what_lies_ahead(recordings: Any) -> None:
    """In the middle of a recording the newest candle is that moment's, forming; stepping the clock reveals it."""
    series = read_candles(recordings / "qubx_gpl3" / "BTCUSDT.1min.csv.gz").candles[:5_000]
    middle = int(series.time[2_500]) + 31_000
    async with (
        sim.SimulatedVenue(candles={"BTC/USDT": series}, now=middle) as venue,
        connected(venue, account=None) as exchange,
    ):
        await exchange.load_markets()
        forming = (await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=1))[0]
        ticker = await exchange.fetch_ticker("BTC/USDT")
        trades = await exchange.fetch_trades("BTC/USDT", limit=1000)
        venue.clock.step("1m")
        closed = (await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=2))[0]
    row = 2_500
    assert forming[0] == closed[0] == series.time[row]
    assert closed[1:] == [float(getattr(series, name)[row]) for name in ("open", "high", "low", "close", "volume")]
    assert closed[3] <= forming[3] <= forming[4] <= forming[2] <= closed[2]
    assert 0 < forming[5] < closed[5]
    assert ticker["last"] == forming[4]
    assert max(trade["timestamp"] for trade in trades) <= middle
    assert ticker["high"] == max(series.high[row - 1439 : row].max(), forming[2])
