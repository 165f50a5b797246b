"""What `History` stores, what it tells about it, and what it refuses."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.errors import Closed, HistoryError, HistoryFull, HistoryLocked, UnknownName, UsageError
from tradeutils.history import SeriesKey, WriteReport
from tradeutils.history.reports import Quarantined

MINUTE = 60_000
START = 28_400_000  # minutes: 2023-12-31 05:20, so that a few days lie in two months and two years
NAME = ("binance", "BTC/USDT", "1m")


def bars(first: int, count: int, *, add: float = 0.0, step: int = MINUTE, **changes: Any) -> tu.Candles:
    """Return candles from the minute ``first`` after the start on; their close says when they open."""
    time = (START * MINUTE + first * step) + np.arange(count, dtype=np.int64) * step
    close = 100.0 + (time // MINUTE % 1_000) / 8 + add
    columns: dict[str, Any] = {
        "exchange": "binance", "symbol": "BTC/USDT", "timeframe": "1m", "time": time, "open": close,
        "high": close + 2, "low": close - 2, "close": close, "volume": close / 4,
    }  # fmt: skip
    return tu.Candles(**{**columns, **changes})


@pytest.fixture
def history(tmp_path: Path) -> Iterator[tu.History]:
    with tu.History(tmp_path / "candles", seal_rows=1_000, min_free=0) as opened:
        yield opened


def folder(history: tu.History) -> Path:
    return history.path / "exchange=binance/market=spot/timeframe=1m/symbol=BTC%2FUSDT"


def test_candles_come_back_as_they_were_written(history: tu.History) -> None:
    """What is written is read, equal in every column."""
    assert history.write(bars(0, 700)) == WriteReport(added=700)
    assert history.read(*NAME) == bars(0, 700)


def test_another_history_reads_what_was_written(history: tu.History) -> None:
    """What `write` acknowledged is on the disk, and needs no closing."""
    history.write(bars(0, 5))
    assert tu.History(history.path, read_only=True).read(*NAME) == bars(0, 5)


def test_forming_candles_are_left_out(history: tu.History) -> None:
    """The bar that is not over is counted and not stored."""
    closed = np.array([True, True, False])
    assert history.write(bars(0, 3, closed=closed)) == WriteReport(added=2, forming=1)
    assert history.read(*NAME) == bars(0, 2)
    assert history.write(bars(2, 1, closed=np.array([False]))) == WriteReport(forming=1)


def test_the_last_write_of_a_candle_stands(history: tu.History) -> None:
    """A candle that is written again takes the place of the first, in the journal and in Parquet."""
    history.write(bars(0, 10))
    history.seal()
    assert history.write(bars(4, 8, add=1.0)) == WriteReport(added=2, changed=6)
    assert history.write(bars(5, 1, add=2.0)) == WriteReport(changed=1)
    found = history.read(*NAME)
    assert found.close.tolist() == [*bars(0, 4).close, bars(4, 1, add=1.0).close[0], bars(5, 1, add=2.0).close[0],
                                    *bars(6, 6, add=1.0).close]  # fmt: skip


def test_candles_that_are_stored_are_not_written_again(history: tu.History) -> None:
    """A poll of what is known costs no write: the journal stays as it was, also where volumes are not known."""
    unknown = np.full(20, np.nan)
    history.write(bars(0, 20, volume=unknown))
    before = (folder(history) / "_journal").read_bytes()
    assert history.write(bars(0, 20, volume=unknown)) == WriteReport(unchanged=20)
    assert (folder(history) / "_journal").read_bytes() == before


def test_candles_far_back_are_compared_with_what_is_stored(history: tu.History) -> None:
    """Candles older than what is kept in memory are compared with the files."""
    history.write(bars(0, 5_000))
    assert history.write(bars(10, 20)) == WriteReport(unchanged=20)
    assert history.write(bars(10, 2, add=1.0)) == WriteReport(changed=2)
    assert history.write(bars(-3, 5)) == WriteReport(added=3, unchanged=2)
    assert len(history.read(*NAME)) == 5_003


def test_since_is_inclusive_and_until_exclusive(history: tu.History) -> None:
    """The range is half-open, in ms or as aware datetimes."""
    history.write(bars(0, 100))
    since, until = int(bars(10, 1).time[0]), int(bars(20, 1).time[0])
    assert history.read(*NAME, since, until) == bars(10, 10)
    moments = [dt.datetime.fromtimestamp(t / 1000, dt.UTC) for t in (since, until)]
    assert history.read(*NAME, *moments) == bars(10, 10)
    assert len(history.read(*NAME, until, since)) == 0


@pytest.mark.parametrize("limit", [1, 5, 12, 1_500, 3_000, 9_999])
def test_limit_is_the_newest_of_the_range(history: tu.History, limit: int) -> None:
    """The newest are counted over the journal and as many files as it takes."""
    history.write(bars(0, 2_500))
    history.write(bars(2_495, 10, add=1.0))
    history.write(bars(3, 2, add=1.0))
    everything = history.read(*NAME)
    assert len(everything) == 2_505
    assert history.read(*NAME, limit=limit) == everything[-limit:]
    until = int(everything.time[1_600])
    assert history.read(*NAME, until=until, limit=limit) == everything[:1_600][-limit:]


@pytest.mark.parametrize("limit", [0, -1, 2.5, True])
def test_limit_that_is_no_count_is_refused(history: tu.History, limit: Any) -> None:
    """Nothing but a whole number from 1 on is a limit."""
    history.write(bars(0, 1))
    with pytest.raises(UsageError, match="limit was"):
        history.read(*NAME, limit=limit)


def test_limit_counts_a_changed_candle_once(history: tu.History) -> None:
    """Candles that lie in the journal and in a file are one: the file before it is looked into as well."""
    history.write(bars(0, 1_200))
    history.seal()
    history.write(bars(1_150, 45, add=1.0))
    assert history.read(*NAME, limit=100) == history.read(*NAME)[-100:]


def test_newest_candles_far_ahead_of_the_files_are_read_from_the_journal_alone(history: tu.History) -> None:
    """A file that cannot hold the newest is not opened: here it could not even be read."""
    history.write(bars(0, 50))
    history.seal()
    history.write(bars(100_000, 20))
    for part in folder(history).glob("*.parquet"):
        part.write_bytes(b"damaged")
    assert history.read(*NAME, limit=20) == bars(100_000, 20)


def test_panel_is_stored_by_symbol(history: tu.History) -> None:
    """The columns of a panel are series; where a symbol has no candle, none is stored."""
    time = bars(0, 3).time
    prices = np.array([[1.0, np.nan], [2.0, 5.0], [3.0, 6.0]])
    panel = tu.Panel(
        exchange="binance", symbols=["A/USDT", "B/USDT"], timeframe="1m", time=time, open=prices, high=prices,
        low=prices, close=prices, volume=prices, closed=np.array([True, True, False]),
    )  # fmt: skip
    assert history.write(panel) == WriteReport(added=3, forming=2)
    assert history.read("binance", "A/USDT", "1m").close.tolist() == [1.0, 2.0]
    assert history.read("binance", "B/USDT", "1m").time.tolist() == [time[1]]


def test_many_candles_are_written_in_their_order(history: tu.History) -> None:
    """Of one series given twice the later stands, however many others there are."""
    others = [bars(0, 2, symbol=f"C{i}/USDT") for i in range(40)]
    report = history.write(iter([bars(0, 2), *others, bars(1, 2, add=1.0)]))
    assert report == WriteReport(added=83, changed=1)
    assert history.read(*NAME).close.tolist() == [*bars(0, 1).close, *bars(1, 2, add=1.0).close]
    assert len(history.series()) == 41


def test_one_series_that_fails_does_not_stop_the_others(history: tu.History) -> None:
    """Where another process writes one of many series, the rest is stored and the error says which."""
    names = [f"C{i}/USDT" for i in range(10)]
    with tu.History(history.path, min_free=0) as other:
        other.write([bars(0, 1, symbol=name) for name in names[:2]])
        with pytest.raises(HistoryLocked, match="symbol=C0%2FUSDT") as raised:
            history.write([bars(1, 1, symbol=name) for name in names])
        assert raised.value.__notes__ == ["1 more series failed"]
    assert [len(history.read("binance", name, "1m")) for name in names] == [1] * 10


def test_exchange_is_a_name_or_anything_with_a_venue(history: tu.History) -> None:
    """Candles that do not say where they are from take it from ``exchange=``."""

    class Venue:
        venue = "kraken"

    history.write(bars(0, 1, exchange=""), exchange=Venue())
    assert history.series() == [SeriesKey("kraken", "BTC/USDT", "1m")]
    assert len(history.read(Venue(), "BTC/USDT", "1m")) == 1


@pytest.mark.parametrize(
    ("given", "exchange", "problem"),
    [
        (bars(0, 1, exchange=""), None, "do not say their exchange"),
        (bars(0, 1), "kraken", "exchange was 'kraken'"),
        (bars(0, 1, symbol=""), None, "do not say their symbol"),
        ([1], None, "one of the candles was 1"),
        (7, None, "candles was 7"),
        ("BTC/USDT", None, "candles was 'BTC/USDT'"),
        (bars(0, 1), 5, "exchange was 5"),
        (tu.Panel.from_candles([bars(0, 1)]), "kraken", "exchange of the panel is 'binance'"),
    ],
    ids=["no exchange", "two exchanges", "no symbol", "list of ints", "int", "text", "exchange of ints", "panel"],
)
def test_what_is_no_candles_of_a_series_is_refused(
    history: tu.History, given: Any, exchange: Any, problem: str
) -> None:
    """A write that does not say what it is of stores nothing, and says what to write."""
    with pytest.raises(UsageError, match=problem):
        history.write(given, exchange=exchange)
    assert not history.series()


def test_unknown_symbol_is_answered_with_the_nearest(history: tu.History) -> None:
    """A series that is not there is an error and not an empty answer."""
    history.write(bars(0, 1))
    with pytest.raises(UnknownName, match=r"did you mean BTC/USDT|has BTC/USDT"):
        history.read("binance", "BTC/USDC", "1m")
    with pytest.raises(UnknownName, match=r"timeframe was '5m'; .* has 1m"):
        history.read("binance", "BTC/USDT", "5m")
    with pytest.raises(UnknownName, match="has none"):
        history.read("kraken", "BTC/USDT", "1m")


def test_series_are_listed_by_exchange_timeframe_and_symbols(history: tu.History) -> None:
    """What is stored is found again, in order."""
    history.write([bars(0, 1), bars(0, 1, symbol="ETH/USDT"), bars(0, 1, exchange="kraken")])
    history.write(bars(0, 1, step=300_000, timeframe="5m"))
    assert [str(key) for key in history.series()] == [
        "binance BTC/USDT 1m", "binance BTC/USDT 5m", "binance ETH/USDT 1m", "kraken BTC/USDT 1m",
    ]  # fmt: skip
    assert [key.symbol for key in history.series("binance", "1m")] == ["BTC/USDT", "ETH/USDT"]
    assert [key.exchange for key in history.series(symbols=["BTC/USDT"], timeframe="1m")] == ["binance", "kraken"]
    with pytest.raises(UsageError, match=r"symbols was 'BTC/USDT'"):
        history.series(symbols="BTC/USDT")


def test_coverage_knows_asked_and_empty_from_never_asked(history: tu.History) -> None:
    """A range that the venue was asked for and that holds no candle is empty, and not missing."""
    t = [int(x) for x in bars(0, 100).time]
    history.write(bars(0, 10))
    history.write(bars(20, 10))
    history.asked(*NAME, t[5], t[15])
    seen = history.coverage(*NAME)
    assert (seen.since, seen.until) == (t[0], t[30])
    assert seen.stored == ((t[0], t[10]), (t[20], t[30]))
    assert seen.asked == ((t[5], t[15]),)
    assert seen.empty == ((t[10], t[15]),)
    assert seen.missing == ((t[15], t[20]),)
    assert not seen.complete
    wider = history.coverage(*NAME, t[3] - 7 * MINUTE, t[40])
    assert wider.missing == ((t[3] - 7 * MINUTE, t[0]), (t[15], t[20]), (t[30], t[40]))
    assert wider.stored == ((t[0], t[10]), (t[20], t[30]))


def test_coverage_of_nothing_is_all_missing(history: tu.History) -> None:
    """A series that was never written to is no error here: it is what a backfill begins with."""
    seen = history.coverage(*NAME, 0, MINUTE)
    assert (seen.stored, seen.asked, seen.empty) == ((), (), ())
    assert seen.missing == ((0, MINUTE),)
    assert history.coverage(*NAME).complete
    assert not history.path.exists()


def test_asked_alone_makes_a_series(history: tu.History) -> None:
    """A venue that has nothing is known to have nothing: reading gives no candles, and no error."""
    history.asked(*NAME, 0, 10 * MINUTE)
    assert len(history.read(*NAME)) == 0
    assert history.coverage(*NAME).empty == ((0, 10 * MINUTE),)
    assert [str(key) for key in history.series()] == ["binance BTC/USDT 1m"]


def test_notes_count_from_the_last_one_on(history: tu.History) -> None:
    """What is forgotten is missing again, what is pruned is neither missing nor empty."""
    history.asked(*NAME, 0, 100 * MINUTE)
    history.noted("forgotten", *NAME, 10 * MINUTE, 20 * MINUTE)
    history.noted("pruned", *NAME, 30 * MINUTE, 40 * MINUTE)
    seen = history.coverage(*NAME)
    assert seen.missing == ((10 * MINUTE, 20 * MINUTE),)
    assert seen.pruned == ((30 * MINUTE, 40 * MINUTE),)
    assert seen.empty == ((0, 10 * MINUTE), (20 * MINUTE, 30 * MINUTE), (40 * MINUTE, 100 * MINUTE))
    history.asked(*NAME, 30 * MINUTE, 35 * MINUTE)
    assert history.coverage(*NAME).pruned == ((35 * MINUTE, 40 * MINUTE),)
    with pytest.raises(UsageError, match="note was 'lost'"):
        history.noted("lost", *NAME, 0, 1)
    with pytest.raises(UsageError, match="until was 0, before since, 1"):
        history.asked(*NAME, 1, 0)


def test_asking_for_what_is_noted_writes_nothing(history: tu.History) -> None:
    """A resumed backfill that notes what is known already costs no write."""
    history.asked(*NAME, 0, 100 * MINUTE)
    before = (folder(history) / "_asked").read_bytes()
    history.asked(*NAME, 10 * MINUTE, 20 * MINUTE)
    assert (folder(history) / "_asked").read_bytes() == before


def test_notes_stay_few(history: tu.History) -> None:
    """Thousands of pages asked for, one after the other, are kept as the few ranges that they make."""
    for page in range(600):
        history.asked(*NAME, page * MINUTE, (page + 1) * MINUTE)
    assert (folder(history) / "_asked").stat().st_size < 150 * 24
    assert history.coverage(*NAME).asked == ((0, 600 * MINUTE),)


def test_gaps_lie_between_stored_candles(history: tu.History) -> None:
    """What is missing between the first and the last candle of the range is told, sealed or not."""
    history.write(bars(0, 10))
    history.seal()
    history.write(bars(15, 5))
    history.write(bars(30, 5))
    t = [int(x) for x in bars(0, 100).time]
    assert history.gaps(*NAME) == (tu.Gap(t[10], t[15], 5), tu.Gap(t[20], t[30], 10))
    assert history.gaps(*NAME, t[12]) == (tu.Gap(t[20], t[30], 10),)
    assert history.gaps(*NAME) == history.read(*NAME).gaps()


def test_rows_that_are_no_candles_are_kept_aside(history: tu.History) -> None:
    """Each is told by its reason, none is read as a candle, and the good ones between them are stored."""
    good = bars(0, 8)
    columns = {name: np.array(getattr(good, name)) for name in ("time", "open", "high", "low", "close", "volume")}
    columns["time"][1] += 1
    columns["close"][2] = np.nan
    columns["high"][3] = np.inf
    columns["low"][4] = -1.0
    columns["high"][5] = columns["low"][5] - 1
    columns["volume"][6] = -5.0
    bad = bars(0, 8, **columns)
    report = history.write(bad)
    assert (report.added, report.quarantined) == (2, 6)
    reasons = {"off_grid": 1, "not_finite": 2, "not_positive": 1, "high_below_low": 1, "bad_volume": 1}
    assert report.reasons == reasons
    assert history.read(*NAME).time.tolist() == [good.time[0], good.time[7]]
    aside = history.quarantined(*NAME)
    assert [row.time for row in aside] == columns["time"][1:7].tolist()
    assert aside[0] == Quarantined(int(good.time[1]) + 1, *(float(columns[n][1]) for n in ("open", "high", "low", "close", "volume")), "off_grid")  # fmt: skip  # noqa: E501
    history.write(bad)
    assert len(history.quarantined(*NAME)) == 6


def test_rows_that_are_all_bad_store_nothing(history: tu.History) -> None:
    """They are kept aside, no candle is read, and an empty write is no fault either."""
    nothing = np.full(3, np.nan)
    assert history.write(bars(0, 3, close=nothing)).reasons == {"not_finite": 3}
    assert len(history.quarantined(*NAME)) == 3
    with pytest.raises(UnknownName):
        history.read("binance", "ETH/USDT", "1m")
    assert len(history.read(*NAME)) == 0
    assert history.write(bars(0, 0)) == WriteReport()
    assert history.write([]) == WriteReport()
    assert history.write([bars(0, 0)] * 5) == WriteReport()


def test_source_that_is_wrong_all_the_time_fills_no_disk(history: tu.History) -> None:
    """Of rows that are no candles 100,000 a series are kept; all are counted."""
    for _ in range(2):
        history.write(bars(0, 60_000, close=np.full(60_000, -1.0)))
    assert len(history.quarantined(*NAME)) == 60_000
    assert history.write(bars(60_000, 60_000, close=np.full(60_000, -1.0))).quarantined == 60_000
    assert len(history.quarantined(*NAME)) == 100_000


def test_times_beyond_any_market_are_kept_aside(history: tu.History) -> None:
    """A time in microseconds, or the least int64 there is, cannot harm the files."""
    time = np.array([np.iinfo(np.int64).min, 0, 1_700_000_000_000_000], dtype=np.int64)
    report = history.write(bars(0, 3, time=time))
    assert (report.added, report.reasons) == (1, {"bad_time": 2})
    assert history.read(*NAME).time.tolist() == [0]


def test_body_that_sticks_out_is_stored_as_it_is(history: tu.History) -> None:
    """Venues publish such bars, and they are found by the quality report, not lost."""
    odd = bars(0, 1, high=bars(0, 1).close - 1)
    assert history.write(odd).quarantined == 0
    assert history.read(*NAME) == odd


def test_sealing_moves_candles_into_month_files(history: tu.History) -> None:
    """After it the files of the months hold all, the journal nothing, and readers see the same."""
    history.write(bars(0, 1_500))
    history.write(bars(1_490, 40))
    assert history.seal("binance", "1m", symbols=["BTC/USDT"]) == 30
    assert sorted(path.name for path in folder(history).glob("*.parquet")) == ["2023-12.parquet", "2024-01.parquet"]
    assert (folder(history) / "_journal").stat().st_size == 16
    assert history.read(*NAME) == bars(0, 1_530)
    assert history.seal() == 0


def test_journal_is_sealed_at_its_threshold(tmp_path: Path) -> None:
    """A series that is appended to for long does not keep all of it in its journal."""
    with tu.History(tmp_path, seal_rows=20, min_free=0) as history:
        for minute in range(50):
            history.write(bars(minute, 1))
        assert (folder(history) / "_journal").stat().st_size < 16 + 20 * 52
        assert history.read(*NAME) == bars(0, 50)


def test_coarse_timeframes_have_year_files(history: tu.History) -> None:
    """Above an hour a file holds a year; months and weeks lie on the calendar."""
    for timeframe, count in (("4h", 30), ("1d", 800), ("1w", 120), ("1M", 60)):
        frame = tu.timeframe.parse(timeframe)
        time = frame.range(1_577_836_800_000, frame.shift(frame.ceil(1_577_836_800_000), count))
        candles = bars(0, count, time=time, timeframe=timeframe)
        history.write(candles)
        history.seal()
        assert history.read("binance", "BTC/USDT", timeframe) == candles
        assert history.coverage("binance", "BTC/USDT", timeframe).missing == ()
    names = {path.name for path in history.path.rglob("*.parquet")}
    assert names == {f"{year}.parquet" for year in range(2020, 2025)}


def test_compact_packs_what_is_over_and_takes_leftovers(history: tu.History) -> None:
    """Every candle stays, what is over gets smaller, and what a killed writer left goes."""
    rng = np.random.default_rng(3)
    noise = 100 + rng.normal(size=60_000).cumsum().round(2) * 0.01 + 40
    candles = bars(0, 60_000, close=noise, open=noise, high=noise + 0.02, low=noise - 0.02)
    history.write(candles)
    (folder(history) / ".2024-01.parquet.1-1.tmp").write_bytes(b"half")
    report = history.compact()
    assert (report.series, report.leftovers, report.rewritten, report.skipped) == (1, 1, 2, {})
    assert report.bytes_after < report.bytes_before
    assert history.read(*NAME) == candles
    again = history.compact()
    assert (again.rewritten, again.leftovers) == (0, 0)
    assert history.verify().ok


def test_damaged_note_of_what_is_packed_costs_a_packing(history: tu.History) -> None:
    """Which files are packed is only remembered, and may be lost."""
    history.write(bars(0, 3_000))
    history.compact()
    for content in (b"{", b"[]"):
        (folder(history) / "_packed").write_bytes(content)
        assert history.compact().rewritten == 1


def test_compact_skips_what_another_writes(history: tu.History) -> None:
    """A series that another process has is reported, and the others are compacted."""
    history.write(bars(0, 5))
    with tu.History(history.path, min_free=0) as other:
        other.write(bars(0, 5, symbol="ETH/USDT"))
        report = history.compact()
    assert list(report.skipped) == [SeriesKey("binance", "ETH/USDT", "1m")]
    assert report.sealed == 5


def test_verify_tells_what_is_there(history: tu.History) -> None:
    """A sound history has no damage; what only deserves a word is noted."""
    history.write(bars(0, 1_500))
    history.write(bars(1_500, 5))
    history.asked(*NAME, 0, 1)
    (folder(history) / "readme.txt").write_text("mine")
    (folder(history) / ".x.tmp").write_text("half")
    report = history.verify()
    assert report.ok
    assert (report.series, report.files, report.rows) == (1, 4, 1_505)
    assert sorted(note.problem for note in report.notes) == [
        "half written, by a writer that was killed or is at work", "not ours",
    ]  # fmt: skip
    assert str(report).endswith("all sound")


def test_read_only_history_refuses_to_write(history: tu.History) -> None:
    """What is opened for reading makes no file, not even a lock."""
    history.write(bars(0, 1))
    history.close()
    before = sorted(history.path.rglob("*"))
    with tu.History(history.path, read_only=True) as opened:
        for act in (lambda: opened.write(bars(0, 1)), lambda: opened.asked(*NAME, 0, 1), opened.seal, opened.compact):
            with pytest.raises(UsageError, match="read_only=True"):
                act()
        assert len(opened.read(*NAME)) == 1
        assert opened.verify().ok
    assert sorted(history.path.rglob("*")) == before


def test_read_only_history_must_be_there(tmp_path: Path) -> None:
    """A misspelt folder is an error and not an empty history."""
    with pytest.raises(HistoryError, match="is no folder"):
        tu.History(tmp_path / "candels", read_only=True)


def test_opening_makes_nothing(tmp_path: Path) -> None:
    """A folder is made by the first write."""
    history = tu.History(tmp_path / "candles")
    assert history.series() == []
    assert history.verify().ok
    assert not (tmp_path / "candles").exists()


def test_history_of_a_newer_format_is_refused(history: tu.History) -> None:
    """What cannot be understood is not written over."""
    history.write(bars(0, 1))
    for told, problem in (
        ('{"format": 2}', "format 2.*upgrade"),
        ('{"format": true}', "format True"),
        ("[]", "does not say"),
    ):
        (history.path / "_history.json").write_text(told)
        with pytest.raises(HistoryError, match=problem):
            tu.History(history.path)
    assert json.loads((history.path / "_history.json").read_text()) == []


def test_a_file_is_no_history(tmp_path: Path) -> None:
    """The path of a file is refused."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(HistoryError, match="is a file"):
        tu.History(tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"min_free": -1}, "min_free was -1"),
        ({"min_free": True}, "min_free was True"),
        ({"seal_rows": 0}, "seal_rows was 0"),
        ({"seal_rows": 1.5}, "seal_rows was 1.5"),
        ({"hot": -5}, "hot was -5"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    """A wrong option is told when the history is opened."""
    with pytest.raises(UsageError, match=problem):
        tu.History(tmp_path, **options)


@pytest.mark.parametrize("path", ["", None, 5], ids=str)
def test_path_that_is_none_is_refused(path: Any) -> None:
    """A history needs a folder."""
    with pytest.raises(UsageError, match="path was"):
        tu.History(path)


def test_closed_history_says_so(history: tu.History) -> None:
    """After `close` every call is refused, and closing again is fine."""
    history.write(bars(0, 1))
    history.close()
    history.close()
    calls = [
        lambda: history.write(bars(0, 1)), lambda: history.read(*NAME), lambda: history.coverage(*NAME),
        lambda: history.asked(*NAME, 0, 1), history.series, history.seal, history.verify,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(Closed, match="was closed"):
            call()


def test_full_disk_is_refused_before_it_is_full(tmp_path: Path) -> None:
    """Where less than ``min_free`` would stay, nothing is written, readers go on, and with room writing does."""
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(0, 10))
    with tu.History(tmp_path, min_free=1 << 60) as full:
        with pytest.raises(HistoryFull, match=r"min_free=.*nothing stored was lost"):
            full.write(bars(10, 1))
        with pytest.raises(HistoryFull):
            full.write(bars(10, 9_000))
        assert full.write(bars(0, 10)).unchanged == 10
        with pytest.raises(HistoryFull):
            full.asked(*NAME, 0, 1)
        assert full.seal() == 10
        assert full.read(*NAME) == bars(0, 10)
    with tu.History(tmp_path, min_free=0) as history:
        history.write(bars(10, 1))
        assert history.read(*NAME) == bars(0, 11)


def test_second_writer_is_told_who_the_first_is(history: tu.History) -> None:
    """One writer a series: the other learns the process, reads on, and may write when the first has closed."""
    history.write(bars(0, 1))
    with tu.History(history.path, min_free=0) as other:
        with pytest.raises(HistoryLocked, match="another History of this process") as raised:
            other.write(bars(1, 1))
        assert raised.value.pid == os.getpid()
        assert len(other.read(*NAME)) == 1
        other.write(bars(0, 1, symbol="ETH/USDT"))
        history.close()
        assert other.write(bars(1, 1)).added == 1


def test_writer_that_gave_its_lock_back_sees_what_others_wrote(history: tu.History) -> None:
    """What is kept in memory of a series counts only while nobody else has written it."""
    history.write(bars(0, 5))
    key = SeriesKey(*NAME)
    with history.store.writing(key) as writer:
        writer.close()
    with tu.History(history.path, min_free=0) as other:
        assert other.write(bars(3, 4, add=1.0)) == WriteReport(added=2, changed=2)
    assert history.write(bars(3, 4, add=1.0)) == WriteReport(unchanged=4)
    with history.store.writing(key) as writer:
        writer.close()
    assert history.write(bars(3, 4, add=1.0)) == WriteReport(unchanged=4)


def test_many_series_need_few_open_files(tmp_path: Path) -> None:
    """With 64 files allowed, 60 series are written, over and over."""
    program = """if True:
        import resource, sys, pathlib
        import numpy as np, tradeutils as tu
        history = tu.History(sys.argv[1], min_free=0)
        one = np.ones(1)
        def bar(symbol, minute):
            return tu.Candles(exchange="binance", symbol=symbol, timeframe="1m", open=one, high=one, low=one,
                              close=one, volume=one, time=np.array([minute * 60000]))
        history.write(bar("C0/USDT", 0))
        history.seal()
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        history = tu.History(sys.argv[1] + "2", min_free=0)
        for minute in range(3):
            for symbol in range(60):
                history.write(bar(f"C{symbol}/USDT", minute))
        print(sum(len(history.read("binance", key.symbol, "1m")) for key in history.series()))
    """
    command = [sys.executable, "-c", program, str(tmp_path / "h")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("180", "")


def test_history_that_is_dropped_gives_its_locks_back(history: tu.History) -> None:
    """One that nobody refers to any more holds no series, closed or not."""
    tu.History(history.path, min_free=0).write(bars(0, 1))
    assert history.write(bars(1, 1)).added == 1


def test_folder_that_is_deleted_is_begun_anew(history: tu.History) -> None:
    """Nothing is acknowledged into a file that has no name any more."""
    history.write(bars(0, 5))
    shutil.rmtree(folder(history))
    assert history.write(bars(0, 3)) == WriteReport(added=3)
    assert tu.History(history.path).read(*NAME) == bars(0, 3)


def test_locks_are_given_back_beyond_a_number(history: tu.History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The series written to longest ago is closed and, later, forgotten; it is written to again all the same."""
    monkeypatch.setattr(history.store, "_most_open", 3)
    monkeypatch.setattr("tradeutils.history.store.store._MOST_KNOWN", 6)
    for minute in range(2):
        for number in range(10):
            assert history.write(bars(minute, 1, symbol=f"C{number}/USDT")).added == 1
    with tu.History(history.path, min_free=0) as other:
        assert other.write(bars(5, 1, symbol="C0/USDT")).added == 1
        with pytest.raises(HistoryLocked):
            other.write(bars(5, 1, symbol="C9/USDT"))
    assert [len(history.read("binance", f"C{number}/USDT", "1m")) for number in range(10)] == [3, *[2] * 9]


def test_minutes_and_months_share_no_folder(history: tu.History) -> None:
    """``1m`` and ``1M`` differ by the case of a letter, which some file systems ignore."""
    history.write(bars(0, 3))
    frame = tu.timeframe.parse("1M")
    history.write(bars(0, 3, timeframe="1M", time=frame.range(0, frame.shift(0, 3))))
    folders = {path.name.casefold() for path in history.path.rglob("timeframe=*")}
    assert len(folders) == 2
    assert [key.timeframe for key in history.series()] == ["1M", "1m"]


def test_repr_names_the_folder(history: tu.History) -> None:
    """A history is known by its path."""
    assert repr(history) == f"<History {str(history.path)!r}>"
    history.path.mkdir()
    assert repr(tu.History(history.path, read_only=True)).endswith("read-only>")
