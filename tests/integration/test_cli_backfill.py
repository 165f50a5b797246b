"""``tradeutils backfill`` against a simulated venue: what it stores, prints and refuses, and how it is stopped."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest

import tradeutils as tu
from tradeutils import logs
from tradeutils.cli import main
from tradeutils.sim import Fault, Limits, SimulatedVenue, serve

SINCE = "2025-05-30"


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """A simulated venue that never refuses."""
    with serve("binance", symbols=6, seed=7, limits=Limits.none()) as running:
        yield running


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Work in an empty folder, without settings of the machine."""
    for name in [name for name in os.environ if name.startswith("TRADEUTILS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    logs.reset()


def run(*words: str) -> int:
    return main(["backfill", *words])


def test_a_quote_is_backfilled_into_the_folder(
    venue: SimulatedVenue, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All active markets of it; coarser candles are made, and the same command again asks for nothing."""
    command = ("binance", "--quote", "USDT", "-t", "1m,1h", "--since", SINCE, "--url", venue.url)
    assert run(*command) == 0
    assert "candles fetched" in capsys.readouterr().err
    with tu.History(folder / "candles", read_only=True) as history:
        keys = history.series("binance")
        assert {key.timeframe for key in keys} == {"1m", "1h"}
        assert all(key.symbol.endswith("/USDT") for key in keys)
        assert len(history.read("binance", "BTC/USDT", "1m")) == 3 * 1440 + 720
    asked = venue.requests.paths["/api/v3/klines"]
    assert run(*command) == 0
    assert "0 candles fetched and 0 made" in capsys.readouterr().err
    assert venue.requests.paths["/api/v3/klines"] == asked


def test_what_is_missing_is_a_table_and_json(venue: SimulatedVenue, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its reason; --json has the whole report and nothing else on stdout."""
    words = ("binance", "--symbols", "BTC/USDT, GONE/USDT", "-t", "1d", "--since", "2021-01-01", "--url", venue.url)
    assert run(*words, "--path", "elsewhere") == 0
    out = capsys.readouterr().out
    assert "the first candle opens at 2022-01-01 00:00 UTC" in out
    assert "not listed" in out
    assert run(*words, "--path", "elsewhere", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["complete"] is True
    assert [one["symbol"] for one in report["series"]] == ["BTC/USDT", "GONE/USDT"]
    assert report["series"][0]["missing"][0]["reason"] == "no candle"
    assert run(*words[:2], "BTC/USDT", *words[3:], "--path", "fetched", "--fetch-all") == 0


def test_a_venue_that_fails_is_told_and_ends_with_1(venue: SimulatedVenue, capsys: pytest.CaptureFixture[str]) -> None:
    """What came is kept; the line says to run it again."""
    fault = Fault(
        kind="status", status=400, body='{"code": -1100, "msg": "Illegal characters."}', path="/api/v3/klines"
    )
    (number,) = venue.faults.add_all([fault])
    try:
        code = run("binance", "--symbols", "BTC/USDT", "--since", SINCE, "--url", venue.url)
    finally:
        venue.faults.remove(number)
    assert code == 1
    assert "RequestRefused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", SINCE), "write which markets"),
        (("--since", "yesterday", "--symbols", "BTC/USDT"), "since was 'yesterday'"),
        (("--since", SINCE, "--symbols", "BTC/USDT", "-t", "7m"), "timeframe was '7m'"),
        (("--since", SINCE, "--symbols", "BTCUSDT"), "did you mean BTC/USDT"),
        (("--since", SINCE, "--quote", "USTD"), "quote was 'USTD'; did you mean USDT"),
        (("--since", SINCE, "--quote", "USDT", "--type", "spott"), "type was 'spott'"),
        (("--since", "2035-01-01", "--symbols", "BTC/USDT"), "still to come"),
        (("--symbols", "BTC/USDT"), "--since"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    venue: SimulatedVenue, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    """Nothing is fetched, and the line says what to write."""
    before = venue.requests.paths.get("/api/v3/klines", 0)
    assert run("binance", *words, "--url", venue.url) == 2
    err = capsys.readouterr().err
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert venue.requests.paths.get("/api/v3/klines", 0) == before


def test_a_bar_is_drawn_and_a_long_table_is_cut(
    venue: SimulatedVenue, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the rate is told while it works; of a hundred markets that are not listed forty are shown."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    gone = ",".join(f"GONE{number}/USDT" for number in range(100))
    assert run("binance", "--symbols", f"BTC/USDT,{gone}", "--since", SINCE, "--url", venue.url) == 0
    captured = capsys.readouterr()
    assert captured.out.count("not listed") == 40
    assert "and 60 more rows" in captured.err
    assert "bars/s" in captured.err


def test_ctrl_c_on_a_terminal_ends_quietly_and_the_same_command_goes_on(
    venue: SimulatedVenue, folder: pathlib.Path
) -> None:
    """The bar tells rate and time left; after Ctrl-C one line says how to go on, and what came is kept."""
    words = ["backfill", "binance", "--symbols", "BTC/USDT,ETH/USDT", "--since", "2025-05-20", "--url", venue.url]
    number = venue.faults.add(Fault(kind="latency", path="/api/v3/klines", seconds=0.6))
    before = venue.requests.paths.get("/api/v3/klines", 0)
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    try:
        child = subprocess.Popen([sys.executable, "-m", "tradeutils", *words], stderr=terminal, env=environment)
        os.close(terminal)
        seen = b""
        deadline = time.monotonic() + 60
        while b"left" not in seen and time.monotonic() < deadline:
            if select.select([reader], [], [], 0.1)[0]:
                seen += os.read(reader, 65_536)
        child.send_signal(signal.SIGINT)
        while select.select([reader], [], [], 20)[0]:
            try:
                seen += os.read(reader, 65_536)
            except OSError:  # the other end is closed
                break
        assert child.wait(20) == 130
    finally:
        os.close(reader)
        venue.faults.remove(number)
    shown = seen.decode()
    assert "bars/s" in shown
    assert "the same command goes on from there" in shown
    assert "Traceback" not in shown
    assert main(words) == 0
    with tu.History(folder / "candles", read_only=True) as history:
        assert not history.gaps("binance", "BTC/USDT", "1m")
        assert history.coverage("binance", "ETH/USDT", "1m").complete
    assert venue.requests.paths["/api/v3/klines"] - before <= 2 * 20 + 2 * 6 * 2
