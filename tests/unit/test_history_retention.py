"""Which files retention takes, what it says of them, and what a history costs."""

from __future__ import annotations

import datetime as dt
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import HistoryFull, UnknownName, UsageError
from tradeutils.history import History
from tradeutils.history.retention import HeldFile, choose, parse_ages, parse_bytes
from tradeutils.history.store.layout import SeriesKey, partition_at
from tradeutils.model import Candles
from tradeutils.timeframe import parse

DAY = 86_400_000
JANUARY = 1_704_067_200_000  # 2024-01-01


def held(symbol: str, timeframe: str, first: int, count: int, size: int = 100) -> list[HeldFile]:
    """Return ``count`` months or years of a series, from index ``first`` since 1970."""
    key = SeriesKey("binance", symbol, timeframe)
    parts = [partition_at(index, parse(timeframe)) for index in range(first, first + count)]
    return [HeldFile(key, part, pathlib.Path(part.name), size) for part in parts]


def names(chosen: list[tuple[HeldFile, str]]) -> list[tuple[str, str, str, str]]:
    return [(file.key.symbol, file.key.timeframe, file.part.name, why) for file, why in chosen]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        ("90d", {"*": 90 * DAY}),
        (dt.timedelta(days=90), {"*": 90 * DAY}),
        ("2y", {"*": 730 * DAY}),
        ({"60m": "26w", "*": dt.timedelta(hours=1)}, {"1h": 182 * DAY, "*": DAY // 24}),
    ],
)
def test_ages_are_lengths_of_time(given: Any, expected: dict[str, int]) -> None:
    """As text in the units of timeframes, or a timedelta; for all, or by timeframe."""
    assert parse_ages(given) == expected


@pytest.mark.parametrize("age", ["1m", "ninety", "0d", "-1d", dt.timedelta(0), dt.timedelta(days=-1), 90, None])
def test_age_that_is_none_is_refused(age: Any) -> None:
    """A minute that is meant as a month would leave nothing."""
    with pytest.raises(UsageError, match=r"older_than\['\*'\] was"):
        parse_ages({"*": age})


def test_age_of_no_timeframe_is_refused() -> None:
    """A misspelt timeframe would keep all of it."""
    with pytest.raises(UnknownName, match="timeframe was '1q'"):
        parse_ages({"1q": "90d"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None), (1, 1), (5_000, 5_000), ("5000", 5_000), ("5_000 B", 5_000), ("1.5kB", 1_500),
        ("500GB", 5 * 10**11), ("2TiB", 2**41), ("3 mb", 3 * 10**6), ("1,000K", 10**6),
    ],
)  # fmt: skip
def test_sizes_are_bytes(given: Any, expected: int | None) -> None:
    """In powers of 1000, or of 1024 with an i."""
    assert parse_bytes(given) == expected


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "", "GB", "5 elephants", "1.2.3G", "5PB", "nan", "-5GB"])
def test_size_that_is_none_is_refused(size: Any) -> None:
    """Nothing is taken for what somebody may have meant."""
    with pytest.raises(UsageError, match="max_bytes was"):
        parse_bytes(size)


def test_months_that_are_wholly_older_go() -> None:
    """A month of which one candle is young enough stays whole."""
    files = held("BTC/USDT", "1m", 648, 4)  # 2024-01 to 2024-04
    newest = files[-1].part.until - 60_000
    chosen, over = choose(files, newest=newest, ages={"*": 31 * DAY}, max_bytes=None)
    assert (names(chosen), over) == (
        [("BTC/USDT", "1m", "2024-01.parquet", "age"), ("BTC/USDT", "1m", "2024-02.parquet", "age")], 0
    )  # fmt: skip


def test_ages_differ_by_timeframe() -> None:
    """A timeframe that is not named, without a rule for the others, is kept."""
    files = [*held("A/B", "1m", 640, 2), *held("A/B", "5m", 640, 2), *held("A/B", "1h", 640, 2)]
    newest = partition_at(660, parse("1m")).since
    chosen, _ = choose(files, newest=newest, ages={"1m": DAY, "5m": 10_000 * DAY}, max_bytes=None)
    assert {file.key.timeframe for file, _ in chosen} == {"1m"}
    assert len(choose(files, newest=newest, ages={"1m": 10_000 * DAY, "*": DAY}, max_bytes=None)[0]) == 4


def test_size_takes_the_oldest_in_bars_so_that_coarse_timeframes_outlast_fine_ones() -> None:
    """Ten years of days are younger, in bars, than three months of minutes."""
    files = [*held("A/B", "1m", 645, 4), *held("A/B", "1d", 44, 11)]  # 2023-10 to 2024-01, 2014 to 2024
    newest = partition_at(649, parse("1m")).since
    chosen, over = choose(files, newest=newest, ages={}, max_bytes=15 * 100 - 400)
    assert over == 0
    assert [(frame, name) for _, frame, name, _ in names(chosen)] == [
        ("1m", "2023-10.parquet"), ("1m", "2023-11.parquet"), ("1m", "2023-12.parquet"), ("1d", "2014.parquet")
    ]  # fmt: skip
    assert {why for *_, why in names(chosen)} == {"size"}


def test_newest_file_of_a_series_is_never_taken_for_size() -> None:
    """What is still too much is told."""
    files = [*held("A/B", "1m", 640, 3), *held("C/D", "1m", 648, 1)]
    chosen, over = choose(files, newest=partition_at(649, parse("1m")).since, ages={}, max_bytes=1)
    assert [(symbol, name) for symbol, _, name, _ in names(chosen)] == [
        ("A/B", "2023-05.parquet"), ("A/B", "2023-06.parquet")
    ]  # fmt: skip
    assert over == 199


def test_symbols_to_keep_lose_nothing() -> None:
    """Neither by age nor by size; patterns tell BTC/USDT from BTC/USDT:USDT."""
    files = [file for symbol in ("BTC/USDT", "BTC/USDT:USDT", "X/USDT") for file in held(symbol, "1m", 640, 3)]
    chosen, _ = choose(
        files, newest=partition_at(700, parse("1m")).since, ages={"*": DAY}, max_bytes=1, keep=("BTC/USDT", "Y/*")
    )
    assert {file.key.symbol for file, _ in chosen} == {"BTC/USDT:USDT", "X/USDT"}


@given(
    sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=12),
    others=st.lists(st.integers(1, 1000), max_size=4),
    most=st.integers(1, 8000),
    age=st.none() | st.integers(1, 600),
)
def test_what_goes_is_the_beginning_of_each_series(
    sizes: list[int], others: list[int], most: int, age: int | None
) -> None:
    """No new hole; what is left fits, or is the newest file of each series; and no file more than is needed goes."""
    files = [
        HeldFile(file.key, file.part, file.path, size)
        for series, of in ((held("A/B", "1m", 640, len(sizes)), sizes), (held("A/B", "1d", 50, len(others)), others))
        for file, size in zip(series, of, strict=True)
    ]
    newest = files[len(sizes) - 1].part.until
    ages = {} if age is None else {"1m": age * DAY}
    chosen, over = choose(reversed(files), newest=newest, ages=ages, max_bytes=most)
    gone = [file for file, _ in chosen]
    left = sum(file.bytes for file in files if file not in gone)
    for timeframe in ("1m", "1d"):
        of = [file for file in files if file.key.timeframe == timeframe]
        went = [file for file in gone if file.key.timeframe == timeframe]
        assert went == of[: len(went)]
        if over:
            assert len(of) - len(went) <= 1
    assert over == max(0, left - most)
    by_size = [file for file, why in chosen if why == "size"]
    assert not by_size or left + by_size[-1].bytes > most


# Pruning what is stored


def days_of(days: int, timeframe: str = "1h", symbol: str = "BTC/USDT", first: int = JANUARY) -> Candles:
    """Return candles of so many days."""
    times = parse(timeframe).range(first, first + days * DAY)
    price = np.arange(len(times)) + 1.0
    return Candles(
        exchange="binance", symbol=symbol, timeframe=timeframe, time=times, open=price, high=price + 1, low=price,
        close=price, volume=price,
    )  # fmt: skip


@pytest.fixture
def history(tmp_path: pathlib.Path) -> Iterator[History]:
    """Open a history of 130 days of hours, of January to May of 2024, and of three years of days; all sealed."""
    with History(tmp_path / "store", min_free=0) as opened:
        opened.write([days_of(130), days_of(900, "1d", first=JANUARY - 770 * DAY), days_of(130, symbol="X/USDT")])
        opened.seal()
        yield opened


def stored(history: History, symbol: str = "BTC/USDT", timeframe: str = "1h") -> list[str]:
    folder = next(history.path.rglob(f"timeframe={timeframe}/symbol={symbol.replace('/', '%2F')}"))
    return sorted(path.name.removesuffix(".parquet") for path in folder.glob("*.parquet"))


def test_old_months_go_and_the_rest_reads_as_before(history: History) -> None:
    """The report names each file; a dry run tells the same and deletes nothing."""
    before = history.read("binance", "BTC/USDT", "1h")
    with History(history.path, read_only=True) as reader:
        planned = reader.prune(older_than={"1h": "60d"}, symbols=["BTC/USDT"], dry_run=True)
    assert stored(history) == ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05"]
    report = history.prune(older_than={"1h": "60d"}, symbols=["BTC/USDT"])
    assert stored(history) == ["2024-03", "2024-04", "2024-05"]
    assert stored(history, "X/USDT")[0] == "2024-01"
    assert (planned.dry_run, report.dry_run) == (True, False)
    assert planned.files == report.files
    assert [pathlib.Path(file.path).name for file in report.files] == ["2024-01.parquet", "2024-02.parquet"]
    assert report.rows == 60 * 24
    assert report.to_dict()["bytes"] == report.bytes == sum(file.bytes for file in report.files)
    assert "2 files would go: 1,440 candles" in str(planned)
    assert "2 files deleted: 1,440 candles" in str(report)
    march = JANUARY + 60 * DAY
    assert history.read("binance", "BTC/USDT", "1h") == before.between(march)
    assert history.verify().ok
    assert history.prune(older_than={"1h": "60d"}, symbols=["BTC/USDT"]).files == ()


def test_pruned_range_is_neither_stored_nor_missing(history: History) -> None:
    """A backfill would fetch nothing of it, unless it is told to forget; what was never asked stays missing."""
    history.asked("binance", "BTC/USDT", "1h", JANUARY, JANUARY + 130 * DAY)
    history.prune(older_than="60d", timeframe="1h")
    march = JANUARY + 60 * DAY
    known = history.coverage("binance", "BTC/USDT", "1h", JANUARY - 5 * DAY, JANUARY + 140 * DAY)
    assert known.pruned == ((JANUARY, march),)
    assert known.stored == ((march, JANUARY + 130 * DAY),)
    assert known.missing == ((JANUARY - 5 * DAY, JANUARY), (JANUARY + 130 * DAY, JANUARY + 140 * DAY))
    assert known.empty == ()
    history.noted("forgotten", "binance", "BTC/USDT", "1h", JANUARY, march)
    assert history.coverage("binance", "BTC/USDT", "1h", JANUARY, march).missing == ((JANUARY, march),)


def test_market_that_ended_is_pruned_to_its_last_candle(history: History) -> None:
    """What it may trade later is missing, not pruned."""
    history.write([days_of(10, symbol="OLD/USDT", first=JANUARY - 300 * DAY), days_of(1, symbol="NEW/USDT")])
    history.seal()
    history.prune(older_than="90d", symbols=["OLD/USDT"])
    assert len(history.read("binance", "OLD/USDT", "1h")) == 0
    known = history.coverage("binance", "OLD/USDT", "1h", JANUARY - 301 * DAY, JANUARY)
    assert known.pruned == ((JANUARY - 300 * DAY, JANUARY - 290 * DAY),)
    assert len(known.missing) == 2


def test_candles_of_a_pruned_year_can_be_stored_again(history: History) -> None:
    """Also by a writer that still had them in memory: they are not taken as known."""
    days = history.read("binance", "BTC/USDT", "1d")
    assert history.write(days).unchanged == len(days)  # it remembers the newest thousand
    history.prune(older_than="100d", timeframe="1d")
    assert stored(history, timeframe="1d") == ["2024"]
    report = history.write(days)
    assert (report.added, report.unchanged) == (770, 130)
    assert history.read("binance", "BTC/USDT", "1d") == days
    assert history.coverage("binance", "BTC/USDT", "1d").pruned == ()


def test_writer_of_another_process_knows_that_candles_went(tmp_path: pathlib.Path) -> None:
    """It had them in memory, gave the series back, and is asked to store them once more."""
    days = days_of(800, "1d")
    with History(tmp_path, min_free=0) as mine:
        mine.write(days)
        mine.seal()
        mine.write(days)  # all known
        program = textwrap.dedent(f"""
            from tradeutils.history import History
            with History({str(tmp_path)!r}, min_free=0) as other:
                print(other.prune(older_than="200d").rows)
        """)
        with mine.store.writing(mine.series()[0]) as writer:
            writer.close()  # as when many other series were written to
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert ran.stdout.strip() == "366"
        assert mine.write(days).added == 366
        assert len(mine.read("binance", "BTC/USDT", "1d")) == 800


def test_unsealed_corrections_of_a_pruned_month_go_with_it(history: History) -> None:
    """Or the month would come back with those few candles alone; newer ones in the journal stay."""
    history.write([days_of(1), days_of(2, first=JANUARY + 130 * DAY)])
    changed = days_of(1)[:3]
    history.write(
        Candles(
            exchange="binance",
            symbol="BTC/USDT",
            timeframe="1h",
            time=changed.time,
            open=changed.open,
            high=changed.high + 5,
            low=changed.low,
            close=changed.close,
            volume=changed.volume,
        )
    )
    history.prune(older_than="60d", timeframe="1h")
    assert stored(history)[0] == "2024-03"
    read = history.read("binance", "BTC/USDT", "1h")
    assert (read.time[0], read.time[-1]) == (JANUARY + 60 * DAY, JANUARY + 132 * DAY - DAY // 24)


def test_room_is_made_from_the_oldest(history: History) -> None:
    """Fine timeframes before coarse ones; what is left takes no more than was said, or is told."""
    sizes = {path: path.stat().st_size for path in history.path.rglob("*.parquet")}
    days = sum(size for path, size in sizes.items() if "timeframe=1d" in str(path))
    most = sum(sizes.values()) - 3_000
    report = history.prune(max_bytes=most)
    assert report.kept_bytes <= most
    assert report.over == 0
    assert {file.timeframe for file in report.files} == {"1h"}
    assert {file.why for file in report.files} == {"size"}
    least = history.prune(max_bytes=1, keep=["X/*"])
    assert (stored(history), stored(history, timeframe="1d")) == (["2024-05"], ["2024"])
    assert len(stored(history, "X/USDT")) > 1
    assert least.over == least.kept_bytes - 1
    assert "more than max_bytes" in str(least)
    assert days


def test_age_is_not_counted_from_a_clock_that_jumped(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ahead by ten years, or back: nothing that is young in the history goes, and nothing by a candle of the future."""
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    assert history.prune(older_than="200d", timeframe="1h", dry_run=True).files == ()
    monkeypatch.setattr(time, "time", lambda: (JANUARY + 50 * DAY) / 1000)
    assert history.prune(older_than="30d", timeframe="1h", dry_run=True).files == ()


def test_what_is_not_ours_stays(history: History) -> None:
    """Files of others, links, folders and notes in the folders of a series are not looked at."""
    folder = next(history.path.rglob("timeframe=1h/symbol=BTC%2FUSDT"))
    (folder / "mine.parquet").write_bytes(b"mine")
    (folder / "2020.parquet").write_bytes(b"a year among months")
    (folder / "2019-01.parquet").mkdir()
    (folder / "2019-02.parquet").symlink_to(folder / "mine.parquet")
    before = {path.name for path in folder.iterdir()}
    history.prune(older_than="1d", max_bytes=1)
    assert before - {path.name for path in folder.iterdir()} == {f"2024-0{month}.parquet" for month in range(1, 5)}


def test_damaged_months_go_as_well(history: History) -> None:
    """Age is read from the name; a file that cannot be read must not stop the room from being made."""
    folder = next(history.path.rglob("timeframe=1h/symbol=BTC%2FUSDT"))
    (folder / "2024-01.parquet").write_bytes(b"damaged")
    (folder / "2024-05.parquet").write_bytes(b"damaged")
    report = history.prune(older_than="60d", timeframe="1h")
    assert [(file.rows > 0) for file in report.files] == [False, True, True, True]
    assert not (folder / "2024-01.parquet").exists()


def test_series_that_another_writes_is_left_and_told(history: History) -> None:
    """It is pruned by who writes it."""
    history.close()
    with History(history.path, min_free=0) as writer, History(history.path, min_free=0) as other:
        writer.write(days_of(1))
        report = other.prune(older_than="60d", timeframe="1h")
        assert list(report.skipped) == ["binance BTC/USDT 1h"]
        assert {file.symbol for file in report.files} == {"X/USDT"}
        assert report.kept_bytes == sum(path.stat().st_size for path in other.path.rglob("timeframe=1h/*/*.parquet"))
        assert "1 series skipped" in str(report)
    assert stored(history)[0] == "2024-01"


def test_series_with_a_damaged_journal_is_left_and_told(history: History) -> None:
    """What it holds of the month would be lost without a word."""
    history.close()
    journal = next(history.path.rglob("timeframe=1h/symbol=BTC%2FUSDT")) / "_journal"
    journal.write_bytes(b"x" * 100)
    with History(history.path, min_free=0) as other:
        report = other.prune(older_than="60d", timeframe="1h")
    assert "_journal" in report.skipped["binance BTC/USDT 1h"]
    assert {file.symbol for file in report.files} == {"X/USDT"}
    assert stored(history)[0] == "2024-01"


def test_unsealed_candles_of_a_pruned_month_are_counted_and_noted(history: History) -> None:
    """Before the first and after the last that are sealed: else they would seem empty, or be fetched again."""
    first = JANUARY - 300 * DAY  # 2023-03-07
    for begin in (0, 4, -3):
        history.write(days_of(2, symbol="OLD/USDT", first=first + begin * DAY))
        history.seal() if begin == 0 else None
    history.asked("binance", "OLD/USDT", "1h", first - 3 * DAY, first + 6 * DAY)
    planned = history.prune(older_than="90d", symbols=["OLD/USDT"], dry_run=True)
    report = history.prune(older_than="90d", symbols=["OLD/USDT"])
    assert report.rows == planned.rows == 6 * 24
    assert len(history.read("binance", "OLD/USDT", "1h")) == 0
    known = history.coverage("binance", "OLD/USDT", "1h", first - 3 * DAY, first + 6 * DAY)
    assert (known.pruned, known.empty) == (((first - 3 * DAY, first + 6 * DAY),), ())


def test_salvage_does_not_bring_back_what_was_pruned(history: History) -> None:
    """A damaged journal makes what was asked forgotten, and nothing else."""
    history.prune(older_than="60d", timeframe="1h")
    history.close()
    journal = next(history.path.rglob("timeframe=1h/symbol=BTC%2FUSDT")) / "_journal"
    journal.write_bytes(b"x" * 100)
    with History(history.path, min_free=0) as other:
        assert other.salvage().series == 1
        known = other.coverage("binance", "BTC/USDT", "1h", JANUARY, JANUARY + 130 * DAY)
        assert (known.pruned, known.missing) == (((JANUARY, JANUARY + 60 * DAY),), ())


def test_full_disk_can_be_pruned(history: History) -> None:
    """That is when it is needed most: even the note that it was on purpose may need the room that it makes."""
    history.close()
    with History(history.path, min_free=1 << 60) as full:
        with pytest.raises(HistoryFull):
            full.write(days_of(1, first=JANUARY + 130 * DAY))
        full.prune(older_than="60d", timeframe="1h")
    assert stored(history)[0] == "2024-03"


def test_note_that_has_no_room_is_written_when_there_is(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write of it fails as on a full disk."""
    real, calls = os.pwrite, []

    def pwrite(handle: int, data: bytes, offset: int) -> int:
        calls.append(handle)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        return real(handle, data, offset)

    with history.store.writing(history.key("binance", "BTC/USDT", "1h")) as writer:
        writer.open()
    monkeypatch.setattr(os, "pwrite", pwrite)
    history.prune(older_than="60d", timeframe="1h", symbols=["BTC/USDT"])
    assert stored(history)[0] == "2024-03"
    assert history.coverage("binance", "BTC/USDT", "1h").pruned == ((JANUARY, JANUARY + 60 * DAY),)


def test_wrong_calls_are_refused_before_anything_goes(history: History) -> None:
    """Nothing said, a read-only history, names that are not stored, patterns that are one text."""
    for wrong, said in (
        ({}, "nothing said what may go"),
        ({"older_than": "60d", "keep": "BTC/*"}, "give a list"),
        ({"older_than": "60d", "symbols": ["BTC/USD"]}, "symbol was"),
        ({"older_than": "60d", "exchange": "okx"}, "exchange was"),
        ({"older_than": "60d", "max_bytes": "much"}, "max_bytes was"),
    ):
        with pytest.raises(UsageError, match=said):
            history.prune(**wrong)  # type: ignore[arg-type]
    with History(history.path, read_only=True) as reader, pytest.raises(UsageError, match="read_only=True"):
        reader.prune(older_than="60d")
    assert len(stored(history)) == 5


def test_readers_beside_a_pruning_writer_see_no_error(history: History) -> None:
    """Each read is a stretch without a hole up to the newest candle, ever shorter."""
    ended = threading.Event()

    def prune() -> None:
        for age in (100, 70, 40, 10):
            history.prune(older_than=f"{age}d", timeframe="1h")
            time.sleep(0.02)
        ended.set()

    thread = threading.Thread(target=prune)
    thread.start()
    firsts = []
    with History(history.path, read_only=True) as reader:
        while not ended.is_set():
            read = reader.read("binance", "BTC/USDT", "1h")
            assert not read.gaps()
            assert read.time[-1] == JANUARY + 130 * DAY - DAY // 24
            firsts.append(int(read.time[0]))
    thread.join()
    assert firsts == sorted(firsts)


def test_killed_pruning_leaves_no_hole_that_a_backfill_fills(tmp_path: pathlib.Path) -> None:
    """After a kill at any moment what is gone is noted as pruned, what is there reads, and pruning again ends it."""
    program = textwrap.dedent(f"""
        import sys
        from tradeutils.history import History
        print("ready", flush=True)
        sys.stdin.readline()
        with History({str(tmp_path)!r}, min_free=0) as history:
            history.prune(older_than="1d")
        print("done", flush=True)
    """)
    rng = np.random.default_rng(3)
    whole = days_of(400)
    for _ in range(5):
        with History(tmp_path, min_free=0) as history:
            history.write(whole)
            history.seal()
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
            time.sleep(rng.uniform(0.0, 0.04))
            process.send_signal(signal.SIGKILL)
        with History(tmp_path, min_free=0) as history:
            assert history.verify().ok
            assert history.coverage("binance", "BTC/USDT", "1h", JANUARY, JANUARY + 400 * DAY).missing == ()
            read = history.read("binance", "BTC/USDT", "1h")
            assert read == whole.between(int(read.time[0]))
            history.prune(older_than="1d")
            assert stored(history) == ["2025-02"]


# What a history costs


def test_stats_count_what_is_there(history: History) -> None:
    """Candles once, whether sealed or not; corrections in a journal are no new candles."""
    history.write(days_of(2, first=JANUARY + 129 * DAY))  # a day that is there, and one that is new
    history.write([days_of(1)[:2], Candles.from_rows([[5, 1, 1, 1, 1, 1]], timeframe="1h", exchange="x", symbol="Y/Z")])
    found = history.stats()
    hours = next(one for one in found.series if (one.symbol, one.timeframe) == ("BTC/USDT", "1h"))
    assert (hours.rows, hours.files) == (131 * 24, 5)
    assert (hours.first, hours.last) == (JANUARY, JANUARY + 131 * DAY - DAY // 24)
    assert hours.unsealed == 24
    assert found.rows == (131 + 130) * 24 + 900
    assert (found.unsealed, found.quarantined, found.damaged) == (24, 1, ())
    sizes = [path.stat().st_size for path in history.path.rglob("*.parquet")]
    assert (found.files, found.bytes) == (len(sizes), sum(sizes))
    assert found.bytes_a_candle == pytest.approx(sum(sizes) / (found.rows - 24))
    assert found.first == JANUARY - 770 * DAY
    assert found.journal_bytes >= 24 * 52
    assert found.free_bytes > 0
    assert "24 not sealed; 1 quarantined" in str(found)
    history.seal()
    assert history.stats(timeframe="1h", symbols=["BTC/USDT"]).rows == hours.rows
    assert history.stats(timeframe="1h", symbols=["BTC/USDT"]).unsealed == 0


def test_growth_is_projected_from_the_series_that_grow(history: History) -> None:
    """A bar each timeframe at today's bytes; a market that ended long ago adds nothing."""
    history.write(days_of(10, "1m", symbol="OLD/USDT", first=JANUARY - 700 * DAY))
    history.seal()
    found = history.stats()
    assert found.bytes_a_candle is not None
    assert found.growth_bytes_a_day == pytest.approx(found.bytes_a_candle * (24 + 24 + 1))
    assert found.days_until_full == pytest.approx(found.free_bytes / found.growth_bytes_a_day)
    assert found.to_dict()["days_until_full"] == found.days_until_full


def test_empty_history_has_stats(tmp_path: pathlib.Path) -> None:
    """Nothing stored, nothing grows, nothing is divided by."""
    (tmp_path / "new").mkdir()
    with History(tmp_path / "new") as history:
        found = history.stats()
        assert (found.rows, found.bytes_a_candle, found.first, found.days_until_full) == (0, None, None, None)
        assert str(found) == "0 series, 0 candles in 0 files, 0 bytes"
    with History(tmp_path / "not" / "there") as history:
        assert history.stats().free_bytes > 0


def test_damaged_files_are_told_and_not_counted(history: History) -> None:
    """Statistics of the others are there all the same."""
    folder = next(history.path.rglob("timeframe=1h/symbol=BTC%2FUSDT"))
    (folder / "2024-01.parquet").write_bytes(b"PAR1 nothing")
    (next(history.path.rglob("timeframe=1h/symbol=X%2FUSDT")) / "_journal").write_bytes(b"nothing")
    found = history.stats(timeframe="1h")
    assert len(found.damaged) == 2
    assert found.rows == (130 + 130 - 31) * 24
    assert "2 files damaged" in str(found)
