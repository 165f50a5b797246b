"""Laws of candle paging, over venues that answer in each of the ways that venues do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils import timeframe
from tradeutils.errors import BadReply
from tradeutils.exchange.base import Row
from tradeutils.exchange.paging import CandleRequest, fetch_candles
from tradeutils.model import Candles, Market
from tradeutils.timeframe import Timeframe

MINUTE = 60_000
WEEK = 7 * 1440 * MINUTE
BASE = 60_000 * MINUTE  # early in 1970, so that the way from the epoch is short
MARKET = Market(symbol="A/B", id="AB", base="A", quote="B")
FRAME = timeframe.parse("1m")


class PagedVenue:
    """
    A venue with a given set of bars, frozen at ``now``; its own clock, no network.

    ``windowed``: a reply holds only what opens in ``limit`` bars from ``since`` (okx, coinbase); otherwise the
    first ``limit`` bars from ``since`` on, however far away (binance). ``newest_first`` as some venues sort.
    """

    name = origin = "paged"
    timeframes: Mapping[Timeframe, str] = {FRAME: "1m", timeframe.parse("1h"): "60", timeframe.parse("1w"): "W"}

    def __init__(self, bars: list[int], now: int, page: int, *, windowed: bool, newest_first: bool = False) -> None:
        self.bars, self.now, self.page = sorted(bars), now, page
        self.windowed, self.newest_first = windowed, newest_first
        self.requests = 0

    def page_limit(self, market: Market) -> int:
        return self.page

    async def time(self) -> int:
        return self.now

    async def fetch_candle_rows(
        self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int
    ) -> tuple[int, list[Row]]:
        self.requests += 1
        assert limit >= 1
        shown = [b for b in self.bars if BASE + b * MINUTE <= self.now]
        if timeframe != FRAME:
            return self.now, self._weeks(shown, since, limit)
        if since is None:
            shown = shown[-limit:]
        else:
            shown = [b for b in shown if BASE + b * MINUTE >= since]
            if self.windowed:
                shown = [b for b in shown if BASE + b * MINUTE < since + limit * MINUTE]
            shown = shown[:limit]
        rows: list[Row] = [[BASE + b * MINUTE, str(b), str(b), str(b), str(b), "1"] for b in shown]
        return self.now, rows[::-1] if self.newest_first else rows

    def _weeks(self, bars: list[int], since: int | None, limit: int) -> list[Row]:
        """Answer for weeks, which this venue opens on Thursdays."""
        assert since is not None
        opens = sorted({(BASE + b * MINUTE) // WEEK * WEEK for b in bars})
        shown = [t for t in opens if t >= since and (not self.windowed or t < since + limit * WEEK)]
        return [[t, "1", "1", "1", "1", "1"] for t in shown[:limit]]


@st.composite
def venues(draw: st.DrawFn) -> PagedVenue:
    """Draw a venue with runs of bars, gaps shorter and longer than a page, and a present inside or after them."""
    bars, at = [], 0
    for run, gap in draw(st.lists(st.tuples(st.integers(1, 25), st.integers(1, 30)), max_size=5)):
        bars += range(at, at + run)
        at += run + gap
    now = BASE + draw(st.integers(0, at + 5)) * MINUTE + draw(st.integers(0, MINUTE - 1))
    return PagedVenue(
        bars, now, draw(st.integers(1, 12)), windowed=draw(st.booleans()), newest_first=draw(st.booleans())
    )


def _expected(venue: PagedVenue, since: int | None, until: int | None, *, closed_only: bool) -> list[int]:
    end = BASE * 2 if until is None else until
    return [
        BASE + b * MINUTE
        for b in venue.bars
        if (since or 0) <= BASE + b * MINUTE < end
        and BASE + b * MINUTE <= venue.now
        and (not closed_only or BASE + (b + 1) * MINUTE <= venue.now)
    ]


def _fetch(venue: PagedVenue, **asked: Any) -> Candles:
    request = CandleRequest(market=MARKET, timeframe=FRAME, **{"since": None, "until": None, "limit": None} | asked)
    return asyncio.run(fetch_candles(venue, request))  # type: ignore[arg-type]  # only what paging asks for


offsets = st.integers(-5, 160).map(lambda bar: BASE + bar * MINUTE) | st.integers(BASE - 10**6, BASE + 10**7)


@given(venues(), offsets, st.none() | offsets, st.booleans())
def test_a_range_is_served_whole_whatever_the_pages_and_gaps(
    venue: PagedVenue, since: int, until: int | None, closed_only: bool
) -> None:
    """Every bar that opens in ``[since, until)`` comes back once, in order, and nothing else."""
    if until is not None and until <= since:
        since, until = until, since + 1
    found = _fetch(venue, since=since, until=until, closed_only=closed_only)
    assert found.time.tolist() == _expected(venue, since, until, closed_only=closed_only)
    assert found.close.tolist() == [(t - BASE) / MINUTE for t in found.time.tolist()]
    if not closed_only:
        assert found.closed.tolist() == [t + MINUTE <= venue.now for t in found.time.tolist()]


@given(venues(), st.integers(1, 40), st.none() | offsets, st.none() | offsets, st.booleans())
def test_a_limit_takes_the_newest(
    venue: PagedVenue, limit: int, since: int | None, until: int | None, closed_only: bool
) -> None:
    """``limit`` bars from the end of the range, however long the gaps between them."""
    found = _fetch(venue, since=since, until=until, limit=limit, closed_only=closed_only)
    assert found.time.tolist() == _expected(venue, since, until, closed_only=closed_only)[-limit:]


@given(venues(), st.integers(1, 40))
def test_a_venue_that_gives_less_than_was_asked_is_asked_again(venue: PagedVenue, limit: int) -> None:
    """Where nobody says how many bars a reply holds, a reply that was cut is not taken for all there is."""
    cap, whole = venue.page, venue.fetch_candle_rows
    venue.page_limit = lambda market: None  # type: ignore[method-assign,assignment,return-value]
    venue.windowed = False

    async def cut(symbol: str, timeframe: Timeframe, *, since: int | None, limit: int) -> tuple[int, list[Row]]:
        return await whole(symbol, timeframe, since=since, limit=min(limit, cap) if timeframe == FRAME else limit)

    venue.fetch_candle_rows = cut  # type: ignore[method-assign]
    found = _fetch(venue, limit=limit, closed_only=True)
    assert found.time.tolist() == _expected(venue, None, None, closed_only=True)[-limit:]


@pytest.mark.parametrize("windowed", [False, True])
def test_the_years_before_a_listing_cost_little(windowed: bool) -> None:
    """``since=0`` on a venue that answers by window: the weeks are asked for, not every page since 1970."""
    venue = PagedVenue(list(range(30)), BASE + 50 * MINUTE, 300, windowed=windowed)
    assert len(_fetch(venue, since=0, closed_only=True)) == 30
    assert venue.requests <= 40


@pytest.mark.parametrize("windowed", [False, True])
def test_pages_cost_one_request_each(windowed: bool) -> None:
    """A thousand bars in pages of a hundred: ten requests, and one more only to learn that nothing follows."""
    venue = PagedVenue(list(range(1000)), BASE + 1000 * MINUTE, 100, windowed=windowed)
    found = _fetch(venue, since=BASE, closed_only=True)
    assert len(found) == 1000
    assert venue.requests <= 12


def test_a_market_that_ended_is_not_asked_about_every_page_since() -> None:
    """After the last bar of a delisted market one question ends the walk, not one a page of the years since."""
    venue = PagedVenue(list(range(50)), BASE + 10_000_000 * MINUTE, 10, windowed=True)
    assert len(_fetch(venue, since=BASE, closed_only=True)) == 50
    assert venue.requests <= 8


def test_a_row_that_is_no_candle_is_a_bad_reply() -> None:
    """What cannot be read is an error of the venue, not a crash of ours."""
    venue = PagedVenue([1], BASE + 5 * MINUTE, 10, windowed=False)

    async def rows(*_: Any, **__: Any) -> tuple[int, list[Row]]:
        return venue.now, [["soon", "1", "1", "1", "1", "1"]]

    venue.fetch_candle_rows = rows  # type: ignore[method-assign]
    with pytest.raises(BadReply, match="candle"):
        _fetch(venue, limit=1, closed_only=True)
