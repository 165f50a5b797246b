"""Backfill: what is asked for, what is not, what is said of it; the venue is made up, the store is real."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import pathlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from made_exchange import DAY, HOUR, MINUTE, NOW, MadeExchange

import tradeutils as tu
from tradeutils import errors, sync
from tradeutils.history.backfilling import pace
from tradeutils.history.backfilling.plan import PIECE_BARS, gathered, probe_frame
from tradeutils.history.backfilling.report import BackfillReport, Missing, Progress, SeriesBackfill
from tradeutils.timeframe import parse

SYMBOL = "BTC/USDT"
TODAY = NOW - NOW % DAY
PIECE = PIECE_BARS * MINUTE


@pytest.fixture
def history(tmp_path: pathlib.Path) -> Iterator[tu.History]:
    """An empty store."""
    with tu.History(tmp_path / "candles") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The minute that a venue gets to come back, in a hundredth of a second."""
    monkeypatch.setattr(pace, "PAUSES", tuple(pause / 6000 for pause in pace.PAUSES))


def same(stored: tu.Candles, expected: tu.Candles) -> bool:
    return all(
        np.array_equal(getattr(stored, name), getattr(expected, name))
        for name in ("time", "open", "high", "low", "close", "volume")
    )


async def test_what_is_missing_is_fetched_once_and_then_nothing(history: tu.History) -> None:
    """Every candle is there as the venue has it, no minute was asked for twice, and a second run asks nothing."""
    exchange = MadeExchange([SYMBOL, "ETH/USDT"])
    since = TODAY - 10 * DAY
    report = await history.backfill(exchange, [SYMBOL, "ETH/USDT"], "1m", since=since)
    for symbol in exchange.symbols:
        assert same(history.read("made", symbol, "1m"), exchange.candles(symbol, "1m", since, NOW))
        asked = sorted(exchange.calls(symbol, "1m"))
        assert asked[0][0] == since
        assert [stop for _, stop in asked[:-1]] == [start for start, _ in asked[1:]]
    one = report[SYMBOL, "1m"]
    assert (one.added, one.asked, one.known, one.missing) == (one.asked, 10 * 1440 + 720, 0, ())
    assert report.complete
    calls = len(exchange.asked)
    again = await history.backfill(exchange, [SYMBOL, "ETH/USDT"], "1m", since=since)
    assert len(exchange.asked) == calls
    assert (again.added, again.calls, again[SYMBOL, "1m"].known) == (0, 0, 10 * 1440 + 720)


async def test_only_what_coverage_lacks_is_asked_for(history: tu.History) -> None:
    """What is stored or was asked for lies between two requests, and is in neither."""
    exchange = MadeExchange()
    start = TODAY - 30 * DAY
    history.write(exchange.candles(SYMBOL, "1m", start + 5 * DAY, start + 10 * DAY))
    history.asked("made", SYMBOL, "1m", start + 10 * DAY, start + 15 * DAY)
    await history.backfill(exchange, [SYMBOL], "1m", since=start, until=start + 20 * DAY)
    for since, until in exchange.calls(SYMBOL, "1m"):
        assert until <= start + 5 * DAY or since >= start + 15 * DAY
    assert history.coverage("made", SYMBOL, "1m", start, start + 20 * DAY).complete


async def test_many_small_holes_cost_one_call(history: tu.History) -> None:
    """Holes that one page covers are asked for together, and what lies between is not stored twice."""
    exchange = MadeExchange()
    start = TODAY - DAY
    whole = exchange.candles(SYMBOL, "1m", start, start + 900 * MINUTE)
    keep = np.arange(900) % 7 != 3
    history.write(tu.Candles(exchange="made", symbol=SYMBOL, timeframe="1m", **{
        name: getattr(whole, name)[keep] for name in ("time", "open", "high", "low", "close", "volume")
    }))  # fmt: skip
    report = await history.backfill(exchange, [SYMBOL], "1m", since=start, until=start + 900 * MINUTE)
    assert len(exchange.asked) == 1
    assert report[SYMBOL, "1m"].added == int((~keep).sum())
    assert same(history.read("made", SYMBOL, "1m"), whole)


async def test_years_before_a_listing_cost_a_few_calls(history: tu.History) -> None:
    """The first candle is found by coarser ones, not by asking for 500 empty pieces; the report says where it is."""
    first = TODAY - 3 * DAY + 17 * MINUTE
    exchange = MadeExchange(first={SYMBOL: first})
    since = TODAY - 2000 * DAY
    report = await history.backfill(exchange, [SYMBOL], "1m", since=since, derive=False)
    assert len(exchange.asked) <= 6
    assert same(history.read("made", SYMBOL, "1m"), exchange.candles(SYMBOL, "1m", since, NOW))
    (gap,) = report[SYMBOL, "1m"].missing
    assert (gap.since, gap.until, gap.reason) == (since, first, "no candle")
    assert "the first candle opens at 2025-05-30 00:17 UTC" in str(report)
    assert history.coverage("made", SYMBOL, "1m", since, TODAY).complete


async def test_a_market_that_is_no_longer_traded_costs_a_few_calls(history: tu.History) -> None:
    """After the last trade nothing more is asked for, page by page, and the end is told."""
    last = TODAY - 900 * DAY
    exchange = MadeExchange(first={SYMBOL: last - 2 * DAY}, last={SYMBOL: last})
    report = await history.backfill(exchange, [SYMBOL], "1m", since=last - 4 * DAY, until=TODAY)
    assert len(exchange.asked) <= 6
    assert len(history.read("made", SYMBOL, "1m")) == 2 * 1440
    before, after = report[SYMBOL, "1m"].missing
    assert (before.reason, after.reason, after.since) == ("no candle", "no candle", last)
    assert not (await history.backfill(exchange, [SYMBOL], "1m", since=last - 4 * DAY, until=TODAY)).calls


async def test_a_halt_of_months_in_the_middle_is_passed_over(history: tu.History) -> None:
    """What comes after it is there, and the halt is known to be empty."""
    start = TODAY - 200 * DAY
    exchange = MadeExchange(first={SYMBOL: start}, quiet=[(start + DAY, start + 180 * DAY + 61 * MINUTE)])
    report = await history.backfill(exchange, [SYMBOL], "1m", since=start)
    assert same(history.read("made", SYMBOL, "1m"), exchange.candles(SYMBOL, "1m", start, NOW))
    assert len(exchange.asked) <= 14
    assert [gap.reason for gap in report[SYMBOL, "1m"].missing] == ["nobody traded"]
    assert report.complete


@pytest.mark.parametrize(("days", "kept"), [(3, 720), (400, 720), (400, 100_000), (400, 5)])
async def test_what_the_venue_no_longer_keeps_is_told_and_not_marked(history: tu.History, days: int, kept: int) -> None:
    """All that it has is stored after a few calls; the rest stays missing, with the reason and the date."""
    exchange = MadeExchange(kept=kept)
    since = TODAY - days * DAY
    report = await history.backfill(exchange, [SYMBOL], "1m", since=since)
    oldest = NOW - NOW % MINUTE - kept * MINUTE
    assert same(history.read("made", SYMBOL, "1m"), exchange.candles(SYMBOL, "1m", oldest, NOW))
    (gap,) = report[SYMBOL, "1m"].missing
    assert (gap.since, gap.until, gap.reason) == (since, oldest, "not kept")
    assert "the venue keeps them only since" in gap.detail
    assert history.coverage("made", SYMBOL, "1m", since, oldest).missing == ((since, oldest),)
    assert len(exchange.asked) <= 12 + kept * 2 // PIECE_BARS
    assert report.complete


async def test_bars_that_are_lost_while_others_have_their_turn_are_not_marked(history: tu.History) -> None:
    """Bars expire between two calls: they are lost, not quiet minutes, and no coarser bar is made without them."""
    exchange = MadeExchange([SYMBOL, "ETH/USDT"], kept=720, now=TODAY + 11 * HOUR + 56 * MINUTE + 30_000)

    def before(*_: Any) -> None:
        exchange.now += 3 * MINUTE

    exchange.before = before
    since = TODAY - 3 * DAY
    report = await history.backfill(exchange, exchange.symbols, ["1m", "1h"], since=since)
    for symbol in exchange.symbols:
        hours = history.read("made", symbol, "1h")
        assert same(hours, exchange.candles(symbol, "1h", since, int(hours.time[-1]) + HOUR))
        first = int(history.read("made", symbol, "1m").time[0])
        assert history.coverage("made", symbol, "1m", since, first).missing == ((since, first),)
        assert [gap.reason for gap in report[symbol, "1m"].missing] == ["not kept"]


async def test_a_hole_of_which_the_venue_loses_the_start_is_not_marked(history: tu.History) -> None:
    """It was whole when the range before it was asked for."""
    exchange, end = MadeExchange(kept=5000), NOW - NOW % MINUTE
    oldest = end - 5000 * MINUTE
    history.write(exchange.candles(SYMBOL, "1m", oldest + MINUTE, oldest + 1100 * MINUTE))
    history.write(exchange.candles(SYMBOL, "1m", oldest + 1300 * MINUTE, end))

    def before(symbol: str, timeframe: str, since: int, until: int) -> None:
        exchange.now = NOW + 1200 * MINUTE * (since > oldest)

    exchange.before = before
    report = await history.backfill(exchange, [SYMBOL], "1m", since=oldest)
    lost = (oldest + 1100 * MINUTE, oldest + 1200 * MINUTE)
    assert report.added == 1 + 100
    assert [(gap.since, gap.until, gap.reason) for gap in report[SYMBOL, "1m"].missing] == [(*lost, "not kept")]
    assert history.coverage("made", SYMBOL, "1m", oldest, end).missing == (lost,)


async def test_a_hole_that_begins_quietly_is_known_to_be_quiet(history: tu.History) -> None:
    """A venue that keeps everything has lost nothing where nobody traded."""
    start = TODAY - 3 * DAY
    quiet = (start + 1100 * MINUTE, start + 1110 * MINUTE)
    exchange = MadeExchange(quiet=[quiet])
    history.write(exchange.candles(SYMBOL, "1m", start + MINUTE, start + 1100 * MINUTE))
    history.write(exchange.candles(SYMBOL, "1m", start + 1300 * MINUTE, TODAY))
    report = await history.backfill(exchange, [SYMBOL], "1m", since=start, until=TODAY)
    assert [gap.reason for gap in report[SYMBOL, "1m"].missing] == ["nobody traded"]
    assert history.coverage("made", SYMBOL, "1m", start, TODAY).empty == (quiet,)


async def test_a_range_of_which_nothing_is_kept_is_told(history: tu.History) -> None:
    """No candle, no mark, no endless search."""
    exchange = MadeExchange(kept=720)
    report = await history.backfill(exchange, [SYMBOL], "1m", since=TODAY - 90 * DAY, until=TODAY - 30 * DAY)
    (gap,) = report[SYMBOL, "1m"].missing
    assert (gap.reason, gap.bars) == ("not kept", 60 * 1440)
    assert len(exchange.asked) <= 6


async def test_bars_that_may_still_be_published_are_not_marked(history: tu.History) -> None:
    """The venue is late with its newest minutes: they are asked for again, and then they are there."""
    end = NOW - NOW % MINUTE
    exchange = MadeExchange(quiet=[(end - 2 * MINUTE, end)])
    report = await history.backfill(exchange, [SYMBOL], "1m", since=end - HOUR)
    (gap,) = report[SYMBOL, "1m"].missing
    assert (gap.since, gap.until, gap.reason) == (end - 2 * MINUTE, end, "not yet")
    assert history.coverage("made", SYMBOL, "1m", end - HOUR, end).missing == ((end - 2 * MINUTE, end),)
    exchange.quiet = ()
    report = await history.backfill(exchange, [SYMBOL], "1m", since=end - HOUR)
    assert (report.added, report[SYMBOL, "1m"].missing) == (2, ())


async def test_the_forming_bar_is_never_stored_nor_marked(history: tu.History) -> None:
    """Neither with an until that lies ahead, nor when the next run comes after its end."""
    exchange = MadeExchange()
    await history.backfill(exchange, [SYMBOL], ["1m", "1h"], since=TODAY, until=NOW + DAY)
    assert history.read("made", SYMBOL, "1h").time[-1] == NOW - NOW % HOUR - HOUR
    assert history.coverage("made", SYMBOL, "1h", TODAY, NOW + HOUR).missing[0][0] == NOW - NOW % HOUR
    exchange.now += HOUR
    await history.backfill(exchange, [SYMBOL], ["1m", "1h"], since=TODAY)
    assert same(history.read("made", SYMBOL, "1h"), exchange.candles(SYMBOL, "1h", TODAY, exchange.now))


async def test_coarser_candles_are_made_of_finer_ones(history: tu.History) -> None:
    """Not one request for 5m, 1h and 1d; prices and volumes are what the venue says, quiet last minutes included."""
    since = TODAY - 5 * DAY
    quiet = [(since + DAY + 58 * MINUTE, since + DAY + 60 * MINUTE), (since + 2 * DAY, since + 2 * DAY + 3 * HOUR)]
    exchange = MadeExchange(quiet=quiet)
    report = await history.backfill(exchange, [SYMBOL], ["1d", "1m", "1h", "5m"], since=since, until=TODAY)
    assert {frame for _, frame, _, _ in exchange.asked} == {"1m"}
    for frame in ("5m", "1h", "1d"):
        expected = exchange.candles(SYMBOL, frame, since, TODAY)
        assert same(history.read("made", SYMBOL, frame), expected)
        assert report[SYMBOL, frame].derived == len(expected)
        assert history.coverage("made", SYMBOL, frame, since, TODAY).complete
    assert [one.timeframe for one in report.series] == ["1d", "1m", "1h", "5m"]


async def test_candles_are_made_of_what_was_stored_before(history: tu.History) -> None:
    """Only the bars that the stored minutes do not cover whole are asked for, and nothing else is written."""
    exchange = MadeExchange()
    start = TODAY - 50 * DAY
    await history.backfill(exchange, [SYMBOL], "1m", since=start + 90 * MINUTE, until=TODAY - 30 * MINUTE)
    exchange.asked.clear()
    report = await history.backfill(exchange, [SYMBOL], "1h", since=start, until=TODAY)
    assert sorted(exchange.asked) == [
        (SYMBOL, "1h", start, start + 2 * HOUR), (SYMBOL, "1h", TODAY - HOUR, TODAY)
    ]  # fmt: skip
    assert (report.derived, report.added) == (1197, 3)
    assert same(history.read("made", SYMBOL, "1h"), exchange.candles(SYMBOL, "1h", start, TODAY))


async def test_derive_false_fetches_all(history: tu.History) -> None:
    """Who wants the venue's own volumes gets them."""
    exchange = MadeExchange()
    report = await history.backfill(exchange, [SYMBOL], ["1m", "1h"], since=TODAY - DAY, until=TODAY, derive=False)
    assert (report.derived, report[SYMBOL, "1h"].added) == (0, 24)
    assert exchange.calls(SYMBOL, "1h") == [(TODAY - DAY, TODAY)]


async def test_what_was_put_aside_or_pruned_makes_no_coarser_candle(history: tu.History) -> None:
    """A minute that cannot be, and minutes that retention took, are no part of a sum: those hours are fetched."""
    exchange = MadeExchange()
    start = TODAY - DAY
    await history.backfill(exchange, [SYMBOL], "1m", since=start, until=TODAY)
    bad = exchange.candles(SYMBOL, "1m", start + 3 * HOUR, start + 3 * HOUR + MINUTE)
    broken = {name: getattr(bad, name) for name in ("time", "open", "low", "close", "volume")}
    history.write(tu.Candles(exchange="made", symbol=SYMBOL, timeframe="1m", high=np.array([np.nan]), **broken))
    history.noted("pruned", "made", SYMBOL, "1m", start + 6 * HOUR, start + 7 * HOUR)
    exchange.asked.clear()
    report = await history.backfill(exchange, [SYMBOL], "1h", since=start, until=TODAY)
    assert (start + 3 * HOUR, start + 4 * HOUR) in exchange.calls(SYMBOL, "1h")
    assert report.derived in (22, 23)  # pruned minutes of which the candles still stand may count
    assert same(history.read("made", SYMBOL, "1h"), exchange.candles(SYMBOL, "1h", start, TODAY))


async def test_a_timeframe_that_the_venue_lacks_is_made(history: tu.History) -> None:
    """Ten minutes from five: exact; what the five do not cover is reported, as nobody can be asked."""
    exchange = MadeExchange()
    report = await history.backfill(exchange, [SYMBOL], ["5m", "10m"], since=TODAY - DAY, until=TODAY - 5 * MINUTE)
    assert report[SYMBOL, "10m"].derived == 143
    (gap,) = report[SYMBOL, "10m"].missing
    assert (gap.reason, gap.bars) == ("not offered", 1)
    with pytest.raises(errors.UnknownName, match="10m"):
        await history.backfill(exchange, [SYMBOL], "10m", since=TODAY - DAY, derive=False)
    with pytest.raises(errors.UnknownName, match="3m"):
        await history.backfill(MadeExchange(), [SYMBOL], ["5m", "3m"], since=TODAY - DAY)


async def test_a_symbol_that_is_not_listed_is_in_the_report(history: tu.History) -> None:
    """The others are fetched; where none is listed it is the caller's mistake."""
    exchange = MadeExchange()
    report = await history.backfill(exchange, ["GONE/USDT", SYMBOL], "1h", since=TODAY - DAY, until=TODAY)
    assert [gap.reason for gap in report["GONE/USDT", "1h"].missing] == ["not listed"]
    assert report[SYMBOL, "1h"].added == 24
    assert "the venue does not list the symbol: 24 bars of GONE/USDT 1h" in str(report)
    with pytest.raises(KeyError):
        report["GONE/USDT", "1d"]
    with pytest.raises(errors.UnknownName, match="GONE/USDT"):
        await history.backfill(exchange, ["GONE/USDT"], "1h", since=TODAY - DAY)


def failing(error: Callable[[], Exception], when: Callable[[str, int, int], bool]) -> Callable[..., None]:
    """Return a hook that raises for some calls: ``when`` gets symbol, since and the number of the call."""
    count = 0

    def before(symbol: str, timeframe: str, since: int, until: int) -> None:
        nonlocal count
        count += 1
        if when(symbol, since, count):
            raise error()

    return before


def timeout() -> Exception:
    return errors.VenueTimeout("no answer in 10 s", venue="made")


async def test_what_fails_once_is_tried_again_after_the_others(history: tu.History) -> None:
    """All is there in the end, and nothing is reported as missing."""
    exchange = MadeExchange([SYMBOL, "ETH/USDT"], before=failing(timeout, lambda symbol, since, n: n == 1))
    report = await history.backfill(exchange, exchange.symbols, "1m", since=TODAY - 10 * DAY, until=TODAY)
    assert report.complete
    assert [one.added for one in report.series] == [14_400, 14_400]
    assert exchange.asked[-3][0] == SYMBOL  # the first symbol came last


async def test_a_failure_of_the_finer_series_does_not_hold_up_the_coarser(history: tu.History) -> None:
    """The minutes are tried again though the hours wait for them."""
    exchange = MadeExchange(before=failing(timeout, lambda symbol, since, n: n == 1))
    report = await history.backfill(exchange, [SYMBOL], ["1m", "1h"], since=TODAY - DAY, until=TODAY)
    assert report.complete
    assert [one.derived for one in report.series] == [0, 24]


async def test_a_range_that_always_fails_is_reported_and_the_rest_goes_on(history: tu.History) -> None:
    """One piece in the middle is missing, with what the venue said; the next run asks for it alone."""
    start = TODAY - 20 * DAY
    bad = start + PIECE
    exchange = MadeExchange(before=failing(timeout, lambda symbol, since, n: since == bad))
    report = await history.backfill(exchange, [SYMBOL], "1m", since=start, until=TODAY)
    (gap,) = report[SYMBOL, "1m"].missing
    assert (gap.since, gap.until, gap.reason) == (bad, bad + PIECE, "failed")
    assert "VenueTimeout" in gap.detail
    assert not report.complete
    exchange.before = None
    exchange.asked.clear()
    assert (await history.backfill(exchange, [SYMBOL], "1m", since=start, until=TODAY)).complete
    assert exchange.asked == [(SYMBOL, "1m", bad, bad + PIECE)]


async def test_a_venue_that_is_gone_ends_it_soon(history: tu.History) -> None:
    """After a bounded number of failures in a row all series say why; not each of 4000 pieces is tried twice."""
    symbols = [f"S{i}/USDT" for i in range(50)]
    exchange = MadeExchange(symbols, before=failing(timeout, lambda symbol, since, n: n > 10))
    report = await history.backfill(exchange, symbols, "1m", since=TODAY - 365 * DAY)
    assert len(exchange.asked) <= 10 + 16 + 8
    assert all(one.failed for one in report.series)
    assert "failures in a row; VenueTimeout" in str(report)
    assert report.added > 0


@pytest.mark.parametrize(
    ("symbols", "days", "concurrency", "begins"), [(1, 80, 6, 12), (1, 80, 48, 12), (40, 80, 48, 12), (1, 4, 48, 0)]
)
async def test_an_outage_of_moments_costs_nothing(
    history: tu.History, monkeypatch: pytest.MonkeyPatch, symbols: int, days: int, concurrency: int, begins: int
) -> None:
    """All that was under way fails at once, and what is tried meanwhile: no piece is given up for it."""
    monkeypatch.setattr(pace, "PAUSES", (0.02, 0.04, 0.08))
    down = True

    async def before(symbol: str, timeframe: str, since: int, until: int) -> None:
        late = len(exchange.asked) > begins
        await asyncio.sleep(0.001)
        if late and down:
            asyncio.get_running_loop().call_later(0.04, up)
            raise timeout()

    def up() -> None:
        nonlocal down
        down = False

    exchange = MadeExchange([f"S{i}/USDT" for i in range(symbols)], before=before)
    since = TODAY - days * DAY // symbols
    report = await history.backfill(exchange, exchange.symbols, "1m", since=since, until=TODAY, concurrency=concurrency)
    assert not down
    assert report.complete
    assert report.added == symbols * (TODAY - since) // MINUTE


async def test_a_refusal_ends_one_series_and_no_other(history: tu.History) -> None:
    """An error that will come again is not tried again."""
    refused = lambda: errors.RequestRefused("invalid interval", venue="made")  # noqa: E731
    exchange = MadeExchange([SYMBOL, "ETH/USDT"], before=failing(refused, lambda symbol, since, n: symbol == SYMBOL))
    report = await history.backfill(exchange, exchange.symbols, "1h", since=TODAY - DAY, until=TODAY)
    assert [one.failed for one in report.series] == [True, False]
    assert len(exchange.calls(SYMBOL, "1h")) == 1
    delisted = failing(lambda: errors.BadSymbol(SYMBOL, [], venue="made"), lambda symbol, since, n: True)
    report = await history.backfill(MadeExchange(before=delisted), [SYMBOL], "1d", since=TODAY - DAY, derive=False)
    assert [gap.reason for gap in report[SYMBOL, "1d"].missing] == ["not listed"]


async def test_a_venue_that_wants_silence_gets_it(history: tu.History) -> None:
    """A ban of moments costs moments, and no series is given up for it."""
    slow = lambda: errors.RateLimited("slow down", retry_after=0.02, venue="made")  # noqa: E731
    exchange = MadeExchange(before=failing(slow, lambda symbol, since, n: n in (2, 3, 5)))
    began = time.monotonic()
    report = await history.backfill(exchange, [SYMBOL], "1m", since=TODAY - 20 * DAY, until=TODAY)
    assert report.complete
    assert time.monotonic() - began >= 0.02
    forever = lambda: errors.RateLimited("banned", retry_after=86_400.0, venue="made")  # noqa: E731
    symbols = [f"S{i}/USDT" for i in range(9)]
    exchange = MadeExchange(symbols, before=failing(forever, lambda symbol, since, n: True))
    report = await history.backfill(exchange, symbols, "1d", since=TODAY - DAY, concurrency=2)
    assert all("RateLimited" in one.missing[0].detail for one in report.series)
    assert len(exchange.asked) <= 3  # who asks on is banned for longer


async def test_in_the_silence_nobody_asks(history: tu.History) -> None:
    """Neither the series that was told to wait, nor those whose turn comes meanwhile."""
    symbols, times = [f"S{i}/USDT" for i in range(30)], []

    def before(*_: Any) -> None:
        times.append(time.monotonic())
        if len(times) == 3:
            raise errors.RateLimited("slow down", retry_after=0.1, venue="made")

    await history.backfill(
        MadeExchange(symbols, before=before), symbols, "1d", since=TODAY - 9 * DAY, until=TODAY, concurrency=2
    )
    assert len(times) == 31
    assert sum(times[2] < one < times[2] + 0.1 for one in times) <= 1  # what was under way already


async def test_symbols_take_turns_and_few_pieces_are_under_way(history: tu.History) -> None:
    """The first piece of every symbol comes before the second of any, and memory is bounded by ``concurrency``."""
    symbols = [f"S{i}/USDT" for i in range(12)]
    exchange = MadeExchange(symbols)
    await history.backfill(exchange, symbols, "1m", since=TODAY - 15 * DAY, until=TODAY, concurrency=18)
    assert [symbol for symbol, *_ in exchange.asked[:12]] == symbols
    assert exchange.most_under_way in (3, 4)  # pieces of six pages, and at the end of four
    small = MadeExchange(symbols)
    await history.backfill(small, symbols, "1h", since=TODAY - 15 * DAY, until=TODAY, derive=False, concurrency=8)
    assert small.most_under_way == 8


async def test_progress_goes_to_the_end(history: tu.History) -> None:
    """It never goes back, ends at its total, and tells rate and time left."""
    seen: list[Progress] = []
    exchange = MadeExchange([SYMBOL, "ETH/USDT"], first={SYMBOL: TODAY - DAY})
    await history.backfill(
        exchange, [*exchange.symbols, "GONE/USDT"], ["1m", "1h"], since=TODAY - 40 * DAY, progress=seen.append
    )
    done = [one.done for one in seen]
    assert done == sorted(done)
    assert (seen[0].done, seen[-1].done) == (0, seen[-1].total)
    assert seen[-1].total == 2 * (40 * 1440 + 720) + 2 * (40 * 24 + 12)
    assert (seen[0].eta, seen[-1].eta) == (None, 0.0)
    assert seen[-1].rate > 0
    assert seen[-1].calls == len(exchange.asked)


async def test_progress_counts_what_the_store_lacked(history: tu.History) -> None:
    """Known bars that come with a page do not count: it is at its total only when nothing is left."""
    exchange, start = MadeExchange(), TODAY - 40 * DAY
    seen: list[Progress] = []
    whole = exchange.candles(SYMBOL, "1m", start, TODAY - 20 * DAY)
    history.write(tu.Candles(exchange="made", symbol=SYMBOL, timeframe="1m", **{
        name: getattr(whole, name)[::2] for name in ("time", "open", "high", "low", "close", "volume")
    }))  # fmt: skip
    await history.backfill(exchange, [SYMBOL], "1m", since=start, until=TODAY, concurrency=6, progress=seen.append)
    assert [one.done == one.total for one in seen] == [False] * (len(seen) - 1) + [True]


async def test_years_that_are_passed_over_do_not_shorten_the_time_left(history: tu.History) -> None:
    """They took no time, so neither rate nor the time that the rest takes are told by them."""
    symbols = [f"S{i}/USDT" for i in range(6)]
    exchange = MadeExchange(symbols, first=dict.fromkeys(symbols, TODAY - 30 * DAY))
    seen: list[Progress] = []
    await history.backfill(exchange, symbols, "1m", since=TODAY - 3000 * DAY, until=TODAY, progress=seen.append)
    jumps = [(one, other) for one, other in itertools.pairwise(seen) if other.done - one.done > 1_000_000]
    assert len(jumps) == 6
    assert all(after.rate < 2 * before.rate for before, after in jumps)


async def test_what_progress_raises_ends_the_whole(history: tu.History) -> None:
    """It comes out as it is, and nothing runs on."""

    def stop(progress: Progress) -> None:
        if progress.done:
            raise ZeroDivisionError

    exchange = MadeExchange()
    with pytest.raises(ZeroDivisionError):
        await history.backfill(exchange, [SYMBOL], "1m", since=TODAY - 90 * DAY, progress=stop)
    assert len(asyncio.all_tasks()) == 1
    assert exchange.under_way == 0


async def test_cancelled_it_leaves_a_sound_store_and_nothing_running(history: tu.History) -> None:
    """What was marked is there, and the next run brings the rest."""
    exchange = MadeExchange(before=lambda *_: asyncio.sleep(0.002))
    since = TODAY - 60 * DAY
    working = asyncio.create_task(history.backfill(exchange, [SYMBOL], ["1m", "1h"], since=since, until=TODAY))
    while len(exchange.asked) < 8:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.001)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert len(asyncio.all_tasks()) == 1
    assert exchange.under_way == 0
    coverage = history.coverage("made", SYMBOL, "1m", since, TODAY)
    assert coverage.empty == ()
    assert history.verify().ok
    assert (await history.backfill(exchange, [SYMBOL], ["1m", "1h"], since=since, until=TODAY)).complete
    for frame in ("1m", "1h"):
        assert same(history.read("made", SYMBOL, frame), exchange.candles(SYMBOL, frame, since, TODAY))


async def test_cancelled_while_it_looks_it_ends_at_once(history: tu.History, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a large store lacks takes minutes to find out: who cancels does not wait for all series."""
    looked, coverage = [], history.coverage

    def slow(*key: Any) -> Any:
        time.sleep(0.001)
        looked.append(key)
        return coverage(*key)

    monkeypatch.setattr(history, "coverage", slow)
    symbols = [f"S{i}/USDT" for i in range(1000)]
    working = asyncio.create_task(history.backfill(MadeExchange(symbols), symbols, "1m", since=TODAY - DAY))
    while not looked:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert len(looked) < 100


async def test_killed_between_the_write_and_the_mark_nothing_is_lost(tmp_path: pathlib.Path) -> None:
    """The candles are there, the mark is not: the next run asks for the quiet minutes between them, and no more."""
    quiet = [(TODAY - DAY + at * HOUR, TODAY - DAY + at * HOUR + 3 * MINUTE) for at in range(1, 24, 7)]
    exchange = MadeExchange(quiet=quiet)

    class Killed(BaseException):
        pass

    class Dying(tu.History):
        def asked(self, *_: Any) -> None:
            raise Killed

    with Dying(tmp_path) as history, pytest.raises(Killed):
        await history.backfill(exchange, [SYMBOL], "1m", since=TODAY - DAY, until=TODAY)
    exchange.asked.clear()
    with tu.History(tmp_path) as again:
        report = await again.backfill(exchange, [SYMBOL], ["1m", "1h"], since=TODAY - DAY, until=TODAY)
        assert (report[SYMBOL, "1m"].added, report[SYMBOL, "1h"].derived) == (0, 24)
        assert report[SYMBOL, "1m"].asked == 4 * 3
        assert same(again.read("made", SYMBOL, "1m"), exchange.candles(SYMBOL, "1m", TODAY - DAY, TODAY))
        assert again.coverage("made", SYMBOL, "1m", TODAY - DAY, TODAY).complete


@pytest.mark.parametrize("frame", ["3d", "1w", "1M"])
@pytest.mark.parametrize("derive", [True, False])
async def test_long_bars_lie_on_their_own_grid(history: tu.History, frame: str, derive: bool) -> None:
    """Weeks from Monday, months from the first: the venue's own, fetched or made of hours, and none that is in part."""
    exchange = MadeExchange(frames=("1h", "1d", "3d", "1w", "1M"))
    since = TODAY - 150 * DAY + 5 * HOUR
    report = await history.backfill(exchange, [SYMBOL], ["1h", frame], since=since, derive=derive)
    expected = exchange.candles(SYMBOL, frame, parse(frame).ceil(since), NOW)
    found = history.read("made", SYMBOL, frame)
    for name in ("time", "open", "high", "low", "close"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    np.testing.assert_allclose(found.volume, expected.volume, rtol=1e-12)
    assert (report[SYMBOL, frame].derived > 0) == derive
    assert not (await history.backfill(exchange, [SYMBOL], frame, since=since)).calls


async def test_two_at_once_fill_one_store(history: tu.History) -> None:
    """On one History both come to their end; on two each tells the series that the other has, and none is damaged."""
    exchange = MadeExchange([SYMBOL, "ETH/USDT"], before=lambda *_: asyncio.sleep(0.001))
    for second, since in ((history, TODAY - 9 * DAY), (tu.History(history.path), TODAY - 18 * DAY)):
        reports = await asyncio.gather(
            *(one.backfill(exchange, exchange.symbols, "1m", since=since, until=TODAY) for one in (history, second))
        )
        held = [one for report in reports for one in report.series if one.failed]
        assert all("is locked" in one.missing[0].detail for one in held)
        assert bool(held) == (second is not history)
        for symbol in exchange.symbols:
            assert same(history.read("made", symbol, "1m"), exchange.candles(symbol, "1m", since, TODAY))
        assert history.verify().ok
    second.close()


# Workers, as far as one process shows them


def opening(*exchanges: MadeExchange) -> Any:
    """Return what opens one exchange after the other."""
    waiting = iter(exchanges)

    @contextlib.asynccontextmanager
    async def open_exchange() -> AsyncIterator[MadeExchange]:
        yield next(waiting)

    return open_exchange


async def test_a_worker_to_whom_nobody_answers_is_in_the_report(history: tu.History) -> None:
    """Its symbols have failed; those of the others are there."""

    class Silent(MadeExchange):
        async def fetch_time(self) -> int:
            raise timeout()

    names = ["A/USDT", "B/USDT"]
    with ThreadPoolExecutor(1) as pool:
        report = await history.backfill(
            MadeExchange(names), names, "1h", since=TODAY - DAY, until=TODAY, executor=pool,
            open_exchange=opening(Silent(names), MadeExchange(names)),
        )  # fmt: skip
    assert [(one.failed, one.added) for one in report.series] == [(True, 0), (False, 24)]
    assert (report["A/USDT", "1h"].missing[0].bars, report.complete) == (24, False)
    assert "VenueTimeout" in str(report)


async def test_a_worker_keeps_as_much_of_the_disk_free(tmp_path: pathlib.Path) -> None:
    """The caller's bound holds for what writes in its place."""
    exchange = MadeExchange()
    with (
        tu.History(tmp_path, min_free=2**62) as history,
        ThreadPoolExecutor(1) as pool,
        pytest.raises(errors.HistoryFull),
    ):
        await history.backfill(
            exchange, [SYMBOL], "1h", since=TODAY - DAY, executor=pool, open_exchange=opening(exchange)
        )


async def test_what_closes_while_workers_work_is_not_counted_twice(history: tu.History) -> None:
    """Hours later a few bars more are over: progress stays within its total."""
    seen: list[Progress] = []
    later = MadeExchange(now=NOW + 3 * HOUR)
    with ThreadPoolExecutor(1) as pool:
        await history.backfill(
            MadeExchange(), [SYMBOL], ["1m", "1h"], since=TODAY - DAY, executor=pool, open_exchange=opening(later),
            progress=seen.append,
        )  # fmt: skip
    assert (seen[-1].done, seen[-1].eta) == (seen[-1].total, 0.0)


async def test_a_series_that_another_writes_is_reported(history: tu.History) -> None:
    """One lock does not hold up the others."""
    exchange = MadeExchange([SYMBOL, "ETH/USDT"])
    with tu.History(history.path) as other:
        other.write(exchange.candles(SYMBOL, "1m", TODAY - 2 * HOUR, TODAY - HOUR))
        report = await history.backfill(exchange, exchange.symbols, "1m", since=TODAY - DAY, until=TODAY)
    assert "HistoryLocked" in report[SYMBOL, "1m"].missing[0].detail
    assert report["ETH/USDT", "1m"].added == 1440


async def test_a_history_for_reading_is_refused_before_anything_is_asked(history: tu.History) -> None:
    """The mistake is told at once, and not after the first page."""
    history.write(MadeExchange().candles(SYMBOL, "1m", TODAY - HOUR, TODAY))
    exchange = MadeExchange()
    with tu.History(history.path, read_only=True) as reader, pytest.raises(errors.UsageError, match="read_only"):
        await reader.backfill(exchange, [SYMBOL], "1m", since=TODAY - DAY)
    assert exchange.asked == []


@pytest.mark.parametrize("since", [0, -500 * DAY])
async def test_a_since_before_all_venues_costs_no_more(history: tu.History, since: int) -> None:
    """Fifty years without a market are a few calls as well."""
    exchange = MadeExchange(first={SYMBOL: TODAY - DAY})
    report = await history.backfill(exchange, [SYMBOL], "1m", since=since)
    assert report.added == 1440 + 720
    assert report[SYMBOL, "1m"].missing[0].until == TODAY - DAY
    assert len(exchange.asked) <= 6


async def test_a_venue_that_contradicts_itself_is_asked_a_bounded_number_of_times(history: tu.History) -> None:
    """It has days of which it has no minute: each is looked at once, and the run comes to its end."""

    class Liar(MadeExchange):
        def minutes(self, symbol: str, since: int, until: int) -> tu.Candles:
            found = super().minutes(symbol, since, until)
            return found if until - since >= DAY and (until - since) % DAY == 0 else found[:0]

    exchange = Liar()
    report = await history.backfill(exchange, [SYMBOL], "1m", since=TODAY - 60 * DAY, until=TODAY, derive=False)
    assert report.added == 0
    assert len(exchange.asked) <= 60


async def test_a_full_disk_is_raised(tmp_path: pathlib.Path) -> None:
    """There is no point in fetching what cannot be kept."""
    with tu.History(tmp_path, min_free=2**62) as history, pytest.raises(errors.HistoryFull):
        await history.backfill(MadeExchange(), [SYMBOL], "1m", since=TODAY - 90 * DAY)
    assert len(asyncio.all_tasks()) == 1


async def test_a_damaged_series_is_reported(history: tu.History) -> None:
    """A flipped byte in a journal costs that series, not the run; a coarser one is then fetched, not made of it."""
    exchange = MadeExchange([SYMBOL, "ETH/USDT"])
    for symbol in exchange.symbols:
        history.write(exchange.candles(symbol, "1m", TODAY - 2 * HOUR, TODAY))
    history.close()
    (journal,) = history.path.glob("**/symbol=BTC*/_journal")
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 0xFF
    journal.write_bytes(data)
    with tu.History(history.path) as reopened:
        report = await reopened.backfill(exchange, exchange.symbols, ["1m", "1h"], since=TODAY - DAY, until=TODAY)
        assert "_journal" in report[SYMBOL, "1m"].missing[0].detail
        assert [(one.symbol, one.timeframe) for one in report.series if one.failed] == [(SYMBOL, "1m")]
        assert (report[SYMBOL, "1h"].added, report["ETH/USDT", "1h"].derived) == (24, 24)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"symbols": SYMBOL}, r"give a list: \['BTC/USDT'\]"),
        ({"symbols": []}, "name at least one"),
        ({"symbols": [1]}, "name at least one"),
        ({"symbols": 7}, "name at least one"),
        ({"timeframes": []}, "name one or several"),
        ({"timeframes": 5}, "name one or several"),
        ({"timeframes": "7x"}, "timeframe was '7x'"),
        ({"since": 1_700_000_000}, "looks like seconds"),
        ({"since": TODAY, "until": TODAY}, "since must come first"),
        ({"since": NOW + DAY}, "still to come"),
        ({"concurrency": 0}, "from 1"),
        ({"concurrency": True}, "from 1"),
        ({"progress": 3}, "takes a Progress"),
        ({"executor": object(), "open_exchange": MadeExchange}, "executor was object"),
        ({"open_exchange": MadeExchange}, "without executor"),
    ],
)
async def test_a_mistake_is_named_before_anything_is_asked(
    history: tu.History, given: dict[str, Any], says: str
) -> None:
    """What to write instead is in the message, and the venue was asked for no candle."""
    exchange = MadeExchange()
    call: dict[str, Any] = {"symbols": [SYMBOL], "timeframes": "1m", "since": TODAY - DAY} | given
    with pytest.raises(errors.UsageError, match=says):
        await history.backfill(exchange, call.pop("symbols"), call.pop("timeframes"), **call)
    assert exchange.asked == []


def test_a_report_names_a_few_and_counts_the_rest() -> None:
    """The text of a thousand failed series is a few lines."""
    series = [
        SeriesBackfill(
            symbol=f"S{i}/USDT",
            timeframe="1m",
            missing=(Missing(since=0, until=MINUTE, bars=1, reason="failed", detail=f"VenueTimeout {i}"),),
        )
        for i in range(1000)
    ]
    text = str(BackfillReport(exchange="made", since=0, until=MINUTE, series=tuple(series), seconds=2.0))
    assert "1,000 bars of S0/USDT 1m" in text
    assert "and 995 more" in text
    assert len(text.splitlines()) == 8


def test_probes_need_one_request_each() -> None:
    """Years are looked at in days, days in minutes; what is short is asked for as it is."""
    minute, offered = parse("1m"), [parse(name) for name in ("1m", "5m", "1h", "1d", "1w", "1M")]
    assert probe_frame(minute, offered, 0, 900 * DAY) == parse("1d")
    assert probe_frame(minute, offered, 0, 9000 * DAY) == parse("1d")
    assert probe_frame(minute, offered, 0, DAY) == parse("5m")
    assert probe_frame(minute, offered, 0, 100 * MINUTE) is None
    assert probe_frame(parse("1w"), offered, 0, 9000 * DAY) is None
    assert gathered(minute, [(0, MINUTE), (5 * MINUTE, 6 * MINUTE), (DAY, 2 * DAY)]) == [
        (0, 6 * MINUTE),
        (DAY, 2 * DAY),
    ]


# Streams


async def stream(*items: tu.Candles | tu.Panel | tu.Bars) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def test_a_stream_is_written_as_it_comes(history: tu.History) -> None:
    """Closed candles are stored once, forming ones are left out, and what came twice is told apart."""
    exchange = MadeExchange()
    start = TODAY - HOUR
    whole = exchange.candles(SYMBOL, "1m", start, TODAY)
    forming = whole[5:6].with_closed([False])
    seen = []
    followed = await history.follow(
        stream(whole[:3], whole[2:5], forming, whole[5:]), progress=lambda done: seen.append(done.items)
    )
    assert same(history.read("made", SYMBOL, "1m"), whole)
    assert (followed.items, followed.added, followed.unchanged, followed.forming) == (4, 60, 1, 1)
    assert (followed.missing, followed.filled) == (0, 0)
    assert seen[-1] == 4


async def test_holes_of_a_stream_are_filled(history: tu.History) -> None:
    """Both the one since the store was last written, and one after a lost connection."""
    exchange = MadeExchange()
    start = TODAY - 2 * HOUR
    whole = exchange.candles(SYMBOL, "1m", start, TODAY)
    history.write(whole[:10])
    followed = await history.follow(stream(whole[30:40], whole[60:61], whole[61:]), exchange=exchange)
    assert same(history.read("made", SYMBOL, "1m"), whole)
    assert (followed.missing, followed.filled, followed.failed) == (40, 40, 0)


async def test_holes_are_only_counted_without_an_exchange(history: tu.History) -> None:
    """Nothing is asked of anybody."""
    whole = MadeExchange().candles(SYMBOL, "1m", TODAY - HOUR, TODAY)
    followed = await history.follow(stream(whole[:10], whole[20:]), exchange="made")
    assert (followed.missing, followed.filled, len(history.read("made", SYMBOL, "1m"))) == (10, 0, 50)


async def test_a_hole_that_cannot_be_filled_does_not_end_the_stream(history: tu.History) -> None:
    """It is counted, and a later backfill finds it."""
    exchange = MadeExchange(before=failing(timeout, lambda symbol, since, n: True))
    whole = exchange.candles(SYMBOL, "1m", TODAY - HOUR, TODAY)
    followed = await history.follow(stream(whole[:10], whole[20:]), exchange=exchange)
    assert (followed.added, followed.missing, followed.failed) == (50, 10, 1)
    exchange.before = None
    await history.backfill(exchange, [SYMBOL], "1m", since=TODAY - HOUR, until=TODAY)
    assert same(history.read("made", SYMBOL, "1m"), whole)
    unlisted = MadeExchange(["OTHER/USDT"])
    more = unlisted.candles(SYMBOL, "1m", TODAY + 10 * MINUTE, TODAY + 20 * MINUTE)
    assert (await history.follow(stream(more), exchange=unlisted)).failed == 1


async def test_a_hole_that_is_still_to_come_at_the_venue_does_not_end_the_stream(history: tu.History) -> None:
    """Two clocks differ: the hole is counted as not filled, and what follows is written."""
    exchange = MadeExchange(now=TODAY - DAY)
    whole = MadeExchange().candles(SYMBOL, "1m", TODAY - HOUR, TODAY)
    followed = await history.follow(stream(whole[:10], whole[20:]), exchange=exchange)
    assert (followed.added, followed.missing, followed.failed) == (50, 10, 1)


async def test_panels_and_bars_are_written_too(history: tu.History) -> None:
    """A symbol that lacks a bar has none; bars take their names from the call."""
    exchange = MadeExchange([SYMBOL, "ETH/USDT"])
    parts = [
        exchange.candles(SYMBOL, "1m", TODAY - HOUR, TODAY),
        exchange.candles("ETH/USDT", "1m", TODAY - HOUR, TODAY),
    ]
    panel = tu.Panel.from_candles([parts[0], parts[1][:30]])
    followed = await history.follow(stream(panel))
    assert followed.added == 90
    bars = tu.Bars(time=TODAY, **{name: np.full(2, 5.0) for name in ("open", "high", "low", "close", "volume")})
    await history.follow(stream(bars), exchange="made", symbols=exchange.symbols, timeframe="1m")
    assert history.read("made", "ETH/USDT", "1m").time[-1] == TODAY
    with pytest.raises(errors.UsageError, match="give symbols="):
        await history.follow(stream(bars), exchange="made")


async def test_a_stream_is_closed_however_it_ends(history: tu.History) -> None:
    """At its end, at an error, and when the caller is cancelled; no task stays."""
    closed = []

    async def endless(step: float) -> AsyncIterator[Any]:
        try:
            while True:
                await asyncio.sleep(step)
                yield "no candles"
        finally:
            closed.append(step)

    with pytest.raises(errors.UsageError, match="yielded a str"):
        await history.follow(endless(0))
    working = asyncio.create_task(history.follow(endless(30)))
    await asyncio.sleep(0.01)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert closed == [0, 30]
    assert len(asyncio.all_tasks()) == 1
    with pytest.raises(errors.UsageError, match="asynchronous iterator"):
        await history.follow([])  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="progress was 3"):
        await history.follow(stream(), progress=3)  # type: ignore[arg-type]


async def test_what_a_follower_is_told_ends_it(history: tu.History) -> None:
    """An error of ``progress`` during a fill comes out, with the fill or with the next item."""
    exchange = MadeExchange()
    whole = exchange.candles(SYMBOL, "1m", TODAY - HOUR, TODAY)

    def stop(done: Any) -> None:
        if done.filled:
            raise ZeroDivisionError

    async def slow() -> AsyncIterator[Any]:
        yield whole[:10]
        yield whole[20:30]
        await asyncio.sleep(0.2)
        yield whole[40:]

    with pytest.raises(ZeroDivisionError):
        await history.follow(slow(), exchange=exchange, progress=stop)
    with pytest.raises(ZeroDivisionError):
        await history.follow(stream(whole[50:51], whole[55:]), exchange=MadeExchange(["X/Y"]), progress=lambda d: 1 / 0)


def test_blocking_follow_takes_an_ordinary_iterator(tmp_path: pathlib.Path) -> None:
    """And says so where it is given something else."""
    whole = MadeExchange().candles(SYMBOL, "1m", TODAY - HOUR, TODAY)
    with sync.History(tmp_path) as history:
        assert history.follow(iter([whole[:30], whole[30:]])).added == 60
        assert same(history.read("made", SYMBOL, "1m"), whole)
        with pytest.raises(errors.UsageError, match="give an iterator"):
            history.follow(3)  # type: ignore[arg-type]
        with pytest.raises(errors.UsageError, match=r"tradeutils\.sync\.Exchange"):
            history.backfill(MadeExchange(), [SYMBOL], "1m", since=TODAY)


def test_the_blocking_history_awaits_nothing() -> None:
    """What is asynchronous on `History` is a plain call on its blocking form, with the same parameters."""
    waited = [name for name in dir(tu.History) if inspect.iscoroutinefunction(getattr(tu.History, name))]
    assert waited == ["backfill", "follow"]
    for name in waited:
        ours, theirs = getattr(sync.History, name), getattr(tu.History, name)
        assert not inspect.iscoroutinefunction(ours)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
