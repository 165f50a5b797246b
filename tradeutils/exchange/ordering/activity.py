"""
What this process did to an account, and saw happen to its orders.

Who keeps what the account holds is told when to ask anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterator
from decimal import Decimal
from typing import Final

from tradeutils import logs
from tradeutils.model import Order

__all__ = ["Activity"]

_log = logs.get_logger("exchange")

_KEPT: Final = 10_000  # open orders that are remembered; venues allow some hundreds
_ENDED: Final = ("closed", "canceled", "expired", "rejected")


class Activity:
    """The open orders of one account that were placed or seen here, and who wants to know when it changes."""

    def __init__(self) -> None:
        self._filled: dict[tuple[str, str], Decimal | None] = {}  # by market and id of an open order, how much of it
        self._waiting: set[tuple[str, str]] = set()  # those of them that wait for a price: venues list them apart
        self._callbacks: dict[object, Callable[[], object]] = {}
        self.changes = 0  # that were told

    @property
    def has_open_orders(self) -> bool:
        """Whether an order that was placed or seen here is open, as far as is known."""
        return bool(self._filled)

    def subscribe(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call ``callback`` at each change from now on; return what ends that."""
        mark = object()
        self._callbacks[mark] = callback

        def leave() -> None:
            self._callbacks.pop(mark, None)

        return leave

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Tell of a change at the end of a block, however it ends: a request whose answer is lost may have worked."""
        try:
            yield
        finally:
            self._tell()

    def saw(self, order: Order) -> Order:
        """Take note of an order as the venue tells it, and return it."""
        self.saw_all([order])
        return order

    def saw_all(self, orders: list[Order]) -> list[Order]:
        """Take note of orders, and return them; what was filled or ended since they were last seen is a change."""
        changed = [self._note(order) for order in orders]
        if any(changed):
            self._tell()
        return orders

    def known(self) -> frozenset[tuple[str, str]]:
        """Return the open orders that a list of all would have, by market and id."""
        return frozenset(self._filled.keys() - self._waiting)

    def listed(self, orders: list[Order], markets: Container[str], before: frozenset[tuple[str, str]]) -> list[Order]:
        """
        Take note of all open orders of some markets, and return them.

        What was known ``before`` the list was asked for and is not in it was filled, or cancelled elsewhere.
        """
        there = {(order.symbol, order.id) for order in orders}
        gone = [which for which in before if which[0] in markets and which not in there and which in self._filled]
        for symbol, number in gone:
            self.ended(symbol, number)
        changed = [self._note(order) for order in orders]
        if gone or any(changed):
            self._tell()
        return orders

    def ended(self, symbol: str, number: str | None) -> None:
        """Take note of an order that is no longer open."""
        self._filled.pop((symbol, number or ""), None)
        self._waiting.discard((symbol, number or ""))

    def _note(self, order: Order) -> bool:
        if order.id is None:
            return False
        which = (order.symbol, order.id)
        known = which in self._filled
        before = self._filled.get(which)
        self.ended(*which)
        if order.status in _ENDED:
            return known
        self._filled[which] = order.filled
        if order.stop_price is not None:
            self._waiting.add(which)
        if len(self._filled) > _KEPT:
            self.ended(*next(iter(self._filled)))
        return known and order.filled != before

    def _tell(self) -> None:
        self.changes += 1
        for callback in list(self._callbacks.values()):
            try:
                callback()
            except Exception:  # noqa: BLE001  # of whoever listens; the order stands all the same
                _log.exception("a function that was told of a change of an account failed")
