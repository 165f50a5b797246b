"""How often in a second an account may ask each endpoint, by itself and in each category."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tradeutils.sim.limits import Gate
from tradeutils.sim.usage import UsageMeter, Window

__all__ = ["Allowance", "Rates"]

# Bybit's documentation of its rate limits, of a unified account: in spot, and in linear.
_PER_SECOND: Final = {
    "/v5/order/create": (20, 10),
    "/v5/order/cancel": (20, 10),
    "/v5/order/cancel-all": (20, 10),
    "/v5/order/realtime": (50, 50),
    "/v5/order/history": (50, 50),
    "/v5/execution/list": (50, 50),
    "/v5/position/list": (50, 50),
    "/v5/position/set-leverage": (10, 10),
    "/v5/account/wallet-balance": (50, 50),
    "/v5/account/fee-rate": (5, 10),
    "/v5/account/info": (50, 50),
    "/v5/user/query-api": (10, 10),
    "/v5/asset/coin/query-info": (5, 5),
    "/v5/asset/transfer/query-account-coins-balance": (5, 5),
}
_SECOND: Final = 1.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an account may ask an endpoint in a second, what is left of it, and the seconds until there is more."""

    limit: int
    left: int
    wait: float


class Rates:
    """
    Counts the calls of each account to each endpoint over the last second.

    Parameters
    ----------
    gate : Gate
        Whose limits say how much of the venue's own figures is allowed, and whose clock is read.
    """

    def __init__(self, gate: Gate) -> None:
        factor = gate.limits.endpoints
        self._meters = {
            (path, number): UsageMeter(
                Window("1s", max(1, math.floor(number * factor)), _SECOND), sliding=True, clock=lambda: gate.clock()
            )
            for path, numbers in _PER_SECOND.items()
            for number in numbers
        }

    def take(self, account: str, path: str, *, spot: bool) -> tuple[bool, Allowance]:
        """Count a call if there is room for it; tell whether there was, and what is left."""
        numbers = _PER_SECOND[path]
        meter = self._meters[path, numbers[0] if spot else numbers[1]]
        owner = f"{'spot' if spot else 'linear'} {account}"
        limit = meter.windows[0].limit
        full = meter.exceeded(owner, 1)
        if full is not None:
            return False, Allowance(limit, 0, full[1])
        used = meter.charge(owner)["1s"]
        return True, Allowance(limit, limit - used, 0.0)
