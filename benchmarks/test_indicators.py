"""
Indicators over a panel, against TA-Lib called for each symbol in the same run.

TA-Lib reads one contiguous row a symbol, its own layout, and each of its results is copied into a panel, as a caller
with many symbols must do; that panel is made once. Ours reads (T, S) panels and makes a new one in each call. One
thread, one core, medians. The ratios are printed at the end.
"""

from __future__ import annotations

import contextlib
import math
import os
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import talib

from tradeutils import indicators
from tradeutils.indicators import REGISTRY

SHAPES = {"500 symbols x 4000 bars": (4000, 500), "512 symbols x 504 bars": (504, 512)}
CASES: dict[str, tuple[float, ...]] = {
    "sma": (20,),
    "ema": (20,),
    "rsi": (14,),
    "macd": (12, 26, 9),
    "bbands": (20, 2.0),
    "atr": (14,),
}
ROUNDS = 9
_Medians = dict[tuple[str, str, str], float]


@pytest.fixture(scope="module", autouse=True)
def _one_core() -> Iterator[None]:
    """Keep the process on one core, so that neither side is moved about."""
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="module", name="medians")
def _medians(pytestconfig: pytest.Config) -> Iterator[_Medians]:
    """Collect the medians of a run in seconds; print the ratios when it is over, captured or not."""
    medians: _Medians = {}
    yield medians
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        for shape, (rows, symbols) in SHAPES.items():
            names = [name for name in CASES if {(shape, name, who) for who in MAKERS} <= medians.keys()]
            ratios = [medians[shape, name, "TA-Lib"] / medians[shape, name, "tradeutils"] for name in names]
            if not ratios:
                continue
            print(f"\n{shape}, ns an element:")
            for name, ratio in zip(names, ratios, strict=True):
                ours, theirs = (medians[shape, name, who] / (rows * symbols) * 1e9 for who in MAKERS)
                print(f"  {name:7s} {ours:6.2f}, TA-Lib {theirs:6.2f}: {ratio:5.1f}x")
            print(f"  geometric mean {math.exp(statistics.fmean(map(math.log, ratios))):.1f}x")


def panel(rows: int, symbols: int) -> dict[str, np.ndarray]:
    """Return high, low and close of random walks, (T, S)."""
    random = np.random.default_rng(3)
    close = 100 * np.exp(random.normal(0, 0.01, (rows, symbols)).cumsum(axis=0))
    spread = 1 + 0.01 * random.random((rows, symbols))
    return {"high": close * spread, "low": close / spread, "close": close}


def ours(name: str, columns: dict[str, np.ndarray]) -> Callable[[], object]:
    """Return the call that computes the whole panel."""
    inputs = [columns[column] for column in REGISTRY[name].inputs]
    function = getattr(indicators, name)
    return lambda: function(*inputs, *CASES[name], threads=1)


def peer(name: str, columns: dict[str, np.ndarray]) -> Callable[[], object]:
    """Return a call that has TA-Lib compute every symbol and stores each result."""
    inputs = [np.ascontiguousarray(columns[column].T) for column in REGISTRY[name].inputs]
    outputs = [np.empty(inputs[0].shape) for _ in REGISTRY[name].outputs]
    parameters = (20, 2.0, 2.0) if name == "bbands" else CASES[name]
    function = getattr(talib, name.upper())

    def call() -> None:
        for symbol in range(len(inputs[0])):
            made = function(*(column[symbol] for column in inputs), *parameters)
            for output, result in zip(outputs, made if isinstance(made, tuple) else (made,), strict=True):
                output[symbol] = result

    return call


MAKERS = {"tradeutils": ours, "TA-Lib": peer}


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
