"""Laws of paged histories, over venues that answer in each of the ways that venues do."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import RangeNotServed
from tradeutils.exchange.candles.histories import HistoryRequest, fetch_history
from tradeutils.model import FundingRate

STEP = 8 * 3_600_000
START = 1_000 * STEP


@dataclasses.dataclass
class Series:
    """
    Payments every ``step``, some milliseconds off, and how a venue tells of them.

    ``way``: the first of the range (binance), the newest of it (bybit), what lies in ``limit`` steps from its start
    (okx, where the step is that of a timeframe), the first from its start on whatever the end, or the newest of all.
    """

    count: int
    step: int = STEP
    way: str = "first"
    page: int = 10
    jitter: int = 0
    requests: int = 0

    @property
    def times(self) -> list[int]:
        return [START + n * self.step + (n * 7919) % (self.jitter + 1) for n in range(self.count)]

    @property
    def present(self) -> int:
        return START + self.count * self.step - 1

    async def ask(self, since: int, until: int, limit: int) -> list[FundingRate]:
        self.requests += 1
        within = [t for t in self.times if since <= t < until]
        if self.way == "first":
            told = within[:limit]
        elif self.way == "newest":
            told = within[::-1][:limit]
        elif self.way == "window":
            told = [t for t in within if t < since + limit * self.step][:limit]
        elif self.way == "from":
            told = [t for t in self.times if t >= since][:limit]
        else:
            told = self.times[-limit:]
        return [FundingRate(symbol="A/B:B", rate=float(t), time=t) for t in told]

    def fetch(self, **asked: Any) -> list[int]:
        given = {"since": None, "until": None, "limit": None, "page": self.page, "step": STEP, "present": self.present}
        request = HistoryRequest(self.ask, **(given | asked))
        return [rate.time or 0 for rate in asyncio.run(fetch_history(request))]


series = st.builds(
    Series,
    count=st.integers(0, 120),
    step=st.sampled_from([STEP, STEP // 8, STEP // 2, 2 * STEP]),
    way=st.sampled_from(["first", "newest", "window", "from"]),
    page=st.integers(3, 20),
    jitter=st.sampled_from([0, 0, 40]),
).filter(lambda venue: venue.way != "window" or venue.step == STEP)
moments = st.none() | st.integers(-5, 130).map(lambda n: START + n * STEP // 2)


@given(series, moments, moments, st.none() | st.integers(1, 150))
def test_a_range_is_served_whole_whatever_the_pages(
    venue: Series, since: int | None, until: int | None, limit: int | None
) -> None:
    """Every payment in ``[since, until)`` comes back once, in order; a limit takes the newest of them."""
    if since is None and limit is None:
        limit = 100
    if since is not None and until is not None and until <= since:
        until = None
    found = venue.fetch(since=since, until=until, limit=limit)
    wanted = [t for t in venue.times if (since or 0) <= t < (until or 2**60)]
    assert found == wanted[-(limit or 0) :]


def test_a_page_costs_one_request() -> None:
    """A thousand payments in pages of a hundred: ten requests, and one where the rest of a piece is asked for."""
    for way in ("first", "newest", "window"):
        venue = Series(1000, way=way, page=100)
        assert len(venue.fetch(since=START)) == 1000
        assert venue.requests <= 12, way
        assert len(venue.fetch(limit=90)) == 90


@pytest.mark.parametrize("asked", [{"since": START}, {"limit": 50}])
def test_a_venue_that_has_only_its_newest_says_from_when(asked: dict[str, int]) -> None:
    """What it gave is not taken for the whole."""
    venue = Series(100, way="newest of all", page=10)
    with pytest.raises(RangeNotServed, match="keeps only its newest") as caught:
        venue.fetch(**asked)
    assert caught.value.first == venue.times[-10]
    assert venue.fetch(**asked, partial=True) == venue.times[-10:]
    assert venue.fetch(limit=10) == venue.times[-10:]


def test_what_is_kept_for_a_while_is_not_asked_for_beyond_it() -> None:
    """An older start is refused before any request, a limit that reaches beyond it after."""
    venue = Series(100, way="first", page=50)
    kept = 30 * STEP
    with pytest.raises(RangeNotServed) as caught:
        venue.fetch(since=START, kept=kept)
    assert (venue.requests, caught.value.first) == (0, venue.present - kept + kept // 100)
    assert venue.fetch(since=caught.value.first, kept=kept) == venue.times[-29:]
    assert venue.fetch(since=venue.present - kept, kept=kept) == venue.times[-30:]
    with pytest.raises(RangeNotServed, match="the newest 60 were asked for"):
        venue.fetch(limit=60, kept=kept)
    assert venue.fetch(limit=60, kept=kept, partial=True) == venue.times[-30:]
    assert venue.fetch(since=START, kept=kept, partial=True) == venue.times[-30:]
    young = Series(5, way="first")
    assert young.fetch(limit=60, kept=kept) == young.times
    assert young.fetch(since=0, kept=kept, listed=START) == young.times  # nothing of it is gone


def test_a_pause_longer_than_a_page_does_not_end_the_history() -> None:
    """Of a swap that was halted for a while the payments before are found too."""

    @dataclasses.dataclass
    class Halted(Series):
        @property
        def times(self) -> list[int]:
            return [t for t in super().times if not START + 20 * STEP <= t < START + 60 * STEP]

    venue = Halted(100, page=10)
    assert venue.fetch(since=START) == venue.times
