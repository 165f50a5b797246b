"""A reader beside a writer that acts at the worst moment: between the journal, the list of files, and each file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.errors import HistoryCorrupt, HistoryError
from tradeutils.history import SeriesKey
from tradeutils.history.store.layout import folder_of
from tradeutils.history.store.partitions import read_partition
from tradeutils.history.store.rows import Rows
from tradeutils.history.store.series import Series

HOUR = 3_600_000
FIRST = 473_300  # two days before 2024
KEY = SeriesKey("binance", "BTC/USDT", "1h")


def bars(first: int, count: int, value: float = 1.0) -> tu.Candles:
    prices = np.full(count, value)
    return tu.Candles(
        exchange=KEY.exchange, symbol=KEY.symbol, timeframe=KEY.timeframe, open=prices, high=prices, low=prices,
        time=(FIRST + first + np.arange(count, dtype=np.int64)) * HOUR, close=prices, volume=prices,
    )  # fmt: skip


class Meddling:
    """Reads partitions, and does something each time after or before."""

    def __init__(self, act: Callable[[int], None], *, before: bool) -> None:
        self.act = act
        self.before = before
        self.count = 0

    def __call__(
        self, path: Path, *, since: int | None = None, until: int | None = None, last: int | None = None
    ) -> Rows:
        self.count += 1
        if self.before:
            self.act(self.count)
        try:
            return read_partition(path, since=since, until=until, last=last)
        finally:
            if not self.before:
                self.act(self.count)


def found(series: Series, last: int | None = None) -> dict[int, float]:
    rows = series.rows(last=last)
    return dict(zip((rows.time // HOUR - FIRST).tolist(), rows.close.tolist(), strict=True))


@pytest.fixture
def history(tmp_path: Path) -> tu.History:
    history = tu.History(tmp_path, seal_rows=500, min_free=0)
    history.write(bars(0, 200))
    history.seal()
    history.write(bars(190, 20, 2.0))
    return history


@pytest.mark.parametrize("last", [None, 15, 150], ids=str)
@pytest.mark.parametrize("before", [True, False], ids=["before a file", "after a file"])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("deed", ["seal", "write", "seal and write", "write a lot", "compact"])
def test_writer_that_acts_while_a_reader_reads_takes_nothing_from_it(
    history: tu.History, deed: str, at: int, before: bool, last: int | None
) -> None:
    """All that was acknowledged before is there, whichever step of the reader the writer comes between."""

    def act(count: int) -> None:
        if count != at:
            return
        if "seal" in deed:
            history.seal()
        if deed == "compact":
            history.compact()
        if "write" in deed:
            history.write(bars(205, 30, 3.0))
        if "lot" in deed:
            history.write(bars(0, 600, 4.0))

    known = {**dict.fromkeys(range(200), 1.0), **dict.fromkeys(range(190, 210), 2.0)}
    series = Series(KEY, folder_of(history.path, KEY), Meddling(act, before=before))
    seen = found(series, last)
    newest = sorted(seen)
    assert newest == list(range(newest[0], newest[-1] + 1))
    assert newest[-1] >= 209
    assert len(seen) == last if last else newest[0] == 0
    assert all(seen[hour] >= known.get(hour, 3.0) for hour in seen)
    assert len(found(series)) >= 210
    history.close()


def test_reader_beside_a_writer_that_never_rests_has_all_that_was_acknowledged(history: tu.History) -> None:
    """A journal that is another one at every look ends the looking, not the truth."""
    written = {"next": 300}

    def act(_: int) -> None:
        history.write(bars(written["next"], 1, 5.0))
        history.seal()
        written["next"] += 1

    meddling = Meddling(act, before=False)
    seen = found(Series(KEY, folder_of(history.path, KEY), meddling))
    assert {**dict.fromkeys(range(200), 1.0), **dict.fromkeys(range(190, 210), 2.0)}.items() <= seen.items()
    assert meddling.count <= 10
    history.close()


def test_file_that_is_gone_makes_the_reader_begin_anew(history: tu.History) -> None:
    """What retention took after it was listed is not there; all else is."""

    def act(count: int) -> None:
        if count == 1:
            with history.store.writing(KEY) as writer:
                part = writer.series.partitions()[0]
                writer.prune([part], part.since, part.until)

    seen = found(Series(KEY, folder_of(history.path, KEY), Meddling(act, before=True)))
    assert sorted(seen) == list(range(52, 210))
    history.close()


def test_files_that_never_stay_are_an_error(history: tu.History) -> None:
    """A folder in which what is listed is never there says so, and does not read as empty."""

    def gone(path: Path, *, since: int | None = None, until: int | None = None, last: int | None = None) -> Rows:
        raise FileNotFoundError(path)

    with pytest.raises(HistoryError, match="went away while they were read"):
        Series(KEY, folder_of(history.path, KEY), gone).rows()
    history.close()


def test_file_under_the_name_of_another_month_is_damage(history: tu.History) -> None:
    """Candles outside the month that the name says would be found by some ranges and not by others."""
    here = folder_of(history.path, KEY)
    (here / "2023-12.parquet").rename(here / "2023-11.parquet")
    with pytest.raises(HistoryCorrupt, match=r"2023-11\.parquet holds candles from .* give it back its own name"):
        history.read("binance", "BTC/USDT", "1h")
    (damage,) = history.verify().damages
    assert damage.problem.startswith(f"{here}/2023-11.parquet holds candles from")
    history.close()


def test_rows_that_are_no_candles_are_found_in_files(history: tu.History) -> None:
    """What could not have been written by us is told, in Parquet and in the journal."""
    here = folder_of(history.path, KEY)
    one = np.ones(1)
    off = Rows(np.array([FIRST * HOUR + 1]), one, one, one, one, one)
    from tradeutils.history.store.journal import put_journal
    from tradeutils.history.store.partitions import write_partition

    write_partition(here / "2023-12.parquet", off)
    history.close()
    put_journal(here / "_journal", off, 9)
    with tu.History(history.path) as other:
        problems = [damage.problem for damage in other.verify().damages]
    assert len(problems) == 2
    assert all("1 rows that are no candles" in problem and "off_grid" in problem for problem in problems)


def test_parts_follow_each_other(history: tu.History) -> None:
    """The parts that a panel is filled from are the rows, month by month, with the journal's in their places."""
    series = history.store.series(KEY)
    for window in ((None, None), ((FIRST + 40) * HOUR, (FIRST + 205) * HOUR), ((FIRST + 300) * HOUR, None)):
        parts = series.parts(*window)
        whole = series.rows(*window)
        assert [t for part in parts for t in part.time.tolist()] == whole.time.tolist()
        assert all(len(part) for part in parts)
    assert series.span(newest=True) == ((FIRST + 209) * HOUR,) * 2
    assert series.span((FIRST + 500) * HOUR, newest=True) is None
    history.close()


def test_tail_that_follows_a_file_copies_none_of_it(tmp_path: Path) -> None:
    """What a panel is filled from are the rows of the file as they were decoded, then those of the journal."""
    decoded = []

    def read(path: Path, *, since: int | None = None, until: int | None = None, last: int | None = None) -> Rows:
        decoded.append(read_partition(path, since=since, until=until, last=last))
        return decoded[-1]

    with tu.History(tmp_path, seal_rows=500, min_free=0) as history:
        history.write(bars(60, 100))
        history.seal()
        history.write(bars(160, 5, 2.0))
        file, tail = Series(KEY, folder_of(history.path, KEY), read).parts()
        assert file is decoded[0]
        assert tail.close.tolist() == [2.0] * 5


def test_ends_of_files_tell_from_when_to_when_a_series_is(history: tu.History) -> None:
    """No row is decoded for the first and the last candle, but where a range begins or ends inside a file."""
    history.seal()
    meddling = Meddling(lambda _: None, before=True)
    series = Series(KEY, folder_of(history.path, KEY), meddling)
    hour = FIRST * HOUR
    assert series.span() == (hour, hour + 209 * HOUR)
    assert series.span(hour - HOUR, hour + 210 * HOUR) == (hour, hour + 209 * HOUR)
    assert meddling.count == 0
    assert series.span(hour + 1, hour + 100 * HOUR) == (hour + HOUR, hour + 99 * HOUR)
    assert meddling.count == 2
    history.close()


def test_every_step_of_a_writer_leaves_a_history_that_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after every write, sync and rename: a copy taken then holds all that was acknowledged."""
    root = tmp_path / "candles"
    acknowledged: dict[int, float] = {}
    steps = {"count": 0}
    watching = {"on": True}

    def look() -> None:
        if not watching["on"] or not acknowledged:
            return
        watching["on"] = False
        copy = tmp_path / f"copy{steps['count']}"
        shutil.copytree(root, copy)
        with tu.History(copy, min_free=0) as history:
            seen = history.read(KEY.exchange, KEY.symbol, KEY.timeframe)
            held = dict(zip((seen.time // HOUR - FIRST).tolist(), seen.close.tolist(), strict=True))
            assert all(held.get(hour, -1.0) >= value for hour, value in acknowledged.items())
            assert history.verify().ok
            assert history.write(bars(5_000, 1)).added == 1
        shutil.rmtree(copy)
        steps["count"] += 1
        watching["on"] = True

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            look()
            done = original(*given, **named)
            look()
            return done

        return call

    for target, name in ((os, "fsync"), (os, "fdatasync"), (os, "pwrite"), (os, "ftruncate"), (Path, "replace")):
        monkeypatch.setattr(target, name, watched(getattr(target, name)))
    with tu.History(root, seal_rows=20, min_free=0) as history:
        for value, (first, count) in enumerate([(0, 12), (40, 15), (10, 6), (30, 25), (0, 1), (90, 60), (5, 3)], 1):
            history.write(bars(first, count, float(value)))
            acknowledged.update(dict.fromkeys(range(first, first + count), float(value)))
        history.seal()
        history.write(bars(2, 4, 9.0))
        history.compact()
    assert steps["count"] > 60
