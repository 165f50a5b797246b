"""What a backfill says: how far it is, what it added, and what is missing and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["REASONS", "BackfillReport", "Missing", "Progress", "Reason", "SeriesBackfill"]

Reason: TypeAlias = Literal["no candle", "nobody traded", "not kept", "not yet", "not listed", "not offered", "failed"]

REASONS: Final[dict[Reason, str]] = {
    "no candle": "the venue has no candle before the first or after the last",
    "nobody traded": "the venue was asked and has no candle there",
    "not kept": "the venue keeps only newer candles",
    "not yet": "the venue had not published the newest candles yet",
    "not listed": "the venue does not list the symbol",
    "not offered": "the venue does not offer the timeframe, and the finer one does not cover it",
    "failed": "the venue or the store failed; run it again",
}
"""Why candles are missing, in words."""

_NAMED: Final = 5  # symbols that a line of the text names


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far a backfill is.

    Attributes
    ----------
    symbol, timeframe : str
        What was done last.
    done, total : int
        Bars, of all series: those that need no more work, and those that the store lacked at the start. Bars that
        nobody traded count as soon as that is known.
    calls : int
        Of ``fetch_ohlcv`` so far; each is one request a page of the venue.
    rate : float
        Bars a second that were fetched, since the start; what was passed over, or made of finer candles, took no time.
    eta : float or None
        Seconds that the rest takes at this rate; ``None`` while nobody can tell.
    """

    symbol: str
    timeframe: str
    done: int
    total: int
    calls: int
    rate: float
    eta: float | None

    @classmethod
    def at(
        cls, symbol: str, timeframe: str, done: int, total: int, calls: int, seconds: float, brought: int
    ) -> Progress:
        """Return how far it is after so many seconds, in which ``brought`` of the bars took requests."""
        rate, left = brought / max(seconds, 1e-9), total - done
        return cls(
            symbol=symbol, timeframe=timeframe, done=done, total=total, calls=calls, rate=rate,
            eta=0.0 if not left else left / rate if rate else None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """
    Bars that are not in the store.

    Attributes
    ----------
    since, until : int
        They open in ``[since, until)``, ms UTC.
    bars : int
        How many; fewer than lie between ``since`` and ``until`` where holes are told together.
    reason : str
        One of `REASONS`.
    detail : str
        What the venue said; may be empty.
    """

    since: int
    until: int
    bars: int
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesBackfill:
    """
    What became of one symbol and timeframe.

    Attributes
    ----------
    symbol, timeframe : str
        Which.
    asked : int
        Bars of the range that the store knew nothing of at the start.
    known : int
        Bars of the range that it knew, or knew not to exist.
    added : int
        Candles that were fetched and are new or changed.
    derived : int
        Candles that were made of a finer timeframe, without a request.
    quarantined : int
        Candles that came, cannot be, and were put aside.
    calls : int
        Of ``fetch_ohlcv``.
    missing : tuple of Missing
        What is not there, and why, oldest first.
    """

    symbol: str
    timeframe: str
    asked: int = 0
    known: int = 0
    added: int = 0
    derived: int = 0
    quarantined: int = 0
    calls: int = 0
    missing: tuple[Missing, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether something is missing that another run may bring."""
        return any(one.reason == "failed" for one in self.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillReport:
    """
    What a backfill did; ``print`` it.

    Attributes
    ----------
    exchange : str
        The venue.
    since, until : int
        The range, ms UTC.
    series : tuple of SeriesBackfill
        In the order of the symbols, and of the timeframes of each.
    seconds : float
        How long it took.
    """

    exchange: str
    since: int
    until: int
    series: tuple[SeriesBackfill, ...] = ()
    seconds: float = 0.0

    @property
    def added(self) -> int:
        """Candles that were fetched and are new or changed."""
        return sum(one.added for one in self.series)

    @property
    def derived(self) -> int:
        """Candles that were made of a finer timeframe."""
        return sum(one.derived for one in self.series)

    @property
    def calls(self) -> int:
        """Calls of ``fetch_ohlcv``; each is one request a page of the venue."""
        return sum(one.calls for one in self.series)

    @property
    def complete(self) -> bool:
        """Whether all is there that the venue has."""
        return not any(one.failed for one in self.series)

    def __getitem__(self, key: tuple[str, str]) -> SeriesBackfill:
        """Return what became of ``report["BTC/USDT", "1m"]``; KeyError where it was not asked for."""
        for one in self.series:
            if (one.symbol, one.timeframe) == key:
                return one
        raise KeyError(key)

    def __str__(self) -> str:
        lines = [
            f"{self.exchange}: {self.added:,} candles fetched and {self.derived:,} made of finer ones "
            f"for {len(self.series)} series in {self.seconds:.1f} s ({self.calls:,} calls)"
        ]
        for reason, words in REASONS.items():
            found = [(one, gap) for one in self.series for gap in one.missing if gap.reason == reason]
            if found:
                bars = sum(gap.bars for _, gap in found)
                lines.append(f"missing, {words}: {bars:,} bars of {_named(one for one, _ in found)}")
                lines.extend(f"  {text}" for text in _details(found))
        return "\n".join(lines)


def _named(series: Iterable[SeriesBackfill]) -> str:
    names = list(dict.fromkeys(f"{one.symbol} {one.timeframe}" for one in series))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _details(found: Sequence[tuple[SeriesBackfill, Missing]]) -> list[str]:
    """Return the first few things that were said."""
    said = [f"{one.symbol} {one.timeframe}: {gap.detail}" for one, gap in found if gap.detail]
    return said[:_NAMED] + ([f"and {len(said) - _NAMED} more"] if len(said) > _NAMED else [])


def date(time: int) -> str:
    """Return ms UTC as ``2024-01-31 12:00 UTC``."""
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=time)).strftime("%Y-%m-%d %H:%M UTC")
