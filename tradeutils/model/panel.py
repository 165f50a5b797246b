"""Candles of many symbols, aligned on time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.errors import DataError, UnknownName, UsageError
from tradeutils.model.candles import PRICE_FIELDS, Candles, Column, check_rising, column, describe_span, read_only
from tradeutils.model.days import Day
from tradeutils.model.resampling import resampled
from tradeutils.timeframe import Instant, Times, to_ms

if TYPE_CHECKING:
    import pandas as pd

    from tradeutils.device import Device
    from tradeutils.model.device_panel import DevicePanel

__all__ = ["Bars", "Panel"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """One bar of many symbols: ``time`` in ms UTC of the open, each field float64 (S,), NaN where missing."""

    time: int
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Panel:
    """
    Candles of S symbols on one time axis of T bars, time-major and read-only.

    Parameters
    ----------
    symbols : sequence of str, length S
        No symbol twice.
    timeframe : str
        Length of a bar.
    time : int64 array, shape (T,)
        Milliseconds UTC at which each bar opens; strictly rising.
    open, high, low, close, volume : float64 array, shape (T, S)
        C-contiguous; NaN where a candle is missing.
    closed : bool array, shape (T,), optional
        False for a row in which a candle was still forming. Default: all closed.
    exchange : str
        Where they come from; empty where not known.

    Raises
    ------
    UsageError : shapes that do not fit, a symbol twice.
    DataError : times that do not rise.
    """

    exchange: str = ""
    symbols: tuple[str, ...]
    timeframe: str
    time: Times
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column
    closed: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # always set below

    def __post_init__(self) -> None:
        if isinstance(self.symbols, str) or not isinstance(self.symbols, Iterable):
            raise UsageError(f"symbols was {self.symbols!r}; give a list of symbols, as in ['BTC/USDT']")
        symbols = tuple(self.symbols)
        twice = sorted({s for s in symbols if symbols.count(s) > 1}) if len(set(symbols)) < len(symbols) else []
        if twice:
            raise UsageError(f"symbols named {', '.join(twice)} more than once; each symbol is one column")
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "timeframe", _timeframe.parse(self.timeframe).name)
        time = read_only(column("time", self.time, np.int64))
        object.__setattr__(self, "time", time)
        shape = (len(time), len(symbols))
        for name in PRICE_FIELDS:
            values = column(name, getattr(self, name), np.float64, ndim=2)
            if values.shape != shape:
                raise UsageError(f"{name} had shape {values.shape}; time and symbols ask for {shape}")
            object.__setattr__(self, name, read_only(values))
        closed = np.ones(len(time), dtype=np.bool_) if self.closed is None else column("closed", self.closed, np.bool_)
        if closed.shape != time.shape:
            raise UsageError(f"closed had {len(closed)} rows and time {len(time)}; give one flag a row")
        object.__setattr__(self, "closed", read_only(closed))
        check_rising(time, f"panel {self.timeframe}")

    def __len__(self) -> int:
        return len(self.time)

    @property
    def shape(self) -> tuple[int, int]:
        """Bars and symbols: (T, S)."""
        return len(self.time), len(self.symbols)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where a candle is missing: bool (T, S), True as in `numpy.ma` where there is no value. Costs one pass."""
        return np.isnan(self.close)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Panel):
            return NotImplemented
        return (
            (self.exchange, self.symbols, self.timeframe) == (other.exchange, other.symbols, other.timeframe)
            and np.array_equal(self.time, other.time)
            and np.array_equal(self.closed, other.closed)
            and all(np.array_equal(getattr(self, f), getattr(other, f), equal_nan=True) for f in PRICE_FIELDS)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def __reduce__(self) -> tuple[Any, ...]:
        # Built anew: pickled arrays come back writable.
        columns = {name: getattr(self, name) for name in ("time", *PRICE_FIELDS, "closed")}
        return _rebuild, (self.exchange, self.symbols, self.timeframe, columns)

    def __repr__(self) -> str:
        where = f"{self.exchange} {self.timeframe}".strip()
        return f"<Panel {where}: {len(self)} bars x {len(self.symbols)} symbols{describe_span(self.time)}>"

    @overload
    def __getitem__(self, key: str) -> Candles: ...
    @overload
    def __getitem__(self, key: slice) -> Panel: ...
    def __getitem__(self, key: str | slice) -> Candles | Panel:
        """Return the candles of a symbol (``panel["BTC/USDT"]``) or the panel of a slice of rows (``panel[-100:]``)."""
        if isinstance(key, str):
            return self.candles(key)
        if not isinstance(key, slice) or (key.step is not None and key.step < 1):
            raise UsageError(f"index was {key!r}; write a symbol or a slice of rows, oldest first")
        return Panel(
            exchange=self.exchange,
            symbols=self.symbols,
            timeframe=self.timeframe,
            **{name: getattr(self, name)[key] for name in ("time", *PRICE_FIELDS, "closed")},
        )

    def between(self, since: Instant | None = None, until: Instant | None = None) -> Panel:
        """Return the rows that open in ``[since, until)``; ``None`` leaves that side open."""
        first = 0 if since is None else int(np.searchsorted(self.time, to_ms(since, name="since")))
        last = len(self) if until is None else int(np.searchsorted(self.time, to_ms(until, name="until")))
        return self[first : max(first, last)]

    def candles(self, symbol: str) -> Candles:
        """Return the candles of one symbol, without the rows in which it has none."""
        if symbol not in self.symbols:
            raise UnknownName("symbol", symbol, self.symbols, where="the panel")
        s = self.symbols.index(symbol)
        there = ~np.isnan(self.close[:, s])
        return Candles(
            exchange=self.exchange,
            symbol=symbol,
            timeframe=self.timeframe,
            time=self.time[there],
            closed=self.closed[there],
            **{name: getattr(self, name)[there, s] for name in PRICE_FIELDS},
        )

    def append(self, bars: Bars | Mapping[str, Any]) -> Panel:
        """
        Return a panel with one bar more.

        Parameters
        ----------
        bars : Bars or mapping
            ``time`` (int ms, after the last row) and open, high, low, close, volume, each (S,) in the panel's order.

        Notes
        -----
        Copies the panel, O(T x S); to follow a live market bar by bar use ``indicators.Stream``.
        """
        bar = bars if isinstance(bars, Mapping) else {n: getattr(bars, n) for n in ("time", *PRICE_FIELDS)}
        missing = [name for name in ("time", *PRICE_FIELDS) if name not in bar]
        if missing:
            raise UsageError(f"bars lacked {', '.join(missing)}; give time, {', '.join(PRICE_FIELDS)}")
        time = to_ms(bar["time"])
        if len(self) and time <= self.time[-1]:
            raise DataError(f"the bar opens at {time}, not after the last row at {self.time[-1]}")
        rows = {}
        for name in PRICE_FIELDS:
            row = column(name, bar[name], np.float64)
            if row.shape != (len(self.symbols),):
                raise UsageError(f"{name} had shape {row.shape}; the panel has {len(self.symbols)} symbols")
            rows[name] = np.concatenate((getattr(self, name), row[None, :]))
        return Panel(
            exchange=self.exchange,
            symbols=self.symbols,
            timeframe=self.timeframe,
            time=np.append(self.time, np.int64(time)),
            closed=np.append(self.closed, np.True_),
            **rows,
        )

    def resample(self, timeframe: str, *, partial: bool = True, day: Day | str | None = None) -> Panel:
        """
        Return a panel of a coarser timeframe: for each symbol the values of `Candles.resample`, to the last bit.

        NaN where a symbol has no candle in a bar; rows in which none has one are left out. A row is ``closed`` when
        its last moment is covered by a closed row.

        Parameters
        ----------
        timeframe, partial, day
            As for `Candles.resample`.

        Raises
        ------
        UsageError : ``timeframe`` is not made of whole bars of this one, or a day begins or ends inside one.

        Notes
        -----
        10,000 minutes of 500 symbols take some 50 ms.
        """
        columns = {name: getattr(self, name) for name in PRICE_FIELDS}
        frames = self.timeframe, timeframe
        name, made = resampled(self.time, self.closed, columns, frames, partial=partial, day=day)
        return Panel(exchange=self.exchange, symbols=self.symbols, timeframe=name, **made)

    @classmethod
    def from_candles(cls, candles: Sequence[Candles] | Mapping[str, Candles]) -> Panel:
        """
        Align candles of several symbols on the union of their times; what one lacks is NaN.

        Times at which no symbol has a candle are not invented: the rows are those that were traded.
        A row is ``closed`` when every candle in it is.

        Parameters
        ----------
        candles : sequence of Candles, or mapping from symbol to Candles
            All of one timeframe; no symbol twice.

        Raises
        ------
        UsageError : none given, timeframes that differ, a symbol twice.
        """
        given = (
            list(candles.values() if isinstance(candles, Mapping) else candles)
            if isinstance(candles, Iterable)
            else None
        )
        if given is None or not all(isinstance(one, Candles) for one in given):
            raise UsageError(f"candles was {candles!r:.80}; give a list of Candles, or a mapping from symbol to them")
        series = dict(candles) if isinstance(candles, Mapping) else {c.symbol: c for c in given}
        if not series:
            raise UsageError("candles was empty; a panel needs the candles of one symbol at least")
        if len(series) < len(given):
            raise UsageError("candles held a symbol more than once; each symbol is one column")
        frames = sorted({c.timeframe for c in series.values()})
        if len(frames) > 1:
            raise UsageError(f"candles had timeframes {', '.join(frames)}; resample them to one first")
        venues = {c.exchange for c in series.values()}
        time = np.unique(np.concatenate([c.time for c in series.values()]))
        fields = {name: np.full((len(time), len(series)), np.nan) for name in PRICE_FIELDS}
        closed = np.ones(len(time), dtype=np.bool_)
        for s, one in enumerate(series.values()):
            rows = np.searchsorted(time, one.time)
            for name in PRICE_FIELDS:
                fields[name][rows, s] = getattr(one, name)
            closed[rows] &= one.closed
        for values in (time, closed, *fields.values()):
            values.flags.writeable = False  # ours alone: nothing to be copied for safety
        return cls(
            exchange=venues.pop() if len(venues) == 1 else "",
            symbols=tuple(series),
            timeframe=frames[0],
            time=time,
            closed=closed,
            **fields,
        )

    def to_device(self, device: Device | None = None, dtype: npt.DTypeLike = "float64") -> DevicePanel:
        """
        Return the panel in the memory of a GPU, where indicators compute on it without moving it again.

        Parameters
        ----------
        device : Device, optional
            One of `tradeutils.device.devices`. Default: the first.
        dtype : "float64" or "float32"
            In which type it is kept; float32 halves memory and traffic, and rounds to 7 digits. Kernels calculate in
            float64 either way.

        Raises
        ------
        BackendUnavailable : no GPU can be used; the message names the remedy.
        DeviceOutOfMemory : its 5 x T x S values do not fit.
        UsageError : another dtype.
        DataError : a value beyond what float32 holds.
        """
        from tradeutils.model.device_panel import panel_to_device

        return panel_to_device(self, device, dtype)

    def to_frame(self, field: str = "close") -> pd.DataFrame:
        """Return one field as a DataFrame: a UTC DatetimeIndex ``time``, one column a symbol."""
        from tradeutils.frames import panel_to_frame

        if field not in PRICE_FIELDS:
            raise UnknownName("field", field, PRICE_FIELDS)
        return panel_to_frame(self, field)


def _rebuild(exchange: str, symbols: tuple[str, ...], timeframe: str, columns: dict[str, Any]) -> Panel:
    return Panel(exchange=exchange, symbols=symbols, timeframe=timeframe, **columns)
