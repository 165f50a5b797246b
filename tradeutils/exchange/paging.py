"""
Candles over any range, page by page.

ccxt's own paging makes ten calls by default and, from an old ``since`` without an end, silently returns only
the newest ten pages. Here a range is walked from its start to its end, and "the newest n" back from its end.

Some venues answer with the first bars after ``since``, others with what opens in one page's length from it,
and an empty answer of the latter says nothing about the next page. So where a page is empty, bars of a much
coarser timeframe are asked for, once: they tell where the finer ones are, and a gap of any length, or the
years before a market was listed, cost a few requests instead of thousands.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from tradeutils.errors import BadReply
from tradeutils.exchange.base import Row, Venue
from tradeutils.model import Candles, Market
from tradeutils.timeframe import Timeframe

__all__ = ["CandleRequest", "fetch_candles"]

_GUESSED_PAGE = 500  # candles asked for at once, where nobody says how many a reply holds
_LONG_MONTH_MS = 5 * 86_400_000  # by how much a month or year may be longer than its nominal length
_COARSEST_MS = 7 * 86_400_000  # a page of weeks reaches back years, and one week of minutes is a few pages


@dataclass(frozen=True, slots=True)
class CandleRequest:
    """What was asked for: bars that open in ``[since, until)``, the newest ``limit`` of them; ms UTC."""

    market: Market
    timeframe: Timeframe
    since: int | None
    until: int | None
    limit: int | None
    closed_only: bool


async def fetch_candles(venue: Venue, request: CandleRequest) -> Candles:
    """
    Return the candles that ``request`` asks for, oldest first, each once.

    Costs one request a page (`Venue.page_limit` bars), one for the venue's clock where it is not known, and
    where there are gaps longer than a page one or two more.
    """
    walk = _Walk(venue, request)
    if request.limit is None:
        await walk.forward(request.since or 0, await walk.end())
    elif request.since is None and request.until is None:
        await walk.newest(request.limit)
    else:
        await walk.back(request.limit)
    return walk.candles()


@dataclass(slots=True)
class _Walk:
    """The pages of one request, and the rows they brought."""

    venue: Venue
    request: CandleRequest
    # By the time a bar opens: whether it was over when the request for it left, and its row.
    rows: dict[int, tuple[bool, Row]] = field(default_factory=dict)
    _newest: int | None = None  # the open of the market's newest bar, -1 where it has none
    _coarse: tuple[int, list[int]] | None = None  # length, and the opens at which anything was traded

    @property
    def page(self) -> int:
        """Bars to ask for at once."""
        return self.venue.page_limit(self.request.market) or _GUESSED_PAGE

    async def end(self) -> int:
        """Return where the range ends: ``until``, at most the venue's present."""
        present = await self.venue.time() + 1
        if self.request.closed_only:
            present = self.request.timeframe.floor(present)  # the bar that is forming need not be asked for
        return present if self.request.until is None else min(self.request.until, present)

    def found(self) -> list[int]:
        """Return the opens found of what was asked for, ascending."""
        since, until = self.request.since, self.request.until
        return sorted(
            opened
            for opened, (over, _) in self.rows.items()
            if (since is None or opened >= since)
            and (until is None or opened < until)
            and (over or not self.request.closed_only)
        )

    def candles(self) -> Candles:
        """Return what was found, the newest ``limit`` of it."""
        opens = self.found()[-(self.request.limit or 0) :]
        made = Candles.from_rows(
            [self.rows[opened][1] for opened in opens],
            exchange=self.venue.name,
            symbol=self.request.market.symbol,
            timeframe=self.request.timeframe.name,
        )
        return made if self.request.closed_only else made.with_closed([self.rows[opened][0] for opened in opens])

    async def newest(self, limit: int) -> None:
        """Take the newest ``limit`` bars, in one request where one page holds them and the forming one."""
        wanted = limit + int(self.request.closed_only)
        if await self._ask(self.request.timeframe, None, min(wanted, self.page)):
            await self.back(limit)  # asks for nothing where the page held them

    async def forward(self, since: int, end: int) -> None:
        """Fetch every bar that opens in ``[since, end)``."""
        frame = self.request.timeframe
        cursor = frame.ceil(since)
        while cursor < end:
            opens = await self._ask(frame, cursor, min(self.page, max(1, frame.count(cursor, end))))
            if opens and opens[-1] >= cursor:
                cursor = frame.next(opens[-1])
                continue
            after = await self._next_traded(frame.shift(frame.floor(cursor), self.page))
            if after is None:
                return
            cursor = max(frame.ceil(after), frame.shift(cursor))

    async def back(self, limit: int) -> None:
        """Fetch bars from the end of the range backwards until ``limit`` are found or there are no more."""
        frame, floor = self.request.timeframe, max(self.request.since or 0, 0)
        edge = await self.end()
        while (missing := limit - len(opens := self.found())) > 0:
            edge = min(edge, opens[0]) if opens else edge
            bars = min(missing + 1, self.page)  # one more: the forming bar may be among them
            start = max(frame.shift(frame.floor(edge), -bars), floor)
            if start >= edge:
                return
            await self.forward(start, edge)
            if len(self.found()) > len(opens):
                edge = start
                continue
            before = await self._last_traded(start)
            if before is None:
                return
            edge = min(start, before)

    async def _ask(self, frame: Timeframe, since: int | None, limit: int) -> list[int]:
        """Ask for one page; keep its rows if they are of the timeframe asked for, and return the opens, ascending."""
        market = self.request.market
        now, rows = await self.venue.fetch_candle_rows(market.symbol, frame, since=since, limit=limit)
        opens = []
        try:
            for row in rows:
                opened = int(row[0])
                opens.append(opened)
                if frame == self.request.timeframe:  # a later answer replaces an earlier one
                    self.rows[opened] = (frame.shift(frame.floor(opened), 1) <= now, row)
        except (TypeError, ValueError, IndexError) as error:
            text = f"a candle could not be read: {error}"
            raise BadReply(text, venue=self.venue.name, operation="fetch_ohlcv", symbol=market.symbol) from error
        return sorted(opens)

    async def _next_traded(self, time: int) -> int | None:
        """Return the first moment from ``time`` on at which a bar may open; ``None`` after the last."""
        if self._newest is None:
            self._newest = max(await self._ask(self.request.timeframe, None, 1), default=-1)
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
        if self._coarse is None:
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
                page = await self._ask(coarse, cursor, self.page)
                opens.update(page)
                ahead = coarse.next(page[-1]) if page and page[-1] >= cursor else coarse.shift(cursor, self.page)
                cursor = max(ahead, coarse.shift(cursor))
            self._coarse = coarse.ms or coarse.nominal_ms + _LONG_MONTH_MS, sorted(opens)
        return self._coarse
