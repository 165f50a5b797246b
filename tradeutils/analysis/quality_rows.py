"""
Rows of candles as they were given, with all that is wrong with them.

Candles refuse times that do not rise, so that what is to be judged comes in here as columns in its own order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils import frames
from tradeutils import timeframe as _timeframe
from tradeutils.analysis.quality_report import NO_TIME
from tradeutils.errors import DataError, UsageError
from tradeutils.model import Candles, Panel
from tradeutils.model.candles import PRICE_FIELDS, Column
from tradeutils.timeframe import Timeframe, Times

__all__ = ["PER_MS", "UNITS", "Rows", "panel_rows", "read_rows", "whole_panel"]

UNITS: Final = ("s", "ms", "us", "ns")
PER_MS: Final = (1e-3, 1.0, 1e3, 1e6)
"""How many of each of `UNITS` are a millisecond."""

_MS: Final = 1
_UNIT_BOUNDS: Final = np.array([1e11, 1e14, 1e17])  # a time is told by its size: ms from 1973 to 5138
_EARLIEST_SECONDS: Final = 10**8  # 1973: below it a number could be in any unit, and is what it should be
_LATEST_MS: Final = 32_503_680_000_000  # 3000-01-01
_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_UNITS_OF_STEP: Final = (("w", 604_800_000), ("d", _DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """
    Columns of one series, each (T,), in the order in which they were given.

    Parameters
    ----------
    number : int64 array
        Where each row stood in the data as given; -1 for one that a repair added.
    time : int64 array
        Milliseconds UTC, ``NO_TIME`` where there is none, or one after the year 3000 or as long before 1970.
    unit : int8 array
        The unit the time was in, a place in `UNITS`.
    frame : Timeframe
        The length of a bar.
    """

    exchange: str
    symbol: str
    frame: Timeframe
    number: Times
    time: Times
    unit: npt.NDArray[np.int8]
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column
    closed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, where: npt.NDArray[Any]) -> Rows:
        """Return the rows of a mask, or of indexes."""
        names = ("number", "time", "unit", *PRICE_FIELDS, "closed")
        return replace(self, **{name: getattr(self, name)[where] for name in names})

    def ordered(self) -> Rows:
        """Return the rows that have a time, by time; of rows with one time the last."""
        known = self.time != NO_TIME
        rows = self if known.all() else self.take(known)
        rising = rows.time[1:] > rows.time[:-1]
        if rising.all():
            return rows
        order = np.argsort(rows.time, kind="stable")
        time = rows.time[order]
        return rows.take(order[np.r_[time[1:] != time[:-1], True][: len(order)]])

    def priced(self) -> npt.NDArray[np.bool_]:
        """Return where all four prices are finite and above zero."""
        good: npt.NDArray[np.bool_] = np.logical_and.reduce(
            [np.isfinite(x) & (x > 0) for x in (self.open, self.high, self.low, self.close)]
        )
        return good


def read_rows(data: Any, timeframe: str | Timeframe | None, *, exchange: str = "", symbol: str = "") -> Rows | None:
    """
    Return Candles, a DataFrame or rows of six as columns; ``None`` where there is no row to tell the timeframe.

    Raises
    ------
    UsageError : data of another kind; a timeframe that contradicts the candles', or cannot be told.
    DataError : a row that holds no numbers.
    """
    given = None if timeframe is None else _timeframe.parse(timeframe)
    for what, name in (("exchange", exchange), ("symbol", symbol)):
        if not isinstance(name, str):
            raise UsageError(f"{what} was {name!r:.60}; write text, as in symbol='BTC/USDT'")
    closed: npt.NDArray[np.bool_] | None
    if isinstance(data, Candles):
        own = _timeframe.parse(data.timeframe)
        if given is not None and given != own:
            raise UsageError(f"timeframe was {given} and the candles' own is {own}; leave it out")
        columns: list[npt.NDArray[Any]] = [data.time, *(getattr(data, name) for name in PRICE_FIELDS)]
        exchange, symbol, given, closed = exchange or data.exchange, symbol or data.symbol, own, data.closed
    else:
        table, closed = frames.rows_of_frame(data) if frames.is_frame(data) else (_table(data), None)
        columns = [np.ascontiguousarray(column) for column in table.T]
    time, unit, frame = _settle(columns[0], given)
    if frame is None:
        return None
    return Rows(
        exchange=exchange,
        symbol=symbol,
        frame=frame,
        number=np.arange(len(time)),
        time=time,
        unit=unit,
        closed=np.ones(len(time), dtype=np.bool_) if closed is None else closed,
        **dict(zip(PRICE_FIELDS, columns[1:], strict=True)),
    )


def panel_rows(panel: Panel) -> Iterator[Rows]:
    """Yield the rows of each symbol: those in which it has any price."""
    every = whole_panel(panel)
    for s, symbol in enumerate(panel.symbols):
        columns: dict[str, Any] = {n: np.ascontiguousarray(getattr(panel, n)[:, s]) for n in PRICE_FIELDS}
        there = ~np.logical_and.reduce([np.isnan(columns[name]) for name in PRICE_FIELDS[:4]])
        rows = replace(every, symbol=symbol, **columns)
        yield rows if there.all() else rows.take(there)


def whole_panel(panel: Panel) -> Rows:
    """Return the rows of a panel, without prices, for what is to be said of the times of all symbols."""
    frame = _timeframe.parse(panel.timeframe)
    time, unit, _ = _settle(panel.time, frame)
    nothing = np.full(len(panel), np.nan)
    return Rows(
        exchange=panel.exchange, symbol="", frame=frame, number=np.arange(len(panel)), time=time, unit=unit,
        closed=panel.closed, **dict.fromkeys(PRICE_FIELDS, nothing),
    )  # fmt: skip


def _table(data: Any) -> Column:
    """Return rows of six numbers, or more of which six count, as a float64 array (T, 6)."""
    how = "give Candles, a Panel, a DataFrame, or rows of [time, open, high, low, close, volume]"
    if isinstance(data, np.ndarray):
        if data.dtype.kind not in "iuf" or data.ndim != 2 or data.shape[1] < 6:
            raise UsageError(f"data was an array of {data.dtype} of shape {data.shape}; give float64 (T, 6), or {how}")
        return data[:, :6].astype(np.float64)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise UsageError(f"data was {data!r:.60}; {how}")
    taken = list(data)
    try:
        table = np.array([row[:6] for row in taken], dtype=np.float64)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        table = np.empty(0)
    if table.shape != (len(taken), 6) and taken:
        at = next((i for i, row in enumerate(taken) if not _is_row(row)), 0)
        raise DataError(f"row {at} was {taken[at]!r:.80}; write numbers: [time, open, high, low, close, volume]")
    return table.reshape(-1, 6)


def _is_row(row: Any) -> bool:
    try:
        return isinstance(row, Sequence | np.ndarray) and np.array(row[:6], dtype=np.float64).shape == (6,)
    except (TypeError, ValueError, OverflowError):
        return False


def _settle(
    raw: npt.NDArray[Any], given: Timeframe | None
) -> tuple[Times, npt.NDArray[np.int8], Timeframe | None]:  # fmt: skip
    """Return times in ms, the unit that each was in, and the timeframe: as given, else the most common step."""
    known = np.isfinite(raw) & (np.abs(raw) < 2.0**62)
    main = _main_unit(raw[known], given)
    unit = np.full(len(raw), main, dtype=np.int8)
    time = _in_ms(raw, known, unit)
    if known.any():
        time = _settle_strays(raw, known, unit, time, given)
    frame = given
    known = time != NO_TIME
    if frame is None and known.any():
        frame = _inferred(time[known])
    return time, unit, frame


def _in_ms(raw: npt.NDArray[Any], known: npt.NDArray[np.bool_], unit: npt.NDArray[np.int8]) -> Times:
    if raw.dtype == np.int64 and (unit == _MS).all() and (np.abs(raw) <= _LATEST_MS).all():
        return raw
    scaled = np.where(known, raw, 0) / np.array(PER_MS)[unit]
    fits = known & (np.abs(scaled) <= _LATEST_MS)
    return np.where(fits, np.rint(np.where(fits, scaled, 0)).astype(np.int64), NO_TIME)


def _main_unit(raw: npt.NDArray[Any], frame: Timeframe | None) -> int:
    """Return the unit that most times are in: by their step where that fits the timeframe, else by their size."""
    if not len(raw):
        return _MS
    step = _common_step(raw)
    if frame is not None and frame.ms is not None:
        for unit in (_MS, 0, 2, 3):
            if step == frame.ms * PER_MS[unit]:
                return unit
    size = float(np.median(np.abs(raw)))
    # Milliseconds before March 1973 are as small as seconds of today, and tell themselves by where they stand.
    small = size < _UNIT_BOUNDS[0]
    if small and 2 * np.count_nonzero(_on_grid(raw, frame, step)) > len(raw):
        return _MS
    return _MS if size < _EARLIEST_SECONDS else int(np.searchsorted(_UNIT_BOUNDS, size, side="right"))


def _on_grid(raw: npt.NDArray[Any], frame: Timeframe | None, step: float) -> npt.NDArray[np.bool_]:
    """Return which times, read as ms, a bar opens at: by the timeframe, else by a step of whole minutes."""
    if frame is None:
        whole: npt.NDArray[np.bool_] = np.mod(raw, _MINUTE_MS) == 0
        return whole & bool(step > 0 and step % _MINUTE_MS == 0)
    within = np.abs(raw) <= _LATEST_MS
    time = np.where(within, raw, 0).astype(np.int64)
    on: npt.NDArray[np.bool_] = within & (time == raw) & (frame.floor(time) == time)
    return on


def _settle_strays(
    raw: npt.NDArray[Any],
    known: npt.NDArray[np.bool_],
    unit: npt.NDArray[np.int8],
    time: Times,
    frame: Timeframe | None,
) -> Times:
    """Return the times, rows of another unit than the others read in theirs where that puts them among the others."""
    sizes = np.searchsorted(_UNIT_BOUNDS, np.abs(np.where(known, raw, 0)), side="right").astype(np.int8)
    stray = known & (sizes != unit)
    if not stray.any() or stray[known].mean() > 0.5:
        return time
    others = time[known & ~stray & (time != NO_TIME)]
    if not len(others):
        return time
    low, high = int(others.min()), int(others.max())
    margin = max(high - low, _DAY_MS)
    as_they_look = _in_ms(raw, stray, sizes)
    near, among = ((at >= low - margin) & (at <= high + margin) for at in (time, as_they_look))
    # Bars of before 1973 that later ones follow look like seconds, and are none where they stand well as they are.
    at_home = stray & near
    if at_home.any():
        at_home &= _on_grid(raw, frame, _common_step(raw[known]))
    fits = stray & among & ~at_home
    unit[fits] = sizes[fits]
    return np.where(fits, as_they_look, time) if fits.any() else time


def _common_step(time: npt.NDArray[Any]) -> float:
    """Return the most common step between times that differ, the smallest of those, 0 where there is none."""
    # Sorted, not np.unique: NumPy's hashes, which takes three times as long as all checks together.
    steps = np.diff(time if (time[1:] >= time[:-1]).all() else np.sort(time))
    steps = np.sort(steps[steps > 0])
    if not len(steps):
        return 0.0
    begins = np.flatnonzero(np.r_[True, steps[1:] != steps[:-1]])
    return float(steps[begins[np.diff(np.r_[begins, len(steps)]).argmax()]])


def _inferred(time: Times) -> Timeframe:
    step = int(_common_step(time))
    month = _timeframe.parse("1M")
    if step >= 28 * _DAY_MS and np.all(month.floor(time) == time):
        return month
    for unit, length in _UNITS_OF_STEP:
        if step and step % length == 0 and step // length < 10_000:
            return _timeframe.parse(f"{step // length}{unit}")
    what = f"the most common step was {step} ms" if step else "one time is there"
    raise UsageError(f"{what}, which does not tell the timeframe; say it: timeframe='1m'")
