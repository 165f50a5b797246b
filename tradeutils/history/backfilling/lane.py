"""One series of a backfill: what it still lacks, what has become of it, and what is said of it in the end."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from tradeutils.history.backfilling.plan import bars_in, gathered, pieces
from tradeutils.history.backfilling.report import Missing, Reason, SeriesBackfill, date
from tradeutils.history.reports import Coverage
from tradeutils.history.store.ranges import Range, Ranges, intersect, subtract, union
from tradeutils.model import Candles
from tradeutils.model.candles import PRICE_FIELDS
from tradeutils.timeframe import Timeframe

__all__ = ["Lane"]

_LONG_MS: Final = 86_400_000  # without a candle: before the listing or after the delisting, not a quiet hour


@dataclass(slots=True, eq=False)
class Lane:
    """
    One symbol and timeframe.

    Attributes
    ----------
    since, until : int
        Its range, ms UTC, on the grid of the timeframe; all bars in it are over.
    settled : int
        What opens from here on may be published late: it is not marked as asked unless a bar came.
    finer : list of Lane
        Those of the same symbol that are waited for, as bars of this one are made of theirs.
    missing : tuple of ranges
        What the store lacked when it was planned: only candles of it are written.
    ranges : deque of Range
        What is still to be asked for, oldest first; what has failed comes last.
    reached : bool
        What the venue has begins before what is asked for from now on.
    width : int
        Pieces that may be under way; one more with each that held bars, so that where there are none little is asked
        for in vain.
    search : str or None
        What is to be found out before more is asked for: where anything was ``"traded"`` again, or from when on the
        venue has ``"kept"`` its candles.
    head : bool
        Whether what was taken last begins a range, and does not follow what was taken before.
    resting : bool
        A piece has failed; the others go first.
    tried : dict of int or None to int
        Where pieces begin that have failed once, and how many had succeeded by then; None: a search.
    abandoned : int
        Pieces in a row that failed twice.
    """

    symbol: str
    frame: Timeframe
    since: int
    until: int
    settled: int
    finer: list[Lane] = field(default_factory=list)
    sources: list[Timeframe] = field(default_factory=list)
    offered: bool = True
    missing: Ranges = ()
    ranges: deque[Range] = field(default_factory=deque)
    planned: bool = False
    reached: bool = False
    width: int = 1
    search: Literal["traded", "kept"] | None = None
    head: bool = False
    tail: int | None = None  # the end of what was taken last
    resting: bool = False
    tried: dict[int | None, int] = field(default_factory=dict)
    abandoned: int = 0
    over: bool = False
    flying: int = 0
    todo: int = 0
    asked: int = 0
    known: int = 0
    added: int = 0
    derived: int = 0
    quarantined: int = 0
    calls: int = 0
    lost: list[Range] = field(default_factory=list)  # not kept by the venue
    lost_words: str = ""
    ended: bool = False  # given up
    reason: Reason = "failed"
    words: str = ""

    @property
    def name(self) -> str:
        """Which: ``"BTC/USDT 1m"``."""
        return f"{self.symbol} {self.frame}"

    def take(self) -> Range | None:
        """Return the next piece to be fetched, if one may be now."""
        if self.over or self.search or not self.ranges or self.flying >= self.width:
            return None
        since, until = self.ranges.popleft()
        piece = next(pieces(self.frame, since, until))
        if piece[1] < until:
            self.ranges.appendleft((piece[1], until))
        self.head, self.tail = since != self.tail, piece[1]
        return piece

    def plan(self, missing: Ranges) -> None:
        """Take what is to be asked for."""
        self.missing = missing
        self.ranges = deque(gathered(self.frame, missing))
        self.planned = True
        self.check()

    def lacking(self, candles: Candles) -> Candles:
        """
        Return those of the candles that the store lacked.

        What stands there already may have been imported or repaired, and is not to be changed by its neighbours.
        """
        edges = np.array(self.missing, dtype=np.int64).reshape(-1)  # since, until, since, ...: rising
        inside = np.searchsorted(edges, candles.time, side="right") % 2 == 1
        if inside.all():
            return candles
        columns = {name: getattr(candles, name)[inside] for name in ("time", *PRICE_FIELDS, "closed")}
        return Candles(exchange=candles.exchange, symbol=candles.symbol, timeframe=candles.timeframe, **columns)

    def lacked(self, since: int, until: int) -> int:
        """Count the bars of a range that the store lacked when it was planned."""
        first = max(0, bisect.bisect_right(self.missing, (since, until)) - 1)
        last = bisect.bisect_left(self.missing, (until,))
        return bars_in(self.frame, intersect(self.missing[first:last], ((since, until),)))

    def settle(self, bars: int) -> int:
        """Count bars that need no more work, and return by how much fewer there are to do."""
        fewer = min(bars, self.todo)
        self.todo -= fewer
        return fewer

    def check(self) -> None:
        """Note the end, where nothing is left."""
        if self.planned and not self.ranges and not self.flying:
            self.over = True
            self.search = None

    def end(self, reason: Reason, words: str) -> None:
        """Give it up, and say why."""
        self.over = self.ended = True
        self.ranges.clear()
        self.reason, self.words = reason, words

    def report(self, coverage: Coverage | None) -> SeriesBackfill:
        """Return what became of it; ``coverage``: of its range as it is now, ``None`` where that cannot be read."""
        return SeriesBackfill(
            symbol=self.symbol,
            timeframe=self.frame.name,
            asked=self.asked,
            known=self.known,
            added=self.added,
            derived=self.derived,
            quarantined=self.quarantined,
            calls=self.calls,
            missing=tuple(sorted(self._missing(coverage), key=lambda one: (one.since, one.until))),
        )

    def _missing(self, coverage: Coverage | None) -> Iterable[Missing]:
        if self.since >= self.until:
            return
        if coverage is None:
            yield self._gap([(self.since, self.until)], self.reason, self.words)
            return
        unknown = coverage.missing
        lost = intersect(unknown, union(self.lost))
        late = () if self.ended else intersect(unknown, ((self.settled, self.until),))
        rest = subtract(unknown, union(lost, late))
        for ranges, reason, words in (
            (lost, "not kept", self.lost_words),
            (late, "not yet", ""),
            (rest, self.reason, self.words),
        ):
            if ranges:
                yield self._gap(ranges, reason, words)  # type: ignore[arg-type]  # mypy widens the literals
        yield from self._empty(coverage.empty)

    def _empty(self, empty: Ranges) -> Iterable[Missing]:
        """Tell long stretches at the ends, before the listing and after the delisting, from holes within."""
        inner = list(empty)
        for at, words in ((0, "the first candle opens at"), (-1, "the last candle ends at")):
            if not inner or inner[at][1] - inner[at][0] <= _LONG_MS:
                continue
            since, until = inner[at]
            if at == 0 and since <= self.since:
                inner.pop(0)
                known = "none in this range" if until >= self.until else f"{words} {date(until)}"
                yield self._gap([(since, until)], "no candle", known)
            elif at == -1 and until >= self.until:
                inner.pop()
                yield self._gap([(since, until)], "no candle", f"{words} {date(since)}")
        if inner:
            yield self._gap(inner, "nobody traded", "")

    def _gap(self, ranges: Any, reason: Reason, words: str) -> Missing:
        return Missing(
            since=ranges[0][0],
            until=ranges[-1][1],
            bars=bars_in(self.frame, ranges),
            reason=reason,
            detail=words,
        )
