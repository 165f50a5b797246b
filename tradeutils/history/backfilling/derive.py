"""
Candles that are made of finer ones in the store, instead of being asked for.

Only in whole bars, of ranges of which all is known: there the prices are the venue's own, and the volume is the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeutils import logs
from tradeutils.errors import HistoryCorrupt
from tradeutils.history.backfilling.lane import Lane
from tradeutils.history.backfilling.plan import pieces, whole_buckets
from tradeutils.history.store.ranges import Range, Ranges, intersect, subtract, union
from tradeutils.model import Candles
from tradeutils.timeframe import Timeframe

if TYPE_CHECKING:
    from tradeutils.history.writing import WritingHistory

__all__ = ["derive"]

_log = logs.get_logger("history")

_BARS_READ: Final = 200_000  # of the finer timeframe at once: 10 MB


def derive(
    history: WritingHistory, venue: str, lane: Lane, missing: Ranges, *, stopped: Callable[[], bool]
) -> tuple[int, Ranges]:
    """
    Make what can be made of a series, and mark it as asked.

    Parameters
    ----------
    lane : Lane
        Its ``sources`` are tried in turn.
    missing : tuple of ranges
        What it lacks.
    stopped : callable
        Asked between two pieces, as this runs on a thread that nobody can cancel.

    Returns
    -------
    int, tuple of ranges
        How many candles are new, and what is missing still.
    """
    made = 0
    for source in lane.sources:
        try:
            parts = _sound(history, venue, lane, source, missing)
            for since, until in parts:
                if stopped():
                    return made, missing
                fine = history.read(venue, lane.symbol, source.name, since, until)
                made += _make(history, lane, fine)
                history.asked(venue, lane.symbol, lane.frame.name, since, until)
                missing = subtract(missing, ((since, until),))
        except HistoryCorrupt as error:  # of the finer one: what it does not give is asked for
            _log.warning("%s is not made of %s: %s", lane.name, source, error)
    return made, missing


def _make(history: WritingHistory, lane: Lane, fine: Candles) -> int:
    """Write what some finer candles make; return how many are new."""
    if not len(fine):
        return 0
    bars = fine.resample(lane.frame.name)
    # All are over: the range is known to its end, though in its last minute nobody may have traded.
    written = history.write(bars.with_closed(np.ones(len(bars), np.bool_)))
    return written.added + written.changed


def _sound(history: WritingHistory, venue: str, lane: Lane, source: Timeframe, missing: Ranges) -> list[Range]:
    """Return the parts of what is missing of which all is known in a finer timeframe, in whole bars."""
    if not missing:
        return []
    window, fine = (missing[0][0], missing[-1][1]), (venue, lane.symbol, source.name)
    coverage = history.coverage(*fine, *window)
    known = union(coverage.asked, coverage.stored)  # not what retention took away
    if not known:
        return []
    # A candle that was put aside is not in the sum.
    aside = [(source.floor(one.time), source.next(one.time)) for one in history.quarantined(*fine)]
    whole = whole_buckets(lane.frame, intersect(subtract(known, union(aside)), missing))
    bars = max(1, _BARS_READ * source.nominal_ms // lane.frame.nominal_ms)
    return [part for since, until in whole for part in pieces(lane.frame, since, until, bars)]
