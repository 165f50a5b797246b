"""Years of candles on disk: files that others wrote are read with a report of what was found in them."""

from tradeutils.history.file_names import CandleSource, discover
from tradeutils.history.files import CandleFile, FileReport, read_candles

__all__ = ["CandleFile", "CandleSource", "FileReport", "discover", "read_candles"]
