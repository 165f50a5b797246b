"""Orders of one id from several processes: one is placed, whatever becomes of who began it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

import tradeutils as tu
from tests.servers import ValkeyServer
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue
from tradeutils.sim.limits import Limits

SYMBOL, SWAP = "BTC/USDT", "BTC/USDT:USDT"
AMOUNT = Decimal("0.001")
ORDER = "/api/v3/order"
NOT_THERE = '{"code":-2013,"msg":"Order does not exist."}'


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """A venue whose clock runs with ours, and which limits nobody."""
    async with SimulatedVenue("binance", symbols=3, seed=3, skew=0, limits=Limits.none()) as venue:
        yield venue


@contextlib.asynccontextmanager
async def _process(venue: SimulatedVenue, server: str, name: str = "binance", **options: Any) -> AsyncIterator[Any]:
    """What one process has: an exchange with a cache of its own on the server that all share."""
    account = tu.Account(
        name="alice",
        exchange=name,
        credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
    )
    async with (
        tu.Cache(server) as cache,
        tu.Exchange(name, url=venue.url, account=account, cache=cache, budget=LocalBudget(), **options) as exchange,
    ):
        await exchange.load_markets()
        await exchange.fetch_balance()
        yield exchange


def _placed(venue: SimulatedVenue) -> list[str]:
    return [str(order.client_id) for order in venue.ledger.orders(DEFAULT_ACCOUNT.key, venue.clock.now())]


@pytest.mark.parametrize("name", ["binance", "kraken"])
async def test_two_processes_at_once_with_one_id_place_one_order(name: str, valkey: ValkeyServer) -> None:
    """A filled order's id is free again there: by amount and by cost, both would be filled."""
    async with (
        SimulatedVenue(name, symbols=3, seed=3, skew=0, limits=Limits.none()) as venue,
        _process(venue, valkey.url, name) as one,
        _process(venue, valkey.url, name) as other,
    ):
        for client_id, terms in (("amount-1", {"amount": AMOUNT}), ("cost-1", {"cost": Decimal(100)})):
            asked: dict[str, Any] = {**terms, "client_order_id": client_id}
            orders = await asyncio.gather(
                *(each.create_order(SYMBOL, "market", "buy", **asked) for each in (one, other))
            )
            assert len({order.id for order in orders}) == 1
        assert _placed(venue) == ["amount-1", "cost-1"]


async def test_an_order_of_a_process_that_ended_is_waited_for(venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """The venue does not show it yet when the next process asks."""
    venue.faults.add("latency", seconds=1, after=True, method="POST", path=ORDER, count=1)
    async with _process(venue, valkey.url) as one, _process(venue, valkey.url) as other:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="once-1"), 0.3)
        assert _placed(venue) == ["once-1"]
        venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path=ORDER, count=2)
        order = await other.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="once-1")
        assert order.status == "closed"
    assert _placed(venue) == ["once-1"]


async def test_a_process_that_holds_on_leaves_the_outcome_unknown(venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """Nothing is sent beside it, and the id is in the error."""
    venue.faults.add("silence", seconds=3, method="POST", path=ORDER, count=1)
    async with _process(venue, valkey.url) as one, _process(venue, valkey.url, deadline=0.3) as other:
        first = asyncio.create_task(one.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="once-2"))
        while not any(fault["struck"] for fault in venue.faults.describe()):  # noqa: ASYNC110  # it rings no bell
            await asyncio.sleep(0.01)
        with pytest.raises(errors.OrderUnknown, match="another process is placing") as caught:
            await other.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="once-2")
        assert caught.value.client_id == "once-2"
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert _placed(venue) == []


async def test_a_stop_loss_that_another_process_began_is_not_placed_twice(
    venue: SimulatedVenue, valkey: ValkeyServer
) -> None:
    """Both get the one order that waits; one that may have been triggered and is not found is unknown."""
    async with _process(venue, valkey.url) as one, _process(venue, valkey.url, deadline=0.5) as other:
        last = Decimal(repr((await one.fetch_ticker(SWAP)).last))
        price = (await one.load_markets())[SWAP].round_price(last * Decimal("0.8"), "down")
        asked: dict[str, Any] = {"stop_loss_price": price, "client_order_id": "stop-1"}
        first, second = await asyncio.gather(
            *(each.create_order(SWAP, "market", "sell", AMOUNT, **asked) for each in (one, other))
        )
        assert first.id == second.id
        venue.faults.add("status", status=400, body=NOT_THERE, method="GET", path="/fapi/*")
        with pytest.raises(errors.OrderUnknown):
            await other.create_order(SWAP, "market", "sell", AMOUNT, **asked)
    assert _placed(venue) == ["stop-1"]


async def test_what_was_refused_can_be_called_with_again_at_once(venue: SimulatedVenue, valkey: ValkeyServer) -> None:
    """A no leaves no doubt: one question, and the order."""
    body = '{"code":-2010,"msg":"Account has insufficient balance for requested action."}'
    venue.faults.add("status", status=400, body=body, method="POST", path=ORDER, count=1)
    async with _process(venue, valkey.url) as exchange:
        with pytest.raises(errors.InsufficientFunds):
            await exchange.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="twice-1")
        await exchange.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="twice-1")
        asked = [record for record in venue.requests.last() if (record.method, record.path) == ("GET", ORDER)]
        assert len(asked) == 2
        with pytest.raises(errors.DuplicateOrder):
            await exchange.create_order(SYMBOL, "market", "buy", 2 * AMOUNT, client_order_id="twice-1")
    assert _placed(venue) == ["twice-1"]


async def test_an_outage_of_the_cache_stops_no_order(
    venue: SimulatedVenue, own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Processes then know nothing of each other, and the log says so."""
    async with _process(venue, own_valkey.url) as exchange:
        own_valkey.kill()
        with caplog.at_level(logging.WARNING):
            order = await exchange.create_order(SYMBOL, "market", "buy", AMOUNT, client_order_id="alone-1")
    assert order.status == "closed"
    assert "other processes are not told of order alone-1" in caplog.text
    assert _placed(venue) == ["alone-1"]
