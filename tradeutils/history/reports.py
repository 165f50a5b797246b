"""What the methods of a history tell about what they did and found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tradeutils.history.store.layout import SeriesKey
from tradeutils.history.store.ranges import Ranges

__all__ = [
    "CompactReport",
    "Coverage",
    "Damage",
    "Quarantined",
    "Reason",
    "SalvageReport",
    "SeriesKey",
    "VerifyReport",
    "WriteReport",
]

Reason: TypeAlias = Literal["bad_time", "off_grid", "not_finite", "not_positive", "high_below_low", "bad_volume"]
"""Why a row is no candle, and was kept aside."""


@dataclass(frozen=True, slots=True)
class WriteReport:
    """
    What became of the rows given to `History.write`; what is counted here is on the disk.

    Attributes
    ----------
    added : int
        Candles that were not there.
    changed : int
        Candles that stood there with other values; the new ones stand now.
    unchanged : int
        Candles that stood there already.
    forming : int
        Bars that were not over: not stored.
    quarantined : int
        Rows that are no candles: kept aside, see `History.quarantined`.
    reasons : mapping of str to int
        How many of those for which reason.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    forming: int = 0
    quarantined: int = 0
    reasons: Mapping[Reason, int] = field(default_factory=dict)

    @classmethod
    def together(cls, reports: Iterable[WriteReport]) -> WriteReport:
        """Return the sum of several reports."""
        counts = {"added": 0, "changed": 0, "unchanged": 0, "forming": 0, "quarantined": 0}
        reasons: dict[Reason, int] = {}
        for report in reports:
            for name in counts:
                counts[name] += getattr(report, name)
            for reason, count in report.reasons.items():
                reasons[reason] = reasons.get(reason, 0) + count
        return cls(**counts, reasons=reasons)


@dataclass(frozen=True, slots=True)
class Coverage:
    """
    What is known of one series in ``[since, until)``, milliseconds UTC; all ranges are half-open, rising and apart.

    Attributes
    ----------
    key : SeriesKey
    since, until : int
        The window; without one asked for, all that is stored or noted.
    asked : ranges
        What the venue was asked for, as `History.asked` was told.
    stored : ranges
        What the stored candles cover.
    pruned : ranges
        What retention took away, or `History.noted` was told so; it is not missing.
    missing : ranges
        Never asked for, not stored, not pruned: what a backfill would fetch.
    empty : ranges
        Asked for, and the venue has no candle there.
    """

    key: SeriesKey
    since: int
    until: int
    asked: Ranges
    stored: Ranges
    pruned: Ranges
    missing: Ranges
    empty: Ranges

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that was given to `History.write` and is no candle: its values as they came, and why it is none."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong: ``key`` of the series, ``path`` of the file, ``problem`` in words."""

    key: SeriesKey
    path: str
    problem: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """
    What `History.verify` found.

    Attributes
    ----------
    series, files, rows, bytes : int
        How much was verified; rows of journals and of partitions.
    damages : tuple of Damage
        What is wrong; the candles in those files cannot be read until `History.salvage` was called.
    notes : tuple of Damage
        What loses nothing: a write that was never acknowledged, files that a killed writer left or that are not ours.
    """

    series: int = 0
    files: int = 0
    rows: int = 0
    bytes: int = 0
    damages: tuple[Damage, ...] = ()
    notes: tuple[Damage, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damages

    def __str__(self) -> str:
        head = f"{self.series} series, {self.files} files, {self.rows:,} rows, {self.bytes:,} bytes: "
        head += "all sound" if self.ok else f"{len(self.damages)} damaged"
        lines = [f"  {damage.path}: {damage.problem}" for damage in self.damages]
        return "\n".join([head, *lines])


@dataclass(frozen=True, slots=True)
class CompactReport:
    """
    What `History.compact` did.

    Attributes
    ----------
    series : int
        Series that were looked at.
    sealed : int
        Candles moved from journals into partitions.
    rewritten : int
        Partitions that were packed anew.
    bytes_before, bytes_after : int
        Of those partitions.
    leftovers : int
        Files of killed writers that were taken away.
    skipped : mapping of SeriesKey to str
        Series that could not be compacted, and why: another process writes them, or a file is damaged.
    """

    series: int = 0
    sealed: int = 0
    rewritten: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    leftovers: int = 0
    skipped: Mapping[SeriesKey, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """
    What `History.salvage` did.

    Attributes
    ----------
    series : int
        Series that were damaged.
    kept : int
        Candles of damaged journals that were sound, and stay.
    lost : int
        Records of journals that could not be read; those of partitions are not known by number.
    moved : tuple of str
        The damaged files under their new names.
    forgotten : mapping of SeriesKey to ranges
        What counts as never asked for now: the next backfill fetches what is not stored of it.
    """

    series: int = 0
    kept: int = 0
    lost: int = 0
    moved: tuple[str, ...] = ()
    forgotten: Mapping[SeriesKey, Ranges] = field(default_factory=dict)
