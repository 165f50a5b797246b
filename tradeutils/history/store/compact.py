"""Upkeep of stored series: seal, take away leftovers, pack what is over as small as can be."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tradeutils.errors import DataError, HistoryError
from tradeutils.history.reports import CompactReport
from tradeutils.history.store.layout import SeriesKey, put_file
from tradeutils.history.store.partition_file import opened
from tradeutils.history.store.partitions import check_partition, refused, write_partition
from tradeutils.history.store.store import Store
from tradeutils.history.store.writer import Writer

__all__ = ["PACKED", "compact_all"]

PACKED: Final = "_packed"
"""Which files are packed as small as can be: their names and sizes, as JSON."""


@dataclass(slots=True)
class _Totals:
    sealed: int = 0
    rewritten: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    leftovers: int = 0


def compact_all(store: Store, keys: Iterable[SeriesKey]) -> CompactReport:
    """Compact series; those that cannot be are skipped and reported."""
    totals = _Totals()
    skipped: dict[SeriesKey, str] = {}
    count = 0
    for key in keys:
        count += 1
        with store.writing(key) as writer:
            try:
                _compact(writer, totals)
            except (HistoryError, DataError) as error:
                skipped[key] = str(error)
    return CompactReport(
        count, totals.sealed, totals.rewritten, totals.bytes_before, totals.bytes_after, totals.leftovers, skipped
    )


def _compact(writer: Writer, totals: _Totals) -> None:
    writer.open()
    totals.leftovers += writer.remove_leftovers()
    totals.sealed += writer.seal()
    folder = writer.series.folder
    packed = _packed(writer)
    parts = writer.series.partitions()[:-1]  # candles still come to the newest one, and each seal packs it anew
    for part in parts:
        path = folder / part.name
        with opened(path) as handle:
            before = os.fstat(handle).st_size
        if packed.get(part.name) == before:
            continue
        writer.check_room(2 * before)
        after = write_partition(path, check_partition(path), dense=True)
        packed[part.name] = after
        totals.rewritten += 1
        totals.bytes_before += before
        totals.bytes_after += after
        try:
            put_file(folder / PACKED, json.dumps(packed, sort_keys=True).encode())
        except OSError as error:
            raise refused(folder / PACKED, error) from error


def _packed(writer: Writer) -> dict[str, int]:
    """Return which files were packed, and how large they were then; one that is damaged costs a packing."""
    try:
        told: Any = json.loads((writer.series.folder / PACKED).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(told, Mapping):
        return {}
    return {str(name): size for name, size in told.items() if isinstance(size, int)}
