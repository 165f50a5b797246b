"""Candle files that others wrote, read with a report of what was found in them."""

from tradeutils.history.candle_files.names import CandleSource, discover
from tradeutils.history.candle_files.reading import CandleFile, FileReport, read_candles

__all__ = ["CandleFile", "CandleSource", "FileReport", "discover", "read_candles"]
