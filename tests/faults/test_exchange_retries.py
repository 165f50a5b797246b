"""Reads that fail on the way are made again, and pay again; what the venue refuses is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import tradeutils as tu
from tradeutils import errors
from tradeutils.budget import LocalBudget
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedVenue

TICKER = "/api/v3/ticker/24hr"


@pytest.fixture
async def venue() -> AsyncIterator[SimulatedVenue]:
    """Three generated symbols."""
    async with SimulatedVenue("binance", symbols=3, seed=3) as venue:
        yield venue


def _open(venue: SimulatedVenue, **options: Any) -> tu.Exchange:
    settings = tu.settings.ExchangeSettings(timeout=0.5)
    return tu.Exchange("binance", url=venue.url, settings=settings, **{"budget": LocalBudget(), **options})


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("status", {"status": 503}),
        ("status", {"status": 500}),
        ("html", {"status": 502}),
        ("html", {"status": 200}),
        ("truncate", {}),
        ("reset", {}),
        ("silence", {}),
        ("status", {"status": 429}),
    ],
)
async def test_a_read_that_failed_on_the_way_is_made_again_and_pays_again(
    venue: SimulatedVenue, kind: str, more: dict[str, Any]
) -> None:
    """Twice it fails; what the venue counted is what was paid."""
    venue.faults.add(kind, after=True, path=TICKER, count=2, **more)
    budget = LocalBudget()
    async with _open(venue, budget=budget) as exchange:
        assert len(await exchange.fetch_tickers()) == 3
        assert venue.requests.paths[TICKER] == 3
        spent = sum(
            window.used for pool in await budget.usage() for window in pool.windows if window.window.name == "weight"
        )
    assert spent == venue.requests.weight


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, errors.RequestRefused), (403, errors.PermissionDenied), (404, errors.RequestRefused)],
)
async def test_a_refusal_is_not_made_again(venue: SimulatedVenue, status: int, expected: type[Exception]) -> None:
    """ccxt calls these unavailable; the same request would be refused again."""
    venue.faults.add("status", status=status, body="no", after=True, path=TICKER)
    async with _open(venue) as exchange:
        with pytest.raises(expected):
            await exchange.fetch_tickers()
    assert venue.requests.paths[TICKER] == 1


async def test_the_retries_end(venue: SimulatedVenue) -> None:
    """One attempt and as many more as were asked for."""
    venue.faults.add("status", status=503, after=True, path=TICKER)
    async with _open(venue, retries=1) as exchange:
        with pytest.raises(errors.VenueUnavailable):
            await exchange.fetch_tickers()
    assert venue.requests.paths[TICKER] == 2


async def test_an_exchange_closed_while_it_is_asked_ends_its_calls(venue: SimulatedVenue) -> None:
    """Neither hangs, and what was not sent is given back before the budget is left."""
    budget = LocalBudget()
    venue.faults.add("latency", seconds=0.4, path=TICKER)
    exchange = _open(venue, budget=budget)
    await exchange.load_markets()
    asked = [asyncio.create_task(exchange._venue.fetch_tickers(None)) for _ in range(3)]
    await asyncio.sleep(0.1)
    await exchange.aclose()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(one) for one in found} <= {errors.Closed, errors.VenueUnavailable}
    assert all(pool.waiters == 0 for pool in await budget.usage())


async def test_an_account_is_asked_again_too(venue: SimulatedVenue) -> None:
    """Signed reads are repeated with a new signature."""
    account = tu.Account(
        name="alice",
        exchange="binance",
        credentials=tu.Credentials(key=DEFAULT_ACCOUNT.key, secret=DEFAULT_ACCOUNT.secret),
    )
    venue.faults.add("reset", after=True, path="/api/v3/account", count=1)
    async with _open(venue, account=account) as exchange:
        assert (await exchange.fetch_balance())["USDT"].total == 10_000


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"retries": None}, {"deadline": 0}, {"deadline": "soon"}])
def test_figures_that_cannot_be_are_refused_at_once(wrong: dict[str, Any]) -> None:
    """Before anything is opened."""
    with pytest.raises(errors.UsageError, match="write"):
        tu.Exchange("binance", **wrong)
