"""Repairs of candles, each by its name, each with a record of what it changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradeutils.analysis import quality_times as times
from tradeutils.analysis import quality_values as values
from tradeutils.analysis.quality_report import NO_TIME
from tradeutils.analysis.quality_rows import UNITS, Rows
from tradeutils.analysis.quality_sources import shift_back, shifts
from tradeutils.analysis.quality_values import Limits
from tradeutils.errors import DataError, UnknownName, UsageError
from tradeutils.model.candles import PRICE_FIELDS

__all__ = ["RULES", "Change", "Rule", "mend"]

_MOST_ADDED: Final = 100  # bars added for each that is there, beyond the first million
_COLUMNS: Final = ("time", *PRICE_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """
    What one rule changed in one series.

    Attributes
    ----------
    rule, symbol : str
    row : int64 array, shape (N,)
        The rows in the data as given, from 0; -1 for bars that were added.
    time : int64 array, shape (N,)
        When each opens, ms UTC, before the change; of a bar that was added, its own.
    old, new : mapping of str to array (N,)
        What changed, by column: of a row that was dropped ``new`` is empty, of a bar that was added ``old`` is.
    """

    rule: str
    symbol: str
    row: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    old: Mapping[str, npt.NDArray[Any]]
    new: Mapping[str, npt.NDArray[Any]]

    @property
    def count(self) -> int:
        """How many rows."""
        return len(self.row)

    @property
    def text(self) -> str:
        """What was changed, in one line."""
        what = RULES[self.rule].done
        rows = f"{self.count} row{'s' if self.count != 1 else ''}"
        return f"{f'{self.symbol} ' if self.symbol else ''}{self.rule}: {rows} {what}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON; a number that is not finite is ``None``."""
        return {
            "rule": self.rule,
            "symbol": self.symbol,
            "count": self.count,
            "row": self.row.tolist(),
            "time": _plain(self.time),
            "old": {name: _plain(column) for name, column in self.old.items()},
            "new": {name: _plain(column) for name, column in self.new.items()},
        }


def _plain(column: npt.NDArray[Any]) -> list[Any]:
    if column.dtype.kind == "U":
        return list(column.tolist())
    known = np.isfinite(column) if column.dtype.kind == "f" else column != NO_TIME
    return [value if there else None for value, there in zip(column.tolist(), known.tolist(), strict=True)]


class Rule(NamedTuple):
    """A repair: the kinds of finding that it mends, what it does, and what is said of the rows it changed."""

    mends: tuple[str, ...]
    meaning: str
    done: str


RULES: Final[Mapping[str, Rule]] = {
    "drop_bad_times": Rule(("bad_time",), "Drop rows without a time.", "dropped"),
    "convert_times": Rule(("time_unit",), "Read times in s, us or ns as milliseconds.", "read in ms"),
    "shift_hours": Rule(
        ("shifted",), "Move times by the whole hours that they are off ``against``.", "moved by whole hours"
    ),
    "snap_to_grid": Rule(
        ("off_grid", "day_start"),
        "Move a bar to the open of the bar that contains its time; where one stands there already and the next is "
        "free, to the next.",
        "moved onto the grid",
    ),
    "sort": Rule(("unordered",), "Put the rows in the order of their times.", "moved to their place"),
    "drop_duplicates": Rule(("duplicate",), "Of rows with one time and the same values keep the last.", "dropped"),
    "keep_last": Rule(("conflict",), "Of rows with one time and other values keep the last.", "dropped"),
    "drop_bad_prices": Rule(
        ("not_finite", "not_positive"), "Drop rows with a price that is NaN, infinite, zero or below.", "dropped"
    ),
    "blank_bad_volume": Rule(
        ("bad_volume",), "Make volumes that are negative or infinite unknown (NaN).", "with the volume made unknown"
    ),
    "clip_high_low": Rule(
        ("high_below_body", "low_above_body"),
        "Raise a high to the open or close above it, lower a low to the one below it.",
        "with high or low put at the body's end",
    ),
    "drop_spikes": Rule(("spike",), "Drop bars with a spike, and those that are one once these are gone.", "dropped"),
    "fill_gaps_flat": Rule(
        ("gap", "outage"),
        "Fill gaps with bars at the close before them, volume 0; they are marked in ``filled``.",
        "added",
    ),
}
"""Every repair, by name, in the order in which they are done."""


def mend(rows: Rows, names: set[str], limits: Limits, against: Rows | None) -> tuple[Rows, list[Change]]:
    """Apply the named rules to a series, in the order of `RULES`, and return what each changed."""
    changes: list[Change] = []
    for name in RULES:
        if name in names:
            if name != "shift_hours":
                rows, change = _APPLIED[name](rows, limits)
            elif against is not None:
                rows, change = _shift_hours(rows, against)
            else:
                change = None  # a symbol that the other panel lacks
            if change is not None:
                changes.append(change)
    return rows, changes


def _dropped(rule: str, rows: Rows, mask: times.Mask) -> tuple[Rows, Change | None]:
    if not mask.any():
        return rows, None
    gone = rows.take(mask)
    old = {name: getattr(gone, name) for name in _COLUMNS}
    return rows.take(~mask), Change(rule=rule, symbol=rows.symbol, row=gone.number, time=gone.time, old=old, new={})


def _moved(rule: str, rows: Rows, changed: Rows) -> tuple[Rows, Change | None]:
    """Return rows with other values in some columns, and which."""
    names = [name for name in _COLUMNS if getattr(rows, name) is not getattr(changed, name)]
    differs = np.zeros(len(rows), dtype=np.bool_)
    for name in names:
        a, b = getattr(rows, name), getattr(changed, name)
        differs |= (a != b) & ~(np.isnan(a) & np.isnan(b)) if a.dtype.kind == "f" else a != b
    if not differs.any():
        return rows, None
    old, new = ({name: getattr(side, name)[differs] for name in names} for side in (rows, changed))
    made = Change(
        rule=rule, symbol=rows.symbol, row=rows.number[differs], time=rows.time[differs], old=old, new=new
    )  # fmt: skip
    return changed, made


def _drop_bad_times(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    return _dropped("drop_bad_times", rows, rows.time == NO_TIME)


def _convert_times(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    """Record what the intake did: it reads all units, and the rule is the leave to keep that."""
    other = rows.unit != UNITS.index("ms")
    if not other.any():
        return rows, None
    wrong = rows.take(other)
    change = Change(
        rule="convert_times", symbol=rows.symbol, row=wrong.number, time=wrong.time,
        old={"unit": np.array(UNITS)[wrong.unit]}, new={"time": wrong.time},
    )  # fmt: skip
    return replace(rows, unit=np.full(len(rows), UNITS.index("ms"), dtype=np.int8)), change


def _shift_hours(rows: Rows, against: Rows) -> tuple[Rows, Change | None]:
    ordered = rows.ordered()
    moved = shift_back(ordered, shifts(ordered, against))
    if moved is ordered:
        return rows, None
    by = ordered.time - moved.time
    # Rows that stand twice have one time, and go where the one of them goes that was compared.
    at = np.searchsorted(ordered.time, rows.time)
    time = np.where(rows.time == NO_TIME, NO_TIME, rows.time - by[np.minimum(at, len(by) - 1)])
    return _moved("shift_hours", rows, replace(rows, time=time))


def _snap_to_grid(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    off = times.off_grid(rows)
    if not off.any():
        return rows, None
    time = rows.time.copy()
    opens = rows.frame.floor(rows.time[off])
    after = rows.frame.shift(opens, 1)
    taken = rows.time[~off]
    time[off] = np.where(np.isin(opens, taken) & ~np.isin(after, np.r_[taken, opens]), after, opens)
    return _moved("snap_to_grid", rows, replace(rows, time=time))


def _sort(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    back = times.unordered(rows)
    if not back.any():
        return rows, None
    late = rows.take(back)
    order = np.argsort(rows.time, kind="stable")
    places = np.empty(len(rows), dtype=np.int64)
    places[order] = np.arange(len(rows))
    change = Change(
        rule="sort", symbol=rows.symbol, row=late.number, time=late.time,
        old={"place": np.flatnonzero(back)}, new={"place": places[back]},
    )  # fmt: skip
    return rows.take(order), change


def _drop_duplicates(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    return _dropped("drop_duplicates", rows, times.doubles(rows)[0])


def _keep_last(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    return _dropped("keep_last", rows, times.doubles(rows)[1])


def _drop_bad_prices(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    return _dropped("drop_bad_prices", rows, ~rows.priced())


def _blank_bad_volume(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    volume = np.where(values.bad_volume(rows), np.nan, rows.volume)
    return _moved("blank_bad_volume", rows, replace(rows, volume=volume))


def _clip_high_low(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    high = np.where(values.high_below_body(rows), np.maximum(rows.open, rows.close), rows.high)
    low = np.where(values.low_above_body(rows), np.minimum(rows.open, rows.close), rows.low)
    return _moved("clip_high_low", rows, replace(rows, high=high, low=low))


def _drop_spikes(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    left = rows.ordered()
    gone: list[npt.NDArray[np.int64]] = []
    while (hit := values.spikes(left, limits)).any():
        gone.append(left.time[hit])
        left = left.take(~hit)
    return _dropped(
        "drop_spikes", rows, np.isin(rows.time, np.concatenate(gone)) if gone else np.zeros(len(rows), np.bool_)
    )


def _fill_gaps_flat(rows: Rows, limits: Limits) -> tuple[Rows, Change | None]:
    ordered = rows.ordered()
    gap = times.gaps(ordered)
    if gap is None:
        return rows, None
    if gap.total_bars > 1_000_000 + _MOST_ADDED * len(rows):
        raise DataError(
            f"fill_gaps_flat would add {gap.total_bars:,} bars to {len(rows):,}; is a time wrong? Look at the longest: "
            f"{gap.text}"
        )
    spans = zip(gap.since.tolist(), gap.until.tolist(), strict=True)
    time = np.concatenate([rows.frame.range(since, until) for since, until in spans])
    before = np.searchsorted(ordered.time, time) - 1
    priced = np.flatnonzero(np.isfinite(ordered.close))
    if not len(priced) or (np.searchsorted(priced, before, side="right") == 0).any():
        raise DataError("fill_gaps_flat needs a close before each gap; name the rule drop_bad_prices too")
    close = ordered.close[priced[np.searchsorted(priced, before, side="right") - 1]]
    size = len(time)
    new = {"time": time, **dict.fromkeys(("open", "high", "low", "close"), close), "volume": np.zeros(size)}
    number = np.full(size, -1)
    joined: dict[str, Any] = {name: np.concatenate((getattr(rows, name), new[name])) for name in _COLUMNS}
    made = replace(
        rows,
        number=np.concatenate((rows.number, number)),
        closed=np.concatenate((rows.closed, np.ones(size, dtype=np.bool_))),
        unit=np.concatenate((rows.unit, np.full(size, UNITS.index("ms"), dtype=np.int8))),
        **joined,
    )
    order = np.argsort(made.time, kind="stable")
    # Rows that were not in order stay so: without the rule sort that is refused, not mended by the way.
    made = made.take(order) if not times.unordered(rows).any() else made
    return made, Change(rule="fill_gaps_flat", symbol=rows.symbol, row=number, time=time, old={}, new=new)


_APPLIED: Final[Mapping[str, Callable[[Rows, Limits], tuple[Rows, Change | None]]]] = {
    "drop_bad_times": _drop_bad_times,
    "convert_times": _convert_times,
    "snap_to_grid": _snap_to_grid,
    "sort": _sort,
    "drop_duplicates": _drop_duplicates,
    "keep_last": _keep_last,
    "drop_bad_prices": _drop_bad_prices,
    "blank_bad_volume": _blank_bad_volume,
    "clip_high_low": _clip_high_low,
    "drop_spikes": _drop_spikes,
    "fill_gaps_flat": _fill_gaps_flat,
}


def check_rules(rules: Any) -> set[str]:
    """Return the names of rules that were asked for."""
    if isinstance(rules, str) or not hasattr(rules, "__iter__"):
        raise UsageError(f"rules was {rules!r:.60}; give a list of names: [{next(iter(RULES))!r}]")
    names = list(rules)
    for name in names:
        if not isinstance(name, str) or name not in RULES:
            raise UnknownName("rule", name, RULES)
    return set(names)


def refuse_what_is_left(rows: Rows) -> None:
    """Raise `DataError` where rows cannot be candles yet, naming the rules that would make them so."""
    duplicate, conflict = times.doubles(rows)
    left = {
        "drop_bad_times": rows.time == NO_TIME,
        "convert_times": rows.unit != UNITS.index("ms"),
        "sort": times.unordered(rows),
        "drop_duplicates": duplicate,
        "keep_last": conflict,
    }
    told = [f"{int(mask.sum())} {RULES[rule].mends[0]} ({rule})" for rule, mask in left.items() if mask.any()]
    if told:
        whose = f"{rows.symbol}: " if rows.symbol else ""
        raise DataError(f"{whose}left are rows that Candles cannot hold: {', '.join(told)}; name these rules too")
