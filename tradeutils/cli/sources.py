"""Where a command's candles come from: a file, or a venue."""

from __future__ import annotations

import asyncio
import pathlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeutils.cli.printing import tell
from tradeutils.errors import UsageError, nearest

if TYPE_CHECKING:
    from tradeutils.model import Candles

__all__ = [
    "DEFAULT_TIMEFRAME",
    "HOW",
    "METAVAR",
    "CandleRange",
    "FileSource",
    "VenueSource",
    "parse_source",
    "read_source",
]

METAVAR: Final = "FILE | [VENUE] SYMBOL [TIMEFRAME]"
DEFAULT_TIMEFRAME: Final = "1h"
HOW: Final = "write a candle file, or a symbol and a timeframe: BTC/USDT 1h, or binance BTC/USDT 1h"


@dataclass(frozen=True, slots=True)
class FileSource:
    """A candle file; ``timeframe`` is ``None`` where the file is to tell it."""

    path: pathlib.Path
    timeframe: str | None


@dataclass(frozen=True, slots=True)
class VenueSource:
    """One market of one venue."""

    venue: str
    symbol: str
    timeframe: str


@dataclass(frozen=True, slots=True)
class CandleRange:
    """Which candles: those that open in ``[since, until)``, ms UTC, and of these the newest ``limit``."""

    since: int | None = None
    until: int | None = None
    limit: int | None = None

    def first_row(self, candles: Candles) -> int:
        """Return the row at which the range begins in ``candles``, which may begin earlier."""
        row = 0 if self.since is None else int(candles.time.searchsorted(self.since))
        return row if self.limit is None else max(row, len(candles) - self.limit)


def parse_source(words: Sequence[str], *, venue: str, timeframe: str | None) -> FileSource | VenueSource:
    """
    Tell a file from a market.

    Parameters
    ----------
    words : sequence of str
        ``FILE``, ``SYMBOL``, ``SYMBOL TIMEFRAME``, ``VENUE SYMBOL`` or ``VENUE SYMBOL TIMEFRAME``.
    venue : str
        The venue where none is named.
    timeframe : str or None
        What ``--timeframe`` said.

    Raises
    ------
    UsageError : too many words, or two timeframes.
    """
    if _is_file(words[0]):
        if len(words) > 1:
            raise UsageError(f"{words[1]!r} stood behind the file {words[0]}; one file at a time, nothing after it")
        return FileSource(pathlib.Path(words[0]), timeframe)
    if len(words) > 1 and not _is_symbol(words[0]) and not (len(words) == 2 and _is_timeframe(words[1])):
        venue, *words = words
    if len(words) > 2:
        raise UsageError(f"{words[2]!r} was one word too many; {HOW}")
    if len(words) == 2 and timeframe is not None:
        raise UsageError(f"timeframe was {words[1]!r} and --timeframe {timeframe!r}; write it once")
    return VenueSource(venue, words[0], words[1] if len(words) == 2 else timeframe or DEFAULT_TIMEFRAME)


def _is_file(word: str) -> bool:
    """Tell whether a word names a file: it ends about as candle files do, exists, or looks into a folder that does."""
    from tradeutils.history.candle_files.names import SUFFIXES

    path = pathlib.Path(word)
    if path.suffix and nearest(path.suffix, SUFFIXES):
        return True
    try:
        return path.exists() or (path.parent != pathlib.Path() and path.parent.is_dir())
    except OSError:  # too long for a name
        return False


def _is_symbol(word: str) -> bool:
    return "/" in word or ":" in word


def _is_timeframe(word: str) -> bool:
    return re.fullmatch(r"[0-9]+[smhdwMy]", word) is not None


def read_source(
    source: FileSource | VenueSource,
    wanted: CandleRange,
    *,
    warm_up: int = 0,
    url: str | None = None,
    config: pathlib.Path | None = None,
) -> Candles:
    """
    Return the candles of a source; what was found in a file is told on stderr.

    Parameters
    ----------
    warm_up : int
        Bars wanted before the range, for indicators that need them (a file gives all it has);
        `CandleRange.first_row` finds where the range begins.

    Raises
    ------
    CandleFileError, VenueError : the file cannot be read; the venue failed.
    UsageError : nothing lies in the range.
    """
    if isinstance(source, FileSource):
        candles = _read_file(source).between(None, wanted.until)
    else:
        candles = asyncio.run(_fetch(source, wanted, warm_up, url, config))
    if wanted.first_row(candles) >= len(candles):
        raise UsageError("no candle lies in that range; widen --since and --until")
    return candles


def _read_file(source: FileSource) -> Candles:
    from tradeutils.history.candle_files.reading import read_candles

    found = read_candles(source.path, timeframe=source.timeframe)
    tell(f"{source.path}: {found.report}")
    return found.candles


async def _fetch(
    source: VenueSource, wanted: CandleRange, warm_up: int, url: str | None, config: pathlib.Path | None
) -> Candles:
    from tradeutils import timeframe as _timeframe
    from tradeutils.cli.venues import load_settings, open_exchange

    since, limit = wanted.since, wanted.limit
    if since is not None:
        frame = _timeframe.parse(source.timeframe)
        since = frame.shift(frame.ceil(since), -warm_up)
    if limit is not None:
        limit += warm_up
    async with open_exchange(source.venue, load_settings(config), url=url) as exchange:
        return await exchange.fetch_ohlcv(source.symbol, source.timeframe, since=since, until=wanted.until, limit=limit)
