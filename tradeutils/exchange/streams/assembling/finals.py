"""
Whether a venue says that a candle is over, read from its own message: ccxt leaves that out.

The flag is known by the shape of the message, so that venues with the layout of another are understood too.
Layouts: binance ``k.x``, bybit ``data[].confirm``, okx the last column, gate ``result.w``. Most other venues have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["final_flags", "is_of_another_length"]

_MINUTE_MS: Final = 60_000
_OKX_COLUMNS: Final = 9  # time, open, high, low, close, three volumes, confirm


def final_flags(frame: Any) -> Mapping[int, bool] | None:
    """
    Return of each open in a message, int ms UTC, whether that candle is over; ``None`` where it has no such flag.

    What cannot be read counts as having none.
    """
    if not isinstance(frame, dict):
        return None
    kline = frame.get("k")
    if isinstance(kline, dict):
        return _binance(kline)
    data = frame.get("data")
    if isinstance(data, dict) and isinstance(data.get("k"), dict):  # in the envelope of a combined stream
        return _binance(data["k"])
    if isinstance(data, list) and data:
        return _rows(data)
    result = frame.get("result")
    if isinstance(result, dict) and isinstance(result.get("w"), bool):
        opened = _milliseconds(result.get("t"), 1000)
        return None if opened is None else {opened: result["w"]}
    return None


def is_of_another_length(frame: Any, length: int | None) -> bool:
    """
    Tell whether a message says that its candles are of another timeframe than one of ``length`` milliseconds.

    ccxt's class for kraken hands candles of all timeframes of a market to whoever watches one of them.
    """
    data = frame.get("data") if isinstance(frame, dict) else None
    first = data[0] if isinstance(data, list) and data else None
    minutes = first.get("interval") if isinstance(first, dict) and "interval_begin" in first else None
    return isinstance(minutes, int) and minutes * _MINUTE_MS != length


def _binance(kline: Mapping[str, Any]) -> Mapping[int, bool] | None:
    opened, over = _milliseconds(kline.get("t")), kline.get("x")
    return {opened: over} if opened is not None and isinstance(over, bool) else None


def _rows(data: list[Any]) -> Mapping[int, bool] | None:
    """Return the flags of bybit's rows, which are objects, and of okx's, which are lists."""
    found: dict[int, bool] = {}
    for row in data:
        if isinstance(row, dict):
            opened, over = _milliseconds(row.get("start")), row.get("confirm")
        elif isinstance(row, list) and len(row) >= _OKX_COLUMNS and row[-1] in ("0", "1"):
            opened, over = _milliseconds(row[0]), row[-1] == "1"
        else:
            return None
        if opened is None or not isinstance(over, bool):
            return None
        found[opened] = over
    return found


def _milliseconds(value: Any, unit: int = 1) -> int | None:
    """Return a time, told as a number or as text, in milliseconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value * unit
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value) * unit
    return None
