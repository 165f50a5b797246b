"""ccxt's own unmodified binance classes trading linear swaps, and triggers on spot, on the simulated venue."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import numpy as np
import pytest

from tests.integration.test_sim_ccxt import connected
from tradeutils import sim
from tradeutils.sim.limits import Limits

SWAP = "BTC/USDT:USDT"
ONE_POT = dataclasses.replace(sim.DEFAULT_ACCOUNT, unified=True)  # trades spot and swaps with the same money
_HOUR = 3_600_000
_WAITS = {"trigger": True}
_REDUCES = {"reduceOnly": True}


@pytest.fixture
async def venue() -> AsyncIterator[sim.SimulatedVenue]:
    """A generated venue with a frozen clock."""
    async with sim.SimulatedVenue(symbols=6, linear=4, accounts=[ONE_POT]) as venue:
        yield venue


@pytest.fixture(params=["binance", "binanceusdm"])
async def either(request: pytest.FixtureRequest, venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    """Each of ccxt's classes that speak to the futures, with the keys of the venue's account."""
    async with connected(venue, cls=getattr(ccxt.async_support, request.param)) as exchange:
        await exchange.load_markets()
        yield exchange


@pytest.fixture
async def exchange(venue: sim.SimulatedVenue) -> AsyncIterator[Any]:
    """The class that speaks to spot as well."""
    async with connected(venue) as exchange:
        await exchange.load_markets()
        yield exchange


def price_of(exchange: Any, price: float, factor: float) -> float:
    """Return a price some way off, in whole steps."""
    return float(exchange.price_to_precision(SWAP, price * factor))


async def test_swaps_are_listed_beside_spot_under_one_name(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """BTCUSDT is two markets, and ccxt tells them apart as it does on the venue."""
    swaps = {symbol: market for symbol, market in exchange.markets.items() if market["swap"]}
    assert sorted(swaps) == sorted(one.symbol for one in venue.market.traded("linear").values())
    market = swaps[SWAP]
    assert (market["id"], market["settle"], market["contractSize"], market["linear"]) == ("BTCUSDT", "USDT", 1, True)
    assert market["precision"] == exchange.markets["BTC/USDT"]["precision"]
    assert (market["limits"]["cost"]["min"], market["active"], market["expiry"]) == (5, True, None)
    spot, swap = [(await exchange.fetch_ticker(symbol))["last"] for symbol in ("BTC/USDT", SWAP)]
    assert spot != swap
    assert swap == pytest.approx(spot, rel=5e-3)


async def test_all_that_is_told_of_a_swap_is_one_story(venue: sim.SimulatedVenue, either: Any) -> None:
    """Ticker, trades, candles, book, mark, index, funding and open interest agree with each other."""
    ticker = await either.fetch_ticker(SWAP)
    trades = await either.fetch_trades(SWAP, limit=3)
    candles = await either.fetch_ohlcv(SWAP, "5m", limit=3)
    marks = await either.fetch_mark_ohlcv(SWAP, "5m", limit=3)
    indices = await either.fetch_index_ohlcv(SWAP, "5m", limit=3)
    book = await either.fetch_order_book(SWAP, 5)
    funding = await either.fetch_funding_rate(SWAP)
    best = (await either.fetch_bids_asks([SWAP]))[SWAP]
    prices = await either.fetch_mark_prices()
    interest = await either.fetch_open_interest(SWAP)
    newest = (await either.fetch_open_interest_history(SWAP, "5m", limit=1))[-1]
    interval = await either.fetch_funding_interval(SWAP)
    assert ticker["last"] == trades[-1]["price"] == candles[-1][4]
    assert ticker["bid"] is None  # the futures' tickers do not tell it
    assert (best["bid"], best["ask"]) == (book["bids"][0][0], book["asks"][0][0])
    assert (funding["markPrice"], funding["indexPrice"]) == (marks[-1][4], indices[-1][4])
    assert prices[SWAP]["markPrice"] == funding["markPrice"]
    assert funding["fundingTimestamp"] == -(-venue.clock.now() // (8 * _HOUR)) * 8 * _HOUR
    assert marks[-1][5] == indices[-1][5] == 0
    assert ticker["last"] == pytest.approx(funding["markPrice"], rel=5e-3)
    assert interest["openInterestAmount"] == newest["openInterestAmount"] > 0
    assert interval["interval"] == "8h"
    assert list(await either.fetch_tickers([SWAP])) == [SWAP]
    assert len(await either.fetch_funding_rates()) == 4
    assert (await either.fetch_last_prices([SWAP]))[SWAP]["price"] == ticker["last"]
    assert await either.fetch_time() == venue.clock.now()
    assert venue.requests.errors == 0


async def test_index_is_the_spot_market(exchange: Any) -> None:
    """Its candles are those of BTC/USDT."""
    index = await exchange.fetch_index_ohlcv(SWAP, "15m", limit=20)
    spot = await exchange.fetch_ohlcv("BTC/USDT", "15m", limit=20)
    assert [row[:5] for row in index] == [row[:5] for row in spot]


@pytest.mark.parametrize("fetch", ["fetch_ohlcv", "fetch_mark_ohlcv", "fetch_index_ohlcv"])
async def test_pages_of_candles_are_the_whole(venue: sim.SimulatedVenue, exchange: Any, fetch: str) -> None:
    """From `since` on, seven by seven, the same rows as at once."""
    since = venue.clock.now() // _HOUR * _HOUR - 30 * _HOUR
    whole = await getattr(exchange, fetch)(SWAP, "1h", since=since, limit=1000)
    rows: list[Any] = []
    while page := await getattr(exchange, fetch)(SWAP, "1h", since=rows[-1][0] + 1 if rows else since, limit=7):
        rows += page
    assert rows == whole
    assert len(whole) == 31


async def test_pages_of_funding_are_the_whole(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """Every eight hours UTC, page by page as at once, and what was predicted is what was settled."""
    since = venue.clock.now() - 40 * 8 * _HOUR
    whole = await exchange.fetch_funding_rate_history(SWAP, since=since, limit=1000)
    rows: list[Any] = []
    while page := await exchange.fetch_funding_rate_history(
        SWAP, since=rows[-1]["timestamp"] + 1 if rows else since, limit=7
    ):
        rows += page
    assert rows == whole
    assert len(whole) == 40
    assert {row["timestamp"] % (8 * _HOUR) for row in whole} == {0}
    assert len({row["fundingRate"] for row in whole}) > 5
    settles = (await exchange.fetch_funding_rate(SWAP))["fundingTimestamp"]
    venue.clock.set(settles - 1)
    predicted = (await exchange.fetch_funding_rate(SWAP))["fundingRate"]
    assert (await exchange.fetch_funding_rate_history(SWAP, limit=1))[0]["timestamp"] == settles - 8 * _HOUR
    venue.clock.set(settles)
    settled = (await exchange.fetch_funding_rate_history(SWAP, limit=1))[0]
    assert (settled["timestamp"], settled["fundingRate"]) == (settles, predicted)


async def test_open_interest_is_kept_for_a_month(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """Its values are amounts at the mark price; what is asked from before is refused in the venue's words."""
    now = venue.clock.now()
    rows = await exchange.fetch_open_interest_history(SWAP, "1d", since=now - 29 * 24 * _HOUR, limit=500)
    assert len(rows) == 29
    marks = await exchange.fetch_mark_ohlcv(SWAP, "1d", since=rows[0]["timestamp"], limit=29)
    assert [row["timestamp"] for row in rows] == [mark[0] for mark in marks]
    worth = [row["openInterestAmount"] * mark[1] for row, mark in zip(rows, marks, strict=True)]
    assert np.allclose([row["openInterestValue"] for row in rows], worth, rtol=1e-12)
    with pytest.raises(ccxt.BadRequest, match="startTime"):
        await exchange.fetch_open_interest_history(SWAP, "1d", since=now - 31 * 24 * _HOUR)


async def test_from_flat_to_flat_the_money_is_exact(venue: sim.SimulatedVenue, either: Any) -> None:
    """Opened, added to, turned short and closed: the balance moved by gains less fees, to the eighth digit."""
    for side, amount in (("buy", 0.02), ("buy", 0.03), ("sell", 0.08), ("buy", 0.03)):
        order = await either.create_order(SWAP, "market", side, amount)
        assert (order["status"], order["filled"]) == ("closed", amount)
        venue.clock.step("20m")
        held = await either.fetch_positions([SWAP])
        assert [position["side"] for position in held] in (["long"], ["short"], [])
    assert held == []
    trades = await either.fetch_my_trades(SWAP)
    info = [trade["info"] for trade in trades]
    cash = sum((-1 if one["buyer"] else 1) * Decimal(one["quoteQty"]) for one in info)
    gains = sum(Decimal(one["realizedPnl"]) for one in info)
    fees = sum(Decimal(one["commission"]) for one in info)
    assert gains == cash
    balance = await either.fetch_balance({"type": "swap"})
    row = next(one for one in balance["info"]["assets"] if one["asset"] == "USDT")
    assert Decimal(row["walletBalance"]) == Decimal(10_000) + gains - fees
    assert Decimal(row["unrealizedProfit"]) == 0
    assert {trade["fee"]["currency"] for trade in trades} == {"USDT"}
    assert venue.requests.errors == 0


async def test_position_is_valued_at_the_mark(venue: sim.SimulatedVenue, either: Any) -> None:
    """Unrealised gains and margin follow the mark price, by every endpoint that tells of them."""
    await either.set_leverage(10, SWAP)
    opened = await either.create_order(SWAP, "market", "sell", 0.1)
    venue.clock.step("1h")
    mark = (await either.fetch_funding_rate(SWAP))["markPrice"]
    (position,) = await either.fetch_positions([SWAP])
    assert (position["side"], position["contracts"], position["markPrice"]) == ("short", 0.1, mark)
    assert position["entryPrice"] == pytest.approx(opened["average"], rel=1e-12)
    assert position["unrealizedPnl"] == pytest.approx(0.1 * (opened["average"] - mark), abs=1e-7)
    assert position["initialMargin"] == pytest.approx(0.1 * mark / 10, abs=1e-7)
    (older,) = await either.fetch_positions([SWAP], {"useV2": True})
    assert (older["unrealizedPnl"], older["leverage"]) == (position["unrealizedPnl"], 10)
    accounts = [await either.fetch_positions([SWAP], {"method": "account", "useV2": old}) for old in (False, True)]
    assert [(one["unrealizedPnl"], one["side"]) for (one,) in accounts] == [(position["unrealizedPnl"], "short")] * 2
    balance = await either.fetch_balance({"type": "swap"})
    assert balance["USDT"]["used"] == pytest.approx(position["initialMargin"])
    assert balance["USDT"]["total"] == pytest.approx(
        10_000 - 0.1 * opened["average"] * 5e-4 + position["unrealizedPnl"]
    )
    assert (await either.fetch_leverages([SWAP]))[SWAP]["longLeverage"] == 10
    assert (await either.fetch_trading_fee(SWAP))["taker"] == 5e-4
    assert (await either.fetch_position_mode())["hedged"] is False
    assert (await either.fetch_margin_mode(SWAP))["marginMode"] == "cross"


async def test_more_than_the_margin_bears_is_refused(exchange: Any) -> None:
    """10,000 USDT at twenty times: 3 BTC are too much, and at once fit where the leverage is higher."""
    with pytest.raises(ccxt.BaseError, match="Margin is insufficient"):
        await exchange.create_order(SWAP, "market", "buy", 5)
    await exchange.set_leverage(125, SWAP)
    order = await exchange.create_order(SWAP, "limit", "buy", 5, 60_000)
    assert order["status"] == "open"
    with pytest.raises(ccxt.BaseError, match="Margin is insufficient"):
        await exchange.create_order(SWAP, "limit", "buy", 20, 60_000)
    with pytest.raises(ccxt.BaseError, match="Leverage 126 is not valid"):
        await exchange.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 126})
    with pytest.raises(ccxt.BaseError, match="margin type"):
        await exchange.set_margin_mode("cross", SWAP)


async def test_reduce_only_never_opens(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """Refused without a position and on its own side, cut to the position, and gone with it."""
    with pytest.raises(ccxt.BaseError, match="ReduceOnly"):
        await exchange.create_order(SWAP, "market", "sell", 0.1, params=_REDUCES)
    price = (await exchange.create_order(SWAP, "market", "buy", 0.1))["average"]
    with pytest.raises(ccxt.BaseError, match="ReduceOnly"):
        await exchange.create_order(SWAP, "market", "buy", 0.1, params=_REDUCES)
    resting = await exchange.create_order(SWAP, "limit", "sell", 0.5, price_of(exchange, price, 1.3), params=_REDUCES)
    assert (resting["amount"], resting["reduceOnly"], resting["status"]) == (0.1, True, "open")
    closing = await exchange.create_order(SWAP, "market", "sell", 0.7, params=_REDUCES)
    assert (closing["filled"], closing["status"]) == (0.1, "closed")
    assert await exchange.fetch_positions([SWAP]) == []


@pytest.mark.parametrize("kind", ["market", "limit"])
@pytest.mark.parametrize("parameter", ["stopLossPrice", "takeProfitPrice"])
async def test_trigger_closes_the_position_when_the_price_comes(
    venue: sim.SimulatedVenue, exchange: Any, kind: str, parameter: str
) -> None:
    """It waits among the algo orders, fires at the first trade beyond its price, and is then an order like others."""
    venue.clock.set(sim.DEFAULT_NOW)
    opened = await exchange.create_order(SWAP, "market", "buy", 0.1)
    factor = 0.997 if parameter == "stopLossPrice" else 1.003
    trigger = price_of(exchange, opened["average"], factor)
    limit = price_of(exchange, trigger, 0.99) if kind == "limit" else None
    waiting = await exchange.create_order(SWAP, kind, "sell", 0.1, limit, {parameter: trigger, **_REDUCES})
    assert (waiting["status"], waiting["triggerPrice"], waiting["reduceOnly"]) == ("open", trigger, True)
    assert await exchange.fetch_open_orders(SWAP) == []
    assert [one["id"] for one in await exchange.fetch_open_orders(SWAP, params=_WAITS)] == [waiting["id"]]
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order(waiting["id"], SWAP)
    now = venue.clock.now()
    minutes = venue.market.klines("BTCUSDT-PERP", "1m", now + 720 * _HOUR, since=now + 60_000, limit=50_000).candles
    beyond = minutes.low <= trigger if factor < 1 else minutes.high >= trigger
    reached = int(minutes.time[int(np.flatnonzero(beyond)[0])])
    venue.clock.set(reached - 1)
    assert [one["id"] for one in await exchange.fetch_open_orders(SWAP, params=_WAITS)] == [waiting["id"]]
    venue.clock.set(reached + 60_000)
    assert await exchange.fetch_open_orders(SWAP, params=_WAITS) == []
    fired = await exchange.fetch_order(waiting["id"], SWAP, _WAITS)
    assert (fired["status"], fired["info"]["algoStatus"]) == ("closed", "FINISHED")
    assert reached <= int(fired["info"]["triggerTime"]) < reached + 60_000
    order = await exchange.fetch_order(fired["info"]["actualOrderId"], SWAP)
    assert (order["status"], order["filled"]) == ("closed", 0.1)
    assert order["average"] == pytest.approx(trigger, rel=2e-3)
    assert await exchange.fetch_positions([SWAP]) == []
    assert [one["id"] for one in await exchange.fetch_orders(SWAP, params=_WAITS)] == [waiting["id"]]


async def test_triggers_that_cannot_wait_are_refused(exchange: Any) -> None:
    """One that is reached already, one without a position to reduce when it fires, one of the old endpoint."""
    last = (await exchange.fetch_ticker(SWAP))["last"]
    with pytest.raises(ccxt.BaseError, match="immediately trigger"):
        await exchange.create_order(
            SWAP, "market", "sell", 0.1, None, {"stopLossPrice": price_of(exchange, last, 1.01)}
        )
    with pytest.raises(ccxt.BaseError, match="Algo Order API"):
        await exchange.fapiPrivatePostOrder(
            {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.1", "stopPrice": "60000"}
        )


async def test_close_position_closes_whatever_there_is(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """Without an amount, by the mark price: all of the position goes, though it grew after the order was placed."""
    opened = await exchange.create_order(SWAP, "market", "buy", 0.05)
    stop = {
        "stopLossPrice": price_of(exchange, opened["average"], 0.995),
        "closePosition": True,
        "workingType": "MARK_PRICE",
    }
    waiting = await exchange.create_order(SWAP, "market", "sell", None, None, stop)
    await exchange.create_order(SWAP, "market", "buy", 0.05)
    venue.clock.step("3d")
    order = await exchange.fetch_order(waiting["id"], SWAP)
    assert (order["filled"], order["status"]) == (0.1, "closed")
    assert await exchange.fetch_positions([SWAP]) == []


async def test_trigger_without_anything_to_reduce_is_rejected_when_it_fires(
    venue: sim.SimulatedVenue, exchange: Any
) -> None:
    """It is taken, since the position may come, and does nothing where that did not."""
    last = (await exchange.fetch_ticker(SWAP))["last"]
    stop = {"stopLossPrice": price_of(exchange, last, 0.999), **_REDUCES}
    waiting = await exchange.create_order(SWAP, "market", "sell", 0.1, None, stop)
    venue.clock.step("5d")
    fired = await exchange.fetch_order(waiting["id"], SWAP, _WAITS)
    assert (fired["status"], fired["info"]["algoStatus"]) == ("rejected", "REJECTED")
    assert await exchange.fetch_my_trades(SWAP) == []


async def test_orders_are_cancelled_one_by_one_and_all_at_once(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """Orders and waiting ones apart, as on the venue; a second time is an unknown order."""
    last = (await exchange.fetch_ticker(SWAP))["last"]
    low, stop = price_of(exchange, last, 0.9), {"stopLossPrice": price_of(exchange, last, 0.8)}
    resting = [await exchange.create_order(SWAP, "limit", "buy", 0.01, low) for _ in range(3)]
    waiting = [await exchange.create_order(SWAP, "market", "sell", 0.01, None, stop) for _ in range(3)]
    assert (await exchange.cancel_order(resting[0]["id"], SWAP))["status"] == "canceled"
    await exchange.cancel_order(waiting[0]["id"], SWAP, _WAITS)
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(resting[0]["id"], SWAP)
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(waiting[0]["id"], SWAP, _WAITS)
    assert (await exchange.fetch_order(waiting[0]["id"], SWAP, _WAITS))["status"] == "canceled"
    assert (await exchange.fetch_open_order(resting[1]["id"], SWAP))["id"] == resting[1]["id"]
    await exchange.cancel_all_orders(SWAP)
    assert await exchange.fetch_open_orders(SWAP) == []
    assert len(await exchange.fetch_open_orders(SWAP, params=_WAITS)) == 2
    await exchange.cancel_all_orders(SWAP, _WAITS)
    assert await exchange.fetch_open_orders(SWAP, params=_WAITS) == []
    assert [one["status"] for one in await exchange.fetch_orders(SWAP)] == ["canceled"] * 3


@pytest.mark.parametrize(("force", "status"), [("IOC", "expired"), ("FOK", "expired"), ("PO", "open")])
async def test_orders_of_each_force(exchange: Any, force: str, status: str) -> None:
    """Below the asks: killed, or lying as maker; a maker that would take is refused."""
    last = (await exchange.fetch_ticker(SWAP))["last"]
    params = {"timeInForce": force} if force != "PO" else {"postOnly": True}
    order = await exchange.create_order(SWAP, "limit", "buy", 0.01, price_of(exchange, last, 0.9), params)
    assert (order["status"], order["timeInForce"]) == (status, force)
    if force == "PO":
        with pytest.raises(ccxt.BaseError, match="Post Only"):
            await exchange.create_order(SWAP, "limit", "buy", 0.01, price_of(exchange, last, 1.1), params)


async def test_funding_is_paid_by_who_is_long_and_received_by_who_is_short(
    venue: sim.SimulatedVenue, exchange: Any
) -> None:
    """Amount times mark times rate, at every settlement, to the eighth digit."""
    await exchange.create_order(SWAP, "market", "sell", 0.1)
    venue.clock.step("1d")
    paid = await exchange.fetch_funding_history(SWAP)
    rates = await exchange.fetch_funding_rate_history(SWAP, limit=3)
    assert [one["timestamp"] for one in paid] == [rate["timestamp"] for rate in rates]
    for one, rate in zip(paid, rates, strict=True):
        due = Decimal("0.1") * Decimal(rate["info"]["markPrice"]) * Decimal(rate["info"]["fundingRate"])
        assert Decimal(one["info"]["income"]) == due.quantize(Decimal("1e-8"), rounding="ROUND_DOWN")
    income = await exchange.fapiPrivateGetIncome({"symbol": "BTCUSDT"})
    moved = sum(Decimal(row["income"]) for row in income)
    balance = await exchange.fetch_balance({"type": "swap"})
    assert Decimal(balance["info"]["totalWalletBalance"]) == Decimal(10_000) + moved
    assert {row["incomeType"] for row in income} == {"FUNDING_FEE", "COMMISSION"}


async def test_spot_and_swap_orders_are_told_apart(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """Two markets of one name: neither lists the other's orders and trades, nor finds them by number."""
    spot = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 60_000)
    swap = await exchange.create_order(SWAP, "limit", "buy", 0.01, 60_000)
    assert [one["id"] for one in await exchange.fetch_open_orders("BTC/USDT")] == [spot["id"]]
    assert [one["id"] for one in await exchange.fetch_open_orders(SWAP)] == [swap["id"]]
    exchange.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
    assert [one["symbol"] for one in await exchange.fetch_open_orders()] == ["BTC/USDT"]
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order(swap["id"], "BTC/USDT")
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order(spot["id"], SWAP)
    await exchange.create_order(SWAP, "market", "buy", 0.01)
    assert await exchange.fetch_my_trades("BTC/USDT") == []
    assert "BTC" in (await exchange.fetch_balance())["total"]


@pytest.mark.parametrize("kind", ["market", "limit"])
@pytest.mark.parametrize("parameter", ["stopLossPrice", "takeProfitPrice"])
async def test_spot_trigger_fires_when_the_price_comes(
    venue: sim.SimulatedVenue, exchange: Any, kind: str, parameter: str
) -> None:
    """The base is locked while it waits; it keeps its number, and is filled once the price has come."""
    last = (await exchange.fetch_ticker("BTC/USDT"))["last"]
    trigger = price_of(exchange, last, 0.995 if parameter == "stopLossPrice" else 1.005)
    limit = price_of(exchange, trigger, 0.99) if kind == "limit" else None
    waiting = await exchange.create_order("BTC/USDT", kind, "sell", 0.1, limit, {parameter: trigger})
    assert (waiting["status"], waiting["triggerPrice"], waiting["type"]) == ("open", trigger, kind)
    assert waiting["info"]["type"].startswith("STOP_LOSS" if parameter == "stopLossPrice" else "TAKE_PROFIT")
    assert (await exchange.fetch_balance())["BTC"]["used"] == 0.1
    (listed,) = await exchange.fetch_open_orders("BTC/USDT")
    assert (listed["id"], listed["info"]["isWorking"]) == (waiting["id"], False)
    venue.clock.step("30d")
    order = await exchange.fetch_order(waiting["id"], "BTC/USDT")
    assert (order["status"], order["filled"]) == ("closed", 0.1)
    assert order["average"] == pytest.approx(trigger, rel=2e-3)
    assert (await exchange.fetch_balance())["BTC"]["used"] == 0


async def test_market_orders_for_a_cost_and_cancelling_all_on_spot(venue: sim.SimulatedVenue, exchange: Any) -> None:
    """What is spent is at most what was asked for; all orders of a symbol go at once, waiting ones too."""
    bought = await exchange.create_order("BTC/USDT", "market", "buy", None, None, {"cost": 100})
    assert bought["status"] == "closed"
    assert 99 < bought["cost"] <= 100
    await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 60_000)
    await exchange.create_order("BTC/USDT", "market", "sell", 0.01, None, {"stopLossPrice": 60_000})
    assert len(await exchange.cancel_all_orders("BTC/USDT")) == 2
    assert await exchange.fetch_open_orders("BTC/USDT") == []


async def test_futures_have_windows_of_their_own() -> None:
    """An address that has used up the futures' weight may still ask spot, and the headers count each apart."""
    limits = Limits(futures_weight=20, tolerated=50, futures_orders=2)
    async with sim.SimulatedVenue(symbols=2, accounts=[ONE_POT], limits=limits) as venue, connected(venue) as binance:
        await binance.load_markets()
        await binance.fetch_ticker(SWAP)
        assert binance.last_response_headers["x-mbx-used-weight-1m"] == "2"
        await binance.fetch_ticker("BTC/USDT")
        assert int(binance.last_response_headers["x-mbx-used-weight-1m"]) == 22
        for _ in range(2):
            await binance.create_order(SWAP, "limit", "buy", 0.01, 60_000)
        assert binance.last_response_headers["x-mbx-order-count-10s"] == "2"
        assert binance.last_response_headers["x-mbx-order-count-1m"] == "2"
        with pytest.raises(ccxt.DDoSProtection, match="Too many new orders"):
            await binance.create_order(SWAP, "limit", "buy", 0.01, 60_000)
        await binance.create_order("BTC/USDT", "limit", "buy", 0.01, 60_000)
        for _ in range(9):
            await binance.fetch_ticker(SWAP)
        with pytest.raises(ccxt.DDoSProtection, match="current limit is 20 request weight"):
            await binance.fetch_order_book(SWAP, 500)
        assert (await binance.fetch_ticker("BTC/USDT"))["last"] > 0


async def test_funding_and_statistics_are_counted_by_request() -> None:
    """A five-hundred-and-first request for funding rates in five minutes is too much, whatever else was asked."""
    async with (
        sim.SimulatedVenue(symbols=2, accounts=[ONE_POT], limits=Limits(tolerated=50)) as venue,
        connected(venue) as binance,
    ):
        await binance.load_markets()
        for _ in range(500):
            venue.gate.charge("127.0.0.1", 1, "funding")
        with pytest.raises(ccxt.DDoSProtection, match="500 requests per 5 MINUTE"):
            await binance.fetch_funding_rate_history(SWAP, limit=1)
        assert (await binance.fetch_open_interest_history(SWAP, "1h", limit=1)) != []
        for _ in range(1_000):
            venue.gate.charge("127.0.0.1", 1, "data")
        with pytest.raises(ccxt.DDoSProtection, match="1000 requests per 5 MINUTE"):
            await binance.fetch_open_interest_history(SWAP, "1h", limit=1)
