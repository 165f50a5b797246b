"""What a history holds and what it costs: counted from the ends of its files, without reading the candles."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from tradeutils.errors import HistoryCorrupt, HistoryError
from tradeutils.history.store.journal import JOURNAL, NOTHING, read_journal
from tradeutils.history.store.layout import SeriesKey, folder_of, partitions_in
from tradeutils.history.store.partitions import read_partition
from tradeutils.timeframe import Times

__all__ = ["HistoryStats", "SeriesStats", "collect", "footer", "rows_with"]

_DAY_MS: Final = 86_400_000
# A series grows if its newest candle lies within two days, or two bars, of the newest of all.
_LIVE_MS: Final = 2 * _DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStats:
    """
    One series.

    Attributes
    ----------
    rows : int
        Candles, each counted once, sealed or not.
    first, last : int or None
        Opens of the first and the last candle, ms UTC; ``None`` where there is none.
    bytes, files : int
        Size and number of its Parquet files; those that are damaged are left out.
    unsealed, journal_bytes : int
        Candles that are in the journal and in no Parquet file yet, and its size.
    quarantined : int
        Candles kept aside.
    damaged : tuple of str
        What could not be counted, and why; `History.verify` says more.
    """

    exchange: str
    symbol: str
    timeframe: str
    rows: int = 0
    first: int | None = None
    last: int | None = None
    bytes: int = 0
    files: int = 0
    unsealed: int = 0
    journal_bytes: int = 0
    quarantined: int = 0
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStats:
    """
    A history, or a part of it.

    Attributes
    ----------
    series : tuple of SeriesStats
    free_bytes : int
        Free on the disk that it lies on.
    """

    path: str
    series: tuple[SeriesStats, ...]
    free_bytes: int

    def _sum(self, name: str) -> int:
        return sum(getattr(one, name) for one in self.series)

    @property
    def rows(self) -> int:
        """Candles."""
        return self._sum("rows")

    @property
    def bytes(self) -> int:
        """Bytes of the Parquet files."""
        return self._sum("bytes")

    @property
    def files(self) -> int:
        """Parquet files."""
        return self._sum("files")

    @property
    def journal_bytes(self) -> int:
        """Bytes of the journals: candles that are safe, and that other engines do not see before `History.seal`."""
        return self._sum("journal_bytes")

    @property
    def unsealed(self) -> int:
        """Candles that are in no Parquet file yet."""
        return self._sum("unsealed")

    @property
    def quarantined(self) -> int:
        """Candles kept aside."""
        return self._sum("quarantined")

    @property
    def damaged(self) -> tuple[str, ...]:
        """What could not be counted."""
        return tuple(text for one in self.series for text in one.damaged)

    @property
    def bytes_a_candle(self) -> float | None:
        """Bytes of a sealed candle; ``None`` where none is sealed."""
        sealed = self.rows - self.unsealed
        return self.bytes / sealed if sealed else None

    @property
    def first(self) -> int | None:
        """Open of the first candle of all, ms UTC."""
        return min((one.first for one in self.series if one.first is not None), default=None)

    @property
    def last(self) -> int | None:
        """Open of the last candle of all, ms UTC."""
        return max((one.last for one in self.series if one.last is not None), default=None)

    @property
    def growth_bytes_a_day(self) -> float:
        """
        What the series that still grow will add a day, sealed: a projection, not a measurement.

        A bar each timeframe, at the bytes that a candle takes now (14 where none is sealed).
        """
        last = self.last
        if last is None:
            return 0.0
        size = self.bytes_a_candle or 14.0
        frames = [
            (SeriesKey(one.exchange, one.symbol, one.timeframe).frame.nominal_ms, one.last)
            for one in self.series
            if one.last is not None
        ]
        return sum(size * _DAY_MS / bar for bar, newest in frames if last - newest <= max(_LIVE_MS, 2 * bar))

    @property
    def days_until_full(self) -> float | None:
        """Days until the free room is used at that growth, a projection; ``None`` where nothing grows."""
        growth = self.growth_bytes_a_day
        return self.free_bytes / growth if growth else None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-shaped values."""
        names = (
            "rows", "bytes", "files", "journal_bytes", "unsealed", "quarantined", "damaged", "bytes_a_candle", "first",
            "last", "growth_bytes_a_day", "days_until_full",
        )  # fmt: skip
        return {**asdict(self), **{name: getattr(self, name) for name in names}}

    def __str__(self) -> str:
        size = self.bytes_a_candle
        text = f"{len(self.series)} series, {self.rows:,} candles in {self.files} files, {self.bytes:,} bytes"
        text += "" if size is None else f" ({size:.1f} a candle)"
        text += f"; {self.unsealed:,} not sealed" if self.unsealed else ""
        text += f"; {self.quarantined:,} quarantined" if self.quarantined else ""
        text += f"; {len(self.damaged)} files damaged" if self.damaged else ""
        return text


@dataclass(frozen=True, slots=True)
class _Footer:
    path: pathlib.Path
    bytes: int
    rows: int
    first: int
    last: int


def footer(path: pathlib.Path) -> tuple[int, int, int]:
    """
    Return the rows of a Parquet file of ours and the opens of its first and last candle, from its end alone.

    Raises
    ------
    HistoryCorrupt : its end cannot be read, or says nothing of them.
    """
    try:
        about = pa.parquet.read_metadata(path)
        told = [about.row_group(at).column(0).statistics for at in range(about.num_row_groups)]
        return about.num_rows, int(told[0].min_raw), int(told[-1].max_raw)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise HistoryCorrupt(f"{path} is not a Parquet file that can be read: {error}") from error


def rows_with(path: pathlib.Path, tail: Times) -> int:
    """
    Return the candles of a file and those of a journal that belong into it, each counted once.

    Raises
    ------
    HistoryCorrupt : the end of the file cannot be read.
    """
    end = footer(path)
    return end[0] + len(_new(tail, [_Footer(path, 0, *end)]))


def collect(root: pathlib.Path, keys: Iterable[SeriesKey], quarantined: Callable[[SeriesKey], int]) -> HistoryStats:
    """Count series; see `History.stats`. ``quarantined`` tells how many candles of a series are kept aside."""
    series = tuple(_series(root, key, quarantined) for key in sorted(keys))
    there = next(folder for folder in (root, *root.parents) if folder.exists())  # it is made at the first write
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        raise HistoryError(f"{root} could not be looked at: {error.strerror}") from error
    return HistoryStats(path=os.fspath(root), series=series, free_bytes=free)


def _series(root: pathlib.Path, key: SeriesKey, quarantined: Callable[[SeriesKey], int]) -> SeriesStats:
    folder = folder_of(root, key)
    damaged: list[str] = []
    view, aside = NOTHING, 0
    try:
        # The journal before the files: what is sealed in between is then seen twice, and counted once below.
        view = read_journal(folder / JOURNAL)
        aside = quarantined(key)
    except HistoryCorrupt as error:
        damaged.append(str(error))
    files = _footers(folder, key, damaged)
    unsealed = _new(view.rows.time, files)
    edges = [time for file in files for time in (file.first, file.last)]
    edges += unsealed[[0, -1]].tolist() if len(unsealed) else []
    return SeriesStats(
        exchange=key.exchange,
        symbol=key.symbol,
        timeframe=key.timeframe,
        rows=sum(file.rows for file in files) + len(unsealed),
        first=min(edges, default=None),
        last=max(edges, default=None),
        bytes=sum(file.bytes for file in files),
        files=len(files),
        unsealed=len(unsealed),
        journal_bytes=view.size,
        quarantined=aside,
        damaged=tuple(damaged),
    )


def _footers(folder: pathlib.Path, key: SeriesKey, damaged: list[str]) -> list[_Footer]:
    found = []
    for part in partitions_in(folder, key.frame):
        path = folder / part.name
        try:
            found.append(_Footer(path, path.stat().st_size, *footer(path)))
        except FileNotFoundError:  # pruned while we looked
            continue
        except HistoryCorrupt as error:
            damaged.append(str(error))
    return found


def _new(time: Times, files: Iterable[_Footer]) -> Times:
    """Return the times of a journal that are in no file: those that are there correct a candle that is sealed."""
    for file in files:
        inside = (time >= file.first) & (time <= file.last)
        if inside.any():
            with contextlib.suppress(FileNotFoundError, HistoryCorrupt):
                held = read_partition(file.path, since=int(time[inside][0]), until=int(time[inside][-1]) + 1).time
                time = time[~(inside & np.isin(time, held))]
    return time
