"""What one of many processes may spend by itself while nobody counts for all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from tradeutils.budget.base import RESERVE, Charge, Reading, Window
from tradeutils.budget.ledger import UNIT, Count, Key, Pool, key_of, units

__all__ = ["OwnPool"]

_KEPT_BACK: Final = 0.1  # for processes that start during the outage and can ask nobody how many there are
_UNKNOWN_SHARE: Final = 0.05  # what such a process takes for its share
# Of a window it takes more for orders. Too many for an account have one refused, and no address is banned for it; and
# one process trades an account as a rule, rarely two. With a twentieth of 50 orders in 10 s the third order waited for
# 10 s. Of an address's window they may have all that is kept back: few processes start to trade during an outage.
_UNKNOWN_ORDERS_SHARE: Final = {"account": 0.5, "ip": _KEPT_BACK}
_FRESH_SECONDS: Final = 2.5  # a total older than two heartbeats says nothing of what is left


class OwnPool(Pool):
    """
    What this process has spent of a pool, and what it may spend of it alone.

    Each of ``members`` takes its fraction of every window, less a tenth that is kept back for processes that have
    never met the others. In the first window after the loss that would be too much, for what was spent before need
    not have been spent in equal parts: until it has expired, a process replaces what expires of its own spending and
    takes its fraction of what was left.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.share = 1.0
        self._alone = False  # nobody has told how many there are
        self._ceilings: dict[Key, tuple[float, float]] = {}  # millionths, and until when they hold
        self._paid_until: dict[Key, float] = {}

    def fall_back(self, now: float, members: int, seen: Mapping[Key, tuple[int, float]]) -> None:
        """
        Begin to spend alone.

        Parameters
        ----------
        now : float
            Seconds, as in `Pool`.
        members : int
            How many processes share the pool; 0: not known.
        seen : mapping of key to (millionths, time)
            What all had spent of a window, and when that was read.
        """
        self.share = (1 - _KEPT_BACK) / members if members else _UNKNOWN_SHARE
        self._alone = not members
        self._ceilings, self._paid_until = {}, {}
        for key, count in self.counts.items():
            count.expire(now)
            spent, at = seen.get(key, (0, -math.inf))
            left = max(0.0, count.window.limit * UNIT - spent) if now - at < _FRESH_SECONDS else 0.0
            self._ceilings[key] = (count.total + left * self.share, now + count.keep)

    def spend(self, charge: Charge, now: float) -> None:
        """Count a charge that somebody else has granted."""
        for line in charge.lines:
            count = self.counts.get((line.owner, line.window.name, line.window.seconds)) or self.count(line)
            count.expire(now)
            count.add(now, units(line.cost))

    def learn(self, reading: Reading, now: float, age: float) -> None:
        """Take from the venue how much is left for all, and no more than our fraction of it until its window ends."""
        count = self.count(reading)
        count.expire(now)
        left = max(0.0, reading.window.limit - reading.used) * UNIT * self.share
        self._ceilings[key_of(reading)] = (count.total + left, now - age + count.keep)

    def ask(self, charge: Charge, now: float, ahead: Mapping[Key, int] | None = None) -> float:
        """Spend ``charge`` out of our fraction, or return the seconds until it fits."""
        wait = super().ask(charge, now, ahead)
        if not wait:
            for line in charge.lines:
                count, cost = self.count(line), units(line.cost)
                fraction = line.window.limit * UNIT * self._share_of(line.window, charge.urgent)
                if cost > fraction:
                    self._paid_until[key_of(line)] = now + count.keep * cost / fraction
        return wait

    def _share_of(self, window: Window, urgent: bool) -> float:
        return _UNKNOWN_ORDERS_SHARE[window.scope] if self._alone and urgent else self.share

    def _cap(self, count: Count, cost: int, limit: int, urgent: bool, now: float) -> int:
        key = (count.owner, count.window.name, count.window.seconds)
        cap = limit * self._share_of(count.window, urgent)
        if not urgent and self.trading_until > now:
            cap *= 1 - RESERVE
        ceiling, until = self._ceilings.get(key, (cap, now))
        if now < until and not urgent:
            return int(min(cap, ceiling))
        if cost > cap and not count.total and now >= self._paid_until.get(key, now):
            return cost  # dearer than our fraction: let through, and paid off by waiting longer than a window
        return int(cap)

    def _until(self, count: Count, now: float, over: int, cost: int) -> float:
        key = (count.owner, count.window.name, count.window.seconds)
        wait = count.wait(now, over)
        if cost > count.window.limit * UNIT * self.share:
            wait = max(wait, self._paid_until.get(key, now) - now)
        until = self._ceilings.get(key, (0.0, now))[1]
        if over > count.total and until > now:
            wait = max(wait, until - now)  # what is ours may expire and still leave no room
        return wait
