"""Orders whose callers gave up, called twice, or were told something that is not about the order."""

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
from tradeutils.budget.base import Charge, Grant
from tradeutils.exchange.ordering.client_ids import client_ids_of
from tradeutils.exchange.ordering.doubts import Doubts, Unsettled
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue
from tradeutils.sim.limits import Limits

ALICE = tu.Account(
    name="alice",
    exchange="binance",
    credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
)
SYMBOL = "BTC/USDT"
AMOUNT, PRICE = Decimal("0.001"), Decimal(20_000)
ORDER = "/api/v3/order"
NOT_THERE = '{"code":-2013,"msg":"Order does not exist."}'


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """A venue whose clock runs with ours, and which limits nobody."""
    async with SimulatedVenue("binance", symbols=3, seed=3, skew=0, limits=Limits.none()) as venue:
        yield venue


@pytest.fixture
async def exchange(venue: SimulatedVenue) -> AsyncIterator[tu.Exchange]:
    """The venue as Alice sees it, markets and time known; orders that are held up for a second are refused."""
    budget = LocalBudget([Window("orders", 1000, 10, "account")])
    async with tu.Exchange(
        "binance", url=venue.url, account=ALICE, budget=budget, options={"recvWindow": 1000}
    ) as exchange:
        await exchange.load_markets()
        await exchange.fetch_balance()
        yield exchange


def _placed(venue: SimulatedVenue) -> list[str]:
    orders = venue.ledger.orders(DEFAULT_ACCOUNT.key, venue.clock.now(), market="BTCUSDT")
    return [str(order.client_id) for order in orders]


def _posted(venue: SimulatedVenue) -> int:
    return sum((record.method, record.path) == ("POST", ORDER) for record in venue.requests.last())


async def _at_once(exchange: tu.Exchange, client_id: str) -> tu.Order:
    """Buy at the market: the order is filled, and the venue would take another of its id."""
    return await exchange.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id=client_id)


async def test_a_caller_who_gave_up_and_calls_again_gets_the_order_under_way(
    venue: SimulatedVenue, exchange: tu.Exchange
) -> None:
    """The venue does not show the first order yet when it is asked: it is waited for, not doubled."""
    venue.faults.add("latency", seconds=1, after=True, method="POST", path=ORDER, count=1)
    venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path=ORDER, count=3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_at_once(exchange, "once-1"), 0.3)
    assert (await _at_once(exchange, "once-1")).status == "closed"
    assert _placed(venue) == ["once-1"]


async def test_a_caller_who_gave_up_an_order_that_never_arrived_places_it(
    venue: SimulatedVenue, exchange: tu.Exchange
) -> None:
    """Once the first request can arrive no more, the second is sent."""
    venue.faults.add("silence", seconds=5, method="POST", path=ORDER, count=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_at_once(exchange, "once-2"), 0.1)
    await _at_once(exchange, "once-2")
    assert _placed(venue) == ["once-2"]


async def test_two_callers_at_once_with_one_id_place_one_order(venue: SimulatedVenue, exchange: tu.Exchange) -> None:
    """Both would be told that there is none yet."""
    orders = await asyncio.gather(*(_at_once(exchange, "once-3") for _ in range(5)))
    assert len({order.id for order in orders}) == 1
    assert _placed(venue) == ["once-3"]


async def test_the_id_of_an_unknown_outcome_can_be_called_with_again(venue: SimulatedVenue) -> None:
    """What is not shown yet is waited for then, however soon the second call comes."""
    venue.faults.add("silence", after=True, method="POST", path=ORDER, count=1)
    outage = venue.faults.add("status", status=503, method="GET", path=ORDER)
    settings = tu.settings.ExchangeSettings(timeout=0.3)
    async with tu.Exchange(
        "binance", url=venue.url, account=ALICE, budget=LocalBudget(), settings=settings, deadline=1.5
    ) as exchange:
        with pytest.raises(errors.OrderUnknown) as caught:
            await exchange.create_order(SYMBOL, "market", "buy", AMOUNT)
        venue.faults.remove(outage)
        venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path=ORDER, count=2)
        assert (await _at_once(exchange, caught.value.client_id)).status == "closed"
    assert _placed(venue) == [caught.value.client_id]


async def test_a_second_order_without_funds_may_be_the_fault_of_the_first(
    venue: SimulatedVenue, exchange: tu.Exchange
) -> None:
    """Denied for longer than it should, the first one holds the funds: it is found, not reported as refused."""
    venue.faults.add("reset", after=True, method="POST", path=ORDER, count=1)
    denial = venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path=ORDER)
    body = '{"code":-2010,"msg":"Account has insufficient balance for requested action."}'
    buying = asyncio.create_task(exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE))
    while not _posted(venue):  # noqa: ASYNC110  # the venue rings no bell
        await asyncio.sleep(0.01)
    venue.faults.add("status", status=400, body=body, method="POST", path=ORDER, count=1)
    while _posted(venue) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    venue.faults.remove(denial)
    assert [(await buying).client_id] == _placed(venue)


async def test_what_is_refused_after_the_order_was_taken_is_no_refusal_of_it(
    venue: SimulatedVenue, exchange: tu.Exchange
) -> None:
    """Some classes of ccxt ask for the order they placed; a no to that says nothing about the order."""
    inner = exchange._venue._ccxt  # type: ignore[attr-defined]
    place = inner.create_order

    async def place_and_ask(*asked: Any) -> Any:
        await place(*asked)
        return await inner.fetch_order("4711", SYMBOL)

    inner.create_order = place_and_ask
    order = await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
    assert _placed(venue) == [order.client_id]


async def test_an_order_that_went_elsewhere_than_its_questions_is_not_sent_again(
    venue: SimulatedVenue, exchange: tu.Exchange
) -> None:
    """Orders with a trigger stand in lists of their own on most venues: that one is not found proves nothing."""
    orders: Any = exchange._venue.orders
    orders._ids = dataclasses.replace(orders._ids, places=("fapiPrivate algoOrder",), lapse=0.1)
    venue.faults.add("reset", method="POST", path=ORDER)
    with pytest.raises(errors.OrderUnknown):
        await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
    assert sum(fault["struck"] for fault in venue.faults.describe()) == 1


async def test_an_order_waits_for_room_no_longer_than_its_deadline_in_all(venue: SimulatedVenue) -> None:
    """Each attempt waits for what the ones before it left: an order does not leave after several deadlines."""
    waits: list[float] = []

    class Asked(LocalBudget):
        async def acquire(self, charge: Charge, *, timeout: float | None = None) -> Grant:  # noqa: ASYNC109  # see Budget
            if any(line.window.name == "orders" for line in charge.lines):
                waits.append(timeout or 0.0)
            return await super().acquire(charge, timeout=timeout)

    venue.faults.add("status", status=429, method="POST", path=ORDER, count=2)
    async with tu.Exchange("binance", url=venue.url, account=ALICE, budget=Asked(), deadline=20) as exchange:
        await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
    first, second, third = waits
    assert 20 >= first > second + 0.9 > third + 1.8


@pytest.mark.parametrize(("kind", "params", "proven"), [
    ("limit", {}, True),
    ("limit", {"timeInForce": "IOC"}, True),
    ("limit", {"triggerPrice": "1"}, False),
    ("stop", {}, False),
])  # fmt: skip
def test_only_plain_orders_are_proven_not_to_be_there(kind: str, params: dict[str, Any], proven: bool) -> None:
    """Bybit takes both at one endpoint, and lists them apart; Binance's spot lists them together."""
    assert client_ids_of("bybit").proves("private v5/order/create", kind, params) is proven
    assert client_ids_of("binance").proves("private order", kind, params)
    assert not client_ids_of("binance").proves("sapi margin/order", kind, params)


def test_old_doubts_are_forgotten() -> None:
    """A bot that runs for months keeps no list of them."""
    doubts = Doubts()
    doubts.add("old", Unsettled(errors.VenueTimeout("gone"), left=-1e9))
    doubts.add("new", Unsettled(errors.VenueTimeout("gone"), left=1e12))
    assert doubts.get("old") is None
    assert doubts.get("new") is not None
