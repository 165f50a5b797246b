"""The files of a history: where they lie, how they are written so that no kill loses or doubles a candle, and read."""

from tradeutils.history.store.layout import SeriesKey
from tradeutils.history.store.store import Store

__all__ = ["SeriesKey", "Store"]
