"""
Candle files: CSV, JSON, feather and Parquet, as exchanges and other tools write them, to `Candles` with a report.

A file is read as it is, and what is wrong with it is counted; what cannot be read is refused with its line.
No row is ever made up: a gap stays a gap.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.errors import CandleFileError
from tradeutils.history.candle_files import names as file_names
from tradeutils.history.candle_files.cells import BadCell, RawTable, numbers
from tradeutils.history.candle_files.columns import column_names, find_columns, listed_names
from tradeutils.history.candle_files.formats import read_table
from tradeutils.history.candle_files.times import settle_times
from tradeutils.model import Candles
from tradeutils.model.candles import PRICE_FIELDS
from tradeutils.timeframe import Timeframe, Times

__all__ = ["CandleFile", "FileReport", "read_candles"]

_DAY_MS: Final = 86_400_000

Columns: TypeAlias = "dict[str, npt.NDArray[Any]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """
    What was found in a candle file.

    Attributes
    ----------
    rows, kept : int
        Rows in the file, and candles made of them.
    duplicates, conflicts : int
        Rows dropped for one of the same time: with the same values, and with others (the last in the file won).
    out_of_order : int
        Rows that stood after one of a later time; they were sorted.
    nan_rows : int
        Rows dropped because a price was missing or not finite.
    off_grid : int
        Candles that do not open on the timeframe's grid; kept at their own time.
    gaps, missing_bars : int
        Holes between the first and the last candle, and the candles that would fill them.
    impossible : int
        Candles whose high is not the highest or low not the lowest, or with a negative price or volume; kept.
    no_volume : int
        Candles whose volume is not known (NaN).
    time_unit : str
        ``"s" "ms" "us" "ns"``, ``"ISO"`` text, or ``"date"``.
    timeframe : str
        As given, as the file's name says, or the most common step.
    columns : mapping
        Which column of the file was read as what.
    first_lines : mapping
        The line (CSV, from 1, the header included) or row (tables and JSON, from 1) where each thing was first found.
    """

    rows: int
    kept: int
    duplicates: int = 0
    conflicts: int = 0
    out_of_order: int = 0
    nan_rows: int = 0
    off_grid: int = 0
    gaps: int = 0
    missing_bars: int = 0
    impossible: int = 0
    no_volume: int = 0
    time_unit: str = "ms"
    timeframe: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    first_lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """True where nothing was found: every row became a candle and none is missing, doubled or impossible."""
        return not self._findings()

    def _findings(self) -> list[str]:
        named = (
            (self.gaps, f"{self.gaps} gaps ({self.missing_bars} bars missing)"),
            (self.duplicates, f"{self.duplicates} duplicates dropped"),
            (self.conflicts, f"{self.conflicts} conflicting duplicates (last kept)"),
            (self.out_of_order, f"{self.out_of_order} out of order (sorted)"),
            (self.nan_rows, f"{self.nan_rows} without a price (dropped)"),
            (self.off_grid, f"{self.off_grid} off the {self.timeframe} grid"),
            (self.impossible, f"{self.impossible} impossible (high or low)"),
            (self.no_volume, f"{self.no_volume} without a volume"),
        )
        return [text for count, text in named if count]

    def __str__(self) -> str:
        found = self._findings()
        where = ", ".join(f"{name} line {line}" for name, line in self.first_lines.items())
        return (
            f"{self.kept} of {self.rows} rows kept, {self.timeframe}, time in {self.time_unit}: "
            + ("; ".join(found) if found else "clean")
            + (f" (first: {where})" if where else "")
        )


@dataclass(frozen=True, slots=True)
class CandleFile:
    """A file that was read: its path, the candles in it, and what was found."""

    path: pathlib.Path
    candles: Candles
    report: FileReport


def read_candles(
    path: str | os.PathLike[str],
    *,
    timeframe: str | None = None,
    exchange: str = "",
    symbol: str = "",
    columns: Sequence[str] | Mapping[str, str] | None = None,
    strict: bool = False,
    max_bytes: int = 1 << 29,
) -> CandleFile:
    """
    Read a file of candles: CSV, JSON (rows as ccxt returns them, or objects), feather, Parquet; gzipped, zipped or not.

    Parameters
    ----------
    path : path
        The file.
    timeframe : str, optional
        Length of a bar. Default: what the file's name says where the rows agree, else their most common step.
    exchange, symbol : str
        Where the candles come from. Default symbol: what the file's name says (``BTCUSDT.1min.csv``), else empty.
    columns : sequence or mapping of str, optional
        The names of the columns in the order of the file, for one without a header; or a mapping from ``time
        open high low close volume`` to the names in the file, where they are not the usual ones.
        Binance's public archives (12 columns, no header) are known without.
    strict : bool
        Refuse a file in which anything was found that `FileReport` counts.
    max_bytes : int
        The most that a file may hold once decompressed; of Parquet, its candle columns.

    Returns
    -------
    CandleFile : ``candles``, all of them marked as closed, and ``report``.

    Raises
    ------
    CandleFileError : the file is missing, damaged, empty or too large; a column is missing; a cell is text where
        a number belongs; a row is ragged; a time is missing, negative, in another unit than the first, or a
        number that may be no time (below 10**8, or 202401310930); columns of times contradict each other; the
        volume in the base currency cannot be told. The line is named.
    UsageError : ``columns`` that fit no file.

    Notes
    -----
    Reads the whole file: about 10 bytes of memory for each of its own, once decompressed.
    """
    file = file_names.checked_path(path)
    frame = None if timeframe is None else _timeframe.parse(timeframe)
    symbol = symbol or file_names.symbol_of(file)

    def choose(names: tuple[str, ...]) -> set[int]:
        listed = listed_names(file, len(names), columns) or names
        return {at for places in find_columns(file, listed, columns, symbol).values() for at in places}

    table = read_table(file, max_bytes, choose)
    names = column_names(file, table, columns)
    places = find_columns(file, names, columns, symbol)
    data, unit, time_label = _convert(
        file, table, names, places, asked=isinstance(columns, Mapping) and "time" in columns
    )
    rows = np.arange(table.rows)
    found: dict[str, npt.NDArray[Any]] = {}
    data, rows = _drop_unpriced(data, rows, found)
    if not len(rows):
        raise CandleFileError(str(file), f"none of its {table.rows} rows has a price")
    data, rows = _sort_and_merge(data, rows, found)
    left = _left_out(table, found)
    frame = _settle_timeframe(file, data["time"], frame, left)
    found["off_grid"] = rows[np.asarray(frame.floor(data["time"]) != data["time"])]
    found["impossible"] = rows[_impossible(data)]
    found["no_volume"] = rows[np.isnan(data["volume"])]
    candles = Candles(exchange=exchange, symbol=symbol, timeframe=frame.name, **data)
    gaps = candles.gaps()
    report = FileReport(
        rows=table.rows,
        kept=len(candles),
        **{name: len(where) for name, where in found.items()},
        gaps=len(gaps),
        missing_bars=sum(gap.bars for gap in gaps),
        time_unit=unit,
        timeframe=frame.name,
        columns={"time": time_label, **{name: names[places[name][0]] for name in PRICE_FIELDS}},
        first_lines={name: table.line_of(int(where.min())) for name, where in found.items() if len(where)},
    )
    if strict and not report.clean:
        raise CandleFileError(str(file), f"is not clean: {report}")
    return CandleFile(file, candles, report)


def _convert(
    file: pathlib.Path, table: RawTable, names: Sequence[str], places: Mapping[str, tuple[int, ...]], *, asked: bool
) -> tuple[Columns, str, str]:
    """Return times in ms and the other columns as float64, and the name and the unit that the times had."""
    data: Columns = {}
    data["time"], unit, label = settle_times(file, table, names, places["time"], asked=asked)
    for name in PRICE_FIELDS:
        try:
            data[name] = numbers(table.columns[places[name][0]])
        except BadCell as bad:
            problem = f"{name} was {bad.value!r}, which is not a number"
            raise CandleFileError(str(file), problem, line=table.line_of(bad.row)) from bad
    return data, unit, label


def _drop_unpriced(
    data: Columns, rows: npt.NDArray[Any], found: dict[str, npt.NDArray[Any]]
) -> tuple[Columns, npt.NDArray[Any]]:
    priced = np.logical_and.reduce([np.isfinite(data[name]) for name in ("open", "high", "low", "close")])
    found["nan_rows"] = rows[~priced]
    data["volume"] = np.where(np.isfinite(data["volume"]), data["volume"], np.nan)
    return {name: values[priced] for name, values in data.items()}, rows[priced]


def _sort_and_merge(
    data: Columns, rows: npt.NDArray[Any], found: dict[str, npt.NDArray[Any]]
) -> tuple[Columns, npt.NDArray[Any]]:
    """Sort by time and keep, of rows with one time, the one that stands last in the file."""
    time = data["time"]
    found["out_of_order"] = rows[time < np.maximum.accumulate(time)]
    order = np.argsort(time, kind="stable")
    data, rows = {name: values[order] for name, values in data.items()}, rows[order]
    last = np.r_[data["time"][1:] != data["time"][:-1], True]
    kept_by = np.flatnonzero(last)[np.cumsum(last) - last]  # for each row, the one kept of its time
    same = np.logical_and.reduce(
        [(v == v[kept_by]) | (np.isnan(v) & np.isnan(v[kept_by])) for name, v in data.items() if name != "time"]
    )
    found["duplicates"], found["conflicts"] = rows[~last & same], rows[~last & ~same]
    return {name: np.ascontiguousarray(values[last]) for name, values in data.items()}, rows[last]


def _impossible(data: Columns) -> npt.NDArray[np.bool_]:
    low, high = data["low"], data["high"]
    inside = np.minimum(data["open"], data["close"]), np.maximum(data["open"], data["close"])
    wrong: npt.NDArray[np.bool_] = (high < inside[1]) | (low > inside[0]) | (high < low) | (low < 0)
    return wrong | (data["volume"] < 0)


def _left_out(table: RawTable, found: Mapping[str, npt.NDArray[Any]]) -> str:
    """Say which rows were dropped, for a message; empty where none was."""
    reasons = {
        "nan_rows": "a price missing or not finite",
        "duplicates": "its time twice",
        "conflicts": "its time twice",
    }
    lines = (
        f"line {table.line_of(int(found[name].min()))}: {why}" for name, why in reasons.items() if len(found[name])
    )
    return "; ".join(lines)


def _settle_timeframe(file: pathlib.Path, time: Times, given: Timeframe | None, left_out: str) -> Timeframe:
    """Return the timeframe given, else the one in the file's name if the rows agree, else their most common step."""
    steps, counts = np.unique(np.diff(time), return_counts=True)
    step = int(steps[np.argmax(counts)]) if len(steps) else 0
    if given is not None:
        if step and given.ms is not None and step < given.ms:
            raise CandleFileError(
                str(file), f"its rows lie {step:,} ms apart and timeframe was {given}; read it without, then resample"
            )
        return given
    named = file_names.timeframe_of(file)
    if named:
        frame = _timeframe.parse(named)
        if not step or frame.ms is None or step % frame.ms == 0:
            return frame
    if not step:
        dropped = f" left (dropped {left_out})" if left_out else ""
        raise CandleFileError(str(file), f"has one row{dropped}, which does not tell its timeframe; say timeframe=")
    return _frame_of(time, step)


def _frame_of(time: Times, step: int) -> Timeframe:
    month = _timeframe.parse("1M")
    if step >= 28 * _DAY_MS and np.all(month.floor(time) == time):
        return month
    return _timeframe.parse(file_names.name_of_step(step) or "1s")
