"""``tradeutils sim`` with limits and faults: what another program meets there."""

from __future__ import annotations

import http.client
import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from tradeutils.cli import main

_PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    """Return a function that starts the command and reads the JSON that it prints; all are stopped at the end."""
    children: list[subprocess.Popen[str]] = []

    def start(*options: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "tradeutils.cli", "sim", "--symbols", "2", "--json", *options]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout is not None
        return dict(json.loads(child.stdout.readline()))

    yield start
    for child in children:
        child.send_signal(signal.SIGTERM)
    for child in children:
        _, errors = child.communicate(timeout=_PATIENCE_S)
        assert (child.returncode, errors) == (0, "")


@pytest.fixture(scope="module")
def recorded(started: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a venue with a recorded session said of itself."""
    file = tmp_path_factory.mktemp("recorded") / "session"
    file.write_text('1633998512.5: {"topic":"trade.X"}\n')
    options = ("--venue", "bybit", "--recorded", str(file), "--replay-speed", "0", "--pulse", "0.5", "--hold")
    return dict(started(*options))


@pytest.fixture(scope="module")
def closed(started: Any) -> dict[str, Any]:
    """What a venue with three swaps said of itself that lets nobody control it."""
    return dict(started("--linear", "3", "--no-control"))


def ask(url: str, body: Any = None, method: str = "GET") -> tuple[int, Any]:
    """Return status and parsed body of a request."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_PATIENCE_S)
    try:
        connection.request(method, parts.path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_limits_of_the_command_line_are_enforced(started: Any) -> None:
    """A small weight, a short ban, and a clock that runs a minute ahead of ours."""
    options = ("--weight", "3", "--window", "3600", "--ban", "7", "--orders", "5", "--sliding", "--skew", "60000")
    told = started(*options)
    assert told["time"] == pytest.approx(time.time() * 1000 + 60_000, abs=30_000)
    statuses = [ask(f"{told['url']}/api/v3/time")[0] for _ in range(16)]
    assert statuses == [200] * 3 + [429] * 11 + [418] * 2
    _, bans = ask(f"{told['url']}/sim/bans")
    assert 0 < bans["bans"]["127.0.0.1"]["seconds"] <= 7


def test_limits_that_are_not_given_are_those_of_the_venue(started: Any) -> None:
    """600 calls in five seconds on bybit, and a ban at once; what an account signs with is told whole."""
    told = started("--venue", "bybit", "--ban", "5")
    assert {"name", "key", "secret", "passphrase"} == set(told["accounts"][0])
    parts = urllib.parse.urlsplit(told["url"])
    connection = http.client.HTTPConnection(parts.netloc, timeout=_PATIENCE_S)
    statuses = []
    while len(statuses) < 3_000 and 403 not in statuses:
        connection.request("GET", "/v5/market/time")
        with connection.getresponse() as response:
            response.read()
            statuses.append(response.status)
    connection.close()
    assert (statuses[-1], set(statuses[:-1])) == (403, {200})
    assert len(statuses) > 600
    _, log = ask(f"{told['url']}/sim/log")
    assert (log["rejected"], log["banned"]) == (1, 0)


def test_swaps_are_listed_beside_spot(closed: dict[str, Any]) -> None:
    """As many as asked for."""
    assert closed["markets"] == 5
    _, listed = ask(f"{closed['url']}/fapi/v1/exchangeInfo")
    assert [row["symbol"] for row in listed["symbols"]] == ["BTCUSDT", "ETHUSDT", "BNBUSDT"]


def test_faults_are_made_from_another_program(recorded: dict[str, Any]) -> None:
    """By a POST on the path of the venue itself, which has as many swaps as spot markets where nothing is said."""
    url = recorded["url"]
    assert recorded["markets"] == 4
    assert ask(f"{url}/sim/faults", {"kind": "status", "status": 503, "count": 1}, "POST") == (200, {"ids": [1]})
    assert [ask(f"{url}/v5/market/time")[0] for _ in range(2)] == [503, 200]


def test_recorded_feeds_are_served_and_their_faults_made_from_another_program(recorded: dict[str, Any]) -> None:
    """A file in place of the feeds, an interval for them, and faults by a POST."""
    url = recorded["url"]
    assert ask(f"{url}/sim/feed-faults", {"kind": "refuse", "count": 1}, "POST") == (200, {"ids": [1]})
    status, told = ask(f"{url}/sim/feeds")
    assert (status, told["connections"], told["sent"]) == (200, 0, 0)
    status, told = ask(f"{url}/sim/recorded", {"play": True}, "POST")
    assert (status, told["messages"], told["position"]) == (200, 1, 0)


def test_a_recording_that_is_none_is_told(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    """One line, and no venue."""
    file = tmp_path / "prose"
    file.write_text("hello\n")
    assert main(["sim", "--recorded", str(file)]) != 0
    told = capsys.readouterr()
    assert (told.out, "line 1" in told.err, "Traceback" in told.err) == ("", True, False)


def test_control_is_switched_off(closed: dict[str, Any]) -> None:
    """Then the paths are not there."""
    with pytest.raises(json.JSONDecodeError):  # the page of a web server
        ask(f"{closed['url']}/sim/log")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--window", "0"), "window"),
        (("--ban", "nan"), "ban"),
        (("--skew", "1" * 12), "skew"),
        (("--pulse", "nan"), "pulse"),
    ],
)
def test_limits_that_cannot_be_are_told(
    options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line."""
    assert main(["sim", *options]) == 2
    told = capsys.readouterr()
    assert (told.out, words in told.err, "Traceback" in told.err) == ("", True, False)
