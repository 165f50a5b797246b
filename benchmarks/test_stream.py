"""
Live markets: one bar of all symbols, against TA-Lib's streaming handles in the same run.

A TA-Lib handle is of one symbol and one indicator, and takes and gives single numbers, so a panel needs a Python call
for each; the numbers are put into lists beforehand and the results are dropped. Ours takes arrays (S,) and returns a
dict of arrays. Of a live feed the columns were just written; from far memory, they are rows of a panel that no cache
holds, and the caller keeps copies of all values. One core, medians of some hundred bars; the ratio is printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from talib import stream as talib_stream

from tradeutils import codec
from tradeutils.indicators import Stream, compute
from tradeutils.model import Panel

SIX = ["sma:20", "ema:20", "rsi:14", "atr:14", "bbands:20,2", "macd:12,26,9"]
TWENTY = [
    *SIX, "adx:14", "stoch:14,3,3", "cci:20", "obv", "mfi:14", "rolling_max:20", "donchian:20", "wma:20",
    "supertrend:10,3", "vwap", "willr:14", "roc:10", "natr:14", "ema:50",
]  # fmt: skip
SHAPES = {"512 symbols x 6 indicators": (512, SIX), "5,000 symbols x 20 indicators": (5000, TWENTY)}
SMALL = next(iter(SHAPES))
WARM, BARS = 100, 400
START, MINUTE = 1_700_000_040_000, 60_000
FIELDS = ("open", "high", "low", "close", "volume")
each_shape = pytest.mark.parametrize("shape", SHAPES)

pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture(scope="module", name="medians")
def _medians(say: Callable[[str], None]) -> Iterator[dict[str, float]]:
    """Collect medians in seconds; print how they stand to TA-Lib's when all is over."""
    medians: dict[str, float] = {}
    yield medians
    if not medians.get("TA-Lib") or not medians.get(SMALL):
        return
    ours, theirs = medians[SMALL], medians["TA-Lib"]
    say(f"{SMALL}: {ours * 1e6:.1f} us a bar, TA-Lib's handles {theirs * 1e6:.0f} us: {theirs / ours:.0f}x")


def panel(shape: str) -> Panel:
    """Return bars of a random walk."""
    symbols, _ = SHAPES[shape]
    random = np.random.default_rng(5)
    close = 100 * np.exp(random.normal(0, 0.01, (WARM + BARS, symbols)).cumsum(axis=0))
    return Panel(
        symbols=tuple(f"S{number}/USDT" for number in range(symbols)),
        timeframe="1m",
        time=START + MINUTE * np.arange(WARM + BARS),
        open=close,
        high=close * 1.01,
        low=close * 0.99,
        close=close,
        volume=random.random(close.shape),
    )


def bars_of(whole: Panel) -> list[dict[str, Any]]:
    """Return the rows of a panel, as a feed delivers them."""
    return [
        {"time": int(whole.time[row]), **{field: np.array(getattr(whole, field)[row]) for field in FIELDS}}
        for row in range(len(whole))
    ]


def warmed(shape: str, whole: Panel, **options: Any) -> Stream:
    """Return a stream that has seen the first bars."""
    stream = Stream(SHAPES[shape][1], whole.symbols, whole.timeframe, **options)
    stream.warm(whole[:WARM])
    return stream


def each(benchmark: Any, who: str, group: str, call: Callable[..., object], arguments: Iterator[Any]) -> float:
    """Have each call with the next argument be a round of its own; return the median in seconds."""
    benchmark.group, benchmark.extra_info["who"] = group, who
    benchmark.pedantic(call, setup=lambda: ((next(arguments),), {}), rounds=BARS - 1)
    return float(benchmark.stats.stats.median) if benchmark.stats else 0.0


@each_shape
def test_update(shape: str, benchmark: Any, medians: dict[str, float]) -> None:
    """A bar whose columns were just made; the values are those of the batch."""
    whole = panel(shape)
    stream, want = warmed(shape, whole), compute(whole, SHAPES[shape][1])
    row = WARM

    def bars() -> Iterator[dict[str, Any]]:
        nonlocal row
        for row in range(WARM, len(whole)):
            yield {
                "time": int(whole.time[row]),
                **{field: np.array(getattr(whole, field)[row]) for field in FIELDS},
            }

    medians[shape] = each(benchmark, "tradeutils", f"a bar of {shape}", stream.update, bars())
    for key, value in stream.values().items():
        np.testing.assert_array_equal(value, want[key][row])


@each_shape
def test_update_from_far_memory(shape: str, benchmark: Any) -> None:
    """Rows of a panel that no cache holds, fed by a caller who keeps a copy of every value."""
    whole = panel(shape)
    stream, kept = warmed(shape, whole), []

    def bars() -> Iterator[dict[str, Any]]:
        for bar in bars_of(whole)[WARM:]:
            kept.append({key: value.copy() for key, value in stream.values().items()})
            yield bar

    each(benchmark, "tradeutils, memory far away", f"a bar of {shape}", stream.update, bars())


def test_talib_handles(benchmark: Any, medians: dict[str, float]) -> None:
    """The peer: a handle for each symbol and indicator, a call each."""
    whole = panel(SMALL)
    columns = [np.ascontiguousarray(getattr(whole, field)[:WARM].T) for field in ("high", "low", "close")]
    handles = [
        (
            talib_stream.SMA(close, 20),
            talib_stream.EMA(close, 20),
            talib_stream.RSI(close, 14),
            talib_stream.ATR(high, low, close, 14),
            talib_stream.BBANDS(close, 20),
            talib_stream.MACD(close),
        )
        for high, low, close in zip(*columns, strict=True)
    ]

    def update(bars: list[tuple[float, float, float]]) -> None:
        for (sma, ema, rsi, atr, bbands, macd), (high, low, close) in zip(handles, bars, strict=True):
            sma.update(close)
            ema.update(close)
            rsi.update(close)
            atr.update(high, low, close)
            bbands.update(close)
            macd.update(close)

    rows = (
        list(zip(*(getattr(whole, field)[row].tolist() for field in ("high", "low", "close")), strict=True))
        for row in range(WARM, len(whole))
    )
    medians["TA-Lib"] = each(benchmark, "TA-Lib's streaming handles", f"a bar of {SMALL}", update, rows)


@each_shape
def test_peek(shape: str, benchmark: Any) -> None:
    """A forming bar: an update of a copy of the state."""
    whole = panel(shape)
    stream = warmed(shape, whole)
    bar = bars_of(whole)[WARM]
    each(benchmark, "tradeutils", f"peek at a bar of {shape}", stream.peek, iter([bar] * BARS))


@each_shape
def test_correction(shape: str, benchmark: Any) -> None:
    """A bar that could be corrected, and one corrected 4 bars later."""
    whole = panel(shape)
    stream = warmed(shape, whole, late="replay")
    bars = bars_of(whole)[WARM:]
    for number, bar in enumerate(bars[:40]):
        began = time.perf_counter()
        stream.update(bar)
        if number == 20:
            benchmark.extra_info["a bar that may be corrected"] = f"{(time.perf_counter() - began) * 1e6:.1f} µs"
    benchmark.group, benchmark.extra_info["who"] = f"correct a bar of {shape}", "tradeutils"
    benchmark.pedantic(stream.update, args=(bars[35],), rounds=50)


@each_shape
def test_snapshot_and_restore(shape: str, benchmark: Any) -> None:
    """To bytes, and back to a stream that goes on."""
    stream = warmed(shape, panel(shape))
    data = codec.dumps(stream.snapshot())
    benchmark.group, benchmark.extra_info["who"] = f"snapshot to bytes and restore {shape}", "tradeutils"
    benchmark.extra_info["size"] = f"{len(data) / 1e6:.1f} MB"
    benchmark.pedantic(lambda: Stream.restore(codec.dumps(stream.snapshot())), rounds=20, warmup_rounds=1)


@each_shape
def test_warm(shape: str, benchmark: Any) -> None:
    """From history, a new stream each time."""
    whole = panel(shape)
    benchmark.group, benchmark.extra_info["who"] = f"warm {shape} with {len(whole)} bars", "tradeutils"
    benchmark.pedantic(
        lambda: Stream(SHAPES[shape][1], whole.symbols, whole.timeframe).warm(whole), rounds=5, warmup_rounds=1
    )
