"""
Retention: which months and years of which series go, by age and by the room they take.

Whole files go, always the oldest of a series first, so what is left of a series is its newest stretch without a new
hole in it. Age is counted from the newest candle of the history, or from now where that is earlier: neither a clock
that jumps ahead nor a history that nobody has written to for a year empties it.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import pathlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeAlias

from tradeutils import timeframe as _timeframe
from tradeutils.errors import UnknownName, UsageError
from tradeutils.history.store.layout import Partition, SeriesKey

__all__ = ["Age", "Ages", "HeldFile", "PruneReport", "PrunedFile", "choose", "parse_ages", "parse_bytes"]

Age: TypeAlias = "dt.timedelta | str"
"""A length of time: ``timedelta(days=90)``, or a count and a unit as of timeframes: ``"90d"``, ``"26w"``, ``"2y"``."""
Ages: TypeAlias = "Age | Mapping[str, Age]"
"""One age, or by timeframe; ``"*"`` is all others."""

_UNITS: Final = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30}
_UNITS_AND_TI: Final = {**_UNITS, "TI": 2**40}
_SHORTEST_MS: Final = 3_600_000  # a "1m" that is meant as a month, and would leave nothing


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of a series: the candles that open in ``[part.since, part.until)``."""

    key: SeriesKey
    part: Partition
    path: pathlib.Path
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedFile:
    """
    A file that went, or would go: which, of which series, and why.

    Attributes
    ----------
    since, until : int
        The month or year, ms UTC.
    rows, bytes : int
        Candles in it, and its size.
    why : str
        ``"age"`` or ``"size"``.
    """

    path: str
    exchange: str
    symbol: str
    timeframe: str
    since: int
    until: int
    rows: int
    bytes: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """
    What went, or would go.

    Attributes
    ----------
    files : tuple of PrunedFile
        Oldest first within a series.
    dry_run : bool
        Nothing was deleted.
    kept_bytes : int
        Bytes of all files of candles that are left.
    over : int
        Bytes by which these are still more than ``max_bytes``: the newest file of a series is never taken for size.
    skipped : mapping
        Series of which nothing went, and why: another process writes them (prune in that one), or a journal is damaged.
    """

    files: tuple[PrunedFile, ...] = ()
    dry_run: bool = False
    kept_bytes: int = 0
    over: int = 0
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Candles that went."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes that went."""
        return sum(file.bytes for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-shaped values."""
        return {**asdict(self), "rows": self.rows, "bytes": self.bytes}

    def __str__(self) -> str:
        verb = "would go" if self.dry_run else "deleted"
        text = f"{len(self.files)} files {verb}: {self.rows:,} candles, {self.bytes:,} bytes; {self.kept_bytes:,} left"
        if self.over:
            text += f", {self.over:,} more than max_bytes (the newest file of a series stays)"
        if self.skipped:
            text += f"; {len(self.skipped)} series skipped (first: {next(iter(self.skipped.values()))})"
        return text


def parse_ages(older_than: Ages | None) -> dict[str, int]:
    """
    Return ages as milliseconds by timeframe; ``"*"`` is all others.

    Raises
    ------
    UsageError : an age under an hour, or of no length that is known.
    """
    if older_than is None:
        return {}
    if not isinstance(older_than, Mapping):
        return {"*": _age("older_than", older_than)}
    return {
        name if name == "*" else _timeframe.parse(name).name: _age(f"older_than[{name!r}]", age)
        for name, age in older_than.items()
    }


def _age(name: str, age: Age) -> int:
    if isinstance(age, dt.timedelta):
        length = age // dt.timedelta(milliseconds=1)
    else:
        try:
            length = _timeframe.parse(age).nominal_ms
        except UnknownName as error:
            raise UsageError(f'{name} was {age!r}; write "90d", "26w", "2y", or a timedelta') from error
    if length < _SHORTEST_MS:
        raise UsageError(f'{name} was {age!r}, under an hour; a month is "1M", days are "30d"')
    return length


def parse_bytes(max_bytes: int | str | None) -> int | None:
    """
    Return a size as bytes: an int, or text as ``"500GB"`` (10**9) or ``"2TiB"`` (2**40).

    Raises
    ------
    UsageError : neither, or below 1.
    """
    if max_bytes is None:
        return None
    size: float = 0
    if isinstance(max_bytes, str):
        text = max_bytes.strip().replace("_", "").replace(",", "")
        digits = text.rstrip("BbKkMmGgTtIi ")
        unit = text[len(digits) :].strip().upper().removesuffix("B")
        if unit in _UNITS_AND_TI and digits.replace(".", "", 1).isdecimal():
            size = float(digits) * _UNITS_AND_TI[unit]
    elif not isinstance(max_bytes, bool) and isinstance(max_bytes, int):
        size = max_bytes
    if size < 1:
        raise UsageError(f'max_bytes was {max_bytes!r}; write bytes as an int, or as "500GB" or "2TiB"')
    return int(size)


def choose(
    held: Iterable[HeldFile],
    *,
    newest: int,
    ages: Mapping[str, int],
    max_bytes: int | None,
    keep: Sequence[str] = (),
) -> tuple[list[tuple[HeldFile, str]], int]:
    """
    Return what is to go and why, oldest first within a series, and by how many bytes too much is left.

    Parameters
    ----------
    newest : int
        The time that age is counted from, ms UTC.
    ages, max_bytes
        As `parse_ages` and `parse_bytes` return them.
    keep : sequence of str
        Symbols of which nothing goes, as patterns: ``"BTC/*"``.
    """
    left: dict[SeriesKey, list[HeldFile]] = defaultdict(list)
    for file in held:
        left[file.key].append(file)
    total = sum(file.bytes for files in left.values() for file in files)
    going: list[tuple[HeldFile, str]] = []
    by_size: list[tuple[float, HeldFile]] = []
    for key, files in left.items():
        if any(fnmatch.fnmatchcase(key.symbol, pattern) for pattern in keep):
            continue
        files.sort(key=lambda file: file.part)
        age = ages.get(key.timeframe, ages.get("*"))
        old = [file for file in files if age is not None and file.part.until <= newest - age]
        going += [(file, "age") for file in old]
        # How many bars ago the file ends. Counted in bars, a year of minutes is older than ten years of days, so the
        # coarser timeframes, which cost next to nothing, outlast the finer ones.
        bar = key.frame.nominal_ms
        by_size += [((newest - file.part.until) / bar, file) for file in files[len(old) : -1]]
    total -= sum(file.bytes for file, _ in going)
    if max_bytes is None:
        return going, 0
    for _, file in sorted(by_size, key=lambda one: (-one[0], one[1].key)):
        if total <= max_bytes:
            break
        going.append((file, "size"))
        total -= file.bytes
    return going, max(0, total - max_bytes)
