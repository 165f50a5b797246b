"""Sessions: the days, weeks or other spans of trading that bars lie in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradeutils.analysis.pivots import Places
from tradeutils.errors import UsageError
from tradeutils.model import Candles, Panel
from tradeutils.model.days import Day
from tradeutils.model.resampling import grid_of

__all__ = ["Sessions", "sessions_of"]


class Sessions(NamedTuple):
    """
    The sessions of some bars.

    Parameters
    ----------
    number : int64 array, shape (T,)
        Which session each bar lies in, counted from 0; -1 outside of all.
    starts, ends : int64 array, shape (N,)
        Row of the first bar of each session, and of the one after its last.
    begun : bool
        Whether the first session is there from its open on; that of the others always is.
    """

    number: Places
    starts: Places
    ends: Places
    begun: bool


def sessions_of(data: object, session: str, day: Day | str | None) -> Sessions:
    """
    Return the sessions of data.

    Raises
    ------
    UsageError : the data has no times; ``session`` is not made of whole bars; a day begins inside a bar.
    UnknownName : no such timeframe.
    """
    if not isinstance(data, Candles | Panel):
        raise UsageError(f"data was {type(data).__name__}, without times; give Candles or a Panel for sessions")
    _, grid = grid_of(data.time, data.timeframe, session, day)
    number = np.full(len(data.time), np.int64(-1))
    if not len(grid.rows):
        return Sessions(number, np.empty(0, np.int64), np.empty(0, np.int64), False)
    lengths = np.diff(np.append(grid.starts, len(grid.rows)))
    number[grid.rows] = np.repeat(np.arange(len(grid.starts)), lengths)
    last = grid.starts + lengths - 1
    begun = bool(data.time[grid.rows[0]] == grid.opens[0])
    return Sessions(number, grid.rows[grid.starts].astype(np.int64), grid.rows[last].astype(np.int64) + 1, begun)
