"""Charges that the tests of the budget ask for."""

from __future__ import annotations

from tradeutils.budget import Budget, Charge, Line, Window

POOL = "venue.spot"


def line(cost: float, limit: float = 10, seconds: float = 60, name: str = "weight") -> Line:
    """Return a charge of a window of the address."""
    return Line(Window(name, limit, seconds), cost, POOL)


def account_line(cost: float, owner: str, limit: float = 10, seconds: float = 10) -> Line:
    """Return a charge of a window of an account."""
    return Line(Window("orders", limit, seconds, "account"), cost, owner)


def charge(cost: float, limit: float = 10, seconds: float = 60) -> Charge:
    """Return what a request for data costs."""
    return Charge(POOL, (line(cost, limit, seconds),))


def order(cost: float, limit: float = 10, seconds: float = 60) -> Charge:
    """Return what an order costs."""
    return Charge(POOL, (line(cost, limit, seconds),), urgent=True, trading=True)


async def spend(budget: Budget, asked: Charge, timeout: float | None = 0) -> None:  # noqa: ASYNC109  # handed on
    """Send a request that is answered at once."""
    async with await budget.acquire(asked, timeout=timeout):
        pass
