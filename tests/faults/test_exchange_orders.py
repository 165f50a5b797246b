"""Orders whose answers are lost: found by their id, sent again only when they cannot arrive any more."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget, Window
from tradeutils.exchange.ordering.client_ids import client_ids_of
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


def _open(venue: SimulatedVenue, *, timeout: float = 0.5, **options: Any) -> tu.Exchange:
    """Open the venue for Alice; orders that are held up are refused after half a second."""
    settings = tu.settings.ExchangeSettings(timeout=timeout)
    return tu.Exchange(
        "binance",
        url=venue.url,
        account=ALICE,
        budget=LocalBudget([Window("orders", 1000, 10, "account")]),
        options={"recvWindow": 500},
        settings=settings,
        **options,
    )


def _placed(venue: SimulatedVenue) -> list[str]:
    """Return the client ids of all orders on the venue."""
    orders = venue.ledger.orders(DEFAULT_ACCOUNT.key, venue.clock.now(), market="BTCUSDT")
    return [str(order.client_id) for order in orders]


async def _until_placed(venue: SimulatedVenue, count: int) -> None:
    while len(_placed(venue)) < count:  # noqa: ASYNC110  # the venue rings no bell
        await asyncio.sleep(0.01)


async def _buy(exchange: tu.Exchange, **more: Any) -> tu.Order:
    return await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE, **more)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("reset", {}),
        ("silence", {}),
        ("status", {"status": 503}),
        ("status", {"status": 504}),
        ("status", {"status": 500}),
        ("html", {"status": 502}),
        ("html", {"status": 200}),
        ("truncate", {}),
        ("status", {"status": 200, "body": "{}"}),
        ("status", {"status": 200, "body": ""}),
        ("status", {"status": 400, "body": '{"code":-1006,"msg":"UNEXPECTED_RESP"}'}),
        ("status", {"status": 408, "body": '{"code":-1007,"msg":"Send status unknown; execution status unknown."}'}),
        ("latency", {"seconds": 1.0}),
    ],
)
async def test_an_order_whose_answer_is_lost_is_found(venue: SimulatedVenue, kind: str, more: dict[str, Any]) -> None:
    """Taken by the venue, not told to us: looked up by its id, and sent once."""
    venue.faults.add(kind, after=True, method="POST", path=ORDER, count=1, **more)
    async with _open(venue) as exchange:
        order = await _buy(exchange)
        assert order.id is not None
        assert order.client_id == _placed(venue)[0]
    assert len(_placed(venue)) == 1
    posted = [record for record in venue.requests.last() if (record.method, record.path) == ("POST", ORDER)]
    assert len(posted) == 1


@pytest.mark.parametrize("kind", ["reset", "status"])
async def test_an_order_that_never_arrived_is_sent_again(venue: SimulatedVenue, kind: str) -> None:
    """Not found until the first request could not arrive any more; then sent with the same id."""
    venue.faults.add(kind, method="POST", path=ORDER, count=1)
    async with _open(venue) as exchange:
        order = await _buy(exchange, client_order_id="again-1")
    assert _placed(venue) == ["again-1"]
    assert order.client_id == "again-1"
    log = [record for record in venue.requests.last() if record.path == ORDER]
    posts = [record.received for record in log if record.method == "POST"]
    assert len(posts) == 2
    assert posts[1] - posts[0] > 2.0  # 0.5 s of recvWindow, and two in which a venue may deny what it took
    assert sum(record.method == "GET" for record in log) >= 3


async def test_looking_for_an_order_leaves_room_for_the_question_that_decides() -> None:
    """Kraken's counter holds fifteen questions, each look-up is two: the order is sent again in time all the same."""
    account = tu.Account(name="alice", exchange="kraken", credentials=ALICE.credentials)
    async with (
        SimulatedVenue("kraken", symbols=3, seed=3, skew=0, limits=Limits.none()) as kraken,
        tu.Exchange("kraken", url=kraken.url, account=account, budget=LocalBudget(), deadline=10) as exchange,
    ):
        orders: Any = exchange._venue.orders
        orders._ids = dataclasses.replace(orders._ids, lapse=0.1)
        kraken.faults.add("reset", method="POST", path="/0/private/AddOrder", count=1)
        order = await exchange.create_order(SYMBOL, "limit", "buy", AMOUNT, PRICE)
        assert order.id is not None
        asked = [record.path for record in kraken.requests.last() if record.path.startswith("/0/private/")]
    assert asked.count("/0/private/AddOrder") == 2
    assert asked.count("/0/private/OpenOrders") <= 5


async def test_an_order_that_is_shown_late_is_not_sent_again(venue: SimulatedVenue) -> None:
    """A venue that denies the order at first: it is asked until it shows it."""
    venue.faults.add("reset", after=True, method="POST", path=ORDER, count=1)
    venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path=ORDER, count=3)
    async with _open(venue) as exchange:
        order = await _buy(exchange)
    assert _placed(venue) == [order.client_id]


async def test_looking_up_goes_on_while_the_venue_is_down(venue: SimulatedVenue) -> None:
    """A look-up that fails says nothing, neither that the order is there nor that it is not."""
    venue.faults.add("reset", after=True, method="POST", path=ORDER, count=1)
    venue.faults.add("status", status=503, method="GET", path=ORDER, count=2)
    venue.faults.add("reset", method="GET", path=ORDER, count=2)
    async with _open(venue) as exchange:
        order = await _buy(exchange)
    assert _placed(venue) == [order.client_id]


async def test_what_cannot_be_found_out_is_an_error_that_carries_the_id(venue: SimulatedVenue) -> None:
    """Nothing is sent again, and the message says how to look the order up later, which then works."""
    venue.faults.add("silence", after=True, method="POST", path=ORDER, count=1)
    outage = venue.faults.add("status", status=503, method="GET", path=ORDER)
    async with _open(venue, deadline=0.6) as exchange:
        with pytest.raises(errors.OrderUnknown, match="fetch_order") as caught:
            await _buy(exchange)
        assert (caught.value.venue, caught.value.symbol) == ("binance", SYMBOL)
        assert caught.value.client_id in str(caught.value)
        assert isinstance(caught.value.__cause__, errors.VenueTimeout)
        venue.faults.remove(outage)
        found = await exchange.fetch_order(None, SYMBOL, client_order_id=caught.value.client_id)
    assert _placed(venue) == [found.client_id] == [caught.value.client_id]


async def test_an_absence_that_is_not_proven_in_time_is_unknown(venue: SimulatedVenue) -> None:
    """The deadline ends before the venue would refuse the first request: it is not sent again."""
    venue.faults.add("reset", method="POST", path=ORDER)
    async with _open(venue, deadline=0.5) as exchange:
        with pytest.raises(errors.OrderUnknown):
            await _buy(exchange)
    assert sum(fault["struck"] for fault in venue.faults.describe()) == 1


async def test_a_venue_that_may_not_be_asked_leaves_it_unknown(venue: SimulatedVenue) -> None:
    """A key that may trade and not read: the outcome is not known, and that is said."""
    venue.faults.add("reset", after=True, method="POST", path=ORDER, count=1)
    venue.faults.add("status", status=401, body='{"code":-2015,"msg":"no permission"}', method="GET", path=ORDER)
    async with _open(venue) as exchange:
        with pytest.raises(errors.OrderUnknown, match="no permission"):
            await _buy(exchange)
    assert len(_placed(venue)) == 1


async def test_a_twin_that_the_venue_refuses_is_the_order(venue: SimulatedVenue) -> None:
    """The venue denies the order for longer than it should: it refuses a second one of its id, and shows it then."""
    venue.faults.add("reset", after=True, method="POST", path=ORDER, count=1)
    denial = venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path=ORDER)
    async with _open(venue) as exchange:
        buying = asyncio.create_task(_buy(exchange))
        while sum(record.method == "POST" for record in venue.requests.last()) < 2:  # noqa: ASYNC110  # it rings no bell
            await asyncio.sleep(0.01)
        venue.faults.remove(denial)
        order = await buying
    assert _placed(venue) == [order.client_id]


async def test_a_twin_that_is_refused_and_never_shown_is_unknown(venue: SimulatedVenue) -> None:
    """The venue says both that the order is there and that it is not."""
    venue.faults.add("reset", after=True, method="POST", path=ORDER, count=1)
    venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path=ORDER)
    async with _open(venue, deadline=3.5) as exchange:
        with pytest.raises(errors.OrderUnknown, match="Duplicate"):
            await _buy(exchange)
    assert len(_placed(venue)) == 1


async def test_on_a_venue_whose_ids_nobody_checked_an_absence_proves_nothing(venue: SimulatedVenue) -> None:
    """An order that is found in the lists is found; one that is not may be there all the same."""
    async with _open(venue, deadline=0.5) as exchange:
        exchange._venue.orders._ids = client_ids_of("bitmex")  # type: ignore[attr-defined]
        venue.faults.add("reset", after=True, method="POST", path=ORDER, count=1)
        assert (await _buy(exchange)).id is not None
        venue.faults.add("reset", method="POST", path=ORDER, count=1)
        with pytest.raises(errors.OrderUnknown):
            await _buy(exchange)
        exchange._venue._ccxt.has = {}  # type: ignore[attr-defined]
        venue.faults.add("reset", method="POST", path=ORDER, count=1)
        with pytest.raises(errors.OrderUnknown, match="cannot be asked for orders"):
            await _buy(exchange)
    assert len(_placed(venue)) == 1


async def test_an_option_that_is_no_time_is_refused_before_the_order_leaves(venue: SimulatedVenue) -> None:
    """How long to look for the order must be known before it may be lost."""
    async with _open(venue) as exchange:
        with pytest.raises(errors.UsageError, match="recvWindow"):
            await _buy(exchange, params={"recvWindow": "soon"})
    assert not _placed(venue)


async def test_a_refusal_for_asking_too_much_is_sent_again_at_once(venue: SimulatedVenue) -> None:
    """A 429 is told before an order is read: no look-up, the same id."""
    venue.faults.add("status", status=429, method="POST", path=ORDER, count=2)
    async with _open(venue) as exchange:
        order = await _buy(exchange)
    assert _placed(venue) == [order.client_id]
    assert not [record for record in venue.requests.last() if (record.method, record.path) == ("GET", ORDER)]


async def test_a_code_that_nobody_knows_is_looked_up_and_not_repeated(venue: SimulatedVenue) -> None:
    """It may mean anything: the order is there, or the error is raised."""
    body = '{"code":-9876,"msg":"whatever"}'
    venue.faults.add("status", status=200, body=body, after=True, method="POST", path=ORDER, count=1)
    async with _open(venue) as exchange:
        assert (await _buy(exchange)).client_id == _placed(venue)[0]
        venue.faults.add("status", status=200, body=body, method="POST", path=ORDER, count=1)
        with pytest.raises(errors.RequestRefused, match="whatever"):
            await _buy(exchange)
    assert len(_placed(venue)) == 1


async def test_a_cancelled_caller_keeps_the_id(venue: SimulatedVenue, caplog: pytest.LogCaptureFixture) -> None:
    """The order is under way when its task is cancelled: the id is in the error's notes and in the log."""
    venue.faults.add("latency", seconds=0.3, after=True, method="POST", path=ORDER)
    async with _open(venue) as exchange:
        await exchange.fetch_balance()
        await exchange.load_markets()
        for client_id in ("known-1", None):
            task = asyncio.create_task(_buy(exchange, client_order_id=client_id))
            await _until_placed(venue, 1 + (client_id is None))
            task.cancel()
            with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError) as caught:
                await task
            notes = " ".join(caught.value.__notes__)
            assert _placed(venue)[-1] in notes
            assert _placed(venue)[-1] in caplog.text
            assert "fetch_order" in notes
        await exchange.fetch_order(None, SYMBOL, client_order_id="known-1")


async def test_a_caller_cancelled_while_the_order_is_looked_up_keeps_the_id(venue: SimulatedVenue) -> None:
    """The answer is lost already, and the venue denies the order."""
    venue.faults.add("reset", after=True, method="POST", path=ORDER, count=1)
    venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path=ORDER)
    async with _open(venue) as exchange:
        task = asyncio.create_task(_buy(exchange))
        await _until_placed(venue, 1)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert _placed(venue)[0] in " ".join(caught.value.__notes__)


async def test_a_cancelled_caller_of_an_order_that_did_not_leave_is_told_nothing(venue: SimulatedVenue) -> None:
    """It waited for the budget: there is no order to look for."""
    async with _open(venue) as exchange:
        await exchange.fetch_balance()
        await exchange.load_markets()
        budget = exchange._venue._connection._meter._budget  # type: ignore[attr-defined]
        for pool in await budget.usage():
            await budget.ban(pool.pool, 5.0, "told so")
        task = asyncio.create_task(_buy(exchange))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert not getattr(caught.value, "__notes__", None)
    assert not _placed(venue)


@pytest.mark.parametrize("kind", ["reset", "status", "silence", "html", "truncate"])
async def test_a_cancel_whose_answer_is_lost_is_no_error(venue: SimulatedVenue, kind: str) -> None:
    """The repeated cancel finds no open order, and the order says that it was cancelled."""
    async with _open(venue) as exchange:
        order = await _buy(exchange)
        venue.faults.add(kind, after=True, method="DELETE", path=ORDER, count=1)
        canceled = await exchange.cancel_order(str(order.id), SYMBOL)
        assert (canceled.id, canceled.status) == (order.id, "canceled")


async def test_a_cancel_that_came_too_late_says_so(venue: SimulatedVenue) -> None:
    """The order had been filled: a lost answer does not turn it into a cancelled one."""
    async with _open(venue) as exchange:
        filled = await exchange.create_order(SYMBOL, "market", "buy", AMOUNT)
        venue.faults.add("reset", after=True, method="DELETE", path=ORDER, count=1)
        with pytest.raises(errors.OrderNotFound):
            await exchange.cancel_order(str(filled.id), SYMBOL)
        gone = await _buy(exchange)
        await exchange.cancel_order(str(gone.id), SYMBOL)
        venue.faults.add("reset", after=True, method="DELETE", path=ORDER, count=1)
        venue.faults.add("status", status=401, body='{"code":-2014,"msg":"no"}', method="GET", path=ORDER)
        with pytest.raises(errors.OrderNotFound):
            await exchange.cancel_order(str(gone.id), SYMBOL)


async def test_a_hundred_orders_on_a_venue_that_loses_every_tenth_answer(venue: SimulatedVenue) -> None:
    """Exactly a hundred orders, none doubled, every outcome known; some answers are lost before the order is taken."""
    for kind, seed in (("reset", 1), ("truncate", 2), ("status", 3)):
        venue.faults.add(kind, after=True, method="POST", path=ORDER, probability=0.04, seed=seed)
    venue.faults.add("reset", method="POST", path=ORDER, probability=0.03, seed=4)
    venue.faults.add("status", method="GET", path=ORDER, probability=0.1, seed=5)
    async with _open(venue, timeout=5.0) as exchange:
        orders = await asyncio.gather(*(_buy(exchange) for _ in range(100)))
    struck = {(fault["kind"], fault["after"]): fault["struck"] for fault in venue.faults.describe()}
    assert sum(struck.values()) > 5
    assert struck["reset", False] > 0
    assert sorted(_placed(venue)) == sorted(str(order.client_id) for order in orders)
    assert len(_placed(venue)) == 100
