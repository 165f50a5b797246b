"""``tradeutils watch`` against a simulated venue: what it prints, how it ends, and what it says when data stops."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tradeutils import logs
from tradeutils.cli import main
from tradeutils.sim import SimulatedVenue, serve

PATIENCE_S = 60
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True, scope="module")
def _interruptible() -> Iterator[None]:
    """Let programs be interrupted: background jobs of a shell without job control are born deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def served() -> Iterator[SimulatedVenue]:
    """Start a simulated venue whose clock runs."""
    with serve("binance", symbols=4, seed=7, speed=1) as venue:
        yield venue


@pytest.fixture
def venue(served: SimulatedVenue) -> Iterator[SimulatedVenue]:
    """Return the venue, on which nothing goes wrong."""
    served.feed_faults.clear()
    yield served
    served.feed_faults.clear()


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, venue: SimulatedVenue
) -> Iterator[Run]:
    """Return a function that runs ``tradeutils watch`` on the venue, without settings of the machine."""
    for name in [name for name in os.environ if name.startswith("TRADEUTILS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run_command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["watch", *words, "--url", venue.url])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run_command
    logs.reset()


def objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_updates_are_an_object_a_line(run: Run) -> None:
    """As many as were asked for, of both markets, with the figures of a ticker and how old they are."""
    code, out, err = run("BTC/USDT", "ETH/USDT", "BTC/USDT", "--count", "6", "--json")
    found = objects(out)
    assert (code, err) == (0, "")
    assert len(found) == 6
    assert {one["symbol"] for one in found} == {"BTC/USDT", "ETH/USDT"}
    assert all(one["last"] > 0 and 0 <= one["age"] < 30 for one in found)
    assert found[-1]["state"] == "live"


def test_updates_in_a_pipe_are_a_line_each(run: Run) -> None:
    """A heading, and a line for each update."""
    code, out, err = run("BTC/USDT", "--count", "3")
    heading, *lines = out.splitlines()
    assert (code, err, len(lines)) == (0, "", 3)
    assert heading.startswith("time (UTC)")
    assert all(" BTC/USDT " in line for line in lines)
    assert lines[-1].endswith("  live")


def test_it_ends_after_so_long(run: Run) -> None:
    """With what came until then."""
    code, out, _ = run("BTC/USDT", "--seconds", "1.5", "--json")
    assert code == 0
    assert objects(out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("BTC/USD",), "symbol was 'BTC/USD'"),
        (("BTC/USDT", "--seconds", "0"), "--seconds was 0"),
        (("BTC/USDT", "--seconds", "nan"), "--seconds was nan"),
        (("BTC/USDT", "--max-age", "0"), "max_age was 0"),
        (("BTC/USDT", "--count", "0"), "--count"),
        (("BTC/USDT", "--venue", "binanc"), "venue was 'binanc'"),
        ((), "SYMBOL"),
    ],
    ids=["symbol", "no time", "not a time", "no age", "no count", "venue", "nothing"],
)
def test_wrong_input_is_one_line_and_nothing_is_drawn(run: Run, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, before anything is shown."""
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err


def test_data_that_stops_is_told_with_the_reason(run: Run, venue: SimulatedVenue) -> None:
    """And that it comes again."""
    venue.feed_faults.add("silent", channel="ticker", count=1)
    code, out, _ = run("BTC/USDT", "--max-age", "1", "--count", "3", "--json")
    found = objects(out)
    stale = next(one for one in found if one["what"] == "stale")
    assert code == 0
    assert (stale["symbol"], stale["state"], stale["reason"], stale["last"]) == ("BTC/USDT", "stale", "silent", None)
    assert [one["state"] for one in found if one["what"] == "ticker"][-1] == "live"


def test_market_that_tells_nothing_is_a_failure(run: Run, venue: SimulatedVenue) -> None:
    """A script that asked for some seconds of it knows by the exit code."""
    venue.feed_faults.add("silent", channel="ticker", market="ETHUSDT")
    code, _, err = run("BTC/USDT", "ETH/USDT", "--seconds", "2", "--json")
    assert (code, err) == (1, "tradeutils: ETH/USDT told nothing in 2 s\n")


def test_rest_stands_in_where_it_is_asked_for(run: Run, venue: SimulatedVenue) -> None:
    """Tickers come all the same, and their state says from where."""
    venue.feed_faults.add("silent", channel="ticker")
    code, out, _ = run("BTC/USDT", "--max-age", "0.5", "--rest", "--count", "1", "--json")
    assert code == 0
    assert [one["state"] for one in objects(out) if one["what"] == "ticker"] == ["rest"]


@contextlib.contextmanager
def watching(*words: str, url: str, out: int = subprocess.PIPE, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command as a program of its own."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TRADEUTILS_")}
    ours |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | environment
    command = [sys.executable, "-m", "tradeutils.cli", "watch", *words, "--url", url]
    with subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=ours, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)], ids=["ctrl-c", "terminate"])
def test_signal_ends_it_quietly(venue: SimulatedVenue, number: signal.Signals, code: int) -> None:
    """No traceback, and no word of what was under way."""
    with watching("BTC/USDT", "--json", url=venue.url) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["symbol"] == "BTC/USDT"
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (code, "")


def test_reader_that_leaves_ends_it_quietly(venue: SimulatedVenue) -> None:
    """As ``| head`` does."""
    with watching("BTC/USDT", url=venue.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("time")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE_S) == 141


def test_table_on_a_terminal_ends_with_its_last_state_shown(venue: SimulatedVenue) -> None:
    """Ctrl-C leaves the table on the screen and the cursor visible."""
    ours, theirs = pty.openpty()
    with watching(
        "BTC/USDT", "ETH/USDT", url=venue.url, out=theirs, TERM="xterm", COLUMNS="90", NO_COLOR="1"
    ) as process:
        os.close(theirs)
        shown = read_until(ours, "live")
        process.send_signal(signal.SIGINT)
        shown += read_until(ours, None)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""
    os.close(ours)
    assert "binance, tickers" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("ETH/USDT")


def read_until(terminal: int, text: str | None) -> str:
    """Return what a terminal was sent until this text stood there; without one, until its end."""
    sent = ""
    while (text is None or text not in sent) and select.select([terminal], [], [], PATIENCE_S)[0]:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        sent += chunk.decode(errors="replace")
    return sent
