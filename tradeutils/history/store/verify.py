"""Look at every byte of stored series: what is damaged, and what only deserves a word."""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tradeutils.errors import HistoryCorrupt, HistoryError
from tradeutils.history.reports import Damage, VerifyReport
from tradeutils.history.store.asked import ASKED, read_asked
from tradeutils.history.store.compact import PACKED
from tradeutils.history.store.journal import JOURNAL, read_journal
from tradeutils.history.store.layout import NAME_FILE, Partition, SeriesKey
from tradeutils.history.store.locks import LOCK
from tradeutils.history.store.partitions import check_partition
from tradeutils.history.store.quarantine import QUARANTINE, REASONS, read_aside, screened
from tradeutils.history.store.rows import Rows
from tradeutils.history.store.series import Series

__all__ = ["SERIES_FILES", "misplaced", "verify_all"]

SERIES_FILES = frozenset({JOURNAL, ASKED, QUARANTINE, LOCK, NAME_FILE, PACKED})
"""What may lie in the folder of a series beside its partitions."""


@dataclass(slots=True)
class _Findings:
    """What was found so far."""

    files: int = 0
    rows: int = 0
    bytes: int = 0
    damages: list[Damage] = field(default_factory=list)
    notes: list[Damage] = field(default_factory=list)


def verify_all(series: Iterable[Series], nameless: Iterable[tuple[SeriesKey, pathlib.Path]] = ()) -> VerifyReport:
    """Verify series; damage is reported, not raised. Folders that do not say which series they are are damage too."""
    found = _Findings()
    for key, folder in nameless:
        told = f"{folder / NAME_FILE} does not say which series this is; write to the series, or ask for it by its name"
        found.damages.append(Damage(key, str(folder / NAME_FILE), told))
    count = 0
    for one in series:
        count += 1
        for look in (_verify_partitions, _verify_journal, _verify_asked, _verify_aside, _note_others):
            look(one, found)
    return VerifyReport(count, found.files, found.rows, found.bytes, tuple(found.damages), tuple(found.notes))


def _verify_partitions(series: Series, found: _Findings) -> None:
    for part in series.partitions():
        _report(series, part.name, found, functools.partial(_verify_partition, series, found, part))


def _verify_partition(series: Series, found: _Findings, part: Partition) -> None:
    path = series.folder / part.name
    rows = check_partition(path)
    found.files += 1
    found.rows += len(rows)
    found.bytes += path.stat().st_size
    problem = misplaced(rows, part) or _no_candle(rows, series)
    if problem:
        raise HistoryCorrupt(f"{path} {problem}")


def _report(series: Series, name: str, found: _Findings, look: Callable[[], None]) -> None:
    """Run one check; a file that is gone by now was taken by retention."""
    try:
        look()
    except FileNotFoundError:
        return
    except (HistoryCorrupt, HistoryError) as error:
        found.damages.append(Damage(series.key, str(series.folder / name), str(error)))


def misplaced(rows: Rows, part: Partition) -> str | None:
    """Say what is wrong where a file holds candles that its name does not speak of."""
    if rows.time[0] >= part.since and rows.time[-1] < part.until:
        return None
    return f"holds candles from {rows.time[0]} to {rows.time[-1]}, and by its name [{part.since}, {part.until})"


def _no_candle(rows: Rows, series: Series) -> str | None:
    _, suspects = screened(rows, series.frame)
    if suspects is None:
        return None
    first = REASONS[int(suspects.reason[0])]
    return f"holds {len(suspects.rows)} rows that are no candles, the first at {suspects.rows.time[0]} ({first})"


def _verify_journal(series: Series, found: _Findings) -> None:
    def look() -> None:
        view = read_journal(series.journal)
        if view.identity is None:
            return
        found.files += 1
        found.rows += view.records
        found.bytes += view.size
        problem = _no_candle(view.rows, series)
        if problem:
            raise HistoryCorrupt(f"{series.journal} {problem}")
        if view.torn:
            told = f"{view.torn} bytes at its end are of a write that was not acknowledged, or is under way"
            found.notes.append(Damage(series.key, str(series.journal), told))

    _report(series, JOURNAL, found, look)


def _verify_asked(series: Series, found: _Findings) -> None:
    def look() -> None:
        asked = read_asked(series.folder)
        found.files += bool(asked.records)
        if asked.damaged:
            raise HistoryCorrupt(
                f"{series.folder / ASKED}: {asked.damaged} of {asked.records} notes of what the venue was asked for "
                "fail their checksum; what was noted before them counts as never asked"
            )

    _report(series, ASKED, found, look)


def _verify_aside(series: Series, found: _Findings) -> None:
    def look() -> None:
        aside = read_aside(series.folder)
        found.files += bool(len(aside.rows))
        if aside.damaged:
            raise HistoryCorrupt(f"{series.folder / QUARANTINE}: {aside.damaged} rows kept aside fail their checksum")

    _report(series, QUARANTINE, found, look)


def _note_others(series: Series, found: _Findings) -> None:
    ours = SERIES_FILES | {part.name for part in series.partitions()}
    for name in sorted(os.listdir(series.folder)):  # noqa: PTH208  # names are all that is needed
        if name not in ours and not name.startswith("_damaged"):
            told = "half written, by a writer that was killed or is at work" if name.endswith(".tmp") else "not ours"
            found.notes.append(Damage(series.key, str(series.folder / name), told))
