"""Make damaged series usable again: what is sound stays, what is not is put aside and counts as never asked for."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tradeutils.errors import HistoryCorrupt
from tradeutils.history.reports import SalvageReport
from tradeutils.history.store.asked import Note, note_range, read_asked, rewrite_asked
from tradeutils.history.store.journal import put_journal, read_journal, sound_rows
from tradeutils.history.store.layout import Partition, SeriesKey
from tradeutils.history.store.partitions import check_partition, refused, sync_folder, write_partition
from tradeutils.history.store.quarantine import QUARANTINE, Suspects, keep_aside, read_aside, rewrite_aside, screened
from tradeutils.history.store.ranges import Range, subtract, union
from tradeutils.history.store.rows import Rows
from tradeutils.history.store.store import Store
from tradeutils.history.store.verify import misplaced
from tradeutils.history.store.writer import Writer

__all__ = ["DAMAGED", "salvage_all"]

DAMAGED: Final = "_damaged-"
"""What the names of files that were put aside begin with; their ends are no ``.parquet``, so nobody reads them."""

_ALWAYS: Final = (-(2**62), 2**62)
_NOTES_BYTES: Final = 1 << 14  # at least, for the notes of what was forgotten


@dataclass(slots=True)
class _Saved:
    kept: int = 0
    lost: int = 0
    moved: list[str] = field(default_factory=list)
    forgotten: list[Range] = field(default_factory=list)


def salvage_all(store: Store, keys: Iterable[SeriesKey]) -> SalvageReport:
    """Salvage series; sound ones are not touched."""
    saved: dict[SeriesKey, _Saved] = {}
    for key in keys:
        with store.writing(key) as writer:
            one = _Saved()
            if _salvage(writer, one):
                saved[key] = one
    return SalvageReport(
        len(saved),
        sum(one.kept for one in saved.values()),
        sum(one.lost for one in saved.values()),
        tuple(name for one in saved.values() for name in one.moved),
        {key: union(one.forgotten) for key, one in saved.items()},
    )


def _salvage(writer: Writer, saved: _Saved) -> bool:
    """Mend one series; tell whether there was anything to mend."""
    writer.take_lock()
    folder = writer.series.folder
    found = _mend_journal(writer, saved)
    if read_asked(folder).damaged:
        rewrite_asked(folder)
        found = True
    if read_aside(folder).damaged:
        saved.moved.append(str(_put_aside(folder / QUARANTINE, copy=True)))
        rewrite_aside(folder)
        found = True
    for part in writer.series.partitions():
        path = folder / part.name
        rows, suspects = _sound(path, part, writer)
        if rows is not None and suspects is None:
            continue
        _renew(writer)
        writer.note(Note.FORGOTTEN, part.since, part.until)
        saved.forgotten.append((part.since, part.until))
        if rows is None or suspects is None:
            saved.moved.append(str(_put_aside(path)))
        else:
            writer.keep_aside(suspects)
            saved.moved.append(str(_put_aside(path, copy=True)))
            write_partition(path, rows)
        found = True
    if found:
        writer.forget()
    return found


def _renew(writer: Writer) -> None:
    """Begin the next generation of the journal: no process believes what it remembers of what is put aside now."""
    view = read_journal(writer.series.journal)
    put_journal(writer.series.journal, view.rows, view.identity.generation + 1 if view.identity else 1)


def _sound(path: pathlib.Path, part: Partition, writer: Writer) -> tuple[Rows | None, Suspects | None]:
    """Return the candles of a file and what else stands among them; None where nothing of it can be used."""
    try:
        rows = check_partition(path)
    except HistoryCorrupt:
        return None, None
    if misplaced(rows, part):
        return None, None
    sound, suspects = screened(rows, writer.series.frame)
    return (sound if len(sound) else None), suspects


def _mend_journal(writer: Writer, saved: _Saved) -> bool:
    series = writer.series
    path, damaged, lost = series.journal, False, 0
    try:
        rows = read_journal(path).rows
    except HistoryCorrupt:
        rows, lost = sound_rows(path)
        damaged = True
    rows, suspects = screened(rows, series.frame)
    if not damaged and suspects is None:
        return False
    writer.check_room(2 * path.stat().st_size + _NOTES_BYTES)
    saved.moved.append(str(_put_aside(path, copy=True)))
    if suspects is not None:
        keep_aside(series.folder, suspects)
    # Of a lost record it is not known which candle it was. What is stored is known all the same: only what the venue
    # had nothing for is asked again, and what was pruned stays so. Forgotten before the journal is mended: whatever
    # stops it in between leaves damage that the next call finds, and no lost candle that counts as asked for.
    for since, until in subtract((_ALWAYS,), read_asked(series.folder).pruned):
        note_range(series.folder, Note.FORGOTTEN, since, until)
    put_journal(path, rows, 1)
    saved.kept, saved.lost = len(rows), lost
    saved.forgotten.append(_ALWAYS)
    return True


def _put_aside(path: pathlib.Path, *, copy: bool = False) -> pathlib.Path:
    """Give a file a name that nobody reads; as a copy, it keeps its own until another takes its place."""
    names = (path.with_name(f"{DAMAGED}{path.name}-{number}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    try:
        if copy:
            os.link(path, aside)
        else:
            path.rename(aside)
        sync_folder(path.parent)
    except OSError as error:
        raise refused(path, error) from error
    return aside
