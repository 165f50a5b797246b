"""ccxt's own unmodified bybit class against the simulated venue, alone and under our Exchange."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt
import ccxt.async_support
import numpy as np
import pytest

import tradeutils as tu
from tradeutils import errors, sim
from tradeutils.budget import LocalBudget, Window
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW
from tradeutils.sim.limits import Limits

ALICE = tu.Account(
    name="alice",
    exchange="bybit",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)
SWAP = "BTC/USDT:USDT"
_HOUR = 3_600_000


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock that counts and refuses nothing."""
    async with sim.SimulatedVenue("bybit", symbols=12, linear=6, limits=Limits.none()) as venue:
        yield venue


@pytest.fixture
async def raw(venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    """ccxt's class, with the keys of the venue's account."""
    async with _raw(venue) as raw:
        yield raw


@contextlib.asynccontextmanager
async def _raw(venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    keys = {"apiKey": DEFAULT_ACCOUNT.key, "secret": DEFAULT_ACCOUNT.secret}
    urls = {"api": {"public": venue.url, "private": venue.url}}
    async with ccxt.async_support.bybit({**keys, "urls": urls, "enableRateLimit": False, "timeout_on_exit": 0}) as raw:
        yield raw


@pytest.fixture
async def exchange(venue: sim.SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """Our exchange over ccxt's class, for the venue's account."""
    async with tu.Exchange("bybit", url=venue.url, account=ALICE, budget=LocalBudget()) as exchange:
        yield exchange


async def test_markets_of_spot_and_linear_share_an_id_and_not_a_symbol(
    venue: sim.SimulatedVenue, exchange: tu.Exchange
) -> None:
    """All of both are loaded, with the steps and limits of the market, under ccxt's names."""
    markets = await exchange.load_markets()
    assert set(markets) == {one.symbol for one in venue.market.instruments.values()}
    for symbol in ("BTC/USDT", SWAP):
        found, own = markets[symbol], venue.market.instruments["BTCUSDT" if symbol == "BTC/USDT" else "BTCUSDT-PERP"]
        assert (found.id, found.active) == ("BTCUSDT", True)
        assert (found.price_step, found.amount_step) == (own.price_step, own.amount_step)
        assert (found.min_amount, found.max_amount, found.min_cost) == (own.min_amount, own.max_amount, own.min_cost)
    assert (markets[SWAP].type, markets[SWAP].settle, markets[SWAP].contract_size) == ("swap", "USDT", 1)


async def test_a_thousand_swaps_are_loaded_page_by_page() -> None:
    """ccxt follows the cursor to the last page."""
    async with (
        sim.SimulatedVenue("bybit", symbols=1, linear=1_001) as venue,
        tu.Exchange("bybit", url=venue.url, budget=LocalBudget()) as exchange,
    ):
        assert len(await exchange.load_markets()) == 1_002


@pytest.mark.parametrize("symbol", ["BTC/USDT", SWAP])
async def test_prices_agree_wherever_they_are_told(
    venue: sim.SimulatedVenue, exchange: tu.Exchange, symbol: str
) -> None:
    """Ticker, tickers, trades, candles and book of one moment tell one story."""
    ticker, book = await exchange.fetch_ticker(symbol), await exchange.fetch_order_book(symbol, limit=50)
    trades = await exchange.fetch_trades(symbol, limit=20)
    candles = await exchange.fetch_ohlcv(symbol, "5m", limit=3, closed_only=False)
    tickers = await exchange.fetch_tickers([symbol, symbol.replace("BTC", "ETH")])
    assert (ticker.bid, ticker.ask) == (book.bids[0, 0], book.asks[0, 0])
    assert ticker.last == tickers[symbol].last == trades[-1].price == candles.close[-1]
    assert len(book.bids) == 50
    assert [trade.time for trade in trades] == sorted(trade.time for trade in trades)
    assert await exchange.fetch_time() - venue.clock.now() < 10_000


async def test_tickers_of_each_category(venue: sim.SimulatedVenue, exchange: tu.Exchange, raw: Any) -> None:
    """All of spot, or all of linear; the two are never in one answer, and swaps come where nobody says which."""
    for kind, count in (("spot", 12), ("swap", 6)):
        tickers = await exchange.fetch_tickers(type=kind)
        assert (len(tickers), {symbol.endswith(":USDT") for symbol in tickers}) == (count, {kind == "swap"})
    assert venue.requests.paths["/v5/market/tickers"] == 2
    assert set(await exchange.fetch_tickers()) == set(tickers)
    assert len(await exchange.screen(quote="USDT", type=["spot", "swap"])) > 6
    assert venue.requests.paths["/v5/market/tickers"] == 5
    await raw.load_markets()
    assert len(await raw.fetch_tickers(None, {"type": "spot"})) == 12
    assert len(await raw.fetch_tickers(None, {"type": "swap"})) == 6


@pytest.mark.parametrize("symbol", ["BTC/USDT", SWAP])
async def test_candles_of_any_range(venue: sim.SimulatedVenue, exchange: tu.Exchange, symbol: str) -> None:
    """Over several pages and from any moment: exactly those of the market, none twice and none missing."""
    id = "BTCUSDT" if symbol == "BTC/USDT" else "BTCUSDT-PERP"  # noqa: A001  # the field's word
    since, until = DEFAULT_NOW - 2_500 * 60_000, DEFAULT_NOW - 90_000
    found = await exchange.fetch_ohlcv(symbol, "1m", since=since, until=until)
    own = venue.market.klines(id, "1m", DEFAULT_NOW, since=since, until=until, limit=5_000).candles
    assert found.time.tolist() == own.time.tolist()
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(found, name), getattr(own, name))
    newest = await exchange.fetch_ohlcv(symbol, "1h", limit=1_500)
    assert (len(newest), newest.time[-1]) == (1_500, DEFAULT_NOW // _HOUR * _HOUR - _HOUR)
    listed = sim.HISTORY_START
    early = await exchange.fetch_ohlcv(symbol, "1d", since=listed - 10 * 24 * _HOUR, until=listed + 3 * 24 * _HOUR)
    assert early.time.tolist() == [listed + day * 24 * _HOUR for day in range(3)]


async def test_what_is_generated_is_what_binance_tells(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """Candles, trades and books of one seed through both dialects are the same to the last digit."""
    async with (
        sim.SimulatedVenue("binance", symbols=12, linear=6, limits=Limits.none()) as other,
        tu.Exchange("binance", url=other.url, budget=LocalBudget()) as theirs,
    ):
        for symbol in ("BTC/USDT", "ETH/BTC", SWAP):
            ours_and_theirs = [
                (
                    await one.fetch_ohlcv(symbol, "15m", limit=1_100),
                    await one.fetch_order_book(symbol, limit=50),
                    await one.fetch_trades(symbol, limit=50),
                )
                for one in (exchange, theirs)
            ]
            (candles, book, trades), (their_candles, their_book, their_trades) = ours_and_theirs
            for name in ("time", "open", "high", "low", "close", "volume"):
                np.testing.assert_array_equal(getattr(candles, name), getattr(their_candles, name))
            np.testing.assert_array_equal(book.bids, their_book.bids)
            np.testing.assert_array_equal(book.asks, their_book.asks)
            told = [(one.id, one.time, one.price, one.amount, one.side) for one in trades]
            assert told == [(one.id, one.time, one.price, one.amount, one.side) for one in their_trades]


async def test_mark_index_funding_and_open_interest(venue: sim.SimulatedVenue, raw: Any) -> None:
    """What ccxt reads of a swap is what the market says, now and in the past."""
    await raw.load_markets()
    market, now = venue.market, venue.clock.now()
    rate, funding = await raw.fetch_funding_rate(SWAP), market.funding("BTCUSDT-PERP", now)
    assert (rate["fundingRate"], rate["markPrice"], rate["indexPrice"]) == (funding.rate, funding.mark, funding.index)
    assert (rate["fundingTimestamp"], rate["interval"]) == (funding.next_time, "8h")
    assert len(await raw.fetch_funding_rates()) == 6
    since = now - 30 * 24 * _HOUR
    history = await raw.fetch_funding_rate_history(SWAP, since, 50)
    own = market.funding_history("BTCUSDT-PERP", now, since=since, limit=50)
    assert [(row["timestamp"], row["fundingRate"]) for row in history] == own
    interest = await raw.fetch_open_interest(SWAP)
    assert interest["timestamp"] == now // _HOUR * _HOUR
    counts = await raw.fetch_open_interest_history(SWAP, "1h", now - 10 * _HOUR, 5)
    held = market.open_interest_history("BTCUSDT-PERP", "1h", now, since=now - 10 * _HOUR, limit=5)
    assert [(row["timestamp"], row["openInterestAmount"]) for row in counts] == [(one.time, one.amount) for one in held]
    for price, source in (("mark", market.mark_klines), ("index", market.index_klines)):
        rows = await raw.fetch_ohlcv(SWAP, "1h", now - 20 * _HOUR, 10, {"price": price})
        candles = source("BTCUSDT-PERP", "1h", now, since=now - 20 * _HOUR, limit=10).candles
        assert [row[0] for row in rows] == candles.time.tolist()
        assert [row[4] for row in rows] == candles.close.tolist()


async def test_orders_on_spot_are_placed_found_and_cancelled(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """By the venue's id and by ours; what is held shows on the balance to the last digit."""
    order = await exchange.create_order(
        "BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal("60000.01"), client_order_id="mine-1"
    )
    assert (order.client_id, order.amount, order.price) == ("mine-1", Decimal("0.01"), Decimal("60000.01"))
    (found,) = await exchange.fetch_open_orders("BTC/USDT")
    assert (found.id, found.client_id, found.status, found.remaining) == (order.id, "mine-1", "open", Decimal("0.01"))
    balance = await exchange.fetch_balance()
    assert (balance["USDT"].free, balance["USDT"].used) == (Decimal("9399.9999"), Decimal("600.0001"))
    again = await exchange.create_order(
        "BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal("60000.01"), client_order_id="mine-1"
    )
    assert again.id == order.id
    await exchange.cancel_order(str(order.id), "BTC/USDT")
    assert await exchange.fetch_open_orders("BTC/USDT") == []
    with pytest.raises(errors.OrderNotFound):
        await exchange.cancel_order(str(order.id), "BTC/USDT")
    assert venue.requests.orders == {"mine-1": 1}


async def test_fills_and_fees_are_those_of_the_ledger(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """Market orders in base: every fill, every fee and the balance afterwards, exact."""
    await exchange.create_order("BTC/USDT", "market", "sell", Decimal("0.2"))
    await exchange.create_order("ETH/USDT", "market", "buy", Decimal("1.5"))
    ledger, now = venue.ledger, venue.clock.now()
    for symbol in ("BTC/USDT", "ETH/USDT"):
        told = await exchange.fetch_my_trades(symbol)
        own = ledger.fills(DEFAULT_ACCOUNT.key, now, market=symbol.replace("/", ""))
        # Of one moment; ccxt sorts by time alone.
        rows = sorted((str(one.id), one.price, one.amount, one.cost) for one in told)
        assert rows == sorted((str(one.id), one.price, one.amount, one.cost) for one in own)
    balance, (held, _) = await exchange.fetch_balance(), ledger.holdings(DEFAULT_ACCOUNT.key, now)
    for asset in ("BTC", "ETH", "USDT", "XDROP"):
        assert balance[asset].free == held[asset].free


async def test_orders_by_cost_and_those_that_wait(venue: sim.SimulatedVenue, raw: Any) -> None:
    """ccxt's market buy for so much quote, and a stop that works once its price is reached."""
    await raw.load_markets()
    order = await raw.create_market_buy_order_with_cost("BTC/USDT", 500)
    told = await raw.fetch_order(order["id"], "BTC/USDT", {"acknowledged": True})
    assert told["status"] == "closed"
    assert 499 < told["cost"] <= 500
    (row,) = await raw.fetch_my_trades("BTC/USDT")
    assert row["fee"]["currency"] == "BTC"
    assert row["fee"]["cost"] == pytest.approx(0.001 * row["amount"])
    below = round((await raw.fetch_ticker("BTC/USDT"))["last"] - 3_000, 2)
    stop = await raw.create_order("BTC/USDT", "market", "sell", 0.01, None, {"triggerPrice": below})
    (waiting,) = await raw.fetch_open_orders("BTC/USDT", None, None, {"trigger": True})
    assert (waiting["id"], waiting["status"], waiting["triggerPrice"]) == (stop["id"], "open", below)
    await raw.cancel_order(stop["id"], "BTC/USDT", {"trigger": True})
    assert await raw.fetch_open_orders("BTC/USDT") == []
    (gone,) = await raw.fetch_canceled_and_closed_orders("BTC/USDT", None, None, {"trigger": True})
    assert gone["status"] == "canceled"


async def test_a_position_is_opened_held_and_closed(venue: sim.SimulatedVenue, raw: Any) -> None:
    """ccxt's position, leverage and reduce-only order; the wallet ends where the ledger does."""
    await raw.load_markets()
    await raw.set_leverage(10, SWAP)
    await raw.create_order(SWAP, "market", "buy", 0.05, None, {"clientOrderId": "long"})
    position = await raw.fetch_position(SWAP)
    (own,) = venue.ledger.positions(DEFAULT_ACCOUNT.key, venue.clock.now())
    assert (position["side"], position["contracts"], position["leverage"]) == ("long", 0.05, 10)
    assert position["entryPrice"] == pytest.approx(float(own.entry))
    assert (await raw.fetch_positions())[0]["symbol"] == SWAP
    with pytest.raises(ccxt.InvalidOrder, match="110017"):
        await raw.create_order(SWAP, "market", "buy", 0.05, None, {"reduceOnly": True})
    await raw.create_order(SWAP, "market", "sell", 0.09, None, {"reduceOnly": True})
    assert (await raw.fetch_position(SWAP))["contracts"] == 0
    assert len(await raw.fetch_my_trades(SWAP)) >= 2
    (closed, *_) = await raw.fetch_closed_orders(SWAP, None, None, {"orderLinkId": "long"})
    assert (closed["status"], closed["filled"], closed["fee"]["currency"]) == ("closed", 0.05, "USDT")
    held, _ = venue.ledger.holdings(DEFAULT_ACCOUNT.key, venue.clock.now())
    assert (await raw.fetch_balance())["USDT"]["total"] == float(held["USDT"].free)
    assert (await raw.fetch_trading_fee(SWAP))["taker"] == 0.0005


async def test_everything_is_cancelled_in_one_call(raw: Any) -> None:
    """Of spot and of linear, each without the other."""
    await raw.load_markets()
    for symbol in ("BTC/USDT", SWAP):
        for price in (60_000, 61_000):
            await raw.create_order(symbol, "limit", "buy", 0.01, price)
    assert len(await raw.cancel_all_orders("BTC/USDT")) == 2
    assert len(await raw.fetch_open_orders(SWAP)) == 2
    assert len(await raw.cancel_all_orders(None, {"type": "swap"})) == 2
    assert await raw.fetch_open_orders(SWAP) == []


async def test_refusals_arrive_as_our_errors(exchange: tu.Exchange, raw: Any) -> None:
    """Money that is not there, orders that are not, and ids that are taken, whoever words them."""
    with pytest.raises(errors.InsufficientFunds):
        await exchange.create_order("BTC/USDT", "limit", "buy", Decimal(5), Decimal(60_000))
    with pytest.raises(errors.InsufficientFunds):
        await exchange.create_order(SWAP, "limit", "buy", Decimal(50), Decimal(60_000))
    with pytest.raises(errors.OrderNotFound):
        await exchange.cancel_order("1000000000000000099", "BTC/USDT")
    with pytest.raises(errors.OrderNotFound):
        await exchange.cancel_order("00000000-0000-4000-8000-000000000099", SWAP)
    await exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal(60_000), client_order_id="mine")
    with pytest.raises(errors.DuplicateOrder):
        await exchange.create_order(
            "BTC/USDT", "limit", "buy", Decimal("0.02"), Decimal(60_000), client_order_id="mine"
        )
    with pytest.raises(ccxt.BadSymbol):
        await raw.public_get_v5_market_tickers({"category": "spot", "symbol": "NOPE"})


async def test_keys_and_clocks_that_are_wrong(venue: sim.SimulatedVenue) -> None:
    """A secret that is not the key's, a key that is nobody's, and a signature that is too old."""
    for key, secret in ((DEFAULT_ACCOUNT.key, "nobodys-secret-0"), ("nobody", DEFAULT_ACCOUNT.secret)):
        account = dataclasses.replace(ALICE, credentials=tu.Credentials(key=key, secret=secret))
        async with tu.Exchange("bybit", url=venue.url, account=account, budget=LocalBudget()) as exchange:
            with pytest.raises(errors.AuthenticationFailed) as caught:
                await exchange.fetch_balance()
            assert secret not in str(caught.value)
    async with sim.SimulatedVenue("bybit", symbols=2, skew=30_000) as ahead:
        async with _raw(ahead) as raw:
            with pytest.raises(ccxt.InvalidNonce, match="10002"):
                await raw.fetch_balance()
        async with tu.Exchange("bybit", url=ahead.url, account=ALICE, budget=LocalBudget()) as exchange:
            assert (await exchange.fetch_balance())["ETH"].free == 4  # ours reads the venue's clock


async def test_order_whose_answer_is_lost_is_found_by_its_id(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """Processed and never told: the order is looked up by its client id, and placed once."""
    await exchange.load_markets()
    venue.faults.add("reset", after=True, method="POST", path="/v5/order/create", count=1)
    order = await exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal(60_000))
    venue.faults.add("status", status=502, after=True, method="POST", path="/v5/order/create", count=1)
    sold = await exchange.create_order(SWAP, "market", "sell", Decimal("0.01"))
    assert [one.client_id for one in venue.ledger.orders(DEFAULT_ACCOUNT.key, venue.clock.now())] == [
        order.client_id,
        sold.client_id,
    ]
    assert set(venue.requests.orders.values()) == {1}


async def test_a_call_too_many_of_an_account_tells_when_to_ask_again() -> None:
    """Code 10006 and the time at which there is room: our error tells the wait, or waits and goes on by itself."""
    limits = dataclasses.replace(Limits.of("bybit"), endpoints=0.2)  # ten balances a second
    for retries in (0, 3):
        async with (
            sim.SimulatedVenue("bybit", symbols=2, linear=0, limits=limits) as venue,
            _raw(venue) as raw,
            tu.Exchange("bybit", url=venue.url, account=ALICE, budget=LocalBudget(), retries=retries) as exchange,
        ):
            await exchange.load_markets()
            wallets = (raw.private_get_v5_account_wallet_balance({"accountType": "UNIFIED"}) for _ in range(10))
            await asyncio.gather(*wallets)  # of another process, which our budget knows nothing of
            if retries:
                assert (await exchange.fetch_balance())["ETH"].free == 4
                continue
            with pytest.raises(errors.RateLimited, match="10006") as caught:
                await exchange.fetch_balance()
            assert caught.value.retry_after is not None
            assert 0 < caught.value.retry_after <= 1.0
            assert venue.requests.rejected == 1  # though its status is 200


async def test_address_that_is_banned_is_told_to_wait_ten_minutes(venue: sim.SimulatedVenue) -> None:
    """The ban of the control endpoint is answered as the venue's own: 403, and words that our budget knows."""
    async with tu.Exchange("bybit", url=venue.url, budget=LocalBudget(), retries=0) as exchange:
        await exchange.load_markets()
        async with aiohttp.ClientSession(venue.url) as client:
            async with client.post("/sim/bans", json={"address": "127.0.0.1", "seconds": 600}) as response:
                assert response.status == 200
            async with client.get("/v5/market/time") as response:
                assert (response.status, await response.text()) == (403, "403, access too frequent")
            with pytest.raises(errors.RateLimited) as caught:
                await exchange.fetch_ticker("BTC/USDT")
            assert caught.value.retry_after == pytest.approx(600, abs=5)
            async with client.delete("/sim/bans/127.0.0.1") as response:
                assert response.status == 200
            async with client.get("/v5/market/time") as response:
                assert json.loads(await response.text())["retCode"] == 0
            async with client.get("/sim/log") as response:
                assert (await response.json())["paths"]["/v5/market/time"] == 2


def _codes(venue: sim.SimulatedVenue, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return what becomes the status and the code of every answer of a venue."""
    codes: list[tuple[int, int]] = []
    respond = venue._dialect.respond

    def watched(call: Any) -> Any:
        reply = respond(call)
        codes.append((reply.status, json.loads(reply.body)["retCode"] if reply.status == 200 else 0))
        return reply

    monkeypatch.setattr(venue._dialect, "respond", watched)
    return codes


async def test_our_budget_keeps_every_endpoint_below_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Far more calls at once than a second holds: none is refused.

    The venue allows half as much again as it says: what leaves in time arrives late where the machine is busy.
    """
    limits = dataclasses.replace(Limits.of("bybit"), endpoints=1.5)
    async with (
        sim.SimulatedVenue("bybit", symbols=4, speed=1.0, limits=limits) as venue,
        tu.Exchange("bybit", url=venue.url, account=ALICE, budget=LocalBudget()) as exchange,
    ):
        await exchange.load_markets()
        codes = _codes(venue, monkeypatch)
        prices = [Decimal(60_000 + number) for number in range(35)]
        orders = [exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.001"), price) for price in prices]
        swaps = [exchange.create_order(SWAP, "limit", "buy", Decimal("0.001"), price) for price in prices[:17]]
        reads = [exchange.fetch_open_orders(symbol) for symbol in ("BTC/USDT", SWAP) * 6]
        public = [exchange.fetch_order_book("BTC/USDT", limit=limit) for limit in range(1, 151)]
        await asyncio.gather(*orders, *swaps, *reads, *public)
        assert len(codes) >= 35 + 17 + 12 + 150
        assert set(codes) == {(200, 0)}


async def test_our_budget_keeps_an_address_below_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many calls as a window holds, of two exchanges on one budget: none is refused, nobody is banned."""
    limits = dataclasses.replace(Limits.of("bybit"), requests=90, requests_window=0.5)
    budget = LocalBudget([Window("requests", 60, 0.5)])  # less: what leaves in time arrives late on a busy machine
    async with (
        sim.SimulatedVenue("bybit", symbols=2, linear=0, limits=limits) as venue,
        tu.Exchange("bybit", url=venue.url, budget=budget) as one,
        tu.Exchange("bybit", url=venue.url, budget=budget) as other,
    ):
        codes = _codes(venue, monkeypatch)
        calls = [each.fetch_order_book("BTC/USDT", limit=limit) for limit in range(1, 61) for each in (one, other)]
        await asyncio.gather(*calls)
        assert len(codes) >= 120
        assert set(codes) == {(200, 0)}
        assert venue.gate.bans() == {}
