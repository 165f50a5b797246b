"""
Eighty tasks on candles on disk, of some 50 ms each: a Dask cluster against a local pool of processes, in one run.

A task reads 60 days of minutes of one symbol and computes 20 indicators of them. Threads and one thread alone stand
beside. Pools and cluster are started, and have their kernels loaded, before the clock runs; each has two workers.
Medians of three rounds, in which all take turns, so that the machine is the same for all. What 64 workers would do is
printed as what it is: a projection.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tradeutils as tu
from tradeutils import indicators
from tradeutils.history import Selection

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))

from budget_races import Report, _report  # noqa: F401  # fixture
from clusters import dask_client  # noqa: F401  # fixture

WORKERS, TASKS, DAYS, ROUNDS = 2, 80, 60, 3
MINUTE, START = 60_000, 1_704_067_200_000
SPECS = [
    "sma:20", "ema:20", "rsi:14", "atr:14", "bbands:20,2", "macd:12,26,9", "adx:14", "stoch:14,3,3", "cci:20", "obv",
    "mfi:14", "rolling_max:20", "donchian:20", "wma:20", "supertrend:10,3", "vwap", "willr:14", "roc:10", "natr:14",
    "ema:50",
]  # fmt: skip
THE_BOX = 64


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Selection:
    """Store walks of so many symbols as there are tasks."""
    bars = DAYS * 1440
    time = START + np.arange(bars) * MINUTE
    with tu.History(tmp_path_factory.mktemp("candles")) as history:
        for number in range(TASKS):
            random = np.random.default_rng(number)
            close = (100 * np.exp(np.cumsum(random.normal(0, 1e-4, bars)))).round(2)
            columns = {"open": close, "high": close + 0.05, "low": close - 0.05, "close": close}
            volume = random.random(bars).round(3)
            name = {"exchange": "binance", "symbol": f"S{number:02}/USDT", "timeframe": "1m"}
            history.write(tu.Candles(**name, time=time, volume=volume, **columns))  # type: ignore[arg-type]
        return history.select("binance", None, "1m", START, START + bars * MINUTE)


@pytest.fixture(scope="module")
def executors(dask_client: Any) -> Iterator[dict[str, Any]]:  # noqa: F811
    """Return everything that can do the work, by name."""
    with (
        ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as processes,
        ThreadPoolExecutor(WORKERS) as threads,
    ):
        yield {"process pool": processes, "Dask": dask_client, "thread pool": threads, "serial": None}


def work(selection: Selection, executor: Any) -> dict[tuple[str, ...], dict[str, Any]]:
    """Do the tasks; return what came back for each symbol."""
    latest = functools.partial(indicators.compute, specs=SPECS, tail=1)
    return dict(selection.map(latest, executor=executor, group=1))


@pytest.fixture(scope="module")
def medians(selection: Selection, executors: dict[str, Any]) -> dict[str, float]:
    """Return what each takes, in seconds."""
    taken: dict[str, list[float]] = {name: [] for name in executors}
    expected = tu.Indicators(selection).compute(SPECS, tail=1)["rsi:14"][0]
    for turn in range(ROUNDS + 1):
        for name, executor in executors.items():
            started = time.perf_counter()
            found = work(selection, executor)
            if turn:  # the first one loads the kernels
                taken[name].append(time.perf_counter() - started)
            assert [found[symbol,]["rsi:14"][0, 0] for symbol in selection.symbols] == expected.tolist()
    return {name: statistics.median(rounds) for name, rounds in taken.items()}


@pytest.mark.parametrize("who", ["process pool", "Dask", "thread pool", "serial"])
def test_eighty_tasks(
    benchmark: Any, report: Report, selection: Selection, executors: dict[str, Any], medians: dict[str, float], who: str
) -> None:
    """A cluster takes at most 1.3 times as long as a pool of processes on the same cores."""
    benchmark.group = f"{TASKS} tasks: {DAYS} days of minutes, {len(SPECS)} indicators"
    benchmark.pedantic(work, args=(selection, executors[who]), rounds=1)
    median, times = medians[who], medians[who] / medians["process pool"]
    figures = {"in turns": f"{median:.2f} s", "times the process pool": f"{times:.2f}"}
    benchmark.extra_info.update({"who": who, **figures})
    report(f"{benchmark.group} | {who}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    if who == "Dask":
        report(_projection(median))
        assert times <= 1.3


def _projection(median: float) -> str:
    """Say what the box would take, were every worker of its as quick as one here and the disk no hindrance."""
    each = median * WORKERS / TASKS
    symbols = 10_000
    return (
        f"projection, not measured: {THE_BOX} workers as quick as one of these {len(os.sched_getaffinity(0))} cores "
        f"take {each * symbols / THE_BOX:.0f} s for {symbols:,} symbols; one Dask scheduler hands out "
        f"{symbols:,} such tasks in 20 s, at 2 ms each"
    )
