"""What can be wrong with the times of candles: units, order, doubles, the grid, gaps, and clocks that change."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tradeutils.analysis.quality_report import NO_TIME, Finding, runs, span_of
from tradeutils.analysis.quality_rows import UNITS, Rows
from tradeutils.model.candles import PRICE_FIELDS
from tradeutils.timeframe import Times

__all__ = [
    "Mask",
    "at_rows",
    "check_order",
    "check_spacing",
    "doubles",
    "gaps",
    "gaps_of_its_own",
    "off_grid",
    "unordered",
]

Mask = npt.NDArray[np.bool_]

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_SUNDAY: Final = 3  # 1970-01-01 was a Thursday


def at_rows(kind: str, rows: Rows, mask: Mask, *, detail: str = "") -> Finding | None:
    """Return a finding with a place for each run of rows in ``mask``; ``None`` where there is none."""
    start, stop = runs(mask)
    if not len(start):
        return None
    since, until = span_of(rows.time, start, stop, rows.frame)
    return Finding(
        kind=kind, symbol=rows.symbol, row=rows.number[start], bars=stop - start, since=since, until=until,
        detail=detail,
    )  # fmt: skip


def check_order(rows: Rows) -> list[Finding | None]:
    """Return what is wrong with the rows one after another: no time, its unit, their order, doubles."""
    used = np.bincount(rows.unit, minlength=len(UNITS))
    units = [name for name, count in zip(UNITS, used.tolist(), strict=True) if count and name != "ms"]
    duplicate, conflict = doubles(rows)
    back = unordered(rows)
    newest_first = len(rows) > 2 and bool((rows.time[1:] <= rows.time[:-1]).all())
    return [
        at_rows("bad_time", rows, rows.time == NO_TIME),
        at_rows("time_unit", rows, rows.unit != 1, detail=f"in {', '.join(units)}"),
        at_rows("unordered", rows, back, detail="newest first" if newest_first else ""),
        at_rows("duplicate", rows, duplicate),
        at_rows("conflict", rows, conflict),
    ]


def unordered(rows: Rows) -> Mask:
    """Return the rows that stand after one of a later time."""
    if not len(rows):
        return np.zeros(0, dtype=np.bool_)
    back: Mask = (rows.time < np.maximum.accumulate(rows.time)) & (rows.time != NO_TIME)
    return back


def doubles(rows: Rows) -> tuple[Mask, Mask]:
    """Return the rows whose time a later row has too: with the same values, and with others."""
    duplicate, conflict = np.zeros((2, len(rows)), dtype=np.bool_)
    if (rows.time[1:] > rows.time[:-1]).all():
        return duplicate, conflict
    order = np.argsort(rows.time, kind="stable")
    time = rows.time[order]
    last = np.r_[time[1:] != time[:-1], True]
    kept = order[np.flatnonzero(last)[np.cumsum(last) - last]]  # for each row the last one of its time
    same = np.logical_and.reduce([_equal(v[order], v[kept]) for v in (getattr(rows, name) for name in PRICE_FIELDS)])
    doubled = ~last & (time != NO_TIME)
    duplicate[order], conflict[order] = doubled & same, doubled & ~same
    return duplicate, conflict


def _equal(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Mask:
    equal: Mask = (a == b) | (np.isnan(a) & np.isnan(b))
    return equal


def check_spacing(rows: Rows, ordered: Rows) -> list[Finding | None]:
    """Return what is wrong with where the bars open: the grid, the day, gaps, clocks that change."""
    off = off_grid(rows)
    elsewhere = _starts_days_elsewhere(rows, off)
    gap = gaps(ordered)
    return [
        at_rows("off_grid", rows, off) if not elsewhere else None,
        _day_start(rows, off) if elsewhere else None,
        _dst_step(rows, gap),
        gap,
    ]


def off_grid(rows: Rows) -> Mask:
    """Return the rows whose bar does not open on the timeframe's grid."""
    known = rows.time != NO_TIME
    time = np.where(known, rows.time, 0) if not known.all() else rows.time
    off: Mask = (rows.frame.floor(time) != time) & known
    return off


def _starts_days_elsewhere(rows: Rows, off: Mask) -> bool:
    """Tell whether most bars, of a day or longer, open at one or two hours of the day that are not 00:00 UTC."""
    if (rows.frame.ms is not None and rows.frame.ms % _DAY) or not off.any() or 2 * off.sum() < len(off):
        return False
    hours = np.unique(rows.time[off] % _DAY)
    return len(hours) == 1 or (len(hours) == 2 and _is_an_hour(int(hours[1] - hours[0])))


def _is_an_hour(apart: int) -> bool:
    return apart in (_HOUR, _DAY - _HOUR)


def _day_start(rows: Rows, off: Mask) -> Finding | None:
    hours = np.unique(rows.time[off] % _DAY)
    shown = " and ".join(f"{h // _HOUR:02d}:{h % _HOUR // 60_000:02d}" for h in hours.tolist())
    return at_rows("day_start", rows, off, detail=f"at {shown}" + (", as clocks change" if len(hours) > 1 else ""))


def gaps(ordered: Rows) -> Finding | None:
    """Return the gaps as `Candles.gaps` counts them: a bar off the grid counts as the one that contains it."""
    frame = ordered.frame
    opens = frame.floor(ordered.time)
    expected = frame.shift(opens[:-1], 1)
    at = np.flatnonzero(opens[1:] > expected)
    if not len(at):
        return None
    since, until = expected[at], opens[at + 1]
    if frame.ms is not None:
        bars = (until - since) // frame.ms
    else:
        bars = np.array([frame.count(a, b) for a, b in zip(since.tolist(), until.tolist(), strict=True)])
    return Finding(
        kind="gap", symbol=ordered.symbol, row=ordered.number[at + 1], bars=bars, since=since, until=until
    )  # fmt: skip


def gaps_of_its_own(ordered: Rows, traded: Times) -> Finding | None:
    """Return the gaps in one symbol of a panel: bars it lacks of those that open at ``traded``, which others have."""
    opens = ordered.frame.floor(ordered.time)
    at = np.searchsorted(traded, opens)
    holes = np.flatnonzero(at[1:] > at[:-1] + 1)
    if not len(holes):
        return None
    first, last = at[holes] + 1, at[holes + 1]
    return Finding(
        kind="gap", symbol=ordered.symbol, row=ordered.number[holes + 1], bars=last - first, since=traded[first],
        until=ordered.frame.shift(traded[last - 1], 1),
    )  # fmt: skip


def _dst_step(rows: Rows, gap: Finding | None) -> Finding | None:
    """
    Return the hours that local clocks leave out in spring or go through twice in autumn, where the rows do so.

    Of the European Union and the United Kingdom (last Sundays of March and October) and of the United States and
    Canada (second Sunday of March, first of November), in wall-clock time, as a reader who takes it for UTC sees it.
    """
    step = rows.frame.ms
    known = rows.time != NO_TIME
    if step is None or _HOUR % step or not known.any():
        return None
    first, last = int(rows.time[known].min()), int(rows.time[known].max())
    spring, autumn = _clock_changes(first, last)
    found = np.empty(0, dtype=np.int64)
    if gap is not None:
        found = gap.since[(gap.until - gap.since == _HOUR) & np.isin(gap.since, spring)]
    inside = autumn[(autumn >= first) & (autumn < last)]
    if len(inside) and not (rows.time[1:] > rows.time[:-1]).all():
        opens, counts = np.unique(rows.time[known], return_counts=True)
        twice = opens[counts == 2]
        inside = inside[np.isin(inside, twice)]  # few, before they are multiplied by the bars of an hour
        whole = np.isin(inside[:, None] + np.arange(0, _HOUR, step), twice).all(axis=1)
        found = np.r_[found, inside[whole]]
    if not len(found):
        return None
    found.sort()
    opens = np.where(known, rows.time, NO_TIME)
    row = np.array([int(np.argmax(opens >= since)) for since in found.tolist()])
    return Finding(
        kind="dst_step", symbol=rows.symbol, row=rows.number[row], bars=np.full(len(found), _HOUR // step),
        since=found, until=found + _HOUR,
    )  # fmt: skip


def _clock_changes(first: int, last: int) -> tuple[Times, Times]:
    """Return the hours left out in spring and doubled in autumn, by their start on the wall clock, as if in UTC."""
    years = np.arange(
        np.datetime64(first, "ms").astype("datetime64[Y]"), np.datetime64(last, "ms").astype("datetime64[Y]") + 1
    ).astype("datetime64[M]")
    march, october, november = (_sundays(years + month) for month in (2, 9, 10))
    eu_spring, us_spring = march[1], march[0] + 7 * _DAY
    eu_autumn, us_autumn = october[1], november[0]
    spring = np.r_[us_spring + 2 * _HOUR, *(eu_spring + hour * _HOUR for hour in (1, 2, 3))]
    autumn = np.r_[us_autumn + _HOUR, *(eu_autumn + hour * _HOUR for hour in (1, 2, 3))]
    return np.unique(spring), np.unique(autumn)


def _sundays(months: npt.NDArray[np.datetime64]) -> tuple[Times, Times]:
    """Return the first and the last Sunday of each month, ms of its midnight."""
    first = months.astype("datetime64[D]").astype(np.int64)
    last = (months + 1).astype("datetime64[D]").astype(np.int64) - 1
    return (first + (_SUNDAY - first) % 7) * _DAY, (last - (last - _SUNDAY) % 7) * _DAY
