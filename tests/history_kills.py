"""
A history that is written by processes which are killed at random moments, and what must be true of it.

``Killed`` starts a nursery (this file as a program), which forks a writer for each round: a fork takes a hundredth of
the time that starting Python does. What operation ``n`` writes follows from ``n`` alone, so what must be stored follows
from the numbers that were acknowledged: every price and volume of a candle is the number of the operation it is from.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import tradeutils as tu
from tradeutils.errors import UnknownName

HOUR = 3_600_000
FIRST = 473_352  # hours: 2024-01-01
HOURS = 2_900  # four months
SERIES = ("binance", "BTC/USDT", "1h")
SEAL_ROWS = 40


def times_of(number: int) -> list[int]:
    """Return the hours that operation ``number`` writes; none where it does something else."""
    rng = random.Random(number)
    kind = rng.random()
    if kind < 0.5:
        return [number % HOURS]
    if kind < 0.75:
        return sorted(rng.sample(range(HOURS), rng.randrange(2, 12)))
    if kind < 0.85:  # more than a journal takes: into Parquet at once, over several months
        first = rng.randrange(HOURS - 900)
        return list(range(first, first + 900, 7))
    return []


def apply(history: tu.History, number: int) -> None:
    """Do operation ``number``."""
    hours = times_of(number)
    rng = random.Random(-number - 1)
    if hours:
        value = np.full(len(hours), float(number))
        exchange, symbol, timeframe = SERIES
        moments = (FIRST + np.array(hours, dtype=np.int64)) * HOUR
        history.write(
            tu.Candles(
                exchange=exchange, symbol=symbol, timeframe=timeframe, time=moments,
                open=value, high=value, low=value, close=value, volume=value,
            )
        )  # fmt: skip
    elif rng.random() < 0.4:
        history.seal()
    elif rng.random() < 0.4:
        history.compact()
    else:
        history.asked(*SERIES, (FIRST + number % HOURS) * HOUR, (FIRST + number % HOURS + 3) * HOUR)


def write_until_killed(folder: str, number: int) -> None:
    """Do one operation after the other, and acknowledge each on standard output."""
    history = tu.History(folder, seal_rows=SEAL_ROWS, min_free=0)
    while True:
        if number % 17 == 0:
            history.close()
            history = tu.History(folder, seal_rows=SEAL_ROWS, min_free=0)
        apply(history, number)
        os.write(1, b"%d\n" % number)
        number += 1


def nursery(folder: str) -> None:
    """Fork a writer for each number that comes in, and say when it is dead."""
    with tempfile.TemporaryDirectory() as scratch, tu.History(scratch) as history:  # load what a writer needs, once
        apply(history, 1)
        history.seal()
        history.read(*SERIES)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            write_until_killed(folder, int(line))
        os.write(1, b"pid %d\n" % child)
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


@dataclass
class Killed:
    """
    A history under writers that are killed.

    Attributes
    ----------
    acknowledged : int
        The last operation that was; those before were too.
    stored : dict
        By hour the number of the last acknowledged operation that wrote it.
    wrong : list of str
        What readers found that must not be, and errors they met.
    """

    folder: Path
    acknowledged: int = 0
    stored: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    reads: int = 0

    def run(self, rounds: int, seed: int, longest_s: float = 0.1) -> None:
        """Kill so many writers, with a reader beside; look at everything after each."""
        rng = random.Random(seed)
        over = threading.Event()
        reader = threading.Thread(target=self._read_until, args=(over,))
        program = [sys.executable, __file__, str(self.folder)]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            reader.start()
            try:
                for _ in range(rounds):
                    self._round(process, rng.random() * longest_s)
                    self.check(complete=True)
                    if self.wrong:
                        break
            finally:
                over.set()
                reader.join()
                process.kill()

    def _round(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"%d\n" % (self.acknowledged + 1))
        process.stdin.flush()
        child, end = 0, float("inf")
        out = process.stdout.fileno()
        held = b""
        while True:
            ready, _, _ = select.select([out], [], [], max(0.0, min(end - time.monotonic(), 20.0)))
            if not ready and time.monotonic() >= end:
                os.kill(child, signal.SIGKILL)
                end = float("inf")
                continue
            assert ready, "the writer says nothing"
            *lines, held = (held + os.read(out, 65_536)).split(b"\n")
            for line in lines:
                if line.startswith(b"pid "):
                    child, end = int(line[4:]), time.monotonic() + seconds
                elif line == b"dead":
                    return
                else:
                    self._acknowledge(int(line))

    def _acknowledge(self, number: int) -> None:
        assert number == self.acknowledged + 1, "the writer failed"
        for hour in times_of(number):
            self.stored[hour] = number
        self.acknowledged = number

    def _read_until(self, over: threading.Event) -> None:
        while not over.is_set():
            self.check(complete=False)
            self.reads += 1

    def check(self, *, complete: bool) -> None:
        """Compare what is read with what was acknowledged before; with ``complete``, verify every file too."""
        at_least = dict(self.stored)
        try:
            with contextlib.suppress(UnknownName):
                self._compare(at_least)
            if complete and (self.folder / "_history.json").exists():
                with tu.History(self.folder, read_only=True) as history:
                    report = history.verify()
                if not report.ok:
                    self.wrong.append(str(report))
        except Exception as error:  # noqa: BLE001  # whatever it is, no reader may meet it
            self.wrong.append(f"a reader met {error!r}")

    def _compare(self, at_least: dict[int, int]) -> None:
        with tu.History(self.folder) as history:
            try:
                found = history.read(*SERIES)
                newest = history.read(*SERIES, limit=5)
            except UnknownName:
                if at_least:
                    self.wrong.append("nothing is stored")
                return
        hours = (found.time // HOUR - FIRST).tolist()
        values = found.close.tolist()
        there = dict(zip(hours, values, strict=True))
        for column in (found.open, found.high, found.low, found.volume):
            if column.tolist() != values:
                self.wrong.append("a candle is of two operations")
        lost = [(hour, number) for hour, number in at_least.items() if there.get(hour, -1.0) < number]
        if lost:
            self.wrong.append(f"lost or older than acknowledged: {lost[:5]} of {len(lost)}")
        strange = [hour for hour, value in there.items() if hour not in times_of(int(value))]
        if strange:
            self.wrong.append(f"never written: {strange[:5]}")
        if len(newest) < min(5, len(at_least)):
            self.wrong.append(f"only {len(newest)} of the newest candles")


if __name__ == "__main__":
    nursery(sys.argv[1])
