"""
Funding rates and open interest over any range, page by page.

A venue answers with the first of a range, or with the newest, or with what lies in one page's length from its start.
Whichever it is: pieces of a page's length are asked for from the end backwards, and what lies between the bounds of a
piece and what came back is asked for again, until nothing comes. These series are regular, so what is closer together
than their usual step need not be asked for, and where several pages hold nothing there is nothing older.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from tradeutils.errors import RangeNotServed

__all__ = ["HistoryRequest", "Timed", "fetch_history"]

_LONGEST_STRETCH: Final = 16  # pages of nothing after which nothing is taken to be older
# Of the usual step: what is further away than that from the bounds of a range may have a value in between. Payments
# are some milliseconds off, and some intervals change.
_SLACK: Final = 1.5
_FITS: Final = 0.9


class Timed(Protocol):
    """A value of some moment."""

    @property
    def time(self) -> int | None:
        """Milliseconds UTC."""
        ...


V = TypeVar("V", bound=Timed)


@dataclass(frozen=True, slots=True)
class HistoryRequest(Generic[V]):
    """
    What was asked for: values of ``[since, until)``, the newest ``limit`` of them; ms UTC.

    Attributes
    ----------
    ask : callable
        Asks for one page: from, to (exclusive), and how many.
    page : int
        How many one reply holds at most.
    step : int
        Milliseconds between two values, as far as known.
    present : int
        The venue's time.
    kept : int or None
        Milliseconds for which the venue keeps them; ``None``: for ever, as far as known.
    listed : int
        Since when there is the market, before which nothing is missed; 0: nobody says.
    where : dict
        Venue, operation and symbol, for errors.
    """

    ask: Callable[[int, int, int], Awaitable[Sequence[V]]]
    since: int | None
    until: int | None
    limit: int | None
    page: int
    step: int
    present: int
    kept: int | None = None
    listed: int = 0
    partial: bool = False
    where: dict[str, Any] = field(default_factory=dict)


async def fetch_history(request: HistoryRequest[V]) -> list[V]:
    """
    Return the values that ``request`` asks for, oldest first, each time once.

    Raises
    ------
    RangeNotServed : the venue no longer has the first part of the range, and ``partial`` is False.
    """
    end = request.present + 1 if request.until is None else min(request.until, request.present + 1)
    oldest = 0 if request.kept is None else request.present - request.kept
    since = request.since or 0
    if request.since is not None and max(since, request.listed) < oldest and not request.partial:
        # Who asks again from there on does so later, when the oldest one may be gone.
        raise _not_served(request, since, oldest + min(request.step, (request.kept or 0) // 100))
    history = _History(request)
    await history.back(max(since, oldest), end)
    found = history.values(since, end)[-(request.limit or 0) :]
    enough = request.limit is not None and len(found) >= request.limit
    if not request.partial and not enough and history.is_cut_off(max(since, request.listed), oldest):
        raise _not_served(request, since, (found[0].time if found else None) or request.present)
    return found


class _History(Generic[V]):
    """The values that have come so far."""

    def __init__(self, request: HistoryRequest[V]) -> None:
        self._request = request
        self._found: dict[int, V] = {}
        self._newest_only = False  # whether the venue answered with its newest, whatever it was asked for

    def values(self, since: int, until: int) -> list[V]:
        """Return what was found in ``[since, until)``, oldest first."""
        return [self._found[time] for time in self._times(since, until)]

    def _times(self, since: int, until: int) -> list[int]:
        return sorted(time for time in self._found if since <= time < until)

    def is_cut_off(self, floor: int, oldest: int) -> bool:
        """Tell whether more would have been found before the first, had the venue kept it."""
        first = min(self._found, default=self._request.present)
        if floor < oldest:
            return first - oldest <= 2 * self._step()
        return self._newest_only and first > floor

    async def back(self, floor: int, end: int) -> None:
        """Find the newest values of ``[floor, end)``, as many as are wanted, from its end to its start."""
        edge, stretch, page, limit = end, 1, self._request.page, self._request.limit
        whole = max(1, page - 1)  # a page that is not full leaves no doubt that it is all
        while edge > floor and not self._newest_only:
            missing = page if limit is None else limit - len(self._times(floor, end))
            if missing <= 0:
                return
            start = max(floor, edge - min(missing + 1, whole) * stretch * self._step())
            before = len(self._found)
            await self._fill(start, edge)
            edge = start
            if len(self._found) > before:
                stretch = 1
            elif stretch < _LONGEST_STRETCH:
                stretch *= 4
            else:
                return

    async def _fill(self, since: int, until: int) -> None:
        """Find every value of ``[since, until)``."""
        open_ranges = [(since, until)]
        while open_ranges:
            start, stop = open_ranges.pop()
            times, full = await self._ask(start, stop)
            if times:
                slack = int(self._step() * (_FITS if full else _SLACK))
                if times[0] - start > slack:
                    open_ranges.append((start, times[0]))
                if stop - times[-1] > slack:
                    open_ranges.append((times[-1] + 1, stop))

    async def _ask(self, since: int, until: int) -> tuple[list[int], bool]:
        """Ask for one page, and return what is new of it, ascending, and whether the page was full."""
        page = self._request.page
        values = await self._request.ask(since, until, page)
        told = sorted(value.time for value in values if value.time is not None)
        known = set(self._found)
        for value in values:
            if value.time is not None:
                self._found[value.time] = value
        within = [time for time in told if since <= time < until and time not in known]
        if not within and len(told) >= page and told[0] >= until:  # it took no heed of the end
            fewer = await self._request.ask(since, until, page - 1)
            # Of the first from the start on, fewer begin with the same; of the newest, with a later one.
            self._newest_only = min((value.time or 0 for value in fewer), default=0) > told[0]
        return within, len(told) >= page

    def _step(self) -> int:
        """Return the usual time between two values: as found, else as known beforehand."""
        times = sorted(self._found)
        if len(times) < 3:
            return self._request.step
        return max(1, int(statistics.median(after - before for before, after in itertools.pairwise(times))))


def _not_served(request: HistoryRequest[Any], since: int, first: int) -> RangeNotServed:
    wanted = f"{since} was asked for" if request.since is not None else f"the newest {request.limit} were asked for"
    return RangeNotServed(
        f"keeps only its newest values: the first is of {first} (ms UTC), and {wanted}; ask from there on, or pass "
        "partial=True",
        first=first,
        **request.where,
    )
