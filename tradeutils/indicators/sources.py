"""The kinds of data indicators are computed on: which columns each has, and how a result of its kind is made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np

from tradeutils import frames
from tradeutils.device import Device, as_device_array, device_of, is_device_array
from tradeutils.errors import UsageError
from tradeutils.indicators.arrays import Array, as_prices, check_axes, repeated
from tradeutils.indicators.spec import Indicator
from tradeutils.model import Candles, DevicePanel, Panel

__all__ = ["Source", "source_of"]

_COLUMNS = ("open", "high", "low", "close", "volume")


class Source(Protocol):
    """Data of one kind."""

    @property
    def device(self) -> Device | None:
        """Where the columns lie, and results will: a device, or the host for ``None``."""

    def now(self) -> Source:
        """Return the source of the data as they are now: all that is read of it has the same bars."""

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
    UsageError : not Candles, a Panel, an array, a DataFrame, a Series, or an Arrow table or array; on a device, an
        array of another type than float64 and float32, or on one that is not found.
    BackendUnavailable : an array on a device, and none can be used.
    """
    if isinstance(data, Candles | Panel):
        columns = {name: getattr(data, name) for name in _COLUMNS}
        return _Arrays({**columns, "time": repeated(data.time.astype(np.float64), data.close)}, type(data).__name__)
    if isinstance(data, DevicePanel):
        return _ResidentPanel(data)
    if type(data) is not np.ndarray and is_device_array(data):
        return _Resident(data)
    if isinstance(data, np.ndarray):
        return _Arrays({"close": as_prices(data, "close")}, "an array of closes")
    if frames.is_series(data):
        return _Line(data)
    if frames.is_frame(data):
        found = frames.columns(data)
        # Not any one of the names: LOW and OPEN are symbols on some venue.
        return _Table(data, found) if "close" in found or {"high", "low"} <= found.keys() else _Wide(data, found)
    if _is_arrow(data, "Table", "RecordBatch"):
        return _ArrowTable(data)
    if _is_arrow(data, "Array", "ChunkedArray"):
        return _ArrowColumn(data)
    raise UsageError(
        f"data was {type(data).__name__}; give Candles, a Panel, a DataFrame, a Series, an Arrow table or an array of "
        "closes"
    )


def _is_arrow(data: object, *names: str) -> bool:
    """Tell whether ``data`` is of one of these classes of pyarrow, without importing it: who holds one has."""
    pyarrow = sys.modules.get("pyarrow")
    return pyarrow is not None and isinstance(data, tuple(getattr(pyarrow, name) for name in names))


def _pick(columns: Mapping[str, Array], indicator: Indicator, what: str) -> list[Array]:
    missing = [name for name in indicator.inputs if name not in columns]
    if missing:
        raise UsageError(
            f"{indicator.name} needs {', '.join(indicator.inputs)} and {what} has no {', '.join(missing)} "
            f"(it has {', '.join(list(columns)[:8]) or 'nothing'})"
        )
    return [columns[name] for name in indicator.inputs]


class _OnHost:
    """What data in the memory of the host have in common."""

    device: Device | None = None

    def now(self) -> Self:
        return self


class _Arrays(_OnHost):
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


class _Resident:
    """An array of closes on a device: results are arrays on that device."""

    def __init__(self, close: Any) -> None:
        self.device: Device | None = (device := device_of(close))
        self._close = as_device_array(close, device, name="close")
        check_axes(self._close, "close")

    def now(self) -> Self:
        return self

    def columns(self, indicator: Indicator) -> list[Array]:
        return _pick({"close": self._close}, indicator, "an array of closes on a device")

    def one(self, label: str, result: Array) -> Array:
        return result

    def many(self, results: Mapping[str, Array]) -> dict[str, Array]:
        return dict(results)


class _Times:
    """The times of a panel on its device: they are sent where they are read, and kept until a bar is added."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._kept: Any = None

    def of(self, time: Any) -> Any:
        """Return times (T,) as float64 on the device."""
        kept = self._kept
        if kept is None or not np.array_equal(kept[0], time):
            kept = self._kept = time.copy(), self._device.upload(time.astype(np.float64))
        return kept[1]


class _ResidentPanel:
    """A panel on a device, with the bars that it has when it is computed: results are arrays on that device."""

    def __init__(self, panel: DevicePanel, times: _Times | None = None) -> None:
        self.device: Device | None = panel.device
        self._panel = panel
        self._times = _Times(panel.device) if times is None else times

    def now(self) -> _ResidentPanel:
        return _ResidentPanel(self._panel.snapshot(), self._times)

    def columns(self, indicator: Indicator) -> list[Array]:
        columns = {name: getattr(self._panel, name) for name in _COLUMNS}
        if "time" in indicator.inputs:
            columns["time"] = repeated(self._times.of(self._panel.time), columns["close"], self._panel.device)
        return _pick(columns, indicator, "a panel on a device")

    def one(self, label: str, result: Array) -> Array:
        return result

    def many(self, results: Mapping[str, Array]) -> dict[str, Array]:
        return dict(results)


class _Table(_OnHost):
    """A DataFrame with OHLCV columns of one symbol: results are Series, or columns of a DataFrame."""

    def __init__(self, frame: Any, columns: Mapping[str, Array]) -> None:
        self._frame = frame
        self._columns = columns

    def columns(self, indicator: Indicator) -> list[Array]:
        if "time" not in indicator.inputs:
            return _pick(self._columns, indicator, "the frame")
        time = frames.times(self._frame).astype(np.float64)
        return _pick({**self._columns, "time": time}, indicator, "the frame")

    def one(self, label: str, result: Array) -> Any:
        return self.many({label: result})[label]

    def many(self, results: Mapping[str, Array]) -> Any:
        named: dict[Any, Array] = dict(results)
        return frames.like(self._frame, named)


class _Wide(_OnHost):
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
        values = frame.to_numpy()  # where it lies, if all columns are float64 in one piece, as those of our panels are
        if values.dtype != np.float64:
            values = np.empty((len(columns), len(frame))).T
            for at, column in enumerate(columns.values()):
                values[:, at] = column
        self._close = values

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


class _Line(_OnHost):
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


class _ArrowColumn(_OnHost):
    """An Arrow array of closes: results are Arrow arrays, or columns of a table. NaN, not null, where unknown."""

    def __init__(self, column: Any) -> None:
        self._close = as_prices(column, "close")

    def columns(self, indicator: Indicator) -> list[Array]:
        return _pick({"close": self._close}, indicator, "an Arrow array of closes")

    def one(self, label: str, result: Array) -> Any:
        return _arrow().array(result)

    def many(self, results: Mapping[str, Array]) -> Any:
        return _arrow().table(dict(results))


class _ArrowTable(_OnHost):
    """An Arrow table with OHLCV columns of one symbol, in any case: results are Arrow arrays, or a table."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._places: dict[str, int] = {}
        for at, label in enumerate(table.schema.names):
            name = label.strip().lower()
            if name in (*_COLUMNS, "time") and self._places.setdefault(name, at) != at:
                raise UsageError(f"the table has two columns that read as {name!r}; drop or rename one")
        if not self._places.keys() & set(_COLUMNS):
            there = ", ".join(table.schema.names[:8]) or "nothing"
            raise UsageError(f"the table has no column open, high, low, close or volume (it has {there}); rename them")

    def columns(self, indicator: Indicator) -> list[Array]:
        # Only what is read is converted: a column of float64 in one piece lies where it lay.
        wanted = {name: at for name, at in self._places.items() if name in indicator.inputs}
        found = {name: as_prices(self._numbers(at), name) for name, at in wanted.items()}
        return _pick(found, indicator, f"the table of {', '.join(self._places)}")

    def _numbers(self, at: int) -> Any:
        """Return a column; moments as milliseconds."""
        arrow, column = _arrow(), self._table.column(at)
        if arrow.types.is_timestamp(column.type):
            return column.cast(arrow.timestamp("ms", column.type.tz), safe=False).cast(arrow.int64())
        return column

    def one(self, label: str, result: Array) -> Any:
        return _arrow().array(result)

    def many(self, results: Mapping[str, Array]) -> Any:
        return _arrow().table(dict(results))


def _arrow() -> Any:
    """Return pyarrow, which is there: the data is of it."""
    return sys.modules["pyarrow"]
