"""The races of ``test_budget`` in windows of whole minutes: ``nox -s soak``, about 25 minutes."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from budget_fleet import Race
from budget_races import Report, _report, _server, disturbed, greedy  # noqa: F401  # two are fixtures
from servers import ValkeyServer

MINUTE = {"weight": 1_200, "window": 60.0, "seconds": 179.0}  # three windows


@pytest.mark.parametrize("who", ["tradeutils", "ccxt"])
@pytest.mark.parametrize("sliding", [False, True], ids=["calendar", "sliding"])
def test_greedy_fleet_for_minutes(
    benchmark: Any, report: Report, server: ValkeyServer, who: str, *, sliding: bool
) -> None:
    """The same for three windows of a minute."""
    greedy(benchmark, report, Race(who=who, redis=server.url, sliding=sliding, **MINUTE))


def test_killed_processes_and_restarted_redis_for_minutes(benchmark: Any, report: Report, server: ValkeyServer) -> None:
    """The same for three windows of a minute."""
    disturbed(benchmark, report, server, Race(who="tradeutils", redis=server.url, **MINUTE))
