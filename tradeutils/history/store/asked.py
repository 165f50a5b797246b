"""
What the venue was asked for: so that "asked, and there is nothing" differs from "never asked".

An append-only file of records of 24 bytes: what is noted (1 asked, 2 forgotten, 3 pruned) as uint32, since and until as
int64 ms, and a CRC32. Each note counts for its range from then on, whatever was noted before. A damaged record makes
all before it forgotten, as it may have been the one that said so: that costs requests, and never hides a candle.
"""

from __future__ import annotations

import enum
import itertools
import pathlib
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from tradeutils.history.store.layout import put_file
from tradeutils.history.store.partitions import refused
from tradeutils.history.store.ranges import Range, Ranges, subtract, union
from tradeutils.history.store.record_files import append_records, read_records

__all__ = ["ASKED", "Asked", "Note", "note_range", "read_asked", "rewrite_asked"]

ASKED: Final = "_asked"

_RECORD: Final = struct.Struct("<IqqI")
_BODY_BYTES: Final = 20
_COMPACT_AT: Final = 512  # records; rewritten when there are this many and a quarter of them would do


class Note(enum.IntEnum):
    """What is noted of a range."""

    ASKED = 1
    FORGOTTEN = 2
    PRUNED = 3


_KINDS: Final = {int(note): note for note in Note}


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What is noted of a series.

    Attributes
    ----------
    ranges : Ranges
        What the venue was asked for.
    pruned : Ranges
        What was stored once and was taken away on purpose.
    records, damaged : int
        Records in the file, and those of them that fail their checksum.
    """

    ranges: Ranges = ()
    pruned: Ranges = ()
    records: int = 0
    damaged: int = 0

    def noted(self, note: Note, spans: Ranges) -> Asked:
        """Return what holds after one more note of some ranges, which need not be in order."""
        spans = union(spans)
        ranges, pruned = subtract(self.ranges, spans), subtract(self.pruned, spans)
        if note is Note.ASKED:
            ranges = union(ranges, spans)
        elif note is Note.PRUNED:
            pruned = union(pruned, spans)
        return Asked(ranges, pruned, self.records, self.damaged)


def read_asked(folder: pathlib.Path) -> Asked:
    """Return what is noted in a series' folder; a record that is only half there was never acknowledged."""
    data = read_records(folder / ASKED)
    notes = [_note(data, at) for at in range(0, len(data) - len(data) % _RECORD.size, _RECORD.size)]
    damaged = notes.count(None)
    sound = notes[len(notes) - notes[::-1].index(None) :] if damaged else notes
    found = Asked(records=len(notes), damaged=damaged)
    for kind, alike in itertools.groupby(filter(None, sound), key=lambda one: one[0]):  # one union for all of a kind
        found = found.noted(kind, tuple(span for _, span in alike))
    return found


def _note(data: bytes, at: int) -> tuple[Note, Range] | None:
    """Return what the record at a byte notes, None where it is damaged."""
    kind, since, until, crc = _RECORD.unpack_from(data, at)
    if crc != zlib.crc32(data[at : at + _BODY_BYTES]) or kind not in _KINDS:
        return None
    return _KINDS[kind], (since, until)


def note_range(folder: pathlib.Path, note: Note, since: int, until: int) -> None:
    """
    Note something of ``[since, until)``; on return it is on the disk. Nothing is written where it is known already.

    The caller holds the lock of the series.

    Raises
    ------
    HistoryFull, HistoryError : it could not be written; what was noted before stands.
    """
    known = read_asked(folder)
    after = known.noted(note, ((since, until),))
    if (after.ranges, after.pruned) == (known.ranges, known.pruned):
        return
    path = folder / ASKED
    needed = len(after.ranges) + len(after.pruned)
    if known.records >= _COMPACT_AT and known.records > 4 * needed:
        _replace(path, after)
    else:
        append_records(path, _record(note, since, until), _RECORD.size)


def rewrite_asked(folder: pathlib.Path) -> None:
    """Write what is noted anew, without the records that are damaged. The caller holds the lock of the series."""
    _replace(folder / ASKED, read_asked(folder))


def _replace(path: pathlib.Path, asked: Asked) -> None:
    try:
        put_file(path, b"".join(_packed(asked)))
    except OSError as error:
        raise refused(path, error) from error


def _packed(asked: Asked) -> list[bytes]:
    return [
        *(_record(Note.PRUNED, since, until) for since, until in asked.pruned),
        *(_record(Note.ASKED, since, until) for since, until in asked.ranges),
    ]


def _record(note: Note, since: int, until: int) -> bytes:
    body = struct.pack("<Iqq", note, since, until)
    return body + struct.pack("<I", zlib.crc32(body))
