"""``tradeutils demo``: the whole road, the same every time."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tradeutils import logs
from tradeutils.cli import main
from tradeutils.sim import VENUES, SimulatedVenue, serve

Demo = Callable[..., dict[str, Any]]
STEPS = ["venue", "markets", "fetch", "cache", "balances", "indicators", "chart"]


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """Return an empty working folder, without settings of the machine."""
    for name in [name for name in os.environ if name.startswith("TRADEUTILS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    logs.reset()


@pytest.fixture
def demo(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Demo:
    """Return a function that runs the demo and returns its JSON."""

    def run_demo(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["demo", "--json", *words]) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    return run_demo


@pytest.fixture(scope="module")
def venue() -> Iterator[SimulatedVenue]:
    """Start a venue that stands for a real one."""
    with serve("binance", symbols=20, seed=3) as running:
        yield running


def test_demo_as_it_is_typed_goes_the_whole_road(tmp_path: pathlib.Path) -> None:
    """As a program, without a home, a network, a key or a setting: a table of every step, and a chart."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "tradeutils.cli", "demo"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "open demo.html in a browser\n")
    lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["step", *STEPS, "total"]
    assert all(line.endswith(" s") for line in lines[1:])
    assert "25,000 candles of 50 symbols, 1h, through ccxt" in ran.stdout
    assert "50 of 50 answers from the cache, equal" in ran.stdout
    assert "10 columns of 500 bars x 50 symbols" in ran.stdout
    assert (tmp_path / "demo.html").read_bytes().startswith(b"<!doctype html>")


def test_same_seed_gives_the_same_numbers_and_the_same_file(demo: Demo, folder: pathlib.Path) -> None:
    """Times apart, everything that is told is equal, and the chart is equal byte for byte."""
    first, page = demo("--symbols", "8", "--seed", "42"), (folder / "demo.html").read_bytes()
    second = demo("--symbols", "8", "--seed", "42")
    assert first["results"] == second["results"]
    assert page == (folder / "demo.html").read_bytes()
    assert first["seconds"].keys() == second["seconds"].keys() == set(STEPS)


def test_other_seed_is_another_market(demo: Demo, folder: pathlib.Path) -> None:
    """The numbers come from the seed, not from a recording."""
    first, page = demo("--symbols", "3", "--seed", "1"), (folder / "demo.html").read_bytes()
    second = demo("--symbols", "3", "--seed", "2")
    assert first["results"]["valuation"]["total"] != second["results"]["valuation"]["total"]
    assert first["results"]["indicators"] != second["results"]["indicators"]
    assert page != (folder / "demo.html").read_bytes()


def test_second_fetch_comes_from_the_cache(demo: Demo) -> None:
    """Every symbol is served without a request."""
    results = demo("--symbols", "5")["results"]
    assert (len(results["symbols"]), results["candles"], results["served_from_cache"]) == (5, 2500, 5)


def test_account_is_worth_the_sum_of_its_assets(demo: Demo) -> None:
    """Exactly; what has no price is named, not counted."""
    valuation = demo("--symbols", "3")["results"]["valuation"]
    values = [Decimal(held["amount"]) * Decimal(held["price"]) for held in valuation["assets"].values()]
    assert sum(values) == Decimal(valuation["total"])
    assert valuation["unpriced"] == {"LDUSDT": "250", "XDROP": "1000"}


@pytest.mark.parametrize("venue_name", [name for name in VENUES if name != "binance"])
def test_demo_goes_its_way_on_every_simulated_venue(demo: Demo, venue_name: str) -> None:
    """Whatever it asks keys for, and whichever markets its tickers are about by default."""
    results = demo("--symbols", "2", "--venue", venue_name)["results"]
    assert (results["venue"], len(results["symbols"]), results["bars"]) == (venue_name, 2, 500)
    assert set(results["valuation"]["unpriced"]) == {"LDUSDT", "XDROP"}


def test_settings_of_the_user_do_not_reach_the_simulation(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path
) -> None:
    """A URL or an account for real venues is not used on the simulated one."""
    (folder / "tradeutils.toml").write_text('[exchanges.binance]\nurl = "http://127.0.0.1:1"\n')
    assert demo("--symbols", "1")["results"]["bars"] == 500


def test_live_demo_asks_the_venue_and_leaves_accounts_alone(
    venue: SimulatedVenue, demo: Demo, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path
) -> None:
    """The same road on public endpoints; no key is needed and no signed request is sent."""
    monkeypatch.setenv("TRADEUTILS_EXCHANGES__BINANCE__URL", venue.url)
    told = demo("--live", "--symbols", "4", "-o", "live.html")
    assert (len(told["results"]["symbols"]), told["results"]["served_from_cache"]) == (4, 4)
    assert "valuation" not in told["results"]
    assert "seed" not in told["results"]
    assert "/api/v3/account" not in venue.requests.paths
    assert (folder / "live.html").is_file()


def test_live_demo_says_that_it_leaves_the_account_out(
    venue: SimulatedVenue, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The step is in the table, with the reason."""
    monkeypatch.setenv("TRADEUTILS_EXCHANGES__BINANCE__URL", venue.url)
    assert main(["demo", "--live", "--symbols", "2"]) == 0
    assert "skipped: a real account needs your keys" in capsys.readouterr().out


def test_venue_that_trades_nothing_against_the_currency_is_refused(
    monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There would be nothing to fetch; no chart is written."""
    with serve("binance", symbols=["ETH/BTC"]) as running:
        monkeypatch.setenv("TRADEUTILS_EXCHANGES__BINANCE__URL", running.url)
        assert main(["demo", "--live"]) == 2
    assert "trades nothing against USDT" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_live_demo_without_a_network_fails_in_one_line(
    monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and no chart is written."""
    monkeypatch.setenv("TRADEUTILS_EXCHANGES__BINANCE__URL", "http://127.0.0.1:1")
    assert main(["demo", "--live"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "could not be reached" in captured.err
    assert list(folder.iterdir()) == []
