"""The kinds of data indicators are computed on: which columns each has, and how a result of its kind is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from tradeutils import frames
from tradeutils.errors import UsageError
from tradeutils.indicators.arrays import Array, as_prices
from tradeutils.indicators.spec import Indicator
from tradeutils.model import Candles, Panel

__all__ = ["Source", "source_of"]

_COLUMNS = ("open", "high", "low", "close", "volume")


class Source(Protocol):
    """Data of one kind."""

    def columns(self, indicator: Indicator) -> list[Array]:
        """Return the indicator's inputs; ``UsageError`` where the data lacks one."""

    def one(self, label: str, result: Array) -> Any:
        """Return one result in the kind of the data, named ``label`` where the kind has names."""

    def many(self, results: Mapping[str, Array]) -> Any:
        """Return results by key: a dict of arrays, or a DataFrame."""


def source_of(data: Any) -> Source:
    """
    Return the source that reads ``data``.

    Raises
    ------
    UsageError : not Candles, a Panel, an array, a DataFrame or a Series.
    """
    if isinstance(data, Candles | Panel):
        return _Arrays({name: getattr(data, name) for name in _COLUMNS}, type(data).__name__)
    if isinstance(data, np.ndarray):
        return _Arrays({"close": np.ascontiguousarray(as_prices(data, "close"))}, "an array of closes")
    if frames.is_series(data):
        return _Line(data)
    if frames.is_frame(data):
        columns = frames.columns(data)
        # Not any one of the names: LOW and OPEN are symbols on some venue.
        return (
            _Table(data, columns) if "close" in columns or {"high", "low"} <= columns.keys() else _Wide(data, columns)
        )
    raise UsageError(
        f"data was {type(data).__name__}; give Candles, a Panel, a DataFrame, a Series or an array of closes"
    )


def _pick(columns: Mapping[str, Array], indicator: Indicator, what: str) -> list[Array]:
    missing = [name for name in indicator.inputs if name not in columns]
    if missing:
        raise UsageError(
            f"{indicator.name} needs {', '.join(indicator.inputs)} and {what} has no {', '.join(missing)} "
            f"(it has {', '.join(list(columns)[:8]) or 'nothing'})"
        )
    return [columns[name] for name in indicator.inputs]


class _Arrays:
    """Candles (T,), a Panel (T, S) or bare closes: results are arrays."""

    def __init__(self, columns: Mapping[str, Array], what: str) -> None:
        self._columns = columns
        self._what = what

    def columns(self, indicator: Indicator) -> list[Array]:
        return _pick(self._columns, indicator, self._what)

    def one(self, label: str, result: Array) -> Array:
        return result

    def many(self, results: Mapping[str, Array]) -> dict[str, Array]:
        return dict(results)


class _Table:
    """A DataFrame with OHLCV columns of one symbol: results are Series, or columns of a DataFrame."""

    def __init__(self, frame: Any, columns: Mapping[str, Array]) -> None:
        self._frame = frame
        self._columns = columns

    def columns(self, indicator: Indicator) -> list[Array]:
        return _pick(self._columns, indicator, "the frame")

    def one(self, label: str, result: Array) -> Any:
        return self.many({label: result})[label]

    def many(self, results: Mapping[str, Array]) -> Any:
        named: dict[Any, Array] = dict(results)
        return frames.like(self._frame, named)


class _Wide:
    """A DataFrame of closes with a column for each symbol: results are such DataFrames, side by side if several."""

    def __init__(self, frame: Any, columns: Mapping[str, Array]) -> None:
        if len(columns) < len(frame.columns):
            others = [str(label) for label in frame.columns if str(label) not in columns]
            raise UsageError(
                f"the frame has no column close, so each column should be the closes of one symbol, and "
                f"{', '.join(others[:8])} is not numeric; drop it, make it the index, or convert it"
            )
        self._frame = frame
        self._symbols = list(frame.columns)
        self._close = np.empty((len(frame), len(columns)))
        for at, column in enumerate(columns.values()):
            self._close[:, at] = column

    def columns(self, indicator: Indicator) -> list[Array]:
        return _pick({"close": self._close}, indicator, "a frame with a column for each symbol")

    def one(self, label: str, result: Array) -> Any:
        return self.many({label: result})

    def many(self, results: Mapping[str, Array]) -> Any:
        named: dict[Any, Array] = {
            (symbol if len(results) == 1 else (key, symbol)): result[:, at]
            for key, result in results.items()
            for at, symbol in enumerate(self._symbols)
        }
        return frames.like(self._frame, named)


class _Line:
    """A Series of closes: results are Series, or columns of a DataFrame."""

    def __init__(self, series: Any) -> None:
        self._series = series
        self._close = frames.columns(series.to_frame("close"))["close"]

    def columns(self, indicator: Indicator) -> list[Array]:
        return _pick({"close": self._close}, indicator, "a Series of closes")

    def one(self, label: str, result: Array) -> Any:
        return frames.series_like(self._series, result)

    def many(self, results: Mapping[str, Array]) -> Any:
        named: dict[Any, Array] = dict(results)
        return frames.like(self._series.to_frame(), named)
