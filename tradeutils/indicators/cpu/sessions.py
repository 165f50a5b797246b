"""Kernels of sessions: days and weeks of a market that never closes."""

from __future__ import annotations

import math

import numpy as np

from tradeutils.indicators.cpu.compiling import Matrix, kernel
from tradeutils.indicators.cpu.steps import advance, held, known, within

__all__ = ["cumulative_within", "session"]

_MONDAY = 345_600_000.0  # 1970-01-05 00:00 UTC, in ms
_HOUR = 3_600_000.0


@kernel()
def session(time: Matrix, out: Matrix, width: int, hours: float) -> None:
    """Number of the session that a time lies in."""
    length = math.floor(hours * _HOUR + 0.5)  # 1.1 hours times an hour is not whole, and its sessions would end late
    for t in range(time.shape[0]):
        for s in range(width):
            out[t, s] = np.floor((known(time[t, s]) - _MONDAY) / length)


@kernel(rows=lambda: 3)
def cumulative_within(x: Matrix, session: Matrix, out: Matrix, state: Matrix, width: int, mode: int) -> None:
    """Sum since the session began. State: count, session, sum."""
    for t in range(x.shape[0]):
        for s in range(width):
            value, now = x[t, s], session[t, s]
            good = known(value + (now - now))
            count = advance(state[0, s], good, mode)
            last, before = state[1, s], state[2, s]
            total = value + (before if (count > 1.0) & (now == last) else 0.0)
            state[0, s], state[1, s] = count, held(now, last, good, mode)
            state[2, s] = held(total, before, good, mode)
            out[t, s] = within(total + (good - good), count, 1.0)
