"""
Years of candles on disk: `History` keeps them, and files that others wrote are read with a report of what was found.

Names are loaded on first use: reading a CSV file needs no Parquet.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradeutils.history.backfilling.report import BackfillReport, Missing, Progress, SeriesBackfill
    from tradeutils.history.candle_files import CandleFile, CandleSource, FileReport, discover, read_candles
    from tradeutils.history.exports import ExportedFile, ExportReport
    from tradeutils.history.history import History
    from tradeutils.history.imports import ImportedFile, ImportReport
    from tradeutils.history.live import Followed
    from tradeutils.history.reports import (
        CompactReport,
        Coverage,
        Damage,
        Quarantined,
        SalvageReport,
        SeriesKey,
        VerifyReport,
        WriteReport,
    )
    from tradeutils.history.retention import PrunedFile, PruneReport
    from tradeutils.history.selection import Selection
    from tradeutils.history.stats import HistoryStats, SeriesStats

_HOMES = {
    "BackfillReport": "backfilling.report",
    "CandleFile": "candle_files",
    "CandleSource": "candle_files",
    "CompactReport": "reports",
    "Coverage": "reports",
    "Damage": "reports",
    "ExportReport": "exports",
    "ExportedFile": "exports",
    "FileReport": "candle_files",
    "Followed": "live",
    "History": "history",
    "HistoryStats": "stats",
    "ImportReport": "imports",
    "ImportedFile": "imports",
    "Missing": "backfilling.report",
    "Progress": "backfilling.report",
    "PruneReport": "retention",
    "PrunedFile": "retention",
    "Quarantined": "reports",
    "SalvageReport": "reports",
    "Selection": "selection",
    "SeriesBackfill": "backfilling.report",
    "SeriesKey": "reports",
    "SeriesStats": "stats",
    "VerifyReport": "reports",
    "WriteReport": "reports",
    "discover": "candle_files",
    "read_candles": "candle_files",
}

__all__ = [
    "BackfillReport",
    "CandleFile",
    "CandleSource",
    "CompactReport",
    "Coverage",
    "Damage",
    "ExportReport",
    "ExportedFile",
    "FileReport",
    "Followed",
    "History",
    "HistoryStats",
    "ImportReport",
    "ImportedFile",
    "Missing",
    "Progress",
    "PruneReport",
    "PrunedFile",
    "Quarantined",
    "SalvageReport",
    "Selection",
    "SeriesBackfill",
    "SeriesKey",
    "SeriesStats",
    "VerifyReport",
    "WriteReport",
    "discover",
    "read_candles",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
