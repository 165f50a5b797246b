"""Laws of a backfill: whatever was stored, whoever traded when, wherever it was stopped, the store ends up whole."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_exchange import DAY, MINUTE, NOW, MadeExchange

import tradeutils as tu
from tradeutils.history.backfilling.plan import bars_in, gathered, pieces, whole_buckets
from tradeutils.history.store.ranges import intersect, subtract, union
from tradeutils.timeframe import parse

TODAY = NOW - NOW % DAY
START = TODAY - 12 * DAY
FRAMES = st.sampled_from(["1m", "5m", "1h", "1d", "1w", "1M"]).map(parse)
MOMENTS = st.integers(START // MINUTE, TODAY // MINUTE).map(lambda minute: minute * MINUTE)
SPANS = st.lists(st.tuples(MOMENTS, MOMENTS).map(lambda pair: (min(pair), max(pair))), max_size=4)


class Stopped(Exception):
    """Ends a backfill where a kill might."""


@given(frame=FRAMES, spans=SPANS, bars=st.integers(1, 5000))
def test_pieces_cover_their_range_once(frame: Any, spans: list[tuple[int, int]], bars: int) -> None:
    """They follow each other, none is empty, none is longer than allowed."""
    for since, until in union(spans):
        cut = list(pieces(frame, since, until, bars))
        assert (cut[0][0], cut[-1][1]) == (since, until)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(cut))
        assert all(start < stop and frame.count(start, stop) <= bars for start, stop in cut)


@given(spans=SPANS, page=st.integers(1, 3000))
def test_gathered_ranges_hold_the_same_and_cost_no_more(spans: list[tuple[int, int]], page: int) -> None:
    """Nothing that is missing is left out, and the number of pages never rises."""
    frame, ranges = parse("1m"), union(spans)
    joined = gathered(frame, ranges, page)
    assert subtract(ranges, union(joined)) == ()
    pages = [sum(-(-frame.count(*one) // page) for one in many) for many in (joined, ranges)]
    assert pages[0] <= pages[1]


@given(frame=FRAMES, spans=SPANS)
def test_whole_buckets_lie_inside_and_on_the_grid(frame: Any, spans: list[tuple[int, int]]) -> None:
    """No bar is made of a range that is known in part."""
    ranges = union(spans)
    found = whole_buckets(frame, ranges)
    assert intersect(found, ranges) == union(found)
    assert all(frame.floor(edge) == edge for one in found for edge in one)
    assert bars_in(frame, found) == sum(frame.count(*one) for one in found)


@settings(max_examples=25)
@given(
    stored=SPANS,
    asked=SPANS,
    quiet=SPANS,
    first=MOMENTS,
    stops=st.lists(st.integers(1, 6), max_size=3),
    concurrency=st.integers(1, 5),
    derive=st.booleans(),
)
def test_stopped_anywhere_and_resumed_the_store_is_the_venues(
    stored: list[tuple[int, int]],
    asked: list[tuple[int, int]],
    quiet: list[tuple[int, int]],
    first: int,
    stops: list[int],
    concurrency: int,
    derive: bool,
) -> None:
    """Every candle is there once, all of the range is known, and what was acknowledged was not asked for again."""
    exchange = MadeExchange(["A/USDT", "B/USDT"], first={"B/USDT": first}, quiet=quiet)
    with tempfile.TemporaryDirectory() as folder, tu.History(folder) as history:
        for since, until in stored:
            history.write(exchange.candles("A/USDT", "1m", since, until))
        for since, until in asked:
            history.write(exchange.candles("A/USDT", "1m", since, until))
            history.asked("made", "A/USDT", "1m", since, until)
        again = 0
        for stop in [*stops, None]:
            known = [union(history.coverage("made", one, "1m", START, TODAY).asked) for one in exchange.symbols]
            exchange.asked.clear()
            done = asyncio.run(_run(history, exchange, concurrency, stop, derive=derive))
            for symbol, before in zip(exchange.symbols, known, strict=True):
                calls = union(exchange.calls(symbol, "1m"))
                again += sum(until - since for since, until in intersect(calls, before)) // MINUTE
        assert done is not None
        assert done.complete
        assert again <= 1000 * len(exchange.symbols) * (len(stops) + 1)  # neighbours that one page covers
        for symbol in exchange.symbols:
            for frame in ("1m", "1h"):
                found, expected = history.read("made", symbol, frame), exchange.candles(symbol, frame, START, TODAY)
                for name in ("time", "open", "high", "low", "close", "volume"):
                    assert np.array_equal(getattr(found, name), getattr(expected, name)), (symbol, frame, name)
                assert history.coverage("made", symbol, frame, START, TODAY).complete
        assert asyncio.run(_run(history, exchange, concurrency, None, derive=derive)).calls == 0


async def _run(history: tu.History, exchange: MadeExchange, concurrency: int, stop: int | None, *, derive: bool) -> Any:
    told = 0

    def progress(_: Any) -> None:
        nonlocal told
        told += 1
        if told == stop:
            raise Stopped

    try:
        return await history.backfill(
            exchange, exchange.symbols, ["1m", "1h"], since=START, until=TODAY, concurrency=concurrency,
            derive=derive, progress=progress,
        )  # fmt: skip
    except Stopped:
        return None
