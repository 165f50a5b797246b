"""The commands of ``tradeutils history``: what they print, write and refuse, and how they end."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tradeutils import logs
from tradeutils.cli import main
from tradeutils.cli.history import COMMANDS
from tradeutils.cli.stored import size_text
from tradeutils.history import History
from tradeutils.model import Candles
from tradeutils.timeframe import parse

DAY = 86_400_000
JANUARY = 1_704_067_200_000  # 2024-01-01


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stands on stdout, all of it, as JSON."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table below its headings."""
        return [line.split() for line in self.out.splitlines()[1:]]


Run = Callable[..., Ended]


def candles_of(symbol: str = "BTC/USDT", timeframe: str = "1h", days: int = 130, exchange: str = "binance") -> Candles:
    times = parse(timeframe).range(JANUARY, JANUARY + days * DAY)
    price = np.arange(len(times)) + 1.0
    return Candles(
        exchange=exchange, symbol=symbol, timeframe=timeframe, time=times, open=price, high=price + 1, low=price,
        close=price, volume=price,
    )  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Run]:
    """Return a function that runs ``tradeutils history`` in a folder with a history of 260 days of hours and days."""
    for name in [name for name in os.environ if name.startswith("TRADEUTILS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with History("candles", min_free=0) as history:
        whole = candles_of()
        history.write([whole[:500], whole[510:], candles_of("ETH/USDT", "1d"), candles_of(exchange="okx")])
        history.seal()
        history.write(candles_of("ETH/USDT", "1d", 132))
        history.asked("binance", "BTC/USDT", "1h", int(whole.time[502]), int(whole.time[505]))

    def run_command(*words: str) -> Ended:
        capsys.readouterr()
        code = main(["history", *words])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    yield run_command
    logs.reset()


def test_stats_are_a_table_with_a_projection(run: Run) -> None:
    """What is stored, what is not sealed, and when the disk is full, said to be a projection."""
    ended = run("stats")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0].endswith("candles")
    text = ended.out
    assert "candles         6,362 from 2024-01-01 00:00 to 2024-05-11 00:00 UTC" in text
    assert "not sealed yet  2 candles" in text
    assert "projection" in text
    assert " a day: full in " in text


def test_stats_and_series_are_json(run: Run) -> None:
    """All of it, and nothing else on stdout."""
    found = run("stats", "--json").json
    assert (found["rows"], found["unsealed"], found["quarantined"], len(found["series"])) == (6_362, 2, 0, 3)
    assert found["growth_bytes_a_day"] > 0
    only = run("series", "--exchange", "okx", "--json").json
    assert [(one["exchange"], one["symbol"], one["rows"]) for one in only] == [("okx", "BTC/USDT", 3_120)]


def test_series_are_a_line_each(run: Run) -> None:
    """With their candles and from when to when; narrowed by symbol and timeframe."""
    assert [row[:4] for row in run("series").rows] == [
        ["binance", "BTC/USDT", "1h", "3,110"], ["binance", "ETH/USDT", "1d", "132"], ["okx", "BTC/USDT", "1h", "3,120"]
    ]  # fmt: skip
    (row,) = run("series", "--symbol", "ETH/USDT", "-t", "1d").rows
    assert row[4:8] == ["2024-01-01", "00:00", "2024-05-11", "00:00"]


def test_gaps_tell_what_is_known_of_them(run: Run) -> None:
    """Asked for in part: some is empty, the rest was never asked."""
    ended = run("gaps", "binance", "BTC/USDT", "1h")
    assert ended.code == 0
    assert ended.out.splitlines()[1].split() == [
        "2024-01-21", "20:00", "2024-01-22", "06:00", "10", "never", "asked,", "empty"
    ]  # fmt: skip
    assert ended.out.splitlines()[-1] == "1 gaps, 10 bars"
    assert run("gaps", "binance", "BTC/USDT", "1h", "--json").json == [
        {
            "since": JANUARY + 500 * DAY // 24,
            "until": JANUARY + 510 * DAY // 24,
            "bars": 10,
            "known": "never asked, empty",
        }
    ]
    assert run("gaps", "binance", "BTC/USDT", "1h", "--since", "2024-02-01").out == "0 gaps, 0 bars\n"


def test_sound_history_verifies_with_0(run: Run) -> None:
    """One line on stdout."""
    ended = run("verify")
    assert ended.code == 0
    assert ended.out.startswith("3 series, ")
    assert ended.out.endswith(": all sound\n")
    assert run("verify", "--json").json["ok"] is True


def test_damage_ends_with_1_and_names_the_file_and_the_remedy(run: Run) -> None:
    """The others are verified all the same."""
    file = next(pathlib.Path("candles").rglob("exchange=okx/**/2024-02.parquet"))
    file.write_bytes(file.read_bytes()[:-9])
    ended = run("verify")
    assert ended.code == 1
    assert str(file) in ended.out
    assert "1 damaged" in ended.out
    assert "tradeutils history salvage" in ended.err
    found = run("verify", "--json")
    assert found.code == 1
    assert (found.json["ok"], found.json["damages"][0]["exchange"], found.json["series"]) == (False, "okx", 3)
    assert found.json["remedy"]
    assert run("verify", "--exchange", "binance").code == 0
    assert "damaged" in run("stats").out


def test_history_that_lost_the_file_of_its_format_is_verified(run: Run) -> None:
    """Its series are there, and that is what counts."""
    pathlib.Path("candles/_history.json").unlink()
    assert run("verify").out.startswith("3 series")


def test_salvage_makes_a_damaged_history_sound(run: Run) -> None:
    """The damaged file is put aside, and its month is missing for a backfill."""
    assert run("salvage").out == "0 series mended: 0 candles of journals kept, 0 records lost\n"
    file = next(pathlib.Path("candles").rglob("exchange=okx/**/2024-02.parquet"))
    file.write_bytes(file.read_bytes()[:-9])
    ended = run("salvage", "--json")
    assert ended.code == 0
    assert (ended.json["series"], list(ended.json["forgotten"])) == (1, ["okx BTC/USDT 1h"])
    assert run("verify").code == 0
    assert "never asked" in run("gaps", "okx", "BTC/USDT", "1h").out
    file = next(pathlib.Path("candles").rglob("exchange=okx/**/2024-03.parquet"))
    file.write_bytes(b"x" * 100)
    assert "2024-03.parquet" in run("salvage", "--exchange", "okx").out


def test_compact_packs_and_says_what(run: Run) -> None:
    """Every candle is still there."""
    ended = run("compact")
    assert ended.code == 0
    assert ended.out.startswith("3 series: 2 candles sealed, ")
    assert run("stats", "--json").json["rows"] == 6_362
    assert run("compact", "--json").json["sealed"] == 0


def test_series_that_another_writes_is_skipped_with_1(run: Run) -> None:
    """Named, with who writes it; it is not pruned either."""
    with History("candles", min_free=0) as other:
        other.write(candles_of()[:1])
        other.asked("binance", "BTC/USDT", "1h", JANUARY, JANUARY + 1)
        ended = run("compact", "--exchange", "binance")
        assert (ended.code, "is locked" in ended.out) == (1, True)
        pruned = run("prune", "--older-than", "30d")
        assert (pruned.code, "1 series skipped" in pruned.err) == (1, True)
        assert pruned.out.count("okx") == 3


def test_import_reports_each_file_and_ends_with_1_where_one_failed(run: Run) -> None:
    """Into a history that is not there yet."""
    folder = pathlib.Path("in")
    folder.mkdir()
    (folder / "AUSDT-1h.csv").write_text("time,open,high,low,close,volume\n2024-01-01,1,2,1,2,3\n")
    (folder / "BUSDT-1h.csv").write_text("nothing")
    ended = run("import", "in", "--exchange", "binance", "--path", "new")
    assert ended.code == 1
    assert [row[:2] for row in ended.rows] == [["in/AUSDT-1h.csv", "A/USDT"], ["in/BUSDT-1h.csv", "B/USDT"]]
    assert "1 of 2 files imported: 1 candles added; 1 failed (first: in/BUSDT-1h.csv" in ended.err
    (folder / "BUSDT-1h.csv").unlink()
    again = run("import", "in", "--exchange", "binance", "--path", "new", "--json")
    assert again.code == 0
    assert (again.json["added"], again.json["unchanged"], again.json["files"][0]["status"]) == (0, 1, "imported")


def test_symbols_are_said_for_all_files_or_by_name(run: Run) -> None:
    """A name that tells no pair is one of a market that the caller knows."""
    text = "1704067200000,1,2,1,2,3,1704070799999,1,1,1,1,0\n"
    pathlib.Path("BTCUSD1-1h-2024-01.csv").write_text(text)
    words = ("import", "BTCUSD1-1h-2024-01.csv", "--exchange", "x", "--path", "new")
    assert run(*words).code == 1
    assert run(*words, "--symbol", "BTCUSD1=BTC/USD1", "--symbol", "Z=Z/USD").code == 0
    assert run(*words, "--symbol", "OTHER/NAME").code == 0
    assert [row[1] for row in run("series", "--path", "new").rows] == ["BTC/USD1", "OTHER/NAME"]


def test_export_writes_files_that_import_again(run: Run) -> None:
    """The format is told by the option or by the ending of a file; what exists is left, and told."""
    ended = run("export", "out", "--format", "freqtrade", "--exchange", "binance")
    assert ended.code == 0
    assert sorted(path.name for path in pathlib.Path("out").iterdir()) == ["BTC_USDT-1h.feather", "ETH_USDT-1d.feather"]
    size = sum(path.stat().st_size for path in pathlib.Path("out").iterdir())
    assert ended.err == f"2 files exported: 3,242 candles, {size:,} bytes\n"
    assert "--overwrite" in run("export", "out", "-f", "freqtrade", "--exchange", "binance").out
    words = ["--exchange", "binance", "--symbol", "BTC/USDT", "-t", "1h", "--since", "2024-02-01"]
    assert run("export", "btc.csv", *words, "--until", "2024-02-02").code == 0
    assert len(pathlib.Path("btc.csv").read_text().splitlines()) == 25
    found = run("export", "tree", "--json").json
    assert found["rows"] == 6_362
    assert all(file["path"].endswith(".parquet") for file in found["files"])
    assert run("import", "tree", "--path", "new").code == 0


def test_series_that_cannot_be_exported_ends_with_1(run: Run) -> None:
    """The others are."""
    file = next(pathlib.Path("candles").rglob("exchange=okx/**/2024-02.parquet"))
    file.write_bytes(b"damaged")
    ended = run("export", "out", "-f", "csv")
    assert ended.code == 1
    assert "2 files exported" in ended.err


def test_prune_says_what_would_go_and_then_does_it(run: Run) -> None:
    """Per timeframe, by size, and what is kept."""
    planned = run("prune", "--older-than", "1h=60d", "--keep", "BTC/*", "--dry-run")
    assert (planned.code, "0 files would go" in planned.err) == (0, True)
    planned = run("prune", "--older-than", "1h=60d", "--exchange", "binance", "--dry-run", "--json").json
    assert [file["rows"] for file in planned["files"]] == [744 - 10, 696]
    assert run("stats", "--json").json["rows"] == 6_362
    ended = run("prune", "--older-than", "1h=60d", "--exchange", "binance")
    assert ended.code == 0
    assert [row[7:] for row in ended.rows] == [["734", *ended.rows[0][8:]], ["696", *ended.rows[1][8:]]]
    assert "2 files deleted: 1,430 candles" in ended.err
    assert run("prune", "--max-bytes", "1", "--json").json["over"] > 0
    assert run("stats", "--json").json["files"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stat",), "command was 'stat'; did you mean stats"),
        (("stats", "--path", "nowhere"), "path was 'nowhere', and there is no such folder"),
        (("verify", "--path", "candles/exchange=okx"), "path was 'candles/exchange=okx', which is no history"),
        (("stats", "--exchange", "binanc"), "exchange was 'binanc'; did you mean binance"),
        (("series", "--symbol", "BTC/USD"), "symbol was 'BTC/USD'; "),
        (("verify", "-t", "7x"), "timeframe was '7x'"),
        (("gaps", "binance", "BTC/EUR", "1h"), "symbol was 'BTC/EUR'"),
        (("gaps", "binance", "BTC/USDT", "1h", "--since", "soon"), "since was 'soon'"),
        (("gaps", "binance"), "Missing argument 'SYMBOL'"),
        (("import", "nowhere", "--exchange", "x", "--path", "new"), "nowhere: no such file or folder"),
        (("import", "candles", "--exchange", "x"), "in a history"),
        (("import", "x.csv", "--symbol", "A/B", "--symbol", "C/D"), "symbol was 'C/D' after 'A/B'"),
        (("export", "out", "--format", "cvs"), "format was 'cvs'; did you mean csv"),
        (("export", "candles/out"), "inside the history"),
        (("export", "x.csv"), "one file, for 3 series"),
        (("prune",), "nothing said what may go"),
        (("prune", "--older-than", "1m"), "a month is"),
        (("prune", "--older-than", "7x=90d"), "timeframe was '7x'"),
        (("prune", "--max-bytes", "much"), "max_bytes was 'much'"),
    ],
)
def test_wrong_commands_end_with_2_and_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    """Which says what to write instead; nothing is made or deleted."""
    ended = run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert len(list(pathlib.Path("candles").rglob("*.parquet"))) == 11
    assert sorted(path.name for path in pathlib.Path().iterdir()) == ["candles"]


def test_folder_is_that_of_the_settings(run: Run) -> None:
    """Without ``--path``."""
    pathlib.Path("candles").rename("elsewhere")
    pathlib.Path("tradeutils.toml").write_text('[history]\npath = "elsewhere"\n')
    assert run("stats", "--json").json["rows"] == 6_362


def test_doctor_looks_at_the_history(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many series, how much room; where there is none, how to begin one; where it cannot be read, a warning."""

    def look(path: str) -> dict[str, Any]:
        monkeypatch.setenv("TRADEUTILS_HISTORY__PATH", path)
        capsys.readouterr()
        assert main(["doctor", "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)["checks"]["history"]
        return found

    there = look("candles")
    assert (there["state"], there["details"]["series"]) == ("ok", 3)
    assert there["found"].startswith("3 series in ")
    nowhere = look("nowhere")
    assert (nowhere["state"], "tradeutils backfill" in nowhere["remedy"]) == ("missing", True)
    monkeypatch.setattr("tradeutils.cli.doctor._FEW_DISK", 1 << 80)
    assert "tradeutils history prune" in look("candles")["remedy"]
    pathlib.Path("candles/_history.json").write_text("{}")
    assert look("candles")["state"] == "warning"


def test_command_alone_shows_its_help_and_ends_with_2(run: Run) -> None:
    """As ``tradeutils`` alone does; every subcommand has examples."""
    ended = run()
    assert ended.code == 2
    assert ended.out.startswith("Usage: tradeutils history [OPTIONS] COMMAND")
    for name, _, purpose in COMMANDS:
        assert purpose in ended.out
        assert f"tradeutils history {name}" in run(name, "--help").out


def test_help_and_bad_input_load_nothing_heavy(tmp_path: pathlib.Path) -> None:
    """They are answered at once."""
    program = (
        "import sys\nfrom tradeutils.cli import main\nmain(['history', 'verify', '--help'])\n"
        "print(*sorted({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (99_940, "99.9 kB"), (99_960, "100 kB"), (999_600, "1.0 MB"),
     (4e12, "4.0 TB"), (5e15, "5,000 TB")],
)  # fmt: skip
def test_sizes_read_as_disks_are_sold(size: float, text: str) -> None:
    """In powers of 1000, three digits that count."""
    assert size_text(size) == text
