"""A panel that stays in the memory of a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from tradeutils.device import COMPUTED, Device, DeviceArray, as_device_array, default_device
from tradeutils.errors import DataError, DeviceOutOfMemory, UsageError
from tradeutils.model.candles import PRICE_FIELDS, check_rising, column, describe_span, read_only
from tradeutils.model.panel import Bars, Panel
from tradeutils.timeframe import Times, to_ms

__all__ = ["DevicePanel", "panel_to_device"]

_FIRST_ROOM: Final = 64  # rows; a panel that is followed bar by bar begins with few


class DevicePanel:
    """
    Candles of S symbols on one time axis of T bars, in the memory of a GPU.

    Made by ``Panel.to_device()``, or from arrays that are on the GPU already. Indicators compute on it without moving
    it, and return arrays on the same device. To be changed by one thread at a time; others may compute on it meanwhile,
    with the bars that it has when they begin. What is queued is in order on the current stream, as all of CuPy's work:
    threads that have made streams of their own current must wait for one another.

    Parameters
    ----------
    symbols : sequence of str, length S
        No symbol twice.
    timeframe : str
        Length of a bar.
    time : int64 array, shape (T,)
        On the host: milliseconds UTC at which each bar opens; strictly rising.
    open, high, low, close, volume : device array, shape (T, S)
        All float64 or all float32; NaN where a candle is missing. CuPy's, or any with ``__dlpack__`` or
        ``__cuda_array_interface__``. Not copied until the first `append`.
    closed : bool array, shape (T,), optional
        On the host: False for a row in which a candle was still forming. Default: all closed.
    exchange : str
        Where they come from; empty where not known.
    device : Device, optional
        Where the arrays lie. Default: the first.

    Raises
    ------
    UsageError : shapes that do not fit, a symbol twice, arrays of several types or on another device.
    DataError : times that do not rise.
    BackendUnavailable : no GPU; the message names the remedy.
    """

    def __init__(
        self,
        *,
        symbols: Iterable[str],
        timeframe: str,
        time: npt.ArrayLike,
        open: Any,  # noqa: A002  # a column of candles
        high: Any,
        low: Any,
        close: Any,
        volume: Any,
        closed: npt.ArrayLike | None = None,
        exchange: str = "",
        device: Device | None = None,
    ) -> None:
        self._device = _checked_device(device)
        self._exchange = exchange
        self._symbols, self._timeframe = _checked_axes(symbols, timeframe)
        self._time: Times = column("time", time, np.int64)
        check_rising(self._time, f"panel {self._timeframe}")
        self._bars = len(self._time)
        flags = np.ones(self._bars, dtype=np.bool_) if closed is None else column("closed", closed, np.bool_)
        if flags.shape != self._time.shape:
            raise UsageError(f"closed had {len(flags)} rows and time {self._bars}; give one flag a row")
        self._closed: npt.NDArray[np.bool_] = flags
        given = dict(zip(PRICE_FIELDS, (open, high, low, close, volume), strict=True))
        self._columns = {name: as_device_array(values, self._device, name=name) for name, values in given.items()}
        self._check_columns()
        self._ours = False  # the first append copies: what was given may be in use elsewhere

    def _check_columns(self) -> None:
        for name, values in self._columns.items():
            if tuple(values.shape) != self.shape:
                raise UsageError(f"{name} had shape {tuple(values.shape)}; time and symbols ask for {self.shape}")
            if values.dtype != self._columns["open"].dtype:
                raise UsageError(f"{name} had dtype {values.dtype} and open {self.dtype}; give all in one")

    @property
    def exchange(self) -> str:
        """Where the candles come from; empty where not known."""
        return self._exchange

    @property
    def symbols(self) -> tuple[str, ...]:
        """The columns, in order."""
        return self._symbols

    @property
    def timeframe(self) -> str:
        """Length of a bar."""
        return self._timeframe

    @property
    def device(self) -> Device:
        """The device whose memory holds the panel."""
        return self._device

    @property
    def time(self) -> Times:
        """When each bar opens: int64 (T,), milliseconds UTC, on the host and read-only."""
        return read_only(self._time[: self._bars])

    @property
    def closed(self) -> npt.NDArray[np.bool_]:
        """Which rows are over: bool (T,), on the host and read-only."""
        return read_only(self._closed[: self._bars])

    @property
    def open(self) -> DeviceArray:
        """Opening prices on the device, (T, S): a view of the filled rows, as the other columns."""
        return self._columns["open"][: self._bars]

    @property
    def high(self) -> DeviceArray:
        """Highest prices on the device, (T, S)."""
        return self._columns["high"][: self._bars]

    @property
    def low(self) -> DeviceArray:
        """Lowest prices on the device, (T, S)."""
        return self._columns["low"][: self._bars]

    @property
    def close(self) -> DeviceArray:
        """Closing prices on the device, (T, S)."""
        return self._columns["close"][: self._bars]

    @property
    def volume(self) -> DeviceArray:
        """Volumes in base units on the device, (T, S)."""
        return self._columns["volume"][: self._bars]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the columns: float64 or float32."""
        return np.dtype(str(self._columns["open"].dtype))

    @property
    def shape(self) -> tuple[int, int]:
        """Bars and symbols: (T, S)."""
        return self._bars, len(self._symbols)

    @property
    def nbytes(self) -> int:
        """Bytes that the panel holds on the device, the room for bars to come included."""
        return sum(int(values.nbytes) for values in self._columns.values())

    def __len__(self) -> int:
        return self._bars

    def __repr__(self) -> str:
        where = f"{self._exchange} {self._timeframe}".strip()
        span = describe_span(self.time)
        return f"<DevicePanel {where}: {self._bars} bars x {len(self._symbols)} symbols{span}, {self.dtype}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DevicePanel stays in its process and its GPU; send panel.to_host() instead")

    def append(self, bars: Bars | Mapping[str, Any], *, closed: bool = True) -> None:
        """
        Add one bar, in place.

        Parameters
        ----------
        bars : Bars or mapping
            On the host: ``time`` (int ms) and open, high, low, close, volume, each (S,) in the panel's order. The time
            is after the last row's, or the same where that row is still forming: it is then replaced.
        closed : bool
            False: the bar is still forming.

        Raises
        ------
        UsageError : a column lacks, or has another shape.
        DataError : the time is not after the last row's; a price too large for float32.
        DeviceOutOfMemory : no room for more rows; the panel is as it was.

        Notes
        -----
        Sends 5 x S values. Room is doubled when it is full, so that rows are copied once on average; views taken
        before keep the rows that they had.
        """
        time, rows = self._checked_bar(bars)
        at = self._bars
        if at and time <= self._time[at - 1]:
            if time < self._time[at - 1] or self._closed[at - 1]:
                raise DataError(f"the bar opens at {time}, not after the last row at {self._time[at - 1]}")
            at -= 1
        self._make_room(at + 1)
        for name, row in rows.items():
            self._device.upload(row, out=self._columns[name][at : at + 1])
        self._time[at], self._closed[at] = time, closed
        self._bars = at + 1

    def _checked_bar(self, bars: Bars | Mapping[str, Any]) -> tuple[int, dict[str, npt.NDArray[Any]]]:
        """Return the time and the rows (1, S) of a bar, in this panel's type."""
        bar: Mapping[str, Any]
        bar = bars if isinstance(bars, Mapping) else {n: getattr(bars, n, None) for n in ("time", *PRICE_FIELDS)}
        missing = [name for name in ("time", *PRICE_FIELDS) if bar.get(name) is None]
        if missing:
            raise UsageError(f"bars lacked {', '.join(missing)}; give time, {', '.join(PRICE_FIELDS)}")
        rows = {}
        for name in PRICE_FIELDS:
            row = column(name, bar[name], np.float64)
            if row.shape != (len(self._symbols),):
                raise UsageError(f"{name} had shape {row.shape}; the panel has {len(self._symbols)} symbols")
            rows[name] = _rounded(name, row, self.dtype)[None, :]
        return to_ms(bar["time"]), rows

    def _make_room(self, rows: int) -> None:
        """Let the columns hold so many rows and be ours; what fails leaves all as it was."""
        if self._ours and rows <= len(self._time):
            return
        try:
            self._grow(max(2 * rows, _FIRST_ROOM))
        except DeviceOutOfMemory:
            pass
        else:
            return
        # Not while the error is handled: it holds columns that were made before it.
        self._grow(rows + max(_FIRST_ROOM, rows // 8))

    def _grow(self, room: int) -> None:
        """Move the columns one by one, so that never more than one of them is there twice."""
        width, filled = len(self._symbols), self._bars
        with self._device:
            for name, values in self._columns.items():
                if self._ours and len(values) >= room:
                    continue  # an earlier try came this far
                larger = self._device.xp.empty((room, width), dtype=self.dtype)
                larger[:filled] = values[:filled]
                self._columns[name] = larger
        self._ours = True
        for held in ("_time", "_closed"):
            before = getattr(self, held)
            after = np.empty(room, before.dtype)
            after[:filled] = before[:filled]
            setattr(self, held, after)

    def snapshot(self) -> DevicePanel:
        """
        Return a panel of the bars that there are now; nothing is copied, and nothing travels.

        All its columns have these bars, whatever another thread appends meanwhile. A bar that is still forming is
        shared: where it is replaced, it changes here too.
        """
        made = object.__new__(DevicePanel)
        bars = self._bars  # first: it is the last to grow
        columns = {name: values[:bars] for name, values in self._columns.items()}
        time, closed = self._time[:bars], self._closed[:bars]
        now = {"_bars": bars, "_columns": columns, "_time": time, "_closed": closed, "_ours": False}
        made.__dict__.update(self.__dict__ | now)
        return made

    def to_host(self) -> Panel:
        """Return a `Panel` of float64 with the same candles; the transfer costs 5 x T x S values."""
        columns, now = {}, self.snapshot()
        for name in PRICE_FIELDS:
            values = np.ascontiguousarray(self._device.download(getattr(now, name)), dtype=np.float64)
            values.flags.writeable = False  # ours alone: not to be copied once more
            columns[name] = values
        return Panel(
            exchange=self._exchange,
            symbols=self._symbols,
            timeframe=self._timeframe,
            time=now.time.copy(),
            closed=now.closed.copy(),
            **columns,
        )


def _checked_axes(symbols: Any, timeframe: str) -> tuple[tuple[str, ...], str]:
    """Return symbols and timeframe as a `Panel` without rows takes them; it refuses what any panel refuses."""
    names = tuple(symbols) if isinstance(symbols, Iterable) and not isinstance(symbols, str) else symbols
    nothing = np.empty((0, len(names) if isinstance(names, tuple) else 0))
    columns: dict[str, Any] = dict.fromkeys(PRICE_FIELDS, nothing)
    axes = Panel(symbols=names, timeframe=timeframe, time=np.empty(0, np.int64), **columns)
    return axes.symbols, axes.timeframe


def _checked_device(device: Any) -> Device:
    """Return a device, the first for ``None``; a number or a name is refused."""
    if device is None:
        return default_device()
    if not hasattr(device, "upload"):
        raise UsageError(f"device was {device!r:.80}; give one of tradeutils.device.devices(), or None for the first")
    chosen: Device = device
    return chosen


def panel_to_device(panel: Panel, device: Device | None = None, dtype: npt.DTypeLike = "float64") -> DevicePanel:
    """Return a panel on a device; see `Panel.to_device`."""
    try:
        wanted = np.dtype(dtype)
    except TypeError as error:
        raise UsageError(f"dtype was {dtype!r}; write {' or '.join(map(repr, COMPUTED))}") from error
    if wanted.name not in COMPUTED:
        raise UsageError(f"dtype was {wanted.name!r}; write {' or '.join(map(repr, COMPUTED))}")
    chosen = _checked_device(device)
    columns = {name: chosen.upload(_rounded(name, getattr(panel, name), wanted)) for name in PRICE_FIELDS}
    return DevicePanel(
        exchange=panel.exchange,
        symbols=panel.symbols,
        timeframe=panel.timeframe,
        time=panel.time,
        closed=panel.closed,
        device=chosen,
        **columns,
    )


def _rounded(name: str, values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return values in the panel's type; refuse what would become infinite by that."""
    try:
        with np.errstate(over="raise", under="ignore"):
            return values.astype(dtype, copy=False)
    except FloatingPointError as error:
        raise DataError(f"{name} has values beyond float32's range, 3.4e38; keep float64") from error
