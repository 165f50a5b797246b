"""One budget among real processes, also when they are killed and the server with them."""

from __future__ import annotations

import asyncio
import pathlib
import subprocess
import sys
import time

import pytest
from budgets import charge, spend
from servers import ValkeyServer

from tradeutils.budget import RedisBudget

_LIMIT, _SECONDS = 60, 1.5
_GREEDY = f"""
import asyncio, random, sys, time
from tradeutils.budget import Charge, Line, RedisBudget, Window

window = Window("weight", {_LIMIT}, {_SECONDS})

async def fetch(budget, costs):
    while True:
        cost = random.choice(costs)
        async with await budget.acquire(Charge("venue.spot", (Line(window, cost, "venue.spot"),))):
            print(time.time(), cost, flush=True)
            await asyncio.sleep(random.uniform(0, 0.005))

async def main():
    budget = RedisBudget(sys.argv[1])
    await budget.nonce("warm")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(fetch(budget, [1, 2]) for _ in range(int(sys.argv[2]))))

asyncio.run(main())
"""
_WAITING = """
import asyncio, sys
from tradeutils.budget import Charge, Line, RedisBudget, Window

async def main():
    charge = Charge("venue.spot", (Line(Window("weight", 10, 1.5), 10, "venue.spot"),))
    await RedisBudget(sys.argv[1]).acquire(charge)

asyncio.run(main())
"""


class Greedy:
    """A process that fetches as much as it may, until it is killed."""

    def __init__(self, server: ValkeyServer, folder: pathlib.Path, number: int, tasks: int) -> None:
        self.log = folder / f"{number}.log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _GREEDY, server.url, str(tasks)], stdin=subprocess.PIPE, stdout=out, text=True
            )

    def begin(self) -> None:
        """Let it fetch once it is ready."""
        ends = time.monotonic() + 30
        while "ready" not in self.log.read_text():
            assert time.monotonic() < ends
            time.sleep(0.01)
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> list[tuple[float, float]]:
        """End it at once, and return when it sent what."""
        self.process.kill()
        self.process.communicate()
        lines = [line.split() for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [(float(words[0]), float(words[1])) for words in lines if len(words) == 2]


def most(events: list[tuple[float, float]]) -> float:
    """Return the most that was sent in any window."""
    events = sorted(events)
    return max(sum(cost for at, cost in events if begin <= at < begin + _SECONDS) for begin, _ in events)


def test_greedy_processes_share_the_window_and_fill_it(valkey: ValkeyServer, tmp_path: pathlib.Path) -> None:
    """Three: never too much, and everybody gets some, though one has far more that waits."""
    workers = [Greedy(valkey, tmp_path, number, tasks) for number, tasks in enumerate((5, 5, 20))]
    for worker in workers:
        worker.begin()
    time.sleep(4 * _SECONDS)
    sent = [worker.kill() for worker in workers]
    total = [sum(cost for _, cost in each) for each in sent]
    assert most([event for each in sent for event in each]) <= _LIMIT
    assert sum(total) >= 3 * _LIMIT
    assert min(total) >= 0.1 * sum(total)


@pytest.mark.parametrize("fault", ["restart", "freeze"])
def test_killed_processes_and_server_cost_no_overdraft(
    own_valkey: ValkeyServer, tmp_path: pathlib.Path, fault: str
) -> None:
    """What a process had spent when it was killed counts, whatever happens to the server."""
    workers = [Greedy(own_valkey, tmp_path, number, 5) for number in range(3)]
    for worker in workers:
        worker.begin()
    time.sleep(_SECONDS)
    sent = [workers.pop().kill()]
    if fault == "restart":
        own_valkey.kill()
        own_valkey.start()
    else:
        own_valkey.freeze()
        time.sleep(_SECONDS)
        own_valkey.thaw()
    workers.append(Greedy(own_valkey, tmp_path, 3, 5))
    workers[-1].begin()
    time.sleep(3 * _SECONDS)
    sent += [worker.kill() for worker in workers]
    assert most([event for each in sent for event in each]) <= _LIMIT
    assert all(each[-1][0] > each[0][0] + _SECONDS for each in sent[1:3])  # they went on


async def test_killed_head_of_the_queue_holds_nobody_up(valkey: ValkeyServer) -> None:
    """It is passed over when it does not come."""
    budget = RedisBudget(valkey.url)
    await spend(budget, charge(10, seconds=1.5))
    head = subprocess.Popen([sys.executable, "-c", _WAITING, valkey.url])  # noqa: ASYNC220
    async with asyncio.timeout(20):
        while not (await budget.usage())[0].waiters:  # noqa: ASYNC110  # the other process is counted by the server
            await asyncio.sleep(0.005)
        behind = asyncio.create_task(spend(budget, charge(10, seconds=1.5), timeout=None))
        while (await budget.usage())[0].waiters < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        head.kill()
        head.wait()
        await behind
    await budget.aclose()
