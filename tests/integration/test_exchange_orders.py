"""Orders of an Exchange against the simulated venue: real HTTP, ccxt's own unmodified class."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue

ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)
SYMBOL = "BTC/USDT"
AMOUNT, PRICE = Decimal("0.01234"), Decimal("20000.10")


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Ten generated symbols, frozen at 30 s past a minute."""
    async with SimulatedVenue("binance", symbols=10, seed=3) as venue:
        yield venue


@pytest.fixture
async def exchange(venue: SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """The venue as Alice sees it."""
    async with tu.Exchange("binance", url=venue.url, account=ALICE, budget=LocalBudget()) as exchange:
        yield exchange


async def test_an_order_is_placed_digit_by_digit(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """What comes back, what is looked up by either id, and what the venue holds are the same order."""
    order = await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE, params={"timeInForce": "GTC"})
    assert (order.amount, order.price, order.side, order.type) == (AMOUNT, PRICE, "buy", "limit")
    assert (order.status, order.symbol) == ("open", SYMBOL)
    assert await exchange.fetch_order(order.id, SYMBOL) == order
    assert await exchange.fetch_order(None, SYMBOL, client_order_id=order.client_id) == order
    assert await exchange.fetch_open_orders(SYMBOL) == [order]
    assert venue.requests.paths["/api/v3/order"] == 3


async def test_a_market_order_is_filled_and_its_fills_are_exact(exchange: tu.Exchange) -> None:
    """Fees and cost to the last digit, in the order and in the account's trades."""
    order = await exchange.create_order(SYMBOL, "market", "buy", AMOUNT)
    fills = await exchange.fetch_my_trades(SYMBOL, limit=10)
    assert order.status == "closed"
    assert sum(fill.amount for fill in fills) == order.filled == AMOUNT
    assert sum(fill.price * fill.amount for fill in fills) == order.cost
    assert sum(fill.fee or 0 for fill in fills) == order.fee
    assert order.fee is not None
    assert order.fee > 0
    assert {(fill.order_id, fill.side, fill.fee_currency, fill.maker) for fill in fills} == {
        (order.id, "buy", "BTC", False)
    }


async def test_a_cancelled_order_is_said_to_be(exchange: tu.Exchange) -> None:
    """The order that was cancelled comes back with its own ids; a second cancel finds none."""
    order = await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
    canceled = await exchange.cancel_order(str(order.id), SYMBOL)
    assert (canceled.id, canceled.client_id, canceled.status) == (order.id, order.client_id, "canceled")
    assert await exchange.fetch_open_orders(SYMBOL) == []
    with pytest.raises(errors.OrderNotFound):
        await exchange.cancel_order(str(order.id), SYMBOL)
    for ids in ({"id": "4711"}, {"id": None, "client_order_id": "nobody"}):
        with pytest.raises(errors.OrderNotFound):
            await exchange.fetch_order(symbol=SYMBOL, **ids)  # type: ignore[arg-type]  # two forms of one call


async def test_lists_of_orders_are_by_time_and_begin_at_since(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Open, cancelled and filled ones; ``since`` is inclusive."""
    first = await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
    venue.clock.step(60_000)
    second = await exchange.create_order(SYMBOL, "market", "buy", AMOUNT)
    await exchange.cancel_order(str(first.id), SYMBOL)
    assert [order.id for order in await exchange.fetch_orders(SYMBOL)] == [first.id, second.id]
    assert [order.id for order in await exchange.fetch_orders(SYMBOL, since=second.time)] == [second.id]
    assert [order.id for order in await exchange.fetch_closed_orders(SYMBOL)] == [second.id]
    assert [fill.order_id for fill in await exchange.fetch_my_trades(SYMBOL, since=second.time)][:1] == [second.id]


async def test_an_id_of_ones_own_makes_a_call_repeatable(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """A bot that was killed calls again with the id it had written down, and gets the order that is there."""
    orders = [
        await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE, client_order_id="mine-1") for _ in range(3)
    ]
    assert {order.id for order in orders} == {orders[0].id}
    assert orders[0].client_id == "mine-1"
    assert len(await exchange.fetch_open_orders(SYMBOL)) == 1
    for other in ({"amount": AMOUNT * 2, "price": PRICE}, {"amount": AMOUNT, "price": PRICE + 1}):
        with pytest.raises(errors.DuplicateOrder):
            await exchange.create_order(SYMBOL, "limit", "buy", **other, client_order_id="mine-1")  # type: ignore[misc]
    assert len(await exchange.fetch_open_orders(SYMBOL)) == 1


async def test_a_filled_order_is_not_placed_again_either(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """The venue itself would take a second order of this id, as the first is not open any more."""
    first = await exchange.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="mine-2")
    again = await exchange.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="mine-2")
    assert again.id == first.id
    assert [order.id for order in await exchange.fetch_orders(SYMBOL)] == [first.id]


async def test_what_the_venue_refuses_is_sent_once(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """A plain no is the answer; nobody is asked what became of the order."""
    with pytest.raises(errors.InsufficientFunds):
        await exchange.create_order(SYMBOL, "limit", "buy", Decimal(5), PRICE)
    assert venue.requests.paths["/api/v3/order"] == 1


async def test_what_is_wrong_is_refused_before_it_is_sent(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Floats, steps, limits, symbols and ids: nothing of it costs an order."""
    with pytest.raises(errors.UsageError, match=r'Decimal\("0.01"\)'):
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, PRICE)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(errors.UsageError, match=r"steps of 0\.00001"):
        await exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.012345"), PRICE)
    with pytest.raises(errors.UsageError, match="5"):
        await exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.0001"), PRICE)
    with pytest.raises(errors.UsageError, match="binance takes"):
        await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE, client_order_id="ä")
    with pytest.raises(errors.BadSymbol, match="BTC/USDT"):
        await exchange.create_order("BTCUSDT", "limit", "buy", AMOUNT, PRICE)
    with pytest.raises(errors.BadSymbol):
        await exchange.cancel_order("1", "BTCUSDT")
    with pytest.raises(errors.UsageError, match="either"):
        await exchange.fetch_order(None, SYMBOL)
    with pytest.raises(errors.UsageError, match="either"):
        await exchange.fetch_order("1", SYMBOL, client_order_id="x")
    with pytest.raises(errors.UsageError, match="id"):
        await exchange.cancel_order(1, SYMBOL)  # type: ignore[arg-type]  # the mistake
    assert "/api/v3/order" not in venue.requests.paths


async def test_orders_need_an_account(venue: SimulatedVenue) -> None:
    """Every call says how to open the exchange instead."""
    async with tu.Exchange("binance", url=venue.url, budget=LocalBudget()) as nobody:
        for call in (
            nobody.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE),
            nobody.cancel_order("1", SYMBOL),
            nobody.fetch_order("1", SYMBOL),
            nobody.fetch_orders(SYMBOL),
            nobody.fetch_closed_orders(SYMBOL),
            nobody.fetch_my_trades(SYMBOL),
        ):
            with pytest.raises(errors.UsageError, match="account="):
                await call
    assert not venue.requests.total


async def test_a_market_of_fewer_digits_than_it_says_is_not_rounded_to(exchange: tu.Exchange) -> None:
    """Where the list of markets names no step, what ccxt would send is compared with what was asked for."""
    await exchange.load_markets()
    market = exchange._venue._ccxt.markets[SYMBOL]
    exchange._venue._markets = {  # as of a venue that counts significant digits
        SYMBOL: tu.Market(symbol=SYMBOL, id="BTCUSDT", base="BTC", quote="USDT")
    }
    with pytest.raises(errors.UsageError, match=r"write 0\.01234"):
        await exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.012345"), PRICE)
    market["precision"] = {"amount": None, "price": None}
    with pytest.raises(errors.UsageError, match="cannot be sent"):
        await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)


def test_the_blocking_exchange_trades_too() -> None:
    """The same names, from any thread."""
    from tradeutils import sim, sync

    with sim.serve(symbols=3, seed=3) as venue, sync.Exchange("binance", url=venue.url, account=ALICE) as exchange:
        order = exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
        assert exchange.fetch_order(order.id, SYMBOL) == order
        assert exchange.cancel_order(str(order.id), SYMBOL).status == "canceled"
        assert len(exchange.fetch_orders(SYMBOL)) == 1
        assert exchange.fetch_closed_orders(SYMBOL) == exchange.fetch_my_trades(SYMBOL) == []


async def test_orders_at_once_are_all_placed(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Fifty at once: fifty ids, fifty orders."""
    orders = await asyncio.gather(
        *(exchange.create_order(SYMBOL, "limit", "buy", Decimal("0.001"), PRICE) for _ in range(50))
    )
    assert len({order.id for order in orders}) == len({order.client_id for order in orders}) == 50
    assert len(await exchange.fetch_open_orders(SYMBOL)) == 50
