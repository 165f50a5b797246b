"""
Candles on disk: 20 symbols, a year of minutes each, ours and others' in one run.

The bars are real ones of BTC, repeated with their times moved on, each symbol from another place on and with its prices
scaled to the price and the tick of another coin. What is written is on the disk when the clock stops, with us and where
the other promises it. DuckDB and Polars read our files, which are sealed for them.

``TRADEUTILS_BENCH_SYMBOLS`` asks for fewer symbols.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tradeutils as tu
from tradeutils.history import History

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import history_peers as peers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ArcticDB asks pandas 3 for what it warns of

ROOT = pathlib.Path(__file__).resolve().parents[1]
SYMBOLS = [f"COIN{number}/USDT" for number in range(int(os.environ.get("TRADEUTILS_BENCH_SYMBOLS", "20")))]
MINUTE, DAY = 60_000, 86_400_000
T0 = 1_704_067_200_000  # 2024-01-01
BARS = 525_600
SINCE = T0 + 160 * DAY + 7 * 3_600_000  # 30 days that begin and end within a month
UNTIL = SINCE + 30 * DAY
# Price and decimals of 20 coins, of the order that Binance listed in January 2024; the first is the recording's own.
COINS = (
    *((42_314.0, 1), (2_283.0, 2), (313.0, 1), (101.5, 2), (0.616, 4), (0.594, 4), (0.0895, 5), (38.5, 2), (8.2, 3)),
    *((14.95, 3), (72.8, 2), (260.0, 1), (10.6, 3), (0.135, 4), (0.00001033, 8), (2.95, 3), (9.8, 3), (7.1, 3)),
    *((1.37, 4), (21.9, 2)),
)
OURS, HOT = "tradeutils", "tradeutils, hot"
WRITERS = [OURS, "freqtrade's feather calls", "freqtrade's parquet calls", "ArcticDB"]
READERS = [*WRITERS, "Polars", "DuckDB"]
PANELS = {
    **dict.fromkeys([*READERS, HOT], "panel"),
    "Polars, a query a symbol": "panel_by_symbol",
    "Polars, its pivot": "panel_by_pivot",
    "DuckDB, a query a symbol": "panel_by_symbol",
}

# Task: the most ms it may take, and how many times as long others must take at least.
TARGETS: dict[str, tuple[float, dict[str, float]]] = {
    "1 candle": (0.3, {}),
    "upsert of 500": (1.0, {}),
    "a day": (12.0, {}),
    "newest 500": (2.5, {}),
    "panel of 30 days": (
        60.0,
        {"Polars": 2.0, "DuckDB": 4.0, "freqtrade's feather calls": 10.0, "freqtrade's parquet calls": 10.0},
    ),
}
FEW = 3  # rounds of what takes a peer most of a second


@pytest.fixture(scope="module")
def bars() -> dict[str, np.ndarray[Any, Any]]:
    """Real minutes of BTC."""
    named = os.environ.get("TRADEUTILS_DATA")
    folder = pathlib.Path(named) if named else ROOT.parent / "shared" / "data"
    path = folder / "qubx_gpl3" / "BTCUSDT.1min.csv.gz"
    if not path.exists():
        pytest.skip("no recordings: neither TRADEUTILS_DATA nor ../shared/data has qubx_gpl3/BTCUSDT.1min.csv.gz")
    frame = pd.read_csv(path)
    return {name: frame[name].to_numpy(dtype=float) for name in peers.FIELDS}


def frame_of(bars: dict[str, np.ndarray[Any, Any]], symbol: str, first: int, count: int) -> pd.DataFrame:
    """Return bars of a symbol, as a frame with a column of dates."""
    number = SYMBOLS.index(symbol) if symbol in SYMBOLS else int(symbol[4:].partition("/")[0])
    place = (np.arange(first, first + count) + 3_001 * number) % len(bars["close"])
    price, decimals = COINS[number % len(COINS)]
    scale = price / COINS[0][0]
    dates = pd.to_datetime(T0 + MINUTE * np.arange(first, first + count), unit="ms", utc=True)
    columns = {name: np.round(bars[name][place] * scale, decimals) for name in peers.FIELDS[:4]}
    return pd.DataFrame({"date": dates, **columns, "volume": bars["volume"][place]})


def candles_of(symbol: str, frame: pd.DataFrame) -> tu.Candles:
    """Return the same as ours."""
    numbers = {name: frame[name].to_numpy() for name in peers.FIELDS}
    opens = frame["date"].dt.as_unit("ms").astype("int64").to_numpy()
    return tu.Candles(exchange="binance", symbol=symbol, timeframe="1m", time=opens, **numbers)


class Ours:
    """A history, asked as the others are."""

    def __init__(self, root: pathlib.Path, hot: bool = False) -> None:
        self.history = History(root, hot=hot)

    def write(self, symbol: str, candles: tu.Candles) -> None:
        self.history.write(candles)

    def load(self, symbol: str, since: int, until: int) -> tu.Candles:
        return self.history.read("binance", symbol, "1m", since, until)

    def last(self, symbol: str, count: int) -> tu.Candles:
        return self.history.read("binance", symbol, "1m", limit=count)

    def panel(self, symbols: list[str], since: int, until: int) -> list[Any]:
        panel = self.history.panel("binance", symbols, "1m", since, until)
        return [getattr(panel, name) for name in peers.FIELDS]


Stores = dict[str, Any]
Figures = dict[tuple[str, str], float]


@pytest.fixture(scope="module")
def stores(bars: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """All of them, filled."""
    root = tmp_path_factory.mktemp("candles")
    folders = {who: root / str(number) for number, who in enumerate(WRITERS)}
    for folder in folders.values():
        folder.mkdir()
    found: Stores = {
        OURS: Ours(folders[OURS]),
        "freqtrade's feather calls": peers.Freqtrade(folders[WRITERS[1]], "feather"),
        "freqtrade's parquet calls": peers.Freqtrade(folders[WRITERS[2]], "parquet"),
        "ArcticDB": peers.Arctic(folders["ArcticDB"]),
    }
    for symbol in SYMBOLS:
        frame = frame_of(bars, symbol, 0, BARS)
        found[OURS].write(symbol, candles_of(symbol, frame))
        for who in WRITERS[1:]:
            found[who].fill(symbol, frame)
    found[HOT] = Ours(folders[OURS], hot=True)
    found["Polars"] = peers.Polars(folders[OURS])
    found["DuckDB"] = peers.Duck(folders[OURS])
    yield found
    found[OURS].history.close()
    found[HOT].history.close()


@pytest.fixture(scope="module")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """Medians in ms by task and who; what was promised is printed at the end, with what came of it."""
    found: Figures = {}
    yield found
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n")
        for task, (most, others) in TARGETS.items():
            ours = found.get((task, OURS))
            if ours is None:
                continue
            print(f"{task}: {ours:.3g} ms, {said(ours <= most)} (at most {most:g} ms)")
            for who, least in others.items():
                if (task, who) in found:
                    ratio = found[task, who] / ours
                    print(f"{task}: {who} takes {ratio:.3g} times as long, {said(ratio >= least)} (at least {least:g})")
                    cpu, hot = (found.get(key, np.nan) for key in ((f"{task}, CPU", OURS), (task, HOT)))
                    print(
                        f"    of CPU {found[f'{task}, CPU', who] / cpu:.3g}, of ours hot {found[task, who] / hot:.3g}"
                    )


def said(held: bool) -> str:
    """Return whether a promise was kept."""
    return "held" if held else "NOT HELD"


def measured(
    benchmark: Any,
    figures: Figures,
    task: str,
    who: str,
    work: Callable[..., Any],
    *,
    rounds: int,
    given: Callable[[], Any] | None = None,
    **more: Any,
) -> None:
    """
    Measure, and keep the median with its task and who did it; what ``given`` makes for a round is not timed.

    The CPU that all threads took is kept too: it does not depend on what else the machine does.
    """
    benchmark.group = task
    benchmark.extra_info.update({"who": who, **more})
    setup = None if given is None else lambda: ((given(),), {})
    used: list[float] = []

    def counted(*args: Any) -> None:
        began = time.process_time()
        work(*args)
        used.append(time.process_time() - began)

    benchmark.pedantic(counted, setup=setup, rounds=rounds, warmup_rounds=1)
    stats = benchmark.stats.stats
    benchmark.extra_info["CPU"] = f"{1000 * statistics.median(used):.3g} ms"
    figures[f"{task}, CPU", who] = 1000 * statistics.median(used)
    figures[task, who] = 1000 * stats.median
    if task in TARGETS and who == OURS:
        benchmark.extra_info["mean"] = f"{1000 * stats.mean:.3g} ms"
        benchmark.extra_info["bound"] = f"{TARGETS[task][0]:g} ms"


def rounds_of(who: str, rounds: int) -> int:
    """Return fewer rounds for those who rewrite a whole file."""
    return FEW if who.startswith("freqtrade") else rounds


# What is written: each round the bars that follow those of the round before, of the first symbol.


def written(who: str, bars: dict[str, Any], first: int, count: int, *, raised: float = 1.0) -> Any:
    """Return bars of the first symbol as they are given to a store."""
    frame = frame_of(bars, SYMBOLS[0], first, count)
    frame[list(peers.FIELDS[:4])] *= raised
    return candles_of(SYMBOLS[0], frame) if who == OURS else frame


ENDS: dict[str, itertools.count[int]] = {}


def next_bar(who: str, step: int) -> int:
    """Return where the next bars of a store begin."""
    place = ENDS.setdefault(who, itertools.count(BARS))
    first = next(place)
    ENDS[who] = itertools.count(first + step)
    return first


@pytest.mark.parametrize("who", WRITERS)
def test_one_candle(benchmark: Any, figures: Figures, stores: Stores, bars: dict[str, Any], who: str) -> None:
    """A minute that is over."""
    measured(
        benchmark,
        figures,
        "1 candle",
        who,
        lambda given: stores[who].write(SYMBOLS[0], given),
        rounds=rounds_of(who, 200),
        given=lambda: written(who, bars, next_bar(who, 1), 1),
    )


@pytest.mark.parametrize("who", WRITERS)
def test_upsert(benchmark: Any, figures: Figures, stores: Stores, bars: dict[str, Any], who: str) -> None:
    """The newest 500, all of them with other prices."""
    raised = itertools.count(1)
    first = next_bar(who, 0) - 500
    measured(
        benchmark,
        figures,
        "upsert of 500",
        who,
        lambda given: stores[who].write(SYMBOLS[0], given),
        rounds=rounds_of(who, 50),
        given=lambda: written(who, bars, first, 500, raised=1 + next(raised) / 1000),
    )


@pytest.mark.parametrize("who", WRITERS)
def test_a_day(benchmark: Any, figures: Figures, stores: Stores, bars: dict[str, Any], who: str) -> None:
    """The 1440 minutes that follow."""
    measured(
        benchmark,
        figures,
        "a day",
        who,
        lambda given: stores[who].write(SYMBOLS[0], given),
        rounds=rounds_of(who, 12),
        given=lambda: written(who, bars, next_bar(who, 1_440), 1_440),
    )


@pytest.mark.parametrize("who", WRITERS)
def test_last_beside_a_writer(benchmark: Any, figures: Figures, stores: Stores, who: str) -> None:
    """The newest 500 of the symbol that was just written to."""
    measured(
        benchmark,
        figures,
        "newest 500",
        who,
        lambda: stores[who].last(SYMBOLS[0], 500),
        rounds=rounds_of(who, 50),
    )


# What is read, of files that are packed as they are once they no longer grow.


@pytest.fixture(scope="module")
def packed(stores: Stores) -> Stores:
    """The same, ours sealed and compacted."""
    report = stores[OURS].history.compact()
    assert not report.skipped
    return stores


def test_bytes_of_a_candle(benchmark: Any, packed: Stores, bars: dict[str, Any], capsys: Any) -> None:
    """What a candle takes on the disk; the time is that of packing a month of one symbol as small as can be."""
    from tradeutils.history.store.partitions import write_partition
    from tradeutils.history.store.rows import Rows

    history = packed[OURS].history
    files = list(history.path.rglob("*.parquet"))
    rows = sum(len(history.read("binance", symbol, "1m")) for symbol in SYMBOLS)
    figures = {OURS: sum(path.stat().st_size for path in files) / rows}
    figures |= {who: packed[who].bytes() / rows for who in WRITERS[1:]}
    month = candles_of(SYMBOLS[0], frame_of(bars, SYMBOLS[0], 0, 44_640))
    path = history.path.parent / "month.parquet"
    benchmark.group = "packing a month"
    benchmark.pedantic(lambda: write_partition(path, Rows.of(month), dense=True), rounds=3)
    told = {f"bytes a candle, {who}": f"{size:.1f}" for who, size in figures.items()}
    benchmark.extra_info.update({"who": OURS, **told})
    with capsys.disabled():
        print(f"\n{told}, {said(figures[OURS] <= 13)} (at most 13)")


@pytest.mark.parametrize("who", READERS)
def test_newest(benchmark: Any, figures: Figures, packed: Stores, who: str) -> None:
    """The newest 500 of each symbol, one after the other."""
    task = f"newest 500 of {len(SYMBOLS)} symbols in turn"
    asked = [symbol for symbol in SYMBOLS if symbol != SYMBOLS[0]]
    measured(
        benchmark,
        figures,
        task,
        who,
        lambda: [packed[who].last(symbol, 500) for symbol in asked],
        rounds=rounds_of(who, 10),
    )


@pytest.mark.parametrize("who", READERS)
def test_read(benchmark: Any, figures: Figures, packed: Stores, who: str) -> None:
    """30 days of minutes of one symbol."""
    measured(
        benchmark,
        figures,
        "30 days of one symbol",
        who,
        lambda: packed[who].load(SYMBOLS[-1], SINCE, UNTIL),
        rounds=rounds_of(who, 25),
    )


@pytest.fixture(scope="module")
def truth(bars: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
    """The closes of the panel."""
    first = (SINCE - T0) // MINUTE
    closes = [frame_of(bars, symbol, first, 43_200)["close"].to_numpy() for symbol in SYMBOLS]
    return [np.column_stack(closes)]


@pytest.mark.parametrize("who", PANELS)
def test_panel(benchmark: Any, figures: Figures, packed: Stores, truth: list[Any], who: str) -> None:
    """30 days of minutes of all symbols as five arrays (T, S), from the files of months that are over."""
    store = packed[who] if who in packed else packed[who.partition(",")[0]]
    make = getattr(store, PANELS[who])
    made = make(SYMBOLS, SINCE, UNTIL)
    assert np.array_equal(made[3], truth[0])
    assert made[0].shape == (43_200, len(SYMBOLS))
    measured(
        benchmark,
        figures,
        "panel of 30 days",
        who,
        lambda: make(SYMBOLS, SINCE, UNTIL),
        rounds=rounds_of(who, 15),
    )


MANY, MINUTES = 500, 20


def test_many_symbols_every_minute(benchmark: Any, bars: dict[str, Any], tmp_path: pathlib.Path, capsys: Any) -> None:
    """A candle of each of 500 symbols a minute: what it takes, with the share of sealing that falls on a minute."""
    names = [f"COIN{number}/USDT" for number in range(MANY)]
    with History(tmp_path / "many") as history:
        for name in names:  # a month, half over
            history.write(candles_of(name, frame_of(bars, name, 0, 20_000)))
        minute = itertools.count(20_000)

        def due() -> list[tu.Candles]:
            first = next(minute)
            return [candles_of(name, frame_of(bars, name, first, 1)) for name in names]

        benchmark.group = f"{MANY} symbols, a candle each"
        benchmark.pedantic(history.write, setup=lambda: ((due(),), {}), rounds=MINUTES, warmup_rounds=1)
    seal = statistics.median(sealed_in(bars, tmp_path, names[number]) for number in range(9))
    amortised = MANY * seal / 3_584  # a journal is sealed when it has 3072 to 4096 rows
    work = benchmark.stats.stats.median + amortised
    told = {"seals a minute": f"{amortised:.3f} s", "together": f"{work:.3f} s", "bound": "0.15 s"}
    benchmark.extra_info.update({"who": OURS, **told})
    with capsys.disabled():
        print(f"\n{MANY} symbols every minute: {told}, {said(work < 0.15)}")


def sealed_in(bars: dict[str, Any], folder: pathlib.Path, name: str) -> float:
    """Return the seconds that sealing 3,584 candles into half a month takes."""
    with History(folder / "seals", seal_rows=20_000) as history:
        history.write(candles_of(name, frame_of(bars, name, 0, 20_001)))
        history.write(candles_of(name, frame_of(bars, name, 20_001, 3_584)))
        began = time.perf_counter()
        history.seal()
        return time.perf_counter() - began
