"""
Candles on disk as others keep them: what a bot would write with freqtrade's calls, ArcticDB, and DuckDB and Polars over
our files.

Each holds the same symbols. Engines take longest for a pivot of their own, so their panels are put together with numpy,
after one query over all symbols, and after one a symbol; the pivot of Polars is there to compare.
"""

from __future__ import annotations

import pathlib
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl

FIELDS = ("open", "high", "low", "close", "volume")
MINUTE = 60_000
Arrays = list[np.ndarray[Any, Any]]


class Freqtrade:
    """
    A file a pair, as freqtrade's data handlers write them: new rows are put behind all that is there, rows of one time
    made one, and the file is written anew.
    """

    def __init__(self, folder: pathlib.Path, kind: str) -> None:
        self._folder, self._kind = folder, kind

    def _path(self, symbol: str) -> pathlib.Path:
        return self._folder / f"{symbol.replace('/', '_')}-1m.{self._kind}"

    def _store(self, symbol: str, frame: pd.DataFrame) -> None:
        path, columns = self._path(symbol), ["date", *FIELDS]
        if self._kind == "feather":
            frame.reset_index(drop=True).loc[:, columns].to_feather(path, compression_level=9, compression="lz4")
        else:
            frame.reset_index(drop=True).loc[:, columns].to_parquet(path)

    def load(self, symbol: str, since: int | None = None, until: int | None = None) -> pd.DataFrame:
        """Read a file, and cut it to a range."""
        path = self._path(symbol)
        frame = pd.read_feather(path) if self._kind == "feather" else pd.read_parquet(path)
        frame.columns = pd.Index(["date", *FIELDS])
        frame = frame.astype(dict.fromkeys(FIELDS, "float"))
        frame["date"] = pd.to_datetime(frame["date"], unit="ms", utc=True)
        if since is not None:
            frame = frame.loc[frame["date"] >= moment(since), :]
        if until is not None:
            frame = frame.loc[frame["date"] < moment(until), :]
        return frame

    def fill(self, symbol: str, frame: pd.DataFrame) -> None:
        self._store(symbol, frame)

    def write(self, symbol: str, frame: pd.DataFrame) -> None:
        both = pd.concat([self.load(symbol), frame], axis=0)
        kept = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "max"}
        self._store(symbol, both.groupby(by="date", as_index=False, sort=True).agg(kept))

    def last(self, symbol: str, count: int) -> pd.DataFrame:
        return self.load(symbol).tail(count)

    def panel(self, symbols: list[str], since: int, until: int) -> Arrays:
        frames = [self.load(symbol, since, until).set_index("date") for symbol in symbols]
        joined = pd.concat(frames, axis=1, keys=symbols).swaplevel(axis=1)
        return [joined[name].to_numpy() for name in FIELDS]

    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self._folder.iterdir())


class Arctic:
    """ArcticDB in LMDB, a frame a symbol."""

    def __init__(self, folder: pathlib.Path) -> None:
        import arcticdb  # loads slowly, and may be absent

        self._folder = folder
        self._library = arcticdb.Arctic(f"lmdb://{folder}?map_size=16GB").create_library("candles")

    def fill(self, symbol: str, frame: pd.DataFrame) -> None:
        self._library.write(symbol, frame.set_index("date"))

    def write(self, symbol: str, frame: pd.DataFrame) -> None:
        self._library.update(symbol, frame.set_index("date"), prune_previous_versions=True)

    def load(self, symbol: str, since: int, until: int) -> pd.DataFrame:
        found: pd.DataFrame = self._library.read(symbol, date_range=(moment(since), moment(until - 1))).data
        return found

    def last(self, symbol: str, count: int) -> pd.DataFrame:
        found: pd.DataFrame = self._library.tail(symbol, count).data
        return found

    def panel(self, symbols: list[str], since: int, until: int) -> Arrays:
        made = _empty(since, until, len(symbols))
        for column, symbol in enumerate(symbols):
            frame = self.load(symbol, since, until)
            rows = (frame.index.as_unit("ms").asi8 - since) // MINUTE
            for values, name in zip(made, FIELDS, strict=True):
                values[rows, column] = frame[name].to_numpy()
        return made

    def bytes(self) -> int:
        return sum(path.stat().st_blocks * 512 for path in self._folder.rglob("*") if path.is_file())


class Polars:
    """Polars over our Parquet files; it is told which months to open."""

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root

    def _scan(self, files: list[str], since: int, until: int) -> pl.LazyFrame:
        lazy = pl.scan_parquet(files, hive_partitioning=True)
        return lazy.filter((pl.col("time") >= moment(since)) & (pl.col("time") < moment(until)))

    def load(self, symbol: str, since: int, until: int) -> Any:
        found = self._scan(files_of(self._root, symbol, since, until), since, until).collect()
        return [found[name].to_numpy() for name in FIELDS]

    def last(self, symbol: str, count: int) -> Any:
        found = pl.scan_parquet(files_of(self._root, symbol)[-1:]).tail(count).collect()
        return [found[name].to_numpy() for name in FIELDS]

    def panel(self, symbols: list[str], since: int, until: int) -> Arrays:
        row = ((pl.col("time").dt.epoch("ms") - since) // MINUTE).alias("row")
        files = [file for symbol in symbols for file in files_of(self._root, symbol, since, until)]
        found = self._scan(files, since, until).select(row, "symbol", *FIELDS).collect()
        columns = found["symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy()
        made = _empty(since, until, len(symbols))
        for values, name in zip(made, FIELDS, strict=True):
            values[found["row"].to_numpy(), columns] = found[name].to_numpy()
        return made

    def panel_by_pivot(self, symbols: list[str], since: int, until: int) -> Arrays:
        """Do the same as the documentation of Polars has it."""
        files = [file for symbol in symbols for file in files_of(self._root, symbol, since, until)]
        found = self._scan(files, since, until).select("time", "symbol", *FIELDS).collect()
        wide = (found.pivot(on="symbol", index="time", values=name).sort("time") for name in FIELDS)
        return [one.select(symbols).to_numpy() for one in wide]

    def panel_by_symbol(self, symbols: list[str], since: int, until: int) -> Arrays:
        """Do the same with a query a symbol, all at once."""
        asked = [self._scan(files_of(self._root, symbol, since, until), since, until) for symbol in symbols]
        made = _empty(since, until, len(symbols))
        for column, found in enumerate(pl.collect_all(asked)):
            rows = (found["time"].dt.epoch("ms").to_numpy() - since) // MINUTE
            for values, name in zip(made, FIELDS, strict=True):
                values[rows, column] = found[name].to_numpy()
        return made


class Duck:
    """DuckDB over our Parquet files; it is told which months to open."""

    _SELECT = "select (epoch_ms(time) - $since) // 60000 as row, {} open, high, low, close, volume "
    _FROM = "from read_parquet($files, hive_partitioning=true) where time >= $first and time < $end"

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root
        self._database = duckdb.connect()

    def _query(self, files: list[str], since: int, until: int, more: str = "") -> dict[str, Any]:
        asked = {"files": files, "since": since, "first": moment(since), "end": moment(until)}
        found: dict[str, Any] = self._database.execute(self._SELECT.format(more) + self._FROM, asked).fetchnumpy()
        return found

    def load(self, symbol: str, since: int, until: int) -> Any:
        return self._query(files_of(self._root, symbol, since, until), since, until)

    def last(self, symbol: str, count: int) -> Any:
        query = "select * from read_parquet($files) order by time desc limit $count"
        return self._database.execute(query, {"files": files_of(self._root, symbol)[-1:], "count": count}).fetchnumpy()

    def panel(self, symbols: list[str], since: int, until: int) -> Arrays:
        files = [file for symbol in symbols for file in files_of(self._root, symbol, since, until)]
        found = self._query(files, since, until, f"list_position({symbols}, symbol) - 1 as col,")
        made = _empty(since, until, len(symbols))
        for values, name in zip(made, FIELDS, strict=True):
            values[found["row"], found["col"]] = found[name]
        return made

    def panel_by_symbol(self, symbols: list[str], since: int, until: int) -> Arrays:
        """Do the same with a query a symbol."""
        made = _empty(since, until, len(symbols))
        for column, symbol in enumerate(symbols):
            found = self.load(symbol, since, until)
            for values, name in zip(made, FIELDS, strict=True):
                values[found["row"], column] = found[name]
        return made


def moment(time: int) -> pd.Timestamp:
    """Return a time in ms UTC as others take it."""
    return pd.Timestamp(time, unit="ms", tz="UTC")


def files_of(root: pathlib.Path, symbol: str, since: int | None = None, until: int | None = None) -> list[str]:
    """Return the files of a symbol's months that a range touches, oldest first."""
    folder = root / "exchange=binance" / "market=spot" / "timeframe=1m" / f"symbol={symbol.replace('/', '%2F')}"
    first = "" if since is None else f"{moment(since):%Y-%m}.parquet"
    last = "9" if until is None else f"{moment(until - 1):%Y-%m}.parquet"
    return sorted(str(path) for path in folder.glob("*.parquet") if first <= path.name <= last)


def _empty(since: int, until: int, symbols: int) -> Arrays:
    return [np.full(((until - since) // MINUTE, symbols), np.nan) for _ in FIELDS]
