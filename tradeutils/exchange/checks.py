"""What is asked of an exchange, checked before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from tradeutils.errors import UnknownName, UsageError
from tradeutils.timeframe import Instant, to_ms

__all__ = ["bounds", "candle_range", "check_choice", "check_grace", "check_limit", "several"]

_DEFAULT_BARS: Final = 500


def several(symbols: Iterable[str]) -> list[str]:
    """Return symbols as a list without repeats; a lone string is a mistake."""
    if isinstance(symbols, str):
        raise UsageError(f"symbols was {symbols!r}; give a list: [{symbols!r}]")
    try:
        return list(dict.fromkeys(symbols))
    except TypeError as error:
        raise UsageError(f"symbols was {symbols!r}; give a list of symbols, as in ['BTC/USDT']") from error


def check_limit(limit: int | None) -> int | None:
    """Return a limit as an int from 1, or ``None``."""
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1:
        raise UsageError(f"limit was {limit!r}; write a whole number from 1, or None")
    return int(limit)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of a few words."""
    if value not in choices:
        raise UnknownName(name, value, choices)


def check_grace(seconds: Any) -> int:
    """Return the grace of closed candles in milliseconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise UsageError(f"close_grace was {seconds!r}; write seconds from 0, as in 1.0")
    return round(seconds * 1000)


def bounds(since: Instant | None, until: Instant | None) -> tuple[int | None, int | None]:
    """Return since and until in ms UTC, the former first."""
    start = None if since is None else max(0, to_ms(since, name="since"))  # no venue is older than 1970
    end = None if until is None else to_ms(until, name="until")
    if end is not None and end <= (start or 0):
        raise UsageError(f"since was {start} and until {end}; since must come first, and until after 1970")
    return start, end


def candle_range(
    since: Instant | None, until: Instant | None, limit: int | None, *, default: int = _DEFAULT_BARS
) -> tuple[int | None, int | None, int | None]:
    """Return since, until and limit as they are asked for: ms UTC, and ``default`` where nothing bounds the start."""
    limit = check_limit(limit)
    start, end = bounds(since, until)
    if start is None and limit is None:
        limit = default
    return start, end, limit
