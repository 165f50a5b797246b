"""
All 61 candlestick patterns of a panel, beside TA-Lib in the same run.

TA-Lib has no call for many symbols: it is given each symbol's contiguous series, one pattern after the other, and each
result is stored in a panel of its own kind of number (int32). Ours is one call that makes 61 panels of int16.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import talib

from tradeutils import indicators
from tradeutils.analysis.patterns import NAMES, find
from tradeutils.model import Panel

SHAPES = {"500 x 10,000": (10_000, 500), "512 x 504": (504, 512), "1 x 500": (500, 1), "1 x 100,000": (100_000, 1)}
"""Symbols x bars, as (T, S)."""
LONG = "500 x 10,000"
ALL = "all 61"
WHICH = {ALL: NAMES, "doji": ("cdldoji",), "engulfing": ("cdlengulfing",), "morningstar": ("cdlmorningstar",)}
ROUNDS = 5

pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture(scope="module", name="medians")
def _medians(say: Callable[[str], None]) -> Iterator[dict[tuple[str, str, str], float]]:
    """Collect the medians of a run in seconds; say the ratios when it is over."""
    medians: dict[tuple[str, str, str], float] = {}
    yield medians
    for shape, (bars, symbols) in SHAPES.items():
        for which in WHICH:
            if all((shape, which, who) in medians for who in MAKERS):
                ours, theirs = (medians[shape, which, who] / (bars * symbols) * 1e9 for who in MAKERS)
                aim = " (aim 3)" if (shape, which) == (LONG, ALL) else ""
                say(f"{shape}, {which}: {ours:.2f} ns a bar, TA-Lib {theirs:.2f}: {theirs / ours:.1f}x{aim}")


def columns_of(bars: int, symbols: int) -> list[np.ndarray]:
    """Return open, high, low and close of random walks in ticks of 0.01, (T, S)."""
    random = np.random.default_rng(3)
    close = 10_000 + random.integers(-9, 10, (bars, symbols)).cumsum(axis=0)
    opened = np.vstack([close[:1], close[:-1]]) + random.integers(-1, 2, (bars, symbols))
    high = np.maximum(opened, close) + random.integers(0, 6, (bars, symbols))
    low = np.minimum(opened, close) - random.integers(0, 6, (bars, symbols))
    return [0.01 * column for column in (opened, high, low, close)]


def panel_of(columns: list[np.ndarray]) -> Panel:
    """Return columns as a Panel."""
    bars, symbols = columns[0].shape
    return Panel(
        symbols=[f"S{number}/USDT" for number in range(symbols)],
        timeframe="1m",
        time=60_000 * np.arange(bars),
        volume=np.ones((bars, symbols)),
        **dict(zip(("open", "high", "low", "close"), columns, strict=True)),
    )


def ours(columns: list[np.ndarray], names: tuple[str, ...]) -> Callable[[], object]:
    """Return the call that searches the whole panel."""
    panel = panel_of(columns)
    return lambda: find(panel, names, threads=1)


def peer(columns: list[np.ndarray], names: tuple[str, ...]) -> Callable[[], object]:
    """Return a call that has TA-Lib search every symbol and stores each result."""
    series = [np.ascontiguousarray(column.T) for column in columns]
    functions = [getattr(talib, name.upper()) for name in names]
    results = [np.empty(series[0].shape, np.int32) for _ in names]

    def call() -> None:
        for symbol in range(len(series[0])):
            prices = [column[symbol] for column in series]
            for function, result in zip(functions, results, strict=True):
                result[symbol] = function(*prices)

    return call


MAKERS = {"tradeutils": ours, "TA-Lib": peer}


def median(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median of some rounds, in seconds."""
    call()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


@pytest.mark.parametrize("who", MAKERS)
@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("shape", SHAPES)
def test_patterns(shape: str, which: str, who: str, benchmark: Any, medians: dict[tuple[str, str, str], float]) -> None:
    """Patterns of every symbol."""
    benchmark.group = f"{which} of {shape}"
    benchmark.extra_info["who"] = who
    rounds = ROUNDS if which != ALL or shape != LONG else 3
    benchmark.pedantic(MAKERS[who](columns_of(*SHAPES[shape]), WHICH[which]), rounds=rounds, warmup_rounds=1)
    if benchmark.stats:  # absent with --benchmark-disable
        medians[shape, which, who] = benchmark.stats.stats.median


def test_scales(say: Callable[[str], None]) -> None:
    """The relative scale against the usual one, and the newest row alone."""
    panel = panel_of(columns_of(*SHAPES["512 x 504"]))
    usual = median(lambda: find(panel, threads=1))
    relative = median(lambda: find(panel, scale="relative", threads=1))
    newest = median(lambda: find(panel, tail=1, threads=1))
    say(f"512 x 504: {usual * 1e3:.2f} ms, relative {relative * 1e3:.2f} ms, the newest row {newest * 1e3:.2f} ms")


def test_threads(say: Callable[[str], None]) -> None:
    """One thread against two."""
    panel = panel_of(columns_of(*SHAPES[LONG]))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        one, two = (median(lambda count=count: find(panel, threads=count), 3) for count in (1, 2))
    finally:
        os.sched_setaffinity(0, before)
    say(f"{LONG}, {ALL}: one thread {one * 1e3:.0f} ms, two {two * 1e3:.0f} ms: {one / two:.2f}x")


def test_peak_memory(say: Callable[[str], None]) -> None:
    """What a call takes above its inputs, against its outputs; the process's high-water mark is set back before."""
    panel = panel_of(columns_of(10_000, 500))
    find(panel[:100], threads=1)
    indicators.release_memory()
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:  # noqa: PTH123  # Linux alone has it
            file.write("5")
    except OSError:
        pytest.skip("the high-water mark of memory cannot be set back here")
    before = _memory("VmRSS")
    found = find(panel, threads=1)
    outputs = sum(values.nbytes for values in found.values())
    grown = _memory("VmHWM") - before
    say(f"peak memory of {ALL} of {LONG}: outputs {outputs / 1e6:.0f} MB, grown by {grown / 1e6:.0f} MB")


def _memory(key: str) -> int:
    """Return a figure of the kernel about this process, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123
        line = next(line for line in file if line.startswith(key))
    return int(line.split()[1]) * 1024
