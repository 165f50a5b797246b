"""Candles and panels as DataFrames, and DataFrames as candles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tradeutils.errors import DataError, UnknownName, UsageError
from tradeutils.frames._arrays import is_frame, is_number, numbers, refuse_levels, stacked
from tradeutils.model import Candles, Panel
from tradeutils.model.candles import PRICE_FIELDS, Column
from tradeutils.timeframe import Times

if TYPE_CHECKING:
    import pandas as pd

_TIME_NAMES: Final = ("time", "datetime", "timestamp", "date")
# An int is read in the first unit in which the latest of the column falls before about the year 5138.
_INT_UNITS: Final = ((10**11, "s"), (10**14, "ms"), (10**17, "us"), (2**63, "ns"))
_EARLIEST_SECONDS: Final = 10**8  # 1973: below it an int could be any unit


def candles_to_frame(candles: Candles) -> pd.DataFrame:
    """
    Return candles as a DataFrame.

    Returns
    -------
    DataFrame with a UTC DatetimeIndex ``time`` (milliseconds) and columns open, high, low, close, volume
    (float64) and closed (bool). A copy, so that it can be written to.
    """
    import pandas as pd

    frame = pd.DataFrame(
        stacked([getattr(candles, name) for name in PRICE_FIELDS]),
        index=_time_index(candles.time),
        columns=pd.Index(PRICE_FIELDS),
        copy=False,
    )
    frame["closed"] = candles.closed.copy()
    return frame


def panel_to_frame(panel: Panel, field: str = "close") -> pd.DataFrame:
    """
    Return one field of a panel as a DataFrame.

    Returns
    -------
    DataFrame with a UTC DatetimeIndex ``time`` (milliseconds) and one float64 column a symbol, NaN where a
    candle is missing. A copy, so that it can be written to.

    Raises
    ------
    UnknownName : ``field`` is not open, high, low, close or volume.
    """
    import pandas as pd

    if field not in PRICE_FIELDS:
        raise UnknownName("field", field, PRICE_FIELDS)
    # A view would save the copy, but pandas refuses every later write to a read-only block.
    return pd.DataFrame(
        getattr(panel, field).copy(),
        index=_time_index(panel.time),
        columns=pd.Index(panel.symbols, dtype=object if not panel.symbols else None),
        copy=False,
    )


def candles_from_frame(frame: pd.DataFrame, *, timeframe: str, exchange: str = "", symbol: str = "") -> Candles:
    """
    Build candles from a DataFrame of OHLCV columns.

    Parameters
    ----------
    frame : DataFrame
        Columns open, high, low, close, volume (any case), optionally closed. Times are its DatetimeIndex, else
        a column (or index) named time, datetime, timestamp or date: datetimes, ISO 8601 text, or numbers in
        s, ms, us or ns since the epoch, told apart by size. Without a time zone they are taken as UTC;
        fractions of a millisecond are cut off. The candles hold copies.
    timeframe, exchange, symbol : str
        What the candles are of.

    Raises
    ------
    UsageError : ``frame`` is no DataFrame, or a name in it stands for two columns.
    DataError : columns are missing or not numeric, a time is missing, or times do not rise.
    UnknownName : no such timeframe.
    """
    if not is_frame(frame):
        raise UsageError(f"frame was a {type(frame).__name__}; give a pandas DataFrame of OHLCV columns")
    found = _positions(frame)
    missing = [name for name in PRICE_FIELDS if name not in found]
    if missing:
        there = ", ".join(str(name) for name in frame.columns[:12]) or "none"
        raise DataError(f"the frame lacks {', '.join(missing)}; rename its columns to OHLCV names (it has {there})")
    return Candles(
        exchange=exchange,
        symbol=symbol,
        timeframe=timeframe,
        time=_frame_times(frame, found),
        closed=_flags(frame.iloc[:, found["closed"]]) if "closed" in found else None,  # type: ignore[arg-type]
        **{name: _owned(numbers(frame.iloc[:, found[name]], name)) for name in PRICE_FIELDS},
    )


def times(frame: pd.DataFrame) -> Times:
    """
    Return the opening times of a frame's rows in ms UTC, found as :func:`candles_from_frame` finds them.

    Raises
    ------
    DataError : the frame has no times, one is missing, or they do not rise.
    UsageError : a name in it stands for two columns.
    """
    return _frame_times(frame, _positions(frame))


def _owned(array: Column) -> Column:
    """Return a column that is ours alone: pandas writes to its own through views that it hands out as read-only."""
    owned = array if array.flags.owndata else array.copy()
    owned.flags.writeable = False
    return owned


def _time_index(time: Times) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(time.view("datetime64[ms]"), name="time").tz_localize("UTC")


def _positions(frame: pd.DataFrame) -> dict[str, int]:
    """Return where each OHLCV, closed and time column stands, by its lower-case name."""
    refuse_levels(frame)
    wanted = {*PRICE_FIELDS, "closed", *_TIME_NAMES}
    found: dict[str, int] = {}
    for at, label in enumerate(frame.columns):
        name = str(label).strip().lower()
        if name not in wanted:
            continue
        if name in found:
            raise UsageError(f"the frame has two columns that read as {name!r}; drop or rename one")
        found[name] = at
    return found


def _flags(series: pd.Series[Any]) -> npt.NDArray[np.bool_]:
    values = series.to_numpy()
    flags = values.astype(np.bool_) if values.dtype.kind in "biu" or not len(values) else None
    if flags is None and all(isinstance(value, bool | np.bool_) for value in values):
        flags = values.astype(np.bool_)
    if flags is None or (values.dtype.kind in "iu" and (flags != values).any()):
        raise DataError(f"column closed had dtype {series.dtype}; give True or False in every row")
    return flags


def _time_source(frame: pd.DataFrame, found: Mapping[str, int]) -> tuple[Any, str]:
    """Return where the times of a frame stand, and how that is called in a message."""
    import pandas as pd

    column = next((name for name in _TIME_NAMES if name in found), None)
    if isinstance(frame.index, pd.DatetimeIndex):
        return frame.index, "index"
    if column is not None:
        return frame.iloc[:, found[column]], f"column {column}"
    if str(frame.index.name).strip().lower() in _TIME_NAMES:
        return frame.index, f"index {frame.index.name}"
    raise DataError(
        f"the frame has no times: its index is of type {type(frame.index).__name__} and no column is named "
        f"{', '.join(_TIME_NAMES)}; set a DatetimeIndex"
    )


def _frame_times(frame: pd.DataFrame, found: Mapping[str, int]) -> Times:
    """Return the times of a frame in ms, checked to rise."""
    source, where = _time_source(frame, found)
    moments = _moments(source, where)
    missing = np.flatnonzero(moments.isna())
    if len(missing):
        raise DataError(f"{where}: row {missing[0]} has no time ({len(missing)} rows in all); drop them first")
    time: Times = np.asarray(moments.tz_convert("UTC").tz_localize(None).as_unit("ms").asi8, dtype=np.int64)
    wrong = np.flatnonzero(time[1:] <= time[:-1])
    if len(wrong):
        row = int(wrong[0]) + 1
        remedy = "frame.sort_index(), frame[~frame.index.duplicated(keep='last')]"
        if where.startswith("column"):
            remedy = f"frame.sort_values({source.name!r}).drop_duplicates({source.name!r}, keep='last')"
        raise DataError(
            f"{where}: row {row} at {moments[row]} does not come after row {row - 1} at {moments[row - 1]}; "
            f"sort the frame by time and keep one row a time: {remedy}"
        )
    return time


def _moments(source: pd.Index[Any] | pd.Series[Any], where: str) -> pd.DatetimeIndex:
    """Return datetimes, ISO 8601 text or epoch numbers as a UTC DatetimeIndex."""
    import pandas as pd

    if is_number(source.dtype):
        return _epoch_moments(source, where)
    if source.dtype == object or isinstance(source.dtype, pd.StringDtype):
        return _object_moments(source, where)
    if not pd.api.types.is_datetime64_any_dtype(source.dtype):
        raise DataError(f"{where} had dtype {source.dtype}; give datetimes, or ints since the epoch")
    moments = pd.DatetimeIndex(source)
    return moments.tz_localize("UTC") if moments.tz is None else moments.tz_convert("UTC")


def _object_moments(source: pd.Index[Any] | pd.Series[Any], where: str) -> pd.DatetimeIndex:
    import pandas as pd

    kinds = set(map(type, source.dropna()))
    try:
        if kinds == {int}:
            return _epoch_moments(pd.Series(source, dtype="Int64"), where)
        if not all(issubclass(kind, str | dt.date | np.datetime64) for kind in kinds):
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise DataError(f"{where} holds {names}; give datetimes, text in ISO 8601 or ints since the epoch")
        return pd.DatetimeIndex(pd.to_datetime(source, utc=True, format="ISO8601"))
    except (TypeError, ValueError, OverflowError) as error:
        why = str(error).partition(". ")[0].partition("\n")[0]  # pandas goes on, over lines, with its own keywords
        raise DataError(f"{where} cannot be read as times: {why}; convert it with pandas.to_datetime") from error


def _epoch_moments(source: pd.Index[Any] | pd.Series[Any], where: str) -> pd.DatetimeIndex:
    import pandas as pd

    missing = np.asarray(source.isna())
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise DataError(f"{where}: row {row} has no time ({int(missing.sum())} rows in all); drop them first")
    values = source.to_numpy()
    size = abs(values.astype(np.float64))
    low, high = size.min(initial=np.inf), size.max(initial=0)
    if not high < _INT_UNITS[-1][0]:
        raise DataError(f"{where} holds numbers that are no times; give ints since the epoch")
    unit = next(unit for limit, unit in _INT_UNITS if high < limit)
    # One row in seconds among milliseconds would read as January 1970.
    mixed = len(values) > 0 and next(unit for limit, unit in _INT_UNITS if low < limit) != unit
    if mixed or low < _EARLIEST_SECONDS:
        what = f"in more than one unit ({low:.0f} to {high:.0f})" if mixed else f"of no plain unit ({low:.0f})"
        raise DataError(f"{where} holds times {what}; convert it first: pandas.to_datetime(..., unit='ms', utc=True)")
    if values.dtype.kind == "f" and unit == "s":  # seconds with a fraction are read to the millisecond
        values, unit = np.round(values * 1000), "ms"
    return pd.DatetimeIndex(values.astype(np.int64).astype(f"datetime64[{unit}]")).tz_localize("UTC")
