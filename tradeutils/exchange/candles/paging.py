"""
Candles over any range, page by page, several pages at once.

ccxt's own paging makes ten calls by default and, from an old ``since`` without an end, silently returns only
the newest ten pages. Here a range is walked from its start to its end, and "the newest n" back from its end.

Some venues answer with the first bars after ``since``, others with what opens in one page's length from it,
and an empty answer of the latter says nothing about the next page. So where a page is empty, bars of a much
coarser timeframe are asked for, once: they tell where the finer ones are, and a gap of any length, or the
years before a market was listed, cost a few requests instead of thousands.

A range is cut into pieces of a page's length, each walked by itself, up to eight at once. It starts with one and
adds one with every piece that held bars, so that where there are none little is asked for in vain; and where a page
reached further than its length (few bars are traded), the pieces become as long.

Others keep only their newest bars (kraken: 720 of any timeframe). What lacks the start of its range is recognised by
that, or by coarser bars where there are no fine ones, and refused unless a part will do.
"""

from __future__ import annotations

import asyncio
import bisect
import datetime as dt
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tradeutils.errors import RangeNotServed
from tradeutils.exchange.base import Venue
from tradeutils.exchange.candles.pages import CandleRequest, Pages, Table, read_page
from tradeutils.exchange.gathering import ended
from tradeutils.model import Candles
from tradeutils.timeframe import Timeframe, Times

__all__ = ["PAGES_AT_ONCE", "CandleRequest", "fetch_candles"]

PAGES_AT_ONCE: Final = 8
"""Pages of one request under way at most: the rate limit decides the pace, this bounds memory and what is in vain."""

KEPT_BARS: Final = {"kraken": 720, "hyperliquid": 5000}
"""How many bars of each timeframe a venue keeps, where it says so in its documentation."""

_GUESSED_PAGE = 500  # candles asked for at once, where nobody says how many a reply holds
_LONG_MONTH_MS = 5 * 86_400_000  # by how much a month or year may be longer than its nominal length
_COARSEST_MS = 7 * 86_400_000  # a page of weeks reaches back years, and one week of minutes is a few pages
_AHEAD_MS = 60_000  # by how much a venue's candles may be ahead of its clock
_NEVER = 2**62  # after every bar
_LONGEST_STRETCH = 64  # how much further back at a time a market is searched that has not been traded


async def fetch_candles(venue: Venue, request: CandleRequest) -> Candles:
    """
    Return the candles that ``request`` asks for, oldest first, each once.

    Costs one request a page (`Venue.page_limit` bars), one for the venue's clock where it is not known, and
    where there are gaps longer than a page one or two more.

    Raises
    ------
    RangeNotServed : the venue no longer has the first part of the range, and ``partial`` is False.
    """
    walk = _Walk(venue, request)
    if request.limit is None:
        await walk.forward(request.since or 0, await walk.end())
    elif request.since is None and request.until is None:
        await walk.newest(request.limit)
    else:
        await walk.back(request.limit)
    candles = walk.pages.candles()
    if not request.partial:
        await walk.check_start(candles)
    return candles


@dataclass(slots=True)
class _Walk:
    """The way through one request's range."""

    venue: Venue
    request: CandleRequest
    pages: Pages = field(init=False)
    page: int = field(init=False)  # bars to ask for at once
    _span: int = field(init=False)  # bars that one page reached over
    _cut_short: bool = False  # a page was full and began after what was asked for
    _newest: int | None = None  # the open of the market's newest bar, -1 where it has none
    _coarse: tuple[int, list[int]] | None = None  # length, and the opens at which anything was traded
    _learning: asyncio.Lock = field(default_factory=asyncio.Lock)  # of both

    def __post_init__(self) -> None:
        self.pages = Pages(self.request, self.venue.name)
        self.page = self._span = self.venue.page_limit(self.request.market) or _GUESSED_PAGE

    async def end(self) -> int:
        """Return where the range ends: ``until``, at most the venue's present."""
        now, until = await self.venue.time(), self.request.until
        opened = self.request.timeframe.floor(now)
        if self.request.closed_only and opened + self.request.grace <= now:
            present = opened  # the bar that is forming need not be asked for
        else:
            present = now + 1
            if until is not None and until >= opened:
                return (
                    present  # right after its open it tells that the last one is over, also where that ends the range
                )
        return present if until is None else min(until, present)

    async def newest(self, limit: int) -> None:
        """Take the newest ``limit`` bars, in one request where one page holds them and the forming one."""
        wanted = limit + int(self.request.closed_only)
        if len(await self._ask(None, min(wanted, self.page))):
            await self.back(limit)  # asks for nothing where the page held them

    async def back(self, limit: int) -> None:
        """Fetch bars from the end of the range backwards until ``limit`` are found or there are no more."""
        frame, floor = self.request.timeframe, max(self.request.since or 0, 0)
        edge, stretch = await self.end(), 1
        while (missing := limit - len(opens := self.pages.found().time)) > 0:
            edge = min(edge, int(opens[0])) if len(opens) else edge
            bars = min((missing + 1) * stretch, max(missing + 1, PAGES_AT_ONCE * self.page))  # one: the forming bar
            start = max(frame.shift(frame.floor(edge), -bars), floor)
            if start >= edge:
                return
            await self.forward(start, edge)
            if len(self.pages.found().time) > len(opens):
                edge = start
                continue
            before = None if await self._is_lost(start, edge) else await self._last_traded(start)
            if before is None:
                return
            edge, stretch = min(start, before), min(stretch * 2, _LONGEST_STRETCH)

    async def forward(self, since: int, end: int) -> None:
        """Fetch every bar that opens in ``[since, end)``."""
        frame = self.request.timeframe
        cursor, width = frame.ceil(since), 1
        flying: deque[asyncio.Task[tuple[int, bool]]] = deque()
        try:
            while cursor < end or flying:
                while cursor < end and len(flying) < width:
                    stop = min(frame.shift(cursor, self._span), frame.ceil(end))
                    flying.append(asyncio.ensure_future(self._piece(cursor, stop)))
                    cursor = stop
                reached, held_bars = await flying[0]
                flying.popleft()
                width = min(width + 1, PAGES_AT_ONCE) if held_bars else 1
                cursor = max(cursor, reached)
        finally:
            await ended(flying)

    async def _piece(self, start: int, stop: int) -> tuple[int, bool]:
        """
        Fetch every bar that opens in ``[start, stop)``.

        Returns the first moment from ``stop`` on at which another may open, and whether there were bars here.
        """
        frame, cursor, held_bars = self.request.timeframe, start, False
        while cursor < stop:
            asked = min(self.page, max(1, frame.count(cursor, stop)))
            opens = await self._ask(cursor, asked)
            if len(opens) and opens[-1] >= cursor:
                reached = frame.next(int(opens[-1]))
                if len(opens) >= asked:
                    self._span = max(self.page, frame.count(cursor, reached))
                cursor, held_bars = reached, held_bars or opens[0] < stop
                continue
            after = await self._next_traded(frame.shift(frame.floor(cursor), asked))
            if after is None:
                return _NEVER, held_bars
            cursor = max(frame.ceil(after), frame.shift(cursor))
        return cursor, bool(held_bars)

    async def _ask(self, since: int | None, limit: int) -> Times:
        """Ask for one page, keep its rows, and return their opens, ascending."""
        now, table = await self._read(self.request.timeframe, since, limit)
        self.pages.add(now, table)
        opens = np.sort(table[:, 0]).astype(np.int64)
        if since == self.request.since and len(opens) >= limit and opens[0] > self.request.timeframe.ceil(since or 0):
            self._cut_short = True
        return opens

    async def _read(self, frame: Timeframe, since: int | None, limit: int) -> tuple[int, Table]:
        asked = self.request
        if since is not None:
            since = max(since, 2 * frame.nominal_ms)  # ccxt asks kraken from a bar earlier on, which is not before 1970
        now, page = await self.venue.fetch_candle_rows(
            asked.market.symbol, frame, since=since, limit=limit, price=asked.price
        )
        # One from the future would pass for the end of the range, and what comes before it for a gap.
        return now, read_page(page, asked, self.venue.name, latest=now + frame.nominal_ms + _AHEAD_MS)

    async def _next_traded(self, time: int) -> int | None:
        """Return the first moment from ``time`` on at which a bar may open; ``None`` after the last."""
        async with self._learning:
            if self._newest is None:
                newest = await self._ask(None, 1)
                self._newest = int(newest[-1]) if len(newest) else -1
        if self._newest < time:
            return None
        length, opens = await self._traded()
        at = bisect.bisect_right(opens, time)
        if at and time < opens[at - 1] + length:
            return time
        return opens[at] if at < len(opens) else None

    async def _last_traded(self, time: int) -> int | None:
        """Return the moment up to ``time`` before which a bar may open; ``None`` before the first."""
        length, opens = await self._traded()
        at = bisect.bisect_left(opens, time)
        return min(time, opens[at - 1] + length) if at else None

    async def _traded(self) -> tuple[int, list[int]]:
        """Return the coarse bars in which anything was traded: their length and opens. Asked for once."""
        async with self._learning:
            if self._coarse is None:
                self._coarse = await self._coarse_bars()
        return self._coarse

    async def _coarse_bars(self) -> tuple[int, list[int]]:
        fine = self.request.timeframe
        coarse = max(
            (one for one in self.venue.timeframes if one.nominal_ms <= max(_COARSEST_MS, fine.nominal_ms)),
            key=lambda one: one.nominal_ms,
        )
        opens: set[int] = set()
        # One bar early: a venue may open its weeks on another day than ours.
        cursor = max(coarse.shift(coarse.floor(self.request.since or 0), -1), 0)
        present = await self.venue.time() + 1
        while cursor < present:
            table = (await self._read(coarse, cursor, self.page))[1]
            page = sorted(table[:, 0].astype(np.int64).tolist())
            opens.update(page)
            ahead = coarse.next(page[-1]) if page and page[-1] >= cursor else coarse.shift(cursor, self.page)
            cursor = max(ahead, coarse.shift(cursor))
        return coarse.ms or coarse.nominal_ms + _LONG_MONTH_MS, sorted(opens)

    async def check_start(self, candles: Candles) -> None:
        """Raise `RangeNotServed` where the candles lack the start of their range, and the market was traded there."""
        asked, frame, end = self.request, self.request.timeframe, await self.end()
        missing = None if asked.limit is None else asked.limit - len(candles)
        if missing is not None and missing <= 0:
            return
        first = int(candles.time[0]) if len(candles) else frame.ceil(end)
        start = frame.ceil(asked.since or 0)
        if missing is not None:
            start = max(start, frame.shift(frame.floor(first), -missing))
        start = max(start, frame.floor(asked.market.listed or 0))
        if start >= first:
            return
        # Of a range within one page nothing was most likely traded: not worth twice the requests each time.
        worth_a_look = missing is not None or self._cut_short or frame.count(start, end) > self.page
        if await self._is_lost(start, first, look=worth_a_look):
            raise self._not_served(start, first if len(candles) else None)

    async def _is_lost(self, start: int, first: int, *, look: bool = True) -> bool:
        """Tell whether bars of ``[start, first)``, of which there are none, were traded and are not kept."""
        frame, kept = self.request.timeframe, KEPT_BARS.get(self.venue.name)
        if kept is not None:
            oldest = frame.shift(frame.floor(await self.venue.time()), -kept)
            return start < oldest and first <= frame.shift(oldest, 2)
        coarse = max(
            (one for one in self.venue.timeframes if frame.nominal_ms < one.nominal_ms <= (first - start) // 2),
            key=lambda one: one.nominal_ms,
            default=None,
        )
        if coarse is None or not look:
            return False
        cursor = coarse.ceil(start)
        table = (await self._read(coarse, cursor, min(self.page, max(1, coarse.count(cursor, first)))))[1]
        opens, length = table[:, 0], coarse.ms or coarse.nominal_ms + _LONG_MONTH_MS
        return bool(((opens >= start) & (opens + length <= first) & (table[:, 5] != 0)).any())

    def _not_served(self, start: int, first: int | None) -> RangeNotServed:
        asked, kept = self.request, KEPT_BARS.get(self.venue.name)
        keeps = f"keeps only its newest {f'{kept} ' if kept else ''}candles of {asked.timeframe}"
        has = "it has none of this range" if first is None else f"the first it has opens at {first} ({_date(first)})"
        return RangeNotServed(
            f"{keeps}: {has}, and {start} ({_date(start)}) was asked for; ask from there on, take a coarser "
            "timeframe, or pass partial=True",
            first=first,
            venue=self.venue.name,
            operation=asked.operation,
            symbol=asked.market.symbol,
        )


def _date(time: int) -> str:
    return dt.datetime.fromtimestamp(time / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
