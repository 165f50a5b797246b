"""
The balances of 1,000 accounts behind one address: in the time that the rate limit dictates, and not one refused.

The venue grants three times what Binance does: 6600 of weight in 22 s, counted over every 22 s; a balance weighs 20. So
330 accounts may be asked at once, and the others 330 every 22 s: the last are due after 66 s. They are few, so that
what is measured is the waiting and not how quickly this machine sends.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from balances_worker import key_of
from budget_races import Report, _report  # noqa: F401  # a fixture

HERE = pathlib.Path(__file__).resolve().parent
ACCOUNTS = 1_000
WEIGHT, WINDOW, COST = 6_600, 22.0, 20
DICTATED = (ACCOUNTS - 1) * COST // WEIGHT * WINDOW
PATIENCE = 240.0
ASSETS = ("BTC", "ETH", "USDT", "BNB", "XDROP", "PEPE")

_VENUE = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from test_balances_fleet import holders
from tradeutils.sim import Limits, serve

limits = Limits(weight={WEIGHT}, window={WINDOW}, sliding=True, ban=40.0)
with serve("binance", symbols=20, linear=0, seed=1, accounts=holders(), limits=limits) as venue:
    print(venue.url, flush=True)
    sys.stdin.readline()
"""


def held_by(number: int) -> dict[str, str]:
    """Return what an account holds: some assets, to the eighth digit, from dust to 1e11."""
    mixed = int(key_of(number)[0], 16)
    found = {}
    for place, asset in enumerate(ASSETS):
        digits = mixed // 10 ** (12 * place) % 10 ** (1 + (number + 3 * place) % 19)
        found[asset] = f"{Decimal(digits).scaleb(-8):f}"
    return found


def holders() -> list[Any]:
    """Return the accounts of the venue."""
    from tradeutils.sim import SimulatedAccount

    return [
        SimulatedAccount(name=f"a{number}", key=key_of(number)[0], secret=key_of(number)[1], balances=held_by(number))
        for number in range(ACCOUNTS)
    ]


@pytest.fixture(name="url")
def _url() -> Iterator[str]:
    """Run the venue in another process."""
    with subprocess.Popen(  # noqa: S603  # ours
        [sys.executable, "-c", _VENUE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()


def exact(found: dict[str, dict[str, str]]) -> int:
    """Return how many accounts were told as they are in the venue's ledger, to the last digit."""
    right = 0
    for number in range(ACCOUNTS):
        told = {asset: Decimal(text) for asset, text in found.get(f"a{number}", {}).items() if Decimal(text)}
        right += told == {asset: Decimal(text) for asset, text in held_by(number).items() if Decimal(text)}
    return right


_seconds: dict[str, float] = {}


@pytest.mark.parametrize("who", ["tradeutils", "ccxt"])
def test_balances_of_a_thousand_accounts(benchmark: Any, report: Report, url: str, who: str) -> None:
    """Every balance once, from a process that has the markets; then what the venue counted."""
    benchmark.group = f"{ACCOUNTS} balances, {WEIGHT} weight in {WINDOW:g} s"
    task = {"who": who, "url": url, "accounts": ACCOUNTS, "weight": WEIGHT, "window": WINDOW, "patience": PATIENCE}

    def work() -> dict[str, Any]:
        program = [sys.executable, "-W", "error", str(HERE / "balances_worker.py"), json.dumps(task)]
        done = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE + 120, check=False)  # noqa: S603
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    told = benchmark.pedantic(work, rounds=1)
    with urllib.request.urlopen(f"{url}/sim/requests") as answer:  # noqa: S310  # loopback
        venue = json.loads(answer.read())
    rejected = venue["rejected"] + venue["banned"]
    _seconds[who] = told["seconds"]
    figures = {
        "seconds": f"{told['seconds']:.1f} ({100 * (told['seconds'] / DICTATED - 1):+.1f} % of {DICTATED:g} dictated)",
        "asked": f"{len(told['found'])} of {ACCOUNTS}",
        "exact": exact(told["found"]),
        "rejected": rejected,
        "CPU": f"{told['cpu']:.1f} s",
        "memory": f"{told['memory']:.0f} MiB",
        "connections": told["connections"],
        "loop held": f"{1000 * told['held']:.0f} ms",
        "errors": ", ".join(told["failures"]) or "none",
    }
    if who != "tradeutils":
        figures["times ours"] = f"{told['seconds'] / _seconds['tradeutils']:.2f}"
    benchmark.extra_info.update({"who": who, **figures})
    report(f"{benchmark.group} | {who}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    if who == "tradeutils":
        assert rejected == 0
        assert exact(told["found"]) == ACCOUNTS
        assert told["seconds"] <= 1.05 * DICTATED
        assert told["connections"] <= 40
