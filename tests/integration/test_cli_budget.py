"""``tradeutils doctor --budget``: what it shows of a budget that is in use, and what it says where there is none."""

from __future__ import annotations

import asyncio
import json
import pathlib

import pytest
from budgets import POOL, account_line, line
from servers import ValkeyServer

from tradeutils.budget import Charge, RedisBudget
from tradeutils.cli import main


async def in_use(valkey: ValkeyServer, *words: str) -> int:
    """Run the command while some is spent of three windows, one request waits, and a pool is banned."""
    budget = RedisBudget(valkey.url)
    await budget.acquire(Charge(POOL, (line(2.5), account_line(3, f"{POOL}:3f9a"))))
    await budget.acquire(Charge(POOL, (line(7.5),)))
    waiting = asyncio.create_task(budget.acquire(Charge(POOL, (line(1),))))
    other = RedisBudget(valkey.url, egress="frankfurt")
    await other.acquire(Charge("venue.futures", ()))
    await other.ban("venue.futures", 100, "418 I'm a teapot")
    await budget.usage()
    code = await asyncio.to_thread(main, ["doctor", "--budget", *words])
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await budget.aclose()
    await other.aclose()
    return code


async def test_use_waiters_and_bans_are_shown(valkey: ValkeyServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each window; keys are digests."""
    assert await in_use(valkey, "--redis", valkey.url) == 0
    lines = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["pool", "window", "used", "limit", "%", "waiting", "processes", "ban"]
    assert lines[1] == [POOL, "weight", "in", "60", "s", "10", "10", "100%", "1", "1"]
    assert lines[2] == ["orders", "in", "10", "s", "of", "3f9a", "3", "10", "30%"]
    assert lines[3][:3] == ["venue.futures", "from", "frankfurt"]
    assert lines[3][-5:] == ["s:", "418", "I'm", "a", "teapot"]


async def test_the_same_as_json(valkey: ValkeyServer, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs."""
    assert await in_use(valkey, "--redis", valkey.url, "--json") == 0
    pools = {pool["pool"]: pool for pool in json.loads(capsys.readouterr().out)["pools"]}
    assert pools[POOL]["windows"][0]["used"] == 10
    assert (pools[POOL]["waiters"], pools[POOL]["members"], pools[POOL]["shared"]) == (1, 1, True)
    assert 90 < pools["venue.futures"]["banned_for"] <= 100


def test_unused_budget_is_told(valkey: ValkeyServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing on stdout."""
    assert main(["doctor", "--budget", "--redis", valkey.url]) == 0
    printed = capsys.readouterr()
    assert (printed.out, "nobody has used" in printed.err) == ("", True)


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_no_redis_is_told_with_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, words: list[str]
) -> None:
    """A budget of one process cannot be seen from another."""
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--budget", *words]) == 1
    assert "redis://localhost:6379/0" in capsys.readouterr().err


def test_redis_that_is_away_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Its password is not repeated."""
    assert main(["doctor", "--budget", "--redis", "redis://bot:s3cret@127.0.0.1:1/0"]) == 1
    printed = capsys.readouterr()
    assert "does not answer" in printed.err
    assert "s3cret" not in printed.err
