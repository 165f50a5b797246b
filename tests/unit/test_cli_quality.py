"""The command `quality`: what it prints, writes, refuses, and how it ends."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import pytest
from planted_faults import HIGH, TIME, clean_rows

from tradeutils import logs
from tradeutils.cli import main
from tradeutils.history import read_candles
from tradeutils.history.candle_files.rows import read_rows
from tradeutils.sim import serve


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Any:
    """Return a function that runs ``tradeutils quality`` in an empty folder: its exit code, stdout and stderr."""
    for name in [name for name in os.environ if name.startswith("TRADEUTILS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run_command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["quality", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run_command
    logs.reset()


def write(name: str, rows: Any) -> None:
    lines = [",".join(repr(float(cell)) for cell in row) for row in rows]
    text = "\n".join(["time,open,high,low,close,volume", *lines, ""])
    pathlib.Path(name).write_text(text.replace("nan", ""), encoding="utf-8")


def faulty_rows() -> Any:
    rows = clean_rows(100)
    rows[20, HIGH] = 1.0
    return rows[[*range(30), *range(33, 60), 59, *range(60, 100)]]


def test_clean_file_ends_with_0_and_one_line(run: Any) -> None:
    """Symbol and timeframe are read from its name."""
    write("BTCUSDT-1m.csv", clean_rows(50))
    code, out, err = run("BTCUSDT-1m.csv")
    assert (code, err) == (0, "")
    assert out == "BTC/USDT 1m: 50 rows from 2024-01-01 00:00 to 2024-01-01 00:50 UTC: clean\n"


def test_findings_are_a_table_with_lines_of_the_file_and_end_with_1(run: Any) -> None:
    """An error ends with 1; the table names kind, places, bars and the first line."""
    write("mine.csv", faulty_rows())
    code, out, _ = run("mine.csv")
    assert code == 1
    heading, *rows, last = out.splitlines()
    assert heading.split() == ["severity", "kind", "places", "bars", "line", "first", "(UTC)", "what"]
    assert [row.split()[:5] for row in rows] == [
        ["error", "duplicate", "1", "1", "58"],
        ["warning", "gap", "1", "3", "32"],
        ["error", "high_below_body", "1", "1", "22"],
    ]
    assert last.endswith("3 findings")


def test_warnings_end_with_1_only_where_asked_for(run: Any) -> None:
    """A gap is no error; --strict ends with 1 for it."""
    write("mine.csv", clean_rows(50)[[*range(20), *range(23, 50)]])
    assert run("mine.csv")[0] == 0
    assert run("mine.csv", "--strict")[0] == 1


def test_json_is_the_whole_report(run: Any) -> None:
    """With every place of every finding, and nothing else on stdout."""
    write("mine.csv", faulty_rows())
    code, out, _ = run("mine.csv", "--json")
    report = json.loads(out)
    assert code == 1
    assert (report["rows"], report["ok"], report["timeframe"]) == (98, False, "1m")
    assert [finding["kind"] for finding in report["findings"]] == ["duplicate", "gap", "high_below_body"]
    assert report["findings"][1]["places"][0]["row"] == 30


def test_repairs_are_told_and_written_and_what_is_left_is_judged(run: Any) -> None:
    """The file that is written reads back clean; the changes stand on stderr, or in the JSON."""
    write("mine.csv", faulty_rows())
    rules = ("--repair", "drop_duplicates", "--repair", "clip_high_low", "--repair", "fill_gaps_flat")
    code, out, err = run("mine.csv", *rules, "-o", "mended.parquet")
    assert code == 0
    assert out.endswith("100 rows from 2024-01-01 00:00 to 2024-01-01 01:40 UTC: clean\n")
    assert "fill_gaps_flat: 3 rows added" in err
    assert read_candles("mended.parquet").report.clean
    changes = json.loads(run("mine.csv", *rules, "--json")[1])["changes"]
    assert [(change["rule"], change["count"]) for change in changes] == [
        ("drop_duplicates", 1), ("clip_high_low", 1), ("fill_gaps_flat", 3)
    ]  # fmt: skip


def test_file_is_compared_with_another(run: Any) -> None:
    """Hours that it is off are found; what the other has more of is named with the other's line."""
    rows = clean_rows(300)
    late = rows[:200].copy()
    late[:, TIME] += 3 * 3_600_000
    write("late.csv", late[[*range(100), *range(102, 200)]])
    write("right.csv", rows)
    code, out, _ = run("late.csv", "--against", "right.csv", "-t", "1m")
    assert code == 1
    assert [line.split()[1] for line in out.splitlines()[1:-1]] == ["gap", "shifted", "only_second"]
    assert "+3 h" in out
    assert out.splitlines()[-2].split()[2:5] == ["1", "2", "102"]
    code, out, err = run(
        "late.csv", "--against", "right.csv", "--repair", "shift_hours", "-o", "mended.csv", "--tolerance", "0.1"
    )
    assert (code, "shift_hours: 198 rows moved by whole hours" in err) == (0, True)
    assert "shifted" not in out


def test_venue_is_checked_through_the_simulated_one(run: Any) -> None:
    """The newest bars of a market; more or fewer with --limit."""
    with serve("binance", symbols=2, seed=7) as venue:
        code, out, _ = run("binance", "BTC/USDT", "5m", "--limit", "60", "--url", venue.url)
        assert (code, out.split(":")[0]) == (0, "binance BTC/USDT 5m")
        assert "60 rows" in out
        assert " 500 rows" in run("BTC/USDT", "1h", "--url", venue.url)[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the candles were left out"),
        (("mine.csv", "-o", "x.csv"), "no --repair"),
        (("mine.csv", "--repair", "sort", "-o", "x.txt"), "ends in"),
        (("mine.csv", "--repair", "sorted"), "did you mean sort"),
        (("mine.csv", "--limit", "5"), "judged as a whole"),
        (("mine.csv", "--repair", "sort"), "name these rules too"),
        (("mine.csv", "--tolerance", "-1", "--against", "mine.csv"), "tolerance"),
        (("mine.csv", "--timeframe", "7x"), "timeframe was '7x'"),
        (("absent.csv",), "no such file"),
        (("words.csv",), "not a number"),
    ],
)
def test_wrong_commands_end_with_2_and_one_line(run: Any, words: tuple[str, ...], said: str) -> None:
    """The line says what to write instead."""
    write("mine.csv", faulty_rows())
    pathlib.Path("words.csv").write_text("time,open,high,low,close,volume\n1704067200,1,2,x,1,1\n")
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


# Rows of files


def test_rows_of_a_file_are_as_they_stand_in_it(run: Any) -> None:
    """Nothing is sorted, merged or dropped; empty cells are NaN; a row leads back to its line."""
    rows = clean_rows(10)[::-1].copy()
    rows[4, HIGH] = float("nan")
    write("BTCUSDT-1m.csv", rows)
    read = read_rows("BTCUSDT-1m.csv")
    assert (read.symbol, read.timeframe, read.line_of(4)) == ("BTC/USDT", "1m", 6)
    assert (read.rows[:, TIME] == rows[:, TIME]).all()
    assert (read.rows != rows).sum() == 1  # NaN


def test_timeframe_of_the_name_is_believed_only_where_the_rows_agree(run: Any) -> None:
    """Rows a minute apart in a file named 1h are left to tell themselves; the caller is believed."""
    write("BTCUSDT-1h.csv", clean_rows(10))
    assert read_rows("BTCUSDT-1h.csv").timeframe is None
    assert read_rows("BTCUSDT-1h.csv", timeframe="60m").timeframe == "1h"
    write("BTCUSDT-1M.csv", clean_rows(10, "1M"))
    assert read_rows("BTCUSDT-1M.csv").timeframe == "1M"
    write("plain.csv", clean_rows(10))
    assert read_rows("plain.csv").timeframe is None
    columns = {"time": "time", "open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume"}
    assert read_rows("plain.csv", columns=columns, symbol="X/Y").symbol == "X/Y"
