"""How much a venue lets us ask: one budget for this process, or for every process behind an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradeutils.budget.base import (
    Budget,
    Charge,
    Grant,
    Line,
    PoolUsage,
    Reading,
    Window,
    WindowUsage,
)
from tradeutils.budget.choice import default_budget
from tradeutils.budget.local import LocalBudget

if TYPE_CHECKING:
    from tradeutils.budget.shared import RedisBudget

__all__ = [
    "Budget",
    "Charge",
    "Grant",
    "Line",
    "LocalBudget",
    "PoolUsage",
    "Reading",
    "RedisBudget",
    "Window",
    "WindowUsage",
    "default_budget",
]


def __getattr__(name: str) -> Any:
    if name == "RedisBudget":  # hiredis and TLS are only for those who share a budget
        from tradeutils.budget.shared import RedisBudget

        return RedisBudget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
