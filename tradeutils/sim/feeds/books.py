"""
Order books as they are told: kept from pulse to pulse while anyone follows them, so that REST and feeds agree.

A market's book is a function of the moment. While a feed follows it, the moment stands still between two pulses: what
REST tells then is the book after the last difference that was sent, and has its number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tradeutils.model.candles import Column
from tradeutils.sim.market import Market

__all__ = ["FEED_DEPTH", "Books", "ToldBook"]

FEED_DEPTH: Final = 1_000
"""Levels of a side that feeds tell at most, and REST too of a book that they tell."""


@dataclass(frozen=True, slots=True, eq=False)
class ToldBook:
    """A book as it is told: (N, 2) of price and amount, best first; ``now`` is its moment, ms UTC."""

    bids: Column
    asks: Column
    sequence: int
    now: int


class Books:
    """
    The books of a venue, each with a number that rises.

    The number is the moment in ms, or one more than the last where the clock was set back while it was followed.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._kept: dict[str, tuple[int, int]] = {}  # moment and number of the books that are followed
        self._depths: dict[str, int] = {}  # the deepest that any feed tells
        self._made: dict[str, tuple[int, int, Column, Column]] = {}  # of those: moment, depth, bids, asks

    def read(self, market: str, now: int, depth: int = 100) -> ToldBook:
        """Return the book of a market at ``now``, or at the last pulse where it is followed."""
        kept = self._kept.get(market)
        if kept is None:
            return ToldBook(*self._market.book(market, now, depth), now, now)
        moment, sequence = kept
        depth = min(depth, FEED_DEPTH)  # deeper levels would never be corrected by the feed
        made = self._made.get(market)
        if made is None or made[0] != moment or made[1] < depth:
            most = max(depth, self._depths[market])
            made = self._made[market] = (moment, most, *self._market.book(market, moment, most))
        return ToldBook(made[2][:depth], made[3][:depth], sequence, moment)

    def follow(self, market: str, now: int, depth: int) -> None:
        """Keep a book to a depth from now on, or as it is kept already."""
        self._kept.setdefault(market, (now, now))
        self._depths[market] = max(depth, self._depths.get(market, 0))

    def advance(self, market: str, now: int) -> None:
        """Move a book that is followed on to ``now``."""
        moment, sequence = self._kept[market]
        if moment != now:
            self._kept[market] = now, max(sequence + 1, now)

    def release(self, market: str) -> None:
        """Let go of a book that nobody follows any more."""
        self._kept.pop(market, None)
        self._depths.pop(market, None)
        self._made.pop(market, None)
