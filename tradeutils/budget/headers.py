"""
What a venue's replies say of its own counts, and for how long it wants silence.

Headers come from outside: what is no plain number is passed over, and nothing here raises.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from tradeutils.budget.base import Charge, Line, Reading
from tradeutils.budget.limits import Limits
from tradeutils.budget.rules import venue_of

__all__ = ["LONGEST_BAN_S", "ban_seconds", "readings"]

LONGEST_BAN_S: Final = 3 * 86_400.0
"""The longest ban that is believed: the longest that Binance speaks of."""

_NUMBER: Final = re.compile(r"\d{1,10}(?:\.\d{1,6})?", re.ASCII)
_LARGEST: Final = 1e9
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_USED: Final = re.compile(
    r"x-(?:mbx-(?P<count>used-weight|order-count)|sapi-used-(?P<sapi>ip|uid)-weight)-(?P<number>\d{1,3})(?P<unit>[smhd])",
    re.ASCII,
)
_NAMES: Final = {"used-weight": "weight", "order-count": "orders", "ip": "sapi_ip", "uid": "sapi_uid"}


def readings(limits: Limits, charge: Charge, headers: Mapping[str, str], *, at: float) -> list[Reading]:
    """
    Return the venue's own counts, for the windows that the answered request was charged to.

    Binance says what is used; bybit, kucoin, gate, bitget, coinbase and htx what is left. Kraken, okx and mexc say
    nothing: what they count is what we charged. A count beyond the limit is taken for the limit.

    Parameters
    ----------
    limits : Limits
        The venue's.
    charge : Charge
        What the request was charged.
    headers : mapping of str to str
        Those of the reply, in any case.
    at : float
        When it came: ``time.time()``.
    """
    if limits.venue == "binance":
        return _used(charge, headers, at)
    says = _REMAINING.get(limits.venue)
    return [] if says is None else _remaining(charge, says, headers, at)


def _used(charge: Charge, headers: Mapping[str, str], at: float) -> list[Reading]:
    found: dict[Line, float] = {}
    for name, value in _pairs(headers):
        match = _USED.fullmatch(name)
        used = None if match is None else _number(value)
        if match is None or used is None:
            continue
        window = _NAMES[match["count"] or match["sapi"]]
        seconds = int(match["number"]) * _UNITS_S[match["unit"]]
        for line in charge.lines:
            if line.window.name == window and line.window.seconds == seconds:
                found[line] = max(found.get(line, 0.0), min(used, line.window.limit))
    return [Reading(charge.pool, line.window, line.owner, used, at, "fixed") for line, used in found.items()]


@dataclass(frozen=True, slots=True)
class _Remaining:
    """
    The headers in which a venue says what is left.

    Attributes
    ----------
    limit, left : tuple of str
        Names of the header of the whole, and of what is left of it.
    weighs : bool
        They count weight; otherwise calls of this endpoint.
    """

    left: tuple[str, ...]
    limit: tuple[str, ...] = ()
    weighs: bool = False


_REMAINING: Final[Mapping[str, _Remaining]] = {
    "bybit": _Remaining(("x-bapi-limit-status",), ("x-bapi-limit",)),
    "kucoin": _Remaining(("gw-ratelimit-remaining",), ("gw-ratelimit-limit",), weighs=True),
    "gate": _Remaining(("x-gate-ratelimit-requests-remain",), ("x-gate-ratelimit-limit",)),
    "bitget": _Remaining(("x-mbx-used-remain-limit",)),
    "coinbase": _Remaining(
        ("x-ratelimit-remaining", "ratelimit-remaining", "cb-ratelimit-remaining"),
        ("x-ratelimit-limit", "ratelimit-limit", "cb-ratelimit-limit"),
    ),
    "coinbaseexchange": _Remaining(
        ("x-ratelimit-remaining", "ratelimit-remaining", "cb-ratelimit-remaining"),
        ("x-ratelimit-limit", "ratelimit-limit", "cb-ratelimit-limit"),
    ),
    "htx": _Remaining(("ratelimit-remaining", "x-hb-ratelimit-requests-remain"), ("ratelimit-limit",)),
}


def _remaining(charge: Charge, says: _Remaining, headers: Mapping[str, str], at: float) -> list[Reading]:
    pairs = list(_pairs(headers))
    left = min(_numbers(pairs, says.left), default=None)
    whole = max(_numbers(pairs, says.limit), default=None)
    lines = [line for line in charge.lines if line.cost > 0]
    if left is None or not lines or (whole is not None and (left > whole or whole == 0)):
        return []
    line = _meant(lines, whole, says.weighs)
    # Not whole - left: what counts is what may still be sent, and an account may have more than we take it to have.
    unit = 1.0 if says.weighs else line.cost
    used = max(0.0, line.window.limit - left * unit)
    return [Reading(charge.pool, line.window, line.owner, used, at, "sliding")]


def _meant(lines: list[Line], whole: float | None, weighs: bool) -> Line:
    """Return the window that a header speaks of: the endpoint's own, or the one whose size is nearest."""
    if whole is None:
        return next((line for line in lines if line.window.name == "endpoint"), lines[0])

    def distance(line: Line) -> float:
        return abs(math.log(line.window.limit / (1.0 if weighs else line.cost) / whole))

    return min(lines, key=distance)


def _pairs(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Yield names in lower case, and values; a header that came twice comes twice."""
    for name, value in headers.items():
        if isinstance(name, str) and isinstance(value, str):
            yield name.lower(), value


def _number(text: str) -> float | None:
    """Return a plain number from 0 to a thousand million."""
    match = _NUMBER.fullmatch(text.strip())
    number = math.inf if match is None else float(match[0])
    return number if number <= _LARGEST else None


def _numbers(pairs: Iterable[tuple[str, str]], names: tuple[str, ...]) -> list[float]:
    found = (_number(value) for name, value in pairs if name in names)
    return [number for number in found if number is not None]


# What a venue says in the body of a reply, or in headers of its own, when it has had enough of us: a pattern of the
# body, the statuses it is believed with, and the seconds of silence where it names none.
_Body: TypeAlias = tuple[re.Pattern[str], tuple[int, ...], float]
_REFUSALS: Final[Mapping[str, tuple[_Body, ...]]] = {
    # Not EOrder:Rate limit exceeded, which is about the orders of one pair.
    "kraken": (
        (re.compile(r"EAPI:Rate limit exceeded"), (200,), 5.0),
        (re.compile(r"EService:\s?Throttled"), (200,), 5.0),
        (re.compile(r"EGeneral:Temporary lockout"), (200,), 900.0),
    ),
    "bybit": (
        (re.compile(r"(?i)access too frequent"), (403,), 600.0),
        (re.compile(r'"retCode":\s?10006\b'), (200,), 1.0),
        (re.compile(r'"retCode":\s?10018\b'), (200,), 600.0),
    ),
    "mexc": ((re.compile(r'"code":\s?510\b'), (200,), 5.0),),
    "htx": ((re.compile(r"too-many-request"), (200,), 2.0),),
}
_FIRST_S: Final = {429: 1.0, 418: 120.0}  # Binance's bans begin at two minutes
_MOST_S: Final = {429: 120.0, 418: LONGEST_BAN_S}
_UNTIL: Final = re.compile(r"banned until (\d{13})\b")
_THROTTLED: Final = re.compile(r"EService:\s?Throttled:\s?\[?(\d{10})\b")
_READ: Final = 4_096  # characters of a body


def ban_seconds(
    venue: str, status: int, headers: Mapping[str, str], body: str | bytes | None, now_ms: float, *, attempts: int = 0
) -> float | None:
    """
    Return for how many seconds a reply wants silence; ``None``: it is no refusal for asking too much.

    What the venue names counts: ``Retry-After``, "banned until", the time at which its window begins anew; of several
    the longest, at most `LONGEST_BAN_S`. Where it names nothing, a time that doubles with every refusal.

    Parameters
    ----------
    venue : str
        ccxt's name of it.
    status : int
        Of the HTTP reply. Some venues refuse with 200, or 403, and say so in the body.
    headers : mapping of str to str
        Those of the reply, in any case.
    body : str, bytes or None
        Its first 4096 characters are looked at.
    now_ms : float
        The venue's time.
    attempts : int
        Refusals in a row before this one.
    """
    table = venue_of(venue)
    name = venue if table is None else table.name
    text = body[:_READ].decode("utf-8", "replace") if isinstance(body, bytes) else (body or "")[:_READ]
    first = _first(name, status, text)
    if first is None:
        return None
    pairs = list(_pairs(headers))
    named = [*_retry_after(pairs, now_ms), *_said(text, now_ms), *_resets(name, pairs, now_ms)]
    waits = [seconds for seconds in named if 0 < seconds < math.inf]
    if waits:
        return min(max(waits), LONGEST_BAN_S)
    return min(first * 2.0 ** min(max(attempts, 0), 30), max(first, _MOST_S.get(status, 900.0)))


def _first(name: str, status: int, text: str) -> float | None:
    """Return how long to be silent after a first refusal that names no time; ``None``: no refusal."""
    if status in _FIRST_S:
        return _FIRST_S[status]
    told = (seconds for said, statuses, seconds in _REFUSALS.get(name, ()) if status in statuses and said.search(text))
    return next(told, None)


def _retry_after(pairs: Iterable[tuple[str, str]], now_ms: float) -> Iterable[float]:
    """Yield the seconds of ``Retry-After``, which is a number or a date."""
    for name, value in pairs:
        if name != "retry-after":
            continue
        seconds = _number(value)
        if seconds is not None:
            yield seconds
            continue
        try:
            date = email.utils.parsedate_to_datetime(value[:64])
            yield date.replace(tzinfo=date.tzinfo or dt.UTC).timestamp() - now_ms / 1000
        except (TypeError, ValueError, OverflowError, IndexError):
            continue


def _said(text: str, now_ms: float) -> Iterable[float]:
    """Yield the seconds until the times that a body names."""
    for match in _UNTIL.finditer(text):
        yield (int(match[1]) - now_ms) / 1000
    for match in _THROTTLED.finditer(text):
        yield int(match[1]) - now_ms / 1000


_Reset: TypeAlias = Callable[[float, float], float]
_RESETS: Final[Mapping[str, tuple[str, _Reset]]] = {
    "bybit": ("x-bapi-limit-reset-timestamp", lambda value, now_ms: (value - now_ms) / 1000),
    "kucoin": ("gw-ratelimit-reset", lambda value, _: value / 1000),
    "gate": ("x-gate-ratelimit-reset-timestamp", lambda value, now_ms: value - now_ms / 1000),
    "htx": ("ratelimit-reset", lambda value, now_ms: (value - now_ms) / 1000),
}
_MOMENT: Final = re.compile(r"\d{1,13}", re.ASCII)
_FURTHEST_S: Final = 3_600.0


def _resets(name: str, pairs: Iterable[tuple[str, str]], now_ms: float) -> Iterable[float]:
    """Yield the seconds until the venue's window begins anew; further off than any window it is no such time."""
    if name not in _RESETS:
        return
    header, seconds = _RESETS[name]
    for one, value in pairs:
        if one == header and _MOMENT.fullmatch(value.strip()):
            wait = seconds(float(value), now_ms)
            if wait <= _FURTHEST_S:
                yield wait
