"""Counting what was spent in sliding windows; no waiting, no I/O, and the time is an argument."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from tradeutils.budget.base import RESERVE, RESERVE_SECONDS, Charge, Line, Reading, WindowUsage, margin
from tradeutils.budget.refusals import too_much

__all__ = ["BUCKETS", "UNIT", "Count", "Key", "Pool", "calendar_age", "key_of", "sums", "told_units", "units"]

UNIT: Final = 1_000_000
"""Costs and limits are counted in whole millionths: sums of floats drift, and a budget is spent to its last unit."""

BUCKETS: Final = 240
"""Parts of a window that are counted apart; a charge is kept for up to one part too long, 0.2 % on average."""

_EDGE_SECONDS: Final = 0.5  # a reading this soon after the start of a calendar window may speak of the one before
_EDGE_SHARE: Final = 0.1
_SOON: Final = 0.001

Key: TypeAlias = tuple[str, str, float]
"""Owner, unit and seconds: what is counted together. The limit is not in it: users may set their own."""


def key_of(line: Line | Reading) -> Key:
    """Return under what the window of ``line`` is counted."""
    return line.owner, line.window.name, line.window.seconds


def units(cost: float) -> int:
    """Return a cost in millionths, rounded up; 0.1 is 100 000 although its binary form is a little more."""
    return math.ceil(cost * UNIT - 1e-3)


def told_units(reading: Reading) -> int:
    """Return what the venue has counted, at most the whole window: more would be no different, and may be nonsense."""
    return units(min(reading.used, reading.window.limit))


def calendar_age(reading: Reading, now: float) -> float:
    """
    Return the seconds since the reading's window began, or -1.0 where the reading must be left alone.

    ``now``: seconds since the epoch. A fixed window is placed at its start, so that it expires with the venue's; a
    sliding one counts from now on. Left alone is what is too old, and what may still speak of the window before.
    """
    seconds = reading.window.seconds
    if not 0 <= now - reading.at < seconds or not 0 <= reading.used < math.inf:
        return -1.0
    if reading.span == "sliding":
        return 0.0
    start = math.floor(reading.at / seconds) * seconds
    return -1.0 if now >= start + seconds or reading.at - start < _edge(seconds) else now - start


def _edge(seconds: float) -> float:
    return min(_EDGE_SECONDS, _EDGE_SHARE * seconds)


class Count:
    """
    What was spent of one window.

    Parameters
    ----------
    line : Line or Reading
        Names the window and its owner.
    """

    __slots__ = ("_parts", "keep", "owner", "step", "total", "window")

    def __init__(self, line: Line | Reading) -> None:
        self.window = line.window
        self.owner = line.owner
        self.keep = line.window.seconds + margin(line.window)
        self.step = line.window.seconds / BUCKETS
        self.total = 0  # millionths
        self._parts: deque[list[float]] = deque()  # [when its part of the window ends, millionths], by time

    def expire(self, now: float) -> None:
        """Forget what no longer counts."""
        parts = self._parts
        while parts and parts[0][0] + self.keep <= now:
            self.total -= int(parts.popleft()[1])

    def add(self, at: float, amount: int) -> None:
        """Count ``amount`` as spent at ``at``."""
        parts, end = self._parts, self.end_of(at)
        self.total += amount
        if not parts or parts[-1][0] < end:
            parts.append([end, amount])
        elif parts[-1][0] == end:
            parts[-1][1] += amount
        else:
            place = next(i for i, part in enumerate(parts) if part[0] >= end)
            if parts[place][0] == end:
                parts[place][1] += amount
            else:
                parts.insert(place, [end, amount])

    def remove(self, at: float, amount: int) -> None:
        """Take back what was counted at ``at``; what has expired is no longer there to be taken."""
        end = self.end_of(at)
        for part in reversed(self._parts):
            if part[0] <= end:
                if part[0] == end:
                    taken = min(amount, int(part[1]))
                    part[1] -= taken
                    self.total -= taken
                return

    def wait(self, now: float, need: int) -> float:
        """Return the seconds until ``need`` of what is counted has expired; all of it, where that is less."""
        ends = now
        for end, amount in self._parts:
            need -= int(amount)
            ends = end + self.keep
            if need <= 0:
                break
        return max(ends - now, _SOON)

    def recent(self) -> list[tuple[float, int]]:
        """Return when parts of the window end and what was spent in them, oldest first."""
        return [(end, int(amount)) for end, amount in self._parts if amount]

    def end_of(self, at: float) -> float:
        """Return when the part of the window that ``at`` lies in ends."""
        return (at // self.step + 1) * self.step


_Part: TypeAlias = tuple[Count, int, int]
"""A window that is charged: its count, the cost, and up to what it may be filled."""


class Pool:
    """
    The windows of one pool and its ban gate.

    Parameters
    ----------
    name : str
        ``"binance.spot"``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.banned_until = -math.inf
        self.ban_reason = ""
        self.trading_until = -math.inf
        self.counts: dict[Key, Count] = {}

    def ask(self, charge: Charge, now: float, ahead: Mapping[Key, int] | None = None) -> float:
        """
        Spend ``charge`` and return 0.0, or spend nothing and return the seconds until it will fit.

        ``ahead``: what is to be left for those who go first.
        """
        if charge.trading:
            self.trading_until = now + RESERVE_SECONDS
        parts = self._parts(charge, now)
        if self.banned_until > now:
            return self.banned_until - now
        wait = 0.0
        for count, cost, cap in parts:
            over = count.total + cost - cap
            if ahead:
                over += ahead.get((count.owner, count.window.name, count.window.seconds), 0)
            if over > 0 and cost:
                wait = max(wait, self._until(count, now, over, cost))
        if wait:
            return wait
        for count, cost, _ in parts:
            count.add(now, cost)
        return 0.0

    def _parts(self, charge: Charge, now: float) -> list[_Part]:
        parts = []
        for line in charge.lines:
            count = self.counts.get((line.owner, line.window.name, line.window.seconds)) or self.count(line)
            count.expire(now)
            cost, limit = units(line.cost), int(line.window.limit * UNIT)
            if cost > limit:
                raise too_much(line)
            parts.append((count, cost, self._cap(count, cost, limit, charge.urgent, now)))
        return parts

    def _cap(self, count: Count, cost: int, limit: int, urgent: bool, now: float) -> int:
        """Return up to what a charge may fill a window."""
        if urgent or self.trading_until <= now:
            return limit
        # A request that takes more than the reserve leaves still goes, into an empty window.
        return max(int(limit * (1 - RESERVE)), cost)

    def _until(self, count: Count, now: float, over: int, cost: int) -> float:
        """Return the seconds until ``over`` less is spent of a window."""
        return count.wait(now, over)

    def count(self, line: Line | Reading) -> Count:
        """Return the count of the window of ``line``, a new one where there is none."""
        count = self.counts.get(key_of(line))
        if count is None:
            count = self.counts[key_of(line)] = Count(line)
        count.window = line.window  # another limit may have been set
        return count

    def give_back(self, charge: Charge, at: float) -> None:
        """Undo a charge that was granted at ``at``."""
        for line in charge.lines:
            self.count(line).remove(at, units(line.cost))

    def carry(self, charge: Charge, at: float, now: float) -> None:
        """Count a charge that was granted at ``at`` as spent now: its request may have arrived as late as that."""
        for line in charge.lines:
            count, cost = self.count(line), units(line.cost)
            count.expire(now)
            count.remove(at, cost)
            count.add(now, cost)

    def observe(self, reading: Reading, now: float, age: float) -> None:
        """Count what the venue has counted and we have not, as spent ``age`` seconds ago."""
        count = self.count(reading)
        count.expire(now)
        missing = told_units(reading) - count.total
        if missing > 0:
            count.add(now - age, missing)

    def ban(self, until: float, reason: str) -> None:
        """Close the gate; of several bans the last to end wins."""
        if until > self.banned_until:
            self.banned_until, self.ban_reason = until, reason

    def take_in(self, other: Pool) -> None:
        """Count what another has counted as well."""
        for key, count in other.counts.items():
            mine = self.counts.setdefault(key, count)
            if mine is not count:
                for end, amount in count.recent():
                    mine.add(end - count.step / 2, amount)

    def usage(self, now: float) -> tuple[WindowUsage, ...]:
        """Return what is spent of each window."""
        shown = []
        for _, count in sorted(self.counts.items()):
            count.expire(now)
            shown.append(WindowUsage(count.window, count.owner, count.total / UNIT))
        return tuple(shown)

    def forget(self, now: float) -> None:
        """Drop windows of which nothing is spent: accounts and overrides come and go."""
        for key, count in list(self.counts.items()):
            count.expire(now)
            if not count.total:
                del self.counts[key]


def sums(charges: Iterable[Charge]) -> dict[Key, int]:
    """Return what ``charges`` cost together, by window."""
    total: dict[Key, int] = {}
    for charge in charges:
        for line in charge.lines:
            total[key_of(line)] = total.get(key_of(line), 0) + units(line.cost)
    return total
