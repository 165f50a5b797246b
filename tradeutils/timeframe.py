"""
Timeframes, ``"1s"`` to ``"1M"``, and the arithmetic of bars on int64 milliseconds UTC.

A bar is named by the time it opens. Seconds to days are counted from the Unix epoch, weeks open on
Monday and months on the first, both at 00:00 UTC, as the venues that ccxt speaks to count them.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import Any, Final, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from tradeutils.errors import UnknownName, UsageError

__all__ = ["Instant", "Timeframe", "Times", "parse", "to_ms"]

Times: TypeAlias = npt.NDArray[np.int64]
"""Milliseconds since 1970-01-01 UTC, int64."""

Instant: TypeAlias = "int | dt.datetime"
"""A moment as the API takes it: int milliseconds UTC, or an aware datetime."""

_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNIT_MONTHS: Final = {"M": 1, "y": 12}
# Largest first. Not days to weeks: seven days are counted from the epoch, a week from Monday.
_LARGER: Final = {
    "s": (("d", 86_400), ("h", 3_600), ("m", 60)),
    "m": (("d", 1_440), ("h", 60)),
    "h": (("d", 24),),
    "M": (("y", 12),),
}
_PATTERN: Final = re.compile(r"([0-9]{1,4})([smhdwMyY]?)")
_DAY_MS: Final = 86_400_000
_FIRST_MONDAY_MS: Final = -3 * _DAY_MS  # 1969-12-29: the Monday on or before the epoch
_COMMON: Final = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M", "3M", "1y",
)  # fmt: skip

# Outside these bounds an int is not milliseconds of a market's lifetime but seconds or microseconds.
_SECONDS_LOOK: Final = (100_000_000, 100_000_000_000)
_LATEST_MS: Final = 32_503_680_000_000  # 3000-01-01


class Timeframe:
    """
    One timeframe; get it from `parse`.

    Attributes
    ----------
    name : str
        As venues write it, in the largest unit that fits: ``"5m"``, ``"1h"`` (also for ``"60m"``), ``"1M"``.
    ms : int or None
        Length of a bar in milliseconds; ``None`` for months and years, whose bars differ in length.
    months : int
        Calendar months in a bar; 0 where ``ms`` says the length.
    """

    __slots__ = ("_anchor", "months", "ms", "name")

    def __init__(self, name: str, ms: int | None, months: int, anchor: int) -> None:
        self.name = name
        self.ms = ms
        self.months = months
        self._anchor = anchor

    def __repr__(self) -> str:
        return f"Timeframe({self.name!r})"

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        # The anchor counts: "7d" and "1w" are equally long, and their bars open on different days.
        if not isinstance(other, Timeframe):
            return NotImplemented
        return (self.ms, self.months, self._anchor) == (other.ms, other.months, other._anchor)

    def __hash__(self) -> int:
        return hash((self.ms, self.months, self._anchor))

    def __reduce__(self) -> tuple[Any, ...]:
        return parse, (self.name,)

    @property
    def nominal_ms(self) -> int:
        """Length of a bar in milliseconds, months taken as 30 days and years as 365: for estimates only."""
        if self.ms is not None:
            return self.ms
        years, months = divmod(self.months, 12)
        return 30 * _DAY_MS * self.months if months else 365 * _DAY_MS * years

    @overload
    def floor(self, time: int) -> int: ...
    @overload
    def floor(self, time: Times) -> Times: ...
    def floor(self, time: int | Times) -> int | Times:
        """Return the open of the bar that contains ``time`` (int, or int64 array of any shape)."""
        if self.ms is not None:
            return time - (time - self._anchor) % self.ms
        index = _month_of(time)
        opened: int | Times = _month_open(index - index % self.months)
        return opened

    @overload
    def shift(self, opened: int, bars: int = 1) -> int: ...
    @overload
    def shift(self, opened: Times, bars: int = 1) -> Times: ...
    def shift(self, opened: int | Times, bars: int = 1) -> int | Times:
        """Return the open of the bar ``bars`` after (negative: before) the one that opens at ``opened``."""
        if self.ms is not None:
            return opened + bars * self.ms
        shifted: int | Times = _month_open(_month_of(opened) + bars * self.months)
        return shifted

    def next(self, time: int) -> int:
        """Return the first open after ``time``: the moment at which the bar containing ``time`` closes."""
        return self.shift(self.floor(time))

    def ceil(self, time: int) -> int:
        """Return ``time`` if a bar opens then, else the next open."""
        opened = self.floor(time)
        return opened if opened == time else self.shift(opened)

    def count(self, since: int, until: int) -> int:
        """Return how many bars open in ``[since, until)``."""
        first, last = self.ceil(since), self.ceil(until)
        if last <= first:
            return 0
        if self.ms is not None:
            return (last - first) // self.ms
        return int(_month_of(last) - _month_of(first)) // self.months

    def range(self, since: int, until: int) -> Times:
        """Return the opens in ``[since, until)``, int64 ms, ascending."""
        bars, first = self.count(since, until), self.ceil(since)
        if self.ms is not None:
            return first + np.arange(bars, dtype=np.int64) * self.ms
        start = int(_month_of(first))
        months = start + np.arange(bars, dtype=np.int64) * self.months
        return np.asarray(_month_open(months), dtype=np.int64)

    def divides(self, coarser: Timeframe) -> bool:
        """Tell whether every bar of ``coarser`` is made of whole bars of this timeframe."""
        if self.ms is not None and coarser.ms is not None:
            return coarser.ms % self.ms == 0 and (coarser._anchor - self._anchor) % self.ms == 0
        if self.ms is not None:  # months open at midnight, so the day must be whole bars
            return self._anchor == 0 and _DAY_MS % self.ms == 0
        return coarser.ms is None and coarser.months % self.months == 0


def _month_of(time: Any) -> Any:
    """Months since 1970-01 of the month that contains ``time``."""
    months = np.asarray(time, dtype=np.int64).astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    return months if isinstance(time, np.ndarray) else int(months)


def _month_open(months: Any) -> Any:
    """Milliseconds of the first moment of the month ``months`` after 1970-01."""
    opened = np.asarray(months, dtype=np.int64).astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)
    return opened if isinstance(months, np.ndarray) else int(opened)


@functools.lru_cache(maxsize=512)
def _parse(text: str) -> Timeframe:
    match = _PATTERN.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise UnknownName("timeframe", text, _COMMON)
    count, unit = int(match[1]), match[2] or "m"  # a bare number is minutes, as one of ccxt's venues writes it
    unit = "y" if unit == "Y" else unit
    for larger, size in _LARGER.get(unit, ()):  # one length has one name: "60m" is "1h"
        if count % size == 0:
            count, unit = count // size, larger
            break
    if unit in _UNIT_MONTHS:
        return Timeframe(f"{count}{unit}", None, count * _UNIT_MONTHS[unit], 0)
    return Timeframe(f"{count}{unit}", count * _UNIT_MS[unit], 0, _FIRST_MONDAY_MS if unit == "w" else 0)


def parse(timeframe: str | Timeframe) -> Timeframe:
    """
    Return the timeframe that ``timeframe`` names.

    Parameters
    ----------
    timeframe : str or Timeframe
        A count and a unit: ``s m h d w M y``, as in ``"15m"`` or ``"1M"``; ``m`` is minutes, ``M`` months.

    Raises
    ------
    UnknownName : it names none; the nearest common ones are in the message.
    """
    if isinstance(timeframe, Timeframe):
        return timeframe
    if not isinstance(timeframe, str):
        raise UnknownName("timeframe", timeframe, _COMMON)
    return _parse(timeframe)


def to_ms(value: Instant, *, name: str = "time") -> int:
    """
    Return a moment as int milliseconds UTC.

    Parameters
    ----------
    value : int or aware datetime
        Milliseconds since the epoch, or a datetime that knows its time zone.
    name : str
        The parameter this is for, used in messages.

    Raises
    ------
    UsageError : a naive datetime; a value of another type; an int that is plainly seconds or microseconds.
    """
    if isinstance(value, dt.datetime):
        if value.tzinfo is None or value.utcoffset() is None:
            raise UsageError(f"{name} was {value!r}, without a time zone; write {name}=datetime(..., tzinfo=UTC)")
        return (value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise UsageError(f"{name} was {value!r}; write milliseconds UTC as an int, or an aware datetime")
    number = int(value)
    if _SECONDS_LOOK[0] < number < _SECONDS_LOOK[1]:
        raise UsageError(f"{name} was {number}, which looks like seconds; write milliseconds: {number * 1000}")
    if abs(number) > _LATEST_MS:
        raise UsageError(
            f"{name} was {number}, over a thousand years off; times are in milliseconds, not micro- or nanoseconds"
        )
    return number
