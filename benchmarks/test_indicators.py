"""
Indicators over a panel, against TA-Lib called for each symbol in the same run.

TA-Lib reads one contiguous row a symbol, its own layout, and each of its results is copied into a panel, as a caller
with many symbols must do; that panel is made once ("store"). Ours reads (T, S) panels and returns a new result in
each call. What TA-Lib has not got is made of what it has: VWAP with numpy, the supertrend's bands with numba. One
thread, one core, medians, unless said. The ratios are printed at the end.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numba
import numpy as np
import pytest
import talib

from tradeutils import indicators
from tradeutils.indicators import REGISTRY

LONG, SHORT, SINGLE = "500 x 10,000", "512 x 504", "1 x 1,000,000"
SHAPES = {LONG: (10_000, 500), SHORT: (504, 512), SINGLE: (1_000_000, 1)}
CASES: dict[str, tuple[float, ...]] = {
    "sma": (20,),
    "ema": (20,),
    "rsi": (14,),
    "macd": (12, 26, 9),
    "bbands": (20, 2.0),
    "atr": (14,),
    "adx": (14,),
    "stoch": (14, 3, 3),
    "cci": (20,),
    "obv": (),
    "mfi": (14,),
    "rolling_max": (20,),
    "donchian": (20,),
    "wma": (20,),
    "supertrend": (10, 3.0),
    "vwap": (),
}
STORE: dict[str, tuple[float, float]] = {
    "sma": (5.1, 8.7), "ema": (5.4, 11.2), "rsi": (4.5, 8.6), "macd": (3.4, 7.8), "bbands": (3.2, 7.2),
    "atr": (1.7, 5.1), "adx": (6.4, 10.9), "stoch": (3.6, 6.6), "cci": (5.1, 7.3), "obv": (4.6, 9.1),
    "mfi": (2.8, 5.4), "rolling_max": (3.7, 8.5), "donchian": (4.1, 7.6), "wma": (5.3, 8.0),
    "supertrend": (3.9, 7.4), "vwap": (1.4, 4.1),
}  # fmt: skip
"""The ratios aimed at: what explicit vectors reached on a Xeon with AVX-512, for 500 x 10,000 and 512 x 504."""
SPECS = [
    "sma:20", "ema:20", "rsi:14", "macd:12,26,9", "bbands:20,2", "atr:14", "adx:14", "stoch:14,3,3", "cci:20", "obv",
    "mfi:14", "rolling_max:20", "rolling_min:20", "wma:20", "vwap",
]  # fmt: skip
"""Twenty columns."""
ROUNDS = 7
_Medians = dict[tuple[str, str, str], float]


@contextlib.contextmanager
def all_cores() -> Iterator[int]:
    """Let this thread run anywhere; gives the number of cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield len(os.sched_getaffinity(0))
    finally:
        os.sched_setaffinity(0, before)


pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture(scope="module", name="medians")
def _medians(say: Callable[[str], None]) -> Iterator[_Medians]:
    """Collect the medians of a run in seconds; say the ratios when it is over."""
    medians: _Medians = {}
    yield medians
    for at, (shape, (rows, symbols)) in enumerate(SHAPES.items()):
        names = [name for name in CASES if {(shape, name, who) for who in MAKERS} <= medians.keys()]
        ratios = [medians[shape, name, "TA-Lib"] / medians[shape, name, "tradeutils"] for name in names]
        if not ratios:
            continue
        say(f"{shape}, ns an element:")
        for name, ratio in zip(names, ratios, strict=True):
            ours, theirs = (medians[shape, name, who] / (rows * symbols) * 1e9 for who in MAKERS)
            aim = f" (aim {STORE[name][at]})" if at < 2 else ""
            say(f"  {name:13s} {ours:6.2f}, TA-Lib {theirs:6.2f}: {ratio:5.1f}x{aim}")
        say(f"  geometric mean {math.exp(statistics.fmean(map(math.log, ratios))):.1f}x")


def panel(rows: int, symbols: int) -> dict[str, np.ndarray]:
    """Return the columns of random walks, (T, S)."""
    random = np.random.default_rng(3)
    close = 100 * np.exp(random.normal(0, 0.01, (rows, symbols)).cumsum(axis=0) / math.sqrt(max(rows / 10_000, 1)))
    spread = 1 + 0.01 * random.random((rows, symbols))
    volume = 1e4 * random.random((rows, symbols))
    return {"open": close, "high": close * spread, "low": close / spread, "close": close, "volume": volume}


def inputs_of(name: str, columns: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return what an indicator reads; a single series as (T,)."""
    made = [columns[column] for column in REGISTRY[name].inputs]
    return [column[:, 0].copy() for column in made] if made[0].shape[1] == 1 else made


def ours(name: str, columns: dict[str, np.ndarray]) -> Callable[[], object]:
    """Return the call that computes the whole panel."""
    inputs, function = inputs_of(name, columns), getattr(indicators, name)
    return lambda: function(*inputs, *CASES[name], threads=1)


@numba.njit(nogil=True)
def _bands(high: np.ndarray, low: np.ndarray, close: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    band, direction = np.full(len(high), np.nan), np.full(len(high), np.nan)
    upper, lower, side = math.inf, -math.inf, -1.0
    for t in range(len(high)):
        if math.isnan(reach[t]):
            continue
        middle, away, before = 0.5 * (high[t] + low[t]), 3.0 * reach[t], close[t - 1]
        upper = middle + away if middle + away < upper or before > upper else upper
        lower = middle - away if middle - away > lower or before < lower else lower
        side = (1.0 if close[t] > upper else -1.0) if side < 0 else (-1.0 if close[t] < lower else 1.0)
        band[t], direction[t] = (upper if side < 0 else lower), side
    return band, direction


def _supertrend(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """TA-Lib has no supertrend: its ATR, and a compiled loop over the bars of one symbol."""
    made: tuple[np.ndarray, np.ndarray] = _bands(high, low, close, talib.ATR(high, low, close, 10))
    return made


def _vwap(high: np.ndarray, low: np.ndarray, close: np.ndarray, volume: np.ndarray) -> np.ndarray:
    return np.cumsum(talib.TYPPRICE(high, low, close) * volume) / np.cumsum(volume)


PEERS: dict[str, Callable[..., Any]] = {
    "bbands": lambda close: talib.BBANDS(close, 20, 2.0, 2.0),
    "stoch": lambda high, low, close: talib.STOCH(high, low, close, 14, 3, 0, 3, 0),
    "rolling_max": lambda close: talib.MAX(close, 20),
    "donchian": lambda high, low: (talib.MAX(high, 20), talib.MIN(low, 20)),
    "supertrend": _supertrend,
    "vwap": _vwap,
}


def peer(name: str, columns: dict[str, np.ndarray]) -> Callable[[], object]:
    """Return a call that has TA-Lib compute every symbol and stores each result."""
    inputs = [np.ascontiguousarray(columns[column].T) for column in REGISTRY[name].inputs]
    outputs = [np.empty(inputs[0].shape) for _ in REGISTRY[name].outputs]
    function = PEERS.get(name) or getattr(talib, name.upper())
    parameters = () if name in PEERS else CASES[name]

    def call() -> None:
        for symbol in range(len(inputs[0])):
            made = function(*(column[symbol] for column in inputs), *parameters)
            for output, result in zip(outputs, made if isinstance(made, tuple) else (made,), strict=False):
                output[symbol] = result

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
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", SHAPES)
def test_panel(shape: str, name: str, who: str, benchmark: Any, medians: _Medians) -> None:
    """One indicator of every symbol."""
    benchmark.group = f"{name} of {shape}"
    benchmark.extra_info["who"] = who
    benchmark.pedantic(MAKERS[who](name, panel(*SHAPES[shape])), rounds=ROUNDS, warmup_rounds=2)
    if benchmark.stats:  # absent with --benchmark-disable
        medians[shape, name, who] = benchmark.stats.stats.median


@pytest.mark.parametrize(("shape", "tail"), [(LONG, None), (SHORT, None), (SHORT, 1)])
def test_fused(shape: str, tail: int | None, benchmark: Any, say: Callable[[str], None]) -> None:
    """Twenty columns in one call, all stored or the last bar alone."""
    columns = panel(*SHAPES[shape])
    ind = indicators.Indicators(_as_panel(columns), threads=1)
    benchmark.pedantic(lambda: ind.compute(SPECS, tail=tail), rounds=3, warmup_rounds=1)
    if not benchmark.stats:
        return
    names = [spec.partition(":")[0] for spec in SPECS if not spec.startswith("rolling_min")]
    calls = [peer(name, columns) for name in [*names, "rolling_max"]]
    theirs = median(lambda: [call() for call in calls], 3)
    mine = benchmark.stats.stats.median
    what = "last bar only" if tail else "all stored"
    say(f"20 columns of {shape}, {what}: {mine * 1e3:.1f} ms, TA-Lib {theirs * 1e3:.1f} ms: {theirs / mine:.1f}x")


def _as_panel(columns: dict[str, np.ndarray]) -> Any:
    from tradeutils.model import Panel

    rows, symbols = columns["close"].shape
    names = tuple(f"S{number}/USDT" for number in range(symbols))
    return Panel(symbols=names, timeframe="1m", time=np.arange(rows) * 60_000, **columns)


def test_memory_limit(say: Callable[[str], None]) -> None:
    """EMA against a copy of the panel into memory that is there already: what the memory allows."""
    close = panel(*SHAPES[LONG])["close"]
    out = np.empty_like(close)
    limit, mine = (
        median(call) for call in (lambda: np.copyto(out, close), lambda: indicators.ema(close, 20, out=out, threads=1))
    )
    say(f"EMA of {LONG} into out=: {mine * 1e3:.2f} ms; a copy of it {limit * 1e3:.2f} ms: {mine / limit:.2f} times")


@pytest.mark.parametrize("shape", [LONG, SHORT])
def test_scaling(shape: str, say: Callable[[str], None]) -> None:
    """One thread against n, with a fit of what cannot be shared out, and a projection."""
    columns = panel(*SHAPES[shape])
    with all_cores() as cores:
        say(f"threads at {shape}, {cores} cores:")
        for name in ("ema", "macd", "bbands", "adx", "stoch", "cci", "obv"):
            call = partial(getattr(indicators, name), *inputs_of(name, columns), *CASES[name])
            times = {threads: median(partial(call, threads=threads)) for threads in range(1, cores + 1)}
            # Amdahl: time(n) = serial + shared / n, through one thread and the most.
            shared = (times[1] - times[cores]) / (1 - 1 / cores) if cores > 1 else 0.0
            shared = min(max(shared, 0.0), times[1])
            projected = times[1] / (times[1] - shared + shared / 64)
            gains = ", ".join(f"{threads}: {times[1] / taken:.2f}x" for threads, taken in times.items())
            say(f"  {name:7s} {gains}; shared out {shared / times[1]:.0%}; PROJECTION for 64: {projected:.1f}x")


def test_many_python_threads(say: Callable[[str], None]) -> None:
    """Python threads that each compute panels of their own: ours, and TA-Lib."""
    columns = panel(*SHAPES[SHORT])
    with all_cores() as cores, ThreadPoolExecutor(cores) as pool:
        for who, maker in MAKERS.items():
            calls = [maker("ema", columns) for _ in range(cores)]
            alone = median(calls[0])
            together = median(partial(_side_by_side, pool, calls))
            say(f"{who}: {cores} Python threads do {cores * alone / together:.2f} times the work of one")


def test_peak_memory(say: Callable[[str], None]) -> None:
    """What a call takes above its inputs, by the most memory the process had, against its outputs."""
    close = panel(20_000, 500)["close"]
    indicators.macd(close[:100])
    indicators.release_memory()
    peak = _Peak()
    made = indicators.macd(close, threads=1)
    outputs = sum(output.nbytes for output in made)
    say(f"peak memory of macd of 500 x 20,000: outputs {outputs / 1e6:.0f} MB, grown by {peak.grown() / 1e6:.0f} MB")


def _side_by_side(pool: ThreadPoolExecutor, calls: list[Callable[[], object]]) -> None:
    for done in [pool.submit(call) for call in calls]:
        done.result()


class _Peak:
    """The growth of the process's memory, looked at ten thousand times a second."""

    def __init__(self) -> None:
        self._before = self._now()
        self._most = self._before
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @staticmethod
    def _now() -> int:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # read ten thousand times a second
            return int(file.read().split()[1]) * resource.getpagesize()

    def _watch(self) -> None:
        while not self._stop.wait(1e-4):
            self._most = max(self._most, self._now())

    def grown(self) -> int:
        """Return the bytes by which memory grew at most."""
        self._stop.set()
        self._thread.join()
        return max(self._most, self._now()) - self._before
