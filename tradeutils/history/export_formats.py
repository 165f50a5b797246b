"""What the files of an export are named and hold, format by format; each is written a piece at a time."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import pathlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from tradeutils import timeframe as _timeframe
from tradeutils.history.file_layouts import binance_folder, freqtrade_name
from tradeutils.history.store.layout import SeriesKey, folder_of
from tradeutils.model import Candles
from tradeutils.model.candles import PRICE_FIELDS

__all__ = ["FORMATS", "Format"]

Put: TypeAlias = Callable[[Candles], None]
"""Takes the next piece of a series."""


@dataclass(frozen=True, slots=True)
class Format:
    """
    A way to write series as files.

    Attributes
    ----------
    suffix : str
        How the names end.
    path_of : callable
        The path of a series below the target; the second argument is the first time in the file, ms UTC.
    open : callable
        Begins a file on a sink; what it yields takes the pieces.
    one_exchange : bool
        The layout has no place for the exchange, so a folder is of one.
    by_month : bool
        Each month is a file of its own.
    """

    suffix: str
    path_of: Callable[[SeriesKey, int], str]
    open: Callable[[IO[bytes], str], AbstractContextManager[Put]]
    one_exchange: bool = False
    by_month: bool = False


def _hive(suffix: str) -> Callable[[SeriesKey, int], str]:
    """Name files as the history's own are, which says everything and any hive reader understands."""

    def path_of(key: SeriesKey, _first: int) -> str:
        return f"{folder_of(pathlib.Path(), key)}/candles{suffix}"

    return path_of


def _in_freqtrade(key: SeriesKey, _first: int) -> str:
    return freqtrade_name(key.symbol, key.timeframe)


def _in_binance(key: SeriesKey, first: int) -> str:
    folder, head = binance_folder(key.symbol, key.timeframe)
    month = dt.datetime.fromtimestamp(first / 1000, dt.UTC).strftime("%Y-%m")
    return f"{folder}/{head}-{month}.zip"


def _table(candles: Candles, time: str = "time", *, empty_for_nan: bool = False) -> pa.Table:
    columns = {name: pa.array(getattr(candles, name), from_pandas=empty_for_nan) for name in PRICE_FIELDS}
    moments = pa.array(candles.time).view(pa.timestamp("ms", "UTC"))
    return pa.table({time: moments, **columns})


_SCHEMA: Final = pa.schema([("time", pa.timestamp("ms", "UTC")), *((name, pa.float64()) for name in PRICE_FIELDS)])
_CSV_SCHEMA: Final = _SCHEMA.set(0, pa.field("time", pa.int64()))


@contextlib.contextmanager
def _csv(sink: IO[bytes], _name: str) -> Iterator[Put]:
    sink.write(f"{','.join(_CSV_SCHEMA.names)}\n".encode())  # Arrow puts the names in quotes, whatever it is told
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    with pa.csv.CSVWriter(sink, _CSV_SCHEMA, write_options=options) as writer:
        yield lambda candles: writer.write_table(_table(candles, empty_for_nan=True).cast(_CSV_SCHEMA))


@contextlib.contextmanager
def _parquet(sink: IO[bytes], _name: str) -> Iterator[Put]:
    with pa.parquet.ParquetWriter(sink, _SCHEMA, compression="zstd", use_dictionary=False) as writer:
        yield lambda candles: writer.write_table(_table(candles))


@contextlib.contextmanager
def _feather(sink: IO[bytes], _name: str, time: str = "time") -> Iterator[Put]:
    schema = _SCHEMA.set(0, _SCHEMA.field(0).with_name(time))
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        yield lambda candles: writer.write_table(_table(candles, time))


def _freqtrade(sink: IO[bytes], name: str) -> AbstractContextManager[Put]:
    return _feather(sink, name, "date")


_MICROSECONDS_SINCE: Final = 1_735_689_600_000  # 2025-01-01: from then on Binance writes those of spot in us


@contextlib.contextmanager
def _binance(sink: IO[bytes], name: str) -> Iterator[Put]:
    """Write a month as Binance does: zipped, twelve columns, no header; what the history does not keep is 0."""

    def put(candles: Candles) -> None:
        frame = _timeframe.parse(candles.timeframe)
        in_us = ":" not in candles.symbol and len(candles) and candles.time[0] >= _MICROSECONDS_SINCE
        unit = 1000 if in_us else 1
        prices = {field: pa.array(getattr(candles, field), from_pandas=True) for field in PRICE_FIELDS}
        ends = frame.shift(frame.floor(candles.time)) * unit - 1
        zeros: Any = np.zeros(len(candles), dtype=np.int64)
        rest = {str(at): zeros for at in range(5)}
        table = pa.table({"time": candles.time * unit, **prices, "end": ends, **rest})
        text = io.BytesIO()
        pa.csv.write_csv(table, text, pa.csv.WriteOptions(include_header=False))
        # A date of its own, so that the same candles make the same bytes.
        about = zipfile.ZipInfo(f"{pathlib.PurePosixPath(name).stem}.csv")
        about.compress_type = zipfile.ZIP_DEFLATED
        about.external_attr = 0o644 << 16
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr(about, text.getvalue())

    yield put


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format(".csv", _hive(".csv"), _csv),
    "parquet": Format(".parquet", _hive(".parquet"), _parquet),
    "feather": Format(".feather", _hive(".feather"), _feather),
    "freqtrade": Format(".feather", _in_freqtrade, _freqtrade, one_exchange=True),
    "binance": Format(".zip", _in_binance, _binance, one_exchange=True, by_month=True),
}
"""The formats by name."""
