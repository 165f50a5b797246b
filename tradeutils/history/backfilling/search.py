"""Where what a venue has begins: found in a few requests instead of asking for every page before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tradeutils.errors import RangeNotServed
from tradeutils.history.backfilling.plan import pieces, probe_frame
from tradeutils.history.store.ranges import Range
from tradeutils.model import Candles
from tradeutils.timeframe import Timeframe

__all__ = ["Ask", "first_kept", "first_traded"]


class Ask(Protocol):
    """Fetches candles of one symbol."""

    async def __call__(self, frame: Timeframe, span: Range, *, partial: bool, closed_only: bool = True) -> Candles: ...


async def first_traded(ask: Ask, frame: Timeframe, offered: Sequence[Timeframe], since: int, until: int) -> int | None:
    """
    Return the first moment of ``[since, until)`` from which bars of ``frame`` are worth asking for.

    ``None`` where nothing was traded. A range of years takes two or three requests: days tell the day, minutes the
    minute.

    Raises
    ------
    VenueError : as the venue fails.
    """
    coarse = probe_frame(frame, offered, since, until)
    if coarse is None or coarse.ms is None:
        return since
    # The bar that is forming counts: the market may have been listed in it.
    found = await ask(coarse, (coarse.floor(since), until), partial=True, closed_only=False)
    for opened in map(int, found.time):
        start, stop = max(since, opened), min(until, opened + coarse.ms)
        if start >= stop:
            continue
        exact = await first_traded(ask, frame, offered, start, stop)
        if exact is not None:
            return exact
        if start == opened:
            return start  # something was traded in it, whatever the finer ones say
        # It began before the range, and all its trades may lie there: on to the next.
    return None


async def first_kept(ask: Ask, frame: Timeframe, since: int, until: int) -> int | None:
    """
    Return from when on a venue that keeps only its newest bars has those of ``[since, until)``; ``None``: it has none.

    The newest piece first, in which it mostly is; then by halves, 7 steps for a year of minutes.

    Raises
    ------
    VenueError : as the venue fails.
    """
    parts = list(pieces(frame, since, until))
    low, high, at = 0, len(parts), len(parts) - 1
    while low < high:
        try:
            await ask(frame, parts[at], partial=False)
        except RangeNotServed as error:
            if error.first is not None and parts[at][0] < error.first < parts[at][1]:
                return error.first
            low = at + 1
        else:
            high = at
        at = (low + high) // 2
    return parts[high][0] if high < len(parts) else None
