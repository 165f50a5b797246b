"""Open orders by the cheapest route, page by page, and all of them cancelled at once."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

import tradeutils as tu
from tests.integration.test_exchange_client_ids import Listener, _open, listener
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.exchange.ordering.open_orders import fetch_open_orders, next_page, routes_to_all
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue
from tradeutils.sim.limits import Limits

__all__ = ["listener"]  # a fixture

ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)
ONE_POT = dataclasses.replace(DEFAULT_ACCOUNT, unified=True)  # trades spot and swaps with the same money
SYMBOL, SWAP = "BTC/USDT", "BTC/USDT:USDT"
LISTED, ORDER = "/api/v3/openOrders", "/api/v3/order"


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Twenty generated symbols on spot and ten swaps."""
    async with SimulatedVenue("binance", symbols=20, seed=3, accounts=[ONE_POT]) as venue:
        yield venue


@pytest.fixture
async def exchange(venue: SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """The venue as Alice sees it."""
    async with tu.Exchange("binance", url=venue.url, account=ALICE, budget=LocalBudget()) as exchange:
        yield exchange


async def _rest(exchange: tu.Exchange, symbol: str, times: str = "0.8", amount: str = "0.001") -> tu.Order:
    """Place a limit buy that lies in the book."""
    market = (await exchange.load_markets())[symbol]
    last = Decimal(repr((await exchange.fetch_ticker(symbol)).last))
    price = market.round_price(last * Decimal(times), "down")
    return await exchange.create_order(
        symbol, "limit", "buy", max(Decimal(amount), market.round_amount(Decimal(10) / price, "up")), price
    )


async def test_orders_of_all_markets_are_of_spot_and_contracts(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Each kind has a list of its own; one of them can be asked alone."""
    placed = [
        await _rest(exchange, SYMBOL),
        await _rest(exchange, "ETH/USDT", amount="0.01"),
        await _rest(exchange, SWAP),
    ]
    assert {order.id for order in await exchange.fetch_open_orders()} == {order.id for order in placed}
    assert {path: count for path, count in venue.requests.paths.items() if "openOrders" in path} == {
        LISTED: 1,
        "/fapi/v1/openOrders": 1,
    }
    assert [order.symbol for order in await exchange.fetch_open_orders(type="swap")] == [SWAP]
    assert venue.requests.paths[LISTED] == 1


@pytest.mark.parametrize(("markets", "requests"), [(1, 1), (2, 2), (13, 13), (14, 1)])
async def test_several_markets_are_asked_for_by_the_cheaper_route(
    venue: SimulatedVenue, exchange: tu.Exchange, markets: int, requests: int
) -> None:
    """Binance: 6 a market, 80 for all at once."""
    symbols = [symbol for symbol, market in (await exchange.load_markets()).items() if market.type == "spot"]
    placed = await _rest(exchange, SYMBOL)
    await _rest(exchange, next(one for one in symbols[markets:] if one.endswith("/USDT")))
    found = await exchange.fetch_open_orders(symbols=symbols[:markets])
    assert SYMBOL in symbols[:markets]
    assert [order.id for order in found] == [placed.id]  # what was not asked for is left out
    assert venue.requests.paths[LISTED] == requests


async def test_what_is_asked_of_open_orders_is_checked(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Before anything is asked of the account."""
    for asked, words in (
        ({"symbol": SYMBOL, "symbols": [SYMBOL]}, "keep one"),
        ({"symbols": SYMBOL}, "give a list"),
        ({"symbol": SYMBOL, "type": "spot"}, "leave it out"),
        ({"type": "perp"}, "write one of spot"),
    ):
        with pytest.raises(errors.UsageError, match=words):
            await exchange.fetch_open_orders(**asked)
    with pytest.raises(errors.BadSymbol):
        await exchange.fetch_open_orders(symbols=[SYMBOL, "BTCUSDT"])
    assert await exchange.fetch_open_orders(symbols=[]) == []
    assert LISTED not in venue.requests.paths


async def test_a_key_of_one_kind_of_market_is_told_to_ask_for_it(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """What may not be seen is no empty list."""
    venue.faults.add("status", status=401, body='{"code":-2015,"msg":"no permission"}', path="/fapi/v1/openOrders")
    with pytest.raises(errors.AuthenticationFailed) as caught:
        await exchange.fetch_open_orders()
    assert 'type="spot"' in " ".join(caught.value.__notes__)
    assert await exchange.fetch_open_orders(type="spot") == []


def _market(kind: Any, **more: Any) -> tu.Market:
    return tu.Market(symbol=f"{kind}{sorted(more.items())}", id="x", base="B", quote="USDT", type=kind, **more)


LINEAR = _market("swap", linear=True, inverse=False, settle="USDT")
FUTURE = _market("future", linear=True, inverse=False, settle="USDT")
USDC = _market("swap", linear=True, inverse=False, settle="USDC")
INVERSE = _market("swap", linear=False, inverse=True, settle="BTC")
SPOT, OPTION = _market("spot"), _market("option", settle="USDT")


@pytest.mark.parametrize(
    ("venue", "markets", "params"),
    [
        ("binance", [SPOT], [{"type": "spot"}]),
        ("okx", [SPOT, LINEAR, INVERSE, OPTION], [{}]),
        ("kraken", [SPOT], [{}]),
        ("krakenfutures", [_market("swap", inverse=False)], [{}]),
        (
            "binance",
            [SPOT, LINEAR, FUTURE, INVERSE, OPTION],
            [
                {"type": "spot"},
                {"type": "swap", "subType": "linear"},
                {"type": "swap", "subType": "inverse"},
                {"type": "option"},
            ],
        ),
        (
            "bybit",
            [SPOT, LINEAR, USDC, FUTURE],
            [
                {"type": "spot"},
                {"type": "swap", "subType": "linear", "settleCoin": "USDT"},
                {"type": "swap", "subType": "linear", "settleCoin": "USDC"},
            ],
        ),
        ("gate", [SPOT, LINEAR, FUTURE], [
            {"type": "spot"}, {"type": "swap", "settle": "usdt"}, {"type": "future", "settle": "usdt"},
        ]),
        ("bitget", [LINEAR, USDC, INVERSE], [
            {"type": "swap", "productType": "USDT-FUTURES"},
            {"type": "swap", "productType": "USDC-FUTURES"},
            {"type": "swap", "productType": "COIN-FUTURES"},
        ]),
        ("htx", [SPOT, LINEAR], [{"type": "spot"}, {"type": "swap", "subType": "linear"}]),
        ("coinex", [SPOT, _market("swap")], [{"type": "spot"}, {"type": "swap"}]),
    ],
)  # fmt: skip
def test_all_markets_are_asked_for_list_by_list(
    venue: str, markets: list[tu.Market], params: list[dict[str, str]]
) -> None:
    """As few requests as the venue has lists."""
    assert [route.params for route in routes_to_all(venue, markets)] == params
    assert {route.symbol for route in routes_to_all(venue, markets)} == {None}


class Pages:
    """A venue whose open orders fill several pages."""

    def __init__(self, orders: int) -> None:
        self.orders = orders
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        if request.path.endswith("/order/realtime"):
            self.asked.append(asked)
            first = int(asked.get("cursor", 0))
            rows = [
                {"symbol": "BTCUSDT", "orderId": str(one), "createdTime": str(one), "orderStatus": "New", "side": "Buy",
                 "orderType": "Limit", "price": "1", "qty": "1", "cumExecQty": "0"}
                for one in range(first, min(first + int(asked["limit"]), self.orders))
            ]  # fmt: skip
            last = first + len(rows) >= self.orders
            return web.json_response(
                {"retCode": 0, "result": {"list": rows, "nextPageCursor": "" if last else str(first + len(rows))}}
            )
        if request.path.endswith("/orders-pending"):
            self.asked.append(asked)
            newest = int(asked.get("after", self.orders))
            rows = [
                {"instId": "BTC-USDT", "ordId": str(one), "cTime": str(one), "state": "live", "side": "buy", "sz": "1",
                 "ordType": "limit", "px": "1"}
                for one in range(max(0, newest - int(asked["limit"])), newest)
            ]  # fmt: skip
            return web.json_response({"code": "0", "data": rows[::-1]})
        return web.json_response({"retCode": 0, "code": "0", "result": {}, "data": []})


@pytest.mark.parametrize(("venue", "size"), [("bybit", 50), ("okx", 100)])
@pytest.mark.parametrize("orders", [0, 1, 100, 250])
async def test_every_page_of_open_orders_is_fetched(venue: str, size: int, orders: int) -> None:
    """A venue that shows fifty at a time has more."""
    pages = Pages(orders)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", pages.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with _open(venue, "http://{}:{}".format(*runner.addresses[0][:2])) as exchange:
            found = await exchange._venue.orders.fetch_open_orders(SYMBOL, {})
    finally:
        await runner.cleanup()
    assert sorted(int(order.id or -1) for order in found) == list(range(orders))
    assert len(pages.asked) <= orders // size + 1


def test_pages_are_asked_for_as_each_venue_has_them() -> None:
    """By cursor, by the oldest order, or by number; none after one that is not full."""
    full: list[dict[str, Any]] = [{"id": str(one), "info": {}} for one in range(500)]
    assert next_page("binance", full, 1) is None
    assert next_page("okx", [], 1) is None
    assert next_page("okx", full[:99], 1) is None
    assert next_page("okx", full[:100], 1) == {"after": "0"}
    assert next_page("bitget", full[:100], 1) == {"idLessThan": "0"}
    assert next_page("gate", full[:100], 2) == {"page": 3, "offset": 200}
    assert next_page("mexc", full[:100], 1) == {"page_num": 2}
    assert next_page("kucoin", full, 1) == {"currentPage": 2}
    assert next_page("bybit", [*full[:49], {"id": "49", "info": {"nextPageCursor": "x"}}], 1) == {"cursor": "x"}
    assert next_page("bybit", full[:50], 1) is None


async def test_a_venue_that_lists_by_market_alone_wants_markets_named(listener: Listener) -> None:
    """No guessing which; and where some are named, each is asked for."""
    markets = [tu.Market(symbol=one, id="?", base="BTC", quote="USDT") for one in (SYMBOL, SWAP)]
    async with _open("bitrue", listener.url) as exchange:
        orders = exchange._venue.orders
        with pytest.raises(errors.UsageError, match=r"bitrue lists open orders by market alone .* name them: symbols="):
            await fetch_open_orders(orders, markets, named=False)
        assert not [line for line in listener.heard if "penOrders" in line]
        await fetch_open_orders(orders, markets, named=True)
    assert len([line for line in listener.heard if "penOrders" in line]) == 2


async def test_all_orders_are_cancelled_and_named(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Of all markets: one request for a market's on spot, one for each elsewhere."""
    placed = [await _rest(exchange, SYMBOL, times) for times in ("0.8", "0.81", "0.82")]
    placed += [await _rest(exchange, "ETH/USDT"), await _rest(exchange, SWAP), await _rest(exchange, SWAP, "0.81")]
    canceled = await exchange.cancel_all()
    assert {(order.id, order.status) for order in canceled} == {(order.id, "canceled") for order in placed}
    assert {order.client_id for order in canceled} == {order.client_id for order in placed}
    assert all(order.amount and order.price and order.side == "buy" for order in canceled)
    assert await exchange.fetch_open_orders() == []
    deleted = sorted(record.path for record in venue.requests.last() if record.method == "DELETE")
    assert deleted == [LISTED, ORDER, "/fapi/v1/order", "/fapi/v1/order"]
    assert await exchange.cancel_all() == []


async def test_orders_of_one_market_are_cancelled_alone(exchange: tu.Exchange) -> None:
    """The others stay."""
    await _rest(exchange, SYMBOL)
    await _rest(exchange, SYMBOL, "0.81")
    other = await _rest(exchange, "ETH/USDT")
    assert len(await exchange.cancel_all(SYMBOL)) == 2
    assert [order.id for order in await exchange.fetch_open_orders()] == [other.id]


async def test_orders_that_wait_for_a_price_are_cancelled_on_request(exchange: tu.Exchange) -> None:
    """Where they have a list of their own, they stay otherwise."""
    await exchange.create_order(SWAP, "market", "buy", Decimal("0.001"))
    last = Decimal(repr((await exchange.fetch_ticker(SWAP)).last))
    stop = (await exchange.load_markets())[SWAP].round_price(last * Decimal("0.8"), "down")
    waiting = await exchange.create_order(SWAP, "market", "sell", Decimal("0.001"), stop_loss_price=stop)
    assert await exchange.cancel_all() == []
    assert [order.id for order in await exchange.cancel_all(trigger=True)] == [waiting.id]
    assert await exchange.cancel_all(SWAP, trigger=True) == []


async def test_where_all_orders_share_a_list_those_that_wait_are_cancelled_alone(exchange: tu.Exchange) -> None:
    """Binance's spot market: the others are not what was asked for."""
    plain = [await _rest(exchange, SYMBOL), await _rest(exchange, SYMBOL, "0.81")]
    last = Decimal(repr((await exchange.fetch_ticker(SYMBOL)).last))
    stop = (await exchange.load_markets())[SYMBOL].round_price(last * Decimal("0.8"), "down")
    waiting = await exchange.create_order(SYMBOL, "market", "sell", Decimal("0.001"), stop_loss_price=stop)
    assert [order.id for order in await exchange.cancel_all(trigger=True)] == [waiting.id]
    assert {order.id for order in await exchange.fetch_open_orders()} == {order.id for order in plain}


@pytest.mark.parametrize("name", ["kraken", "bybit"])
async def test_other_venues_cancel_what_was_asked_for_and_no_more(name: str) -> None:
    """ccxt's class of kraken cancels all orders whichever market it is given; bybit's names stops apart."""
    account = tu.Account(name="alice", exchange=name, credentials=ALICE.credentials)
    wide = [tu.Window("public_pair", 100, 1), tu.Window("public", 100, 1)] if name == "kraken" else None
    async with (
        SimulatedVenue(name, symbols=6, seed=3, limits=Limits.none()) as venue,
        tu.Exchange(name, url=venue.url, account=account, budget=LocalBudget(wide)) as exchange,
    ):
        mine = [await _rest(exchange, SYMBOL), await _rest(exchange, SYMBOL, "0.81")]
        other = await _rest(exchange, "ETH/USDT")
        last = Decimal(repr((await exchange.fetch_ticker("ETH/USDT")).last))
        stop = (await exchange.load_markets())["ETH/USDT"].round_price(last * Decimal("0.8"), "down")
        waiting = await exchange.create_order("ETH/USDT", "market", "sell", Decimal("0.01"), stop_loss_price=stop)
        assert {order.id for order in await exchange.cancel_all(SYMBOL)} == {order.id for order in mine}
        left = await exchange.fetch_open_orders()
        assert {order.id for order in left} == {other.id, waiting.id}
        assert {order.stop_price for order in left} == {None, stop}
        assert {order.id for order in await exchange.cancel_all()} == {other.id, waiting.id}
        assert await exchange.fetch_open_orders() == []
