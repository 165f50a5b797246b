"""Days that begin at another moment than 00:00 UTC, and trading hours inside them."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tradeutils.errors import UsageError
from tradeutils.timeframe import Times

__all__ = ["Day", "Hours", "day_of"]

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY_MS: Final = 86_400_000
_DAY_MINUTES: Final = 1440
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FARTHEST_MS: Final = 250_000_000 * 1000 * 40  # some 300 years: what datetime and every zone reach


class Hours(NamedTuple):
    """
    When the days of some time begin and end: int64 ms UTC, (D,), ascending, and each day's date.

    ``closes`` is the end of trading, at most the next day's open; ``dates`` counts days since 1970-01-01.
    """

    opens: Times
    closes: Times
    dates: Times


@dataclass(frozen=True, slots=True)
class Day:
    """
    When a day of trading begins, and how long it lasts.

    Parameters
    ----------
    opens : str
        Hour and minute on the wall clock: ``"17:00"``.
    tz : str
        IANA name of the zone: ``"America/New_York"``, ``"Asia/Shanghai"``, ``"UTC"``. Its daylight saving is followed,
        so that a day may last 23 or 25 hours; an hour that the clocks skip counts as the moment after the skip.
    closes : str, optional
        End of trading, exclusive; at or before ``opens``: on the next day. What lies outside is left out. Default: the
        day lasts until the next one.

    Notes
    -----
    A day has the date on which most of it lies: one that opens on Sunday at 17:00 in New York is Monday's, and begins
    the week. No calendar of holidays is kept: a day without candles makes no bar, and a week is over with its Sunday.

    Raises
    ------
    UsageError : no such time or zone.

    Examples
    --------
    >>> Day("17:00", "America/New_York")
    Day(opens='17:00', tz='America/New_York', closes=None)
    >>> day_of("09:30-16:00 America/New_York").closes
    '16:00'
    """

    opens: str = "00:00"
    tz: str = "UTC"
    closes: str | None = None

    def __post_init__(self) -> None:
        for name in ("opens", "closes"):
            value = getattr(self, name)
            if (name == "opens" or value is not None) and not (isinstance(value, str) and _CLOCK.fullmatch(value)):
                raise UsageError(f'{name} was {value!r:.60}; write hours and minutes, as in "17:00"')
        if self.opens == self.closes:
            raise UsageError(f"opens and closes were both {self.opens}; leave out closes for a day without a pause")
        if not isinstance(self.tz, str):
            raise UsageError(f"tz was {self.tz!r:.60}; write an IANA name, as in 'America/New_York'")
        _zone(self.tz)

    @property
    def is_utc(self) -> bool:
        """Whether it is the day that timeframes have by themselves."""
        return self.opens == "00:00" and self.closes is None and self.tz == "UTC"

    def hours(self, since: int, until: int) -> Hours:
        """Return the days that reach into ``[since, until]``, ms UTC, and one before and after them."""
        zone, opens = _zone(self.tz), dt.time.fromisoformat(self.opens)
        closes = None if self.closes is None else dt.time.fromisoformat(self.closes)
        if max(abs(since), abs(until)) > _FARTHEST_MS:
            raise UsageError(f"time was {max(since, until, key=abs)}, too far off for a time zone; write ms UTC")
        first = (_EPOCH + dt.timedelta(milliseconds=since)).date() - dt.timedelta(days=3)
        count = (until - since) // _DAY_MS + 7
        days = [first + dt.timedelta(days=i) for i in range(count)]
        opened = np.array([_ms(day, opens, zone) for day in days], dtype=np.int64)
        ended = np.r_[opened[1:], opened[-1] + _DAY_MS]
        if closes is not None:
            later = dt.timedelta(days=int(closes <= opens))
            told = np.array([_ms(day + later, closes, zone) for day in days], dtype=np.int64)
            ended = np.minimum(told, ended)
        dates = np.array([day.toordinal() for day in days], dtype=np.int64) - dt.date(1970, 1, 1).toordinal()
        return Hours(opened, ended, dates + _days_on(opens, closes))


def day_of(given: Day | str | None) -> Day:
    """
    Return a day from what users write: ``"17:00 America/New_York"``, ``"09:30-16:00 America/New_York"``, ``"08:00"``.

    Raises
    ------
    UsageError : it is none of these.
    """
    if given is None:
        return Day()
    if isinstance(given, Day):
        return given
    hours, _, zone = given.strip().partition(" ") if isinstance(given, str) else ("", "", "")
    opens, dash, closes = hours.partition("-")
    if not opens or (dash and not closes):
        raise UsageError(f'day was {given!r:.60}; write "17:00 America/New_York" or "09:30-16:00 America/New_York"')
    return Day(opens, zone.strip() or "UTC", closes or None)


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        known = bool(zoneinfo.available_timezones())
        missing = "" if known else "; this machine has no time zones: pip install tzdata"
        raise UsageError(f"tz was {name!r:.60}; write an IANA name, as in 'America/New_York'{missing}") from error


def _days_on(opens: dt.time, closes: dt.time | None) -> int:
    """Return how many days after its open the middle of a day lies: 0 or 1."""
    first = 60 * opens.hour + opens.minute
    length = _DAY_MINUTES if closes is None else (60 * closes.hour + closes.minute - first) % _DAY_MINUTES
    return (2 * first + length) // (2 * _DAY_MINUTES)


def _ms(day: dt.date, clock: dt.time, zone: zoneinfo.ZoneInfo) -> int:
    return (dt.datetime.combine(day, clock, tzinfo=zone) - _EPOCH) // dt.timedelta(milliseconds=1)
