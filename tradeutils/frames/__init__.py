"""
pandas in and out: the one room that imports pandas, and only once a frame is asked for or handed in.

Times become a UTC ``DatetimeIndex`` in milliseconds, the unit of our own ``time`` columns.
"""

from tradeutils.frames._arrays import columns, is_frame, is_series, like, series_like
from tradeutils.frames._candles import candles_from_frame, candles_to_frame, panel_to_frame, times
from tradeutils.frames._parts import put_together, take_apart
from tradeutils.frames._tables import rows_of_frame, table_to_frame

__all__ = [
    "candles_from_frame",
    "candles_to_frame",
    "columns",
    "is_frame",
    "is_series",
    "like",
    "panel_to_frame",
    "put_together",
    "rows_of_frame",
    "series_like",
    "table_to_frame",
    "take_apart",
    "times",
]
