"""Laws of candle paging, over venues that answer in each of the ways that venues do."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils import timeframe
from tradeutils.errors import BadReply, RangeNotServed, VenueUnavailable
from tradeutils.exchange.base import Page, Row
from tradeutils.exchange.candles.paging import PAGES_AT_ONCE, CandleRequest, fetch_candles
from tradeutils.model import Candles, Market
from tradeutils.timeframe import Timeframe

MINUTE = 60_000
# Early in 1970, so that the way from the epoch is short, and right after the venue's week begins.
BASE = (6 * 7 * 1440 + 7) * MINUTE
MARKET = Market(symbol="A/B", id="AB", base="A", quote="B")
FRAME = timeframe.parse("1m")


@dataclasses.dataclass
class PagedVenue:
    """
    A venue with a given set of bars, frozen at ``now``; its own clock, no network.

    ``windowed``: a reply holds only what opens in ``limit`` bars from ``since`` (okx, coinbase); otherwise the
    first ``limit`` bars from ``since`` on, however far away (binance). ``kept``: only that many of its newest bars
    (kraken). ``cap``: a reply holds no more than that, whatever is promised. ``order``: as some venues sort.
    ``overlap``: so many bars from before ``since`` come too. ``twice``: some bars come twice. ``columns``: as an array.
    """

    bars: list[int]
    now: int
    page: int
    windowed: bool = False
    kept: int | None = None
    cap: int | None = None
    order: str = "oldest"
    overlap: int = 0
    twice: bool = False
    columns: bool = False
    name: str = "paged"
    timeframes: Mapping[Timeframe, str] = dataclasses.field(
        default_factory=lambda: {FRAME: "1m", timeframe.parse("1h"): "60", timeframe.parse("1w"): "W"}
    )
    requests: int = 0
    flying: int = 0
    most_flying: int = 0

    def page_limit(self, market: Market) -> int | None:
        return self.page

    async def time(self) -> int:
        return self.now

    async def fetch_candle_rows(
        self, symbol: str, timeframe: Timeframe, *, since: int | None, limit: int, price: str | None = None
    ) -> tuple[int, Page]:
        assert limit >= 1
        self.requests += 1
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            for _ in range(self.requests % 3):  # replies overtake one another
                await asyncio.sleep(0)
        finally:
            self.flying -= 1
        shown = sorted(b for b in self.bars if BASE + b * MINUTE <= self.now)
        if timeframe != FRAME:
            return self.now, self._coarse(timeframe, shown, since, limit)
        shown = shown if self.kept is None else shown[-self.kept :]
        limit = limit if self.cap is None else min(limit, self.cap)
        if since is None:
            shown = shown[-limit:]
        else:
            before = [b for b in shown if BASE + b * MINUTE < since]
            shown = [b for b in shown if BASE + b * MINUTE >= since]
            if self.windowed:
                shown = [b for b in shown if BASE + b * MINUTE < since + limit * MINUTE]
            shown = (before[-self.overlap :] if self.overlap else []) + shown[:limit]
        return self.now, self._sent(shown)

    def _sent(self, bars: list[int]) -> Page:
        bars = bars + bars[::2] if self.twice else bars
        if self.order == "newest":
            bars = bars[::-1]
        elif self.order == "mixed":
            bars = bars[1::2] + bars[::2]
        if self.columns:
            rows = [[BASE + b * MINUTE, b, b, b, b, 1] for b in bars]
            return np.array(rows, dtype=np.float64).reshape(-1, 6)
        return [[BASE + b * MINUTE, str(b), str(b), str(b), str(b), "1"] for b in bars]

    def _coarse(self, timeframe: Timeframe, bars: list[int], since: int | None, limit: int) -> list[Row]:
        """Answer for hours, and for weeks, which this venue opens on Thursdays."""
        assert since is not None
        length = timeframe.nominal_ms
        opens = sorted({(BASE + b * MINUTE) // length * length for b in bars})
        shown = [t for t in opens if t >= since and (not self.windowed or t < since + limit * length)]
        return [[t, "1", "1", "1", "1", "1"] for t in shown[:limit]]


@st.composite
def venues(draw: st.DrawFn) -> PagedVenue:
    """Draw a venue with runs of bars, gaps shorter and longer than a page, and a present inside or after them."""
    bars: list[int] = []
    at = 0
    for run, gap in draw(st.lists(st.tuples(st.integers(1, 25), st.integers(1, 30)), max_size=5)):
        bars += range(at, at + run)
        at += run + gap
    now = BASE + draw(st.integers(0, at + 5)) * MINUTE + draw(st.integers(0, MINUTE - 1))
    return PagedVenue(
        bars,
        now,
        draw(st.integers(1, 12)),
        windowed=draw(st.booleans()),
        order=draw(st.sampled_from(["oldest", "newest", "mixed"])),
        overlap=draw(st.sampled_from([0, 0, 1, 7])),
        twice=draw(st.booleans()),
        columns=draw(st.booleans()),
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
    request = CandleRequest(
        market=MARKET, timeframe=FRAME, **{"since": None, "until": None, "limit": None, "closed_only": True} | asked
    )
    return asyncio.run(fetch_candles(venue, request))  # type: ignore[arg-type]  # only what paging asks for


offsets = st.integers(-5, 160).map(lambda bar: BASE + bar * MINUTE) | st.integers(BASE - 10**6, BASE + 10**7)


@given(venues(), offsets, st.none() | offsets, st.booleans(), st.sampled_from([0, 1000, 90_000]))
def test_a_range_is_served_whole_whatever_the_pages_and_gaps(
    venue: PagedVenue, since: int, until: int | None, closed_only: bool, grace: int
) -> None:
    """Every bar that opens in ``[since, until)`` comes back once, in order, and nothing else."""
    if until is not None and until <= since:
        since, until = until, since + 1
    found = _fetch(venue, since=since, until=until, closed_only=closed_only)
    assert found.time.tolist() == _expected(venue, since, until, closed_only=closed_only)
    assert found.close.tolist() == [(t - BASE) / MINUTE for t in found.time.tolist()]
    if not closed_only:
        assert found.closed.tolist() == [t + MINUTE <= venue.now for t in found.time.tolist()]
    patient = _fetch(venue, since=since, until=until, closed_only=closed_only, grace=grace)
    settled = [t for t in found.time.tolist() if t + MINUTE + grace <= venue.now]
    assert patient.time.tolist()[: len(settled)] == settled
    assert set(patient.time.tolist()) <= set(found.time.tolist())


@given(venues(), st.integers(1, 40), st.none() | offsets, st.none() | offsets, st.booleans())
def test_a_limit_takes_the_newest(
    venue: PagedVenue, limit: int, since: int | None, until: int | None, closed_only: bool
) -> None:
    """``limit`` bars from the end of the range, however long the gaps between them."""
    found = _fetch(venue, since=since, until=until, limit=limit, closed_only=closed_only)
    assert found.time.tolist() == _expected(venue, since, until, closed_only=closed_only)[-limit:]


@given(venues(), st.integers(1, 40), st.none() | offsets)
def test_a_venue_that_gives_less_than_was_asked_is_asked_again(
    venue: PagedVenue, limit: int, since: int | None
) -> None:
    """Where a reply holds fewer bars than is said or guessed, what was cut off is not taken to be missing."""
    venue.cap, venue.page = venue.page, 50
    venue.windowed, venue.overlap = False, 0
    assert _fetch(venue, limit=limit).time.tolist() == _expected(venue, None, None, closed_only=True)[-limit:]
    if since is not None:
        assert _fetch(venue, since=since).time.tolist() == _expected(venue, since, None, closed_only=True)


@given(venues(), st.integers(1, 40), offsets, st.booleans())
def test_what_is_no_longer_kept_is_given_in_part_or_refused(
    venue: PagedVenue, kept: int, since: int, columns: bool
) -> None:
    """A venue that keeps its newest bars only gives those where a part will do, and never more."""
    venue.kept, venue.columns = kept, columns
    found = _fetch(venue, since=since, partial=True)
    there = sorted(b for b in venue.bars if BASE + b * MINUTE <= venue.now)[-kept:]
    assert found.time.tolist() == [
        t for t in _expected(venue, since, None, closed_only=True) if (t - BASE) // MINUTE in there
    ]


@pytest.mark.parametrize("asked", [{"since": BASE}, {"limit": 1000}, {"since": BASE, "limit": 1000}])
@pytest.mark.parametrize("name", ["kraken", "unheard-of"])
def test_a_range_that_is_not_kept_is_refused_and_says_what_is(name: str, asked: dict[str, int]) -> None:
    """The error names the first bar that the venue has; asked from there on, all is well."""
    venue = PagedVenue(list(range(2000)), BASE + 2000 * MINUTE, 720, kept=720, name=name)
    with pytest.raises(RangeNotServed, match="keeps only its newest") as caught:
        _fetch(venue, **asked)
    assert caught.value.first == BASE + 1280 * MINUTE
    assert venue.requests <= 8
    assert len(_fetch(venue, **asked, partial=True)) == 720
    assert len(_fetch(venue, since=caught.value.first)) == 720
    assert len(_fetch(venue, limit=720)) == 720


@pytest.mark.parametrize("windowed", [False, True])
def test_less_than_a_page_that_is_not_kept_is_refused_too(windowed: bool) -> None:
    """On a venue of which nobody knows what it keeps: two hours are lacking, and nothing says so but coarser bars."""
    venue = PagedVenue(list(range(5000)), BASE + 5000 * MINUTE, 500, windowed=windowed, kept=2000)
    with pytest.raises(RangeNotServed) as caught:
        _fetch(venue, since=BASE + 2800 * MINUTE)
    assert caught.value.first == BASE + 3000 * MINUTE
    assert len(_fetch(venue, since=BASE + 2800 * MINUTE, partial=True)) == 2000


def test_a_range_before_all_that_is_kept_is_refused() -> None:
    """Nothing at all is no answer either, where the market was traded then."""
    venue = PagedVenue(list(range(2000)), BASE + 2000 * MINUTE, 720, kept=720, name="kraken")
    with pytest.raises(RangeNotServed, match="none of this range"):
        _fetch(venue, since=BASE, until=BASE + 500 * MINUTE)


def test_a_young_market_has_fewer_bars_and_that_is_no_error() -> None:
    """What was never traded is not missing: also on a venue that keeps only its newest."""
    for name in ("kraken", "unheard-of"):
        venue = PagedVenue(list(range(1900, 2000)), BASE + 2000 * MINUTE, 720, kept=720, name=name)
        assert len(_fetch(venue, since=BASE)) == len(_fetch(venue, limit=700)) == 100
        listed = dataclasses.replace(MARKET, listed=BASE + 1900 * MINUTE)
        request = CandleRequest(listed, FRAME, BASE, None, None, closed_only=True)
        assert len(asyncio.run(fetch_candles(venue, request))) == 100  # type: ignore[arg-type]


@pytest.mark.parametrize("windowed", [False, True])
def test_the_years_before_a_listing_cost_little(windowed: bool) -> None:
    """``since=0`` on a venue that answers by window: the weeks are asked for, not every page since 1970."""
    venue = PagedVenue(list(range(30)), BASE + 50 * MINUTE, 300, windowed=windowed)
    assert len(_fetch(venue, since=0)) == 30
    assert venue.requests <= 40


@pytest.mark.parametrize("windowed", [False, True])
def test_pages_cost_one_request_each(windowed: bool) -> None:
    """A thousand bars in pages of a hundred: ten requests, and one more only to learn that nothing follows."""
    venue = PagedVenue(list(range(1000)), BASE + 1000 * MINUTE, 100, windowed=windowed)
    assert len(_fetch(venue, since=BASE)) == 1000
    assert venue.requests <= 12
    venue.requests = 0
    assert len(_fetch(venue, limit=1000)) == 1000
    assert venue.requests <= 13


def test_pages_are_asked_for_at_once_and_not_without_bound() -> None:
    """A long range is fetched several pages at a time, up to the bound."""
    venue = PagedVenue(list(range(5000)), BASE + 5000 * MINUTE, 100)
    assert len(_fetch(venue, since=BASE)) == 5000
    assert 4 <= venue.most_flying <= PAGES_AT_ONCE
    assert venue.requests <= 51


def test_a_quiet_market_costs_no_request_for_what_a_page_already_held() -> None:
    """Where a page of the venue spans many pages' time, the pieces become as long."""
    venue = PagedVenue(list(range(0, 60_000, 60)), BASE + 60_000 * MINUTE, 100)
    assert len(_fetch(venue, since=BASE)) == 1000
    assert venue.requests <= 25


def test_a_market_that_ended_is_not_asked_about_every_page_since() -> None:
    """After the last bar of a delisted market a few questions end the walk, not one a page of the years since."""
    venue = PagedVenue(list(range(50)), BASE + 10_000_000 * MINUTE, 10, windowed=True)
    assert len(_fetch(venue, since=BASE)) == 50
    assert venue.requests <= 5 + PAGES_AT_ONCE


def test_a_bar_counts_as_closed_once_a_later_one_was_traded_or_the_grace_is_over() -> None:
    """Right after its end a bar may still change; a trade of the next one proves that it does not."""
    at_close = BASE + 10 * MINUTE + 200

    def newest(bars: int, now: int, **asked: Any) -> int:
        found = _fetch(PagedVenue(list(range(bars)), now, 100), grace=1000, **asked)
        return int((found.time[-1] - BASE) // MINUTE)

    for asked in ({"limit": 5}, {"since": BASE}, {"since": BASE, "until": BASE + 10 * MINUTE}):
        assert newest(11, at_close, **asked) == 9  # bar 10 is there: bar 9 is done
        assert newest(10, at_close, **asked) == 8
        assert newest(10, at_close + 1000, **asked) == 9
    forming = _fetch(PagedVenue(list(range(10)), at_close, 100), grace=1000, limit=3, closed_only=False)
    assert forming.closed.tolist() == [True, True, False]


def test_a_failing_page_ends_the_request_and_leaves_nothing_running() -> None:
    """The first failure is raised as it is; the other pages are over when it arrives."""

    class Failing(PagedVenue):
        async def fetch_candle_rows(self, *args: Any, since: int | None, **asked: Any) -> tuple[int, Page]:
            if since is not None and since > BASE + 2000 * MINUTE:
                await asyncio.sleep(0)
                raise VenueUnavailable("down")
            return await super().fetch_candle_rows(*args, since=since, **asked)

    async def fetch() -> set[asyncio.Task[Any]]:
        venue = Failing(list(range(5000)), BASE + 5000 * MINUTE, 100)
        request = CandleRequest(MARKET, FRAME, BASE, None, None, closed_only=True)
        with pytest.raises(VenueUnavailable, match="down"):
            await fetch_candles(venue, request)  # type: ignore[arg-type]
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert not asyncio.run(fetch())


@pytest.mark.parametrize(
    "page",
    [
        [["soon", "1", "1", "1", "1", "1"]],
        [[0, "1", "1"]],
        [[None, 1, 1, 1, 1, 1]],
        [5],
        [{}],
        [["NaN", 1, 1, 1, 1, 1]],
        [[10**40, 1, 1, 1, 1, 1]],
        [[4 * 10**12, 1, 1, 1, 1, 1]],
        np.array([1.0, 2.0]),
        np.full((2, 6), np.nan),
        np.array([["x"] * 6]),
    ],
    ids=str,
)
def test_a_row_that_is_no_candle_is_a_bad_reply(page: Any) -> None:
    """What cannot be read is an error of the venue, not a crash of ours."""
    venue = PagedVenue([1], BASE + 5 * MINUTE, 10)

    async def rows(*_: Any, **__: Any) -> tuple[int, Page]:
        return venue.now, page

    venue.fetch_candle_rows = rows  # type: ignore[method-assign]
    with pytest.raises(BadReply, match="candle"):
        _fetch(venue, limit=1)


def test_prices_that_nobody_traded_have_no_volume() -> None:
    """A mark price has none, whether the venue sends zero or nothing."""
    venue = PagedVenue([1, 2], BASE + 5 * MINUTE, 10)
    assert np.isnan(_fetch(venue, limit=2, price="mark").volume).all()
    time = BASE + MINUTE

    async def short(*_: Any, **__: Any) -> tuple[int, Page]:
        return venue.now, [[time, "1", "2", "0.5", "1.5"]]

    venue.fetch_candle_rows = short  # type: ignore[method-assign]
    found = _fetch(venue, limit=1, price="index")
    assert found.close.tolist() == [1.5]
    assert np.isnan(found.volume).all()
