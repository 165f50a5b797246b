"""
How what is missing is asked for: in pieces that are quick to lose, and over what nobody traded in few requests.

Ranges are half open, ``(since, until)`` in ms UTC; bars are named by their opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tradeutils.history.store.ranges import Range
from tradeutils.timeframe import Timeframe

__all__ = ["PAGE_BARS", "PIECE_BARS", "bars_in", "gathered", "pieces", "probe_frame", "sources_of", "whole_buckets"]

PIECE_BARS: Final = 6_000
"""
Bars of one piece: what is fetched, written and marked as asked together, and what a kill loses at most.

Whole pages wherever a reply holds 100, 200, 300, 500, 1000 or 1500 bars (binance, bybit, okx, coinbase, kucoin, gate):
4000 would leave okx and coinbase a third of a page with every piece, 5 % more requests than the range needs.
"""

PAGE_BARS: Final = 1_000
"""Bars of one reply on most venues: what lies within is asked for at once, known bars between included."""

_PROBE_BARS: Final = 1_000  # of a coarser timeframe: one request
_LONGEST_PROBE_MS: Final = 86_400_000  # venues open weeks and months on days of their own
_NEAR_BARS: Final = 100  # so few bars that nobody may have traded are asked for rather than narrowed down further


def bars_in(frame: Timeframe, ranges: Iterable[Range]) -> int:
    """Return how many bars open in ranges that do not overlap."""
    return sum(frame.count(since, until) for since, until in ranges)


def gathered(frame: Timeframe, ranges: Sequence[Range], page: int = PAGE_BARS) -> list[Range]:
    """
    Return ranges, rising, with neighbours joined where one page covers them together.

    A store that was filled from files has thousands of holes of a bar each. A request brings a page either way, so the
    known bars between them cost nothing, and it replaces as many requests as it covers holes.
    """
    joined: list[Range] = []
    for since, until in ranges:
        if joined and frame.count(joined[-1][0], until) <= page:
            joined[-1] = (joined[-1][0], until)
        else:
            joined.append((since, until))
    return joined


def pieces(frame: Timeframe, since: int, until: int, bars: int = PIECE_BARS) -> Iterator[Range]:
    """Cut a range into pieces of at most ``bars`` bars, oldest first."""
    while since < until:
        stop = min(frame.shift(frame.floor(since), bars), until)
        yield since, stop
        since = stop


def whole_buckets(coarse: Timeframe, ranges: Iterable[Range]) -> list[Range]:
    """Return of each range the part that is made of whole bars of ``coarse``; ranges without one are left out."""
    found = ((coarse.ceil(since), coarse.floor(until)) for since, until in ranges)
    return [(since, until) for since, until in found if since < until]


def sources_of(frame: Timeframe, others: Iterable[Timeframe]) -> list[Timeframe]:
    """Return the timeframes of which bars of ``frame`` can be made, the coarsest first: fewest bars to read."""
    finer = {one for one in others if one.nominal_ms < frame.nominal_ms and one.divides(frame)}
    return sorted(finer, key=lambda one: one.nominal_ms, reverse=True)


def probe_frame(frame: Timeframe, offered: Iterable[Timeframe], since: int, until: int) -> Timeframe | None:
    """
    Return the timeframe in which to look for the first trade of a range: the finest that needs one request.

    ``None`` where the range is short enough to be asked for as it is, or nothing coarser is offered. Where even the
    coarsest needs more requests than one, it is the coarsest.
    """
    if frame.count(since, until) <= _NEAR_BARS:
        return None
    usable = (one for one in offered if one.ms is not None and frame.nominal_ms < one.ms <= _LONGEST_PROBE_MS)
    coarser = sorted(usable, key=lambda one: one.nominal_ms)
    return next((one for one in coarser if one.count(since, until) <= _PROBE_BARS), coarser[-1] if coarser else None)
