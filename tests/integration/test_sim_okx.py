"""ccxt's own unmodified okx class against the simulated venue, alone and under our Exchange."""

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
from tradeutils.budget import LocalBudget
from tradeutils.settings import ExchangeSettings
from tradeutils.sim import DEFAULT_ACCOUNT, DEFAULT_NOW
from tradeutils.sim.limits import Limits

KEYS = tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret, password=DEFAULT_ACCOUNT.passphrase)
ALICE = tu.Account(name="alice", exchange="okx", credentials=KEYS)
SWAP = "BTC/USDT:USDT"
IDS = {"BTC/USDT": "BTCUSDT", "ETH/BTC": "ETHBTC", SWAP: "BTCUSDT-PERP"}
_HOUR, _DAY = 3_600_000, 86_400_000


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock that counts and refuses nothing."""
    async with sim.SimulatedVenue("okx", symbols=12, linear=6, limits=Limits.none()) as venue:
        yield venue


@pytest.fixture
async def raw(venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    """ccxt's class, with the keys of the venue's account."""
    async with _raw(venue) as raw:
        yield raw


@contextlib.asynccontextmanager
async def _raw(venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    keys = {"apiKey": DEFAULT_ACCOUNT.key, "secret": DEFAULT_ACCOUNT.secret, "password": DEFAULT_ACCOUNT.passphrase}
    urls = {"api": {"rest": venue.url}}
    async with ccxt.async_support.okx({**keys, "urls": urls, "enableRateLimit": False, "timeout_on_exit": 0}) as raw:
        yield raw


@pytest.fixture
async def exchange(venue: sim.SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """Our exchange over ccxt's class, for the venue's account; what it asks of the public waits for nothing."""
    quick = ExchangeSettings(rate_limit_ms=1)
    async with tu.Exchange("okx", url=venue.url, account=ALICE, budget=LocalBudget(), settings=quick) as exchange:
        yield exchange


async def test_markets_of_both_kinds_are_loaded_with_their_rules(
    venue: sim.SimulatedVenue, exchange: tu.Exchange
) -> None:
    """Under ccxt's names; the steps of a swap are contracts, and base units once multiplied by what one is of."""
    markets = await exchange.load_markets()
    assert set(markets) == {one.symbol for one in venue.market.instruments.values()}
    for symbol, size in (("BTC/USDT", Decimal(1)), (SWAP, Decimal("0.01"))):
        found, own = markets[symbol], venue.market.instruments[IDS[symbol]]
        assert (found.active, found.price_step, found.listed) == (True, own.price_step, sim.HISTORY_START)
        for told, known in ((found.amount_step, own.amount_step), (found.min_amount, own.min_amount)):
            assert told is not None
            assert told * size == known
    assert (markets[SWAP].id, markets["BTC/USDT"].id) == ("BTC-USDT-SWAP", "BTC-USDT")
    assert (markets[SWAP].type, markets[SWAP].settle, markets[SWAP].contract_size) == ("swap", "USDT", Decimal("0.01"))


async def test_everything_that_is_loaded_with_keys_is_there(venue: sim.SimulatedVenue, raw: Any) -> None:
    """ccxt asks for the currencies too, and for futures and options, of which there are none."""
    await raw.load_markets()
    assert {"BTC", "USDT", "XDROP"} <= set(raw.currencies)
    assert not any(market["future"] or market["option"] for market in raw.markets.values())
    assert venue.requests.paths["/api/v5/public/instruments"] == 5
    assert venue.requests.errors == 0


@pytest.mark.parametrize("symbol", ["BTC/USDT", SWAP])
async def test_prices_agree_wherever_they_are_told(exchange: tu.Exchange, symbol: str) -> None:
    """Ticker, tickers, trades, candles and book of one moment tell one story."""
    ticker, book = await exchange.fetch_ticker(symbol), await exchange.fetch_order_book(symbol, limit=50)
    trades = await exchange.fetch_trades(symbol, limit=20)
    candles = await exchange.fetch_ohlcv(symbol, "5m", limit=3, closed_only=False)
    tickers = await exchange.fetch_tickers([symbol, symbol.replace("BTC", "ETH")])
    assert (ticker.bid, ticker.ask) == (book.bids[0, 0], book.asks[0, 0])
    assert (ticker.bid_volume, ticker.ask_volume) == (book.bids[0, 1], book.asks[0, 1])
    assert ticker.last == tickers[symbol].last == trades[-1].price == candles.close[-1]
    assert len(book.bids) == 50
    assert [trade.time for trade in trades] == sorted(trade.time for trade in trades)


async def test_tickers_of_each_type(raw: Any) -> None:
    """All of spot, or all swaps; a book of more than 400 levels is the whole one."""
    await raw.load_markets()
    assert len(await raw.fetch_tickers(None, {"type": "spot"})) == 12
    assert len(await raw.fetch_tickers(None, {"type": "swap"})) == 6
    assert len(await raw.fetch_mark_prices()) == 6
    assert len((await raw.fetch_order_book("BTC/USDT", 1_000))["bids"]) == 1_000


@pytest.mark.parametrize("symbol", ["BTC/USDT", SWAP])
async def test_candles_of_any_range(venue: sim.SimulatedVenue, exchange: tu.Exchange, symbol: str) -> None:
    """Over several pages and from any moment: exactly those of the market in base units, none twice, none missing."""
    since, until = DEFAULT_NOW - 1_000 * 60_000, DEFAULT_NOW - 90_000
    found = await exchange.fetch_ohlcv(symbol, "1m", since=since, until=until)
    own = venue.market.klines(IDS[symbol], "1m", DEFAULT_NOW, since=since, until=until, limit=5_000).candles
    assert found.time.tolist() == own.time.tolist()
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(found, name), getattr(own, name))
    newest = await exchange.fetch_ohlcv(symbol, "1h", limit=700)
    assert (len(newest), newest.time[-1]) == (700, DEFAULT_NOW // _HOUR * _HOUR - _HOUR)
    listed = sim.HISTORY_START
    early = await exchange.fetch_ohlcv(symbol, "1d", since=listed - 10 * _DAY, until=listed + 3 * _DAY)
    assert early.time.tolist() == [listed + day * _DAY for day in range(3)]


async def test_what_is_generated_is_what_binance_tells(exchange: tu.Exchange) -> None:
    """Candles are the same to the last digit, books and trades once contracts are multiplied by their size."""
    async with (
        sim.SimulatedVenue("binance", symbols=12, linear=6, limits=Limits.none()) as other,
        tu.Exchange("binance", url=other.url, budget=LocalBudget()) as theirs,
    ):
        markets = await exchange.load_markets()
        for symbol in IDS:
            size = float(markets[symbol].contract_size or 1)
            candles, other_candles = [await one.fetch_ohlcv(symbol, "15m", limit=650) for one in (exchange, theirs)]
            for name in ("time", "open", "high", "low", "close", "volume"):
                np.testing.assert_array_equal(getattr(candles, name), getattr(other_candles, name))
            book, other_book = [await one.fetch_order_book(symbol, limit=50) for one in (exchange, theirs)]
            for side, known in ((book.bids, other_book.bids), (book.asks, other_book.asks)):
                np.testing.assert_array_equal(side[:, 0], known[:, 0])
                np.testing.assert_allclose(side[:, 1] * size, known[:, 1], rtol=1e-12)
            trades, other_trades = [await one.fetch_trades(symbol, limit=50) for one in (exchange, theirs)]
            told = [(one.id, one.time, one.price, one.side) for one in trades]
            assert told == [(one.id, one.time, one.price, one.side) for one in other_trades]
            np.testing.assert_allclose(
                [one.amount * size for one in trades], [one.amount for one in other_trades], rtol=1e-12
            )


async def test_mark_and_index_candles_of_a_range(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """Page by page of a hundred, those of the market, without volumes."""
    since = DEFAULT_NOW - 250 * _HOUR
    for fetch, source in (
        (exchange.fetch_mark_ohlcv, venue.market.mark_klines),
        (exchange.fetch_index_ohlcv, venue.market.index_klines),
    ):
        found = await fetch(SWAP, "1h", since=since)
        own = source(IDS[SWAP], "1h", DEFAULT_NOW, since=since, limit=500).candles[:-1]
        np.testing.assert_array_equal(found.time, own.time)
        np.testing.assert_array_equal(found.close, own.close)
        assert np.isnan(found.volume).all()


async def test_funding_now_and_in_the_past(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """What is on its way, of one swap and of all, and every settlement of three months; before, there are none."""
    market = venue.market
    rate, own = await exchange.fetch_funding_rate(SWAP), market.funding(IDS[SWAP], DEFAULT_NOW)
    assert (rate.rate, rate.funding_time, rate.interval) == (own.rate, own.next_time, "8h")
    assert len(await exchange.fetch_funding_rates()) == 6
    since = DEFAULT_NOW - 90 * _DAY + _HOUR  # the venue's time is known to within some milliseconds
    history = await exchange.fetch_funding_rate_history(SWAP, since=since)
    known = market.funding_history(IDS[SWAP], DEFAULT_NOW, since=since, limit=500)
    assert [(one.time, one.rate) for one in history] == known
    assert len(known) == 270
    kept = await exchange.fetch_funding_rate_history(SWAP, since=DEFAULT_NOW - 200 * _DAY, partial=True)
    assert [one.time for one in kept] == [time for time, _ in market.funding_history(IDS[SWAP], DEFAULT_NOW, limit=276)]


async def test_open_interest_now_and_in_the_past(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """In contracts, which times their size are the base units of the market."""
    now = await exchange.fetch_open_interest(SWAP)
    assert now.amount * 0.01 == pytest.approx(venue.market.open_interest(IDS[SWAP], DEFAULT_NOW).amount, rel=1e-12)
    since = DEFAULT_NOW - 230 * _HOUR
    told = await exchange.fetch_open_interest_history(SWAP, "1h", since=since)
    own = venue.market.open_interest_history(IDS[SWAP], "1h", DEFAULT_NOW, since=since)
    assert [one.time for one in told] == [one.time for one in own]
    np.testing.assert_allclose([one.amount * 0.01 for one in told], [one.amount for one in own], rtol=1e-12)


async def test_orders_on_spot_are_placed_found_and_cancelled(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """By the venue's id and by ours; what is held shows on the balance to the last digit."""
    sent = "BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal("60000.01")
    order = await exchange.create_order(*sent, client_order_id="mine1")
    assert (order.client_id, order.amount, order.price) == ("mine1", Decimal("0.01"), Decimal("60000.01"))
    (found,) = await exchange.fetch_open_orders("BTC/USDT")
    assert (found.id, found.client_id, found.status, found.remaining) == (order.id, "mine1", "open", Decimal("0.01"))
    assert (await exchange.fetch_order(None, "BTC/USDT", client_order_id="mine1")).id == order.id
    balance = await exchange.fetch_balance()
    assert (balance["USDT"].free, balance["USDT"].used) == (Decimal("9399.9999"), Decimal("600.0001"))
    again = await exchange.create_order(*sent, client_order_id="mine1")
    assert again.id == order.id
    await exchange.cancel_order(str(order.id), "BTC/USDT")
    assert await exchange.fetch_open_orders("BTC/USDT") == []
    with pytest.raises(errors.OrderNotFound):
        await exchange.cancel_order(str(order.id), "BTC/USDT")
    assert venue.requests.orders == {"mine1": 1}


async def test_fills_fees_and_balances_are_those_of_the_ledger(
    venue: sim.SimulatedVenue, exchange: tu.Exchange
) -> None:
    """Market orders on spot and in a swap: every fill, every fee and the balance afterwards, exact."""
    await exchange.create_order("BTC/USDT", "market", "sell", Decimal("0.2"))
    await exchange.create_order(SWAP, "market", "buy", Decimal("12.5"))
    await exchange.create_order(SWAP, "market", "sell", Decimal("12.5"), reduce_only=True)
    ledger, now = venue.ledger, venue.clock.now()
    for symbol, size in (("BTC/USDT", Decimal(1)), (SWAP, Decimal("0.01"))):
        told = await exchange.fetch_my_trades(symbol)
        own = ledger.fills(DEFAULT_ACCOUNT.key, now, market=IDS[symbol])
        # Of one moment; ccxt sorts by time alone.
        rows = sorted((str(one.id), one.price, one.amount * size, one.cost, one.fee) for one in told)
        assert rows == sorted((str(one.id), one.price, one.amount, one.cost, one.fee) for one in own)
        assert {one.fee_currency for one in told} == {one.fee_asset for one in own}
    balance, (held, _) = await exchange.fetch_balance(), ledger.holdings(DEFAULT_ACCOUNT.key, now)
    for asset in ("BTC", "ETH", "USDT", "XDROP"):
        assert (balance[asset].free, balance[asset].total) == (held[asset].free, held[asset].free)
    closed = await exchange.fetch_closed_orders(SWAP)
    assert {(one.side, one.filled, one.status) for one in closed} == {
        ("buy", Decimal("12.5"), "closed"),
        ("sell", Decimal("12.5"), "closed"),
    }


async def test_market_buys_may_be_for_so_much_quote(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """As much is bought as that pays for, and no more is spent."""
    order = await exchange.create_order("BTC/USDT", "market", "buy", cost=Decimal(500))
    (fill, *_) = await exchange.fetch_my_trades("BTC/USDT")
    assert fill.order_id == order.id
    own = venue.ledger.fills(DEFAULT_ACCOUNT.key, venue.clock.now())
    spent = sum(one.cost for one in own)
    assert 499 < spent <= 500
    told = await exchange.fetch_order(str(order.id), "BTC/USDT")
    assert (told.cost, told.filled) == (spent, sum(one.amount for one in own))  # spent, not asked for
    assert (fill.fee_currency, fill.fee) == ("BTC", own[0].fee)


async def test_orders_that_wait_are_found_apart(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """By their own ids, of both kinds; once cancelled they are gone."""
    stop = await exchange.create_order(
        "BTC/USDT", "market", "sell", Decimal("0.01"), trigger_price=Decimal(60_000), client_order_id="stop"
    )
    loss = await exchange.create_order(
        SWAP, "limit", "sell", Decimal(1), Decimal(59_000), stop_loss_price=Decimal(60_000), client_order_id="loss"
    )
    for symbol, order, name in (("BTC/USDT", stop, "stop"), (SWAP, loss, "loss")):
        assert await exchange.fetch_open_orders(symbol) == []
        (waiting,) = await exchange.fetch_open_orders(symbol, trigger=True)
        assert (waiting.id, waiting.status, waiting.stop_price) == (order.id, "open", Decimal(60_000))
        assert (waiting.client_id, waiting.price) == (name, None if name == "stop" else Decimal(59_000))
        assert (await exchange.fetch_order(None, symbol, client_order_id=name, trigger=True)).id == order.id
        await exchange.cancel_order(str(order.id), symbol, trigger=True)
        assert await exchange.fetch_open_orders(symbol, trigger=True) == []
    assert venue.requests.orders == {"stop": 1, "loss": 1}


async def test_a_position_is_opened_held_and_closed(venue: sim.SimulatedVenue, raw: Any) -> None:
    """ccxt's position, leverage and reduce-only order, in contracts; the wallet ends where the ledger does."""
    await raw.load_markets()
    await raw.set_leverage(10, SWAP)
    assert (await raw.fetch_leverage(SWAP))["longLeverage"] == 10
    assert (await raw.fetch_position_mode())["hedged"] is False
    await raw.create_order(SWAP, "market", "buy", 5, None, {"clientOrderId": "long"})
    position = await raw.fetch_position(SWAP)
    (own,) = venue.ledger.positions(DEFAULT_ACCOUNT.key, venue.clock.now())
    assert (position["side"], position["contracts"], position["leverage"]) == ("long", 5, 10)
    assert (own.amount, position["entryPrice"]) == (Decimal("0.05"), pytest.approx(float(own.entry)))
    assert [one["symbol"] for one in await raw.fetch_positions()] == [SWAP]
    await raw.create_order(SWAP, "market", "sell", 5, None, {"reduceOnly": True})
    assert await raw.fetch_positions([SWAP]) == []
    held, _ = venue.ledger.holdings(DEFAULT_ACCOUNT.key, venue.clock.now())
    assert (await raw.fetch_balance())["USDT"]["total"] == float(held["USDT"].free)
    assert (await raw.fetch_trading_fee(SWAP))["taker"] == 0.0005


async def test_many_orders_at_once_are_each_found_by_their_id(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """Placed side by side on spot and in a swap, each once; all are cancelled in the end."""
    names = [f"order{number}" for number in range(30)]

    async def place(name: str) -> None:
        symbol, amount = (SWAP, Decimal("0.1")) if name.endswith(("1", "3")) else ("BTC/USDT", Decimal("0.001"))
        order = await exchange.create_order(symbol, "limit", "buy", amount, Decimal(60_000), client_order_id=name)
        found = await exchange.fetch_order(None, symbol, client_order_id=name)
        assert (found.id, found.client_id, found.status) == (order.id, name, "open")

    await asyncio.gather(*map(place, names))
    assert venue.requests.orders == dict.fromkeys(names, 1)
    assert len(await exchange.fetch_open_orders()) == 30
    for symbol in ("BTC/USDT", SWAP):
        await exchange.cancel_all(symbol)
    assert await exchange.fetch_open_orders() == []


async def test_refusals_arrive_as_our_errors(exchange: tu.Exchange, raw: Any) -> None:
    """Money that is not there, orders that are not, and ids that are taken."""
    with pytest.raises(errors.InsufficientFunds):
        await exchange.create_order("BTC/USDT", "limit", "buy", Decimal(5), Decimal(60_000))
    with pytest.raises(errors.InsufficientFunds):
        await exchange.create_order(SWAP, "limit", "buy", Decimal(5_000), Decimal(60_000))
    with pytest.raises(errors.OrderNotFound):
        await exchange.cancel_order("1000000000000000099", "BTC/USDT")
    with pytest.raises(errors.OrderNotFound):
        await exchange.fetch_order("1000000000000000099", SWAP)
    await exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal(60_000), client_order_id="mine")
    with pytest.raises(errors.DuplicateOrder):
        await exchange.create_order(
            "BTC/USDT", "limit", "buy", Decimal("0.02"), Decimal(60_000), client_order_id="mine"
        )
    with pytest.raises(ccxt.BadSymbol):
        await raw.public_get_market_ticker({"instId": "NOPE"})
    with pytest.raises(ccxt.BadRequest):
        await raw.public_get_market_candles({"instId": "BTC-USDT", "bar": "7m"})


async def test_an_order_that_the_venue_turns_down_is_refused_at_once(
    venue: sim.SimulatedVenue, exchange: tu.Exchange
) -> None:
    """Its row has a code that ccxt does not know, and no id: nobody looks for such an order."""
    with pytest.raises(errors.InvalidOrder, match="51169"):
        await exchange.create_order(SWAP, "market", "sell", Decimal(1), reduce_only=True)
    assert "/api/v5/trade/order" not in venue.requests.paths
    body = json.dumps({"code": "1", "data": [{"ordId": "", "sCode": "50999", "sMsg": "System busy"}], "msg": ""})
    venue.faults.add("status", status=200, body=body, method="POST", path="/api/v5/trade/batch-orders", count=1)
    async with tu.Exchange("okx", url=venue.url, account=ALICE, budget=LocalBudget(), deadline=0.3) as hurried:
        with pytest.raises(errors.OrderUnknown, match="50999"):  # of its own trouble it says nothing of the order
            await hurried.create_order(SWAP, "market", "sell", Decimal(1))
    body = json.dumps({"code": "0", "data": [{"ordId": "", "sCode": "51999", "sMsg": "No"}], "msg": ""})
    venue.faults.add("status", status=200, body=body, method="POST", path="/api/v5/trade/batch-orders", count=1)
    with pytest.raises(errors.InvalidOrder, match="51999"):  # ccxt raises nothing for this one
        await exchange.create_order(SWAP, "market", "sell", Decimal(1))


async def test_volume_of_a_swap_is_in_base_units(exchange: tu.Exchange) -> None:
    """As its candles have it, of one ticker and of many, again and again; of spot it stays what it was."""
    for symbol in (SWAP, "BTC/USDT"):
        hours = await exchange.fetch_ohlcv(symbol, "1h", limit=24, closed_only=False)
        days = [await exchange.fetch_ticker(symbol)]
        for others in (["ETH"], ["ETH", "BNB"], ["BNB"]):
            many = await exchange.fetch_tickers([symbol, *(symbol.replace("BTC", one) for one in others)])
            days.append(many[symbol])
        for day in days:
            assert day.base_volume == pytest.approx(hours.volume.sum(), rel=0.2), symbol
        assert {day.quote_volume is None for day in days} == {symbol == SWAP}


async def test_history_that_is_no_longer_kept_is_not_passed_over(exchange: tu.Exchange) -> None:
    """Funding of three months, and 1440 values of open interest: an older start is refused, or cut on demand."""
    now = await exchange.fetch_time()
    with pytest.raises(errors.RangeNotServed) as caught:
        await exchange.fetch_funding_rate_history(SWAP, since=now - 100 * _DAY)
    again = await exchange.fetch_funding_rate_history(SWAP, since=caught.value.first)
    cut = await exchange.fetch_funding_rate_history(SWAP, since=now - 100 * _DAY, partial=True)
    assert (len(again), len(cut)) == (269, 276)
    with pytest.raises(errors.RangeNotServed) as caught:
        await exchange.fetch_open_interest_history(SWAP, "1h", since=now - 1_500 * _HOUR)
    values = await exchange.fetch_open_interest_history(SWAP, "1h", since=caught.value.first)
    assert (values[0].time or 0) - (caught.value.first or 0) < _HOUR
    assert 1_420 < len(values) <= 1_440


async def test_keys_passphrases_and_clocks_that_are_wrong(venue: sim.SimulatedVenue) -> None:
    """A secret that is not the key's, a key that is nobody's, another passphrase, and a signature that is too old."""
    for wrong in ("key", "secret", "password"):
        given = {"key": KEYS.key, "secret": KEYS.secret, "password": KEYS.password} | {wrong: "SomethingElse"}
        account = dataclasses.replace(ALICE, credentials=tu.Credentials(**given))
        async with tu.Exchange("okx", url=venue.url, account=account, budget=LocalBudget()) as exchange:
            with pytest.raises(errors.AuthenticationFailed) as caught:
                await exchange.fetch_balance()
            assert DEFAULT_ACCOUNT.passphrase not in str(caught.value)
    async with sim.SimulatedVenue("okx", symbols=2, linear=0, skew=60_000) as ahead:
        async with _raw(ahead) as raw:
            with pytest.raises(ccxt.InvalidNonce, match="50102"):
                await raw.fetch_balance()
        async with tu.Exchange("okx", url=ahead.url, account=ALICE, budget=LocalBudget()) as exchange:
            assert (await exchange.fetch_balance())["ETH"].free == 4  # ours reads the venue's clock


async def test_order_whose_answer_is_lost_is_found_by_its_id(venue: sim.SimulatedVenue, exchange: tu.Exchange) -> None:
    """Processed and never told: the order is looked up by its client id, and placed once."""
    await exchange.load_markets()
    where = {"after": True, "method": "POST", "path": "/api/v5/trade/batch-orders", "count": 1}
    venue.faults.add("reset", **where)
    order = await exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.01"), Decimal(60_000))
    venue.faults.add("status", status=502, **where)
    sold = await exchange.create_order(SWAP, "market", "sell", Decimal(1))
    assert [one.client_id for one in venue.ledger.orders(DEFAULT_ACCOUNT.key, venue.clock.now())] == [
        order.client_id,
        sold.client_id,
    ]
    assert set(venue.requests.orders.values()) == {1}


async def test_who_asks_too_much_is_told_so() -> None:
    """429 and code 50011, which arrive as our error."""
    limits = dataclasses.replace(Limits.of("okx"), endpoints=0.2)  # two balances in two seconds
    async with sim.SimulatedVenue("okx", symbols=2, linear=0, limits=limits) as venue, _raw(venue) as raw:
        account = tu.Exchange("okx", url=venue.url, account=ALICE, budget=LocalBudget(), retries=0)
        async with account as exchange:
            await exchange.load_markets()
            await exchange.fetch_time()
            for _ in range(2):  # of another process, which our budget knows nothing of
                await raw.private_get_account_balance()
            with pytest.raises(errors.RateLimited, match="50011"):
                await exchange.fetch_balance()
        assert venue.requests.rejected == 1


async def test_address_that_is_banned_is_told_to_ask_less(venue: sim.SimulatedVenue) -> None:
    """The ban of the control endpoint is answered as the venue answers who asks too much."""
    async with aiohttp.ClientSession(venue.url) as client:
        async with client.post("/sim/bans", json={"address": "127.0.0.1", "seconds": 600}) as response:
            assert response.status == 200
        async with client.get("/api/v5/public/time") as response:
            assert (response.status, json.loads(await response.text())["code"]) == (429, "50011")
        async with client.delete("/sim/bans/127.0.0.1") as response:
            assert response.status == 200
        async with client.get("/api/v5/public/time") as response:
            assert json.loads(await response.text())["code"] == "0"


async def test_our_budget_keeps_every_endpoint_below_its_limit() -> None:
    """
    More calls at once than two seconds hold: none is refused.

    The venue allows half as much again as it says: what leaves in time arrives late where the machine is busy.
    """
    limits = dataclasses.replace(Limits.of("okx"), endpoints=1.5)
    async with (
        sim.SimulatedVenue("okx", symbols=4, linear=3, speed=1.0, limits=limits) as venue,
        tu.Exchange("okx", url=venue.url, account=ALICE, budget=LocalBudget()) as exchange,
    ):
        await exchange.load_markets()
        # ccxt sends each as a batch of one, which counts as a single order: more of one market than fit in two seconds.
        prices = [Decimal(60_000 + number) for number in range(95)]
        orders = [exchange.create_order("BTC/USDT", "limit", "buy", Decimal("0.0001"), price) for price in prices]
        swaps = [exchange.create_order(SWAP, "limit", "buy", Decimal("0.1"), price) for price in prices[:5]]
        reads = [exchange.fetch_balance() for _ in range(14)]
        public = [exchange.fetch_order_book("BTC/USDT", limit=limit) for limit in range(1, 61)]
        await asyncio.gather(*orders, *swaps, *reads, *public)
        assert venue.requests.paths["/api/v5/market/books"] == 60
        assert len(venue.requests.orders) == 100
        assert (venue.requests.rejected, venue.requests.errors) == (0, 0)
