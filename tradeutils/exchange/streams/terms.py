"""What a stream is asked for, checked before anything is opened, and what it is called."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from tradeutils.cache import Cache
from tradeutils.errors import UsageError
from tradeutils.exchange.checks import several
from tradeutils.exchange.streams.publishing import PUBLISHED_S
from tradeutils.exchange.streams.topics import Kind, Topic

__all__ = ["check_age", "check_stream_to_cache", "check_symbol", "check_symbols", "name_of"]


def check_symbol(symbol: str) -> str:
    """Return the name of one market; whether the venue lists it is known later."""
    if not isinstance(symbol, str) or not symbol:
        raise UsageError(f"symbol was {symbol!r}; write one market, as in 'BTC/USDT'")
    return symbol


def check_symbols(symbols: str | Iterable[str]) -> list[str]:
    """Return the names of one market or of several, without repeats."""
    wanted = [symbols] if isinstance(symbols, str) else several(symbols)
    if not wanted:
        raise UsageError("symbols was empty; name at least one, as in ['BTC/USDT']")
    return [check_symbol(one) for one in wanted]


def check_age(seconds: float) -> float:
    """Return after how many seconds without data a stream is stale."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.1 <= seconds < math.inf:
        raise UsageError(f"max_age was {seconds!r}; write seconds from 0.1, as in 30.0")
    return float(seconds)


def name_of(venue: str, topics: Sequence[Topic]) -> str:
    """Return what a stream is called in its repr and in messages."""
    kind: Kind = topics[0].kind
    symbols = [topic.symbol for topic in topics if topic.symbol is not None]
    shown = ", ".join(symbols[:3]) + (f" and {len(symbols) - 3} more" if len(symbols) > 3 else "")
    return " ".join(part for part in (venue, kind, topics[0].timeframe, shown) if part)


def check_stream_to_cache(given: Any, cache: Cache | None, *, info: bool) -> float | None:
    """Return for how many seconds what is streamed serves others; ``None``: it is not put into the cache."""
    if given is False:
        return None
    seconds = PUBLISHED_S if given is True else given
    if not isinstance(seconds, int | float) or not 0.05 <= seconds < math.inf:
        raise UsageError(f"stream_to_cache was {given!r}; write True, or seconds from 0.05, as in 2.0")
    if cache is None:
        raise UsageError("stream_to_cache was given without a cache; add cache=Cache('redis://localhost:6379/0')")
    if info:
        raise UsageError("stream_to_cache was given with info=True, which streams do not have; leave one of them out")
    return float(seconds)
