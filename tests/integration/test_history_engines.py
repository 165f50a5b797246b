"""Other engines read the folder of a history without this library: DuckDB, Polars, pyarrow, pandas."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset
import pytest

from tradeutils.history import History
from tradeutils.model import Candles
from tradeutils.timeframe import parse

JANUARY = 1_704_067_200_000  # 2024-01-01
SYMBOLS = ("BTC/USDT", "ETH/USDT:USDT", "kPEPE/USDC:USDC", "../../x", "CON", "Ü/€", "1", "2024-01-01", "a=b&c d.")

Row: TypeAlias = "tuple[str, str, str, str, int, float, float]"
"""Exchange, market, timeframe, symbol, time in ms, close, volume."""


def candles_of(symbol: str, timeframe: str, bars: int, exchange: str = "binance") -> Candles:
    frame = parse(timeframe)
    opened = frame.range(JANUARY, frame.shift(JANUARY, bars))
    price = np.arange(bars) + 1.0
    volume = price.copy()
    volume[bars // 2] = np.nan
    return Candles(
        exchange=exchange, symbol=symbol, timeframe=timeframe, time=opened, open=price, high=price, low=price,
        close=price, volume=volume,
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Fill a history with names of all kinds, in months and years, and with all that lies beside the candles."""
    with History(tmp_path_factory.mktemp("engines") / "candles", min_free=0) as history:
        history.write(candles_of(symbol, "1h", 800) for symbol in SYMBOLS)
        history.write([candles_of("BTC/USDT", "1M", 15), candles_of("BTC/USDT", "1m", 60, exchange="okx")])
        history.asked("binance", "BTC/USDT", "1h", JANUARY, JANUARY + 5_000)
        off_grid = candles_of("BTC/USDT", "1h", 3)
        times = off_grid.time + 7
        history.write(
            Candles(
                exchange="binance", symbol="BTC/USDT", timeframe="1h", time=times, open=off_grid.open,
                high=off_grid.high, low=off_grid.low, close=off_grid.close, volume=off_grid.volume,
            )
        )  # fmt: skip
        history.seal()
        for folder in history.path.rglob("symbol=*"):
            (folder / f".2024-01.parquet.{os.getpid()}-7.tmp").write_bytes(b"what a killed writer left")
        yield history


def expected(history: History, **only: str) -> list[Row]:
    rows = []
    for key in history.series():
        candles = history.read(key.exchange, key.symbol, key.timeframe)
        if all(getattr(key, name) == value for name, value in only.items()):
            for time, close, volume in zip(candles.time, candles.close, candles.volume, strict=True):
                row = (key.exchange, key.market, key.timeframe, key.symbol, int(time), float(close), float(volume))
                rows.append(row)
    return rows


def same(found: list[Row], wanted: list[Row]) -> None:
    """Compare rows in any order; a volume that is not known is NaN, and no null."""
    assert None not in {row[-1] for row in found}
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))


def by_duckdb(path: pathlib.Path) -> list[Row]:
    return duckdb.execute(
        "SELECT exchange, market, timeframe, symbol, epoch_ms(time), close, volume "
        "FROM read_parquet(?, hive_partitioning = true, hive_types_autocast = false)",
        [str(path / "**" / "*.parquet")],
    ).fetchall()


def by_polars(path: pathlib.Path) -> list[Row]:
    frame = pl.scan_parquet(path / "**" / "*.parquet", hive_partitioning=True, try_parse_hive_dates=False)
    names = [pl.col(name).cast(pl.String) for name in ("exchange", "market", "timeframe", "symbol")]
    return frame.select(*names, pl.col("time").dt.epoch("ms"), "close", "volume").collect().rows()


def by_pyarrow(path: pathlib.Path) -> list[Row]:
    table = pyarrow.dataset.dataset(path, format="parquet", partitioning=_hive()).to_table()
    return _rows(table)


def by_pandas(path: pathlib.Path) -> list[Row]:
    frame = pd.read_parquet(path, partitioning=_hive())
    names = ["exchange", "market", "timeframe", "symbol", "time", "close", "volume"]
    return [
        (e, m, t, s, int(time.timestamp() * 1000), close, volume)
        for e, m, t, s, time, close, volume in frame[names].itertuples(index=False, name=None)
    ]


def _hive() -> Any:
    fields = [(name, pyarrow.string()) for name in ("exchange", "market", "timeframe", "symbol")]
    return pyarrow.dataset.partitioning(pyarrow.schema(fields), flavor="hive")


def _rows(table: Any) -> list[Row]:
    names = ("exchange", "market", "timeframe", "symbol", "time", "close", "volume")
    columns = [table.column(name) for name in names]
    columns[4] = columns[4].cast(pyarrow.int64())
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


ENGINES: list[Callable[[pathlib.Path], list[Row]]] = [by_duckdb, by_polars, by_pyarrow, by_pandas]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.__name__)
def test_engine_reads_every_candle_under_its_own_names(
    store: History, engine: Callable[[pathlib.Path], list[Row]]
) -> None:
    """Names are decoded, moments are in UTC, and no journal, note, lock or half file is taken for candles."""
    same(engine(store.path), expected(store))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.__name__)
def test_unsealed_candles_are_seen_after_seal(
    tmp_path: pathlib.Path, engine: Callable[[pathlib.Path], list[Row]]
) -> None:
    """What is in a journal is ours alone until then."""
    with History(tmp_path / "candles", min_free=0) as history:
        history.write(candles_of("BTC/USDT", "1h", 100))
        history.seal()
        sealed = expected(history)
        history.write(candles_of("BTC/USDT", "1h", 120))
        same(engine(history.path), sealed)
        history.seal()
        same(engine(history.path), expected(history))


def test_duckdb_reads_only_the_files_that_it_needs(store: History) -> None:
    """A symbol and a month are found by the names of folders and the statistics of files."""
    query = (
        "SELECT count(*), min(close), max(close) FROM read_parquet(?, hive_partitioning = true) WHERE timeframe = '1h' "
        "AND exchange = 'binance' AND symbol = 'BTC/USDT' AND time >= TIMESTAMPTZ '2024-02-01 00:00+00'"
    )
    glob = [str(store.path / "**" / "*.parquet")]
    assert duckdb.execute(query, glob).fetchall() == [(56, 745.0, 800.0)]
    plan = duckdb.execute(f"EXPLAIN ANALYZE {query}", glob).fetchall()[0][1]
    files = len(list(store.path.rglob("*.parquet")))
    assert f"2/{files}" in plan


def test_polars_makes_bars_of_bars(store: History) -> None:
    """The same days as `Candles.resample` makes."""
    frame = pl.scan_parquet(store.path / "exchange=binance/**/*.parquet", hive_partitioning=True)
    days = (
        frame.filter((pl.col("symbol") == "ETH/USDT:USDT") & (pl.col("timeframe") == "1h"))
        .sort("time")
        .group_by_dynamic("time", every="1d")
        .agg(pl.col("high").max(), pl.col("low").min(), pl.col("close").last())
        .collect()
    )
    ours = store.read("binance", "ETH/USDT:USDT", "1h").resample("1d")
    assert days["time"].dt.epoch("ms").to_list() == ours.time.tolist()
    for name in ("high", "low", "close"):
        assert days[name].to_list() == getattr(ours, name).tolist()
