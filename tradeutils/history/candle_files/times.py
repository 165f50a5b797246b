"""The times in a candle file, whatever they are written in, to milliseconds UTC."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tradeutils.errors import CandleFileError
from tradeutils.history.candle_files.cells import BadCell, RawColumn, RawTable, as_numpy, cell, convert, is_text
from tradeutils.history.candle_files.columns import fold, no_column
from tradeutils.timeframe import Times

__all__ = ["settle_times"]

# A time is told by its size: seconds of the years to 5138, ms from 1973 to 5138, and so on.
_UNITS: Final = ("s", "ms", "us", "ns")
_UNIT_BOUNDS: Final = np.array([1e11, 1e14, 1e17])
_PER_MS: Final = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_LATEST_MS: Final = 32_503_680_000_000  # 3000-01-01
_TOO_LATE: Final = 2.0**62
# 1973, as for a DataFrame in frames: below it stand row numbers, times of day and days, in no unit that can be told.
_EARLIEST_SECONDS: Final = 10**8
# Digits of 20240131, 2024013109, 202401310930 and so on, to milliseconds.
_COMPACT_DIGITS: Final = (8, 10, 12, 14, 17)
_DAY_MS: Final = 86_400_000

_Reading: TypeAlias = "tuple[Times, str]"


def settle_times(
    file: pathlib.Path, table: RawTable, names: Sequence[str], places: Sequence[int], *, asked: bool
) -> tuple[Times, str, str]:
    """
    Return the times of a file in ms, their unit, and the name of the column they were in.

    Where several columns may be the time: the one that reads as times, the finest of those that agree, or a date
    and a time of day as text together. A column of numbers named index is none, unless the caller ``asked`` for it.

    Raises
    ------
    CandleFileError : a cell is no time; no column reads as times; those that do contradict each other.
    """
    if not asked:
        places = [at for at in places if fold(names[at]) != "index" or not _is_numbers(table.columns[at])]
    if not places:
        raise no_column(file, "time", "time", names)
    read: dict[int, _Reading] = {}
    refused: dict[int, CandleFileError] = {}
    for at in places:
        try:
            read[at] = _read_times(file, table, table.columns[at])
        except CandleFileError as error:
            refused[at] = error
    if len(places) == 1 and refused:
        raise refused[places[0]]
    if not read:
        first = refused[places[0]]
        why = str(first).removeprefix(str(file)).removeprefix(":").strip(", ")
        problem = f"none of its columns {_shown(names, places)} reads as times ({why}); write them in one of these"
        raise CandleFileError(str(file), problem) from first
    best = next((at for at in read if all(_agree(read[at][0], other) for other, _ in read.values())), None)
    if best is None:
        raise CandleFileError(
            str(file), f"its columns {_shown(names, list(read))} tell other times; {_say(names, places)}"
        )
    return _with_clock(file, table, names, best, read[best], list(refused))


def _with_clock(
    file: pathlib.Path, table: RawTable, names: Sequence[str], best: int, reading: _Reading, refused: list[int]
) -> tuple[Times, str, str]:
    """Return the times read; where they are days and another column their time of day, both together or a refusal."""
    time, unit = reading
    column = table.columns[best]
    if not refused or np.any(time % _DAY_MS):
        return time, unit, names[best]
    says_clock = _has_colon(column)
    clock = next((at for at in refused if _has_colon(table.columns[at])), None)
    if clock is not None and unit == "ISO" and not says_clock:
        parts = (convert(table.columns[at], pa.string()) for at in (best, clock))
        joined = pc.binary_join_element_wise(*parts, " ")
        return *_read_times(file, table, joined), f"{names[best]} + {names[clock]}"
    named = any(fold(names[at]) == "time" for at in refused) or clock is not None
    if (named and not says_clock) or len(np.unique(time)) < len(time):
        both = [best, *refused]
        problem = f"its column {names[best]!r} tells days, and {_shown(names, refused)} may tell their time of day"
        raise CandleFileError(str(file), f"{problem}; write both in one, or {_say(names, both)}")
    return time, unit, names[best]


def _agree(time: Times, other: Times) -> bool:
    """Tell whether another column has the same times, whole or cut to seconds or days."""
    return any(np.array_equal(time // unit * unit, other) for unit in (1, 1_000, _DAY_MS))


def _is_numbers(column: RawColumn) -> bool:
    if isinstance(column, np.ndarray) or not is_text(column.type):
        return isinstance(column, np.ndarray) or not pa.types.is_temporal(column.type)
    try:
        convert(column, pa.float64())
    except BadCell as bad:
        return bad.row > 0
    return True


def _has_colon(column: RawColumn) -> bool:
    return not isinstance(column, np.ndarray) and is_text(column.type) and ":" in (column[0].as_py() or "")


def _shown(names: Sequence[str], places: Sequence[int]) -> str:
    return " and ".join(repr(names[at]) for at in places)


def _say(names: Sequence[str], places: Sequence[int]) -> str:
    return f"say which is the time: columns={{'time': {names[places[0]]!r}}}"


def _read_times(file: pathlib.Path, table: RawTable, column: RawColumn) -> _Reading:
    """Return the times of a column in ms, and what they were in: ``"s" "ms" "us" "ns"``, ``"ISO"`` or ``"date"``."""
    try:
        values, unit = _raw_times(column)
    except BadCell as bad:
        problem = f"time was {bad.value!r}, which is not a time"
        raise CandleFileError(str(file), problem, line=table.line_of(bad.row)) from bad
    _refuse_where(values < 0, "before 1970", file, table, column)
    if not unit:
        values, unit = _judge_unit(file, table, values)
    time = _to_ms(values, unit)
    _refuse_where(time > _LATEST_MS, "after the year 3000", file, table, column)
    return time, "ISO" if unit == "iso" else unit


def _refuse_where(
    wrong: npt.NDArray[np.bool_], why: str, file: pathlib.Path, table: RawTable, column: RawColumn
) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        row = int(rows[0])
        raise CandleFileError(str(file), f"time was {cell(column, row)}, {why}", line=table.line_of(row))


def _raw_times(column: RawColumn) -> tuple[npt.NDArray[Any], str]:
    """Return a time column as numbers, and their unit where the column itself says it."""
    if isinstance(column, np.ndarray):
        return _finite(column), ""
    if column.null_count:
        row = next(i for i in range(len(column)) if not column[i].is_valid)
        raise BadCell(row, None)
    kind = column.type
    if pa.types.is_timestamp(kind):
        return as_numpy(convert(column, pa.int64()), np.int64), kind.unit
    if pa.types.is_date(kind):
        return as_numpy(convert(convert(column, pa.timestamp("ms")), pa.int64()), np.int64), "date"
    if pa.types.is_integer(kind):
        return as_numpy(convert(column, pa.int64()), np.int64), ""
    if pa.types.is_floating(kind):
        return _finite(as_numpy(convert(column, pa.float64()), np.float64)), ""
    if is_text(kind):
        return _text_times(column)
    raise BadCell(0, f"a {kind}")


def _text_times(column: pa.Array) -> tuple[npt.NDArray[Any], str]:
    try:
        return as_numpy(convert(column, pa.int64()), np.int64), ""
    except BadCell as bad:
        try:
            return _finite(as_numpy(convert(column, pa.float64()), np.float64)), ""
        except BadCell as unreadable:
            if unreadable.row:  # the first cells are numbers, so the others ought to be
                raise
        zoned = str(bad.value).endswith("Z") or "+" in str(bad.value) or str(bad.value).count("-") > 2
    # ns, because Arrow refuses text finer than the unit it is asked for; naive text is UTC.
    read = convert(column, pa.timestamp("ns", "UTC" if zoned else None))
    return as_numpy(convert(read, pa.int64()), np.int64), "iso"


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise BadCell(int(wrong[0]), float(values[wrong[0]]))
    return values


def _judge_unit(file: pathlib.Path, table: RawTable, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], str]:
    if _are_compact_dates(values):
        problem = f"times such as {values[0]:.0f} look like dates without separators; write 2024-01-31T09:30:00"
        raise CandleFileError(str(file), problem, line=table.line_of(0))
    small = np.flatnonzero(values < _EARLIEST_SECONDS)
    if len(small):
        problem = (
            f"time was {values[small[0]]:.15g}, which is no time in s, ms, us or ns since 1970 (a row number, a time "
            "of day, days?); write 2024-01-31T09:30:00, or ms since 1970"
        )
        raise CandleFileError(str(file), problem, line=table.line_of(int(small[0])))
    units = np.searchsorted(_UNIT_BOUNDS, np.abs(values.astype(np.float64)), side="right")
    mixed = np.flatnonzero(units != units[0])
    if len(mixed):
        row = int(mixed[0])
        problem = (
            f"time was {values[row]:.0f}, which is in {_UNITS[units[row]]} where the first row is in "
            f"{_UNITS[units[0]]}; split the file where its unit changes"
        )
        raise CandleFileError(str(file), problem, line=table.line_of(row))
    return values, _UNITS[units[0]]


def _are_compact_dates(values: npt.NDArray[Any]) -> bool:
    """Tell whether all numbers are dates, with or without times of day, written without separators."""
    for digits in _COMPACT_DIGITS:
        day = values // 10 ** (digits - 8)
        month, of_month = day // 100 % 100, day % 100
        dates = (day >= 19_000_101) & (day <= 21_001_231) & (month >= 1) & (month <= 12)
        right = dates & (of_month >= 1) & (of_month <= 31)
        for place, most in ((10, 23), (12, 59), (14, 59)):
            if digits >= place:
                right &= values // 10 ** (digits - place) % 100 <= most
        if np.all(right):
            return True
    return False


def _to_ms(values: npt.NDArray[Any], unit: str) -> Times:
    if unit == "s":
        return np.asarray(np.rint(values * 1000.0) if values.dtype.kind == "f" else values * 1000, dtype=np.int64)
    per_ms = _PER_MS.get({"iso": "ns", "date": "ms"}.get(unit, unit), 1)
    if values.dtype.kind == "f":  # no int64 holds 1e300; what the bound holds is refused as too late
        return np.asarray(np.floor(np.minimum(values / per_ms, _TOO_LATE)), dtype=np.int64)
    return np.asarray(values // per_ms, dtype=np.int64)
