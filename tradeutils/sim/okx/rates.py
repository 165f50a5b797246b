"""How often in two seconds each endpoint may be asked, by an address or an account, for an instrument or for all."""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from tradeutils.sim.limits import Gate
from tradeutils.sim.okx.fields import Fields
from tradeutils.sim.okx.names import KINDS, Names
from tradeutils.sim.usage import UsageMeter, Window

__all__ = ["Rates"]

Key: TypeAlias = Literal["", "instId", "instType"]
"""What calls of one caller are told apart by."""

_SECONDS: Final = 2.0
# OKX's documentation of each endpoint: requests, of the batches orders, and what is counted apart.
_ALLOWED: Final[Mapping[str, tuple[int, Key]]] = {
    "GET public/time": (10, ""),
    "GET public/instruments": (20, "instType"),
    "GET public/funding-rate": (10, "instId"),
    "GET public/funding-rate-history": (10, "instId"),
    "GET public/open-interest": (20, "instId"),
    "GET public/mark-price": (10, "instId"),
    "GET market/ticker": (20, ""),
    "GET market/tickers": (20, ""),
    "GET market/index-tickers": (20, ""),
    "GET market/books": (40, ""),
    "GET market/books-full": (10, ""),
    "GET market/trades": (100, ""),
    "GET market/history-trades": (20, ""),
    "GET market/candles": (40, ""),
    "GET market/history-candles": (20, ""),
    "GET market/mark-price-candles": (20, ""),
    "GET market/history-mark-price-candles": (20, ""),
    "GET market/index-candles": (20, ""),
    "GET market/history-index-candles": (10, ""),
    "GET rubik/stat/contracts/open-interest-history": (10, "instId"),
    "GET account/balance": (10, ""),
    "GET account/config": (5, ""),
    "GET account/trade-fee": (5, ""),
    "GET account/positions": (10, ""),
    "GET account/leverage-info": (20, ""),
    "POST account/set-leverage": (20, ""),
    "GET asset/currencies": (12, ""),
    "GET asset/balances": (12, ""),
    "GET trade/order": (60, "instId"),
    "GET trade/orders-pending": (60, ""),
    "GET trade/orders-history": (40, ""),
    "GET trade/orders-history-archive": (20, ""),
    "GET trade/fills": (60, ""),
    "GET trade/fills-history": (10, ""),
    "GET trade/order-algo": (20, ""),
    "GET trade/orders-algo-pending": (20, ""),
    "GET trade/orders-algo-history": (20, ""),
    "POST trade/order": (60, "instId"),
    "POST trade/batch-orders": (300, "instId"),
    "POST trade/cancel-order": (60, "instId"),
    "POST trade/cancel-batch-orders": (300, "instId"),
    "POST trade/order-algo": (20, "instId"),
    "POST trade/cancel-algos": (20, "instId"),
}
# A batch of one order is counted as that order.
_SINGLE: Final = {
    "POST trade/batch-orders": "POST trade/order",
    "POST trade/cancel-batch-orders": "POST trade/cancel-order",
}


class Rates:
    """
    Counts the calls of each caller to each endpoint over the last two seconds.

    Parameters
    ----------
    gate : Gate
        Whose limits say how much of the venue's own figures is allowed, and whose clock is read.
    names : Names
        The markets: calls that name none of them are counted together.
    """

    def __init__(self, gate: Gate, names: Names) -> None:
        self._names = names
        self._meters = {
            endpoint: UsageMeter(
                Window("2s", max(1, math.floor(number * gate.limits.endpoints)), _SECONDS),
                sliding=True,
                clock=lambda: gate.clock(),
            )
            for endpoint, (number, _) in _ALLOWED.items()
        }

    def take(self, endpoint: str, caller: str, items: Sequence[Fields]) -> bool:
        """Count a call, which is about each of some items, if there is room for all of it; tell whether there was."""
        if len(items) == 1:
            endpoint = _SINGLE.get(endpoint, endpoint)
        meter, key = self._meters[endpoint], _ALLOWED[endpoint][1]
        counts = collections.Counter(f"{caller} {self._about(key, one)}" for one in items)
        if any(meter.exceeded(owner, number) is not None for owner, number in counts.items()):
            return False
        for owner, number in counts.items():
            meter.charge(owner, number)
        return True

    def _about(self, key: Key, fields: Fields) -> str:
        """Return what a call is counted by; names that there are not are counted together."""
        value = (fields.text(key) if key else None) or ""
        known = value in KINDS if key == "instType" else self._names.known(value) is not None
        return value if known else ""
