"""
Candles over any range, page by page.

ccxt's own paging makes ten calls by default and, from an old ``since`` without an end, silently returns only
the newest ten pages. Here a range is walked from its start until it is served, and "the newest n" is reached
by walking back until n are found or a whole window brings nothing older.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradeutils.errors import BadReply
from tradeutils.exchange.base import Row, Venue
from tradeutils.model import Candles, Market
from tradeutils.timeframe import Timeframe

__all__ = ["CandleRequest", "fetch_candles"]

# "The newest n" is looked for behind a gap of at most this many windows (the first of n bars, then of a page each).
_EMPTY_WINDOWS = 4


@dataclass(frozen=True, slots=True)
class CandleRequest:
    """What was asked for: bars that open in ``[since, until)``, the newest ``limit`` of them; ms UTC."""

    market: Market
    timeframe: Timeframe
    since: int | None
    until: int | None
    limit: int | None
    closed_only: bool


@dataclass(slots=True)
class _Found:
    """Rows by the time they open, each with whether its bar was over when the request for it left."""

    timeframe: Timeframe
    rows: dict[int, tuple[bool, Row]]

    def add(self, now: int, rows: list[Row]) -> int | None:
        """Take a page in and return the newest open in it; a later answer replaces an earlier one."""
        newest = None
        for row in rows:
            opened = int(row[0])
            over = self.timeframe.shift(self.timeframe.floor(opened), 1) <= now
            self.rows[opened] = (over, row)
            newest = opened if newest is None else max(newest, opened)
        return newest

    def between(self, since: int | None, until: int | None, closed_only: bool) -> list[int]:
        """Return the opens found in ``[since, until)``, ascending."""
        return sorted(
            opened
            for opened, (over, _) in self.rows.items()
            if (since is None or opened >= since) and (until is None or opened < until) and (over or not closed_only)
        )


async def fetch_candles(venue: Venue, request: CandleRequest) -> Candles:
    """
    Return the candles that ``request`` asks for, oldest first, each once.

    Costs one request a page (`Venue.page_limit` bars) and one for the venue's clock where it is not known.
    """
    found = _Found(request.timeframe, {})
    if request.since is None and request.until is None and request.limit is not None:
        await _newest(venue, request, found)
    elif request.limit is None:
        await _walk(venue, request, found, request.since or 0, request.until)
    else:
        await _walk_back(venue, request, found)
    opens = found.between(request.since, request.until, request.closed_only)
    if request.limit is not None:
        opens = opens[-request.limit :]
    return _candles(venue, request, found, opens)


def _candles(venue: Venue, request: CandleRequest, found: _Found, opens: list[int]) -> Candles:
    made = Candles.from_rows(
        [found.rows[opened][1] for opened in opens],
        exchange=venue.name,
        symbol=request.market.symbol,
        timeframe=request.timeframe.name,
    )
    if request.closed_only:
        return made
    return made.with_closed([found.rows[opened][0] for opened in opens])


async def _page(venue: Venue, request: CandleRequest, found: _Found, since: int | None, limit: int) -> int | None:
    now, rows = await venue.fetch_candle_rows(request.market.symbol, request.timeframe.name, since=since, limit=limit)
    try:
        return found.add(now, rows)
    except (TypeError, ValueError, IndexError) as error:
        raise BadReply(
            f"a candle could not be read: {error}",
            venue=venue.name,
            operation="fetch_ohlcv",
            symbol=request.market.symbol,
        ) from error


async def _newest(venue: Venue, request: CandleRequest, found: _Found) -> None:
    """Take the newest bars in one request where one page holds them, the forming one included."""
    wanted = (request.limit or 0) + int(request.closed_only)
    page = venue.page_limit(request.market)
    newest = await _page(venue, request, found, None, min(wanted, page))
    if wanted <= page or newest is None:
        return
    await _walk_back(venue, request, found)


async def _walk(venue: Venue, request: CandleRequest, found: _Found, since: int, until: int | None) -> None:
    """Fetch every bar that opens in ``[since, until)``, ``until`` at most the venue's present."""
    page = venue.page_limit(request.market)
    present = await venue.time() + 1
    if request.closed_only:
        present = request.timeframe.floor(present)  # the bar that is forming need not be asked for
    end = present if until is None else min(until, present)
    cursor, last_of_all = request.timeframe.ceil(since), None
    while cursor < end:
        bars = min(page, max(1, request.timeframe.count(cursor, end)))
        newest = await _page(venue, request, found, cursor, bars)
        if newest is not None and newest >= cursor:
            cursor = request.timeframe.next(newest)
            continue
        # Nothing from here: a gap longer than a page, or the end of the market. Its newest candle tells which.
        if last_of_all is None:
            last_of_all = await _page(venue, request, found, None, 1) or -1
        if last_of_all < cursor:
            return
        cursor = request.timeframe.shift(request.timeframe.floor(cursor), page)


async def _walk_back(venue: Venue, request: CandleRequest, found: _Found) -> None:
    """Fetch windows further and further back until ``limit`` bars are found or `_EMPTY_WINDOWS` bring none."""
    limit = request.limit or 0
    page = venue.page_limit(request.market)
    present = await venue.time() + 1
    edge, empty = present if request.until is None else min(request.until, present), 0
    while empty < _EMPTY_WINDOWS:
        opens = found.between(request.since, request.until, request.closed_only)
        missing = limit - len(opens)
        if missing <= 0:
            return
        edge = min(edge, opens[0]) if opens else edge
        bars = page if empty else min(missing + 1, page)  # one more: the forming bar may be in it
        start = max(request.timeframe.shift(request.timeframe.floor(edge), -bars), request.since or 0, 0)
        if start >= edge:
            return
        await _walk(venue, request, found, start, edge)
        older = found.between(request.since, request.until, request.closed_only)
        empty = 0 if len(older) > len(opens) else empty + 1
        edge = start
