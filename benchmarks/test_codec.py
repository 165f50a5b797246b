"""
The codec against orjson alone, pickle (protocol 5) and Arrow IPC, in the same run on the same values.

None of them is a like: orjson keeps JSON alone (and drops NaN), pickle executes what it reads, Arrow reads frames
alone, and none has a checksum. They show what the guarantees cost. Medians on one core; the ratios are printed at
the end.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest

from tradeutils import codec
from tradeutils.model import AssetBalance, Balance, Candles, Market, Panel, Ticker

FIELDS = ("open", "high", "low", "close", "volume")
RANDOM = np.random.default_rng(1)
_Medians = dict[tuple[str, str, str], float]

pytestmark = pytest.mark.usefixtures("one_core")


def _ticker(i: int, known: bool) -> dict[str, Any]:
    """Return a ticker as ccxt has it, 20 fields; half of the venues leave some of them out."""
    price = float(RANDOM.uniform(1, 1e5))
    fields = (
        "high",
        "low",
        "bid",
        "ask",
        "vwap",
        "open",
        "close",
        "last",
        "change",
        "average",
        "baseVolume",
        "quoteVolume",
    )
    some = {name: price * (1 + n / 100) for n, name in enumerate(fields)}
    others = ("bidVolume", "askVolume", "previousClose", "markPrice", "indexPrice")
    return {
        "symbol": f"S{i}/USDT",
        "timestamp": 1_704_067_200_000 + i,
        "datetime": "2024-01-01T00:00:00.000Z",
        **some,
        **dict.fromkeys(others, price if known else None),
    }


def _values() -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Return what is encoded, and which peers can."""
    time = 1_704_067_200_000 + 60_000 * np.arange(1000)
    candles = Candles(
        exchange="binance", symbol="BTC/USDT", timeframe="1m", time=time, **{n: RANDOM.random(1000) for n in FIELDS}
    )
    panel = Panel(
        symbols=[f"S{i}/USDT" for i in range(500)],  # type: ignore[arg-type]
        timeframe="1m",
        time=time,
        **{name: RANDOM.random((1000, 500)) for name in FIELDS},
    )
    tickers = {
        f"S{i}/USDT": Ticker(symbol=f"S{i}/USDT", time=i, **dict.fromkeys(("last", "bid", "ask"), i / 7))
        for i in range(1000)
    }
    steps: Any = dict.fromkeys(("amount_step", "price_step", "min_amount", "maker", "taker"), Decimal("0.00010"))
    markets = {f"S{i}": Market(symbol=f"S{i}", id=f"s{i}", base="S", quote="U", **steps) for i in range(2000)}
    held = {f"A{i}": AssetBalance(free=Decimal(i) / 8, total=Decimal(i) / 8) for i in range(300)}
    known = {f"S{i}/USDT": _ticker(i, known=True) for i in range(2000)}
    sparse = {f"S{i}/USDT": _ticker(i, known=False) for i in range(2000)}
    frame = candles.to_frame()
    arrow, plain = ("pickle", "Arrow IPC"), ("orjson", "pickle")
    return {
        "2000 tickers as JSON": (known, plain),
        "2000 tickers as JSON, nulls among them": (sparse, plain),
        "1 ticker as JSON": (known["S1/USDT"], plain),
        "100 characters": ("x" * 100, plain),
        "1000 Ticker": (tickers, ("pickle",)),
        "2000 Market": (markets, ("pickle",)),
        "Balance of 300 assets": (Balance(venue="a", account="b", time=1, assets=held), ("pickle",)),
        "300 Decimal": ({name: one.total for name, one in held.items()}, ("pickle",)),
        "Candles of 1000 bars": (candles, ("pickle",)),
        "Panel of 1000 x 500": (panel, ("pickle",)),
        "array of 6 x 1000": (RANDOM.random((6, 1000)), ("pickle",)),
        "DataFrame of 1000 x 5, one dtype": (frame[list(FIELDS)].copy(), arrow),
        "DataFrame of 1000 x 6, two dtypes": (frame, arrow),
        "DataFrame of 1000 x 500": (panel.to_frame(), arrow),
    }


def _arrow_dumps(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _arrow_loads(data: bytes) -> pd.DataFrame:
    with pa.ipc.open_stream(data) as reader:
        return reader.read_pandas()


PEERS: dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "tradeutils": (codec.dumps, codec.loads),
    "orjson": (orjson.dumps, orjson.loads),
    "pickle": (lambda value: pickle.dumps(value, 5), pickle.loads),  # a peer; our own bytes
    "Arrow IPC": (_arrow_dumps, _arrow_loads),
}
VALUES = _values()
TASKS = [
    (name, who, way)
    for name, (_, peers) in VALUES.items()
    for way in ("encode", "decode")
    for who in ("tradeutils", *peers)
]


@pytest.fixture(scope="module", name="medians")
def _medians(say: Callable[[str], None]) -> Iterator[_Medians]:
    """Collect the medians of a run in seconds; print the ratios when it is over, captured or not."""
    medians: _Medians = {}
    yield medians
    say("microseconds to encode + decode; peers as multiples of ours:")
    for name, (_, peers) in VALUES.items():
        both = {who: [medians.get((name, who, way)) for way in ("encode", "decode")] for who in ("tradeutils", *peers)}
        if any(None in pair for pair in both.values()):
            continue
        ours = both.pop("tradeutils")
        times = ", ".join(
            f"{who} {pair[0] / ours[0]:.2f} + {pair[1] / ours[1]:.2f} (both {sum(pair) / sum(ours):.2f})"
            for who, pair in both.items()
        )
        say(f"  {name:40s} {ours[0] * 1e6:8.1f} + {ours[1] * 1e6:8.1f}: {times}")


@pytest.mark.parametrize(("name", "who", "way"), TASKS, ids=lambda part: part.replace(" ", "-"))
def test_codec(benchmark: Any, medians: _Medians, name: str, who: str, way: str) -> None:
    """Encode or decode one value."""
    dumps, loads = PEERS[who]
    value = VALUES[name][0]
    data = dumps(value)
    benchmark.group = f"{name}, {way}"
    benchmark.extra_info.update(who=who, bytes=len(data))
    if way == "encode":
        benchmark(dumps, value)
    else:
        benchmark(loads, data)
    if benchmark.stats:  # none where benchmarks are disabled
        medians[name, who, way] = benchmark.stats.stats.median
