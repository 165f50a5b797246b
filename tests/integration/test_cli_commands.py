"""The commands, run in this process against a simulated venue and a real server: what they print, write and refuse."""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from servers import ValkeyServer

from tradeutils import indicators, logs
from tradeutils.analysis.levels import swings
from tradeutils.analysis.patterns import find
from tradeutils.cli import main
from tradeutils.device import using
from tradeutils.history.candle_files.reading import read_candles
from tradeutils.indicators import REGISTRY, Indicators, cpu
from tradeutils.sim import DEFAULT_ACCOUNT, SimulatedAccount, SimulatedVenue, serve

JANUARY = 1_704_067_200_000  # 2024-01-01
POOR = SimulatedAccount(name="bob", key="b" * 64, secret="c" * 64, balances={"ETH": "2"})


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


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """Start a simulated venue with a frozen clock and two accounts."""
    with serve("binance", symbols=12, seed=7, accounts=(DEFAULT_ACCOUNT, POOR)) as running:
        yield running


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[Run]:
    """Return a function that runs a command line in an empty folder, without settings of the machine."""
    for name in [name for name in os.environ if name.startswith("TRADEUTILS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run_command(*words: str) -> Ended:
        capsys.readouterr()
        code = main(words)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    yield run_command
    logs.reset()


@pytest.fixture
def with_accounts(run: Run, monkeypatch: pytest.MonkeyPatch, venue: SimulatedVenue) -> None:
    """Put the venue and its two accounts into the settings, which `run` emptied."""
    monkeypatch.setenv("TRADEUTILS_EXCHANGES__BINANCE__URL", venue.url)
    for account in (DEFAULT_ACCOUNT, POOR):
        prefix = f"TRADEUTILS_ACCOUNTS__{account.name.upper()}__"
        for name, value in (("EXCHANGE", "binance"), ("KEY", account.key), ("SECRET", account.secret)):
            monkeypatch.setenv(prefix + name, value)


def only_line(text: str) -> str:
    """Return a text's one line."""
    assert text.count("\n") == 1, text
    return text.rstrip("\n")


# What is fetched


def test_fetched_candles_are_shown_as_a_table(run: Run, venue: SimulatedVenue) -> None:
    """The newest rows; how many there are is told beside it."""
    ended = run("fetch", "binance", "BTC/USDT", "-t", "5m", "-n", "20", "--tail", "3", "--url", venue.url)
    lines = ended.out.splitlines()
    assert (ended.code, len(lines)) == (0, 4)
    assert lines[0].split() == ["symbol", "time", "(UTC)", "open", "high", "low", "close", "volume"]
    assert all(line.startswith("BTC/USDT  20") for line in lines[1:])
    assert only_line(ended.err) == "20 bars of BTC/USDT 5m; the newest 3 are shown"


def test_fetched_candles_are_printed_as_json(run: Run, venue: SimulatedVenue) -> None:
    """By symbol, as rows of ccxt; the newest ends before the venue's clock."""
    ended = run("fetch", "binance", "BTC/USDT", "ETH/BTC", "-n", "7", "--json", "--url", venue.url)
    assert ended.code == 0
    assert (ended.json["exchange"], ended.json["timeframe"]) == ("binance", "1h")
    assert set(ended.json["candles"]) == {"BTC/USDT", "ETH/BTC"}
    rows = ended.json["candles"]["BTC/USDT"]
    assert [len(row) for row in rows] == [6] * 7
    assert rows[-1][0] + 3_600_000 <= venue.clock.now() < rows[-1][0] + 2 * 3_600_000


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather", "json"])
def test_fetched_file_is_read_back_equal(run: Run, venue: SimulatedVenue, tmp_path: pathlib.Path, ending: str) -> None:
    """What is written is what the venue sent, in every kind of file; stdout stays empty."""
    words = ("fetch", "binance", "ETH/USDT", "-t", "15m", "-n", "1500", "--url", venue.url)
    rows = np.array(run(*words, "--json").json["candles"]["ETH/USDT"])
    ended = run(*words, "-o", f"eth.{ending}")
    assert (ended.code, ended.out) == (0, "")
    assert only_line(ended.err) == f"eth.{ending}: 1500 bars of ETH/USDT 15m"
    found = read_candles(tmp_path / f"eth.{ending}")
    assert found.report.clean
    candles = found.candles
    assert candles.timeframe == "15m"
    assert np.array_equal(candles.time, rows[:, 0])
    for index, name in enumerate(("open", "high", "low", "close", "volume"), 1):
        assert np.array_equal(getattr(candles, name), rows[:, index])
    assert [path.name for path in tmp_path.iterdir()] == [f"eth.{ending}"]


def test_several_symbols_go_into_several_files(run: Run, venue: SimulatedVenue, tmp_path: pathlib.Path) -> None:
    """Each named by its symbol."""
    ended = run("fetch", "binance", "BTC/USDT", "ETH/BTC", "-n", "3", "-o", "{symbol}-1h.csv", "--url", venue.url)
    assert ended.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["BTC_USDT-1h.csv", "ETH_BTC-1h.csv"]
    assert read_candles(tmp_path / "ETH_BTC-1h.csv").candles.symbol == "ETH/BTC"


def test_range_is_half_open(run: Run, venue: SimulatedVenue) -> None:
    """``--since`` is in it and ``--until`` is not; both in UTC."""
    ended = run(
        "fetch", "binance", "BTC/USDT", "--since", "2025-05-01", "--until", "2025-05-01T03:00", "--json",
        "--url", venue.url,
    )  # fmt: skip
    times = [row[0] for row in ended.json["candles"]["BTC/USDT"]]
    assert times == [1_746_057_600_000 + hour * 3_600_000 for hour in range(3)]


# Indicators and charts


def test_indicators_of_a_file_are_those_of_the_library(run: Run, venue: SimulatedVenue, tmp_path: pathlib.Path) -> None:
    """Every output, every row; what was found in the file is told on stderr."""
    run("fetch", "binance", "BTC/USDT", "-n", "300", "-o", "btc.parquet", "--url", venue.url)
    ended = run("indicators", "btc.parquet", "--with", "rsi:14", "--with", "macd", "--json")
    assert ended.code == 0
    assert only_line(ended.err) == "btc.parquet: 300 of 300 rows kept, 1h, time in ms: clean"
    candles = read_candles(tmp_path / "btc.parquet").candles
    expected = Indicators(candles).compute(["rsi:14", "macd"])
    assert ended.json["indicators"].keys() == expected.keys()
    assert ended.json["time"] == candles.time.tolist()
    for key, values in expected.items():
        assert np.array_equal(np.array(ended.json["indicators"][key], dtype=float), values, equal_nan=True)


def test_range_of_indicators_is_every_one_of_them(run: Run, venue: SimulatedVenue) -> None:
    """In their order, each under its own name; one that is wrong says what to write before anything is fetched."""
    words = ("indicators", "BTC/USDT", "1h", "-n", "5", "--json", "--url", venue.url)
    assert list(run(*words, "--with", "sma:2..4", "--with", "sma:3").json["indicators"]) == ["sma:2", "sma:3", "sma:4"]
    ended = run(*words, "--with", "sma:4..2")
    assert ended.code != 0
    assert "write 2..4" in ended.err


def test_indicators_of_a_venue_are_warm_from_the_first_bar(run: Run, venue: SimulatedVenue) -> None:
    """Bars before the range are fetched as far as they are needed, and not shown."""
    words = ("indicators", "BTC/USDT", "1h", "--with", "sma:50", "--json", "--url", venue.url)
    newest = run(*words, "-n", "5").json
    assert [len(newest["time"]), len(newest["indicators"]["sma:50"])] == [5, 5]
    assert None not in newest["indicators"]["sma:50"]
    since = run(*words, "--since", "2025-05-01", "--until", "2025-05-01T03:00").json
    assert since["time"][0] == 1_746_057_600_000
    assert len(since["time"]) == 3
    assert None not in since["indicators"]["sma:50"]


def test_indicators_are_shown_as_a_table(run: Run, venue: SimulatedVenue) -> None:
    """The newest five rows, a column for each output."""
    ended = run("indicators", "binance", "BTC/USDT", "--with", "bbands:20,2", "--url", venue.url)
    lines = ended.out.splitlines()
    assert lines[0] == "binance BTC/USDT 1h"
    assert lines[1].split() == [
        "time",
        "(UTC)",
        "close",
        "bbands:20,2.upper",
        "bbands:20,2.middle",
        "bbands:20,2.lower",
    ]
    assert len(lines) == 7


def test_indicators_are_listed(run: Run) -> None:
    """What may be asked for, as it is written."""
    assert any(line.startswith("macd:12,26,9 ") for line in run("indicators", "--list").out.splitlines())
    listed = run("indicators", "--list", "--json").json
    assert list(listed) == list(REGISTRY)
    assert listed["rsi"]["parameters"] == {"period": 14}
    assert listed["rsi"]["lookback"] == 14
    assert listed["keltner"]["compat"] == ["talib", "tradingview"]


def test_indicators_follow_the_definition_asked_for(run: Run, tmp_path: pathlib.Path) -> None:
    """--compat is the library's, for numbers as for a chart."""
    rows = "".join(f"{JANUARY + at * 60_000},2,2,2,{price},1\n" for at, price in enumerate((1, 2, 4, 3)))
    (tmp_path / "bars.csv").write_text("time,open,high,low,close,volume\n" + rows)
    asked = ("indicators", "bars.csv", "-t", "1m", "--with", "ema:3", "--json")
    for compat in ("talib", "tradingview"):
        made = np.array(run(*asked, "--compat", compat).json["indicators"]["ema:3"], dtype=float)
        np.testing.assert_array_equal(made, indicators.ema([1, 2, 4, 3], 3, compat=compat))
    assert run("chart", "bars.csv", "-t", "1m", "--with", "ema:3", "--compat", "tradingview").code == 0


def test_report_of_a_file_names_what_was_found(run: Run, tmp_path: pathlib.Path) -> None:
    """Gaps and duplicates are counted, with the line where each was first found."""
    (tmp_path / "bad.csv").write_text(
        "time,open,high,low,close,volume\n" + "".join(f"{JANUARY + at * 60_000},1,1,1,1,1\n" for at in (0, 1, 1, 4))
    )
    ended = run("indicators", "bad.csv", "-t", "1m", "--with", "sma:2", "--json")
    assert ended.code == 0
    assert "1 gaps (2 bars missing); 1 duplicates dropped" in only_line(ended.err)
    assert ended.json["time"] == [JANUARY, JANUARY + 60_000, JANUARY + 240_000]


def test_chart_is_written_as_one_file(run: Run, venue: SimulatedVenue, tmp_path: pathlib.Path) -> None:
    """With every indicator in it, warm from its first bar, and nothing on stdout."""
    ended = run("chart", "BTC/USDT", "1h", "-n", "100", "--with", "ema:20", "--with", "rsi:14", "--url", venue.url)
    assert (ended.code, ended.out) == (0, "")
    assert only_line(ended.err) == "chart.html: 100 bars of BTC/USDT 1h"
    page = (tmp_path / "chart.html").read_text()
    figure = json.loads(page.partition('id="figure">')[2].partition("</script>")[0])
    lines = {one["name"]: one for one in figure["data"]}
    assert set(lines) == {"BTC/USDT", "volume", "ema:20", "rsi:14"}
    assert all(len(one["x"]) == 100 for one in lines.values())
    assert None not in lines["ema:20"]["y"]
    assert [path.name for path in tmp_path.iterdir()] == ["chart.html"]


def test_chart_of_a_file_may_be_drawn_again(run: Run, venue: SimulatedVenue, tmp_path: pathlib.Path) -> None:
    """A chart is replaced by the next; half the file gives half the bars."""
    run("fetch", "binance", "BTC/USDT", "-n", "60", "-o", "btc.csv", "--url", venue.url)
    for limit in ("60", "30"):
        assert run("chart", "btc.csv", "-t", "1h", "-n", limit, "-o", "btc.html", "--title", "Mine").code == 0
    page = (tmp_path / "btc.html").read_text()
    assert "<h1>Mine</h1>" in page
    assert "30 bars" in page


def test_chart_shows_what_the_analysis_found(run: Run, venue: SimulatedVenue, tmp_path: pathlib.Path) -> None:
    """Patterns judged from the first bar on, levels and swings of the bars drawn, the volume by price."""
    words = ("chart", "BTC/USDT", "1h", "-n", "300", "--patterns", "--levels", "--volume-profile", "--url", venue.url)
    assert run(*words).code == 0
    run("fetch", "binance", "BTC/USDT", "-n", "320", "-o", "btc.parquet", "--url", venue.url)
    candles = read_candles(tmp_path / "btc.parquet").candles
    page = (tmp_path / "chart.html").read_text()
    figure = json.loads(page.partition('id="figure">')[2].partition("</script>")[0])
    drawn = {one["name"]: one for one in figure["data"]}
    assert set(drawn) | {"support"} == {  # of which there is none below the lowest price
        "BTC/USDT", "bullish patterns", "bearish patterns", "patterns of one bar, neutral ones",
        "resistance", "support", "swing highs", "swing lows", "volume profile", "volume",
    }  # fmt: skip
    marked = [time for name, one in drawn.items() if "patterns" in name for time in one["x"]]
    assert set(marked) == {hit.time for hit in find(candles, tail=300).rows()}
    swung = [drawn[name]["x"] for name in ("swing highs", "swing lows")]
    newest = candles[-300:]
    expected = [
        [int(newest.time[swing.at]) for swing in swings(newest).rows() if swing.is_high is high]
        for high in (True, False)
    ]
    assert swung == expected


def test_chart_marks_the_patterns_that_are_named(run: Run, venue: SimulatedVenue, tmp_path: pathlib.Path) -> None:
    """And no other, in either spelling, with ``--patterns`` beside them or without."""
    words = ("chart", "BTC/USDT", "1h", "--pattern", "Engulfing", "--pattern", "cdldoji", "--url", venue.url)
    pages = []
    for more in ((), ("--patterns",)):
        assert run(*words, *more).code == 0
        pages.append((tmp_path / "chart.html").read_bytes())
    assert pages[0] == pages[1]
    figure = json.loads(pages[0].decode().partition('id="figure">')[2].partition("</script>")[0])
    texts = [text for one in figure["data"] for text in one["meta"].get("texts", [])]
    assert {text.partition(",")[0] for text in texts} == {"Engulfing", "Doji"}
    assert all(one.get("visible", True) is True for one in figure["data"])


# Accounts


@pytest.mark.parametrize("words", [(), ("-v",), ("-vv",), ("--json", "-vv")])
@pytest.mark.usefixtures("with_accounts")
def test_no_secret_is_printed(run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """Not when it goes well, and not when the venue refuses the key, however loud."""
    wrong = "w" * 64
    monkeypatch.setenv("TRADEUTILS_ACCOUNTS__BOB__SECRET", wrong)
    for name, code in (("demo", 0), ("bob", 1)):
        ended = run("balances", "--account", name, *words)
        assert ended.code == code
        for secret in (DEFAULT_ACCOUNT.key, DEFAULT_ACCOUNT.secret, POOR.key, wrong):
            assert secret not in ended.out + ended.err


# The doctor


def test_doctor_reports_and_ends_well_whatever_is_missing(run: Run) -> None:
    """Every part by name; what is missing says how to get it."""
    ended = run("doctor", "--json")
    assert ended.code == 0
    checks = ended.json["checks"]
    assert {"tradeutils", "packages", "cpu", "memory", "redis", "gpu"} <= checks.keys()
    assert "clock" not in checks  # nothing is sent anywhere unless asked
    assert checks["redis"]["state"] == "missing"
    assert "tradeutils.toml" in checks["redis"]["remedy"]
    assert {"python", "ccxt", "redis", "numpy", "pandas", "numba", "pyarrow", "orjson"} <= ended.json["versions"].keys()
    for found in checks.values():
        assert found["state"] in ("ok", "warning", "missing")
        assert found["found"]


def test_doctor_s_table_fits_a_page(run: Run) -> None:
    """In a pipe too."""
    ended = run("doctor")
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 120
    assert re.search(r"^cpu +ok +\S", ended.out, re.MULTILINE)


def test_doctor_names_the_card(run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its driver, what keeps indicators from it, and in JSON the extra that fits; never a failure."""
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\nif [ $# -gt 0 ]; then echo "Tesla T4, 15360, 520.61.05"; else echo "CUDA Version: 11.8 "; fi\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with using([]):  # on a machine that has a GPU, too
        ended = run("doctor", "--json")
    gpu = ended.json["checks"]["gpu"]
    assert ended.code == 0
    assert gpu["found"].startswith("Tesla T4 (15.0 GiB), driver 520.61.05, CUDA up to 11.8; none that can be used")
    assert (gpu["state"], gpu["remedy"]) == ("missing", "no device was put in place")
    assert gpu["details"]["cards"][0]["driver"] == "520.61.05"
    assert gpu["details"]["extra"].startswith("gpu-cuda1")


def test_doctor_looks_at_redis(run: Run, valkey: ValkeyServer) -> None:
    """Its name, version and time of a round trip; that it refuses when full is a warning."""
    ended = run("doctor", "--redis", valkey.url, "--json")
    found = ended.json["checks"]["redis"]
    assert ended.code == 0
    assert found["details"]["name"] == "valkey"
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["details"]["version"])
    assert 0 < found["details"]["latency"] < 1
    assert (found["state"], "allkeys-lfu" in found["remedy"]) == ("warning", True)


def test_doctor_hides_the_password_of_redis(run: Run, valkey: ValkeyServer) -> None:
    """In what it found, and where it was refused."""
    ended = run("doctor", "--redis", valkey.url.replace("://", "://nobody:hunter2secret@"), "--json")
    assert ended.code == 1
    assert ended.json["checks"]["redis"]["state"] == "failed"
    assert "hunter2secret" not in ended.out + ended.err


def test_doctor_asked_for_a_server_that_is_not_there_fails(run: Run) -> None:
    """Exit code 1 for what was asked for; the same server in the settings is a warning."""
    asked = run("doctor", "--redis", "redis://127.0.0.1:1/0", "--json")
    assert (asked.code, asked.json["checks"]["redis"]["state"]) == (1, "failed")


def test_doctor_takes_redis_from_the_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An optional part that is down does not make the machine unfit."""
    monkeypatch.setenv("TRADEUTILS_CACHE__URL", "redis://127.0.0.1:1/0")
    ended = run("doctor", "--json")
    assert (ended.code, ended.json["checks"]["redis"]["state"]) == (0, "warning")


def test_doctor_compiles_the_indicators(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, and it says where they are kept, or what to set where nothing can be."""
    ended = run("doctor", "--warm", "--json")
    found = ended.json["checks"]["indicators"]
    assert (ended.code, found["state"], found["remedy"]) == (0, "ok", "")
    assert found["details"]["kernels"] > 50
    assert pathlib.Path(found["details"]["folder"]).is_dir()
    assert re.search(r"^indicators +ok +\d+ kernels compiled in \d+ s", run("doctor", "--warm").out, re.MULTILINE)
    monkeypatch.setattr(cpu, "cache_folder", lambda module: None)
    found = run("doctor", "--warm", "--json").json["checks"]["indicators"]
    assert (found["state"], found["details"]["folder"]) == ("warning", None)
    assert "NUMBA_CACHE_DIR" in found["remedy"]


def test_doctor_compares_clocks(run: Run, venue: SimulatedVenue) -> None:
    """The simulated venue lives in another time, which is a warning with the offset; a dead one fails."""
    ended = run("doctor", "--venue", "binance", "--url", venue.url, "--json")
    clock = ended.json["checks"]["clock"]
    assert (ended.code, clock["state"]) == (0, "warning")
    assert "set-ntp" in clock["remedy"]
    dead = run("doctor", "--venue", "binance", "--url", "http://127.0.0.1:1", "--json")
    assert (dead.code, dead.json["checks"]["clock"]["state"]) == (1, "failed")


def test_doctor_finds_a_clock_that_is_right(run: Run) -> None:
    """A venue that runs by this machine's clock is a few milliseconds off."""
    import time

    with serve("binance", symbols=1, now=int(time.time() * 1000), speed=1.0) as running:
        clock = run("doctor", "--venue", "binance", "--url", running.url, "--json").json["checks"]["clock"]
    assert clock["state"] == "ok"
    assert clock["remedy"] == ""


# What is refused

BAD_INPUT: dict[str, tuple[tuple[str, ...], str]] = {
    "command": (("fetsh",), "command was 'fetsh'; did you mean fetch?"),
    "option": (("fetch", "binance", "BTC/USDT", "--timefram", "1h"), "No such option: --timefram .*--timeframe.*help"),
    "option of the whole": (("--verson",), "--version"),
    "argument": (("fetch",), "Missing argument 'VENUE'; see tradeutils fetch --help"),
    "venue": (("fetch", "binanc", "BTC/USDT", "--url", "{url}"), "venue was 'binanc'; did you mean binance"),
    "venue of a chart": (("chart", "binanc", "BTC/USDT"), "venue was 'binanc'; did you mean binance"),
    "venue of the simulator": (("sim", "--venue", "binanc"), "venue was 'binanc'; did you mean binance"),
    "venue of the demo": (("demo", "--venue", "upbit"), "venue was 'upbit'; .*the simulated venue has "),
    "symbol": (("fetch", "binance", "BTC/USTD", "--url", "{url}"), "symbol was 'BTC/USTD'; did you mean BTC/USDT"),
    "one symbol of two": (("fetch", "binance", "BTC/USDT", "ETHBTC", "--url", "{url}"), "did you mean ETH/BTC"),
    "timeframe": (("fetch", "binance", "BTC/USDT", "-t", "7m", "--url", "{url}"), "timeframe was '7m'; binance has 1s"),
    "timeframe of a file": (("indicators", "candles.csv", "-t", "1x", "--with", "rsi"), "timeframe was '1x'"),
    "limit": (("fetch", "binance", "BTC/USDT", "-n", "0"), "'--limit'.*; see tradeutils fetch --help"),
    "limit that is no number": (("fetch", "binance", "BTC/USDT", "-n", "ten"), "'--limit'"),
    "time": (("fetch", "binance", "BTC/USDT", "--since", "yesterday"), "since was 'yesterday'; write a date"),
    "times in disorder": (
        ("fetch", "binance", "BTC/USDT", "--since", "2025-02-01", "--until", "2025-01-01", "--url", "{url}"),
        "since must come first",
    ),
    "range without candles": (
        ("fetch", "binance", "BTC/USDT", "--until", "2010-01-01", "--url", "{url}"), "no candle in that range; widen",
    ),
    "range without candles of a file": (
        ("indicators", "candles.csv", "--since", "2030-01-01", "--with", "rsi"), "no candle lies in that range",
    ),
    "url": (("fetch", "binance", "BTC/USDT", "--url", "localhost"), "url was 'localhost'; write scheme and host"),
    "url with a path": (("fetch", "binance", "BTC/USDT", "--url", "http://127.0.0.1/x"), "more than scheme and host"),
    "url of no venue": (("doctor", "--url", "http://127.0.0.1:1"), "write --venue binance"),
    "url of redis": (("doctor", "--redis", "http://localhost"), "scheme of the cache URL was 'http'"),
    "indicator": (("indicators", "candles.csv", "--with", "rsy:14"), "indicator was 'rsy'; did you mean rsi"),
    "parameter": (("indicators", "candles.csv", "--with", "rsi:0"), "rsi:0: period was 0; write a whole number"),
    "too many parameters": (("chart", "candles.csv", "--with", "rsi:1,2"), "rsi takes 1 parameters"),
    "definition": (("chart", "candles.csv", "--with", "rsi", "--compat", "ta"), "compat was 'ta'"),
    "pattern": (("chart", "candles.csv", "--pattern", "hammr"), "pattern was 'hammr'; did you mean hammer"),
    "no indicator": (("indicators", "candles.csv"), "no indicator was asked for; write --with rsi:14"),
    "no source": (("indicators", "--with", "rsi"), "the candles were left out; write a candle file"),
    "no source of a chart": (("chart",), "the candles were left out"),
    "file": (("indicators", "candels.csv", "--with", "rsi"), r"candels\.csv: no such file; did you mean candles\.csv"),
    "file with a misspelt ending": (("indicators", "candles.cvs", "--with", "rsi"), r"did you mean candles\.csv"),
    "file without columns": (("indicators", "columns.csv", "--with", "rsi"), "has no column 'open'"),
    "file with text for a number": (("indicators", "text.csv", "--with", "rsi"), r"csv, line 3: close was 'abc'"),
    "empty file": (("chart", "empty.csv"), "is empty"),
    "folder for a file": (("chart", "folder"), "is a folder"),
    "words behind a file": (("chart", "candles.csv", "1h"), "'1h' stood behind the file"),
    "output of another ending": (("fetch", "binance", "BTC/USDT", "-o", "btc.cvs"), r"ends in \.csv"),
    "output without a folder": (("chart", "candles.csv", "-o", "no/btc.html"), "there is no folder no; make it first"),
    "output that is a folder": (("chart", "candles.csv", "-o", "folder"), "is a folder; write a file name"),
    "output over another's page": (("chart", "candles.csv", "-o", "mine.html"), "is not a chart of tradeutils"),
    "output of the demo": (("demo", "-o", "mine.html"), "is not a chart of tradeutils"),
    "one output for two": (("fetch", "binance", "A/B", "C/D", "-o", "a.csv"), "for 2 symbols; write one with {symbol}"),
    "outputs of one name": (("fetch", "binance", "A/B", "A_B", "-o", "{symbol}.csv"), "one name; fetch them one"),
    "no account": (("balances",), r"no account is set up; write one in tradeutils\.toml"),
    "settings file": (("balances", "--config", "nope.toml"), r"nope\.toml does not exist"),
    "key in the settings": (("balances", "--config", "wrong.toml"), "has no key 'ulr'; did you mean url"),
    "folder of candles": (("sim", "--candles", "nowhere"), "nowhere: no such folder"),
    "port": (("sim", "--port", "70000"), "'--port'"),
    "number of markets": (("sim", "--symbols", "0"), "'--symbols'"),
    "speed": (("sim", "--speed", "-1"), "'--speed'"),
    "number of symbols": (("demo", "--symbols", "0"), "'--symbols'"),
}  # fmt: skip


@pytest.fixture
def files(tmp_path: pathlib.Path) -> dict[str, bytes]:
    """Put files, good and bad, into the working folder; return what is in it."""
    rows = "".join(f"{JANUARY + i * 60_000},1,2,0.5,1,3\n" for i in range(50))
    header = "time,open,high,low,close,volume\n"
    contents = {
        "candles.csv": header + rows,
        "columns.csv": "time,price\n0,1\n60000,2\n",
        "text.csv": header + "1700000040000,1,1,1,1,1\n1700000100000,1,1,1,abc,1\n",
        "empty.csv": "",
        "mine.html": "<!doctype html><title>my own page</title>",
        "wrong.toml": '[cache]\nulr = "x"\n',
    }
    (tmp_path / "folder").mkdir()
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    return {name: text.encode() for name, text in contents.items()}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(
    case: str, run: Run, venue: SimulatedVenue, tmp_path: pathlib.Path, files: dict[str, bytes]
) -> None:
    """It says what to write instead, prints nothing else, and leaves every file as it was."""
    words, says = BAD_INPUT[case]
    ended = run(*(word.replace("{url}", venue.url) for word in words))
    assert (ended.code, ended.out) == (2, "")
    *reports, line = ended.err.splitlines()
    assert line.startswith("tradeutils: ")
    assert re.search(says, line), line
    assert all(report.startswith("candles.csv: 50 of 50 rows kept") for report in reports)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == files


def test_misspelt_setting_in_the_environment_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked of anyone."""
    monkeypatch.setenv("TRADEUTILS_CACHE__ULR", "redis://localhost")
    ended = run("fetch", "binance", "BTC/USDT")
    assert ended.code == 2
    assert "TRADEUTILS_CACHE__URL" in only_line(ended.err)


def test_venue_that_is_away_is_exit_code_1(run: Run, tmp_path: pathlib.Path) -> None:
    """One line, and no file."""
    ended = run("fetch", "binance", "BTC/USDT", "--url", "http://127.0.0.1:1", "-o", "btc.csv")
    assert (ended.code, ended.out) == (1, "")
    assert "could not be reached" in only_line(ended.err)
    assert list(tmp_path.iterdir()) == []


# Help


@pytest.mark.parametrize("command", ["demo", "fetch", "indicators", "chart", "balances", "sim", "doctor"])
def test_help_of_every_command_has_examples(run: Run, command: str) -> None:
    """Set out in lines that can be copied, and the option for JSON where data is printed."""
    ended = run(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert re.search(rf"^  Examples:\n(    tradeutils \w.*\n)*    tradeutils {command}", ended.out, re.MULTILINE)
    assert ("--json" in ended.out) == (command != "chart")
    assert run(command, "-h") == ended


def test_command_alone_shows_what_there_is(run: Run) -> None:
    """The same as ``--help``, with the exit code of a command line that says nothing."""
    ended = run()
    assert (ended.code, ended.err) == (2, "")
    assert ended.out == run("--help").out
    assert run("--help").code == 0


def test_version_is_that_of_the_package(run: Run) -> None:
    """On stdout, alone."""
    from tradeutils import __version__

    assert run("--version") == Ended(0, f"tradeutils {__version__}\n", "")


@pytest.mark.parametrize("words", [("-v", "fetch"), ("fetch", "-v"), ("-v", "fetch", "-v")])
def test_loudness_counts_before_and_after_the_command(run: Run, venue: SimulatedVenue, words: tuple[str, ...]) -> None:
    """Logs go to stderr; a second ``-v`` shows more of them."""
    ended = run(*words, "binance", "BTC/USDT", "-n", "2", "--json", "--url", venue.url)
    assert ended.code == 0
    assert len(ended.json["candles"]["BTC/USDT"]) == 2
    assert ("DEBUG" in ended.err) == (words.count("-v") == 2)
