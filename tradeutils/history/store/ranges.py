"""Sets of half-open ranges of milliseconds: ``((since, until), ...)``, rising, apart from each other, none empty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from tradeutils.timeframe import Timeframe, Times

__all__ = ["Range", "Ranges", "intersect", "of_times", "subtract", "total", "union"]

Range: TypeAlias = tuple[int, int]
"""From the first, inclusive, to the second, exclusive; milliseconds UTC."""

Ranges: TypeAlias = tuple[Range, ...]
"""Rising; no two touch; none is empty."""


def union(*sets: Iterable[Range]) -> Ranges:
    """Return what is in any of the sets; these may overlap, touch, be empty or in any order. Cost: one sort."""
    found: list[Range] = []
    for since, until in sorted(part for ranges in sets for part in ranges if part[0] < part[1]):
        if found and since <= found[-1][1]:
            if until > found[-1][1]:
                found[-1] = (found[-1][0], until)
        else:
            found.append((since, until))
    return tuple(found)


def intersect(first: Sequence[Range], second: Sequence[Range]) -> Ranges:
    """Return what is in both. Cost: one pass."""
    found: list[Range] = []
    i = j = 0
    while i < len(first) and j < len(second):
        since, until = max(first[i][0], second[j][0]), min(first[i][1], second[j][1])
        if since < until:
            found.append((since, until))
        if first[i][1] < second[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def subtract(first: Sequence[Range], second: Sequence[Range]) -> Ranges:
    """Return what is in ``first`` and not in ``second``. Cost: one pass."""
    found: list[Range] = []
    j = 0
    for start, until in first:
        since = start
        while j < len(second) and second[j][1] <= since:
            j += 1
        at = j
        while at < len(second) and second[at][0] < until:
            if since < second[at][0]:
                found.append((since, second[at][0]))
            since = max(since, second[at][1])
            at += 1
        if since < until:
            found.append((since, until))
    return tuple(found)


def total(ranges: Iterable[Range]) -> int:
    """Return the milliseconds in them."""
    return sum(until - since for since, until in ranges)


def of_times(time: Times, frame: Timeframe) -> Ranges:
    """Return the ranges that bars opening at ``time`` (rising) cover, bars that follow each other as one."""
    if not len(time):
        return ()
    ends = frame.shift(time, 1)
    breaks = np.flatnonzero(time[1:] > ends[:-1])
    first = np.r_[0, breaks + 1]
    last = np.r_[breaks, len(time) - 1]
    return tuple(zip(time[first].tolist(), ends[last].tolist(), strict=True))
