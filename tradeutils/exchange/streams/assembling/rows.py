"""Candles as single rows: read from ccxt's, and made into ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tradeutils.model import Candles
from tradeutils.model.candles import PRICE_FIELDS, one_candle

__all__ = ["Row", "made_candles", "read_row"]

Row: TypeAlias = tuple[int, float, float, float, float, float]
"""Open in ms UTC, then open, high, low, close and volume."""


def read_row(given: Any) -> Row | None:
    """Return a row of ccxt's as numbers; ``None`` where it has no time or no price."""
    try:
        time, opened, high, low, close = (
            int(given[0]), float(given[1]), float(given[2]), float(given[3]), float(given[4]),
        )  # fmt: skip
        volume = math.nan if given[5] is None else float(given[5])
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return (time, opened, high, low, close, volume) if math.isfinite(opened + high + low + close) else None


def made_candles(exchange: str, symbol: str, timeframe: str, rows: Sequence[Row]) -> Candles:
    """Return closed candles of rows that are in order."""
    if len(rows) == 1:
        return one_candle(exchange, symbol, timeframe, rows[0], closed=True)
    values = np.array([row[1:] for row in rows], dtype=np.float64).T
    return Candles(
        exchange=exchange,
        symbol=symbol,
        timeframe=timeframe,
        time=np.array([row[0] for row in rows], dtype=np.int64),
        **dict(zip(PRICE_FIELDS, values, strict=True)),
    )
