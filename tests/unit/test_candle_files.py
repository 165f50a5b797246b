"""Candle files: read with a report of what was found, or refused with the line."""

from __future__ import annotations

import decimal
import gzip
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import tradeutils
from tradeutils.errors import CandleFileError, UnknownName, UsageError
from tradeutils.history import CandleSource, FileReport, discover, read_candles
from tradeutils.history.candle_files.names import symbol_of, timeframe_of

_T0 = 1_700_000_040_000
_HEADER = "time,open,high,low,close,volume"


def _row(minute: int, price: float = 10.0, **fields: object) -> str:
    """Return a line of CSV for a minute, its high a unit above and its low a unit below its price."""
    known: dict[str, object] = {
        "time": _T0 + 60_000 * minute,
        "open": price,
        "high": price + 1,
        "low": price - 1,
        "close": price,
        "volume": 2.5,
    }
    return ",".join(str(value) for value in {**known, **fields}.values())


def _write(tmp_path: pathlib.Path, *lines: str, name: str = "AAAUSDT-1m.csv", header: str = _HEADER) -> pathlib.Path:
    path = tmp_path / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def _clean(tmp_path: pathlib.Path, count: int = 5) -> pathlib.Path:
    return _write(tmp_path, *(_row(minute, 10.0 + minute) for minute in range(count)))


def _refusal(path: pathlib.Path, **options: Any) -> CandleFileError:
    with pytest.raises(CandleFileError) as caught:
        read_candles(path, **options)
    assert str(path) in str(caught.value)
    assert caught.value.path == str(path)
    return caught.value


def test_clean_file_becomes_candles(tmp_path: pathlib.Path) -> None:
    """Symbol and timeframe come from the name, all is closed, and the report says clean in one line."""
    read = read_candles(_clean(tmp_path), exchange="binance")
    assert (read.candles.exchange, read.candles.symbol, read.candles.timeframe) == ("binance", "AAA/USDT", "1m")
    assert read.candles.time.tolist() == [_T0 + 60_000 * minute for minute in range(5)]
    assert read.candles.close.tolist() == [10.0, 11.0, 12.0, 13.0, 14.0]
    assert read.candles.closed.all()
    assert (read.report.rows, read.report.kept, read.report.clean) == (5, 5, True)
    assert str(read.report) == "5 of 5 rows kept, 1m, time in ms: clean"
    assert read.path == tmp_path / "AAAUSDT-1m.csv"


def test_what_is_wrong_is_counted_with_the_line_where_it_began(tmp_path: pathlib.Path) -> None:
    """Gaps, duplicates, conflicts, disorder, rows without a price, impossible and off-grid candles, in one file."""
    path = _write(
        tmp_path,
        _row(0),
        _row(1),  # line 3: stands again in line 4
        _row(1),
        _row(2),  # line 5: loses to line 6, which has the same time
        _row(2, 20.0),
        _row(9),
        _row(8),  # line 8: out of order
        _row(10, open="nan"),  # line 9: no price
        _row(11, high=5),  # line 10: a high below the low
        _row(12, volume=""),  # line 11: no volume
        _row(13, time=_T0 + 60_000 * 13 + 7_000),  # line 12: off the grid
    )
    read = read_candles(path)
    report = read.report
    assert report.first_lines == {
        "duplicates": 3,
        "conflicts": 5,
        "out_of_order": 8,
        "nan_rows": 9,
        "impossible": 10,
        "no_volume": 11,
        "off_grid": 12,
    }
    assert (report.rows, report.kept) == (11, 8)
    assert (report.duplicates, report.conflicts, report.out_of_order, report.nan_rows) == (1, 1, 1, 1)
    assert (report.impossible, report.no_volume, report.off_grid) == (1, 1, 1)
    assert (report.gaps, report.missing_bars) == (2, 6)
    assert not report.clean
    assert read.candles.open[2] == 20.0
    assert np.isnan(read.candles.volume[-2])
    assert "1 conflicting duplicates (last kept)" in str(report)
    assert "\n" not in str(report)


def test_strict_refuses_what_is_not_clean(tmp_path: pathlib.Path) -> None:
    """The report becomes the message."""
    path = _write(tmp_path, _row(0), _row(5))
    assert "4 bars missing" in str(_refusal(path, strict=True))
    assert len(read_candles(_clean(tmp_path), strict=True).candles) == 5


def test_newest_first_is_sorted(tmp_path: pathlib.Path) -> None:
    """Files that begin with the newest candle are common."""
    read = read_candles(_write(tmp_path, *(_row(minute) for minute in (3, 2, 1, 0))))
    assert read.report.out_of_order == 3
    assert np.all(np.diff(read.candles.time) == 60_000)


@pytest.mark.parametrize(
    ("scale", "unit"),
    [(1_000, "s"), (1, "ms"), (1e-3, "us"), (1e-6, "ns")],
)
def test_units_of_time_are_told_by_their_size(tmp_path: pathlib.Path, scale: float, unit: str) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds all become milliseconds."""
    path = _write(tmp_path, *(_row(minute, time=round((_T0 + 60_000 * minute) / scale)) for minute in range(3)))
    read = read_candles(path)
    assert read.report.time_unit == unit
    assert read.candles.time.tolist() == [_T0 + 60_000 * minute for minute in range(3)]


@pytest.mark.parametrize(
    "text",
    ["2023-11-14T22:1{}:00.000", "2023-11-14 22:1{}:00", "2023-11-14T22:1{}:00Z", "2023-11-14 22:1{}:00+00:00",
     "2023-11-14T23:1{}:00.000000+01:00", "2023-11-14 22:1{}"],
)  # fmt: skip
def test_iso_times_are_utc_unless_they_say_otherwise(tmp_path: pathlib.Path, text: str) -> None:
    """With T or a space, with fractions, with a zone or without."""
    read = read_candles(_write(tmp_path, *(_row(0, time=text.format(minute)) for minute in (4, 5, 6))))
    assert read.report.time_unit == "ISO"
    assert read.candles.time.tolist() == [_T0, _T0 + 60_000, _T0 + 120_000]


def test_fractions_of_seconds_are_kept(tmp_path: pathlib.Path) -> None:
    """Seconds with a fraction are rounded to the millisecond, and such candles are off the grid."""
    read = read_candles(
        _write(tmp_path, *(_row(0, time=f"170000004{minute}.25") for minute in range(3))), timeframe="1s"
    )
    assert read.candles.time[0] == 1_700_000_040_250
    assert read.report.off_grid == 3


@pytest.mark.parametrize(
    "header",
    [
        "Timestamp;O;H;L;C;Vol",
        "Date\tOPEN\tHigh\tlow\tClose\tVolume AAA",
        "open_time,Open,High,Low,Close,Volume (aaa)",
    ],
)
def test_usual_names_are_known_in_any_case(tmp_path: pathlib.Path, header: str) -> None:
    """And any of the usual separators."""
    mark = next(mark for mark in ";\t," if mark in header)
    rows = [_row(minute).replace(",", mark) for minute in range(3)]
    read = read_candles(_write(tmp_path, *rows, header=header))
    assert len(read.candles) == 3
    assert list(read.report.columns.values()) == [name.strip() for name in header.split(mark)]


def test_columns_may_be_named_by_the_caller(tmp_path: pathlib.Path) -> None:
    """A mapping where the names are unusual, a list where there are none; other columns are passed over."""
    path = _write(tmp_path, *(f"x,{_row(minute)}" for minute in range(3)), header="junk,when,a,b,c,d,e")
    names = dict(
        zip(("time", "open", "high", "low", "close", "volume"), ("when", "a", "b", "c", "d", "e"), strict=True)
    )
    read = read_candles(path, columns=names)
    assert read.candles.open.tolist() == [10.0] * 3
    bare = tmp_path / "bare-1m.csv"
    bare.write_text("\n".join(_row(minute) for minute in range(3)))
    swapped = read_candles(bare, columns=["time", "volume", "open", "high", "low", "close"])
    assert swapped.candles.volume.tolist() == [10.0] * 3
    assert swapped.report.impossible == 3


def test_headerless_file_is_refused_with_the_remedy(tmp_path: pathlib.Path) -> None:
    """Six numbers could be in any order."""
    path = tmp_path / "bare-1m.csv"
    path.write_text("\n".join(_row(minute) for minute in range(3)))
    error = _refusal(path)
    assert error.line == 1
    assert "columns=['time', 'open'" in str(error)


@pytest.mark.parametrize(("factor", "unit"), [(1, "ms"), (1_000, "us")])
def test_binances_public_archives_are_known(tmp_path: pathlib.Path, factor: int, unit: str) -> None:
    """Twelve columns without a header; in microseconds since 2025."""
    path = tmp_path / "BTCUSDT-1m-2025-01.csv"
    lines = []
    for minute in range(3):
        opened = (_T0 + 60_000 * minute) * factor
        lines.append(f"{opened},1.5,2.5,0.5,1.75,3,{opened + 60_000 * factor - 1},5.1,20,1.2,2.1,0")
    path.write_text("\n".join(lines))
    read = read_candles(path)
    assert (read.report.time_unit, read.candles.symbol, read.candles.timeframe) == (unit, "BTC/USDT", "1m")
    assert (read.candles.close[0], read.candles.volume[0]) == (1.75, 3.0)
    path.write_text(lines[0].replace(",20,", ",x,") + "\n")
    assert read_candles(path, timeframe="1m").candles.time[0] == _T0


def test_twelve_columns_that_are_not_binances_are_refused(tmp_path: pathlib.Path) -> None:
    """The seventh must be the end of the bar."""
    path = tmp_path / "x-1m.csv"
    path.write_text(",".join(["1"] * 12) + "\n" + ",".join(["2"] * 12))
    assert "12 columns cannot be told apart" in str(_refusal(path))
    path.write_text(",".join(["1"] * 6 + ["x"] + ["1"] * 5) + "\n")
    assert "cannot be told apart" in str(_refusal(path))


@pytest.mark.parametrize(
    ("line", "number", "words"),
    [
        (_row(2, close="abc"), 4, "close was 'abc', which is not a number"),
        (_row(2, time="soon"), 4, "time was 'soon', which is not a time"),
        (_row(2, time=""), 4, "not a time"),
        (_row(2, time="nan"), 4, "not a time"),
        (_row(2, time="inf"), 4, "not a time"),
        (_row(2, time=-5), 4, "-5, before 1970"),
        (_row(2, time=_T0 // 1000), 4, "in s where the first row is in ms"),
        (_row(2) + ",7", 4, "7 columns, and the first line 6"),
        ("1,2", 4, "2 columns, and the first line 6"),
    ],
)
def test_line_that_cannot_be_read_is_named(tmp_path: pathlib.Path, line: str, number: int, words: str) -> None:
    """The third row of three stands in the fourth line."""
    error = _refusal(_write(tmp_path, _row(0), _row(1), line, _row(3)))
    assert error.line == number
    assert words in str(error)


def test_empty_lines_do_not_mislead_the_line_that_is_named(tmp_path: pathlib.Path) -> None:
    """They are passed over and still counted."""
    assert _refusal(_write(tmp_path, "", _row(0), "", "", _row(1, high="x"))).line == 6
    assert _refusal(_write(tmp_path, "", _row(0), "", "", "1,2")).line == 6
    error = _refusal(_write(tmp_path, _row(0, low="x"), header=f"\n\n{_HEADER}"))
    assert error.line == 4


def test_time_after_the_year_3000_is_refused(tmp_path: pathlib.Path) -> None:
    """A date of eight digits is no number of seconds either."""
    assert "after the year 3000" in str(_refusal(_write(tmp_path, _row(0, time="9" * 11))))
    error = _refusal(_write(tmp_path, *(_row(0, time=20240101 + day) for day in range(3))))
    assert "write 2024-01-31" in str(error)


@pytest.mark.parametrize(
    "first",
    [0, 1, 45_292, 45_292.5, 19_700, 93_000, 28_401_120, 99_999_000],
)
def test_numbers_that_may_be_no_times_are_refused(tmp_path: pathlib.Path, first: float) -> None:
    """Row numbers, Excel's days, days and minutes since 1970 and times of day are not read as 1970."""
    error = _refusal(_write(tmp_path, *(_row(0, time=first + row) for row in range(3))))
    assert f"time was {first:.15g}, which is no time in s, ms, us or ns" in str(error)
    assert error.line == 2


@pytest.mark.parametrize(
    "text",
    ["2024010{}", "2024010{}09", "2024010{}0930", "2024010{}093000", "2024010{}093000123"],
)
def test_dates_without_separators_are_refused(tmp_path: pathlib.Path, text: str) -> None:
    """As numbers of 8 to 17 digits they would be read as times of other years."""
    error = _refusal(_write(tmp_path, *(_row(0, time=text.format(day)) for day in (1, 2, 3))))
    assert "dates without separators" in str(error)
    assert error.line == 2


def test_index_is_the_time_only_where_it_is_no_number(tmp_path: pathlib.Path) -> None:
    """pandas calls both row numbers and times so; a caller who names it is believed."""
    header = _HEADER.replace("time", "index")
    assert "no column 'time'" in str(_refusal(_write(tmp_path, _row(0), _row(1), header=header)))
    times = ("2024-01-01T00:00", "2024-01-01T00:01")
    path = _write(tmp_path, *(_row(0, time=time) for time in times), header=header)
    assert read_candles(path).report.time_unit == "ISO"
    path = _write(tmp_path, _row(0), _row(1), header=header)
    assert read_candles(path, columns={"time": "index"}).candles.time[0] == _T0
    pyarrow.feather.write_feather(
        _table(pa.array([_T0, _T0 + 60_000], pa.timestamp("ms"))).rename_columns(
            ["index", "open", "high", "low", "close", "volume"]
        ),
        str(tmp_path / "x.feather"),
    )
    assert read_candles(tmp_path / "x.feather").candles.time[0] == _T0


@pytest.mark.parametrize(
    ("names", "rows", "column"),
    [
        ("timestamp,date", ["1,2024-01-01", "2,2024-01-02"], "date"),
        ("time,timestamp", ["09:30,1704101400", "09:31,1704101460"], "timestamp"),
        ("date,time", ["2024-01-01,1704067200000", "2024-01-01,1704067260000"], "time"),
        ("date,timestamp", ["2024-01-01 00:00:01,1704067201250", "2024-01-01 00:00:02,1704067202250"], "timestamp"),
        ("unix,datetime", ["1704067200,2024-01-01 00:00", "1704067260,2024-01-01 00:01"], "datetime"),
        ("date,time", ["2024-01-02,09:30:00", "2024-01-02,09:31:00"], "date + time"),
        ("time,date", ["09:30,2024-01-02", "09:30,2024-01-03"], "date + time"),
        ("index,time", ["0,1704067200", "1,1704067260"], "time"),
        ("time,t,T", ["1704067200,1,2", "1704067260,1,2"], "time"),
    ],
)
def test_of_several_columns_of_times_the_right_one_is_read(
    tmp_path: pathlib.Path, names: str, rows: list[str], column: str
) -> None:
    """The one that reads as times, the finest of those that agree, or a date and a time of day together."""
    path = _write(tmp_path, *(f"{row},1,2,0.5,1,3" for row in rows), header=f"{names},open,high,low,close,volume")
    read = read_candles(path, timeframe="1s")
    assert read.report.columns["time"] == column
    assert str(np.datetime64(int(read.candles.time[0]), "ms")).startswith("2024-01-0")
    assert len(read.candles) == 2
    if "+" in column:
        assert read.candles.time[0] == 1_704_187_800_000


@pytest.mark.parametrize(
    ("names", "rows", "words"),
    [
        (
            "date,time",
            ["20240102,93000", "20240102,93100"],
            "none of its columns 'time' and 'date' reads as times (line",
        ),
        ("date,time", ["2024-01-02,93000", "2024-01-02,93100"], "'date' tells days, and 'time' may tell"),
        ("date,time", ["2024-01-02,160000", "2024-01-03,160000"], "'date' tells days, and 'time' may tell"),
        ("date,ts", ["2024-01-02,93000", "2024-01-02,93100"], "'date' tells days, and 'ts' may tell"),
        ("time,timestamp", ["1704067200,1704067999", "1704067260,1704067999"], "tell other times"),
        ("date,time", ["2024-01-02,09:30", "2024-01-02,noon"], "time was '2024-01-02 noon'"),
    ],
)
def test_columns_of_times_that_contradict_each_other_are_refused(
    tmp_path: pathlib.Path, names: str, rows: list[str], words: str
) -> None:
    """Both are named; which of them is meant is not guessed."""
    path = _write(tmp_path, *(f"{row},1,2,0.5,1,3" for row in rows), header=f"{names},open,high,low,close,volume")
    assert words in str(_refusal(path))


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ("volume_quote", "volume in AAA (it has 'volume_quote'); say columns={'volume': 'volume_quote'}"),
        ("Volume USDT", "volume in AAA (it has 'Volume USDT')"),
        ("quote_volume", "it has 'quote_volume'"),
        ("Volume,Volume AAA", "may be 'Volume' or 'Volume AAA'; say which: columns={'volume'"),
    ],
)
def test_volume_is_never_guessed(tmp_path: pathlib.Path, volumes: str, words: str) -> None:
    """A volume in the quote currency is no volume in the base currency, and of two neither is taken."""
    more = ",7" * volumes.count(",")
    header = _HEADER.replace("volume", volumes)
    assert words in str(_refusal(_write(tmp_path, _row(0) + more, _row(1) + more, header=header)))


def test_volume_in_the_base_currency_is_taken_beside_that_in_the_quote(tmp_path: pathlib.Path) -> None:
    """Whichever stands first, and by the symbol that the caller gives; a caller who names another is believed."""
    header = _HEADER.replace("volume", "Volume USDT,Volume AAA")
    path = _write(tmp_path, _row(0) + ",7", _row(1) + ",7", header=header)
    assert read_candles(path).candles.volume.tolist() == [7.0, 7.0]
    assert read_candles(path, columns={"volume": "Volume USDT"}).candles.volume.tolist() == [2.5, 2.5]
    assert read_candles(path, symbol="USDT/AAA").candles.volume.tolist() == [2.5, 2.5]


def test_byte_order_mark_is_passed_over(tmp_path: pathlib.Path) -> None:
    """Editors on Windows put one before CSV and JSON alike."""
    csv = _clean(tmp_path)
    csv.write_bytes(b"\xef\xbb\xbf" + csv.read_bytes())
    assert len(read_candles(csv).candles) == 5
    rows = [[_T0 + 60_000 * minute, 10.0, 11.0, 9.0, 10.5, 1.0] for minute in range(3)]
    path = tmp_path / "x.json"
    path.write_bytes(b"\xef\xbb\xbf" + orjson.dumps(rows))
    assert len(read_candles(path).candles) == 3


@pytest.mark.parametrize(
    ("line", "why"),
    [(_row(0, high="inf"), "line 2: a price missing or not finite"), (_row(1), "line 2: its time twice")],
)
def test_row_that_was_dropped_is_named_where_one_is_left(tmp_path: pathlib.Path, line: str, why: str) -> None:
    """The file has two rows, so that "has one row" alone would be untrue."""
    error = _refusal(_write(tmp_path, line, _row(1), name="x.csv"))
    assert f"has one row left (dropped {why})" in str(error)


def test_missing_column_names_the_nearest(tmp_path: pathlib.Path) -> None:
    """A misspelt one is told with what to say."""
    error = _refusal(_write(tmp_path, _row(0), header="time,opne,high,low,close,volume"))
    assert "no column 'open'" in str(error)
    assert "columns={'open': 'opne'}" in str(error)
    error = _refusal(_write(tmp_path, _row(0)), columns={"close": "adj"})
    assert "no column 'adj'" in str(error)


def test_column_twice_is_refused(tmp_path: pathlib.Path) -> None:
    """Which of them is meant cannot be told."""
    assert "more than one column" in str(_refusal(_write(tmp_path, _row(0), header="time,open,high,low,close,Open")))


@pytest.mark.parametrize(
    ("columns", "words"),
    [("time,open", "give a list"), (["time"], "named 1 columns"), ({"colour": "x"}, "columns named colour")],
)
def test_columns_that_fit_no_file_are_refused(tmp_path: pathlib.Path, columns: Any, words: str) -> None:
    """The mistake is in the call and not in the file."""
    with pytest.raises(UsageError, match=words):
        read_candles(_clean(tmp_path), columns=columns)


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "x.csv", "is empty"),
        (b"\n \n", "x.csv", "is empty"),
        (_HEADER.encode(), "x.csv", "a header and no rows"),
        (_HEADER.encode() + b"\n\n", "x.csv", "a header and no rows"),
        (bytes(range(256)) * 40, "x.csv", "is binary"),
        (b"time,open\n1,2\n\xff\xfe\xfd,1\n", "x.csv", "line 3: is not text in UTF-8"),
        (b"a" * 200_000 + b",b\n1,2\n", "x.csv", "not CSV"),
        (gzip.compress(b"x" * 5_000, mtime=0)[:-10], "x.csv.gz", "ends early"),
        (b"\x1f\x8b" + b"rubbish" * 9, "x.csv.gz", "damaged"),
        (gzip.compress(b"1,2,3\n" * 900, mtime=0)[:-8] + b"\xff" * 8, "x.csv.gz", "damaged"),
        (b"[", "x.json", "is not JSON"),
        (b"[]", "x.json", "an empty list"),
        (b"{}", "x.json", "JSON dict"),
        (b"[[]]", "x.json", "rows are empty"),
        (b"[[1,2],[1]]", "x.json", "not a row like the first"),
        (b"[7]", "x.json", "not a row like the first"),
        (b'[{"a":1},{"b":1}]', "x.json", "not a row like the first"),
        (b"[[1,true,1,1,1,1]]", "x.json", "True stands where"),
        (b"PAR1 and rubbish", "x.parquet", "not a Parquet file"),
        (b"ARROW1 and rubbish", "x.feather", "not a feather file"),
        (b"rubbish", "x.feather", "not a feather file"),
    ],
)
def test_files_that_are_no_candles_are_refused(tmp_path: pathlib.Path, data: bytes, name: str, words: str) -> None:
    """Empty, binary, cut short and damaged files, and JSON of other shapes."""
    path = tmp_path / name
    path.write_bytes(data)
    assert words in str(_refusal(path))


def test_gzip_bomb_is_stopped(tmp_path: pathlib.Path) -> None:
    """No more is decompressed than was allowed."""
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 50_000_000))
    assert "more than 1,000,000 bytes" in str(_refusal(path, max_bytes=1_000_000))


def test_tables_larger_than_allowed_are_stopped(tmp_path: pathlib.Path) -> None:
    """Both say how large they are before they are read."""
    table = pa.table({name: np.zeros(100_000) for name in ("time", "open", "high", "low", "close", "volume")})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    pyarrow.feather.write_feather(table, str(tmp_path / "x.feather"), compression="lz4")
    for name in ("x.parquet", "x.feather"):
        assert "more than 500,000 bytes" in str(_refusal(tmp_path / name, max_bytes=500_000))


def test_paths_that_are_no_file_are_refused(tmp_path: pathlib.Path) -> None:
    """A folder, a missing file (the nearest names are given), a device, a name that cannot be, another type."""
    _clean(tmp_path)
    assert "is a folder" in str(_refusal(tmp_path))
    assert "did you mean AAAUSDT-1m.csv?" in str(_refusal(tmp_path / "AAAUSD-1m.csv"))
    assert "nor is there a folder" in str(_refusal(tmp_path / "no" / "such.csv"))
    assert "not a regular file" in str(_refusal(pathlib.Path("/dev/null")))
    assert "no such file" in str(_refusal(tmp_path / ("x" * 40 + ".csv")))
    with pytest.raises(CandleFileError, match=r"no such file|cannot be a file name"):
        read_candles("a\0b.csv")
    with pytest.raises(CandleFileError, match=r"no such file|cannot be a file name"):
        read_candles("x" * 5_000)
    with pytest.raises(UsageError, match="path was 7"):
        read_candles(7)  # type: ignore[arg-type]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_refused(tmp_path: pathlib.Path) -> None:
    """The system's own words are passed on."""
    path = _clean(tmp_path)
    path.chmod(0)
    assert "cannot be read" in str(_refusal(path))


def test_json_rows_and_objects_are_read(tmp_path: pathlib.Path) -> None:
    """Rows as ccxt returns them, with null where nothing is known; objects; numbers as text; gzipped."""
    rows: list[list[Any]] = [[_T0 + 60_000 * minute, 10.0, 11.0, 9.0, 10.5, None] for minute in range(3)]
    path = tmp_path / "AAA_BTC-1m.json"
    path.write_bytes(orjson.dumps(rows))
    read = read_candles(path)
    assert (read.candles.symbol, read.report.no_volume) == ("AAA/BTC", 3)
    named = [dict(zip(_HEADER.split(","), map(str, [*row[:5], 2.5]), strict=True)) for row in rows]
    packed = tmp_path / "AAA_BTC-1m.json.gz"
    packed.write_bytes(gzip.compress(orjson.dumps(named)))
    assert read_candles(packed).candles.volume.tolist() == [2.5] * 3
    rows[1][2] = "abc"
    path.write_bytes(orjson.dumps(rows))
    assert _refusal(path).line == 2
    rows[1][0] = None
    path.write_bytes(orjson.dumps(rows))
    assert "time was nan" in str(_refusal(path))


def _table(time: pa.Array, **more: pa.Array) -> pa.Table:
    columns = {
        name: pa.array([1.0 + i for i in range(len(time))]) for name in ("open", "high", "low", "close", "volume")
    }
    return pa.table({"date": time, **columns, **more})


_PEAK = """
import resource, sys
from tradeutils.errors import CandleFileError
from tradeutils.history import read_candles
import pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_candles(sys.argv[1], max_bytes=1 << 24)
except CandleFileError as error:
    print("more than" in str(error), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", ["feather", "dictionary", "large", "delta"])
def test_small_file_that_holds_much_is_stopped_before_it_is_decompressed(tmp_path: pathlib.Path, kind: str) -> None:
    """A kB of feather, a dictionary of one long text, text that repeats the text before it: 16 MiB allowed."""
    path = tmp_path / ("x.feather" if kind == "feather" else "x.parquet")
    if kind == "feather":
        names = ("time", "open", "high", "low", "close", "volume")
        table = pa.table(dict.fromkeys(names, pa.array(np.zeros(2_000_000))))
        pyarrow.feather.write_feather(table, str(path), compression="zstd", chunksize=2_000_000)
    else:
        text = pa.array(["x" * 500_000] * 200, pa.large_string() if kind == "large" else pa.string())
        options: dict[str, Any] = {"column_encoding": {"date": "DELTA_BYTE_ARRAY"}, "use_dictionary": False}
        table = _table(pa.array(np.zeros(200))).set_column(0, "date", text)
        pyarrow.parquet.write_table(table, path, **(options if kind == "delta" else {}))
    assert path.stat().st_size < 500_000
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(tradeutils.__file__).parents[1])}
    # Started by a shell: a child begins with the peak of the process that forked it.
    run = subprocess.run(
        ["/bin/sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", _PEAK, str(path)],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    stopped, grown_kb = run.stdout.split()
    assert stopped == "True"
    assert int(grown_kb) < 60_000


def test_columns_of_a_parquet_file_that_are_not_wanted_are_not_read(tmp_path: pathlib.Path) -> None:
    """However large they are and whatever they hold."""
    times = pa.array([_T0, _T0 + 60_000])
    more = {"note": pa.array(["x" * 900_000, "y"]), "fills": pa.array([[1, 2], [3]])}
    pyarrow.parquet.write_table(_table(times, **more), tmp_path / "x.parquet", use_dictionary=False)
    assert read_candles(tmp_path / "x.parquet", max_bytes=500_000).candles.time[0] == _T0


def test_text_in_tables_of_many_batches_is_read(tmp_path: pathlib.Path) -> None:
    """Dictionaries, delta encoding and compressed batches come back as they were written."""
    texts = [str(_T0 + 60_000 * minute) for minute in range(10_000)]
    for kind in (pa.string(), pa.large_string()):
        table = _table(pa.array(texts, kind))
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3_000)
        pyarrow.parquet.write_table(
            table, tmp_path / "b.parquet", use_dictionary=False, column_encoding={"date": "DELTA_BYTE_ARRAY"}
        )
        pyarrow.parquet.write_table(
            table, tmp_path / "e.parquet", use_dictionary=False, column_encoding={"date": "DELTA_LENGTH_BYTE_ARRAY"}
        )
        pyarrow.feather.write_feather(table, str(tmp_path / "c.feather"), compression="lz4", chunksize=3_000)
        pyarrow.feather.write_feather(
            table.append_column("kind", pa.array(["a"] * 10_000).dictionary_encode()), str(tmp_path / "d.feather")
        )
        for name in ("a.parquet", "b.parquet", "c.feather", "d.feather", "e.parquet"):
            read = read_candles(tmp_path / name)
            assert (len(read.candles), read.report.clean, read.candles.open[-1]) == (10_000, True, 10_000.0), name


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        (pa.timestamp("ns", "UTC"), "ns"),
        (pa.timestamp("us"), "us"),
        (pa.timestamp("s"), "s"),
        (pa.date32(), "date"),
        (pa.int64(), "ms"),
        (pa.float64(), "ms"),
        (pa.string(), "ISO"),
    ],
)
@pytest.mark.parametrize("ending", ["feather", "parquet"])
def test_tables_keep_times_in_every_type(tmp_path: pathlib.Path, kind: pa.DataType, unit: str, ending: str) -> None:
    """Timestamps of any unit and zone, dates, numbers and text."""
    days = pa.array([1_704_067_200_000 + 86_400_000 * day for day in range(3)])
    time = days if unit == "ms" else days.cast(pa.timestamp("ms"))
    table = _table(time.cast(pa.int64()).cast(kind) if unit == "ms" else time.cast(kind))
    path = tmp_path / f"SPY.{ending}"
    if ending == "feather":
        pyarrow.feather.write_feather(table, str(path))
    else:
        pyarrow.parquet.write_table(table, path)
    read = read_candles(path)
    kept = "ms" if (unit, ending) == ("s", "parquet") else unit  # Parquet has no seconds
    assert (read.report.time_unit, read.candles.timeframe, read.candles.symbol) == (kept, "1d", "")
    assert read.candles.time.tolist() == days.to_pylist()


def test_tables_with_holes_and_other_numbers_are_read(tmp_path: pathlib.Path) -> None:
    """Nulls are unknown, integers and decimals are numbers; text that is none is named by its row."""
    time = pa.array([_T0, _T0 + 60_000, _T0 + 120_000])
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(
        _table(time)
        .set_column(1, "open", pa.array([1, None, 3]))
        .set_column(5, "volume", pa.array([decimal.Decimal(n) for n in (1, 2, 3)])),
        path,
    )
    read = read_candles(path)
    assert (read.report.nan_rows, read.report.first_lines) == (1, {"nan_rows": 2})
    assert read.candles.volume.tolist() == [1.0, 3.0]
    pyarrow.parquet.write_table(_table(time).set_column(1, "open", pa.array(["1", "-", "x"])), path)
    assert _refusal(path).line == 3
    pyarrow.parquet.write_table(_table(time).set_column(1, "open", pa.array([[1], [2], [3]])), path)
    assert "not a number" in str(_refusal(path))
    pyarrow.parquet.write_table(_table(pa.array([[1], [2], [3]])), path)
    assert "not a time" in str(_refusal(path))
    pyarrow.parquet.write_table(_table(pa.array([_T0, None, _T0])), path)
    assert _refusal(path).line == 2
    pyarrow.parquet.write_table(_table(time).slice(0, 0), path)
    assert "has no rows" in str(_refusal(path))


def test_all_unknown_prices_are_refused(tmp_path: pathlib.Path) -> None:
    """A file without one price has no candles."""
    assert "none of its 2 rows has a price" in str(_refusal(_write(tmp_path, _row(0, open=""), _row(1, close="null"))))


@pytest.mark.parametrize(
    ("steps", "name", "expected"),
    [
        ([60, 60, 120], "x.csv", "1m"),
        ([3600] * 3, "x.csv", "1h"),
        ([86_400] * 3, "x.csv", "1d"),
        ([604_800] * 3, "x.csv", "1w"),
        ([86_400 * days for days in (31, 29, 31)], "x.csv", "1M"),
        ([7] * 3, "x.csv", "7s"),
        ([300, 300], "AAA_BTC-1m.csv", "1m"),  # sparse: the name is right
        ([60, 60], "AAA_BTC-1h.csv", "1m"),  # the name is wrong
    ],
)
def test_timeframe_is_that_of_the_name_or_of_the_rows(
    tmp_path: pathlib.Path, steps: list[int], name: str, expected: str
) -> None:
    """The name counts where the rows agree with it, else their most common step."""
    opens = np.cumsum([1_704_067_200, *steps]) * 1000
    read = read_candles(_write(tmp_path, *(_row(0, time=int(time)) for time in opens), name=name))
    assert read.candles.timeframe == expected


def test_timeframe_given_is_kept_unless_the_rows_are_finer(tmp_path: pathlib.Path) -> None:
    """Minutes are not hours by being called so; one row has no step at all."""
    path = _clean(tmp_path)
    assert read_candles(path, timeframe="1m").report.timeframe == "1m"
    assert "then resample" in str(_refusal(path, timeframe="1h"))
    with pytest.raises(UnknownName):
        read_candles(path, timeframe="1x")
    single = _write(tmp_path, _row(0), name="x.csv")
    assert "say timeframe=" in str(_refusal(single))
    assert len(read_candles(single, timeframe="1m").candles) == 1


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe"),
    [
        ("BTCUSDT.1min.csv.gz", "BTC/USDT", "1m"),
        ("ADA_BTC-5m.feather", "ADA/BTC", "5m"),
        ("UNITTEST_BTC-1m.json.gz", "UNITTEST/BTC", "1m"),
        ("BTC_USDT_USDT-1h-futures.feather", "BTC/USDT:USDT", "1h"),
        ("BTC-USDT-SWAP_4H.csv", "BTC/USDT:USDT", "4h"),
        ("binance_BTCUSDT_24h_2019_01_01_2020_01_01.csv", "BTC/USDT", "1d"),
        ("BTCUSDT-1m-2024-01.csv", "BTC/USDT", "1m"),
        ("1000SHIBUSDT-15m.parquet", "1000SHIB/USDT", "15m"),
        ("BINANCE_ETH_USDT-1M.csv", "ETH/USDT", "1M"),
        ("btcfdusd.csv", "BTC/FDUSD", ""),
        ("1INCH_USDT_5T.csv", "1INCH/USDT", "5m"),
        ("bitcoin.csv.gz", "", ""),
        ("0m.csv", "", ""),
    ],
)
def test_names_tell_symbol_and_timeframe(name: str, symbol: str, timeframe: str) -> None:
    """As the tools that write such files name them."""
    assert (symbol_of(name), timeframe_of(name)) == (symbol, timeframe)


def test_folder_is_discovered_by_names_alone(tmp_path: pathlib.Path) -> None:
    """Sorted, without hidden and other files, and without opening any."""
    (tmp_path / "below").mkdir()
    for name in ("B_USDT-1h.feather", "AUSDT-1m.csv", ".hidden.csv", "notes.txt", "below/CUSDT.json.gz"):
        (tmp_path / name).write_bytes(b"not candles")
    assert discover(tmp_path) == [
        CandleSource(tmp_path / "AUSDT-1m.csv", "A/USDT", "1m"),
        CandleSource(tmp_path / "B_USDT-1h.feather", "B/USDT", "1h"),
    ]
    assert [source.symbol for source in discover(tmp_path, recursive=True)] == ["A/USDT", "B/USDT", "C/USDT"]
    with pytest.raises(CandleFileError, match="did you mean below"):
        discover(tmp_path / "belaw")
    with pytest.raises(CandleFileError, match="is a file"):
        discover(tmp_path / "notes.txt")


def test_reading_does_not_import_pandas(tmp_path: pathlib.Path) -> None:
    """It costs 200 ms that a CSV or a feather file does not need."""
    path = _clean(tmp_path)
    pyarrow.feather.write_feather(_table(pa.array([_T0, _T0 + 60_000])), str(tmp_path / "x.feather"))
    code = (
        "import sys; from tradeutils.history import read_candles\n"
        f"read_candles({str(path)!r}); read_candles({str(tmp_path / 'x.feather')!r})\n"
        "sys.exit('pandas' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(tradeutils.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_report_says_each_finding_once() -> None:
    """The one line names what was found and where it began."""
    report = FileReport(rows=3, kept=2, duplicates=1, timeframe="1m", first_lines={"duplicates": 4})
    assert str(report) == "2 of 3 rows kept, 1m, time in ms: 1 duplicates dropped (first: duplicates line 4)"
