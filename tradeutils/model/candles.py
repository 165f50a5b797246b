"""Candles of one symbol, as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tradeutils import timeframe as _timeframe
from tradeutils.errors import DataError, UsageError
from tradeutils.model.days import Day
from tradeutils.model.from_trades import bars_of_trades
from tradeutils.model.records import Trade
from tradeutils.model.resampling import resampled
from tradeutils.timeframe import Instant, Times, to_ms

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PRICE_FIELDS", "Candles", "Column", "Gap", "candles_of", "one_candle"]

Column: TypeAlias = npt.NDArray[np.float64]
"""One column of market data, float64."""

PRICE_FIELDS: Final = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Gap:
    """Candles that are missing: ``bars`` of them open in ``[since, until)``, milliseconds UTC."""

    since: int
    until: int
    bars: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Candles:
    """
    Candles of one symbol, oldest first, as read-only columns.

    Parameters
    ----------
    exchange, symbol : str
        Where they come from: ``"binance"``, ``"BTC/USDT"``; empty where not known.
    timeframe : str
        Length of a bar: ``"1m"``.
    time : int64 array, shape (T,)
        Milliseconds UTC at which each bar opens; strictly rising. Bars that nobody traded may be absent.
    open, high, low, close : float64 array, shape (T,)
        Prices in quote.
    volume : float64 array, shape (T,)
        In base units or contracts; NaN where not known.
    closed : bool array, shape (T,), optional
        False for a bar that was still forming when it was fetched. Default: all closed.

    Raises
    ------
    UsageError : columns of different lengths, or not one-dimensional.
    DataError : times that do not rise.
    UnknownName : no such timeframe.

    Notes
    -----
    Ours are read-only. Arrays that could still be written to are copied; read-only ones of the right dtype are not.
    """

    exchange: str = ""
    symbol: str = ""
    timeframe: str
    time: Times
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column
    closed: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # always set below

    def __post_init__(self) -> None:
        object.__setattr__(self, "timeframe", _timeframe.parse(self.timeframe).name)
        time = read_only(column("time", self.time, np.int64))
        object.__setattr__(self, "time", time)
        if self.closed is None:
            object.__setattr__(self, "closed", np.ones(len(time), dtype=np.bool_))
        for name in (*PRICE_FIELDS, "closed"):
            values = column(name, getattr(self, name), np.bool_ if name == "closed" else np.float64)
            if values.shape != time.shape:
                raise UsageError(f"{name} had {len(values)} rows and time {len(time)}; give columns of one length")
            object.__setattr__(self, name, read_only(values))
        check_rising(time, f"{self.exchange} {self.symbol} {self.timeframe}".strip())

    def __len__(self) -> int:
        return len(self.time)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Candles):
            return NotImplemented
        return (
            (self.exchange, self.symbol, self.timeframe) == (other.exchange, other.symbol, other.timeframe)
            and np.array_equal(self.time, other.time)
            and np.array_equal(self.closed, other.closed)
            and all(np.array_equal(getattr(self, f), getattr(other, f), equal_nan=True) for f in PRICE_FIELDS)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def __reduce__(self) -> tuple[Any, ...]:
        # Built anew: pickled arrays come back writable.
        return _rebuild, (self.exchange, self.symbol, self.timeframe, self._columns())

    def __repr__(self) -> str:
        where = " ".join(part for part in (self.exchange, self.symbol, self.timeframe) if part)
        return f"<Candles {where}: {len(self)} bars{describe_span(self.time)}>"

    def __getitem__(self, rows: slice) -> Candles:
        """Return the candles of a slice of rows: ``candles[-100:]``; the columns are views."""
        if not isinstance(rows, slice):
            raise UsageError(
                f"row was {rows!r}; slice candles, as in candles[-1:], or index a column: candles.close[-1]"
            )
        if rows.step is not None and rows.step < 1:
            raise UsageError(f"the step of the slice was {rows.step}; candles stay oldest first")
        return self._with({name: getattr(self, name)[rows] for name in ("time", *PRICE_FIELDS, "closed")})

    def _with(self, columns: dict[str, Any]) -> Candles:
        return Candles(exchange=self.exchange, symbol=self.symbol, timeframe=self.timeframe, **columns)

    def between(self, since: Instant | None = None, until: Instant | None = None) -> Candles:
        """Return the candles that open in ``[since, until)``; ``None`` leaves that side open."""
        first = 0 if since is None else int(np.searchsorted(self.time, to_ms(since, name="since")))
        last = len(self) if until is None else int(np.searchsorted(self.time, to_ms(until, name="until")))
        return self[first : max(first, last)]

    def only_closed(self) -> Candles:
        """Return the candles whose bar was over when they were fetched."""
        if self.closed.all():
            return self
        return self._with({name: getattr(self, name)[self.closed] for name in ("time", *PRICE_FIELDS, "closed")})

    def with_closed(self, closed: Sequence[bool] | npt.NDArray[np.bool_]) -> Candles:
        """Return the same candles with another ``closed`` column, one flag a bar."""
        return self._with({**self._columns(), "closed": closed})

    def gaps(self) -> tuple[Gap, ...]:
        """
        Return what is missing between the first and the last candle, oldest first.

        Candles that open off the timeframe's grid count as the bar that contains them.
        """
        if len(self) < 2:
            return ()
        frame = _timeframe.parse(self.timeframe)
        opens = frame.floor(self.time)
        expected = frame.shift(opens, 1)
        holes = np.flatnonzero(opens[1:] > expected[:-1])
        return tuple(
            Gap(int(expected[i]), int(opens[i + 1]), frame.count(int(expected[i]), int(opens[i + 1]))) for i in holes
        )

    def resample(self, timeframe: str, *, partial: bool = True, day: Day | str | None = None) -> Candles:
        """
        Return candles of a coarser timeframe.

        Open is the first, high the highest, low the lowest, close the last and volume the sum of the
        candles inside each bar; candles without a price (NaN) are left out, an unknown volume makes the
        sum unknown. A bar is ``closed`` when its last moment is covered by a closed candle.

        Parameters
        ----------
        timeframe : str
            A timeframe made of whole bars of this one: ``"1m"`` to ``"5m"``, ``"1d"`` to ``"1M"``.
        partial : bool
            Keep a first and last bar that these candles cover only in part.
        day : Day or str, optional
            When a day begins, and for a session when it ends: ``"17:00 America/New_York"``,
            ``"09:30-16:00 America/New_York"``. Days, weeks and months are then made of such days; shorter bars are
            counted from the open of the day, and the last of a day may be shorter. Candles outside are left out, and
            ``time`` is the open of the bar in UTC. Default: days from 00:00 UTC.

        Raises
        ------
        UsageError : ``timeframe`` is not made of whole bars of this one, or a day begins or ends inside one.
        """
        columns = {name: getattr(self, name)[:, np.newaxis] for name in PRICE_FIELDS}
        frames = self.timeframe, timeframe
        name, made = resampled(self.time, self.closed, columns, frames, partial=partial, day=day)
        flat = {key: values.reshape(-1) for key, values in made.items()}
        return Candles(exchange=self.exchange, symbol=self.symbol, timeframe=name, **flat)

    @classmethod
    def from_trades(
        cls,
        trades: Iterable[Trade] | Mapping[str, Any],
        timeframe: str,
        *,
        exchange: str = "",
        symbol: str = "",
        now: Instant | None = None,
        day: Day | str | None = None,
    ) -> Candles:
        """
        Build candles from trades, in any order; a trade whose id comes twice counts once, one without an id each time.

        Trades of one moment are taken by id where all ids are numbers, else as they come. Bars in which nobody traded
        are absent. The first bar holds only the trades given, which may be its last ones.

        Parameters
        ----------
        trades : iterable of Trade, or mapping
            Columns ``time`` (int64 ms UTC), ``price``, ``amount`` (base units), and ``id`` if known.
        now : int ms or aware datetime, optional
            Until when all trades are given: bars over by then are closed. Default: the time of the last trade.
        day
            As for `resample`.

        Raises
        ------
        UsageError : columns that lack, or are no numbers; times in another unit; float ids too long to be exact.
        DataError : a price not above 0, or a negative amount.
        """
        columns = bars_of_trades(trades, timeframe, now=now, day=day)
        return cls(exchange=exchange, symbol=symbol, timeframe=timeframe, **columns)

    def _columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("time", *PRICE_FIELDS, "closed")}

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame with a UTC DatetimeIndex ``time`` and columns open, high, low, close, volume, closed."""
        from tradeutils.frames import candles_to_frame

        return candles_to_frame(self)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, timeframe: str, exchange: str = "", symbol: str = "") -> Candles:
        """
        Build candles from a DataFrame of OHLCV columns.

        Parameters
        ----------
        frame : DataFrame
            Columns open, high, low, close, volume (any case), optionally closed; times in a DatetimeIndex
            or in a column named time, date, datetime or timestamp. A naive index is taken as UTC.

        Raises
        ------
        DataError : columns are missing, or times do not rise.
        """
        from tradeutils.frames import candles_from_frame

        return candles_from_frame(frame, timeframe=timeframe, exchange=exchange, symbol=symbol)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Sequence[Any]],
        *,
        timeframe: str,
        exchange: str = "",
        symbol: str = "",
        now: Instant | None = None,
    ) -> Candles:
        """
        Build candles from rows of ``[time, open, high, low, close, volume]``, as ccxt returns them.

        Rows are sorted by time; of rows with one time the last wins; ``None`` becomes NaN.

        Parameters
        ----------
        rows : iterable of sequences
            Numbers, or numbers as text; what follows the volume is left out.
        now : int ms or aware datetime, optional
            The moment of the request: bars that were not over by then are marked as not closed.

        Raises
        ------
        DataError : a row that is shorter, holds no numbers or has no time; it is named.
        UsageError : times that step by seconds or microseconds where bars step by milliseconds.
        """
        table = _table(rows)
        order = np.argsort(table[:, 0], kind="stable")
        table = table[order]
        last_of_time = np.r_[table[1:, 0] != table[:-1, 0], True][: len(table)]
        table = table[last_of_time]
        time = table[:, 0].astype(np.int64)
        frame = _timeframe.parse(timeframe)
        _check_unit(time, frame)
        closed = None
        if now is not None:
            closed = frame.shift(frame.floor(time), 1) <= to_ms(now, name="now")
        return cls(
            exchange=exchange,
            symbol=symbol,
            timeframe=timeframe,
            time=time,
            **{name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(PRICE_FIELDS, 1)},
            closed=closed,  # type: ignore[arg-type]
        )


def _check_unit(time: Times, frame: _timeframe.Timeframe) -> None:
    """Refuse times of another unit, by the step between two of them."""
    if frame.ms is None or len(time) < 2:
        return
    step = float(np.median(np.diff(time)))
    for unit, factor in (("seconds", 1e-3), ("microseconds", 1e3), ("nanoseconds", 1e6)):
        if step == frame.ms * factor:
            raise UsageError(
                f"the times step by {step:.0f}, and a bar of {frame} by {frame.ms} ms; they look like {unit}: "
                "write milliseconds"
            )


def _table(rows: Iterable[Sequence[Any]]) -> npt.NDArray[np.float64]:
    """Return rows of six numbers as an array (T, 6)."""
    try:
        taken = list(rows)
    except TypeError as error:
        raise UsageError(f"rows was {rows!r:.80}; give rows of [time, open, high, low, close, volume]") from error
    try:
        table = np.array([row[:6] for row in taken], dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if taken and table.shape != (len(taken), 6):
        at = next((i for i, row in enumerate(taken) if not _is_row(row)), 0)
        raise DataError(f"row {at} was {taken[at]!r:.120}; write numbers: [time, open, high, low, close, volume]")
    table = table.reshape(-1, 6)
    timeless = np.flatnonzero(~(np.abs(table[:, 0]) < 2.0**62))  # so that it fits int64, NaN included
    if len(timeless):
        raise DataError(f"row {timeless[0]} had no time: {taken[timeless[0]]!r:.120}; drop such rows first")
    return table


def _is_row(row: Any) -> bool:
    try:
        return np.array(row[:6], dtype=np.float64).shape == (6,)
    except (TypeError, ValueError):
        return False


def _rebuild(exchange: str, symbol: str, timeframe: str, columns: dict[str, Any]) -> Candles:
    return Candles(exchange=exchange, symbol=symbol, timeframe=timeframe, **columns)


_ONE_OPEN: Final = np.zeros(1, dtype=np.bool_)
_ONE_CLOSED: Final = np.ones(1, dtype=np.bool_)
_ONE_OPEN.flags.writeable = _ONE_CLOSED.flags.writeable = False


def one_candle(
    exchange: str, symbol: str, timeframe: str, row: tuple[int, float, float, float, float, float], closed: bool
) -> Candles:
    """
    Return one row, ``(time, open, high, low, close, volume)``, as `Candles`; nothing is checked.

    For rows that come one by one and have been checked: 3 us, where `Candles` itself takes 16.
    ``timeframe`` is the name that `tradeutils.timeframe.parse` gives.
    """
    time = np.array(row[:1], dtype=np.int64)
    values = np.array(row[1:], dtype=np.float64)
    time.flags.writeable = values.flags.writeable = False
    made, put = object.__new__(Candles), object.__setattr__  # frozen
    put(made, "exchange", exchange)
    put(made, "symbol", symbol)
    put(made, "timeframe", timeframe)
    put(made, "time", time)
    for at, name in enumerate(PRICE_FIELDS):
        put(made, name, values[at : at + 1])
    put(made, "closed", _ONE_CLOSED if closed else _ONE_OPEN)
    return made


def candles_of(
    exchange: str, symbol: str, timeframe: str, time: Times, prices: Sequence[Column], closed: npt.NDArray[np.bool_]
) -> Candles:
    """
    Return `Candles` of read-only columns that have one length and the right types; only that times rise is checked.

    4 us, where `Candles` itself takes 11. ``prices`` are the columns of `PRICE_FIELDS` in their order.
    """
    made, put = object.__new__(Candles), object.__setattr__  # frozen
    put(made, "exchange", exchange)
    put(made, "symbol", symbol)
    put(made, "timeframe", _timeframe.parse(timeframe).name)
    put(made, "time", time)
    for name, values in zip(PRICE_FIELDS, prices, strict=True):
        put(made, name, values)
    put(made, "closed", closed)
    check_rising(time, symbol)
    return made


def column(name: str, values: Any, dtype: type[np.generic], ndim: int = 1) -> npt.NDArray[Any]:
    """
    Return ``values`` as a contiguous array of ``dtype`` and ``ndim`` dimensions.

    Copied where it must be converted or could still be written to by who gave it; read-only arrays are not.
    """
    try:
        array = np.asarray(values)
        if array.ndim != ndim:
            raise UsageError(f"{name} had shape {array.shape}; give {'(T,)' if ndim == 1 else '(T, S)'}")
        if array.dtype != dtype and array.size:
            array = _converted(name, array, dtype)
        made = np.ascontiguousarray(array, dtype=dtype)
    except UsageError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{name} cannot be read as {dtype.__name__}: {error}") from error
    if isinstance(values, np.ndarray) and values.flags.writeable and np.may_share_memory(made, values):
        return made.copy()
    return made


def _converted(name: str, array: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Return an array of another dtype as ``dtype``, refusing what numpy would turn into something else in silence."""
    kind = array.dtype.kind
    if dtype is np.int64:
        if kind == "M":
            if np.isnat(array).any():
                raise UsageError(
                    f"{name} had no time (NaT) in row {int(np.isnat(array).argmax())}; drop such rows first"
                )
            array = array.astype("datetime64[ms]").astype(np.int64)
        elif kind not in "iu" or int(array.max()) > np.iinfo(np.int64).max:
            raise UsageError(f"{name} had dtype {array.dtype}; write int64 milliseconds UTC")
    elif dtype is np.bool_:
        flags = array.astype(np.bool_) if kind in "iuO" else None
        if flags is None or not (flags == array).all():
            raise UsageError(f"{name} had dtype {array.dtype}; write True or False")
        array = flags
    elif kind in "cmMV":
        raise UsageError(f"{name} had dtype {array.dtype}; write float64 numbers")
    return array


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view: what we hold cannot change under us by our own hand, and is not copied."""
    view = array.view()
    view.flags.writeable = False
    return view


def check_rising(time: Times, what: str) -> None:
    """Raise `DataError` naming the first row whose time does not come after the row before it."""
    if len(time) < 2:
        return
    wrong = np.flatnonzero(time[1:] <= time[:-1])
    if len(wrong):
        row = int(wrong[0]) + 1
        raise DataError(
            f"{what or 'candles'}: row {row} opens at {time[row]}, not after row {row - 1} at {time[row - 1]}; "
            "sort by time and drop duplicates, or build with Candles.from_rows"
        )


def describe_span(time: Times) -> str:
    """Return ``" from 2024-01-01T00:00 to 2024-01-02T00:00 UTC"``, or nothing where there is no row."""
    if not len(time):
        return ""
    first, last = (str(np.datetime64(int(t), "ms"))[:16] for t in (time[0], time[-1]))
    return f" from {first} to {last} UTC"
