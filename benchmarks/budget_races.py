"""What the short and the long races of ``test_budget`` and ``soak_budget`` share."""

from __future__ import annotations

import contextlib
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tradeutils.sim import SimulatedVenue

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from budget_fleet import Fleet, Outcome, Race, run
from servers import ValkeyServer

Report = Callable[[str], None]


@pytest.fixture(scope="module", name="report")
def _report(pytestconfig: pytest.Config) -> Iterator[Report]:
    """Collect a line for each run; print them when all is over, captured or not."""
    lines: list[str] = []
    yield lines.append
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        print("\n" + "\n".join(lines))


@pytest.fixture(name="server")
def _server(tmp_path: pathlib.Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.kill()


def raced(
    benchmark: Any, report: Report, task: str, race: Race, disturb: Callable[[Fleet, SimulatedVenue], int] | None = None
) -> Outcome:
    """Run a race once, and tell what became of it."""
    benchmark.group = f"{task}: {race.who}"  # apart: how long a race takes says nothing of who is better
    outcome: Outcome = benchmark.pedantic(lambda: run(race, disturb) if disturb else run(race), rounds=1)
    benchmark.extra_info.update({"who": race.who, **outcome.told()})
    said = ", ".join(f"{name} {value}" for name, value in outcome.told().items())
    errors = ", ".join(f"{count} {name}" for name, count in outcome.errors.items())
    report(f"{task} | {race.who}: {said}; errors: {errors or 'none'}")
    return outcome


def greedy(benchmark: Any, report: Report, race: Race) -> None:
    """Let eight processes ask all they can; ours must use what is granted, share it, and not be rejected once."""
    counted = "sliding" if race.sliding else "calendar"
    task = f"8 processes, {race.weight} weight in {race.window:g} s ({counted}), {race.seconds:.0f} s"
    outcome = raced(benchmark, report, task, race)
    if race.who == "tradeutils":
        assert outcome.rejected == 0
        assert outcome.used >= 0.97
        assert outcome.least_share >= 0.80


def killing(server: ValkeyServer, every: float = 5.0) -> Callable[[Fleet, SimulatedVenue], int]:
    """Return what kills a process every few seconds, and replaces it, and once starts Redis anew, empty."""

    def disturb(fleet: Fleet, _venue: SimulatedVenue) -> int:
        killed = 0
        halfway = (fleet.begins + fleet.ends) / 2
        while time.time() < fleet.ends - every:
            time.sleep(every)
            fleet.replace(killed % len(fleet.workers))
            killed += 1
            if halfway and time.time() > halfway:
                halfway = 0.0
                server.kill()
                server.start()
        return killed

    return disturb


def disturbed(benchmark: Any, report: Report, server: ValkeyServer, race: Race) -> None:
    """Kill and replace while they ask: nothing may be rejected."""
    counted = "sliding" if race.sliding else "calendar"
    task = f"a SIGKILL every 5 s, Redis restarted; {race.weight} in {race.window:g} s ({counted}), {race.seconds:.0f} s"
    outcome = raced(benchmark, report, task, race, killing(server))
    benchmark.extra_info["killed"] = outcome.killed
    assert outcome.killed >= 4
    assert outcome.rejected == 0
