"""
Rows that are no candles, kept aside: read back by `History.quarantined`, never by `History.read`.

Which are: times off the grid of the timeframe or outside any market's lifetime, prices that are not finite or not above
zero, a high below the low, a volume that is negative or infinite (not known, NaN, is fine). A body that sticks out of
the range is stored as it is: venues do publish such bars, and `tradeutils.analysis.quality` finds them.

A file of records of 56 bytes: the reason as uint32, the six columns, and a CRC32. A damaged record is left out: nothing
depends on it.
"""

from __future__ import annotations

import math
import pathlib
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.history.store.layout import put_file
from tradeutils.history.store.partitions import refused
from tradeutils.history.store.record_files import append_records, read_records, records_in
from tradeutils.history.store.rows import FIELDS, Rows
from tradeutils.timeframe import Timeframe

__all__ = ["QUARANTINE", "REASONS", "Suspects", "keep_aside", "read_aside", "rewrite_aside", "screened"]

QUARANTINE: Final = "_quarantine"

REASONS: Final = ("bad_time", "off_grid", "not_finite", "not_positive", "high_below_low", "bad_volume")
"""Why a row is kept aside; of several the first."""

_LATEST_MS: Final = 32_503_680_000_000  # 3000-01-01, as timeframe.to_ms has it
_RECORD: Final = np.dtype([("reason", "<u4"), ("time", "<i8"), *((name, "<f8") for name in FIELDS[1:]), ("crc", "<u4")])
_BODY_BYTES: Final = 52
_MOST: Final = 100_000  # records a series; a source that is wrong all the time must not fill the disk


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """
    Rows that are no candles.

    Attributes
    ----------
    rows : Rows
        Their times need not rise.
    reason : uint32 array, shape (T,)
        For each an index into `REASONS`.
    damaged : int
        Records of the file that fail their checksum and are left out.
    """

    rows: Rows
    reason: npt.NDArray[np.uint32]
    damaged: int = 0


def screened(rows: Rows, frame: Timeframe) -> tuple[Rows, Suspects | None]:
    """Return the rows that are candles, and those that are not, None where all are. Cost: one pass."""
    if _all_sound(rows, frame):
        return rows, None
    reason = np.full(len(rows), len(REASONS), dtype=np.uint32)
    for code, wrong in reversed(list(enumerate(_tests(rows, frame)))):
        if wrong.any():
            reason[wrong] = code
    bad = reason < len(REASONS)
    if not bad.any():
        return rows, None
    return rows.where(~bad), Suspects(rows.where(bad), reason[bad])


def _all_sound(rows: Rows, frame: Timeframe) -> bool:
    """Tell whether all are candles, in a third of the time that it takes to say why not; of one in a tenth."""
    if len(rows) == 1:
        return _one_sound(rows, frame)
    time, volume = rows.time, rows.volume
    lowest = np.minimum(np.minimum(rows.open, rows.close), np.minimum(rows.high, rows.low))
    highest = np.maximum(np.maximum(rows.open, rows.close), rows.high)
    sound = (lowest > 0) & (highest < np.inf) & (rows.low <= rows.high) & ~((volume < 0) | (volume == np.inf))
    if not sound.all() or not len(time):
        return not len(time)
    return bool(time[0] >= -_LATEST_MS and time[-1] <= _LATEST_MS and (frame.floor(time) == time).all())


def _one_sound(rows: Rows, frame: Timeframe) -> bool:
    time = int(rows.time[0])
    opened, high, low, close, volume = (float(column[0]) for column in rows.columns()[1:])
    within = 0 < low <= high < math.inf and 0 < opened < math.inf and 0 < close < math.inf
    if not within or volume < 0 or volume == math.inf or not -_LATEST_MS <= time <= _LATEST_MS:
        return False
    return int(frame.floor(time)) == time


def _tests(rows: Rows, frame: Timeframe) -> list[npt.NDArray[np.bool_]]:
    """Return for each of `REASONS` where it holds."""
    bad_time = (rows.time > _LATEST_MS) | (rows.time < -_LATEST_MS)
    safe = np.where(bad_time, 0, rows.time) if bad_time.any() else rows.time
    lowest = np.minimum(np.minimum(rows.open, rows.close), np.minimum(rows.high, rows.low))
    highest = np.maximum(np.maximum(rows.open, rows.close), np.maximum(rows.high, rows.low))
    return [
        bad_time,
        frame.floor(safe) != safe,
        ~np.isfinite(lowest) | ~np.isfinite(highest),  # minimum and maximum hand a NaN on
        lowest <= 0,
        rows.high < rows.low,
        (rows.volume < 0) | np.isinf(rows.volume),
    ]


def keep_aside(folder: pathlib.Path, suspects: Suspects) -> None:
    """
    Add rows to those kept aside, if they are not there yet; on return they are on the disk.

    The caller holds the lock of the series.

    Raises
    ------
    HistoryFull, HistoryError : they could not be written.
    """
    path = folder / QUARANTINE
    if records_in(path, _RECORD.itemsize) >= _MOST:  # to read them all again at each write takes 50 ms
        return
    held, _ = _read(path)
    seen = {record.tobytes() for record in held}
    fresh = [one for one in map(bytes, _records(suspects)) if one not in seen]
    data = b"".join(fresh[: max(0, _MOST - len(held))])
    if data:
        append_records(path, data, _RECORD.itemsize)


def _records(suspects: Suspects) -> list[bytes]:
    table = np.empty(len(suspects.rows), dtype=_RECORD)
    table["reason"] = suspects.reason
    for name, values in zip(FIELDS, suspects.rows.columns(), strict=True):
        table[name] = values
    for row in range(len(table)):
        table["crc"][row] = zlib.crc32(table[row].tobytes()[:_BODY_BYTES])
    return [record.tobytes() for record in table]


def read_aside(folder: pathlib.Path) -> Suspects:
    """Return the rows kept aside in a series' folder, in the order in which they came."""
    table, damaged = _read(folder / QUARANTINE)
    columns = [np.ascontiguousarray(table[name]) for name in FIELDS]
    return Suspects(Rows(*columns), np.ascontiguousarray(table["reason"]), damaged)


def rewrite_aside(folder: pathlib.Path) -> None:
    """Write the rows kept aside anew, without the records that are damaged. The caller holds the lock of the series."""
    path = folder / QUARANTINE
    try:
        put_file(path, _read(path)[0].tobytes())
    except OSError as error:
        raise refused(path, error) from error


def _read(path: pathlib.Path) -> tuple[npt.NDArray[np.void], int]:
    data = read_records(path)
    size = _RECORD.itemsize
    table = np.frombuffer(data, dtype=_RECORD, count=len(data) // size)
    view = memoryview(data)
    true = np.array([zlib.crc32(view[at : at + _BODY_BYTES]) for at in range(0, len(table) * size, size)], np.uint32)
    sound = (true == table["crc"]) & (table["reason"] < len(REASONS))
    return table[sound], len(table) - int(sound.sum())
