"""Dates, times and time zones as text and numbers."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from typing import Any, Final

from tradeutils.errors import CodecError

__all__ = ["datetime_parts", "moment", "time_of_day", "time_parts", "zone", "zone_parts"]

# Parts of a zone's name: no dots, so that it names no file outside the zone data.
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,3}")


def zone_parts(tz: dt.tzinfo | None) -> Any:
    """
    Return ``None`` for no zone, 0 for UTC, the name of a zone, or ``[microseconds]`` of a fixed offset and its name.

    Raises
    ------
    TypeError : a zone of another library, or one without a name.
    """
    if tz is None:
        return None
    if tz is dt.UTC:
        return 0
    if type(tz) is dt.timezone:
        offset = tz.utcoffset(None) // dt.timedelta(microseconds=1)
        name = tz.tzname(None)
        return [offset] if name == dt.timezone(tz.utcoffset(None)).tzname(None) else [offset, name]
    if type(tz) is zoneinfo.ZoneInfo and tz.key is not None and _ZONE.fullmatch(tz.key):
        return tz.key
    raise TypeError(f"time zone {tz!r} is not kept; use zoneinfo.ZoneInfo(name) or datetime.timezone")


def zone(parts: Any) -> dt.tzinfo | None:
    """Return what `zone_parts` took apart; `CodecError` where there is no such zone on this machine."""
    if parts is None:
        return None
    if isinstance(parts, list):
        offset, *name = parts
        return dt.timezone(dt.timedelta(microseconds=_whole(offset)), *name)
    if isinstance(parts, str) and _ZONE.fullmatch(parts):
        try:
            return zoneinfo.ZoneInfo(parts)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise CodecError(f"time zone {parts!r} is not known on this machine; install tzdata") from error
    if type(parts) is int and parts == 0:
        return dt.UTC
    raise CodecError(f"no time zone is written as {parts!r:.60}")


def datetime_parts(value: dt.datetime) -> list[Any]:
    """Return ISO 8601 text without the zone, then zone and fold where there are any."""
    if value.tzinfo is None and not value.fold:
        return [value.isoformat()]
    return [value.replace(tzinfo=None).isoformat(), zone_parts(value.tzinfo), value.fold]


def moment(text: str, tz: Any = None, fold: int = 0) -> dt.datetime:
    """Return what `datetime_parts` took apart."""
    value = dt.datetime.fromisoformat(text)
    if tz is None and not fold:
        return value
    return value.replace(tzinfo=zone(tz), fold=fold)


def time_parts(value: dt.time) -> list[Any]:
    """Return ISO 8601 text without the zone, then zone and fold."""
    return [value.replace(tzinfo=None).isoformat(), zone_parts(value.tzinfo), value.fold]


def time_of_day(text: str, tz: Any, fold: int) -> dt.time:
    """Return what `time_parts` took apart."""
    return dt.time.fromisoformat(text).replace(tzinfo=zone(tz), fold=fold)


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise CodecError(f"an offset of a time zone is {number!r:.40}")
    return number
