"""The times in a candle file, whatever they are written in, to milliseconds UTC."""

from __future__ import annotations

import pathlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tradeutils.errors import CandleFileError
from tradeutils.history.file_formats import BadCell, RawColumn, RawTable, as_numpy, cell, convert, is_text
from tradeutils.timeframe import Times

__all__ = ["read_times"]

# A time is told by its size: seconds of the years to 5138, ms from 1973 to 5138, and so on.
_UNITS: Final = ("s", "ms", "us", "ns")
_UNIT_BOUNDS: Final = np.array([1e11, 1e14, 1e17])
_PER_MS: Final = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_LATEST_MS: Final = 32_503_680_000_000  # 3000-01-01


def read_times(file: pathlib.Path, table: RawTable, column: RawColumn) -> tuple[Times, str]:
    """
    Return the times of a file in ms, and what they were in: ``"s" "ms" "us" "ns"``, ``"ISO"`` or ``"date"``.

    Raises
    ------
    BadCell : a cell that is no time.
    CandleFileError : a time before 1970 or after the year 3000, or in another unit than the first.
    """
    values, unit = _raw_times(column)
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
    if np.all((values >= 19_000_101) & (values <= 21_001_231) & (values % 100 <= 31) & (values // 100 % 100 <= 12)):
        problem = f"times such as {values[0]:.0f} look like dates without separators; write 2024-01-31"
        raise CandleFileError(str(file), problem, line=table.line_of(0))
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


def _to_ms(values: npt.NDArray[Any], unit: str) -> Times:
    if unit == "s":
        return np.asarray(np.rint(values * 1000.0) if values.dtype.kind == "f" else values * 1000, dtype=np.int64)
    per_ms = _PER_MS.get({"iso": "ns", "date": "ms"}.get(unit, unit), 1)
    return np.asarray(np.floor(values / per_ms) if values.dtype.kind == "f" else values // per_ms, dtype=np.int64)
