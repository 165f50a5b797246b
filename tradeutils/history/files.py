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
from tradeutils.errors import CandleFileError, UsageError, nearest
from tradeutils.history import file_names
from tradeutils.history.file_formats import BadCell, RawColumn, RawTable, numbers, read_table
from tradeutils.history.file_times import read_times
from tradeutils.model import Candles
from tradeutils.timeframe import Timeframe, Times

__all__ = ["CandleFile", "FileReport", "read_candles"]

_FIELDS: Final = ("time", "open", "high", "low", "close", "volume")
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": (
        "opentime", "time", "timestamp", "datetime", "date", "ts", "t", "unix", "unixtimestamp", "unixtime",
        "starttime", "start", "candletime", "candlebegintime", "gmttime", "dateutc", "timeutc", "index",
    ),
    "open": ("open", "o", "openprice", "priceopen"),
    "high": ("high", "h", "highprice", "pricehigh", "max"),
    "low": ("low", "l", "lowprice", "pricelow", "min"),
    "close": ("close", "c", "closeprice", "priceclose", "last"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "basevol"),
}  # fmt: skip
_BINANCE: Final = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
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
    Read a file of candles: CSV, JSON (rows as ccxt returns them, or objects), feather, Parquet; gzipped or not.

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
        The most that a file may hold once decompressed.

    Returns
    -------
    CandleFile : ``candles``, all of them marked as closed, and ``report``.

    Raises
    ------
    CandleFileError : the file is missing, damaged, empty or too large; a column is missing; a cell is text where
        a number belongs; a row is ragged; a time is missing, negative, or in another unit than the first. The
        line is named.
    UsageError : ``columns`` that fit no file.

    Notes
    -----
    Reads the whole file: about 10 bytes of memory for each of its own, once decompressed.
    """
    file = file_names.checked_path(path)
    frame = None if timeframe is None else _timeframe.parse(timeframe)
    table = read_table(file, max_bytes)
    chosen = _choose_columns(file, table, columns)
    data, unit = _convert(file, table, {name: table.columns[at] for name, (at, _) in chosen.items()})
    rows = np.arange(table.rows)
    found: dict[str, npt.NDArray[Any]] = {}
    data, rows = _drop_unpriced(data, rows, found)
    if not len(rows):
        raise CandleFileError(str(file), f"none of its {table.rows} rows has a price")
    data, rows = _sort_and_merge(data, rows, found)
    frame = _settle_timeframe(file, data["time"], frame)
    found["off_grid"] = rows[np.asarray(frame.floor(data["time"]) != data["time"])]
    found["impossible"] = rows[_impossible(data)]
    found["no_volume"] = rows[np.isnan(data["volume"])]
    candles = Candles(exchange=exchange, symbol=symbol or file_names.symbol_of(file), timeframe=frame.name, **data)
    gaps = candles.gaps()
    report = FileReport(
        rows=table.rows,
        kept=len(candles),
        **{name: len(where) for name, where in found.items()},
        gaps=len(gaps),
        missing_bars=sum(gap.bars for gap in gaps),
        time_unit=unit,
        timeframe=frame.name,
        columns={name: label for name, (_, label) in chosen.items()},
        first_lines={name: table.line_of(int(where.min())) for name, where in found.items() if len(where)},
    )
    if strict and not report.clean:
        raise CandleFileError(str(file), f"is not clean: {report}")
    return CandleFile(file, candles, report)


def _choose_columns(
    file: pathlib.Path, table: RawTable, columns: Sequence[str] | Mapping[str, str] | None
) -> dict[str, tuple[int, str]]:
    """Return for each of our fields the index of its column and the name that the file gives it."""
    named = dict(columns) if isinstance(columns, Mapping) else {}
    if unknown := sorted(set(named) - set(_FIELDS)):
        raise UsageError(f"columns named {', '.join(unknown)}; its keys are {', '.join(_FIELDS)}")
    names = _names(file, table, columns)
    folded = [_fold(name) for name in names]
    chosen = {}
    for name in _FIELDS:
        wanted = (_fold(named[name]),) if name in named else _ALIASES[name]
        at = next((folded.index(alias) for alias in wanted if alias in folded), None)
        if at is None and name == "volume" and name not in named:
            at = next((i for i, label in enumerate(folded) if label.startswith("volume")), None)
        if at is None:
            raise CandleFileError(str(file), _no_column(named.get(name, name), name, names))
        if folded.count(folded[at]) > 1:
            raise CandleFileError(str(file), f"has more than one column {names[at]!r}; rename one")
        chosen[name] = (at, names[at])
    return chosen


def _names(file: pathlib.Path, table: RawTable, columns: Sequence[str] | Mapping[str, str] | None) -> tuple[str, ...]:
    width = len(table.columns)
    if columns is not None and not isinstance(columns, Mapping):
        if isinstance(columns, str):
            raise UsageError(f"columns was {columns!r}; give a list of names: {columns.split(',')!r}")
        if len(columns) != width:
            raise UsageError(f"columns named {len(columns)} columns and {file} has {width}; name each in its order")
        return tuple(columns)
    if table.names is not None:
        return table.names
    if width == len(_BINANCE) and _is_binance(table):
        return _BINANCE
    raise CandleFileError(
        str(file),
        f"has no header, and its {width} columns cannot be told apart; say what they are: columns={list(_FIELDS)}",
        line=table.line_of(0),
    )


def _is_binance(table: RawTable) -> bool:
    """Tell whether a file of twelve columns is Binance's: the seventh is the last moment of the bar of the first."""
    try:
        opened, closed = (numbers(table.columns[at]) for at in (0, 6))
    except BadCell:
        return False
    return bool(np.all(closed > opened))


def _no_column(wanted: str, name: str, names: Sequence[str]) -> str:
    close = nearest(wanted, names)
    hint = f"; the nearest is {close[0]!r}" if close else ""
    shown = ", ".join(names[:20])
    return f"has no column {wanted!r}; it has {shown}{hint}: say columns={{{name!r}: {close[0] if close else '...'!r}}}"


def _fold(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _convert(file: pathlib.Path, table: RawTable, chosen: Mapping[str, RawColumn]) -> tuple[Columns, str]:
    """Return times in ms and the other columns as float64, and the unit that the times were in."""
    data: Columns = {}
    unit = ""
    for name, column in chosen.items():
        try:
            if name == "time":
                data[name], unit = read_times(file, table, column)
            else:
                data[name] = numbers(column)
        except BadCell as bad:
            kind = "a time" if name == "time" else "a number"
            problem = f"{name} was {bad.value!r}, which is not {kind}"
            raise CandleFileError(str(file), problem, line=table.line_of(bad.row)) from bad
    return data, unit


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


def _settle_timeframe(file: pathlib.Path, time: Times, given: Timeframe | None) -> Timeframe:
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
        raise CandleFileError(str(file), "has one row, which does not tell its timeframe; say timeframe=")
    return _frame_of(time, step)


def _frame_of(time: Times, step: int) -> Timeframe:
    month = _timeframe.parse("1M")
    if step >= 28 * _DAY_MS and np.all(month.floor(time) == time):
        return month
    return _timeframe.parse(file_names.name_of_step(step) or "1s")
