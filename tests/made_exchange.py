"""An exchange without a network: candles made from a rule, late listings, lost years and failures as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import tradeutils as tu
from tradeutils import timeframe as _timeframe
from tradeutils.errors import BadSymbol, RangeNotServed
from tradeutils.model import Market
from tradeutils.timeframe import Instant, to_ms

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_748_865_630_000  # 2025-06-02 12:00:30 UTC
FRAMES = ("1m", "5m", "15m", "1h", "4h", "1d", "1w")


class MadeExchange:
    """
    Fakes `tradeutils.Exchange` as far as a backfill asks one.

    Parameters
    ----------
    symbols : sequence of str
        What is listed.
    now : int
        Of the venue; may be changed.
    first, last : mapping of str to int
        When a symbol was first traded, and when it no longer was.
    quiet : sequence of (since, until)
        Minutes in which nobody trades.
    kept : int or None
        Bars of each timeframe that the venue keeps.
    frames : sequence of str
        What it offers.
    before : callable or None
        Called with symbol, timeframe, since and until of each call, before it is answered; may raise or wait.
    """

    venue = "made"

    def __init__(
        self,
        symbols: Sequence[str] = ("BTC/USDT",),
        *,
        now: int = NOW,
        first: Mapping[str, int] | None = None,
        last: Mapping[str, int] | None = None,
        quiet: Sequence[tuple[int, int]] = (),
        kept: int | None = None,
        frames: Sequence[str] = FRAMES,
        before: Callable[..., Any] | None = None,
    ) -> None:
        self.symbols, self.now, self.quiet, self.kept, self.timeframes = symbols, now, quiet, kept, list(frames)
        self.first, self.last, self.before = first or {}, last or {}, before
        self.asked: list[tuple[str, str, int, int]] = []
        self.under_way = self.most_under_way = 0

    async def fetch_time(self) -> int:
        """Return the venue's time."""
        return self.now

    async def load_markets(self, *, reload: bool = False) -> dict[str, Market]:
        """Return what is listed."""
        return {one: Market(symbol=one, id=one.replace("/", ""), base="X", quote="USDT") for one in self.symbols}

    def minutes(self, symbol: str, since: int, until: int) -> tu.Candles:
        """Return what was traded: a price that depends on symbol and time alone."""
        since, until = max(since, self.first.get(symbol, 0)), min(until, self.last.get(symbol, 2**62), self.now)
        time = np.arange(-(-since // MINUTE) * MINUTE, until, MINUTE, dtype=np.int64)
        for start, stop in self.quiet:
            time = time[(time < start) | (time >= stop)]
        at = time // MINUTE
        price = 100.0 + (at % 97) / 8 + len(symbol)
        return tu.Candles(
            exchange=self.venue, symbol=symbol, timeframe="1m", time=time, open=price, high=price + 1 + at % 3,
            low=price - 1 - at % 2, close=price + 0.5, volume=1.0 + at % 11, closed=time + MINUTE <= self.now,
        )  # fmt: skip

    def candles(self, symbol: str, timeframe: str, since: int, until: int, *, closed_only: bool = True) -> tu.Candles:
        """Return candles that open in ``[since, until)``, whatever the venue keeps."""
        frame = _timeframe.parse(timeframe)
        found = self.minutes(symbol, frame.floor(since), frame.shift(frame.ceil(until)))
        if frame.name != "1m":
            found = found.resample(frame.name)
            found = found.with_closed([frame.next(int(time)) <= self.now for time in found.time])
        found = found.between(since, until)
        return found.only_closed() if closed_only else found

    async def fetch_ohlcv(
        self,
        symbol: str,
        timeframe: str = "1h",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        limit: int | None = None,
        closed_only: bool = True,
        partial: bool = False,
    ) -> tu.Candles:
        """Answer as `tradeutils.Exchange.fetch_ohlcv` does."""
        start, stop = to_ms(since or 0), min(to_ms(until or self.now), self.now)
        self.asked.append((symbol, timeframe, start, stop))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            if self.before is not None and (waiting := self.before(symbol, timeframe, start, stop)) is not None:
                await waiting
        finally:
            self.under_way -= 1
        if symbol not in self.symbols:
            raise BadSymbol(symbol, self.symbols, venue=self.venue)
        found = self.candles(symbol, timeframe, start, stop, closed_only=closed_only)
        if self.kept is not None:
            found = self._kept(found, start, partial=partial)
        return found

    def _kept(self, found: tu.Candles, start: int, *, partial: bool) -> tu.Candles:
        frame = _timeframe.parse(found.timeframe)
        oldest = frame.shift(frame.floor(self.now), -(self.kept or 0))
        there = found.between(oldest)
        if len(there) < len(found) and not partial:
            first = int(there.time[0]) if len(there) else None
            raise RangeNotServed("keeps only its newest candles", first=first, venue=self.venue)
        return there

    def calls(self, symbol: str, timeframe: str) -> list[tuple[int, int]]:
        """Return the ranges that were asked for."""
        return [(since, until) for one, frame, since, until in self.asked if (one, frame) == (symbol, timeframe)]
