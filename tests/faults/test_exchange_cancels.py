"""Orders by cost and with triggers whose answers are lost, and cancels of many of which some fail."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget, Window
from tradeutils.exchange.ordering.canceling import cancel_each
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue
from tradeutils.sim.limits import Limits

ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)
ONE_POT = dataclasses.replace(DEFAULT_ACCOUNT, unified=True)  # trades spot and swaps with the same money
SYMBOL, SWAP = "BTC/USDT", "BTC/USDT:USDT"
AMOUNT = Decimal("0.001")
ORDER, LISTED, ALGO = "/api/v3/order", "/api/v3/openOrders", "/fapi/v1/algoOrder"


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """A venue whose clock runs with ours, and which limits nobody."""
    async with SimulatedVenue("binance", symbols=3, seed=3, skew=0, accounts=[ONE_POT], limits=Limits.none()) as venue:
        yield venue


def _open(venue: SimulatedVenue, **options: Any) -> tu.Exchange:
    """Open the venue for Alice; orders that are held up are refused after half a second."""
    return tu.Exchange(
        "binance",
        url=venue.url,
        account=ALICE,
        budget=LocalBudget([Window("orders", 1000, 10, "account")]),
        options={"recvWindow": 500},
        settings=tu.settings.ExchangeSettings(timeout=0.5),
        **options,
    )


async def _price(exchange: tu.Exchange, symbol: str, times: str) -> Decimal:
    last = Decimal(repr((await exchange.fetch_ticker(symbol)).last))
    return (await exchange.load_markets())[symbol].round_price(last * Decimal(times), "down")


async def _rest(exchange: tu.Exchange, many: int, symbol: str = SYMBOL) -> list[tu.Order]:
    price = await _price(exchange, symbol, "0.8")
    return [await exchange.create_order(symbol, "limit", "buy", AMOUNT, price) for _ in range(many)]


def _posted(venue: SimulatedVenue, path: str = ORDER) -> int:
    return sum((record.method, record.path) == ("POST", path) for record in venue.requests.last())


LOST: list[tuple[str, dict[str, Any]]] = [
    ("reset", {}),
    ("silence", {}),
    ("html", {"status": 502}),
    ("truncate", {}),
    ("status", {"status": 200, "body": "{}"}),
]


@pytest.mark.parametrize(("kind", "more"), LOST)
async def test_an_order_by_cost_whose_answer_is_lost_is_found(
    venue: SimulatedVenue, kind: str, more: dict[str, Any]
) -> None:
    """Money is spent once."""
    venue.faults.add(kind, after=True, method="POST", path=ORDER, count=1, **more)
    async with _open(venue) as exchange:
        order = await exchange.create_order(SYMBOL, "market", "buy", cost=Decimal(100))
        assert (order.status, _posted(venue)) == ("closed", 1)
        assert len(await exchange.fetch_orders(SYMBOL)) == 1


async def test_an_order_by_cost_that_never_arrived_is_sent_again(venue: SimulatedVenue) -> None:
    """With the same id, once it can arrive no more."""
    venue.faults.add("reset", method="POST", path=ORDER, count=1)
    async with _open(venue) as exchange:
        order = await exchange.create_order(SYMBOL, "market", "buy", cost=Decimal(100), client_order_id="cost-1")
        assert (order.client_id, _posted(venue)) == ("cost-1", 2)
        assert len(await exchange.fetch_orders(SYMBOL)) == 1


@pytest.mark.parametrize(("kind", "more"), LOST)
async def test_an_order_with_a_trigger_whose_answer_is_lost_is_found(
    venue: SimulatedVenue, kind: str, more: dict[str, Any]
) -> None:
    """On spot among the others, and on swaps in the list where such orders wait."""
    async with _open(venue) as exchange:
        await exchange.create_order(SWAP, "market", "buy", AMOUNT)
        for symbol, path in ((SYMBOL, ORDER), (SWAP, ALGO)):
            stop = await _price(exchange, symbol, "0.8")
            venue.faults.add(kind, after=True, method="POST", path=path, count=1, **more)
            order = await exchange.create_order(symbol, "market", "sell", AMOUNT, stop_loss_price=stop)
            assert (order.stop_price, _posted(venue, path)) == (stop, 1)
            assert [one.id for one in await exchange.fetch_open_orders(symbol, trigger=True)] == [order.id]


async def test_an_order_with_a_trigger_that_never_arrived_is_not_sent_again_where_it_proves_nothing(
    venue: SimulatedVenue,
) -> None:
    """On swaps it may have been triggered and be gone from the list: that is unknown, and how to look is said."""
    async with _open(venue, deadline=3) as exchange:
        stop = await _price(exchange, SWAP, "0.8")
        venue.faults.add("reset", method="POST", path=ALGO)
        with pytest.raises(errors.OrderUnknown, match=r"fetch_order\(None, .*, trigger=True\)"):
            await exchange.create_order(SWAP, "market", "sell", AMOUNT, stop_loss_price=stop)
    assert sum(fault["struck"] for fault in venue.faults.describe()) == 1


async def test_a_cancel_of_an_order_with_a_trigger_whose_answer_is_lost_is_no_error(venue: SimulatedVenue) -> None:
    """The repeated one finds nothing, and the order says that it was cancelled."""
    async with _open(venue) as exchange:
        stop = await _price(exchange, SWAP, "0.8")
        order = await exchange.create_order(SWAP, "market", "sell", AMOUNT, stop_loss_price=stop)
        venue.faults.add("reset", after=True, method="DELETE", path=ALGO, count=1)
        canceled = await exchange.cancel_order(str(order.id), SWAP, trigger=True)
    assert (canceled.id, canceled.status) == (order.id, "canceled")


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("kind", ["reset", "html", "status"])
async def test_all_orders_are_cancelled_though_the_answer_to_it_is_lost(
    venue: SimulatedVenue, kind: str, after: bool
) -> None:
    """Whether or not it had been done: each order is accounted for."""
    async with _open(venue) as exchange:
        placed = await _rest(exchange, 3)
        venue.faults.add(kind, after=after, method="DELETE", path=LISTED, count=1)
        canceled = await exchange.cancel_all(SYMBOL)
        assert {(order.id, order.status) for order in canceled} == {(order.id, "canceled") for order in placed}
        assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_an_order_that_ended_meanwhile_is_not_said_to_be_cancelled(venue: SimulatedVenue) -> None:
    """Somebody else cancelled it, between the list and its turn."""
    async with _open(venue) as exchange:
        first, second = await _rest(exchange, 2, SWAP)
        inner: Any = exchange._venue.orders
        cancel = inner.cancel_order

        async def late(order_id: str, *more: Any, **named: Any) -> tu.Order:
            if order_id == first.id:
                await cancel(order_id, *more, **named)
            order: tu.Order = await cancel(order_id, *more, **named)
            return order

        inner.cancel_order = late
        assert [order.id for order in await exchange.cancel_all()] == [second.id]


async def test_orders_that_could_not_be_cancelled_are_named(venue: SimulatedVenue) -> None:
    """All are tried; the error carries those that were cancelled and, by id, why the others were not."""
    async with _open(venue, retries=0) as exchange:
        placed = await _rest(exchange, 4, SWAP)
        broken = venue.faults.add("status", status=400, body='{"code":-1013,"msg":"no"}', method="DELETE", count=2)
        with pytest.raises(errors.CancelIncomplete, match="2 of 4 orders may still be open") as caught:
            await exchange.cancel_all(SWAP)
        assert {order.id for order in caught.value.canceled} | set(caught.value.failed) == {one.id for one in placed}
        assert (len(caught.value.canceled), len(caught.value.failed)) == (2, 2)
        assert caught.value.venue == "binance"
        assert all(isinstance(error, errors.VenueError) for error in caught.value.failed.values())
        venue.faults.remove(broken)
        assert {order.id for order in await exchange.cancel_all(SWAP)} == set(caught.value.failed)


async def test_an_order_that_is_listed_and_not_found_is_not_said_to_have_ended(venue: SimulatedVenue) -> None:
    """The venue contradicts itself, or cannot be asked again: it may still be open."""
    body = '{"code":-2011,"msg":"Unknown order sent."}'
    async with _open(venue, retries=0) as exchange:
        (order,) = await _rest(exchange, 1, SWAP)
        denial = venue.faults.add("status", status=400, body=body, method="DELETE")
        with pytest.raises(errors.CancelIncomplete) as caught:
            await exchange.cancel_all(SWAP)
        assert isinstance(caught.value.failed[str(order.id)], errors.OrderNotFound)
        inner: Any = exchange._venue.orders
        listed, calls = inner.fetch_open_orders, []

        async def once(*asked: Any, **named: Any) -> list[tu.Order]:
            calls.append(asked)
            if len(calls) > 1:
                raise errors.VenueUnavailable("down")
            orders: list[tu.Order] = await listed(*asked, **named)
            return orders

        inner.fetch_open_orders = once
        with pytest.raises(errors.CancelIncomplete, match="down"):
            await exchange.cancel_all(SWAP)
        inner.fetch_open_orders = listed
        venue.faults.remove(denial)
        assert [one.id for one in await exchange.cancel_all(SWAP)] == [order.id]


async def test_an_order_without_an_id_is_not_cancelled_by_nothing(venue: SimulatedVenue) -> None:
    """An empty id would be the address of all orders on some venues."""
    async with _open(venue) as exchange:
        nameless = [tu.Order(symbol=SYMBOL), tu.Order(symbol="OLD/USDT", id="4711")]
        with pytest.raises(errors.CancelIncomplete, match="2 of 2") as caught:
            await cancel_each(exchange._venue.orders, [], nameless, exchange._patience, trigger=False)
    assert set(caught.value.failed) == {"", "4711"}
    assert not [record for record in venue.requests.last() if record.method == "DELETE" and "4711" not in str(record)]


async def test_cancels_do_not_wait_behind_data(venue: SimulatedVenue) -> None:
    """The list that they need is as urgent as they are."""
    charged: list[tuple[str, bool]] = []

    class Watching(LocalBudget):
        async def acquire(self, charge: Any, *, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # see Budget
            charged.append((charge.pool, charge.urgent))
            return await super().acquire(charge, timeout=timeout)

    async with tu.Exchange("binance", url=venue.url, account=ALICE, budget=Watching()) as exchange:
        await _rest(exchange, 1)
        charged.clear()
        await exchange.cancel_all(SYMBOL)
    assert charged
    assert all(urgent for _, urgent in charged)


async def test_a_cancelled_caller_leaves_no_task_behind(venue: SimulatedVenue) -> None:
    """Cancels under way end with who asked for them."""
    async with _open(venue) as exchange:
        await _rest(exchange, 3, SWAP)
        venue.faults.add("latency", seconds=0.4, method="DELETE")
        task = asyncio.create_task(exchange.cancel_all())
        while not any(  # noqa: ASYNC110  # it rings no bell
            record.method == "GET" and "openOrders" in record.path for record in venue.requests.last()
        ):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        before = len(asyncio.all_tasks())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) < before
