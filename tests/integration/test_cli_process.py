"""The command as a program of its own: what starts it, what stops it, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tradeutils.sim import SimulatedVenue, serve

HEAVY = {"aiohttp", "ccxt", "cupy", "numba", "numpy", "pandas", "plotly", "pyarrow", "redis"}
PATIENCE_S = 60


@pytest.fixture(autouse=True, scope="module")
def _interruptible() -> Iterator[None]:
    """Let programs be interrupted: background jobs of a shell without job control are born deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started starts with the default
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """Start a simulated venue."""
    with serve("binance", symbols=4, seed=7) as served:
        yield served


def environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TRADEUTILS_")}
    return {**ours, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def start(*words: str, folder: pathlib.Path, out: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tradeutils.cli", *words],
        cwd=folder,
        env=environment(),
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def running(*words: str, folder: pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    """Start a program that ends only when it is told to; it is killed where a test fails before it tells."""
    with start(*words, folder=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return the exit code of a program and what it printed."""
    with process:
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode, out, err


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("fetch", "--help"), ("demo", "--help")])
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    """A question about the command is answered at once."""
    program = (
        "import sys\nfrom tradeutils.cli import main\n"
        f"code = main({list(words)!r})\nprint(code, *sorted({HEAVY!r} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=PATIENCE_S,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "0"


@pytest.mark.parametrize("module", ["tradeutils", "tradeutils.cli"])
def test_package_runs_as_a_program(module: str, tmp_path: pathlib.Path) -> None:
    """``python -m tradeutils`` is the command, under its own name."""
    ran = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Usage: tradeutils [OPTIONS] COMMAND")


def test_bad_input_of_a_program_is_one_line(tmp_path: pathlib.Path) -> None:
    """Exit code 2 for the shell, and no traceback."""
    code, out, err = ended(start("fetch", "binanc", "BTC/USDT", folder=tmp_path))
    assert (code, out) == (2, "")
    assert err.startswith("tradeutils: venue was 'binanc'")
    assert err.count("\n") == 1


def test_program_prints_only_json_on_stdout(tmp_path: pathlib.Path, venue: SimulatedVenue) -> None:
    """With logs on, too."""
    code, out, err = ended(
        start("-vv", "fetch", "binance", "BTC/USDT", "-n", "3", "--json", "--url", venue.url, folder=tmp_path)
    )
    assert code == 0
    assert len(json.loads(out)["candles"]["BTC/USDT"]) == 3
    assert "DEBUG tradeutils.exchange" in err


def test_reader_that_leaves_ends_the_program_quietly(tmp_path: pathlib.Path, venue: SimulatedVenue) -> None:
    """As ``| head`` does: no traceback, and the exit code of SIGPIPE."""
    ours, theirs = os.pipe()
    os.close(ours)
    process = start("fetch", "binance", "BTC/USDT", "--url", venue.url, folder=tmp_path, out=theirs)
    os.close(theirs)
    code, _, err = ended(process)
    assert (code, err) == (141, "")


@contextlib.contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """Listen and never answer; yields the URL and an event that is set when somebody has asked."""
    asked, closing = threading.Event(), threading.Event()

    def wait(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(1)
                asked.set()
                closing.wait(PATIENCE_S)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=wait, args=(listening,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        closing.set()
        thread.join()


def test_interrupt_ends_the_program_quietly_and_writes_nothing(tmp_path: pathlib.Path) -> None:
    """Ctrl-C while a venue does not answer: 130, no word, no file."""
    with silent_server() as (url, asked):
        process = start("fetch", "binance", "BTC/USDT", "--url", url, "-o", "btc.csv", folder=tmp_path)
        assert asked.wait(PATIENCE_S)
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
    assert (code, out, err) == (130, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_simulated_venue_tells_its_address_at_once_and_serves_until_it_is_stopped(
    tmp_path: pathlib.Path, stop: signal.Signals
) -> None:
    """One line, flushed; another program fetches from it; a signal ends it with 0."""
    with running("sim", "--port", "0", "--symbols", "3", "--linear", "0", folder=tmp_path) as venue:
        assert venue.stdout is not None
        first = venue.stdout.readline()
        assert first.startswith("listening on http://127.0.0.1:")
        assert "(binance, 3 markets made up from seed 7, " in first
        url = first.split()[2]
        code, out, _ = ended(start("fetch", "binance", "BTC/USDT", "-n", "2", "--json", "--url", url, folder=tmp_path))
        assert (code, len(json.loads(out)["candles"]["BTC/USDT"])) == (0, 2)
        venue.send_signal(stop)
        assert ended(venue) == (0, "", "")


def test_simulated_venue_replays_files(tmp_path: pathlib.Path, venue: SimulatedVenue) -> None:
    """What was fetched from one venue is fetched from another that replays the file."""
    fetch = ("fetch", "binance", "BTC/USDT", "-t", "1m", "--json")
    (tmp_path / "recorded").mkdir()
    recording = ("-n", "120", "-o", "recorded/BTCUSDT-1m.csv", "--url", venue.url)
    assert ended(start(*fetch, *recording, folder=tmp_path))[0] == 0
    with running("sim", "--candles", "recorded", "--speed", "0", "--json", folder=tmp_path) as replaying:
        assert replaying.stdout is not None
        told = json.loads(replaying.stdout.readline())
        assert (told["venue"], told["markets"], told["candles"], told["seed"]) == ("binance", 1, "recorded", None)
        assert {"name", "key", "secret", "passphrase"} == set(told["accounts"][0])
        code, out, _ = ended(start(*fetch, "-n", "60", "--url", told["url"], folder=tmp_path))
        replaying.send_signal(signal.SIGTERM)
        assert ended(replaying)[0] == 0
    assert code == 0
    recorded = (tmp_path / "recorded" / "BTCUSDT-1m.csv").read_text().splitlines()[-60:]
    assert [[float(cell) for cell in line.split(",")] for line in recorded] == json.loads(out)["candles"]["BTC/USDT"]


def test_port_that_is_taken_is_told(tmp_path: pathlib.Path, venue: SimulatedVenue) -> None:
    """With what to write instead."""
    port = venue.url.rpartition(":")[2]
    code, out, err = ended(start("sim", "--port", port, folder=tmp_path))
    assert (code, out) == (2, "")
    assert f"port was {port}" in err
    assert "0 takes a free port" in err


def test_closed_output_is_no_fault() -> None:
    """A program that was started with its output closed ends as one whose output goes nowhere."""
    command = f"{sys.executable} -m tradeutils.cli doctor --json >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=120, check=False)  # noqa: S607
    assert (done.returncode, done.stderr) == (0, b"")
