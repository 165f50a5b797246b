"""Years of candles on disk: files that others wrote are read with a report of what was found in them."""

from tradeutils.history.candle_files import CandleFile, CandleSource, FileReport, discover, read_candles

__all__ = ["CandleFile", "CandleSource", "FileReport", "discover", "read_candles"]
