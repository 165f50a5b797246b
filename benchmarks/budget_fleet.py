"""A fleet of processes behind one address, and the venue that counts what they send."""

from __future__ import annotations

import collections
import contextlib
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tradeutils.sim import Limits, SimulatedVenue, serve

WORKER = pathlib.Path(__file__).with_name("budget_worker.py")
KLINES = "/api/v3/klines"
_PATIENCE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Race:
    """
    What a fleet is to do.

    Attributes
    ----------
    who : str
        ``"tradeutils"`` or ``"ccxt"``.
    weight, window : int, float
        What the venue grants in so many seconds, and the budget is told.
    seconds : float
        For how long each asks.
    sliding : bool
        How the venue counts.
    processes, tasks : int
        How many, and how many requests each wants to have under way.
    pause : float
        Seconds that each task rests after an answer.
    """

    who: str
    redis: str
    weight: int = 120
    window: float = 6.0
    seconds: float = 29.0
    sliding: bool = True
    processes: int = 8
    tasks: int = 10
    pause: float = 0.0


@dataclass
class Outcome:
    """What the venue saw, and what each process got."""

    race: Race
    began: float
    venue: dict[str, Any]
    requests: list[Any]
    workers: list[dict[str, Any]] = field(default_factory=list)
    killed: int = 0

    @property
    def rejected(self) -> int:
        """Requests that the venue answered with 429 or 418."""
        return int(self.venue["rejected"] + self.venue["banned"])

    @property
    def granted(self) -> int:
        """Weight that the venue grants, in all its windows of the race, to one that begins with an empty one."""
        return self.race.weight * (1 + int(self.race.seconds // self.race.window))

    @property
    def used(self) -> float:
        """Share of it that was used for what was answered."""
        served = sum(one.weight for one in self.requests if one.status < 400)
        return served / self.granted

    @property
    def least_share(self) -> float:
        """What the process that got least got, of an equal share."""
        counts = [len(worker["times"]) for worker in self.workers]
        return min(counts) * len(counts) / max(1, sum(counts)) if counts else 0.0

    @property
    def errors(self) -> dict[str, int]:
        """Errors that the processes saw, by class."""
        total: collections.Counter[str] = collections.Counter()
        for worker in self.workers:
            total.update(worker["errors"])
        return dict(total)

    def told(self) -> dict[str, str]:
        """Return the figures for the table."""
        told = {
            "rejected": f"{self.rejected} of {self.venue['requests']}",
            "used": f"{100 * self.used:.1f} % of {self.granted}",
        }
        return told if self.killed else {**told, "least share": f"{100 * self.least_share:.0f} %"}


class Fleet:
    """The processes; any of them may be killed and replaced while they run."""

    def __init__(self, race: Race, url: str) -> None:
        self._config = {
            "who": race.who, "redis": race.redis, "url": url, "weight": race.weight, "window": race.window,
            "tasks": race.tasks, "pause": race.pause,
        }  # fmt: skip
        self._race = race
        self.workers = [self._spawn() for _ in range(race.processes)]
        self.begins = self.ends = 0.0

    def _spawn(self, seconds: float | None = None) -> subprocess.Popen[str]:
        child = subprocess.Popen(  # noqa: S603  # this interpreter, our own file
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert child.stdin is not None
        child.stdin.write(json.dumps({**self._config, "seconds": seconds or self._race.seconds}) + "\n")
        child.stdin.flush()
        return child

    def await_ready(self) -> None:
        """Wait until all have their markets."""
        for child in self.workers:
            assert child.stdout is not None
            line = child.stdout.readline()
            if line != "ready\n":
                raise RuntimeError(f"a worker failed before it was ready: {line!r}")

    def go(self, delay: float = 0.2) -> None:
        """Let all begin at one moment."""
        self.begins = time.time() + delay
        self.ends = self.begins + self._race.seconds
        for child in self.workers:
            self._start(child, self.begins)

    def _start(self, child: subprocess.Popen[str], begins: float) -> None:
        assert child.stdin is not None
        child.stdin.write(f"{begins}\n")
        child.stdin.flush()

    def replace(self, number: int) -> None:
        """Kill a process as it stands, and start another that begins as soon as it is ready."""
        old = self.workers[number]
        old.kill()
        old.communicate()
        self.workers[number] = self._spawn(max(0.1, self.ends - time.time()))
        self._start(self.workers[number], time.time())

    def results(self) -> list[dict[str, Any]]:
        """Wait for the end and return what each says."""
        found = []
        for child in self.workers:
            out, _ = child.communicate(timeout=max(0.0, self.ends - time.time()) + _PATIENCE_S)
            if child.returncode == 0:
                found.append(json.loads(out.splitlines()[-1]))
        return found

    def kill(self) -> None:
        """End what is left."""
        for child in self.workers:
            child.kill()
            child.communicate()


@contextlib.contextmanager
def fleet(race: Race) -> Iterator[tuple[Fleet, SimulatedVenue]]:
    """Open a venue and start a fleet on it; both are gone at the end."""
    limits = Limits(weight=race.weight, window=race.window, sliding=race.sliding, orders=10**6, tolerated=20)
    with serve(symbols=2, speed=1.0, limits=limits) as venue:
        venue.requests.kept = 200_000
        running = Fleet(race, venue.url)
        try:
            running.await_ready()
            yield running, venue
        finally:
            running.kill()


def run(race: Race, disturb: Callable[[Fleet, SimulatedVenue], int] = lambda *_: 0) -> Outcome:
    """
    Let a fleet ask for its time, and return what became of it.

    ``disturb`` is called when they have begun, and returns how many processes it killed. What they sent before they
    began is out of every window by then and is not counted, but for the rejections of ours.
    """
    with fleet(race) as (running, venue):
        time.sleep(1.1 * race.window)
        before = venue.requests.rejected + venue.requests.banned
        venue.requests.clear()
        running.go()
        killed = disturb(running, venue)
        workers = running.results()
        summary = venue.requests.summary()
        summary["rejected"] += before if race.who == "tradeutils" else 0
        requests = [one for one in venue.requests.last(200_000) if one.received <= running.ends]
        return Outcome(race, running.begins, summary, requests, workers, killed)
