"""Laws of a history: ranges are sets of milliseconds, names are folders, and a store is a mapping of time to candle."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tradeutils as tu
from tradeutils.history import SeriesKey, WriteReport
from tradeutils.history.store.asked import Note, note_range, read_asked
from tradeutils.history.store.layout import folder_of, keys_in, make_folder
from tradeutils.history.store.ranges import Range, Ranges, intersect, of_times, subtract, total, union

EDGE = 40
loose = st.lists(st.tuples(st.integers(-EDGE, EDGE), st.integers(-EDGE, EDGE)), max_size=12)
sets = loose.map(union)


def members(ranges: list[Range] | Ranges) -> set[int]:
    return {moment for since, until in ranges for moment in range(since, until)}


def is_normal(ranges: Ranges) -> bool:
    edges = [edge for span in ranges for edge in span]
    return all(before < after for before, after in itertools.pairwise(edges))


@given(loose, loose)
def test_union_holds_what_is_in_either(first: list[Range], second: list[Range]) -> None:
    """Whatever order they come in, and however they overlap."""
    made = union(first, second)
    assert members(made) == members(first) | members(second)
    assert is_normal(made)
    assert total(made) == len(members(made))


@pytest.mark.parametrize(
    ("operation", "law"), [(intersect, set.__and__), (subtract, set.__sub__)], ids=["intersect", "subtract"]
)
@given(first=sets, second=sets)
def test_ranges_are_sets(
    operation: Callable[[Ranges, Ranges], Ranges],
    law: Callable[[set[int], set[int]], set[int]],
    first: Ranges,
    second: Ranges,
) -> None:
    """What is in both, and what is in the first only."""
    made = operation(first, second)
    assert members(made) == law(members(first), members(second))
    assert is_normal(made)


@given(st.sets(st.integers(0, 60)), st.sampled_from(["1m", "4h", "1w", "1M", "3M"]))
def test_bars_that_follow_each_other_are_one_range(bars: set[int], timeframe: str) -> None:
    """The ranges of times cover each bar and nothing else, and do not touch."""
    frame = tu.timeframe.parse(timeframe)
    opens = np.array([frame.shift(frame.floor(0), bar) for bar in sorted(bars)], dtype=np.int64)
    made = of_times(opens, frame)
    assert is_normal(made)
    assert [t for since, until in made for t in frame.range(since, until).tolist()] == opens.tolist()


names = st.text(min_size=1, max_size=400).filter(lambda name: name.encode(errors="replace").decode() == name)


@given(st.lists(names, min_size=1, max_size=4, unique=True))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_every_name_has_a_folder_of_its_own_and_comes_back(symbols: list[str]) -> None:
    """Any text is a symbol; folders are ASCII, short, inside, and differ in more than case."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        keys = [SeriesKey(exchange, symbol, "1m") for symbol in symbols for exchange in ("x", symbol)]
        folders = [str(make_folder(root, key)) for key in keys]
        assert sorted(keys_in(root)) == sorted(set(keys))
        assert len({folder.casefold() for folder in folders}) == len(set(keys))
        for folder in folders:
            parts = Path(folder).relative_to(root).parts
            assert len(parts) == 4
            assert all(part.isascii() and len(part) <= 255 and not part.endswith(".") for part in parts)


@given(st.lists(st.tuples(st.sampled_from(Note), st.integers(0, EDGE), st.integers(0, EDGE)), max_size=30))
@settings(max_examples=40)
def test_notes_count_from_the_last_one_on(notes: list[tuple[Note, int, int]]) -> None:
    """Of each moment the last note counts."""
    told: dict[int, Note] = {}
    with tempfile.TemporaryDirectory() as place:
        for note, since, until in notes:
            note_range(Path(place), note, since, until)
            told.update(dict.fromkeys(range(since, until), note))
        found = read_asked(Path(place))
    assert members(found.ranges) == {moment for moment, note in told.items() if note is Note.ASKED}
    assert members(found.pruned) == {moment for moment, note in told.items() if note is Note.PRUNED}
    assert found.damaged == 0


days = st.integers(0, 45)  # of the year's end, so that months and years are crossed
batches = st.lists(days, min_size=1, max_size=25, unique=True).map(sorted)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), batches),
        st.tuples(st.just("panel"), batches),
        st.tuples(st.sampled_from(["seal", "compact", "open anew", "lock given back"]), st.just([])),
    ),
    max_size=14,
)


@pytest.mark.parametrize("timeframe", ["1h", "1d"])
@given(steps=steps, limit=st.integers(1, 50), window=st.tuples(days, days))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_history_is_a_mapping_of_time_to_candle(
    timeframe: str, steps: list[tuple[str, list[int]]], limit: int, window: tuple[int, int]
) -> None:
    """Whatever is written, sealed, compacted and opened anew in whatever order, the last write of a time is read."""
    frame = tu.timeframe.parse(timeframe)
    start = 1_703_548_800_000  # 2023-12-26
    model: dict[int, float] = {}
    key = SeriesKey("x", "A/B", timeframe)
    with tempfile.TemporaryDirectory() as place:
        history = tu.History(place, seal_rows=12, min_free=0)
        for number, (step, which) in enumerate(steps, 1):
            times = [frame.shift(start, day * (17 if timeframe == "1h" else 1)) for day in which]
            if step in {"write", "panel"}:
                expected = WriteReport(added=sum(t not in model for t in times), changed=sum(t in model for t in times))
                assert history.write(candles(key, times, float(number), panel=step == "panel")) == expected
                model.update(dict.fromkeys(times, float(number)))
            elif step == "open anew":
                history.close()
                history = tu.History(place, seal_rows=12, min_free=0)
            elif step == "lock given back":
                with history.store.writing(key) as writer:
                    writer.close()
            else:
                getattr(history, step)()
        if model:
            check_against(model, history, key, limit, (start + window[0] * 10**8, start + window[1] * 10**8))
        assert history.verify().ok
        history.close()


def candles(key: SeriesKey, times: list[int], value: float, *, panel: bool) -> tu.Candles | tu.Panel:
    prices = np.full(len(times), value)
    made = tu.Candles(
        exchange=key.exchange, symbol=key.symbol, timeframe=key.timeframe, time=np.array(times), open=prices,
        high=prices, low=prices, close=prices, volume=prices,
    )  # fmt: skip
    return tu.Panel.from_candles([made]) if panel else made


def check_against(
    model: dict[int, float], history: tu.History, key: SeriesKey, limit: int, window: tuple[int, int]
) -> None:
    """Read all, a range, and the newest, and compare."""
    name = (key.exchange, key.symbol, key.timeframe)
    within = {time: value for time, value in model.items() if window[0] <= time < window[1]}
    for wanted, found in (
        (model, history.read(*name)),
        (within, history.read(*name, *window)),
        (dict(sorted(model.items())[-limit:]), history.read(*name, limit=limit)),
        (dict(sorted(within.items())[-limit:]), history.read(*name, *window, limit=limit)),
    ):
        assert dict(zip(found.time.tolist(), found.close.tolist(), strict=True)) == wanted
    stored = history.coverage(*name).stored
    assert {t for since, until in stored for t in key.frame.range(since, until).tolist()} == set(model)
    span = history.store.series(key).span(*window)
    assert span == ((min(within), max(within)) if within else None)


def test_folder_of_a_key_does_not_depend_on_the_disk(tmp_path: Path) -> None:
    """The same name has the same folder under every root."""
    key = SeriesKey("binance", "BTC/USDT", "1m")
    assert folder_of(tmp_path, key).relative_to(tmp_path) == folder_of(Path("/"), key).relative_to("/")


@given(
    which=batches,
    sealed=st.booleans(),
    window=st.tuples(days, days),
    part=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
)
@settings(max_examples=40)
@pytest.mark.parametrize("timeframe", ["1h", "1w", "1M"])
def test_coverage_by_the_ends_of_files_is_that_of_the_rows(
    timeframe: str, which: list[int], sealed: bool, window: tuple[int, int], part: tuple[int, int]
) -> None:
    """What is stored is told the same from files that are not decoded as from the candles in them, in any window."""
    frame = tu.timeframe.parse(timeframe)
    start = frame.floor(1_703_548_800_000)
    key = SeriesKey("x", "A/B", timeframe)
    edges = [frame.shift(start, day) + moment * 1_000_003 for day, moment in zip(window, part, strict=True)]
    with tempfile.TemporaryDirectory() as place, tu.History(place, min_free=0) as history:
        times = [frame.shift(start, day) for day in which]
        history.write(candles(key, times, 1.0, panel=False))
        if sealed:
            history.seal()
        stored = history.coverage(key.exchange, key.symbol, timeframe, *edges).stored
    opened = np.array([time for time in times if edges[0] <= time < edges[1]], dtype=np.int64)
    window_range = ((edges[0], edges[1]),) if edges[0] < edges[1] else ()
    assert stored == intersect(of_times(opened, frame), window_range)
