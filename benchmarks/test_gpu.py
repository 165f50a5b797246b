"""
Indicators and valuation on a GPU: against the bandwidth of its memory, and against the CPU in the same run.

Data that stay on the device ("resident") are timed apart from those that come from the host and go back. Every figure
is the median of some rounds, each waited for, and carries the device, its driver and its clocks. Skipped, with the
reason, where there is no GPU. With ``TRADEUTILS_GPU=stand-in`` all of it runs at a tiny size on the host's processor,
which measures nothing and shows that it works.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import pytest

import tradeutils as tu
from tradeutils.balances.cells import Filled, Held, Row
from tradeutils.balances.device_values import DeviceHoldings
from tradeutils.device import default_device, devices, using, why_none
from tradeutils.indicators import compute
from tradeutils.indicators.cpu.compiling import RESTART
from tradeutils.indicators.cuda.scans import scan
from tradeutils.model import Balance

STAND_IN = os.environ.get("TRADEUTILS_GPU") == "stand-in"
SPECS = [
    "sma:20", "ema:20", "rsi:14", "macd:12,26,9", "bbands:20,2", "atr:14", "adx:14", "stoch:14,3,3", "cci:20", "obv",
    "mfi:14", "rolling_max:20", "rolling_min:20", "wma:20", "vwap",
]  # fmt: skip
"""Twenty columns."""
READ = ("high", "low", "close", "volume")  # of them
SWEEP = "rsi:5..54"
AIM = 0.6  # of the bandwidth of a copy
ROUNDS = 3 if STAND_IN else 9


class Sizes(NamedTuple):
    """Bars and symbols of each task."""

    fused: tuple[int, int]
    sweep: tuple[int, int]
    scan: tuple[int, int]
    accounts: tuple[int, int]
    copied: int
    crossover: tuple[tuple[int, int], ...]


REAL = Sizes(
    fused=(10_000, 5_000),
    sweep=(5_000, 2_000),
    scan=(1_000_000, 8),
    accounts=(100_000, 1_000),
    copied=1 << 30,
    crossover=(
        (500, 1),
        (500, 50),
        (500, 500),
        (500, 5_000),
        (5_000, 500),
        (5_000, 2_000),
        (100_000, 8),
        (1_000_000, 1),
    ),
)
TINY = Sizes((120, 6), (120, 5), (300, 2), (20, 40), 1 << 12, ((60, 1), (60, 3)))
SIZES = TINY if STAND_IN else REAL


@pytest.fixture(scope="module")
def device() -> Iterator[Any]:
    """The first GPU; skipped where there is none."""
    with ExitStack() as stack:
        if STAND_IN:
            sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
            from host_device import HostDevice

            stack.enter_context(using([HostDevice()]))
        if not devices():
            pytest.skip(f"no GPU: {why_none()}")
        yield default_device()


@pytest.fixture(scope="module")
def facts(device: Any) -> dict[str, Any]:
    """What a figure was measured on: device, driver, clocks now and at most."""
    told = {"device": device.name, "memory_gib": round(device.total_bytes / 2**30)}
    asked = ("driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit")
    command = ["nvidia-smi", f"--query-gpu={','.join(asked)}", "--format=csv,noheader"]
    if not STAND_IN:
        command.append(f"--id={device.xp.cuda.Device(device.number).pci_bus_id}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return {**told, "driver": "nvidia-smi did not say"}
    values = [value.strip() for value in done.stdout.splitlines()[0].split(",")]
    return {**told, **dict(zip(("driver", "clock", "clock at most", "memory clock", "power"), values, strict=True))}


@pytest.fixture(scope="module")
def copied(device: Any) -> float:
    """Bytes a second that a copy within the device reads and writes, the best of some: what memory allows."""
    with device:
        there = device.xp.zeros(SIZES.copied // 8)
        other = device.xp.empty_like(there)

        def call() -> None:
            other[...] = there

        taken = min(waited(device, call) for _ in range(ROUNDS + 1))
    return 2 * there.nbytes / taken


def waited(device: Any, call: Callable[[], object]) -> float:
    """Return the seconds of a call, and of all that it starts on the device."""
    device.synchronize()
    began = time.perf_counter()
    call()
    device.synchronize()
    return time.perf_counter() - began


def median(device: Any, call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median seconds of some rounds; one before them is not counted, as it compiles."""
    waited(device, call)
    return statistics.median(waited(device, call) for _ in range(rounds))


def measure(benchmark: Any, device: Any, call: Callable[[], object], task: str, told: dict[str, Any]) -> float:
    """Have a call timed; returns the median in seconds, NaN where timing is switched off."""
    benchmark.group = task
    benchmark.extra_info.update(told)

    def whole() -> None:
        call()
        device.synchronize()

    benchmark.pedantic(whole, rounds=ROUNDS, warmup_rounds=1)
    return float(benchmark.stats.stats.median) if benchmark.stats else float("nan")


def note(benchmark: Any, **told: object) -> None:
    """Keep what was worked out of a figure beside it."""
    benchmark.extra_info.update(told)


def panel(bars: int, symbols: int) -> tu.Panel:
    """Return random walks."""
    random = np.random.default_rng(3)
    close = random.normal(0, 0.01, (bars, symbols)).cumsum(axis=0)
    np.exp(close, out=close)
    spread = 1 + 0.01 * random.random((bars, symbols))
    volume = 1e4 * random.random((bars, symbols))
    names = [f"S{number}/USDT" for number in range(symbols)]
    return tu.Panel(
        symbols=names, timeframe="1m", time=np.arange(bars) * 60_000,
        open=close, high=close * spread, low=close / spread, close=close, volume=volume,
    )  # fmt: skip


def symbols_that_fit(device: Any, bars: int, symbols: int, columns: int) -> int:
    """Return how many symbols of so many columns fill at most four fifths of the device's free memory."""
    return max(1, min(symbols, int(0.8 * device.free_bytes()) // (8 * bars * columns)))


def space(device: Any, specs: list[str], bars: int, symbols: int) -> dict[str, Any]:
    """Return an array on the device for each result, filled once: what is timed does not ask for memory."""
    one = compute(panel(200, 1), specs, backend="cpu")
    with device:
        return {key: device.xp.zeros((bars, symbols)) for key in one}


def test_fused_columns_against_memory(
    device: Any, copied: float, facts: dict[str, Any], benchmark: Any, say: Callable[[str], None]
) -> None:
    """Twenty columns of a resident panel in one pass: the bytes that must move, a second, against a copy's."""
    bars, symbols = SIZES.fused
    symbols = symbols_that_fit(device, bars, symbols, 5 + 20)
    resident = panel(bars, symbols).to_device()
    out = space(device, SPECS, bars, symbols)
    task = f"20 columns of {symbols:,} x {bars:,}, resident"
    taken = measure(
        benchmark, device, lambda: compute(resident, SPECS, backend="cuda", out=out), task, {"who": "cuda", **facts}
    )
    moved = 8 * bars * symbols * (len(READ) + len(out))
    rate = moved / taken
    note(
        benchmark, bytes_per_second=f"{rate:.3g}", copy=f"{copied:.3g}", share=f"{rate / copied:.0%}", aim=f"{AIM:.0%}"
    )
    say(f"{task}: {rate / 1e9:.0f} GB/s, a copy {copied / 1e9:.0f} GB/s: {rate / copied:.0%} (aim {AIM:.0%})")


@pytest.mark.parametrize("tail", [None, 1])
def test_sweep(
    tail: int | None, device: Any, facts: dict[str, Any], benchmark: Any, say: Callable[[str], None]
) -> None:
    """Fifty periods of RSI over a resident panel in one launch; all rows stored, or the last one."""
    bars, symbols = SIZES.sweep
    if tail is None:
        symbols = symbols_that_fit(device, bars, symbols, 5 + 50)
    whole = panel(bars, symbols)
    resident = whole.to_device()
    task = f"50 periods of RSI, {symbols:,} x {bars:,}, {'last bar' if tail else 'all stored'}"
    out = None if tail else space(device, [SWEEP], bars, symbols)
    taken = measure(
        benchmark,
        device,
        lambda: compute(resident, [SWEEP], backend="cuda", tail=tail, out=out),
        task,
        {"who": "cuda", **facts},
    )
    began = time.perf_counter()
    compute(whole, [SWEEP], backend="cpu", tail=1)
    by_cpu = time.perf_counter() - began
    note(benchmark, cpu_last_bar=f"{by_cpu * 1e3:.4g} ms")
    say(f"{task}: {taken * 1e3:.2f} ms; the CPU, all threads, last bar only, once: {by_cpu * 1e3:.0f} ms")


@pytest.mark.parametrize("way", ["up", "down", "up pinned", "down pinned"])
def test_transfer(way: str, device: Any, facts: dict[str, Any], benchmark: Any, say: Callable[[str], None]) -> None:
    """What a copy to and from the host takes, from memory of numpy's and from pinned memory."""
    items = SIZES.copied // 8
    host = device.pinned(items, np.float64) if "pinned" in way else np.empty(items)
    host[...] = 1.0
    there = device.upload(host)
    up = way.startswith("up")
    taken = measure(
        benchmark,
        device,
        lambda: device.upload(host, out=there) if up else device.download(there, out=host),
        f"{SIZES.copied / 2**20:,.0f} MiB {'to' if up else 'from'} the device",
        {"who": "pinned" if "pinned" in way else "pageable", **facts},
    )
    note(benchmark, bytes_per_second=f"{host.nbytes / taken:.3g}")
    say(f"transfer, {way}: {host.nbytes / taken / 1e9:.1f} GB/s")


@pytest.mark.parametrize("shape", SIZES.crossover, ids=lambda shape: f"{shape[1]} x {shape[0]}")
def test_crossover(
    shape: tuple[int, int], device: Any, facts: dict[str, Any], benchmark: Any, say: Callable[[str], None]
) -> None:
    """Twenty columns: the CPU on all threads; the device with data of the host, the last bar back, and resident."""
    bars, symbols = shape
    whole = panel(bars, symbols)
    resident = whole.to_device()
    task = f"20 columns of {symbols:,} x {bars:,}"
    from_host = measure(
        benchmark,
        device,
        lambda: compute(whole, SPECS, backend="cuda"),
        task,
        {"who": "cuda, from and to host", **facts},
    )
    others = {
        "cpu": median(device, lambda: compute(whole, SPECS, backend="cpu"), 3),
        "last bar to host": median(device, lambda: compute(whole, SPECS, backend="cuda", tail=1), 3),
        "resident": median(device, lambda: compute(resident, SPECS, backend="cuda"), 3),
    }
    note(benchmark, **{name: f"{taken * 1e3:.4g} ms" for name, taken in others.items()})
    listed = ", ".join(f"{name} {taken * 1e3:.3g}" for name, taken in others.items())
    say(f"{task}, ms: from and to host {from_host * 1e3:.3g}, {listed}")


def test_scan(device: Any, facts: dict[str, Any], benchmark: Any, say: Callable[[str], None]) -> None:
    """A running sum of few long series: a block for each, against a thread of the CPU's pool."""
    bars, symbols = SIZES.scan
    column = np.random.default_rng(3).random((bars, symbols))
    source = device.upload(column)
    with device:
        target = device.xp.zeros((1, bars, symbols))
    task = f"running sum of {symbols} x {bars:,}"
    taken = measure(
        benchmark,
        device,
        lambda: scan(device, "cumulative", [()], RESTART, [source], target),
        task,
        {"who": "cuda", **facts},
    )
    by_cpu = median(device, lambda: np.cumsum(column, axis=0), 3)
    note(benchmark, numpy=f"{by_cpu * 1e3:.4g} ms")
    say(f"{task}: {taken * 1e3:.3g} ms; numpy's cumsum {by_cpu * 1e3:.3g} ms")


@pytest.mark.parametrize("quotes", [1, 4])
def test_valuation(
    quotes: int, device: Any, copied: float, facts: dict[str, Any], benchmark: Any, say: Callable[[str], None]
) -> None:
    """All accounts, resident, with new prices: prices up, totals down, and amounts read once."""
    accounts, assets = SIZES.accounts
    random = np.random.default_rng(3)
    cells, prices = random.lognormal(0, 3, (accounts, assets)), random.lognormal(0, 3, (assets, quotes))
    columns, nothing = np.arange(assets), Balance(venue="made", account="made", time=0, assets={})
    rows = {f"u{at}": Row(nothing, columns, row, odd=False) for at, row in enumerate(cells)}
    held = Held(rows, [f"A{at}" for at in range(assets)], 1)
    resident = DeviceHoldings(lambda: held, device)
    first = waited(device, resident.update)
    taken = measure(
        benchmark,
        device,
        lambda: resident.value(prices),
        f"{accounts:,} accounts x {assets:,} assets in {quotes} quotes",
        {"who": "cuda, resident", **facts},
    )
    by_cpu = quotes * median(device, lambda: Filled(cells).product(prices[:, 0]), 3)
    rate = cells.nbytes / taken
    note(benchmark, bytes_per_second=f"{rate:.3g}", copy=f"{copied:.3g}", cpu=f"{by_cpu * 1e3:.4g} ms")
    say(
        f"{accounts:,} accounts x {assets:,} assets, {quotes} quotes: {taken * 1e3:.3g} ms, {rate / 1e9:.0f} GB/s of "
        f"amounts; the CPU, one thread, {by_cpu * 1e3:.3g} ms; the first upload {first * 1e3:.0f} ms"
    )
    expected = Filled(cells).product(prices[:, 0])
    np.testing.assert_allclose(resident.value(prices)[:, 0], expected, rtol=1e-12)
