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
from tradeutils.history.store.asked import Note, read_asked, rewrite_asked
from tradeutils.history.store.journal import put_journal, read_journal, sound_rows
from tradeutils.history.store.layout import SeriesKey
from tradeutils.history.store.partitions import check_partition, refused, sync_folder
from tradeutils.history.store.ranges import Range, union
from tradeutils.history.store.store import Store
from tradeutils.history.store.verify import misplaced
from tradeutils.history.store.writer import Writer

__all__ = ["DAMAGED", "salvage_all"]

DAMAGED: Final = "_damaged-"
"""What the names of files that were put aside begin with; their ends are no ``.parquet``, so nobody reads them."""

_ALWAYS: Final = (-(2**62), 2**62)


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
    for part in writer.series.partitions():
        path = folder / part.name
        try:
            if not misplaced(check_partition(path), part):
                continue
        except HistoryCorrupt:
            pass
        writer.note(Note.FORGOTTEN, part.since, part.until)
        saved.forgotten.append((part.since, part.until))
        saved.moved.append(str(_put_aside(path)))
        found = True
    if found:
        writer.forget()
    return found


def _mend_journal(writer: Writer, saved: _Saved) -> bool:
    path = writer.series.journal
    try:
        read_journal(path)
    except HistoryCorrupt:
        rows, lost = sound_rows(path)
        aside = _put_aside(path, copy=True)
        put_journal(path, rows, 1)
        # Of a lost record it is not known which candle it was. What is stored is known all the same: only what the
        # venue had nothing for is asked again, and what was pruned stays so.
        pruned = read_asked(writer.series.folder).pruned
        writer.note(Note.FORGOTTEN, *_ALWAYS)
        for since, until in pruned:
            writer.note(Note.PRUNED, since, until)
        saved.kept, saved.lost = len(rows), lost
        saved.moved.append(str(aside))
        saved.forgotten.append(_ALWAYS)
        return True
    return False


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
